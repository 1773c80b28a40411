//! Recordings with one rhythm label each, as the RR intervals that core's detector finds.

use crate::data::DatasetError;
use crate::data::record::r_peaks;
use crate::data::weak_labels::{Rhythm, find, signal};
use crate::progress::bar;
use heartlens_core::rhythm::{Input, Intervals};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use rayon::prelude::*;
use std::path::Path;

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

/// Reads the recordings of `folder`, a data base of recordings with rhythm labels. Those labelled as too noisy to judge are
/// left out.
///
/// # Errors
/// If labels are missing or malformed, or a record cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
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

fn recording(path: &Path, rhythm: Rhythm) -> Result<Recording, DatasetError> {
    let signal = signal(path, 0)?;
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
