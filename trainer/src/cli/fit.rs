//! `heartlens-train fit`

use super::{Source, digits};
use crate::augment::{Augmenter, HostBatch};
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::curves;
use crate::dataset::{Dataset, Lead};
use crate::early_stopping::{self, Judgements, Verdict, judge};
use crate::file::write_atomically;
use crate::findings::Headline;
use crate::log::{Line, Log, read};
use crate::sampler::{BeatIndex, Sampler};
use crate::split::names;
use crate::teacher::Lesson;
use crate::tensorboard::EventFile;
use crate::train::{Precision, StepReport, Trainer, TrainingData, probe, workers};
use anyhow::Context;
use heartlens_core::class::Class;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::Device;

/// Steps between two checkpoints, where early stopping does not say.
const STEPS_A_CHECKPOINT: u32 = 100;
/// Name of the checkpoint that is written last.
const LAST: &str = "last.safetensors";

/// Where a training goes.
struct Outputs {
    /// Of checkpoints and curves.
    folder: PathBuf,
    log: PathBuf,
    tensorboard: Option<PathBuf>,
}

impl Outputs {
    /// The checkpoint that is written last.
    fn last(&self) -> PathBuf {
        self.folder.join(LAST)
    }

    /// The checkpoint of the best judgement.
    fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// Renames the checkpoints of an earlier training, if there are some.
    fn set_aside(&self) -> anyhow::Result<()> {
        for path in [self.last(), self.best()]
            .iter()
            .filter(|path| path.exists())
        {
            let aside = path.with_extension("previous.safetensors");
            std::fs::rename(path, &aside).with_context(|| path.display().to_string())?;
            eprintln!(
                "{} of an earlier training is now {}",
                path.display(),
                aside.display()
            );
        }
        Ok(())
    }
}

