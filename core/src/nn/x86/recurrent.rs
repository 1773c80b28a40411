//! One direction of an LSTM with the gates of four cells in a vector, for AVX-512 with VNNI.
#![allow(
    unsafe_code,
    reason = "what is laid is written before it is read, and loads and stores of vectors take pointers"
)]

use super::kernels::{copy, in_groups};
use super::lanes::{Multipliers, Pairs, ROOM, Room, lowered};
use crate::nn::activation::SIGMOID;
use crate::nn::lstm::{Direction, GATE_SHIFT, GateRow, Lstm, Order, States};
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

/// Cells whose states a vector holds.
const CELLS: usize = 16;
/// Cells whose gates a vector holds.
const QUAD: usize = 4;
/// Vectors of four cells beside their weights: what the sums start from, and the multipliers.
const PARAMETERS: usize = 4;
/// Most vectors of cells: [`ROOM`] has no more.
const MOST: usize = 4;

/// The twin of one direction of [`Lstm::run_portable`], for buffers that fit; `false` if the layer is too large for it.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn lstm(
    layer: &Lstm<'_>,
    direction: &Direction<'_>,
    order: Order,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) -> bool {
    let shape = &layer.shape;
    let groups = [shape.inputs.div_ceil(4), shape.hidden.div_ceil(4)];
    let each = PARAMETERS + groups[0] + groups[1];
    let quads = shape.hidden.div_ceil(QUAD);
    if quads * each > ROOM || shape.hidden > MOST * CELLS {
        return false;
    }
    let mut room: Room = [const { MaybeUninit::uninit() }; ROOM];
    let laid = lay(direction, groups, &mut room[..quads * each]);
    let table = Table::new();
    let multiplier = Multipliers::new(_mm512_set1_epi32(layer.multiplier));
    let mut cells = [_mm512_setzero_si512(); MOST];
    // Raised by 128, as `lanes` wants inputs.
    let mut hidden = [[i8::MIN; CELLS]; MOST];
    for step in 0..shape.steps {
        let time = order.time(step, shape.steps);
        let now = in_groups(&input[time * shape.inputs..][..shape.inputs], scratch);
        let mut next = hidden;
        let before = [now, hidden.as_flattened()];
        let place = states.at(time);
        for (index, (cells, next)) in cells.iter_mut().zip(&mut next).enumerate() {
            let first = index * CELLS;
            if first >= shape.hidden {
                break;
            }
            let laid = &laid[index * MOST * each..];
            let arguments = match (quads - index * MOST).min(MOST) {
                1 => arguments::<1>(laid, groups, before),
                2 => arguments::<2>(laid, groups, before),
                3 => arguments::<3>(laid, groups, before),
                _ => arguments::<4>(laid, groups, before),
            };
            let state = advance(&table, arguments, cells, multiplier);
            let mut bytes = [0; CELLS];
            // SAFETY: both arrays have 16 bytes.
            unsafe {
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), state);
                let raised = _mm_xor_si128(state, _mm_set1_epi8(i8::MIN));
                _mm_storeu_si128(next.as_mut_ptr().cast(), raised);
            }
            copy(&bytes, &mut place[first..]);
        }
        hidden = next;
    }
    true
}

/// Lays a direction's weights, four cells after four cells: their [`PARAMETERS`], then the columns of the input's groups and of
/// the hidden state's.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn lay<'a>(
    direction: &Direction<'_>,
    groups: [usize; 2],
    room: &'a mut [MaybeUninit<__m512i>],
) -> &'a [__m512i] {
    let pairs = direction.rows.len() / 2;
    let each = PARAMETERS + groups[0] + groups[1];
    for (quad, room) in room.chunks_exact_mut(each).enumerate() {
        let first = quad * 2 * QUAD;
        let (parameters, room) = room.split_at_mut(PARAMETERS);
        let (from_input, from_hidden) = room.split_at_mut(groups[0]);
        let matrices = [
            (direction.input, from_input),
            (direction.hidden, from_hidden),
        ];
        let mut starts = [_mm512_setzero_si512(); 2];
        for (index, (blocks, places)) in matrices.into_iter().enumerate() {
            let pairs = Pairs::new(blocks, groups[index], pairs, first);
            for (group, place) in places.iter_mut().enumerate() {
                place.write(pairs.columns(group));
            }
            // SAFETY: all of them have just been written.
            starts[index] = lowered(unsafe { places.assume_init_ref() });
        }
        let [biases, input, hidden] = gate_rows(&direction.rows[2 * first..]);
        let values = [
            _mm512_add_epi32(starts[0], biases),
            starts[1],
            input,
            hidden,
        ];
        for (place, value) in parameters.iter_mut().zip(values) {
            place.write(value);
        }
    }
    // SAFETY: each has been written: the room is whole parts, and a part is its parameters and its columns.
    unsafe { room.assume_init_ref() }
}

