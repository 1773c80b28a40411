//! Heartlens core.
#![no_std]
