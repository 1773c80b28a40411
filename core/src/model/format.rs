//! The bytes of a device image, as `docs/model-image.md` lists them: every offset of the format follows from these
//! records and is written nowhere else.
//!
//! Records are read where they lie, so that little-endian machines alone can load an image.

use crate::bytes::record;

#[cfg(not(target_endian = "little"))]
compile_error!("a device image is read in place and is little-endian");

/// The first four bytes of an image.
pub const MAGIC: [u8; 4] = *b"HLM\x1a";
/// The version of the format that this build writes and reads.
pub const VERSION: u32 = 1;
/// What an image's address, and each run of weights in it, is a multiple of, in bytes.
pub const ALIGNMENT: usize = 8;
/// Instead of an index: there is none.
pub const NONE: u16 = u16::MAX;
/// Bit of [`Header::flags`]: the network reads the patient's age and sex.
pub const READS_PATIENT: u32 = 1;
/// Longest name of a model, in bytes of UTF-8.
pub const NAME_LEN: usize = 32;
/// Most inputs of a network.
pub(crate) const MAX_INPUTS: usize = 16;
/// Most tensors of a network.
pub(crate) const MAX_TENSORS: usize = 128;
/// Most steps of a network.
pub const MAX_STEPS: usize = 128;
/// Most bits after the binary point of a logit.
pub const MAX_FRACTION_BITS: usize = 16;

record! {
    /// What an image begins with.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Header {
        /// [`MAGIC`].
        pub magic: [u8; 4],
        /// [`VERSION`].
        pub version: u32,
        /// Bytes of the whole image.
        pub len: u32,
        /// CRC-32 (ISO-HDLC, as in zip and PNG) of all bytes but these four.
        pub crc: u32,
        /// [`crate::spec::HASH`] of the features that the network was trained on.
        pub spec_hash: u64,
        /// [`crate::spec::FEATURES_VERSION`].
        pub features_version: u32,
        /// Words of 32 bits that running the network takes.
        pub arena_words: u32,
        /// The model's name, UTF-8, filled up with zeros.
        pub name: [u8; NAME_LEN],
        /// [`READS_PATIENT`] or 0.
        pub flags: u32,
        /// Elements of the table of [`Label`]s.
        pub labels: u16,
        /// Elements of the table of [`Input`]s.
        pub inputs: u16,
        /// Elements of the table of [`Tensor`]s.
        pub tensors: u16,
        /// Elements of the table of channel scales, f32.
        pub scales: u16,
        /// Elements of the table of [`Step`]s.
        pub steps: u16,
        /// Bytes of the names of tensors and steps, each a length in one byte and that many bytes of UTF-8.
        pub names: u16,
    }
}

record! {
    /// A class, in the order of the logits.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Label {
        /// Its name, filled up with zeros.
        pub name: [u8; 8],
        /// Its share of the examples that the network was trained on.
        pub prior: f32,
    }
}

record! {
    /// A view that is quantised into a tensor before the first step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Input {
        /// A [`View`](crate::views::View).
        pub view: u16,
        /// The tensor.
        pub tensor: u16,
        /// The scale of the tensor's first channel in the table of scales; those of the others follow it. [`NONE`] where all
        /// channels have the tensor's.
        pub first_scale: u16,
        /// Zero.
        pub reserved: u16,
    }
}

record! {
    /// An activation: int8, channels last.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Tensor {
        /// Where its name begins among the names.
        pub name: u16,
        /// The integer of real zero.
        pub zero_point: i8,
        /// Zero.
        pub reserved: u8,
        /// Height, width, channels.
        pub shape: [u16; 3],
        /// Zero.
        pub reserved_too: u16,
        /// Real value of one step of the integer.
        pub scale: f32,
        /// Where it begins in the arena, in bytes.
        pub offset: u32,
    }
}

record! {
    /// One operator.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Step {
        /// An [`Operator`].
        pub operator: u16,
        /// Where its name begins among the names.
        pub name: u16,
        /// The tensors that it reads; [`NONE`] for a second that it does not have.
        pub inputs: [u16; 2],
        /// The tensor that it writes; [`NONE`] for the logits.
        pub output: u16,
        /// Zero.
        pub reserved: u16,
        /// Sizes, in the order of [`Operator`]; those that the operator does not have are zero.
        pub geometry: [u16; 12],
        /// Multipliers outside the weights, in the order of [`Operator`]; zero where there are none.
        pub multipliers: [i32; 2],
        /// Where its weights begin in the image, in bytes; zero where it has none.
        pub data: u32,
        /// Where its scratch memory begins in the arena, in bytes; zero where it needs none.
        pub scratch: u32,
    }
}

