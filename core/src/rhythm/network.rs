//! The rhythm network: an LSTM and a dense layer, read from an image in place.
//!
//! Weights are 16-bit integers times one scale, inputs and hidden states 16-bit integers of 1/2048; their products add up
//! without rounding. What a gate makes of its sum is f32, without a library's functions. So it has the same bits on every
//! machine.
//!
//! `docs/rhythm-image.md` has the bytes of an image. With `i`, `f`, `g`, `o` the gates of a cell, `x` the input of a step and
//! `h` the hidden state of the step before:
//!
//! ```text
//! i, f, o = sigmoid(b + W x + U h)    g = tanh(b + W x + U h)
//! c = f c + i g                       h = o tanh(c)
//! score = b + w h                     after the last step; c and h start at 0
//! ```
//!
//! `tanh` is a convergent of Lambert's continued fraction, and `sigmoid(x) = (1 + tanh(x / 2)) / 2`.

use super::intervals::{CLIP, GAIN, Input};
use crate::crc::CRC_OF_IMAGES;
use crate::spec::{RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS};

/// The first four bytes of an image.
pub const MAGIC: [u8; 4] = *b"HLR\x1a";
/// The version of the format that this build writes and reads.
pub const VERSION: u32 = 1;
/// Most cells of the LSTM: as many as a sum of 32 bits holds.
pub const MAX_CELLS: usize = 16;

/// Words of 32 bits before the weights: magic, version, both halves of the hash, cells, scale.
const HEADER_WORDS: usize = 6;
/// Gates of a cell, in the order input, forget, candidate, output.
const GATES: usize = 4;

/// Why an image is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
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
    /// The weights' scale is infinite, not above zero, or no number.
    Scale,
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
            Self::Scale => f.write_str("its scale is no finite number above 0"),
        }
    }
}

impl core::error::Error for NetworkError {}

/// A rhythm network, checked. It borrows the image.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    cells: usize,
    scale: f32,
    /// Little-endian i16; a row for each cell's gates, then that of the score.
    weights: &'a [[u8; 2]],
}

/// A step of the LSTM: each cell's gates one after another, which a processor without vectors does fastest. `gates` are the rows
/// of weights, `seen` the input and the hidden state of the step before.
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn one_by_one(gates: &[[u8; 2]], unit: f32, seen: &[i16], state: &mut [f32], hidden: &mut [i16]) {
    let mut rows = gates.chunks_exact(1 + seen.len());
    for (hidden, state) in hidden.iter_mut().zip(state) {
        let mut gate = || rows.next().map_or(0.0, |row| unit * sum(row, seen) as f32);
        let (i, f, g, o) = (gate(), gate(), gate(), gate());
        *state = sigmoid(f) * *state + sigmoid(i) * tanh(g);
        *hidden = integer(sigmoid(o) * tanh(*state));
    }
}

/// Cells in a vector of the widest processor.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const LANES: usize = 8;

/// The gates' weights by column - the bias, the inputs, the hidden cells - so that a processor with vectors takes several
/// cells at a time. The bits are those of [`one_by_one`]: sums of integers are exact. Inlined, it is compiled for the
/// vectors of whoever calls it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct Columns {
    /// Those of cells that are not there are zero.
    weights: [[[i32; MAX_CELLS]; GATES]; row_len(MAX_CELLS)],
    cells: usize,
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Columns {
    #[inline(always)]
    fn new(gates: &[[u8; 2]], cells: usize) -> Self {
        let mut weights = [[[0; MAX_CELLS]; GATES]; row_len(MAX_CELLS)];
        for (row, values) in gates.chunks_exact(row_len(cells)).enumerate() {
            for (column, value) in weights.iter_mut().zip(values) {
                column[row % GATES][row / GATES] = i32::from(i16::from_le_bytes(*value));
            }
        }
        Self { weights, cells }
    }

    /// A step of the LSTM, as [`one_by_one`].
    #[inline(always)]
    fn step(&self, unit: f32, seen: &[i16], state: &mut [f32], hidden: &mut [i16]) {
        let lanes = self.cells.next_multiple_of(LANES);
        let values = core::iter::once(UNIT as i32).chain(seen.iter().map(|x| i32::from(*x)));
        let mut sums = [[0_i32; MAX_CELLS]; GATES];
        for (column, value) in self.weights.iter().zip(values) {
            for (sums, weights) in sums.iter_mut().zip(column) {
                let (sums, _) = sums[..lanes].as_chunks_mut::<LANES>();
                let (weights, _) = weights[..lanes].as_chunks::<LANES>();
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += weight * value;
                    }
                }
            }
        }
        let mut gates = sums.map(|sums| sums.map(|sum| unit * sum as f32));
        let [i, f, g, o] = &mut gates;
        for gate in [&mut *i, &mut *f, &mut *o] {
            gate[..lanes].iter_mut().for_each(|x| *x = sigmoid(*x));
        }
        g[..lanes].iter_mut().for_each(|x| *x = tanh(*x));
        for (cell, state) in state.iter_mut().enumerate() {
            *state = f[cell] * *state + i[cell] * g[cell];
        }
        for (cell, (hidden, state)) in hidden.iter_mut().zip(state).enumerate() {
            *hidden = integer(o[cell] * tanh(*state));
        }
    }
}

