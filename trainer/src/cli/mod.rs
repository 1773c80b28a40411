//! The `heartlens-train` command: one file a verb, each with its clap `Args` and a `run`.

mod ablate;
mod bench;
mod card;
mod cross_validate;
mod curves;
mod export;
mod fit;
mod noise;
mod rhythm;

use crate::cache;
use crate::config::Config;
use crate::cross_validate::Plan;
use crate::dataset::{Dataset, Noise, RecordBeats};
use crate::file::write_atomically;
use crate::split::names;
use crate::train::DeviceChoice;
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use heartlens::evaluate::report::Peaks;
use heartlens::message::{is_broken_pipe, one_line};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tch::Device;

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
    Ablate(ablate::Arguments),
    Export(export::Arguments),
    Card(card::Arguments),
    Curves(curves::Arguments),
    Noise(noise::Arguments),
    Bench(bench::Arguments),
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
            Verb::Ablate(arguments) => arguments.run(),
            Verb::Export(arguments) => arguments.run(),
            Verb::Card(arguments) => arguments.run(),
            Verb::Curves(arguments) => arguments.run(),
            Verb::Noise(arguments) => arguments.run(),
            Verb::Bench(arguments) => arguments.run(),
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
    /// Folder of annotated WFDB records, in it or in its subfolders (mitdb/, svdb/), of the noise in nstdb/, and of the
    /// recordings that the config wants in cinc2017/
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to train: auto, cuda or cpu
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceChoice,
    /// Folder in which prepared records are kept, 1.2 kB a beat and lead [default: heartlens/features in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Prepare the records anew, and hold them in memory
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl Source {
    /// The config, the records at the R peaks that it trains at, and the noise.
    fn read(&self) -> anyhow::Result<(Config, Dataset, Noise)> {
        let config = Config::read(&self.config)?;
        let peaks = config.data.peaks.clone();
        self.read_at(config, &peaks)
    }

    /// The same with the records at the given R peaks.
    fn read_at(&self, config: Config, peaks: &[Peaks]) -> anyhow::Result<(Config, Dataset, Noise)> {
        let wanted = config.wanted(peaks);
        let noise = if config.augmentation.noise_probability > 0.0 {
            Noise::read(&self.data)?
        } else {
            Noise::default()
        };
        let start = Instant::now();
        let folder = self.cache.clone().or_else(cache::default_folder);
        let dataset = match folder.filter(|_| !self.no_cache) {
            Some(folder) => cache::open(&self.data, &wanted, &folder, |line| eprintln!("{line}"))?,
            None => Dataset::read(&self.data, &wanted)?,
        };
        let (annotated, recordings): (Vec<_>, Vec<_>) =
            dataset.records.iter().partition(|r| r.rhythm.is_none());
        let beats = |records: &[&RecordBeats]| -> usize {
            records.iter().map(|record| record.classes.len()).sum()
        };
        let mut with = String::new();
        if !recordings.is_empty() {
            let (beats, count) = (beats(&recordings), recordings.len());
            with = format!(" and {beats} in {count} recordings labelled by rhythm");
        }
        eprintln!(
            "{} beats in {} records of {}{with}, ready in {:.1} s",
            beats(&annotated),
            names(&dataset, &dataset.annotated().collect::<Vec<_>>()).len(),
            dataset.databases().join(", "),
            start.elapsed().as_secs_f64()
        );
        Ok((config, dataset, noise))
    }
}

/// How a config is cross-validated.
#[derive(Debug, Args)]
struct Trainings {
    /// Folds
    #[arg(long, default_value_t = 5, value_name = "K")]
    folds: usize,
    /// Trainings at the same time [default: one a core; on a GPU, 1]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
}

impl Trainings {
    /// The plan of `seeds` trainings of each of `splits`, from the config's seed on.
    fn plan(&self, config: &Config, splits: Vec<Vec<usize>>, seeds: u64, device: Device) -> Plan {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let first = config.training.seed;
        Plan {
            splits,
            seeds: (first..first + seeds).collect(),
            parallel: self
                .parallel
                .unwrap_or(if device == Device::Cpu { cores } else { 1 }),
            device,
            keep: None,
            both_leads: false,
            int8: false,
        }
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
