//! The viewer of `bindings/web`: WebAssembly, its page in one file, and tests of both in a browser.

use crate::documents::thousands;
use crate::scale::{children_s, processor};
use crate::step::{self, cargo, output, root};
use crate::tally::Tally;
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that browsers run.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Names that a Chromium goes by; its tests take the first that is there, or the one that `HEARTLENS_CHROMIUM` names.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The folder of the page.
fn page() -> PathBuf {
    root().join("bindings/web/page")
}

fn dist() -> PathBuf {
    root().join("bindings/web/dist")
}

/// The browser of this machine.
pub(crate) fn browser() -> Option<(String, String)> {
    let named = std::env::var("HEARTLENS_CHROMIUM").ok();
    let names = named.into_iter().chain(BROWSERS.map(str::to_owned));
    names
        .filter_map(|name| {
            let version = step::first_line(Command::new(&name).arg("--version")).ok()?;
            Some((name, version))
        })
        .next()
}

/// Compiles the WebAssembly, writes the JavaScript beside it and makes the page.
fn build() -> Result<()> {
    let mut compile = cargo("bindings/web");
    compile.args([
        "build",
        "--quiet",
        "--release",
        "--target",
        TARGET,
        "--package",
        "heartlens-web",
    ]);
    output(&mut compile)?;
    let wasm = root().join(format!(
        "bindings/web/target/{TARGET}/release/heartlens_web.wasm"
    ));
    let mut bind = cargo("bindings/web");
    bind.args(["run", "--quiet", "--package", "heartlens-bindgen", "--"]);
    output(bind.arg(&wasm).arg(dist().join("wasm")))?;
    install()?;
    for script in ["check", "build"] {
        output(npm().args(["run", "--silent", script]))?;
    }
    Ok(())
}

/// Gets the page's tools, of the versions in its lock file, where they are not there yet.
fn install() -> Result<()> {
    let (wanted, there) = (
        page().join("package-lock.json"),
        page().join("node_modules/.heartlens"),
    );
    let lock = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if fs::read_to_string(&there).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    eprintln!("npm ci in bindings/web/page");
    output(npm().args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    fs::write(&there, lock).with_context(|| there.display().to_string())
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(page());
    command
}

/// Makes the package: the page in one file, and the WebAssembly for pages of others.
pub(crate) fn package(folder: &Path) -> Result<()> {
    build()?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let wasm = folder.join("wasm");
    fs::create_dir_all(&wasm).with_context(|| format!("cannot make {}", wasm.display()))?;
    for name in [
        "heartlens_web.js",
        "heartlens_web.d.ts",
        "heartlens_web_bg.wasm",
    ] {
        copy(&dist().join("wasm").join(name), &wasm.join(name))?;
    }
    copy(
        &dist().join("heartlens.html"),
        &folder.join("heartlens.html"),
    )?;
    copy(
        &root().join("bindings/web/README.md"),
        &folder.join("README.md"),
    )?;
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root().join(name), &folder.join(name))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Makes the package, and runs its tests in a browser. What the beats are compared with is the same engine on this machine, and the
/// command where it has been built.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    let Some((browser, _)) = browser() else {
        bail!("no Chromium; `cargo xtask setup` gets it");
    };
    let made = root().join("target/package/web");
    package(&made)?;
    output(cargo("bindings/web").args(["build", "--quiet", "--examples"]))?;
    let report = root().join("bindings/web/target/tests.tap");
    let mut tests = Command::new("node");
    tests
        .current_dir(page())
        .args(["--test", "--test-concurrency=1", "--test-reporter=tap"])
        .arg(format!("--test-reporter-destination={}", report.display()))
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout"])
        .arg("tests/viewer.test.mjs")
        .env("HEARTLENS_CHROMIUM", browser)
        .env("HEARTLENS_PACKAGE", made);
    if let Some(data) = std::env::var_os("HEARTLENS_DATA") {
        tests.env("HEARTLENS_DATA", std::path::absolute(data)?);
    }
    let command = root().join("target/debug/heartlens");
    if command.is_file() {
        tests.env("HEARTLENS_COMMAND", command);
    }
    let result = step::run(&mut tests);
    *tally += counted(&fs::read_to_string(&report).context("node wrote no report")?)?;
    result
}

