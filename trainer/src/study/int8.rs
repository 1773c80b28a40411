//! What quantisation costs: a network as a device image beside itself in float, on records that neither has seen.

use super::logits_cache::HeldOut;
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::export;
use crate::beat::fit::{Logits, Trainer, largest};
use crate::data::augment::plain_views;
use crate::data::record::Lead;
use heartlens::compile::beats::{self, Sample};
use heartlens::compile::source::Source;
use heartlens::compile::{CompileError, calibrate::Compiled};
use heartlens::evaluate::report::Peaks;
use heartlens::evaluate::tally::Tally;
use heartlens::runtime::int8::Int8;
use heartlens::runtime::{ModelError, Runtime};
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// How the integers compare with float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Int8Results {
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

impl Int8Results {
    /// Of the beats at `peaks` in these trainings; `None` where no device image was scored.
    pub fn of<'a>(
        dataset: &Dataset,
        trained: impl IntoIterator<Item = &'a HeldOut>,
        peaks: Peaks,
    ) -> Option<Self> {
        let (mut float, mut int8) = (Tally::new(), Tally::new());
        let (mut beats, mut agreeing) = (0_u64, 0_u64);
        for done in trained {
            for (index, integers) in done.int8.as_ref()? {
                let record = &dataset.records[*index];
                if record.peaks != peaks {
                    continue;
                }
                let pairs = done.logits[index].iter().zip(integers);
                for ((a, b), class) in pairs.zip(&record.classes) {
                    let (a, b) = (largest(a), largest(b));
                    float.add_beat(&record.name, *class, a);
                    int8.add_beat(&record.name, *class, b);
                    beats += 1;
                    agreeing += u64::from(a == b);
                }
            }
        }
        let [float, int8] = [float, int8].map(|tally| tally.gross().table.confusion());
        let f1 = |class: usize| {
            let (float, int8) = (float.class(class).f1, int8.class(class).f1);
            let difference = int8.zip(float).map(|(int8, float)| int8 - float);
            F1 {
                float,
                int8,
                difference,
            }
        };
        let classes = LABELS.iter().enumerate();
        Some(Self {
            beats,
            label_agreement: agreeing as f64 / beats.max(1) as f64,
            f1: classes.map(|(class, label)| (*label, f1(class))).collect(),
        })
    }
}

/// Compiles the trained network, calibrated on beats of the annotated ones of `records` alone.
///
/// # Errors
/// When something of the network cannot be compiled.
pub fn compile(
    trainer: &Trainer,
    config: &Config,
    dataset: &Dataset,
    records: &[usize],
) -> Result<Compiled, CompileError> {
    let records: Vec<usize> = dataset
        .annotated()
        .filter(|record| records.contains(record))
        .collect();
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
    let model = export::model(trainer.result(), config);
    let source = Source::new(model, Path::new(&config.name))?;
    source.compile(&sample, &mut |_, _| ())
}

/// The image's logits of every beat of `records` in its first lead.
///
/// # Errors
/// When the image cannot be run.
pub fn logits(
    image: &[u8],
    dataset: &Dataset,
    records: &[usize],
) -> Result<BTreeMap<usize, Vec<Logits>>, ModelError> {
    let mut int8 = Int8::new(image).map_err(|source| ModelError::Image {
        path: "the compiled network".into(),
        source,
    })?;
    let mut of_record = |&index: &usize| {
        let record = &dataset.records[index];
        let views = |beat: usize| {
            let mut views = Views::ZERO;
            plain_views(record.beat(Lead::First, beat), &mut views);
            views
        };
        let mut logits = Vec::with_capacity(record.classes.len());
        for beat in 0..record.classes.len() {
            logits.extend(int8.logits(&[views(beat)])?);
        }
        Ok((index, logits))
    };
    records.iter().map(&mut of_record).collect()
}
