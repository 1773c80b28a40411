//! The operators, for any instruction set that has AVX2.
#![allow(
    unsafe_code,
    reason = "intrinsics: each needs a processor that has it, and loads and stores take pointers"
)]

use super::isa::Isa;
use crate::nn::activation::SIGMOID;
use crate::nn::affine::{Affine, Channel, WeightBlock};
use crate::nn::convolution::Convolution;
use crate::nn::dense::Dense;
use crate::nn::lstm::{Direction, GATE_SHIFT, GateRow, Lstm, Order, States};
use crate::nn::windows::Windows;
use core::arch::x86_64::*;

/// The twin of [`Convolution::run_portable`], for buffers that fit.
///
/// # Safety
/// The processor has AVX2 and `I`.
#[inline(always)]
pub(super) unsafe fn convolution<I: Isa>(
    layer: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    let affine = &layer.affine;
    let (unpacked, staged) = scratch[..layer.scratch_len()].split_at_mut(4 * affine.groups);
    let mut windows = Windows::new(layer, input, bytes_of(staged), copy);
    for position in output[..layer.output_len()].chunks_exact_mut(affine.rows) {
        // SAFETY: as the caller promises.
        unsafe {
            unpack(windows.next(), unpacked);
            apply::<I>(affine, unpacked, position);
        }
    }
}

/// The twin of [`Dense::run_portable`], for buffers that fit.
///
/// # Safety
/// The processor has AVX2 and `I`.
#[inline(always)]
pub(super) unsafe fn dense<I: Isa>(
    layer: &Dense<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    let affine = &layer.affine;
    let unpacked = &mut scratch[..affine.padded_columns()];
    // SAFETY: as the caller promises.
    unsafe {
        unpack_ragged(&input[..affine.columns], unpacked);
        apply::<I>(affine, unpacked, &mut output[..affine.rows]);
    }
}

/// The twin of one direction of [`Lstm::run_portable`], for buffers that fit.
///
/// # Safety
/// The processor has AVX2 and `I`.
#[inline(always)]
pub(super) unsafe fn lstm<I: Isa>(
    layer: &Lstm<'_>,
    direction: &Direction<'_>,
    order: Order,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) {
    let shape = &layer.shape;
    let input_groups = shape.inputs.div_ceil(4);
    let hidden_groups = shape.hidden.div_ceil(4);
    let (values, scratch) = scratch.split_at_mut(4 * input_groups);
    let (hidden, scratch) = scratch.split_at_mut(4 * hidden_groups);
    let cells = &mut scratch[..shape.hidden];
    cells.fill(0);
    hidden.fill(0);
    for step in 0..shape.steps {
        let time = order.time(step, shape.steps);
        let state = states.at(time);
        // SAFETY: as the caller promises.
        unsafe {
            unpack_ragged(&input[time * shape.inputs..][..shape.inputs], values);
            let cells = cells.chunks_mut(4).zip(state.chunks_mut(4));
            let from_input = direction.input.chunks(8 * input_groups);
            let from_hidden = direction.hidden.chunks(8 * hidden_groups);
            let weights = from_input.zip(from_hidden).zip(direction.rows.chunks(16));
            for ((cells, state), ((from_input, from_hidden), rows)) in cells.zip(weights) {
                let mut arguments = [_mm_setzero_si128(); 4];
                let each = from_input.chunks_exact(2 * input_groups);
                let each = each.zip(from_hidden.chunks_exact(2 * hidden_groups));
                let each = each.zip(rows.as_chunks::<4>().0);
                for (argument, ((from_input, from_hidden), rows)) in arguments.iter_mut().zip(each)
                {
                    let [a, b] = I::sums::<2>(from_input, input_groups, values);
                    let [c, d] = I::sums::<2>(from_hidden, hidden_groups, hidden);
                    *argument = gates(rows, rows_of_two(a, b), rows_of_two(c, d));
                }
                advance(arguments, cells, layer.multiplier, state);
            }
            unpack_ragged(state, hidden);
        }
    }
}

/// The bytes of words.
#[inline(always)]
fn bytes_of(words: &mut [i32]) -> &mut [i8] {
    let len = 4 * words.len();
    // SAFETY: the same memory, exclusively borrowed for as long; any bytes are int8, and words are aligned enough.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
}

