//! The demo record, for tests that write beside it.

use std::path::{Path, PathBuf};

/// A copy of the demo record in a folder of its own, and the path of the copy.
pub(crate) fn copy() -> (tempfile::TempDir, PathBuf) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["demo.hea", "demo.dat", "demo.atr"] {
        std::fs::copy(demo.join(name), folder.path().join(name)).expect("the demo record");
    }
    let record = folder.path().join("demo");
    (folder, record)
}
