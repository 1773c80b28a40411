//! `cargo xtask bench`: the same record through Python's packages and through Heartlens, in one run, and the benchmarks
//! of the crates.
//!
//! Heartlens is timed as a whole command, from its start to the end of its process; Python without its imports, once
//! with all beats in arrays and once beat by beat, which is how Heartlens itself works.

use crate::environment::{Environment, cache};
use crate::python::{self, Profile, Tools};
use crate::scale;
use crate::step::{self, cargo};
use crate::web;
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What the Python pipeline needs besides the packages of the environment.
const PEERS: [&str; 2] = ["wfdb==4.3.1", "sleepecg==0.6.0"];
/// What the wheel is compared with besides.
const WHEEL_PEERS: [&str; 1] = ["neurokit2"];

/// The ways in which the Python pipeline works: all beats at once, and one after another.
const MODES: [&str; 2] = ["arrays", "beats"];

/// Times that each is run; the fastest counts.
const RUNS: usize = 3;

/// What `cargo xtask bench` may be told.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Hours of the record: two leads at 360 Hz, as in `mitdb`.
    #[arg(long, value_name = "H", default_value_t = 2.0)]
    hours: f64,
    /// What runs the network in Heartlens; its default, where not told.
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// The wheel beside Python's packages, in one process: whole pipelines with all beats in arrays and beat by beat, and
    /// detectors of R peaks. Leaves everything else out.
    #[arg(long, conflicts_with_all = ["runtime", "pipeline_only"])]
    python: bool,
    /// Leave out the benchmarks of the crates.
    #[arg(long)]
    pipeline_only: bool,
    /// Instead of all that, measure what a day of signal takes of a core: `--json docs/scale.json` renews docs/scale.md's figures.
    #[arg(long, conflicts_with_all = ["hours", "python", "runtime", "pipeline_only"])]
    scale: bool,
    /// Instead of all that, time a day of one lead in the browser beside the command, and the viewer's frames over it: `--json
    /// docs/web.json` renews the figures of docs/performance.md.
    #[arg(long, conflicts_with_all = ["hours", "python", "runtime", "pipeline_only", "scale"])]
    web: bool,
    /// Writes the figures as JSON; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Report {
    /// Length of the record, in hours.
    hours: f64,
    /// Heartlens.
    heartlens: Ours,
    /// The Python pipeline in each of [`MODES`], where it could run.
    python: Vec<Python>,
    /// Python's seconds over ours, in each mode.
    ratios: BTreeMap<String, f64>,
    /// What could not run, and what gets it.
    missing: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Ours {
    /// The whole process, in seconds.
    seconds: f64,
    beats: usize,
    runtime: String,
}

/// What the script prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Python {
    mode: String,
    /// Without imports.
    seconds: f64,
    beats: usize,
    stages: BTreeMap<String, f64>,
    versions: BTreeMap<String, String>,
}

/// Runs all of it. A peer that is missing is named, and is no error.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.web {
        return web::speed(args.json.as_deref());
    }
    if args.scale {
        return scale::run(args.json.as_deref());
    }
    step::run(cargo(".").args(["build", "--release", "--quiet", "-p", "heartlens"]))?;
    let heartlens = step::root().join("target/release/heartlens");
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("day");
    step::output(
        Command::new(&heartlens)
            .args(["synth", "--noise", "18", "--seed", "1", "--rate", "360"])
            .args(["--minutes", &(60.0 * args.hours).to_string()])
            .arg("--out")
            .arg(&record),
    )?;
    if args.python {
        return wheel(&record, args.json.as_deref());
    }
    let ours = fastest(RUNS, || ours(&heartlens, &record, args.runtime.as_deref()))?;
    let mut missing = Vec::new();
    let mut theirs = Vec::new();
    match peers(&PEERS, "onnxruntime, scipy, sleepecg, wfdb") {
        Ok(environment) => {
            let out = folder.path().join("python.csv");
            for mode in MODES {
                theirs.push(fastest(RUNS, || python(&environment, &record, &out, mode))?);
            }
        }
        Err(error) => missing.push(format!(
            "the Python pipeline: {error:#}; to get it: cargo xtask setup, with PyPI in reach"
        )),
    }
    let report = Report {
        hours: args.hours,
        ratios: theirs
            .iter()
            .map(|python| (python.mode.clone(), python.seconds / ours.seconds))
            .collect(),
        heartlens: ours,
        python: theirs,
        missing,
    };
    print(args.json.as_deref(), &report)?;
    if !args.pipeline_only {
        benches()?;
    }
    Ok(())
}

