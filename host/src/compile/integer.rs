//! A quantised network in core's engine, as the device runs it.

use super::error::CompileError;
use super::image::{AlignedImage, WriteError};
use super::quantise::Quantised;
use heartlens_core::model::{Executor, Logits, Model, Progress, ViewValues};

/// The logits of each beat. `observe` hears of each tensor when it is whole: the beat, the tensor, its elements.
///
/// # Errors
/// When the image cannot be loaded.
pub(super) fn run<V: ViewValues>(
    image: &[u8],
    network: &Quantised,
    beats: &[V],
    mut observe: impl FnMut(usize, usize, &[i8]),
) -> Result<Vec<Logits>, CompileError> {
    let program = &network.program;
    // Of a concatenation, the last part makes it whole.
    let last_writer = |step: usize| {
        let output = program.steps[step].output?;
        let later = &program.steps[step + 1..];
        (!later.iter().any(|step| step.output == Some(output))).then_some(output.0)
    };
    let outputs: Vec<Option<usize>> = (0..program.steps.len()).map(last_writer).collect();
    let image = AlignedImage::new(image);
    let model = Model::load_for(image.bytes(), V::TASK).map_err(WriteError::from)?;
    let mut arena = vec![0; model.arena_words()];
    let mut executor = model.executor(&mut arena).map_err(WriteError::from)?;
    let logits = beats.iter().enumerate().map(|(beat, views)| {
        executor.run_layers(views, |progress, executor: &Executor<'_>| {
            let tensor = match progress {
                Progress::Quantised(input) => Some(program.inputs[input].tensor.0),
                Progress::Computed(step) => outputs[step],
                Progress::Computing(_) => None,
            };
            if let (Some(tensor), Some((_, elements))) = (tensor, executor.output(progress)) {
                observe(beat, tensor, elements);
            }
        })
    });
    Ok(logits.collect())
}
