//! The host's end of the line.

use super::CALIBRATION;
use super::port::{Port, is_wait};
use heartlens_core::link::{
    BeatReport, CRC, Counts, FromDevice, FromHost, PACKET_MAX, PART_MAX, Receiver, SAMPLES_MAX,
    Sender, Start, Status, WINDOW_SAMPLES,
};
use heartlens_core::patient::Patient;
use heartlens_core::spec;
use std::io;
use std::time::{Duration, Instant};

/// How long an answer may take; erasing the flash for a model takes a device the longest.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often something is asked before the device counts as silent.
const ATTEMPTS: usize = 5;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The line failed.
    #[error("the line failed: {0}")]
    Line(#[from] io::Error),
    /// There is no answer.
    #[error(
        "no answer to {question} within {} ms, {ATTEMPTS} times; is the firmware `serial` running there, and the port \
         free?",
        patience.as_millis()
    )]
    Silent {
        /// What was asked.
        question: &'static str,
        /// How long it was waited for each time.
        patience: Duration,
    },
    /// The device computes other features.
    #[error(
        "the device's features are {found:016x}, this build's are {expected:016x}; flash a firmware of this version"
    )]
    Spec {
        /// The device's hash of its specification.
        found: u64,
        /// This build's.
        expected: u64,
    },
    /// The device refused.
    #[error("the device refuses: {0}")]
    Refused(String),
    /// The device's reports of gaps were lost on the line.
    #[error(
        "the device told of {expected} gaps, and {found} of these messages arrived; send the record again"
    )]
    GapsLost {
        /// Messages that arrived.
        found: usize,
        /// Gaps that the device counted.
        expected: u32,
    },
    /// Messages are too long for a packet. Never happens with the messages of this crate.
    #[error("a message does not fit a packet")]
    TooLong,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The board's name.
    pub board: String,
    /// The name of its model.
    pub model: String,
}

/// What came of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Streamed {
    /// The beats that the device reported.
    pub beats: Vec<BeatReport>,
    /// The gaps that it found: the first missing sample, and the first behind it.
    pub gaps: Vec<(u32, u32)>,
    /// How it ended, by the device's own count.
    pub status: Status,
    /// What came of the packets to the host.
    pub from_device: Counts,
}

/// What a device said, for longer than its packet.
enum Answer {
    Hello { spec_hash: u64, hello: Hello },
    Status(Status),
    Beat(BeatReport),
    Gap(u32, u32),
    Finished(Status),
    ModelNext(u32),
    ModelReady(String),
    Refused(String),
}

impl From<FromDevice<'_>> for Answer {
    fn from(message: FromDevice<'_>) -> Self {
        match message {
            FromDevice::Hello {
                spec_hash,
                board,
                model,
            } => Self::Hello {
                spec_hash,
                hello: Hello {
                    board: board.to_owned(),
                    model: model.to_owned(),
                },
            },
            FromDevice::Status(status) => Self::Status(status),
            FromDevice::Beat(beat) => Self::Beat(beat),
            FromDevice::Gap { expected, found } => Self::Gap(expected, found),
            FromDevice::Finished(status) => Self::Finished(status),
            FromDevice::ModelNext { offset } => Self::ModelNext(offset),
            FromDevice::ModelReady { model } => Self::ModelReady(model.to_owned()),
            FromDevice::Refused { reason } => Self::Refused(reason.to_owned()),
        }
    }
}

/// A line to a device, and what is known of both directions.
pub struct Conversation<P> {
    port: P,
    patience: Duration,
    sender: Sender,
    receiver: Receiver,
    counts: Counts,
    /// Bytes that were read and not yet looked at, the next one last.
    unread: Vec<u8>,
}

impl<P: Port> Conversation<P> {
    /// Greets the device.
    ///
    /// # Errors
    /// When there is no answer, or the device computes other features than this build.
    pub fn open(port: P) -> Result<(Self, Hello), DeviceError> {
        Self::with_patience(port, PATIENCE)
    }

    /// The same, with another time that an answer may take.
    pub(super) fn with_patience(port: P, patience: Duration) -> Result<(Self, Hello), DeviceError> {
        let mut conversation = Self {
            port,
            patience,
            sender: Sender::new(),
            receiver: Receiver::new(),
            counts: Counts::default(),
            unread: Vec::new(),
        };
        // Ends whatever a conversation before has left unfinished.
        conversation.port.write_all(&[0])?;
        let (found, hello) =
            conversation.ask("who is there", FromHost::Hello, |answer| match answer {
                Answer::Hello { spec_hash, hello } => Some((spec_hash, hello)),
                _ => None,
            })?;
        if found != spec::HASH {
            return Err(DeviceError::Spec {
                found,
                expected: spec::HASH,
            });
        }
        Ok((conversation, hello))
    }

