//! What can be wrong with a record, and what is only strange.

use super::LeadChoice;
use super::edf::EdfFault;
use super::header::MalformedHeader;
use super::resample::ResampleError;
use super::table::TableFault;
use std::io;
use std::path::PathBuf;

/// Something strange about a record that is worth telling, but does not stop it from being read. Each is told once a
/// lead, with its count, however often it happens.
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
    /// The same in several segments of a record.
    #[error(
        "in {segments} segment(s) the samples of a lead add up to another sum than the header states, the first of \
         them {}: signal files may be damaged",
        shown(first)
    )]
    SegmentChecksums {
        /// How many.
        segments: usize,
        /// The first one's name.
        first: String,
    },
    /// Samples are missing: gaps between segments, or samples marked as invalid.
    #[error(
        "lead {} has no valid samples in {gaps} stretch(es), together {samples} samples or {seconds:.1} s",
        shown(lead)
    )]
    Missing {
        /// The lead's name.
        lead: String,
        /// Stretches without valid samples.
        gaps: u64,
        /// Samples in them.
        samples: u64,
        /// How long they last, in s.
        seconds: f64,
    },
    /// Samples stand at the end of the converter's range.
    #[error(
        "lead {} is clipped: {samples} samples stand at the end of the converter's range",
        shown(lead)
    )]
    Clipped {
        /// The lead's name.
        lead: String,
        /// How many samples.
        samples: u64,
    },
    /// The recorder did not say how long the record became.
    #[error(
        "the header does not say how many data records there are; read {found}, all that the file holds"
    )]
    Unfinished {
        /// Data records in the file.
        found: u64,
    },
    /// The file goes on after its end.
    #[error("the file goes on for {bytes} byte(s) after the last data record; they were not read")]
    Trailing {
        /// Bytes after the end.
        bytes: u64,
    },
    /// The record states what was given for records that do not.
    #[error("this format states rate and unit itself; what was given for CSV files was not used")]
    OptionsUnused,
    /// The lead seems to be recorded upside down. It is read as it is.
    #[error(
        "lead {} may have been recorded upside down: QRS complexes and T waves of its usual beat both point \
         downward; it was read as recorded",
        shown(lead)
    )]
    UpsideDown {
        /// The lead's name.
        lead: String,
    },
}

/// A record that cannot be read. The message says the cause too, and [`std::error::Error::source`] does not repeat it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is nothing under this name.
    #[error("{}: no such record; expected {expected} there", path.display())]
    NoSuchRecord {
        /// The file that was looked for.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
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
    /// The file is not what EDF and EDF+ are.
    #[error("{}: {cause}", path.display())]
    Edf {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: EdfFault,
    },
    /// The file is no table of samples.
    #[error("{}: line {line}: {cause}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The line at fault, from 1.
        line: u64,
        /// Why.
        cause: TableFault,
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
    /// A frame of the signal file is absurdly long.
    #[error("{}: found {found} samples in a frame, expected at most {most}", path.display())]
    Frame {
        /// The signal file.
        path: PathBuf,
        /// Samples of all signals in a frame.
        found: u64,
        /// How many are read.
        most: u64,
    },
    /// The record has no samples.
    #[error("{}: found no samples, expected at least one of each lead", path.display())]
    NoSamples {
        /// The signal file.
        path: PathBuf,
    },
    /// The record lasts longer than can be counted.
    #[error(
        "{}: found {found} samples of each lead, of which {stored} are stored; expected at most {most} in a record \
         with such gaps",
        path.display()
    )]
    TooLong {
        /// The header, or the file.
        path: PathBuf,
        /// Samples of each lead, gaps included.
        found: u64,
        /// Those that are stored.
        stored: u64,
        /// How many there may be.
        most: u64,
    },
    /// A segment is not what the header of the whole record says.
    #[error("{}: {contradiction} is {found}, but {} says {expected}", path.display(), header.display())]
    Segment {
        /// The whole record's header.
        header: PathBuf,
        /// The segment's header.
        path: PathBuf,
        /// What is different.
        contradiction: &'static str,
        /// What the segment says.
        found: String,
        /// What the whole record's header, or another segment, says.
        expected: String,
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
        /// The record.
        path: PathBuf,
        /// The lead's name.
        lead: String,
        /// Its unit.
        units: String,
    },
    /// No lead of the record can be judged.
    #[error("{}: found no lead whose quality could be measured: {cause}", path.display())]
    NoBest {
        /// The record.
        path: PathBuf,
        /// Why not.
        cause: ResampleError,
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
pub(super) fn shown(found: &str) -> String {
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
