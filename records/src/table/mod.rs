//! Samples as a table of text: CSV, with commas, semicolons or tabs.
//!
//! A line that names the columns comes first; lines that begin with `#` are comments. A unit stands behind a column's name
//! (`II (mV)`, `II [uV]`, `ecg_mv`), is the name (`mV`), or stands in a second line, as `rdsamp -c` and PhysioNet's
//! exports have it. A column `time` or the like says when each sample was taken; see the module `clock`. A cell that is empty or
//! `nan` is a missing sample.

mod clock;
mod columns;

use super::header::patient_of;
use super::{
    BLOCK_SAMPLES, Contents, Lead, ReadOptions, Reader, RecordError, Source, Warning, check_len,
    shown,
};
use clock::{Clock, Timeline};
use columns::{Column, Columns};
use csv::ByteRecord;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Rows between two places that reading may begin at.
const CHECKPOINT_ROWS: u64 = 1 << 16;

/// Why a file is no table of samples.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableFault {
    /// There is no line.
    #[error(
        "found nothing, expected a line that names the columns, such as `time,mV`, and samples"
    )]
    Empty,
    /// The first line has numbers.
    #[error("found the number {found}, expected a line that names the columns, such as `time,mV`")]
    NoHeader {
        /// The number.
        found: String,
    },
    /// There is nothing but the names of columns.
    #[error("found no line of samples below the names of the columns, expected at least one")]
    NoSamples,
    /// A line is absurdly long.
    #[error("found a line of more than {MAX_LINE_BYTES} bytes; this is no table of samples")]
    LineTooLong,
    /// A line has more or fewer cells than the first.
    #[error("found {found} cell(s), expected {expected}, as in the line that names the columns")]
    Ragged {
        /// Cells in this line.
        found: usize,
        /// Cells in the first one.
        expected: usize,
    },
    /// A cell is no number.
    #[error(
        "found `{found}` in column `{column}`, expected a number, or nothing where there is no sample"
    )]
    Number {
        /// The column's name.
        column: String,
        /// What is there.
        found: String,
    },
    /// A cell is no time.
    #[error("found `{found}` as time, expected {expected}")]
    Time {
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Time does not go on.
    #[error(
        "time does not go forward: found {found_s} s after {before_s} s (from the first sample)"
    )]
    Backwards {
        /// When this sample was taken, in s after the first one.
        found_s: f64,
        /// When the one before was taken.
        before_s: f64,
    },
    /// The time from sample to sample varies.
    #[error(
        "found a sample {found_s} s after the one before it, expected some {expected_s} s, as between the others; \
         give the rate with --rate if the times are not to be trusted"
    )]
    Uneven {
        /// How long after the one before, in s.
        found_s: f64,
        /// The usual distance.
        expected_s: f64,
    },
    /// The times are too few or too coarse.
    #[error(
        "found {rows} sample(s) whose times are {resolution_s} s apart or a multiple of it, too few to tell the rate; \
         give it with --rate"
    )]
    TooCoarse {
        /// Rows of the table.
        rows: u64,
        /// The last decimal of the times, in s.
        resolution_s: f64,
    },
    /// Nothing says how fast the signal was sampled.
    #[error(
        "found no time column (`time`, `time_ms` ...) that says the rate, expected one, or the rate with --rate"
    )]
    NoRate,
    /// The rate that was given is none.
    #[error("found a rate of {found} Hz, expected one above 0")]
    Rate {
        /// The rate, in Hz.
        found: f64,
    },
    /// Nothing says what unit the samples have.
    #[error(
        "found no column in a voltage ({}), expected a unit in the header, such as `II (mV)`, or with --unit",
        columns
    )]
    NoUnit {
        /// The columns that there are.
        columns: String,
    },
}

/// A table that has been read through once.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    columns: Columns,
    /// The columns that are leads.
    leads: Vec<Column>,
    rows: u64,
    timeline: Timeline,
    rate_hz: f64,
    /// Where rows 0, [`CHECKPOINT_ROWS`], twice as many and so on begin: byte and line.
    checkpoints: Vec<(u64, u64)>,
}