/// Train a model on all records, or on all but those held out
///
/// Where the config has recordings to be taught, a teacher is trained first, in the subfolder teacher. Writes
/// last.safetensors every 100 steps and at the end, best.safetensors whenever the held-out records are classified
/// better than before, log.jsonl with one line a step, and at the end curves.svg. Records are held out by --hold-out, or as
/// training.early_stopping of the config says. Random numbers depend on the config's seed and the step alone, so that a
/// training that is resumed ends where one that was not interrupted ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train fit --config models/beat/config.toml --data $HEARTLENS_DATA --hold-out mitdb/201,svdb/800")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Continue from last.safetensors of the same config, and from its teacher's
    #[arg(long)]
    resume: bool,
    /// Records that are not trained on, by which the best checkpoint is chosen
    #[arg(long, value_name = "RECORD,...", value_delimiter = ',')]
    hold_out: Vec<String>,
    /// Folder of checkpoints, log and curves [default: target/train/<model>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to write the log [default: log.jsonl in the folder of checkpoints]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Folder for TensorBoard's event files
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Numbers of the forward pass: f32, or bf16 with weights and their updates in f32, which pays on a GPU
    #[arg(long, default_value = "f32", value_name = "KIND")]
    precision: Precision,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        let (config, dataset, noise) = self.source.read()?;
        let augmenter = Augmenter::new(&config, noise);
        let (training, held_out) = self.parts(&config, &dataset)?;
        let probe_from = if held_out.is_empty() {
            &training
        } else {
            &held_out
        };
        let probe = probe(&dataset, probe_from, config.training.seed);
        let parts = Parts {
            device,
            dataset: &dataset,
            augmenter: &augmenter,
            training: &training,
            held_out: &held_out,
            probe: HostBatch::plain(&dataset, &probe, Lead::First),
            kept_out: probe.into_iter().collect(),
        };
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| PathBuf::from("target/train").join(&config.name));
        let teachers = Outputs {
            log: out.join("teacher/log.jsonl"),
            tensorboard: self
                .tensorboard
                .as_ref()
                .map(|folder| folder.join("teacher")),
            folder: out.join("teacher"),
        };
        let own = Outputs {
            log: self.log.clone().unwrap_or_else(|| out.join("log.jsonl")),
            tensorboard: self.tensorboard.clone(),
            folder: out,
        };
        let resumes = |outputs: &Outputs| self.resume && outputs.last().exists();
        let has_teacher = config.teacher().is_some();
        if self.resume && !resumes(&own) && !(has_teacher && resumes(&teachers)) {
            Checkpoint::read(&own.last())?;
        }
        if has_teacher && !self.resume {
            // Until the teacher is done, what an earlier training has left must not pass for this one's.
            own.set_aside()?;
        }
        let mut lesson = Lesson::default();
        if let (Some(teacher), Some(recordings)) = (config.teacher(), &config.recordings) {
            let resume = resumes(&teachers);
            let result = self.train(&teacher, &parts, &lesson, &teachers, resume)?;
            let mut trainer = Trainer::new(&teacher, device)?;
            trainer.resume(&Checkpoint::read(&result)?)?;
            lesson = Lesson::by(trainer.result(), device, &dataset, &training, recordings);
            let of = |class| {
                let (beats, recordings) = lesson.count(class);
                format!("{beats} {class} of {recordings}")
            };
            eprintln!(
                "of the beats of recordings, the teacher is sure of {}",
                [Class::N, Class::S, Class::V].map(of).join(", ")
            );
        }
        let resume = resumes(&own);
        let result = self.train(&config, &parts, &lesson, &own, resume)?;
        println!("{}", result.display());
        Ok(())
    }

    /// Trains the network of `config`. Returns its best checkpoint where there are records to judge by, else the last.
    fn train(
        &self,
        config: &Config,
        parts: &Parts<'_>,
        lesson: &Lesson,
        out: &Outputs,
        resume: bool,
    ) -> anyhow::Result<PathBuf> {
        let Parts {
            device,
            dataset,
            held_out,
            probe,
            ..
        } = parts;
        let folder = &out.folder;
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let (last, best) = (out.last(), out.best());
        let mut trainer = Trainer::new(config, *device)?;
        trainer.set_precision(self.precision);
        if resume {
            trainer.resume(&Checkpoint::read(&last)?)?;
            eprintln!(
                "continuing {} after step {}",
                config.name,
                trainer.steps_done()
            );
        }
        let early = config.training.early_stopping;
        let every = early.map_or(STEPS_A_CHECKPOINT, |early| early.every);
        let mut judgements = Judgements::new(early.map(|early| early.patience));
        if resume && !held_out.is_empty() && best.exists() {
            let checkpoint = Checkpoint::read(&best)?;
            // One that is ahead of last.safetensors, the program having ended between the two, will be judged again.
            if let Some(since) = trainer.steps_done().checked_sub(checkpoint.step) {
                let mut so_far = Trainer::new(config, *device)?;
                so_far.resume(&checkpoint)?;
                let jk = judge(&so_far, dataset, held_out).jk;
                judgements.resume(jk, checkpoint.step, since.div_ceil(every));
            }
        }
        let steps = config.training.steps;
        // A teacher reads fewer recordings than its student.
        let mut training = dataset.training(config, held_out);
        training.retain(|record| parts.training.contains(record));
        eprintln!(
            "training {} ({} parameters) on {}, {device:?}, {steps} steps of {}",
            config.name,
            trainer.parameter_count(),
            said(dataset, &training),
            config.training.batch,
        );
        let data = TrainingData {
            sampler: Sampler::new(dataset, &training, &parts.kept_out, lesson, config)?,
            dataset,
            augmenter: parts.augmenter,
        };
        let mut watch = Watch::new(out, config, trainer.steps_done())?;
        while trainer.steps_done() < steps && !judgements.is_over() {
            let until = trainer.steps_done() + every;
            trainer.run(&data, until, workers(*device), |report| watch.step(report));
            if !held_out.is_empty() {
                let headline = watch.judging(|| judge(&trainer, dataset, held_out));
                watch.judgement(trainer.steps_done(), headline);
                if judgements.add(headline.jk, trainer.steps_done()) == Verdict::Better {
                    trainer.checkpoint(probe, &best).write()?;
                }
            }
            watch.flush()?;
            trainer.checkpoint(probe, &last).write()?;
        }
        watch.finish(&folder.join("curves.svg"))?;
        if trainer.steps_done() < steps {
            eprintln!(
                "stopped after step {} of {steps}: jk was not bettered in {} judgements, {every} steps apart",
                trainer.steps_done(),
                judgements.waited(),
            );
        }
        let (jk, step) = judgements.best();
        if jk.is_some() {
            let names = names(dataset, held_out).join(", ");
            eprintln!("best jk on {names}: {} after step {step}", digits(jk));
        }
        Ok(if jk.is_some() { best } else { last })
    }

    /// Records to train on and records to judge by; no patient is in both.
    fn parts(
        &self,
        config: &Config,
        dataset: &Dataset,
    ) -> anyhow::Result<(Vec<usize>, Vec<usize>)> {
        let all: Vec<usize> = (0..dataset.records.len()).collect();
        let training = &config.training;
        if let (Some(early), true) = (&training.early_stopping, self.hold_out.is_empty()) {
            return Ok(early_stopping::hold_out(
                dataset,
                &all,
                early,
                training.seed,
            )?);
        }
        let held_out = dataset.indices_of(&self.hold_out)?;
        for class in [Class::S, Class::V] {
            let has = |&record: &usize| dataset.records[record].count(class) > 0;
            anyhow::ensure!(
                held_out.is_empty() || held_out.iter().any(has),
                "the held-out records {} have no beat of class {class} to judge a checkpoint by; hold out others too",
                self.hold_out.join(", ")
            );
        }
        let patients: HashSet<&str> = held_out
            .iter()
            .map(|&record| dataset.records[record].patient.as_str())
            .collect();
        let is_judge =
            |record: &usize| patients.contains(dataset.records[*record].patient.as_str());
        Ok((all.into_iter().filter(|r| !is_judge(r)).collect(), held_out))
    }
}

/// How many records and recordings `records` are.
fn said(dataset: &Dataset, records: &[usize]) -> String {
    let (annotated, recordings): (Vec<usize>, Vec<usize>) = records
        .iter()
        .copied()
        .partition(|record| dataset.records[*record].rhythm.is_none());
    let annotated = names(dataset, &annotated).len();
    match recordings.len() {
        0 => format!("{annotated} records"),
        recordings => format!("{annotated} records and {recordings} recordings"),
    }
}

