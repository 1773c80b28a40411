//! EDF and EDF+ files, continuous (EDF+C) and with gaps (EDF+D).
//!
//! Sources: Kemp et al. 1992 (Electroencephalogr. Clin. Neurophysiol. 82:391) and Kemp and Olivan 2003 (Clin. Neurophysiol.
//! 114:1755), as published on edfplus.info. A file is a header and data records of equal duration; a data record has
//! every signal's samples in turn, 16 bits each, and an EDF+ file's annotations as one signal more.

mod annotations;
mod header;

pub use header::EdfFault;

use super::annotation::Annotations;
use super::{
    BLOCK_SAMPLES, Contents, Lead, Reader, RecordError, Source, VoltageUnit, Warning, check_len,
};
use header::{Header, Kind, Signal};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
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
}

/// Opens an EDF file: reads the header, and of a file with gaps when each data record begins.
pub(super) fn open(path: &Path) -> Result<Contents, RecordError> {
    let io = |cause| io_error(path, cause);
    let mut file = File::open(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
            path: path.to_owned(),
            expected: "an EDF file",
        },
        _ => io(cause),
    })?;
    let size = file.metadata().map_err(io)?.len();
    let at_fault = |cause| RecordError::Edf {
        path: path.to_owned(),
        cause,
    };
    let header = header::read(&mut file).map_err(io)?.map_err(at_fault)?;
    let (data_records, warnings) = header.data_records(size).map_err(at_fault)?;

    let signals = || header.signals.iter().filter(|s| !s.is_annotations());
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
        if signal.is_annotations() {
            continue;
        }
        let stored = Stored::of(signal, at, edf.header.rate_hz(signal)).map_err(at_fault)?;
        let lead = edf.lead(leads.len(), signal, &stored)?;
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
    fn of(signal: &Signal, offset: u64, rate_hz: f64) -> Result<Self, EdfFault> {
        let per_mv = signal.unit.map_or(1.0, VoltageUnit::per_mv);
        let (low, high) = signal.digital;
        let (low_mv, high_mv) = (signal.physical.0 / per_mv, signal.physical.1 / per_mv);
        let mv_per_count = (high_mv - low_mv) / (f64::from(high) - f64::from(low));
        if signal.unit.is_some() && (low >= high || !mv_per_count.is_normal()) {
            return Err(EdfFault::Range {
                label: signal.label.clone(),
                digital: signal.digital,
                physical: format!("{} to {}", signal.physical.0, signal.physical.1),
            });
        }
        Ok(Self {
            offset,
            per_record: signal.per_record,
            rate_hz,
            digital_min: low.into(),
            mv_per_count,
            min_mv: low_mv,
        })
    }

    fn millivolts(&self, digital: i16) -> f32 {
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
    fn lead(&self, index: usize, signal: &Signal, stored: &Stored) -> Result<Lead, RecordError> {
        let len = check_len(
            &self.path,
            self.runs.last().map_or(0, |run| stored.end(run)),
            self.data_records.saturating_mul(signal.per_record as u64),
        )?;
        let (low, high) = signal.digital;
        let [low_mv, high_mv] = [low, high].map(|digital| stored.millivolts(digital));
        Ok(Lead {
            name: if signal.label.is_empty() {
                format!("lead {index}")
            } else {
                signal.label.clone()
            },
            units: signal.dimension.clone(),
            is_voltage: signal.unit.is_some(),
            counts_per_mv: signal.unit.map(|_| stored.mv_per_count.recip() as f32),
            sample_rate_hz: stored.rate_hz,
            len_samples: len,
            rails_mv: Some((low_mv.min(high_mv), low_mv.max(high_mv))),
        })
    }
}

impl Source for Edf {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let file = File::open(&self.path).map_err(|cause| io_error(&self.path, cause))?;
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
            block.extend(self.bytes.chunks_exact(2).map(|pair| {
                self.stored
                    .millivolts(i16::from_le_bytes([pair[0], pair[1]]))
            }));
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
        let at = header.bytes() + record * header.record_bytes() + self.stored.offset + 2 * first;
        self.file.seek(SeekFrom::Start(at))?;
        self.bytes.resize(2 * count, 0);
        self.file.read_exact(&mut self.bytes)
    }
}
