//! What the strip network says of a window, and what windows say of a moment.

use super::kept::StripWindow;
use super::views::StripViews;
use crate::model::{Logits, softmax};
use crate::spec::{STRIP_FIBRILLATION, STRIP_LABELS};

/// Noise among them.
const NOISE: usize = 3;

/// What the strip network says of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StripVerdict {
    /// The window.
    pub window: StripWindow,
    /// The probability of each class, in the order of [`STRIP_LABELS`]: normal, atrial fibrillation, another rhythm, noise. They add
    /// up to 1. In a window in which the heart beats evenly fibrillation is ruled out. A window in which a quarter of the beats
    /// or more are no heartbeats in readable signal is noise.
    pub probabilities: Logits,
}

/// The mean probability of fibrillation above which S is no S: twice that of all else together.
const SURE: f32 = 2.0 / 3.0;

impl StripVerdict {
    /// The probabilities of a window of noise: one that is not [readable](StripViews::is_readable), whatever the network says.
    pub const NOISE: Logits = {
        let mut probabilities = [0.0; STRIP_LABELS.len()];
        probabilities[NOISE] = 1.0;
        probabilities
    };

    /// The probabilities of a window with these views, of which the network says this. Logits that are not all numbers are noise.
    pub fn probabilities(views: &StripViews, logits: &Logits) -> Logits {
        let probabilities = softmax(logits);
        if !views.is_readable() || probabilities.iter().any(|x| x.is_nan()) {
            Self::NOISE
        } else if views.is_even() {
            Self::without_fibrillation(probabilities)
        } else {
            probabilities
        }
    }

    /// The same probabilities where fibrillation is ruled out: its share goes to the others, in proportion.
    fn without_fibrillation(mut probabilities: Logits) -> Logits {
        let rest = 1.0 - probabilities[STRIP_FIBRILLATION];
        probabilities[STRIP_FIBRILLATION] = 0.0;
        if rest > 0.0 {
            probabilities.map(|probability| probability / rest)
        } else {
            Self::NOISE
        }
    }

    /// Whether verdicts are so sure of atrial fibrillation that early beats are no S: the mean of these probabilities of it, one a
    /// verdict, is above 2/3. False of none.
    pub fn rules_out_s(fibrillation: impl IntoIterator<Item = f32>) -> bool {
        let (mut sum, mut count) = (0.0, 0.0);
        for probability in fibrillation {
            sum += probability;
            count += 1.0;
        }
        sum > SURE * count
    }

    /// Whether the heart is in atrial fibrillation at a sample, by all windows that hold it; each has a say in proportion to its
    /// length. `None` where no window holds it or noise is the likeliest. The sums are in the order of the windows.
    pub fn fibrillation_at(
        verdicts: impl IntoIterator<Item = Self>,
        r_sample: u32,
    ) -> Option<bool> {
        let mut sums: Logits = [0.0; STRIP_LABELS.len()];
        for Self {
            window,
            probabilities,
        } in verdicts
        {
            if (window.start..window.end).contains(&r_sample) {
                let len = (window.end - window.start) as f32;
                for (sum, probability) in sums.iter_mut().zip(probabilities) {
                    *sum += len * probability;
                }
            }
        }
        let largest = sums.iter().copied().fold(0.0, f32::max);
        if largest == 0.0 || sums[NOISE] == largest {
            return None;
        }
        Some(sums[STRIP_FIBRILLATION] == largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_a_say_by_their_length() {
        let strip = |start, end, probabilities| StripVerdict {
            window: StripWindow { start, end },
            probabilities,
        };
        let strips = [
            strip(0, 1280, [0.2, 0.8, 0.0, 0.0]),
            strip(0, 2560, [0.6, 0.4, 0.0, 0.0]),
            strip(2560, 3840, StripVerdict::NOISE),
        ];
        let at = |r_sample| StripVerdict::fibrillation_at(strips, r_sample);
        // 8 + 8 of 30 for fibrillation.
        assert_eq!(at(384), Some(true));
        assert_eq!(at(1279), Some(true));
        assert_eq!(at(1280), Some(false));
        assert_eq!(at(3200), None);
        assert_eq!(at(3840), None);
        assert_eq!(StripVerdict::fibrillation_at([], 0), None);
    }

    #[test]
    fn an_even_heart_a_strange_one_and_a_failed_network() {
        use crate::strip::statistics::{BEATS, STRANGE, USUAL_STEP};
        let mut views = StripViews::ZERO;
        let logits = [1.0, 1.0, 1.0, 1.0];
        let of = |views: &StripViews, logits| StripVerdict::probabilities(views, logits);
        assert_eq!(of(&views, &logits), StripVerdict::NOISE, "no beat");
        views.statistics[BEATS] = 0.5;
        let third = 0.25 / 0.75;
        assert_eq!(of(&views, &logits), [third, 0.0, third, third], "even");
        // Nothing is left.
        let sure = [-1e9, 1e9, -1e9, -1e9];
        assert_eq!(of(&views, &sure), StripVerdict::NOISE);
        views.statistics[USUAL_STEP] = 0.03;
        assert_eq!(of(&views, &logits), [0.25; 4]);
        assert_eq!(of(&views, &[1.0, f32::NAN, 0.0, 0.0]), StripVerdict::NOISE);
        views.statistics[STRANGE] = 0.25;
        assert_eq!(of(&views, &logits), StripVerdict::NOISE);
    }
}
