//! Beats of recordings that have a rhythm label and no beat labels.
//!
//! Annotated records are of few patients; recordings whose rhythm somebody judged are of thousands. Where the label says
//! sinus rhythm or atrial fibrillation, a beat is of class N, but for the few that the label passes over: so these
//! patients show the network how differently normal beats look, and it learns not to call them S or V. Of other rhythms the
//! label does not tell the classes; a teacher may ([`crate::beat::teacher`]). Recordings are trained on and never judged.
//!
//! Recordings last half a minute, too short for a template and for medians over dozens of beats. So each is played several
//! times over, from the middle between its second and third beat to that between its last two, and the beats of the last
//! time are those that count. In use every recording begins without a template and without medians, and the first beats of
//! one of half a minute are a good part of it: so the first beats as they come count as well.

use super::DatasetError;
use super::find::Found;
use super::record::{Beat, Lead, LeadMv, Leads, RecordBeats, r_peaks};
use heartlens::canonical::to_canonical;
use heartlens::evaluate::report::Peaks;
use heartlens::records::Record;
use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::spec::STRIP_LABELS;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The file that names each recording's rhythm.
pub(crate) const LABELS_FILE: &str = "REFERENCE.csv";
/// Times that a recording is played.
const TIMES: usize = 3;
/// Beats that a recording needs.
pub(crate) const MIN_BEATS: usize = 14;
/// Beats that one of a diagnosis needs: many of them last ten seconds.
const MIN_DIAGNOSED_BEATS: usize = 8;
/// Beats at either end of a turn that do not count: the seam would be within their windows or RR intervals.
const SEAM_BEATS: usize = 2;
/// Beats from a recording's start that count as well, before its template and medians have settled.
const FIRST_BEATS: usize = 12;

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
    /// Of a [diagnosis](super::diagnosed::DiagnosedConfig): one S or more, and no V.
    #[serde(rename = "has-s")]
    HasS,
    /// One V or more, and no S.
    #[serde(rename = "has-v")]
    HasV,
    /// One S or more, and one V or more.
    #[serde(rename = "has-both")]
    HasBoth,
}

impl Rhythm {
    /// Those that a REFERENCE.csv tells apart.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Fibrillation, Self::Other];

    /// Whether a recording of it has a beat of this class, S or V; `None` where the label leaves that open.
    pub fn has(self, class: Class) -> Option<bool> {
        match self {
            Self::Other => None,
            Self::Normal | Self::Fibrillation => Some(false),
            Self::HasS => Some(class == Class::S),
            Self::HasV => Some(class == Class::V),
            Self::HasBoth => Some(true),
        }
    }
}

/// Path (without extension) and rhythm of each recording of a folder, in the order of its REFERENCE.csv. Those labelled as
/// too noisy to judge are left out.
///
/// # Errors
/// If the labels are missing or malformed.
pub(crate) fn find(folder: &Path) -> Result<Vec<(PathBuf, Rhythm)>, DatasetError> {
    let rhythm = |(path, class): (PathBuf, usize)| {
        let all = [Rhythm::Normal, Rhythm::Fibrillation, Rhythm::Other];
        Some((path, *all.get(class)?))
    };
    Ok(find_all(folder)?.into_iter().filter_map(rhythm).collect())
}

/// Path (without extension) and class of each recording of a folder, in the order of its REFERENCE.csv. The class is a place in
/// [`STRIP_LABELS`].
///
/// # Errors
/// If the labels are missing or malformed.
pub(crate) fn find_all(folder: &Path) -> Result<Vec<(PathBuf, usize)>, DatasetError> {
    let path = folder.join(LABELS_FILE);
    let text = std::fs::read_to_string(&path).map_err(|source| DatasetError::Labels {
        path: path.clone(),
        source,
    })?;
    let class = |(found, line): (&str, usize)| {
        let label = found.split_once(',');
        let class = label.and_then(|(name, label)| {
            let class = STRIP_LABELS.iter().position(|known| *known == label)?;
            Some((folder.join(name), class))
        });
        class.ok_or_else(|| DatasetError::LabelLine {
            path: path.clone(),
            line,
            found: found.to_owned(),
        })
    };
    text.lines().zip(1..).map(class).collect()
}

