//! `heartlens classify`: records in, labelled beats out.

mod files;
pub(super) mod inputs;
mod journal;
mod rows;
mod source;
#[cfg(feature = "parquet")]
mod tables;
pub(super) mod text;
mod work;

use super::guard::Guard;
use super::model::ModelChoice;
use super::output::Sink;
use crate::analysis::Analysis;
use crate::engine::{Pool, Progress, Worker};
use crate::message::one_line;
use crate::options::{Leads, Mode, Options, Peaks};
use crate::records::{BeatColumn, BeatOptions, ReadOptions, Record, VoltageUnit};
use crate::report::{Heading, Section};
use crate::runtime::Kind;
#[cfg(feature = "parquet")]
use crate::tables::Origin;
use anyhow::bail;
use clap::ValueEnum;
use files::Combined;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::rhythm::Rules;
use indicatif::{ProgressBar, ProgressStyle};
use inputs::Input;
use journal::Journal;
pub(super) use journal::record_files;
use source::Source;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use work::Work;

/// Classify the beats of records: N normal, S supraventricular, V ventricular, F fusion, Q unreadable (AAMI EC57).
///
/// Research software, not a medical device.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:
  heartlens classify models/demo/demo
  heartlens classify models/demo/demo --json beats.json --report demo.html
  heartlens classify models/demo --out results --resume

Other formats:
    heartlens classify night.edf --lead best
    heartlens classify chest.csv --rate 250 --unit uV

Tables of a thousand records, which the same command goes on with:
    heartlens classify models/demo --tables tables

Beats without a signal: atrial fibrillation, pauses and HRV; classes where the list has them:
    heartlens classify nsr2db/nsr001 --annotator ecg
    heartlens classify watch.csv --beats intervals")]
pub(crate) struct Args {
    /// WFDB records, with or without `.hea`, files (EDF, BDF, ISHNE, DICOM, SCP-ECG, aECG, MUSE, Philips, ATC, CSV), lists of
    /// beats (WFDB annotations without signal, tables of beat times or RR intervals, `.hrm`, FIT), or folders: all records in
    /// them and below.
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// What a table without such names of columns holds, instead of a signal: the times of beats, or the intervals between
    /// them.
    #[arg(long, value_enum, conflicts_with_all = ["rate", "unit"])]
    beats: Option<BeatsChoice>,
    /// The patient's age in years, instead of what the record says.
    #[arg(long, value_name = "YEARS", value_parser = parse_age)]
    age: Option<f32>,
    /// The patient's sex, instead of what the record says.
    #[arg(long, value_enum)]
    sex: Option<SexChoice>,
    /// Write a WFDB annotation file beside each record, with this extension (with --out: there, in place of `hlb`).
    #[arg(long, value_name = "EXT")]
    annotations: Option<String>,
    /// Write one line a beat; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<Sink>,
    /// Write beats and summary, one object a record, in an array where several records or a folder are named; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
    /// Write one row a beat as Parquet; `-` is standard output.
    #[cfg(feature = "parquet")]
    #[arg(long, value_name = "FILE")]
    parquet: Option<Sink>,
    /// Write the Parquet tables `beats`, `records` and `errors` into this folder, as Python, Ray and Spark do. What is in it is
    /// not done again.
    #[cfg(feature = "parquet")]
    #[arg(long, value_name = "DIR", conflicts_with_all = TABLES_EXCLUDES)]
    tables: Option<PathBuf>,
    /// Write a report that stands alone, one HTML file for all records; `-` is standard output.
    #[arg(long, value_name = "FILE.html")]
    report: Option<Sink>,
    /// The reports' title, in place of "ECG beat report" and the record's name.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// A comment below the reports' title.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Leave the full disclosure (the whole recording, a line a minute) out of reports.
    #[arg(long)]
    no_disclosure: bool,
    /// Write files of each record into this folder, as soon as it is done, named as the record is; records of a folder
    /// keep their place below it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Which files --out writes.
    #[arg(
        long,
        value_enum,
        value_name = "KIND,...",
        value_delimiter = ',',
        requires = "out",
        default_value = "annotations,csv,json,report"
    )]
    formats: Vec<Format>,
    /// Pass over the records whose files in --out are complete and were made from the same files with the same flags.
    #[arg(long, requires = "out", conflicts_with_all = RESUME_EXCLUDES)]
    resume: bool,
}

