//! Samples with their unit: counts of an analogue-to-digital converter, and millivolts.

/// A sample as the converter gave it, in counts. Meaningless without its [`Calibration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdcCount(pub i32);

/// A sample at the body surface, in millivolts.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Millivolts(pub f32);

/// The count of 16 bits that stands for a missing sample.
pub const MISSING: i16 = i16::MIN;

/// How counts become millivolts: `(count - zero) / counts_per_mv`, as a WFDB header states gain and baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Calibration {
    /// Counts per millivolt; finite and not zero. Negative where the lead was recorded upside down.
    pub counts_per_mv: f32,
    /// The count that means 0 mV.
    pub zero: i32,
}

impl Calibration {
    /// The sample in millivolts. The difference saturates instead of overflowing.
    pub fn millivolts(&self, count: AdcCount) -> Millivolts {
        Millivolts(count.0.saturating_sub(self.zero) as f32 / self.counts_per_mv)
    }

    /// A count of 16 bits in mV; not a number where it is [`MISSING`].
    pub fn sample_mv(&self, count: i16) -> f32 {
        match count {
            MISSING => f32::NAN,
            count => self.millivolts(AdcCount(count.into())).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_millivolts() {
        let calibration = Calibration {
            counts_per_mv: 200.0,
            zero: 1024,
        };
        assert_eq!(calibration.millivolts(AdcCount(1224)), Millivolts(1.0));
        assert_eq!(calibration.millivolts(AdcCount(1024)), Millivolts(0.0));
        assert_eq!(calibration.millivolts(AdcCount(924)), Millivolts(-0.5));
        assert!(calibration.millivolts(AdcCount(i32::MIN)).0.is_finite());
        assert_eq!(calibration.sample_mv(924), -0.5);
        assert_eq!(calibration.sample_mv(MISSING + 1), -168.955);
        assert!(calibration.sample_mv(MISSING).is_nan());
    }
}
