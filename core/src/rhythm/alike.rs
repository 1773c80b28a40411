//! Beats that look alike get like answers: what the network has said of a kind of beat, in one patient, weighs on the next of the kind.
//!
//! A network that sees one beat at a time calls some beats of a shape ventricular and others, that look the same, not. [`Alike`] keeps
//! [`KINDS`] kinds of beats, each as the running mean of its [`Appearance`]s and of the network's probabilities. A beat belongs
//! to the nearest kind, or to a new one where none is near, and the kind's mean enters its own probabilities by a product of
//! experts. No label of the patient is used, and nothing is learned in training (leader clustering: Hartigan, Clustering Algorithms,
//! 1975, chapter 3; product of experts: Hinton, Neural Computation 14, 2002).
//!
//! What it gains is in `models/beat/card.md`; what was tried besides, in `docs/experiments.md`.

use super::Probabilities;
use crate::model::softmax;
use crate::spec::LABELS;
use crate::views::{Shape, Views};
use libm::{logf, roundf};

/// Kinds that are kept.
const KINDS: usize = 16;
/// Values of an appearance: the shape's, then the RR intervals before and behind the beat.
const LEN: usize = Shape::LEN + 2;
/// An appearance is kept in this many steps of a unit,
const STEPS: f32 = 1024.0;
/// and a beat is of a kind whose squared distance is no larger than this, in units.
const RADIUS: f32 = 2.0;
/// Logarithms of intervals against the local median's are clipped to +-this,
const TIMING_MAX: f32 = 0.7;
/// and weigh this much beside the shape.
const TIMING_WEIGHT: f32 = 6.0;
/// The features of [`crate::views::metadata`] that hold these logarithms are twice as large.
const FEATURE_GAIN: f32 = 2.0;
/// The mean of a kind follows its last beats by this rate at least.
const RATE_MIN: f32 = 1.0 / 64.0;
/// Beats of a kind before it has a say.
const BEATS_MIN: u16 = 5;
/// After so many beats a kind's number of beats is halved, so that kinds that are seen no more make room.
const HALVED_AFTER: u32 = 1024;
/// The kind's share in the logarithm of a beat's probability.
const SHARE: f32 = 0.5;
/// Added to a beat's own probabilities before the logarithm,
const FLOOR: f32 = 1e-4;
/// and to those of others.
const OTHERS_FLOOR: f32 = 0.01;

/// A beat's own probabilities and those of others, joined by a product of experts: `p^(1 - share)` times each of the others to
/// the power of an equal part of `share`, made to add up to 1. Nobody's word rules a class out: small numbers are added before the logarithm.
pub fn product_of_experts(
    own: &Probabilities,
    share: f32,
    others: &[&Probabilities],
) -> Probabilities {
    let part = share / others.len() as f32;
    let mut logits = [0.0; LABELS.len()];
    for (class, (own, logit)) in own.iter().zip(&mut logits).enumerate() {
        let theirs = others.iter().filter_map(|other| other.get(class));
        let theirs: f32 = theirs.map(|p| logf(p + OTHERS_FLOOR)).sum();
        *logit = (1.0 - share) * logf(own + FLOOR) + part * theirs;
    }
    softmax(&logits)
}

/// How early or late a beat came, as beats are compared by it: of the logarithm of an RR interval over the median of those around it.
pub fn timing(log_ratio: f32) -> f32 {
    TIMING_WEIGHT * log_ratio.clamp(-TIMING_MAX, TIMING_MAX)
}

/// What a beat is compared by: P wave and QRS complex ([`Shape`]), and how early it and the next beat came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appearance([i16; LEN]);

impl Appearance {
    /// All zeros.
    pub const ZERO: Self = Self([0; LEN]);

    /// Of a beat's waveform and metadata views.
    pub fn of(views: &Views) -> Self {
        let mut appearance = Self::ZERO;
        let mut places = appearance.0.iter_mut();
        for (value, place) in Shape::of(views).values().iter().zip(&mut places) {
            *place = steps(*value);
        }
        // The first two: the intervals before and behind the beat.
        for (feature, place) in views.metadata.iter().zip(places) {
            *place = steps(timing(feature / FEATURE_GAIN));
        }
        appearance
    }

    /// The squared Euclidean distance, in units.
    fn squared_distance(&self, other: &Self) -> f32 {
        let pairs = self.0.iter().zip(&other.0);
        let sum: f32 = pairs
            .map(|(a, b)| {
                let difference = (i32::from(*a) - i32::from(*b)) as f32;
                difference * difference
            })
            .sum();
        sum / (STEPS * STEPS)
    }
}

