//! The device's end of the line: a monitor, a model, and what to do with each message.

use super::frame::{Counts, PACKET_MAX, Receiver, Sender};
use super::message::{BeatReport, FromDevice, FromHost, SAMPLES_MAX, Status};
use super::millivolts;
use crate::model::softmax;
use crate::monitor::{Monitor, MonitoredBeat};
use crate::patient::Patient;
use crate::rhythm::{Network, Observation, Rhythm, Rules};
use crate::sample::Calibration;
use crate::spec::{self, LABELS, SAMPLE_RATE_HZ};
use crate::views::Views;
use core::fmt::{Display, Write as _};

/// Longest reason of a refusal, in bytes; what is longer is cut.
const REASON_MAX: usize = 128;

/// What a [`Device`] needs of the machine that it runs on: a network, and a place to put another one.
pub trait Engine {
    /// Why a model is refused.
    type Error: Display;

    /// The board's name.
    fn board(&self) -> &'static str;

    /// The name of the model in use.
    fn model(&self) -> &str;

    /// The network's logits for one beat.
    fn logits(&mut self, views: &Views) -> [f32; LABELS.len()];

    /// The network that tells the rhythm; `None` where there is none.
    fn rhythm(&self) -> Option<Network<'_>>;

    /// Instructions executed, modulo 2^32; constant where the machine does not count them.
    fn instructions(&self) -> u32;

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

    /// Verifies the model and switches to it.
    ///
    /// # Errors
    /// When it is not whole or not a model for this device; the old one stays in use.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// The device's end of the line. [`receive`](Self::receive) is called for every byte.
///
/// Samples between two gaps are a recording of their own: no beat, template or rhythm reaches across a gap.
#[derive(Debug)]
pub struct Device {
    receiver: Receiver,
    line: Line,
    work: Work,
}

/// What the device sends.
#[derive(Debug)]
struct Line {
    sender: Sender,
    buffer: [u8; PACKET_MAX],
}

/// The recording under way.
#[derive(Debug)]
struct Work {
    calibration: Option<Calibration>,
    patient: Patient,
    /// Of the stretch under way.
    monitor: Option<Monitor>,
    views: Views,
    /// Of the stretch under way.
    rhythm: Rhythm,
    /// Where in the recording the monitor's first sample was.
    origin: u32,
    next_sample: u32,
    beats: u32,
    gaps: u32,
}

impl Device {
    /// A device that waits for a host.
    pub const fn new() -> Self {
        Self {
            receiver: Receiver::new(),
            line: Line {
                sender: Sender::new(),
                buffer: [0; PACKET_MAX],
            },
            work: Work {
                calibration: None,
                patient: Patient {
                    age_years: None,
                    sex: None,
                },
                monitor: None,
                views: Views::ZERO,
                rhythm: Rhythm::new(Rules::SHIPPED),
                origin: 0,
                next_sample: 0,
                beats: 0,
                gaps: 0,
            },
        }
    }

    /// Takes the next byte off the line, does what the message that it may complete asks for, and puts the answers on
    /// the line by `write`, a packet a call. The engine is the same in all calls.
    pub fn receive<E: Engine>(&mut self, byte: u8, engine: &mut E, mut write: impl FnMut(&[u8])) {
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
                    board: engine.board(),
                    model: engine.model(),
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
                work.samples(first, new, engine, &mut send);
                send(&FromDevice::Status(work.status(counts)));
                Ok(())
            }
            FromHost::Query => {
                send(&FromDevice::Status(work.status(counts)));
                Ok(())
            }
            FromHost::Finish { samples } => {
                work.finish(samples, engine, &mut send);
                send(&FromDevice::Finished(work.status(counts)));
                Ok(())
            }
            FromHost::ModelStart { bytes, crc } => engine
                .begin(bytes, crc)
                .map(|()| send(&FromDevice::ModelNext { offset: 0 }))
                .map_err(Refusal::Engine),
            FromHost::ModelPart { offset, bytes } => engine
                .write(offset, bytes)
                .map(|offset| send(&FromDevice::ModelNext { offset }))
                .map_err(Refusal::Engine),
            FromHost::ModelEnd => match engine.end() {
                Ok(()) => {
                    // No beat may owe its class to two models.
                    work.calibration = None;
                    send(&FromDevice::ModelReady {
                        model: engine.model(),
                    });
                    Ok(())
                }
                Err(error) => Err(Refusal::Engine(error)),
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
    Engine(E),
}

impl<E: Display> Display for Refusal<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Calibration => f.write_str("counts per millivolt: must be finite and not zero"),
            Self::Engine(error) => error.fmt(f),
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

impl Work {
    fn start(&mut self, calibration: Calibration, patient: Patient) {
        self.calibration = Some(calibration);
        self.patient = patient;
        (self.next_sample, self.beats, self.gaps) = (0, 0, 0);
        self.restart(0);
    }

