//! The wheel of `bindings/python`: built by maturin, installed where nothing else of the project is, and tested there.

use crate::environment::{self, Environment, site_packages};
use crate::step;
use crate::tally::Tally;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What builds the wheel, judges it, and tests it: the packages that take its tables, and those that check its types, run its
/// notebook, and spread it over a cluster.
const REQUIREMENTS: [&str; 13] = [
    "maturin==1.16.0",
    "auditwheel",
    "abi3audit",
    "numpy",
    "pandas",
    "pyarrow",
    "polars",
    "duckdb",
    "nbclient ipykernel",
    "ray[data] pyspark fsspec",
    "onnxruntime",
    "pytest",
    "mypy",
];

/// The oldest Python that the wheel is for.
const PYTHON_MIN: (u32, u32) = (3, 11);

/// The modules that the requirements bring: that they load is what makes the tools complete.
const PROBE: &str = "import sys, abi3audit, auditwheel, duckdb, fsspec, ipykernel, mypy, nbclient, numpy, onnxruntime, pandas, polars, pyarrow, pyspark, pytest, ray.data
print('%d.%d.%d' % sys.version_info[:3])";

/// A virtual environment with the tools, in the user's cache directory. The wheel is never installed there.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    folder: PathBuf,
    version: String,
}

impl Tools {
    /// The tools of this machine, where they are complete.
    pub(crate) fn find() -> Option<Self> {
        let folder = environment::cache().ok()?.join("python");
        let stamp = fs::read_to_string(folder.join("heartlens.txt")).ok()?;
        let (requirements, version) = stamp.split_once('\n')?;
        let complete =
            requirements == REQUIREMENTS.join(" ") && program(&folder, "python").exists();
        complete.then(|| Self {
            version: version.to_owned(),
            folder,
        })
    }

    /// Gets them.
    pub(crate) fn make() -> Result<Self> {
        let cache = environment::cache()?;
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        // A second run waits for the first and finds its work done.
        let lock = File::create(cache.join("python.lock")).context("no lock")?;
        lock.lock().context("no lock")?;
        if let Some(tools) = Self::find() {
            return Ok(tools);
        }
        let folder = cache.join("python");
        let version = step::first_line(
            Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]),
        )
        .context("no python3")?;
        let numbers: Vec<u32> = version.split(' ').filter_map(|n| n.parse().ok()).collect();
        ensure!(
            numbers.as_slice() >= &[PYTHON_MIN.0, PYTHON_MIN.1],
            "python3 is {version}, and the wheel needs {}.{} or later",
            PYTHON_MIN.0,
            PYTHON_MIN.1
        );
        eprintln!(
            "downloading {} into {}",
            REQUIREMENTS.join(", "),
            folder.display()
        );
        step::output(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        let packages = REQUIREMENTS.iter().flat_map(|words| words.split(' '));
        step::output(
            Command::new(program(&folder, "python"))
                .args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
                .args(["install", "--quiet"])
                .args(packages),
        )?;
        let probe = step::output(Command::new(program(&folder, "python")).args(["-c", PROBE]))?;
        let version = probe.trim().to_owned();
        fs::write(
            folder.join("heartlens.txt"),
            format!("{}\n{version}", REQUIREMENTS.join(" ")),
        )?;
        Ok(Self { folder, version })
    }

    /// The version of Python, for eyes.
    pub(crate) fn version(&self) -> String {
        format!("Python {}", self.version)
    }

    /// One of the programs.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(&self.folder, name));
        command.current_dir(step::root());
        command
    }

    /// Where their packages are.
    fn packages(&self) -> Result<PathBuf> {
        site_packages(&program(&self.folder, "python"))
    }
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join("bin").join(name)
}

/// How a wheel is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the crates' tests are, and with their features, so that nothing is compiled a second time.
    Test,
    /// As users get it.
    Release,
}

/// Builds the wheel into this folder, which it empties.
pub(crate) fn wheel(
    tools: &Tools,
    environment: Option<&Environment>,
    profile: Profile,
    out: &Path,
) -> Result<PathBuf> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    let mut maturin = tools.command("maturin");
    if let Some(environment) = environment {
        environment.apply(&mut maturin);
    }
    maturin.args(["build", "--manifest-path", "bindings/python/Cargo.toml"]);
    maturin
        .arg("--interpreter")
        .arg(program(&tools.folder, "python"));
    maturin.arg("--out").arg(out);
    match profile {
        // A wheel for this machine alone: nothing is to be said of others.
        Profile::Test => maturin
            .args(["--profile", "dev", "--features", "workspace"])
            .args(["--auditwheel", "skip", "--compatibility", "linux"]),
        Profile::Release => maturin.arg("--release"),
    };
    step::output(&mut maturin)?;
    let mut wheels = fs::read_dir(out)?.collect::<Result<Vec<_>, _>>()?;
    match (wheels.pop(), wheels.pop()) {
        (Some(wheel), None) => Ok(wheel.path()),
        _ => bail!("maturin left no wheel, or several, in {}", out.display()),
    }
}

