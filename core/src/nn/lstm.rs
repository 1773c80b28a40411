//! Long short-term memory (Hochreiter & Schmidhuber 1997, with forget gate), in one or both directions of time.

use super::activation::{sigmoid, tanh, twice_cell};
use super::affine::{WeightBlock, blocks_len, check_blocks_len, check_fillers};
use super::arithmetic::{multiply_q32, round_shift, saturate_i8, saturate_i16};
use super::dot::dot_pair;
use super::error::{LayerError, multiplier, same_len, within};
use super::{backend, holds, portable};
use crate::bytes::record;
use core::ops::Range;

/// Most inputs, and most hidden cells.
pub const MAX_GATE_COLUMNS: usize = 1 << 10;
/// Largest magnitude of a gate's bias.
pub const MAX_GATE_BIAS: i32 = (1 << 24) - 1;
/// Accumulators are taken this many bits to the left before their multiplier, so that ratios up to 2^5 fit.
pub(crate) const GATE_SHIFT: u32 = 6;
/// Multiply-accumulates of a slice at the most, unless two steps have more: some 45,000 instructions of a Cortex-M4F.
const SLICE_MACS: usize = 1 << 14;
/// Whether this processor is one that needs slices. The vector kernels of x86 keep a direction's state in registers.
const IN_SLICES: bool = cfg!(not(all(feature = "simd", target_arch = "x86_64")));
/// Gates of a cell, in the order input, forget, candidate, output.
const GATES: usize = 4;

/// What an LSTM's output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LstmOutput {
    /// The hidden states after every step: `[steps, directions * hidden]`.
    Sequence,
    /// The forward state after the last step, then the backward state after the first: `[directions * hidden]`.
    Last,
}

/// Sizes of an LSTM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LstmShape {
    /// Steps of the input.
    pub steps: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Cells of each direction.
    pub hidden: usize,
    /// What the output holds.
    pub output: LstmOutput,
}

record! {
    /// Bias and scales of one gate of one cell.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct GateRow {
        /// What the input's accumulator starts from: both biases, in units of input scale times weight scale, with the
        /// input's zero point folded in. At most [`MAX_GATE_BIAS`] in magnitude.
        pub bias: i32,
        /// Input scale times weight scale, in units of the gate's argument over 2^6, times 2^32.
        pub input_multiplier: i32,
        /// The same for the hidden state.
        pub hidden_multiplier: i32,
    }
}

/// The weights of one direction.
#[derive(Debug, Clone, Copy)]
pub struct Direction<'w> {
    /// From the input, packed by [`pack_gates`].
    pub input: &'w [WeightBlock],
    /// From the hidden state, packed by [`pack_gates`].
    pub hidden: &'w [WeightBlock],
    /// `[hidden, 4]`: the gates of the first cell, then those of the second.
    pub rows: &'w [GateRow],
}

/// An LSTM whose hidden state is int8 with zero point 0, its cell state int16 in Q11.
///
/// # Shapes
/// Input `[steps, inputs]`, output by [`LstmOutput`].
#[derive(Debug, Clone, Copy)]
pub struct Lstm<'w> {
    pub(crate) shape: LstmShape,
    forward: Direction<'w>,
    backward: Option<Direction<'w>>,
    /// 4 over the hidden state's scale.
    pub(crate) multiplier: i32,
}

/// Packs a row-major matrix `[4, hidden, columns]`, gates in the order input, forget, candidate, output, into blocks:
/// cell by cell, first its input and forget gates, then candidate and output.
///
/// # Errors
/// If `weights` has not `4 * hidden * columns` elements or `blocks` not `blocks_len(4 * hidden, columns)`.
pub fn pack_gates(
    hidden: usize,
    columns: usize,
    weights: &[i8],
    blocks: &mut [WeightBlock],
) -> Result<(), LayerError> {
    within("hidden cells", hidden, 1, MAX_GATE_COLUMNS)?;
    within("columns", columns, 1, MAX_GATE_COLUMNS)?;
    same_len("weights", weights.len(), GATES * hidden * columns)?;
    same_len(
        "weight blocks",
        blocks.len(),
        blocks_len(GATES * hidden, columns),
    )?;
    blocks.fill(WeightBlock::default());
    for (pair, blocks) in blocks.chunks_exact_mut(columns.div_ceil(4)).enumerate() {
        let (cell, gates) = (pair / 2, pair % 2 * 2);
        for (place, gate) in (gates..gates + 2).enumerate() {
            let row = &weights[(gate * hidden + cell) * columns..][..columns];
            for (four, block) in row.chunks(4).zip(blocks.iter_mut()) {
                block.0[4 * place..][..four.len()].copy_from_slice(four);
            }
        }
    }
    Ok(())
}

