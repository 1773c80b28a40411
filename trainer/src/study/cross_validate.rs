//! How good is a config on records that it has not seen: every fold and seed trained, every beat scored once a seed.

use super::int8;
use super::logits_cache::{HeldOut, identity};
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::{Logits, Trainer, TrainingData, logits, teach_and_train};
use crate::beat::network::Network;
use crate::beat::teacher::PseudoLabels;
use crate::data::augment::Augmenter;
use crate::data::record::Lead;
use crate::data::sampler::{Sampler, SamplerError};
use crate::data::split::{SplitError, names};
use crate::fit::early_stopping::{self, Judge, Verdict};
use crate::fit::training_loop::{StepReport, Watch, train};
use crate::nn::blocks::ShapeError;
use heartlens::compile::CompileError;
use heartlens::runtime::ModelError;
use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;
use tch::{Device, Tensor};
use thiserror::Error;

/// A cross-validation that cannot be run.
#[derive(Debug, Error)]
pub enum CrossValidationError {
    /// The records cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The training records of a fold lack a class.
    #[error("fold {fold}: {source}")]
    Sampler {
        /// The fold.
        fold: usize,
        /// Why.
        source: SamplerError,
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

/// How a cross-validation is run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folds, from [`crate::data::split::split`].
    pub splits: Vec<Vec<usize>>,
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// Trainings that run at the same time.
    pub parallel: usize,
    /// Where they run.
    pub device: Device,
    /// Folder in which the logits of held-out records are kept; a training whose logits are there is not done again.
    pub keep: Option<PathBuf>,
    /// Whether the second lead is scored as well.
    pub second_lead: bool,
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
    let training = dataset.training(&config, held_out);
    let identity = identity(&config, dataset, &training, augmenter, plan.device);
    let kept = plan.keep.as_ref().map(|folder| {
        let held = names(dataset, held_out).join(" ");
        let hash = fnv(&format!("{identity}{held}"));
        folder.join(format!("{}-{seed}-{hash:016x}.safetensors", config.name))
    });
    // Of what was kept, nothing is lost when more is asked for.
    let (mut with_int8, mut with_second_lead) = (plan.int8, plan.second_lead);
    if let Some(path) = &kept
        && let Some(done) = HeldOut::read(path, &identity, dataset, held_out)
    {
        let (has_int8, has_second_lead) = (done.int8.is_some(), done.second_lead.is_some());
        if has_int8 >= with_int8 && has_second_lead >= with_second_lead {
            return Ok(HeldOut { fold, ..done });
        }
        with_int8 |= has_int8;
        with_second_lead |= has_second_lead;
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
    let score = |lead: Lead| -> BTreeMap<usize, Vec<Logits>> {
        let of = |&record: &usize| logits(trainer.result(), plan.device, dataset, record, lead);
        held_out
            .iter()
            .map(|record| (*record, of(record)))
            .collect()
    };
    let first = score(Lead::First);
    let second_lead = with_second_lead.then(|| score(Lead::Second));
    let scoring_s = start.elapsed().as_secs_f64();
    let int8 = if with_int8 {
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
        logits: first,
        second_lead,
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

/// Trains one network of `config` on `training` (indices into the data set's records), after its teacher where it has one,
/// stopping early where the config says so. `observe` hears of the steps of both. `fold` is named in errors.
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
    teach_and_train(config, dataset, training, |config, labels| {
        let data = (dataset, training, labels);
        fit_one(config, augmenter, data, fold, device, &mut observe)
    })
}

/// [`fit`] without a teacher.
fn fit_one(
    config: &Config,
    augmenter: &Augmenter,
    (dataset, training, labels): (&Dataset, &[usize], &PseudoLabels),
    fold: usize,
    device: Device,
    observe: impl FnMut(StepReport),
) -> Result<Trainer, CrossValidationError> {
    let early = config.training.early_stopping;
    let (training, judges) = match &early {
        Some(early) => early_stopping::hold_out(dataset, training, early, config.training.seed)?,
        None => (training.to_vec(), Vec::new()),
    };
    let sampler = Sampler::new(dataset, &training, &HashSet::new(), labels, config)
        .map_err(|source| CrossValidationError::Sampler { fold, source })?;
    let data = TrainingData {
        dataset,
        sampler,
        augmenter,
    };
    let mut trainer = Trainer::new(config, device)?;
    let mut watch = Quiet {
        observe,
        judge: Judge::by(dataset, &judges, early.map(|early| early.patience)),
        best: None,
    };
    let every = early.map_or(config.training.steps, |early| early.every);
    match train(&mut trainer, &data, every, &mut watch) {
        Ok(()) => {}
        Err(never) => match never {},
    }
    if let Some(best) = watch.best {
        trainer.set_average(&best);
    }
    Ok(trainer)
}

/// Looks on without keeping anything but the best weights, where there are records to judge by.
struct Quiet<'a, F> {
    observe: F,
    judge: Option<Judge<'a>>,
    best: Option<Vec<Tensor>>,
}

impl<F: FnMut(StepReport)> Watch<Network> for Quiet<'_, F> {
    type Error = Infallible;

    fn step(&mut self, report: StepReport) {
        (self.observe)(report);
    }

    fn pause(&mut self, trainer: &Trainer) -> Result<ControlFlow<()>, Infallible> {
        let Some(judge) = &mut self.judge else {
            return Ok(ControlFlow::Continue(()));
        };
        Ok(match judge.judge(trainer).1 {
            Verdict::Better => {
                self.best = Some(trainer.copy_of_average());
                ControlFlow::Continue(())
            }
            Verdict::Wait => ControlFlow::Continue(()),
            Verdict::Stop => ControlFlow::Break(()),
        })
    }
}

/// FNV-1a, 64 bit.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
