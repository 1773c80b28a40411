//! A model described once: `models/<name>/config.toml`.
//!
//! The input shapes are not in it: they follow from [`heartlens_core::spec`].

use crate::config::{ConfigError, Task, canonical, limits, parse, text};
use crate::data::diagnosed::DiagnosedConfig;
use crate::data::find::{Wanted, WantedLabels};
use crate::data::weak_labels::Rhythm;
use heartlens::evaluate::report::Peaks;
use heartlens_core::spec;
use heartlens_core::views::View;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The waveform may be shifted until its view would leave the beat window.
const MAX_SHIFT_SAMPLES: usize = {
    let before = spec::BEAT_BEFORE_SAMPLES - spec::WAVEFORM_BEFORE_SAMPLES;
    let beat_after = spec::BEAT_LEN_SAMPLES - spec::BEAT_BEFORE_SAMPLES;
    let view_after = spec::WAVEFORM_LEN_SAMPLES - spec::WAVEFORM_BEFORE_SAMPLES;
    let after = beat_after - view_after;
    if before < after { before } else { after }
};

/// A model: its views, its branches, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// [`Task::Beat`].
    #[serde(deserialize_with = "beat")]
    pub task: Task,
    /// Name of the model: of its folder, and in the exported file.
    pub name: String,
    /// The views that the network has branches for.
    #[serde(deserialize_with = "views")]
    pub views: Vec<View>,
    /// The branch of the waveform.
    pub waveform: WaveformConfig,
    /// The branch of the spectrum.
    pub spectrum: SpectrumConfig,
    /// The branch of the spectrogram.
    pub spectrogram: SpectrogramConfig,
    /// The branch of the metadata.
    pub metadata: MetadataConfig,
    /// What joins the branches.
    #[serde(deserialize_with = "fusion")]
    pub fusion: FusionConfig,
    /// Which beats are trained on.
    pub data: DataConfig,
    /// Recordings that nobody annotated.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "weak_labels"
    )]
    pub weak_labels: Option<WeakLabelsConfig>,
    /// Recordings whose diagnosis says which ectopic beats they have; `weak_labels` says how sure a teacher has to be, and how many are
    /// drawn.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "diagnosed"
    )]
    pub diagnosed: Vec<DiagnosedConfig>,
    /// Loss, optimiser, schedule.
    pub training: TrainingConfig,
    /// How batches are drawn.
    pub sampler: SamplerConfig,
    /// How a drawn beat is varied.
    pub augmentation: AugmentationConfig,
}

/// Convolutions, then a bidirectional LSTM or the mean over the positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveformConfig {
    /// The convolutions, first to last.
    pub conv: Vec<Conv1dConfig>,
    /// LSTM cells in each direction; 0 for none, the mean over the positions in its place.
    #[serde(deserialize_with = "limits::cells")]
    pub bilstm: i64,
    /// Whether the branch reads the template beside the beat.
    #[serde(default = "yes", skip_serializing_if = "is_default_yes")]
    pub template: bool,
    /// What the waveform is divided by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale: Scale,
}

/// What a waveform is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The template's scale, as the view has it: relative to this patient.
    #[default]
    Template,
    /// Its own standard deviation, about its own mean: every beat alone.
    Beat,
}

/// Convolutions along frequency, then dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumConfig {
    /// The convolutions, first to last.
    pub conv: Vec<Conv1dConfig>,
    /// Outputs of the dense layers, first to last.
    #[serde(deserialize_with = "limits::sizes")]
    pub dense: Vec<i64>,
}

/// Convolutions over frequency and time, then dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrogramConfig {
    /// The convolutions, first to last.
    pub conv: Vec<Conv2dConfig>,
    /// Outputs of the dense layers, first to last.
    #[serde(deserialize_with = "limits::sizes")]
    pub dense: Vec<i64>,
}

/// Dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataConfig {
    /// Outputs of the dense layers, first to last.
    #[serde(deserialize_with = "limits::some_sizes")]
    pub dense: Vec<i64>,
    /// Whether age and sex are read; if not, their weights are zero.
    pub patient: bool,
}

