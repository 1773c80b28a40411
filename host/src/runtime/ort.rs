//! ONNX Runtime through `ort`: a native library, loaded when it is first asked for.
//!
//! The library is the file that the environment variable `ORT_DYLIB_PATH` names or, where that is not set, the one in
//! the Python environment that `cargo xtask setup` makes, `heartlens/venv` in the user's cache directory
//! (`$XDG_CACHE_HOME`, else `~/.cache`). A process loads it once.

use super::graph::with_every_tensor;
use super::{LayerOutput, Logits, ModelError, Runtime};
use crate::model::{ModelMetadata, OUTPUT, PATIENT_KEY};
use ::ort::environment::Environment;
use ::ort::session::Session;
use ::ort::session::builder::GraphOptimizationLevel;
use ::ort::value::{TensorRef, ValueType};
use heartlens_core::views::{View, Views};
use prost::Message;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tract_onnx::pb::ModelProto;

/// The name, as `--runtime` takes it.
pub(super) const NAME: &str = "ort";

/// Beats that the network is given at once, where there are as many: where `cargo bench -p heartlens --bench runtimes` sees
/// the time a beat stop falling.
pub const BATCH: usize = 64;

/// Names the library, instead of the one that `cargo xtask setup` got.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// How to get what is missing.
const HELP: &str = "`cargo xtask setup` gets it, or set ORT_DYLIB_PATH to the shared library of ONNX Runtime 1.23 or later";

/// A network in ONNX Runtime, on one thread.
pub struct Ort {
    path: PathBuf,
    model_name: String,
    reads_patient: bool,
    batch: usize,
    bytes: Vec<u8>,
    session: Session,
    layers: Option<(Session, Vec<String>)>,
}

impl Ort {
    /// Loads the library, if this process has not yet, and an exported network.
    ///
    /// # Errors
    /// When the library is missing or too old, the file cannot be read, is not ONNX, was trained for other features, or
    /// ONNX Runtime refuses it.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::new(&super::read(path)?, path)
    }

    /// Loads the library, if this process has not yet, and an exported network, the ONNX file `path`.
    ///
    /// # Errors
    /// As for [`Ort::load`], but for reading the file.
    pub fn new(onnx: &[u8], path: &Path) -> Result<Self, ModelError> {
        Self::with_batch(onnx, path, BATCH)
    }

    /// As [`Ort::new`], for another batch than [`BATCH`]; 0 counts as 1.
    ///
    /// # Errors
    /// As for [`Ort::new`].
    pub fn with_batch(onnx: &[u8], path: &Path, batch: usize) -> Result<Self, ModelError> {
        let session = session(&environment()?, onnx).map_err(|error| match error.code() {
            ::ort::ErrorCode::InvalidProtobuf => ModelError::NotOnnx {
                path: path.to_owned(),
                reason: one_line(&error),
            },
            _ => failed(path, &error),
        })?;
        let metadata = metadata(&session).map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            model_name: metadata.check(path)?,
            reads_patient: metadata.property(PATIENT_KEY) == Some("read"),
            batch: batch.max(1),
            bytes: onnx.to_vec(),
            session,
            layers: None,
        })
    }
}

impl Runtime for Ort {
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
        for batch in beats.chunks(self.batch) {
            let outputs = run(&mut self.session, batch, &[OUTPUT])
                .map_err(|error| failed(&self.path, &error))?;
            let logits = outputs.first().map_or(&[][..], Vec::as_slice);
            all.extend(super::logits_of(logits, batch.len(), &self.path, NAME)?);
        }
        Ok(all)
    }

    fn layer_outputs(&mut self, beat: &Views) -> Result<Vec<LayerOutput>, ModelError> {
        let failed = |error: ::ort::Error| failed(&self.path, &error);
        let (session, names) = match &mut self.layers {
            Some(layers) => layers,
            none => {
                let model = ModelProto::decode(self.bytes.as_slice()).map_err(|error| {
                    ModelError::NotOnnx {
                        path: self.path.clone(),
                        reason: error.to_string(),
                    }
                })?;
                let (model, names) = with_every_tensor(&model);
                let session = session(&environment()?, &model.encode_to_vec()).map_err(failed)?;
                none.insert((session, names))
            }
        };
        let outputs = run(session, std::slice::from_ref(beat), names).map_err(failed)?;
        let layers = names.iter().cloned().zip(outputs);
        Ok(layers
            .map(|(name, values)| LayerOutput { name, values })
            .collect())
    }
}

/// What `cargo xtask setup` writes beside the Python environment, as far as it matters here.
#[derive(Deserialize)]
struct Stamp {
    installed: Installed,
}

#[derive(Deserialize)]
struct Installed {
    onnxruntime_library: PathBuf,
}

/// The library's file, as far as its name goes: whether it can be loaded shows when a network is.
///
/// # Errors
/// When neither [`LIBRARY_VARIABLE`] nor a finished `cargo xtask setup` names one.
pub fn library() -> Result<PathBuf, ModelError> {
    let named = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    library_in(named.map(PathBuf::from), cache)
}

