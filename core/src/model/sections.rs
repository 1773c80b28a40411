//! An image taken apart into its tables, and the checks of each table by itself.

use super::error::{ImageError, Place};
use super::format::{
    ALIGNMENT, Fields, Header, Input, Label, MAGIC, MAX_INPUTS, MAX_STEPS, MAX_TENSORS, NONE,
    Operator, READS_PATIENT, Step, Tensor, VERSION,
};
use super::layer::{Layer, operator};
use super::task::{Task, view};
use crate::crc::CRC_OF_IMAGES;
use crate::nn::LayerError;
use crate::spec::LABELS;
use bytemuck::Pod;
use core::mem::offset_of;

/// Where the header is.
pub(super) const HEADER: Place = at("header", 0);
/// Most elements of a tensor.
const MAX_ELEMENTS: usize = 1 << 20;

/// The tables of an image, where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sections<'a> {
    pub(super) task: Task,
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
    let mut digest = CRC_OF_IMAGES.digest();
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
        return Err(ImageError::Magic {
            found: *magic,
            expected: MAGIC,
        });
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
    let header = image.get(..size_of::<Header>()).ok_or(short)?;
    bytemuck::try_from_bytes(header).map_err(|_| short)
}

/// The length that an image states, in bytes, from its beginning alone: so much of a flash slot is image.
///
/// # Errors
/// If the bytes are misaligned, those of something else, of another version, or fewer than a header.
pub fn stated_len(image: &[u8]) -> Result<usize, ImageError> {
    Ok(check_beginning(image)?.len as usize)
}

/// Whether bytes are UTF-8 (Unicode 15, table 3-7). The library's own check has places that could panic, as far as the linker
/// knows.
fn is_utf8(bytes: &[u8]) -> bool {
    let mut bytes = bytes.iter();
    while let Some(first) = bytes.next() {
        let (following, mut range) = match first {
            0..=0x7f => continue,
            0xc2..=0xdf => (1, 0x80..=0xbf),
            0xe0 => (2, 0xa0..=0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80..=0xbf),
            0xed => (2, 0x80..=0x9f),
            0xf0 => (3, 0x90..=0xbf),
            0xf1..=0xf3 => (3, 0x80..=0xbf),
            0xf4 => (3, 0x80..=0x8f),
            _ => return false,
        };
        for _ in 0..following {
            match bytes.next() {
                Some(byte) if range.contains(byte) => range = 0x80..=0xbf,
                _ => return false,
            }
        }
    }
    true
}

