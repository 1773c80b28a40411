//! From a drawn beat to the network's views, varied the way that real recordings vary.
//!
//! The beat is varied in millivolts and then goes through `heartlens-core` like any other.

use crate::beat::config::{AugmentationConfig, Config};
use crate::beat::dataset::Dataset;
use crate::beat::network::{ViewBatch, shape_of};
use crate::data::noise::Noise;
use crate::data::record::{Beat, Lead};
use crate::data::sampler::{BeatIndex, Sampler};
use heartlens_core::spec::{CHANNELS, WAVEFORM_LEN_SAMPLES};
use heartlens_core::views::View;
use heartlens_core::views::metadata::PATIENT_START;
use heartlens_core::views::{Views, normalise, waveform};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

/// The views of a batch on the host, each in row-major order of `[batch, ...shape_of(view)]`, and the classes.
#[derive(Debug, Default, PartialEq)]
pub struct HostBatch {
    waveform: Vec<f32>,
    spectrum: Vec<f32>,
    spectrogram: Vec<f32>,
    metadata: Vec<f32>,
    /// Index of each beat's class in [`heartlens_core::spec::LABELS`]; of class Q, which has none, one past the last.
    classes: Vec<i64>,
}

impl HostBatch {
    /// Appends one beat.
    pub fn push(&mut self, views: &Views, class: i64) {
        self.waveform.extend_from_slice(&views.waveform);
        self.spectrum.extend_from_slice(&views.spectrum);
        self.spectrogram.extend_from_slice(&views.spectrogram);
        self.metadata.extend_from_slice(&views.metadata);
        self.classes.push(class);
    }

    /// The beats of `dataset` at `indices` in `lead`, as they are.
    pub fn plain(dataset: &Dataset, indices: &[BeatIndex], lead: Lead) -> Self {
        let mut batch = Self::default();
        let mut views = Views::ZERO;
        for index in indices {
            let record = &dataset.records[index.record];
            plain_views(record.beat(lead, index.beat), &mut views);
            batch.push(&views, record.classes[index.beat] as i64);
        }
        batch
    }

    /// Beats in the batch.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The views as tensors on the CPU.
    pub fn views(&self) -> ViewBatch {
        let tensor = |values: &[f32], view: View| {
            let mut shape = vec![self.len() as i64];
            shape.extend(shape_of(view));
            Tensor::from_slice(values).reshape(shape)
        };
        ViewBatch {
            waveform: tensor(&self.waveform, View::Waveform),
            spectrum: tensor(&self.spectrum, View::Spectrum),
            spectrogram: tensor(&self.spectrogram, View::Spectrogram),
            metadata: tensor(&self.metadata, View::Metadata),
        }
    }

    /// The classes as a tensor `[batch]` of i64 on the CPU.
    pub fn classes(&self) -> Tensor {
        Tensor::from_slice(&self.classes)
    }
}

/// The views of a beat as it is.
pub(crate) fn plain_views(beat: &Beat, views: &mut Views) {
    for (channel, window) in [&beat.beat, &beat.template].into_iter().enumerate() {
        views.compute_channel(channel, &normalise(window, beat.scale_mv));
    }
    views.metadata = beat.metadata;
}

/// Varies beats.
#[derive(Debug, Clone)]
pub struct Augmenter {
    config: AugmentationConfig,
    /// Whether the network reads the patient's features at all.
    patient: bool,
    noise: Noise,
}

impl Augmenter {
    /// As `config` says. Without noise channels none is added.
    pub fn new(config: &Config, noise: Noise) -> Self {
        Self {
            config: config.augmentation.clone(),
            patient: config.metadata.patient,
            noise,
        }
    }

    /// CRC-32 of the noise that is mixed in.
    pub fn noise_checksum(&self) -> u32 {
        self.noise.checksum()
    }

    /// The views of `beat` after a draw of gain, noise, shift and metadata noise.
    pub fn views(&self, beat: &Beat, rng: &mut ChaCha8Rng, views: &mut Views) {
        let config = &self.config;
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        let gain = (config.gain * normal()).exp() as f32;
        let mut metadata = beat.metadata;
        for feature in &mut metadata[..PATIENT_START] {
            *feature += (config.metadata_noise * normal()) as f32;
        }
        if !self.patient || rng.random_bool(config.patient_dropout) {
            metadata[PATIENT_START..].fill(0.0);
        }

        let mut samples = beat.beat.map(|mv| mv * gain);
        let template = beat.template.map(|mv| mv * gain);
        if rng.random_bool(config.noise_probability) && !self.noise.channels.is_empty() {
            let level = rng.random_range(0.0..=config.noise) as f32 * beat.scale_mv;
            let channel = &self.noise.channels[rng.random_range(0..self.noise.channels.len())];
            let last = channel.len().saturating_sub(samples.len());
            let start = rng.random_range(0..=last);
            for (sample, noise) in samples.iter_mut().zip(&channel[start..]) {
                *sample += level * noise;
            }
        }

        let samples = normalise(&samples, beat.scale_mv);
        views.compute_channel(0, &samples);
        views.compute_channel(1, &normalise(&template, beat.scale_mv));
        let most = config.shift_samples as i32;
        let shift = rng.random_range(-most..=most) as isize;
        views.waveform[..WAVEFORM_LEN_SAMPLES].copy_from_slice(waveform::shifted(&samples, shift));
        views.metadata = metadata;
    }

    /// A batch of `count` drawn and varied beats.
    pub fn batch(
        &self,
        dataset: &Dataset,
        sampler: &Sampler,
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> HostBatch {
        let mut batch = HostBatch::default();
        let mut views = Views::ZERO;
        for _ in 0..count {
            let draw = sampler.draw(rng);
            let record = &dataset.records[draw.beat.record];
            self.views(record.beat(draw.lead, draw.beat.beat), rng, &mut views);
            batch.push(&views, draw.class as i64);
        }
        batch
    }
}

const _: () = assert!(CHANNELS == 2, "beat and template");
