//! Where the rhythm weighs on a beat's class.

use super::intervals::log_rr;
use super::{Observation, sigmoid};
use crate::class::Class;
use crate::spec::LABELS;
use libm::expf;

/// Probability of each class, in the order of [`LABELS`]: the softmax of the logits.
pub type Probabilities = [f32; LABELS.len()];

const N: usize = Class::N as usize;
const S: usize = Class::S as usize;

/// Which rules weigh on a beat's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// In atrial fibrillation as the intervals tell it, probability goes from S to N.
    pub af: bool,
    /// In a sustained supraventricular tachycardia, probability goes from N to S.
    pub svt: bool,
    /// In atrial fibrillation as the strip network sees it in the last 80 s of signal, all probability of S goes to N
    /// ([`Rhythm::hear`](super::Rhythm::hear)). Without a strip network it does nothing.
    pub strip: bool,
    /// Beats that look alike get like answers: what the network said of a kind of beat, in this patient, weighs on the next of the
    /// kind ([`Appearance`](super::Appearance)).
    pub alike: bool,
}

impl Rules {
    /// None: the network alone decides. Atrial fibrillation is told all the same.
    pub const NONE: Self = Self {
        af: false,
        svt: false,
        strip: false,
        alike: false,
    };
    /// The strip rule alone.
    pub const STRIP: Self = Self {
        strip: true,
        ..Self::NONE
    };
    /// The strip rule, and beats that look alike.
    pub const ALIKE: Self = Self {
        strip: true,
        alike: true,
        ..Self::NONE
    };
    /// The AF rule alone.
    pub const AF: Self = Self {
        af: true,
        ..Self::NONE
    };
    /// The AF rule and the SVT rule.
    pub const AF_SVT: Self = Self {
        af: true,
        svt: true,
        ..Self::NONE
    };
    /// The rules of the shipped model: those that gain on every data base, or lose less than 0.005 of jk
    /// (`docs/experiments.md`).
    pub const SHIPPED: Self = Self::ALIKE;
}

/// The smoothed score before the first.
const SCORE_START: f32 = -2.0;
/// A score beyond this counts as this, so that the smoothed score stays finite.
const SCORE_MAX: f32 = 1e6;
/// The slowest that the smoothed score follows.
const SCORE_RATE: f32 = 1.0 / 64.0;
/// The smoothed score is an average of the first scores, as if there had been this many before them.
const SCORE_PRIOR: f32 = 4.0;
/// The heart is held to be in atrial fibrillation where the smoothed score, a logit, is above this.
const FIBRILLATION: f32 = 0.0;

const AF_SLOPE: f32 = 2.0;
/// At most `1 - exp(-3)`, 95 %, of the probability of S goes to N.
const AF_STRENGTH: f32 = 3.0;

/// A run begins when the interval's logarithm is this far below the slow reference,
const RUN_BELOW: f32 = -0.2;
/// and falls by this from one beat to the next;
const RUN_ONSET: f32 = -0.12;
/// it ends where the interval is no further below the reference than this.
const RUN_END: f32 = -0.12;
/// Beats after which a run may begin.
const RUN_WARM_UP: u32 = 16;
/// Beats of a run before it counts.
const RUN_BEATS: u32 = 3;
/// Longest RR interval of a tachycardia, in seconds: 109 beats a minute.
const RUN_RR_S: f32 = 0.55;
/// Largest step between the logarithms of a tachycardia's successive intervals,
const RUN_STEP: f32 = 0.05;
/// over this many steps.
const RUN_STEPS: u32 = 3;
/// A supraventricular beat has the QRS complex of the template: at least this correlation.
const RUN_QRS: f32 = 0.9;
/// Largest smoothed score of a run,
const RUN_SCORE: f32 = 0.0;
/// and one above this within the last beats speaks against it.
const RUN_FIBRILLATION: f32 = 0.5;
/// Those beats.
const RUN_FIBRILLATION_BEATS: u32 = 1000;
/// `1 - exp(-4)`, 98 %, of the probability of N goes to S.
const RUN_STRENGTH: f32 = 4.0;
const REFERENCE_RATE_IN_RUN: f32 = 1.0 / 2000.0;
const REFERENCE_RATE_NEAR: f32 = 1.0 / 16.0;
const REFERENCE_RATE_FAR: f32 = 1.0 / 64.0;
const REFERENCE_NEAR: f32 = 0.12;

/// The state of a patient's rhythm, strictly causal.
///
/// With `g` the rhythm network's score of a beat, the smoothed score is `G += (g - G) max(1/64, 1/(c + 4))` after `c`
/// scores, from -2. The **AF rule** is `a = sigmoid(2 G)`, and `m = S (1 - exp(-3 a))` of the probability of S goes to N. It
/// must go to N: lowering S alone would let V win.
///
/// The **SVT rule** is one of sustained supraventricular tachycardia; see the constants.
#[derive(Debug, Clone)]
pub struct Context {
    rules: Rules,
    score: f32,
    scores: u32,
    run: Run,
}

