//! The ONNX file that is compiled.

use super::beats::Sample;
use super::calibrate::{self, Compiled, Observer};
use super::error::CompileError;
use super::quantise::Card;
use crate::model::PATIENT_KEY;
use crate::runtime::ModelError;
use crate::runtime::tract::{one_line, statement};
use heartlens_core::spec::LABELS;
use std::path::Path;
use tract_onnx::pb::ModelProto;

/// An ONNX file that was trained for the features of this build.
#[derive(Debug, Clone)]
pub struct Source {
    model: ModelProto,
    name: String,
    reads_patient: bool,
}

impl Source {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// When it cannot be read, is not ONNX, or was trained for other features.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
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
        Self::new(model, path)
    }

    /// A model that is in memory; errors call it `path`.
    ///
    /// # Errors
    /// When it was trained for other features.
    pub fn new(model: ModelProto, path: &Path) -> Result<Self, ModelError> {
        let statement = statement(&model);
        Ok(Self {
            name: statement.check_properties(path)?,
            reads_patient: statement.property(PATIENT_KEY) == Some("read"),
            model,
        })
    }

    /// The model.
    pub const fn model(&self) -> &ModelProto {
        &self.model
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Compiles the network. See [`calibrate::compile`].
    ///
    /// # Errors
    /// Those of [`calibrate::compile`].
    pub fn compile(
        &self,
        sample: &Sample,
        observe: Observer<'_>,
    ) -> Result<Compiled, CompileError> {
        let card = Card {
            name: self.name.clone(),
            labels: LABELS.map(str::to_owned).to_vec(),
            priors: sample.priors.clone(),
            reads_patient: self.reads_patient,
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
