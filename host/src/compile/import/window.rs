//! Convolutions and pools.

use super::super::error::CompileError;
use super::super::graph::Operator;
use super::super::layout::Layout;
use super::super::onnx;
use super::{Importer, Value};
use heartlens_core::nn::{Window, WindowShape};

impl<'a> Importer<'a> {
    /// A plane or a signal that lies channels last, and its ONNX rank.
    fn plane(&self, node: &onnx::Node<'a>) -> Result<(Value, [usize; 3], usize), CompileError> {
        let value = self.value(node, 0)?;
        let Some(plane) = value.layout.plane() else {
            return Err(node.refuse(
                "its input",
                value.layout.text(),
                "[batch, channels, length] or [batch, channels, height, width], stored channels last,",
            ));
        };
        let rank = value.layout.lengths().len();
        Ok((value, plane, rank))
    }

    /// The geometry of a convolution or a pool over `[height, width, channels]`.
    fn window(
        &self,
        node: &onnx::Node<'a>,
        [height, width, channels]: [usize; 3],
        kernel: &[usize],
    ) -> Result<(WindowShape, [usize; 2]), CompileError> {
        let auto_pad = node.text("auto_pad", "NOTSET")?;
        if auto_pad != "NOTSET" {
            return Err(node.refuse(
                "attribute `auto_pad`",
                auto_pad,
                "NOTSET, padding in `pads`,",
            ));
        }
        let axes = kernel.len();
        let dilations = node.sizes("dilations", axes, 1, 1)?;
        if dilations.iter().any(|n| *n != 1) {
            return Err(node.refuse(
                "attribute `dilations`",
                format!("{dilations:?}"),
                "1 in all directions",
            ));
        }
        let strides = node.sizes("strides", axes, 1, 1)?;
        let pads = node.sizes("pads", 2 * axes, 0, 0)?;
        let shape = match (kernel, strides.as_slice(), pads.as_slice()) {
            ([kernel], [stride], [left, right]) => {
                WindowShape::line(width, channels, *kernel, *stride, [*left, *right])
            }
            ([rows, columns], [down, right], pads) => WindowShape {
                height,
                width,
                channels,
                kernel: [*rows, *columns],
                stride: [*down, *right],
                padding: [pads[0], pads[1], pads[2], pads[3]],
            },
            _ => return Err(node.refuse("its kernel", format!("{kernel:?}"), "one or two axes")),
        };
        let window = Window::new(shape).map_err(|source| CompileError::Layer {
            layer: node.title.clone(),
            source,
        })?;
        Ok((shape, window.output_shape()))
    }

    pub(super) fn convolution(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        let (value, plane, rank) = self.plane(node)?;
        let channels = plane[2];
        let weights = self.floats(node, 1)?;
        let group = node.int("group", 1)?;
        let (outputs, columns, kernel) = match weights.dims.as_slice() {
            [outputs, columns, kernel @ ..] if kernel.len() == rank - 2 => {
                (*outputs, *columns, kernel)
            }
            dims => {
                let expected = format!("rank {rank}, as its input has,");
                return Err(node.refuse("the shape of its weights", format!("{dims:?}"), expected));
            }
        };
        if node.ints("kernel_shape")?.is_some_and(|shape| {
            !shape
                .iter()
                .map(|n| usize::try_from(*n).ok())
                .eq(kernel.iter().map(|n| Some(*n)))
        }) {
            let found = format!("{:?}", node.ints("kernel_shape")?.unwrap_or_default());
            return Err(node.refuse(
                "attribute `kernel_shape`",
                found,
                format!("{kernel:?}, that of its weights,"),
            ));
        }
        let (window, [height, width]) = self.window(node, plane, kernel)?;
        let bias = self.bias(node, 2, outputs)?;
        let [rows, cols] = window.kernel;
        let values = &weights.values;
        let operator = if group == 1 && columns == channels {
            let row = |o: usize| {
                let element = move |(x, y, c)| values[((o * channels + c) * rows + y) * cols + x];
                (0..cols)
                    .flat_map(move |x| {
                        (0..rows).flat_map(move |y| (0..channels).map(move |c| (x, y, c)))
                    })
                    .map(element)
            };
            Operator::Convolution {
                window,
                weights: (0..outputs).flat_map(row).collect(),
                bias,
            }
        } else if group == channels as i64 && columns == 1 && outputs == channels {
            Operator::Depthwise {
                window,
                weights: (0..rows * cols)
                    .flat_map(|tap| (0..channels).map(move |c| values[c * rows * cols + tap]))
                    .collect(),
                bias,
            }
        } else {
            let found = format!(
                "{group} with weights of {:?} on {channels} channels",
                weights.dims
            );
            return Err(node.refuse(
                "attribute `group`",
                found,
                "1, or as many as input and output channels,",
            ));
        };
        let shape = [height, width, outputs];
        self.push(
            node,
            vec![value.tensor],
            operator,
            shape,
            Layout::channels_first(shape, rank),
        )
    }

    pub(super) fn pool(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        let largest = node.proto.op_type == "MaxPool";
        if largest {
            node.only(&[
                "auto_pad",
                "ceil_mode",
                "dilations",
                "kernel_shape",
                "pads",
                "storage_order",
                "strides",
            ])?;
            node.must_be("storage_order", 0)?;
        } else {
            node.only(&[
                "auto_pad",
                "ceil_mode",
                "count_include_pad",
                "dilations",
                "kernel_shape",
                "pads",
                "strides",
            ])?;
        }
        node.must_be("ceil_mode", 0)?;
        let (value, plane, rank) = self.plane(node)?;
        if node.ints("kernel_shape")?.is_none() {
            return Err(node.refuse("attribute `kernel_shape`", "missing", "a pool with one"));
        }
        let kernel = node.sizes("kernel_shape", rank - 2, 1, 1)?;
        let (window, [height, width]) = self.window(node, plane, &kernel)?;
        if !largest && window.padding != [0; 4] {
            node.must_be("count_include_pad", 0)?;
        }
        let shape = [height, width, plane[2]];
        let operator = if largest {
            Operator::MaxPool { window }
        } else {
            Operator::AveragePool { window }
        };
        self.push(
            node,
            vec![value.tensor],
            operator,
            shape,
            Layout::channels_first(shape, rank),
        )
    }

    pub(super) fn global_pool(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        let (value, [height, width, channels], rank) = self.plane(node)?;
        let window = WindowShape::global(height, width, channels);
        let shape = [1, 1, channels];
        let layout = Layout::channels_first(shape, rank);
        self.push(
            node,
            vec![value.tensor],
            Operator::AveragePool { window },
            shape,
            layout,
        )
    }
}
