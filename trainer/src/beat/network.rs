//! The network: a branch a view, and what makes logits of them ([`FusionKind`]). The shipped one, fused behind the
//! branches:
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

use crate::beat::config::{Config, FusionKind, Scale};
use crate::nn::blocks::channel::FirstChannel;
use crate::nn::blocks::conv1d::Conv1d;
use crate::nn::blocks::conv2d::Conv2d;
use crate::nn::blocks::dense::Activation::{Linear, Relu};
use crate::nn::blocks::dense::Dense;
use crate::nn::blocks::dropout::dropout;
use crate::nn::blocks::flatten::Flatten;
use crate::nn::blocks::lstm::{Direction, Lstm};
use crate::nn::blocks::mean::Mean;
use crate::nn::blocks::standardise::Standardise;
use crate::nn::blocks::{Blocks, Parameters, ShapeError, Stack};
use crate::nn::onnx::{Attribute, Graph};
use heartlens_core::spec;
use heartlens_core::views::View;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// The views of a batch of beats; a view that the network has no branch for is not looked at.
///
/// # Shapes
/// Each `[batch, ...shape_of(view)]`, f32.
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
    /// The same views in another kind of number.
    pub fn to_kind(&self, kind: Kind) -> Self {
        Self {
            waveform: self.waveform.to_kind(kind),
            spectrum: self.spectrum.to_kind(kind),
            spectrogram: self.spectrogram.to_kind(kind),
            metadata: self.metadata.to_kind(kind),
        }
    }

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

/// Place of the heads that are trained along and not exported.
const AUXILIARY: &str = "auxiliary";

/// The network.
#[derive(Debug)]
pub struct Network {
    /// In the order of [`View::ALL`].
    branches: Vec<(View, Blocks)>,
    fusion: Fusion,
    dropout: f64,
    /// One head a branch, to train by; empty where there are none.
    auxiliary: Vec<Blocks>,
}

/// What follows the branches. The last block of a head writes logits.
#[derive(Debug)]
enum Fusion {
    /// One head reads the features of all branches side by side.
    Joined(Blocks),
    /// Each branch has a head, and the logits are added.
    Added(Vec<Blocks>),
}

/// Logits `[batch, 4]` in training.
#[derive(Debug)]
pub struct Logits {
    /// The network's.
    pub fused: Tensor,
    /// Those of each branch alone; empty without auxiliary heads.
    pub auxiliary: Vec<Tensor>,
}

impl Network {
    /// Builds the network of `config` with freshly drawn weights.
    ///
    /// # Errors
    /// If a layer cannot read what the one before it writes.
    pub fn new(config: &Config, mut parameters: Parameters<'_>) -> Result<Self, ShapeError> {
        let mut branches = Vec::new();
        let mut features = Vec::new();
        for view in View::ALL.into_iter().filter(|&view| config.has(view)) {
            let (blocks, shape) = branch(view, config, parameters.sub(view.name()))?;
            features.push(shape.iter().product::<i64>());
            branches.push((view, blocks));
        }
        // What the metadata branch is deaf to, the head is where there is no branch; the metadata come last.
        let deaf = match config.fusion.kind {
            FusionKind::Early if config.has(View::Metadata) => deaf_features(config),
            _ => 0,
        };
        let fusion = match config.fusion.kind {
            FusionKind::Early | FusionKind::Intermediate => {
                let features = features.iter().sum();
                Fusion::Joined(head(parameters.sub("fusion"), features, config, deaf)?)
            }
            FusionKind::Late => {
                let mut fusion = parameters.sub("fusion");
                let heads = branches
                    .iter()
                    .zip(&features)
                    .map(|((view, _), &features)| {
                        head(fusion.sub(view.name()), features, config, 0)
                    });
                Fusion::Added(heads.collect::<Result<_, _>>()?)
            }
        };
        let mut auxiliary = Vec::new();
        if config.fusion.auxiliary > 0.0 {
            for ((view, _), &features) in branches.iter().zip(&features) {
                let mut stack = Stack::new(parameters.sub(AUXILIARY), &[features]);
                stack.push(view.name(), |p, s| Dense::new(p, s, CLASSES, Linear))?;
                auxiliary.push(stack.finish().0);
            }
        }
        Ok(Self {
            branches,
            fusion,
            dropout: config.fusion.dropout,
            auxiliary,
        })
    }

