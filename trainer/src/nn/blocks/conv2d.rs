//! Convolution over frequency and time, batch normalisation, ReLU, max pooling.

use super::{Block, Parameters, ShapeError, batch_norm::BatchNorm, initial_bound, sizes};
use crate::beat::config::Conv2dConfig;
use crate::nn::onnx::{Attribute, Graph};
use tch::Tensor;

/// A square 2-D convolution without bias, batch normalisation, ReLU, and a square max pooling whose stride is its
/// size (an incomplete window at the end is dropped). Half a kernel of zeros pads each side.
///
/// # Shapes
/// `[batch, channels_in, height, width]` to `[batch, channels_out, height / pool, width / pool]`.
#[derive(Debug)]
pub struct Conv2d {
    name: String,
    weight: Tensor,
    norm: BatchNorm,
    kernel: i64,
    pool: i64,
    /// Places that the kernel stands at.
    positions: i64,
    output_shape: [i64; 3],
}

impl Conv2d {
    /// For inputs of `[channels, height, width]`.
    ///
    /// # Errors
    /// If `input` is of another rank, or if the pooling would leave no row or no column of it.
    pub fn new(
        mut parameters: Parameters<'_>,
        input: &[i64],
        config: &Conv2dConfig,
    ) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [channels, height, width] = sizes(&name, input, "[channels, height, width]")?;
        if height < config.pool || width < config.pool {
            return Err(ShapeError {
                layer: name,
                found: input.to_vec(),
                expected: format!("{0} rows and {0} columns or more, its pooling", config.pool),
            });
        }
        let shape = [config.channels, channels, config.kernel, config.kernel];
        let fan_in = channels * config.kernel * config.kernel;
        Ok(Self {
            name,
            weight: parameters.uniform("weight", &shape, initial_bound(fan_in)),
            norm: BatchNorm::new(parameters.sub("norm"), config.channels),
            kernel: config.kernel,
            pool: config.pool,
            positions: height * width,
            output_shape: [config.channels, height / config.pool, width / config.pool],
        })
    }
}

impl Block for Conv2d {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let bias = None::<&Tensor>;
        let x = x.conv2d(
            &self.weight.to_kind(x.kind()),
            bias,
            1,
            self.kernel / 2,
            1,
            1,
        );
        let x = self.norm.forward(&x, train).relu();
        x.max_pool2d_default(self.pool)
    }

    fn macs(&self) -> usize {
        self.weight.numel() * self.positions as usize
    }

    /// `Conv` with the normalisation folded in, `Relu`, `MaxPool`.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let (weight, bias) = self.norm.fold(&self.weight);
        let weight = graph.constant(&format!("{}.weight", self.name), &weight);
        let bias = graph.constant(&format!("{}.bias", self.name), &bias);
        let conv = graph.node(
            "Conv",
            &format!("{}.conv", self.name),
            &[input, &weight, &bias],
            vec![
                Attribute::ints("kernel_shape", &[self.kernel; 2]),
                Attribute::ints("strides", &[1, 1]),
                Attribute::ints("pads", &[self.kernel / 2; 4]),
            ],
        );
        let relu = graph.node("Relu", &format!("{}.relu", self.name), &[&conv], vec![]);
        graph.node(
            "MaxPool",
            &format!("{}.pool", self.name),
            &[&relu],
            vec![
                Attribute::ints("kernel_shape", &[self.pool; 2]),
                Attribute::ints("strides", &[self.pool; 2]),
            ],
        )
    }
}
