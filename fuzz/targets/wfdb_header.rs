//! A WFDB header from anywhere: read or refused, and what was read is written and read again as the same.

#![no_main]

use heartlens::records::header::Header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(header) = Header::parse(text) else {
        return;
    };
    let _ = header.patient();
    let again = Header::parse(&header.to_text()).expect("a header that was written is read");
    assert_eq!(again.signals.len(), header.signals.len());
    assert_eq!(again.len_samples, header.len_samples);
});
