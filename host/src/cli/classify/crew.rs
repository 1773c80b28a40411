//! Records side by side: each worker has a runtime of its own and takes the next record when it has done one.
//!
//! Workers write a record's files under a lock that whoever ends the run takes for good: so an end by Ctrl-C or by an
//! error finds each record's files complete or not begun, however deep in a long record the workers are.

use super::files;
use super::inputs::Input;
use super::journal::{Entry, Journal};
use super::{Args, Classified, Run, progress_bar, text};
use crate::records::Record;
use crate::runtime::Runtime;
use anyhow::{Context, anyhow, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};

/// What the workers share.
pub(super) struct Shared {
    args: Args,
    inputs: Vec<Input>,
    /// The records to read, as places in `inputs`.
    todo: Vec<usize>,
    /// The next place in `todo`.
    next: AtomicUsize,
    journal: Option<Journal>,
    /// Held for reading while a record's files are written.
    writing: RwLock<()>,
    progress: MultiProgress,
}

impl Shared {
    pub(super) fn new(
        args: Args,
        inputs: Vec<Input>,
        todo: Vec<usize>,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            args,
            inputs,
            todo,
            next: AtomicUsize::new(0),
            journal,
            writing: RwLock::new(()),
            progress: MultiProgress::new(),
        }
    }

    /// Reads one record and writes its files.
    fn classify(
        &self,
        input: &Input,
        runtime: &mut dyn Runtime,
        run: &Run,
    ) -> anyhow::Result<Classified> {
        files::check_inputs_are_kept(input, &self.args)?;
        // Before reading: what changes meanwhile is then known to have changed.
        let entry = match &self.args.out {
            Some(_) => Some(Entry::begin(input, &self.args)?),
            None => None,
        };
        let record = Record::open_with(&input.path, &self.args.reading.options())?;
        let duration_s = record.duration_s();
        let bar = self.progress.add(progress_bar(duration_s));
        bar.set_message(input.name.clone());
        let result = super::classify(run, input, record, runtime, |done| {
            bar.set_position((done * duration_s) as u64);
        });
        bar.finish_and_clear();
        self.progress.remove(&bar);
        let classified = result?;
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        files::write(input, &classified, run)?;
        if let (Some(entry), Some(journal)) = (entry, &self.journal) {
            journal.add(&entry.end(input, &self.args)?)?;
        }
        Ok(classified)
    }
}

/// What comes in while the workers work.
enum Message {
    /// A worker has loaded its model, or cannot.
    Ready(anyhow::Result<Arc<Run>>),
    /// The record at this place in `todo` is done, or cannot be.
    Done(usize, anyhow::Result<Box<Classified>>),
    /// A worker has gone.
    Left,
    /// Ctrl-C, or a request to end.
    Interrupted,
}

/// The workers, and what they have done.
pub(super) struct Crew {
    shared: Arc<Shared>,
    run: Arc<Run>,
    inbox: Receiver<Message>,
    working: usize,
    /// Results that wait for those before them, by their place in `todo`.
    waiting: BTreeMap<usize, anyhow::Result<Box<Classified>>>,
    /// Results that were given out.
    given: usize,
    halted: bool,
    all: ProgressBar,
}

impl Crew {
    /// Sets the workers to work, as soon as the first has loaded the model.
    pub(super) fn start(shared: Shared) -> anyhow::Result<Self> {
        let shared = Arc::new(shared);
        let (outbox, inbox) = channel();
        interrupt_by_ctrl_c(outbox.clone())?;
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = shared.args.threads.map_or_else(cores, NonZeroUsize::get);
        let workers = workers.min(shared.todo.len());
        spawn(&shared, &outbox)?;
        let run = match inbox.recv().context("the first worker")? {
            Message::Ready(run) => run?,
            Message::Interrupted => bail!("interrupted before the first record"),
            Message::Left | Message::Done(..) => bail!("the first worker failed"),
        };
        for _ in 1..workers {
            spawn(&shared, &outbox)?;
        }
        let records = shared.todo.len() as u64;
        let all = match records {
            0 | 1 => ProgressBar::hidden(),
            _ => shared
                .progress
                .add(ProgressBar::new(records).with_style(overall())),
        };
        Ok(Self {
            shared,
            run,
            inbox,
            working: workers,
            waiting: BTreeMap::new(),
            given: 0,
            halted: false,
            all,
        })
    }

    /// What the records are read with.
    pub(super) fn run(&self) -> Arc<Run> {
        Arc::clone(&self.run)
    }

