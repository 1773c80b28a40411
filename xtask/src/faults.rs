//! `cargo xtask faults`: what happens to a machine while Heartlens works, in full: every command killed twenty times, ten thousand
//! records in one folder, two weeks of signal. `cargo test` does the same with three kills and three hundred records.
//!
//! Two weeks are a synthetic day, over and over. While they are classified, the system is asked how much memory that takes and how far the
//! signal has been read.

use crate::environment::Environment;
use crate::python::{self, Tools};
use crate::step::{self, cargo, root};
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the figures are, and the picture of them beside it.
const FILE: &str = "docs/faults.json";
const PICTURE: &str = "memory.svg";

/// Samples a second of the two leads.
const RATE_HZ: u32 = 128;
/// Bytes of a frame: two leads of 12 bits.
const FRAME_BYTES: u64 = 3;
/// What a beat takes while the signal is read: the beat as the library gives it, and where its R peak is.
const BEAT_BYTES: f64 = 76.0;
/// Memory beside the beats may rise by so much from the first hour to the last, in MB.
const FLAT_MB: f64 = 8.0;
/// What the end may take for each beat besides: variability, episodes and files are made from all beats.
const END_BEAT_BYTES: f64 = 80.0;
/// Samples of memory that are kept.
const KEPT: usize = 120;

/// What `cargo xtask faults` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask faults --json docs/faults.json
  cargo xtask faults --kills 3 --records 1000 --days 1")]
pub(crate) struct Args {
    /// How often each command is killed.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u32,
    /// Records in one folder.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    records: u32,
    /// Days of the long record; 0 leaves it out.
    #[arg(long, value_name = "D", default_value_t = 14)]
    days: u32,
    /// Where the kills fall [default: by the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only the long record.
    #[arg(long)]
    memory_only: bool,
    /// Writes the figures as JSON, and the picture of memory beside it; `-` is stdout, without the picture.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Report {
    seed: u64,
    kills: u32,
    faults: Vec<Fault>,
    memory: Option<Memory>,
}

/// A fault, and what held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fault {
    fault: String,
    /// By the clock.
    seconds: Option<f64>,
    held: String,
}

/// Memory of the command over a long record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Memory {
    hours: f64,
    leads: u32,
    rate_hz: u32,
    beats: u64,
    seconds: f64,
    /// The most at any time, in MB.
    peak_mb: f64,
    /// Hours of signal read, and MB in memory.
    samples: Vec<(f64, f64)>,
}

/// Runs all of it. The first fault that does not hold is an error.
pub(crate) fn run(args: &Args) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = args.seed.unwrap_or(now.subsec_nanos().into());
    println!("seed {seed}");
    let mut report = Report {
        seed,
        kills: args.kills,
        faults: Vec::new(),
        memory: None,
    };
    if !args.memory_only {
        crates(args, &mut report)?;
        cluster(&mut report)?;
    }
    if args.days > 0 {
        let memory = memory(args.days)?;
        let fault = Fault {
            fault: format!("{} days of two leads", args.days),
            seconds: Some(memory.seconds),
            held: memory.said(),
        };
        fault.print();
        memory.check()?;
        report.faults.push(fault);
        report.memory = Some(memory);
    }
    let text = serde_json::to_string_pretty(&report)? + "\n";
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => print!("{text}"),
        Some(path) => {
            fs::write(path, text).with_context(|| path.display().to_string())?;
            if let Some(memory) = &report.memory {
                let picture = path.with_file_name(PICTURE);
                fs::write(&picture, memory.svg()).with_context(|| picture.display().to_string())?;
            }
        }
        None => {}
    }
    Ok(())
}

/// The crates' tests of faults: those of the command, then those of slots and of trainings.
fn crates(args: &Args, report: &mut Report) -> Result<()> {
    let environment = Environment::here();
    if environment.is_none() {
        println!(
            "skipped: kills of fit and cross-validate: no libtorch; `cargo xtask setup` gets it"
        );
    }
    let targets: [(&[&str], &str); 2] = [
        (&["--test", "verbs"], "faults::"),
        (&["--test", "faults", "--test", "slots"], ""),
    ];
    for (targets, filter) in targets {
        let mut tests = cargo(".");
        tests.arg("test");
        match &environment {
            Some(environment) => environment.apply(&mut tests).arg("--workspace"),
            None => tests.args(["-p", "heartlens", "-p", "heartlens-core"]),
        };
        tests.args(targets);
        tests.args(["--", "--nocapture", "--test-threads", "1", filter]);
        tests.env("HEARTLENS_FAULT_RECORDS", args.records.to_string());
        listen(&mut tests, report)?;
    }
    Ok(())
}

