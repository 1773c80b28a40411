//! A strip in numbers.
//!
//! With `rr` the intervals between the beats of the window in seconds, `l` their logarithms, `m` the median of these, and `d` the
//! step from one logarithm to the next:
//!
//! | place | what |
//! |---|---|
//! | 0..=2 | `m`; beats in parts of 64; the window's length in parts of 30 s |
//! | 3..=6 | standard deviation of `l`; root mean square of `d`; median of the magnitudes of `d`; median of those of `l - m` |
//! | 7..=9 | parts of the steps that are longer than 50 ms, and in logarithms than 0.1 and 0.2 |
//! | 10..=13 | `l - m`: smallest, largest, 10 % and 90 % |
//! | 14..=16 | correlation of `l` with the one before and the one before that; of `d` with the one before |
//! | 17 | part of the inner intervals that are longer or shorter than both neighbours (turning points, Kendall 1973) |
//! | 18, 19 | sample entropy (Richman and Moorman 2000) for `m = 1`, `r = 30 ms`, and the logarithm of the part of pairs within `r`, whose difference is what the coefficient of sample entropy (Lake and Moorman 2011) is made of |
//! | 20..=22 | parts of the intervals that are early (below 0.85 of the median), late (above 1.15), and early with a late one behind |
//! | 23 | part of the steps above 0.1 that go the other way than the one before |
//! | 24, 25 | of the plane of a step and the next in cells of 40 ms (Sarkar, Ritscher and Mehra 2008): cells taken in parts of the pairs; part of the pairs in the cell of the origin |
//! | 26..=28 | correlation of QRS complexes with the average: mean, 10 %, part below 0.9 |
//! | 29..=31 | the same before the complex: mean and 10 %; behind it: mean |
//! | 32 | standard deviation of the amplitudes' logarithms |
//! | 33, 34 | root mean square of the average beat before its complex, in parts of the complex's; its spread there in parts of that |
//! | 35 | root mean square of the spread of the complex, in parts of its own |
//! | 36, 37 | parts of the beats that are not readable, and that are no heartbeats |
//! | 38 | logarithm of the scale in mV |
//! | 39 | longest time without a beat, in parts of the window |
//!
//! All are clipped to +-4. Without enough beats a number is 0.

use super::kept::{Strip, StripWindow, in_mv};
use super::sequence::{self, AMPLITUDE, P, P_LIKENESS, QRS, QRS_LIKENESS, T_LIKENESS};
use super::views::StripViews;
use crate::spec::{SAMPLE_RATE_HZ, STRIP_AVERAGE_LEN, STRIP_BEATS, STRIP_SAMPLES};
use crate::stats::{mean, median, pearson, rms, sort, std_dev};
use heapless::Vec;
use libm::{expf, logf};

/// The place of the number of beats,
pub(super) const BEATS: usize = 1;
/// of the median of the steps' magnitudes,
pub(super) const USUAL_STEP: usize = 5;
/// of the part of them that are no heartbeats,
pub(super) const STRANGE: usize = 37;
/// and of the scale.
pub(super) const SCALE: usize = 38;
/// Largest magnitude of a number.
const CLIP: f32 = 4.0;
/// Smallest scale, in mV, so that silence is not divided by.
const SCALE_MIN_MV: f32 = 0.02;
/// Keeps a quotient finite.
const TINY: f32 = 1e-3;
/// Intervals closer than this are alike, in seconds.
const ALIKE_S: f32 = 0.03;
/// Side of a cell of the plane of steps, in seconds.
const CELL_S: f32 = 0.04;
/// Cells either side of the origin.
const CELLS: i32 = 8;

impl Strip {
    /// The scale of a window, in mV: the median of the peak-to-peak amplitudes of its seconds.
    #[inline(never)]
    pub(super) fn scale_mv(&self, window: StripWindow) -> f32 {
        const SECONDS: usize = STRIP_SAMPLES / SAMPLE_RATE_HZ as usize;
        let mut heights: Vec<f32, SECONDS> = Vec::new();
        let mut start = window.start;
        while start + SAMPLE_RATE_HZ <= window.end {
            let (mut low, mut high) = (i16::MAX, i16::MIN);
            let mut left = SAMPLE_RATE_HZ as usize;
            for stretch in self.counts(start) {
                let stretch = stretch.get(..left).unwrap_or(stretch);
                left -= stretch.len();
                for counts in stretch {
                    low = low.min(*counts);
                    high = high.max(*counts);
                }
            }
            // There is room: a window has no more seconds.
            let _ = heights.push(in_mv(high) - in_mv(low));
            start += SAMPLE_RATE_HZ;
        }
        median(&mut heights).max(SCALE_MIN_MV)
    }
}

/// The value below which this part of sorted values lies; 0 of nothing.
fn quantile(sorted: &[f32], part: f32) -> f32 {
    let place = (part * sorted.len().saturating_sub(1) as f32 + 0.5) as usize;
    sorted.get(place).copied().unwrap_or(0.0)
}

