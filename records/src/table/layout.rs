//! Where in a text file the table is: what comes before it, what parts its cells, what its columns are called.
//!
//! Nothing of this is stated in the file. The table begins with the first line from which on lines have as many cells,
//! with numbers in the same ones; the line above names the columns, or states their units below another that names them;
//! what comes before is a preamble, in which a rate, a unit and a lead's name may be stated.

use super::cells::{Delimiter, Value, bare, number};
use super::lines::{Encoding, Lines};
use super::{TableFault, fault};
use crate::{RecordError, VoltageUnit};
use std::path::Path;

/// Lines that the layout is told from, and their bytes.
const HEAD_LINES: usize = 1024;
const HEAD_BYTES: usize = 1 << 20;

/// Lines from the table's beginning on that have to look alike, most of them.
const ALIKE_LINES: usize = 16;

/// What a file's first lines say.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) encoding: Encoding,
    pub(super) delimiter: Delimiter,
    /// Cells of a row, at least 1.
    pub(super) count: usize,
    /// The line that names the columns, from 1, or that of the first row.
    pub(super) line: u64,
    /// Byte and line of the first row.
    pub(super) first_row: (u64, u64),
    /// What the columns are called, one each; `None` where nothing names them.
    pub(super) names: Option<Vec<String>>,
    /// The units that a line of their own states, one each, or none.
    pub(super) units: Vec<String>,
    /// The lines before that begin with `#`.
    pub(super) comments: Vec<String>,
    pub(super) facts: Facts,
    /// The first rows' cells.
    pub(super) rows: Vec<Vec<String>>,
    /// Whether rows begin with a number or a time, so that a word there is no row's.
    pub(super) begins_with_number: bool,
}

/// What a preamble states.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) rate_hz: Option<f64>,
    pub(super) unit: Option<VoltageUnit>,
    pub(super) lead: Option<String>,
}

/// A line of the head.
struct Line {
    text: String,
    place: (u64, u64),
}

impl Line {
    fn is_comment(&self) -> bool {
        self.text.starts_with(['#', '%'])
    }
}

/// Where a table would begin with this delimiter.
struct Candidate {
    delimiter: Delimiter,
    /// The first row, as a place among the lines that are no comments.
    start: usize,
    count: usize,
    /// How much of the first rows is values, 0..=1.
    values: f64,
    /// Whether the line above the first row says how many samples each column has.
    has_counts: bool,
}

impl Layout {
    /// Reads the head of a file.
    pub(super) fn read(path: &Path) -> Result<Self, RecordError> {
        let mut lines = Lines::begin(path)?;
        let (mut head, mut bytes) = (Vec::new(), 0);
        let mut stated = None;
        while head.len() < HEAD_LINES && bytes < HEAD_BYTES && lines.next()? {
            bytes += lines.text.len();
            let text = lines.text.trim_start_matches('\u{feff}').trim_end();
            if let Some(delimiter) = separator(text).filter(|_| head.is_empty()) {
                stated = Some(delimiter);
            } else if !text.trim().is_empty() {
                head.push(Line {
                    text: text.to_owned(),
                    place: lines.place,
                });
            }
        }
        let (comments, content): (Vec<Line>, Vec<Line>) =
            head.into_iter().partition(Line::is_comment);
        let last_line = lines.place.1.saturating_sub(1).max(1);
        let Some(table) = find(&content, stated) else {
            let (line, cause) = match content.first() {
                None => (last_line, TableFault::Empty),
                Some(line) => (line.place.1, TableFault::NoTable),
            };
            return Err(fault(path, line, cause));
        };
        Ok(Self::of(lines.encoding(), &content, &comments, &table))
    }

