//! Which leads are read, and why: the first that is an ECG, one by place, by name or by quality, two, or all.

use crate::canonical::{RateError, to_canonical};
use crate::error::Error;
use crate::options::Leads;
use crate::records::{Record, RecordError, Warning};
use heartlens_core::filter::BandPass;
use heartlens_core::quality::{BeatQuality, Quality};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use serde::Serialize;
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
    /// Of the leads that are ECG (see [`ecg_leads`]) the one whose signal is most worth reading by
    /// [`heartlens_core::quality`]: the highest mean score over the seconds of ten stretches of a minute, evenly spread
    /// over the record (or all of a record up to ten minutes). The first of leads that are within 0.01 of the best.
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
            Self::Best => Ok(best(&scores(record)?)),
        }
    }
}

/// The leads that are ECG by their names, as places in the record; where none is, those whose names do not say what
/// they are. Only voltages count.
///
/// # Errors
/// [`RecordError`] where all leads are something else.
pub fn ecg_leads(record: &Record) -> Result<Vec<usize>, RecordError> {
    let kind = record.leads()[record.first_ecg()?].kind;
    let is_one = |lead: &crate::records::Lead| lead.is_voltage && lead.kind == kind;
    let places = record.leads().iter().enumerate();
    Ok(places
        .filter(|(_, lead)| is_one(lead))
        .map(|(i, _)| i)
        .collect())
}

/// The leads that are read of a record, and why these.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Taken {
    /// The leads; none of a list of beats. R peaks are found in the first; of all leads fused, in the first that can be read at the time.
    pub leads: Vec<TakenLead>,
    /// Why these, in a few words.
    pub why: String,
    /// Whether each beat's logits are a mean weighted by the leads' quality at that beat; otherwise the leads have equal
    /// weights.
    pub by_quality: bool,
}

impl Taken {
    /// No lead: of a list of beats.
    pub(crate) fn no_signal() -> Self {
        Self {
            leads: Vec::new(),
            why: "a list of beats has no signal".to_owned(),
            by_quality: false,
        }
    }
}

/// What each lead's logits of one beat count, by the quality around the beat in each lead, `None` where a lead lacks the
/// beat: weights of the leads in the same order that add up to 1, all 0 where no lead has it. They are as the qualities'
/// [weights](BeatQuality::weight). Where no lead can be read, an annotator may vouch for the beat: then they are as the
/// scores, or equal where these are 0 as well.
pub fn weights_by_quality(qualities: &[Option<BeatQuality>]) -> Vec<f32> {
    let of = |weight: &dyn Fn(&BeatQuality) -> f32| -> Vec<f32> {
        let weights = qualities.iter().map(|q| q.as_ref().map_or(0.0, weight));
        weights.collect()
    };
    let choices = [of(&BeatQuality::weight), of(&|q| q.score), of(&|_| 1.0)];
    let sum = |weights: &[f32]| weights.iter().sum::<f32>();
    match choices.into_iter().find(|weights| sum(weights) > 0.0) {
        Some(weights) => {
            let sum = sum(&weights);
            weights.iter().map(|weight| weight / sum).collect()
        }
        None => vec![0.0; qualities.len()],
    }
}

/// A lead that is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TakenLead {
    /// Its place in the record, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The mean quality by which it was chosen, 0..=1; `None` where the choice asked for none.
    pub quality: Option<f64>,
    /// Its mean weight over the beats, 0..=1; the weights of all leads add up to 1. `None` before a beat was classified.
    pub weight: Option<f64>,
}

#[cfg(feature = "cli")]
impl Taken {
    /// The lead's name, or how many leads there are.
    pub(crate) fn in_short(&self) -> String {
        match &self.leads[..] {
            [] => "none".to_owned(),
            [lead] => lead.name.clone(),
            several => format!("{} leads", several.len()),
        }
    }

    /// The leads and their weights, as text.
    pub(crate) fn shares(&self) -> String {
        let share = |lead: &'_ TakenLead| lead.weight.unwrap_or(0.0);
        percents(
            self.leads
                .iter()
                .map(|lead| (lead.name.as_str(), share(lead))),
        )
    }
}

