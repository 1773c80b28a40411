//! `tract`: a pure Rust executor, the default on a host.

use super::{Logits, ModelError, Runtime};
use crate::model::{INPUTS, OUTPUT, PATIENT_KEY, Statement};
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tract_onnx::pb;
use tract_onnx::prelude::*;

/// The name, as `--runtime` takes it.
pub(super) const NAME: &str = "tract";

/// A network in tract, planned for one beat at a time.
pub struct Tract {
    path: PathBuf,
    model_name: String,
    reads_patient: bool,
    plan: Arc<TypedRunnableModel>,
}

impl Tract {
    /// Loads an exported network and plans its execution.
    ///
    /// # Errors
    /// When the file cannot be read, is not ONNX, was trained for other features, or tract refuses it.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let not_onnx = |reason: TractError| ModelError::NotOnnx {
            path: path.to_owned(),
            reason: one_line(&reason),
        };
        let onnx = tract_onnx::onnx();
        let proto = onnx
            .proto_model_for_read(&mut bytes.as_slice())
            .map_err(not_onnx)?;
        let statement = statement(&proto);
        let model_name = statement.check(path)?;
        let plan = Self::plan(&onnx, &proto).map_err(|error| ModelError::Runtime {
            path: path.to_owned(),
            runtime: NAME,
            reason: one_line(&error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            model_name,
            reads_patient: statement.property(PATIENT_KEY) == Some("read"),
            plan,
        })
    }

    fn plan(
        onnx: &tract_onnx::Onnx,
        proto: &pb::ModelProto,
    ) -> TractResult<Arc<TypedRunnableModel>> {
        let mut model = onnx
            .model_for_proto_model(proto)?
            .with_input_names(INPUTS.map(|(name, _)| name))?
            .with_outputs_by_name([OUTPUT])?;
        for (i, (_, shape)) in INPUTS.iter().enumerate() {
            let mut batched = tvec!(1);
            batched.extend_from_slice(shape);
            model.set_input_fact(i, f32::fact(&batched).into())?;
        }
        model.into_optimized()?.into_runnable()
    }

    fn run(&self, beat: &Views) -> TractResult<Vec<f32>> {
        let views: [&[f32]; INPUTS.len()] = [
            &beat.waveform,
            &beat.spectrum,
            &beat.spectrogram,
            &beat.metadata,
        ];
        let mut inputs = tvec!();
        for (view, (_, shape)) in views.into_iter().zip(INPUTS) {
            let mut batched = tvec!(1);
            batched.extend_from_slice(shape);
            inputs.push(Tensor::from_shape(&batched, view)?.into());
        }
        let outputs = self.plan.run(inputs)?;
        let logits = outputs[0].to_plain_array_view::<f32>()?;
        Ok(logits.iter().copied().collect())
    }
}

impl Runtime for Tract {
    fn name(&self) -> &'static str {
        NAME
    }

    fn model_name(&self) -> &str {
        &self.model_name
    }

    fn reads_patient(&self) -> bool {
        self.reads_patient
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        let mut all = Vec::with_capacity(beats.len());
        for beat in beats {
            let found = self.run(beat).map_err(|error| ModelError::Runtime {
                path: self.path.clone(),
                runtime: NAME,
                reason: one_line(&error),
            })?;
            match Logits::try_from(found.as_slice()) {
                Ok(logits) if logits.iter().all(|x| x.is_finite()) => all.push(logits),
                _ => {
                    return Err(ModelError::Output {
                        path: self.path.clone(),
                        runtime: NAME,
                        found: format!("{found:?}"),
                        expected: format!("{} finite logits", LABELS.len()),
                    });
                }
            }
        }
        Ok(all)
    }
}

/// What the model file states about itself.
fn statement(proto: &pb::ModelProto) -> Statement {
    let shape = |value: &pb::ValueInfoProto| -> Vec<Option<usize>> {
        let Some(pb::type_proto::Value::TensorType(tensor)) =
            value.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return Vec::new();
        };
        let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
        dims.map(|dim| match dim.value {
            Some(pb::tensor_shape_proto::dimension::Value::DimValue(n)) => usize::try_from(n).ok(),
            _ => None,
        })
        .collect()
    };
    let graph = proto.graph.as_ref();
    // Old exporters list the weights among the inputs too.
    let is_weight = |name: &str| {
        graph.is_some_and(|graph| graph.initializer.iter().any(|tensor| tensor.name == name))
    };
    Statement {
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
fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
