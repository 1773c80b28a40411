//! A model described once: `models/<name>/config.toml`.
//!
//! The input shapes are not in it: they follow from [`heartlens_core::spec`].

use crate::dataset::Wanted;
use crate::rhythm::dataset::Rhythm;
use heartlens::evaluate::report::Peaks;
use heartlens_core::spec;
use heartlens_core::views::View;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The waveform may be shifted until its view would leave the beat window.
const MAX_SHIFT_SAMPLES: usize = {
    let before = spec::BEAT_BEFORE_SAMPLES - spec::WAVEFORM_BEFORE_SAMPLES;
    let beat_after = spec::BEAT_LEN_SAMPLES - spec::BEAT_BEFORE_SAMPLES;
    let view_after = spec::WAVEFORM_LEN_SAMPLES - spec::WAVEFORM_BEFORE_SAMPLES;
    let after = beat_after - view_after;
    if before < after { before } else { after }
};

/// A config that cannot be read or that asks for something impossible.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML of this layout.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("{key} is {found}, expected {expected}")]
    Value {
        /// Path of the key, as in the file.
        key: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
}

/// A model: its views, its branches, and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the model: of its folder, and in the exported file.
    pub name: String,
    /// The views that the network has branches for.
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
    pub fusion: FusionConfig,
    /// Which beats are trained on.
    pub data: DataConfig,
    /// Recordings that nobody annotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recordings: Option<RecordingsConfig>,
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
    pub dense: Vec<i64>,
}

/// Convolutions over frequency and time, then dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrogramConfig {
    /// The convolutions, first to last.
    pub conv: Vec<Conv2dConfig>,
    /// Outputs of the dense layers, first to last.
    pub dense: Vec<i64>,
}

/// Dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataConfig {
    /// Outputs of the dense layers, first to last.
    pub dense: Vec<i64>,
    /// Whether age and sex are read; if not, their weights are zero.
    pub patient: bool,
}

/// A [`Conv1d`](crate::blocks::conv1d::Conv1d).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1dConfig {
    /// Channels of the output.
    pub channels: i64,
    /// Length of the kernel, odd.
    pub kernel: i64,
    /// Step of the kernel.
    pub stride: i64,
}

/// A [`Conv2d`](crate::blocks::conv2d::Conv2d).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dConfig {
    /// Channels of the output.
    pub channels: i64,
    /// Side of the kernel, odd.
    pub kernel: i64,
    /// Side of the max pooling; 1 for none.
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
    pub dense: Vec<i64>,
    /// Probability that a value is dropped in training, 0..1.
    pub dropout: f64,
    /// Weight in the loss of the logits that each branch gives by itself, through a dense layer of its own that is trained
    /// along and not exported; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
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
    pub peaks: Vec<Peaks>,
}

/// What is learnt of recordings that have a rhythm label and no beat labels ([`crate::recordings`], [`crate::teacher`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingsConfig {
    /// Rhythms in which all beats are N.
    pub normal: Vec<Rhythm>,
    /// Rhythms in which a beat gets the class that a teacher is sure of: the same network, trained without them.
    pub taught: Vec<Rhythm>,
    /// Probability from which on a teacher is sure.
    pub confidence: f64,
    /// Of the beats of a class that are drawn, the share that comes from recordings.
    pub shares: RecordingShares,
}

/// Share of recordings among the drawn beats of each class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the names of the classes")]
pub struct RecordingShares {
    /// From those of the rhythms `normal`.
    pub N: f64,
    /// From those of the rhythms `taught`.
    pub S: f64,
    /// From those of the rhythms `taught`.
    pub V: f64,
}

