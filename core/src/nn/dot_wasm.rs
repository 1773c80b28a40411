//! The product that all layers rest on, in WebAssembly's vector instructions: the same bits.

use super::affine::WeightBlock;
use core::arch::wasm32::{
    i16x8_extend_low_i8x16, i16x8_narrow_i32x4, i32x4, i32x4_add, i32x4_dot_i16x8,
    i32x4_extract_lane, i32x4_splat, i64x2,
};

/// Two rows of weights times `input`, which has four elements a block. Inputs are of int8, and so are int16: narrowing them changes none.
#[inline]
pub(super) fn dot_pair(blocks: &[WeightBlock], input: &[i32]) -> [i32; 2] {
    let mut sums = i32x4_splat(0);
    for (WeightBlock(weights), x) in blocks.iter().zip(input.as_chunks::<4>().0) {
        let weights = i16x8_extend_low_i8x16(i64x2(bytemuck::cast(*weights), 0));
        let x = i32x4(x[0], x[1], x[2], x[3]);
        let products = i32x4_dot_i16x8(weights, i16x8_narrow_i32x4(x, x));
        sums = i32x4_add(sums, products);
    }
    [
        i32x4_extract_lane::<0>(sums) + i32x4_extract_lane::<1>(sums),
        i32x4_extract_lane::<2>(sums) + i32x4_extract_lane::<3>(sums),
    ]
}