/// A [`Conv1d`](crate::nn::blocks::conv1d::Conv1d).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1dConfig {
    /// Channels of the output.
    #[serde(deserialize_with = "limits::size")]
    pub channels: i64,
    /// Length of the kernel, odd.
    #[serde(deserialize_with = "limits::kernel")]
    pub kernel: i64,
    /// Step of the kernel.
    #[serde(deserialize_with = "limits::size")]
    pub stride: i64,
}

/// A [`Conv2d`](crate::nn::blocks::conv2d::Conv2d).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Channels of the output.
    #[serde(deserialize_with = "limits::size")]
    pub channels: i64,
    /// Side of the kernel, odd.
    #[serde(deserialize_with = "limits::kernel")]
    pub kernel: i64,
    /// Side of the max pooling; 1 for none.
    #[serde(deserialize_with = "limits::size")]
    pub pool: i64,
}

/// How the views become logits: dense layers, dropout before each and before the last one to the logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Where the views meet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: FusionKind,
    /// Outputs of the dense layers before the logits, first to last.
    #[serde(deserialize_with = "limits::sizes")]
    pub dense: Vec<i64>,
    /// Probability that a value is dropped in training, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub dropout: f64,
    /// Weight in the loss of the logits that each branch gives by itself, through a dense layer of its own that is trained
    /// along and not exported; 0 for none.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "limits::not_negative"
    )]
    pub auxiliary: f64,
}

/// Where the views meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FusionKind {
    /// Before any layer: the values of all views side by side in one row, which the dense layers read. No branches.
    Early,
    /// Behind the branches: their features side by side, which the dense layers read.
    #[default]
    Intermediate,
    /// At the logits: each branch has the dense layers for itself, down to logits of its own, and these are added.
    Late,
}

fn yes() -> bool {
    true
}

fn is_default_yes(value: &bool) -> bool {
    *value
}

/// Values at their default are not written, so that a config that does not use them has one canonical text.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which beats are trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Where the R peaks come from. With both, every record is trained on twice: as annotated, and as the detector
    /// sees it.
    #[serde(deserialize_with = "peaks")]
    pub peaks: Vec<Peaks>,
    /// Names of the annotated records by data base: these and no others are trained on and judged.
    #[serde(deserialize_with = "records")]
    pub records: BTreeMap<String, Vec<String>>,
}

/// What is learnt of recordings that have a rhythm label and no beat labels ([`crate::data::weak_labels`], [`super::teacher`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeakLabelsConfig {
    /// Their data base: a folder with the labels in its REFERENCE.csv.
    pub database: String,
    /// Rhythms in which all beats are N.
    pub normal: Vec<Rhythm>,
    /// Rhythms in which a beat gets the class that a teacher is sure of: the same network, trained without them.
    pub taught: Vec<Rhythm>,
    /// Probability from which on a teacher is sure.
    #[serde(deserialize_with = "confidence")]
    pub confidence: f64,
    /// Of the beats of a class that are drawn, the share that comes from recordings.
    pub shares: WeakShares,
}

/// Share of recordings among the drawn beats of each class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the names of the classes")]
pub struct WeakShares {
    /// From those of the rhythms `normal`.
    #[serde(deserialize_with = "limits::below_one")]
    pub N: f64,
    /// From those of the rhythms `taught`.
    #[serde(deserialize_with = "limits::below_one")]
    pub S: f64,
    /// From those of the rhythms `taught`.
    #[serde(deserialize_with = "limits::below_one")]
    pub V: f64,
}

impl WeakShares {
    /// In the order of [`heartlens_core::spec::LABELS`]; none for F.
    pub fn in_order(&self) -> [f64; 4] {
        [self.N, self.S, self.V, 0.0]
    }
}

