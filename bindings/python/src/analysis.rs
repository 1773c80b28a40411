//! Signals and records through the engine, and what comes out.

use crate::arguments::{self, PeaksFrom, Reading};
use crate::beats::Beats;
use crate::errors::{self, Kind};
use crate::model::{Model, or_shipped};
use crate::record::{Keywords, Record};
use crate::watch::Watch;
use heartlens::message::Parts;
use heartlens::records::{BeatList, BeatOptions, ReadOptions, Warning};
use heartlens::report::{Heading, Plot, Section, seconds_mv};
use heartlens::tables::Origin;
use heartlens::{Options, Pool, records};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest plot, in seconds: a metre and a half of paper.
const LONGEST_S: usize = 60;

/// What is classified: a record, or a list of beats.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Record(Arc<records::Record>),
    Beats(Arc<BeatList>),
}

impl Source {
    /// Opens what is at this path, as the command does.
    pub(crate) fn open(
        path: &Path,
        read: &ReadOptions,
        beats: &BeatOptions,
    ) -> Result<Self, heartlens::Error> {
        Ok(match BeatList::open(path, beats)? {
            Some(list) => Self::Beats(Arc::new(list)),
            None => Self::Record(Arc::new(records::Record::open_with(path, read)?)),
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Record(record) => record.name(),
            Self::Beats(list) => &list.name,
        }
    }
}

/// A classified record.
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Analysis {
    source: Source,
    path: Option<PathBuf>,
    model: heartlens::Model,
    options: Options,
    analysis: heartlens::Analysis,
    beats: Py<Beats>,
}

/// Figures with names, as the command writes them.
pub(crate) fn figures<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| errors::bug(&error.to_string()))?;
    py.import("heartlens._figures")?
        .call_method1("parsed", (text,))
}

/// Classifies a record.
pub(crate) fn run(
    py: Python<'_>,
    record: &Arc<records::Record>,
    path: Option<&Path>,
    model: &Model,
    reading: &Reading<'_>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Analysis> {
    let (mut options, peaks) = reading.options(model)?;
    let mut watch = Watch::new(progress);
    let result = py.detach(|| {
        options.peaks = peaks.of(record)?;
        model
            .0
            .classify_with_progress(record, &options, |done| watch.hear(done))
    });
    watch.finish(py)?;
    let analysis = result.map_err(|error| match peaks {
        PeaksFrom::Samples(_) if matches!(error, heartlens::Error::BeyondEnd { .. }) => {
            errors::of(Kind::Input, path, &error)
        }
        _ => errors::classify(&error, path),
    })?;
    let source = Source::Record(record.clone());
    Analysis::new(py, source, path, &model.0, options, analysis)
}

/// Judges the rhythm of a list of beats.
pub(crate) fn judge(
    py: Python<'_>,
    list: &Arc<BeatList>,
    path: &Path,
    model: &Model,
    reading: &Reading<'_>,
) -> PyResult<Analysis> {
    let (options, _) = reading.options(model)?;
    let analysis = py.detach(|| {
        let pool = Pool::new(&model.0, &options);
        pool.one(|worker| worker.judge_beats(list))
    });
    let source = Source::Beats(list.clone());
    Analysis::new(py, source, Some(path), &model.0, options, analysis)
}

impl Analysis {
    pub(crate) fn new(
        py: Python<'_>,
        source: Source,
        path: Option<&Path>,
        model: &heartlens::Model,
        options: Options,
        analysis: heartlens::Analysis,
    ) -> PyResult<Self> {
        let origin = Origin::new(model, &options, "atr", &ReadOptions::default());
        let beats = Py::new(py, Beats::new(source.name(), &analysis, &origin)?)?;
        Ok(Self {
            source,
            path: path.map(Path::to_owned),
            model: model.clone(),
            options,
            analysis,
            beats,
        })
    }
}

#[pymethods]
impl Analysis {
    /// The record's name.
    #[getter]
    fn record(&self) -> &str {
        self.source.name()
    }

    /// The beats, in order.
    #[getter]
    fn beats(&self, py: Python<'_>) -> Py<Beats> {
        self.beats.clone_ref(py)
    }

