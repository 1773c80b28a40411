//! Whether a change of a config is worth having: both trained alike, and judged on patients that neither has seen.
//!
//! One data base flatters: what wins in its folds may lose on other patients. So a change is judged four times and more:
//! within each family of data bases by folds, from each family to each other, on recordings in sinus rhythm, in which
//! every S or V is a false alarm, and on patients that are named apart. A difference counts where its interval by
//! bootstrap over patients, each drawn with both of their results, does not hold 0.

use super::ablate::Difference;
use super::cross_validate::{CrossValidationError, Plan, train_folds};
use super::logits_cache::HeldOut;
use super::results::{Headline, digits};
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::largest;
use crate::data::augment::Augmenter;
use crate::data::record::RecordBeats;
use crate::data::split::{SplitError, split, split_across};
use crate::data::weak_labels::Rhythm;
use crate::fit::training_loop::StepReport;
use heartlens::evaluate::bootstrap::{Bootstrap, Interval};
use heartlens::evaluate::bxb::{Label, Table};
use heartlens::evaluate::report::Peaks;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

/// The largest loss of jk that a change which is kept may have in any test.
pub const LARGEST_LOSS: f64 = 0.005;

/// The data bases that are one family: those whose names differ in the digits at their end alone, as `svdb` and `svdb2`.
pub fn family(database: &str) -> &str {
    database.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Some of the records, and which of them are held out in which training.
#[derive(Debug)]
pub struct Test {
    /// What is trained on and judged by.
    pub name: String,
    dataset: Dataset,
    splits: Vec<Vec<usize>>,
}

/// The tests that the families in `dataset` allow: the folds of each, and each to each other.
///
/// # Errors
/// If a family cannot be split into `folds`.
pub fn tests(dataset: &Dataset, folds: usize, seed: u64) -> Result<Vec<Test>, SplitError> {
    let databases = dataset.databases();
    let families: BTreeSet<&str> = databases.iter().map(|name| family(name)).collect();
    let mut tests = Vec::new();
    for name in &families {
        let dataset = subset(dataset, &[name]);
        let mut splits = split(&dataset, folds, seed)?;
        // Recordings are dealt out as well, so that those in sinus rhythm can be judged.
        let recordings =
            (0..dataset.records.len()).filter(|i| dataset.records[*i].rhythm.is_some());
        for (place, recording) in recordings.enumerate() {
            splits[place % folds].push(recording);
        }
        tests.push(Test {
            name: format!("folds of {name}"),
            dataset,
            splits,
        });
    }
    for trained in &families {
        for judged in families.iter().filter(|judged| *judged != trained) {
            let mut dataset = subset(dataset, &[trained, judged]);
            for record in &mut dataset.records {
                record.database = family(&record.database).to_owned();
            }
            tests.push(Test {
                name: format!("{trained} to {judged}"),
                splits: split_across(&dataset, trained)?,
                dataset,
            });
        }
    }
    Ok(tests)
}

/// The records of these families, and all recordings.
fn subset(dataset: &Dataset, families: &[&str]) -> Dataset {
    let wanted = |record: &&RecordBeats| {
        record.rhythm.is_some() || families.contains(&family(&record.database))
    };
    Dataset {
        records: dataset.records.iter().filter(wanted).cloned().collect(),
    }
}

impl Test {
    /// Trainings of one config and seed.
    pub fn trainings(&self) -> u64 {
        self.splits.len() as u64
    }

    /// Trains `config` and counts, patient by patient, what it says of those that it has not seen.
    ///
    /// # Errors
    /// Those of [`train_folds`].
    pub fn judge(
        &self,
        config: &Config,
        augmenter: &Augmenter,
        plan: &Plan,
        mut observe: impl FnMut(StepReport),
    ) -> Result<Judged, CrossValidationError> {
        let plan = Plan {
            splits: self.splits.clone(),
            ..plan.clone()
        };
        let trained = train_folds(config, &self.dataset, augmenter, &plan, |_, _, report| {
            observe(report);
        })?;
        Ok(Judged::of(&self.dataset, &plan.seeds, &trained))
    }
}

/// What was counted of one config in one test, all seeds together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// Pairs of reference and network alone, at reference R peaks, first lead, by patient.
    pub patients: BTreeMap<String, Table>,
    /// jk of each seed.
    pub seeds: Vec<Option<f64>>,
    /// The same of recordings in sinus rhythm, in which every beat counts as N.
    pub normal: BTreeMap<String, Table>,
}

