//! Baseline removal and band limitation: one causal Butterworth band-pass.

use biquad::{Biquad, Coefficients, DirectForm2Transposed};

/// Numerators and denominators `[b0, b1, b2, a1, a2]` of the two second-order sections (a0 = 1).
///
/// Second-order Butterworth prototype, band-pass from [`crate::spec::FILTER_LOW_HZ`] to
/// [`crate::spec::FILTER_HIGH_HZ`] at [`crate::spec::SAMPLE_RATE_HZ`] by the bilinear transform with both corners
/// prewarped: `scipy.signal.butter(2, [0.5, 40], "bandpass", fs=128, output="sos")`, SciPy 1.x, rounded to f32.
const SECTIONS: [[f32; 5]; 2] = [
    [
        0.409_674_674_510_084_1_f64 as f32,
        0.819_349_349_020_168_2_f64 as f32,
        0.409_674_674_510_084_1_f64 as f32,
        0.455_472_714_475_894_f64 as f32,
        0.212_257_615_305_655_76_f64 as f32,
    ],
    [
        1.0,
        -2.0,
        1.0,
        -1.965_292_950_834_580_2_f64 as f32,
        0.965_894_745_947_659_8_f64 as f32,
    ],
];

/// Largest magnitude of a sample that the filter takes as it is, in mV; beyond, it saturates. Electrode offsets stay
/// below 300 mV (IEC 60601-2-47), so that only a broken sample is touched.
pub const INPUT_LIMIT_MV: f32 = 1000.0;

/// Causal Butterworth band-pass, 0.5-40 Hz, 12 dB per octave on either side, as two biquads in transposed direct form 2.
///
/// It starts in the steady state of its first sample: a band-pass answers a constant with zero, so the first sample
/// is subtracted from all and the state starts at zero. Below 20 Hz its group delay is under one sample but for the
/// lowest frequencies, which it advances.
///
/// A sample that is not finite repeats the last finite one (nothing poisons the state); see
/// [`crate::quality`] for what is made of such stretches.
#[derive(Debug, Clone)]
pub struct BandPass {
    sections: [DirectForm2Transposed<f32>; 2],
    origin_mv: Option<f32>,
    last_mv: f32,
}

impl BandPass {
    /// A filter that has seen nothing.
    pub const fn new() -> Self {
        const fn section(c: [f32; 5]) -> DirectForm2Transposed<f32> {
            DirectForm2Transposed::<f32>::new(Coefficients {
                b0: c[0],
                b1: c[1],
                b2: c[2],
                a1: c[3],
                a2: c[4],
            })
        }
        Self {
            sections: [section(SECTIONS[0]), section(SECTIONS[1])],
            origin_mv: None,
            last_mv: 0.0,
        }
    }

    /// Filters one sample at the canonical rate, in mV.
    pub fn push(&mut self, sample_mv: f32) -> f32 {
        if sample_mv.is_finite() {
            self.last_mv = sample_mv.clamp(-INPUT_LIMIT_MV, INPUT_LIMIT_MV);
        }
        let origin = match self.origin_mv {
            Some(origin) => origin,
            None if sample_mv.is_finite() => *self.origin_mv.insert(self.last_mv),
            None => return 0.0,
        };
        let low_passed = self.sections[0].run(self.last_mv - origin);
        self.sections[1].run(low_passed)
    }
}

impl Default for BandPass {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{FILTER_HIGH_HZ, FILTER_LOW_HZ, SAMPLE_RATE_HZ};
    use std::f64::consts::PI;

    /// Squared magnitude of the analogue Butterworth band-pass of order 2, frequencies warped by the bilinear
    /// transform (Oppenheim & Schafer, Discrete-Time Signal Processing, 7.1).
    fn butterworth_power(hz: f64) -> f64 {
        let warp = |hz: f64| (PI * hz / f64::from(SAMPLE_RATE_HZ)).tan();
        let (low, high, w) = (warp(FILTER_LOW_HZ), warp(FILTER_HIGH_HZ), warp(hz));
        let x = (w * w - low * high) / ((high - low) * w);
        1.0 / (1.0 + x.powi(4))
    }

    /// Power gain at `hz`, from the steady-state response to a sine by projection onto sine and cosine.
    fn measured_power(hz: f64) -> f64 {
        let mut filter = BandPass::new();
        let (mut re, mut im) = (0.0, 0.0);
        let rate = f64::from(SAMPLE_RATE_HZ);
        let (settle, span) = (128 * 40, 128 * 40);
        for i in 0..settle + span {
            let phase = 2.0 * PI * hz * i as f64 / rate;
            let y = f64::from(filter.push(phase.sin() as f32));
            if i >= settle {
                re += y * phase.cos();
                im += y * phase.sin();
            }
        }
        let scale = 2.0 / span as f64;
        (re * scale).powi(2) + (im * scale).powi(2)
    }

    #[test]
    fn response_is_the_butterworth_formula() {
        for hz in [0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 25.0, 40.0, 50.0, 60.0] {
            let (found, expected) = (measured_power(hz), butterworth_power(hz));
            assert!(
                (found - expected).abs() < 2e-4 + 2e-3 * expected,
                "{hz} Hz: {found} against {expected}"
            );
        }
        assert!((butterworth_power(FILTER_LOW_HZ) - 0.5).abs() < 1e-9);
        assert!((butterworth_power(FILTER_HIGH_HZ) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_constant_gives_zero_from_the_first_sample_on() {
        let mut filter = BandPass::new();
        assert!((0..1000).all(|_| filter.push(217.5) == 0.0));
    }

    #[test]
    fn broken_samples_leave_no_trace() {
        let signal = |i: i32| (i as f32 * 0.3).sin();
        let mut filter = BandPass::new();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(BandPass::new().push(bad), 0.0);
            for i in 0..200 {
                filter.push(if i % 7 == 0 { bad } else { signal(i) });
            }
        }
        filter.push(f32::MAX);
        filter.push(f32::MIN);
        let mut clean = BandPass::new();
        for i in 0..128 * 30 {
            let (found, expected) = (filter.push(signal(i)), clean.push(signal(i)));
            assert!(found.is_finite());
            assert!(i < 128 * 20 || (found - expected).abs() < 1e-3, "{i}");
        }
    }
}