    /// Counts, heart rate, burdens and rhythm, with the names of ``classify --json``: ``a.summary.ventricular_burden``.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        figures(py, &self.analysis.summary)
    }

    /// Heart rate variability, with the names of ``classify --json``: ``a.hrv.sdnn_ms``; None where it is too short.
    #[getter]
    fn hrv<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        figures(py, &self.analysis.hrv)
    }

    /// Atrial fibrillation, runs and pauses, in order of time: a list, each with ``kind``, ``from_s``, ``to_s``, ``beats`` and
    /// ``mean_rate_bpm``.
    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        figures(py, &self.analysis.episodes)
    }

    /// What was strange about the record, but not wrong enough to fail.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        let warnings = self.analysis.warnings.iter();
        warnings.map(ToString::to_string).collect()
    }

    /// The names of the leads that were read.
    #[getter]
    fn leads(&self) -> Vec<String> {
        self.analysis.leads.clone()
    }

    /// Why these leads, in a few words.
    #[getter]
    fn lead_reason(&self) -> &str {
        &self.analysis.taken.why
    }

    /// When each beat was judged: `"streaming"` or `"whole"`.
    #[getter]
    fn mode(&self) -> String {
        self.analysis.mode.to_string()
    }

    /// The model's name.
    #[getter]
    fn model(&self) -> &str {
        &self.analysis.model
    }

    /// The runtime's name.
    #[getter]
    fn runtime(&self) -> &'static str {
        self.analysis.runtime
    }

    /// Some seconds on ECG paper (25 mm/s, 10 mm/mV), the beats labelled, as SVG. A notebook shows it.
    ///
    /// Args:
    ///     from_s: Where it begins, in whole seconds from the record's start.
    ///     seconds: How long it is, 1 to 60 s.
    ///
    /// Raises:
    ///     InputError: `from_s` lies beyond the end, `seconds` is none, or it is a list of beats, which has no signal.
    #[pyo3(signature = (from_s=0.0, seconds=7))]
    fn plot<'py>(
        &self,
        py: Python<'py>,
        from_s: f64,
        seconds: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Source::Record(record) = &self.source else {
            let expected = "a record with a signal; `report` shows what a list of beats says";
            return Err(errors::input("plot", "a list of beats", expected));
        };
        let duration_s = record.duration_s();
        if !(0.0..duration_s).contains(&from_s) {
            let expected = format!("seconds, 0 or more and below {duration_s:.1}");
            return Err(errors::input("from_s", &from_s.to_string(), &expected));
        }
        if !(1..=LONGEST_S).contains(&seconds) {
            let expected = format!("1 to {LONGEST_S}");
            return Err(errors::input("seconds", &seconds.to_string(), &expected));
        }
        let shown = from_s as usize..from_s as usize + seconds;
        let draw = || -> Result<String, heartlens::Error> {
            let leads = self.analysis.taken.leads.iter().map(|lead| {
                let seconds_mv = seconds_mv(record, lead.index, shown.clone())?;
                Ok((lead.name.clone(), seconds_mv))
            });
            let leads = leads.collect::<Result<Vec<_>, heartlens::Error>>()?;
            let plot = Plot {
                record: record.name(),
                synthetic: record.is_synthetic(),
                duration_s,
                seconds: shown.clone(),
                leads: &leads,
                beats: &self.analysis.beats,
                labels: &format!(
                    "classes by model {} in {}",
                    self.analysis.model, self.analysis.runtime
                ),
            };
            Ok(plot.to_svg())
        };
        let svg = py
            .detach(draw)
            .map_err(|error| errors::classify(&error, self.path.as_deref()))?;
        py.import("heartlens._figures")?
            .getattr("Svg")?
            .call1((svg,))
    }

    /// Write a report that stands alone, one HTML file: full disclosure, strips, forms of V beats, HRV. The record is read once
    /// more for it. The file is written whole or not at all.
    ///
    /// Args:
    ///     path: The file.
    ///     title: In place of "ECG beat report" and the record's name.
    ///     comment: Below the title.
    ///     disclosure: With the whole recording, a line a minute.
    ///
    /// Raises:
    ///     RecordError: the record cannot be read any more, or the file cannot be written.
    ///     KeyboardInterrupt: Ctrl-C; nothing is written.
    #[pyo3(signature = (path, *, title=None, comment=None, disclosure=true))]
    fn report(
        &self,
        py: Python<'_>,
        path: PathBuf,
        title: Option<String>,
        comment: Option<String>,
        disclosure: bool,
    ) -> PyResult<()> {
        let mut heading = Heading::default();
        (heading.title, heading.comment) = (title, comment);
        let mut watch = Watch::new(None);
        let section = py.detach(|| match &self.source {
            Source::Beats(list) => Ok(Section::of_beats(list, &self.analysis)),
            Source::Record(record) => Section::classify_with_progress(
                &self.model,
                record,
                &self.options,
                disclosure,
                |done| watch.hear(done),
            )
            .map(|(_, section)| section),
        });
        watch.finish(py)?;
        let section = section.map_err(|error| errors::classify(&error, self.path.as_deref()))?;
        py.check_signals()?;
        let write = || -> PyResult<()> {
            let mut html = Vec::new();
            heartlens::report::write(&[section], &heading, &mut html)
                .and_then(|()| heartlens::file::write_whole(&path, &html))
                .map_err(|error| {
                    let message = format!("{}: cannot be written: {error}", path.display());
                    let file = path.display().to_string();
                    let parts = Parts::of(&message, Some(&file));
                    errors::exception(Kind::Record, &message, &parts)
                })
        };
        py.detach(write)
    }

    fn __reduce__(&self) -> PyResult<()> {
        let instead = "send what is needed of it: pyarrow.table(a.beats), dict(a.summary), a.episodes; or the record's path";
        Err(errors::no_pickle("Analysis", instead))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let beats = self.beats.bind(py).repr()?;
        Ok(format!(
            "Analysis('{}', lead {}, {beats})",
            self.source.name(),
            self.analysis.leads.join(", ")
        ))
    }
}

