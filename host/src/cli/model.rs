//! Which model a verb works with.

use crate::model::Model;
use crate::runtime::ModelError;
use std::path::PathBuf;

/// Names a model's folder, where the one inside the program is not wanted.
pub(crate) const VARIABLE: &str = "HEARTLENS_MODEL";

/// The flag of every verb with a model.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ModelChoice {
    /// Folder of another model than the one inside the program: model.hlm, model.onnx, rhythm.hlr, strip.hlm. The environment
    /// variable HEARTLENS_MODEL names one, too.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

impl ModelChoice {
    /// Loads it.
    pub(crate) fn load(&self) -> Result<Model, ModelError> {
        load(self.model.clone())
    }

    /// The folder; `None` for the model inside the program.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        folder(self.model.clone())
    }
}

/// The model in this folder, or else in that of [`VARIABLE`], or else the one inside the program.
pub(crate) fn load(flag: Option<PathBuf>) -> Result<Model, ModelError> {
    match folder(flag) {
        Some(folder) => Model::load(folder),
        None => Model::shipped(),
    }
}

fn folder(flag: Option<PathBuf>) -> Option<PathBuf> {
    let named = || std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
    flag.or_else(|| named().map(PathBuf::from))
}
