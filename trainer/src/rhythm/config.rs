//! The rhythm network described once: `models/rhythm/config.toml`.

use crate::config::ConfigError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The rhythm network, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RhythmConfig {
    /// Name of the model, in the exported file.
    pub name: String,
    /// Its sizes.
    pub network: NetworkConfig,
    /// Optimiser and schedule.
    pub training: TrainingConfig,
    /// How batches are drawn.
    pub sampler: SamplerConfig,
}

/// An LSTM, then a dense layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Cells of the LSTM.
    pub lstm: i64,
}

/// AdamW under a one-cycle schedule, averaged weights, binary cross entropy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random: initial weights and draws.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u32,
    /// Highest learning rate of the cycle.
    pub learning_rate: f64,
    /// Share of the steps in which the learning rate rises, 0..1.
    pub warm_up: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient.
    pub clip_norm: f64,
    /// Decay of the averaged weights, 0..1.
    pub average: f64,
}

/// Windows of each label in a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Of recordings in atrial fibrillation.
    pub fibrillation: usize,
    /// Of recordings in sinus rhythm.
    pub normal: usize,
    /// Of recordings in another rhythm.
    pub other: usize,
    /// Of recordings in sinus rhythm, with ectopic beats put in.
    pub ectopic: usize,
    /// Largest share of their beats that are ectopic, where these come at random, 0..1.
    pub ectopic_share: f64,
}

impl RhythmConfig {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML of this layout (unknown keys included), or a value is out of range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let TrainingConfig {
            steps,
            learning_rate,
            warm_up,
            weight_decay,
            clip_norm,
            average,
            ..
        } = self.training;
        let SamplerConfig {
            fibrillation,
            normal,
            other,
            ectopic,
            ectopic_share,
        } = self.sampler;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let share = |value: f64| (0.0..1.0).contains(&value);
        let cells = self.network.lstm;
        for (key, found, right, expected) in [
            (
                "network.lstm",
                cells.to_string(),
                (1..=256).contains(&cells),
                "1..=256",
            ),
            ("training.steps", steps.to_string(), steps > 0, "at least 1"),
            (
                "training.learning_rate",
                learning_rate.to_string(),
                positive(learning_rate),
                "more than 0",
            ),
            (
                "training.clip_norm",
                clip_norm.to_string(),
                positive(clip_norm),
                "more than 0",
            ),
            (
                "training.weight_decay",
                weight_decay.to_string(),
                weight_decay == 0.0 || positive(weight_decay),
                "0 or more",
            ),
            (
                "training.warm_up",
                warm_up.to_string(),
                share(warm_up),
                "0 or more and less than 1",
            ),
            (
                "training.average",
                average.to_string(),
                share(average),
                "0 or more and less than 1",
            ),
            (
                "sampler",
                format!("{fibrillation}, {normal}, {other}, {ectopic}"),
                fibrillation > 0 && normal + other + ectopic > 0,
                "windows with and without atrial fibrillation",
            ),
            (
                "sampler.ectopic_share",
                ectopic_share.to_string(),
                share(ectopic_share),
                "0 or more and less than 1",
            ),
        ] {
            if !right {
                return Err(ConfigError::Value {
                    key,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}
