//! Model slots on a flash that holds anything, loses power and refuses writes: whatever happens, the device starts with a
//! model that was confirmed, or that was taken whole and is tried for the first time.

#![no_main]

use arbitrary::Unstructured;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use heartlens_core::link::CRC;
use heartlens_core::slots::{HEADER_BYTES, MappedFlash, SlotError, Slots};
use libfuzzer_sys::fuzz_target;
use std::cell::Cell;

const PAGE: usize = 64;
const WORD: usize = 4;
const SLOT: usize = 4 * PAGE;

/// What happens to a flash from outside.
#[derive(Debug, Default)]
struct Power {
    /// Steps until one is cut off amid, and whether the power stays.
    left: Cell<Option<(u16, bool)>>,
    is_off: Cell<bool>,
}

impl Power {
    fn restore(&self) {
        self.left.set(None);
        self.is_off.set(false);
    }

    /// What the next step leaves of itself: all of it, or these bits.
    fn step(&self) -> Result<(), u8> {
        if self.is_off.get() {
            return Err(0);
        }
        match self.left.get() {
            Some((0, stays)) => {
                self.is_off.set(!stays);
                self.left.set(None);
                Err(0x5a)
            }
            left => {
                self.left.set(left.map(|(left, stays)| (left - 1, stays)));
                Ok(())
            }
        }
    }
}

/// Writing clears bits, erasing sets them.
#[derive(Debug)]
struct Flash<'a> {
    bytes: Vec<u8>,
    power: &'a Power,
}

impl ErrorType for Flash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).expect("whole pages of the flash");
        for byte in from as usize..to as usize {
            let done = self.power.step();
            self.bytes[byte] |= done.err().unwrap_or(0xff);
            done.map_err(|_| NorFlashErrorKind::Other)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).expect("whole words of the flash");
        for (at, new) in (offset as usize..).zip(bytes) {
            let done = self.power.step();
            self.bytes[at] &= new | !done.err().unwrap_or(0xff);
            done.map_err(|_| NorFlashErrorKind::Other)?;
        }
        Ok(())
    }
}

impl MappedFlash for Flash<'_> {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    // Where the bytes end, the rest of the case is missing.
    let _ = match source.arbitrary() {
        Ok(true) => foreign(&mut source),
        _ => own(&mut source),
    };
});

/// What counts as a model.
fn fits(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'M')
}

/// Starts a device; `None` where its flash does not take the note of that.
fn start<'a>(flash: Flash<'a>) -> Option<Slots<Flash<'a>>> {
    let slots = Slots::open(flash, fits).ok()?;
    let model = slots.model();
    assert_eq!(model.is_some(), slots.active().is_some());
    assert_eq!(
        model.map(<[u8]>::len),
        slots.model_range().map(|range| range.len())
    );
    assert!(model.is_none_or(fits));
    Some(slots)
}

/// A flash that held anything: it opens, and takes a model.
fn foreign(source: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let power = Power::default();
    let mut bytes = vec![0xff; 2 * SLOT];
    for slot in [0, SLOT] {
        let slot = &mut bytes[slot..slot + SLOT];
        source.fill_buffer(&mut slot[..HEADER_BYTES + 32])?;
        if source.arbitrary()? {
            make_sound(slot);
        }
    }
    let flash = Flash {
        bytes,
        power: &power,
    };
    let Some(mut slots) = start(flash) else {
        return Ok(());
    };
    let model = model(source)?;
    let on_trial = slots.model().is_some() && slots.begin(0, 0) == Err(SlotError::OnTrial);
    assert_eq!(send(&mut slots, &model).is_ok(), !on_trial);
    assert!(on_trial || slots.model() == Some(&model[..]));
    Ok(())
}

/// Makes a slot's header one that is believed.
fn make_sound(slot: &mut [u8]) {
    let len = usize::from(slot[8]) % 64;
    slot[..4].copy_from_slice(b"HLSL");
    slot[8..12].copy_from_slice(&(len as u32).to_le_bytes());
    let model = CRC.checksum(&slot[HEADER_BYTES..HEADER_BYTES + len]);
    slot[12..16].copy_from_slice(&model.to_le_bytes());
    let header = CRC.checksum(&slot[..16]);
    slot[16..20].copy_from_slice(&header.to_le_bytes());
}

/// A device from its first start on.
fn own(source: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let power = Power::default();
    let mut slots = start(Flash {
        bytes: vec![0xff; 2 * SLOT],
        power: &power,
    });
    // The model that was confirmed last, and those that may have been taken since.
    let mut confirmed: Option<Vec<u8>> = None;
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while let Some(device) = slots.as_mut()
        && !source.is_empty()
    {
        match source.int_in_range(0..=7)? {
            0 => {
                let _ = device.begin(source.arbitrary()?, source.arbitrary()?);
            }
            1 => {
                let part: &[u8] = source.arbitrary()?;
                let _ = device.write(source.arbitrary()?, part);
            }
            2 | 3 => {
                let model = device.model().map(<[u8]>::to_vec);
                if device.confirm().is_ok() && model != confirmed {
                    confirmed = model;
                    taken.clear();
                }
            }
            4 => {
                let steps = source.int_in_range(0..=600)?;
                power.left.set(Some((steps, source.arbitrary()?)));
            }
            5 => {
                let Some(device) = slots.take() else { break };
                let mut flash = device.into_flash();
                power.restore();
                if source.arbitrary()? {
                    // The start is cut as well.
                    power.left.set(Some((source.int_in_range(0..=20)?, false)));
                    let _ = Slots::open(&mut flash, fits);
                    power.restore();
                }
                slots = start(flash);
                let model = slots.as_ref().expect("the power is back").model();
                let is_taken = taken.iter().any(|taken| Some(&taken[..]) == model);
                assert!(is_taken || model == confirmed.as_deref());
            }
            _ => {
                let model = model(source)?;
                let before = device.model().map(<[u8]>::to_vec);
                match send(device, &model) {
                    Ok(()) => assert_eq!(device.model(), Some(&model[..])),
                    Err(_) => assert_eq!(device.model(), before.as_deref()),
                }
                taken.push(model);
            }
        }
    }
    Ok(())
}

fn model(source: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let len = source.int_in_range(1..=SLOT - HEADER_BYTES)?;
    let seed: u8 = source.arbitrary()?;
    let mut model: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ seed).collect();
    model[0] = b'M';
    Ok(model)
}

/// Sends a model over, up to its first use.
fn send(slots: &mut Slots<Flash<'_>>, model: &[u8]) -> Result<(), SlotError> {
    slots.begin(model.len() as u32, CRC.checksum(model))?;
    let mut offset = 0;
    for part in model.chunks(48) {
        offset = slots.write(offset, part)?;
    }
    slots.end(|bytes| {
        assert_eq!(bytes, model);
        Ok(())
    })
}
