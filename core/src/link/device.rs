//! The device's end of the line: a classifier, a place for models, and what to do with each message.

use super::frame::{Counts, PACKET_MAX, Receiver, Sender};
use super::message::{BeatReport, FromDevice, FromHost, SAMPLES_MAX, Status};
use crate::classifier::{Beat, Classifier, Network};
use crate::detector::Detector;
use crate::patient::Patient;
use crate::rhythm;
use crate::sample::Calibration;
use crate::spec::{self, SAMPLE_RATE_HZ};
use core::fmt::{Display, Write as _};

/// Longest reason of a refusal, in bytes; what is longer is cut.
const REASON_MAX: usize = 128;

/// The machine that a [`Device`] runs on.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// Its name.
    pub name: &'static str,
    /// Instructions executed, modulo 2^32; constant where the machine does not count them.
    pub instructions: fn() -> u32,
}

/// Where a [`Device`] puts a model that comes over the line, and from where its network `N` gets it.
pub trait ModelStore<N> {
    /// Why a model is refused.
    type Error: Display;

    /// The name of the model in use.
    fn name<'a>(&'a self, network: &'a N) -> &'a str;

    /// Makes room for a model of so many bytes with this CRC-32.
    ///
    /// # Errors
    /// When it cannot have one, or not one so large.
    fn begin(&mut self, bytes: u32, crc: u32) -> Result<(), Self::Error>;

    /// Takes the part of the model at `offset`, and gives the offset at which it waits for the next: the same again
    /// where the part was not the one it waits for.
    ///
    /// # Errors
    /// When no model was begun, the part reaches beyond it, or it cannot be written.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Self::Error>;

    /// Verifies the model and makes `network` use it.
    ///
    /// # Errors
    /// When it is not whole or not a model for this device; the old one stays in use.
    fn end(&mut self, network: &mut N) -> Result<(), Self::Error>;

    /// Called after every beat: the model in use has classified one.
    fn classified(&mut self);
}

/// The device's end of the line. [`receive`](Self::receive) is called for every byte.
///
/// Samples between two gaps are a recording of their own: no beat, template or rhythm reaches across a gap.
#[derive(Debug)]
pub struct Device<'a, N> {
    receiver: Receiver,
    line: Line,
    work: Work<'a, N>,
}

/// What the device sends.
#[derive(Debug)]
struct Line {
    sender: Sender,
    buffer: [u8; PACKET_MAX],
}

/// The recording under way.
#[derive(Debug)]
struct Work<'a, N> {
    board: Board,
    calibration: Option<Calibration>,
    patient: Patient,
    /// Of the segment under way.
    classifier: Classifier<'a, N>,
    /// Where in the recording the segment's first sample was.
    origin: u32,
    next_sample: u32,
    beats: u32,
    gaps: u32,
}

impl<'a, N> Device<'a, N> {
    /// A device that waits for a host.
    pub const fn new(board: Board, network: N, rhythm: Option<rhythm::Model<'a>>) -> Self {
        let patient = Patient {
            age_years: None,
            sex: None,
        };
        Self {
            receiver: Receiver::new(),
            line: Line {
                sender: Sender::new(),
                buffer: [0; PACKET_MAX],
            },
            work: Work {
                board,
                calibration: None,
                patient,
                classifier: Classifier::new(network, rhythm, patient),
                origin: 0,
                next_sample: 0,
                beats: 0,
                gaps: 0,
            },
        }
    }
}

impl<N: Network> Device<'_, N> {
    /// Takes the next byte off the line, does what the message that it may complete asks for, and puts the answers on
    /// the line by `write`, a packet a call. The store is the same in all calls.
    pub fn receive<S: ModelStore<N>>(
        &mut self,
        byte: u8,
        store: &mut S,
        mut write: impl FnMut(&[u8]),
    ) {
        let Self {
            receiver,
            line,
            work,
        } = self;
        let Some((message, counts)) = receiver.push::<FromHost<'_>>(byte) else {
            return;
        };
        let mut send = |message: &FromDevice<'_>| line.send(message, &mut write);
        let told = match message {
            FromHost::Hello => {
                work.calibration = None;
                send(&FromDevice::Hello {
                    spec_hash: spec::HASH,
                    board: work.board.name,
                    model: store.name(work.classifier.network()),
                });
                Ok(())
            }
            FromHost::Start(start) => match start.calibration() {
                Some(calibration) => {
                    work.start(calibration, start.patient());
                    send(&FromDevice::Status(work.status(counts)));
                    Ok(())
                }
                None => Err(Refusal::Calibration),
            },
            FromHost::Samples { first, counts: new } => {
                work.samples(first, new, store, &mut send);
                send(&FromDevice::Status(work.status(counts)));
                Ok(())
            }
            FromHost::Query => {
                send(&FromDevice::Status(work.status(counts)));
                Ok(())
            }
            FromHost::Finish { samples } => {
                work.finish(samples, store, &mut send);
                send(&FromDevice::Finished(work.status(counts)));
                Ok(())
            }
            FromHost::ModelStart { bytes, crc } => store
                .begin(bytes, crc)
                .map(|()| send(&FromDevice::ModelNext { offset: 0 }))
                .map_err(Refusal::Store),
            FromHost::ModelPart { offset, bytes } => store
                .write(offset, bytes)
                .map(|offset| send(&FromDevice::ModelNext { offset }))
                .map_err(Refusal::Store),
            FromHost::ModelEnd => match store.end(work.classifier.network_mut()) {
                Ok(()) => {
                    // No beat may owe its class to two models.
                    work.calibration = None;
                    send(&FromDevice::ModelReady {
                        model: store.name(work.classifier.network()),
                    });
                    Ok(())
                }
                Err(error) => Err(Refusal::Store(error)),
            },
        };
        if let Err(refusal) = told {
            let mut reason = Reason::default();
            // What does not fit is cut.
            let _ = write!(reason, "{refusal}");
            send(&FromDevice::Refused {
                reason: reason.0.as_str(),
            });
        }
    }
}

