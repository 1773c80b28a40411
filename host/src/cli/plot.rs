//! `heartlens plot`: some seconds of a record on ECG paper.

use super::classify::{Reading, progress_bar};
use super::guard::Guard;
use super::output::Sink;
use crate::analysis::Beat;
use crate::evaluate::mapping;
use crate::records::Record;
use crate::report::{Plot, seconds_mv};
#[cfg(feature = "png")]
use anyhow::Context;
use anyhow::bail;
use heartlens_core::class::Class;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The longest strip, in seconds: a metre and a half of paper.
const LONGEST_S: u64 = 60;
/// Classification begins this long before the strip, in seconds: by then filter, detector, template, intervals and rhythm
/// have settled, and the labels are those of the whole recording but for rare beats.
const SETTLING_S: f64 = 1800.0;
/// And it ends this long after it: a beat's class waits for the beat after it.
const SUCCESSOR_S: f64 = 10.0;

/// Draw some seconds of a record on ECG paper (25 mm/s, 10 mm/mV), its beats labelled.
///
/// Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens plot models/demo/demo --from 60 --seconds 10 --out strip.svg
  heartlens plot models/demo/demo --from 0:02:30 --lead both --labels atr --out strip.png")]
pub(crate) struct Args {
    /// The record.
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// Where the strip starts: seconds or h:mm:ss since the record's start, rounded down to whole seconds.
    #[arg(long, value_name = "T", default_value = "0", value_parser = parse_time)]
    from: usize,
    /// How long it is, in seconds.
    #[arg(long, value_name = "S", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=LONGEST_S))]
    seconds: u64,
    /// The picture, by its extension; `-` is SVG on standard output.
    #[arg(long, value_name = OUT, value_parser = parse_out)]
    out: Sink,
    /// What the beats are labelled with: `model` classifies them, from half an hour before the strip, `none` labels none, and any other word is the
    /// extension of an annotation file beside the record, such as `atr`.
    #[arg(long, value_name = "model|none|EXT", default_value = "model")]
    labels: Labels,
    /// Resolution of a PNG.
    #[cfg(feature = "png")]
    #[arg(long, value_name = "DPI", default_value_t = 200, value_parser = clap::value_parser!(u16).range(20..=1200))]
    dpi: u16,
    #[command(flatten)]
    reading: Reading,
}

#[cfg(feature = "png")]
const OUT: &str = "FILE.svg|FILE.png";
#[cfg(not(feature = "png"))]
const OUT: &str = "FILE.svg";

/// Where labels come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Labels {
    Model,
    None,
    Annotations(String),
}

impl std::str::FromStr for Labels {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "model" => Self::Model,
            "none" => Self::None,
            extension => Self::Annotations(extension.to_owned()),
        })
    }
}

/// `90`, `90.5`, `1:30` or `0:01:30`, in whole seconds.
fn parse_time(text: &str) -> Result<usize, String> {
    const EXPECTED: &str = "expected seconds, m:ss or h:mm:ss";
    let mut seconds = 0.0;
    for (i, part) in text.split(':').enumerate() {
        let value: f64 = part.parse().map_err(|_| EXPECTED.to_owned())?;
        let is_clock = i == 0 || value < 60.0;
        if !(0.0..1e9).contains(&value) || !is_clock || i > 2 {
            return Err(EXPECTED.to_owned());
        }
        seconds = 60.0 * seconds + value;
    }
    Ok(seconds as usize)
}

