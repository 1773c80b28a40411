//! How a network fares in noise, beside the plain CNN: both are cross-validated, and the records that they have not seen come
//! clean and with recorded noise of known power.
//!
//! Noise is added as [`heartlens::evaluate::noise`] says: two minutes on, two off, from 5:00. Judged are the beats while it is
//! on, the same ones in the clean signal. Training mixes in the first half of the noise records, and the second half is what
//! is added here.

use super::cross_validate::{CrossValidationError, Plan, fit, in_parallel};
use super::results::Headline;
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::{Trainer, largest, logits};
use crate::data::DatasetError;
use crate::data::augment::Augmenter;
use crate::data::find::{Folders, REFERENCE, Wanted, find};
use crate::data::noise::NOISE_FOLDER;
use crate::data::record::{Lead, RecordBeats, lead_order};
use crate::data::split::names;
use crate::fit::training_loop::StepReport;
use heartlens::canonical::{to_canonical, to_canonical_index};
use heartlens::evaluate::mapping;
use heartlens::evaluate::noise::{BLOCK_S, FROM_S, Noise, NoiseError, gain, qrs_amplitude_mv};
use heartlens::evaluate::report::Peaks;
use heartlens::evaluate::tally::Tally;
use heartlens::records::{Record, RecordError};
use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// ADC units a millivolt of the noise records, where their header does not say.
const COUNTS_PER_MV: f64 = 200.0;

/// A measurement in noise that cannot be made.
#[derive(Debug, Error)]
pub enum NoiseTestError {
    /// A record cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A network cannot be trained.
    #[error(transparent)]
    Training(#[from] CrossValidationError),
    /// A noise record cannot be read.
    #[error("{}: {source}; the noise records em and ma of nstdb are needed", path.display())]
    Read {
        /// The record.
        path: PathBuf,
        /// Why.
        source: Box<RecordError>,
    },
    /// Noise cannot be scaled or added.
    #[error("{record}: {source}")]
    Scale {
        /// The record.
        record: String,
        /// Why.
        source: NoiseError,
    },
}

/// A noise, by the name of its record.
#[derive(Debug)]
pub struct Recorded {
    name: String,
    noise: Noise,
}

impl Recorded {
    /// The second half of the first signal of record `name` of the data base `nstdb`.
    ///
    /// # Errors
    /// If it cannot be read, or is flat.
    pub fn read(folders: &Folders, name: &str) -> Result<Self, NoiseTestError> {
        let path = folders.place(NOISE_FOLDER).join(name);
        let fail = |source| NoiseTestError::Read {
            path: path.clone(),
            source: Box::new(source),
        };
        let record = Record::open(&path).map_err(fail)?;
        let samples_mv = record.read_lead(0).map_err(fail)?;
        let half = samples_mv[samples_mv.len() / 2..].to_vec();
        let lead = &record.leads()[0];
        let counts = lead.counts_per_mv.map_or(COUNTS_PER_MV, f64::from);
        let scale = |source| NoiseTestError::Scale {
            record: name.to_owned(),
            source,
        };
        let rate_hz = lead.sample_rate_hz;
        let noise = Noise::new(half, rate_hz, counts).map_err(scale)?;
        let canonical_hz = f64::from(SAMPLE_RATE_HZ);
        let noise = noise.resampled(canonical_hz, |mv| to_canonical(mv, rate_hz));
        Ok(Self {
            name: name.to_owned(),
            noise: noise.map_err(|source| DatasetError::Rate { path, source })?,
        })
    }
}

/// One level of one noise, in decibels; `None` for the clean signal.
pub type Level<'a> = Option<(&'a Recorded, f64)>;

/// A record's first lead before the features.
struct Subject {
    database: String,
    name: String,
    patient: Patient,
    /// At the canonical rate.
    signal_mv: Vec<f32>,
    /// Those in the quiet stretches as class Q, which is not judged.
    beats: Vec<(u32, Class)>,
    qrs_mv: f64,
}

