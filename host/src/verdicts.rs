//! Half a minute at a time: what the strip network says of a recording's windows, and what that says of its beats.

use crate::runtime::Logits;
use heartlens_core::spec::STRIP_LABELS;

/// Atrial fibrillation among [`STRIP_LABELS`].
const FIBRILLATION: usize = 1;
/// Noise among them.
const NOISE: usize = 3;

/// What the strip network says of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StripVerdict {
    /// Where the window begins, in seconds from the record's start.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// The probability of each class, in the order of [`STRIP_LABELS`]: normal, atrial fibrillation, another rhythm, noise. They add
    /// up to 1. In a window in which the heart beats evenly fibrillation is ruled out. A window in which a quarter of the beats or more are no heartbeats in readable signal is noise.
    pub probabilities: Logits,
}

impl StripVerdict {
    /// A window of noise.
    pub(crate) const NOISE: Logits = {
        let mut probabilities = [0.0; STRIP_LABELS.len()];
        probabilities[NOISE] = 1.0;
        probabilities
    };

    /// The same probabilities where fibrillation is ruled out: its share goes to the others, in proportion.
    pub(crate) fn without_fibrillation(mut probabilities: Logits) -> Logits {
        let rest = 1.0 - probabilities[FIBRILLATION];
        probabilities[FIBRILLATION] = 0.0;
        if rest > 0.0 {
            probabilities.map(|probability| probability / rest)
        } else {
            Self::NOISE
        }
    }
}

/// What windows say of moments: windows overlap, and each has a say in proportion to its length.
pub(crate) struct Verdicts<'a> {
    strips: &'a [StripVerdict],
    /// The first window that may hold the next moment.
    first: usize,
}

impl<'a> Verdicts<'a> {
    /// Of windows in order of time.
    pub(crate) const fn new(strips: &'a [StripVerdict]) -> Self {
        Self { strips, first: 0 }
    }

    /// Whether the heart is in atrial fibrillation at a moment, in seconds; moments come in order. `None` where no window holds it or
    /// noise is the likeliest.
    pub(crate) fn fibrillation_at(&mut self, time_s: f64) -> Option<bool> {
        let rest = self.strips.get(self.first..)?;
        self.first += rest.iter().take_while(|strip| strip.to_s <= time_s).count();
        let rest = self.strips.get(self.first..)?;
        let holding = rest
            .iter()
            .take_while(|strip| strip.from_s <= time_s)
            .filter(|strip| strip.to_s > time_s);
        let mut sums = [0.0; STRIP_LABELS.len()];
        for strip in holding {
            for (sum, probability) in sums.iter_mut().zip(strip.probabilities) {
                *sum += (strip.to_s - strip.from_s) * f64::from(probability);
            }
        }
        let largest = sums.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 || sums[NOISE] == largest {
            return None;
        }
        Some(sums[FIBRILLATION] == largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_a_say_by_their_length() {
        let strip = |from_s: f64, to_s: f64, probabilities| StripVerdict {
            from_s,
            to_s,
            probabilities,
        };
        let strips = [
            strip(0.0, 10.0, [0.2, 0.8, 0.0, 0.0]),
            strip(0.0, 20.0, [0.6, 0.4, 0.0, 0.0]),
            strip(20.0, 30.0, StripVerdict::NOISE),
        ];
        let mut verdicts = Verdicts::new(&strips);
        // 8 + 8 of 30 for fibrillation.
        assert_eq!(verdicts.fibrillation_at(3.0), Some(true));
        assert_eq!(verdicts.fibrillation_at(10.0), Some(false));
        assert_eq!(verdicts.fibrillation_at(25.0), None);
        assert_eq!(verdicts.fibrillation_at(30.0), None);
        assert_eq!(Verdicts::new(&[]).fibrillation_at(0.0), None);
    }
}
