//! Which beats a training step sees: classes in fixed shares, and within a class records nearly alike.

use crate::config::SamplerConfig;
use crate::dataset::{Dataset, Lead};
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
}

/// The beats of one class.
#[derive(Debug)]
struct Pool {
    /// A record's beats are drawn alike, so its weight is n times that of a beat: n^(1 - exponent).
    records: WeightedIndex<f64>,
    /// Beats by record.
    beats: Vec<Vec<BeatIndex>>,
}

impl Sampler {
    /// Draws from the beats of `records` (indices into `dataset`) that are not in `kept_out`.
    ///
    /// # Errors
    /// If a class with a share above 0 has no beat.
    pub fn new(
        dataset: &Dataset,
        records: &[usize],
        kept_out: &HashSet<BeatIndex>,
        config: &SamplerConfig,
    ) -> Result<Self, SamplerError> {
        let shares = config.classes.in_order();
        let mut pools = Vec::new();
        for (label, share) in shares.into_iter().enumerate() {
            let class = Class::ALL[label];
            if share == 0.0 {
                pools.push(None);
                continue;
            }
            let beats: Vec<Vec<BeatIndex>> = records
                .iter()
                .map(|&record| {
                    let classes = dataset.records[record].classes.iter().enumerate();
                    classes
                        .filter(|(_, c)| **c == class)
                        .map(|(beat, _)| BeatIndex { record, beat })
                        .filter(|index| !kept_out.contains(index))
                        .collect::<Vec<_>>()
                })
                .filter(|beats| !beats.is_empty())
                .collect();
            if beats.is_empty() {
                return Err(SamplerError::NoBeats {
                    class,
                    share,
                    records: records.len(),
                });
            }
            let weights = beats
                .iter()
                .map(|beats| (beats.len() as f64).powf(1.0 - config.record_exponent));
            pools.push(Some(Pool {
                records: WeightedIndex::new(weights)?,
                beats,
            }));
        }
        debug_assert_eq!(pools.len(), LABELS.len());
        Ok(Self {
            classes: WeightedIndex::new(shares)?,
            pools,
            leads: WeightedIndex::new(config.leads.in_order())?,
        })
    }

    /// One beat.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Draw {
        loop {
            let label = self.classes.sample(rng);
            // A class without a pool has the share 0 and does not come up.
            if let Some(pool) = &self.pools[label] {
                let beats = &pool.beats[pool.records.sample(rng)];
                return Draw {
                    beat: beats[rng.random_range(0..beats.len())],
                    class: Class::ALL[label],
                    lead: Lead::ALL[self.leads.sample(rng)],
                };
            }
        }
    }
}
