//! The rhythm context on logits of held-out beats, through `heartlens-core`.

use super::train::TrainedRhythm;
use crate::dataset::{Dataset, Lead, RecordBeats};
use crate::held_out::Logits;
use crate::train::largest;
use heartlens::runtime::softmax;
use heartlens_core::class::Class;
use heartlens_core::rhythm::{Context, Input, Intervals, Observation, Rules};

/// The rhythm network's score of each beat of a record; `None` where too few came before it.
pub type Scores = Vec<Option<f32>>;

/// The scores of every record of `dataset`, by its index.
pub fn scores(trained: &TrainedRhythm, dataset: &Dataset) -> Vec<Scores> {
    dataset
        .records
        .iter()
        .map(|record| {
            let mut intervals = Intervals::new();
            let inputs: Vec<Option<Input>> = (0..record.classes.len())
                .map(|beat| intervals.push(record.beat(Lead::First, beat).pre_rr_s))
                .collect();
            let windows: Vec<Input> = inputs.iter().flatten().copied().collect();
            let mut scores = trained.scores(&windows).into_iter();
            let score = |input: Option<Input>| input.and_then(|_| scores.next());
            inputs.into_iter().map(score).collect()
        })
        .collect()
}

/// The class of each beat of `record`: the likeliest after the rhythm has weighed on it by `rules`.
pub fn classes(
    record: &RecordBeats,
    scores: &[Option<f32>],
    logits: &[Logits],
    rules: Rules,
) -> Vec<Class> {
    let mut context = Context::new(rules);
    logits
        .iter()
        .zip(scores)
        .enumerate()
        .map(|(beat, (logits, score))| {
            let beat = record.beat(Lead::First, beat);
            let observation = Observation::new(beat.pre_rr_s, &beat.metadata);
            context.push(&observation, *score);
            largest(&context.weigh(&observation, &softmax(logits)))
        })
        .collect()
}
