//! Rows of weights in lanes, for AVX-512 with VNNI: a lane of 32 bits sums up one row, four columns at a time, so that
//! nothing is added across lanes. The weights are laid so at the start of each run, which many positions, or steps, repay.
//!
//! The processor multiplies unsigned with signed bytes: inputs come raised by 128, which what a sum starts from takes back.
//! Sums may wrap on the way; what they end at fits.
#![allow(
    unsafe_code,
    reason = "what is laid is written before it is read, and loads of an inner loop are not checked one by one"
)]

use super::kernels::put;
use crate::nn::affine::{Channel, WeightBlock};
use crate::nn::convolution::Convolution;
use core::arch::x86_64::*;
use core::mem::MaybeUninit;

/// Rows of a vector.
const ROWS: usize = 16;
/// Vectors of weights that a layer may have; one with more is run by the other kernels.
pub(super) const ROOM: usize = 128;
/// Bytes of a padded input, likewise.
const PLANE: usize = 8192;
/// Positions that share a load of weights.
const AT_ONCE: usize = 4;

pub(super) type Room = [MaybeUninit<__m512i>; ROOM];

/// At most eight pairs of rows in blocks.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'w> {
    blocks: &'w [WeightBlock],
    groups: usize,
    len: usize,
}

impl<'w> Pairs<'w> {
    /// Those from the pair `first` on, of `pairs` in all, each of so many `groups`.
    pub(super) fn new(
        blocks: &'w [WeightBlock],
        groups: usize,
        pairs: usize,
        first: usize,
    ) -> Self {
        let len = (pairs - first).min(ROWS / 2);
        Self {
            blocks: &blocks[first * groups..][..len * groups],
            groups,
            len,
        }
    }

    /// Four columns of each row. Rows that there are not are zero.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    pub(super) fn columns(&self, group: usize) -> __m512i {
        debug_assert!(group < self.groups);
        let pairs = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let index = _mm256_add_epi32(
            _mm256_mullo_epi32(pairs, _mm256_set1_epi32(self.groups as i32)),
            _mm256_set1_epi32(group as i32),
        );
        let there = ((1_u32 << self.len) - 1) as __mmask8;
        let zero = _mm512_setzero_si512();
        // SAFETY: a block is 64 bits; those of all pairs that the mask takes are in the slice.
        unsafe { _mm512_mask_i32gather_epi64::<8>(zero, there, index, self.blocks.as_ptr().cast()) }
    }
}

/// -128 times the sum of each row.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
pub(super) fn lowered(columns: &[__m512i]) -> __m512i {
    let raised = _mm512_set1_epi8(i8::MIN);
    let mut sums = _mm512_setzero_si512();
    for columns in columns {
        sums = _mm512_dpbusd_epi32(sums, raised, *columns);
    }
    _mm512_sub_epi32(_mm512_setzero_si512(), sums)
}

/// A multiplier a lane, and those of the odd lanes once more where a product of even lanes takes them.
#[derive(Clone, Copy)]
pub(super) struct Multipliers {
    all: __m512i,
    odd: __m512i,
}

impl Multipliers {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    pub(super) fn new(all: __m512i) -> Self {
        Self {
            all,
            odd: _mm512_srli_epi64::<32>(all),
        }
    }

    /// `value * multiplier / 2^32`, rounded.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    pub(super) fn of(self, values: __m512i) -> __m512i {
        let half = _mm512_set1_epi64(1 << 31);
        let even = _mm512_add_epi64(_mm512_mul_epi32(values, self.all), half);
        let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(values), self.odd);
        let odd = _mm512_add_epi64(odd, half);
        _mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(even), 0xaaaa, odd)
    }
}

/// The twin of [`Convolution::run_portable`], for buffers that fit; `false` if the layer is too large for it.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn convolution(layer: &Convolution<'_>, input: &[i8], output: &mut [i8]) -> bool {
    let affine = &layer.affine;
    let window = &layer.window.shape;
    let [top, left, bottom, right] = window.padding;
    let pitch = (left + window.width + right) * window.channels;
    let len = (top + window.height + bottom) * pitch;
    let line = (window.kernel[1] * window.channels).div_ceil(4);
    let laid = window.kernel[0] * line;
    // The last window is read in whole groups.
    if len + 3 > PLANE || laid + affine.groups > ROOM {
        return false;
    }
    let mut plane = [const { MaybeUninit::uninit() }; PLANE];
    let plane = padded(layer, input, pitch, &mut plane[..len + 3]);
    let output = &mut output[..layer.output_len()];
    for first in (0..affine.rows).step_by(ROWS) {
        let pairs = Pairs::new(
            affine.blocks,
            affine.groups,
            affine.rows.div_ceil(2),
            first / 2,
        );
        let mut room: Room = [const { MaybeUninit::uninit() }; ROOM];
        let weights = line_by_line(layer, &pairs, line, &mut room);
        let (biases, multipliers) = channels(&affine.channels[first..]);
        let start = _mm512_add_epi32(biases, lowered(weights));
        let zero_point = _mm512_set1_epi32(i32::from(affine.zero_point));
        let mut windows = Windows {
            x: 0,
            at: 0,
            below: window.stride[0] * pitch,
            layer,
            first_of_line: 0,
        };
        let mut place = 0;
        let mut put = |output: &mut [i8], bytes: __m128i| {
            put(output, place, bytes, affine.rows, first);
            place += affine.rows;
        };
        let positions = layer.window.positions();
        for _ in 0..positions / AT_ONCE {
            let at = [
                windows.next(),
                windows.next(),
                windows.next(),
                windows.next(),
            ];
            // SAFETY: a window's lines lie in the plane, with the bytes behind it that fill its last group.
            for sums in unsafe { sums(plane, pitch, at, weights, line, start) } {
                let values = _mm512_add_epi32(multipliers.of(sums), zero_point);
                put(output, _mm512_cvtsepi32_epi8(values));
            }
        }
        for _ in 0..positions % AT_ONCE {
            // SAFETY: as above.
            let [sums] = unsafe { sums(plane, pitch, [windows.next()], weights, line, start) };
            let values = _mm512_add_epi32(multipliers.of(sums), zero_point);
            put(output, _mm512_cvtsepi32_epi8(values));
        }
    }
    true
}

