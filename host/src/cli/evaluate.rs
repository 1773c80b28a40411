//! `heartlens evaluate`: how good the beats are, by ANSI/AAMI EC57.

use super::classify::inputs::inputs;
use super::classify::text::listed;
use super::classify::{PeaksChoice, Reading, progress_bar};
use super::guard::Guard;
use super::output::Sink;
use crate::analysis::Beat;
use crate::canonical;
use crate::engine::{Pool, Stop, Worker};
use crate::evaluate::bootstrap::Bootstrap;
use crate::evaluate::bxb::{self, Comparison, Event, Kind, Label, Options};
use crate::evaluate::certainty::Certainty;
use crate::evaluate::episodes::{Episodes, names_rhythm};
use crate::evaluate::mapping::Mapping;
use crate::evaluate::noise::{self, Noise, NoiseError};
use crate::evaluate::report::{self, Report, Setting};
use crate::evaluate::tally::{Tally, is_named};
use crate::message::one_line;
use crate::model::Model;
use crate::options::{Leads, Options as Classification, Peaks, within};
use crate::records::annotation::Annotations;
use crate::records::{Outline, Record};
use crate::report::Heading;
use crate::report::evaluation::{self, Evaluation, Judgement, Mistake};
use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use heartlens_core::class::Class;
use heartlens_core::spec;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Compare beats with reference annotations, beat by beat as WFDB's bxb does (ANSI/AAMI EC57).
///
/// Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens evaluate mitdb svdb/800 --json figures.json --report figures.html
  heartlens evaluate mitdb --peaks reference
  heartlens evaluate mitdb/118 mitdb/119 --noise nstdb/em --snr 24,18,12,6,0
  heartlens evaluate mitdb --without 118 --without 119

Two annotation files of each record, without any signal and model, as bxb, epicmp and rxr compare them:
  heartlens classify mitdb --annotations hlb
  heartlens evaluate mitdb --annotator atr --test hlb

False alarms in recordings whose diagnosis rules ectopic beats out:
  heartlens evaluate --false-alarms cinc2017 ptbxl")]
pub(crate) struct Args {
    /// Records, or folders: of a folder, every record in it and below that has reference annotations.
    #[arg(required = true, value_name = "DIR|RECORD")]
    records: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Compare the annotations with this extension, instead of beats that are classified here: of WFDB records, whose
    /// signals are not read and need not be there.
    #[arg(long, value_name = "EXT", conflicts_with_all = ["noise", "peaks", "lead", "rules", "runtime", "model", "report"])]
    test: Option<String>,
    /// Count S and V in recordings whose diagnosis says that no beat is ectopic, instead of comparing beats: normal, or a bundle
    /// branch block, by `Dx:` in the header, REFERENCE.csv beside it (CinC 2017), or ptbxl_database.csv above it.
    #[arg(long, conflicts_with_all = ["noise", "peaks", "from", "test", "without", "report", "mapping"])]
    false_alarms: bool,
    /// All figures once more without this record, `232` or `mitdb/232`; may be given several times.
    #[arg(long, value_name = "NAME", conflicts_with = "noise")]
    without: Vec<String>,
    /// Where the comparison starts, in seconds: 300 by default, the learning period of EC57, and 0 with
    /// `--peaks reference`.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse_seconds)]
    from: Option<f64>,
    /// Add noise from this record, two minutes on and two off from 5:00, as WFDB's nst does.
    #[arg(long, value_name = "RECORD", requires = "snr")]
    noise: Option<PathBuf>,
    /// Ratio of QRS power to noise power while the noise is on, in decibels; several, with commas between, give a table.
    #[arg(long, value_name = "DB,..", value_delimiter = ',', requires = "noise", allow_negative_numbers = true, value_parser = parse_decibels)]
    snr: Vec<f64>,
    /// Which codes make which class; `bxb` counts escape beats `e j n` as S instead of N. (Runs are always counted with
    /// the classes of `bxb`, as rxr does.)
    #[arg(long, value_enum, default_value_t = MappingChoice::Aami)]
    mapping: MappingChoice,
    /// Resamples of the bootstrap over patients.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = parse_resamples)]
    resamples: usize,
    /// Seed of the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write all figures as one object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
    /// Write a report that stands alone: figures, confusion, every record, and the worst records' errors as strips; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE.html")]
    report: Option<Sink>,
    /// The report's title, in place of "Evaluation".
    #[arg(long, value_name = "TEXT", requires = "report")]
    title: Option<String>,
    /// A comment below the report's title.
    #[arg(long, value_name = "TEXT", requires = "report")]
    comment: Option<String>,
}