/// Why a device will not do what it was told.
enum Refusal<E> {
    Calibration,
    Store(E),
}

impl<E: Display> Display for Refusal<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Calibration => f.write_str("counts per millivolt: must be finite and not zero"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

/// A text that is cut where it grows too long.
#[derive(Default)]
struct Reason(heapless::String<REASON_MAX>);

impl core::fmt::Write for Reason {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.chars()
            .try_for_each(|character| self.0.push(character))
            .map_err(|_| core::fmt::Error)
    }
}

impl Line {
    fn send(&mut self, message: &FromDevice<'_>, write: &mut impl FnMut(&[u8])) {
        // Names are the only messages' parts of any length; a device whose names fit no packet stays silent.
        if let Some(bytes) = self.sender.packet(message, &mut self.buffer) {
            write(bytes);
        }
    }
}

impl<N> Work<'_, N> {
    fn start(&mut self, calibration: Calibration, patient: Patient) {
        self.calibration = Some(calibration);
        self.patient = patient;
        (self.next_sample, self.beats, self.gaps) = (0, 0, 0);
        self.restart(0);
    }

    /// A new segment begins at `origin`.
    #[inline(never)]
    fn restart(&mut self, origin: u32) {
        self.origin = origin;
        self.classifier.restart(Detector::new(), self.patient);
    }

    fn status(&self, counts: Counts) -> Status {
        Status {
            next_sample: self.next_sample,
            beats: self.beats,
            gaps: self.gaps,
            counts,
        }
    }
}

impl<N: Network> Work<'_, N> {
    /// Takes samples of which the first is at `first`. Those that came before are passed over; where some are missing,
    /// the segment before them ends and a new one begins.
    fn samples<S: ModelStore<N>>(
        &mut self,
        first: u32,
        counts: &[u8],
        store: &mut S,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        let Some(calibration) = self.calibration else {
            return;
        };
        let expected = self.next_sample;
        if first > expected {
            self.end_segment(store, send);
            self.restart(first);
            self.next_sample = first;
            self.gaps += 1;
            send(&FromDevice::Gap {
                expected,
                found: first,
            });
        }
        let known = expected.saturating_sub(first) as usize;
        let (counts, _) = counts.as_chunks::<2>();
        for count in counts.iter().take(SAMPLES_MAX).skip(known) {
            self.next_sample = self.next_sample.saturating_add(1);
            let sample_mv = calibration.sample_mv(i16::from_le_bytes(*count));
            self.next_beat(Some(sample_mv), store, send);
        }
    }

    /// Ends a recording of so many samples. Where the last ones are missing, so is a beat that needs them.
    fn finish<S: ModelStore<N>>(
        &mut self,
        samples: u32,
        store: &mut S,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        if self.calibration.is_none() {
            return;
        }
        self.end_segment(store, send);
        self.calibration = None;
        let expected = self.next_sample;
        if samples > expected {
            self.gaps += 1;
            send(&FromDevice::Gap {
                expected,
                found: samples,
            });
        }
    }

    fn end_segment<S: ModelStore<N>>(
        &mut self,
        store: &mut S,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        self.classifier.finish();
        while self.next_beat(None, store, send) {}
    }

    /// Takes a sample, or what is left after the last, and reports the beat that it gives, if any.
    #[inline(never)]
    fn next_beat<S: ModelStore<N>>(
        &mut self,
        sample_mv: Option<f32>,
        store: &mut S,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) -> bool {
        if let Some(sample_mv) = sample_mv {
            self.classifier.take(sample_mv);
        }
        let from = (self.board.instructions)();
        let Some(beat) = self.classifier.poll() else {
            return false;
        };
        let instructions = (self.board.instructions)().wrapping_sub(from);
        store.classified();
        self.beats = self.beats.saturating_add(1);
        send(&FromDevice::Beat(BeatReport::new(
            &beat,
            self.origin,
            instructions,
        )));
        true
    }
}

impl BeatReport {
    /// The report on a beat of a segment that begins at `origin`, in samples of the recording.
    pub fn new(beat: &Beat, origin: u32, instructions: u32) -> Self {
        Self {
            sample: origin.saturating_add(beat.r_sample),
            class: beat.class as u8,
            logits: beat.logits,
            scores: beat.probabilities,
            fibrillation: beat.fibrillation,
            rr_samples: beat.rr_s.map(|rr_s| (rr_s * SAMPLE_RATE_HZ as f32) as u32),
            quality: beat.quality.score,
            instructions,
        }
    }
}
