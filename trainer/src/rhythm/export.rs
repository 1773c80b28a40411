//! The rhythm network as an image, which `docs/rhythm-image.md` describes, and as an ONNX file.

use super::config::{Channel, Config};
use super::fit::Trainer;
use super::network::{OUTPUT, RhythmNetwork};
use crate::file::write_atomically;
use crate::nn::onnx::{self, ExportError, Graph, to_vec};
use heartlens::model::{NAME_KEY, SAMPLE_RATE_KEY, SPEC_HASH_KEY};
use heartlens_core::rhythm::{self, Network, NetworkError};
use heartlens_core::spec::{RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS, SAMPLE_RATE_HZ};
use prost::Message;
use std::path::{Path, PathBuf};
use tch::Tensor;
use thiserror::Error;
use tract_onnx::pb::ModelProto;

/// Largest difference of a score, a logit, between libtorch and the image with its weights of 16 bits.
pub const TOLERANCE: f32 = 0.01;
/// Gates of a cell.
const GATES: usize = 4;

/// An export that was refused or failed; no file is written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RhythmExportError {
    /// The ONNX file.
    #[error(transparent)]
    Onnx(#[from] ExportError),
    /// heartlens-core cannot load the image.
    #[error("heartlens-core cannot load the image: {0}")]
    Image(#[from] NetworkError),
    /// The image and libtorch disagree.
    #[error(
        "the image's scores differ from libtorch's by {difference}, expected at most {TOLERANCE}; nothing was written"
    )]
    Parity {
        /// The largest difference.
        difference: f32,
    },
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What an export has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The ONNX file: the image's name with another extension.
    pub onnx: PathBuf,
    /// Trainable parameters.
    pub parameters: usize,
    /// Bytes of the image.
    pub bytes: usize,
    /// Largest difference of a score between the image and libtorch.
    pub image_difference: f32,
    /// The same between tract and libtorch.
    pub onnx_difference: f32,
}

/// The network as an ONNX model.
pub fn model(network: &RhythmNetwork, config: &Config) -> ModelProto {
    let mut graph = Graph::default();
    network.onnx(&mut graph);
    let producer = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let properties = [
        (NAME_KEY, config.name.clone()),
        (SAMPLE_RATE_KEY, SAMPLE_RATE_HZ.to_string()),
        (SPEC_HASH_KEY, format!("{RHYTHM_HASH:016x}")),
        ("producer", producer.to_owned()),
        (
            "notice",
            "research software, not for clinical use".to_owned(),
        ),
    ];
    graph.into_model(&config.name, &properties)
}

/// Writes the averaged weights to `path` as an image, and beside it as ONNX. Before that, tract and heartlens-core run both on
/// `intervals`, `[windows, 2, 24]`, and must give the scores of libtorch to within [`onnx::TOLERANCE`] and, with weights of 16
/// bits, [`TOLERANCE`].
///
/// # Errors
/// If one cannot be run, differs, or cannot be written.
pub fn write(
    trainer: &Trainer,
    intervals: &Tensor,
    path: &Path,
) -> Result<Exported, RhythmExportError> {
    let scores = tch::no_grad(|| trainer.result().forward(intervals));
    let model = model(trainer.result(), trainer.config());
    let onnx_difference = onnx::compare(&model, &[intervals], &scores, &[OUTPUT])?;
    let image = trainer.image();
    let network = Network::load(&image)?;
    let windows = to_vec(intervals);
    let (windows, _) = windows.as_chunks::<{ RHYTHM_CHANNELS * RHYTHM_INTERVALS }>();
    let image_difference = windows
        .iter()
        .zip(to_vec(&scores))
        .map(|(window, score)| (network.score(window) - score).abs())
        .fold(0.0, f32::max);
    if image_difference.is_nan() || image_difference > TOLERANCE {
        return Err(RhythmExportError::Parity {
            difference: image_difference,
        });
    }
    let onnx = path.with_extension("onnx");
    for (path, bytes) in [(&*onnx, &model.encode_to_vec()), (path, &image)] {
        write_atomically(path, bytes).map_err(|source| RhythmExportError::Write {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(Exported {
        onnx,
        parameters: network.params(),
        bytes: image.len(),
        image_difference,
        onnx_difference,
    })
}

impl Trainer {
    /// The network's image, as `docs/rhythm-image.md` has it.
    pub fn image(&self) -> Vec<u8> {
        let variables = self.average().variables();
        let of = |name: &str| variables.get(name).map(to_vec).unwrap_or_default();
        let (input, recurrent) = (of("lstm.forward.input"), of("lstm.forward.recurrent"));
        // Of the two biases only the sum matters.
        let biases: Vec<f32> = of("lstm.forward.input_bias")
            .into_iter()
            .zip(of("lstm.forward.recurrent_bias"))
            .map(|(a, b)| a + b)
            .collect();
        let channels = &self.config().network.channels;
        let is_read = Channel::ALL.map(|channel| channels.contains(&channel));
        let score = of("score.weight");
        let cells = score.len();
        // libtorch keeps gate by gate, the image cell by cell.
        let mut weights = Vec::new();
        for row in (0..cells).flat_map(|cell| (0..GATES).map(move |gate| gate * cells + cell)) {
            weights.push(biases[row]);
            let of_channels = input[row * RHYTHM_CHANNELS..].iter().zip(is_read);
            weights
                .extend(of_channels.map(|(weight, is_read)| if is_read { *weight } else { 0.0 }));
            weights.extend(&recurrent[row * cells..][..cells]);
        }
        weights.extend(of("score.bias"));
        weights.extend(score);
        let largest = weights
            .iter()
            .fold(f32::MIN_POSITIVE, |a, w| a.max(w.abs()));
        let scale = largest / f32::from(i16::MAX);

        let mut image = rhythm::MAGIC.to_vec();
        image.extend(rhythm::VERSION.to_le_bytes());
        image.extend(RHYTHM_HASH.to_le_bytes());
        image.extend((cells as u32).to_le_bytes());
        image.extend(scale.to_le_bytes());
        let integers = weights.iter().map(|weight| (weight / scale).round() as i16);
        image.extend(integers.flat_map(i16::to_le_bytes));
        image.resize(image.len().next_multiple_of(4), 0);
        image.extend(rhythm::checksum(&image).to_le_bytes());
        image
    }
}
