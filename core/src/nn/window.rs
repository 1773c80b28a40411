//! Sliding windows: the geometry that convolutions and pools share.

use super::error::{LayerError, within};

/// Longest side of a tensor, and most channels.
const MAX_SIDE: usize = 4096;
/// Largest tensor, in elements.
pub(crate) const MAX_ELEMENTS: usize = 1 << 20;
/// Most elements under one row of the output, padding included, so that no size overflows 32 bits.
const MAX_BAND: usize = 1 << 24;

/// Where a window slides over `[height, width, channels]`. A signal has height 1; see [`WindowShape::line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowShape {
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right, each less than the kernel's side.
    pub padding: [usize; 4],
}

impl WindowShape {
    /// A window over a signal `[length, channels]`; `padding` is before the first and after the last position.
    pub const fn line(
        length: usize,
        channels: usize,
        kernel: usize,
        stride: usize,
        padding: [usize; 2],
    ) -> Self {
        Self {
            height: 1,
            width: length,
            channels,
            kernel: [1, kernel],
            stride: [1, stride],
            padding: [0, padding[0], 0, padding[1]],
        }
    }

    /// One window over everything, as global pools have it.
    pub const fn global(height: usize, width: usize, channels: usize) -> Self {
        Self {
            height,
            width,
            channels,
            kernel: [height, width],
            stride: [1, 1],
            padding: [0; 4],
        }
    }
}

/// A checked [`WindowShape`]: every window covers at least one element of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub(crate) shape: WindowShape,
    pub(crate) output: [usize; 2],
}

/// The part of one window that lies inside the input, along one side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// First element inside, counted in the input.
    pub(crate) start: usize,
    /// Elements of padding before it.
    pub(crate) before: usize,
    /// Elements inside.
    pub(crate) len: usize,
}

impl Window {
    /// Checks the geometry.
    ///
    /// # Errors
    /// If a size is zero or too large, padding is not less than the kernel, or no window fits. Whatever is taken has sizes
    /// that fit 32 bits.
    pub fn new(shape: WindowShape) -> Result<Self, LayerError> {
        within("input height", shape.height, 1, MAX_SIDE)?;
        within("input width", shape.width, 1, MAX_SIDE)?;
        within("input channels", shape.channels, 1, MAX_SIDE)?;
        let row = shape.width * shape.channels;
        within(
            "input elements",
            shape.height.saturating_mul(row),
            1,
            MAX_ELEMENTS,
        )?;
        let [top, left, bottom, right] = shape.padding;
        let side = |names: [&'static str; 4], size, kernel, stride, before, after| {
            within(names[0], kernel, 1, MAX_SIDE)?;
            within(names[1], stride, 1, MAX_SIDE)?;
            within(names[2], before, 0, kernel - 1)?;
            within(names[3], after, 0, kernel - 1)?;
            within(names[0], kernel, 1, size + before + after)?;
            Ok((size + before + after - kernel) / stride + 1)
        };
        let height = side(
            [
                "kernel height",
                "vertical stride",
                "padding at the top",
                "padding at the bottom",
            ],
            shape.height,
            shape.kernel[0],
            shape.stride[0],
            top,
            bottom,
        )?;
        let width = side(
            [
                "kernel width",
                "horizontal stride",
                "padding at the left",
                "padding at the right",
            ],
            shape.width,
            shape.kernel[1],
            shape.stride[1],
            left,
            right,
        )?;
        let outputs = (height * width).saturating_mul(shape.channels);
        within("output elements", outputs, 1, MAX_ELEMENTS)?;
        // What a kernel sees of one row of the output; more than a window, which so fits as well.
        let band = (left + shape.width + right)
            .saturating_mul(shape.kernel[0])
            .saturating_mul(shape.channels);
        within("elements under a row of the output", band, 1, MAX_BAND)?;
        Ok(Self {
            shape,
            output: [height, width],
        })
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.shape.height * self.shape.width * self.shape.channels
    }

    /// Height and width of the output.
    pub const fn output_shape(&self) -> [usize; 2] {
        self.output
    }

