//! `cargo xtask qemu`: the firmware in QEMU, held against this machine.
//!
//! Two images have a twin on this machine, an example of `firmware` of the same code: `replay` classifies a record beat
//! by beat, `views` computes the views of the demo record. Each prints one line a beat; here the lines are compared, and
//! the instructions that the images counted are reported. So are those of the integer kernels, which the image `kernels`
//! counts, and of each call of a wearable at each of its rates, which the image `wearable` does. `strips` is a wearable with the strip
//! network, and has a twin too.

use crate::cores;
use crate::costs::Table;
use crate::kernels::Kernels;
use crate::replay::{self, Layer, Played};
use crate::step::{cargo, output};
use crate::strips::{self, Strips};
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How far the instruction counter may be off on its loop of known length: what loads the loop's counter.
const COUNTER_SLACK: u64 = 4;

/// What `cargo xtask qemu` may be told.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:
  cargo xtask qemu --record models/demo/demo --json -")]
pub(crate) struct Args {
    /// Plays this WFDB record instead of the demo in flash; may be given several times.
    #[arg(long, value_name = "R")]
    record: Vec<PathBuf>,
    /// Plays every record of `mitdb` and `svdb` in the folder that HEARTLENS_DATA names.
    #[arg(long)]
    all: bool,
    /// Plays the records given through a wearable with the strip network as well, which takes as long again. The demo always is.
    #[arg(long)]
    strips: bool,
    /// Plays the demo record on other cores than the boards', and compares its beats alone.
    #[arg(long, conflicts_with_all = ["record", "all", "lead"])]
    cores: bool,
    /// The lead to play, by name or by its place from 0.
    #[arg(long, value_name = "NAME|INDEX", default_value = "0")]
    lead: String,
    /// Writes the report as JSON; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Args {
    /// The demo record, with the report written to `file`.
    pub(crate) fn json(file: &Path) -> Self {
        Self {
            json: Some(file.to_owned()),
            ..Self::default()
        }
    }
}

/// What came of one run.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    board: &'static str,
    beats: usize,
    samples: u64,
    hours: f64,
    /// Whether every byte of every beat is the same as on this machine.
    identical_to_host: bool,
    instructions: Instructions,
    /// What the instructions go to.
    parts: BTreeMap<String, Cost>,
    /// What those of the network go to.
    layers: Vec<Layer>,
    /// The deepest stack of the image `replay`, in bytes.
    stack_bytes: u64,
    records: Vec<replay::Record>,
    #[serde(flatten)]
    demo: Option<Demo>,
}

/// What is compared and measured on the demo record alone.
#[derive(Debug, PartialEq, Serialize)]
struct Demo {
    /// One object a beat: its position, whether it is readable, and each view's checksum in hexadecimal.
    checksums: Vec<BTreeMap<String, String>>,
    kernels: Kernels,
    wearable: Memory,
    strips: Strips,
}

/// What a wearable takes of RAM.
#[derive(Debug, PartialEq, Serialize)]
struct Memory {
    /// Its state, without the network's arena.
    state_bytes: u64,
    /// The deepest stack, without the state that lies on it in the image `wearable`.
    stack_bytes: u64,
}

impl Memory {
    fn of(log: &str) -> Result<Self> {
        let memory = only(log, "memory")?;
        let (state_bytes, stack) = (memory.number("state")?, memory.number("stack")?);
        ensure!(
            stack > state_bytes,
            "a stack of {stack} bytes does not hold a wearable of {state_bytes}"
        );
        Ok(Self {
            state_bytes,
            stack_bytes: stack - state_bytes,
        })
    }
}

/// Means, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instructions {
    /// From a sample through filter, quality and detector into the history.
    pub(crate) per_sample: u64,
    /// From the sample that completes a beat to its four views.
    pub(crate) views_per_beat: u64,
    /// From the views to the logits.
    pub(crate) model_per_beat: u64,
    /// The rhythm: its network, and from the logits to the class.
    pub(crate) rhythm_per_beat: u64,
}

/// The instructions of one part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) mean: u64,
    pub(crate) largest: u64,
}

/// `cargo xtask qemu`. An error where the two machines differ.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.cores {
        return cores::run(args.json.as_deref());
    }
    let mut records = args.record.clone();
    if args.all {
        records.extend(replay::all_records()?);
    }
    let played = match &records[..] {
        [] => vec![replay::demo()?],
        records => replay::records(records, &args.lead, args.strips)?,
    };
    let (demo, difference) = match &records[..] {
        [] => demo_views()?,
        _ => (None, None),
    };
    let report = Report::of(&played, demo, difference.is_none())?;
    match &args.json {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Some(path) => std::fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print!("{}", report.table()),
    }
    let differences = played
        .iter()
        .filter_map(|played| played.difference.as_ref());
    if let Some(difference) = differences.chain(&difference).next() {
        bail!("{difference}");
    }
    Ok(())
}

/// What the demo record's views and the kernels cost.
type DemoCosts = (Demo, BTreeMap<String, Cost>);

