//! From views to logits: quantise, then step by step in one arena.

use super::format::{Input, NONE, Step};
use super::layer::Layer;
use super::plan::scratch;
use super::scores::Logits;
use super::task::{ViewValues, view};
use super::{ImageError, Model, TensorInfo};
use crate::spec::LABELS;
use core::task::Poll;

/// A loaded network with the memory that it works in. Running it cannot fail, and gives the same bits on every machine.
/// (Were a layer not to run after all, the logits would be NaN, and the beat of class Q.)
#[derive(Debug)]
pub struct Executor<'a> {
    model: Model<'a>,
    /// At least as long as the model says.
    arena: &'a mut [i32],
    run: Run,
}

/// What a run under way has come to besides the arena.
#[derive(Debug)]
struct Run {
    /// The logits as integers.
    wide: [i32; LABELS.len()],
    /// What 1 is worth among them.
    unit: f32,
    /// What has been loaded binds and runs without error; this is where it would show if not.
    sound: bool,
    /// The step that is next, and of it the slice.
    step: usize,
    slice: usize,
}

impl Run {
    const START: Self = Self {
        wide: [0; LABELS.len()],
        unit: 1.0,
        sound: true,
        step: 0,
        slice: 0,
    };
}

/// What [`Executor::run_part`] has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has quantised the network's input of this index.
    Quantised(usize),
    /// It has run the step of this index, or the last slice of it.
    Computed(usize),
    /// It has run a slice of the step of this index, and more of them are to come.
    Computing(usize),
}

/// `x` as an integer: `floor(x * inverse_scale + (zero_point + 128.5)) - 128` in f32, that is, rounded to the nearest,
/// halves up, and saturated. NaN becomes the zero point, which is real zero.
#[inline]
pub fn quantise(x: f32, inverse_scale: f32, zero_point: i8) -> i8 {
    let shifted = x * inverse_scale + (f32::from(zero_point) + 128.5);
    if shifted.is_nan() {
        return zero_point;
    }
    // The conversion rounds towards zero and saturates.
    ((shifted as u8) ^ 0x80).cast_signed()
}

impl<'a> Executor<'a> {
    /// `arena` is long enough for the model.
    pub(super) const fn new(model: Model<'a>, arena: &'a mut [i32]) -> Self {
        Self {
            model,
            arena,
            run: Run::START,
        }
    }

    /// The network.
    pub const fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// The logits of a beat, or of half a minute. Views of another task than the network's make them NaN.
    pub fn run<V: ViewValues>(&mut self, views: &V) -> Logits {
        self.run_layers(views, |_, _| ())
    }

    /// As [`run`](Self::run). `observe` is told of each input and each step when it is done, and may look at its
    /// [`output`](Self::output); [`Model::layers`] names the steps in the same order.
    pub fn run_layers<V: ViewValues>(
        &mut self,
        views: &V,
        mut observe: impl FnMut(Progress, &Self),
    ) -> Logits {
        let mut part = 0;
        loop {
            let (progress, logits) = self.run_part(views, part);
            if !matches!(progress, Progress::Computing(_)) {
                observe(progress, self);
            }
            if let Poll::Ready(logits) = logits {
                return logits;
            }
            part += 1;
        }
    }

    /// One part of a run: one input, or one layer, or a slice of a layer that takes long. The parts are numbered from 0 and run in this order, on the same views;
    /// the last one gives the logits. [`Network::part`](crate::Network::part) is this.
    pub fn run_part<V: ViewValues>(&mut self, views: &V, part: usize) -> (Progress, Poll<Logits>) {
        let sections = self.model.sections;
        if part == 0 {
            self.run = Run::START;
            self.run.sound = V::TASK == self.model.task();
        }
        if let Some(input) = sections.inputs.get(part) {
            if let Some(view) = view(self.model.task(), input.view) {
                self.quantise(input, views.values(view));
            }
            return (Progress::Quantised(part), Poll::Pending);
        }
        let (index, slice) = (self.run.step, self.run.slice);
        let mut slices = 1;
        if let Some(step) = sections.steps.get(index) {
            let done = self.run_layer(index, step, slice);
            self.run.sound &= done.is_some();
            slices = done.unwrap_or(1);
        }
        if slice + 1 < slices {
            self.run.slice += 1;
            return (Progress::Computing(index), Poll::Pending);
        }
        (self.run.step, self.run.slice) = (index + 1, 0);
        let logits = if index + 1 < sections.steps.len() {
            Poll::Pending
        } else if self.run.sound {
            // An int32 becomes the nearest f32, and the unit is a power of two.
            Poll::Ready(self.run.wide.map(|logit| logit as f32 * self.run.unit))
        } else {
            Poll::Ready([f32::NAN; LABELS.len()])
        };
        (Progress::Computed(index), logits)
    }

    /// Puts another network into the arena; the beats that follow are classified by it.
    ///
    /// # Errors
    /// If the arena has fewer words than [`Model::arena_words`]. The network before stays.
    pub fn exchange(&mut self, model: Model<'a>) -> Result<(), ImageError> {
        let (found, expected) = (self.arena.len(), model.arena_words());
        if found < expected {
            return Err(ImageError::Arena { found, expected });
        }
        self.model = model;
        Ok(())
    }

