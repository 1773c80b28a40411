//! Fits a network: a fixed number of steps, the averaged weights as the result.

use crate::augment::{Augmenter, HostBatch};
use crate::blocks::{Parameters, ShapeError};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::Config;
use crate::dataset::{Dataset, Lead};
use crate::held_out::Logits;
use crate::network::Network;
use crate::onnx::to_vec;
use crate::optimizer::{AdamW, one_cycle, update_average};
use crate::sampler::{BeatIndex, Sampler};
use crate::streams::{Purpose, stream};
use heartlens::evaluate::tally::Tally;
use heartlens::runtime::argmax;
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use heartlens_core::views::View;
use rand::seq::IndexedRandom;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc;
use tch::{Device, Kind, Reduction, Tensor, nn};
use thiserror::Error;

/// Batches that are prepared ahead of the step that is running.
const PREPARED_BATCHES: usize = 4;
/// Beats that are scored at once.
const SCORED_AT_ONCE: usize = 4096;
/// Beats that are kept out of training, to check the export on.
pub const PROBE_BEATS: usize = 256;

/// Where a network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// On the GPU if there is one.
    #[default]
    Auto,
    /// On the GPU.
    Cuda,
    /// On the CPU.
    Cpu,
}

/// A name that is no device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("found device {0}, expected auto, cuda or cpu")]
pub struct UnknownDevice(String);

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        match text {
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            _ => Err(UnknownDevice(text.to_owned())),
        }
    }
}

/// There is no GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "no CUDA device: libtorch {} and finds {devices} devices; give --device cpu, or see to the driver and a libtorch with \
     CUDA",
    if *has_cuda { "was built with CUDA" } else { "was built without CUDA" }
)]
pub struct NoCuda {
    /// Whether the CUDA half of libtorch is there.
    pub has_cuda: bool,
    /// Devices that it finds.
    pub devices: i64,
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// If CUDA is asked for and not there.
    pub fn resolve(self) -> Result<Device, NoCuda> {
        let found = tch::Cuda::is_available();
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto if !found => Ok(Device::Cpu),
            Self::Cuda if !found => Err(NoCuda {
                has_cuda: tch::utils::has_cudart(),
                devices: tch::Cuda::device_count(),
            }),
            Self::Auto | Self::Cuda => Ok(Device::Cuda(0)),
        }
    }
}

/// Numbers that a network is trained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 throughout.
    #[default]
    F32,
    /// Forward and backward pass in bf16; weights, normalisation statistics, loss and optimiser in f32.
    Bf16,
}

/// A name that is no precision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("found precision {0}, expected f32 or bf16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(UnknownPrecision(text.to_owned())),
        }
    }
}

/// What a network is trained on.
#[derive(Debug)]
pub struct TrainingData<'a> {
    /// All beats.
    pub dataset: &'a Dataset,
    /// Draws the training beats.
    pub sampler: Sampler,
    /// Varies them.
    pub augmenter: &'a Augmenter,
}

/// What a step has done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, from 0.
    pub step: u32,
    /// Cross entropy of the batch, with smoothed labels; with that of auxiliary heads, where there are some.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A network in training: its weights, their average, and the optimiser's state.
#[derive(Debug)]
pub struct Trainer {
    config: Config,
    device: Device,
    weights: nn::VarStore,
    network: Network,
    average: nn::VarStore,
    average_network: Network,
    /// Averaged tensors and the ones they follow, in the same order.
    pairs: (Vec<Tensor>, Vec<Tensor>),
    optimizer: AdamW,
    precision: Precision,
    step: u32,
}

