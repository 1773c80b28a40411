//! `cargo xtask executors`: the same cases through everything that runs the network, one snapshot of all.
//!
//! Every executor writes a file of lines into a folder: case, R peak in samples, class, the bits of the four scores. The test `suite`
//! of `heartlens-tests` adds libtorch's, sums each up in a cell, and compares the table with `tests/tests/snapshots`. What this machine
//! cannot run is said, and left out of the comparison.

use crate::cores;
use crate::python::{self, Tools};
use crate::replay::SAMPLE_RATE_HZ;
use crate::setup::Machine;
use crate::step::{self, cargo, output, root};
use crate::tally::Tally;
use crate::test;
use crate::web;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The 64-bit Arm that QEMU's user mode runs; linked without a C library of that machine.
pub(crate) const AARCH64: &str = "aarch64-unknown-linux-musl";
/// What AArch64 programs run on, and x86-64 ones without vector instructions that this machine may have.
pub(crate) const QEMU_AARCH64: &str = "qemu-aarch64";
const QEMU_X86_64: &str = "qemu-x86_64";
/// Has AVX2 and no AVX-512, whatever the machine.
pub(crate) const VALGRIND: &str = "valgrind";

/// What `cargo xtask executors` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask executors --accept")]
pub(crate) struct Args {
    /// Writes the snapshot anew instead of comparing with it.
    #[arg(long)]
    accept: bool,
}

/// `cargo xtask executors`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let machine = crate::setup::look();
    all(&machine, args.accept, &mut Tally::default())
}

/// Runs what there is, and compares.
pub(crate) fn all(machine: &Machine, accept: bool, tally: &mut Tally) -> Result<()> {
    let folder = root().join("target/executors");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot empty target/executors")?;
    }
    let cases = Cases::write(machine, &folder)?;
    cases.host(machine)?;
    if machine.firmware {
        for (name, target) in cores::SUITE {
            cases.core(name, target)?;
        }
    }
    cases.c()?;
    if let Some(tools) = &machine.python {
        cases.python(machine, tools)?;
    }
    if machine.browser {
        cases.web()?;
    }
    // The features of the other tests' build, so that nothing is compiled again.
    let mut suite = cargo(".");
    suite.args(["test", "--workspace", "--test", "suite"]);
    if let Some(environment) = &machine.environment {
        environment.apply(&mut suite);
    }
    suite.env("HEARTLENS_EXECUTORS", &folder);
    suite.env("INSTA_UPDATE", if accept { "always" } else { "no" });
    suite.args(["--", "--show-output"]);
    let (status, counted) = test::listen(&mut suite)?;
    *tally += counted;
    ensure!(
        status.success(),
        "a cell has moved: `cargo xtask executors --accept` writes the snapshot anew, where that is meant"
    );
    Ok(())
}

/// The cases, and where their beats go.
#[derive(Debug)]
struct Cases {
    folder: PathBuf,
    names: Vec<String>,
}

impl Cases {
    fn write(machine: &Machine, folder: &Path) -> Result<Self> {
        let program = step::example("cases", machine.environment.as_ref())?;
        let mut cases = Command::new(program);
        cases.arg(folder.join("cases"));
        if let Some(data) = std::env::var_os("HEARTLENS_DATA") {
            cases.arg(std::path::absolute(data)?);
        }
        let names = output(&mut cases)?.lines().map(str::to_owned).collect();
        Ok(Self {
            folder: folder.to_owned(),
            names,
        })
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let file = |name| self.folder.join(format!("cases/{name}.{ending}"));
        self.names.iter().map(file).collect()
    }

    /// Keeps what an executor has printed.
    fn keep(&self, executor: &str, beats: &str) -> Result<()> {
        ensure!(!beats.is_empty(), "{executor} printed nothing");
        println!("{executor:<28}{:>8} beats", beats.lines().count());
        fs::write(self.folder.join(format!("{executor}.txt")), beats)
            .with_context(|| format!("cannot write the beats of {executor}"))
    }

    /// The engine of this machine by its runtimes, and its integers on processors that this one is not.
    fn host(&self, machine: &Machine) -> Result<()> {
        let environment = machine.environment.as_ref();
        let program = step::example("beats", environment)?;
        let ask = |mut command: Command, runtime: &str| {
            if let Some(environment) = environment {
                environment.apply(&mut command);
            }
            command.arg(runtime).args(self.files("hea"));
            output(&mut command)
        };
        let here = |runtime| ask(Command::new(&program), runtime);
        self.keep("tract", &here("tract")?)?;
        if environment.is_some() {
            self.keep("ONNX Runtime", &here("ort")?)?;
        }
        if cfg!(target_arch = "x86_64") {
            let has_vnni = fs::read_to_string("/proc/cpuinfo")
                .is_ok_and(|processor| processor.contains("avx512_vnni"));
            match has_vnni {
                true => self.keep("x86-64 AVX-512 VNNI", &here("int8")?)?,
                false => println!("skipped: this processor has no AVX-512 VNNI"),
            }
            if is_there(VALGRIND)? {
                let mut valgrind = Command::new(VALGRIND);
                valgrind.args(["--tool=none", "--quiet"]).arg(&program);
                self.keep("x86-64 AVX2", &ask(valgrind, "int8")?)?;
            }
            if is_there(QEMU_X86_64)? {
                let mut qemu = Command::new(QEMU_X86_64);
                qemu.args(["-cpu", "Nehalem"]).arg(&program);
                self.keep("x86-64 portable", &ask(qemu, "int8")?)?;
            }
        }
        if is_there(QEMU_AARCH64)? {
            let mut qemu = Command::new(QEMU_AARCH64);
            qemu.arg(aarch64()?);
            self.keep("AArch64", &ask(qemu, "int8")?)?;
        }
        Ok(())
    }