/// AdamW under a one-cycle schedule, averaged weights, cross entropy with smoothed labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random: initial weights, draws, augmentation, dropout.
    pub seed: u64,
    /// Optimiser steps.
    #[serde(deserialize_with = "limits::at_least_one")]
    pub steps: u32,
    /// Beats a step.
    #[serde(deserialize_with = "batch")]
    pub batch: usize,
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
    /// Probability mass that the loss moves from the true class to all classes alike, 0..1.
    #[serde(deserialize_with = "limits::below_one")]
    pub label_smoothing: f64,
    /// Once trained, the network's logits are divided by this, so that its probabilities are as large as the shares of beats
    /// that they are right of (Guo et al., On Calibration of Modern Neural Networks, ICML 2017). `cross-validate` says which
    /// temperature held-out records ask for. The largest logit stays the largest.
    #[serde(default = "one", deserialize_with = "limits::positive")]
    pub temperature: f64,
    /// Stops before the last step; `None` for a fixed number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingConfig>,
}

const fn one() -> f64 {
    1.0
}

/// Some of the patients are not trained on but judge the averaged weights by their jk every so often. The best weights are
/// the result, and training ends when they have not been bettered for a while.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Share of the patients that judge, more than 0 and at most 0.5; about that share of every database.
    #[serde(deserialize_with = "judging_share")]
    pub share: f64,
    /// Judgements in a row without a better jk that end the training.
    #[serde(deserialize_with = "limits::at_least_one")]
    pub patience: u32,
    /// Steps between judgements.
    #[serde(deserialize_with = "limits::at_least_one")]
    pub every: u32,
}

/// Classes in fixed shares; within a class, records nearly alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Share of each class in a batch.
    #[serde(deserialize_with = "class_shares")]
    pub classes: ClassShares,
    /// A beat's weight within its class is n^-exponent, n being its record's beats of that class: 0 draws beats
    /// alike, 1 draws records alike.
    #[serde(deserialize_with = "limits::not_negative")]
    pub record_exponent: f64,
    /// Share of the leads.
    #[serde(deserialize_with = "lead_shares")]
    pub leads: LeadShares,
}

/// Share of each class in a batch; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the names of the classes")]
pub struct ClassShares {
    /// Normal and bundle branch block.
    pub N: f64,
    /// Supraventricular ectopic.
    pub S: f64,
    /// Ventricular ectopic.
    pub V: f64,
    /// Fusion of ventricular and normal.
    pub F: f64,
}

impl ClassShares {
    /// The shares in the order of [`spec::LABELS`].
    pub fn in_order(&self) -> [f64; spec::LABELS.len()] {
        [self.N, self.S, self.V, self.F]
    }
}

/// Share of each lead among the draws; they add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadShares {
    /// The record's first lead.
    pub first: f64,
    /// The record's second lead.
    pub second: f64,
    /// The sum of both leads, each relative to its own scale.
    pub sum: f64,
    /// The difference of both leads, each relative to its own scale.
    pub difference: f64,
}

impl LeadShares {
    /// The shares in the order of [`crate::data::record::Lead::ALL`].
    pub fn in_order(&self) -> [f64; 4] {
        [self.first, self.second, self.sum, self.difference]
    }
}