/// Which codes make which class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MappingChoice {
    /// N: N L R B e j n. S: A a J S.
    Aami,
    /// N: N L R B. S: A a J S e j n.
    Bxb,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("expected seconds, 0 or more".to_owned()),
    }
}

fn parse_decibels(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(decibels) if (-60.0..=120.0).contains(&decibels) => Ok(decibels),
        _ => Err("expected decibels, -60 to 120".to_owned()),
    }
}

fn parse_resamples(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(resamples) if (1..=1_000_000).contains(&resamples) => Ok(resamples),
        _ => Err("expected a number, 1 to 1000000".to_owned()),
    }
}

/// A record with its reference.
struct Subject {
    /// Folder and record, `mitdb/101`.
    name: String,
    record: Record,
    annotations: Annotations,
    reference: Vec<Event>,
}

/// Who asks for figures: the command, which writes and prints them, or a program, which takes them.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// Of a program; the command has none.
    pub(super) program: Option<Program<'a>>,
    /// What the JSON file has.
    pub(super) figures: Value,
    /// What the command says on standard error.
    pub(super) warnings: Vec<String>,
}

/// A program that asks for figures.
pub(super) struct Program<'a> {
    pub(super) model: Model,
    /// Hears what ends the work.
    pub(super) begun: &'a dyn Fn(Stop),
}

impl Asked<'_> {
    fn warn(&mut self, warning: String) {
        match self.program {
            Some(_) => self.warnings.push(warning),
            None => eprintln!("warning: {warning}"),
        }
    }
}

/// Runs the verb. Nothing is written before every record has been compared.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    evaluate(args, &mut Asked::default())
}

/// The same, for whoever asks.
pub(super) fn evaluate(args: &Args, asked: &mut Asked<'_>) -> anyhow::Result<()> {
    if args.false_alarms {
        if let Some(json) = &args.json {
            Guard::new(args.records.iter().map(PathBuf::as_path)).sink("--json", json)?;
        }
        return super::false_alarms::run(&args.records, &args.reading, args.json.as_ref());
    }
    let guard = Guard::new(args.records.iter().map(PathBuf::as_path))
        .with_annotator(&args.reading.annotator)
        .with_annotator(args.test.as_deref().unwrap_or(&args.reading.annotator));
    let sinks = [("--json", &args.json), ("--report", &args.report)];
    guard.sinks(
        sinks
            .into_iter()
            .filter_map(|(flag, sink)| Some((flag, sink.as_ref()?))),
    )?;
    if args.report.is_some() && args.snr.len() > 1 {
        bail!(
            "--report: found {} levels of --snr, expected one at most",
            args.snr.len()
        );
    }
    let peaks = args.reading.peaks;
    let mapping = match args.mapping {
        MappingChoice::Aami => Mapping::Aami,
        MappingChoice::Bxb => Mapping::Bxb,
    };
    if let Some(test) = &args.test {
        return compare_files(args, test, mapping, asked);
    }
    let mut subjects = Vec::new();
    let mut failures = Failures::of(&args.records);
    for path in &args.records {
        for path in records_of(path, &args.reading.annotator)? {
            let subject = match open(&path, &args.reading, mapping) {
                Ok(subject) => subject,
                Err(error) => {
                    failures.add(path.display().to_string(), error)?;
                    continue;
                }
            };
            if subjects.iter().any(|s: &Subject| s.name == subject.name) {
                bail!("record {} is given twice; each counts once", subject.name);
            }
            subjects.push(subject);
        }
    }
    let names: Vec<&str> = subjects.iter().map(|s| s.name.as_str()).collect();
    check_without(args, &names)?;
    let from_s = args.from.unwrap_or(match peaks {
        PeaksChoice::Detected => Options::FROM_S,
        PeaksChoice::Reference => 0.0,
    });
    if let Some(warning) = check_lengths(&subjects, from_s)? {
        asked.warn(warning);
    }
    let noise = args.noise.as_deref().map(AddedNoise::open).transpose()?;
    let levels: Vec<Option<(&AddedNoise, f64)>> = match &noise {
        Some(noise) => args
            .snr
            .iter()
            .map(|snr_db| Some((noise, *snr_db)))
            .collect(),
        None => vec![None],
    };
    if !subjects.is_empty() {
        evaluate_at(
            args,
            &subjects,
            &levels,
            mapping,
            from_s,
            &mut failures,
            asked,
        )?;
    }
    let is_done = |subject: &&Subject| !failures.has(&subject.name);
    let evaluated = subjects.iter().filter(is_done).count();
    failures.end(evaluated)
}

