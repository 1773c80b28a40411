//! The spectra of a strip: the signal's, and that of what lies between the QRST complexes, where f waves are.

use super::kept::{Strip, StripWindow};
use super::sequence::scaled;
use super::views::StripViews;
use crate::spec::{STRIP_FRAME_SAMPLES, STRIP_HOP_SAMPLES, STRIP_SAMPLES, STRIP_SPECTRUM_BINS};
use crate::views::hann;

/// Frames of a whole window.
pub(super) const FRAMES: usize = 1 + (STRIP_SAMPLES - STRIP_FRAME_SAMPLES) / STRIP_HOP_SAMPLES;
const HANN: [f32; STRIP_FRAME_SAMPLES] = hann();
/// The Hann window of 256 points sums to 127.5: this brings a sine of one scale near 1.
const PER_UNIT: f32 = 1.0 / 64.0;
/// Added to power before the logarithm: what lies below is not told apart.
const POWER_FLOOR: f32 = 1e-5;
/// Added to the logarithm, which brings the usual to about 0.
const OFFSET: f32 = 4.0;
/// Samples of a QRST complex before the R peak, and behind it.
const QRST: [u32; 2] = [12, 46];

/// Frames of a window.
fn frames(window: StripWindow) -> usize {
    let len = (window.end - window.start) as usize;
    match len.checked_sub(STRIP_FRAME_SAMPLES) {
        Some(rest) => 1 + rest / STRIP_HOP_SAMPLES,
        None => 0,
    }
}

/// Adds the power of a frame: even parts are frames of the signal as it is, odd ones of the same without QRST complexes.
#[inline(never)]
pub(super) fn add_frame(
    views: &mut StripViews,
    strip: &Strip,
    window: StripWindow,
    per_scale: f32,
    part: usize,
) {
    let (frame, without) = (part / 2, part % 2);
    if frame >= frames(window) {
        return;
    }
    let start = window.start + (frame * STRIP_HOP_SAMPLES) as u32;
    let mut buffer = [0.0; STRIP_FRAME_SAMPLES];
    for (sample, mv) in buffer.iter_mut().zip(strip.samples_mv(start)) {
        *sample = scaled(mv, per_scale);
    }
    if without == 1 {
        for [from, to] in complexes(strip, window) {
            bridge(&mut buffer, start, strip, per_scale, from, to);
        }
    }
    for (sample, weight) in buffer.iter_mut().zip(&HANN) {
        *sample *= weight;
    }
    let bins = microfft::real::rfft_256(&mut buffer);
    let sums = views.power.as_chunks_mut::<STRIP_SPECTRUM_BINS>().0;
    // Bin 0 holds DC and, packed into its imaginary part, the Nyquist bin: the view begins after it.
    for (sum, bin) in sums
        .iter_mut()
        .skip(without)
        .take(1)
        .flatten()
        .zip(bins.iter().skip(1))
    {
        let (re, im) = (bin.re * PER_UNIT, bin.im * PER_UNIT);
        *sum += re * re + im * im;
    }
}

/// The QRST complexes of a window, first and last sample; those that touch are one.
fn complexes(strip: &Strip, window: StripWindow) -> impl Iterator<Item = [u32; 2]> {
    let beats = strip.beats_in(window);
    let mut beats = beats.map(|beat| [beat.r_sample - QRST[0], beat.r_sample + QRST[1]]);
    let mut next = beats.next();
    core::iter::from_fn(move || {
        let [from, mut to] = next.take()?;
        next = beats.next();
        while let Some([begin, end]) = next
            && begin <= to
        {
            to = end;
            next = beats.next();
        }
        Some([from, to])
    })
}

/// Puts a line between two samples of the signal where they lie in the frame that begins at `start`.
fn bridge(buffer: &mut [f32], start: u32, strip: &Strip, per_scale: f32, from: u32, to: u32) {
    let end = start + buffer.len() as u32;
    if to <= start || from >= end {
        return;
    }
    let (a, b) = (
        scaled(strip.sample_mv(from), per_scale),
        scaled(strip.sample_mv(to), per_scale),
    );
    let slope = (b - a) / (to - from) as f32;
    for position in from.max(start)..to.min(end) {
        if let Some(sample) = buffer.get_mut((position - start) as usize) {
            *sample = a + slope * (position - from) as f32;
        }
    }
}

/// From sums of power to logarithms of their mean.
#[inline(never)]
pub(super) fn finish(views: &mut StripViews, window: StripWindow) {
    let per_frame = 1.0 / frames(window).max(1) as f32;
    for sum in &mut views.power {
        *sum = 0.5 * libm::logf(*sum * per_frame + POWER_FLOOR) + OFFSET;
    }
}
