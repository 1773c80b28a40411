//! Trains the beat network: what a step computes, where its batches come from, and what the result says of beats.

use super::config::Config;
use super::dataset::Dataset;
use super::network::Network;
use super::teacher::PseudoLabels;
use crate::config;
use crate::data::augment::{Augmenter, HostBatch};
use crate::data::record::Lead;
use crate::data::sampler::{BeatIndex, Sampler};
use crate::fit::device::Precision;
use crate::fit::training_loop::{self, Batches, Learner, Pass, Schedule};
use crate::nn::blocks::{Parameters, ShapeError};
use crate::nn::onnx::to_vec;
use crate::nn::rng::{Purpose, stream};
use heartlens::evaluate::tally::Tally;
use heartlens::runtime::argmax;
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use heartlens_core::views::View;
use rand::seq::IndexedRandom;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use tch::{Device, Kind, Reduction, Tensor};

/// A beat network in training.
pub type Trainer = training_loop::Trainer<Network>;

/// Logits of one beat, in the order of [`LABELS`].
pub type Logits = [f32; LABELS.len()];

/// Beats that are scored at once.
const SCORED_AT_ONCE: usize = 4096;
/// Beats that are kept out of training, to check the export on.
pub const PROBE_BEATS: usize = 256;

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

impl Batches<Network> for TrainingData<'_> {
    fn batch(&self, config: &Config, step: u32) -> HostBatch {
        let mut rng = stream(config.training.seed, Purpose::Batch, step);
        let count = config.training.batch;
        self.augmenter
            .batch(self.dataset, &self.sampler, count, &mut rng)
    }
}

impl Learner for Network {
    type Config = Config;
    type Batch = HostBatch;

    fn build(config: &Config, parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        Self::new(config, parameters)
    }

    fn schedule(config: &Config) -> Schedule {
        let training = &config.training;
        Schedule {
            seed: training.seed,
            steps: training.steps,
            learning_rate: training.learning_rate,
            warm_up: training.warm_up,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
            average: training.average,
        }
    }

    fn any(config: &Config) -> config::Config {
        config::Config::Beat(Box::new(config.clone()))
    }

    /// Cross entropy with smoothed labels; with that of auxiliary heads, where there are some.
    fn loss(&self, config: &Config, batch: &HostBatch, mut pass: Pass) -> Tensor {
        let views = batch.views().to_device(pass.device);
        let classes = batch.classes().to_device(pass.device);
        let views = match pass.precision {
            Precision::F32 => views,
            Precision::Bf16 => views.to_kind(Kind::BFloat16),
        };
        let logits = self.forward_training(&views, &mut pass.rng);
        let smoothing = config.training.label_smoothing;
        let cross_entropy = |logits: &Tensor| {
            let weights = None::<&Tensor>;
            let logits = logits.to_kind(Kind::Float);
            logits.cross_entropy_loss(&classes, weights, Reduction::Mean, -100, smoothing)
        };
        let mut loss = cross_entropy(&logits.fused);
        if !logits.auxiliary.is_empty() {
            let losses: Vec<Tensor> = logits.auxiliary.iter().map(cross_entropy).collect();
            loss += config.fusion.auxiliary * Tensor::stack(&losses, 0).mean(None::<Kind>);
        }
        loss
    }

    fn inputs(batch: &HostBatch) -> Vec<(&'static str, Tensor)> {
        let views = batch.views();
        let input = |view: View| (view.name(), views.get(view).shallow_clone());
        View::ALL.map(input).into()
    }

    fn is_auxiliary(variable: &str) -> bool {
        Self::is_auxiliary(variable)
    }
}

/// Trains the network of `config`, after its teacher where it has one: the one place where a student follows a teacher.
/// `train` trains one network with what its teacher says of recordings; `training` (indices into `dataset`) is what both may
/// learn from.
///
/// # Errors
/// Those of `train`.
pub fn teach_and_train<E>(
    config: &Config,
    dataset: &Dataset,
    training: &[usize],
    mut train: impl FnMut(&Config, &PseudoLabels) -> Result<Trainer, E>,
) -> Result<Trainer, E> {
    let labels = match (config.teacher(), &config.weak_labels) {
        (Some(teacher), Some(weak)) => {
            let teacher = train(&teacher, &PseudoLabels::default())?;
            let device = teacher.device();
            PseudoLabels::by(teacher.result(), device, dataset, training, weak)
        }
        _ => PseudoLabels::default(),
    };
    train(config, &labels)
}

impl Trainer {
    /// Classifies every beat of `records` in its first lead by the largest averaged logit. One tally a data base.
    pub fn score(&self, dataset: &Dataset, records: &[usize]) -> BTreeMap<String, Tally> {
        score(self.result(), self.device(), dataset, records)
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
