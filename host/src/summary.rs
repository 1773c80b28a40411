//! What a recording's classified beats say of it as a whole.

use crate::analysis::Beat;
use crate::episodes::{Episode, LONGEST_PAUSE_MS, fibrillation};
use heartlens_core::class::Class;
use heartlens_core::rhythm::{self, Runs};
use heartlens_core::spec::RR_MAX_S;
use serde::Serialize;
use std::collections::BTreeMap;

/// RR intervals over which the slowest and fastest heart rate are averaged.
pub const HEART_RATE_BEATS: usize = 8;

/// Counts, heart rate and ectopic burden of one recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// All beats.
    pub beats: usize,
    /// Beats of each class, N, S, V, F and Q.
    pub counts: BTreeMap<&'static str, usize>,
    /// Heart rate, gaps of more than 30 s left out; `None` with fewer than two beats.
    pub heart_rate_bpm: Option<HeartRate>,
    /// Time of the beats that could be read, in seconds: the RR intervals that they end, without gaps of more than 4 s.
    pub judged_s: f64,
    /// Share of S among all beats that could be read, 0..=1; `None` where none could.
    pub supraventricular_burden: Option<f64>,
    /// Share of V among all beats that could be read, 0..=1; `None` where none could.
    pub ventricular_burden: Option<f64>,
    /// The longest RR interval, in milliseconds, but for gaps of more than 30 s.
    pub longest_rr_ms: Option<f64>,
    /// Share of beats whose signal was not worth reading (class Q), 0..=1; `None` without beats.
    pub unreadable: Option<f64>,
    /// Beats whose two likeliest classes are close ([`Class::is_unsure`]).
    pub unsure: usize,
    /// Atrial fibrillation, and runs of ectopic beats.
    pub rhythm: Rhythm,
}

/// What a recording's rhythm comes to, as [`rhythm::Summary`] counts it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rhythm {
    /// Time whose rhythm has been judged, in seconds: readable signal, and of a list of beats what follows the first 24 RR
    /// intervals.
    pub judged_s: f64,
    /// Share of that time in atrial fibrillation, 0..=1; `None` where nothing was judged.
    pub fibrillation_share: Option<f64>,
    /// The time in atrial fibrillation, in seconds.
    pub fibrillation_s: f64,
    /// [Episodes](crate::episodes::episodes) of atrial fibrillation.
    pub fibrillation_episodes: usize,
    /// How long the longest of them lasts, in seconds; `None` without one.
    pub longest_fibrillation_s: Option<f64>,
    /// Runs of three or more S beats.
    pub supraventricular_runs: Runs,
    /// Runs of three or more V beats.
    pub ventricular_runs: Runs,
}

impl Rhythm {
    fn of(beats: &[Beat]) -> Self {
        let mut counts = rhythm::Summary::new();
        for beat in beats {
            let rr_s = beat.rr_ms.map(|rr_ms| (rr_ms / 1000.0) as f32);
            counts.push(rr_s, beat.class, beat.fibrillation);
        }
        let episodes = fibrillation(beats);
        Self {
            judged_s: counts.judged_s(),
            fibrillation_share: counts.fibrillation_share(),
            fibrillation_s: counts.fibrillation_s(),
            longest_fibrillation_s: episodes.iter().map(Episode::duration_s).reduce(f64::max),
            fibrillation_episodes: episodes.len(),
            supraventricular_runs: counts.supraventricular,
            ventricular_runs: counts.ventricular,
        }
    }
}

/// Heart rate in beats per minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HeartRate {
    /// 60 s over the mean of all RR intervals.
    pub mean: f64,
    /// The slowest mean over [`HEART_RATE_BEATS`] successive RR intervals (over all, where there are fewer).
    pub min: f64,
    /// The fastest mean over as many.
    pub max: f64,
}

impl Summary {
    /// Sums up a recording's beats.
    pub fn of(beats: &[Beat]) -> Self {
        let count = |class| beats.iter().filter(|beat| beat.class == class).count();
        let readable = beats.len() - count(Class::Q);
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        let rr_ms = beats.iter().filter_map(|beat| beat.rr_ms);
        let rr_ms: Vec<f64> = rr_ms.filter(|rr| *rr <= LONGEST_PAUSE_MS).collect();
        let readable_ms = beats.iter().filter(|beat| beat.class != Class::Q);
        let readable_ms = readable_ms.filter_map(|beat| beat.rr_ms);
        let longest_ms = 1000.0 * f64::from(RR_MAX_S);
        Self {
            judged_s: readable_ms.filter(|rr| *rr <= longest_ms).sum::<f64>() / 1000.0,
            beats: beats.len(),
            counts: Class::ALL.map(|class| (class.name(), count(class))).into(),
            heart_rate_bpm: HeartRate::of(&rr_ms),
            supraventricular_burden: share(count(Class::S), readable),
            ventricular_burden: share(count(Class::V), readable),
            longest_rr_ms: rr_ms.iter().copied().reduce(f64::max),
            unreadable: share(count(Class::Q), beats.len()),
            unsure: beats
                .iter()
                .filter(|beat| beat.is_unsure() == Some(true))
                .count(),
            rhythm: Rhythm::of(beats),
        }
    }
}

