//! Files that are there whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{Builder, TempPath};

/// A file in the making, under another name in the same folder until it is finished. Dropped, it leaves nothing behind.
///
/// The name is made of the file's own. Where a program was killed, the next one that writes the same file takes the place of what
/// it left; a program that is still writing it is left alone, because it holds a lock.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    temporary: TempPath,
    path: PathBuf,
    _listed: Listed,
}

impl NewFile {
    /// Begins a file that is to be at `path`.
    ///
    /// # Errors
    /// When the folder is missing, or nothing can be written there.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let named = match temporary_name(path) {
            Some(name) => begin_as(path, &name)?,
            None => None,
        };
        let named = named.map_or_else(|| begin_anyhow(path), Ok)?;
        let (file, temporary) = named.into_parts();
        Ok(Self {
            file,
            _listed: Listed::of(&temporary),
            temporary,
            path: path.to_owned(),
        })
    }

    /// The file itself, whose errors do not name the temporary one.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name. A reader sees the old file or the new one.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let persisted = self.temporary.persist(&self.path);
        persisted.map_err(|error| error.error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether a program that was killed had begun to write the file at `path`.
pub fn is_left_behind(path: &Path) -> bool {
    temporary_name(path).is_some_and(|name| is_abandoned(&folder(path).join(name)))
}

/// Removes every file in the making, for a program that is about to end. None can be begun or finished afterwards.
pub fn remove_unfinished() {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        // Nothing more can be done where this fails.
        let _ = std::fs::remove_file(path);
    }
    std::mem::forget(unfinished);
}

/// Writes a whole file under another name beside `path` and renames it: a reader sees the old file or the new one. What is
/// no file - a pipe, `/dev/null` - is written to.
///
/// # Errors
/// When the folder is missing or the file cannot be written; what was there stays.
pub fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    if is_special(path) {
        return std::fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(contents);
    }
    let mut file = NewFile::begin(path)?;
    file.write_all(contents)?;
    file.finish()
}

/// Whether there is something at `path` that is no file, and that no file may replace.
pub fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file())
}

/// The files in the making of this process, by their temporary names.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name in [`UNFINISHED`], until this is dropped.
#[derive(Debug)]
struct Listed(PathBuf);

impl Listed {
    fn of(path: &Path) -> Self {
        unfinished().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

const PREFIX: &str = ".heartlens-";
const SUFFIX: &str = ".tmp";

/// What the file at `path` is called while it is in the making; `None` where that would be longer than a name may be.
fn temporary_name(path: &Path) -> Option<String> {
    let name = format!("{PREFIX}{}{SUFFIX}", path.file_name()?.to_str()?);
    (name.len() <= 255).then_some(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file under this name, with a lock; `None` where another program writes under it, or nobody can tell.
fn begin_as(path: &Path, name: &str) -> io::Result<Option<tempfile::NamedTempFile>> {
    // The second time, what a killed program left is gone.
    for _ in 0..2 {
        match create(path, builder().prefix(name).rand_bytes(0)) {
            Ok(file) => {
                let locked = file.as_file().try_lock().is_ok();
                // Between the two, another program may have taken it for abandoned.
                return Ok((locked && is_at(file.as_file(), file.path())).then_some(file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = folder(path).join(name);
                if !is_abandoned(&left) {
                    break;
                }
                // Whether it is gone, the next attempt tells.
                let _ = std::fs::remove_file(left);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A temporary file under any name.
fn begin_anyhow(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let file = create(path, builder().prefix(PREFIX).suffix(SUFFIX))?;
    // Where there are locks, it shows that this file has a writer.
    let _ = file.as_file().try_lock();
    Ok(file)
}

fn create(path: &Path, builder: &Builder<'_, '_>) -> io::Result<tempfile::NamedTempFile> {
    // The error names no file: that of the temporary one says nothing to whoever asked for `path`.
    let created = builder.tempfile_in(folder(path));
    created.map_err(|error| io::Error::from(error.kind()))
}

/// Makes files with the permissions of an ordinary new file.
fn builder<'a>() -> Builder<'a, 'a> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "permissions are unix's"))]
    let mut builder = Builder::new();
    #[cfg(unix)]
    {
        // A temporary file is private to its owner by default; a result is like any other new file, less the umask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Whether this is a file that no program holds a lock on.
fn is_abandoned(path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    is_file && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Whether this open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: std::fs::Metadata| (found.dev(), found.ino());
    let both = file
        .metadata()
        .and_then(|a| Ok((id(a), id(path.symlink_metadata()?))));
    both.is_ok_and(|(a, b)| a == b)
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A device that a file replaced would be gone for every program of the machine.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = UnixListener::bind(&path).unwrap();
        assert!(is_special(&path) && is_special(folder.path()));
        assert!(
            write_whole(&path, b"text").is_err(),
            "a socket cannot be opened"
        );
        assert!(is_special(&path));
        assert_eq!(names(folder.path()), ["socket"]);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        write_whole(&path, b"first, and longer").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["result"]);
        assert!(write_whole(&folder.path().join("no/such/folder"), b"").is_err());
        // The name of the temporary file would be too long.
        let long = "x".repeat(250);
        write_whole(&folder.path().join(&long), b"third").unwrap();
        assert_eq!(names(folder.path()), ["result", &long]);
    }

    /// What a killed program left is replaced; what a running one writes is not, and both files come out whole.
    #[test]
    fn only_what_nobody_writes_any_more_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        let left = folder.path().join(".heartlens-result.tmp");
        std::fs::write(&left, "half of a res").unwrap();
        assert!(is_left_behind(&path));
        let mut first = NewFile::begin(&path).unwrap();
        assert!(!is_left_behind(&path), "it is in the making again");
        assert_eq!(names(folder.path()), [".heartlens-result.tmp"]);
        first.write_all(b"first").unwrap();
        let mut second = NewFile::begin(&path).unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        second.write_all(b"second").unwrap();
        second.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        first.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        drop(NewFile::begin(&path).unwrap());
        assert_eq!(names(folder.path()), ["result"]);
    }

    /// A link under the temporary name leads to somebody's file, which is not written to.
    #[cfg(unix)]
    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("precious"), "kept").unwrap();
        std::os::unix::fs::symlink(at("precious"), at(".heartlens-result.tmp")).unwrap();
        write_whole(&at("result"), b"whole").unwrap();
        assert_eq!(std::fs::read(at("precious")).unwrap(), b"kept");
        assert_eq!(std::fs::read(at("result")).unwrap(), b"whole");
    }
}