/// What `wheel.py` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wheel {
    hours: f64,
    versions: BTreeMap<String, String>,
    pipelines: Vec<Run>,
    detectors: Vec<Run>,
    /// Of each peer, its seconds over those of Heartlens in the same way of working.
    #[serde(default)]
    ratios: BTreeMap<String, f64>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Run {
    name: String,
    seconds: f64,
    beats: usize,
}

/// The wheel beside Python's packages.
fn wheel(record: &Path, json: Option<&Path>) -> Result<()> {
    let packages = [&PEERS[..], &WHEEL_PEERS].concat();
    let environment = peers(&packages, "neurokit2, onnxruntime, scipy, sleepecg, wfdb")?;
    let tools = Tools::find().map_or_else(Tools::make, Ok)?;
    let target = step::root().join("target/python/bench");
    let wheel = python::wheel(&tools, None, Profile::Release, &target.join("wheels"))?;
    let behind = [environment.packages()?];
    let python = python::install(&tools, &wheel, &target.join("venv"), &behind)?;
    let text = step::output(
        Command::new(python)
            .arg(step::root().join("xtask/bench/wheel.py"))
            .arg(record)
            .arg(step::root().join("models/beat/model.onnx")),
    )?;
    let last = text.lines().last().unwrap_or_default();
    let wheel: Wheel =
        serde_json::from_str(last).with_context(|| format!("wheel.py printed {text:?}"))?;
    let wheel = wheel.compared()?;
    let text = serde_json::to_string_pretty(&wheel)? + "\n";
    match json {
        Some(path) if path == Path::new("-") => {
            print!("{text}");
            eprint!("{}", wheel.table());
        }
        Some(path) => {
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
            print!("{}", wheel.table());
        }
        None => print!("{}", wheel.table()),
    }
    Ok(())
}

impl Wheel {
    /// With the ratios of each peer to Heartlens.
    ///
    /// # Errors
    /// When two did not do the same work: beats that differ by more than a tenth. (Some detectors pass over early beats.)
    fn compared(mut self) -> Result<Self> {
        for runs in [&self.pipelines, &self.detectors] {
            for run in runs {
                // `heartlens, arrays` for `..., arrays`, and `heartlens` where there is one way.
                let way = run.name.split_once(", ").map_or("", |(_, way)| way);
                let is_ours =
                    |ours: &&Run| ours.name.starts_with("heartlens") && ours.name.ends_with(way);
                let ours = runs.iter().find(is_ours).context("no run of Heartlens")?;
                ensure!(
                    (ours.beats as f64 / run.beats as f64 - 1.0).abs() < 0.1,
                    "{} beats in Heartlens, {} in {}: that is not the same work",
                    ours.beats,
                    run.beats,
                    run.name
                );
                if run.name != ours.name {
                    self.ratios
                        .insert(run.name.clone(), run.seconds / ours.seconds);
                }
            }
        }
        Ok(self)
    }

    fn table(&self) -> String {
        let mut out = format!(
            "\n{} h at 360 Hz, one lead, one thread, fastest of {RUNS} runs, imports left out\n{:<48}{:>10}{:>10}{:>8}\n",
            self.hours, "", "seconds", "beats", "ratio"
        );
        for (title, runs) in [
            ("From files to classes", &self.pipelines),
            ("R peaks of an array", &self.detectors),
        ] {
            out += &format!("{title}\n");
            for Run {
                name,
                seconds,
                beats,
            } in runs
            {
                let ratio = self.ratios.get(name);
                let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}"));
                out += &format!("  {name:<46}{seconds:>10.3}{beats:>10}{ratio:>8}\n");
            }
        }
        let versions: Vec<_> = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        out + &format!("({})\n", versions.join(", "))
    }
}

/// What takes a known time.
trait Timed {
    fn seconds(&self) -> f64;
}

impl Timed for Ours {
    fn seconds(&self) -> f64 {
        self.seconds
    }
}

