//! What the instruction sets differ in: sums of products of weights and inputs.
#![allow(
    unsafe_code,
    reason = "intrinsics: each needs a processor that has it, and loads and stores take pointers"
)]

use crate::nn::affine::WeightBlock;
use core::arch::x86_64::*;

/// An instruction set.
pub(super) trait Isa {
    /// `PAIRS` pairs of rows times inputs: of each pair a vector of partial sums, lanes 0, 1, 4 and 5 of the first row, the
    /// others of the second. The inputs are widened to int16, and each four of them doubled, as blocks have them.
    ///
    /// # Safety
    /// The processor has the instruction set; `blocks` has `PAIRS * groups` elements and `inputs` `4 * groups`.
    unsafe fn sums<const PAIRS: usize>(
        blocks: &[WeightBlock],
        groups: usize,
        inputs: &[i8],
    ) -> [__m256i; PAIRS];
}

/// Products of int16, pairs of them added: two instructions for 16 of them.
pub(super) struct Avx2;

impl Isa for Avx2 {
    #[inline(always)]
    unsafe fn sums<const PAIRS: usize>(
        blocks: &[WeightBlock],
        groups: usize,
        inputs: &[i8],
    ) -> [__m256i; PAIRS] {
        debug_assert!(blocks.len() >= PAIRS * groups && inputs.len() >= 4 * groups);
        // SAFETY: the caller has AVX2. Block `i` of a pair is read for `i < groups`, which `blocks` has for each pair, and
        // 4 inputs a block. Unaligned loads take any address.
        unsafe {
            let mut sums = [_mm256_setzero_si256(); PAIRS];
            let (weights, inputs) = (blocks.as_ptr(), inputs.as_ptr());
            for step in 0..groups / 2 {
                let x = _mm_cvtepi8_epi16(_mm_loadl_epi64(inputs.add(8 * step).cast()));
                let x = _mm256_permute4x64_epi64::<0b01_01_00_00>(_mm256_castsi128_si256(x));
                for (pair, sum) in sums.iter_mut().enumerate() {
                    let bytes = _mm_loadu_si128(weights.add(pair * groups + 2 * step).cast());
                    let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), x);
                    *sum = _mm256_add_epi32(*sum, products);
                }
            }
            if groups % 2 == 1 {
                let four = inputs.add(4 * (groups - 1)).cast::<i32>();
                let x = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(four.read_unaligned()));
                let x = _mm_unpacklo_epi64(x, x);
                for (pair, sum) in sums.iter_mut().enumerate() {
                    let bytes = _mm_loadl_epi64(weights.add((pair + 1) * groups - 1).cast());
                    let products = _mm_madd_epi16(_mm_cvtepi8_epi16(bytes), x);
                    *sum = _mm256_add_epi32(*sum, _mm256_zextsi128_si256(products));
                }
            }
            sums
        }
    }
}

/// The same products, 16 or 32 by one instruction that also adds them to the sum.
pub(super) struct Avx512Vnni;

/// From how many blocks of a row on the wider vectors earn what it costs to fold their sums.
const WIDE_GROUPS: usize = 8;

impl Isa for Avx512Vnni {
    #[inline(always)]
    unsafe fn sums<const PAIRS: usize>(
        blocks: &[WeightBlock],
        groups: usize,
        inputs: &[i8],
    ) -> [__m256i; PAIRS] {
        // SAFETY: as the caller promises.
        unsafe {
            if groups < WIDE_GROUPS {
                narrow_sums(blocks, groups, inputs)
            } else {
                wide_sums(blocks, groups, inputs)
            }
        }
    }
}

