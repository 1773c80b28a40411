//! A fully connected layer.

use super::{Block, Parameters, ShapeError, initial_bound, sizes};
use crate::nn::onnx::{Attribute, Graph};
use tch::Tensor;

/// What follows the matrix product of a dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing: the layer's output is its product.
    Linear,
    /// max(0, x).
    Relu,
}

/// A matrix product with bias, then the activation.
///
/// # Shapes
/// `[batch, inputs]` to `[batch, outputs]`.
#[derive(Debug)]
pub struct Dense {
    name: String,
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
    /// In use the output is this many times that in training.
    gain: f64,
    output_shape: [i64; 1],
}

impl Dense {
    /// For inputs of `[features]`.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(
        mut parameters: Parameters<'_>,
        input: &[i64],
        outputs: i64,
        activation: Activation,
    ) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [inputs] = sizes(&name, input, "[features]")?;
        let bound = initial_bound(inputs);
        Ok(Self {
            name,
            weight: parameters.uniform("weight", &[outputs, inputs], bound),
            bias: parameters.uniform("bias", &[outputs], bound),
            activation,
            gain: 1.0,
            output_shape: [outputs],
        })
    }

    /// The same layer, whose output in use is divided by `temperature`; in training it is not.
    #[must_use]
    pub fn cooled(self, temperature: f64) -> Self {
        Self {
            gain: 1.0 / temperature,
            ..self
        }
    }

    /// Weight and bias in use.
    fn in_use(&self) -> [Tensor; 2] {
        [&self.weight, &self.bias].map(|w| w * self.gain)
    }

    /// The same layer, deaf to its last `count` inputs: their weights are zero, and stay zero under any optimiser as
    /// long as those inputs are zero in training.
    #[must_use]
    pub fn ignoring_last(self, count: i64) -> Self {
        let inputs = self.weight.size()[1];
        tch::no_grad(|| {
            let _ = self.weight.narrow(1, inputs - count, count).zero_();
        });
        self
    }
}

impl Block for Dense {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [weight, bias] = match train {
            true => [&self.weight, &self.bias].map(|w| w.to_kind(x.kind())),
            false => self.in_use().map(|w| w.to_kind(x.kind())),
        };
        let x = x.linear(&weight, Some(&bias));
        match self.activation {
            Activation::Linear => x,
            Activation::Relu => x.relu(),
        }
    }

    fn macs(&self) -> usize {
        self.weight.numel()
    }

    /// `Gemm`, and `Relu` if it has one.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let [weight, bias] = self.in_use();
        let weight = graph.constant(&format!("{}.weight", self.name), &weight);
        let bias = graph.constant(&format!("{}.bias", self.name), &bias);
        let product = graph.node(
            "Gemm",
            &format!("{}.gemm", self.name),
            &[input, &weight, &bias],
            vec![Attribute::int("transB", 1)],
        );
        match self.activation {
            Activation::Linear => product,
            Activation::Relu => {
                graph.node("Relu", &format!("{}.relu", self.name), &[&product], vec![])
            }
        }
    }
}
