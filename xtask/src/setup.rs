//! `cargo xtask setup`: what a new machine lacks, got where it can be got.

use crate::cores;
use crate::environment::{self, Environment};
use crate::executors;
use crate::package;
use crate::python::Tools;
use crate::step;
use crate::web;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// The targets that core must build for: the smallest board with a floating-point unit, and one without atomics.
pub(crate) const TARGETS: [&str; 2] = ["thumbv7em-none-eabihf", "thumbv6m-none-eabi"];

/// What this machine can build and run.
#[derive(Debug)]
pub(crate) struct Machine {
    parts: Vec<Part>,
    /// libtorch and ONNX Runtime, with the compiler that binds them: needed by `trainer` and `tests`.
    pub(crate) environment: Option<Environment>,
    /// What builds and tests the wheel.
    pub(crate) python: Option<Tools>,
    /// Whether the firmware can be built and run.
    pub(crate) firmware: bool,
    /// Whether the viewer can be built and run.
    pub(crate) browser: bool,
}

/// One thing that the project's work needs.
#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Who needs it.
    purpose: &'static str,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It was here; with its version.
    Found(String),
    /// It was got just now; with its version.
    Installed(String),
    /// It cannot be had; why, and the command that would get it.
    Missing { reason: String, remedy: String },
}

impl State {
    fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Installed now, unless getting it failed.
    fn got(result: Result<String>, remedy: &str) -> Self {
        match result {
            Ok(version) => Self::Installed(version),
            Err(error) => Self::Missing {
                // The first line says what failed; the rest is the failing command's own output.
                reason: format!("{error:#}")
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                remedy: remedy.to_owned(),
            },
        }
    }
}

/// What `cargo xtask setup` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask setup --check")]
pub(crate) struct Args {
    /// Says what is missing and how to get it, and installs nothing. Exits with 1 where something is missing.
    #[arg(long)]
    check: bool,
}

/// `cargo xtask setup`. An error only where CI needs a part that cannot be had, or where `--check` finds one missing.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        let machine = look();
        let missing = machine.missing_names();
        if !missing.is_empty() {
            bail!("missing: {missing}; `cargo xtask setup` gets what can be got");
        }
        return Ok(());
    }
    let machine = prepare();
    machine.require()?;
    if machine.environment.is_some() {
        println!(
            "\nTo run cargo on trainer or tests by hand: . {}",
            script_path()?.display()
        );
    }
    Ok(())
}

/// Whether a missing part is got, or only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Get,
    Report,
}

impl Missing {
    /// A part that was not found: got now, or reported as missing with what gets it.
    fn part(self, remedy: &str, get: impl FnOnce() -> Result<String>) -> State {
        match self {
            Self::Get => State::got(get(), remedy),
            Self::Report => State::got(Err(anyhow::anyhow!("not found")), remedy),
        }
    }
}

/// Looks for every part and prints the table. Installs nothing.
pub(crate) fn look() -> Machine {
    machine(Missing::Report)
}

/// Looks for every part, gets what is missing and prints the table of what came of it.
pub(crate) fn prepare() -> Machine {
    machine(Missing::Get)
}

fn machine(missing: Missing) -> Machine {
    let mut parts = vec![part("Rust", "everything", rust())];
    let others = cores::targets().filter(|target| !TARGETS.contains(target));
    for target in TARGETS.into_iter().chain(others) {
        parts.push(part(
            target,
            "core and firmware on microcontrollers",
            rust_target(target, missing),
        ));
    }
    for target in package::targets().filter(|target| !TARGETS.contains(target)) {
        parts.push(part(
            target,
            "the package for C",
            rust_target(target, missing),
        ));
    }
    parts.push(part(
        "C++ compiler",
        "the trainer's bindings to libtorch",
        compiler(missing),
    ));
    let (libraries, environment) = libraries(missing);
    parts.push(part(
        "libtorch, ONNX Runtime",
        "trainer and tests",
        libraries,
    ));
    for (name, program, package) in [
        ("QEMU for Arm", "qemu-system-arm", "qemu-system-arm"),
        ("QEMU for RISC-V", "qemu-system-riscv32", "qemu-system-misc"),
    ] {
        parts.push(part(
            name,
            "firmware's tests",
            qemu(program, package, missing),
        ));
    }
    parts.push(part(
        "C compiler for Arm",
        "tests of bindings/c",
        arm_compiler(missing),
    ));
    parts.push(part(
        executors::AARCH64,
        "the suite of all executors",
        rust_target(executors::AARCH64, missing),
    ));
    for (name, program, package) in [
        ("QEMU's user mode", executors::QEMU_AARCH64, "qemu-user"),
        ("Valgrind", executors::VALGRIND, "valgrind"),
    ] {
        parts.push(part(
            name,
            "the suite of all executors",
            packaged(program, package, missing),
        ));
    }
    for name in ["cmake", "pkg-config"] {
        parts.push(part(
            name,
            "tests of the package for C",
            program(name, missing),
        ));
    }

    let (state, python) = python(missing);
    parts.push(part("Python's tools", "tests of bindings/python", state));
    parts.push(part(
        "Java",
        "Spark in tests of bindings/python",
        java(missing),
    ));
    parts.push(part(
        web::TARGET,
        "the viewer",
        rust_target(web::TARGET, missing),
    ));
    for (name, program, package) in [("Node", "node", "nodejs"), ("npm", "npm", "npm")] {
        parts.push(part(
            name,
            "the viewer's page",
            packaged(program, package, missing),
        ));
    }
    parts.push(part("Chromium", "tests of the viewer", chromium(missing)));

    let present = |name: &str| {
        parts
            .iter()
            .any(|part| part.name == name && !part.state.is_missing())
    };
    let machine = Machine {
        environment: environment.filter(|_| present("C++ compiler")),
        python,
        firmware: present(TARGETS[0]) && present("QEMU for Arm"),
        browser: [web::TARGET, "Node", "npm", "Chromium"]
            .into_iter()
            .all(present),
        parts,
    };
    print!("{}", machine.table());
    machine
}