/// The views of the demo record and the kernels: the parts of the report, and where the machines differ.
fn demo_views() -> Result<(Option<DemoCosts>, Option<String>)> {
    let device = output(cargo("firmware").args(["run", "--release", "--bin", "views"]))?;
    // From the root, where firmware's default target does not apply.
    let host = output(
        cargo(".")
            .args(["run", "--example", "on_host"])
            .args(["--manifest-path", "firmware/Cargo.toml"]),
    )?;
    let kernels = output(cargo("firmware").args(["run", "--release", "--bin", "kernels"]))?;
    let wearable = output(cargo("firmware").args(["run", "--release", "--bin", "wearable"]))?;
    let (strips, other_strips) = strips::demo()?;
    let demo = Demo {
        checksums: checksums(&device)?,
        kernels: Kernels::of(&kernels)?,
        wearable: Memory::of(&wearable)?,
        strips,
    };
    let mut costs = parts(&device)?;
    costs.extend(parts(&wearable)?);
    Ok((
        Some((demo, costs)),
        difference(&device, &host).or(other_strips),
    ))
}

/// One line of the log: its first word, and `name=value` for all others.
pub(crate) struct Line<'a> {
    pub(crate) kind: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    /// A word without `=` belongs to the value before it, which has spaces.
    fn parse(line: &'a str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut fields: Vec<(&str, &str)> = Vec::new();
        let mut start = 0;
        for word in rest.split(' ').filter(|_| !rest.is_empty()) {
            let end = start + word.len();
            match (word.split_once('='), fields.last_mut()) {
                (Some(field), _) => fields.push(field),
                (None, Some((_, value))) => *value = &rest[start - 1 - value.len()..end],
                (None, None) => return None,
            }
            start = end + 1;
        }
        Some(Self { kind, fields })
    }

    /// All fields.
    pub(crate) fn into_fields(self) -> BTreeMap<String, String> {
        let fields = self.fields.into_iter();
        fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    pub(crate) fn field(&self, name: &str) -> Result<&'a str> {
        let field = self.fields.iter().find(|(n, _)| *n == name);
        field
            .map(|(_, value)| *value)
            .with_context(|| format!("the log's `{}` line has no {name}", self.kind))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let text = self.field(name)?;
        text.parse()
            .with_context(|| format!("the log's `{}` line says {name}={text}", self.kind))
    }
}

pub(crate) fn lines(log: &str) -> impl Iterator<Item = Line<'_>> {
    log.lines().filter_map(Line::parse)
}

/// The lines that both machines must agree on, less what the device alone can count.
fn results(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .filter(|line| {
            let kinds = ["beat ", "signal ", "strip ", "fibrillation "];
            kinds.iter().any(|kind| line.starts_with(kind))
        })
        .map(|line| line.split(" instructions=").next().unwrap_or(line))
}

/// The log's one line of this kind.
pub(crate) fn only<'a>(log: &'a str, kind: &str) -> Result<Line<'a>> {
    lines(log)
        .find(|line| line.kind == kind)
        .with_context(|| format!("the firmware logged no `{kind}` line"))
}

/// The log's `cost` lines. An error where the instruction counter is off, or something was not measured.
pub(crate) fn parts(log: &str) -> Result<BTreeMap<String, Cost>> {
    let known = only(log, "loop")?;
    let (expected, counted) = (known.number("expected")?, known.number("counted")?);
    ensure!(
        (expected..=expected + COUNTER_SLACK).contains(&counted),
        "a loop of {expected} instructions was counted as {counted}: QEMU's instruction counter is off"
    );
    let mut parts = BTreeMap::new();
    for line in lines(log).filter(|line| line.kind == "cost") {
        let name = line.field("part")?.to_owned();
        let total = line.number("total")?;
        let (count, largest) = (line.number("count")?, line.number("largest")?);
        ensure!(
            count > 0 && total > 0,
            "the firmware did not measure {name}"
        );
        let mean = total.div_ceil(count);
        parts.insert(name, Cost { mean, largest });
    }
    Ok(parts)
}

/// The views' checksums, beat by beat.
fn checksums(log: &str) -> Result<Vec<BTreeMap<String, String>>> {
    let samples = only(log, "signal")?.number("samples")?;
    let beats = lines(log).filter(|line| line.kind == "beat");
    let checksums: Vec<BTreeMap<String, String>> = beats.map(Line::into_fields).collect();
    ensure!(
        !checksums.is_empty() && samples > 0,
        "the firmware saw no beat"
    );
    Ok(checksums)
}

