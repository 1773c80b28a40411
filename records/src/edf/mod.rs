//! EDF and EDF+ files, continuous (EDF+C) and with gaps (EDF+D), and their twins of 24 bits, BDF and BDF+.
//!
//! Sources: Kemp et al. 1992 (Electroencephalogr. Clin. Neurophysiol. 82:391) and Kemp and Olivan 2003 (Clin. Neurophysiol.
//! 114:1755), as published on edfplus.info. A file is a header and data records of equal duration; a data record has
//! every signal's samples in turn, 16 or 24 bits each, and an EDF+ file's annotations as one signal more.

mod annotations;
mod header;

pub use header::EdfFault;

use super::annotation::Annotations;
use super::kind::kind_of;
use super::{
    BLOCK_SAMPLES, Contents, Lead, LeadKind, ReadOptions, Reader, RecordError, Source, VoltageUnit,
    Warning, check_len,
};
use crate::disk::{self, File};
use header::{Header, Kind, Signal};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// An EDF file whose header is read.
#[derive(Debug)]
struct Edf {
    path: PathBuf,
    header: Header,
    data_records: u64,
    /// The signals that are leads.
    leads: Vec<Stored>,
    /// The stretches without a gap, at least one, in order of time.
    runs: Vec<Run>,
    /// The rate that positions in the record are counted at, in Hz.
    clock_hz: f64,
    /// When the first data record begins, in s after the start that the header states.
    onset_s: f64,
    warnings: Vec<Warning>,
}

/// Data records that follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    /// The first of them.
    first: u64,
    /// When it begins, in s after the beginning of the file's first.
    start_s: f64,
    count: u64,
}

/// Where a lead's samples are, and what they mean.
#[derive(Debug)]
struct Stored {
    /// Bytes of a data record before the lead's first sample.
    offset: u64,
    per_record: usize,
    rate_hz: f64,
    /// Millivolts of a sample: `(digital - digital_min) * mv_per_count + min_mv`.
    digital_min: f64,
    mv_per_count: f64,
    min_mv: f64,
    /// Whether the header says what a sample means: both ranges have two ends.
    has_range: bool,
}

/// Whether a file is EDF or BDF, by its first bytes: the version, and the header's size.
pub(super) fn is_edf(head: &[u8]) -> bool {
    let is_number = |field: &[u8]| {
        let text = std::str::from_utf8(field).unwrap_or_default().trim();
        text.parse::<u32>().is_ok_and(|bytes| bytes % 256 == 0)
    };
    let is_version = head.starts_with(b"0       ") || head.starts_with(header::BDF);
    is_version && head.get(184..192).is_some_and(is_number)
}

