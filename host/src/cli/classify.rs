//! `heartlens classify`: records in, labelled beats out.

use super::output::{self, Sink};
use crate::pipeline::{self, Beat, Leads, Peaks, Request};
use crate::records::Record;
use crate::records::annotation::{Annotation, Annotations, Code};
use crate::report::{self, Section};
use crate::runtime::{self, Kind, Runtime};
use crate::summary::{HEART_RATE_BEATS, Summary, percent};
use anyhow::{Context, bail};
use clap::ValueEnum;
use heartlens_core::class::Class;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::spec::LABELS;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Classify the beats of records: N normal, S supraventricular, V ventricular, F fusion, Q unreadable (AAMI EC57).
///
/// Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens classify models/demo/demo
  heartlens classify 208 --lead MLII --json beats.json --annotations hlb
  heartlens classify 208 --report 208.html")]
pub(crate) struct Args {
    /// WFDB records, with or without `.hea`.
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// The patient's age in years, instead of what the record says.
    #[arg(long, value_name = "YEARS", value_parser = parse_age)]
    age: Option<f32>,
    /// The patient's sex, instead of what the record says.
    #[arg(long, value_enum)]
    sex: Option<SexChoice>,
    /// Write a WFDB annotation file beside each record, with this extension.
    #[arg(long, value_name = "EXT")]
    annotations: Option<String>,
    /// Write one line a beat; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<Sink>,
    /// Write beats and summary, one object a record (in an array where there are several); `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
    /// Write a report that stands alone, one HTML file for all records; `-` is standard output.
    #[arg(long, value_name = "FILE.html")]
    report: Option<Sink>,
}

/// What reads the records, and how: the flags that every verb with a model has.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// Folder of the model, with its `model.onnx`.
    #[arg(long, value_name = "DIR", default_value = "models/beat")]
    model: PathBuf,
    /// What runs the network.
    #[arg(long, value_enum, default_value_t = Kind::ALL[0])]
    runtime: Kind,
    /// The lead to read, by name or by its place from 0; `both` averages the first two.
    #[arg(long, value_name = "NAME|INDEX|both", default_value = "0")]
    pub(crate) lead: Leads,
    /// Where the R peaks come from: found in the signal, or every beat of the reference annotation.
    #[arg(long, value_enum, default_value_t = PeaksChoice::Detected)]
    pub(crate) peaks: PeaksChoice,
    /// Extension of the reference annotation.
    #[arg(long, value_name = "EXT", default_value = "atr")]
    pub(crate) annotator: String,
}

impl Reading {
    /// Loads the model into its runtime.
    pub(crate) fn load(&self) -> anyhow::Result<Box<dyn Runtime>> {
        Ok(runtime::load(self.runtime, &self.model)?)
    }
}

/// Where the R peaks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeaksChoice {
    /// Found in the signal.
    Detected,
    /// Taken from a reference annotation.
    Reference,
}

impl std::fmt::Display for PeaksChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Detected => "detected",
            Self::Reference => "reference",
        })
    }
}

/// Sex as the command line takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SexChoice {
    /// Female.
    F,
    /// Male.
    M,
}

fn parse_age(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(age) if (0.0..=130.0).contains(&age) => Ok(age),
        _ => Err("expected years, 0 to 130".to_owned()),
    }
}

/// One record's result.
struct Classified {
    record: Record,
    lead: String,
    beats: Vec<Beat>,
    summary: Summary,
    section: Option<Section>,
}

/// Runs the verb. Nothing is written before every record has been classified.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(extension) = &args.annotations {
        check_extension(extension, &args.reading.annotator)?;
    }
    let mut runtime = args.reading.load()?;
    if (args.age.is_some() || args.sex.is_some()) && !runtime.reads_patient() {
        eprintln!(
            "warning: model {} does not read age and sex: they change nothing",
            runtime.model_name()
        );
    }
    let records = args
        .records
        .iter()
        .map(Record::open)
        .collect::<Result<Vec<_>, _>>()?;

    let progress = progress_bar(records.iter().map(Record::duration_s).sum());
    let mut results = Vec::with_capacity(records.len());
    let mut done_s = 0.0;
    for record in records {
        progress.set_message(record.name().to_owned());
        let duration_s = record.duration_s();
        let result = classify(args, record, runtime.as_mut(), |done| {
            progress.set_position((done_s + done * duration_s) as u64);
        })?;
        done_s += duration_s;
        results.push(result);
    }
    progress.finish_and_clear();

    let model_name = runtime.model_name().to_owned();
    if let Some(extension) = &args.annotations {
        for result in &results {
            write_annotations(result, extension, &model_name)?;
        }
    }
    if let Some(sink) = &args.csv {
        sink.write(&csv(&results)?)?;
    }
    if let Some(sink) = &args.json {
        let mut objects: Vec<Value> = results
            .iter()
            .map(|result| object(result, &model_name, runtime.name(), args))
            .collect();
        let whole = if objects.len() == 1 {
            objects.swap_remove(0)
        } else {
            objects.into()
        };
        let mut text = serde_json::to_vec_pretty(&whole)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    if let Some(sink) = &args.report {
        let sections: Vec<Section> = results
            .iter_mut()
            .filter_map(|result| result.section.take())
            .collect();
        sink.write(report::render(&sections).as_bytes())?;
    }

    let mut text = String::new();
    for result in &results {
        for warning in result.record.warnings() {
            eprintln!("warning: {}: {warning}", result.record.name());
        }
        describe(
            &mut text,
            result,
            &model_name,
            runtime.name(),
            args.reading.peaks,
        )?;
    }
    text.push_str("\nResearch software, not a medical device.\n");
    if [&args.csv, &args.json, &args.report]
        .into_iter()
        .flatten()
        .any(|sink| *sink == Sink::Stdout)
    {
        eprint!("{text}");
        Ok(())
    } else {
        Sink::Stdout.write(text.as_bytes())
    }
}