/// Refuses a comparison that begins behind the end of every record, and tells of the records that it leaves out.
fn check_lengths(subjects: &[Subject], from_s: f64) -> anyhow::Result<Option<String>> {
    let is_short = |subject: &&Subject| subject.record.duration_s() <= from_s;
    let short: Vec<&Subject> = subjects.iter().filter(is_short).collect();
    let Some(first) = short.first() else {
        return Ok(None);
    };
    let ends = format!(
        "{}: ends at {:.1} s, before the comparison begins at {from_s} s; --from 0 compares all of it",
        first.name,
        first.record.duration_s()
    );
    if short.len() == subjects.len() {
        bail!("{ends}");
    }
    let others = match short.len() {
        1 => String::new(),
        n => format!(" (so do {} more)", n - 1),
    };
    Ok(Some(format!("{ends}{others}")))
}

/// Records that could not be evaluated. Where one alone is named, its error ends the run.
pub(super) struct Failures {
    several: bool,
    list: Vec<(String, anyhow::Error)>,
}

impl Failures {
    pub(super) fn of(records: &[PathBuf]) -> Self {
        Self {
            several: records.len() > 1 || records.iter().any(|path| path.is_dir()),
            list: Vec::new(),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(failed, _)| failed == name)
    }

    pub(super) fn add(&mut self, name: String, error: anyhow::Error) -> anyhow::Result<()> {
        if !self.several {
            return Err(error);
        }
        self.list.push((name, error));
        Ok(())
    }

    /// Tells of each, and ends the run as failed where there is one. So many records were evaluated.
    pub(super) fn end(mut self, evaluated: usize) -> anyhow::Result<()> {
        if evaluated == 0
            && self.list.len() == 1
            && let Some((_, error)) = self.list.pop()
        {
            return Err(error);
        }
        for (_, error) in &self.list {
            eprintln!("error: {}", one_line(error.as_ref()));
        }
        if self.list.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.list.iter().map(|(name, _)| name.as_str()).collect();
        let rest = match evaluated {
            0 => "none is left",
            _ => "the figures are those of all others",
        };
        bail!(
            "{} record(s) could not be evaluated: {}; {rest}",
            names.len(),
            listed(&names)
        )
    }
}

