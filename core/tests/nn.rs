//! The integer kernels against `nn/generate.py`, bit for bit, and what must hold of them for any weights.
#![allow(clippy::unwrap_used)]

use heartlens_core::model::quantise;
use heartlens_core::nn::{
    Add, AveragePool, Channel, ConcatPart, Convolution, Dense, Depthwise, Direction, GateRow,
    Logits, Lstm, LstmOutput, LstmShape, MAX_BIAS, MAX_COLUMNS, MAX_GATE_BIAS, MaxPool, Operand,
    Relu, WeightBlock, Window, WindowShape, blocks_len, pack, pack_gates, sigmoid, tanh,
};
use proptest::prelude::*;
use std::collections::HashMap;

/// A case of `nn/cases.txt`.
#[derive(Debug, Default)]
struct Case {
    operator: String,
    numbers: HashMap<String, i64>,
    arrays: HashMap<String, Vec<i64>>,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        for line in include_str!("nn/cases.txt").lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            if name == "case" {
                cases.push(Self {
                    operator: words.next().unwrap().to_owned(),
                    numbers: words
                        .map(|word| word.split_once('=').unwrap())
                        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
                        .collect(),
                    ..Self::default()
                });
            } else {
                let values = words.map(|word| word.parse().unwrap()).collect();
                let case = cases.last_mut().unwrap();
                assert!(case.arrays.insert(name.to_owned(), values).is_none());
            }
        }
        cases
    }

    fn number<T: TryFrom<i64, Error: std::fmt::Debug>>(&self, name: &str) -> T {
        T::try_from(self.numbers[name]).unwrap()
    }

    fn array<T: TryFrom<i64, Error: std::fmt::Debug>>(&self, name: &str) -> Vec<T> {
        let values = self.arrays[name].iter();
        values.map(|value| T::try_from(*value).unwrap()).collect()
    }

    fn shape(&self) -> WindowShape {
        WindowShape {
            height: self.number("height"),
            width: self.number("width"),
            channels: self.number("channels"),
            kernel: [self.number("kernel_height"), self.number("kernel_width")],
            stride: [self.number("stride_down"), self.number("stride_right")],
            padding: ["top", "left", "bottom", "right"].map(|name| self.number(name)),
        }
    }

    fn channels(&self) -> Vec<Channel> {
        let (bias, multiplier) = (self.array("bias"), self.array("multiplier"));
        let channels = bias.into_iter().zip(multiplier);
        channels
            .map(|(bias, multiplier)| Channel { bias, multiplier })
            .collect()
    }

    fn direction(&self, name: &str) -> PackedDirection {
        let hidden = self.number("hidden");
        let array = |part: &str| self.array(&format!("{name}_{part}"));
        let rows = [array("bias"), array("mx"), array("mh")];
        PackedDirection::new(
            hidden,
            self.number("inputs"),
            &self.array(&format!("{name}_wx")),
            &self.array(&format!("{name}_wh")),
            |gate, cell| {
                let [bias, input_multiplier, hidden_multiplier] =
                    [0, 1, 2].map(|i| rows[i][gate * hidden + cell]);
                GateRow {
                    bias,
                    input_multiplier,
                    hidden_multiplier,
                }
            },
        )
    }

    fn run(&self) -> Vec<i64> {
        let input = || self.array("input");
        let output: Vec<i8> = match self.operator.as_str() {
            "convolution" => {
                let window = Window::new(self.shape()).unwrap();
                let rows = self.number("rows");
                let blocks = packed(
                    rows,
                    window.len(),
                    &by_column(&self.shape(), &self.array("weights")),
                );
                let channels = even(self.channels());
                let (zero_in, zero_out) = (self.number("zero_in"), self.number("zero_out"));
                let layer =
                    Convolution::new(window, rows, zero_in, &blocks, &channels, zero_out).unwrap();
                computed(
                    layer.output_len(),
                    layer.scratch_len(),
                    |scratch, output| layer.run(&input(), scratch, output),
                )
            }
            "dense" => {
                let (rows, columns) = (self.number("rows"), self.number("columns"));
                let blocks = packed(rows, columns, &self.array("weights"));
                let channels = even(self.channels());
                let layer =
                    Dense::new(rows, columns, &blocks, &channels, self.number("zero_out")).unwrap();
                computed(
                    layer.output_len(),
                    layer.scratch_len(),
                    |scratch, output| layer.run(&input(), scratch, output),
                )
            }
            "depthwise" => {
                let window = Window::new(self.shape()).unwrap();
                let (weights, channels) = (self.array("weights"), self.channels());
                let (zero_in, zero_out) = (self.number("zero_in"), self.number("zero_out"));
                let layer = Depthwise::new(window, zero_in, &weights, &channels, zero_out).unwrap();
                computed(
                    layer.output_len(),
                    layer.scratch_len(),
                    |scratch, output| layer.run(&input(), scratch, output),
                )
            }
            "max_pool" => {
                let layer = MaxPool::new(self.shape()).unwrap();
                computed(layer.output_len(), 0, |_, output| {
                    layer.run(&input(), output)
                })
            }
            "average_pool" => {
                let layer = AveragePool::new(self.shape()).unwrap();
                computed(
                    layer.output_len(),
                    layer.scratch_len(),
                    |scratch, output| layer.run(&input(), scratch, output),
                )
            }
            "lstm" => {
                let forward = self.direction("forward");
                let backward = (self.numbers["both"] == 1).then(|| self.direction("backward"));
                let shape = LstmShape {
                    steps: self.number("steps"),
                    inputs: self.number("inputs"),
                    hidden: self.number("hidden"),
                    output: match self.numbers["last"] {
                        0 => LstmOutput::Sequence,
                        _ => LstmOutput::Last,
                    },
                };
                let backward = backward.as_ref().map(PackedDirection::borrowed);
                let layer =
                    Lstm::new(shape, forward.borrowed(), backward, self.number("mo")).unwrap();
                computed(
                    layer.output_len(),
                    layer.scratch_len(),
                    |scratch, output| layer.run(&input(), scratch, output),
                )
            }
            "add" => {
                let (a, b) = (self.array("a"), self.array("b"));
                let operands = [("za", "ma"), ("zb", "mb")].map(|(zero, multiplier)| Operand {
                    zero_point: self.number(zero),
                    multiplier: self.number(multiplier),
                });
                let layer = Add::new(a.len(), operands, self.number("zero_out")).unwrap();
                computed(a.len(), 0, |_, output| layer.run(&a, &b, output))
            }
            "concat" => {
                let parts = 0..self.number::<usize>("parts");
                let widths: Vec<usize> = parts
                    .map(|i| self.number(&format!("channels{i}")))
                    .collect();
                let total = widths.iter().sum();
                let positions = self.number("positions");
                computed(positions * total, 0, |_, output| {
                    let mut offset = 0;
                    for (i, width) in widths.iter().enumerate() {
                        let operand = Operand {
                            zero_point: self.number(&format!("zero{i}")),
                            multiplier: self.number(&format!("m{i}")),
                        };
                        let zero_out = self.number("zero_out");
                        ConcatPart::new(positions, *width, offset, total, operand, zero_out)
                            .unwrap()
                            .run(&self.array(&format!("part{i}")), output);
                        offset += width;
                    }
                })
            }
            "relu" => {
                let mut values = input();
                let zero_point = self.number("zero");
                Relu { zero_point }.run(&mut values);
                values
            }
            "logits" => {
                let (rows, columns) = (self.number("rows"), self.number("columns"));
                let blocks = packed(rows, columns, &self.array("weights"));
                let channels = even(self.channels());
                let layer = Logits::new(rows, columns, &blocks, &channels).unwrap();
                let mut scratch = vec![0x5a5a_5a5a; layer.scratch_len()];
                let mut wide = vec![0x5a5a_5a5a; layer.output_len()];
                layer.run(&input(), &mut scratch, &mut wide);
                return wide.into_iter().map(i64::from).collect();
            }
            "quantise" => {
                let real = |bits: i32| f32::from_bits(bits.cast_unsigned());
                let (inverse, zero) = (1.0 / real(self.number("scale")), self.number("zero"));
                let values = self.array("input").into_iter();
                values
                    .map(|bits| quantise(real(bits), inverse, zero))
                    .collect()
            }
            "sigmoid" | "tanh" => {
                let function = match self.operator.as_str() {
                    "sigmoid" => sigmoid,
                    _ => tanh,
                };
                let arguments: Vec<i16> = self.array("input");
                return arguments.iter().map(|x| i64::from(function(*x))).collect();
            }
            other => panic!("no operator {other}"),
        };
        output.into_iter().map(i64::from).collect()
    }
}

