//! What can be wrong with an image.

use super::task::AnyView;
use crate::nn::LayerError;

/// An element of a table of an image, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Place {
    /// What the table lists: `layer`, `tensor`, `input`, `label` or `scale`; or `header`, which is one.
    pub table: &'static str,
    /// The element.
    pub index: usize,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.table {
            "header" => f.write_str("header"),
            table => write!(f, "{table} {}", self.index),
        }
    }
}

/// Why an image is refused: the culprit, what was found there, and what was expected.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
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
        /// Those of an image.
        expected: [u8; 4],
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
    /// The network was trained for other rates, lengths or features.
    Features {
        /// The image's hash of them.
        found: u64,
        /// This build's; see [`crate::spec::HASH`].
        expected: u64,
    },
    /// A name is not what it must be.
    Name {
        /// What it names.
        place: Place,
        /// Its first bytes.
        found: [u8; 8],
        /// The name that it must be, or what every name must be.
        expected: &'static str,
    },
    /// A number that need not be whole is outside its range.
    Real {
        /// The element.
        place: Place,
        /// Its field.
        field: &'static str,
        /// The field's value.
        found: f32,
        /// The range.
        expected: &'static str,
    },
    /// A whole number, a number of elements or a weight is not what it must be.
    Value {
        /// The element.
        place: Place,
        /// What is wrong with it.
        error: LayerError,
    },
    /// An input's tensor has not the shape of its view.
    View {
        /// The view.
        view: AnyView,
        /// The tensor's height, width and channels.
        found: [u16; 3],
        /// The view's.
        expected: [u16; 3],
    },
    /// A tensor is read before it is complete.
    Early {
        /// The layer that reads it.
        layer: usize,
        /// The tensor.
        tensor: usize,
    },
    /// Two take the same memory while both are needed: tensors, or a tensor and a layer's working memory, or two layers
    /// that write the same channels.
    Overlap {
        /// One of them.
        first: Place,
        /// The other.
        second: Place,
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
            Self::Magic { found, expected } => write!(
                f,
                "begins with \"{}\", but a device image begins with \"{}\"",
                found.escape_ascii(),
                expected.escape_ascii()
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
            Self::Features { found, expected } => write!(
                f,
                "spec hash {found:016x}, but this build's features have {expected:016x}: train and compile the model again"
            ),
            Self::Name {
                place,
                found,
                expected,
            } => write!(
                f,
                "{place}: the name is \"{}\", expected {expected}",
                Text(&found)
            ),
            Self::Real {
                place,
                field,
                found,
                expected,
            } => write!(f, "{place}: {field} is {found}, but must be {expected}"),
            Self::Value { place, error } => write!(f, "{place}: {error}"),
            Self::View {
                view,
                found,
                expected,
            } => write!(
                f,
                "input {view}: shape {found:?}, but the view has {expected:?}"
            ),
            Self::Early { layer, tensor } => write!(
                f,
                "layer {layer}: reads tensor {tensor} before it is complete"
            ),
            Self::Overlap { first, second } => {
                write!(f, "{first} and {second} share memory while both are needed")
            }
            Self::Arena { found, expected } => {
                write!(f, "arena: {found} words, the network needs {expected}")
            }
        }
    }
}

/// Bytes as text, up to the zeros that fill them up.
struct Text<'a>(&'a [u8]);

impl core::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let end = self.0.iter().rposition(|byte| *byte != 0);
        let text = &self.0[..end.map_or(0, |last| last + 1)];
        text.escape_ascii().fmt(f)
    }
}

impl core::error::Error for ImageError {}