    /// The next record's name and result, in the order in which the records were named; `None` after the last.
    ///
    /// # Errors
    /// When the run was interrupted, or a worker could not go on.
    pub(super) fn next_in_order(
        &mut self,
    ) -> anyhow::Result<Option<(String, anyhow::Result<Box<Classified>>)>> {
        while self.given < self.shared.todo.len() {
            if let Some(result) = self.waiting.remove(&self.given) {
                let input = &self.shared.inputs[self.shared.todo[self.given]];
                self.given += 1;
                return Ok(Some((input.name.clone(), result)));
            }
            match self.inbox.recv().context("the workers")? {
                Message::Ready(run) => {
                    run?;
                }
                Message::Done(place, result) => {
                    self.waiting.insert(place, result);
                    self.all.inc(1);
                }
                Message::Left => {
                    self.working -= 1;
                    if self.working == 0 && !self.waiting.contains_key(&self.given) {
                        bail!("{}", self.missing("a worker failed"));
                    }
                }
                Message::Interrupted => {
                    self.halt();
                    bail!("{}", self.missing("interrupted"));
                }
            }
        }
        self.all.finish_and_clear();
        Ok(None)
    }

    /// Lets no worker write any more, for as long as this process still runs.
    pub(super) fn halt(&mut self) {
        if std::mem::replace(&mut self.halted, true) {
            return;
        }
        let writing = self.shared.writing.write();
        std::mem::forget(writing.unwrap_or_else(PoisonError::into_inner));
        let _ = self.shared.progress.clear();
        for message in self.inbox.try_iter() {
            if let Message::Done(place, result) = message {
                self.waiting.insert(place, result);
            }
        }
    }

    /// What an early end leaves undone.
    fn missing(&self, why: &str) -> String {
        let Shared {
            args, inputs, todo, ..
        } = &*self.shared;
        let is_missing =
            |place: &usize| *place >= self.given && !matches!(self.waiting.get(place), Some(Ok(_)));
        let places: Vec<usize> = (0..todo.len()).filter(is_missing).collect();
        let names: Vec<&str> = places
            .iter()
            .map(|place| inputs[todo[*place]].name.as_str())
            .collect();
        let what_next = match &args.out {
            Some(folder) => {
                let folder = folder.display();
                format!("{folder} is whole, and --out {folder} --resume goes on from there")
            }
            None => "--out and --resume make a run that can be taken up again".to_owned(),
        };
        let all = match args.sinks().next() {
            Some(_) => "; no file of all records was written",
            None => "",
        };
        format!(
            "{why}: {} of {} records are missing: {}; {what_next}{all}",
            names.len(),
            todo.len(),
            text::listed(&names)
        )
    }
}

fn overall() -> ProgressStyle {
    ProgressStyle::with_template("{pos:>5} of {len} records {bar:40} {percent:>3} % {eta:>4} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Ctrl-C (or SIGTERM, SIGHUP) is a message; the second ends the process at once.
fn interrupt_by_ctrl_c(outbox: Sender<Message>) -> anyhow::Result<()> {
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if again.swap(true, Ordering::Relaxed) || outbox.send(Message::Interrupted).is_err() {
            std::process::exit(1);
        }
    })
    .context("Ctrl-C cannot be caught")
}

fn spawn(shared: &Arc<Shared>, outbox: &Sender<Message>) -> anyhow::Result<()> {
    let (shared, outbox) = (Arc::clone(shared), outbox.clone());
    std::thread::Builder::new()
        .name("classify".to_owned())
        .spawn(move || {
            let leaving = Leaving(outbox);
            if let Err(error) = work(&shared, &leaving.0) {
                let _ = leaving.0.send(Message::Ready(Err(error)));
            }
        })
        .context("a thread cannot be started")?;
    Ok(())
}

/// Says that a worker has gone, whichever way it went.
struct Leaving(Sender<Message>);

impl Drop for Leaving {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Left);
    }
}

/// Takes record after record. Nobody may listen any more: then there is no more to do.
fn work(shared: &Shared, outbox: &Sender<Message>) -> anyhow::Result<()> {
    let mut runtime = shared.args.reading.load()?;
    let run = Arc::new(Run {
        args: shared.args.clone(),
        model: runtime.model_name().to_owned(),
        runtime: runtime.name(),
        reads_patient: runtime.reads_patient(),
        rhythm: shared.args.reading.load_rhythm()?,
    });
    let _ = outbox.send(Message::Ready(Ok(Arc::clone(&run))));
    loop {
        let place = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(index) = shared.todo.get(place) else {
            return Ok(());
        };
        let input = &shared.inputs[*index];
        let work = std::panic::AssertUnwindSafe(|| shared.classify(input, runtime.as_mut(), &run));
        let result = std::panic::catch_unwind(work)
            .unwrap_or_else(|_| Err(anyhow!("{}: failed; this is a bug", input.path.display())));
        if outbox
            .send(Message::Done(place, result.map(Box::new)))
            .is_err()
        {
            return Ok(());
        }
    }
}
