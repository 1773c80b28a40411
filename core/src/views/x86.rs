//! The fast twin of spectrum and spectrogram for x86-64 with AVX2: the same bits, eight transforms at a time.
//!
//! A lane of a vector runs one transform, step by step as `microfft` does (its real transform of N values is a complex
//! one of N / 2, decimated in time, taken apart afterwards), so that nothing is rounded otherwise. The 22 frames of the two
//! spectrograms fill three vectors. Of a spectrum's transform, the first stages fall apart into four transforms of the
//! frames' size: those of both channels fill one vector.
#![allow(
    unsafe_code,
    reason = "a function that needs AVX2 is called once the processor is known to have it"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "a lane is the same place in every vector"
)]

use super::{SPECTROGRAM_LEN, Views, cos, normalise, spectrogram, spectrum, waveform};
use crate::beat::BeatFrame;
use crate::spec::{
    BEAT_LEN_SAMPLES, CHANNELS, SPECTROGRAM_BINS, SPECTROGRAM_FFT_LEN, SPECTROGRAM_FRAME_SAMPLES,
    SPECTROGRAM_FRAMES, SPECTROGRAM_HOP_SAMPLES, SPECTRUM_BINS, SPECTRUM_FFT_LEN,
};
use crate::template::BeatWindow;

/// Values of a vector.
const LANES: usize = 8;
/// Complex values of a frame's transform.
const FRAME: usize = SPECTROGRAM_FFT_LEN / 2;
/// Complex values of a spectrum's transform.
const WHOLE: usize = SPECTRUM_FFT_LEN / 2;
/// Transforms of a frame's size in one of a spectrum.
const PARTS: usize = WHOLE / FRAME;
const _: () = assert!(PARTS * CHANNELS == LANES);
// The second half of what is transformed is zeros.
const _: () = assert!(SPECTROGRAM_FRAME_SAMPLES == FRAME && BEAT_LEN_SAMPLES == WHOLE);

cpufeatures::new!(has_avx2, "avx2");

/// Computes all four views where the processor has AVX2, and says whether it does.
#[inline]
pub(super) fn compute(views: &mut Views, frame: &BeatFrame) -> bool {
    let has_avx2 = has_avx2::get();
    if has_avx2 {
        // SAFETY: the processor has AVX2.
        unsafe { compute_avx2(views, frame) }
    }
    has_avx2
}

#[target_feature(enable = "avx2")]
fn compute_avx2(views: &mut Views, frame: &BeatFrame) {
    let windows = [&frame.beat, &frame.template].map(|window| normalise(window, frame.scale_mv));
    for (out, window) in views
        .waveform
        .chunks_exact_mut(crate::spec::WAVEFORM_LEN_SAMPLES)
        .zip(&windows)
    {
        out.copy_from_slice(waveform::waveform(window));
    }
    spectra(&windows, &mut views.spectrum);
    spectrograms(&windows, &mut views.spectrogram);
    views.metadata = frame.metadata;
}

/// A complex value of each of `L` transforms.
#[derive(Debug, Clone, Copy)]
struct Complex<const L: usize> {
    re: [f32; L],
    im: [f32; L],
}

impl<const L: usize> Complex<L> {
    const ZERO: Self = Self {
        re: [0.0; L],
        im: [0.0; L],
    };
}

/// `sin(2 pi n / 256)` for a quarter of the circle, both ends included.
const SINE: [f32; WHOLE / 2 + 1] = {
    let mut table = [0.0; WHOLE / 2 + 1];
    let mut n = 0;
    while n < table.len() {
        let quarter = core::f64::consts::FRAC_PI_2;
        table[n] = cos(quarter - quarter * n as f64 / (WHOLE / 2) as f64) as f32;
        n += 1;
    }
    table
};

/// `exp(-2 pi i k / n)` for `0 < k < n / 2`, where `n` divides 256.
#[inline(always)]
fn twiddle(k: usize, n: usize) -> (f32, f32) {
    let quarter = SINE.len() - 1;
    let step = k * (4 * quarter / n);
    if step < quarter {
        (SINE[quarter - step], -SINE[step])
    } else {
        (-SINE[step - quarter], -SINE[2 * quarter - step])
    }
}

