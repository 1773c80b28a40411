//! The rhythm network described once: `models/rhythm/config.toml`.
//!
//! The input shape is not in it: it follows from [`heartlens_core::spec`].

use crate::config::{ConfigError, Task, canonical, limits, parse, text};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The rhythm network, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// [`Task::Rhythm`].
    #[serde(deserialize_with = "rhythm")]
    pub task: Task,
    /// Name of the model, in the exported file.
    pub name: String,
    /// Its sizes.
    pub network: NetworkConfig,
    /// Which recordings are trained on.
    pub data: DataConfig,
    /// Optimiser and schedule.
    pub training: TrainingConfig,
    /// How batches are drawn.
    #[serde(deserialize_with = "sampler")]
    pub sampler: SamplerConfig,
}

/// An LSTM, then a dense layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Cells of the LSTM.
    #[serde(deserialize_with = "cells")]
    pub lstm: i64,
    /// The channels of the input that are read; the others have weights of 0.
    #[serde(
        default = "all_channels",
        skip_serializing_if = "is_all_channels",
        deserialize_with = "channels"
    )]
    pub channels: Vec<Channel>,
}

/// A channel of [`heartlens_core::rhythm::Input`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// An interval against the median of those in view.
    Level,
    /// An interval against the one before it.
    Step,
}

impl Channel {
    /// All channels, in the input's order.
    pub const ALL: [Self; heartlens_core::spec::RHYTHM_CHANNELS] = [Self::Level, Self::Step];
}

fn all_channels() -> Vec<Channel> {
    Channel::ALL.to_vec()
}

fn is_all_channels(channels: &[Channel]) -> bool {
    channels == Channel::ALL
}

/// Which recordings are trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Data base of recordings with rhythm labels: a folder with the labels in its REFERENCE.csv.
    pub weak_labels: String,
}

/// AdamW under a one-cycle schedule, averaged weights, binary cross entropy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random: initial weights and draws.
    pub seed: u64,
    /// Optimiser steps.
    #[serde(deserialize_with = "limits::at_least_one")]
    pub steps: u32,
    /// Highest learning rate of the cycle.
    #[serde(deserialize_with = "limits::positive")]
    pub learning_rate: f64,
    /// Share of the steps in which the learning rate rises, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub warm_up: f64,
    /// Decoupled weight decay.
    #[serde(deserialize_with = "limits::not_negative")]
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient.
    #[serde(deserialize_with = "limits::positive")]
    pub clip_norm: f64,
    /// Decay of the averaged weights, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
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
    #[serde(deserialize_with = "limits::below_one")]
    pub ectopic_share: f64,
}

impl SamplerConfig {
    /// Windows of a batch.
    pub const fn batch(&self) -> usize {
        self.fibrillation + self.normal + self.other + self.ectopic
    }
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML of this layout (unknown keys included), or a value is out of its range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&text(path)?, path)
    }

    /// Parses a config; `origin` is named in errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        parse(text, origin)
    }

    /// Its canonical text form, which [`Config::parse`] reads.
    pub fn text(&self) -> String {
        canonical(self)
    }
}

fn rhythm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Task, D::Error> {
    limits::checked(
        deserializer,
        |task| *task == Task::Rhythm,
        "\"rhythm\" here",
    )
}

fn cells<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    limits::checked(deserializer, |cells| (1..=256).contains(cells), "1 to 256")
}

fn channels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Channel>, D::Error> {
    let in_order = |channels: &Vec<Channel>| {
        [&[Channel::Level][..], &[Channel::Step], &Channel::ALL].contains(&channels.as_slice())
    };
    limits::checked(deserializer, in_order, "level, step, or both in this order")
}

fn sampler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SamplerConfig, D::Error> {
    let both = |sampler: &SamplerConfig| {
        sampler.fibrillation > 0 && sampler.batch() > sampler.fibrillation
    };
    let expected = "windows with and without atrial fibrillation";
    limits::checked(deserializer, both, expected)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../models/rhythm/config.toml");

    #[test]
    fn errors_point_at_the_value() {
        let parse = |text: &str| Config::parse(text, Path::new("config.toml"));
        let config = parse(SHIPPED).unwrap();
        assert_eq!(parse(&config.text()).unwrap(), config);
        assert!(!config.text().contains("channels"));
        for (from, to, message) in [
            (
                "lstm = 8",
                "lstm = 0",
                "found 0, expected 1 to 256, in `lstm = 0",
            ),
            (
                "lstm = 8",
                "lstm = 8\nchannels = [\"step\", \"level\"]",
                "found [Step, Level], expected level, step",
            ),
            (
                "steps = 700",
                "steps = 0",
                "found 0, expected at least 1, in `steps = 0`",
            ),
            (
                "average = 0.99",
                "average = 1.0",
                "found 1.0, expected 0 or more and less than 1",
            ),
            (
                "fibrillation = 24",
                "fibrillation = 0",
                "expected windows with and without",
            ),
            (
                "task = \"rhythm\"",
                "task = \"beat\"",
                "found Beat, expected \"rhythm\" here",
            ),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = parse(&SHIPPED.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("config.toml:") && error.contains(message),
                "{to}: {error}"
            );
        }
    }
}