/// Where windows start in a padded plane, row by row.
struct Windows<'a> {
    layer: &'a Convolution<'a>,
    /// From the windows of one row of the output to those of the next.
    below: usize,
    x: usize,
    at: usize,
    first_of_line: usize,
}

impl Windows<'_> {
    #[inline]
    fn next(&mut self) -> usize {
        let at = self.at;
        let window = &self.layer.window;
        self.x += 1;
        if self.x == window.output[1] {
            self.x = 0;
            self.first_of_line += self.below;
            self.at = self.first_of_line;
        } else {
            self.at += window.shape.stride[1] * window.shape.channels;
        }
        at
    }
}

/// The input with its padding, raised by 128, in the first bytes of `plane`, of which the others are arbitrary.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn padded<'a>(
    layer: &Convolution<'_>,
    input: &[i8],
    pitch: usize,
    plane: &'a mut [MaybeUninit<i8>],
) -> &'a [i8] {
    plane.fill(MaybeUninit::new(layer.padding));
    // SAFETY: all of it has just been written.
    let plane = unsafe { plane.assume_init_mut() };
    let window = &layer.window.shape;
    let [top, left, _, right] = window.padding;
    let inside = &mut plane[top * pitch + left * window.channels..];
    if left + right == 0 {
        inside[..layer.input_len()].copy_from_slice(&input[..layer.input_len()]);
    } else {
        let width = window.width * window.channels;
        for line in 0..window.height {
            let from = &input[line * width..][..width];
            inside[line * pitch..][..width].copy_from_slice(from);
        }
    }
    for byte in &mut *plane {
        *byte ^= i8::MIN;
    }
    plane
}

/// The weights of 16 rows at most, in groups of four columns, those of each line of the window by themselves.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn line_by_line<'a>(
    layer: &Convolution<'_>,
    pairs: &Pairs<'_>,
    line: usize,
    room: &'a mut Room,
) -> &'a [__m512i] {
    let window = &layer.window.shape;
    let [down, right] = window.kernel;
    let (laid, room) = room.split_at_mut(down * line);
    if down == 1 {
        for (group, place) in laid.iter_mut().enumerate() {
            place.write(pairs.columns(group));
        }
    } else {
        let columns = &mut room[..pairs.groups];
        for (group, place) in columns.iter_mut().enumerate() {
            place.write(pairs.columns(group));
        }
        // SAFETY: all of them have just been written.
        let columns = unsafe { columns.assume_init_ref() };
        let pixel_column = down * window.channels;
        let mut laid = laid.iter_mut();
        for row in 0..down {
            let (mut pixel, mut channel) = (row * window.channels, 0);
            let mut left = right * window.channels;
            for place in laid.by_ref().take(line) {
                let mut four = _mm512_setzero_si512();
                for byte in 0..left.min(4) {
                    let from = pixel + channel;
                    let turn = 8 * (byte + 4 - from % 4) as i32;
                    let turned = _mm512_rolv_epi32(columns[from / 4], _mm512_set1_epi32(turn));
                    four = _mm512_mask_mov_epi8(four, 0x1111_1111_1111_1111 << byte, turned);
                    channel += 1;
                    if channel == window.channels {
                        (pixel, channel) = (pixel + pixel_column, 0);
                    }
                }
                left -= left.min(4);
                place.write(four);
            }
        }
    }
    // SAFETY: each has been written, in either case.
    unsafe { laid.assume_init_ref() }
}

/// Biases and multipliers of the first 16 channels, or of as many as there are and zeros.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn channels(channels: &[Channel]) -> (__m512i, Multipliers) {
    let there = (1_u32 << channels.len().min(ROWS)) - 1;
    // SAFETY: a channel is 64 bits; what a mask leaves out is not read.
    let (low, high) = unsafe {
        let channels = channels.as_ptr().cast::<i64>();
        (
            _mm512_maskz_loadu_epi64(there as __mmask8, channels),
            _mm512_maskz_loadu_epi64((there >> 8) as __mmask8, channels.wrapping_add(8)),
        )
    };
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    (
        _mm512_permutex2var_epi32(low, even, high),
        Multipliers::new(_mm512_permutex2var_epi32(low, odd, high)),
    )
}

/// The sums of some windows.
///
/// # Safety
/// From each place `at` on, `plane` has the lines of a window, `pitch` apart, in whole groups of which there are `line`
/// in each; `weights` are whole lines.
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn sums<const N: usize>(
    plane: &[i8],
    pitch: usize,
    at: [usize; N],
    weights: &[__m512i],
    line: usize,
    start: __m512i,
) -> [__m512i; N] {
    let mut sums = [start; N];
    let mut weights = weights.iter();
    let mut below = 0;
    while !weights.as_slice().is_empty() {
        for (group, weights) in weights.by_ref().take(line).enumerate() {
            for (sum, at) in sums.iter_mut().zip(at) {
                let four = at + below + 4 * group;
                debug_assert!(four + 4 <= plane.len());
                // SAFETY: as the caller promises.
                let four = unsafe { plane.as_ptr().add(four).cast::<i32>().read_unaligned() };
                *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(four), *weights);
            }
        }
        below += pitch;
    }
    sums
}
