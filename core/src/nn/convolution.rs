//! Convolution over a plane or a signal.

use super::affine::{Affine, Channel, WeightBlock};
use super::error::{LayerError, within};
use super::window::{MAX_ELEMENTS, Window};
use super::{backend, holds, portable};

/// A convolution, with ReLU where the output's zero point is -128.
///
/// # Shapes
/// Input `[height, width, channels]`, output `[output height, output width, rows]`. Each row of weights is
/// `[kernel width, kernel height, channels]`: column by column, so that windows of neighbours overlap in memory. Padding has the value of the input's zero point, which is real zero.
#[derive(Debug, Clone, Copy)]
pub struct Convolution<'w> {
    pub(crate) window: Window,
    pub(crate) affine: Affine<'w>,
    /// The input's zero point.
    pub(crate) padding: i8,
}

impl<'w> Convolution<'w> {
    /// A convolution of `rows` output channels.
    ///
    /// # Errors
    /// If the weights do not fit the window, a filler is not zero, or a bias or multiplier is outside its range.
    pub fn new(
        window: Window,
        rows: usize,
        input_zero_point: i8,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        let layer = Self::bind(
            window,
            rows,
            input_zero_point,
            blocks,
            channels,
            output_zero_point,
        )?;
        layer.affine.check()?;
        Ok(layer)
    }

    /// [`Convolution::new`] for weights that have been through it.
    pub(crate) fn bind(
        window: Window,
        rows: usize,
        input_zero_point: i8,
        blocks: &'w [WeightBlock],
        channels: &'w [Channel],
        output_zero_point: i8,
    ) -> Result<Self, LayerError> {
        let outputs = window.positions().saturating_mul(rows);
        within("output elements", outputs, 1, MAX_ELEMENTS)?;
        Ok(Self {
            window,
            affine: Affine::bind(rows, window.len(), blocks, channels, output_zero_point)?,
            padding: input_zero_point,
        })
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.window.input_len()
    }

    /// Elements of the output.
    pub const fn output_len(&self) -> usize {
        self.window.positions() * self.affine.rows
    }

    /// Words of scratch memory: two unpacked windows, and a copy of one window or, of a kernel of several rows, of all
    /// windows of one row of the output.
    pub const fn scratch_len(&self) -> usize {
        let groups = self.affine.groups;
        let shape = &self.window.shape;
        let copied = match shape.kernel[0] {
            1 => groups,
            height => {
                let [_, left, _, right] = shape.padding;
                let band = (left + shape.width + right) * height * shape.channels;
                // The last window is read in whole blocks.
                (band + 3).div_ceil(4)
            }
        };
        4 * groups + copied
    }

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> usize {
        self.output_len() * self.affine.columns
    }

    /// Computes the output, by the processor's fast twin where it has one.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        if self.fits(input, scratch, output) {
            backend::convolution(self, input, scratch, output);
        }
    }

    /// Computes the output: the specification.
    pub fn run_portable(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        if self.fits(input, scratch, output) {
            portable::convolution(self, input, scratch, output);
        }
    }

    /// The specification, for buffers that fit.
    pub(super) fn compute(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        let input = input.get(..self.input_len()).unwrap_or_default();
        let values = scratch.get_mut(..self.affine.padded_columns());
        let values = values.unwrap_or_default();
        let mut positions = output.chunks_exact_mut(self.affine.rows.max(1));
        let [height, width] = self.window.output_shape();
        for y in 0..height {
            for (x, output) in (0..width).zip(&mut positions) {
                values.fill(i32::from(self.padding));
                let (rows, columns, stretches) = self.window.stretches(y, x, input);
                let channels = self.window.shape.channels.max(1);
                let column = (self.window.shape.kernel[0] * channels).max(1);
                for (row, stretch) in (rows.before..).zip(stretches) {
                    let places = values.get_mut(columns.before * column + row * channels..);
                    let mut places = places.unwrap_or_default().chunks_mut(column);
                    for pixel in stretch.chunks_exact(channels) {
                        let Some(place) = places.next() else {
                            break;
                        };
                        for (value, x) in place.iter_mut().zip(pixel) {
                            *value = i32::from(*x);
                        }
                    }
                }
                self.affine.apply(values, output);
            }
        }
    }

    fn fits(&self, input: &[i8], scratch: &[i32], output: &[i8]) -> bool {
        holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len())
    }
}
