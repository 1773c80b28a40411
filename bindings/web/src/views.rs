//! The four views of one beat, as the network was shown them.
//!
//! Views look back: at the template of all beats before. All views of a day are hundreds of megabytes, so what is kept is the
//! lead at 128 Hz and core's monitor as it stood every so often; from there a beat's views are computed anew, the same to the bit.

use crate::recording::Recording;
use crate::told;
use heartlens::pipeline::{Canonical, stream_canonical};
use heartlens::{canonical, pipeline};
use heartlens_core::detector::Detector;
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::views::{View, Views};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

/// Samples at 128 Hz between two states that are kept: four minutes.
const KEPT_EVERY: usize = 1 << 15;

/// Finds views of a lead's beats.
#[wasm_bindgen]
pub struct ViewFinder {
    rate_hz: f64,
    /// `None` once the lead has been read.
    blocks: Option<Canonical<'static>>,
    len: usize,
    signal_mv: Vec<f32>,
    /// As it stood before each [`KEPT_EVERY`]th sample.
    kept: Vec<Monitor<Detector>>,
    monitor: Monitor<Detector>,
}

#[wasm_bindgen]
impl ViewFinder {
    /// A finder for the lead at this place.
    ///
    /// # Errors
    /// When there is no such lead, or it cannot be brought to 128 Hz.
    #[wasm_bindgen(constructor)]
    pub fn new(recording: &Recording, lead: usize) -> Result<Self, JsError> {
        let record = recording.record()?;
        record.lead(lead).map_err(|error| told(&error))?;
        let blocks: pipeline::Canonical<'static> =
            stream_canonical(record, lead).map_err(|error| told(&error))?;
        Ok(Self {
            rate_hz: record.sample_rate_hz(),
            len: blocks.len_samples(),
            blocks: Some(blocks),
            signal_mv: Vec::new(),
            kept: Vec::new(),
            monitor: Monitor::with_peaks(Detector::new(), canonical::patient(record)),
        })
    }

    /// Reads a part of the lead, and tells how much has been read, 0..=1.
    ///
    /// # Errors
    /// When the lead cannot be read.
    pub fn advance(&mut self) -> Result<f64, JsError> {
        let Some(blocks) = &mut self.blocks else {
            return Ok(1.0);
        };
        let Some(block) = blocks.next() else {
            self.blocks = None;
            return Ok(1.0);
        };
        for sample in block.map_err(|error| told(&error))? {
            if self.signal_mv.len().is_multiple_of(KEPT_EVERY) {
                self.kept.push(self.monitor.clone());
            }
            self.signal_mv.push(sample);
            self.monitor.push(sample);
        }
        Ok((self.signal_mv.len() as f64 / self.len.max(1) as f64).min(0.999))
    }

    /// The views of the beat nearest to a sample of the record's own rate, within half a second, as JSON: `{"sample",
    /// "waveform":{"shape":[..],"values":[..]},..}`; `null` where there is no beat, or that part has not been read.
    pub fn views(&self, sample: f64) -> String {
        let at = canonical::to_canonical_index(sample as u64, self.rate_hz);
        let beat = self.beat_near(at);
        let object = beat.map_or(Value::Null, |beat| {
            let mut views = Views::ZERO;
            views.compute(&beat.frame);
            let place = canonical::from_canonical_index(beat.frame.r_sample, self.rate_hz);
            let mut object = json!({"sample": place, "scale_mv": beat.frame.scale_mv});
            for view in View::ALL {
                object[view.name()] = json!({"shape": view.shape(), "values": views.get(view)});
            }
            object
        });
        object.to_string()
    }
}

impl ViewFinder {
    fn beat_near(&self, at: u32) -> Option<MonitoredBeat> {
        const HALF_A_SECOND: u32 = 64;
        // A beat is complete some seconds after its R peak; an earlier state has not met it yet.
        let before = (at as usize).saturating_sub(1024) / KEPT_EVERY;
        let mut monitor = self.kept.get(before)?.clone();
        let near = |beat: &MonitoredBeat| beat.frame.r_sample.abs_diff(at) <= HALF_A_SECOND;
        let mut nearest: Option<MonitoredBeat> = None;
        let mut take = |beat: MonitoredBeat| {
            let distance = |beat: &MonitoredBeat| beat.frame.r_sample.abs_diff(at);
            if near(&beat)
                && nearest
                    .as_ref()
                    .is_none_or(|n| distance(&beat) < distance(n))
            {
                nearest = Some(beat);
            }
        };
        let rest = self.signal_mv.get(before * KEPT_EVERY..)?;
        let end = (at as usize + 2048).saturating_sub(before * KEPT_EVERY);
        for sample in &rest[..end.min(rest.len())] {
            if let Some(beat) = monitor.push(*sample) {
                take(beat);
            }
        }
        if end >= rest.len() && self.blocks.is_none() {
            monitor.finish();
            while let Some(beat) = monitor.poll() {
                take(beat);
            }
        }
        nearest
    }
}
