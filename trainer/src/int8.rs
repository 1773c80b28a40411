//! What quantisation costs: a network as a device image beside itself in float, on records that neither has seen.

use crate::augment::plain_views;
use crate::config::Config;
use crate::dataset::{Dataset, Lead};
use crate::onnx;
use crate::train::Trainer;
use heartlens::compile::beats::{self, Sample};
use heartlens::compile::source::Source;
use heartlens::compile::{CompileError, calibrate::Compiled};
use heartlens::evaluate::tally::Tally;
use heartlens::runtime::int8::Int8;
use heartlens::runtime::{ModelError, Runtime, argmax};
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Labels of the integers and of float on the same beats.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// The integers' labels, by database.
    pub tallies: BTreeMap<String, Tally>,
    /// Beats.
    pub beats: u64,
    /// Beats with the same label in float.
    pub agreeing: u64,
}

/// How the integers compare with float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Int8Findings {
    /// Beats of which both said a label.
    pub beats: u64,
    /// Share of them with the same label, 0..=1.
    pub label_agreement: f64,
    /// F1 of each class, all databases together.
    pub f1: BTreeMap<&'static str, F1>,
}

/// F1 of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct F1 {
    /// Of the float network.
    pub float: Option<f64>,
    /// Of the integers.
    pub int8: Option<f64>,
    /// The integers' less float's.
    pub difference: Option<f64>,
}

impl Scores {
    /// Adds those of another fold.
    pub fn merge(&mut self, other: &Self) {
        for (database, tally) in &other.tallies {
            self.tallies
                .entry(database.clone())
                .or_default()
                .merge(tally);
        }
        self.beats += other.beats;
        self.agreeing += other.agreeing;
    }

    /// Beside `float`, the float network's tally of the same beats.
    pub fn findings(&self, float: &Tally) -> Int8Findings {
        let mut int8 = Tally::new();
        for tally in self.tallies.values() {
            int8.merge(tally);
        }
        let [float, int8] = [float, &int8].map(|tally| tally.gross().table.confusion());
        Int8Findings {
            beats: self.beats,
            label_agreement: self.agreeing as f64 / self.beats.max(1) as f64,
            f1: LABELS
                .iter()
                .enumerate()
                .map(|(class, label)| {
                    let (float, int8) = (float.class(class).f1, int8.class(class).f1);
                    let difference = int8.zip(float).map(|(int8, float)| int8 - float);
                    (
                        *label,
                        F1 {
                            float,
                            int8,
                            difference,
                        },
                    )
                })
                .collect(),
        }
    }
}

/// Compiles the trained network, calibrated on beats of `records` alone.
///
/// # Errors
/// When something of the network cannot be compiled.
pub fn compile(
    trainer: &Trainer,
    config: &Config,
    dataset: &Dataset,
    records: &[usize],
) -> Result<Compiled, CompileError> {
    let classes: Vec<Vec<Option<Class>>> = records
        .iter()
        .map(|record| {
            dataset.records[*record]
                .classes
                .iter()
                .copied()
                .map(Some)
                .collect()
        })
        .collect();
    let views = |places: Vec<(usize, usize)>| -> Vec<Views> {
        let view = |(record, beat): (usize, usize)| {
            let mut views = Views::ZERO;
            let record = &dataset.records[records[record]];
            plain_views(record.beat(Lead::First, beat), &mut views);
            views
        };
        places.into_iter().map(view).collect()
    };
    let [calibration, held_out] = beats::choose(&classes).map(views);
    let sample = Sample {
        calibration,
        held_out,
        priors: beats::priors(&classes),
        records: records.len(),
        beats: classes.iter().map(Vec::len).sum(),
    };
    let model = onnx::model(trainer.result(), config);
    let source = Source::new(model, Path::new(&config.name))?;
    source.compile(&sample, &mut |_, _| ())
}

/// Classifies every beat of `records` in its first lead by the image and by the float network.
///
/// # Errors
/// When the image cannot be run.
pub fn score(
    trainer: &Trainer,
    image: &[u8],
    dataset: &Dataset,
    records: &[usize],
) -> Result<Scores, ModelError> {
    let mut int8 = Int8::new(image).map_err(|source| ModelError::Image {
        path: "the compiled network".into(),
        source,
    })?;
    let mut scores = Scores::default();
    let mut failed = None;
    let mut views = Views::ZERO;
    trainer.predict(dataset, records, |index, float| {
        let record = &dataset.records[index.record];
        plain_views(record.beat(Lead::First, index.beat), &mut views);
        match int8.logits(std::slice::from_ref(&views)) {
            Ok(logits) => {
                let label = Class::ALL[argmax(&logits[0])];
                let tally = scores.tallies.entry(record.database.clone()).or_default();
                tally.add_beat(&record.name, record.classes[index.beat], label);
                scores.beats += 1;
                scores.agreeing += u64::from(label == float);
            }
            Err(error) => failed = Some(error),
        }
    });
    failed.map_or(Ok(scores), Err)
}
