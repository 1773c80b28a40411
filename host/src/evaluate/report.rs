//! The figures of a [`Tally`]: as JSON for programs, as tables for people.
//!
//! # JSON
//! [`Report`] serialises to one object. A rate is 0 to 1, and `null` where it is undefined. Its keys are:
//!
//! - `records`, `beats`: how many; a beat here is one of the reference that was compared, found or not.
//! - `peaks`, `runtime`, `mapping`: how the beats were found and named, and which code of an annotation is which class.
//! - `from_s`: where the comparison starts.
//! - `qrs`: detection. With reference peaks nothing was detected: counts of 0, rates `null`.
//! - `labels`, `confusion`: rows are the reference, columns the prediction, both in the order of `labels`.
//! - `classes`, `accuracy`, `macro_f1`, `macro_f1_nsv`, `kappa`, `jk`: from `confusion` alone
//!   ([`super::ec57::Confusion`] says how, and where they are undefined).
//! - `excluded`: beats that are in no cell of `confusion`, by the reason.
//! - `ec57`: ventricular and supraventricular ectopic beats as `bxb` counts them, missed and extra beats included, and
//!   the whole table (reference N S V F Q O X by test).
//! - `average`: EC57's average line, the mean over the records of each record's rate where it is defined.
//! - `episodes`: atrial fibrillation (`af`) as `epicmp` counts it, of the records whose reference names a rhythm, and runs
//!   of V and S (`v_runs`, `s_runs`) as `rxr` counts them: `tps` and `fn` of the reference's, `tpp` and `fp` of the
//!   test's.
//! - `certainty`: of beats that have one of the four classes in reference and test, how far the test's probabilities can be
//!   believed ([`CertaintyFigures`]); `null` where the test has none.
//! - `intervals`: bootstrap over patients.
//! - `per_record`: the same for every record.

use super::bootstrap::{Bootstrap, Interval};
use super::bxb::{Label, Table};
use super::certainty::CertaintyFigures;
use super::ec57::{ClassRates, Confusion, Ectopic, Excluded, Qrs};
use super::episodes::{EpisodeRates, Episodes};
use super::mapping::{Codes, Mapping};
use super::tally::{Counts, Tally, patient_of};
use heartlens_core::spec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where the judged beats come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peaks {
    /// Found by the detector.
    Detected,
    /// Given by the reference annotations.
    Reference,
    /// Those of another annotation file.
    Annotated,
}

/// How the tally came about, and how to report it.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Where the beats come from.
    pub peaks: Peaks,
    /// What ran the network.
    pub runtime: String,
    /// Which code of the reference is which class.
    pub mapping: Mapping,
    /// Start of the comparison in each record, in seconds.
    pub from_s: f64,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
}

/// The figures, see the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Records compared.
    pub records: usize,
    /// Reference beats compared, of all five classes, found or not.
    pub beats: u64,
    /// Where the test's beats come from.
    pub peaks: Peaks,
    /// What ran the network.
    pub runtime: String,
    /// Codes of each class.
    pub mapping: Codes,
    /// Start of the comparison in each record, in seconds.
    pub from_s: f64,
    /// Detection, over all records.
    pub qrs: Qrs,
    /// Names of the rows and columns of `confusion`.
    pub labels: [&'static str; spec::LABELS.len()],
    /// Reference by prediction.
    pub confusion: Confusion,
    /// Rates of each class.
    pub classes: Classes,
    /// Share of beats in the right class.
    pub accuracy: Option<f64>,
    /// Mean F1 of N, S, V and F.
    pub macro_f1: Option<f64>,
    /// Mean F1 of N, S and V.
    pub macro_f1_nsv: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// kappa / 2 + (Se_S + Se_V + +P_S + +P_V) / 8.
    pub jk: Option<f64>,
    /// Beats that are in no cell of `confusion`.
    pub excluded: Outside,
    /// Ectopic beats as `bxb` counts them, over all records (EC57: gross).
    pub ec57: Gross,
    /// Episodes and runs, over all records (EC57: gross).
    pub episodes: EpisodeRates,
    /// Means over the records (EC57: average).
    pub average: Average,
    /// How far the test's probabilities can be believed; `None` where it has none.
    pub certainty: Option<CertaintyFigures>,
    /// Bootstrap over patients.
    pub intervals: Intervals,
    /// Every record alone.
    pub per_record: Vec<Record>,
}

