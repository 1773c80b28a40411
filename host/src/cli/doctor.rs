//! `heartlens doctor`: what is here, what is missing, how to get it.

use super::guard::Guard;
use super::model::ModelChoice;
use super::output::Sink;
use crate::doctor::{Part, Surroundings};
use serde_json::json;
use std::fmt::Write as _;

/// Say what of runtimes, libraries, records, tools and hardware is here, and what gets the rest.
///
/// Nothing has to be complete: classifying needs a model and one runtime. Exit code 0 whatever is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens doctor
  heartlens doctor --json -")]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelChoice,
    /// Write all parts as one object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(json) = &args.json {
        Guard::default().sink("--json", json)?;
    }
    let parts = Surroundings::here(args.model.folder()).examine();
    if let Some(sink) = &args.json {
        let object = json!({"version": env!("CARGO_PKG_VERSION"), "parts": parts});
        let mut text = serde_json::to_vec_pretty(&object)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    let text = table(&parts)?;
    if args.json == Some(Sink::Stdout) {
        eprint!("{text}");
        Ok(())
    } else {
        Sink::Stdout.write(text.as_bytes())
    }
}

fn table(parts: &[Part]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "heartlens {}\n", env!("CARGO_PKG_VERSION"))?;
    for part in parts {
        let state = if part.found { "found" } else { "missing" };
        writeln!(out, "{:<24}{state:<9}{}", part.name, part.detail)?;
        if let Some(remedy) = part.remedy {
            writeln!(out, "{:33}for {}; to get it: {remedy}", "", part.purpose)?;
        }
    }
    Ok(out)
}
