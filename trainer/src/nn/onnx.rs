//! A network as an ONNX file, written straight from Rust and never without a check.
//!
//! **Opset 17, IR version 8**: the newest pair inside what tract is tested against (opsets 9 to 18), and every
//! operator here has had the same meaning in all of ONNX Runtime since 1.12.

use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use thiserror::Error;
use tract_onnx::pb::{
    self, AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto,
    tensor_shape_proto, type_proto,
};
use tract_onnx::prelude::{DatumExt, InferenceModelExt, IntoRunnable, TractError, tvec};

/// ONNX operator set of the exported graph.
pub const OPSET: i64 = 17;
/// Version of ONNX's file format.
pub const IR_VERSION: i64 = 8;
/// Largest difference of a logit between libtorch and the exported model.
pub const TOLERANCE: f32 = 1e-4;
/// Name of the symbolic first axis of inputs and output.
const BATCH: &str = "batch";

/// An export that was refused or failed; no file is written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// tract cannot read or run the graph.
    #[error("tract cannot run the exported graph: {0:#}")]
    Tract(TractError),
    /// tract's answer has another shape than libtorch's.
    #[error("tract answers with logits of shape {found:?}, libtorch with {expected:?}")]
    Shape {
        /// tract's shape.
        found: Vec<usize>,
        /// libtorch's shape.
        expected: Vec<i64>,
    },
    /// The exported graph and libtorch disagree.
    #[error(
        "beat {beat}, class {class}: tract computes the logit {exported}, libtorch {trained}; they may differ by \
         {TOLERANCE} at most, so the model was not written"
    )]
    Parity {
        /// Index of the beat in the batch.
        beat: usize,
        /// Label of the logit.
        class: &'static str,
        /// tract's logit.
        exported: f32,
        /// libtorch's logit.
        trained: f32,
    },
    /// There is nothing to compare on.
    #[error("no beats to compare tract and libtorch on: a model is not written unchecked")]
    NoBeats,
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// An ONNX graph in the making: nodes are added in the order of the computation.
#[derive(Debug, Default)]
pub struct Graph {
    proto: GraphProto,
}

/// Makers of ONNX node attributes.
#[derive(Debug)]
pub struct Attribute;

impl Attribute {
    /// An integer.
    pub fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: attribute_proto::AttributeType::Int.into(),
            i: value,
            ..Default::default()
        }
    }

    /// A number.
    pub fn float(name: &str, value: f32) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: attribute_proto::AttributeType::Float.into(),
            f: value,
            ..Default::default()
        }
    }

    /// A list of integers.
    pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: attribute_proto::AttributeType::Ints.into(),
            ints: values.to_vec(),
            ..Default::default()
        }
    }

    /// A string.
    pub fn string(name: &str, value: &str) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            r#type: attribute_proto::AttributeType::String.into(),
            s: value.as_bytes().to_vec(),
            ..Default::default()
        }
    }
}

impl Graph {
    /// Adds an f32 input of `[batch, ...shape]`.
    pub fn input(&mut self, name: &str, shape: &[i64]) {
        self.proto.input.push(batch_of(name, shape));
    }

    /// Adds an f32 constant.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> String {
        let values = to_vec(tensor);
        self.proto.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: tensor.size(),
            data_type: tensor_proto::DataType::Float.into(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.to_owned()
    }