/// Rates of the four classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Classes {
    /// Normal.
    pub n: ClassRates,
    /// Supraventricular ectopic.
    pub s: ClassRates,
    /// Ventricular ectopic.
    pub v: ClassRates,
    /// Fusion.
    pub f: ClassRates,
}

impl Classes {
    fn of(confusion: &Confusion) -> Self {
        let [n, s, v, f] = std::array::from_fn(|class| confusion.class(class));
        Self { n, s, v, f }
    }
}

/// Beats that are in no cell of the confusion, by the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// Unnamed, missed and extra beats.
    #[serde(flatten)]
    pub beats: Excluded,
    /// Test beats inside flutter or fibrillation of the reference, which EC57 does not count.
    pub in_flutter: u64,
}

impl Outside {
    fn of(counts: &Counts) -> Self {
        Self {
            beats: counts.table.excluded(),
            in_flutter: counts.in_flutter,
        }
    }
}

/// Ectopic beats over all records, and the table behind everything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gross {
    /// Ventricular ectopic beats.
    pub veb: Ectopic,
    /// Supraventricular ectopic beats.
    pub sveb: Ectopic,
    /// Rows N S V F Q O X of the reference, columns n s v f q o x of the test.
    pub table: [[u64; Label::COUNT]; Label::COUNT],
}

/// Mean over the records of each rate where it is defined, as WFDB's `sumstats` forms it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Average {
    /// Detection.
    pub qrs: MeanRates,
    /// Ventricular ectopic beats.
    pub veb: MeanRates,
    /// Supraventricular ectopic beats.
    pub sveb: MeanRates,
}

/// Means over records, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanRates {
    /// Sensitivity.
    pub se: Option<f64>,
    /// Positive predictivity.
    pub ppv: Option<f64>,
    /// False positive rate, of ectopic beats alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fpr: Option<f64>,
}

/// Intervals of the headline figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// What is drawn: patients.
    pub unit: &'static str,
    /// How many there are.
    pub patients: usize,
    /// How often as many were drawn, with replacement.
    pub resamples: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Share of the resamples inside an interval.
    pub level: f64,
    /// By the figure's name, a path of keys such as `classes.S.se`.
    pub figures: BTreeMap<&'static str, Interval>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The record's name.
    pub record: String,
    /// The patient's, by the name of his first record.
    pub patient: String,
    /// Reference beats compared.
    pub beats: u64,
    /// Detection.
    pub qrs: Qrs,
    /// Ventricular ectopic beats as `bxb` counts them.
    pub veb: Ectopic,
    /// Supraventricular ectopic beats as `bxb` counts them.
    pub sveb: Ectopic,
    /// Reference by prediction.
    pub confusion: Confusion,
    /// Rates of each class.
    pub classes: Classes,
    /// Share of beats in the right class.
    pub accuracy: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// Beats that are in no cell of `confusion`.
    pub excluded: Outside,
    /// Episodes and runs.
    pub episodes: EpisodeRates,
}

const FIGURES: usize = 24;

/// Names of the figures that get an interval, in the order of [`figures`].
const FIGURE_NAMES: [&str; FIGURES] = [
    "qrs.se",
    "qrs.ppv",
    "qrs.f1",
    "ec57.veb.se",
    "ec57.veb.ppv",
    "ec57.sveb.se",
    "ec57.sveb.ppv",
    "accuracy",
    "macro_f1",
    "macro_f1_nsv",
    "kappa",
    "jk",
    "classes.N.se",
    "classes.N.ppv",
    "classes.N.f1",
    "classes.S.se",
    "classes.S.ppv",
    "classes.S.f1",
    "classes.V.se",
    "classes.V.ppv",
    "classes.V.f1",
    "classes.F.se",
    "classes.F.ppv",
    "classes.F.f1",
];

fn figures(table: &Table, peaks: Peaks) -> [Option<f64>; FIGURES] {
    let qrs = qrs(table, peaks);
    let (veb, sveb, confusion) = (table.veb(), table.sveb(), table.confusion());
    let Classes { n, s, v, f } = Classes::of(&confusion);
    [
        qrs.se,
        qrs.ppv,
        qrs.f1,
        veb.se,
        veb.ppv,
        sveb.se,
        sveb.ppv,
        confusion.accuracy(),
        confusion.macro_f1(),
        confusion.macro_f1_nsv(),
        confusion.kappa(),
        confusion.jk(),
        n.se,
        n.ppv,
        n.f1,
        s.se,
        s.ppv,
        s.f1,
        v.se,
        v.ppv,
        v.f1,
        f.se,
        f.ppv,
        f.f1,
    ]
}

