//! A WFDB record from anywhere: a header, a zero byte, and what stands in each signal file that the header names
//! `f.dat`. Opened and read whole, or refused.

#![no_main]

mod common;

use heartlens::canonical::to_canonical;
use heartlens::records::Record;
use libfuzzer_sys::{Corpus, fuzz_target};

/// Samples beyond which a lead is not read: time, not memory, is what a run has little of.
const MAX_SAMPLES: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
        return Corpus::Reject;
    };
    let (header, signal) = (&bytes[..end], &bytes[end + 1..]);
    common::put("f.dat", signal);
    let Ok(record) = Record::open(common::put("f.hea", header)) else {
        return Corpus::Keep;
    };
    if record.len_samples() > MAX_SAMPLES {
        return Corpus::Keep;
    }
    for lead in 0..record.leads().len().min(8) {
        if let Ok(signal) = record.read_lead(lead) {
            assert_eq!(signal.len(), record.len_samples());
            let _ = to_canonical(&signal, record.sample_rate_hz());
        }
    }
    let _ = (record.warnings(), record.patient());
    Corpus::Keep
});