/// Where the figures of `docs/performance.md` are.
const FILE: &str = "docs/web.json";
/// Hours of the record: two leads, of which the first is classified.
const HOURS: u32 = 24;
/// Samples a second of each lead.
const RATE_HZ: u32 = 360;
/// Times that the command classifies it; the fastest counts.
const RUNS: usize = 3;
/// Times the command's time that the browser may take.
const MOST_TIMES: f64 = 3.0;
/// What a frame may take of the page's thread where 60 a second are to be shown.
const FRAME_MS: f64 = 1000.0 / 60.0;

/// How fast the viewer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Report {
    processor: String,
    browser: String,
    hours: u32,
    leads: u32,
    rate_hz: u32,
    /// The processor's time of the command's whole process, on one thread.
    command_s: f64,
    #[serde(flatten)]
    measured: Measured,
}

/// What `speed.mjs` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Measured {
    beats: u64,
    /// Whether the browser's beats are those of this machine's engine, every bit of their scores.
    identical: bool,
    /// The processor's time of the browser's worker, the fastest of some runs.
    browser_s: f64,
    frames: Vec<Frames>,
}

/// Frames while something is done by the wheel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Frames {
    what: String,
    frames: u64,
    /// By the clock.
    per_second: f64,
    /// The processor's time on the page's thread for a frame, the mean of all.
    cpu_ms: f64,
    /// By the clock, from a frame's first callback until the page's thread is free again.
    median_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
}

