//! Records side by side, in the threads of a pool, and an end by Ctrl-C.
//!
//! A thread that classifies hears of the end at its record's next block, one that writes when the record's files are
//! complete: so an end finds each record's files complete or not begun. One that waits for a file does not hear of it, and ends
//! with the process.

use super::files;
use super::inputs::Input;
use super::journal::{Entry, Journal};
use super::source::Source;
use super::{Classified, Run, progress_bar, text};
use crate::cli::guard::Guard;
use crate::cli::{Interrupted, interrupt};
use crate::engine::{Pool, Worker};
use anyhow::anyhow;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the threads share.
pub(super) struct Work {
    pub(super) run: Run,
    guard: Guard,
    pub(super) inputs: Vec<Input>,
    /// The records to read, as places in `inputs`.
    pub(super) todo: Vec<usize>,
    pub(super) journal: Option<Journal>,
    progress: MultiProgress,
    /// The records whose files are written, as places in `todo`.
    done: Mutex<BTreeSet<usize>>,
    /// The records that a thread is at, likewise.
    begun: Mutex<BTreeMap<usize, Doing>>,
}

/// What a thread does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Reads and classifies it.
    Reading,
    /// Writes its files.
    Writing,
}

impl Work {
    pub(super) fn new(
        run: Run,
        guard: Guard,
        inputs: Vec<Input>,
        todo: Vec<usize>,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            run,
            guard,
            inputs,
            todo,
            journal,
            progress: MultiProgress::new(),
            done: Mutex::default(),
            begun: Mutex::default(),
        }
    }

    /// Classifies all records, and gives each with its result to `take`, in the order in which they were named.
    ///
    /// # Errors
    /// The first of `take`, or that the run was interrupted.
    pub(super) fn go(
        self: &Arc<Self>,
        pool: &Pool<'_>,
        mut take: impl FnMut(&Input, anyhow::Result<Classified>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let work = Arc::clone(self);
        let _asking = interrupt::by(pool.stop(), move || work.last_words());
        let all = match self.todo.len() as u64 {
            0 | 1 => ProgressBar::hidden(),
            records => self
                .progress
                .add(ProgressBar::new(records).with_style(overall())),
        };
        let mut taken = Ok(());
        let ended = pool.map(
            self.todo.len(),
            |place, worker| {
                self.begin(place, Doing::Reading);
                let classified = self.classify(place, worker);
                self.begun().remove(&place);
                classified
            },
            |place, result| {
                let input = &self.inputs[self.todo[place]];
                let result = result.unwrap_or_else(|| {
                    Err(anyhow!("{}: failed; this is a bug", input.path.display()))
                });
                all.inc(1);
                taken = take(input, result);
                match taken {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            },
        );
        all.finish_and_clear();
        taken?;
        match ended {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(self.interrupted().into()),
        }
    }

    /// Reads one record and writes its files.
    fn classify(&self, place: usize, worker: &mut Worker<'_>) -> anyhow::Result<Classified> {
        let (args, input) = (&self.run.args, &self.inputs[self.todo[place]]);
        files::check(input, args, &self.guard)?;
        // Before reading: what changes meanwhile is then known to have changed.
        let entry = match &args.out {
            Some(_) => Some(Entry::begin(input, args, &self.run.fingerprint)?),
            None => None,
        };
        let record = Source::open(&input.path, args)?;
        files::check_annotations(&record, args, &self.guard)?;
        let duration_s = record.duration_s();
        let bar = self.progress.add(progress_bar(duration_s));
        bar.set_message(input.name.clone());
        let result = super::classify(&self.run, input, record, worker, &mut |done| {
            bar.set_position((done * duration_s) as u64);
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        self.progress.remove(&bar);
        let classified = result?;
        self.begin(place, Doing::Writing);
        files::write(input, &classified, &self.run)?;
        if let (Some(entry), Some(journal)) = (entry, &self.journal) {
            journal.add(&entry.end(input, args)?)?;
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(place);
        Ok(classified)
    }

    fn begin(&self, place: usize, doing: Doing) {
        self.begun().insert(place, doing);
    }

    fn begun(&self) -> MutexGuard<'_, BTreeMap<usize, Doing>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said where threads cannot be stopped, because they wait for files; `None` while one writes.
    fn last_words(&self) -> Option<String> {
        let begun = self.begun();
        if begun.values().any(|doing| *doing == Doing::Writing) {
            return None;
        }
        let paths = begun
            .keys()
            .map(|place| &self.inputs[self.todo[*place]].path);
        let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let waits = match paths.is_empty() {
            true => String::new(),
            false => format!("; still waiting for {}", text::listed(&paths)),
        };
        Some(format!("{}{waits}", self.interrupted()))
    }

    /// What an early end leaves undone.
    fn interrupted(&self) -> Interrupted {
        let (args, todo) = (&self.run.args, &self.todo);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = (0..todo.len()).filter(|place| !done.contains(place));
        let names: Vec<&str> = missing
            .map(|place| self.inputs[todo[place]].name.as_str())
            .collect();
        #[cfg(feature = "parquet")]
        let tables = &args.tables;
        #[cfg(not(feature = "parquet"))]
        let tables = &None::<std::path::PathBuf>;
        let what_next = match (&args.out, tables) {
            (Some(folder), _) => {
                let folder = folder.display();
                format!("{folder} is whole, and --out {folder} --resume goes on from there")
            }
            (None, Some(folder)) => {
                let folder = folder.display();
                format!("{folder} is whole, and --tables {folder} goes on from there")
            }
            (None, None) => "--out and --resume make a run that can be taken up again".to_owned(),
        };
        let all = match args.sinks().next() {
            Some(_) => "; no file of all records was written",
            None => "",
        };
        Interrupted {
            undone: format!(
                "{} of {} records are missing: {}; {what_next}{all}",
                names.len(),
                todo.len(),
                text::listed(&names)
            ),
        }
    }
}

fn overall() -> ProgressStyle {
    ProgressStyle::with_template("{pos:>5} of {len} records {bar:40} {percent:>3} % {eta:>4} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
