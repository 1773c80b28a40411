//! WFDB annotations from anywhere: read or refused, and what was read is written and read again as the same.

#![no_main]

use heartlens::records::annotation::Annotations;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(annotations) = Annotations::parse(bytes) else {
        return;
    };
    let _ = (
        annotations.beats().count(),
        annotations.time_resolution_hz(),
    );
    if let Ok(written) = annotations.to_bytes() {
        let again = Annotations::parse(&written).expect("annotations that were written are read");
        assert_eq!(again, annotations);
    }
});
