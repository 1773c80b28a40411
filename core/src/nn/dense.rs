//! Fully connected layer.

use super::affine::{Affine, Channel, WeightBlock};
use super::error::LayerError;
use super::{backend, holds, portable};

/// A matrix times a vector, with ReLU where the output's zero point is -128.
///
/// # Shapes
/// Input `[columns]`, output `[rows]`.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'w> {
    pub(crate) affine: Affine<'w>,
}

impl<'w> Dense<'w> {
    /// A layer of `rows` outputs and `columns` inputs.
    ///
    /// # Errors
    /// If a length does not fit, a filler is not zero, or a bias or multiplier is outside its range.
    pub fn new(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        Ok(Self {
            affine: Affine::new(rows, columns, blocks, channels, output_zero_point)?,
        })
    }

    /// [`Dense::new`] for weights that have been through it.
    pub(crate) fn bind(
        rows: usize,
        columns: usize,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        Ok(Self {
            affine: Affine::bind(rows, columns, blocks, channels, output_zero_point)?,
        })
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

    /// Computes the output, by the processor's fast twin where it has one.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        if self.fits(input, scratch, output) {
            backend::dense(self, input, scratch, output);
        }
    }

    /// Computes the output: the specification.
    pub fn run_portable(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        if self.fits(input, scratch, output) {
            portable::dense(self, input, scratch, output);
        }
    }

    /// The specification, for buffers that fit.
    pub(super) fn compute(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        let values = &mut scratch[..self.affine.padded_columns()];
        values.fill(0);
        for (value, x) in values.iter_mut().zip(&input[..self.affine.columns]) {
            *value = i32::from(*x);
        }
        self.affine.apply(values, &mut output[..self.affine.rows]);
    }

    fn fits(&self, input: &[i8], scratch: &[i32], output: &[i8]) -> bool {
        holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len())
    }
}
