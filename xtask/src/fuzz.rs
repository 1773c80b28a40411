//! `cargo xtask fuzz`: every fuzz target for a while, on the stable toolchain.
//!
//! libFuzzer comes with the crate `libfuzzer-sys`; what it steers by, counters of the edges that an input takes, LLVM's
//! own pass puts in, and stable rustc passes that on. What stable rustc has not is the address sanitizer, which safe
//! Rust can do without.

use crate::step::{self, cargo, elapsed};
use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::MetadataCommand;
use clap::Args as ClapArgs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What puts the counters in, and keeps the checks that turn a wrong sum into a crash.
const RUSTFLAGS: &str = "--cfg fuzzing -Cdebug-assertions \
     -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longest input, in bytes.
const MAX_LEN: u32 = 8192;
/// What one input may take, in seconds and in megabytes.
const INPUT_S: u32 = 10;
const INPUT_MB: u32 = 1024;

/// Fuzz targets and time.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only these targets, instead of all.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// What one target's run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// Inputs that were tried.
    executions: u64,
    /// Edges of the code that they took.
    edges: u64,
    /// Inputs in the corpus, each of which took an edge that the others do not.
    corpus: u64,
    /// The input that crashed it, if one did, with the panic's first line.
    crash: Option<(PathBuf, String)>,
}

/// Builds all targets and runs each. An error where one crashes.
pub(crate) fn run(args: &Args) -> Result<()> {
    let known = targets()?;
    for name in &args.targets {
        ensure!(
            known.contains(name),
            "there is no fuzz target {name}; there are {}",
            known.join(", ")
        );
    }
    let wanted = if args.targets.is_empty() {
        &known
    } else {
        &args.targets
    };
    let host = host_triple()?;
    let started = Instant::now();
    let mut build = cargo("fuzz");
    build
        .args(["build", "--release", "--target", &host])
        // With a target named, build scripts and macros are compiled without the flags.
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    step::output(&mut build).context("the fuzz targets do not build")?;
    println!("built in {}", elapsed(started.elapsed()));
    let programs = target_folder()?.join(&host).join("release");

    println!(
        "{:<16}{:>12}{:>10}{:>8}{:>8}{:>9}",
        "target", "executions", "a second", "edges", "corpus", "crashes"
    );
    let mut crashed = Vec::new();
    for name in wanted {
        let started = Instant::now();
        let outcome = fuzz(&programs.join(name), name, args.seconds)?;
        println!("{}", outcome.row(name, started.elapsed()));
        if let Some((input, panic)) = &outcome.crash {
            println!("  {panic}\n  input: {}", input.display());
            crashed.push(name.as_str());
        }
    }
    if !crashed.is_empty() {
        bail!(
            "{} of {} fuzz targets crashed: {}",
            crashed.len(),
            wanted.len(),
            crashed.join(", ")
        );
    }
    println!(
        "{} fuzz targets, {} s each, no crash",
        wanted.len(),
        args.seconds
    );
    Ok(())
}

/// The programs of the fuzz workspace, in order of their names.
fn targets() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(step::root().join("fuzz/Cargo.toml"))
        .no_deps()
        .exec()?;
    let programs = metadata.packages.iter().flat_map(|p| &p.targets);
    let mut names: Vec<String> = programs
        .filter(|target| target.is_bin())
        .map(|target| target.name.clone())
        .collect();
    names.sort();
    Ok(names)
}

fn target_folder() -> Result<PathBuf> {
    let metadata = MetadataCommand::new()
        .manifest_path(step::root().join("fuzz/Cargo.toml"))
        .no_deps()
        .exec()?;
    Ok(metadata.target_directory.into_std_path_buf())
}

fn host_triple() -> Result<String> {
    let text = step::output(Command::new("rustc").arg("-vV").current_dir(step::root()))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("rustc -vV names no host")?.to_owned())
}

