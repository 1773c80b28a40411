//! Fits the rhythm network: some seconds on one core, so that nothing is kept on the way.

use super::config::RhythmConfig;
use super::dataset::{Recording, Rhythm, RhythmDataError};
use super::ectopy;
use super::network::{RhythmNetwork, batch};
use crate::blocks::{Parameters, ShapeError};
use crate::onnx::to_vec;
use crate::optimizer::{AdamW, one_cycle, update_average};
use crate::streams::{Purpose, stream};
use heartlens_core::rhythm::{self, Input};
use heartlens_core::spec::{RHYTHM_CHANNELS, RHYTHM_HASH};
use rand::RngExt;
use tch::{Device, Reduction, Tensor, nn};
use thiserror::Error;

/// Gates of a cell.
const GATES: usize = 4;

/// A training of the rhythm network that cannot be run.
#[derive(Debug, Error)]
pub enum RhythmTrainError {
    /// The recordings lack a rhythm.
    #[error(transparent)]
    Data(#[from] RhythmDataError),
    /// The config's layers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The trained network cannot be run.
    #[error("the trained network: {0}")]
    Network(#[from] rhythm::NetworkError),
}

/// A trained rhythm network: its averaged weights.
#[derive(Debug)]
pub struct TrainedRhythm {
    weights: nn::VarStore,
    network: RhythmNetwork,
}

impl TrainedRhythm {
    /// Trains on `recordings`; `observe` hears of each step's loss.
    ///
    /// # Errors
    /// If no recording has a rhythm that the sampler draws, or the layers do not fit together.
    pub fn fit(
        config: &RhythmConfig,
        recordings: &[&Recording],
        mut observe: impl FnMut(u32, f64),
    ) -> Result<Self, RhythmTrainError> {
        tch::set_num_threads(1);
        let training = &config.training;
        let pools = pools(config, recordings)?;
        let sinus = sinus(config, recordings)?;
        let build = || -> Result<_, ShapeError> {
            let mut rng = stream(training.seed, Purpose::Weights, 0);
            let store = nn::VarStore::new(Device::Cpu);
            let network = RhythmNetwork::new(config, Parameters::new(&store, &mut rng))?;
            Ok((store, network))
        };
        let (current, network) = build()?;
        let (weights, averaged) = build()?;
        let mut average = sorted(&weights);
        let follows = sorted(&current);
        let parameters = current.trainable_variables();
        let mut optimizer = AdamW::new(parameters, training.weight_decay, training.clip_norm);
        for step in 0..training.steps {
            let mut rng = stream(training.seed, Purpose::Batch, step);
            let mut windows: Vec<Input> = Vec::new();
            let mut truth: Vec<f32> = Vec::new();
            for (pool, count, is_fibrillation) in &pools {
                for _ in 0..*count {
                    let recording = pool[rng.random_range(0..pool.len())];
                    let window = rng.random_range(0..recording.windows.len());
                    windows.push(recording.windows[window]);
                    truth.push(f32::from(u8::from(*is_fibrillation)));
                }
            }
            for _ in 0..config.sampler.ectopic {
                let recording = sinus[rng.random_range(0..sinus.len())];
                let share = config.sampler.ectopic_share;
                windows.extend(ectopy::window(&recording.intervals_s, share, &mut rng));
            }
            truth.resize(windows.len(), 0.0);
            let scores = network.forward(&batch(windows.iter())).squeeze_dim(1);
            let loss = scores.binary_cross_entropy_with_logits(
                &Tensor::from_slice(&truth),
                None::<&Tensor>,
                None::<&Tensor>,
                Reduction::Mean,
            );
            loss.backward();
            let rate = one_cycle(
                step,
                training.steps,
                training.learning_rate,
                training.warm_up,
            );
            optimizer.step(step, rate);
            update_average(&mut average, &follows, step, training.average);
            observe(step, loss.double_value(&[]));
        }
        Ok(Self {
            weights,
            network: averaged,
        })
    }

    /// The network.
    pub fn network(&self) -> &RhythmNetwork {
        &self.network
    }

    /// Trainable parameters.
    pub fn parameter_count(&self) -> usize {
        let variables = self.weights.trainable_variables();
        variables.iter().map(Tensor::numel).sum()
    }

    /// The network's image, as `docs/rhythm-image.md` has it.
    pub fn image(&self) -> Vec<u8> {
        let variables = self.weights.variables();
        let of = |name: &str| variables.get(name).map(to_vec).unwrap_or_default();
        let (input, recurrent) = (of("lstm.forward.input"), of("lstm.forward.recurrent"));
        // Of the two biases only the sum matters.
        let biases: Vec<f32> = of("lstm.forward.input_bias")
            .into_iter()
            .zip(of("lstm.forward.recurrent_bias"))
            .map(|(a, b)| a + b)
            .collect();
        let score = of("score.weight");
        let cells = score.len();
        // libtorch keeps gate by gate, the image cell by cell.
        let mut weights = Vec::new();
        for row in (0..cells).flat_map(|cell| (0..GATES).map(move |gate| gate * cells + cell)) {
            weights.push(biases[row]);
            weights.extend(&input[row * RHYTHM_CHANNELS..][..RHYTHM_CHANNELS]);
            weights.extend(&recurrent[row * cells..][..cells]);
        }
        weights.extend(of("score.bias"));
        weights.extend(score);
        let largest = weights
            .iter()
            .fold(f32::MIN_POSITIVE, |a, w| a.max(w.abs()));
        let scale = largest / f32::from(i16::MAX);

        let mut image = rhythm::MAGIC.to_vec();
        image.extend(rhythm::VERSION.to_le_bytes());
        image.extend(RHYTHM_HASH.to_le_bytes());
        image.extend((cells as u32).to_le_bytes());
        image.extend(scale.to_le_bytes());
        let integers = weights.iter().map(|weight| (weight / scale).round() as i16);
        image.extend(integers.flat_map(i16::to_le_bytes));
        image.resize(image.len().next_multiple_of(4), 0);
        image.extend(rhythm::checksum(&image).to_le_bytes());
        image
    }
}

/// The store's tensors in the order of their names.
fn sorted(store: &nn::VarStore) -> Vec<Tensor> {
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    variables.into_iter().map(|(_, tensor)| tensor).collect()
}

/// The recordings in sinus rhythm that ectopic beats can be put in.
fn sinus<'a>(
    config: &RhythmConfig,
    recordings: &[&'a Recording],
) -> Result<Vec<&'a Recording>, RhythmDataError> {
    let fits = |recording: &&&Recording| {
        recording.rhythm == Rhythm::Normal
            && recording.intervals_s.len() >= ectopy::FEWEST_INTERVALS
    };
    let sinus: Vec<&Recording> = recordings.iter().filter(fits).copied().collect();
    if config.sampler.ectopic > 0 && sinus.is_empty() {
        return Err(RhythmDataError::Nothing {
            rhythm: Rhythm::Normal,
            records: recordings.len(),
        });
    }
    Ok(sinus)
}

/// The recordings of each rhythm that have a window, how many are drawn of them, and whether that is fibrillation.
type Pools<'a> = Vec<(Vec<&'a Recording>, usize, bool)>;

fn pools<'a>(
    config: &RhythmConfig,
    recordings: &[&'a Recording],
) -> Result<Pools<'a>, RhythmDataError> {
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
            return Err(RhythmDataError::Nothing {
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
