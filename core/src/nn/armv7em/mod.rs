//! The fast twins for processors with the DSP extension (Cortex-M4, M7): the same bits in fewer instructions.
//!
//! A position's inputs are taken apart once into words of two int16 in the order of SXTB16 - bytes 0 and 2, then bytes 1
//! and 3 - and serve all pairs of rows from there. The inner loops hold two rows by two positions in registers.

mod instructions;

use super::affine::Affine;
use super::convolution::Convolution;
use super::dense::Dense;
use super::lstm::{Direction, GATE_SHIFT, Lstm, Order, States, advance};
use super::window::Window;
use instructions::{
    bytes_of, dot_one, dot_two, multiply_accumulate_q32, multiply_q32, saturate_i8, saturate_i16,
    unpack_one, unpack_two,
};

/// The twin of [`Convolution::run_portable`], for buffers that fit.
pub(crate) fn convolution(
    layer: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    let groups = layer.affine.groups;
    let (unpacked, staged) = scratch.split_at_mut(4 * groups);
    let (first, second) = bytes_of(&mut staged[..2 * groups]).split_at_mut(4 * groups);
    let input = &input[..layer.input_len()];
    let [height, width] = layer.window.output_shape();
    let positions = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    let mut positions = positions;
    for outputs in output[..layer.output_len()].chunks_mut(2 * layer.affine.rows) {
        let (a, b) = outputs.split_at_mut(layer.affine.rows);
        let Some((y, x)) = positions.next() else {
            return;
        };
        let one = window(&layer.window, y, x, input, layer.padding, first);
        match positions.next() {
            Some((y, x)) => {
                let two = window(&layer.window, y, x, input, layer.padding, second);
                unpack_two(one, two, unpacked);
                apply_two(&layer.affine, unpacked, a, b);
            }
            None => {
                unpack_one(one, unpacked);
                apply_one(&layer.affine, unpacked, a);
            }
        }
    }
}

/// The twin of [`Dense::run_portable`], for buffers that fit.
pub(crate) fn dense(layer: &Dense<'_>, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
    let affine = &layer.affine;
    unpack_tail(&input[..affine.columns], scratch);
    apply_one(affine, scratch, &mut output[..affine.rows]);
}

/// The window's bytes at (`y`, `x`), whole blocks of them: in the input where they lie together, else copied to
/// `staged`, which has that length. Bytes beyond the window are arbitrary.
#[inline]
fn window<'a>(
    window: &Window,
    y: usize,
    x: usize,
    input: &'a [i8],
    padding: i8,
    staged: &'a mut [i8],
) -> &'a [i8] {
    let shape = &window.shape;
    let (rows, columns) = (window.rows(y), window.columns(x));
    let pitch = shape.kernel[1] * shape.channels;
    if shape.kernel[0] == 1 && rows.len == 1 && columns.len == shape.kernel[1] {
        let start = (rows.start * shape.width + columns.start) * shape.channels;
        if let Some(bytes) = input.get(start..start + staged.len()) {
            return bytes;
        }
    }
    if rows.len < shape.kernel[0] || columns.len < shape.kernel[1] {
        staged.fill(padding);
    }
    let (_, _, stretches) = window.stretches(y, x, input);
    let lines = staged.chunks_mut(pitch).skip(rows.before);
    for (line, stretch) in lines.zip(stretches) {
        let start = columns.before * shape.channels;
        line[start..start + stretch.len()].copy_from_slice(stretch);
    }
    staged
}

/// Takes apart `input`, whose length need not be whole blocks.
fn unpack_tail(input: &[i8], unpacked: &mut [i32]) {
    let (blocks, tail) = input.split_at(input.len() / 4 * 4);
    unpack_one(blocks, unpacked);
    if !tail.is_empty() {
        let mut block = [0; 4];
        block[..tail.len()].copy_from_slice(tail);
        unpack_one(&block, &mut unpacked[blocks.len() / 2..]);
    }
}

