//! A float network and the ranges of its tensors to integers: the arithmetic of `docs/integer-arithmetic.md`.

mod rows;

use super::error::CompileError;
use super::graph::{Graph, LstmWeights, Node, Operator};
use super::program::{self, Input, Program, Step, TensorId};
use super::ranges::WeightRule;
use heartlens_core::nn::{Channel, GateRow, LstmShape, MAX_GATE_BIAS, Operand};
use rows::{Rows, columns, corrected, logits, quantise_row, rows_of, transposed};

/// Fractional bits of the multipliers that bring one activation's scale to another's.
const RATIO_BITS: i32 = 20;
/// Such a multiplier is below 4.
const MAX_RATIO: f64 = 3.999;
/// The position of the candidate among the gates, whose argument is taken twice.
const CANDIDATE: usize = 2;
/// One step of a gate's argument, Q12.
const GATE_STEP: f64 = 1.0 / 4096.0;
/// From an accumulator taken 6 bits to the left to a gate's argument.
const GATE_GAIN: f64 = 4096.0 / 64.0;

/// What is known of a tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorRange {
    /// The smallest value that is covered, 0 or less.
    pub low: f32,
    /// The largest value that is covered, 0 or more.
    pub high: f32,
    /// The magnitude that is covered of each channel; empty where channels share one scale.
    pub channels: Vec<f32>,
}

/// What a program states about the model beside its arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The model's name.
    pub name: String,
    /// Classes, in the order of the logits.
    pub labels: Vec<String>,
    /// Share of each class.
    pub priors: Vec<f32>,
    /// Whether the network reads age and sex.
    pub reads_patient: bool,
}

/// A program, and what its integers stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// The program. Its tensors are the graph's, in the same order, but for the logits.
    pub program: Program,
    /// Quantisation of each of the graph's tensors but the logits.
    pub tensors: Vec<Quantisation>,
    /// The real weights that each node's integers stand for, in the order of the node's own; empty where it has none.
    pub weights: Vec<Vec<f32>>,
}

/// What a tensor's integers stand for: `scale * (q - zero_point)`, by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantisation {
    /// Of each channel.
    pub scales: Vec<f64>,
    /// Of each channel.
    pub zero_points: Vec<i8>,
}

impl Quantisation {
    fn uniform(scale: f64, zero_point: i8, channels: usize) -> Self {
        Self {
            // What the program states, to the bit.
            scales: vec![f64::from(scale as f32); channels],
            zero_points: vec![zero_point; channels],
        }
    }

    /// The largest scale: what the integers of all channels are brought to.
    fn nominal(&self) -> f64 {
        self.scales.iter().copied().fold(0.0, f64::max)
    }

    /// The real value of an element, `index` counted over all positions.
    pub fn real(&self, index: usize, value: i8) -> f64 {
        let channel = index % self.scales.len();
        self.scales[channel] * f64::from(i32::from(value) - i32::from(self.zero_points[channel]))
    }
}

/// Quantises a network. `ranges` has one of each tensor, `corrections` what is added to the biases of each node, in real
/// units (empty: nothing).
///
/// # Errors
/// When a scale is outside what a kernel's multiplier can express.
pub fn quantise(
    graph: &Graph,
    card: Card,
    ranges: &[TensorRange],
    rule: WeightRule,
    corrections: &[Vec<f64>],
) -> Result<Quantised, CompileError> {
    let mut quantiser = Quantiser {
        graph,
        ranges,
        rule,
        tensors: vec![None; graph.tensors.len()],
        weights: Vec::new(),
        steps: Vec::new(),
    };
    for input in &graph.inputs {
        quantiser.tensors[*input] = Some(quantiser.input(*input));
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let correction = corrections.get(index).map_or(&[][..], Vec::as_slice);
        quantiser.node(node, correction)?;
    }
    Ok(quantiser.finish(card))
}

