//! A training on disk: one safetensors file with weights, averaged weights, optimiser state, the beats that the export
//! is checked on, and in its header the config, the hash of the features, the precision and the step.

use super::device::Precision;
use crate::config::{Config, ConfigError};
use crate::file::write_atomically;
use crate::nn::onnx::to_vec;
use heartlens_core::spec;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tch::{Kind, TchError, Tensor};
use thiserror::Error;

/// A checkpoint that cannot be written, read or used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no safetensors file, or cut short.
    #[error("{}: not a readable checkpoint: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SafeTensorError,
    },
    /// A tensor cannot be made.
    #[error("{}: tensor {name}: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Why.
        source: TchError,
    },
    /// The file lacks something.
    #[error("{}: has no {what}; was it written by heartlens-train?", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What.
        what: String,
    },
    /// The config in the file cannot be used.
    #[error("its config cannot be used: {0}")]
    Config(#[from] ConfigError),
    /// A tensor has another shape than the network's.
    #[error("{}: {name} has the shape {found:?}, the network of this config needs {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<i64>,
        /// The shape that the network has.
        expected: Vec<i64>,
    },
    /// The checkpoint was trained for other features.
    #[error(
        "{}: trained for the features {found}, but this build computes {expected}; train again",
        path.display()
    )]
    Features {
        /// The file.
        path: PathBuf,
        /// Hash in the file.
        found: String,
        /// Hash of this build.
        expected: String,
    },
    /// The checkpoint was trained in other numbers.
    #[error(
        "{}: was trained with --precision {}, but is to be continued with --precision {}; give the one that it was \
         trained with, or train anew",
        path.display(),
        found.name(),
        expected.name()
    )]
    OtherPrecision {
        /// The file.
        path: PathBuf,
        /// The checkpoint's.
        found: Precision,
        /// The one that is asked for.
        expected: Precision,
    },
    /// The checkpoint belongs to another config.
    #[error(
        "{}: its config differs from the given one in `{key}`: found {found}, expected {expected}; train anew, or give \
         the config that it was trained with",
        path.display()
    )]
    OtherConfig {
        /// The file.
        path: PathBuf,
        /// First line of the config that differs.
        key: String,
        /// The checkpoint's.
        found: String,
        /// The given one's.
        expected: String,
    },
}

/// A training at one moment.
#[derive(Debug)]
pub struct Checkpoint {
    /// What is trained.
    pub config: Config,
    /// Steps done.
    pub step: u32,
    /// The numbers that it is trained in.
    pub precision: Precision,
    /// Named tensors: `weights.*`, `average.*`, `optimizer.*`, `probe.*`.
    pub tensors: BTreeMap<String, Tensor>,
    path: PathBuf,
}

impl Checkpoint {
    /// A checkpoint without tensors, to be filled and written to `path`.
    pub fn new(config: Config, step: u32, precision: Precision, path: &Path) -> Self {
        Self {
            config,
            step,
            precision,
            tensors: BTreeMap::new(),
            path: path.to_owned(),
        }
    }

    /// Takes the mean of its own averaged weights and those of `others`, moments of the same training.
    ///
    /// # Errors
    /// If one was trained with another config, or lacks something.
    pub fn average_with(&mut self, others: &[Self]) -> Result<(), CheckpointError> {
        let count = (others.len() + 1) as f64;
        for other in others {
            other.expect_config(&self.config)?;
        }
        for (name, tensor) in &mut self.tensors {
            if !name.starts_with("average.") {
                continue;
            }
            let mut sum = tensor.copy();
            for other in others {
                let term = other.get(name)?;
                if term.size() != sum.size() {
                    return Err(CheckpointError::Shape {
                        path: other.path.clone(),
                        name: name.clone(),
                        found: term.size(),
                        expected: sum.size(),
                    });
                }
                sum += term;
            }
            *tensor = sum / count;
        }
        Ok(())
    }

    /// Adds `variables` under `prefix`.
    pub fn insert_all<S: std::fmt::Display>(
        &mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (S, Tensor)>,
    ) {
        for (name, tensor) in variables {
            self.tensors.insert(format!("{prefix}.{name}"), tensor);
        }
    }

