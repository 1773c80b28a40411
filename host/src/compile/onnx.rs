//! Reads an ONNX file's nodes: attributes and constants, each refused by name where it is not what an operator can use.

use super::error::CompileError;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// A node with its name for people: `waveform.conv0.conv (Conv)`.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) proto: &'a NodeProto,
    pub(super) title: String,
}

impl<'a> Node<'a> {
    pub(super) fn new(proto: &'a NodeProto) -> Self {
        Self {
            proto,
            title: format!("{} ({})", name(proto), proto.op_type),
        }
    }

    /// Something about this node that cannot be compiled.
    pub(super) fn refuse(
        &self,
        what: impl Into<String>,
        found: impl ToString,
        expected: impl ToString,
    ) -> CompileError {
        CompileError::Unsupported {
            layer: self.title.clone(),
            what: what.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// The name of input `index`; an optional input that is left out is `None`.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        let name = self.proto.input.get(index)?;
        (!name.is_empty()).then_some(name.as_str())
    }

    /// Refuses attributes other than `known`: what is not understood must not be ignored.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), CompileError> {
        for attribute in &self.proto.attribute {
            if !known.contains(&attribute.name.as_str()) {
                let known = match known {
                    [] => "a node without attributes".to_owned(),
                    known => known.join(", "),
                };
                return Err(self.refuse("an attribute", format!("`{}`", attribute.name), known));
            }
        }
        Ok(())
    }

    fn attribute(
        &self,
        name: &str,
        kind: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, CompileError> {
        let attribute = self.proto.attribute.iter().find(|a| a.name == name);
        match attribute {
            // Files of IR version 1 leave the kind out.
            Some(a) if a.r#type != kind as i32 && a.r#type != AttributeType::Undefined as i32 => {
                Err(self.refuse(
                    format!("the kind of attribute `{name}`"),
                    a.r#type,
                    format!("{} ({})", kind as i32, kind.as_str_name()),
                ))
            }
            found => Ok(found),
        }
    }

    /// An integer attribute, or ONNX's default for it.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, CompileError> {
        let attribute = self.attribute(name, AttributeType::Int)?;
        Ok(attribute.map_or(default, |a| a.i))
    }

    /// A number attribute, or ONNX's default for it.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, CompileError> {
        let attribute = self.attribute(name, AttributeType::Float)?;
        Ok(attribute.map_or(default, |a| a.f))
    }

    /// A list of integers, if it is given.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, CompileError> {
        let attribute = self.attribute(name, AttributeType::Ints)?;
        Ok(attribute.map(|a| a.ints.as_slice()))
    }

    /// A text, or ONNX's default for it.
    pub(super) fn text(&self, name: &str, default: &str) -> Result<String, CompileError> {
        let attribute = self.attribute(name, AttributeType::String)?;
        Ok(attribute.map_or(default.to_owned(), |a| {
            String::from_utf8_lossy(&a.s).into_owned()
        }))
    }

    /// A list of texts, if it is given.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, CompileError> {
        let attribute = self.attribute(name, AttributeType::Strings)?;
        Ok(attribute.map(|a| {
            let texts = a.strings.iter();
            texts
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect()
        }))
    }

    /// A tensor attribute.
    pub(super) fn tensor(&self, name: &str) -> Result<&'a TensorProto, CompileError> {
        let attribute = self.attribute(name, AttributeType::Tensor)?;
        attribute
            .and_then(|a| a.t.as_ref())
            .ok_or_else(|| self.refuse(format!("attribute `{name}`"), "missing", "a tensor"))
    }

    /// Refuses an integer attribute that has another value than the one that can be compiled.
    pub(super) fn must_be(&self, name: &str, expected: i64) -> Result<(), CompileError> {
        let found = self.int(name, expected)?;
        if found == expected {
            Ok(())
        } else {
            Err(self.refuse(format!("attribute `{name}`"), found, expected))
        }
    }

    /// A list of `len` numbers from `least` up; `default` of each where it is not given.
    pub(super) fn sizes(
        &self,
        name: &str,
        len: usize,
        least: usize,
        default: usize,
    ) -> Result<Vec<usize>, CompileError> {
        let Some(numbers) = self.ints(name)? else {
            return Ok(vec![default; len]);
        };
        let sizes: Option<Vec<usize>> = numbers
            .iter()
            .map(|n| usize::try_from(*n).ok().filter(|n| *n >= least))
            .collect();
        sizes.filter(|sizes| sizes.len() == len).ok_or_else(|| {
            let expected = format!("{len} numbers from {least} up");
            self.refuse(
                format!("attribute `{name}`"),
                format!("{numbers:?}"),
                expected,
            )
        })
    }
}

