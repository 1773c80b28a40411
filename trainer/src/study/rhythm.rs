//! How good is the rhythm network on recordings that it has not seen.

use super::cross_validate::{Plan, in_parallel};
use crate::data::weak_labels::Rhythm;
use crate::fit::training_loop::StepReport;
use crate::nn::rng::{Purpose, stream};
use crate::rhythm::config::Config;
use crate::rhythm::dataset::Recording;
use crate::rhythm::fit::{FitError, fit};
use heartlens_core::rhythm::{Context, Network, Observation, Rules};
use heartlens_core::spec::RHYTHM_HASH;
use rand::seq::SliceRandom;
use serde::Serialize;
use std::collections::BTreeMap;

/// The results of a cross-validation, the JSON of `heartlens-train cross-validate`. A recording counts once a
/// seed.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The model's name.
    pub model: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Hash of what the network reads, 16 hex digits.
    pub spec_hash: String,
    /// What was trained.
    pub config: Config,
    /// Recordings of each rhythm.
    pub records: BTreeMap<Rhythm, usize>,
    /// Recordings with too few beats for a score.
    pub unscored: usize,
    /// Those of them that are in fibrillation.
    pub unscored_fibrillation: usize,
    /// All seeds together.
    #[serde(flatten)]
    pub pooled: Figures,
    /// Each seed alone.
    pub seeds: Vec<SeedFigures>,
    /// The held-out recordings of each fold, by name, separated by spaces.
    pub splits: Vec<String>,
}

/// One seed over all folds.
#[derive(Debug, Clone, Serialize)]
pub struct SeedFigures<F = Figures> {
    /// The seed.
    pub seed: u64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: F,
}

/// Atrial fibrillation against sinus and other rhythms, by recording: its smoothed score at the end, as
/// [`Context::score`] gives it. A recording with too few beats for a score counts as not in fibrillation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Area under the ROC curve of the recordings that have a score, 0..=1; equal scores count half.
    pub auc: Option<f64>,
    /// Recordings in fibrillation that are found.
    pub tp: u64,
    /// Recordings in fibrillation that are missed.
    pub r#fn: u64,
    /// Recordings in another rhythm that are taken for it.
    pub fp: u64,
    /// All others.
    pub tn: u64,
    /// Sensitivity.
    pub se: Option<f64>,
    /// Positive predictive value.
    pub ppv: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
}

/// What was found of one recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether it is in fibrillation.
    pub truth: bool,
    /// The score, `None` where there are too few beats.
    pub score: Option<f32>,
    /// Whether it is held to be.
    pub found: bool,
}

impl Figures {
    /// Of these recordings.
    pub fn of(verdicts: &[Verdict]) -> Self {
        let count = |truth: bool, found: bool| {
            let is = |v: &&Verdict| v.truth == truth && v.found == found;
            verdicts.iter().filter(is).count() as u64
        };
        let (tp, fn_, fp) = (count(true, true), count(true, false), count(false, true));
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            auc: auc(verdicts),
            tp,
            r#fn: fn_,
            fp,
            tn: count(false, false),
            se: share(tp, tp + fn_),
            ppv: share(tp, tp + fp),
            f1: share(2 * tp, 2 * tp + fn_ + fp),
        }
    }
}

/// Area under the ROC curve by ranks (Mann & Whitney 1947, Ann. Math. Statist. 18:50): the share of pairs of a recording
/// in fibrillation and one that is not in which the first has the larger score, ties counting half. `None` without pairs.
fn auc(verdicts: &[Verdict]) -> Option<f64> {
    let mut scored: Vec<(f32, bool)> = verdicts
        .iter()
        .filter_map(|verdict| Some((verdict.score?, verdict.truth)))
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positive_in = |part: &[(f32, bool)]| part.iter().filter(|(_, truth)| *truth).count() as f64;
    let mut rank_sum = 0.0;
    let mut before = 0.0;
    for ties in scored.chunk_by(|a, b| a.0 == b.0) {
        rank_sum += positive_in(ties) * (before + (ties.len() as f64 + 1.0) / 2.0);
        before += ties.len() as f64;
    }
    let positive = positive_in(&scored);
    let pairs = positive * (before - positive);
    (pairs > 0.0).then(|| (rank_sum - positive * (positive + 1.0) / 2.0) / pairs)
}

/// Splits recordings into `folds`, each rhythm evenly. Returns indices, in order. One recording of the challenge is one
/// patient, as far as is known.
pub fn split(recordings: &[Recording], folds: usize, seed: u64) -> Vec<Vec<usize>> {
    let rhythms: Vec<Rhythm> = recordings.iter().map(|r| r.rhythm).collect();
    evenly(&rhythms, &Rhythm::ALL, folds, seed)
}