impl Report {
    fn of(
        played: &[Played],
        demo: Option<(Demo, BTreeMap<String, Cost>)>,
        views_identical: bool,
    ) -> Result<Self> {
        let sum = replay::Sum::of(played)?;
        let instructions = sum.instructions()?;
        let mut parts = sum.parts.clone();
        let demo = demo.map(|(demo, more)| {
            // The views' parts are finer; what both have is the demo's in either.
            parts.extend(more);
            demo
        });
        Ok(Self {
            board: "netduinoplus2",
            beats: sum.beats,
            samples: sum.samples,
            hours: sum.hours,
            identical_to_host: views_identical
                && played.iter().all(|played| played.difference.is_none()),
            instructions,
            parts,
            layers: sum.layers,
            stack_bytes: sum.stack_bytes,
            records: played.iter().map(|played| played.record.clone()).collect(),
            demo,
        })
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{} in QEMU: {:.2} h of ECG, {} beats, {} this machine's\n{:<24}{:>12}{:>12}\n",
            self.board,
            self.hours,
            self.beats,
            if self.identical_to_host {
                "every byte identical to"
            } else {
                "DIFFERENT from"
            },
            "instructions",
            "mean",
            "largest",
        );
        for (name, cost) in &self.parts {
            table.push_str(&format!(
                "{name:<24}{:>12}{:>12}\n",
                cost.mean, cost.largest
            ));
        }
        table.push_str(&Layer::table(&self.layers));
        table.push_str(&Table::of(&self.instructions).to_string());
        if let Some(demo) = &self.demo {
            table.push_str(&demo.kernels.table());
            let strips = &demo.strips;
            table.push_str(&format!(
                "\nstrip network: {} half minutes, {} instructions each, at most {}; longest slice {}, longest call {}\n",
                strips.verdicts.len(),
                strips.strip.mean,
                strips.strip.largest,
                strips.slice.largest,
                strips.call.largest,
            ));
        }
        table
    }
}

/// The first line in which the machines differ, if any.
pub(crate) fn difference(device: &str, host: &str) -> Option<String> {
    let (mut device, mut host) = (results(device), results(host));
    loop {
        match (device.next(), host.next()) {
            (Some(d), Some(h)) if d == h => {}
            (None, None) => return None,
            (d, h) => {
                return Some(format!(
                    "the firmware differs from this machine\n  firmware:     {}\n  this machine: {}",
                    d.unwrap_or("nothing more"),
                    h.unwrap_or("nothing more")
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
beat r_sample=50 waveform=a1 spectrum=b1 spectrogram=c1 metadata=d1
beat r_sample=155 waveform=a2 spectrum=b2 spectrogram=c2 metadata=d2
signal samples=200 filtered=89
";

    fn device() -> String {
        format!(
            "loop expected=2000 counted=2001\n{HOST}\
             cost part=filter count=200 total=8001 largest=50\n\
             cost part=views count=2 total=3000 largest=1500\n"
        )
    }

    #[test]
    fn costs_are_means_rounded_up() {
        let parts = parts(&device()).expect("a whole log");
        let (mean, largest) = (41, 50);
        assert_eq!(parts["filter"], Cost { mean, largest });
        assert_eq!(parts.len(), 2);
        let checksums = checksums(&device()).expect("a whole log");
        assert_eq!(checksums[1]["spectrogram"], "c2");
    }

    #[test]
    fn values_may_have_spaces() {
        let line = Line::parse("layer index=0 name=my first step op=Conv").expect("a line");
        assert_eq!(line.field("name").expect("a name"), "my first step");
        assert_eq!(line.field("op").expect("an operator"), "Conv");
        assert!(Line::parse("some words of no use").is_none());
    }

    #[test]
    fn every_difference_is_found_and_named() {
        let same = device();
        assert_eq!(difference(&same, HOST), None);
        for (from, to) in [
            ("metadata=d2", "metadata=d3"),
            ("filtered=89", "filtered=8a"),
            ("r_sample=50", "r_sample=51"),
            (
                "beat r_sample=155 waveform=a2 spectrum=b2 spectrogram=c2 metadata=d2\n",
                "",
            ),
        ] {
            let host = HOST.replace(from, to);
            let found = difference(&same, &host).expect("a difference");
            assert!(found.contains("firmware differs"), "{from}");
        }
        let found = difference(&same, "").expect("a difference");
        assert!(found.contains("nothing more"));
    }

    #[test]
    fn what_only_the_device_counts_is_no_difference() {
        let device = "beat r_sample=5 logits=ab instructions=7\n";
        assert_eq!(difference(device, "beat r_sample=5 logits=ab\n"), None);
        assert!(difference(device, "beat r_sample=5 logits=ac\n").is_some());
    }

    #[test]
    fn a_log_that_cannot_be_trusted_is_refused() {
        for (from, to) in [
            ("counted=2001", "counted=1000"),
            ("counted=2001", "counted=many"),
            ("count=2 total=3000", "count=0 total=0"),
        ] {
            let log = device().replace(from, to);
            assert!(parts(&log).is_err(), "{from} -> {to}");
        }
        for (from, to) in [("signal", "noise"), ("beat", "bead")] {
            let log = device().replace(from, to);
            assert!(checksums(&log).is_err(), "{from} -> {to}");
        }
        assert!(parts("").is_err() && checksums("").is_err());
    }
}