/// Judges all records once a level of added noise, and reports.
fn evaluate_at(
    args: &Args,
    subjects: &[Subject],
    levels: &[Option<(&AddedNoise, f64)>],
    mapping: Mapping,
    from_s: f64,
    failures: &mut Failures,
    asked: &mut Asked<'_>,
) -> anyhow::Result<()> {
    let model = match &asked.program {
        Some(program) => program.model.clone(),
        None => args.reading.model.load()?,
    };
    let options = args.reading.options();
    let network = model.network(options.runtime)?;
    let (model_name, runtime) = (model.name().to_owned(), network.name());
    model.keep(options.runtime, network);
    let once_s: f64 = subjects.iter().map(|s| s.record.duration_s()).sum();
    let progress = match asked.program {
        Some(_) => ProgressBar::hidden(),
        None => progress_bar(once_s * levels.len() as f64),
    };
    let begun = args.report.as_ref().map(Sink::begin).transpose()?;
    let mut mistakes = BTreeMap::new();
    let mut reports = Vec::with_capacity(levels.len());
    let mut tally = Tally::new();
    let mut without = BTreeMap::new();
    for noise in levels {
        tally = Tally::new();
        let left: Vec<&Subject> = subjects
            .iter()
            .filter(|subject| !failures.has(&subject.name))
            .collect();
        let mut failed = Ok(());
        let pool = Pool::new(&model, &options);
        if let Some(program) = &asked.program {
            (program.begun)(pool.stop());
        }
        let _ = pool.map(
            left.len(),
            |place, worker| {
                let (subject, peaks) = (left[place], args.reading.peaks);
                let shown = begun.is_some();
                judge(
                    subject, &options, from_s, *noise, peaks, shown, worker, &progress,
                )
            },
            |place, judged| {
                let name = &left[place].name;
                let bug = || Err(anyhow!("{name}: failed; this is a bug"));
                match judged.unwrap_or_else(bug) {
                    Ok((judged, shown)) => {
                        judged.count(&mut tally, name);
                        mistakes.insert(name.clone(), shown);
                    }
                    Err(error) => failed = failures.add(name.clone(), error),
                }
                match failed {
                    Err(_) => ControlFlow::Break(()),
                    Ok(()) => ControlFlow::Continue(()),
                }
            },
        );
        failed?;
        if pool.stop().is_stopped() {
            return Err(crate::Error::Cancelled.into());
        }
        if subjects.iter().all(|subject| failures.has(&subject.name)) {
            progress.finish_and_clear();
            return Ok(());
        }
        let peaks = match args.reading.peaks {
            PeaksChoice::Detected => report::Peaks::Detected,
            PeaksChoice::Reference => report::Peaks::Reference,
        };
        let setting = setting(args, peaks, runtime, mapping, from_s);
        reports.push(tally.report(&setting));
        without = reports_without(args, &tally, &setting);
    }
    progress.finish_and_clear();

    let source = json!({
        "model": model_name,
        "lead": args.reading.leads().to_string(),
        "mode": args.reading.mode.mode().to_string(),
        "annotator": args.reading.annotator,
    });
    asked.figures = figures(&reports, levels, &without, &source)?;
    write_json(args, &asked.figures)?;
    if let (Some(mut out), [report]) = (begun, reports.as_slice()) {
        let (lead, mode) = (args.reading.leads(), args.reading.mode.mode());
        let mut setting = format!(
            "Model {model_name} in {runtime}, mode {mode}, R peaks {}, lead {lead}",
            args.reading.peaks
        );
        if let [Some((noise, snr_db))] = levels {
            setting.push_str(&format!(", noise of {} added at {snr_db} dB", noise.name));
        }
        let heading = Heading {
            title: args.title.clone(),
            comment: args.comment.clone(),
        };
        let failures: Vec<String> = failures
            .list
            .iter()
            .map(|(_, error)| one_line(error.as_ref()))
            .collect();
        let evaluation = Evaluation {
            report,
            tally: &tally,
            mistakes: &mistakes,
            setting: &setting,
            failures: &failures,
        };
        evaluation::write(&evaluation, &heading, &mut out)?;
        out.finish()?;
    }
    for subject in subjects {
        for warning in subject.record.warnings() {
            asked.warn(format!("{}: {warning}", subject.name));
        }
    }
    let mut text = format!(
        "Model {model_name} in {runtime}, R peaks {}, from {from_s} s; rates in percent\n\n",
        args.reading.peaks,
    );
    match (levels, reports.as_slice()) {
        ([noise], [report]) => {
            if let Some((noise, snr_db)) = noise {
                text.push_str(&format!("Noise of {} added at {snr_db} dB\n\n", noise.name));
            }
            text.push_str(&report.to_string());
            text.push_str(&without_table(report, &without));
        }
        _ => text.push_str(&noise_table(levels, &reports)),
    }
    text.push_str(&format!("\n{NOTICE}\n"));
    print(args, asked, &text)
}

