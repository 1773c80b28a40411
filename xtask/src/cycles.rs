//! `cargo xtask cycles`: what a wearable's calls take on a real nRF52840, in cycles of its own counter (DWT), beside the instructions
//! that QEMU counts. It has not been run on hardware yet; without a board, `--log` reads what one has logged.

use crate::documents::thousands;
use crate::step::{cargo, output, root};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// What `cargo xtask cycles` may be told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, with an nRF52840-DK at a USB port and probe-rs installed:
  cargo xtask cycles"
)]
pub(crate) struct Args {
    /// Reads this log of the image `wearable` instead of running it.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Builds the image and ends.
    #[arg(long, conflicts_with = "log")]
    build: bool,
}

/// `cargo xtask cycles`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let image = |verb: &str| {
        let mut command = cargo("firmware");
        command
            .args([verb, "--release", "--bin", "wearable"])
            .args(["--no-default-features", "--features", "nrf52840"]);
        command
    };
    if args.build {
        output(&mut image("build"))?;
        return Ok(());
    }
    let log = match &args.log {
        Some(path) => fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => output(&mut image("run"))
            .context("an nRF52840-DK at a USB port and probe-rs (https://probe.rs) are needed; `--build` builds the image alone")?,
    };
    let path = root().join("docs/performance.json");
    let performance = serde_json::from_slice(&fs::read(&path)?).context("docs/performance.json")?;
    print!("{}", table(&log, &performance)?);
    Ok(())
}

/// Mean and largest cycles of each part in a log. Around what the firmware says, probe-rs puts time, level and place.
fn cycles(log: &str) -> Result<BTreeMap<String, [u64; 2]>> {
    let mut parts = BTreeMap::new();
    for (_, line) in log.lines().filter_map(|line| line.split_once("cost part=")) {
        let field = |name: &str| -> Result<u64> {
            let mut words = line
                .split_whitespace()
                .filter_map(|word| word.split_once('='));
            let value = words.find(|(key, _)| *key == name);
            let (_, value) = value.with_context(|| format!("`{line}` has no {name}"))?;
            value.parse().with_context(|| format!("`{line}`: {name}"))
        };
        let part = line.split(' ').next().unwrap_or_default().to_owned();
        let (count, total) = (field("count")?, field("total")?);
        ensure!(count > 0, "`{line}` measured nothing");
        parts.insert(part, [total.div_ceil(count), field("largest")?]);
    }
    ensure!(!parts.is_empty(), "the log has no line `cost part=...`");
    Ok(parts)
}

fn table(log: &str, performance: &Value) -> Result<String> {
    let parts = cycles(log)?;
    let mut table = format!(
        "{:<9}{:<18}{:>14}{:>14}{:>8}\n",
        "rate, Hz", "call", "instructions", "cycles", "ratio"
    );
    let rates = performance
        .pointer("/wearable/rates")
        .and_then(Value::as_array);
    for rate in rates.context("docs/performance.json has no /wearable/rates")? {
        for (key, call, place, name) in [
            ("sample", "push", 0, "a sample, mean"),
            ("push", "push", 1, "longest push"),
            ("missing", "missing", 1, "longest missing"),
            ("clock", "clock", 1, "longest clock"),
            ("work", "work", 1, "longest work"),
        ] {
            let hz = &rate["hz"];
            let instructions = rate[key].as_u64().context("an instruction count")?;
            let Some(cycles) = parts.get(&format!("wearable-{hz}-{call}")) else {
                continue;
            };
            writeln!(
                table,
                "{:<9}{name:<18}{:>14}{:>14}{:>8.2}",
                hz.to_string(),
                thousands(instructions),
                thousands(cycles[place]),
                cycles[place] as f64 / instructions.max(1) as f64
            )?;
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_stand_beside_instructions() {
        let performance = serde_json::json!({"wearable": {"rates": [
            {"hz": 128, "sample": 600, "push": 7000, "missing": 30000, "clock": 300, "work": 70000}
        ]}});
        let log = "0.1 INFO  cost part=wearable-128-push count=10 total=9000 largest=14000 (wearable.rs:50)\n\
                   0.2 INFO  cost part=wearable-128-work count=2 total=9 largest=140000\n";
        let table = table(log, &performance).expect("a log");
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows.len(), 4, "{table}");
        assert_eq!(
            rows[1],
            ["128", "a", "sample,", "mean", "600", "900", "1.50"]
        );
        assert_eq!(
            rows[2],
            ["128", "longest", "push", "7,000", "14,000", "2.00"]
        );
        assert_eq!(
            rows[3],
            ["128", "longest", "work", "70,000", "140,000", "2.00"]
        );
    }

    #[test]
    fn a_log_that_says_nothing_is_refused() {
        for log in [
            "",
            "cost part=a count=0 total=1 largest=1",
            "cost part=a count=1 total=1",
            "cost part=a count=x total=1 largest=1",
        ] {
            assert!(cycles(log).is_err(), "{log}");
        }
    }
}
