#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(test)]
extern crate std;

pub mod beat;
mod bytes;
pub mod class;
pub mod classifier;
mod crc;
pub mod detector;
pub mod filter;
#[cfg(feature = "link")]
pub mod link;
pub mod model;
pub mod monitor;
pub mod nn;
pub mod patient;
pub mod quality;
pub mod rhythm;
mod rr;
pub mod sample;
#[cfg(feature = "slots")]
pub mod slots;
pub mod spec;
mod stats;
pub mod strip;
pub mod template;
pub mod views;
pub mod wearable;
mod window;

pub use classifier::{Beat, Classifier, LoadError, Network};
