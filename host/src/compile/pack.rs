//! Weights in the order in which the kernels read them.

use super::image::WriteError;
use super::program::{LstmWeights, Operator, Program, Step};
use bytemuck::NoUninit;
use heartlens_core::model::format::{self, ALIGNMENT};
use heartlens_core::nn::{
    AveragePool, Channel, Convolution, Dense, Depthwise, Direction, LayerError, Logits, Lstm,
    LstmOutput, WeightBlock, Window, WindowShape, blocks_len, pack, pack_gates,
};

/// In place of a multiplier: a part of a concatenation is copied as it is.
const COPIED: i32 = 0;

/// A step's numbers as the image has them.
pub(super) struct Packed {
    /// What it does.
    pub(super) operator: format::Operator,
    /// Its sizes.
    pub(super) geometry: [u16; 12],
    /// Its multipliers outside the weights.
    pub(super) multipliers: [i32; 2],
    /// Its weights, each kind at a multiple of [`ALIGNMENT`].
    pub(super) data: Vec<u8>,
    /// Words of scratch memory that it needs.
    pub(super) scratch_words: usize,
}

impl Packed {
    /// Packs a step, of which all tensors exist.
    pub(super) fn new(program: &Program, step: &Step) -> Result<Self, WriteError> {
        Packing { program, step }.pack()
    }
}

/// The step to pack and what it reads and writes.
struct Packing<'p> {
    program: &'p Program,
    step: &'p Step,
}

impl Packing<'_> {
    fn pack(&self) -> Result<Packed, WriteError> {
        let step = self.step;
        let layer = |source| WriteError::Layer {
            step: step.name.clone(),
            source,
        };
        match &step.operator {
            Operator::Convolution {
                window,
                weights,
                channels,
            } => {
                let checked = Window::new(*window).map_err(layer)?;
                let rows = channels.len();
                let blocks = blocks(rows, checked.len(), weights).map_err(layer)?;
                let channels = even(channels);
                let (from, to) = self.zero_points();
                let kernel = Convolution::new(checked, rows, from, &blocks, &channels, to);
                Ok(Packed {
                    geometry: self.window(window, rows)?,
                    data: joined(&[bytes(&blocks), bytes(&channels)]),
                    scratch_words: kernel.map_err(layer)?.scratch_len(),
                    ..Self::bare(format::Operator::Convolution)
                })
            }
            Operator::Depthwise {
                window,
                weights,
                channels,
            } => {
                let checked = Window::new(*window).map_err(layer)?;
                let (from, to) = self.zero_points();
                let kernel = Depthwise::new(checked, from, weights, channels, to);
                Ok(Packed {
                    geometry: self.window(window, 0)?,
                    data: joined(&[bytes(weights), bytes(channels)]),
                    scratch_words: kernel.map_err(layer)?.scratch_len(),
                    ..Self::bare(format::Operator::Depthwise)
                })
            }
            Operator::Dense { weights, channels } => {
                let (rows, columns) = (channels.len(), self.columns());
                let blocks = blocks(rows, columns, weights).map_err(layer)?;
                let channels = even(channels);
                let (_, to) = self.zero_points();
                let kernel = Dense::new(rows, columns, &blocks, &channels, to);
                Ok(Packed {
                    geometry: self.sizes([rows])?,
                    data: joined(&[bytes(&blocks), bytes(&channels)]),
                    scratch_words: kernel.map_err(layer)?.scratch_len(),
                    ..Self::bare(format::Operator::Dense)
                })
            }
            Operator::Logits {
                weights,
                channels,
                fraction_bits,
            } => {
                let (rows, columns) = (channels.len(), self.columns());
                let blocks = blocks(rows, columns, weights).map_err(layer)?;
                let channels = even(channels);
                let kernel = Logits::new(rows, columns, &blocks, &channels);
                Ok(Packed {
                    geometry: self.sizes([rows, *fraction_bits as usize])?,
                    data: joined(&[bytes(&blocks), bytes(&channels)]),
                    scratch_words: kernel.map_err(layer)?.scratch_len(),
                    ..Self::bare(format::Operator::Logits)
                })
            }
            Operator::MaxPool { window } => Ok(Packed {
                geometry: self.window(window, 0)?,
                ..Self::bare(format::Operator::MaxPool)
            }),
            Operator::AveragePool { window } => Ok(Packed {
                geometry: self.window(window, 0)?,
                scratch_words: AveragePool::new(*window).map_err(layer)?.scratch_len(),
                ..Self::bare(format::Operator::AveragePool)
            }),
            Operator::Add { operands } => {
                for (place, operand) in operands.iter().enumerate() {
                    self.same_zero_point(place, operand.zero_point)?;
                }
                Ok(Packed {
                    multipliers: operands.map(|operand| operand.multiplier),
                    ..Self::bare(format::Operator::Add)
                })
            }
            Operator::ConcatPart { offset, operand } => {
                if let Some(operand) = operand {
                    self.same_zero_point(0, operand.zero_point)?;
                    if operand.multiplier == COPIED {
                        return Err(WriteError::Number {
                            bearer: format!("layer {}", step.name),
                            what: "multiplier of an operand",
                            found: i64::from(operand.multiplier),
                            expected: "above 0".to_owned(),
                        });
                    }
                }
                let multiplier = operand.map_or(COPIED, |operand| operand.multiplier);
                Ok(Packed {
                    geometry: self.sizes([*offset])?,
                    multipliers: [multiplier, 0],
                    ..Self::bare(format::Operator::ConcatPart)
                })
            }
            Operator::Relu => Ok(Self::bare(format::Operator::Relu)),
            Operator::Lstm {
                shape,
                forward,
                backward,
                hidden_multiplier,
            } => {
                let directions: Vec<PackedDirection> = [Some(forward), backward.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(|weights| PackedDirection::new(shape.hidden, shape.inputs, weights))
                    .collect::<Result<_, _>>()
                    .map_err(layer)?;
                let mut borrowed = directions.iter().map(PackedDirection::borrowed);
                let forward = borrowed.next();
                let kernel = forward
                    .map(|forward| Lstm::new(*shape, forward, borrowed.next(), *hidden_multiplier));
                let kernel = kernel.transpose().map_err(layer)?;
                let kept = match shape.output {
                    LstmOutput::Sequence => 0,
                    LstmOutput::Last => 1,
                };
                let count = directions.len();
                Ok(Packed {
                    geometry: self.sizes([shape.steps, shape.inputs, shape.hidden, kept, count])?,
                    multipliers: [*hidden_multiplier, 0],
                    data: joined(
                        &directions
                            .iter()
                            .flat_map(|d| [bytes(&d.input), bytes(&d.hidden), bytes(d.rows)])
                            .collect::<Vec<_>>(),
                    ),
                    scratch_words: kernel.map_or(0, |kernel| kernel.scratch_len()),
                    ..Self::bare(format::Operator::Lstm)
                })
            }
        }
    }

    const fn bare(operator: format::Operator) -> Packed {
        Packed {
            operator,
            geometry: [0; 12],
            multipliers: [0; 2],
            data: Vec::new(),
            scratch_words: 0,
        }
    }

    /// Elements of the first input.
    fn columns(&self) -> usize {
        let input = self.step.inputs.first();
        input.map_or(0, |input| {
            self.program.tensors[input.0].shape.iter().product()
        })
    }

    /// The zero points of the first input and of the output.
    fn zero_points(&self) -> (i8, i8) {
        let zero_point = |tensor: Option<&super::program::TensorId>| {
            tensor.map_or(0, |tensor| self.program.tensors[tensor.0].zero_point)
        };
        (
            zero_point(self.step.inputs.first()),
            zero_point(self.step.output.as_ref()),
        )
    }

    /// The image has an operand's zero point only once, with its tensor.
    fn same_zero_point(&self, place: usize, found: i8) -> Result<(), WriteError> {
        let tensor = self.step.inputs.get(place);
        let expected = tensor.map_or(found, |t| self.program.tensors[t.0].zero_point);
        if found == expected {
            return Ok(());
        }
        Err(WriteError::Number {
            bearer: format!("layer {}", self.step.name),
            what: "zero point of an operand",
            found: i64::from(found),
            expected: format!("that of its tensor, {expected}"),
        })
    }

    fn window(&self, window: &WindowShape, rows: usize) -> Result<[u16; 12], WriteError> {
        let [top, left, bottom, right] = window.padding;
        self.sizes([
            window.height,
            window.width,
            window.channels,
            window.kernel[0],
            window.kernel[1],
            window.stride[0],
            window.stride[1],
            top,
            left,
            bottom,
            right,
            rows,
        ])
    }

    fn sizes<const N: usize>(&self, sizes: [usize; N]) -> Result<[u16; 12], WriteError> {
        let mut geometry = [0; 12];
        for (place, size) in geometry.iter_mut().zip(sizes) {
            *place = super::image::short(size, || format!("layer {}", self.step.name), "a size")?;
        }
        Ok(geometry)
    }
}

