//! `cargo xtask qemu`: the firmware in QEMU, held against this machine.
//!
//! The image `views` and the example `on_host` of `firmware` are the same code; each prints one line a beat with the
//! checksums of its views. Here the lines are compared, and the instructions that the image counted are reported. So
//! are those of the integer kernels, which the image `kernels` counts.

use crate::kernels::Kernels;
use crate::step::{cargo, output};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How far the instruction counter may be off on its loop of known length: what loads the loop's counter.
const COUNTER_SLACK: u64 = 4;

/// What `cargo xtask qemu` may be told.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Writes the report as JSON; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of one run.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    board: &'static str,
    beats: usize,
    samples: u64,
    /// Whether filtered signal and all views of all beats have the same bits as on this machine.
    identical_to_host: bool,
    instructions: Instructions,
    /// What the instructions go to.
    parts: BTreeMap<String, Cost>,
    /// One object a beat: its position, whether it is readable, and each view's checksum in hexadecimal.
    checksums: Vec<BTreeMap<String, String>>,
    kernels: Kernels,
}

/// Means, rounded up.
#[derive(Debug, PartialEq, Serialize)]
struct Instructions {
    /// From a converter's count through filter, quality and detector.
    per_sample: u64,
    /// From the sample that completes a beat to its four views.
    views_per_beat: u64,
}

/// The instructions of one part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Cost {
    mean: u64,
    largest: u64,
}

/// `cargo xtask qemu`. An error where the two machines differ.
pub(crate) fn run(args: &Args) -> Result<()> {
    let device = output(cargo("firmware").args(["run", "--release", "--bin", "views"]))?;
    // From the root, where firmware's default target does not apply.
    let host = output(
        cargo(".")
            .args(["run", "--release", "--example", "on_host"])
            .args(["--manifest-path", "firmware/Cargo.toml"]),
    )?;
    let kernels = output(cargo("firmware").args(["run", "--release", "--bin", "kernels"]))?;
    let report = Report::of(&device, &host, &kernels)?;
    match &args.json {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Some(path) => std::fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print!("{}", report.table()),
    }
    if !report.identical_to_host {
        bail!("{}", difference(&device, &host));
    }
    Ok(())
}

/// One line of the log: its first word, and `name=value` for all others.
pub(crate) struct Line<'a> {
    pub(crate) kind: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let fields = words
            .map(|word| word.split_once('='))
            .collect::<Option<_>>()?;
        Some(Self { kind, fields })
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

/// The lines that both machines must agree on.
fn results(log: &str) -> impl Iterator<Item = &str> {
    log.lines()
        .filter(|line| line.starts_with("beat ") || line.starts_with("signal "))
}

impl Report {
    fn of(device: &str, host: &str, kernels: &str) -> Result<Self> {
        let one = |kind: &str| {
            lines(device)
                .find(|line| line.kind == kind)
                .with_context(|| format!("the firmware logged no `{kind}` line"))
        };
        let known = one("loop")?;
        let (expected, counted) = (known.number("expected")?, known.number("counted")?);
        ensure!(
            (expected..=expected + COUNTER_SLACK).contains(&counted),
            "a loop of {expected} instructions was counted as {counted}: QEMU's instruction counter is off"
        );
        let samples = one("signal")?.number("samples")?;
        let beats: Vec<_> = lines(device).filter(|line| line.kind == "beat").collect();
        ensure!(!beats.is_empty() && samples > 0, "the firmware saw no beat");

        let mut parts = BTreeMap::new();
        for line in lines(device).filter(|line| line.kind == "cost") {
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
        let mean = |name: &str| {
            parts
                .get(name)
                .map(|cost: &Cost| cost.mean)
                .with_context(|| format!("the firmware did not measure {name}"))
        };
        let instructions = Instructions {
            per_sample: mean("filter")? + mean("quality")? + mean("detector")?,
            views_per_beat: mean("beat")? + mean("views")?,
        };
        let checksums = beats.iter().map(|beat| {
            let fields = beat.fields.iter();
            fields
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect()
        });
        Ok(Self {
            board: "netduinoplus2",
            beats: beats.len(),
            samples,
            identical_to_host: results(device).eq(results(host)),
            instructions,
            parts,
            checksums: checksums.collect(),
            kernels: Kernels::of(kernels)?,
        })
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{} in QEMU: {} samples, {} beats, views {} this machine's\n{:<14}{:>12}{:>12}\n",
            self.board,
            self.samples,
            self.beats,
            if self.identical_to_host {
                "identical to"
            } else {
                "DIFFERENT from"
            },
            "instructions",
            "mean",
            "largest",
        );
        for (name, cost) in &self.parts {
            table.push_str(&format!(
                "{name:<14}{:>12}{:>12}\n",
                cost.mean, cost.largest
            ));
        }
        table.push_str(&format!(
            "per sample {}, views per beat {}\n",
            self.instructions.per_sample, self.instructions.views_per_beat
        ));
        table.push_str(&self.kernels.table());
        table
    }
}

/// Names the first line in which the machines differ.
fn difference(device: &str, host: &str) -> String {
    let (mut device, mut host) = (results(device), results(host));
    loop {
        match (device.next(), host.next()) {
            (Some(d), Some(h)) if d == h => {}
            (None, None) => return "the machines agree".into(),
            (d, h) => {
                return format!(
                    "the firmware differs from this machine\n  firmware:     {}\n  this machine: {}",
                    d.unwrap_or("nothing more"),
                    h.unwrap_or("nothing more")
                );
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

    const KERNELS: &str = "\
equal operator=dense cases=1 values=9 spread=9 mismatches=0
cost name=dense macs=10 instructions=15 portable=30
";

    fn device() -> String {
        format!(
            "loop expected=2000 counted=2001\n{HOST}\
             cost part=filter count=200 total=8001 largest=50\n\
             cost part=detector count=200 total=20000 largest=5000\n\
             cost part=quality count=200 total=400 largest=2\n\
             cost part=beat count=2 total=1001 largest=600\n\
             cost part=views count=2 total=3000 largest=1500\n"
        )
    }

    #[test]
    fn a_run_is_summed_up() {
        let report = Report::of(&device(), HOST, KERNELS).expect("a whole log");
        assert!(report.identical_to_host);
        assert_eq!((report.beats, report.samples), (2, 200));
        assert_eq!(
            report.instructions,
            Instructions {
                per_sample: 143,
                views_per_beat: 2001
            }
        );
        assert_eq!(
            report.parts["beat"],
            Cost {
                mean: 501,
                largest: 600
            }
        );
        assert_eq!(report.checksums[1]["spectrogram"], "c2");
        assert!(report.table().contains("identical to this machine's"));
    }

    #[test]
    fn every_difference_is_found_and_named() {
        let same = device();
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
            let report = Report::of(&same, &host, KERNELS).expect("a whole log");
            assert!(!report.identical_to_host, "{from}");
            assert!(
                difference(&same, &host).contains("firmware differs"),
                "{from}"
            );
        }
        assert!(difference(&same, "").contains("nothing more"));
    }

    #[test]
    fn a_log_that_cannot_be_trusted_is_refused() {
        for (from, to) in [
            ("counted=2001", "counted=1000"),
            ("counted=2001", "counted=many"),
            ("signal", "noise"),
            ("cost part=beat count=2 total=1001 largest=600\n", ""),
            ("count=2 total=3000", "count=0 total=0"),
            ("beat", "bead"),
        ] {
            let log = device().replace(from, to);
            assert!(Report::of(&log, HOST, KERNELS).is_err(), "{from} -> {to}");
        }
        assert!(Report::of("", HOST, KERNELS).is_err());
    }
}
