//! Heart rate variability on normal-to-normal (NN) intervals, as the Task Force defines it.
//!
//! Task Force of the European Society of Cardiology and the North American Society of Pacing and Electrophysiology:
//! *Heart rate variability: standards of measurement, physiological interpretation, and clinical use*, Circulation 1996;
//! 93:1043-1065. SD1 and SD2: Brennan, Palaniswami and Kamen, IEEE Trans. Biomed. Eng. 2001; 48:1342-1347. Periodogram:
//! Scargle, Astrophys. J. 1982; 263:835-853, on heart beats: Laguna, Moody and Mark, IEEE Trans. Biomed. Eng. 1998;
//! 45:698-715.
//!
//! # Which intervals
//! An RR interval is NN when both of its beats are of class N, neither lies in atrial fibrillation, and it is no gap: at most
//! 4 s. All others are left out and counted by their reason ([`LeftOut`]); none is interpolated.
//!
//! # Definitions
//! With `x` the NN intervals, in milliseconds, and `d` the differences between those that follow each other without one left
//! out between:
//!
//! - **SDNN**: standard deviation of `x`; **RMSSD**: root of the mean of `d^2`; **pNN50**: how many `|d|` are above 50 ms,
//!   in percent of all `x`. Standard deviations divide by one less than the count.
//! - **SDANN**, **SDNN index**: standard deviation of the means, and mean of the standard deviations, of `x` in segments of five
//!   minutes from the recording's start. A segment counts when at least half of it is NN intervals; three must.
//! - **Triangular index**: the count of `x` over that of the fullest bin of their histogram, bins of 1/128 s from 0.
//! - **SD1**, **SD2**: standard deviations of `(x1 - x2)/sqrt 2` and `(x1 + x2)/sqrt 2` of intervals that follow each other.
//! - **VLF, LF, HF**: power from 0.0033 to 0.04, 0.04 to 0.15 and 0.15 to 0.4 Hz, in ms^2, of the intervals at the times
//!   at which they end: Lomb-Scargle periodogram `P` of an hour, the mean taken off, at four frequencies per 1/span, summed.
//!   The density is `2 m P` with `m` the mean NN interval in seconds, so that all frequencies together give the variance.
//!   Of several hours the mean, weighed by their NN time.
//!
//! # Too short
//! A figure is `None` where there is too little NN time: below 1 minute for all; for LF 2 minutes (both from the Task Force, who
//! advise 5), for VLF 10 (they advise against it in 5), for the triangular index 20.
//!
//! # Limits
//! R peaks that Heartlens finds lie on a grid of 1/128 s. That adds about 5.5 ms to RMSSD, in squares: below 15 ms it says little.

mod spectrum;

use crate::analysis::Beat;
use crate::episodes::is_gap;
use heartlens_core::class::Class;
use realfft::RealFftPlanner;
use serde::Serialize;
use spectrum::Powers;

/// Length of the rows of [`Hrv::hours`], in seconds, and of the periodogram's windows.
const HOUR_S: f64 = 3600.0;
/// Length of the segments of SDANN and SDNN index, in seconds.
const SEGMENT_S: f64 = 300.0;
/// Segments that they need.
const SEGMENTS: usize = 3;
/// Width of the bins of the triangular index, in milliseconds.
const BIN_MS: f64 = 1000.0 / 128.0;

/// The least NN time of a figure, in seconds.
const LEAST_S: f64 = 60.0;
const LEAST_TRIANGULAR_S: f64 = 1200.0;

/// A difference above this counts for pNN50, in milliseconds.
const NN50_MS: f64 = 50.0;

/// Heart rate variability of a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hrv {
    /// Of the whole recording.
    #[serde(flatten)]
    pub whole: Figures,
    /// Intervals that are not NN, by the reason.
    pub left_out: LeftOut,
    /// Each hour from the recording's start.
    pub hours: Vec<Hour>,
}

/// Heart rate variability of an hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hour {
    /// Where it begins, in seconds.
    pub from_s: f64,
    /// Where it ends, in seconds: after an hour, or with the recording.
    pub to_s: f64,
    /// Of the intervals that end in it.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures, as the [module](self) defines them; `None` where there is too little time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