/// How a drawn beat is varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Largest shift of the beat in the waveform view, either way; the template stays.
    #[serde(deserialize_with = "shift")]
    pub shift_samples: usize,
    /// Standard deviation of the logarithm of the gain of beat and template.
    #[serde(deserialize_with = "limits::not_negative")]
    pub gain: f64,
    /// Probability that recorded noise is added to the beat, 0..1.
    #[serde(deserialize_with = "limits::probability")]
    pub noise_probability: f64,
    /// Largest standard deviation of that noise, in units of the template's scale.
    #[serde(deserialize_with = "limits::not_negative")]
    pub noise: f64,
    /// Standard deviation of the noise on each metadata feature except the patient's.
    #[serde(deserialize_with = "limits::not_negative")]
    pub metadata_noise: f64,
    /// Probability that the patient's age and sex are made unknown, 0..1.
    #[serde(deserialize_with = "limits::probability")]
    pub patient_dropout: f64,
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

    /// Whether the network has a branch for `view`.
    pub fn has(&self, view: View) -> bool {
        self.views.contains(&view)
    }

    /// What is read: the records that the config names at the given R peaks, and recordings of its rhythms.
    pub fn wanted(&self, peaks: &[Peaks]) -> Wanted {
        let labels = |weak: &WeakLabelsConfig| {
            let mut rhythms = [&weak.normal[..], &weak.taught].concat();
            rhythms.sort_unstable();
            WantedLabels {
                database: weak.database.clone(),
                rhythms,
            }
        };
        Wanted {
            records: self.data.records.clone(),
            peaks: peaks.to_vec(),
            weak_labels: self.weak_labels.as_ref().map(labels),
            diagnosed: self.diagnosed.clone(),
        }
    }

    /// The config of the network that teaches this one about recordings; `None` where none is to be taught.
    pub fn teacher(&self) -> Option<Self> {
        let weak = self.weak_labels.as_ref()?;
        if weak.taught.is_empty() && self.diagnosed.is_empty() {
            return None;
        }
        let alone = WeakLabelsConfig {
            taught: Vec::new(),
            shares: WeakShares {
                S: 0.0,
                V: 0.0,
                ..weak.shares
            },
            ..weak.clone()
        };
        Some(Self {
            name: format!("{}-teacher", self.name),
            weak_labels: Some(alone).filter(|weak| !weak.normal.is_empty()),
            // How sure it is asked to be, `confidence`, is by its own probabilities.
            training: TrainingConfig {
                temperature: 1.0,
                ..self.training.clone()
            },
            ..self.clone()
        })
    }

    /// Optimiser steps of a training, with those of the teacher where there is one.
    pub fn all_steps(&self) -> u64 {
        let networks = if self.teacher().is_some() { 2 } else { 1 };
        networks * u64::from(self.training.steps)
    }
}

fn beat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Task, D::Error> {
    limits::checked(deserializer, |task| *task == Task::Beat, "\"beat\" here")
}

fn views<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<View>, D::Error> {
    let each_once = |views: &Vec<View>| !views.is_empty() && is_without_repeats(views);
    let expected = "one or more of waveform, spectrum, spectrogram, metadata, each once";
    limits::checked(deserializer, each_once, expected)
}

fn peaks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Peaks>, D::Error> {
    let each_once = |peaks: &Vec<Peaks>| {
        let known = !peaks.contains(&Peaks::Annotated);
        known && !peaks.is_empty() && is_without_repeats(peaks)
    };
    limits::checked(
        deserializer,
        each_once,
        "reference, detected or both, each once",
    )
}

fn records<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let is_name = |name: &String| !name.is_empty() && !name.contains(['/', '\\']);
    let right = |records: &BTreeMap<String, Vec<String>>| {
        !records.is_empty()
            && records.iter().all(|(database, names)| {
                let named = is_name(database) && names.iter().all(is_name);
                named && !names.is_empty() && is_without_repeats(names)
            })
    };
    let expected =
        "one or more names of records for each data base, each once and without a folder";
    limits::checked(deserializer, right, expected)
}

fn fusion<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FusionConfig, D::Error> {
    let fits = |fusion: &FusionConfig| fusion.kind != FusionKind::Early || fusion.auxiliary == 0.0;
    let expected = "auxiliary = 0, because kind = \"early\" leaves no branches to give logits";
    limits::checked(deserializer, fits, expected)
}

fn confidence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let range = |confidence: &f64| (0.5..1.0).contains(confidence);
    limits::checked(deserializer, range, "0.5 or more and less than 1")
}

fn diagnosed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DiagnosedConfig>, D::Error> {
    let whole = |all: &Vec<DiagnosedConfig>| all.iter().all(DiagnosedConfig::is_whole);
    let expected = "one lead or more, and each code in one of none, S, V, exclude and passed_over";
    limits::checked(deserializer, whole, expected)
}

