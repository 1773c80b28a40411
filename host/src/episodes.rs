//! What lasted for a while: atrial fibrillation, runs of ectopic beats, pauses.

use crate::analysis::Beat;
use heartlens_core::class::Class;
use heartlens_core::spec::RR_MAX_S;
use serde::Serialize;
use std::ops::Range;

/// Successive beats of one ectopic class that make a run.
pub const RUN_BEATS: usize = 3;
/// The shortest RR interval that is called a pause, in milliseconds.
pub const PAUSE_MS: f64 = 2000.0;
/// The longest RR interval that is called one, in milliseconds. A longer one is a gap in the recording.
pub const LONGEST_PAUSE_MS: f64 = 30_000.0;

/// What an episode is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EpisodeKind {
    /// Atrial fibrillation, by the strip network: its windows last up to 30 s and end every 10 s, so that an episode begins and ends
    /// up to half a minute off. Of a list of beats, by the rhythm network, whose smoothed score follows 20 to 150 beats late.
    #[serde(rename = "AF")]
    AtrialFibrillation,
    /// A run of [`RUN_BEATS`] or more V beats.
    #[serde(rename = "V run")]
    VentricularRun,
    /// A run of [`RUN_BEATS`] or more S beats.
    #[serde(rename = "S run")]
    SupraventricularRun,
    /// An RR interval from [`PAUSE_MS`] to [`LONGEST_PAUSE_MS`] between two beats that could be read.
    #[serde(rename = "pause")]
    Pause,
}

/// An episode: from when to when, and how many beats.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Episode {
    /// What it is of.
    pub kind: EpisodeKind,
    /// The time of its first beat, in seconds from the record's start.
    pub from_s: f64,
    /// When it ends, in seconds: a run or a pause with its last beat, atrial fibrillation with the first beat after it, or
    /// with its last where none follows or a gap does.
    pub to_s: f64,
    /// Its beats. Of a pause, the two that it lies between.
    pub beats: usize,
    /// 60 s over the mean RR interval from `from_s` to `to_s`, per minute; `None` where that is no time.
    pub mean_rate_bpm: Option<f64>,
}

impl Episode {
    /// How long it lasts, in seconds.
    pub fn duration_s(&self) -> f64 {
        self.to_s - self.from_s
    }

    /// These beats of a recording, as indices, up to the beat `end`.
    fn new(kind: EpisodeKind, beats: &[Beat], range: Range<usize>, end: usize) -> Self {
        let (from_s, to_s) = (beats[range.start].time_s, beats[end].time_s);
        Self {
            kind,
            from_s,
            to_s,
            beats: range.len(),
            mean_rate_bpm: rate_bpm(end - range.start, to_s - from_s),
        }
    }
}

fn rate_bpm(intervals: usize, duration_s: f64) -> Option<f64> {
    (duration_s > 0.0).then(|| 60.0 * intervals as f64 / duration_s)
}

/// Whether there is a gap in the recording between two successive beats, or the beats in it were not found: an RR interval
/// of more than 4 s.
pub(crate) fn is_gap(before: &Beat, after: &Beat) -> bool {
    after.time_s - before.time_s > f64::from(RR_MAX_S)
}

/// The episodes of a recording's beats, in order of time.
pub fn episodes(beats: &[Beat]) -> Vec<Episode> {
    let mut episodes = fibrillation(beats);
    let runs = ectopic_runs(beats).into_iter();
    episodes.extend(runs.filter(|run| run.beats.len() >= RUN_BEATS).map(|run| {
        let kind = match run.class {
            Class::V => EpisodeKind::VentricularRun,
            _ => EpisodeKind::SupraventricularRun,
        };
        let last = run.beats.end - 1;
        Episode::new(kind, beats, run.beats, last)
    }));
    let pause = |end: usize| Episode::new(EpisodeKind::Pause, beats, end - 1..end + 1, end);
    episodes.extend(pauses(beats).into_iter().map(pause));
    episodes.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    episodes
}

/// The episodes of atrial fibrillation, in order of time. A gap ends one.
pub(crate) fn fibrillation(beats: &[Beat]) -> Vec<Episode> {
    let in_one = |a: &Beat, b: &Beat| a.fibrillation == b.fibrillation && !is_gap(a, b);
    let mut episodes = Vec::new();
    let mut start = 0;
    for stretch in beats.chunk_by(in_one) {
        let range = start..start + stretch.len();
        start = range.end;
        if stretch[0].fibrillation == Some(true) {
            let last = range.end - 1;
            let end = match beats.get(range.end) {
                Some(after) if !is_gap(&beats[last], after) => range.end,
                _ => last,
            };
            let kind = EpisodeKind::AtrialFibrillation;
            episodes.push(Episode::new(kind, beats, range, end));
        }
    }
    episodes
}

/// Successive beats of one ectopic class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// S or V.
    pub(crate) class: Class,
    /// The beats, as indices.
    pub(crate) beats: Range<usize>,
}

