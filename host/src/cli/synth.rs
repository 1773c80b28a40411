//! `heartlens synth`: a synthetic record with reference annotations.

use super::guard::Guard;
use crate::evaluate::mapping;
use crate::synth::{Classes, Options, Recording};
use heartlens_core::class::Class;
use std::path::PathBuf;

/// Write a synthetic two-lead WFDB record with reference annotations (ECGSYN, McSharry et al. 2003, with ectopic
/// beats).
///
/// The record comes from no patient and says so. The same options give the same bytes on every machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens synth --out synthetic/demo --noise 24
  heartlens classify synthetic/demo")]
pub(crate) struct Args {
    /// The record to write: a folder, which is made where it is missing, and a name.
    #[arg(long, value_name = "DIR/NAME")]
    out: PathBuf,
    /// Length in minutes.
    #[arg(long, value_name = "M", default_value_t = 5.0)]
    minutes: f64,
    /// Names the record among all with the same options.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Classes of beats: N, and S (4 % of the beats) and V (6 %) where they are named.
    #[arg(long, value_name = "N,S,V", default_value_t)]
    classes: Classes,
    /// Add wander, muscle noise and mains hum, this many decibels below the ECG's power.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    noise: Option<f64>,
    /// Samples per second.
    #[arg(long, value_name = "HZ", default_value_t = 360.0)]
    rate: f64,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for extension in ["hea", "dat", "atr"] {
        let mut file = args.out.clone().into_os_string();
        file.push(".");
        file.push(extension);
        Guard::default().file("--out", file.as_ref())?;
    }
    let recording = Recording::generate(&Options {
        minutes: args.minutes,
        seed: args.seed,
        classes: args.classes,
        noise_db: args.noise,
        sample_rate_hz: args.rate,
    })?;
    recording.write(&args.out)?;
    let count = |class| {
        let of_class = |beat: &(_, Class)| beat.1 == class;
        mapping::beats(&recording.annotations)
            .filter(of_class)
            .count()
    };
    println!(
        "{}: synthetic, {} min at {} Hz, {} beats N, {} S, {} V",
        args.out.display(),
        args.minutes,
        args.rate,
        count(Class::N),
        count(Class::S),
        count(Class::V)
    );
    Ok(())
}