/// Runs one target: what it learned last time and the committed seeds first, then whatever it makes of them.
fn fuzz(program: &Path, name: &str, seconds: u32) -> Result<Outcome> {
    let folder = target_folder()?;
    let corpus = folder.join("corpus").join(name);
    let artifacts = folder.join("artifacts").join(name);
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = Command::new(program);
    command
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .arg(format!("-timeout={INPUT_S}"))
        .arg(format!("-rss_limit_mb={INPUT_MB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1");
    let seeds = step::root().join("fuzz/seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let outcome = Outcome::of(&log)
        .with_context(|| format!("{name} ended with {}:\n{log}", output.status))?;
    ensure!(
        output.status.success() || outcome.crash.is_some(),
        "{name} ended with {}:\n{log}",
        output.status
    );
    Ok(outcome)
}

impl Outcome {
    /// Reads libFuzzer's log.
    fn of(log: &str) -> Result<Self> {
        let field = |line: &str, name: &str| -> Option<u64> {
            let mut words = line.split_whitespace();
            words.find(|word| *word == name)?;
            words.next()?.split('/').next()?.parse().ok()
        };
        let last = |name: &str| log.lines().rev().find_map(|line| field(line, name));
        let edges = last("cov:").context("libFuzzer told no coverage")?;
        // A run that a crash ends early may tell no total.
        let begun = || {
            let rest = log.lines().rev().find_map(|line| line.strip_prefix('#'))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let executions = last("stat::number_of_executed_units:")
            .or_else(begun)
            .context("libFuzzer told no number of executions")?;
        let marker = "Test unit written to ";
        let crash = log.lines().find_map(|line| {
            let (_, path) = line.split_once(marker)?;
            Some((PathBuf::from(path.trim()), cause(log)))
        });
        Ok(Self {
            executions,
            edges,
            corpus: last("corp:").unwrap_or(0),
            crash,
        })
    }

    fn row(&self, name: &str, time: Duration) -> String {
        format!(
            "{name:<16}{:>12}{:>10.0}{:>8}{:>8}{:>9}",
            self.executions,
            self.executions as f64 / time.as_secs_f64().max(1e-3),
            self.edges,
            self.corpus,
            u32::from(self.crash.is_some())
        )
    }
}

/// The line that says why: of a panic where it was and what it said, else libFuzzer's own.
fn cause(log: &str) -> String {
    let mut lines = log.lines();
    if let Some(place) = lines.find(|line| line.contains("panicked at ")) {
        let message = lines.next().unwrap_or_default();
        return format!("{} {message}", place.trim());
    }
    let own = log.lines().find(|line| line.contains("ERROR: libFuzzer:"));
    own.unwrap_or("libFuzzer does not say why")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
#3\tINITED cov: 11 ft: 12 corp: 2/3b exec/s: 0 rss: 30Mb
#262144\tpulse  cov: 42 ft: 61 corp: 17/120b lim: 8192 exec/s: 87381 rss: 55Mb
Done 401234 runs in 3 second(s)
stat::number_of_executed_units: 401234
stat::average_exec_per_sec:     100308
";

    const CRASHED: &str = "\
#3\tINITED cov: 11 ft: 12 corp: 2/3b exec/s: 0 rss: 30Mb

thread '<unnamed>' (77) panicked at /p/host/src/records/header.rs:12:5:
attempt to subtract with overflow
note: run with `RUST_BACKTRACE=1`
==77== ERROR: libFuzzer: deadly signal
artifact_prefix='/t/'; Test unit written to /t/crash-da39a3ee
stat::number_of_executed_units: 77
";

    #[test]
    fn a_quiet_run_is_summed_up() {
        let outcome = Outcome::of(QUIET).expect("a whole log");
        let expected = Outcome {
            executions: 401_234,
            edges: 42,
            corpus: 17,
            crash: None,
        };
        assert_eq!(outcome, expected);
        let row = outcome.row("monitor", Duration::from_secs(4));
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["monitor", "401234", "100308", "42", "17", "0"]);
    }

    #[test]
    fn a_crash_is_told_with_its_input_and_its_cause() {
        let outcome = Outcome::of(CRASHED).expect("a whole log");
        let (input, cause) = outcome.crash.expect("a crash");
        assert_eq!(input, Path::new("/t/crash-da39a3ee"));
        assert!(
            cause.contains("header.rs:12:5: attempt to subtract"),
            "{cause}"
        );
        let slow = CRASHED
            .replace("panicked at ", "")
            .replace("deadly signal", "timeout after 10 seconds");
        let outcome = Outcome::of(&slow).expect("a whole log");
        assert!(
            outcome
                .crash
                .expect("a crash")
                .1
                .contains("timeout after 10")
        );
    }

    #[test]
    fn a_program_without_counters_is_an_error() {
        assert!(Outcome::of("Segmentation fault\n").is_err());
    }

    #[test]
    fn every_target_has_a_file_and_is_found() {
        let targets = targets().expect("the fuzz workspace");
        assert!(targets.len() >= 6, "{targets:?}");
        for target in targets {
            let file = step::root().join(format!("fuzz/targets/{target}.rs"));
            assert!(file.is_file(), "{}", file.display());
        }
    }
}
