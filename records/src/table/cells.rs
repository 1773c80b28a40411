//! A line's cells, and what a cell says.

use std::ops::Range;

/// What parts a line's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// One character.
    Char(char),
    /// Any number of spaces.
    Spaces,
    /// Nothing: a line is a cell.
    None,
}

impl Delimiter {
    /// Appends where the cells of `line` are, without the spaces around them.
    pub(super) fn split(self, line: &str, cells: &mut Vec<Range<usize>>) {
        cells.clear();
        match self {
            Self::None => cells.push(trimmed(line, 0..line.len())),
            Self::Spaces => {
                let mut rest = line;
                while let Some(word) = rest.split_whitespace().next() {
                    let start = line.len() - rest.trim_start().len();
                    cells.push(start..start + word.len());
                    rest = &line[start + word.len()..];
                }
            }
            Self::Char(delimiter) => {
                let mut start = 0;
                loop {
                    let end = cell_end(line, start, delimiter);
                    cells.push(trimmed(line, start..end));
                    if end == line.len() {
                        return;
                    }
                    start = end + delimiter.len_utf8();
                }
            }
        }
    }

    /// The cells of a line that names or states something, bare of quotes.
    pub(super) fn words(self, line: &str) -> Vec<String> {
        let mut cells = Vec::new();
        self.split(line, &mut cells);
        cells
            .into_iter()
            .map(|cell| bare(&line[cell]).to_owned())
            .collect()
    }
}

/// Where the cell that begins at `start` ends. In double quotes it may hold the delimiter; a quote that is not closed in
/// the line is a character like any other.
fn cell_end(line: &str, start: usize, delimiter: char) -> usize {
    let cell = &line[start..];
    let plain = || cell.find(delimiter).map_or(line.len(), |at| start + at);
    let opened = cell.trim_start_matches(' ');
    let Some(quoted) = opened.strip_prefix('"') else {
        return plain();
    };
    let mut from = line.len() - quoted.len();
    while let Some(at) = line[from..].find('"') {
        let after = from + at + 1;
        if line[after..].starts_with('"') {
            from = after + 1;
            continue;
        }
        let rest = line[after..].trim_start_matches(' ');
        if rest.is_empty() {
            return line.len();
        }
        if rest.starts_with(delimiter) {
            return line.len() - rest.len();
        }
        return plain();
    }
    plain()
}

fn trimmed(line: &str, cell: Range<usize>) -> Range<usize> {
    let text = &line[cell.clone()];
    let start = cell.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

/// A cell without spaces and quotes around it.
pub(super) fn bare(cell: &str) -> &str {
    cell.trim().trim_matches(['"', '\'']).trim()
}

/// What a cell holds where a number is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// A finite number.
    Number(f64),
    /// One of the ways to say that there is no sample.
    Missing,
    /// Something else.
    Text,
}

impl Value {
    /// Reads a cell: a decimal point, or a decimal comma.
    pub(super) fn of(cell: &str) -> Self {
        let cell = bare(cell);
        if let Some(number) = number(cell) {
            return Self::Number(number);
        }
        const MISSING: [&str; 13] = [
            "", "nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "--", "!", "?", "<na>",
        ];
        if MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
            Self::Missing
        } else {
            Self::Text
        }
    }
}

/// A finite number with a decimal point or a decimal comma.
pub(super) fn number(cell: &str) -> Option<f64> {
    // `inf` and `nan` are words.
    if !cell.ends_with(|c: char| c.is_ascii_digit() || c == '.' || c == ',') {
        return None;
    }
    // Many languages write a minus sign where programs expect a hyphen.
    let hyphened;
    let cell = match cell.strip_prefix('\u{2212}') {
        Some(rest) => {
            hyphened = format!("-{rest}");
            hyphened.as_str()
        }
        None => cell,
    };
    let parsed = match cell.split_once(',') {
        None => cell.parse().ok(),
        Some((whole, decimals)) if !cell.contains('.') && !decimals.contains(',') => {
            format!("{whole}.{decimals}").parse().ok()
        }
        Some(_) => None,
    };
    parsed.filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(delimiter: Delimiter, line: &str) -> Vec<&str> {
        let mut cells = Vec::new();
        delimiter.split(line, &mut cells);
        cells.into_iter().map(|cell| &line[cell]).collect()
    }

    #[test]
    fn cells_of_a_line() {
        let comma = Delimiter::Char(',');
        assert_eq!(split(comma, "a, b ,,c"), ["a", "b", "", "c"]);
        assert_eq!(
            split(comma, "1,\"a, \"\"b\"\"\" ,2"),
            ["1", "\"a, \"\"b\"\"\"", "2"]
        );
        assert_eq!(split(comma, "\"Time, s\",\"ECG, mV\"").len(), 2);
        // Quotes that are not closed, or close in the middle of a cell, are nothing.
        assert_eq!(split(comma, "0,\"1"), ["0", "\"1"]);
        assert_eq!(split(comma, "\"a\"b,c"), ["\"a\"b", "c"]);
        assert_eq!(split(comma, ""), [""]);
        assert_eq!(split(Delimiter::Char('\t'), "1\t2\t"), ["1", "2", ""]);
        assert_eq!(split(Delimiter::Spaces, "  1  2\t3 "), ["1", "2", "3"]);
        assert_eq!(split(Delimiter::Spaces, ""), [""; 0]);
        assert_eq!(split(Delimiter::None, " 1 2 "), ["1 2"]);
    }

    #[test]
    fn values_of_cells() {
        for (cell, expected) in [
            ("1.5", Value::Number(1.5)),
            ("-2,5e-1", Value::Number(-0.25)),
            ("\u{2212}2,5", Value::Number(-2.5)),
            ("\"0,5\"", Value::Number(0.5)),
            ("+7", Value::Number(7.0)),
            (".5", Value::Number(0.5)),
            ("5.", Value::Number(5.0)),
            ("", Value::Missing),
            ("NaN", Value::Missing),
            ("NULL", Value::Missing),
            ("!", Value::Missing),
            ("-", Value::Missing),
            ("inf", Value::Text),
            ("infinity", Value::Text),
            ("1,234.5", Value::Text),
            ("1,2,3", Value::Text),
            ("0x10", Value::Text),
            ("1e999", Value::Text),
            ("word", Value::Text),
        ] {
            assert_eq!(Value::of(cell), expected, "{cell}");
        }
    }
}
