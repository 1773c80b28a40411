//! How good is a config on records that it has not seen: K folds split by patient, every beat scored once a seed.

use crate::augment::Augmenter;
use crate::blocks::ShapeError;
use crate::config::Config;
use crate::dataset::Dataset;
use crate::early_stopping::{self, Judgements, Verdict, judge};
use crate::held_out::{HeldOut, identity};
use crate::int8::{self, Int8Findings};
use crate::sampler::{Sampler, SamplerError};
use crate::streams::{Purpose, stream};
use crate::train::{StepReport, Trainer, TrainingData, logits};
use heartlens::compile::CompileError;
use heartlens::evaluate::bootstrap::Bootstrap;
use heartlens::evaluate::mapping::Mapping;
use heartlens::evaluate::report::{Peaks, Report, Setting};
use heartlens::evaluate::tally::Tally;
use heartlens::runtime::ModelError;
use heartlens_core::class::Class;
use heartlens_core::spec;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;
use tch::Device;
use thiserror::Error;

/// A cross-validation that cannot be run.
#[derive(Debug, Error)]
pub enum CrossValidationError {
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
    /// The training records of a fold lack a class.
    #[error("fold {fold}: {source}")]
    Sampler {
        /// The fold.
        fold: usize,
        /// Why.
        source: SamplerError,
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
    /// Logits cannot be kept.
    #[error("{}: {source}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The config's layers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A fold's network could not be compiled.
    #[error("fold {fold}: {source}")]
    Compile {
        /// The fold.
        fold: usize,
        /// Why.
        source: Box<CompileError>,
    },
    /// A fold's device image could not be run.
    #[error("fold {fold}: {source}")]
    Image {
        /// The fold.
        fold: usize,
        /// Why.
        source: ModelError,
    },
}

/// Splits the records of `dataset` into `folds` folds, each record into one: by patient, so that no patient is in two
/// folds, and within each database in blocks of like numbers of S and V beats, so that every fold gets its share of
/// each database and of ectopic beats. Returns indices into the data set's records, in order.
///
/// # Errors
/// If there are fewer patients than folds, or a fold has no S or V beat.
pub fn split(
    dataset: &Dataset,
    folds: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, CrossValidationError> {
    let all: Vec<usize> = (0..dataset.records.len()).collect();
    let split = deal(dataset, &all, folds, seed)?;
    for (fold, records) in split.iter().enumerate() {
        for class in [Class::S, Class::V] {
            let has = |&record: &usize| dataset.records[record].classes.contains(&class);
            if !records.iter().any(has) {
                return Err(CrossValidationError::NoBeats {
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
) -> Result<Vec<Vec<usize>>, CrossValidationError> {
    let mut patients: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for &index in records {
        let record = &dataset.records[index];
        let patient = (record.database.as_str(), record.patient.as_str());
        patients.entry(patient).or_default().push(index);
    }
    if folds < 2 || patients.len() < folds {
        return Err(CrossValidationError::Folds {
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
pub fn split_across(
    dataset: &Dataset,
    trained: &str,
) -> Result<Vec<Vec<usize>>, CrossValidationError> {
    let (training, held_out): (Vec<usize>, Vec<usize>) =
        (0..dataset.records.len()).partition(|&index| dataset.records[index].database == trained);
    if training.is_empty() || held_out.is_empty() {
        return Err(CrossValidationError::Database {
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

/// What a cross-validation found, the JSON of `heartlens-train cross-validate`: the keys of
/// [`Report`] pooled over folds and seeds (a beat counts once a seed), and how it came about.
#[derive(Debug, Clone, Serialize)]
pub struct Findings {
    /// The model's name.
    pub model: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Hash of the features, 16 hex digits.
    pub spec_hash: String,
    /// What was trained.
    pub config: Config,
    /// All databases, all folds, all seeds.
    #[serde(flatten)]
    pub pooled: Report,
    /// The same by database.
    pub databases: BTreeMap<String, Report>,
    /// Every training alone.
    pub folds: Vec<FoldFindings>,
    /// Every seed alone.
    pub seeds: Vec<SeedFindings>,
    /// The held-out records of each fold.
    pub splits: Vec<Vec<String>>,
    /// The same trainings judged in other ways.
    pub variants: Vec<Variant>,
    /// The same networks as device images, where that was asked for: all folds and seeds together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8Findings>,
}

/// All trainings judged in one way.
#[derive(Debug, Clone, Serialize)]
pub struct Variant {
    /// Where the R peaks of the judged beats come from.
    pub peaks: Peaks,
    /// What weighs on the network's probabilities.
    pub context: &'static str,
    /// Figures by database.
    pub databases: BTreeMap<String, VariantFigures>,
}

/// One database, judged in one way.
#[derive(Debug, Clone, Serialize)]
pub struct VariantFigures {
    /// All seeds together.
    #[serde(flatten)]
    pub headline: Headline,
    /// jk of each seed.
    pub seeds: Vec<Option<f64>>,
}

/// One training.
#[derive(Debug, Clone, Serialize)]
pub struct FoldFindings {
    /// Seed of the training.
    pub seed: u64,
    /// Index into `splits`.
    pub fold: usize,
    /// Beats scored.
    pub beats: u64,
    /// Figures of the held-out records together.
    #[serde(flatten)]
    pub headline: Headline,
    /// Duration of the training, in seconds.
    pub training_s: f64,
    /// Duration of the scoring, in seconds.
    pub scoring_s: f64,
    /// The same network as a device image, calibrated on the training records, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8Findings>,
}

/// One seed over all folds.
#[derive(Debug, Clone, Serialize)]
pub struct SeedFindings {
    /// The seed.
    pub seed: u64,
    /// Figures by database.
    pub databases: BTreeMap<String, Headline>,
}

/// The figures that are compared most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// kappa/2 + (Se_S + Se_V + PPV_S + PPV_V)/8.
    pub jk: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// Mean F1 of N, S, V.
    pub macro_f1_nsv: Option<f64>,
    /// F1 of S.
    pub f1_s: Option<f64>,
    /// F1 of V.
    pub f1_v: Option<f64>,
}

impl Headline {
    /// Of all beats in `tally`.
    pub fn of(tally: &Tally) -> Self {
        let confusion = tally.gross().table.confusion();
        Self {
            jk: confusion.jk(),
            kappa: confusion.kappa(),
            macro_f1_nsv: confusion.macro_f1_nsv(),
            f1_s: confusion.class(Class::S as usize).f1,
            f1_v: confusion.class(Class::V as usize).f1,
        }
    }
}

/// How a cross-validation is run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folds, from [`split`].
    pub splits: Vec<Vec<usize>>,
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// Trainings that run at the same time.
    pub parallel: usize,
    /// Where they run.
    pub device: Device,
    /// Folder in which the logits of held-out records are kept; a training whose logits are there is not done again.
    pub keep: Option<PathBuf>,
    /// Whether each network is also compiled and scored as a device image.
    pub int8: bool,
}

/// Trains every fold with every seed and gives the logits of the records that each did not see, in order of seed and
/// fold. `observe` hears of every step, with seed and fold; it is called by one thread at a time.
///
/// # Errors
/// If a fold's training records lack a class, the config's layers do not fit together, logits cannot be kept, or a network
/// cannot be compiled though the plan asks for it.
pub fn train_folds(
    config: &Config,
    dataset: &Dataset,
    augmenter: &Augmenter,
    plan: &Plan,
    mut observe: impl FnMut(u64, usize, StepReport),
) -> Result<Vec<HeldOut>, CrossValidationError> {
    let jobs: Vec<(u64, usize)> = plan
        .seeds
        .iter()
        .flat_map(|&seed| (0..plan.splits.len()).map(move |fold| (seed, fold)))
        .collect();
    let train = |&(seed, fold): &(u64, usize), observe: &mut dyn FnMut(StepReport)| {
        train_fold(config, dataset, augmenter, plan, seed, fold, observe)
    };
    let mut results = in_parallel(&jobs, plan.parallel, train, |&(seed, fold), report| {
        observe(seed, fold, report);
    })?;
    results.sort_by_key(|done| (done.seed, done.fold));
    Ok(results)
}

/// Does `jobs`, `parallel` at a time, and passes what they report to `observe` on the caller's thread. The results are in
/// no order.
///
/// # Errors
/// That of a job that fails; the others are done all the same.
pub(crate) fn in_parallel<J: Sync, R: Send, E: Send>(
    jobs: &[J],
    parallel: usize,
    work: impl Fn(&J, &mut dyn FnMut(StepReport)) -> Result<R, E> + Sync,
    mut observe: impl FnMut(&J, StepReport),
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel.max(1))
            .map(|_| {
                let (send, next, work) = (send.clone(), &next, &work);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut observe = |report| {
                            // Nobody listens any more only if the program is ending.
                            let _ = send.send((job, report));
                        };
                        done.push(work(job, &mut observe));
                    }
                    done
                })
            })
            .collect();
        drop(send);
        for (job, report) in receive {
            observe(job, report);
        }
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

fn train_fold(
    config: &Config,
    dataset: &Dataset,
    augmenter: &Augmenter,
    plan: &Plan,
    seed: u64,
    fold: usize,
    observe: impl FnMut(StepReport),
) -> Result<HeldOut, CrossValidationError> {
    let mut config = config.clone();
    config.training.seed = seed;
    let held_out = &plan.splits[fold];
    let training: Vec<usize> = (0..dataset.records.len())
        .filter(|record| !held_out.contains(record))
        .filter(|&record| config.data.peaks.contains(&dataset.records[record].peaks))
        .collect();
    let identity = identity(&config, dataset, &training);
    let kept = plan.keep.as_ref().map(|folder| {
        let held = names(dataset, held_out).join(" ");
        let hash = fnv(&format!("{identity}{held}"));
        folder.join(format!("{}-{seed}-{hash:016x}.safetensors", config.name))
    });
    if let Some(path) = &kept
        && let Some(done) = HeldOut::read(path, &identity, dataset, held_out)
        && (done.int8.is_some() || !plan.int8)
    {
        return Ok(HeldOut { fold, ..done });
    }
    let start = Instant::now();
    let trainer = fit(
        &config,
        dataset,
        augmenter,
        &training,
        fold,
        plan.device,
        observe,
    )?;
    let training_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let score = |&record: &usize| {
        let logits = logits(trainer.result(), plan.device, dataset, record);
        (record, logits)
    };
    let logits = held_out.iter().map(score).collect();
    let scoring_s = start.elapsed().as_secs_f64();
    let int8 = if plan.int8 {
        let compiled = int8::compile(&trainer, &config, dataset, &training).map_err(|source| {
            CrossValidationError::Compile {
                fold,
                source: Box::new(source),
            }
        })?;
        let logits = int8::logits(&compiled.image, dataset, held_out)
            .map_err(|source| CrossValidationError::Image { fold, source })?;
        Some(logits)
    } else {
        None
    };
    let done = HeldOut {
        seed,
        fold,
        logits,
        int8,
        parameters: trainer.parameter_count(),
        training_s,
        scoring_s,
    };
    if let Some(path) = kept {
        done.write(&path, &identity, dataset)
            .map_err(|source| CrossValidationError::Keep { path, source })?;
    }
    Ok(done)
}

/// Trains one network of `config` on `training` (indices into the data set's records), stopping early where the config says
/// so. `fold` is named in errors.
///
/// # Errors
/// If the layers do not fit together, or the records lack a class.
pub(crate) fn fit(
    config: &Config,
    dataset: &Dataset,
    augmenter: &Augmenter,
    training: &[usize],
    fold: usize,
    device: Device,
    mut observe: impl FnMut(StepReport),
) -> Result<Trainer, CrossValidationError> {
    let (steps, seed) = (config.training.steps, config.training.seed);
    let early = config.training.early_stopping;
    let (training, judges) = match &early {
        Some(early) => early_stopping::hold_out(dataset, training, early, seed)?,
        None => (training.to_vec(), Vec::new()),
    };
    let sampler = Sampler::new(dataset, &training, &HashSet::new(), &config.sampler)
        .map_err(|source| CrossValidationError::Sampler { fold, source })?;
    let data = TrainingData {
        dataset,
        sampler,
        augmenter,
    };
    let mut trainer = Trainer::new(config, device)?;
    let Some(early) = early else {
        trainer.run(&data, steps, 1, observe);
        return Ok(trainer);
    };
    let mut judgements = Judgements::new(Some(early.patience));
    let mut best = None;
    while trainer.steps_done() < steps {
        trainer.run(&data, trainer.steps_done() + early.every, 1, &mut observe);
        let jk = judge(&trainer, dataset, &judges).jk;
        match judgements.add(jk, trainer.steps_done()) {
            Verdict::Better => best = Some(trainer.copy_of_average()),
            Verdict::Wait => {}
            Verdict::Stop => break,
        }
    }
    if let Some(best) = best {
        trainer.set_average(&best);
    }
    Ok(trainer)
}

/// FNV-1a, 64 bit.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The findings of trainings whose classes `decide` names: for a training and an index into the data set's records, one
/// class a beat. Records whose R peaks come from elsewhere than `peaks` are left out.
pub fn findings(
    config: &Config,
    dataset: &Dataset,
    plan: &Plan,
    trained: &[HeldOut],
    peaks: Peaks,
    decide: impl Fn(&HeldOut, usize) -> Vec<Class>,
) -> Findings {
    let setting = Setting {
        peaks,
        runtime: "libtorch".to_owned(),
        mapping: Mapping::default(),
        from_s: 0.0,
        bootstrap: Bootstrap::default(),
    };
    let results: Vec<BTreeMap<String, Tally>> = trained
        .iter()
        .map(|done| tallies(dataset, done, peaks, |record| decide(done, record)))
        .collect();
    let by_seed = |seed: u64| {
        let both = trained.iter().zip(&results);
        both.filter(move |(done, _)| done.seed == seed)
            .map(|(_, tallies)| tallies)
    };
    let databases = by_database(results.iter());
    Findings {
        model: config.name.clone(),
        parameters: trained.first().map_or(0, |done| done.parameters),
        spec_hash: format!("{:016x}", spec::HASH),
        config: config.clone(),
        pooled: all(&databases).report(&setting),
        databases: databases
            .into_iter()
            .map(|(database, tally)| (database, tally.report(&setting)))
            .collect(),
        folds: trained
            .iter()
            .zip(&results)
            .map(|(done, tallies)| {
                let tally = all(tallies);
                FoldFindings {
                    seed: done.seed,
                    fold: done.fold,
                    beats: tally.gross().table.reference_beats(),
                    headline: Headline::of(&tally),
                    training_s: done.training_s,
                    scoring_s: done.scoring_s,
                    int8: Int8Findings::of(dataset, [done], peaks),
                }
            })
            .collect(),
        seeds: plan
            .seeds
            .iter()
            .map(|&seed| SeedFindings {
                seed,
                databases: by_database(by_seed(seed))
                    .into_iter()
                    .map(|(database, tally)| (database, Headline::of(&tally)))
                    .collect(),
            })
            .collect(),
        splits: plan
            .splits
            .iter()
            .map(|records| names(dataset, records))
            .collect(),
        variants: Vec::new(),
        int8: Int8Findings::of(dataset, trained, peaks),
    }
}

/// The headlines of trainings whose classes `decide` names, by database; as [`findings`].
pub fn variant(
    dataset: &Dataset,
    plan: &Plan,
    trained: &[HeldOut],
    peaks: Peaks,
    context: &'static str,
    decide: impl Fn(&HeldOut, usize) -> Vec<Class>,
) -> Variant {
    let by_seed: Vec<BTreeMap<String, Tally>> = plan
        .seeds
        .iter()
        .map(|seed| {
            let of_seed: Vec<_> = trained
                .iter()
                .filter(|done| done.seed == *seed)
                .map(|done| tallies(dataset, done, peaks, |record| decide(done, record)))
                .collect();
            by_database(of_seed.iter())
        })
        .collect();
    let figures = by_database(by_seed.iter())
        .into_iter()
        .map(|(database, pooled)| {
            let seeds = by_seed.iter().map(|tallies| {
                let tally = tallies.get(&database);
                tally.and_then(|tally| Headline::of(tally).jk)
            });
            let figures = VariantFigures {
                headline: Headline::of(&pooled),
                seeds: seeds.collect(),
            };
            (database, figures)
        })
        .collect();
    Variant {
        peaks,
        context,
        databases: figures,
    }
}

/// One tally a database of what a training did not see, at `peaks`.
fn tallies(
    dataset: &Dataset,
    done: &HeldOut,
    peaks: Peaks,
    decide: impl Fn(usize) -> Vec<Class>,
) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for &index in done.logits.keys() {
        let record = &dataset.records[index];
        if record.peaks != peaks {
            continue;
        }
        let tally = tallies.entry(record.database.clone()).or_default();
        for (&class, found) in record.classes.iter().zip(decide(index)) {
            tally.add_beat(&record.name, class, found);
        }
    }
    tallies
}

/// The trainings' tallies, added up by database.
fn by_database<'a>(
    results: impl Iterator<Item = &'a BTreeMap<String, Tally>>,
) -> BTreeMap<String, Tally> {
    let mut pooled: BTreeMap<String, Tally> = BTreeMap::new();
    for (database, tally) in results.flatten() {
        pooled.entry(database.clone()).or_default().merge(tally);
    }
    pooled
}

/// All databases together.
fn all(tallies: &BTreeMap<String, Tally>) -> Tally {
    let mut pooled = Tally::new();
    for tally in tallies.values() {
        pooled.merge(tally);
    }
    pooled
}