/// One line a level of noise: detection, and what the classes come to.
fn noise_table(levels: &[Option<(&AddedNoise, f64)>], reports: &[Report]) -> String {
    let percent = |rate: Option<f64>| {
        rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.2}", 100.0 * rate))
    };
    let mut text = format!(
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
        "noise", "SNR dB", "QRS Se", "QRS +P", "V F1", "S F1", "jk"
    );
    for (noise, report) in levels.iter().zip(reports) {
        let (name, snr_db) = noise.map_or(("none", String::new()), |(noise, snr_db)| {
            (noise.name.as_str(), snr_db.to_string())
        });
        text.push_str(&format!(
            "{name:>8} {snr_db:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            percent(report.qrs.se),
            percent(report.qrs.ppv),
            percent(report.classes.v.f1),
            percent(report.classes.s.f1),
            percent(report.jk),
        ));
    }
    text
}

pub(super) const NOTICE: &str = "Research software, not a medical device.";

/// The record at `path`, or the records in the folder there and below that have annotations by `annotator`, by name.
fn records_of(path: &Path, annotator: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let paths = inputs(&[path.to_owned()])?
        .into_iter()
        .map(|input| input.path);
    let records: Vec<PathBuf> = paths
        .filter(|path| path.with_extension(annotator).is_file())
        .collect();
    if records.is_empty() {
        bail!(
            "{}: no record with a .{annotator} beside it in this folder or below; --annotator names another extension",
            path.display()
        );
    }
    Ok(records)
}

fn open(path: &Path, reading: &Reading, mapping: Mapping) -> anyhow::Result<Subject> {
    let annotator = &reading.annotator;
    let record = Record::open_with(path, &reading.read_options())?;
    let annotations = record.annotations(annotator)?;
    let reference = mapping.events(&annotations.list);
    check_beats(&annotations, &record.annotation_path(annotator))?;
    Ok(Subject {
        name: name_of(path, record.name()),
        record,
        annotations,
        reference,
    })
}

/// Refuses a reference without beats.
fn check_beats(annotations: &Annotations, path: &Path) -> anyhow::Result<()> {
    match annotations.beats().next() {
        Some(_) => Ok(()),
        None => bail!("{}: has no beat annotations", path.display()),
    }
}

/// Folder and record, `mitdb/101`.
fn name_of(path: &Path, record: &str) -> String {
    match path.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{record}", folder.to_string_lossy()),
        None => record.to_owned(),
    }
}

/// Compares the test's annotation file of each record with the reference's.
fn compare_files(
    args: &Args,
    test: &str,
    mapping: Mapping,
    asked: &mut Asked<'_>,
) -> anyhow::Result<()> {
    let annotator = &args.reading.annotator;
    let from_s = args.from.unwrap_or(Options::FROM_S);
    let mut tally = Tally::new();
    let mut failures = Failures::of(&args.records);
    let mut names = BTreeSet::new();
    for path in &args.records {
        for path in records_of(path, annotator)? {
            match compare_file(&path, annotator, test, from_s, mapping) {
                Ok((name, judged)) => {
                    if !names.insert(name.clone()) {
                        bail!("record {name} is given twice; each counts once");
                    }
                    judged.count(&mut tally, &name);
                }
                Err(error) => failures.add(path.display().to_string(), error)?,
            }
        }
    }
    if names.is_empty() {
        return failures.end(0);
    }
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    check_without(args, &listed)?;
    let setting = setting(args, report::Peaks::Annotated, "none", mapping, from_s);
    let reports = [tally.report(&setting)];
    let without = reports_without(args, &tally, &setting);
    let source = json!({"model": null, "annotator": annotator, "test": test});
    asked.figures = figures(&reports, &[None], &without, &source)?;
    write_json(args, &asked.figures)?;
    let text = format!(
        "Annotations {test} against {annotator}, from {from_s} s; rates in percent\n\n{}{}\n{NOTICE}\n",
        reports[0],
        without_table(&reports[0], &without)
    );
    print(args, asked, &text)?;
    failures.end(names.len())
}

