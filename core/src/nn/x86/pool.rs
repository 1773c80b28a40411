//! The largest element of each window, 16 channels at a time.
#![allow(unsafe_code, reason = "loads of vectors take pointers")]

use super::kernels::{VECTOR, copy, put};
use crate::nn::window::Window;
use core::arch::x86_64::*;

/// The twin of [`crate::nn::MaxPool::run_portable`], for buffers that fit.
#[target_feature(enable = "avx2")]
pub(super) fn max_pool(window: &Window, input: &[i8], output: &mut [i8]) {
    let channels = window.shape.channels;
    let [height, width] = window.output;
    let input = &input[..window.input_len()];
    let output = &mut output[..window.positions() * channels];
    let mut place = 0;
    for y in 0..height {
        let rows = window.rows(y);
        for x in 0..width {
            let columns = window.columns(x);
            for first in (0..channels).step_by(VECTOR) {
                let mut most = _mm_set1_epi8(i8::MIN);
                for row in rows.start..rows.start + rows.len {
                    let line = (row * window.shape.width + columns.start) * channels + first;
                    for column in 0..columns.len {
                        most = _mm_max_epi8(most, vector(&input[line + column * channels..]));
                    }
                }
                put(output, place, most, channels, first);
            }
            place += channels;
        }
    }
}

/// The first 16 elements, or as many as there are and zeros.
#[target_feature(enable = "avx2")]
#[inline]
fn vector(elements: &[i8]) -> __m128i {
    let mut all = [0; VECTOR];
    match elements.first_chunk() {
        Some(first) => all = *first,
        None => copy(elements, &mut all),
    }
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_loadu_si128(all.as_ptr().cast()) }
}