/// Weights and biases of a network with so many cells.
pub const fn params(cells: usize) -> usize {
    GATES * cells * row_len(cells) + 1 + cells
}

/// Weights of one gate of a cell: its bias, those of the inputs, and those of the hidden cells.
const fn row_len(cells: usize) -> usize {
    1 + RHYTHM_CHANNELS + cells
}

/// Bytes of an image of a network with so many cells.
pub const fn image_len(cells: usize) -> usize {
    4 * (HEADER_WORDS + params(cells).div_ceil(2) + 1)
}

/// The CRC-32 (ISO-HDLC, as in zip and PNG) that ends an image, of all bytes before it.
pub fn checksum(before: &[u8]) -> u32 {
    CRC_OF_IMAGES.checksum(before)
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
        let Some(([_, version, low, high, cells, scale], _)) =
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
        let (Some((stated, _)), true) = (
            words.split_last(),
            image.len() == image_len(cells) && rest.is_empty(),
        ) else {
            return Err(length(image_len(cells)));
        };
        let (found, expected) = (
            checksum(
                image
                    .split_last_chunk::<4>()
                    .map_or(&[], |(before, _)| before),
            ),
            u32::from_le_bytes(*stated),
        );
        if found != expected {
            return Err(NetworkError::Crc { found, expected });
        }
        let scale = f32::from_le_bytes(*scale);
        if !scale.is_finite() || scale <= 0.0 {
            return Err(NetworkError::Scale);
        }
        let weights = image.get(4 * HEADER_WORDS..).unwrap_or_default();
        let (weights, _) = weights.as_chunks::<2>();
        Ok(Self {
            cells,
            scale,
            weights: weights.get(..params(cells)).unwrap_or_default(),
        })
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
        let mut pass = Pass::START;
        self.advance(&mut pass, input, RHYTHM_INTERVALS);
        self.score_of(&pass)
    }

    /// Takes a pass over the input so many steps further, and says whether that was the last.
    pub(crate) fn advance(&self, pass: &mut Pass, input: &Input, steps: usize) -> bool {
        #[cfg(all(feature = "simd", target_arch = "x86_64"))]
        if super::x86::advance(self, pass, input, steps) {
            return pass.step == RHYTHM_INTERVALS;
        }
        self.portable_advance(pass, input, steps);
        pass.step == RHYTHM_INTERVALS
    }

    /// The score after the last step.
    pub(crate) fn score_of(&self, pass: &Pass) -> f32 {
        let gates = GATES * self.cells * row_len(self.cells);
        let score = self.weights.get(gates..).unwrap_or_default();
        let hidden = pass.hidden.get(..self.cells).unwrap_or_default();
        self.scale / UNIT * sum(score, hidden) as f32
    }

    #[inline(always)]
    pub(super) fn portable_advance(&self, pass: &mut Pass, input: &Input, steps: usize) {
        let cells = self.cells;
        let gates = self.weights.get(..GATES * cells * row_len(cells));
        let gates = gates.unwrap_or_default();
        // A step's input, and behind it the hidden state of the step before: what a gate's weights belong to.
        let mut seen = [0_i16; RHYTHM_CHANNELS + MAX_CELLS];
        let unit = self.scale / UNIT;
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        let columns = Columns::new(gates, cells);
        let Pass {
            state,
            hidden,
            step: done,
        } = pass;
        let end = RHYTHM_INTERVALS.min(*done + steps);
        for step in *done..end {
            let channels = input.as_chunks::<RHYTHM_INTERVALS>().0.iter();
            let values = channels.map(|channel| integer(channel.get(step).copied().unwrap_or(0.0)));
            for (seen, value) in seen.iter_mut().zip(values.chain(hidden.iter().copied())) {
                *seen = value;
            }
            let seen = seen.get(..RHYTHM_CHANNELS + cells).unwrap_or_default();
            let state = state.get_mut(..cells).unwrap_or_default();
            let hidden = hidden.get_mut(..cells).unwrap_or_default();
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            columns.step(unit, seen, state, hidden);
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            one_by_one(gates, unit, seen, state, hidden);
        }
        *done = end;
    }
}

/// The LSTM on its way over the intervals.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    state: [f32; MAX_CELLS],
    hidden: [i16; MAX_CELLS],
    /// Steps done.
    step: usize,
}

