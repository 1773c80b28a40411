//! Prepared records in one memory-mapped file, so that they are computed once and not held in memory.
//!
//! The file is a help and never an authority: what is missing, damaged, of other records or of other features is computed
//! anew. Numbers have the byte order of the machine that wrote them, and the magic tells another one's.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | magic: the letters HLBEATS and the version of this layout, as a big-endian u64 in the machine's own byte order |
//! | 8..40 | key: SHA-256 of the layout, the features ([`spec::HASH`]), the choice of R peaks and recordings, and the bytes of all files beside the records |
//! | 40..48 | where the index starts, u64 |
//! | 48..52 | CRC-32 of the index, u32 |
//! | 64.. | [`Beat`]s: record by record, lead by lead, f32 throughout |
//! | to the end | the index, JSON: a record's names, classes, CRC-32, and where its leads are |

use super::DatasetError;
use super::find::{Folders, Found, Wanted, find};
use super::record::{Beat, Lead, Leads, RecordBeats};
use super::weak_labels::Rhythm;
use crate::beat::dataset::Dataset;
use crate::progress::bar;
use heartlens::evaluate::report::Peaks;
use heartlens::file::NewFile;
use heartlens_core::class::Class;
use heartlens_core::spec;
use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use zerocopy::{FromBytes, IntoBytes};

/// Starts every file.
const MAGIC: u64 = u64::from_be_bytes(*b"HLBEATS\x04");
/// Bytes before the beats.
const HEADER_LEN: usize = 64;
/// End of the names of files that are being written.
const UNFINISHED: &str = ".tmp";

type Key = [u8; 32];

/// Why a file is not used.
#[derive(Debug, Error)]
enum Refusal {
    #[error("there is none")]
    Missing,
    #[error("{0}")]
    Unreadable(io::Error),
    #[error("no cache of this build's layout")]
    Foreign,
    #[error("made of other records, other features or other R peaks")]
    OtherKey,
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("{0} comes out different now")]
    OtherFeatures(String),
}

/// A record in the index.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    database: String,
    patient: String,
    peaks: Peaks,
    rhythm: Option<Rhythm>,
    best: Lead,
    /// One letter a beat.
    classes: String,
    /// Where each lead's beats are in the file, in bytes.
    leads: Vec<Range<usize>>,
    /// Of all leads' bytes.
    crc: u32,
}

/// The folder of caches on this machine: `heartlens/features` in `$XDG_CACHE_HOME` or `~/.cache`. `None` where there is no home.
pub fn default_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = named
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    Some(base.join("heartlens/features"))
}

/// What is wanted as [`Dataset::read`] gives them, from a file in the folder `cache` where that has them,
/// else computed and written there. `say` is told in a line why a file that is there is not used, and when none can be
/// written; then the records are held in memory.
///
/// A file is used if its key and its checksums are right and its first record comes out the same when it is computed now,
/// which tells a build whose detector or features differ.
///
/// # Errors
/// Those of [`Dataset::read`]; the cache itself is no reason to fail.
pub fn open(
    folders: &Folders,
    wanted: &Wanted,
    cache: &Path,
    mut say: impl FnMut(String),
) -> Result<Dataset, DatasetError> {
    let peaks = &wanted.peaks;
    let found = find(folders, wanted)?;
    let path = cache.join(file_name(folders, wanted));
    let key = key(&found, wanted)?;
    match load(&path, &key).and_then(|dataset| probe(dataset, &found, peaks)) {
        Ok(dataset) => return Ok(dataset),
        Err(Refusal::Missing) => {}
        Err(refusal) => say(format!(
            "{}: {refusal}; preparing the records anew",
            path.display()
        )),
    }
    match write(&path, &key, &found, peaks) {
        Ok(()) => {}
        Err(WriteError::Dataset(error)) => return Err(error),
        Err(WriteError::Io(error)) => {
            say(format!(
                "{}: {error}; the prepared records are not kept",
                path.display()
            ));
            return Dataset::prepare(&found, peaks);
        }
    }
    load(&path, &key).or_else(|refusal| {
        say(format!(
            "{}: {refusal}; the prepared records are not kept",
            path.display()
        ));
        Dataset::prepare(&found, peaks)
    })
}

