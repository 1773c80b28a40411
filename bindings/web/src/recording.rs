//! A recording that was lent: what it is, its samples, its beats.

use crate::analysed::Analysed;
use crate::told;
use heartlens::records::annotation::Annotation;
use heartlens::records::{BeatList, BeatOptions, Blocks, Record, RecordError};
use heartlens::records::{ReadOptions, VoltageUnit};
use heartlens::{Model, Options, Pool, canonical, device};
use js_sys::Function;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use wasm_bindgen::prelude::*;

/// What is read: a record with its signal, or a list of beats. It lives as long as its worker does, which is ended with it.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// With a signal.
    Record(&'static Record),
    /// Without.
    Beats(&'static BeatList),
}

/// A recording that is open.
#[wasm_bindgen]
pub struct Recording {
    source: Source,
}

#[wasm_bindgen]
impl Recording {
    /// Opens what was lent under this name: a record, or a list of beats. `rate_hz` and `unit` say what a table does not say
    /// itself; `annotator` names the annotations of a list.
    ///
    /// # Errors
    /// When it is none, or not all of its files are there.
    pub fn open(
        name: &str,
        rate_hz: Option<f64>,
        unit: Option<String>,
        annotator: &str,
    ) -> Result<Self, JsError> {
        let list = BeatList::open(name, &BeatOptions::new(annotator));
        if let Some(list) = list.map_err(|error| told(&error))? {
            let list = Box::leak(Box::new(list));
            return Ok(Self {
                source: Source::Beats(list),
            });
        }
        let mut options = ReadOptions::default();
        if let Some(rate_hz) = rate_hz {
            options = options.with_rate_hz(rate_hz);
        }
        if let Some(unit) = unit {
            let known = unit.parse::<VoltageUnit>();
            options = options.with_unit(known.map_err(|_| {
                JsError::new(&format!("unit: found `{unit}`, expected V, mV, uV or nV"))
            })?);
        }
        let record = Record::open_with(name, &options).map_err(|error| told(&error))?;
        Ok(Self {
            source: Source::Record(Box::leak(Box::new(record))),
        })
    }

    /// What it is, as JSON: name, rate, length, leads, patient, start, comments, what is strange about it.
    pub fn about(&self) -> String {
        let about = match self.source {
            Source::Record(record) => about_record(record),
            Source::Beats(list) => json!({
                "name": list.name,
                "sample_rate_hz": list.sample_rate_hz,
                "duration_s": list.duration_s,
                "synthetic": list.is_synthetic(),
                "leads": [],
                "start": Value::Null,
                "patient": Value::Null,
                "comments": [],
                "warnings": list.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }),
        };
        about.to_string()
    }

    /// Its beats, by the model in this program: what the command says of it, to the bit. `leads` is what the command's
    /// `--lead` takes; `progress` hears how much is done, 0..=1, and breaks off by returning false.
    ///
    /// # Errors
    /// When the record is at fault, there is no such lead, or `progress` broke off.
    pub fn classify(&self, leads: &str, progress: &Function) -> Result<Analysed, JsError> {
        let model = Model::shipped().map_err(|error| told(&error))?;
        let mut options = Options::default();
        options.threads = Some(NonZeroUsize::MIN);
        let Ok(leads) = leads.parse();
        options.leads = leads;
        let analysis = match self.source {
            Source::Record(record) => model.classify_with_progress(record, &options, |done| {
                let go_on = progress.call1(&JsValue::NULL, &JsValue::from(done));
                match go_on.is_ok_and(|go_on| go_on.is_falsy() && !go_on.is_undefined()) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            }),
            Source::Beats(list) => {
                Ok(Pool::new(&model, &options).one(|worker| worker.judge_beats(list)))
            }
        };
        Ok(Analysed::new(analysis.map_err(|error| told(&error))?))
    }

    /// Samples of a lead at its own rate, in mV; NaN where there is none.
    ///
    /// # Errors
    /// When there is no such lead, or it cannot be read.
    pub fn samples(&self, lead: usize, from: f64, to: f64) -> Result<Vec<f32>, JsError> {
        let record = self.record()?;
        let blocks = record.stream_mv(lead, from as usize..to as usize);
        let blocks = blocks.and_then(Iterator::collect::<Result<Vec<_>, RecordError>>);
        Ok(blocks.map_err(|error| told(&error))?.concat())
    }

    /// The lowest and the highest sample of each `bucket` samples of a lead, to be had part by part.
    ///
    /// # Errors
    /// When there is no such lead, or it cannot be read.
    pub fn outline(&self, lead: usize, bucket: usize) -> Result<Outline, JsError> {
        let record = self.record()?;
        let blocks = record.stream_mv(lead, 0..usize::MAX);
        Ok(Outline {
            blocks: blocks.map_err(|error| told(&error))?,
            bucket: bucket.max(1),
            rest: Vec::new(),
        })
    }

    /// A lead as a device on a line takes it: counts of 1 uV at 128 Hz.
    ///
    /// # Errors
    /// When there is no such lead, or it cannot be read.
    pub fn device_counts(&self, lead: usize) -> Result<Vec<i16>, JsError> {
        let record = self.record()?;
        record.lead(lead).map_err(|error| told(&error))?;
        device::counts(record, lead).map_err(|error| told(&error))
    }

    /// The beats that an annotator marked, as JSON: `[[sample, "N"], ..]`; empty where there is no such file.
    ///
    /// # Errors
    /// When the annotations cannot be read.
    pub fn annotated(&self, annotator: &str) -> Result<String, JsError> {
        let Source::Record(record) = self.source else {
            return Ok("[]".to_owned());
        };
        if !record.has_annotations(annotator) {
            return Ok("[]".to_owned());
        }
        let annotations = record.annotations(annotator);
        let annotations = annotations.map_err(|error| told(&error))?;
        let beat = |beat: &Annotation| json!([beat.sample, beat.code.mnemonic()]);
        let beats: Vec<Value> = annotations.beats().map(beat).collect();
        Ok(Value::from(beats).to_string())
    }
}

impl Recording {
    pub(crate) fn record(&self) -> Result<&'static Record, JsError> {
        match self.source {
            Source::Record(record) => Ok(record),
            Source::Beats(_) => Err(JsError::new("a list of beats has no signal")),
        }
    }
}

