//! The spectrum view: how the beat's energy is spread over frequency.

use super::hann;
use crate::spec::{BEAT_LEN_SAMPLES, SPECTRUM_BINS, SPECTRUM_FFT_LEN};
use crate::template::BeatWindow;

pub(super) const HANN: [f32; BEAT_LEN_SAMPLES] = hann();
/// The sum of a Hann window of 128 points is 63.5: dividing by 8 brings a beat's magnitudes near 1.
pub(super) const PER_UNIT: f32 = 1.0 / 8.0;
/// Added to power before the logarithm: what lies below is not told apart.
pub(super) const POWER_FLOOR: f32 = 0.05;

/// One channel of the spectrum view: `ln |X(f)|` at 0.5, 1, ... 32 Hz, as `0.5 ln(re^2 + im^2 + 0.05)`, of the whole
/// normalised window under a symmetric Hann window, transformed with zeros up to 256 points and divided by 8.
///
/// # Shapes
/// `[BEAT_LEN_SAMPLES]` -> `[SPECTRUM_BINS]`
pub fn spectrum(normalised: &BeatWindow) -> [f32; SPECTRUM_BINS] {
    let mut buffer = [0.0; SPECTRUM_FFT_LEN];
    for ((out, x), w) in buffer.iter_mut().zip(normalised).zip(&HANN) {
        *out = x * w;
    }
    let bins = microfft::real::rfft_256(&mut buffer);
    let mut view = [0.0; SPECTRUM_BINS];
    // Bin 0 holds DC and, packed into its imaginary part, the Nyquist bin: the view begins after it.
    for (out, bin) in view.iter_mut().zip(&bins[1..]) {
        let (re, im) = (bin.re * PER_UNIT, bin.im * PER_UNIT);
        *out = 0.5 * libm::logf(re * re + im * im + POWER_FLOOR);
    }
    view
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hann_f64, power_at, sample_window};
    use super::*;

    #[test]
    fn equals_the_definition_in_f64() {
        let mut largest = 0.0_f64;
        for seed in 0..20 {
            let window = sample_window(seed);
            let windowed: std::vec::Vec<f64> = window
                .iter()
                .zip(hann_f64(128))
                .map(|(x, w)| f64::from(*x) * w)
                .collect();
            for (k, found) in spectrum(&window).iter().enumerate() {
                let power = power_at(&windowed, 0.5 * (k + 1) as f64) / 64.0;
                let expected = 0.5 * (power + 0.05).ln();
                largest = largest.max((f64::from(*found) - expected).abs());
            }
        }
        assert!((1e-9..2e-6).contains(&largest), "largest error {largest:e}");
    }

    #[test]
    fn a_sine_stands_in_its_bin() {
        let window =
            core::array::from_fn(|i| (2.0 * core::f32::consts::PI * 10.0 * i as f32 / 128.0).sin());
        let view = spectrum(&window);
        let peak = (0..SPECTRUM_BINS).max_by(|a, b| view[*a].total_cmp(&view[*b]));
        assert_eq!(peak, Some(19), "10 Hz is bin 20, the view's twentieth");
        // Amplitude 1: |X| = 63.5 / 2 / 8 (the Hann window of 128 points sums to 63.5).
        assert!((view[19] - (63.5_f32 / 16.0).ln()).abs() < 0.01);
    }

    #[test]
    fn silence_is_the_floor() {
        assert!(
            spectrum(&[0.0; 128])
                .iter()
                .all(|v| *v == 0.5 * libm::logf(0.05))
        );
    }
}