/// One file for the same data folders, records and choice of R peaks: what is out of date is replaced and does not pile up.
fn file_name(folders: &Folders, wanted: &Wanted) -> String {
    let canonical = |folder: &PathBuf| folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let folders: Vec<PathBuf> = folders.0.iter().map(canonical).collect();
    let digest = Sha256::digest(format!("{folders:?} {wanted:?}"));
    let hex: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex}.beats")
}

/// What the beats depend on. All files of the records' folders count, because a header may name any of them.
fn key(found: &[Found], wanted: &Wanted) -> Result<Key, DatasetError> {
    let mut folders: Vec<&Path> = found
        .iter()
        .filter_map(|found| found.path.parent())
        .collect();
    folders.dedup();
    let mut files = Vec::new();
    for folder in folders {
        files.extend(list(folder)?.into_iter().filter(|path| path.is_file()));
    }
    let digest = |path: &PathBuf| -> Result<Key, DatasetError> {
        let bytes = std::fs::read(path).map_err(|source| DatasetError::Read {
            path: path.clone(),
            source,
        })?;
        Ok(Sha256::digest(&bytes).into())
    };
    let digests: Vec<Key> = files.par_iter().map(digest).collect::<Result<_, _>>()?;
    let mut hash = Sha256::new();
    hash.update(MAGIC.to_ne_bytes());
    hash.update(spec::HASH.to_le_bytes());
    hash.update(format!("{wanted:?} {}", size_of::<Beat>()));
    for found in found {
        hash.update(format!("\n{} {:?}", found.name(), found.rhythm));
    }
    for (path, digest) in files.iter().zip(digests) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("\n{name} "));
        hash.update(digest);
    }
    Ok(hash.finalize().into())
}

/// Reads the file at `path` and checks all of it.
fn load(path: &Path, key: &Key) -> Result<Dataset, Refusal> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::Missing,
        _ => Refusal::Unreadable(error),
    })?;
    // SAFETY: the bytes of a mapped file must not change. Files here are written under another name and renamed when they
    // are whole, and never written again: a newer one is a new file, and this mapping keeps the old one.
    #[expect(unsafe_code, reason = "memory-mapping a file has no safe interface")]
    let map = unsafe { Mmap::map(&file) }.map_err(Refusal::Unreadable)?;
    let header = map.get(..HEADER_LEN).ok_or(Refusal::Foreign)?;
    let number = |at: usize| {
        header[at..]
            .first_chunk()
            .map_or(0, |b| u64::from_ne_bytes(*b))
    };
    if number(0) != MAGIC {
        return Err(Refusal::Foreign);
    }
    if header[8..40] != *key {
        return Err(Refusal::OtherKey);
    }
    let damaged = |what: &str| Refusal::Damaged(what.to_owned());
    let start = usize::try_from(number(40)).map_err(|_| damaged("its header"))?;
    let crc = header[48..]
        .first_chunk()
        .map_or(0, |b| u32::from_ne_bytes(*b));
    let index = map.get(start..).ok_or_else(|| damaged("cut short"))?;
    if crc32fast::hash(index) != crc {
        return Err(damaged("its index"));
    }
    let index: Vec<Entry> = serde_json::from_slice(index).map_err(|_| damaged("its index"))?;
    let map = Arc::new(map);
    let records = index.into_par_iter().map(|entry| entry.open(&map));
    Ok(Dataset {
        records: records.collect::<Result<_, _>>()?,
    })
}

impl Entry {
    /// The record, if its bytes are whole.
    fn open(self, map: &Arc<Mmap>) -> Result<RecordBeats, Refusal> {
        let damaged = || Refusal::Damaged(self.name.clone());
        let classes: Option<Vec<Class>> = self.classes.chars().map(class_of).collect();
        let classes = classes.ok_or_else(damaged)?;
        let mut crc = crc32fast::Hasher::new();
        for lead in &self.leads {
            let bytes = map.get(lead.clone()).ok_or_else(damaged)?;
            let beats = <[Beat]>::ref_from_bytes(bytes).map_err(|_| damaged())?;
            if beats.len() != classes.len() {
                return Err(damaged());
            }
            crc.update(bytes);
        }
        if self.leads.is_empty() || crc.finalize() != self.crc {
            return Err(damaged());
        }
        Ok(RecordBeats {
            leads: Leads::Mapped {
                map: Arc::clone(map),
                leads: self.leads,
            },
            name: self.name,
            database: self.database,
            patient: self.patient,
            peaks: self.peaks,
            rhythm: self.rhythm,
            best: self.best,
            classes,
        })
    }
}