struct Quantiser<'a> {
    graph: &'a Graph,
    ranges: &'a [TensorRange],
    rule: WeightRule,
    tensors: Vec<Option<Quantisation>>,
    weights: Vec<Vec<f32>>,
    steps: Vec<Step>,
}

impl Quantiser<'_> {
    fn input(&self, tensor: usize) -> Quantisation {
        let range = &self.ranges[tensor];
        let channels = self.graph.tensors[tensor].shape[2];
        if range.channels.is_empty() {
            return self.affine(tensor, false);
        }
        // A channel that is always zero may not be so elsewhere: it gets the scale of the largest.
        let largest = range.channels.iter().copied().fold(0.0, f32::max);
        let scale = |magnitude: f32| match (magnitude, largest) {
            (_, 0.0) => 1.0,
            (0.0, largest) => f64::from(largest / 127.0),
            (magnitude, _) => f64::from(magnitude / 127.0),
        };
        Quantisation {
            scales: range.channels.iter().map(|m| scale(*m)).collect(),
            zero_points: vec![0; channels],
        }
    }

    /// Scale and zero point that cover a tensor's range; with ReLU, only what is above zero.
    fn affine(&self, tensor: usize, relu: bool) -> Quantisation {
        let range = &self.ranges[tensor];
        let channels = self.graph.tensors[tensor].shape[2];
        let low = if relu { 0.0 } else { f64::from(range.low) };
        let scale = (f64::from(range.high) - low) / 255.0;
        if scale <= 0.0 {
            return Quantisation::uniform(1.0, if relu { -128 } else { 0 }, channels);
        }
        let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i8;
        Quantisation::uniform(scale, zero_point, channels)
    }

    /// The quantisation of what `node` writes, from the range of its output, or of the concatenation that alone reads
    /// it: then the copy moves bytes and rounds nothing.
    fn output(&self, node: &Node) -> Quantisation {
        let own = self.affine(node.output, node.relu);
        let mut readers = self.graph.readers(node.output);
        let (Some(reader), None) = (readers.next(), readers.next()) else {
            return own;
        };
        if matches!(reader.operator, Operator::Concat { .. }) && !self.keeps_parts(reader) {
            let whole = self.affine(reader.output, false);
            let zero_point = whole.zero_points[0];
            if !node.relu || zero_point == -128 {
                return Quantisation::uniform(whole.nominal(), zero_point, own.scales.len());
            }
        }
        own
    }

    /// Whether a concatenation only feeds dense layers: then each part keeps its own scale, and columns take it over.
    fn keeps_parts(&self, node: &Node) -> bool {
        only_feeds_dense(self.graph, node.output)
    }

    /// What a tensor that is computed already stands for.
    fn of(&self, tensor: usize) -> Quantisation {
        self.tensors[tensor]
            .clone()
            .unwrap_or_else(|| Quantisation::uniform(1.0, 0, self.graph.tensors[tensor].shape[2]))
    }

    fn node(&mut self, node: &Node, correction: &[f64]) -> Result<(), CompileError> {
        let mut real = Vec::new();
        let operator = match &node.operator {
            Operator::Convolution {
                window,
                weights,
                bias,
            } => {
                let input = self.of(node.inputs[0]);
                let rows = self.rows(
                    weights,
                    &corrected(bias, correction),
                    &input,
                    self.output(node).nominal(),
                );
                real = rows.real.clone();
                let channels = self.requantised(node, &rows)?;
                program::Operator::Convolution {
                    window: *window,
                    weights: rows.weights,
                    channels,
                }
            }
            Operator::Depthwise {
                window,
                weights,
                bias,
            } => {
                let (rows, columns) = (window.channels, weights.len() / window.channels);
                let input = self.of(node.inputs[0]);
                let by_row = transposed(weights, columns, rows);
                let mut whole = rows_of(
                    self.rule,
                    &by_row,
                    &corrected(bias, correction),
                    self.output(node).nominal(),
                    |row, _| (input.scales[row], input.zero_points[row]),
                );
                whole.weights = transposed(&whole.weights, rows, columns);
                real = transposed(&whole.real, rows, columns);
                program::Operator::Depthwise {
                    window: *window,
                    channels: self.requantised(node, &whole)?,
                    weights: whole.weights,
                }
            }
            Operator::Dense { weights, bias } => {
                let input = self.of(node.inputs[0]);
                let last = node.output + 1 == self.graph.tensors.len();
                let unit = if last {
                    1.0
                } else {
                    self.output(node).nominal()
                };
                let rows = self.rows(weights, &corrected(bias, correction), &input, unit);
                real = rows.real.clone();
                if last {
                    logits(rows)
                } else {
                    let channels = self.requantised(node, &rows)?;
                    program::Operator::Dense {
                        weights: rows.weights,
                        channels,
                    }
                }
            }
            Operator::MaxPool { window } => {
                self.same(node);
                program::Operator::MaxPool { window: *window }
            }
            Operator::AveragePool { window } => {
                self.same(node);
                program::Operator::AveragePool { window: *window }
            }
            Operator::Relu => {
                self.same(node);
                program::Operator::Relu
            }
            Operator::Add => self.add(node),
            Operator::Concat { widths } => {
                self.concat(node, widths);
                self.weights.push(real);
                return Ok(());
            }
            Operator::Lstm { shape, directions } => {
                let (operator, of_input) = self.lstm(node, *shape, directions, correction)?;
                real = of_input;
                operator
            }
        };
        self.weights.push(real);
        self.steps.push(Step {
            name: node.name.clone(),
            inputs: node.inputs.iter().map(|input| TensorId(*input)).collect(),
            output: (!matches!(operator, program::Operator::Logits { .. }))
                .then_some(TensorId(node.output)),
            operator,
        });
        Ok(())
    }

    /// Scale and zero point stay.
    fn same(&mut self, node: &Node) {
        self.tensors[node.output] = Some(self.of(node.inputs[0]));
    }

    fn add(&mut self, node: &Node) -> program::Operator {
        let inputs = [self.of(node.inputs[0]), self.of(node.inputs[1])];
        let mut output = self.output(node);
        let largest = inputs[0].nominal().max(inputs[1].nominal());
        let scale = output.nominal().max(largest / MAX_RATIO);
        if scale > output.nominal() {
            output = rescaled(&output, scale);
        }
        let operands = inputs.map(|input| operand(&input, &output));
        self.tensors[node.output] = Some(output);
        program::Operator::Add { operands }
    }

    fn concat(&mut self, node: &Node, widths: &[usize]) {
        let parts: Vec<Quantisation> = node.inputs.iter().map(|part| self.of(*part)).collect();
        let whole = if self.keeps_parts(node) {
            // A part may be a plane, all of whose positions become features.
            let spread = |part: &Quantisation, width: usize| {
                let channels = part.scales.len();
                let scales: Vec<f64> = (0..width).map(|i| part.scales[i % channels]).collect();
                let zeros: Vec<i8> = (0..width).map(|i| part.zero_points[i % channels]).collect();
                (scales, zeros)
            };
            let mut whole = Quantisation {
                scales: Vec::new(),
                zero_points: Vec::new(),
            };
            for (part, width) in parts.iter().zip(widths) {
                let (scales, zeros) = spread(part, *width);
                whole.scales.extend(scales);
                whole.zero_points.extend(zeros);
            }
            whole
        } else {
            self.affine(node.output, false)
        };
        let mut offset = 0;
        for ((tensor, part), width) in node.inputs.iter().zip(&parts).zip(widths) {
            let copied = self.keeps_parts(node)
                || (part.scales[0] == whole.scales[0]
                    && part.zero_points[0] == whole.zero_points[0]);
            self.steps.push(Step {
                name: node.name.clone(),
                inputs: vec![TensorId(*tensor)],
                output: Some(TensorId(node.output)),
                operator: program::Operator::ConcatPart {
                    offset,
                    operand: (!copied).then(|| operand(part, &whole)),
                },
            });
            offset += width;
        }
        self.tensors[node.output] = Some(whole);
    }

    /// A matrix whose columns are elements of `input`, in its order.
    fn rows(&self, weights: &[f32], bias: &[f64], input: &Quantisation, unit: f64) -> Rows {
        let channels = input.scales.len();
        rows_of(self.rule, weights, bias, unit, |_, column| {
            let channel = column % channels;
            (input.scales[channel], input.zero_points[channel])
        })
    }

    /// The channels of a layer, whose output gets a scale that its multipliers can express.
    fn requantised(&mut self, node: &Node, rows: &Rows) -> Result<Vec<Channel>, CompileError> {
        let mut output = self.output(node);
        let largest = rows.units.iter().copied().fold(0.0, f64::max);
        if largest / output.nominal() > 0.499 {
            output = rescaled(&output, largest / 0.499);
        }
        let scale = output.nominal();
        self.tensors[node.output] = Some(output);
        rows.units
            .iter()
            .zip(&rows.biases)
            .map(|(unit, bias)| {
                Ok(Channel {
                    bias: *bias,
                    multiplier: multiplier(node, unit / scale)?,
                })
            })
            .collect()
    }

    fn lstm(
        &mut self,
        node: &Node,
        shape: LstmShape,
        directions: &[LstmWeights],
        correction: &[f64],
    ) -> Result<(program::Operator, Vec<f32>), CompileError> {
        let range = &self.ranges[node.output];
        let magnitude = f64::from(range.high.max(-range.low)).clamp(1e-3, 1.0);
        // Rounded first, and the scale derived from it.
        let hidden_multiplier = (4.0 * 127.0 / magnitude).round();
        let output = Quantisation::uniform(
            4.0 / hidden_multiplier,
            0,
            self.graph.tensors[node.output].shape[2],
        );
        let input = columns(&self.of(node.inputs[0]), shape.inputs);
        let state = columns(&output, shape.hidden);
        let gates = 4 * shape.hidden;
        let mut made = Vec::new();
        let mut real = Vec::new();
        for (index, weights) in directions.iter().enumerate() {
            let correction = correction.get(index * gates..(index + 1) * gates);
            let bias = corrected(&weights.bias, correction.unwrap_or_default());
            let (direction, of_input) =
                self.direction(node, shape, weights, &bias, &input, &state)?;
            made.push(direction);
            real.extend(of_input);
        }
        self.tensors[node.output] = Some(output);
        let mut made = made.into_iter();
        let Some(forward) = made.next() else {
            return Err(unsupported(
                node,
                "the number of its directions",
                0,
                "1 or 2",
            ));
        };
        let operator = program::Operator::Lstm {
            shape,
            forward,
            backward: made.next(),
            hidden_multiplier: hidden_multiplier as i32,
        };
        Ok((operator, real))
    }

    fn direction(
        &self,
        node: &Node,
        shape: LstmShape,
        weights: &LstmWeights,
        bias: &[f64],
        input: &[(f64, i8)],
        state: &[(f64, i8)],
    ) -> Result<(program::LstmWeights, Vec<f32>), CompileError> {
        let mut made = program::LstmWeights {
            input: Vec::with_capacity(weights.input.len()),
            hidden: Vec::with_capacity(weights.hidden.len()),
            rows: vec![GateRow::default(); 4 * shape.hidden],
        };
        let mut real = Vec::with_capacity(weights.input.len());
        let of_input = weights.input.chunks_exact(shape.inputs);
        let of_hidden = weights.hidden.chunks_exact(shape.hidden);
        for (index, ((of_input, of_hidden), bias)) in of_input.zip(of_hidden).zip(bias).enumerate()
        {
            let (gate, cell) = (index / shape.hidden, index % shape.hidden);
            let of_input =
                quantise_row(self.rule, of_input, input, *bias, GATE_STEP, MAX_GATE_BIAS);
            let of_hidden =
                quantise_row(self.rule, of_hidden, state, 0.0, GATE_STEP, MAX_GATE_BIAS);
            let gain = if gate == CANDIDATE {
                2.0 * GATE_GAIN
            } else {
                GATE_GAIN
            };
            made.rows[cell * 4 + gate] = GateRow {
                bias: of_input.bias,
                input_multiplier: multiplier(node, of_input.unit * gain)?,
                hidden_multiplier: multiplier(node, of_hidden.unit * gain)?,
            };
            real.extend(of_input.real());
            made.input.extend(of_input.weights);
            made.hidden.extend(of_hidden.weights);
        }
        Ok((made, real))
    }

    fn finish(self, card: Card) -> Quantised {
        let kept = self.graph.tensors.len() - 1;
        let tensors: Vec<Quantisation> = (0..kept).map(|tensor| self.of(tensor)).collect();
        let described = self
            .graph
            .tensors
            .iter()
            .zip(&tensors)
            .map(|(tensor, quantisation)| program::Tensor {
                name: tensor.name.clone(),
                shape: tensor.shape,
                scale: quantisation.nominal() as f32,
                zero_point: quantisation.zero_points[0],
            });
        let inputs = self.graph.inputs.iter().map(|input| Input {
            name: self.graph.tensors[*input].name.clone(),
            tensor: TensorId(*input),
            channel_scales: match self.ranges[*input].channels.is_empty() {
                true => Vec::new(),
                false => tensors[*input].scales.iter().map(|s| *s as f32).collect(),
            },
        });
        Quantised {
            program: Program {
                name: card.name,
                labels: card.labels,
                priors: card.priors,
                reads_patient: card.reads_patient,
                tensors: described.collect(),
                inputs: inputs.collect(),
                steps: self.steps,
            },
            tensors,
            weights: self.weights,
        }
    }
}

