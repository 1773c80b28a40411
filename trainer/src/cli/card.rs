//! `heartlens-train card`

use anyhow::Context;
use serde_json::Value;
use std::path::PathBuf;

/// Print the tables of a model card from the findings of `cross-validate`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train card --metrics models/beat/metrics.json")]
pub(super) struct Arguments {
    /// What `cross-validate --json` wrote
    #[arg(long, value_name = "FILE")]
    metrics: PathBuf,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let origin = || self.metrics.display().to_string();
        let text = std::fs::read_to_string(&self.metrics).with_context(origin)?;
        let metrics: Value = serde_json::from_str(&text).with_context(origin)?;
        let tables = tables(&metrics)
            .with_context(|| format!("{}: not what `cross-validate --json` writes", origin()))?;
        print!("{tables}");
        Ok(())
    }
}

/// Figures by database in Markdown, and the confusion of each. `None` where `metrics` lacks a key.
fn tables(metrics: &Value) -> Option<String> {
    use std::fmt::Write;
    let seeds = metrics["seeds"].as_array()?;
    let mut text = String::from(
        "| database | records | jk (each seed) | 95 % over patients | kappa | macro F1 N,S,V | S Se / +P / F1 | V Se / +P / F1 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let databases = metrics["databases"].as_object()?;
    for (name, report) in databases {
        let jk: Vec<String> = seeds
            .iter()
            .map(|seed| rate(&seed["databases"][name]["jk"]))
            .collect();
        let interval = &report["intervals"]["figures"]["jk"];
        let class = |class: &str| {
            let rates = &report["classes"][class];
            format!(
                "{} / {} / {}",
                rate(&rates["se"]),
                rate(&rates["ppv"]),
                rate(&rates["f1"])
            )
        };
        writeln!(
            text,
            "| {name} | {} | {} ({}) | {} to {} | {} | {} | {} | {} |",
            report["records"].as_u64()?,
            rate(&report["jk"]),
            jk.join(", "),
            rate(&interval["low"]),
            rate(&interval["high"]),
            rate(&report["kappa"]),
            rate(&report["macro_f1_nsv"]),
            class("S"),
            class("V"),
        )
        .ok()?;
    }
    for (name, report) in databases {
        let labels = report["labels"].as_array()?;
        let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        write!(text, "\n| {name}, reference by prediction |").ok()?;
        for label in &labels {
            write!(text, " {label} |").ok()?;
        }
        writeln!(text, "\n|---|{}", "---:|".repeat(labels.len())).ok()?;
        for (label, row) in labels.iter().zip(report["confusion"].as_array()?) {
            write!(text, "| {label} |").ok()?;
            for cell in row.as_array()? {
                write!(text, " {} |", cell.as_u64()?).ok()?;
            }
            writeln!(text).ok()?;
        }
    }
    Some(text)
}

/// A rate to three digits, `-` where it is null.
fn rate(value: &Value) -> String {
    super::digits(value.as_f64())
}