    /// Adds a constant list of 64-bit integers.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.proto.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: tensor_proto::DataType::Int64.into(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.to_owned()
    }

    /// Adds a node whose one output has the node's name.
    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.node_with_outputs(operator, name, inputs, &[name], attributes);
        name.to_owned()
    }

    /// Adds a node; an empty output name leaves that output out.
    pub fn node_with_outputs(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.proto.node.push(NodeProto {
            op_type: operator.to_owned(),
            name: name.to_owned(),
            input: owned(inputs),
            output: owned(outputs),
            attribute: attributes,
            ..Default::default()
        });
    }

    /// Makes the value `from` the graph's output `name`, f32 `[batch, ...shape]`.
    pub fn output(&mut self, name: &str, from: &str, shape: &[i64]) {
        let values = self.proto.node.iter_mut().flat_map(|node| {
            let NodeProto { input, output, .. } = node;
            input.iter_mut().chain(output)
        });
        for value in values.filter(|value| *value == from) {
            name.clone_into(value);
        }
        self.proto.output.push(batch_of(name, shape));
    }

    /// The graph as a model of this opset, with metadata properties.
    pub fn into_model(mut self, name: &str, properties: &[(&str, String)]) -> ModelProto {
        name.clone_into(&mut self.proto.name);
        ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            metadata_props: properties
                .iter()
                .map(|(key, value)| StringStringEntryProto {
                    key: (*key).to_owned(),
                    value: value.clone(),
                })
                .collect(),
            ..Default::default()
        }
    }
}

/// Runs `model` in tract on one tensor an input, in the model's order. Returns the shape of its output and the values
/// in row-major order.
///
/// # Errors
/// If tract cannot read or run the model.
pub fn run_tract(
    model: &ModelProto,
    inputs: &[&Tensor],
) -> Result<(Vec<usize>, Vec<f32>), ExportError> {
    let run = || {
        let mut inference = tract_onnx::onnx().parse(model, None)?.model;
        let mut tensors = tvec![];
        for (i, tensor) in inputs.iter().enumerate() {
            let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
            // tract sizes the LSTM's first state when it plans, so the batch must have a number by then.
            inference.set_input_fact(i, f32::fact(&shape).into())?;
            let tensor = tract_onnx::prelude::Tensor::from_shape(&shape, &to_vec(tensor))?;
            tensors.push(tensor.into());
        }
        let outputs = inference.into_optimized()?.into_runnable()?.run(tensors)?;
        let output = outputs[0].to_plain_array_view::<f32>()?;
        Ok((output.shape().to_vec(), output.iter().copied().collect()))
    };
    run().map_err(ExportError::Tract)
}

/// Compares `model` in tract with libtorch's `outputs` of the same `inputs`; `names` are those of one example's outputs.
/// Returns the largest difference.
///
/// # Errors
/// If tract cannot run the model, there is nothing to compare, or an output differs by more than [`TOLERANCE`] (or is not a
/// number).
pub fn compare(
    model: &ModelProto,
    inputs: &[&Tensor],
    outputs: &Tensor,
    names: &[&'static str],
) -> Result<f32, ExportError> {
    if outputs.numel() == 0 {
        return Err(ExportError::NoBeats);
    }
    let (shape, exported) = run_tract(model, inputs)?;
    let expected = outputs.size();
    if shape
        .iter()
        .map(|&size| size as i64)
        .ne(expected.iter().copied())
    {
        return Err(ExportError::Shape {
            found: shape,
            expected,
        });
    }
    let mut largest = 0.0_f32;
    for (i, (&exported, trained)) in exported.iter().zip(to_vec(outputs)).enumerate() {
        let difference = (exported - trained).abs();
        if difference.is_nan() || difference > TOLERANCE {
            return Err(ExportError::Parity {
                beat: i / names.len(),
                class: names[i % names.len()],
                exported,
                trained,
            });
        }
        largest = largest.max(difference);
    }
    Ok(largest)
}

/// The values of a tensor on any device as f32, in row-major order.
pub(crate) fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor
        .detach()
        .to_device(Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous();
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.copy_data(&mut values, count);
    values
}

/// The description of an f32 value of `[batch, ...shape]`.
fn batch_of(name: &str, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value| Dimension {
        value: Some(value),
        ..Default::default()
    };
    let fixed = shape.iter().map(|&size| dimension(Value::DimValue(size)));
    let dim = std::iter::once(dimension(Value::DimParam(BATCH.to_owned())))
        .chain(fixed)
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: tensor_proto::DataType::Float.into(),
                shape: Some(pb::TensorShapeProto { dim }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
