//! Where results go.

use crate::file::{NewFile, is_special, write_whole};
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// Where a result goes: a file, or standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sink {
    /// `-`
    Stdout,
    /// A file's path.
    File(PathBuf),
}

impl std::str::FromStr for Sink {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Stdout,
            path => Self::File(path.into()),
        })
    }
}

impl Sink {
    /// Writes all of it. A file is written under another name beside it and then renamed, so that it is never seen
    /// half written.
    pub(crate) fn write(&self, contents: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = std::io::stdout().lock();
                let written = stdout.write_all(contents).and_then(|()| stdout.flush());
                Ok(written.map_err(|cause| named(STDOUT, cause))?)
            }
            Self::File(path) => write_file(path, contents),
        }
    }

    /// Begins a result that is written bit by bit, and seen only when it is [finished](Output::finish).
    pub(crate) fn begin(&self) -> anyhow::Result<Output> {
        match self {
            Self::File(path) if !is_special(path) => {
                let file = NewFile::begin(path).with_context(|| cannot(path))?;
                Ok(Output::File(BufWriter::new(file), path.clone()))
            }
            to => {
                let spool = tempfile::tempfile().with_context(spool_said)?;
                Ok(Output::Spool(BufWriter::new(spool), to.clone()))
            }
        }
    }
}

/// A result in the making. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) enum Output {
    /// Kept aside, for standard output or what is no file.
    Spool(BufWriter<File>, Sink),
    /// Under another name beside the file's path.
    File(BufWriter<NewFile>, PathBuf),
}

impl Output {
    /// Gives the file its name, or copies to standard output.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Spool(spool, to) => {
                let spool = spool.into_inner().map_err(io::IntoInnerError::into_error);
                let mut spool = spool.with_context(spool_said)?;
                spool.rewind()?;
                let (mut out, name): (Box<dyn Write>, _) = match &to {
                    Sink::Stdout => (Box::new(io::stdout().lock()), STDOUT.to_owned()),
                    Sink::File(path) => {
                        let open = OpenOptions::new().write(true).open(path);
                        let open = open.with_context(|| cannot(path))?;
                        (Box::new(open), path.display().to_string())
                    }
                };
                let copied = io::copy(&mut spool, &mut out).and_then(|_| out.flush());
                Ok(copied.map_err(|cause| named(&name, cause))?)
            }
            Self::File(file, path) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error);
                file.and_then(NewFile::finish)
                    .with_context(|| cannot(&path))
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Spool(spool, _) => spool.write(bytes).map_err(|e| named(&spool_said(), e)),
            Self::File(file, path) => file.write(bytes).map_err(|e| named(&shown(path), e)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Spool(spool, _) => spool.flush().map_err(|e| named(&spool_said(), e)),
            Self::File(file, path) => file.flush().map_err(|e| named(&shown(path), e)),
        }
    }
}

/// Writes a whole file, or leaves what was there.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    write_whole(path, contents).with_context(|| cannot(path))
}

/// What standard output is called in messages.
const STDOUT: &str = "standard output";

/// What a file without a name is called in messages.
fn spool_said() -> String {
    let folder = std::env::temp_dir();
    format!("a temporary file in {}", folder.display())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn cannot(path: &Path) -> String {
    format!("{}: cannot be written", path.display())
}

/// The error of a write, with the name of what cannot be written.
fn named(name: &str, cause: io::Error) -> io::Error {
    io::Error::new(cause.kind(), format!("{name}: cannot be written: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_seen_when_it_is_finished_and_not_before() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("result");
        let sink = Sink::File(path.clone());
        let mut dropped = sink.begin()?;
        dropped.write_all(b"half")?;
        drop(dropped);
        assert_eq!(folder.path().read_dir()?.count(), 0);
        let mut output = sink.begin()?;
        output.write_all(b"one, ")?;
        output.write_all(b"two")?;
        assert!(!path.exists());
        output.finish()?;
        assert_eq!(std::fs::read(&path)?, b"one, two");
        assert_eq!(folder.path().read_dir()?.count(), 1);
        assert!(Sink::File(path.join("below/a/file")).begin().is_err());
        Ok(())
    }

    #[test]
    fn an_error_names_the_file_that_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing").join("result.csv");
        let begun = Sink::File(path.clone()).begin().expect_err("no folder");
        let written = write_file(&path, b"x").expect_err("no folder");
        for error in [begun, written] {
            let said = crate::message::one_line(error.as_ref());
            assert!(said.contains("result.csv"), "{said}");
            assert!(!said.contains(".heartlens-"), "{said}");
        }
    }
}