impl Machine {
    /// Where CI runs, everything must be there: a part that is not would quietly leave its tests out.
    pub(crate) fn require(&self) -> Result<()> {
        let missing = self.missing_names();
        if step::is_ci() && !missing.is_empty() {
            bail!("CI needs every part, and lacks {missing}");
        }
        Ok(())
    }

    /// The names of the missing parts, separated by commas; empty where nothing is missing.
    pub(crate) fn missing_names(&self) -> String {
        let missing: Vec<_> = self.missing().map(|part| part.name).collect();
        missing.join(", ")
    }

    fn missing(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.state.is_missing())
    }

    /// One line a part, then one a missing part: what, why, and the command that gets it.
    fn table(&self) -> String {
        let mut table = format!("{:<24}{:<11}version\n", "part", "state");
        for part in &self.parts {
            let (state, version) = match &part.state {
                State::Found(version) => ("found", version.as_str()),
                State::Installed(version) => ("installed", version.as_str()),
                State::Missing { .. } => ("MISSING", "-"),
            };
            table.push_str(&format!("{:<24}{state:<11}{version}\n", part.name));
        }
        for part in &self.parts {
            if let State::Missing { reason, remedy } = &part.state {
                table.push_str(&format!(
                    "{} is missing ({}): {reason}; to get it: {remedy}\n",
                    part.name, part.purpose
                ));
            }
        }
        table
    }
}

fn part(name: &'static str, purpose: &'static str, state: State) -> Part {
    Part {
        name,
        purpose,
        state,
    }
}

fn rust() -> State {
    match step::first_line(Command::new("rustc").arg("--version")) {
        Ok(version) => State::Found(version),
        Err(error) => State::got(Err(error), "https://rustup.rs"),
    }
}

/// A target's standard library, looked for in the toolchain itself, so that one without rustup serves as well.
fn rust_target(target: &str, missing: Missing) -> State {
    let present = || -> Result<bool> {
        let sysroot = step::first_line(Command::new("rustc").args(["--print", "sysroot"]))?;
        Ok(Path::new(&sysroot)
            .join("lib/rustlib")
            .join(target)
            .join("lib")
            .is_dir())
    };
    if matches!(present(), Ok(true)) {
        return State::Found("with the toolchain".into());
    }
    let mut add = Command::new("rustup");
    add.args(["target", "add", target])
        .current_dir(step::root());
    let remedy = step::shown(&add);
    missing.part(&remedy, || {
        step::output(&mut add)?;
        if !present()? {
            bail!("`{remedy}` succeeded, but the toolchain in use still lacks the target");
        }
        Ok("with the toolchain".into())
    })
}

fn compiler(missing: Missing) -> State {
    let name = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let version = || step::first_line(Command::new(&name).arg("--version"));
    match version() {
        Ok(version) => State::Found(version),
        Err(_) => missing.part("apt-get install g++", || {
            step::apt_get("g++").and_then(|()| version())
        }),
    }
}

fn libraries(missing: Missing) -> (State, Option<Environment>) {
    let cache = match environment::cache() {
        Ok(cache) => cache,
        Err(error) => return (State::got(Err(error), "export XDG_CACHE_HOME=..."), None),
    };
    let result = match Environment::find(&cache) {
        Some(environment) => Ok((environment, false)),
        None if missing == Missing::Report => Err(anyhow::anyhow!("not found")),
        None => Environment::make(&cache),
    }
    .and_then(|(environment, downloaded)| {
        std::fs::write(script_path()?, environment.script())?;
        Ok((environment, downloaded))
    });
    match result {
        Ok((environment, true)) => (State::Installed(environment.versions()), Some(environment)),
        Ok((environment, false)) => (State::Found(environment.versions()), Some(environment)),
        Err(error) => {
            let remedy =
                "cargo xtask setup, with Python 3.10 or later, its venv module and PyPI in reach";
            (State::got(Err(error), remedy), None)
        }
    }
}