/// Splits recordings of these kinds into `folds`, each of `kinds` evenly. Returns indices, in order.
pub(super) fn evenly<K: PartialEq>(
    of: &[K],
    kinds: &[K],
    folds: usize,
    seed: u64,
) -> Vec<Vec<usize>> {
    let mut rng = stream(seed, Purpose::Folds, 0);
    let mut split = vec![Vec::new(); folds];
    let mut next = 0;
    for kind in kinds {
        let mut members: Vec<usize> = (0..of.len()).filter(|&index| of[index] == *kind).collect();
        members.shuffle(&mut rng);
        for index in members {
            split[next % folds].push(index);
            next += 1;
        }
    }
    for fold in &mut split {
        fold.sort_unstable();
    }
    split
}

/// The recordings of each fold, by name, separated by spaces.
pub fn names(recordings: &[Recording], splits: &[Vec<usize>]) -> Vec<String> {
    let of_fold = |fold: &Vec<usize>| {
        let names: Vec<&str> = fold
            .iter()
            .map(|&index| recordings[index].name.as_str())
            .collect();
        names.join(" ")
    };
    splits.iter().map(of_fold).collect()
}

/// What a network makes of a recording, through core's context.
pub fn judge(network: Network<'_>, recording: &Recording) -> Verdict {
    let nothing = Observation {
        rr_s: None,
        qrs: 0.0,
    };
    let mut context = Context::new(Rules::SHIPPED);
    for window in &recording.windows {
        context.push(&nothing, Some(network.score(window)));
    }
    Verdict {
        truth: recording.rhythm == Rhythm::Fibrillation,
        score: context.score(),
        found: context.is_fibrillation() == Some(true),
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
    /// One a recording of the fold.
    pub verdicts: Vec<Verdict>,
}

/// Trains on all `splits` but one and judges that one, for each of them and each seed of the plan, in order of seed and
/// fold. `observe` hears of every step.
///
/// # Errors
/// If a fold's training recordings lack a rhythm, or the layers do not fit together.
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
        let mut is_held_out = vec![false; recordings.len()];
        for &index in &splits[fold] {
            is_held_out[index] = true;
        }
        let training: Vec<&Recording> = recordings
            .iter()
            .zip(&is_held_out)
            .filter(|(_, held_out)| !**held_out)
            .map(|(recording, _)| recording)
            .collect();
        let trained = fit(&config, &training, plan.device, observe)?;
        let image = trained.image();
        let network = Network::load(&image)?;
        let judged = splits[fold].iter().map(|&index| &recordings[index]);
        Ok::<_, FitError>(Judged {
            seed,
            fold,
            parameters: network.params(),
            verdicts: judged.map(|recording| judge(network, recording)).collect(),
        })
    };
    let mut judged = in_parallel(&jobs, plan.parallel, work, |_, report| observe(report))?;
    judged.sort_by_key(|judged| (judged.seed, judged.fold));
    Ok(judged)
}

/// The figures of each seed over all folds, and of all seeds together.
pub fn figures(judged: &[Judged]) -> (Vec<SeedFigures>, Figures) {
    let of = |judged: &[Judged]| {
        let verdicts = judged.iter().flat_map(|judged| &judged.verdicts);
        Figures::of(&verdicts.copied().collect::<Vec<_>>())
    };
    let by_seed = judged.chunk_by(|a, b| a.seed == b.seed);
    let seeds = by_seed.map(|judged| SeedFigures {
        seed: judged.first().map_or(0, |judged| judged.seed),
        figures: of(judged),
    });
    (seeds.collect(), of(judged))
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
    let splits = split(recordings, folds, config.training.seed);
    let judged = train_folds(config, recordings, &splits, plan, observe)?;
    let (seeds, pooled) = figures(&judged);
    let parameters = judged.first().map_or(0, |judged| judged.parameters);
    let mut records = BTreeMap::new();
    for recording in recordings {
        *records.entry(recording.rhythm).or_default() += 1;
    }
    let unscored = || recordings.iter().filter(|r| r.windows.is_empty());
    Ok(Results {
        model: config.name.clone(),
        parameters,
        spec_hash: format!("{RHYTHM_HASH:016x}"),
        config: config.clone(),
        records,
        unscored: unscored().count(),
        unscored_fibrillation: unscored()
            .filter(|r| r.rhythm == Rhythm::Fibrillation)
            .count(),
        pooled,
        seeds,
        splits: names(recordings, &splits),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(of: &[(bool, Option<f32>)]) -> Vec<Verdict> {
        let verdict = |&(truth, score): &(bool, Option<f32>)| Verdict {
            truth,
            score,
            found: score.is_some_and(|score| score > 0.0),
        };
        of.iter().map(verdict).collect()
    }

    /// By hand: of the 2 x 3 pairs four are in order and one is a tie; who has no score is in no pair, but missed.
    #[test]
    fn auc_counts_pairs() {
        let found = Figures::of(&verdicts(&[
            (true, Some(2.0)),
            (false, Some(1.0)),
            (true, Some(-1.0)),
            (false, Some(-1.0)),
            (false, Some(-3.0)),
            (true, None),
        ]));
        assert_eq!(found.auc, Some(4.5 / 6.0));
        assert_eq!((found.tp, found.r#fn, found.fp, found.tn), (1, 2, 1, 2));
        assert_eq!(found.f1, Some(0.4));
        assert_eq!(Figures::of(&verdicts(&[(true, Some(1.0))])).auc, None);
    }
}