/// The library that is `named`, or the one of the Python environment in this cache directory.
fn library_in(named: Option<PathBuf>, cache: Option<PathBuf>) -> Result<PathBuf, ModelError> {
    if let Some(path) = named {
        return Ok(path);
    }
    let missing = |reason: String| ModelError::Library { reason, help: HELP };
    let Some(cache) = cache else {
        return Err(missing("neither ORT_DYLIB_PATH nor HOME is set".to_owned()));
    };
    let path = cache.join("heartlens/venv/heartlens.json");
    let text = std::fs::read(&path).map_err(|error| {
        missing(format!(
            "ORT_DYLIB_PATH is not set, and {}: {error}",
            path.display()
        ))
    })?;
    let stamp: Stamp = serde_json::from_slice(&text)
        .map_err(|error| missing(format!("{}: {error}", path.display())))?;
    Ok(stamp.installed.onnxruntime_library)
}

/// ONNX Runtime's environment, which is one for the whole process. The library is loaded here, before anything of `ort` is
/// called that would panic without it.
fn environment() -> Result<Environment, ModelError> {
    static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);
    let mut kept = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*kept {
        return Ok(environment.clone());
    }
    let path = library()?;
    let unusable = |reason: String| ModelError::Library { reason, help: HELP };
    let builder = ::ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let environment = builder
        .with_name("heartlens")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(format!("{}: {}", path.display(), one_line(&error))))?;
    Ok(kept.insert(environment).clone())
}

/// A session on one thread.
fn session(environment: &Environment, model: &[u8]) -> ::ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_memory(model)
}

/// Runs a network and gives the values of the named outputs.
fn run<S: AsRef<str>>(
    session: &mut Session,
    beats: &[Views],
    outputs: &[S],
) -> ::ort::Result<Vec<Vec<f32>>> {
    let inputs: Vec<_> = super::inputs(beats).collect();
    let mut tensors = Vec::with_capacity(inputs.len());
    for (view, (shape, values)) in View::ALL.into_iter().zip(&inputs) {
        let tensor = TensorRef::from_array_view((shape.as_slice(), values.as_slice()))?;
        tensors.push((view.name(), tensor));
    }
    let found = session.run(tensors)?;
    let values = |name: &S| {
        let tensor = found.get(name).ok_or_else(|| {
            ::ort::Error::new(format!("the graph has no output `{}`", name.as_ref()))
        })?;
        let (_, values) = tensor.try_extract_tensor::<f32>()?;
        Ok(values.to_vec())
    };
    outputs.iter().map(values).collect()
}

/// What the model states about itself, as ONNX Runtime reads it.
fn metadata(session: &Session) -> ::ort::Result<ModelMetadata> {
    let metadata = session.metadata()?;
    let keys = metadata.custom_keys()?;
    let value = |key: String| metadata.custom(&key).map(|value| (key, value));
    let shape = |kind: &ValueType| match kind {
        ValueType::Tensor { shape, .. } => shape.iter().map(|n| usize::try_from(*n).ok()).collect(),
        _ => Vec::new(),
    };
    Ok(ModelMetadata {
        properties: keys.into_iter().filter_map(value).collect(),
        inputs: session
            .inputs()
            .iter()
            .map(|input| (input.name().to_owned(), shape(input.dtype())))
            .collect(),
    })
}

fn failed(path: &Path, error: &::ort::Error) -> ModelError {
    ModelError::Runtime {
        path: path.to_owned(),
        runtime: NAME,
        reason: one_line(error),
    }
}

/// An error on one line.
fn one_line(error: &::ort::Error) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_looked_for_where_it_is_documented() {
        let cache = tempfile::tempdir().expect("folder");
        let in_cache = |named: Option<&str>| {
            library_in(named.map(PathBuf::from), Some(cache.path().to_owned()))
        };
        assert_eq!(
            in_cache(Some("/opt/ort.so")).expect("named"),
            Path::new("/opt/ort.so")
        );
        let error = in_cache(None).expect_err("nothing there").to_string();
        assert!(
            error.contains("heartlens.json") && error.contains("xtask setup"),
            "{error}"
        );

        let folder = cache.path().join("heartlens/venv");
        std::fs::create_dir_all(&folder).expect("folder");
        let stamp = folder.join("heartlens.json");
        std::fs::write(&stamp, "{}").expect("stamp");
        let error = in_cache(None).expect_err("no library in it").to_string();
        assert!(
            error.contains("installed") && error.contains("xtask setup"),
            "{error}"
        );
        let text = r#"{"installed": {"onnxruntime_library": "/venv/ort.so", "torch": "2"}}"#;
        std::fs::write(&stamp, text).expect("stamp");
        assert_eq!(in_cache(None).expect("stamped"), Path::new("/venv/ort.so"));
        assert!(library_in(None, None).is_err());
    }
}
