//! Evaluation and compilation: what the command's verbs of these names do.

use crate::analysis::figures;
use crate::errors::{self, Kind};
use crate::many::inputs;
use crate::model::{Model, or_shipped};
use crate::watch::received;
use heartlens::Stop;
use heartlens::compile::{beats, calibrate, source::Source};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};

/// Compare the beats of records with their reference annotations, by ANSI/AAMI EC57 as WFDB's bxb does.
///
/// Args:
///     paths: Records, or folders: of a folder, every record in it and below that has reference annotations.
///     lead, peaks, annotator, mode, rules, runtime, model, threads: As for `Record.classify`.
///     from_s: Where the comparison begins; None: 300 s, the learning period of EC57, and 0 with ``peaks="reference"``.
///     without: All figures once more without these records, under ``without``.
///     noise, snr_db: Add noise of this record at this ratio of QRS power to noise power, as WFDB's nst does.
///     mapping: ``"aami"``, or ``"bxb"``: which codes make which class.
///     resamples, seed: Of the bootstrap over patients.
///     report: Write a report that stands alone to this HTML file.
///
/// Returns:
///     Figures, with the names of ``heartlens evaluate --json``: ``qrs.se``, ``classes["V"].f1``, ``jk``, ``per_record``.
///
/// Raises:
///     RecordError: records or annotations cannot be read.
///     InputError: an argument is none.
///     KeyboardInterrupt: Ctrl-C, noticed at once.
///
/// >>> import heartlens as hl
/// >>> hl.evaluate(DEMO, from_s=0).qrs.ppv
/// 1.0
#[pyfunction]
#[pyo3(signature = (paths, *, lead=None, peaks="detected", annotator="atr", from_s=None, without=Vec::new(), noise=None, snr_db=None,
    mapping="aami", mode="streaming", rules="alike", runtime=None, model=None, threads=None, resamples=2000, seed=1, report=None))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    paths: &Bound<'py, PyAny>,
    lead: Option<&Bound<'py, PyAny>>,
    peaks: &str,
    annotator: &str,
    from_s: Option<f64>,
    without: Vec<String>,
    noise: Option<PathBuf>,
    snr_db: Option<f64>,
    mapping: &str,
    mode: &str,
    rules: &str,
    runtime: Option<&str>,
    model: Option<&Model>,
    threads: Option<usize>,
    resamples: usize,
    seed: u64,
    report: Option<PathBuf>,
) -> PyResult<Bound<'py, PyAny>> {
    let model = or_shipped(model)?;
    let runtime = crate::arguments::runtime(runtime, &model)?;
    let mut arguments = crate::many::paths(paths)?
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>();
    let mut flag = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
    for (name, value) in [
        ("peaks", peaks),
        ("annotator", annotator),
        ("mapping", mapping),
        ("mode", mode),
        ("rules", rules),
        ("runtime", runtime.name()),
    ] {
        flag(name, value.to_owned());
    }
    flag("resamples", resamples.to_string());
    flag("seed", seed.to_string());
    if let Some(lead) = lead {
        flag("lead", lead.str()?.to_string());
    }
    let path = |path: PathBuf| path.display().to_string();
    let options = [
        ("from", from_s.map(|s| s.to_string())),
        ("noise", noise.map(path)),
        ("snr", snr_db.map(|db| db.to_string())),
        ("threads", threads.map(|threads| threads.to_string())),
        ("report", report.map(path)),
    ];
    for (name, value) in options {
        value.into_iter().for_each(|value| flag(name, value));
    }
    without.into_iter().for_each(|name| flag("without", name));

    let (told, stop) = channel::<Stop>();
    let (sender, mut done) = channel();
    std::thread::spawn(move || {
        let begun = |stop| drop(told.send(stop));
        let _ = sender.send(heartlens::cli::evaluate(&arguments, &model.0, &begun));
    });
    let mut stops = Vec::new();
    let result = loop {
        match received(py, &mut done) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Disconnected) => return Err(errors::bug("evaluate")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        stops.extend(stop.try_iter());
        if let Err(interrupted) = py.check_signals() {
            stops.iter().for_each(Stop::stop);
            return Err(interrupted);
        }
    };
    let (value, warnings) = result.map_err(|error| {
        // What the parser of the arguments says has a second line on.
        let text = error.to_string();
        match text.strip_prefix("error: ") {
            Some(usage) => {
                let first = usage.lines().next().unwrap_or_default();
                let parts = heartlens::message::Parts::default();
                errors::exception(Kind::Input, first, &parts)
            }
            None => errors::of(Kind::Record, None, error.as_ref()),
        }
    })?;
    for warning in warnings {
        let text = CString::new(warning).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    figures(py, &value)
}

