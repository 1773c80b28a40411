//! The RR intervals so far, and what of them the metadata view needs: order statistics, and a sinus reference that
//! does not follow every early beat.

use crate::spec::{RR_HISTORY, RR_LOCAL, RR_MAX_S, RR_MIN_S};
use crate::stats::{mean, median, std_dev};
use crate::window::Ring;
use core::cell::Cell;
use heapless::Vec;
use libm::logf;

/// An RR interval and its natural logarithm.
#[derive(Debug, Clone, Copy)]
struct Interval {
    seconds: f32,
    log: f32,
}

impl Interval {
    fn new(seconds: f32) -> Self {
        let seconds = clip_rr(seconds);
        Self {
            seconds,
            log: logf(seconds),
        }
    }
}

/// An RR interval inside what the features tell apart, in seconds.
pub(crate) fn clip_rr(seconds: f32) -> f32 {
    seconds.clamp(RR_MIN_S, RR_MAX_S)
}

/// The RR intervals that came before a beat, newest last, and running measures of the rhythm. Strictly causal.
#[derive(Debug, Clone)]
pub(crate) struct RrHistory {
    recent: Ring<Interval, RR_HISTORY>,
    /// The intervals of `recent`, shortest first.
    sorted: Vec<Interval, RR_HISTORY>,
    beats: u32,
    reference: f32,
    premature: f32,
    irregularity: f32,
}

/// What the history says about a beat whose preceding RR interval is `pre_s`; all logarithms are natural, of seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RrContext {
    /// This beat's preceding RR interval, clipped, in seconds.
    pub(crate) pre_s: f32,
    /// The RR interval before `pre_s`, in seconds.
    pub(crate) previous_s: f32,
    /// The RR interval before `previous_s`, in seconds.
    pub(crate) before_previous_s: f32,
    /// Median of the last 10 RR intervals, in seconds.
    pub(crate) local_median_s: f32,
    /// Mean of the last 10 RR intervals, in seconds.
    pub(crate) local_mean_s: f32,
    /// Mean magnitude of the steps between the logarithms of the last 10 RR intervals.
    pub(crate) local_step: f32,
    /// Median of the last 64 RR intervals, in seconds.
    pub(crate) global_median_s: f32,
    /// Share of the last 64 RR intervals that are shorter than 0.98 of `pre_s`, 0..=1.
    pub(crate) shorter_share: f32,
    /// Logarithm of `pre_s`.
    pub(crate) log: f32,
    /// Median of the logarithms of the last 64.
    pub(crate) log_median: f32,
    /// Median distance from that median.
    pub(crate) log_mad: f32,
    /// Standard deviation of the logarithms of the last 64.
    pub(crate) log_std: f32,
    /// Their 10th percentile (linear between neighbours).
    pub(crate) log_p10: f32,
    /// Their 90th percentile.
    pub(crate) log_p90: f32,
    /// Logarithm of the sinus reference: a running RR interval that learns slowly from intervals far from it.
    pub(crate) log_reference: f32,
    /// Running share of premature beats, 0..=1.
    pub(crate) premature: f32,
    /// Running mean magnitude of the step between successive logarithms.
    pub(crate) irregularity: f32,
}

/// A beat is premature when the logarithm of its RR interval lies this far below the median.
const PREMATURE_BELOW: f32 = -0.12;
/// The sinus reference learns fast from intervals within this distance of it.
const REFERENCE_NEAR: f32 = 0.12;
const REFERENCE_RATE_NEAR: f32 = 1.0 / 16.0;
const REFERENCE_RATE_FAR: f32 = 1.0 / 256.0;
/// Beats over which the sinus reference is a plain average at first.
const REFERENCE_WARM_UP: u32 = 16;
const PREMATURE_RATE: f32 = 1.0 / 64.0;
const IRREGULARITY_RATE: f32 = 1.0 / 32.0;
const IRREGULARITY_START: f32 = 0.1;

