//! What the network is shown of each beat, and where beats are.

use crate::arguments::{self, Reading};
use crate::errors;
use crate::model::Model;
use crate::watch::Watch;
use heartlens::Leads;
use heartlens::pipeline::beats_of;
use heartlens_core::patient::Patient;
use heartlens_core::views::{View, Views as Shown};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The four views of each beat, with core's bits: what the network of a device is shown.
///
/// Each is float32 and in rows, the beat first: what an ONNX model has for inputs, by the same names.
#[pyclass(module = "heartlens", frozen, get_all)]
pub(crate) struct Views {
    /// int64, ``(beats,)``: R peaks, in samples of the signal.
    samples: Py<PyAny>,
    /// ``(beats, 2, 96)``: beat and template at 128 Hz, in units of the template's scale.
    waveform: Py<PyAny>,
    /// ``(beats, 2, 64)``: natural logarithm of the magnitude over frequency.
    spectrum: Py<PyAny>,
    /// ``(beats, 2, 16, 11)``: the same over frequency and time.
    spectrogram: Py<PyAny>,
    /// ``(beats, 46)``: RR intervals, the beat against the template, age and sex.
    metadata: Py<PyAny>,
}

#[pymethods]
impl Views {
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.samples.bind(py).len()
    }

    /// The views by their names: what an ONNX Runtime session takes.
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inputs = PyDict::new(py);
        let views = [
            &self.waveform,
            &self.spectrum,
            &self.spectrogram,
            &self.metadata,
        ];
        for (view, values) in View::ALL.iter().zip(views) {
            inputs.set_item(view.name(), values)?;
        }
        Ok(inputs)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(errors::no_pickle(
            "Views",
            "send its arrays, views.inputs()",
        ))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<views of {} beats>", self.__len__(py)?))
    }
}

/// The places of the beats of a signal, and their views where they are wanted.
#[derive(Default)]
struct Found {
    samples: Vec<i64>,
    /// In the order of [`View::ALL`].
    values: [Vec<f32>; View::ALL.len()],
}

fn find(
    py: Python<'_>,
    signal_mv: &Bound<'_, PyAny>,
    fs: f64,
    reading: &Reading<'_>,
    with_views: bool,
) -> PyResult<Found> {
    let record = arguments::record(signal_mv, fs, None)?;
    let (options, peaks) = reading.options(&Model::shipped()?)?;
    let Leads::One(choice) = &options.leads else {
        let found = format!("\"{}\"", options.leads);
        return Err(errors::input("lead", &found, "one lead"));
    };
    let Patient { age_years, sex } = options.patient;
    let patient = Patient { age_years, sex };
    let mut watch = Watch::new(None);
    let mut found = Found::default();
    let result = py.detach(|| {
        let lead = choice.index(&record)?;
        let peaks = peaks.of(&record)?;
        let mut views = Shown::ZERO;
        beats_of(&record, lead, &peaks, patient, |sample, beat| {
            found
                .samples
                .push(i64::try_from(sample).unwrap_or(i64::MAX));
            if with_views {
                views.compute(&beat.frame);
                for (values, view) in found.values.iter_mut().zip(View::ALL) {
                    values.extend_from_slice(views.get(view));
                }
            }
            watch.hear(0.0)
        })
    });
    watch.finish(py)?;
    result.map_err(|error: heartlens::Error| errors::classify(&error, None))?;
    crate::analysis::warn(py, &record.warnings())?;
    Ok(found)
}

/// The four views of each beat of a signal: what somebody trains a network of their own on.
///
/// Args:
///     signal_mv, fs: As for `classify`.
///     lead: A column, ``"first"`` or ``"best"``.
///     peaks: ``"detected"``, or an array of samples of annotated beats, of which each has its views.
///     age, sex: The patient's, where known: they are part of ``metadata``.
///
/// Raises:
///     InputError: as `classify`.
///
/// >>> import heartlens as hl
/// >>> views = hl.views(hl.read(DEMO).signal("II"), fs=360)
/// >>> views.waveform.shape, views.metadata.dtype
/// ((353, 2, 96), dtype('float32'))
#[pyfunction]
#[pyo3(signature = (signal_mv, fs, *, lead=None, peaks=None, age=None, sex=None))]
pub(crate) fn views(
    py: Python<'_>,
    signal_mv: &Bound<'_, PyAny>,
    fs: f64,
    lead: Option<Bound<'_, PyAny>>,
    peaks: Option<Bound<'_, PyAny>>,
    age: Option<f32>,
    sex: Option<&str>,
) -> PyResult<Views> {
    let reading = reading(lead, peaks, age, sex);
    let Found { samples, values } = find(py, signal_mv, fs, &reading, true)?;
    let beats = samples.len();
    let mut views = View::ALL.iter().zip(values).map(|(view, values)| {
        let mut shape = vec![beats];
        shape.extend(view.shape());
        Ok(PyArray1::from_vec(py, values)
            .reshape(shape)?
            .into_any()
            .unbind())
    });
    let mut next = || views.next().unwrap_or_else(|| Err(errors::bug("views")));
    Ok(Views {
        waveform: next()?,
        spectrum: next()?,
        spectrogram: next()?,
        metadata: next()?,
        samples: PyArray1::from_vec(py, samples).into_any().unbind(),
    })
}

/// The R peaks of a signal: int64, ``(beats,)``, in samples of the signal.
///
/// They are where `classify` finds its beats. Arguments and errors are those of `views`.
///
/// >>> import heartlens as hl
/// >>> hl.detect(hl.read(DEMO).signal("II"), fs=360)[:3]
/// array([...])
#[pyfunction]
#[pyo3(signature = (signal_mv, fs, *, lead=None))]
pub(crate) fn detect<'py>(
    py: Python<'py>,
    signal_mv: &Bound<'py, PyAny>,
    fs: f64,
    lead: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let reading = reading(lead, None, None, None);
    let found = find(py, signal_mv, fs, &reading, false)?;
    Ok(PyArray1::from_vec(py, found.samples))
}

fn reading<'py>(
    lead: Option<Bound<'py, PyAny>>,
    peaks: Option<Bound<'py, PyAny>>,
    age: Option<f32>,
    sex: Option<&'py str>,
) -> Reading<'py> {
    Reading {
        lead,
        peaks,
        annotator: "atr",
        age,
        sex,
        mode: "streaming",
        rules: "none",
        runtime: None,
        threads: None,
    }
}
