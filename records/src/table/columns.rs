//! The line that names a table's columns.

use super::{LineGuard, MAX_LINE_BYTES, TableFault, fault};
use crate::{RecordError, VoltageUnit, shown};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Names of a column that says when a sample was taken, in lower case.
const TIME_NAMES: [&str; 8] = [
    "time",
    "t",
    "timestamp",
    "datetime",
    "date_time",
    "elapsed time",
    "elapsed_time",
    "seconds",
];

/// What a table's first lines say.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// How many there are.
    pub(super) count: usize,
    /// The line that names them, from 1.
    pub(super) line: u64,
    /// Byte and line of the first row.
    pub(super) first_row: u64,
    pub(super) first_line: u64,
    /// The column that says when.
    pub(super) time: Option<usize>,
    /// Seconds of one unit of it, where it is numbers.
    pub(super) time_unit_s: f64,
    /// The lines before that begin with `#`.
    pub(super) comments: Vec<String>,
    delimiter: u8,
    all: Vec<Column>,
}

/// A column that is not the time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) index: usize,
    pub(super) name: String,
    /// The unit as the table states it; empty where it states none.
    pub(super) units: String,
    /// `None` where the unit is no voltage.
    pub(super) unit: Option<VoltageUnit>,
}

impl Columns {
    /// Reads the first lines of a table. Columns without a unit have `unit`.
    pub(super) fn read(path: &Path, unit: Option<VoltageUnit>) -> Result<Self, RecordError> {
        let io = |cause: std::io::Error| match cause.kind() {
            std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
                path: path.to_owned(),
                expected: "a CSV file",
            },
            _ => RecordError::Io {
                path: path.to_owned(),
                cause,
            },
        };
        let mut lines = FirstLines {
            path,
            file: BufReader::new(File::open(path).map_err(io)?),
            byte: 0,
            line: 0,
        };
        let mut comments = Vec::new();
        let names = loop {
            let Some(text) = lines.next()? else {
                return Err(fault(path, lines.line.max(1), TableFault::Empty));
            };
            let text = text.trim_start_matches('\u{feff}').trim().to_owned();
            match text.strip_prefix('#') {
                Some(comment) => comments.push(comment.trim().to_owned()),
                None if text.is_empty() => {}
                None => break text,
            }
        };
        let line = lines.line;
        let delimiter = [b';', b'\t']
            .into_iter()
            .find(|&d| names.contains(char::from(d)))
            .unwrap_or(b',');
        let cells = |text: &str| -> Vec<String> {
            text.split(char::from(delimiter))
                .map(|cell| bare(cell).to_owned())
                .collect()
        };
        let names = cells(&names);
        if let Some(number) = names.iter().find(|name| name.parse::<f64>().is_ok()) {
            let found = shown(number);
            return Err(fault(path, line, TableFault::NoHeader { found }));
        }
        let (mut first_row, mut first_line) = (lines.byte, lines.line + 1);
        let mut units = Vec::new();
        if let Some(second) = lines.next()? {
            let second = cells(second.trim());
            if is_units(&second, names.len()) {
                units = second;
                (first_row, first_line) = (lines.byte, lines.line + 1);
            }
        }
        Ok(Self {
            count: names.len(),
            line,
            first_row,
            first_line,
            time: None,
            time_unit_s: 1.0,
            comments,
            delimiter,
            all: Vec::new(),
        }
        .with_names(&names, &units, unit))
    }

    fn with_names(mut self, names: &[String], units: &[String], unit: Option<VoltageUnit>) -> Self {
        for (index, cell) in names.iter().enumerate() {
            let (name, own) = name_and_unit(cell);
            let stated = units.get(index).map_or(own, String::as_str);
            if self.time.is_none()
                && let Some(unit_s) = time_unit_s(name, stated)
            {
                (self.time, self.time_unit_s) = (Some(index), unit_s);
                continue;
            }
            let given = unit.filter(|_| stated.is_empty());
            self.all.push(Column {
                index,
                name: if name.is_empty() {
                    format!("lead {}", self.all.len())
                } else {
                    name.to_owned()
                },
                units: given.map_or_else(|| stated.to_owned(), |unit| unit.to_string()),
                unit: given.or(stated.parse().ok()),
            });
        }
        self
    }

    /// The columns that are not the time.
    pub(super) fn leads(&self) -> impl Iterator<Item = &Column> {
        self.all.iter()
    }

    /// A reader of the rows in `file`, which is there where a row begins.
    pub(super) fn reader(&self, file: LineGuard<File>) -> csv::Reader<LineGuard<File>> {
        csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            // A quote that is never closed would make the rest of the file one cell.
            .quoting(false)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_reader(file)
    }

    /// A cell's text, without quotes. Where semicolons part the cells, a comma is a decimal point.
    pub(super) fn text<'a>(&self, cell: &'a [u8]) -> Cow<'a, str> {
        match String::from_utf8_lossy(cell) {
            Cow::Borrowed(text) if self.delimiter == b';' && text.contains(',') => {
                bare(text).replace(',', ".").into()
            }
            Cow::Borrowed(text) => bare(text).into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// The lines at the beginning of a file, one by one.
struct FirstLines<'a> {
    path: &'a Path,
    file: BufReader<File>,
    /// Bytes and lines read so far.
    byte: u64,
    line: u64,
}

