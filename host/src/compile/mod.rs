//! From a trained ONNX network to a device image: every number an integer.
//!
//! [`import`](fn@import) reads the ONNX file, [`calibrate::compile`] measures ranges on beats and quantises, [`image`] writes the
//! bytes.

#[cfg(feature = "compile")]
pub mod beats;
#[cfg(feature = "compile")]
pub mod calibrate;
#[cfg(feature = "compile")]
mod correction;
#[cfg(feature = "compile")]
mod error;
#[cfg(feature = "compile")]
pub mod graph;
pub mod image;
#[cfg(feature = "compile")]
mod import;
#[cfg(feature = "compile")]
mod integer;
#[cfg(feature = "compile")]
mod layout;
#[cfg(feature = "compile")]
mod onnx;
mod pack;
pub mod plan;
pub mod program;
#[cfg(feature = "compile")]
pub mod quantise;
#[cfg(feature = "compile")]
pub mod ranges;
#[cfg(feature = "compile")]
mod reference;
#[cfg(feature = "compile")]
pub mod report;
#[cfg(feature = "compile")]
pub mod source;

#[cfg(feature = "compile")]
pub use error::CompileError;
#[cfg(feature = "compile")]
pub use import::import;

#[cfg(all(test, feature = "compile"))]
mod tests;
