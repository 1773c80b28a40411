//! `heartlens-train study`

use super::{Source, Trainings, write_json};
use crate::beat;
use crate::config::Config;
use crate::data::augment::Augmenter;
use crate::progress::bar;
use crate::study::change::{Row, Study, Test, Verdict, tests};
use crate::study::cross_validate::Plan;
use anyhow::{anyhow, ensure};
use heartlens::evaluate::bootstrap::Bootstrap;
use heartlens::evaluate::report::Peaks;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Tell whether a change of a config is worth having
///
/// Trains the config and the changed one alike and judges both on the same patients, whom neither has seen: within the
/// folds of each data base, from each to each other (data bases whose names differ in their last digits are one: svdb,
/// svdb2), and on recordings in sinus rhythm, in which every S or V is a false alarm. The network alone decides, at
/// reference R peaks, first lead. A difference counts where its 95 % interval over patients does not hold 0.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train study --config models/beat/config.toml --with changed.toml --data $HEARTLENS_DATA --seeds 3 \\
      --apart AF=201,203,219 --apart ectopy=821,855,881 --keep target/study --json study.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// The changed config: of the same task and records
    #[arg(long, value_name = "FILE")]
    with: PathBuf,
    /// Trainings of each fold, with the config's seed and those that follow it
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Patients to be shown apart as well; may be given several times
    #[arg(long, value_name = "NAME=RECORD,RECORD", value_parser = group)]
    apart: Vec<(String, Vec<String>)>,
    /// Configurations that were looked at before, this one included: the more, the likelier that one wins by chance
    #[arg(long, default_value_t = 1, value_name = "N")]
    looked_at: u32,
    /// Folder in which the logits of held-out beats are kept; the same trainings by the same program are not done again
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where to write the results; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn group(text: &str) -> Result<(String, Vec<String>), String> {
    let parts = text
        .split_once('=')
        .filter(|(name, records)| !name.is_empty() && !records.is_empty());
    let (name, records) = parts.ok_or("expected NAME=RECORD,RECORD, such as AF=201,203")?;
    Ok((
        name.to_owned(),
        records.split(',').map(str::to_owned).collect(),
    ))
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let base = self.source.beat_config()?;
        let Config::Beat(changed) = Config::read(&self.with)? else {
            return Err(anyhow!(
                "{}: its task is rhythm, and this verb is for task = \"beat\"",
                self.with.display()
            ));
        };
        ensure!(
            base.data.records == changed.data.records,
            "{}: its [data.records] are others than those of {}; expected the same, so that the same patients are judged",
            self.with.display(),
            self.source.config.display()
        );
        let device = self.source.device.resolve()?;
        let peaks = [Peaks::Reference, Peaks::Detected];
        // Each trains on the recordings that it names; all are read.
        let recordings = |config: &beat::config::Config| config.wanted(&[]).weak_labels;
        let reads = match (recordings(&base), recordings(&changed)) {
            (Some(ours), Some(theirs)) => {
                ensure!(
                    ours == theirs,
                    "{}: its [weak_labels] read other recordings than those of {}; expected the same, or none",
                    self.with.display(),
                    self.source.config.display()
                );
                &base
            }
            (Some(_), None) => &base,
            (None, _) => &*changed,
        };
        let (dataset, noise) = self.source.dataset(reads, &peaks)?;
        let tests = tests(&dataset, self.trainings.folds, base.training.seed)?;
        let plan = Plan {
            keep: self.keep.clone(),
            ..self
                .trainings
                .plan(base.training.seed, Vec::new(), self.seeds, device)
        };
        let trainings: u64 = tests.iter().map(Test::trainings).sum::<u64>() * self.seeds;
        let progress = bar(
            trainings * (base.all_steps() + changed.all_steps()),
            "steps",
        );
        let apart: BTreeMap<_, _> = self.apart.iter().cloned().collect();
        let mut study = Study {
            seeds: plan.seeds.clone(),
            looked_at: self.looked_at,
            rows: Vec::new(),
            verdict: Verdict::NotResolved,
        };
        for test in &tests {
            progress.set_message(format!("steps, {}", test.name));
            let judge = |config: &beat::config::Config| {
                let augmenter = Augmenter::new(config, noise.clone());
                test.judge(config, &augmenter, &plan, |_| progress.inc(1))
            };
            let (base, changed) = (judge(&base)?, judge(&changed)?);
            study.rows.push(Row::new(
                test,
                &base,
                &changed,
                &apart,
                &Bootstrap::default(),
            ));
            study.verdict = Verdict::of(&study.rows);
            if let Some(path) = self.json.as_ref().filter(|path| path.as_os_str() != "-") {
                write_json(&study, path)?;
            }
        }
        progress.finish_and_clear();
        if self
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
        {
            return write_json(&study, "-".as_ref());
        }
        print!("{}", study.table());
        Ok(())
    }
}