fn weak_labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<WeakLabelsConfig>, D::Error> {
    let rhythms = |weak: &WeakLabelsConfig| {
        let rhythms = [&weak.normal[..], &weak.taught].concat();
        !rhythms.is_empty() && is_without_repeats(&rhythms) && !weak.normal.contains(&Rhythm::Other)
    };
    let shares = |weak: &WeakLabelsConfig| {
        (weak.shares.N > 0.0) != weak.normal.is_empty()
            && (weak.shares.S + weak.shares.V > 0.0) != weak.taught.is_empty()
    };
    let right = |weak: &Option<WeakLabelsConfig>| {
        weak.as_ref()
            .is_none_or(|weak| rhythms(weak) && shares(weak))
    };
    let expected = "normal and taught with one or more of normal, fibrillation and other, each once in both \
                    together, and other, in which beats are of any class, taught if at all; shares of N more than 0 \
                    where normal names a rhythm, of S or V where taught does, else 0";
    limits::checked(deserializer, right, expected)
}

fn batch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    limits::checked(deserializer, |batch| *batch >= 2, "at least two beats")
}

fn judging_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let range = |share: &f64| *share > 0.0 && *share <= 0.5;
    limits::checked(deserializer, range, "more than 0 and at most 0.5")
}

fn shift<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let expected =
        format!("at most {MAX_SHIFT_SAMPLES}, what the beat window has beyond the waveform view");
    limits::checked(deserializer, |shift| *shift <= MAX_SHIFT_SAMPLES, &expected)
}

fn class_shares<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClassShares, D::Error> {
    let right = |shares: &ClassShares| add_up(&shares.in_order());
    limits::checked(deserializer, right, SHARES)
}

fn lead_shares<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LeadShares, D::Error> {
    let right = |shares: &LeadShares| add_up(&shares.in_order());
    limits::checked(deserializer, right, SHARES)
}

/// What [`add_up`] expects.
const SHARES: &str = "shares of 0 or more that add up to 1";

fn add_up(shares: &[f64]) -> bool {
    let sum: f64 = shares.iter().sum();
    shares.iter().all(|&share| share >= 0.0) && (sum - 1.0).abs() <= 1e-6
}

