//! Running an image is running its program.

use crate::hostile::seal;
use crate::programs::{random, smallest, views};
use crate::reference;
use crate::refusals::{step_table, tensor_table};
use heartlens::compile::image::{AlignedImage, write};
use heartlens::compile::program::{Operator, Program};
use heartlens_core::model::format::{Header, Step, Tensor};
use heartlens_core::model::{ImageError, Model, Progress};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::mem::offset_of;

/// Words behind the arena that nobody may touch.
const GUARD: usize = 16;
const SENTINEL: i32 = 0x7ea5_71fe;

/// Runs an image and its program on some beats and compares logits and every tensor that a step writes.
fn compare(program: &Program, seed: u64) {
    let image =
        AlignedImage::new(&write(program).unwrap_or_else(|e| panic!("{}: {e}", program.name)));
    let model = Model::load(image.bytes()).expect("an image");
    let mut arena = vec![SENTINEL; model.arena_words() + GUARD];
    for beat in 0..3 {
        let views = views(seed + beat);
        let (expected, tensors) = reference::run(program, &views);
        let mut executor = model
            .executor(&mut arena)
            .expect("the arena is large enough");
        let found = executor.run_layers(&views, |progress, executor| {
            let written = match progress {
                Progress::Quantised(input) => Some(program.inputs[input].tensor),
                Progress::Computed(step) => program.steps[step].output,
                Progress::Computing(_) => None,
            };
            let later = |step: usize| {
                program.steps[step + 1..]
                    .iter()
                    .any(|s| s.output == written)
            };
            let unfinished = matches!(progress, Progress::Computed(step) if later(step));
            assert_eq!(executor.output(progress).is_some(), written.is_some());
            if let (Some((info, values)), Some(tensor), false) =
                (executor.output(progress), written, unfinished)
            {
                assert_eq!(info.name, program.tensors[tensor.0].name);
                assert_eq!(values, tensors[tensor.0], "{}: {}", program.name, info.name);
            }
        });
        assert_eq!(found, expected, "{}", program.name);
        assert_eq!(executor.run(&views), expected, "{} once more", program.name);
        assert!(
            arena[model.arena_words()..]
                .iter()
                .all(|word| *word == SENTINEL)
        );
    }
}

#[test]
fn the_smallest_image_is_its_program() {
    compare(&smallest(), 1);
}

#[test]
fn images_of_all_operators_are_their_programs_to_the_bit() {
    let mut operators = HashSet::new();
    let mut logits = HashSet::new();
    for seed in 0..300 {
        let program = random(seed);
        for step in &program.steps {
            operators.insert(std::mem::discriminant(&step.operator));
        }
        compare(&program, seed);
        let (found, _) = reference::run(&program, &views(seed));
        logits.extend(found.map(f32::to_bits));
    }
    assert_eq!(operators.len(), 10);
    assert!(logits.len() > 1000, "{} different logits", logits.len());
}

/// Whatever memory plan the loader takes gives the right bits: tensors and scratch memory are moved at random.
#[test]
fn every_plan_that_is_taken_is_sound() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..120 {
        let program = random(seed);
        let views = views(seed);
        let (expected, _) = reference::run(&program, &views);
        let original = AlignedImage::new(&write(&program).expect("an image"));
        let header = bytemuck::from_bytes::<Header>(&original.bytes()[..size_of::<Header>()]);
        let arena_bytes = 4 * header.arena_words;
        let (tensors, steps) = (tensor_table(header), step_table(header));
        for _ in 0..60 {
            let mut image = original.bytes().to_vec();
            for _ in 0..rng.random_range(1..3) {
                let offset = rng.random_range(0..arena_bytes);
                let (table, count, field, offset) = match rng.random_bool(0.7) {
                    true => (tensors, header.tensors, offset_of!(Tensor, offset), offset),
                    false => (
                        steps,
                        header.steps,
                        offset_of!(Step, scratch),
                        offset / 4 * 4,
                    ),
                };
                let record = usize::from(rng.random_range(0..count));
                let at = table.0 + record * table.1 + field;
                image[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            }
            seal(&mut image);
            let image = AlignedImage::new(&image);
            let Ok(model) = Model::load(image.bytes()) else {
                refused += 1;
                continue;
            };
            let mut arena = vec![SENTINEL; model.arena_words()];
            let mut executor = model.executor(&mut arena).expect("as large as it says");
            assert_eq!(executor.run(&views), expected, "{}", program.name);
            taken += 1;
        }
    }
    assert!(
        taken > 500 && refused > 500,
        "{taken} taken, {refused} refused"
    );
}

#[test]
fn a_model_tells_what_it_is() {
    let program = random(7);
    let bytes = write(&program).expect("an image");
    let image = AlignedImage::new(&bytes);
    let model = Model::load(image.bytes()).expect("an image");
    assert_eq!(model.name(), "random 7");
    assert_eq!(model.priors().as_slice(), program.priors);
    assert!(model.reads_patient());
    assert_eq!(model.image_len(), bytes.len());
    for (layer, step) in model.layers().zip(&program.steps) {
        assert_eq!(layer.name, step.name);
        let shape = step.output.map(|output| program.tensors[output.0].shape);
        assert_eq!(layer.shape, shape.unwrap_or([1, 1, 4]));
        if let Operator::Dense { weights, channels } = &step.operator {
            assert_eq!(layer.macs, weights.len());
            assert_eq!(layer.params, weights.len() + channels.len());
        }
    }
    assert_eq!(model.layers().count(), program.steps.len());
    for ((view, tensor), input) in model.inputs().zip(&program.inputs) {
        assert_eq!(view.name(), input.name);
        assert_eq!(tensor.channel_scales, input.channel_scales);
    }
    assert_eq!(model.inputs().count(), program.inputs.len());
    assert_eq!(
        heartlens_core::model::arena_words(&bytes),
        model.arena_words()
    );
    let mut small = vec![0; model.arena_words() - 1];
    assert_eq!(
        model.executor(&mut small).err(),
        Some(ImageError::Arena {
            found: model.arena_words() - 1,
            expected: model.arena_words()
        })
    );
}
