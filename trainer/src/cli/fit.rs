//! `heartlens-train fit`

use super::{Source, digits};
use crate::augment::{Augmenter, HostBatch};
use crate::checkpoint::Checkpoint;
use crate::cross_validate::{Headline, names};
use crate::dataset::bar;
use crate::sampler::Sampler;
use crate::train::{Trainer, TrainingData, probe};
use anyhow::Context;
use heartlens::evaluate::tally::Tally;
use heartlens_core::class::Class;
use serde_json::json;
use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Steps between two checkpoints.
const STEPS_A_CHECKPOINT: u32 = 100;

/// Train a model on all records, or on all but those held out
///
/// Writes last.safetensors every 100 steps and at the end, best.safetensors whenever the held-out records are classified
/// better than before, and log.jsonl with one line a step.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train fit --config models/beat/config.toml --data $HEARTLENS_DATA --hold-out mitdb/201,svdb/800")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Continue from last.safetensors of the same config
    #[arg(long)]
    resume: bool,
    /// Records that are not trained on, by which the best checkpoint is chosen
    #[arg(long, value_name = "RECORD,...", value_delimiter = ',')]
    hold_out: Vec<String>,
    /// Folder of checkpoints and log [default: target/train/<model>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        let (config, dataset, noise) = self.source.read()?;
        let augmenter = Augmenter::new(&config, noise);
        let held_out = dataset.indices_of(&self.hold_out)?;
        for class in [Class::S, Class::V] {
            let has = |&record: &usize| dataset.records[record].count(class) > 0;
            anyhow::ensure!(
                held_out.is_empty() || held_out.iter().any(has),
                "the held-out records {} have no beat of class {class} to judge a checkpoint by; hold out others too",
                self.hold_out.join(", ")
            );
        }
        let patients: HashSet<&str> = held_out
            .iter()
            .map(|&record| dataset.records[record].patient.as_str())
            .collect();
        let training: Vec<usize> = (0..dataset.records.len())
            .filter(|&record| !patients.contains(dataset.records[record].patient.as_str()))
            .collect();
        let probe_from = if held_out.is_empty() {
            &training
        } else {
            &held_out
        };
        let probe = probe(&dataset, probe_from, config.training.seed);
        let kept_out: HashSet<_> = probe.iter().copied().collect();
        let probe = HostBatch::plain(&dataset, &probe);

        let out = self
            .out
            .unwrap_or_else(|| PathBuf::from("target/train").join(&config.name));
        std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let (last, best) = (out.join("last.safetensors"), out.join("best.safetensors"));
        let log_path = out.join("log.jsonl");

        let mut trainer = Trainer::new(&config, device)?;
        if self.resume {
            trainer.resume(&Checkpoint::read(&last)?)?;
            eprintln!("continuing after step {}", trainer.steps_done());
        }
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .append(self.resume)
            .truncate(!self.resume)
            .open(&log_path)
            .with_context(|| log_path.display().to_string())?;
        let steps = config.training.steps;
        eprintln!(
            "training {} ({} parameters) on {} records, {device:?}, {steps} steps of {}",
            config.name,
            trainer.parameter_count(),
            training.len(),
            config.training.batch,
        );
        let data = TrainingData {
            sampler: Sampler::new(&dataset, &training, &kept_out, &config.sampler)?,
            dataset: &dataset,
            augmenter: &augmenter,
        };
        let progress = bar(u64::from(steps), "steps");
        progress.set_position(u64::from(trainer.steps_done()));
        let start = Instant::now();
        let first = trainer.steps_done();
        let judge = |trainer: &Trainer| {
            let mut tally = Tally::new();
            for part in trainer.score(&dataset, &held_out).values() {
                tally.merge(part);
            }
            Headline::of(&tally)
        };
        let mut best_jk = None;
        if self.resume && !held_out.is_empty() && best.exists() {
            let mut so_far = Trainer::new(&config, device)?;
            so_far.resume(&Checkpoint::read(&best)?)?;
            best_jk = judge(&so_far).jk;
        }
        while trainer.steps_done() < steps {
            let until = trainer.steps_done() + STEPS_A_CHECKPOINT;
            let mut lines = String::new();
            trainer.run(&data, until, 1, |report| {
                progress.inc(1);
                progress.set_message(format!("steps, loss {:.3}", report.loss));
                let line = json!({
                    "step": report.step,
                    "loss": report.loss,
                    "learning_rate": report.learning_rate,
                    "seconds": start.elapsed().as_secs_f64(),
                });
                lines.push_str(&line.to_string());
                lines.push('\n');
            });
            if !held_out.is_empty() {
                let headline = judge(&trainer);
                let line = json!({ "steps": trainer.steps_done(), "held_out": headline });
                lines.push_str(&line.to_string());
                lines.push('\n');
                if headline.jk > best_jk {
                    best_jk = headline.jk;
                    trainer.checkpoint(&probe, &best).write()?;
                }
            }
            log.write_all(lines.as_bytes())
                .with_context(|| log_path.display().to_string())?;
            trainer.checkpoint(&probe, &last).write()?;
        }
        progress.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();
        let trained = f64::from(steps - first) * config.training.batch as f64;
        eprintln!("{seconds:.1} s, {:.0} beats a second", trained / seconds);
        if !held_out.is_empty() {
            eprintln!(
                "best jk on {}: {}",
                names(&dataset, &held_out).join(", "),
                digits(best_jk)
            );
            println!("{}", best.display());
        } else {
            println!("{}", last.display());
        }
        Ok(())
    }
}
