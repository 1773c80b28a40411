//! Random numbers by purpose and step, so that what a step draws depends on the seed and the step alone: not on what
//! came before, nor on which thread prepares it. A resumed training draws what the uninterrupted one would have.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What the numbers are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Weights,
    /// Which beats a step sees, and how they are varied.
    Batch,
    /// Which values dropout drops in a step.
    Dropout,
    /// Which records form which fold.
    Folds,
    /// Which beats are kept out of training for the check at export.
    Probe,
}

/// The generator of `purpose` in `step` under `seed`: ChaCha8 on a stream of its own.
pub fn stream(seed: u64, purpose: Purpose, step: u32) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 32) | u64::from(step));
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed, purpose, step| stream(seed, purpose, step).next_u64();
        let one = first(1, Purpose::Batch, 5);
        assert_eq!(one, first(1, Purpose::Batch, 5));
        assert_ne!(one, first(2, Purpose::Batch, 5));
        assert_ne!(one, first(1, Purpose::Batch, 6));
        assert_ne!(one, first(1, Purpose::Dropout, 5));
    }
}
