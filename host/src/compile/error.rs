//! Why a network cannot be compiled.

use super::image::WriteError;
use crate::error::Error;
use crate::records::annotation::AnnotationError;
use crate::runtime::ModelError;
use heartlens_core::nn::LayerError;

/// Why a network cannot be compiled. Every variant names the culprit, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The model file is at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A part of the network is outside of what the integer kernels compute.
    #[error("{layer}: {what} is {found}, but only {expected} can be compiled")]
    Unsupported {
        /// The node's name and operator, or the input's or output's name.
        layer: String,
        /// The part of it.
        what: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A kernel refuses a layer's geometry or its weights.
    #[error("{layer}: {source}")]
    Layer {
        /// The node's name and operator.
        layer: String,
        /// Why.
        source: LayerError,
    },
    /// The quantised network has no image.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// tract fails on the float network.
    #[error("tract cannot run the network for calibration: {reason}")]
    Float {
        /// What it said.
        reason: String,
    },
    /// A tensor of the float network is not finite on a beat.
    #[error(
        "{tensor}: the float network computes {found} on a calibration beat, expected finite numbers"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The value.
        found: f32,
    },
    /// A record cannot be read for calibration.
    #[error(transparent)]
    Record(#[from] Error),
    /// A record's annotations cannot be read.
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
    /// There are too few beats to calibrate on.
    #[error(
        "found {found} beats to calibrate on, expected {expected} or more; give longer records or more of them"
    )]
    TooFewBeats {
        /// Beats.
        found: usize,
        /// Fewest beats that will do.
        expected: usize,
    },
}
