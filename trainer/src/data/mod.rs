//! Records and recordings: found, read, kept, drawn and varied.

pub mod augment;
pub mod cache;
pub mod diagnosed;
pub mod find;
pub mod noise;
pub mod record;
pub mod sampler;
pub mod split;
pub mod weak_labels;

use find::REFERENCE;
use heartlens::canonical::RateError;
use heartlens::choice::LeadError;
use heartlens::records::RecordError;
use heartlens::records::annotation::AnnotationError;
use heartlens_core::class::Class;
use std::path::PathBuf;
use thiserror::Error;
use weak_labels::LABELS_FILE;

/// Data that cannot be trained on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A folder or file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A data base that the config names is not there.
    #[error(
        "found no folder {name} in {folders}, but the config names records of that data base; \
         `heartlens fetch {name}` gets it, and --data names the folder above it"
    )]
    NoDatabase {
        /// Name of the data base.
        name: String,
        /// The folders that were looked into.
        folders: String,
    },
    /// A record that the config names is not there.
    #[error(
        "{}: no such record, but data.records.{database} of the config names it; \
         `heartlens fetch {database}` gets the data base",
        path.display()
    )]
    NoRecord {
        /// The header that is missing.
        path: PathBuf,
        /// The data base.
        database: String,
    },
    /// A record that the config names has no annotations.
    #[error("{}: record without annotations: found no {name}.{REFERENCE} beside its header", path.display())]
    NoAnnotations {
        /// The header.
        path: PathBuf,
        /// The record's name.
        name: String,
    },
    /// The annotations name no beat.
    #[error("{}: its annotations hold no beat of the classes N, S, V, F", path.display())]
    NoBeats {
        /// The record.
        path: PathBuf,
    },
    /// A record named by the user is not among those read.
    #[error("no record {wanted} among the {count} that were read, such as {example}")]
    NoSuchRecord {
        /// The name.
        wanted: String,
        /// How many were read.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A noise record cannot be read.
    #[error(
        "{}: {source}; the noise records bw, em and ma of nstdb are needed unless augmentation.noise_probability is 0",
        path.display()
    )]
    Noise {
        /// The record.
        path: PathBuf,
        /// Why.
        source: Box<RecordError>,
    },
    /// The labels of recordings cannot be read.
    #[error(
        "{}: {source}; expected recordings with {LABELS_FILE}, as the PhysioNet/CinC Challenge 2017 has them",
        path.display()
    )]
    Labels {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the labels is malformed.
    #[error("{}, line {line}: found `{found}`, expected a record's name, a comma and N, A, O or ~", path.display())]
    LabelLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What it holds.
        found: String,
    },
    /// Codes of recordings are in no list of the config.
    #[error(
        "{}: found diagnoses that the config does not know: {codes} (recordings each); expected every code in one of none, S, V, \
         exclude and passed_over of its [[diagnosed]] section",
        folder.display()
    )]
    UnknownCodes {
        /// The data base's folder.
        folder: PathBuf,
        /// The codes, and how many recordings have each.
        codes: String,
    },
    /// No recording says anything of its beats.
    #[error(
        "{}: found no recording whose diagnosis says which ectopic beats it has; expected headers with `Dx:` and codes of none, S or V, \
         or PTB-XL's table",
        folder.display()
    )]
    NoDiagnosis {
        /// The data base's folder.
        folder: PathBuf,
    },
    /// A recording's annotations say otherwise than its diagnosis.
    #[error(
        "{}: holds {annotated} beats of class {class}, which contradicts the recording's diagnosis; put its codes into exclude, or \
         remove the recording",
        path.display()
    )]
    Contradiction {
        /// The annotations.
        path: PathBuf,
        /// The class, S or V.
        class: Class,
        /// Beats of it.
        annotated: usize,
    },
    /// A record's rate cannot be converted.
    #[error("{}: {source}", path.display())]
    Rate {
        /// The record.
        path: PathBuf,
        /// Why.
        source: RateError,
    },
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A record's best lead cannot be told.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// Annotations cannot be read.
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
}