    /// A new stretch begins at `origin`.
    fn restart(&mut self, origin: u32) {
        self.origin = origin;
        self.monitor = Some(Monitor::new(self.patient));
        self.rhythm = Rhythm::new(Rules::SHIPPED);
    }

    fn status(&self, counts: Counts) -> Status {
        Status {
            next_sample: self.next_sample,
            beats: self.beats,
            gaps: self.gaps,
            counts,
        }
    }

    /// Takes samples of which the first is at `first`. Those that came before are passed over; where some are missing,
    /// the stretch before them ends and a new one begins.
    // Beats are large: inlined, one would lie in the frame of every caller, below that of the next.
    #[inline(never)]
    fn samples<E: Engine>(
        &mut self,
        first: u32,
        counts: &[u8],
        engine: &mut E,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        let Some(calibration) = self.calibration else {
            return;
        };
        let expected = self.next_sample;
        if first > expected {
            self.end_stretch(engine, send);
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
            let sample_mv = millivolts(&calibration, i16::from_le_bytes(*count));
            let beat = self
                .monitor
                .as_mut()
                .and_then(|monitor| monitor.push(sample_mv));
            // By reference: a beat is large, and a copy would stay on the stack.
            if let Some(beat) = &beat {
                self.report(beat, engine, send);
            }
        }
    }

    /// Ends a recording of so many samples. Where the last ones are missing, so is a beat that needs them.
    fn finish<E: Engine>(
        &mut self,
        samples: u32,
        engine: &mut E,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        if self.calibration.take().is_none() {
            return;
        }
        self.end_stretch(engine, send);
        let expected = self.next_sample;
        if samples > expected {
            self.gaps += 1;
            send(&FromDevice::Gap {
                expected,
                found: samples,
            });
        }
    }

    #[inline(never)]
    fn end_stretch<E: Engine>(&mut self, engine: &mut E, send: &mut impl FnMut(&FromDevice<'_>)) {
        if let Some(monitor) = &mut self.monitor {
            monitor.finish();
        }
        while let Some(beat) = &self.monitor.as_mut().and_then(Monitor::poll) {
            self.report(beat, engine, send);
        }
    }

    fn report<E: Engine>(
        &mut self,
        beat: &MonitoredBeat,
        engine: &mut E,
        send: &mut impl FnMut(&FromDevice<'_>),
    ) {
        let before = engine.instructions();
        self.views.compute(&beat.frame);
        let logits = engine.logits(&self.views);
        let verdict = self.rhythm.push(
            engine.rhythm(),
            &Observation::from(&beat.frame),
            &softmax(&logits),
            beat.quality.is_readable(),
        );
        let instructions = engine.instructions().wrapping_sub(before);
        self.beats = self.beats.saturating_add(1);
        send(&FromDevice::Beat(BeatReport {
            sample: self.origin.saturating_add(beat.frame.r_sample),
            class: verdict.class as u8,
            logits,
            scores: verdict.probabilities,
            fibrillation: verdict.fibrillation,
            rr_samples: beat
                .frame
                .pre_rr_s
                .map(|rr_s| (rr_s * SAMPLE_RATE_HZ as f32) as u32),
            quality: beat.quality.score,
            instructions,
        }));
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}
