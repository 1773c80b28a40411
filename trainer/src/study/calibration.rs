//! Whether a network's probabilities are as large as the shares of beats that they are right of, and which temperature makes them so.

use super::logits_cache::HeldOut;
use crate::beat::dataset::Dataset;
use heartlens::evaluate::certainty::{Certainty, CertaintyFigures};
use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_core::rhythm::Probabilities;
use heartlens_core::spec::LABELS;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Temperatures that are tried: 0.50, 0.55 and so on,
const FIRST: f64 = 0.5;
const STEP: f64 = 0.05;
/// this many.
const TRIED: usize = 17;
/// No probability counts as less than this in the log likelihood.
const FLOOR: f32 = 1e-6;

/// Calibration of all trainings, at the annotators' R peaks in the first lead, by what decides as shipped.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// The config's temperature.
    pub temperature: f64,
    /// The temperature that makes the held-out beats of all folds likeliest.
    pub likeliest: f64,
    /// By database.
    pub databases: BTreeMap<String, DatabaseCalibration>,
}

/// One database.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseCalibration {
    /// With the config's temperature.
    #[serde(flatten)]
    pub figures: CertaintyFigures,
    /// Expected calibration error at temperature 1, 0..=1.
    pub ece_uncalibrated: f64,
    /// The same where each fold has the temperature that the other folds ask for; as `ece` without other folds.
    pub ece_by_other_folds: f64,
}

/// What a temperature comes to in one fold.
#[derive(Default)]
struct Tried {
    log_likelihood: f64,
    databases: BTreeMap<String, Certainty>,
}

impl Calibration {
    /// Of what `trained` have not seen. `decide` gives the probabilities of a record (its index into `dataset`) for logits that are
    /// multiplied by a gain.
    pub fn of(
        dataset: &Dataset,
        trained: &[HeldOut],
        temperature: f64,
        decide: impl Fn(&HeldOut, usize, f32) -> Vec<Probabilities> + Sync,
    ) -> Self {
        let tried = |at: f64| -> BTreeMap<usize, Tried> {
            let gain = (temperature / at) as f32;
            let jobs: Vec<(&HeldOut, usize)> = trained
                .iter()
                .flat_map(|done| done.logits.keys().map(move |record| (done, *record)))
                .filter(|(_, record)| dataset.records[*record].peaks == Peaks::Reference)
                .collect();
            let of_record = |&(done, record): &(&HeldOut, usize)| {
                let mut certainty = Certainty::default();
                let mut log_likelihood = 0.0;
                let classes = &dataset.records[record].classes;
                for (class, p) in classes.iter().zip(decide(done, record, gain)) {
                    if (*class as usize) < LABELS.len() {
                        certainty.push(&p, Class::of(&p, true) == *class);
                        log_likelihood += f64::from(p[*class as usize].max(FLOOR).ln());
                    }
                }
                (done.fold, record, certainty, log_likelihood)
            };
            let all: Vec<_> = jobs.par_iter().map(of_record).collect();
            let mut folds = BTreeMap::<usize, Tried>::new();
            for (fold, record, certainty, log_likelihood) in all {
                let fold = folds.entry(fold).or_default();
                fold.log_likelihood += log_likelihood;
                let database = dataset.records[record].database.clone();
                *fold.databases.entry(database).or_default() += &certainty;
            }
            folds
        };
        let temperatures: Vec<f64> = (0..TRIED).map(|i| FIRST + STEP * i as f64).collect();
        let all: Vec<BTreeMap<usize, Tried>> = temperatures.iter().map(|at| tried(*at)).collect();
        // The temperature that the folds that `counts` names ask for, by its place.
        let likeliest = |counts: &dyn Fn(usize) -> bool| -> usize {
            let likelihood = |folds: &BTreeMap<usize, Tried>| -> f64 {
                let counted = folds.iter().filter(|(fold, _)| counts(**fold));
                counted.map(|(_, tried)| tried.log_likelihood).sum()
            };
            let likelihoods: Vec<f64> = all.iter().map(likelihood).collect();
            let better = |a: usize, b: usize| {
                if likelihoods[b] > likelihoods[a] {
                    b
                } else {
                    a
                }
            };
            (0..TRIED).reduce(better).unwrap_or_default()
        };
        let together = |folds: &mut dyn Iterator<Item = &Tried>| {
            let mut databases = BTreeMap::<String, Certainty>::new();
            for (name, certainty) in folds.flat_map(|fold| &fold.databases) {
                *databases.entry(name.clone()).or_default() += certainty;
            }
            databases
        };
        let now = tried(temperature);
        let at_one = tried(1.0);
        let (at_now, at_one) = (together(&mut now.values()), together(&mut at_one.values()));
        let by_others = match now.len() {
            0 | 1 => at_now.clone(),
            _ => together(&mut now.keys().filter_map(|fold| {
                let place = likeliest(&|other| other != *fold);
                all[place].get(fold)
            })),
        };
        let ece = |of: &BTreeMap<String, Certainty>, name: &String| {
            let figures = of.get(name).and_then(Certainty::figures);
            figures.map_or(f64::NAN, |figures| figures.ece)
        };
        let databases = at_now
            .iter()
            .filter_map(|(name, certainty)| {
                let calibration = DatabaseCalibration {
                    figures: certainty.figures()?,
                    ece_uncalibrated: ece(&at_one, name),
                    ece_by_other_folds: ece(&by_others, name),
                };
                Some((name.clone(), calibration))
            })
            .collect();
        Self {
            temperature,
            likeliest: temperatures[likeliest(&|_| true)],
            databases,
        }
    }
}
