//! Files that are whole or not there.

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
    let cannot = || format!("{}: cannot be written", path.display());
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".heartlens-")
        .suffix(".tmp")
        .permissions_as_others()
        .tempfile_in(folder)
        .with_context(cannot)?;
    file.write_all(contents).with_context(cannot)?;
    file.persist(path)
        .map_err(|e| e.error)
        .with_context(cannot)?;
    Ok(())
}

/// Temporary files are private by default; what becomes a result is readable as any other new file.
trait AsOthers {
    fn permissions_as_others(&mut self) -> &mut Self;
}

impl AsOthers for tempfile::Builder<'_, '_> {
    fn permissions_as_others(&mut self) -> &mut Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process's umask is taken off this, as it is for any file.
            self.permissions(std::fs::Permissions::from_mode(0o666));
        }
        self
    }
}
