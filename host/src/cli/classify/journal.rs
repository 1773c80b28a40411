//! What `--out` has done, so that `--resume` need not do it again.
//!
//! `heartlens.jsonl` in the folder gets a line for each record once all of its files are in place: the record's name, the
//! version, model and flags it was done with, name, size and time of change of every file that was read (record,
//! annotations), and name and size of every file that was written. A record is done if its last line says of all of these
//! what is true now; a file that was touched, a flag or a version that differs, or an output that is gone or was cut
//! means doing it again.

use super::inputs::Input;
use super::{Args, PeaksChoice, files};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// The journal's name in the folder of `--out`.
pub(super) const FILE: &str = "heartlens.jsonl";

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    record: String,
    heartlens: String,
    /// Names and CRC-32s of its files.
    #[serde(default)]
    model: String,
    flags: String,
    read: Vec<Source>,
    written: Vec<Written>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Source {
    file: String,
    bytes: u64,
    changed_ns: i64,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Written {
    file: String,
    bytes: u64,
}

impl Entry {
    /// What is to be said of a record that is about to be read.
    ///
    /// # Errors
    /// When a file that will be read cannot be asked about.
    pub(super) fn begin(input: &Input, args: &Args, model: &str) -> anyhow::Result<Self> {
        Ok(Self {
            record: input.name.clone(),
            heartlens: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.to_owned(),
            flags: args.what_shapes_a_result(),
            read: sources(input, args)?,
            written: Vec::new(),
        })
    }

    /// Adds the record's files, which are in place.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn end(mut self, input: &Input, args: &Args) -> anyhow::Result<Self> {
        let folder = args.out.as_deref().unwrap_or(Path::new(""));
        for file in files::names(args, input) {
            let bytes = metadata(&folder.join(&file))?.len();
            self.written.push(Written { file, bytes });
        }
        Ok(self)
    }
}

/// The journal of a folder.
pub(super) struct Journal {
    /// Opened with the first line to add.
    file: Mutex<Option<File>>,
    path: PathBuf,
    done: BTreeMap<String, Entry>,
}

impl Journal {
    /// Reads a folder's journal, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.with_context(|| path.display().to_string())?,
        };
        // A line that was cut short by a crash says nothing.
        let text = String::from_utf8_lossy(&bytes);
        let entries = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(Self {
            done: entries
                .map(|entry: Entry| (entry.record.clone(), entry))
                .collect(),
            file: Mutex::new(None),
            path,
        })
    }

    /// Whether all of this record's files are there as they would be made now.
    pub(super) fn has(&self, input: &Input, args: &Args, model: &str) -> bool {
        let now = Entry::begin(input, args, model).and_then(|entry| entry.end(input, args));
        now.is_ok_and(|now| self.done.get(&input.name) == Some(&now))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&self, entry: &Entry) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *open {
            Some(file) => Ok(file),
            None => append(&self.path).map(|file| open.insert(file)),
        };
        file.and_then(|file| file.write_all(&line))
            .with_context(|| self.path.display().to_string())
    }
}

/// Opens a journal for appending, its last line ended.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn metadata(path: &Path) -> anyhow::Result<Metadata> {
    path.metadata().with_context(|| path.display().to_string())
}

/// Every file that this record's result depends on.
fn sources(input: &Input, args: &Args) -> anyhow::Result<Vec<Source>> {
    let mut files = BTreeSet::new();
    gather(&input.path, &mut files);
    // Of a header without signals, the annotations are the record.
    let is_list = files
        .iter()
        .all(|file| file.extension().is_some_and(|e| e == "hea"));
    if args.reading.peaks == PeaksChoice::Reference || is_list {
        let extension = &args.reading.annotator;
        let beside = [
            input.path.with_extension(extension),
            with_appended(&input.path, extension),
        ];
        files.extend(beside.into_iter().filter(|path| path.is_file()));
    }
    let source = |path: PathBuf| {
        let metadata = metadata(&path)?;
        let changed = metadata.modified()?;
        let changed_ns = match changed.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i64,
            // The clock was set to a time before 1970.
            Err(before) => -(before.duration().as_nanos() as i64),
        };
        Ok(Source {
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            bytes: metadata.len(),
            changed_ns,
        })
    };
    files.into_iter().map(source).collect()
}

/// The files of a record: its own, and of a WFDB header those that it names.
pub(in crate::cli) fn record_files(path: &Path) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    gather(path, &mut files);
    files.into_iter().collect()
}

/// A record's file; if it is a WFDB header, also every file that one of its lines begins with the name of: signals, and
/// the headers of segments.
fn gather(path: &Path, files: &mut BTreeSet<PathBuf>) {
    let header = match path.is_file() {
        true => path.to_owned(),
        false => with_appended(path, "hea"),
    };
    if !header.is_file() || !files.insert(header.clone()) {
        return;
    }
    if header
        .extension()
        .is_none_or(|e| !e.eq_ignore_ascii_case("hea"))
    {
        return;
    }
    let text = std::fs::read(&header).unwrap_or_default();
    let folder = header.parent().unwrap_or(Path::new(""));
    for line in String::from_utf8_lossy(&text).lines() {
        if let Some(name) = line.split_whitespace().next() {
            gather(&folder.join(name), files);
        }
    }
}

/// `path.extension`, whatever dots the path has.
fn with_appended(path: &Path, extension: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(".");
    text.push(extension);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_brings_the_files_that_it_names() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        file("m.hea", "m/2 1 360 200\nm_1 100\nm_2 100\n")?;
        file("m_1.hea", "m_1 1 360 100\nother.dat 212\n# a comment\n")?;
        file("m_2.hea", "m_2 1 360 100\nm.hea 212\n")?;
        file("other.dat", "")?;
        file("m.dat", "is not named")?;
        let mut files = BTreeSet::new();
        gather(&folder.path().join("m"), &mut files);
        let names: Vec<_> = files.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["m.hea", "m_1.hea", "m_2.hea", "other.dat"]);
        Ok(())
    }

    #[test]
    fn a_line_cut_short_is_no_entry_and_spoils_none() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let entry = |record: &str| Entry {
            record: record.to_owned(),
            heartlens: "0".to_owned(),
            model: String::new(),
            flags: String::new(),
            read: Vec::new(),
            written: Vec::new(),
        };
        Journal::read(folder.path())?.add(&entry("a"))?;
        let path = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&path)?;
        text.push_str("{\"record\":\"b");
        std::fs::write(&path, text)?;
        Journal::read(folder.path())?.add(&entry("c"))?;
        let again = Journal::read(folder.path())?;
        assert_eq!(again.done.keys().collect::<Vec<_>>(), ["a", "c"]);
        Ok(())
    }
}
