//! The tables in the documents, each made from the JSON that its figures come from.
//!
//! A document marks the place of a table by `<!-- table: NAME -->` and `<!-- end -->`. A test compares what stands
//! between the marks with what the JSON gives; `cargo xtask documents` writes it anew.

use crate::compare;
use crate::cores;
use crate::costs::Table;
use crate::environment::Environment;
use crate::faults;
use crate::qemu::{self, Instructions};
use crate::scale;
use crate::size;
use crate::step::root;
use crate::web;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The documents that have tables.
const DOCUMENTS: [&str; 7] = [
    "COMPARE.md",
    "README.md",
    "docs/blind.md",
    "docs/performance.md",
    "docs/scale.md",
    "firmware/README.md",
    "models/beat/card.md",
];

/// Opens a table's place, before its name.
const BEGIN: &str = "<!-- table: ";
/// Closes it.
const END: &str = "<!-- end -->";

/// What tables are made from.
struct Sources {
    blind: Value,
    /// Cross-validation of the shipped configuration.
    metrics: Value,
    /// `cross-validate --lead all`.
    leads: Value,
    performance: Value,
}

impl Sources {
    fn read() -> Result<Self> {
        let read = |name: &str| -> Result<Value> {
            let text = fs::read_to_string(root().join(name)).context(name.to_owned())?;
            serde_json::from_str(&text).context(name.to_owned())
        };
        Ok(Self {
            blind: read("docs/blind.json")?,
            metrics: read("models/beat/metrics.json")?,
            leads: read("models/beat/leads.json")?,
            performance: read("docs/performance.json")?,
        })
    }

    /// The table of this name, in Markdown.
    fn table(&self, name: &str) -> Result<String> {
        let table = match name {
            "results" => self.results(),
            "blind" => self.blind_beats(),
            "blind-detection" => self.detection(&self.blind["detection"]),
            "detection" => self.detection(&self.performance["detection"]),
            "chip" => self.chip(),
            "boards" => self.boards(),
            "sizing" => self.sizing(),
            "strips" => self.strips(),
            "wearable" => self.wearable(),
            "cores" => cores::markdown(&self.performance["cores"]),
            "false-alarms" => self.false_alarms(),
            "speed" => self.speed(),
            "scale" => return scale::table(),
            "web" => return web::table(),
            "compare-sizes" | "compare-peaks" => return compare::table(name),
            "compare-beats" => compare::published(&self.blind, &self.metrics),
            "compare-device" => compare::device(&self.performance),
            "faults" => return faults::table(),
            "leads" => self.leads(),
            "lead-gain" => self.lead_gain(),
            _ => bail!("no table is named `{name}`"),
        };
        table.with_context(|| format!("the JSON of table `{name}` lacks a figure"))
    }

    /// Blind figures, then cross-validation: network alone, strip rule, whole recording. Reference R peaks; first lead, and both of a whole recording.
    fn results(&self) -> Option<String> {
        let mut table = String::from(
            "| figures | test | what decides | jk | F1 of S | F1 of V |\n|---|---|---|---|---|---|\n",
        );
        for row in self.blind["beats"].as_array()? {
            let plain = row["peaks"] == "reference" && row["leads"] == "first";
            let decides = row["decides"].as_str()?;
            if !plain || decides.contains("SVT") {
                continue;
            }
            let without = match row["jk_without_232"].as_f64() {
                Some(jk) => format!(" ({jk:.3} without 232)"),
                None => String::new(),
            };
            writeln!(
                table,
                "| blind | {} | {decides} | {}{without} | {} | {} |",
                row["test"].as_str()?,
                rate(&row["jk"]),
                rate(&row["s"]["f1"]),
                rate(&row["v_f1"]),
            )
            .ok()?;
        }
        for (database, report) in self.metrics["databases"].as_object()? {
            for variant in self.metrics["variants"].as_array()? {
                let decides = decides(variant["context"].as_str()?);
                let leads = match decides {
                    "whole recording" => "both",
                    _ => "first",
                };
                let plain = variant["peaks"] == "reference" && variant["leads"] == leads;
                // What is off by default is in the card.
                if !plain || decides.contains("AF") || decides == "strip rule" {
                    continue;
                }
                let figures = &variant["databases"][database];
                writeln!(
                    table,
                    "| cross-validation | {database}, {} records | {decides} | {} | {} | {} |",
                    report["records"].as_u64()?,
                    rate(&figures["jk"]),
                    rate(&figures["f1_s"]),
                    rate(&figures["f1_v"]),
                )
                .ok()?;
            }
        }
        Some(table)
    }