impl RecordingsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let rhythms = [&self.normal[..], &self.taught].concat();
        let twice = (1..rhythms.len()).any(|i| rhythms[..i].contains(&rhythms[i]));
        if rhythms.is_empty() || twice || self.normal.contains(&Rhythm::Other) {
            return Err(ConfigError::Value {
                key: "recordings.normal, recordings.taught",
                found: format!("{:?}, {:?}", self.normal, self.taught).to_lowercase(),
                expected: "one or more of normal, fibrillation and other, each once in both together, and other, in which \
                           beats are of any class, taught if at all",
            });
        }
        let shares = self.shares;
        let known = |share: f64| (0.0..1.0).contains(&share);
        let fit = (shares.N > 0.0) != self.normal.is_empty()
            && (shares.S + shares.V > 0.0) != self.taught.is_empty();
        if !fit || !shares.in_order().into_iter().all(known) {
            return Err(ConfigError::Value {
                key: "recordings.shares",
                found: format!("{shares:?}"),
                expected: "less than 1 each; N more than 0 where normal names a rhythm, S or V where taught does, else 0",
            });
        }
        if !(0.5..1.0).contains(&self.confidence) {
            return Err(ConfigError::Value {
                key: "recordings.confidence",
                found: self.confidence.to_string(),
                expected: "0.5 or more and less than 1",
            });
        }
        Ok(())
    }
}

impl RecordingShares {
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
    pub steps: u32,
    /// Beats a step.
    pub batch: usize,
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
    /// Probability mass that the loss moves from the true class to all classes alike, 0..1.
    pub label_smoothing: f64,
    /// Stops before the last step; `None` for a fixed number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingConfig>,
}

/// Some of the patients are not trained on but judge the averaged weights by their jk every so often. The best weights are
/// the result, and training ends when they have not been bettered for a while.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Share of the patients that judge, more than 0 and at most 0.5; about that share of every database.
    pub share: f64,
    /// Judgements in a row without a better jk that end the training.
    pub patience: u32,
    /// Steps between judgements.
    pub every: u32,
}

/// Classes in fixed shares; within a class, records nearly alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Share of each class in a batch.
    pub classes: ClassShares,
    /// A beat's weight within its class is n^-exponent, n being its record's beats of that class: 0 draws beats
    /// alike, 1 draws records alike.
    pub record_exponent: f64,
    /// Share of the leads.
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
    /// The shares in the order of [`crate::dataset::Lead::ALL`].
    pub fn in_order(&self) -> [f64; 4] {
        [self.first, self.second, self.sum, self.difference]
    }
}