/// What the SVT rule remembers.
#[derive(Debug, Clone)]
struct Run {
    beats: u32,
    reference: f32,
    previous: f32,
    /// Beats of the run so far; 0 outside of one.
    length: u32,
    /// Small steps in succession.
    even: u32,
    /// Beats since the smoothed score spoke of fibrillation.
    since_fibrillation: u32,
}

impl Context {
    /// At the start of a recording.
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            score: SCORE_START,
            scores: 0,
            run: Run {
                beats: 0,
                reference: 0.0,
                previous: 0.0,
                length: 0,
                even: 0,
                since_fibrillation: u32::MAX,
            },
        }
    }

    /// The rules that it was made with.
    pub(super) const fn rules(&self) -> Rules {
        self.rules
    }

    /// Takes the next beat with the rhythm network's score, a logit, where there is one (see
    /// [`Intervals`](super::Intervals)); a score that is not finite counts as none. Then [`weigh`](Self::weigh) speaks of
    /// this beat.
    pub fn push(&mut self, beat: &Observation, score: Option<f32>) {
        if let Some(score) = score.filter(|score| score.is_finite()) {
            let score = score.clamp(-SCORE_MAX, SCORE_MAX);
            let rate = SCORE_RATE.max(1.0 / (self.scores as f32 + SCORE_PRIOR));
            self.score += (score - self.score) * rate;
            self.scores = self.scores.saturating_add(1);
        }
        self.run.push(beat, self.score);
    }

    /// The smoothed score: the logit of atrial fibrillation; `None` before the first score.
    pub fn score(&self) -> Option<f32> {
        (self.scores > 0).then_some(self.score)
    }

    /// Whether the newest beat lies in atrial fibrillation; `None` before the first score.
    pub fn is_fibrillation(&self) -> Option<bool> {
        self.score().map(|score| score > FIBRILLATION)
    }

    /// The newest beat's probabilities, weighed by the rhythm; their sum stays.
    pub fn weigh(&self, beat: &Observation, probabilities: &Probabilities) -> Probabilities {
        let mut weighed = *probabilities;
        if self.rules.af {
            let gate = sigmoid(AF_SLOPE * self.score);
            shift(&mut weighed, S, N, AF_STRENGTH * gate);
        }
        if self.rules.svt && self.run.is_sustained(beat, self.score) {
            shift(&mut weighed, N, S, RUN_STRENGTH);
        }
        weighed
    }
}

/// Moves all of the probability of S to N: lowering S alone would let V win.
pub fn all_s_to_n(probabilities: &mut Probabilities) {
    probabilities[N] += probabilities[S];
    probabilities[S] = 0.0;
}

/// Moves `1 - exp(-strength)` of one class's probability to another.
fn shift(probabilities: &mut Probabilities, from: usize, to: usize, strength: f32) {
    let moved = probabilities[from] * (1.0 - expf(-strength));
    probabilities[from] -= moved;
    probabilities[to] += moved;
}

impl Run {
    fn push(&mut self, beat: &Observation, score: f32) {
        self.since_fibrillation = if score > RUN_FIBRILLATION {
            0
        } else {
            self.since_fibrillation.saturating_add(1)
        };
        let Some(rr_s) = beat.rr_s.filter(|rr_s| rr_s.is_finite()) else {
            return;
        };
        let log = log_rr(rr_s);
        if self.beats == 0 {
            (self.reference, self.previous) = (log, log);
        }
        let (error, step) = (log - self.reference, log - self.previous);
        if self.length > 0 {
            self.length = if error > RUN_END {
                0
            } else {
                self.length.saturating_add(1)
            };
        } else if self.beats >= RUN_WARM_UP && error < RUN_BELOW && step < RUN_ONSET {
            self.length = 1;
        }
        self.even = if step.abs() < RUN_STEP {
            self.even.saturating_add(1)
        } else {
            0
        };
        let rate = if self.length > 0 {
            REFERENCE_RATE_IN_RUN
        } else if error.abs() < REFERENCE_NEAR {
            REFERENCE_RATE_NEAR
        } else {
            REFERENCE_RATE_FAR
        };
        self.reference += rate * error;
        self.previous = log;
        self.beats = self.beats.saturating_add(1);
    }

    /// Whether the newest beat belongs to a sustained supraventricular tachycardia.
    fn is_sustained(&self, beat: &Observation, score: f32) -> bool {
        self.length >= RUN_BEATS
            && beat.rr_s.is_some_and(|rr_s| rr_s < RUN_RR_S)
            && self.even >= RUN_STEPS
            && beat.qrs > RUN_QRS
            && score < RUN_SCORE
            && self.since_fibrillation >= RUN_FIBRILLATION_BEATS
    }
}
