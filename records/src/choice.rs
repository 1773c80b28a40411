//! Which lead is read: by place, by name, or by quality.

use super::resample::{ResampleError, to_canonical};
use super::{Lead, Record, RecordError};
use heartlens_core::filter::BandPass;
use heartlens_core::quality::Quality;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Which lead: by its place, by its name, or whichever is recorded best. Parses from `0`, `MLII` or `best`; the default
/// is the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadChoice {
    /// By its place in the record, from 0.
    Index(usize),
    /// By its name, upper and lower case alike, and with or without EDF's `ECG ` in front.
    Name(String),
    /// The lead whose signal is most worth reading by [`heartlens_core::quality`]: the highest mean score over the
    /// seconds of ten stretches of a minute, evenly spread over the record (or all of a record up to ten minutes). The
    /// first of leads that are within 0.01 of the best.
    Best,
}

impl Default for LeadChoice {
    fn default() -> Self {
        Self::Index(0)
    }
}

impl FromStr for LeadChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("best", _) => Self::Best,
            (_, Ok(index)) => Self::Index(index),
            _ => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for LeadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.pad(name),
            Self::Best => f.pad("best"),
        }
    }
}

/// The lead of this name.
pub(super) fn named(leads: &[Lead], name: &str) -> Option<usize> {
    // EDF+ puts the kind of signal first: `ECG II`.
    let bare = |lead: &Lead| {
        let (kind, rest) = lead.name.split_once(' ')?;
        ["ECG", "EKG"]
            .iter()
            .any(|ecg| kind.eq_ignore_ascii_case(ecg))
            .then(|| rest.trim().to_owned())
    };
    leads
        .iter()
        .position(|lead| lead.name.eq_ignore_ascii_case(name))
        .or_else(|| {
            leads
                .iter()
                .position(|lead| bare(lead).is_some_and(|bare| bare.eq_ignore_ascii_case(name)))
        })
}

/// Stretches that a lead is judged by, and how long each is, in s.
const STRETCHES: usize = 10;
const STRETCH_S: f64 = 60.0;
/// Scores that are this close count as equal.
const EQUAL_SCORE: f64 = 0.01;

/// The lead of the best quality, as [`LeadChoice::Best`] says.
pub(super) fn best(record: &Record) -> Result<usize, RecordError> {
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
            Some(cause) => RecordError::NoBest {
                path: record.path().to_owned(),
                cause,
            },
            // There is no voltage: say so of the first.
            None => RecordError::NotVoltage {
                path: record.path().to_owned(),
                lead: record.leads()[0].name.clone(),
                units: record.leads()[0].units.clone(),
            },
        }),
    }
}

/// The mean quality of a lead's seconds, 0..=1.
fn score(record: &Record, index: usize) -> Result<Result<f64, ResampleError>, RecordError> {
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
