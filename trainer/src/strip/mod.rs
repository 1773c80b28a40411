//! The strip network: from half a minute of one lead to normal rhythm, atrial fibrillation, another rhythm or noise.
//!
//! It is trained on recordings that carry one label each, in the layout of the PhysioNet/CinC Challenge 2017. Its views are
//! those of [`heartlens_core::strip`], of the R peaks that core's detector finds.

pub mod ablate;
pub mod config;
pub mod dataset;
pub mod export;
pub mod fit;
pub mod network;
