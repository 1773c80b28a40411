//! Heartlens trainer: from a folder of ECG records to an ONNX model.
//!
//! In the order of the work: [`config`] says what is built and how it is trained, [`dataset`] reads the records ([`cache`] keeps them),
//! [`sampler`] and [`augment`] draw the batches, [`network`] is built of [`blocks`], [`train`] fits it with
//! [`optimizer`], [`cross_validate`] measures it on records that it has not seen, [`ablate`] what its parts are worth,
//! [`checkpoint`] keeps it and [`onnx`] writes it for the runtimes. Every rate, length and feature comes from `heartlens-core`.

pub mod ablate;
pub mod augment;
pub mod blocks;
pub mod cache;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod cross_validate;
pub mod curves;
pub mod dataset;
pub mod early_stopping;
mod file;
pub mod findings;
pub mod held_out;
pub mod int8;
pub mod log;
pub mod network;
pub mod noise;
pub mod onnx;
pub mod optimizer;
pub mod recordings;
pub mod rhythm;
pub mod sampler;
pub mod split;
pub mod streams;
pub mod teacher;
pub mod tensorboard;
pub mod train;
