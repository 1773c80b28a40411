//! `heartlens-train export`

use super::fit::{FOLDER, LAST};
use crate::beat;
use crate::beat::network::ViewBatch;
use crate::config::Config;
use crate::fit::checkpoint::{Checkpoint, CheckpointError};
use crate::{rhythm, strip};
use anyhow::ensure;
use heartlens_core::strip::StripView;
use heartlens_core::views::View;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// Write a trained model: a beat network as ONNX, a rhythm network as its image and ONNX
///
/// The averaged weights are exported, batch normalisation folded. Before anything is written, tract runs the ONNX file on
/// beats that were kept out of the training, or on windows of a rhythm network's recordings, and must give the logits of
/// libtorch to within 1e-4; heartlens-core runs the image, whose weights have 16 bits, and must give them to within 0.01.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train export --checkpoint target/train/beat/last.safetensors --out models/beat/model.onnx
  heartlens-train export --config models/rhythm/config.toml --out models/beat/rhythm.hlr")]
pub(super) struct Arguments {
    /// The model's config: exports target/train/<model>/last.safetensors unless --checkpoint is given, and refuses one of
    /// another config
    #[arg(long, value_name = "FILE", required_unless_present = "checkpoint")]
    config: Option<PathBuf>,
    /// A checkpoint of `fit`; of several of one training, the mean of their weights
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The model to write: .onnx, or .hlr of a rhythm network, whose ONNX file gets the same name with another extension
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = self.config.as_deref().map(Config::read).transpose()?;
        let last = |config: &Config| Path::new(FOLDER).join(config.name()).join(LAST);
        let default = config
            .as_ref()
            .map(last)
            .filter(|_| self.checkpoint.is_empty());
        let paths = self.checkpoint.iter().chain(&default);
        let mut others = paths
            .map(|path| Checkpoint::read(path))
            .collect::<Result<Vec<_>, _>>()?;
        // clap asks for a config or a checkpoint.
        let mut checkpoint = others.remove(0);
        checkpoint.average_with(&others)?;
        if let Some(config) = &config {
            checkpoint.expect_config(config)?;
        }
        match &checkpoint.config {
            Config::Beat(config) => self.beat(config, &checkpoint),
            Config::Rhythm(config) => self.rhythm(config, &checkpoint),
            Config::Strip(config) => self.strip(config, &checkpoint),
        }
    }

    fn strip(&self, config: &strip::config::Config, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        let mut trainer = strip::fit::Trainer::new(config, Device::Cpu)?;
        trainer.take(checkpoint)?;
        let mut views = Vec::new();
        for view in StripView::ALL {
            views.push(checkpoint.probe(view.name())?);
        }
        let Ok(views) = <[Tensor; 4]>::try_from(views) else {
            unreachable!("a view each");
        };
        let network = trainer.result();
        let logits = tch::no_grad(|| network.forward(&views, None));
        let difference = strip::export::write(network, config, &views, &logits, &self.out)?;
        eprintln!(
            "{}: {} parameters, after {} steps; tract and libtorch differ by at most {difference:.1e} on {} windows",
            self.out.display(),
            trainer.parameter_count(),
            checkpoint.step,
            logits.size()[0],
        );
        Ok(())
    }

    fn beat(&self, config: &beat::config::Config, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        let mut trainer = beat::fit::Trainer::new(config, Device::Cpu)?;
        trainer.take(checkpoint)?;
        let input =
            |view: View| -> Result<Tensor, CheckpointError> { checkpoint.probe(view.name()) };
        let views = ViewBatch {
            waveform: input(View::Waveform)?,
            spectrum: input(View::Spectrum)?,
            spectrogram: input(View::Spectrogram)?,
            metadata: input(View::Metadata)?,
        };
        let network = trainer.result();
        let logits = tch::no_grad(|| network.forward(&views, None));
        let model = beat::export::model(network, config);
        let difference = beat::export::write(&model, &views, &logits, &self.out)?;
        let missing: Vec<&str> = View::ALL
            .into_iter()
            .filter(|&view| !config.has(view))
            .map(View::name)
            .collect();
        if !missing.is_empty() {
            eprintln!(
                "the network has no branch for {}: tract and ONNX Runtime can run the file, but `heartlens` loads networks of all \
                 four views alone",
                missing.join(", ")
            );
        }
        eprintln!(
            "{}: {} parameters, after {} steps; tract and libtorch differ by at most {difference:.1e} on {} beats",
            self.out.display(),
            trainer.parameter_count(),
            checkpoint.step,
            logits.size()[0],
        );
        Ok(())
    }

    fn rhythm(
        &self,
        config: &rhythm::config::Config,
        checkpoint: &Checkpoint,
    ) -> anyhow::Result<()> {
        ensure!(
            self.out
                .extension()
                .is_some_and(|extension| extension == "hlr"),
            "--out {}: a rhythm network is written as an image, FILE.hlr, with its ONNX file beside it",
            self.out.display()
        );
        let mut trainer = rhythm::fit::Trainer::new(config, Device::Cpu)?;
        trainer.take(checkpoint)?;
        let intervals = checkpoint.probe(rhythm::network::INPUT)?;
        let written = rhythm::export::write(&trainer, &intervals, &self.out)?;
        eprintln!(
            "{}: {} parameters, {} bytes, after {} steps; on {} windows it differs from libtorch by at most {:.1e}, and in tract \
             {} by {:.1e}",
            self.out.display(),
            written.parameters,
            written.bytes,
            checkpoint.step,
            intervals.size()[0],
            written.image_difference,
            written.onnx.display(),
            written.onnx_difference,
        );
        Ok(())
    }
}
