//! The integer kernels on this processor, fast twins beside portable ones: `cargo bench -p heartlens-core --bench kernels`.
//!
//! First the shapes that other libraries are compared on, then the shipped model's layers. Each counts by its fastest
//! round, on one thread.

use heartlens_core::nn::{
    Channel, Convolution, Dense, Direction, GateRow, LayerError, Lstm, LstmOutput, LstmShape,
    MaxPool, WeightBlock, Window, WindowShape, blocks_len, pack, pack_gates,
};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 300;

/// What a kernel works on: made once, and big enough for all.
struct Bench {
    input: Vec<i8>,
    weights: Vec<i8>,
    scratch: Vec<i32>,
    output: Vec<i8>,
    /// Of the layers measured so far: portable and fast, in ns.
    total_ns: [f64; 2],
}

fn main() -> Result<(), LayerError> {
    // Any numbers will do: no kernel's time depends on them.
    let numbers = |len: usize| (0..len).map(|i| (i * 97 % 251) as i8).collect::<Vec<_>>();
    let mut bench = Bench {
        input: numbers(1 << 13),
        weights: numbers(1 << 13),
        scratch: vec![0; 1 << 12],
        output: vec![0; 1 << 13],
        total_ns: [0.0; 2],
    };
    let line = WindowShape::line;
    println!(
        "{:<30}{:>8}{:>14}{:>10}{:>8}{:>10}",
        "", "MAC", "portable ns", "fast ns", "ratio", "MAC/ns"
    );
    bench.convolution("conv1d 16->24 k5 s2 T128", line(128, 16, 5, 2, [2, 2]), 24)?;
    bench.convolution("conv1d 16->16 k3 T128", line(128, 16, 3, 1, [1, 1]), 16)?;
    bench.convolution("conv1d 2->16 k7 s2 T256", line(256, 2, 7, 2, [3, 3]), 16)?;
    bench.convolution("conv2d 8->16 3x3 s2 29x17", plane(29, 17, 8, 2), 16)?;
    bench.convolution("conv1d 32->32 k1 T64", line(64, 32, 1, 1, [0, 0]), 32)?;
    bench.dense("dense 88->32", 88, 32)?;
    bench.lstm("LSTM 24->24 T64", [64, 24, 24], LstmOutput::Sequence, false)?;

    println!("\nthe shipped model's layers");
    bench.total_ns = [0.0; 2];
    for (name, shape, rows) in [
        ("waveform.conv0", line(96, 2, 7, 2, [3, 3]), 8),
        ("waveform.conv1", line(48, 8, 5, 2, [2, 2]), 12),
        ("waveform.conv2", line(24, 12, 5, 2, [2, 2]), 16),
        ("spectrum.conv0", line(64, 2, 5, 2, [2, 2]), 6),
        ("spectrum.conv1", line(32, 6, 5, 2, [2, 2]), 8),
        ("spectrogram.conv0", plane(16, 11, 2, 1), 6),
        ("spectrogram.conv1", plane(8, 5, 6, 1), 8),
    ] {
        bench.convolution(name, shape, rows)?;
    }
    bench.max_pool("spectrogram.pool0", [16, 11, 6])?;
    bench.max_pool("spectrogram.pool1", [8, 5, 8])?;
    bench.lstm("waveform.bilstm", [12, 16, 10], LstmOutput::Last, true)?;
    for (name, columns, rows) in [
        ("spectrum.dense0", 128, 8),
        ("spectrogram.dense0", 64, 8),
        ("metadata.dense0", 46, 24),
        ("metadata.dense1", 24, 12),
        ("fusion.dense0", 48, 24),
        ("fusion.dense1", 24, 4),
    ] {
        bench.dense(name, columns, rows)?;
    }
    let [portable, fast] = bench.total_ns;
    println!(
        "{:<38}{portable:>14.0}{fast:>10.0}{:>8.1}",
        "all of them",
        portable / fast
    );
    Ok(())
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

/// The fastest of many rounds, in ns.
fn fastest_ns(mut run: impl FnMut()) -> f64 {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        // Long enough for the clock.
        for _ in 0..8 {
            run();
        }
        fastest = fastest.min(start.elapsed().as_nanos() as f64 / 8.0);
    }
    fastest
}

