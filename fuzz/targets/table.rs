//! A table of numbers from anywhere: read whole, or refused. The first byte says what is told of it besides.

#![no_main]

mod common;

use heartlens::records::{ReadOptions, VoltageUnit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((told, text)) = bytes.split_first() else {
        return;
    };
    let mut options = ReadOptions::default();
    if told & 1 != 0 {
        options = options.with_rate_hz(250.0);
    }
    if told & 2 != 0 {
        options = options.with_unit(VoltageUnit::Microvolt);
    }
    common::read("f.csv", text, &options);
});
