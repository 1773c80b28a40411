//! Runs the integer kernels: the fast twins against the portable ones on random tensors of many shapes, then what the
//! shapes of interest cost. One line each, for a test to read:
//!
//! ```text
//! loop expected=N counted=N
//! equal operator=NAME cases=N values=N spread=N mismatches=N
//! cost name=NAME macs=N instructions=N portable=N
//! ```
//!
//! `spread` is how many of the 256 values occurred in the outputs. An operator without a fast twin has the same cost
//! twice, and one that multiplies nothing counts its outputs as `macs`.

#![no_std]
#![no_main]

use core::hint::black_box;
use heartlens_core::nn::{
    Add, AveragePool, Channel, ConcatPart, Convolution, Dense, Depthwise, Direction, GateRow,
    LayerError, Lstm, LstmOutput, LstmShape, MaxPool, Operand, WeightBlock, Window, WindowShape,
    blocks_len, pack, pack_gates,
};
use heartlens_firmware::board;
use heartlens_firmware::replay::Meter as _;
use heartlens_firmware::stopwatch::{Stopwatch, known_loop};

/// Turns of the loop of known length by which the instruction counter is checked.
const LOOP_TURNS: u32 = 1_000_000;
/// Random shapes of each operator.
const CASES: u32 = 300;

/// Xorshift (Marsaglia 2003), 32 bits.
struct Random(u32);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// From `low` to `high`, both included.
    fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.word() >> 8) as usize % (high - low + 1)
    }

    fn byte(&mut self) -> i8 {
        (self.word() >> 24) as i8
    }

    /// Any int8; one tensor in eight has extremes alone.
    fn fill(&mut self, values: &mut [i8]) {
        let extreme = self.within(0, 7) == 0;
        for value in values {
            let byte = self.byte();
            *value = match (extreme, byte < 0) {
                (false, _) => byte,
                (true, false) => i8::MAX,
                (true, true) => i8::MIN,
            };
        }
    }

    /// Bias and multiplier for sums of that many products, so that outputs use their range and a few saturate.
    fn channel(&mut self, columns: usize) -> Channel {
        let spread = 5_500.0 * square_root(columns as f32);
        Channel {
            bias: (f32::from(self.byte()) / 256.0 * spread) as i32,
            multiplier: (f32::from(self.byte()).abs().max(20.0) / spread * 4_294_967_296.0) as i32,
        }
    }
}

/// By Newton's iteration, close enough for a spread.
fn square_root(x: f32) -> f32 {
    let mut root = x.max(1.0);
    for _ in 0..12 {
        root = (root + x / root) / 2.0;
    }
    root
}

/// Room for the largest layer.
struct Buffers {
    input: [i8; 4096],
    plain: [i8; 3072],
    blocks: [WeightBlock; 640],
    channels: [Channel; 32],
    rows: [GateRow; 96],
    scratch: [i32; 512],
    fast: [i8; 3072],
    portable: [i8; 3072],
}

/// What the comparisons of one operator found.
#[derive(Default)]
struct Equality {
    cases: u32,
    values: usize,
    mismatches: usize,
    seen: [u32; 8],
}

impl Equality {
    fn take(&mut self, fast: &[i8], portable: &[i8]) {
        self.cases += 1;
        self.values += fast.len();
        self.mismatches += fast.iter().zip(portable).filter(|(f, p)| f != p).count();
        for value in fast {
            let value = value.cast_unsigned();
            self.seen[usize::from(value / 32)] |= 1 << (value % 32);
        }
    }

    fn log(&self, operator: &str) {
        let spread: u32 = self.seen.iter().map(|bits| bits.count_ones()).sum();
        defmt::info!(
            "equal operator={=str} cases={=u32} values={=usize} spread={=u32} mismatches={=usize}",
            operator,
            self.cases,
            self.values,
            spread,
            self.mismatches
        );
    }
}

/// Instructions of a fast and a portable run.
struct Costs {
    macs: usize,
    fast: u32,
    portable: u32,
}

impl Costs {
    fn log(&self, name: &str) {
        defmt::info!(
            "cost name={=str} macs={=usize} instructions={=u32} portable={=u32}",
            name,
            self.macs,
            self.fast,
            self.portable
        );
    }
}

struct Bench {
    random: Random,
    stopwatch: Stopwatch,
    buffers: Buffers,
}