impl<'a> Sections<'a> {
    /// Checks that the image is whole and made for the features of this build, and finds its tables.
    pub(super) fn new(image: &'a [u8], task: Task) -> Result<Self, ImageError> {
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
        if header.spec_hash != task.hash() {
            return Err(ImageError::Features {
                found: header.spec_hash,
                expected: task.hash(),
            });
        }
        let value = |field, found: u16, smallest, largest| {
            in_range(HEADER, field, found.into(), smallest, largest)
        };
        value("labels", header.labels, LABELS.len(), LABELS.len())?;
        value("inputs", header.inputs, 1, MAX_INPUTS)?;
        value("tensors", header.tensors, 1, MAX_TENSORS)?;
        value("steps", header.steps, 1, MAX_STEPS)?;
        // The hash includes the version.
        let version = task.features_version() as usize;
        in_range(
            HEADER,
            "features version",
            header.features_version,
            version,
            version,
        )?;
        in_range(HEADER, "flags", header.flags, 0, READS_PATIENT as usize)?;
        let mut rest = &image[size_of::<Header>()..];
        Ok(Self {
            task,
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
        core::str::from_utf8(self.name_bytes(offset)?).ok()
    }

    fn name_bytes(&self, offset: u16) -> Option<&'a [u8]> {
        let (len, rest) = self.names.get(usize::from(offset)..)?.split_first()?;
        rest.get(..usize::from(*len))
    }

    fn check_name(&self, place: Place, offset: u16) -> Result<(), ImageError> {
        match self.name_bytes(offset) {
            Some(name) if is_utf8(name) => Ok(()),
            _ => {
                let bytes = self.names.get(usize::from(offset) + 1..);
                Err(no_name(place, bytes.unwrap_or_default()))
            }
        }
    }

    fn check_labels(&self) -> Result<(), ImageError> {
        if !filled(&self.header.name).is_some_and(is_utf8) {
            return Err(no_name(HEADER, &self.header.name));
        }
        for (index, (label, expected)) in self.labels.iter().zip(self.task.labels()).enumerate() {
            if filled(&label.name) != Some(expected.as_bytes()) {
                return Err(ImageError::Name {
                    place: at("label", index),
                    found: label.name,
                    expected,
                });
            }
            if !(0.0..=1.0).contains(&label.prior) {
                return Err(ImageError::Real {
                    place: at("label", index),
                    field: "prior",
                    found: label.prior,
                    expected: "from 0 to 1",
                });
            }
        }
        Ok(())
    }

    fn check_tensors(&self) -> Result<(), ImageError> {
        for (index, tensor) in self.tensors.iter().enumerate() {
            let place = at("tensor", index);
            for found in [tensor.reserved.into(), u32::from(tensor.reserved_too)] {
                in_range(place, "reserved", found, 0, 0)?;
            }
            check_range(place, "elements", tensor.len(), 1, MAX_ELEMENTS)?;
            check_scale(place, tensor.scale)?;
            self.check_name(place, tensor.name)?;
        }
        for (index, scale) in self.scales.iter().enumerate() {
            check_scale(at("scale", index), *scale)?;
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), ImageError> {
        for (index, input) in self.inputs.iter().enumerate() {
            let place = at("input", index);
            let last = self.task.views().len() - 1;
            let view = view(self.task, input.view)
                .ok_or_else(|| out_of_range(place, "view", input.view.into(), 0, last))?;
            in_range(place, "reserved", input.reserved.into(), 0, 0)?;
            let tensor = self.tensor(place, input.tensor)?;
            let expected = view.tensor_shape().map(|side| side as u16);
            if tensor.shape != expected {
                return Err(ImageError::View {
                    view,
                    found: tensor.shape,
                    expected,
                });
            }
            if input.first_scale != NONE {
                let end = usize::from(input.first_scale) + tensor.channels();
                check_range(place, "end of its scales", end, 1, self.scales.len())?;
            }
        }
        Ok(())
    }

    fn check_step(&self, index: usize, step: &Step) -> Result<(), ImageError> {
        let place = at("layer", index);
        let operator = operator(index, step)?;
        self.check_name(place, step.name)?;
        let Fields {
            inputs,
            sizes,
            multipliers,
            weights,
        } = operator.fields();
        in_range(place, "reserved", step.reserved.into(), 0, 0)?;
        let none = usize::from(NONE);
        for input in &step.inputs[inputs..] {
            in_range(place, "unused input", (*input).into(), none, none)?;
        }
        for size in &step.geometry[sizes..] {
            in_range(place, "unused size", (*size).into(), 0, 0)?;
        }
        for multiplier in &step.multipliers[multipliers..] {
            in_range(place, "unused multiplier", multiplier.cast_unsigned(), 0, 0)?;
        }
        if !weights {
            in_range(place, "unused data", step.data, 0, 0)?;
        }
        for input in &step.inputs[..inputs] {
            self.tensor(place, *input)?;
        }
        let last = self.steps.len() - 1;
        if operator == Operator::Logits {
            check_range(
                place,
                "place of the layer that makes the logits",
                index,
                last,
                last,
            )?;
            in_range(place, "output", step.output.into(), none, none)?;
            in_range(
                place,
                "logits",
                step.geometry[0].into(),
                LABELS.len(),
                LABELS.len(),
            )?;
        } else if index == last {
            let logits = Operator::Logits as usize;
            in_range(
                place,
                "operator of the last layer",
                step.operator.into(),
                logits,
                logits,
            )?;
        } else {
            self.tensor(place, step.output)?;
        }
        let layer = Layer::bind(index, step, self.tensors, self.image)?;
        let error = |error| ImageError::Value { place, error };
        layer.check().map_err(error)?;
        self.check_elements(place, step, inputs, &layer)?;
        if layer.scratch_len() == 0 {
            in_range(place, "unused working memory", step.scratch, 0, 0)?;
        }
        in_range(place, "working memory modulo 4", step.scratch % 4, 0, 0)
    }

    /// Checks that tensors are as long as the operator says.
    fn check_elements(
        &self,
        place: Place,
        record: &Step,
        inputs: usize,
        layer: &Layer<'_>,
    ) -> Result<(), ImageError> {
        let (read, written) = layer.elements();
        for input in record.inputs.iter().take(inputs) {
            let found = self.tensor(place, *input)?.len();
            check_range(place, "elements of an input", found, read, read)?;
        }
        match layer {
            // The part is its own size; its place in the output is checked with the memory plan.
            Layer::Logits(_) | Layer::ConcatInPlace(_) => Ok(()),
            _ => {
                let found = self.tensor(place, record.output)?.len();
                check_range(place, "elements of the output", found, written, written)
            }
        }
    }

    /// A tensor, if there is one of this index.
    fn tensor(&self, place: Place, tensor: u16) -> Result<&'a Tensor, ImageError> {
        let index = usize::from(tensor);
        let last = self.tensors.len().saturating_sub(1);
        let missing = || out_of_range(place, "tensor", index, 0, last);
        self.tensors.get(index).ok_or_else(missing)
    }
}

/// Takes a table of `count` elements from the front.
fn table<'a, T: Pod>(rest: &mut &'a [u8], count: u16, len: usize) -> Result<&'a [T], ImageError> {
    let size = usize::from(count) * size_of::<T>();
    let short = ImageError::Length {
        found: len,
        expected: len - rest.len() + size,
    };
    let (table, after) = rest.split_at_checked(size).ok_or(short)?;
    *rest = after;
    bytemuck::try_cast_slice(table).map_err(|_| short)
}

