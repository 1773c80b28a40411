//! ECG recordings and their annotations, as streams of millivolts.
//!
//! ```text
//! r.hea r.dat   WFDB: header, signal files, segments ─┐
//! r.edf         EDF, EDF+, BDF: continuous or gaps   ─┼─> Record ─> leads ─> blocks of f32 in mV, NaN where
//! r.ecg r.dcm   ISHNE, DICOM, SCP-ECG, ATC, XML      ─┤     │                there is no valid sample
//! r.csv r.txt   tables of numbers as text            ─┘     │
//! r.atr         annotations beside the record       ────────┴────> annotations, in samples of the record
//! ```
//!
//! # Example
//! ```
//! use heartlens_records::Record;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/reference/w212");
//! let record = Record::open(path)?; // `mitdb/100`, `night.edf`, `export.csv`
//! println!("{} s at {} Hz", record.duration_s(), record.sample_rate_hz());
//! let lead = record.lead_named("MLII")?;
//! for block in record.stream_mv(lead, 0..usize::MAX)? {
//!     let valid = block?.into_iter().filter(|mv| !mv.is_nan());
//!     println!("{} samples", valid.count());
//! }
//! for warning in record.warnings() {
//!     eprintln!("warning: {warning}");
//! }
//! # Ok::<(), heartlens_records::RecordError>(())
//! ```
//!
//! # Formats
//! [`Record`] is what every format becomes; each has a module of its own:
//!
//! - WFDB: a header ([`header`]) and signal files in any of the formats of [`signal`], of one segment or of several;
//! - EDF and EDF+, continuous or with gaps ([`edf`]), and BDF;
//! - tables of numbers as text, CSV ([`table`]);
//! - ISHNE Holter files, DICOM waveforms, SCP-ECG, Kardia ATC; and with feature `xml` HL7 aECG, GE MUSE and Philips Sierra XML.
//!
//! What each does not support, its module says. [`mod@write`] writes WFDB, EDF+, BDF+ and CSV.
//!
//! A [`BeatList`] is a recording without a signal: annotations alone, or a table of beat times or RR intervals ([`beats`]).
//!
//! Samples are read as a stream, a block at a time ([`Record::stream_mv`]), so that a recording of two weeks needs no
//! more memory than one of a minute. Gaps between segments are as long as they lasted, and NaN. [`resample`] brings a
//! signal to another rate.
//!
//! Research software, not a medical device.

#[cfg(feature = "xml")]
mod aecg;
pub mod annotation;
mod atc;
pub mod beats;
mod dicom;
mod disk;
pub mod edf;
mod error;
pub mod file;
mod fit;
mod flac;
pub mod header;
mod ishne;
mod kind;
mod memory;
#[cfg(feature = "xml")]
mod muse;
mod outline;
mod patient;
#[cfg(feature = "xml")]
mod philips;
pub mod resample;
mod samples;
mod scp;
mod segments;
pub mod signal;
mod start;
pub mod table;
#[cfg(test)]
mod tests;
mod voltage;
mod wfdb;
pub mod write;
#[cfg(feature = "xml")]
mod xml;

#[cfg(feature = "given")]
pub use disk::{Given, give, take_back};

pub use beats::{BeatColumn, BeatList, BeatOptions};
pub use error::{RecordError, Warning};
pub use kind::LeadKind;
pub use outline::Outline;
pub use patient::{Patient, Sex};
pub use segments::segment_names;
pub use start::Start;

use annotation::{Annotation, AnnotationError, Annotations};
use error::shown;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
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
    /// When its first sample was taken.
    start: Option<Start>,
    comments: Vec<String>,
    source: Box<dyn Source>,
}

/// The formats of records, as files are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A WFDB header.
    Header,
    /// A WFDB record, named without its header's `.hea`.
    Wfdb,
    Edf,
    Ishne,
    Atc,
    Dicom,
    Scp,
    /// Any of the formats in XML.
    Xml,
    Table,
}

