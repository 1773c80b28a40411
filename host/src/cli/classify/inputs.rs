//! Which records are meant.

use crate::records::{Record, segment_names};
use anyhow::{Context, bail};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Extensions of the files that stand for records in a folder.
const EXTENSIONS: [&str; 3] = ["hea", "edf", "bdf"];
/// Extensions of files that may be records: their content says so.
const PERHAPS: [&str; 5] = ["ecg", "dcm", "scp", "atc", "xml"];

/// A record to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Input {
    /// The record.
    pub(in crate::cli) path: PathBuf,
    /// What it is called: its file's name without extension, below the folder that was named, with `/` between.
    pub(in crate::cli) name: String,
}

/// The records that are meant by these paths: a folder means all records in it and below, by name. Hidden folders, and
/// links to folders, are passed by; so are the segments of a record that is there as a whole.
pub(in crate::cli) fn inputs(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        if !path.is_dir() {
            let name = stem(path);
            inputs.push(Input {
                path: path.clone(),
                name,
            });
            continue;
        }
        let before = inputs.len();
        walk(path, "", &mut inputs)?;
        if inputs.len() == before {
            bail!(
                "{}: no record in this folder or below; expected files named *.{}",
                path.display(),
                [&EXTENSIONS[..], &PERHAPS].concat().join(" or *.")
            );
        }
    }
    Ok(inputs)
}

/// Refuses two records that `flag` would write under the same name.
pub(super) fn check_names(inputs: &[Input], flag: &str) -> anyhow::Result<()> {
    let mut named: BTreeMap<&str, &Path> = BTreeMap::new();
    for input in inputs {
        if let Some(other) = named.insert(&input.name, &input.path) {
            bail!(
                "{} and {}: {flag} would write both as {}; classify them into different folders",
                other.display(),
                input.path.display(),
                input.name
            );
        }
    }
    Ok(())
}

fn walk(folder: &Path, below: &str, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    let cannot = || format!("{}: cannot be read", folder.display());
    let mut entries = folder
        .read_dir()
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(cannot)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let segments = segments(&entries);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().with_context(cannot)?.is_dir() {
            if !name.starts_with('.') {
                walk(&path, &format!("{below}{name}/"), inputs)?;
            }
        } else if is_record(&path) && !segments.contains(&path) {
            let name = format!("{below}{}", stem(&path));
            inputs.push(Input { path, name });
        }
    }
    Ok(())
}

/// The headers in a folder that another one there lists as its segments, which have none themselves.
fn segments(entries: &[std::fs::DirEntry]) -> HashSet<PathBuf> {
    let mut segments = HashSet::new();
    let mut lists = Vec::new();
    for entry in entries {
        let path = entry.path();
        if has_extension(&path, &["hea"])
            && let Some(names) = segment_names(&path)
        {
            let header = |name: String| path.with_file_name(name + ".hea");
            segments.extend(names.into_iter().map(header));
            lists.push(path);
        }
    }
    for list in lists {
        segments.remove(&list);
    }
    segments
}

fn is_record(path: &Path) -> bool {
    let is_meant = |path: &Path| {
        has_extension(path, &EXTENSIONS)
            || (has_extension(path, &PERHAPS) && Record::is_recognised(path))
    };
    path.is_file() && is_meant(path)
}

/// A record file's name without the extension of a record. (Other dots may be part of a record's name.)
fn stem(path: &Path) -> String {
    // Tables are records where they are named, but a folder may hold any others.
    let stem = match has_extension(path, &Record::EXTENSIONS) {
        true => path.file_stem(),
        false => path.file_name(),
    };
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    known
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_means_all_records_below_it() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for file in [
            "b/2.hea",
            "b/1.hea",
            "b/1.dat",
            "a.EDF",
            "v1.2.hea",
            "beats.csv",
            ".hidden/9.hea",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
            std::fs::write(path, "")?;
        }
        let named = folder.path().join("beats.csv");
        let found = inputs(&[folder.path().to_owned(), named, "x/100".into()])?;
        let names: Vec<&str> = found.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["a", "b/1", "b/2", "v1.2", "beats", "100"]);
        assert!(check_names(&found, "--out").is_ok());
        let twice = inputs(&["x/100".into(), "y/100.hea".into()])?;
        let refusal = check_names(&twice, "--out").err().map(|e| e.to_string());
        assert!(refusal.is_some_and(|text| text.starts_with("x/100 and y/100.hea: ")));
        let empty = folder.path().join("empty");
        std::fs::create_dir(&empty)?;
        assert!(inputs(&[empty]).is_err());
        Ok(())
    }

    #[test]
    fn a_record_of_several_segments_is_one() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let one = |name: &str| format!("{name} 1 250 100\n{name}.dat 16 1000 16 0 0 0 0 II\n");
        for (name, header) in [
            (
                "night",
                "night/4 1 250 300\nlayout 0\npart1 100\n~ 100\npart2 100\n".into(),
            ),
            ("layout", one("~")),
            ("part1", one("part1")),
            ("part2", one("part2")),
            ("part3", one("part3")),
            // Faulty headers hide nothing, so that they are found faulty.
            ("itself", "itself/1 1 250 100\nitself 100\n".into()),
            ("short", "short/2 1 250 200\npart3 100\n".into()),
        ] {
            std::fs::write(folder.path().join(format!("{name}.hea")), header)?;
        }
        let names = |path: PathBuf| -> anyhow::Result<Vec<String>> {
            Ok(inputs(&[path])?.into_iter().map(|i| i.name).collect())
        };
        let found = names(folder.path().to_owned())?;
        assert_eq!(found, ["itself", "night", "part3", "short"]);
        // Named, a segment is a record like any other.
        assert_eq!(names(folder.path().join("part1"))?, ["part1"]);
        Ok(())
    }
}
