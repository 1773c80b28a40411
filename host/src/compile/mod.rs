//! From a trained ONNX network to a device image: every number an integer.

pub mod image;
mod pack;
pub mod plan;
pub mod program;
