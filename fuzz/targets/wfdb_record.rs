//! A WFDB record from anywhere: a header, a zero byte, and what stands in each signal file that the header names
//! `f.dat`. Opened and read whole, or refused.

#![no_main]

use heartlens::canonical::to_canonical;
use heartlens::records::Record;
use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::LazyLock;

/// One folder a process, in memory where the system has such a place.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
});

/// Samples beyond which a lead is not read: time, not memory, is what a run has little of.
const MAX_SAMPLES: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
        return Corpus::Reject;
    };
    let (header, signal) = (&bytes[..end], &bytes[end + 1..]);
    let folder = FOLDER.path();
    std::fs::write(folder.join("f.hea"), header).expect("a file");
    std::fs::write(folder.join("f.dat"), signal).expect("a file");
    let Ok(record) = Record::open(folder.join("f")) else {
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