/// One direction of an LSTM, packed.
struct PackedDirection<'p> {
    input: Vec<WeightBlock>,
    hidden: Vec<WeightBlock>,
    rows: &'p [heartlens_core::nn::GateRow],
}

impl<'p> PackedDirection<'p> {
    fn new(hidden: usize, inputs: usize, weights: &'p LstmWeights) -> Result<Self, LayerError> {
        let packed = |columns: usize, weights: &[i8]| {
            let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
            pack_gates(hidden, columns, weights, &mut blocks)?;
            Ok(blocks)
        };
        Ok(Self {
            input: packed(inputs, &weights.input)?,
            hidden: packed(hidden, &weights.hidden)?,
            rows: &weights.rows,
        })
    }

    fn borrowed(&self) -> Direction<'_> {
        Direction {
            input: &self.input,
            hidden: &self.hidden,
            rows: self.rows,
        }
    }
}

fn blocks(rows: usize, columns: usize, weights: &[i8]) -> Result<Vec<WeightBlock>, LayerError> {
    let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
    pack(rows, columns, weights, &mut blocks)?;
    Ok(blocks)
}

/// Channels as matrices have them: one more, all zero, after an odd number.
fn even(channels: &[Channel]) -> Vec<Channel> {
    let mut even = channels.to_vec();
    even.resize(channels.len().next_multiple_of(2), Channel::default());
    even
}

fn bytes<T: NoUninit>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// One after the other, each at a multiple of [`ALIGNMENT`].
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.resize(all.len().next_multiple_of(ALIGNMENT), 0);
        all.extend_from_slice(part);
    }
    all
}
