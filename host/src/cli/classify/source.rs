//! What is read: a record with its signal, or a list of beats.

use super::Args;
use crate::records::annotation::Annotation;
use crate::records::{BeatList, Record, Warning};
use std::path::{Path, PathBuf};

/// Where classes come from that nobody knows.
pub(super) const NOT_JUDGED: &str = "not judged";

/// A record, or a list of beats.
#[derive(Debug)]
pub(super) enum Source {
    Record(Box<Record>),
    Beats(Box<BeatList>),
}

impl Source {
    /// Opens what is under this name.
    pub(super) fn open(path: &Path, args: &Args) -> anyhow::Result<Self> {
        Ok(match BeatList::open(path, &args.beat_options())? {
            Some(list) => Self::Beats(Box::new(list)),
            None => {
                let record = Record::open_with(path, &args.reading.read_options())?;
                Self::Record(Box::new(record))
            }
        })
    }

    pub(super) fn sample_rate_hz(&self) -> f64 {
        match self {
            Self::Record(record) => record.sample_rate_hz(),
            Self::Beats(list) => list.sample_rate_hz,
        }
    }

    pub(super) fn duration_s(&self) -> f64 {
        match self {
            Self::Record(record) => record.duration_s(),
            Self::Beats(list) => list.duration_s,
        }
    }

    pub(super) fn is_synthetic(&self) -> bool {
        match self {
            Self::Record(record) => record.is_synthetic(),
            Self::Beats(list) => list.is_synthetic(),
        }
    }

    pub(super) fn annotation_path(&self, extension: &str) -> PathBuf {
        match self {
            Self::Record(record) => record.annotation_path(extension),
            Self::Beats(list) => list.annotation_path(extension),
        }
    }

    pub(super) fn annotation_preamble(&self) -> Option<Annotation> {
        match self {
            Self::Record(record) => record.annotation_preamble(),
            Self::Beats(list) => list.annotation_preamble(),
        }
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self {
            Self::Record(record) => record.warnings(),
            Self::Beats(list) => list.warnings.clone(),
        }
    }

    /// Where the classes of the beats come from.
    pub(super) fn classes(&self) -> &'static str {
        match self {
            Self::Record(_) => "network",
            Self::Beats(list) if list.labelled => "annotation",
            Self::Beats(_) => NOT_JUDGED,
        }
    }
}
