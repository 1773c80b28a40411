//! ReLU, sums, concatenations and dense layers.

use super::super::error::CompileError;
use super::super::graph::Operator;
use super::super::layout::Layout;
use super::super::onnx::{self, Constant};
use super::Importer;

impl<'a> Importer<'a> {
    pub(super) fn relu(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        let value = self.value(node, 0)?;
        let shape = self.graph.tensors[value.tensor].shape;
        self.push(
            node,
            vec![value.tensor],
            Operator::Relu,
            shape,
            value.layout,
        )
    }

    pub(super) fn add(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        for (constant, other) in [(1, 0), (0, 1)] {
            if node
                .input(constant)
                .is_some_and(|name| self.constants.contains_key(name))
            {
                return self.add_bias(node, constant, other);
            }
        }
        let (a, b) = (self.value(node, 0)?, self.value(node, 1)?);
        if a.layout != b.layout {
            let found = format!("{} and {}", a.layout.text(), b.layout.text());
            return Err(node.refuse(
                "the shapes that it adds",
                found,
                "two of one shape, stored alike,",
            ));
        }
        let shape = self.graph.tensors[a.tensor].shape;
        self.push(
            node,
            vec![a.tensor, b.tensor],
            Operator::Add,
            shape,
            a.layout,
        )
    }

    /// A constant after a matrix product is its bias.
    fn add_bias(
        &mut self,
        node: &onnx::Node<'a>,
        constant: usize,
        other: usize,
    ) -> Result<(), CompileError> {
        let value = self.value(node, other)?;
        let len = value.layout.elements();
        let read_once = node.input(other).and_then(|name| self.reads.get(name)) == Some(&1);
        let expected =
            "the sum of two values, or a constant after a MatMul that nothing else reads,";
        let found = format!("a constant and {}", value.layout.text());
        let bias = self.bias(node, constant, len)?;
        let output = self.output(node)?;
        let writer = self
            .graph
            .nodes
            .iter_mut()
            .find(|writer| writer.output == value.tensor);
        match writer.map(|writer| &mut writer.operator) {
            Some(Operator::Dense { bias: own, .. })
                if read_once && value.layout.is_vector() && own.len() == len =>
            {
                for (own, more) in own.iter_mut().zip(bias) {
                    *own += more;
                }
            }
            _ => return Err(node.refuse("what it adds", found, expected)),
        }
        output.clone_into(&mut self.graph.tensors[value.tensor].name);
        self.values.insert(output, value);
        Ok(())
    }

    pub(super) fn concat(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&["axis"])?;
        let parts = (0..node.proto.input.len())
            .map(|index| self.value(node, index))
            .collect::<Result<Vec<_>, _>>()?;
        let rank = parts.first().map_or(0, |part| part.layout.lengths().len());
        let axis = node.int("axis", i64::MIN)?;
        let place = usize::try_from(if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        })
        .ok();
        let layouts: Vec<&Layout> = parts.iter().map(|part| &part.layout).collect();
        if layouts.is_empty() {
            return Err(node.refuse("the number of its inputs", 0, "one or more"));
        }
        let Some((widths, layout)) = place.and_then(|place| Layout::concatenated(&layouts, place))
        else {
            let shapes: Vec<String> = layouts.iter().map(|layout| layout.text()).collect();
            let found = format!("axis {axis} of {}", shapes.join(" and "));
            return Err(node.refuse(
                "what it joins",
                found,
                "channels of one place, or features of vectors,",
            ));
        };
        let channels: usize = widths.iter().sum();
        let positions = layout.elements() / channels;
        let [height, width, _] = self.graph.tensors[parts[0].tensor].shape;
        let shape = if height * width == positions {
            [height, width, channels]
        } else {
            [1, positions, channels]
        };
        let inputs = parts.iter().map(|part| part.tensor).collect();
        self.push(node, inputs, Operator::Concat { widths }, shape, layout)
    }

    pub(super) fn gemm(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&["alpha", "beta", "transA", "transB"])?;
        node.must_be("transA", 0)?;
        let transposed = match node.int("transB", 0)? {
            0 => false,
            1 => true,
            other => return Err(node.refuse("attribute `transB`", other, "0 or 1")),
        };
        let weights = self.floats(node, 1)?;
        let outputs = weights
            .dims
            .get(usize::from(!transposed))
            .copied()
            .unwrap_or(0);
        let mut bias = self.bias(node, 2, outputs)?;
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        bias.iter_mut().for_each(|b| *b *= beta);
        self.dense(node, weights, transposed, alpha, bias)
    }

    pub(super) fn matmul(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        let weights = self.floats(node, 1)?;
        let outputs = weights.dims.get(1).copied().unwrap_or(0);
        self.dense(node, weights, false, 1.0, vec![0.0; outputs])
    }

    /// A dense layer; its columns are brought from ONNX's order of the features to the stored one.
    fn dense(
        &mut self,
        node: &onnx::Node<'a>,
        weights: Constant,
        transposed: bool,
        alpha: f32,
        bias: Vec<f32>,
    ) -> Result<(), CompileError> {
        let value = self.value(node, 0)?;
        if !value.layout.is_vector() {
            return Err(node.refuse("its input", value.layout.text(), "[batch, features]"));
        }
        let order = value.layout.order();
        let columns = order.len();
        let rows = bias.len();
        let expected = if transposed {
            [rows, columns]
        } else {
            [columns, rows]
        };
        if weights.dims != expected || rows == 0 {
            let expected = format!("a matrix for {columns} features");
            return Err(node.refuse(
                "the shape of its weights",
                format!("{:?}", weights.dims),
                expected,
            ));
        }
        if alpha.is_nan() || alpha.is_infinite() || bias.iter().any(|b| !b.is_finite()) {
            return Err(node.refuse(
                "attribute `alpha` or `beta`",
                "not finite",
                "finite numbers",
            ));
        }
        let mut stored = vec![0.0; rows * columns];
        for row in 0..rows {
            for (column, place) in order.iter().enumerate() {
                let at = if transposed {
                    row * columns + column
                } else {
                    column * rows + row
                };
                stored[row * columns + place] = alpha * weights.values[at];
            }
        }
        let operator = Operator::Dense {
            weights: stored,
            bias,
        };
        let shape = [1, 1, rows];
        self.push(
            node,
            vec![value.tensor],
            operator,
            shape,
            Layout::channels_first(shape, 2),
        )
    }
}
