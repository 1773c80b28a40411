//! A record as core reads it: its signal at the canonical rate, its positions there, its patient.

use crate::records::resample::{self, MAX_RATE_HZ, ResampleError, Resampler};
use crate::records::{self, Record};
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::spec;

/// The lowest rate that is accepted, in Hz: half of it is the band-pass filter's upper corner.
pub const MIN_RATE_HZ: f64 = 2.0 * spec::FILTER_HIGH_HZ;

/// The canonical rate, in Hz.
pub const RATE_HZ: f64 = spec::SAMPLE_RATE_HZ as f64;

/// A signal that cannot be brought to the canonical rate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// The rate is out of range.
    #[error("found a sample rate of {found} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")]
    Range {
        /// The rate, in Hz.
        found: f64,
    },
    /// It cannot be resampled.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// A resampler to the canonical rate, at the start of a signal of `from_hz` Hz.
///
/// # Errors
/// [`RateError::Range`] outside of [`MIN_RATE_HZ`] to [`MAX_RATE_HZ`], [`RateError::Resample`] where the rates' ratio
/// has no small terms.
pub fn resampler(from_hz: f64) -> Result<Resampler, RateError> {
    if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&from_hz) {
        return Err(RateError::Range { found: from_hz });
    }
    Ok(Resampler::new(from_hz, RATE_HZ)?)
}

/// Brings a whole signal to the canonical rate, without delay; see [`resample::resample`].
///
/// # Errors
/// As [`resampler`].
pub fn to_canonical(signal_mv: &[f32], from_hz: f64) -> Result<Vec<f32>, RateError> {
    let mut resampler = resampler(from_hz)?;
    let mut result = Vec::with_capacity(resampler.output_len(signal_mv.len()));
    resampler.push(signal_mv, &mut result)?;
    resampler.finish(&mut result)?;
    Ok(result)
}

/// The canonical sample next to sample `sample` of a signal of `from_hz` Hz: halves go up, and what is beyond `u32`
/// becomes its maximum.
pub fn to_canonical_index(sample: u64, from_hz: f64) -> u32 {
    u32::try_from(resample::position(sample, from_hz, RATE_HZ)).unwrap_or(u32::MAX)
}

/// The sample of a signal of `from_hz` Hz next to the canonical sample `index`; halves go up.
pub fn from_canonical_index(index: u32, from_hz: f64) -> u64 {
    resample::position(index.into(), RATE_HZ, from_hz)
}

/// What a record says of the patient.
pub fn patient(record: &Record) -> Patient {
    let records::Patient { age_years, sex } = record.patient();
    Patient {
        age_years,
        sex: sex.map(|sex| match sex {
            records::Sex::Female => Sex::Female,
            records::Sex::Male => Sex::Male,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0.0, -360.0, f64::NAN, f64::INFINITY, 79.9, 100_001.0] {
            let refused = to_canonical(&[0.0; 10], rate);
            assert!(
                matches!(refused, Err(RateError::Range { .. })),
                "{rate}: {refused:?}"
            );
        }
        let odd = 1000.0 * std::f64::consts::SQRT_2;
        let message = to_canonical(&[0.0; 10], odd).map_err(|e| e.to_string());
        let expected = "found a sample rate of 1414.213562373095 Hz, whose ratio to 128 Hz";
        assert!(message.is_err_and(|message| message.starts_with(expected)));
    }

    #[test]
    fn positions_beyond_what_core_counts_saturate() {
        assert_eq!(to_canonical_index(u64::MAX, 360.0), u32::MAX);
        assert_eq!(to_canonical_index(45, 360.0), 16);
        assert_eq!(from_canonical_index(16, 360.0), 45);
    }
}
