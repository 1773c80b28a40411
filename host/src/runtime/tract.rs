//! `tract`: a pure Rust executor, the default on a host.

use super::graph::with_every_tensor;
use super::{LayerOutput, Logits, ModelError, Runtime};
use crate::compile::source::{metadata, one_line};
use crate::model::{ModelMetadata, OUTPUT, PATIENT_KEY};
use heartlens_core::views::{View, Views};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tract_onnx::pb;
use tract_onnx::prelude::*;

/// The name, as `--runtime` takes it.
pub(super) const NAME: &str = "tract";

/// Beats that the network is given at once, where there are as many: where `cargo bench -p heartlens --bench runtimes` sees
/// the time a beat stop falling.
pub const BATCH: usize = 64;

/// A network in tract. Its plans are made for a number of beats, when they are first needed: one for [`BATCH`] and one for
/// single beats.
pub struct Tract {
    path: PathBuf,
    model_name: String,
    reads_patient: bool,
    proto: pb::ModelProto,
    batch: usize,
    many: Option<Plan>,
    one: Option<Plan>,
    layers: Option<(Plan, Vec<String>)>,
}

type Plan = Arc<TypedRunnableModel>;

impl Tract {
    /// Loads an exported network from a file and plans its execution.
    ///
    /// # Errors
    /// When the file cannot be read, is not ONNX, was trained for other features, or tract refuses it.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::new(&super::read(path)?, path)
    }

    /// Plans the execution of an exported network, the ONNX file `path`.
    ///
    /// # Errors
    /// When it is not ONNX, was trained for other features, or tract refuses it.
    pub fn new(onnx: &[u8], path: &Path) -> Result<Self, ModelError> {
        Self::with_batch(onnx, path, BATCH)
    }

    /// As [`Tract::new`], for another batch than [`BATCH`]; 0 counts as 1.
    ///
    /// # Errors
    /// As for [`Tract::new`].
    pub fn with_batch(onnx: &[u8], path: &Path, batch: usize) -> Result<Self, ModelError> {
        let (proto, metadata) = parse(onnx, path)?;
        let mut tract = Self {
            path: path.to_owned(),
            model_name: metadata.check(path)?,
            reads_patient: reads_patient(&metadata),
            proto,
            batch: batch.max(1),
            many: None,
            one: None,
            layers: None,
        };
        // A graph that tract refuses is refused here.
        tract.one = Some(tract.told(plan(&tract.proto, &[OUTPUT], 1))?);
        Ok(tract)
    }

    /// What tract says, with the file that it says it of.
    fn told<T>(&self, result: TractResult<T>) -> Result<T, ModelError> {
        result.map_err(|error| ModelError::Runtime {
            path: self.path.clone(),
            runtime: NAME,
            reason: one_line(&error),
        })
    }

    /// The plan for this many beats: one or a whole batch.
    fn plan_for(&mut self, beats: usize) -> TractResult<Plan> {
        let kept = if beats == 1 {
            &mut self.one
        } else {
            &mut self.many
        };
        match kept {
            Some(plan) => Ok(plan.clone()),
            None => Ok(kept.insert(plan(&self.proto, &[OUTPUT], beats)?).clone()),
        }
    }
}

fn parse(onnx: &[u8], path: &Path) -> Result<(pb::ModelProto, ModelMetadata), ModelError> {
    let proto = tract_onnx::onnx()
        .proto_model_for_read(&mut &onnx[..])
        .map_err(|reason| ModelError::NotOnnx {
            path: path.to_owned(),
            reason: one_line(&reason),
        })?;
    let metadata = metadata(&proto);
    Ok((proto, metadata))
}

fn reads_patient(metadata: &ModelMetadata) -> bool {
    metadata.property(PATIENT_KEY) == Some("read")
}

/// The name of the network in the ONNX file `path`, and whether it reads age and sex.
pub(crate) fn introduce(onnx: &[u8], path: &Path) -> Result<(String, bool), ModelError> {
    let (_, metadata) = parse(onnx, path)?;
    Ok((metadata.check(path)?, reads_patient(&metadata)))
}

/// Plans the computation of these outputs for so many beats. (tract cannot plan an LSTM for any number.)
fn plan<S: AsRef<str>>(proto: &pb::ModelProto, outputs: &[S], beats: usize) -> TractResult<Plan> {
    let mut model = tract_onnx::onnx()
        .model_for_proto_model(proto)?
        .with_input_names(View::ALL.map(View::name))?
        .with_outputs_by_name(outputs)?;
    for (i, view) in View::ALL.into_iter().enumerate() {
        let mut batched = tvec!(beats);
        batched.extend_from_slice(view.shape());
        model.set_input_fact(i, f32::fact(&batched).into())?;
    }
    model.into_optimized()?.into_runnable()
}

/// Runs a plan on as many beats as it was made for, and gives the values of each output.
fn run(plan: &Plan, beats: &[Views]) -> TractResult<Vec<Vec<f32>>> {
    let mut inputs = tvec!();
    for (shape, values) in super::inputs(beats) {
        inputs.push(Tensor::from_shape(&shape, &values)?.into());
    }
    let outputs = plan.run(inputs)?;
    let values = |output: &TValue| -> TractResult<Vec<f32>> {
        Ok(output
            .to_plain_array_view::<f32>()?
            .iter()
            .copied()
            .collect())
    };
    outputs.iter().map(values).collect()
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
        let (whole, rest) = beats.split_at(beats.len() / self.batch * self.batch);
        for batch in whole.chunks(self.batch).chain(rest.chunks(1)) {
            let outputs = self
                .plan_for(batch.len())
                .and_then(|plan| run(&plan, batch));
            let outputs = self.told(outputs)?;
            let logits = outputs.first().map_or(&[][..], Vec::as_slice);
            all.extend(super::logits_of(logits, batch.len(), &self.path, NAME)?);
        }
        Ok(all)
    }

    fn layer_outputs(&mut self, beat: &Views) -> Result<Vec<LayerOutput>, ModelError> {
        if self.layers.is_none() {
            let (proto, names) = with_every_tensor(&self.proto);
            self.layers = Some((self.told(plan(&proto, &names, 1))?, names));
        }
        let Some((plan, names)) = &self.layers else {
            return Ok(Vec::new());
        };
        let outputs = self.told(run(plan, std::slice::from_ref(beat)))?;
        let layers = names.iter().cloned().zip(outputs);
        Ok(layers
            .map(|(name, values)| LayerOutput { name, values })
            .collect())
    }
}