fn channels(rows: usize) -> Vec<Channel> {
    let channel = Channel {
        bias: 3000,
        multiplier: 20_000_000,
    };
    vec![channel; rows.next_multiple_of(2)]
}

impl Bench {
    /// Measures both twins.
    fn both(
        &mut self,
        name: &str,
        macs: usize,
        portable: impl Fn(&[i8], &mut [i32], &mut [i8]),
        fast: impl Fn(&[i8], &mut [i32], &mut [i8]),
    ) {
        let Self {
            input,
            scratch,
            output,
            ..
        } = self;
        let portable = fastest_ns(|| portable(black_box(input), scratch, black_box(output)));
        let fast = fastest_ns(|| fast(black_box(input), scratch, black_box(output)));
        println!(
            "{name:<30}{macs:>8}{portable:>14.0}{fast:>10.0}{:>8.1}{:>10.1}",
            portable / fast,
            macs as f64 / fast
        );
        self.total_ns[0] += portable;
        self.total_ns[1] += fast;
    }

    fn packed(&self, rows: usize, columns: usize) -> Result<Vec<WeightBlock>, LayerError> {
        let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
        pack(rows, columns, &self.weights[..rows * columns], &mut blocks)?;
        Ok(blocks)
    }

    fn convolution(
        &mut self,
        name: &str,
        shape: WindowShape,
        rows: usize,
    ) -> Result<(), LayerError> {
        let window = Window::new(shape)?;
        let blocks = self.packed(rows, window.len())?;
        let channels = channels(rows);
        let layer = Convolution::new(window, rows, 3, &blocks, &channels, -128)?;
        self.both(
            name,
            layer.macs(),
            |input, scratch, output| layer.run_portable(input, scratch, output),
            |input, scratch, output| layer.run(input, scratch, output),
        );
        Ok(())
    }

    fn dense(&mut self, name: &str, columns: usize, rows: usize) -> Result<(), LayerError> {
        let blocks = self.packed(rows, columns)?;
        let channels = channels(rows);
        let layer = Dense::new(rows, columns, &blocks, &channels, -128)?;
        self.both(
            name,
            layer.macs(),
            |input, scratch, output| layer.run_portable(input, scratch, output),
            |input, scratch, output| layer.run(input, scratch, output),
        );
        Ok(())
    }

    fn lstm(
        &mut self,
        name: &str,
        [steps, inputs, hidden]: [usize; 3],
        output: LstmOutput,
        both: bool,
    ) -> Result<(), LayerError> {
        let gates = |columns: usize| {
            let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
            let weights = &self.weights[..4 * hidden * columns];
            pack_gates(hidden, columns, weights, &mut blocks)?;
            Ok(blocks)
        };
        let (from_input, from_hidden) = (gates(inputs)?, gates(hidden)?);
        let row = GateRow {
            bias: 500,
            input_multiplier: 20_000_000,
            hidden_multiplier: 20_000_000,
        };
        let rows = vec![row; 4 * hidden];
        let direction = Direction {
            input: &from_input,
            hidden: &from_hidden,
            rows: &rows,
        };
        let shape = LstmShape {
            steps,
            inputs,
            hidden,
            output,
        };
        let layer = Lstm::new(shape, direction, both.then_some(direction), 512)?;
        self.both(
            name,
            layer.macs(),
            |input, scratch, output| layer.run_portable(input, scratch, output),
            |input, scratch, output| layer.run(input, scratch, output),
        );
        Ok(())
    }

    fn max_pool(
        &mut self,
        name: &str,
        [height, width, channels]: [usize; 3],
    ) -> Result<(), LayerError> {
        let layer = MaxPool::new(WindowShape {
            kernel: [2, 2],
            padding: [0; 4],
            ..plane(height, width, channels, 2)
        })?;
        self.both(
            name,
            layer.output_len(),
            |input, _, output| layer.run_portable(input, output),
            |input, _, output| layer.run(input, output),
        );
        Ok(())
    }
}