/// Files of all records together, which cannot be made from what is left to do.
const RESUME_EXCLUDES: &[&str] = &[
    "csv",
    "json",
    #[cfg(feature = "parquet")]
    "parquet",
    "report",
];

/// Other files, which `--tables` cannot make of what is left to do.
#[cfg(feature = "parquet")]
const TABLES_EXCLUDES: &[&str] = &["annotations", "csv", "json", "out", "parquet", "report"];

/// A kind of file that `--out` writes of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Format {
    /// WFDB annotations, NAME.hlb.
    Annotations,
    /// One line a beat, NAME.csv.
    Csv,
    /// Beats and summary, NAME.json.
    Json,
    /// One row a beat, NAME.parquet.
    #[cfg(feature = "parquet")]
    Parquet,
    /// A report that stands alone, NAME.html.
    Report,
}

/// Extension of annotation files in `--out`, unless `--annotations` gives another.
const ANNOTATIONS: &str = "hlb";

impl Args {
    /// All flags that change what is found in a record, as text that differs when one of them does.
    fn what_shapes_a_result(&self) -> String {
        let Reading {
            model: _,
            runtime,
            lead,
            mode,
            rate,
            unit,
            peaks,
            annotator,
            rules,
            threads: _,
        } = &self.reading;
        format!(
            "{runtime} {lead:?} {mode:?} {rate:?} {unit:?} {peaks} {annotator} {rules:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.age, self.sex, self.beats, self.title, self.comment, self.no_disclosure
        )
    }

    /// What lists of beats are to be read with.
    fn beat_options(&self) -> BeatOptions {
        let column = self.beats.map(|beats| match beats {
            BeatsChoice::Times => BeatColumn::Times,
            BeatsChoice::Intervals => BeatColumn::Intervals,
        });
        BeatOptions::new(&self.reading.annotator).with_column(column)
    }

    /// Where the files of all records together go.
    fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.named_sinks().map(|(_, sink)| sink)
    }

    /// The same, each with its flag.
    fn named_sinks(&self) -> impl Iterator<Item = (&'static str, &Sink)> {
        #[cfg(feature = "parquet")]
        let parquet = &self.parquet;
        #[cfg(not(feature = "parquet"))]
        let parquet = &None;
        let sinks = [
            ("--csv", &self.csv),
            ("--json", &self.json),
            ("--report", &self.report),
            ("--parquet", parquet),
        ];
        sinks
            .into_iter()
            .filter_map(|(flag, sink)| Some((flag, sink.as_ref()?)))
    }

    /// Whether each record's part of a report is asked for.
    fn wants_sections(&self) -> bool {
        self.report.is_some() || (self.out.is_some() && self.formats.contains(&Format::Report))
    }
}