    fn of(encoding: Encoding, content: &[Line], comments: &[Line], table: &Candidate) -> Self {
        let words = |line: &Line| table.delimiter.words(&line.text);
        let mut count = table.count;
        let above = |n: usize| table.start.checked_sub(n).map(|at| &content[at]);
        let (mut names, mut units, mut preamble) = (None, Vec::new(), table.start);
        let is_name = |line: &&Line| {
            table.delimiter != Delimiter::None
                || !(is_fact(&line.text) || ends_preamble(content, table.start))
        };
        let below = usize::from(table.has_counts);
        if let Some(line) = above(1 + below).filter(is_name) {
            let first = fitted(words(line), count);
            let second = above(2 + below).and_then(|line| fitted(words(line), count));
            match (first, second) {
                (Some(first), Some(second)) if is_units(&first) => {
                    let first = first.iter().map(|unit| unbracketed(unit).to_owned());
                    (names, units) = (Some(second), first.collect());
                    preamble = table.start - below - 2;
                }
                (Some(first), _) => {
                    (names, preamble) = (Some(first), table.start - below - 1);
                }
                (None, _) => {}
            }
        }
        let before: Vec<Vec<String>> = content[..preamble].iter().map(words).collect();
        if let Some(channels) = Channels::of(&before, count, names.as_deref()) {
            (names, units) = (Some(channels.names), channels.units);
        }
        count = names.as_ref().map_or(count, Vec::len).max(count);
        units.resize(if units.is_empty() { 0 } else { count }, String::new());
        let facts = Facts::of(comments.iter().chain(&content[..preamble]));
        let first = &content[table.start];
        let line = content[preamble].place.1;
        if names.is_none() {
            names = comments
                .iter()
                .rev()
                .find_map(|line| names_in(&line.text, table.delimiter, count));
        }
        let rows: Vec<Vec<String>> = content[table.start..].iter().map(words).collect();
        let is_number = |row: &&Vec<String>| row.first().is_some_and(|cell| !is_word(cell));
        let first_rows = &rows[..rows.len().min(ALIKE_LINES)];
        let numbers = first_rows.iter().filter(is_number).count();
        Self {
            encoding,
            delimiter: table.delimiter,
            count,
            line,
            first_row: first.place,
            names,
            units,
            comments: comments
                .iter()
                .filter(|line| line.place.1 < first.place.1)
                .filter_map(|line| Some(line.text.strip_prefix('#')?.trim().to_owned()))
                .collect(),
            facts,
            begins_with_number: first_rows.first().is_some_and(|row| is_number(&row))
                && 2 * numbers > first_rows.len(),
            rows,
        }
    }
}

/// `sep=;`, as Excel has it in a first line, quoted or not.
fn separator(line: &str) -> Option<Delimiter> {
    let rest = bare(line).strip_prefix("sep=")?;
    Some(Delimiter::Char(rest.chars().next().unwrap_or('\t')))
}

/// Finds the table.
fn find(content: &[Line], stated: Option<Delimiter>) -> Option<Candidate> {
    let one = || Candidate::find(content, Delimiter::None);
    if let Some(delimiter) = stated {
        return Candidate::find(content, delimiter).or_else(one);
    }
    let mut best: Option<Candidate> = None;
    for delimiter in ['\t', ';', ',', '|'].map(Delimiter::Char) {
        if let Some(found) = Candidate::find(content, delimiter)
            && found.count > 1
            && best.as_ref().is_none_or(|best| found.values > best.values)
        {
            best = Some(found);
        }
    }
    if best.as_ref().is_none_or(|best| best.values < 1.0)
        && let Some(found) = Candidate::find(content, Delimiter::Spaces)
        && found.count > 1
        && (best.is_none() || found.values == 1.0)
    {
        best = Some(found);
    }
    match best {
        Some(best) if best.is_decimal_comma(content) => one(),
        Some(best) => Some(best),
        None => one(),
    }
}

impl Candidate {
    fn find(content: &[Line], delimiter: Delimiter) -> Option<Self> {
        let cells: Vec<Vec<String>> = content
            .iter()
            .map(|line| delimiter.words(&line.text))
            .collect();
        (0..content.len()).find_map(|start| {
            let found = Self::at(&cells, delimiter, start)?;
            if !is_counts(&cells[start..]) {
                return Some(found);
            }
            let next = Self::at(&cells, delimiter, start + 1)?;
            Some(Self {
                has_counts: true,
                ..next
            })
        })
    }

