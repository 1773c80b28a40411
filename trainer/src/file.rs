//! Files that are there whole or not at all, in folders that are made for them.

use std::path::Path;

/// Writes a whole file as [`heartlens::file::write_whole`] does, and makes its folder first.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    heartlens::file::write_whole(path, bytes)
}
