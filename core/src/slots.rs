//! Two slots for a model in flash: one in use, one to receive the next, and no moment at which a power cut leaves neither.
//!
//! Each slot is a number of erase pages:
//!
//! | offset | what |
//! |---|---|
//! | 0 | magic `HLSL` |
//! | 4 | generation: the slot with the higher one was written later (u32) |
//! | 8 | length of the model, in bytes (u32) |
//! | 12 | CRC-32 (ISO-HDLC) over the model (u32) |
//! | 16 | CRC-32 over the 16 bytes before (u32), then ones up to 32 |
//! | 32 | *tried*: ones until the model is first used |
//! | 48 | *confirmed*: ones until it has classified a beat, then zeros |
//! | 64 | the model |
//!
//! All numbers are little-endian. Every field of 16 bytes is written at most once between two erasures, as flash demands.
//! A new model is written to the slot that is not in use, header last, so that before that write the slot is empty and
//! after it holds a model that has been verified. It is then used on trial: until it has classified a beat, the next
//! start goes back to the model before it, and no other model is taken. Where neither slot holds a model to start with,
//! a device uses the one that its firmware was built with.

use crate::crc::CRC_OF_MODELS as CRC;
use embedded_storage::nor_flash::NorFlash;

/// Bytes of a slot before its model; what a model is aligned to beyond the flash's own pages.
pub const HEADER_BYTES: usize = 64;

/// The largest smallest-write of a flash that will do, in bytes.
pub const WRITE_MAX: usize = 16;

const MAGIC: [u8; 4] = *b"HLSL";
const FIELDS: usize = 16;
const TRIED: usize = 32;
const CONFIRMED: usize = 48;
const ERASED: u8 = 0xff;

/// Flash that can be read like memory.
pub trait MappedFlash: NorFlash {
    /// All of it.
    fn bytes(&self) -> &[u8];
}

impl<F: MappedFlash> MappedFlash for &mut F {
    fn bytes(&self) -> &[u8] {
        F::bytes(self)
    }
}

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// At the start of the flash.
    A,
    /// Behind it.
    B,
}

impl Slot {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Why a model is not taken, or a slot not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SlotError {
    /// The model is longer than a slot's room for it.
    TooLong {
        /// Its bytes.
        found: u32,
        /// The room.
        room: u32,
    },
    /// The model in use has not classified a beat yet, or that could not be noted: the other one may still be needed.
    OnTrial,
    /// There is nothing to go on with: no model was begun.
    NotBegun,
    /// A part does not lie within the model, or is not a multiple of [`WRITE_MAX`] though another follows.
    Part {
        /// Its offset.
        offset: u32,
        /// Its bytes.
        len: u32,
        /// The model's bytes.
        model: u32,
    },
    /// Parts are missing.
    NotWhole {
        /// Bytes that came.
        found: u32,
        /// The model's bytes.
        expected: u32,
    },
    /// What was written is not what was sent.
    Crc {
        /// CRC-32 of what is in flash.
        found: u32,
        /// CRC-32 as announced.
        expected: u32,
    },
    /// The flash refused to erase or write, or did not keep it.
    Flash,
}

impl core::fmt::Display for SlotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong { found, room } => {
                write!(f, "the model has {found} bytes, a slot has room for {room}")
            }
            Self::OnTrial => f.write_str(
                "the model in use has not classified a beat yet; stream a record, or start the device again to go \
                 back to the one before",
            ),
            Self::NotBegun => f.write_str("no model was begun"),
            Self::Part { offset, len, model } => write!(
                f,
                "a part of {len} bytes at {offset} of a model of {model} bytes; parts are multiples of {WRITE_MAX}"
            ),
            Self::NotWhole { found, expected } => {
                write!(f, "{found} of the model's {expected} bytes came")
            }
            Self::Crc { found, expected } => write!(
                f,
                "the model in flash has CRC-32 {found:08x}, announced was {expected:08x}"
            ),
            Self::Flash => f.write_str("the flash could not be erased or written"),
        }
    }
}

impl core::error::Error for SlotError {}

/// What the header states, checked, as it lies in flash.
fn fields(generation: u32, len: u32, crc: u32) -> [u8; TRIED] {
    let mut bytes = [ERASED; TRIED];
    let numbers = [generation, len, crc].map(u32::to_le_bytes);
    for (place, part) in bytes
        .chunks_exact_mut(4)
        .zip([MAGIC].iter().chain(&numbers))
    {
        place.copy_from_slice(part);
    }
    let check = CRC.checksum(&bytes[..FIELDS]);
    bytes[FIELDS..FIELDS + 4].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// A slot that holds a whole model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    slot: Slot,
    generation: u32,
    tried: bool,
    confirmed: bool,
}