/// Biases, input multipliers and hidden multipliers of the first 16 rows, or of as many as there are and zeros.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn gate_rows(rows: &[GateRow]) -> [__m512i; 3] {
    const { assert!(size_of::<GateRow>() == 12) };
    let there = (1_u64 << (3 * rows.len().min(4 * QUAD))) - 1;
    let mut words = [_mm512_setzero_si512(); 3];
    for (index, words) in words.iter_mut().enumerate() {
        let mask = (there >> (16 * index)) as __mmask16;
        let from = rows.as_ptr().cast::<i32>().wrapping_add(16 * index);
        // SAFETY: a row is three words; what the mask leaves out is not read.
        *words = unsafe { _mm512_maskz_loadu_epi32(mask, from) };
    }
    let [first, second, third] = words;
    let mut kinds = [_mm512_setzero_si512(); 3];
    for (kind, words) in kinds.iter_mut().enumerate() {
        let every_third =
            _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45);
        let index = _mm512_add_epi32(every_third, _mm512_set1_epi32(kind as i32));
        let low = _mm512_permutex2var_epi32(first, index, second);
        let beyond = _mm512_cmpge_epi32_mask(index, _mm512_set1_epi32(32));
        *words = _mm512_mask_permutexvar_epi32(low, beyond, index, third);
    }
    kinds
}

/// The gates' arguments in Q12 of so many times four cells, of two times four in each vector: a part of 128 bits has the
/// four gates of a cell of the first four, then those of one of the second.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn arguments<const QUADS: usize>(
    laid: &[__m512i],
    groups: [usize; 2],
    before: [&[i8]; 2],
) -> [__m512i; 2] {
    let each = PARAMETERS + groups[0] + groups[1];
    let mut parts = [laid; QUADS];
    for (index, part) in parts.iter_mut().enumerate() {
        *part = &laid[index * each..][..each];
    }
    let mut wide = [_mm512_setzero_si512(); 4];
    let mut columns = PARAMETERS;
    for (matrix, inputs) in before.into_iter().enumerate() {
        let mut sums = [_mm512_setzero_si512(); QUADS];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum = part[matrix];
        }
        let raise = if matrix == 0 {
            i32::from_ne_bytes([0x80; 4])
        } else {
            0
        };
        for four in inputs.as_chunks::<4>().0.iter().take(groups[matrix]) {
            let four = i32::from_ne_bytes(four.map(i8::cast_unsigned)) ^ raise;
            let four = _mm512_set1_epi32(four);
            for (sum, part) in sums.iter_mut().zip(parts) {
                debug_assert!(columns < part.len());
                // SAFETY: a part has the columns of the groups of both matrices behind its parameters.
                *sum = _mm512_dpbusd_epi32(*sum, four, unsafe { *part.get_unchecked(columns) });
            }
            columns += 1;
        }
        for (index, part) in parts.iter().enumerate() {
            let multipliers = Multipliers::new(part[2 + matrix]);
            let argument = multipliers.of(_mm512_slli_epi32::<GATE_SHIFT>(sums[index]));
            wide[index] = _mm512_add_epi32(wide[index], argument);
        }
    }
    let [a, b, c, d] = wide;
    [_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)]
}

