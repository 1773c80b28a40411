//! What to read of a record, and how.

use crate::choice::LeadChoice;
use crate::error::Error;
use crate::records::{Record, Warning};
use crate::runtime::Kind;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::Rules;
use std::num::NonZeroUsize;
use std::ops::Range;

/// When a beat is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As it comes, by what lies before it and the interval behind it: as a device does, to the bit.
    #[default]
    Streaming,
    /// With the whole recording at hand: by the beats that look like it, and by what the rhythm is before and after ([`crate::whole`]).
    /// Read from two leads where there are two ([`Mode::leads`]), it is the most accurate.
    Whole,
}

impl Mode {
    /// The leads that are read where nobody says which.
    pub const fn leads(self) -> Leads {
        match self {
            Self::Streaming => Leads::One(LeadChoice::First),
            Self::Whole => Leads::Two,
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Streaming => "streaming",
            Self::Whole => "whole",
        })
    }
}

/// Which leads the network reads. Parses from `first`, `0`, `MLII`, `best`, `both`, `two` or `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// One lead.
    One(LeadChoice),
    /// The first two ECG leads of the record, their logits averaged; beats are found in the first.
    Both,
    /// As [`Both`](Self::Both), and of a record with a single ECG lead that one.
    Two,
    /// All ECG leads of the record. A beat's logits are the mean of the leads' that can be read there, weighted by their
    /// [quality](heartlens_core::quality::BeatQuality::weight) around the beat. R peaks are found in the best lead, and where that cannot be
    /// read in the next best that can.
    All,
}

impl Default for Leads {
    fn default() -> Self {
        Self::One(LeadChoice::default())
    }
}

impl std::str::FromStr for Leads {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "both" => Ok(Self::Both),
            "two" => Ok(Self::Two),
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::One),
        }
    }
}

impl std::fmt::Display for Leads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(choice) => choice.fmt(f),
            Self::Both => f.pad("both"),
            Self::Two => f.pad("two"),
            Self::All => f.pad("all"),
        }
    }
}

/// Where the R peaks come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Peaks {
    /// From core's detector.
    #[default]
    Detected,
    /// From a reference annotation: the beats' samples at the record's own rate, ascending. Each is classified, and
    /// none becomes Q: the annotator vouches for it.
    Reference(Vec<u64>),
}

impl Peaks {
    /// The beats that are annotated by `annotator` (`atr` for the reference). Those few that an annotator set beyond the record's
    /// end are left out, with a warning of the record; where they are many they stay, and are found not to belong to it.
    ///
    /// # Errors
    /// When the annotations cannot be read, or have no beats.
    pub fn annotated(record: &Record, annotator: &str) -> Result<Self, Error> {
        let annotations = record.annotations(annotator)?;
        let beats: Vec<u64> = annotations.beats().map(|beat| beat.sample).collect();
        if beats.is_empty() {
            return Err(Error::NoBeats {
                path: record.annotation_path(annotator),
            });
        }
        Ok(Self::Reference(within(record, beats)))
    }
}

/// The beats that lie within the record, of which an annotator may have set the last one at its very end. Those that are
/// left out become a warning; where they are many, they stay, and are found not to belong to the record.
pub(crate) fn within(record: &Record, mut beats: Vec<u64>) -> Vec<u64> {
    let end = record.len_samples() as u64;
    let inside = beats.partition_point(|beat| *beat < end);
    let beyond = beats.len() - inside;
    if (1..=2.max(beats.len() / 100)).contains(&beyond) {
        record.note(Warning::BeatsBeyondEnd {
            beats: beyond,
            sample: beats[inside],
        });
        beats.truncate(inside);
    }
    beats
}

/// What [`Model::classify`](crate::Model::classify) is to do. Take the default and change what should be different:
///
/// ```
/// # use heartlens::{Leads, Options};
/// let mut options = Options::default();
/// options.leads = Leads::Both;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// When a beat is judged; by default as it comes.
    pub mode: Mode,
    /// The leads; by default the first that is an ECG.
    pub leads: Leads,
    /// The R peaks; by default those that the detector finds.
    pub peaks: Peaks,
    /// Age and sex, each instead of what the record says where it is known here.
    pub patient: Patient,
    /// Which rules of the rhythm weigh on the classes; `None`: the rhythm is not judged. By default those of the shipped
    /// model. A model without rhythm network has none.
    pub rules: Option<Rules>,
    /// What runs the network; by default the integers that the device computes.
    pub runtime: Kind,
    /// Threads that work, this one among them; `None`: one a core. The results are the same to the bit for any number.
    pub threads: Option<NonZeroUsize>,
    /// The part of the record to classify, in seconds from its start; `None`: all of it. It is read as if the recording
    /// began and ended there: what looks back, template, intervals and rhythm, begins anew.
    pub span_s: Option<Range<f64>>,
    /// What is added to each lead that is read, in order, in mV at 128 Hz: noise, in a stress test. What is longer than
    /// the lead is cut; what is missing adds nothing.
    pub added_mv: Vec<Vec<f32>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            leads: Leads::default(),
            peaks: Peaks::default(),
            patient: Patient::default(),
            rules: Some(Rules::SHIPPED),
            runtime: Kind::Int8,
            threads: None,
            span_s: None,
            added_mv: Vec::new(),
        }
    }
}

impl Options {
    /// As many threads as were asked for, or one a core.
    pub(crate) fn thread_count(&self) -> NonZeroUsize {
        self.threads
            .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Age and sex, by these options or by the record.
    pub(crate) fn patient(&self, record: Patient) -> Patient {
        Patient {
            age_years: self.patient.age_years.or(record.age_years),
            sex: self.patient.sex.or(record.sex),
        }
    }
}
