//! Episodes and runs of two annotation lists together, as [`af`](super::af) and [`runs`](super::runs) compare them.

use super::af::{Af, AfRates};
use super::bxb::Options;
use super::runs::{Ectopic, RunRates, Runs};
use crate::records::annotation::Annotation;
use serde::Serialize;
use std::fmt;
use std::ops::AddAssign;

/// Counts of episodes and runs. Sums over records are EC57's gross counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Episodes {
    /// Atrial fibrillation, of the records whose reference names a rhythm.
    pub af: Af,
    /// Runs of V.
    pub v_runs: Runs,
    /// Runs of S.
    pub s_runs: Runs,
}

impl Episodes {
    /// Compares `test` with `reference`, both in order of time. Where the reference names no rhythm at all, nothing can
    /// be said of fibrillation.
    pub fn compare(reference: &[Annotation], test: &[Annotation], options: &Options) -> Self {
        let runs = |kind| Runs::compare(reference, test, kind, options);
        Self {
            af: match names_rhythm(reference) {
                true => Af::compare(reference, test, options),
                false => Af::default(),
            },
            v_runs: runs(Ectopic::Ventricular),
            s_runs: runs(Ectopic::Supraventricular),
        }
    }

    /// The counts with their rates.
    pub fn rates(&self) -> EpisodeRates {
        EpisodeRates {
            af: self.af.rates(),
            v_runs: self.v_runs.rates(),
            s_runs: self.s_runs.rates(),
        }
    }
}

impl AddAssign<&Self> for Episodes {
    fn add_assign(&mut self, other: &Self) {
        self.af += &other.af;
        self.v_runs += &other.v_runs;
        self.s_runs += &other.s_runs;
    }
}

/// Whether a list names a rhythm anywhere.
pub fn names_rhythm(list: &[Annotation]) -> bool {
    list.iter().any(|annotation| annotation.rhythm().is_some())
}

/// Counts and rates of episodes and runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EpisodeRates {
    /// Atrial fibrillation, as `epicmp` counts it.
    pub af: AfRates,
    /// Runs of V, as `rxr` counts them.
    pub v_runs: RunRates,
    /// Runs of S, as `rxr` counts them.
    pub s_runs: RunRates,
}

impl fmt::Display for EpisodeRates {
    /// A table: what was found of the reference's episodes and what was right of the test's, rates in percent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |rate: Option<f64>| match rate {
            Some(rate) => format!("{:.2}", 100.0 * rate),
            None => "-".to_owned(),
        };
        writeln!(
            f,
            "{:18} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "Episodes", "found", "missed", "right", "wrong", "Se", "+P"
        )?;
        let af = &self.af;
        let mut rows = vec![(
            "AF".to_owned(),
            [af.tps, af.missed, af.tpp, af.fp].map(|n| n.to_string()),
            [af.episode_se, af.episode_ppv],
        )];
        let seconds = |s: f64| format!("{s:.0} s");
        rows.push((
            "AF duration".to_owned(),
            [
                af.overlap_s,
                af.reference_s - af.overlap_s,
                af.overlap_s,
                af.test_s - af.overlap_s,
            ]
            .map(seconds),
            [af.duration_se, af.duration_ppv],
        ));
        if af.records == 0 {
            rows.clear();
        }
        for (class, runs) in [("V", &self.v_runs), ("S", &self.s_runs)] {
            for (name, found) in [
                ("couplets", runs.couplets),
                ("runs of 3 to 5", runs.short_runs),
                ("runs of 6 and more", runs.long_runs),
            ] {
                rows.push((
                    format!("{class} {name}"),
                    [found.tps, found.missed, found.tpp, found.fp].map(|n| n.to_string()),
                    [found.se, found.ppv],
                ));
            }
        }
        for (name, counts, rates) in rows {
            write!(f, "{name:20}")?;
            for (i, cell) in counts.iter().enumerate() {
                write!(f, " {cell:>width$}", width = if i == 0 { 6 } else { 8 })?;
            }
            for rate in rates {
                write!(f, " {:>8}", percent(rate))?;
            }
            writeln!(f)?;
        }
        if af.records == 0 {
            writeln!(f, "AF was not compared: no reference names a rhythm.")?;
        }
        Ok(())
    }
}
