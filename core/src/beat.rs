//! From filtered samples and R peaks to everything the views are made of, strictly causal but for the one RR interval
//! that follows.

use crate::patient::Patient;
use crate::rr::RrHistory;
use crate::spec::{
    BEAT_BEFORE_SAMPLES, BEAT_LEN_SAMPLES, HISTORY_SAMPLES, METADATA_LEN, PENDING_BEATS,
    RHYTHM_FEATURES, RR_FEATURES, RR_MAX_S, SAMPLE_RATE_HZ, SHAPE_FEATURES,
    SUCCESSOR_TIMEOUT_SAMPLES,
};
use crate::template::{BeatWindow, Template};
use crate::views::metadata;
use crate::window::History;
use heapless::Deque;

/// Samples of the beat window from the R peak on, the peak's own included.
const BEAT_AFTER_SAMPLES: u32 = (BEAT_LEN_SAMPLES - BEAT_BEFORE_SAMPLES) as u32;
/// The RR interval that a patient's only beat is given, in seconds: 75 beats a minute.
const LONE_RR_S: f32 = 0.8;

/// One beat, ready for the views.
#[derive(Debug, Clone, PartialEq)]
pub struct BeatFrame {
    /// Position of the R peak, in samples since the first.
    pub r_sample: u32,
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub pre_rr_s: Option<f32>,
    /// RR interval to the next beat, in seconds; `None` where none came within 4 s.
    pub post_rr_s: Option<f32>,
    /// The filtered beat, in mV.
    pub beat: BeatWindow,
    /// The patient's template before this beat, in mV.
    pub template: BeatWindow,
    /// What both are divided by, in mV.
    pub scale_mv: f32,
    /// The metadata view; see [`crate::views::metadata`].
    pub metadata: [f32; METADATA_LEN],
}

/// Why a trigger was refused. Positions count samples from the first one pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TriggerError {
    /// Triggers must come in order.
    NotAfter {
        /// The trigger.
        found: u32,
        /// The trigger before.
        previous: u32,
    },
    /// The trigger lies ahead of the samples pushed.
    Ahead {
        /// The trigger.
        found: u32,
        /// Samples pushed so far.
        samples: u32,
    },
    /// The trigger came so late that its window can no longer be cut.
    TooLate {
        /// The trigger.
        found: u32,
        /// The earliest trigger that would still do.
        earliest: u32,
    },
    /// 64 beats wait already.
    Full,
}

impl core::fmt::Display for TriggerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAfter { found, previous } => write!(
                f,
                "R peak at sample {found} does not come after the one before, at {previous}"
            ),
            Self::Ahead { found, samples } => write!(
                f,
                "R peak at sample {found}, but only {samples} samples have been pushed"
            ),
            Self::TooLate { found, earliest } => write!(
                f,
                "R peak at sample {found} was reported too late; the earliest window kept belongs to {earliest}"
            ),
            Self::Full => write!(
                f,
                "{PENDING_BEATS} beats wait already; none may come faster than one a sample"
            ),
        }
    }
}

impl core::error::Error for TriggerError {}

impl BeatFrame {
    /// A place for a beat: all zeros.
    pub(crate) const ZERO: Self = Self {
        r_sample: 0,
        pre_rr_s: None,
        post_rr_s: None,
        beat: [0.0; BEAT_LEN_SAMPLES],
        template: [0.0; BEAT_LEN_SAMPLES],
        scale_mv: 0.0,
        metadata: [0.0; METADATA_LEN],
    };

    /// Whether this looks like a heartbeat among heartbeats. Noise, hum and an open electrode have peaks as well, and give the
    /// detector a level of their own. But their peaks do not resemble each other, or they do not stand out:
    ///
    /// - more than 0.3 of the last beats resemble the template ([`Template`]),
    /// - the second difference, over 3 boxes of 3 samples as the detector takes it, is more than 1.5 times as large within 47 ms of
    ///   the R peak as farther than 150 ms from it.
    ///
    /// `host/tests/noise.rs` holds that no fibrillation is told of noise, and says what of real fibrillation is lost.
    pub fn is_heartbeat(&self) -> bool {
        let agreement = (1.0 + self.metadata[AGREEMENT]) / 2.0;
        agreement > AGREEMENT_MIN && self.prominence() > PROMINENCE_MIN
    }

