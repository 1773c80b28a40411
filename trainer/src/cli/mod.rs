//! The `heartlens-train` command: one file a verb, each with its clap `Args` and a `run`.

mod card;
mod cross_validate;
mod export;
mod fit;
mod rhythm;

use crate::augment::Augmenter;
use crate::config::Config;
use crate::dataset::{Dataset, Noise};
use crate::file::write_atomically;
use crate::train::DeviceChoice;
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use heartlens::evaluate::report::Peaks;
use heartlens::message::{is_broken_pipe, one_line};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Trains, cross-validates and exports Heartlens models with libtorch.
///
/// Research software. Not a medical device: not for diagnosis, monitoring or any clinical decision.
#[derive(Debug, Parser)]
#[command(
    name = "heartlens-train",
    version,
    max_term_width = 110,
    after_help = "Example, from records to a model:
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --json models/beat/metrics.json
  heartlens-train fit            --config models/beat/config.toml --data $HEARTLENS_DATA
  heartlens-train export         --checkpoint target/train/beat/last.safetensors --out models/beat/model.onnx"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Fit(fit::Arguments),
    CrossValidate(cross_validate::Arguments),
    Export(export::Arguments),
    Card(card::Arguments),
    #[command(subcommand)]
    Rhythm(rhythm::Verb),
}

impl Cli {
    /// Runs the verb. Exit code 0: done. 1: the input is at fault, said in one line on stderr. (2, wrong usage, is
    /// clap's and never comes from here.) A reader that closes our pipe is success.
    pub fn run(self) -> ExitCode {
        let result = match self.verb {
            Verb::Fit(arguments) => arguments.run(),
            Verb::CrossValidate(arguments) => arguments.run(),
            Verb::Export(arguments) => arguments.run(),
            Verb::Card(arguments) => arguments.run(),
            Verb::Rhythm(verb) => verb.run(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {}", one_line(error.as_ref()));
                ExitCode::from(1)
            }
        }
    }
}

/// What is trained on what, and where.
#[derive(Debug, Args)]
struct Source {
    /// The model's config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of annotated WFDB records, in it or in its subfolders (mitdb/, svdb/), and of the noise in nstdb/
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to train: auto, cuda or cpu
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceChoice,
}

impl Source {
    /// The config, the records at the R peaks that it trains at, and what varies them.
    fn read(&self) -> anyhow::Result<(Config, Dataset, Augmenter)> {
        let config = Config::read(&self.config)?;
        let peaks = config.data.peaks.clone();
        self.read_at(config, &peaks)
    }

    /// The same with the records at the given R peaks.
    fn read_at(
        &self,
        config: Config,
        peaks: &[Peaks],
    ) -> anyhow::Result<(Config, Dataset, Augmenter)> {
        let noise = if config.augmentation.noise_probability > 0.0 {
            Noise::read(&self.data)?
        } else {
            Noise::default()
        };
        let dataset = Dataset::read(&self.data, peaks)?;
        let beats: usize = dataset
            .records
            .iter()
            .map(|record| record.classes.len())
            .sum();
        eprintln!(
            "{beats} beats in {} records of {}",
            dataset.records.len(),
            dataset.databases().join(", ")
        );
        let augmenter = Augmenter::new(&config, noise);
        Ok((config, dataset, augmenter))
    }
}

/// Writes `findings` as JSON to the file at `path`, or to stdout if it is `-`.
fn write_json(findings: &impl serde::Serialize, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(findings)?;
    text.push('\n');
    if path.as_os_str() == "-" {
        std::io::stdout().write_all(text.as_bytes())?;
    } else {
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A rate to three digits, `-` where it is undefined.
fn digits(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"))
}