    fn at(cells: &[Vec<String>], delimiter: Delimiter, start: usize) -> Option<Self> {
        let first = &cells[start];
        let window = &cells[start..cells.len().min(start + ALIKE_LINES)];
        let alike: Vec<&Vec<String>> = window
            .iter()
            .filter(|row| row.len() == first.len())
            .collect();
        if 2 * alike.len() < window.len() {
            return None;
        }
        let mut count = first.len();
        while count > 1 && alike.iter().all(|row| row[count - 1].is_empty()) {
            count -= 1;
        }
        let value = |row: &Vec<String>, column: usize| Value::of(&row[column]);
        let is_numbers = |column: usize| {
            let of = |row: &&&Vec<String>| value(row, column);
            let numbers = alike.iter().filter(|row| of(row) != Value::Text).count();
            let any = alike.iter().any(|row| matches!(of(&row), Value::Number(_)));
            let starts = !first[column].is_empty() && value(first, column) != Value::Text;
            // A fact of the preamble may be a number; the lines below it are none.
            let mut next = alike[1..].iter().take(2);
            let goes_on = alike.len() == 1 || next.any(|row| value(row, column) != Value::Text);
            any && starts && goes_on && 2 * numbers >= alike.len()
        };
        if !(0..count).any(is_numbers) {
            return None;
        }
        let is_value = |cell: &&String| Value::of(cell) != Value::Text || is_time(cell);
        let all = alike.iter().flat_map(|row| &row[..count]);
        let values = all.clone().filter(is_value).count() as f64 / all.count() as f64;
        Some(Self {
            delimiter,
            start,
            count,
            values,
            has_counts: false,
        })
    }

    /// Whether what looks like two columns of whole numbers is one column of numbers with a decimal comma.
    fn is_decimal_comma(&self, content: &[Line]) -> bool {
        if self.delimiter != Delimiter::Char(',') || self.count != 2 {
            return false;
        }
        let above = self.start.checked_sub(1).map(|at| &content[at].text);
        if above.is_some_and(|line| {
            let words = self.delimiter.words(line);
            words.len() == 2
                && words.iter().all(|w| number(w).is_none())
                && !is_fact(line)
                && !ends_preamble(content, self.start)
        }) {
            return false;
        }
        let rows: Vec<Vec<String>> = content[self.start..]
            .iter()
            .map(|line| self.delimiter.words(&line.text))
            .collect();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        const SIGNS: [char; 3] = ['-', '+', '\u{2212}'];
        let is_comma = |row: &Vec<String>| match &row[..] {
            [whole, decimals] => digits(whole.trim_start_matches(SIGNS)) && digits(decimals),
            [whole] => digits(whole.trim_start_matches(SIGNS)),
            _ => false,
        };
        if !rows.iter().all(is_comma) {
            return false;
        }
        let whole: Vec<f64> = rows.iter().filter_map(|row| number(&row[0])).collect();
        let rises = whole.len() > 1 && whole.windows(2).all(|pair| pair[0] < pair[1]);
        // No whole number is written `012` or `-0`.
        let is_decimals = |cell: &String| cell.len() > 1 && cell.starts_with('0');
        let is_part = |row: &Vec<String>| {
            ["-0", "\u{2212}0"].contains(&&*row[0]) || row.get(1).is_some_and(is_decimals)
        };
        !rises && rows.iter().any(is_part)
    }
}

/// Whether a line is a key and its value, as Apple's `Unit,µV`, and not a name and its unit, as `ECG, mV`.
fn is_fact(line: &str) -> bool {
    match &pieces(line)[..] {
        [key, .., value] => {
            let key = key.to_lowercase();
            value.parse::<VoltageUnit>().is_err()
                || UNIT_WORDS.iter().any(|word| key.contains(word))
        }
        _ => false,
    }
}

/// Whether a cell is neither a number nor a time, nor says that there is none.
pub(super) fn is_word(cell: &str) -> bool {
    Value::of(cell) == Value::Text && !is_time(bare(cell.trim_matches(['[', ']'])))
}

/// Whether a cell is a time or a date.
fn is_time(cell: &str) -> bool {
    let (days, time) = cell.split_once(" days ").unwrap_or(("0", cell));
    let cell = if number(days).is_some() { time } else { cell };
    cell.starts_with(|c: char| c.is_ascii_digit())
        && cell.contains([':', '-', '/'])
        && cell
            .chars()
            .all(|c| c.is_ascii_digit() || ":-/.,+ TZAPMapm".contains(c))
}

