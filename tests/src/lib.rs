//! Tests across crates, and what they share.

use heartlens_core::views::{View, Views};
use heartlens_trainer::beat::network::ViewBatch;
use std::path::PathBuf;
use tch::Tensor;

/// The views of all beats as libtorch takes them.
pub fn batch(beats: &[Views]) -> ViewBatch {
    let tensor = |view: View| {
        let values: Vec<f32> = beats.iter().flat_map(|v| v.get(view)).copied().collect();
        let mut shape = vec![beats.len() as i64];
        shape.extend(view.shape().iter().map(|n| *n as i64));
        Tensor::from_slice(&values).reshape(&shape)
    };
    ViewBatch {
        waveform: tensor(View::Waveform),
        spectrum: tensor(View::Spectrum),
        spectrogram: tensor(View::Spectrogram),
        metadata: tensor(View::Metadata),
    }
}

/// The folder of the development records, or `None` after saying that the test is skipped.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("HEARTLENS_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: HEARTLENS_DATA is not set, and this test needs real records");
    }
    folder
}

/// Whether there is no QEMU, after saying that the test is skipped.
pub fn skipped_without_qemu() -> bool {
    let missing = std::process::Command::new("qemu-system-arm")
        .arg("--version")
        .output()
        .is_err();
    if missing {
        println!("skipped: qemu-system-arm is missing; `cargo xtask setup` gets it");
    }
    missing
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The records of a folder that have reference annotations, in order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn annotated_records(folder: &std::path::Path) -> std::io::Result<Vec<PathBuf>> {
    let mut records = Vec::new();
    for entry in folder.read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|e| e == "atr") && file.with_extension("hea").is_file() {
            records.push(file.with_extension(""));
        }
    }
    records.sort();
    Ok(records)
}