fn compare_file(
    path: &Path,
    annotator: &str,
    test: &str,
    from_s: f64,
    mapping: Mapping,
) -> anyhow::Result<(String, Judged)> {
    let outline = Outline::open(path)?;
    let reference = outline.annotations(annotator)?;
    check_beats(&reference, &outline.annotation_path(annotator))?;
    let options = Options {
        from_s,
        ..Options::ec57(outline.sample_rate_hz, outline.len_samples)
    };
    if let Some(end) = options.record_samples
        && end as f64 <= from_s * options.sample_rate_hz
    {
        bail!(
            "{}: ends at {:.1} s, before the comparison begins at {from_s} s; --from 0 compares all of it",
            path.display(),
            end as f64 / options.sample_rate_hz
        );
    }
    let test = outline.annotations(test)?;
    let events = mapping.events(&reference.list);
    let comparison = bxb::compare(&events, &mapping.events(&test.list), &options);
    Ok((
        name_of(path, &outline.name),
        Judged {
            beats: Beats::Compared(Box::new(comparison)),
            episodes: Box::new(Episodes::compare(&reference.list, &test.list, &options)),
            // An annotation says nothing of probabilities.
            certainty: Certainty::default(),
        },
    ))
}

/// How reports are made.
fn setting(
    args: &Args,
    peaks: report::Peaks,
    runtime: &str,
    mapping: Mapping,
    from_s: f64,
) -> Setting {
    Setting {
        peaks,
        runtime: runtime.to_owned(),
        mapping,
        from_s,
        bootstrap: Bootstrap {
            resamples: args.resamples,
            seed: args.seed,
        },
    }
}

/// Refuses names of `--without` that no record has.
fn check_without(args: &Args, names: &[&str]) -> anyhow::Result<()> {
    for without in &args.without {
        if !names.iter().any(|name| is_named(name, without)) {
            bail!(
                "--without {without}: found no record of this name, expected one of {}",
                listed(names)
            );
        }
    }
    Ok(())
}

/// The figures without each of the records that `--without` names.
fn reports_without<'a>(
    args: &'a Args,
    tally: &Tally,
    setting: &Setting,
) -> BTreeMap<&'a str, Report> {
    let report = |name: &'a String| {
        // A record that could not be evaluated is left out as it is.
        let left = tally.without(name).unwrap_or_else(|| tally.clone());
        (name.as_str(), left.report(setting))
    };
    args.without.iter().map(report).collect()
}

/// One line of figures with all records, and one without each that was named; empty without any.
fn without_table(whole: &Report, without: &BTreeMap<&str, Report>) -> String {
    if without.is_empty() {
        return String::new();
    }
    let percent = |rate: Option<f64>| {
        rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.2}", 100.0 * rate))
    };
    let mut text = format!(
        "\n{:16} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
        "Without", "records", "beats", "QRS Se", "QRS +P", "VEB Se", "VEB +P", "SVEB Se", "SVEB +P"
    );
    let others = without.iter().map(|(name, report)| (*name, report));
    for (name, report) in std::iter::once(("-", whole)).chain(others) {
        let (qrs, veb, sveb) = (&report.qrs, &report.ec57.veb, &report.ec57.sveb);
        text.push_str(&format!(
            "{name:16} {:>7} {:>8}",
            report.records, report.beats
        ));
        for rate in [qrs.se, qrs.ppv, veb.se, veb.ppv, sveb.se, sveb.ppv] {
            text.push_str(&format!(" {:>8}", percent(rate)));
        }
        text.push('\n');
    }
    text
}

/// The reports, one object each, with what is to be said of all of them.
fn figures(
    reports: &[Report],
    levels: &[Option<(&AddedNoise, f64)>],
    without: &BTreeMap<&str, Report>,
    source: &Value,
) -> anyhow::Result<Value> {
    let mut objects = Vec::with_capacity(reports.len());
    for (report, noise) in reports.iter().zip(levels) {
        let mut object = serde_json::to_value(report)?;
        if let (Value::Object(keys), Value::Object(source)) = (&mut object, source) {
            keys.extend(source.clone());
            let noise = noise.map(|(n, snr_db)| json!({"record": n.name, "snr_db": snr_db}));
            keys.insert("noise".to_owned(), noise.into());
            if !without.is_empty() {
                keys.insert("without".to_owned(), serde_json::to_value(without)?);
            }
            keys.insert("notice".to_owned(), NOTICE.into());
        }
        objects.push(object);
    }
    Ok(match objects.len() {
        1 => objects.swap_remove(0),
        _ => objects.into(),
    })
}

