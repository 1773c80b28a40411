//! HL7 aECG, GE MUSE and Philips XML from anywhere: read whole, or refused.

#![no_main]

mod common;

use heartlens::records::ReadOptions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| common::read("f.xml", bytes, &ReadOptions::default()));
