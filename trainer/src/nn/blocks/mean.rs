//! The mean over time or frequency.

use super::{Block, Parameters, ShapeError, sizes};
use crate::nn::onnx::{Attribute, Graph};
use tch::{Kind, Tensor};

/// The mean of each channel over its positions.
///
/// # Shapes
/// `[batch, channels, length]` to `[batch, channels]`.
#[derive(Debug)]
pub struct Mean {
    name: String,
    output_shape: [i64; 1],
}

impl Mean {
    /// For inputs of `[channels, length]`.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(parameters: &Parameters<'_>, input: &[i64]) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [channels, _] = sizes(&name, input, "[channels, length]")?;
        Ok(Self {
            name,
            output_shape: [channels],
        })
    }
}

impl Block for Mean {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.mean_dim(-1, false, None::<Kind>)
    }

    fn macs(&self) -> usize {
        0
    }

    /// `GlobalAveragePool`, and `Flatten` to drop the axis that it keeps.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let pool = format!("{}.pool", self.name);
        let mean = graph.node("GlobalAveragePool", &pool, &[input], vec![]);
        let axis = vec![Attribute::int("axis", 1)];
        graph.node("Flatten", &format!("{}.flat", self.name), &[&mean], axis)
    }
}
