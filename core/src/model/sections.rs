//! An image taken apart into its tables, and the checks of each table by itself.

use super::error::ImageError;
use super::format::{
    ALIGNMENT, Fields, Header, Input, Label, MAGIC, MAX_INPUTS, MAX_STEPS, MAX_TENSORS, NONE,
    Operator, READS_PATIENT, Step, Tensor, VERSION, View,
};
use super::layer::{Layer, operator};
use crate::spec::{FEATURES_VERSION, HASH, LABELS};
use core::mem::offset_of;
use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Without a table: images are few, and flash is small.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
/// Most elements of a tensor.
const MAX_ELEMENTS: usize = 1 << 20;

/// The tables of an image, where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections<'a> {
    pub(super) image: &'a [u8],
    pub(super) header: &'a Header,
    pub(super) labels: &'a [Label],
    pub(super) inputs: &'a [Input],
    pub(super) tensors: &'a [Tensor],
    pub(super) scales: &'a [f32],
    pub(super) steps: &'a [Step],
    names: &'a [u8],
}

/// The CRC-32 of all bytes of an image but those of the CRC itself; of an image shorter than a header, that of all.
pub fn checksum(image: &[u8]) -> u32 {
    const START: usize = offset_of!(Header, crc);
    let mut digest = CRC.digest();
    digest.update(&image[..START.min(image.len())]);
    digest.update(image.get(START + size_of::<u32>()..).unwrap_or(&[]));
    digest.finalize()
}

/// What every image begins with, whatever its version.
fn check_beginning(image: &[u8]) -> Result<&Header, ImageError> {
    let address = image.as_ptr().addr() % ALIGNMENT;
    if address != 0 {
        return Err(ImageError::Alignment {
            found: address,
            expected: ALIGNMENT,
        });
    }
    if let Some(magic) = image.first_chunk()
        && *magic != MAGIC
    {
        return Err(ImageError::Magic { found: *magic });
    }
    let version = image.get(offset_of!(Header, version)..);
    if let Some(version) = version.and_then(|bytes| bytes.first_chunk()) {
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(ImageError::Version {
                found,
                expected: VERSION,
            });
        }
    }
    let short = ImageError::Length {
        found: image.len(),
        expected: size_of::<Header>(),
    };
    let (header, _) = Header::ref_from_prefix(image).map_err(|_| short)?;
    Ok(header)
}

/// The length that an image states, in bytes, from its beginning alone: so much of a flash slot is image.
///
/// # Errors
/// If the bytes are misaligned, those of something else, of another version, or fewer than a header.
pub fn stated_len(image: &[u8]) -> Result<usize, ImageError> {
    Ok(check_beginning(image)?.len as usize)
}

impl<'a> Sections<'a> {
    /// Checks that the image is whole and made for the features of this build, and finds its tables.
    pub(super) fn new(image: &'a [u8]) -> Result<Self, ImageError> {
        let header = check_beginning(image)?;
        if header.len as usize != image.len() {
            return Err(ImageError::Length {
                found: image.len(),
                expected: header.len as usize,
            });
        }
        let crc = checksum(image);
        if crc != header.crc {
            return Err(ImageError::Crc {
                found: crc,
                expected: header.crc,
            });
        }
        if header.features_version != FEATURES_VERSION {
            return Err(ImageError::FeaturesVersion {
                found: header.features_version,
                expected: FEATURES_VERSION,
            });
        }
        if header.spec_hash != HASH {
            return Err(ImageError::SpecHash {
                found: header.spec_hash,
                expected: HASH,
            });
        }
        let value = |field, found, smallest: usize, largest: usize| {
            in_range("header", 0, field, u64::from(found), smallest, largest)
        };
        value("labels", header.labels, LABELS.len(), LABELS.len())?;
        value("inputs", header.inputs, 1, MAX_INPUTS)?;
        value("tensors", header.tensors, 1, MAX_TENSORS)?;
        value("steps", header.steps, 1, MAX_STEPS)?;
        in_range(
            "header",
            0,
            "flags",
            u64::from(header.flags),
            0,
            READS_PATIENT as usize,
        )?;
        let mut rest = &image[size_of::<Header>()..];
        Ok(Self {
            image,
            header,
            labels: table(&mut rest, header.labels, image.len())?,
            inputs: table(&mut rest, header.inputs, image.len())?,
            tensors: table(&mut rest, header.tensors, image.len())?,
            scales: table(&mut rest, header.scales, image.len())?,
            steps: table(&mut rest, header.steps, image.len())?,
            names: table(&mut rest, header.names, image.len())?,
        })
    }

