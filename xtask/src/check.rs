//! `cargo xtask check`: what must hold of the sources before anything runs.

use crate::deep;
use crate::setup::{self, TARGETS};
use crate::step::{self, cargo, elapsed, output};
use crate::{dependencies, documents, environment::Environment, packages, web};
use anyhow::{Context as _, Result, bail};
use std::process::Command;
use std::time::Instant;

/// The boards of the firmware, each a feature.
const BOARDS: [&str; 3] = ["netduinoplus2", "nrf52840", "nrf52840,strips"];

/// All features of core.
const CORE_FEATURES: &str = "defmt,dsp,link,serde,simd,slots";

/// Systems that the command is compiled for beside this one, as far as a compiler alone can tell.
const SYSTEMS: [&str; 3] = [
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
];

/// Features of `heartlens` there: all but downloads, whose cryptography asks for a C library of the system.
const SYSTEM_FEATURES: &str = "cli,flac,ort,parquet,png,xml";

/// The licence checker, installed on demand: about five minutes on two cores.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// What `cargo xtask check` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask check --deep")]
pub(crate) struct Args {
    /// What looks for undefined behaviour, instead: Miri, sanitizers, cargo-careful, and the kernels on AArch64. Needs a nightly toolchain.
    #[arg(long)]
    deep: bool,
}

