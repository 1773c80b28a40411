//! All of a beat's values in one row.

use super::Block;
use crate::nn::onnx::{Attribute, Graph};
use tch::Tensor;

/// Puts all axes but the batch into one, the last axis running fastest.
///
/// # Shapes
/// `[batch, a, b, ...]` to `[batch, a * b * ...]`.
#[derive(Debug)]
pub struct Flatten {
    name: String,
    output_shape: [i64; 1],
}

impl Flatten {
    /// For inputs of any shape.
    pub fn new(name: String, input: &[i64]) -> Self {
        Self {
            name,
            output_shape: [input.iter().product()],
        }
    }
}

impl Block for Flatten {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.flatten(1, -1)
    }

    fn macs(&self) -> usize {
        0
    }

    /// `Flatten` from axis 1.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        graph.node(
            "Flatten",
            &self.name,
            &[input],
            vec![Attribute::int("axis", 1)],
        )
    }
}