    /// Checks what each table says.
    pub(super) fn check(&self) -> Result<(), ImageError> {
        self.check_labels()?;
        self.check_tensors()?;
        self.check_inputs()?;
        for (index, step) in self.steps.iter().enumerate() {
            self.check_step(index, step)?;
        }
        Ok(())
    }

    /// The model's name.
    pub(super) fn model_name(&self) -> Option<&'a str> {
        core::str::from_utf8(filled(&self.header.name)?).ok()
    }

    /// The name that begins at `offset` of the names.
    pub(super) fn name(&self, offset: u16) -> Option<&'a str> {
        let (len, rest) = self.names.get(usize::from(offset)..)?.split_first()?;
        core::str::from_utf8(rest.get(..usize::from(*len))?).ok()
    }

    fn check_name(&self, table: &'static str, index: usize, offset: u16) -> Result<(), ImageError> {
        let name = self.name(offset);
        name.map(drop).ok_or(ImageError::Name { table, index })
    }

    fn check_labels(&self) -> Result<(), ImageError> {
        let name = self.model_name();
        name.ok_or(ImageError::Name {
            table: "header",
            index: 0,
        })?;
        for (index, (label, expected)) in self.labels.iter().zip(LABELS).enumerate() {
            if filled(&label.name) != Some(expected.as_bytes()) {
                return Err(ImageError::Label {
                    index,
                    found: label.name,
                });
            }
            if !(0.0..=1.0).contains(&label.prior) {
                return Err(ImageError::Real {
                    table: "label",
                    index,
                    field: "prior",
                    found: label.prior,
                });
            }
        }
        Ok(())
    }

    fn check_tensors(&self) -> Result<(), ImageError> {
        for (index, tensor) in self.tensors.iter().enumerate() {
            let zero = [u64::from(tensor.reserved), u64::from(tensor.reserved_too)];
            for found in zero {
                in_range("tensor", index, "reserved", found, 0, 0)?;
            }
            let len = tensor.len() as u64;
            in_range("tensor", index, "elements", len, 1, MAX_ELEMENTS)?;
            check_scale("tensor", index, tensor.scale)?;
            self.check_name("tensor", index, tensor.name)?;
        }
        for (index, scale) in self.scales.iter().enumerate() {
            check_scale("scale", index, *scale)?;
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), ImageError> {
        for (index, input) in self.inputs.iter().enumerate() {
            let view = u64::from(input.view);
            in_range("input", index, "view", view, 0, View::ALL.len() - 1)?;
            in_range("input", index, "reserved", u64::from(input.reserved), 0, 0)?;
            let tensor = &self.tensors[self.tensor("input", index, input.tensor)?];
            let view = View::ALL[usize::from(input.view)];
            let expected = view.shape().map(|side| side as u16);
            if tensor.shape != expected {
                return Err(ImageError::InputShape {
                    view,
                    found: tensor.shape,
                    expected,
                });
            }
            if input.first_scale != NONE {
                let end = usize::from(input.first_scale) + tensor.channels();
                in_range(
                    "input",
                    index,
                    "end of its scales",
                    end as u64,
                    1,
                    self.scales.len(),
                )?;
            }
        }
        Ok(())
    }

    fn check_step(&self, index: usize, step: &Step) -> Result<(), ImageError> {
        let operator = operator(index, step)?;
        self.check_name("step", index, step.name)?;
        let Fields {
            inputs,
            sizes,
            multipliers,
            weights,
        } = operator.fields();
        in_range("step", index, "reserved", u64::from(step.reserved), 0, 0)?;
        for input in &step.inputs[inputs..] {
            let none = usize::from(NONE);
            in_range("step", index, "unused input", u64::from(*input), none, none)?;
        }
        for size in &step.geometry[sizes..] {
            in_range("step", index, "unused size", u64::from(*size), 0, 0)?;
        }
        for multiplier in &step.multipliers[multipliers..] {
            let found = u64::from(multiplier.cast_unsigned());
            in_range("step", index, "unused multiplier", found, 0, 0)?;
        }
        if !weights {
            in_range("step", index, "unused data", u64::from(step.data), 0, 0)?;
        }
        let makes_logits = operator == Operator::Logits;
        if makes_logits != (index + 1 == self.steps.len()) {
            return Err(ImageError::LastStep { step: index });
        }
        for input in &step.inputs[..inputs] {
            self.tensor("step", index, *input)?;
        }
        if makes_logits {
            let (none, rows) = (usize::from(NONE), u64::from(step.geometry[0]));
            in_range("step", index, "output", u64::from(step.output), none, none)?;
            in_range("step", index, "logits", rows, LABELS.len(), LABELS.len())?;
        } else {
            self.tensor("step", index, step.output)?;
        }
        let layer = Layer::bind(index, step, self.tensors, self.image)?;
        let error = |error| ImageError::Layer { step: index, error };
        layer.check().map_err(error)?;
        self.check_elements(index, step, inputs, &layer)?;
        let scratch = u64::from(step.scratch);
        if layer.scratch_len() == 0 {
            in_range("step", index, "unused scratch", scratch, 0, 0)?;
        }
        in_range("step", index, "scratch modulo 4", scratch % 4, 0, 0)
    }

    /// Checks that tensors are as long as the operator says.
    fn check_elements(
        &self,
        step: usize,
        record: &Step,
        inputs: usize,
        layer: &Layer<'_>,
    ) -> Result<(), ImageError> {
        let (read, written) = layer.elements();
        let inputs = record.inputs[..inputs].iter().map(|input| (*input, read));
        let output = match layer {
            // The part is its own size; its place in the output is checked with the memory plan.
            Layer::Logits(_) | Layer::ConcatInPlace(_) => None,
            _ => Some((record.output, written)),
        };
        for (tensor, expected) in inputs.chain(output) {
            let tensor = usize::from(tensor);
            let found = self.tensors[tensor].len();
            if found != expected {
                return Err(ImageError::Elements {
                    step,
                    tensor,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// A tensor's index, if there is such a tensor.
    fn tensor(&self, table: &'static str, index: usize, tensor: u16) -> Result<usize, ImageError> {
        let largest = self.tensors.len() - 1;
        in_range(table, index, "tensor", u64::from(tensor), 0, largest)?;
        Ok(usize::from(tensor))
    }
}

/// Takes a table of `count` elements from the front.
fn table<'a, T: FromBytes + Immutable + KnownLayout>(
    rest: &mut &'a [u8],
    count: u16,
    len: usize,
) -> Result<&'a [T], ImageError> {
    let size = usize::from(count) * size_of::<T>();
    let short = ImageError::Length {
        found: len,
        expected: len - rest.len() + size,
    };
    let (table, after) = rest.split_at_checked(size).ok_or(short)?;
    *rest = after;
    <[T]>::ref_from_bytes(table).map_err(|_| short)
}

/// The bytes before the zeros that fill up a field; `None` if other bytes follow the first zero.
fn filled(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|byte| *byte == 0);
    let (text, zeros) = field.split_at(end.unwrap_or(field.len()));
    zeros.iter().all(|byte| *byte == 0).then_some(text)
}

fn check_scale(table: &'static str, index: usize, scale: f32) -> Result<(), ImageError> {
    // So that neither the scale nor one over it is zero, infinite or less precise than others.
    if scale.is_normal() && (1.0 / scale).is_normal() && scale > 0.0 {
        return Ok(());
    }
    Err(ImageError::Real {
        table,
        index,
        field: "scale",
        found: scale,
    })
}

fn in_range(
    table: &'static str,
    index: usize,
    field: &'static str,
    found: u64,
    smallest: usize,
    largest: usize,
) -> Result<(), ImageError> {
    if (smallest as u64..=largest as u64).contains(&found) {
        return Ok(());
    }
    Err(ImageError::Value {
        table,
        index,
        field,
        found,
        smallest: smallest as u64,
        largest: largest as u64,
    })
}
