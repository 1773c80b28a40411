//! The last RR intervals, as the rhythm network reads them.

use crate::spec::{RHYTHM_CHANNELS, RHYTHM_INTERVALS, RHYTHM_RR_MAX_S, RHYTHM_RR_MIN_S};
use crate::stats::median;
use crate::window::Ring;
use libm::logf;

/// The rhythm network's input, channel by channel, oldest interval first.
///
/// With `l` the natural logarithm of an RR interval in seconds and `m` the median of the `l` in view, the first channel is
/// `3 clip(l - m, +-1)`, the second `3 clip(l - l of the interval before, +-1)`. Of each, only ratios remain: not how fast
/// the heart beats, but how evenly.
///
/// # Shapes
/// `[RHYTHM_CHANNELS, RHYTHM_INTERVALS]` in row-major order.
pub type Input = [f32; RHYTHM_CHANNELS * RHYTHM_INTERVALS];

/// A logarithm of a ratio beyond this is clipped.
pub(super) const CLIP: f32 = 1.0;
/// Brings the clipped logarithms to about unit size.
pub(super) const GAIN: f32 = 3.0;

/// The logarithm of an RR interval in seconds, clipped to what the rhythm tells apart.
pub(super) fn log_rr(rr_s: f32) -> f32 {
    logf(rr_s.clamp(RHYTHM_RR_MIN_S, RHYTHM_RR_MAX_S))
}

/// The last RR intervals of a patient, strictly causal.
#[derive(Debug, Clone)]
pub struct Intervals {
    /// Logarithms, and one more than is shown: the oldest in view needs the one before it.
    logs: Ring<f32, { RHYTHM_INTERVALS + 1 }>,
}

impl Intervals {
    /// No interval yet.
    pub const fn new() -> Self {
        Self { logs: Ring::new() }
    }

    /// Takes the RR interval before a beat, in seconds (`None` at the first beat), and lays out what the rhythm network
    /// reads at that beat: `None` until there are [`RHYTHM_INTERVALS`]. An interval that is not finite counts as none.
    pub fn push(&mut self, rr_s: Option<f32>) -> Option<Input> {
        self.logs
            .push(log_rr(rr_s.filter(|rr_s| rr_s.is_finite())?));
        let skip = self.logs.len().checked_sub(RHYTHM_INTERVALS)?;
        let mut input = [0.0; RHYTHM_CHANNELS * RHYTHM_INTERVALS];
        let mut logs = [0.0; RHYTHM_INTERVALS];
        for (log, kept) in logs.iter_mut().zip(self.logs.iter().skip(skip)) {
            *log = kept;
        }
        let mut sorted = logs;
        let usual = median(&mut sorted);
        let mut before = self.logs.oldest().unwrap_or(logs[0]);
        let (levels, steps) = input.split_at_mut(RHYTHM_INTERVALS);
        for ((level, step), log) in levels.iter_mut().zip(steps).zip(logs) {
            *level = GAIN * (log - usual).clamp(-CLIP, CLIP);
            *step = GAIN * (log - before).clamp(-CLIP, CLIP);
            before = log;
        }
        Some(input)
    }
}

impl Default for Intervals {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Against a plain recomputation in f64.
    #[test]
    fn the_input_is_that_of_the_last_24() {
        let rr = |i: u32| 0.25 + ((i * 7919) % 1009) as f32 / 700.0;
        let mut intervals = Intervals::new();
        assert_eq!(intervals.push(None), None);
        for i in 0..100_u32 {
            let found = intervals.push(Some(rr(i)));
            let Some(first) = (i + 1).checked_sub(RHYTHM_INTERVALS as u32) else {
                assert_eq!(found, None);
                continue;
            };
            let found = found.expect("24 intervals");
            let log = |i: u32| f64::from(rr(i)).ln();
            let mut sorted: Vec<f64> = (first..=i).map(log).collect();
            sorted.sort_by(f64::total_cmp);
            let median = (sorted[11] + sorted[12]) / 2.0;
            for (k, j) in (first..=i).enumerate() {
                let level = 3.0 * (log(j) - median).clamp(-1.0, 1.0);
                let step = 3.0 * (log(j) - log(j.saturating_sub(1))).clamp(-1.0, 1.0);
                assert!((f64::from(found[k]) - level).abs() < 3e-6);
                assert!((f64::from(found[RHYTHM_INTERVALS + k]) - step).abs() < 3e-6);
            }
        }
    }

    /// Ratios alone remain: a heart twice as fast gives the same input, and an even one gives zeros.
    #[test]
    fn the_rate_does_not_matter() {
        let uneven = [0.8, 0.6, 1.1, 0.7, 0.9];
        let last = |scale: f32| {
            let mut intervals = Intervals::new();
            (0..30)
                .filter_map(|i| intervals.push(Some(scale * uneven[i % 5])))
                .last()
                .expect("24 intervals")
        };
        for (a, b) in last(1.0).iter().zip(last(0.5)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let mut intervals = Intervals::new();
        let even = (0..24).filter_map(|_| intervals.push(Some(0.8))).last();
        assert_eq!(even, Some([0.0; RHYTHM_CHANNELS * RHYTHM_INTERVALS]));
    }
}
