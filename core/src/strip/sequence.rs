//! The beats of a strip, one by one and on average.

use super::kept::{Strip, StripWindow};
use super::views::StripViews;
use crate::spec::{
    SAMPLE_RATE_HZ, STRIP_AVERAGE_LEN, STRIP_BEATS, STRIP_BEFORE_SAMPLES, STRIP_CLIP_SCALES,
};
use crate::stats::{median, pearson};
use core::ops::Range;
use heapless::Vec;

/// A logarithm of a ratio beyond this is clipped,
const CLIP: f32 = 1.0;
/// and brought to about unit size.
const GAIN: f32 = 3.0;
/// Shortest and longest RR interval that are told apart, in seconds.
const RR_S: [f32; 2] = [0.2, 3.0];
/// Added to amplitudes before their logarithm, in scales.
const TINY: f32 = 1e-3;

/// Places of the average beat: the QRS complex,
pub(super) const QRS: Range<usize> = STRIP_BEFORE_SAMPLES - 8..STRIP_BEFORE_SAMPLES + 9;
/// what comes before,
pub(super) const P: Range<usize> = STRIP_BEFORE_SAMPLES - 36..STRIP_BEFORE_SAMPLES - 8;
/// what follows.
pub(super) const T: Range<usize> = STRIP_BEFORE_SAMPLES + 12..STRIP_BEFORE_SAMPLES + 52;

/// Channels of the beats' view; see [`StripViews::beats`].
pub(super) const LEVEL: usize = 1;
pub(super) const STEP: usize = 2;
pub(super) const POST: usize = 3;
pub(super) const QRS_LIKENESS: usize = 4;
pub(super) const P_LIKENESS: usize = 5;
pub(super) const T_LIKENESS: usize = 6;
pub(super) const AMPLITUDE: usize = 7;

/// One beat's samples, in scales.
type Segment = [f32; STRIP_AVERAGE_LEN];

/// Logarithms of RR intervals in seconds, one a beat of the window and one for the interval behind the last; `None` where it is not
/// known.
pub(super) fn logs(strip: &Strip, window: StripWindow) -> Vec<f32, STRIP_BEATS> {
    let mut logs = Vec::new();
    let mut before: Option<u32> = None;
    for beat in strip.beats_in(window) {
        if let Some(before) = before {
            // There is room: fewer intervals than beats.
            let _ = logs.push(log_rr(before, beat.r_sample));
        }
        before = Some(beat.r_sample);
    }
    logs
}

fn log_rr(from: u32, to: u32) -> f32 {
    let rr_s = (to - from) as f32 / SAMPLE_RATE_HZ as f32;
    libm::logf(rr_s.clamp(RR_S[0], RR_S[1]))
}

/// Where a value of the beats' view lies: the newest of `count` beats is last.
fn place(channel: usize, beat: usize, count: usize) -> usize {
    channel * STRIP_BEATS + STRIP_BEATS - count.min(STRIP_BEATS) + beat
}

fn set(views: &mut StripViews, at: usize, value: f32) {
    if let Some(place) = views.beats.get_mut(at) {
        *place = value;
    }
}

/// Fills these places of the average beat and of its spread.
pub(super) fn average(
    views: &mut StripViews,
    strip: &Strip,
    window: StripWindow,
    per_scale: f32,
    places: Range<usize>,
) {
    // Found once, not at each place.
    let peaks = strip.beats_in(window).map(|beat| beat.r_sample);
    let peaks: Vec<u32, STRIP_BEATS> = peaks.take(STRIP_BEATS).collect();
    let (average, spread) = views.average.split_at_mut(STRIP_AVERAGE_LEN);
    let both = average.iter_mut().zip(spread).enumerate();
    for (place, (average, spread)) in both.skip(places.start).take(places.len()) {
        let before = (STRIP_BEFORE_SAMPLES as u32).saturating_sub(place as u32);
        let behind = (place as u32).saturating_sub(STRIP_BEFORE_SAMPLES as u32);
        let at = |peak: &u32| scaled(strip.sample_mv(peak - before + behind), per_scale);
        let mut values: Vec<f32, STRIP_BEATS> = peaks.iter().map(at).collect();
        *average = median(&mut values);
        for value in &mut values {
            *value = (*value - *average).abs();
        }
        *spread = median(&mut values);
    }
}

/// A sample in scales, clipped.
pub(super) fn scaled(mv: f32, per_scale: f32) -> f32 {
    (mv * per_scale).clamp(-STRIP_CLIP_SCALES, STRIP_CLIP_SCALES)
}

fn peak_to_peak(x: &[f32]) -> f32 {
    let (low, high) = x.iter().fold((f32::MAX, f32::MIN), |(low, high), x| {
        (low.min(*x), high.max(*x))
    });
    (high - low).max(0.0)
}

/// Fills how each of these beats resembles the average.
pub(super) fn resemblance(
    views: &mut StripViews,
    strip: &Strip,
    window: StripWindow,
    per_scale: f32,
    beats: Range<usize>,
) {
    let count = strip.beats_in(window).count();
    let average: Segment = *views
        .average
        .first_chunk()
        .unwrap_or(&[0.0; STRIP_AVERAGE_LEN]);
    let of = |x: &Segment, range: Range<usize>| -> f32 {
        let (x, y) = (x.get(range.clone()), average.get(range));
        pearson(x.unwrap_or_default(), y.unwrap_or_default())
    };
    let height = peak_to_peak(&average) + TINY;
    let chosen = strip.beats_in(window).enumerate();
    for (index, beat) in chosen.skip(beats.start).take(beats.len()) {
        let mut segment: Segment = [0.0; STRIP_AVERAGE_LEN];
        let start = beat.r_sample - STRIP_BEFORE_SAMPLES as u32;
        for (sample, mv) in segment.iter_mut().zip(strip.samples_mv(start)) {
            *sample = scaled(mv, per_scale);
        }
        let amplitude = libm::logf((peak_to_peak(&segment) + TINY) / height);
        for (channel, value) in [
            (0, 1.0),
            (QRS_LIKENESS, of(&segment, QRS)),
            (P_LIKENESS, of(&segment, P)),
            (T_LIKENESS, of(&segment, T)),
            (AMPLITUDE, amplitude.clamp(-CLIP, CLIP)),
        ] {
            set(views, place(channel, index, count), value);
        }
    }
}

/// Fills the intervals.
pub(super) fn intervals(views: &mut StripViews, strip: &Strip, window: StripWindow) {
    let logs = logs(strip, window);
    let count = strip.beats_in(window).count();
    let mut sorted = logs.clone();
    let usual = median(&mut sorted);
    let clip = |x: f32| GAIN * x.clamp(-CLIP, CLIP);
    let mut before: Option<f32> = None;
    // The interval of this index lies between the beat of this index and the one behind it.
    for (index, log) in logs.iter().enumerate() {
        let level = clip(log - usual);
        set(views, place(POST, index, count), level);
        set(views, place(LEVEL, index + 1, count), level);
        if let Some(before) = before {
            set(views, place(STEP, index + 1, count), clip(log - before));
        }
        before = Some(*log);
    }
}