/// What reads the records, and how: the flags that every verb with a model has.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    pub(crate) model: ModelChoice,
    /// What runs the network.
    #[arg(long, value_enum, default_value_t = Kind::ALL[0])]
    runtime: Kind,
    /// The lead to read, by name or by its place from 0; `first` is the first that is an ECG, `best` the one of the
    /// best quality, `both` averages the first two, `two` does where there are two, `all` fuses all by their quality at each
    /// beat [default: first; with --mode whole: two]
    #[arg(long, value_name = "NAME|INDEX|first|best|both|two|all")]
    lead: Option<Leads>,
    /// When a beat is judged.
    #[arg(long, value_enum, default_value_t = ModeChoice::Streaming)]
    pub(crate) mode: ModeChoice,
    /// Samples per second of tables (CSV), instead of what their times say.
    #[arg(long, value_name = "HZ", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Unit of leads that state none: mV, uV, nV or V.
    #[arg(long)]
    unit: Option<VoltageUnit>,
    /// Where the R peaks come from: found in the signal, or every beat of the reference annotation.
    #[arg(long, value_enum, default_value_t = PeaksChoice::Detected)]
    pub(crate) peaks: PeaksChoice,
    /// Extension of the reference annotation.
    #[arg(long, value_name = "EXT", default_value = "atr")]
    pub(crate) annotator: String,
    /// Rules by which the rhythm weighs on the classes; with --mode whole the whole recording has its own.
    #[arg(long, value_enum, alias = "rhythm", default_value_t = RulesChoice::Alike)]
    rules: RulesChoice,
    /// Threads that work, on several records and inside one [default: one a core].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// What a table of beats holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BeatsChoice {
    /// When each beat was, in seconds or milliseconds.
    Times,
    /// How long each came after the one before.
    Intervals,
}

/// Which rules weigh on the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesChoice {
    /// The strip rule, and beats of a patient that look alike get like answers.
    Alike,
    /// The strip rule: where half minutes of signal show atrial fibrillation, early beats count as N rather than S.
    Strip,
    /// The network alone decides; atrial fibrillation is told all the same.
    None,
    /// The AF rule: where the intervals speak of atrial fibrillation, early beats count as N rather than S.
    #[value(alias = "gate")]
    Af,
    /// The AF rule and the SVT rule: in a sustained supraventricular tachycardia beats count as S.
    #[value(alias = "run")]
    AfSvt,
    /// The network alone decides, and the rhythm is not judged.
    Off,
}

impl RulesChoice {
    /// The rules of this choice; `None` where the rhythm is not to be judged.
    pub(crate) fn rules(self) -> Option<Rules> {
        match self {
            Self::Alike => Some(Rules::ALIKE),
            Self::Strip => Some(Rules::STRIP),
            Self::None => Some(Rules::NONE),
            Self::Af => Some(Rules::AF),
            Self::AfSvt => Some(Rules::AF_SVT),
            Self::Off => None,
        }
    }
}

/// When a beat is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeChoice {
    /// As it comes: as a device does, to the bit.
    Streaming,
    /// With the whole recording at hand, by the beats that look like it and the rhythm on both sides: the most accurate.
    Whole,
}

impl ModeChoice {
    /// The library's name for it.
    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Streaming => Mode::Streaming,
            Self::Whole => Mode::Whole,
        }
    }
}

impl Reading {
    /// The leads to read.
    pub(crate) fn leads(&self) -> Leads {
        self.lead
            .clone()
            .unwrap_or_else(|| self.mode.mode().leads())
    }

    /// What records are to be read with.
    pub(crate) fn read_options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        (options.rate_hz, options.unit) = (self.rate, self.unit);
        options
    }

    /// What a record is to be classified with, but for its reference annotation.
    pub(crate) fn options(&self) -> Options {
        Options {
            mode: self.mode.mode(),
            leads: self.leads(),
            rules: self.rules.rules(),
            runtime: self.runtime,
            threads: self.threads,
            ..Options::default()
        }
    }

    /// The same, R peaks from this record's reference annotation where that is asked for.
    pub(crate) fn options_for(&self, record: &Record) -> anyhow::Result<Options> {
        Ok(Options {
            peaks: match self.peaks {
                PeaksChoice::Detected => Peaks::Detected,
                PeaksChoice::Reference => Peaks::annotated(record, &self.annotator)?,
            },
            ..self.options()
        })
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

impl PeaksChoice {
    const fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Reference => "reference",
        }
    }
}

impl std::fmt::Display for PeaksChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
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

