//! Heartlens on a host: records in, classified beats out.
//!
//! ```
//! use heartlens::records::Record;
//! use heartlens::{Model, Options};
//!
//! # use heartlens::synth::{self, Recording};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("night");
//! # Recording::generate(&synth::Options { minutes: 2.0, ..Default::default() })?.write(&path)?;
//! let record = Record::open(&path)?;
//! let analysis = Model::shipped()?.classify(&record, &Options::default())?;
//!
//! for beat in &analysis.beats {
//!     println!("{:8.3} s  {}  quality {:.2}", beat.time_s, beat.class, beat.quality);
//! }
//! println!("{} beats, {} of them V", analysis.summary.beats, analysis.summary.counts["V"]);
//! # assert!(analysis.beats.len() > 100 && analysis.warnings.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! [`records`] reads WFDB, EDF and CSV. A [`Model`] is the one inside the program ([`Model::shipped`]) or a folder
//! ([`Model::load`]). [`Options`] say which lead is read, where the R peaks come from, what runs the network and on how
//! many threads, and whether the whole recording has a say ([`Mode`]); an [`Analysis`] owns all that came out. A [`Pool`] classifies many records side by side. Whatever is computed of a signal, `heartlens_core` computes: the
//! same bits here and on a microcontroller.
//!
//! Besides: [`evaluate`] compares beats with a reference by ANSI/AAMI EC57, [`compile`] makes a device image of an ONNX
//! network, [`runtime`] has the executors of a network, [`monitor`] watches a signal as it comes in, [`device`] talks to a device, [`synth`] makes records up.
//!
//! Research software, not a medical device.

mod analysis;
mod annotate;
pub mod bench;
pub mod canonical;
pub mod choice;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
pub mod compile;
pub mod device;
pub mod doctor;
mod engine;
pub mod episodes;
mod error;
pub mod evaluate;
#[cfg(feature = "fetch")]
pub mod fetch;
mod gap;
pub mod hrv;
mod level;
pub mod message;
pub mod model;
pub mod monitor;
mod options;
pub mod pipeline;
#[cfg(feature = "cli")]
pub mod report;
pub mod runtime;
pub mod summary;
pub mod synth;
#[cfg(feature = "parquet")]
pub mod tables;
pub mod verdicts;
pub mod whole;

pub use analysis::{Analysis, Beat, Stages};
pub use annotate::annotations;
pub use engine::{Pool, Progress, See, Seen, Stop, Worker};
pub use error::Error;
pub use heartlens_records as records;
pub use heartlens_records::file;
pub use model::Model;
pub use options::{Leads, Mode, Options, Peaks};