fn qrs(table: &Table, peaks: Peaks) -> Qrs {
    match peaks {
        Peaks::Detected | Peaks::Annotated => table.qrs(),
        Peaks::Reference => Qrs::untested(),
    }
}

/// Mean of the values that are defined.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let defined: Vec<f64> = values.flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

impl Average {
    fn of(records: &[Record]) -> Self {
        let rates = |rate: fn(&Record) -> Option<f64>| mean(records.iter().map(rate));
        Self {
            qrs: MeanRates {
                se: rates(|r| r.qrs.se),
                ppv: rates(|r| r.qrs.ppv),
                fpr: None,
            },
            veb: MeanRates {
                se: rates(|r| r.veb.se),
                ppv: rates(|r| r.veb.ppv),
                fpr: rates(|r| r.veb.fpr),
            },
            sveb: MeanRates {
                se: rates(|r| r.sveb.se),
                ppv: rates(|r| r.sveb.ppv),
                fpr: rates(|r| r.sveb.fpr),
            },
        }
    }
}

impl Record {
    fn of(name: &str, counts: &Counts, peaks: Peaks) -> Self {
        let table = &counts.table;
        let confusion = table.confusion();
        Self {
            record: name.to_owned(),
            patient: patient_of(name),
            beats: table.reference_beats(),
            qrs: qrs(table, peaks),
            veb: table.veb(),
            sveb: table.sveb(),
            confusion,
            classes: Classes::of(&confusion),
            accuracy: confusion.accuracy(),
            kappa: confusion.kappa(),
            excluded: Outside::of(counts),
            episodes: counts.episodes.rates(),
        }
    }
}

impl Tally {
    /// The figures of all records together and of each.
    pub fn report(&self, setting: &Setting) -> Report {
        let peaks = setting.peaks;
        let gross = self.gross();
        let table = &gross.table;
        let confusion = table.confusion();
        let per_record: Vec<Record> = self
            .records()
            .map(|(name, counts)| Record::of(name, counts, peaks))
            .collect();
        let patients: Vec<Table> = self.patients().into_values().collect();
        let intervals = setting
            .bootstrap
            .intervals(&patients, |table| figures(table, peaks));
        Report {
            records: per_record.len(),
            beats: table.reference_beats(),
            peaks,
            runtime: setting.runtime.clone(),
            mapping: setting.mapping.codes(),
            from_s: setting.from_s,
            qrs: qrs(table, peaks),
            labels: spec::LABELS,
            confusion,
            classes: Classes::of(&confusion),
            accuracy: confusion.accuracy(),
            macro_f1: confusion.macro_f1(),
            macro_f1_nsv: confusion.macro_f1_nsv(),
            kappa: confusion.kappa(),
            jk: confusion.jk(),
            excluded: Outside::of(&gross),
            ec57: Gross {
                veb: table.veb(),
                sveb: table.sveb(),
                table: *table.rows(),
            },
            episodes: gross.episodes.rates(),
            average: Average::of(&per_record),
            intervals: Intervals {
                unit: "patient",
                patients: patients.len(),
                resamples: setting.bootstrap.resamples,
                seed: setting.bootstrap.seed,
                level: 0.95,
                figures: FIGURE_NAMES.into_iter().zip(intervals).collect(),
            },
            certainty: gross.certainty.figures(),
            per_record,
        }
    }
}

/// A rate in percent, right-aligned in `width`; `-` where it is undefined.
struct Percent(Option<f64>);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => f.pad_integral(true, "", &format!("{:.2}", 100.0 * rate)),
            None => f.pad_integral(true, "", "-"),
        }
    }
}

/// The rates of one line of the records' table, in the order of its columns.
fn line(qrs: &Qrs, veb: &Ectopic, sveb: &Ectopic, accuracy: Option<f64>) -> [Option<f64>; 9] {
    [
        qrs.se, qrs.ppv, veb.se, veb.ppv, veb.fpr, sveb.se, sveb.ppv, sveb.fpr, accuracy,
    ]
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    width: usize,
    name: &str,
    beats: &[String; 3],
    rates: [Option<f64>; 9],
) -> fmt::Result {
    write!(f, "{name:width$}")?;
    for count in beats {
        write!(f, " {count:>7}")?;
    }
    for rate in rates {
        write!(f, " {:>8}", Percent(rate))?;
    }
    writeln!(f)
}

