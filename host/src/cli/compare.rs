//! `heartlens compare`: the same beats through every runtime.

use super::classify::progress_bar;
use super::output::Sink;
use crate::pipeline::{canonical_lead, for_each_beat};
use crate::records::Record;
use crate::runtime::comparison::{Agreement, Comparison, LayerComparison, LayerDifference};
use crate::runtime::{self, Kind, ModelError, Runtime};
use anyhow::{Context, bail};
use heartlens_core::detector::Detector;
use heartlens_core::views::Views;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Beats that a runtime is given at once; each makes batches of its own size of them.
const BATCH: usize = 256;

/// Compare what each runtime says of the same beats: those that `classify` finds in lead 0.
///
/// A runtime that this machine lacks is named on standard error and left out. Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens compare models/demo
  heartlens compare mitdb/208 mitdb/119 --json agreement.json
  heartlens compare models/demo --layers")]
pub(crate) struct Args {
    /// WFDB records, or folders: of a folder, every record.
    #[arg(required = true, value_name = "DIR|RECORD")]
    records: Vec<PathBuf>,
    /// Folder of the model.
    #[arg(long, value_name = "DIR", default_value = "models/beat")]
    model: PathBuf,
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
    let mut paths = Vec::new();
    for path in &args.records {
        paths.extend(records_of(path)?);
    }
    let records = paths
        .iter()
        .map(Record::open)
        .collect::<Result<Vec<_>, _>>()?;
    let mut runtimes = load(&args.model)?;
    let mut comparison = Comparison::new(runtimes.iter().map(|r| r.name()).collect());
    let mut layers = args.layers.then(|| LayerTables::new(&runtimes));

    let progress = progress_bar(records.iter().map(Record::duration_s).sum());
    let mut done_s = 0.0;
    for record in &records {
        progress.set_message(record.name().to_owned());
        let beats = beats_of(record)?;
        for (i, batch) in beats.chunks(BATCH).enumerate() {
            let logits = runtimes.iter_mut().map(|runtime| runtime.logits(batch));
            comparison.add(&logits.collect::<Result<Vec<_>, _>>()?);
            if let Some(layers) = &mut layers {
                layers.add(&mut runtimes, batch)?;
            }
            let share = (i * BATCH) as f64 / beats.len() as f64;
            progress.set_position((done_s + share * record.duration_s()) as u64);
        }
        done_s += record.duration_s();
    }
    progress.finish_and_clear();
    if comparison.beats() == 0 {
        bail!("no beats were found in {} records", records.len());
    }

    let figures = Figures {
        beats: comparison.beats(),
        model: runtimes[0].model_name().to_owned(),
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

/// The record at `path`, or the records of the folder there, by name.
fn records_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let cannot = || format!("{}: cannot be read", path.display());
    let mut records = Vec::new();
    for entry in path.read_dir().with_context(cannot)? {
        let file = entry.with_context(cannot)?.path();
        if file.extension().is_some_and(|e| e == "hea") {
            records.push(file);
        }
    }
    if records.is_empty() {
        bail!("{}: no record (.hea) in this folder", path.display());
    }
    records.sort();
    Ok(records)
}

/// Every runtime that can run the model; those that this machine lacks are named.
fn load(model: &Path) -> anyhow::Result<Vec<Box<dyn Runtime>>> {
    let mut runtimes = Vec::new();
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        match runtime::load(*kind, model) {
            Ok(runtime) => runtimes.push(runtime),
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
    if let [only] = &runtimes[..] {
        bail!(
            "only {} is there, and two are needed to compare; {}",
            only.name(),
            lines.join("; ")
        );
    }
    for line in lines {
        eprintln!("warning: {line}");
    }
    Ok(runtimes)
}

/// The beats of a record's lead 0 as the detector finds them.
fn beats_of(record: &Record) -> anyhow::Result<Vec<Views>> {
    let signal = canonical_lead(record, 0)?;
    let mut beats = Vec::new();
    for_each_beat(&signal, Detector::new(), record.patient(), |beat| {
        let mut views = Views::ZERO;
        views.compute(&beat.frame);
        beats.push(views);
    });
    Ok(beats)
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
    fn new(runtimes: &[Box<dyn Runtime>]) -> Self {
        Self {
            shown: (0..runtimes.len()).collect(),
            pairs: Vec::new(),
            names: runtimes.iter().map(|runtime| runtime.name()).collect(),
        }
    }

    fn add(&mut self, runtimes: &mut [Box<dyn Runtime>], beats: &[Views]) -> anyhow::Result<()> {
        for beat in beats {
            let mut outputs = Vec::new();
            for place in self.shown.clone() {
                match runtimes[place].layer_outputs(beat) {
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
                    let (ours, theirs) =
                        ((self.names[*a], &ours[..]), (self.names[*b], &theirs[..]));
                    self.pair(*a, *b).add(ours, theirs)?;
                }
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
