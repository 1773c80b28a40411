//! A file from anywhere, opened as a record and read, or refused in one line.

use heartlens::records::{ReadOptions, Record};
use std::path::PathBuf;
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
/// Samples that are read a second time, from where they begin.
const END: usize = 100;

/// Puts bytes into a file of this name, and gives its path.
pub(crate) fn put(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Opens a file as a record, with what is known of it besides, and reads what it holds.
pub(crate) fn read(name: &str, bytes: &[u8], options: &ReadOptions) {
    match Record::open_with(put(name, bytes), options) {
        Ok(record) => read_all(&record),
        Err(error) => in_one_line(&error.to_string()),
    }
}

/// Expects what a reader says to be one line.
pub(crate) fn in_one_line(text: &str) {
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// Reads a record: as many samples as it says, and the end of a lead is that of the whole.
fn read_all(record: &Record) {
    let rate_hz = record.sample_rate_hz();
    assert!(rate_hz.is_finite() && rate_hz > 0.0, "{rate_hz} Hz");
    for (index, lead) in record.leads().iter().enumerate().take(8) {
        let len = lead.len_samples;
        assert!(len > 0);
        if len > MAX_SAMPLES {
            continue;
        }
        let Ok(whole) = record.read_lead(index) else {
            continue;
        };
        assert_eq!(whole.len(), len);
        let from = len.saturating_sub(END);
        let mut end = Vec::new();
        for block in record.stream_mv(index, from..len).expect("a lead") {
            end.extend(block.expect("what was read before"));
        }
        let bits = |samples: &[f32]| samples.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&end), bits(&whole[from..]), "{}", lead.name);
    }
    if let Ok(annotations) = record.annotations("atr") {
        let _ = annotations.beats().count();
    }
    let _ = (record.patient(), record.start(), record.first_ecg());
    for warning in record.warnings() {
        in_one_line(&warning.to_string());
    }
}
