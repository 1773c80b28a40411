//! Files that are there whole or not at all.

use std::io::{self, Write};
use std::path::Path;

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
    let file = temporary_beside(path)?;
    // The file itself is written to: an error of tempfile's would name the temporary file.
    file.as_file().write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Whether there is something at `path` that is no file, and that no file may replace.
pub fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file())
}

/// A temporary file in `path`'s folder, removed when dropped, with the permissions of an ordinary new file.
pub fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".heartlens-").suffix(".tmp");
    #[cfg(unix)]
    {
        // A temporary file is private to its owner by default; a result is like any other new file, less the umask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The error names no file: that of the temporary one says nothing to whoever asked for `path`.
    builder
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that a file replaced would be gone for every program of the machine.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_to_and_stays() -> io::Result<()> {
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("socket");
        let _socket = UnixListener::bind(&path)?;
        assert!(is_special(&path) && is_special(folder.path()));
        assert!(
            write_whole(&path, b"text").is_err(),
            "a socket cannot be opened"
        );
        assert!(is_special(&path));
        assert_eq!(folder.path().read_dir()?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("result");
        write_whole(&path, b"first, and longer")?;
        write_whole(&path, b"second")?;
        assert_eq!(std::fs::read(&path)?, b"second");
        assert_eq!(folder.path().read_dir()?.count(), 1);
        assert!(write_whole(&folder.path().join("no/such/folder"), b"").is_err());
        Ok(())
    }
}
