//! The memory plan: nothing that is needed is written over, and memory is used again.

use crate::programs::random;
use heartlens::compile::plan::Plan;
use heartlens::compile::program::{Operator, Program, Step, TensorId};
use proptest::prelude::*;
use std::collections::HashSet;

/// Who has last written each byte of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    Tensor(usize),
    Scratch(usize),
}

/// Goes through a program step by step with a plan, and sees that each step finds what it reads as it was written. This
/// knows nothing of how long a tensor is needed.
fn act(program: &Program, plan: &Plan, scratch_words: &[usize]) -> Result<(), String> {
    let mut owners = vec![Owner::Nobody; 4 * plan.words];
    let len = |tensor: usize| program.tensors[tensor].shape.iter().product::<usize>();
    let bytes = |tensor: usize| plan.tensors[tensor]..plan.tensors[tensor] + len(tensor);
    // The bytes of a part that lies in place are also those of the whole.
    let parts: HashSet<(usize, TensorId)> = program
        .steps
        .iter()
        .zip(&plan.in_place)
        .filter(|(_, in_place)| **in_place)
        .filter_map(|(step, _)| Some((step.inputs[0].0, step.output?)))
        .collect();
    for TensorId(tensor) in program.inputs.iter().map(|input| input.tensor) {
        owners[bytes(tensor)].fill(Owner::Tensor(tensor));
    }
    for (index, step) in program.steps.iter().enumerate() {
        let scratch = plan.scratch[index];
        owners[scratch..scratch + 4 * scratch_words[index]].fill(Owner::Scratch(index));
        for input in &step.inputs {
            for owner in &owners[bytes(input.0)] {
                let fits = match *owner {
                    Owner::Tensor(owner) => owner == input.0 || parts.contains(&(owner, *input)),
                    _ => false,
                };
                if !fits {
                    return Err(format!("step {index} reads {input:?} and finds {owner:?}"));
                }
            }
        }
        let Some(TensorId(output)) = step.output else {
            continue;
        };
        let Operator::ConcatPart { offset, .. } = step.operator else {
            owners[bytes(output)].fill(Owner::Tensor(output));
            continue;
        };
        let input = step.inputs[0].0;
        if plan.in_place[index] {
            if plan.tensors[input] != plan.tensors[output] + offset {
                return Err(format!("step {index}: the part is not in its place"));
            }
            continue;
        }
        let [height, width, channels] = program.tensors[output].shape;
        let own = len(input) / (height * width);
        for position in 0..height * width {
            let start = plan.tensors[output] + position * channels + offset;
            owners[start..start + own].fill(Owner::Tensor(output));
        }
    }
    Ok(())
}

/// The plan of a program, and the scratch memory of its steps as the image's kernels say.
fn planned(program: &Program) -> (Plan, Vec<usize>) {
    let scratch_words = program
        .steps
        .iter()
        .map(scratch_of(program))
        .collect::<Vec<_>>();
    (Plan::new(program, &scratch_words), scratch_words)
}

/// Any numbers will do: what an operator really needs is the writer's business, and is checked by the loader.
fn scratch_of(program: &Program) -> impl Fn(&Step) -> usize {
    |step| match step.operator {
        Operator::MaxPool { .. } | Operator::Relu | Operator::ConcatPart { .. } => 0,
        _ => 3 + program.tensors[step.inputs[0].0].shape[2] * 5,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_step_finds_what_it_reads(seed in 1000_u64..1_000_000) {
        let program = random(seed);
        let (plan, scratch) = planned(&program);
        prop_assert_eq!(act(&program, &plan, &scratch), Ok(()));
    }
}

#[test]
fn acting_a_bad_plan_is_noticed() {
    let mut noticed = 0;
    for seed in 0..50 {
        let program = random(seed);
        let (mut plan, scratch) = planned(&program);
        plan.tensors.fill(0);
        plan.scratch.fill(0);
        noticed += usize::from(act(&program, &plan, &scratch).is_err());
    }
    assert!(noticed > 45, "{noticed}");
}

#[test]
fn memory_is_used_again_and_parts_lie_in_place() {
    let (mut all, mut used, mut parts, mut in_place) = (0, 0, 0, 0);
    for seed in 0..200 {
        let program = random(seed);
        let (plan, scratch) = planned(&program);
        let tensors: usize = program
            .tensors
            .iter()
            .map(|t| t.shape.iter().product::<usize>())
            .sum();
        all += tensors + 4 * scratch.iter().sum::<usize>();
        used += 4 * plan.words;
        let copies =
            |step: &&Step| matches!(step.operator, Operator::ConcatPart { operand: None, .. });
        parts += program.steps.iter().filter(copies).count();
        in_place += plan.in_place.iter().filter(|p| **p).count();
        assert!(
            4 * plan.words
                <= tensors
                    + 4 * scratch.iter().sum::<usize>()
                    + 3 * (program.tensors.len() + scratch.len())
        );
    }
    println!("{used} of {all} bytes, {in_place} of {parts} copied parts in place");
    assert!(10 * used < 6 * all, "{used} of {all} bytes");
    assert!(
        10 * in_place > 9 * parts && parts > 100,
        "{in_place} of {parts}"
    );
}
