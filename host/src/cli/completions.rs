//! `heartlens completions`: what a shell needs to complete verbs and flags.

use super::Cli;
use super::output::Sink;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions of a shell: verbs, flags and their values.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens completions bash > heartlens.bash

In bash, `. heartlens.bash` turns them on; zsh wants them as `_heartlens` in a folder of $fpath, and fish as
~/.config/fish/completions/heartlens.fish.")]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "heartlens", &mut script);
    Sink::Stdout.write(&script)
}
