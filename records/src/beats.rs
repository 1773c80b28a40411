//! Lists of beats: recordings of which no signal is there, but when the heart beat.
//!
//! - A WFDB record without leads, or whose signal files are not there, with an annotation file.
//! - A table of text with a column of beat times or of RR intervals ([`BeatColumn`]), with a column of labels or without.
//!   Seconds and milliseconds are told apart by the median interval.
//! - RR intervals in a file `.rr`, one a line.
//! - Polar's `.hrm` where it holds RR intervals (`Interval=238`).
//! - A FIT activity file, told by its content, where it has `hrv` messages.

use super::annotation::{Annotation, AnnotationError, Code, time_resolution_note};
use super::header::Header;
use super::outline::Outline;
use super::table::beats as text;
use super::{Patient, RecordError, Warning, disk, extension, fit, printable, wfdb, with_appended};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a list of beats is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BeatOptions {
    /// Extension of the annotation file of a WFDB record.
    pub annotator: String,
    /// What a table holds, where its names of columns do not say it.
    pub column: Option<BeatColumn>,
}

impl BeatOptions {
    /// With annotations of this extension.
    pub fn new(annotator: &str) -> Self {
        Self {
            annotator: annotator.to_owned(),
            column: None,
        }
    }

    /// With what a table holds.
    #[must_use]
    pub const fn with_column(mut self, column: Option<BeatColumn>) -> Self {
        self.column = column;
        self
    }
}

/// What a table of beats holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatColumn {
    /// When each beat was.
    Times,
    /// How long each beat came after the one before. The first beat is at 0 s.
    Intervals,
}

/// A recording of which the beats alone are known.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BeatList {
    /// Its name: its file's, without folder and extension.
    pub name: String,
    /// Its folder and name, without the format's extension; annotation files lie beside it.
    pub path: PathBuf,
    /// The rate that the beats' samples count at, in Hz: a table's are milliseconds.
    pub sample_rate_hz: f64,
    /// How long the recording is, in seconds: up to its last beat where nothing says more.
    pub duration_s: f64,
    /// What is known of the patient.
    pub patient: Patient,
    /// Comments of a header, line by line.
    pub comments: Vec<String>,
    /// The beats, in order of time, two at least.
    pub beats: Vec<ListedBeat>,
    /// Whether the list says what the beats are.
    pub labelled: bool,
    /// What was strange about the list.
    pub warnings: Vec<Warning>,
    is_table: bool,
}

/// A beat of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ListedBeat {
    /// When it was, in samples of the list.
    pub sample: u64,
    /// The same in seconds.
    pub time_s: f64,
    /// How long it came after the beat before, in milliseconds.
    pub rr_ms: Option<f64>,
    /// What it is, where the list says so.
    pub code: Option<Code>,
}

/// Why a text is no list of beats.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeatFault {
    /// A cell cannot be read.
    #[error("found `{found}`, expected {expected}")]
    Cell {
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A beat is not later than the one before.
    #[error("found a beat at {found}, expected one later than {previous}, the beat before")]
    Backwards {
        /// Where it is.
        found: String,
        /// Where the beat before is.
        previous: String,
    },
    /// There are too few.
    #[error("found {found} beat(s), expected 2 or more")]
    TooFew {
        /// How many.
        found: usize,
    },
    /// The intervals are none of a heart.
    #[error(
        "the median interval is {median}, expected 0.2 to 3 (seconds) or 200 to 3000 (milliseconds); these are no beats"
    )]
    Unit {
        /// The median interval, in the file's unit.
        median: String,
    },
    /// No column is named as one of beats.
    #[error(
        "found the columns {found}, expected one of {expected}; rename it, or leave the others out"
    )]
    Column {
        /// The names.
        found: String,
        /// What one should be called.
        expected: &'static str,
    },
    /// A monitor's file holds rates instead of intervals.
    #[error(
        "found the heart rate every {interval} s, expected RR intervals (`Interval=238`): a rate says nothing of the rhythm"
    )]
    RateOnly {
        /// Seconds between two values.
        interval: String,
    },
    /// A FIT file has no intervals.
    #[error(
        "found {messages} message(s) and no `hrv` message with an interval, expected RR intervals; the watch writes them where the \
         recording of heart rate variability is switched on and a chest strap is worn"
    )]
    NoIntervals {
        /// Messages of other kinds, their definitions included.
        messages: u64,
    },
    /// A FIT file has something else than messages.
    #[error("byte {byte}: found {found}, expected a message of a FIT file")]
    Message {
        /// From the file's start.
        byte: usize,
        /// What is there.
        found: String,
    },
}

