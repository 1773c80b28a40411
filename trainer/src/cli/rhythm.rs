//! `heartlens-train rhythm`

use super::digits;
use crate::dataset::bar;
use crate::file::write_atomically;
use crate::onnx;
use crate::rhythm::config::RhythmConfig;
use crate::rhythm::dataset::{self, Recording};
use crate::rhythm::evaluate::cross_validate;
use crate::rhythm::network::{OUTPUT, batch};
use crate::rhythm::train::TrainedRhythm;
use anyhow::Context;
use clap::Subcommand;
use heartlens_core::rhythm::Network;
use prost::Message;
use std::path::PathBuf;

/// Largest difference of a score, a logit, between libtorch and the image with its weights of 16 bits.
const IMAGE_TOLERANCE: f32 = 0.01;
/// Windows that the export is checked on.
const PROBE_WINDOWS: usize = 256;

/// Train, measure and export the rhythm network, which tells atrial fibrillation from RR intervals
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Fit(Fit),
    CrossValidate(CrossValidate),
}

impl Verb {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Fit(arguments) => arguments.run(),
            Self::CrossValidate(arguments) => arguments.run(),
        }
    }
}

/// What is trained on what.
#[derive(Debug, clap::Args)]
struct Source {
    /// The rhythm network's config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of recordings with REFERENCE.csv, or the folder above their folder cinc2017/
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Source {
    fn read(&self) -> anyhow::Result<(RhythmConfig, Vec<Recording>)> {
        let config = RhythmConfig::read(&self.config)?;
        let recordings = dataset::read(&self.data)?;
        let windows: usize = recordings.iter().map(|r| r.windows.len()).sum();
        eprintln!("{windows} windows in {} recordings", recordings.len());
        Ok((config, recordings))
    }
}

/// Train the rhythm network on all recordings and write it: an image, and the same as ONNX
///
/// Before the files are written, tract and heartlens-core run them on windows of the recordings, and must give the scores of
/// libtorch to within 1e-4 and, with weights of 16 bits, 0.01.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train rhythm fit --config models/rhythm/config.toml --data $HEARTLENS_DATA --out models/beat/rhythm.hlr")]
pub(super) struct Fit {
    #[command(flatten)]
    source: Source,
    /// The image to write; the ONNX file gets its name with another extension
    #[arg(long, value_name = "FILE.hlr")]
    out: PathBuf,
}

impl Fit {
    fn run(self) -> anyhow::Result<()> {
        let (config, recordings) = self.source.read()?;
        let all: Vec<&Recording> = recordings.iter().collect();
        let progress = bar(u64::from(config.training.steps), "steps");
        let trained = TrainedRhythm::fit(&config, &all, |_, _| progress.inc(1))?;
        progress.finish_and_clear();
        let probe: Vec<_> = recordings
            .iter()
            .filter_map(|recording| recording.windows.last())
            .step_by(recordings.len().div_ceil(PROBE_WINDOWS))
            .collect();
        let intervals = batch(probe.iter().copied());
        let scores = tch::no_grad(|| trained.network().forward(&intervals));
        let model = trained.network().onnx(&config);
        let onnx_difference = onnx::compare(&model, &[&intervals], &scores, &[OUTPUT])?;
        let image = trained.image();
        let network = Network::load(&image)?;
        let differences = probe.iter().zip(onnx::to_vec(&scores));
        let difference = differences
            .map(|(window, score)| (network.score(window) - score).abs())
            .fold(0.0, f32::max);
        anyhow::ensure!(
            difference <= IMAGE_TOLERANCE,
            "the image's scores differ from libtorch's by {difference}, expected at most {}; nothing was written",
            IMAGE_TOLERANCE
        );
        let onnx_path = self.out.with_extension("onnx");
        for (path, bytes) in [
            (&onnx_path, model.encode_to_vec()),
            (&self.out, image.clone()),
        ] {
            write_atomically(path, &bytes).with_context(|| path.display().to_string())?;
        }
        eprintln!(
            "{}: {} parameters, {} bytes; on {} windows it differs from libtorch by at most {difference:.1e}, \
             and in tract {} by {onnx_difference:.1e}",
            self.out.display(),
            network.params(),
            image.len(),
            probe.len(),
            onnx_path.display(),
        );
        Ok(())
    }
}

/// Measure the rhythm network on recordings that it has not seen
///
/// Splits the recordings into folds, trains on all folds but one and judges each recording of that one, for each fold and
/// seed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train rhythm cross-validate --config models/rhythm/config.toml --data $HEARTLENS_DATA --seeds 3 \\
      --json models/rhythm/metrics.json")]
pub(super) struct CrossValidate {
    #[command(flatten)]
    source: Source,
    /// Folds
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u64).range(2..))]
    folds: u64,
    /// Trainings of each fold, with the config's seed and those that follow it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Where to write the findings; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl CrossValidate {
    fn run(self) -> anyhow::Result<()> {
        let (config, recordings) = self.source.read()?;
        let first = config.training.seed;
        let seeds: Vec<u64> = (first..first + self.seeds).collect();
        let steps = u64::from(config.training.steps) * self.folds * self.seeds;
        let progress = bar(steps, "steps");
        let findings =
            cross_validate(&config, &recordings, self.folds as usize, &seeds, |_, _| {
                progress.inc(1)
            })?;
        progress.finish_and_clear();
        for (name, figures) in findings
            .seeds
            .iter()
            .map(|seed| (format!("seed {}", seed.seed), seed.figures))
            .chain([("all".to_owned(), findings.pooled)])
        {
            eprintln!(
                "{name}: AUC {}, F1 {}, Se {}, +P {}",
                digits(figures.auc),
                digits(figures.f1),
                digits(figures.se),
                digits(figures.ppv),
            );
        }
        if let Some(path) = self.json {
            super::write_json(&findings, &path)?;
        }
        Ok(())
    }
}
