//! The four views in which the network sees a beat, one file each.
//!
//! Waveform, spectrum and spectrogram have two channels: the beat and the patient's template, both divided by the
//! template's scale ([`normalise`]). Arithmetic is plain f32 in one written order with `libm`, so that a view has the
//! same bits on every machine. With the feature `simd` on x86-64, [`Views::compute`] runs eight transforms side by side
//! where the processor can (`x86`), in that order too.

pub mod metadata;
mod shape;
pub mod spectrogram;
pub mod spectrum;
mod view;
pub mod waveform;
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
mod x86;

pub use shape::Shape;
pub use view::View;

use crate::beat::BeatFrame;
use crate::spec::{
    CHANNELS, CLIP_SCALES, METADATA_LEN, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES, SPECTRUM_BINS,
    WAVEFORM_LEN_SAMPLES,
};
use crate::template::BeatWindow;

/// Values of one channel of the spectrogram view.
pub(crate) const SPECTROGRAM_LEN: usize = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES;

/// The four views of one beat, each in row-major order of its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Views {
    /// # Shapes
    /// `[CHANNELS, WAVEFORM_LEN_SAMPLES]` = `[2, 96]`, in units of the template's scale.
    pub waveform: [f32; CHANNELS * WAVEFORM_LEN_SAMPLES],
    /// # Shapes
    /// `[CHANNELS, SPECTRUM_BINS]` = `[2, 64]`, natural logarithm of magnitude.
    pub spectrum: [f32; CHANNELS * SPECTRUM_BINS],
    /// # Shapes
    /// `[CHANNELS, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES]` = `[2, 16, 11]`, natural logarithm of magnitude.
    pub spectrogram: [f32; CHANNELS * SPECTROGRAM_LEN],
    /// # Shapes
    /// `[METADATA_LEN]` = `[46]`; see [`metadata`].
    pub metadata: [f32; METADATA_LEN],
}

impl Views {
    /// Views of nothing: all zeros. To be filled by [`Views::compute`].
    pub const ZERO: Self = Self {
        waveform: [0.0; CHANNELS * WAVEFORM_LEN_SAMPLES],
        spectrum: [0.0; CHANNELS * SPECTRUM_BINS],
        spectrogram: [0.0; CHANNELS * SPECTROGRAM_LEN],
        metadata: [0.0; METADATA_LEN],
    };

    /// Computes all four views of a beat.
    pub fn compute(&mut self, frame: &BeatFrame) {
        let mut part = 0;
        while self.compute_part(frame, part) {
            part += 1;
        }
    }

    /// One part of [`Views::compute`], numbered from 0: a channel, or all that the processor does at a time. Whether more
    /// are to come.
    pub(crate) fn compute_part(&mut self, frame: &BeatFrame, part: usize) -> bool {
        #[cfg(all(feature = "simd", target_arch = "x86_64"))]
        if x86::compute(self, frame) {
            return false;
        }
        self.compute_portable(frame, part)
    }

    fn compute_portable(&mut self, frame: &BeatFrame, channel: usize) -> bool {
        let window = match channel {
            0 => &frame.beat,
            _ => &frame.template,
        };
        self.compute_channel(channel, &normalise(window, frame.scale_mv));
        self.metadata = frame.metadata;
        channel + 1 < CHANNELS
    }

    /// Computes one channel (0: the beat, 1: the template) of waveform, spectrum and spectrogram from a normalised
    /// window. A channel that is not below [`CHANNELS`] changes nothing.
    pub fn compute_channel(&mut self, channel: usize, normalised: &BeatWindow) {
        fill(&mut self.waveform, channel, waveform::waveform(normalised));
        fill(&mut self.spectrum, channel, &spectrum::spectrum(normalised));
        let spectrogram = spectrogram::spectrogram(normalised);
        fill(&mut self.spectrogram, channel, &spectrogram);
    }
}

