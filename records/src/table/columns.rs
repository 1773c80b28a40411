//! What a table's columns are: times, counters, leads, or something else.

use super::cells::{Delimiter, Value};
use super::clock::Form;
use super::layout::{Layout, interval_s};
use crate::kind::{LeadKind, kind_of};
use crate::{VoltageUnit, shown};

/// Names of a column of times, in lower case: parts of a name, and whole names.
const TIME_PARTS: [&str; 15] = [
    "time",
    "zeit",
    "temps",
    "tiempo",
    "tempo",
    "datum",
    "elapsed",
    "epoch",
    "время",
    "дата",
    "zaman",
    "χρόνος",
    "시간",
    "thời gian",
    "เวลา",
];
const TIME_NAMES: [&str; 38] = [
    "t",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "ms",
    "msec",
    "millis",
    "millisecond",
    "milliseconds",
    "us",
    "usec",
    "micros",
    "microseconds",
    "ns",
    "nanoseconds",
    "min",
    "minutes",
    "hours",
    "date",
    "fecha",
    "hora",
    "heure",
    "tijd",
    "tid",
    "clock",
    "czas",
    "时间",
    "時間",
    "čas",
    "aika",
    "idő",
    "ora",
    "час",
    "vreme",
    "laikas",
    "aeg",
];

/// Names of a column that counts samples, packets or rows, in lower case; and those of one that may hold them instead.
const COUNTER_NAMES: [&str; 15] = [
    "index",
    "idx",
    "sample index",
    "sample_index",
    "sample interval",
    "sample #",
    "samp #",
    "sample number",
    "nseq",
    "seq",
    "sequence",
    "counter",
    "packet",
    "row",
    "#",
];
const MAYBE_COUNTERS: [&str; 4] = ["sample", "samples", "count", "n"];

/// A column that may say when a sample was taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeColumn {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) unit: TimeUnit,
}

/// What a number in a column of times counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TimeUnit {
    /// So many seconds.
    Seconds(f64),
    /// The column does not say.
    Unstated,
    /// Something that is no unit of time.
    Unknown(String),
}

/// A column that is not a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) index: usize,
    pub(super) name: String,
    /// The unit as the table states it; empty where it states none.
    pub(super) units: String,
    /// `None` where the unit is no voltage.
    pub(super) unit: Option<VoltageUnit>,
    pub(super) kind: LeadKind,
    /// Whether the table itself states the unit, so that the column is no counter.
    pub(super) is_stated: bool,
}

/// What all columns are.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// In the order in which they are asked: those whose unit is stated first.
    pub(super) times: Vec<TimeColumn>,
    pub(super) leads: Vec<Column>,
}

impl Columns {
    /// Tells columns by their names and units, those without by what they hold. Leads that state no unit have `unit`,
    /// or the preamble's.
    pub(super) fn of(layout: &Layout, unit: Option<VoltageUnit>) -> Self {
        let unit = unit.or(layout.facts.unit);
        let cells = (0..layout.count).map(|index| Cell::of(layout, index));
        let mut cells: Vec<Cell> = cells.collect();
        let names_of_leads = cells.iter().filter(|cell| cell.may_be_lead()).count();
        for cell in &mut cells {
            cell.settle(unit, names_of_leads);
        }
        let (mut times, mut leads) = (Vec::new(), Vec::new());
        for cell in cells {
            if let Some(unit) = cell.time {
                times.push(TimeColumn {
                    index: cell.index,
                    name: cell.name,
                    unit,
                });
                continue;
            }
            let is_stated = !cell.units.is_empty();
            let given = unit.filter(|_| !is_stated && cell.has_numbers && !cell.is_counter);
            let name = match &*cell.name {
                "" if layout.names.is_none() && layout.count == 1 => layout.facts.lead.clone(),
                "" => None,
                name => Some(name.to_owned()),
            };
            let name = name.unwrap_or_else(|| format!("lead {}", leads.len()));
            let units = given.map_or(cell.units, |unit| unit.to_string());
            let kind = if cell.is_counter {
                LeadKind::Other
            } else {
                kind_of(&name)
            };
            leads.push(Column {
                index: cell.index,
                unit: given.or(units.parse().ok()),
                name,
                units,
                kind,
                is_stated,
            });
        }
        // A time whose unit is stated goes first, one that is no unit last.
        times.sort_by_key(|time| match time.unit {
            TimeUnit::Seconds(_) => 0,
            TimeUnit::Unstated => 1,
            TimeUnit::Unknown(_) => 2,
        });
        Self { times, leads }
    }

    /// The leads that are voltages.
    pub(super) fn voltages(&self) -> impl Iterator<Item = &Column> {
        self.leads.iter().filter(|column| column.unit.is_some())
    }

