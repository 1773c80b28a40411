//! The strip network described once: `models/strip/config.toml`.
//!
//! Input shapes are not in it: they follow from [`heartlens_core::spec`].

use crate::beat::config::Conv1dConfig;
use crate::config::{ConfigError, Task, canonical, limits, parse};
use heartlens_core::strip::StripView;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The strip network, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// [`Task::Strip`].
    #[serde(deserialize_with = "strip")]
    pub task: Task,
    /// Name of the model, in the exported file.
    pub name: String,
    /// The views that it has a branch for, in the order of [`StripView::ALL`].
    #[serde(deserialize_with = "views")]
    pub views: Vec<StripView>,
    /// The branch of the beats one after another.
    pub beats: BeatsConfig,
    /// The branch of the average beat.
    pub average: ConvConfig,
    /// The branch of the spectra.
    pub power: ConvConfig,
    /// The branch of the statistics.
    pub statistics: DenseConfig,
    /// What reads all branches.
    pub fusion: FusionConfig,
    /// Which recordings are trained on.
    pub data: DataConfig,
    /// Optimiser and schedule.
    pub training: TrainingConfig,
    /// How recordings are drawn.
    pub sampler: SamplerConfig,
    /// How windows are changed.
    pub augmentation: AugmentationConfig,
}

/// A BiLSTM whose outputs are averaged over the beats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeatsConfig {
    /// Cells in each direction.
    #[serde(deserialize_with = "limits::size")]
    pub bilstm: i64,
}

/// Convolutions, then dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvConfig {
    /// Convolutions.
    pub conv: Vec<Conv1dConfig>,
    /// Outputs of the dense layers.
    pub dense: Vec<i64>,
}

/// Dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseConfig {
    /// Their outputs.
    pub dense: Vec<i64>,
}

/// Dense layers before the logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Their outputs.
    pub dense: Vec<i64>,
    /// Probability with which an input of each is dropped in training, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub dropout: f64,
}

/// Which recordings are trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Data base of recordings with a label each: a folder with the labels in its REFERENCE.csv.
    pub weak_labels: String,
}

/// AdamW under a one-cycle schedule, averaged weights, cross entropy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random: initial weights, draws, dropout.
    pub seed: u64,
    /// Optimiser steps.
    #[serde(deserialize_with = "limits::at_least_one")]
    pub steps: u32,
    /// Windows of a batch.
    #[serde(deserialize_with = "limits::size")]
    pub batch: i64,
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
    /// Share of a label that is spread over all classes, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub label_smoothing: f64,
}

/// How recordings are drawn; a window is then drawn alike among its recording's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// A recording of a class with `n` is drawn in proportion to `n^-balance`.
    #[serde(deserialize_with = "limits::not_negative")]
    pub balance: f64,
}

/// How windows are changed in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Standard deviation of what is added to statistics and intervals.
    #[serde(deserialize_with = "limits::not_negative")]
    pub noise: f64,
    /// Probability with which a view is left out of a window, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub view_dropout: f64,
}

impl Config {
    /// Parses a config; `origin` is named in errors.
    ///
    /// # Errors
    /// If `text` is not TOML of this layout (unknown keys included), or a value is out of its range.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        parse(text, origin)
    }

    /// Its canonical text form, which [`Config::parse`] reads.
    pub fn text(&self) -> String {
        canonical(self)
    }
}

fn strip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Task, D::Error> {
    limits::checked(deserializer, |task| *task == Task::Strip, "\"strip\" here")
}

fn views<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StripView>, D::Error> {
    let in_order = |views: &Vec<StripView>| {
        let all = StripView::ALL.into_iter();
        let sorted: Vec<_> = all.filter(|view| views.contains(view)).collect();
        !views.is_empty() && *views == sorted
    };
    let expected = "one or more of beats, average, power, statistics, in this order";
    limits::checked(deserializer, in_order, expected)
}
