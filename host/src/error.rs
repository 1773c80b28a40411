//! Why a record could not be classified.

use crate::canonical::RateError;
use crate::choice::LeadError;
use crate::records::RecordError;
use crate::records::annotation::AnnotationError;
use crate::runtime::ModelError;
use std::path::PathBuf;

/// Why a record could not be classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The lead cannot be chosen.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// The record's rate cannot be brought to the canonical one.
    #[error("{path}: {source}")]
    Resample {
        /// The record.
        path: PathBuf,
        /// Why.
        source: RateError,
    },
    /// The record's annotations cannot be read.
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
    /// Annotations have no beats.
    #[error("{path}: has no beat annotations")]
    NoBeats {
        /// The annotation file.
        path: PathBuf,
    },
    /// Annotated beats lie beyond the signal.
    #[error(
        "{path}: the annotated beat at sample {sample} lies beyond the record's {len} samples; \
         do annotations and record belong together?"
    )]
    BeyondEnd {
        /// The record.
        path: PathBuf,
        /// The first beat beyond, in samples at the record's own rate.
        sample: u64,
        /// The record's length, in samples.
        len: usize,
    },
    /// The record is longer than positions can be counted.
    #[error("{path}: lasts {days:.0} days, expected at most 388; cut it into several records")]
    TooLong {
        /// The record.
        path: PathBuf,
        /// How long it lasts, in days.
        days: f64,
    },
    /// Two leads were asked for, but there are fewer.
    #[error("{path}: found {found} ECG lead(s), but averaging needs two; name one with --lead")]
    TooFewLeads {
        /// The record.
        path: PathBuf,
        /// How many ECG leads it has.
        found: usize,
    },
    /// The network cannot be loaded, or failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Whoever heard of the progress said that it was enough.
    #[error("cancelled")]
    Cancelled,
}
