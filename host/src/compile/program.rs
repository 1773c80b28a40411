//! A quantised network, ready to be laid out as an image: what the compiler's front (graph, calibration, quantisation)
//! hands to its back (packing, memory plan, bytes).
//!
//! All arithmetic is that of `docs/integer-arithmetic.md`; the numbers here are its integers, not yet packed.

use heartlens_core::nn::{Channel, GateRow, LstmShape, Operand, WindowShape};

/// Index into [`Program::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

/// A quantised network.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The model's name.
    pub name: String,
    /// Classes, in the order of the logits.
    pub labels: Vec<String>,
    /// Share of each class among the examples that the network was calibrated on, in the order of `labels`; sums to 1.
    pub priors: Vec<f32>,
    /// Whether the network reads the patient's features, age and sex.
    pub reads_patient: bool,
    /// Activations.
    pub tensors: Vec<Tensor>,
    /// What is quantised into which tensor before the first step.
    pub inputs: Vec<Input>,
    /// Operators in the order in which they run. Each tensor is an input or written by exactly one step (by all steps of
    /// one concatenation: each writes its part).
    pub steps: Vec<Step>,
}

/// An activation: int8, channels last.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name of the ONNX value that it stands for; layers are compared between runtimes by it.
    pub name: String,
    /// Height, width, channels. A signal is `[1, length, channels]`, a vector `[1, 1, channels]`.
    pub shape: [usize; 3],
    /// Real value of one step of the integer.
    pub scale: f32,
    /// The integer of real zero.
    pub zero_point: i8,
}

/// A network input, made from f32 values.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The ONNX input's name, that of a [`View`](heartlens_core::views::View).
    pub name: String,
    /// Where its integers go. The view lies channels first, the tensor channels last.
    pub tensor: TensorId,
    /// The quantisation of each channel of the tensor, where channels have scales of their own; empty where all have the
    /// tensor's.
    pub channel_scales: Vec<f32>,
}

/// One operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The name of the ONNX node.
    pub name: String,
    /// What it reads, in order.
    pub inputs: Vec<TensorId>,
    /// What it writes. The last step, [`Operator::Logits`], writes none.
    pub output: Option<TensorId>,
    /// What it does.
    pub operator: Operator,
}

/// An operator with its weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// A convolution over all channels, ReLU fused by the output's zero point.
    Convolution {
        /// Geometry.
        window: WindowShape,
        /// `[output channels, kernel columns, kernel rows, input channels]`.
        weights: Vec<i8>,
        /// One an output channel.
        channels: Vec<Channel>,
    },
    /// A convolution of each channel by itself.
    Depthwise {
        /// Geometry.
        window: WindowShape,
        /// In the order of [`heartlens_core::nn::Depthwise`].
        weights: Vec<i8>,
        /// One a channel.
        channels: Vec<Channel>,
    },
    /// A dense layer.
    Dense {
        /// `[outputs, inputs]`.
        weights: Vec<i8>,
        /// One an output.
        channels: Vec<Channel>,
    },
    /// The last dense layer. Its outputs stay wide: int32 in units of `2^-fraction_bits`, so that close logits do not
    /// become equal.
    Logits {
        /// `[labels, inputs]`.
        weights: Vec<i8>,
        /// One a label; the multiplier takes the accumulator to units of `2^-fraction_bits`.
        channels: Vec<Channel>,
        /// 0 to 16.
        fraction_bits: u32,
    },
    /// The largest value under the window.
    MaxPool {
        /// Geometry.
        window: WindowShape,
    },
    /// The mean under the window.
    AveragePool {
        /// Geometry.
        window: WindowShape,
    },
    /// The sum of two tensors of one shape.
    Add {
        /// Their zero points and multipliers.
        operands: [Operand; 2],
    },
    /// One input's share of a concatenation along the channels.
    ConcatPart {
        /// The part's first channel in the output.
        offset: usize,
        /// The part's zero point and multiplier; `None` is a copy of the integers, which the memory plan may make
        /// unnecessary by letting the part be written where it belongs. Copied integers keep their own scale and zero
        /// point, and the rows of what reads them account for it; the whole's are then those of its first part.
        operand: Option<Operand>,
    },
    /// ReLU that could not be fused.
    Relu,
    /// An LSTM in one or both directions of time.
    Lstm {
        /// Sizes.
        shape: LstmShape,
        /// Forward in time.
        forward: LstmWeights,
        /// Backward in time.
        backward: Option<LstmWeights>,
        /// 4 over the hidden state's scale.
        hidden_multiplier: i32,
    },
}

/// The weights of one direction of an LSTM; gates in the order input, forget, candidate, output.
#[derive(Debug, Clone, PartialEq)]
pub struct LstmWeights {
    /// `[4, hidden, inputs]`.
    pub input: Vec<i8>,
    /// `[4, hidden, hidden]`.
    pub hidden: Vec<i8>,
    /// `[hidden, 4]`: the gates of the first cell, then those of the second.
    pub rows: Vec<GateRow>,
}