/// An annotation file's extension must name nothing that is there for another reason.
fn check_extension(extension: &str, annotator: &str) -> anyhow::Result<()> {
    let reserved = ["hea", "dat", "mat", "atr", annotator];
    if extension.is_empty()
        || !extension
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        bail!("--annotations {extension:?}: expected letters, digits and `_` only, such as `hlb`");
    }
    if reserved.contains(&extension) {
        bail!(
            "--annotations {extension}: would overwrite the record's own .{extension}; choose another, such as `hlb`"
        );
    }
    Ok(())
}

fn classify(
    args: &Args,
    record: Record,
    runtime: &mut dyn Runtime,
    progress: impl FnMut(f64),
) -> anyhow::Result<Classified> {
    let reference: Vec<u64> = match args.reading.peaks {
        PeaksChoice::Detected => Vec::new(),
        PeaksChoice::Reference => {
            let annotations = record.annotations(&args.reading.annotator)?;
            let beats: Vec<u64> = annotations.beats().map(|(beat, _)| beat.sample).collect();
            if beats.is_empty() {
                let path = record.annotation_path(&args.reading.annotator);
                bail!("{}: has no beat annotations", path.display());
            }
            beats
        }
    };
    let request = Request {
        leads: &args.reading.lead,
        peaks: match args.reading.peaks {
            PeaksChoice::Detected => Peaks::Detected,
            PeaksChoice::Reference => Peaks::Reference(&reference),
        },
        patient: Patient {
            age_years: args.age.or(record.patient().age_years),
            sex: match args.sex {
                Some(SexChoice::F) => Some(Sex::Female),
                Some(SexChoice::M) => Some(Sex::Male),
                None => record.patient().sex,
            },
        },
        added_mv: &[],
    };
    let beats = pipeline::classify(&record, &request, runtime, progress)?;
    let section = match &args.report {
        Some(_) => Some(Section::collect(&record, &request, runtime, &beats)?),
        None => None,
    };
    let lead = match &args.reading.lead {
        Leads::Both => "both".to_owned(),
        Leads::One(choice) => record.leads()[record.lead_index(choice)?].name.clone(),
    };
    Ok(Classified {
        summary: Summary::of(&beats),
        record,
        lead,
        beats,
        section,
    })
}