impl<'w> Lstm<'w> {
    /// An LSTM forward in time, and also backward if `backward` is given. `hidden_multiplier` is 4 over the scale of
    /// the hidden state: 512 for a state in Q7.
    ///
    /// # Errors
    /// If a length does not fit, a filler is not zero, or a bias or multiplier is outside its range.
    pub fn new(
        shape: LstmShape,
        forward: Direction<'w>,
        backward: Option<Direction<'w>>,
        hidden_multiplier: i32,
    ) -> Result<Self, LayerError> {
        let layer = Self::bind(shape, forward, backward, hidden_multiplier)?;
        layer.check()?;
        Ok(layer)
    }

    /// [`Lstm::new`] for weights that have been through it.
    pub(crate) fn bind(
        shape: LstmShape,
        forward: Direction<'w>,
        backward: Option<Direction<'w>>,
        hidden_multiplier: i32,
    ) -> Result<Self, LayerError> {
        within("steps", shape.steps, 1, 1 << 16)?;
        let rows = GATES * within("hidden cells", shape.hidden, 1, MAX_GATE_COLUMNS)?;
        for direction in [Some(forward), backward].into_iter().flatten() {
            check_blocks_len(direction.input, rows, shape.inputs, MAX_GATE_COLUMNS)?;
            check_blocks_len(direction.hidden, rows, shape.hidden, MAX_GATE_COLUMNS)?;
            same_len("gate rows", direction.rows.len(), rows)?;
        }
        multiplier(
            "multiplier of the hidden state",
            hidden_multiplier,
            i32::MAX,
        )?;
        Ok(Self {
            shape,
            forward,
            backward,
            multiplier: hidden_multiplier,
        })
    }

