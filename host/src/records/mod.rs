//! Records and their annotations, as files.
//!
//! [`Record`] is what every format of record becomes; what reads one format is a `Source` in a file of its own. Today
//! that is WFDB: [`header`] and [`signal`].

pub mod annotation;
pub mod header;
pub mod resample;
pub mod signal;

use annotation::{AnnotationError, Annotations};
use header::MalformedHeader;
use heartlens_core::patient::Patient;
use heartlens_core::sample::Calibration;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A record: simultaneous leads of one length and rate. Opening it reads no samples.
#[derive(Debug)]
pub struct Record {
    name: String,
    /// The record's path without the format's extension; annotation files lie beside it.
    stem: PathBuf,
    contents: Contents,
}

/// What a format's `open` finds out about a record.
#[derive(Debug)]
struct Contents {
    sample_rate_hz: f64,
    len: usize,
    leads: Vec<Lead>,
    patient: Patient,
    comments: Vec<String>,
    source: Box<dyn Source>,
}

/// Reads the samples of an opened record. `lead` is always an index into the leads that `open` listed.
trait Source: fmt::Debug + Send + Sync {
    /// One lead in ADC counts, as stored.
    fn read_adc(&self, lead: usize) -> Result<Vec<i32>, RecordError>;
    /// One lead in millivolts; NaN where there is no valid sample.
    fn read_mv(&self, lead: usize) -> Result<Vec<f32>, RecordError>;
    /// What opening and reading so far found strange, but not wrong enough to fail.
    fn warnings(&self) -> Vec<Warning>;
}

/// One lead of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// The name that the record gives it, or `lead 0` (1, 2 ...) where it gives none.
    pub name: String,
    /// The physical unit as the record states it.
    pub units: String,
    /// How counts become millivolts; `None` where the unit is no voltage.
    pub calibration: Option<Calibration>,
}

/// Which lead: by its place, or by its name. Parses from `0` or `MLII`; the default is the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadChoice {
    /// By its place in the record, from 0.
    Index(usize),
    /// By its name, upper and lower case alike.
    Name(String),
}

impl Default for LeadChoice {
    fn default() -> Self {
        Self::Index(0)
    }
}

impl FromStr for LeadChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            Ok(index) => Self::Index(index),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for LeadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// Something strange about a record that is worth telling, but does not stop it from being read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The header states no sample rate.
    #[error("the header states no sample rate; assumed {hz} Hz, as WFDB does")]
    RateAssumed {
        /// The rate assumed, in Hz.
        hz: f64,
    },
    /// The header states no gain.
    #[error(
        "lead {} is not calibrated; assumed 200 counts per unit, as WFDB does",
        shown(lead)
    )]
    Uncalibrated {
        /// The lead's name.
        lead: String,
    },
    /// The samples' sum is not what the header says.
    #[error(
        "the samples of lead {} add up to {found}, but the header states {stated}: the signal file may be damaged",
        shown(lead)
    )]
    Checksum {
        /// The lead's name.
        lead: String,
        /// The samples' sum modulo 2^16.
        found: i16,
        /// The sum in the header.
        stated: i16,
    },
}

/// A record that cannot be read. The message says the cause too, and [`std::error::Error::source`] does not repeat it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is nothing under this name.
    #[error("{}: no such record; expected a WFDB header (.hea) there", path.display())]
    NoSuchRecord {
        /// The header that was looked for.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The header is no header.
    #[error("{}: {cause}", path.display())]
    Header {
        /// The header.
        path: PathBuf,
        /// Where and why.
        cause: MalformedHeader,
    },
    /// The signal file is shorter than the header says.
    #[error("{}: found {found} samples of each lead, but {} promises {promised}", path.display(), header.display())]
    TooShort {
        /// The header.
        header: PathBuf,
        /// The signal file.
        path: PathBuf,
        /// Samples of each lead in the file.
        found: u64,
        /// Samples of each lead by the header.
        promised: u64,
    },
    /// The record has no samples.
    #[error("{}: found no samples, expected at least one of each lead", path.display())]
    NoSamples {
        /// The signal file.
        path: PathBuf,
    },
    /// The record has more samples than this machine can address.
    #[error("{}: found {found} samples of each lead, more than this machine can address", header.display())]
    TooLong {
        /// The header.
        header: PathBuf,
        /// Samples of each lead.
        found: u64,
    },
    /// The lead asked for is not in the record.
    #[error("record {record} has no lead {wanted}; it has {}", list(leads))]
    NoSuchLead {
        /// The record's name.
        record: String,
        /// The lead asked for.
        wanted: LeadChoice,
        /// The names of the leads that there are.
        leads: Vec<String>,
    },
    /// The lead is no ECG.
    #[error("{}: lead {} is in `{}`, expected a voltage (mV, uV, V)", path.display(), shown(lead), shown(units))]
    NotVoltage {
        /// The signal file.
        path: PathBuf,
        /// The lead's name.
        lead: String,
        /// Its unit.
        units: String,
    },
}