/// The weights of one direction of an LSTM, packed.
struct PackedDirection {
    input: Vec<WeightBlock>,
    hidden: Vec<WeightBlock>,
    rows: Vec<GateRow>,
}

impl PackedDirection {
    fn new(
        hidden: usize,
        inputs: usize,
        wx: &[i8],
        wh: &[i8],
        row: impl Fn(usize, usize) -> GateRow,
    ) -> Self {
        let gates = |columns: usize, weights: &[i8]| {
            let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
            pack_gates(hidden, columns, weights, &mut blocks).unwrap();
            blocks
        };
        Self {
            input: gates(inputs, wx),
            hidden: gates(hidden, wh),
            rows: (0..4 * hidden).map(|i| row(i % 4, i / 4)).collect(),
        }
    }

    fn borrowed(&self) -> Direction<'_> {
        Direction {
            input: &self.input,
            hidden: &self.hidden,
            rows: &self.rows,
        }
    }
}

fn packed(rows: usize, columns: usize, weights: &[i8]) -> Vec<WeightBlock> {
    let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
    pack(rows, columns, weights, &mut blocks).unwrap();
    blocks
}

/// Weights `[rows, kernel height, kernel width, channels]` as convolutions want them: columns before rows.
fn by_column(shape: &WindowShape, weights: &[i8]) -> Vec<i8> {
    let [height, width] = shape.kernel;
    let mut sorted = Vec::with_capacity(weights.len());
    for row in weights.chunks_exact(height * width * shape.channels) {
        let pixels: Vec<_> = row.chunks_exact(shape.channels).collect();
        for x in 0..width {
            for y in 0..height {
                sorted.extend(pixels[y * width + x]);
            }
        }
    }
    sorted
}

