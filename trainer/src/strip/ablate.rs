//! What each view of the strip network is worth.

use super::config::Config;
use crate::study::ablate::{ALL, Difference, Row};
use crate::study::strip::{Figures, Results};
use serde::Serialize;

/// The networks that tell what the views of `base` are worth: the whole one, each view alone, all but each.
pub fn rows(base: &Config) -> Vec<Row<Config>> {
    let row = |name: String, what: String, views: Vec<_>| Row {
        config: Config {
            name: format!("{}-{name}", base.name),
            views,
            ..base.clone()
        },
        name,
        what,
    };
    let mut rows = vec![Row {
        name: ALL.to_owned(),
        what: "the config as it is".to_owned(),
        config: base.clone(),
    }];
    if base.views.len() < 2 {
        return rows;
    }
    for view in &base.views {
        rows.push(row(view.to_string(), format!("{view} alone"), vec![*view]));
    }
    for view in &base.views {
        let others = base.views.iter().copied().filter(|other| other != view);
        rows.push(row(
            format!("without-{view}"),
            format!("all but {view}"),
            others.collect(),
        ));
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
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulates of one window.
    pub macs: usize,
    /// All seeds together.
    #[serde(flatten)]
    pub figures: Figures,
    /// The challenge's figure of each seed.
    pub seeds: Vec<Option<f64>>,
    /// That figure less that of the row [`ALL`]; `None` for that row itself.
    pub difference: Option<Difference>,
}

impl Ablation {
    /// Adds what was found of a row.
    pub fn push(&mut self, name: String, what: String, results: Results) {
        let seeds: Vec<Option<f64>> = results
            .seeds
            .iter()
            .map(|seed| seed.figures.challenge_f1)
            .collect();
        let all = self.rows.first();
        self.rows.push(RowResults {
            difference: all.and_then(|all| Difference::paired(&seeds, &all.seeds)),
            name,
            what,
            parameters: results.parameters,
            macs: results.macs,
            figures: results.pooled,
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
    fn rows_differ_in_their_views_alone() {
        let text = include_str!("../../../models/strip/config.toml");
        let base = Config::parse(text, Path::new("config.toml")).unwrap();
        let rows = rows(&base);
        assert_eq!(rows.len(), 1 + 2 * base.views.len());
        for row in &rows[1..] {
            assert_eq!(row.config.training, base.training);
            assert_ne!(row.config.views, base.views);
            let text = row.config.text();
            assert_eq!(Config::parse(&text, Path::new("row")).unwrap(), row.config);
        }
    }
}
