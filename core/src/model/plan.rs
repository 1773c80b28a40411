//! The check of an image's memory plan: what a network needs at one time lies apart.
//!
//! Time 0 is when the views are quantised, time `i + 1` is step `i`. A tensor is needed from when its first element is
//! written to when it is last read.

use super::error::ImageError;
use super::format::{MAX_TENSORS, Operator, Step, Tensor};
use super::layer::{Layer, operator};
use super::sections::Sections;
use core::ops::Range;

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
    check_scratch(sections, &lives)
}

/// When `tensor` is needed, and whether it is complete by then.
fn life(sections: &Sections<'_>, tensor: usize) -> Result<Life, ImageError> {
    let expected = sections.tensors[tensor].channels();
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
                    step: index,
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
    let written = ImageError::Written {
        tensor,
        found,
        expected,
    };
    let early = |(_, step): &(usize, &Step)| step.reads(tensor);
    if let Some((step, _)) = sections.steps.iter().enumerate().take(complete).find(early) {
        return Err(ImageError::Early { step, tensor });
    }
    life.filter(|_| found == expected).ok_or(written)
}

/// How many channels of its output a step writes; that they are those of no other step.
fn written(sections: &Sections<'_>, index: usize) -> Result<usize, ImageError> {
    let step = &sections.steps[index];
    let tensor = usize::from(step.output);
    let Some(part) = part(sections, index)? else {
        return Ok(sections.tensors[tensor].channels());
    };
    for other in index + 1..sections.steps.len() {
        if sections.steps[other].output == step.output
            && let Some(other) = self::part(sections, other)?
            && overlap(&part, &other)
        {
            return Err(ImageError::Written {
                tensor,
                found: part.len() + other.len(),
                expected: sections.tensors[tensor].channels(),
            });
        }
    }
    Ok(part.len())
}

/// The channels of the output that a part of a concatenation writes; `None` for other operators.
fn part(sections: &Sections<'_>, index: usize) -> Result<Option<Range<usize>>, ImageError> {
    let step = &sections.steps[index];
    Ok(match operator(index, step)? {
        Operator::ConcatPart | Operator::ConcatInPlace => {
            let first = usize::from(step.geometry[0]);
            let [part, whole] =
                [step.inputs[0], step.output].map(|tensor| &sections.tensors[usize::from(tensor)]);
            // A part of another shape is read as the whole's positions.
            Some(first..first + part.len() / whole.positions())
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
        let (a, b) = (&sections.tensors[part], &sections.tensors[whole]);
        let expected = b.offset as usize + usize::from(step.geometry[0]);
        let at_one_position = b.positions() == 1;
        let inside = usize::from(step.geometry[0]) + a.len() <= b.len();
        if a.offset as usize != expected || !at_one_position || !inside {
            return Err(ImageError::NotInPlace {
                step: index,
                found: a.offset as usize,
                expected,
            });
        }
        lives[whole].from = lives[whole].from.min(lives[part].from);
    }
    Ok(())
}

fn check_tensors(sections: &Sections<'_>, lives: &[Life]) -> Result<(), ImageError> {
    let arena = (sections.header.arena_words as usize).saturating_mul(4);
    for (first, tensor) in sections.tensors.iter().enumerate() {
        let bytes = bytes(tensor);
        if bytes.end > arena {
            return Err(ImageError::TensorOutside {
                tensor: first,
                end: bytes.end,
                arena,
            });
        }
        for (second, other) in sections.tensors[..first].iter().enumerate() {
            let (a, b) = (lives[first], lives[second]);
            let together = a.from <= b.to && b.from <= a.to;
            if together
                && overlap(&bytes, &self::bytes(other))
                && !may_share(sections, first, second, lives)?
                && !may_share(sections, second, first, lives)?
            {
                return Err(ImageError::TensorOverlap {
                    first: second,
                    second: first,
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
                let (a, b) = (&sections.tensors[from], &sections.tensors[to]);
                a.offset == b.offset && lives[from].to == index + 1
            }
            _ => false,
        };
        if shares {
            return Ok(true);
        }
    }
    Ok(false)
}

fn check_scratch(sections: &Sections<'_>, lives: &[Life]) -> Result<(), ImageError> {
    let arena = (sections.header.arena_words as usize).saturating_mul(4);
    for (index, step) in sections.steps.iter().enumerate() {
        let layer = Layer::bind(index, step, sections.tensors, sections.image)?;
        let scratch = scratch(step, &layer);
        if scratch.end > arena {
            return Err(ImageError::ScratchOutside {
                step: index,
                end: scratch.end,
                arena,
            });
        }
        for (tensor, (record, life)) in sections.tensors.iter().zip(lives).enumerate() {
            let needed = (life.from..=life.to).contains(&(index + 1));
            if needed && overlap(&scratch, &bytes(record)) {
                return Err(ImageError::ScratchOverlap {
                    step: index,
                    tensor,
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