/// Opens a table, and reads through it: it must be all numbers.
pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Contents, RecordError> {
    let columns = Columns::read(path, options.unit)?;
    let at_header = |cause| fault(path, columns.line, cause);
    let leads: Vec<Column> = columns.leads().cloned().collect();
    if !leads.iter().any(|column| column.unit.is_some()) {
        let names: Vec<String> = leads.iter().map(|c| shown(&c.name)).take(8).collect();
        return Err(at_header(TableFault::NoUnit {
            columns: names.join(", "),
        }));
    }
    let time = columns.time.filter(|_| options.rate_hz.is_none());
    if let Some(hz) = options.rate_hz
        && !(hz.is_finite() && hz > 0.0)
    {
        return Err(at_header(TableFault::Rate { found: hz }));
    }
    if time.is_none() && options.rate_hz.is_none() {
        return Err(at_header(TableFault::NoRate));
    }

    let mut clock = Clock::new(columns.time_unit_s);
    let mut rows = Rows::at(path, &columns, (columns.first_row, columns.first_line))?;
    let (mut count, mut checkpoints) = (0, Vec::new());
    while rows.next()? {
        if count % CHECKPOINT_ROWS == 0 {
            checkpoints.push(rows.place());
        }
        for column in leads.iter().filter(|column| column.unit.is_some()) {
            rows.sample(column)?;
        }
        if let Some(time) = time {
            clock
                .push(&rows.record[time])
                .map_err(|cause| rows.fault(cause))?;
        }
        count += 1;
    }
    if count == 0 {
        return Err(at_header(TableFault::NoSamples));
    }
    let (timeline, rate_hz) = match options.rate_hz {
        Some(rate_hz) => (Timeline::without_gaps(), rate_hz),
        None => clock.finish().map_err(at_header)?,
    };
    let len = check_len(path, timeline.len(count, rate_hz), count)?;
    let comments = columns.comments.clone();
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads: leads
            .iter()
            .map(|column| Lead {
                name: column.name.clone(),
                units: column.units.clone(),
                is_voltage: column.unit.is_some(),
                counts_per_mv: None,
                sample_rate_hz: rate_hz,
                len_samples: len,
                rails_mv: None,
            })
            .collect(),
        patient: patient_of(&comments),
        comments,
        source: Box::new(Table {
            path: path.to_owned(),
            columns,
            leads,
            rows: count,
            timeline,
            rate_hz,
            checkpoints,
        }),
    })
}

fn fault(path: &Path, line: u64, cause: TableFault) -> RecordError {
    RecordError::Table {
        path: path.to_owned(),
        line,
        cause,
    }
}

/// Reads a table's rows in order.
struct Rows<'a> {
    path: &'a Path,
    columns: &'a Columns,
    reader: csv::Reader<LineGuard<File>>,
    record: ByteRecord,
    /// Bytes and lines before those that the reader counts.
    before: (u64, u64),
}

impl<'a> Rows<'a> {
    /// From the row on that begins at this byte and line.
    fn at(
        path: &'a Path,
        columns: &'a Columns,
        (byte, line): (u64, u64),
    ) -> Result<Self, RecordError> {
        let file = File::open(path)
            .and_then(|mut file| file.seek(SeekFrom::Start(byte)).map(|_| file))
            .map_err(|cause| RecordError::Io {
                path: path.to_owned(),
                cause,
            })?;
        Ok(Self {
            path,
            columns,
            reader: columns.reader(LineGuard::new(file)),
            record: ByteRecord::new(),
            before: (byte, line - 1),
        })
    }

    /// Goes to the next row, if there is one, and checks its length.
    fn next(&mut self) -> Result<bool, RecordError> {
        let more = self.reader.read_byte_record(&mut self.record);
        let line = self.before.1 + self.reader.position().line();
        if !more.map_err(|error| csv_error(self.path, line, error))? {
            return Ok(false);
        }
        let (found, expected) = (self.record.len(), self.columns.count);
        if found == expected {
            Ok(true)
        } else {
            Err(self.fault(TableFault::Ragged { found, expected }))
        }
    }

