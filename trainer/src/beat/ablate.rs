//! What each part of the beat network is worth.

use super::config::{Config, FusionKind};
use super::dataset::Dataset;
use super::fit::{Trainer, largest};
use super::network::shape_of;
use crate::config::ConfigError;
use crate::data::split::names;
use crate::nn::blocks::ShapeError;
use crate::study::ablate::{ALL, AblationError, Difference, Row};
use crate::study::cross_validate::Plan;
use crate::study::logits_cache::HeldOut;
use crate::study::results::{Headline, Judged, Leads, NETWORK_ALONE, variant};
use heartlens::evaluate::report::Peaks;
use heartlens_core::spec;
use heartlens_core::views::View;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;

/// The plain CNN.
const CNN: &str = include_str!("../../../models/cnn/config.toml");
/// Weight of the auxiliary heads in the row that has them.
const AUXILIARY: f64 = 0.3;

/// The networks that tell what the parts of `base` are worth: the whole one, each view alone, all views but one, the other
/// kinds of fusion, without BiLSTM, with auxiliary heads, and the plain CNN, all trained on the same annotated beats with the
/// same budget; the plain CNN draws and varies them as its own config says. Where `base` learns of recordings that nobody
/// annotated as well, one or two rows more tell what that is worth.
///
/// # Errors
/// If the layers of `base` do not fit together.
pub fn rows(base: &Config) -> Result<Vec<Row<Config>>, AblationError> {
    let shipped = base;
    let base = &Config {
        weak_labels: None,
        ..shipped.clone()
    };
    let what = match &shipped.weak_labels {
        Some(_) => "the config, without recordings that nobody annotated",
        None => "the config as it is",
    };
    let mut rows = vec![Row {
        name: ALL.to_owned(),
        what: what.to_owned(),
        config: base.clone(),
    }];
    let mut push = |name: String, what: String, config: Config| {
        let config = Config {
            name: format!("{}-{name}", base.name),
            ..config
        };
        rows.push(Row { name, what, config });
    };
    let with_views = |keep: &dyn Fn(View) -> bool| Config {
        views: base.views.iter().copied().filter(|v| keep(*v)).collect(),
        ..base.clone()
    };
    let several = base.views.len() > 1;
    for &view in base.views.iter().filter(|_| several) {
        let name = view.name();
        push(
            name.to_owned(),
            format!("{name} alone"),
            with_views(&|v| v == view),
        );
    }
    for &view in base.views.iter().filter(|_| base.views.len() > 2) {
        let name = view.name();
        push(
            format!("without-{name}"),
            format!("all but {name}"),
            with_views(&|v| v != view),
        );
    }
    for (kind, name) in [
        (FusionKind::Early, "early"),
        (FusionKind::Intermediate, "intermediate"),
        (FusionKind::Late, "late"),
    ] {
        if kind != base.fusion.kind {
            let mut config = base.clone();
            config.fusion.kind = kind;
            let mut what = format!("{name} fusion");
            if kind == FusionKind::Early {
                config.fusion.auxiliary = 0.0;
                let width = early_width(base)?;
                config.fusion.dense = vec![width];
                what += &format!(", one dense layer of {width} for about as many parameters");
            }
            push(name.to_owned(), what, config);
        }
    }
    if base.has(View::Waveform) && base.waveform.bilstm > 0 {
        let mut config = base.clone();
        config.waveform.bilstm = 0;
        let what = "the mean over positions instead of the BiLSTM".to_owned();
        push("no-bilstm".to_owned(), what, config);
    }
    if base.fusion.auxiliary == 0.0 && base.fusion.kind != FusionKind::Early {
        let mut config = base.clone();
        config.fusion.auxiliary = AUXILIARY;
        let what = format!("auxiliary heads in training, weight {AUXILIARY}");
        push("auxiliary".to_owned(), what, config);
    }
    if let Some(weak) = shipped.teacher().and_then(|teacher| teacher.weak_labels) {
        let mut config = base.clone();
        config.weak_labels = Some(weak);
        let what = "N beats of recordings labelled by their rhythm as well";
        push("recordings".to_owned(), what.to_owned(), config);
    }
    let cnn = plain_cnn(base)?;
    push("cnn".to_owned(), "plain 1D CNN: models/cnn".to_owned(), cnn);
    if shipped.weak_labels.is_some() {
        // Under the model's own name, so that it is the same training as that of `cross-validate`.
        rows.push(Row {
            name: "as-shipped".to_owned(),
            what: "the config as it is, with all that it learns of recordings".to_owned(),
            config: shipped.clone(),
        });
    }
    Ok(rows)
}

/// The plain CNN of `models/cnn/config.toml`, to be trained on the annotated beats of `base` with the budget of `base`.
///
/// # Errors
/// If this build carries a config that it cannot use.
pub fn plain_cnn(base: &Config) -> Result<Config, ConfigError> {
    let mut cnn = Config::parse(CNN, Path::new("models/cnn/config.toml"))?;
    cnn.data = base.data.clone();
    cnn.training.seed = base.training.seed;
    cnn.training.steps = base.training.steps;
    cnn.training.batch = base.training.batch;
    if base.augmentation.noise_probability == 0.0 {
        cnn.augmentation.noise_probability = 0.0;
    }
    Ok(cnn)
}

