//! `heartlens-train curves`

use crate::file::write_atomically;
use crate::fit::{curves, log};
use anyhow::Context;
use std::path::PathBuf;

/// Draw the log of a training
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train curves target/train/beat/log.jsonl --out curves.svg")]
pub(super) struct Arguments {
    /// What `fit` wrote
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// The picture to write
    #[arg(long, value_name = "FILE.svg")]
    out: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let svg = curves::svg(&log::read(&self.log)?, &self.log.display().to_string())?;
        write_atomically(&self.out, svg.as_bytes()).with_context(|| self.out.display().to_string())
    }
}