impl Format {
    /// Tells the format of what is under this name: by the extension where that is one of a format, or else by the
    /// file's first bytes.
    fn of(path: &Path) -> Result<Self, RecordError> {
        let header = with_appended(path, "hea");
        match &*extension(path) {
            "hea" => return Ok(Self::Header),
            "edf" | "bdf" => return Ok(Self::Edf),
            _ if disk::is_file(&header) => return Ok(Self::Wfdb),
            _ => {}
        }
        let mut head = Vec::new();
        if disk::is_file(path) {
            disk::open(path)
                .and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head))
                .map_err(|cause| RecordError::Io {
                    path: path.to_owned(),
                    cause,
                })?;
        } else if let Some(cause) = disk::refusal(path) {
            return Err(RecordError::Io {
                path: path.to_owned(),
                cause,
            });
        } else {
            return Err(RecordError::NoSuchRecord {
                path: path.to_owned(),
                expected: "a WFDB record (that name with .hea), or the file of a record (EDF, BDF, ISHNE, DICOM, XML, CSV ...)",
            });
        }
        if edf::is_edf(&head) {
            return Ok(Self::Edf);
        }
        if ishne::is_recording(&head) {
            return Ok(Self::Ishne);
        }
        if atc::is_atc(&head) {
            return Ok(Self::Atc);
        }
        if dicom::is_dicom(&head) {
            return Ok(Self::Dicom);
        }
        if scp::is_scp(&head) {
            return Ok(Self::Scp);
        }
        if is_xml(&head) {
            return Ok(Self::Xml);
        }
        if matches!(&*extension(path), "csv" | "tsv" | "txt") {
            return Ok(Self::Table);
        }
        let header = path.with_extension("hea");
        if disk::is_file(&header) {
            return Err(RecordError::PartOfRecord {
                path: path.to_owned(),
                header,
            });
        }
        let is_text = |bytes: &[u8]| {
            let is_control = |b: &&u8| **b < 0x20 && !b"\t\n\r\x0c".contains(b);
            !bytes.is_empty() && bytes.iter().filter(is_control).count() == 0
        };
        let is_wide = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
        let known = known_format(&head);
        if known.is_none() && (is_wide || is_text(&head)) {
            return Ok(Self::Table);
        }
        Err(RecordError::UnknownFormat {
            path: path.to_owned(),
            found: known.unwrap_or("bytes of no known format"),
        })
    }
}

/// Whether a file is XML of one of the formats: its first tag, or a declaration or comment before it.
fn is_xml(head: &[u8]) -> bool {
    // UTF-16 has a zero in every pair of such characters.
    let mut text = head.iter().filter(|&&b| b != 0 && b != 0xff && b != 0xfe);
    let mut text = text
        .by_ref()
        .skip_while(|&&b| b.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(&b));
    let (first, second) = (text.next(), text.next());
    let is_mark = |b: &u8| matches!(b, b'?' | b'!') || b.is_ascii_alphabetic();
    first == Some(&b'<') && second.is_some_and(is_mark)
}

#[cfg(feature = "xml")]
use xml::open as open_xml;

#[cfg(not(feature = "xml"))]
fn open_xml(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    Err(RecordError::NotBuilt {
        path: path.to_owned(),
        found: "an XML file",
        feature: "xml",
    })
}

/// Bytes that a file's format is told from.
const HEAD_BYTES: u64 = 4096;

/// What a file is that is not read, as far as its first bytes say it.
fn known_format(head: &[u8]) -> Option<&'static str> {
    Some(match head {
        [] => "an empty file",
        [b'P', b'K', ..] => "a ZIP archive or a spreadsheet; save the sheet as CSV",
        [0x1f, 0x8b, ..] => "a gzip archive; unpack it first",
        [b'{', ..] | [b'[', b'{' | b'[', ..] => "JSON; export the recording as CSV",
        head if fit::is_fit(head) => {
            "a FIT file of an activity; its RR intervals are a list of beats, and it has no signal"
        }
        [b'%', b'P', b'D', b'F', ..] => "a PDF; a picture of an ECG cannot be read",
        head if head.starts_with(ishne::ANNOTATIONS) => {
            "ISHNE annotations; name the recording (.ecg) that they belong to"
        }
        head if head.starts_with(b"ISHNE") => "an ISHNE Holter file of another version than 1.0",
        head if head.starts_with(b"MATLAB") || head.starts_with(b"\x89HDF") => {
            "a MATLAB or HDF5 file; name the WFDB header (.hea) where one belongs to it"
        }
        _ => return None,
    })
}