/// What a step does. "Window" stands for eleven sizes: height, width and channels of the input; height and width of the
/// kernel; steps down and to the right; padding at the top, left, bottom and right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum Operator {
    /// Sizes: window, rows. Data: weight blocks, channels.
    Convolution = 1,
    /// Sizes: window. Data: weights, channels.
    Depthwise = 2,
    /// Sizes: rows. Data: weight blocks, channels.
    Dense = 3,
    /// Sizes: rows, bits after the binary point. Data: weight blocks, channels.
    Logits = 4,
    /// Sizes: window.
    MaxPool = 5,
    /// Sizes: window.
    AveragePool = 6,
    /// Multipliers: of both inputs.
    Add = 7,
    /// Sizes: first channel in the output. Multipliers: of the input.
    ConcatPart = 8,
    /// Sizes: first channel in the output. The input lies there already.
    ConcatInPlace = 9,
    /// Nothing but its tensors, which may be one place.
    Relu = 10,
    /// Sizes: steps, inputs, hidden cells, what the output holds (0 sequence, 1 last state), directions. Multipliers: of
    /// the hidden state. Data, a direction: blocks from the input, blocks from the hidden state, gate rows.
    Lstm = 11,
}

impl Operator {
    /// All, in the order of their numbers from 1.
    pub const ALL: [Self; 11] = [
        Self::Convolution,
        Self::Depthwise,
        Self::Dense,
        Self::Logits,
        Self::MaxPool,
        Self::AveragePool,
        Self::Add,
        Self::ConcatPart,
        Self::ConcatInPlace,
        Self::Relu,
        Self::Lstm,
    ];

    /// The operator's name, as ONNX has it where ONNX has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Convolution => "Conv",
            Self::Depthwise => "DepthwiseConv",
            Self::Dense | Self::Logits => "Gemm",
            Self::MaxPool => "MaxPool",
            Self::AveragePool => "AveragePool",
            Self::Add => "Add",
            Self::ConcatPart | Self::ConcatInPlace => "Concat",
            Self::Relu => "Relu",
            Self::Lstm => "LSTM",
        }
    }

    /// What of a step it uses.
    pub(crate) const fn fields(self) -> Fields {
        let (inputs, sizes, multipliers, weights) = match self {
            Self::Convolution => (1, 12, 0, true),
            Self::Depthwise => (1, 11, 0, true),
            Self::Dense => (1, 1, 0, true),
            Self::Logits => (1, 2, 0, true),
            Self::MaxPool | Self::AveragePool => (1, 11, 0, false),
            Self::Add => (2, 0, 2, false),
            Self::ConcatPart => (1, 1, 1, false),
            Self::ConcatInPlace => (1, 1, 0, false),
            Self::Relu => (1, 0, 0, false),
            Self::Lstm => (1, 5, 1, true),
        };
        Fields {
            inputs,
            sizes,
            multipliers,
            weights,
        }
    }
}

/// How much of a step's record an operator uses, from the front of each list; the rest is empty.
pub(crate) struct Fields {
    pub(crate) inputs: usize,
    pub(crate) sizes: usize,
    pub(crate) multipliers: usize,
    pub(crate) weights: bool,
}

impl Step {
    /// Whether it reads a tensor.
    pub(crate) fn reads(&self, tensor: usize) -> bool {
        self.inputs
            .iter()
            .any(|input| *input != NONE && usize::from(*input) == tensor)
    }
}

impl Tensor {
    /// Elements, and so bytes.
    pub const fn len(&self) -> usize {
        let [height, width, channels] = self.shape;
        // Saturated, so that no product of hostile sides wraps.
        (height as usize * width as usize).saturating_mul(channels as usize)
    }

    /// Never: a tensor of an image has at least one element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height times width.
    pub(crate) const fn positions(&self) -> usize {
        self.shape[0] as usize * self.shape[1] as usize
    }

    /// Channels of each position.
    pub const fn channels(&self) -> usize {
        self.shape[2] as usize
    }
}
