//! Records side by side, in the threads of a pool, and an end by Ctrl-C.
//!
//! A thread that classifies hears of the end at its record's next block, one that writes when the record's files are
//! complete: so an end finds each record's files complete or not begun.

use super::files;
use super::inputs::Input;
use super::journal::{Entry, Journal};
use super::source::Source;
use super::{Classified, Run, progress_bar, text};
use crate::cli::guard::Guard;
use crate::cli::{EXIT_INTERRUPTED, Interrupted};
use crate::engine::{Pool, Stop, Worker};
use anyhow::{Context, anyhow};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

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
        }
    }

    /// Classifies all records, and gives each with its result to `take`, in the order in which they were named.
    ///
    /// # Errors
    /// The first of `take`, or that the run was interrupted.
    pub(super) fn go(
        &self,
        pool: &Pool<'_>,
        mut take: impl FnMut(&Input, anyhow::Result<Classified>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        interrupt_by_ctrl_c(pool.stop())?;
        let all = match self.todo.len() as u64 {
            0 | 1 => ProgressBar::hidden(),
            records => self
                .progress
                .add(ProgressBar::new(records).with_style(overall())),
        };
        let mut taken = Ok(());
        let ended = pool.map(
            self.todo.len(),
            |place, worker| self.classify(place, worker),
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
        files::write(input, &classified, &self.run)?;
        if let (Some(entry), Some(journal)) = (entry, &self.journal) {
            journal.add(&entry.end(input, args)?)?;
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(place);
        Ok(classified)
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

/// Ctrl-C (or SIGTERM, SIGHUP) stops the pool; the second ends the process at once.
fn interrupt_by_ctrl_c(stop: Stop) -> anyhow::Result<()> {
    let again = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if again.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_INTERRUPTED.into());
        }
        stop.stop();
    })
    .context("Ctrl-C cannot be caught")
}