    fn blind_beats(&self) -> Option<String> {
        let mut table = String::from(
            "| test | R peaks | leads | what decides | jk | without 232 | S: F1 | Se | +P | V: F1 |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in self.blind["beats"].as_array()? {
            let text = |key: &str| row[key].as_str();
            let s = &row["s"];
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                text("test")?,
                text("peaks")?,
                text("leads")?,
                text("decides")?,
                rate(&row["jk"]),
                rate(&row["jk_without_232"]),
                rate(&s["f1"]),
                rate(&s["se"]),
                rate(&s["ppv"]),
                rate(&row["v_f1"]),
            )
            .ok()?;
        }
        Some(table)
    }

    fn detection(&self, rows: &Value) -> Option<String> {
        let mut table = String::from("| test | Se | +P |\n|---|---|---|\n");
        for row in rows.as_array()? {
            let percent = |key: &str| row[key].as_f64().map(|rate| 100.0 * rate);
            writeln!(
                table,
                "| {} | {:.2} % | {:.2} % |",
                row["test"].as_str()?,
                percent("se")?,
                percent("ppv")?
            )
            .ok()?;
        }
        Some(table)
    }

    fn chip(&self) -> Option<String> {
        let instructions: Instructions =
            serde_json::from_value(self.performance["qemu"]["instructions"].clone()).ok()?;
        Some(Table::of(&instructions).markdown())
    }

    fn boards(&self) -> Option<String> {
        let mut table = String::from(
            "| board | image | flash | RAM, deepest stack included |\n|---|---|---:|---:|\n",
        );
        for size in self.performance["size"].as_array()? {
            writeln!(
                table,
                "| {} | {} | {} | {} |",
                size["board"].as_str()?,
                size["image"].as_str()?,
                thousands(size["flash_bytes"].as_u64()?),
                thousands(size["ram_bytes"].as_u64()?),
            )
            .ok()?;
        }
        Some(table)
    }

    /// What a program with a wearable takes, part by part.
    fn sizing(&self) -> Option<String> {
        let wearable = &self.performance["wearable"];
        let monitor = self.monitor("monitor")?;
        let rhythm = fs::metadata(root().join("models/beat/rhythm.hlr")).ok()?;
        let bytes = |value: &Value| value.as_u64().map(thousands);
        let mut table = String::from("| part | flash | RAM |\n|---|---:|---:|\n");
        for (part, flash, ram) in [
            ("`Wearable`", None, Some(bytes(&wearable["state_bytes"])?)),
            (
                "the network's arena",
                None,
                Some(bytes(&monitor["scratch_bytes"])?),
            ),
            (
                "stack, deepest",
                None,
                Some(bytes(&wearable["stack_bytes"])?),
            ),
            ("`model.hlm`", Some(bytes(&monitor["model_bytes"])?), None),
            ("`rhythm.hlr`", Some(thousands(rhythm.len())), None),
        ] {
            let or_none = |bytes: Option<String>| bytes.unwrap_or_else(|| "-".to_owned());
            writeln!(table, "| {part} | {} | {} |", or_none(flash), or_none(ram)).ok()?;
        }
        writeln!(
            table,
            "| a whole program: {} for {} | {} | {} |",
            monitor["image"].as_str()?,
            monitor["board"].as_str()?,
            bytes(&monitor["flash_bytes"])?,
            bytes(&monitor["ram_bytes"])?,
        )
        .ok()?;
        Some(table)
    }

    /// The size of the live monitor in one of its forms.
    fn monitor(&self, image: &str) -> Option<&Value> {
        let mut sizes = self.performance["size"].as_array()?.iter();
        sizes.find(|size| size["image"] == image)
    }

    /// What the strip network takes.
    fn strips(&self) -> Option<String> {
        let (strips, wearable) = (&self.performance["strips"], &self.performance["wearable"]);
        let count = |value: &Value| value.as_u64();
        let more = |key: &str| count(&strips[key])?.checked_sub(count(&wearable[key])?);
        let (state, stack) = (more("state_bytes")?, more("stack_bytes")?);
        let arena = count(&strips["arena_bytes"])?;
        let mut rows = vec![
            ("RAM more, bytes", state + stack + arena),
            ("of it `Wearable`", state),
            ("of it the network's arena", arena),
            (
                "flash of `strip.hlm`, bytes",
                count(&strips["image_bytes"])?,
            ),
        ];
        if let (Some(with), Some(without)) =
            (self.monitor("monitor with strips"), self.monitor("monitor"))
        {
            let key = "flash_bytes";
            let flash = count(&with[key])?.checked_sub(count(&without[key])?)?;
            rows.push(("flash more of the live monitor, bytes", flash));
        }
        rows.extend([
            (
                "instructions on half a minute, mean",
                count(&strips["strip"]["mean"])?,
            ),
            (
                "instructions on half a minute, at most",
                count(&strips["strip"]["largest"])?,
            ),
            (
                "instructions of its longest slice",
                count(&strips["slice"]["largest"])?,
            ),
            (
                "instructions of the longest call, those for beats included",
                count(&strips["call"]["largest"])?,
            ),
        ]);
        let mut table = String::from("| what | |\n|---|---:|\n");
        for (what, number) in rows {
            writeln!(table, "| {what} | {} |", thousands(number)).ok()?;
        }
        Some(table)
    }

    /// Instructions of a wearable's calls at each rate.
    fn wearable(&self) -> Option<String> {
        let mut table = String::from(
            "| rate, Hz | a sample | longest `push` | longest `missing` | longest `clock` | longest `work` | the longest at 64 MHz |\n\
             |---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for row in self.performance["wearable"]["rates"].as_array()? {
            let count = |key: &str| row[key].as_u64();
            let calls = [count("push")?, count("missing")?, count("work")?];
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {:.2} ms |",
                count("hz")?,
                thousands(count("sample")?),
                thousands(calls[0]),
                thousands(calls[1]),
                thousands(count("clock")?),
                thousands(calls[2]),
                calls.into_iter().max()? as f64 / 64e3,
            )
            .ok()?;
        }
        Some(table)
    }

    fn leads(&self) -> Option<String> {
        let mut table = String::from(
            "| test | leads | jk | VEB: Se | +P | SVEB: Se | +P | beats found: Se | +P | called Q |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for row in self.performance["leads"].as_array()? {
            let text = |key: &str| row[key].as_str();
            write!(table, "| {} | {}", text("test")?, text("leads")?).ok()?;
            for figure in [
                "jk", "veb_se", "veb_ppv", "sveb_se", "sveb_ppv", "se", "ppv",
            ] {
                write!(table, " | {}", rate(&row[figure])).ok()?;
            }
            writeln!(table, " | {} |", thousands(row["unreadable"].as_u64()?)).ok()?;
        }
        Some(table)
    }

    /// What other leads gain over the first in cross-validation.
    fn lead_gain(&self) -> Option<String> {
        let mut table = String::from(
            "| test | R peaks | leads | jk (each seed) | jk less that of first | F1 of S | F1 of V |\n|---|---|---|---|---|---|---|\n",
        );
        let variants = self.leads["variants"].as_array()?;
        for (database, report) in self.leads["databases"].as_object()? {
            for variant in variants {
                let figures = &variant["databases"][database];
                let is_first = |other: &&Value| {
                    other["leads"] == "first" && other["peaks"] == variant["peaks"]
                };
                let first = variants.iter().find(is_first)?;
                let jk = figures["jk"].as_f64()?;
                let gain = jk - first["databases"][database]["jk"].as_f64()?;
                let seeds = figures["seeds"].as_array()?.iter().map(rate);
                writeln!(
                    table,
                    "| {database}, {} records | {} | {} | {jk:.3} ({}) | {gain:+.3} | {} | {} |",
                    report["records"].as_u64()?,
                    variant["peaks"].as_str()?,
                    variant["leads"].as_str()?,
                    seeds.collect::<Vec<_>>().join(", "),
                    rate(&figures["f1_s"]),
                    rate(&figures["f1_v"]),
                )
                .ok()?;
            }
        }
        Some(table)
    }

    /// What `heartlens evaluate --false-alarms` counted.
    fn false_alarms(&self) -> Option<String> {
        let mut table = String::from(
            "| recordings | diagnosis | model | recordings | beats | S | V | S and V of 1,000 | called Q |\n\
             |---|---|---|---:|---:|---:|---:|---:|---:|\n",
        );
        for row in self.performance["false_alarms"].as_array()? {
            let count = |key: &str| row[key].as_u64().map(thousands);
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} | {:.1} | {} |",
                row["test"].as_str()?,
                row["diagnosis"].as_str()?,
                row["model"].as_str()?,
                count("recordings")?,
                count("beats")?,
                count("s")?,
                count("v")?,
                row["of_a_thousand"].as_f64()?,
                count("q")?,
            )
            .ok()?;
        }
        Some(table)
    }

    fn speed(&self) -> Option<String> {
        let mut table = String::from("| what | figure | command | measured |\n|---|---|---|---|\n");
        for row in self.performance["speed"].as_array()? {
            let text = |key: &str| row[key].as_str();
            writeln!(
                table,
                "| {} | {} | `{}` | {} |",
                text("what")?,
                text("figure")?,
                text("command")?,
                text("measured")?,
            )
            .ok()?;
        }
        Some(table)
    }
}

