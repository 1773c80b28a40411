//! The rules of the rhythm on logits of held-out beats, through `heartlens-core`: what the product makes of them, to the bit.

use crate::beat::fit::Logits;
use crate::data::augment::plain_views;
use crate::data::record::{Lead, RecordBeats};
use crate::study::results::NETWORK_ALONE;
use heartlens_core::class::Class;
use heartlens_core::classifier::{Observed, Scores};
use heartlens_core::quality::BeatQuality;
use heartlens_core::rhythm::{
    Appearance, Intervals, Network, Observation, Probabilities, Rhythm, Rules,
};
use heartlens_core::spec::STRIP_STEP_SAMPLES;
use heartlens_core::strip::StripVerdict;
use heartlens_core::views::Views;

/// The rules that are judged beside the network alone, each with its name in the results.
pub const ALL: [(&str, Rules); 4] = [
    (STRIP_RULE, Rules::STRIP),
    (ALIKE_RULE, Rules::ALIKE),
    ("AF rule", Rules::AF),
    ("AF and SVT rule", Rules::AF_SVT),
];

/// The name of the strip rule in the results.
pub const STRIP_RULE: &str = "strip rule";
/// That of the strip rule and beats that look alike.
pub const ALIKE_RULE: &str = "strip and alike rule";
/// That of the whole recording.
pub const WHOLE: &str = "whole recording";

/// What decides with these rules, by its name in the results.
pub fn name(rules: Rules) -> &'static str {
    let named = ALL.into_iter().find(|(_, known)| *known == rules);
    named.map_or(NETWORK_ALONE, |(name, _)| name)
}

/// The class of each beat of `record` with these logits: the likeliest of its [`probabilities`].
pub fn classes(
    network: Option<Network<'_>>,
    verdicts: &[StripVerdict],
    record: &RecordBeats,
    logits: &[Logits],
    rules: Rules,
) -> Vec<Class> {
    let probabilities = probabilities(network, verdicts, record, logits, rules);
    probabilities.iter().map(|p| Class::of(p, true)).collect()
}

/// The probabilities of each beat of `record` with these logits, after the rhythm has weighed on them by `rules`. The rhythm
/// network is for the AF and the SVT rule, verdicts in order of time are for the strip rule.
pub fn probabilities(
    network: Option<Network<'_>>,
    verdicts: &[StripVerdict],
    record: &RecordBeats,
    logits: &[Logits],
    rules: Rules,
) -> Vec<Probabilities> {
    let mut verdicts = verdicts.iter().peekable();
    let (mut intervals, mut rhythm) = (Intervals::new(), Rhythm::new(Some(rules)));
    let mut views = Views::ZERO;
    logits
        .iter()
        .enumerate()
        .map(|(index, logits)| {
            let beat = record.beat(Lead::First, index);
            plain_views(beat, &mut views);
            let observed = Observed {
                r_sample: beat.r_sample,
                rhythm: Observation::new(beat.pre_rr_s(), &beat.metadata),
                appearance: Appearance::of(&views),
                quality: BeatQuality::CLEAN,
                readable: true,
                heartbeat: true,
            };
            let due =
                |verdict: &&StripVerdict| verdict.window.end + STRIP_STEP_SAMPLES <= beat.r_sample;
            while let Some(verdict) = verdicts.next_if(due) {
                rhythm.hear(verdict);
            }
            let input = intervals.push(observed.rhythm.rr_s);
            let scores = Scores {
                logits: *logits,
                rhythm: network
                    .zip(input)
                    .map(|(network, input)| network.score(&input)),
            };
            rhythm.judge(&observed, &scores).probabilities
        })
        .collect()
}