    /// The mean magnitude of the second difference around the R peak, over that farther away.
    fn prominence(&self) -> f32 {
        let (mut near, mut far) = ((0.0_f32, 0_u16), (0.0_f32, 0_u16));
        for (place, nine) in self.beat.windows(9).enumerate() {
            let middle = (place + 4).abs_diff(BEAT_BEFORE_SAMPLES);
            let sum = match middle {
                0..=6 => &mut near,
                20.. => &mut far,
                _ => continue,
            };
            let [a, b, c, d, e, f, g, h, i] = nine else {
                continue;
            };
            sum.0 += ((a + b + c) - 2.0 * (d + e + f) + (g + h + i)).abs();
            sum.1 += 1;
        }
        let mean = |(sum, count): (f32, u16)| sum / f32::from(count.max(1));
        mean(near) / (mean(far) + TINY_MV)
    }
}

/// The metadata view's feature `2 agreement - 1`, the last of [`metadata::shape_features`].
const AGREEMENT: usize = RR_FEATURES + RHYTHM_FEATURES + SHAPE_FEATURES - 1;
/// Among heartbeats, more than this part of the last beats resembles the template.
const AGREEMENT_MIN: f32 = 0.3;
/// A heartbeat's second difference is more than so many times that of what is around it.
const PROMINENCE_MIN: f32 = 1.5;
/// Keeps a perfectly flat line around a beat from dividing by zero, in mV.
const TINY_MV: f32 = 1e-6;

#[cfg(test)]
impl BeatFrame {
    fn of(beat: BeatWindow, agreement: f32) -> Self {
        let mut frame = Self { beat, ..Self::ZERO };
        frame.metadata[AGREEMENT] = 2.0 * agreement - 1.0;
        frame
    }
}

/// Cuts beats out of one lead and keeps what of the past they need: the patient's template and RR intervals.
///
/// Each sample is [pushed](Self::push), each R peak [triggered](Self::trigger) as soon as it is known, and after
/// either, [`poll`](Self::poll) gives the beats that have become complete: those whose window has been recorded and
/// whose successor has been found, or could no longer be.
#[derive(Debug, Clone)]
pub struct Extractor {
    history: History<HISTORY_SAMPLES>,
    pending: Deque<u32, PENDING_BEATS>,
    newest: Option<u32>,
    emitted: Option<u32>,
    ended: bool,
    rr: RrHistory,
    lead: Option<Lead>,
    patient: Patient,
}

/// What is remembered of a lead's beats.
#[derive(Debug, Clone)]
struct Lead {
    template: Template,
    previous: BeatWindow,
}

impl Extractor {
    /// An extractor for one lead of a patient, at the start of a recording.
    pub const fn new(patient: Patient) -> Self {
        Self {
            history: History::new(),
            pending: Deque::new(),
            newest: None,
            emitted: None,
            ended: false,
            rr: RrHistory::new(),
            lead: None,
            patient,
        }
    }

    /// Forgets the recording, in place: a second extractor on the stack would be the deepest that a device goes.
    pub(crate) fn restart(&mut self, patient: Patient) {
        let Self {
            history,
            pending,
            newest,
            emitted,
            ended,
            rr,
            lead,
            patient: current,
        } = self;
        history.clear();
        pending.clear();
        (*newest, *emitted, *ended) = (None, None, false);
        *rr = RrHistory::new();
        *lead = None;
        *current = patient;
    }

    /// Samples pushed so far; the position of the next one.
    pub fn samples(&self) -> u32 {
        let appended = if self.ended { BEAT_AFTER_SAMPLES } else { 0 };
        self.history.len() - appended
    }

    /// The newest R peak that was announced.
    pub(crate) fn newest(&self) -> Option<u32> {
        self.newest
    }

    /// Appends a filtered sample, in mV. One that is not finite counts as zero: the template would remember it for ever.
    /// Nothing may follow [`finish`](Self::finish).
    pub fn push(&mut self, filtered_mv: f32) {
        self.history.push(if filtered_mv.is_finite() {
            filtered_mv
        } else {
            0.0
        });
    }

