//! A float network as the integer kernels see it: channels last, ReLU fused, axes that ONNX only renames gone.

use super::error::CompileError;
use heartlens_core::model::{AnyView, Task};
use heartlens_core::nn::{LstmShape, WindowShape};

/// A network of the operators that can be compiled. See [`import`](fn@super::import).
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Inputs and what the nodes write.
    pub tensors: Vec<Tensor>,
    /// The tensors that are inputs, each a [`View`](heartlens_core::views::View) by its ONNX name.
    pub inputs: Vec<usize>,
    /// Operators in the order of the computation; the last is dense and writes the logits.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// What the network is for: what its inputs are views of.
    pub fn task(&self) -> Task {
        let first = self
            .inputs
            .first()
            .and_then(|input| self.tensors.get(*input));
        let view = first.and_then(|tensor| AnyView::named(&tensor.name));
        view.map_or(Task::Beat, AnyView::task)
    }
}

/// A tensor of one beat.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name of the ONNX value that it holds.
    pub name: String,
    /// Height, width, channels. A signal is `[1, length, channels]`, a vector `[1, 1, channels]`.
    pub shape: [usize; 3],
    /// Where each element of the ONNX value, in its own order, lies in this one.
    pub order: Vec<usize>,
}

impl Tensor {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never: every side is 1 or more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The ONNX node's name.
    pub name: String,
    /// The tensors that it reads.
    pub inputs: Vec<usize>,
    /// The tensor that it writes.
    pub output: usize,
    /// What it does.
    pub operator: Operator,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// What a node does, with its weights. Row-major; an element's place in memory is channels last throughout.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// A convolution over all channels.
    Convolution {
        /// Geometry.
        window: WindowShape,
        /// `[output channels, kernel columns, kernel rows, input channels]`.
        weights: Vec<f32>,
        /// One an output channel.
        bias: Vec<f32>,
    },
    /// A convolution of each channel by itself.
    Depthwise {
        /// Geometry.
        window: WindowShape,
        /// `[kernel rows, kernel columns, channels]`.
        weights: Vec<f32>,
        /// One a channel.
        bias: Vec<f32>,
    },
    /// A matrix times a vector.
    Dense {
        /// `[outputs, inputs]`, inputs in the order of the tensor's elements.
        weights: Vec<f32>,
        /// One an output.
        bias: Vec<f32>,
    },
    /// The largest value under the window.
    MaxPool {
        /// Geometry.
        window: WindowShape,
    },
    /// The mean of the values under the window, padding not counted.
    AveragePool {
        /// Geometry.
        window: WindowShape,
    },
    /// The sum of two tensors of one shape.
    Add,
    /// Tensors side by side along the channels.
    Concat {
        /// Channels of each.
        widths: Vec<usize>,
    },
    /// max(x, 0) where no operator before it takes it over.
    Relu,
    /// An LSTM in one or both directions of time.
    Lstm {
        /// Sizes.
        shape: LstmShape,
        /// Forward, then backward in time.
        directions: Vec<LstmWeights>,
    },
}

/// The weights of one direction of an LSTM; gates in the order input, forget, candidate, output.
#[derive(Debug, Clone, PartialEq)]
pub struct LstmWeights {
    /// `[4, hidden, inputs]`.
    pub input: Vec<f32>,
    /// `[4, hidden, hidden]`.
    pub hidden: Vec<f32>,
    /// `[4, hidden]`, both of ONNX's biases added.
    pub bias: Vec<f32>,
}

