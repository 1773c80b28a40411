//! Recordings with one rhythm label each, as the RR intervals that core's detector finds.

use crate::dataset::{bar, r_peaks};
use heartlens::canonical::{RateError, to_canonical};
use heartlens::records::{Record, RecordError};
use heartlens_core::rhythm::{Input, Intervals};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file that names each recording's rhythm.
const LABELS_FILE: &str = "REFERENCE.csv";
/// The folder of the challenge's recordings.
pub(crate) const FOLDER: &str = "cinc2017";

/// A folder of recordings that cannot be trained on.
#[derive(Debug, Error)]
pub enum RhythmDataError {
    /// The labels cannot be read.
    #[error(
        "{}: {source}; expected recordings with {LABELS_FILE}, as the PhysioNet/CinC Challenge 2017 has them, in the \
         folder or its subfolder {FOLDER}",
        path.display()
    )]
    Labels {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the labels is malformed.
    #[error("{}, line {line}: found `{found}`, expected a record's name, a comma and N, A, O or ~", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What it holds.
        found: String,
    },
    /// A rhythm that is to be drawn does not occur.
    #[error(
        "found no recording of {rhythm:?} with enough beats among {records}, but the sampler draws some"
    )]
    Nothing {
        /// The rhythm.
        rhythm: Rhythm,
        /// How many recordings there are.
        records: usize,
    },
    /// A record's rate cannot be converted.
    #[error("{}: {source}", path.display())]
    Rate {
        /// The record.
        path: PathBuf,
        /// Why.
        source: RateError,
    },
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The rhythm of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rhythm {
    /// Sinus rhythm.
    Normal,
    /// Atrial fibrillation.
    Fibrillation,
    /// Any other.
    Other,
}

impl Rhythm {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Fibrillation, Self::Other];
}

/// One recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// Its rhythm.
    pub rhythm: Rhythm,
    /// RR intervals, in seconds.
    pub intervals_s: Vec<f32>,
    /// What the rhythm network reads at each beat that has enough before it; empty where none has.
    pub windows: Vec<Input>,
}

impl Recording {
    /// A recording with these RR intervals, in seconds.
    pub fn new(name: String, rhythm: Rhythm, intervals_s: Vec<f32>) -> Self {
        let mut kept = Intervals::new();
        let windows = intervals_s.iter().filter_map(|rr_s| kept.push(Some(*rr_s)));
        Self {
            name,
            rhythm,
            windows: windows.collect(),
            intervals_s,
        }
    }
}

/// Reads the recordings of the subfolder `cinc2017` of `folder`, of the folder of that name beside it, or of `folder` itself.
/// Those labelled as too noisy to judge are left out.
///
/// # Errors
/// If labels are missing or malformed, or a record cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Recording>, RhythmDataError> {
    let labels = find(folder)?;
    let progress = bar(labels.len() as u64, "recordings");
    let recordings = labels
        .into_par_iter()
        .map(|(path, rhythm)| {
            let recording = recording(&path, rhythm);
            progress.inc(1);
            recording
        })
        .collect();
    progress.finish_and_clear();
    recordings
}

/// Path (without extension) and rhythm of each recording that [`read`] reads.
///
/// # Errors
/// If labels are missing or malformed.
pub(crate) fn find(folder: &Path) -> Result<Vec<(PathBuf, Rhythm)>, RhythmDataError> {
    let (inside, beside) = (folder.join(FOLDER), folder.join("..").join(FOLDER));
    let folder = if inside.is_dir() {
        &inside
    } else if beside.is_dir() && !folder.join(LABELS_FILE).is_file() {
        &beside
    } else {
        folder
    };
    let path = folder.join(LABELS_FILE);
    let text = std::fs::read_to_string(&path).map_err(|source| RhythmDataError::Labels {
        path: path.clone(),
        source,
    })?;
    let mut labels = Vec::new();
    for (line, found) in text.lines().enumerate() {
        let rhythm = match found.split_once(',') {
            Some((_, "N")) => Rhythm::Normal,
            Some((_, "A")) => Rhythm::Fibrillation,
            Some((_, "O")) => Rhythm::Other,
            Some((_, "~")) => continue,
            _ => {
                return Err(RhythmDataError::Line {
                    path,
                    line: line + 1,
                    found: found.to_owned(),
                });
            }
        };
        let name = found.split(',').next().unwrap_or_default();
        labels.push((folder.join(name), rhythm));
    }
    Ok(labels)
}

/// The first lead of the record at `path`, in mV at the canonical rate.
///
/// # Errors
/// If it cannot be read or its rate cannot be converted.
pub(crate) fn signal(path: &Path) -> Result<Vec<f32>, RhythmDataError> {
    let record = Record::open(path)?;
    to_canonical(&record.read_lead(0)?, record.sample_rate_hz()).map_err(|source| {
        RhythmDataError::Rate {
            path: path.to_owned(),
            source,
        }
    })
}

fn recording(path: &Path, rhythm: Rhythm) -> Result<Recording, RhythmDataError> {
    let signal = signal(path)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let intervals_s = r_peaks(&signal)
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) as f32 / SAMPLE_RATE_HZ as f32)
        .collect();
    Ok(Recording::new(name, rhythm, intervals_s))
}
