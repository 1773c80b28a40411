//! Time to find the beats of half an hour on one thread: `cargo bench -p heartlens-core --bench detector`.
//!
//! Where the Python that `HEARTLENS_PYTHON` names (default `python3`) has the package sleepecg, its C detector runs on the
//! same signal in the same run, and the ratio is printed.

use divan::{Bencher, black_box, counter::ItemsCount};
use heartlens_core::{detector::Detector, filter::BandPass, quality::Quality, spec};

use std::process::Command;
use std::time::{Duration, Instant};

fn main() {
    divan::main();
    if let Err(why) = compare_with_sleepecg() {
        println!("\nsleepecg was not compared: {why}");
    }
}

/// Times filter and detector, and sleepecg at two rates, each as the fastest of 20 runs.
fn compare_with_sleepecg() -> Result<(), Box<dyn std::error::Error>> {
    let signal = half_an_hour();
    let mut fastest = Duration::MAX;
    let mut beats = 0;
    for _ in 0..20 {
        let start = Instant::now();
        beats = count_beats(black_box(&signal));
        fastest = fastest.min(start.elapsed());
    }
    let ours_ms = 1000.0 * fastest.as_secs_f64();
    println!("\nfilter and detector: {ours_ms:.2} ms, {beats} beats");

    let file = std::env::temp_dir().join(format!("heartlens-bench-{}.f32", std::process::id()));
    let bytes: Vec<u8> = signal.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&file, bytes)?;
    let python = std::env::var_os("HEARTLENS_PYTHON").unwrap_or_else(|| "python3".into());
    let outputs: Vec<_> = ["128", "360"]
        .map(|rate| {
            Command::new(&python)
                .arg(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/benches/peer_sleepecg.py"
                ))
                .arg(&file)
                .args([spec::SAMPLE_RATE_HZ.to_string().as_str(), rate])
                .output()
                .map(|output| (rate, output))
        })
        .into_iter()
        .collect();
    std::fs::remove_file(&file)?;
    for output in outputs {
        let (rate, output) = output?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let mut words = stdout.split_whitespace();
        let (Some(ms), Some(found)) = (words.next(), words.next()) else {
            return Err(String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or("it printed nothing")
                .into());
        };
        let ms: f64 = ms.parse()?;
        println!(
            "sleepecg (C) at {rate} Hz: {ms:.2} ms, {found} beats: {:.1} times as long",
            ms / ours_ms
        );
    }
    Ok(())
}

fn count_beats(signal: &[f32]) -> usize {
    let (mut filter, mut detector) = (BandPass::new(), Detector::new());
    let beats = signal.iter().filter_map(|x| detector.push(filter.push(*x)));
    beats.count()
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
    bencher
        .counter(ItemsCount::new(signal.len()))
        .bench(|| count_beats(black_box(&signal)));
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