/// A lead of the recording at `path` (without extension), by its place, in mV at the canonical rate.
///
/// # Errors
/// If it cannot be read or its rate cannot be converted.
pub(crate) fn signal(path: &Path, lead: usize) -> Result<Vec<f32>, DatasetError> {
    let record = Record::open(path)?;
    to_canonical(&record.read_lead(lead)?, record.sample_rate_hz()).map_err(|source| {
        DatasetError::Rate {
            path: path.to_owned(),
            source,
        }
    })
}

/// The beats of the recording at `path` (without extension), as [`from_signal`] gives them; of one of a diagnosis in the lead of
/// this place, and with fewer of them.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read(found: &Found, rhythm: Rhythm) -> Result<Option<RecordBeats>, DatasetError> {
    let signal_mv = signal(&found.path, found.lead.unwrap_or(0))?;
    let least = match found.lead {
        Some(_) => MIN_DIAGNOSED_BEATS,
        None => MIN_BEATS,
    };
    let beats = beats(&signal_mv, rhythm, least);
    Ok(beats.map(|(classes, beats)| RecordBeats {
        patient: found.path.to_string_lossy().into_owned(),
        ..record(&found.database, found.name(), rhythm, classes, beats)
    }))
}

/// The beats of a recording's lead in mV at the canonical rate, N where the rhythm says so and else Q, at the R peaks that core's
/// detector finds: those with a settled template, then the first 12 as they come. `None` where it finds fewer than 14.
pub fn from_signal(
    database: &str,
    name: &str,
    signal_mv: &[f32],
    rhythm: Rhythm,
) -> Option<RecordBeats> {
    let (classes, beats) = beats(signal_mv, rhythm, MIN_BEATS)?;
    let name = format!("{database}/{name}");
    Some(record(database, name, rhythm, classes, beats))
}

fn record(
    database: &str,
    name: String,
    rhythm: Rhythm,
    classes: Vec<Class>,
    beats: Vec<Beat>,
) -> RecordBeats {
    RecordBeats {
        patient: name.clone(),
        name,
        database: database.to_owned(),
        peaks: Peaks::Detected,
        rhythm: Some(rhythm),
        best: Lead::First,
        classes,
        leads: Leads::Held(vec![beats]),
    }
}

/// Class and features of the beats of a signal with `least` beats or more.
fn beats(signal_mv: &[f32], rhythm: Rhythm, least: usize) -> Option<(Vec<Class>, Vec<Beat>)> {
    let peaks = r_peaks(signal_mv);
    if peaks.len() < least {
        return None;
    }
    let [_, before, first, .., last, after] = peaks.as_slice() else {
        return None;
    };
    let inner = &peaks[2..peaks.len() - 1];
    let turn: Range<u32> = before.midpoint(*first)..last.midpoint(*after);
    let lead = LeadMv::new(signal_mv.to_vec());
    let repeated = |mv: &[f32]| mv[turn.start as usize..turn.end as usize].repeat(TIMES);
    let turns = LeadMv {
        signal: repeated(&lead.signal),
        filtered: repeated(&lead.filtered),
    };
    let beats: Vec<(u32, Class)> = (0..TIMES as u32)
        .flat_map(|time| {
            let shift = time * (turn.end - turn.start);
            inner
                .iter()
                .map(move |peak| (peak - turn.start + shift, Class::Q))
        })
        .collect();
    let (_, mut frames) = turns.beats(&beats, Patient::default());
    // Triggers that follow each other and lie within the signal are not refused.
    debug_assert_eq!(frames.len(), TIMES * inner.len());
    frames.truncate(TIMES * inner.len() - SEAM_BEATS);
    frames.drain(..((TIMES - 1) * inner.len() + SEAM_BEATS).min(frames.len()));
    let first: Vec<(u32, Class)> = peaks.iter().map(|peak| (*peak, Class::Q)).collect();
    let (_, first) = lead.beats(&first, Patient::default());
    frames.extend(first.into_iter().take(FIRST_BEATS));
    let class = match rhythm {
        Rhythm::Normal | Rhythm::Fibrillation => Class::N,
        // Which of its beats they are is not known.
        _ => Class::Q,
    };
    Some((vec![class; frames.len()], frames))
}
