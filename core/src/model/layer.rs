//! A step of an image as an operator of [`crate::nn`], its weights where they lie.

use super::error::{ImageError, Place};
use super::format::{ALIGNMENT, MAX_FRACTION_BITS, Operator, Step, Tensor};
use super::sections::{at, out_of_range};
use crate::nn::{
    Add, AveragePool, Channel, ConcatPart, Convolution, Dense, Depthwise, Direction, GateRow,
    LayerError, Logits, Lstm, LstmOutput, LstmShape, MAX_COLUMNS, MaxPool, Operand, Relu,
    WeightBlock, Window, WindowShape, blocks_len, within,
};
use bytemuck::Pod;

/// The multiplier of a part whose scale is the whole's.
const UNCHANGED: i32 = 1 << 20;

/// A step's operator, ready to run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layer<'a> {
    Convolution(Convolution<'a>),
    Depthwise(Depthwise<'a>),
    Dense(Dense<'a>),
    Logits(Logits<'a>),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    Add(Add),
    ConcatPart(ConcatPart),
    /// Elements of the part.
    ConcatInPlace(usize),
    /// The operator and its elements.
    Relu(Relu, usize),
    Lstm(Lstm<'a>),
}

impl<'a> Layer<'a> {
    /// The operator of step `index`, whose tensors exist and have at most 2^20 elements. Everything is checked but the
    /// values of weights, which [`Layer::check`] sees once.
    ///
    /// A step that has been through [`super::Model::load`] gives no error.
    pub(crate) fn bind(
        index: usize,
        step: &Step,
        tensors: &[Tensor],
        image: &'a [u8],
    ) -> Result<Self, ImageError> {
        let binding = Binding {
            index,
            step,
            tensors,
        };
        binding.bind(Weights {
            image,
            at: step.data as usize,
            place: at("layer", index),
        })
    }

    /// Checks each weight, bias and multiplier.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        match self {
            Self::Convolution(layer) => layer.affine.check(),
            Self::Depthwise(layer) => layer.check(),
            Self::Dense(layer) => layer.affine.check(),
            Self::Logits(layer) => layer.check(),
            Self::Lstm(layer) => layer.check(),
            Self::MaxPool(_)
            | Self::AveragePool(_)
            | Self::Add(_)
            | Self::ConcatPart(_)
            | Self::ConcatInPlace(_)
            | Self::Relu(..) => Ok(()),
        }
    }

    /// Elements of each input, and of the output.
    pub(crate) fn elements(&self) -> (usize, usize) {
        match self {
            Self::Convolution(layer) => (layer.input_len(), layer.output_len()),
            Self::Depthwise(layer) => (layer.input_len(), layer.output_len()),
            Self::Dense(layer) => (layer.input_len(), layer.output_len()),
            Self::Logits(layer) => (layer.input_len(), layer.output_len()),
            Self::MaxPool(layer) => (layer.input_len(), layer.output_len()),
            Self::AveragePool(layer) => (layer.input_len(), layer.output_len()),
            Self::Add(layer) => (layer.output_len(), layer.output_len()),
            Self::ConcatPart(layer) => (layer.input_len(), layer.output_len()),
            Self::ConcatInPlace(len) => (*len, *len),
            Self::Relu(_, len) => (*len, *len),
            Self::Lstm(layer) => (layer.input_len(), layer.output_len()),
        }
    }

    /// Words of scratch memory.
    pub(crate) fn scratch_len(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.scratch_len(),
            Self::Depthwise(layer) => layer.scratch_len(),
            Self::Dense(layer) => layer.scratch_len(),
            Self::Logits(layer) => layer.scratch_len(),
            Self::AveragePool(layer) => layer.scratch_len(),
            Self::Lstm(layer) => layer.scratch_len(),
            Self::MaxPool(_)
            | Self::Add(_)
            | Self::ConcatPart(_)
            | Self::ConcatInPlace(_)
            | Self::Relu(..) => 0,
        }
    }

    /// Weights and biases.
    pub(crate) fn params(&self) -> usize {
        match self {
            Self::Convolution(Convolution { affine, .. }) | Self::Dense(Dense { affine }) => {
                affine.params()
            }
            Self::Depthwise(layer) => layer.params(),
            Self::Logits(layer) => layer.params(),
            Self::Lstm(layer) => layer.params(),
            Self::MaxPool(_)
            | Self::AveragePool(_)
            | Self::Add(_)
            | Self::ConcatPart(_)
            | Self::ConcatInPlace(_)
            | Self::Relu(..) => 0,
        }
    }

    /// Multiply-accumulates of one run.
    pub(crate) fn macs(&self) -> usize {
        match self {
            Self::Convolution(layer) => layer.macs(),
            Self::Depthwise(layer) => layer.macs(),
            Self::Dense(layer) => layer.macs(),
            Self::Logits(layer) => layer.macs(),
            Self::Lstm(layer) => layer.macs(),
            Self::MaxPool(_)
            | Self::AveragePool(_)
            | Self::Add(_)
            | Self::ConcatPart(_)
            | Self::ConcatInPlace(_)
            | Self::Relu(..) => 0,
        }
    }
}

/// What a layer is made from.
struct Binding<'s> {
    index: usize,
    step: &'s Step,
    tensors: &'s [Tensor],
}

