//! Records.

use crate::analysis::{Analysis, Source, judge, run};
use crate::arguments::Reading;
use crate::errors::{self, Kind};
use crate::model::{Model, or_shipped};
use heartlens::records::annotation::Annotations;
use heartlens::records::{BeatColumn, BeatOptions, Patient, ReadOptions, Sex, VoltageUnit};
use numpy::PyArray1;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A lead of a record.
#[pyclass(module = "heartlens", frozen, get_all)]
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    /// Its name.
    name: String,
    /// Its unit, as the record states it.
    units: String,
    /// Its own rate, in Hz.
    fs: f64,
    /// Its samples, gaps included.
    samples: usize,
    /// Whether its unit is a voltage, so that it can be read.
    is_voltage: bool,
}

#[pymethods]
impl Lead {
    fn __repr__(&self) -> String {
        format!(
            "Lead('{}', fs={}, samples={})",
            self.name, self.fs, self.samples
        )
    }
}

/// What `read` was told beside the path: to do it again in another process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keywords {
    fs: Option<f64>,
    unit: Option<String>,
    annotator: Option<String>,
    beats: Option<String>,
}

impl Keywords {
    /// How a record or a list is opened again: what `pickle` keeps of it.
    fn reduce<'py>(&self, py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
        let keywords = PyDict::new(py);
        keywords.set_item("fs", self.fs)?;
        keywords.set_item("unit", &self.unit)?;
        if let Some(annotator) = &self.annotator {
            keywords.set_item("annotator", annotator)?;
        }
        keywords.set_item("beats", &self.beats)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let again = py.import("heartlens._again")?.getattr("record")?;
        (again, (path, keywords)).into_bound_py_any(py)
    }
}

/// A recording: simultaneous leads, as `heartlens.read` opens it. No samples are in memory. Pickled, it is its path.
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Record {
    pub(crate) record: Arc<heartlens::records::Record>,
    /// What it was opened by; `None` for samples in memory.
    pub(crate) path: Option<PathBuf>,
    pub(crate) keywords: Keywords,
}

/// A list of beats: a recording of which is known when the heart beat, and perhaps what each beat was, but no signal. Pickled, it is
/// its path.
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct BeatList {
    list: Arc<heartlens::records::BeatList>,
    path: PathBuf,
    keywords: Keywords,
}

/// Open a record: WFDB (with or without ``.hea``), EDF, EDF+, BDF, ISHNE, DICOM, SCP-ECG, aECG, MUSE, Philips, Kardia ATC, or
/// CSV. What a file is, its content says.
///
/// A recording without a signal is a `BeatList`: WFDB annotations alone, a table of beat times or RR intervals, Polar's ``.hrm``, a
/// FIT file.
///
/// Args:
///     path: The record.
///     fs: Samples per second of a table (CSV), instead of what its times say.
///     unit: Unit of leads that state none: ``"mV"``, ``"uV"``, ``"nV"`` or ``"V"``.
///     annotator: Extension of the annotations that a WFDB record without a signal consists of.
///     beats: What a table holds whose columns' names do not say it: ``"times"`` or ``"intervals"``.
///
/// Raises:
///     RecordError: there is no such record, or its files are damaged; with ``file``, ``place``, ``found`` and ``expected``.
///     InputError: `fs`, `unit` or `beats` is none.
///
/// >>> import heartlens as hl
/// >>> record = hl.read(DEMO)
/// >>> record.fs, record.duration_s, record.leads
/// (360.0, 300.0, [Lead('II', fs=360, samples=108000), Lead('V1', fs=360, samples=108000)])
#[pyfunction]
#[pyo3(signature = (path, *, fs=None, unit=None, annotator="atr", beats=None))]
pub(crate) fn read<'py>(
    py: Python<'py>,
    path: PathBuf,
    fs: Option<f64>,
    unit: Option<&str>,
    annotator: &str,
    beats: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = read_options(fs, unit)?;
    let beat_options = beat_options(annotator, beats)?;
    let keywords = Keywords {
        fs,
        unit: unit.map(str::to_owned),
        annotator: Some(annotator.to_owned()),
        beats: beats.map(str::to_owned),
    };
    let source = py
        .detach(|| Source::open(&path, &options, &beat_options))
        .map_err(|error| errors::of(Kind::Record, Some(&path), &error))?;
    match source {
        Source::Record(record) => Record {
            record,
            path: Some(path),
            keywords,
        }
        .into_bound_py_any(py),
        Source::Beats(list) => BeatList {
            list,
            path,
            keywords,
        }
        .into_bound_py_any(py),
    }
}