/// A new virtual environment with the wheel in it and the packages of these folders behind it; gives its Python.
pub(crate) fn install(
    tools: &Tools,
    wheel: &Path,
    venv: &Path,
    behind: &[PathBuf],
) -> Result<PathBuf> {
    step::output(
        tools
            .command("python")
            .args(["-m", "venv", "--clear", "--without-pip"])
            .arg(venv),
    )?;
    let python = program(venv, "python");
    step::output(
        tools
            .command("python")
            .args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
            .arg("--python")
            .arg(&python)
            .args(["install", "--quiet", "--no-deps", "--no-index"])
            .arg(wheel),
    )?;
    let mut folders = behind.to_vec();
    folders.push(tools.packages()?);
    let lines: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
    fs::write(site_packages(&python)?.join("tools.pth"), lines.join("\n"))?;
    Ok(python)
}

/// The wheel's tests of killed jobs, to be run in a new environment.
pub(crate) fn faults(tools: &Tools, environment: Option<&Environment>) -> Result<Command> {
    let target = step::root().join("target/python");
    let wheel = wheel(tools, environment, Profile::Test, &target.join("wheels"))?;
    let mut pytest = Command::new(install(tools, &wheel, &target.join("venv"), &[])?);
    if let Some(environment) = environment {
        environment.apply(&mut pytest);
    }
    pytest
        .current_dir(step::root().join("bindings/python"))
        .args([
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--quiet",
            "-s",
            "-k",
            "killed",
        ])
        .arg("tests/test_distributed.py");
    Ok(pytest)
}

/// Builds the wheel, installs it into a new environment, and runs its tests there.
pub(crate) fn test(
    tools: &Tools,
    environment: Option<&Environment>,
    tally: &mut Tally,
) -> Result<()> {
    let target = step::root().join("target/python");
    let wheel = wheel(tools, environment, Profile::Test, &target.join("wheels"))?;
    let python = install(tools, &wheel, &target.join("venv"), &[])?;
    let report = target.join("tests.xml");
    let mut pytest = Command::new(python);
    if let Some(environment) = environment {
        environment.apply(&mut pytest);
    }
    if let Some(data) = std::env::var_os("HEARTLENS_DATA") {
        pytest.env("HEARTLENS_DATA", std::path::absolute(data)?);
    }
    pytest
        .current_dir(step::root().join("bindings/python"))
        .args(["-m", "pytest", "-p", "no:cacheprovider", "--quiet"])
        .arg(format!("--junitxml={}", report.display()));
    let result = step::run(&mut pytest);
    *tally += counted(&fs::read_to_string(&report).context("pytest wrote no report")?)?;
    result
}

/// The counts of a JUnit report.
fn counted(report: &str) -> Result<Tally> {
    let count = |name: &str| -> Result<usize> {
        let (_, rest) = report
            .split_once(&format!(" {name}=\""))
            .with_context(|| format!("no {name} in pytest's report"))?;
        let number = rest.split('"').next().unwrap_or_default();
        number
            .parse()
            .with_context(|| format!("{name}: found {number:?}"))
    };
    let (skipped, failed) = (count("skipped")?, count("failures")? + count("errors")?);
    Ok(Tally {
        passed: count("tests")? - skipped - failed,
        failed,
        skipped,
    })
}

/// Builds the wheel as users get it, and has it judged: which machines it runs on, and whether it keeps to Python's stable
/// interface.
pub(crate) fn package(out: &Path) -> Result<()> {
    let tools = Tools::find().map_or_else(Tools::make, Ok)?;
    let wheel = wheel(&tools, Environment::here().as_ref(), Profile::Release, out)?;
    println!(
        "{}",
        wheel.strip_prefix(step::root()).unwrap_or(&wheel).display()
    );
    if cfg!(target_os = "linux") {
        print!(
            "{}",
            step::output(tools.command("auditwheel").arg("show").arg(&wheel))?
        );
    }
    print!(
        "{}",
        step::output(
            tools
                .command("abi3audit")
                .args(["--strict", "--summary"])
                .arg(&wheel)
        )?
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_pytest_is_counted() -> Result<()> {
        let report = r#"<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
            failures="2" skipped="3" tests="20" time="1.0"><testcase/></testsuite></testsuites>"#
            .replace('\n', "");
        let tally = counted(&report)?;
        assert_eq!((tally.passed, tally.failed, tally.skipped), (14, 3, 3));
        assert!(counted("<testsuite/>").is_err());
        Ok(())
    }
}