    /// Byte and line where the row begins.
    fn place(&self) -> (u64, u64) {
        let (byte, line) = self
            .record
            .position()
            .map_or((0, 1), |place| (place.byte(), place.line()));
        (self.before.0 + byte, self.before.1 + line)
    }

    fn fault(&self, cause: TableFault) -> RecordError {
        fault(self.path, self.place().1, cause)
    }

    /// The row's sample in this column, in mV; NaN where there is none.
    fn sample(&self, column: &Column) -> Result<f32, RecordError> {
        let cell = self.columns.text(&self.record[column.index]);
        if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
            return Ok(f32::NAN);
        }
        let per_mv = column.unit.map_or(1.0, super::VoltageUnit::per_mv);
        cell.parse::<f64>()
            .ok()
            .map(|value| (value / per_mv) as f32)
            .filter(|mv| mv.is_finite())
            .ok_or_else(|| {
                self.fault(TableFault::Number {
                    column: shown(&column.name),
                    found: shown(&cell),
                })
            })
    }
}

/// An error of the CSV reader, of which ours has only those of the file beneath.
fn csv_error(path: &Path, line: u64, error: csv::Error) -> RecordError {
    match error.into_kind() {
        csv::ErrorKind::Io(cause) if LineGuard::<File>::made(&cause) => {
            fault(path, line, TableFault::LineTooLong)
        }
        csv::ErrorKind::Io(cause) => RecordError::Io {
            path: path.to_owned(),
            cause,
        },
        other => RecordError::Io {
            path: path.to_owned(),
            cause: std::io::Error::other(format!("{other:?}")),
        },
    }
}

/// Fails at a line that is too long to be one, before anybody keeps it.
struct LineGuard<R> {
    inner: R,
    /// Bytes since the last line feed.
    length: usize,
}

impl<R> LineGuard<R> {
    fn new(inner: R) -> Self {
        Self { inner, length: 0 }
    }

    /// Whether an error comes from here.
    fn made(error: &std::io::Error) -> bool {
        error.kind() == std::io::ErrorKind::FileTooLarge
    }
}

impl<R: Read> Read for LineGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.length = match buffer[..read].iter().rposition(|&byte| byte == b'\n') {
            Some(at) => read - at - 1,
            None => self.length + read,
        };
        if self.length > MAX_LINE_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}

impl Source for Table {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let row = self.timeline.row(from as u64, self.rate_hz);
        let checkpoint = row / CHECKPOINT_ROWS;
        let place = self.checkpoints[checkpoint as usize];
        let mut rows = Rows::at(&self.path, &self.columns, place)?;
        for _ in checkpoint * CHECKPOINT_ROWS..row {
            rows.next()?;
        }
        Ok(Box::new(TableReader {
            table: self,
            column: &self.leads[lead],
            rows,
            row,
            next: from as u64,
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

struct TableReader<'a> {
    table: &'a Table,
    column: &'a Column,
    rows: Rows<'a>,
    /// The next row, and the next sample.
    row: u64,
    next: u64,
}

impl Reader for TableReader<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let mut left = BLOCK_SAMPLES;
        while left > 0 && self.row < self.table.rows {
            let due = self.table.timeline.sample(self.row, self.table.rate_hz);
            if self.next < due {
                let missing = (due - self.next).min(left as u64) as usize;
                block.resize(block.len() + missing, f32::NAN);
                self.next += missing as u64;
                left -= missing;
                continue;
            }
            if !self.rows.next()? {
                // The file has shrunk since the record was opened.
                return Err(RecordError::Io {
                    path: self.table.path.clone(),
                    cause: std::io::ErrorKind::UnexpectedEof.into(),
                });
            }
            block.push(self.rows.sample(self.column)?);
            self.row += 1;
            self.next += 1;
            left -= 1;
        }
        Ok(())
    }
}
