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

/// Bytes of a vector.
pub(super) const VECTOR: usize = 16;

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
    let staged = &mut scratch[4 * affine.groups..layer.scratch_len()];
    let mut windows = Windows::new(layer, input, bytes_of(staged), copy);
    for position in output[..layer.output_len()].chunks_exact_mut(affine.rows) {
        // SAFETY: as the caller promises; windows are whole groups.
        unsafe { apply::<I>(affine, windows.next(), position) };
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
    let inputs = in_groups(&input[..affine.columns], scratch);
    // SAFETY: as the caller promises.
    unsafe { apply::<I>(affine, inputs, &mut output[..affine.rows]) };
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
    let (staged, scratch) = scratch.split_at_mut(input_groups);
    let (cells, scratch) = scratch.split_at_mut(4 * hidden_groups);
    let (hidden, scratch) = scratch.split_at_mut(hidden_groups);
    let next = &mut scratch[..hidden_groups];
    cells.fill(0);
    hidden.fill(0);
    let (mut hidden, mut next) = (bytes_of(hidden), bytes_of(next));
    for step in 0..shape.steps {
        let time = order.time(step, shape.steps);
        let now = in_groups(&input[time * shape.inputs..][..shape.inputs], staged);
        let fours = cells.as_chunks_mut::<4>().0.iter_mut();
        for (four, (cells, next)) in fours.zip(next.as_chunks_mut::<4>().0).enumerate() {
            // SAFETY: as the caller promises; a cell has two pairs of rows in both matrices.
            unsafe {
                let mut arguments = [_mm_setzero_si128(); 4];
                let twos = (4 * four..shape.hidden).step_by(2);
                for (cell, arguments) in twos.zip(arguments.as_chunks_mut().0) {
                    let (input, hidden) = ((input_groups, now), (hidden_groups, &*hidden));
                    *arguments = if cell + 1 < shape.hidden {
                        two_cells::<I, 4>(direction, cell, input, hidden)
                    } else {
                        two_cells::<I, 2>(direction, cell, input, hidden)
                    };
                }
                *next = advance(arguments, cells, layer.multiplier);
            }
        }
        core::mem::swap(&mut hidden, &mut next);
        copy(hidden, states.at(time));
    }
}

