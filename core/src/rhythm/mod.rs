//! What the heart has been doing for the last minutes, and the one place where that weighs on a beat's class.
//!
//! In atrial fibrillation every early beat looks supraventricular to whoever sees one beat at a time; and in a sustained
//! supraventricular tachycardia none does, because its own intervals have become the patient's usual ones. So a beat's
//! probabilities are weighed after the network, in five steps:
//!
//! 1. [`Intervals`] keeps the last RR intervals and lays them out for the *rhythm network* ([`Network`]), a small LSTM
//!    trained to tell atrial fibrillation from every other rhythm. Its one output is the *score*, a logit.
//! 2. [`Context`] smooths the score and moves probability between N and S.
//! 3. Where a [`Strip`](crate::strip) is kept as well, its network's verdicts on half a minute of signal are heard ([`Rhythm::hear`]). Where they
//!    speak of fibrillation, all probability of S goes to N.
//! 4. Beats of this patient that look alike get like answers ([`Appearance`]).
//! 5. [`Summary`] counts: time in atrial fibrillation, runs of ectopic beats.
//!
//! [`Rhythm`] is the last four in one. All is causal, f32, in one written order, so that it has the same bits on every machine,
//! whatever ran the beat's own network.

mod alike;
mod context;
mod heard;
mod intervals;
mod network;
mod summary;
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
mod x86;

pub use alike::{Appearance, product_of_experts, timing};
pub use context::{Context, Probabilities, Rules, all_s_to_n};
pub use intervals::{Input, Intervals};
pub(crate) use network::Pass;
pub use network::{MAGIC, MAX_CELLS, Network, NetworkError, VERSION, checksum, image_len, params};
pub use summary::{Runs, Summary};

use crate::beat::BeatFrame;
use crate::class::Class;
use crate::classifier::{Beat, Observed, Scores};
use crate::model::softmax;
use crate::spec::{METADATA_LEN, RHYTHM_FEATURES, RHYTHM_INTERVALS, RR_FEATURES};
use crate::strip::StripVerdict;
use alike::Alike;
use heard::Heard;

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

/// The rhythm network and the rules by which it weighs on the classes.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    /// Scores the last intervals.
    pub network: Network<'a>,
    /// Say what the score does to a beat's probabilities.
    pub rules: Rules,
}

impl<'a> Model<'a> {
    /// Checks the image of a rhythm network, all of it.
    ///
    /// # Errors
    /// If it is damaged, of another version or made for other intervals.
    pub fn load(image: &'a [u8], rules: Rules) -> Result<Self, NetworkError> {
        let network = Network::load(image)?;
        Ok(Self { network, rules })
    }

    pub(crate) const fn rules_of(model: &Option<Self>) -> Option<Rules> {
        match model {
            Some(model) => Some(model.rules),
            None => None,
        }
    }
}

/// One patient's rhythm from the start of a recording: the last stage of a beat's classification, to which beats come in
/// order.
#[derive(Debug, Clone)]
pub struct Rhythm {
    /// `None` where nothing weighs.
    context: Option<Context>,
    heard: Heard,
    alike: Alike,
    summary: Summary,
    /// Whether the last beats were heartbeats in readable signal, a bit each, the newest lowest.
    heartbeats: u32,
    /// Beats so far, as far as they can be counted.
    beats: u8,
}

/// The beats whose intervals the rhythm network sees, a bit each,
const SEEN: u32 = (1 << RHYTHM_INTERVALS) - 1;
/// and those that must be heartbeats in readable signal for the rhythm to be judged: three quarters.
const HEARTBEATS_MIN: u32 = RHYTHM_INTERVALS as u32 * 3 / 4;
/// Fewer than these, a quarter, and it is no heart that is seen.
const HEARTBEATS_FEW: u32 = RHYTHM_INTERVALS as u32 / 4;

impl Rhythm {
    /// At the start of a recording. Without rules nothing weighs on the network's probabilities.
    pub const fn new(rules: Option<Rules>) -> Self {
        let context = match rules {
            Some(rules) => Some(Context::new(rules)),
            None => None,
        };
        Self {
            context,
            heard: Heard::new(),
            alike: Alike::new(),
            summary: Summary::new(),
            heartbeats: 0,
            beats: 0,
        }
    }

    /// Takes the next beat and gives its class. A beat whose signal cannot be read is of class Q; so is one whose logits are not
    /// all numbers. Fibrillation is judged only at a heartbeat in readable signal, and where three quarters of the last 24 beats
    /// were such; scores of other beats are passed over.
    pub fn judge(&mut self, observed: &Observed, scores: &Scores) -> Beat {
        let beat = &observed.rhythm;
        self.heartbeats = self.heartbeats << 1 | u32::from(observed.heartbeat);
        self.beats = self.beats.saturating_add(1);
        let known = (self.heartbeats & SEEN).count_ones();
        let judged = observed.heartbeat && known >= HEARTBEATS_MIN;
        let mut probabilities = softmax(&scores.logits);
        if let Some(context) = &mut self.context {
            context.push(beat, scores.rhythm.filter(|_| judged));
            probabilities = context.weigh(beat, &probabilities);
            let rules = context.rules();
            let fibrillates = rules.strip && self.heard.is_fibrillation(observed.r_sample);
            if fibrillates {
                all_s_to_n(&mut probabilities);
            }
            if rules.alike && observed.readable {
                probabilities = self.alike.weigh(&observed.appearance, &probabilities);
                if fibrillates {
                    // Those that look like it may have brought S back.
                    all_s_to_n(&mut probabilities);
                }
            }
        }
        let class = Class::of(&probabilities, observed.readable);
        let context = self.context.as_ref().filter(|_| judged);
        let fibrillation = context.and_then(Context::is_fibrillation);
        self.summary.push(beat.rr_s, class, fibrillation);
        Beat {
            r_sample: observed.r_sample,
            class,
            probabilities,
            logits: scores.logits,
            quality: observed.quality,
            readable: observed.readable,
            rr_s: beat.rr_s,
            fibrillation,
        }
    }

    /// Takes what the strip network says of the next window. It has a say, by [`Rules::strip`], in beats whose R peak lies 10 s after the
    /// window's end or later; to be called before the first of these is judged, and in order of time.
    pub fn hear(&mut self, verdict: &StripVerdict) {
        self.heard.push(verdict);
    }

    /// The smoothed score so far, and whether that is fibrillation; `None` where nothing weighs.
    pub const fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Whether hardly any of the last 24 beats looked like a heartbeat in readable signal: fewer than 6.
    pub(crate) fn is_no_heartbeat(&self) -> bool {
        let heartbeats = (self.heartbeats & SEEN).count_ones();
        usize::from(self.beats) >= RHYTHM_INTERVALS && heartbeats < HEARTBEATS_FEW
    }

    /// Counts so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}