    /// Windows, and so positions of the output.
    pub const fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of one window over all channels.
    pub const fn len(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1] * self.shape.channels
    }

    /// Never: a window has at least one element.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The rows of the input under the output's row `y`.
    #[inline]
    pub(crate) fn rows(&self, y: usize) -> Span {
        span(
            y,
            self.shape.height,
            self.shape.kernel[0],
            self.shape.stride[0],
            self.shape.padding[0],
        )
    }

    /// The columns of the input under the output's column `x`.
    #[inline]
    pub(crate) fn columns(&self, x: usize) -> Span {
        span(
            x,
            self.shape.width,
            self.shape.kernel[1],
            self.shape.stride[1],
            self.shape.padding[1],
        )
    }

    /// The stretches of `input` under the window at (`y`, `x`), one a row, with the window's rows and columns.
    #[inline]
    pub(crate) fn stretches<'a>(
        &self,
        y: usize,
        x: usize,
        input: &'a [i8],
    ) -> (Span, Span, impl Iterator<Item = &'a [i8]> + use<'a>) {
        let (rows, columns) = (self.rows(y), self.columns(x));
        let (pitch, channels) = (self.shape.width * self.shape.channels, self.shape.channels);
        let stretches = input
            .chunks_exact(pitch.max(1))
            .skip(rows.start)
            .take(rows.len)
            .map(move |row| {
                let inside = columns.start * channels..(columns.start + columns.len) * channels;
                row.get(inside).unwrap_or_default()
            });
        (rows, columns, stretches)
    }
}

#[inline]
fn span(position: usize, size: usize, kernel: usize, stride: usize, padding: usize) -> Span {
    let first = position * stride;
    let before = padding.saturating_sub(first);
    let start = (first + before).saturating_sub(padding);
    let end = (first + kernel).saturating_sub(padding).min(size);
    Span {
        start,
        before,
        len: end.saturating_sub(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_belongs_to_windows_at_the_edge() -> Result<(), LayerError> {
        let window = Window::new(WindowShape::line(5, 2, 3, 2, [2, 1]))?;
        assert_eq!(window.output_shape(), [1, 3]);
        let input = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let mut found = [(0, 0, 0, 0); 3];
        for (x, found) in found.iter_mut().enumerate() {
            let (_, columns, mut rows) = window.stretches(0, x, &input);
            let row = rows.next().unwrap_or_default();
            *found = (columns.before, columns.start, row.len(), row[0]);
        }
        assert_eq!(found, [(2, 0, 2, 1), (0, 0, 6, 1), (0, 2, 6, 5)]);
        Ok(())
    }

    #[test]
    fn impossible_geometry_is_refused_by_name() {
        let good = WindowShape {
            height: 4,
            width: 6,
            channels: 3,
            kernel: [3, 2],
            stride: [1, 2],
            padding: [1, 0, 1, 1],
        };
        assert!(Window::new(good).is_ok());
        for (shape, name) in [
            (WindowShape { height: 0, ..good }, "input height"),
            (
                WindowShape {
                    width: 5000,
                    ..good
                },
                "input width",
            ),
            (
                WindowShape {
                    height: 4000,
                    width: 4000,
                    ..good
                },
                "input elements",
            ),
            (
                WindowShape {
                    kernel: [0, 2],
                    ..good
                },
                "kernel height",
            ),
            (
                WindowShape {
                    kernel: [7, 2],
                    ..good
                },
                "kernel height",
            ),
            (
                WindowShape {
                    stride: [1, 0],
                    ..good
                },
                "horizontal stride",
            ),
            (
                WindowShape {
                    padding: [3, 0, 0, 0],
                    ..good
                },
                "padding at the top",
            ),
            (
                WindowShape {
                    padding: [0, 0, 0, 2],
                    ..good
                },
                "padding at the right",
            ),
        ] {
            let Err(LayerError::Range { what, .. }) = Window::new(shape) else {
                panic!("{shape:?} was taken");
            };
            assert_eq!(what, name, "{shape:?}");
        }
    }
}