impl Judged {
    fn of(dataset: &Dataset, seeds: &[u64], trained: &[HeldOut]) -> Self {
        let mut judged = Self::default();
        for seed in seeds {
            let mut pooled = Table::default();
            for done in trained.iter().filter(|done| done.seed == *seed) {
                for (index, logits) in &done.logits {
                    let record = &dataset.records[*index];
                    let mut table = Table::default();
                    for (class, logits) in record.classes.iter().zip(logits) {
                        table.add(Label::Beat(*class), Label::Beat(largest(logits)));
                    }
                    match record.rhythm {
                        None if record.peaks == Peaks::Reference => {
                            pooled += &table;
                            let patient = judged.patients.entry(record.patient.clone());
                            *patient.or_default() += &table;
                        }
                        Some(Rhythm::Normal) => {
                            *judged.normal.entry(record.name.clone()).or_default() += &table;
                        }
                        _ => {}
                    }
                }
            }
            judged.seeds.push(pooled.confusion().jk());
        }
        judged
    }

    fn pooled(&self, keep: impl Fn(&str) -> bool) -> Table {
        let mut pooled = Table::default();
        for (_, table) in self.patients.iter().filter(|(patient, _)| keep(patient)) {
            pooled += table;
        }
        pooled
    }
}

/// The figures of one config on some patients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// jk, F1 of S and V, and their like.
    #[serde(flatten)]
    pub headline: Headline,
    /// N that are called S or V, of a thousand N.
    pub false_alarms: Option<f64>,
}

impl Figures {
    /// Of these pairs.
    pub fn of(table: &Table) -> Self {
        Self {
            headline: Headline::of_table(table),
            false_alarms: false_alarms(table),
        }
    }
}

/// N that are called S or V, of a thousand N; `None` without N.
fn false_alarms(table: &Table) -> Option<f64> {
    let rows = table.confusion();
    let [_, s, v, _] = rows.rows()[0];
    let all: u64 = rows.rows()[0].iter().sum();
    (all > 0).then(|| 1000.0 * (s + v) as f64 / all as f64)
}

/// Both configs on the same patients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Both {
    /// Of the config as it was.
    pub base: Figures,
    /// Of the changed one.
    pub changed: Figures,
}

/// The patient without whom the change looks most different, and what both come to without that one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Without {
    /// The patient.
    pub patient: String,
    /// Both without that patient.
    #[serde(flatten)]
    pub figures: Both,
}

/// What one test says of the change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was trained on and judged by.
    pub test: String,
    /// Patients that were judged.
    pub patients: usize,
    /// All of them.
    #[serde(flatten)]
    pub figures: Both,
    /// jk of the changed less that of the base, paired by seed.
    pub seeds: Option<Difference>,
    /// The same of all seeds, by bootstrap over patients.
    pub jk: Interval,
    /// Without the patient whose absence changes the difference most.
    pub without: Option<Without>,
    /// The patients that were named apart.
    pub apart: BTreeMap<String, Both>,
    /// Recordings in sinus rhythm that were held out.
    pub normal_recordings: usize,
    /// False alarms of a thousand of their beats, of base and changed; `None` where there are none.
    pub normal: Option<[f64; 2]>,
    /// Changed less base of them, by bootstrap over recordings.
    pub normal_difference: Option<Interval>,
}

/// What comes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better beyond doubt in one test at least, in jk or in false alarms, and worse in none.
    Kept,
    /// Worse beyond doubt in a test, in jk or in false alarms, or by more than [`LARGEST_LOSS`] of jk.
    NotKept,
    /// Neither: patients or seeds are too few to tell.
    NotResolved,
}

/// All tests of one change, the JSON of `heartlens-train study`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Study {
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// Configurations that were looked at before this table was made, this one included.
    pub looked_at: u32,
    /// The tests.
    pub rows: Vec<Row>,
    /// What comes of it.
    pub verdict: Verdict,
}

/// A patient, or a recording, with what both configs say.
#[derive(Default)]
struct Pair(Table, Table);

impl AddAssign<&Pair> for Pair {
    fn add_assign(&mut self, other: &Pair) {
        self.0 += &other.0;
        self.1 += &other.1;
    }
}

fn pairs(base: &BTreeMap<String, Table>, changed: &BTreeMap<String, Table>) -> Vec<Pair> {
    let both = base
        .iter()
        .filter_map(|(name, base)| Some((base, changed.get(name)?)));
    both.map(|(base, changed)| Pair(*base, *changed)).collect()
}

fn difference(pair: &Pair, figure: impl Fn(&Table) -> Option<f64>) -> [Option<f64>; 1] {
    [figure(&pair.1)
        .zip(figure(&pair.0))
        .map(|(changed, base)| changed - base)]
}