/// A line's cells where they are as many as the columns, or one fewer (R leaves out the name of the first).
fn fitted(mut words: Vec<String>, count: usize) -> Option<Vec<String>> {
    while words.len() > count && words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    let is_key = words
        .first()
        .is_some_and(|word| word.len() > 1 && word.ends_with(['=', ':']));
    if is_key
        || words.iter().any(|word| number(word).is_some())
        || words.iter().all(String::is_empty)
    {
        return None;
    }
    if words.len() + 1 == count && count > 2 {
        words.insert(0, String::new());
    }
    // Columns may be empty throughout that a line names.
    (words.len() >= count && words.len() <= count + 8).then_some(words)
}

/// Whether a line below one of names states units: at least one voltage or time, and nothing that names a column.
fn is_units(cells: &[String]) -> bool {
    let is_known = |cell: &String| {
        let cell = unbracketed(cell);
        cell.parse::<VoltageUnit>().is_ok()
            || super::columns::seconds_of(cell).is_some()
            || interval_s(cell).is_some()
    };
    cells.iter().any(is_known)
        && !cells
            .iter()
            .any(|cell| super::columns::is_time_name(cell) && !is_known(cell))
}

/// `(mV)` and `[mV]` without the brackets.
fn unbracketed(cell: &str) -> &str {
    let inner = cell.strip_prefix('(').and_then(|c| c.strip_suffix(')'));
    let inner = inner.or_else(|| cell.strip_prefix('[').and_then(|c| c.strip_suffix(']')));
    inner.map_or(cell, str::trim)
}

/// Whether the line above the table is the last of a preamble of keys and values, in whatever language: an empty line
/// parts it from the table, or lines of two pieces come before it.
fn ends_preamble(content: &[Line], start: usize) -> bool {
    let is_pair = |line: &Line| pieces(&line.text).len() >= 2;
    let Some(above) = start.checked_sub(1).filter(|at| is_pair(&content[*at])) else {
        return false;
    };
    let stands_apart = content[start].place.1 > content[above].place.1 + 1;
    stands_apart || (above >= 3 && content[above - 3..above].iter().all(is_pair))
}

/// Whether the first row says how many samples each column has, as AcqKnowledge writes it: nothing below the time, and
/// the same whole number below all others; and the rows that follow have a time.
fn is_counts(rows: &[Vec<String>]) -> bool {
    let [first, second, third, ..] = rows else {
        return false;
    };
    let counts: Vec<&String> = first.iter().filter(|cell| !cell.is_empty()).collect();
    let is_whole = |cell: &&String| cell.parse::<u64>().is_ok_and(|count| count > 1);
    first[0].is_empty()
        && counts.first().is_some_and(is_whole)
        && counts.windows(2).all(|pair| pair[0] == pair[1])
        && [second, third].iter().all(|row| number(&row[0]).is_some())
}

/// Names and units of channels that a program lists in lines of its own.
struct Channels {
    names: Vec<String>,
    units: Vec<String>,
}

impl Channels {
    /// Of LabChart (`ChannelTitle=`, `UnitName=` or `Range=`) or of AcqKnowledge (`2 channels`, and a name and a unit for
    /// each). `count` is that of the columns, the first of which is the time.
    fn of(preamble: &[Vec<String>], count: usize, names: Option<&[String]>) -> Option<Self> {
        let first = names.map_or("Time", |names| &names[0]).to_owned();
        let of_key = |key: &str| {
            let line = preamble
                .iter()
                .find(|line| line[0].eq_ignore_ascii_case(key));
            line.map(|line| &line[1..])
        };
        let with_first = |first: String, rest: &mut dyn Iterator<Item = String>| {
            let mut all: Vec<String> = std::iter::once(first).chain(rest).collect();
            all.resize(count, String::new());
            all
        };
        if let Some(titles) = of_key("ChannelTitle=").filter(|titles| titles.len() < count) {
            let unit = |cell: &String| {
                let unit = cell.rsplit(' ').next().unwrap_or_default();
                let is_one = unit.parse::<VoltageUnit>().is_ok();
                if is_one {
                    unit.to_owned()
                } else {
                    String::new()
                }
            };
            let units = of_key("UnitName=").or_else(|| of_key("Range="));
            return Some(Self {
                names: with_first(first, &mut titles.iter().cloned()),
                units: with_first(String::new(), &mut units.unwrap_or(&[]).iter().map(unit)),
            });
        }
        let at = preamble.iter().position(|line| {
            let stated = line[0].strip_suffix(" channels");
            let stated = stated.and_then(|stated| stated.parse::<usize>().ok());
            stated.is_some_and(|stated| stated > 0 && stated + 1 == count)
        })?;
        let list: Vec<String> = preamble[at + 1..]
            .iter()
            .map(|line| line.join(","))
            .collect();
        (list.len() == 2 * (count - 1)).then(|| Self {
            names: with_first(first, &mut list.iter().step_by(2).cloned()),
            units: with_first(String::new(), &mut list.iter().skip(1).step_by(2).cloned()),
        })
    }
}