    /// Sends a recording, counts of [`CALIBRATION`] at the canonical rate, and gathers what the device makes of it.
    /// `progress` is told how many samples the device has.
    ///
    /// # Errors
    /// When the device falls silent or refuses, or the line fails.
    pub fn stream(
        &mut self,
        counts: &[i16],
        patient: Patient,
        mut progress: impl FnMut(u32),
    ) -> Result<Streamed, DeviceError> {
        let start = FromHost::Start(Start::new(CALIBRATION, patient));
        self.ask("a new recording", start, |answer| match answer {
            Answer::Status(_) => Some(()),
            _ => None,
        })?;
        let (mut beats, mut gaps) = (Vec::new(), Vec::new());
        let mut gather = |answer: &Answer| match answer {
            Answer::Beat(beat) => beats.push(*beat),
            Answer::Gap(expected, found) => gaps.push((*expected, *found)),
            _ => {}
        };
        let (mut sent, mut acknowledged) = (0, 0);
        let mut chunks = counts.chunks(SAMPLES_MAX).peekable();
        while chunks.peek().is_some() {
            while let Some(chunk) = chunks.next_if(|_| sent - acknowledged < WINDOW_SAMPLES) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|count| count.to_le_bytes()).collect();
                self.say(&FromHost::Samples {
                    first: sent,
                    counts: &bytes,
                })?;
                sent += chunk.len() as u32;
            }
            match self.next(Instant::now() + self.patience)? {
                Some(Answer::Status(status)) => acknowledged = status.next_sample.min(sent),
                Some(Answer::Refused(reason)) => return Err(DeviceError::Refused(reason)),
                Some(answer) => gather(&answer),
                None => {
                    self.ask("how far it is", FromHost::Query, |answer| {
                        gather(&answer);
                        matches!(answer, Answer::Status(_)).then_some(())
                    })?;
                    // Nothing is under way any more; what has not arrived is lost.
                    acknowledged = sent;
                }
            }
            progress(acknowledged);
        }
        let finish = FromHost::Finish { samples: sent };
        let status = self.ask("the end", finish, |answer| {
            gather(&answer);
            match answer {
                Answer::Finished(status) => Some(status),
                _ => None,
            }
        })?;
        progress(sent);
        if gaps.len() != status.gaps as usize {
            return Err(DeviceError::GapsLost {
                found: gaps.len(),
                expected: status.gaps,
            });
        }
        Ok(Streamed {
            beats,
            gaps,
            status,
            from_device: self.counts,
        })
    }

    /// Gives the device another model, and the name by which it then knows it. `progress` is told how many bytes the
    /// device has.
    ///
    /// # Errors
    /// When the device refuses it or falls silent, or the line fails; the device then goes on with the model before.
    pub fn upload(
        &mut self,
        image: &[u8],
        mut progress: impl FnMut(usize),
    ) -> Result<String, DeviceError> {
        let next = |answer| match answer {
            Answer::ModelNext(offset) => Some(offset as usize),
            _ => None,
        };
        let mut offset = self.ask(
            "room for a model",
            FromHost::ModelStart {
                bytes: image.len() as u32,
                crc: CRC.checksum(image),
            },
            next,
        )?;
        while let Some(rest) = image.get(offset..).filter(|rest| !rest.is_empty()) {
            let part = FromHost::ModelPart {
                offset: offset as u32,
                bytes: &rest[..rest.len().min(PART_MAX)],
            };
            offset = self.ask("a part of a model", part, next)?;
            progress(offset);
        }
        self.ask(
            "the model's end",
            FromHost::ModelEnd,
            |answer| match answer {
                Answer::ModelReady(name) => Some(name),
                _ => None,
            },
        )
    }

    /// Says something until `wanted` finds the answer among what the device says.
    fn ask<T>(
        &mut self,
        question: &'static str,
        message: FromHost<'_>,
        mut wanted: impl FnMut(Answer) -> Option<T>,
    ) -> Result<T, DeviceError> {
        for _ in 0..ATTEMPTS {
            self.say(&message)?;
            let until = Instant::now() + self.patience;
            while let Some(answer) = self.next(until)? {
                if let Answer::Refused(reason) = answer {
                    return Err(DeviceError::Refused(reason));
                }
                if let Some(answer) = wanted(answer) {
                    return Ok(answer);
                }
            }
        }
        Err(DeviceError::Silent {
            question,
            patience: self.patience,
        })
    }

    fn say(&mut self, message: &FromHost<'_>) -> Result<(), DeviceError> {
        let mut buffer = [0; PACKET_MAX];
        let packet = self
            .sender
            .packet(message, &mut buffer)
            .ok_or(DeviceError::TooLong)?;
        self.port.write_all(packet)?;
        Ok(self.port.flush()?)
    }

    /// What the device says next; `None` where it says nothing for so long.
    fn next(&mut self, until: Instant) -> Result<Option<Answer>, DeviceError> {
        loop {
            while let Some(byte) = self.unread.pop() {
                let Some((message, counts)) = self.receiver.push::<FromDevice<'_>>(byte) else {
                    continue;
                };
                self.counts = counts;
                return Ok(Some(message.into()));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            let mut bytes = [0; 512];
            match self.port.read(&mut bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => self.unread.extend(bytes[..count].iter().rev()),
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