impl Bench {
    /// Runs both twins from garbage and gives their outputs' length and costs.
    fn both(
        stopwatch: &mut Stopwatch,
        (scratch, scratch_len): (&mut [i32], usize),
        (fast, portable, len): (&mut [i8], &mut [i8], usize),
        macs: usize,
        run: impl Fn(&mut [i32], &mut [i8]),
        run_portable: impl Fn(&mut [i32], &mut [i8]),
    ) -> Costs {
        let scratch = &mut scratch[..scratch_len];
        let (fast, portable) = (&mut fast[..len], &mut portable[..len]);
        scratch.fill(0x5a5a_5a5a);
        fast.fill(0x5a);
        stopwatch.start();
        run(black_box(scratch), black_box(fast));
        let fast = stopwatch.elapsed();
        scratch.fill(0x3c3c_3c3c);
        portable.fill(0x3c);
        stopwatch.start();
        run_portable(black_box(scratch), black_box(portable));
        Costs {
            macs,
            fast,
            portable: stopwatch.elapsed(),
        }
    }

    fn outputs(&self, len: usize) -> (&[i8], &[i8]) {
        (&self.buffers.fast[..len], &self.buffers.portable[..len])
    }

    /// A random convolution; its costs, and the length of its output.
    fn convolution(
        &mut self,
        shape: WindowShape,
        rows: usize,
    ) -> Result<(Costs, usize), LayerError> {
        let Buffers {
            input,
            plain,
            blocks,
            channels,
            scratch,
            fast,
            portable,
            ..
        } = &mut self.buffers;
        let window = Window::new(shape)?;
        let columns = window.len();
        let input = &mut input[..window.input_len()];
        let plain = &mut plain[..rows * columns];
        self.random.fill(input);
        self.random.fill(plain);
        let blocks = &mut blocks[..blocks_len(rows, columns)];
        pack(rows, columns, plain, blocks)?;
        let channels = &mut channels[..rows.next_multiple_of(2)];
        channels.fill_with(|| self.random.channel(columns));
        let (zero_in, zero_out) = (self.random.byte(), self.random.byte() / 4);
        let layer = Convolution::new(window, rows, zero_in, blocks, channels, zero_out)?;
        let costs = Self::both(
            &mut self.stopwatch,
            (scratch, layer.scratch_len()),
            (fast, portable, layer.output_len()),
            layer.macs(),
            |scratch, output| layer.run(input, scratch, output),
            |scratch, output| layer.run_portable(input, scratch, output),
        );
        Ok((costs, layer.output_len()))
    }

    /// A random dense layer; its costs.
    fn dense(&mut self, rows: usize, columns: usize) -> Result<Costs, LayerError> {
        let Buffers {
            input,
            plain,
            blocks,
            channels,
            scratch,
            fast,
            portable,
            ..
        } = &mut self.buffers;
        let input = &mut input[..columns];
        let plain = &mut plain[..rows * columns];
        self.random.fill(input);
        self.random.fill(plain);
        let blocks = &mut blocks[..blocks_len(rows, columns)];
        pack(rows, columns, plain, blocks)?;
        let channels = &mut channels[..rows.next_multiple_of(2)];
        channels.fill_with(|| self.random.channel(columns));
        let layer = Dense::new(rows, columns, blocks, channels, self.random.byte() / 4)?;
        Ok(Self::both(
            &mut self.stopwatch,
            (scratch, layer.scratch_len()),
            (fast, portable, layer.output_len()),
            layer.macs(),
            |scratch, output| layer.run(input, scratch, output),
            |scratch, output| layer.run_portable(input, scratch, output),
        ))
    }

    /// A random LSTM, both directions with the same weights; its costs, and the length of its output.
    fn lstm(&mut self, shape: LstmShape, both: bool) -> Result<(Costs, usize), LayerError> {
        let Buffers {
            input,
            plain,
            blocks,
            rows,
            scratch,
            fast,
            portable,
            ..
        } = &mut self.buffers;
        let LstmShape {
            steps,
            inputs,
            hidden,
            ..
        } = shape;
        let input = &mut input[..steps * inputs];
        self.random.fill(input);
        let (from_input, from_hidden) = blocks.split_at_mut(blocks_len(4 * hidden, inputs));
        let from_hidden = &mut from_hidden[..blocks_len(4 * hidden, hidden)];
        for (columns, blocks) in [(inputs, &mut *from_input), (hidden, &mut *from_hidden)] {
            let plain = &mut plain[..4 * hidden * columns];
            self.random.fill(plain);
            pack_gates(hidden, columns, plain, blocks)?;
        }
        let rows = &mut rows[..4 * hidden];
        rows.fill_with(|| GateRow {
            bias: self.random.word().cast_signed() >> 18,
            // Arguments that now and then saturate.
            input_multiplier: self.random.channel(inputs).multiplier / 2,
            hidden_multiplier: self.random.channel(hidden).multiplier,
        });
        let direction = Direction {
            input: from_input,
            hidden: from_hidden,
            rows,
        };
        let layer = Lstm::new(shape, direction, both.then_some(direction), 512)?;
        let costs = Self::both(
            &mut self.stopwatch,
            (scratch, layer.scratch_len()),
            (fast, portable, layer.output_len()),
            layer.macs(),
            |scratch, output| {
                for slice in 0..layer.slices() {
                    layer.run_slice(slice, input, scratch, output);
                }
            },
            |scratch, output| layer.run_portable(input, scratch, output),
        );
        Ok((costs, layer.output_len()))
    }

