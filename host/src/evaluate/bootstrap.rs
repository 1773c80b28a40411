//! Intervals by bootstrap over patients (Efron 1979, Ann. Statist. 7:1).
//!
//! Beats of one patient resemble each other, so beats are no independent draws; patients are. Each resample draws as
//! many patients as there are, with replacement, adds up their tables and computes the figures anew.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::ops::AddAssign;

/// How many resamples, from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Seed of the random numbers (ChaCha8): the same seed gives the same intervals on every machine.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 2000,
            seed: 1,
        }
    }
}

/// What the resamples say of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Median over the resamples.
    pub median: Option<f64>,
    /// Lower end of the 95 % interval, the 2.5th percentile.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval, the 97.5th percentile.
    pub high: Option<f64>,
    /// Resamples in which the figure was undefined; they are left out.
    pub undefined: usize,
}

impl Interval {
    fn new(mut values: Vec<f64>, resamples: usize) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            median: quantile(&values, 0.5),
            low: quantile(&values, 0.025),
            high: quantile(&values, 0.975),
            undefined: resamples - values.len(),
        }
    }
}

/// The quantile `at` (0 to 1) of sorted values, interpolated linearly between neighbours (type 7 of Hyndman and Fan
/// 1996, Am. Stat. 50:361).
fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = at * last as f64;
    let below = place as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (place - below as f64) * (sorted[above] - sorted[below]))
}

impl Bootstrap {
    /// Intervals of the figures that `figures` computes from pooled counts, given one table a patient - or two, to see what
    /// a change is worth on the same patients.
    pub fn intervals<T: Default + for<'a> AddAssign<&'a T>, const N: usize>(
        &self,
        patients: &[T],
        figures: impl Fn(&T) -> [Option<f64>; N],
    ) -> [Interval; N] {
        let mut values: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(self.resamples));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for _ in 0..self.resamples {
            let mut pooled = T::default();
            for _ in patients {
                pooled += &patients[random.random_range(0..patients.len())];
            }
            for (values, figure) in values.iter_mut().zip(figures(&pooled)) {
                values.extend(figure);
            }
        }
        values.map(|values| Interval::new(values, self.resamples))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::bxb::{Label, Table};
    use super::*;
    use heartlens_core::class::Class;

    fn patient(right: u64, wrong: u64) -> Table {
        let mut rows = [[0; Label::COUNT]; Label::COUNT];
        rows[0][0] = right;
        rows[0][Label::Beat(Class::V).index()] = wrong;
        Table::from_rows(rows)
    }

    fn accuracy(table: &Table) -> [Option<f64>; 1] {
        [table.confusion().accuracy()]
    }

    /// NumPy 2: np.quantile([1, 2, 4, 8, 16], [0.025, 0.5, 0.975]) = [1.1, 4.0, 15.2].
    #[test]
    fn quantiles_are_numpys() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (at, expected) in [(0.025, 1.1), (0.5, 4.0), (0.975, 15.2)] {
            let found = quantile(&values, at).unwrap();
            assert!(
                (found - expected).abs() < 1e-12,
                "{at}: {found}, not {expected}"
            );
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.975), Some(7.0));
    }

    /// Patients of equal size with accuracies 0 and 1 in equal number: the mean of n fair coins, whose standard
    /// deviation is 1 / (2 sqrt n), so that 95 % lie within 1.96 of those around a half.
    #[test]
    fn the_interval_is_that_of_the_binomial() {
        let patients: Vec<Table> = (0..100)
            .map(|i| {
                if i % 2 == 0 {
                    patient(50, 0)
                } else {
                    patient(0, 50)
                }
            })
            .collect();
        let [found] = Bootstrap::default().intervals(&patients, accuracy);
        let half_width = 1.96 * 0.5 / 10.0;
        assert!((found.median.unwrap() - 0.5).abs() < 0.011, "{found:?}");
        assert!(
            (found.low.unwrap() - (0.5 - half_width)).abs() < 0.015,
            "{found:?}"
        );
        assert!(
            (found.high.unwrap() - (0.5 + half_width)).abs() < 0.015,
            "{found:?}"
        );
        assert_eq!(found.undefined, 0);
    }

    /// Patients are drawn, not beats: one patient alone leaves no spread however many beats he has.
    #[test]
    fn a_single_patient_has_no_spread() {
        let [found] = Bootstrap::default().intervals(&[patient(600, 400)], accuracy);
        assert_eq!(
            (found.low, found.median, found.high),
            (Some(0.6), Some(0.6), Some(0.6))
        );
    }

    #[test]
    fn the_seed_decides() {
        let patients: Vec<Table> = (0..9).map(|i| patient(10 + 7 * i, 3 * i * i)).collect();
        let of = |seed| {
            Bootstrap {
                resamples: 50,
                seed,
            }
            .intervals(&patients, accuracy)
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    /// A figure that only one of two patients defines is undefined in a quarter of the resamples.
    #[test]
    fn undefined_resamples_are_counted() {
        let mut ventricular = Table::default();
        ventricular.add(Label::Beat(Class::V), Label::Beat(Class::V));
        let [found] =
            Bootstrap::default().intervals(&[patient(5, 0), ventricular], |table| [table.veb().se]);
        assert!((400..=600).contains(&found.undefined), "{found:?}");
        assert_eq!((found.low, found.high), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn nobody_has_no_interval() {
        let [found] = Bootstrap::default().intervals(&[], accuracy);
        assert_eq!((found.median, found.undefined), (None, 2000));
    }
}
