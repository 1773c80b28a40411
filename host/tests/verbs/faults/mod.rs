//! What happens to a machine while the command works: it is killed, its disk is full, a share does not answer, a folder holds ten
//! thousand records, the clock is wrong. Results are whole or absent, and the same command goes on to the same bytes.
//!
//! `cargo xtask faults` runs these tests with more kills and more records ([`kills`], [`many`]), and prints the lines that begin
//! with `held: `.
#![allow(clippy::unwrap_used)]

mod clock;
mod disk;
mod killed;
mod many;
mod pipes;
#[cfg(target_os = "linux")]
mod share;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn root() -> PathBuf {
    let crate_ = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_.parent().unwrap().to_owned()
}

fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heartlens"));
    command.args(args).current_dir(root());
    command
}

fn heartlens<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    command(args).output().unwrap()
}

fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Expects exit code 1 and a message, on one line, that has all of `parts` and does not name a temporary file.
fn refused(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: "), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains(".heartlens-"), "{said}");
}

/// Says what held, in a line that `cargo xtask faults` passes on.
fn held(fault: &str, since: Instant, what: &str) {
    println!(
        "held: {fault}: {:.1} s: {what}",
        since.elapsed().as_secs_f64()
    );
}

fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// A number that the environment gives, or else this one.
fn told(variable: &str, or: u64) -> u64 {
    let told = std::env::var(variable).ok();
    told.map_or(or, |told| told.parse().unwrap())
}

/// How often each command is killed.
fn kills() -> usize {
    told("HEARTLENS_FAULT_KILLS", 3) as usize
}

/// Moments from a seed that is printed, so that they can be had again.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = told("HEARTLENS_FAULT_SEED", u64::from(now.subsec_nanos()));
        println!("HEARTLENS_FAULT_SEED={seed}");
        Self(seed)
    }

    /// A share of this time (SplitMix64).
    fn within(&mut self, whole: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        whole.mul_f64((z >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Names and contents of all files below a folder, hidden ones included.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    contents(folder).into_keys().collect()
}

/// A folder with synthetic records of these names and minutes.
fn records(names: &[&str], minutes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (seed, name) in (1..).zip(names) {
        let seed = seed.to_string();
        let args = [
            "synth",
            "--noise",
            "20",
            "--minutes",
            minutes,
            "--seed",
            &seed,
            "--out",
        ];
        let path = folder.path().join(name);
        done(&heartlens(
            args.iter().map(OsStr::new).chain([path.as_os_str()]),
        ));
    }
    folder
}

/// A file system that is mounted here for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    /// `mount ARGUMENTS FOLDER`; says why the test is skipped where that is not allowed.
    fn new(arguments: &[&str], folder: &Path, stdin: Stdio) -> Option<Self> {
        let mut mount = Command::new("mount");
        let output = mount.args(arguments).arg(folder).stdin(stdin).output();
        match output {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                skipped(&format!("mount {}: {}", arguments.join(" "), said.trim()));
                None
            }
            Err(error) => {
                skipped(&format!("mount: {error}"));
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
