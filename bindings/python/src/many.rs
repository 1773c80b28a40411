//! Whole folders: records side by side.

use crate::analysis::{Analysis, Source};
use crate::arguments::{PeaksFrom, Reading};
use crate::errors;
use crate::model::{Model, or_shipped};
use crate::record::{beat_options, read_options};
use crate::watch::received;
use heartlens::records::{BeatOptions, ReadOptions};
use heartlens::{Options, Pool, Stop};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Results that wait for Python at the most, before the threads wait too.
const WAITING: usize = 8;

/// What became of a record: its analysis, or why there is none.
#[pyclass(module = "heartlens", frozen, get_all)]
pub(crate) struct Row {
    /// What it is called: its file's name without extension, below the folder that was named.
    name: String,
    /// The record.
    path: PathBuf,
    /// Its analysis; None where it could not be classified.
    analysis: Option<Py<Analysis>>,
    /// Why there is none, a `HeartlensError`; None where there is one.
    error: Option<Py<PyAny>>,
}

#[pymethods]
impl Row {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let what = match (&self.analysis, &self.error) {
            (Some(analysis), _) => analysis.bind(py).repr()?,
            (None, Some(error)) => error.bind(py).repr()?,
            (None, None) => PyString::new(py, "nothing"),
        };
        Ok(format!("Row('{}', {what})", self.name))
    }

    fn __reduce__(&self) -> PyResult<()> {
        let instead = "send what is needed of it: its name, pyarrow.table(row.analysis.beats), its error; or its path";
        Err(errors::no_pickle("Row", instead))
    }
}

/// A record that was classified, with what it was classified with; or why not. `None` where the thread panicked. Exceptions are
/// made where Python asks, not in threads, which may outlive the interpreter.
type Outcome = Option<Result<(Source, Options, heartlens::Analysis), heartlens::Error>>;

/// Classified records, in the order in which they were named: an iterator of `Row`. ``len`` is how many there are.
#[pyclass(module = "heartlens")]
pub(crate) struct Records {
    inputs: Arc<[(String, PathBuf)]>,
    model: heartlens::Model,
    /// Behind a lock for the sake of `Sync` alone.
    results: Mutex<Option<Receiver<(usize, Outcome)>>>,
    stop: Stop,
    progress: Option<Py<PyAny>>,
    done: usize,
}

/// Classify many records side by side: files, records and folders, of which all records in them and below are read.
///
/// Rows come in the order of the paths, each as soon as it is known. A record that cannot be read is a row with its ``error``, and
/// the others go on. The interpreter is free while threads work, and nothing is computed far ahead of what is taken.
///
/// Args:
///     paths: A path, or several.
///     threads: Threads that work, on several records and inside one; None: one a core.
///     progress: Called with the number of records done and of all, after each.
///     fs, unit, beats: As for `read`. A list of beats is judged as `BeatList.classify` does.
///
/// The other arguments are those of `Record.classify`.
///
/// Raises:
///     InputError: there are no paths, or an argument is none.
///     RecordError: a folder cannot be read, or holds no record.
///     KeyboardInterrupt: Ctrl-C; threads stop at once.
///
/// >>> import heartlens as hl
/// >>> for row in hl.classify_records([DEMO, "no/such"]):
/// ...     print(row.name, row.analysis.beats if row.analysis else row.error)
/// demo <353 beats: N 319, S 15, V 19>
/// such no/such: no such record; expected a WFDB record (that name with .hea), or the file of a record (EDF, BDF, ISHNE, DICOM, XML, CSV ...)
#[pyfunction]
#[pyo3(signature = (paths, *, threads=None, progress=None, lead=None, peaks=None, annotator="atr", age=None, sex=None,
    mode="streaming", rules="alike", model=None, runtime=None, fs=None, unit=None, beats=None))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn classify_records(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
    lead: Option<Bound<'_, PyAny>>,
    peaks: Option<Bound<'_, PyAny>>,
    annotator: &str,
    age: Option<f32>,
    sex: Option<&str>,
    mode: &str,
    rules: &str,
    model: Option<&Model>,
    runtime: Option<&str>,
    fs: Option<f64>,
    unit: Option<&str>,
    beats: Option<&str>,
) -> PyResult<Records> {
    let reading = Reading {
        lead,
        peaks,
        annotator,
        age,
        sex,
        mode,
        rules,
        runtime,
        threads,
    };
    let model = or_shipped(model)?;
    let (options, peaks) = reading.options(&model)?;
    if let PeaksFrom::Samples(_) = peaks {
        let expected = "\"detected\" or \"reference\": samples are of one record";
        return Err(errors::input("peaks", "an array", expected));
    }
    let read = (read_options(fs, unit)?, beat_options(annotator, beats)?);
    // A model that cannot run would fail every record.
    let network = model.0.network(options.runtime);
    drop(network.map_err(|error| errors::of(errors::Kind::Model, None, &error))?);
    let inputs = inputs(py, paths)?;
    Ok(start(inputs, model.0, options, peaks, read, progress))
}