/// The part of values for which this holds; 0 of nothing.
fn part_of(values: &[f32], holds: impl Fn(f32) -> bool) -> f32 {
    let count = values.iter().filter(|x| holds(**x)).count();
    count as f32 / values.len().max(1) as f32
}

/// The steps between neighbours.
fn steps(x: &[f32]) -> Vec<f32, STRIP_BEATS> {
    let steps = x.windows(2);
    gathered(steps.filter_map(|pair| Some(pair.last()? - pair.first()?)))
}

/// The correlation of values with those `lag` places before.
fn autocorrelation(x: &[f32], lag: usize) -> f32 {
    let later = x.get(lag..).unwrap_or_default();
    pearson(later, x.get(..later.len()).unwrap_or_default())
}

/// Slices of [`fill`].
pub(super) const PARTS: usize = 4;

/// Fills some of the statistics; the other views are there, and the scale at its place.
// What is not inlined, here and below, gives back what it takes of the stack.
#[inline(never)]
pub(super) fn fill(views: &mut StripViews, strip: &Strip, window: StripWindow, part: usize) {
    let logs = sequence::logs(strip, window);
    let beats = strip.beats_in(window).count();
    match part {
        0 => {
            let mut sorted = logs;
            let head = [
                median(&mut sorted),
                beats as f32 / STRIP_BEATS as f32,
                (window.end - window.start) as f32 / STRIP_SAMPLES as f32,
            ];
            put(views, 0, &head);
            put(views, 26, &of_resemblance(views, beats));
        }
        1 => {
            let (spread, order) = of_intervals(&logs);
            put(views, 3, &spread);
            put(views, 14, &order);
        }
        2 => put(views, 18, &entropy(&in_seconds(&logs))),
        _ => {
            put(views, 20, &of_order(&logs));
            put(views, 24, &of_plane(&logs));
            put(views, 33, &of_average(views));
            let scale_mv = views.statistics[SCALE];
            put(views, 36, &of_signal(strip, window, scale_mv));
        }
    }
}

/// Puts numbers at their places.
fn put(views: &mut StripViews, first: usize, numbers: &[f32]) {
    let places = views.statistics.iter_mut().skip(first);
    for (place, number) in places.zip(numbers) {
        *place = if number.is_finite() {
            number.clamp(-CLIP, CLIP)
        } else {
            0.0
        };
    }
}

fn in_seconds(logs: &[f32]) -> Vec<f32, STRIP_BEATS> {
    gathered(logs.iter().map(|x| expf(*x)))
}

/// The first values, as many as there are beats at most. Collecting them could panic, as far as the linker knows.
fn gathered<T>(values: impl IntoIterator<Item = T>) -> Vec<T, STRIP_BEATS> {
    let mut all = Vec::new();
    for value in values.into_iter().take(STRIP_BEATS) {
        // There is room.
        let _ = all.push(value);
    }
    all
}

/// Places 3 to 13, and 14 to 17.
#[inline(never)]
fn of_intervals(logs: &[f32]) -> ([f32; 11], [f32; 4]) {
    let mut sorted = gathered(logs.iter().copied());
    sort(&mut sorted);
    let mut middle = sorted.clone();
    let usual = median(&mut middle);
    let steps = steps(logs);
    let mut sizes = gathered(steps.iter().map(|step| step.abs()));
    let large = part_of(&sizes, |x| x > 0.1);
    let very_large = part_of(&sizes, |x| x > 0.2);
    let long = part_of(&self::steps(&in_seconds(logs)), |x| x.abs() > 0.05);
    let usual_step = median(&mut sizes);
    let mut apart = gathered(sorted.iter().map(|x| (x - usual).abs()));
    let relative = |x: f32| if logs.is_empty() { 0.0 } else { x - usual };
    let turns = steps.windows(2).filter(|pair| match pair {
        [a, b] => a * b < 0.0,
        _ => false,
    });
    let spread = [
        std_dev(logs),
        rms(&steps),
        usual_step,
        median(&mut apart),
        long,
        large,
        very_large,
        relative(sorted.first().copied().unwrap_or(0.0)),
        relative(sorted.last().copied().unwrap_or(0.0)),
        relative(quantile(&sorted, 0.1)),
        relative(quantile(&sorted, 0.9)),
    ];
    let order = [
        autocorrelation(logs, 1),
        autocorrelation(logs, 2),
        autocorrelation(&steps, 1),
        turns.count() as f32 / inner(&steps),
    ];
    (spread, order)
}

/// The number of steps that have one before them, to divide by.
fn inner(steps: &[f32]) -> f32 {
    steps.len().saturating_sub(1).max(1) as f32
}

/// Places 20 to 23.
#[inline(never)]
fn of_order(logs: &[f32]) -> [f32; 4] {
    let mut sorted = gathered(logs.iter().copied());
    let usual = median(&mut sorted);
    let steps = steps(logs);
    let (early, late) = (logf(0.85), logf(1.15));
    let is_compensated = |pair: &&[f32]| match pair {
        [a, b] => a - usual < early && b - usual > late,
        _ => false,
    };
    let swings = steps.windows(2).filter(|pair| match pair {
        [a, b] => a * b < 0.0 && a.abs() > 0.1 && b.abs() > 0.1,
        _ => false,
    });
    [
        part_of(logs, |x| x - usual < early),
        part_of(logs, |x| x - usual > late),
        logs.windows(2).filter(is_compensated).count() as f32 / logs.len().max(1) as f32,
        swings.count() as f32 / inner(&steps),
    ]
}