fn list(leads: &[String]) -> String {
    const SHOWN: usize = 16;
    let mut named: Vec<String> = leads
        .iter()
        .take(SHOWN)
        .enumerate()
        .map(|(index, name)| format!("{index}: {}", shown(name)))
        .collect();
    if leads.len() > SHOWN {
        named.push(format!("and {} more", leads.len() - SHOWN));
    }
    named.join(", ")
}

/// A file's own words, fit for a one-line message: escaped, and cut after 40 characters.
fn shown(found: &str) -> String {
    let mut text: String = found
        .chars()
        .take(40)
        .flat_map(char::escape_debug)
        .collect();
    if found.chars().nth(40).is_some() {
        text.push_str("...");
    }
    text
}

impl Record {
    /// Opens a record by its name, with or without the header's `.hea`, and checks that all of its files are there
    /// and long enough.
    ///
    /// # Errors
    /// [`RecordError`], naming file and place.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let stem = match path.extension() {
            Some(extension) if extension == "hea" => path.with_extension(""),
            _ => path.to_owned(),
        };
        let contents = signal::open(&with_appended(&stem, "hea"))?;
        let name = stem
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self {
            name,
            stem,
            contents,
        })
    }

    /// The record's name: its file's, without folder and extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The record's folder and name, without the header's extension.
    pub fn path(&self) -> &Path {
        &self.stem
    }

    /// Whether a comment says that no patient was behind this record: `SYNTHETIC`, as `heartlens synth` writes.
    pub fn is_synthetic(&self) -> bool {
        self.comments()
            .iter()
            .any(|comment| comment.contains("SYNTHETIC"))
    }

    /// Samples per second of every lead, in Hz; finite and above 0.
    pub fn sample_rate_hz(&self) -> f64 {
        self.contents.sample_rate_hz
    }

    /// Samples of every lead, at least 1.
    pub fn len_samples(&self) -> usize {
        self.contents.len
    }

    /// How long the record is, in seconds.
    pub fn duration_s(&self) -> f64 {
        self.contents.len as f64 / self.contents.sample_rate_hz
    }

    /// The leads, at least one.
    pub fn leads(&self) -> &[Lead] {
        &self.contents.leads
    }

    /// What the record says of the patient.
    pub fn patient(&self) -> Patient {
        self.contents.patient
    }

    /// The record's comments, line by line.
    pub fn comments(&self) -> &[String] {
        &self.contents.comments
    }

    /// The index of the lead that was chosen.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], naming the leads that there are.
    pub fn lead_index(&self, choice: &LeadChoice) -> Result<usize, RecordError> {
        let leads = self.leads();
        match choice {
            LeadChoice::Index(index) => Some(*index).filter(|&i| i < leads.len()),
            LeadChoice::Name(name) => leads
                .iter()
                .position(|lead| lead.name.eq_ignore_ascii_case(name)),
        }
        .ok_or_else(|| RecordError::NoSuchLead {
            record: self.name.clone(),
            wanted: choice.clone(),
            leads: leads.iter().map(|lead| lead.name.clone()).collect(),
        })
    }

    /// All samples of one lead in millivolts, [`Record::len_samples`] of them; NaN where the record has no valid
    /// sample.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], [`RecordError::NotVoltage`] and [`RecordError::Io`].
    pub fn read_lead(&self, index: usize) -> Result<Vec<f32>, RecordError> {
        let index = self.lead_index(&LeadChoice::Index(index))?;
        self.contents.source.read_mv(index)
    }

    /// All samples of one lead in ADC counts as the file stores them, [`Record::len_samples`] of them; the format's
    /// own "invalid" ([`signal::Format::invalid`]) where the record has no valid sample.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`] and [`RecordError::Io`].
    pub fn read_lead_adc(&self, index: usize) -> Result<Vec<i32>, RecordError> {
        let index = self.lead_index(&LeadChoice::Index(index))?;
        self.contents.source.read_adc(index)
    }

    /// What opening the record, and reading the leads that were read so far, found strange. A checksum is verified
    /// when its lead is read.
    pub fn warnings(&self) -> Vec<Warning> {
        self.contents.source.warnings()
    }

    /// Where the record's annotations by `annotator` lie: `atr` for the reference.
    pub fn annotation_path(&self, annotator: &str) -> PathBuf {
        with_appended(&self.stem, annotator)
    }

    /// The record's annotations by `annotator` (`atr` for the reference), counted at the record's own rate.
    ///
    /// # Errors
    /// [`AnnotationError`], naming file and place.
    pub fn annotations(&self, annotator: &str) -> Result<Annotations, AnnotationError> {
        let mut annotations = Annotations::read(self.annotation_path(annotator))?;
        annotations.count_at(self.sample_rate_hz());
        Ok(annotations)
    }
}

/// `stem.extension`, whatever dots the stem has.
fn with_appended(stem: &Path, extension: &str) -> PathBuf {
    let mut path = OsString::from(stem);
    path.push(".");
    path.push(extension);
    path.into()
}
