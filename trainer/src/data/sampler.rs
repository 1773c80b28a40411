//! Which beats a training step sees: classes in fixed shares, and within a class records nearly alike.

use super::record::Lead;
use super::weak_labels::{MIN_BEATS, Rhythm};
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::teacher::PseudoLabels;
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use rand::RngExt;
use rand::distr::Distribution;
use rand::distr::weighted::{Error as WeightError, WeightedIndex};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use thiserror::Error;

/// A draw that is asked for but cannot be made.
#[derive(Debug, Error)]
pub enum SamplerError {
    /// The training records have no beat of a class that shall be drawn.
    #[error(
        "the {records} training records hold no beat of class {class}, but sampler.classes.{class} is {share}: add \
         records that have some, use fewer folds, or set the share to 0"
    )]
    NoBeats {
        /// The class.
        class: Class,
        /// Its share.
        share: f64,
        /// How many records there are.
        records: usize,
    },
    /// There are no recordings to draw from.
    #[error(
        "no recording of the rhythms weak_labels.normal has {MIN_BEATS} beats or more, but weak_labels.shares.N is {share}: \
         add recordings, or set the share to 0 and leave the rhythms out"
    )]
    NoRecordings {
        /// The share of N.
        share: f64,
    },
    /// Shares that cannot be drawn from.
    #[error("the sampler's shares cannot be drawn from: {0}")]
    Shares(#[from] WeightError),
}

/// A beat by its place in the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BeatIndex {
    /// Index into [`Dataset::records`].
    pub record: usize,
    /// Index into the record's beats.
    pub beat: usize,
}

/// A beat in one of its leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The beat.
    pub beat: BeatIndex,
    /// Its class.
    pub class: Class,
    /// The lead.
    pub lead: Lead,
}

/// Draws beats with replacement.
#[derive(Debug)]
pub struct Sampler {
    classes: WeightedIndex<f64>,
    /// Parallel to [`LABELS`]; `None` for a class that is never drawn.
    pools: Vec<Option<Pool>>,
    leads: WeightedIndex<f64>,
    /// Parallel to [`LABELS`]: the share that comes from recordings nobody annotated, and these.
    recordings: Vec<Option<(f64, Pool)>>,
}

/// The beats of one class.
#[derive(Debug)]
struct Pool {
    /// A record's beats are drawn alike, so its weight is n times that of a beat: n^(1 - exponent).
    records: WeightedIndex<f64>,
    /// Beats by record.
    beats: Vec<Vec<BeatIndex>>,
}

impl Pool {
    /// Of beats in order; `None` where there are none.
    fn new(
        beats: impl Iterator<Item = BeatIndex>,
        exponent: f64,
    ) -> Result<Option<Self>, WeightError> {
        let beats: Vec<BeatIndex> = beats.collect();
        if beats.is_empty() {
            return Ok(None);
        }
        let records = beats.chunk_by(|a, b| a.record == b.record);
        let beats: Vec<Vec<BeatIndex>> = records.map(<[BeatIndex]>::to_vec).collect();
        let weights = beats
            .iter()
            .map(|beats| (beats.len() as f64).powf(1.0 - exponent));
        Ok(Some(Self {
            records: WeightedIndex::new(weights)?,
            beats,
        }))
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> BeatIndex {
        let beats = &self.beats[self.records.sample(rng)];
        beats[rng.random_range(0..beats.len())]
    }
}

impl Sampler {
    /// Draws from the beats of `records` (indices into `dataset`) that are not in `kept_out`, and from what a teacher has
    /// said of recordings; where it is sure of no beat of a class, all of that class are annotated ones.
    ///
    /// # Errors
    /// If a class with a share above 0 has no annotated beat, or recordings are to give N beats and have none.
    pub fn new(
        dataset: &Dataset,
        records: &[usize],
        kept_out: &HashSet<BeatIndex>,
        labels: &PseudoLabels,
        config: &Config,
    ) -> Result<Self, SamplerError> {
        let exponent = config.sampler.record_exponent;
        let weak = config.weak_labels.as_ref();
        let normal = weak.map_or(&[][..], |weak| &weak.normal);
        let chosen = |wanted: &dyn Fn(Option<Rhythm>) -> bool| -> Vec<usize> {
            let records = records.iter().copied();
            let records = records.filter(|record| wanted(dataset.records[*record].rhythm));
            records.collect()
        };
        let annotated = chosen(&|rhythm| rhythm.is_none());
        // A diagnosis without ectopic beats is normal, whatever the rhythms of the other recordings are for.
        let is_normal = |rhythm: Rhythm| {
            normal.contains(&rhythm) || !config.diagnosed.is_empty() && rhythm == Rhythm::Normal
        };
        let recordings = chosen(&|rhythm| rhythm.is_some_and(is_normal));
        let labelled = |records: &[usize], class: Class| {
            let beats = records.iter().flat_map(|&record| {
                let classes = dataset.records[record].classes.iter().enumerate();
                classes
                    .filter(move |(_, c)| **c == class)
                    .map(move |(beat, _)| BeatIndex { record, beat })
            });
            beats
                .filter(|index| !kept_out.contains(index))
                .collect::<Vec<_>>()
        };
        let shares = config.sampler.classes.in_order();
        let mut pools = Vec::new();
        for (label, share) in shares.into_iter().enumerate() {
            let class = Class::ALL[label];
            if share == 0.0 {
                pools.push(None);
                continue;
            }
            let pool = Pool::new(labelled(&annotated, class).into_iter(), exponent)?;
            if pool.is_none() {
                return Err(SamplerError::NoBeats {
                    class,
                    share,
                    records: annotated.len(),
                });
            }
            pools.push(pool);
        }
        debug_assert_eq!(pools.len(), LABELS.len());
        let mut from_recordings = Vec::new();
        let recording_shares = weak.map_or([0.0; 4], |weak| weak.shares.in_order());
        for (label, share) in recording_shares.into_iter().enumerate() {
            let class = Class::ALL[label];
            if share == 0.0 {
                from_recordings.push(None);
                continue;
            }
            // By the label all beats of some recordings are N: the teacher's word is not needed there.
            let pool = if class == Class::N {
                let pool = Pool::new(labelled(&recordings, class).into_iter(), exponent)?;
                Some(pool.ok_or(SamplerError::NoRecordings { share })?)
            } else {
                let taught = labels.beats(class);
                Pool::new(taught.filter(|beat| !kept_out.contains(beat)), exponent)?
            };
            from_recordings.push(pool.map(|pool| (share, pool)));
        }
        Ok(Self {
            classes: WeightedIndex::new(shares)?,
            pools,
            leads: WeightedIndex::new(config.sampler.leads.in_order())?,
            recordings: from_recordings,
        })
    }

    /// One beat.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Draw {
        loop {
            let label = self.classes.sample(rng);
            let class = Class::ALL[label];
            if let Some((share, recordings)) = &self.recordings[label]
                && rng.random_bool(*share)
            {
                return Draw {
                    beat: recordings.draw(rng),
                    class,
                    lead: Lead::First,
                };
            }
            // A class without a pool has the share 0 and does not come up.
            if let Some(pool) = &self.pools[label] {
                return Draw {
                    beat: pool.draw(rng),
                    class,
                    lead: Lead::ALL[self.leads.sample(rng)],
                };
            }
        }
    }
}