impl RrHistory {
    /// A history of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            recent: Ring::new(),
            sorted: Vec::new(),
            beats: 0,
            reference: 0.0,
            premature: 0.0,
            irregularity: IRREGULARITY_START,
        }
    }

    /// What the history, this interval excluded, says about a beat that came `pre_s` seconds after the one before.
    /// A first beat is its own history.
    pub(crate) fn context(&self, pre_s: f32) -> RrContext {
        let own = Interval::new(pre_s);
        let own_history = [own];
        let sorted: &[Interval] = if self.sorted.is_empty() {
            &own_history
        } else {
            &self.sorted
        };

        let skip = self.recent.len().saturating_sub(RR_LOCAL);
        let mut local: Vec<Interval, RR_LOCAL> = collect(self.recent.iter().skip(skip));
        if local.is_empty() {
            local = collect([own]);
        }
        let mut local_s: Vec<f32, RR_LOCAL> = collect(local.iter().map(|i| i.seconds));
        let local_mean_s = mean(&local_s);
        let pairs = local.iter().zip(local.iter().skip(1));
        let steps: Vec<f32, RR_LOCAL> = collect(pairs.map(|(a, b)| (b.log - a.log).abs()));
        let mut newest = local.iter().rev().map(|i| i.seconds);
        let previous_s = newest.next().unwrap_or(own.seconds);
        let before_previous_s = newest.next().unwrap_or(previous_s);

        let logs: Vec<f32, RR_HISTORY> = collect(sorted.iter().map(|i| i.log));
        let log_median = quantile(&logs, 0.5);
        let mut distances: Vec<f32, RR_HISTORY> =
            collect(logs.iter().map(|log| (log - log_median).abs()));
        let shorter = sorted
            .iter()
            .take_while(|i| i.seconds < 0.98 * own.seconds)
            .count();
        let half = sorted.len() / 2;
        let at = |place: usize| sorted.get(place).map_or(own.seconds, |i| i.seconds);
        let global_median_s = if sorted.len() % 2 == 1 {
            at(half)
        } else {
            (at(half.wrapping_sub(1)) + at(half)) / 2.0
        };
        RrContext {
            pre_s: own.seconds,
            previous_s,
            before_previous_s,
            local_median_s: median(&mut local_s),
            local_mean_s,
            local_step: mean(&steps),
            global_median_s,
            shorter_share: shorter as f32 / sorted.len() as f32,
            log: own.log,
            log_median,
            log_mad: median(&mut distances),
            log_std: std_dev(&logs),
            log_p10: quantile(&logs, 0.1),
            log_p90: quantile(&logs, 0.9),
            log_reference: if self.beats == 0 {
                own.log
            } else {
                self.reference
            },
            premature: self.premature,
            irregularity: self.irregularity,
        }
    }

    /// Takes a beat's preceding RR interval into the history, after its features have been computed from `context`.
    pub(crate) fn update(&mut self, context: &RrContext) {
        let interval = Interval {
            seconds: context.pre_s,
            log: context.log,
        };
        let error = context.log - context.log_reference;
        let near = error.abs() < REFERENCE_NEAR;
        let mut rate = if near {
            REFERENCE_RATE_NEAR
        } else {
            REFERENCE_RATE_FAR
        };
        if self.beats < REFERENCE_WARM_UP {
            rate = rate.max(1.0 / (self.beats + 1) as f32);
        }
        self.reference = context.log_reference + rate * error;
        let premature = context.log - context.log_median < PREMATURE_BELOW;
        self.premature += (f32::from(u8::from(premature)) - self.premature) * PREMATURE_RATE;
        let step = (context.log - logf(context.previous_s)).abs();
        self.irregularity += (step - self.irregularity) * IRREGULARITY_RATE;
        self.beats = self.beats.saturating_add(1);

        let oldest = match self.recent.len() {
            RR_HISTORY => self.recent.oldest(),
            _ => None,
        };
        let full = oldest.and_then(|oldest| {
            let mut sorted = self.sorted.iter();
            sorted.position(|i| i.seconds >= oldest.seconds)
        });
        if let Some(at) = full {
            let later = self.sorted.get_mut(at..).unwrap_or_default();
            for pair in Cell::from_mut(later).as_slice_of_cells().windows(2) {
                if let [a, b] = pair {
                    a.swap(b);
                }
            }
            self.sorted.pop();
        }
        // There is room: `sorted` holds what `recent` holds, less the one just removed.
        let _ = self.sorted.push(interval);
        let sorted = Cell::from_mut(self.sorted.as_mut_slice()).as_slice_of_cells();
        for pair in sorted.windows(2).rev() {
            match pair {
                [a, b] if a.get().seconds > b.get().seconds => a.swap(b),
                _ => break,
            }
        }
        self.recent.push(interval);
    }
}

impl Default for RrHistory {
    fn default() -> Self {
        Self::new()
    }
}