#[non_exhaustive]
pub struct Figures {
    /// NN intervals.
    pub intervals: usize,
    /// Their sum, in seconds.
    pub nn_s: f64,
    /// Their mean, in milliseconds.
    pub mean_nn_ms: Option<f64>,
    /// Standard deviation, in milliseconds.
    pub sdnn_ms: Option<f64>,
    /// Standard deviation of the means of five minutes, in milliseconds.
    pub sdann_ms: Option<f64>,
    /// Mean of the standard deviations of five minutes, in milliseconds.
    pub sdnn_index_ms: Option<f64>,
    /// Root mean square of successive differences, in milliseconds.
    pub rmssd_ms: Option<f64>,
    /// Successive differences above 50 ms, in percent of the intervals.
    pub pnn50_percent: Option<f64>,
    /// All intervals over those in the histogram's fullest bin.
    pub triangular_index: Option<f64>,
    /// Power from 0.0033 to 0.04 Hz, in ms^2.
    pub vlf_ms2: Option<f64>,
    /// Power from 0.04 to 0.15 Hz, in ms^2.
    pub lf_ms2: Option<f64>,
    /// Power from 0.15 to 0.4 Hz, in ms^2.
    pub hf_ms2: Option<f64>,
    /// LF over HF.
    pub lf_hf: Option<f64>,
    /// Width of the Poincare plot across its diagonal, in milliseconds.
    pub sd1_ms: Option<f64>,
    /// Width of the Poincare plot along its diagonal, in milliseconds.
    pub sd2_ms: Option<f64>,
}

/// RR intervals that are not NN. Each counts once, for the first reason that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[non_exhaustive]
pub struct LeftOut {
    /// Longer than 4 s.
    pub gap: usize,
    /// Beside a beat of class Q.
    pub unreadable: usize,
    /// Beside a beat of class S, V or F.
    pub ectopic: usize,
    /// In atrial fibrillation.
    pub fibrillation: usize,
}

/// An NN interval.
#[derive(Debug, Clone, Copy)]
struct Interval {
    /// When it ends, in seconds from the recording's start.
    time_s: f64,
    ms: f64,
    /// Whether it follows the interval before without one left out between.
    follows: bool,
}

impl Hrv {
    /// Of a recording's beats, in order; how long it is, in seconds.
    pub fn of(beats: &[Beat], duration_s: f64) -> Self {
        let (intervals, left_out) = normal(beats);
        let mut planner = RealFftPlanner::new();
        let hours: Vec<Hour> = parts(&intervals, HOUR_S, duration_s)
            .map(|(from_s, part)| Hour {
                from_s,
                to_s: (from_s + HOUR_S).min(duration_s),
                figures: Figures::in_time(part, duration_s)
                    .with_powers(&Powers::of(part, &mut planner)),
            })
            .collect();
        let whole = Figures::in_time(&intervals, duration_s).with_powers(&mean_powers(&hours));
        Self {
            whole,
            left_out,
            hours,
        }
    }
}

/// The NN intervals of beats, and how many are none.
fn normal(beats: &[Beat]) -> (Vec<Interval>, LeftOut) {
    let mut intervals = Vec::new();
    let mut left_out = LeftOut::default();
    let mut follows = false;
    for pair in beats.windows(2) {
        let ([before, after], Some(ms)) = (pair, pair[1].rr_ms) else {
            follows = false;
            continue;
        };
        let either = |is: fn(&Beat) -> bool| is(before) || is(after);
        let reason = if is_gap(before, after) {
            &mut left_out.gap
        } else if either(|beat| beat.class == Class::Q) {
            &mut left_out.unreadable
        } else if either(|beat| beat.class != Class::N) {
            &mut left_out.ectopic
        } else if either(|beat| beat.fibrillation == Some(true)) {
            &mut left_out.fibrillation
        } else {
            intervals.push(Interval {
                time_s: after.time_s,
                ms,
                follows,
            });
            follows = true;
            continue;
        };
        *reason += 1;
        follows = false;
    }
    (intervals, left_out)
}

/// The parts of a recording that are so long, in seconds: where each begins, and its intervals.
fn parts(
    intervals: &[Interval],
    length_s: f64,
    duration_s: f64,
) -> impl Iterator<Item = (f64, &[Interval])> {
    let end = move |part: usize| {
        let end_s = (part + 1) as f64 * length_s;
        intervals.partition_point(|interval| interval.time_s < end_s)
    };
    let count = (duration_s / length_s).ceil().max(1.0) as usize;
    (0..count).map(move |part| {
        let start = if part == 0 { 0 } else { end(part - 1) };
        // An annotated beat at the very end belongs to the last part.
        let end = if part + 1 == count {
            intervals.len()
        } else {
            end(part)
        };
        (part as f64 * length_s, &intervals[start..end.max(start)])
    })
}

