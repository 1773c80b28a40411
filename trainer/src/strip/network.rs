//! The network: a branch a view, and one head that reads all.
//!
//! ```text
//! beats      [N, 8, 64]   BiLSTM -> mean over beats \
//! average    [N, 2, 104]  Conv1d x 3 -> Dense        \
//! power      [N, 2, 64]   Conv1d x 2 -> Dense         / concat -> Dense -> logits [N, 4]
//! statistics [N, 40]      Dense x 2                  /
//! ```

use super::config::Config;
use crate::nn::blocks::conv1d::Conv1d;
use crate::nn::blocks::dense::Activation::{Linear, Relu};
use crate::nn::blocks::dense::Dense;
use crate::nn::blocks::dropout::dropout;
use crate::nn::blocks::flatten::Flatten;
use crate::nn::blocks::lstm::{Direction, Lstm};
use crate::nn::blocks::mean::Mean;
use crate::nn::blocks::{Blocks, Parameters, ShapeError, Stack};
use crate::nn::onnx::{Attribute, Graph};
use heartlens_core::spec::STRIP_LABELS;
use heartlens_core::strip::{StripView, StripViews};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// Logits a window.
const CLASSES: i64 = STRIP_LABELS.len() as i64;

/// The network.
#[derive(Debug)]
pub struct StripNetwork {
    /// In the order of [`StripView::ALL`].
    branches: Vec<(StripView, Blocks)>,
    head: Blocks,
    dropout: f64,
}

/// The shape of a view as libtorch counts, without the batch.
pub fn shape_of(view: StripView) -> Vec<i64> {
    view.shape().iter().map(|&side| side as i64).collect()
}

/// Windows as tensors on the CPU, one a view in the order of [`StripView::ALL`], each `[batch, ...shape_of(view)]`.
pub fn batch<'a>(windows: impl Iterator<Item = &'a StripViews> + Clone) -> [Tensor; 4] {
    StripView::ALL.map(|view| {
        let values: Vec<f32> = windows
            .clone()
            .flat_map(|views| views.get(view))
            .copied()
            .collect();
        let shape: Vec<i64> = std::iter::once(-1).chain(shape_of(view)).collect();
        Tensor::from_slice(&values).reshape(shape)
    })
}

impl StripNetwork {
    /// Builds the network of `config` with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    pub fn new(config: &Config, mut parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        let mut branches = Vec::new();
        let mut features = 0;
        for &view in &config.views {
            let (blocks, shape) = branch(view, config, parameters.sub(view.name()))?;
            features += shape.iter().product::<i64>();
            branches.push((view, blocks));
        }
        let mut stack = Stack::new(parameters.sub("fusion"), &[features]);
        dense(&mut stack, &config.fusion.dense)?;
        stack.push("logits", |p, s| Dense::new(p, s, CLASSES, Linear))?;
        Ok(Self {
            branches,
            head: stack.finish().0,
            dropout: config.fusion.dropout,
        })
    }

    /// Multiply-accumulates for one window in use; see [`crate::nn::blocks::Block::macs`].
    pub fn macs(&self) -> usize {
        let branches = self.branches.iter().map(|(_, blocks)| blocks);
        let blocks = branches.chain(std::iter::once(&self.head)).flatten();
        blocks.map(|block| block.macs()).sum()
    }

    /// Logits `[batch, 4]` of `views` (see [`batch`]), in the order of [`STRIP_LABELS`]. With a generator it runs in training: batch
    /// normalisation by the batch's own statistics, and dropout before each layer of the head.
    pub fn forward(&self, views: &[Tensor; 4], mut train: Option<&mut ChaCha8Rng>) -> Tensor {
        let training = train.is_some();
        let features: Vec<Tensor> = self
            .branches
            .iter()
            .map(|(view, blocks)| {
                let x = views[*view as usize].shallow_clone();
                blocks
                    .iter()
                    .fold(x, |x, block| block.forward(&x, training))
            })
            .collect();
        self.head
            .iter()
            .fold(Tensor::cat(&features, 1), |x, block| {
                block.forward(&dropout(&x, self.dropout, train.as_deref_mut()), training)
            })
    }

    /// Writes inputs, nodes and the output `logits` of the network into `graph`.
    pub(super) fn onnx(&self, graph: &mut Graph) {
        let through = |graph: &mut Graph, blocks: &Blocks, input: String| {
            blocks.iter().fold(input, |x, block| block.onnx(graph, &x))
        };
        let mut features = Vec::new();
        for (view, blocks) in &self.branches {
            graph.input(view.name(), &shape_of(*view));
            features.push(through(graph, blocks, view.name().to_owned()));
        }
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let axis = vec![Attribute::int("axis", 1)];
        let fused = graph.node("Concat", "fusion.concat", &features, axis);
        let logits = through(graph, &self.head, fused);
        graph.output("logits", &logits, &[CLASSES]);
    }
}

fn dense(stack: &mut Stack<'_>, outputs: &[i64]) -> Result<(), ShapeError> {
    for (i, &outputs) in outputs.iter().enumerate() {
        stack.push(&format!("dense{i}"), |p, s| Dense::new(p, s, outputs, Relu))?;
    }
    Ok(())
}

/// The blocks of one view's branch, and the shape of its features.
fn branch(
    view: StripView,
    config: &Config,
    parameters: Parameters<'_>,
) -> Result<(Blocks, Vec<i64>), ShapeError> {
    let mut stack = Stack::new(parameters, &shape_of(view));
    match view {
        StripView::Beats => {
            let cells = config.beats.bilstm;
            stack.push("bilstm", |p, s| {
                Ok(Lstm::new(p, s, cells, Direction::Both)?.giving_all())
            })?;
            stack.push("mean", |p, s| Mean::new(&p, s))?;
        }
        StripView::Average | StripView::Power => {
            let layers = match view {
                StripView::Average => &config.average,
                _ => &config.power,
            };
            for (i, layer) in layers.conv.iter().enumerate() {
                stack.push(&format!("conv{i}"), |p, s| Conv1d::new(p, s, layer))?;
            }
            stack.push("flat", |p, s| Ok(Flatten::new(p.name(), s)))?;
            dense(&mut stack, &layers.dense)?;
        }
        StripView::Statistics => dense(&mut stack, &config.statistics.dense)?,
    }
    Ok(stack.finish())
}
