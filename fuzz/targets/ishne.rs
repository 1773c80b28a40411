//! An ISHNE Holter recording and its annotations from anywhere: read whole, or refused. Two bytes, little-endian, are the
//! recording's length; the annotations follow it.

#![no_main]

mod common;

use heartlens::records::ReadOptions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((len, rest)) = bytes.split_first_chunk() else {
        return;
    };
    let len = usize::from(u16::from_le_bytes(*len));
    let (recording, annotations) = rest.split_at(len.min(rest.len()));
    common::put("f.ann", annotations);
    common::read("f.ecg", recording, &ReadOptions::default());
});
