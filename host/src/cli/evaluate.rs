//! `heartlens evaluate`: how good the beats are, by ANSI/AAMI EC57.

use super::classify::{PeaksChoice, RuntimeChoice, progress_bar};
use super::output::Sink;
use crate::evaluate::bootstrap::Bootstrap;
use crate::evaluate::bxb::{self, Event, Kind, Options};
use crate::evaluate::mapping::Mapping;
use crate::evaluate::noise::{self, Noise, NoiseError};
use crate::evaluate::report::{self, Setting};
use crate::evaluate::tally::Tally;
use crate::pipeline::{self, Leads, Peaks, Request};
use crate::records::{Record, resample};
use crate::runtime::Runtime;
use anyhow::{Context, bail};
use clap::ValueEnum;
use heartlens_core::class::Class;
use heartlens_core::spec;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Compare beats with reference annotations, beat by beat as WFDB's bxb does (ANSI/AAMI EC57).
///
/// Research software, not a medical device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens evaluate mitdb svdb/800 --json figures.json
  heartlens evaluate mitdb --peaks reference
  heartlens evaluate mitdb/118 mitdb/119 --noise nstdb/em --snr 6")]
pub(crate) struct Args {
    /// WFDB records, or folders: of a folder, every record that has reference annotations.
    #[arg(required = true, value_name = "DIR|RECORD")]
    records: Vec<PathBuf>,
    /// Folder of the model, with its `model.onnx`.
    #[arg(long, value_name = "DIR", default_value = "models/beat")]
    model: PathBuf,
    /// What runs the network.
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Tract)]
    runtime: RuntimeChoice,
    /// The lead to read, by name or by its place from 0; `both` averages the first two.
    #[arg(long, value_name = "NAME|INDEX|both", default_value = "0")]
    lead: Leads,
    /// Where the R peaks come from: found in the signal, or every beat of the reference.
    #[arg(long, value_enum, default_value_t = PeaksChoice::Detected)]
    peaks: PeaksChoice,
    /// Extension of the reference annotation.
    #[arg(long, value_name = "EXT", default_value = "atr")]
    annotator: String,
    /// Where the comparison starts, in seconds: 300 by default, the learning period of EC57, and 0 with
    /// `--peaks reference`.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse_seconds)]
    from: Option<f64>,
    /// Add noise from this record, two minutes on and two off from 5:00, as WFDB's nst does.
    #[arg(long, value_name = "RECORD", requires = "snr")]
    noise: Option<PathBuf>,
    /// Ratio of QRS power to noise power while the noise is on, in decibels.
    #[arg(long, value_name = "DB", requires = "noise", allow_negative_numbers = true, value_parser = parse_decibels)]
    snr: Option<f64>,
    /// Which codes make which class; `bxb` counts escape beats `e j n` as S instead of N.
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
    reference: Vec<Event>,
}

/// Runs the verb. Nothing is written before every record has been compared.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let peaks = args.peaks;
    let mapping = match args.mapping {
        MappingChoice::Aami => Mapping::Aami,
        MappingChoice::Bxb => Mapping::Bxb,
    };
    let mut subjects = Vec::new();
    for path in &args.records {
        for path in records_of(path, &args.annotator)? {
            let subject = open(&path, &args.annotator, mapping)?;
            if subjects.iter().any(|s: &Subject| s.name == subject.name) {
                bail!("record {} is given twice; each counts once", subject.name);
            }
            subjects.push(subject);
        }
    }
    let from_s = args.from.unwrap_or(match peaks {
        PeaksChoice::Detected => Options::FROM_S,
        PeaksChoice::Reference => 0.0,
    });
    let noise = match (&args.noise, args.snr) {
        (Some(path), Some(snr_db)) => Some(AddedNoise::open(path, snr_db)?),
        _ => None,
    };
    let mut runtime = args.runtime.load(&args.model)?;

    let progress = progress_bar(subjects.iter().map(|s| s.record.duration_s()).sum());
    let mut tally = Tally::new();
    let mut done_s = 0.0;
    for subject in &subjects {
        progress.set_message(subject.name.clone());
        let duration_s = subject.record.duration_s();
        let task = Task {
            leads: &args.lead,
            peaks,
            from_s,
            noise: noise.as_ref(),
        };
        judge(&mut tally, subject, &task, runtime.as_mut(), |done| {
            progress.set_position((done_s + done * duration_s) as u64);
        })?;
        done_s += duration_s;
    }
    progress.finish_and_clear();

    let report = tally.report(&Setting {
        peaks: match peaks {
            PeaksChoice::Detected => report::Peaks::Detected,
            PeaksChoice::Reference => report::Peaks::Reference,
        },
        runtime: runtime.name().to_owned(),
        mapping,
        from_s,
        bootstrap: Bootstrap {
            resamples: args.resamples,
            seed: args.seed,
        },
    });
    if let Some(sink) = &args.json {
        let mut object = serde_json::to_value(&report)?;
        if let Value::Object(keys) = &mut object {
            keys.insert("model".to_owned(), runtime.model_name().into());
            keys.insert("annotator".to_owned(), args.annotator.clone().into());
            let noise = noise
                .as_ref()
                .map(|n| json!({"record": n.name, "snr_db": n.snr_db}));
            keys.insert("noise".to_owned(), noise.into());
            keys.insert("notice".to_owned(), NOTICE.into());
        }
        let mut text = serde_json::to_vec_pretty(&object)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    for subject in &subjects {
        for warning in subject.record.warnings() {
            eprintln!("warning: {}: {warning}", subject.name);
        }
    }
    let with_noise = noise.map_or_else(String::new, |n| {
        format!(", {} at {} dB added", n.name, n.snr_db)
    });
    let text = format!(
        "Model {} in {}, R peaks {peaks}, from {from_s} s{with_noise}; rates in percent\n\n{report}\n{NOTICE}\n",
        runtime.model_name(),
        runtime.name(),
    );
    if args.json == Some(Sink::Stdout) {
        eprint!("{text}");
        Ok(())
    } else {
        Sink::Stdout.write(text.as_bytes())
    }
}