/// A value in steps, as far as 16 bits reach.
fn steps(value: f32) -> i16 {
    // A cast of a float saturates, and makes 0 of what is no number.
    roundf(value * STEPS) as i16
}

/// Beats that look alike.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// The mean appearance,
    appearance: Appearance,
    /// and that of the network's probabilities.
    probabilities: Probabilities,
    /// Beats, halved now and then; 0 of a kind that there is not yet.
    beats: u16,
    /// The newest beat.
    last: u32,
}

impl Kind {
    const NONE: Self = Self {
        appearance: Appearance::ZERO,
        probabilities: [0.0; LABELS.len()],
        beats: 0,
        last: 0,
    };

    /// Takes a beat, with what the network says of it.
    fn push(&mut self, appearance: &Appearance, probabilities: &Probabilities, beat: u32) {
        self.beats = self.beats.saturating_add(1);
        self.last = beat;
        let rate = (1.0 / f32::from(self.beats)).max(RATE_MIN);
        for (mean, new) in self.appearance.0.iter_mut().zip(&appearance.0) {
            let difference = (i32::from(*new) - i32::from(*mean)) as f32;
            *mean = roundf(f32::from(*mean) + rate * difference) as i16;
        }
        for (mean, new) in self.probabilities.iter_mut().zip(probabilities) {
            *mean += rate * (new - *mean);
        }
    }
}

/// The kinds of beats that one patient has had lately.
#[derive(Debug, Clone)]
pub(super) struct Alike {
    kinds: [Kind; KINDS],
    /// Beats so far.
    beats: u32,
}

/// What DESIGN.md says that it takes.
const _: () = assert!(size_of::<Alike>() <= 2_500);

impl Alike {
    pub(super) const fn new() -> Self {
        Self {
            kinds: [Kind::NONE; KINDS],
            beats: 0,
        }
    }

