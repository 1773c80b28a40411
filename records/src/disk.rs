//! Where files are: on the disk, or given by whoever calls. A browser has no disk; it lends files, of which it reads a part
//! when it is asked for one.
//!
//! Feature `given` turns the second on. Every reader of this crate opens files through [`open`], so that none can tell the
//! difference.

use std::io::{self, Read, Seek};
use std::path::Path;

#[cfg(not(feature = "given"))]
pub(crate) use on_disk::*;

#[cfg(feature = "given")]
pub(crate) use given_or_on_disk::*;

#[cfg(feature = "given")]
pub use given_or_on_disk::{Given, give, take_back};

/// Why what is there is not opened: a pipe would keep whoever opens it waiting, and cannot be read twice, as records are.
pub(crate) fn refusal(path: &Path) -> Option<io::Error> {
    let found = std::fs::metadata(path).ok()?.file_type();
    let is_other = !found.is_file() && !found.is_dir();
    is_other.then(|| {
        let said = "found a pipe or a device, expected a file: a record is read more than once";
        io::Error::new(io::ErrorKind::InvalidInput, said)
    })
}

/// A whole file.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads as many bytes as there are in `bytes`, which were there when the file was measured.
pub(crate) fn fill(file: &mut File, bytes: &mut [u8]) -> io::Result<()> {
    let at = file.stream_position()?;
    file.read_exact(bytes).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => shrunk(file, at + bytes.len() as u64),
        _ => cause,
    })
}

/// The error of a file that has fewer bytes than it had.
pub(crate) fn shrunk(file: &File, expected: u64) -> io::Error {
    let found = match file.metadata() {
        Ok(metadata) => format!("{} bytes", metadata.len()),
        Err(_) => "its end".to_owned(),
    };
    let said = format!(
        "found {found}, expected {expected} or more: the file has become shorter while it was read"
    );
    io::Error::new(io::ErrorKind::UnexpectedEof, said)
}

#[cfg(not(feature = "given"))]
mod on_disk {
    pub(crate) use std::fs::File;
    use std::io;
    use std::path::Path;

    /// Opens a file to be read.
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
        super::refusal(path.as_ref()).map_or_else(|| File::open(path.as_ref()), Err)
    }

    /// Whether there is a file of this name.
    pub(crate) fn is_file(path: &Path) -> bool {
        path.is_file()
    }

    /// Whether there is anything of this name.
    pub(crate) fn exists(path: &Path) -> bool {
        path.exists()
    }

    /// A file's length in bytes; an error where it is a folder.
    pub(crate) fn size(path: &Path) -> io::Result<u64> {
        super::refusal(path).map_or(Ok(()), Err)?;
        let found = std::fs::metadata(path)?;
        match found.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(found.len()),
        }
    }
}

#[cfg(feature = "given")]
mod given_or_on_disk {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::io::{self, Read, Seek, SeekFrom};
    use std::path::{Path, PathBuf};
    use std::rc::Rc;

    /// Bytes that somebody lends.
    pub trait Given {
        /// How many there are.
        fn len(&self) -> u64;

        /// Whether there are none.
        fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Copies bytes from place `at` on into `into`: as many as fit or are there, at least one before the end.
        ///
        /// # Errors
        /// When they cannot be read.
        fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
    }

    thread_local! {
        static GIVEN: RefCell<BTreeMap<PathBuf, Rc<dyn Given>>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Lends a file under a name, to this thread: where this crate is asked to open that name, it reads these bytes.
    pub fn give(name: impl Into<PathBuf>, bytes: impl Given + 'static) {
        GIVEN.with_borrow_mut(|given| given.insert(name.into(), Rc::new(bytes)));
    }

    /// Ends the loan of a file. What has it open reads no more of it. False where there was none of that name.
    pub fn take_back(name: impl AsRef<Path>) -> bool {
        GIVEN.with_borrow_mut(|given| given.remove(name.as_ref()).is_some())
    }

    fn lent(path: &Path) -> Option<Rc<dyn Given>> {
        GIVEN.with_borrow(|given| given.get(path).map(Rc::clone))
    }

    /// An open file.
    #[derive(Debug)]
    pub(crate) enum File {
        OnDisk(std::fs::File),
        /// By its name, for a loan belongs to a thread and a file does not.
        Lent {
            name: PathBuf,
            at: u64,
        },
    }

    /// What is known of a file.
    #[derive(Debug)]
    pub(crate) struct Metadata(u64);

    impl Metadata {
        pub(crate) fn len(&self) -> u64 {
            self.0
        }
    }

    /// Opens a file to be read.
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        match (lent(path), super::refusal(path)) {
            (Some(_), _) => Ok(File::Lent {
                name: path.to_owned(),
                at: 0,
            }),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => on_disk(std::fs::File::open(path)).map(File::OnDisk),
        }
    }

    impl File {
        pub(crate) fn metadata(&self) -> io::Result<Metadata> {
            match self {
                Self::OnDisk(file) => Ok(Metadata(file.metadata()?.len())),
                Self::Lent { name, .. } => Ok(Metadata(bytes_of(name)?.len())),
            }
        }
    }

    impl Read for File {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self {
                Self::OnDisk(file) => file.read(into),
                Self::Lent { name, at } => {
                    let read = bytes_of(name)?.read_at(*at, into)?;
                    *at += read as u64;
                    Ok(read)
                }
            }
        }
    }

    impl Seek for File {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            match self {
                Self::OnDisk(file) => file.seek(to),
                Self::Lent { name, at } => {
                    let place = match to {
                        SeekFrom::Start(place) => Some(place),
                        SeekFrom::End(offset) => bytes_of(name)?.len().checked_add_signed(offset),
                        SeekFrom::Current(offset) => at.checked_add_signed(offset),
                    };
                    *at = place.ok_or(io::ErrorKind::InvalidInput)?;
                    Ok(*at)
                }
            }
        }
    }

    fn bytes_of(name: &Path) -> io::Result<Rc<dyn Given>> {
        lent(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A browser has no disk: there, what is not lent is not there.
    fn on_disk<T>(found: io::Result<T>) -> io::Result<T> {
        found.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => io::ErrorKind::NotFound.into(),
            _ => error,
        })
    }

    /// Whether there is a file of this name.
    pub(crate) fn is_file(path: &Path) -> bool {
        lent(path).is_some() || path.is_file()
    }

    /// Whether there is anything of this name.
    pub(crate) fn exists(path: &Path) -> bool {
        lent(path).is_some() || path.exists()
    }

    /// A file's length in bytes; an error where it is a folder.
    pub(crate) fn size(path: &Path) -> io::Result<u64> {
        if let Some(bytes) = lent(path) {
            return Ok(bytes.len());
        }
        let found = on_disk(std::fs::metadata(path))?;
        match found.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(found.len()),
        }
    }
}
