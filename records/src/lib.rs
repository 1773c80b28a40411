//! Records and their annotations, as files.
//!
//! [`Record`] is what every format of record becomes; what reads one format is a `Source` in a file of its own:
//!
//! - WFDB: a header ([`header`]) and signal files in any of the formats of [`signal`], of one segment or of several;
//! - EDF and EDF+, continuous or with gaps ([`edf`]);
//! - tables of numbers as text, CSV ([`table`]).
//!
//! Samples are read as a stream, a block at a time ([`Record::stream_mv`]), so that a recording of two weeks needs no
//! more memory than one of a minute. Gaps between segments are as long as they lasted, and NaN.

pub mod annotation;
mod choice;
pub mod edf;
mod error;
pub mod file;
pub mod header;
pub mod resample;
mod segments;
pub mod signal;
pub mod table;
#[cfg(test)]
mod tests;
mod voltage;
mod wfdb;

pub use choice::LeadChoice;
pub use error::{RecordError, Warning};
pub use segments::segment_names;

use annotation::{Annotation, AnnotationError, Annotations};
use error::shown;
use heartlens_core::patient::Patient;
use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A record: simultaneous leads. Opening it reads no samples, but for a table, which says its length nowhere else.
#[derive(Debug)]
pub struct Record {
    name: String,
    /// The record's path without the format's extension; annotation files lie beside it.
    stem: PathBuf,
    contents: Contents,
    /// What the samples of each lead turned out to be, once all of them have been read.
    tallies: Vec<OnceLock<Tally>>,
    /// The lead of the best quality, once it has been asked for.
    best: OnceLock<usize>,
    /// Warnings of whoever worked with the record.
    notes: Mutex<Vec<Warning>>,
}

/// What a format's `open` finds out about a record.
#[derive(Debug)]
struct Contents {
    /// What annotation files count at, in Hz.
    annotation_rate_hz: f64,
    /// At least one.
    leads: Vec<Lead>,
    patient: Patient,
    comments: Vec<String>,
    source: Box<dyn Source>,
}

/// Reads the samples of an opened record. `lead` is always an index into the leads that `open` listed.
trait Source: fmt::Debug + Send + Sync {
    /// Reads a lead that is a voltage from sample `from` on, which lies before its end.
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError>;

    /// What opening and reading so far found strange, but not wrong enough to fail.
    fn warnings(&self) -> Vec<Warning>;

    /// The annotations that the record's own file holds, counted at the record's own rate; `None` where its format has
    /// none.
    fn annotations(&self) -> Option<Result<Annotations, RecordError>> {
        None
    }
}

/// Reads the samples of one lead in order.
trait Reader {
    /// Appends the next samples in mV, NaN where there is no valid one: at least one before the lead's end, and no more
    /// than some [`BLOCK_SAMPLES`].
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError>;
}

/// Samples that are read at a time.
const BLOCK_SAMPLES: usize = 1 << 15;

/// Samples of a lead that may be missing altogether before there have to be as many that are not: four days at 750 Hz.
/// It bounds what an absurd header can make a program do.
const MAX_MISSING_SAMPLES: u64 = 1 << 28;

/// Refuses a lead of `len` samples of which only `stored` are there, where its gaps are absurdly long.
fn check_len(path: &Path, len: u64, stored: u64) -> Result<usize, RecordError> {
    let most = stored.saturating_add(stored.max(MAX_MISSING_SAMPLES));
    match usize::try_from(len) {
        Ok(fits) if len <= most => Ok(fits),
        _ => Err(RecordError::TooLong {
            path: path.to_owned(),
            found: len,
            stored,
            most,
        }),
    }
}

/// One lead of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// The name that the record gives it, or `lead 0` (1, 2 ...) where it gives none.
    pub name: String,
    /// The physical unit as the record states it.
    pub units: String,
    /// Whether the unit is a voltage, so that the lead can be read.
    pub is_voltage: bool,
    /// Counts of the converter per millivolt, finite and not 0; negative where the lead was stored upside down. `None`
    /// where the unit is no voltage, or the samples are no counts.
    pub counts_per_mv: Option<f32>,
    /// The lead's own rate, in Hz; finite and above 0.
    pub sample_rate_hz: f64,
    /// Samples of the lead, gaps included, at least 1.
    pub len_samples: usize,
    /// The converter's lowest and highest value, in mV.
    rails_mv: Option<(f32, f32)>,
}

/// The lead that positions in a record are counted by: the voltage of the highest rate.
fn clock(leads: &[Lead]) -> &Lead {
    let rate = |lead: &Lead| (lead.is_voltage, lead.sample_rate_hz);
    leads.iter().fold(&leads[0], |fastest, lead| {
        if rate(lead) > rate(fastest) {
            lead
        } else {
            fastest
        }
    })
}

