//! Random numbers that are the same on every machine: ChaCha8, integer arithmetic, and `libm` for the normal law.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// What the numbers are for. Each purpose draws from a stream of its own, so that more of one changes no other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    HeartRate,
    Rhythm,
    Shape,
    Noise(u64),
}

/// A stream of random numbers.
#[derive(Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(match purpose {
            Purpose::HeartRate => 0,
            Purpose::Rhythm => 1,
            Purpose::Shape => 2,
            Purpose::Noise(lead) => 16 + lead,
        });
        Self(rng)
    }

    /// Uniform in `low..high`.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.0.next_u64() >> 11) as f64 * (0.5_f64).powi(53)
    }

    /// One of `0..n`; n is small, so that the bias of the product does not count.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (((self.0.next_u64() >> 32) * n as u64) >> 32) as usize
    }

    /// Standard normal (Box and Muller 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform(0.0, 1.0);
        let v = self.uniform(0.0, TAU);
        (-2.0 * libm::log(u)).sqrt() * libm::cos(v)
    }

    /// Mean 0, variance 1, bell-shaped and within +-3.47: the sum of four uniform numbers. Cheap, for noise.
    pub(super) fn bell(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        // Each of the four has mean (2^16 - 1) / 2 and variance (2^32 - 1) / 12.
        (sum as f64 - 131_070.0) / 37_837.227_2
    }

    /// Puts a list into random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(draw: impl FnMut() -> f64) -> (f64, f64) {
        let n = 100_000;
        let draws: Vec<f64> = std::iter::repeat_with(draw).take(n).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / n as f64;
        (mean, variance)
    }

    #[test]
    fn the_laws_have_the_moments_they_should() {
        let mut random = Random::new(1, Purpose::Noise(0));
        for (mean, variance) in [moments(|| random.normal()), moments(|| random.bell())] {
            assert!(mean.abs() < 0.02, "{mean}");
            assert!((variance - 1.0).abs() < 0.02, "{variance}");
        }
        let (mean, variance) = moments(|| random.uniform(2.0, 5.0));
        assert!((mean - 3.5).abs() < 0.02 && (variance - 0.75).abs() < 0.02);
        let (mean, variance) = moments(|| random.below(6) as f64);
        assert!((mean - 2.5).abs() < 0.02 && (variance - 35.0 / 12.0).abs() < 0.05);
    }

    /// ChaCha8 and Box-Muller must never change: a seed names a record.
    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random::new(7, Purpose::Rhythm);
        let mut list = [0, 1, 2, 3, 4, 5];
        random.shuffle(&mut list);
        assert_eq!(list, [3, 4, 1, 2, 0, 5]);
        assert_eq!(random.normal(), -1.333991734779028);
    }
}
