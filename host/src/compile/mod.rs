//! From a trained ONNX network to a device image: every number an integer.
//!
//! [`import`] reads the ONNX file, [`calibrate::compile`] measures ranges on beats and quantises, [`image`] writes the bytes.

#[cfg(feature = "tract")]
pub mod beats;
#[cfg(feature = "tract")]
pub mod calibrate;
#[cfg(feature = "tract")]
mod correction;
#[cfg(feature = "tract")]
mod error;
#[cfg(feature = "tract")]
pub mod graph;
pub mod image;
#[cfg(feature = "tract")]
mod import;
#[cfg(feature = "tract")]
mod integer;
#[cfg(feature = "tract")]
mod layout;
#[cfg(feature = "tract")]
mod onnx;
mod pack;
pub mod plan;
pub mod program;
#[cfg(feature = "tract")]
pub mod quantise;
#[cfg(feature = "tract")]
pub mod ranges;
#[cfg(feature = "tract")]
mod reference;
#[cfg(feature = "tract")]
pub mod report;
#[cfg(feature = "tract")]
pub mod source;

#[cfg(feature = "tract")]
pub use error::CompileError;
#[cfg(feature = "tract")]
pub use import::import;

#[cfg(all(test, feature = "tract"))]
mod tests;
