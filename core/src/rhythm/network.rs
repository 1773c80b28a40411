//! The rhythm network: an LSTM and a dense layer in f32, read from an image in place.
//!
//! It is too small for integers to gain anything - some hundred weights, once a beat - and f32 in one written order with one
//! `libm` has the same bits on every machine as well.
//!
//! `docs/rhythm-image.md` has the bytes of an image. With `i`, `f`, `g`, `o` the gates of a cell, `x` the input of a step and
//! `h` the hidden state of the step before, all sums from the bias on, inputs first, then hidden cells, each in order:
//!
//! ```text
//! i, f, o = sigmoid(b + W x + U h)    g = tanh(b + W x + U h)
//! c = f c + i g                       h = o tanh(c)
//! score = b + w h                     after the last step; c and h start at 0
//! ```

use super::intervals::Input;
use super::sigmoid;
use crate::spec::{RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS};
use libm::tanhf;

/// The first four bytes of an image.
pub const MAGIC: [u8; 4] = *b"HLR\x1a";
/// The version of the format that this build writes and reads.
pub const VERSION: u32 = 1;
/// Most cells of the LSTM.
pub const MAX_CELLS: usize = 32;

/// Words of 32 bits before the weights: magic, version, both halves of the hash, cells.
const HEADER_WORDS: usize = 5;
/// Gates of a cell, in the order input, forget, candidate, output.
const GATES: usize = 4;
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// Why an image is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NetworkError {
    /// The first four bytes are those of something else.
    Magic {
        /// The bytes.
        found: [u8; 4],
    },
    /// The image has another version of the format.
    Version {
        /// Its version.
        found: u32,
        /// The version that this build reads.
        expected: u32,
    },
    /// The network was trained on intervals that are laid out in another way.
    SpecHash {
        /// The image's hash.
        found: u64,
        /// [`RHYTHM_HASH`].
        expected: u64,
    },
    /// The LSTM has no cell, or too many.
    Cells {
        /// How many.
        found: u32,
        /// [`MAX_CELLS`].
        most: u32,
    },
    /// The image is cut short, or something follows it.
    Length {
        /// Bytes at hand.
        found: usize,
        /// Bytes that its header asks for.
        expected: usize,
    },
    /// A byte is not what was written.
    Crc {
        /// The CRC-32 of the bytes at hand.
        found: u32,
        /// The CRC-32 that the image states.
        expected: u32,
    },
    /// A weight is infinite or not a number.
    Weight {
        /// Which, counted from 0.
        index: usize,
    },
}

impl core::fmt::Display for NetworkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Magic { found } => write!(
                f,
                "not a rhythm network: begins with {found:02x?}, expected {MAGIC:02x?}"
            ),
            Self::Version { found, expected } => {
                write!(f, "format version {found}, this build reads {expected}")
            }
            Self::SpecHash { found, expected } => write!(
                f,
                "trained for the intervals {found:016x}, this build has {expected:016x}; train it again"
            ),
            Self::Cells { found, most } => write!(f, "{found} cells, expected 1 to {most}"),
            Self::Length { found, expected } => {
                write!(f, "{found} bytes, its header asks for {expected}")
            }
            Self::Crc { found, expected } => {
                write!(
                    f,
                    "damaged: its CRC-32 is {found:08x}, it states {expected:08x}"
                )
            }
            Self::Weight { index } => write!(f, "weight {index} is not a finite number"),
        }
    }
}

impl core::error::Error for NetworkError {}

/// A rhythm network, checked. It borrows the image.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    cells: usize,
    weights: &'a [[u8; 4]],
}

/// Weights and biases of a network with so many cells.
pub const fn params(cells: usize) -> usize {
    GATES * cells * (RHYTHM_CHANNELS + cells + 1) + cells + 1
}

/// Bytes of an image of a network with so many cells.
pub const fn image_len(cells: usize) -> usize {
    4 * (HEADER_WORDS + params(cells) + 1)
}

/// The CRC-32 (ISO-HDLC, as in zip and PNG) that ends an image, of all bytes before it.
pub fn checksum(before: &[u8]) -> u32 {
    CRC.checksum(before)
}

