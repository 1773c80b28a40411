//! What host and device say to each other.

use super::frame::Counts;
use crate::class::Class;
use crate::patient::{Patient, Sex};
use crate::sample::Calibration;
use crate::spec::LABELS;
use serde::{Deserialize, Serialize};

/// Version of the packets and messages. Both ends must have the same.
pub const VERSION: u8 = 2;

/// Most samples in one packet (half a second).
pub const SAMPLES_MAX: usize = 64;
/// Most bytes of a model in one packet; a multiple of every flash's smallest write.
pub const PART_MAX: usize = 128;
/// A host sends at most so many samples beyond the last one that the device has acknowledged (4 s).
pub const WINDOW_SAMPLES: u32 = 512;

/// Something that travels in a packet.
pub trait Message {
    /// Whether it starts a conversation: its sequence number is taken as it is.
    fn opens(&self) -> bool;
}

/// What a host says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FromHost<'a> {
    /// Who is there? Whatever was begun before is dropped. The device answers with [`FromDevice::Hello`].
    Hello,
    /// A recording begins. The device answers with [`FromDevice::Status`].
    Start(Start),
    /// Samples at the canonical rate. The device answers with [`FromDevice::Status`], beats before it.
    Samples {
        /// Position of the first of them in the recording.
        first: u32,
        /// Counts, i16 each, little-endian; [`crate::sample::MISSING`] is no signal. At most [`SAMPLES_MAX`] of them.
        counts: &'a [u8],
    },
    /// How far are you? The device answers with [`FromDevice::Status`].
    Query,
    /// The recording is over. The device answers with its last beats and [`FromDevice::Finished`].
    Finish {
        /// Samples of the whole recording.
        samples: u32,
    },
    /// A model is about to come. The device makes room and answers with [`FromDevice::ModelNext`].
    ModelStart {
        /// Its length in bytes.
        bytes: u32,
        /// CRC-32 (ISO-HDLC) over all of it.
        crc: u32,
    },
    /// A part of the model. The device answers with [`FromDevice::ModelNext`].
    ModelPart {
        /// Position of its first byte.
        offset: u32,
        /// At most [`PART_MAX`] bytes; a multiple of 16 in all parts but the last.
        bytes: &'a [u8],
    },
    /// That was all of it: verify it and switch to it. The device answers with [`FromDevice::ModelReady`].
    ModelEnd,
}

impl Message for FromHost<'_> {
    fn opens(&self) -> bool {
        matches!(self, Self::Hello)
    }
}

/// What a device must know of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Start {
    counts_per_mv: f32,
    zero: i32,
    age_years: Option<f32>,
    female: Option<bool>,
}

impl Start {
    /// A recording with counts of this calibration, of this patient.
    pub fn new(calibration: Calibration, patient: Patient) -> Self {
        Self {
            counts_per_mv: calibration.counts_per_mv,
            zero: calibration.zero,
            age_years: patient.age_years,
            female: patient.sex.map(|sex| sex == Sex::Female),
        }
    }

    /// How its counts become millivolts; `None` where they cannot.
    pub fn calibration(&self) -> Option<Calibration> {
        let Self {
            counts_per_mv,
            zero,
            ..
        } = *self;
        (counts_per_mv.is_finite() && counts_per_mv != 0.0).then_some(Calibration {
            counts_per_mv,
            zero,
        })
    }

    /// The patient; an age that is no number is not known.
    pub fn patient(&self) -> Patient {
        Patient {
            age_years: self.age_years.filter(|age| age.is_finite()),
            sex: self
                .female
                .map(|female| if female { Sex::Female } else { Sex::Male }),
        }
    }
}

/// What a device says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum FromDevice<'a> {
    /// The answer to [`FromHost::Hello`].
    Hello {
        /// [`crate::spec::HASH`] of the device's features.
        spec_hash: u64,
        /// The board's name.
        board: &'a str,
        /// The model's name.
        model: &'a str,
    },
    /// How far the device is.
    Status(Status),
    /// A beat.
    Beat(BeatReport),
    /// Samples are missing: what came before is over, and a new stretch begins at `found`.
    Gap {
        /// Position of the first missing sample.
        expected: u32,
        /// Position of the first sample behind the gap.
        found: u32,
    },
    /// The recording is over and its last beat has been reported.
    Finished(Status),
    /// The device has the model up to here and waits for the part at this offset.
    ModelNext {
        /// In bytes.
        offset: u32,
    },
    /// The model has been verified and is in use.
    ModelReady {
        /// Its name.
        model: &'a str,
    },
    /// The device will not do what it was told.
    Refused {
        /// Why, for eyes.
        reason: &'a str,
    },
}

impl Message for FromDevice<'_> {
    fn opens(&self) -> bool {
        matches!(self, Self::Hello { .. })
    }
}

/// How far a device is with its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Position of the sample that it waits for.
    pub next_sample: u32,
    /// Beats reported since the recording began.
    pub beats: u32,
    /// Gaps found since the recording began.
    pub gaps: u32,
    /// What came of the packets since the conversation began.
    pub counts: Counts,
}

/// A beat as a device reports it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BeatReport {
    /// Position of the R peak in the recording, in samples.
    pub sample: u32,
    /// Its class, as its place in [`Class::ALL`].
    pub class: u8,
    /// The network's, one a class of [`LABELS`].
    pub logits: [f32; LABELS.len()],
    /// Probabilities, one a class of [`LABELS`], weighed by the rhythm.
    pub scores: [f32; LABELS.len()],
    /// Whether it lies in atrial fibrillation; `None` as long as that is not known.
    pub fibrillation: Option<bool>,
    /// RR interval since the beat before, in samples; `None` at the first of a stretch.
    pub rr_samples: Option<u32>,
    /// The signal's quality around it, 0..=1.
    pub quality: f32,
    /// Instructions spent on it, views, model and rhythm; cycles where a board counts those, 0 where it counts neither.
    pub instructions: u32,
}

impl BeatReport {
    /// Its class; `None` where the number means none.
    pub fn class(&self) -> Option<Class> {
        Class::ALL.get(usize::from(self.class)).copied()
    }
}
