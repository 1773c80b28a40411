//! How sure the program may be believed to be: calibration, and what is left to be wrong where unsure beats are set aside.

use heartlens_core::model::margin;
use heartlens_core::spec::{LABELS, UNSURE_MARGIN};
use serde::Serialize;
use std::ops::AddAssign;

/// Bins of the likeliest class's probability, as in Guo et al., On Calibration of Modern Neural Networks (ICML 2017).
const BINS: usize = 15;
/// Bins of the margin between the two likeliest classes.
const MARGINS: usize = 20;

/// Beats in a bin.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bin {
    beats: u64,
    right: u64,
    /// The sum of the likeliest class's probabilities.
    probability: f64,
}

impl AddAssign<&Self> for Bin {
    fn add_assign(&mut self, other: &Self) {
        self.beats += other.beats;
        self.right += other.right;
        self.probability += other.probability;
    }
}

/// Beats of a known class by how sure the program was of the class that it gave.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Certainty {
    by_probability: [Bin; BINS],
    by_margin: [Bin; MARGINS],
}

impl AddAssign<&Self> for Certainty {
    fn add_assign(&mut self, other: &Self) {
        let bins = self.by_probability.iter_mut().chain(&mut self.by_margin);
        let others = other.by_probability.iter().chain(&other.by_margin);
        for (bin, other) in bins.zip(others) {
            *bin += other;
        }
    }
}

impl Certainty {
    /// Counts a beat that was given a class with these probabilities, and whether that is the reference's. Probabilities that
    /// are not all numbers count as nothing.
    pub fn push(&mut self, probabilities: &[f32; LABELS.len()], is_right: bool) {
        let margin = margin(probabilities);
        if margin.is_nan() {
            return;
        }
        let probability = probabilities.iter().copied().fold(0.0, f32::max);
        let bin = Bin {
            beats: 1,
            right: u64::from(is_right),
            probability: f64::from(probability),
        };
        // Bins are open below, as there: 1 lies in the last one.
        let place = (probability * BINS as f32).ceil() as usize;
        self.by_probability[place.saturating_sub(1).min(BINS - 1)] += &bin;
        // Closed below: a margin equal to a limit is not set aside by it.
        let place = (margin * MARGINS as f32) as usize;
        self.by_margin[place.min(MARGINS - 1)] += &bin;
    }

    /// What comes of it; `None` without a beat.
    pub fn figures(&self) -> Option<CertaintyFigures> {
        let beats: u64 = self.by_probability.iter().map(|bin| bin.beats).sum();
        if beats == 0 {
            return None;
        }
        let gap = |bin: &Bin| (bin.probability - bin.right as f64).abs();
        let ece = self.by_probability.iter().map(gap).sum::<f64>() / beats as f64;
        let from = |first: usize| {
            let mut kept = Bin::default();
            for bin in &self.by_margin[first..] {
                kept += bin;
            }
            let wrong = kept.beats - kept.right;
            RiskPoint {
                margin: first as f64 / MARGINS as f64,
                coverage: kept.beats as f64 / beats as f64,
                error: (kept.beats > 0).then(|| wrong as f64 / kept.beats as f64),
            }
        };
        let all = from(0);
        let sure = from((UNSURE_MARGIN * MARGINS as f32).round() as usize);
        let wrong = |point: &RiskPoint| point.error.unwrap_or(0.0) * point.coverage;
        let unsure = 1.0 - sure.coverage;
        Some(CertaintyFigures {
            beats,
            ece,
            unsure,
            unsure_error: (unsure > 0.0).then(|| (wrong(&all) - wrong(&sure)) / unsure),
            curve: (0..MARGINS).map(from).collect(),
        })
    }
}

/// Calibration and risk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CertaintyFigures {
    /// Beats with a class in reference and test, and probabilities.
    pub beats: u64,
    /// Expected calibration error: the mean distance of the likeliest class's probability from the share of beats that are
    /// right, over 15 bins of equal width, 0..=1.
    pub ece: f64,
    /// Share of beats that are [unsure](heartlens_core::class::Class::is_unsure), 0..=1,
    pub unsure: f64,
    /// and the share of these that are wrong; `None` where there are none.
    pub unsure_error: Option<f64>,
    /// What is left where beats with a smaller margin are set aside, for margins of 0, 0.05 and so on (risk-coverage curve).
    pub curve: Vec<RiskPoint>,
}

/// A point of the risk-coverage curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RiskPoint {
    /// The probability of the likeliest class less that of the next: beats with less are set aside.
    pub margin: f64,
    /// Share of beats that are left, 0..=1.
    pub coverage: f64,
    /// Share of these that are wrong; `None` where none is left.
    pub error: Option<f64>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let mut certainty = Certainty::default();
        assert_eq!(certainty.figures(), None);
        // Six beats at 0.9, of which five are right; two at 0.6, of which one is; one of no probabilities.
        for i in 0..6 {
            certainty.push(&[0.9, 0.1, 0.0, 0.0], i > 0);
        }
        for i in 0..2 {
            certainty.push(&[0.0, 0.4, 0.6, 0.0], i > 0);
        }
        certainty.push(&[f32::NAN; 4], true);
        let figures = certainty.figures().unwrap();
        assert_eq!(figures.beats, 8);
        let ece = ((6.0 * 0.9 - 5.0_f64).abs() + (2.0 * 0.6 - 1.0_f64).abs()) / 8.0;
        assert!((figures.ece - ece).abs() < 1e-6, "{}", figures.ece);
        assert!((figures.unsure - 0.25).abs() < 1e-12);
        assert!((figures.unsure_error.unwrap() - 0.5).abs() < 1e-9);
        let at = |margin: f64| {
            let near = |point: &&RiskPoint| (point.margin - margin).abs() < 1e-9;
            *figures.curve.iter().find(near).unwrap()
        };
        assert_eq!((at(0.0).coverage, at(0.0).error), (1.0, Some(0.25)));
        assert_eq!(at(0.5).coverage, 0.75);
        assert_eq!(at(0.5).error, Some(1.0 / 6.0));
        assert_eq!((at(0.95).coverage, at(0.95).error), (0.0, None));
    }

    #[test]
    fn limits_fall_into_the_last_bin_and_parts_add_up() {
        let mut one = Certainty::default();
        one.push(&[1.0, 0.0, 0.0, 0.0], true);
        let mut other = Certainty::default();
        other.push(&[0.25; 4], false);
        one += &other;
        let figures = one.figures().unwrap();
        assert_eq!(figures.beats, 2);
        assert!((figures.ece - 0.125).abs() < 1e-9);
        assert_eq!(figures.curve[19].coverage, 0.5);
    }
}
