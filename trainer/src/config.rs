//! What configs of every task have in common: reading, errors with line and column, limits.

use crate::{beat, rhythm, strip};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What a network is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// The class of a beat.
    Beat,
    /// Atrial fibrillation from RR intervals.
    Rhythm,
    /// The rhythm of half a minute from all of its views.
    Strip,
}

/// The config of a model of any task.
#[derive(Debug, Clone, PartialEq)]
pub enum Config {
    /// `task = "beat"`.
    Beat(Box<beat::config::Config>),
    /// `task = "rhythm"`.
    Rhythm(Box<rhythm::config::Config>),
    /// `task = "strip"`.
    Strip(Box<strip::config::Config>),
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML of its task's layout (unknown keys included), or a value is out of its range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&text(path)?, path)
    }

    /// Parses a config; `origin` is named in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        /// The key that says how the others are read.
        #[derive(Deserialize)]
        struct Head {
            task: Task,
        }
        Ok(match parse::<Head>(text, origin)?.task {
            Task::Beat => Self::Beat(Box::new(parse(text, origin)?)),
            Task::Rhythm => Self::Rhythm(Box::new(parse(text, origin)?)),
            Task::Strip => Self::Strip(Box::new(parse(text, origin)?)),
        })
    }

    /// What its `task` says.
    pub fn task(&self) -> &'static str {
        match self {
            Self::Beat(_) => "beat",
            Self::Rhythm(_) => "rhythm",
            Self::Strip(_) => "strip",
        }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        match self {
            Self::Beat(config) => &config.name,
            Self::Rhythm(config) => &config.name,
            Self::Strip(config) => &config.name,
        }
    }

    /// Its canonical text form, which [`parse`](Self::parse) reads.
    pub fn text(&self) -> String {
        match self {
            Self::Beat(config) => canonical(config.as_ref()),
            Self::Rhythm(config) => canonical(config.as_ref()),
            Self::Strip(config) => canonical(config.as_ref()),
        }
    }
}

/// A config in its canonical text form.
pub(crate) fn canonical(config: &impl Serialize) -> String {
    // A config came from TOML, so it can become TOML.
    toml::to_string(config).unwrap_or_default()
}

/// A config that cannot be read or that asks for something impossible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML of this layout, or a value is out of its range.
    #[error("{}:{line}:{column}: {message}, in `{found}`", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What was found and what is expected.
        message: String,
        /// The line's text.
        found: String,
    },
}

/// The text of a config file.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Parses a config; `origin` is named in errors.
///
/// # Errors
/// If `text` is not TOML of this layout, or a value is out of its range.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, origin: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Parse {
            path: origin.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            message: error.message().to_owned(),
            found: text[start..]
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    })
}

/// Limits of a config's values, as serde's `deserialize_with`: an error points at the value.
pub(crate) mod limits {
    use serde::de::{Deserialize, Deserializer, Error};
    use std::fmt::Debug;

    /// A value that is `right`; else the error says what was `expected`.
    pub(crate) fn checked<'de, D: Deserializer<'de>, T: Deserialize<'de> + Debug>(
        deserializer: D,
        right: impl FnOnce(&T) -> bool,
        expected: &str,
    ) -> Result<T, D::Error> {
        let value = T::deserialize(deserializer)?;
        if right(&value) {
            return Ok(value);
        }
        Err(D::Error::custom(format!(
            "found {value:?}, expected {expected}"
        )))
    }

    /// Defines a limit of one type by its condition and its name.
    macro_rules! limits {
        ($($name:ident: $type:ty, $right:expr, $expected:expr;)*) => {$(
            #[doc = concat!("Limits to: ", $expected, ".")]
            pub(crate) fn $name<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                checked(deserializer, $right, $expected)
            }
        )*};
    }

    limits! {
        size: i64, |n: &i64| (1..=4096).contains(n), "1 to 4096";
        sizes: Vec<i64>, |list: &Vec<i64>| list.iter().all(|n| (1..=4096).contains(n)), "1 to 4096 each";
        some_sizes: Vec<i64>,
            |list: &Vec<i64>| !list.is_empty() && list.iter().all(|n| (1..=4096).contains(n)),
            "at least one layer, of 1 to 4096 each";
        cells: i64, |n: &i64| (0..=4096).contains(n), "0 (none) to 4096";
        kernel: i64, |n: &i64| (1..=63).contains(n) && n % 2 == 1,
            "an odd length of 1 to 63, so that half of it pads each side";
        positive: f64, |x: &f64| *x > 0.0 && x.is_finite(), "more than 0";
        not_negative: f64, |x: &f64| *x >= 0.0 && x.is_finite(), "0 or more";
        below_one: f64, |x: &f64| (0.0..1.0).contains(x), "0 or more and less than 1";
        probability: f64, |x: &f64| (0.0..=1.0).contains(x), "a probability, 0 to 1";
        at_least_one: u32, |n: &u32| *n > 0, "at least 1";
    }
}
