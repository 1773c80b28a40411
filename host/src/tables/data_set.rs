//! A folder of tables, written part by part, that a later run goes on with.
//!
//! ```text
//! OUT/_heartlens.json                    the schema's version, and who made it how
//! OUT/beats/part-ID.parquet              beats of some records
//! OUT/errors/part-ID.parquet             those of the same records that could not be classified
//! OUT/records/part-ID.parquet            the other ones' rows: written last, and only with it the part is there
//! OUT/{beats,records,errors}/part-0000000000000000.parquet      no rows: no table is without a file
//! ```
//!
//! Each file is written under another name, which begins with a dot, and then renamed. ID is made of the records' names, so that a part that
//! is written again takes its own place.

use super::{Origin, PartFiles, SCHEMA_KEY, SCHEMA_VERSION, Table, Writer};
use crate::file::write_whole;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The file that says what a data set is. Readers of Parquet pass over names that begin with `_`.
pub const STATEMENT_FILE: &str = "_heartlens.json";

/// What the program and its options are called in messages, and in [`STATEMENT_FILE`].
const ORIGIN_KEYS: [&str; 4] = ["heartlens", "model", "model_hash", "options"];

/// A data set that cannot be written or gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// The operating system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file is no Parquet, or is damaged.
    #[error("{}: {cause}; delete it and start again: what it held is done again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: ParquetError,
    },
    /// The folder has something else in it.
    #[error(
        "{}: found a folder with other files and no {STATEMENT_FILE}, expected an empty or a new one, or one that an earlier run wrote; choose another folder",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is of another schema, program, model or options.
    #[error(
        "{}: found {key} {found}, expected {expected}: results of both do not go together; choose another folder, or delete this one to do all records again",
        path.display()
    )]
    Other {
        /// The folder's [`STATEMENT_FILE`].
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// What the folder is of.
        found: String,
        /// What this run is of.
        expected: String,
    },
}

/// A folder of tables.
#[derive(Debug)]
pub struct DataSet {
    folder: PathBuf,
    done: HashSet<String>,
}

impl DataSet {
    /// Opens a data set to go on with, or begins one. What a run that was killed left behind without its `records` is deleted: at any time only one
    /// run may write.
    ///
    /// # Errors
    /// [`DataSetError`], before anything is written, where the folder is of another schema, program, model or options, or
    /// holds other files.
    pub fn open(folder: impl AsRef<Path>, origin: &Origin) -> Result<Self, DataSetError> {
        let folder = folder.as_ref();
        let statement = folder.join(STATEMENT_FILE);
        match fs::read(&statement) {
            Ok(bytes) => check(&statement, &bytes, origin)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => begin(folder, origin)?,
            Err(cause) => return Err(cannot(&statement, cause)),
        }
        remove_temporary(folder, |name| is_statement_in_the_making(OsStr::new(name)))?;
        let mut done = HashSet::new();
        let whole = parts(&folder.join(Table::Records.name()))?;
        for table in Table::ALL {
            let is_temporary = |name: &str| name.starts_with('.') && name.ends_with(".tmp");
            remove_temporary(&folder.join(table.name()), is_temporary)?;
        }
        for table in [Table::Beats, Table::Errors] {
            for part in parts(&folder.join(table.name()))? {
                if !whole.contains(&part) {
                    let path = folder.join(table.name()).join(part);
                    fs::remove_file(&path).map_err(|cause| cannot(&path, cause))?;
                } else if table == Table::Errors {
                    names(&folder.join(table.name()).join(part), &mut done)?;
                }
            }
        }
        for part in whole {
            names(&folder.join(Table::Records.name()).join(part), &mut done)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            done,
        })
    }

    /// Whether this record is in `records` or `errors`.
    pub fn has(&self, record: &str) -> bool {
        self.done.contains(record)
    }

    /// Writes a part: all of it, or what the next [`DataSet::open`] deletes.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&mut self, part: &PartFiles) -> Result<(), DataSetError> {
        if part.names.is_empty() {
            return Ok(());
        }
        let name = file_name(&id(&part.names));
        let write = |table: Table, bytes: &[u8]| {
            let path = self.folder.join(table.name()).join(&name);
            write_whole(&path, bytes).map_err(|cause| cannot(&path, cause))
        };
        if part.beat_rows > 0 {
            write(Table::Beats, &part.beats)?;
        }
        if part.error_rows > 0 {
            write(Table::Errors, &part.errors)?;
        }
        write(Table::Records, &part.records)?;
        self.done.extend(part.names.iter().cloned());
        Ok(())
    }
}

/// What tells a part from others: the first 16 hexadecimal digits of the SHA-256 of its records' names, each ended by a line feed.
fn id(names: &[String]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(b"\n");
    }
    let digest = hash.finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn file_name(id: &str) -> String {
    format!("part-{id}.parquet")
}