/// How a list of beats is read.
pub(crate) fn beat_options(annotator: &str, beats: Option<&str>) -> PyResult<BeatOptions> {
    let column = match beats {
        None => None,
        Some("times") => Some(BeatColumn::Times),
        Some("intervals") => Some(BeatColumn::Intervals),
        Some(other) => {
            let expected = "\"times\" or \"intervals\"";
            return Err(errors::input("beats", &format!("{other:?}"), expected));
        }
    };
    Ok(BeatOptions::new(annotator).with_column(column))
}

/// A patient's sex, by its letter.
fn sex_of(patient: Patient) -> Option<&'static str> {
    patient.sex.map(|sex| match sex {
        Sex::Female => "f",
        Sex::Male => "m",
    })
}

/// What is known of records that do not say it themselves.
pub(crate) fn read_options(fs: Option<f64>, unit: Option<&str>) -> PyResult<ReadOptions> {
    let mut options = ReadOptions::default();
    if let Some(fs) = fs {
        if !(fs.is_finite() && fs > 0.0) {
            return Err(errors::input("fs", &format!("{fs} Hz"), "one above 0 Hz"));
        }
        options = options.with_rate_hz(fs);
    }
    if let Some(unit) = unit {
        let known: VoltageUnit = unit.parse().map_err(|_| {
            errors::input(
                "unit",
                &format!("{unit:?}"),
                "\"mV\", \"uV\", \"nV\" or \"V\"",
            )
        })?;
        options = options.with_unit(known);
    }
    Ok(options)
}

impl Record {
    fn failed(&self, error: &(dyn std::error::Error + 'static)) -> PyErr {
        errors::of(Kind::Record, self.path.as_deref(), error)
    }

    fn annotated(&self, annotator: &str) -> PyResult<Annotations> {
        self.record
            .annotations(annotator)
            .map_err(|error| self.failed(&error))
    }

    fn place(&self, lead: &Bound<'_, PyAny>) -> PyResult<usize> {
        let place = match lead.extract::<usize>() {
            Ok(index) => self.record.lead(index).map(|_| index),
            Err(_) => self.record.lead_named(lead.extract()?),
        };
        place.map_err(|error| errors::of(Kind::Input, self.path.as_deref(), &error))
    }
}

#[pymethods]
impl Record {
    /// The record's name: its file's, without folder and extension.
    #[getter]
    fn name(&self) -> &str {
        self.record.name()
    }

    /// What it was opened by; None for samples in memory.
    #[getter]
    fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    /// The rate that positions in the record are counted at, in Hz.
    #[getter]
    fn fs(&self) -> f64 {
        self.record.sample_rate_hz()
    }

    /// How long it is, in seconds.
    #[getter]
    fn duration_s(&self) -> f64 {
        self.record.duration_s()
    }

    /// Its leads.
    #[getter]
    fn leads(&self) -> Vec<Lead> {
        let leads = self.record.leads().iter().map(|lead| Lead {
            name: lead.name.clone(),
            units: lead.units.clone(),
            fs: lead.sample_rate_hz,
            samples: lead.len_samples,
            is_voltage: lead.is_voltage,
        });
        leads.collect()
    }

    /// The patient's age in years; None where the record does not say it.
    #[getter]
    fn age(&self) -> Option<f32> {
        self.record.patient().age_years
    }

    /// The patient's sex, ``"f"`` or ``"m"``; None where the record does not say it.
    #[getter]
    fn sex(&self) -> Option<&'static str> {
        sex_of(self.record.patient())
    }

    /// When the recording began, by the clock of whoever recorded it (``2026-11-26 08:30:00``); None where it is not said.
    #[getter]
    fn start(&self) -> Option<String> {
        self.record.start().map(|start| start.to_string())
    }

    /// The record's comments.
    #[getter]
    fn comments(&self) -> Vec<String> {
        self.record.comments().to_vec()
    }