impl Pass {
    /// Before the first step.
    pub(crate) const START: Self = Self {
        state: [0.0; MAX_CELLS],
        hidden: [0; MAX_CELLS],
        step: 0,
    };
}

/// What 1 is among inputs and hidden states.
const UNIT: f32 = 2048.0;
/// The largest input.
const INPUT_MAX: f32 = GAIN * CLIP;
const _: () = {
    // A sum of the largest weights and values.
    let value = UNIT as i64;
    let inputs = RHYTHM_CHANNELS as i64 * INPUT_MAX as i64 * value;
    assert!((value + inputs + MAX_CELLS as i64 * value) << 15 < i32::MAX as i64);
};

/// The nearest multiple of 1/2048, as an integer.
fn integer(x: f32) -> i16 {
    let x = x.clamp(-INPUT_MAX, INPUT_MAX) * UNIT;
    // Rounds by cutting, of what is above zero.
    const ABOVE: f32 = 2.0 * INPUT_MAX * UNIT;
    ((x + (ABOVE + 0.5)) as i32 - ABOVE as i32) as i16
}

/// The first of the weights plus the products of the others with `values`, in units of both.
fn sum(weights: &[[u8; 2]], values: &[i16]) -> i32 {
    let weight = |bytes: &[u8; 2]| i32::from(i16::from_le_bytes(*bytes));
    let Some((bias, weights)) = weights.split_first() else {
        return 0;
    };
    // Two at a time: the loop costs a Cortex-M4 more than the products.
    let (pairs, last) = weights.as_chunks::<2>();
    let (values, odd) = values.as_chunks::<2>();
    let start = weight(bias) * UNIT as i32;
    let sum = pairs
        .iter()
        .zip(values)
        .fold(start, |sum, ([a, b], [x, y])| {
            sum + weight(a) * i32::from(*x) + weight(b) * i32::from(*y)
        });
    let last = last.iter().zip(odd);
    last.fold(sum, |sum, (w, x)| sum + weight(w) * i32::from(*x))
}

/// Beyond this, tanh is 1 to within 2e-6.
const TANH_END: f32 = 7.0;

/// The hyperbolic tangent to within 2e-5: the ninth convergent of its continued fraction x / (1 + x^2 / (3 + x^2 / (5 +
/// ...))) (Lambert 1768).
fn tanh(x: f32) -> f32 {
    let x = x.clamp(-TANH_END, TANH_END);
    let y = x * x;
    let above = (((y + 990.0) * y + 135_135.0) * y + 4_729_725.0) * y + 34_459_425.0;
    let below = (((y * 45.0 + 13_860.0) * y + 945_945.0) * y + 16_216_200.0) * y + 34_459_425.0;
    (x * above / below).clamp(-1.0, 1.0)
}

fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_near_enough() {
        let mut largest = 0.0_f64;
        for i in -120_000..=120_000 {
            let x = i as f32 / 10_000.0;
            let found = f64::from(tanh(x));
            assert!(found.abs() <= 1.0);
            largest = largest.max((found - f64::from(x).tanh()).abs());
        }
        assert!((1e-7..2e-5).contains(&largest), "{largest}");
        assert!(tanh(f32::MAX) == 1.0 && tanh(f32::NEG_INFINITY) == -1.0 && tanh(0.0) == 0.0);
    }

    /// The form for microcontrollers and that for processors with vectors, step after step, to the bit.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[test]
    fn both_forms_of_a_step_are_equal() {
        for cells in [1, 5, 8, MAX_CELLS] {
            let mut number = 12_345_u32;
            let mut next = || {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (number >> 16) as i16 / 4
            };
            let weights: [[u8; 2]; GATES * MAX_CELLS * row_len(MAX_CELLS)] =
                core::array::from_fn(|_| next().to_le_bytes());
            let gates = &weights[..GATES * cells * row_len(cells)];
            let mut states = [[0.0_f32; MAX_CELLS]; 2];
            let mut hidden = [[0_i16; MAX_CELLS]; 2];
            for step in 0..RHYTHM_INTERVALS as i16 {
                let mut seen = [step - 12; RHYTHM_CHANNELS + MAX_CELLS];
                seen[RHYTHM_CHANNELS..].copy_from_slice(&hidden[0]);
                let seen = &seen[..RHYTHM_CHANNELS + cells];
                let [a, b] = &mut states;
                let [c, d] = &mut hidden;
                one_by_one(gates, 1e-7, seen, &mut a[..cells], &mut c[..cells]);
                Columns::new(gates, cells).step(1e-7, seen, &mut b[..cells], &mut d[..cells]);
                assert_eq!(a.map(f32::to_bits), b.map(f32::to_bits), "{cells} {step}");
                assert_eq!(c, d, "{cells} {step}");
            }
            assert!(hidden[0][..cells].iter().any(|&hidden| hidden != 0));
        }
    }
}
