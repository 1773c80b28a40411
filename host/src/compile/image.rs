//! The bytes of a device image: `docs/model-image.md`.

use super::pack::Packed;
use super::plan::Plan;
use super::program::{Program, TensorId};
use heartlens_core::model::format::{
    self, ALIGNMENT, Header, Input, Label, MAGIC, NAME_LEN, NONE, READS_PATIENT, Step, Tensor,
    VERSION,
};
use heartlens_core::model::{AnyView, Task};
use heartlens_core::model::{ImageError, Model, checksum};
use heartlens_core::nn::LayerError;

/// Why a network has no image. Every variant names the culprit, what was found and what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// A kernel refuses a step's geometry or weights.
    #[error("layer {step}: {source}")]
    Layer {
        /// The step's name.
        step: String,
        /// What it says.
        source: LayerError,
    },
    /// A number has no place in the image.
    #[error("{bearer}: {what} is {found}, expected {expected}")]
    Number {
        /// The tensor, step or table.
        bearer: String,
        /// What of it.
        what: &'static str,
        /// Its value.
        found: i64,
        /// What would do.
        expected: String,
    },
    /// A name is longer than the image has room for.
    #[error("{bearer}: the name \"{name}\" has {found} bytes, expected at most {expected}")]
    Name {
        /// What bears it.
        bearer: &'static str,
        /// The name.
        name: String,
        /// Its bytes.
        found: usize,
        /// Most bytes.
        expected: usize,
    },
    /// A network reads what is no view.
    #[error("the network reads \"{found}\", expected waveform, spectrum, spectrogram or metadata")]
    View {
        /// The input's name.
        found: String,
    },
    /// What was written would be refused when it is loaded.
    #[error("the image would be refused: {0}")]
    Refused(#[from] ImageError),
}

/// An image at an address from which it can be read in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignedImage {
    words: Vec<u64>,
    len: usize,
}

impl AlignedImage {
    /// A copy of an image, or of any bytes.
    pub fn new(bytes: &[u8]) -> Self {
        const { assert!(align_of::<u64>() >= ALIGNMENT) };
        let mut words = vec![0_u64; bytes.len().div_ceil(size_of::<u64>())];
        bytemuck::must_cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self {
            words,
            len: bytes.len(),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::must_cast_slice(&self.words)[..self.len]
    }
}

/// Writes a quantised network as a device image.
///
/// # Errors
/// If the program contradicts itself, or is larger than the format; what is written has been loaded once.
pub fn write(program: &Program) -> Result<Vec<u8>, WriteError> {
    check_indices(program)?;
    let packed: Vec<Packed> = program
        .steps
        .iter()
        .map(|step| Packed::new(program, step))
        .collect::<Result<_, _>>()?;
    let scratch_words: Vec<usize> = packed.iter().map(|step| step.scratch_words).collect();
    let plan = Plan::new(program, &scratch_words);

    let mut names = Names::default();
    let task = task(program)?;
    let (inputs, scales) = inputs(program)?;
    let tensors = tensors(program, &plan, &mut names)?;
    let mut steps = steps(program, &packed, &plan, &mut names)?;
    let labels = labels(program)?;
    names.fill_up(
        size_of::<Header>()
            + size_of_val(labels.as_slice())
            + size_of_val(inputs.as_slice())
            + size_of_val(tensors.as_slice())
            + size_of_val(scales.as_slice())
            + size_of_val(steps.as_slice()),
    );
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        len: 0,
        crc: 0,
        spec_hash: task.hash(),
        features_version: task.features_version(),
        arena_words: word(plan.words, "arena")?,
        name: filled_up::<NAME_LEN>("model", &program.name)?,
        flags: if program.reads_patient {
            READS_PATIENT
        } else {
            0
        },
        labels: count(&labels, "labels")?,
        inputs: count(&inputs, "inputs")?,
        tensors: count(&tensors, "tensors")?,
        scales: count(&scales, "channel scales")?,
        steps: count(&steps, "steps")?,
        names: count(&names.bytes, "bytes of names")?,
    };

