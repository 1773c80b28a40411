//! `heartlens-train cross-validate`

use super::{Source, digits};
use crate::cross_validate::{Plan, cross_validate, split};
use crate::dataset::bar;
use crate::file::write_atomically;
use anyhow::Context;
use std::path::PathBuf;
use std::time::Instant;
use tch::Device;

/// Measure a config on records that it has not seen
///
/// Splits the records by patient into folds, trains on all folds but one and scores every beat of that one, for each
/// fold and seed. The folds depend on the config's seed alone and are the same for all seeds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --seeds 2 --json metrics.json
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --int8")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Folds
    #[arg(long, default_value_t = 5, value_name = "K")]
    folds: usize,
    /// Trainings of each fold, with the config's seed and those that follow it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Trainings at the same time [default: one a core; on a GPU, 1]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
    /// Compile each network as well, calibrated on its training records, and score the device image beside float
    #[arg(long)]
    int8: bool,
    /// Where to write the findings; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        let (config, dataset, augmenter) = self.source.read()?;
        let splits = split(&dataset, self.folds, config.training.seed)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let first = config.training.seed;
        let plan = Plan {
            splits,
            seeds: (first..first + self.seeds).collect(),
            parallel: self
                .parallel
                .unwrap_or(if device == Device::Cpu { cores } else { 1 }),
            device,
            int8: self.int8,
        };
        let trainings = plan.splits.len() as u64 * self.seeds;
        let progress = bar(trainings * u64::from(config.training.steps), "steps");
        let start = Instant::now();
        let findings = cross_validate(&config, &dataset, &augmenter, &plan, |_, _, _| {
            progress.inc(1);
        })?;
        progress.finish_and_clear();
        eprintln!(
            "{trainings} trainings in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        for (database, report) in &findings.databases {
            let seeds: Vec<String> = findings
                .seeds
                .iter()
                .filter_map(|seed| seed.databases.get(database))
                .map(|headline| digits(headline.jk))
                .collect();
            eprintln!(
                "{database}: jk {} ({}), F1 N {} S {} V {}, macro F1 N,S,V {}",
                digits(report.jk),
                seeds.join(", "),
                digits(report.classes.n.f1),
                digits(report.classes.s.f1),
                digits(report.classes.v.f1),
                digits(report.macro_f1_nsv),
            );
        }
        if let Some(int8) = &findings.int8 {
            let differences: Vec<String> = int8
                .f1
                .iter()
                .map(|(label, f1)| {
                    let points = f1
                        .difference
                        .map_or("-".to_owned(), |d| format!("{:+.2}", 100.0 * d));
                    format!("{label} {points}")
                })
                .collect();
            eprintln!(
                "int8: {:.3} % of {} beats have the label of float; F1 differs by {} points",
                100.0 * int8.label_agreement,
                int8.beats,
                differences.join(", "),
            );
        }
        if let Some(path) = self.json {
            let mut text = serde_json::to_string_pretty(&findings)?;
            text.push('\n');
            if path.as_os_str() == "-" {
                use std::io::Write;
                std::io::stdout().write_all(text.as_bytes())?;
            } else {
                write_atomically(&path, text.as_bytes())
                    .with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}
