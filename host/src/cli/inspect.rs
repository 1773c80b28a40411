//! `heartlens inspect`: what a file is.

use super::classify::inputs::inputs;
use super::classify::parse_rate;
use super::classify::text::listed;
use super::guard::Guard;
use super::output::Sink;
use crate::canonical;
use crate::compile::image::AlignedImage;
use crate::compile::import;
use crate::compile::source::Source;
use crate::evaluate::mapping;
use crate::message::one_line;
use crate::model::{IMAGE_FILE, LABELS_KEY, ONNX_FILE, RHYTHM_FILE, SPEC_HASH_KEY, STRIP_FILE};
use crate::records::{self, BeatList, BeatOptions, ReadOptions, Record, VoltageUnit};
use crate::runtime::ModelError;
use anyhow::{Context, bail};
use heartlens_core::class::Class;
use heartlens_core::model::{AnyView, Model, Task};
use heartlens_core::patient::Sex;
use heartlens_core::rhythm;
use heartlens_core::spec::{LABELS, RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Show what a model, a device image or a record holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens inspect models/beat/model.hlm
  heartlens inspect models/beat
  heartlens inspect models/beat/rhythm.hlr
  heartlens inspect models/demo/demo --json -

Every record of a folder, a line each:
  heartlens inspect models/demo")]
pub(crate) struct Args {
    /// An ONNX file, a device image, the image of a rhythm network, a record, or a folder: of a model, or of records.
    #[arg(value_name = "MODEL.onnx|MODEL.hlm|rhythm.hlr|DIR|RECORD")]
    path: PathBuf,
    /// Samples per second of a table (CSV), instead of what its times say.
    #[arg(long, value_name = "HZ", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Unit of leads that state none: mV, uV, nV or V.
    #[arg(long)]
    unit: Option<VoltageUnit>,
    /// Extension of the record's reference annotation.
    #[arg(long, value_name = "EXT", default_value = "atr")]
    annotator: String,
    /// Write it as one object (of a folder: a list of its models or records); `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// A model, float or integers.
#[derive(Serialize)]
struct ModelFacts {
    file: String,
    name: String,
    kind: &'static str,
    params: usize,
    macs: usize,
    bytes: usize,
    /// Memory that running it takes; of a device image alone.
    scratch_bytes: Option<usize>,
    inputs: Vec<InputFacts>,
    labels: Vec<String>,
    priors: Option<Vec<f32>>,
    spec_hash: Option<String>,
    reads_patient: bool,
    layers: Vec<LayerFacts>,
}

#[derive(Serialize)]
struct InputFacts {
    name: String,
    /// Of the view, channels first.
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct LayerFacts {
    name: String,
    op: String,
    /// Height, width, channels of its output.
    shape: [usize; 3],
    macs: usize,
    params: usize,
}

#[derive(Serialize)]
struct RecordFacts {
    record: String,
    path: String,
    sample_rate_hz: f64,
    samples: usize,
    duration_s: f64,
    leads: Vec<LeadFacts>,
    age_years: Option<f32>,
    sex: Option<&'static str>,
    /// Date and time of day, or the time alone; null where the record states neither.
    start: Option<String>,
    synthetic: bool,
    annotations: Option<AnnotationFacts>,
    comments: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct LeadFacts {
    name: String,
    units: String,
    /// Whether the unit is a voltage, so that the lead can be read.
    voltage: bool,
    /// Null where the unit is no voltage, or the samples are no counts.
    counts_per_mv: Option<f32>,
}

#[derive(Serialize)]
struct AnnotationFacts {
    annotator: String,
    beats: usize,
    /// AAMI EC57.
    classes: BTreeMap<&'static str, usize>,
    /// Every code, beats and others, by its mnemonic.
    codes: BTreeMap<&'static str, usize>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.path;
    if let Some(json) = &args.json {
        Guard::new([path.as_path()]).sink("--json", json)?;
    }
    let mut failed = Vec::new();
    let (json, text) = if path.is_dir() {
        let models = folder(path)?;
        let mut text = String::new();
        for model in &models {
            model.describe(&mut text)?;
        }
        match models.is_empty() {
            false => (serde_json::to_vec_pretty(&models)?, text),
            true => {
                let records = records(args, &mut failed)?;
                for (name, record) in &records {
                    writeln!(text, "{}", record.line(name))?;
                }
                let facts: Vec<&RecordFacts> = records.iter().map(|(_, facts)| facts).collect();
                (serde_json::to_vec_pretty(&facts)?, text)
            }
        }
    } else {
        let mut text = String::new();
        let json = match path.extension().and_then(|e| e.to_str()) {
            Some("onnx") => described(&onnx(path)?, &mut text)?,
            Some("hlm") => described(&image(path)?, &mut text)?,
            Some("hlr") => described(&rhythm(path)?, &mut text)?,
            _ => {
                let facts = record(args, path)?;
                facts.describe(&mut text)?;
                serde_json::to_vec_pretty(&facts)?
            }
        };
        (json, text)
    };
    match &args.json {
        Some(sink) => sink.write(&[json, b"\n".to_vec()].concat())?,
        None => Sink::Stdout.write(text.as_bytes())?,
    }
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = failed.iter().map(String::as_str).collect();
    bail!(
        "{} record(s) could not be read: {}; all others are above",
        names.len(),
        listed(&names)
    )
}

/// The records of a folder and below it, by name. What cannot be read is told, and its name goes to `failed`.
fn records(args: &Args, failed: &mut Vec<String>) -> anyhow::Result<Vec<(String, RecordFacts)>> {
    let folder = &args.path;
    let inputs = inputs(std::slice::from_ref(folder)).with_context(|| {
        format!(
            "{}: this folder has none of {ONNX_FILE}, {IMAGE_FILE}, {RHYTHM_FILE} and {STRIP_FILE}, and no record",
            folder.display()
        )
    })?;
    let mut records = Vec::new();
    for input in inputs {
        match record(args, &input.path) {
            Ok(facts) => records.push((input.name, facts)),
            Err(error) => {
                eprintln!("error: {}", one_line(error.as_ref()));
                failed.push(input.name);
            }
        }
    }
    Ok(records)
}

fn described(model: &ModelFacts, text: &mut String) -> anyhow::Result<Vec<u8>> {
    model.describe(text)?;
    Ok(serde_json::to_vec_pretty(model)?)
}

/// The models of a folder: the network, its device image, the rhythm network and the strip network, as far as they are there.
fn folder(path: &Path) -> anyhow::Result<Vec<ModelFacts>> {
    let mut models = Vec::new();
    let network = path.join(ONNX_FILE);
    if network.is_file() {
        models.push(onnx(&network)?);
    }
    let compiled = path.join(IMAGE_FILE);
    if compiled.is_file() {
        models.push(image(&compiled)?);
    }
    let intervals = path.join(RHYTHM_FILE);
    if intervals.is_file() {
        models.push(rhythm(&intervals)?);
    }
    let strip = path.join(STRIP_FILE);
    if strip.is_file() {
        models.push(image(&strip)?);
    }
    Ok(models)
}

fn onnx(path: &Path) -> anyhow::Result<ModelFacts> {
    let source = Source::read_any(path)?;
    let graph = import(source.model()).with_context(|| path.display().to_string())?;
    let layers: Vec<LayerFacts> = graph
        .nodes
        .iter()
        .map(|node| LayerFacts {
            name: node.name.clone(),
            op: node.operator_name(),
            shape: graph.tensors[node.output].shape,
            macs: graph.macs(node),
            params: node.parameters(),
        })
        .collect();
    let inputs = graph
        .inputs
        .iter()
        .map(|input| graph.tensors[*input].name.as_str());
    let labels = source.property(LABELS_KEY).unwrap_or_default();
    Ok(ModelFacts {
        file: path.display().to_string(),
        name: source.name().to_owned(),
        kind: "ONNX, float",
        params: layers.iter().map(|layer| layer.params).sum(),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        bytes: std::fs::metadata(path)?.len() as usize,
        scratch_bytes: None,
        inputs: inputs.map(input_facts).collect(),
        labels: labels
            .split(',')
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect(),
        priors: None,
        spec_hash: source.property(SPEC_HASH_KEY).map(str::to_owned),
        reads_patient: source.reads_patient(),
        layers,
    })
}

fn image(path: &Path) -> anyhow::Result<ModelFacts> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let aligned = AlignedImage::new(&bytes);
    let strip = Model::load_for(aligned.bytes(), Task::Strip);
    let model = strip.or_else(|_| Model::load(aligned.bytes()));
    let model = model.map_err(|source| ModelError::Image {
        path: path.to_owned(),
        source,
    })?;
    let layers = model.layers().map(|layer| LayerFacts {
        name: layer.name.to_owned(),
        op: layer.operator.name().to_owned(),
        shape: layer.shape,
        macs: layer.macs,
        params: layer.params,
    });
    Ok(ModelFacts {
        file: path.display().to_string(),
        name: model.name().to_owned(),
        kind: "device image, int8",
        params: model.params(),
        macs: model.macs(),
        bytes: bytes.len(),
        scratch_bytes: Some(size_of::<i32>() * model.arena_words()),
        inputs: model
            .inputs()
            .map(|(view, _)| input_facts(view.name()))
            .collect(),
        labels: model.task().labels().map(str::to_owned).to_vec(),
        priors: Some(model.priors().to_vec()),
        // What another hash was made for does not load.
        spec_hash: Some(format!("{:016x}", model.task().hash())),
        reads_patient: model.reads_patient(),
        layers: layers.collect(),
    })
}

/// A rhythm network: an LSTM over the last intervals, and the score of atrial fibrillation.
fn rhythm(path: &Path) -> anyhow::Result<ModelFacts> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let network = rhythm::Network::load(&bytes).map_err(|source| ModelError::Rhythm {
        path: path.to_owned(),
        source,
    })?;
    let cells = network.cells();
    let layer = |name: &str, op: &str, channels, macs, params| LayerFacts {
        name: name.to_owned(),
        op: op.to_owned(),
        shape: [1, 1, channels],
        macs,
        params,
    };
    let score_params = cells + 1;
    Ok(ModelFacts {
        file: path.display().to_string(),
        name: "rhythm".to_owned(),
        kind: "rhythm network, int16",
        params: network.params(),
        macs: network.macs(),
        bytes: bytes.len(),
        scratch_bytes: None,
        inputs: vec![InputFacts {
            name: "rr".to_owned(),
            shape: vec![RHYTHM_CHANNELS, RHYTHM_INTERVALS],
        }],
        labels: vec!["AF".to_owned()],
        priors: None,
        spec_hash: Some(format!("{RHYTHM_HASH:016x}")),
        reads_patient: false,
        layers: vec![
            layer(
                "lstm",
                "LSTM",
                cells,
                network.macs() - cells,
                network.params() - score_params,
            ),
            layer("score", "dense", 1, cells, score_params),
        ],
    })
}

fn input_facts(name: &str) -> InputFacts {
    let shape = AnyView::named(name).map(AnyView::shape);
    InputFacts {
        name: name.to_owned(),
        shape: shape.unwrap_or_default().to_vec(),
    }
}

fn record(args: &Args, path: &Path) -> anyhow::Result<RecordFacts> {
    let annotator = &*args.annotator;
    if let Some(list) = BeatList::open(path, &BeatOptions::new(annotator))? {
        return Ok(list_of_beats(&list, path, annotator));
    }
    let mut options = ReadOptions::default();
    (options.rate_hz, options.unit) = (args.rate, args.unit);
    let record = Record::open_with(path, &options)?;
    let annotations = if record.has_annotations(annotator) {
        let annotations = record.annotations(annotator)?;
        let mut classes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (_, class) in mapping::beats(&annotations) {
            *classes.entry(label(class)).or_default() += 1;
        }
        let mut codes = BTreeMap::new();
        for annotation in &annotations.list {
            *codes.entry(annotation.code.mnemonic()).or_default() += 1;
        }
        Some(AnnotationFacts {
            annotator: annotator.to_owned(),
            beats: classes.values().sum(),
            classes,
            codes,
        })
    } else {
        None
    };
    let patient = canonical::patient(&record);
    Ok(RecordFacts {
        record: record.name().to_owned(),
        path: record.path().display().to_string(),
        sample_rate_hz: record.sample_rate_hz(),
        samples: record.len_samples(),
        duration_s: record.duration_s(),
        leads: record
            .leads()
            .iter()
            .map(|lead| LeadFacts {
                name: lead.name.clone(),
                units: lead.units.clone(),
                voltage: lead.is_voltage,
                counts_per_mv: lead.counts_per_mv,
            })
            .collect(),
        age_years: patient.age_years,
        sex: patient.sex.map(|sex| match sex {
            Sex::Female => "f",
            Sex::Male => "m",
        }),
        start: record.start().map(|start| start.to_string()),
        synthetic: record.is_synthetic(),
        annotations,
        comments: record.comments().to_vec(),
        warnings: record.warnings().iter().map(ToString::to_string).collect(),
    })
}

/// What a recording without a signal holds.
fn list_of_beats(list: &BeatList, path: &Path, annotator: &str) -> RecordFacts {
    let (mut classes, mut codes) = (BTreeMap::new(), BTreeMap::new());
    for code in list.beats.iter().filter_map(|beat| beat.code) {
        *codes.entry(code.mnemonic()).or_default() += 1;
        let class = mapping::aami(code).map_or("Q", label);
        *classes.entry(class).or_default() += 1;
    }
    RecordFacts {
        record: list.name.clone(),
        path: path.display().to_string(),
        sample_rate_hz: list.sample_rate_hz,
        samples: (list.duration_s * list.sample_rate_hz).round() as usize,
        duration_s: list.duration_s,
        leads: Vec::new(),
        age_years: list.patient.age_years,
        sex: list.patient.sex.map(|sex| match sex {
            records::Sex::Female => "f",
            records::Sex::Male => "m",
        }),
        start: None,
        synthetic: list.is_synthetic(),
        annotations: Some(AnnotationFacts {
            annotator: annotator.to_owned(),
            beats: list.beats.len(),
            classes,
            codes,
        }),
        comments: list.comments.clone(),
        warnings: list.warnings.iter().map(ToString::to_string).collect(),
    }
}

fn label(class: Class) -> &'static str {
    LABELS.get(class as usize).copied().unwrap_or("Q")
}

impl ModelFacts {
    fn describe(&self, text: &mut String) -> std::fmt::Result {
        let inputs: Vec<String> = self
            .inputs
            .iter()
            .map(|input| format!("{} {:?}", input.name, input.shape))
            .collect();
        writeln!(text, "{}: model {}, {}", self.file, self.name, self.kind)?;
        writeln!(text, "  inputs   {}", inputs.join(", "))?;
        writeln!(text, "  labels   {}", self.labels.join(", "))?;
        if let Some(priors) = &self.priors {
            let priors: Vec<String> = priors.iter().map(|p| format!("{p:.4}")).collect();
            writeln!(text, "  priors   {}", priors.join(", "))?;
        }
        let patient = if self.reads_patient {
            "read"
        } else {
            "not read"
        };
        writeln!(text, "  age, sex {patient}")?;
        if let Some(hash) = &self.spec_hash {
            writeln!(text, "  features {hash}")?;
        }
        write!(
            text,
            "  {} weights and biases, {} multiply-accumulates a run, {} bytes",
            self.params, self.macs, self.bytes
        )?;
        match self.scratch_bytes {
            Some(bytes) => writeln!(text, ", {bytes} bytes of memory to run")?,
            None => writeln!(text)?,
        }
        let width = self
            .layers
            .iter()
            .map(|layer| layer.name.len())
            .max()
            .unwrap_or(0);
        for layer in &self.layers {
            writeln!(
                text,
                "  {:width$}  {:14} {:>16} {:>8} MAC {:>6} weights",
                layer.name,
                layer.op,
                format!("{:?}", layer.shape),
                layer.macs,
                layer.params
            )?;
        }
        Ok(())
    }
}

impl RecordFacts {
    /// One line in a list of records.
    fn line(&self, name: &str) -> String {
        let leads: Vec<&str> = self.leads.iter().map(|lead| lead.name.as_str()).collect();
        let beats = match &self.annotations {
            Some(found) if self.leads.is_empty() => format!("{} beats", found.beats),
            Some(found) => format!("{} beats in {}", found.beats, found.annotator),
            None => "no reference annotations".to_owned(),
        };
        let warnings = match self.warnings.len() {
            0 => String::new(),
            count => format!(", {count} warning(s)"),
        };
        format!(
            "{name}: {:.1} s at {} Hz, {}, {beats}{warnings}",
            self.duration_s,
            self.sample_rate_hz,
            match leads.is_empty() {
                true => "no signal".to_owned(),
                false => leads.join(" "),
            }
        )
    }

    fn describe(&self, text: &mut String) -> std::fmt::Result {
        let synthetic = if self.synthetic { ", synthetic" } else { "" };
        writeln!(
            text,
            "{}: record {}, {:.1} s at {} Hz, {}{synthetic}",
            self.path,
            self.record,
            self.duration_s,
            self.sample_rate_hz,
            match self.leads.is_empty() {
                true => "beats without a signal".to_owned(),
                false => format!("{} samples a lead", self.samples),
            }
        )?;
        for (index, lead) in self.leads.iter().enumerate() {
            let units = match &*lead.units {
                "" => "no unit".to_owned(),
                units => format!("in {units}"),
            };
            let gain = match lead.counts_per_mv {
                Some(gain) => format!(", {gain} counts a mV"),
                None if lead.voltage => String::new(),
                None => ", no voltage".to_owned(),
            };
            writeln!(text, "  lead {index}   {} {units}{gain}", lead.name)?;
        }
        if let Some(start) = &self.start {
            writeln!(text, "  begins   {start}")?;
        }
        if self.age_years.is_some() || self.sex.is_some() {
            let age = self
                .age_years
                .map_or("age unknown".to_owned(), |age| format!("{age} years"));
            writeln!(
                text,
                "  patient  {age}, {}",
                self.sex.unwrap_or("sex unknown")
            )?;
        }
        match &self.annotations {
            Some(annotations) => {
                let counted = |counts: &BTreeMap<&str, usize>| {
                    let counts: Vec<String> =
                        counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
                    counts.join(", ")
                };
                writeln!(
                    text,
                    "  beats    {} in {}: {}",
                    annotations.beats,
                    annotations.annotator,
                    counted(&annotations.classes)
                )?;
                writeln!(text, "  codes    {}", counted(&annotations.codes))?;
            }
            None => writeln!(text, "  no reference annotations")?,
        }
        for comment in &self.comments {
            writeln!(text, "  comment  {comment}")?;
        }
        for warning in &self.warnings {
            writeln!(text, "  warning  {warning}")?;
        }
        Ok(())
    }
}
