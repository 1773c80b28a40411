//! The rhythm network: from 24 RR intervals to the score of atrial fibrillation.
//!
//! It is trained on recordings that carry one rhythm label each, in the layout of the PhysioNet/CinC Challenge 2017, and
//! on no beat label. Its input is laid out by [`heartlens_core::rhythm`], of the R peaks that core's detector finds.

pub mod ablate;
pub mod config;
pub mod dataset;
pub mod ectopy;
pub mod export;
pub mod fit;
pub mod network;