impl Summary {
    /// The same where nobody says what the beats are: each counts as Q, and no share of them is known.
    pub(crate) fn without_classes(self) -> Self {
        let count = |class| if class == Class::Q { self.beats } else { 0 };
        Self {
            counts: Class::ALL.map(|class| (class.name(), count(class))).into(),
            supraventricular_burden: None,
            ventricular_burden: None,
            unreadable: None,
            ..self
        }
    }
}

impl HeartRate {
    fn of(rr_ms: &[f64]) -> Option<Self> {
        let bpm = |rr_ms: &[f64]| 60_000.0 * rr_ms.len() as f64 / rr_ms.iter().sum::<f64>();
        let span = HEART_RATE_BEATS.min(rr_ms.len());
        if span == 0 {
            return None;
        }
        let rates = rr_ms.windows(span).map(bpm);
        Some(Self {
            mean: bpm(rr_ms),
            min: rates.clone().fold(f64::INFINITY, f64::min),
            max: rates.fold(0.0, f64::max),
        })
    }
}

/// A share as people read it, `-` where it is undefined.
#[cfg(feature = "cli")]
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn beat(class: Class, rr_ms: Option<f64>) -> Beat {
        Beat {
            class,
            rr_ms,
            ..Beat::at(0, 0.0)
        }
    }

    #[test]
    fn counts_rates_and_burdens_by_hand() {
        let mut beats = vec![beat(Class::N, None)];
        beats.extend((0..8).map(|_| beat(Class::N, Some(1000.0))));
        beats.extend((0..8).map(|_| beat(Class::V, Some(500.0))));
        beats.push(beat(Class::S, Some(2000.0)));
        beats.push(beat(Class::Q, Some(1000.0)));
        // A gap of 22 minutes is no interval of a heart.
        beats.push(beat(Class::Q, Some(1_365_120.0)));
        let summary = Summary::of(&beats);
        assert_eq!(summary.beats, 20);
        assert_eq!(summary.counts["N"], 9);
        assert_eq!(summary.counts["F"], 0);
        assert_eq!(summary.ventricular_burden, Some(8.0 / 18.0));
        assert_eq!(summary.supraventricular_burden, Some(1.0 / 18.0));
        assert_eq!(summary.unreadable, Some(2.0 / 20.0));
        assert_eq!(summary.longest_rr_ms, Some(2000.0));
        assert_eq!(summary.judged_s, 14.0);
        let rate = summary.heart_rate_bpm.expect("there are RR intervals");
        assert_eq!(rate.mean, 60_000.0 * 18.0 / 15_000.0);
        assert_eq!((rate.min, rate.max), (60.0, 120.0));
    }

    #[test]
    fn fibrillation_is_a_share_of_the_time_that_was_judged() {
        let mut beats = vec![beat(Class::N, Some(1000.0)); 40];
        for (i, beat) in beats.iter_mut().enumerate() {
            beat.time_s = i as f64;
            beat.fibrillation = (i >= 20).then_some(i >= 35);
        }
        beats[3..8].iter_mut().for_each(|b| b.class = Class::V);
        beats[10].class = Class::S;
        beats[11].class = Class::S;
        let rhythm = Summary::of(&beats).rhythm;
        assert_eq!(rhythm.judged_s, 20.0);
        assert_eq!(rhythm.fibrillation_share, Some(0.25));
        assert_eq!(rhythm.fibrillation_episodes, 1);
        assert_eq!(rhythm.fibrillation_s, 5.0);
        // From the 36th beat to the last, which none follows.
        assert_eq!(rhythm.longest_fibrillation_s, Some(4.0));
        let runs = |count, longest_beats| json!({"count": count, "longest_beats": longest_beats});
        let as_json = serde_json::to_value(rhythm).expect("plain numbers");
        assert_eq!(as_json["ventricular_runs"], runs(1, 5));
        assert_eq!(as_json["supraventricular_runs"], runs(0, 0));
        assert_eq!(Summary::of(&[]).rhythm.fibrillation_share, None);
    }

    #[test]
    fn nothing_gives_nothing() {
        let summary = Summary::of(&[]);
        assert_eq!(summary.heart_rate_bpm, None);
        assert_eq!(summary.ventricular_burden, None);
        assert_eq!(Summary::of(&[beat(Class::N, None)]).heart_rate_bpm, None);
    }
}