impl<'a> Network<'a> {
    /// Checks an image, all of it.
    ///
    /// # Errors
    /// If it is damaged, of another version or made for other intervals.
    pub fn load(image: &'a [u8]) -> Result<Self, NetworkError> {
        let length = |expected| NetworkError::Length {
            found: image.len(),
            expected,
        };
        let (words, rest) = image.as_chunks::<4>();
        if let Some(magic) = words.first()
            && *magic != MAGIC
        {
            return Err(NetworkError::Magic { found: *magic });
        }
        let Some(([_, version, low, high, cells], weights)) =
            words.split_first_chunk::<HEADER_WORDS>()
        else {
            return Err(length(image_len(1)));
        };
        let [version, low, high, cells] =
            [version, low, high, cells].map(|word| u32::from_le_bytes(*word));
        if version != VERSION {
            return Err(NetworkError::Version {
                found: version,
                expected: VERSION,
            });
        }
        let hash = u64::from(high) << 32 | u64::from(low);
        if hash != RHYTHM_HASH {
            return Err(NetworkError::SpecHash {
                found: hash,
                expected: RHYTHM_HASH,
            });
        }
        if cells == 0 || cells > MAX_CELLS as u32 {
            return Err(NetworkError::Cells {
                found: cells,
                most: MAX_CELLS as u32,
            });
        }
        let cells = cells as usize;
        if image.len() != image_len(cells) || !rest.is_empty() {
            return Err(length(image_len(cells)));
        }
        let Some((stated, weights)) = weights.split_last() else {
            return Err(length(image_len(cells)));
        };
        let (found, expected) = (
            checksum(&image[..image.len() - 4]),
            u32::from_le_bytes(*stated),
        );
        if found != expected {
            return Err(NetworkError::Crc { found, expected });
        }
        let finite = |word: &[u8; 4]| f32::from_le_bytes(*word).is_finite();
        if let Some(index) = weights.iter().position(|word| !finite(word)) {
            return Err(NetworkError::Weight { index });
        }
        Ok(Self { cells, weights })
    }

    /// Cells of the LSTM.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// Weights and biases.
    pub const fn params(&self) -> usize {
        params(self.cells)
    }

    /// Multiply-accumulates of one run, those of the gates' products with the cells not counted.
    pub const fn macs(&self) -> usize {
        RHYTHM_INTERVALS * GATES * self.cells * (RHYTHM_CHANNELS + self.cells) + self.cells
    }

    /// The score: the logit of atrial fibrillation.
    pub fn score(&self, input: &Input) -> f32 {
        let cells = self.cells;
        let (from_input, rest) = self.weights.split_at(GATES * cells * RHYTHM_CHANNELS);
        let (from_hidden, rest) = rest.split_at(GATES * cells * cells);
        let (biases, dense) = rest.split_at(GATES * cells);
        let mut hidden = [0.0_f32; MAX_CELLS];
        let mut state = [0.0_f32; MAX_CELLS];
        for step in 0..RHYTHM_INTERVALS {
            let x: [f32; RHYTHM_CHANNELS] =
                core::array::from_fn(|channel| input[channel * RHYTHM_INTERVALS + step]);
            let gate = |gate: usize, cell: usize, hidden: &[f32]| {
                let row = gate * cells + cell;
                let bias = f32::from_le_bytes(biases[row]);
                let sum = dot(bias, &from_input[row * RHYTHM_CHANNELS..], &x);
                dot(sum, &from_hidden[row * cells..], hidden)
            };
            let mut next = [0.0_f32; MAX_CELLS];
            for cell in 0..cells {
                let [i, f, g, o] = core::array::from_fn(|g| gate(g, cell, &hidden[..cells]));
                state[cell] = sigmoid(f) * state[cell] + sigmoid(i) * tanhf(g);
                next[cell] = sigmoid(o) * tanhf(state[cell]);
            }
            hidden = next;
        }
        let (weights, bias) = dense.split_at(cells);
        let bias = f32::from_le_bytes(bias[0]);
        dot(bias, weights, &hidden[..cells])
    }
}

/// `start` plus the products of weights and values, first to last.
fn dot(start: f32, weights: &[[u8; 4]], values: &[f32]) -> f32 {
    weights
        .iter()
        .zip(values)
        .fold(start, |sum, (weight, value)| {
            sum + f32::from_le_bytes(*weight) * value
        })
}
