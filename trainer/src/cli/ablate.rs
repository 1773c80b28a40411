//! `heartlens-train ablate`

use super::card::ablation_table;
use super::{Source, Trainings, write_json};
use crate::ablate::{Ablation, Row, choose, rows};
use crate::config::Config;
use crate::cross_validate::{Plan, train_folds};
use crate::dataset::bar;
use crate::split::split;
use heartlens::evaluate::report::Peaks;
use std::path::PathBuf;
use std::time::Instant;

/// Measure what each part of a network is worth
///
/// Cross-validates the config on annotated records alone, then the same with one thing changed at a time: each view alone, all
/// but one, the other kinds of fusion, no BiLSTM, auxiliary heads, and a plain 1D CNN; and, where the config has recordings, with
/// their N beats and with all that it learns of them. All have the same folds, seeds and steps, a teacher's not counted. Prints
/// each one's jk and its difference from the first beside the standard deviation of that difference over the seeds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train ablate --config models/beat/config.toml --data $HEARTLENS_DATA --keep target/ablate \\
      --json models/beat/ablation.json
  heartlens-train ablate --config models/beat/config.toml --data $HEARTLENS_DATA --only late,cnn --seeds 1")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// Folder in which the logits of held-out beats are kept; trainings that are in it are not done again
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Trainings of each fold and network, with the config's seed and those that follow it
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Networks to measure beside the whole one, by the names in the table's first column [default: all]
    #[arg(long, value_name = "ROW,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Where to write the findings, anew after each network; - for stdout, at the end
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        let base = Config::read(&self.source.config)?;
        let rows = choose(rows(&base)?, &self.only)?;
        // With the records that `cross-validate` reads: the same folds, and logits that both keep and find.
        let both = [Peaks::Reference, Peaks::Detected];
        let (base, dataset, noise) = self.source.read_at(base, &both)?;
        let splits = split(&dataset, self.trainings.folds, base.training.seed)?;
        let plan = Plan {
            keep: self.keep.clone(),
            ..self.trainings.plan(&base, splits, self.seeds, device)
        };
        let trainings = (plan.splits.len() * plan.seeds.len()) as u64;
        let steps_of = |row: &Row| trainings * row.config.all_steps();
        let progress = bar(rows.iter().map(steps_of).sum(), "steps");
        let start = Instant::now();
        let to_stdout = self
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        let count = rows.len();
        let mut ablation = Ablation::new(&base, &dataset, &plan);
        for (done, row) in rows.into_iter().enumerate() {
            progress.set_message(format!(
                "steps, {}, network {} of {count}",
                row.name,
                done + 1
            ));
            let after = progress.position() + steps_of(&row);
            let augmenter = crate::augment::Augmenter::new(&row.config, noise.clone());
            let trained = train_folds(&row.config, &dataset, &augmenter, &plan, |_, _, _| {
                progress.inc(1);
            })?;
            ablation.push(row, &dataset, &plan, &trained)?;
            progress.set_position(after);
            if let Some(path) = self.json.as_ref().filter(|_| !to_stdout) {
                write_json(&ablation, path)?;
            }
        }
        progress.finish_and_clear();
        eprintln!(
            "{} trainings in {:.0} s",
            trainings * count as u64,
            start.elapsed().as_secs_f64()
        );
        if to_stdout {
            write_json(&ablation, "-".as_ref())?;
        } else if let Some(table) = ablation_table(&serde_json::to_value(&ablation)?) {
            print!("{table}");
        }
        Ok(())
    }
}
