//! Executors of a trained network, all behind one trait: views in, logits out.

pub mod comparison;
#[cfg(feature = "tract")]
mod graph;
pub mod int8;
#[cfg(feature = "ort")]
pub mod ort;
#[cfg(feature = "tract")]
pub mod tract;

use heartlens_core::model::ImageError;
pub use heartlens_core::model::{Logits, argmax, softmax};
use heartlens_core::rhythm;
#[cfg(feature = "tract")]
use heartlens_core::spec::LABELS;
#[cfg(feature = "tract")]
use heartlens_core::views::View;
use heartlens_core::views::Views;
#[cfg(feature = "tract")]
use std::path::Path;
use std::path::PathBuf;

/// The runtimes of this build, the preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Kind {
    /// The integers that the device computes.
    Int8,
    /// Pure Rust.
    #[cfg(feature = "tract")]
    Tract,
    /// ONNX Runtime, a library that is loaded when it is asked for.
    #[cfg(feature = "ort")]
    Ort,
}

impl Kind {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[
        Self::Int8,
        #[cfg(feature = "tract")]
        Self::Tract,
        #[cfg(feature = "ort")]
        Self::Ort,
    ];

    /// The name, as `--runtime` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => int8::NAME,
            #[cfg(feature = "tract")]
            Self::Tract => tract::NAME,
            #[cfg(feature = "ort")]
            Self::Ort => ort::NAME,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that runs a trained network.
pub trait Runtime: Send {
    /// The runtime's name, as `--runtime` takes it.
    fn name(&self) -> &'static str;

    /// The model's name, as its file states it.
    fn model_name(&self) -> &str;

    /// Whether the model reads age and sex; if not, they change nothing.
    fn reads_patient(&self) -> bool;

    /// The logits of each beat, in order.
    ///
    /// # Errors
    /// When the executor fails or returns something other than finite numbers of the expected shape.
    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError>;

    /// What each layer makes of one beat, in the order of the computation. Layers are told apart by the names that
    /// their outputs have in the ONNX file; a runtime that computes several layers in one gives the last one's alone.
    ///
    /// # Errors
    /// As for [`Runtime::logits`], or when the runtime cannot look inside the network.
    fn layer_outputs(&mut self, _beat: &Views) -> Result<Vec<LayerOutput>, ModelError> {
        Err(ModelError::NoLayers {
            runtime: self.name(),
        })
    }
}

/// A tensor inside a network.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerOutput {
    /// Its name in the ONNX file.
    pub name: String,
    /// Its values, in the order of the ONNX file's tensor (channels before positions).
    pub values: Vec<f32>,
}

/// Why a model could not be loaded or run. Every variant names the file, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error(
        "{path}: cannot be read: {source}; a model is a folder with a model.onnx and a model.hlm in it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a network, but no device image of it.
    #[error(
        "{path}: there is no device image beside {network}; make it with `heartlens compile {network} --calibrate RECORD... \
         --out {path}`, or choose another --runtime"
    )]
    NotCompiled {
        /// The image that was looked for.
        path: PathBuf,
        /// The network.
        network: PathBuf,
    },
    /// The file is no device image, is damaged, or was made for other features.
    #[error("{path}: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The file is no rhythm network, is damaged, or was made for other intervals.
    #[error("{path}: {source}")]
    Rhythm {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rhythm::NetworkError,
    },
    /// The file is not ONNX, or is cut short.
    #[error("{path}: not a readable ONNX model: {reason}")]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A metadata property is missing.
    #[error("{path}: has no metadata property `{key}`; was it exported by heartlens-train?")]
    PropertyMissing {
        /// The file.
        path: PathBuf,
        /// The property.
        key: &'static str,
    },
    /// A metadata property differs from what this build computes.
    #[error(
        "{path}: `{key}` is {found}, but this build expects {expected}; train and export it again"
    )]
    Property {
        /// The file.
        path: PathBuf,
        /// The property.
        key: &'static str,
        /// Its value in the file.
        found: String,
        /// The value that this build needs.
        expected: String,
    },
    /// An input is missing, or there is one too many.
    #[error("{path}: its inputs are {found}, expected {expected}")]
    Inputs {
        /// The file.
        path: PathBuf,
        /// The names in the file.
        found: String,
        /// The names that this build gives.
        expected: String,
    },
    /// An input's shape differs from the view's.
    #[error("{path}: input `{input}` has shape {found}, but the {input} view has shape {expected}")]
    InputShape {
        /// The file.
        path: PathBuf,
        /// The input.
        input: &'static str,
        /// Its shape in the file.
        found: String,
        /// The view's shape.
        expected: String,
    },
    /// A runtime's library cannot be loaded.
    #[error("ONNX Runtime: {reason}; {help}")]
    Library {
        /// What was looked for, and what the system said.
        reason: String,
        /// How to get it.
        help: &'static str,
    },
    /// The runtime shows only the logits.
    #[error("{runtime} does not show the tensors inside a network")]
    NoLayers {
        /// The runtime's name.
        runtime: &'static str,
    },
    /// The executor refused the model or failed on it.
    #[error("{path}: {runtime} failed: {reason}")]
    Runtime {
        /// The file.
        path: PathBuf,
        /// The runtime's name.
        runtime: &'static str,
        /// What it said.
        reason: String,
    },
    /// The output is not one finite number a class.
    #[error("{path}: {runtime} returned {found}, expected {expected}")]
    Output {
        /// The file.
        path: PathBuf,
        /// The runtime's name.
        runtime: &'static str,
        /// What came out.
        found: String,
        /// What should have.
        expected: String,
    },
}

/// The bytes of a model's file.
#[cfg(feature = "tract")]
fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Each view of a batch of beats, in the order of [`View::ALL`]: its shape, batch dimension first, and its values.
#[cfg(feature = "tract")]
fn inputs(beats: &[Views]) -> impl Iterator<Item = (Vec<usize>, Vec<f32>)> {
    View::ALL.into_iter().map(move |view| {
        let shape: Vec<usize> = std::iter::once(beats.len())
            .chain(view.shape().iter().copied())
            .collect();
        let mut values = Vec::with_capacity(shape.iter().product());
        for beat in beats {
            values.extend_from_slice(beat.get(view));
        }
        (shape, values)
    })
}

/// An executor's output as the logits of `beats` beats.
#[cfg(feature = "tract")]
fn logits_of(
    output: &[f32],
    beats: usize,
    path: &Path,
    runtime: &'static str,
) -> Result<Vec<Logits>, ModelError> {
    let misfit = |found: String, expected: String| ModelError::Output {
        path: path.to_owned(),
        runtime,
        found,
        expected,
    };
    let (all, []) = output.as_chunks() else {
        return Err(misfit(
            format!("{} logits", output.len()),
            format!("{} a beat", LABELS.len()),
        ));
    };
    if all.len() != beats {
        return Err(misfit(
            format!("logits of {} beats", all.len()),
            beats.to_string(),
        ));
    }
    match all.iter().flatten().find(|logit| !logit.is_finite()) {
        Some(logit) => Err(misfit(
            format!("the logit {logit}"),
            "finite numbers".to_owned(),
        )),
        None => Ok(all.to_vec()),
    }
}