impl SexChoice {
    const fn sex(self) -> Sex {
        match self {
            Self::F => Sex::Female,
            Self::M => Sex::Male,
        }
    }
}

pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hz) if hz.is_finite() && hz > 0.0 => Ok(hz),
        _ => Err("expected samples per second, above 0".to_owned()),
    }
}

fn parse_age(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(age) if (0.0..=130.0).contains(&age) => Ok(age),
        _ => Err("expected years, 0 to 130".to_owned()),
    }
}

/// What all records of a run are read with.
#[derive(Debug)]
struct Run {
    args: Args,
    model: String,
    /// Of tables.
    #[cfg(feature = "parquet")]
    origin: Origin,
    /// What tells the model's files from others.
    fingerprint: String,
    /// Of reports.
    heading: Heading,
}

/// One record's result.
#[derive(Debug)]
struct Classified {
    name: String,
    record: Source,
    lead: String,
    analysis: Analysis,
    warnings: Vec<String>,
    section: Option<Section>,
}

/// Runs the verb. Files of one record are written when it is done; files of all records when all are, without those
/// that could not be read.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(extension) = &args.annotations {
        check_extension(extension, &args.reading.annotator)?;
    }
    let inputs = inputs::inputs(&args.records)?;
    let guard = Guard::new(inputs.iter().map(|input| input.path.as_path()))
        .with_annotator(&args.reading.annotator);
    guard.sinks(args.named_sinks())?;
    let journal = match &args.out {
        Some(folder) => {
            inputs::check_names(&inputs, "--out")?;
            Some(Journal::read(folder)?)
        }
        None => None,
    };
    let model = args.reading.model.load()?;
    let fingerprint = model.fingerprint();
    #[cfg(feature = "parquet")]
    let origin = args.origin(&model);
    #[cfg(feature = "parquet")]
    let tables = match &args.tables {
        Some(folder) => {
            inputs::check_names(&inputs, "--tables")?;
            Some(tables::Tables::open(folder, &origin)?)
        }
        None => None,
    };
    let is_done = |input: &Input| {
        #[cfg(feature = "parquet")]
        if let Some(tables) = &tables {
            return tables.has(&input.name);
        }
        let journal = journal.as_ref().filter(|_| args.resume);
        journal.is_some_and(|journal| journal.has(input, args, &fingerprint))
    };
    let todo: Vec<usize> = (0..inputs.len())
        .filter(|i| !is_done(&inputs[*i]))
        .collect();
    let passed_over = inputs.len() - todo.len();
    if passed_over > 0 {
        eprintln!("{passed_over} of {} records were done before", inputs.len());
    }
    if todo.is_empty() {
        return Ok(());
    }
    let network = model.network(args.reading.runtime)?;
    if (args.age.is_some() || args.sex.is_some()) && !network.reads_patient() {
        eprintln!(
            "warning: model {} does not read age and sex: they change nothing",
            model.name()
        );
    }
    let heading = Heading {
        title: args.title.clone(),
        comment: args.comment.clone(),
    };
    let run = Run {
        args: args.clone(),
        model: model.name().to_owned(),
        #[cfg(feature = "parquet")]
        origin,
        fingerprint,
        heading,
    };
    model.keep(args.reading.runtime, network);
    let pool = Pool::new(&model, &args.reading.options());
    let work = Arc::new(Work::new(run, guard, inputs, todo, journal));
    #[cfg(feature = "parquet")]
    return finish(args, &work, &pool, tables);
    #[cfg(not(feature = "parquet"))]
    finish(args, &work, &pool)
}

