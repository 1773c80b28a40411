//! Collects what was found in each record.

use super::bxb::{Comparison, Label, Table};
use super::certainty::Certainty;
use super::episodes::Episodes;
use heartlens_core::class::Class;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Beat pairs of many records, by the records' names.
///
/// Two ways in: [`Tally::add_comparison`] for detected beats, [`Tally::add_beat`] for beats whose place is known and
/// whose class alone is in question. [`Tally::report`] makes the figures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    records: BTreeMap<String, Counts>,
}

/// What was counted in one record.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// Pairs of labels.
    pub table: Table,
    /// Test beats inside ventricular flutter or fibrillation, which EC57 does not count.
    pub in_flutter: u64,
    /// Episodes and runs.
    pub episodes: Episodes,
    /// How sure the test was of its classes.
    pub certainty: Certainty,
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.table += &other.table;
        self.in_flutter += other.in_flutter;
        self.episodes += &other.episodes;
        self.certainty += &other.certainty;
    }
}

impl Tally {
    /// An empty tally.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one beat of `record` whose place was given: `reference` by `predicted`. Either may be [`Class::Q`].
    pub fn add_beat(&mut self, record: &str, reference: Class, predicted: Class) {
        self.counts(record)
            .table
            .add(Label::Beat(reference), Label::Beat(predicted));
    }

    /// Adds what a comparison found in `record`.
    pub fn add_comparison(&mut self, record: &str, comparison: &Comparison) {
        let counts = self.counts(record);
        counts.table += &comparison.table;
        counts.in_flutter += comparison.in_flutter;
    }

    /// Adds what a comparison of episodes and runs found in `record`.
    pub fn add_episodes(&mut self, record: &str, episodes: &Episodes) {
        self.counts(record).episodes += episodes;
    }

    /// Adds how sure the test was of the classes of `record`'s beats.
    pub fn add_certainty(&mut self, record: &str, certainty: &Certainty) {
        self.counts(record).certainty += certainty;
    }

    /// The same without the record of this name, `mitdb/232`, or those of this name in any folder, `232`. `None` where
    /// there is none.
    pub fn without(&self, name: &str) -> Option<Self> {
        let mut left = self.clone();
        left.records.retain(|record, _| !is_named(record, name));
        (left.records.len() < self.records.len()).then_some(left)
    }

    /// Adds all that `other` counted. Counts of a record that both have are added up.
    pub fn merge(&mut self, other: &Self) {
        for (record, theirs) in &other.records {
            *self.counts(record) += theirs;
        }
    }

    /// The records and their counts, in alphabetical order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (&str, &Counts)> {
        self.records
            .iter()
            .map(|(name, counts)| (name.as_str(), counts))
    }

    /// All records together: what EC57 calls gross.
    pub fn gross(&self) -> Counts {
        let mut gross = Counts::default();
        for counts in self.records.values() {
            gross += counts;
        }
        gross
    }

    /// One table a patient, in alphabetical order of [`patient_of`].
    pub fn patients(&self) -> BTreeMap<String, Table> {
        let mut patients = BTreeMap::<String, Table>::new();
        for (record, counts) in &self.records {
            *patients.entry(patient_of(record)).or_default() += &counts.table;
        }
        patients
    }

    fn counts(&mut self, record: &str) -> &mut Counts {
        self.records.entry(record.to_owned()).or_default()
    }
}

/// Whether a record is meant by this name: its own, `mitdb/232`, or the same without its folder, `232`.
pub fn is_named(record: &str, name: &str) -> bool {
    let folder = record.strip_suffix(name);
    folder.is_some_and(|folder| folder.is_empty() || folder.ends_with(['/', '\\']))
}

/// Whose record this is, as the name of the patient's first record.
///
/// Every record is a patient of its own, but for 201 and 202 of the MIT-BIH Arrhythmia Database, which are one man's
/// (Moody and Mark 2001, IEEE Eng. Med. Biol. Mag. 20(3):45). That data base is known by its folder, whose name has
/// `mitdb` in it: `mitdb/202`, `mitdb-1.0.0/202`.
pub fn patient_of(record: &str) -> String {
    match record.rsplit_once(['/', '\\']) {
        Some((folder, "202")) if folder.to_ascii_lowercase().contains("mitdb") => {
            format!("{folder}/201")
        }
        _ => record.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{N, V};

    #[test]
    fn records_201_and_202_are_one_patient() {
        assert_eq!(patient_of("mitdb/202"), "mitdb/201");
        assert_eq!(patient_of("MITDB-1.0.0/202"), "MITDB-1.0.0/201");
        assert_eq!(patient_of("ward/202"), "ward/202");
        assert_eq!(patient_of("202"), "202");
        assert_eq!(patient_of("mitdb/1202"), "mitdb/1202");
        assert_eq!(patient_of("mitdb/201"), "mitdb/201");
        let mut tally = Tally::new();
        for record in ["mitdb/201", "mitdb/202", "mitdb/203"] {
            tally.add_beat(record, N, V);
        }
        let patients: Vec<(String, u64)> = tally
            .patients()
            .into_iter()
            .map(|(patient, table)| (patient, table.total()))
            .collect();
        assert_eq!(
            patients,
            [("mitdb/201".to_owned(), 2), ("mitdb/203".to_owned(), 1)]
        );
    }

    #[test]
    fn records_are_left_out_by_name() {
        let mut tally = Tally::new();
        for record in ["mitdb/232", "svdb/232", "svdb/1232", "mitdb/100"] {
            tally.add_beat(record, N, V);
        }
        let left = |name: &str| {
            let left = tally.without(name)?;
            Some(left.records().map(|(name, _)| name.to_owned()).collect())
        };
        let names = |names: &[&str]| Some(names.iter().map(|s| (*s).to_owned()).collect());
        assert_eq!(left("232"), names(&["mitdb/100", "svdb/1232"]));
        let others: Option<Vec<String>> = names(&["mitdb/100", "mitdb/232", "svdb/1232"]);
        assert_eq!(left("svdb/232"), others);
        assert_eq!(left("999"), None);
        assert_eq!(left("2"), None);
    }

    #[test]
    fn merging_adds_up() {
        let (mut a, mut b, mut both) = (Tally::new(), Tally::new(), Tally::new());
        for (record, reference, predicted, first) in [
            ("1", N, N, true),
            ("1", V, N, false),
            ("2", V, V, false),
            ("3", N, V, true),
        ] {
            let half = if first { &mut a } else { &mut b };
            half.add_beat(record, reference, predicted);
            both.add_beat(record, reference, predicted);
        }
        a.merge(&b);
        assert_eq!(a, both);
        assert_eq!(a.gross().table.total(), 4);
        assert_eq!(a.records().len(), 3);
    }
}
