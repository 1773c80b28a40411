//! What a network teaches the next one about recordings that nobody annotated.
//!
//! Self-training with a noisy student: a teacher learns from annotated records and from recordings whose rhythm says that
//! all beats are N, and names the beats of the other recordings. Those that it is sure of are drawn by its student, varied
//! as all beats are, among those that people annotated. So the student sees S and V beats of some hundred more patients
//! (Xie, Luong, Hovy, Le: Self-training with Noisy Student improves ImageNet classification, CVPR 2020).

use super::config::WeakLabelsConfig;
use super::dataset::Dataset;
use super::fit::{largest, logits};
use super::network::Network;
use crate::data::record::Lead;
use crate::data::sampler::BeatIndex;
use heartlens_core::class::Class;
use heartlens_core::model::softmax;
use std::collections::HashSet;
use tch::Device;

/// The least that a teacher holds the likeliest beat of a diagnosed class for.
const LIKELY: f32 = 0.2;

/// Beats of recordings with the classes that a teacher is sure of. None by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PseudoLabels {
    beats: Vec<(Class, BeatIndex)>,
}

impl PseudoLabels {
    /// What `teacher` is sure of, as `config` has it, among the beats of those of `records` (indices into `dataset`) that
    /// are recordings of the rhythms to be taught, or have a diagnosis that names ectopic beats.
    ///
    /// Under a diagnosis no beat is of a class that it does not name, and of one that it names at least one is: the likeliest, where the
    /// teacher is sure of none, and holds it for a fifth or more (multiple-instance learning by its maximum: Andrews, Tsochantaridis,
    /// Hofmann, Support Vector Machines for Multiple-Instance Learning, NIPS 2002).
    pub fn by(
        teacher: &Network,
        device: Device,
        dataset: &Dataset,
        records: &[usize],
        config: &WeakLabelsConfig,
    ) -> Self {
        let of_rhythm = |record: &&usize| {
            let rhythm = dataset.records[**record].rhythm;
            rhythm.is_some_and(|rhythm| {
                let names = |class| rhythm.has(class) == Some(true);
                config.taught.contains(&rhythm) || names(Class::S) || names(Class::V)
            })
        };
        let mut beats = Vec::new();
        for &record in records.iter().filter(of_rhythm) {
            let Some(rhythm) = dataset.records[record].rhythm else {
                continue;
            };
            let logits = logits(teacher, device, dataset, record, Lead::First);
            let probabilities: Vec<_> = logits.iter().map(softmax).collect();
            let before = beats.len();
            for (beat, probabilities) in probabilities.iter().enumerate() {
                let class = largest(probabilities);
                let sure = f64::from(probabilities[class as usize]) >= config.confidence;
                if sure && rhythm.has(class) != Some(false) {
                    beats.push((class, BeatIndex { record, beat }));
                }
            }
            for class in [Class::S, Class::V] {
                let named = beats[before..].iter().any(|(other, _)| *other == class);
                if rhythm.has(class) != Some(true) || named {
                    continue;
                }
                let likely = |beat: &usize| probabilities[*beat][class as usize];
                let best = (0..probabilities.len()).max_by(|a, b| likely(a).total_cmp(&likely(b)));
                if let Some(beat) = best.filter(|beat| likely(beat) >= LIKELY) {
                    beats.push((class, BeatIndex { record, beat }));
                }
            }
        }
        Self { beats }
    }

    /// The beats of `class`, in order.
    pub fn beats(&self, class: Class) -> impl Iterator<Item = BeatIndex> {
        let beats = self.beats.iter();
        beats
            .filter(move |(c, _)| *c == class)
            .map(|(_, beat)| *beat)
    }

    /// How many beats are of `class`, and in how many recordings.
    pub fn count(&self, class: Class) -> (usize, usize) {
        let records: HashSet<usize> = self.beats(class).map(|beat| beat.record).collect();
        (self.beats(class).count(), records.len())
    }
}