impl Subject {
    fn read(database: &str, path: &Path) -> Result<Self, NoiseTestError> {
        let record = Record::open(path).map_err(DatasetError::from)?;
        let annotations = record.annotations(REFERENCE).map_err(DatasetError::from)?;
        let lead = lead_order(&record).first().copied().unwrap_or(0);
        let signal = record.read_lead(lead).map_err(DatasetError::from)?;
        let lead_hz = record.leads()[lead].sample_rate_hz;
        let rate_hz = record.sample_rate_hz();
        let measured: Vec<u64> = mapping::beats(&annotations)
            .filter(|(_, class)| matches!(class, Class::N | Class::S | Class::Q))
            .map(|(beat, _)| (beat.sample as f64 * lead_hz / rate_hz) as u64)
            .collect();
        let qrs_mv = qrs_amplitude_mv(&signal, lead_hz, &measured).filter(|&mv| mv > 0.0);
        let qrs_mv = qrs_mv.ok_or_else(|| NoiseTestError::Scale {
            record: record.name().to_owned(),
            source: NoiseError::NoSignal {
                beats: measured.len(),
            },
        })?;
        let judged = |sample: u32, class| if is_noisy(sample) { class } else { Class::Q };
        let beats = mapping::beats(&annotations).map(|(beat, class)| {
            let sample = to_canonical_index(beat.sample, rate_hz);
            (sample, judged(sample, class))
        });
        let signal_mv = to_canonical(&signal, lead_hz).map_err(|source| DatasetError::Rate {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            database: database.to_owned(),
            name: record.name().to_owned(),
            patient: heartlens::canonical::patient(&record),
            signal_mv,
            beats: beats.collect(),
            qrs_mv,
        })
    }

    /// The record's beats at this level of noise.
    fn at(&self, level: Level<'_>) -> Result<RecordBeats, NoiseTestError> {
        let mut signal_mv = self.signal_mv.clone();
        if let Some((recorded, snr_db)) = level {
            let gain = gain(snr_db, self.qrs_mv, recorded.noise.rms_mv());
            let added = recorded.noise.blocks(signal_mv.len(), gain);
            let added = added.map_err(|source| NoiseTestError::Scale {
                record: self.name.clone(),
                source,
            })?;
            for (sample, noise) in signal_mv.iter_mut().zip(added) {
                *sample += noise;
            }
        }
        let (database, name) = (&self.database, &self.name);
        let signals = [signal_mv];
        Ok(RecordBeats::from_signals(
            database,
            name,
            &signals,
            &self.beats,
            self.patient,
        ))
    }
}

/// Whether noise is on at a sample at the canonical rate.
fn is_noisy(sample: u32) -> bool {
    let blocks = (f64::from(sample) / f64::from(SAMPLE_RATE_HZ) - FROM_S) / BLOCK_S;
    blocks >= 0.0 && blocks.floor() % 2.0 == 0.0
}

/// What was found, the JSON of `heartlens-train noise`.
#[derive(Debug, Clone, Serialize)]
pub struct NoiseResults {
    /// Seed of the trainings.
    pub seed: u64,
    /// The held-out records of each fold.
    pub splits: Vec<Vec<String>>,
    /// The clean signal, then each noise at each level.
    pub levels: Vec<LevelResults>,
}

/// One level of noise.
#[derive(Debug, Clone, Serialize)]
pub struct LevelResults {
    /// The noise record; `None` for the clean signal.
    pub noise: Option<String>,
    /// Ratio of QRS power to noise power, in decibels.
    pub snr_db: Option<f64>,
    /// By model and database.
    pub networks: BTreeMap<String, BTreeMap<String, Headline>>,
}

/// A model's index, and for each level one tally a database.
type Judged = Result<(usize, Vec<BTreeMap<String, Tally>>), NoiseTestError>;

