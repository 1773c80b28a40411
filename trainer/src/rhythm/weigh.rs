//! The rhythm on logits of held-out beats, through `heartlens-core`: what the product makes of them, to the bit.

use crate::dataset::{Lead, RecordBeats};
use crate::held_out::Logits;
use heartlens_core::class::Class;
use heartlens_core::model::softmax;
use heartlens_core::rhythm::{Network, Observation, Rhythm, Rules};

/// The class of each beat of `record` with these logits: the likeliest after the rhythm has weighed on it by `rules`.
pub fn classes(
    network: Network<'_>,
    record: &RecordBeats,
    logits: &[Logits],
    rules: Rules,
) -> Vec<Class> {
    let mut rhythm = Rhythm::new(rules);
    logits
        .iter()
        .enumerate()
        .map(|(beat, logits)| {
            let beat = record.beat(Lead::First, beat);
            let observation = Observation::new(beat.pre_rr_s(), &beat.metadata);
            let verdict = rhythm.push(Some(network), &observation, &softmax(logits), true);
            verdict.class
        })
        .collect()
}
