//! Talking to a device over a serial line: samples go in, beats come out, and a model can be exchanged.
//!
//! A *packet* is one message with its sequence number, in the [postcard](https://postcard.jamesmunns.com/wire-format)
//! format; a CRC-32 follows, and COBS keeps zero for the end of the packet:
//!
//! | field | type | what |
//! |---|---|---|
//! | version | u8 | [`VERSION`]; what another version sends is counted as corrupted |
//! | sequence | varint u16 | one more than that of the packet before, modulo 2^16 |
//! | message | postcard | [`FromHost`] or [`FromDevice`] |
//! | crc | u32, little-endian | CRC-32 (ISO-HDLC) over all of the above |
//!
//! Both ends use [`Sender`] and [`Receiver`]. A receiver drops what is corrupted or comes twice, notices what is
//! missing, counts all three and is in step again at the next zero byte.
//!
//! Samples are never sent twice: a device that misses some starts over behind the gap ([`Device`]). The parts of a model
//! are repeated until the device has them all.

mod device;
mod frame;
mod message;

pub use device::{Board, Device, ModelStore};
pub use frame::{CRC, Counts, PACKET_MAX, Receiver, Sender};
pub use message::{
    BeatReport, FromDevice, FromHost, Message, PART_MAX, SAMPLES_MAX, Start, Status, VERSION,
    WINDOW_SAMPLES,
};