/// Whether all that reads a tensor are dense layers, or concatenations that only feed such: then its channels may have
/// scales of their own.
pub(super) fn only_feeds_dense(graph: &Graph, tensor: usize) -> bool {
    let mut readers = graph.readers(tensor).peekable();
    readers.peek().is_some()
        && readers.all(|reader| match reader.operator {
            Operator::Dense { .. } => true,
            Operator::Concat { .. } => only_feeds_dense(graph, reader.output),
            _ => false,
        })
}

/// `ratio` times 2^32.
fn multiplier(node: &Node, ratio: f64) -> Result<i32, CompileError> {
    let multiplier = (ratio * 4_294_967_296.0).round();
    if (0.0..=f64::from(i32::MAX)).contains(&multiplier) {
        Ok(multiplier as i32)
    } else {
        Err(unsupported(
            node,
            "the ratio of its scales",
            ratio,
            "a ratio from 0 to 1/2",
        ))
    }
}

fn unsupported(node: &Node, what: &str, found: impl ToString, expected: &str) -> CompileError {
    CompileError::Unsupported {
        layer: format!("{} ({})", node.name, node.operator_name()),
        what: what.to_owned(),
        found: found.to_string(),
        expected: expected.to_owned(),
    }
}

fn operand(input: &Quantisation, output: &Quantisation) -> Operand {
    let ratio = input.nominal() / output.nominal();
    // 0 would be a copy.
    let multiplier = (ratio.min(MAX_RATIO) * 2_f64.powi(RATIO_BITS))
        .round()
        .max(1.0);
    Operand {
        zero_point: input.zero_points[0],
        multiplier: multiplier as i32,
    }
}

/// The same zero point at a larger scale.
fn rescaled(quantisation: &Quantisation, scale: f64) -> Quantisation {
    Quantisation::uniform(
        scale,
        quantisation.zero_points[0],
        quantisation.scales.len(),
    )
}