/// How a drawn beat is varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Largest shift of the beat in the waveform view, either way; the template stays.
    pub shift_samples: usize,
    /// Standard deviation of the logarithm of the gain of beat and template.
    pub gain: f64,
    /// Probability that recorded noise is added to the beat, 0..1.
    pub noise_probability: f64,
    /// Largest standard deviation of that noise, in units of the template's scale.
    pub noise: f64,
    /// Standard deviation of the noise on each metadata feature except the patient's.
    pub metadata_noise: f64,
    /// Probability that the patient's age and sex are made unknown, 0..1.
    pub patient_dropout: f64,
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML of this layout (unknown keys included), or a value is out of range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Parses and checks a config; `origin` is named in errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: origin.to_owned(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Whether the network has a branch for `view`.
    pub fn has(&self, view: View) -> bool {
        self.views.contains(&view)
    }

    /// What is read of a data folder: its annotated records at the given R peaks, and recordings of the config's rhythms.
    pub fn wanted(&self, peaks: &[Peaks]) -> Wanted {
        let recordings = self.recordings.as_ref();
        let mut rhythms = recordings.map_or(Vec::new(), |r| [&r.normal[..], &r.taught].concat());
        rhythms.sort_unstable();
        Wanted {
            peaks: peaks.to_vec(),
            rhythms,
        }
    }

    /// The config of the network that teaches this one about recordings; `None` where none is to be taught.
    pub fn teacher(&self) -> Option<Self> {
        let recordings = self.recordings.as_ref()?;
        if recordings.taught.is_empty() {
            return None;
        }
        let alone = RecordingsConfig {
            taught: Vec::new(),
            shares: RecordingShares {
                S: 0.0,
                V: 0.0,
                ..recordings.shares
            },
            ..recordings.clone()
        };
        Some(Self {
            name: format!("{}-teacher", self.name),
            recordings: Some(alone).filter(|recordings| !recordings.normal.is_empty()),
            ..self.clone()
        })
    }

    /// Optimiser steps of a training, with those of the teacher where there is one.
    pub fn all_steps(&self) -> u64 {
        let networks = if self.teacher().is_some() { 2 } else { 1 };
        networks * u64::from(self.training.steps)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let conv1d = || self.waveform.conv.iter().chain(&self.spectrum.conv);
        let conv2d = || self.spectrogram.conv.iter();
        let sizes = conv1d()
            .flat_map(|c| [c.channels, c.stride])
            .chain(conv2d().flat_map(|c| [c.channels, c.pool]))
            .chain(self.spectrum.dense.iter().copied())
            .chain(self.spectrogram.dense.iter().copied())
            .chain(self.metadata.dense.iter().copied())
            .chain(self.fusion.dense.iter().copied());
        if let Some(size) = sizes.into_iter().find(|&size| !(1..=4096).contains(&size)) {
            return Err(ConfigError::Value {
                key: "a size, stride or pool of a branch",
                found: size.to_string(),
                expected: "1..=4096",
            });
        }
        if !(0..=4096).contains(&self.waveform.bilstm) {
            return Err(ConfigError::Value {
                key: "waveform.bilstm",
                found: self.waveform.bilstm.to_string(),
                expected: "0 (none) to 4096",
            });
        }
        if self.fusion.kind == FusionKind::Early && self.fusion.auxiliary > 0.0 {
            return Err(ConfigError::Value {
                key: "fusion.auxiliary",
                found: self.fusion.auxiliary.to_string(),
                expected: "0, because fusion.kind = \"early\" leaves no branches to give logits",
            });
        }
        let mut kernels = conv1d().map(|c| c.kernel).chain(conv2d().map(|c| c.kernel));
        if let Some(kernel) = kernels.find(|k| !(1..=63).contains(k) || k % 2 == 0) {
            return Err(ConfigError::Value {
                key: "conv.kernel",
                found: kernel.to_string(),
                expected: "an odd length of 1..=63, so that half of it pads each side",
            });
        }
        if self.views.is_empty()
            || View::ALL
                .iter()
                .any(|view| self.views.iter().filter(|v| *v == view).count() > 1)
        {
            return Err(ConfigError::Value {
                key: "views",
                found: format!("{:?}", self.views),
                expected: "one or more of waveform, spectrum, spectrogram, metadata, each once",
            });
        }
        let peaks = &self.data.peaks;
        if peaks.is_empty() || peaks.len() > 2 || (peaks.len() == 2 && peaks[0] == peaks[1]) {
            return Err(ConfigError::Value {
                key: "data.peaks",
                found: format!("{peaks:?}"),
                expected: "reference, detected or both, each once",
            });
        }
        if let Some(recordings) = &self.recordings {
            recordings.check()?;
        }
        for (key, value) in [
            ("fusion.dropout", self.fusion.dropout),
            ("training.average", self.training.average),
            ("training.warm_up", self.training.warm_up),
            ("training.label_smoothing", self.training.label_smoothing),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(ConfigError::Value {
                    key,
                    found: value.to_string(),
                    expected: "0 or more and less than 1",
                });
            }
        }
        for (key, value) in [
            (
                "augmentation.noise_probability",
                self.augmentation.noise_probability,
            ),
            (
                "augmentation.patient_dropout",
                self.augmentation.patient_dropout,
            ),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(ConfigError::Value {
                    key,
                    found: value.to_string(),
                    expected: "a probability, 0 to 1",
                });
            }
        }
        for (key, value) in [
            ("training.learning_rate", self.training.learning_rate),
            ("training.clip_norm", self.training.clip_norm),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ConfigError::Value {
                    key,
                    found: value.to_string(),
                    expected: "more than 0",
                });
            }
        }
        for (key, value) in [
            ("fusion.auxiliary", self.fusion.auxiliary),
            ("training.weight_decay", self.training.weight_decay),
            ("augmentation.gain", self.augmentation.gain),
            ("augmentation.noise", self.augmentation.noise),
            (
                "augmentation.metadata_noise",
                self.augmentation.metadata_noise,
            ),
            ("sampler.record_exponent", self.sampler.record_exponent),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(ConfigError::Value {
                    key,
                    found: value.to_string(),
                    expected: "0 or more",
                });
            }
        }
        for (key, shares) in [
            ("sampler.classes", self.sampler.classes.in_order()),
            ("sampler.leads", self.sampler.leads.in_order()),
        ] {
            let sum: f64 = shares.iter().sum();
            if shares.iter().any(|&share| share.is_nan() || share < 0.0) || (sum - 1.0).abs() > 1e-6
            {
                return Err(ConfigError::Value {
                    key,
                    found: format!("{shares:?}"),
                    expected: "shares of 0 or more that add up to 1",
                });
            }
        }
        if self.training.steps == 0 || self.training.batch < 2 {
            return Err(ConfigError::Value {
                key: "training.steps, training.batch",
                found: format!("{}, {}", self.training.steps, self.training.batch),
                expected: "at least one step of at least two beats",
            });
        }
        if let Some(early) = self.training.early_stopping {
            let fits = early.share > 0.0 && early.share <= 0.5;
            if !fits || early.patience == 0 || early.every == 0 {
                return Err(ConfigError::Value {
                    key: "training.early_stopping",
                    found: format!("{early:?}"),
                    expected: "a share of more than 0 and at most 0.5, a patience and steps of 1 or more",
                });
            }
        }
        if self.metadata.dense.is_empty() {
            return Err(ConfigError::Value {
                key: "metadata.dense",
                found: "[]".to_owned(),
                expected: "at least one layer",
            });
        }
        if self.augmentation.shift_samples > MAX_SHIFT_SAMPLES {
            return Err(ConfigError::Value {
                key: "augmentation.shift_samples",
                found: self.augmentation.shift_samples.to_string(),
                expected: "at most 8, what the beat window has beyond the waveform view",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../models/beat/config.toml");

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("config.toml"))
    }

    #[test]
    fn the_shipped_config_survives_a_round_trip() {
        let config = parse(SHIPPED).unwrap();
        let text = toml::to_string(&config).unwrap();
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
        let cnn = parse(include_str!("../../models/cnn/config.toml")).unwrap();
        assert_eq!(cnn.views, [View::Waveform]);
        assert_eq!(
            (cnn.waveform.template, cnn.waveform.scale),
            (false, Scale::Beat)
        );
    }

    /// Each change makes the config wrong, and the error names the key.
    #[test]
    fn errors_name_key_found_and_expected() {
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
                "waveform.bilstm is -1, expected 0 (none) to 4096",
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
                "fusion.auxiliary is 0.3, expected 0, because",
            ),
            (
                "dropout = 0.2",
                "dropout = 0.2\nauxiliary = -0.3",
                "fusion.auxiliary is -0.3, expected 0 or more",
            ),
            (
                "kernel = 7",
                "kernel = 6",
                "conv.kernel is 6, expected an odd",
            ),
            ("pool = 2", "pool = 0", "branch is 0"),
            (
                "dropout = 0.2",
                "dropout = 1.0",
                "fusion.dropout is 1, expected",
            ),
            (
                "N = 0.55",
                "N = 0.65",
                "sampler.classes is [0.65, 0.2, 0.23, 0.02], expected",
            ),
            ("first = 0.36", "first = nan", "sampler.leads is [NaN"),
            ("gain = 0.1", "gain = -0.1", "augmentation.gain is -0.1"),
            (
                "noise_probability = 0.5",
                "noise_probability = 1.5",
                "expected a probability",
            ),
            (
                "shift_samples = 2",
                "shift_samples = 9",
                "shift_samples is 9, expected at most 8",
            ),
            (
                "learning_rate = 3e-3",
                "learning_rate = 0.0",
                "training.learning_rate is 0",
            ),
            ("batch = 128", "batch = 1", "at least two beats"),
            (
                "batch = 128",
                "batch = 128\nearly_stopping = { share = 0.6, patience = 3, every = 50 }",
                "training.early_stopping is EarlyStoppingConfig { share: 0.6",
            ),
            ("\"metadata\"]", "\"metadata\", \"metadata\"]", "each once"),
            ("dense = [24, 12]", "dense = []", "metadata.dense is []"),
            (
                "peaks = [\"reference\", \"detected\"]",
                "peaks = []",
                "data.peaks is []",
            ),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let error = parse(&SHIPPED.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{to}: {error}");
        }
    }
}