fn class_of(letter: char) -> Option<Class> {
    Class::ALL
        .into_iter()
        .find(|class| class.to_string() == letter.to_string())
}

/// The data set, if its first record and its first recording are what this build makes of them.
fn probe(dataset: Dataset, found: &[Found], peaks: &[Peaks]) -> Result<Dataset, Refusal> {
    let annotated = found.iter().find(|found| found.rhythm.is_none());
    let recording = found.iter().find(|found| found.rhythm.is_some());
    for first in annotated.into_iter().chain(recording) {
        let name = first.name();
        let different = || Refusal::OtherFeatures(name.clone());
        let now = first.read(peaks).map_err(|_| different())?;
        let kept = dataset.records.iter().filter(|record| record.name == name);
        let same = |(a, b): (&RecordBeats, &RecordBeats)| {
            a.classes == b.classes && a.best == b.best && a.leads().eq(b.leads())
        };
        let as_now = kept.clone().count() == now.len() && now.iter().zip(kept).all(same);
        if !as_now {
            return Err(different());
        }
    }
    Ok(dataset)
}

/// Why a file is not written.
enum WriteError {
    Dataset(DatasetError),
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Prepares the records and writes them to `path`, whole or not at all, holding no more of them than are being prepared.
fn write(path: &Path, key: &Key, found: &[Found], peaks: &[Peaks]) -> Result<(), WriteError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    remove_abandoned(folder)?;
    let file = NewFile::begin(path)?;
    let mut out = Out {
        file: BufWriter::new(file),
        at: 0,
    };
    out.write(&[0; HEADER_LEN])?;
    let out = Mutex::new(out);
    let progress = bar(found.len() as u64, "records");
    let entries: Result<Vec<Vec<Entry>>, WriteError> = found
        .par_iter()
        .map(|found| {
            let records = found.read(peaks).map_err(WriteError::Dataset)?;
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            let entries = records.iter().map(|record| out.record(record));
            let entries = entries.collect::<io::Result<_>>()?;
            progress.inc(1);
            Ok(entries)
        })
        .collect();
    progress.finish_and_clear();
    let entries: Vec<Entry> = entries?.into_iter().flatten().collect();
    let index = serde_json::to_vec(&entries).map_err(io::Error::other)?;
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    let start = out.at as u64;
    out.write(&index)?;
    let mut file = out
        .file
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.as_file().seek(SeekFrom::Start(0))?;
    file.write_all(&MAGIC.to_ne_bytes())?;
    file.write_all(key)?;
    file.write_all(&start.to_ne_bytes())?;
    file.write_all(&crc32fast::hash(&index).to_ne_bytes())?;
    Ok(file.finish()?)
}

/// Removes what programs that were killed have left: a running one holds a lock on its file. (A file's age says nothing, where the
/// clock may be set.)
fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let is_unfinished = path.to_string_lossy().ends_with(UNFINISHED) && path.is_file();
        let is_free = |path: &Path| File::open(path).is_ok_and(|file| file.try_lock().is_ok());
        if is_unfinished && is_free(&path) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A file in the making.
struct Out<W: Write> {
    file: W,
    at: usize,
}

impl<W: Write> Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<Range<usize>> {
        self.file.write_all(bytes)?;
        let start = self.at;
        self.at += bytes.len();
        Ok(start..self.at)
    }

    fn record(&mut self, record: &RecordBeats) -> io::Result<Entry> {
        let mut leads = Vec::new();
        for lead in record.leads() {
            leads.push(self.write(lead.as_bytes())?);
        }
        Ok(Entry {
            name: record.name.clone(),
            database: record.database.clone(),
            patient: record.patient.clone(),
            peaks: record.peaks,
            rhythm: record.rhythm,
            best: record.best,
            classes: record.classes.iter().map(ToString::to_string).collect(),
            leads,
            crc: record.checksum(),
        })
    }
}

/// The paths in `folder`, in alphabetical order.
fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let read = || {
        let entries = std::fs::read_dir(folder)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|source| DatasetError::Read {
        path: folder.to_owned(),
        source,
    })
}
