//! Lists of beats: without a signal, the rhythm is judged all the same.

use super::Worker;
use crate::analysis::{Analysis, Beat, Stages};
use crate::choice::Taken;
use crate::clock::Instant;
use crate::episodes::episodes;
use crate::evaluate::mapping::aami;
use crate::hrv::Hrv;
use crate::options::Mode;
use crate::records::BeatList;
use crate::summary::Summary;
use heartlens_core::class::Class;
use heartlens_core::rhythm::{Context, Intervals, Model as RhythmModel, Observation, Rules};

/// What stands for the lead, and for what ran the network.
pub(crate) const NO_SIGNAL: &str = "none";

impl Worker<'_> {
    /// Judges the rhythm of a list of beats: atrial fibrillation, runs, pauses and heart rate variability. Classes are those
    /// of the list; where it has none, each beat is Q, and nothing is said of runs and burdens. Scores, logits and
    /// quality are NaN.
    pub fn judge_beats(&self, list: &BeatList) -> Analysis {
        let begun = Instant::now();
        let mut beats = rhythm_of(list, self.pool().rhythm());
        let mut summary = Summary::of(&beats);
        let (episodes, hrv) = (episodes(&beats), Hrv::of(&beats, list.duration_s));
        if !list.labelled {
            beats.iter_mut().for_each(|beat| beat.class = Class::Q);
            summary = summary.without_classes();
        }
        Analysis {
            beats,
            summary,
            episodes,
            strips: Vec::new(),
            hrv,
            warnings: list.warnings.clone(),
            leads: vec![NO_SIGNAL.to_owned()],
            taken: Taken::no_signal(),
            mode: Mode::Streaming,
            model: self.pool().model().name().to_owned(),
            runtime: NO_SIGNAL,
            stages: Stages {
                rhythm: begun.elapsed(),
                ..Stages::default()
            },
        }
    }
}

/// The beats with their rhythm. Those of a list without labels pass for N, as the rhythm has to take them.
fn rhythm_of(list: &BeatList, model: Option<RhythmModel<'_>>) -> Vec<Beat> {
    let mut intervals = Intervals::new();
    let mut context = model.map(|model| (model.network, Context::new(Rules::NONE)));
    let beats = list.beats.iter().map(|listed| {
        let rr_s = listed.rr_ms.map(|ms| (ms / 1000.0) as f32);
        let input = intervals.push(rr_s);
        let fibrillation = context.as_mut().and_then(|(network, context)| {
            let score = input.as_ref().map(|input| network.score(input));
            // Nothing that looks at the QRS complex weighs here.
            context.push(&Observation { rr_s, qrs: 1.0 }, score);
            context.is_fibrillation()
        });
        let class = match listed.code {
            Some(code) => aami(code).unwrap_or(Class::Q),
            None => Class::N,
        };
        Beat {
            class,
            fibrillation,
            rr_ms: listed.rr_ms,
            scores: [f32::NAN; _],
            logits: [f32::NAN; _],
            quality: f32::NAN,
            ..Beat::at(listed.sample, listed.time_s)
        }
    });
    beats.collect()
}