/// One path or several, as paths.
pub(crate) fn paths(paths: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = match paths.extract::<PathBuf>() {
        Ok(path) => vec![path],
        Err(_) => {
            let found = paths.get_type().name()?.to_string();
            let no_path = |_| errors::input("paths", &found, "a path, or several in a list");
            let paths = paths.try_iter().map_err(no_path)?;
            let paths = paths.map(|path| path?.extract());
            paths.collect::<PyResult<_>>().map_err(no_path)?
        }
    };
    match paths.is_empty() {
        true => Err(errors::input(
            "paths",
            "none",
            "at least one record or folder",
        )),
        false => Ok(paths),
    }
}

/// The records that are meant by one path or several.
pub(crate) fn inputs(
    py: Python<'_>,
    named: &Bound<'_, PyAny>,
) -> PyResult<Arc<[(String, PathBuf)]>> {
    let paths = paths(named)?;
    let found = py.detach(|| heartlens::cli::records_of(&paths));
    let found = found.map_err(|error| errors::of(errors::Kind::Record, None, error.as_ref()))?;
    Ok(found.into())
}

fn start(
    inputs: Arc<[(String, PathBuf)]>,
    model: heartlens::Model,
    options: Options,
    peaks: PeaksFrom,
    read: (ReadOptions, BeatOptions),
    progress: Option<Py<PyAny>>,
) -> Records {
    let (sender, results) = sync_channel(WAITING);
    let (told, stop) = sync_channel(1);
    let work = {
        let (inputs, model) = (inputs.clone(), model.clone());
        move || all(&inputs, &model, &options, &peaks, &read, &told, &sender)
    };
    std::thread::spawn(work);
    Records {
        inputs,
        model,
        // The thread begins by telling it.
        stop: stop.recv().unwrap_or_default(),
        results: Mutex::new(Some(results)),
        progress,
        done: 0,
    }
}

/// Classifies all records; ends early where nobody takes the results.
fn all(
    inputs: &[(String, PathBuf)],
    model: &heartlens::Model,
    options: &Options,
    peaks: &PeaksFrom,
    (read, beats): &(ReadOptions, BeatOptions),
    stop: &SyncSender<Stop>,
    results: &SyncSender<(usize, Outcome)>,
) {
    let pool = Pool::new(model, options);
    if stop.send(pool.stop()).is_err() {
        return;
    }
    let one = |place: usize, worker: &mut heartlens::Worker<'_>| {
        let source = Source::open(&inputs[place].1, read, beats)?;
        let mut options = options.clone();
        let analysis = match &source {
            Source::Beats(list) => worker.judge_beats(list),
            Source::Record(record) => {
                options.peaks = peaks.of(record)?;
                let go_on = &mut |_| ControlFlow::Continue(());
                worker.classify(record, &options, go_on)?
            }
        };
        Ok((source, options, analysis))
    };
    let _ = pool.map(inputs.len(), one, |place, result| {
        match results.send((place, result)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
}

#[pymethods]
impl Records {
    fn __len__(&self) -> usize {
        self.inputs.len()
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Row>> {
        let outcome = loop {
            let results = self
                .results
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            let Some(results) = results else {
                return Ok(None);
            };
            match received(py, results) {
                Ok(outcome) => break outcome,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(interrupted) = py.check_signals() {
                self.close();
                return Err(interrupted);
            }
        };
        self.done += 1;
        if let Some(progress) = &self.progress {
            progress.call1(py, (self.done, self.inputs.len()))?;
        }
        let (place, outcome) = outcome;
        self.row(py, place, outcome).map(Some)
    }

    /// End the work; the iterator gives nothing more.
    fn close(&mut self) {
        self.stop.stop();
        *self
            .results
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(errors::no_pickle(
            "Records",
            "send the paths, and call classify_records there",
        ))
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&mut self, _exception: &Bound<'_, PyTuple>) {
        self.close();
    }
}

impl Records {
    fn row(&self, py: Python<'_>, place: usize, outcome: Outcome) -> PyResult<Row> {
        let (name, path) = self.inputs[place].clone();
        let mut row = Row {
            name,
            path,
            analysis: None,
            error: None,
        };
        match outcome {
            Some(Ok((source, options, analysis))) => {
                let path = Some(row.path.as_path());
                let analysis = Analysis::new(py, source, path, &self.model, options, analysis)?;
                row.analysis = Some(Py::new(py, analysis)?);
            }
            Some(Err(error)) => {
                let error = errors::classify(&error, Some(&row.path));
                row.error = Some(error.into_value(py).into_any());
            }
            None => row.error = Some(errors::bug(&row.name).into_value(py).into_any()),
        }
        Ok(row)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
