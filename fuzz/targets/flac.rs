//! A FLAC stream from anywhere as the signal file of a WFDB record: read, or refused. The first byte says how many bits and
//! leads the header states.

#![no_main]

mod common;

use heartlens::records::ReadOptions;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write as _;

/// A panic of the decoder's own is a refusal by then; every other one is a crash.
fn pass_over_the_decoders_panics() {
    let crash = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |location| location.file());
        if !place.contains("flac-codec") && !place.contains("bitstream-io") {
            crash(panic);
        }
    }));
}

fuzz_target!(init: pass_over_the_decoders_panics(), |bytes: &[u8]| {
    let Some((stated, stream)) = bytes.split_first() else {
        return;
    };
    let (format, leads) = ([508, 516, 524][usize::from(stated % 3)], 1 + stated / 3 % 8);
    let mut header = format!("f {leads} 250\n");
    for _ in 0..leads {
        writeln!(header, "f.dat {format} 100/mV").expect("a string takes all");
    }
    common::put("f.dat", stream);
    common::read("f.hea", header.as_bytes(), &ReadOptions::default());
});