/// The model that is coming.
#[derive(Debug, Clone, Copy)]
struct Coming {
    slot: Slot,
    generation: u32,
    len: u32,
    crc: u32,
    written: u32,
}

/// Both slots, the first and the second half of a flash.
#[derive(Debug)]
pub struct Slots<F> {
    flash: F,
    active: Option<Held>,
    coming: Option<Coming>,
    /// The flash has failed to note that the model in use is confirmed.
    unconfirmable: bool,
}

impl<F: MappedFlash> Slots<F> {
    /// The slots of a flash whose capacity is two slots. `fits` judges whether the bytes are a model for this device.
    ///
    /// The model in use is then the newest that is whole, fits, and has classified a beat or is tried for the first time,
    /// which is noted down. There may be none: a device has another one built in.
    ///
    /// # Errors
    /// When the flash does not take that note.
    pub fn open(flash: F, fits: impl Fn(&[u8]) -> bool) -> Result<Self, SlotError> {
        const {
            assert!(F::WRITE_SIZE <= WRITE_MAX && WRITE_MAX.is_multiple_of(F::WRITE_SIZE));
            assert!(F::ERASE_SIZE.is_multiple_of(HEADER_BYTES));
        }
        let mut slots = Self {
            flash,
            active: None,
            coming: None,
            unconfirmable: false,
        };
        slots.active = [Slot::A, Slot::B]
            .into_iter()
            .filter_map(|slot| slots.held(slot))
            .filter(|held| held.confirmed || !held.tried)
            .filter(|held| fits(slots.model_at(held.slot)))
            .max_by_key(|held| held.generation);
        if let Some(held) = slots.active.as_mut().filter(|held| !held.tried) {
            held.tried = true;
            let slot = held.slot;
            slots.put(slot, TRIED, &[0; WRITE_MAX])?;
        }
        Ok(slots)
    }

    /// The slot in use.
    pub fn active(&self) -> Option<Slot> {
        self.active.map(|held| held.slot)
    }

    /// Where in the flash the model in use lies.
    pub fn model_range(&self) -> Option<core::ops::Range<usize>> {
        let held = self.active?;
        let start = self.offset(held.slot, HEADER_BYTES) as usize;
        Some(start..start + self.model_at(held.slot).len())
    }

    /// The model in use.
    pub fn model(&self) -> Option<&[u8]> {
        self.active.map(|held| self.model_at(held.slot))
    }

    /// The model in use has classified a beat: from now on it is the one to start with.
    ///
    /// # Errors
    /// When the flash does not take that note, now or before: then the model in use stays on trial, and the next start goes
    /// back to the one before it.
    pub fn confirm(&mut self) -> Result<(), SlotError> {
        let Some(held) = self.active.filter(|held| !held.confirmed) else {
            return Ok(());
        };
        if self.unconfirmable {
            return Err(SlotError::Flash);
        }
        // Flash demands that a field is written once: a note that failed cannot be repeated.
        self.unconfirmable = true;
        self.put(held.slot, CONFIRMED, &[0; WRITE_MAX])?;
        self.unconfirmable = false;
        self.active = Some(Held {
            confirmed: true,
            ..held
        });
        Ok(())
    }

    /// Makes room for a model in the slot that is not in use.
    ///
    /// # Errors
    /// When it is too long, the model in use is on trial, or the flash cannot be erased.
    pub fn begin(&mut self, len: u32, crc: u32) -> Result<(), SlotError> {
        self.coming = None;
        let room = (self.slot_bytes() - HEADER_BYTES) as u32;
        if len > room {
            return Err(SlotError::TooLong { found: len, room });
        }
        if self.active.is_some_and(|held| !held.confirmed) {
            return Err(SlotError::OnTrial);
        }
        let slot = self.active.map_or(Slot::A, |held| held.slot.other());
        let generation = self
            .active
            .map_or(0, |held| held.generation)
            .wrapping_add(1);
        let start = self.offset(slot, 0);
        let used = (HEADER_BYTES + len as usize).next_multiple_of(F::ERASE_SIZE) as u32;
        // The page of the header goes first: from then on the slot is empty.
        for page in (start..start + used).step_by(F::ERASE_SIZE) {
            self.flash
                .erase(page, page + F::ERASE_SIZE as u32)
                .map_err(|_| SlotError::Flash)?;
        }
        self.coming = Some(Coming {
            slot,
            generation,
            len,
            crc,
            written: 0,
        });
        Ok(())
    }

