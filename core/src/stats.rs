//! Sums in one written order, so that every machine rounds alike: plain f32, first element first.

use core::cell::Cell;

/// Arithmetic mean; 0 of nothing.
pub(crate) fn mean(x: &[f32]) -> f32 {
    if x.is_empty() {
        return 0.0;
    }
    x.iter().sum::<f32>() / x.len() as f32
}

/// Sum of squared deviations from the mean.
fn squared_deviations(x: &[f32]) -> f32 {
    let mean = mean(x);
    x.iter().map(|v| (v - mean) * (v - mean)).sum()
}

/// Standard deviation of the population (divided by n, not n - 1); 0 of nothing.
pub(crate) fn std_dev(x: &[f32]) -> f32 {
    libm::sqrtf(squared_deviations(x) / x.len().max(1) as f32)
}

/// Root of the mean square; 0 of nothing.
pub(crate) fn rms(x: &[f32]) -> f32 {
    libm::sqrtf(x.iter().map(|v| v * v).sum::<f32>() / x.len().max(1) as f32)
}

/// Pearson's correlation of two series of one length, in -1..=1; 0 where either is constant.
pub(crate) fn pearson(x: &[f32], y: &[f32]) -> f32 {
    // The rounded mean of a constant may differ from it, and what is left would correlate perfectly.
    let constant = |x: &[f32]| x.iter().all(|v| Some(v) == x.first());
    if constant(x) || constant(y) {
        return 0.0;
    }
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean_x, b - mean_y);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    let norm = libm::sqrtf(xx) * libm::sqrtf(yy);
    if norm > 0.0 {
        (xy / norm).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// Median, of an even number the mean of the middle two; 0 of nothing. Reorders `x`.
pub(crate) fn median(x: &mut [f32]) -> f32 {
    let (half, odd) = (x.len() / 2, x.len() % 2 == 1);
    let middle = select(x, half);
    if odd || x.is_empty() {
        return middle;
    }
    let below = x
        .iter()
        .take(half)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    (below + middle) / 2.0
}

/// The element that sorting would put at `place`, and everything before it no larger: Hoare's FIND (1961); 0 where there is no
/// such place. Of some dozens of values it takes as long as the library's selection, in a tenth of the flash.
fn select(x: &mut [f32], place: usize) -> f32 {
    let x = Cell::from_mut(x).as_slice_of_cells();
    // Every place that is asked for lies inside; if not, the search ends.
    let at = |place: usize| x.get(place).map(Cell::get);
    let is_less = |a: Option<f32>, b: Option<f32>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_lt(),
        _ => false,
    };
    let (mut low, mut end) = (0, x.len());
    while low + 1 < end {
        let pivot = at(place);
        let (mut i, mut j) = (low, end);
        while i < j {
            while is_less(at(i), pivot) {
                i += 1;
            }
            while is_less(pivot, at(j.wrapping_sub(1))) {
                j -= 1;
            }
            if i < j {
                if let (Some(a), Some(b)) = (x.get(i), x.get(j - 1)) {
                    a.swap(b);
                }
                i += 1;
                j -= 1;
            }
        }
        // Up to j nothing is above the pivot, from i on nothing below it.
        if j <= place {
            low = i;
        }
        if i > place {
            end = j;
        }
    }
    at(place).unwrap_or(0.0)
}

/// Sorts a few values, smallest first.
pub(crate) fn sort<T: Copy + PartialOrd>(x: &mut [T]) {
    let x = Cell::from_mut(x).as_slice_of_cells();
    // Each value goes down to its place among those before it, which are in order.
    for end in 2..=x.len() {
        for pair in x.get(..end).unwrap_or_default().windows(2).rev() {
            let [a, b] = pair else {
                break;
            };
            if a.get() <= b.get() {
                break;
            }
            a.swap(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_selection_is_what_sorting_finds() {
        for len in 1..=65_usize {
            for seed in 0..20_usize {
                // Some with many equals, some in order, some against it.
                let value = |i: usize| match seed {
                    0 => i as f32,
                    1 => -(i as f32),
                    2 => 1.0,
                    3..10 => ((i * 7919 + seed * 31) % 5) as f32,
                    _ => ((i * 7919 + seed * 104_729) % 1009) as f32,
                };
                let values: Vec<f32> = (0..len).map(value).collect();
                let mut sorted = values.clone();
                sorted.sort_by(f32::total_cmp);
                for place in 0..len {
                    let mut x = values.clone();
                    assert_eq!(select(&mut x, place), sorted[place]);
                    assert!(x[..place].iter().all(|v| *v <= sorted[place]));
                    x.sort_by(f32::total_cmp);
                    assert_eq!(x, sorted);
                }
            }
        }
    }

    #[test]
    fn few_values_are_sorted() {
        for len in 0..20_usize {
            for seed in 0..50_usize {
                let mut values: Vec<usize> =
                    (0..len).map(|i| (i * 7919 + seed * 31) % 11).collect();
                let mut sorted = values.clone();
                sorted.sort_unstable();
                sort(&mut values);
                assert_eq!(values, sorted);
            }
        }
    }

    #[test]
    fn against_hand_computed_values() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(std_dev(&[1.0, 3.0]), 1.0);
        assert_eq!(rms(&[3.0, 4.0, 0.0, 0.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [5.0, 1.0, 9.0]), 5.0);
        assert_eq!(median(&mut [5.0, 1.0, 9.0, 6.0]), 5.5);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), 1.0);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), -1.0);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[7.0, 7.0, 7.0]), 0.0);
        assert_eq!(pearson(&[0.3; 33], &[0.1; 33]), 0.0);
        // Deviations (-1, 0, 1) and (-7/3, 5/3, 2/3): r = 3 / sqrt(2 * 26/3).
        let r = pearson(&[1.0, 2.0, 3.0], &[1.0, 5.0, 4.0]);
        assert!((r - 0.720_576_7).abs() < 1e-6, "{r}");
    }
}