/// Copies as many bytes as both have. For stretches so short that a call to `memcpy` costs more than they do.
#[inline(always)]
fn copy(from: &[i8], to: &mut [i8]) {
    let (from, left) = from[..from.len().min(to.len())].as_chunks::<4>();
    let (words, to) = to.split_at_mut(4 * from.len());
    for (from, to) in from.iter().zip(words.as_chunks_mut().0) {
        *to = *from;
    }
    for (from, to) in left.iter().zip(to) {
        *to = *from;
    }
}

/// Widens bytes to int16 in the order of weight blocks: each four twice, once for each row of a pair. `bytes` is whole
/// groups of four, `unpacked` has four words for each of them.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn unpack(bytes: &[i8], unpacked: &mut [i32]) {
    let (sixteens, left) = bytes.as_chunks::<16>();
    let (whole, rest) = unpacked[..bytes.len() / 4 * 4].split_at_mut(16 * sixteens.len());
    for (bytes, unpacked) in sixteens.iter().zip(whole.as_chunks_mut::<16>().0) {
        // SAFETY: the caller has AVX2; reads 16 bytes and writes 16 words, which the arrays have.
        unsafe {
            let wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes.as_ptr().cast()));
            let place = unpacked.as_mut_ptr();
            let first = _mm256_permute4x64_epi64::<0b01_01_00_00>(wide);
            let second = _mm256_permute4x64_epi64::<0b11_11_10_10>(wide);
            _mm256_storeu_si256(place.cast(), first);
            _mm256_storeu_si256(place.add(8).cast(), second);
        }
    }
    for (four, unpacked) in left.as_chunks().0.iter().zip(rest.as_chunks_mut().0) {
        // SAFETY: the caller has AVX2.
        unsafe { unpack_four(*four, unpacked) };
    }
}

/// [`unpack`] for bytes that need not be whole groups: the last is filled up with zeros.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn unpack_ragged(bytes: &[i8], unpacked: &mut [i32]) {
    let (groups, tail) = bytes.split_at(bytes.len() / 4 * 4);
    // SAFETY: the caller has AVX2.
    unsafe {
        unpack(groups, unpacked);
        if !tail.is_empty()
            && let Some(place) = unpacked[groups.len()..].first_chunk_mut()
        {
            let mut four = [0; 4];
            copy(tail, &mut four);
            unpack_four(four, place);
        }
    }
}

/// One group of [`unpack`].
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn unpack_four(four: [i8; 4], unpacked: &mut [i32; 4]) {
    // SAFETY: the caller has AVX2; writes 16 bytes, which the array has.
    unsafe {
        let bytes = _mm_cvtsi32_si128(i32::from_ne_bytes(four.map(i8::cast_unsigned)));
        let wide = _mm_cvtepi8_epi16(bytes);
        let place = unpacked.as_mut_ptr().cast();
        _mm_storeu_si128(place, _mm_unpacklo_epi64(wide, wide));
    }
}

/// One position through all rows.
///
/// # Safety
/// The processor has AVX2 and `I`; `unpacked` has four words for each block of a pair of rows.
#[inline(always)]
unsafe fn apply<I: Isa>(affine: &Affine<'_>, unpacked: &[i32], output: &mut [i8]) {
    let Affine {
        groups, zero_point, ..
    } = *affine;
    let blocks = affine.blocks.chunks(4 * groups);
    let channels = affine.channels.chunks(8);
    for ((blocks, channels), output) in blocks.zip(channels).zip(output.chunks_mut(8)) {
        // SAFETY: as the caller promises; there are as many pairs of blocks as of channels.
        let quantised = unsafe {
            match channels.len() / 2 {
                4 => eight::<I, 4>(blocks, groups, unpacked, channels, zero_point),
                3 => eight::<I, 3>(blocks, groups, unpacked, channels, zero_point),
                2 => eight::<I, 2>(blocks, groups, unpacked, channels, zero_point),
                _ => eight::<I, 1>(blocks, groups, unpacked, channels, zero_point),
            }
        };
        match output.first_chunk_mut() {
            Some(output) => *output = quantised,
            None => copy(&quantised, output),
        }
    }
}