    /// Copies the tensors under `prefix` into `variables`, which are all overwritten.
    ///
    /// # Errors
    /// If one is missing or of another shape.
    pub fn copy_into(
        &self,
        prefix: &str,
        variables: HashMap<String, Tensor>,
    ) -> Result<(), CheckpointError> {
        let _no_grad = tch::no_grad_guard();
        for (name, mut variable) in variables {
            let name = format!("{prefix}.{name}");
            let tensor = self.get(&name)?;
            if tensor.size() != variable.size() {
                return Err(CheckpointError::Shape {
                    path: self.path.clone(),
                    name,
                    found: tensor.size(),
                    expected: variable.size(),
                });
            }
            variable.copy_(tensor);
        }
        Ok(())
    }

    /// The tensor called `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        self.tensors
            .get(name)
            .ok_or_else(|| CheckpointError::Missing {
                path: self.path.clone(),
                what: format!("tensor {name}"),
            })
    }

    /// The input `name` of the batch that the export is checked on.
    ///
    /// # Errors
    /// If there is none.
    pub fn probe(&self, name: &str) -> Result<Tensor, CheckpointError> {
        Ok(self.get(&format!("probe.{name}"))?.shallow_clone())
    }

    /// Refuses other numbers than those that were trained in.
    ///
    /// # Errors
    /// Names both.
    pub fn expect_precision(&self, expected: Precision) -> Result<(), CheckpointError> {
        if self.precision == expected {
            return Ok(());
        }
        Err(CheckpointError::OtherPrecision {
            path: self.path.clone(),
            found: self.precision,
            expected,
        })
    }

    /// Refuses another config than the one that was trained.
    ///
    /// # Errors
    /// Names the first line of the config that differs.
    pub fn expect_config(&self, expected: &Config) -> Result<(), CheckpointError> {
        if self.config == *expected {
            return Ok(());
        }
        let (ours, theirs) = (self.config.text(), expected.text());
        let difference = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
        let (found, expected) = difference.unwrap_or(("another length", "the same length"));
        let key = expected.split('=').next().unwrap_or(expected).trim();
        Err(CheckpointError::OtherConfig {
            path: self.path.clone(),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> Result<(), CheckpointError> {
        let metadata = [
            ("config", self.config.text()),
            ("spec_hash", spec_hash(&self.config)),
            ("step", self.step.to_string()),
            ("precision", self.precision.name().to_owned()),
        ];
        let metadata: HashMap<String, String> = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let data: Vec<(&str, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let shape = tensor.size().iter().map(|&size| size as usize).collect();
                let bytes = to_vec(tensor)
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect();
                (name.as_str(), shape, bytes)
            })
            .collect();
        let format = |source| CheckpointError::Format {
            path: self.path.clone(),
            source,
        };
        let views = data
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(format)?;
        let bytes = safetensors::serialize(views, &Some(metadata)).map_err(format)?;
        write_atomically(&self.path, &bytes).map_err(|source| CheckpointError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no checkpoint, or was trained for other features than this build's.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            path: path.to_owned(),
            source,
        })?;
        let format = |source| CheckpointError::Format {
            path: path.to_owned(),
            source,
        };
        let missing = |what: &str| CheckpointError::Missing {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let value = |key: &str| metadata.get(key).ok_or_else(|| missing(key));
        let config = Config::parse(value("config")?, path)?;
        let (found, expected) = (value("spec_hash")?.clone(), spec_hash(&config));
        if found != expected {
            return Err(CheckpointError::Features {
                path: path.to_owned(),
                found,
                expected,
            });
        }
        let precision = Precision::named(value("precision")?);
        let precision = precision.ok_or_else(|| missing("precision"))?;
        let step = value("step")?.parse().map_err(|_| missing("step"))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes).map_err(format)?.tensors() {
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float);
            let tensor = tensor.map_err(|source| CheckpointError::Tensor {
                path: path.to_owned(),
                name: name.clone(),
                source,
            })?;
            tensors.insert(name, tensor);
        }
        Ok(Self {
            config,
            step,
            precision,
            tensors,
            path: path.to_owned(),
        })
    }
}

/// Hash of what the network reads, 16 hex digits.
fn spec_hash(config: &Config) -> String {
    let hash = match config {
        Config::Beat(_) => spec::HASH,
        Config::Rhythm(_) => spec::RHYTHM_HASH,
        Config::Strip(_) => spec::STRIP_HASH,
    };
    format!("{hash:016x}")
}
