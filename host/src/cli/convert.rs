//! `heartlens convert`: a record, or its annotations, in another format.

use super::classify::parse_rate;
use super::guard::Guard;
use super::output::{Sink, write_file};
use crate::records::annotation::{Annotation, Annotations, Code};
use crate::records::write::{self, Loss};
use crate::records::{BeatList, BeatOptions, Outline, ReadOptions, Record, VoltageUnit};
use anyhow::bail;
use clap::ValueEnum;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Write a record and its beats, or its beats alone, in another format.
///
/// The name of OUT decides the format:
///
///   NAME, NAME.hea       WFDB: NAME.hea, NAME.dat and the annotations
///   NAME.edf, NAME.bdf   EDF+ (16 bits), BDF+ (24 bits), annotations inside
///   NAME.csv             a table: time in s, each lead in mV; annotations in NAME.annotations.csv
///   NAME.rr              RR intervals in ms, one a line
///
/// With --only annotations: NAME.csv is a table of them, NAME.edf or NAME.bdf holds nothing else, and every other extension, such
/// as NAME.atr, is a WFDB annotation file. What the format cannot hold is said on standard error.
///
/// Of a recording without a signal (annotations alone, beat times, RR intervals), its beats are written: NAME.rr, or --only annotations.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:
  heartlens convert models/demo/demo demo.edf
  heartlens convert models/demo/demo demo.csv
  heartlens convert models/demo/demo demo.rr
  heartlens convert models/demo/demo beats.csv --only annotations

RR intervals as WFDB annotations, which other tools read:
  heartlens convert rr.csv rr.atr --only annotations"
)]
pub(crate) struct Args {
    /// A record of any format that is read.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The record or file to write.
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Write this alone.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Extension of the annotation files, read and written.
    #[arg(long, value_name = "EXT", default_value = "atr")]
    annotator: String,
    /// Samples per second of a table (CSV), instead of what its times say.
    #[arg(long, value_name = "HZ", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Unit of leads that state none: mV, uV, nV or V.
    #[arg(long)]
    unit: Option<VoltageUnit>,
}

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Beats, and what else is annotated.
    Annotations,
    /// The intervals between beats.
    Rr,
}

/// What OUT's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// The stem of header, signal file and annotations.
    Wfdb(PathBuf),
    Edf(PathBuf),
    /// The table of samples, and that of annotations.
    Csv(PathBuf, PathBuf),
    Rr(PathBuf),
    AnnotationTable(PathBuf),
    AnnotationEdf(PathBuf),
    AnnotationFile(PathBuf),
}

impl Target {
    fn of(args: &Args) -> anyhow::Result<Self> {
        let path = args.output.clone();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or("");
        let extension = extension.to_ascii_lowercase();
        Ok(match (args.only, &*extension) {
            (Some(Only::Rr), _) | (None, "rr") => Self::Rr(path),
            (Some(Only::Annotations), "csv") => Self::AnnotationTable(path),
            (Some(Only::Annotations), "edf" | "bdf") => Self::AnnotationEdf(path),
            (Some(Only::Annotations), "hea" | "dat") => bail!(
                "{}: --only annotations writes no record; expected a name such as NAME.atr, NAME.csv or NAME.edf",
                path.display()
            ),
            (Some(Only::Annotations), "") => {
                Self::AnnotationFile(with_appended(&path, &args.annotator))
            }
            (Some(Only::Annotations), _) => Self::AnnotationFile(path),
            (None, "hea") => Self::Wfdb(path.with_extension("")),
            (None, "") => Self::Wfdb(path),
            (None, "edf" | "bdf") => Self::Edf(path),
            (None, "csv") => {
                let annotations = path.with_extension("annotations.csv");
                Self::Csv(path, annotations)
            }
            (None, _) => bail!(
                "{}: found the extension .{extension}, expected NAME or NAME.hea (WFDB), NAME.edf, NAME.bdf, NAME.csv or \
                 NAME.rr; --only annotations writes a WFDB annotation file of any extension",
                path.display()
            ),
        })
    }

    /// The files that are written.
    fn files(&self, annotator: &str) -> Vec<PathBuf> {
        match self {
            Self::Wfdb(stem) => ["hea", "dat", annotator]
                .map(|extension| with_appended(stem, extension))
                .to_vec(),
            Self::Csv(samples, annotations) => vec![samples.clone(), annotations.clone()],
            Self::Edf(path)
            | Self::Rr(path)
            | Self::AnnotationTable(path)
            | Self::AnnotationEdf(path)
            | Self::AnnotationFile(path) => vec![path.clone()],
        }
    }

    /// The one of them that is finished last.
    fn last(&self) -> PathBuf {
        match self {
            Self::Wfdb(stem) => with_appended(stem, "hea"),
            Self::Csv(_, path)
            | Self::Edf(path)
            | Self::Rr(path)
            | Self::AnnotationTable(path)
            | Self::AnnotationEdf(path)
            | Self::AnnotationFile(path) => path.clone(),
        }
    }

