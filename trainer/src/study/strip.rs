//! How good is the strip network on recordings that it has not seen.

use super::cross_validate::{Plan, in_parallel};
use super::rhythm::{SeedFigures, evenly};
use crate::fit::training_loop::StepReport;
use crate::strip::config::Config;
use crate::strip::dataset::Recording;
use crate::strip::fit::{FitError, fit};
use crate::strip::network::{StripNetwork, batch};
use heartlens_core::spec::{STRIP_HASH, STRIP_LABELS};
use serde::Serialize;
use std::collections::BTreeMap;
use tch::Kind;

/// Classes.
const CLASSES: usize = STRIP_LABELS.len();
/// Windows that are scored at a time.
const BATCH: usize = 512;

/// The results of a cross-validation, the JSON of `heartlens-train cross-validate`. A recording counts once a seed.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The model's name.
    pub model: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one window.
    pub macs: usize,
    /// Hash of what the network reads, 16 hex digits.
    pub spec_hash: String,
    /// What was trained.
    pub config: Config,
    /// Recordings of each class.
    pub records: BTreeMap<&'static str, usize>,
    /// Recordings too short for a window.
    pub unscored: usize,
    /// All seeds together.
    #[serde(flatten)]
    pub pooled: Figures,
    /// Each seed alone.
    pub seeds: Vec<SeedFigures<Figures>>,
    /// The held-out recordings of each fold, by name, separated by spaces.
    pub splits: Vec<String>,
}

/// Recordings by class. A recording's class is the likeliest by the mean of its windows' probabilities, weighted by their lengths; one
/// without a window counts as noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The classes, in the order of the matrix.
    pub labels: [&'static str; CLASSES],
    /// Rows are the labels of the data base, columns what the network says.
    pub confusion: [[u64; CLASSES]; CLASSES],
    /// F1 of each class; `None` where it neither occurs nor is said.
    pub f1: BTreeMap<&'static str, Option<f64>>,
    /// The challenge's figure: the mean of the F1 of normal, fibrillation and other.
    pub challenge_f1: Option<f64>,
}

impl Figures {
    fn of(confusion: [[u64; CLASSES]; CLASSES]) -> Self {
        let f1 = |class: usize| {
            let said: u64 = confusion.iter().map(|row| row[class]).sum();
            let there: u64 = confusion[class].iter().sum();
            let both = said + there;
            (both > 0).then(|| 2.0 * confusion[class][class] as f64 / both as f64)
        };
        let of: Vec<Option<f64>> = (0..CLASSES).map(f1).collect();
        let sum: Option<f64> = of[..CLASSES - 1].iter().copied().sum();
        Self {
            labels: STRIP_LABELS,
            confusion,
            challenge_f1: sum.map(|sum| sum / (CLASSES - 1) as f64),
            f1: STRIP_LABELS.into_iter().zip(of).collect(),
        }
    }
}

/// Verdicts of one training on the recordings that it has not seen.
#[derive(Debug)]
pub struct Judged {
    /// Seed of the training.
    pub seed: u64,
    /// Index of the fold.
    pub fold: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one window.
    pub macs: usize,
    /// Of each recording of the fold, by its index: the probabilities of all classes; `None` without a window.
    pub probabilities: Vec<(usize, Option<[f64; CLASSES]>)>,
}

/// What a network makes of recordings: probabilities of all classes, the mean over the windows, weighted by their lengths.
pub fn judge(network: &StripNetwork, recordings: &[&Recording]) -> Vec<Option<[f64; CLASSES]>> {
    let windows: Vec<_> = recordings
        .iter()
        .flat_map(|recording| &recording.windows)
        .collect();
    let mut probabilities: Vec<[f32; CLASSES]> = Vec::with_capacity(windows.len());
    for part in windows.chunks(BATCH) {
        let logits = tch::no_grad(|| network.forward(&batch(part.iter().copied()), None));
        let values = crate::nn::onnx::to_vec(&logits.softmax(-1, Kind::Float));
        probabilities.extend(values.as_chunks::<CLASSES>().0);
    }
    let mut probabilities = probabilities.into_iter();
    let mean = |recording: &&Recording| {
        let mut sums = [0.0; CLASSES];
        let mut total = 0.0;
        for (seconds, of) in recording.seconds.iter().zip(probabilities.by_ref()) {
            total += f64::from(*seconds);
            for (sum, probability) in sums.iter_mut().zip(of) {
                *sum += f64::from(*seconds) * f64::from(probability);
            }
        }
        (total > 0.0).then(|| sums.map(|sum| sum / total))
    };
    recordings.iter().map(mean).collect()
}