fn is_without_repeats<T: PartialEq>(values: &[T]) -> bool {
    (1..values.len()).all(|i| !values[..i].contains(&values[i]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../models/beat/config.toml");

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("config.toml"))
    }

    #[test]
    fn the_config_of_challenge_2021_is_the_shipped_one_with_diagnoses() {
        let text = include_str!("../../../models/beat/challenge-2021.toml");
        let mut config = parse(text).unwrap();
        let diagnosed = std::mem::take(&mut config.diagnosed);
        config.name = "beat".to_owned();
        assert_eq!(config, parse(SHIPPED).unwrap());
        let [diagnosed] = diagnosed.as_slice() else {
            panic!("one data base");
        };
        // The challenge's tables have 30 codes that were scored and 103 that were not.
        let lists = [
            &diagnosed.none,
            &diagnosed.S,
            &diagnosed.V,
            &diagnosed.exclude,
            &diagnosed.passed_over,
        ];
        assert_eq!(lists.iter().map(|list| list.len()).sum::<usize>(), 133);
        let twice = text.replacen("\"284470004\"", "\"426783006\"", 1);
        let error = parse(&twice).unwrap_err().to_string();
        assert!(error.contains("each code in one of"), "{error}");
    }

    #[test]
    fn the_shipped_config_survives_a_round_trip() {
        let config = parse(SHIPPED).unwrap();
        let text = config.text();
        assert_eq!(parse(&text).unwrap(), config);
        // Its canonical text names what it sets and nothing else: a checkpoint's and kept logits' identity.
        for key in ["kind", "auxiliary", "template", "scale", "early_stopping"] {
            assert!(!text.contains(key), "{text}");
        }
    }

    #[test]
    fn the_other_kinds_of_network_survive_a_round_trip() {
        for (from, to) in [
            (
                "dropout = 0.2",
                "dropout = 0.2\nkind = \"late\"\nauxiliary = 0.3",
            ),
            (
                "bilstm = 10",
                "bilstm = 0\ntemplate = false\nscale = \"beat\"",
            ),
        ] {
            let config = parse(&SHIPPED.replacen(from, to, 1)).unwrap();
            assert_ne!(config, parse(SHIPPED).unwrap());
            let text = toml::to_string(&config).unwrap();
            assert_eq!(parse(&text).unwrap(), config);
        }
        let cnn = parse(include_str!("../../../models/cnn/config.toml")).unwrap();
        assert_eq!(cnn.views, [View::Waveform]);
        assert_eq!(
            (cnn.waveform.template, cnn.waveform.scale),
            (false, Scale::Beat)
        );
    }

    /// Each change makes the config wrong, and the error names file, line and column.
    #[test]
    fn errors_name_the_place_and_what_was_found_and_expected() {
        for (from, to, message) in [
            (
                "steps = 700",
                "steps = 700\nstepz = 1",
                "unknown field `stepz`",
            ),
            ("bilstm = 10", "", "missing field `bilstm`"),
            (
                "bilstm = 10",
                "bilstm = -1",
                "found -1, expected 0 (none) to 4096, in `bilstm = -1",
            ),
            (
                "bilstm = 10",
                "bilstm = 10\nscale = \"record\"",
                "unknown variant `record`, expected `template` or `beat`",
            ),
            (
                "dropout = 0.2",
                "dropout = 0.2\nkind = \"never\"",
                "unknown variant `never`, expected one of `early`, `intermediate`, `late`",
            ),
            (
                "dropout = 0.2",
                "dropout = 0.2\nkind = \"early\"\nauxiliary = 0.3",
                "expected auxiliary = 0, because kind = \"early\"",
            ),
            (
                "dropout = 0.2",
                "dropout = 0.2\nauxiliary = -0.3",
                "found -0.3, expected 0 or more, in `auxiliary = -0.3`",
            ),
            (
                "kernel = 7",
                "kernel = 6",
                "found 6, expected an odd length",
            ),
            ("pool = 2", "pool = 0", "found 0, expected 1 to 4096"),
            (
                "dropout = 0.2",
                "dropout = 1.0",
                "found 1.0, expected 0 or more and less than 1",
            ),
            (
                "N = 0.70",
                "N = 0.80",
                "found ClassShares { N: 0.8, S: 0.14, V: 0.16, F: 0.0 }, expected shares",
            ),
            (
                "first = 0.36",
                "first = nan",
                "found LeadShares { first: NaN",
            ),
            (
                "gain = 0.1",
                "gain = -0.1",
                "found -0.1, expected 0 or more, in `gain = -0.1`",
            ),
            (
                "noise_probability = 0.5",
                "noise_probability = 1.5",
                "expected a probability",
            ),
            (
                "shift_samples = 2",
                "shift_samples = 9",
                "found 9, expected at most 8",
            ),
            (
                "learning_rate = 3e-3",
                "learning_rate = 0.0",
                "found 0.0, expected more than 0, in `learning_rate = 0.0`",
            ),
            ("batch = 128", "batch = 1", "at least two beats"),
            (
                "batch = 128",
                "batch = 128\nearly_stopping = { share = 0.6, patience = 3, every = 50 }",
                "found 0.6, expected more than 0 and at most 0.5",
            ),
            ("\"metadata\"]", "\"metadata\", \"metadata\"]", "each once"),
            (
                "dense = [24, 12]",
                "dense = []",
                "found [], expected at least one layer",
            ),
            (
                "peaks = [\"reference\", \"detected\"]",
                "peaks = [\"annotated\"]",
                "found [Annotated], expected reference, detected or both",
            ),
            (
                "peaks = [\"reference\", \"detected\"]",
                "peaks = []",
                "found [], expected reference, detected or both",
            ),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = parse(&SHIPPED.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{to}: {error}");
            let place = error.split(": ").next().unwrap();
            let [file, line, column] = place.split(':').collect::<Vec<_>>()[..] else {
                panic!("{error}");
            };
            assert_eq!(file, "config.toml");
            let changed = SHIPPED.find(from).unwrap();
            let first = SHIPPED[..changed].matches('\n').count() + 1;
            let line: usize = line.parse().unwrap();
            // A key that is missing is one of its table, and shares are those of a table.
            assert!(
                (first.saturating_sub(8)..=first + 1).contains(&line),
                "{to}: {error}"
            );
            assert!(column.parse::<usize>().unwrap() >= 1, "{error}");
        }
    }
}