/// The mean powers of hours, each weighed by its NN time.
fn mean_powers(hours: &[Hour]) -> Powers {
    let mean = |power: fn(&Figures) -> Option<f64>| {
        let known = hours.iter().filter_map(|hour| {
            let power = power(&hour.figures)?;
            Some((power * hour.figures.nn_s, hour.figures.nn_s))
        });
        let (sum, time) = known.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        (time > 0.0).then(|| sum / time)
    };
    Powers {
        vlf: mean(|figures| figures.vlf_ms2),
        lf: mean(|figures| figures.lf_ms2),
        hf: mean(|figures| figures.hf_ms2),
    }
}

impl Figures {
    /// The figures of the time domain.
    fn in_time(intervals: &[Interval], duration_s: f64) -> Self {
        let ms: Vec<f64> = intervals.iter().map(|interval| interval.ms).collect();
        let nn_s = ms.iter().sum::<f64>() / 1000.0;
        let mut figures = Self {
            intervals: ms.len(),
            nn_s,
            ..Self::default()
        };
        if nn_s < LEAST_S {
            return figures;
        }
        let pairs = intervals.windows(2).filter(|pair| pair[1].follows);
        let pairs: Vec<(f64, f64)> = pairs.map(|pair| (pair[0].ms, pair[1].ms)).collect();
        let steps = || pairs.iter().map(|(before, after)| after - before);
        let wide = steps().filter(|step| step.abs() > NN50_MS).count();
        let across = |sign: f64| -> Vec<f64> {
            let along = |(a, b): &(f64, f64)| (a + sign * b) / std::f64::consts::SQRT_2;
            pairs.iter().map(along).collect()
        };
        let squares = steps().map(|step| step * step).sum::<f64>();
        let (sdann_ms, sdnn_index_ms) = segments(intervals, duration_s).unzip();
        figures.mean_nn_ms = mean(&ms);
        figures.sdnn_ms = deviation(&ms);
        figures.sdann_ms = sdann_ms;
        figures.sdnn_index_ms = sdnn_index_ms;
        figures.rmssd_ms = (!pairs.is_empty()).then(|| (squares / pairs.len() as f64).sqrt());
        figures.pnn50_percent = (!pairs.is_empty()).then(|| 100.0 * wide as f64 / ms.len() as f64);
        figures.triangular_index = (nn_s >= LEAST_TRIANGULAR_S).then(|| triangular_index(&ms));
        figures.sd1_ms = deviation(&across(-1.0));
        figures.sd2_ms = deviation(&across(1.0));
        figures
    }

    fn with_powers(self, powers: &Powers) -> Self {
        let ratio = |lf: f64, hf: f64| (hf > 0.0).then(|| lf / hf);
        Self {
            vlf_ms2: powers.vlf,
            lf_ms2: powers.lf,
            hf_ms2: powers.hf,
            lf_hf: powers.lf.zip(powers.hf).and_then(|(lf, hf)| ratio(lf, hf)),
            ..self
        }
    }
}

/// SDANN and SDNN index.
fn segments(intervals: &[Interval], duration_s: f64) -> Option<(f64, f64)> {
    let (mut means, mut deviations) = (Vec::new(), Vec::new());
    for (_, part) in parts(intervals, SEGMENT_S, duration_s) {
        let ms: Vec<f64> = part.iter().map(|interval| interval.ms).collect();
        if ms.iter().sum::<f64>() >= 500.0 * SEGMENT_S {
            means.extend(mean(&ms));
            deviations.extend(deviation(&ms));
        }
    }
    (means.len() >= SEGMENTS)
        .then(|| deviation(&means).zip(mean(&deviations)))
        .flatten()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation, the sum of squares divided by one less than the count.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// All intervals over those in the fullest bin.
fn triangular_index(ms: &[f64]) -> f64 {
    let mut bins: Vec<usize> = ms.iter().map(|ms| (ms / BIN_MS).floor() as usize).collect();
    bins.sort_unstable();
    let fullest = bins.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
    ms.len() as f64 / fullest.unwrap_or(1) as f64
}

#[cfg(test)]
mod tests;
