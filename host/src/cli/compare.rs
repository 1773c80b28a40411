//! `heartlens compare`: the same beats through every runtime.

use super::classify::inputs::inputs;
use super::classify::progress_bar;
use super::guard::Guard;
use super::model::ModelChoice;
use super::output::Sink;
use crate::engine::{Pool, Seen};
use crate::model::Model;
use crate::options::Options;
use crate::records::Record;
use crate::runtime::comparison::{Agreement, Comparison, LayerComparison, LayerDifference};
use crate::runtime::{Kind, Logits, ModelError, Runtime};
use anyhow::bail;
use heartlens_core::views::Views;
use serde::Serialize;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Compare what each runtime says of the same beats: those that `classify` finds in lead 0.
///
/// A runtime that this machine lacks is named on standard error and left out. Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens compare models/demo
  heartlens compare mitdb/208 mitdb/119 --json agreement.json
  heartlens compare models/demo --layers")]
pub(crate) struct Args {
    /// Records, or folders: all records in them and below.
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelChoice,
    /// Threads that work [default: one a core].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Show layer by layer where two runtimes part.
    #[arg(long)]
    layers: bool,
    /// Write all figures as one object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// What `--json` writes.
#[derive(Serialize)]
struct Figures {
    beats: usize,
    model: String,
    records: Vec<String>,
    pairs: Vec<Agreement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Layers>>,
}

/// Two runtimes, layer by layer.
#[derive(Serialize)]
struct Layers {
    a: &'static str,
    b: &'static str,
    layers: Vec<LayerDifference>,
}

/// Runs the verb. Nothing is written before every record has been compared.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(json) = &args.json {
        Guard::new(args.records.iter().map(PathBuf::as_path)).sink("--json", json)?;
    }
    let records = inputs(&args.records)?
        .iter()
        .map(|input| Record::open(&input.path))
        .collect::<Result<Vec<_>, _>>()?;
    let model = args.model.load()?;
    let mut runtimes = load(&model)?;
    let mut comparison =
        Comparison::new(runtimes.iter().map(|(_, network)| network.name()).collect());
    let mut layers = args.layers.then(|| LayerTables::new(&runtimes));

    let whole_s: f64 = records.iter().map(Record::duration_s).sum();
    let progress = progress_bar(whole_s * runtimes.len() as f64);
    let mut done_s = 0.0;
    for record in &records {
        progress.set_message(record.name().to_owned());
        let mut logits: Vec<Vec<Logits>> = Vec::new();
        for place in 0..runtimes.len() {
            let options = Options {
                runtime: runtimes[place].0,
                threads: args.threads,
                ..Options::default()
            };
            let go_on = &mut |done: f64| {
                progress.set_position((done_s + done * record.duration_s()) as u64);
                ControlFlow::Continue(())
            };
            // Every runtime sees the same beats: the layers of all of them are asked for once.
            let mut failed = None;
            let mut see = |seen: Seen<'_>| {
                if let (Some(layers), Some(views), None) =
                    (&mut layers, seen.views.first(), &failed)
                {
                    failed = layers.add(&mut runtimes, views).err();
                }
            };
            let analysis =
                Pool::new(&model, &options).one(|worker| match args.layers && place == 0 {
                    true => worker.classify_watched(record, &options, go_on, &mut see),
                    false => worker.classify(record, &options, go_on),
                })?;
            if let Some(error) = failed {
                return Err(error);
            }
            logits.push(analysis.beats.iter().map(|beat| beat.logits).collect());
            done_s += record.duration_s();
        }
        comparison.add(&logits);
    }
    progress.finish_and_clear();
    if comparison.beats() == 0 {
        bail!("no beats were found in {} records", records.len());
    }

    let figures = Figures {
        beats: comparison.beats(),
        model: model.name().to_owned(),
        records: records.iter().map(|r| r.name().to_owned()).collect(),
        pairs: comparison.agreements(),
        layers: layers.map(LayerTables::finish),
    };
    if let Some(sink) = &args.json {
        let mut text = serde_json::to_vec_pretty(&figures)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    let text = describe(&figures)?;
    if args.json == Some(Sink::Stdout) {
        eprint!("{text}");
        Ok(())
    } else {
        Sink::Stdout.write(text.as_bytes())
    }
}

