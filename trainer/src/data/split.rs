//! Which records are trained on and which are held out: by patient, seeded, asserted disjoint.

use crate::beat::dataset::Dataset;
use crate::nn::rng::{Purpose, stream};
use heartlens_core::class::Class;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use thiserror::Error;

/// Records that cannot be split.
#[derive(Debug, Error)]
pub enum SplitError {
    /// There are fewer patients than folds.
    #[error(
        "found {patients} patients for {folds} folds, expected 2 folds or more and a patient for each"
    )]
    Folds {
        /// Folds asked for.
        folds: usize,
        /// Patients in the data set.
        patients: usize,
    },
    /// A fold could not be judged.
    #[error(
        "fold {fold} ({}) has no beat of class {class} to be judged by; use fewer folds or more records",
        records.join(", ")
    )]
    NoBeats {
        /// The fold.
        fold: usize,
        /// The class.
        class: Class,
        /// The fold's records.
        records: Vec<String>,
    },
    /// The patients that decide when to stop could not be judged by.
    #[error(
        "training.early_stopping: the patients held out to judge by ({}) have no beat of class {class}; raise its share, or \
         train on more records",
        records.join(", ")
    )]
    NoJudge {
        /// The class.
        class: Class,
        /// The records held out.
        records: Vec<String>,
    },
    /// There is no such database, or nothing beside it.
    #[error(
        "the databases are {found}; expected {wanted} to train on and at least one other to judge by"
    )]
    Database {
        /// The database to train on.
        wanted: String,
        /// Those that were read.
        found: String,
    },
}

/// Splits the records of `dataset` into `folds` folds, each record into one: by patient, so that no patient is in two
/// folds, and within each database in blocks of like numbers of S and V beats, so that every fold gets its share of
/// each database and of ectopic beats. Returns indices into the data set's records, in order.
///
/// # Errors
/// If there are fewer patients than folds, or a fold has no S or V beat.
pub fn split(dataset: &Dataset, folds: usize, seed: u64) -> Result<Vec<Vec<usize>>, SplitError> {
    let all: Vec<usize> = dataset.annotated().collect();
    let split = deal(dataset, &all, folds, seed)?;
    for (fold, records) in split.iter().enumerate() {
        for class in [Class::S, Class::V] {
            let has = |&record: &usize| dataset.records[record].classes.contains(&class);
            if !records.iter().any(has) {
                return Err(SplitError::NoBeats {
                    fold,
                    class,
                    records: names(dataset, records),
                });
            }
        }
    }
    Ok(split)
}

/// Deals `records` into folds as [`split`] says, whatever classes each gets.
///
/// # Errors
/// If there are fewer patients than folds.
pub(crate) fn deal(
    dataset: &Dataset,
    records: &[usize],
    folds: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, SplitError> {
    let mut patients: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for &index in records {
        let record = &dataset.records[index];
        let patient = (record.database.as_str(), record.patient.as_str());
        patients.entry(patient).or_default().push(index);
    }
    if folds < 2 || patients.len() < folds {
        return Err(SplitError::Folds {
            folds,
            patients: patients.len(),
        });
    }
    let ectopic = |records: &[usize]| -> usize {
        let records = records.iter().map(|&record| &dataset.records[record]);
        records.map(|r| r.count(Class::S) + r.count(Class::V)).sum()
    };
    let mut rng = stream(seed, Purpose::Folds, 0);
    let mut split = vec![Vec::new(); folds];
    for database in dataset.databases() {
        let mut members: Vec<&Vec<usize>> = patients
            .iter()
            .filter(|((name, _), _)| *name == database)
            .map(|(_, records)| records)
            .collect();
        members.sort_by_key(|records| std::cmp::Reverse(ectopic(records)));
        for block in members.chunks(folds) {
            // An incomplete block goes to the folds that have the fewest records so far.
            let mut order: Vec<usize> = (0..folds).collect();
            order.shuffle(&mut rng);
            if block.len() < folds {
                order.sort_by_key(|&fold| split[fold].len());
            }
            for (records, fold) in block.iter().zip(order) {
                split[fold].extend(records.iter().copied());
            }
        }
    }
    for records in &mut split {
        records.sort_unstable();
    }
    assert_disjoint(dataset, records.len(), &split);
    Ok(split)
}

/// Stops the program where a record or a patient is in two folds: every figure after that would be a lie.
fn assert_disjoint(dataset: &Dataset, records: usize, split: &[Vec<usize>]) {
    let mut fold_of = BTreeMap::new();
    for (fold, records) in split.iter().enumerate() {
        for &record in records {
            let patient = &dataset.records[record].patient;
            let first = *fold_of.entry(patient.as_str()).or_insert(fold);
            assert_eq!(
                first, fold,
                "patient {patient} is in folds {first} and {fold}"
            );
        }
    }
    let all: HashSet<usize> = split.iter().flatten().copied().collect();
    let count: usize = split.iter().map(Vec::len).sum();
    assert_eq!(all.len(), count, "a record is twice in the split");
    assert_eq!(count, records, "a record is in no fold");
}

/// The one split of a training on the database `trained`: all other databases are held out.
///
/// # Errors
/// If there is no such database, or no other.
pub fn split_across(dataset: &Dataset, trained: &str) -> Result<Vec<Vec<usize>>, SplitError> {
    let (training, held_out): (Vec<usize>, Vec<usize>) = dataset
        .annotated()
        .partition(|&index| dataset.records[index].database == trained);
    if training.is_empty() || held_out.is_empty() {
        return Err(SplitError::Database {
            wanted: trained.to_owned(),
            found: dataset.databases().join(", "),
        });
    }
    Ok(vec![held_out])
}

/// Names of records, in alphabetical order, each once.
pub fn names(dataset: &Dataset, records: &[usize]) -> Vec<String> {
    let name = |&record: &usize| dataset.records[record].name.clone();
    let names: BTreeSet<String> = records.iter().map(name).collect();
    names.into_iter().collect()
}
