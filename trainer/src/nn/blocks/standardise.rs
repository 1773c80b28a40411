//! Every beat by itself: its own mean and standard deviation taken out.

use super::{Block, Parameters, ShapeError, sizes};
use crate::nn::onnx::{Attribute, Graph};
use tch::Tensor;

/// Added to the variance before its root.
const EPSILON: f64 = 1e-5;

/// Each channel of each example less its mean over the positions, divided by sqrt(var + 1e-5) over the positions (z-score;
/// instance normalisation without gain, Ulyanov et al. 2016).
///
/// # Shapes
/// `[batch, channels, length]` to the same.
#[derive(Debug)]
pub struct Standardise {
    name: String,
    output_shape: [i64; 2],
}

impl Standardise {
    /// For inputs of `[channels, length]`.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(parameters: &Parameters<'_>, input: &[i64]) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let output_shape = sizes(&name, input, "[channels, length]")?;
        Ok(Self { name, output_shape })
    }
}

impl Block for Standardise {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        let none = None::<&Tensor>;
        x.instance_norm(none, none, none, none, true, 0.0, EPSILON, false)
    }

    fn macs(&self) -> usize {
        0
    }

    /// `InstanceNormalization` with gain 1 and offset 0.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let channels = [self.output_shape[0]];
        let float = (tch::Kind::Float, tch::Device::Cpu);
        let gain = Tensor::ones(channels, float);
        let gain = graph.constant(&format!("{}.gain", self.name), &gain);
        let offset = Tensor::zeros(channels, float);
        let offset = graph.constant(&format!("{}.offset", self.name), &offset);
        graph.node(
            "InstanceNormalization",
            &self.name,
            &[input, &gain, &offset],
            vec![Attribute::float("epsilon", EPSILON as f32)],
        )
    }
}