/// The values, as far as there is room.
fn collect<T, const N: usize>(values: impl IntoIterator<Item = T>) -> Vec<T, N> {
    let mut vec = Vec::new();
    for value in values {
        if vec.push(value).is_err() {
            break;
        }
    }
    vec
}

/// Quantile `q` in 0..=1 of ascending values, linear between neighbours (NumPy's default, Hyndman & Fan 1996, type 7); 0 of
/// nothing.
fn quantile(sorted: &[f32], q: f32) -> f32 {
    let last = sorted.len().saturating_sub(1);
    let position = q * last as f32;
    let below = position as usize;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
    let (low, high) = (at(below), at((below + 1).min(last)));
    low + (high - low) * (position - below as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history_of(intervals: impl IntoIterator<Item = f32>) -> RrHistory {
        let mut history = RrHistory::new();
        for rr in intervals {
            let context = history.context(rr);
            history.update(&context);
        }
        history
    }

    #[test]
    fn a_first_beat_is_its_own_history() {
        let context = RrHistory::new().context(0.8);
        assert_eq!(context.local_median_s, 0.8);
        assert_eq!(context.global_median_s, 0.8);
        assert_eq!(context.previous_s, 0.8);
        assert_eq!(context.before_previous_s, 0.8);
        assert_eq!(context.log_reference, context.log);
        assert_eq!((context.local_step, context.shorter_share), (0.0, 0.0));
        assert_eq!((context.log_mad, context.log_std), (0.0, 0.0));
    }

    /// Order statistics against a plain recomputation in f64 from the last 64 intervals.
    #[test]
    fn statistics_are_those_of_the_last_64() {
        let rr = |i: u32| 0.3 + ((i * 7919) % 1009) as f32 / 1009.0;
        for count in [1_u32, 2, 9, 10, 11, 63, 64, 65, 300] {
            let history = history_of((0..count).map(rr));
            let context = history.context(0.77);
            let window: std::vec::Vec<f64> = (count.saturating_sub(64)..count)
                .map(|i| f64::from(rr(i)))
                .collect();
            let sort = |mut v: std::vec::Vec<f64>| {
                v.sort_by(f64::total_cmp);
                v
            };
            let quantile = |v: &[f64], q: f64| {
                let p = q * (v.len() - 1) as f64;
                let (lo, hi) = (p.floor() as usize, p.ceil() as usize);
                v[lo] + (v[hi] - v[lo]) * (p - p.floor())
            };
            let close = |found: f32, expected: f64, what: &str| {
                assert!(
                    (f64::from(found) - expected).abs() < 2e-6,
                    "{what} of {count}: {found} against {expected}"
                );
            };
            let logs = sort(window.iter().map(|v| v.ln()).collect());
            let local = sort(window[window.len().saturating_sub(10)..].to_vec());
            close(
                context.local_median_s,
                quantile(&local, 0.5),
                "local median",
            );
            close(
                context.global_median_s,
                quantile(&sort(window.clone()), 0.5),
                "global median",
            );
            let median = quantile(&logs, 0.5);
            close(context.log_median, median, "median log");
            let mad = quantile(
                &sort(logs.iter().map(|v| (v - median).abs()).collect()),
                0.5,
            );
            close(context.log_mad, mad, "mad");
            close(context.log_p10, quantile(&logs, 0.1), "p10");
            close(context.log_p90, quantile(&logs, 0.9), "p90");
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            let variance = logs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / logs.len() as f64;
            close(context.log_std, variance.sqrt(), "std");
            let shorter = window.iter().filter(|v| **v < 0.98 * 0.77).count() as f64;
            close(
                context.shorter_share,
                shorter / window.len() as f64,
                "shorter share",
            );
            close(context.previous_s, f64::from(rr(count - 1)), "previous");
        }
    }

    #[test]
    fn the_sinus_reference_ignores_early_beats() {
        let sinus_then_trigeminy = (0..300).map(|i| if i >= 20 && i % 3 == 2 { 0.4 } else { 0.8 });
        let context = history_of(sinus_then_trigeminy).context(0.8);
        let reference = context.log_reference.exp();
        assert!((reference - 0.8).abs() < 0.05, "{reference}");
        assert!((context.premature - 1.0 / 3.0).abs() < 0.05);
        assert!(context.irregularity > 0.3);
    }

    #[test]
    fn intervals_are_clipped() {
        assert_eq!(RrHistory::new().context(0.0).pre_s, RR_MIN_S);
        assert_eq!(RrHistory::new().context(99.0).pre_s, RR_MAX_S);
    }
}