    /// Announces an R peak at position `r_sample`. Beats already complete must be [polled](Self::poll) first.
    ///
    /// # Errors
    /// When the peak is not later than the one before, not yet pushed, or so old that its window is gone.
    pub fn trigger(&mut self, r_sample: u32) -> Result<(), TriggerError> {
        let samples = self.samples();
        if let Some(previous) = self.newest.filter(|previous| r_sample <= *previous) {
            return Err(TriggerError::NotAfter {
                found: r_sample,
                previous,
            });
        }
        if r_sample >= samples {
            return Err(TriggerError::Ahead {
                found: r_sample,
                samples,
            });
        }
        let earliest = samples.saturating_sub(SUCCESSOR_TIMEOUT_SAMPLES as u32);
        if r_sample < earliest {
            return Err(TriggerError::TooLate {
                found: r_sample,
                earliest,
            });
        }
        self.pending
            .push_back(r_sample)
            .map_err(|_| TriggerError::Full)?;
        self.newest = Some(r_sample);
        Ok(())
    }

    /// Ends the recording: what lies beyond counts as zero, and the last beat has no successor. [`poll`](Self::poll)
    /// then gives every beat that is left.
    pub fn finish(&mut self) {
        if !self.ended {
            self.ended = true;
            for _ in 0..BEAT_AFTER_SAMPLES {
                self.history.push(0.0);
            }
        }
    }

    /// The oldest complete beat, or `None` while it waits for its window or its successor. Beats that were not polled
    /// while the last 1024 samples still held their window are passed over, but for the RR interval that the
    /// next one has to them.
    pub fn poll(&mut self) -> Option<BeatFrame> {
        let mut frame = BeatFrame::ZERO;
        self.poll_into(&mut frame).then_some(frame)
    }

    /// The R peak of the beat that has `before` others before it and waits to be polled, if that beat is complete.
    pub(crate) fn complete(&self, before: usize) -> Option<u32> {
        let mut waiting = self.pending.iter().skip(before);
        let r_sample = *waiting.next()?;
        self.is_complete(r_sample, waiting.next().is_some())
            .then_some(r_sample)
    }

    fn is_complete(&self, r_sample: u32, has_successor: bool) -> bool {
        let age = self.history.len() - r_sample;
        let successor_known = has_successor || self.ended || age > SUCCESSOR_TIMEOUT_SAMPLES as u32;
        age >= BEAT_AFTER_SAMPLES && successor_known
    }

    /// As [`poll`](Self::poll), into a frame that is there already, since a frame is large. Whether there was a beat; if
    /// not, the frame stays as it was.
    pub(crate) fn poll_into(&mut self, frame: &mut BeatFrame) -> bool {
        loop {
            let Some(r_sample) = self.pending.front().copied() else {
                return false;
            };
            let successor = self.pending.iter().nth(1).copied();
            if !self.is_complete(r_sample, successor.is_some()) {
                return false;
            }
            self.pending.pop_front();
            let start = i64::from(r_sample) - BEAT_BEFORE_SAMPLES as i64;
            if self.history.copy_window(start, &mut frame.beat).is_ok() {
                self.extract(r_sample, successor, frame);
                return true;
            }
            self.emitted = Some(r_sample);
        }
    }

    /// Computes what is missing of a frame whose window of the beat has been cut.
    fn extract(&mut self, r_sample: u32, successor: Option<u32>, frame: &mut BeatFrame) {
        let pre_rr_s = self.emitted.map(|previous| seconds(r_sample - previous));
        // Whether a successor later than this is seen before the time-out depends on how soon triggers are announced:
        // nothing here may.
        let post_rr_s = successor
            .map(|next| seconds(next - r_sample))
            .filter(|post_s| *post_s <= RR_MAX_S);
        let known_s = seconds(self.samples() - r_sample);
        let pause_s = (successor.is_some() || known_s > RR_MAX_S).then_some(RR_MAX_S);
        let known_post_s = post_rr_s.or(pause_s);
        self.emitted = Some(r_sample);

        let context = self
            .rr
            .context(pre_rr_s.or(known_post_s).unwrap_or(LONE_RR_S));
        let lead = self.lead.get_or_insert_with(|| Lead::new(&frame.beat));
        frame.r_sample = r_sample;
        frame.pre_rr_s = pre_rr_s;
        frame.post_rr_s = post_rr_s;
        frame.template = *lead.template.mean();
        frame.scale_mv = lead.template.scale_mv();
        frame.metadata = metadata::metadata(
            &context,
            known_post_s,
            &frame.beat,
            &lead.previous,
            &lead.template,
            &self.patient,
        );
        lead.template.update(&frame.beat);
        lead.previous = frame.beat;
        self.rr.update(&context);
    }
}