/// How fast the browser is beside the command, and how smooth the viewer: a day of two leads. Both times are the processor's, so that
/// another process beside it adds little.
pub(crate) fn speed(json: Option<&Path>) -> Result<()> {
    let Some((browser, version)) = browser() else {
        bail!("no Chromium; `cargo xtask setup` gets it");
    };
    build()?;
    output(cargo("bindings/web").args(["build", "--quiet", "--examples"]))?;
    step::run(cargo(".").args(["build", "--release", "--quiet", "-p", "heartlens"]))?;
    let heartlens = root().join("target/release/heartlens");
    let folder = tempfile::tempdir()?;
    let record = folder.path().join("day");
    output(
        Command::new(&heartlens)
            .args(["synth", "--noise", "18", "--seed", "1"])
            .args(["--rate", &RATE_HZ.to_string()])
            .args(["--minutes", &(60 * HOURS).to_string()])
            .arg("--out")
            .arg(&record),
    )?;
    let mut command_s = f64::INFINITY;
    for _ in 0..RUNS {
        let before = children_s()?;
        let mut classify = Command::new(&heartlens);
        output(
            classify
                .arg("classify")
                .arg(&record)
                .args(["--threads", "1"]),
        )?;
        command_s = command_s.min(children_s()? - before);
    }
    let mut speed = Command::new("node");
    speed
        .current_dir(page())
        .arg("tests/speed.mjs")
        .arg(&record)
        .env("HEARTLENS_CHROMIUM", browser)
        .stderr(Stdio::inherit());
    let said = output(&mut speed)?;
    let measured = serde_json::from_str(said.lines().last().unwrap_or_default());
    let report = Report {
        processor: processor(),
        // Without the system that it was built on.
        browser: version
            .split(" built")
            .next()
            .unwrap_or_default()
            .to_owned(),
        hours: HOURS,
        leads: 2,
        rate_hz: RATE_HZ,
        command_s,
        measured: measured.with_context(|| format!("speed.mjs printed {said:?}"))?,
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    match json {
        Some(path) if path == Path::new("-") => {
            print!("{text}");
            eprint!("{}", report.table());
        }
        Some(path) => {
            fs::write(path, text).with_context(|| path.display().to_string())?;
            print!("{}", report.table());
        }
        None => print!("{}", report.table()),
    }
    report.check()
}

/// The table of `docs/performance.md`, from the JSON that [`speed`] wrote.
pub(crate) fn table() -> Result<String> {
    let text = fs::read_to_string(root().join(FILE)).context(FILE)?;
    let report: Report = serde_json::from_str(&text).context(FILE)?;
    Ok(report.table())
}

impl Report {
    fn table(&self) -> String {
        let Measured {
            beats, browser_s, ..
        } = self.measured;
        let command_s = self.command_s;
        let mut table = format!(
            "| {} h, {} leads, {} Hz; {}, {} | figure |\n|---|---:|\n",
            self.hours, self.leads, self.rate_hz, self.processor, self.browser
        );
        table += &format!(
            "| CPU time of the command for one lead | {command_s:.1} s, {} beats |\n",
            thousands(beats)
        );
        table += &format!(
            "| of the browser, the same bits | {browser_s:.1} s, {:.2} times the command's |\n",
            browser_s / command_s
        );
        table += "\n| by the wheel | frames a second | CPU time of the page's thread a frame | by the clock: median | 99 of 100 | worst |\n|---|---:|---:|---:|---:|---:|\n";
        for frames in &self.measured.frames {
            table += &format!(
                "| {} | {:.1} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |\n",
                frames.what,
                frames.per_second,
                frames.cpu_ms,
                frames.median_ms,
                frames.p99_ms,
                frames.worst_ms
            );
        }
        table
    }

    /// An error where the viewer is not what it should be.
    fn check(&self) -> Result<()> {
        let Measured {
            identical,
            browser_s,
            frames,
            ..
        } = &self.measured;
        ensure!(
            identical,
            "the browser's beats are not this machine's, to the bit"
        );
        let times = browser_s / self.command_s;
        ensure!(
            times <= MOST_TIMES,
            "the browser takes {times:.2} times as long as the command, expected at most {MOST_TIMES}"
        );
        for Frames { what, cpu_ms, .. } in frames {
            ensure!(
                *cpu_ms <= FRAME_MS,
                "{what}: a frame takes {cpu_ms:.1} ms of the page's thread, expected at most {FRAME_MS:.1}"
            );
        }
        Ok(())
    }
}

/// The counts at the end of node's report.
fn counted(report: &str) -> Result<Tally> {
    let count = |name: &str| -> Result<usize> {
        let marker = format!("# {name} ");
        let line = report
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(&marker));
        let number = line.with_context(|| format!("no {name} in node's report"))?;
        number
            .trim()
            .parse()
            .with_context(|| format!("{name}: found {number:?}"))
    };
    Ok(Tally {
        passed: count("pass")?,
        failed: count("fail")? + count("cancelled")?,
        skipped: count("skipped")? + count("todo")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_end_of_the_report() -> Result<()> {
        let report = "TAP version 13\nok 1 - opens\n# pass 99\n1..3\n# tests 6\n# suites 0\n# pass 3\n# fail 1\n# cancelled 1\n\
             # skipped 1\n# todo 0\n# duration_ms 5\n";
        let expected = Tally {
            passed: 3,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(counted(report)?, expected);
        assert!(counted("TAP version 13\n").is_err());
        Ok(())
    }

    fn report() -> Report {
        Report {
            processor: "a processor".to_owned(),
            browser: "Chromium 1".to_owned(),
            hours: 24,
            leads: 2,
            rate_hz: 360,
            command_s: 5.0,
            measured: Measured {
                beats: 101_767,
                identical: true,
                browser_s: 12.5,
                frames: vec![Frames {
                    what: "scrolled".to_owned(),
                    frames: 600,
                    per_second: 59.94,
                    cpu_ms: 2.04,
                    median_ms: 2.0,
                    p99_ms: 4.0,
                    worst_ms: 7.0,
                }],
            },
        }
    }

    #[test]
    fn a_report_is_told_as_it_was_measured() {
        let table = report().table();
        for row in [
            "| 24 h, 2 leads, 360 Hz; a processor, Chromium 1 | figure |",
            "| CPU time of the command for one lead | 5.0 s, 101,767 beats |",
            "| of the browser, the same bits | 12.5 s, 2.50 times the command's |",
            "| scrolled | 59.9 | 2.0 ms | 2.0 ms | 4.0 ms | 7.0 ms |",
        ] {
            assert!(table.lines().any(|line| line == row), "{row}\n{table}");
        }
    }

    #[test]
    fn a_viewer_that_is_slow_or_wrong_is_an_error() {
        let with = |change: fn(&mut Measured)| {
            let mut report = report();
            change(&mut report.measured);
            report.check()
        };
        assert!(with(|_| ()).is_ok());
        assert!(with(|measured| measured.identical = false).is_err());
        assert!(with(|measured| measured.browser_s = 15.1).is_err());
        assert!(with(|measured| measured.frames[0].cpu_ms = 16.8).is_err());
    }
}
