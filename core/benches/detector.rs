//! Time to find the beats of half an hour on one thread: `cargo bench -p heartlens-core --bench detector`.

use divan::{Bencher, black_box, counter::ItemsCount};
use heartlens_core::{detector::Detector, filter::BandPass, quality::Quality, spec};

fn main() {
    divan::main();
}

/// Half an hour at the canonical rate, in mV: beats with P, QRS and T at an RR interval that breathes around 0.8 s, every
/// ninth early and wide, on baseline wander and 20 uV of noise.
fn half_an_hour() -> Vec<f32> {
    let rate = spec::SAMPLE_RATE_HZ as f32;
    let len = 30 * 60 * spec::SAMPLE_RATE_HZ as usize;
    let bell = |t: f32, centre: f32, sigma: f32| (-0.5 * ((t - centre) / sigma).powi(2)).exp();
    let mut state = 1_u32;
    let mut signal: Vec<f32> = (0..len)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            0.2 * (i as f32 * 0.01).sin() + 0.07 * uniform
        })
        .collect();
    let (mut r, mut beat) = (0.5, 0);
    while (r as f32) < 30.0 * 60.0 - 1.0 {
        let wide = beat % 9 == 8;
        let first = ((r as f32 - 0.4) * rate) as usize;
        for (i, sample) in signal.iter_mut().enumerate().skip(first).take(128) {
            let t = (i as f64 / f64::from(rate) - r) as f32;
            *sample += if wide {
                1.5 * bell(t, 0.0, 0.035) - 0.5 * bell(t, 0.25, 0.06)
            } else {
                0.1 * bell(t, -0.16, 0.02) + bell(t, 0.0, 0.012) + 0.25 * bell(t, 0.27, 0.05)
            };
        }
        beat += 1;
        let early = if beat % 9 == 8 { 0.65 } else { 1.0 };
        r += early * (0.8 + 0.05 * (r * 1.6).sin());
    }
    signal
}

/// Filter and detector.
#[divan::bench(sample_count = 50)]
fn filter_and_detector(bencher: Bencher) {
    let signal = half_an_hour();
    bencher.counter(ItemsCount::new(signal.len())).bench(|| {
        let (mut filter, mut detector) = (BandPass::new(), Detector::new());
        let beats = black_box(&signal)
            .iter()
            .filter_map(|x| detector.push(filter.push(*x)));
        beats.count()
    });
}

/// Filter, detector and quality.
#[divan::bench(sample_count = 50)]
fn filter_detector_and_quality(bencher: Bencher) {
    let signal = half_an_hour();
    bencher.counter(ItemsCount::new(signal.len())).bench(|| {
        let (mut filter, mut detector) = (BandPass::new(), Detector::new());
        let mut quality = Quality::new();
        let mut readable = 0;
        for &raw in black_box(&signal) {
            let filtered = filter.push(raw);
            quality.push(raw, filtered);
            if let Some(peak) = detector.push(filtered) {
                readable += u32::from(quality.at(peak.sample).is_readable());
            }
        }
        readable
    });
}
