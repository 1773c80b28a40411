//! What `heartlens compile` says of a network: how it was quantised, and what that costs.

use super::error::CompileError;
use super::graph::Graph;
use super::image::{AlignedImage, WriteError};
use super::quantise::Quantised;
use heartlens_core::model::Model;
use serde::Serialize;
use std::fmt;

/// One way to quantise, and how its labels and logits compare with float on the held-out beats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// How ranges were chosen.
    pub ranges: String,
    /// How weights were scaled.
    pub weights: String,
    /// Whether biases were corrected.
    pub biases_corrected: bool,
    /// Share of the beats with the same first choice, 0..=1.
    pub label_agreement: f64,
    /// The worst difference of a logit.
    pub max_abs_logit_diff: f64,
    /// The root of the mean squared difference of a logit.
    pub rms_logit_diff: f64,
}

impl Candidate {
    /// Whether more labels agree, or as many and the logits are closer.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.label_agreement > other.label_agreement
            || (self.label_agreement == other.label_agreement
                && self.rms_logit_diff < other.rms_logit_diff)
    }
}

/// One tensor of the network, as integers and against float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// The node that writes it, or the input.
    pub name: String,
    /// The operator; `Input` for an input.
    pub op: String,
    /// The ONNX value that it stands for.
    pub tensor: String,
    /// The smallest value that is covered.
    pub low: f32,
    /// The largest value that is covered.
    pub high: f32,
    /// Real value of one step of the integer, the largest where channels have scales of their own.
    pub scale: f64,
    /// Whether channels have scales of their own.
    pub by_channel: bool,
    /// Worst error against float.
    pub max_abs_error: f64,
    /// Root of the mean squared error against float.
    pub rms_error: f64,
}

impl Layer {
    pub(super) fn new(
        graph: &Graph,
        network: &Quantised,
        tensor: usize,
        [low, high]: [f32; 2],
        max_abs_error: f64,
        rms_error: f64,
    ) -> Self {
        let scales = &network.tensors[tensor].scales;
        let scale = scales.iter().copied().fold(0.0, f64::max);
        let writer = graph.writer(tensor);
        Self {
            name: writer
                .map_or(&graph.tensors[tensor].name, |node| &node.name)
                .clone(),
            op: writer.map_or("Input".to_owned(), |node| node.operator_name()),
            tensor: graph.tensors[tensor].name.clone(),
            low,
            high,
            scale,
            by_channel: scales.iter().any(|s| *s != scale),
            max_abs_error,
            rms_error,
        }
    }
}

/// How a network was compiled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub name: String,
    /// Beats that ranges were measured on.
    pub calibration_beats: usize,
    /// Beats that the integers were compared with float on.
    pub held_out_beats: usize,
    /// What was chosen, and what it reaches.
    #[serde(flatten)]
    pub chosen: Candidate,
    /// Everything that was tried.
    pub tried: Vec<Candidate>,
    /// Layer by layer, in the order of the computation.
    pub layers: Vec<Layer>,
    /// Bytes of the image.
    pub bytes: usize,
    /// Bytes of memory that running it takes.
    pub scratch_bytes: usize,
    /// Multiply-accumulates of a beat.
    pub macs: usize,
    /// Weights and biases.
    pub params: usize,
    /// Share of each class among the beats of the records.
    pub priors: Vec<f32>,
}

impl Report {
    pub(super) fn new(
        graph: &Graph,
        network: &Quantised,
        image: &[u8],
        chosen: Candidate,
        tried: Vec<Candidate>,
        layers: Vec<Layer>,
        [calibration_beats, held_out_beats]: [usize; 2],
    ) -> Result<Self, CompileError> {
        let aligned = AlignedImage::new(image);
        let model = Model::load_for(aligned.bytes(), graph.task()).map_err(WriteError::from)?;
        Ok(Self {
            name: network.program.name.clone(),
            calibration_beats,
            held_out_beats,
            chosen,
            tried,
            layers,
            bytes: image.len(),
            scratch_bytes: 4 * model.arena_words(),
            macs: graph.nodes.iter().map(|node| graph.macs(node)).sum(),
            params: graph.nodes.iter().map(|node| node.parameters()).sum(),
            priors: network.program.priors.clone(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .layers
            .iter()
            .map(|layer| layer.tensor.len())
            .max()
            .unwrap_or(0)
            .max(6);
        writeln!(
            f,
            "{:width$}  {:13} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "tensor", "operator", "from", "to", "scale", "worst", "RMS"
        )?;
        for layer in &self.layers {
            let mark = if layer.by_channel { "*" } else { "" };
            writeln!(
                f,
                "{:width$}  {:13} {:9.3} {:9.3} {:9.5} {:9.4} {:9.5}{mark}",
                layer.tensor,
                layer.op,
                layer.low,
                layer.high,
                layer.scale,
                layer.max_abs_error,
                layer.rms_error
            )?;
        }
        if self.layers.iter().any(|layer| layer.by_channel) {
            writeln!(
                f,
                "* each channel has a scale of its own; the largest is shown"
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:22} {:20} {:9} {:>10} {:>10} {:>10}",
            "ranges", "weights", "biases", "agreement", "worst", "RMS"
        )?;
        for tried in &self.tried {
            let biases = if tried.biases_corrected {
                "corrected"
            } else {
                "rounded"
            };
            let mark = if *tried == self.chosen { " <-" } else { "" };
            writeln!(
                f,
                "{:22} {:20} {biases:9} {:>8.2} % {:>10.4} {:>10.5}{mark}",
                tried.ranges,
                tried.weights,
                100.0 * tried.label_agreement,
                tried.max_abs_logit_diff,
                tried.rms_logit_diff
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{}: {} bytes, {} bytes of memory, {} multiply-accumulates a run; {:.2} % of {} held-out examples have the \
             label of the float network, the worst difference of a logit is {:.3}",
            self.name,
            self.bytes,
            self.scratch_bytes,
            self.macs,
            100.0 * self.chosen.label_agreement,
            self.held_out_beats,
            self.chosen.max_abs_logit_diff,
        )
    }
}
