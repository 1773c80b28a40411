//! The training loop of every task: a fixed number of steps, the averaged weights as the result.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::device::{Precision, workers};
use crate::config::Config;
use crate::nn::blocks::{Parameters, ShapeError};
use crate::nn::optimizer::{AdamW, one_cycle, update_average};
use crate::nn::rng::{Purpose, stream};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use tch::{Device, Tensor, nn};

/// Batches that are prepared ahead of the step that is running.
const PREPARED_BATCHES: usize = 4;

/// A network that can be trained.
pub trait Learner: std::fmt::Debug + Sized {
    /// What describes it and its training.
    type Config: Clone + PartialEq + std::fmt::Debug + Sync;
    /// What a step reads, on the host.
    type Batch: Send;

    /// The network with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    fn build(config: &Self::Config, parameters: Parameters<'_>) -> Result<Self, ShapeError>;

    /// How `config` trains it.
    fn schedule(config: &Self::Config) -> Schedule;

    /// The config as one of any task.
    fn any(config: &Self::Config) -> Config;

    /// The loss of a batch, a number, in a pass of training.
    fn loss(&self, config: &Self::Config, batch: &Self::Batch, pass: Pass) -> Tensor;

    /// What the network reads of a batch, on the CPU, by the names of its inputs.
    fn inputs(batch: &Self::Batch) -> Vec<(&'static str, Tensor)>;

    /// Whether a variable of this name belongs to the training alone.
    fn is_auxiliary(_variable: &str) -> bool {
        false
    }
}

/// Seed, optimiser and schedule of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Seed of everything random.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u32,
    /// Highest learning rate of the cycle.
    pub learning_rate: f64,
    /// Share of the steps in which the learning rate rises, 0..1.
    pub warm_up: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient.
    pub clip_norm: f64,
    /// Decay of the averaged weights, 0..1.
    pub average: f64,
}

/// One pass of training.
#[derive(Debug)]
pub struct Pass {
    /// Where it runs.
    pub device: Device,
    /// Its numbers.
    pub precision: Precision,
    /// Draws what dropout drops.
    pub rng: ChaCha8Rng,
}

/// Where batches come from.
pub trait Batches<N: Learner>: Sync {
    /// The batch of a step: the same for the same seed of `config` and step, whatever came before.
    fn batch(&self, config: &N::Config, step: u32) -> N::Batch;
}

/// What a step has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, from 0.
    pub step: u32,
    /// The loss of its batch.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A network in training: its weights, their average, and the optimiser's state.
#[derive(Debug)]
pub struct Trainer<N: Learner> {
    config: N::Config,
    schedule: Schedule,
    device: Device,
    weights: nn::VarStore,
    network: N,
    average: nn::VarStore,
    average_network: N,
    /// Averaged tensors and the ones they follow, in the same order.
    pairs: (Vec<Tensor>, Vec<Tensor>),
    optimizer: AdamW,
    precision: Precision,
    step: u32,
}

impl<N: Learner> Trainer<N> {
    /// The network of `config` at its start. Libtorch is told to compute on one thread: the operators of a network
    /// this small lose more by waiting for each other than they gain, and other trainings and the preparation of batches
    /// use the cores that are left.
    ///
    /// # Errors
    /// If the layers of `config` do not fit together.
    pub fn new(config: &N::Config, device: Device) -> Result<Self, ShapeError> {
        tch::set_num_threads(1);
        let schedule = N::schedule(config);
        let build = || {
            let mut rng = stream(schedule.seed, Purpose::Weights, 0);
            let store = nn::VarStore::new(device);
            let network = N::build(config, Parameters::new(&store, &mut rng))?;
            Ok((store, network))
        };
        let (weights, network) = build()?;
        let (average, average_network) = build()?;
        let sorted = |store: &nn::VarStore| {
            let mut variables: Vec<_> = store.variables().into_iter().collect();
            variables.sort_by(|(a, _), (b, _)| a.cmp(b));
            variables.into_iter().map(|(_, tensor)| tensor).collect()
        };
        let pairs = (sorted(&average), sorted(&weights));
        let optimizer = AdamW::new(
            weights.trainable_variables(),
            schedule.weight_decay,
            schedule.clip_norm,
        );
        Ok(Self {
            config: config.clone(),
            schedule,
            device,
            weights,
            network,
            average,
            average_network,
            pairs,
            optimizer,
            precision: Precision::default(),
            step: 0,
        })
    }

