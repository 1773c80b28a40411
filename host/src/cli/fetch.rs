//! `heartlens fetch`: data bases from PhysioNet.

use crate::fetch::{self, Database, Event, Options, PHYSIONET};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Download data bases from PhysioNet, each file checked against the published SHA-256.
///
/// What is there and whole stays, and a file that was cut is taken up where it ended: run the command again to go on. A
/// proxy is taken from HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, and NO_PROXY is heeded. The data bases are published under
/// the Open Data Commons Attribution License.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens fetch mitdb nstdb --out data
  heartlens evaluate data/mitdb")]
pub(crate) struct Args {
    /// The data bases.
    #[arg(required = true, value_enum, value_name = "DATABASE")]
    databases: Vec<Database>,
    /// The folder in which each gets a folder of its own.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What the addresses begin with, for a mirror of PhysioNet's files.
    #[arg(long, value_name = "URL", default_value = PHYSIONET)]
    from: String,
    /// Files fetched at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    connections: u16,
    /// Seconds that a connection may stay silent.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
    /// Attempts in a row that bring nothing new, before a file is given up.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    attempts: u16,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let options = Options {
        from: args.from.clone(),
        timeout: Duration::from_secs(args.timeout.into()),
        attempts: args.attempts.into(),
        connections: args.connections.into(),
        ..Options::default()
    };
    for &database in &args.databases {
        let bar = bar(database);
        let received = AtomicU64::new(0);
        let result = fetch::fetch(database, &args.out, &options, &|event| match event {
            Event::Planned { files } => bar.set_length(*files as u64),
            Event::Received { bytes } => {
                let total = received.fetch_add(*bytes, Ordering::Relaxed) + bytes;
                bar.set_message(megabytes(total));
            }
            Event::Whole { .. } => bar.inc(1),
            Event::Again { url, cause } => {
                bar.suspend(|| eprintln!("{url}: {cause}; trying again"));
            }
        });
        bar.finish_and_clear();
        let summary = result?;
        println!(
            "{}: {} files whole, {} of them before; {} received",
            args.out.join(database.name()).display(),
            summary.files,
            summary.already,
            megabytes(summary.bytes),
        );
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A bar over files; silent where standard error is no terminal.
fn bar(database: Database) -> ProgressBar {
    let template = "{prefix:>12} {bar:40} {pos} of {len} files, {msg}, {eta} left";
    let bar = ProgressBar::new(0).with_prefix(database.name());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