/// What is told of records that do not say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReadOptions {
    /// Samples per second of a CSV file without a time column, in Hz.
    pub rate_hz: Option<f64>,
    /// The unit of a CSV file's columns that name none.
    pub unit: Option<VoltageUnit>,
}

pub use voltage::VoltageUnit;

impl Record {
    /// The extensions of files that [`Record::open`] takes for records, in lower case: for whoever looks through a folder.
    pub const EXTENSIONS: [&str; 4] = ["hea", "edf", "csv", "tsv"];

    /// Opens a record by its name: a WFDB record with or without the header's `.hea`, an EDF or EDF+ file (`.edf`), or a
    /// table (`.csv`, `.tsv`). Checks that all of its files are there and long enough.
    ///
    /// # Errors
    /// [`RecordError`], naming file and place.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        Self::open_with(path, &ReadOptions::default())
    }

    /// As [`Record::open`], with what is known of the record besides.
    ///
    /// # Errors
    /// [`RecordError`], naming file and place.
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let (stem, contents) = match extension.as_deref() {
            Some("edf") => (path.with_extension(""), edf::open(path)?),
            Some("csv" | "tsv") => (path.with_extension(""), table::open(path, options)?),
            Some("hea") => (path.with_extension(""), segments::open(path)?),
            _ => (
                path.to_owned(),
                segments::open(&with_appended(path, "hea"))?,
            ),
        };
        let name = stem
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let is_table = matches!(extension.as_deref(), Some("csv" | "tsv"));
        let record = Self {
            name,
            stem,
            tallies: contents.leads.iter().map(|_| OnceLock::new()).collect(),
            contents,
            best: OnceLock::new(),
            notes: Mutex::default(),
        };
        if *options != ReadOptions::default() && !is_table {
            record.note(Warning::OptionsUnused);
        }
        Ok(record)
    }

    /// The record's name: its file's, without folder and extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The record's folder and name, without the format's extension.
    pub fn path(&self) -> &Path {
        &self.stem
    }

    /// Whether a comment says that no patient was behind this record: `SYNTHETIC`, as `heartlens synth` writes.
    pub fn is_synthetic(&self) -> bool {
        self.comments()
            .iter()
            .any(|comment| comment.contains("SYNTHETIC"))
    }

    /// The rate that positions in the record are counted at, in Hz; finite and above 0. Every lead's rate, unless they
    /// have several: then the highest of those that are voltages.
    pub fn sample_rate_hz(&self) -> f64 {
        clock(self.leads()).sample_rate_hz
    }

    /// The record's length in samples at [`Record::sample_rate_hz`], gaps included, at least 1.
    pub fn len_samples(&self) -> usize {
        clock(self.leads()).len_samples
    }

    /// How long the record is, in seconds.
    pub fn duration_s(&self) -> f64 {
        self.len_samples() as f64 / self.sample_rate_hz()
    }

    /// The leads, at least one.
    pub fn leads(&self) -> &[Lead] {
        &self.contents.leads
    }

    /// What the record says of the patient.
    pub fn patient(&self) -> Patient {
        self.contents.patient
    }

    /// The record's comments, line by line. None that names the patient is taken from an EDF file.
    pub fn comments(&self) -> &[String] {
        &self.contents.comments
    }

    /// The index of the lead that was chosen. [`LeadChoice::Best`] reads up to ten minutes of each lead, once.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], naming the leads that there are; for [`LeadChoice::Best`] also that no lead can be
    /// read.
    pub fn lead_index(&self, choice: &LeadChoice) -> Result<usize, RecordError> {
        let leads = self.leads();
        match choice {
            LeadChoice::Index(index) => Some(*index).filter(|&i| i < leads.len()),
            LeadChoice::Name(name) => choice::named(leads, name),
            LeadChoice::Best => Some(match self.best.get() {
                Some(best) => *best,
                None => {
                    let best = choice::best(self)?;
                    *self.best.get_or_init(|| best)
                }
            }),
        }
        .ok_or_else(|| RecordError::NoSuchLead {
            record: self.name.clone(),
            wanted: choice.clone(),
            leads: leads.iter().map(|lead| lead.name.clone()).collect(),
        })
    }

    /// The samples `range` of one lead, at the lead's own rate, in mV and in blocks; NaN where the record has no valid
    /// sample. What lies beyond the lead's end is left out.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], [`RecordError::NotVoltage`] and [`RecordError::Io`]; each block may fail likewise.
    pub fn stream_mv(&self, index: usize, range: Range<usize>) -> Result<Blocks<'_>, RecordError> {
        let index = self.lead_index(&LeadChoice::Index(index))?;
        let lead = &self.leads()[index];
        if !lead.is_voltage {
            return Err(RecordError::NotVoltage {
                path: self.stem.clone(),
                lead: lead.name.clone(),
                units: lead.units.clone(),
            });
        }
        let end = range.end.min(lead.len_samples);
        let left = end.saturating_sub(range.start);
        let reader = match left {
            0 => None,
            _ => Some(self.contents.source.reader(index, range.start)?),
        };
        Ok(Blocks {
            record: self,
            index,
            reader,
            left,
            whole: left == lead.len_samples,
            tally: Tally::default(),
            in_gap: false,
        })
    }

    /// All samples of one lead in millivolts, as many as the lead says; NaN where the record has no valid sample.
    ///
    /// # Errors
    /// As [`Record::stream_mv`].
    pub fn read_lead(&self, index: usize) -> Result<Vec<f32>, RecordError> {
        let mut all = Vec::new();
        for block in self.stream_mv(index, 0..usize::MAX)? {
            all.extend_from_slice(&block?);
        }
        Ok(all)
    }

    /// What opening the record, and reading and classifying it so far, found strange. What concerns a lead's samples is
    /// known once all of them have been read.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.contents.source.warnings();
        for (lead, tally) in self.leads().iter().zip(&self.tallies) {
            warnings.extend(tally.get().into_iter().flat_map(|t| t.warnings(lead)));
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(notes.iter().cloned());
        warnings
    }

    /// Adds a warning to [`Record::warnings`], once.
    pub fn note(&self, warning: Warning) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&warning) {
            notes.push(warning);
        }
    }

    /// Where the record's annotations by `annotator` lie: `atr` for the reference.
    pub fn annotation_path(&self, annotator: &str) -> PathBuf {
        with_appended(&self.stem, annotator)
    }

    /// What an annotation file of this record has to begin with: a note of the rate that it counts at, where WFDB would
    /// assume another, because the leads have several.
    pub fn annotation_preamble(&self) -> Option<Annotation> {
        let rate_hz = self.sample_rate_hz();
        (rate_hz != self.contents.annotation_rate_hz)
            .then(|| annotation::time_resolution_note(rate_hz))
    }

    /// The record's annotations by `annotator` (`atr` for the reference), counted at the record's own rate. Where there
    /// is no such file beside an EDF+ file, those in the EDF+ file itself: a text that is a WFDB beat code (`N`, `V`,
    /// `A` ...) is that beat, every other text a note.
    ///
    /// # Errors
    /// [`AnnotationError`], naming file and place.
    pub fn annotations(&self, annotator: &str) -> Result<Annotations, AnnotationError> {
        let path = self.annotation_path(annotator);
        if !path.exists()
            && let Some(own) = self.contents.source.annotations()
        {
            return Ok(own?);
        }
        let mut annotations = Annotations::read(path)?;
        annotations.count_at(self.sample_rate_hz(), self.contents.annotation_rate_hz);
        Ok(annotations)
    }
}

