//! `heartlens-train card`

use crate::study::card::tables;
use anyhow::Context;
use serde_json::Value;
use std::path::PathBuf;

/// Print the tables of a model card from the results of `cross-validate` or `ablate`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train card --metrics models/beat/metrics.json
  heartlens-train card --metrics models/beat/ablation.json
  heartlens-train card --metrics models/rhythm/metrics.json")]
pub(super) struct Arguments {
    /// What their `--json` wrote
    #[arg(long, value_name = "FILE")]
    metrics: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let origin = || self.metrics.display().to_string();
        let text = std::fs::read_to_string(&self.metrics).with_context(origin)?;
        let metrics: Value = serde_json::from_str(&text).with_context(origin)?;
        let tables = tables(&metrics);
        let tables = tables.with_context(|| {
            format!(
                "{}: not what `cross-validate --json` or `ablate --json` writes",
                origin()
            )
        })?;
        print!("{tables}");
        Ok(())
    }
}