    /// Checks each weight and gate.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        let rows = GATES * self.shape.hidden;
        for direction in [Some(self.forward), self.backward].into_iter().flatten() {
            check_fillers(direction.input, rows, self.shape.inputs)?;
            check_fillers(direction.hidden, rows, self.shape.hidden)?;
            for row in direction.rows {
                if row.bias.unsigned_abs() > MAX_GATE_BIAS.unsigned_abs() {
                    return Err(LayerError::Range {
                        what: "bias of a gate",
                        found: i64::from(row.bias),
                        smallest: -i64::from(MAX_GATE_BIAS),
                        largest: i64::from(MAX_GATE_BIAS),
                    });
                }
                multiplier("input multiplier", row.input_multiplier, i32::MAX)?;
                multiplier("hidden multiplier", row.hidden_multiplier, i32::MAX)?;
            }
        }
        Ok(())
    }

    const fn directions(&self) -> usize {
        1 + self.backward.is_some() as usize
    }

    /// Weights and biases, of which a gate has one.
    pub(crate) const fn params(&self) -> usize {
        let columns = self.shape.inputs + self.shape.hidden;
        self.directions() * GATES * self.shape.hidden * (columns + 1)
    }

    /// Elements of the input.
    pub const fn input_len(&self) -> usize {
        self.shape.steps * self.shape.inputs
    }

    /// Elements of the output.
    pub const fn output_len(&self) -> usize {
        let states = match self.shape.output {
            LstmOutput::Sequence => self.shape.steps,
            LstmOutput::Last => 1,
        };
        states * self.directions() * self.shape.hidden
    }

    /// Words of scratch memory.
    pub const fn scratch_len(&self) -> usize {
        let input_groups = self.shape.inputs.div_ceil(4);
        let hidden_groups = self.shape.hidden.div_ceil(4);
        // Input of two steps, two hidden states, the cells, and the gates' accumulators of two steps.
        6 * input_groups + 8 * hidden_groups + (1 + 2 * GATES) * self.shape.hidden
    }

    /// Multiply-accumulates of one run, those of the gates' products with the cells not counted.
    pub const fn macs(&self) -> usize {
        let columns = self.shape.inputs + self.shape.hidden;
        self.shape.steps * self.directions() * GATES * self.shape.hidden * columns
    }

    /// Steps of a slice: as many as [`SLICE_MACS`] allow, an even number, since fast twins take two at a time.
    const fn slice_steps(&self) -> usize {
        let step = GATES * self.shape.hidden * (self.shape.inputs + self.shape.hidden);
        match SLICE_MACS.checked_div(step) {
            Some(steps) if steps > 2 => steps / 2 * 2,
            _ => 2,
        }
    }

    /// Slices that [`run_slice`](Self::run_slice) does [`run`](Self::run) in: 1 on a processor that needs none.
    pub const fn slices(&self) -> usize {
        if IN_SLICES { self.slices_portable() } else { 1 }
    }

    /// Slices that [`run_slice_portable`](Self::run_slice_portable) does [`run_portable`](Self::run_portable) in.
    pub const fn slices_portable(&self) -> usize {
        self.directions() * self.shape.steps.div_ceil(self.slice_steps())
    }

    /// Computes the output, by the processor's fast twin where it has one.
    pub fn run(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        self.both(input, scratch, output, backend::lstm);
    }

    /// One slice of [`run`](Self::run), numbered from 0 to less than [`slices`](Self::slices), to be called in order on the same
    /// buffers. In between, nobody else may write to the scratch memory.
    pub fn run_slice(&self, slice: usize, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        if IN_SLICES {
            self.slice(slice, input, scratch, output, backend::lstm);
        } else {
            self.run(input, scratch, output);
        }
    }

    /// Computes the output: the specification.
    pub fn run_portable(&self, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        self.both(input, scratch, output, portable::lstm);
    }

    /// One slice of [`run_portable`](Self::run_portable), as [`run_slice`](Self::run_slice).
    pub fn run_slice_portable(
        &self,
        slice: usize,
        input: &[i8],
        scratch: &mut [i32],
        output: &mut [i8],
    ) {
        self.slice(slice, input, scratch, output, portable::lstm);
    }

    fn slice(
        &self,
        slice: usize,
        input: &[i8],
        scratch: &mut [i32],
        output: &mut [i8],
        one_direction: impl OneDirection<'w>,
    ) {
        let fits = holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len());
        let each = self.slice_steps();
        let of_direction = self.shape.steps.div_ceil(each).max(1);
        if fits {
            let index = slice.checked_div(of_direction).unwrap_or(0);
            let first = (slice - index * of_direction) * each;
            let steps = first..self.shape.steps.min(first + each);
            self.direction(index, steps, input, scratch, output, &one_direction);
        }
    }

    /// Computes the output, each direction by `one_direction`.
    pub(super) fn both(
        &self,
        input: &[i8],
        scratch: &mut [i32],
        output: &mut [i8],
        one_direction: impl OneDirection<'w>,
    ) {
        let fits = holds("input", input, self.input_len())
            && holds("scratch", scratch, self.scratch_len())
            && holds("output", output, self.output_len());
        if fits {
            for index in 0..self.directions() {
                let steps = 0..self.shape.steps;
                self.direction(index, steps, input, scratch, output, &one_direction);
            }
        }
    }

    /// Some steps of a direction, 0 forward and 1 backward, in buffers that fit.
    fn direction(
        &self,
        index: usize,
        steps: Range<usize>,
        input: &[i8],
        scratch: &mut [i32],
        output: &mut [i8],
        one_direction: &impl OneDirection<'w>,
    ) {
        let (direction, order) = match index {
            0 => (Some(&self.forward), Order::Forward),
            _ => (self.backward.as_ref(), Order::Backward),
        };
        if let Some(direction) = direction {
            let mut states = States {
                output,
                pitch: self.directions() * self.shape.hidden,
                offset: index * self.shape.hidden,
                hidden: self.shape.hidden,
                kept: self.shape.output,
            };
            let pass = Pass {
                direction,
                order,
                steps,
            };
            one_direction(self, &pass, input, scratch, &mut states);
        }
    }

    /// Some steps of one direction: the specification, for buffers that fit. Between the steps of two passes the state lies in the
    /// scratch memory, in this order only after an even number of steps.
    pub(super) fn compute(
        &self,
        pass: &Pass<'_, 'w>,
        input: &[i8],
        scratch: &mut [i32],
        states: &mut States<'_>,
    ) {
        let shape = &self.shape;
        let Pass {
            direction, order, ..
        } = *pass;
        let input_groups = shape.inputs.div_ceil(4);
        let hidden_groups = shape.hidden.div_ceil(4);
        let mut rest = scratch;
        let mut take = |words: usize| rest.split_off_mut(..words).unwrap_or_default();
        let values = take(4 * input_groups);
        let (mut hidden, mut next) = (take(4 * hidden_groups), take(4 * hidden_groups));
        let cells = take(shape.hidden);
        if pass.steps.start == 0 {
            for zeroed in [&mut *values, &mut *hidden, &mut *next, &mut *cells] {
                zeroed.fill(0);
            }
        }
        for step in pass.steps.clone() {
            let time = order.time(step, shape.steps);
            let start = time * shape.inputs;
            let now = input.get(start..start + shape.inputs).unwrap_or_default();
            for (value, x) in values.iter_mut().zip(now) {
                *value = i32::from(*x);
            }
            let state = states.at(time);
            let pairs = direction.input.chunks_exact(input_groups.max(1));
            let hidden_blocks = direction.hidden.chunks_exact(hidden_groups.max(1));
            let pairs = pairs.zip(hidden_blocks);
            let mut pairs = pairs.zip(direction.rows.as_chunks::<2>().0);
            for ((cell, next), state) in cells.iter_mut().zip(next.iter_mut()).zip(state) {
                let mut gates = [0; GATES];
                for (gates, ((from_input, from_hidden), rows)) in
                    gates.as_chunks_mut::<2>().0.iter_mut().zip(&mut pairs)
                {
                    let from_input = dot_pair(from_input, values);
                    let from_hidden = dot_pair(from_hidden, hidden);
                    for (i, (gate, row)) in gates.iter_mut().zip(rows).enumerate() {
                        *gate = row.argument(row.bias + from_input[i], from_hidden[i]);
                    }
                }
                *state = advance(gates, cell, self.multiplier);
                *next = i32::from(*state);
            }
            core::mem::swap(&mut hidden, &mut next);
        }
    }
}

