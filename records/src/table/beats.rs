//! Beat times and RR intervals as text.

use super::lines::Lines;
use crate::annotation::Code;
use crate::beats::{BeatColumn, BeatFault, ListedBeat};
use crate::kind::kind_of;
use crate::{LeadKind, Patient, RecordError, Warning, shown};
use std::path::Path;

/// The rate that samples of a table count at, in Hz: they are milliseconds.
pub(crate) const RATE_HZ: f64 = 1000.0;

/// Names of columns of RR intervals, without unit and signs.
const INTERVALS: [&str; 9] = [
    "rr",
    "rri",
    "rrinterval",
    "rrintervals",
    "ibi",
    "nn",
    "nni",
    "nninterval",
    "interbeatinterval",
];
/// Units that such a name may end with.
const UNITS: [&str; 6] = ["milliseconds", "seconds", "msec", "sec", "ms", "s"];
/// Names of columns that say what a beat is.
const LABELS: [&str; 7] = [
    "beattype",
    "beat",
    "type",
    "class",
    "label",
    "annotation",
    "symbol",
];

/// Names of a table's only column where it holds beat times, without unit and signs.
const TIMES: [&str; 10] = [
    "time",
    "times",
    "timesecond",
    "beat",
    "beats",
    "beattime",
    "beattimes",
    "peak",
    "peaks",
    "rpeaks",
];
/// Parts of the names of columns that hold no signal.
const BESIDE: [&str; 14] = [
    "time", "date", "quality", "rhythm", "label", "note", "comment", "channel", "sub", "num", "hr",
    "rate", "index", "sample",
];

/// What a text holds.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) beats: Vec<ListedBeat>,
    pub(crate) patient: Patient,
    pub(crate) warnings: Vec<Warning>,
}

impl Read {
    fn of(beats: Vec<ListedBeat>) -> Self {
        Self {
            beats,
            ..Self::default()
        }
    }
}

/// A value of the column, and what else its row says.
struct Row {
    line: u64,
    value: f64,
    code: Option<Code>,
}

/// Which cells of a row are read.
struct Columns {
    kind: BeatColumn,
    value: usize,
    label: Option<usize>,
    /// Says whether the beat cannot be relied on.
    bad: Option<usize>,
}

/// Reads a table. `None` where its names of columns do not say that it is one of beats, and nobody else does.
pub(crate) fn read(path: &Path, column: Option<BeatColumn>) -> Result<Option<Read>, RecordError> {
    let mut lines = Lines::begin(path)?;
    let mut columns = None;
    let mut rows = Vec::new();
    while lines.next()? {
        let text = lines.text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let cells = cells(text);
        let columns = match &columns {
            Some(columns) => columns,
            None => {
                let is_named = !cells
                    .iter()
                    .all(|cell| cell.is_empty() || number(cell).is_some());
                let names: Vec<&str> = if is_named { cells.clone() } else { Vec::new() };
                let Some(found) = Columns::of(&names, column)
                    .map_err(|cause| fault(path, lines.place.1, cause))?
                else {
                    return Ok(None);
                };
                let found = &*columns.insert(found);
                if is_named {
                    continue;
                }
                found
            }
        };
        rows.push(
            columns
                .row(&cells, lines.place.1)
                .map_err(|cause| fault(path, lines.place.1, cause))?,
        );
    }
    let Some(columns) = columns else {
        return Ok(None);
    };
    if columns.kind == BeatColumn::Times {
        // A beat that is listed twice is one.
        rows.dedup_by(|row, before| row.value == before.value);
    }
    beats(path, columns.kind, &rows).map(|beats| Some(Read::of(beats)))
}