/// A compiled network: the device image, and how it was made.
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Compiled {
    image: Vec<u8>,
    report: heartlens::compile::report::Report,
    beats: usize,
}

#[pymethods]
impl Compiled {
    /// The device image (``model.hlm``), as bytes.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.image)
    }

    /// How it was quantised and how it compares with float, with the names of ``heartlens compile --json``.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        figures(py, &self.report)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(errors::no_pickle(
            "Compiled",
            "send its bytes, compiled.image",
        ))
    }

    fn __repr__(&self) -> String {
        let (bytes, beats) = (self.image.len(), self.beats);
        format!("<device image of {bytes} bytes, from {beats} beats>")
    }
}

/// Compile a network (ONNX) into a device image: int8 weights and activations. The same input gives the same bytes.
///
/// Args:
///     onnx: The network, with the inputs that `views` gives.
///     calibrate: Records to measure ranges on, or folders of them; a third is held out to compare with float.
///     out: Also write the image to this file, whole or not at all.
///     progress: Called with what is going on and how much of it is done, 0 to 1; an exception in it ends the work.
///
/// Raises:
///     ModelError: the network cannot be read or compiled.
///     RecordError: a record cannot be read, or the image cannot be written.
#[pyfunction]
#[pyo3(signature = (onnx, *, calibrate, out=None, progress=None))]
pub(crate) fn compile(
    py: Python<'_>,
    onnx: PathBuf,
    calibrate: &Bound<'_, PyAny>,
    out: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Compiled> {
    let records = inputs(py, calibrate)?;
    let records: Vec<PathBuf> = records.iter().map(|(_, path)| path.clone()).collect();
    let (sender, mut told) = channel();
    let network = onnx.clone();
    std::thread::spawn(move || {
        let hear = |what: &str, done: f64| drop(sender.send(Step::Going(what.to_owned(), done)));
        let done = compiled(&network, &records, &hear);
        let _ = sender.send(Step::Done(Box::new(done)));
    });
    let (compiled, beats) = loop {
        match received(py, &mut told) {
            Ok(Step::Done(done)) => {
                let failed = |(kind, error): Failed| {
                    let file = (kind == Kind::Model).then_some(onnx.as_path());
                    errors::of(kind, file, &*error)
                };
                break done.map_err(failed)?;
            }
            Ok(Step::Going(what, done)) => {
                if let Some(progress) = &progress {
                    progress.call1(py, (what, done))?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Err(errors::bug("compile")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // The thread ends by itself, and writes nothing.
        py.check_signals()?;
    };
    if let Some(out) = out {
        heartlens::file::write_whole(&out, &compiled.image)
            .map_err(|error| errors::of(Kind::Record, Some(&out), &error))?;
    }
    Ok(Compiled {
        image: compiled.image,
        report: compiled.report,
        beats,
    })
}

/// Why nothing was compiled: an exception is made of it where Python asks, as the thread may outlive the interpreter.
type Failed = (Kind, Box<dyn std::error::Error + Send + Sync>);

/// What the thread that compiles tells.
enum Step {
    Going(String, f64),
    Done(Box<Result<(calibrate::Compiled, usize), Failed>>),
}

fn compiled(
    onnx: &Path,
    records: &[PathBuf],
    hear: &dyn Fn(&str, f64),
) -> Result<(calibrate::Compiled, usize), Failed> {
    let source = Source::read(onnx).map_err(|error| (Kind::Model, error.into()))?;
    let sample = beats::draw(records, |done| hear("reading records", done))
        .map_err(|error| (Kind::Record, error.into()))?;
    let compiled = source
        .compile(&sample, &mut |what, done| hear(what, done))
        .map_err(|error| (Kind::Model, error.into()))?;
    Ok((compiled, sample.beats))
}
