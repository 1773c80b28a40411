//! `cargo xtask bench --scale`: what a day of signal takes of one core and of the network, for `docs/scale.md`.
//!
//! Time is the processor's, not the clock's, so that another process beside it adds little.

use crate::step::{self, cargo};
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Where the figures of `docs/scale.md` are.
const FILE: &str = "docs/scale.json";

/// Hours of the record: two leads.
const HOURS: u32 = 24;
/// Samples a second of each lead.
const RATE_HZ: u32 = 250;
/// Times that it is classified; the fastest counts.
const RUNS: usize = 3;

/// What came of it. Bytes are those of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The processor.
    pub(crate) processor: String,
    pub(crate) hours: u32,
    pub(crate) leads: u32,
    pub(crate) rate_hz: u32,
    /// Header and signal, format 212.
    pub(crate) bytes_in: u64,
    pub(crate) beats: u64,
    /// Of one thread, from the process's start to its end, the tables written.
    pub(crate) cpu_s: f64,
    /// By the clock.
    pub(crate) seconds: f64,
    pub(crate) bytes_beats: u64,
    pub(crate) bytes_records: u64,
}

/// Measures, prints, and writes the JSON.
pub(crate) fn run(json: Option<&Path>) -> Result<()> {
    step::run(cargo(".").args(["build", "--release", "--quiet", "-p", "heartlens"]))?;
    let heartlens = step::root().join("target/release/heartlens");
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("day");
    step::output(
        Command::new(&heartlens)
            .args(["synth", "--noise", "18", "--seed", "1", "--rate"])
            .arg(RATE_HZ.to_string())
            .args(["--minutes", &(60 * HOURS).to_string()])
            .arg("--out")
            .arg(&record),
    )?;
    let mut fastest: Option<Report> = None;
    for i in 0..RUNS {
        let out = folder.path().join(i.to_string());
        let (before, started) = (children_s()?, Instant::now());
        let said = step::output(
            Command::new(&heartlens)
                .arg("classify")
                .arg(&record)
                .args(["--threads", "1", "--tables"])
                .arg(&out),
        )?;
        let (seconds, cpu_s) = (started.elapsed().as_secs_f64(), children_s()? - before);
        let report = Report {
            processor: processor(),
            hours: HOURS,
            leads: 2,
            rate_hz: RATE_HZ,
            bytes_in: bytes(&record.with_extension("dat"))? + bytes(&record.with_extension("hea"))?,
            beats: beats(&said)?,
            cpu_s,
            seconds,
            bytes_beats: written(&out.join("beats"))?,
            bytes_records: written(&out.join("records"))?,
        };
        if fastest.as_ref().is_none_or(|other| cpu_s < other.cpu_s) {
            fastest = Some(report);
        }
    }
    let report = fastest.context("no run")?;
    let text = serde_json::to_string_pretty(&report)? + "\n";
    match json {
        Some(path) if path == Path::new("-") => print!("{text}"),
        Some(path) => fs::write(path, text).with_context(|| path.display().to_string())?,
        None => {}
    }
    let table = report.table();
    match json == Some(Path::new("-")) {
        true => eprint!("{table}"),
        false => print!("{table}"),
    }
    Ok(())
}

/// The table of `docs/scale.md`, from the JSON that [`run`] wrote.
pub(crate) fn table() -> Result<String> {
    let text = fs::read_to_string(step::root().join(FILE)).context(FILE)?;
    let report: Report = serde_json::from_str(&text).context(FILE)?;
    Ok(report.table())
}