/// Cells of a single dense layer that reads the values of all views at once, such that the network is about as large as
/// that of `base`.
fn early_width(base: &Config) -> Result<i64, ShapeError> {
    let parameters = size(base)?.0 as i64;
    let views = base.views.iter();
    let inputs: i64 = views
        .map(|&view| shape_of(view).iter().product::<i64>())
        .sum();
    let classes = spec::LABELS.len() as i64;
    // inputs * width + width + width * classes + classes
    Ok(((parameters - classes) / (inputs + 1 + classes)).max(1))
}

/// Trainable parameters of a config's network, and its multiply-accumulates for one beat.
fn size(config: &Config) -> Result<(usize, usize), ShapeError> {
    let trainer = Trainer::new(config, Device::Cpu)?;
    Ok((trainer.parameter_count(), trainer.result().macs()))
}

/// The results of an ablation, the JSON of `heartlens-train ablate`.
#[derive(Debug, Clone, Serialize)]
pub struct Ablation {
    /// The model's name.
    pub model: String,
    /// Hash of the features, 16 hex digits.
    pub spec_hash: String,
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// The held-out records of each fold.
    pub splits: Vec<Vec<String>>,
    /// The networks; the first is the one that the others are compared with.
    pub rows: Vec<RowResults>,
}

/// One network: reference R peaks, the network's first choice alone.
#[derive(Debug, Clone, Serialize)]
pub struct RowResults {
    /// Its name.
    pub name: String,
    /// In which it differs.
    pub what: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-accumulates for one beat.
    pub macs: usize,
    /// Duration of a training, in seconds: the mean over folds and seeds.
    pub training_s: f64,
    /// Figures by database.
    pub databases: BTreeMap<String, RowFigures>,
    /// What was trained.
    pub config: Config,
}

/// One network on one database.
#[derive(Debug, Clone, Serialize)]
pub struct RowFigures {
    /// All seeds together.
    #[serde(flatten)]
    pub headline: Headline,
    /// jk of each seed.
    pub seeds: Vec<Option<f64>>,
    /// jk less that of the row [`ALL`]; `None` for that row itself.
    pub difference: Option<Difference>,
}

impl Ablation {
    /// An ablation without rows.
    pub fn new(base: &Config, dataset: &Dataset, plan: &Plan) -> Self {
        let splits = plan.splits.iter();
        Self {
            model: base.name.clone(),
            spec_hash: format!("{:016x}", spec::HASH),
            seeds: plan.seeds.clone(),
            splits: splits.map(|records| names(dataset, records)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds the results of a row's trainings.
    ///
    /// # Errors
    /// If the layers of the row's config do not fit together.
    pub fn push(
        &mut self,
        row: Row<Config>,
        dataset: &Dataset,
        plan: &Plan,
        trained: &[HeldOut],
    ) -> Result<(), AblationError> {
        let judged = Judged {
            peaks: Peaks::Reference,
            leads: Leads::First,
            context: NETWORK_ALONE,
        };
        let alone = variant(dataset, plan, trained, judged, |done, record| {
            done.logits[&record].iter().map(largest).collect()
        });
        let reference = self.rows.first();
        let figures = alone.databases.into_iter().map(|(database, figures)| {
            let all = reference.and_then(|row| row.databases.get(&database));
            let difference = all.and_then(|all| Difference::paired(&figures.seeds, &all.seeds));
            let figures = RowFigures {
                headline: figures.headline,
                seeds: figures.seeds,
                difference,
            };
            (database, figures)
        });
        let (parameters, macs) = size(&row.config)?;
        let seconds: f64 = trained.iter().map(|done| done.training_s).sum();
        let results = RowResults {
            parameters,
            macs,
            training_s: seconds / trained.len().max(1) as f64,
            databases: figures.collect(),
            name: row.name,
            what: row.what,
            config: row.config,
        };
        self.rows.push(results);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shipped() -> Config {
        let text = include_str!("../../../models/beat/config.toml");
        Config::parse(text, Path::new("config.toml")).unwrap()
    }

    #[test]
    fn rows_change_one_thing() {
        let base = shipped();
        let rows = rows(&base).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "all",
                "waveform",
                "spectrum",
                "spectrogram",
                "metadata",
                "without-waveform",
                "without-spectrum",
                "without-spectrogram",
                "without-metadata",
                "early",
                "late",
                "no-bilstm",
                "auxiliary",
                "recordings",
                "cnn",
                "as-shipped"
            ]
        );
        let alone = Config {
            weak_labels: None,
            ..base.clone()
        };
        assert_eq!(rows[0].config, alone);
        let recordings = |name: &str| {
            let row = rows.iter().find(|row| row.name == name).unwrap();
            row.config.weak_labels.clone()
        };
        assert_eq!(recordings("as-shipped"), base.weak_labels);
        let known = recordings("recordings").unwrap();
        assert!(known.taught.is_empty() && known.shares.N > 0.0);
        for row in &rows[1..] {
            let own = format!("beat-{}", row.name);
            let shipped = row.name == "as-shipped";
            assert_eq!(row.config.name, if shipped { "beat" } else { &own });
            assert_eq!(row.config.training.steps, base.training.steps);
            if row.name != "cnn" {
                assert_eq!(row.config.sampler, base.sampler);
                assert_eq!(row.config.training, base.training);
            }
            // Each can be built, and read back from its text.
            size(&row.config).unwrap();
            let text = row.config.text();
            assert_eq!(Config::parse(&text, Path::new("row")).unwrap(), row.config);
        }
        // As large as the network that it is compared with, to within a cell.
        let [all, early] = [0, 9].map(|i| size(&rows[i].config).unwrap().0);
        assert!(early <= all && all - early < 723, "{early} {all}");
    }
}
