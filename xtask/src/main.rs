//! The one command surface of the workshop: `cargo xtask VERB`.
//!
//! It builds on std and a handful of small crates alone and knows none of the project's own, so that a fresh clone
//! has it within seconds and it can judge all of them.

mod bench;
mod check;
mod compare;
mod cores;
mod costs;
mod cycles;
mod deep;
mod dependencies;
mod documents;
mod environment;
mod executors;
mod faults;
mod fuzz;
mod kernels;
mod package;
mod packages;
mod python;
mod qemu;
mod replay;
mod scale;
mod setup;
mod size;
mod step;
mod strips;
mod tally;
mod test;
mod web;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The one command surface of the workshop.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Gets whatever this machine lacks, and says plainly what it cannot get.
    Setup(setup::Args),
    /// Runs every test of every crate, the firmware in QEMU included. Calls `setup` where something is missing.
    Test(test::Args),
    /// Format, lints, docs, licences, no_std targets, features one by one, packages, README's example.
    Check(check::Args),
    /// Writes the tables of README, docs and cards anew, each from its JSON.
    Documents(documents::Args),
    /// Runs the firmware in QEMU and compares what it computes with this machine, bit for bit.
    Qemu(qemu::Args),
    /// Runs the same cases through everything that runs the network, and compares all with one snapshot.
    Executors(executors::Args),
    /// What a wearable's calls take on an nRF52840, in cycles, beside the instructions counted in QEMU. Not run on hardware yet.
    Cycles(cycles::Args),
    /// Times a record through Python's packages and through Heartlens, and runs the crates' benchmarks.
    Bench(bench::Args),
    /// Measures Python's packages for the ECG beside the wheel: sizes, imports, R peaks. Writes docs/compare.json.
    Compare(compare::Args),
    /// Runs every fuzz target in turn.
    Fuzz(fuzz::Args),
    /// Kills every command twenty times, fills disks, stalls shares, classifies ten thousand records and two weeks of signal.
    Faults(faults::Args),
    /// What the firmware takes of each board's flash and RAM, the deepest stack included.
    Size(size::Args),
    /// Writes what others install to target/package.
    Package(package::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Setup(args) => setup::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Documents(args) => documents::run(&args),
        Verb::Qemu(args) => qemu::run(&args),
        Verb::Executors(args) => executors::run(&args),
        Verb::Cycles(args) => cycles::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::Fuzz(args) => fuzz::run(&args),
        Verb::Faults(args) => faults::run(&args),
        Verb::Size(args) => size::run(&args),
        Verb::Package(args) => package::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
