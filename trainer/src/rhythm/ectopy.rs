//! Sinus rhythm with ectopic beats put in: what the score must not take for fibrillation.
//!
//! The recordings of other rhythms are short, and few of them hold many ectopic beats; a score that has learned from them
//! alone takes a patient full of ectopic beats for one in fibrillation, and the gate then takes the patient's S beats away.
//! Here early beats come alone, in runs or in a pattern (bigeminy and its like), with or without a pause behind them.

use heartlens_core::rhythm::{Input, Intervals};
use heartlens_core::spec::RHYTHM_INTERVALS;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Fewest intervals of a recording that others can be made of.
pub const FEWEST_INTERVALS: usize = 12;
/// Intervals that are made: those that the network reads, and the one before them.
const MADE: usize = RHYTHM_INTERVALS + 1;
/// Fewest of a window's beats that are early, on average, where they come at random.
const LEAST_SHARE: f64 = 0.03;

/// A window of `sinus_s`, RR intervals in seconds, with ectopic beats: up to the share `most` of the beats where they come
/// at random. `None` where there are fewer than [`FEWEST_INTERVALS`].
pub fn window(sinus_s: &[f32], most: f64, rng: &mut ChaCha8Rng) -> Option<Input> {
    if sinus_s.len() < FEWEST_INTERVALS {
        return None;
    }
    // There and back, as often as it takes.
    let back = sinus_s.iter().rev();
    let start = rng.random_range(0..sinus_s.len());
    let endless = sinus_s.iter().chain(back).cycle().skip(start);
    let mut intervals: Vec<f32> = endless.take(MADE).copied().collect();
    disturb(&mut intervals, most, rng);

    let mut kept = Intervals::new();
    intervals
        .into_iter()
        .filter_map(|rr_s| kept.push(Some(rr_s)))
        .last()
}

/// Shortens the intervals before ectopic beats and changes those behind them.
fn disturb(intervals: &mut [f32], most: f64, rng: &mut ChaCha8Rng) {
    let share = rng.random_range(LEAST_SHARE..most.max(2.0 * LEAST_SHARE));
    let coupling = rng.random_range(0.5..0.88);
    let spread = rng.random_range(0.01..0.1);
    let pause = rng.random_range(0.95..1.35);
    let period: Option<usize> = rng.random_bool(0.3).then(|| rng.random_range(2..=4_usize));
    let jitter = 0.03 * rng.random::<f64>();
    let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };

    let mut place = 0;
    while place < intervals.len() {
        let ectopic = match period {
            Some(period) => place.is_multiple_of(period),
            None => rng.random_bool(share),
        };
        if ectopic {
            let run = if rng.random_bool(0.8) {
                1
            } else {
                rng.random_range(2..=4)
            };
            for interval in intervals.iter_mut().skip(place).take(run) {
                *interval *= (coupling + spread * normal(rng)).clamp(0.4, 0.95) as f32;
            }
            place += run;
            if let Some(interval) = intervals.get_mut(place) {
                *interval *= (pause + 0.05 * normal(rng)).clamp(0.85, 1.6) as f32;
            }
        }
        place += 1;
    }
    for interval in intervals {
        *interval *= (jitter * normal(rng)).exp() as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::rng::{Purpose, stream};

    /// Of an even heart, what is disturbed is what has been put in.
    #[test]
    fn some_beats_are_early_and_most_are_not() {
        let sinus = [0.8_f32; 20];
        let mut rng = stream(1, Purpose::Batch, 0);
        let mut early = 0;
        for _ in 0..500 {
            let input = window(&sinus, 0.5, &mut rng).expect("enough intervals");
            // Three times the logarithm of a ratio below 0.9.
            let (levels, _) = input.split_at(RHYTHM_INTERVALS);
            early += levels
                .iter()
                .filter(|level| **level < 3.0 * 0.9_f32.ln())
                .count();
        }
        let share = early as f64 / (500.0 * RHYTHM_INTERVALS as f64);
        assert!((0.1..0.4).contains(&share), "{share}");
        assert_eq!(window(&sinus[..11], 0.5, &mut rng), None);
    }
}