impl Trainer {
    /// The network of `config` at its start. Libtorch is told to compute on one thread: the operators of a network
    /// this small lose more by waiting for each other than they gain, and other trainings and the preparation of batches
    /// use the cores that are left.
    ///
    /// # Errors
    /// If the layers of `config` do not fit together.
    pub fn new(config: &Config, device: Device) -> Result<Self, ShapeError> {
        tch::set_num_threads(1);
        let build = || {
            let mut rng = stream(config.training.seed, Purpose::Weights, 0);
            let store = nn::VarStore::new(device);
            let network = Network::new(config, Parameters::new(&store, &mut rng))?;
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
            config.training.weight_decay,
            config.training.clip_norm,
        );
        Ok(Self {
            config: config.clone(),
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
    /// If it was trained with another config, or lacks something.
    pub fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        checkpoint.expect_config(&self.config)?;
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

    /// The training at this moment, to be written to `path`.
    pub fn checkpoint(&self, probe: &HostBatch, path: &Path) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(&self.config, self.step, path);
        checkpoint.insert_all("weights", self.weights.variables());
        checkpoint.insert_all("average", self.average.variables());
        let views = probe.views();
        let mut add = |name: String, tensor: &Tensor| {
            checkpoint.tensors.insert(name, tensor.shallow_clone());
        };
        add("optimizer.first".to_owned(), &self.optimizer.first);
        add("optimizer.second".to_owned(), &self.optimizer.second);
        for view in View::ALL {
            add(format!("probe.{}", view.name()), views.get(view));
        }
        checkpoint
    }

    /// Trainable parameters of the network, without those of auxiliary heads.
    pub fn parameter_count(&self) -> usize {
        let variables = self.weights.variables().into_iter();
        variables
            .filter(|(name, tensor)| tensor.requires_grad() && !Network::is_auxiliary(name))
            .map(|(_, tensor)| tensor.numel())
            .sum()
    }

    /// Steps done.
    pub fn steps_done(&self) -> u32 {
        self.step
    }

    /// The network with averaged weights: the result.
    pub fn result(&self) -> &Network {
        &self.average_network
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
        data: &TrainingData<'_>,
        until: u32,
        workers: usize,
        mut observe: impl FnMut(StepReport),
    ) {
        let until = until.min(self.config.training.steps);
        let (from, seed) = (self.step, self.config.training.seed);
        let count = self.config.training.batch;
        let workers = workers.max(1);
        std::thread::scope(|scope| {
            // Worker w prepares the steps w, w + workers, ...; they are taken in turn.
            let queues: Vec<mpsc::Receiver<HostBatch>> = (0..workers)
                .map(|worker| {
                    let (send, receive) = mpsc::sync_channel(PREPARED_BATCHES.div_ceil(workers));
                    scope.spawn(move || {
                        for step in (from..until).skip(worker).step_by(workers) {
                            let mut rng = stream(seed, Purpose::Batch, step);
                            let batch =
                                data.augmenter
                                    .batch(data.dataset, &data.sampler, count, &mut rng);
                            if send.send(batch).is_err() {
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
    pub fn step(&mut self, batch: &HostBatch) -> StepReport {
        let step = self.step;
        let training = &self.config.training;
        let learning_rate = one_cycle(
            step,
            training.steps,
            training.learning_rate,
            training.warm_up,
        );
        let views = batch.views().to_device(self.device);
        let classes = batch.classes().to_device(self.device);
        let views = match self.precision {
            Precision::F32 => views,
            Precision::Bf16 => views.to_kind(Kind::BFloat16),
        };
        let mut rng = stream(training.seed, Purpose::Dropout, step);
        let logits = self.network.forward_training(&views, &mut rng);
        let smoothing = training.label_smoothing;
        let cross_entropy = |logits: &Tensor| {
            let weights = None::<&Tensor>;
            let logits = logits.to_kind(Kind::Float);
            logits.cross_entropy_loss(&classes, weights, Reduction::Mean, -100, smoothing)
        };
        let mut loss = cross_entropy(&logits.fused);
        if !logits.auxiliary.is_empty() {
            let losses: Vec<Tensor> = logits.auxiliary.iter().map(cross_entropy).collect();
            loss += self.config.fusion.auxiliary * Tensor::stack(&losses, 0).mean(None::<Kind>);
        }
        loss.backward();
        self.optimizer.step(step, learning_rate);
        let (average, weights) = &mut self.pairs;
        update_average(average, weights, step, training.average);
        self.step = step + 1;
        StepReport {
            step,
            loss: loss.double_value(&[]),
            learning_rate,
        }
    }

    /// Classifies every beat of `records` in its first lead by the largest averaged logit. One tally a database.
    pub fn score(&self, dataset: &Dataset, records: &[usize]) -> BTreeMap<String, Tally> {
        score(&self.average_network, self.device, dataset, records)
    }
}

/// Threads that prepare batches for a training on `device`: one on a CPU, which prepares faster than the CPU trains and
/// leaves the other cores to other folds; all cores but one for a GPU, so that it does not wait.
pub fn workers(device: Device) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if device == Device::Cpu {
        1
    } else {
        (cores - 1).max(1)
    }
}

/// Classifies every beat of `records` (indices into `dataset`) in its first lead by the network's largest logit. One
/// tally a database.
pub fn score(
    network: &Network,
    device: Device,
    dataset: &Dataset,
    records: &[usize],
) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for &record in records {
        let logits = logits(network, device, dataset, record, Lead::First);
        let record = &dataset.records[record];
        let tally = tallies.entry(record.database.clone()).or_default();
        for (&class, logits) in record.classes.iter().zip(&logits) {
            tally.add_beat(&record.name, class, largest(logits));
        }
    }
    tallies
}

/// The class of the largest of a beat's logits or probabilities, the first of equals.
pub fn largest(values: &Logits) -> Class {
    Class::ALL[argmax(values)]
}

/// The network's logits of every beat of `record` (an index into `dataset`) in `lead`.
pub fn logits(
    network: &Network,
    device: Device,
    dataset: &Dataset,
    record: usize,
    lead: Lead,
) -> Vec<Logits> {
    let _no_grad = tch::no_grad_guard();
    let beats: Vec<BeatIndex> = (0..dataset.records[record].classes.len())
        .map(|beat| BeatIndex { record, beat })
        .collect();
    let mut logits = Vec::with_capacity(beats.len());
    for beats in beats.chunks(SCORED_AT_ONCE) {
        let parts: Vec<HostBatch> = beats
            .par_chunks(SCORED_AT_ONCE.div_ceil(16))
            .map(|beats| HostBatch::plain(dataset, beats, lead))
            .collect();
        for part in parts {
            let values = to_vec(&network.forward(&part.views().to_device(device), None));
            logits.extend_from_slice(values.as_chunks().0);
        }
    }
    logits
}

/// Beats of `records` to check the export on, to be kept out of training: a hundredth of each class at most, at most
/// [`PROBE_BEATS`] in all.
pub fn probe(dataset: &Dataset, records: &[usize], seed: u64) -> Vec<BeatIndex> {
    let mut rng = stream(seed, Purpose::Probe, 0);
    let mut chosen = HashSet::new();
    let mut probe = Vec::new();
    for class in Class::ALL.into_iter().take(LABELS.len()) {
        let of_class: Vec<BeatIndex> = records
            .iter()
            .flat_map(|&record| {
                let classes = dataset.records[record].classes.iter().enumerate();
                classes
                    .filter(move |(_, c)| **c == class)
                    .map(move |(beat, _)| BeatIndex { record, beat })
            })
            .collect();
        let count = (of_class.len() / 100).min(PROBE_BEATS / LABELS.len());
        for index in of_class.sample(&mut rng, count) {
            if chosen.insert(*index) {
                probe.push(*index);
            }
        }
    }
    probe
}
