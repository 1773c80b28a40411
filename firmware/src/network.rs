//! The network in use, in a slot of the flash or built in, the memory that it works in, and the slots.

use core::ops::Range;
use core::task::Poll;
use heartlens_core::link::ModelStore;
use heartlens_core::model::{Aligned, Executor, ImageError, Logits, Model, arena_words};
use heartlens_core::slots::{MappedFlash, SlotError, Slots};
use heartlens_core::views::Views;

/// The model that the firmware was built with, in use until another is in a slot.
pub static BUILT_IN: &[u8] = &IMAGE.0;

const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model.hlm"));
static IMAGE: Aligned<[u8; BYTES.len()]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.hlm")));

/// The rhythm network that the firmware was built with.
pub static RHYTHM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rhythm.hlr"));

const STRIP_BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/strip.hlm"));
static STRIP_IMAGE: Aligned<[u8; STRIP_BYTES.len()]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/strip.hlm")));

/// The strip network that the firmware was built with. An image that does not use it does not contain it.
pub static STRIP: &[u8] = &STRIP_IMAGE.0;

/// Words of memory for the strip network's activations.
pub const STRIP_ARENA_WORDS: usize = arena_words(STRIP_BYTES);

/// The memory of the strip network's activations.
pub type StripArena = [i32; STRIP_ARENA_WORDS];

/// Words of memory for the network's activations: what the built-in model takes. Another model may take no more.
pub const ARENA_WORDS: usize = arena_words(BYTES);

/// The memory of a network's activations.
pub type Arena = [i32; ARENA_WORDS];

/// Flash whose bytes stay at their address for as long as the device runs. There is one value of such a type.
pub trait PinnedFlash: MappedFlash {
    /// Bytes of it, read in place.
    ///
    /// # Safety
    /// Nobody may write or erase these bytes while the slice is in use.
    #[expect(unsafe_code, reason = "the compiler cannot see who writes to flash")]
    unsafe fn pinned(range: Range<usize>) -> &'static [u8];
}

/// Why a model is not taken. An image's own words are for the host, which has checked it before: formatting all of them
/// would take 10 KiB of flash.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(board, derive(defmt::Format))]
pub enum NetworkError {
    /// It did not get into its slot.
    Slot(SlotError),
    /// It is not one for this device.
    Image(ImageError),
}

impl From<SlotError> for NetworkError {
    fn from(error: SlotError) -> Self {
        Self::Slot(error)
    }
}

impl From<ImageError> for NetworkError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl core::fmt::Display for NetworkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Slot(error) => error.fmt(f),
            Self::Image(ImageError::Arena { found, expected }) => write!(
                f,
                "the model takes {expected} words of memory, this firmware has {found}"
            ),
            Self::Image(_) => {
                f.write_str("the model is not one for this firmware; its log says why")
            }
        }
    }
}

impl core::error::Error for NetworkError {}

/// A model that can run in an arena of this firmware.
fn usable(image: &[u8]) -> Result<Model<'_>, ImageError> {
    let model = Model::load(image)?;
    let expected = model.arena_words();
    if expected > ARENA_WORDS {
        return Err(ImageError::Arena {
            found: ARENA_WORDS,
            expected,
        });
    }
    Ok(model)
}

/// The network in use.
#[derive(Debug)]
pub struct Network(Executor<'static>);

impl Network {
    /// Its model.
    pub const fn model(&self) -> &Model<'static> {
        self.0.model()
    }
}

impl heartlens_core::Network for Network {
    fn logits(&mut self, views: &Views) -> Logits {
        self.0.run(views)
    }

    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        self.0.run_part(views, part).1
    }
}

/// The slots, where the next model goes.
#[derive(Debug)]
pub struct Store<F> {
    slots: Slots<F>,
}

/// The network that the device starts with - the one that the slots say, or the built-in one - and the slots.
///
/// # Errors
/// When the flash fails, or the built-in network is none for this firmware.
pub fn open<F: PinnedFlash>(
    flash: F,
    arena: &'static mut Arena,
) -> Result<(Network, Store<F>), NetworkError> {
    let store = Store {
        slots: Slots::open(flash, |image| usable(image).is_ok())?,
    };
    let model = match store.image() {
        Some(image) => usable(image)?,
        None => usable(BUILT_IN)?,
    };
    Ok((Network(model.executor(arena)?), store))
}

impl<F: PinnedFlash> Store<F> {
    /// The model in use, where it is in a slot.
    #[expect(
        unsafe_code,
        reason = "the model in use outlives any borrow of the slots"
    )]
    fn image(&self) -> Option<&'static [u8]> {
        let range = self.slots.model_range()?;
        // SAFETY: `Slots` owns the only value of the flash and never gives it away here. It writes to the slot that is
        // not in use alone, and another slot comes into use in `end` alone, which then gives the only network the model
        // in that one.
        Some(unsafe { F::pinned(range) })
    }
}

impl<F: PinnedFlash> ModelStore<Network> for Store<F> {
    type Error = NetworkError;

    fn name<'a>(&'a self, network: &'a Network) -> &'a str {
        network.model().name()
    }

    fn begin(&mut self, bytes: u32, crc: u32) -> Result<(), NetworkError> {
        Ok(self.slots.begin(bytes, crc)?)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, NetworkError> {
        Ok(self.slots.write(offset, bytes)?)
    }

    fn end(&mut self, network: &mut Network) -> Result<(), NetworkError> {
        self.slots.end(|image| match usable(image) {
            Ok(_) => Ok(()),
            Err(error) => {
                #[cfg(board)]
                defmt::warn!("a model is refused: {}", error);
                Err(NetworkError::Image(error))
            }
        })?;
        if let Some(image) = self.image() {
            network.0.exchange(usable(image)?)?;
        }
        Ok(())
    }

    fn classified(&mut self) {
        // Where the flash does not take the note, the next start goes back to the model before.
        let _ = self.slots.confirm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartlens_core::model::Task;

    /// Small enough for Miri, which watches how images are read in place.
    #[test]
    fn networks_that_are_built_in_are_read_in_place_and_answer() {
        let mut arena = [0; ARENA_WORDS];
        let model = usable(BUILT_IN).expect("the shipped network");
        let mut network = model.executor(&mut arena).expect("room");
        let mut views = Views::ZERO;
        let of_nothing = network.run(&views);
        assert!(of_nothing.iter().all(|logit| logit.is_finite()));
        views.metadata.fill(1.0);
        views.waveform[40..50].fill(4.0);
        let of_something = network.run(&views);
        assert_ne!(of_something, of_nothing);
        assert_eq!(network.run(&Views::ZERO), of_nothing);

        assert!(heartlens_core::rhythm::Network::load(RHYTHM).is_ok());
        let strip = Model::load_for(STRIP, Task::Strip).expect("the shipped network");
        assert_eq!(strip.arena_words(), STRIP_ARENA_WORDS);
        for cut in [0, 1, 63, 64, BUILT_IN.len() / 2, BUILT_IN.len() - 1] {
            assert!(usable(&BUILT_IN[..cut]).is_err(), "{cut}");
        }
        // Read from an address that no word may have.
        assert!(usable(&BUILT_IN[1..]).is_err());
    }
}