impl Node {
    /// The ONNX name of the operator, and of ReLU where it follows.
    pub fn operator_name(&self) -> String {
        let name = match &self.operator {
            Operator::Convolution { .. } => "Conv",
            Operator::Depthwise { .. } => "DepthwiseConv",
            Operator::Dense { .. } => "Gemm",
            Operator::MaxPool { .. } => "MaxPool",
            Operator::AveragePool { .. } => "AveragePool",
            Operator::Add => "Add",
            Operator::Concat { .. } => "Concat",
            Operator::Relu => "Relu",
            Operator::Lstm { .. } => "LSTM",
        };
        let relu = if self.relu { "+Relu" } else { "" };
        format!("{name}{relu}")
    }

    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        match &self.operator {
            Operator::Convolution { weights, bias, .. }
            | Operator::Depthwise { weights, bias, .. }
            | Operator::Dense { weights, bias } => weights.len() + bias.len(),
            Operator::Lstm { directions, .. } => directions
                .iter()
                .map(|d| d.input.len() + d.hidden.len() + d.bias.len())
                .sum(),
            _ => 0,
        }
    }
}

impl Graph {
    /// Multiply-accumulates of a node for one beat. Those of an LSTM's gates with its cells are not counted.
    pub fn macs(&self, node: &Node) -> usize {
        let outputs = self.tensors[node.output].len();
        match &node.operator {
            Operator::Convolution { window, .. } => {
                outputs * window.kernel[0] * window.kernel[1] * window.channels
            }
            Operator::Depthwise { window, .. } => outputs * window.kernel[0] * window.kernel[1],
            Operator::Dense { weights, .. } => weights.len(),
            Operator::Lstm { shape, directions } => {
                let columns = shape.inputs + shape.hidden;
                shape.steps * directions.len() * 4 * shape.hidden * columns
            }
            _ => 0,
        }
    }

    /// The node that writes a tensor; `None` for an input.
    pub fn writer(&self, tensor: usize) -> Option<&Node> {
        self.nodes.iter().find(|node| node.output == tensor)
    }

    /// The nodes that read a tensor.
    pub fn readers(&self, tensor: usize) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(move |node| node.inputs.contains(&tensor))
    }

    /// Lets the operator before a ReLU do it, where the kernels can and nothing else reads its output.
    pub(super) fn fuse_relu(&mut self) {
        let mut index = 0;
        while index < self.nodes.len() {
            let node = &self.nodes[index];
            let input = node.inputs[0];
            let fusable = matches!(node.operator, Operator::Relu)
                && self.readers(input).count() == 1
                && self.writer(input).is_some_and(|writer| {
                    matches!(
                        writer.operator,
                        Operator::Convolution { .. }
                            | Operator::Depthwise { .. }
                            | Operator::Dense { .. }
                            | Operator::Add
                    ) && !writer.relu
                });
            if fusable {
                let relu = self.nodes.remove(index);
                for node in &mut self.nodes {
                    if node.output == input {
                        node.output = relu.output;
                        node.relu = true;
                    }
                }
            } else {
                index += 1;
            }
        }
        self.drop_unused_tensors();
    }

    fn drop_unused_tensors(&mut self) {
        let used: Vec<usize> = (0..self.tensors.len())
            .filter(|tensor| self.inputs.contains(tensor) || self.writer(*tensor).is_some())
            .collect();
        let place = |tensor: &mut usize| {
            if let Ok(new) = used.binary_search(tensor) {
                *tensor = new;
            }
        };
        self.inputs.iter_mut().for_each(place);
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(place);
            place(&mut node.output);
        }
        self.tensors = used
            .iter()
            .map(|tensor| self.tensors[*tensor].clone())
            .collect();
    }

    /// Checks that the last node writes the logits and nothing reads them.
    pub(super) fn check_logits(&self, logits: usize) -> Result<(), CompileError> {
        let refuse = |found: String| CompileError::Unsupported {
            layer: format!("output {}", crate::model::OUTPUT),
            what: "what writes it".to_owned(),
            found,
            expected: "a Gemm without ReLU, whose output nothing else reads,".to_owned(),
        };
        let Some(writer) = self.writer(logits) else {
            return Err(refuse("an input".to_owned()));
        };
        if !matches!(writer.operator, Operator::Dense { .. }) || writer.relu {
            return Err(refuse(format!(
                "{} ({})",
                writer.name,
                writer.operator_name()
            )));
        }
        if let Some(reader) = self.readers(logits).next() {
            return Err(refuse(format!("read by {}", reader.name)));
        }
        Ok(())
    }
}
