//! `heartlens-train cross-validate`

use super::{Source, Trainings, digits, write_json};
use crate::augment::Augmenter;
use crate::config::Config;
use crate::cross_validate::{Plan, train_folds};
use crate::dataset::bar;
use crate::findings::{Judged, Leads, findings, variant};
use crate::held_out::HeldOut;
use crate::rhythm;
use crate::rhythm::config::RhythmConfig;
use crate::rhythm::train::TrainedRhythm;
use crate::rhythm::weigh;
use crate::split::{split, split_across};
use crate::train::largest;
use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_core::rhythm::{Network, Rules};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Measure a config on records that it has not seen
///
/// Splits the records by patient into folds, trains on all folds but one and scores every beat of that one, for each
/// fold and seed. The folds depend on the config's seed alone and are the same for all seeds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --seeds 2 --json metrics.json
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --lead both --int8")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// Folder in which the logits of held-out beats are kept; trainings that are in it are not done again
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Trainings of each fold, with the config's seed and those that follow it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Config of the rhythm network: trains one a seed on cinc2017/ of the data, and lets the rhythm weigh on the classes
    #[arg(long, value_name = "FILE")]
    rhythm: Option<PathBuf>,
    /// Train on this database and the config's recordings, and judge by the other databases, instead of folds
    #[arg(long, value_name = "DATABASE", conflicts_with = "folds")]
    train_on: Option<String>,
    /// Leads that are judged: the first alone, or as well both, by the average of their logits
    #[arg(long, value_enum, default_value_t = Leads::First, value_name = "LEADS")]
    lead: Leads,
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
        let config = Config::read(&self.source.config)?;
        let both = [Peaks::Reference, Peaks::Detected];
        let (config, dataset, noise) = self.source.read_at(config, &both)?;
        let augmenter = Augmenter::new(&config, noise);
        let splits = match &self.train_on {
            Some(database) => split_across(&dataset, database)?,
            None => split(&dataset, self.trainings.folds, config.training.seed)?,
        };
        let first = config.training.seed;
        let plan = Plan {
            keep: self.keep.clone(),
            both_leads: self.lead == Leads::Both,
            int8: self.int8,
            ..self.trainings.plan(&config, splits, self.seeds, device)
        };
        let trainings = plan.splits.len() as u64 * self.seeds;
        let progress = bar(trainings * config.all_steps(), "steps");
        let start = Instant::now();
        let trained = train_folds(&config, &dataset, &augmenter, &plan, |_, _, _| {
            progress.inc(1);
        })?;
        progress.finish_and_clear();
        eprintln!(
            "{trainings} trainings in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        let network = |leads: Leads| {
            move |done: &HeldOut, record: usize| -> Vec<Class> {
                leads.logits(done, record).iter().map(largest).collect()
            }
        };
        let rhythm = match &self.rhythm {
            Some(path) => self.rhythm_images(path, &plan.seeds)?,
            None => Vec::new(),
        };
        let rhythm = rhythm
            .iter()
            .map(|image| Network::load(image))
            .collect::<Result<Vec<_>, _>>()?;
        let weighed = |leads: Leads, rules: Rules| {
            let (dataset, rhythm) = (&dataset, &rhythm);
            move |done: &HeldOut, record: usize| {
                let network = rhythm[(done.seed - first) as usize];
                let logits = leads.logits(done, record);
                weigh::classes(network, &dataset.records[record], logits, rules)
            }
        };
        let mut variants = Vec::new();
        for leads in [Leads::First, Leads::Both] {
            if leads == Leads::Both && !plan.both_leads {
                continue;
            }
            for peaks in both {
                let of = |context, decide: &dyn Fn(&HeldOut, usize) -> Vec<Class>| {
                    let judged = Judged {
                        peaks,
                        leads,
                        context,
                    };
                    variant(&dataset, &plan, &trained, judged, decide)
                };
                variants.push(of("network alone", &network(leads)));
                if !rhythm.is_empty() {
                    variants.push(of("gate", &weighed(leads, Rules::GATE)));
                    variants.push(of("gate and run rule", &weighed(leads, Rules::SHIPPED)));
                }
            }
        }
        let network = network(Leads::First);
        let shipped = weighed(Leads::First, Rules::SHIPPED);
        let mut findings = findings(
            &config,
            &dataset,
            &plan,
            &trained,
            Peaks::Reference,
            |done, record| {
                if rhythm.is_empty() {
                    network(done, record)
                } else {
                    shipped(done, record)
                }
            },
        );
        findings.variants = variants;
        for variant in &findings.variants {
            for (database, figures) in &variant.databases {
                let seeds: Vec<String> = figures.seeds.iter().map(|jk| digits(*jk)).collect();
                let headline = &figures.headline;
                eprintln!(
                    "{database}, {:?} peaks, {:?} lead{}, {}: jk {} ({}), F1 S {} V {}, macro F1 N,S,V {}",
                    variant.peaks,
                    variant.leads,
                    if variant.leads == Leads::Both {
                        "s"
                    } else {
                        ""
                    },
                    variant.context,
                    digits(headline.jk),
                    seeds.join(", "),
                    digits(headline.f1_s),
                    digits(headline.f1_v),
                    digits(headline.macro_f1_nsv),
                );
            }
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
            write_json(&findings, &path)?;
        }
        Ok(())
    }

    /// Images of rhythm networks, one trained with each of `seeds`.
    fn rhythm_images(&self, config: &Path, seeds: &[u64]) -> anyhow::Result<Vec<Vec<u8>>> {
        let config = RhythmConfig::read(config)?;
        let recordings = rhythm::dataset::read(&self.source.data)?;
        let recordings: Vec<_> = recordings.iter().collect();
        let image = |&seed: &u64| {
            let mut config = config.clone();
            config.training.seed = seed;
            let trained = TrainedRhythm::fit(&config, &recordings, |_, _| ())?;
            Ok(trained.image())
        };
        seeds.iter().map(image).collect()
    }
}
