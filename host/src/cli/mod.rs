//! The `heartlens` command: one file a verb, each with its clap `Args` and a `run`.

mod bench;
mod classify;
mod compare;
mod compile;
mod completions;
mod convert;
mod device;
mod doctor;
mod evaluate;
mod false_alarms;
#[cfg(feature = "fetch")]
mod fetch;
mod guard;
mod inspect;
mod interrupt;
mod man;
mod model;
mod output;
mod plot;
mod synth;
mod view;

use crate::engine::Stop;
use crate::message::{is_broken_pipe, one_line};
use crate::model::Model;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads an ECG through four views - waveform, spectrum, spectrogram and what surrounds the beat - and classifies
/// its beats.
///
/// Research software. Not a medical device: not for diagnosis, monitoring or any clinical decision.
#[derive(Debug, Parser)]
#[command(name = "heartlens", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Classify(classify::Args),
    Compare(compare::Args),
    Compile(compile::Args),
    Convert(convert::Args),
    Device(device::Args),
    Evaluate(evaluate::Args),
    Inspect(inspect::Args),
    Plot(plot::Args),
    Synth(synth::Args),
    View(view::Args),
    Bench(bench::Args),
    #[cfg(feature = "fetch")]
    Fetch(fetch::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Runs the verb. Exit code 0: done. 1: the input or the model is at fault, said in one line on stderr. 130:
    /// interrupted (Ctrl-C). (2, wrong usage, is clap's and never comes from here.) A reader that closes our pipe is
    /// success.
    pub fn run(self) -> ExitCode {
        self.status().into()
    }

    /// As [`Cli::run`], for a caller that ends the process itself: the exit code as a number.
    pub fn status(self) -> u8 {
        interrupt::heed();
        let result: anyhow::Result<()> = match &self.verb {
            Verb::Classify(args) => classify::run(args),
            Verb::Compare(args) => compare::run(args),
            Verb::Compile(args) => compile::run(args),
            Verb::Convert(args) => convert::run(args),
            Verb::Device(args) => device::run(args),
            Verb::Evaluate(args) => evaluate::run(args),
            Verb::Inspect(args) => inspect::run(args),
            Verb::Plot(args) => plot::run(args),
            Verb::Synth(args) => synth::run(args),
            Verb::View(args) => view::run(args),
            Verb::Bench(args) => bench::run(args),
            #[cfg(feature = "fetch")]
            Verb::Fetch(args) => fetch::run(args),
            Verb::Doctor(args) => doctor::run(args),
            Verb::Completions(args) => completions::run(args),
            Verb::Man(args) => man::run(args),
        };
        match result {
            Ok(()) => 0,
            Err(error) if is_broken_pipe(error.as_ref()) => 0,
            Err(error) => {
                eprintln!("error: {}", one_line(error.as_ref()));
                match error.is::<Interrupted>() {
                    true => EXIT_INTERRUPTED,
                    false => 1,
                }
            }
        }
    }
}

/// The records that are meant by these paths, as `classify` takes them: each one's name and path. A folder means all records in it
/// and below, by name; their names are those of their files without extension, below that folder.
///
/// # Errors
/// When a folder cannot be read, or holds no record.
pub fn records_of(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let inputs = classify::inputs::inputs(paths)?;
    Ok(inputs.into_iter().map(|i| (i.name, i.path)).collect())
}

/// The figures of `heartlens evaluate` for a program: those of its `--json`, and its warnings. `arguments` are the verb's, without
/// `--model`; `begun` hears what ends the work.
///
/// # Errors
/// As the verb.
pub fn evaluate(
    arguments: &[String],
    model: &Model,
    begun: &dyn Fn(Stop),
) -> anyhow::Result<(serde_json::Value, Vec<String>)> {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Alone {
        #[command(flatten)]
        args: evaluate::Args,
    }
    let Alone { args } = Alone::try_parse_from(arguments)?;
    let mut asked = evaluate::Asked {
        program: Some(evaluate::Program {
            model: model.clone(),
            begun,
        }),
        ..evaluate::Asked::default()
    };
    evaluate::evaluate(&args, &mut asked)?;
    Ok((asked.figures, asked.warnings))
}

/// What a shell makes of a program that Ctrl-C ended: 128 and the number of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// A verb that Ctrl-C ended, and what it left undone.
#[derive(Debug, thiserror::Error)]
#[error("interrupted: {undone}")]
struct Interrupted {
    undone: String,
}
