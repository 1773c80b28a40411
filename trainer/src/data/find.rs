//! Where the records that a config names are.

use super::DatasetError;
use super::diagnosed::DiagnosedConfig;
use super::record::RecordBeats;
use super::weak_labels::{self, Rhythm};
use heartlens::evaluate::report::Peaks;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Annotator of the reference beats.
pub(crate) const REFERENCE: &str = "atr";

/// Folders that hold data bases, each a folder of its own: `mitdb/`, `svdb/`, `cinc2017/`, `nstdb/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders(pub Vec<PathBuf>);

impl Folders {
    /// The folder of a data base: that of the first of these folders that has it.
    ///
    /// # Errors
    /// If none has it.
    pub fn database(&self, name: &str) -> Result<PathBuf, DatasetError> {
        let place = self.place(name);
        if place.is_dir() {
            return Ok(place);
        }
        let folders = self.0.iter().map(|folder| folder.display().to_string());
        Err(DatasetError::NoDatabase {
            name: name.to_owned(),
            folders: folders.collect::<Vec<_>>().join(", "),
        })
    }

    /// Where a data base is, or would be in the first of these folders.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        let mut places = self.0.iter().map(|folder| folder.join(name));
        let first = places.clone().next().unwrap_or_default();
        places.find(|folder| folder.is_dir()).unwrap_or(first)
    }
}

impl From<&Path> for Folders {
    fn from(folder: &Path) -> Self {
        Self(vec![folder.to_owned()])
    }
}

/// What is read of data folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Names of annotated records by data base.
    pub records: BTreeMap<String, Vec<String>>,
    /// Where the R peaks of annotated records come from; each record is read once for each.
    pub peaks: Vec<Peaks>,
    /// Recordings that are read though nobody annotated them.
    pub weak_labels: Option<WantedLabels>,
    /// Data bases of recordings with a diagnosis.
    pub diagnosed: Vec<DiagnosedConfig>,
}

/// Recordings that have a label and no beat annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedLabels {
    /// Their data base.
    pub database: String,
    /// Rhythms of the recordings that are read.
    pub rhythms: Vec<Rhythm>,
}

/// A record or recording that is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its data base.
    pub database: String,
    /// Its path, without extension.
    pub path: PathBuf,
    /// Of a recording that nobody annotated, its rhythm.
    pub rhythm: Option<Rhythm>,
    /// Of a recording with a diagnosis, the lead that is read, by its place.
    pub lead: Option<usize>,
}

impl Found {
    /// What it is called: data base and record, and the lead where several of a recording may be read.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        match self.lead {
            Some(lead) => format!("{}/{name}:{lead}", self.database),
            None => format!("{}/{name}", self.database),
        }
    }

    /// Its beats: once for each of `peaks` where it is annotated; none of a recording that is too short.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&self, peaks: &[Peaks]) -> Result<Vec<RecordBeats>, DatasetError> {
        match self.rhythm {
            None => RecordBeats::read(&self.database, &self.path, peaks),
            Some(rhythm) => {
                let beats = weak_labels::read(self, rhythm)?;
                Ok(beats.into_iter().collect())
            }
        }
    }
}

/// The paths of what is wanted: annotated records in order of data base and name, then recordings.
///
/// # Errors
/// If a data base, a record, its annotations or the labels of recordings are missing.
pub(crate) fn find(folders: &Folders, wanted: &Wanted) -> Result<Vec<Found>, DatasetError> {
    let mut found = Vec::new();
    for (database, names) in &wanted.records {
        let folder = folders.database(database)?;
        let mut names = names.clone();
        names.sort_unstable();
        for name in names {
            let path = folder.join(&name);
            // Not `with_extension`: a name may have a dot.
            let beside = |extension: &str| folder.join(format!("{name}.{extension}"));
            if !beside("hea").is_file() {
                return Err(DatasetError::NoRecord {
                    path: beside("hea"),
                    database: database.clone(),
                });
            }
            if !beside(REFERENCE).is_file() {
                return Err(DatasetError::NoAnnotations {
                    path: beside("hea"),
                    name,
                });
            }
            found.push(Found {
                database: database.clone(),
                path,
                rhythm: None,
                lead: None,
            });
        }
    }
    if let Some(labels) = &wanted.weak_labels {
        let folder = folders.database(&labels.database)?;
        let recordings = weak_labels::find(&folder)?.into_iter();
        let recordings = recordings.filter(|(_, rhythm)| labels.rhythms.contains(rhythm));
        found.extend(recordings.map(|(path, rhythm)| Found {
            database: labels.database.clone(),
            path,
            rhythm: Some(rhythm),
            lead: None,
        }));
    }
    for diagnosed in &wanted.diagnosed {
        found.extend(diagnosed.find(&folders.database(&diagnosed.database)?)?);
    }
    Ok(found)
}
