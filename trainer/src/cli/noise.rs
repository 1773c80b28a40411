//! `heartlens-train noise`

use super::{Source, Trainings, write_json};
use crate::beat::ablate::plain_cnn;
use crate::data::augment::Augmenter;
use crate::data::split::split;
use crate::progress::bar;
use crate::study::noise::{Level, NoiseResults, Recorded, measure};
use crate::study::results::digits;
use std::path::PathBuf;

/// Measure a network in noise, beside the plain CNN
///
/// Cross-validates both, the plain CNN on annotated records alone, and judges the records that they have not seen: clean, and with recorded noise added to them at each
/// level, two minutes on and two off as WFDB's nst does. The beats while it is on count, the same ones in the clean signal.
/// Training mixes in the first half of the noise records; what is added here is their second half.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train noise --config models/beat/config.toml --data $HEARTLENS_DATA --json models/beat/noise.json")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    trainings: Trainings,
    /// Ratios of QRS power to noise power, in decibels
    #[arg(
        long,
        value_name = "DB,...",
        value_delimiter = ',',
        default_value = "24,18,12,6,0",
        allow_negative_numbers = true
    )]
    snr: Vec<f64>,
    /// Noise records of nstdb
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "em,ma"
    )]
    noise: Vec<String>,
    /// Where to write the results; - for stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        let config = self.source.beat_config()?;
        let (dataset, noise) = self.source.dataset(&config, &config.data.peaks)?;
        let noise = noise.first_half();
        let cnn = plain_cnn(&config)?;
        let folders = self.source.folders();
        let recorded = self.noise.iter().map(|name| Recorded::read(&folders, name));
        let recorded = recorded.collect::<Result<Vec<_>, _>>()?;
        let mut levels: Vec<Level<'_>> = vec![None];
        for noise in &recorded {
            levels.extend(self.snr.iter().map(|&snr_db| Some((noise, snr_db))));
        }
        let folds = self.trainings.folds;
        let splits = split(&dataset, folds, config.training.seed)?;
        let plan = self.trainings.plan(config.training.seed, splits, 1, device);
        let models = [config, cnn].map(|config| {
            let augmenter = Augmenter::new(&config, noise.clone());
            (config, augmenter)
        });
        let steps: u64 = models.iter().map(|(c, _)| c.all_steps()).sum();
        let progress = bar(steps * folds as u64, "steps");
        let results = measure(&models, &folders, &dataset, &plan, &levels, |_| {
            progress.inc(1)
        })?;
        progress.finish_and_clear();
        let names = models.each_ref().map(|(config, _)| config.name.as_str());
        let to_stdout = self
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        if let Some(path) = &self.json {
            write_json(&results, path)?;
        }
        if !to_stdout {
            print!("{}", table(&results, names));
        }
        Ok(())
    }
}

/// In Markdown, a line a level and database.
fn table(results: &NoiseResults, [fused, cnn]: [&str; 2]) -> String {
    let mut text = format!(
        "| noise | SNR dB | database | jk {fused} | jk {cnn} | F1 of S {fused} | {cnn} | F1 of V {fused} | {cnn} |\n\
         |---|---:|---|---|---|---|---|---|---|\n"
    );
    for level in &results.levels {
        for (database, headline) in &level.networks[fused] {
            let other = &level.networks[cnn][database];
            text += &format!(
                "| {} | {} | {database} | {} | {} | {} | {} | {} | {} |\n",
                level.noise.as_deref().unwrap_or("none"),
                level
                    .snr_db
                    .map_or_else(|| "-".to_owned(), |db| db.to_string()),
                digits(headline.jk),
                digits(other.jk),
                digits(headline.f1_s),
                digits(other.f1_s),
                digits(headline.f1_v),
                digits(other.f1_v),
            );
        }
    }
    text
}
