//! `heartlens-train ablate`

use super::{Source, Trainings, beats_alone, write_json};
use crate::config::Config;
use crate::data::augment::Augmenter;
use crate::data::split::split;
use crate::progress::bar;
use crate::study::ablate::{Row, choose};
use crate::study::card::{ablation_table, rhythm_ablation_table, strip_ablation_table};
use crate::study::cross_validate::{Plan, train_folds};
use crate::study::{rhythm, strip as strips};
use crate::{beat, rhythm as rhythms, strip};
use anyhow::ensure;
use heartlens::evaluate::report::Peaks;
use heartlens_core::spec::STRIP_HASH;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use tch::Device;

/// Measure what each part of a network is worth
///
/// Cross-validates the config on annotated records alone, then the same with one thing changed at a time: each view alone, all
/// but one, the other kinds of fusion, no BiLSTM, auxiliary heads, and a plain 1D CNN; and, where the config has recordings, with
/// their N beats and with all that it learns of them. All have the same folds, seeds and steps, a teacher's not counted. Prints
/// each one's jk and its difference from the first beside the standard deviation of that difference over the seeds. Of a
/// rhythm model: each channel of its input alone, half and twice the cells, and without ectopic beats put into sinus rhythm,
/// by F1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train ablate --config models/beat/config.toml --data $HEARTLENS_DATA --keep target/ablate \\
      --json models/beat/ablation.json
  heartlens-train ablate --config models/beat/config.toml --data $HEARTLENS_DATA --only late,cnn --seeds 1
  heartlens-train ablate --config models/rhythm/config.toml --data $HEARTLENS_DATA")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// Folder in which the logits of held-out beats are kept; the same trainings by the same program are not done again
    /// (beat models)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Trainings of each fold and network, with the config's seed and those that follow it
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Networks to measure beside the whole one, by the names in the table's first column [default: all]
    #[arg(long, value_name = "ROW,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Where to write the results, anew after each network; - for stdout, at the end
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        match self.source.config()? {
            Config::Beat(config) => self.beat(*config, device),
            Config::Rhythm(config) => self.rhythm(&config, device),
            Config::Strip(config) => self.strip(&config, device),
        }
    }

    fn beat(&self, base: beat::config::Config, device: Device) -> anyhow::Result<()> {
        let rows = choose(beat::ablate::rows(&base)?, &self.only)?;
        // With the records that `cross-validate` reads: the same folds, and logits that both keep and find.
        let both = [Peaks::Reference, Peaks::Detected];
        let (dataset, noise) = self.source.dataset(&base, &both)?;
        let splits = split(&dataset, self.trainings.folds, base.training.seed)?;
        let plan = Plan {
            keep: self.keep.clone(),
            ..self
                .trainings
                .plan(base.training.seed, splits, self.seeds, device)
        };
        let trainings = (plan.splits.len() * plan.seeds.len()) as u64;
        let steps_of = |row: &Row<beat::config::Config>| trainings * row.config.all_steps();
        let progress = bar(rows.iter().map(steps_of).sum(), "steps");
        let start = Instant::now();
        let count = rows.len();
        let mut ablation = beat::ablate::Ablation::new(&base, &dataset, &plan);
        for (done, row) in rows.into_iter().enumerate() {
            progress.set_message(format!(
                "steps, {}, network {} of {count}",
                row.name,
                done + 1
            ));
            let after = progress.position() + steps_of(&row);
            let augmenter = Augmenter::new(&row.config, noise.clone());
            let trained = train_folds(&row.config, &dataset, &augmenter, &plan, |_, _, _| {
                progress.inc(1);
            })?;
            ablation.push(row, &dataset, &plan, &trained)?;
            progress.set_position(after);
            self.write(&ablation)?;
        }
        progress.finish_and_clear();
        took(trainings * count as u64, start);
        self.show(&ablation, ablation_table)
    }

    fn rhythm(&self, base: &rhythms::config::Config, device: Device) -> anyhow::Result<()> {
        beats_alone(&[("--keep", self.keep.is_some())])?;
        let folds = self.trainings.folds;
        ensure!(folds >= 2, "--folds {folds}: expected 2 or more");
        let rows = choose(rhythms::ablate::rows(base), &self.only)?;
        let recordings = self.source.recordings(base)?;
        let splits = rhythm::split(&recordings, folds, base.training.seed);
        let plan = self
            .trainings
            .plan(base.training.seed, Vec::new(), self.seeds, device);
        let trainings = folds as u64 * self.seeds;
        let count = rows.len() as u64;
        let progress = bar(count * trainings * u64::from(base.training.steps), "steps");
        let start = Instant::now();
        let mut ablation = rhythms::ablate::Ablation::new(base, &recordings, &splits, &plan);
        for row in rows {
            progress.set_message(format!("steps, {}", row.name));
            let judged = rhythm::train_folds(&row.config, &recordings, &splits, &plan, |_| {
                progress.inc(1);
            })?;
            ablation.push(row, &judged);
            self.write(&ablation)?;
        }
        progress.finish_and_clear();
        took(trainings * count, start);
        self.show(&ablation, rhythm_ablation_table)
    }

    fn strip(&self, base: &strip::config::Config, device: Device) -> anyhow::Result<()> {
        beats_alone(&[("--keep", self.keep.is_some())])?;
        let folds = self.trainings.folds;
        ensure!(folds >= 2, "--folds {folds}: expected 2 or more");
        let rows = choose(strip::ablate::rows(base), &self.only)?;
        let recordings = self.source.strips(base)?;
        let plan = self
            .trainings
            .plan(base.training.seed, Vec::new(), self.seeds, device);
        let trainings = folds as u64 * self.seeds;
        let count = rows.len() as u64;
        let progress = bar(count * trainings * u64::from(base.training.steps), "steps");
        let start = Instant::now();
        let mut ablation = strip::ablate::Ablation {
            model: base.name.clone(),
            spec_hash: format!("{STRIP_HASH:016x}"),
            seeds: plan.seeds.clone(),
            rows: Vec::new(),
        };
        for row in rows {
            progress.set_message(format!("steps, {}", row.name));
            let results = strips::cross_validate(&row.config, &recordings, folds, &plan, |_| {
                progress.inc(1);
            })?;
            ablation.push(row.name, row.what, results);
            self.write(&ablation)?;
        }
        progress.finish_and_clear();
        took(trainings * count, start);
        self.show(&ablation, strip_ablation_table)
    }

    /// Writes what is done so far where it goes to a file.
    fn write(&self, ablation: &impl Serialize) -> anyhow::Result<()> {
        match &self.json {
            Some(path) if path.as_os_str() != "-" => write_json(ablation, path),
            _ => Ok(()),
        }
    }

    /// Prints the table, or the JSON where that goes to stdout.
    fn show(
        &self,
        ablation: &impl Serialize,
        table: impl Fn(&serde_json::Value) -> Option<String>,
    ) -> anyhow::Result<()> {
        if self
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
        {
            return write_json(ablation, "-".as_ref());
        }
        if let Some(table) = table(&serde_json::to_value(ablation)?) {
            print!("{table}");
        }
        Ok(())
    }
}

/// Says how long the trainings took.
fn took(trainings: u64, start: Instant) {
    eprintln!(
        "{trainings} trainings in {:.0} s",
        start.elapsed().as_secs_f64()
    );
}
