//! `heartlens-train cross-validate`

use super::{Source, Trainings, beats_alone, write_json};
use crate::beat;
use crate::beat::fit::largest;
use crate::config::Config;
use crate::data::augment::Augmenter;
use crate::data::split::{split, split_across};
use crate::progress::bar;
use crate::study::calibration::Calibration;
use crate::study::cross_validate::{Plan, train_folds};
use crate::study::logits_cache::HeldOut;
use crate::study::results::digits;
use crate::study::results::{Judged, Leads, NETWORK_ALONE, results, variant};
use crate::study::{rules, whole};
use crate::{rhythm, strip};
use anyhow::ensure;
use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_core::rhythm::{Network, Rules};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tch::Device;

/// Measure a config on records that it has not seen
///
/// Splits the records by patient into folds, trains on all folds but one and scores every beat of that one, for each
/// fold and seed. The folds depend on the config's seed alone and are the same for all seeds. Of a rhythm model the
/// recordings are split, and each is judged as a whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --seeds 2 --json metrics.json
  heartlens-train cross-validate --config models/beat/config.toml --data $HEARTLENS_DATA --lead both --int8
  heartlens-train cross-validate --config models/rhythm/config.toml --data $HEARTLENS_DATA --seeds 3
  heartlens-train cross-validate --config models/strip/config.toml --data $HEARTLENS_DATA --seeds 3")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// Folder in which the logits of held-out beats are kept; the same trainings by the same program are not done again
    /// (beat models)
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Trainings of each fold, with the config's seed and those that follow it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Config of the rhythm network: trains one a seed, and judges the rules that it feeds as well (beat models)
    #[arg(long, value_name = "FILE")]
    rhythm: Option<PathBuf>,
    /// Judge the strip rule, the alike rule and the whole recording as well, by the shipped strip network (beat models)
    #[arg(long)]
    strip: bool,
    /// Train on this data base and the config's recordings, and judge by the others, instead of folds (beat models)
    #[arg(long, value_name = "DATABASE", conflicts_with = "folds")]
    train_on: Option<String>,
    /// Leads that are judged beside the first: none, the one of the better quality, both averaged, or each of these and
    /// both fused by quality (beat models)
    #[arg(long, value_enum, default_value_t = Leads::First, value_name = "LEADS")]
    lead: Leads,
    /// Compile each network as well, calibrated on its training records, and score the device image beside float
    /// (beat models)
    #[arg(long)]
    int8: bool,
    /// Where to write the results; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the results without those of every record; - for stdout
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        match self.source.config()? {
            Config::Beat(config) => self.beat(&config, device),
            Config::Rhythm(config) => self.rhythm(&config, device),
            Config::Strip(config) => self.strip(&config, device),
        }
    }

    fn strip(&self, config: &strip::config::Config, device: Device) -> anyhow::Result<()> {
        let folds = self.folds_of_recordings()?;
        let recordings = self.source.strips(config)?;
        let plan = self
            .trainings
            .plan(config.training.seed, Vec::new(), self.seeds, device);
        let steps = u64::from(config.training.steps) * folds as u64 * self.seeds;
        let progress = bar(steps, "steps");
        let results =
            crate::study::strip::cross_validate(config, &recordings, folds, &plan, |_| {
                progress.inc(1)
            })?;
        progress.finish_and_clear();
        for (name, figures) in results
            .seeds
            .iter()
            .map(|seed| (format!("seed {}", seed.seed), &seed.figures))
            .chain([("all".to_owned(), &results.pooled)])
        {
            let f1: Vec<String> = figures
                .labels
                .iter()
                .map(|label| format!("{label} {}", digits(figures.f1[label])))
                .collect();
            eprintln!(
                "{name}: F1 {}; mean of N, A and O {}",
                f1.join(", "),
                digits(figures.challenge_f1)
            );
        }
        self.keep_all(&results)
    }

    /// The number of folds that recordings are split into, where no flag is for beats alone.
    fn folds_of_recordings(&self) -> anyhow::Result<usize> {
        beats_alone(&[
            ("--keep", self.keep.is_some()),
            ("--rhythm", self.rhythm.is_some()),
            ("--strip", self.strip),
            ("--train-on", self.train_on.is_some()),
            ("--lead", self.lead != Leads::First),
            ("--int8", self.int8),
        ])?;
        let folds = self.trainings.folds;
        ensure!(folds >= 2, "--folds {folds}: expected 2 or more");
        Ok(folds)
    }

    /// Writes results that have no figures of single recordings to leave out.
    fn keep_all(&self, results: &impl Serialize) -> anyhow::Result<()> {
        let mut paths = self.json.iter().chain(&self.summary);
        paths.try_for_each(|path| write_json(results, path))
    }

    fn rhythm(&self, config: &rhythm::config::Config, device: Device) -> anyhow::Result<()> {
        let folds = self.folds_of_recordings()?;
        let recordings = self.source.recordings(config)?;
        let plan = self
            .trainings
            .plan(config.training.seed, Vec::new(), self.seeds, device);
        let steps = u64::from(config.training.steps) * folds as u64 * self.seeds;
        let progress = bar(steps, "steps");
        let results =
            crate::study::rhythm::cross_validate(config, &recordings, folds, &plan, |_| {
                progress.inc(1)
            })?;
        progress.finish_and_clear();
        for (name, figures) in results
            .seeds
            .iter()
            .map(|seed| (format!("seed {}", seed.seed), seed.figures))
            .chain([("all".to_owned(), results.pooled)])
        {
            eprintln!(
                "{name}: AUC {}, F1 {}, Se {}, +P {}",
                digits(figures.auc),
                digits(figures.f1),
                digits(figures.se),
                digits(figures.ppv),
            );
        }
        self.keep_all(&results)
    }

    fn beat(&self, config: &beat::config::Config, device: Device) -> anyhow::Result<()> {
        let both = [Peaks::Reference, Peaks::Detected];
        let (dataset, noise) = self.source.dataset(config, &both)?;
        let augmenter = Augmenter::new(config, noise);
        let splits = match &self.train_on {
            Some(database) => split_across(&dataset, database)?,
            None => split(&dataset, self.trainings.folds, config.training.seed)?,
        };
        let first = config.training.seed;
        let plan = Plan {
            keep: self.keep.clone(),
            second_lead: self.lead != Leads::First,
            int8: self.int8,
            ..self.trainings.plan(first, splits, self.seeds, device)
        };
        let trainings = plan.splits.len() as u64 * self.seeds;
        let progress = bar(trainings * config.all_steps(), "steps");
        let start = Instant::now();
        let trained = train_folds(config, &dataset, &augmenter, &plan, |_, _, _| {
            progress.inc(1);
        })?;
        progress.finish_and_clear();
        eprintln!(
            "{trainings} trainings in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        let network = |leads: Leads| {
            let dataset = &dataset;
            move |done: &HeldOut, record: usize| -> Vec<Class> {
                let logits = leads.logits(done, record, &dataset.records[record]);
                logits.iter().map(largest).collect()
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
        let verdicts = match self.strip {
            true => whole::verdicts(&dataset, &self.source.folders())?,
            false => BTreeMap::new(),
        };
        let said_of = |record: &usize| verdicts.get(record).map_or(&[][..], Vec::as_slice);
        let weighed = |leads: Leads, rules: Rules| {
            let (dataset, rhythm) = (&dataset, &rhythm);
            move |done: &HeldOut, record: usize| {
                let network = rhythm.get((done.seed - first) as usize).copied();
                let record_beats = &dataset.records[record];
                let logits = leads.logits(done, record, record_beats);
                rules::classes(network, said_of(&record), record_beats, &logits, rules)
            }
        };
        let settled = |leads: Leads| {
            let dataset = &dataset;
            move |done: &HeldOut, record: usize| {
                let record_beats = &dataset.records[record];
                let logits = leads.logits(done, record, record_beats);
                let read = leads.read(record_beats);
                whole::classes(record_beats, read, &logits, said_of(&record))
            }
        };
        let can = |rules: Rules| match rules.strip {
            true => self.strip,
            false => !rhythm.is_empty(),
        };
        let mut variants = Vec::new();
        for leads in Leads::EACH {
            if ![Leads::First, self.lead].contains(&leads) && self.lead != Leads::All {
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
                variants.push(of(NETWORK_ALONE, &network(leads)));
                for (context, rules) in rules::ALL {
                    if can(rules) {
                        variants.push(of(context, &weighed(leads, rules)));
                    }
                }
                if self.strip {
                    variants.push(of(rules::WHOLE, &settled(leads)));
                }
            }
        }
        let network = network(Leads::First);
        let shipped = weighed(Leads::First, Rules::SHIPPED);
        let context = match can(Rules::SHIPPED) {
            true => rules::name(Rules::SHIPPED),
            false => NETWORK_ALONE,
        };
        let judged = Judged {
            peaks: Peaks::Reference,
            leads: Leads::First,
            context,
        };
        let mut results = results(config, &dataset, &plan, &trained, judged, |done, record| {
            if context == NETWORK_ALONE {
                network(done, record)
            } else {
                shipped(done, record)
            }
        });
        results.variants = variants;
        let calibration = Calibration::of(
            &dataset,
            &trained,
            config.training.temperature,
            |done, record, gain| {
                let logits = done.logits[&record].iter();
                let logits: Vec<_> = logits.map(|logits| logits.map(|x| gain * x)).collect();
                let rules = match can(Rules::SHIPPED) {
                    true => Rules::SHIPPED,
                    false => Rules::NONE,
                };
                let record_beats = &dataset.records[record];
                rules::probabilities(None, said_of(&record), record_beats, &logits, rules)
            },
        );
        for variant in &results.variants {
            for (database, figures) in &variant.databases {
                let seeds: Vec<String> = figures.seeds.iter().map(|jk| digits(*jk)).collect();
                let headline = &figures.headline;
                eprintln!(
                    "{database}, {:?} peaks, {:?} lead{}, {}: jk {} ({}), F1 S {} V {}, macro F1 N,S,V {}",
                    variant.peaks,
                    variant.leads,
                    match variant.leads {
                        Leads::First | Leads::Best => "",
                        Leads::Both | Leads::All => "s",
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
        for (database, figures) in &calibration.databases {
            eprintln!(
                "{database}: calibration error {:.3} at temperature {}, {:.3} at 1, {:.3} at that of the other folds; {:.1} % of \
                 beats unsure, {:.1} % of these wrong",
                figures.figures.ece,
                calibration.temperature,
                figures.ece_uncalibrated,
                figures.ece_by_other_folds,
                100.0 * figures.figures.unsure,
                100.0 * figures.figures.unsure_error.unwrap_or(0.0),
            );
        }
        eprintln!(
            "held-out beats of all folds are likeliest at temperature {:.2}",
            calibration.likeliest
        );
        results.calibration = Some(calibration);
        if let Some(int8) = &results.int8 {
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
        if let Some(path) = &self.json {
            write_json(&results, path)?;
        }
        if let Some(path) = &self.summary {
            write_json(&results.summary()?, path)?;
        }
        Ok(())
    }

    /// Images of rhythm networks, one trained with each of `seeds`.
    fn rhythm_images(&self, path: &Path, seeds: &[u64]) -> anyhow::Result<Vec<Vec<u8>>> {
        let config = rhythm::config::Config::read(path)?;
        let recordings = self.source.recordings(&config)?;
        let recordings: Vec<_> = recordings.iter().collect();
        let image = |&seed: &u64| {
            let mut config = config.clone();
            config.training.seed = seed;
            let trained = rhythm::fit::fit(&config, &recordings, Device::Cpu, |_| ())?;
            Ok(trained.image())
        };
        seeds.iter().map(image).collect()
    }
}