    /// Takes the next beat, whose signal can be read, and what the network says of it, and gives what the beats before that look like it
    /// make of that. Probabilities that are not all finite are given back, and say nothing of a kind.
    pub(super) fn weigh(
        &mut self,
        appearance: &Appearance,
        probabilities: &Probabilities,
    ) -> Probabilities {
        if probabilities.iter().any(|p| !p.is_finite()) {
            return *probabilities;
        }
        self.beats = self.beats.wrapping_add(1);
        if self.beats.is_multiple_of(HALVED_AFTER) {
            for kind in &mut self.kinds {
                // One that there is stays one.
                kind.beats = kind.beats.div_ceil(2);
            }
        }
        let (mut nearest, mut distance) = (None, RADIUS);
        // The kind with the fewest beats, of these the one not seen for longest: one that is not there yet, where there is room.
        let (mut fewest, mut rank) = (0, (u16::MAX, u32::MAX));
        for (place, kind) in self.kinds.iter().enumerate() {
            if (kind.beats, kind.last) < rank {
                (fewest, rank) = (place, (kind.beats, kind.last));
            }
            if kind.beats == 0 {
                continue;
            }
            let to_kind = kind.appearance.squared_distance(appearance);
            if to_kind <= distance && (nearest.is_none() || to_kind < distance) {
                (nearest, distance) = (Some(place), to_kind);
            }
        }
        let Some(kind) = self.kinds.get_mut(nearest.unwrap_or(fewest)) else {
            return *probabilities;
        };
        if nearest.is_none() {
            *kind = Kind::NONE;
        }
        let weighed = match kind.beats >= BEATS_MIN {
            true => product_of_experts(probabilities, SHARE, &[&kind.probabilities]),
            false => *probabilities,
        };
        kind.push(appearance, probabilities, self.beats);
        weighed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Probabilities = [0.97, 0.01, 0.01, 0.01];
    const V: Probabilities = [0.01, 0.01, 0.97, 0.01];
    /// A little more S than N.
    const UNCLEAR: Probabilities = [0.45, 0.53, 0.01, 0.01];

    /// An appearance whose first value is this, in units.
    fn looks(value: f32) -> Appearance {
        let mut appearance = Appearance::ZERO;
        appearance.0[0] = steps(value);
        appearance
    }

    fn class(probabilities: &Probabilities) -> usize {
        let all = 0..probabilities.len();
        all.max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .unwrap_or_default()
    }

    #[test]
    fn an_appearance_is_shape_and_timing() {
        let mut views = Views::ZERO;
        views.waveform[crate::spec::WAVEFORM_BEFORE_SAMPLES] = 2.0;
        // Half the interval before, and one that is too long to count in full behind.
        views.metadata[0] = 2.0 * logf(0.5);
        views.metadata[1] = 3.0;
        let appearance = Appearance::of(&views);
        let shape = Shape::of(&views);
        for (value, kept) in shape.values().iter().zip(&appearance.0) {
            assert!((value * STEPS - f32::from(*kept)).abs() <= 0.5, "{value}");
        }
        assert_eq!(appearance.0[LEN - 2], steps(6.0 * -core::f32::consts::LN_2));
        assert_eq!(appearance.0[LEN - 1], steps(6.0 * 0.7));
        let flat = Appearance::of(&Views::ZERO);
        let expected = shape.squared_distance(&Shape::of(&Views::ZERO))
            + 36.0 * (core::f32::consts::LN_2.powi(2) + 0.49);
        let distance = appearance.squared_distance(&flat);
        assert!((distance - expected).abs() < 0.01, "{distance}");
        views.waveform[crate::spec::WAVEFORM_BEFORE_SAMPLES] = f32::INFINITY;
        assert!(Appearance::of(&views).squared_distance(&flat).is_finite());
    }

    #[test]
    fn an_unclear_beat_is_what_beats_like_it_are() {
        let mut alike = Alike::new();
        for beat in 0..BEATS_MIN {
            assert_eq!(alike.weigh(&looks(0.0), &N), N, "{beat}: too few");
        }
        assert_eq!(class(&UNCLEAR), 1);
        let weighed = alike.weigh(&looks(0.5), &UNCLEAR);
        assert_eq!(class(&weighed), 0);
        assert!((weighed.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // p^(1/2) q^(1/2), by hand: q is the mean of five beats.
        let product = ((0.45_f32 + 1e-4) * 0.98).sqrt() / ((0.53_f32 + 1e-4) * 0.02).sqrt();
        assert!((weighed[0] / weighed[1] / product - 1.0).abs() < 1e-3);
        // One that looks otherwise has its own say.
        assert_eq!(alike.weigh(&looks(3.0), &UNCLEAR), UNCLEAR);
        // And one that is clear stays what it is.
        assert_eq!(class(&alike.weigh(&looks(0.0), &V)), 2);
    }

    #[test]
    fn a_kind_that_changes_is_followed() {
        let mut alike = Alike::new();
        for _ in 0..2000 {
            alike.weigh(&looks(0.0), &N);
        }
        for _ in 0..200 {
            alike.weigh(&looks(0.0), &V);
        }
        assert_eq!(class(&alike.weigh(&looks(0.0), &[0.5, 0.0, 0.49, 0.01])), 2);
    }

    #[test]
    fn kinds_that_are_seen_no_more_make_room() {
        let mut alike = Alike::new();
        for far in (0..20).map(|far| 2.0 + 1.45 * far as f32) {
            // Two kinds that are seen once, and in between one that comes back.
            for value in [far, -far] {
                alike.weigh(&looks(value), &V);
                alike.weigh(&looks(0.0), &N);
            }
        }
        let kept = |alike: &Alike, value: f32| {
            let there = alike.kinds.iter().filter(|kind| kind.beats > 0);
            let distance = |kind: &Kind| kind.appearance.squared_distance(&looks(value));
            there.map(distance).any(|distance| distance < 0.1)
        };
        assert!(kept(&alike, 29.55) && kept(&alike, -19.4));
        assert!(!kept(&alike, 19.4) && !kept(&alike, 2.0));
        assert_eq!(class(&alike.weigh(&looks(0.0), &UNCLEAR)), 0);
        // What was frequent once is forgotten when it has not been seen for hours and there are others.
        for beat in 0..20 * HALVED_AFTER {
            alike.weigh(&looks(-25.0 + 1.45 * (beat % KINDS as u32) as f32), &V);
        }
        assert!(!kept(&alike, 0.0));
        assert_eq!(alike.weigh(&looks(0.0), &UNCLEAR), UNCLEAR);
    }

    #[test]
    fn what_is_no_number_says_nothing() {
        let mut alike = Alike::new();
        let failed = [f32::NAN; LABELS.len()];
        for _ in 0..10 {
            alike.weigh(&looks(0.0), &N);
            assert!(alike.weigh(&looks(0.0), &failed)[0].is_nan());
        }
        assert_eq!(class(&alike.weigh(&looks(0.0), &UNCLEAR)), 0);
    }
}
