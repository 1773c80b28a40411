//! The memory plan: where each tensor and each operator's scratch memory lies in one arena.
//!
//! What is not needed at the same time may lie at the same place. Blocks are placed from the largest to the smallest,
//! each as low as those that were placed before allow ("greedy by size" of Pisarchyk and Lee 2020, arXiv:2001.03288).

use super::program::{Operator, Program, Step, TensorId};
use std::ops::RangeInclusive;

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where each tensor begins, in bytes, in the order of [`Program::tensors`].
    pub tensors: Vec<usize>,
    /// Where each step's scratch memory begins, in bytes, a multiple of 4.
    pub scratch: Vec<usize>,
    /// Whether each step is part of a concatenation that lies where it belongs already.
    pub in_place: Vec<bool>,
    /// Words of 32 bits of the whole arena.
    pub words: usize,
}

/// A stretch of memory and when it is needed: time 0 is when the views are quantised, time `i + 1` is step `i`.
struct Block {
    len: usize,
    needed: RangeInclusive<usize>,
    start: usize,
}

impl Plan {
    /// Plans for a program whose tensors exist and whose steps need `scratch_words` each.
    pub fn new(program: &Program, scratch_words: &[usize]) -> Self {
        let (homes, in_place) = homes(program);
        let tensors = program.tensors.len();
        let mut blocks: Vec<Block> = (0..tensors)
            .map(|tensor| Block {
                len: program.tensors[tensor].shape.iter().product(),
                needed: needed(program, tensor),
                start: 0,
            })
            .collect();
        for (tensor, (home, _)) in homes.iter().enumerate() {
            if *home != tensor {
                let guest = blocks[tensor].needed.clone();
                let needed = &mut blocks[*home].needed;
                *needed = *needed.start().min(guest.start())..=*needed.end().max(guest.end());
                blocks[tensor].len = 0;
            }
        }
        blocks.extend(scratch_words.iter().enumerate().map(|(step, words)| Block {
            len: 4 * words,
            needed: step + 1..=step + 1,
            start: 0,
        }));
        let len = place(&mut blocks);
        Self {
            tensors: homes
                .iter()
                .map(|(home, offset)| blocks[*home].start + offset)
                .collect(),
            scratch: blocks[tensors..].iter().map(|block| block.start).collect(),
            in_place,
            words: len.div_ceil(4),
        }
    }
}

/// The tensor in whose memory each tensor lies, its own or that of another, and where in it; and the steps which that
/// leaves nothing to do.
fn homes(program: &Program) -> (Vec<(usize, usize)>, Vec<bool>) {
    let mut homes: Vec<(usize, usize)> = (0..program.tensors.len()).map(|t| (t, 0)).collect();
    // A tensor that houses others, or lives in another, moves no more.
    let mut settled = vec![false; program.tensors.len()];
    let mut in_place = vec![false; program.steps.len()];
    for (index, step) in program.steps.iter().enumerate() {
        let (&[TensorId(from)], Some(TensorId(to))) = (step.inputs.as_slice(), step.output) else {
            continue;
        };
        match &step.operator {
            Operator::ConcatPart {
                offset,
                operand: None,
            } if !settled[from] && is_one_position(program, to) => {
                homes[from] = (to, *offset);
                settled[from] = true;
                settled[to] = true;
                in_place[index] = true;
            }
            Operator::Relu
                if !settled[from] && !settled[to] && *needed(program, from).end() == index + 1 =>
            {
                homes[to] = (from, 0);
                settled[from] = true;
                settled[to] = true;
            }
            _ => {}
        }
    }
    (homes, in_place)
}

/// Whether the parts of a concatenation lie together in the whole.
fn is_one_position(program: &Program, whole: usize) -> bool {
    program.tensors[whole].shape[..2] == [1, 1]
}

/// From when the tensor is first written to when it is last read or written.
fn needed(program: &Program, tensor: usize) -> RangeInclusive<usize> {
    let is_input = program.inputs.iter().any(|input| input.tensor.0 == tensor);
    let writes = |step: &Step| step.output == Some(TensorId(tensor));
    let reads = |step: &Step| step.inputs.contains(&TensorId(tensor));
    let first = program.steps.iter().position(writes);
    let last = program
        .steps
        .iter()
        .rposition(|step| reads(step) || writes(step));
    let from = match (is_input, first) {
        (false, Some(step)) => step + 1,
        _ => 0,
    };
    from..=last.map_or(from, |step| step + 1)
}

/// Gives each block a place and returns the length of all.
fn place(blocks: &mut [Block]) -> usize {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|block| std::cmp::Reverse(blocks[*block].len));
    let mut len = 0;
    for (done, index) in order.iter().enumerate() {
        let block = &blocks[*index];
        let mut taken: Vec<(usize, usize)> = order[..done]
            .iter()
            .map(|other| &blocks[*other])
            .filter(|other| meet(&block.needed, &other.needed) && other.len > 0)
            .map(|other| (other.start, other.start + other.len))
            .collect();
        taken.sort_unstable();
        let mut start = 0_usize;
        for (from, to) in taken {
            if start + block.len <= from {
                break;
            }
            start = start.max(to.next_multiple_of(4));
        }
        let block = &mut blocks[*index];
        // What takes no room lies at the beginning, as an image has it.
        block.start = if block.len == 0 { 0 } else { start };
        len = len.max(block.start + block.len);
    }
    len
}

fn meet(a: &RangeInclusive<usize>, b: &RangeInclusive<usize>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}