/// Reads a file of Polar's heart rate monitors.
pub(crate) fn read_hrm(path: &Path) -> Result<Read, RecordError> {
    let mut lines = Lines::begin(path)?;
    let mut section = String::new();
    let mut rows = Vec::new();
    while lines.next()? {
        let (line, text) = (lines.place.1, lines.text.trim());
        if text.starts_with('[') {
            section = text.to_ascii_lowercase();
        } else if let Some(interval) = text.strip_prefix("Interval=")
            && section == "[params]"
            && interval.trim() != "238"
        {
            let interval = shown(interval);
            return Err(fault(path, line, BeatFault::RateOnly { interval }));
        } else if section == "[hrdata]" && !text.is_empty() {
            let cell = cells(text).first().copied().unwrap_or_default();
            let value = value(cell).map_err(|cause| fault(path, line, cause))?;
            rows.push(Row {
                line,
                value,
                code: None,
            });
        }
    }
    beats(path, BeatColumn::Intervals, &rows).map(Read::of)
}

/// The beats of intervals in s.
pub(crate) fn of_intervals(
    path: &Path,
    intervals_s: &[f64],
) -> Result<Vec<ListedBeat>, RecordError> {
    let row = |value: &f64| Row {
        line: 0,
        value: *value,
        code: None,
    };
    let rows: Vec<Row> = intervals_s.iter().map(row).collect();
    beats(path, BeatColumn::Intervals, &rows)
}

pub(crate) fn fault(path: &Path, line: u64, cause: BeatFault) -> RecordError {
    RecordError::Beats {
        path: path.to_owned(),
        line: (line > 0).then_some(line),
        cause,
    }
}

/// The cells of a line: between semicolons, tabs or commas, whichever there are, or else between spaces.
fn cells(text: &str) -> Vec<&str> {
    let separator = [';', '\t', ','].into_iter().find(|c| text.contains(*c));
    let cells: Vec<&str> = match separator {
        Some(separator) => text.split(separator).collect(),
        None if text.split_whitespace().all(|cell| number(cell).is_some()) => {
            text.split_whitespace().collect()
        }
        // A name of one column may have spaces.
        None => vec![text],
    };
    cells
        .into_iter()
        .map(|cell| cell.trim().trim_matches('"').trim())
        .collect()
}

/// A number, with a decimal point or a comma.
fn number(cell: &str) -> Option<f64> {
    let number: f64 = cell.replace(',', ".").parse().ok()?;
    number.is_finite().then_some(number)
}

fn value(cell: &str) -> Result<f64, BeatFault> {
    number(cell).ok_or(BeatFault::Cell {
        found: shown(cell),
        expected: "a number, the time of a beat or an interval",
    })
}