    let mut image = Vec::new();
    for table in [
        bytemuck::bytes_of(&header),
        bytemuck::cast_slice(&labels),
        bytemuck::cast_slice(&inputs),
        bytemuck::cast_slice(&tensors),
        bytemuck::cast_slice(&scales),
    ] {
        image.extend_from_slice(table);
    }
    let mut data = image.len() + size_of_val(steps.as_slice()) + names.bytes.len();
    for (step, packed) in steps.iter_mut().zip(&packed) {
        if !packed.data.is_empty() {
            data = data.next_multiple_of(ALIGNMENT);
            step.data = word(data, "weights")?;
            data += packed.data.len();
        }
    }
    image.extend_from_slice(bytemuck::cast_slice(&steps));
    image.extend_from_slice(&names.bytes);
    for packed in packed.iter().filter(|packed| !packed.data.is_empty()) {
        image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
        image.extend_from_slice(&packed.data);
    }
    seal(&mut image)?;
    Model::load_for(AlignedImage::new(&image).bytes(), task)?;
    Ok(image)
}

/// Writes length and CRC-32 into an image's header, last of all.
fn seal(image: &mut [u8]) -> Result<(), WriteError> {
    let len = word(image.len(), "image")?;
    let at = std::mem::offset_of!(Header, len);
    image[at..at + 4].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(image);
    let at = std::mem::offset_of!(Header, crc);
    image[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Every tensor that is named exists, and each operator has the inputs and the output that it needs.
fn check_indices(program: &Program) -> Result<(), WriteError> {
    let exists = |bearer: String, TensorId(tensor): TensorId| {
        if tensor < program.tensors.len() {
            return Ok(());
        }
        Err(WriteError::Number {
            bearer,
            what: "tensor",
            found: tensor as i64,
            expected: format!("one of {}", program.tensors.len()),
        })
    };
    for input in &program.inputs {
        exists(format!("input {}", input.name), input.tensor)?;
    }
    for step in &program.steps {
        let bearer = format!("layer {}", step.name);
        for tensor in step.inputs.iter().chain(&step.output) {
            exists(bearer.clone(), *tensor)?;
        }
        let (inputs, outputs) = match step.operator {
            super::program::Operator::Add { .. } => (2, 1),
            super::program::Operator::Logits { .. } => (1, 0),
            _ => (1, 1),
        };
        for (what, found, expected) in [
            ("number of inputs", step.inputs.len(), inputs),
            (
                "number of outputs",
                usize::from(step.output.is_some()),
                outputs,
            ),
        ] {
            if found != expected {
                return Err(WriteError::Number {
                    bearer,
                    what,
                    found: found as i64,
                    expected: expected.to_string(),
                });
            }
        }
    }
    Ok(())
}

fn labels(program: &Program) -> Result<Vec<Label>, WriteError> {
    if program.priors.len() != program.labels.len() {
        return Err(WriteError::Number {
            bearer: "labels".to_owned(),
            what: "number of priors",
            found: program.priors.len() as i64,
            expected: program.labels.len().to_string(),
        });
    }
    let labels = program.labels.iter().zip(&program.priors);
    labels
        .map(|(name, prior)| {
            Ok(Label {
                name: filled_up("label", name)?,
                prior: *prior,
            })
        })
        .collect()
}

fn view(input: &super::program::Input) -> Result<AnyView, WriteError> {
    AnyView::named(&input.name).ok_or_else(|| WriteError::View {
        found: input.name.clone(),
    })
}

/// What the network is for: what its first view is of.
fn task(program: &Program) -> Result<Task, WriteError> {
    let first = program.inputs.first().map(view).transpose()?;
    Ok(first.map_or(Task::Beat, AnyView::task))
}

/// The inputs, and the channels' scales of all of them.
fn inputs(program: &Program) -> Result<(Vec<Input>, Vec<f32>), WriteError> {
    let (mut inputs, mut scales) = (Vec::new(), Vec::new());
    for input in &program.inputs {
        let view = view(input)?;
        let channels = program.tensors[input.tensor.0].shape[2];
        let own = input.channel_scales.len();
        if own != 0 && own != channels {
            return Err(WriteError::Number {
                bearer: format!("input {}", input.name),
                what: "number of channel scales",
                found: own as i64,
                expected: format!("0 or {channels}"),
            });
        }
        inputs.push(Input {
            view: view.number(),
            tensor: index(input.tensor)?,
            first_scale: if own == 0 {
                NONE
            } else {
                short(scales.len(), || "channel scales".to_owned(), "their number")?
            },
            reserved: 0,
        });
        scales.extend_from_slice(&input.channel_scales);
    }
    Ok((inputs, scales))
}

fn tensors(program: &Program, plan: &Plan, names: &mut Names) -> Result<Vec<Tensor>, WriteError> {
    let tensors = program.tensors.iter().zip(&plan.tensors);
    tensors
        .map(|(tensor, offset)| {
            let mut shape = [0; 3];
            for (place, side) in shape.iter_mut().zip(tensor.shape) {
                *place = short(side, || format!("tensor {}", tensor.name), "a side")?;
            }
            Ok(Tensor {
                name: names.add("tensor", &tensor.name)?,
                zero_point: tensor.zero_point,
                reserved: 0,
                shape,
                reserved_too: 0,
                scale: tensor.scale,
                offset: word(*offset, "arena")?,
            })
        })
        .collect()
}

/// The steps, all but where their weights begin.
fn steps(
    program: &Program,
    packed: &[Packed],
    plan: &Plan,
    names: &mut Names,
) -> Result<Vec<Step>, WriteError> {
    let mut steps = Vec::new();
    for (number, (step, packed)) in program.steps.iter().zip(packed).enumerate() {
        let mut inputs = [NONE; 2];
        for (place, tensor) in inputs.iter_mut().zip(&step.inputs) {
            *place = index(*tensor)?;
        }
        let (operator, multipliers) = if plan.in_place[number] {
            (format::Operator::ConcatInPlace, [0; 2])
        } else {
            (packed.operator, packed.multipliers)
        };
        steps.push(Step {
            operator: operator as u16,
            name: names.add("layer", &step.name)?,
            inputs,
            output: step.output.map_or(Ok(NONE), index)?,
            reserved: 0,
            geometry: packed.geometry,
            multipliers,
            data: 0,
            scratch: word(plan.scratch[number], "arena")?,
        });
    }
    Ok(steps)
}

/// Names, each once.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    places: std::collections::HashMap<String, u16>,
}

impl Names {
    fn add(&mut self, bearer: &'static str, name: &str) -> Result<u16, WriteError> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let len = u8::try_from(name.len()).map_err(|_| WriteError::Name {
            bearer,
            name: name.to_owned(),
            found: name.len(),
            expected: usize::from(u8::MAX),
        })?;
        let place = short(self.bytes.len(), || "names".to_owned(), "their bytes")?;
        self.bytes.push(len);
        self.bytes.extend_from_slice(name.as_bytes());
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    /// With zeros, so that what comes after them lies at a multiple of [`ALIGNMENT`].
    fn fill_up(&mut self, before: usize) {
        let end = (before + self.bytes.len()).next_multiple_of(ALIGNMENT);
        self.bytes.resize(end - before, 0);
    }
}

