//! From a trained ONNX network to a device image: every number an integer.

#[cfg(feature = "tract")]
mod error;
#[cfg(feature = "tract")]
mod graph;
#[cfg(feature = "tract")]
mod import;
#[cfg(feature = "tract")]
mod layout;
#[cfg(feature = "tract")]
mod onnx;
pub mod program;
#[cfg(feature = "tract")]
mod quantise;
#[cfg(feature = "tract")]
mod ranges;
#[cfg(feature = "tract")]
mod reference;

#[cfg(feature = "tract")]
pub use error::CompileError;
#[cfg(feature = "tract")]
pub use graph::Graph;
#[cfg(feature = "tract")]
pub use import::import;
