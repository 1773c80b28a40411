//! Pools: the largest or the mean element of each window. Padding never counts, and scale and zero point stay.

use super::error::LayerError;
use super::window::{Window, WindowShape};
use super::{backend, holds, portable};

/// The largest element of each window and channel.
///
/// # Shapes
/// Input `[height, width, channels]`, output `[output height, output width, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool {
    pub(crate) window: Window,
}

/// The mean element of each window and channel, rounded to the nearest, halves up; padding does not count. With
/// [`WindowShape::global`] it is the global pool.
///
/// # Shapes
/// Input `[height, width, channels]`, output `[output height, output width, channels]`.
#[derive(Debug, Clone, Copy)]
pub struct AveragePool {
    window: Window,
}

impl MaxPool {
    /// Checks the geometry.
    ///
    /// # Errors
    /// See [`Window::new`].
    pub fn new(shape: WindowShape) -> Result<Self, LayerError> {
        Ok(Self {
            window: Window::new(shape)?,
        })
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.window.input_len()
    }

    /// Elements of the output.
    pub const fn output_len(&self) -> usize {
        self.window.positions() * self.window.shape.channels
    }

    /// Computes the output, by the processor's fast twin where it has one.
    pub fn run(&self, input: &[i8], output: &mut [i8]) {
        if self.fits(input, output) {
            backend::max_pool(self, input, output);
        }
    }

    /// Computes the output: the specification.
    pub fn run_portable(&self, input: &[i8], output: &mut [i8]) {
        if self.fits(input, output) {
            portable::max_pool(self, input, output);
        }
    }

    fn fits(&self, input: &[i8], output: &[i8]) -> bool {
        holds("input", input, self.input_len()) && holds("output", output, self.output_len())
    }

    /// The specification, for buffers that fit. `raise` takes the larger of an output and a value, channel by channel.
    pub(super) fn compute(
        &self,
        raise: impl Fn(&mut [i8], &[i8]),
        input: &[i8],
        output: &mut [i8],
    ) {
        let channels = self.window.shape.channels;
        let [height, width] = self.window.output_shape();
        let mut positions = output.chunks_exact_mut(channels.max(1));
        for y in 0..height {
            for (x, output) in (0..width).zip(&mut positions) {
                output.fill(i8::MIN);
                let (_, _, stretches) = self.window.stretches(y, x, input);
                for stretch in stretches {
                    for values in stretch.chunks_exact(channels.max(1)) {
                        raise(output, values);
                    }
                }
            }
        }
    }
}

impl AveragePool {
    /// Checks the geometry.
    ///
    /// # Errors
    /// See [`Window::new`].
    pub fn new(shape: WindowShape) -> Result<Self, LayerError> {
        Ok(Self {
            window: Window::new(shape)?,
        })
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.window.input_len()
    }

    /// Elements of the output.
    pub const fn output_len(&self) -> usize {
        self.window.positions() * self.window.shape.channels
    }

    /// Words of scratch memory.
    pub const fn scratch_len(&self) -> usize {
        self.window.shape.channels
    }

    /// Computes the output.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        let fits = holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len());
        if !fits {
            return;
        }
        let channels = self.window.shape.channels;
        let sums = scratch.get_mut(..channels).unwrap_or_default();
        let [height, width] = self.window.output_shape();
        let mut positions = output.chunks_exact_mut(channels.max(1));
        for y in 0..height {
            for (x, output) in (0..width).zip(&mut positions) {
                sums.fill(0);
                let (rows, columns, stretches) = self.window.stretches(y, x, input);
                for stretch in stretches {
                    for values in stretch.chunks_exact(channels.max(1)) {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum += i32::from(*value);
                        }
                    }
                }
                let count = ((rows.len * columns.len) as i32).max(1);
                for (output, sum) in output.iter_mut().zip(&*sums) {
                    // floor(sum / count + 1/2) lies between the smallest and the largest element.
                    *output = (2 * sum + count).div_euclid(2 * count) as i8;
                }
            }
        }
    }
}
