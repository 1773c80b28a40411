//! A stretch of one lead at the canonical rate, as it lies in flash: what a converter would have given.
//!
//! All numbers are little-endian:
//!
//! | offset | type | what |
//! |---|---|---|
//! | 0 | u32 | number of samples, `n` |
//! | 4 | f32 | counts per millivolt |
//! | 8 | i32 | the count that means 0 mV |
//! | 12 | i16 x n | samples; -32768 is a missing one |

use heartlens_core::sample::Calibration;

/// Bytes before the samples.
pub const HEADER_BYTES: usize = 12;
/// Bytes of a sample.
pub const SAMPLE_BYTES: usize = 2;

/// What the header says: how many samples follow, and what turns them into millivolts.
pub fn header(bytes: &[u8; HEADER_BYTES]) -> (u32, Calibration) {
    let word = |i: usize| [bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]];
    let calibration = Calibration {
        counts_per_mv: f32::from_le_bytes(word(4)),
        zero: i32::from_le_bytes(word(8)),
    };
    (u32::from_le_bytes(word(0)), calibration)
}

/// The samples in these bytes, in counts.
pub fn counts(bytes: &[u8]) -> impl ExactSizeIterator<Item = i16> + use<'_> {
    let (samples, _) = bytes.as_chunks::<SAMPLE_BYTES>();
    samples.iter().map(|sample| i16::from_le_bytes(*sample))
}

/// A stretch, read in place.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    calibration: Calibration,
    samples: &'a [u8],
}

/// The bytes are not a stretch: their number is not what the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(board, derive(defmt::Format))]
pub struct LengthError {
    /// Bytes that the header, or having one, asks for.
    pub expected: usize,
    /// Bytes that there are.
    pub found: usize,
}

impl core::fmt::Display for LengthError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { expected, found } = self;
        write!(
            f,
            "the stretch should have {expected} bytes and has {found}"
        )
    }
}

impl core::error::Error for LengthError {}

/// The stretch that this image was built with.
pub const EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stretch.bin"));

impl<'a> Stretch<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// When the length is not the one that the header states.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LengthError> {
        let wrong_length = |expected| LengthError {
            expected,
            found: bytes.len(),
        };
        let (start, samples) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(wrong_length(HEADER_BYTES))?;
        let (count, calibration) = header(start);
        let sample_bytes = (count as usize).saturating_mul(SAMPLE_BYTES);
        if samples.len() != sample_bytes {
            return Err(wrong_length(sample_bytes.saturating_add(HEADER_BYTES)));
        }
        Ok(Self {
            calibration,
            samples,
        })
    }

    /// What turns its samples into millivolts.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Its samples, in counts.
    pub fn counts(&self) -> impl ExactSizeIterator<Item = i16> + use<'a> {
        counts(self.samples)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_was_written_is_read() {
        let mut bytes = Vec::new();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(200.0_f32.to_le_bytes());
        bytes.extend(1024_i32.to_le_bytes());
        for sample in [-32768_i16, 5, 32767] {
            bytes.extend(sample.to_le_bytes());
        }
        let stretch = Stretch::parse(&bytes).expect("a stretch");
        let samples: Vec<i16> = stretch.counts().collect();
        assert_eq!(samples, [-32768, 5, 32767]);
        assert_eq!(stretch.calibration().counts_per_mv, 200.0);
        assert_eq!(stretch.calibration().zero, 1024);

        let all = bytes.len();
        for len in 0..all {
            let error = Stretch::parse(&bytes[..len]).expect_err("cut short");
            assert_eq!(error.found, len);
            assert_eq!(error.expected, if len < 12 { 12 } else { all });
        }
        bytes[0] = 0xff;
        bytes[3] = 0xff;
        assert!(Stretch::parse(&bytes).is_err(), "more samples than memory");
    }
}
