//! The strip network as an ONNX file: inputs named after [`StripView`](heartlens_core::strip::StripView), the output `logits` `[batch, 4]`, and the metadata
//! properties of a beat's model.

use super::config::Config;
use super::network::StripNetwork;
use crate::file::write_atomically;
use crate::nn::onnx::{self, ExportError, Graph};
use heartlens::model::{LABELS_KEY, NAME_KEY, PATIENT_KEY, SAMPLE_RATE_KEY, SPEC_HASH_KEY};
use heartlens_core::spec::{SAMPLE_RATE_HZ, STRIP_HASH, STRIP_LABELS};
use prost::Message;
use std::path::Path;
use tch::Tensor;
use tract_onnx::pb::ModelProto;

/// The network as an ONNX model.
pub fn model(network: &StripNetwork, config: &Config) -> ModelProto {
    let mut graph = Graph::default();
    network.onnx(&mut graph);
    let producer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let properties = [
        (NAME_KEY, config.name.clone()),
        (LABELS_KEY, STRIP_LABELS.join(",")),
        (SAMPLE_RATE_KEY, SAMPLE_RATE_HZ.to_string()),
        (SPEC_HASH_KEY, format!("{STRIP_HASH:016x}")),
        (PATIENT_KEY, "ignored".to_owned()),
        ("producer", producer.to_owned()),
        (
            "notice",
            "research software, not for clinical use".to_owned(),
        ),
    ];
    graph.into_model(&config.name, &properties)
}

/// Checks the model against libtorch's `logits` of the same `views` in tract, and writes it to `path`, whole or not at all.
/// Returns the largest difference of a logit.
///
/// # Errors
/// If tract cannot run the model, differs by more than [`onnx::TOLERANCE`], or the file cannot be written.
pub fn write(
    network: &StripNetwork,
    config: &Config,
    views: &[Tensor; 4],
    logits: &Tensor,
    path: &Path,
) -> Result<f32, ExportError> {
    let model = model(network, config);
    let inputs: Vec<&Tensor> = config
        .views
        .iter()
        .map(|view| &views[*view as usize])
        .collect();
    let difference = onnx::compare(&model, &inputs, logits, &STRIP_LABELS)?;
    write_atomically(path, &model.encode_to_vec()).map_err(|source| ExportError::Write {
        path: path.to_owned(),
        source,
    })?;
    Ok(difference)
}
