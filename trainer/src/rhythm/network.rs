//! The network.
//!
//! ```text
//! intervals [N, 2, 24] -> LSTM -> Dense -> score [N, 1]
//! ```

use super::config::{Channel, Config};
use crate::nn::blocks::dense::Activation::Linear;
use crate::nn::blocks::dense::Dense;
use crate::nn::blocks::lstm::{Direction, Lstm};
use crate::nn::blocks::{Blocks, Parameters, ShapeError, Stack};
use crate::nn::onnx::Graph;
use heartlens_core::rhythm::Input;
use heartlens_core::spec::{RHYTHM_CHANNELS, RHYTHM_INTERVALS};
use tch::Tensor;

/// Name of the network's input.
pub const INPUT: &str = "intervals";
/// Name of its output.
pub const OUTPUT: &str = "score";
/// Shape of the input without the batch.
const SHAPE: [i64; 2] = [RHYTHM_CHANNELS as i64, RHYTHM_INTERVALS as i64];

/// The rhythm network.
#[derive(Debug)]
pub struct RhythmNetwork {
    blocks: Blocks,
    /// 1 for a channel that is read and 0 for one that is not, `[channels, 1]`; `None` where all are.
    mask: Option<Vec<f32>>,
}

impl RhythmNetwork {
    /// Builds the network of `config` with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    pub fn new(config: &Config, parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        let mut stack = Stack::new(parameters, &SHAPE);
        stack.push("lstm", |p, s| {
            Lstm::new(p, s, config.network.lstm, Direction::Forward)
        })?;
        stack.push("score", |p, s| Dense::new(p, s, 1, Linear))?;
        let (blocks, _) = stack.finish();
        let read = &config.network.channels;
        let mask = Channel::ALL.map(|channel| f32::from(u8::from(read.contains(&channel))));
        Ok(Self {
            blocks,
            mask: (mask != [1.0; Channel::ALL.len()]).then(|| mask.to_vec()),
        })
    }

    /// The mask as a tensor that an input can be multiplied by.
    fn mask(&self) -> Option<Tensor> {
        let mask = self.mask.as_deref()?;
        Some(Tensor::from_slice(mask).reshape([SHAPE[0], 1]))
    }

    /// Scores `[batch, 1]` of `[batch, 2, 24]`: logits of atrial fibrillation.
    pub fn forward(&self, intervals: &Tensor) -> Tensor {
        let x = match self.mask() {
            Some(mask) => intervals * mask.to_device(intervals.device()).to_kind(intervals.kind()),
            None => intervals.shallow_clone(),
        };
        let blocks = self.blocks.iter();
        blocks.fold(x, |x, block| block.forward(&x, false))
    }

    /// Writes input, nodes and output of the network into `graph`.
    pub(super) fn onnx(&self, graph: &mut Graph) {
        graph.input(INPUT, &SHAPE);
        let input = match self.mask() {
            Some(mask) => {
                let mask = graph.constant("mask", &mask);
                graph.node("Mul", "masked", &[INPUT, &mask], vec![])
            }
            None => INPUT.to_owned(),
        };
        let blocks = self.blocks.iter();
        let score = blocks.fold(input, |x, block| block.onnx(graph, &x));
        graph.output(OUTPUT, &score, &[1]);
    }
}

/// Inputs as a tensor `[batch, 2, 24]` on the CPU.
pub fn batch<'a>(inputs: impl Iterator<Item = &'a Input>) -> Tensor {
    let values: Vec<f32> = inputs.flatten().copied().collect();
    Tensor::from_slice(&values).reshape([-1, SHAPE[0], SHAPE[1]])
}