/// Two positions through all rows.
#[inline]
fn apply_two(affine: &Affine<'_>, unpacked: &[i32], first: &mut [i8], second: &mut [i8]) {
    let zero_point = i32::from(affine.zero_point);
    let pairs = affine.blocks.chunks_exact(affine.groups);
    let channels = affine.channels.as_chunks::<2>().0;
    let outputs = first.chunks_mut(2).zip(second.chunks_mut(2));
    for ((blocks, [a, b]), (first, second)) in pairs.zip(channels).zip(outputs) {
        let sums = dot_two(blocks, unpacked, [a.bias, a.bias, b.bias, b.bias]);
        let quantise =
            |sum, multiplier| saturate_i8(multiply_accumulate_q32(sum, multiplier, zero_point));
        first[0] = quantise(sums[0], a.multiplier);
        second[0] = quantise(sums[1], a.multiplier);
        if let ([_, first], [_, second]) = (first, second) {
            *first = quantise(sums[2], b.multiplier);
            *second = quantise(sums[3], b.multiplier);
        }
    }
}

/// One position through all rows.
#[inline]
fn apply_one(affine: &Affine<'_>, unpacked: &[i32], output: &mut [i8]) {
    let zero_point = i32::from(affine.zero_point);
    let pairs = affine.blocks.chunks_exact(affine.groups);
    let channels = affine.channels.as_chunks::<2>().0;
    for ((blocks, channels), output) in pairs.zip(channels).zip(output.chunks_mut(2)) {
        let sums = dot_one(blocks, unpacked, [channels[0].bias, channels[1].bias]);
        for ((output, sum), channel) in output.iter_mut().zip(sums).zip(channels) {
            *output = saturate_i8(multiply_accumulate_q32(sum, channel.multiplier, zero_point));
        }
    }
}

/// The twin of one direction of [`Lstm::run_portable`], for buffers that fit.
pub(crate) fn lstm(
    layer: &Lstm<'_>,
    direction: &Direction<'_>,
    order: Order,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) {
    let shape = &layer.shape;
    let input_groups = shape.inputs.div_ceil(4);
    let hidden_groups = shape.hidden.div_ceil(4);
    let (values, scratch) = scratch.split_at_mut(4 * input_groups);
    let (staged, scratch) = scratch.split_at_mut(2 * input_groups);
    let (hidden, scratch) = scratch.split_at_mut(2 * hidden_groups);
    let (next, scratch) = scratch.split_at_mut(hidden_groups);
    let (cells, scratch) = scratch.split_at_mut(shape.hidden);
    let (sums, _) = scratch.as_chunks_mut::<4>();
    let sums = &mut sums[..2 * shape.hidden];
    cells.fill(0);
    next.fill(0);
    let (one, two) = bytes_of(staged).split_at_mut(4 * input_groups);
    let at = |step: usize| {
        let time = order.time(step, shape.steps);
        &input[time * shape.inputs..][..shape.inputs]
    };
    for step in (0..shape.steps).step_by(2) {
        one[..shape.inputs].copy_from_slice(at(step));
        two[..shape.inputs].copy_from_slice(at((step + 1).min(shape.steps - 1)));
        unpack_two(one, two, values);
        let pairs = direction.input.chunks_exact(input_groups);
        for ((blocks, [a, b]), sums) in pairs.zip(direction.rows.as_chunks::<2>().0).zip(&mut *sums)
        {
            *sums = dot_two(blocks, values, [a.bias, a.bias, b.bias, b.bias]);
        }
        for late in 0..2.min(shape.steps - step) {
            let time = order.time(step + late, shape.steps);
            unpack_one(bytes_of(next), hidden);
            let mut next = bytes_of(next).iter_mut();
            let pairs = direction.hidden.chunks_exact(hidden_groups);
            let mut pairs = pairs.zip(direction.rows.as_chunks::<2>().0).zip(&*sums);
            for ((cell, state), next) in cells.iter_mut().zip(states.at(time)).zip(&mut next) {
                let mut gates = [0; 4];
                for (gates, ((blocks, rows), from_input)) in
                    gates.as_chunks_mut::<2>().0.iter_mut().zip(&mut pairs)
                {
                    let from_hidden = dot_one(blocks, hidden, [0; 2]);
                    let from_input = [from_input[late], from_input[late + 2]];
                    for i in 0..2 {
                        let sum =
                            multiply_q32(from_hidden[i] << GATE_SHIFT, rows[i].hidden_multiplier);
                        gates[i] = saturate_i16(multiply_accumulate_q32(
                            from_input[i] << GATE_SHIFT,
                            rows[i].input_multiplier,
                            sum,
                        ));
                    }
                }
                *state = advance(gates, cell, layer.multiplier);
                *next = *state;
            }
        }
    }
}
