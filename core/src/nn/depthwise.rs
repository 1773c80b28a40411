//! Depthwise convolution: each channel by its own kernel.

use super::affine::{Channel, MAX_BIAS, MAX_COLUMNS, check_channels};
use super::arithmetic::requantise;
use super::error::{LayerError, same_len, within};
use super::holds;
use super::window::Window;

/// A depthwise convolution, with ReLU where the output's zero point is -128.
///
/// # Shapes
/// Input `[height, width, channels]`, output `[output height, output width, channels]`, weights
/// `[kernel height, kernel width, channels]`. Padding has the value of the input's zero point.
#[derive(Debug, Clone, Copy)]
pub struct Depthwise<'w> {
    window: Window,
    weights: &'w [i8],
    channels: &'w [Channel],
    padding: i8,
    zero_point: i8,
}

impl<'w> Depthwise<'w> {
    /// Binds the weights and one bias and multiplier a channel.
    ///
    /// # Errors
    /// If a length does not fit, or a bias or multiplier is outside its range.
    pub fn new(
        window: Window,
        input_zero_point: i8,
        weights: &'w [i8],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        let layer = Self::bind(
            window,
            input_zero_point,
            weights,
            channels,
            output_zero_point,
        )?;
        layer.check()?;
        Ok(layer)
    }

    /// [`Depthwise::new`] for channels that have been through it.
    pub(crate) fn bind(
        window: Window,
        input_zero_point: i8,
        weights: &'w [i8],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        let [height, width] = window.shape.kernel;
        within("elements of a kernel", height * width, 1, MAX_COLUMNS)?;
        same_len("weights", weights.len(), window.len())?;
        same_len("channels", channels.len(), window.shape.channels)?;
        Ok(Self {
            window,
            weights,
            channels,
            padding: input_zero_point,
            zero_point: output_zero_point,
        })
    }

    /// Checks each channel.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        check_channels(self.channels, MAX_BIAS)
    }

    /// Weights and biases.
    pub(crate) const fn params(&self) -> usize {
        self.weights.len() + self.channels.len()
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

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> usize {
        self.window.positions() * self.window.len()
    }

    /// Computes the output.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        let fits = holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len());
        if !fits {
            return;
        }
        let shape = &self.window.shape;
        let sums = scratch.get_mut(..shape.channels).unwrap_or_default();
        let kernel_width = shape.kernel[1].max(1);
        let [height, width] = self.window.output_shape();
        let mut positions = output.chunks_exact_mut(shape.channels.max(1));
        for y in 0..height {
            for (x, output) in (0..width).zip(&mut positions) {
                for (sum, channel) in sums.iter_mut().zip(self.channels) {
                    *sum = channel.bias;
                }
                let (rows, columns) = (self.window.rows(y), self.window.columns(x));
                let taps = self.weights.chunks_exact(shape.channels.max(1));
                for (tap, weights) in taps.enumerate() {
                    let (row, column) = (tap / kernel_width, tap % kernel_width);
                    let inside = (rows.before..rows.before + rows.len).contains(&row)
                        && (columns.before..columns.before + columns.len).contains(&column);
                    if inside {
                        let row = rows.start + row - rows.before;
                        let column = columns.start + column - columns.before;
                        let start = (row * shape.width + column) * shape.channels;
                        let values = input.get(start..start + shape.channels);
                        let values = values.unwrap_or_default();
                        for ((sum, weight), x) in sums.iter_mut().zip(weights).zip(values) {
                            *sum += i32::from(*weight) * i32::from(*x);
                        }
                    } else {
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum += i32::from(*weight) * i32::from(self.padding);
                        }
                    }
                }
                for ((output, sum), channel) in output.iter_mut().zip(&*sums).zip(self.channels) {
                    *output = requantise(*sum, channel.multiplier, self.zero_point);
                }
            }
        }
    }
}