/// Places in bit-reversed order of the first half of `2 * H` values: even ones, since the other half's lie between.
const fn reversed<const H: usize>() -> [usize; H] {
    let mut places = [0; H];
    let mut i = 0;
    while i < H {
        places[i] = i.reverse_bits() >> (usize::BITS - (2 * H).ilog2());
        i += 1;
    }
    places
}

const REVERSED_FRAME: [usize; FRAME / 2] = reversed();
const REVERSED_WHOLE: [usize; WHOLE / 2] = reversed();

#[inline(always)]
fn times_hann<const N: usize>(x: &[f32], hann: &[f32; N]) -> [f32; N] {
    let mut out = *hann;
    for (out, x) in out.iter_mut().zip(x) {
        *out *= x;
    }
    out
}

/// Puts a complex value into its place, and into the next one what the first stage makes of it there: it would join a
/// value of the second half, which are all 0. (A zero's sign is lost; none is left of it in a magnitude.)
#[inline(always)]
fn put(x: &mut [Complex<LANES>], place: usize, lane: usize, pair: &[f32]) {
    for next in &mut x[place..place + 2] {
        next.re[lane] = pair[0];
        next.im[lane] = pair[1];
    }
}

/// The stages of transforms of `x.len()` values from those that join `first` values on; what they join was put in
/// bit-reversed order.
#[inline(always)]
fn butterflies<const L: usize>(x: &mut [Complex<L>], first: usize) {
    let mut n = first;
    while n <= x.len() {
        for joined in x.chunks_exact_mut(n) {
            let (low, high) = joined.split_at_mut(n / 2);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let turned = match k {
                    0 => *b,
                    // microfft multiplies with 0 - 1i here.
                    k if 4 * k == n => times(*b, (0.0, -1.0)),
                    k => times(*b, twiddle(k, n)),
                };
                for lane in 0..L {
                    let (re, im) = (a.re[lane], a.im[lane]);
                    a.re[lane] = re + turned.re[lane];
                    a.im[lane] = im + turned.im[lane];
                    b.re[lane] = re - turned.re[lane];
                    b.im[lane] = im - turned.im[lane];
                }
            }
        }
        n *= 2;
    }
}

#[inline(always)]
fn times<const L: usize>(x: Complex<L>, (re, im): (f32, f32)) -> Complex<L> {
    let mut out = x;
    for lane in 0..L {
        out.re[lane] = re * x.re[lane] - im * x.im[lane];
        out.im[lane] = re * x.im[lane] + im * x.re[lane];
    }
    out
}

/// Bin `k` of the real transforms that were run as complex ones, `0 < k <= x.len() / 2`.
#[inline(always)]
fn bin<const L: usize>(x: &[Complex<L>], k: usize) -> Complex<L> {
    let (a, b) = (&x[k], &x[x.len() - k]);
    let mut out = *a;
    if 2 * k < x.len() {
        let (re, im) = twiddle(k, 2 * x.len());
        for lane in 0..L {
            let sum_re = (a.re[lane] + b.re[lane]) / 2.0;
            let sum_im = (a.im[lane] + b.im[lane]) / 2.0;
            let diff_re = (a.re[lane] - b.re[lane]) / 2.0;
            let diff_im = (a.im[lane] - b.im[lane]) / 2.0;
            out.re[lane] = sum_re + re * sum_im + im * diff_re;
            out.im[lane] = diff_im + im * sum_im - re * diff_re;
        }
    }
    out
}

/// `0.5 ln((re / d)^2 + (im / d)^2 + floor)`, where `per_unit` is `1 / d`.
#[inline(always)]
fn log_magnitude<const L: usize>(x: Complex<L>, per_unit: f32, floor: f32) -> [f32; L] {
    let mut power = [0.0; L];
    for lane in 0..L {
        let (re, im) = (x.re[lane] * per_unit, x.im[lane] * per_unit);
        power[lane] = re * re + im * im + floor;
    }
    let mut out = ln(power);
    for value in &mut out {
        *value *= 0.5;
    }
    out
}