    /// A random largest-element pool; its costs, and the length of its output.
    fn max_pool(&mut self, shape: WindowShape) -> Result<(Costs, usize), LayerError> {
        let Buffers {
            input,
            scratch,
            fast,
            portable,
            ..
        } = &mut self.buffers;
        let layer = MaxPool::new(shape)?;
        let input = &mut input[..layer.input_len()];
        self.random.fill(input);
        let len = layer.output_len();
        let costs = Self::both(
            &mut self.stopwatch,
            (scratch, 0),
            (fast, portable, len),
            len,
            |_, output| layer.run(input, output),
            |_, output| layer.run_portable(input, output),
        );
        Ok((costs, len))
    }

    fn equality(&mut self) -> Result<(), LayerError> {
        let mut found = Equality::default();
        for _ in 0..CASES {
            let kernel = self.random.within(1, 7);
            let padding = [(); 2].map(|()| self.random.within(0, kernel - 1));
            let length = self.random.within(kernel, 40);
            let channels = self.random.within(1, 19);
            let stride = self.random.within(1, 2);
            let shape = WindowShape::line(length, channels, kernel, stride, padding);
            let rows = self.random.within(1, 9);
            let (_, len) = self.convolution(shape, rows)?;
            let (fast, portable) = self.outputs(len);
            found.take(fast, portable);
        }
        found.log("conv1d");

        let (mut found, mut pools) = (Equality::default(), Equality::default());
        for _ in 0..CASES {
            let kernel = [(); 2].map(|()| self.random.within(1, 4));
            let [down, right] = kernel;
            let shape = WindowShape {
                height: self.random.within(down, 9),
                width: self.random.within(right, 9),
                channels: self.random.within(1, 9),
                kernel,
                stride: [(); 2].map(|()| self.random.within(1, 2)),
                padding: [down, right, down, right].map(|side| self.random.within(0, side - 1)),
            };
            let rows = self.random.within(1, 9);
            let (_, len) = self.convolution(shape, rows)?;
            let (fast, portable) = self.outputs(len);
            found.take(fast, portable);
            let (_, len) = self.max_pool(shape)?;
            let (fast, portable) = self.outputs(len);
            pools.take(fast, portable);
        }
        found.log("conv2d");
        pools.log("max-pool");

        let mut found = Equality::default();
        for _ in 0..CASES {
            let rows = self.random.within(1, 25);
            let columns = self.random.within(1, 90);
            self.dense(rows, columns)?;
            let (fast, portable) = self.outputs(rows);
            found.take(fast, portable);
        }
        found.log("dense");

        let mut found = Equality::default();
        for case in 0..CASES {
            let shape = LstmShape {
                steps: self.random.within(1, 9),
                inputs: self.random.within(1, 18),
                hidden: self.random.within(1, 11),
                output: match case % 3 {
                    0 => LstmOutput::Last,
                    _ => LstmOutput::Sequence,
                },
            };
            let (_, len) = self.lstm(shape, case % 2 == 0)?;
            let (fast, portable) = self.outputs(len);
            found.take(fast, portable);
        }
        found.log("lstm");
        Ok(())
    }