impl Leads {
    /// Chooses the leads of a record.
    ///
    /// # Errors
    /// When there is no such lead, or there are too few.
    pub fn take(&self, record: &Record) -> Result<Taken, Error> {
        let count = record.leads().len();
        let taken = |index: usize, quality: Option<f64>| TakenLead {
            index,
            name: record.leads()[index].name.clone(),
            quality,
            weight: None,
        };
        let one = |index: usize, why: String| Taken {
            leads: vec![taken(index, None)],
            why,
            by_quality: false,
        };
        match self {
            Self::One(choice @ LeadChoice::First) => {
                let index = choice.index(record)?;
                let why = match (count, record.leads()[index].kind) {
                    (1, _) => "the record's only lead".to_owned(),
                    (_, crate::records::LeadKind::Ecg) => {
                        format!("the first of {count} leads that is an ECG by its name")
                    }
                    _ => format!(
                        "the first of {count} leads whose name does not say what it is; none is an ECG by its name"
                    ),
                };
                Ok(one(index, why))
            }
            Self::One(LeadChoice::Best) => {
                let scores = scores(record)?;
                let index = best(&scores);
                let why = match scores.len() {
                    1 => "the only lead that could be an ECG".to_owned(),
                    n => format!(
                        "the best of {n} leads by signal quality ({}), of equals the first",
                        listed(record, &scores)
                    ),
                };
                let quality = scores.iter().find(|s| s.0 == index).map(|s| s.1);
                Ok(Taken {
                    leads: vec![taken(index, quality)],
                    why,
                    by_quality: false,
                })
            }
            Self::One(choice) => Ok(one(choice.index(record)?, "asked for".to_owned())),
            Self::Both | Self::Two => match ecg_leads(record)?[..] {
                [only] if *self == Self::Two => Ok(one(only, "the only ECG lead".to_owned())),
                [first, second, ..] => Ok(Taken {
                    leads: vec![taken(first, None), taken(second, None)],
                    why: "the first two ECG leads, averaged; R peaks are found in the first"
                        .to_owned(),
                    by_quality: false,
                }),
                ref found => Err(Error::TooFewLeads {
                    path: record.path().to_owned(),
                    found: found.len(),
                }),
            },
            Self::All => {
                let scores = scores(record)?;
                let first = best(&scores);
                let mut order = scores.clone();
                order.sort_by(|a, b| {
                    (b.0 == first)
                        .cmp(&(a.0 == first))
                        .then(b.1.total_cmp(&a.1))
                });
                let left_out = match count - scores.len() {
                    0 => String::new(),
                    n => format!(
                        "; {n} of the record's {count} leads left out: no ECG by name, no voltage, or a rate that cannot be read"
                    ),
                };
                Ok(Taken {
                    leads: order.iter().map(|s| taken(s.0, Some(s.1))).collect(),
                    why: format!(
                        "all {} ECG leads, each weighted by its quality at each beat (over the recording: {}); R peaks are found in the \
                         best of them that can be read at the time{left_out}",
                        scores.len(),
                        listed(record, &order)
                    ),
                    by_quality: true,
                })
            }
        }
    }
}

/// Names and scores, best first.
fn listed(record: &Record, scores: &[(usize, f64)]) -> String {
    let mut scores = scores.to_vec();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let names = scores
        .iter()
        .map(|s| (record.leads()[s.0].name.as_str(), s.1));
    percents(names)
}

/// Names and shares as text, neighbours of one share together: `II, V5 each 100 %; I 97 %`.
fn percents<'a>(shares: impl Iterator<Item = (&'a str, f64)>) -> String {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (name, share) in shares {
        let share = format!("{:.0} %", 100.0 * share);
        match groups.last_mut().filter(|group| group.1 == share) {
            Some(group) => group.0.push(name),
            None => groups.push((vec![name], share)),
        }
    }
    let text = |(names, share): &(Vec<&str>, String)| {
        let each = if names.len() > 1 { "each " } else { "" };
        format!("{} {each}{share}", names.join(", "))
    };
    groups.iter().map(text).collect::<Vec<_>>().join("; ")
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

/// Place and score of each ECG lead that can be brought to the canonical rate: at least one.
fn scores(record: &Record) -> Result<Vec<(usize, f64)>, LeadError> {
    let mut scores: Vec<(usize, f64)> = Vec::new();
    let mut refused = None;
    for index in ecg_leads(record)? {
        match score(record, index)? {
            Ok(score) => scores.push((index, score)),
            // A rate that cannot be resampled: another lead may have another.
            Err(cause) => refused = Some(cause),
        }
    }
    match refused {
        Some(cause) if scores.is_empty() => Err(LeadError::NoBest {
            path: record.path().to_owned(),
            cause,
        }),
        _ => Ok(scores),
    }
}

/// The first of the leads that are within [`EQUAL_SCORE`] of the best.
fn best(scores: &[(usize, f64)]) -> usize {
    let best = scores.iter().map(|s| s.1).fold(f64::NEG_INFINITY, f64::max);
    let found = scores.iter().find(|s| s.1 >= best - EQUAL_SCORE);
    found.map_or(0, |s| s.0)
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
        let best = record("r", header);
        assert_eq!(LeadChoice::Best.index(&best).unwrap(), 3);
        let taken = Leads::One(LeadChoice::Best).take(&best).unwrap();
        assert_eq!((taken.leads[0].index, &*taken.leads[0].name), (3, "III"));
        assert!(
            taken
                .why
                .starts_with("the best of 3 leads by signal quality (III "),
            "{}",
            taken.why
        );
        assert!(taken.why.contains("I, II each 0 %"), "{}", taken.why);
        let all = Leads::All.take(&best).unwrap();
        let order: Vec<&str> = all.leads.iter().map(|lead| lead.name.as_str()).collect();
        assert_eq!(order, ["III", "I", "II"]);
        assert!(
            all.why.contains("1 of the record's 4 leads left out"),
            "{}",
            all.why
        );
        let first = Leads::default().take(&best).unwrap();
        assert_eq!(first.why, "the first of 4 leads that is an ECG by its name");
        let both = Leads::Both.take(&best).unwrap();
        assert_eq!((both.leads[0].index, both.leads[1].index), (1, 2));
        assert_eq!("best".parse(), Ok(LeadChoice::Best));

        let pressure = record("p", "p 1 250\np.dat 16 1/mmHg");
        let message = LeadChoice::Best.index(&pressure).unwrap_err().to_string();
        assert!(
            message.contains("is in `mmHg`, expected a voltage"),
            "{message}"
        );
    }
}