/// Fills a channel of a view; of one that is not there, nothing.
fn fill<const N: usize>(view: &mut [f32], channel: usize, values: &[f32; N]) {
    if let Some(place) = view.as_chunks_mut::<N>().0.get_mut(channel) {
        *place = *values;
    }
}

/// A window in units of the template's scale, clipped to +-[`CLIP_SCALES`].
pub fn normalise(window: &BeatWindow, scale_mv: f32) -> BeatWindow {
    let per_scale = 1.0 / scale_mv;
    window.map(|x| (x * per_scale).clamp(-CLIP_SCALES, CLIP_SCALES))
}

/// The symmetric Hann window of `N` points, `0.5 - 0.5 cos(2 pi n / (N - 1))`, computed by the compiler in f64 and
/// rounded once, so that no machine's own cosine enters (Harris 1978, Proc. IEEE 66:51, eq. 27).
pub(crate) const fn hann<const N: usize>() -> [f32; N] {
    let mut window = [0.0; N];
    let mut n = 0;
    while n < N {
        let phase = 2.0 * core::f64::consts::PI * n as f64 / (N - 1) as f64;
        window[n] = (0.5 - 0.5 * cos(phase)) as f32;
        n += 1;
    }
    window
}

/// Cosine of 0..=2 pi by its Taylor series about pi.
const fn cos(phase: f64) -> f64 {
    let x = phase - core::f64::consts::PI;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
    while k < 40.0 {
        term *= -x * x / ((k + 1.0) * (k + 2.0));
        sum += term;
        k += 2.0;
    }
    -sum
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::spec::BEAT_LEN_SAMPLES;
    use std::vec::Vec;

    /// A reproducible window of plausible size: two waves, a spike and a ramp.
    pub(crate) fn sample_window(seed: u32) -> BeatWindow {
        core::array::from_fn(|i| {
            let x = i as f32 + seed as f32 * 0.37;
            let spike = (-((i as f32 - 64.0) / 3.0).powi(2)).exp();
            0.4 * (x * 0.21).sin() + 0.2 * (x * 0.77).cos() + 3.0 * spike + 0.002 * x
        })
    }

    /// Magnitude squared of the discrete-time Fourier transform at `hz`, straight from its definition, in f64.
    pub(crate) fn power_at(x: &[f64], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, v) in x.iter().enumerate() {
            let phase =
                2.0 * std::f64::consts::PI * hz * n as f64 / f64::from(crate::spec::SAMPLE_RATE_HZ);
            re += v * phase.cos();
            im -= v * phase.sin();
        }
        re * re + im * im
    }

    /// Symmetric Hann window in f64 by the standard library's cosine.
    pub(crate) fn hann_f64(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * i as f64 / (n - 1) as f64).cos())
            .collect()
    }

    #[test]
    fn hann_is_the_formula() {
        let table = hann::<128>();
        for (found, expected) in table.iter().zip(hann_f64(128)) {
            assert!((f64::from(*found) - expected).abs() < 6e-8);
        }
    }

    #[test]
    fn normalised_windows_are_scaled_and_clipped() {
        let mut window = [0.5; BEAT_LEN_SAMPLES];
        window[3] = 100.0;
        window[4] = -100.0;
        let out = normalise(&window, 0.25);
        assert_eq!((out[0], out[3], out[4]), (2.0, CLIP_SCALES, -CLIP_SCALES));
    }

    #[test]
    fn channels_land_in_their_own_place() {
        let mut views = Views::ZERO;
        let (beat, template) = (sample_window(1), sample_window(2));
        views.compute_channel(0, &beat);
        views.compute_channel(1, &template);
        assert_eq!(views.waveform[..96], *waveform::waveform(&beat));
        assert_eq!(views.waveform[96..], *waveform::waveform(&template));
        assert_eq!(views.spectrum[..64], spectrum::spectrum(&beat));
        assert_eq!(views.spectrum[64..], spectrum::spectrum(&template));
        assert_eq!(views.spectrogram[..176], spectrogram::spectrogram(&beat));
        assert_eq!(
            views.spectrogram[176..],
            spectrogram::spectrogram(&template)
        );
    }
}
