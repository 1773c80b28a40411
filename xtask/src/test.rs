//! `cargo xtask test`: the README's test command.

use crate::qemu;
use crate::setup::{self, Machine};
use crate::step::{self, cargo, elapsed};
use crate::tally::{Listener, Tally};
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// The crates that need neither libtorch nor QEMU.
const PLAIN_CRATES: [&str; 3] = ["heartlens-core", "heartlens", "xtask"];

/// Sets up, then runs every test of every crate, then the firmware in QEMU. Stops at the first part that fails and
/// says which. The last line counts the tests: `N passed, N failed, N skipped`.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let result = parts(&mut tally);
    println!("\nwhole run: {}", elapsed(started.elapsed()));
    if let Err(error) = &result {
        // A part that ended before any of its tests, as in a build that fails, is one failure.
        tally.failed = tally.failed.max(1);
        println!("FAILED: {error:#}");
    }
    println!("{tally}");
    // What there was to say is said; the count stays the last line.
    if result.is_err() {
        std::process::exit(1);
    }
    Ok(())
}

fn parts(tally: &mut Tally) -> Result<()> {
    let machine = part("setup", || {
        let machine = setup::prepare();
        machine.require()?;
        Ok(machine)
    })?;
    part("crates", || crates(&machine, tally))?;
    part("firmware's portable half", || portable_firmware(tally))?;
    if machine.firmware {
        part("firmware in QEMU", || qemu::run(&qemu::Args::default()))?;
        tally.passed += 1;
    } else {
        skip(tally, "firmware in QEMU: see above for what is missing");
    }
    Ok(())
}

/// Runs one part, with its name before and its time after.
fn part<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n==> {name}");
    let started = Instant::now();
    let result = run().with_context(|| name.to_owned());
    let verdict = if result.is_ok() { "ok" } else { "FAILED" };
    println!("<== {name}: {verdict}, {}", elapsed(started.elapsed()));
    result
}

fn skip(tally: &mut Tally, what: &str) {
    tally.skipped += 1;
    println!("\nSKIPPED {what}");
}

/// The tests of the crates in one run of cargo, so that each dependency is compiled once with one set of features.
fn crates(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let mut command = cargo(".");
    command.args(["test", "--no-fail-fast"]);
    match &machine.environment {
        Some(environment) => {
            environment.apply(&mut command).arg("--workspace");
        }
        None => {
            skip(tally, "trainer and tests: see above for what is missing");
            for name in PLAIN_CRATES {
                command.args(["--package", name]);
            }
        }
    }
    match std::env::var_os("HEARTLENS_DATA") {
        Some(folder) => {
            // Tests run in their crate's folder, where a relative path would mean something else.
            let folder = std::path::absolute(&folder)
                .with_context(|| format!("HEARTLENS_DATA={}", folder.display()))?;
            if !folder.is_dir() {
                bail!("HEARTLENS_DATA={} is no folder", folder.display());
            }
            command.env("HEARTLENS_DATA", folder);
        }
        None => println!("HEARTLENS_DATA is not set: tests that need real records are skipped"),
    }
    command.args(["--", "--show-output"]);

    let (status, counted) = listen(&mut command)?;
    *tally += counted;
    println!("{counted}");
    if !status.success() {
        bail!("`{}` ended with {status}", step::shown(&command));
    }
    Ok(())
}

/// The tests of what firmware and this machine compute alike.
fn portable_firmware(tally: &mut Tally) -> Result<()> {
    // From the root, where firmware's default target does not apply.
    let mut command = cargo(".");
    command
        .args(["test", "--manifest-path", "firmware/Cargo.toml"])
        .args(["--package", "heartlens-firmware", "--lib"])
        .args(["--", "--show-output"]);
    let (status, counted) = listen(&mut command)?;
    *tally += counted;
    println!("{counted}");
    if !status.success() {
        bail!("`{}` ended with {status}", step::shown(&command));
    }
    Ok(())
}

/// Runs a `cargo test -- --show-output`, passing on what is worth reading and counting the tests.
fn listen(command: &mut Command) -> Result<(ExitStatus, Tally)> {
    let line = step::shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().context("stdout was piped")?;
    let mut listener = Listener::default();
    for bytes in BufReader::new(stdout).split(b'\n') {
        let bytes = bytes.with_context(|| format!("reading from `{line}`"))?;
        if let Some(shown) = listener.line(&String::from_utf8_lossy(&bytes)) {
            println!("{shown}");
        }
    }
    Ok((child.wait()?, listener.total()))
}
