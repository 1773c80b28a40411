//! The blocks that a network is built of, one file each: the libtorch forward and its ONNX nodes side by side.
//!
//! A block is created at a place in the parameter tree ([`Parameters`]), knows its shapes from then on, and is named
//! in libtorch's variable store and in the ONNX graph alike.

pub mod batch_norm;
pub mod channel;
pub mod conv1d;
pub mod conv2d;
pub mod dense;
pub mod dropout;
pub mod flatten;
pub mod lstm;
pub mod mean;
pub mod standardise;

use crate::nn::onnx::Graph;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Tensor, nn};
use thiserror::Error;

/// A layer that cannot read what the layer before it writes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("layer {layer} cannot read the shape {found:?} (without the batch): it needs {expected}")]
pub struct ShapeError {
    /// Name of the layer, as in the checkpoint.
    pub layer: String,
    /// The shape that reaches it.
    pub found: Vec<i64>,
    /// What it can read.
    pub expected: String,
}

/// A layer of the network.
pub trait Block: std::fmt::Debug + Send {
    /// Shape of an output, without the batch.
    fn output_shape(&self) -> &[i64];

    /// The block in libtorch, in the kind of number that `x` has, from `[batch, ...input]` to `[batch, ...output_shape()]`; in training (`train`) batch
    /// normalisation uses the batch's own statistics.
    fn forward(&self, x: &Tensor, train: bool) -> Tensor;

    /// Multiply-accumulates for one beat in use, where batch normalisation is folded: those of matrix products. An
    /// LSTM's products of gates and cells are not counted.
    fn macs(&self) -> usize;

    /// Writes the block's ONNX nodes, reading the value named `input`. Returns the name of the output.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String;
}

/// Blocks that run one after another.
pub type Blocks = Vec<Box<dyn Block>>;

/// Blocks in the making, each built for what the one before it writes.
#[derive(Debug)]
pub struct Stack<'a> {
    parameters: Parameters<'a>,
    shape: Vec<i64>,
    blocks: Blocks,
}

impl<'a> Stack<'a> {
    /// An empty stack that reads `shape` (without the batch).
    pub fn new(parameters: Parameters<'a>, shape: &[i64]) -> Self {
        Self {
            parameters,
            shape: shape.to_vec(),
            blocks: Vec::new(),
        }
    }

    /// Adds the block that `build` makes at the place `name` for the shape that the stack writes so far.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn push<B: Block + 'static>(
        &mut self,
        name: &str,
        build: impl FnOnce(Parameters<'_>, &[i64]) -> Result<B, ShapeError>,
    ) -> Result<(), ShapeError> {
        let block = build(self.parameters.sub(name), &self.shape)?;
        self.shape = block.output_shape().to_vec();
        self.blocks.push(Box::new(block));
        Ok(())
    }

    /// The blocks, and the shape that the last one writes.
    pub fn finish(self) -> (Blocks, Vec<i64>) {
        (self.blocks, self.shape)
    }
}

/// A place in a variable store where a block creates its parameters, and the generator that draws their initial
/// values.
///
/// The values come from a seeded ChaCha stream and not from libtorch's global generator, so that a network's start
/// depends on its seed alone: not on the device, nor on what other threads train at the same time.
#[derive(Debug)]
pub struct Parameters<'a> {
    path: nn::Path<'a>,
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Parameters<'a> {
    /// The root of `store`.
    pub fn new(store: &'a nn::VarStore, rng: &'a mut ChaCha8Rng) -> Self {
        Self {
            path: store.root(),
            rng,
        }
    }

    /// The place `name` below this one.
    pub fn sub(&mut self, name: &str) -> Parameters<'_> {
        Parameters {
            path: self.path.sub(name),
            rng: self.rng,
        }
    }

    /// The full name of this place: its parts joined by dots.
    pub fn name(&self) -> String {
        self.path.components().collect::<Vec<_>>().join(".")
    }

    /// A trainable tensor of `shape` drawn from the uniform distribution over -`bound`..`bound`.
    pub fn uniform(&mut self, name: &str, shape: &[i64], bound: f64) -> Tensor {
        let bound = bound as f32;
        let values: Vec<f32> = (0..shape.iter().product::<i64>())
            .map(|_| self.rng.random_range(-bound..bound))
            .collect();
        let values = Tensor::from_slice(&values)
            .reshape(shape)
            .to_device(self.path.device());
        self.path.add(name, values, true)
    }

    /// A trainable vector of `len` equal values.
    pub fn constant(&mut self, name: &str, len: i64, value: f64) -> Tensor {
        let values = Tensor::full([len], value, (tch::Kind::Float, self.path.device()));
        self.path.add(name, values, true)
    }

    /// A vector of `len` equal values that is kept with the parameters but not trained.
    pub fn statistic(&mut self, name: &str, len: i64, value: f64) -> Tensor {
        let values = Tensor::full([len], value, (tch::Kind::Float, self.path.device()));
        self.path.add(name, values, false)
    }
}

/// `shape` as an array of its `N` sizes.
fn sizes<const N: usize>(
    layer: &str,
    shape: &[i64],
    expected: &str,
) -> Result<[i64; N], ShapeError> {
    shape.try_into().map_err(|_| ShapeError {
        layer: layer.to_owned(),
        found: shape.to_vec(),
        expected: expected.to_owned(),
    })
}

/// The bound of the uniform distribution that a layer's weights and biases start from: 1/sqrt(`fan_in`), which is
/// He's initialisation with a leaky slope of sqrt(5) and PyTorch's default for convolutions and dense layers.
fn initial_bound(fan_in: i64) -> f64 {
    1.0 / (fan_in as f64).sqrt()
}
