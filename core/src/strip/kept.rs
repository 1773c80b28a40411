//! The last half minute of a lead.

use super::views::StripViews;
use crate::monitor::MonitoredBeat;
use crate::spec::{
    SAMPLE_RATE_HZ, STRIP_AFTER_SAMPLES, STRIP_BEATS, STRIP_BEFORE_SAMPLES, STRIP_MIN_SAMPLES,
    STRIP_SAMPLES, STRIP_STEP_SAMPLES, SUCCESSOR_TIMEOUT_SAMPLES,
};
use crate::window::Ring;

/// Samples in which the work on a window may be done, while others come in (4 s).
const WORK_SAMPLES: usize = 4 * SAMPLE_RATE_HZ as usize;
/// Samples that are kept: a window, what comes in until its last beat is known, and what comes in until the work is done.
const KEPT_SAMPLES: usize = STRIP_SAMPLES + SUCCESSOR_TIMEOUT_SAMPLES + WORK_SAMPLES;
/// Beats that are kept: those of 50 s, since a beat's fibrillation is certain only then, at up to 230 a minute.
const KEPT_BEATS: usize = 3 * STRIP_BEATS;
const _: () = assert!(KEPT_BEATS * 60 / 50 >= 230);
/// Counts a millivolt of the samples that are kept.
const COUNTS_PER_MV: f32 = 2048.0;

/// A beat, as the strip remembers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// R peak, in samples since the first.
    pub(super) r_sample: u32,
    /// Whether the signal around it can be read.
    pub(super) readable: bool,
    /// Whether it looks like a heartbeat as well.
    pub(super) heartbeat: bool,
}

/// A span of a lead that the strip network judges, in samples since the first: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripWindow {
    /// The first sample.
    pub start: u32,
    /// One past the last sample.
    pub end: u32,
}

/// The last half minute of one lead, in fixed memory: filtered samples and beats.
///
/// Each filtered sample is [pushed](Self::push), each beat [noted](Self::note) when it is complete, both in order. A window ends
/// every [`STRIP_STEP_SAMPLES`] and is [ready](Self::ready) [`SUCCESSOR_TIMEOUT_SAMPLES`] later, when all of its beats are
/// known; after [`finish`](Self::finish) a last one ends with the recording. For 4 s more the window is [kept](Self::holds).
///
/// It takes [`RAM_BYTES`](Self::RAM_BYTES) of RAM.
#[derive(Debug, Clone)]
pub struct Strip {
    /// Filtered samples in counts, [`COUNTS_PER_MV`].
    samples: Ring<i16, KEPT_SAMPLES>,
    beats: Ring<Kept, KEPT_BEATS>,
    /// Samples pushed.
    len: u32,
    /// Where the next window ends.
    next: u32,
    ended: bool,
}

impl Strip {
    /// What a strip takes of RAM, in bytes.
    pub const RAM_BYTES: usize = size_of::<Self>();

    /// At the start of a recording.
    pub const fn new() -> Self {
        Self {
            samples: Ring::new(),
            beats: Ring::new(),
            len: 0,
            next: STRIP_STEP_SAMPLES,
            ended: false,
        }
    }

    /// Forgets the recording, in place.
    pub fn restart(&mut self) {
        self.samples.clear();
        self.beats.clear();
        (self.len, self.next, self.ended) = (0, STRIP_STEP_SAMPLES, false);
    }

    /// Takes the next sample behind the band-pass filter, in mV. Beyond 16 mV it saturates; one that is not finite counts as 0.
    pub fn push(&mut self, filtered_mv: f32) {
        // The conversion rounds towards zero, saturates, and makes 0 of NaN.
        self.samples.push((filtered_mv * COUNTS_PER_MV) as i16);
        self.len = self.len.saturating_add(1);
    }

    /// Takes the next complete beat.
    pub fn note(&mut self, beat: &MonitoredBeat) {
        self.note_at(
            beat.frame.r_sample,
            beat.quality.is_readable(),
            beat.frame.is_heartbeat(),
        );
    }

    /// Takes the next beat by its R peak, in samples since the first; whether its signal can be read, and whether it looks like a
    /// heartbeat ([`crate::beat::BeatFrame::is_heartbeat`]).
    pub fn note_at(&mut self, r_sample: u32, readable: bool, heartbeat: bool) {
        self.beats.push(Kept {
            r_sample,
            readable,
            heartbeat: heartbeat && readable,
        });
    }