/// What decides on a class, in the words of the documents; the keys of the JSON are older.
fn decides(context: &str) -> &str {
    match context {
        "gate" => "AF rule",
        "gate and run rule" => "AF and SVT rule",
        other => other,
    }
}

/// A rate to three digits, `-` where there is none.
fn rate(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"))
}

/// A number with a comma before each group of three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The document with every table made anew, and how many there are.
fn renew(document: &str, table: impl Fn(&str) -> Result<String>) -> Result<(String, usize)> {
    let (mut renewed, mut count) = (String::new(), 0);
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, body) = after
            .split_once(" -->\n")
            .context("a table's mark has no end")?;
        let (_, behind) = body
            .split_once(END)
            .with_context(|| format!("table `{name}` has no {END}"))?;
        write!(renewed, "{before}{BEGIN}{name} -->\n{}{END}", table(name)?)?;
        rest = behind;
        count += 1;
    }
    renewed.push_str(rest);
    Ok((renewed, count))
}

/// What `cargo xtask documents` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask documents")]
pub(crate) struct Args {
    /// First plays the firmware in QEMU and writes its figures to `docs/performance.json`.
    #[arg(long)]
    measure: bool,
}

/// `cargo xtask documents`: writes every table anew.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.measure {
        measure()?;
    }
    each_stale(|path, renewed| {
        println!("{}", path.display());
        Ok(fs::write(path, renewed)?)
    })
}

