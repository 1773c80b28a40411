//! Heartlens on a host: records in, classified beats out.

pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod compile;
pub mod device;
pub mod doctor;
pub mod evaluate;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod lead;
pub mod message;
pub mod model;
pub mod pipeline;
#[cfg(feature = "cli")]
pub mod report;
pub mod rhythm;
pub mod runtime;
pub mod summary;
pub mod synth;

pub use heartlens_records as records;
pub use heartlens_records::file;