/// What a lead's samples are besides a signal.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    gaps: u64,
    missing: u64,
    clipped: u64,
}

impl Tally {
    fn warnings(self, lead: &Lead) -> impl Iterator<Item = Warning> {
        let missing = (self.missing > 0).then(|| Warning::Missing {
            lead: lead.name.clone(),
            gaps: self.gaps,
            samples: self.missing,
            seconds: self.missing as f64 / lead.sample_rate_hz,
        });
        let clipped = (self.clipped > 0).then(|| Warning::Clipped {
            lead: lead.name.clone(),
            samples: self.clipped,
        });
        missing.into_iter().chain(clipped)
    }
}

/// The samples of a lead, block by block; see [`Record::stream_mv`]. Ends after an error.
pub struct Blocks<'a> {
    record: &'a Record,
    index: usize,
    /// `None` once there is nothing more to read.
    reader: Option<Box<dyn Reader + 'a>>,
    left: usize,
    /// Whether these are all of the lead's samples.
    whole: bool,
    tally: Tally,
    in_gap: bool,
}

impl fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("record", &self.record.name)
            .field("index", &self.index)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Blocks<'_> {
    fn count(&mut self, block: &[f32]) {
        let rails = self.record.leads()[self.index].rails_mv;
        for sample in block {
            let missing = sample.is_nan();
            self.tally.gaps += u64::from(missing && !self.in_gap);
            self.tally.missing += u64::from(missing);
            self.in_gap = missing;
            if let Some((low, high)) = rails {
                self.tally.clipped += u64::from(*sample <= low || *sample >= high);
            }
        }
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Vec<f32>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let mut block = Vec::new();
        if let Err(error) = reader.read(&mut block) {
            self.reader = None;
            return Some(Err(error));
        }
        block.truncate(self.left);
        self.left -= block.len();
        self.count(&block);
        if self.left == 0 {
            self.reader = None;
            if self.whole {
                self.record.tallies[self.index].get_or_init(|| self.tally);
            }
        }
        Some(Ok(block))
    }
}

/// `stem.extension`, whatever dots the stem has.
fn with_appended(stem: &Path, extension: &str) -> PathBuf {
    let mut path = OsString::from(stem);
    path.push(".");
    path.push(extension);
    path.into()
}
