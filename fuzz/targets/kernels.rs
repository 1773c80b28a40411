//! Any geometry and any weights for the integer kernels: refused, or computed without a panic, the fast twin like the
//! portable kernel.

#![no_main]

use arbitrary::{Result, Unstructured};
use heartlens_core::nn::{
    Add, AveragePool, Channel, ConcatPart, Convolution, Dense, Depthwise, Direction, GateRow, Lstm,
    LstmOutput, LstmShape, MaxPool, Operand, WeightBlock, Window, WindowShape, blocks_len, pack,
    pack_gates,
};
use libfuzzer_sys::fuzz_target;

/// Elements beyond which a layer is checked but not run.
const MAX_RUN: usize = 1 << 14;

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    // Where the bytes end, the rest of the case is missing.
    let _ = case(&mut source);
});

fn case(source: &mut Unstructured<'_>) -> Result<()> {
    match source.int_in_range(0..=6)? {
        0 => convolution(source),
        1 => dense(source),
        2 => depthwise(source),
        3 => pools(source),
        4 => lstm(source),
        5 => add(source),
        _ => concat(source),
    }
}

/// Mostly a small size; now and then any at all.
fn size(source: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match source.int_in_range(0..=15)? {
        0 => source.arbitrary()?,
        _ => source.int_in_range(0..=24)?,
    })
}

fn shape(source: &mut Unstructured<'_>) -> Result<WindowShape> {
    let mut next = || size(source);
    Ok(WindowShape {
        height: next()?,
        width: next()?,
        channels: next()?,
        kernel: [next()?, next()?],
        stride: [next()?, next()?],
        padding: [next()?, next()?, next()?, next()?],
    })
}

fn values(source: &mut Unstructured<'_>, len: usize) -> Vec<i8> {
    // Repeats what bytes there are: sizes, not values, are what is looked for.
    let mut few = [0; 64];
    let _ = source.fill_buffer(&mut few);
    few.iter()
        .map(|byte| byte.cast_signed())
        .cycle()
        .take(len)
        .collect()
}

fn channels(source: &mut Unstructured<'_>, len: usize) -> Result<Vec<Channel>> {
    let one = Channel {
        bias: source.arbitrary()?,
        multiplier: source.arbitrary()?,
    };
    Ok(vec![one; len])
}

fn operand(source: &mut Unstructured<'_>) -> Result<Operand> {
    Ok(Operand {
        zero_point: source.arbitrary()?,
        multiplier: source.arbitrary()?,
    })
}

fn blocks(source: &mut Unstructured<'_>, rows: usize, columns: usize) -> Option<Vec<WeightBlock>> {
    let len = rows.checked_mul(columns).filter(|len| *len <= MAX_RUN)?;
    let mut blocks = vec![WeightBlock::default(); blocks_len(rows, columns)];
    pack(rows, columns, &values(source, len), &mut blocks).ok()?;
    Some(blocks)
}

fn convolution(source: &mut Unstructured<'_>) -> Result<()> {
    let (shape, rows, zero_points) = (
        shape(source)?,
        size(source)?,
        source.arbitrary::<[i8; 2]>()?,
    );
    let Ok(window) = Window::new(shape) else {
        return Ok(());
    };
    assert!(!window.is_empty() && window.positions() > 0);
    let Some(blocks) = blocks(source, rows, window.len()) else {
        return Ok(());
    };
    let channels = channels(source, rows)?;
    let [before, after] = zero_points;
    if let Ok(layer) = Convolution::new(window, rows, before, &blocks, &channels, after)
        && layer.input_len() + layer.output_len() + layer.scratch_len() <= MAX_RUN
        && layer.macs() <= 64 * MAX_RUN
    {
        let input = values(source, layer.input_len());
        let mut scratch = vec![0; layer.scratch_len()];
        let mut outputs = [vec![1; layer.output_len()], vec![2; layer.output_len()]];
        layer.run(&input, &mut scratch, &mut outputs[0]);
        layer.run_portable(&input, &mut scratch, &mut outputs[1]);
        assert_eq!(outputs[0], outputs[1]);
    }
    Ok(())
}

fn dense(source: &mut Unstructured<'_>) -> Result<()> {
    let (rows, columns, zero_point) = (size(source)?, size(source)?, source.arbitrary()?);
    let Some(blocks) = blocks(source, rows, columns) else {
        return Ok(());
    };
    let channels = channels(source, rows)?;
    if let Ok(layer) = Dense::new(rows, columns, &blocks, &channels, zero_point) {
        let input = values(source, layer.input_len());
        let mut scratch = vec![0; layer.scratch_len()];
        let mut outputs = [vec![1; layer.output_len()], vec![2; layer.output_len()]];
        layer.run(&input, &mut scratch, &mut outputs[0]);
        layer.run_portable(&input, &mut scratch, &mut outputs[1]);
        assert_eq!(outputs[0], outputs[1]);
    }
    Ok(())
}