    /// Whether a variable of this name belongs to the training alone.
    pub fn is_auxiliary(variable: &str) -> bool {
        variable.split('.').next() == Some(AUXILIARY)
    }

    /// Multiply-accumulates for one beat in use; see [`crate::nn::blocks::Block::macs`].
    pub fn macs(&self) -> usize {
        let of = |blocks: &Blocks| blocks.iter().map(|block| block.macs()).sum::<usize>();
        let branches: usize = self.branches.iter().map(|(_, blocks)| of(blocks)).sum();
        let fusion = match &self.fusion {
            Fusion::Joined(head) => of(head),
            Fusion::Added(heads) => heads.iter().map(of).sum(),
        };
        branches + fusion
    }

    /// Logits `[batch, 4]` in the order of [`spec::LABELS`]. With a generator it runs in training: batch
    /// normalisation by the batch's own statistics, and dropout before each layer of the fusion.
    pub fn forward(&self, views: &ViewBatch, train: Option<&mut ChaCha8Rng>) -> Tensor {
        let training = train.is_some();
        self.fuse(&self.features(views, training), train)
    }

    /// A pass in training: the network's logits, and those of the auxiliary heads.
    pub fn forward_training(&self, views: &ViewBatch, rng: &mut ChaCha8Rng) -> Logits {
        let features = self.features(views, true);
        let auxiliary = self.auxiliary.iter().zip(&features);
        let auxiliary = auxiliary.map(|(head, x)| through(x, head, true)).collect();
        Logits {
            fused: self.fuse(&features, Some(rng)),
            auxiliary,
        }
    }

    /// The features `[batch, features]` of each branch.
    fn features(&self, views: &ViewBatch, training: bool) -> Vec<Tensor> {
        let branches = self.branches.iter();
        branches
            .map(|(view, blocks)| through(views.get(*view), blocks, training))
            .collect()
    }

    fn fuse(&self, features: &[Tensor], mut train: Option<&mut ChaCha8Rng>) -> Tensor {
        let training = train.is_some();
        let mut through_head = |x: &Tensor, head: &Blocks| {
            head.iter().fold(x.shallow_clone(), |x, block| {
                block.forward(&dropout(&x, self.dropout, train.as_deref_mut()), training)
            })
        };
        match &self.fusion {
            Fusion::Joined(head) => through_head(&Tensor::cat(features, 1), head),
            Fusion::Added(heads) => {
                let logits: Vec<Tensor> = heads
                    .iter()
                    .zip(features)
                    .map(|(head, x)| through_head(x, head))
                    .collect();
                Tensor::stack(&logits, 0).sum_dim_intlist(0, false, None::<Kind>)
            }
        }
    }

    /// Writes inputs, nodes and the output `logits` of the network into `graph`.
    pub fn onnx(&self, graph: &mut Graph) {
        let through = |graph: &mut Graph, blocks: &Blocks, input: String| {
            blocks.iter().fold(input, |x, block| block.onnx(graph, &x))
        };
        let mut features = Vec::new();
        for (view, blocks) in &self.branches {
            graph.input(view.name(), &shape_of(*view));
            features.push(through(graph, blocks, view.name().to_owned()));
        }
        let logits = match &self.fusion {
            Fusion::Joined(head) => {
                let features: Vec<&str> = features.iter().map(String::as_str).collect();
                let axis = vec![Attribute::int("axis", 1)];
                let fused = graph.node("Concat", "fusion.concat", &features, axis);
                through(graph, head, fused)
            }
            Fusion::Added(heads) => {
                let mut sum: Option<String> = None;
                for (i, (head, features)) in heads.iter().zip(features).enumerate() {
                    let logits = through(graph, head, features);
                    sum = Some(match sum {
                        None => logits,
                        Some(sum) => {
                            let name = format!("fusion.add{i}");
                            graph.node("Add", &name, &[sum.as_str(), logits.as_str()], vec![])
                        }
                    });
                }
                // A config has one view or more.
                sum.unwrap_or_default()
            }
        };
        graph.output("logits", &logits, &[CLASSES]);
    }
}

