//! What the heart has been doing for the last minutes, and the one place where that weighs on a beat's class.
//!
//! In atrial fibrillation every early beat looks supraventricular to whoever sees one beat at a time; and in a sustained
//! supraventricular tachycardia none does, because its own intervals have become the patient's usual ones. So a beat's
//! probabilities are weighed after the network, in three steps:
//!
//! 1. [`Intervals`] keeps the last RR intervals and lays them out for the *rhythm network*, a small LSTM trained to tell
//!    atrial fibrillation from every other rhythm. An executor runs it; its one output is the *score*, a logit.
//! 2. [`Context`] smooths the score, weighs P-wave evidence in, and moves probability between N and S.
//! 3. [`Summary`] counts: time in atrial fibrillation, runs of ectopic beats.
//!
//! All is causal, f32, in one written order, so that it has the same bits on every machine.

mod context;
mod intervals;
mod summary;

pub use context::{Context, Probabilities, Rules};
pub use intervals::{Input, Intervals};
pub use summary::{Runs, Summary};

use crate::beat::BeatFrame;
use crate::spec::{METADATA_LEN, RHYTHM_FEATURES, RR_FEATURES};

/// What the rhythm reads of one beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub rr_s: Option<f32>,
    /// Correlation of the P wave with the template's, -1..=1.
    pub p_wave: f32,
    /// Largest correlation of the QRS complex with the template's, -1..=1.
    pub qrs: f32,
}

/// Where [`crate::views::metadata::shape_features`] begin in the metadata view.
const SHAPE_START: usize = RR_FEATURES + RHYTHM_FEATURES;
/// The correlation of QRS complexes among them.
const QRS_CORRELATION: usize = SHAPE_START;
/// The correlation of P waves among them.
const P_WAVE_CORRELATION: usize = SHAPE_START + 8;

impl Observation {
    /// What is read of a beat with this RR interval before it, in seconds, and this metadata view.
    pub fn new(rr_s: Option<f32>, metadata: &[f32; METADATA_LEN]) -> Self {
        Self {
            rr_s,
            p_wave: metadata[P_WAVE_CORRELATION],
            qrs: metadata[QRS_CORRELATION],
        }
    }
}

impl From<&BeatFrame> for Observation {
    fn from(frame: &BeatFrame) -> Self {
        Self::new(frame.pre_rr_s, &frame.metadata)
    }
}
