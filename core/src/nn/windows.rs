//! The windows of a convolution as bytes that lie together, for the fast twins.

use super::convolution::Convolution;
use super::window::{Window, WindowShape};

/// The windows of a convolution, row by row. `copy` copies as many bytes as both slices have.
pub(crate) struct Windows<'a, C> {
    window: &'a Window,
    input: &'a [i8],
    padding: i8,
    /// Bytes of a window in whole blocks. Those beyond the window are arbitrary.
    len: usize,
    /// Room for the band or for a window at the edge.
    staged: &'a mut [i8],
    copy: C,
    y: usize,
    x: usize,
}

impl<'a, C: Fn(&[i8], &mut [i8])> Windows<'a, C> {
    /// Those of a layer over its input, from the first on. `staged` is what [`Convolution::scratch_len`] counts beside
    /// the unpacked windows.
    #[inline]
    pub(crate) fn new(
        layer: &'a Convolution<'_>,
        input: &'a [i8],
        staged: &'a mut [i8],
        copy: C,
    ) -> Self {
        Self {
            window: &layer.window,
            input: input.get(..layer.input_len()).unwrap_or_default(),
            padding: layer.padding,
            len: layer.affine.padded_columns(),
            staged,
            copy,
            y: 0,
            x: 0,
        }
    }

    /// The next window's bytes.
    #[inline]
    pub(crate) fn next(&mut self) -> &[i8] {
        let (x, y) = (self.x, self.y);
        self.x += 1;
        if self.x == self.window.output[1] {
            self.x = 0;
            self.y += 1;
        }
        if self.window.shape.kernel[0] == 1 {
            self.on_a_line(y, x)
        } else {
            self.in_the_band(y, x)
        }
    }

    /// A window of one row lies together in the input, and is copied only at the edges.
    #[inline]
    fn on_a_line(&mut self, y: usize, x: usize) -> &[i8] {
        let WindowShape {
            width,
            channels,
            kernel,
            stride,
            ..
        } = self.window.shape;
        let columns = self.window.columns(x);
        let start = (y * stride[0] * width + columns.start) * channels;
        if columns.len == kernel[1]
            && let Some(bytes) = self.input.get(start..start + self.len)
        {
            return bytes;
        }
        let staged = self.staged.get_mut(..self.len).unwrap_or_default();
        staged.fill(self.padding);
        let inside = self.input.get(start..start + columns.len * channels);
        let place = staged.get_mut(columns.before * channels..);
        (self.copy)(inside.unwrap_or_default(), place.unwrap_or_default());
        staged
    }

    /// The rows under the output's row `y` are interleaved column by column, so that each window lies together and
    /// neighbours overlap.
    #[inline]
    fn in_the_band(&mut self, y: usize, x: usize) -> &[i8] {
        let WindowShape {
            width,
            channels,
            kernel: [height, _],
            stride: [_, stride],
            padding: [_, left, _, right],
            ..
        } = self.window.shape;
        let column = height * channels;
        if x == 0 {
            let rows = self.window.rows(y);
            if rows.len < height || left + right > 0 {
                self.staged.fill(self.padding);
            }
            let pitch = (width * channels).max(1);
            let lines = self.input.chunks_exact(pitch).skip(rows.start);
            for (row, line) in (rows.before..).zip(lines.take(rows.len)) {
                let band = self.staged.get_mut(left * column + row * channels..);
                let places = band.unwrap_or_default().chunks_mut(column.max(1));
                for (pixel, place) in line.chunks_exact(channels.max(1)).zip(places) {
                    (self.copy)(pixel, place);
                }
            }
        }
        let start = x * stride * column;
        self.staged.get(start..start + self.len).unwrap_or_default()
    }
}
