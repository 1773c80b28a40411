//! The one guard of every writer: a result never takes the place of a recording.

use super::output::Sink;
use crate::file::is_left_behind;
use crate::records::{BeatList, BeatOptions, Record};
use anyhow::{Context, bail};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Extensions of files that hold a recording, its header or its reference annotations.
const RECORDINGS: [&str; 15] = [
    "hea", "dat", "mat", "atr", "ann", "edf", "bdf", "rec", "ecg", "dcm", "scp", "atc", "hrm",
    "fit", "rr",
];
/// Extensions of text that may be a recording: its content says so.
const TABLES: [&str; 4] = ["csv", "tsv", "txt", "tab"];

/// What a run reads, so that nothing it writes takes its place.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    reads: Vec<PathBuf>,
    /// The same, whatever they are called.
    read: HashSet<Identity>,
    /// Of each folder that is written to, the files that its headers name: a folder of ten thousand records is read once.
    named: Mutex<HashMap<PathBuf, Arc<Named>>>,
}

/// Files that headers name, each with its header.
type Named = HashMap<Identity, PathBuf>;

impl Guard {
    /// A guard of a run that reads these records or files. Of a WFDB record, the header is meant with or without `.hea`.
    pub(crate) fn new<'a>(reads: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut guard = Self::default();
        for path in reads {
            guard.add(path.to_owned());
            guard.add(with_extension_added(path, "hea"));
        }
        guard
    }

    /// The same of a run that reads the records' annotations with this extension as well.
    pub(crate) fn with_annotator(mut self, extension: &str) -> Self {
        let beside = |path: &PathBuf| {
            [
                path.with_extension(extension),
                with_extension_added(path, extension),
            ]
        };
        let annotations: Vec<PathBuf> = self.reads.iter().flat_map(beside).collect();
        annotations.into_iter().for_each(|path| self.add(path));
        self
    }

    fn add(&mut self, path: PathBuf) {
        self.read.extend(identity(&path));
        self.reads.push(path);
    }

    /// Refuses to write the result of `flag` where a recording is.
    ///
    /// # Errors
    /// When there is a file that the run reads, that a header beside it names, or that is a recording itself.
    pub(crate) fn sink(&self, flag: &str, sink: &Sink) -> anyhow::Result<()> {
        match sink {
            Sink::Stdout => Ok(()),
            Sink::File(path) => self.file(flag, path),
        }
    }

    /// Checks all results of a run: each as [`sink`](Self::sink) does, and that no two go to one file.
    ///
    /// # Errors
    /// As for [`sink`](Self::sink), and naming both flags of one file.
    pub(crate) fn sinks<'a>(
        &self,
        sinks: impl IntoIterator<Item = (&'static str, &'a Sink)>,
    ) -> anyhow::Result<()> {
        let mut before: Vec<(&str, &Path)> = Vec::new();
        for (flag, sink) in sinks {
            self.sink(flag, sink)?;
            let Sink::File(path) = sink else { continue };
            if let Some((other, _)) = before
                .iter()
                .find(|(_, known)| *known == path || is_same(known, path))
            {
                bail!(
                    "{}: {other} and {flag} would write to the same file; choose another name for one of them",
                    path.display()
                );
            }
            before.push((flag, path));
        }
        Ok(())
    }

    /// As [`sink`](Self::sink), for a file. A path at which there is no file is free.
    ///
    /// # Errors
    /// As for [`sink`](Self::sink).
    pub(crate) fn file(&self, flag: &str, path: &Path) -> anyhow::Result<()> {
        // A pipe or a device is written to, and loses nothing.
        if !path.metadata().is_ok_and(|found| found.is_file()) {
            return Ok(());
        }
        let refuse = |what: &str| {
            bail!(
                "{}: {flag} would overwrite {what}; choose another name or folder",
                path.display()
            )
        };
        if self.is_read(path) {
            return refuse("a file that is read here");
        }
        if let Some(header) = self.header_that_names(path) {
            return refuse(&format!("a file of the record {}", header.display()));
        }
        if has_extension(path, &RECORDINGS) {
            return refuse("a recording");
        }
        if Record::is_recognised(path) {
            return refuse("a recording");
        }
        if has_extension(path, &TABLES) && is_table_of_voltages(path) {
            return refuse("a recording");
        }
        if has_extension(path, &TABLES) && is_list_of_beats(path) {
            return refuse("a list of beats");
        }
        Ok(())
    }

    /// As [`file`](Self::file), for each file of one record, of which `last` is finished last. Where a run that was killed left that
    /// one alone in the making, it had finished the others: they are no recording yet, and are removed.
    ///
    /// # Errors
    /// As for [`sink`](Self::sink), and when what a killed run left cannot be removed.
    pub(crate) fn files(&self, flag: &str, files: &[PathBuf], last: &Path) -> anyhow::Result<()> {
        let was_killed = is_left_behind(last) && !last.exists();
        let is_finished = |file: &PathBuf| {
            was_killed && file.is_file() && !is_left_behind(file) && !self.is_read(file)
        };
        for file in files.iter().filter(|file| is_finished(file)) {
            std::fs::remove_file(file)
                .with_context(|| format!("{}: cannot be removed", file.display()))?;
        }
        files.iter().try_for_each(|file| self.file(flag, file))
    }

    fn is_read(&self, path: &Path) -> bool {
        identity(path).is_some_and(|path| self.read.contains(&path))
    }

    /// The header in a file's folder that lists it as a signal file, if any. Links are followed to the folder where it lies.
    fn header_that_names(&self, path: &Path) -> Option<PathBuf> {
        let file = identity(path)?;
        let real = path.canonicalize().ok();
        let paths = [Some(path.to_owned()), real].into_iter().flatten();
        paths
            .filter_map(|path| self.named_in(path.parent()?).get(&file).cloned())
            .next()
    }

    /// The files that the headers in a folder name.
    fn named_in(&self, folder: &Path) -> Arc<Named> {
        let mut known = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let named = known.entry(folder.to_owned());
        Arc::clone(named.or_insert_with(|| Arc::new(named_by_headers(folder))))
    }
}