/// As `libm::logf`, whose own words these are for numbers that are neither special nor subnormal.
#[inline(always)]
fn ln<const L: usize>(x: [f32; L]) -> [f32; L] {
    const LN2_HI: f32 = f32::from_bits(0x3f31_7180);
    const LN2_LO: f32 = f32::from_bits(0x3717_f7d1);
    /// Of `(ln(1 + s) - ln(1 - s)) / s - 2`, in powers of `s^2`.
    const LG: [f32; 4] = [
        f32::from_bits(0x3f2a_aaaa),
        f32::from_bits(0x3ecc_ce13),
        f32::from_bits(0x3e91_e9ee),
        f32::from_bits(0x3e78_9e26),
    ];
    /// The square root of a half.
    const SQRT_HALF: u32 = 0x3f35_04f3;
    const ONE: u32 = 0x3f80_0000;

    let mut plain = true;
    for value in &x {
        plain &= (f32::MIN_POSITIVE..f32::INFINITY).contains(value);
    }
    if !plain {
        return x.map(libm::logf);
    }
    let mut out = [0.0; L];
    for lane in 0..L {
        let bits = x[lane].to_bits() + (ONE - SQRT_HALF);
        let exponent = ((bits >> 23) as i32 - 0x7f) as f32;
        let f = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF) - 1.0;
        let s = f / (2.0 + f);
        let z = s * s;
        let w = z * z;
        let odd = w * (LG[1] + w * LG[3]);
        let even = z * (LG[0] + w * LG[2]);
        let half_square = 0.5 * f * f;
        out[lane] = s * (half_square + (even + odd)) + exponent * LN2_LO - half_square
            + f
            + exponent * LN2_HI;
    }
    out
}

/// Both channels' spectra.
#[inline(always)]
fn spectra(windows: &[BeatWindow; CHANNELS], view: &mut [f32; CHANNELS * SPECTRUM_BINS]) {
    let mut parts = [Complex::<LANES>::ZERO; FRAME];
    for (channel, window) in windows.iter().enumerate() {
        let windowed = times_hann(window, &spectrum::HANN);
        for (pair, place) in windowed.chunks_exact(2).zip(REVERSED_WHOLE) {
            let lane = channel * PARTS + place / FRAME;
            put(&mut parts, place % FRAME, lane, pair);
        }
    }
    butterflies(&mut parts, 4);
    let mut whole = [Complex::<CHANNELS>::ZERO; WHOLE];
    for (place, out) in whole.iter_mut().enumerate() {
        let part = &parts[place % FRAME];
        for channel in 0..CHANNELS {
            let lane = channel * PARTS + place / FRAME;
            out.re[channel] = part.re[lane];
            out.im[channel] = part.im[lane];
        }
    }
    butterflies(&mut whole, 2 * FRAME);
    // Four bins of both channels at a time.
    for first in (0..SPECTRUM_BINS).step_by(PARTS) {
        let mut several = Complex::<LANES>::ZERO;
        for part in 0..PARTS {
            let one = bin(&whole, first + 1 + part);
            for channel in 0..CHANNELS {
                several.re[channel * PARTS + part] = one.re[channel];
                several.im[channel * PARTS + part] = one.im[channel];
            }
        }
        let values = log_magnitude(several, spectrum::PER_UNIT, spectrum::POWER_FLOOR);
        for channel in 0..CHANNELS {
            view[channel * SPECTRUM_BINS + first..][..PARTS]
                .copy_from_slice(&values[channel * PARTS..][..PARTS]);
        }
    }
}

