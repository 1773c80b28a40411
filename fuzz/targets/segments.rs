//! A WFDB record of several segments from anywhere: the master header, a zero byte, and the header of the segment `s`, whose signals lie
//! in `s.dat`; `t` is a segment that is sound, `l` a layout. Opened and read whole, or refused.

#![no_main]

mod common;

use heartlens::records::ReadOptions;
use libfuzzer_sys::{Corpus, fuzz_target};

const SOUND: &str = "t 2 128 12\nt.dat 16 200/mV 16 0 0 0 0 II\nt.dat 16 200/mV 16 0 0 0 0 V1\n";
const LAYOUT: &str =
    "l 3 128 0\n~ 0 200/mV 16 0 0 0 0 II\n~ 0 200/mV 16 0 0 0 0 V1\n~ 0 100/mV 12 0 0 0 0 V2\n";

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
        return Corpus::Reject;
    };
    let (master, segment) = (&bytes[..end], &bytes[end + 1..]);
    let samples: Vec<u8> = (0..96_u8).map(|i| i.wrapping_mul(37)).collect();
    common::put("t.hea", SOUND.as_bytes());
    common::put("t.dat", &samples[..48]);
    common::put("l.hea", LAYOUT.as_bytes());
    common::put("s.hea", segment);
    common::put("s.dat", &samples);
    common::read("m.hea", master, &ReadOptions::default());
    Corpus::Keep
});