/// Trains on all `splits` but one and judges that one, for each of them and each seed of the plan, in order of seed and
/// fold. `observe` hears of every step.
///
/// # Errors
/// If a fold has no recording to train on, or the layers do not fit together.
pub fn train_folds(
    config: &Config,
    recordings: &[Recording],
    splits: &[Vec<usize>],
    plan: &Plan,
    mut observe: impl FnMut(StepReport),
) -> Result<Vec<Judged>, FitError> {
    let seeds = plan.seeds.iter();
    let jobs: Vec<(u64, usize)> = seeds
        .flat_map(|&seed| (0..splits.len()).map(move |fold| (seed, fold)))
        .collect();
    let work = |&(seed, fold): &(u64, usize), observe: &mut dyn FnMut(StepReport)| {
        let mut config = config.clone();
        config.training.seed = seed;
        let is_training = |index: &usize| splits[fold].binary_search(index).is_err();
        let training: Vec<&Recording> = (0..recordings.len())
            .filter(is_training)
            .map(|index| &recordings[index])
            .collect();
        let trained = fit(&config, &training, plan.device, observe)?;
        let held_out: Vec<&Recording> = splits[fold].iter().map(|&i| &recordings[i]).collect();
        let found = judge(trained.result(), &held_out);
        Ok::<_, FitError>(Judged {
            seed,
            fold,
            parameters: trained.parameter_count(),
            macs: trained.result().macs(),
            probabilities: splits[fold].iter().copied().zip(found).collect(),
        })
    };
    let mut judged = in_parallel(&jobs, plan.parallel, work, |_, report| observe(report))?;
    judged.sort_by_key(|judged| (judged.seed, judged.fold));
    Ok(judged)
}

/// The figures of these trainings together.
fn figures(recordings: &[Recording], judged: &[Judged]) -> Figures {
    let mut confusion = [[0; CLASSES]; CLASSES];
    for (index, probabilities) in judged.iter().flat_map(|judged| &judged.probabilities) {
        let likeliest = |of: &[f64; CLASSES]| {
            (0..CLASSES).fold(
                0,
                |best, class| if of[class] > of[best] { class } else { best },
            )
        };
        let said = probabilities.as_ref().map_or(CLASSES - 1, likeliest);
        confusion[recordings[*index].class][said] += 1;
    }
    Figures::of(confusion)
}

/// Trains on all of `folds` folds but one and judges that one, for each fold and each seed of the plan, whose splits are not
/// looked at. `observe` hears of every step.
///
/// # Errors
/// As [`train_folds`].
pub fn cross_validate(
    config: &Config,
    recordings: &[Recording],
    folds: usize,
    plan: &Plan,
    observe: impl FnMut(StepReport),
) -> Result<Results, FitError> {
    // One recording of the challenge is one patient, as far as is known.
    let classes: Vec<usize> = recordings.iter().map(|r| r.class).collect();
    let kinds: Vec<usize> = (0..CLASSES).collect();
    let splits = evenly(&classes, &kinds, folds, config.training.seed);
    let judged = train_folds(config, recordings, &splits, plan, observe)?;
    let mut records = BTreeMap::new();
    for recording in recordings {
        *records.entry(STRIP_LABELS[recording.class]).or_default() += 1;
    }
    let names = |fold: &Vec<usize>| {
        let names: Vec<&str> = fold.iter().map(|&i| recordings[i].name.as_str()).collect();
        names.join(" ")
    };
    let seeds = judged
        .chunk_by(|a, b| a.seed == b.seed)
        .map(|judged| SeedFigures {
            seed: judged.first().map_or(0, |judged| judged.seed),
            figures: figures(recordings, judged),
        });
    Ok(Results {
        model: config.name.clone(),
        parameters: judged.first().map_or(0, |judged| judged.parameters),
        macs: judged.first().map_or(0, |judged| judged.macs),
        spec_hash: format!("{STRIP_HASH:016x}"),
        config: config.clone(),
        records,
        unscored: recordings.iter().filter(|r| r.windows.is_empty()).count(),
        pooled: figures(recordings, &judged),
        seeds: seeds.collect(),
        splits: splits.iter().map(names).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of normal 8 of 10 found and 1 too many, and so on.
    #[test]
    fn figures_are_those_of_the_challenge() {
        let found = Figures::of([[8, 0, 2, 0], [0, 3, 1, 0], [1, 1, 4, 0], [0, 0, 0, 0]]);
        assert_eq!(found.f1["N"], Some(16.0 / 19.0));
        assert_eq!(found.f1["A"], Some(6.0 / 8.0));
        assert_eq!(found.f1["O"], Some(8.0 / 13.0));
        assert_eq!(found.f1["~"], None);
        let mean = (16.0 / 19.0 + 6.0 / 8.0 + 8.0 / 13.0) / 3.0;
        assert!((found.challenge_f1.unwrap_or(0.0) - mean).abs() < 1e-12);
    }
}
