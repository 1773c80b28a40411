//! Half a minute at a time: what the strip network says of a recording's windows.

use crate::runtime::Logits;
use heartlens_core::strip;

/// What the strip network says of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StripVerdict {
    /// Where the window begins, in seconds from the record's start.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// The probability of each class, in the order of [`STRIP_LABELS`](heartlens_core::spec::STRIP_LABELS): normal, atrial fibrillation, another
    /// rhythm, noise. They add up to 1. In a window in which the heart beats evenly fibrillation is ruled out. A window in which a quarter of the beats or more are no heartbeats in readable signal is noise.
    pub probabilities: Logits,
}

/// What windows say of moments: [`strip::StripVerdict::fibrillation_at`] of the few windows that may hold one.
pub(crate) struct Verdicts<'a> {
    strips: &'a [strip::StripVerdict],
    /// The first window that may hold the next moment.
    first: usize,
}

impl<'a> Verdicts<'a> {
    /// Of windows in order of time.
    pub(crate) const fn new(strips: &'a [strip::StripVerdict]) -> Self {
        Self { strips, first: 0 }
    }

    /// Whether the heart is in atrial fibrillation at a sample; samples come in order.
    pub(crate) fn fibrillation_at(&mut self, r_sample: u32) -> Option<bool> {
        let rest = self.strips.get(self.first..)?;
        let over = rest.iter().take_while(|strip| strip.window.end <= r_sample);
        self.first += over.count();
        let rest = self.strips.get(self.first..)?;
        let begun = rest
            .iter()
            .take_while(|strip| strip.window.start <= r_sample);
        strip::StripVerdict::fibrillation_at(begun.copied(), r_sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartlens_core::strip::StripWindow;

    /// Each sample is told as by all windows, though most are not looked at.
    #[test]
    fn windows_that_are_over_have_no_say() {
        let strips: Vec<strip::StripVerdict> = (1..40_u32)
            .map(|i| {
                let end = i * 1280;
                let a = ((i * 7919) % 101) as f32 / 100.0;
                strip::StripVerdict {
                    window: StripWindow {
                        start: end.saturating_sub(3840),
                        end,
                    },
                    probabilities: [0.6 * (1.0 - a), a, 0.3 * (1.0 - a), 0.1 * (1.0 - a)],
                }
            })
            .collect();
        let mut verdicts = Verdicts::new(&strips);
        let mut found = [0; 3];
        for r_sample in (0..52_000).step_by(97) {
            let said = verdicts.fibrillation_at(r_sample);
            let all = strip::StripVerdict::fibrillation_at(strips.iter().copied(), r_sample);
            assert_eq!(said, all, "{r_sample}");
            found[said.map_or(2, usize::from)] += 1;
        }
        assert!(found.iter().all(|count| *count > 10), "{found:?}");
    }
}