impl Binding<'_> {
    fn bind<'a>(&self, mut weights: Weights<'a>) -> Result<Layer<'a>, ImageError> {
        let step = self.step;
        let input = self.tensor(step.inputs[0])?;
        let fault = |error| self.fault(error);
        Ok(match operator(self.index, step)? {
            Operator::Convolution => {
                let window = Window::new(self.window()).map_err(fault)?;
                let rows = usize::from(step.geometry[11]);
                let blocks = self.blocks(rows, window.len(), &mut weights)?;
                let channels = weights.take::<Channel>(rows.next_multiple_of(2))?;
                let (from, to) = (input.zero_point, self.tensor(step.output)?.zero_point);
                let layer = Convolution::bind(window, rows, from, blocks, channels, to);
                Layer::Convolution(layer.map_err(fault)?)
            }
            Operator::Depthwise => {
                let window = Window::new(self.window()).map_err(fault)?;
                let taps = weights.take::<i8>(window.len())?;
                let channels = weights.take::<Channel>(usize::from(step.geometry[2]))?;
                let (from, to) = (input.zero_point, self.tensor(step.output)?.zero_point);
                let layer = Depthwise::bind(window, from, taps, channels, to);
                Layer::Depthwise(layer.map_err(fault)?)
            }
            Operator::Dense => {
                let (rows, columns) = (usize::from(step.geometry[0]), input.len());
                let blocks = self.blocks(rows, columns, &mut weights)?;
                let channels = weights.take::<Channel>(rows.next_multiple_of(2))?;
                let to = self.tensor(step.output)?.zero_point;
                let layer = Dense::bind(rows, columns, blocks, channels, to);
                Layer::Dense(layer.map_err(fault)?)
            }
            Operator::Logits => {
                let bits = usize::from(step.geometry[1]);
                within("bits after the binary point", bits, 0, MAX_FRACTION_BITS).map_err(fault)?;
                let (rows, columns) = (usize::from(step.geometry[0]), input.len());
                let blocks = self.blocks(rows, columns, &mut weights)?;
                let channels = weights.take::<Channel>(rows.next_multiple_of(2))?;
                let layer = Logits::bind(rows, columns, blocks, channels);
                Layer::Logits(layer.map_err(fault)?)
            }
            Operator::MaxPool => Layer::MaxPool(MaxPool::new(self.window()).map_err(fault)?),
            Operator::AveragePool => {
                Layer::AveragePool(AveragePool::new(self.window()).map_err(fault)?)
            }
            Operator::Add => {
                let other = self.tensor(step.inputs[1])?;
                let output = self.tensor(step.output)?;
                let operands = [
                    operand(input, step.multipliers[0]),
                    operand(other, step.multipliers[1]),
                ];
                let layer = Add::new(output.len(), operands, output.zero_point);
                Layer::Add(layer.map_err(fault)?)
            }
            Operator::ConcatPart => {
                let output = self.tensor(step.output)?;
                let positions = output.positions();
                let operand = match step.multipliers[0] {
                    // The part's integers as they are, whatever they stand for.
                    0 => Operand {
                        zero_point: output.zero_point,
                        multiplier: UNCHANGED,
                    },
                    multiplier => operand(input, multiplier),
                };
                let layer = ConcatPart::new(
                    positions,
                    input.len() / positions.max(1),
                    usize::from(step.geometry[0]),
                    output.channels(),
                    operand,
                    output.zero_point,
                );
                Layer::ConcatPart(layer.map_err(fault)?)
            }
            Operator::ConcatInPlace => Layer::ConcatInPlace(input.len()),
            Operator::Relu => {
                let zero_point = input.zero_point;
                Layer::Relu(Relu { zero_point }, input.len())
            }
            Operator::Lstm => Layer::Lstm(self.lstm(&mut weights)?),
        })
    }

    fn lstm<'a>(&self, weights: &mut Weights<'a>) -> Result<Lstm<'a>, ImageError> {
        let [steps, inputs, hidden, kept, directions, ..] = self.step.geometry.map(usize::from);
        let fault = |error| self.fault(error);
        within("kind of output", kept, 0, 1).map_err(fault)?;
        within("directions", directions, 1, 2).map_err(fault)?;
        let shape = LstmShape {
            steps,
            inputs,
            hidden,
            output: match kept {
                0 => LstmOutput::Sequence,
                _ => LstmOutput::Last,
            },
        };
        let mut direction = || {
            Ok(Direction {
                input: weights.take::<WeightBlock>(blocks_len(4 * hidden, inputs))?,
                hidden: weights.take::<WeightBlock>(blocks_len(4 * hidden, hidden))?,
                rows: weights.take::<GateRow>(4 * hidden)?,
            })
        };
        let forward = direction()?;
        let backward = if directions == 2 {
            Some(direction()?)
        } else {
            None
        };
        Lstm::bind(shape, forward, backward, self.step.multipliers[0]).map_err(fault)
    }

    fn tensor(&self, index: u16) -> Result<&Tensor, ImageError> {
        let index = usize::from(index);
        self.tensors.get(index).ok_or_else(|| {
            let last = self.tensors.len().saturating_sub(1);
            out_of_range(at("layer", self.index), "tensor", index, 0, last)
        })
    }

    fn window(&self) -> WindowShape {
        let [
            height,
            width,
            channels,
            kernel_height,
            kernel_width,
            down,
            right,
            padding @ ..,
            _,
        ] = self.step.geometry.map(usize::from);
        WindowShape {
            height,
            width,
            channels,
            kernel: [kernel_height, kernel_width],
            stride: [down, right],
            padding,
        }
    }

    fn blocks<'a>(
        &self,
        rows: usize,
        columns: usize,
        weights: &mut Weights<'a>,
    ) -> Result<&'a [WeightBlock], ImageError> {
        within("columns", columns, 1, MAX_COLUMNS).map_err(|error| self.fault(error))?;
        weights.take(blocks_len(rows, columns))
    }

    fn fault(&self, error: LayerError) -> ImageError {
        ImageError::Value {
            place: at("layer", self.index),
            error,
        }
    }
}

