//! ONNX to [`Graph`]: each operator is taken over or refused by name.

mod lstm;
mod rename;
mod vector;
mod window;

use super::error::CompileError;
use super::graph::{Graph, Node, Operator, Tensor};
use super::layout::Layout;
use super::onnx::{self, Constant};
use crate::model::OUTPUT;
use heartlens_core::model::{AnyView, Task};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, type_proto};

/// The operator sets that tract has been tested with, and whose operators have the meaning that is compiled here.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=18;
/// Most elements of a tensor, as the kernels have it.
const MAX_ELEMENTS: usize = 1 << 20;

/// Reads the network of a model: each input an [`AnyView`] of one task, the output [`OUTPUT`] of `[batch, labels]`.
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
        let view = AnyView::named(&input.name);
        // All of one task: that of the first.
        let first = self
            .graph
            .inputs
            .first()
            .map(|first| &self.graph.tensors[*first].name);
        let task = first
            .and_then(|name| AnyView::named(name))
            .map(AnyView::task);
        let Some(view) = view.filter(|view| task.is_none_or(|task| task == view.task())) else {
            let of = |task: Task| task.views().map(AnyView::name).join(", ");
            let known = task.map_or_else(|| Task::ALL.map(of).join(", or "), of);
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
        let shape = view.shape();
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
        let storage = view.tensor_shape();
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
}

fn fixed(dim: &tract_onnx::pb::tensor_shape_proto::Dimension) -> Option<usize> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    match dim.value {
        Some(Value::DimValue(n)) => usize::try_from(n).ok(),
        _ => None,
    }
}