/// Channels as matrices want them: one more after an odd number.
fn even(mut channels: Vec<Channel>) -> Vec<Channel> {
    channels.resize(channels.len().next_multiple_of(2), Channel::default());
    channels
}

/// The output of an operator that starts from garbage in scratch and output.
fn computed(
    output_len: usize,
    scratch_len: usize,
    run: impl FnOnce(&mut [i32], &mut [i8]),
) -> Vec<i8> {
    let mut scratch = vec![0x5a5a_5a5a; scratch_len];
    let mut output = vec![0x5a; output_len];
    run(&mut scratch, &mut output);
    output
}

#[test]
fn every_reference_value_is_met_to_the_bit() {
    let cases = Case::all();
    let mut values = 0;
    let mut operators: HashMap<&str, usize> = HashMap::new();
    for (index, case) in cases.iter().enumerate() {
        let (found, expected) = (case.run(), &case.arrays["output"]);
        assert_eq!(
            &found, expected,
            "case {index}: {} {:?}",
            case.operator, case.numbers
        );
        values += found.len();
        *operators.entry(&case.operator).or_default() += 1;
    }
    assert_eq!((cases.len(), operators.len()), (46, 13), "{operators:?}");
    assert!(values > 5500, "{values}");
}

#[test]
fn the_largest_accumulators_are_exact() {
    let blocks = |weight| vec![WeightBlock([weight; 8]); blocks_len(2, MAX_COLUMNS)];
    for (weight, x, bias) in [
        (-128, -128, MAX_BIAS),
        (-128, 127, -MAX_BIAS),
        (127, 127, MAX_BIAS),
        (127, -128, -MAX_BIAS),
    ] {
        let product = i64::from(weight) * i64::from(x);
        let sum = i64::from(bias) + MAX_COLUMNS as i64 * product;
        let expected = (sum * 200 + (1 << 31)).div_euclid(1 << 32) as i8;
        assert!(expected.unsigned_abs() > 90, "{expected}");
        let channels = [Channel {
            bias,
            multiplier: 200,
        }; 2];
        let blocks = blocks(weight);
        let layer = Dense::new(2, MAX_COLUMNS, &blocks, &channels, 0).unwrap();
        let input = vec![x; MAX_COLUMNS];
        let output = computed(2, layer.scratch_len(), |scratch, output| {
            layer.run(&input, scratch, output)
        });
        assert_eq!(output, [expected; 2], "{weight} {x} {bias}");
    }
    let channels = [Channel::default(); 2];
    let too_many = vec![WeightBlock::default(); blocks_len(2, MAX_COLUMNS + 1)];
    assert!(Dense::new(2, MAX_COLUMNS + 1, &too_many, &channels, 0).is_err());
}