impl Timed for Python {
    fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// The fastest of several runs, which is the one that was disturbed least.
fn fastest<T: Timed>(runs: usize, mut run: impl FnMut() -> Result<T>) -> Result<T> {
    let mut best = run()?;
    for _ in 1..runs {
        let next = run()?;
        if next.seconds() < best.seconds() {
            best = next;
        }
    }
    Ok(best)
}

fn ours(heartlens: &Path, record: &Path, runtime: Option<&str>) -> Result<Ours> {
    let json = record.with_extension("json");
    let mut command = Command::new(heartlens);
    command
        .current_dir(step::root())
        .arg("classify")
        .arg(record)
        .arg("--json")
        .arg(&json)
        // What the peer does not have.
        .args(["--rules", "off"])
        .stdin(Stdio::null());
    if let Some(runtime) = runtime {
        command.args(["--runtime", runtime]);
    }
    let started = Instant::now();
    step::output(&mut command)?;
    let seconds = started.elapsed().as_secs_f64();
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let beats = value["beats"].as_array().context("no beats in the JSON")?;
    let runtime = value["runtime"]
        .as_str()
        .context("no runtime in the JSON")?;
    Ok(Ours {
        seconds,
        beats: beats.len(),
        runtime: runtime.to_owned(),
    })
}

/// The environment with the packages of the pipeline, got where they are missing. What the environment has stays at its
/// version.
fn peers(packages: &[&str], modules: &str) -> Result<Environment> {
    let environment = Environment::find(&cache()?).context("the Python environment is missing")?;
    let import = || {
        let mut python = Command::new("python3");
        environment.apply(&mut python);
        python.args(["-c", &format!("import {modules}")]);
        step::output(&mut python)
    };
    if import().is_ok() {
        return Ok(environment);
    }
    eprintln!(
        "installing {} into the Python environment",
        packages.join(", ")
    );
    let pip = |arguments: &[&str]| {
        let mut pip = Command::new("python3");
        environment.apply(&mut pip);
        pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
            .args(arguments);
        pip
    };
    let versions = step::output(&mut pip(&["freeze"]))?;
    let constraints = tempfile::NamedTempFile::new()?;
    std::fs::write(constraints.path(), versions)?;
    let path = constraints.path().display().to_string();
    let mut arguments = vec!["install", "--quiet", "--constraint", &path];
    arguments.extend(packages);
    step::output(&mut pip(&arguments))?;
    import().context("the packages do not load")?;
    Ok(environment)
}

fn python(environment: &Environment, record: &Path, out: &Path, mode: &str) -> Result<Python> {
    let mut python = Command::new("python3");
    environment.apply(&mut python);
    python
        .arg(step::root().join("xtask/bench/pipeline.py"))
        .arg(record)
        .arg(step::root().join("models/beat/model.onnx"))
        .arg(out)
        .arg(mode);
    let text = step::output(&mut python)?;
    serde_json::from_str(&text).with_context(|| format!("the Python pipeline printed {text:?}"))
}

fn print(json: Option<&Path>, report: &Report) -> Result<()> {
    // Two detectors on one record differ by a few beats; more would mean that they did not do the same work.
    for python in &report.python {
        let (ours, theirs) = (report.heartlens.beats as f64, python.beats as f64);
        ensure!(
            (ours / theirs - 1.0).abs() < 0.05,
            "{ours} beats in Heartlens, {theirs} in Python: that is not the same work"
        );
    }
    let text = serde_json::to_string_pretty(report)? + "\n";
    match json {
        Some(path) if path == Path::new("-") => print!("{text}"),
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string())?,
        None => {}
    }
    let table = report.table();
    if json == Some(Path::new("-")) {
        eprint!("{table}");
    } else {
        print!("{table}");
    }
    Ok(())
}

