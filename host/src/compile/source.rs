//! The ONNX file that is compiled.

use super::beats::Sample;
use super::calibrate::{self, Compiled, Observer};
use super::error::CompileError;
use super::quantise::Card;
use crate::model::{ModelMetadata, NAME_KEY, PATIENT_KEY};
use crate::runtime::ModelError;
use heartlens_core::model::{AnyView, Task, ViewValues};
use std::path::Path;
use tract_onnx::pb::{ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};
use tract_onnx::prelude::{Framework, TractError};

/// An ONNX file.
#[derive(Debug, Clone)]
pub struct Source {
    model: ModelProto,
    metadata: ModelMetadata,
}

impl Source {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// When it cannot be read, is not ONNX, or was trained for other features.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let source = Self::read_any(path)?;
        source.metadata.check_properties(source.task(), path)?;
        Ok(source)
    }

    /// Reads an ONNX file, whatever features it was trained for.
    ///
    /// # Errors
    /// When it cannot be read or is not ONNX.
    pub fn read_any(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let model = tract_onnx::onnx()
            .proto_model_for_read(&mut bytes.as_slice())
            .map_err(|error| ModelError::NotOnnx {
                path: path.to_owned(),
                reason: one_line(&error),
            })?;
        Ok(Self::of(model))
    }

    /// A model that is in memory; errors call it `path`.
    ///
    /// # Errors
    /// When it was trained for other features.
    pub fn new(model: ModelProto, path: &Path) -> Result<Self, ModelError> {
        let source = Self::of(model);
        source.metadata.check_properties(source.task(), path)?;
        Ok(source)
    }

    fn of(model: ModelProto) -> Self {
        Self {
            metadata: metadata(&model),
            model,
        }
    }

    /// The model.
    pub const fn model(&self) -> &ModelProto {
        &self.model
    }

    /// The model's name; empty where it states none.
    pub fn name(&self) -> &str {
        self.property(NAME_KEY).unwrap_or_default()
    }

    /// The value of a metadata property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.metadata.property(key)
    }

    /// What the network is for: what the first of its inputs that has the name of a view is a view of.
    pub fn task(&self) -> Task {
        let views = self.metadata.inputs.iter();
        let mut views = views.filter_map(|(name, _)| AnyView::named(name));
        views.next().map_or(Task::Beat, AnyView::task)
    }

    /// Whether the network reads age and sex.
    pub fn reads_patient(&self) -> bool {
        self.property(PATIENT_KEY) == Some("read")
    }

    /// Compiles the network. See [`calibrate::compile`].
    ///
    /// # Errors
    /// Those of [`calibrate::compile`].
    pub fn compile<V: ViewValues + Clone>(
        &self,
        sample: &Sample<V>,
        observe: Observer<'_>,
    ) -> Result<Compiled, CompileError> {
        let card = Card {
            name: self.name().to_owned(),
            labels: V::TASK.labels().map(str::to_owned).to_vec(),
            priors: sample.priors.clone(),
            reads_patient: self.reads_patient(),
        };
        calibrate::compile(
            &self.model,
            &card,
            &sample.calibration,
            &sample.held_out,
            observe,
        )
    }
}

/// What the model file states about itself.
pub(crate) fn metadata(proto: &ModelProto) -> ModelMetadata {
    let shape = |value: &ValueInfoProto| -> Vec<Option<usize>> {
        let Some(type_proto::Value::TensorType(tensor)) =
            value.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return Vec::new();
        };
        let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
        dims.map(|dim| match dim.value {
            Some(tensor_shape_proto::dimension::Value::DimValue(n)) => usize::try_from(n).ok(),
            _ => None,
        })
        .collect()
    };
    let graph = proto.graph.as_ref();
    // Old exporters list the weights among the inputs too.
    let is_weight = |name: &str| {
        graph.is_some_and(|graph| graph.initializer.iter().any(|tensor| tensor.name == name))
    };
    ModelMetadata {
        properties: proto
            .metadata_props
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect(),
        inputs: graph
            .iter()
            .flat_map(|graph| &graph.input)
            .filter(|input| !is_weight(&input.name))
            .map(|input| (input.name.clone(), shape(input)))
            .collect(),
    }
}

/// An error and its causes on one line.
pub(crate) fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