impl fmt::Display for Report {
    /// Tables for people: a line a record with EC57's gross and average lines, the confusion, and the figures with
    /// their intervals. Rates in percent; kappa and jk are no rates and stay fractions of 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_records(f)?;
        writeln!(f)?;
        self.write_confusion(f)?;
        writeln!(f)?;
        if self.episodes != Episodes::default().rates() {
            writeln!(f, "{}", self.episodes)?;
        }
        self.write_figures(f)
    }
}

impl Report {
    fn write_records(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.per_record.iter().map(|r| r.record.len());
        let width = names.max().unwrap_or(0).max("Average".len());
        write!(f, "{:width$}", "Record")?;
        for head in ["beats", "missed", "extra"] {
            write!(f, " {head:>7}")?;
        }
        for head in [
            "QRS Se", "QRS +P", "VEB Se", "VEB +P", "VEB FPR", "SVEB Se", "SVEB +P", "SVEB FPR",
            "accuracy",
        ] {
            write!(f, " {head:>8}")?;
        }
        writeln!(f)?;
        for r in &self.per_record {
            let beats = [r.beats, r.qrs.missed, r.qrs.fp].map(|n| n.to_string());
            let rates = line(&r.qrs, &r.veb, &r.sveb, r.accuracy);
            write_line(f, width, &r.record, &beats, rates)?;
        }
        let beats = [self.beats, self.qrs.missed, self.qrs.fp].map(|n| n.to_string());
        let rates = line(&self.qrs, &self.ec57.veb, &self.ec57.sveb, self.accuracy);
        write_line(f, width, "Gross", &beats, rates)?;
        let Average { qrs, veb, sveb } = &self.average;
        let accuracy = mean(self.per_record.iter().map(|r| r.accuracy));
        let rates = [
            qrs.se, qrs.ppv, veb.se, veb.ppv, veb.fpr, sveb.se, sveb.ppv, sveb.fpr, accuracy,
        ];
        write_line(f, width, "Average", &Default::default(), rates)
    }

    fn write_confusion(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Classes { n, s, v, f: fusion } = self.classes;
        writeln!(f, "Reference (rows) by prediction")?;
        write!(f, "  ")?;
        for head in self.labels.into_iter().chain(["Se", "+P", "F1"]) {
            write!(f, " {head:>7}")?;
        }
        writeln!(f)?;
        for ((label, row), rates) in self
            .labels
            .iter()
            .zip(self.confusion.rows())
            .zip([n, s, v, fusion])
        {
            write!(f, "{label:2}")?;
            for cell in row {
                write!(f, " {cell:>7}")?;
            }
            writeln!(
                f,
                " {:>7} {:>7} {:>7}",
                Percent(rates.se),
                Percent(rates.ppv),
                Percent(rates.f1)
            )?;
        }
        let Outside { beats, in_flutter } = self.excluded;
        writeln!(
            f,
            "Not in this table: {} Q beats of the reference, {} beats too noisy to be named, {} missed, {} extra, \
             {in_flutter} inside flutter.",
            beats.reference_q, beats.unreadable, beats.missed, beats.extra
        )
    }