/// A name's letters and digits.
fn bare(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a name is one of these, with a unit at its end or without.
fn is_one_of(name: &str, known: &[&str]) -> bool {
    let bare = bare(name);
    let without = UNITS.iter().find_map(|unit| {
        let rest = bare.strip_suffix(unit)?;
        Some(rest.strip_suffix("in").unwrap_or(rest))
    });
    let is = |name: &str| known.contains(&name);
    is(&bare) || without.is_some_and(is)
}

fn is_intervals(name: &str) -> bool {
    is_one_of(name, &INTERVALS)
}

fn is_times(name: &str) -> bool {
    let bare = bare(name);
    ["t", "ts", "tms"].contains(&&*bare)
        || ["time", "peak", "second"]
            .iter()
            .any(|part| bare.contains(part))
}

impl Columns {
    /// Finds them by their names, of which there are none where the table has no line of names.
    fn of(names: &[&str], column: Option<BeatColumn>) -> Result<Option<Self>, BeatFault> {
        let place = |is: &dyn Fn(&str) -> bool| names.iter().position(|name| is(name));
        let label = place(&|name| LABELS.contains(&&*bare(name)));
        let bad = place(&|name| {
            bare(name).contains("badsignalquality") && !bare(name).ends_with("label")
        });
        let intervals = place(&is_intervals);
        let times = place(&|name| is_times(name) && !LABELS.contains(&&*bare(name)));
        let alone = (names.len() <= 1).then_some(0);
        // A column that may be a lead makes the table one of samples, unless somebody says what it is.
        let is_beside = |name: &&str| {
            let bare = bare(name);
            is_intervals(name)
                || LABELS.contains(&&*bare)
                || BESIDE.iter().any(|part| bare.contains(part))
        };
        let has_signal = names.len() > 1 && !names.iter().all(is_beside)
            || names.iter().any(|name| kind_of(name) == LeadKind::Ecg);
        let found = match column {
            Some(BeatColumn::Intervals) => Some((BeatColumn::Intervals, intervals.or(alone))),
            Some(BeatColumn::Times) => Some((BeatColumn::Times, times.or(alone))),
            None if has_signal || names.is_empty() => None,
            None if intervals.is_some() => Some((BeatColumn::Intervals, intervals)),
            None if names.len() == 1 && is_one_of(names[0], &TIMES) => {
                Some((BeatColumn::Times, alone))
            }
            None if names.len() > 1 && times.is_some() && label.is_some() => {
                Some((BeatColumn::Times, times))
            }
            None => None,
        };
        match found {
            None => Ok(None),
            Some((kind, Some(value))) => Ok(Some(Self {
                kind,
                value,
                label,
                bad,
            })),
            Some((kind, None)) => Err(BeatFault::Column {
                found: shown(&names.join(", ")),
                expected: match kind {
                    BeatColumn::Times => "`time`, `t` or `peak`",
                    BeatColumn::Intervals => "`rr`, `rri`, `ibi` or `nn`",
                },
            }),
        }
    }

    fn row(&self, cells: &[&str], line: u64) -> Result<Row, BeatFault> {
        let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
        let is_bad = self.bad.is_some_and(|place| {
            matches!(
                cell(place).to_ascii_lowercase().as_str(),
                "true" | "1" | "yes"
            )
        });
        let code = |place: usize| {
            let known = Code::from_mnemonic(cell(place)).filter(|code| code.is_beat() && !is_bad);
            // A label that means nothing to us, as `U`: the beat is there, and what it is, is not known.
            known.unwrap_or(Code::UNCLASSIFIABLE)
        };
        Ok(Row {
            line,
            value: value(cell(self.value))?,
            code: self.label.map(code),
        })
    }
}

/// The latest beat that is believed, in s: a hundred years. What comes of a list takes time and memory by how long it lasted.
const LATEST_S: f64 = 3.2e9;

/// The beats of the rows.
fn beats(path: &Path, kind: BeatColumn, rows: &[Row]) -> Result<Vec<ListedBeat>, RecordError> {
    let found = rows.len() + usize::from(kind == BeatColumn::Intervals && !rows.is_empty());
    if found < 2 {
        return Err(fault(path, 0, BeatFault::TooFew { found }));
    }
    let mut intervals: Vec<f64> = match kind {
        BeatColumn::Intervals => rows.iter().map(|row| row.value).collect(),
        BeatColumn::Times => rows
            .windows(2)
            .map(|pair| pair[1].value - pair[0].value)
            .collect(),
    };
    let behind = match kind {
        BeatColumn::Intervals => rows,
        BeatColumn::Times => &rows[1..],
    };
    if let Some((row, interval)) = behind.iter().zip(&intervals).find(|(_, rr)| **rr <= 0.0) {
        let cause = match kind {
            BeatColumn::Intervals => BeatFault::Cell {
                found: interval.to_string(),
                expected: "an interval above 0",
            },
            BeatColumn::Times => BeatFault::Backwards {
                found: row.value.to_string(),
                previous: (row.value - interval).to_string(),
            },
        };
        return Err(fault(path, row.line, cause));
    }
    let middle = intervals.len() / 2;
    let (_, median, _) = intervals.select_nth_unstable_by(middle, f64::total_cmp);
    let unit_s = match *median {
        0.2..=3.0 => 1.0,
        200.0..=3000.0 => 1e-3,
        other => {
            let median = other.to_string();
            return Err(fault(path, 0, BeatFault::Unit { median }));
        }
    };
    let mut at_s = 0.0;
    for row in rows {
        at_s = match kind {
            BeatColumn::Times => row.value * unit_s,
            BeatColumn::Intervals => at_s + row.value * unit_s,
        };
        if at_s.abs() > LATEST_S {
            let cause = BeatFault::Cell {
                found: row.value.to_string(),
                expected: "beats within a hundred years",
            };
            return Err(fault(path, row.line, cause));
        }
    }
    let beat = |time_s: f64, rr_ms: Option<f64>, code| ListedBeat {
        sample: (time_s.max(0.0) * RATE_HZ).round() as u64,
        time_s,
        rr_ms,
        code,
    };
    Ok(match kind {
        BeatColumn::Times => {
            let mut before = None;
            let beat = |row: &Row| {
                let time_s = row.value * unit_s;
                let rr_ms = before
                    .replace(time_s)
                    .map(|before: f64| (time_s - before) * 1000.0);
                beat(time_s, rr_ms, row.code)
            };
            rows.iter().map(beat).collect()
        }
        BeatColumn::Intervals => {
            // What the first beat is, no row says.
            let first = rows[0].code.map(|_| Code::UNCLASSIFIABLE);
            let mut time_s = 0.0;
            let later = rows.iter().map(|row| {
                time_s += row.value * unit_s;
                beat(time_s, Some(row.value * unit_s * 1000.0), row.code)
            });
            std::iter::once(beat(0.0, None, first))
                .chain(later)
                .collect()
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::annotation::{Annotation, Annotations, Code};
    use crate::beats::{BeatColumn, BeatList, BeatOptions};
    use std::path::Path;

    fn list(
        folder: &Path,
        name: &str,
        text: &str,
        column: Option<BeatColumn>,
    ) -> Result<Option<BeatList>, String> {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let options = BeatOptions::new("atr").with_column(column);
        BeatList::open(path, &options).map_err(|e| e.to_string())
    }

    /// Times in seconds, rounded to 1 ms, and the codes.
    fn seen(list: &BeatList) -> (Vec<f64>, String) {
        let times = list
            .beats
            .iter()
            .map(|b| (b.time_s * 1000.0).round() / 1000.0);
        let codes = list
            .beats
            .iter()
            .map(|b| b.code.map_or("-", Code::mnemonic));
        (times.collect(), codes.collect())
    }

    #[test]
    fn lists_of_every_kind_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (times, intervals) = (Some(BeatColumn::Times), Some(BeatColumn::Intervals));
        let vitaldb = "\u{feff}time_second,beat_type,rhythm_label,bad_signal_quality,bad_signal_quality_label\n\
                       10.5,N,N,False,\n11.25,V,N,False,\n12.5,U,N,False,\n13.5,N,N,True,noise\n";
        for (name, text, column, expected, codes) in [
            (
                "a.csv",
                vitaldb,
                None,
                vec![10.5, 11.25, 12.5, 13.5],
                "NVQQ",
            ),
            (
                "b.csv",
                "RR-interval [ms]\n800\n750\n",
                None,
                vec![0.0, 0.8, 1.55],
                "---",
            ),
            (
                "c.csv",
                "time;rr\n9:00:01;0,8\n9:00:02;0,75\n",
                None,
                vec![0.0, 0.8, 1.55],
                "---",
            ),
            (
                "d.txt",
                "812\n790\n",
                intervals,
                vec![0.0, 0.812, 1.602],
                "---",
            ),
            (
                "e.txt",
                "100.5\n101.25\n102\n",
                times,
                vec![100.5, 101.25, 102.0],
                "---",
            ),
            (
                "f.csv",
                "peak_ms\n500\n500\n1400\n",
                None,
                vec![0.5, 1.4],
                "--",
            ),
            (
                "g.tsv",
                "ibi\ttype\n0.8\tN\n0.5\tS\n",
                None,
                vec![0.0, 0.8, 1.3],
                "QNS",
            ),
            (
                "h.hrm",
                "[Params]\nVersion=106\nInterval=238\n\n[HRData]\n800\n750\n",
                None,
                vec![0.0, 0.8, 1.55],
                "---",
            ),
        ] {
            let list = list(folder.path(), name, text, column).unwrap().unwrap();
            assert_eq!(seen(&list), (expected, codes.to_owned()), "{name}");
            assert_eq!(list.labelled, !codes.contains('-'), "{name}");
            assert_eq!(list.beats[0].rr_ms, None);
            let [before, beat] = &list.beats[..2] else {
                panic!()
            };
            let rr_ms = (beat.time_s - before.time_s) * 1000.0;
            assert!((beat.rr_ms.unwrap() - rr_ms).abs() < 1e-6, "{name}");
            assert_eq!(beat.sample, (beat.time_s * 1000.0).round() as u64);
        }
    }

    #[test]
    fn what_may_be_a_signal_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "512\n513\n514\n",
            "time,ECG,rr\n0.0,1.5,800\n0.004,1.6,800\n",
            "time,MLII\n0,1\n",
            "time,value\n0.5,800\n",
            "time,value,label\n0.5,800,N\n",
            "time,value,rr\n0.5,800,700\n",
            "Start time: 2026-11-26 10:00\n0.5\n0.6\n",
            "",
        ] {
            assert_eq!(list(folder.path(), "x.csv", text, None), Ok(None), "{text}");
        }
    }

    #[test]
    fn faults_name_line_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, words) in [
            (
                "a.csv",
                "rr\n800\nx\n",
                "a.csv: line 3: found `x`, expected a number",
            ),
            (
                "b.csv",
                "rr\n800\n-5\n",
                "line 3: found `-5`, expected an interval above 0",
            ),
            // Found by fuzzing: an interval that no recording has.
            (
                "absurd.csv",
                "rr\n800\n1e30\n750\n",
                "line 3: found `1000000000000000000000000000000`, expected beats within a hundred years",
            ),
            (
                "c.csv",
                "time,beat\n2,N\n1,N\n",
                "line 3: found a beat at 1, expected one later than 2",
            ),
            (
                "d.csv",
                "rr\n70\n71\n72\n",
                "the median interval is 71, expected 0.2 to 3",
            ),
            ("e.csv", "time,beat\n2,N\n", "found 1 beat(s), expected 2"),
            (
                "f.hrm",
                "[Params]\nInterval=5\n[HRData]\n70\n",
                "the heart rate every 5 s",
            ),
        ] {
            let found = list(folder.path(), name, text, None).unwrap_err();
            assert!(found.contains(words), "{found}");
        }
        let named = list(
            folder.path(),
            "g.csv",
            "a,b\n1,2\n",
            Some(BeatColumn::Intervals),
        );
        let words = "found the columns a, b, expected one of `rr`";
        assert!(
            named.as_ref().is_err_and(|e| e.contains(words)),
            "{named:?}"
        );
    }

    #[test]
    fn annotations_without_signal_are_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let at = |sample, code| Annotation::new(sample, code);
        let list = vec![
            Annotation::rhythm_change(5, "(N"),
            at(128, Code::NORMAL),
            at(256, Code::VENTRICULAR_PREMATURE),
            at(400, Code::NORMAL),
        ];
        let annotations = Annotations { list };
        for (name, header) in [
            ("r", "r 0 128 0\n# Age: 64 Sex: F\n"),
            ("s", "s 1 128 12800\ns.dat 212 200\n"),
        ] {
            std::fs::write(file(name).with_extension("hea"), header).unwrap();
            annotations.write(file(name).with_extension("atr")).unwrap();
        }
        let open = |name: &str| BeatList::open(file(name), &BeatOptions::new("atr")).unwrap();
        let bare = open("r").unwrap();
        assert_eq!(seen(&bare), (vec![1.0, 2.0, 3.125], "NVN".to_owned()));
        assert_eq!(
            (bare.duration_s, bare.patient.age_years),
            (3.125, Some(64.0))
        );
        assert_eq!(bare.annotation_preamble(), None);
        assert_eq!(open("s").unwrap().duration_s, 100.0);
        // With its signal, it is a record like any other.
        std::fs::write(file("s.dat"), [0; 64]).unwrap();
        assert_eq!(open("s"), None);
        let gone = BeatList::open(file("r"), &BeatOptions::new("ecg"))
            .unwrap_err()
            .to_string();
        assert!(gone.contains("r.ecg"), "{gone}");
    }
}
