//! Sum of two tensors.

use super::arithmetic::{round_shift, saturate_i8};
use super::error::{LayerError, multiplier, within};
use super::holds;

/// Fractional bits of a multiplier that brings one activation's scale to another's.
pub(crate) const RATIO_BITS: u32 = 20;
/// Largest such multiplier: two products of it with 9-bit values, summed, fit an int32.
pub(crate) const MAX_RATIO: i32 = (1 << 22) - 1;

/// One summand's zero point and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// The zero point.
    pub zero_point: i8,
    /// The operand's scale over the output's, times 2^20; below 4.
    pub multiplier: i32,
}

/// The sum of two tensors of the same shape, with ReLU where the output's zero point is -128.
#[derive(Debug, Clone, Copy)]
pub struct Add {
    len: usize,
    operands: [Operand; 2],
    zero_point: i8,
}

impl Add {
    /// Checks the multipliers.
    ///
    /// # Errors
    /// If `len` is 0 or a multiplier is negative or 4 or more.
    pub fn new(
        len: usize,
        operands: [Operand; 2],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        within("elements", len, 1, i32::MAX as usize)?;
        for operand in operands {
            multiplier("multiplier of an operand", operand.multiplier, MAX_RATIO)?;
        }
        Ok(Self {
            len,
            operands,
            zero_point: output_zero_point,
        })
    }

    /// Elements of each input and of the output.
    pub const fn output_len(&self) -> usize {
        self.len
    }

    /// Computes the output.
    pub fn run(&self, a: &[i8], b: &[i8], output: &mut [i8]) {
        let fits = holds("first input", a, self.len)
            && holds("second input", b, self.len)
            && holds("output", output, self.len);
        if !fits {
            return;
        }
        let product = |operand: Operand, value: i8| {
            (i32::from(value) - i32::from(operand.zero_point)) * operand.multiplier
        };
        for ((output, a), b) in output[..self.len].iter_mut().zip(a).zip(b) {
            let sum = product(self.operands[0], *a) + product(self.operands[1], *b);
            *output = saturate_i8(round_shift(sum, RATIO_BITS) + i32::from(self.zero_point));
        }
    }
}
