//! Heartlens core.
#![no_std]

pub mod class;
pub mod sample;
pub mod spec;