/// Whether two paths lead to one file.
fn is_same(a: &Path, b: &Path) -> bool {
    same_file::is_same_file(a, b).unwrap_or(false)
}

/// What tells a file from all others, over links, `.` and names that differ in case alone where the file system says so.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let found = path.metadata().ok()?;
    Some((found.dev(), found.ino()))
}

/// Hard links are not seen through here.
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.canonicalize().ok()
}

fn named_by_headers(folder: &Path) -> Named {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let mut named = Named::new();
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    for header in paths.filter(|path| has_extension(path, &["hea"]) && path.is_file()) {
        // A header that cannot be read as text names nothing that could be found.
        let text = std::fs::read(&header).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let names = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        for name in names.filter(|name| !name.starts_with('#') && *name != "~") {
            if let Some(file) = identity(&folder.join(name)) {
                named.insert(file, header.clone());
            }
        }
    }
    named
}

/// Whether a text is a table with a lead. The program's own results have no voltage in them.
fn is_table_of_voltages(path: &Path) -> bool {
    Record::open(path).is_ok_and(|record| record.leads().iter().any(|lead| lead.is_voltage))
}

/// Whether a text is a list of beats that the program did not write: its own tables begin with the record's name.
fn is_list_of_beats(path: &Path) -> bool {
    let options = BeatOptions::new("atr");
    let is_list = || matches!(BeatList::open(path, &options), Ok(Some(_)));
    let is_own = || std::fs::read(path).is_ok_and(|text| text.starts_with(b"record,"));
    !is_own() && is_list()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let found = path.extension().and_then(|extension| extension.to_str());
    found.is_some_and(|found| {
        extensions
            .iter()
            .any(|known| known.eq_ignore_ascii_case(found))
    })
}

fn with_extension_added(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HEADER: &str = "r 2 250 4\na.xyz 16 200 16 0 0 0 0 I\nb.sig 16 200 16 0 0 0 0 II\n";
    const TABLE: &str = "time_s,ecg_mv\n0.000,0.1\n0.004,0.2\n0.008,0.3\n0.012,0.2\n";

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("r.hea", HEADER),
            ("a.xyz", "12345678"),
            ("b.sig", "12345678"),
            ("table.csv", TABLE),
            ("beats.csv", "record,sample,time_s,class\nr,4,0.016,N\n"),
            ("old.json", "[]"),
            ("heart.csv", "RR (ms)\n800\n790\n810\n"),
            ("other.edf", "0"),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    fn refusal(guard: &Guard, path: &Path) -> Option<String> {
        guard
            .file("--csv", path)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn recordings_are_refused_and_results_are_not() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let guard = Guard::default();
        for name in [
            "r.hea",
            "a.xyz",
            "b.sig",
            "table.csv",
            "other.edf",
            "heart.csv",
        ] {
            let said = refusal(&guard, &at(name)).expect(name);
            assert!(
                said.contains(name) && said.contains("--csv would overwrite"),
                "{said}"
            );
        }
        for name in ["beats.csv", "old.json", "new.csv", "new.hea"] {
            assert_eq!(refusal(&guard, &at(name)), None, "{name}");
        }
    }

    #[test]
    fn what_is_read_is_refused_by_whatever_name() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let guard = Guard::new([at("old.json").as_path(), at("r").as_path()]);
        assert!(refusal(&guard, &at("./old.json")).is_some());
        fs::hard_link(at("old.json"), at("hard")).expect("a hard link");
        fs::hard_link(at("r.hea"), at("header")).expect("a hard link");
        assert!(refusal(&guard, &at("hard")).is_some() && refusal(&guard, &at("header")).is_some());
        assert_eq!(refusal(&Guard::default(), &at("hard")), None);
    }

    #[test]
    fn two_results_do_not_go_to_one_file() {
        let folder = folder();
        let file = |name: &str| Sink::File(folder.path().join(name));
        let (a, b) = (file("new.json"), file("old.json"));
        let guard = Guard::default();
        assert!(guard.sinks([("--csv", &a), ("--json", &b)]).is_ok());
        let pipe = Sink::Stdout;
        assert!(guard.sinks([("--csv", &pipe), ("--json", &pipe)]).is_ok());
        for same in [&a, &b] {
            let said = guard.sinks([("--csv", same), ("--json", same)]);
            let said = said.err().map(|error| error.to_string());
            assert!(
                said.is_some_and(|said| said.contains("--csv and --json would write to the same"))
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let folder = folder();
        let other = tempfile::tempdir().expect("a folder");
        let link = other.path().join("result");
        std::os::unix::fs::symlink(folder.path().join("b.sig"), &link).expect("a link");
        assert!(refusal(&Guard::default(), &link).is_some());
    }
}
