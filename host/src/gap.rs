//! Where a recording ends amid a signal: at a gap, as on a device.

use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::wearable::GAP_S;

/// Missing samples in succession, at the canonical rate, that a recording goes on after.
const MOST: u32 = GAP_S * SAMPLE_RATE_HZ;

/// What a moment of a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Part of the recording, missing or not.
    Heard,
    /// The gap is longer than a recording goes on after: it has ended before this.
    Ends,
    /// Between two recordings.
    PassedOver,
    /// The first of another recording, of which nothing that was learned before is known.
    Begins,
}

/// Tells where recordings begin and end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gap {
    missing: u32,
    is_over: bool,
}

impl Gap {
    /// What the next moment is, of which nothing is there where it `is_missing`.
    pub(crate) fn next(&mut self, is_missing: bool) -> Moment {
        if !is_missing {
            self.missing = 0;
            return match std::mem::take(&mut self.is_over) {
                true => Moment::Begins,
                false => Moment::Heard,
            };
        }
        if self.is_over {
            return Moment::PassedOver;
        }
        self.missing += 1;
        self.is_over = self.missing > MOST;
        match self.is_over {
            true => Moment::Ends,
            false => Moment::Heard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_are_gone_on_after_and_no_more() {
        let mut gap = Gap::default();
        let mut told = |missing: bool, moments: u32| -> Vec<Moment> {
            (0..moments).map(|_| gap.next(missing)).collect()
        };
        assert!(told(true, 256).iter().all(|told| *told == Moment::Heard));
        assert!(told(false, 3).iter().all(|told| *told == Moment::Heard));
        assert!(told(true, 256).iter().all(|told| *told == Moment::Heard));
        assert_eq!(told(true, 1), [Moment::Ends]);
        assert!(
            told(true, 500)
                .iter()
                .all(|told| *told == Moment::PassedOver)
        );
        assert_eq!(told(false, 2), [Moment::Begins, Moment::Heard]);
    }
}
