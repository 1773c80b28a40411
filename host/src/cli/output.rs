//! Where results go.

use crate::file::write_whole;
use anyhow::Context;
use std::io::Write;
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
                stdout.write_all(contents)?;
                Ok(stdout.flush()?)
            }
            Self::File(path) => write_file(path, contents),
        }
    }
}

/// Writes a whole file, or leaves what was there.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    write_whole(path, contents).with_context(|| format!("{}: cannot be written", path.display()))
}