impl Lead {
    /// What is remembered at a lead's first beat.
    // Not inlined: what is made only once would lie on the stack at every beat.
    #[inline(never)]
    fn new(first: &BeatWindow) -> Self {
        Self {
            template: Template::new(first),
            previous: *first,
        }
    }
}

fn seconds(samples: u32) -> f32 {
    samples as f32 / SAMPLE_RATE_HZ as f32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A signal with a bump at each peak.
    fn signal(len: u32, peaks: &[u32]) -> Vec<f32> {
        let mut x = std::vec![0.0; len as usize];
        for r in peaks {
            for (i, v) in x.iter_mut().enumerate() {
                let d = (i as f32 - *r as f32) / 3.0;
                *v += (-d * d).exp();
            }
        }
        x
    }

    fn run(samples: &[f32], peaks: &[u32], delay: u32) -> Vec<BeatFrame> {
        let mut extractor = Extractor::new(Patient::default());
        let mut frames = Vec::new();
        for (i, x) in samples.iter().enumerate() {
            extractor.push(*x);
            if let Some(r) = peaks.iter().find(|r| **r + delay == i as u32) {
                extractor.trigger(*r).unwrap();
            }
            frames.extend(extractor.poll());
        }
        for r in peaks.iter().filter(|r| **r + delay >= samples.len() as u32) {
            extractor.trigger(*r).unwrap();
        }
        extractor.finish();
        frames.extend(core::iter::from_fn(|| extractor.poll()));
        frames
    }

    #[test]
    fn a_heartbeat_stands_out_and_resembles_others() {
        let bump = core::array::from_fn(|i| {
            let d = (i as f32 - BEAT_BEFORE_SAMPLES as f32) / 3.0;
            (-d * d).exp()
        });
        let hum = core::array::from_fn(|i| {
            let turns = (i as f32 - BEAT_BEFORE_SAMPLES as f32) * 20.0 / 128.0;
            (core::f32::consts::TAU * turns).cos()
        });
        for (beat, agreement, expected) in [
            (bump, 0.9, true),
            (bump, 0.2, false),
            (hum, 0.9, false),
            ([0.0; BEAT_LEN_SAMPLES], 1.0, false),
        ] {
            assert_eq!(BeatFrame::of(beat, agreement).is_heartbeat(), expected);
        }
    }

    #[test]
    fn every_beat_comes_out_with_its_window_and_intervals() {
        let peaks = [10, 110, 180, 300, 340, 460, 1300, 1395];
        let x = signal(1400, &peaks);
        let frames = run(&x, &peaks, 0);
        let found: Vec<u32> = frames.iter().map(|f| f.r_sample).collect();
        assert_eq!(found, peaks);
        assert_eq!(frames[0].pre_rr_s, None);
        assert_eq!(frames[1].pre_rr_s, Some(100.0 / 128.0));
        assert_eq!(frames[1].post_rr_s, Some(70.0 / 128.0));
        assert_eq!(frames[5].post_rr_s, None, "no beat for 6.6 s");
        assert_eq!(frames[6].pre_rr_s, Some(840.0 / 128.0));
        assert_eq!(frames[7].post_rr_s, None);
        for frame in &frames {
            for (k, v) in frame.beat.iter().enumerate() {
                let at = i64::from(frame.r_sample) + k as i64 - 64;
                let expected = usize::try_from(at)
                    .ok()
                    .and_then(|i| x.get(i))
                    .unwrap_or(&0.0);
                assert_eq!(v, expected);
            }
            assert!(frame.metadata.iter().all(|v| v.is_finite()));
        }
        assert_eq!(frames[0].beat, frames[0].template);
    }

    #[test]
    fn a_late_trigger_changes_nothing() {
        let mut peaks: Vec<u32> = (0..30).map(|i| 40 + i * 97 + (i * i) % 13).collect();
        // Pauses about the longest interval and about the time-out.
        for pause in [511, 512, 513, 600, 768, 769, 900] {
            peaks.extend([
                peaks[peaks.len() - 1] + pause,
                peaks[peaks.len() - 1] + pause + 90,
            ]);
        }
        let last = peaks[peaks.len() - 1];
        for after in [1, 300, 512, 513, 514, 700, 800] {
            let x = signal(last + after, &peaks);
            let prompt = run(&x, &peaks, 0);
            assert_eq!(prompt.len(), peaks.len());
            for delay in [1, 63, 64, 200, 256] {
                assert_eq!(run(&x, &peaks, delay), prompt, "delay {delay}, end {after}");
            }
        }
    }

    #[test]
    fn a_pause_counts_as_the_longest_interval_and_the_end_as_no_pause() {
        let post_over_pre = |frames: &[BeatFrame], k: usize| frames[k].metadata[2];
        let peaks: Vec<u32> = (0..10).map(|i| 100 + i * 100).chain([1900]).collect();
        let frames = run(&signal(2000, &peaks), &peaks, 0);
        assert_eq!(frames[9].post_rr_s, None, "7 s");
        assert_eq!(post_over_pre(&frames, 9), 3.0, "ln (4 / 0.78), clipped");
        let ended = run(&signal(1400, &peaks[..10]), &peaks[..10], 0);
        assert_eq!(post_over_pre(&ended, 9), 0.0, "the local median");
        let silent = run(&signal(1600, &peaks[..10]), &peaks[..10], 0);
        assert_eq!(
            post_over_pre(&silent, 9),
            3.0,
            "no beat for 5 s, then the end"
        );
    }

    #[test]
    fn beats_polled_too_late_are_passed_over() {
        let mut extractor = Extractor::new(Patient::default());
        let push = |extractor: &mut Extractor, count| {
            for i in 0..count {
                extractor.push((i as f32 * 0.1).sin());
            }
        };
        push(&mut extractor, 300);
        assert_eq!(extractor.trigger(200), Ok(()));
        push(&mut extractor, 1000);
        assert_eq!(extractor.trigger(1200), Ok(()));
        push(&mut extractor, 100);
        extractor.finish();
        let frame = extractor.poll().unwrap();
        assert_eq!(
            (frame.r_sample, frame.pre_rr_s),
            (1200, Some(1000.0 / 128.0))
        );
        assert_eq!(extractor.poll(), None);
    }

    #[test]
    fn nothing_is_triggered_beyond_the_end() {
        let mut extractor = Extractor::new(Patient::default());
        for _ in 0..100 {
            extractor.push(0.0);
        }
        extractor.finish();
        assert_eq!(extractor.samples(), 100);
        let (found, samples) = (100, 100);
        assert_eq!(
            extractor.trigger(found),
            Err(TriggerError::Ahead { found, samples })
        );
        assert_eq!(extractor.trigger(99), Ok(()));
        assert_eq!(extractor.poll().map(|frame| frame.r_sample), Some(99));
    }

    #[test]
    fn a_sample_that_is_not_finite_poisons_nothing() {
        let peaks: Vec<u32> = (0..20).map(|i| 40 + i * 100).collect();
        let mut x = signal(2100, &peaks);
        x[503] = f32::NAN;
        x[941] = f32::INFINITY;
        for frame in run(&x, &peaks, 0) {
            let mut values = frame.template.iter().chain(&frame.metadata);
            assert!(values.all(|v| v.is_finite()), "beat at {}", frame.r_sample);
        }
    }

    #[test]
    fn wrong_triggers_are_refused() {
        let mut extractor = Extractor::new(Patient::default());
        for _ in 0..1000 {
            extractor.push(0.0);
        }
        assert_eq!(
            extractor.trigger(1000),
            Err(TriggerError::Ahead {
                found: 1000,
                samples: 1000
            })
        );
        assert_eq!(
            extractor.trigger(100),
            Err(TriggerError::TooLate {
                found: 100,
                earliest: 232
            })
        );
        assert_eq!(extractor.trigger(500), Ok(()));
        assert_eq!(
            extractor.trigger(500),
            Err(TriggerError::NotAfter {
                found: 500,
                previous: 500
            })
        );
        for r in 501..564 {
            assert_eq!(extractor.trigger(r), Ok(()));
        }
        assert_eq!(extractor.trigger(564), Err(TriggerError::Full));
    }
}
