//! The `heartlens-train` command: one file a verb, each with its clap `Args` and a `run`.

mod ablate;
mod bench;
mod card;
mod cross_validate;
mod curves;
mod export;
mod fit;
mod noise;
mod study;

use crate::beat;
use crate::beat::dataset::Dataset;
use crate::config::Config;
use crate::data::cache;
use crate::data::find::Folders;
use crate::data::noise::Noise;
use crate::data::record::RecordBeats;
use crate::data::split::names;
use crate::file::write_atomically;
use crate::fit::device::DeviceChoice;
use crate::rhythm::dataset::Recording;
use crate::study::cross_validate::Plan;
use crate::{rhythm, strip};
use anyhow::{Context, ensure};
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
    Study(study::Arguments),
    Bench(bench::Arguments),
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
            Verb::Study(arguments) => arguments.run(),
            Verb::Bench(arguments) => arguments.run(),
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
    /// The model's config, which names its task and its records
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of the data bases that the config names (mitdb/, svdb/, cinc2017/) and of the noise in nstdb/; may be given
    /// several times
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// Where to train
    #[arg(long, value_enum, default_value_t, value_name = "DEVICE")]
    device: DeviceChoice,
    /// Folder in which prepared records are kept, 1.2 kB a beat and lead [default: heartlens/features in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Prepare the records anew, and hold them in memory
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

impl Source {
    fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::read(&self.config)?)
    }

    /// The config of a beat model.
    fn beat_config(&self) -> anyhow::Result<beat::config::Config> {
        match self.config()? {
            Config::Beat(config) => Ok(*config),
            other => Err(anyhow::anyhow!(
                "{}: its task is {}, and this verb is for task = \"beat\"",
                self.config.display(),
                other.task()
            )),
        }
    }

    fn folders(&self) -> Folders {
        Folders(self.data.clone())
    }

    /// The recordings of a rhythm model.
    fn recordings(&self, config: &rhythm::config::Config) -> anyhow::Result<Vec<Recording>> {
        let database = &config.data.weak_labels;
        let recordings = rhythm::dataset::read(&self.folders().database(database)?)?;
        let windows: usize = recordings.iter().map(|r| r.windows.len()).sum();
        let count = recordings.len();
        eprintln!("{windows} windows in {count} recordings of {database}");
        Ok(recordings)
    }

    /// The recordings of a strip model.
    fn strips(
        &self,
        config: &strip::config::Config,
    ) -> anyhow::Result<Vec<strip::dataset::Recording>> {
        let database = &config.data.weak_labels;
        let recordings = strip::dataset::read(&self.folders().database(database)?)?;
        let windows: usize = recordings.iter().map(|r| r.windows.len()).sum();
        let count = recordings.len();
        eprintln!("{windows} windows in {count} recordings of {database}");
        Ok(recordings)
    }

    /// The records of a beat model at the given R peaks, and the noise.
    fn dataset(
        &self,
        config: &beat::config::Config,
        peaks: &[Peaks],
    ) -> anyhow::Result<(Dataset, Noise)> {
        let wanted = config.wanted(peaks);
        let folders = self.folders();
        let noise = if config.augmentation.noise_probability > 0.0 {
            Noise::read(&folders)?
        } else {
            Noise::default()
        };
        let start = Instant::now();
        let cache = self.cache.clone().or_else(cache::default_folder);
        let dataset = match cache.filter(|_| !self.no_cache) {
            Some(cache) => cache::open(&folders, &wanted, &cache, |line| eprintln!("{line}"))?,
            None => Dataset::read(&folders, &wanted)?,
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
        Ok((dataset, noise))
    }
}

/// Refuses flags that only a beat model has, where they are given: their names, and whether they are.
///
/// # Errors
/// Names the first of them.
fn beats_alone(flags: &[(&str, bool)]) -> anyhow::Result<()> {
    let given = flags.iter().find(|(_, is_given)| *is_given);
    ensure!(
        given.is_none(),
        "{} is for task = \"beat\", and the config's is another",
        given.map_or("", |(flag, _)| flag)
    );
    Ok(())
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
    /// The plan of `seeds` trainings of each of `splits`, from the seed `first` on.
    fn plan(&self, first: u64, splits: Vec<Vec<usize>>, seeds: u64, device: Device) -> Plan {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Plan {
            splits,
            seeds: (first..first + seeds).collect(),
            parallel: self
                .parallel
                .unwrap_or(if device == Device::Cpu { cores } else { 1 }),
            device,
            keep: None,
            second_lead: false,
            int8: false,
        }
    }
}

/// Writes `value` as JSON to the file at `path`, or to stdout if it is `-`: what fits on a line of [`JSON_COLUMNS`] is on one.
fn write_json(value: &impl serde::Serialize, path: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    lay_out(&serde_json::to_value(value)?, 0, &mut text);
    text.push('\n');
    if path.as_os_str() == "-" {
        std::io::stdout().write_all(text.as_bytes())?;
    } else {
        write_atomically(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Columns of a line of JSON that holds more than one value.
const JSON_COLUMNS: usize = 120;

/// Appends `value` as JSON, its inner lines indented by `indent` columns and two more.
fn lay_out(value: &serde_json::Value, indent: usize, text: &mut String) {
    use serde_json::Value;
    let line = value.to_string();
    let column = indent + 2;
    let (brackets, entries): (_, Vec<(String, &Value)>) = match value {
        _ if line.len() + indent <= JSON_COLUMNS => return text.push_str(&line),
        Value::Array(values) => (
            ['[', ']'],
            values.iter().map(|v| (String::new(), v)).collect(),
        ),
        Value::Object(values) => {
            let key = |key: &String| format!("{}: ", Value::from(key.as_str()));
            (
                ['{', '}'],
                values.iter().map(|(k, v)| (key(k), v)).collect(),
            )
        }
        _ => return text.push_str(&line),
    };
    text.push(brackets[0]);
    for (index, (key, value)) in entries.into_iter().enumerate() {
        text.push_str(if index > 0 { ",\n" } else { "\n" });
        text.extend(std::iter::repeat_n(' ', column));
        text.push_str(&key);
        lay_out(value, column, text);
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
    text.push(brackets[1]);
}

#[cfg(test)]
mod tests {
    use super::lay_out;
    use serde_json::json;

    #[test]
    fn json_is_laid_out_in_lines_and_stays_the_same() {
        let rows: Vec<Vec<u32>> = (0..4)
            .map(|row| (0..12).map(|n| 1000 * row + n).collect())
            .collect();
        let value = json!({"name": "a \"b\"", "empty": [], "rows": rows, "long": "x".repeat(200)});
        let mut text = String::new();
        lay_out(&value, 0, &mut text);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).ok(),
            Some(value)
        );
        // Two brackets, four keys, four rows and the brackets of these.
        assert_eq!(text.lines().count(), 2 + 4 + 4 + 1, "{text}");
        assert!(text.contains("\n    [1000,1001,"), "{text}");
    }
}