/// Begins a data set in a folder that is new or empty.
fn begin(folder: &Path, origin: &Origin) -> Result<(), DataSetError> {
    fs::create_dir_all(folder).map_err(|cause| cannot(folder, cause))?;
    let mut entries = fs::read_dir(folder).map_err(|cause| cannot(folder, cause))?;
    let own: Vec<&OsStr> = Table::ALL.iter().map(|t| OsStr::new(t.name())).collect();
    // A run that was killed in its first moments leaves folders, and perhaps its statement in the making.
    let foreign = entries.any(|entry| {
        entry.map_or(true, |entry| {
            let name = entry.file_name();
            !is_statement_in_the_making(&name)
                && (!own.contains(&name.as_os_str())
                    || parts(&entry.path()).map_or(true, |parts| parts.len() > 1))
        })
    });
    if foreign {
        return Err(DataSetError::Foreign {
            path: folder.to_owned(),
        });
    }
    for table in Table::ALL {
        let below = folder.join(table.name());
        fs::create_dir_all(&below).map_err(|cause| cannot(&below, cause))?;
        let path = below.join(file_name(&"0".repeat(16)));
        let none = Writer::new(Vec::new(), table, origin).and_then(Writer::finish);
        let none = none.map_err(|cause| damaged(&path, cause))?;
        write_whole(&path, &none).map_err(|cause| cannot(&path, cause))?;
    }
    let path = folder.join(STATEMENT_FILE);
    let mut statement = serde_json::Map::new();
    statement.insert(SCHEMA_KEY.to_owned(), SCHEMA_VERSION.into());
    for (key, value) in ORIGIN_KEYS.into_iter().zip(values(origin)) {
        statement.insert(key.to_owned(), value.into());
    }
    let mut text = serde_json::Value::from(statement).to_string();
    text.push('\n');
    write_whole(&path, text.as_bytes()).map_err(|cause| cannot(&path, cause))
}

fn values(origin: &Origin) -> [&str; 4] {
    let Origin {
        heartlens,
        model,
        model_hash,
        options,
    } = origin;
    [heartlens, model, model_hash, options]
}

/// Refuses to go on with another's data set.
fn check(path: &Path, bytes: &[u8], origin: &Origin) -> Result<(), DataSetError> {
    let found: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |key: &str| match &found[key] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let version = SCHEMA_VERSION.to_string();
    let expected = ORIGIN_KEYS.into_iter().zip(values(origin));
    for (key, expected) in [(SCHEMA_KEY, version.as_str())].into_iter().chain(expected) {
        let found = text(key);
        if found != expected {
            return Err(DataSetError::Other {
                path: path.to_owned(),
                key,
                found,
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}

/// The names of the Parquet files in a folder.
fn parts(folder: &Path) -> Result<HashSet<String>, DataSetError> {
    let entries = fs::read_dir(folder).map_err(|cause| cannot(folder, cause))?;
    let mut found = HashSet::new();
    for entry in entries {
        let entry = entry.map_err(|cause| cannot(folder, cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("part-") && name.ends_with(".parquet") {
            found.insert(name);
        }
    }
    Ok(found)
}

/// Whether this is [`STATEMENT_FILE`] as this crate or its Python package writes it before it has its name.
fn is_statement_in_the_making(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let begins = [".heartlens-", "."].map(|prefix| format!("{prefix}{STATEMENT_FILE}."));
    begins.iter().any(|begin| name.starts_with(begin)) && name.ends_with(".tmp")
}

/// Removes the files that killed processes were about to write.
fn remove_temporary(
    folder: &Path,
    is_temporary: impl Fn(&str) -> bool,
) -> Result<(), DataSetError> {
    for entry in fs::read_dir(folder).map_err(|cause| cannot(folder, cause))? {
        let path = entry.map_err(|cause| cannot(folder, cause))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_temporary(&name) {
            fs::remove_file(&path).map_err(|cause| cannot(&path, cause))?;
        }
    }
    Ok(())
}

/// Adds the names in a file's first column, `record`.
fn names(path: &Path, to: &mut HashSet<String>) -> Result<(), DataSetError> {
    let file = File::open(path).map_err(|cause| cannot(path, cause))?;
    let read = || -> Result<(), ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let only = ProjectionMask::roots(builder.parquet_schema(), [0]);
        for batch in builder.with_projection(only).build()? {
            let batch = batch?;
            let column = batch.column(0);
            let column = column.as_string_opt::<i32>().ok_or_else(|| {
                ParquetError::General(format!(
                    "found {} as first column, expected names of records",
                    column.data_type()
                ))
            })?;
            to.extend(column.iter().flatten().map(str::to_owned));
        }
        Ok(())
    };
    read().map_err(|cause| damaged(path, cause))
}

fn cannot(path: &Path, cause: io::Error) -> DataSetError {
    DataSetError::Io {
        path: path.to_owned(),
        cause,
    }
}

fn damaged(path: &Path, cause: ParquetError) -> DataSetError {
    DataSetError::Parquet {
        path: path.to_owned(),
        cause,
    }
}
