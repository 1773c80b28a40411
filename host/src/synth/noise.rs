//! What a surface ECG is never free of: wander of the baseline, muscle activity, mains hum.

use super::random::{Purpose, Random};
use std::f64::consts::{PI, TAU};

/// Shares of the noise's power.
const WANDER: f64 = 0.4;
const MUSCLE: f64 = 0.45;
const MAINS: f64 = 0.15;

/// Corner of the wander, a doubly low-passed white noise, in Hz.
const WANDER_HZ: f64 = 0.3;
/// Corner of the muscle noise, a high-passed white noise, in Hz.
const MUSCLE_HZ: f64 = 20.0;
const MAINS_HZ: f64 = 50.0;

/// Adds noise to a lead so that the lead's power (its variance) is `snr_db` above the noise's.
pub(super) fn add(lead: &mut [f32], hz: f64, snr_db: f64, seed: u64, number: u64) {
    let mut random = Random::new(seed, Purpose::Noise(number));
    let slow = 1.0 - libm::exp(-TAU * WANDER_HZ / hz);
    let fast = 1.0 - libm::exp(-TAU * MUSCLE_HZ / hz);
    let keep = 1.0 - slow;
    // Each filter's output, divided by the standard deviation that unit white noise gives it.
    let wander_gain = (WANDER * (2.0 - slow).powi(3) / (slow * (1.0 + keep * keep))).sqrt();
    let muscle_gain = (MUSCLE / (1.0 - 2.0 * fast + fast / (2.0 - fast))).sqrt();
    let mains_gain = (2.0 * MAINS).sqrt();
    let mains_phase = random.uniform(-PI, PI);

    let (mut once, mut twice, mut low) = (0.0, 0.0, 0.0);
    let noise: Vec<f32> = (0..lead.len())
        .map(|n| {
            once += slow * (random.bell() - once);
            twice += slow * (once - twice);
            let white = random.bell();
            low += fast * (white - low);
            let mains = libm::cos(TAU * MAINS_HZ * (n as f64 / hz) + mains_phase);
            (wander_gain * twice + muscle_gain * (white - low) + mains_gain * mains) as f32
        })
        .collect();
    let ratio = libm::pow(10.0, -snr_db / 10.0);
    let gain = (ratio * variance(lead) / variance(&noise).max(f64::MIN_POSITIVE)).sqrt();
    for (sample, noise) in lead.iter_mut().zip(noise) {
        *sample += (gain * f64::from(noise)) as f32;
    }
}

fn variance(signal: &[f32]) -> f64 {
    let n = signal.len().max(1) as f64;
    let mean = signal.iter().copied().map(f64::from).sum::<f64>() / n;
    signal
        .iter()
        .map(|&v| (f64::from(v) - mean) * (f64::from(v) - mean))
        .sum::<f64>()
        / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power_in_db(signal: &[f32]) -> f64 {
        10.0 * variance(signal).log10()
    }

    #[test]
    fn the_noise_is_as_far_below_the_signal_as_asked() {
        let clean: Vec<f32> = (0..36_000).map(|k| (k as f32 * 0.05).sin()).collect();
        for db in [24.0, 6.0, -6.0] {
            let mut noisy = clean.clone();
            add(&mut noisy, 360.0, db, 1, 0);
            let noise: Vec<f32> = noisy.iter().zip(&clean).map(|(n, c)| n - c).collect();
            let found = power_in_db(&clean) - power_in_db(&noise);
            assert!((found - db).abs() < 0.01, "{found} dB, not {db}");
        }
    }

    /// Over half an hour each part has its share of the power, to a few percent.
    #[test]
    fn the_parts_have_their_shares() {
        let hz = 360.0;
        let flat_db = 0.0;
        let mut lead: Vec<f32> = (0..360 * 1800)
            .map(|k| if k % 2 == 0 { 1e-3 } else { -1e-3 })
            .collect();
        let clean = lead.clone();
        add(&mut lead, hz, flat_db, 3, 1);
        let noise: Vec<f64> = lead
            .iter()
            .zip(&clean)
            .map(|(n, c)| f64::from(n - c) * 1e3)
            .collect();
        // Mains: the line at 50 Hz by correlation. Wander: what a mean over 50 ms (over whole mains periods) leaves.
        let (mut re, mut im) = (0.0, 0.0);
        for (n, v) in noise.iter().enumerate() {
            let angle = TAU * MAINS_HZ * n as f64 / hz;
            re += v * angle.cos();
            im += v * angle.sin();
        }
        let mains = 2.0 * (re * re + im * im) / (noise.len() as f64).powi(2);
        assert!((mains / MAINS - 1.0).abs() < 0.1, "mains {mains}");
        let wander = noise
            .chunks_exact(36)
            .map(|chunk| (chunk.iter().sum::<f64>() / 36.0).powi(2))
            .sum::<f64>()
            / (noise.len() / 36) as f64;
        assert!((wander / WANDER - 1.0).abs() < 0.15, "wander {wander}");
    }
}