fn about_record(record: &Record) -> Value {
    let leads = record.leads().iter().map(|lead| {
        json!({
            "name": lead.name,
            "units": lead.units,
            "is_voltage": lead.is_voltage,
            "sample_rate_hz": lead.sample_rate_hz,
            "samples": lead.len_samples,
        })
    });
    let patient = canonical::patient(record);
    json!({
        "name": record.name(),
        "sample_rate_hz": record.sample_rate_hz(),
        "samples": record.len_samples(),
        "duration_s": record.duration_s(),
        "synthetic": record.is_synthetic(),
        "leads": leads.collect::<Vec<_>>(),
        "first_ecg": record.first_ecg().ok(),
        "start": record.start().map(|start| start.to_string()),
        "patient": {
            "age_years": patient.age_years,
            "sex": patient.sex.map(|sex| match sex {
                heartlens_core::patient::Sex::Female => "f",
                heartlens_core::patient::Sex::Male => "m",
            }),
        },
        "comments": record.comments(),
        "warnings": record.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// A lead's lowest and highest samples, bucket by bucket, read part by part.
#[wasm_bindgen]
pub struct Outline {
    blocks: Blocks<'static>,
    bucket: usize,
    /// Samples that fill no bucket yet.
    rest: Vec<f32>,
}

#[wasm_bindgen]
impl Outline {
    /// The next buckets, some thousand samples of them: low, high, low, high; NaN where a bucket has no sample. Nothing once
    /// the lead has ended.
    ///
    /// # Errors
    /// When the lead cannot be read.
    pub fn next_part(&mut self) -> Result<Option<Vec<f32>>, JsError> {
        match self.blocks.next() {
            Some(block) => self.rest.extend(block.map_err(|error| told(&error))?),
            None if self.rest.is_empty() => return Ok(None),
            // The last bucket is not full.
            None => {
                let last = std::mem::take(&mut self.rest);
                return Ok(Some(ends(&last).to_vec()));
            }
        }
        let full = self.rest.len() - self.rest.len() % self.bucket;
        let buckets = self.rest[..full].chunks_exact(self.bucket);
        let part = buckets.flat_map(ends).collect();
        self.rest.drain(..full);
        Ok(Some(part))
    }
}

fn ends(samples: &[f32]) -> [f32; 2] {
    // Both ignore what is not a number.
    let low = samples.iter().copied().fold(f32::NAN, f32::min);
    let high = samples.iter().copied().fold(f32::NAN, f32::max);
    [low, high]
}