/// A path's extension in lower case, empty where it has none.
fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// A file's own words without control characters, which are shown as escapes.
fn printable(text: &str) -> String {
    if !text.contains(is_control) {
        return text.to_owned();
    }
    let escape = |c: char| match is_control(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Whether a character acts on a terminal, or on the order in which others are shown.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
#[non_exhaustive]
pub struct Lead {
    /// The name that the record gives it, or `lead 0` (1, 2 ...) where it gives none.
    pub name: String,
    /// The physical unit as the record states it.
    pub units: String,
    /// Whether the unit is a voltage, so that the lead can be read.
    pub is_voltage: bool,
    /// What the lead records, as far as its name says it.
    pub kind: LeadKind,
    /// Counts of the converter per millivolt, finite and not 0; negative where the lead was stored upside down. `None`
    /// where the unit is no voltage, or the samples are no counts.
    pub counts_per_mv: Option<f32>,
    /// The count that means 0 mV, or the nearest one; 0 where the samples are no counts.
    pub baseline: i32,
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
#[non_exhaustive]
pub struct ReadOptions {
    /// Samples per second of a table, in Hz, instead of what its times say.
    pub rate_hz: Option<f64>,
    /// The unit of leads that state none.
    pub unit: Option<VoltageUnit>,
}

impl ReadOptions {
    /// With a rate in Hz, above 0, for tables.
    #[must_use]
    pub const fn with_rate_hz(mut self, rate_hz: f64) -> Self {
        self.rate_hz = Some(rate_hz);
        self
    }

    /// With a unit for the leads that state none.
    #[must_use]
    pub const fn with_unit(mut self, unit: VoltageUnit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// The unit that is given for a lead which states `units`: that of one which states none, or no physical one.
    fn unit_for(&self, units: &str) -> Option<VoltageUnit> {
        const NONE: [&str; 16] = [
            "", "-", "--", "?", "none", "n/a", "na", "unitless", "no unit", "nu", "au", "a.u.",
            "adu", "raw", "counts", "unknown",
        ];
        let states_none = NONE
            .iter()
            .any(|none| units.trim().eq_ignore_ascii_case(none));
        self.unit.filter(|_| states_none)
    }
}

pub use voltage::VoltageUnit;

impl Record {
    /// The extensions of files that [`Record::open`] takes for records, in lower case: for whoever looks through a folder.
    pub const EXTENSIONS: [&str; 12] = [
        "hea", "edf", "bdf", "rec", "ecg", "dcm", "scp", "atc", "xml", "csv", "tsv", "txt",
    ];

    /// Opens a record by its name: a WFDB record with or without the header's `.hea`, or a file of any other format that is
    /// read. What a file is, its content says; its name need not. Checks that all of its files are
    /// there.
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
        let format = Format::of(path)?;
        let mut contents = match format {
            Format::Header => segments::open(path, options)?,
            Format::Wfdb => segments::open(&with_appended(path, "hea"), options)?,
            Format::Edf => edf::open(path, options)?,
            Format::Ishne => ishne::open(path, options)?,
            Format::Atc => atc::open(path, options)?,
            Format::Dicom => dicom::open(path, options)?,
            Format::Scp => scp::open(path, options)?,
            Format::Xml => open_xml(path, options)?,
            Format::Table => table::open(path, options)?,
        };
        // What a file says must not act on the terminal that it is shown on.
        for lead in &mut contents.leads {
            lead.name = printable(&lead.name);
            lead.units = printable(&lead.units);
        }
        for comment in &mut contents.comments {
            *comment = printable(comment);
        }
        let extension = extension(path);
        let stem = match format {
            Format::Wfdb => path.to_owned(),
            _ if Self::EXTENSIONS.contains(&&*extension) => path.with_extension(""),
            _ => path.to_owned(),
        };
        let name = stem
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let record = Self::of(&name, stem, contents);
        if options.rate_hz.is_some() && format != Format::Table {
            record.note(Warning::OptionsUnused);
        }
        Ok(record)
    }

    fn of(name: &str, stem: PathBuf, contents: Contents) -> Self {
        Self {
            name: name.to_owned(),
            stem,
            tallies: contents.leads.iter().map(|_| OnceLock::new()).collect(),
            contents,
            notes: Mutex::default(),
        }
    }

    /// Whether a file is in a format that is told by its first bytes: any that is read, but for tables. For whoever looks
    /// through a folder that holds other files as well.
    pub fn is_recognised(path: &Path) -> bool {
        let mut head = Vec::new();
        let read = disk::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
        if read.is_err() {
            return false;
        }
        let text: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
        let names = |root: &[u8]| text.windows(root.len()).any(|part| part == root);
        let is_ecg = || {
            [&b"AnnotatedECG"[..], b"RestingECG", b"restingecgdata"]
                .into_iter()
                .any(names)
        };
        edf::is_edf(&head)
            || ishne::is_recording(&head)
            || atc::is_atc(&head)
            || dicom::is_dicom(&head)
            || scp::is_scp(&head)
            || (is_xml(&head) && is_ecg())
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

    /// When the record begins, as far as it says so.
    pub fn start(&self) -> Option<Start> {
        self.contents.start
    }

    /// The record's comments, line by line. None that names the patient is taken from an EDF file.
    pub fn comments(&self) -> &[String] {
        &self.contents.comments
    }

    /// The lead at this place, from 0.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], naming the leads that there are.
    pub fn lead(&self, index: usize) -> Result<&Lead, RecordError> {
        let lead = self.leads().get(index);
        lead.ok_or_else(|| self.no_such_lead(index.to_string()))
    }

    /// The index of the lead of this name: upper and lower case alike, and with or without EDF's `ECG ` in front.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], naming the leads that there are.
    pub fn lead_named(&self, name: &str) -> Result<usize, RecordError> {
        // EDF+ puts the kind of signal first: `ECG II`.
        let bare = |lead: &Lead| {
            let (kind, rest) = lead.name.split_once(' ')?;
            let is_ecg = ["ECG", "EKG"]
                .iter()
                .any(|ecg| kind.eq_ignore_ascii_case(ecg));
            is_ecg.then(|| rest.trim().to_owned())
        };
        let is_bare = |lead: &Lead| bare(lead).is_some_and(|bare| bare.eq_ignore_ascii_case(name));
        let mut leads = self.leads().iter();
        leads
            .position(|lead| lead.name.eq_ignore_ascii_case(name))
            .or_else(|| self.leads().iter().position(is_bare))
            .ok_or_else(|| self.no_such_lead(name.to_owned()))
    }

    /// The index of the lead to read where nobody chose one: the first voltage that its name says is an ECG, or else the
    /// first whose name does not say what it is.
    ///
    /// # Errors
    /// [`RecordError::NotVoltage`] where no lead is a voltage, [`RecordError::NoEcg`] where the names of all that are say
    /// that they are something else.
    pub fn first_ecg(&self) -> Result<usize, RecordError> {
        let leads = self.leads();
        let first = |kind| {
            let is_wanted = |lead: &Lead| lead.is_voltage && lead.kind == kind;
            leads.iter().position(is_wanted)
        };
        if let Some(index) = first(LeadKind::Ecg).or_else(|| first(LeadKind::Unknown)) {
            return Ok(index);
        }
        if leads.iter().any(|lead| lead.is_voltage) {
            return Err(RecordError::NoEcg {
                path: self.stem.clone(),
                leads: leads.iter().map(|lead| lead.name.clone()).collect(),
            });
        }
        self.stream_mv(0, 0..0).map(|_| 0)
    }

    fn no_such_lead(&self, wanted: String) -> RecordError {
        RecordError::NoSuchLead {
            record: self.name.clone(),
            wanted,
            leads: self.leads().iter().map(|lead| lead.name.clone()).collect(),
        }
    }

    /// The samples `range` of one lead, at the lead's own rate, in mV and in blocks; NaN where the record has no valid
    /// sample. What lies beyond the lead's end is left out.
    ///
    /// # Errors
    /// [`RecordError::NoSuchLead`], [`RecordError::NotVoltage`] and [`RecordError::Io`]; each block may fail likewise.
    pub fn stream_mv(&self, index: usize, range: Range<usize>) -> Result<Blocks<'_>, RecordError> {
        let lead = self.lead(index)?;
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

    /// Whether there are annotations by `annotator`: a file of them beside the record, or the format's own.
    pub fn has_annotations(&self, annotator: &str) -> bool {
        disk::is_file(&self.annotation_path(annotator))
            || self.contents.source.annotations().is_some()
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
    /// is no such file, the format's own: those in an EDF+ file, where a text that is a WFDB beat code (`N`, `V`, `A` ...)
    /// is that beat and every other text a note; and the `.ann` file beside an ISHNE recording. Of a file that is cut short
    /// or damaged, what [can be read](Annotations::recover); that becomes one of the [warnings](Record::warnings).
    ///
    /// # Errors
    /// [`AnnotationError`], naming file and place.
    pub fn annotations(&self, annotator: &str) -> Result<Annotations, AnnotationError> {
        let path = self.annotation_path(annotator);
        if !disk::exists(&path)
            && let Some(own) = self.contents.source.annotations()
        {
            return Ok(own?);
        }
        let (mut annotations, damage) = Annotations::recover(path)?;
        if let Some(damage) = damage {
            self.note(damage);
        }
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