/// Takes in the results and writes what is asked of all records together.
fn finish(
    args: &Args,
    work: &Arc<Work>,
    pool: &Pool<'_>,
    #[cfg(feature = "parquet")] mut tables: Option<tables::Tables>,
) -> anyhow::Result<()> {
    let run = &work.run;
    let several = args.records.len() > 1 || args.records.iter().any(|path| path.is_dir());
    let mut combined = Combined::begin(run, several)?;
    let mut table = text::Table::default();
    let mut alone = None;
    let mut warnings = Vec::new();
    let mut failures: Vec<(String, anyhow::Error)> = Vec::new();
    let gone = work.go(pool, |input, result| {
        let name = &input.name;
        #[cfg(feature = "parquet")]
        if let Some(tables) = &mut tables {
            tables.add(input, &result, run)?;
        }
        match result {
            Ok(mut classified) => {
                combined.add(&mut classified, run)?;
                table.add(&classified);
                warnings.push((name.clone(), classified.record.warnings()));
                alone = Some(classified);
            }
            Err(error) => failures.push((name.clone(), error)),
        }
        Ok(())
    });
    // What was done before an interruption is kept.
    #[cfg(feature = "parquet")]
    if let Some(tables) = &mut tables {
        tables.commit()?;
    }
    gone?;
    let records = warnings.len() + failures.len();
    if warnings.is_empty() {
        drop(combined);
    } else {
        combined.finish()?;
        for warning in text::warnings(&warnings) {
            eprintln!("warning: {warning}");
        }
        let mut words = match alone {
            Some(classified) if records == 1 => text::describe(&classified, run)?,
            _ => table.to_string(),
        };
        words.push_str("\nResearch software, not a medical device.\n");
        match args.sinks().any(|sink| *sink == Sink::Stdout) {
            true => eprint!("{words}"),
            false => Sink::Stdout.write(words.as_bytes())?,
        }
    }
    if records == 1
        && let Some((_, error)) = failures.pop()
    {
        return Err(error);
    }
    for (_, error) in &failures {
        eprintln!("error: {}", one_line(error.as_ref()));
    }
    match failures.len() {
        0 => Ok(()),
        all if all == records => bail!("none of {records} records could be classified"),
        some => {
            let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
            bail!(
                "{some} of {records} records could not be classified: {}; all others are done",
                text::listed(&names)
            )
        }
    }
}

/// An annotation file's extension must name nothing that is there for another reason.
fn check_extension(extension: &str, annotator: &str) -> anyhow::Result<()> {
    let reserved = ["hea", "dat", "mat", "edf", "csv", "tsv", "atr", annotator];
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

/// Classifies a record's beats.
fn classify(
    run: &Run,
    input: &Input,
    source: Source,
    worker: &mut Worker<'_>,
    progress: Progress<'_>,
) -> anyhow::Result<Classified> {
    let args = &run.args;
    let (analysis, section) = match &source {
        Source::Beats(list) => {
            let analysis = worker.judge_beats(list);
            let section = args
                .wants_sections()
                .then(|| Section::of_beats(list, &analysis));
            (analysis, section)
        }
        Source::Record(record) => {
            let mut options = args.reading.options_for(record)?;
            options.patient = Patient {
                age_years: args.age,
                sex: args.sex.map(SexChoice::sex),
            };
            if args.wants_sections() {
                let (analysis, section) =
                    Section::classify_in(worker, record, &options, !args.no_disclosure, progress)?;
                (analysis, Some(section))
            } else {
                (worker.classify(record, &options, progress)?, None)
            }
        }
    };
    let lead = match args.reading.leads() {
        Leads::All => "all".to_owned(),
        _ if analysis.leads.len() > 1 => "both".to_owned(),
        _ => analysis.leads.concat(),
    };
    Ok(Classified {
        name: input.name.clone(),
        warnings: analysis.warnings.iter().map(ToString::to_string).collect(),
        record: source,
        lead,
        analysis,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_that_would_destroy_are_refused() {
        assert!(check_extension("hlb", "atr").is_ok());
        for extension in ["atr", "dat", "hea", "ref", "", "a/b", "."] {
            assert!(check_extension(extension, "ref").is_err(), "{extension}");
        }
    }
}