    /// Their names for a message.
    pub(super) fn named(&self) -> String {
        let mut names: Vec<String> = self.leads.iter().map(|c| shown(&c.name)).take(8).collect();
        if self.leads.len() > names.len() {
            names.push(format!("and {} more", self.leads.len() - names.len()));
        }
        names.join(", ")
    }
}

/// A column on its way to be told.
struct Cell {
    index: usize,
    name: String,
    /// The unit; empty where none is stated.
    units: String,
    /// Whether the unit stands apart from the name: in brackets, behind a comma, in a line of its own.
    is_apart: bool,
    time: Option<TimeUnit>,
    is_counter: bool,
    has_numbers: bool,
}

impl Cell {
    fn of(layout: &Layout, index: usize) -> Self {
        let whole = layout.names.as_ref().map_or("", |names| &names[index]);
        let own = name_and_unit(whole);
        let line = layout.units.get(index).filter(|unit| !unit.is_empty());
        let (name, units, is_apart) = match line {
            Some(unit) => (whole, unit.as_str(), true),
            None => own,
        };
        let rows = || layout.rows.iter().filter_map(move |row| row.get(index));
        let numbers: Vec<f64> = rows()
            .filter_map(|cell| match Value::of(cell) {
                Value::Number(number) => Some(number),
                _ => None,
            })
            .collect();
        let has_form = rows().next().is_some_and(|cell| Form::of_text(cell));
        let lower = name.to_lowercase();
        let rises = counts_up(&numbers);
        let counts = COUNTER_NAMES.contains(&&*lower)
            || (MAYBE_COUNTERS.contains(&&*lower) && (rises.is_some() || numbers.len() < 8))
            || ["samples", "sample"].contains(&units);
        let interval = interval_s(units);
        // In whatever language its name is: a column in seconds that rises evenly.
        let is_elapsed = is_apart && seconds_of(units).is_some() && rises.is_some();
        let is_time = has_form || (is_time_name(name) || is_elapsed) && !counts;
        let time = if let Some(seconds) = interval {
            Some(TimeUnit::Seconds(seconds))
        } else if is_time {
            Some(match (units, seconds_of(units)) {
                ("", _) => seconds_of(name).map_or(TimeUnit::Unstated, TimeUnit::Seconds),
                (_, Some(seconds)) => TimeUnit::Seconds(seconds),
                _ if has_form => TimeUnit::Unstated,
                (other, None) => TimeUnit::Unknown(other.to_owned()),
            })
        } else if name.is_empty() && index == 0 && layout.count > 1 && rises.is_some() {
            // Nothing names it, but it rises evenly: a time, where it does not count by one.
            (rises != Some(1.0)).then_some(TimeUnit::Unstated)
        } else {
            None
        };
        Self {
            index,
            name: name.to_owned(),
            units: units.to_owned(),
            is_apart,
            time,
            is_counter: counts || (units.is_empty() && rises.is_some()),
            has_numbers: !numbers.is_empty(),
        }
    }

    fn may_be_lead(&self) -> bool {
        self.time.is_none() && !self.is_counter && self.has_numbers
    }

    /// Whether a unit that is a letter of the name is meant as one. `V` is the chest lead of MIMIC and of CinC 2014 as
    /// well: it is a volt where it names the only lead and no other unit is given.
    fn settle(&mut self, given: Option<VoltageUnit>, leads: usize) {
        let is_volt = self.units.parse() == Ok(VoltageUnit::Volt);
        if is_volt && !self.is_apart && (given.is_some() || leads > 1 || is_lead_word(&self.name)) {
            if self.name != self.units {
                self.name = format!("{} {}", self.name, self.units);
            }
            self.units.clear();
        }
        if self.is_counter {
            self.units.clear();
        }
    }
}

fn is_lead_word(name: &str) -> bool {
    ["lead", "channel", "ch", "ableitung"].contains(&&*name.to_lowercase())
}

/// Whether a name says that its column is a time.
pub(super) fn is_time_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    TIME_NAMES.contains(&&*lower) || TIME_PARTS.iter().any(|part| lower.contains(part))
}

/// The step of a column that counts up, from row to row or over and over again (packets of 256); `None` where it does not.
fn counts_up(numbers: &[f64]) -> Option<f64> {
    const LEAST_ROWS: usize = 8;
    if numbers.len() < LEAST_ROWS {
        return None;
    }
    let step = numbers[1] - numbers[0];
    let steps = numbers.windows(2).map(|pair| pair[1] - pair[0]);
    let near = |found: f64| (found - step).abs() <= 0.26 * step;
    let (mut up, mut down) = (0, 0);
    for found in steps {
        match near(found) {
            true => up += 1,
            false if found < 0.0 => down += 1,
            false => return None,
        }
    }
    (step > 0.0 && up >= 7 * down.max(1)).then_some(step)
}