    fn costs(&mut self) -> Result<(), LayerError> {
        let line = WindowShape::line;
        for (name, shape, rows) in [
            ("conv1d-16-24-k5-s2-t128", line(128, 16, 5, 2, [2, 2]), 24),
            ("conv1d-16-16-k3-t128", line(128, 16, 3, 1, [1, 1]), 16),
            ("conv1d-2-16-k7-s2-t256", line(256, 2, 7, 2, [3, 3]), 16),
            ("conv2d-8-16-3x3-s2-29x17", plane(29, 17, 8, 2), 16),
            ("conv1d-32-32-k1-t64", line(64, 32, 1, 1, [0, 0]), 32),
            ("beat-conv1d-2-8-k7-s2-t96", line(96, 2, 7, 2, [3, 3]), 8),
            ("beat-conv1d-8-12-k5-s2-t48", line(48, 8, 5, 2, [2, 2]), 12),
            (
                "beat-conv1d-12-16-k5-s2-t24",
                line(24, 12, 5, 2, [2, 2]),
                16,
            ),
            ("beat-conv1d-2-6-k5-s2-t64", line(64, 2, 5, 2, [2, 2]), 6),
            ("beat-conv1d-6-8-k5-s2-t32", line(32, 6, 5, 2, [2, 2]), 8),
            ("beat-conv2d-2-6-3x3-16x11", plane(16, 11, 2, 1), 6),
            ("beat-conv2d-6-8-3x3-8x5", plane(8, 5, 6, 1), 8),
        ] {
            self.convolution(shape, rows)?.0.log(name);
        }
        for (name, columns, rows) in [
            ("dense-88-32", 88, 32),
            ("beat-dense-128-8", 128, 8),
            ("beat-dense-64-8", 64, 8),
            ("beat-dense-46-24", 46, 24),
            ("beat-dense-24-12", 24, 12),
            ("beat-dense-48-24", 48, 24),
            ("beat-dense-24-4", 24, 4),
        ] {
            self.dense(rows, columns)?.log(name);
        }
        for (name, steps, inputs, hidden, both, output) in [
            ("lstm-24-24-t64", 64, 24, 24, false, LstmOutput::Sequence),
            ("beat-bilstm-16-10-t12", 12, 16, 10, true, LstmOutput::Last),
        ] {
            let shape = LstmShape {
                steps,
                inputs,
                hidden,
                output,
            };
            self.lstm(shape, both)?.0.log(name);
        }
        for (name, height, width, channels) in [
            ("beat-max-pool-6-2x2-16x11", 16, 11, 6),
            ("beat-max-pool-8-2x2-8x5", 8, 5, 8),
        ] {
            let shape = WindowShape {
                kernel: [2, 2],
                padding: [0; 4],
                ..plane(height, width, channels, 2)
            };
            self.max_pool(shape)?.0.log(name);
        }
        self.others()
    }

    /// Operators that have no twin.
    fn others(&mut self) -> Result<(), LayerError> {
        let Buffers {
            input,
            plain,
            channels,
            scratch,
            fast,
            ..
        } = &mut self.buffers;
        self.random.fill(input);
        self.random.fill(plain);
        channels.fill_with(|| self.random.channel(9));
        let mut measure = |name: &str, macs: usize, run: &mut dyn FnMut(&mut [i32], &mut [i8])| {
            self.stopwatch.start();
            run(black_box(scratch), black_box(fast));
            let instructions = self.stopwatch.elapsed();
            let costs = Costs {
                macs,
                fast: instructions,
                portable: instructions,
            };
            costs.log(name);
        };
        let window = Window::new(plane(8, 5, 16, 1))?;
        let depthwise = Depthwise::new(window, 3, &plain[..9 * 16], &channels[..16], -128)?;
        measure(
            "depthwise-16-3x3-8x5",
            depthwise.macs(),
            &mut |scratch, output| {
                depthwise.run(input, scratch, output);
            },
        );
        let layer = AveragePool::new(WindowShape::global(1, 12, 20))?;
        measure(
            "global-average-pool-20-t12",
            layer.output_len(),
            &mut |scratch, output| {
                layer.run(input, scratch, output);
            },
        );
        let operand = Operand {
            zero_point: -3,
            multiplier: 900_000,
        };
        let layer = Add::new(256, [operand; 2], 5)?;
        measure("add-256", layer.output_len(), &mut |_, output| {
            layer.run(input, plain, output);
        });
        let layer = ConcatPart::new(1, 20, 0, 48, operand, 5)?;
        measure(
            "beat-concat-20-of-48",
            layer.input_len(),
            &mut |_, output| {
                layer.run(input, output);
            },
        );
        Ok(())
    }
}

/// A 3x3 kernel, padded by one on each side.
fn plane(height: usize, width: usize, channels: usize, stride: usize) -> WindowShape {
    WindowShape {
        height,
        width,
        channels,
        kernel: [3, 3],
        stride: [stride; 2],
        padding: [1; 4],
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut bench = Bench {
        random: Random(20_240_305),
        stopwatch: Stopwatch::new(),
        buffers: Buffers {
            input: [0; 4096],
            plain: [0; 3072],
            blocks: [WeightBlock([0; 8]); 640],
            channels: [Channel::default(); 32],
            rows: [GateRow::default(); 96],
            scratch: [0; 512],
            fast: [0; 3072],
            portable: [0; 3072],
        },
    };
    bench.stopwatch.start();
    known_loop(LOOP_TURNS);
    let counted = bench.stopwatch.elapsed();
    defmt::info!(
        "loop expected={=u32} counted={=u32}",
        2 * LOOP_TURNS,
        counted
    );
    match bench.equality().and_then(|()| bench.costs()) {
        Ok(()) => board::finish(true),
        Err(error) => defmt::panic!("{}", error),
    }
}