/// The firmware's figures into `docs/performance.json`; the others stay.
fn measure() -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let [qemu, size, played] =
        ["qemu.json", "size.json", "cores.json"].map(|name| folder.path().join(name));
    qemu::run(&qemu::Args::json(&qemu))?;
    size::measure_all(Environment::here().as_ref())?.write(&size)?;
    cores::run(Some(&played))?;
    let read = |path: &Path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let path = root().join("docs/performance.json");
    let mut performance = read(&path)?;
    let qemu = read(&qemu)?;
    for key in ["beats", "instructions", "layers", "stack_bytes"] {
        performance["qemu"][key] = qemu[key].clone();
    }
    performance["wearable"] = wearable_figures(&qemu)?;
    performance["strips"] = strip_figures(&qemu["strips"])?;
    performance["size"] = read(&size)?;
    performance["cores"] = read(&played)?;
    fs::write(&path, serde_json::to_string_pretty(&performance)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What `docs/performance.json` keeps of a report's wearable: its memory, and the instructions of its calls at each rate.
fn wearable_figures(qemu: &Value) -> Result<Value> {
    let parts = qemu["parts"].as_object().context("no `parts`")?;
    let mut rates: Vec<u64> = parts
        .keys()
        .filter_map(|name| name.strip_prefix("wearable-")?.strip_suffix("-push"))
        .filter_map(|hz| hz.parse().ok())
        .collect();
    rates.sort_unstable();
    let rows = rates.iter().map(|hz| {
        let cost = |call: &str| &parts[&format!("wearable-{hz}-{call}")];
        serde_json::json!({
            "hz": hz,
            "sample": cost("push")["mean"],
            "push": cost("push")["largest"],
            "missing": cost("missing")["largest"],
            "clock": cost("clock")["largest"],
            "work": cost("work")["largest"],
        })
    });
    Ok(serde_json::json!({
        "state_bytes": qemu["wearable"]["state_bytes"],
        "stack_bytes": qemu["wearable"]["stack_bytes"],
        "rates": rows.collect::<Vec<_>>(),
    }))
}

/// What `docs/performance.json` keeps of a report's strips: all but what they said.
fn strip_figures(strips: &Value) -> Result<Value> {
    let mut figures = strips.as_object().context("no `strips`")?.clone();
    for said in ["verdicts", "fibrillation", "beats"] {
        figures.remove(said);
    }
    Ok(figures.into())
}

/// Compares every table with its JSON. The error names the documents that differ.
pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    each_stale(|path, _| {
        stale.push(path.display().to_string());
        Ok(())
    })?;
    if !stale.is_empty() {
        bail!(
            "tables differ from their JSON in {}; `cargo xtask documents` writes them anew",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Calls `act` for every document that differs from its JSON, with the document made anew.
fn each_stale(mut act: impl FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    let sources = Sources::read()?;
    for name in DOCUMENTS {
        let path = root().join(name);
        let document = fs::read_to_string(&path).context(name)?;
        let (renewed, tables) = renew(&document, |table| sources.table(table)).context(name)?;
        if tables == 0 {
            bail!("{name} has no table; {BEGIN}NAME --> marks one");
        }
        if renewed != document {
            act(&path, &renewed).context(name)?;
        }
    }
    Ok(())
}

/// The first Rust example of a document.
pub(crate) fn example(document: &str) -> Result<&str> {
    let code = document.split_once("```rust\n");
    let code = code.and_then(|(_, rest)| rest.split_once("```"));
    code.map(|(code, _)| code)
        .context("the document has no ```rust example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_what_its_json_gives() {
        check().expect("tables as their JSON");
    }

    #[test]
    fn a_wearables_figures_are_those_of_the_report() {
        let cost = |mean: u64| serde_json::json!({"mean": mean, "largest": 10 * mean});
        let report = serde_json::json!({
            "wearable": {"state_bytes": 9000, "stack_bytes": 7000},
            "parts": {
                "slice": cost(1),
                "wearable-1000-push": cost(2), "wearable-1000-missing": cost(3), "wearable-1000-work": cost(4),
                "wearable-1000-clock": cost(8), "wearable-125-clock": cost(9),
                "wearable-125-push": cost(5), "wearable-125-missing": cost(6), "wearable-125-work": cost(7),
            },
        });
        let expected = serde_json::json!({
            "state_bytes": 9000,
            "stack_bytes": 7000,
            "rates": [
                {"hz": 125, "sample": 5, "push": 50, "missing": 60, "clock": 90, "work": 70},
                {"hz": 1000, "sample": 2, "push": 20, "missing": 30, "clock": 80, "work": 40},
            ],
        });
        assert_eq!(wearable_figures(&report).expect("figures"), expected);
    }

    #[test]
    fn a_figure_that_was_changed_by_hand_is_found() {
        let document = "# T\n<!-- table: a -->\n| 1 |\n<!-- end -->\nafter\n";
        let same = renew(document, |_| Ok("| 1 |\n".to_owned())).expect("marks");
        assert_eq!(same, (document.to_owned(), 1));
        let (other, _) = renew(document, |_| Ok("| 2 |\n".to_owned())).expect("marks");
        assert!(other != document && other.contains("| 2 |") && other.ends_with("after\n"));
        assert!(renew("<!-- table: a -->\n| 1 |\n", |_| Ok(String::new())).is_err());
        assert!(renew(document, |name| bail!("no {name}")).is_err());
    }

    /// Blind figures are of one model. Retraining makes them another's.
    #[test]
    fn blind_figures_are_the_shipped_models_or_said_to_be_anothers() {
        let sources = Sources::read().expect("JSON");
        for (key, file) in [
            ("model_sha256", "models/beat/model.hlm"),
            ("rhythm_sha256", "models/beat/rhythm.hlr"),
        ] {
            let bytes = fs::read(root().join(file)).expect(file);
            let digest = sha2::Sha256::digest(&bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            if sources.blind[key].as_str() == Some(hex.as_str()) {
                continue;
            }
            for document in ["README.md", "docs/blind.md", "models/beat/card.md"] {
                let text = fs::read_to_string(root().join(document)).expect(document);
                assert!(
                    text.contains("blind figures are of an earlier model"),
                    "{file} changed: say in {document} that the blind figures are of an earlier model"
                );
            }
        }
    }

    #[test]
    fn readme_keeps_to_its_screen() {
        let readme = fs::read_to_string(root().join("README.md")).expect("README");
        assert!(readme.lines().count() <= 120, "{}", readme.lines().count());
        for command in [
            "cargo run --release -- classify models/demo/demo",
            "cargo xtask test",
        ] {
            assert!(readme.contains(command), "README lacks `{command}`");
        }
        assert!(example(&readme).is_ok());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(92_844), "92,844");
        assert_eq!(thousands(1_789_999), "1,789,999");
    }

    use sha2::Digest as _;
}