    fn needs_annotations(&self) -> bool {
        !matches!(self, Self::Wfdb(_) | Self::Edf(_) | Self::Csv(..))
    }
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let annotator = &*args.annotator;
    if annotator.is_empty()
        || !annotator
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        bail!("--annotator {annotator:?}: expected letters, digits and `_` only, such as `atr`");
    }
    if ["hea", "dat"].contains(&annotator) {
        bail!(
            "--annotator {annotator}: is the extension of a record's other file; expected one such as `atr`"
        );
    }
    let target = Target::of(args)?;
    let guard = Guard::new([args.input.as_path()]).with_annotator(annotator);
    guard.files("convert", &target.files(annotator), &target.last())?;
    if let Some(list) = BeatList::open(&args.input, &BeatOptions::new(annotator))? {
        return convert_list(args, &list, &target);
    }
    let mut options = ReadOptions::default();
    (options.rate_hz, options.unit) = (args.rate, args.unit);
    let record = Record::open_with(&args.input, &options)?;
    let annotations = match record.has_annotations(annotator) {
        true => Some(record.annotations(annotator)?),
        false if target.needs_annotations() => bail!(
            "{}: no annotations by `{annotator}`; expected {}, or another with --annotator",
            args.input.display(),
            record.annotation_path(annotator).display()
        ),
        false => None,
    };
    let losses = write_target(&record, annotations.as_ref(), &target, annotator)?;

    for warning in record.warnings() {
        eprintln!("warning: {warning}");
    }
    for loss in losses {
        eprintln!("warning: {loss}");
    }
    let mut text = String::new();
    let whole = !target.needs_annotations();
    if whole {
        let leads = record.leads().iter().filter(|lead| lead.is_voltage).count();
        write!(text, "{leads} lead(s) of {:.1} s, ", record.duration_s())?;
    }
    let count = annotations
        .as_ref()
        .map_or(0, |annotations| annotations.list.len());
    let beats = annotations
        .as_ref()
        .map_or(0, |annotations| annotations.beats().count());
    writeln!(text, "{count} annotation(s), {beats} of them beats")?;
    for file in target.files(annotator).iter().filter(|file| file.is_file()) {
        writeln!(text, "  {}", file.display())?;
    }
    Sink::Stdout.write(text.as_bytes())
}

/// Writes the beats of a recording without a signal.
fn convert_list(args: &Args, list: &BeatList, target: &Target) -> anyhow::Result<()> {
    if !target.needs_annotations() {
        bail!(
            "{}: found beats without a signal, expected a signal for {}; NAME.rr or --only annotations writes the beats",
            args.input.display(),
            args.output.display()
        );
    }
    let mut warnings: Vec<String> = list.warnings.iter().map(ToString::to_string).collect();
    // Of a WFDB record, all that is annotated.
    let annotations = match list.annotation_preamble() {
        None => {
            Outline::open(&args.input)?
                .recover_annotations(&args.annotator)?
                .0
        }
        Some(_) => {
            let code = |code: Option<Code>| code.unwrap_or(Code::UNCLASSIFIABLE);
            let beats = list.beats.iter();
            let beats = beats.map(|beat| Annotation::new(beat.sample, code(beat.code)));
            Annotations {
                list: beats.collect(),
            }
        }
    };
    let rate_hz = list.sample_rate_hz;
    match target {
        Target::Rr(path) => write_file(path, write::rr_list(&annotations, rate_hz).as_bytes())?,
        Target::AnnotationEdf(path) => {
            let losses = write::edf_annotations(&annotations, rate_hz, list.patient, None, path)?;
            warnings.extend(losses.iter().map(ToString::to_string));
        }
        Target::AnnotationFile(path) => {
            let preamble = match annotations.time_resolution_hz() {
                Some(_) => None,
                None => list.annotation_preamble(),
            };
            let list = preamble.into_iter().chain(annotations.list.iter().cloned());
            Annotations {
                list: list.collect(),
            }
            .write(path)?;
        }
        Target::AnnotationTable(path)
        | Target::Csv(_, path)
        | Target::Wfdb(path)
        | Target::Edf(path) => {
            write_file(
                path,
                write::annotation_table(&annotations, rate_hz).as_bytes(),
            )?;
        }
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let mut text = format!(
        "{} annotation(s), {} of them beats\n",
        annotations.list.len(),
        annotations.beats().count()
    );
    for file in target.files(&args.annotator) {
        writeln!(text, "  {}", file.display())?;
    }
    Sink::Stdout.write(text.as_bytes())
}

fn write_target(
    record: &Record,
    annotations: Option<&Annotations>,
    target: &Target,
    annotator: &str,
) -> anyhow::Result<Vec<Loss>> {
    let rate_hz = record.sample_rate_hz();
    let none = Annotations::default();
    let list = annotations.unwrap_or(&none);
    Ok(match target {
        Target::Wfdb(stem) => write::wfdb(record, annotations.map(|list| (list, annotator)), stem)?,
        Target::Edf(path) => write::edf(record, list, path)?,
        Target::Csv(samples, table) => {
            let Some(list) = annotations else {
                return Ok(write::csv(record, samples)?);
            };
            // Begun first: where a program is killed between the two files, that tells the next one that it may begin again.
            let mut out = Sink::File(table.clone()).begin()?;
            out.write_all(write::annotation_table(list, rate_hz).as_bytes())?;
            let losses = write::csv(record, samples)?;
            out.finish()?;
            losses
        }
        Target::Rr(path) => {
            write_file(path, write::rr_list(list, rate_hz).as_bytes())?;
            Vec::new()
        }
        Target::AnnotationTable(path) => {
            write_file(path, write::annotation_table(list, rate_hz).as_bytes())?;
            Vec::new()
        }
        Target::AnnotationEdf(path) => {
            write::edf_annotations(list, rate_hz, record.patient(), record.start(), path)?
        }
        Target::AnnotationFile(path) => {
            let preamble = match list.time_resolution_hz() {
                Some(_) => None,
                None => record.annotation_preamble(),
            };
            let list = preamble
                .into_iter()
                .chain(list.list.iter().cloned())
                .collect();
            Annotations { list }.write(path)?;
            Vec::new()
        }
    })
}

/// `path.extension`, whatever dots the path has.
fn with_appended(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
