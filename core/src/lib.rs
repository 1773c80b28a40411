//! Heartlens core.
#![no_std]

pub mod sample;
pub mod spec;
