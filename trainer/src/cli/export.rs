//! `heartlens-train export`

use crate::checkpoint::Checkpoint;
use crate::onnx;
use crate::train::Trainer;
use heartlens_core::views::View;
use std::path::PathBuf;
use tch::Device;

/// Write a trained model as ONNX
///
/// The averaged weights are exported, batch normalisation folded. Before the file is written, tract runs it on the beats
/// that were kept out of the training, and must give the logits of libtorch to within 1e-4.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train export --checkpoint target/train/beat/last.safetensors --out models/beat/model.onnx")]
pub(super) struct Arguments {
    /// A checkpoint of `fit`; of several of one training, the mean of their weights
    #[arg(long, value_name = "FILE", required = true)]
    checkpoint: Vec<PathBuf>,
    /// The model to write
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let read = self.checkpoint.iter().map(|path| Checkpoint::read(path));
        let mut others = read.collect::<Result<Vec<_>, _>>()?;
        // clap asks for one or more.
        let mut checkpoint = others.remove(0);
        checkpoint.average_with(&others)?;
        let mut trainer = Trainer::new(&checkpoint.config, Device::Cpu)?;
        trainer.resume(&checkpoint)?;
        let views = checkpoint.probe()?;
        let network = trainer.result();
        let logits = tch::no_grad(|| network.forward(&views, None));
        let model = onnx::model(network, &checkpoint.config);
        let difference = onnx::write(&model, &views, &logits, &self.out)?;
        let missing: Vec<&str> = View::ALL
            .into_iter()
            .filter(|&view| !checkpoint.config.has(view))
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
}