    fn write_figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Intervals {
            patients,
            resamples,
            seed,
            ..
        } = self.intervals;
        writeln!(
            f,
            "{:12} {:>8} {:>8} {:>19}   ({patients} patients, {resamples} resamples, seed {seed})",
            "Figure", "value", "median", "95 % interval"
        )?;
        for (name, figure, value) in self.headlines() {
            let Some(interval) = self.intervals.figures.get(figure) else {
                continue;
            };
            let [value, median, low, high] = [value, interval.median, interval.low, interval.high]
                .map(|v| match (v, figure) {
                    (Some(index), "kappa" | "jk") => format!("{index:.4}"),
                    _ => Percent(v).to_string(),
                });
            writeln!(f, "{name:12} {value:>8} {median:>8} {low:>8} to {high:>7}")?;
        }
        if let Some(certainty) = &self.certainty {
            let unsure = certainty.unsure * certainty.beats as f64;
            write!(
                f,
                "\nProbabilities: calibration error {} %; {unsure:.0} of {} beats unsure",
                Percent(Some(certainty.ece)),
                certainty.beats,
            )?;
            if certainty.unsure_error.is_some() {
                write!(f, ", {} % of these wrong", Percent(certainty.unsure_error))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// The figures of the last table: what it calls them, their names among the intervals, their values.
    fn headlines(&self) -> [(&'static str, &'static str, Option<f64>); 18] {
        let Classes { s, v, .. } = self.classes;
        let Gross { veb, sveb, .. } = &self.ec57;
        [
            ("QRS Se", "qrs.se", self.qrs.se),
            ("QRS +P", "qrs.ppv", self.qrs.ppv),
            ("QRS F1", "qrs.f1", self.qrs.f1),
            ("VEB Se", "ec57.veb.se", veb.se),
            ("VEB +P", "ec57.veb.ppv", veb.ppv),
            ("SVEB Se", "ec57.sveb.se", sveb.se),
            ("SVEB +P", "ec57.sveb.ppv", sveb.ppv),
            ("V Se", "classes.V.se", v.se),
            ("V +P", "classes.V.ppv", v.ppv),
            ("V F1", "classes.V.f1", v.f1),
            ("S Se", "classes.S.se", s.se),
            ("S +P", "classes.S.ppv", s.ppv),
            ("S F1", "classes.S.f1", s.f1),
            ("accuracy", "accuracy", self.accuracy),
            ("macro F1", "macro_f1", self.macro_f1),
            ("macro F1 NSV", "macro_f1_nsv", self.macro_f1_nsv),
            ("kappa", "kappa", self.kappa),
            ("jk", "jk", self.jk),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use heartlens_core::class::Class;
    use serde_json::Value;

    fn setting(peaks: Peaks) -> Setting {
        Setting {
            peaks,
            runtime: "int8".to_owned(),
            mapping: Mapping::Aami,
            from_s: 300.0,
            bootstrap: Bootstrap {
                resamples: 200,
                seed: 7,
            },
        }
    }

    /// Two records of one patient and one of another, every row and column of the table in use.
    fn tally() -> Tally {
        let mut tally = Tally::new();
        for (record, number) in [("mitdb/201", 1), ("mitdb/202", 2), ("mitdb/203", 3)] {
            let mut found = super::super::bxb::Comparison {
                in_flutter: number,
                ..Default::default()
            };
            for (row, reference) in Label::ALL.into_iter().enumerate() {
                for (column, test) in Label::ALL.into_iter().enumerate() {
                    let right = if row == column { 40 } else { 0 };
                    for _ in 0..right + (row as u64 * 5 + column as u64 * 3 + number * 7) % 11 {
                        if row < 5 || column < 5 {
                            found.table.add(reference, test);
                        }
                    }
                }
            }
            tally.add_comparison(record, &found);
        }
        tally
    }

    /// The keys that `evaluate --json` promises, each with its type.
    #[test]
    fn the_promised_keys_are_there() {
        let json = serde_json::to_value(tally().report(&setting(Peaks::Detected))).unwrap();
        assert_eq!(json["records"], 3);
        assert_eq!(json["peaks"], "detected");
        assert_eq!(json["runtime"], "int8");
        assert_eq!(json["mapping"]["V"], serde_json::json!(["V", "E", "r"]));
        assert_eq!(json["labels"], serde_json::json!(["N", "S", "V", "F"]));
        for key in ["tp", "fn", "fp"] {
            assert!(json["qrs"][key].is_u64(), "qrs.{key}");
        }
        for key in ["se", "ppv", "f1"] {
            assert!(json["qrs"][key].is_f64(), "qrs.{key}");
            for class in ["N", "S", "V", "F"] {
                assert!(
                    json["classes"][class][key].is_f64(),
                    "classes.{class}.{key}"
                );
            }
        }
        for key in ["accuracy", "macro_f1", "macro_f1_nsv", "kappa", "jk"] {
            assert!(json[key].is_f64(), "{key}");
        }
        assert_eq!(json["per_record"][1]["record"], "mitdb/202");
        assert_eq!(json["per_record"][1]["patient"], "mitdb/201");
        assert_eq!(json["excluded"]["in_flutter"], 6);
        assert_eq!(json["intervals"]["patients"], 2);
    }

    /// A reader can make every figure again from the confusion and the counts beside it.
    #[test]
    fn the_figures_follow_from_the_confusion() {
        let json = serde_json::to_value(tally().report(&setting(Peaks::Detected))).unwrap();
        let cell = |r: usize, c: usize| json["confusion"][r][c].as_u64().unwrap();
        let column = (0..4).map(|r| cell(r, 1)).sum::<u64>() as f64;
        let row = (0..4).map(|c| cell(1, c)).sum::<u64>() as f64;
        let s = &json["classes"]["S"];
        assert_eq!(s["se"].as_f64().unwrap(), cell(1, 1) as f64 / row);
        assert_eq!(s["ppv"].as_f64().unwrap(), cell(1, 1) as f64 / column);
        let all: u64 = (0..16).map(|i| cell(i / 4, i % 4)).sum();
        let excluded = |key: &str| json["excluded"][key].as_u64().unwrap();
        assert_eq!(
            json["beats"].as_u64().unwrap(),
            all + excluded("reference_q") + excluded("unreadable") + excluded("missed")
        );
        let of_records = |key: &str| -> u64 {
            let records = json["per_record"].as_array().unwrap();
            records
                .iter()
                .map(|r| r["qrs"][key].as_u64().unwrap())
                .sum()
        };
        for key in ["tp", "fn", "fp"] {
            assert_eq!(json["qrs"][key].as_u64().unwrap(), of_records(key), "{key}");
        }
    }

    /// Every interval is named for the place of its figure in the report, and surrounds it.
    #[test]
    fn intervals_are_named_for_their_figures() {
        let json = serde_json::to_value(tally().report(&setting(Peaks::Detected))).unwrap();
        let intervals = json["intervals"]["figures"].as_object().unwrap();
        assert_eq!(intervals.len(), FIGURES);
        let expected = figures(&tally().gross().table, Peaks::Detected);
        for (name, figure) in FIGURE_NAMES.into_iter().zip(expected) {
            let value = json
                .pointer(&format!("/{}", name.replace('.', "/")))
                .unwrap();
            assert_eq!(value.as_f64(), figure, "{name}");
            let [low, median, high] =
                ["low", "median", "high"].map(|key| intervals[name][key].as_f64().unwrap());
            assert!(low <= median && median <= high, "{name}");
            assert!(low <= figure.unwrap() && figure.unwrap() <= high, "{name}");
        }
    }

    #[test]
    fn headlines_name_what_they_show() {
        let report = tally().report(&setting(Peaks::Detected));
        let json = serde_json::to_value(&report).unwrap();
        for (_, figure, value) in report.headlines() {
            let place = format!("/{}", figure.replace('.', "/"));
            assert_eq!(json.pointer(&place).unwrap().as_f64(), value, "{figure}");
        }
    }

    /// The average line is the mean of the records' rates, the gross line the rate of all beats together.
    #[test]
    fn gross_and_average_differ() {
        let mut tally = Tally::new();
        for (record, right, wrong) in [("a", 1, 0), ("b", 1, 3), ("c", 0, 0)] {
            tally.add_beat(record, Class::N, Class::N);
            for _ in 0..right {
                tally.add_beat(record, Class::V, Class::V);
            }
            for _ in 0..wrong {
                tally.add_beat(record, Class::V, Class::N);
            }
        }
        let report = tally.report(&setting(Peaks::Reference));
        assert_eq!(report.ec57.veb.se, Some(0.4));
        assert_eq!(report.average.veb.se, Some((1.0 + 0.25) / 2.0));
    }

    /// Reference peaks are no test of detection.
    #[test]
    fn reference_peaks_leave_detection_undefined() {
        let mut tally = Tally::new();
        tally.add_beat("a", Class::N, Class::N);
        let report = tally.report(&setting(Peaks::Reference));
        let json = serde_json::to_value(&report).unwrap();
        let expected =
            serde_json::json!({"tp": 0, "fn": 0, "fp": 0, "se": null, "ppv": null, "f1": null});
        assert_eq!(json["qrs"], expected);
        assert_eq!(
            json["intervals"]["figures"]["qrs.se"]["median"],
            Value::Null
        );
        assert_eq!(json["beats"], 1);
    }

    /// A snapshot, so that a change shows which cell moved. Overwritten with what is printed now where
    /// `HEARTLENS_BLESS` is set.
    #[test]
    fn the_tables() {
        let shown = tally().report(&setting(Peaks::Detected)).to_string();
        let snapshot = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/evaluate/reference/report.txt"
        );
        if std::env::var_os("HEARTLENS_BLESS").is_some() {
            std::fs::write(snapshot, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(snapshot).unwrap();
        assert_eq!(shown, expected, "\n{shown}");
    }
}