/// `0.004 sec`: a time with its unit, in s.
pub(super) fn interval_s(cell: &str) -> Option<f64> {
    let at = cell.find(|c: char| c.is_alphabetic())?;
    let (value, unit) = cell.split_at(at);
    let seconds = number(value.trim())? * super::columns::seconds_of(unit)?;
    (seconds > 0.0).then_some(seconds)
}

/// The names of `count` columns in a comment: the comment itself, or a list in it that is called so.
fn names_in(comment: &str, delimiter: Delimiter, count: usize) -> Option<Vec<String>> {
    let text = comment.trim_start_matches(['#', '%']).trim();
    let lower = text.to_lowercase();
    for key in ["\"column\"", "columns", "labels", "column"] {
        let Some(at) = lower.find(key) else {
            continue;
        };
        // The lower case of a letter may have another length.
        let Some(rest) = text.get(at + key.len()..) else {
            continue;
        };
        let list = rest.trim_start_matches([':', '=', ' ', '"', '[']);
        let list = list.split(']').next().unwrap_or_default();
        let names: Vec<String> = Delimiter::Char(',').words(list);
        if names.len() == count && names.iter().all(|name| !name.is_empty()) {
            return Some(names);
        }
    }
    let names = delimiter.words(text);
    let named = count > 1
        && names.len() == count
        && names
            .iter()
            .all(|name| !name.is_empty() && number(name).is_none());
    named.then_some(names)
}

impl Facts {
    fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut facts = Self::default();
        // Rates by how sure they are: beside a word for sampling, or anywhere in Hz.
        let mut rates: [Vec<f64>; 2] = Default::default();
        for line in lines {
            let text = line.text.trim_start_matches(['#', '%']).trim();
            if let Some(hz) = sampling(text) {
                rates[0].push(hz);
            }
            let pieces = pieces(text);
            if is_of_a_filter(text) {
                continue;
            }
            rates[1].extend(pieces.iter().filter_map(|piece| hertz(piece)));
            if let [key, .., value] = &pieces[..] {
                let key = key.to_lowercase();
                let says = |words: &[&str]| words.iter().any(|word| key.contains(word));
                if let Ok(unit) = value.parse()
                    && (says(&UNIT_WORDS) || unit != VoltageUnit::Volt)
                {
                    facts.unit.get_or_insert(unit);
                }
                if LEAD_WORDS.contains(&&*key) {
                    facts.lead.get_or_insert_with(|| (*value).to_owned());
                }
            }
        }
        facts.rate_hz = rates.into_iter().find_map(|mut found| {
            found.dedup();
            match found[..] {
                [one] if one.is_finite() && one > 0.0 => Some(one),
                _ => None,
            }
        });
        facts
    }
}

const UNIT_WORDS: [&str; 27] = [
    "unit",
    "einheit",
    "unidad",
    "unità",
    "unité",
    "unidade",
    "eenheid",
    "enhet",
    "enhed",
    "yksikkö",
    "jednost",
    "jednotk",
    "enota",
    "ühik",
    "mértékegység",
    "birim",
    "satuan",
    "đơn vị",
    "единиц",
    "одиниц",
    "един",
    "μονάδα",
    "单位",
    "単位",
    "단위",
    "หน่วย",
    "इकाई",
];

const LEAD_WORDS: [&str; 24] = [
    "lead",
    "ableitung",
    "dérivation",
    "derivación",
    "derivação",
    "derivazione",
    "afleiding",
    "avledning",
    "odprowadzenie",
    "отведение",
    "导联",
    "誘導",
    "리드",
    "kytkentä",
    "afledning",
    "svod",
    "zvod",
    "elvezetés",
    "derivație",
    "elektrot",
    "відведення",
    "απαγωγή",
    "đạo trình",
    "ลีด",
];

