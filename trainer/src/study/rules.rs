//! The rules of the rhythm on logits of held-out beats, through `heartlens-core`: what the product makes of them, to the bit.

use crate::beat::fit::Logits;
use crate::data::record::{Lead, RecordBeats};
use crate::study::results::NETWORK_ALONE;
use heartlens_core::class::Class;
use heartlens_core::classifier::{Observed, Scores};
use heartlens_core::quality::BeatQuality;
use heartlens_core::rhythm::{Intervals, Network, Observation, Rhythm, Rules};

/// The rules that are judged beside the network alone, each with its name in the results.
pub const ALL: [(&str, Rules); 2] = [("AF rule", Rules::AF), ("AF and SVT rule", Rules::AF_SVT)];

/// What decides with these rules, by its name in the results.
pub fn name(rules: Rules) -> &'static str {
    let named = ALL.into_iter().find(|(_, known)| *known == rules);
    named.map_or(NETWORK_ALONE, |(name, _)| name)
}

/// The class of each beat of `record` with these logits: the likeliest after the rhythm has weighed on it by `rules`.
pub fn classes(
    network: Network<'_>,
    record: &RecordBeats,
    logits: &[Logits],
    rules: Rules,
) -> Vec<Class> {
    let (mut intervals, mut rhythm) = (Intervals::new(), Rhythm::new(Some(rules)));
    logits
        .iter()
        .enumerate()
        .map(|(index, logits)| {
            let beat = record.beat(Lead::First, index);
            let observed = Observed {
                r_sample: 0,
                rhythm: Observation::new(beat.pre_rr_s(), &beat.metadata),
                quality: BeatQuality::CLEAN,
                readable: true,
                heartbeat: true,
            };
            let input = intervals.push(observed.rhythm.rr_s);
            let scores = Scores {
                logits: *logits,
                rhythm: input.map(|input| network.score(&input)),
            };
            rhythm.judge(&observed, &scores).class
        })
        .collect()
}
