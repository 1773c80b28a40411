//! Trains the strip network: what a step computes, and where its batches come from.

use super::config::Config;
use super::dataset::Recording;
use super::network::{StripNetwork, batch};
use crate::config;
use crate::fit::device::Precision;
use crate::fit::training_loop::{self, Batches, Learner, Pass, Schedule, StepReport};
use crate::nn::blocks::{Parameters, ShapeError};
use crate::nn::rng::{Purpose, stream};
use heartlens_core::spec::{STRIP_AVERAGE_LEN, STRIP_BEATS, STRIP_LABELS};
use heartlens_core::strip::{StripView, StripViews};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, Kind, Reduction, Tensor};
use thiserror::Error;

/// Windows at most that an export is checked on.
const PROBE_WINDOWS: usize = 256;
/// Channels of the beats' view that hold intervals: those that noise is added to.
const INTERVAL_CHANNELS: std::ops::Range<usize> = 1..4;

/// A strip network in training.
pub type Trainer = training_loop::Trainer<StripNetwork>;

/// A training of the strip network that cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// No recording has a window.
    #[error("found no recording of 4 s or more among {records}")]
    NoWindows {
        /// How many recordings there are.
        records: usize,
    },
    /// The config's layers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Windows of a batch, and their classes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Windows {
    /// What the network reads.
    pub views: Vec<StripViews>,
    /// One a window, a place in [`STRIP_LABELS`].
    pub classes: Vec<i64>,
}

/// What a network is trained on.
#[derive(Debug)]
pub struct TrainingData<'a> {
    recordings: Vec<&'a Recording>,
    /// The sum of the weights up to each recording.
    cumulative: Vec<f64>,
}

impl<'a> TrainingData<'a> {
    /// The recordings that have a window.
    ///
    /// # Errors
    /// If none has.
    pub fn new(config: &Config, recordings: &[&'a Recording]) -> Result<Self, FitError> {
        let usable = recordings.iter().filter(|r| !r.windows.is_empty());
        let usable: Vec<&Recording> = usable.copied().collect();
        if usable.is_empty() {
            return Err(FitError::NoWindows {
                records: recordings.len(),
            });
        }
        let mut counts = [0_u32; STRIP_LABELS.len()];
        for recording in &usable {
            counts[recording.class] += 1;
        }
        let mut sum = 0.0;
        let weight = |recording: &&Recording| {
            sum += f64::from(counts[recording.class]).powf(-config.sampler.balance);
            sum
        };
        let cumulative = usable.iter().map(weight).collect();
        Ok(Self {
            recordings: usable,
            cumulative,
        })
    }

    fn draw(&self, config: &Config, rng: &mut ChaCha8Rng) -> (StripViews, usize) {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let at = rng.random_range(0.0..total);
        let index = self.cumulative.partition_point(|sum| *sum <= at);
        let recording = self.recordings[index.min(self.recordings.len() - 1)];
        let count = recording.windows.len() + recording.others.len();
        let place = rng.random_range(0..count);
        let mut windows = recording.windows.iter().chain(&recording.others);
        let mut views = windows.nth(place).cloned().unwrap_or(StripViews::ZERO);
        augment(&mut views, config, rng);
        (views, recording.class)
    }
}

/// Turns the electrodes round in every second window, adds noise, and leaves views out.
fn augment(views: &mut StripViews, config: &Config, rng: &mut ChaCha8Rng) {
    let augmentation = &config.augmentation;
    if rng.random_bool(0.5) {
        let average = views.average.iter_mut().take(STRIP_AVERAGE_LEN);
        average.for_each(|x| *x = -*x);
    }
    let mut add = |x: &mut f32| {
        let noise: f64 = StandardNormal.sample(rng);
        *x += (augmentation.noise * noise) as f32;
    };
    views.statistics.iter_mut().for_each(&mut add);
    let (channels, _) = views.beats.as_chunks_mut::<STRIP_BEATS>();
    if let Some((there, values)) = channels.split_first_mut() {
        let intervals = &mut values[INTERVAL_CHANNELS.start - 1..INTERVAL_CHANNELS.end - 1];
        for (x, there) in intervals.iter_mut().flat_map(|x| x.iter_mut().zip(&*there)) {
            if *there > 0.0 {
                add(x);
            }
        }
    }
    for view in StripView::ALL {
        if config.views.len() > 1 && rng.random_bool(augmentation.view_dropout) {
            views.get_mut(view).fill(0.0);
        }
    }
}

impl Batches<StripNetwork> for TrainingData<'_> {
    fn batch(&self, config: &Config, step: u32) -> Windows {
        let mut rng = stream(config.training.seed, Purpose::Batch, step);
        let mut windows = Windows::default();
        for _ in 0..config.training.batch {
            let (views, class) = self.draw(config, &mut rng);
            windows.views.push(views);
            windows.classes.push(class as i64);
        }
        windows
    }
}

impl Learner for StripNetwork {
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
        config::Config::Strip(Box::new(config.clone()))
    }

    /// Cross entropy with smoothed labels.
    fn loss(&self, config: &Config, windows: &Windows, mut pass: Pass) -> Tensor {
        let kind = match pass.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let views =
            batch(windows.views.iter()).map(|view| view.to_device(pass.device).to_kind(kind));
        let logits = self
            .forward(&views, Some(&mut pass.rng))
            .to_kind(Kind::Float);
        logits.cross_entropy_loss::<Tensor>(
            &Tensor::from_slice(&windows.classes).to_device(pass.device),
            None,
            Reduction::Mean,
            -100,
            config.training.label_smoothing,
        )
    }

    fn inputs(windows: &Windows) -> Vec<(&'static str, Tensor)> {
        let names = StripView::ALL.map(StripView::name);
        names.into_iter().zip(batch(windows.views.iter())).collect()
    }
}

/// Windows to check an export on: the last one of some recordings, evenly spread.
pub fn probe(recordings: &[Recording]) -> Windows {
    let last = recordings
        .iter()
        .filter_map(|recording| recording.windows.last());
    let views: Vec<StripViews> = last
        .step_by(recordings.len().div_ceil(PROBE_WINDOWS).max(1))
        .cloned()
        .collect();
    Windows {
        classes: vec![0; views.len()],
        views,
    }
}

/// Trains on `recordings`; `observe` hears of each step.
///
/// # Errors
/// If no recording has a window, or the layers do not fit together.
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