/// The node's name, or that of its first output where it has none.
pub(super) fn name(node: &NodeProto) -> &str {
    if node.name.is_empty() {
        node.output.first().map_or("", String::as_str)
    } else {
        &node.name
    }
}

/// A constant of f32.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The numbers of a constant and its shape, elements as the shape says.
///
/// # Errors
/// If its type is another, its elements are elsewhere or as many as its shape does not say.
pub(super) fn floats(tensor: &TensorProto) -> Result<Constant, CompileError> {
    expect_type(tensor, DataType::Float)?;
    let values: Vec<f32> = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        let (words, rest) = tensor.raw_data.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(cut(tensor, "a multiple of 4"));
        }
        words.iter().map(|word| f32::from_le_bytes(*word)).collect()
    };
    let dims = dims(tensor, values.len())?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(about(tensor, "a value", value, "finite numbers"));
    }
    Ok(Constant { dims, values })
}

/// The integers of a constant, such as a shape.
///
/// # Errors
/// As for [`floats`].
pub(super) fn integers(tensor: &TensorProto) -> Result<Vec<i64>, CompileError> {
    expect_type(tensor, DataType::Int64)?;
    let values: Vec<i64> = if tensor.raw_data.is_empty() {
        tensor.int64_data.clone()
    } else {
        let (words, rest) = tensor.raw_data.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(cut(tensor, "a multiple of 8"));
        }
        words.iter().map(|word| i64::from_le_bytes(*word)).collect()
    };
    dims(tensor, values.len())?;
    Ok(values)
}

fn about(
    tensor: &TensorProto,
    what: &str,
    found: impl ToString,
    expected: impl ToString,
) -> CompileError {
    CompileError::Unsupported {
        layer: format!("constant {}", tensor.name),
        what: what.to_owned(),
        found: found.to_string(),
        expected: expected.to_string(),
    }
}

fn cut(tensor: &TensorProto, expected: &str) -> CompileError {
    about(
        tensor,
        "the number of its bytes",
        tensor.raw_data.len(),
        expected,
    )
}

fn expect_type(tensor: &TensorProto, expected: DataType) -> Result<(), CompileError> {
    if tensor.data_location == Some(DataLocation::External as i32) {
        let expected = "a constant inside the model file";
        return Err(about(tensor, "its place", "another file", expected));
    }
    if tensor.data_type == expected as i32 {
        return Ok(());
    }
    let found = DataType::try_from(tensor.data_type)
        .map_or(tensor.data_type.to_string(), |t| t.as_str_name().to_owned());
    Err(about(tensor, "its type", found, expected.as_str_name()))
}

fn dims(tensor: &TensorProto, elements: usize) -> Result<Vec<usize>, CompileError> {
    let dims: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|n| usize::try_from(*n).ok())
        .collect();
    let product = dims
        .as_ref()
        .and_then(|dims| dims.iter().try_fold(1_usize, |p, n| p.checked_mul(*n)));
    match dims {
        Some(dims) if product == Some(elements) => Ok(dims),
        _ => Err(about(
            tensor,
            "its shape",
            format!("{:?}", tensor.dims),
            format!("a shape of its {elements} elements"),
        )),
    }
}
