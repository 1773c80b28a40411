//! The beats of a strip, one by one and on average.

use super::kept::{Strip, StripWindow, in_mv};
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

/// Places of the average beat that are filled at a time.
pub(super) const AVERAGE_PLACES: usize = 4;
/// So many places of each beat, in counts.
type Columns = [[i16; AVERAGE_PLACES]; STRIP_BEATS];

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

/// Fills the average beat and its spread at these places of the beat, so many that [`sort_columns`] sorts at a time.
#[inline(never)]
pub(super) fn average(
    views: &mut StripViews,
    strip: &Strip,
    window: StripWindow,
    per_scale: f32,
    first: usize,
) {
    // What no beat has comes last.
    let mut values: Columns = [[i16::MAX; AVERAGE_PLACES]; STRIP_BEATS];
    let mut count = 0;
    for (beat, row) in strip.beats_in(window).zip(&mut values) {
        let [older, newer] =
            strip.counts(beat.r_sample - STRIP_BEFORE_SAMPLES as u32 + first as u32);
        for (value, counts) in row.iter_mut().zip(older.iter().chain(newer)) {
            *value = *counts;
        }
        count += 1;
    }
    // In scales, values have the same order.
    sort_columns(&mut values);
    let (average, spread) = views.average.split_at_mut(STRIP_AVERAGE_LEN);
    let places = average.iter_mut().zip(spread).skip(first);
    for (column, (average, spread)) in places.take(AVERAGE_PLACES).enumerate() {
        let mut sorted: Vec<f32, STRIP_BEATS> = Vec::new();
        for row in values.iter().take(count) {
            let counts = row.get(column).copied().unwrap_or_default();
            // There is room: a row a beat.
            let _ = sorted.push(scaled(in_mv(counts), per_scale));
        }
        [*average, *spread] = median_and_spread(&sorted);
    }
}

/// The median of sorted values, and the median of the values' absolute deviations from it; zeros of nothing.
fn median_and_spread(sorted: &[f32]) -> [f32; 2] {
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    let Some(last) = sorted.len().checked_sub(1) else {
        return [0.0; 2];
    };
    let (below, above) = (last / 2, sorted.len() / 2);
    let middle = (at(below) + at(above)) / 2.0;
    // Deviations grow from the middle downward and upward: their order is that of a merge.
    let mut down = sorted.get(..=below).unwrap_or_default().iter().rev();
    let mut up = sorted.get(below + 1..).unwrap_or_default().iter();
    let mut next_down = down.next().map(|x| middle - x);
    let mut next_up = up.next().map(|x| x - middle);
    let mut spread = [0.0; 2];
    for place in 0..=above {
        let deviation = match (next_down, next_up) {
            (Some(a), Some(b)) if b < a => {
                next_up = up.next().map(|x| x - middle);
                b
            }
            (Some(a), _) => {
                next_down = down.next().map(|x| middle - x);
                a
            }
            (None, Some(b)) => {
                next_up = up.next().map(|x| x - middle);
                b
            }
            (None, None) => break,
        };
        if place == below {
            spread[0] = deviation;
        }
        spread[1] = deviation;
    }
    [middle, (spread[0] + spread[1]) / 2.0]
}

/// Sorts each column, the smallest first. The same places are compared whatever the values: beats differ too little for a
/// processor to foresee what a search among them does, and this takes the same time always.
fn sort_columns(values: &mut Columns) {
    for [low, high] in &COMPARED {
        // The first of a pair lies before the second.
        if let Some((before, from)) = values.split_at_mut_checked(usize::from(*high))
            && let (Some(low), Some(high)) = (before.get_mut(usize::from(*low)), from.first_mut())
        {
            exchange(low, high);
        }
    }
}

/// Puts the smaller value of each column into the first.
fn exchange(low: &mut [i16; AVERAGE_PLACES], high: &mut [i16; AVERAGE_PLACES]) {
    for (low, high) in low.iter_mut().zip(high) {
        let (a, b) = (*low, *high);
        *low = a.min(b);
        *high = a.max(b);
    }
}

/// The places that Batcher's odd-even merge sort (1968) compares, in its order.
static COMPARED: [[u8; 2]; 543] = {
    let mut pairs = [[0; 2]; 543];
    let mut count = 0;
    let mut size = 1;
    while size < STRIP_BEATS {
        let mut apart = size;
        while apart > 0 {
            let mut low = apart % size;
            while low + apart < STRIP_BEATS {
                let begins = (low - apart % size) % (2 * apart) < apart;
                if begins && low / (2 * size) == (low + apart) / (2 * size) {
                    pairs[count] = [low as u8, (low + apart) as u8];
                    count += 1;
                }
                low += 1;
            }
            apart /= 2;
        }
        size *= 2;
    }
    assert!(count == pairs.len());
    pairs
};

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
#[inline(never)]
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
#[inline(never)]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A network that sorts every sequence of zeros and ones sorts all (Knuth, The Art of Computer Programming 3, 5.3.4); here each
    /// number of ones at places drawn at random.
    #[test]
    fn columns_are_sorted() {
        let mut seed = 1_u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as usize
        };
        for ones in 0..=STRIP_BEATS {
            for _ in 0..50 {
                // As many of each column, at places of its own.
                let mut values: Columns = [[0; AVERAGE_PLACES]; STRIP_BEATS];
                let mut left = [ones; AVERAGE_PLACES];
                while left.iter().any(|left| *left > 0) {
                    let row = &mut values[draw() % STRIP_BEATS];
                    for (value, left) in row.iter_mut().zip(&mut left) {
                        if *value == 0 && *left > 0 && draw() % 2 == 0 {
                            *value = 1;
                            *left -= 1;
                        }
                    }
                }
                sort_columns(&mut values);
                for (place, row) in values.iter().enumerate() {
                    let expected = i16::from(place >= STRIP_BEATS - ones);
                    assert!(row.iter().all(|x| *x == expected), "{ones} ones");
                }
            }
        }
    }

    #[test]
    fn medians_and_spreads_are_those_of_sorting() {
        assert_eq!(median_and_spread(&[]), [0.0; 2]);
        assert_eq!(median_and_spread(&[5.0]), [5.0, 0.0]);
        let mut seed = 1_u32;
        for len in 1..=STRIP_BEATS {
            for levels in [2, 5, 1000] {
                let mut values: std::vec::Vec<f32> = (0..len)
                    .map(|_| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ((seed >> 16) % levels) as f32 * 0.37 - 1.0
                    })
                    .collect();
                values.sort_by(f32::total_cmp);
                let found = median_and_spread(&values);
                let middle = median(&mut values);
                let mut apart: std::vec::Vec<f32> =
                    values.iter().map(|x| (x - middle).abs()).collect();
                assert_eq!(found, [middle, median(&mut apart)], "{values:?}");
            }
        }
    }
}
