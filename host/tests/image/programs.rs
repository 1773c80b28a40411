//! Programs to write: random ones of all operators, and small ones.

use heartlens::compile::program::{Input, LstmWeights, Operator, Program, Step, Tensor, TensorId};
use heartlens_core::model::AnyView;
use heartlens_core::nn::{Channel, GateRow, LstmOutput, LstmShape, Operand, WindowShape};
use heartlens_core::spec::LABELS;
use heartlens_core::views::{View, Views};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A dense layer of the metadata alone: the example of `docs/model-image.md`.
pub(crate) fn smallest() -> Program {
    let inputs = AnyView::Beat(View::Metadata).tensor_shape()[2];
    let weights = (0..LABELS.len() * inputs).map(|i| (i % 7) as i8 - 3);
    Program {
        name: "smallest".to_owned(),
        labels: LABELS.map(str::to_owned).to_vec(),
        priors: vec![0.5, 0.25, 0.125, 0.125],
        reads_patient: true,
        tensors: vec![Tensor {
            name: "metadata".to_owned(),
            shape: AnyView::Beat(View::Metadata).tensor_shape(),
            scale: 0.0625,
            zero_point: -3,
        }],
        inputs: vec![Input {
            name: "metadata".to_owned(),
            tensor: TensorId(0),
            channel_scales: Vec::new(),
        }],
        steps: vec![Step {
            name: "decide".to_owned(),
            inputs: vec![TensorId(0)],
            output: None,
            operator: Operator::Logits {
                weights: weights.collect(),
                channels: (1..5)
                    .map(|i| Channel {
                        bias: 100 * i,
                        multiplier: 0x0100_0000 * i,
                    })
                    .collect(),
                fraction_bits: 12,
            },
        }],
    }
}

/// A random program that reads some views and uses some operators.
pub(crate) fn random(seed: u64) -> Program {
    let mut maker = Maker::new(seed);
    maker.make();
    maker.program
}

/// Views of a random beat, some values far outside of what a tensor can say.
pub(crate) fn views(seed: u64) -> Views {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut views = Views::ZERO;
    for view in View::ALL {
        for value in views.get_mut(view) {
            *value = match rng.random_range(0..200) {
                0 => f32::NAN,
                1 => 1e20,
                2 => -1e20,
                _ => rng.random_range(-6.0..6.0),
            };
        }
    }
    views
}

