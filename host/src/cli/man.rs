//! `heartlens man`: manual pages, one a verb.

use super::Cli;
use super::output::write_file;
use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;
use std::path::PathBuf;

/// Write the manual pages, one for the command and one for each verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens man --out man/man1

`man -l man/man1/heartlens.1` shows the first.")]
pub(crate) struct Args {
    /// The folder to write into; it is made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut command = Cli::command().disable_help_subcommand(true);
    // The names in full, `heartlens-classify`, are those of the pages.
    command.build();
    let mut pages = vec![command];
    while let Some(command) = pages.pop() {
        pages.extend(command.get_subcommands().cloned());
        let page = Man::new(command);
        let path = args.out.join(page.get_filename());
        let mut text = Vec::new();
        page.render(&mut text)?;
        write_file(&path, &text)?;
        println!("{}", path.display());
    }
    Ok(())
}
