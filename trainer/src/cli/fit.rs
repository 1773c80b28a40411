//! `heartlens-train fit`

use super::{Source, beats_alone};
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::{Trainer, TrainingData, probe, teach_and_train};
use crate::beat::teacher::PseudoLabels;
use crate::config;
use crate::data::augment::{Augmenter, HostBatch};
use crate::data::record::Lead;
use crate::data::sampler::{BeatIndex, Sampler};
use crate::data::split::names;
use crate::file::write_atomically;
use crate::fit::checkpoint::Checkpoint;
use crate::fit::curves;
use crate::fit::device::Precision;
use crate::fit::early_stopping::{self, Judge, Judgements, Verdict};
use crate::fit::log::{Line, Log, read};
use crate::fit::tensorboard::EventFile;
use crate::fit::training_loop::{self, Batches, Learner, StepReport, Watch, train};
use crate::study::results::Headline;
use crate::study::results::digits;
use crate::{rhythm, strip};
use anyhow::Context;
use heartlens_core::class::Class;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::Device;

/// Steps between two checkpoints, where early stopping does not say.
const STEPS_A_CHECKPOINT: u32 = 100;
/// Name of the checkpoint that is written last.
pub(super) const LAST: &str = "last.safetensors";
/// Folder of trainings, one folder a model.
pub(super) const FOLDER: &str = "target/train";

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