/// What a network and its teacher are trained on.
struct Parts<'a> {
    device: Device,
    dataset: &'a Dataset,
    augmenter: &'a Augmenter,
    training: &'a [usize],
    held_out: &'a [usize],
    /// Beats to check the export on.
    probe: HostBatch,
    /// The same beats, which are not trained on.
    kept_out: HashSet<BeatIndex>,
}

/// What looks on: the progress line, the log and TensorBoard.
struct Watch {
    progress: ProgressBar,
    start: Instant,
    /// Of the time since then, what went into judging.
    judging: Duration,
    first: u32,
    done: u32,
    batch: usize,
    title: String,
    loss: f64,
    judged: String,
    path: PathBuf,
    log: Log,
    lines: Vec<Line>,
    tensorboard: Option<(PathBuf, EventFile)>,
}

impl Watch {
    /// From the step `done` on.
    fn new(out: &Outputs, config: &Config, done: u32) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar} {pos}/{len} steps, {msg}, {eta} left",
        )?;
        let progress = ProgressBar::new(u64::from(config.training.steps)).with_style(style);
        progress.set_position(u64::from(done));
        let open = |folder: &PathBuf| -> anyhow::Result<(PathBuf, EventFile)> {
            let file = EventFile::create(folder).with_context(|| folder.display().to_string())?;
            Ok((folder.clone(), file))
        };
        Ok(Self {
            progress,
            start: Instant::now(),
            judging: Duration::ZERO,
            first: done,
            done,
            batch: config.training.batch,
            title: config.name.clone(),
            loss: f64::NAN,
            judged: String::new(),
            log: Log::open(&out.log, done)?,
            path: out.log.clone(),
            lines: Vec::new(),
            tensorboard: out.tensorboard.as_ref().map(open).transpose()?,
        })
    }

    /// Beats trained on a second, judging left out.
    fn beats_a_second(&self) -> f64 {
        let beats = f64::from(self.done - self.first) * self.batch as f64;
        let training = self.start.elapsed().saturating_sub(self.judging);
        beats / training.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// What `judge` returns, its time kept apart.
    fn judging(&mut self, judge: impl FnOnce() -> Headline) -> Headline {
        let start = Instant::now();
        let headline = judge();
        self.judging += start.elapsed();
        headline
    }

    fn show(&self) {
        self.progress.set_position(u64::from(self.done));
        self.progress.set_message(format!(
            "loss {:.3}{}, {:.0} beats/s",
            self.loss,
            self.judged,
            self.beats_a_second()
        ));
    }

    fn step(&mut self, report: StepReport) {
        (self.loss, self.done) = (report.loss, report.step + 1);
        self.show();
        self.lines.push(Line::Step {
            step: report.step,
            loss: Some(report.loss).filter(|loss| loss.is_finite()),
            learning_rate: report.learning_rate,
            seconds: self.start.elapsed().as_secs_f64(),
        });
    }

    fn judgement(&mut self, steps: u32, held_out: Headline) {
        let (f1, jk) = (digits(held_out.macro_f1_nsv), digits(held_out.jk));
        self.judged = format!(", held out: macro F1 {f1}, jk {jk}");
        self.show();
        self.lines.push(Line::Judgement { steps, held_out });
    }

    /// Writes what has been seen since the last time.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.log.add(&self.lines)?;
        if let Some((folder, events)) = &mut self.tensorboard {
            add_events(events, &self.lines).with_context(|| folder.display().to_string())?;
        }
        self.lines.clear();
        Ok(())
    }

    /// Draws the whole log and says how fast it went.
    fn finish(self, curves: &Path) -> anyhow::Result<()> {
        self.progress.finish_and_clear();
        let seconds = self.start.elapsed().as_secs_f64();
        eprintln!(
            "{seconds:.1} s, {:.0} beats a second",
            self.beats_a_second()
        );
        let svg = curves::svg(&read(&self.path)?, &self.title)?;
        write_atomically(curves, svg.as_bytes()).with_context(|| curves.display().to_string())
    }
}

fn add_events(events: &mut EventFile, lines: &[Line]) -> std::io::Result<()> {
    for line in lines {
        match line {
            Line::Step {
                step,
                loss,
                learning_rate,
                ..
            } => {
                let loss = loss.unwrap_or(f64::NAN);
                let rate = ("train/learning rate", *learning_rate);
                events.scalars(*step, &[("train/loss", loss), rate])?;
            }
            Line::Judgement { steps, held_out } => {
                let figures = [
                    ("held out/jk", held_out.jk),
                    ("held out/macro F1 N,S,V", held_out.macro_f1_nsv),
                    ("held out/F1 S", held_out.f1_s),
                    ("held out/F1 V", held_out.f1_v),
                ];
                let known = figures
                    .iter()
                    .filter_map(|(tag, value)| Some((*tag, (*value)?)));
                events.scalars(*steps, &known.collect::<Vec<_>>())?;
            }
        }
    }
    events.flush()
}
