//! What each part of a network is worth: the same cross-validation with one thing changed at a time.

use crate::blocks::ShapeError;
use crate::config::{Config, ConfigError, FusionKind};
use crate::cross_validate::Plan;
use crate::dataset::Dataset;
use crate::findings::{Headline, Judged, Leads, variant};
use crate::held_out::HeldOut;
use crate::network::shape_of;
use crate::split::names;
use crate::train::{Trainer, largest};
use heartlens::evaluate::report::Peaks;
use heartlens_core::spec;
use heartlens_core::views::View;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use tch::Device;
use thiserror::Error;

/// Name of the row that the others are compared with.
pub const ALL: &str = "all";
/// The plain CNN.
const CNN: &str = include_str!("../../models/cnn/config.toml");
/// Weight of the auxiliary heads in the row that has them.
const AUXILIARY: f64 = 0.3;

/// An ablation that cannot be run.
#[derive(Debug, Error)]
pub enum AblationError {
    /// There is no row of this name.
    #[error("no row {wanted}; this config has {}", rows.join(", "))]
    NoSuchRow {
        /// The name.
        wanted: String,
        /// Those that there are.
        rows: Vec<String>,
    },
    /// The config's layers do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The plain CNN's config cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// One network to be cross-validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is called on the command line.
    pub name: String,
    /// In which it differs.
    pub what: String,
    /// Its config, with the name of the model and of the row.
    pub config: Config,
}

/// The networks that tell what the parts of `base` are worth: the whole one, each view alone, all views but one, the other
/// kinds of fusion, without BiLSTM, with auxiliary heads, and the plain CNN, all trained on the same annotated beats with the
/// same budget; the plain CNN draws and varies them as its own config says. Where `base` learns of recordings that nobody
/// annotated as well, one or two rows more tell what that is worth.
///
/// # Errors
/// If the layers of `base` do not fit together.
pub fn rows(base: &Config) -> Result<Vec<Row>, AblationError> {
    let shipped = base;
    let base = &Config {
        recordings: None,
        ..shipped.clone()
    };
    let what = match &shipped.recordings {
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
    if let Some(recordings) = shipped.teacher().and_then(|teacher| teacher.recordings) {
        let mut config = base.clone();
        config.recordings = Some(recordings);
        let what = "N beats of recordings labelled by their rhythm as well";
        push("recordings".to_owned(), what.to_owned(), config);
    }
    let cnn = plain_cnn(base)?;
    push("cnn".to_owned(), "plain 1D CNN: models/cnn".to_owned(), cnn);
    if shipped.recordings.is_some() {
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

/// The rows called by `names`, in their own order; all of them where no name is given. The row that the others are compared
/// with is always among them.
///
/// # Errors
/// If there is no such row.
pub fn choose(rows: Vec<Row>, names: &[String]) -> Result<Vec<Row>, AblationError> {
    for wanted in names {
        if !rows.iter().any(|row| row.name == *wanted) {
            return Err(AblationError::NoSuchRow {
                wanted: wanted.clone(),
                rows: rows.into_iter().map(|row| row.name).collect(),
            });
        }
    }
    let chosen = |row: &Row| names.is_empty() || row.name == ALL || names.contains(&row.name);
    Ok(rows.into_iter().filter(chosen).collect())
}

/// What an ablation found, the JSON of `heartlens-train ablate`.
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
    pub rows: Vec<RowFindings>,
}

/// One network: reference R peaks, the network's first choice alone.
#[derive(Debug, Clone, Serialize)]
pub struct RowFindings {
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

/// A difference between two networks that were trained with the same seeds on the same folds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean over the seeds.
    pub mean: f64,
    /// Standard deviation over the seeds (of a sample: by n - 1): what one seed's difference is uncertain by. `None` for
    /// one seed.
    pub deviation: Option<f64>,
}

impl Difference {
    /// Of `ours` from `theirs`, seed by seed. `None` where a seed has no value.
    pub fn paired(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Self> {
        let pairs = ours.iter().zip(theirs);
        let differences: Vec<f64> = pairs
            .map(|(ours, theirs)| Some((*ours)? - (*theirs)?))
            .collect::<Option<_>>()?;
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let square = |difference: &f64| (difference - mean).powi(2);
        let sum: f64 = differences.iter().map(square).sum();
        (!differences.is_empty()).then_some(Self {
            mean,
            deviation: (differences.len() > 1).then(|| (sum / (count - 1.0)).sqrt()),
        })
    }
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

    /// Adds the findings of a row's trainings.
    ///
    /// # Errors
    /// If the layers of the row's config do not fit together.
    pub fn push(
        &mut self,
        row: Row,
        dataset: &Dataset,
        plan: &Plan,
        trained: &[HeldOut],
    ) -> Result<(), AblationError> {
        let judged = Judged {
            peaks: Peaks::Reference,
            leads: Leads::First,
            context: ALL,
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
        let findings = RowFindings {
            parameters,
            macs,
            training_s: seconds / trained.len().max(1) as f64,
            databases: figures.collect(),
            name: row.name,
            what: row.what,
            config: row.config,
        };
        self.rows.push(findings);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shipped() -> Config {
        let text = include_str!("../../models/beat/config.toml");
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
            recordings: None,
            ..base.clone()
        };
        assert_eq!(rows[0].config, alone);
        let recordings = |name: &str| {
            let row = rows.iter().find(|row| row.name == name).unwrap();
            row.config.recordings.clone()
        };
        assert_eq!(recordings("as-shipped"), base.recordings);
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
            let text = toml::to_string(&row.config).unwrap();
            assert_eq!(Config::parse(&text, Path::new("row")).unwrap(), row.config);
        }
        // As large as the network that it is compared with, to within a cell.
        let [all, early] = [0, 9].map(|i| size(&rows[i].config).unwrap().0);
        assert!(early <= all && all - early < 723, "{early} {all}");
    }

    #[test]
    fn rows_are_chosen_by_name() {
        let all = rows(&shipped()).unwrap();
        let some = choose(all.clone(), &["late".to_owned()]).unwrap();
        assert_eq!(
            (some[0].name.as_str(), some[1].name.as_str()),
            ("all", "late")
        );
        assert_eq!(some.len(), 2);
        assert_eq!(choose(all.clone(), &[]).unwrap(), all);
        let error = choose(all, &["latest".to_owned()]).unwrap_err().to_string();
        assert!(
            error.starts_with("no row latest; this config has all, waveform"),
            "{error}"
        );
    }

    /// 0.01, 0.02 and 0.06 have the mean 0.03 and the standard deviation sqrt((4 + 1 + 9) / 2) / 100.
    #[test]
    fn differences_are_paired_by_seed() {
        let ours = [0.71, 0.75, 0.90].map(Some);
        let theirs = [0.70, 0.73, 0.84].map(Some);
        let found = Difference::paired(&ours, &theirs).unwrap();
        assert!((found.mean - 0.03).abs() < 1e-9);
        assert!((found.deviation.unwrap() - 7.0_f64.sqrt() / 100.0).abs() < 1e-9);
        assert_eq!(
            Difference::paired(&ours[..1], &theirs[..1])
                .unwrap()
                .deviation,
            None
        );
        assert_eq!(Difference::paired(&ours, &[None; 3]), None);
        assert_eq!(Difference::paired(&[], &[]), None);
    }
}
