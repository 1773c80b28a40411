//! What each part of the rhythm network is worth.

use super::config::{Channel, Config};
use super::dataset::Recording;
use crate::study::ablate::{ALL, Difference, Row};
use crate::study::cross_validate::Plan;
use crate::study::rhythm::{Figures, Judged, figures};
use heartlens_core::spec::RHYTHM_HASH;
use serde::Serialize;

/// The networks that tell what the parts of `base` are worth: the whole one, each channel alone, half and twice the cells, and
/// without ectopic beats put into sinus rhythm.
pub fn rows(base: &Config) -> Vec<Row<Config>> {
    let mut rows = vec![Row {
        name: ALL.to_owned(),
        what: "the config as it is".to_owned(),
        config: base.clone(),
    }];
    let mut push = |name: &str, what: String, change: &dyn Fn(&mut Config)| {
        let mut config = base.clone();
        config.name = format!("{}-{name}", base.name);
        change(&mut config);
        rows.push(Row {
            name: name.to_owned(),
            what,
            config,
        });
    };
    for (channel, name) in [(Channel::Level, "level"), (Channel::Step, "step")] {
        let several = base.network.channels.len() > 1;
        if several {
            let what = format!("{name} alone");
            push(name, what, &|config| {
                config.network.channels = vec![channel]
            });
        }
    }
    let cells = base.network.lstm;
    for (name, cells) in [("half", cells / 2), ("double", 2 * cells)] {
        if (1..=256).contains(&cells) {
            let what = format!("{cells} cells");
            push(name, what, &|config| config.network.lstm = cells);
        }
    }
    if base.sampler.ectopic > 0 {
        let what = "sinus rhythm as it is in the place of that with ectopic beats put in";
        push("without-ectopy", what.to_owned(), &|config| {
            config.sampler.normal += config.sampler.ectopic;
            config.sampler.ectopic = 0;
        });
    }
    rows
}

/// The results of an ablation, the JSON of `heartlens-train ablate`.
#[derive(Debug, Clone, Serialize)]
pub struct Ablation {
    /// The model's name.
    pub model: String,
    /// Hash of what the network reads, 16 hex digits.
    pub spec_hash: String,
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// The held-out recordings of each fold, by name, separated by spaces.
    pub splits: Vec<String>,
    /// The networks; the first is the one that the others are compared with.
    pub rows: Vec<RowResults>,
}

/// One network.
#[derive(Debug, Clone, Serialize)]
pub struct RowResults {
    /// Its name.
    pub name: String,
    /// In which it differs.
    pub what: String,
    /// Trainable parameters, weights that are held at 0 among them.
    pub parameters: usize,
    /// All seeds together.
    #[serde(flatten)]
    pub figures: Figures,
    /// F1 of each seed.
    pub seeds: Vec<Option<f64>>,
    /// F1 less that of the row [`ALL`]; `None` for that row itself.
    pub difference: Option<Difference>,
    /// What was trained.
    pub config: Config,
}

impl Ablation {
    /// An ablation without rows on these folds of `recordings`.
    pub fn new(
        base: &Config,
        recordings: &[Recording],
        splits: &[Vec<usize>],
        plan: &Plan,
    ) -> Self {
        Self {
            model: base.name.clone(),
            spec_hash: format!("{RHYTHM_HASH:016x}"),
            seeds: plan.seeds.clone(),
            splits: crate::study::rhythm::names(recordings, splits),
            rows: Vec::new(),
        }
    }

    /// Adds what was found of a row's trainings.
    pub fn push(&mut self, row: Row<Config>, judged: &[Judged]) {
        let (seeds, pooled) = figures(judged);
        let seeds: Vec<Option<f64>> = seeds.iter().map(|seed| seed.figures.f1).collect();
        let all = self.rows.first();
        self.rows.push(RowResults {
            difference: all.and_then(|all| Difference::paired(&seeds, &all.seeds)),
            parameters: judged.first().map_or(0, |judged| judged.parameters),
            figures: pooled,
            name: row.name,
            what: row.what,
            config: row.config,
            seeds,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn rows_change_one_thing() {
        let text = include_str!("../../../models/rhythm/config.toml");
        let base = Config::parse(text, Path::new("config.toml")).unwrap();
        let rows = rows(&base);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let expected = ["all", "level", "step", "half", "double", "without-ectopy"];
        assert_eq!(names, expected);
        assert_eq!(rows[0].config, base);
        for row in &rows[1..] {
            assert_eq!(row.config.training, base.training);
            assert_eq!(row.config.sampler.batch(), base.sampler.batch());
            let text = row.config.text();
            assert_eq!(Config::parse(&text, Path::new("row")).unwrap(), row.config);
        }
    }
}