/// The operator of a step.
pub(crate) fn operator(index: usize, step: &Step) -> Result<Operator, ImageError> {
    let number = usize::from(step.operator);
    let operator = number.checked_sub(1).and_then(|i| Operator::ALL.get(i));
    operator.copied().ok_or_else(|| {
        let most = Operator::ALL.len();
        out_of_range(at("layer", index), "operator", number, 1, most)
    })
}

const fn operand(tensor: &Tensor, multiplier: i32) -> Operand {
    Operand {
        zero_point: tensor.zero_point,
        multiplier,
    }
}

/// A step's weights, one kind after the other, each aligned.
struct Weights<'a> {
    image: &'a [u8],
    at: usize,
    place: Place,
}

impl<'a> Weights<'a> {
    fn take<T: Pod>(&mut self, count: usize) -> Result<&'a [T], ImageError> {
        let start = self.at;
        let end = start.saturating_add(count.saturating_mul(size_of::<T>()));
        let len = self.image.len();
        let beyond = || out_of_range(self.place, "end of its weights", end, 0, len);
        let bytes = self.image.get(start..end).ok_or_else(beyond)?;
        self.at = end.next_multiple_of(ALIGNMENT);
        bytemuck::try_cast_slice(bytes).map_err(|_| {
            let rest = start % align_of::<T>();
            out_of_range(self.place, "address of its weights modulo 4", rest, 0, 0)
        })
    }
}
