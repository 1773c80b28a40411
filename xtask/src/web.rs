//! The viewer of `bindings/web`: WebAssembly, its page in one file, and tests of both in a browser.

use crate::step::{self, cargo, output, root};
use crate::tally::Tally;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Makes the page, and runs its tests in a browser. What the beats are compared with is the same engine on this machine, and the
/// command where it has been built.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    let Some((browser, _)) = browser() else {
        bail!("no Chromium; `cargo xtask setup` gets it");
    };
    build()?;
    output(cargo("bindings/web").args(["build", "--quiet", "--examples"]))?;
    let report = root().join("bindings/web/target/tests.tap");
    let mut tests = Command::new("node");
    tests
        .current_dir(page())
        .args(["--test", "--test-concurrency=1", "--test-reporter=tap"])
        .arg(format!("--test-reporter-destination={}", report.display()))
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout"])
        .arg("tests/viewer.test.mjs")
        .env("HEARTLENS_CHROMIUM", browser);
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

/// How fast the browser is beside this machine: a day of one lead.
pub(crate) fn speed() -> Result<()> {
    let Some((browser, _)) = browser() else {
        bail!("no Chromium; `cargo xtask setup` gets it");
    };
    build()?;
    output(cargo("bindings/web").args(["build", "--quiet", "--release", "--example", "beats"]))?;
    let mut speed = Command::new("node");
    speed
        .current_dir(page())
        .arg("tests/speed.mjs")
        .env("HEARTLENS_CHROMIUM", browser)
        .env("HEARTLENS_PROFILE", "release");
    step::run(&mut speed)
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
}