/// Opens an EDF file: reads the header, and of a file with gaps when each data record begins.
pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Contents, RecordError> {
    let io = |cause| io_error(path, cause);
    let mut file = disk::open(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
            path: path.to_owned(),
            expected: "an EDF file there",
        },
        _ => io(cause),
    })?;
    let size = file.metadata().map_err(io)?.len();
    let at_fault = |cause| RecordError::Edf {
        path: path.to_owned(),
        cause,
    };
    let mut header = header::read(&mut file).map_err(io)?.map_err(at_fault)?;
    let is_narrow = header.is_narrow(size);
    let is_lead = |signal: &&Signal| !signal.is_annotations() && signal.per_record > 0;
    let signals = || header.signals.iter().filter(is_lead);
    if signals().next().is_none() {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    let (data_records, mut warnings) = header.data_records(size).map_err(at_fault)?;
    warnings.extend(is_narrow.then_some(Warning::NarrowSamples));
    if signals().next().is_none() || data_records == 0 {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    let fastest_hz = signals().map(|s| header.rate_hz(s)).fold(0.0, f64::max);
    let (onset_s, runs) = annotations::runs(&mut file, &header, data_records, fastest_hz)
        .map_err(io)?
        .map_err(at_fault)?;

    let mut edf = Edf {
        path: path.to_owned(),
        data_records,
        leads: Vec::new(),
        runs,
        clock_hz: 0.0,
        onset_s,
        warnings,
        header,
    };
    let mut leads = Vec::new();
    let mut comments = Vec::new();
    let mut offset = 0;
    for signal in &edf.header.signals {
        let at = offset;
        offset += signal.bytes();
        if !is_lead(&signal) {
            continue;
        }
        let unit = signal.unit.or(options.unit_for(&signal.dimension));
        let stored = Stored::of(signal, unit, at, edf.header.rate_hz(signal));
        let lead = edf.lead(leads.len(), signal, unit, &stored)?;
        if unit.is_some() && !stored.has_range {
            edf.warnings.push(Warning::Dead {
                lead: lead.name.clone(),
            });
        }
        if !signal.made_by.is_empty() {
            comments.push(format!("{}: {}", lead.name, signal.made_by));
        }
        edf.leads.push(stored);
        leads.push(lead);
    }
    edf.clock_hz = super::clock(&leads).sample_rate_hz;
    Ok(Contents {
        annotation_rate_hz: edf.clock_hz,
        leads,
        patient: edf.header.patient,
        start: edf.header.start.map(|start| start.after_s(edf.onset_s)),
        comments,
        source: Box::new(edf),
    })
}

fn io_error(path: &Path, cause: std::io::Error) -> RecordError {
    RecordError::Io {
        path: path.to_owned(),
        cause,
    }
}

impl Stored {
    fn of(signal: &Signal, unit: Option<VoltageUnit>, offset: u64, rate_hz: f64) -> Self {
        let per_mv = unit.map_or(1.0, VoltageUnit::per_mv);
        let (low, high) = signal.digital;
        let (low_mv, high_mv) = (signal.physical.0 / per_mv, signal.physical.1 / per_mv);
        let mv_per_count = (high_mv - low_mv) / (f64::from(high) - f64::from(low));
        Self {
            offset,
            per_record: signal.per_record,
            rate_hz,
            digital_min: low.into(),
            mv_per_count,
            min_mv: low_mv,
            has_range: low < high && mv_per_count.is_normal(),
        }
    }

    fn millivolts(&self, digital: i32) -> f32 {
        ((f64::from(digital) - self.digital_min) * self.mv_per_count + self.min_mv) as f32
    }

    /// The lead's sample that a run begins with.
    fn start(&self, run: &Run) -> u64 {
        (run.start_s * self.rate_hz).round() as u64
    }

    /// The lead's sample that follows a run.
    fn end(&self, run: &Run) -> u64 {
        let samples = run.count.saturating_mul(self.per_record as u64);
        self.start(run).saturating_add(samples)
    }
}

impl Edf {
    fn lead(
        &self,
        index: usize,
        signal: &Signal,
        unit: Option<VoltageUnit>,
        stored: &Stored,
    ) -> Result<Lead, RecordError> {
        let len = check_len(
            &self.path,
            self.runs.last().map_or(0, |run| stored.end(run)),
            self.data_records.saturating_mul(signal.per_record as u64),
        )?;
        let (low, high) = signal.digital;
        let [low_mv, high_mv] = [low, high].map(|digital| stored.millivolts(digital));
        let unit = unit.filter(|_| stored.has_range);
        let name = match &*signal.label {
            "" | "-" => format!("lead {index}"),
            label => label.to_owned(),
        };
        let units = match (unit, signal.unit) {
            (Some(given), None) => given.to_string(),
            _ => signal.dimension.clone(),
        };
        Ok(Lead {
            kind: match stored.has_range {
                true => kind_of(&name),
                false => LeadKind::Other,
            },
            name,
            units,
            is_voltage: unit.is_some(),
            counts_per_mv: unit.map(|_| stored.mv_per_count.recip() as f32),
            baseline: match stored.has_range {
                true => (stored.digital_min - stored.min_mv / stored.mv_per_count).round() as i32,
                false => 0,
            },
            sample_rate_hz: stored.rate_hz,
            len_samples: len,
            rails_mv: Some((low_mv.min(high_mv), low_mv.max(high_mv))),
        })
    }
}

impl Source for Edf {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let file = disk::open(&self.path).map_err(|cause| io_error(&self.path, cause))?;
        let stored = &self.leads[lead];
        let from = from as u64;
        let passed = |run: &Run| stored.end(run) <= from;
        Ok(Box::new(EdfReader {
            edf: self,
            stored,
            file,
            runs: &self.runs[self.runs.partition_point(passed)..],
            next: from,
            bytes: Vec::new(),
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
    }

    fn annotations(&self) -> Option<Result<Annotations, RecordError>> {
        if self.header.kind == Kind::Plain {
            return None;
        }
        Some(annotations::read(self))
    }
}

struct EdfReader<'a> {
    edf: &'a Edf,
    stored: &'a Stored,
    file: File,
    /// The runs that are not yet over.
    runs: &'a [Run],
    /// The lead's next sample.
    next: u64,
    bytes: Vec<u8>,
}

impl Reader for EdfReader<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let Some(run) = self.runs.first() else {
            return Ok(());
        };
        let start = self.stored.start(run);
        if self.next < start {
            let missing = (start - self.next).min(BLOCK_SAMPLES as u64);
            block.resize(block.len() + missing as usize, f32::NAN);
            self.next += missing;
            return Ok(());
        }
        // As many data records as make a block.
        let end = self.stored.end(run);
        let mut left = BLOCK_SAMPLES;
        while left > 0 && self.next < end {
            let per_record = self.stored.per_record as u64;
            let record = run.first + (self.next - start) / per_record;
            let first = (self.next - start) % per_record;
            let count = (per_record - first).min(left as u64) as usize;
            self.read_part(record, first, count)
                .map_err(|cause| io_error(&self.edf.path, cause))?;
            match self.edf.header.sample_bytes {
                2 => block.extend(self.bytes.chunks_exact(2).map(|b| {
                    let digital = i16::from_le_bytes([b[0], b[1]]);
                    self.stored.millivolts(digital.into())
                })),
                _ => block.extend(self.bytes.chunks_exact(3).map(|b| {
                    let digital = i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8;
                    self.stored.millivolts(digital)
                })),
            }
            self.next += count as u64;
            left -= count;
        }
        if self.next == end {
            self.runs = &self.runs[1..];
        }
        Ok(())
    }
}

impl EdfReader<'_> {
    /// Reads `count` of the lead's samples in a data record, from the record's `first` on.
    fn read_part(&mut self, record: u64, first: u64, count: usize) -> std::io::Result<()> {
        let header = &self.edf.header;
        let within = self.stored.offset + header.sample_bytes * first;
        let at = header.bytes() + record * header.record_bytes() + within;
        self.file.seek(SeekFrom::Start(at))?;
        self.bytes.resize(header.sample_bytes as usize * count, 0);
        disk::fill(&mut self.file, &mut self.bytes)
    }
}
