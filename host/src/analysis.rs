//! What comes out: a record's beats, and what they say of it as a whole.

use crate::choice::Taken;
use crate::episodes::Episode;
use crate::hrv::Hrv;
use crate::options::Mode;
use crate::records::Warning;
use crate::runtime::Logits;
use crate::summary::Summary;
use crate::verdicts::StripVerdict;
use heartlens_core::class::Class;
use std::ops::AddAssign;
use std::time::Duration;

/// One beat and what the networks make of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Beat {
    /// Position of the R peak, in samples at the record's own rate.
    pub sample: u64,
    /// The same in seconds from the record's start.
    pub time_s: f64,
    /// The likeliest class, or [`Class::Q`] where the signal is not worth reading.
    pub class: Class,
    /// The probability of each class, in the order of [`heartlens_core::spec::LABELS`]: the network's, weighed by the
    /// rhythm, or by the whole recording; they add up to 1.
    pub scores: Logits,
    /// What the network alone said, one logit a class; of several leads the mean, weighted as [`Taken::by_quality`] says.
    pub logits: Logits,
    /// Whether it lies in atrial fibrillation; `None` as long as that is not known.
    pub fibrillation: Option<bool>,
    /// The RR interval since the beat before, in milliseconds.
    pub rr_ms: Option<f64>,
    /// How worth reading the signal around the beat is, 0..=1: in the lead that beats are found in, or of all leads fused
    /// in the best.
    pub quality: f32,
}

impl Beat {
    /// Whether the two likeliest classes are close, so that somebody should look; `None` of a beat that is not judged
    /// ([`Class::is_unsure`]).
    pub fn is_unsure(&self) -> Option<bool> {
        self.class.is_unsure(&self.scores)
    }

    /// A beat that was found and not yet judged: class Q, no scores, and a signal worth reading.
    pub fn at(sample: u64, time_s: f64) -> Self {
        Self {
            sample,
            time_s,
            class: Class::Q,
            scores: Logits::default(),
            logits: Logits::default(),
            fibrillation: None,
            rr_ms: None,
            quality: 1.0,
        }
    }
}

/// A classified record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Analysis {
    /// Its beats, in order.
    pub beats: Vec<Beat>,
    /// Counts, rates and burdens.
    pub summary: Summary,
    /// Atrial fibrillation, runs and pauses, in order of time.
    pub episodes: Vec<Episode>,
    /// What the strip network says of half a minute at a time, every 10 s; empty where it is not asked, or the model has none.
    pub strips: Vec<StripVerdict>,
    /// Heart rate variability.
    pub hrv: Hrv,
    /// What was strange about the record, but not wrong enough to fail.
    pub warnings: Vec<Warning>,
    /// The leads that were read, by name.
    pub leads: Vec<String>,
    /// The same with their weights, and why these.
    pub taken: Taken,
    /// When each beat was judged.
    pub mode: Mode,
    /// The model's name.
    pub model: String,
    /// The runtime's name.
    pub runtime: &'static str,
    /// Where the time went.
    pub stages: Stages,
}

/// Where the time went, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stages {
    /// Reading the record and bringing it to the canonical rate.
    pub reading: Duration,
    /// Filter, signal quality, R peaks and the beats' windows.
    pub monitor: Duration,
    /// The four views of each beat.
    pub views: Duration,
    /// The networks of beats.
    pub network: Duration,
    /// The strip network, with its views.
    pub strips: Duration,
    /// The rhythm, and with it the classes.
    pub rhythm: Duration,
}

impl AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        self.reading += other.reading;
        self.monitor += other.monitor;
        self.views += other.views;
        self.network += other.network;
        self.strips += other.strips;
        self.rhythm += other.rhythm;
    }
}