/// A name in a field, filled up with zeros.
fn filled_up<const N: usize>(bearer: &'static str, name: &str) -> Result<[u8; N], WriteError> {
    let mut field = [0; N];
    let place = field.get_mut(..name.len()).ok_or(WriteError::Name {
        bearer,
        name: name.to_owned(),
        found: name.len(),
        expected: N,
    })?;
    place.copy_from_slice(name.as_bytes());
    Ok(field)
}

fn index(TensorId(tensor): TensorId) -> Result<u16, WriteError> {
    short(tensor, || "tensors".to_owned(), "their number")
}

fn count<T>(table: &[T], what: &'static str) -> Result<u16, WriteError> {
    short(table.len(), || what.to_owned(), "their number")
}

/// A number that the image has 16 bits for, of which the largest stands for none.
pub(super) fn short(
    number: usize,
    bearer: impl FnOnce() -> String,
    what: &'static str,
) -> Result<u16, WriteError> {
    let short = u16::try_from(number).ok().filter(|short| *short != NONE);
    short.ok_or_else(|| WriteError::Number {
        bearer: bearer(),
        what,
        found: number as i64,
        expected: format!("less than {NONE}"),
    })
}

/// A number of bytes or words that the image has 32 bits for.
fn word(number: usize, bearer: &str) -> Result<u32, WriteError> {
    u32::try_from(number).map_err(|_| WriteError::Number {
        bearer: bearer.to_owned(),
        what: "size",
        found: number as i64,
        expected: format!("at most {}", u32::MAX),
    })
}
