//! Packets: framed, numbered, checked.

use super::message::{Message, PART_MAX, SAMPLES_MAX, VERSION};
use ::crc::Crc;
use postcard::ser_flavors::{Cobs, Slice, crc::CrcModifier};
use serde::{Deserialize, Serialize};

/// The check of packets and of transmitted models.
pub const CRC: Crc<u32> = crate::crc::CRC_OF_MODELS;

/// Room for any packet as it is on the line, in bytes, its closing zero included.
pub const PACKET_MAX: usize = 192;

/// Version, sequence number, tag, offset and length of the longest messages, CRC, and what COBS adds.
const OVERHEAD_MAX: usize = 1 + 3 + 1 + 5 + 2 + 4 + 2;
const _: () = assert!(PACKET_MAX >= OVERHEAD_MAX + PART_MAX && PART_MAX >= 2 * SAMPLES_MAX);

/// A sequence number this far behind the expected one, or less, is a packet that came twice.
const DOUBLED_MAX: u16 = 64;

/// What came of the packets so far. Each counter stops at its largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Packets received whole, each once.
    pub received: u32,
    /// Packets that should have come and did not; corrupted ones are among them.
    pub lost: u32,
    /// Packets that came again.
    pub doubled: u32,
    /// Stretches between two zeros that are no packet.
    pub corrupted: u32,
}

#[derive(Serialize, Deserialize)]
struct Packet<T> {
    version: u8,
    sequence: u16,
    message: T,
}

/// Numbers and frames what one end sends.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    sequence: u16,
}

impl Sender {
    /// At the start of a conversation.
    pub const fn new() -> Self {
        Self { sequence: 0 }
    }

    /// The message as the bytes to put on the line, in `buffer`; `None`, with nothing used up, where it is longer than
    /// [`PACKET_MAX`] allows.
    pub fn packet<'b>(
        &mut self,
        message: &impl Serialize,
        buffer: &'b mut [u8; PACKET_MAX],
    ) -> Option<&'b [u8]> {
        let packet = Packet {
            version: VERSION,
            sequence: self.sequence,
            message,
        };
        let framed = Cobs::try_new(Slice::new(buffer)).ok()?;
        let checked = CrcModifier::new(framed, CRC.digest());
        let bytes = postcard::serialize_with_flavor(&packet, checked).ok()?;
        self.sequence = self.sequence.wrapping_add(1);
        Some(bytes)
    }
}

/// Finds the packets in what one end receives, byte by byte, in fixed memory.
#[derive(Debug, Clone)]
pub struct Receiver {
    buffer: [u8; PACKET_MAX],
    len: usize,
    /// The sequence number of the next packet, once there was one.
    expected: Option<u16>,
    counts: Counts,
}

impl Receiver {
    /// At the start of a conversation.
    pub const fn new() -> Self {
        Self {
            buffer: [0; PACKET_MAX],
            len: 0,
            expected: None,
            counts: Counts {
                received: 0,
                lost: 0,
                doubled: 0,
                corrupted: 0,
            },
        }
    }

    /// What came of the packets since the start, or since a packet that [opens](Message::opens) a conversation.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes the next byte, and gives the message of the packet that it completes, if any, with the counts up to it.
    pub fn push<'a, T: Message + Deserialize<'a>>(&'a mut self, byte: u8) -> Option<(T, Counts)> {
        if byte != 0 {
            if let Some(place) = self.buffer.get_mut(self.len) {
                *place = byte;
            }
            // A packet too long for the buffer stays so until its zero.
            self.len = (self.len + 1).min(PACKET_MAX + 1);
            return None;
        }
        let len = core::mem::take(&mut self.len);
        if len == 0 {
            return None;
        }
        let (counts, expected) = (&mut self.counts, &mut self.expected);
        let packet = match self.buffer.get_mut(..len).map(decode::<T>) {
            Some(Some(packet)) => packet,
            _ => {
                add(&mut counts.corrupted, 1);
                return None;
            }
        };
        if packet.message.opens() {
            *counts = Counts::default();
        } else if let Some(expected) = *expected {
            let ahead = packet.sequence.wrapping_sub(expected);
            if ahead >= DOUBLED_MAX.wrapping_neg() {
                add(&mut counts.doubled, 1);
                return None;
            }
            add(&mut counts.lost, ahead.into());
        }
        *expected = Some(packet.sequence.wrapping_add(1));
        add(&mut counts.received, 1);
        Some((packet.message, *counts))
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

fn add(counter: &mut u32, count: u32) {
    *counter = counter.saturating_add(count);
}

/// The packet in what came between two zeros.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a mut [u8]) -> Option<Packet<T>> {
    let len = cobs::decode_in_place(bytes).ok()?;
    let (packet, rest): (Packet<T>, _) =
        postcard::take_from_bytes_crc32(bytes.get(..len)?, CRC.digest()).ok()?;
    (packet.version == VERSION && rest.is_empty()).then_some(packet)
}