/// Every runtime that can run the model, and its network; those that this machine lacks are named.
fn load(model: &Model) -> anyhow::Result<Vec<(Kind, Box<dyn Runtime>)>> {
    let mut runtimes = Vec::new();
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        match model.network(*kind) {
            Ok(network) => runtimes.push((*kind, network)),
            Err(
                error @ (ModelError::Library { .. }
                | ModelError::NotCompiled { .. }
                | ModelError::Unreadable { .. }),
            ) => {
                missing.push((kind, error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if runtimes.is_empty()
        && let Some((_, error)) = missing.pop()
    {
        return Err(error.into());
    }
    let lines = missing
        .iter()
        .map(|(kind, error)| format!("{kind} is left out: {error}"));
    let lines: Vec<String> = lines.collect();
    if let [(only, _)] = &runtimes[..] {
        bail!(
            "only {only} is there, and two are needed to compare; {}",
            lines.join("; ")
        );
    }
    for line in lines {
        eprintln!("warning: {line}");
    }
    Ok(runtimes)
}

/// The layers of every two runtimes that show them.
struct LayerTables {
    /// Places of the runtimes that do.
    shown: Vec<usize>,
    /// Two places each.
    pairs: Vec<(usize, usize, LayerComparison)>,
    names: Vec<&'static str>,
}

impl LayerTables {
    fn new(runtimes: &[(Kind, Box<dyn Runtime>)]) -> Self {
        Self {
            shown: (0..runtimes.len()).collect(),
            pairs: Vec::new(),
            names: runtimes.iter().map(|(_, network)| network.name()).collect(),
        }
    }

    fn add(
        &mut self,
        runtimes: &mut [(Kind, Box<dyn Runtime>)],
        beat: &Views,
    ) -> anyhow::Result<()> {
        let mut outputs = Vec::new();
        for place in self.shown.clone() {
            match runtimes[place].1.layer_outputs(beat) {
                Ok(layers) => outputs.push((place, layers)),
                Err(error @ ModelError::NoLayers { .. }) => {
                    eprintln!("warning: {error}");
                    self.shown.retain(|shown| *shown != place);
                }
                Err(error) => return Err(error.into()),
            }
        }
        for (i, (a, ours)) in outputs.iter().enumerate() {
            for (b, theirs) in &outputs[i + 1..] {
                let (ours, theirs) = ((self.names[*a], &ours[..]), (self.names[*b], &theirs[..]));
                self.pair(*a, *b).add(ours, theirs)?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, a: usize, b: usize) -> &mut LayerComparison {
        let place = self
            .pairs
            .iter()
            .position(|pair| (pair.0, pair.1) == (a, b));
        let place = place.unwrap_or_else(|| {
            self.pairs.push((a, b, LayerComparison::default()));
            self.pairs.len() - 1
        });
        &mut self.pairs[place].2
    }

    fn finish(self) -> Vec<Layers> {
        let names = self.names;
        let pairs = self.pairs.iter();
        pairs
            .map(|(a, b, comparison)| Layers {
                a: names[*a],
                b: names[*b],
                layers: comparison.differences(),
            })
            .collect()
    }
}

fn describe(figures: &Figures) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "Model {}, {} beats of {} records\n",
        figures.model,
        figures.beats,
        figures.records.len()
    )?;
    writeln!(
        out,
        "{:<16} {:>20} {:>16}",
        "runtimes", "largest logit diff", "same class"
    )?;
    for pair in &figures.pairs {
        let same = pair.label_agreement.unwrap_or_default();
        writeln!(
            out,
            "{:<16} {:>20.2e} {:>14.3} %",
            format!("{} {}", pair.a, pair.b),
            pair.max_abs_logit_diff,
            100.0 * same
        )?;
    }
    for Layers { a, b, layers } in figures.layers.iter().flatten() {
        let width = layers
            .iter()
            .map(|layer| layer.name.len())
            .max()
            .unwrap_or(0);
        writeln!(
            out,
            "\n{:<width$} {:>12} {:>12} {:>12}",
            format!("{a} {b}"),
            "largest diff",
            "RMS diff",
            format!("RMS in {a}")
        )?;
        for layer in layers {
            writeln!(
                out,
                "{:<width$} {:>12.2e} {:>12.2e} {:>12.2e}",
                layer.name, layer.max_abs_diff, layer.rms_diff, layer.rms
            )?;
        }
    }
    Ok(out)
}