/// One position through at most eight rows, `PAIRS` pairs of them, to int8.
///
/// # Safety
/// As for [`Isa::sums`], and `channels` has `2 * PAIRS` elements.
#[inline(always)]
unsafe fn eight<I: Isa, const PAIRS: usize>(
    blocks: &[WeightBlock],
    groups: usize,
    unpacked: &[i32],
    channels: &[Channel],
    zero_point: i8,
) -> [i8; 8] {
    // SAFETY: as the caller promises; the store writes 8 bytes, which the array has.
    unsafe {
        let sums = I::sums::<PAIRS>(blocks, groups, unpacked);
        let zero = _mm256_setzero_si256();
        let pair = |index: usize| sums.get(index).copied().unwrap_or(zero);
        let low = requantise(rows_of_two(pair(0), pair(1)), channels);
        let high = match channels.get(4..) {
            Some(channels) if !channels.is_empty() => {
                requantise(rows_of_two(pair(2), pair(3)), channels)
            }
            _ => _mm_setzero_si128(),
        };
        let zero_point = _mm_set1_epi32(i32::from(zero_point));
        let (low, high) = (
            _mm_add_epi32(low, zero_point),
            _mm_add_epi32(high, zero_point),
        );
        // Saturating to int16 and then to int8 is saturating to int8.
        let words = _mm_packs_epi32(low, high);
        let mut bytes = [0; 8];
        _mm_storel_epi64(bytes.as_mut_ptr().cast(), _mm_packs_epi16(words, words));
        bytes
    }
}

/// The sums of two pairs of rows, from the partial sums of [`Isa::sums`].
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn rows_of_two(first: __m256i, second: __m256i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let sums = _mm256_hadd_epi32(first, second);
        let high = _mm256_extracti128_si256::<1>(sums);
        _mm_add_epi32(_mm256_castsi256_si128(sums), high)
    }
}

/// `(sum + bias) * multiplier / 2^32`, rounded, of at most four channels; of two, the upper lanes are arbitrary.
///
/// # Safety
/// The processor has AVX2, and `channels` has two elements at least.
#[inline(always)]
unsafe fn requantise(sums: __m128i, channels: &[Channel]) -> __m128i {
    debug_assert!(channels.len() >= 2);
    // SAFETY: the caller has AVX2; reads four channels of 8 bytes where there are as many, else two.
    unsafe {
        let channels = if channels.len() >= 4 {
            _mm256_loadu_si256(channels.as_ptr().cast())
        } else {
            _mm256_zextsi128_si256(_mm_loadu_si128(channels.as_ptr().cast()))
        };
        // A channel is 64 bits, its bias the lower half: what a carry does to the upper one does not matter.
        let sums = _mm256_add_epi32(_mm256_cvtepi32_epi64(sums), channels);
        upper_halves(_mm256_mul_epi32(sums, _mm256_srli_epi64::<32>(channels)))
    }
}

/// `value * multiplier / 2^32`, rounded.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn multiply_q32(values: __m128i, multipliers: __m128i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let (values, multipliers) = (
            _mm256_cvtepi32_epi64(values),
            _mm256_cvtepi32_epi64(multipliers),
        );
        upper_halves(_mm256_mul_epi32(values, multipliers))
    }
}

/// Four products of 64 bits over 2^32, rounded.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn upper_halves(products: __m256i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let rounded = _mm256_add_epi64(products, _mm256_set1_epi64x(1 << 31));
        let order = _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7);
        _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(rounded, order))
    }
}

/// The arguments of a cell's four gates in Q12, from the sums of the input and of the hidden state.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn gates(rows: &[GateRow; 4], from_input: __m128i, from_hidden: __m128i) -> __m128i {
    const { assert!(size_of::<GateRow>() == 12) };
    // SAFETY: the caller has AVX2; reads 48 bytes, which the array has.
    unsafe {
        let words = rows.as_ptr().cast::<__m128i>();
        // Words b0 x0 h0 b1, x1 h1 b2 x2, h2 b3 x3 h3: each blend has all words of one kind, out of order.
        let [first, second, third] = [0, 1, 2].map(|i| _mm_loadu_si128(words.add(i)));
        let bias = _mm_blend_epi32::<0b0010>(_mm_blend_epi32::<0b0100>(first, second), third);
        let bias = _mm_shuffle_epi32::<0b01_10_11_00>(bias);
        let mx = _mm_blend_epi32::<0b0100>(_mm_blend_epi32::<0b1001>(first, second), third);
        let mx = _mm_shuffle_epi32::<0b10_11_00_01>(mx);
        let mh = _mm_blend_epi32::<0b1001>(_mm_blend_epi32::<0b0010>(first, second), third);
        let mh = _mm_shuffle_epi32::<0b11_00_01_10>(mh);
        let shifted = |sums| _mm_slli_epi32::<{ GATE_SHIFT as i32 }>(sums);
        let from_input = multiply_q32(shifted(_mm_add_epi32(from_input, bias)), mx);
        let from_hidden = multiply_q32(shifted(from_hidden), mh);
        saturate_i16(_mm_add_epi32(from_input, from_hidden))
    }
}