impl Run {
    /// The mean rate inside the run, per minute; `None` for a single beat.
    #[cfg(feature = "cli")]
    pub(crate) fn rate(&self, beats: &[Beat]) -> Option<f64> {
        let last = self.beats.end - 1;
        let span_s = beats[last].time_s - beats[self.beats.start].time_s;
        rate_bpm(last - self.beats.start, span_s)
    }
}

/// All stretches of S or of V, single beats and couplets included, in order of time.
pub(crate) fn ectopic_runs(beats: &[Beat]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut from = 0;
    for stretch in beats.chunk_by(|a, b| a.class == b.class) {
        let class = stretch[0].class;
        if matches!(class, Class::S | Class::V) {
            runs.push(Run {
                class,
                beats: from..from + stretch.len(),
            });
        }
        from += stretch.len();
    }
    runs
}

/// The beats, as indices, that end a pause between two readable beats, longest first.
pub(crate) fn pauses(beats: &[Beat]) -> Vec<usize> {
    let mut pauses: Vec<(f64, usize)> = beats
        .windows(2)
        .enumerate()
        .filter_map(|(i, pair)| {
            let rr = pair[1].rr_ms?;
            let is_pause = (PAUSE_MS..=LONGEST_PAUSE_MS).contains(&rr);
            let readable = pair.iter().all(|beat| beat.class != Class::Q);
            (is_pause && readable).then_some((rr, i + 1))
        })
        .collect();
    pauses.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    pauses.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Beats of these classes at these times, in fibrillation where that is `+`, not where `-`, not judged where `.`.
    fn beats(classes: &str, rhythm: &str, times_s: &[f64]) -> Vec<Beat> {
        let mut before = None;
        let beats = classes.chars().zip(rhythm.chars()).zip(times_s);
        beats
            .map(|((class, rhythm), time_s)| {
                let rr_ms = before.map(|before: f64| (time_s - before) * 1000.0);
                before = Some(*time_s);
                Beat {
                    class: Class::ALL[["N", "S", "V", "F", "Q"]
                        .iter()
                        .position(|name| *name == class.to_string())
                        .expect("a class")],
                    fibrillation: match rhythm {
                        '+' => Some(true),
                        '-' => Some(false),
                        _ => None,
                    },
                    rr_ms,
                    ..Beat::at(0, *time_s)
                }
            })
            .collect()
    }

    #[test]
    fn episodes_by_hand() {
        let times = [
            0.0, 1.0, 1.5, 2.0, 2.5, 5.0, 6.0, 7.0, 8.0, 9.0, 30.0, 30.5, 31.5, 34.0, 64.5,
        ];
        let beats = beats("NVVVNNSSSNNNNNN", "..--++++--++++.", &times);
        let found = serde_json::to_value(episodes(&beats)).expect("plain values");
        let episode = |kind, from_s, to_s, beats, rate: f64| json!({"kind": kind, "from_s": from_s, "to_s": to_s, "beats": beats, "mean_rate_bpm": rate});
        assert_eq!(
            found,
            json!([
                episode("V run", 1.0, 2.0, 3, 120.0),
                episode("AF", 2.5, 8.0, 4, 60.0 * 4.0 / 5.5),
                episode("pause", 2.5, 5.0, 2, 24.0),
                episode("S run", 6.0, 8.0, 3, 60.0),
                episode("pause", 9.0, 30.0, 2, 60.0 / 21.0),
                // A gap of 21 s lies before, and the recording ends with its last beat.
                episode("AF", 30.0, 34.0, 4, 45.0),
                episode("pause", 31.5, 34.0, 2, 24.0),
                // 30.5 s are no pause.
            ])
        );
        assert_eq!(episodes(&[]), []);
    }

    #[test]
    fn a_gap_ends_fibrillation() {
        let found = fibrillation(&beats("NNNNN", "+++++", &[0.0, 1.0, 2.0, 9.0, 10.0]));
        let spans: Vec<(f64, f64)> = found.iter().map(|e| (e.from_s, e.to_s)).collect();
        assert_eq!(spans, [(0.0, 2.0), (9.0, 10.0)]);
        let alone = fibrillation(&beats("N", "+", &[3.0]));
        assert_eq!((alone[0].beats, alone[0].mean_rate_bpm), (1, None));
    }

    #[test]
    fn runs_and_pauses_by_hand() {
        let rr = |i: usize| match i {
            2 => 2.5,
            5 => 2.0,
            15 => 3.0,
            _ => 0.8,
        };
        let mut t = 0.0;
        let times: Vec<f64> = (0..16)
            .map(|i| {
                t += rr(i);
                t
            })
            .collect();
        let beats = beats("NSNVVNVVVVNSSSQV", "................", &times);
        let runs = ectopic_runs(&beats);
        let lengths: Vec<(Class, Range<usize>)> =
            runs.iter().map(|r| (r.class, r.beats.clone())).collect();
        assert_eq!(
            lengths,
            [
                (Class::S, 1..2),
                (Class::V, 3..5),
                (Class::V, 6..10),
                (Class::S, 11..14),
                (Class::V, 15..16)
            ]
        );
        // The longest interval, 3 s, ends at a V after a Q: no pause.
        assert_eq!(pauses(&beats), [2, 5]);
    }
}
