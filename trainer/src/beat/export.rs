//! The beat network as an ONNX file.
//!
//! **Interface**: an f32 input for each view that is on (`waveform` `[batch, 2, 96]`, `spectrum` `[batch, 2, 64]`,
//! `spectrogram` `[batch, 2, 16, 11]`, `metadata` `[batch, 46]`; `batch` is symbolic) and the output `logits`
//! `[batch, 4]`. ONNX Runtime runs any batch; tract wants it fixed before it plans (`set_input_fact`).
//!
//! **Metadata properties**: `name`, `labels` (comma-separated, in the order of the logits), `sample_rate_hz`,
//! `window` (of the beat, relative to the R peak), `spec_hash` (16 hex digits), `producer`, `notice`.

use super::config::Config;
use super::network::{Network, ViewBatch};
use crate::file::write_atomically;
use crate::nn::onnx::{ExportError, Graph, compare};
use heartlens::model::{
    LABELS_KEY, NAME_KEY, PATIENT_KEY, SAMPLE_RATE_KEY, SPEC_HASH_KEY, labels, spec_hash,
};
use heartlens_core::spec;
use heartlens_core::views::View;
use prost::Message;
use std::path::Path;
use tch::Tensor;
use tract_onnx::pb::ModelProto;

/// The network of `config` as an ONNX model.
pub fn model(network: &Network, config: &Config) -> ModelProto {
    let mut graph = Graph::default();
    network.onnx(&mut graph);
    let window_end = spec::BEAT_LEN_SAMPLES - spec::BEAT_BEFORE_SAMPLES - 1;
    let producer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let properties = [
        (NAME_KEY, config.name.clone()),
        (LABELS_KEY, labels()),
        (SAMPLE_RATE_KEY, spec::SAMPLE_RATE_HZ.to_string()),
        (
            "window",
            format!("R-{}..=R+{window_end}", spec::BEAT_BEFORE_SAMPLES),
        ),
        (SPEC_HASH_KEY, spec_hash()),
        (
            PATIENT_KEY,
            if config.metadata.patient {
                "read"
            } else {
                "ignored"
            }
            .to_owned(),
        ),
        ("producer", producer.to_owned()),
        (
            "notice",
            "research software, not for clinical use".to_owned(),
        ),
    ];
    graph.into_model(&config.name, &properties)
}

/// Compares `model` in tract with libtorch's `logits` of the same `views`. Returns the largest difference.
///
/// # Errors
/// If tract cannot run the model, there is no beat to compare, or a logit differs by more than [`TOLERANCE`](crate::nn::onnx::TOLERANCE) (or is
/// not a number).
pub fn check(model: &ModelProto, views: &ViewBatch, logits: &Tensor) -> Result<f32, ExportError> {
    let reads = |view: &View| {
        let graph = model.graph.as_ref();
        graph.is_some_and(|graph| graph.input.iter().any(|input| input.name == view.name()))
    };
    let inputs: Vec<&Tensor> = View::ALL
        .iter()
        .filter(|view| reads(view))
        .map(|&view| views.get(view))
        .collect();
    compare(model, &inputs, logits, &spec::LABELS)
}

/// Checks `model` against libtorch's `logits` of `views` and writes it to `path`, whole or not at all. Returns the
/// largest difference of a logit.
///
/// # Errors
/// As [`check`], or if the file cannot be written.
pub fn write(
    model: &ModelProto,
    views: &ViewBatch,
    logits: &Tensor,
    path: &Path,
) -> Result<f32, ExportError> {
    let difference = check(model, views, logits)?;
    write_atomically(path, &model.encode_to_vec()).map_err(|source| ExportError::Write {
        path: path.to_owned(),
        source,
    })?;
    Ok(difference)
}