/// The nearest int16.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn saturate_i16(values: __m128i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let largest = _mm_set1_epi32(i32::from(i16::MAX));
        let smallest = _mm_set1_epi32(i32::from(i16::MIN));
        _mm_max_epi32(_mm_min_epi32(values, largest), smallest)
    }
}

/// Takes up to four cells in Q11, with their gates' arguments, one step further and gives the new hidden states.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn advance(arguments: [__m128i; 4], cells: &mut [i32], multiplier: i32, state: &mut [i8]) {
    let len = cells.len().min(4);
    let mut padded = [0; 4];
    padded[..len].copy_from_slice(&cells[..len]);
    let mut bytes = [0; 16];
    // SAFETY: the caller has AVX2; loads and stores touch 16 bytes, which the arrays have.
    unsafe {
        let [a, b, c, d] = arguments;
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (input, forget) = (_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        let (ab, cd) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        let (candidate, output) = (_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        let (input, forget) = sigmoids(input, forget);
        let (candidate, output) = sigmoids(candidate, output);

        let cell = _mm_loadu_si128(padded.as_ptr().cast());
        let kept = _mm_mullo_epi32(forget, cell);
        let added = _mm_mullo_epi32(input, tanh_of(candidate));
        let added = _mm_srai_epi32::<4>(_mm_add_epi32(added, _mm_set1_epi32(1 << 3)));
        let sum = _mm_add_epi32(_mm_add_epi32(kept, added), _mm_set1_epi32(1 << 14));
        let next = saturate_i16(_mm_srai_epi32::<15>(sum));
        _mm_storeu_si128(padded.as_mut_ptr().cast(), next);

        let twice = saturate_i16(_mm_slli_epi32::<2>(next));
        let (squashed, _) = sigmoids(twice, twice);
        let product = _mm_mullo_epi32(output, tanh_of(squashed));
        let hidden = multiply_q32(product, _mm_set1_epi32(multiplier));
        let words = _mm_packs_epi32(hidden, hidden);
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm_packs_epi16(words, words));
    }
    cells[..len].copy_from_slice(&padded[..len]);
    copy(&bytes[..len], state);
}

/// `2 s - 2^15`: the hyperbolic tangent of half the argument of the sigmoid `s`.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn tanh_of(sigmoid: __m128i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe { _mm_sub_epi32(_mm_slli_epi32::<1>(sigmoid), _mm_set1_epi32(1 << 15)) }
}

/// [`crate::nn::sigmoid`] of int16 values in lanes of 32 bits.
///
/// # Safety
/// The processor has AVX2, and the values are int16.
#[inline(always)]
unsafe fn sigmoids(first: __m128i, second: __m128i) -> (__m128i, __m128i) {
    // SAFETY: the caller has AVX2. An int16 plus 2^15, shifted right by 8, is an index from 0 to 255: a lane reads two
    // neighbouring entries of the table's 257.
    unsafe {
        let values = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second);
        let index = _mm256_add_epi32(values, _mm256_set1_epi32(1 << 15));
        let index = _mm256_srli_epi32::<8>(index);
        let entries = _mm256_i32gather_epi32::<2>(SIGMOID.as_ptr().cast(), index);
        let fraction = _mm256_and_si256(values, _mm256_set1_epi32(0xff));
        let rest = _mm256_sub_epi32(_mm256_set1_epi32(256), fraction);
        let weights = _mm256_or_si256(rest, _mm256_slli_epi32::<16>(fraction));
        let sum = _mm256_madd_epi16(entries, weights);
        let sum = _mm256_srai_epi32::<8>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 7)));
        (
            _mm256_castsi256_si128(sum),
            _mm256_extracti128_si256::<1>(sum),
        )
    }
}
