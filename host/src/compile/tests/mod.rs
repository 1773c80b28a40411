//! Random networks of every operator, float in tract against integers in core's engine; and what is refused.

mod operators;
mod refusals;

use crate::model::OUTPUT;
use heartlens_core::views::{View, Views};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto::Dimension, tensor_shape_proto::dimension::Value,
    type_proto,
};

/// An ONNX graph with random weights in the making. Each node's one output has the node's name.
pub(super) struct Network {
    pub(super) model: ModelProto,
    rng: ChaCha8Rng,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            model: ModelProto {
                ir_version: 8,
                opset_import: vec![OperatorSetIdProto {
                    domain: String::new(),
                    version: 17,
                }],
                graph: Some(GraphProto::default()),
                ..ModelProto::default()
            },
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn graph(&mut self) -> &mut GraphProto {
        self.model.graph.get_or_insert_default()
    }

    /// One of the views as an input.
    pub(super) fn input(&mut self, name: &str) -> String {
        let shape = View::named(name).expect("a view").shape();
        let fixed = shape.iter().map(|n| Value::DimValue(*n as i64));
        let info = value(
            name,
            std::iter::once(Value::DimParam("batch".to_owned())).chain(fixed),
        );
        self.graph().input.push(info);
        name.to_owned()
    }

    /// A constant of numbers drawn evenly from `-bound..bound`.
    pub(super) fn weights(&mut self, name: &str, dims: &[i64], bound: f32) -> String {
        let len = dims.iter().product::<i64>();
        let values: Vec<f32> = (0..len)
            .map(|_| self.rng.random_range(-bound..bound))
            .collect();
        self.constant(name, dims, &values)
    }

    pub(super) fn constant(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        self.graph().initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float.into(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.graph().initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64.into(),
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.node_with_outputs(operator, name, inputs, &[name], attributes)
    }

    pub(super) fn node_with_outputs(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.graph().node.push(NodeProto {
            op_type: operator.to_owned(),
            name: name.to_owned(),
            input: owned(inputs),
            output: owned(outputs),
            attribute,
            ..NodeProto::default()
        });
        name.to_owned()
    }

    /// A convolution with weights `[outputs, inputs, ...kernel]` and bias, padded by half its kernel.
    pub(super) fn conv(&mut self, name: &str, input: &str, dims: &[i64], stride: i64) -> String {
        let fan_in: i64 = dims[1..].iter().product();
        let bound = 1.5 / (fan_in as f32).sqrt();
        let weights = self.weights(&format!("{name}.w"), dims, bound);
        let bias = self.weights(&format!("{name}.b"), &dims[..1], 0.3);
        let pads: Vec<i64> = dims[2..].iter().chain(&dims[2..]).map(|k| k / 2).collect();
        let strides = vec![stride; dims.len() - 2];
        let attributes = vec![ints("strides", &strides), ints("pads", &pads)];
        self.node("Conv", name, &[input, &weights, &bias], attributes)
    }

    pub(super) fn relu(&mut self, input: &str) -> String {
        self.node("Relu", &format!("{input}.relu"), &[input], vec![])
    }

    /// Four logits of a vector of `features`.
    pub(super) fn logits(&mut self, input: &str, features: i64) -> ModelProto {
        let weights = self.weights("logits.w", &[4, features], 2.0 / (features as f32).sqrt());
        let bias = self.weights("logits.b", &[4], 0.5);
        self.node(
            "Gemm",
            OUTPUT,
            &[input, &weights, &bias],
            vec![int("transB", 1)],
        );
        self.finish()
    }

    pub(super) fn finish(&mut self) -> ModelProto {
        let info = value(
            OUTPUT,
            [Value::DimParam("batch".to_owned()), Value::DimValue(4)].into_iter(),
        );
        self.graph().output = vec![info];
        self.model.clone()
    }

    pub(super) fn flat(&mut self, input: &str) -> String {
        self.node("Flatten", &format!("{input}.flat"), &[input], vec![])
    }
}

fn value(name: &str, dims: impl Iterator<Item = Value>) -> ValueInfoProto {
    let dimension = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float.into(),
                shape: Some(TensorShapeProto {
                    dim: dims.map(dimension).collect(),
                }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int.into(),
        i: value,
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints.into(),
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::String.into(),
        s: value.as_bytes().to_vec(),
        ..AttributeProto::default()
    }
}

/// Views that look like nothing in particular: slow waves and noise, in the views' own ranges.
pub(super) fn views(seed: u64, count: usize) -> Vec<Views> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut fill = |values: &mut [f32], scale: f32, offset: f32| {
        let (phase, step) = (rng.random_range(0.0..6.3), rng.random_range(0.02..0.4));
        for (i, value) in values.iter_mut().enumerate() {
            let wave = (phase + step * i as f32).sin();
            *value = offset + scale * (wave + rng.random_range(-0.5..0.5));
        }
    };
    (0..count)
        .map(|_| {
            let mut views = Views::ZERO;
            fill(&mut views.waveform, 2.0, 0.0);
            fill(&mut views.spectrum, 1.5, -1.0);
            fill(&mut views.spectrogram, 1.5, -2.0);
            fill(&mut views.metadata, 0.7, 0.2);
            // Features of a range of their own.
            views.metadata[3] *= 20.0;
            views.metadata[7] *= 0.01;
            views
        })
        .collect()
}
