//! Each instruction set that this machine has against the portable kernels, bit for bit, over random shapes.

use super::Level;
use crate::nn::{
    Channel, Convolution, Dense, Direction, GateRow, Lstm, LstmOutput, LstmShape, MaxPool,
    WeightBlock, Window, WindowShape, blocks_len, pack, pack_gates,
};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Numbers without end from a seed (xorshift32, Marsaglia 2003).
struct Random(u32);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// All of -128..=127, the ends more often than the rest.
    fn bytes(&mut self, len: usize) -> Vec<i8> {
        let byte = |word: u32| match word % 16 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (word >> 16) as i8,
        };
        (0..len).map(|_| byte(self.word())).collect()
    }

    /// One that brings typical sums of so many columns to the range of int8, and now and then beyond. Every other ratio is
    /// a power of two, so that exact halves are rounded too.
    fn channel(&mut self, columns: usize) -> Channel {
        let typical = 5500.0 * (columns as f64).sqrt();
        let ratio = 4294967296.0 * 60.0 / typical;
        let multiplier = (ratio * f64::from(self.word() % 256) / 128.0).min(2e9) as i32;
        Channel {
            bias: self.word() as i32 >> 18,
            multiplier: match multiplier.checked_ilog2() {
                Some(bits) if self.word().is_multiple_of(2) => 1 << bits,
                _ => multiplier,
            },
        }
    }

    fn blocks(&mut self, rows: usize, columns: usize) -> Vec<WeightBlock> {
        let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
        pack(rows, columns, &self.bytes(rows * columns), &mut blocks).expect("fits");
        blocks
    }

    fn channels(&mut self, rows: usize, columns: usize) -> Vec<Channel> {
        let rows = rows.next_multiple_of(2);
        (0..rows).map(|_| self.channel(columns)).collect()
    }
}

/// Runs a kernel from garbage in scratch and output, which end where the operator says.
fn computed(
    (scratch_len, output_len): (usize, usize),
    garbage: i8,
    run: impl FnOnce(&mut [i32], &mut [i8]),
) -> Vec<i8> {
    let mut scratch = vec![i32::from(garbage) * 0x0101_0101; scratch_len];
    let mut output = vec![garbage; output_len];
    run(&mut scratch, &mut output);
    output
}