/// The bytes before the zeros that fill up a field; `None` if other bytes follow the first zero.
fn filled(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|byte| *byte == 0);
    let (text, zeros) = field.split_at(end.unwrap_or(field.len()));
    zeros.iter().all(|byte| *byte == 0).then_some(text)
}

fn check_scale(place: Place, scale: f32) -> Result<(), ImageError> {
    // So that neither the scale nor one over it is zero, infinite or less precise than others.
    if scale.is_normal() && (1.0 / scale).is_normal() && scale > 0.0 {
        return Ok(());
    }
    Err(ImageError::Real {
        place,
        field: "scale",
        found: scale,
        expected: "finite and above 0",
    })
}

/// A name that cannot be read, of which these are the first bytes.
fn no_name(place: Place, bytes: &[u8]) -> ImageError {
    let mut found = [0; 8];
    for (found, byte) in found.iter_mut().zip(bytes) {
        *found = *byte;
    }
    ImageError::Name {
        place,
        found,
        expected: "UTF-8 that ends inside its table",
    }
}

fn in_range(
    place: Place,
    field: &'static str,
    found: u32,
    smallest: usize,
    largest: usize,
) -> Result<(), ImageError> {
    check_range(place, field, found as usize, smallest, largest)
}

pub(super) fn check_range(
    place: Place,
    field: &'static str,
    found: usize,
    smallest: usize,
    largest: usize,
) -> Result<(), ImageError> {
    if (smallest..=largest).contains(&found) {
        return Ok(());
    }
    Err(out_of_range(place, field, found, smallest, largest))
}

#[cold]
pub(super) const fn out_of_range(
    place: Place,
    what: &'static str,
    found: usize,
    smallest: usize,
    largest: usize,
) -> ImageError {
    let error = LayerError::Range {
        what,
        found: found as i64,
        smallest: smallest as i64,
        largest: largest as i64,
    };
    ImageError::Value { place, error }
}

pub(super) const fn at(table: &'static str, index: usize) -> Place {
    Place { table, index }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn utf_8_is_what_the_library_says() {
        let mut number = 1_u32;
        for _ in 0..200_000 {
            let bytes: [u8; 4] = core::array::from_fn(|_| {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Lead and continuation bytes more often than chance has it.
                let byte = (number >> 24) as u8;
                if number >> 20 & 3 == 0 {
                    byte
                } else {
                    byte | 0x80
                }
            });
            for len in 0..=4 {
                let bytes = &bytes[..len];
                assert_eq!(
                    is_utf8(bytes),
                    core::str::from_utf8(bytes).is_ok(),
                    "{bytes:x?}"
                );
            }
        }
        for text in [
            "",
            "waveform.conv0",
            "\u{e4}\u{20ac}\u{1f493}",
            "\u{d7ff}\u{e000}\u{10ffff}",
        ] {
            assert!(is_utf8(text.as_bytes()));
        }
    }
}
