//! Records.

use crate::analysis::{Analysis, run};
use crate::arguments::Reading;
use crate::errors::{self, Kind};
use crate::model::{Model, or_shipped};
use heartlens::records::annotation::Annotations;
use heartlens::records::{ReadOptions, Sex, VoltageUnit};
use numpy::PyArray1;
use pyo3::prelude::*;
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

/// A recording: simultaneous leads, as `heartlens.read` opens it. No samples are in memory.
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Record {
    pub(crate) record: Arc<heartlens::records::Record>,
    /// What it was opened by; `None` for samples in memory.
    pub(crate) path: Option<PathBuf>,
}

/// Open a record: WFDB (with or without ``.hea``), EDF, EDF+, BDF, ISHNE, DICOM, SCP-ECG, aECG, MUSE, Philips, Kardia ATC, or
/// CSV. What a file is, its content says.
///
/// Args:
///     path: The record.
///     fs: Samples per second of a table (CSV), instead of what its times say.
///     unit: Unit of leads that state none: ``"mV"``, ``"uV"``, ``"nV"`` or ``"V"``.
///
/// Raises:
///     RecordError: there is no such record, or its files are damaged; with ``file``, ``place``, ``found`` and ``expected``.
///     InputError: `fs` or `unit` is none.
///
/// >>> import heartlens as hl
/// >>> record = hl.read(DEMO)
/// >>> record.fs, record.duration_s, record.leads
/// (360.0, 300.0, [Lead('II', fs=360, samples=108000), Lead('V1', fs=360, samples=108000)])
#[pyfunction]
#[pyo3(signature = (path, *, fs=None, unit=None))]
pub(crate) fn read(
    py: Python<'_>,
    path: PathBuf,
    fs: Option<f64>,
    unit: Option<&str>,
) -> PyResult<Record> {
    let options = read_options(fs, unit)?;
    py.detach(|| open(&path, &options)).map(|record| Record {
        record: Arc::new(record),
        path: Some(path),
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

fn open(path: &Path, options: &ReadOptions) -> PyResult<heartlens::records::Record> {
    heartlens::records::Record::open_with(path, options)
        .map_err(|error| errors::of(Kind::Record, Some(path), &error))
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
        self.record.patient().sex.map(|sex| match sex {
            Sex::Female => "f",
            Sex::Male => "m",
        })
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
    ///     rules: ``"none"``, ``"af"``, ``"af-svt"``, or ``"off"`` (the rhythm is not judged).
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
    #[pyo3(signature = (lead=None, *, peaks=None, annotator="atr", age=None, sex=None, rules="none", model=None, runtime=None,
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
