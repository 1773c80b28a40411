//! What can be wrong with a record, and what is only strange.

use super::beats::BeatFault;
use super::edf::EdfFault;
use super::header::MalformedHeader;
use super::table::TableFault;
use std::io;
use std::path::PathBuf;

/// Something strange about a record that is worth telling, but does not stop it from being read. Each is told once a
/// lead, with its count, however often it happens.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The header states no sample rate.
    #[error("the header states no sample rate; assumed {hz} Hz, as WFDB does")]
    RateAssumed {
        /// The rate assumed, in Hz.
        hz: f64,
    },
    /// There are beats alone.
    #[error(
        "there is no signal, only a list of beats: {}",
        if *labelled { "their classes are those of the list" } else { "their classes are not judged, and HRV takes all of them for normal" }
    )]
    BeatsOnly {
        /// Whether the list says what the beats are.
        labelled: bool,
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
    /// A header's checksum is not that of its bytes.
    #[error(
        "the header's checksum is {found:#06x}, but the header states {stated:#06x}: the file may be damaged"
    )]
    HeaderChecksum {
        /// Of the bytes.
        found: u16,
        /// In the header.
        stated: u16,
    },
    /// A file's checksum is not that of its bytes.
    #[error("the file's checksum is {found:#06x}, but it states {stated:#06x}: it may be damaged")]
    FileChecksum {
        /// Of the bytes.
        found: u16,
        /// At the file's end.
        stated: u16,
    },
    /// An annotation file is cut short or damaged.
    #[error("annotations: {cause}; the {read} that could be read were")]
    DamagedAnnotations {
        /// The first thing that is wrong.
        cause: super::annotation::Malformed,
        /// Annotations that were read.
        read: usize,
    },
    /// A lead's level moves from where nothing can be read to elsewhere.
    #[error(
        "lead {lead} stands at {low_mv:.0} mV and at {high_mv:.0} mV in turn, beyond what an electrode on the skin has; \
         beats there are not judged"
    )]
    LevelMoves {
        /// The lead's name.
        lead: String,
        /// The lowest level, in mV.
        low_mv: f64,
        /// The highest, in mV.
        high_mv: f64,
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
    /// The times of samples are uneven, or overlap.
    #[error(
        "the samples' times are uneven or overlap, as where only packets are stamped; read at their mean rate, {rate_hz} \
         Hz; --rate gives another"
    )]
    TimesUneven {
        /// The mean rate, in Hz.
        rate_hz: f64,
    },
    /// The times of samples cannot be used, but the file states a rate.
    #[error(
        "the samples' times were not used, but the rate that the file states, {rate_hz} Hz ({why})"
    )]
    TimesUnused {
        /// The rate, in Hz.
        rate_hz: f64,
        /// What is wrong with the times.
        why: String,
    },
    /// The times of samples state no unit.
    #[error(
        "the column of times states no unit; taken for {unit}, which gives a rate of {rate_hz} Hz; --rate gives another"
    )]
    TimeUnitAssumed {
        /// The unit.
        unit: &'static str,
        /// The rate, in Hz.
        rate_hz: f64,
    },
    /// Something stands below a table.
    #[error("{lines} line(s) below the table, from line {line} on, were not read")]
    Footer {
        /// The first of them, from 1.
        line: u64,
        /// How many.
        lines: u64,
    },
    /// The last line of a table is incomplete.
    #[error("the file breaks off in line {line}, which was not read")]
    RowCut {
        /// The line, from 1.
        line: u64,
    },
    /// The files are shorter than the header says.
    #[error(
        "the file breaks off: the header promises {promised} {what}, {found} are there and were read"
    )]
    Short {
        /// What is counted.
        what: &'static str,
        /// How many the header promises.
        promised: u64,
        /// How many there are.
        found: u64,
    },
    /// The file holds more than was read.
    #[error("the file also holds {what}; not read")]
    PartNotRead {
        /// What.
        what: &'static str,
    },
    /// A file called BDF has samples of 16 bits.
    #[error(
        "the file says that it is BDF (24 bits), but its length and ranges are those of 16 bits; read so"
    )]
    NarrowSamples,
    /// A channel was recorded, but nothing was connected to it, or its header says nothing of it.
    #[error(
        "lead {} has no range of values and cannot be read; the others are",
        shown(lead)
    )]
    Dead {
        /// The lead's name.
        lead: String,
    },
    /// The lead that was read is not the record's first.
    #[error(
        "read lead {index}, {}, the first that is an ECG by its name; --lead reads another",
        shown(lead)
    )]
    LeadTaken {
        /// The lead's place, from 0.
        index: usize,
        /// The lead's name.
        lead: String,
    },
    /// The lead has a large constant offset.
    #[error(
        "lead {} stands at {offset_mv:.0} mV all the time; this was taken off before it was read",
        shown(lead)
    )]
    Offset {
        /// The lead's name.
        lead: String,
        /// What was taken off, in mV.
        offset_mv: f64,
    },
    /// The lead's amplitude is none of an ECG.
    #[error(
        "lead {} swings by {range_mv:.3} mV within a second, and an ECG by 0.02 to 20 mV: the unit may be wrong; --unit \
         gives it for leads that state none",
        shown(lead)
    )]
    Amplitude {
        /// The lead's name.
        lead: String,
        /// The usual range of a second, in mV.
        range_mv: f64,
    },
    /// Annotated beats lie at or beyond the record's end.
    #[error(
        "{beats} annotated beat(s) at or beyond the record's end, from sample {sample} on, were left out"
    )]
    BeatsBeyondEnd {
        /// How many.
        beats: usize,
        /// The first, in samples at the record's own rate.
        sample: u64,
    },
    /// The record states what was given for records that do not.
    #[error("this format states its rate itself; the one that was given for tables was not used")]
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
#[non_exhaustive]
pub enum RecordError {
    /// There is nothing under this name.
    #[error("{}: no such record; expected {expected}", path.display())]
    NoSuchRecord {
        /// The file that was looked for.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// The file belongs to a record, but is not what names it.
    #[error(
        "{}: this is a file of a WFDB record; name the record, {}, or its header, {}",
        path.display(), header.with_extension("").display(), header.display()
    )]
    PartOfRecord {
        /// The file.
        path: PathBuf,
        /// The record's header.
        header: PathBuf,
    },
    /// The file is in no format that is read.
    #[error(
        "{}: found {found}; expected a record: WFDB (.hea), EDF, BDF, ISHNE, DICOM, SCP-ECG, Kardia ATC, aECG, MUSE or Philips XML, or a table of numbers as text",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
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
    /// The file is not what its format is.
    #[error("{}: {place}: found {}, expected {expected}", path.display(), shown(found))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// This build of the program reads other formats only.
    #[error("{}: found {found}, which this build does not read; expected one with feature `{feature}`", path.display())]
    NotBuilt {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// The feature that reads it.
        feature: &'static str,
    },
    /// The file is no list of beats.
    #[error("{}: {}{cause}", path.display(), line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Beats {
        /// The file.
        path: PathBuf,
        /// The line at fault, from 1; `None` where it is no single one.
        line: Option<u64>,
        /// Why.
        cause: BeatFault,
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
    #[error(
        "record {record} has no lead {}; it has {}",
        shown(wanted),
        list(leads)
    )]
    NoSuchLead {
        /// The record's name.
        record: String,
        /// The lead asked for.
        wanted: String,
        /// The names of the leads that there are.
        leads: Vec<String>,
    },
    /// No lead is an ECG by its name.
    #[error("{}: no lead is an ECG by its name, it has {}; --lead reads one nevertheless", path.display(), list(leads))]
    NoEcg {
        /// The record.
        path: PathBuf,
        /// The names of the leads that there are.
        leads: Vec<String>,
    },
    /// The lead is no ECG.
    #[error("{}: lead {} {}", path.display(), shown(lead), not_voltage(units))]
    NotVoltage {
        /// The record.
        path: PathBuf,
        /// The lead's name.
        lead: String,
        /// Its unit.
        units: String,
    },
}

fn not_voltage(units: &str) -> String {
    let expected = "expected a voltage (mV, uV, V)";
    match units {
        "" => format!("states no unit, {expected}, or one with --unit"),
        units if units.parse::<super::VoltageUnit>().is_ok() => {
            "has no range of values in its header, so that its samples mean nothing".to_owned()
        }
        units => format!("is in `{}`, {expected}", shown(units)),
    }
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