fn depthwise(source: &mut Unstructured<'_>) -> Result<()> {
    let (shape, zero_points) = (shape(source)?, source.arbitrary::<[i8; 2]>()?);
    let Ok(window) = Window::new(shape) else {
        return Ok(());
    };
    if window.len() > MAX_RUN {
        return Ok(());
    }
    let weights = values(source, window.len());
    let channels = channels(source, shape.channels)?;
    let [before, after] = zero_points;
    if let Ok(layer) = Depthwise::new(window, before, &weights, &channels, after)
        && layer.input_len() + layer.output_len() <= MAX_RUN
    {
        let input = values(source, layer.input_len());
        let mut output = vec![0; layer.output_len()];
        layer.run(&input, &mut vec![0; layer.scratch_len()], &mut output);
    }
    Ok(())
}

fn pools(source: &mut Unstructured<'_>) -> Result<()> {
    let shape = shape(source)?;
    if let Ok(layer) = MaxPool::new(shape)
        && layer.input_len() + layer.output_len() <= MAX_RUN
    {
        let input = values(source, layer.input_len());
        let mut outputs = [vec![1; layer.output_len()], vec![2; layer.output_len()]];
        layer.run(&input, &mut outputs[0]);
        layer.run_portable(&input, &mut outputs[1]);
        assert_eq!(outputs[0], outputs[1]);
    }
    if let Ok(layer) = AveragePool::new(shape)
        && layer.input_len() + layer.output_len() <= MAX_RUN
    {
        let input = values(source, layer.input_len());
        let mut output = vec![0; layer.output_len()];
        layer.run(&input, &mut vec![0; layer.scratch_len()], &mut output);
    }
    Ok(())
}

fn lstm(source: &mut Unstructured<'_>) -> Result<()> {
    let shape = LstmShape {
        steps: size(source)?,
        inputs: size(source)?,
        hidden: size(source)?,
        output: match source.arbitrary()? {
            true => LstmOutput::Sequence,
            false => LstmOutput::Last,
        },
    };
    let (hidden, inputs) = (shape.hidden, shape.inputs);
    let small = |columns: usize| {
        hidden
            .checked_mul(4 * columns.min(MAX_RUN))
            .is_some_and(|n| n <= MAX_RUN)
    };
    if !small(inputs) || !small(hidden) {
        return Ok(());
    }
    let mut gates = |columns: usize| {
        let mut blocks = vec![WeightBlock::default(); blocks_len(4 * hidden, columns)];
        let weights = values(source, 4 * hidden * columns);
        pack_gates(hidden, columns, &weights, &mut blocks).ok()?;
        Some(blocks)
    };
    let (Some(input), Some(state)) = (gates(inputs), gates(hidden)) else {
        return Ok(());
    };
    let row = GateRow {
        bias: source.arbitrary()?,
        input_multiplier: source.arbitrary()?,
        hidden_multiplier: source.arbitrary()?,
    };
    let rows = vec![row; 4 * hidden];
    let direction = Direction {
        input: &input,
        hidden: &state,
        rows: &rows,
    };
    let backward = source.arbitrary::<bool>()?.then_some(direction);
    if let Ok(layer) = Lstm::new(shape, direction, backward, source.arbitrary()?)
        && layer.input_len() + layer.output_len() <= MAX_RUN
        && layer.macs() <= 64 * MAX_RUN
    {
        let input = values(source, layer.input_len());
        let mut scratch = vec![0; layer.scratch_len()];
        let mut outputs = [vec![1; layer.output_len()], vec![2; layer.output_len()]];
        layer.run(&input, &mut scratch, &mut outputs[0]);
        layer.run_portable(&input, &mut scratch, &mut outputs[1]);
        assert_eq!(outputs[0], outputs[1]);
    }
    Ok(())
}

fn add(source: &mut Unstructured<'_>) -> Result<()> {
    let (len, a, b, zero_point) = (
        size(source)?,
        operand(source)?,
        operand(source)?,
        source.arbitrary()?,
    );
    if let Ok(layer) = Add::new(len, [a, b], zero_point)
        && len <= MAX_RUN
    {
        let (a, b) = (values(source, len), values(source, len));
        layer.run(&a, &b, &mut vec![0; len]);
    }
    Ok(())
}

fn concat(source: &mut Unstructured<'_>) -> Result<()> {
    let (positions, channels, offset, all) =
        (size(source)?, size(source)?, size(source)?, size(source)?);
    let (operand, zero_point) = (operand(source)?, source.arbitrary()?);
    if let Ok(part) = ConcatPart::new(positions, channels, offset, all, operand, zero_point)
        && part.output_len() <= MAX_RUN
    {
        let input = values(source, part.input_len());
        part.run(&input, &mut vec![0; part.output_len()]);
    }
    Ok(())
}
