//! Convolution along time or frequency, batch normalisation, ReLU.

use super::{Block, Parameters, ShapeError, batch_norm::BatchNorm, initial_bound, sizes};
use crate::beat::config::Conv1dConfig;
use crate::nn::onnx::{Attribute, Graph};
use tch::Tensor;

/// A 1-D convolution without bias, batch normalisation and ReLU. Half a kernel of zeros pads each end.
///
/// # Shapes
/// `[batch, channels_in, length]` to `[batch, channels_out, (length - 1) / stride + 1]`.
#[derive(Debug)]
pub struct Conv1d {
    name: String,
    weight: Tensor,
    norm: BatchNorm,
    kernel: i64,
    stride: i64,
    output_shape: [i64; 2],
}

impl Conv1d {
    /// For inputs of `[channels, length]`.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(
        mut parameters: Parameters<'_>,
        input: &[i64],
        config: &Conv1dConfig,
    ) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [channels, length] = sizes(&name, input, "[channels, length]")?;
        let shape = [config.channels, channels, config.kernel];
        Ok(Self {
            name,
            weight: parameters.uniform("weight", &shape, initial_bound(channels * config.kernel)),
            norm: BatchNorm::new(parameters.sub("norm"), config.channels),
            kernel: config.kernel,
            stride: config.stride,
            output_shape: [config.channels, (length - 1) / config.stride + 1],
        })
    }
}

impl Block for Conv1d {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let bias = None::<&Tensor>;
        let x = x.conv1d(
            &self.weight.to_kind(x.kind()),
            bias,
            self.stride,
            self.kernel / 2,
            1,
            1,
        );
        self.norm.forward(&x, train).relu()
    }

    fn macs(&self) -> usize {
        self.weight.numel() * self.output_shape[1] as usize
    }

    /// `Conv` with the normalisation folded in, `Relu`.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let (weight, bias) = self.norm.fold(&self.weight);
        let weight = graph.constant(&format!("{}.weight", self.name), &weight);
        let bias = graph.constant(&format!("{}.bias", self.name), &bias);
        let pad = self.kernel / 2;
        let conv = graph.node(
            "Conv",
            &format!("{}.conv", self.name),
            &[input, &weight, &bias],
            vec![
                Attribute::ints("kernel_shape", &[self.kernel]),
                Attribute::ints("strides", &[self.stride]),
                Attribute::ints("pads", &[pad, pad]),
            ],
        );
        graph.node("Relu", &format!("{}.relu", self.name), &[&conv], vec![])
    }
}
