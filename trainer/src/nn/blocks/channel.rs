//! One channel of several: the beat without its template.

use super::{Block, Parameters, ShapeError, sizes};
use crate::nn::onnx::Graph;
use tch::Tensor;

/// The first channel alone.
///
/// # Shapes
/// `[batch, channels, length]` to `[batch, 1, length]`.
#[derive(Debug)]
pub struct FirstChannel {
    name: String,
    output_shape: [i64; 2],
}

impl FirstChannel {
    /// For inputs of `[channels, length]`.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(parameters: &Parameters<'_>, input: &[i64]) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [_, length] = sizes(&name, input, "[channels, length]")?;
        Ok(Self {
            name,
            output_shape: [1, length],
        })
    }
}

impl Block for FirstChannel {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.narrow(1, 0, 1)
    }

    fn macs(&self) -> usize {
        0
    }

    /// `Slice` of axis 1 from 0 to 1.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let [start, end, axis] = [("start", 0), ("end", 1), ("axis", 1)]
            .map(|(name, value)| graph.integers(&format!("{}.{name}", self.name), &[value]));
        graph.node("Slice", &self.name, &[input, &start, &end, &axis], vec![])
    }
}
