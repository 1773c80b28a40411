//! Heartlens on a host: records in, classified beats out.

#[cfg(feature = "cli")]
pub mod cli;
pub mod compile;
pub mod device;
pub mod evaluate;
pub mod file;
pub mod message;
pub mod model;
pub mod pipeline;
pub mod records;
#[cfg(feature = "cli")]
pub mod report;
pub mod runtime;
pub mod summary;
pub mod synth;
