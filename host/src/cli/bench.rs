//! `heartlens bench`: how fast is it here?

use super::classify::{RulesChoice, progress_bar};
use super::guard::Guard;
use super::model::ModelChoice;
use super::output::Sink;
use crate::bench::{self, Figures, Holter};
use crate::options::Options;
use crate::runtime::Kind;
use clap::Subcommand;
use heartlens_core::class::Class;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

/// Measure how fast this machine is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens bench holter --hours 0.1")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Holter(HolterArgs),
}

/// A synthetic day of one lead, from samples to labels.
///
/// The signal (ECGSYN with ectopic beats and noise, 128 Hz, 12-bit counts) is made and written to a temporary record
/// before the clock starts; what is measured is what `classify` does with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens bench holter --hours 0.5 --threads 2 --json holter.json")]
struct HolterArgs {
    /// Length of the signal in hours.
    #[arg(long, value_name = "H", default_value_t = 24.0)]
    hours: f64,
    /// Names the signal among all of this length.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads: the results are the same to the bit.
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    #[command(flatten)]
    model: ModelChoice,
    /// What runs the network.
    #[arg(long, value_enum, default_value_t = Kind::ALL[0])]
    runtime: Kind,
    /// What the rhythm does to the classes.
    #[arg(long, value_enum, alias = "rhythm", default_value_t = RulesChoice::Strip)]
    rules: RulesChoice,
    /// Write the figures as one object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let What::Holter(args) = &args.what;
    if let Some(json) = &args.json {
        Guard::default().sink("--json", json)?;
    }
    let model = args.model.load()?;
    let options = Options {
        rules: args.rules.rules(),
        runtime: args.runtime,
        threads: Some(args.threads),
        ..Options::default()
    };
    // What a runtime does once is done before the clock starts.
    model.keep(args.runtime, model.network(args.runtime)?);

    let bar = progress_bar(1000.0);
    bar.set_message("signal");
    let day = Holter::synthesise(args.hours, args.seed, |done| {
        bar.set_position((1000.0 * done) as u64);
    })?;
    bar.set_message("beats");
    let figures = bench::holter(&day, &model, &options, |done| {
        bar.set_position((1000.0 * done) as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();

    if let Some(sink) = &args.json {
        let mut text = serde_json::to_vec_pretty(&figures)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    let table = table(&figures)?;
    if args.json == Some(Sink::Stdout) {
        eprint!("{table}");
        Ok(())
    } else {
        Sink::Stdout.write(table.as_bytes())
    }
}

fn table(figures: &Figures) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let spent = figures.seconds * figures.threads as f64;
    writeln!(
        out,
        "{} h of one lead in {:.2} s: {:.0} times as fast as it was recorded; {} beats, {} in {} thread{}\n",
        figures.hours,
        figures.seconds,
        figures.realtime_factor,
        figures.beats,
        figures.runtime,
        figures.threads,
        if figures.threads == 1 { "" } else { "s" },
    )?;
    writeln!(
        out,
        "  {:<38} {:>9} {:>7} {:>10}",
        "stage, all threads", "seconds", "share", "us a beat"
    )?;
    let stages = &figures.stages;
    for (name, seconds) in [
        ("reading the record", stages.reading),
        ("filter, quality, R peaks, windows", stages.monitor),
        ("views", stages.views),
        ("network", stages.network),
        ("rhythm, labels", stages.rhythm),
        ("waiting", stages.rest),
    ] {
        writeln!(
            out,
            "  {name:<38} {seconds:>9.3} {:>5.1} % {:>10.2}",
            100.0 * seconds / spent,
            1e6 * seconds / figures.beats.max(1) as f64,
        )?;
    }
    writeln!(out)?;
    for class in Class::ALL {
        let count = figures.classes.get(class.name()).unwrap_or(&0);
        write!(out, "  {class} {count}")?;
    }
    writeln!(out)?;
    match figures.peak_rss_bytes {
        Some(bytes) => writeln!(
            out,
            "  peak memory of the process: {:.0} MB",
            bytes as f64 / 1e6
        )?,
        None => writeln!(out, "  peak memory: this system does not say")?,
    }
    Ok(out)
}