/// Writes figures where that is asked for.
fn write_json(args: &Args, figures: &Value) -> anyhow::Result<()> {
    let Some(sink) = &args.json else {
        return Ok(());
    };
    let mut text = serde_json::to_vec_pretty(figures)?;
    text.push(b'\n');
    sink.write(&text)
}

/// Shows tables to whoever looks on.
fn print(args: &Args, asked: &Asked<'_>, text: &str) -> anyhow::Result<()> {
    if asked.program.is_some() {
        Ok(())
    } else if [&args.json, &args.report].contains(&&Some(Sink::Stdout)) {
        eprint!("{text}");
        Ok(())
    } else {
        Sink::Stdout.write(text.as_bytes())
    }
}

/// How a record's beats, episodes and runs agree with its reference.
struct Judged {
    beats: Beats,
    episodes: Box<Episodes>,
    certainty: Certainty,
}

enum Beats {
    Compared(Box<Comparison>),
    /// Reference and found class of each annotated beat.
    Classified(Vec<(Class, Class)>),
}

impl Judged {
    fn count(self, tally: &mut Tally, record: &str) {
        tally.add_episodes(record, &self.episodes);
        tally.add_certainty(record, &self.certainty);
        match self.beats {
            Beats::Compared(comparison) => tally.add_comparison(record, &comparison),
            Beats::Classified(beats) => {
                for (reference, found) in beats {
                    tally.add_beat(record, reference, found);
                }
            }
        }
    }
}

