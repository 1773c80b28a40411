//! Concatenation along the channels: a copy that brings each part to the output's scale.

use super::add::{MAX_RATIO, Operand, RATIO_BITS};
use super::arithmetic::{round_shift, saturate_i8};
use super::error::{LayerError, multiplier, within};
use super::holds;

/// Writes one input of a concatenation to its place in the output; each input has its own.
///
/// # Shapes
/// Input `[positions, channels]`, output `[positions, output channels]`, of which channels
/// `offset..offset + channels` are written.
#[derive(Debug, Clone, Copy)]
pub struct ConcatPart {
    positions: usize,
    channels: usize,
    offset: usize,
    output_channels: usize,
    operand: Operand,
    zero_point: i8,
}

impl ConcatPart {
    /// Checks the geometry.
    ///
    /// # Errors
    /// If a size is 0, the part does not fit in the output, or the multiplier is negative or 4 or more.
    pub fn new(
        positions: usize,
        channels: usize,
        offset: usize,
        output_channels: usize,
        operand: Operand,
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        within("output channels", output_channels, 1, 1 << 16)?;
        within("positions", positions, 1, (1 << 24) / output_channels)?;
        within("channels", channels, 1, output_channels)?;
        within("offset", offset, 0, output_channels - channels)?;
        multiplier("multiplier of an operand", operand.multiplier, MAX_RATIO)?;
        Ok(Self {
            positions,
            channels,
            offset,
            output_channels,
            operand,
            zero_point: output_zero_point,
        })
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.positions * self.channels
    }

    /// Elements of the whole output.
    pub const fn output_len(&self) -> usize {
        self.positions * self.output_channels
    }

    /// Writes this part of the output.
    pub fn run(&self, input: &[i8], output: &mut [i8]) {
        let fits =
            holds("input", input, self.input_len()) && holds("output", output, self.output_len());
        if !fits {
            return;
        }
        let rows = output.chunks_exact_mut(self.output_channels.max(1));
        for (values, row) in input.chunks_exact(self.channels.max(1)).zip(rows) {
            for (output, value) in row.iter_mut().skip(self.offset).zip(values) {
                let offset = i32::from(*value) - i32::from(self.operand.zero_point);
                let scaled = round_shift(offset * self.operand.multiplier, RATIO_BITS);
                *output = saturate_i8(scaled + i32::from(self.zero_point));
            }
        }
    }
}
