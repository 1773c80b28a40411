//! Executors of a trained network, all behind one trait: views in, logits out.

#[cfg(feature = "tract")]
pub mod tract;

pub use heartlens_core::model::{Logits, argmax, softmax};
use heartlens_core::views::Views;
use std::path::PathBuf;

/// Something that runs a trained network.
pub trait Runtime {
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