    /// What is strange about the record, but not wrong enough to fail. What concerns samples is known once they were read.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        let warnings = self.record.warnings();
        warnings.iter().map(ToString::to_string).collect()
    }

    /// The samples of a lead, float32 in mV at the lead's own rate, shape ``(samples,)``; NaN where there is no valid one.
    ///
    /// Args:
    ///     lead: Its index from 0, or its name.
    ///     from_s: Where to begin, in seconds from the record's start.
    ///     seconds: How much to read; None: to the end.
    ///
    /// Raises:
    ///     InputError: there is no such lead, or `from_s` or `seconds` is negative.
    ///     RecordError: the lead is no voltage, or the file cannot be read.
    #[pyo3(signature = (lead, from_s=0.0, seconds=None))]
    fn signal<'py>(
        &self,
        py: Python<'py>,
        lead: &Bound<'py, PyAny>,
        from_s: f64,
        seconds: Option<f64>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let place = self.place(lead)?;
        let rate_hz = self.record.leads()[place].sample_rate_hz;
        let from = at(rate_hz, from_s, "from_s")?;
        let end = match seconds {
            Some(seconds) => from.saturating_add(at(rate_hz, seconds, "seconds")?),
            None => usize::MAX,
        };
        let read = || -> Result<Vec<f32>, heartlens::records::RecordError> {
            let mut samples = Vec::new();
            for block in self.record.stream_mv(place, from..end)? {
                samples.extend(block?);
            }
            Ok(samples)
        };
        let samples = py.detach(read).map_err(|error| self.failed(&error))?;
        Ok(PyArray1::from_vec(py, samples))
    }

    /// The annotated beats: samples (int64, at the record's own rate) and WFDB codes (``N``, ``V``, ``A`` ...).
    ///
    /// Raises:
    ///     RecordError: there are no annotations by this annotator, or they cannot be read.
    #[pyo3(signature = (annotator="atr"))]
    fn annotations<'py>(
        &self,
        py: Python<'py>,
        annotator: &str,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Vec<String>)> {
        let annotations = self.annotated(annotator)?;
        let beats = annotations.beats();
        let (samples, codes): (Vec<i64>, Vec<String>) = beats
            .map(|beat| {
                let sample = i64::try_from(beat.sample).unwrap_or(i64::MAX);
                (sample, beat.code.to_string())
            })
            .unzip();
        Ok((PyArray1::from_vec(py, samples), codes))
    }

    /// Classify the record's beats, as ``heartlens classify`` does: the same bits.
    ///
    /// Args:
    ///     lead: A name, an index from 0, ``"first"`` (that is an ECG), ``"best"`` (by quality), ``"both"`` or ``"all"``.
    ///     peaks: ``"detected"``, ``"reference"`` (every annotated beat), or an array of samples at the record's own rate.
    ///     annotator: Extension of the annotations that ``peaks="reference"`` reads.
    ///     age, sex: The patient's, instead of what the record says: years, and ``"f"`` or ``"m"``.
    ///     mode: When a beat is judged: ``"streaming"`` (as it comes, as a device does, to the bit), or ``"whole"`` (with the whole recording at
    ///         hand: the most accurate; two leads where there are two, unless `lead` says otherwise).
    ///     rules: ``"alike"`` (the strip rule, and beats of a patient that look alike get like answers), ``"strip"`` (where half
    ///         minutes of signal show atrial fibrillation, S counts as N), ``"none"``, ``"af"``, ``"af-svt"``, or ``"off"``
    ///         (the rhythm is not judged).
    ///     model: Another model than the shipped one.
    ///     runtime: ``"int8"``, ``"tract"`` or ``"ort"``; by default the first that the model has a file for.
    ///     threads: Threads that work; None: one a core. The results are the same for any number.
    ///     progress: Called again and again with how much is done, 0 to 1; an exception in it ends the work.
    ///
    /// Raises:
    ///     InputError, RecordError, ModelError: an argument, the record or the model is at fault.
    ///     KeyboardInterrupt: Ctrl-C, noticed at once.
    ///
    /// >>> import heartlens as hl
    /// >>> hl.read(DEMO).classify(lead="best").beats
    /// <353 beats: N 319, S 15, V 19>
    #[pyo3(signature = (lead=None, *, peaks=None, annotator="atr", age=None, sex=None, mode="streaming", rules="alike", model=None, runtime=None,
        threads=None, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn classify(
        &self,
        py: Python<'_>,
        lead: Option<Bound<'_, PyAny>>,
        peaks: Option<Bound<'_, PyAny>>,
        annotator: &str,
        age: Option<f32>,
        sex: Option<&str>,
        mode: &str,
        rules: &str,
        model: Option<&Model>,
        runtime: Option<&str>,
        threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Analysis> {
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
        run(
            py,
            &self.record,
            self.path.as_deref(),
            &model,
            &reading,
            progress,
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.path {
            Some(path) => self.keywords.reduce(py, path),
            None => {
                let instead = "it is in memory; send the array, and call heartlens.signal there";
                Err(errors::no_pickle("Record", instead))
            }
        }
    }

    fn __repr__(&self) -> String {
        let leads = self.record.leads().iter().map(|lead| lead.name.as_str());
        format!(
            "Record('{}', {:.1} s, fs={}, leads {})",
            self.name(),
            self.duration_s(),
            self.fs(),
            leads.collect::<Vec<_>>().join(", ")
        )
    }
}

#[pymethods]
impl BeatList {
    /// The list's name: its file's, without folder and extension.
    #[getter]
    fn name(&self) -> &str {
        &self.list.name
    }

    /// What it was opened by.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The rate that the beats' samples count at, in Hz: a table's are milliseconds.
    #[getter]
    fn fs(&self) -> f64 {
        self.list.sample_rate_hz
    }

    /// How long it is, in seconds: up to its last beat where nothing says more.
    #[getter]
    fn duration_s(&self) -> f64 {
        self.list.duration_s
    }

    /// Whether it says what the beats are.
    #[getter]
    fn labelled(&self) -> bool {
        self.list.labelled
    }

    /// The beats, int64, in samples of the list, shape ``(beats,)``.
    #[getter]
    fn samples<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let beats = self.list.beats.iter();
        PyArray1::from_iter(
            py,
            beats.map(|beat| i64::try_from(beat.sample).unwrap_or(i64::MAX)),
        )
    }

    /// The patient's age in years; None where the list does not say it.
    #[getter]
    fn age(&self) -> Option<f32> {
        self.list.patient.age_years
    }

    /// The patient's sex, ``"f"`` or ``"m"``; None where the list does not say it.
    #[getter]
    fn sex(&self) -> Option<&'static str> {
        sex_of(self.list.patient)
    }

    /// The list's comments.
    #[getter]
    fn comments(&self) -> Vec<String> {
        self.list.comments.clone()
    }

    /// What is strange about the list, but not wrong enough to fail.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        let warnings = self.list.warnings.iter();
        warnings.map(ToString::to_string).collect()
    }

    /// Judge the rhythm: atrial fibrillation, runs, pauses and HRV. Classes are those of the list; where it has none, each beat is Q.
    ///
    /// The arguments are those of `Record.classify`, so that whatever `read` gives is classified alike. What needs a signal is not
    /// looked at: `lead`, `peaks`, `annotator`, `age`, `sex`, `mode`, `rules`, `runtime`, `threads` and `progress`.
    ///
    /// Raises:
    ///     InputError, ModelError: an argument or the model is at fault.
    #[pyo3(signature = (lead=None, *, peaks=None, annotator="atr", age=None, sex=None, mode="streaming", rules="alike", model=None, runtime=None,
        threads=None, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn classify(
        &self,
        py: Python<'_>,
        lead: Option<Bound<'_, PyAny>>,
        peaks: Option<Bound<'_, PyAny>>,
        annotator: &str,
        age: Option<f32>,
        sex: Option<&str>,
        mode: &str,
        rules: &str,
        model: Option<&Model>,
        runtime: Option<&str>,
        threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Analysis> {
        drop(progress);
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
        judge(py, &self.list, &self.path, &or_shipped(model)?, &reading)
    }

    fn __len__(&self) -> usize {
        self.list.beats.len()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.keywords.reduce(py, &self.path)
    }

    fn __repr__(&self) -> String {
        let labels = if self.list.labelled {
            "with"
        } else {
            "without"
        };
        format!(
            "BeatList('{}', {} beats in {:.1} s, {labels} labels)",
            self.name(),
            self.__len__(),
            self.duration_s()
        )
    }
}

/// A time as samples at this rate.
fn at(rate_hz: f64, seconds: f64, name: &str) -> PyResult<usize> {
    match seconds.is_finite() && seconds >= 0.0 {
        true => Ok((seconds * rate_hz).round() as usize),
        false => Err(errors::input(
            name,
            &seconds.to_string(),
            "seconds, 0 or more",
        )),
    }
}
