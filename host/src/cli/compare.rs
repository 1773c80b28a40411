//! `heartlens compare`: the same beats through every runtime.

use super::classify::inputs::inputs;
use super::classify::progress_bar;
use super::output::Sink;
use crate::pipeline::{Canonical, stream_canonical};
use crate::records::Record;
use crate::runtime::comparison::{Agreement, Comparison, LayerComparison, LayerDifference};
use crate::runtime::{self, Kind, ModelError, Runtime};
use anyhow::bail;
use heartlens_core::detector::Detector;
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::Views;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Beats that a runtime is given at once, at least; each makes batches of its own size of them.
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
    /// Records, or folders: all records in them and below.
    #[arg(required = true, value_name = "RECORD")]
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
    let records = inputs(&args.records)?
        .iter()
        .map(|input| Record::open(&input.path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut runtimes = load(&args.model)?;
    let mut comparison = Comparison::new(runtimes.iter().map(|r| r.name()).collect());
    let mut layers = args.layers.then(|| LayerTables::new(&runtimes));

    let progress = progress_bar(records.iter().map(Record::duration_s).sum());
    let mut done_s = 0.0;
    for record in &records {
        progress.set_message(record.name().to_owned());
        let mut beats = Beats::of(record)?;
        while let Some(batch) = beats.next_batch()? {
            let logits = runtimes.iter_mut().map(|runtime| runtime.logits(&batch));
            comparison.add(&logits.collect::<Result<Vec<_>, _>>()?);
            if let Some(layers) = &mut layers {
                layers.add(&mut runtimes, &batch)?;
            }
            progress.set_position((done_s + beats.seconds()) as u64);
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
struct Beats<'a> {
    blocks: Canonical<'a>,
    monitor: Monitor,
    waiting: Vec<Views>,
}

impl<'a> Beats<'a> {
    fn of(record: &'a Record) -> anyhow::Result<Self> {
        Ok(Self {
            blocks: stream_canonical(record, 0)?,
            monitor: Monitor::with_peaks(Detector::new(), record.patient()),
            waiting: Vec::new(),
        })
    }

    /// The views of [`BATCH`] beats, or of more; fewer at the record's end, and `None` behind it.
    fn next_batch(&mut self) -> anyhow::Result<Option<Vec<Views>>> {
        while self.waiting.len() < BATCH {
            let Some(block) = self.blocks.next() else {
                self.monitor.finish();
                while let Some(beat) = self.monitor.poll() {
                    self.waiting.push(views(&beat));
                }
                break;
            };
            for sample in block? {
                if let Some(beat) = self.monitor.push(sample) {
                    self.waiting.push(views(&beat));
                }
            }
        }
        let batch = std::mem::take(&mut self.waiting);
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// How much of the record has been read.
    fn seconds(&self) -> f64 {
        f64::from(self.monitor.samples()) / f64::from(SAMPLE_RATE_HZ)
    }
}

fn views(beat: &MonitoredBeat) -> Views {
    let mut views = Views::ZERO;
    views.compute(&beat.frame);
    views
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