/// Train the model of a config, on all its records or on all but those held out
///
/// Where a beat model has recordings to be taught, a teacher is trained first, in the subfolder teacher. Writes
/// last.safetensors every 100 steps and at the end, best.safetensors whenever the held-out records are classified
/// better than before, log.jsonl with one line a step, and at the end curves.svg. Records are held out by --hold-out, or as
/// training.early_stopping of the config says. Random numbers depend on the config's seed and the step alone, so that a
/// training that is resumed ends where one that was not interrupted ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens-train fit --config models/beat/config.toml --data $HEARTLENS_DATA --hold-out mitdb/201,svdb/800
  heartlens-train fit --config models/rhythm/config.toml --data $HEARTLENS_DATA")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Continue from last.safetensors of the same config, and from its teacher's
    #[arg(long)]
    resume: bool,
    /// Records that are not trained on, by which the best checkpoint is chosen (beat models)
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
    /// Numbers of the forward pass
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    precision: Precision,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.source.device.resolve()?;
        match self.source.config()? {
            config::Config::Beat(config) => self.beat(&config, device),
            config::Config::Rhythm(config) => self.rhythm(&config, device),
            config::Config::Strip(config) => self.strip(&config, device),
        }
    }

    /// Where the training of this model goes.
    fn outputs(&self, name: &str) -> Outputs {
        let folder = self.out.clone();
        let folder = folder.unwrap_or_else(|| PathBuf::from(FOLDER).join(name));
        Outputs {
            log: self.log.clone().unwrap_or_else(|| folder.join("log.jsonl")),
            tensorboard: self.tensorboard.clone(),
            folder,
        }
    }

    fn rhythm(&self, config: &rhythm::config::Config, device: Device) -> anyhow::Result<()> {
        self.no_flags_of_beats()?;
        let recordings = self.source.recordings(config)?;
        let all: Vec<_> = recordings.iter().collect();
        let data = rhythm::fit::TrainingData::new(config, &all)?;
        let probe = rhythm::fit::probe(&recordings);
        let trainer = rhythm::fit::Trainer::new(config, device)?;
        let what = format!("{} recordings", recordings.len());
        let sizes = (config.training.steps, config.sampler.batch());
        self.windows(&config.name, trainer, &data, &probe, &what, sizes)
    }

    fn strip(&self, config: &strip::config::Config, device: Device) -> anyhow::Result<()> {
        self.no_flags_of_beats()?;
        let recordings = self.source.strips(config)?;
        let all: Vec<_> = recordings.iter().collect();
        let data = strip::fit::TrainingData::new(config, &all)?;
        let probe = strip::fit::probe(&recordings);
        let trainer = strip::fit::Trainer::new(config, device)?;
        let what = format!("{} recordings", recordings.len());
        // A config has one window or more a batch.
        let sizes = (config.training.steps, config.training.batch as usize);
        self.windows(&config.name, trainer, &data, &probe, &what, sizes)
    }

    fn no_flags_of_beats(&self) -> anyhow::Result<()> {
        beats_alone(&[("--hold-out", !self.hold_out.is_empty())])
    }

    /// Trains on windows of recordings: so many steps of so many windows.
    fn windows<N: Learner>(
        &self,
        name: &str,
        mut trainer: training_loop::Trainer<N>,
        data: &impl Batches<N>,
        probe: &N::Batch,
        what: &str,
        (steps, batch): (u32, usize),
    ) -> anyhow::Result<()> {
        let out = self.outputs(name);
        std::fs::create_dir_all(&out.folder).with_context(|| out.folder.display().to_string())?;
        trainer.set_precision(self.precision);
        if self.resume {
            resume(&mut trainer, name, &out.last())?;
        }
        say(name, &trainer, what, steps, batch);
        let mut watch = Keeper {
            screen: Screen::new(&out, name, (trainer.steps_done(), steps), batch)?,
            out: &out,
            probe,
            judge: None,
        };
        train(&mut trainer, data, STEPS_A_CHECKPOINT, &mut watch)?;
        watch.screen.finish(&out.folder.join("curves.svg"))?;
        println!("{}", out.last().display());
        Ok(())
    }

    fn beat(&self, config: &Config, device: Device) -> anyhow::Result<()> {
        let (dataset, noise) = self.source.dataset(config, &config.data.peaks)?;
        let augmenter = Augmenter::new(config, noise);
        let (training, held_out) = self.parts(config, &dataset)?;
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
        let own = self.outputs(&config.name);
        let teachers = Outputs {
            log: own.folder.join("teacher/log.jsonl"),
            tensorboard: own
                .tensorboard
                .as_ref()
                .map(|folder| folder.join("teacher")),
            folder: own.folder.join("teacher"),
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
        let mut result = PathBuf::new();
        teach_and_train(config, &dataset, &training, |network, labels| {
            let is_teacher = network != config;
            let out = if is_teacher { &teachers } else { &own };
            if has_teacher && !is_teacher {
                let of = |class| {
                    let (beats, recordings) = labels.count(class);
                    format!("{beats} {class} of {recordings}")
                };
                eprintln!(
                    "of the beats of recordings, the teacher is sure of {}",
                    [Class::N, Class::S, Class::V].map(of).join(", ")
                );
            }
            result = self.train(network, &parts, labels, out, resumes(out))?;
            let mut trainer = Trainer::new(network, device)?;
            trainer.take(&Checkpoint::read(&result)?)?;
            anyhow::Ok(trainer)
        })?;
        println!("{}", result.display());
        Ok(())
    }

    /// Trains the network of `config`. Returns its best checkpoint where there are records to judge by, else the last.
    fn train(
        &self,
        config: &Config,
        parts: &Parts<'_>,
        labels: &PseudoLabels,
        out: &Outputs,
        resumes: bool,
    ) -> anyhow::Result<PathBuf> {
        let Parts {
            device,
            dataset,
            held_out,
            probe,
            ..
        } = parts;
        std::fs::create_dir_all(&out.folder).with_context(|| out.folder.display().to_string())?;
        let (last, best) = (out.last(), out.best());
        let mut trainer = Trainer::new(config, *device)?;
        trainer.set_precision(self.precision);
        if resumes {
            resume(&mut trainer, &config.name, &last)?;
        }
        let early = config.training.early_stopping;
        let every = early.map_or(STEPS_A_CHECKPOINT, |early| early.every);
        let mut judge = Judge::by(dataset, held_out, early.map(|early| early.patience));
        if let Some(judge) = judge.as_mut().filter(|_| resumes && best.exists()) {
            let checkpoint = Checkpoint::read(&best)?;
            // One that is ahead of last.safetensors, the program having ended between the two, will be judged again.
            if let Some(since) = trainer.steps_done().checked_sub(checkpoint.step) {
                let mut so_far = Trainer::new(config, *device)?;
                so_far.take(&checkpoint)?;
                let jk = judge.figures(&so_far).jk;
                let waited = since.div_ceil(every);
                judge.judgements.resume(jk, checkpoint.step, waited);
            }
        }
        let steps = config.training.steps;
        // A teacher reads fewer recordings than its student.
        let mut training = dataset.training(config, held_out);
        training.retain(|record| parts.training.contains(record));
        let what = said(dataset, &training);
        say(&config.name, &trainer, &what, steps, config.training.batch);
        let data = TrainingData {
            sampler: Sampler::new(dataset, &training, &parts.kept_out, labels, config)?,
            dataset,
            augmenter: parts.augmenter,
        };
        let done = (trainer.steps_done(), steps);
        let is_over = judge
            .as_ref()
            .is_some_and(|judge| judge.judgements.is_over());
        let mut watch = Keeper {
            screen: Screen::new(out, &config.name, done, config.training.batch)?,
            out,
            probe,
            judge: judge.as_mut().map(|judge| judge as &mut dyn Judges<_>),
        };
        if !is_over {
            train(&mut trainer, &data, every, &mut watch)?;
        }
        watch.screen.finish(&out.folder.join("curves.svg"))?;
        let judgements = judge.map_or(Judgements::new(None), |judge| judge.judgements);
        if !trainer.is_done() {
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

/// Continues a training from the checkpoint at `last`.
fn resume<N: Learner>(
    trainer: &mut training_loop::Trainer<N>,
    name: &str,
    last: &Path,
) -> anyhow::Result<()> {
    trainer.resume(&Checkpoint::read(last)?)?;
    eprintln!("continuing {name} after step {}", trainer.steps_done());
    Ok(())
}

/// Says what is going to be trained on what.
fn say<N: Learner>(
    name: &str,
    trainer: &training_loop::Trainer<N>,
    what: &str,
    steps: u32,
    batch: usize,
) {
    eprintln!(
        "training {name} ({} parameters) on {what}, {:?}, {steps} steps of {batch}",
        trainer.parameter_count(),
        trainer.device(),
    );
}

/// Something that judges a network in training.
trait Judges<N: Learner> {
    fn judge(&mut self, trainer: &training_loop::Trainer<N>) -> (Headline, Verdict);
}

impl Judges<crate::beat::network::Network> for Judge<'_> {
    fn judge(&mut self, trainer: &Trainer) -> (Headline, Verdict) {
        Judge::judge(self, trainer)
    }
}

/// Shows a training and keeps its checkpoints.
struct Keeper<'a, N: Learner> {
    screen: Screen,
    out: &'a Outputs,
    /// The batch to check the export on.
    probe: &'a N::Batch,
    judge: Option<&'a mut dyn Judges<N>>,
}

impl<N: Learner> Watch<N> for Keeper<'_, N> {
    type Error = anyhow::Error;

    fn step(&mut self, report: StepReport) {
        self.screen.step(report);
    }

    fn pause(&mut self, trainer: &training_loop::Trainer<N>) -> anyhow::Result<ControlFlow<()>> {
        let mut flow = ControlFlow::Continue(());
        if let Some(judge) = &mut self.judge {
            let (headline, verdict) = self.screen.judging(|| judge.judge(trainer));
            self.screen.judgement(trainer.steps_done(), headline);
            match verdict {
                Verdict::Better => trainer.checkpoint(self.probe, &self.out.best()).write()?,
                Verdict::Wait => {}
                Verdict::Stop => flow = ControlFlow::Break(()),
            }
        }
        self.screen.flush()?;
        trainer.checkpoint(self.probe, &self.out.last()).write()?;
        Ok(flow)
    }
}

/// The progress line, the log and TensorBoard.
struct Screen {
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

impl Screen {
    /// From the step `done` of `steps` on, with so many examples a step.
    fn new(
        out: &Outputs,
        title: &str,
        (done, steps): (u32, u32),
        batch: usize,
    ) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar} {pos}/{len} steps, {msg}, {eta} left",
        )?;
        let progress = ProgressBar::new(u64::from(steps)).with_style(style);
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
            batch,
            title: title.to_owned(),
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
    fn judging<T>(&mut self, judge: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = judge();
        self.judging += start.elapsed();
        result
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