const NOTICE: &str = "Research software, not a medical device.";

/// The record at `path`, or the records of the folder there that have annotations by `annotator`, by name.
fn records_of(path: &Path, annotator: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let cannot = || format!("{}: cannot be read", path.display());
    let mut records = Vec::new();
    for entry in path.read_dir().with_context(cannot)? {
        let file = entry.with_context(cannot)?.path();
        if file.extension().is_some_and(|e| e == "hea") && file.with_extension(annotator).is_file()
        {
            records.push(file.with_extension(""));
        }
    }
    if records.is_empty() {
        bail!(
            "{}: no record with a .{annotator} beside its .hea in this folder; --annotator names another extension",
            path.display()
        );
    }
    records.sort();
    Ok(records)
}

fn open(path: &Path, annotator: &str, mapping: Mapping) -> anyhow::Result<Subject> {
    let record = Record::open(path)?;
    let reference = mapping.events(&record.annotations(annotator)?.list);
    if !reference
        .iter()
        .any(|event| matches!(event.kind, Kind::Beat(_)))
    {
        bail!(
            "{}: has no beat annotations",
            record.annotation_path(annotator).display()
        );
    }
    let folder = path.parent().and_then(Path::file_name);
    let name = match folder {
        Some(folder) => format!("{}/{}", folder.to_string_lossy(), record.name()),
        None => record.name().to_owned(),
    };
    Ok(Subject {
        name,
        record,
        reference,
    })
}

/// What to do with each record.
struct Task<'a> {
    leads: &'a Leads,
    peaks: PeaksChoice,
    from_s: f64,
    noise: Option<&'a AddedNoise>,
}

/// Classifies a record's beats and counts how they agree with its reference.
fn judge(
    tally: &mut Tally,
    subject: &Subject,
    task: &Task<'_>,
    runtime: &mut dyn Runtime,
    progress: impl FnMut(f64),
) -> anyhow::Result<()> {
    let Subject {
        name,
        record,
        reference,
    } = subject;
    let (samples, classes): (Vec<u64>, Vec<Class>) = reference
        .iter()
        .filter_map(|event| match event.kind {
            Kind::Beat(class) => Some((event.sample, class)),
            _ => None,
        })
        .unzip();
    let added_mv = match task.noise {
        Some(noise) => noise.for_record(record, task.leads, reference)?,
        None => Vec::new(),
    };
    let request = Request {
        leads: task.leads,
        peaks: match task.peaks {
            PeaksChoice::Detected => Peaks::Detected,
            PeaksChoice::Reference => Peaks::Reference(&samples),
        },
        patient: record.patient(),
        added_mv: &added_mv,
    };
    let beats = pipeline::classify(record, &request, runtime, progress)?;
    match task.peaks {
        PeaksChoice::Detected => {
            let test: Vec<Event> = beats
                .iter()
                .map(|b| Event::beat(b.sample, b.class))
                .collect();
            let options = Options {
                from_s: task.from_s,
                ..Options::ec57(record.sample_rate_hz(), Some(record.len_samples() as u64))
            };
            tally.add_comparison(name, &bxb::compare(reference, &test, &options));
        }
        PeaksChoice::Reference => {
            for (beat, class) in beats.iter().zip(classes) {
                if beat.time_s >= task.from_s {
                    tally.add_beat(name, class, beat.class);
                }
            }
        }
    }
    Ok(())
}

/// Noise that every record gets, at the canonical rate.
struct AddedNoise {
    name: String,
    snr_db: f64,
    /// One a signal of the noise record.
    signals: Vec<Noise>,
}

impl AddedNoise {
    fn open(path: &Path, snr_db: f64) -> anyhow::Result<Self> {
        let record = Record::open(path)?;
        let place = || path.display().to_string();
        let rate_hz = record.sample_rate_hz();
        let mut signals = Vec::new();
        for (index, lead) in record.leads().iter().enumerate() {
            let counts_per_mv = lead
                .calibration
                .map_or(200.0, |c| f64::from(c.counts_per_mv));
            let noise =
                Noise::new(record.read_lead(index)?, rate_hz, counts_per_mv).with_context(place)?;
            let canonical_hz = f64::from(spec::SAMPLE_RATE_HZ);
            let noise = noise
                .resampled(canonical_hz, |mv| resample::to_canonical(mv, rate_hz))
                .with_context(place)?;
            signals.push(noise);
        }
        Ok(Self {
            name: record.name().to_owned(),
            snr_db,
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
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let indices = match leads {
            Leads::One(choice) => vec![record.lead_index(choice)?],
            Leads::Both => vec![0, 1],
        };
        let beats = noise::measured_beats(reference);
        let rate_hz = record.sample_rate_hz();
        indices
            .into_iter()
            .map(|index| {
                let noise = &self.signals[index % self.signals.len()];
                let signal = record.read_lead(index)?;
                let qrs_mv = noise::qrs_amplitude_mv(&signal, rate_hz, &beats)
                    .filter(|&mv| mv > 0.0)
                    .ok_or(NoiseError::NoSignal { beats: beats.len() })
                    .with_context(|| record.name().to_owned())?;
                let gain = noise::gain(self.snr_db, qrs_mv, noise.rms_mv());
                let canonical = signal.len() as f64 / rate_hz * noise.sample_rate_hz();
                Ok(noise.blocks(canonical.ceil() as usize + 1, gain)?)
            })
            .collect()
    }
}
