//! The check of an image's memory plan: what a network needs at one time lies apart.
//!
//! Time 0 is when the views are quantised, time `i + 1` is step `i`. A tensor is needed from when its first element is
//! written to when it is last read.

use super::error::ImageError;
use super::format::{MAX_TENSORS, NONE, Operator, Step, Tensor};
use super::layer::{Layer, operator};
use super::sections::{HEADER, Sections, at, check_range, out_of_range};
use core::ops::Range;

/// The byte of the arena after a tensor's or a layer's last.
const END: &str = "end of its memory in the arena";

/// When a tensor is needed, both ends included.
#[derive(Debug, Clone, Copy)]
struct Life {
    from: usize,
    to: usize,
}

/// Checks that all is written before it is read, lies inside the arena, and shares memory with nothing that is needed at
/// the same time. The indices of all tensors have been checked.
pub(super) fn check(sections: &Sections<'_>) -> Result<(), ImageError> {
    let mut lives = heapless::Vec::<Life, MAX_TENSORS>::new();
    for tensor in 0..sections.tensors.len() {
        let life = life(sections, tensor)?;
        // There are at most MAX_TENSORS, which has been checked.
        let _ = lives.push(life);
    }
    extend_over_parts(sections, &mut lives)?;
    check_tensors(sections, &lives)?;
    check_steps(sections)?;
    check_scratch(sections, &lives)
}

/// When `tensor` is needed, and whether it is complete by then.
fn life(sections: &Sections<'_>, tensor: usize) -> Result<Life, ImageError> {
    let expected = self::tensor(sections, tensor)?.channels();
    let mut found = 0;
    let mut life: Option<Life> = None;
    let mut complete = 0;
    for _ in sections
        .inputs
        .iter()
        .filter(|i| usize::from(i.tensor) == tensor)
    {
        found += expected;
        life = Some(Life { from: 0, to: 0 });
    }
    for (index, step) in sections.steps.iter().enumerate() {
        let now = index + 1;
        if step.reads(tensor) {
            let Some(life) = life.as_mut() else {
                return Err(ImageError::Early {
                    layer: index,
                    tensor,
                });
            };
            life.to = now;
        }
        if usize::from(step.output) == tensor {
            found += written(sections, index)?;
            complete = now;
            life.get_or_insert(Life { from: now, to: now }).to = now;
        }
    }
    let early = |(_, step): &(usize, &Step)| step.reads(tensor);
    if let Some((layer, _)) = sections.steps.iter().enumerate().take(complete).find(early) {
        return Err(ImageError::Early { layer, tensor });
    }
    let what = "number of channels that are written";
    check_range(at("tensor", tensor), what, found, expected, expected)?;
    // A tensor has channels, and something wrote them.
    life.ok_or(out_of_range(
        at("tensor", tensor),
        what,
        0,
        expected,
        expected,
    ))
}

/// A tensor. Its index has been checked.
fn tensor<'s>(sections: &Sections<'s>, index: usize) -> Result<&'s Tensor, ImageError> {
    let last = sections.tensors.len().saturating_sub(1);
    let missing = || out_of_range(HEADER, "tensor", index, 0, last);
    sections.tensors.get(index).ok_or_else(missing)
}

/// A step. There are as many as it is one of.
fn step<'s>(sections: &Sections<'s>, index: usize) -> Result<&'s Step, ImageError> {
    let last = sections.steps.len().saturating_sub(1);
    let missing = || out_of_range(HEADER, "layer", index, 0, last);
    sections.steps.get(index).ok_or_else(missing)
}

/// When a tensor is needed: always, were nothing known of it.
fn needed(lives: &[Life], tensor: usize) -> Life {
    let always = Life {
        from: 0,
        to: usize::MAX,
    };
    lives.get(tensor).copied().unwrap_or(always)
}

/// How many channels of its output a step writes; that they are those of no other step.
fn written(sections: &Sections<'_>, index: usize) -> Result<usize, ImageError> {
    let step = step(sections, index)?;
    let tensor = usize::from(step.output);
    let Some(part) = part(sections, index)? else {
        return Ok(self::tensor(sections, tensor)?.channels());
    };
    for (place, later) in sections.steps.iter().enumerate().skip(index + 1) {
        if later.output == step.output
            && let Some(other) = self::part(sections, place)?
            && overlap(&part, &other)
        {
            return Err(ImageError::Overlap {
                first: at("layer", index),
                second: at("layer", place),
            });
        }
    }
    Ok(part.len())
}

/// The channels of the output that a part of a concatenation writes; `None` for other operators.
fn part(sections: &Sections<'_>, index: usize) -> Result<Option<Range<usize>>, ImageError> {
    let step = step(sections, index)?;
    Ok(match operator(index, step)? {
        Operator::ConcatPart | Operator::ConcatInPlace => {
            let first = usize::from(step.geometry[0]);
            let part = tensor(sections, step.inputs[0].into())?;
            let whole = tensor(sections, step.output.into())?;
            // A part of another shape is read as the whole's positions.
            Some(first..first + part.len() / whole.positions().max(1))
        }
        _ => None,
    })
}

