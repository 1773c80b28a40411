//! Which lead is read: the first that is an ECG, or one by place, by name, or by quality.

use crate::canonical::{RateError, to_canonical};
use crate::records::{Record, RecordError, Warning};
use heartlens_core::filter::BandPass;
use heartlens_core::quality::Quality;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which lead: the first that is an ECG, one by its place or its name, or whichever is recorded best. Parses from
/// `first`, `0`, `MLII` or `best`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LeadChoice {
    /// The first that is an ECG by its name, or else the first whose name does not say what it is; see
    /// [`Record::first_ecg`].
    #[default]
    First,
    /// By its place in the record, from 0.
    Index(usize),
    /// By its name, upper and lower case alike, and with or without EDF's `ECG ` in front.
    Name(String),
    /// The lead whose signal is most worth reading by [`heartlens_core::quality`]: the highest mean score over the
    /// seconds of ten stretches of a minute, evenly spread over the record (or all of a record up to ten minutes). The
    /// first of leads that are within 0.01 of the best.
    Best,
}

/// A lead that cannot be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeadError {
    /// The record has no such lead, or its samples cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No lead of the record can be judged.
    #[error("{}: found no lead whose quality could be measured: {cause}", path.display())]
    NoBest {
        /// The record.
        path: PathBuf,
        /// Why not.
        cause: RateError,
    },
}

impl LeadChoice {
    /// The index of the chosen lead of a record. [`LeadChoice::Best`] reads up to ten minutes of each lead. Where
    /// [`LeadChoice::First`] is not the record's first lead, that becomes one of its [warnings](Record::warnings).
    ///
    /// # Errors
    /// [`LeadError`], naming the leads that there are.
    pub fn index(&self, record: &Record) -> Result<usize, LeadError> {
        match self {
            Self::First => {
                let index = record.first_ecg()?;
                if index > 0 {
                    record.note(Warning::LeadTaken {
                        index,
                        lead: record.leads()[index].name.clone(),
                    });
                }
                Ok(index)
            }
            Self::Index(index) => Ok(record.lead(*index).map(|_| *index)?),
            Self::Name(name) => Ok(record.lead_named(name)?),
            Self::Best => best(record),
        }
    }
}

impl FromStr for LeadChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("first", _) => Self::First,
            ("best", _) => Self::Best,
            (_, Ok(index)) => Self::Index(index),
            _ => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for LeadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.pad("first"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.pad(name),
            Self::Best => f.pad("best"),
        }
    }
}

/// Stretches that a lead is judged by, and how long each is, in s.
const STRETCHES: usize = 10;
const STRETCH_S: f64 = 60.0;
/// Scores that are this close count as equal.
const EQUAL_SCORE: f64 = 0.01;

/// The lead of the best quality, as [`LeadChoice::Best`] says.
fn best(record: &Record) -> Result<usize, LeadError> {
    let mut scores: Vec<(usize, f64)> = Vec::new();
    let mut refused = None;
    for (index, lead) in record.leads().iter().enumerate() {
        if lead.is_voltage {
            match score(record, index)? {
                Ok(score) => scores.push((index, score)),
                // A rate that cannot be resampled: another lead may have another.
                Err(cause) => refused = Some(cause),
            }
        }
    }
    let best = scores.iter().map(|s| s.1).fold(f64::NEG_INFINITY, f64::max);
    match scores.iter().find(|s| s.1 >= best - EQUAL_SCORE) {
        Some((index, _)) => Ok(*index),
        None => Err(match refused {
            Some(cause) => LeadError::NoBest {
                path: record.path().to_owned(),
                cause,
            },
            // There is no voltage: say so of the first.
            None => {
                return record
                    .stream_mv(0, 0..0)
                    .map(|_| 0)
                    .map_err(LeadError::from);
            }
        }),
    }
}

