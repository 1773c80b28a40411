//! `heartlens compile`: a trained network in, a device image out.

use super::classify::inputs::inputs;
use super::guard::Guard;
use super::output::{Sink, write_file};
use crate::compile::beats::{self, Sample};
use crate::compile::calibrate::Compiled;
use crate::compile::source::Source;
use anyhow::Context;
use heartlens_core::model::{Task, ViewValues};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// Steps of the progress bar.
const STEPS: f64 = 1000.0;

/// Compile a trained network (ONNX) into a device image: int8 weights and activations, read in place from flash.
///
/// Ranges are measured on beats of the first lead of the records, of a strip network on its windows of half a minute - a third of the records, or of a single record's time,
/// is held out - and every rule for choosing them is tried: what agrees best with the float network on held-out beats is
/// taken. The same input gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens compile models/beat/model.onnx --calibrate models/demo/demo --out model.hlm
  heartlens compile models/beat/model.onnx --calibrate mitdb svdb --out model.hlm")]
pub(crate) struct Args {
    /// The network, as `heartlens-train export` writes it.
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// Records to calibrate on, or folders of them: reference annotations (`atr`) where there are, else detected beats.
    #[arg(long, required = true, num_args = 1.., value_name = "RECORD")]
    calibrate: Vec<PathBuf>,
    /// The device image to write.
    #[arg(long, value_name = "MODEL.hlm")]
    out: PathBuf,
    /// Write how it was made and how it compares with float, tensor by tensor; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let reads = args.calibrate.iter().chain([&args.model]);
    let guard = Guard::new(reads.map(PathBuf::as_path));
    guard.file("--out", &args.out)?;
    if let Some(json) = &args.json {
        guard.sink("--json", json)?;
    }
    let source = Source::read(&args.model)?;
    let bar = bar();
    let show = |message: &'static str, done: f64| {
        bar.set_message(message);
        bar.set_position((done * STEPS) as u64);
    };
    let records: Vec<PathBuf> = inputs(&args.calibrate)?
        .into_iter()
        .map(|input| input.path)
        .collect();
    let reading = |done| show("reading records", done);
    let compiled = match source.task() {
        Task::Beat => compile(
            args,
            &source,
            beats::draw(&records, reading)?,
            "beats",
            show,
        ),
        Task::Strip => {
            let sample = beats::draw_strips(&records, reading)?;
            compile(args, &source, sample, "windows", show)
        }
    }?;
    bar.finish_and_clear();
    write_file(&args.out, &compiled.image)?;
    if let Some(sink) = &args.json {
        let mut text = serde_json::to_vec_pretty(&compiled.report)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    if args.json == Some(Sink::Stdout) {
        eprint!("{}", compiled.report);
        Ok(())
    } else {
        Sink::Stdout.write(compiled.report.to_string().as_bytes())
    }
}

fn compile<V: ViewValues + Clone>(
    args: &Args,
    source: &Source,
    sample: Sample<V>,
    what: &str,
    show: impl Fn(&'static str, f64),
) -> anyhow::Result<Compiled> {
    let compiled = source
        .compile(&sample, &mut |message, done| show(message, done))
        .with_context(|| args.model.display().to_string())?;
    eprintln!(
        "{} records, {} {what}: {} to calibrate on, {} held out",
        sample.records,
        sample.beats,
        sample.calibration.len(),
        sample.held_out.len(),
    );
    Ok(compiled)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(STEPS as u64);
    match ProgressStyle::with_template("{msg:>26} {bar:40} {percent:>3} % {eta:>4} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