/// Runs every step, printing one line each with its time; a failing step also shows its output. The last line is the
/// verdict.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.deep {
        return deep::run();
    }
    let machine = setup::prepare();
    machine.require()?;
    println!();
    let mut report = Report::default();
    let environment = machine.environment.as_ref();

    report.step("format", || {
        quiet(cargo(".").args(["fmt", "--all", "--check"]))
    });
    report.step("format firmware", || {
        quiet(cargo("firmware").args(["fmt", "--all", "--check"]))
    });
    report.step("format fuzz", || {
        quiet(cargo("fuzz").args(["fmt", "--all", "--check"]))
    });
    for example in ["firmware/embassy", "firmware/ble"] {
        report.step(&format!("format {example}"), || {
            quiet(cargo(example).args(["fmt", "--check"]))
        });
    }
    report.step("format bindings for C", || {
        quiet(cargo("bindings/c").args(["fmt", "--check"]))
    });
    report.step("format bindings for the web", || {
        quiet(cargo("bindings/web").args(["fmt", "--all", "--check"]))
    });
    report.step("dependency rule", dependencies::check);
    report.step("tables as their JSON", documents::check);
    report.step("packages have their files", packages::described);
    report.step("tests from packaged files", packages::tested);
    for readme in ["README.md", "firmware/README.md"] {
        report.step(&format!("example of {readme} in an empty crate"), || {
            packages::readme_example(readme)
        });
    }

    for package in packages::PACKAGES {
        let mut alone = dependencies::features(package)?;
        alone.insert(0, String::new());
        for feature in &alone {
            let name = if feature.is_empty() {
                "no feature"
            } else {
                feature.as_str()
            };
            report.step(&format!("{package} with {name}"), || {
                quiet(
                    clippy(".")
                        .args(["-p", package, "--no-default-features"])
                        .args(["--features", feature, "--", "-D", "warnings"]),
                )
            });
        }
    }
    for target in TARGETS {
        for (name, features) in [("no feature", ""), ("all features", CORE_FEATURES)] {
            report.step(&format!("heartlens-core on {target} with {name}"), || {
                quiet(
                    clippy(".")
                        .args(["-p", "heartlens-core", "--lib", "--target", target])
                        .args(["--features", features, "--", "-D", "warnings"]),
                )
            });
        }
    }

    for target in TARGETS {
        report.step(&format!("nothing can panic on {target}"), || {
            quiet(
                cargo("firmware")
                    .args(["build", "--quiet", "--release", "--package"])
                    .args(["heartlens-no-panic", "--target", target]),
            )
            .context(
                "`heartlens_can_panic` undefined: something can panic; the feature `places` of \
                 heartlens-no-panic links, and `objdump -d` shows who calls core::panicking",
            )
        });
    }
    report.step("lints", || {
        quiet(crates(&mut clippy("."), environment).args(["--all-targets", "--", "-D", "warnings"]))
    });
    for target in SYSTEMS {
        report.step(&format!("lints the command for {target}"), || {
            system_lints(target)
        });
    }
    for board in BOARDS {
        report.step(&format!("lints firmware for {board}"), || {
            quiet(
                clippy("firmware")
                    .args(["--no-default-features", "--features", board])
                    .args(["--", "-D", "warnings"]),
            )
        });
    }
    for target in ["thumbv8m.main-none-eabihf", "riscv32imc-unknown-none-elf"] {
        report.step(&format!("lints other cores on {target}"), || {
            quiet(
                clippy("firmware")
                    .args(["--package", "heartlens-cores", "--target", target])
                    .args(["--", "-D", "warnings"]),
            )
        });
    }
    report.step("lints firmware's host side", || {
        // From the root, where firmware's default target does not apply.
        quiet(
            clippy(".")
                .args([
                    "--manifest-path",
                    "firmware/Cargo.toml",
                    "-p",
                    "qemu-runner",
                ])
                .args([
                    "-p",
                    "heartlens-firmware",
                    "--lib",
                    "--examples",
                    "--",
                    "-D",
                    "warnings",
                ]),
        )
    });
    report.step("lints firmware/embassy", || {
        example_lints("firmware/embassy", "qemu", "")
    });
    report.step("lints firmware/ble's host side", || {
        quiet(
            clippy(".")
                .args(["--manifest-path", "firmware/ble/Cargo.toml"])
                .args(["--all-targets", "--", "-D", "warnings"]),
        )
    });
    report.step_with(
        "firmware/ble on its board",
        bindgen_arguments(),
        |arguments| {
            example_lints("firmware/ble", "nrf52840", &arguments)?;
            quiet(
                cargo(".")
                    .args(["build", "--quiet", "--release"])
                    .args(["--manifest-path", "firmware/ble/Cargo.toml"])
                    .args(["--features", "nrf52840", "--target", TARGETS[0]])
                    .env("BINDGEN_EXTRA_CLANG_ARGS", arguments),
            )
        },
    );
    report.step("lints fuzz", || {
        quiet(clippy("fuzz").args(["--", "-D", "warnings"]))
    });
    report.step("lints bindings for C", || {
        quiet(clippy("bindings/c").args(["--all-targets", "--", "-D", "warnings"]))
    });
    report.step("lints bindings for the web", || {
        let deny = ["--", "-D", "warnings"];
        quiet(
            clippy("bindings/web")
                .args(["--target", web::TARGET, "--lib"])
                .args(deny),
        )?;
        quiet(
            clippy("bindings/web")
                .args(["--workspace", "--all-targets"])
                .args(deny),
        )
    });
    report.step("header for C as cbindgen writes it", || {
        quiet(
            cargo(".")
                .args([
                    "test",
                    "--quiet",
                    "--manifest-path",
                    "bindings/c/Cargo.toml",
                ])
                .args(["--test", "header"]),
        )
    });
    report.step("docs", || {
        quiet(
            crates(cargo(".").arg("doc"), environment)
                .arg("--no-deps")
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    if environment.is_none() {
        report.skip("lints and docs of trainer and tests", "libtorch is missing");
    }

    let deny =
        cargo_deny().with_context(|| format!("to get it: cargo install --locked {CARGO_DENY}"));
    report.step_with("licences and sources", deny, |()| {
        for manifest in [
            "Cargo.toml",
            "firmware/Cargo.toml",
            "fuzz/Cargo.toml",
            "bindings/c/Cargo.toml",
            "bindings/web/Cargo.toml",
            "firmware/embassy/Cargo.toml",
        ] {
            quiet(
                cargo(".")
                    .args(["deny", "--manifest-path", manifest])
                    .args(["check", "licenses", "bans", "sources"]),
            )
            .context(manifest)?;
        }
        Ok(())
    });
    report.verdict()
}

/// Lints of the command for another system. The C and the assembly in its crates are compiled by clang, which knows all of them.
fn system_lints(target: &str) -> Result<()> {
    let clang = Command::new("clang").arg("--version").output();
    if clang.is_err() {
        step::apt_get("clang")?;
    }
    quiet(
        Command::new("rustup")
            .args(["target", "add", target])
            .current_dir(step::root()),
    )?;
    let name = target.replace('-', "_");
    quiet(
        clippy(".")
            .args(["-p", "heartlens", "--no-default-features"])
            .args(["--features", SYSTEM_FEATURES, "--target", target])
            .args(["--", "-D", "warnings"])
            .env(format!("CC_{name}"), "clang")
            .env(format!("AR_{name}"), "ar")
            // Asked of Xcode otherwise. Nothing of a system is included.
            .env("SDKROOT", "/"),
    )
}

/// Lints of an example's program for its board, by the feature that builds it.
fn example_lints(folder: &str, feature: &str, bindgen: &str) -> Result<()> {
    // From the root, where firmware's default target does not apply.
    let mut lint = clippy(".");
    lint.args(["--manifest-path", &format!("{folder}/Cargo.toml")])
        .args(["--features", feature, "--target", TARGETS[0], "--bins"])
        .args(["--", "-D", "warnings"])
        .env("BINDGEN_EXTRA_CLANG_ARGS", bindgen);
    quiet(&mut lint)
}

/// What libclang, which makes the bindings to the Bluetooth controller, is told: where `stdint.h` for Arm is without a C library.
/// Gets libclang where it is not.
fn bindgen_arguments() -> Result<String> {
    let mut compiler = Command::new("arm-none-eabi-gcc");
    let folder = step::first_line(compiler.arg("-print-file-name=include"))?;
    let there = || {
        let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
        let mut names = libraries
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flat_map(|entries| entries.flatten())
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| is_libclang(&name))
    };
    if std::env::var_os("LIBCLANG_PATH").is_none() && !there() {
        step::apt_get("libclang1").context("libclang is missing, and LIBCLANG_PATH names none")?;
    }
    Ok(format!("-ffreestanding -isystem {folder}"))
}

/// Whether a file of this name is what bindgen loads: libclang itself, in any version, and not its part for C++.
fn is_libclang(name: &str) -> bool {
    let version = name.strip_prefix("libclang-");
    name.starts_with("libclang.so")
        || version.is_some_and(|version| {
            version.starts_with(|c: char| c.is_ascii_digit()) && version.contains(".so")
        })
}

pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn clippy(dir: &str) -> Command {
    let mut command = cargo(dir);
    command.arg("clippy");
    command
}

/// All crates, or those that need no libtorch where there is none.
fn crates<'a>(command: &'a mut Command, environment: Option<&Environment>) -> &'a mut Command {
    match environment {
        Some(environment) => environment.apply(command).arg("--workspace"),
        None => command.args([
            "-p",
            "heartlens-core",
            "-p",
            "heartlens-records",
            "-p",
            "heartlens",
            "-p",
            "xtask",
        ]),
    }
}

