//! The powers of an hour by Lomb and Scargle.

use super::{Interval, LEAST_S};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Where the bands begin and end, in Hz.
const VLF_HZ: f64 = 0.0033;
const LF_HZ: f64 = 0.04;
const HF_HZ: f64 = 0.15;
const END_HZ: f64 = 0.4;

/// The least NN time, in seconds.
const LEAST_LF_S: f64 = 120.0;
const LEAST_VLF_S: f64 = 600.0;

/// Frequencies per 1/span.
const OVERSAMPLING: f64 = 4.0;

/// The grid of the transforms is at least as fine, in Hz.
const GRID_HZ: f64 = 4.0;

/// Terms of the series by which beats off the grid are brought to it. At twice 0.4 Hz, a beat is off by at most 0.63 rad:
/// the first term left out is 0.63^10 / 10! = 3e-9.
const TERMS: usize = 10;

/// Powers by band, in ms^2; `None` where there is too little time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Powers {
    pub(super) vlf: Option<f64>,
    pub(super) lf: Option<f64>,
    pub(super) hf: Option<f64>,
}

impl Powers {
    /// Of the intervals of one hour.
    pub(super) fn of(intervals: &[Interval], planner: &mut RealFftPlanner<f64>) -> Self {
        let nn_s = intervals.iter().map(|interval| interval.ms).sum::<f64>() / 1000.0;
        let ([first, ..], [.., last]) = (intervals, intervals) else {
            return Self::default();
        };
        if nn_s < LEAST_S {
            return Self::default();
        }
        let start_s = first.time_s - first.ms / 1000.0;
        let span_s = last.time_s - start_s;
        let step_hz = 1.0 / (OVERSAMPLING * span_s);
        let mean_s = nn_s / intervals.len() as f64;
        let grid = (span_s * OVERSAMPLING * GRID_HZ).ceil() as usize;
        let transform = planner.plan_fft_forward(grid.next_power_of_two());
        // In grid points of 1 / (grid step_hz).
        let points = step_hz * transform.len() as f64;
        let at = |interval: &Interval| (interval.time_s - start_s) * points;
        let values = intervals.iter().map(|i| (at(i), i.ms - 1000.0 * mean_s));
        let ones = intervals.iter().map(|i| (at(i), 1.0));
        let end = (END_HZ / step_hz).ceil() as usize;
        let (Some(values), Some(ones)) = (
            sums(&*transform, values, end),
            sums(&*transform, ones, 2 * end),
        ) else {
            return Self::default();
        };
        let [mut vlf, mut lf, mut hf] = [0.0; 3];
        for k in 1..end {
            let power = periodogram(values[k], ones[2 * k], intervals.len() as f64);
            let power = power * 2.0 * mean_s * step_hz;
            match k as f64 * step_hz {
                ..VLF_HZ => {}
                ..LF_HZ => vlf += power,
                ..HF_HZ => lf += power,
                _ => hf += power,
            }
        }
        Self {
            vlf: (nn_s >= LEAST_VLF_S).then_some(vlf),
            lf: (nn_s >= LEAST_LF_S).then_some(lf),
            hf: Some(hf),
        }
    }
}

/// The sums of `x exp(-2 pi i k t / n)` over values `x` at `t` points of a grid of `n`, for each `k` below `end`.
///
/// With `m` the nearest point and `u = t - m`, the exponential is that of `m` times a power series in `u`, and each term of
/// the series is a Fourier transform on the grid.
fn sums(
    transform: &dyn RealToComplex<f64>,
    values: impl Iterator<Item = (f64, f64)> + Clone,
    end: usize,
) -> Option<Vec<Complex<f64>>> {
    let mut sums = vec![Complex::default(); end];
    let (mut input, mut output) = (transform.make_input_vec(), transform.make_output_vec());
    let turn = std::f64::consts::TAU / transform.len() as f64;
    for term in 0..TERMS {
        input.fill(0.0);
        for (t, x) in values.clone() {
            let nearest = t.round();
            *input.get_mut(nearest as usize)? += x * (t - nearest).powi(term as i32);
        }
        transform.process(&mut input, &mut output).ok()?;
        let factorial: f64 = (1..=term).map(|n| n as f64).product();
        let quarter = [1.0.into(), -Complex::i(), (-1.0).into(), Complex::i()][term % 4];
        for (k, (sum, found)) in sums.iter_mut().zip(&output).enumerate() {
            *sum += found * quarter * ((turn * k as f64).powi(term as i32) / factorial);
        }
    }
    Some(sums)
}

/// The periodogram at a frequency: half of what the best sine of that frequency takes off the sum of squares. From the sum
/// of `x exp(-i w t)` and the sum of `exp(-2 i w t)` over so many values.
fn periodogram(values: Complex<f64>, ones: Complex<f64>, count: f64) -> f64 {
    // Scargle's offset makes sine and cosine orthogonal.
    let (sin, cos) = (-ones.arg() / 2.0).sin_cos();
    let along = values.re * cos - values.im * sin;
    let across = -values.im * cos - values.re * sin;
    let long = (count + ones.norm()) / 2.0;
    let short = count - long;
    let part = |sum: f64, of: f64| if of > 1e-6 { sum * sum / of } else { 0.0 };
    (part(along, long) + part(across, short)) / 2.0
}
