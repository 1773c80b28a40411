//! What is wrong with an image is named, with what was found and what was expected.

use crate::programs::{random, smallest};
use heartlens::compile::image::{AlignedImage, WriteError, write};
use heartlens::compile::program::{self, Operator, Program, TensorId};
use heartlens_core::model::format::{self, Header, Input, Label, Step, Tensor};
use heartlens_core::model::{ImageError, Model, Place, checksum, stated_len};
use heartlens_core::nn::{Channel, LayerError, Operand, WindowShape};
use heartlens_core::spec::{FEATURES_VERSION, HASH};
use heartlens_core::views::View;
use std::mem::offset_of;

/// The smallest image with some bytes replaced, length and CRC right.
fn with(at: usize, bytes: &[u8]) -> Result<(), ImageError> {
    let image = write(&smallest()).expect("an image");
    loaded(image, at, bytes)
}

fn loaded(mut image: Vec<u8>, at: usize, bytes: &[u8]) -> Result<(), ImageError> {
    image[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = checksum(&image).to_le_bytes();
    image[offset_of!(Header, crc)..][..4].copy_from_slice(&crc);
    Model::load(AlignedImage::new(&image).bytes()).map(drop)
}

const LABELS: usize = size_of::<Header>();
const INPUTS: usize = LABELS + 4 * size_of::<Label>();
const TENSORS: usize = INPUTS + size_of::<Input>();
const STEPS: usize = TENSORS + size_of::<Tensor>();

#[test]
fn an_image_for_another_build_is_named_with_both_values() {
    let cases = [
        (
            with(0, b"ONNX"),
            "begins with \"ONNX\", but a device image begins with \"HLM\\x1a\"".to_owned(),
        ),
        (
            with(offset_of!(Header, version), &2_u32.to_le_bytes()),
            "format version 2, but this build reads version 1: compile the model again, or update"
                .to_owned(),
        ),
        (
            with(offset_of!(Header, spec_hash), &0x1234_u64.to_le_bytes()),
            format!(
                "spec hash 0000000000001234, but this build's features have {HASH:016x}: train and compile the model again"
            ),
        ),
        (
            with(offset_of!(Header, features_version), &77_u32.to_le_bytes()),
            format!("header: features version is 77, but must be {FEATURES_VERSION}"),
        ),
        (
            with(offset_of!(Header, labels), &3_u16.to_le_bytes()),
            "header: labels is 3, but must be 4".to_owned(),
        ),
        (
            with(LABELS + size_of::<Label>(), b"A"),
            "label 1: the name is \"A\", expected S".to_owned(),
        ),
        (
            with(LABELS + offset_of!(Label, prior), &1.5_f32.to_le_bytes()),
            "label 0: prior is 1.5, but must be from 0 to 1".to_owned(),
        ),
        (
            with(offset_of!(Header, name), &[0xff]),
            "header: the name is \"\\xffmallest\", expected UTF-8 that ends inside its table"
                .to_owned(),
        ),
        (
            with(offset_of!(Header, flags), &8_u32.to_le_bytes()),
            "header: flags is 8, but must be from 0 to 1".to_owned(),
        ),
        (
            with(offset_of!(Header, steps), &200_u16.to_le_bytes()),
            "header: steps is 200, but must be from 1 to 128".to_owned(),
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(result.expect_err("an error").to_string(), expected);
    }
}

#[test]
fn tables_that_contradict_views_or_operators_are_named() {
    let cases = [
        (
            with(INPUTS, &9_u16.to_le_bytes()),
            "input 0: view is 9, but must be from 0 to 3",
        ),
        (
            with(INPUTS, &(View::Spectrum as u16).to_le_bytes()),
            "input spectrum: shape [1, 1, 46], but the view has [1, 64, 2]",
        ),
        (
            with(INPUTS + offset_of!(Input, tensor), &1_u16.to_le_bytes()),
            "input 0: tensor is 1, but must be 0",
        ),
        (
            with(
                INPUTS + offset_of!(Input, first_scale),
                &0_u16.to_le_bytes(),
            ),
            "input 0: end of its scales is 46, but must be from 1 to 0",
        ),
        (
            with(
                TENSORS + offset_of!(Tensor, shape) + 4,
                &0_u16.to_le_bytes(),
            ),
            "tensor 0: elements is 0, but must be from 1 to 1048576",
        ),
        (
            with(TENSORS + offset_of!(Tensor, scale), &0.0_f32.to_le_bytes()),
            "tensor 0: scale is 0, but must be finite and above 0",
        ),
        (
            with(TENSORS + offset_of!(Tensor, name), &999_u16.to_le_bytes()),
            "tensor 0: the name is \"\", expected UTF-8 that ends inside its table",
        ),
        (
            with(
                TENSORS + offset_of!(Tensor, offset),
                &9999_u32.to_le_bytes(),
            ),
            "tensor 0: end of its memory in the arena is 10045, but must be from 0 to 240",
        ),
        (
            with(STEPS, &12_u16.to_le_bytes()),
            "layer 0: operator is 12, but must be from 1 to 11",
        ),
        (
            with(STEPS, &3_u16.to_le_bytes()),
            "layer 0: unused size is 12, but must be 0",
        ),
        (
            with(STEPS + offset_of!(Step, output), &0_u16.to_le_bytes()),
            "layer 0: output is 0, but must be 65535",
        ),
        (
            with(
                STEPS + offset_of!(Step, geometry) + 2,
                &17_u16.to_le_bytes(),
            ),
            "layer 0: bits after the binary point is 17, but must be from 0 to 16",
        ),
        (
            with(STEPS + offset_of!(Step, data), &(1_u32 << 31).to_le_bytes()),
            "layer 0: end of its weights is 2147483840, but must be from 0 to 448",
        ),
        (
            with(STEPS + offset_of!(Step, scratch), &20_u32.to_le_bytes()),
            "layer 0 and tensor 0 share memory while both are needed",
        ),
        (
            with(STEPS + offset_of!(Step, scratch), &100_u32.to_le_bytes()),
            "layer 0: end of its memory in the arena is 292, but must be from 0 to 240",
        ),
        (
            with(STEPS + offset_of!(Step, scratch), &1_u32.to_le_bytes()),
            "layer 0: working memory modulo 4 is 1, but must be 0",
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(result.expect_err("an error").to_string(), expected);
    }
}

/// The image of a program, changed in the tables of its tensors or steps.
fn changed(
    program: &Program,
    table: impl Fn(&Header) -> (usize, usize),
    index: usize,
    field: usize,
    bytes: &[u8],
) -> String {
    let image = write(program).expect("an image");
    let aligned = AlignedImage::new(&image);
    let header = bytemuck::from_bytes(&aligned.bytes()[..size_of::<Header>()]);
    let (start, size) = table(header);
    let error = loaded(image, start + index * size + field, bytes).expect_err("an error");
    error.to_string()
}

/// Where the table of tensors begins in an image, and the size of a tensor in it.
pub(crate) fn tensor_table(header: &Header) -> (usize, usize) {
    let inputs = usize::from(header.inputs) * size_of::<Input>();
    (INPUTS + inputs, size_of::<Tensor>())
}

/// Where the table of steps begins in an image, and the size of a step in it.
pub(crate) fn step_table(header: &Header) -> (usize, usize) {
    let (tensors, size) = tensor_table(header);
    let scales = 4 * usize::from(header.scales);
    (
        tensors + usize::from(header.tensors) * size + scales,
        size_of::<Step>(),
    )
}

#[test]
fn a_memory_plan_that_does_not_hold_is_named() {
    let offset = offset_of!(Tensor, offset);
    // The convolution reads 192 bytes and writes 288, and has them at the arena's beginning.
    assert_eq!(
        changed(&chain(), tensor_table, 0, offset, &280_u32.to_le_bytes()),
        "tensor 0 and tensor 1 share memory while both are needed"
    );
    let (program, number) = (parts(), |n: u16| n.to_le_bytes());
    // "left" and "right" lie in "both", of which the plan makes one block.
    let field = offset_of!(Step, inputs);
    assert_eq!(
        changed(&program, step_table, 1, field, &number(2)),
        "layer 1: reads tensor 2 before it is complete"
    );
    let field = offset_of!(Step, geometry);
    assert_eq!(
        changed(&program, step_table, 3, field, &number(1)),
        "layer 1 and layer 3 share memory while both are needed"
    );
    let field = offset_of!(Step, output);
    assert_eq!(
        changed(&program, step_table, 2, field, &number(1)),
        "layer 1: reads tensor 1 before it is complete"
    );
    let image = write(&program).expect("an image");
    let aligned = AlignedImage::new(&image);
    let model = Model::load(aligned.bytes()).expect("an image");
    let in_place = model
        .layers()
        .filter(|layer| layer.operator == format::Operator::ConcatInPlace);
    assert_eq!(in_place.count(), 2);
    assert_eq!(
        changed(&program, tensor_table, 1, offset, &56_u32.to_le_bytes()),
        "layer 1: byte of the arena where the part in its place lies is 56, but must be 240"
    );
}

/// Two dense layers of the metadata, side by side, and the logits.
fn parts() -> Program {
    let program = chain();
    let (tensor, decide) = (program.tensors[2].clone(), program.steps[2].clone());
    let channel = Channel {
        bias: 5,
        multiplier: 1 << 24,
    };
    let vector = |name: &str, channels| program::Tensor {
        name: name.to_owned(),
        shape: [1, 1, channels],
        ..tensor.clone()
    };
    let dense = || Operator::Dense {
        weights: vec![3; 3 * 46],
        channels: vec![channel; 3],
    };
    let part = |offset| Operator::ConcatPart {
        offset,
        operand: None,
    };
    let step = |name: &str, from, to, operator| program::Step {
        name: name.to_owned(),
        inputs: vec![TensorId(from)],
        output: Some(TensorId(to)),
        operator,
    };
    Program {
        tensors: vec![
            vector("metadata", 46),
            vector("left", 3),
            vector("right", 3),
            vector("both", 6),
        ],
        inputs: smallest().inputs,
        steps: vec![
            step("a", 0, 1, dense()),
            step("b", 1, 3, part(0)),
            step("c", 0, 2, dense()),
            step("d", 2, 3, part(3)),
            program::Step {
                inputs: vec![TensorId(3)],
                operator: Operator::Logits {
                    weights: vec![1; 24],
                    channels: vec![channel; 4],
                    fraction_bits: 8,
                },
                ..decide
            },
        ],
        ..program
    }
}

/// A convolution of the waveform, a pool, and the logits.
fn chain() -> Program {
    let channel = Channel {
        bias: 5,
        multiplier: 1 << 24,
    };
    let tensor = |name: &str, shape| program::Tensor {
        name: name.to_owned(),
        shape,
        scale: 0.05,
        zero_point: 0,
    };
    let step = |name: &str, from, to: Option<usize>, operator| program::Step {
        name: name.to_owned(),
        inputs: vec![TensorId(from)],
        output: to.map(TensorId),
        operator,
    };
    let global = WindowShape::global(1, 96, 3);
    Program {
        tensors: vec![
            tensor("waveform", [1, 96, 2]),
            tensor("features", [1, 96, 3]),
            tensor("means", [1, 1, 3]),
        ],
        inputs: vec![program::Input {
            name: "waveform".to_owned(),
            tensor: TensorId(0),
            channel_scales: vec![0.05, 0.04],
        }],
        steps: vec![
            step(
                "look",
                0,
                Some(1),
                Operator::Convolution {
                    window: WindowShape::line(96, 2, 3, 1, [1, 1]),
                    weights: (0..18).collect(),
                    channels: vec![channel; 3],
                },
            ),
            step("mean", 1, Some(2), Operator::AveragePool { window: global }),
            step(
                "decide",
                2,
                None,
                Operator::Logits {
                    weights: (0..12).collect(),
                    channels: vec![channel; 4],
                    fraction_bits: 8,
                },
            ),
        ],
        ..smallest()
    }
}

#[test]
fn programs_that_contradict_themselves_have_no_image() {
    let refusal = |change: &dyn Fn(&mut Program)| {
        let mut program = chain();
        change(&mut program);
        write(&program).expect_err("no image").to_string()
    };
    let weights = |change: &dyn Fn(&mut Vec<i8>, &mut Vec<Channel>)| {
        refusal(&|program| {
            if let Operator::Convolution {
                weights, channels, ..
            } = &mut program.steps[0].operator
            {
                change(weights, channels);
            }
        })
    };
    let cases = [
        (
            refusal(&|program| program.name = "m".repeat(33)),
            format!(
                "model: the name \"{}\" has 33 bytes, expected at most 32",
                "m".repeat(33)
            ),
        ),
        (
            refusal(&|program| program.inputs[0].name = "ecg".to_owned()),
            "the network reads \"ecg\", expected waveform, spectrum, spectrogram or metadata"
                .to_owned(),
        ),
        (
            refusal(&|program| program.inputs[0].channel_scales.push(1.0)),
            "input waveform: number of channel scales is 3, expected 0 or 2".to_owned(),
        ),
        (
            refusal(&|program| program.priors.truncate(2)),
            "labels: number of priors is 2, expected 4".to_owned(),
        ),
        (
            refusal(&|program| program.labels.swap(0, 1)),
            "the image would be refused: label 0: the name is \"S\", expected N".to_owned(),
        ),
        (
            refusal(&|program| program.steps[0].inputs[0] = TensorId(8)),
            "layer look: tensor is 8, expected one of 3".to_owned(),
        ),
        (
            refusal(&|program| program.steps[1].output = None),
            "layer mean: number of outputs is 0, expected 1".to_owned(),
        ),
        (
            refusal(&|program| program.tensors[1].shape[1] = 70_000),
            "tensor features: a side is 70000, expected less than 65535".to_owned(),
        ),
        (
            refusal(&|program| program.tensors[1].shape[1] = 95),
            "the image would be refused: layer 0: elements of the output is 285, but must be 288"
                .to_owned(),
        ),
        (
            weights(&|weights, _| weights.truncate(17)),
            "layer look: weights: found 17 elements, the geometry asks for 18".to_owned(),
        ),
        (
            weights(&|_, channels| channels[1].multiplier = -1),
            "layer look: multiplier is -1, but must be from 0 to 2147483647".to_owned(),
        ),
        (
            refusal(&|program| program.steps.truncate(2)),
            "the image would be refused: layer 1: operator of the last layer is 6, but must be 4"
                .to_owned(),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let mut program = parts();
    program.steps[1].operator = Operator::ConcatPart {
        offset: 0,
        operand: Some(Operand {
            zero_point: 0,
            multiplier: 0,
        }),
    };
    assert_eq!(
        write(&program).expect_err("no image").to_string(),
        "layer b: multiplier of an operand is 0, expected above 0"
    );
    let layer = write(&{
        let mut program = chain();
        program.steps[1].operator = Operator::MaxPool {
            window: WindowShape::line(0, 3, 3, 1, [0, 0]),
        };
        program
    });
    assert!(
        matches!(
            layer,
            Err(WriteError::Refused(ImageError::Value {
                place: Place {
                    table: "layer",
                    index: 1,
                    ..
                },
                error: LayerError::Range { .. }
            }))
        ),
        "{layer:?}"
    );
}

#[test]
fn an_image_between_two_words_is_refused_by_its_address() {
    let image = write(&smallest()).expect("an image");
    for shift in 1..8 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(&image);
        let shifted = AlignedImage::new(&shifted);
        let error = Model::load(&shifted.bytes()[shift..]).expect_err("an error");
        assert_eq!(
            error,
            ImageError::Alignment {
                found: shift,
                expected: 8
            }
        );
    }
}

#[test]
fn a_slot_of_flash_tells_how_long_its_image_is() {
    let image = write(&random(2)).expect("an image");
    let mut slot = image.clone();
    slot.resize(image.len() + 1000, 0xff);
    let slot = AlignedImage::new(&slot);
    let len = stated_len(slot.bytes()).expect("an image");
    assert_eq!(len, image.len());
    assert!(Model::load(&slot.bytes()[..len]).is_ok());
    let empty = AlignedImage::new(&[0xff; 256]);
    assert!(matches!(
        stated_len(empty.bytes()),
        Err(ImageError::Magic { .. })
    ));
}