    /// The tensor that has just been written, and its elements, channels last; `None` for the logits, and while more slices are to come. Of a concatenation
    /// whose other parts are still to come, their elements are arbitrary.
    pub fn output(&self, progress: Progress) -> Option<(TensorInfo<'a>, &[i8])> {
        let sections = &self.model.sections;
        let tensor = match progress {
            Progress::Quantised(input) => sections.inputs.get(input)?.tensor,
            Progress::Computed(step) => sections.steps.get(step)?.output,
            Progress::Computing(_) => return None,
        };
        if tensor == NONE {
            return None;
        }
        let elements = self.memory().get(self.model.bytes(tensor))?;
        Some((self.model.tensor(tensor), elements))
    }

    fn quantise(&mut self, input: &Input, values: &[f32]) {
        let sections = self.model.sections;
        // What has been loaded names tensors that there are.
        let Some(tensor) = sections.tensors.get(usize::from(input.tensor)) else {
            return;
        };
        let (channels, zero_point) = (tensor.channels(), tensor.zero_point);
        let place = self.model.bytes(input.tensor);
        let output = self.memory_mut().get_mut(place).unwrap_or_default();
        let channels = channels.max(1);
        for (channel, values) in values
            .chunks_exact((values.len() / channels).max(1))
            .enumerate()
        {
            let scale = match input.first_scale {
                NONE => tensor.scale,
                first => {
                    let scale = sections.scales.get(usize::from(first) + channel);
                    scale.copied().unwrap_or(tensor.scale)
                }
            };
            let inverse = 1.0 / scale;
            let places = output.get_mut(channel..).unwrap_or_default();
            let places = places.iter_mut().step_by(channels);
            for (output, value) in places.zip(values) {
                *output = quantise(*value, inverse, zero_point);
            }
        }
    }

    /// A slice of a layer; the number of its slices. `None` where the layer does not bind or the memory plan does not hold, which
    /// loading has ruled out.
    fn run_layer(&mut self, index: usize, step: &Step, slice: usize) -> Option<usize> {
        let model = self.model;
        let sections = model.sections;
        let layer = &Layer::bind(index, step, sections.tensors, sections.image).ok()?;
        let bytes = |tensor: u16| match tensor {
            NONE => 0..0,
            tensor => model.bytes(tensor),
        };
        let [first, second] = step.inputs.map(bytes);
        let output = bytes(step.output);
        let Self { arena, run, .. } = self;
        let memory: &mut [i8] = bytemuck::must_cast_slice_mut(arena);
        match layer {
            Layer::ConcatInPlace(_) => return Some(1),
            Layer::Relu(relu, _) => {
                for (from, to) in first.zip(output.clone()) {
                    *memory.get_mut(to)? = *memory.get(from)?;
                }
                relu.run(memory.get_mut(output)?);
                return Some(1);
            }
            _ => {}
        }
        // A sum of a tensor with itself reads it once.
        let twice = first == second;
        let other = if twice { 0..0 } else { second };
        let scratch = scratch(step, layer);
        // The memory plan has been checked: nothing overlaps.
        let [a, b, scratch, output] = memory
            .get_disjoint_mut([first, other, scratch, output])
            .ok()?;
        let b = if twice { &*a } else { &*b };
        let scratch = bytemuck::try_cast_slice_mut(scratch).ok()?;
        match layer {
            Layer::Convolution(layer) => layer.run(a, scratch, output),
            Layer::Depthwise(layer) => layer.run(a, scratch, output),
            Layer::Dense(layer) => layer.run(a, scratch, output),
            Layer::Logits(layer) => {
                layer.run(a, scratch, &mut run.wide);
                run.unit = 1.0 / (1_u32 << step.geometry[1]) as f32;
            }
            Layer::MaxPool(layer) => layer.run(a, output),
            Layer::AveragePool(layer) => layer.run(a, scratch, output),
            Layer::Add(layer) => layer.run(a, b, output),
            Layer::ConcatPart(layer) => layer.run(a, output),
            Layer::Lstm(layer) => {
                layer.run_slice(slice, a, scratch, output);
                return Some(layer.slices());
            }
            Layer::ConcatInPlace(_) | Layer::Relu(..) => {}
        }
        Some(1)
    }

    fn memory(&self) -> &[i8] {
        bytemuck::must_cast_slice(self.arena)
    }

    fn memory_mut(&mut self) -> &mut [i8] {
        bytemuck::must_cast_slice_mut(self.arena)
    }
}

#[cfg(test)]
mod tests {
    use super::quantise;

    #[test]
    fn views_round_to_the_nearest_halves_up_and_saturate() {
        for (x, inverse, zero_point, expected) in [
            (0.0, 1.0, 5, 5),
            (0.5, 1.0, 0, 1),
            (-0.5, 1.0, 0, 0),
            (-1.5, 1.0, 0, -1),
            (0.49, 1.0, 0, 0),
            (-0.51, 1.0, 0, -1),
            (3.0, 4.0, -128, -116),
            (-1e30, 1.0, 0, -128),
            (1e30, 1.0, 0, 127),
            (f32::INFINITY, 0.1, 0, 127),
            (f32::NEG_INFINITY, 0.1, 0, -128),
            (f32::NAN, 1.0, -7, -7),
            (127.49, 1.0, 0, 127),
            (-128.5, 1.0, 0, -128),
        ] {
            assert_eq!(
                quantise(x, inverse, zero_point),
                expected,
                "{x} {zero_point}"
            );
        }
    }
}
