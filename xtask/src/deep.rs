//! `cargo xtask check --deep`: what looks for undefined behaviour, and what takes a nightly toolchain.
//!
//! The `unsafe` blocks are of four kinds, and each is run under what can watch it: plain records that are read in place (Miri), the
//! kernels for x86-64 (AddressSanitizer: Miri knows too few of their instructions), the library for C (AddressSanitizer and
//! UndefinedBehaviorSanitizer around a program in C), and the kernels for Armv7E-M, in assembly, which only QEMU runs: `cargo xtask
//! test` holds their bits.

use crate::check::{Report, quiet};
use crate::executors::{AARCH64, QEMU_AARCH64};
use crate::setup;
use crate::step::{self, cargo, root};
use anyhow::{Context as _, Result};
use std::process::Command;

/// Where Miri interprets: 32 bits wide, as the device; and a machine without any of `libm`'s assembly.
const MIRI_TARGET: &str = "armv7-unknown-linux-gnueabihf";
/// Of core's own tests, those that Miri interprets within seconds and that reach records read in place, images, slots and kernels.
const MIRI: [&str; 8] = [
    "bytes",
    "crc",
    "model::",
    "nn::",
    "rhythm::network",
    "sample",
    "slots",
    "window",
];
/// Reads every pair of bytes: an hour in Miri.
const MIRI_SKIPPED: &str = "utf_8_is_what_the_library_says";
const MIRI_OF_FILES: [&str; 2] = ["a_confirmation_that_failed", "every_reference_value"];
/// Features of core there: those without vector instructions.
const MIRI_FEATURES: &str = "link,serde,slots";

/// Checks the standard library's own assertions as well.
const CARGO_CAREFUL: &str = "cargo-careful@0.4.10";

/// Sanitizers take no target that is left to choose.
const X86_64: &str = "x86_64-unknown-linux-gnu";

/// Runs every step as `cargo xtask check` does.
pub(crate) fn run() -> Result<()> {
    setup::prepare().require()?;
    println!();
    let mut report = Report::default();
    match nightly() {
        Ok(()) => {
            report.step("core in Miri", miri);
            report.step(
                "reference values of operators, and slots, in Miri",
                miri_of_files,
            );
            report.step("networks that are built in, in Miri", miri_of_images);
            report.step("kernels for x86-64 under AddressSanitizer", sanitized);
            report.step_with("records and host under cargo-careful", careful(), |()| {
                quiet(
                    on_nightly(".")
                        .args(["careful", "test", "--quiet", "--lib"])
                        .args(["-p", "heartlens-records", "-p", "heartlens"])
                        .arg("--no-default-features")
                        .env("CARGO_TARGET_DIR", root().join("target/careful")),
                )
            });
        }
        error => report.step_with("Miri, AddressSanitizer, cargo-careful", error, Ok),
    }
    report.step("bindings for C under sanitizers", || {
        quiet(
            cargo(".")
                .args(["test", "--quiet", "--manifest-path"])
                .args(["bindings/c/Cargo.toml", "--test", "c", "under_sanitizers"]),
        )
    });
    let qemu = step::first_line(Command::new(QEMU_AARCH64).arg("--version"));
    report.step_with("core's bits on AArch64", qemu, |_| aarch64());
    report.verdict()
}

/// A cargo of the nightly toolchain.
fn on_nightly(dir: &str) -> Command {
    let mut command = Command::new("cargo");
    // This program runs under the pinned toolchain's cargo, which tells its children so.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command.arg("+nightly").current_dir(root().join(dir));
    command
}

/// Gets Miri and the standard library's sources where they are not.
fn nightly() -> Result<()> {
    let there = quiet(on_nightly(".").args(["miri", "--version"]));
    if there.is_ok() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    rustup.args(["--component", "miri", "--component", "rust-src"]);
    quiet(&mut rustup).context("no nightly toolchain with Miri")
}

/// Installs cargo-careful where it is not.
fn careful() -> Result<()> {
    // It has no `--version`; that it starts is enough.
    if Command::new("cargo-careful").output().is_ok() {
        return Ok(());
    }
    eprintln!("installing {CARGO_CAREFUL}: half a minute, once a machine");
    quiet(cargo(".").args(["install", "--locked", "--quiet", CARGO_CAREFUL]))
}

fn miri_test() -> Command {
    let mut miri = on_nightly(".");
    miri.args(["miri", "test", "--quiet", "--target", MIRI_TARGET])
        // Reference values are read from files.
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("CARGO_TARGET_DIR", root().join("target/miri"));
    miri
}

fn miri_of_core() -> Command {
    let mut miri = miri_test();
    miri.args(["-p", "heartlens-core", "--no-default-features"])
        .args(["--features", MIRI_FEATURES]);
    miri
}

fn miri() -> Result<()> {
    quiet(
        miri_of_core()
            .args(["--lib", "--"])
            .args(MIRI)
            .args(["--skip", MIRI_SKIPPED]),
    )
}

/// Operators of every kind, and a model that is written to a slot and read in place. Of the slots' tests one: each takes most of a minute.
fn miri_of_files() -> Result<()> {
    quiet(
        miri_of_core()
            .args(["--test", "nn", "--test", "slots", "--"])
            .args(MIRI_OF_FILES),
    )
}

/// The shipped networks, as a device has them in flash.
fn miri_of_images() -> Result<()> {
    quiet(
        miri_test()
            .args(["--manifest-path", "firmware/Cargo.toml"])
            .args(["-p", "heartlens-firmware", "--lib", "--", "built_in"]),
    )
}

/// All kernels of this processor, random shapes and sizes, against the portable ones.
fn sanitized() -> Result<()> {
    quiet(
        on_nightly(".")
            .args(["test", "--quiet", "--release", "--target", X86_64])
            .args(["-p", "heartlens-core", "--features", "simd", "--lib", "--"])
            .args(["nn::x86", "views", "rhythm::"])
            .env("RUSTFLAGS", "-Zsanitizer=address -Cdebug-assertions")
            .env("CARGO_TARGET_DIR", root().join("target/asan")),
    )
}

/// Core's own tests and its reference values where there are neither the kernels for x86-64 nor those for Armv7E-M.
fn aarch64() -> Result<()> {
    quiet(
        cargo(".")
            .args([
                "test",
                "--quiet",
                "-p",
                "heartlens-core",
                "--target",
                AARCH64,
            ])
            .args(["--features", "link,serde,simd,slots"])
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER",
                QEMU_AARCH64,
            ),
    )
}