/// `II (mV)`, `II [mV]`, `ECG, mV`, `ECG/mV`, `ecg_mv`, `ecg mV`, `time in s` and `mV` as name and unit, and whether the
/// unit stands apart; the unit is empty where there is none.
fn name_and_unit(cell: &str) -> (&str, &str, bool) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((name, unit)) = cell.strip_suffix(close).and_then(|c| c.rsplit_once(open)) {
            return (
                name.trim_end_matches([' ', '_', '/']).trim(),
                unit.trim(),
                true,
            );
        }
    }
    let is_unit = |unit: &str| unit.parse::<VoltageUnit>().is_ok() || seconds_of(unit).is_some();
    if cell.parse::<VoltageUnit>().is_ok() {
        return (cell, cell, false);
    }
    for (between, is_apart) in [
        (',', true),
        ('/', true),
        (' ', false),
        ('_', false),
        ('.', false),
    ] {
        if let Some((name, unit)) = cell.rsplit_once(between)
            && !name.trim().is_empty()
            && is_unit(unit.trim())
        {
            let name = name.trim();
            return (
                name.strip_suffix(" in").unwrap_or(name),
                unit.trim(),
                is_apart,
            );
        }
    }
    // Shimmer's and others' names have the unit inside.
    let inside = cell
        .split(['_', ' '])
        .find(|part| part.len() > 1 && part.parse::<VoltageUnit>().is_ok());
    (cell, inside.unwrap_or(""), false)
}

/// Seconds of a unit of time.
pub(super) fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit.to_lowercase().as_str() {
        "s" | "sec" | "sec." | "secs" | "second" | "seconds" | "sekunden" | "sek" | "с" | "сек"
        | "秒" => 1.0,
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" | "мс" | "毫秒"
        | "ミリ秒" => 1e-3,
        "us" | "мкс" | "\u{b5}s" | "\u{3bc}s" | "usec" | "micros" | "microsecond"
        | "microseconds" => 1e-6,
        "ns" | "nsec" | "nanos" | "nanosecond" | "nanoseconds" => 1e-9,
        "min" | "mins" | "minute" | "minutes" | "minuten" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" | "stunden" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

impl Layout {
    /// The line's cells, split as the table's are.
    pub(super) fn split(&self, line: &str, cells: &mut Vec<std::ops::Range<usize>>) {
        self.delimiter.split(line, cells);
        // What follows the last column is empty, or found to be too much.
        while cells.len() > self.count && cells.last().is_some_and(|cell| cell.is_empty()) {
            cells.pop();
        }
        if self.delimiter == Delimiter::Spaces && cells.is_empty() {
            cells.push(0..0);
        }
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
            ("t[s]", ("t", "s")),
            ("ECG, mV", ("ECG", "mV")),
            ("Time, s", ("Time", "s")),
            ("ECG/mV", ("ECG", "mV")),
            ("time in ms", ("time", "ms")),
            ("ecg_mv", ("ecg", "mv")),
            ("ecg V", ("ecg", "V")),
            ("ecg.mV", ("ecg", "mV")),
            ("ECG millivolts", ("ECG", "millivolts")),
            ("mV", ("mV", "mV")),
            ("time_ms", ("time", "ms")),
            ("MLII", ("MLII", "")),
            ("resp (l/min)", ("resp", "l/min")),
            ("a_b", ("a_b", "")),
            ("", ("", "")),
        ] {
            let (name, unit, _) = name_and_unit(cell);
            assert_eq!((name, unit), expected, "{cell}");
        }
    }

    #[test]
    fn names_of_times() {
        for name in [
            "Time",
            "timestamp",
            "Elapsed time",
            "Zeit",
            "msec",
            "unix_time",
            "T",
            "DateTime",
            "Phone timestamp",
            "Shimmer_AA01_Timestamp_Unix_CAL",
        ] {
            assert!(is_time_name(name), "{name}");
        }
        for name in ["II", "ecg", "V5", "st", "sample", ""] {
            assert!(!is_time_name(name), "{name}");
        }
    }

    #[test]
    fn counters_are_told_by_what_they_hold() {
        let rows = |row: fn(u32) -> f64| (0..600).map(row).collect::<Vec<f64>>();
        assert_eq!(counts_up(&rows(f64::from)), Some(1.0));
        assert_eq!(counts_up(&rows(|k| f64::from(k % 256))), Some(1.0));
        assert_eq!(counts_up(&rows(|k| f64::from(k % 16))), Some(1.0));
        assert_eq!(counts_up(&rows(|k| 4.0 * f64::from(k))), Some(4.0));
        assert_eq!(counts_up(&rows(|_| 7.0)), None);
        assert_eq!(counts_up(&rows(|k| f64::from(k % 3))), None);
        assert_eq!(counts_up(&rows(|k| (f64::from(k) / 20.0).sin())), None);
    }
}
