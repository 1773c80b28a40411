//! What the heart has been doing for the last minutes, and the one place where that weighs on a beat's class.
//!
//! In atrial fibrillation every early beat looks supraventricular to whoever sees one beat at a time; and in a sustained
//! supraventricular tachycardia none does, because its own intervals have become the patient's usual ones. So a beat's
//! probabilities are weighed after the network, in three steps:
//!
//! 1. [`Intervals`] keeps the last RR intervals and lays them out for the *rhythm network* ([`Network`]), a small LSTM
//!    trained to tell atrial fibrillation from every other rhythm. Its one output is the *score*, a logit.
//! 2. [`Context`] smooths the score and moves probability between N and S.
//! 3. [`Summary`] counts: time in atrial fibrillation, runs of ectopic beats.
//!
//! [`Rhythm`] is the three in one. All is causal, f32, in one written order, so that it has the same bits on every machine,
//! whatever ran the beat's own network.

mod context;
mod intervals;
mod network;
mod summary;

pub use context::{Context, Probabilities, Rules};
pub use intervals::{Input, Intervals};
pub use network::{MAGIC, MAX_CELLS, Network, NetworkError, VERSION, checksum, image_len, params};
pub use summary::{Runs, Summary};

use crate::beat::BeatFrame;
use crate::class::Class;
use crate::spec::{METADATA_LEN, RHYTHM_FEATURES, RR_FEATURES};

/// What the rhythm reads of one beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub rr_s: Option<f32>,
    /// Largest correlation of the QRS complex with the template's, -1..=1.
    pub qrs: f32,
}

/// Where [`crate::views::metadata::shape_features`] begin in the metadata view.
const SHAPE_START: usize = RR_FEATURES + RHYTHM_FEATURES;
/// The correlation of QRS complexes among them.
const QRS_CORRELATION: usize = SHAPE_START;

impl Observation {
    /// What is read of a beat with this RR interval before it, in seconds, and this metadata view.
    pub fn new(rr_s: Option<f32>, metadata: &[f32; METADATA_LEN]) -> Self {
        Self {
            rr_s,
            qrs: metadata[QRS_CORRELATION],
        }
    }
}

impl From<&BeatFrame> for Observation {
    fn from(frame: &BeatFrame) -> Self {
        Self::new(frame.pre_rr_s, &frame.metadata)
    }
}

/// One patient's rhythm, from the start of a recording: what firmware and host call once a beat, in order.
///
/// ```
/// use heartlens_core::model::{Logits, softmax};
/// use heartlens_core::monitor::MonitoredBeat;
/// use heartlens_core::rhythm::{Network, Observation, Rhythm, Verdict};
///
/// fn verdict(
///     rhythm: &mut Rhythm,
///     network: Network<'_>,
///     beat: &MonitoredBeat,
///     logits: &Logits,
/// ) -> Verdict {
///     let observation = Observation::from(&beat.frame);
///     rhythm.push(Some(network), &observation, &softmax(logits), beat.quality.is_readable())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Rhythm {
    intervals: Intervals,
    context: Context,
    summary: Summary,
}

/// What becomes of a beat.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Its probabilities, weighed by the rhythm.
    pub probabilities: Probabilities,
    /// The likeliest class, or [`Class::Q`] where the signal is not worth reading.
    pub class: Class,
    /// Whether it lies in atrial fibrillation; `None` where there is no rhythm network, or before its first score.
    pub fibrillation: Option<bool>,
}

impl Rhythm {
    /// At the start of a recording.
    pub const fn new(rules: Rules) -> Self {
        Self {
            intervals: Intervals::new(),
            context: Context::new(rules),
            summary: Summary::new(),
        }
    }

    /// Takes the next beat and its network's probabilities. Beats whose signal is not worth reading (`readable`) belong
    /// to the rhythm like any other. Without a rhythm network nothing weighs: the probabilities stay as they are.
    pub fn push(
        &mut self,
        network: Option<Network<'_>>,
        beat: &Observation,
        probabilities: &Probabilities,
        readable: bool,
    ) -> Verdict {
        match network {
            Some(network) => {
                let input = self.intervals.push(beat.rr_s);
                let score = input.map(|input| network.score(&input));
                self.push_scored(score, beat, probabilities, readable)
            }
            None => self.verdict(beat, *probabilities, readable),
        }
    }

    /// As [`push`](Self::push), with the score that the rhythm network has given of the intervals up to this beat: for
    /// those that score beats side by side, each from [`Intervals`] of their own.
    pub fn push_scored(
        &mut self,
        score: Option<f32>,
        beat: &Observation,
        probabilities: &Probabilities,
        readable: bool,
    ) -> Verdict {
        self.context.push(beat, score);
        let probabilities = self.context.weigh(beat, probabilities);
        self.verdict(beat, probabilities, readable)
    }

    fn verdict(
        &mut self,
        beat: &Observation,
        probabilities: Probabilities,
        readable: bool,
    ) -> Verdict {
        let class = Class::of(&probabilities, readable);
        let fibrillation = self.context.is_fibrillation();
        self.summary.push(beat.rr_s, class, fibrillation);
        Verdict {
            probabilities,
            class,
            fibrillation,
        }
    }

    /// The smoothed score so far, and whether that is fibrillation.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Counts so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}