/// Weights and activations of a float layer, and the same as integers.
struct Quantised {
    real: Vec<f64>,
    integers: Vec<i8>,
    scale: f64,
    zero_point: i8,
}

impl Quantised {
    /// By the largest magnitude, around zero. No row counts as smaller than 0.05, so that its bias fits.
    fn symmetric(real: &[f64]) -> Self {
        let largest = real.iter().fold(0.05_f64, |m, x| m.max(x.abs()));
        Self::with(real, largest / 127.0, 0)
    }

    /// From the smallest to the largest value, zero included; 0.5 at least.
    fn ranged(real: &[f64]) -> Self {
        let low = real.iter().fold(0.0_f64, |m, x| m.min(*x));
        let high = real.iter().fold((low + 0.5).max(0.0), |m, x| m.max(*x));
        let scale = (high - low) / 255.0;
        Self::with(real, scale, (-128.0 - low / scale).round() as i8)
    }

    fn with(real: &[f64], scale: f64, zero_point: i8) -> Self {
        let integer = |x: &f64| (x / scale + f64::from(zero_point)).round() as i8;
        Self {
            real: real.to_vec(),
            integers: real.iter().map(integer).collect(),
            scale,
            zero_point,
        }
    }

    fn sum(&self) -> i32 {
        self.integers.iter().map(|w| i32::from(*w)).sum()
    }
}

