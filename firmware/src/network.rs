//! The networks in use - the beat's in a slot of the flash or built in, the rhythm's built in - and the memory that they
//! work in.

use core::ops::Range;
use heartlens_core::link::Engine;
use heartlens_core::model::{Aligned, ImageError, Logits, Model, arena_words};
use heartlens_core::rhythm;
use heartlens_core::slots::{MappedFlash, SlotError, Slots};
use heartlens_core::views::Views;

/// The model that the firmware was built with, in use until another is in a slot.
pub static BUILT_IN: &[u8] = &IMAGE.0;

const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model.hlm"));
static IMAGE: Aligned<[u8; BYTES.len()]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.hlm")));

/// The rhythm network that the firmware was built with.
pub static RHYTHM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rhythm.hlr"));

/// Words of memory for the network's activations: what the built-in model takes. Another model may take no more.
pub const ARENA_WORDS: usize = arena_words(BYTES);

/// The memory of a network's activations.
pub type Arena = [i32; ARENA_WORDS];

/// What a network needs to know of the board that it is on.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The board's name.
    pub board: &'static str,
    /// Bytes of the flash with the slots, for as long as the model in them is in use.
    pub pinned: fn(Range<usize>) -> &'static [u8],
    /// Instructions executed, modulo 2^32.
    pub instructions: fn() -> u32,
}

/// Why a model is not taken. An image's own words are for the host, which has checked it before: formatting all of them
/// would take 10 KiB of flash.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub enum NetworkError {
    /// It did not get into its slot.
    Slot(SlotError),
    /// It is not one for this device.
    Image(ImageError),
    /// The rhythm network is not one for this firmware.
    Rhythm(rhythm::NetworkError),
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

impl From<rhythm::NetworkError> for NetworkError {
    fn from(error: rhythm::NetworkError) -> Self {
        Self::Rhythm(error)
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
            Self::Rhythm(_) => f.write_str("the rhythm network is not one for this firmware"),
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
pub struct Network<F> {
    slots: Slots<F>,
    place: Place,
    model: Model<'static>,
    rhythm: rhythm::Network<'static>,
    arena: &'static mut Arena,
}

impl<F: MappedFlash> Network<F> {
    /// The network that the device starts with: the one that the slots say, or the built-in one.
    ///
    /// # Errors
    /// When the flash fails, or a built-in network is none for this firmware.
    pub fn open(flash: F, place: Place, arena: &'static mut Arena) -> Result<Self, NetworkError> {
        let slots = Slots::open(flash, |image| usable(image).is_ok())?;
        let model = match slots.model_range() {
            Some(range) => usable((place.pinned)(range))?,
            None => usable(BUILT_IN)?,
        };
        Ok(Self {
            slots,
            place,
            model,
            rhythm: rhythm::Network::load(RHYTHM)?,
            arena,
        })
    }
}

impl<F: MappedFlash> Engine for Network<F> {
    type Error = NetworkError;

    fn board(&self) -> &'static str {
        self.place.board
    }

    fn model(&self) -> &str {
        self.model.name()
    }

    fn logits(&mut self, views: &Views) -> Logits {
        // The arena is long enough: `usable` has seen the model.
        let logits = match self.model.executor(self.arena) {
            Ok(mut executor) => executor.run(views),
            Err(_) => Logits::default(),
        };
        // Where the flash will not take the note, the next start goes back to the model before.
        let _ = self.slots.confirm();
        logits
    }

    fn rhythm(&self) -> Option<rhythm::Network<'_>> {
        Some(self.rhythm)
    }

    fn instructions(&self) -> u32 {
        (self.place.instructions)()
    }

    fn begin(&mut self, bytes: u32, crc: u32) -> Result<(), NetworkError> {
        Ok(self.slots.begin(bytes, crc)?)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, NetworkError> {
        Ok(self.slots.write(offset, bytes)?)
    }

    fn end(&mut self) -> Result<(), NetworkError> {
        self.slots.end(|image| match usable(image) {
            Ok(_) => Ok(()),
            Err(error) => {
                #[cfg(target_os = "none")]
                defmt::warn!("a model is refused: {}", error);
                Err(NetworkError::Image(error))
            }
        })?;
        if let Some(range) = self.slots.model_range() {
            self.model = usable((self.place.pinned)(range))?;
        }
        Ok(())
    }
}
