//! Rows of weights, their biases and their requantisation: what convolutions and dense layers compute at each position.

use super::arithmetic::{multiply_q32, requantise};
use super::dot::dot_pair;
use super::error::{LayerError, multiplier, same_len, within};
use crate::bytes::record;

/// Most columns of a matrix: an accumulator then holds products of magnitude 2^14 up to 2^30 in all.
pub const MAX_COLUMNS: usize = 1 << 16;
/// Largest magnitude of a bias.
pub const MAX_BIAS: i32 = (1 << 30) - 1;
/// Most rows of a matrix.
const MAX_ROWS: usize = 4096;

/// Weights of two rows (outputs) and four columns (inputs): four of the first row, then four of the second. Aligned, so
/// that a Cortex-M4 loads it with one LDRD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(4))]
pub struct WeightBlock(pub [i8; 8]);

#[allow(
    unsafe_code,
    reason = "eight integers and their alignment are all that there is"
)]
const _: () = {
    assert!(size_of::<WeightBlock>() == 8);
    // SAFETY: zeros are eight integers.
    unsafe impl bytemuck::Zeroable for WeightBlock {}
    // SAFETY: the layout is C's, the field is `Pod`, and its size is the whole's, so that there is no padding.
    unsafe impl bytemuck::Pod for WeightBlock {}
};

record! {
    /// Bias and requantisation of one output.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Channel {
        /// What the accumulator starts from, in units of input scale times weight scale, with the input's zero point
        /// folded in: `bias - zero_point * sum of the row's weights`. At most [`MAX_BIAS`] in magnitude.
        pub bias: i32,
        /// Input scale times weight scale over output scale, times 2^32: 0 or more, so that the ratio is below 1/2.
        pub multiplier: i32,
    }
}

/// Blocks of a matrix of `rows` and `columns`.
pub const fn blocks_len(rows: usize, columns: usize) -> usize {
    rows.div_ceil(2) * columns.div_ceil(4)
}

/// Packs a row-major matrix `[rows, columns]` into blocks: pair of rows by pair of rows, each from the first four
/// columns to the last. What is beyond the last row or column is zero.
///
/// # Errors
/// If `weights` has not `rows * columns` elements or `blocks` not [`blocks_len`].
pub fn pack(
    rows: usize,
    columns: usize,
    weights: &[i8],
    blocks: &mut [WeightBlock],
) -> Result<(), LayerError> {
    within("rows", rows, 1, MAX_ROWS)?;
    within("columns", columns, 1, MAX_COLUMNS)?;
    same_len("weights", weights.len(), rows * columns)?;
    same_len("weight blocks", blocks.len(), blocks_len(rows, columns))?;
    blocks.fill(WeightBlock::default());
    let pair_len = columns.div_ceil(4);
    for (pair, blocks) in weights
        .chunks(2 * columns)
        .zip(blocks.chunks_exact_mut(pair_len))
    {
        for (row, weights) in pair.chunks_exact(columns).enumerate() {
            for (four, block) in weights.chunks(4).zip(blocks.iter_mut()) {
                block.0[4 * row..][..four.len()].copy_from_slice(four);
            }
        }
    }
    Ok(())
}

/// Checks the number of blocks; gives the blocks of a pair of rows.
pub(crate) fn check_blocks_len(
    blocks: &[WeightBlock],
    rows: usize,
    columns: usize,
    max_columns: usize,
) -> Result<usize, LayerError> {
    within("rows", rows, 1, MAX_ROWS)?;
    within("columns", columns, 1, max_columns)?;
    same_len("weight blocks", blocks.len(), blocks_len(rows, columns))?;
    Ok(columns.div_ceil(4))
}

/// Checks that fillers are zero, of blocks whose number fits.
pub(crate) fn check_fillers(
    blocks: &[WeightBlock],
    rows: usize,
    columns: usize,
) -> Result<(), LayerError> {
    let groups = columns.div_ceil(4).max(1);
    for (index, block) in blocks.iter().enumerate() {
        let columns_left = columns - index % groups * 4;
        let rows_left = rows - index / groups * 2;
        let filled = block
            .0
            .iter()
            .enumerate()
            .any(|(i, weight)| (i / 4 >= rows_left || i % 4 >= columns_left) && *weight != 0);
        if filled {
            return Err(LayerError::Filler { block: index });
        }
    }
    Ok(())
}

/// Checks the bias and the multiplier of every channel.
pub(crate) fn check_channels(channels: &[Channel], max_bias: i32) -> Result<(), LayerError> {
    for channel in channels {
        if channel.bias.unsigned_abs() > max_bias.unsigned_abs() {
            return Err(LayerError::Range {
                what: "bias",
                found: i64::from(channel.bias),
                smallest: -i64::from(max_bias),
                largest: i64::from(max_bias),
            });
        }
        multiplier("multiplier", channel.multiplier, i32::MAX)?;
    }
    Ok(())
}

/// A matrix of int8 weights with one scale a row, its biases, and how its outputs become int8.
///
/// ReLU costs nothing: a layer that is followed by it has output zero point -128, so that saturation is the ReLU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'w> {
    pub(crate) blocks: &'w [WeightBlock],
    pub(crate) channels: &'w [Channel],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Blocks of a pair of rows.
    pub(crate) groups: usize,
    pub(crate) zero_point: i8,
}

