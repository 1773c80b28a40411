//! Samples as a table of text: CSV, with commas, semicolons, tabs or spaces, and what apps and loggers export.
//!
//! Rows of numbers, above which a line mostly names the columns. What stands before the table is passed over (a rate, a
//! unit and a lead's name in it are read), and so is what stands below it. Lines that begin with `#` are comments.
//!
//! A unit stands behind a column's name (`II (mV)`, `II [uV]`, `ECG, mV`, `ecg_mv`), is the name (`mV`), or stands in a
//! second line, as `rdsamp -c` and PhysioNet's exports have it. A column of times says when each sample was taken: in any
//! unit, as a clock time, or with the date; where it states no unit and could mean several, it is refused. A column
//! that counts rows or packets is no lead. A number has a decimal point or a decimal comma. A cell that is empty, `nan`,
//! `NA`, `null`, `-` or `!` is a missing sample. The text is UTF-8, UTF-16 or Latin-1, its lines end as those of any
//! system do.

pub(super) mod beats;
mod cells;
mod clock;
mod columns;
mod layout;
mod lines;

use super::header::patient_of;
use super::{
    BLOCK_SAMPLES, Contents, Lead, LeadKind, ReadOptions, Reader, RecordError, Source, VoltageUnit,
    Warning, check_len, shown,
};
use cells::Value;
use clock::{Clock, Packets, Timeline, Times, Timing};
use columns::{Column, Columns, TimeColumn};
use layout::{Layout, is_word};
use lines::{Lines, MAX_LINE_BYTES};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Rows between two places that reading may begin at.
const CHECKPOINT_ROWS: u64 = 1 << 16;

/// Lines below a table that are looked at for more of it.
const FOOTER_LINES: u64 = 1000;

/// Steps that the usual one is learned from, where times are uneven.
const STEPS: usize = 1024;

/// Why a file is no table of samples.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// There is no line.
    #[error(
        "found nothing, expected a line that names the columns, such as `time,mV`, and samples"
    )]
    Empty,
    /// There is no row of numbers.
    #[error(
        "found no row of numbers, expected a table of samples below a line that names the columns, such as `time,mV`"
    )]
    NoTable,
    /// A line is absurdly long.
    #[error("found a line of more than {MAX_LINE_BYTES} bytes; this is no table of samples")]
    LineTooLong,
    /// A line has more or fewer cells than the first.
    #[error("found {found} cell(s), expected {expected}, as in the first row")]
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
    #[error("found `{found}` as time, expected {expected}; --rate reads without times")]
    Time {
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The times are in no unit of time.
    #[error(
        "found `{found}` as the unit of time, expected s, ms, us, ns, min or h; give the rate with --rate"
    )]
    TimeUnit {
        /// The unit.
        found: String,
    },
    /// The times state no unit, and seconds are not likely.
    #[error(
        "the column of times states no unit, and in seconds its rate would be {rate_hz} Hz; expected a unit in its \
         name, such as `time (ms)`, or the rate with --rate"
    )]
    TimeUnstated {
        /// The rate in Hz if the times were seconds.
        rate_hz: f64,
    },
    /// Time does not go on.
    #[error(
        "time does not go forward: found {found_s} s after {before_s} s (from the first sample); give the rate with \
         --rate if the times are not to be trusted"
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
    layout: Layout,
    /// The columns that are leads.
    leads: Vec<Column>,
    rows: u64,
    timeline: Timeline,
    rate_hz: f64,
    /// Where rows 0, [`CHECKPOINT_ROWS`], twice as many and so on begin: byte and line.
    checkpoints: Vec<(u64, u64)>,
    warnings: Vec<Warning>,
}