impl BeatList {
    /// Reads a list of beats; `None` where the file is none, or may as well hold a signal.
    ///
    /// # Errors
    /// [`AnnotationError`], naming file and place, where it is a list and cannot be read.
    pub fn open(
        path: impl AsRef<Path>,
        options: &BeatOptions,
    ) -> Result<Option<Self>, AnnotationError> {
        let path = path.as_ref();
        let header = match &*extension(path) {
            "hea" => path.to_owned(),
            _ => with_appended(path, "hea"),
        };
        if disk::is_file(&header) {
            return Self::of_annotations(path, &header, options);
        }
        if !disk::is_file(path) {
            return Ok(None);
        }
        let read = match &*extension(path) {
            _ if has_magic(path, fit::is_fit) => Some(fit::read(path)?),
            "hrm" => Some(text::read_hrm(path)?),
            "csv" | "tsv" | "txt" => text::read(path, options.column)?,
            // As `rr_list` writes it: a column of intervals.
            "rr" => text::read(path, options.column.or(Some(BeatColumn::Intervals)))?,
            _ if options.column.is_some() => text::read(path, options.column)?,
            _ => None,
        };
        Ok(read.map(|read| Self::of_text(path, read)))
    }

    fn of_text(path: &Path, read: text::Read) -> Self {
        let stem = path.with_extension("");
        let beats = read.beats;
        let labelled = beats.iter().any(|beat| beat.code.is_some());
        Self {
            name: name_of(&stem),
            path: stem,
            sample_rate_hz: text::RATE_HZ,
            duration_s: beats.last().map_or(0.0, |beat| beat.time_s),
            patient: read.patient,
            comments: Vec::new(),
            warnings: [vec![Warning::BeatsOnly { labelled }], read.warnings].concat(),
            beats,
            labelled,
            is_table: true,
        }
    }

    fn of_annotations(
        path: &Path,
        header: &Path,
        options: &BeatOptions,
    ) -> Result<Option<Self>, AnnotationError> {
        let Ok(outline) = Outline::open(path) else {
            return Ok(None);
        };
        let beside = outline.annotation_path(&options.annotator);
        if outline.leads > 0 && !(disk::is_file(&beside) && lacks_signal(header)) {
            return Ok(None);
        }
        let (annotations, damage) = outline.recover_annotations(&options.annotator)?;
        let rate_hz = outline.sample_rate_hz;
        let mut before = None;
        let beats: Vec<ListedBeat> = annotations
            .beats()
            .filter(|beat| before.replace(beat.sample) != Some(beat.sample))
            .map(|beat| ListedBeat {
                sample: beat.sample,
                time_s: beat.sample as f64 / rate_hz,
                rr_ms: None,
                code: Some(beat.code),
            })
            .collect();
        let beats = with_intervals(beats, |before, beat| {
            (beat.sample - before.sample) as f64 / rate_hz * 1000.0
        });
        if beats.len() < 2 {
            return Err(RecordError::Beats {
                path: beside,
                line: None,
                cause: BeatFault::TooFew { found: beats.len() },
            }
            .into());
        }
        let last_s = beats.last().map_or(0.0, |beat| beat.time_s);
        let stated_s = outline.len_samples.map_or(0.0, |len| len as f64 / rate_hz);
        Ok(Some(Self {
            name: outline.name,
            path: outline.path,
            sample_rate_hz: rate_hz,
            duration_s: last_s.max(stated_s),
            patient: outline.patient,
            comments: outline.comments,
            beats,
            labelled: true,
            warnings: std::iter::once(Warning::BeatsOnly { labelled: true })
                .chain(damage)
                .collect(),
            is_table: false,
        }))
    }

    /// Whether a comment says that no patient was behind this recording.
    pub fn is_synthetic(&self) -> bool {
        let mut comments = self.comments.iter();
        comments.any(|comment| comment.contains("SYNTHETIC"))
    }

    /// Where annotations with this extension lie.
    pub fn annotation_path(&self, annotator: &str) -> PathBuf {
        with_appended(&self.path, annotator)
    }

    /// What an annotation file of this list has to begin with: a note of the rate that it counts at, where no header says
    /// it.
    pub fn annotation_preamble(&self) -> Option<Annotation> {
        self.is_table
            .then(|| time_resolution_note(self.sample_rate_hz))
    }
}

/// Whether a file's first bytes are those of a format.
fn has_magic(path: &Path, is_format: impl Fn(&[u8]) -> bool) -> bool {
    let mut head = Vec::new();
    let read = disk::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    read.is_ok() && is_format(&head)
}

/// Whether a file that a header names is not there.
fn lacks_signal(header: &Path) -> bool {
    let Ok(text) = wfdb::header_text(header) else {
        return false;
    };
    let folder = header.parent().unwrap_or(Path::new(""));
    Header::parse(&text).is_ok_and(|header| {
        let mut stored = header.signals.iter().filter(|s| s.format.is_some());
        stored.any(|signal| !disk::exists(&folder.join(&signal.file)))
    })
}

fn name_of(stem: &Path) -> String {
    let name = stem.file_name().unwrap_or_default();
    printable(&name.to_string_lossy())
}

/// Beats with their distances from the beats before.
fn with_intervals(
    mut beats: Vec<ListedBeat>,
    ms: impl Fn(&ListedBeat, &ListedBeat) -> f64,
) -> Vec<ListedBeat> {
    for i in 1..beats.len() {
        beats[i].rr_ms = Some(ms(&beats[i - 1], &beats[i]));
    }
    beats
}