/// Installs cargo-deny where it is not.
fn cargo_deny() -> Result<()> {
    if quiet(cargo(".").args(["deny", "--version"])).is_ok() {
        return Ok(());
    }
    eprintln!("installing {CARGO_DENY}: about 5 minutes on 2 cores, once a machine");
    quiet(cargo(".").args(["install", "--locked", "--quiet", CARGO_DENY]))
}

/// What came of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

impl Report {
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        let started = Instant::now();
        let result = run();
        let time = elapsed(started.elapsed());
        match result {
            Ok(()) => {
                println!("{:<8}{name:<60}{time:>12}", "ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("{:<8}{name:<60}{time:>12}\n{error:#}", "FAILED");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// A step that needs a tool: where that is not `there`, it fails in CI and is skipped elsewhere.
    pub(crate) fn step_with<T>(
        &mut self,
        name: &str,
        there: Result<T>,
        run: impl FnOnce(T) -> Result<()>,
    ) {
        match there {
            Ok(tool) => self.step(name, || run(tool)),
            Err(error) if step::is_ci() => self.step(name, || Err(error)),
            Err(error) => self.skip(name, &format!("{error:#}")),
        }
    }

    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("{:<8}{name}: {reason}", "SKIPPED");
        self.skipped += 1;
    }

    pub(crate) fn verdict(self) -> Result<()> {
        if !self.failed.is_empty() {
            bail!(
                "{} of {} checks failed: {}",
                self.failed.len(),
                self.failed.len() + self.passed,
                self.failed.join(", ")
            );
        }
        println!("all {} checks hold, {} skipped", self.passed, self.skipped);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_part_for_cpp() {
        for name in [
            "libclang.so",
            "libclang.so.1",
            "libclang-14.so.14",
            "libclang-19.so.1",
        ] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclang-14.a", "libclangAST.so"] {
            assert!(!is_libclang(name), "{name}");
        }
    }

    #[test]
    fn one_failing_step_fails_the_whole_and_is_named() {
        let mut report = Report::default();
        report.step("good", || Ok(()));
        report.skip("absent", "no tool");
        report.step("bad", || bail!("no"));
        report.step("good too", || Ok(()));
        let error = report.verdict().expect_err("one step failed");
        assert_eq!(error.to_string(), "1 of 3 checks failed: bad");

        let mut report = Report::default();
        report.step("good", || Ok(()));
        assert!(report.verdict().is_ok());
    }
}