/// Checks the parts that lie in place: the whole is needed from when the first of them is.
fn extend_over_parts(sections: &Sections<'_>, lives: &mut [Life]) -> Result<(), ImageError> {
    for (index, step) in sections.steps.iter().enumerate() {
        if operator(index, step)? != Operator::ConcatInPlace {
            continue;
        }
        let (part, whole) = (usize::from(step.inputs[0]), usize::from(step.output));
        let (a, b) = (tensor(sections, part)?, tensor(sections, whole)?);
        let (place, first) = (at("layer", index), usize::from(step.geometry[0]));
        let expected = b.offset as usize + first;
        let what = "byte of the arena where the part in its place lies";
        check_range(place, what, a.offset as usize, expected, expected)?;
        let what = "number of positions of a whole with a part in its place";
        check_range(place, what, b.positions(), 1, 1)?;
        let what = "end of the part in its place";
        check_range(place, what, first + a.len(), 0, b.len())?;
        let from = needed(lives, part).from;
        if let Some(whole) = lives.get_mut(whole) {
            whole.from = whole.from.min(from);
        }
    }
    Ok(())
}

fn check_tensors(sections: &Sections<'_>, lives: &[Life]) -> Result<(), ImageError> {
    let arena = (sections.header.arena_words as usize).saturating_mul(4);
    for (first, tensor) in sections.tensors.iter().enumerate() {
        let bytes = bytes(tensor);
        check_range(at("tensor", first), END, bytes.end, 0, arena)?;
        for (second, other) in sections.tensors.iter().take(first).enumerate() {
            let (a, b) = (needed(lives, first), needed(lives, second));
            let together = a.from <= b.to && b.from <= a.to;
            if together
                && overlap(&bytes, &self::bytes(other))
                && !may_share(sections, first, second, lives)?
                && !may_share(sections, second, first, lives)?
            {
                return Err(ImageError::Overlap {
                    first: at("tensor", second),
                    second: at("tensor", first),
                });
            }
        }
    }
    Ok(())
}

/// Whether a step turns `from` into `to` where it lies: a part in its place, or a ReLU whose input nobody reads after it.
fn may_share(
    sections: &Sections<'_>,
    from: usize,
    to: usize,
    lives: &[Life],
) -> Result<bool, ImageError> {
    for (index, step) in sections.steps.iter().enumerate() {
        if usize::from(step.inputs[0]) != from || usize::from(step.output) != to {
            continue;
        }
        let shares = match operator(index, step)? {
            Operator::ConcatInPlace => true,
            Operator::Relu => {
                let (a, b) = (tensor(sections, from)?, tensor(sections, to)?);
                a.offset == b.offset && needed(lives, from).to == index + 1
            }
            _ => false,
        };
        if shares {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks that no layer writes where it reads, but for the two that do so by nature: a tensor that is a part in its place may
/// not be copied into the same whole as well.
fn check_steps(sections: &Sections<'_>) -> Result<(), ImageError> {
    for (index, step) in sections.steps.iter().enumerate() {
        let in_place = matches!(
            operator(index, step)?,
            Operator::ConcatInPlace | Operator::Relu
        );
        if in_place || step.output == NONE {
            continue;
        }
        let output = bytes(tensor(sections, step.output.into())?);
        for input in step.inputs.iter().filter(|input| **input != NONE) {
            let input = usize::from(*input);
            if overlap(&output, &bytes(tensor(sections, input)?)) {
                return Err(ImageError::Overlap {
                    first: at("layer", index),
                    second: at("tensor", input),
                });
            }
        }
    }
    Ok(())
}

fn check_scratch(sections: &Sections<'_>, lives: &[Life]) -> Result<(), ImageError> {
    let arena = (sections.header.arena_words as usize).saturating_mul(4);
    for (index, step) in sections.steps.iter().enumerate() {
        let layer = Layer::bind(index, step, sections.tensors, sections.image)?;
        let scratch = scratch(step, &layer);
        check_range(at("layer", index), END, scratch.end, 0, arena)?;
        for (tensor, (record, life)) in sections.tensors.iter().zip(lives).enumerate() {
            let needed = (life.from..=life.to).contains(&(index + 1));
            if needed && overlap(&scratch, &bytes(record)) {
                return Err(ImageError::Overlap {
                    first: at("layer", index),
                    second: at("tensor", tensor),
                });
            }
        }
    }
    Ok(())
}

/// The bytes of the arena that a tensor takes.
pub(super) const fn bytes(tensor: &Tensor) -> Range<usize> {
    let start = tensor.offset as usize;
    start..start.saturating_add(tensor.len())
}

/// The bytes of the arena that a step's scratch memory takes.
pub(super) fn scratch(step: &Step, layer: &Layer<'_>) -> Range<usize> {
    let start = step.scratch as usize;
    start..start.saturating_add(layer.scratch_len().saturating_mul(4))
}

/// Whether two ranges have anything in common.
fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}