/// Classify the beats of a signal.
///
/// Args:
///     signal_mv: float32 or float64 in mV, shape ``(samples,)`` or ``(samples, leads)``; NaN where there is no sample.
///     fs: Samples per second, 80 to 100000 Hz.
///     lead_names: A name for each column.
///
/// The other arguments are those of `Record.classify`. `peaks` counts samples of `signal_mv`.
///
/// Returns:
///     The beats. Strange things about the signal become Python warnings. `signal` makes a record of an array, whose ``classify`` gives
///     summary, episodes and HRV too.
///
/// Raises:
///     InputError: the array is of whole numbers (counts), has another shape, holds infinities or nothing, or swings by more
///         than 20 mV within a second; or an argument is none.
///
/// >>> import heartlens as hl
/// >>> signal_mv = hl.read(DEMO).signal("II")
/// >>> hl.classify(signal_mv, fs=360)
/// <353 beats: N 319, S 15, V 19>
#[pyfunction]
#[pyo3(signature = (signal_mv, fs, *, lead_names=None, lead=None, peaks=None, age=None, sex=None, mode="streaming", rules="alike", model=None,
    runtime=None, threads=None, progress=None))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn classify(
    py: Python<'_>,
    signal_mv: &Bound<'_, PyAny>,
    fs: f64,
    lead_names: Option<Vec<String>>,
    lead: Option<Bound<'_, PyAny>>,
    peaks: Option<Bound<'_, PyAny>>,
    age: Option<f32>,
    sex: Option<&str>,
    mode: &str,
    rules: &str,
    model: Option<&Model>,
    runtime: Option<&str>,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Py<Beats>> {
    let record = Arc::new(arguments::record(signal_mv, fs, lead_names)?);
    let reading = Reading {
        lead,
        peaks,
        annotator: "atr",
        age,
        sex,
        mode,
        rules,
        runtime,
        threads,
    };
    let model = or_shipped(model)?;
    let analysis = run(py, &record, None, &model, &reading, progress)?;
    warn(py, &analysis.analysis.warnings)?;
    Ok(analysis.beats(py))
}

/// Make a record of a signal in memory: for a summary, HRV, episodes, a plot or a report of an array.
///
/// Arguments and errors are those of `classify`.
///
/// >>> import heartlens as hl
/// >>> record = hl.signal(hl.read(DEMO).signal("II"), fs=360)
/// >>> record.classify().summary.counts["V"]
/// 19
#[pyfunction]
#[pyo3(signature = (signal_mv, fs, *, lead_names=None))]
pub(crate) fn signal(
    signal_mv: &Bound<'_, PyAny>,
    fs: f64,
    lead_names: Option<Vec<String>>,
) -> PyResult<Record> {
    Ok(Record {
        record: Arc::new(arguments::record(signal_mv, fs, lead_names)?),
        path: None,
        keywords: Keywords::default(),
    })
}

/// The widest swing within a second that an array may have, in mV: beyond it is in another unit.
const WIDEST_MV: f64 = 20.0;

/// Tells what is strange about an array. What swings too far for an ECG in mV is refused: unlike a file, it has no unit that
/// could be wrong.
pub(crate) fn warn(py: Python<'_>, warnings: &[Warning]) -> PyResult<()> {
    for warning in warnings {
        if let Warning::Amplitude { range_mv, .. } = warning
            && *range_mv > WIDEST_MV
        {
            let found = format!("a swing of {range_mv:.3} mV within a second");
            let expected =
                "up to 20 mV, as an ECG has: divide uV by 1000, and counts by the counts per mV";
            return Err(errors::input(arguments::SIGNAL, &found, expected));
        }
        let text = std::ffi::CString::new(warning.to_string()).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    Ok(())
}
