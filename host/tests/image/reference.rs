//! A program run by the kernels alone, each tensor in memory of its own: no image, no memory plan.

use heartlens::compile::program::{LstmWeights, Operator, Program, Step, TensorId};
use heartlens_core::model::{Logits, quantise};
use heartlens_core::nn::{
    Add, AveragePool, Channel, ConcatPart, Convolution, Dense, Depthwise, Direction, GateRow, Lstm,
    MaxPool, Operand, Relu, WeightBlock, Window, blocks_len, pack, pack_gates,
};
use heartlens_core::spec::LABELS;
use heartlens_core::views::{View, Views};

/// The logits, and every tensor as it is in the end.
pub(crate) fn run(program: &Program, views: &Views) -> (Logits, Vec<Vec<i8>>) {
    let mut values: Vec<Vec<i8>> = program
        .tensors
        .iter()
        .map(|tensor| vec![0; tensor.shape.iter().product()])
        .collect();
    for input in &program.inputs {
        let view = views.get(View::named(&input.name).expect("a view"));
        let tensor = &program.tensors[input.tensor.0];
        let channels = tensor.shape[2];
        let positions = view.len() / channels;
        for (i, output) in values[input.tensor.0].iter_mut().enumerate() {
            let (position, channel) = (i / channels, i % channels);
            let scale = input.channel_scales.get(channel).unwrap_or(&tensor.scale);
            let x = view[channel * positions + position];
            *output = quantise(x, 1.0 / scale, tensor.zero_point);
        }
    }
    let mut logits = [0.0; LABELS.len()];
    for step in &program.steps {
        let inputs: Vec<Vec<i8>> = step.inputs.iter().map(|t| values[t.0].clone()).collect();
        match step.output {
            Some(TensorId(output)) => run_step(program, step, &inputs, &mut values[output]),
            None => logits = run_logits(step, &inputs[0]),
        }
    }
    (logits, values)
}

/// The definition of `docs/integer-arithmetic.md`, in wide integers.
fn run_logits(step: &Step, input: &[i8]) -> Logits {
    let Operator::Logits {
        weights,
        channels,
        fraction_bits,
    } = &step.operator
    else {
        panic!("{} makes no tensor and no logits", step.name);
    };
    let mut logits = [0.0; LABELS.len()];
    let rows = weights.chunks_exact(input.len()).zip(channels);
    for (logit, (row, channel)) in logits.iter_mut().zip(rows) {
        let products = row
            .iter()
            .zip(input)
            .map(|(w, x)| i128::from(*w) * i128::from(*x));
        let sum = i128::from(channel.bias) + products.sum::<i128>();
        let wide = (sum * i128::from(channel.multiplier) + (1 << 31)).div_euclid(1 << 32);
        *logit = wide as f32 * 0.5_f32.powi(*fraction_bits as i32);
    }
    logits
}

fn run_step(program: &Program, step: &Step, inputs: &[Vec<i8>], output: &mut [i8]) {
    let tensor = |id: Option<TensorId>| &program.tensors[id.expect("a tensor").0];
    let from = tensor(step.inputs.first().copied());
    let (zero_in, zero_out) = (from.zero_point, tensor(step.output).zero_point);
    let input = &inputs[0];
    let mut scratch = vec![0x5a5a_5a5a; 1 << 12];
    match &step.operator {
        Operator::Convolution {
            window,
            weights,
            channels,
        } => {
            let window = Window::new(*window).expect("a window");
            let (blocks, padded) = packed(window.len(), weights, channels);
            Convolution::new(window, channels.len(), zero_in, &blocks, &padded, zero_out)
                .expect("a convolution")
                .run_portable(input, &mut scratch, output);
        }
        Operator::Depthwise {
            window,
            weights,
            channels,
        } => {
            let window = Window::new(*window).expect("a window");
            Depthwise::new(window, zero_in, weights, channels, zero_out)
                .expect("a depthwise convolution")
                .run(input, &mut scratch, output);
        }
        Operator::Dense { weights, channels } => {
            let (blocks, padded) = packed(input.len(), weights, channels);
            Dense::new(channels.len(), input.len(), &blocks, &padded, zero_out)
                .expect("a dense layer")
                .run_portable(input, &mut scratch, output);
        }
        Operator::MaxPool { window } => {
            MaxPool::new(*window)
                .expect("a pool")
                .run_portable(input, output);
        }
        Operator::AveragePool { window } => {
            AveragePool::new(*window)
                .expect("a pool")
                .run(input, &mut scratch, output);
        }
        Operator::Add { operands } => {
            Add::new(output.len(), *operands, zero_out)
                .expect("a sum")
                .run(input, &inputs[1], output);
        }
        Operator::ConcatPart { offset, operand } => {
            let [height, width, channels] = tensor(step.output).shape;
            let positions = height * width;
            let operand = operand.unwrap_or(Operand {
                zero_point: zero_out,
                multiplier: 1 << 20,
            });
            let own = input.len() / positions;
            ConcatPart::new(positions, own, *offset, channels, operand, zero_out)
                .expect("a part")
                .run(input, output);
        }
        Operator::Relu => {
            output.copy_from_slice(input);
            Relu {
                zero_point: zero_in,
            }
            .run(output);
        }
        Operator::Lstm {
            shape,
            forward,
            backward,
            hidden_multiplier,
        } => {
            let forward = PackedDirection::new(shape.hidden, shape.inputs, forward);
            let backward = backward.as_ref();
            let backward =
                backward.map(|weights| PackedDirection::new(shape.hidden, shape.inputs, weights));
            let backward = backward.as_ref().map(PackedDirection::borrowed);
            Lstm::new(*shape, forward.borrowed(), backward, *hidden_multiplier)
                .expect("an LSTM")
                .run_portable(input, &mut scratch, output);
        }
        Operator::Logits { .. } => panic!("{} makes a tensor", step.name),
    }
}

fn packed(
    columns: usize,
    weights: &[i8],
    channels: &[Channel],
) -> (Vec<WeightBlock>, Vec<Channel>) {
    let rows = channels.len();
    let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
    pack(rows, columns, weights, &mut blocks).expect("weights");
    let mut even = channels.to_vec();
    even.resize(rows.next_multiple_of(2), Channel::default());
    (blocks, even)
}

/// The weights of one direction of an LSTM as the kernel wants them.
struct PackedDirection<'p> {
    input: Vec<WeightBlock>,
    hidden: Vec<WeightBlock>,
    rows: &'p [GateRow],
}

impl<'p> PackedDirection<'p> {
    fn new(hidden: usize, inputs: usize, weights: &'p LstmWeights) -> Self {
        let gates = |columns: usize, weights: &[i8]| {
            let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
            pack_gates(hidden, columns, weights, &mut blocks).expect("gates");
            blocks
        };
        Self {
            input: gates(inputs, &weights.input),
            hidden: gates(hidden, &weights.hidden),
            rows: &weights.rows,
        }
    }

    fn borrowed(&self) -> Direction<'_> {
        Direction {
            input: &self.input,
            hidden: &self.hidden,
            rows: self.rows,
        }
    }
}
