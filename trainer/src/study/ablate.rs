//! What each part of a network is worth: the same cross-validation with one thing changed at a time.

use crate::config::ConfigError;
use crate::nn::blocks::ShapeError;
use serde::Serialize;
use thiserror::Error;

/// Name of the row that the others are compared with.
pub const ALL: &str = "all";
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
pub struct Row<C> {
    /// What it is called on the command line.
    pub name: String,
    /// In which it differs.
    pub what: String,
    /// Its config, with the name of the model and of the row.
    pub config: C,
}

/// The rows called by `names`, in their own order; all of them where no name is given. The row that the others are compared
/// with is always among them.
///
/// # Errors
/// If there is no such row.
pub fn choose<C>(rows: Vec<Row<C>>, names: &[String]) -> Result<Vec<Row<C>>, AblationError> {
    for wanted in names {
        if !rows.iter().any(|row| row.name == *wanted) {
            return Err(AblationError::NoSuchRow {
                wanted: wanted.clone(),
                rows: rows.into_iter().map(|row| row.name).collect(),
            });
        }
    }
    let chosen = |row: &Row<C>| names.is_empty() || row.name == ALL || names.contains(&row.name);
    Ok(rows.into_iter().filter(chosen).collect())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name() {
        let row = |name: &str| Row {
            name: name.to_owned(),
            what: String::new(),
            config: (),
        };
        let all = vec![row("all"), row("waveform"), row("late")];
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
