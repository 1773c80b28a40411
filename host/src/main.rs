//! The `heartlens` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    heartlens::cli::Cli::parse().run()
}