impl Report {
    /// What a million such records take, in Markdown.
    pub(crate) fn table(&self) -> String {
        const RECORDS: f64 = 1e6;
        let out = (self.bytes_beats + self.bytes_records) as f64;
        let core_hours = RECORDS * self.cpu_s / 3600.0;
        let in_s = self.bytes_in as f64 / self.cpu_s;
        let link = |gigabits: f64| gigabits * 1e9 / 8.0 / in_s;
        let rows = [
            (
                "beats a second and core",
                format!("{:.0}", self.beats as f64 / self.cpu_s),
            ),
            (
                "seconds of a core for a record",
                format!("{:.2} ({} beats)", self.cpu_s, self.beats),
            ),
            (
                "core-hours for a million records",
                format!("{core_hours:.0}"),
            ),
            ("hours on 100 cores", format!("{:.1}", core_hours / 100.0)),
            (
                "hours on 1,000 cores",
                format!("{:.2}", core_hours / 1000.0),
            ),
            (
                "bytes in: a record, a million",
                format!(
                    "{:.1} MB, {:.1} TB",
                    self.bytes_in as f64 / 1e6,
                    self.bytes_in as f64 * RECORDS / 1e12
                ),
            ),
            (
                "bytes out: a record, a million",
                format!("{:.1} MB, {:.1} TB", out / 1e6, out * RECORDS / 1e12),
            ),
            (
                "bytes out for a beat",
                format!("{:.1}", self.bytes_beats as f64 / self.beats as f64),
            ),
            ("a core reads", format!("{:.1} MB/s", in_s / 1e6)),
            (
                "cores that fill a network of 10 Gbit/s, of 100 Gbit/s",
                format!("{:.0}, {:.0}", link(10.0), link(100.0)),
            ),
        ];
        let lines = rows.map(|(what, figure)| format!("| {what} | {figure} |\n"));
        format!(
            "| {} h, {} leads, {} Hz; {} | figure |\n|---|---:|\n{}",
            self.hours,
            self.leads,
            self.rate_hz,
            self.processor,
            lines.concat()
        )
    }
}

/// Seconds of the processor that this process's children have taken, those that have ended.
pub(crate) fn children_s() -> Result<f64> {
    // Of user code and of the system, in ticks of 10 ms: fields 16 and 17 of proc_pid_stat(5), behind the name in brackets.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").context("measuring needs Linux")?;
    let fields = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("/proc/self/stat")?;
    ensure!(
        ticks.len() == 2,
        "/proc/self/stat: found no times of children"
    );
    Ok(ticks.iter().sum::<u64>() as f64 / TICKS)
}

/// The name of this machine's processor.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find(|line| line.starts_with("model name"));
    named.and_then(|line| line.split_once(": ")).map_or_else(
        || "unknown processor".to_owned(),
        |(_, name)| name.to_owned(),
    )
}

/// The count in `  all beats  N`.
fn beats(said: &str) -> Result<u64> {
    let line = said
        .lines()
        .find(|line| line.trim().starts_with("all beats"));
    match line.and_then(|line| line.split_whitespace().nth(2)) {
        Some(count) => Ok(count.parse()?),
        None => bail!("`heartlens classify` said no count of beats: {said}"),
    }
}

fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)
        .with_context(|| path.display().to_string())?
        .len())
}

/// Bytes of a table's files, but for the one without rows.
fn written(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if !path.ends_with("part-0000000000000000.parquet") {
            sum += bytes(&path)?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_records_by_hand() {
        let report = Report {
            processor: "a processor".to_owned(),
            hours: 24,
            leads: 2,
            rate_hz: 250,
            bytes_in: 90_000_000,
            beats: 108_000,
            cpu_s: 3.6,
            seconds: 4.0,
            bytes_beats: 2_700_000,
            bytes_records: 300_000,
        };
        let table = report.table();
        for row in [
            "| 24 h, 2 leads, 250 Hz; a processor | figure |",
            "| beats a second and core | 30000 |",
            "| core-hours for a million records | 1000 |",
            "| hours on 1,000 cores | 1.00 |",
            "| bytes in: a record, a million | 90.0 MB, 90.0 TB |",
            "| bytes out: a record, a million | 3.0 MB, 3.0 TB |",
            "| bytes out for a beat | 25.0 |",
            "| a core reads | 25.0 MB/s |",
            "10 Gbit/s, of 100 Gbit/s | 50, 500 |",
        ] {
            assert!(table.contains(row), "{row}\n{table}");
        }
    }

    #[test]
    fn the_count_of_beats_is_found() {
        assert_eq!(beats("\n  N normal  5\n  all beats   97\n").ok(), Some(97));
        assert!(beats("").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn children_take_time() {
        let before = children_s().expect("/proc");
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        step::output(&mut busy).expect("sh");
        assert!(children_s().expect("/proc") > before);
    }
}