/// Places 18 and 19, from intervals in seconds.
#[inline(never)]
fn entropy(rr_s: &[f32]) -> [f32; 2] {
    if rr_s.len() < 3 {
        return [0.0; 2];
    }
    let (mut alike, mut still, mut pairs) = (0_u16, 0_u16, 0_u16);
    let pairs_of = rr_s.windows(2);
    let followed: Vec<[f32; 2], STRIP_BEATS> =
        gathered(pairs_of.filter_map(|pair| pair.first_chunk().copied()));
    for (index, [a, b]) in followed.iter().enumerate() {
        for [c, d] in followed.iter().skip(index + 1) {
            pairs += 1;
            if (a - c).abs() < ALIKE_S {
                alike += 1;
                still += u16::from((b - d).abs() < ALIKE_S);
            }
        }
    }
    let [alike, still, pairs] = [alike, still, pairs].map(|n| f32::from(n) + 0.5);
    [logf(alike / still), logf(alike / pairs)]
}

/// Places 24 and 25.
#[inline(never)]
fn of_plane(logs: &[f32]) -> [f32; 2] {
    const SIDE: usize = (2 * CELLS + 1) as usize;
    let steps = steps(&in_seconds(logs));
    let cell = |step: f32| {
        let cell = libm::floorf(step / CELL_S + 0.5) as i32;
        (cell.clamp(-CELLS, CELLS) + CELLS) as usize
    };
    let mut taken = [0_u32; SIDE];
    let (mut pairs, mut origin) = (0_u16, 0_u16);
    for pair in steps.windows(2) {
        let [a, b] = pair else {
            continue;
        };
        let (row, column) = (cell(*a), cell(*b));
        pairs += 1;
        origin += u16::from(row == CELLS as usize && column == CELLS as usize);
        if let Some(row) = taken.get_mut(row) {
            *row |= 1 << column;
        }
    }
    let cells: u32 = taken.iter().map(|row| row.count_ones()).sum();
    let pairs = f32::from(pairs.max(1));
    [cells as f32 / pairs, f32::from(origin) / pairs]
}

/// Places 26 to 32.
#[inline(never)]
fn of_resemblance(views: &StripViews, beats: usize) -> [f32; 7] {
    let channel = |channel: usize| -> Vec<f32, STRIP_BEATS> {
        let values = views.beats.as_chunks::<STRIP_BEATS>().0.get(channel);
        let values = values.map_or(&[][..], |values| values.as_slice());
        let skip = STRIP_BEATS - beats.min(STRIP_BEATS);
        gathered(values.iter().skip(skip).copied())
    };
    let low = |values: &Vec<f32, STRIP_BEATS>| {
        let mut sorted = values.clone();
        sort(&mut sorted);
        quantile(&sorted, 0.1)
    };
    let (qrs, p, t) = (
        channel(QRS_LIKENESS),
        channel(P_LIKENESS),
        channel(T_LIKENESS),
    );
    [
        mean(&qrs),
        low(&qrs),
        part_of(&qrs, |x| x < 0.9),
        mean(&p),
        low(&p),
        mean(&t),
        std_dev(&channel(AMPLITUDE)),
    ]
}

/// Places 33 to 35.
#[inline(never)]
fn of_average(views: &StripViews) -> [f32; 3] {
    let (average, spread) = views.average.split_at(STRIP_AVERAGE_LEN);
    let about =
        |x: &[f32], range: core::ops::Range<usize>| std_dev(x.get(range).unwrap_or_default());
    let root = |x: &[f32], range: core::ops::Range<usize>| rms(x.get(range).unwrap_or_default());
    let (p, qrs) = (about(average, P) + TINY, about(average, QRS) + TINY);
    [p / qrs, root(spread, P) / p, root(spread, QRS) / qrs]
}

/// Places 36 to 39.
#[inline(never)]
fn of_signal(strip: &Strip, window: StripWindow, scale_mv: f32) -> [f32; 4] {
    let (mut unreadable, mut strange, mut count) = (0_u16, 0_u16, 0_u16);
    let (mut last, mut longest) = (window.start, 0);
    for beat in strip.beats_in(window) {
        count += 1;
        unreadable += u16::from(!beat.readable);
        strange += u16::from(!beat.heartbeat);
        longest = longest.max(beat.r_sample - last);
        last = beat.r_sample;
    }
    longest = longest.max(window.end - last);
    let count = f32::from(count.max(1));
    [
        f32::from(unreadable) / count,
        f32::from(strange) / count,
        logf(scale_mv),
        longest as f32 / (window.end - window.start).max(1) as f32,
    ]
}