fn parse_out(text: &str) -> Result<Sink, String> {
    let sink: Sink = text.parse().unwrap_or_else(|never| match never {});
    match &sink {
        Sink::Stdout => Ok(sink),
        Sink::File(path) => match path.extension() {
            Some(extension) if extension == "svg" => Ok(sink),
            Some(extension) if extension == "png" && cfg!(feature = "png") => Ok(sink),
            _ => Err(format!("expected {OUT}, or `-`")),
        },
    }
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    Guard::new([args.record.as_path()])
        .with_annotator(&args.reading.annotator)
        .sink("--out", &args.out)?;
    let record = Record::open_with(&args.record, &args.reading.read_options())?;
    let duration_s = record.duration_s();
    if args.from as f64 >= duration_s {
        bail!(
            "{}: --from {} s lies beyond its end at {duration_s:.1} s",
            args.record.display(),
            args.from
        );
    }
    let taken = args.reading.leads().take(&record)?;
    let seconds = args.from..args.from + args.seconds as usize;
    let leads = taken
        .leads
        .iter()
        .map(|lead| {
            let seconds_mv = seconds_mv(&record, lead.index, seconds.clone())?;
            Ok((lead.name.clone(), seconds_mv))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (beats, labels) = labelled(args, &record)?;
    let plot = Plot {
        record: record.name(),
        synthetic: record.is_synthetic(),
        duration_s,
        seconds,
        leads: &leads,
        beats: &beats,
        labels: &labels,
    };
    args.out.write(&picture(args, plot.to_svg())?)?;
    for warning in record.warnings() {
        eprintln!("warning: {}: {warning}", record.name());
    }
    Ok(())
}

#[cfg(feature = "png")]
fn picture(args: &Args, svg: String) -> anyhow::Result<Vec<u8>> {
    match &args.out {
        Sink::File(path) if path.extension().is_some_and(|e| e == "png") => {
            crate::report::png(&svg, f32::from(args.dpi))
                .with_context(|| path.display().to_string())
        }
        _ => Ok(svg.into_bytes()),
    }
}

#[cfg(not(feature = "png"))]
fn picture(_: &Args, svg: String) -> anyhow::Result<Vec<u8>> {
    Ok(svg.into_bytes())
}

/// The record's beats, and where their labels come from in words.
fn labelled(args: &Args, record: &Record) -> anyhow::Result<(Vec<Beat>, String)> {
    match &args.labels {
        Labels::None => Ok((Vec::new(), "beats not labelled".to_owned())),
        Labels::Annotations(extension) => {
            let beats = annotated(record, extension)?;
            Ok((beats, format!("labels from annotations .{extension}")))
        }
        Labels::Model => {
            let mut options = args.reading.options_for(record)?;
            let from_s = args.from as f64;
            let end_s = from_s + args.seconds as f64 + SUCCESSOR_S;
            options.span_s = Some((from_s - SETTLING_S).max(0.0)..end_s);
            let bar = progress_bar(SETTLING_S);
            let model = args.reading.model.load()?;
            let analysis = model.classify_with_progress(record, &options, |done| {
                bar.set_position((done * SETTLING_S) as u64);
                ControlFlow::Continue(())
            })?;
            bar.finish_and_clear();
            let labels = format!(
                "classes by model {} in {}",
                analysis.model, analysis.runtime
            );
            Ok((analysis.beats, labels))
        }
    }
}

/// The beats of an annotation file, with the RR intervals between them.
fn annotated(record: &Record, extension: &str) -> anyhow::Result<Vec<Beat>> {
    let annotations = record.annotations(extension)?;
    let rate_hz = record.sample_rate_hz();
    let mut last: Option<u64> = None;
    let beats: Vec<Beat> = mapping::beats(&annotations)
        .map(|(annotation, class): (_, Class)| {
            let sample = annotation.sample;
            let rr = last.replace(sample).map(|last| sample.saturating_sub(last));
            Beat {
                class,
                rr_ms: rr.map(|samples| samples as f64 / rate_hz * 1000.0),
                ..Beat::at(sample, sample as f64 / rate_hz)
            }
        })
        .collect();
    if beats.is_empty() {
        let path = record.annotation_path(extension);
        bail!("{}: has no beat annotations", path.display());
    }
    Ok(beats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_checked() {
        for (text, seconds) in [("90", 90), ("90.9", 90), ("1:30", 90), ("2:01:30", 7290)] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
        for text in ["", "-1", "1:60", "x", "1:2:3:4", "nan", "inf", "1e300"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_out("-"), Ok(Sink::Stdout));
        assert!(parse_out("a/b.svg").is_ok());
        assert!(parse_out("a/b.jpg").is_err() && parse_out("strip").is_err());
    }
}
