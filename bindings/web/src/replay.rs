//! A recording as it would come in: the events that a wearable tells of it.

use crate::told;
use heartlens::Model;
use heartlens::monitor::{Config, Event, Monitor, Signal};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

/// Watches samples as they come.
#[wasm_bindgen]
pub struct Replay {
    monitor: Monitor,
}

#[wasm_bindgen]
impl Replay {
    /// At this rate.
    ///
    /// # Errors
    /// When the rate cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(rate_hz: f64) -> Result<Self, JsError> {
        let model = Model::shipped().map_err(|error| told(&error))?;
        let monitor = Monitor::new(&model, &Config::new(rate_hz));
        Ok(Self {
            monitor: monitor.map_err(|error| told(&error))?,
        })
    }

    /// Takes the next samples, in mV, and tells of what they bring to light: a JSON list.
    ///
    /// # Errors
    /// When the network failed.
    pub fn push(&mut self, samples_mv: &[f32]) -> Result<String, JsError> {
        let events = self.monitor.push_mv(samples_mv);
        Ok(list(&events.map_err(|error| told(&error))?))
    }

    /// Ends the recording, and tells what is left.
    ///
    /// # Errors
    /// When the network failed.
    pub fn finish(&mut self) -> Result<String, JsError> {
        let events = self.monitor.finish();
        Ok(list(&events.map_err(|error| told(&error))?))
    }

    /// The heart rate, in beats a minute.
    pub fn rate_bpm(&self) -> Option<f32> {
        self.monitor.rate_bpm()
    }
}

fn list(events: &[Event]) -> String {
    Value::from_iter(events.iter().map(object)).to_string()
}

fn object(event: &Event) -> Value {
    match event {
        Event::Beat { at_ms, beat } => json!({
            "kind": "beat",
            "at_ms": at_ms,
            "class": beat.class.name(),
            "scores": beat.probabilities,
            "rr_ms": beat.rr_s.map(|rr| rr * 1000.0),
            "fibrillation": beat.fibrillation,
            "quality": beat.quality.score,
        }),
        Event::Signal { at_ms, signal } => json!({
            "kind": "signal",
            "at_ms": at_ms,
            "text": match signal {
                Signal::Readable => "the signal can be read",
                Signal::Noisy => "noise hides the beats",
                Signal::Flat => "the line is flat",
                Signal::Constant => "the line does not move at all",
                Signal::ElectrodeOff => "an electrode is off",
                Signal::NoHeartbeat => "there are peaks, but no heartbeats",
                Signal::Gain => "the beats are larger than a body's",
                Signal::Rate => "the sampling rate is probably wrong",
                _ => "the signal has changed",
            },
            "readable": matches!(signal, Signal::Readable),
        }),
        Event::Pause { since_ms, flat } => {
            json!({"kind": "pause", "at_ms": since_ms, "flat": flat})
        }
        Event::Fibrillation { since_ms, until_ms } => {
            json!({"kind": "fibrillation", "at_ms": since_ms, "until_ms": until_ms})
        }
        Event::Run {
            class,
            since_ms,
            beats,
            rate_bpm,
            over,
        } => json!({
            "kind": "run",
            "class": class.name(),
            "at_ms": since_ms,
            "beats": beats,
            "rate_bpm": rate_bpm,
            "over": over,
        }),
        Event::Restarted { at_ms } => json!({"kind": "restarted", "at_ms": at_ms}),
        _ => json!({"kind": "other"}),
    }
}