fn multiplier(ratio: f64) -> i32 {
    (ratio * 2f64.powi(32)).round() as i32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A dense layer of floats and the integer layer made of it differ by what rounding of weights, inputs and outputs
    /// explains; and a ReLU is fused by the zero point.
    #[test]
    fn a_quantised_layer_is_the_float_layer_within_its_steps(
        weights in prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, 19), 5),
        biases in prop::collection::vec(-2.0..2.0_f64, 5),
        input in prop::collection::vec(-1.5..4.0_f64, 19),
        relu: bool,
    ) {
        let input = Quantised::ranged(&input);
        let rows: Vec<_> = weights.iter().map(|row| Quantised::symmetric(row)).collect();
        let exact: Vec<f64> = rows.iter().zip(&biases).map(|(row, bias)| {
            let sum = bias + row.real.iter().zip(&input.real).map(|(w, x)| w * x).sum::<f64>();
            if relu { sum.max(0.0) } else { sum }
        }).collect();
        let output = if relu {
            let largest = exact.iter().fold(0.5_f64, |m, y| m.max(*y));
            Quantised::with(&exact, largest / 255.0, -128)
        } else {
            Quantised::ranged(&exact)
        };
        let all: Vec<i8> = rows.iter().flat_map(|row| row.integers.clone()).collect();
        let channels = even(rows.iter().zip(&biases).map(|(row, bias)| {
            let unit = input.scale * row.scale;
            Channel {
                bias: (bias / unit).round() as i32 - i32::from(input.zero_point) * row.sum(),
                multiplier: multiplier(unit / output.scale),
            }
        }).collect());
        let blocks = packed(5, 19, &all);
        let layer = Dense::new(5, 19, &blocks, &channels, output.zero_point).unwrap();
        let found = computed(5, layer.scratch_len(), |scratch, output| {
            layer.run(&input.integers, scratch, output)
        });
        for ((found, exact), row) in found.iter().zip(&exact).zip(&rows) {
            let real = f64::from(i32::from(*found) - i32::from(output.zero_point)) * output.scale;
            let slack: f64 = row.real.iter().zip(&input.real)
                .map(|(w, x)| w.abs() * input.scale / 2.0 + (x.abs() + input.scale / 2.0) * row.scale / 2.0)
                .sum();
            let slack = slack + input.scale * row.scale + output.scale * 1.01;
            prop_assert!((real - exact).abs() <= slack, "{real} {exact} {slack}");
            // The bound is not slack enough for a layer that computes nothing.
            prop_assert!(!relu || real >= 0.0);
        }
    }

    /// Outputs saturate, whatever weights, biases and multipliers.
    #[test]
    fn any_layer_is_its_definition(
        weights in prop::collection::vec(any::<i8>(), 3 * 11),
        input in prop::collection::vec(any::<i8>(), 11),
        bias in prop::collection::vec(-MAX_BIAS..=MAX_BIAS, 3),
        multiplier in prop::collection::vec(0..=i32::MAX, 3),
        zero_point: i8,
    ) {
        let channels: Vec<_> = bias.iter().zip(&multiplier)
            .map(|(bias, multiplier)| Channel { bias: *bias, multiplier: *multiplier }).collect();
        let blocks = packed(3, 11, &weights);
        let padded = even(channels.clone());
        let layer = Dense::new(3, 11, &blocks, &padded, zero_point).unwrap();
        let found = computed(3, layer.scratch_len(), |scratch, output| {
            layer.run(&input, scratch, output)
        });
        for ((found, row), channel) in found.iter().zip(weights.chunks(11)).zip(&channels) {
            let products = row.iter().zip(&input).map(|(w, x)| i128::from(*w) * i128::from(*x));
            let sum = i128::from(channel.bias) + products.sum::<i128>();
            let scaled = (2 * sum * i128::from(channel.multiplier) + (1 << 32)).div_euclid(1 << 33);
            let expected = (scaled + i128::from(zero_point)).clamp(-128, 127);
            prop_assert_eq!(i128::from(*found), expected);
        }
    }

    /// Padding with the zero point is padding with real zero: a convolution over a tensor that already has a border of
    /// zero points gives the same.
    #[test]
    fn padding_is_real_zero(
        weights in prop::collection::vec(any::<i8>(), 2 * 3 * 2),
        input in prop::collection::vec(any::<i8>(), 9 * 2),
        zero_point: i8,
        stride in 1..3_usize,
    ) {
        let blocks = packed(2, 6, &weights);
        let channels = [Channel { bias: 1000, multiplier: 1 << 25 }; 2];
        let run = |shape, input: &[i8]| {
            let window = Window::new(shape).unwrap();
            let layer = Convolution::new(window, 2, zero_point, &blocks, &channels, -5).unwrap();
            computed(layer.output_len(), layer.scratch_len(), |scratch, output| {
                layer.run(input, scratch, output)
            })
        };
        let bordered = [vec![zero_point; 4], input.clone(), vec![zero_point; 2]].concat();
        prop_assert_eq!(
            run(WindowShape::line(9, 2, 3, stride, [2, 1]), &input),
            run(WindowShape::line(12, 2, 3, stride, [0, 0]), &bordered)
        );
    }

    /// No weights, biases or multipliers bring an LSTM out of its ranges (debug builds would panic), and what it gives
    /// is bounded by the hidden state's scale.
    #[test]
    fn an_lstm_stays_in_range(
        seed: u64,
        extreme: bool,
        multiplier in 0..=512_i32,
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as i32
        };
        let (steps, inputs, hidden) = (20, 5, 3);
        let mut bytes = |len: usize| -> Vec<i8> {
            (0..len).map(|_| {
                let byte = next() as i8;
                if !extreme { byte } else if byte < 0 { -128 } else { 127 }
            }).collect()
        };
        let (wx, wh, input) = (bytes(4 * hidden * inputs), bytes(4 * hidden * hidden), bytes(steps * inputs));
        let direction = PackedDirection::new(hidden, inputs, &wx, &wh, |gate, cell| GateRow {
            bias: if (gate + cell) % 2 == 0 { MAX_GATE_BIAS } else { -MAX_GATE_BIAS } >> if extreme { 0 } else { 10 },
            input_multiplier: i32::MAX >> (3 * gate),
            hidden_multiplier: i32::MAX >> (2 * cell),
        });
        let shape = LstmShape { steps, inputs, hidden, output: LstmOutput::Sequence };
        let layer = Lstm::new(shape, direction.borrowed(), Some(direction.borrowed()), multiplier).unwrap();
        let output = computed(layer.output_len(), layer.scratch_len(), |scratch, output| {
            layer.run(&input, scratch, output)
        });
        let bound = (multiplier + 2) >> 2;
        prop_assert!(output.iter().all(|h| i32::from(*h).abs() <= bound));
    }
}