/// The inputs in whole groups of four: themselves, or a copy in `staged`, of which what is beyond them is arbitrary.
#[inline(always)]
pub(super) fn in_groups<'a>(inputs: &'a [i8], staged: &'a mut [i32]) -> &'a [i8] {
    if inputs.len().is_multiple_of(4) {
        return inputs;
    }
    let staged = bytes_of(staged);
    copy(inputs, staged);
    staged
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
pub(super) fn copy(from: &[i8], to: &mut [i8]) {
    let len = from.len().min(to.len());
    let (from, to) = (&from[..len], &mut to[..len]);
    match len {
        0 => {}
        1 => to[0] = from[0],
        2..4 => copy_ends::<2>(from, to),
        4..8 => copy_ends::<4>(from, to),
        8..=16 => copy_ends::<8>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first `N` bytes and the last `N`, which are all of `N` to `2 N`.
#[inline(always)]
fn copy_ends<const N: usize>(from: &[i8], to: &mut [i8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        let (first, last) = (*first, *last);
        if let Some(place) = to.first_chunk_mut() {
            *place = first;
        }
        if let Some(place) = to.last_chunk_mut() {
            *place = last;
        }
    }
}

/// Writes one position's elements, at most 16, from the row `first` on, of so many `rows` in all, the first at `place`. Those of the next positions may be
/// overwritten where they are yet to come.
#[inline(always)]
pub(super) fn put(output: &mut [i8], place: usize, bytes: __m128i, rows: usize, first: usize) {
    let len = (rows - first).min(VECTOR);
    let mut all = [0; VECTOR];
    // SAFETY: every x86-64 has SSE2; the array has 16 bytes.
    unsafe { _mm_storeu_si128(all.as_mut_ptr().cast(), bytes) };
    match output[place + first..].first_chunk_mut() {
        Some(place) if len == VECTOR || rows < VECTOR => *place = all,
        _ => copy(&all[..len], &mut output[place + first..]),
    }
}

/// One position through all rows.
///
/// # Safety
/// The processor has AVX2 and `I`; `inputs` has the padded columns.
#[inline(always)]
unsafe fn apply<I: Isa>(affine: &Affine<'_>, inputs: &[i8], output: &mut [i8]) {
    let Affine {
        groups, zero_point, ..
    } = *affine;
    // No `chunks`: it would divide by the groups, once a position.
    let (mut blocks, mut channels) = (affine.blocks, affine.channels);
    for output in output.chunks_mut(8) {
        let now = channels.len().min(8);
        let each = &channels[..now];
        // SAFETY: as the caller promises; there are as many pairs of blocks as of channels.
        let quantised = unsafe {
            match now / 2 {
                4 => eight::<I, 4>(blocks, groups, inputs, each, zero_point),
                3 => eight::<I, 3>(blocks, groups, inputs, each, zero_point),
                2 => eight::<I, 2>(blocks, groups, inputs, each, zero_point),
                _ => eight::<I, 1>(blocks, groups, inputs, each, zero_point),
            }
        };
        blocks = &blocks[now / 2 * groups..];
        channels = &channels[now..];
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
    inputs: &[i8],
    channels: &[Channel],
    zero_point: i8,
) -> [i8; 8] {
    // SAFETY: as the caller promises; the store writes 8 bytes, which the array has.
    unsafe {
        let sums = I::sums::<PAIRS>(blocks, groups, inputs);
        let mut pairs = [_mm256_setzero_si256(); 4];
        pairs[..PAIRS].copy_from_slice(&sums);
        let [a, b, c, d] = pairs;
        let low = requantise(rows_of_two(a, b), channels);
        let high = if PAIRS > 2 {
            requantise(rows_of_two(c, d), &channels[4..])
        } else {
            _mm_setzero_si128()
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

/// The gates' arguments of two cells, or of one and nothing: of so many `PAIRS` of rows from the cell on. Input and hidden
/// state come with their groups.
///
/// # Safety
/// As for [`Isa::sums`] with the direction's matrices from the cell on, which has `2 * PAIRS` rows of gates.
#[inline(always)]
unsafe fn two_cells<I: Isa, const PAIRS: usize>(
    direction: &Direction<'_>,
    cell: usize,
    (input_groups, input): (usize, &[i8]),
    (hidden_groups, hidden): (usize, &[i8]),
) -> [__m128i; 2] {
    let rows = &direction.rows[4 * cell..4 * cell + 2 * PAIRS];
    let from_input = &direction.input[2 * cell * input_groups..];
    let from_hidden = &direction.hidden[2 * cell * hidden_groups..];
    // SAFETY: as the caller promises.
    unsafe {
        let a = I::sums::<PAIRS>(from_input, input_groups, input);
        let b = I::sums::<PAIRS>(from_hidden, hidden_groups, hidden);
        let first = gates(rows, rows_of_two(a[0], a[1]), rows_of_two(b[0], b[1]));
        let second = if PAIRS > 2 {
            let (a, b) = (&a[PAIRS - 2..], &b[PAIRS - 2..]);
            gates(&rows[4..], rows_of_two(a[0], a[1]), rows_of_two(b[0], b[1]))
        } else {
            _mm_setzero_si128()
        };
        [first, second]
    }
}

/// The arguments of a cell's four gates in Q12, from the sums of the input and of the hidden state.
///
/// # Safety
/// The processor has AVX2, and `rows` has four elements.
#[inline(always)]
unsafe fn gates(rows: &[GateRow], from_input: __m128i, from_hidden: __m128i) -> __m128i {
    const { assert!(size_of::<GateRow>() == 12) };
    // SAFETY: the caller has AVX2; reads 48 bytes, which four rows have.
    unsafe {
        let words = rows.as_ptr().cast::<__m128i>();
        let first = _mm_loadu_si128(words);
        let second = _mm_loadu_si128(words.add(1));
        let third = _mm_loadu_si128(words.add(2));
        // Words b0 x0 h0 b1, x1 h1 b2 x2, h2 b3 x3 h3: each blend has all words of one kind, out of order.
        let bias = _mm_blend_epi32::<0b0010>(_mm_blend_epi32::<0b0100>(first, second), third);
        let bias = _mm_shuffle_epi32::<0b01_10_11_00>(bias);
        let mx = _mm_blend_epi32::<0b0100>(_mm_blend_epi32::<0b1001>(first, second), third);
        let mx = _mm_shuffle_epi32::<0b10_11_00_01>(mx);
        let mh = _mm_blend_epi32::<0b1001>(_mm_blend_epi32::<0b0010>(first, second), third);
        let mh = _mm_shuffle_epi32::<0b11_00_01_10>(mh);
        const SHIFT: i32 = GATE_SHIFT as i32;
        let from_input = _mm_slli_epi32::<SHIFT>(_mm_add_epi32(from_input, bias));
        let from_input = multiply_q32(from_input, mx);
        let from_hidden = multiply_q32(_mm_slli_epi32::<SHIFT>(from_hidden), mh);
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

/// Takes four cells in Q11, with their gates' arguments, one step further and gives the new hidden states.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn advance(arguments: [__m128i; 4], cells: &mut [i32; 4], multiplier: i32) -> [i8; 4] {
    // SAFETY: the caller has AVX2; the load and the store touch 16 bytes, which the array has.
    unsafe {
        let [a, b, c, d] = arguments;
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (input, forget) = (_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        let (ab, cd) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        let (candidate, output) = (_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        let (input, forget) = sigmoids(input, forget);
        let (candidate, output) = sigmoids(candidate, output);

        let cell = _mm_loadu_si128(cells.as_ptr().cast());
        let kept = _mm_mullo_epi32(forget, cell);
        let added = _mm_mullo_epi32(input, tanh_of(candidate));
        let added = _mm_srai_epi32::<4>(_mm_add_epi32(added, _mm_set1_epi32(1 << 3)));
        let sum = _mm_add_epi32(_mm_add_epi32(kept, added), _mm_set1_epi32(1 << 14));
        let next = saturate_i16(_mm_srai_epi32::<15>(sum));
        _mm_storeu_si128(cells.as_mut_ptr().cast(), next);

        let twice = saturate_i16(_mm_slli_epi32::<2>(next));
        let (squashed, _) = sigmoids(twice, twice);
        let product = _mm_mullo_epi32(output, tanh_of(squashed));
        let hidden = multiply_q32(product, _mm_set1_epi32(multiplier));
        let words = _mm_packs_epi32(hidden, hidden);
        let bytes = _mm_cvtsi128_si32(_mm_packs_epi16(words, words));
        bytes.to_ne_bytes().map(u8::cast_signed)
    }
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