/// The mean quality of a lead's seconds, 0..=1.
fn score(record: &Record, index: usize) -> Result<Result<f64, RateError>, RecordError> {
    let lead = &record.leads()[index];
    let stretch = ((STRETCH_S * lead.sample_rate_hz) as usize).clamp(1, lead.len_samples);
    let spread = lead.len_samples.saturating_sub(stretch);
    let starts: Vec<usize> = if spread / (STRETCHES - 1) <= stretch {
        (0..lead.len_samples).step_by(stretch).collect()
    } else {
        let step = spread as f64 / (STRETCHES - 1) as f64;
        (0..STRETCHES).map(|i| (i as f64 * step) as usize).collect()
    };
    let (mut sum, mut seconds) = (0.0, 0_u32);
    for start in starts {
        let mut signal = Vec::new();
        for block in record.stream_mv(index, start..start + stretch)? {
            signal.extend_from_slice(&block?);
        }
        let canonical = match to_canonical(&signal, lead.sample_rate_hz) {
            Ok(canonical) => canonical,
            Err(cause) => return Ok(Err(cause)),
        };
        let (mut filter, mut quality) = (BandPass::new(), Quality::new());
        for (i, sample) in canonical.iter().enumerate() {
            quality.push(*sample, filter.push(*sample));
            if (i + 1) % SAMPLE_RATE_HZ as usize == 0 {
                sum += f64::from(quality.second().score);
                seconds += 1;
            }
        }
    }
    // A record shorter than a second has nothing against it.
    Ok(Ok(if seconds == 0 {
        1.0
    } else {
        sum / f64::from(seconds)
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::records::ReadOptions;
    use crate::records::signal::Format;

    #[test]
    fn the_first_lead_is_the_first_ecg() {
        let folder = tempfile::tempdir().unwrap();
        let record = |names: &[&str]| {
            let path = folder.path().join("r.csv");
            let line =
                |cell: fn(&&str) -> String| names.iter().map(cell).collect::<Vec<_>>().join(",");
            let rows =
                (0..20).map(|k| line(|_| "X".into()).replace('X', &format!("{}", k % 3)) + "\n");
            let text = line(|name| format!("{name} (mV)")) + "\n" + &rows.collect::<String>();
            std::fs::write(&path, text).unwrap();
            Record::open_with(path, &ReadOptions::default().with_rate_hz(250.0)).unwrap()
        };
        for (names, index) in [
            (&["MLII", "V5"][..], 0),
            (&["EEG Fpz-Cz", "EMG submental", "ECG"], 2),
            (&["noise1", "noise2"], 0),
            (&["C4-A1", "chan 2"], 1),
            (&["chan 1", "V5"], 1),
        ] {
            let record = record(names);
            assert_eq!(
                LeadChoice::First.index(&record).unwrap(),
                index,
                "{names:?}"
            );
            let is_told = |w: &Warning| matches!(w, Warning::LeadTaken { .. });
            assert_eq!(record.warnings().iter().any(is_told), index > 0);
        }
        let message = LeadChoice::First
            .index(&record(&["EEG 1", "EOG"]))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("no lead is an ECG by its name, it has 0: EEG 1, 1: EOG; --lead"),
            "{message}"
        );
        assert_eq!("first".parse(), Ok(LeadChoice::default()));
    }

    #[test]
    fn the_best_lead_is_the_one_with_a_signal() {
        let beats = |k: usize| {
            if k % 250 < 8 {
                900 - 100 * (k % 250) as i32
            } else {
                0
            }
        };
        let wave = |k: usize| (40.0 * (k as f64 / 40.0).sin()) as i32;
        let good: Vec<i32> = (0..20_000).map(|k| beats(k) + wave(k)).collect();
        let flat = vec![3; good.len()];
        let missing = vec![Format::Bits16.invalid(); good.len()];
        let header = "r 4 250 20000\nr.dat 16 1/mmHg\nr.dat 16 1000 16 0 0 0 0 I\nr.dat 16 1000 16 0 0 0 0 II\n\
                      r.dat 16 1000 16 0 0 0 0 III";
        let data = Format::Bits16.encode(&[&good, &flat, &missing, &good]);
        let folder = tempfile::tempdir().unwrap();
        let record = |name: &str, header: &str| {
            let path = folder.path().join(name);
            std::fs::write(path.with_extension("hea"), header).unwrap();
            std::fs::write(path.with_extension("dat"), &data).unwrap();
            Record::open(path).unwrap()
        };
        assert_eq!(LeadChoice::Best.index(&record("r", header)).unwrap(), 3);
        assert_eq!("best".parse(), Ok(LeadChoice::Best));

        let pressure = record("p", "p 1 250\np.dat 16 1/mmHg");
        let message = LeadChoice::Best.index(&pressure).unwrap_err().to_string();
        assert!(
            message.contains("is in `mmHg`, expected a voltage"),
            "{message}"
        );
    }
}
