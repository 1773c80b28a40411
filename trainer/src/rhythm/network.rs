//! The network, and its ONNX file.
//!
//! ```text
//! intervals [N, 2, 24] -> LSTM -> Dense -> score [N, 1]
//! ```

use super::config::RhythmConfig;
use crate::blocks::dense::Activation::Linear;
use crate::blocks::dense::Dense;
use crate::blocks::lstm::{Direction, Lstm};
use crate::blocks::{Blocks, Parameters, ShapeError, Stack};
use crate::onnx::Graph;
use heartlens::model::{NAME_KEY, SAMPLE_RATE_KEY, SPEC_HASH_KEY};
use heartlens_core::rhythm::Input;
use heartlens_core::spec::{RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS, SAMPLE_RATE_HZ};
use tch::Tensor;
use tract_onnx::pb::ModelProto;

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
}

impl RhythmNetwork {
    /// Builds the network of `config` with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    pub fn new(config: &RhythmConfig, parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        let mut stack = Stack::new(parameters, &SHAPE);
        stack.push("lstm", |p, s| {
            Lstm::new(p, s, config.network.lstm, Direction::Forward)
        })?;
        stack.push("score", |p, s| Dense::new(p, s, 1, Linear))?;
        let (blocks, _) = stack.finish();
        Ok(Self { blocks })
    }

    /// Scores `[batch, 1]` of `[batch, 2, 24]`: logits of atrial fibrillation.
    pub fn forward(&self, intervals: &Tensor) -> Tensor {
        let x = intervals.shallow_clone();
        let blocks = self.blocks.iter();
        blocks.fold(x, |x, block| block.forward(&x, false))
    }

    /// The network as an ONNX model.
    pub fn onnx(&self, config: &RhythmConfig) -> ModelProto {
        let mut graph = Graph::default();
        graph.input(INPUT, &SHAPE);
        let input = INPUT.to_owned();
        let blocks = self.blocks.iter();
        let score = blocks.fold(input, |x, block| block.onnx(&mut graph, &x));
        graph.output(OUTPUT, &score, &[1]);
        let producer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        let properties = [
            (NAME_KEY, config.name.clone()),
            (SAMPLE_RATE_KEY, SAMPLE_RATE_HZ.to_string()),
            (SPEC_HASH_KEY, format!("{RHYTHM_HASH:016x}")),
            ("producer", producer.to_owned()),
            (
                "notice",
                "research software, not for clinical use".to_owned(),
            ),
        ];
        graph.into_model(&config.name, &properties)
    }
}

/// Inputs as a tensor `[batch, 2, 24]` on the CPU.
pub fn batch<'a>(inputs: impl Iterator<Item = &'a Input>) -> Tensor {
    let values: Vec<f32> = inputs.flatten().copied().collect();
    Tensor::from_slice(&values).reshape([-1, SHAPE[0], SHAPE[1]])
}
