//! Baseline removal and band limitation: one causal Butterworth band-pass.

use biquad::{Biquad, Coefficients, DirectForm1, DirectForm2Transposed};

/// Numerator and denominator `[b0, b1, b2, a1, a2]` of the section with the upper corner (a0 = 1).
///
/// Second-order Butterworth prototype, band-pass from [`crate::spec::FILTER_LOW_HZ`] to
/// [`crate::spec::FILTER_HIGH_HZ`] at [`crate::spec::SAMPLE_RATE_HZ`] by the bilinear transform with both corners
/// prewarped: `scipy.signal.butter(2, [0.5, 40], "bandpass", fs=128, output="sos")`, SciPy 1.x, rounded to f32.
const LOW_PASS: [f32; 5] = [
    0.409_674_674_510_084_1_f64 as f32,
    0.819_349_349_020_168_2_f64 as f32,
    0.409_674_674_510_084_1_f64 as f32,
    0.455_472_714_475_894_f64 as f32,
    0.212_257_615_305_655_76_f64 as f32,
];

/// The section with the lower corner, for the differences of its input: `1 - 2 z^-1 + z^-2` is `(1 - z^-1)^2`, and its
/// first factor is [`BandPass::push`]'s subtraction of the sample before.
const HIGH_PASS_OF_DIFFERENCES: [f32; 5] = [
    1.0,
    -1.0,
    0.0,
    -1.965_292_950_834_580_2_f64 as f32,
    0.965_894_745_947_659_8_f64 as f32,
];

/// Largest magnitude of a sample that the filter takes as it is, in mV; beyond, it saturates. Electrode offsets stay
/// below 300 mV (IEC 60601-2-47), so that only a broken sample is touched.
pub(crate) const INPUT_LIMIT_MV: f32 = 1000.0;

/// Causal Butterworth band-pass, 0.5-40 Hz, 12 dB per octave on either side, as two biquads.
///
/// The high-pass comes first and takes the differences of successive samples, in direct form 1: f32 subtracts
/// neighbours exactly, and an electrode's offset, however large and wherever it drifts, is in no state to be rounded.
///
/// It starts in the steady state of its first sample: a band-pass answers a constant with zero, so the first difference
/// and all states are zero. From 5 to 40 Hz it delays by less than a sample; lower frequencies it advances, by 3
/// samples at 2 Hz and 15 at 1 Hz (phase delay).
///
/// A sample that is not finite repeats the last finite one (nothing poisons the state); see
/// [`crate::quality`] for what is made of such stretches.
#[derive(Debug, Clone)]
pub struct BandPass {
    high_pass: DirectForm1<f32>,
    low_pass: DirectForm2Transposed<f32>,
    last_mv: Option<f32>,
}

impl BandPass {
    /// A filter that has seen nothing.
    pub const fn new() -> Self {
        Self {
            high_pass: DirectForm1::<f32>::new(coefficients(HIGH_PASS_OF_DIFFERENCES)),
            low_pass: DirectForm2Transposed::<f32>::new(coefficients(LOW_PASS)),
            last_mv: None,
        }
    }

    /// Filters one sample at the canonical rate, in mV.
    pub fn push(&mut self, sample_mv: f32) -> f32 {
        let Some(sample_mv) = Some(sample_mv).filter(|x| x.is_finite()).or(self.last_mv) else {
            return 0.0;
        };
        let sample_mv = sample_mv.clamp(-INPUT_LIMIT_MV, INPUT_LIMIT_MV);
        let difference = sample_mv - self.last_mv.unwrap_or(sample_mv);
        self.last_mv = Some(sample_mv);
        self.low_pass.run(self.high_pass.run(difference))
    }
}

const fn coefficients([b0, b1, b2, a1, a2]: [f32; 5]) -> Coefficients<f32> {
    Coefficients { b0, b1, b2, a1, a2 }
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

    /// Response to a sine of `hz` in the steady state: the amplitude in phase with it, and that a quarter turn ahead.
    fn response(hz: f64) -> (f64, f64) {
        let mut filter = BandPass::new();
        let (mut in_phase, mut ahead) = (0.0, 0.0);
        let rate = f64::from(SAMPLE_RATE_HZ);
        let (settle, span) = (128 * 40, 128 * 40);
        for i in 0..settle + span {
            let phase = 2.0 * PI * hz * i as f64 / rate;
            let y = f64::from(filter.push(phase.sin() as f32));
            if i >= settle {
                in_phase += y * phase.sin();
                ahead += y * phase.cos();
            }
        }
        let scale = 2.0 / span as f64;
        (in_phase * scale, ahead * scale)
    }

    fn measured_power(hz: f64) -> f64 {
        let (in_phase, ahead) = response(hz);
        in_phase * in_phase + ahead * ahead
    }

    /// Phase delay against SciPy: `-angle(freqz_sos(sos, f, fs=128)) / (2 pi f) * 128`.
    #[test]
    fn delay_is_what_the_documentation_says() {
        for (hz, samples) in [
            (1.0, -14.98),
            (2.0, -3.20),
            (5.0, -0.10),
            (10.0, 0.35),
            (20.0, 0.50),
            (40.0, 0.80),
        ] {
            let (in_phase, ahead) = response(hz);
            let found = -ahead.atan2(in_phase) / (2.0 * PI * hz) * f64::from(SAMPLE_RATE_HZ);
            assert!((found - samples).abs() < 0.01, "{hz} Hz: {found} samples");
        }
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
