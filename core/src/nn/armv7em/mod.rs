//! The fast twins for processors with the DSP extension (Cortex-M4, M7): the same bits in fewer instructions.
//!
//! A position's inputs are taken apart once into words of two int16 in the order of SXTB16 - bytes 0 and 2, then bytes 1
//! and 3 - and serve all pairs of rows from there. The inner loops hold two rows by two positions in registers.

mod instructions;

use super::affine::{Affine, Channel, WeightBlock};
use super::convolution::Convolution;
use super::dense::Dense;
use super::lstm::{Lstm, Pass, States};
use super::pool::MaxPool;
use super::windows::Windows;
use instructions::{
    add_hidden, advance, bytes_of, copy, quantise_one, quantise_two, raise, sum_two, unpack_first,
    unpack_one, unpack_second,
};

/// The twin of [`Convolution::run_portable`], for buffers that fit.
pub(crate) fn convolution(
    layer: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    let groups = layer.affine.groups;
    let Some((unpacked, staged)) = scratch
        .get_mut(..layer.scratch_len())
        .and_then(|scratch| scratch.split_at_mut_checked(4 * groups))
    else {
        return;
    };
    let mut windows = Windows::new(layer, input, bytes_of(staged), copy);
    let rows = layer.affine.rows;
    let output = output.get_mut(..layer.output_len()).unwrap_or_default();
    let mut pairs = output.chunks_exact_mut((2 * rows).max(1));
    for outputs in &mut pairs {
        let Some((a, b)) = outputs.split_at_mut_checked(rows) else {
            return;
        };
        unpack_first(windows.next(), unpacked);
        unpack_second(windows.next(), unpacked);
        apply_two(&layer.affine, unpacked, a, b);
    }
    let last = pairs.into_remainder();
    if !last.is_empty() {
        unpack_one(windows.next(), unpacked);
        apply_one(&layer.affine, unpacked, last);
    }
}

/// The twin of [`Dense::run_portable`], for buffers that fit.
pub(crate) fn dense(layer: &Dense<'_>, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
    let affine = &layer.affine;
    let input = input.get(..affine.columns).unwrap_or_default();
    let Some((blocks, tail)) = input.split_at_checked(affine.columns / 4 * 4) else {
        return;
    };
    unpack_one(blocks, scratch);
    if !tail.is_empty() {
        let mut block = [0; 4];
        copy(tail, &mut block);
        let place = scratch.get_mut(blocks.len() / 2..);
        unpack_one(&block, place.unwrap_or_default());
    }
    let output = output.get_mut(..affine.rows);
    apply_one(affine, scratch, output.unwrap_or_default());
}

/// The twin of [`MaxPool::run_portable`], for buffers that fit.
pub(crate) fn max_pool(layer: &MaxPool, input: &[i8], output: &mut [i8]) {
    layer.compute(raise, input, output);
}

/// Two positions through all rows.
#[inline]
fn apply_two(affine: &Affine<'_>, unpacked: &[i32], first: &mut [i8], second: &mut [i8]) {
    let Affine {
        blocks,
        channels,
        groups,
        zero_point,
        ..
    } = *affine;
    quantise_two(
        groups,
        blocks,
        channels,
        unpacked,
        zero_point,
        [&mut *first, &mut *second],
    );
    if let ([.., first], [.., second]) = (first, second)
        && affine.rows % 2 == 1
    {
        let (mut a, mut b) = ([0; 2], [0; 2]);
        let (blocks, channels) = last_pair(affine);
        quantise_two(
            groups,
            blocks,
            channels,
            unpacked,
            zero_point,
            [&mut a, &mut b],
        );
        [*first, *second] = [a[0], b[0]];
    }
}

/// One position through all rows.
#[inline]
fn apply_one(affine: &Affine<'_>, unpacked: &[i32], output: &mut [i8]) {
    let Affine {
        blocks,
        channels,
        groups,
        zero_point,
        ..
    } = *affine;
    quantise_one(groups, blocks, channels, unpacked, zero_point, output);
    if let [.., output] = output
        && affine.rows % 2 == 1
    {
        let mut pair = [0; 2];
        let (blocks, channels) = last_pair(affine);
        quantise_one(groups, blocks, channels, unpacked, zero_point, &mut pair);
        *output = pair[0];
    }
}

/// Blocks and channels of the last pair of rows.
fn last_pair<'w>(affine: &Affine<'w>) -> (&'w [WeightBlock], &'w [Channel]) {
    let blocks = affine.blocks.len().checked_sub(affine.groups);
    let channels = affine.channels.last_chunk::<2>();
    (
        blocks
            .and_then(|start| affine.blocks.get(start..))
            .unwrap_or_default(),
        channels.map_or(&[], |channels| channels.as_slice()),
    )
}

/// The twin of one direction of [`Lstm::run_portable`], for buffers that fit.
pub(crate) fn lstm(
    layer: &Lstm<'_>,
    pass: &Pass<'_, '_>,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) {
    let shape = &layer.shape;
    let Pass {
        direction, order, ..
    } = *pass;
    let input_groups = shape.inputs.div_ceil(4);
    let hidden_groups = shape.hidden.div_ceil(4);
    let mut rest = scratch;
    let mut take = |words: usize| rest.split_off_mut(..words).unwrap_or_default();
    let (values, staged) = (take(4 * input_groups), take(2 * input_groups));
    let (hidden, next) = (take(2 * hidden_groups), take(hidden_groups));
    let (cells, early) = (take(shape.hidden), take(4 * shape.hidden));
    let late = take(4 * shape.hidden);
    // The state of a pass before lies there.
    if pass.steps.start == 0 {
        cells.fill(0);
        next.fill(0);
    }
    let next = bytes_of(next);
    let Some((one, two)) = bytes_of(staged).split_at_mut_checked(4 * input_groups) else {
        return;
    };
    let at = |step: usize| {
        let time = order.time(step, shape.steps);
        let start = time * shape.inputs;
        input.get(start..start + shape.inputs).unwrap_or_default()
    };
    for step in pass.steps.clone().step_by(2) {
        copy(at(step), one);
        // After the last of an odd number of steps the second position is whatever it was.
        if step + 1 < pass.steps.end {
            copy(at(step + 1), two);
        }
        unpack_first(one, values);
        unpack_second(two, values);
        let rows = direction.rows;
        sum_two(
            input_groups,
            direction.input,
            rows,
            values,
            [&mut *early, &mut *late],
        );
        let times = step..pass.steps.end.min(step + 2);
        for (step, gates) in times.zip([&mut *early, &mut *late]) {
            unpack_one(next, hidden);
            add_hidden(hidden_groups, direction.hidden, rows, hidden, gates);
            advance(gates.as_chunks().0, cells, layer.multiplier, next);
            copy(next, states.at(order.time(step, shape.steps)));
        }
    }
}