/// Classifies a record's beats, noise at a level in decibels added, and compares them with its reference. With `shown`, gives
/// its most frequent errors.
#[expect(clippy::too_many_arguments)]
fn judge(
    subject: &Subject,
    options: &Classification,
    from_s: f64,
    noise: Option<(&AddedNoise, f64)>,
    peaks: PeaksChoice,
    shown: bool,
    worker: &mut Worker<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<(Judged, Vec<Mistake>)> {
    let Subject {
        name,
        record,
        annotations,
        reference,
    } = subject;
    let (samples, classes): (Vec<u64>, Vec<Class>) = reference
        .iter()
        .filter_map(|event| match event.kind {
            Kind::Beat(class) => Some((event.sample, class)),
            _ => None,
        })
        .unzip();
    let options = Classification {
        peaks: match peaks {
            PeaksChoice::Detected => Peaks::Detected,
            PeaksChoice::Reference => Peaks::Reference(within(record, samples)),
        },
        added_mv: match noise {
            Some((noise, snr_db)) => noise.for_record(record, &options.leads, reference, snr_db)?,
            None => Vec::new(),
        },
        ..options.clone()
    };
    bar.set_message(name.clone());
    let mut shown_s = 0;
    let progress = &mut |done: f64| {
        let done_s = (done * record.duration_s()) as u64;
        bar.inc(done_s - shown_s);
        shown_s = done_s;
        ControlFlow::Continue(())
    };
    let analysis = worker.classify(record, &options, progress)?;
    let beats = analysis.beats;
    let rate_hz = record.sample_rate_hz();
    let comparison = Options {
        from_s,
        ..Options::ec57(rate_hz, Some(record.len_samples() as u64))
    };
    let mut test = crate::annotations(&beats);
    if !names_rhythm(&annotations.list) {
        // Where the reference is silent, no beat in fibrillation is a beat of a run.
        test.retain(|annotation| annotation.rhythm().is_none());
    }
    let episodes = Box::new(Episodes::compare(&annotations.list, &test, &comparison));
    let mut judgements = Vec::new();
    let mut certainty = Certainty::default();
    let mut judgement = |reference: Label, found: Label, sample: u64, beat: Option<&Beat>| {
        if let (Label::Beat(class), Label::Beat(other), Some(beat)) = (reference, found, beat)
            && class != Class::Q
            && other != Class::Q
        {
            certainty.push(&beat.scores, class == other);
        }
        let scores = beat.map_or(&[][..], |beat| &beat.scores);
        judgements.push(Judgement {
            reference,
            found,
            time_s: sample as f64 / rate_hz,
            certainty: scores.iter().copied().fold(0.0, f32::max),
        });
    };
    let counted = match peaks {
        PeaksChoice::Detected => {
            let test: Vec<Event> = beats
                .iter()
                .map(|b| Event::beat(b.sample, b.class))
                .collect();
            let comparison = bxb::compare(reference, &test, &comparison);
            for pair in &comparison.pairs {
                let beat = pair.test_index.and_then(|index| beats.get(index));
                let event = pair.reference_index.and_then(|index| reference.get(index));
                let sample = event
                    .map(|event| event.sample)
                    .or(beat.map(|beat| beat.sample));
                judgement(pair.reference, pair.test, sample.unwrap_or(0), beat);
            }
            Beats::Compared(Box::new(comparison))
        }
        PeaksChoice::Reference => {
            let pairs = beats.iter().zip(classes);
            let counted: Vec<(&Beat, Class)> =
                pairs.filter(|(beat, _)| beat.time_s >= from_s).collect();
            for (beat, class) in &counted {
                let (reference, found) = (Label::Beat(*class), Label::Beat(beat.class));
                judgement(reference, found, beat.sample, Some(beat));
            }
            Beats::Classified(
                counted
                    .into_iter()
                    .map(|(beat, class)| (class, beat.class))
                    .collect(),
            )
        }
    };
    let judged = Judged {
        beats: counted,
        episodes,
        certainty,
    };
    if !shown {
        return Ok((judged, Vec::new()));
    }
    let of_reference = |event: &Event| match event.kind {
        Kind::Beat(class) => Some((event.sample as f64 / rate_hz, class)),
        _ => None,
    };
    let reference: Vec<(f64, Class)> = reference.iter().filter_map(of_reference).collect();
    let lead = analysis.taken.leads[0].index;
    let mistakes = evaluation::mistakes(record, lead, &beats, &reference, &judgements)?;
    Ok((judged, mistakes))
}

/// Noise that every record gets, at the canonical rate.
struct AddedNoise {
    name: String,
    /// One a signal of the noise record.
    signals: Vec<Noise>,
}

impl AddedNoise {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let record = Record::open(path)?;
        let place = || path.display().to_string();
        let mut signals = Vec::new();
        for (index, lead) in record.leads().iter().enumerate() {
            let rate_hz = lead.sample_rate_hz;
            let counts_per_mv = lead.counts_per_mv.map_or(200.0, f64::from);
            let noise =
                Noise::new(record.read_lead(index)?, rate_hz, counts_per_mv).with_context(place)?;
            let canonical_hz = f64::from(spec::SAMPLE_RATE_HZ);
            let noise = noise
                .resampled(canonical_hz, |mv| canonical::to_canonical(mv, rate_hz))
                .with_context(place)?;
            signals.push(noise);
        }
        Ok(Self {
            name: record.name().to_owned(),
            signals,
        })
    }

    /// What is added to each lead that is read, at the canonical rate: to lead i the noise record's signal i, and over
    /// again where it has fewer (as `nst`).
    fn for_record(
        &self,
        record: &Record,
        leads: &Leads,
        reference: &[Event],
        snr_db: f64,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let taken = leads.take(record)?;
        let beats = noise::measured_beats(reference);
        let indices = taken.leads.iter().map(|lead| lead.index);
        indices
            .map(|index| {
                let noise = &self.signals[index % self.signals.len()];
                let signal = record.read_lead(index)?;
                let rate_hz = record.leads()[index].sample_rate_hz;
                let part = rate_hz / record.sample_rate_hz();
                let beats: Vec<u64> = beats.iter().map(|b| (*b as f64 * part) as u64).collect();
                let qrs_mv = noise::qrs_amplitude_mv(&signal, rate_hz, &beats)
                    .filter(|&mv| mv > 0.0)
                    .ok_or(NoiseError::NoSignal { beats: beats.len() })
                    .with_context(|| record.name().to_owned())?;
                let gain = noise::gain(snr_db, qrs_mv, noise.rms_mv());
                let canonical = signal.len() as f64 / rate_hz * noise.sample_rate_hz();
                Ok(noise.blocks(canonical.ceil() as usize + 1, gain)?)
            })
            .collect()
    }
}