/// A line's parts: what commas, semicolons, tabs, colons and equals signs leave.
fn pieces(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    Delimiter::Char(',').split(line, &mut cells);
    cells
        .into_iter()
        .flat_map(|cell| line[cell].split([';', '\t', '=', ':']))
        .map(bare)
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Whether a line speaks of another frequency than the samples'.
fn is_of_a_filter(line: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "filter",
        "notch",
        "cut",
        "pass",
        "mains",
        "line freq",
        "heart",
        "filtr",
    ];
    let lower = line.to_lowercase();
    OTHERS.iter().any(|word| lower.contains(word))
}

/// `512 hertz`, in several languages, in Hz.
fn hertz(piece: &str) -> Option<f64> {
    const HERTZ: [&str; 18] = [
        "hz",
        "hert",
        "herz",
        "herc",
        "гц",
        "герц",
        "赫",
        "ヘルツ",
        "헤르츠",
        "هرتز",
        "הרץ",
        "χερτζ",
        "херц",
        "เฮิรตซ์",
        // With and without the dot of a borrowed sound.
        "हर्ट्ज\u{93c}",
        "हर्ट्ज़",
        "हर्ट्ज",
        "sps",
    ];
    let at = piece.find(|c: char| c.is_alphabetic())?;
    let (value, unit) = piece.split_at(at);
    let unit = unit.to_lowercase();
    let (factor, unit) = match unit.strip_prefix("khz") {
        Some(rest) => (1e3, rest),
        None => (1.0, HERTZ.iter().find_map(|word| unit.strip_prefix(word))?),
    };
    // Nothing but the word's own end may follow.
    if unit.contains(|c: char| !c.is_alphabetic()) {
        return None;
    }
    number(value.trim()).map(|hz| hz * factor)
}