impl<'w> Affine<'w> {
    /// Binds weights packed by [`pack`], one channel a row (and one more, all zero, after an odd number of rows), and
    /// the output's zero point.
    ///
    /// # Errors
    /// If a length does not fit, a filler is not zero, or a bias or multiplier is outside its range.
    pub(crate) fn new(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        zero_point: i8,
    ) -> Result<Self, LayerError> {
        let affine = Self::bind(rows, columns, blocks, channels, zero_point)?;
        affine.check()?;
        Ok(affine)
    }

    /// [`Affine::new`] without a look at each weight and channel, for those that [`Affine::check`] has seen.
    pub(crate) fn bind(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        zero_point: i8,
    ) -> Result<Self, LayerError> {
        let groups = check_blocks_len(blocks, rows, columns, MAX_COLUMNS)?;
        same_len("channels", channels.len(), rows.next_multiple_of(2))?;
        Ok(Self {
            blocks,
            channels,
            rows,
            columns,
            groups,
            zero_point,
        })
    }

    /// Checks each weight and channel.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        check_fillers(self.blocks, self.rows, self.columns)?;
        check_channels(self.channels, MAX_BIAS)
    }

    /// Weights and biases.
    pub(crate) const fn params(&self) -> usize {
        self.rows * (self.columns + 1)
    }

    /// Columns, rounded up to whole blocks.
    pub(crate) const fn padded_columns(&self) -> usize {
        4 * self.groups
    }

    /// One position with wide outputs: `accumulator * multiplier / 2^32`, rounded, which always fits.
    pub(crate) fn apply_wide(&self, input: &[i32], output: &mut [i32]) {
        let pairs = self.blocks.chunks_exact(self.groups.max(1));
        let channels = self.channels.as_chunks::<2>().0.iter();
        for ((blocks, channels), outputs) in pairs.zip(channels).zip(output.chunks_mut(2)) {
            let products = dot_pair(blocks, input);
            for ((output, product), channel) in outputs.iter_mut().zip(products).zip(channels) {
                *output = multiply_q32(channel.bias + product, channel.multiplier);
            }
        }
    }

    /// One position: `input` has the padded columns, `output` one element a row.
    pub(crate) fn apply(&self, input: &[i32], output: &mut [i8]) {
        let pairs = self.blocks.chunks_exact(self.groups.max(1));
        let channels = self.channels.as_chunks::<2>().0.iter();
        for ((blocks, channels), outputs) in pairs.zip(channels).zip(output.chunks_mut(2)) {
            let products = dot_pair(blocks, input);
            for ((output, product), channel) in outputs.iter_mut().zip(products).zip(channels) {
                *output = requantise(channel.bias + product, channel.multiplier, self.zero_point);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_every_weight_and_fills_with_zeros() -> Result<(), LayerError> {
        let weights: [i8; 15] = core::array::from_fn(|i| i as i8 + 1);
        let mut blocks = [WeightBlock([9; 8]); 4];
        pack(3, 5, &weights, &mut blocks)?;
        assert_eq!(
            blocks.map(|block| block.0),
            [
                [1, 2, 3, 4, 6, 7, 8, 9],
                [5, 0, 0, 0, 10, 0, 0, 0],
                [11, 12, 13, 14, 0, 0, 0, 0],
                [15, 0, 0, 0, 0, 0, 0, 0],
            ]
        );
        let channels = [Channel::default(); 4];
        assert!(Affine::new(3, 5, &blocks, &channels, 0).is_ok());
        for block in 0..4 {
            let free: usize = (0..8).filter(|i| blocks[block].0[*i] == 0).count();
            for i in (0..8).filter(|i| blocks[block].0[*i] == 0) {
                let mut blocks = blocks;
                blocks[block].0[i] = 1;
                let found = Affine::new(3, 5, &blocks, &channels, 0).err();
                assert_eq!(found, Some(LayerError::Filler { block }));
            }
            assert_eq!(free, [0, 6, 4, 7][block]);
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let blocks = [WeightBlock::default(); 4];
        let channels = [Channel::default(); 4];
        let with = |channel| [channel, channels[0], channels[0], channels[0]];
        let range = |what, found, smallest, largest| {
            Some(LayerError::Range {
                what,
                found,
                smallest,
                largest,
            })
        };
        assert_eq!(
            Affine::new(3, 9, &blocks, &channels, 0).err(),
            Some(LayerError::Length {
                what: "weight blocks",
                found: 4,
                expected: 6
            })
        );
        assert_eq!(
            Affine::new(3, 5, &blocks, &channels[..3], 0).err(),
            Some(LayerError::Length {
                what: "channels",
                found: 3,
                expected: 4
            })
        );
        assert_eq!(
            Affine::new(0, 5, &blocks, &channels, 0).err(),
            range("rows", 0, 1, MAX_ROWS as i64)
        );
        let bias = Channel {
            bias: -MAX_BIAS - 1,
            multiplier: 0,
        };
        let limit = i64::from(MAX_BIAS);
        assert_eq!(
            Affine::new(3, 5, &blocks, &with(bias), 0).err(),
            range("bias", -limit - 1, -limit, limit)
        );
        let negative = Channel {
            bias: 0,
            multiplier: -1,
        };
        assert_eq!(
            Affine::new(3, 5, &blocks, &with(negative), 0).err(),
            range("multiplier", -1, 0, i64::from(i32::MAX))
        );
    }
}