/// Vectors of 256 bits.
///
/// # Safety
/// As for [`Isa::sums`], with AVX-512 VL and VNNI.
#[inline(always)]
unsafe fn narrow_sums<const PAIRS: usize>(
    blocks: &[WeightBlock],
    groups: usize,
    inputs: &[i8],
) -> [__m256i; PAIRS] {
    debug_assert!(blocks.len() >= PAIRS * groups && inputs.len() >= 4 * groups);
    // SAFETY: the caller has the instruction set; for what is read see `Avx2`.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); PAIRS];
        let (weights, inputs) = (blocks.as_ptr(), inputs.as_ptr());
        for step in 0..groups / 2 {
            let x = _mm_cvtepi8_epi16(_mm_loadl_epi64(inputs.add(8 * step).cast()));
            let x = _mm256_permute4x64_epi64::<0b01_01_00_00>(_mm256_castsi128_si256(x));
            for (pair, sum) in sums.iter_mut().enumerate() {
                let bytes = _mm_loadu_si128(weights.add(pair * groups + 2 * step).cast());
                *sum = _mm256_dpwssd_epi32(*sum, _mm256_cvtepi8_epi16(bytes), x);
            }
        }
        if groups % 2 == 1 {
            let four = inputs.add(4 * (groups - 1)).cast::<i32>();
            let x = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(four.read_unaligned()));
            let x = _mm256_zextsi128_si256(_mm_unpacklo_epi64(x, x));
            for (pair, sum) in sums.iter_mut().enumerate() {
                let bytes = _mm_loadl_epi64(weights.add((pair + 1) * groups - 1).cast());
                *sum = _mm256_dpwssd_epi32(*sum, _mm256_cvtepi8_epi16(bytes), x);
            }
        }
        sums
    }
}

/// Vectors of 512 bits.
///
/// # Safety
/// As for [`Isa::sums`], with AVX-512 F, BW, VL and VNNI.
#[inline(always)]
unsafe fn wide_sums<const PAIRS: usize>(
    blocks: &[WeightBlock],
    groups: usize,
    inputs: &[i8],
) -> [__m256i; PAIRS] {
    debug_assert!(blocks.len() >= PAIRS * groups && inputs.len() >= 4 * groups);
    // SAFETY: the caller has the instruction set; for what is read see `Avx2`. What a mask leaves out is not read.
    unsafe {
        let mut sums = [_mm512_setzero_si512(); PAIRS];
        let (weights, inputs) = (blocks.as_ptr(), inputs.as_ptr());
        let twice = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
        for step in 0..groups / 4 {
            let x = _mm256_cvtepi8_epi16(_mm_loadu_si128(inputs.add(16 * step).cast()));
            let x = _mm512_permutexvar_epi64(twice, _mm512_castsi256_si512(x));
            for (pair, sum) in sums.iter_mut().enumerate() {
                let bytes = _mm256_loadu_si256(weights.add(pair * groups + 4 * step).cast());
                *sum = _mm512_dpwssd_epi32(*sum, _mm512_cvtepi8_epi16(bytes), x);
            }
        }
        let left = groups % 4;
        if left > 0 {
            let done = groups - left;
            // A lane of 64 bits is one block; of 32 bits, four inputs.
            let mask = (1 << left) - 1;
            let x = _mm_maskz_loadu_epi32(mask, inputs.add(4 * done).cast());
            let x = _mm512_castsi256_si512(_mm256_cvtepi8_epi16(x));
            let x = _mm512_permutexvar_epi64(twice, x);
            for (pair, sum) in sums.iter_mut().enumerate() {
                let block = weights.add(pair * groups + done);
                let bytes = _mm256_maskz_loadu_epi64(mask, block.cast());
                *sum = _mm512_dpwssd_epi32(*sum, _mm512_cvtepi8_epi16(bytes), x);
            }
        }
        // No closure: one would be compiled without the instruction set.
        let mut folded = [_mm256_setzero_si256(); PAIRS];
        for (folded, sum) in folded.iter_mut().zip(sums) {
            let high = _mm512_extracti64x4_epi64::<1>(sum);
            *folded = _mm256_add_epi32(_mm512_castsi512_si256(sum), high);
        }
        folded
    }
}