/// Makes programs of random weights, step by step.
pub(crate) struct Maker {
    rng: ChaCha8Rng,
    pub(crate) program: Program,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            program: Program {
                name: format!("random {seed}"),
                steps: Vec::new(),
                tensors: Vec::new(),
                inputs: Vec::new(),
                ..smallest()
            },
        }
    }

    fn make(&mut self) {
        for view in View::ALL {
            if self.program.inputs.is_empty() || self.rng.random_bool(0.6) {
                self.input(view);
            }
        }
        for _ in 0..self.rng.random_range(0..12) {
            let from = TensorId(self.rng.random_range(0..self.program.tensors.len()));
            self.any_operator(from);
        }
        self.decide();
    }

    pub(crate) fn input(&mut self, view: View) -> TensorId {
        let shape = AnyView::Beat(view).tensor_shape();
        let tensor = self.tensor(shape);
        let own = self.rng.random_bool(0.5);
        let channels = if own { shape[2] } else { 0 };
        let channel_scales = (0..channels).map(|_| self.rng.random_range(0.02..0.06));
        let channel_scales = channel_scales.collect();
        self.program.inputs.push(Input {
            name: view.name().to_owned(),
            tensor,
            channel_scales,
        });
        tensor
    }

    fn any_operator(&mut self, from: TensorId) {
        let shape = self.program.tensors[from.0].shape;
        match self.rng.random_range(0..9) {
            0 | 1 => self.convolution(from),
            2 => self.depthwise(from),
            3 => {
                let rows = self.rng.random_range(1..9);
                self.connect(from, rows);
            }
            4 => self.pool(from),
            5 => {
                let alike: Vec<usize> = (0..self.program.tensors.len())
                    .filter(|other| self.program.tensors[*other].shape == shape)
                    .collect();
                let other = TensorId(alike[self.rng.random_range(0..alike.len())]);
                self.add(from, other);
            }
            6 => {
                let plane: Vec<TensorId> = (0..self.program.tensors.len())
                    .filter(|other| self.program.tensors[*other].shape[..2] == shape[..2])
                    .map(TensorId)
                    .take(3)
                    .collect();
                self.concatenation(&plane, [shape[0], shape[1]]);
            }
            7 => {
                let output = self.alike(from, shape);
                self.step(vec![from], Some(output), Operator::Relu);
            }
            _ => self.lstm(from),
        }
    }

    /// Whatever nobody has read yet goes through a dense layer into one vector, and that into the logits.
    fn decide(&mut self) {
        let read = |tensor: &usize| {
            let steps = self.program.steps.iter();
            steps.flat_map(|step| &step.inputs).any(|t| t.0 == *tensor)
        };
        let unread: Vec<usize> = (0..self.program.tensors.len())
            .filter(|t| !read(t))
            .collect();
        let mut parts = Vec::new();
        for tensor in unread {
            let rows = self.rng.random_range(1..7);
            let output = self.tensor([1, 1, rows]);
            self.dense(TensorId(tensor), output);
            parts.push(output);
        }
        let whole = self.concatenation(&parts, [1, 1]);
        self.logits(whole);
    }

    pub(crate) fn logits(&mut self, from: TensorId) {
        let columns = self.len(from);
        let operator = Operator::Logits {
            weights: self.weights(LABELS.len() * columns),
            channels: self.channels(LABELS.len(), columns, 1000.0),
            fraction_bits: 12,
        };
        self.step(vec![from], None, operator);
    }

    fn convolution(&mut self, from: TensorId) {
        let (window, plane) = self.window(from);
        let rows = self.rng.random_range(1..8);
        self.convolve(from, window, rows, plane);
    }

    pub(crate) fn convolve(
        &mut self,
        from: TensorId,
        window: WindowShape,
        rows: usize,
        [height, width]: [usize; 2],
    ) -> TensorId {
        let output = self.tensor([height, width, rows]);
        let columns = window.kernel[0] * window.kernel[1] * window.channels;
        let operator = Operator::Convolution {
            window,
            weights: self.weights(rows * columns),
            channels: self.channels(rows, columns, 60.0),
        };
        self.step(vec![from], Some(output), operator);
        output
    }

    fn depthwise(&mut self, from: TensorId) {
        let (window, [height, width]) = self.window(from);
        let output = self.tensor([height, width, window.channels]);
        let taps = window.kernel[0] * window.kernel[1];
        let operator = Operator::Depthwise {
            window,
            weights: self.weights(taps * window.channels),
            channels: self.channels(window.channels, taps, 60.0),
        };
        self.step(vec![from], Some(output), operator);
    }

    fn dense(&mut self, from: TensorId, output: TensorId) {
        let (rows, columns) = (self.len(output), self.len(from));
        let operator = Operator::Dense {
            weights: self.weights(rows * columns),
            channels: self.channels(rows, columns, 60.0),
        };
        self.step(vec![from], Some(output), operator);
    }

    pub(crate) fn connect(&mut self, from: TensorId, rows: usize) -> TensorId {
        let output = self.tensor([1, 1, rows]);
        self.dense(from, output);
        output
    }

    fn pool(&mut self, from: TensorId) {
        let (mut window, mut plane) = self.window(from);
        if self.rng.random_bool(0.3) {
            window = WindowShape::global(window.height, window.width, window.channels);
            plane = [1, 1];
        }
        if self.rng.random_bool(0.5) {
            self.largest(from, window, plane);
        } else {
            let output = self.alike(from, [plane[0], plane[1], window.channels]);
            self.step(vec![from], Some(output), Operator::AveragePool { window });
        }
    }

    pub(crate) fn largest(
        &mut self,
        from: TensorId,
        window: WindowShape,
        [height, width]: [usize; 2],
    ) -> TensorId {
        let output = self.alike(from, [height, width, window.channels]);
        self.step(vec![from], Some(output), Operator::MaxPool { window });
        output
    }

    /// A tensor of another's scale and zero point.
    fn alike(&mut self, other: TensorId, shape: [usize; 3]) -> TensorId {
        let output = self.tensor(shape);
        let (scale, zero_point) = {
            let other = &self.program.tensors[other.0];
            (other.scale, other.zero_point)
        };
        self.program.tensors[output.0].scale = scale;
        self.program.tensors[output.0].zero_point = zero_point;
        output
    }

    fn add(&mut self, a: TensorId, b: TensorId) {
        let output = self.tensor(self.program.tensors[a.0].shape);
        let operands = [a, b].map(|tensor| self.operand(tensor));
        self.step(vec![a, b], Some(output), Operator::Add { operands });
    }

    /// Parts of different kinds: in place where the plan can, copied, and brought to another scale.
    pub(crate) fn concatenation(
        &mut self,
        parts: &[TensorId],
        [height, width]: [usize; 2],
    ) -> TensorId {
        let positions = height * width;
        let channels = parts.iter().map(|part| self.len(*part) / positions).sum();
        let output = self.tensor([height, width, channels]);
        let mut offset = 0;
        for part in parts {
            let copied = self.rng.random_bool(0.6) && self.step_writes(*part);
            let operand = (!copied).then(|| self.operand(*part));
            let operator = Operator::ConcatPart { offset, operand };
            self.step(vec![*part], Some(output), operator);
            offset += self.len(*part) / positions;
        }
        output
    }

    /// Whether the tensor's scale may still be chosen: a dense layer alone has written it, and nobody has read it.
    fn step_writes(&self, tensor: TensorId) -> bool {
        let steps = &self.program.steps;
        let unread = !steps.iter().any(|step| step.inputs.contains(&tensor));
        let writer = steps.iter().find(|step| step.output == Some(tensor));
        unread && writer.is_some_and(|step| matches!(step.operator, Operator::Dense { .. }))
    }

    fn lstm(&mut self, from: TensorId) {
        let hidden = self.rng.random_range(1..6);
        let kept = match self.rng.random_bool(0.5) {
            true => LstmOutput::Last,
            false => LstmOutput::Sequence,
        };
        let both = self.rng.random_bool(0.5);
        self.recur(from, hidden, both, kept);
    }

    pub(crate) fn recur(
        &mut self,
        from: TensorId,
        hidden: usize,
        both: bool,
        output: LstmOutput,
    ) -> TensorId {
        let [height, width, inputs] = self.program.tensors[from.0].shape;
        let steps = height * width;
        let channels = hidden * (1 + usize::from(both));
        let tensor = self.tensor(match output {
            LstmOutput::Last => [1, 1, channels],
            LstmOutput::Sequence => [1, steps, channels],
        });
        self.program.tensors[tensor.0].zero_point = 0;
        let forward = self.direction(inputs, hidden);
        let operator = Operator::Lstm {
            shape: LstmShape {
                steps,
                inputs,
                hidden,
                output,
            },
            forward,
            backward: both.then(|| self.direction(inputs, hidden)),
            hidden_multiplier: 512,
        };
        self.step(vec![from], Some(tensor), operator);
        tensor
    }

    fn direction(&mut self, inputs: usize, hidden: usize) -> LstmWeights {
        let rows = (0..4 * hidden).map(|_| GateRow {
            bias: self.rng.random_range(-3000..3000),
            input_multiplier: (2e11 / (5400.0 * (inputs as f64).sqrt())) as i32,
            hidden_multiplier: (2e11 / (3000.0 * (hidden as f64).sqrt())) as i32,
        });
        let rows = rows.collect();
        LstmWeights {
            input: self.weights(4 * hidden * inputs),
            hidden: self.weights(4 * hidden * hidden),
            rows,
        }
    }

    /// A window that fits the tensor, and the height and width of what it makes.
    fn window(&mut self, from: TensorId) -> (WindowShape, [usize; 2]) {
        let [height, width, channels] = self.program.tensors[from.0].shape;
        let mut side = |size: usize| {
            let kernel = self.rng.random_range(1..=size.min(5));
            let stride = self.rng.random_range(1..4);
            let [before, after] = [(); 2].map(|()| self.rng.random_range(0..kernel));
            let output = (size + before + after - kernel) / stride + 1;
            (kernel, stride, before, after, output)
        };
        let (down, right) = (side(height), side(width));
        let window = WindowShape {
            height,
            width,
            channels,
            kernel: [down.0, right.0],
            stride: [down.1, right.1],
            padding: [down.2, right.2, down.3, right.3],
        };
        (window, [down.4, right.4])
    }

    fn operand(&mut self, tensor: TensorId) -> Operand {
        Operand {
            zero_point: self.program.tensors[tensor.0].zero_point,
            multiplier: self.rng.random_range(1 << 18..1 << 21),
        }
    }

    fn weights(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.rng.random()).collect()
    }

    /// Biases and multipliers with which sums of that many products spread over about `size` units of the output.
    fn channels(&mut self, rows: usize, columns: usize, size: f64) -> Vec<Channel> {
        let spread = 5400.0 * (columns as f64).sqrt();
        let channel = |_| Channel {
            bias: (self.rng.random_range(-1.0..1.0) * spread) as i32,
            multiplier: (2_f64.powi(32) * size / spread) as i32,
        };
        (0..rows).map(channel).collect()
    }

    fn tensor(&mut self, shape: [usize; 3]) -> TensorId {
        let number = self.program.tensors.len();
        self.program.tensors.push(Tensor {
            name: format!("tensor {number}"),
            shape,
            scale: self.rng.random_range(0.02..0.06),
            zero_point: self.rng.random(),
        });
        TensorId(number)
    }

    fn step(&mut self, inputs: Vec<TensorId>, output: Option<TensorId>, operator: Operator) {
        let number = self.program.steps.len();
        self.program.steps.push(Step {
            name: format!("step {number}"),
            inputs,
            output,
            operator,
        });
    }

    fn len(&self, tensor: TensorId) -> usize {
        self.program.tensors[tensor.0].shape.iter().product()
    }
}