impl Report {
    fn table(&self) -> String {
        let mut out = format!(
            "\n{} h at 360 Hz, one lead, one thread, fastest of {RUNS} runs\n{:<40}{:>10}{:>10}\n",
            self.hours, "", "seconds", "beats"
        );
        let Ours {
            seconds,
            beats,
            runtime,
        } = &self.heartlens;
        let name = format!("Heartlens, {runtime}, the whole process");
        out += &format!("{name:<40}{seconds:>10.3}{beats:>10}\n");
        for python in &self.python {
            let name = format!("Python, {}, imports left out", python.mode);
            out += &format!("{name:<40}{:>10.3}{:>10}\n", python.seconds, python.beats);
            for (stage, seconds) in &python.stages {
                out += &format!("  {stage:<38}{seconds:>10.3}\n");
            }
        }
        if let Some(python) = self.python.first() {
            let versions: Vec<_> = python
                .versions
                .iter()
                .map(|(name, version)| format!("{name} {version}"))
                .collect();
            out += &format!("({})\n", versions.join(", "));
        }
        for (mode, ratio) in &self.ratios {
            out += &format!("Heartlens is {ratio:.1} times as fast as Python with {mode}\n");
        }
        for missing in &self.missing {
            out += &format!("MISSING {missing}\n");
        }
        out
    }
}

/// The benchmarks of the crates that need no libtorch, each that there is.
fn benches() -> Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(step::root().join("Cargo.toml"))
        .no_deps()
        .exec()?;
    for package in metadata.workspace_default_packages() {
        for bench in package.targets.iter().filter(|target| target.is_bench()) {
            println!("\n==> bench {} of {}", bench.name, package.name);
            let mut command = cargo(".");
            command.args([
                "bench",
                "--quiet",
                "-p",
                package.name.as_str(),
                "--bench",
                &bench.name,
            ]);
            if let Ok(environment) = cache().and_then(|c| Environment::find(&c).context("none")) {
                environment.apply(&mut command);
            }
            if step::run(&mut command).is_err() {
                bail!("bench {} of {} failed", bench.name, package.name);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            hours: 2.0,
            heartlens: Ours {
                seconds: 0.25,
                beats: 8400,
                runtime: "int8".into(),
            },
            python: vec![Python {
                mode: "beats".into(),
                seconds: 3.5,
                beats: 8390,
                stages: BTreeMap::from([("views".into(), 1.0)]),
                versions: BTreeMap::from([("scipy".into(), "1.17.1".into())]),
            }],
            ratios: BTreeMap::from([("beats".into(), 14.0)]),
            missing: vec!["nothing".into()],
        }
    }

    #[test]
    fn the_table_names_what_ran_and_what_is_missing() {
        let table = report().table();
        for part in [
            "Heartlens, int8",
            "8390",
            "scipy 1.17.1",
            "14.0 times as fast as Python with beats",
            "MISSING nothing",
        ] {
            assert!(table.contains(part), "{part} is not in {table}");
        }
    }

    #[test]
    fn runs_that_did_other_work_are_not_compared() {
        let mut other = report();
        other.heartlens.beats = 7000;
        let error = print(Some(Path::new("/dev/null")), &other).expect_err("1400 beats apart");
        assert!(error.to_string().contains("not the same work"));
    }

    #[test]
    fn the_wheel_is_compared_with_the_same_way_of_working() -> Result<()> {
        let run = |name: &str, seconds, beats| Run {
            name: name.to_owned(),
            seconds,
            beats,
        };
        let mut wheel = Wheel {
            hours: 2.0,
            versions: BTreeMap::new(),
            pipelines: vec![
                run("heartlens, arrays", 0.5, 100),
                run("heartlens, beat by beat", 1.0, 100),
                run("other, beat by beat", 8.0, 101),
            ],
            detectors: vec![run("heartlens", 0.1, 100), run("other", 0.4, 99)],
            ratios: BTreeMap::new(),
        };
        let compared = wheel.clone().compared()?;
        assert_eq!(compared.ratios["other, beat by beat"], 8.0);
        assert_eq!(compared.ratios["other"], 4.0);
        assert!(compared.table().contains("other, beat by beat"));
        wheel.detectors[1].beats = 50;
        assert!(wheel.compared().is_err());
        Ok(())
    }

    #[test]
    fn the_fastest_run_counts() {
        let mut times = [0.3, 0.1, 0.2].into_iter();
        let best = fastest(3, || {
            Ok(Ours {
                seconds: times.next().context("three runs")?,
                ..report().heartlens
            })
        });
        assert_eq!(best.expect("three runs").seconds, 0.1);
    }
}