/// Takes 16 cells in Q11, with the [`arguments`] of their gates, one step further and gives the new hidden states.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn advance(
    table: &Table,
    [low, high]: [__m512i; 2],
    cells: &mut __m512i,
    multiplier: Multipliers,
) -> __m128i {
    let (low, high) = (table.sigmoids(low), table.sigmoids(high));
    let order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 16, 20, 24, 28, 18, 22, 26, 30);
    // Of each cell two words: input and forget gate; candidate and output gate.
    let input_forget = _mm512_permutex2var_epi32(low, order, high);
    let order = _mm512_add_epi32(order, _mm512_set1_epi32(1));
    let candidate_output = _mm512_permutex2var_epi32(low, order, high);

    let kept = _mm512_madd_epi16(input_forget, _mm512_slli_epi32::<16>(*cells));
    let candidate = _mm512_and_si512(tanh_of(candidate_output), _mm512_set1_epi32(0xffff));
    let added = _mm512_madd_epi16(input_forget, candidate);
    let added = _mm512_srai_epi32::<4>(_mm512_add_epi32(added, _mm512_set1_epi32(1 << 3)));
    let sum = _mm512_add_epi32(_mm512_add_epi32(kept, added), _mm512_set1_epi32(1 << 14));
    *cells = saturate_i16(_mm512_srai_epi32::<15>(sum));

    let twice = saturate_i16(_mm512_slli_epi32::<2>(*cells));
    let squashed = _mm512_slli_epi32::<16>(tanh_of(table.sigmoids(twice)));
    let product = _mm512_madd_epi16(candidate_output, squashed);
    _mm512_cvtsepi32_epi8(multiplier.of(product))
}

/// The nearest int16.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn saturate_i16(values: __m512i) -> __m512i {
    let largest = _mm512_set1_epi32(i32::from(i16::MAX));
    let smallest = _mm512_set1_epi32(i32::from(i16::MIN));
    _mm512_max_epi32(_mm512_min_epi32(values, largest), smallest)
}

/// `2 s - 2^15`, an int16: the hyperbolic tangent of half the argument of the sigmoid `s`.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn tanh_of(sigmoids: __m512i) -> __m512i {
    _mm512_sub_epi16(
        _mm512_slli_epi16::<1>(sigmoids),
        _mm512_set1_epi16(i16::MIN),
    )
}

/// [`SIGMOID`] in registers: its first 256 entries, and by how much the next one is larger.
struct Table {
    entries: [__m512i; 8],
    rises: [__m512i; 8],
}

impl Table {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    fn new() -> Self {
        let mut entries = [_mm512_setzero_si512(); 8];
        let mut rises = entries;
        for (index, (entries, rises)) in entries.iter_mut().zip(&mut rises).enumerate() {
            // SAFETY: 32 entries are read from 32 times 0 to 7 on, and again from one later on; there are 257.
            unsafe {
                let from = SIGMOID.as_ptr().add(32 * index);
                *entries = _mm512_loadu_epi16(from);
                *rises = _mm512_sub_epi16(_mm512_loadu_epi16(from.add(1)), *entries);
            }
        }
        Self { entries, rises }
    }

    /// [`crate::nn::sigmoid`] of each int16.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    fn sigmoids(&self, values: __m512i) -> __m512i {
        let index = _mm512_xor_si512(values, _mm512_set1_epi16(i16::MIN));
        let index = _mm512_srli_epi16::<8>(index);
        let upper_half = _mm512_test_epi16_mask(index, _mm512_set1_epi16(128));
        let upper_quarter = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
        let entry = pick(&self.entries, index, upper_half, upper_quarter);
        let rise = pick(&self.rises, index, upper_half, upper_quarter);
        // The fraction times 2^7, so that the product's rounded upper part is the rise by it.
        let fraction = _mm512_slli_epi16::<7>(values);
        let fraction = _mm512_and_si512(fraction, _mm512_set1_epi16(0xff << 7));
        _mm512_add_epi16(entry, _mm512_mulhrs_epi16(fraction, rise))
    }
}

/// The entries at indices from 0 to 255, by their lower six bits and the upper two.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn pick(
    table: &[__m512i; 8],
    index: __m512i,
    upper_half: __mmask32,
    upper_quarter: __mmask32,
) -> __m512i {
    let [a, b, c, d, e, f, g, h] = *table;
    let first = _mm512_permutex2var_epi16(a, index, b);
    let second = _mm512_permutex2var_epi16(c, index, d);
    let third = _mm512_permutex2var_epi16(e, index, f);
    let fourth = _mm512_permutex2var_epi16(g, index, h);
    let low = _mm512_mask_mov_epi16(first, upper_quarter, second);
    let high = _mm512_mask_mov_epi16(third, upper_quarter, fourth);
    _mm512_mask_mov_epi16(low, upper_half, high)
}
