//! The beat network: four views of one beat become its class.

pub mod ablate;
pub mod config;
pub mod dataset;
pub mod export;
pub mod fit;
pub mod network;
pub mod teacher;
