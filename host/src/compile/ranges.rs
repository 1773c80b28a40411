//! How much of what a tensor or a row of weights holds its integers cover.

use std::fmt;

/// Most values that the mean squared error is taken over; more are thinned out evenly.
const MAX_VALUES: usize = 1 << 15;
/// Shares of the whole range that are tried for the smallest mean squared error, in hundredths.
const SHARES: std::ops::RangeInclusive<u32> = 20..=100;

/// How an activation's range is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RangeRule {
    /// What this percentage of the values does not exceed, on either side; 100 is from the smallest to the largest.
    Percentile(f64),
    /// The range whose int8 values have the smallest mean squared error.
    MeanSquare,
}

/// How a row of weights gets its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightRule {
    /// The largest magnitude becomes 127.
    Largest,
    /// The scale whose int8 weights have the smallest mean squared error.
    MeanSquare,
}

impl RangeRule {
    /// All that are tried.
    pub const ALL: [Self; 4] = [
        Self::Percentile(100.0),
        Self::Percentile(99.99),
        Self::Percentile(99.9),
        Self::MeanSquare,
    ];

    /// The range from `low` to `high` that is covered of `values`; zero always is.
    pub(super) fn range(self, values: &[f32]) -> [f32; 2] {
        match self {
            Self::Percentile(percent) => {
                let low = quantile(values, 1.0 - percent / 100.0);
                let high = quantile(values, percent / 100.0);
                [low.min(0.0), high.max(0.0)]
            }
            Self::MeanSquare => {
                let [low, high] = Self::Percentile(100.0).range(values);
                let thin = thinned(values);
                let share = best_share(|share| {
                    let scale = f64::from(high - low) * share / 255.0;
                    let (low, high) = (f64::from(low) * share, f64::from(high) * share);
                    squared_error(&thin, scale, low, high)
                });
                [low * share as f32, high * share as f32]
            }
        }
    }

    /// The magnitude that is covered of `values`, the same on both sides of zero.
    pub(super) fn magnitude(self, values: &[f32]) -> f32 {
        match self {
            Self::Percentile(percent) => {
                let magnitudes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
                quantile(&magnitudes, percent / 100.0)
            }
            Self::MeanSquare => {
                let largest = Self::Percentile(100.0).magnitude(values);
                let thin = thinned(values);
                let share = best_share(|share| symmetric_error(&thin, largest, share));
                largest * share as f32
            }
        }
    }
}

impl fmt::Display for RangeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "percentile {percent}"),
            Self::MeanSquare => f.write_str("mean squared error"),
        }
    }
}

impl WeightRule {
    /// All that are tried.
    pub const ALL: [Self; 2] = [Self::Largest, Self::MeanSquare];

    /// The magnitude that becomes 127; 0 where all weights are.
    pub(super) fn magnitude(self, row: &[f32]) -> f32 {
        match self {
            Self::Largest => RangeRule::Percentile(100.0).magnitude(row),
            Self::MeanSquare => RangeRule::MeanSquare.magnitude(row),
        }
    }
}

impl fmt::Display for WeightRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Largest => "largest magnitude",
            Self::MeanSquare => "mean squared error",
        })
    }
}

/// The value below which `share` of the values lie, 0..=1, by the nearest rank; 0 where there is none.
fn quantile(values: &[f32], share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let mut values = values.to_vec();
    let rank = ((values.len() - 1) as f64 * share).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    *value
}

/// At most [`MAX_VALUES`] of the values, evenly.
fn thinned(values: &[f32]) -> Vec<f64> {
    let step = values.len().div_ceil(MAX_VALUES).max(1);
    values.iter().step_by(step).map(|v| f64::from(*v)).collect()
}

/// The share of the range with the smallest error, the largest share of equals.
fn best_share(error: impl Fn(f64) -> f64) -> f64 {
    let mut best = (f64::INFINITY, 1.0);
    for hundredths in SHARES.rev() {
        let share = f64::from(hundredths) / 100.0;
        let error = error(share);
        if error < best.0 {
            best = (error, share);
        }
    }
    best.1
}

fn symmetric_error(values: &[f64], largest: f32, share: f64) -> f64 {
    let largest = f64::from(largest) * share;
    squared_error(values, largest / 127.0, -largest, largest)
}

/// Sum of the squared errors of values that are rounded to whole `scale` and clamped.
fn squared_error(values: &[f64], scale: f64, low: f64, high: f64) -> f64 {
    if scale <= 0.0 {
        return 0.0;
    }
    values
        .iter()
        .map(|value| {
            let rounded = ((value / scale).round() * scale).clamp(low, high);
            (rounded - value) * (rounded - value)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_cut_both_tails_and_keep_zero() {
        let values: Vec<f32> = (0..=10_000).map(|i| i as f32 / 1000.0 - 2.0).collect();
        assert_eq!(RangeRule::Percentile(100.0).range(&values), [-2.0, 8.0]);
        let [low, high] = RangeRule::Percentile(99.9).range(&values);
        assert!((low + 1.99).abs() < 2e-3 && (high - 7.99).abs() < 2e-3);
        let positive: Vec<f32> = values.iter().map(|v| v + 3.0).collect();
        assert_eq!(RangeRule::Percentile(99.9).range(&positive)[0], 0.0);
        assert_eq!(RangeRule::Percentile(100.0).magnitude(&values), 8.0);
        assert_eq!(RangeRule::MeanSquare.range(&[]), [0.0, 0.0]);
        assert_eq!(WeightRule::MeanSquare.magnitude(&[0.0, 0.0]), 0.0);
    }

    /// Values that lie on the integers' grid have no error at the full range; an outlier is covered as far as it pays.
    #[test]
    fn the_mean_squared_error_decides() {
        let on_grid: Vec<f32> = (-127..=127).map(|i| i as f32).collect();
        assert_eq!(RangeRule::MeanSquare.magnitude(&on_grid), 127.0);
        let mut small: Vec<f32> = (0..30_000).map(|i| (i % 997) as f32 / 997.0).collect();
        small.push(3.0);
        let [low, high] = RangeRule::MeanSquare.range(&small);
        assert_eq!(low, 0.0);
        // 30,000 (h / 255)^2 / 12 + (3 - h)^2 is smallest at 2.89.
        assert!((2.86..2.92).contains(&high), "{high}");
    }
}
