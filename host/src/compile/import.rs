//! ONNX to [`Graph`]: each operator is taken over or refused by name.

use super::error::CompileError;
use super::graph::{Graph, LstmWeights, Node, Operator, Tensor};
use super::layout::Layout;
use super::onnx::{self, Constant};
use crate::model::{INPUTS, OUTPUT};
use heartlens_core::nn::{LstmOutput, LstmShape, Window, WindowShape};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, type_proto};

/// The operator sets that tract has been tested with, and whose operators have the meaning that is compiled here.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;
/// Most elements of a tensor, as the kernels have it.
const MAX_ELEMENTS: usize = 1 << 20;
/// Position of each of our gates (input, forget, candidate, output) among ONNX's (input, output, forget, cell).
const ONNX_GATES: [usize; 4] = [0, 2, 3, 1];

/// Reads the network of a model: inputs among [`INPUTS`], the output [`OUTPUT`] of `[batch, labels]`.
///
/// # Errors
/// When something cannot be compiled: an operator, an attribute, a shape, a type, the operator set. Layer, found and
/// expected are named.
pub fn import(model: &ModelProto) -> Result<Graph, CompileError> {
    check_opset(model)?;
    let about = |what: &str, found: &str, expected: &str| CompileError::Unsupported {
        layer: "model".to_owned(),
        what: what.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| about("its graph", "missing", "a model with one"))?;
    if !graph.sparse_initializer.is_empty() {
        return Err(about("a constant", "sparse", "dense constants"));
    }
    let outputs: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    if outputs != [OUTPUT] {
        return Err(about(
            "the list of its outputs",
            &format!("{outputs:?}"),
            OUTPUT,
        ));
    }
    let mut importer = Importer::new(graph);
    for input in &graph.input {
        // Old exporters list the weights among the inputs too.
        if !importer.constants.contains_key(input.name.as_str()) {
            importer.input(input)?;
        }
    }
    for node in needed(graph)? {
        importer.node(node)?;
    }
    importer.finish()
}

fn check_opset(model: &ModelProto) -> Result<(), CompileError> {
    let refuse = |what: &str, found: String, expected: String| CompileError::Unsupported {
        layer: "model".to_owned(),
        what: what.to_owned(),
        found,
        expected,
    };
    let mut found = None;
    for set in &model.opset_import {
        match set.domain.as_str() {
            "" | "ai.onnx" => found = Some(set.version),
            // Declared by some exporters; a node of it is refused where it stands.
            _ => {}
        }
    }
    let expected = format!("ai.onnx {} to {}", OPSETS.start(), OPSETS.end());
    match found {
        Some(version) if OPSETS.contains(&version) => Ok(()),
        Some(version) => Err(refuse(
            "its operator set",
            format!("ai.onnx {version}"),
            expected,
        )),
        None => Err(refuse(
            "its operator set",
            "not stated".to_owned(),
            expected,
        )),
    }
}

/// The nodes that the output depends on, in their order.
fn needed(graph: &GraphProto) -> Result<Vec<&NodeProto>, CompileError> {
    let mut wanted = BTreeSet::from([OUTPUT]);
    let mut written = BTreeSet::new();
    let mut needed = Vec::new();
    for node in graph.node.iter().rev() {
        let outputs = || {
            node.output
                .iter()
                .map(String::as_str)
                .filter(|o| !o.is_empty())
        };
        for output in outputs() {
            if !written.insert(output) {
                let node = onnx::Node::new(node);
                return Err(node.refuse(
                    "its output",
                    format!("`{output}`, written twice"),
                    "a value that one node writes",
                ));
            }
        }
        if outputs().any(|output| wanted.contains(output)) {
            wanted.extend(
                node.input
                    .iter()
                    .map(String::as_str)
                    .filter(|i| !i.is_empty()),
            );
            needed.push(node);
        }
    }
    needed.reverse();
    Ok(needed)
}

