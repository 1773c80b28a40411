//! `cargo xtask test`: the README's test command.

use crate::environment::Environment;
use crate::setup::{self, Machine};
use crate::step::{self, cargo, elapsed};
use crate::tally::{Listener, Tally};
use crate::{executors, python, qemu, size, web};
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// The crates that need neither libtorch nor QEMU.
const PLAIN_CRATES: [&str; 4] = ["heartlens-core", "heartlens-records", "heartlens", "xtask"];

/// What `cargo xtask test` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask test --no-setup")]
pub(crate) struct Args {
    /// Installs nothing: tests that need a missing part are skipped.
    #[arg(long)]
    no_setup: bool,
}

/// Plays the firmware in QEMU once, then runs every test of every crate, which read what that came to. Stops at the first part
/// that fails and says which. The last line counts the tests: `N passed, N failed, N skipped`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let result = parts(args, &mut tally);
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

fn parts(args: &Args, tally: &mut Tally) -> Result<()> {
    let machine = part("workshop", || ready(args))?;
    let played = if machine.firmware {
        let played = part("firmware in QEMU", || {
            Reports::play(machine.environment.as_ref())
        })?;
        tally.passed += 1;
        Some(played)
    } else {
        skip(tally, "firmware in QEMU: see above for what is missing");
        None
    };
    part("crates", || crates(&machine, played.as_ref(), tally))?;
    part("firmware's portable half", || {
        others(
            &[
                "--manifest-path",
                "firmware/Cargo.toml",
                "--package",
                "heartlens-firmware",
                "--lib",
            ],
            tally,
        )
    })?;
    for example in ["firmware/embassy", "firmware/ble"] {
        part(example, || {
            others(
                &["--manifest-path", &format!("{example}/Cargo.toml")],
                tally,
            )
        })?;
    }
    part("bindings for C", || {
        others(&["--manifest-path", "bindings/c/Cargo.toml"], tally)
    })?;
    if machine.browser {
        part("viewer in the browser", || {
            others(&["--manifest-path", "bindings/web/Cargo.toml"], tally)?;
            web::test(tally)
        })?;
    } else {
        skip(
            tally,
            "viewer in the browser: see above for what is missing",
        );
    }
    match &machine.python {
        Some(tools) => part("wheel for Python", || {
            python::test(tools, machine.environment.as_ref(), tally)
        })?,
        None => {
            skip(tally, "wheel for Python: see above for what is missing");
        }
    }
    part("one suite, every executor", || {
        executors::all(&machine, false, tally)
    })
}

/// What this machine has. Calls `setup` where something is missing, and says so, unless told not to.
fn ready(args: &Args) -> Result<Machine> {
    let mut machine = setup::look();
    let missing = machine.missing_names();
    if !missing.is_empty() && !args.no_setup {
        println!("calling `cargo xtask setup` to get {missing} (`--no-setup` tests without)");
        machine = setup::prepare();
    }
    machine.require()?;
    Ok(machine)
}

/// Where `cargo xtask qemu --json` and `cargo xtask size --json` of this run were written: the crates' tests read them instead of
/// playing the firmware again.
struct Reports {
    _folder: tempfile::TempDir,
    qemu: PathBuf,
    size: PathBuf,
}

impl Reports {
    fn play(environment: Option<&Environment>) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (qemu, size) = (
            folder.path().join("qemu.json"),
            folder.path().join("size.json"),
        );
        qemu::run(&qemu::Args::json(&qemu))?;
        size::measure_all(environment)?.write(&size)?;
        Ok(Self {
            _folder: folder,
            qemu,
            size,
        })
    }

    fn apply(&self, command: &mut Command) {
        command
            .env("HEARTLENS_QEMU_REPORT", &self.qemu)
            .env("HEARTLENS_SIZE_REPORT", &self.size);
    }
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
fn crates(machine: &Machine, played: Option<&Reports>, tally: &mut Tally) -> Result<()> {
    let mut command = cargo(".");
    command.args(["test", "--no-fail-fast"]);
    if let Some(played) = played {
        played.apply(&mut command);
    }
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

/// The tests of a crate that is in a workspace of its own.
fn others(arguments: &[&str], tally: &mut Tally) -> Result<()> {
    // From the root, where firmware's default target does not apply.
    let mut command = cargo(".");
    command
        .arg("test")
        .args(arguments)
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
pub(crate) fn listen(command: &mut Command) -> Result<(ExitStatus, Tally)> {
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
