//! The `heartlens` command.

use clap::Parser as _;
use heartlens::cli::Cli;
use pyo3::prelude::*;

/// Run the ``heartlens`` command with these arguments, the program's name first, and give its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<String>) -> u8 {
    py.detach(|| match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.status(),
        // Help and version are no errors.
        Err(error) => match error.print() {
            Ok(()) => u8::try_from(error.exit_code()).unwrap_or(2),
            Err(_) => 2,
        },
    })
}