/// Both channels' spectrograms.
#[inline(always)]
fn spectrograms(windows: &[BeatWindow; CHANNELS], view: &mut [f32; CHANNELS * SPECTROGRAM_LEN]) {
    const ALL: usize = CHANNELS * SPECTROGRAM_FRAMES;
    for first in (0..ALL).step_by(LANES) {
        let lanes = LANES.min(ALL - first);
        let mut frames = [Complex::<LANES>::ZERO; FRAME];
        for lane in 0..lanes {
            let (channel, t) = place(first + lane);
            let start = spectrogram::START + t * SPECTROGRAM_HOP_SAMPLES;
            let frame = &windows[channel][start..];
            let windowed = times_hann(frame, &spectrogram::HANN);
            for (pair, place) in windowed.chunks_exact(2).zip(REVERSED_FRAME) {
                put(&mut frames, place, lane, pair);
            }
        }
        butterflies(&mut frames, 4);
        for f in 0..SPECTROGRAM_BINS {
            let bin = bin(&frames, f + 1);
            let values = log_magnitude(bin, spectrogram::PER_UNIT, spectrogram::POWER_FLOOR);
            for (lane, value) in values[..lanes].iter().enumerate() {
                let (channel, t) = place(first + lane);
                view[channel * SPECTROGRAM_LEN + f * SPECTROGRAM_FRAMES + t] = *value;
            }
        }
    }
}

/// Channel and time of a frame.
#[inline(always)]
fn place(frame: usize) -> (usize, usize) {
    (frame / SPECTROGRAM_FRAMES, frame % SPECTROGRAM_FRAMES)
}

#[cfg(test)]
mod tests {
    use super::super::View;
    use super::super::tests::sample_window;
    use super::*;
    use crate::spec::CLIP_SCALES;
    use std::vec::Vec;

    fn bits(views: &Views) -> Vec<u32> {
        let parts = View::ALL.into_iter().map(|view| views.get(view));
        parts
            .flat_map(|part| part.iter().map(|v| v.to_bits()))
            .collect()
    }

    fn check(beat: BeatWindow, template: BeatWindow, scale_mv: f32) {
        let frame = BeatFrame {
            r_sample: 1000,
            pre_rr_s: None,
            post_rr_s: None,
            beat,
            template,
            scale_mv,
            metadata: core::array::from_fn(|i| i as f32),
        };
        let (mut fast, mut portable) = (Views::ZERO, Views::ZERO);
        if !compute(&mut fast, &frame) {
            std::println!("skipped: this processor has no AVX2");
            return;
        }
        for channel in 0..CHANNELS {
            portable.compute_portable(&frame, channel);
        }
        assert_eq!(bits(&fast), bits(&portable), "scale {scale_mv} mV");
    }

    #[test]
    fn the_bits_are_those_of_the_portable_views() {
        for seed in 0..300 {
            let scale_mv = [1.0, 0.03, 0.3, 7.0, 1e-6, 1e6][seed as usize % 6];
            check(sample_window(seed), sample_window(1000 - seed), scale_mv);
        }
        let mut state = 1_u32;
        for _ in 0..300 {
            let mut noise = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 22) as f32 - 2.0
            };
            check(
                core::array::from_fn(|_| noise()),
                core::array::from_fn(|_| noise()),
                0.5,
            );
        }
    }

    #[test]
    fn edges_too() {
        let square = core::array::from_fn(|i| if i % 16 < 8 { 1e9 } else { -1e9 });
        for window in [
            [0.0; BEAT_LEN_SAMPLES],
            [-0.0; BEAT_LEN_SAMPLES],
            [CLIP_SCALES; BEAT_LEN_SAMPLES],
            [f32::MIN_POSITIVE / 4.0; BEAT_LEN_SAMPLES],
            square,
            sample_window(3),
        ] {
            check(window, square, 1.0);
            check(square, window, 1.0);
        }
    }

    #[test]
    fn logarithms_are_libms() {
        // Every 977th number of all there are, specials included.
        for start in (0..=u32::MAX - 8 * 977).step_by(8 * 977) {
            let x: [f32; 8] = core::array::from_fn(|i| f32::from_bits(start + 977 * i as u32));
            let same = |(a, b): (f32, f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            let expected = x.map(libm::logf);
            assert!(ln(x).into_iter().zip(expected).all(same), "{x:?}");
        }
        assert_eq!(ln([1.0; 8]), [0.0; 8]);
    }
}