fn levels() -> Vec<Level> {
    let levels: Vec<_> = Level::all().collect();
    assert_eq!(levels.last().copied(), Level::best());
    levels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn convolutions_have_the_same_bits(
        seed in 1_u32..,
        plane: bool,
        (height, width, channels) in (1_usize..10, 1_usize..40, 1_usize..20),
        (down, right) in (1_usize..5, 1_usize..8),
        stride in [1_usize..3, 1_usize..3],
        rows in 1_usize..20,
        zero_out in -40_i8..40,
    ) {
        let mut random = Random(seed);
        let (height, down) = if plane { (height.max(down), down) } else { (1, 1) };
        let mut padding = |side: usize| random.word() as usize % side;
        let shape = WindowShape {
            height,
            width: width.max(right),
            channels,
            kernel: [down, right],
            stride,
            padding: [padding(down), padding(right), padding(down), padding(right)],
        };
        let window = Window::new(shape).expect("fits");
        let blocks = random.blocks(rows, window.len());
        let each = random.channels(rows, window.len());
        let layer = Convolution::new(window, rows, -7, &blocks, &each, zero_out).expect("fits");
        let input = random.bytes(layer.input_len());
        let lens = (layer.scratch_len(), layer.output_len());
        let expected = computed(lens, 1, |scratch, output| {
            layer.run_portable(&input, scratch, output);
        });
        for level in levels() {
            let found = computed(lens, 2, |scratch, output| {
                level.convolution(&layer, &input, scratch, output);
            });
            prop_assert_eq!(&found, &expected, "{:?}", level);
        }
    }

    #[test]
    fn max_pools_have_the_same_bits(
        seed in 1_u32..,
        (height, width, channels) in (1_usize..10, 1_usize..20, 1_usize..40),
        kernel in [1_usize..4, 1_usize..4],
        stride in [1_usize..4, 1_usize..4],
    ) {
        let mut random = Random(seed);
        let mut padding = |side: usize| random.word() as usize % side;
        let [down, right] = kernel;
        let layer = MaxPool::new(WindowShape {
            height: height.max(down),
            width: width.max(right),
            channels,
            kernel,
            stride,
            padding: [padding(down), padding(right), padding(down), padding(right)],
        }).expect("fits");
        let input = random.bytes(layer.input_len());
        let lens = (0, layer.output_len());
        let expected = computed(lens, 1, |_, output| layer.run_portable(&input, output));
        for level in levels() {
            let found = computed(lens, 2, |_, output| {
                level.max_pool(&layer, &input, output);
            });
            prop_assert_eq!(&found, &expected, "{:?}", level);
        }
    }

    #[test]
    fn dense_layers_have_the_same_bits(
        seed in 1_u32..,
        rows in 1_usize..30,
        columns in 1_usize..140,
        zero_out in -40_i8..40,
    ) {
        let mut random = Random(seed);
        let blocks = random.blocks(rows, columns);
        let each = random.channels(rows, columns);
        let layer = Dense::new(rows, columns, &blocks, &each, zero_out).expect("fits");
        let input = random.bytes(columns);
        let lens = (layer.scratch_len(), rows);
        let expected = computed(lens, 1, |scratch, output| {
            layer.run_portable(&input, scratch, output);
        });
        for level in levels() {
            let found = computed(lens, 2, |scratch, output| {
                level.dense(&layer, &input, scratch, output);
            });
            prop_assert_eq!(&found, &expected, "{:?}", level);
        }
    }

    #[test]
    fn lstms_have_the_same_bits(
        seed in 1_u32..,
        (steps, inputs, hidden) in (1_usize..12, 1_usize..40, 1_usize..30),
        last: bool,
        both: bool,
    ) {
        let mut random = Random(seed);
        let output = if last { LstmOutput::Last } else { LstmOutput::Sequence };
        let shape = LstmShape { steps, inputs, hidden, output };
        let mut direction = || {
            let [input, hidden_state] = [inputs, hidden].map(|columns| {
                let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
                let weights = random.bytes(4 * hidden * columns);
                pack_gates(hidden, columns, &weights, &mut blocks).expect("fits");
                blocks
            });
            let rows: Vec<_> = (0..4 * hidden).map(|_| GateRow {
                bias: random.word() as i32 >> 18,
                // Arguments that now and then saturate.
                input_multiplier: random.channel(inputs).multiplier / 2,
                hidden_multiplier: random.channel(hidden).multiplier,
            }).collect();
            (input, hidden_state, rows)
        };
        let packed = [direction(), direction()];
        let [forward, backward] = packed.each_ref().map(|(input, hidden, rows)| Direction {
            input,
            hidden,
            rows,
        });
        let layer = Lstm::new(shape, forward, both.then_some(backward), 512).expect("fits");
        let input = random.bytes(layer.input_len());
        let lens = (layer.scratch_len(), layer.output_len());
        let expected = computed(lens, 1, |scratch, output| {
            layer.run_portable(&input, scratch, output);
        });
        for level in levels() {
            let found = computed(lens, 2, |scratch, output| {
                layer.both(&input, scratch, output, |layer, pass, input, scratch, states| {
                    level.lstm(layer, pass, input, scratch, states);
                });
            });
            prop_assert_eq!(&found, &expected, "{:?}", level);
        }
        let in_slices = computed(lens, 3, |scratch, output| {
            for slice in 0..layer.slices_portable() {
                layer.run_slice_portable(slice, &input, scratch, output);
            }
        });
        prop_assert_eq!(&in_slices, &expected);
    }
}
