//! What must be the same everywhere: filter, beats, template and views of Heartlens, for microcontrollers and hosts.
//!
//! `no_std`, no allocation, fixed memory. Samples flow
//! [filter](filter::BandPass) -> [R peak and window](beat::Extractor) -> [template](template::Template) ->
//! [views](views::Views). Arithmetic is f32 in one written order with one `libm`: no fused multiply-add, no
//! reassociation, so that a feature has the same bits on x86-64 and on a Cortex-M4F.
//!
//! Research software, not a medical device.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod beat;
pub mod class;
pub mod detector;
pub mod filter;
pub mod link;
pub mod model;
pub mod monitor;
pub mod nn;
pub mod patient;
pub mod quality;
pub mod rhythm;
pub mod rr;
pub mod sample;
pub mod slots;
pub mod spec;
mod stats;
pub mod template;
pub mod views;
pub mod window;
