//! A beat's shape, for comparison with another beat of the same heart.

use super::Views;
use crate::spec::{WAVEFORM_BEFORE_SAMPLES, WAVEFORM_LEN_SAMPLES};
use core::ops::Range;

/// The QRS complex, in samples around the R peak,
const QRS: Range<i32> = -16..17;
/// and the weight of its samples: about one over the root of their number.
const QRS_WEIGHT: f32 = 1.0 / 6.0;
/// The P wave,
const P: Range<i32> = -36..-9;
/// and the weight of its samples: it is small, and says more.
const P_WEIGHT: f32 = 2.0 / 5.2;

/// Distances are summed up in this many lanes.
const LANES: usize = 8;
/// Samples of a shape, in whole lanes.
const LEN: usize = ((QRS.end - QRS.start + P.end - P.start) as usize).next_multiple_of(LANES);

const _: () = assert!(
    P.start + WAVEFORM_BEFORE_SAMPLES as i32 >= 0
        && QRS.end + WAVEFORM_BEFORE_SAMPLES as i32 <= WAVEFORM_LEN_SAMPLES as i32
);

/// QRS complex and P wave of a beat in one lead, each around its own mean, in units of the template's scale; the P wave counts
/// 2.3 times as much as the QRS complex.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape([f32; LEN]);

impl Shape {
    /// Values of a shape.
    pub(crate) const LEN: usize = LEN;

    /// The values, in the order of time within the QRS complex and then within the P wave; the last ones are 0.
    pub(crate) const fn values(&self) -> &[f32; LEN] {
        &self.0
    }

    /// Of a beat's waveform view.
    pub fn of(views: &Views) -> Self {
        let mut shape = [0.0; LEN];
        let mut places = shape.iter_mut();
        for (part, weight) in [(QRS, QRS_WEIGHT), (P, P_WEIGHT)] {
            let start = (WAVEFORM_BEFORE_SAMPLES as i32 + part.start) as usize;
            let len = (part.end - part.start) as usize;
            let samples = || views.waveform.iter().skip(start).take(len);
            let mean = samples().sum::<f32>() / len as f32;
            for (sample, place) in samples().zip(&mut places) {
                *place = weight * (sample - mean);
            }
        }
        Self(shape)
    }

    /// The squared Euclidean distance.
    pub fn squared_distance(&self, other: &Self) -> f32 {
        let mut sums = [0.0_f32; LANES];
        let (a, b) = (
            self.0.as_chunks::<LANES>().0,
            other.0.as_chunks::<LANES>().0,
        );
        for (a, b) in a.iter().zip(b) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += (a - b) * (a - b);
            }
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_of_p_wave_and_qrs_complex() {
        let mut views = Views::ZERO;
        let flat = Shape::of(&views);
        let with = |views: &mut Views, place: usize, value| {
            views.waveform[place] = value;
            let distance = Shape::of(views).squared_distance(&flat);
            views.waveform[place] = 0.0;
            distance
        };
        // One sample of n, around the mean: 1 - 1/n of its square.
        let qrs = with(&mut views, WAVEFORM_BEFORE_SAMPLES, 3.0);
        assert!((qrs - 9.0 / 36.0 * 32.0 / 33.0).abs() < 1e-6, "{qrs}");
        let p = with(&mut views, WAVEFORM_BEFORE_SAMPLES - 36, 3.0);
        assert!(
            (p - 9.0 * P_WEIGHT * P_WEIGHT * 26.0 / 27.0).abs() < 1e-5,
            "{p}"
        );
        // Before the P wave, behind the QRS complex, in the template.
        for place in [3, WAVEFORM_BEFORE_SAMPLES + 17, WAVEFORM_LEN_SAMPLES + 40] {
            assert_eq!(with(&mut views, place, 3.0), 0.0, "{place}");
        }
    }
}
