//! The product that the portable kernels rest on.

use super::affine::WeightBlock;

/// Two rows of weights times `input`, which has four elements a block.
#[inline]
pub(super) fn dot_pair(blocks: &[WeightBlock], input: &[i32]) -> [i32; 2] {
    let mut sums = [0; 2];
    for (WeightBlock(w), x) in blocks.iter().zip(input.as_chunks::<4>().0) {
        let [a, b, c, d, e, f, g, h] = w.map(i32::from);
        sums[0] += a * x[0] + b * x[1] + c * x[2] + d * x[3];
        sums[1] += e * x[0] + f * x[1] + g * x[2] + h * x[3];
    }
    sums
}