impl FirstLines<'_> {
    fn next(&mut self) -> Result<Option<String>, RecordError> {
        let mut bytes = Vec::new();
        let read = self
            .file
            .by_ref()
            .take(MAX_LINE_BYTES as u64 + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|cause| RecordError::Io {
                path: self.path.to_owned(),
                cause,
            })?;
        self.byte += read as u64;
        self.line += u64::from(read > 0);
        if read > MAX_LINE_BYTES {
            return Err(fault(self.path, self.line, TableFault::LineTooLong));
        }
        // Where it is not UTF-8 it mostly is Latin-1 (a micro sign).
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|e| e.as_bytes().iter().map(|&b| char::from(b)).collect());
        Ok((read > 0).then_some(text))
    }
}

/// A cell without spaces and quotes around it.
pub(super) fn bare(cell: &str) -> &str {
    cell.trim().trim_matches(['"', '\'']).trim()
}

/// Whether a line below the names states units: as many cells, none of them empty, a number or a date, and at least one a
/// voltage.
fn is_units(cells: &[String], columns: usize) -> bool {
    cells.len() == columns
        && cells
            .iter()
            .all(|cell| !cell.is_empty() && !cell.starts_with(|c: char| c.is_ascii_digit()))
        && cells.iter().any(|cell| cell.parse::<VoltageUnit>().is_ok())
}

/// `II (mV)`, `II [mV]`, `ecg_mv`, `ecg mV` and `mV` as name and unit; the unit is empty where there is none.
fn name_and_unit(cell: &str) -> (&str, &str) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((name, unit)) = cell.strip_suffix(close).and_then(|c| c.rsplit_once(open)) {
            return (name.trim(), unit.trim());
        }
    }
    if cell.parse::<VoltageUnit>().is_ok() {
        return (cell, cell);
    }
    match cell.rsplit_once(['_', ' ']) {
        Some((name, unit)) if unit.parse::<VoltageUnit>().is_ok() || seconds_of(unit).is_some() => {
            (name.trim(), unit)
        }
        _ => (cell, ""),
    }
}

/// Seconds of one unit of a column, if its name says that it is the time. Without a unit it counts seconds, or says
/// clock time.
fn time_unit_s(name: &str, unit: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let is_time = TIME_NAMES.contains(&&*name);
    if unit.is_empty() || !is_time {
        return is_time.then_some(1.0).or_else(|| match &*name {
            "ms" | "s" => seconds_of(&name),
            _ => None,
        });
    }
    // `hh:mm:ss.mmm` and the like say themselves what they are.
    Some(seconds_of(unit).unwrap_or(1.0))
}

/// Seconds of a unit of time.
fn seconds_of(unit: &str) -> Option<f64> {
    match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "ms" | "msec" | "millisecond" | "milliseconds" => Some(1e-3),
        "us" | "\u{b5}s" | "\u{3bc}s" | "microseconds" => Some(1e-6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units() {
        for (cell, expected) in [
            ("II (mV)", ("II", "mV")),
            ("V1 [uV]", ("V1", "uV")),
            ("ecg_mv", ("ecg", "mv")),
            ("ecg V", ("ecg", "V")),
            ("mV", ("mV", "mV")),
            ("time_ms", ("time", "ms")),
            ("MLII", ("MLII", "")),
            ("resp (l/min)", ("resp", "l/min")),
            ("a_b", ("a_b", "")),
        ] {
            assert_eq!(name_and_unit(cell), expected, "{cell}");
        }
        assert_eq!(time_unit_s("Time", ""), Some(1.0));
        assert_eq!(time_unit_s("time", "ms"), Some(1e-3));
        assert_eq!(time_unit_s("Elapsed time", "hh:mm:ss.mmm"), Some(1.0));
        assert_eq!(time_unit_s("ms", ""), Some(1e-3));
        assert_eq!(time_unit_s("II", "ms"), None);
    }

    #[test]
    fn a_second_line_of_units() {
        let line = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_units(&line("hh:mm:ss.mmm,mV,mV"), 3));
        assert!(!is_units(&line("0:00.000,mV"), 2));
        assert!(!is_units(&line("seconds,word"), 2));
        assert!(!is_units(&line("mV"), 2));
    }
}
