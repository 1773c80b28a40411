//! The last fully connected layer, whose outputs stay wide.

use super::affine::{Affine, Channel, WeightBlock};
use super::error::LayerError;
use super::holds;

/// A matrix times a vector, with int32 outputs: `accumulator * multiplier / 2^32`, rounded. Close logits so stay apart,
/// where int8 would make them equal. It is small, and the same code on every machine.
///
/// # Shapes
/// Input `[columns]`, output `[rows]`, below 2^30 in magnitude.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'w> {
    affine: Affine<'w>,
}

impl<'w> Logits<'w> {
    /// A layer of `rows` outputs and `columns` inputs. A channel's multiplier takes its accumulator to units of the output.
    ///
    /// # Errors
    /// If a length does not fit, a filler is not zero, or a bias or multiplier is outside its range.
    pub fn new(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
    ) -> Result<Self, LayerError> {
        Ok(Self {
            affine: Affine::new(rows, columns, blocks, channels, 0)?,
        })
    }

    /// [`Logits::new`] for weights that have been through it.
    pub(crate) fn bind(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
    ) -> Result<Self, LayerError> {
        Ok(Self {
            affine: Affine::bind(rows, columns, blocks, channels, 0)?,
        })
    }

    /// Checks each weight and channel.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        self.affine.check()
    }

    /// Weights and biases.
    pub(crate) const fn params(&self) -> usize {
        self.affine.params()
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.affine.columns
    }

    /// Elements of the output.
    pub const fn output_len(&self) -> usize {
        self.affine.rows
    }

    /// Words of scratch memory.
    pub const fn scratch_len(&self) -> usize {
        self.affine.padded_columns()
    }

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> usize {
        self.affine.rows * self.affine.columns
    }

    /// Computes the output.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i32]) {
        let fits = holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len());
        if !fits {
            return;
        }
        let values = &mut scratch[..self.affine.padded_columns()];
        values.fill(0);
        for (value, x) in values.iter_mut().zip(&input[..self.affine.columns]) {
            *value = i32::from(*x);
        }
        self.affine
            .apply_wide(values, &mut output[..self.affine.rows]);
    }
}
