//! Trains the rhythm network: what a step computes, and where its batches come from.

use super::config::Config;
use super::dataset::Recording;
use super::ectopy;
use super::network::{INPUT, RhythmNetwork, batch};
use crate::config;
use crate::data::weak_labels::Rhythm;
use crate::fit::device::Precision;
use crate::fit::training_loop::{self, Batches, Learner, Pass, Schedule, StepReport};
use crate::nn::blocks::{Parameters, ShapeError};
use crate::nn::rng::{Purpose, stream};
use heartlens_core::rhythm::{Input, NetworkError};
use rand::RngExt;
use tch::{Device, Kind, Reduction, Tensor};
use thiserror::Error;

/// Windows at most that an export is checked on.
const PROBE_WINDOWS: usize = 256;

/// A rhythm network in training.
pub type Trainer = training_loop::Trainer<RhythmNetwork>;

/// A rhythm that is to be drawn does not occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "found no recording of {rhythm:?} with enough beats among {records}, but the sampler draws some"
)]
pub struct NoRecordings {
    /// The rhythm.
    pub rhythm: Rhythm,
    /// How many recordings there are.
    pub records: usize,
}

/// A training of the rhythm network that cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// The recordings lack a rhythm.
    #[error(transparent)]
    Data(#[from] NoRecordings),
    /// The config's layers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The trained network cannot be run.
    #[error("the trained network: {0}")]
    Network(#[from] NetworkError),
}

/// Windows of a batch, and which of them are of fibrillation: 1 or 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Windows {
    /// What the network reads.
    pub inputs: Vec<Input>,
    /// One a window.
    pub truth: Vec<f32>,
}

/// What a network is trained on.
#[derive(Debug)]
pub struct TrainingData<'a> {
    pools: Pools<'a>,
    /// Recordings in sinus rhythm that ectopic beats can be put in.
    sinus: Vec<&'a Recording>,
}

impl<'a> TrainingData<'a> {
    /// Draws from `recordings` as `config` says.
    ///
    /// # Errors
    /// If no recording has a rhythm that the sampler draws.
    pub fn new(config: &Config, recordings: &[&'a Recording]) -> Result<Self, NoRecordings> {
        Ok(Self {
            pools: pools(config, recordings)?,
            sinus: sinus(config, recordings)?,
        })
    }
}

impl Batches<RhythmNetwork> for TrainingData<'_> {
    fn batch(&self, config: &Config, step: u32) -> Windows {
        let mut rng = stream(config.training.seed, Purpose::Batch, step);
        let mut windows = Windows::default();
        for (pool, count, is_fibrillation) in &self.pools {
            for _ in 0..*count {
                let recording = pool[rng.random_range(0..pool.len())];
                let window = rng.random_range(0..recording.windows.len());
                windows.inputs.push(recording.windows[window]);
                windows.truth.push(f32::from(u8::from(*is_fibrillation)));
            }
        }
        for _ in 0..config.sampler.ectopic {
            let recording = self.sinus[rng.random_range(0..self.sinus.len())];
            let share = config.sampler.ectopic_share;
            let made = ectopy::window(&recording.intervals_s, share, &mut rng);
            windows.inputs.extend(made);
        }
        windows.truth.resize(windows.inputs.len(), 0.0);
        windows
    }
}

impl Learner for RhythmNetwork {
    type Config = Config;
    type Batch = Windows;

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
        config::Config::Rhythm(Box::new(config.clone()))
    }

    /// Binary cross entropy.
    fn loss(&self, _config: &Config, windows: &Windows, pass: Pass) -> Tensor {
        let intervals = batch(windows.inputs.iter()).to_device(pass.device);
        let intervals = match pass.precision {
            Precision::F32 => intervals,
            Precision::Bf16 => intervals.to_kind(Kind::BFloat16),
        };
        let scores = self.forward(&intervals).squeeze_dim(1);
        scores
            .to_kind(Kind::Float)
            .binary_cross_entropy_with_logits(
                &Tensor::from_slice(&windows.truth).to_device(pass.device),
                None::<&Tensor>,
                None::<&Tensor>,
                Reduction::Mean,
            )
    }

    fn inputs(windows: &Windows) -> Vec<(&'static str, Tensor)> {
        vec![(INPUT, batch(windows.inputs.iter()))]
    }
}

/// Windows to check an export on: the last one of some recordings, evenly spread.
pub fn probe(recordings: &[Recording]) -> Windows {
    let last = recordings
        .iter()
        .filter_map(|recording| recording.windows.last());
    let inputs: Vec<Input> = last
        .step_by(recordings.len().div_ceil(PROBE_WINDOWS).max(1))
        .copied()
        .collect();
    Windows {
        truth: vec![0.0; inputs.len()],
        inputs,
    }
}

/// Trains on `recordings`; `observe` hears of each step.
///
/// # Errors
/// If no recording has a rhythm that the sampler draws, or the layers do not fit together.
pub fn fit(
    config: &Config,
    recordings: &[&Recording],
    device: Device,
    observe: impl FnMut(StepReport),
) -> Result<Trainer, FitError> {
    let data = TrainingData::new(config, recordings)?;
    let mut trainer = Trainer::new(config, device)?;
    // Batches are a small part of the work.
    trainer.run(&data, config.training.steps, 1, observe);
    Ok(trainer)
}

/// The recordings in sinus rhythm that ectopic beats can be put in.
fn sinus<'a>(
    config: &Config,
    recordings: &[&'a Recording],
) -> Result<Vec<&'a Recording>, NoRecordings> {
    let fits = |recording: &&&Recording| {
        recording.rhythm == Rhythm::Normal
            && recording.intervals_s.len() >= ectopy::FEWEST_INTERVALS
    };
    let sinus: Vec<&Recording> = recordings.iter().filter(fits).copied().collect();
    if config.sampler.ectopic > 0 && sinus.is_empty() {
        return Err(NoRecordings {
            rhythm: Rhythm::Normal,
            records: recordings.len(),
        });
    }
    Ok(sinus)
}

/// The recordings of each rhythm that have a window, how many are drawn of them, and whether that is fibrillation.
type Pools<'a> = Vec<(Vec<&'a Recording>, usize, bool)>;

fn pools<'a>(config: &Config, recordings: &[&'a Recording]) -> Result<Pools<'a>, NoRecordings> {
    let sampler = &config.sampler;
    let mut pools = Vec::new();
    for (rhythm, count) in [
        (Rhythm::Fibrillation, sampler.fibrillation),
        (Rhythm::Normal, sampler.normal),
        (Rhythm::Other, sampler.other),
    ] {
        let pool: Vec<&Recording> = recordings
            .iter()
            .filter(|recording| recording.rhythm == rhythm && !recording.windows.is_empty())
            .copied()
            .collect();
        if count > 0 && pool.is_empty() {
            return Err(NoRecordings {
                rhythm,
                records: recordings.len(),
            });
        }
        if count > 0 {
            pools.push((pool, count, rhythm == Rhythm::Fibrillation));
        }
    }
    Ok(pools)
}