/// Jobs over Ray and Spark.
fn cluster(report: &mut Report) -> Result<()> {
    let Some(tools) = Tools::find() else {
        println!(
            "skipped: kills of jobs over Ray and Spark: no Python for the wheel; `cargo xtask setup` gets it"
        );
        return Ok(());
    };
    let mut tests = python::faults(&tools, Environment::here().as_ref())?;
    listen(&mut tests, report)
}

/// Runs tests and takes in the lines that say what held.
fn listen(tests: &mut Command, report: &mut Report) -> Result<()> {
    tests.env("HEARTLENS_FAULT_KILLS", report.kills.to_string());
    tests.env("HEARTLENS_FAULT_SEED", report.seed.to_string());
    let line = step::shown(tests);
    let mut child = tests
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().context("stdout was piped")?;
    let mut said = String::new();
    for bytes in BufReader::new(stdout).split(b'\n') {
        let text = String::from_utf8_lossy(&bytes?).into_owned();
        if let Some(fault) = text
            .split_once("held: ")
            .and_then(|(_, held)| Fault::of(held))
        {
            fault.print();
            report.faults.push(fault);
        } else if let Some((_, why)) = text.split_once("skipped: ") {
            println!("skipped: {why}");
        }
        said += &text;
        said.push('\n');
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{line}` ended with {status}\n{said}");
    Ok(())
}

impl Fault {
    /// From `FAULT: SECONDS s: WHAT HELD`, or without the seconds.
    fn of(held: &str) -> Option<Self> {
        let (fault, rest) = held.split_once(": ")?;
        let timed = rest.split_once(" s: ");
        let timed = timed.and_then(|(seconds, held)| Some((seconds.parse().ok()?, held)));
        let (seconds, held) = timed.map_or((None, rest), |(s, held)| (Some(s), held));
        Some(Self {
            fault: fault.to_owned(),
            seconds,
            held: held.to_owned(),
        })
    }

    fn print(&self) {
        let seconds = self
            .seconds
            .map_or_else(String::new, |s| format!("{s:.1} s, "));
        println!("{}: {seconds}{}", self.fault, self.held);
    }
}

/// Classifies a record of so many days, and watches.
fn memory(days: u32) -> Result<Memory> {
    ensure!(
        cfg!(target_os = "linux"),
        "the memory of a process is read as Linux tells it"
    );
    // With the trainer, so that nothing is compiled with other features.
    let mut build = cargo(".");
    build.args(["build", "--release", "--quiet", "-p", "heartlens"]);
    if let Some(environment) = Environment::here() {
        environment
            .apply(&mut build)
            .args(["-p", "heartlens-trainer"]);
    }
    step::run(&mut build)?;
    let folder = tempfile::tempdir()?;
    let hours = f64::from(24 * days);
    let heartlens = root().join("target/release/heartlens");
    make(&heartlens, &folder.path().join("long"), days)?;
    let started = Instant::now();
    let mut child = Command::new(&heartlens)
        .args(["classify", "long", "--lead", "both", "--csv", "long.csv"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let (mut samples, mut peak_mb, mut read) = (Vec::new(), 0.0_f64, 0.0_f64);
    while child.try_wait()?.is_none() {
        if let Some(now_mb) = status_mb(&process, "VmRSS:") {
            let frames = position(&process, "long.dat").map_or(0.0, |at| (at / FRAME_BYTES) as f64);
            read = read.max(frames / (3600.0 * f64::from(RATE_HZ)));
            samples.push((read, now_mb));
            peak_mb = peak_mb.max(status_mb(&process, "VmHWM:").unwrap_or(now_mb));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("classify of {days} days ended with {}", output.status);
    }
    let csv = BufReader::new(File::open(folder.path().join("long.csv"))?);
    let beats = csv.lines().count().saturating_sub(1) as u64;
    Ok(Memory {
        hours,
        leads: 2,
        rate_hz: RATE_HZ,
        beats,
        seconds: started.elapsed().as_secs_f64(),
        peak_mb,
        samples: thinned(&samples),
    })
}

/// Writes the record: a synthetic day, over and over.
fn make(heartlens: &Path, stem: &Path, days: u32) -> Result<()> {
    let day = stem.with_file_name("day");
    step::output(
        Command::new(heartlens)
            .args(["synth", "--minutes", "1440", "--noise", "20", "--seed", "1"])
            .args(["--rate", &RATE_HZ.to_string(), "--out"])
            .arg(&day),
    )?;
    let samples = fs::read(day.with_extension("dat"))?;
    let mut data = File::create(stem.with_extension("dat"))?;
    for _ in 0..days {
        data.write_all(&samples)?;
    }
    // The signals as the day has them, less their first values and checksums.
    let header = fs::read_to_string(day.with_extension("hea"))?;
    let mut signals = String::new();
    for line in header.lines().skip(1).filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, format, gain, bits, zero, .., lead] = &fields[..] else {
            bail!("a signal without its fields: {line}");
        };
        writeln!(
            signals,
            "long.dat {format} {gain} {bits} {zero} 0 0 0 {lead}"
        )?;
    }
    let frames = samples.len() as u64 / FRAME_BYTES * u64::from(days);
    let header = format!("long 2 {RATE_HZ} {frames}\n{signals}# SYNTHETIC\n");
    Ok(fs::write(stem.with_extension("hea"), header)?)
}

/// A figure of a process's `status`, in MB.
fn status_mb(process: &Path, key: &str) -> Option<f64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

/// How far a process has read a file.
fn position(process: &Path, name: &str) -> Option<u64> {
    let open = fs::read_dir(process.join("fd")).ok()?.flatten();
    let of_file = open.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.ends_with(name)));
    let places = of_file.filter_map(|fd| {
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).ok()?;
        info.lines().next()?.split_whitespace().nth(1)?.parse().ok()
    });
    places.max()
}

/// A share of the samples, the last one of each stretch.
fn thinned(samples: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let rounded =
        |&(hours, mb): &(f64, f64)| ((hours * 100.0).round() / 100.0, (mb * 10.0).round() / 10.0);
    let chunks = samples.chunks(samples.len().div_ceil(KEPT).max(1));
    chunks
        .filter_map(|chunk| chunk.last().map(rounded))
        .collect()
}

impl Memory {
    /// Beats of an hour, in MB.
    fn beats_mb(&self, hours: f64) -> f64 {
        self.beats as f64 * hours / self.hours * BEAT_BYTES / 1e6
    }

    /// What memory rises by beside the beats, from the first hour to the last that is read.
    fn rise_mb(&self) -> Option<f64> {
        let beside = |(hours, mb): &(f64, f64)| mb - self.beats_mb(*hours);
        let read = self
            .samples
            .iter()
            .filter(|(hours, _)| *hours >= 1.0 && *hours < 0.99 * self.hours);
        let first = read.clone().next().map(beside)?;
        let most = read.map(beside).fold(f64::NEG_INFINITY, f64::max);
        Some(most - first)
    }

    fn limit_mb(&self) -> f64 {
        let first = self
            .samples
            .iter()
            .find(|(hours, _)| *hours >= 1.0)
            .map_or(0.0, |(_, mb)| *mb);
        first + self.beats as f64 * (BEAT_BYTES + END_BEAT_BYTES) / 1e6
    }

    fn said(&self) -> String {
        format!(
            "{} beats, {:.0} MB at most; beside {BEAT_BYTES:.0} bytes a beat it rises by {:.1} MB from the first hour to the last (limit {FLAT_MB:.0} MB)",
            self.beats,
            self.peak_mb,
            self.rise_mb().unwrap_or(f64::NAN)
        )
    }

    /// Holds the limits.
    fn check(&self) -> Result<()> {
        let rise = self.rise_mb().context("no memory was seen")?;
        ensure!(
            rise <= FLAT_MB,
            "memory beside the beats rises by {rise:.1} MB, expected at most {FLAT_MB}"
        );
        let limit = self.limit_mb();
        ensure!(
            self.peak_mb <= limit,
            "{:.0} MB at the end, expected at most {limit:.0}",
            self.peak_mb
        );
        Ok(())
    }

    /// Memory against hours read, and what the beats take of it.
    fn svg(&self) -> String {
        const WIDTH: f64 = 720.0;
        const HEIGHT: f64 = 260.0;
        const LEFT: f64 = 56.0;
        const BOTTOM: f64 = 220.0;
        let top_mb = (self.peak_mb / 50.0).ceil() * 50.0;
        let x = |hours: f64| LEFT + hours / self.hours * (WIDTH - LEFT - 16.0);
        let y = |mb: f64| BOTTOM - mb / top_mb * (BOTTOM - 24.0);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>Memory of classify against hours read: {} hours, {} leads, {} Hz</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n",
            self.hours, self.leads, self.rate_hz
        );
        // Writing into a String cannot fail.
        for step in 0..=5 {
            let mb = top_mb * f64::from(step) / 5.0;
            let (at, label) = (y(mb), y(mb) + 4.0);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{label:.1}\" text-anchor=\"end\">{mb:.0}</text>",
                WIDTH - 16.0,
                LEFT - 6.0
            );
        }
        for step in 0..=7 {
            let hours = self.hours * f64::from(step) / 7.0;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{hours:.0}</text>",
                x(hours),
                BOTTOM + 16.0
            );
        }
        let line = |points: &mut dyn Iterator<Item = (f64, f64)>| {
            let points: Vec<String> = points
                .map(|(h, mb)| format!("{:.1},{:.1}", x(h), y(mb)))
                .collect();
            points.join(" ")
        };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">hours read</text>",
            x(self.hours / 2.0),
            BOTTOM + 34.0
        );
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"14\">MB in memory; dashed: without {BEAT_BYTES:.0} bytes for each beat found so far</text>"
        );
        let all = line(&mut self.samples.iter().copied());
        let beside = line(
            &mut self
                .samples
                .iter()
                .map(|(h, mb)| (*h, mb - self.beats_mb(*h))),
        );
        let _ = writeln!(
            svg,
            "<polyline points=\"{all}\" fill=\"none\" stroke=\"#1f5f8b\" stroke-width=\"1.5\"/>"
        );
        let _ = writeln!(
            svg,
            "<polyline points=\"{beside}\" fill=\"none\" stroke=\"#b3541e\" stroke-width=\"1.5\" stroke-dasharray=\"5 3\"/>"
        );
        svg.push_str("</svg>\n");
        svg
    }
}

/// The table of `docs/performance.md`, from the JSON that [`run`] wrote.
pub(crate) fn table() -> Result<String> {
    let report = Report::read()?;
    let mut table = String::from("| fault | seconds | what held |\n|---|---:|---|\n");
    for Fault {
        fault,
        seconds,
        held,
    } in &report.faults
    {
        let seconds = seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
        writeln!(table, "| {fault} | {seconds} | {held} |")?;
    }
    Ok(table)
}

impl Report {
    fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join(FILE)).context(FILE)?;
        serde_json::from_str(&text).context(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_that_of_the_figures_which_hold() {
        let memory = Report::read().expect(FILE).memory.expect("two weeks");
        memory.check().expect("its limits");
        assert_eq!(memory.hours, 336.0);
        let picture = fs::read_to_string(root().join(FILE).with_file_name(PICTURE)).expect(PICTURE);
        assert_eq!(picture, memory.svg());
    }

    #[test]
    fn a_rise_is_seen() {
        let samples = |rise: f64| {
            (0..100)
                .map(|h| (f64::from(h), 40.0 + rise * f64::from(h)))
                .collect()
        };
        let memory = |rise| Memory {
            hours: 100.0,
            leads: 2,
            rate_hz: RATE_HZ,
            beats: 400_000,
            seconds: 1.0,
            peak_mb: 80.0,
            samples: samples(rise),
        };
        assert!(memory(0.3).check().is_ok());
        assert!(memory(0.4).check().is_err());
    }

    #[test]
    fn lines_of_tests_become_faults() {
        let timed = Fault::of("kill -9 of fetch: 1.0 s: 3 kills: all whole").expect("a fault");
        assert_eq!(
            (timed.seconds, &*timed.held),
            (Some(1.0), "3 kills: all whole")
        );
        let untimed = Fault::of("power cut: 9 cuts").expect("a fault");
        assert_eq!((untimed.seconds, &*untimed.held), (None, "9 cuts"));
    }
}