impl Row {
    /// What `test` says; `apart` names groups of patients.
    pub fn new(
        test: &Test,
        base: &Judged,
        changed: &Judged,
        apart: &BTreeMap<String, Vec<String>>,
        bootstrap: &Bootstrap,
    ) -> Self {
        let jk = |table: &Table| table.confusion().jk();
        let both = |keep: &dyn Fn(&str) -> bool| Both {
            base: Figures::of(&base.pooled(keep)),
            changed: Figures::of(&changed.pooled(keep)),
        };
        let gain = |figures: &Both| {
            let gain = |figures: &Figures| figures.headline.jk;
            gain(&figures.changed)
                .zip(gain(&figures.base))
                .map(|(changed, base)| changed - base)
        };
        let all = both(&|_| true);
        let without = base.patients.keys().filter_map(|left_out| {
            let figures = both(&|patient| patient != left_out);
            let weight = (gain(&figures)? - gain(&all)?).abs();
            Some((
                weight,
                Without {
                    patient: left_out.clone(),
                    figures,
                },
            ))
        });
        let groups = apart.iter().filter_map(|(group, patients)| {
            let is_one = |patient: &str| {
                patients
                    .iter()
                    .any(|name| patient == name || patient.ends_with(&format!("/{name}")))
            };
            let any = base.patients.keys().any(|patient| is_one(patient));
            any.then(|| (group.clone(), both(&is_one)))
        });
        let patients = pairs(&base.patients, &changed.patients);
        let normal = pairs(&base.normal, &changed.normal);
        let mut sum = Pair::default();
        normal.iter().for_each(|pair| sum += pair);
        let [jk] = bootstrap.intervals(&patients, |pair| difference(pair, jk));
        Self {
            test: test.name.clone(),
            patients: patients.len(),
            figures: all,
            seeds: Difference::paired(&changed.seeds, &base.seeds),
            jk,
            without: without
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, without)| without),
            apart: groups.collect(),
            normal_recordings: normal.len(),
            normal: false_alarms(&sum.0)
                .zip(false_alarms(&sum.1))
                .map(<[f64; 2]>::from),
            normal_difference: (!normal.is_empty()).then(|| {
                let [interval] =
                    bootstrap.intervals(&normal, |pair| difference(pair, false_alarms));
                interval
            }),
        }
    }

    /// jk of the changed less that of the base.
    fn gain(&self) -> Option<f64> {
        let of = |figures: &Figures| figures.headline.jk;
        of(&self.figures.changed)
            .zip(of(&self.figures.base))
            .map(|(changed, base)| changed - base)
    }

    fn is_better(&self) -> bool {
        let fewer = self.normal_difference.and_then(|interval| interval.high);
        self.jk.low.is_some_and(|low| low > 0.0) || fewer.is_some_and(|high| high < 0.0)
    }

    fn is_worse(&self) -> bool {
        let more = self.normal_difference.and_then(|interval| interval.low);
        self.jk.high.is_some_and(|high| high < 0.0)
            || more.is_some_and(|low| low > 0.0)
            || self.gain().is_some_and(|gain| gain < -LARGEST_LOSS)
    }
}

impl Verdict {
    /// Of these tests.
    pub fn of(rows: &[Row]) -> Self {
        if rows.iter().any(Row::is_worse) {
            Self::NotKept
        } else if rows.iter().any(Row::is_better) {
            Self::Kept
        } else {
            Self::NotResolved
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::NotKept => "not kept",
            Self::NotResolved => "not resolved",
        }
    }
}

impl Study {
    /// The tests in Markdown, and the verdict.
    pub fn table(&self) -> String {
        use std::fmt::Write;
        let mut text = String::from(
            "| test | patients | jk | jk less base, 95 % over patients | SD over seeds | F1 of S | F1 of V | false alarms a 1,000 N |\n\
             |---|---:|---|---|---|---|---|---|\n",
        );
        let arrow = |base: Option<f64>, changed: Option<f64>| {
            format!("{} to {}", digits(base), digits(changed))
        };
        let tenths =
            |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        let mut line =
            |test: &str, patients: &str, figures: &Both, interval: &str, deviation: &str| {
                let Both { base, changed } = figures;
                let (b, c) = (&base.headline, &changed.headline);
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "| {test} | {patients} | {} | {interval} | {deviation} | {} | {} | {} to {} |",
                    arrow(b.jk, c.jk),
                    arrow(b.f1_s, c.f1_s),
                    arrow(b.f1_v, c.f1_v),
                    tenths(base.false_alarms),
                    tenths(changed.false_alarms),
                );
            };
        for row in &self.rows {
            let (low, high) = (row.jk.low, row.jk.high);
            let interval = format!("{} ({})", signed(row.gain()), span(low, high));
            let deviation = digits(row.seeds.and_then(|seeds| seeds.deviation));
            line(
                &row.test,
                &row.patients.to_string(),
                &row.figures,
                &interval,
                &deviation,
            );
            if let Some(without) = &row.without {
                let name = format!("{} without {}", row.test, without.patient);
                line(
                    &name,
                    &(row.patients - 1).to_string(),
                    &without.figures,
                    "-",
                    "-",
                );
            }
            for (group, figures) in &row.apart {
                line(&format!("{}, {group}", row.test), "-", figures, "-", "-");
            }
        }
        text += "\n| recordings in sinus rhythm, held out | recordings | false alarms a 1,000 beats | difference, 95 % over recordings |\n|---|---:|---|---|\n";
        for row in &self.rows {
            if let (Some([base, changed]), Some(interval)) = (row.normal, row.normal_difference) {
                let _ = writeln!(
                    text,
                    "| {} | {} | {base:.1} to {changed:.1} | {:+.1} ({} to {}) |",
                    row.test,
                    row.normal_recordings,
                    changed - base,
                    tenths(interval.low),
                    tenths(interval.high),
                );
            }
        }
        let _ = writeln!(
            text,
            "\nVerdict: {}. Configurations looked at: {}. Seeds: {}.",
            self.verdict.as_str(),
            self.looked_at,
            self.seeds.len()
        );
        text
    }
}

fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:+.3}"))
}

fn span(low: Option<f64>, high: Option<f64>) -> String {
    format!("{} to {}", signed(low), signed(high))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table(right: u64, false_s: u64, missed_s: u64) -> Table {
        let mut rows = [[0; Label::COUNT]; Label::COUNT];
        rows[0][0] = right;
        rows[0][1] = false_s;
        rows[1][0] = missed_s;
        rows[1][1] = 40;
        rows[2][2] = 40;
        Table::from_rows(rows)
    }

    fn judged(of: impl Fn(u64) -> Table) -> Judged {
        let patients: BTreeMap<String, Table> =
            (0..30).map(|i| (format!("mitdb/{i}"), of(i))).collect();
        let mut pooled = Table::default();
        patients.values().for_each(|table| pooled += table);
        Judged {
            seeds: vec![pooled.confusion().jk()],
            normal: patients.clone(),
            patients,
        }
    }

    fn row(base: &Judged, changed: &Judged) -> Row {
        let test = Test {
            name: "folds of mitdb".to_owned(),
            dataset: Dataset::default(),
            splits: Vec::new(),
        };
        let apart = BTreeMap::from([("AF".to_owned(), vec!["3".to_owned(), "mitdb/4".to_owned()])]);
        Row::new(&test, base, changed, &apart, &Bootstrap::default())
    }

    #[test]
    fn names_of_one_family_differ_in_their_digits() {
        assert_eq!(
            (family("svdb2"), family("svdb"), family("mitdb")),
            ("svdb", "svdb", "mitdb")
        );
    }

    /// The same change for all patients is resolved; one that half of them gain and half lose is not; a loss is a loss.
    #[test]
    fn a_change_is_kept_where_patients_agree() {
        let base = judged(|_| table(900, 50, 20));
        let better = judged(|_| table(940, 10, 10));
        let kept = row(&base, &better);
        assert_eq!(Verdict::of(std::slice::from_ref(&kept)), Verdict::Kept);
        let lost = row(&better, &base);
        assert_eq!(Verdict::of(&[kept.clone(), lost]), Verdict::NotKept);
        let mixed = judged(|i| {
            if i % 2 == 0 {
                table(925, 25, 22)
            } else {
                table(875, 75, 17)
            }
        });
        let mixed = row(&base, &mixed);
        assert!(
            mixed.jk.low.unwrap() < 0.0 && mixed.jk.high.unwrap() > 0.0,
            "{mixed:?}"
        );
        assert_eq!(Verdict::of(&[mixed]), Verdict::NotResolved);
    }

    /// 50 of 950 N are false alarms in one, 10 of 950 in the other; patients 3 and 4 are a group.
    #[test]
    fn figures_by_hand() {
        let row = row(
            &judged(|_| table(900, 50, 20)),
            &judged(|_| table(940, 10, 10)),
        );
        let [base, changed] = row.normal.unwrap();
        assert!(
            (base - 1000.0 * 50.0 / 950.0).abs() < 1e-9
                && (changed - 1000.0 * 10.0 / 950.0).abs() < 1e-9
        );
        assert_eq!(row.normal_recordings, 30);
        let s = row.apart["AF"].base.headline.f1_s.unwrap();
        assert!((s - 80.0 / (80.0 + 50.0 + 20.0)).abs() < 1e-9, "{s}");
        let text = Study {
            seeds: vec![0],
            looked_at: 4,
            verdict: Verdict::Kept,
            rows: vec![row],
        }
        .table();
        assert!(text.contains("| folds of mitdb, AF | - |"), "{text}");
        assert!(
            text.contains("Verdict: kept. Configurations looked at: 4."),
            "{text}"
        );
        assert!(
            text.contains("| folds of mitdb | 30 | 52.6 to 10.5 | -42.1 ("),
            "{text}"
        );
    }
}