/// A bar over seconds of signal; silent where standard error is no terminal.
pub(crate) fn progress_bar(duration_s: f64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>12} {bar:40} {percent:>3} % {eta:>4} left");
    let bar = ProgressBar::new(duration_s as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn object(result: &Classified, model: &str, runtime: &str, args: &Args) -> Value {
    let beats: Vec<Value> = result
        .beats
        .iter()
        .map(|beat| {
            let scores: Map<String, Value> = LABELS
                .iter()
                .zip(beat.scores)
                .map(|(label, score)| ((*label).to_owned(), rounded(f64::from(score), 6)))
                .collect();
            json!({
                "sample": beat.sample,
                "time_s": rounded(beat.time_s, 4),
                "class": beat.class.name(),
                "scores": scores,
                "rr_ms": beat.rr_ms.map(|rr| rounded(rr, 2)),
                "quality": rounded(f64::from(beat.quality), 4),
            })
        })
        .collect();
    json!({
        "record": result.record.name(),
        "sample_rate_hz": result.record.sample_rate_hz(),
        "duration_s": result.record.duration_s(),
        "lead": result.lead,
        "peaks": args.reading.peaks.to_string(),
        "synthetic": result.record.is_synthetic(),
        "model": model,
        "runtime": runtime,
        "beats": beats,
        "summary": result.summary,
        "notice": "research software, not a medical device",
    })
}

fn rounded(x: f64, digits: i32) -> Value {
    let unit = 10_f64.powi(digits);
    json!((x * unit).round() / unit)
}

fn csv(results: &[Classified]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["record", "sample", "time_s", "class", "rr_ms", "quality"];
    let scores: Vec<String> = LABELS
        .iter()
        .map(|label| format!("score_{label}"))
        .collect();
    header.extend(scores.iter().map(String::as_str));
    writer.write_record(&header)?;
    for result in results {
        for beat in &result.beats {
            let mut row = vec![
                result.record.name().to_owned(),
                beat.sample.to_string(),
                format!("{:.4}", beat.time_s),
                beat.class.name().to_owned(),
                beat.rr_ms.map_or_else(String::new, |rr| format!("{rr:.2}")),
                format!("{:.4}", beat.quality),
            ];
            row.extend(beat.scores.iter().map(|score| format!("{score:.6}")));
            writer.write_record(&row)?;
        }
    }
    writer.into_inner().context("CSV")
}

fn write_annotations(result: &Classified, extension: &str, model: &str) -> anyhow::Result<()> {
    let mut note = Annotation::new(0, Code::NOTE);
    note.aux = format!(
        "heartlens {} model {model}: research software, not a medical device",
        env!("CARGO_PKG_VERSION")
    )
    .into_bytes();
    let beats = result
        .beats
        .iter()
        .map(|beat| Annotation::new(beat.sample, annotation_code(beat.class)));
    let annotations = Annotations {
        list: std::iter::once(note).chain(beats).collect(),
    };
    let path = result.record.annotation_path(extension);
    let bytes = annotations
        .to_bytes()
        .with_context(|| path.display().to_string())?;
    output::write_file(&path, &bytes)
}

/// The WFDB code that stands for a class of EC57.
pub(crate) fn annotation_code(class: Class) -> Code {
    match class {
        Class::N => Code::NORMAL,
        Class::S => Code::SUPRAVENTRICULAR_PREMATURE,
        Class::V => Code::VENTRICULAR_PREMATURE,
        Class::F => Code::FUSION,
        Class::Q => Code::UNCLASSIFIABLE,
    }
}

/// Unusual beats that the summary lists.
const UNUSUAL_SHOWN: usize = 8;

fn describe(
    out: &mut String,
    result: &Classified,
    model: &str,
    runtime: &str,
    peaks: PeaksChoice,
) -> std::fmt::Result {
    let (record, summary) = (&result.record, &result.summary);
    let synthetic = if record.is_synthetic() {
        "  SYNTHETIC"
    } else {
        ""
    };
    writeln!(
        out,
        "{}{synthetic}  {}, {} Hz, lead {}; model {model} in {runtime}, R peaks {peaks}",
        record.name(),
        clock(record.duration_s(), 0),
        record.sample_rate_hz(),
        result.lead,
    )?;
    writeln!(out)?;
    for class in Class::ALL {
        let count = summary.counts[class.name()];
        if count > 0 || class != Class::Q {
            writeln!(
                out,
                "  {class} {:<17} {count:>7}  {:>6}",
                class.meaning(),
                percent((summary.beats > 0).then(|| count as f64 / summary.beats as f64)),
            )?;
        }
    }
    writeln!(out, "  {:<19} {:>7}", "all beats", summary.beats)?;
    writeln!(out)?;
    if let Some(rate) = summary.heart_rate_bpm {
        writeln!(
            out,
            "  heart rate      {:.0} /min; {:.0} to {:.0} over {HEART_RATE_BEATS} beats",
            rate.mean, rate.min, rate.max
        )?;
    }
    writeln!(
        out,
        "  ectopic burden  S {}, V {}",
        percent(summary.supraventricular_burden),
        percent(summary.ventricular_burden)
    )?;
    if let Some(rr) = summary.longest_rr_ms {
        writeln!(out, "  longest RR      {rr:.0} ms")?;
    }
    let mut unusual = result
        .beats
        .iter()
        .filter(|beat| beat.class != Class::N)
        .peekable();
    if unusual.peek().is_some() {
        writeln!(
            out,
            "\n  first unusual beats (time, class, probability, RR)"
        )?;
    }
    for beat in unusual.by_ref().take(UNUSUAL_SHOWN) {
        let score = Class::ALL
            .iter()
            .position(|class| *class == beat.class)
            .and_then(|index| beat.scores.get(index))
            .map_or_else(|| "   -".to_owned(), |score| format!("{score:.2}"));
        let rr = beat
            .rr_ms
            .map_or_else(String::new, |rr| format!("{rr:>5.0} ms"));
        writeln!(
            out,
            "    {:>12}  {}  {score}  {rr}",
            clock(beat.time_s, 3),
            beat.class
        )?;
    }
    let more = unusual.count();
    if more > 0 {
        writeln!(out, "    and {more} more: --csv or --json list all")?;
    }
    Ok(())
}

/// Seconds as `h:mm:ss`, with decimals.
fn clock(seconds: f64, decimals: usize) -> String {
    let unit = 10_u64.pow(decimals as u32);
    let ticks = (seconds * unit as f64).round() as u64;
    let (whole, rest) = (ticks / unit, ticks % unit);
    let mut text = format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    if decimals > 0 {
        text.push_str(&format!(".{rest:0decimals$}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_over() {
        assert_eq!(clock(0.0, 0), "0:00:00");
        assert_eq!(clock(59.9996, 3), "0:01:00.000");
        assert_eq!(clock(3725.25, 3), "1:02:05.250");
    }

    #[test]
    fn extensions_that_would_destroy_are_refused() {
        assert!(check_extension("hlb", "atr").is_ok());
        for extension in ["atr", "dat", "hea", "ref", "", "a/b", "."] {
            assert!(check_extension(extension, "ref").is_err(), "{extension}");
        }
    }
}
