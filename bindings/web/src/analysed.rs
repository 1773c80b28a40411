//! Beats, and what they say of a recording: the engine's, and those that a person has corrected.

use crate::told;
use heartlens::episodes::{Episode, episodes};
use heartlens::hrv::Hrv;
use heartlens::records::annotation::{Annotation, Annotations, Code};
use heartlens::summary::Summary;
use heartlens::{Analysis, Beat};
use heartlens_core::class::Class;
use heartlens_core::spec::STRIP_LABELS;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

/// What the engine says of a recording.
#[wasm_bindgen]
pub struct Analysed {
    analysis: Analysis,
}

impl Analysed {
    pub(crate) fn new(analysis: Analysis) -> Self {
        Self { analysis }
    }

    fn of_beats<T>(&self, each: impl Fn(&Beat) -> T) -> Vec<T> {
        self.analysis.beats.iter().map(each).collect()
    }
}

#[wasm_bindgen]
impl Analysed {
    /// The beats' R peaks, in samples at the record's own rate.
    pub fn samples(&self) -> Vec<f64> {
        self.of_beats(|beat| beat.sample as f64)
    }

    /// Their classes, as places in `NSVFQ`.
    pub fn classes(&self) -> Vec<u8> {
        self.of_beats(|beat| place_of(beat.class))
    }

    /// Four probabilities a beat: N, S, V, F.
    pub fn scores(&self) -> Vec<f32> {
        let beats = self.analysis.beats.iter();
        beats.flat_map(|beat| beat.scores).collect()
    }

    /// Whether each lies in atrial fibrillation: 1, 0, or -1 where that is not known.
    pub fn fibrillation(&self) -> Vec<i8> {
        self.of_beats(|beat| beat.fibrillation.map_or(-1, i8::from))
    }

    /// The RR interval that each ends, in ms; NaN where there is none.
    pub fn rr_ms(&self) -> Vec<f64> {
        self.of_beats(|beat| beat.rr_ms.unwrap_or(f64::NAN))
    }

    /// The signal's quality around each, 0..=1.
    pub fn quality(&self) -> Vec<f32> {
        self.of_beats(|beat| beat.quality)
    }

    /// All else as JSON: leads and why, model, summary, episodes, half minutes, heart rate variability, warnings.
    pub fn about(&self) -> String {
        let analysis = &self.analysis;
        let strips = analysis.strips.iter().map(|strip| {
            let scores = STRIP_LABELS.iter().zip(strip.probabilities);
            let scores: Value = scores
                .map(|(label, score)| ((*label).to_owned(), json!(score)))
                .collect();
            json!({"from_s": strip.from_s, "to_s": strip.to_s, "scores": scores})
        });
        json!({
            "leads": analysis.leads,
            "taken": analysis.taken,
            "mode": analysis.mode.to_string(),
            "model": analysis.model,
            "runtime": analysis.runtime,
            "summary": analysis.summary,
            "episodes": analysis.episodes,
            "strips": strips.collect::<Vec<_>>(),
            "hrv": analysis.hrv,
            "warnings": analysis.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

fn place_of(class: Class) -> u8 {
    let place = Class::ALL.iter().position(|other| *other == class);
    place.unwrap_or(Class::ALL.len() - 1) as u8
}

/// Beats as the page holds them.
fn beats(
    samples: &[f64],
    classes: &[u8],
    fibrillation: &[i8],
    rr_ms: &[f64],
    rate_hz: f64,
) -> Result<Vec<Beat>, JsError> {
    let lengths = [classes.len(), fibrillation.len(), rr_ms.len()];
    if lengths.iter().any(|len| *len != samples.len()) {
        let found = format!("columns of {} and {lengths:?} beats", samples.len());
        return Err(JsError::new(&format!("{found}, expected the same length")));
    }
    let beat = |i: usize| {
        let sample = samples[i] as u64;
        let mut beat = Beat::at(sample, sample as f64 / rate_hz);
        beat.class = Class::ALL
            .get(usize::from(classes[i]))
            .copied()
            .unwrap_or(Class::Q);
        beat.fibrillation = match fibrillation[i] {
            -1 => None,
            other => Some(other != 0),
        };
        beat.rr_ms = Some(rr_ms[i]).filter(|rr| !rr.is_nan());
        beat
    };
    Ok((0..samples.len()).map(beat).collect())
}

/// What beats say of a recording, by the rules of the command: `{"summary","episodes","hrv"}`.
///
/// # Errors
/// When the columns differ in length.
#[wasm_bindgen]
pub fn judge(
    samples: &[f64],
    classes: &[u8],
    fibrillation: &[i8],
    rr_ms: &[f64],
    rate_hz: f64,
    duration_s: f64,
) -> Result<String, JsError> {
    let beats = beats(samples, classes, fibrillation, rr_ms, rate_hz)?;
    let episodes: Vec<Episode> = episodes(&beats);
    let judged = json!({
        "summary": Summary::of(&beats),
        "episodes": episodes,
        "hrv": Hrv::of(&beats, duration_s),
    });
    Ok(judged.to_string())
}

/// Stretches that somebody has marked.
#[wasm_bindgen]
#[derive(Default)]
pub struct Marks {
    list: Vec<(u64, String)>,
}

#[wasm_bindgen]
impl Marks {
    /// None.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// One end of a stretch, and its text, of which 200 bytes are kept.
    pub fn add(&mut self, sample: f64, text: &str) {
        let mut end = text.len().min(200);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.list.push((sample as u64, text[..end].to_owned()));
    }
}

/// Beats as a WFDB annotation file, as the command writes them: classes, changes of rhythm, and marks as notes.
///
/// # Errors
/// When the columns differ in length, or beats are out of order.
#[wasm_bindgen]
pub fn annotation_file(
    samples: &[f64],
    classes: &[u8],
    fibrillation: &[i8],
    rate_hz: f64,
    marks: &Marks,
) -> Result<Vec<u8>, JsError> {
    let rr_ms = vec![f64::NAN; samples.len()];
    let beats = beats(samples, classes, fibrillation, &rr_ms, rate_hz)?;
    let mut list = heartlens::annotations(&beats);
    list.extend(marks.list.iter().map(|(sample, text)| {
        let mut note = Annotation::new(*sample, Code::NOTE);
        note.aux = text.clone().into_bytes();
        note
    }));
    list.sort_by_key(|annotation| annotation.sample);
    let annotations = Annotations { list };
    annotations.to_bytes().map_err(|error| told(&error))
}
