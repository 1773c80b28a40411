//! The `heartlens-train` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    heartlens_trainer::cli::Cli::parse().run()
}