/// The rate beside a word for sampling, in Hz.
fn sampling(line: &str) -> Option<f64> {
    const SAMPLING: [&str; 8] = [
        "sampl",
        "abtast",
        "échantillon",
        "echantillon",
        "muestreo",
        "amostra",
        "campion",
        "bemonster",
    ];
    const RATE: [&str; 11] = [
        "rate", "freq", "hz", "interval", "period", "abtast", "frec", "fréq", "taxa", "frequê",
        "frequen",
    ];
    let lower = line.to_lowercase();
    let at = SAMPLING
        .iter()
        .filter_map(|word| Some(lower.find(word)? + word.len()))
        .min()?;
    if !RATE.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let rest = lower.get(at..)?;
    let digit = rest.find(|c: char| c.is_ascii_digit())?;
    let value = &rest[digit..];
    let end = value
        .find(|c: char| !(c.is_ascii_digit() || ".,".contains(c)))
        .unwrap_or(value.len());
    let found = number(value[..end].trim_end_matches(['.', ',']))?;
    let unit = value[end..].trim_start();
    let unit: String = unit.chars().take_while(|c| c.is_alphabetic()).collect();
    if ["interval", "period"]
        .iter()
        .any(|word| lower.contains(word))
    {
        let seconds = found * super::columns::seconds_of(&unit)?;
        return Some(seconds.recip());
    }
    match &*unit {
        "khz" => Some(1e3 * found),
        "" => Some(found),
        unit if unit.starts_with("hz") || hertz(&format!("1 {unit}")).is_some() => Some(found),
        unit if unit.starts_with("sampl") => Some(found),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Layout::read(&path).unwrap()
    }

    fn names(layout: &Layout) -> Vec<&str> {
        let names = layout.names.iter().flatten();
        names.map(String::as_str).collect()
    }

    #[test]
    fn delimiters_and_counts() {
        let rows = |row: &str| format!("{row}\n").repeat(20);
        for (text, delimiter, count) in [
            (rows("1,2\n3,4"), Delimiter::Char(','), 2),
            (rows("512,498"), Delimiter::Char(','), 2),
            (rows("0,5;0,25"), Delimiter::Char(';'), 2),
            (rows("1\t2,5\t"), Delimiter::Char('\t'), 2),
            (rows("1|2|3"), Delimiter::Char('|'), 3),
            (rows("  1   2.5"), Delimiter::Spaces, 2),
            (rows("0,004  0,12"), Delimiter::Spaces, 2),
            (rows("2026-07-26 12:00:00.000,0.5"), Delimiter::Char(','), 2),
            (
                rows("2026-07-26 12:00:00.000, 0.5, ok"),
                Delimiter::Char(','),
                3,
            ),
            (rows("0.5"), Delimiter::None, 1),
            (rows("-0,512"), Delimiter::None, 1),
            (rows("3,012\n3,120"), Delimiter::None, 1),
            ("sep=;\n".to_owned() + &rows("1;2"), Delimiter::Char(';'), 2),
            (
                "\"sep=,\"\n".to_owned() + &rows("1,2,"),
                Delimiter::Char(','),
                2,
            ),
        ] {
            let found = layout(&text);
            assert_eq!((found.delimiter, found.count), (delimiter, count), "{text}");
        }
        // A first column that rises is a time.
        let rising: String = (0..20).map(|k| format!("{},012\n", 4 * k)).collect();
        assert_eq!(layout(&rising).count, 2);
    }

    #[test]
    fn names_units_and_what_comes_before() {
        let rows = "0,1\n1,2\n2,3\n";
        let found = layout(&format!("time,ecg\n{rows}"));
        assert_eq!((names(&found), found.line), (vec!["time", "ecg"], 1));
        let found = layout(&format!("Made by,X\n\n'time','ecg'\n's','mV'\n{rows}"));
        assert_eq!((names(&found), found.line), (vec!["time", "ecg"], 3));
        assert_eq!(found.units, ["s", "mV"]);
        assert_eq!(found.first_row.1, 5);
        // A line of its own that has a unit for a name is one of names.
        let found = layout(&format!("Patient,X\ntime,mV\n{rows}"));
        assert_eq!(names(&found), ["time", "mV"]);
        assert!(found.units.is_empty());
        // The name of a column that is empty throughout; that of an index, left out; in a comment.
        assert_eq!(names(&layout("t,ecg,note\n0,1,\n1,2,\n")).len(), 3);
        assert_eq!(names(&layout("t ecg\n0 1 2\n1 2 3\n")), ["", "t", "ecg"]);
        assert_eq!(names(&layout("# t,ecg\n0,1\n1,2\n")), ["t", "ecg"]);
        let json = "# {\"A\": {\"column\": [\"nSeq\", \"A1\"], \"x\": 1}}\n0\t1\t\n1\t2\t\n";
        assert_eq!(names(&layout(json)), ["nSeq", "A1"]);
        assert_eq!(names(&layout("# Labels:= ECG\n0.5\n0.6\n")), ["ECG"]);
        assert_eq!(layout("1\n2\n").names, None);
    }

    #[test]
    fn a_faulty_row_does_not_hide_the_table() {
        assert_eq!(layout("time,mv\n0,1\n1,x\n").first_row.1, 2);
        assert_eq!(layout("mv\n1\nx\n3\n").first_row.1, 2);
        assert_eq!(layout("time,mv\nsoon,1\n").first_row.1, 2);
    }

    #[test]
    fn facts_of_a_preamble() {
        let facts = |preamble: &str| layout(&format!("{preamble}\n0.5\n0.6\n0.7\n")).facts;
        for (line, hz) in [
            ("Sample Rate,512 hertz", Some(512.0)),
            ("Taxa de amostragem,\"512,5 hertz\"", Some(512.5)),
            ("Abtastrate,512 Hertz", Some(512.0)),
            ("采样率,512赫兹", Some(512.0)),
            ("# Sampling Rate (Hz):= 1000.00", Some(1000.0)),
            ("%Sample Rate = 250 Hz", Some(250.0)),
            ("# {\"sampling rate\": 1000, \"x\": 2}", Some(1000.0)),
            ("Sampling interval: 4 ms", Some(250.0)),
            ("Sampling frequency: 1 kHz", Some(1000.0)),
            ("Number of samples: 5000", None),
            ("Filter: 0.5-40 Hz", None),
            ("Notch filter: 50 Hz", None),
            ("Sample rate: 250 Hz\nSample rate: 500 Hz", None),
        ] {
            assert_eq!(facts(line).rate_hz, hz, "{line}");
        }
        assert_eq!(facts("Unit,\u{b5}V").unit, Some(VoltageUnit::Microvolt));
        assert_eq!(facts("Einheit;mV").unit, Some(VoltageUnit::Millivolt));
        assert_eq!(facts("Device,V").unit, None);
        assert_eq!(facts("Lead,Lead I").lead.as_deref(), Some("Lead I"));
    }
}
