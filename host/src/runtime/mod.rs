//! Executors of a trained network, all behind one trait: views in, logits out.

#[cfg(feature = "tract")]
pub mod tract;

use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use std::path::{Path, PathBuf};

/// The runtimes of this build, the preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Kind {
    /// Pure Rust.
    #[cfg(feature = "tract")]
    Tract,
}

impl Kind {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "tract")]
        Self::Tract,
    ];

    /// The name, as `--runtime` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "tract")]
            Self::Tract => tract::NAME,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Loads the network in a model's folder into a runtime.
///
/// # Errors
/// When the folder has no model of the kind that the runtime reads, the model does not fit this build, or the runtime
/// is not there or refuses it.
pub fn load(kind: Kind, model_dir: &Path) -> Result<Box<dyn Runtime>, ModelError> {
    match kind {
        #[cfg(feature = "tract")]
        Kind::Tract => Ok(Box::new(tract::Tract::load(
            &model_dir.join(crate::model::ONNX_FILE),
        )?)),
    }
}

/// One logit a class, in the order of [`LABELS`].
pub type Logits = [f32; LABELS.len()];

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
}

/// Why a model could not be loaded or run. Every variant names the file, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}; a model is a folder with a model.onnx in it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
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

/// Probabilities of the classes: `exp(x - max)` over their sum.
pub fn softmax(logits: &Logits) -> Logits {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = logits.map(|x| libm::expf(x - max));
    let sum: f32 = exp.iter().sum();
    exp.map(|x| x / sum)
}

/// Index of the largest logit, the first of equals.
pub fn argmax(logits: &Logits) -> usize {
    (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_and_argmax_by_hand() {
        let p = softmax(&[0.0, (3.0_f32).ln(), 0.0, 0.0]);
        assert!((p[1] - 0.5).abs() < 1e-6 && (p[0] - 1.0 / 6.0).abs() < 1e-6);
        let p = softmax(&[1000.0, -1000.0, 1000.0, f32::MIN]);
        assert_eq!(p, [0.5, 0.0, 0.5, 0.0]);
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(argmax(&[4.0, 3.0, 3.0, 2.0]), 0);
    }
}