/// A float LSTM of one cell a row, libtorch's equations, and the integer LSTM made of it: they stay together over many steps.
#[test]
fn a_quantised_lstm_follows_the_float_lstm() {
    let (steps, inputs, hidden) = (64, 6, 5);
    let mut state = 12345_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let mut tensor =
        |len: usize, size: f64| -> Vec<f64> { (0..len).map(|_| size * uniform()).collect() };
    let wx = tensor(4 * hidden * inputs, 1.0);
    let wh = tensor(4 * hidden * hidden, 1.0);
    let bias = tensor(4 * hidden, 0.5);
    let x = Quantised::ranged(&tensor(steps * inputs, 2.0));
    let hidden_scale = 1.0 / 128.0;

    let rows = |weights: &[f64], columns: usize| -> Vec<Quantised> {
        weights.chunks(columns).map(Quantised::symmetric).collect()
    };
    let (qx, qh) = (rows(&wx, inputs), rows(&wh, hidden));
    let integers =
        |rows: &[Quantised]| -> Vec<i8> { rows.iter().flat_map(|r| r.integers.clone()).collect() };
    let packed = PackedDirection::new(
        hidden,
        inputs,
        &integers(&qx),
        &integers(&qh),
        |gate, cell| {
            let row = gate * hidden + cell;
            let unit = x.scale * qx[row].scale;
            let argument = if gate == 2 { 128.0 } else { 64.0 };
            GateRow {
                bias: (bias[row] / unit).round() as i32 - i32::from(x.zero_point) * qx[row].sum(),
                input_multiplier: multiplier(argument * unit),
                hidden_multiplier: multiplier(argument * hidden_scale * qh[row].scale),
            }
        },
    );
    let shape = LstmShape {
        steps,
        inputs,
        hidden,
        output: LstmOutput::Sequence,
    };
    let layer = Lstm::new(shape, packed.borrowed(), None, 512).unwrap();
    let found = computed(
        layer.output_len(),
        layer.scratch_len(),
        |scratch, output| layer.run(&x.integers, scratch, output),
    );

    let logistic = |v: f64| 1.0 / (1.0 + (-v).exp());
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    let (mut worst, mut spread) = (0.0_f64, 0.0_f64);
    for (step, found) in x.real.chunks(inputs).zip(found.chunks(hidden)) {
        let gate = |gate: usize, cell: usize| {
            let row = gate * hidden + cell;
            let dot = |w: &[f64], v: &[f64]| w.iter().zip(v).map(|(w, v)| w * v).sum::<f64>();
            bias[row]
                + dot(&wx[row * inputs..][..inputs], step)
                + dot(&wh[row * hidden..][..hidden], &h)
        };
        let gates: Vec<[f64; 4]> = (0..hidden)
            .map(|cell| [0, 1, 2, 3].map(|g| gate(g, cell)))
            .collect();
        for (cell, [i, f, g, o]) in gates.into_iter().enumerate() {
            c[cell] = logistic(f) * c[cell] + logistic(i) * g.tanh();
            h[cell] = logistic(o) * c[cell].tanh();
            let error = f64::from(found[cell]) * hidden_scale - h[cell];
            worst = worst.max(error.abs());
            spread = spread.max(h[cell].abs());
        }
    }
    assert!((0.003..0.03).contains(&worst), "{worst}");
    assert!(spread > 0.5, "{spread}");
}