/// An ONNX value: the tensor that it is stored in, and how.
#[derive(Debug, Clone)]
struct Value {
    tensor: usize,
    layout: Layout,
}

struct Importer<'a> {
    constants: BTreeMap<&'a str, &'a TensorProto>,
    values: BTreeMap<&'a str, Value>,
    /// How often each ONNX value is read.
    reads: BTreeMap<&'a str, usize>,
    graph: Graph,
}

impl<'a> Importer<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let mut reads = BTreeMap::new();
        for input in graph.node.iter().flat_map(|node| &node.input) {
            *reads.entry(input.as_str()).or_insert(0) += 1;
        }
        for output in &graph.output {
            *reads.entry(output.name.as_str()).or_insert(0) += 1;
        }
        Self {
            constants: graph
                .initializer
                .iter()
                .map(|tensor| (tensor.name.as_str(), tensor))
                .collect(),
            values: BTreeMap::new(),
            reads,
            graph: Graph {
                tensors: Vec::new(),
                inputs: Vec::new(),
                nodes: Vec::new(),
            },
        }
    }

    fn input(&mut self, input: &'a tract_onnx::pb::ValueInfoProto) -> Result<(), CompileError> {
        let refuse = |what: &str, found: String, expected: String| CompileError::Unsupported {
            layer: format!("input {}", input.name),
            what: what.to_owned(),
            found,
            expected,
        };
        let Some((_, shape)) = INPUTS.iter().find(|(name, _)| *name == input.name) else {
            let known = INPUTS.map(|(name, _)| name).join(", ");
            return Err(refuse("its name", format!("`{}`", input.name), known));
        };
        let tensor = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => tensor,
            _ => {
                return Err(refuse(
                    "its type",
                    "missing".to_owned(),
                    "a tensor".to_owned(),
                ));
            }
        };
        if tensor.elem_type != tract_onnx::pb::tensor_proto::DataType::Float as i32 {
            let found = tensor.elem_type.to_string();
            return Err(refuse("its element type", found, "1 (FLOAT)".to_owned()));
        }
        let dims: Vec<Option<usize>> = tensor
            .shape
            .iter()
            .flat_map(|s| &s.dim)
            .map(fixed)
            .collect();
        if dims.len() != shape.len() + 1
            || !dims[1..].iter().copied().eq(shape.iter().map(|n| Some(*n)))
        {
            let expected = format!("a batch of {shape:?}");
            return Err(refuse("its shape", format!("{dims:?}"), expected));
        }
        let storage = match **shape {
            [channels] => [1, 1, channels],
            [channels, length] => [1, length, channels],
            [channels, height, width] => [height, width, channels],
            _ => {
                return Err(refuse(
                    "its rank",
                    shape.len().to_string(),
                    "1 to 3".to_owned(),
                ));
            }
        };
        let layout = Layout::channels_first(storage, shape.len() + 1);
        let tensor = self.tensor(&input.name, storage, &layout);
        self.graph.inputs.push(tensor);
        self.values.insert(&input.name, Value { tensor, layout });
        Ok(())
    }

    fn tensor(&mut self, name: &str, shape: [usize; 3], layout: &Layout) -> usize {
        self.graph.tensors.push(Tensor {
            name: name.to_owned(),
            shape,
            order: layout.order(),
        });
        self.graph.tensors.len() - 1
    }

    fn node(&mut self, proto: &'a NodeProto) -> Result<(), CompileError> {
        let node = onnx::Node::new(proto);
        if !matches!(proto.domain.as_str(), "" | "ai.onnx") {
            return Err(node.refuse("its domain", format!("`{}`", proto.domain), "ai.onnx"));
        }
        match proto.op_type.as_str() {
            "Constant" => {
                node.only(&["value"])?;
                let tensor = node.tensor("value")?;
                self.constants.insert(self.output(&node)?, tensor);
                Ok(())
            }
            "Identity" => self.identity(&node),
            "Dropout" => self.dropout(&node),
            "Transpose" | "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.rename(&node),
            "Conv" => self.convolution(&node),
            "MaxPool" | "AveragePool" => self.pool(&node),
            "GlobalAveragePool" => self.global_pool(&node),
            "Relu" => self.relu(&node),
            "Add" => self.add(&node),
            "Concat" => self.concat(&node),
            "Gemm" => self.gemm(&node),
            "MatMul" => self.matmul(&node),
            "LSTM" => self.lstm(&node),
            _ => Err(node.refuse(
                "the operator",
                &proto.op_type,
                "Add, AveragePool, Concat, Constant, Conv, Dropout, Flatten, Gemm, GlobalAveragePool, Identity, LSTM, \
                 MatMul, MaxPool, Relu, Reshape, Squeeze, Transpose, Unsqueeze",
            )),
        }
    }

    fn finish(mut self) -> Result<Graph, CompileError> {
        let refuse = |found: String| CompileError::Unsupported {
            layer: format!("output {OUTPUT}"),
            what: "its value".to_owned(),
            found,
            expected: "a vector [batch, labels] that a Gemm writes".to_owned(),
        };
        let Some(logits) = self.values.get(OUTPUT) else {
            return Err(refuse("written by no node".to_owned()));
        };
        let in_order = logits
            .layout
            .order()
            .into_iter()
            .eq(0..logits.layout.elements());
        if !logits.layout.is_vector() || !in_order {
            return Err(refuse(logits.layout.text()));
        }
        let logits = logits.tensor;
        self.graph.tensors[logits].name = OUTPUT.to_owned();
        self.graph.check_logits(logits)?;
        self.graph.fuse_relu();
        Ok(self.graph)
    }

    /// The name of the node's one output.
    fn output(&self, node: &onnx::Node<'a>) -> Result<&'a str, CompileError> {
        let mut used = node.proto.output.iter().enumerate();
        if let Some((index, name)) =
            used.find(|(i, name)| *i > 0 && self.reads.contains_key(name.as_str()))
        {
            let found = format!("`{name}` (output {index})");
            return Err(node.refuse("what is read of it", found, "the first output"));
        }
        match node.proto.output.first() {
            Some(name) if !name.is_empty() => Ok(name),
            _ => Err(node.refuse("its output", "missing", "a node with one")),
        }
    }

    fn value(&self, node: &onnx::Node<'a>, index: usize) -> Result<Value, CompileError> {
        let expected = "a value that an input or an earlier node writes";
        let Some(name) = node.input(index) else {
            return Err(node.refuse(format!("input {index}"), "missing", expected));
        };
        if self.constants.contains_key(name) {
            return Err(node.refuse(
                format!("input {index}"),
                format!("the constant `{name}`"),
                expected,
            ));
        }
        let value = self.values.get(name).cloned();
        value.ok_or_else(|| {
            node.refuse(
                format!("input {index}"),
                format!("`{name}`, which nothing before it writes"),
                expected,
            )
        })
    }

    fn constant(
        &self,
        node: &onnx::Node<'a>,
        index: usize,
    ) -> Result<&'a TensorProto, CompileError> {
        let name = node.input(index);
        name.and_then(|name| self.constants.get(name))
            .copied()
            .ok_or_else(|| {
                let found = name.map_or("missing".to_owned(), |name| format!("`{name}`"));
                node.refuse(format!("input {index}"), found, "a constant")
            })
    }

    fn floats(&self, node: &onnx::Node<'a>, index: usize) -> Result<Constant, CompileError> {
        onnx::floats(self.constant(node, index)?)
    }

    /// A bias of `len` elements, zeros where the optional input is left out.
    fn bias(
        &self,
        node: &onnx::Node<'a>,
        index: usize,
        len: usize,
    ) -> Result<Vec<f32>, CompileError> {
        if node.input(index).is_none() {
            return Ok(vec![0.0; len]);
        }
        let bias = self.floats(node, index)?;
        match bias.values.as_slice() {
            [one] if len > 1 => Ok(vec![*one; len]),
            values if values.len() == len && bias.dims.iter().all(|n| *n == 1 || *n == len) => {
                Ok(bias.values)
            }
            _ => Err(node.refuse(
                "the shape of its bias",
                format!("{:?}", bias.dims),
                format!("[{len}]"),
            )),
        }
    }

    /// Adds a node that writes a new tensor.
    fn push(
        &mut self,
        node: &onnx::Node<'a>,
        inputs: Vec<usize>,
        operator: Operator,
        shape: [usize; 3],
        layout: Layout,
    ) -> Result<(), CompileError> {
        let output = self.output(node)?;
        self.push_as(output, node, inputs, operator, shape, layout)
    }

    fn push_as(
        &mut self,
        output: &'a str,
        node: &onnx::Node<'a>,
        inputs: Vec<usize>,
        operator: Operator,
        shape: [usize; 3],
        layout: Layout,
    ) -> Result<(), CompileError> {
        let elements = shape.iter().try_fold(1_usize, |p, n| p.checked_mul(*n));
        if !elements.is_some_and(|n| (1..=MAX_ELEMENTS).contains(&n)) {
            return Err(node.refuse(
                "its output",
                format!("{shape:?}"),
                format!("1 to {MAX_ELEMENTS} elements"),
            ));
        }
        let tensor = self.tensor(output, shape, &layout);
        self.graph.nodes.push(Node {
            name: onnx::name(node.proto).to_owned(),
            inputs,
            output: tensor,
            operator,
            relu: false,
        });
        self.values.insert(output, Value { tensor, layout });
        Ok(())
    }

    fn identity(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        let output = self.output(node)?;
        // Exporters share equal constants this way.
        if let Some(constant) = node.input(0).and_then(|name| self.constants.get(name)) {
            self.constants.insert(output, constant);
        } else {
            let value = self.value(node, 0)?;
            self.values.insert(output, value);
        }
        Ok(())
    }

    /// At inference dropout is the identity.
    fn dropout(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&["ratio", "seed"])?;
        if node.input(2).is_some() {
            return Err(node.refuse("input 2 (training_mode)", "given", "a node without it"));
        }
        let value = self.value(node, 0)?;
        self.values.insert(self.output(node)?, value);
        Ok(())
    }

    fn rename(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        let value = self.value(node, 0)?;
        let layout = &value.layout;
        let rank = layout.lengths().len();
        let (how, renamed) = match node.proto.op_type.as_str() {
            "Transpose" => {
                node.only(&["perm"])?;
                let reversed: Vec<i64> = (0..rank as i64).rev().collect();
                let numbers = node.ints("perm")?.unwrap_or(&reversed);
                let places: Option<Vec<usize>> =
                    numbers.iter().map(|n| usize::try_from(*n).ok()).collect();
                (
                    format!("{numbers:?}"),
                    places.and_then(|places| layout.transposed(&places)),
                )
            }
            "Flatten" => {
                node.only(&["axis"])?;
                let axis = node.int("axis", 1)?;
                let is_first = axis == 1 || axis == 1 - rank as i64;
                let batch_first = layout.lengths().first() == Some(&None);
                let renamed = (is_first && batch_first).then(|| layout.reshaped(&[0, -1]));
                (format!("from axis {axis}"), renamed.flatten())
            }
            "Reshape" => {
                node.only(&["allowzero"])?;
                node.must_be("allowzero", 0)?;
                let shape = onnx::integers(self.constant(node, 1)?)?;
                (format!("to {shape:?}"), layout.reshaped(&shape))
            }
            squeeze => {
                let (axes, renamed) = self.squeeze(node, layout, squeeze == "Unsqueeze")?;
                (format!("of {axes:?}"), renamed)
            }
        };
        let Some(renamed) = renamed else {
            return Err(node.refuse(
                format!("its effect {how} on {}", layout.text()),
                "more than new names for axes",
                "what keeps the batch apart and moves no element",
            ));
        };
        let value = Value {
            tensor: value.tensor,
            layout: renamed,
        };
        self.values.insert(self.output(node)?, value);
        Ok(())
    }

    /// The axes that `Squeeze` or `Unsqueeze` names, in an attribute or (from operator set 13 on) in a constant, and
    /// the layout after it.
    fn squeeze(
        &self,
        node: &onnx::Node<'a>,
        layout: &Layout,
        insert: bool,
    ) -> Result<(Vec<i64>, Option<Layout>), CompileError> {
        node.only(&["axes"])?;
        let axes = match node.ints("axes")? {
            Some(axes) => axes.to_vec(),
            None => onnx::integers(self.constant(node, 1)?)?,
        };
        let rank = layout.lengths().len() + if insert { axes.len() } else { 0 };
        let places: Option<Vec<usize>> = axes
            .iter()
            .map(|axis| {
                usize::try_from(if *axis < 0 {
                    axis.checked_add(rank as i64)?
                } else {
                    *axis
                })
                .ok()
            })
            .collect();
        let Some(mut places) = places else {
            return Ok((axes, None));
        };
        places.sort_unstable();
        let renamed = if insert {
            places
                .iter()
                .try_fold(layout.clone(), |layout, place| layout.with_axis(*place))
        } else {
            places
                .iter()
                .rev()
                .try_fold(layout.clone(), |layout, place| layout.without_axis(*place))
        };
        Ok((axes, renamed))
    }

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

    fn convolution(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn pool(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn global_pool(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn relu(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn add(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn concat(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn gemm(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn matmul(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
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

    fn lstm(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        let directions = lstm_directions(node)?;
        let value = self.value(node, 0)?;
        let Some([steps, inputs]) = value.layout.sequence() else {
            let expected = "[steps, batch, channels], stored channels last,";
            return Err(node.refuse("its input", value.layout.text(), expected));
        };
        for (index, what) in [(4, "sequence_lens"), (7, "P")] {
            if node.input(index).is_some() {
                return Err(node.refuse(
                    format!("input {index} ({what})"),
                    "given",
                    "an LSTM without it",
                ));
            }
        }
        for (index, what) in [(5, "initial_h"), (6, "initial_c")] {
            let starts_at_zero = node.input(index).is_none()
                || self.floats(node, index)?.values.iter().all(|v| *v == 0.0);
            if !starts_at_zero {
                return Err(node.refuse(
                    format!("input {index} ({what})"),
                    "not zero",
                    "a start from zero",
                ));
            }
        }
        let hidden = node.int("hidden_size", 0)?;
        let hidden = usize::try_from(hidden)
            .ok()
            .filter(|n| (1..=heartlens_core::nn::MAX_GATE_COLUMNS).contains(n))
            .ok_or_else(|| node.refuse("attribute `hidden_size`", hidden, "1 to 1024"))?;
        let weights = self.gates(node, directions, [inputs, hidden])?;
        let output = |index: usize| {
            let name = node.proto.output.get(index).map(String::as_str)?;
            self.reads.contains_key(name).then_some(name)
        };
        let (name, kept, layout, shape) = match (output(0), output(1), output(2)) {
            (Some(name), None, None) => {
                let layout = Layout::new(
                    &[steps, directions, hidden],
                    &[Some(0), Some(1), None, Some(2)],
                );
                (
                    name,
                    LstmOutput::Sequence,
                    layout,
                    [1, steps, directions * hidden],
                )
            }
            (None, Some(name), None) => {
                let layout = Layout::new(&[directions, hidden], &[Some(0), None, Some(1)]);
                (name, LstmOutput::Last, layout, [1, 1, directions * hidden])
            }
            outputs => {
                let names: Vec<&str> = [outputs.0, outputs.1, outputs.2]
                    .into_iter()
                    .flatten()
                    .collect();
                return Err(node.refuse(
                    "what is read of it",
                    format!("{names:?}"),
                    "either Y or Y_h",
                ));
            }
        };
        let operator = Operator::Lstm {
            shape: LstmShape {
                steps,
                inputs,
                hidden,
                output: kept,
            },
            directions: weights,
        };
        self.push_as(name, node, vec![value.tensor], operator, shape, layout)
    }

    /// The weights of each direction, gates brought to our order and both biases added.
    fn gates(
        &self,
        node: &onnx::Node<'a>,
        directions: usize,
        [inputs, hidden]: [usize; 2],
    ) -> Result<Vec<LstmWeights>, CompileError> {
        let matrix = |index: usize, columns: usize| {
            let weights = self.floats(node, index)?;
            let expected = [directions, 4 * hidden, columns];
            if weights.dims == expected {
                return Ok(weights.values);
            }
            let what = format!("the shape of input {index}");
            Err(node.refuse(what, format!("{:?}", weights.dims), format!("{expected:?}")))
        };
        let (w, r) = (matrix(1, inputs)?, matrix(2, hidden)?);
        let b = match node.input(3) {
            None => vec![0.0; directions * 8 * hidden],
            Some(_) => {
                let bias = self.floats(node, 3)?;
                let expected = [directions, 8 * hidden];
                if bias.dims != expected {
                    return Err(node.refuse(
                        "the shape of input 3",
                        format!("{:?}", bias.dims),
                        format!("{expected:?}"),
                    ));
                }
                bias.values
            }
        };
        let ordered = |block: &[f32]| -> Vec<f32> {
            let gate = block.len() / 4;
            ONNX_GATES
                .iter()
                .flat_map(|g| &block[g * gate..(g + 1) * gate])
                .copied()
                .collect()
        };
        Ok(w.chunks_exact(4 * hidden * inputs)
            .zip(r.chunks_exact(4 * hidden * hidden))
            .zip(b.chunks_exact(8 * hidden))
            .map(|((w, r), b)| {
                let (of_input, of_hidden) = b.split_at(4 * hidden);
                let bias: Vec<f32> = of_input.iter().zip(of_hidden).map(|(a, b)| a + b).collect();
                LstmWeights {
                    input: ordered(w),
                    hidden: ordered(r),
                    bias: ordered(&bias),
                }
            })
            .collect())
    }
}

/// Checks an LSTM's attributes and gives its number of directions.
fn lstm_directions(node: &onnx::Node<'_>) -> Result<usize, CompileError> {
    node.only(&[
        "activation_alpha",
        "activation_beta",
        "activations",
        "clip",
        "direction",
        "hidden_size",
        "input_forget",
        "layout",
    ])?;
    node.must_be("input_forget", 0)?;
    node.must_be("layout", 0)?;
    for name in ["activation_alpha", "activation_beta", "clip"] {
        if node.proto.attribute.iter().any(|a| a.name == name) {
            return Err(node.refuse(format!("attribute `{name}`"), "given", "an LSTM without it"));
        }
    }
    let directions = match node.text("direction", "forward")?.as_str() {
        "forward" => 1,
        "bidirectional" => 2,
        other => {
            return Err(node.refuse("attribute `direction`", other, "forward or bidirectional"));
        }
    };
    if let Some(activations) = node.texts("activations")? {
        let usual = ["Sigmoid", "Tanh", "Tanh"].repeat(directions);
        if !activations
            .iter()
            .map(|a| a.to_lowercase())
            .eq(usual.iter().map(|a| a.to_lowercase()))
        {
            return Err(node.refuse(
                "attribute `activations`",
                activations.join(", "),
                usual.join(", "),
            ));
        }
    }
    Ok(directions)
}

fn fixed(dim: &tract_onnx::pb::tensor_shape_proto::Dimension) -> Option<usize> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    match dim.value {
        Some(Value::DimValue(n)) => usize::try_from(n).ok(),
        _ => None,
    }
}
