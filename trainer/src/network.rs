//! The fused network: a branch a view, their features side by side, dense layers to the logits.
//!
//! ```text
//! waveform    [N, 2, 96]     Conv1d x 3 -> BiLSTM   \
//! spectrum    [N, 2, 64]     Conv1d x 2 -> Dense     \
//! spectrogram [N, 2, 16, 11] Conv2d x 2 -> Dense     / concat -> Dense -> logits [N, 4]
//! metadata    [N, 46]        Dense x 2              /
//! ```
//!
//! The sizes of `models/beat/config.toml` make 9,016 parameters; `models/beat/metrics.json`
//! holds what they reach in cross-validation.

use crate::blocks::bilstm::BiLstm;
use crate::blocks::conv1d::Conv1d;
use crate::blocks::conv2d::Conv2d;
use crate::blocks::dense::Activation::{Linear, Relu};
use crate::blocks::dense::Dense;
use crate::blocks::dropout::dropout;
use crate::blocks::flatten::Flatten;
use crate::blocks::{Block, Blocks, Parameters, ShapeError, Stack};
use crate::config::{Config, View};
use crate::onnx::{Attribute, Graph};
use heartlens_core::spec;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

/// The views of a batch of beats; a view that the network has no branch for is not looked at.
///
/// # Shapes
/// Each `[batch, ...View::shape()]`, f32.
#[derive(Debug)]
pub struct ViewBatch {
    /// `[batch, 2, 96]`
    pub waveform: Tensor,
    /// `[batch, 2, 64]`
    pub spectrum: Tensor,
    /// `[batch, 2, 16, 11]`
    pub spectrogram: Tensor,
    /// `[batch, 46]`
    pub metadata: Tensor,
}

impl ViewBatch {
    /// The tensor of one view.
    pub fn get(&self, view: View) -> &Tensor {
        match view {
            View::Waveform => &self.waveform,
            View::Spectrum => &self.spectrum,
            View::Spectrogram => &self.spectrogram,
            View::Metadata => &self.metadata,
        }
    }

    /// The same views on `device`.
    pub fn to_device(&self, device: Device) -> Self {
        Self {
            waveform: self.waveform.to_device(device),
            spectrum: self.spectrum.to_device(device),
            spectrogram: self.spectrogram.to_device(device),
            metadata: self.metadata.to_device(device),
        }
    }
}

/// The fused network.
#[derive(Debug)]
pub struct Network {
    branches: Vec<(View, Blocks)>,
    /// The dense layers behind the concatenation; the last one writes the logits.
    fusion: Blocks,
    dropout: f64,
}

impl Network {
    /// Builds the network of `config` with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    pub fn new(config: &Config, mut parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        let mut branches = Vec::new();
        let mut features = 0;
        for view in View::ALL.into_iter().filter(|&view| config.has(view)) {
            let (blocks, shape) = branch(view, config, parameters.sub(view.name()))?;
            features += shape.iter().product::<i64>();
            branches.push((view, blocks));
        }
        let mut fusion = Stack::new(parameters.sub("fusion"), &[features]);
        for (i, &outputs) in config.fusion.dense.iter().enumerate() {
            fusion.push(&format!("dense{i}"), |p, s| Dense::new(p, s, outputs, Relu))?;
        }
        let classes = spec::LABELS.len() as i64;
        fusion.push("logits", |p, s| Dense::new(p, s, classes, Linear))?;
        let (fusion, _) = fusion.finish();
        Ok(Self {
            branches,
            fusion,
            dropout: config.fusion.dropout,
        })
    }

    /// Logits `[batch, 4]` in the order of [`spec::LABELS`]. With a generator it runs in training: batch
    /// normalisation by the batch's own statistics, and dropout before each layer of the fusion.
    pub fn forward(&self, views: &ViewBatch, mut train: Option<&mut ChaCha8Rng>) -> Tensor {
        let training = train.is_some();
        let through = |x: &Tensor, blocks: &[Box<dyn Block>]| {
            blocks
                .iter()
                .fold(x.shallow_clone(), |x, block| block.forward(&x, training))
        };
        let features: Vec<Tensor> = self
            .branches
            .iter()
            .map(|(view, blocks)| through(views.get(*view), blocks))
            .collect();
        self.fusion
            .iter()
            .fold(Tensor::cat(&features, 1), |x, block| {
                block.forward(&dropout(&x, self.dropout, train.as_deref_mut()), training)
            })
    }

    /// Writes inputs, nodes and the output `logits` of the network into `graph`.
    pub fn onnx(&self, graph: &mut Graph) {
        let mut features = Vec::new();
        for (view, blocks) in &self.branches {
            graph.input(view.name(), view.shape());
            let input = view.name().to_owned();
            features.push(blocks.iter().fold(input, |x, block| block.onnx(graph, &x)));
        }
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        let axis = vec![Attribute::int("axis", 1)];
        let fused = graph.node("Concat", "fusion.concat", &features, axis);
        let logits = self
            .fusion
            .iter()
            .fold(fused, |x, block| block.onnx(graph, &x));
        graph.output("logits", &logits, &[spec::LABELS.len() as i64]);
    }
}

/// The blocks of one view's branch, and the shape of its features.
fn branch(
    view: View,
    config: &Config,
    parameters: Parameters<'_>,
) -> Result<(Blocks, Vec<i64>), ShapeError> {
    let mut stack = Stack::new(parameters, view.shape());
    let (conv1d, conv2d, dense): (&[_], &[_], &[_]) = match view {
        View::Waveform => (&config.waveform.conv, &[], &[]),
        View::Spectrum => (&config.spectrum.conv, &[], &config.spectrum.dense),
        View::Spectrogram => (&[], &config.spectrogram.conv, &config.spectrogram.dense),
        View::Metadata => (&[], &[], &config.metadata.dense),
    };
    for (i, layer) in conv1d.iter().enumerate() {
        stack.push(&format!("conv{i}"), |p, s| Conv1d::new(p, s, layer))?;
    }
    for (i, layer) in conv2d.iter().enumerate() {
        stack.push(&format!("conv{i}"), |p, s| Conv2d::new(p, s, layer))?;
    }
    match view {
        View::Waveform => stack.push("bilstm", |p, s| BiLstm::new(p, s, config.waveform.bilstm))?,
        View::Spectrum | View::Spectrogram => {
            stack.push("flat", |p, s| Ok(Flatten::new(p.name(), s)))?;
        }
        View::Metadata => {}
    }
    for (i, &outputs) in dense.iter().enumerate() {
        let deaf = if i == 0 && view == View::Metadata && !config.metadata.patient {
            spec::PATIENT_FEATURES as i64
        } else {
            0
        };
        stack.push(&format!("dense{i}"), |p, s| {
            Ok(Dense::new(p, s, outputs, Relu)?.ignoring_last(deaf))
        })?;
    }
    Ok(stack.finish())
}
