//! The spectrogram view: how the beat's spectrum moves through time.

use super::{SPECTROGRAM_LEN, hann};
use crate::spec::{
    BEAT_BEFORE_SAMPLES, SPECTROGRAM_BEFORE_SAMPLES, SPECTROGRAM_BINS, SPECTROGRAM_FFT_LEN,
    SPECTROGRAM_FRAME_SAMPLES, SPECTROGRAM_FRAMES, SPECTROGRAM_HOP_SAMPLES,
};
use crate::template::BeatWindow;

pub(super) const HANN: [f32; SPECTROGRAM_FRAME_SAMPLES] = hann();
pub(super) const START: usize = BEAT_BEFORE_SAMPLES - SPECTROGRAM_BEFORE_SAMPLES;
pub(super) const PER_UNIT: f32 = 1.0 / 4.0;
/// Added to power before the logarithm: what lies below is not told apart.
pub(super) const POWER_FLOOR: f32 = 0.02;

/// One channel of the spectrogram view: `ln |X(f, t)|` at 2, 4, ... 32 Hz, as `0.5 ln(re^2 + im^2 + 0.02)`, of eleven
/// frames of 32 samples, 8 apart, that span `R-48..=R+63`; each under a symmetric Hann window, transformed with zeros
/// up to 64 points and divided by 4.
///
/// # Shapes
/// `[BEAT_LEN_SAMPLES]` -> `[SPECTROGRAM_BINS, SPECTROGRAM_FRAMES]`, frequency first
pub fn spectrogram(normalised: &BeatWindow) -> [f32; SPECTROGRAM_LEN] {
    let mut view = [0.0; SPECTROGRAM_LEN];
    let frames = normalised[START..]
        .windows(SPECTROGRAM_FRAME_SAMPLES)
        .step_by(SPECTROGRAM_HOP_SAMPLES);
    for (t, frame) in frames.take(SPECTROGRAM_FRAMES).enumerate() {
        let mut buffer = [0.0; SPECTROGRAM_FFT_LEN];
        for ((out, x), w) in buffer.iter_mut().zip(frame).zip(&HANN) {
            *out = x * w;
        }
        let bins = microfft::real::rfft_64(&mut buffer);
        // Bin 0 holds DC and, packed into its imaginary part, the Nyquist bin: the view begins after it.
        for (f, bin) in bins[1..=SPECTROGRAM_BINS].iter().enumerate() {
            let (re, im) = (bin.re * PER_UNIT, bin.im * PER_UNIT);
            view[f * SPECTROGRAM_FRAMES + t] = 0.5 * libm::logf(re * re + im * im + POWER_FLOOR);
        }
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
            let view = spectrogram(&window);
            for t in 0..SPECTROGRAM_FRAMES {
                let start = 64 - 48 + 8 * t;
                let windowed: std::vec::Vec<f64> = window[start..start + 32]
                    .iter()
                    .zip(hann_f64(32))
                    .map(|(x, w)| f64::from(*x) * w)
                    .collect();
                for f in 0..SPECTROGRAM_BINS {
                    let power = power_at(&windowed, 2.0 * (f + 1) as f64) / 16.0;
                    let expected = 0.5 * (power + 0.02).ln();
                    let found = f64::from(view[f * SPECTROGRAM_FRAMES + t]);
                    largest = largest.max((found - expected).abs());
                }
            }
        }
        assert!((1e-9..3e-6).contains(&largest), "largest error {largest:e}");
    }

    #[test]
    fn a_burst_is_where_and_what_it_was() {
        let mut window = [0.0; 128];
        for (i, x) in window.iter_mut().enumerate().skip(64).take(32) {
            *x = (2.0 * core::f32::consts::PI * 16.0 * i as f32 / 128.0).sin();
        }
        let view = spectrogram(&window);
        let peak = (0..SPECTROGRAM_LEN).max_by(|a, b| view[*a].total_cmp(&view[*b]));
        // Frame 6 begins at R - 48 + 6 * 8 = R; 16 Hz is the eighth bin.
        assert_eq!(peak, Some(7 * SPECTROGRAM_FRAMES + 6));
        assert_eq!(view[0], 0.5 * libm::logf(0.02));
    }
}