/// The shape of a view as libtorch counts, without the batch.
pub fn shape_of(view: View) -> Vec<i64> {
    view.shape().iter().map(|&side| side as i64).collect()
}

/// Logits a beat.
const CLASSES: i64 = spec::LABELS.len() as i64;

/// `x` through `blocks`, one after another.
fn through(x: &Tensor, blocks: &Blocks, training: bool) -> Tensor {
    blocks
        .iter()
        .fold(x.shallow_clone(), |x, block| block.forward(&x, training))
}

/// Features at the end of the metadata that the network does not read.
fn deaf_features(config: &Config) -> i64 {
    if config.metadata.patient {
        0
    } else {
        spec::PATIENT_FEATURES as i64
    }
}

/// The dense layers of the fusion down to the logits; the first one is deaf to its last `deaf` inputs.
fn head(
    parameters: Parameters<'_>,
    features: i64,
    config: &Config,
    deaf: i64,
) -> Result<Blocks, ShapeError> {
    let mut stack = Stack::new(parameters, &[features]);
    let mut deaf = Some(deaf);
    let mut dense = |name: &str, outputs, activation, temperature| {
        let deaf = deaf.take().unwrap_or(0);
        stack.push(name, |p, s| {
            let layer = Dense::new(p, s, outputs, activation)?;
            Ok(layer.ignoring_last(deaf).cooled(temperature))
        })
    };
    for (i, &outputs) in config.fusion.dense.iter().enumerate() {
        dense(&format!("dense{i}"), outputs, Relu, 1.0)?;
    }
    dense("logits", CLASSES, Linear, config.training.temperature)?;
    Ok(stack.finish().0)
}

/// The blocks of one view's branch, and the shape of its features. With early fusion the branch is the view itself in one
/// row.
fn branch(
    view: View,
    config: &Config,
    parameters: Parameters<'_>,
) -> Result<(Blocks, Vec<i64>), ShapeError> {
    let mut stack = Stack::new(parameters, &shape_of(view));
    if view == View::Waveform && !config.waveform.template {
        stack.push("beat", |p, s| FirstChannel::new(&p, s))?;
    }
    if view == View::Waveform && config.waveform.scale == Scale::Beat {
        stack.push("scale", |p, s| Standardise::new(&p, s))?;
    }
    if config.fusion.kind == FusionKind::Early {
        stack.push("flat", |p, s| Ok(Flatten::new(p.name(), s)))?;
        return Ok(stack.finish());
    }
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
        View::Waveform if config.waveform.bilstm == 0 => {
            stack.push("mean", |p, s| Mean::new(&p, s))?;
        }
        View::Waveform => {
            let hidden = config.waveform.bilstm;
            stack.push("bilstm", |p, s| Lstm::new(p, s, hidden, Direction::Both))?;
        }
        View::Spectrum | View::Spectrogram => {
            stack.push("flat", |p, s| Ok(Flatten::new(p.name(), s)))?;
        }
        View::Metadata => {}
    }
    for (i, &outputs) in dense.iter().enumerate() {
        let deaf = match view {
            View::Metadata if i == 0 => deaf_features(config),
            _ => 0,
        };
        stack.push(&format!("dense{i}"), |p, s| {
            Ok(Dense::new(p, s, outputs, Relu)?.ignoring_last(deaf))
        })?;
    }
    Ok(stack.finish())
}
