//! Heartlens trainer: from a folder of ECG records to an ONNX model.
//!
//! A model is described once, by its config ([`beat::config`], [`rhythm::config`]). In the order of the work: [`data`] finds the
//! records that the config names, prepares their beats and draws batches of them; [`nn`] has the blocks that a network is built of;
//! [`fit`] trains it; [`study`] measures what it and its parts are worth on records that it has not seen. The two tasks, [`beat`]
//! and [`rhythm`], have the same files under the same names. Every rate, length and feature comes from `heartlens-core`.

pub mod beat;
pub mod cli;
pub mod config;
pub mod data;
mod file;
pub mod fit;
pub mod nn;
mod progress;
pub mod rhythm;
pub mod strip;
pub mod study;