impl GateRow {
    /// The gate's argument in Q12, from both accumulators, of which the first includes the bias.
    #[inline]
    fn argument(&self, from_input: i32, from_hidden: i32) -> i16 {
        let from_input = multiply_q32(from_input << GATE_SHIFT, self.input_multiplier);
        let from_hidden = multiply_q32(from_hidden << GATE_SHIFT, self.hidden_multiplier);
        saturate_i16(from_input + from_hidden)
    }
}

/// Takes a cell in Q11 one step further and gives the new hidden state. The candidate's argument is taken twice.
#[inline]
fn advance(gates: [i16; GATES], cell: &mut i32, multiplier: i32) -> i8 {
    let [input, forget, candidate, output] = gates;
    let kept = i32::from(sigmoid(forget)) * *cell;
    let added = i32::from(sigmoid(input)) * i32::from(tanh(candidate));
    let next = saturate_i16(round_shift(kept + round_shift(added, 4), 15));
    *cell = i32::from(next);
    let state = i32::from(sigmoid(output)) * i32::from(tanh(twice_cell(next)));
    saturate_i8(multiply_q32(state, multiplier))
}

/// Some steps of one direction. What a pass that does not begin with step 0 goes on from, the one before it has left in the scratch
/// memory: it has done an even number of steps.
#[derive(Debug)]
pub(crate) struct Pass<'p, 'w> {
    pub(crate) direction: &'p Direction<'w>,
    pub(crate) order: Order,
    pub(crate) steps: Range<usize>,
}

/// What does a pass.
pub(crate) trait OneDirection<'w>:
    Fn(&Lstm<'w>, &Pass<'_, 'w>, &[i8], &mut [i32], &mut States<'_>)
{
}

impl<'w, F> OneDirection<'w> for F where
    F: Fn(&Lstm<'w>, &Pass<'_, 'w>, &[i8], &mut [i32], &mut States<'_>)
{
}

/// Which way an LSTM reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Forward,
    Backward,
}

impl Order {
    /// The input's step that is read `step`-th.
    #[inline]
    pub(crate) const fn time(self, step: usize, steps: usize) -> usize {
        match self {
            Self::Forward => step,
            Self::Backward => steps - 1 - step,
        }
    }
}

/// Where the hidden states of one direction go.
pub(crate) struct States<'a> {
    output: &'a mut [i8],
    pitch: usize,
    offset: usize,
    hidden: usize,
    kept: LstmOutput,
}

impl States<'_> {
    /// The place of the state after the input's step `time`.
    #[inline]
    pub(crate) fn at(&mut self, time: usize) -> &mut [i8] {
        let row = match self.kept {
            LstmOutput::Sequence => time,
            LstmOutput::Last => 0,
        };
        let start = row * self.pitch + self.offset;
        let place = self.output.get_mut(start..start + self.hidden);
        place.unwrap_or_default()
    }
}