/// Cross-validates `models`, which name the same records, with the plan's first seed, and judges them at all `levels`.
/// Records lie in `folders`, where `dataset` was read from.
///
/// # Errors
/// If a record cannot be read, noise cannot be scaled, or a network cannot be trained.
pub fn measure(
    models: &[(Config, Augmenter)],
    folders: &Folders,
    dataset: &Dataset,
    plan: &Plan,
    levels: &[Level<'_>],
    mut observe: impl FnMut(StepReport),
) -> Result<NoiseResults, NoiseTestError> {
    let records = models
        .first()
        .map(|(config, _)| config.data.records.clone());
    let annotated = Wanted {
        diagnosed: Vec::new(),
        records: records.unwrap_or_default(),
        peaks: Vec::new(),
        weak_labels: None,
    };
    let subjects: BTreeMap<String, Subject> = find(folders, &annotated)?
        .par_iter()
        .map(|found| {
            let subject = Subject::read(&found.database, &found.path)?;
            Ok((format!("{}/{}", found.database, subject.name), subject))
        })
        .collect::<Result<_, NoiseTestError>>()?;
    let jobs: Vec<(usize, usize)> = (0..models.len())
        .flat_map(|model| (0..plan.splits.len()).map(move |fold| (model, fold)))
        .collect();
    let work = |&(model, fold): &(usize, usize), observe: &mut dyn FnMut(StepReport)| -> Judged {
        let (config, augmenter) = &models[model];
        let held_out = &plan.splits[fold];
        let training = dataset.training(config, held_out);
        let trainer = fit(
            config,
            dataset,
            augmenter,
            &training,
            fold,
            plan.device,
            observe,
        )?;
        let judged: Vec<&Subject> = held_out
            .iter()
            .map(|&record| &dataset.records[record])
            .filter(|record| record.peaks == Peaks::Reference)
            .filter_map(|record| subjects.get(&record.name))
            .collect();
        let tallies = levels
            .iter()
            .map(|level| judge(&trainer, plan, &judged, *level));
        Ok((model, tallies.collect::<Result<Vec<_>, _>>()?))
    };
    let trained = in_parallel(&jobs, plan.parallel, work, |_, report| observe(report))?;
    let results = levels.iter().enumerate().map(|(index, level)| {
        let mut pooled: BTreeMap<String, BTreeMap<String, Tally>> = BTreeMap::new();
        for (model, tallies) in &trained {
            let of_model = pooled.entry(models[*model].0.name.clone()).or_default();
            for (database, tally) in &tallies[index] {
                of_model.entry(database.clone()).or_default().merge(tally);
            }
        }
        let headlines = |tallies: BTreeMap<String, Tally>| {
            let headline = |(database, tally)| (database, Headline::of(&tally));
            tallies.into_iter().map(headline).collect()
        };
        LevelResults {
            noise: level.map(|(recorded, _)| recorded.name.clone()),
            snr_db: level.map(|(_, snr_db)| snr_db),
            networks: pooled
                .into_iter()
                .map(|(model, tallies)| (model, headlines(tallies)))
                .collect(),
        }
    });
    Ok(NoiseResults {
        seed: models.first().map_or(0, |(config, _)| config.training.seed),
        splits: plan
            .splits
            .iter()
            .map(|records| names(dataset, records))
            .collect(),
        levels: results.collect(),
    })
}

/// One tally a database of the subjects at this level.
fn judge(
    trainer: &Trainer,
    plan: &Plan,
    subjects: &[&Subject],
    level: Level<'_>,
) -> Result<BTreeMap<String, Tally>, NoiseTestError> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for subject in subjects {
        let one = Dataset {
            records: vec![subject.at(level)?],
        };
        let logits = logits(trainer.result(), plan.device, &one, 0, Lead::First);
        let tally = tallies.entry(subject.database.clone()).or_default();
        for (class, logits) in one.records[0].classes.iter().zip(&logits) {
            tally.add_beat(&one.records[0].name, *class, largest(logits));
        }
    }
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_on_for_two_minutes_of_four_from_the_fifth() {
        let at = |minutes: f64| is_noisy((minutes * 60.0 * f64::from(SAMPLE_RATE_HZ)) as u32);
        for noisy in [5.0, 6.99, 9.0, 10.5, 13.0] {
            assert!(at(noisy), "{noisy}");
        }
        for quiet in [0.0, 4.99, 7.0, 8.99, 11.0] {
            assert!(!at(quiet), "{quiet}");
        }
    }
}