    /// Takes the part at `offset` and gives the offset of the next. A part that is not the next one changes nothing.
    ///
    /// # Errors
    /// When no model was begun, the part does not fit into it, or the flash cannot be written.
    pub fn write(&mut self, offset: u32, part: &[u8]) -> Result<u32, SlotError> {
        let coming = self.coming.ok_or(SlotError::NotBegun)?;
        if offset != coming.written {
            return Ok(coming.written);
        }
        let len = part.len() as u32;
        let end = offset.checked_add(len).filter(|end| {
            *end == coming.len || (*end < coming.len && part.len().is_multiple_of(WRITE_MAX))
        });
        let Some(end) = end else {
            return Err(SlotError::Part {
                offset,
                len,
                model: coming.len,
            });
        };
        let at = HEADER_BYTES + offset as usize;
        let (whole, rest) = part.split_at(part.len() / WRITE_MAX * WRITE_MAX);
        let result = self.put(coming.slot, at, whole).and_then(|()| {
            if rest.is_empty() {
                return Ok(());
            }
            let mut last = [ERASED; WRITE_MAX];
            last[..rest.len()].copy_from_slice(rest);
            self.put(coming.slot, at + whole.len(), &last)
        });
        // What was half written cannot be written again.
        self.coming = result.is_ok().then_some(Coming {
            written: end,
            ..coming
        });
        result.map(|()| end)
    }

    /// Whether the model that came is whole and in flash as it was sent; then `fits` judges it, and it is taken into
    /// use on trial.
    ///
    /// # Errors
    /// When no model was begun, it is not whole, not what was announced or does not fit, or the flash cannot be written.
    pub fn end<E: From<SlotError>>(
        &mut self,
        fits: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let coming = self.coming.take().ok_or(SlotError::NotBegun)?;
        if coming.written != coming.len {
            return Err(SlotError::NotWhole {
                found: coming.written,
                expected: coming.len,
            }
            .into());
        }
        let start = self.offset(coming.slot, HEADER_BYTES) as usize;
        let model = &self.flash.bytes()[start..start + coming.len as usize];
        let found = CRC.checksum(model);
        if found != coming.crc {
            return Err(SlotError::Crc {
                found,
                expected: coming.crc,
            }
            .into());
        }
        fits(model)?;
        let header = fields(coming.generation, coming.len, coming.crc);
        self.put(coming.slot, 0, &header)?;
        let held = self.held(coming.slot).ok_or(SlotError::Flash)?;
        self.put(coming.slot, TRIED, &[0; WRITE_MAX])?;
        self.active = Some(Held {
            tried: true,
            ..held
        });
        Ok(())
    }

    /// The flash, as it is now.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn slot_bytes(&self) -> usize {
        self.flash.capacity() / 2 / F::ERASE_SIZE * F::ERASE_SIZE
    }

    fn offset(&self, slot: Slot, within: usize) -> u32 {
        let start = match slot {
            Slot::A => 0,
            Slot::B => self.slot_bytes(),
        };
        (start + within) as u32
    }

    fn put(&mut self, slot: Slot, within: usize, bytes: &[u8]) -> Result<(), SlotError> {
        let offset = self.offset(slot, within);
        self.flash
            .write(offset, bytes)
            .map_err(|_| SlotError::Flash)
    }

    fn slot(&self, slot: Slot) -> &[u8] {
        let start = self.offset(slot, 0) as usize;
        &self.flash.bytes()[start..start + self.slot_bytes()]
    }

    /// The model of a slot that holds one.
    fn model_at(&self, slot: Slot) -> &[u8] {
        let (header, rest) = self.slot(slot).split_at(HEADER_BYTES);
        rest.get(..word(header, 8) as usize).unwrap_or_default()
    }

    /// What a slot holds, where header and model are whole.
    fn held(&self, slot: Slot) -> Option<Held> {
        let header = self.slot(slot).get(..HEADER_BYTES)?;
        let sound = header.starts_with(&MAGIC)
            && word(header, FIELDS) == CRC.checksum(&header[..FIELDS])
            && word(header, 8) as usize <= self.slot_bytes() - HEADER_BYTES
            && word(header, 12) == CRC.checksum(self.model_at(slot));
        let field = |at: usize| &header[at..at + WRITE_MAX];
        sound.then_some(Held {
            slot,
            generation: word(header, 4),
            // A note that was cut short counts as the safer of its two meanings.
            tried: field(TRIED).iter().any(|byte| *byte != ERASED),
            confirmed: field(CONFIRMED).iter().all(|byte| *byte == 0),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