/// Opens a table, and reads through it: it must be all numbers.
pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Contents, RecordError> {
    let layout = Layout::read(path)?;
    let mut columns = Columns::of(&layout, options.unit);
    let at_header = |cause| fault(path, layout.line, cause);
    if columns.voltages().next().is_none() {
        return Err(at_header(TableFault::NoUnit {
            columns: columns.named(),
        }));
    }
    if let Some(hz) = options.rate_hz
        && !(hz.is_finite() && hz > 0.0)
    {
        return Err(at_header(TableFault::Rate { found: hz }));
    }
    if options.rate_hz.is_some() {
        columns.times.clear();
    } else if columns.times.is_empty() && layout.facts.rate_hz.is_none() {
        return Err(at_header(TableFault::NoRate));
    }

    let scan = Scan::of(path, &layout, &columns)?;
    // What looked like the first row may be the first line below a table without rows.
    if scan.rows == 0 {
        return Err(at_header(TableFault::NoTable));
    }
    let mut warnings = scan.warnings;
    let given = options.rate_hz.or(layout.facts.rate_hz);
    let timing = match columns.times.is_empty() {
        true => Err(at_header(TableFault::NoRate)),
        false => timing(path, &layout, &columns.times, scan.clocks),
    };
    let timing = match (timing, given) {
        (Ok(timing), _) => timing,
        (Err(error), Some(rate_hz)) => {
            if !columns.times.is_empty() {
                warnings.push(Warning::TimesUnused {
                    rate_hz,
                    why: error.to_string(),
                });
            }
            Timing {
                timeline: Timeline::without_gaps(),
                rate_hz,
                assumed: None,
                is_mean: false,
            }
        }
        (Err(error), None) => return Err(error),
    };
    let rate_hz = timing.rate_hz;
    if timing.is_mean {
        warnings.push(Warning::TimesUneven { rate_hz });
    }
    if let Some(unit) = timing.assumed {
        warnings.push(Warning::TimeUnitAssumed { unit, rate_hz });
    }
    let len = check_len(path, timing.timeline.len(scan.rows, rate_hz), scan.rows)?;
    // A column that never changes is no lead that anybody would read unasked.
    let mut leads = columns.leads;
    for (column, range) in leads.iter_mut().zip(&scan.ranges) {
        if column.kind == LeadKind::Unknown && range.is_some_and(|(low, high)| low == high) {
            column.kind = LeadKind::Other;
        }
    }
    let comments = layout.comments.clone();
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads: leads
            .iter()
            .map(|column| Lead {
                name: column.name.clone(),
                units: column.units.clone(),
                is_voltage: column.unit.is_some(),
                kind: column.kind,
                counts_per_mv: None,
                baseline: 0,
                sample_rate_hz: rate_hz,
                len_samples: len,
                rails_mv: None,
            })
            .collect(),
        patient: patient_of(&comments),
        start: None,
        comments,
        source: Box::new(Table {
            path: path.to_owned(),
            layout,
            leads,
            rows: scan.rows,
            timeline: timing.timeline,
            rate_hz,
            checkpoints: scan.checkpoints,
            warnings,
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

/// What reading a table through comes to.
struct Scan {
    rows: u64,
    checkpoints: Vec<(u64, u64)>,
    /// One a column of times: what it says, or why it says nothing.
    clocks: Vec<Result<Clock, RecordError>>,
    /// The lowest and the highest number of each lead.
    ranges: Vec<Option<(f32, f32)>>,
    warnings: Vec<Warning>,
}

impl Scan {
    fn of(path: &Path, layout: &Layout, columns: &Columns) -> Result<Self, RecordError> {
        let mut scan = Self {
            rows: 0,
            checkpoints: Vec::new(),
            clocks: columns
                .times
                .iter()
                .map(|column| {
                    Times::new(&column.unit)
                        .map(Clock::new)
                        .map_err(|cause| fault(path, layout.line, cause))
                })
                .collect(),
            ranges: vec![None; columns.leads.len()],
            warnings: Vec::new(),
        };
        let mut rows = Rows::at(path, layout, layout.first_row)?;
        while rows.next()? {
            if scan.rows.is_multiple_of(CHECKPOINT_ROWS) {
                scan.checkpoints.push(rows.lines.place);
            }
            for (column, range) in columns.leads.iter().zip(&mut scan.ranges) {
                if column.unit.is_none() {
                    continue;
                }
                let mv = rows.sample(column)?;
                if !mv.is_nan() {
                    let (low, high) = range.get_or_insert((mv, mv));
                    (*low, *high) = (low.min(mv), high.max(mv));
                }
            }
            for (column, clock) in columns.times.iter().zip(&mut scan.clocks) {
                if let Ok(running) = clock
                    && let Err(cause) = running.push(rows.cell(column.index))
                {
                    *clock = Err(rows.fault(cause));
                }
            }
            scan.rows += 1;
        }
        scan.warnings.extend(rows.ended);
        Ok(scan)
    }
}

/// The rate and the gaps by the first column of times that says them; or, where samples are stamped by packets, by the
/// first that says a mean rate.
fn timing(
    path: &Path,
    layout: &Layout,
    columns: &[TimeColumn],
    clocks: Vec<Result<Clock, RecordError>>,
) -> Result<Timing, RecordError> {
    let mut refused = None;
    for clock in clocks {
        let timing = clock.and_then(|clock| {
            let finished = clock.finish();
            finished.map_err(|cause| fault(path, layout.line, cause))
        });
        match timing {
            Ok(timing) => return Ok(timing),
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    let error = refused.unwrap_or_else(|| fault(path, layout.line, TableFault::NoRate));
    let is_uneven = matches!(
        &error,
        RecordError::Table {
            cause: TableFault::Backwards { .. } | TableFault::Uneven { .. },
            ..
        }
    );
    if is_uneven {
        for column in columns {
            if let Some(timing) = mean_timing(path, layout, column)? {
                return Ok(timing);
            }
        }
    }
    Err(error)
}

/// What the times of packets say, if they are that.
fn mean_timing(
    path: &Path,
    layout: &Layout,
    column: &TimeColumn,
) -> Result<Option<Timing>, RecordError> {
    let Ok(times) = Times::new(&column.unit) else {
        return Ok(None);
    };
    let begin = || Rows::at(path, layout, layout.first_row);
    let mut steps = Vec::new();
    let (mut rows, mut first) = (begin()?, times.clone());
    let mut before: Option<f64> = None;
    while steps.len() < STEPS && rows.next()? {
        let Ok(now_s) = first.next(rows.cell(column.index)) else {
            return Ok(None);
        };
        steps.extend(before.replace(now_s).map(|before_s| now_s - before_s));
    }
    steps.sort_by(f64::total_cmp);
    let Some(&usual_s) = steps.get(steps.len() / 2) else {
        return Ok(None);
    };
    let (mut rows, mut packets) = (begin()?, Packets::new(times, usual_s));
    while rows.next()? {
        if packets.push(rows.cell(column.index)).is_err() {
            return Ok(None);
        }
    }
    Ok(packets.finish())
}

/// Reads a table's rows in order.
struct Rows<'a> {
    path: &'a Path,
    layout: &'a Layout,
    lines: Lines<'a>,
    /// Where the row's cells are in its line.
    cells: Vec<Range<usize>>,
    /// What the table ended with, where that is not simply the file's end.
    ended: Option<Warning>,
}

impl<'a> Rows<'a> {
    /// From the row on that begins at this byte and line.
    fn at(path: &'a Path, layout: &'a Layout, place: (u64, u64)) -> Result<Self, RecordError> {
        Ok(Self {
            path,
            layout,
            lines: Lines::at(path, layout.encoding, place)?,
            cells: Vec::new(),
            ended: None,
        })
    }

    /// Goes to the next row, if there is one, and checks its length.
    fn next(&mut self) -> Result<bool, RecordError> {
        loop {
            if self.ended.is_some() || !self.lines.next()? {
                return Ok(false);
            }
            if self.lines.text.starts_with('#') {
                continue;
            }
            self.layout.split(&self.lines.text, &mut self.cells);
            if self.cells.iter().all(Range::is_empty) {
                continue;
            }
            let (found, expected) = (self.cells.len(), self.layout.count);
            if found == expected && self.has_number() {
                return Ok(true);
            }
            if found < expected && !self.lines.is_ended {
                self.ended = Some(Warning::RowCut {
                    line: self.lines.place.1,
                });
                return Ok(false);
            }
            if !self.has_number()
                && let Some(lines) = self.footer()?
            {
                self.ended = Some(Warning::Footer {
                    line: self.lines.place.1,
                    lines,
                });
                return Ok(false);
            }
            return match found == expected {
                true => Ok(true),
                false => Err(self.fault(TableFault::Ragged { found, expected })),
            };
        }
    }

    /// Whether the line has a value, and no word where all rows have a number.
    fn has_number(&self) -> bool {
        let text = |cell: &Range<usize>| &self.lines.text[cell.clone()];
        let mut cells = self.cells.iter();
        cells.any(|cell| Value::of(text(cell)) != Value::Text)
            && !(self.layout.begins_with_number
                && self.cells.first().is_some_and(|cell| is_word(text(cell))))
    }

    /// How many lines stand below the table from this one on; `None` where one of them is a row again.
    fn footer(&self) -> Result<Option<u64>, RecordError> {
        let mut rest = Lines::at(self.path, self.layout.encoding, self.lines.place)?;
        let (mut lines, mut cells) = (0, Vec::new());
        while rest.next()? {
            self.layout.split(&rest.text, &mut cells);
            let text = |cell: &Range<usize>| &rest.text[cell.clone()];
            let mut numbers = cells
                .iter()
                .filter(|cell| matches!(Value::of(text(cell)), Value::Number(_)));
            let is_row = cells.len() == self.layout.count
                && numbers.next().is_some()
                && !(self.layout.begins_with_number && is_word(text(&cells[0])));
            if lines == FOOTER_LINES || is_row {
                return Ok(None);
            }
            lines += 1;
        }
        Ok(Some(lines))
    }

    fn cell(&self, index: usize) -> &str {
        &self.lines.text[self.cells[index].clone()]
    }

    fn fault(&self, cause: TableFault) -> RecordError {
        fault(self.path, self.lines.place.1, cause)
    }

    /// The row's sample in this column, in mV; NaN where there is none.
    fn sample(&self, column: &Column) -> Result<f32, RecordError> {
        let per_mv = column.unit.map_or(1.0, VoltageUnit::per_mv);
        let cell = self.cell(column.index);
        let mv = match Value::of(cell) {
            Value::Number(value) => (value / per_mv) as f32,
            Value::Missing => return Ok(f32::NAN),
            Value::Text => f32::INFINITY,
        };
        if mv.is_finite() {
            return Ok(mv);
        }
        Err(self.fault(TableFault::Number {
            column: shown(&column.name),
            found: shown(cells::bare(cell)),
        }))
    }
}

impl Source for Table {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let row = self.timeline.row(from as u64, self.rate_hz);
        let checkpoint = row / CHECKPOINT_ROWS;
        let place = self.checkpoints[checkpoint as usize];
        let mut rows = Rows::at(&self.path, &self.layout, place)?;
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
        self.warnings.clone()
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
                let (found, expected) = (self.row, self.table.rows);
                let said = format!(
                    "found {found} rows, expected {expected}: the file has become shorter while it was read"
                );
                return Err(RecordError::Io {
                    path: self.table.path.clone(),
                    cause: std::io::Error::new(std::io::ErrorKind::UnexpectedEof, said),
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
