//! A signal and the bits of its views, the same on every machine.
//!
//! The signal is integer arithmetic throughout, so that whatever differs differs in core. Nothing here allocates or
//! needs `std`: a firmware can include this file by `#[path]` and compare.

use heartlens_core::beat::Extractor;
use heartlens_core::filter::BandPass;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::views::Views;

/// Beats of the signal.
pub(crate) const BEATS: u32 = 40;
/// Length of the signal, in samples at the canonical rate.
pub(crate) const SAMPLES: u32 = r_peak(BEATS - 1) + 30;
/// FNV-1a (64 bit) over the bits of all views of all beats, each value as four little-endian bytes, in the order
/// waveform, spectrum, spectrogram, metadata.
pub(crate) const HASH: u64 = 0x721d_f91c_e202_7937;

/// Position of beat `k`'s R peak: 0.68 to 0.95 s apart, every seventh beat early, and one pause of 5 s.
pub(crate) const fn r_peak(k: u32) -> u32 {
    let early = if k % 7 == 6 { 25 } else { 0 };
    let pause = if k > 20 { 540 } else { 0 };
    30 + 105 * k + k * 29 % 17 - early + pause
}

/// Height in counts at a distance of `d` samples from the top of a triangle.
const fn triangle(d: i32, height: i32, slope: i32) -> i32 {
    let rest = height - slope * d.abs();
    if rest > 0 { rest } else { 0 }
}

/// Sample `i` in mV, a multiple of 1/256: beats of triangles, every fifth wide and inverted, on an offset, a slow
/// baseline and noise.
pub(crate) fn sample_mv(i: u32) -> f32 {
    let at = i as i32;
    let mut counts = 1500 + ((at + 300) % 900 - 450).abs() / 4;
    // The low-order multiplier and shifts of Wellons's lowbias32.
    let mut noise = i ^ (i >> 16);
    noise = noise.wrapping_mul(0x7feb_352d);
    noise ^= noise >> 15;
    noise = noise.wrapping_mul(0x846c_a68b);
    noise ^= noise >> 16;
    counts += (noise % 9) as i32 - 4;
    for k in 0..BEATS {
        let d = at - r_peak(k) as i32;
        counts += if k % 5 == 4 {
            triangle(d - 40, 60, 3) - triangle(d, 330, 22)
        } else {
            triangle(d + 22, 32, 6) + triangle(d, 290, 70) - triangle(d - 5, 60, 15)
                + triangle(d - 36, 70, 5)
        };
    }
    counts as f32 / 256.0
}

/// Filters the signal, extracts every beat and hashes its views. Calls `seen` with each beat's views.
pub(crate) fn hash_of_all_views(mut seen: impl FnMut(&Views)) -> u64 {
    let mut filter = BandPass::new();
    let mut extractor = Extractor::new(Patient {
        age_years: Some(71.0),
        sex: Some(Sex::Male),
    });
    let mut views = Views::ZERO;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut next = 0;
    for i in 0..=SAMPLES {
        if i == SAMPLES {
            extractor.finish();
        } else {
            extractor.push(filter.push(sample_mv(i)));
        }
        if next < BEATS && i == r_peak(next) && extractor.trigger(i).is_ok() {
            next += 1;
        }
        while let Some(frame) = extractor.poll() {
            views.compute(&frame);
            seen(&views);
            let values = views
                .waveform
                .iter()
                .chain(&views.spectrum)
                .chain(&views.spectrogram)
                .chain(&views.metadata);
            for byte in values.flat_map(|v| v.to_bits().to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    hash
}