    /// Trains in these numbers from now on.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Continues where `checkpoint` was written.
    ///
    /// # Errors
    /// If it was trained with another config or precision, or lacks something.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        checkpoint.expect_precision(self.precision)?;
        self.take(checkpoint)
    }

    /// Takes the weights of `checkpoint`, whatever numbers it was trained in: to be used, not trained on.
    ///
    /// # Errors
    /// If it was trained with another config, or lacks something.
    pub fn take(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        checkpoint.expect_config(&N::any(&self.config))?;
        checkpoint.copy_into("weights", self.weights.variables())?;
        checkpoint.copy_into("average", self.average.variables())?;
        let state = [
            ("first".to_owned(), self.optimizer.first.shallow_clone()),
            ("second".to_owned(), self.optimizer.second.shallow_clone()),
        ];
        checkpoint.copy_into("optimizer", state.into())?;
        self.step = checkpoint.step;
        Ok(())
    }

    /// The training at this moment, to be written to `path`, with the batch that an export is checked on.
    pub fn checkpoint(&self, probe: &N::Batch, path: &Path) -> Checkpoint {
        let config = N::any(&self.config);
        let mut checkpoint = Checkpoint::new(config, self.step, self.precision, path);
        checkpoint.insert_all("weights", self.weights.variables());
        checkpoint.insert_all("average", self.average.variables());
        let state = [
            ("first", self.optimizer.first.shallow_clone()),
            ("second", self.optimizer.second.shallow_clone()),
        ];
        checkpoint.insert_all("optimizer", state);
        checkpoint.insert_all("probe", N::inputs(probe));
        checkpoint
    }

    /// What describes network and training.
    pub fn config(&self) -> &N::Config {
        &self.config
    }

    /// Where it trains.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Trainable parameters of the network, without those of auxiliary heads.
    pub fn parameter_count(&self) -> usize {
        let variables = self.weights.variables().into_iter();
        variables
            .filter(|(name, tensor)| tensor.requires_grad() && !N::is_auxiliary(name))
            .map(|(_, tensor)| tensor.numel())
            .sum()
    }

    /// Steps done.
    pub fn steps_done(&self) -> u32 {
        self.step
    }

    /// Whether the last step is done.
    pub fn is_done(&self) -> bool {
        self.step >= self.schedule.steps
    }

    /// The network with averaged weights: the result.
    pub fn result(&self) -> &N {
        &self.average_network
    }

    /// The averaged weights.
    pub fn average(&self) -> &nn::VarStore {
        &self.average
    }

    /// A copy of the averaged weights, which further steps leave alone.
    pub fn copy_of_average(&self) -> Vec<Tensor> {
        self.pairs.0.iter().map(Tensor::copy).collect()
    }

    /// Takes a [copy](Self::copy_of_average) back.
    pub fn set_average(&mut self, copy: &[Tensor]) {
        let _no_grad = tch::no_grad_guard();
        for (average, copy) in self.pairs.0.iter_mut().zip(copy) {
            average.copy_(copy);
        }
    }

    /// Trains up to step `until` (at most all steps), telling `observe` of each. Batches are prepared by `workers`
    /// threads meanwhile; the result does not depend on how many.
    pub fn run(
        &mut self,
        batches: &impl Batches<N>,
        until: u32,
        workers: usize,
        mut observe: impl FnMut(StepReport),
    ) {
        let until = until.min(self.schedule.steps);
        let from = self.step;
        let workers = workers.max(1);
        let config = self.config.clone();
        std::thread::scope(|scope| {
            // Worker w prepares the steps w, w + workers, ...; they are taken in turn.
            let queues: Vec<mpsc::Receiver<N::Batch>> = (0..workers)
                .map(|worker| {
                    let (send, receive) = mpsc::sync_channel(PREPARED_BATCHES.div_ceil(workers));
                    let config = &config;
                    scope.spawn(move || {
                        for step in (from..until).skip(worker).step_by(workers) {
                            if send.send(batches.batch(config, step)).is_err() {
                                break;
                            }
                        }
                    });
                    receive
                })
                .collect();
            for (queue, step) in queues.iter().cycle().zip(from..until) {
                // A worker ends early only by panicking, which the scope then passes on.
                let Ok(batch) = queue.recv() else { break };
                debug_assert_eq!(step, self.step);
                observe(self.step(&batch));
            }
        });
    }

    /// The next step, on `batch`.
    pub fn step(&mut self, batch: &N::Batch) -> StepReport {
        let step = self.step;
        let schedule = &self.schedule;
        let learning_rate = one_cycle(
            step,
            schedule.steps,
            schedule.learning_rate,
            schedule.warm_up,
        );
        let pass = Pass {
            device: self.device,
            precision: self.precision,
            rng: stream(schedule.seed, Purpose::Dropout, step),
        };
        let loss = self.network.loss(&self.config, batch, pass);
        loss.backward();
        self.optimizer.step(step, learning_rate);
        let (average, weights) = &mut self.pairs;
        update_average(average, weights, step, schedule.average);
        self.step = step + 1;
        StepReport {
            step,
            loss: loss.double_value(&[]),
            learning_rate,
        }
    }
}

/// What looks on, and may end a training.
pub trait Watch<N: Learner> {
    /// Why a training is given up.
    type Error;

    /// A step is done.
    fn step(&mut self, report: StepReport);

    /// A stretch of steps is done: go on or stop.
    ///
    /// # Errors
    /// If what is to be kept cannot be kept.
    fn pause(&mut self, trainer: &Trainer<N>) -> Result<ControlFlow<()>, Self::Error>;
}

/// Trains in stretches of `every` steps until the last step is done or `watch` says stop.
///
/// # Errors
/// That of `watch`.
pub fn train<N: Learner, W: Watch<N>>(
    trainer: &mut Trainer<N>,
    batches: &impl Batches<N>,
    every: u32,
    watch: &mut W,
) -> Result<(), W::Error> {
    let workers = workers(trainer.device());
    while !trainer.is_done() {
        let until = trainer.steps_done().saturating_add(every.max(1));
        trainer.run(batches, until, workers, |report| watch.step(report));
        if watch.pause(trainer)?.is_break() {
            break;
        }
    }
    Ok(())
}
