//! What can be wrong with an image.

use super::format::{MAGIC, View};
use crate::nn::LayerError;
use crate::spec::LABELS;

/// Why an image is refused: the culprit, what was found there, and what was expected. Tables are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ImageError {
    /// The image does not lie where its words can be read in place.
    Alignment {
        /// Bytes by which its address exceeds a multiple of `expected`.
        found: usize,
        /// [`super::format::ALIGNMENT`].
        expected: usize,
    },
    /// The first four bytes are those of something else.
    Magic {
        /// The bytes.
        found: [u8; 4],
    },
    /// The image has another version of the format.
    Version {
        /// Its version.
        found: u32,
        /// The version that this build reads.
        expected: u32,
    },
    /// The image is cut short, or something follows it.
    Length {
        /// Bytes at hand.
        found: usize,
        /// Bytes that the image states, or at least needs.
        expected: usize,
    },
    /// A byte is not what was written.
    Crc {
        /// The CRC-32 of the bytes at hand.
        found: u32,
        /// The CRC-32 that the image states.
        expected: u32,
    },
    /// The features that the network was trained on are of another version.
    FeaturesVersion {
        /// The image's version.
        found: u32,
        /// [`crate::spec::FEATURES_VERSION`].
        expected: u32,
    },
    /// The network was trained for other rates, lengths or features.
    SpecHash {
        /// The image's hash.
        found: u64,
        /// [`crate::spec::HASH`].
        expected: u64,
    },
    /// A class is not that of [`LABELS`].
    Label {
        /// The class.
        index: usize,
        /// Its name in the image.
        found: [u8; 8],
    },
    /// A name is not UTF-8, or does not end inside its table.
    Name {
        /// The table of whoever bears it.
        table: &'static str,
        /// The bearer.
        index: usize,
    },
    /// A whole number is outside its range.
    Value {
        /// The table.
        table: &'static str,
        /// The element.
        index: usize,
        /// Its field.
        field: &'static str,
        /// The field's value.
        found: u64,
        /// The smallest value that will do.
        smallest: u64,
        /// The largest value that will do.
        largest: u64,
    },
    /// A scale is not above 0, or a prior not in 0..=1.
    Real {
        /// The table.
        table: &'static str,
        /// The element.
        index: usize,
        /// Its field.
        field: &'static str,
        /// The field's value.
        found: f32,
    },
    /// An input's tensor has not the shape of its view.
    InputShape {
        /// The view.
        view: View,
        /// The tensor's height, width and channels.
        found: [u16; 3],
        /// The view's.
        expected: [u16; 3],
    },
    /// An operator's geometry or weights are impossible.
    Layer {
        /// The step.
        step: usize,
        /// What is wrong.
        error: LayerError,
    },
    /// A tensor has not as many elements as its operator reads or writes.
    Elements {
        /// The step.
        step: usize,
        /// The tensor.
        tensor: usize,
        /// Its elements.
        found: usize,
        /// The operator's.
        expected: usize,
    },
    /// Weights lie outside the image.
    Weights {
        /// The step.
        step: usize,
        /// The byte after the last weight.
        end: usize,
        /// Bytes of the image.
        len: usize,
    },
    /// The last step, and no other, must make the logits.
    LastStep {
        /// The step that makes logits too early, or the last that does not.
        step: usize,
    },
    /// A tensor, or a channel of it, is written twice or never.
    Written {
        /// The tensor.
        tensor: usize,
        /// Channels that are written to it in all.
        found: usize,
        /// Its channels.
        expected: usize,
    },
    /// A tensor is read before it is complete.
    Early {
        /// The step that reads it.
        step: usize,
        /// The tensor.
        tensor: usize,
    },
    /// A tensor reaches beyond the arena.
    TensorOutside {
        /// The tensor.
        tensor: usize,
        /// The byte after its last.
        end: usize,
        /// Bytes of the arena.
        arena: usize,
    },
    /// An operator's scratch memory reaches beyond the arena.
    ScratchOutside {
        /// The step.
        step: usize,
        /// The byte after its last.
        end: usize,
        /// Bytes of the arena.
        arena: usize,
    },
    /// Two tensors share memory while both are needed.
    TensorOverlap {
        /// One tensor.
        first: usize,
        /// The other.
        second: usize,
    },
    /// An operator's scratch memory is that of a tensor that is needed.
    ScratchOverlap {
        /// The step.
        step: usize,
        /// The tensor.
        tensor: usize,
    },
    /// A part of a concatenation is said to be in its place, and is not.
    NotInPlace {
        /// The step.
        step: usize,
        /// Where the part begins in the arena, in bytes.
        found: usize,
        /// Where its place begins.
        expected: usize,
    },
    /// The arena at hand is too small.
    Arena {
        /// Words at hand.
        found: usize,
        /// Words that the network needs.
        expected: usize,
    },
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Alignment { found, expected } => write!(
                f,
                "the image lies {found} bytes past a multiple of {expected}, but is read in place: copy it to an address \
                 that is a multiple of {expected}"
            ),
            Self::Magic { found } => write!(
                f,
                "begins with \"{}\", but a device image begins with \"{}\"",
                found.escape_ascii(),
                MAGIC.escape_ascii()
            ),
            Self::Version { found, expected } => write!(
                f,
                "format version {found}, but this build reads version {expected}: compile the model again, or update"
            ),
            Self::Length { found, expected } => {
                write!(f, "length: {found} bytes, expected {expected}")
            }
            Self::Crc { found, expected } => write!(
                f,
                "CRC-32: the bytes give {found:08x}, the image states {expected:08x}: it is damaged"
            ),
            Self::FeaturesVersion { found, expected } => write!(
                f,
                "features version {found}, but this build computes version {expected}: train and compile the model again"
            ),
            Self::SpecHash { found, expected } => write!(
                f,
                "spec hash {found:016x}, but this build's features have {expected:016x}: train and compile the model again"
            ),
            Self::Label { index, found } => write!(
                f,
                "label {index} is \"{}\", expected \"{}\"",
                found.escape_ascii(),
                LABELS.get(index).unwrap_or(&"")
            ),
            Self::Name { table, index } => write!(
                f,
                "{table} {index}: the name is not UTF-8 of the stated length inside its table"
            ),
            Self::Value {
                table,
                index,
                field,
                found,
                smallest,
                largest,
            } => write!(
                f,
                "{table} {index}: {field} is {found}, but must be from {smallest} to {largest}"
            ),
            Self::Real {
                table,
                index,
                field,
                found,
            } => write!(
                f,
                "{table} {index}: {field} is {found}, but must be finite, a scale above 0, a prior from 0 to 1"
            ),
            Self::InputShape {
                view,
                found,
                expected,
            } => write!(
                f,
                "input {}: shape {found:?}, but the view has {expected:?}",
                view.name()
            ),
            Self::Layer { step, error } => write!(f, "step {step}: {error}"),
            Self::Elements {
                step,
                tensor,
                found,
                expected,
            } => write!(
                f,
                "step {step}: tensor {tensor} has {found} elements, the operator {expected}"
            ),
            Self::Weights { step, end, len } => write!(
                f,
                "step {step}: weights end at byte {end} of {len}, or begin between two words"
            ),
            Self::LastStep { step } => write!(
                f,
                "step {step}: the logits must be made by the last step and by no other"
            ),
            Self::Written {
                tensor,
                found,
                expected,
            } => write!(
                f,
                "tensor {tensor}: {found} channels are written, expected each of {expected} once"
            ),
            Self::Early { step, tensor } => write!(
                f,
                "step {step}: reads tensor {tensor} before it is complete"
            ),
            Self::TensorOutside { tensor, end, arena } => write!(
                f,
                "tensor {tensor}: ends at byte {end} of an arena of {arena}"
            ),
            Self::ScratchOutside { step, end, arena } => write!(
                f,
                "step {step}: scratch memory ends at byte {end} of an arena of {arena}"
            ),
            Self::TensorOverlap { first, second } => write!(
                f,
                "tensors {first} and {second} share memory while both are needed"
            ),
            Self::ScratchOverlap { step, tensor } => write!(
                f,
                "step {step}: scratch memory is shared with tensor {tensor}, which is needed"
            ),
            Self::NotInPlace {
                step,
                found,
                expected,
            } => write!(
                f,
                "step {step}: the part lies at byte {found} of the arena, its place is byte {expected}, in a whole of \
                 one position"
            ),
            Self::Arena { found, expected } => {
                write!(f, "arena: {found} words, the network needs {expected}")
            }
        }
    }
}

impl core::error::Error for ImageError {}