    /// Ends the recording: all of its beats have been noted.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether the recording has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.ended
    }

    /// Whether all samples of a window are still kept.
    pub fn holds(&self, window: StripWindow) -> bool {
        window.start >= self.len - self.samples.len() as u32
    }

    /// The first beat whose R peak lies in this range.
    pub(super) fn beat_in(&self, range: core::ops::Range<u32>) -> Option<Kept> {
        self.beats
            .iter()
            .find(|beat| range.contains(&beat.r_sample))
    }

    /// The next window, once it is ready; it is given once. To be asked after every sample or some seconds later, and after
    /// [`finish`](Self::finish) until `None`. A recording that is shorter than [`STRIP_MIN_SAMPLES`] has none.
    pub fn ready(&mut self) -> Option<StripWindow> {
        let due = self.next.saturating_add(SUCCESSOR_TIMEOUT_SAMPLES as u32);
        let end = if self.len >= due || (self.ended && self.len >= self.next) {
            let end = self.next;
            self.next = end.saturating_add(STRIP_STEP_SAMPLES);
            end
        } else if self.ended && self.len > self.next.saturating_sub(STRIP_STEP_SAMPLES) {
            // The rest of a recording.
            self.next = self.len.saturating_add(STRIP_STEP_SAMPLES);
            self.len
        } else {
            return None;
        };
        if end < STRIP_MIN_SAMPLES {
            return None;
        }
        Some(StripWindow {
            start: end.saturating_sub(STRIP_SAMPLES as u32),
            end,
        })
    }

    /// Computes the views of a window that is ready.
    pub fn compute(&self, window: StripWindow, views: &mut StripViews) {
        let mut part = 0;
        while views.compute_part(self, window, part) {
            part += 1;
        }
    }

    /// A sample, in mV; 0 where it is not kept.
    pub(super) fn sample_mv(&self, position: u32) -> f32 {
        let [older, newer] = self.counts(position);
        let counts = older.first().or(newer.first());
        in_mv(counts.copied().unwrap_or(0))
    }

    /// The samples from a position on, in mV; none where it is not kept.
    pub(super) fn samples_mv(&self, start: u32) -> impl Iterator<Item = f32> {
        let [older, newer] = self.counts(start);
        older.iter().chain(newer).map(|counts| in_mv(*counts))
    }

    /// The samples from a position on, in counts, in two stretches, the older first; none where it is not kept.
    pub(super) fn counts(&self, start: u32) -> [&[i16]; 2] {
        let oldest = self.len - self.samples.len() as u32;
        let (older, newer) = self.samples.as_slices();
        let skip = match start.checked_sub(oldest) {
            Some(skip) => skip as usize,
            None => older.len() + newer.len(),
        };
        let from_newer = newer.get(skip.saturating_sub(older.len())..);
        [
            older.get(skip..).unwrap_or_default(),
            from_newer.unwrap_or_default(),
        ]
    }

    /// The beats of a window that lie in it whole, the oldest first; of more than [`STRIP_BEATS`] the last.
    pub(super) fn beats_in(&self, window: StripWindow) -> impl Iterator<Item = Kept> {
        let whole = move |beat: &Kept| {
            beat.r_sample >= window.start + STRIP_BEFORE_SAMPLES as u32
                && beat.r_sample + STRIP_AFTER_SAMPLES as u32 <= window.end
        };
        let count = self.beats.iter().filter(whole).count();
        self.beats
            .iter()
            .filter(whole)
            .skip(count.saturating_sub(STRIP_BEATS))
    }
}

/// Kept counts, in mV. A power of two apart, so that nothing is rounded.
pub(super) fn in_mv(counts: i16) -> f32 {
    f32::from(counts) * (1.0 / COUNTS_PER_MV)
}

impl Default for Strip {
    fn default() -> Self {
        Self::new()
    }
}

impl StripWindow {
    /// How long it is, in seconds.
    pub fn seconds(self) -> f32 {
        (self.end - self.start) as f32 / SAMPLE_RATE_HZ as f32
    }
}
