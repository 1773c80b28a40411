//! A device image from anywhere, for either task: refused, or run, with the same logits whatever the arena held before and
//! however the run is cut into parts.
//!
//! The first byte says what the rest is: a whole image, or changes to a shipped one, four bytes each: a place, what is done
//! there, and a value. Length and CRC are made right, for a fuzzer cannot guess them.

#![no_main]

use heartlens_core::model::{Aligned, Logits, Model, Task, ViewValues, checksum};
use heartlens_core::strip::{StripView, StripViews};
use heartlens_core::views::Views;
use libfuzzer_sys::fuzz_target;
use std::task::Poll;

const BEAT: &[u8] = include_bytes!("../../models/beat/model.hlm");
const STRIP: &[u8] = include_bytes!("../../models/beat/strip.hlm");

/// Where an image has its length, and the CRC behind it.
const LEN_AT: usize = 8;
/// Bytes of a shipped image before its weights: most changes are there.
const TABLES: usize = 2048;
/// Room for any image here.
const ROOM: usize = 32 << 10;
/// Words of an arena, and multiply-accumulates, beyond which an image is checked but not run.
const MAX_WORDS: usize = 1 << 16;
const MAX_MACS: usize = 1 << 22;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let task = Task::ALL[usize::from(kind & 1)];
    let mut place = Aligned([0_u8; ROOM]);
    let image = match kind & 2 {
        0 => changed(task, rest, &mut place.0),
        _ => {
            let image = &mut place.0[..rest.len().min(ROOM)];
            image.copy_from_slice(&rest[..image.len()]);
            image
        }
    };
    if image.len() >= LEN_AT + 8 {
        let len = image.len() as u32;
        image[LEN_AT..][..4].copy_from_slice(&len.to_le_bytes());
        let crc = checksum(image);
        image[LEN_AT + 4..][..4].copy_from_slice(&crc.to_le_bytes());
    }
    match Model::load_for(image, task) {
        Ok(model) => look_and_run(model),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
});

/// A shipped image, changed.
fn changed<'p>(task: Task, changes: &[u8], place: &'p mut [u8]) -> &'p mut [u8] {
    let shipped = match task {
        Task::Beat => BEAT,
        Task::Strip => STRIP,
    };
    let image = &mut place[..shipped.len()];
    image.copy_from_slice(shipped);
    for change in changes.as_chunks::<4>().0 {
        let [low, high, how, value] = *change;
        let within = if how & 1 == 0 { TABLES } else { image.len() };
        let byte = &mut image[usize::from(u16::from_le_bytes([low, high])) % within];
        *byte = match how & 2 {
            0 => value,
            _ => byte.wrapping_add(value),
        };
    }
    image
}

fn look_and_run(model: Model<'_>) {
    assert!(model.name().len() <= 32);
    assert!(
        model
            .priors()
            .iter()
            .all(|prior| (0.0..=1.0).contains(prior))
    );
    for (view, tensor) in model.inputs() {
        assert_eq!(tensor.shape, view.tensor_shape());
    }
    assert!(model.layers().count() > 0 && model.params() <= model.image_len());
    if model.arena_words() > MAX_WORDS || model.macs() > MAX_MACS {
        return;
    }
    match model.task() {
        Task::Beat => {
            let mut views = Views::ZERO;
            fill(&mut views.waveform);
            fill(&mut views.spectrum);
            fill(&mut views.spectrogram);
            fill(&mut views.metadata);
            run(model, &views);
        }
        Task::Strip => {
            let mut views = StripViews::ZERO;
            for view in StripView::ALL {
                fill(views.get_mut(view));
            }
            run(model, &views);
        }
    }
}

/// Values of every size and sign.
fn fill(values: &mut [f32]) {
    for (i, value) in values.iter_mut().enumerate() {
        *value = ((i * 37 % 101) as f32 - 50.0) / 16.0;
    }
}

fn run(model: Model<'_>, views: &impl ViewValues) {
    let bits = |logits: Logits| logits.map(f32::to_bits);
    let mut arenas = [vec![0; model.arena_words()], vec![-1; model.arena_words()]];
    let [zeros, ones] = &mut arenas;
    let whole = model.executor(zeros).expect("room").run(views);
    let mut executor = model.executor(ones).expect("room");
    let mut part = 0;
    let in_parts = loop {
        if let (_, Poll::Ready(logits)) = executor.run_part(views, part) {
            break logits;
        }
        part += 1;
    };
    assert_eq!(bits(whole), bits(in_parts));
}
