//! What the strip network has said lately, and whether that is fibrillation.

use crate::spec::{STRIP_FIBRILLATION, STRIP_STEP_SAMPLES};
use crate::strip::StripVerdict;
use crate::window::Ring;

/// Verdicts that have a say: those of the last minute, whose windows cover 80 s.
const VERDICTS: usize = 6;
/// Verdicts that may be heard before they have a say, on a device that is quick.
const EARLY: usize = 2;

/// The verdicts that were heard last.
///
/// A verdict has a say in beats whose R peak lies [`STRIP_STEP_SAMPLES`] (10 s) after its window's end or later. By then every machine has
/// it, so that beats get the same bits on all of them.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    /// From which sample on each has a say, and its probability of fibrillation.
    verdicts: Ring<(u32, f32), { VERDICTS + EARLY }>,
}

impl Heard {
    pub(super) const fn new() -> Self {
        Self {
            verdicts: Ring::new(),
        }
    }

    /// Takes the next verdict; they come in order of time.
    pub(super) fn push(&mut self, verdict: &StripVerdict) {
        let from = verdict.window.end.saturating_add(STRIP_STEP_SAMPLES);
        let probability = verdict.probabilities[STRIP_FIBRILLATION];
        self.verdicts.push((from, probability));
    }

    /// Whether the heart fibrillates at a sample, by the mean of the last six verdicts that have a say there.
    pub(super) fn is_fibrillation(&self, r_sample: u32) -> bool {
        let due = |(from, _): &(u32, f32)| *from <= r_sample;
        let count = self.verdicts.iter().filter(due).count();
        let last = self
            .verdicts
            .iter()
            .filter(due)
            .skip(count.saturating_sub(VERDICTS));
        StripVerdict::rules_out_s(last.map(|(_, probability)| probability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strip::StripWindow;

    fn verdict(end: u32, probability: f32) -> StripVerdict {
        StripVerdict {
            window: StripWindow {
                start: end.saturating_sub(3840),
                end,
            },
            probabilities: [1.0 - probability, probability, 0.0, 0.0],
        }
    }

    #[test]
    fn a_verdict_has_a_say_after_ten_seconds() {
        let mut heard = Heard::new();
        assert!(!heard.is_fibrillation(u32::MAX), "nothing was heard");
        heard.push(&verdict(1280, 0.9));
        assert!(!heard.is_fibrillation(2559));
        assert!(heard.is_fibrillation(2560));
        // The mean of .9 and .4 is below two thirds, and the second has no say before its time.
        heard.push(&verdict(2560, 0.4));
        assert!(heard.is_fibrillation(3839));
        assert!(!heard.is_fibrillation(3840));
    }

    #[test]
    fn the_last_six_count() {
        let mut heard = Heard::new();
        for window in 1..=20 {
            heard.push(&verdict(window * 1280, 0.0));
        }
        for window in 21..=24 {
            heard.push(&verdict(window * 1280, 1.0));
        }
        // Four of six are two thirds, and not above.
        assert!(!heard.is_fibrillation(25 * 1280));
        heard.push(&verdict(25 * 1280, 1.0));
        assert!(!heard.is_fibrillation(26 * 1280 - 1));
        assert!(heard.is_fibrillation(26 * 1280));
        // The machine that hears early says the same of what is past.
        heard.push(&verdict(26 * 1280, 0.0));
        heard.push(&verdict(27 * 1280, 0.0));
        assert!(heard.is_fibrillation(26 * 1280));
    }
}
