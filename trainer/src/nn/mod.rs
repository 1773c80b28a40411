//! What networks are built of and trained by, whatever their task.

pub mod blocks;
pub mod onnx;
pub mod optimizer;
pub mod rng;