    /// A core that QEMU plays.
    fn core(&self, name: &str, target: &str) -> Result<()> {
        let mut beats = String::new();
        for (case, file) in self.names.iter().zip(self.files("bin")) {
            let told =
                cores::play_file(target, &file).with_context(|| format!("{name}, {case}"))?;
            for line in told.lines() {
                beats.push_str(&in_samples(case, line)?);
            }
        }
        self.keep(name, &beats)
    }

    /// The library for C, on this machine.
    fn c(&self) -> Result<()> {
        let bindings = root().join("bindings/c");
        output(
            cargo("bindings/c")
                .args(["rustc", "--quiet", "--release", "--lib"])
                .args(["--crate-type", "staticlib", "--features", "handler"])
                .env("CARGO_TARGET_DIR", bindings.join("target/library")),
        )?;
        let program = self.folder.join("c");
        output(
            Command::new("cc")
                .current_dir(&bindings)
                .args(["-std=c99", "-O1", "-Iinclude", "tests/file.c"])
                .arg("target/library/release/libheartlens_c.a")
                .arg("-o")
                .arg(&program),
        )?;
        let told = output(Command::new(program).args(self.files("bin")))?;
        let mut beats = String::new();
        for line in told.lines() {
            let (file, line) = line.split_once(' ').context("a line without a file")?;
            let case = Path::new(file)
                .file_stem()
                .context("a file without a name")?;
            beats.push_str(&in_samples(&case.to_string_lossy(), line)?);
        }
        self.keep("C", &beats)
    }

    fn python(&self, machine: &Machine, tools: &Tools) -> Result<()> {
        let target = root().join("target/python");
        let environment = machine.environment.as_ref();
        let wheel = python::wheel(
            tools,
            environment,
            python::Profile::Test,
            &target.join("wheels"),
        )?;
        let python = python::install(tools, &wheel, &target.join("venv"), &[])?;
        let mut script = Command::new(python);
        script
            .arg(root().join("bindings/python/tests/executor.py"))
            .args(self.files("hea"));
        self.keep("Python", &output(&mut script)?)
    }

    fn web(&self) -> Result<()> {
        let made = root().join("target/package/web");
        web::package(&made)?;
        let mut node = Command::new("node");
        node.arg(root().join("bindings/web/page/tests/executor.mjs"))
            .arg(made.join("wasm"))
            .args(self.files("hea"));
        self.keep("WebAssembly", &output(&mut node)?)
    }
}

/// A line that begins with an R peak in ms, with the case before it and the R peak in samples.
fn in_samples(case: &str, line: &str) -> Result<String> {
    let (ms, rest) = line.split_once(' ').context("a line without a class")?;
    let ms: u64 = ms.parse().with_context(|| format!("no time: {ms}"))?;
    let sample = (ms * SAMPLE_RATE_HZ + 500) / 1000;
    Ok(format!("{case} {sample} {rest}\n"))
}

/// Whether a program is here; where CI runs, it must be.
fn is_there(program: &str) -> Result<bool> {
    match step::first_line(Command::new(program).arg("--version")) {
        Ok(_) => Ok(true),
        Err(error) if step::is_ci() => Err(error),
        Err(_) => {
            println!("skipped: no {program}; `cargo xtask setup` gets it");
            Ok(false)
        }
    }
}

/// The example `beats` for AArch64, with the integers alone.
fn aarch64() -> Result<PathBuf> {
    let built = cargo(".")
        .args([
            "build",
            "--quiet",
            "--package",
            "heartlens",
            "--example",
            "beats",
        ])
        .args(["--no-default-features", "--target", AARCH64])
        .args(["--message-format", "json-render-diagnostics"])
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        built.status.success(),
        "the example does not build for {AARCH64}"
    );
    step::executable(&built.stdout)?.context("cargo built no example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_the_sample_that_it_was_rounded_from() -> Result<()> {
        for sample in [0_u64, 1, 7, 127, 128, 46_079] {
            // As core rounds: down.
            let ms = sample * 1000 / SAMPLE_RATE_HZ;
            let line = in_samples("case", &format!("{ms} N 0 0 0 0"))?;
            assert_eq!(line, format!("case {sample} N 0 0 0 0\n"));
        }
        assert!(in_samples("case", "").is_err());
        assert!(in_samples("case", "x N").is_err());
        Ok(())
    }
}
