//! The files of a record, and no others.

use crate::cli::classify::record_files;
use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A file that the page may read.
#[derive(Debug)]
pub(super) struct Served {
    /// As the record's header names it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The name by which the page opens a record, and its files.
pub(super) fn of(record: &Path) -> anyhow::Result<(String, Vec<Served>)> {
    let mut paths = record_files(record);
    if paths
        .iter()
        .all(|path| path.extension() == Some(OsStr::new("hea")))
    {
        // Of a header without signals, the annotations are the record.
        let annotations = record.with_extension("atr");
        paths.extend(Some(annotations).filter(|path| path.is_file()));
    }
    let folder = record.parent().unwrap_or(Path::new(""));
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let metadata = path
            .metadata()
            .with_context(|| path.display().to_string())?;
        let inside = path.strip_prefix(folder).ok();
        let named = inside.or(path.file_name().map(Path::new));
        files.push(Served {
            name: named.unwrap_or(&path).to_string_lossy().into_owned(),
            bytes: metadata.len(),
            path,
        });
    }
    if files.is_empty() {
        bail!("{}: found no file of a record", record.display());
    }
    let name = record.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), files))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_brings_its_files_and_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("r.hea"), "r 1 250 10\nr.dat 16 200 16 0 0 0 0 I\n").unwrap();
        std::fs::write(at("r.dat"), [0; 20]).unwrap();
        std::fs::write(at("r.txt"), "of a patient").unwrap();
        std::fs::write(at("s.dat"), [0; 20]).unwrap();
        for record in ["r", "r.hea"] {
            let (name, files) = of(&at(record)).unwrap();
            assert_eq!(name, record);
            let mut names: Vec<_> = files
                .iter()
                .map(|file| (file.name.as_str(), file.bytes))
                .collect();
            names.sort_unstable();
            assert_eq!(names, [("r.dat", 20), ("r.hea", 37)]);
        }
    }
}
