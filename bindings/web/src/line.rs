//! The host's end of the line to a board: core's packets, over whatever the page has for a line.

use heartlens::device::CALIBRATION;
use heartlens_core::link::{
    FromDevice, FromHost, PACKET_MAX, Receiver, SAMPLES_MAX, Sender, Start, Status, VERSION,
    WINDOW_SAMPLES,
};
use heartlens_core::patient::Patient;
use heartlens_core::spec;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

/// Samples that may be under way at most.
#[wasm_bindgen]
pub fn window_samples() -> u32 {
    WINDOW_SAMPLES
}

/// A conversation with a board.
#[wasm_bindgen]
pub struct Line {
    sender: Sender,
    receiver: Receiver,
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

#[wasm_bindgen]
impl Line {
    /// At its start.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self {
            sender: Sender::new(),
            receiver: Receiver::new(),
        }
    }

    /// The greeting; a zero goes ahead, which ends whatever was left unfinished.
    pub fn hello(&mut self) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(self.packet(&FromHost::Hello));
        bytes
    }

    /// A recording begins.
    pub fn start(&mut self) -> Vec<u8> {
        self.packet(&FromHost::Start(Start::new(
            CALIBRATION,
            Patient::default(),
        )))
    }

    /// Samples from place `first` on, in packets.
    pub fn samples(&mut self, first: u32, counts: &[i16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (place, counts) in counts.chunks(SAMPLES_MAX).enumerate() {
            let counts: Vec<u8> = counts
                .iter()
                .flat_map(|count| count.to_le_bytes())
                .collect();
            bytes.extend(self.packet(&FromHost::Samples {
                first: first + (place * SAMPLES_MAX) as u32,
                counts: &counts,
            }));
        }
        bytes
    }

    /// How far are you?
    pub fn query(&mut self) -> Vec<u8> {
        self.packet(&FromHost::Query)
    }

    /// The recording is over.
    pub fn finish(&mut self, samples: u32) -> Vec<u8> {
        self.packet(&FromHost::Finish { samples })
    }

    /// Takes bytes from the board, and tells the messages that they complete, as a JSON list. Bytes that make no packet of
    /// this version of the link are told as `corrupted`.
    pub fn receive(&mut self, bytes: &[u8]) -> String {
        let mut messages = Vec::new();
        for byte in bytes {
            let before = self.receiver.counts().corrupted;
            let message = self
                .receiver
                .push::<FromDevice<'_>>(*byte)
                .map(|(message, _)| object(&message));
            messages.extend(message);
            if self.receiver.counts().corrupted > before {
                messages.push(json!({"kind": "corrupted", "version": VERSION}));
            }
        }
        Value::from(messages).to_string()
    }

    fn packet(&mut self, message: &FromHost<'_>) -> Vec<u8> {
        let mut buffer = [0; PACKET_MAX];
        let packet = self.sender.packet(message, &mut buffer);
        packet.map(<[u8]>::to_vec).unwrap_or_default()
    }
}

fn object(message: &FromDevice<'_>) -> Value {
    match message {
        FromDevice::Hello {
            spec_hash,
            board,
            model,
        } => json!({
            "kind": "hello",
            "board": board,
            "model": model,
            "same_features": *spec_hash == spec::HASH,
        }),
        FromDevice::Status(status) => progress("status", status),
        FromDevice::Finished(status) => progress("finished", status),
        FromDevice::Beat(beat) => json!({
            "kind": "beat",
            "sample": beat.sample,
            "class": beat.class().map(|class| class.name()),
            "scores": beat.scores,
            "fibrillation": beat.fibrillation,
            "rr_ms": beat.rr_samples.map(|rr| f64::from(rr) * 1000.0 / f64::from(spec::SAMPLE_RATE_HZ)),
            "quality": beat.quality,
        }),
        FromDevice::Gap { expected, found } => {
            json!({"kind": "gap", "expected": expected, "found": found})
        }
        FromDevice::ModelNext { .. } | FromDevice::ModelReady { .. } => json!({"kind": "model"}),
        FromDevice::Refused { reason } => json!({"kind": "refused", "reason": reason}),
    }
}

fn progress(kind: &str, status: &Status) -> Value {
    json!({
        "kind": kind,
        "next_sample": status.next_sample,
        "beats": status.beats,
        "gaps": status.gaps,
    })
}