fn python(missing: Missing) -> (State, Option<Tools>) {
    if let Some(tools) = Tools::find() {
        return (State::Found(tools.version()), Some(tools));
    }
    let mut got = None;
    let remedy = "cargo xtask setup, with Python 3.11 or later, its venv module and PyPI in reach";
    let state = missing.part(remedy, || {
        let tools = Tools::make()?;
        let version = tools.version();
        got = Some(tools);
        Ok(version)
    });
    (state, got)
}

/// The shell lines that set the variables of [`Environment::apply`].
fn script_path() -> Result<std::path::PathBuf> {
    Ok(environment::cache()?.join("env.sh"))
}

fn qemu(program: &str, package: &str, missing: Missing) -> State {
    let version = || step::first_line(Command::new(program).arg("--version"));
    match version() {
        Ok(version) => State::Found(version),
        Err(_) => {
            let remedy = if cfg!(target_os = "macos") {
                "brew install qemu".to_owned()
            } else {
                format!("apt-get install {package}")
            };
            missing.part(&remedy, || step::apt_get(package).and_then(|()| version()))
        }
    }
}

/// A program that Debian and Homebrew have under its own name.
fn program(name: &'static str, missing: Missing) -> State {
    packaged(name, name, missing)
}

/// A program that Debian has in this package, and Homebrew under its own name or `node`'s.
fn packaged(program: &'static str, package: &'static str, missing: Missing) -> State {
    let version = || step::first_line(Command::new(program).arg("--version"));
    match version() {
        Ok(version) => State::Found(version),
        Err(_) => {
            let remedy = match (cfg!(target_os = "macos"), program) {
                (true, "npm") => "brew install node".to_owned(),
                (true, _) => format!("brew install {program}"),
                (false, _) => format!("apt-get install {package}"),
            };
            missing.part(&remedy, || step::apt_get(package).and_then(|()| version()))
        }
    }
}

fn chromium(missing: Missing) -> State {
    let version = || Some(web::browser()?.1);
    match version() {
        Some(version) => State::Found(version),
        None => missing.part(
            "apt-get install chromium, or HEARTLENS_CHROMIUM=PROGRAM",
            || {
                step::apt_get("chromium")?;
                version().context("chromium does not start")
            },
        ),
    }
}

fn java(missing: Missing) -> State {
    let version = || step::first_line(Command::new("java").arg("--version"));
    match version() {
        Ok(version) => State::Found(version),
        Err(_) => {
            let remedy = if cfg!(target_os = "macos") {
                "brew install openjdk@17"
            } else {
                "apt-get install openjdk-17-jre-headless"
            };
            missing.part(remedy, || {
                step::apt_get("openjdk-17-jre-headless").and_then(|()| version())
            })
        }
    }
}

fn arm_compiler(missing: Missing) -> State {
    let version = || step::first_line(Command::new("arm-none-eabi-gcc").arg("--version"));
    match version() {
        Ok(version) => State::Found(version),
        Err(_) => {
            let remedy = if cfg!(target_os = "macos") {
                "brew install arm-none-eabi-gcc"
            } else {
                "apt-get install gcc-arm-none-eabi"
            };
            missing.part(remedy, || {
                step::apt_get("gcc-arm-none-eabi").and_then(|()| version())
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_missing_why_and_what_gets_it() {
        let machine = Machine {
            parts: vec![
                part("Rust", "everything", State::Found("rustc 1.95.0".into())),
                part(
                    "QEMU for Arm",
                    "firmware's tests",
                    State::got(
                        Err(anyhow::anyhow!("not here, and no apt-get\nlong output")),
                        "brew install qemu",
                    ),
                ),
            ],
            environment: None,
            python: None,
            firmware: false,
            browser: false,
        };
        let table = machine.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert!(lines[1].starts_with("Rust") && lines[1].ends_with("found      rustc 1.95.0"));
        assert!(lines[2].contains("MISSING"));
        assert_eq!(
            lines[3],
            "QEMU for Arm is missing (firmware's tests): not here, and no apt-get; to get it: brew install qemu"
        );
        assert_eq!(machine.missing().count(), 1);
    }

    #[test]
    fn the_running_toolchain_is_found_and_an_unknown_target_is_not() {
        assert!(!rust().is_missing());
        assert!(rust_target("no-such-target", Missing::Get).is_missing());
    }

    #[test]
    fn a_check_reports_and_gets_nothing() {
        let state = Missing::Report.part("get it", || panic!("a check installs nothing"));
        assert!(
            matches!(state, State::Missing { ref remedy, .. } if remedy == "get it"),
            "{state:?}"
        );
        let state = Missing::Get.part("get it", || Ok("1.0".to_owned()));
        assert!(
            matches!(state, State::Installed(ref version) if version == "1.0"),
            "{state:?}"
        );
    }
}
