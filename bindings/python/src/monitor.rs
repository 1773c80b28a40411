//! A signal as it comes in.

use crate::arguments::{self, as_array, converted};
use crate::errors::{self, Kind};
use crate::model::{Model, or_shipped};
use heartlens::monitor::{self, Config, Event as Told, MonitorError, Signal};
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use numpy::{PyArrayDescrMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that a wearable tells. ``kind`` says what; of the other attributes those that do not belong to it are None.
///
/// ``beat``: ``label``, ``probabilities``, ``rr_ms``, ``quality``, ``fibrillation``, ``unsure``. ``signal``: ``signal``. ``pause``:
/// ``flat``. ``fibrillation``: ``until_ms``, None while it lasts. ``run``: ``label``, ``beats``, ``rate_bpm``, ``over``.
/// ``restarted``: nothing.
#[pyclass(module = "heartlens", frozen, get_all)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    /// ``"beat"``, ``"signal"``, ``"pause"``, ``"fibrillation"``, ``"run"`` or ``"restarted"``.
    kind: &'static str,
    /// When, in ms since the first sample: of a beat its R peak, of a pause the beat before it, of fibrillation and of a run their
    /// first beat.
    at_ms: u64,
    /// The class of the beat, or of the run's beats: N, S, V, F or Q.
    label: Option<&'static str>,
    /// The probability of each class, in the order N, S, V, F.
    probabilities: Option<[f32; LABELS.len()]>,
    /// The RR interval since the beat before, in ms.
    rr_ms: Option<f64>,
    /// How worth reading the signal around the beat is, 0 to 1.
    quality: Option<f32>,
    /// Whether the beat lies in atrial fibrillation.
    fibrillation: Option<bool>,
    /// Whether the beat's two likeliest classes are close, by less than 0.5.
    unsure: Option<bool>,
    /// What the signal is good for from now on: ``"readable"``, ``"noisy"``, ``"flat"``, ``"constant"``, ``"electrode off"``,
    /// ``"no heartbeat"`` or ``"gain"``.
    signal: Option<&'static str>,
    /// Whether the line does not move at all in the pause.
    flat: Option<bool>,
    /// The last beat in fibrillation, in ms.
    until_ms: Option<u64>,
    /// Beats of the run so far.
    beats: Option<u32>,
    /// Mean heart rate in the run, in beats a minute.
    rate_bpm: Option<f32>,
    /// Whether the run has ended.
    over: Option<bool>,
}

impl Event {
    /// `None` for what this build does not know by name.
    fn of(told: Told) -> Option<Self> {
        let none = Self::default();
        Some(match told {
            Told::Beat { at_ms, beat } => Self {
                kind: "beat",
                at_ms,
                label: Some(beat.class.name()),
                probabilities: Some(beat.probabilities),
                rr_ms: beat.rr_s.map(|rr_s| f64::from(rr_s) * 1000.0),
                quality: Some(beat.quality.score),
                fibrillation: beat.fibrillation,
                unsure: beat.is_unsure(),
                ..none
            },
            Told::Signal { at_ms, signal } => Self {
                kind: "signal",
                at_ms,
                signal: Some(state(signal)),
                ..none
            },
            Told::Pause { since_ms, flat } => Self {
                kind: "pause",
                at_ms: since_ms,
                flat: Some(flat),
                ..none
            },
            Told::Fibrillation { since_ms, until_ms } => Self {
                kind: "fibrillation",
                at_ms: since_ms,
                until_ms,
                ..none
            },
            Told::Run {
                class,
                since_ms,
                beats,
                rate_bpm,
                over,
            } => Self {
                kind: "run",
                at_ms: since_ms,
                label: Some(Class::name(class)),
                beats: Some(beats),
                rate_bpm: Some(rate_bpm),
                over: Some(over),
                ..none
            },
            Told::Restarted { at_ms } => Self {
                kind: "restarted",
                at_ms,
                ..none
            },
            _ => return None,
        })
    }
}

fn state(signal: Signal) -> &'static str {
    match signal {
        Signal::Readable => "readable",
        Signal::Noisy => "noisy",
        Signal::Flat => "flat",
        Signal::Constant => "constant",
        Signal::ElectrodeOff => "electrode off",
        Signal::NoHeartbeat => "no heartbeat",
        Signal::Gain => "gain",
        _ => "unknown",
    }
}

#[pymethods]
impl Event {
    /// The probability of each class, by its letter; None where the event is no beat.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(probabilities) = self.probabilities else {
            return Ok(None);
        };
        let scores = PyDict::new(py);
        for (label, score) in LABELS.iter().zip(probabilities) {
            scores.set_item(label, score)?;
        }
        Ok(Some(scores))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(errors::no_pickle(
            "Event",
            "send its fields, such as event.kind and event.at_ms",
        ))
    }

    fn __repr__(&self) -> String {
        let mut text = format!("Event('{}', at_ms={}", self.kind, self.at_ms);
        let parts = [
            ("label", self.label.map(|label| format!("'{label}'"))),
            ("signal", self.signal.map(|signal| format!("'{signal}'"))),
            ("until_ms", self.until_ms.map(|ms| ms.to_string())),
            ("beats", self.beats.map(|beats| beats.to_string())),
        ];
        for (name, part) in parts {
            text.extend(part.map(|part| format!(", {name}={part}")));
        }
        text + ")"
    }
}

/// Watches one lead as its samples come in, and tells what a wearable tells: the events and bits of a device that reads the same
/// counts.
///
/// At 100, 125, 128, 200, 250, 256, 300, 360, 500, 512 and 1000 Hz the signal goes through the device's own resampler. Any other
/// rate is brought to 128 Hz as records are, which no device does.
///
/// Args:
///     fs: Samples per second, 80 to 100000 Hz.
///     counts_per_mv: The converter's counts per mV. Samples in mV are rounded to such counts of 16 bits; what is beyond (82 mV
///         by default) becomes the last of them.
///     zero: The count that means 0 mV.
///     age, sex, rules, model, runtime: As for `Record.classify`.
///
/// Raises:
///     InputError: `fs`, `counts_per_mv` or another argument is none.
///     ModelError: the model cannot be run, or has no rhythm network.
///
/// >>> import heartlens as hl
/// >>> monitor = hl.Monitor(fs=360)
/// >>> events = monitor.push(hl.read(DEMO).signal("II"))
/// >>> [event for event in events if event.kind == "beat"][0].label
/// 'N'
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Monitor {
    inner: Mutex<monitor::Monitor>,
    fs: f64,
}

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, monitor::Monitor> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples that are taken before Ctrl-C is asked for again: a few milliseconds of work.
const CHUNK: usize = 4096;

#[pymethods]
impl Monitor {
    #[new]
    #[pyo3(signature = (fs, *, counts_per_mv=400.0, zero=0, age=None, sex=None, rules="alike", model=None, runtime=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        fs: f64,
        counts_per_mv: f32,
        zero: i32,
        age: Option<f32>,
        sex: Option<&str>,
        rules: &str,
        model: Option<&Model>,
        runtime: Option<&str>,
    ) -> PyResult<Self> {
        let model = or_shipped(model)?;
        let reading = arguments::Reading {
            lead: None,
            peaks: None,
            annotator: "atr",
            age,
            sex,
            mode: "streaming",
            rules,
            runtime,
            threads: None,
        };
        let (options, _) = reading.options(&model)?;
        let Some(rules) = options.rules else {
            let expected = "\"strip\", \"none\", \"af\" or \"af-svt\": a monitor judges the rhythm";
            return Err(errors::input("rules", "\"off\"", expected));
        };
        let mut config = Config::new(arguments::rate(fs)?);
        config.calibration.counts_per_mv = counts_per_mv;
        config.calibration.zero = zero;
        config.patient = options.patient;
        config.rules = rules;
        config.runtime = options.runtime;
        let inner = monitor::Monitor::new(&model.0, &config).map_err(|error| failed(&error))?;
        Ok(Self {
            inner: Mutex::new(inner),
            fs,
        })
    }

    /// Take the next samples, shape ``(samples,)``, and give the events that they bring to light.
    ///
    /// Args:
    ///     chunk: float32 or float64 in mV, NaN where a sample is missing; or int16 counts as the converter gave them, where -32768
    ///         is a missing one.
    ///
    /// Raises:
    ///     InputError: the array is of another type or shape.
    fn push(&self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> PyResult<Vec<Event>> {
        let array = as_array(chunk)?;
        let kind = (array.dtype().kind(), array.dtype().itemsize());
        if array.ndim() != 1 || !matches!(kind, (b'f', _) | (b'i', 2)) {
            let found = format!("{} of shape {}", array.dtype(), array.getattr("shape")?);
            let expected = "floats in mV or int16 counts, of shape (samples,)";
            return Err(errors::input("chunk", &found, expected));
        }
        let mut events = Vec::new();
        if kind.0 == b'f' {
            let samples_mv: Vec<f32> = converted(&array)?;
            for chunk in samples_mv.chunks(CHUNK) {
                let told = py.detach(|| self.lock().push_mv(chunk));
                events.extend(told.map_err(|error| failed(&error))?);
                py.check_signals()?;
            }
        } else {
            let counts: Vec<i16> = converted(&array)?;
            for chunk in counts.chunks(CHUNK) {
                let told = py.detach(|| self.lock().push_counts(chunk));
                events.extend(told.map_err(|error| failed(&error))?);
                py.check_signals()?;
            }
        }
        Ok(events.into_iter().filter_map(Event::of).collect())
    }

    /// End the recording, and give the events of its last beats, which need no successor. The next sample starts another.
    fn finish(&self, py: Python<'_>) -> PyResult<Vec<Event>> {
        let told = py.detach(|| self.lock().finish());
        let told = told.map_err(|error| failed(&error))?;
        Ok(told.into_iter().filter_map(Event::of).collect())
    }

    /// Samples per second.
    #[getter]
    fn fs(&self) -> f64 {
        self.fs
    }

    /// Time since the first sample, in ms, missing samples included.
    #[getter]
    fn now_ms(&self) -> u64 {
        self.lock().now_ms()
    }

    /// The heart rate over the last 8 readable RR intervals, in beats a minute; None where none can be told.
    #[getter]
    fn rate_bpm(&self) -> Option<f32> {
        self.lock().rate_bpm()
    }

    /// What the signal is good for now, in the words of `Event.signal`; None before that is known.
    #[getter]
    fn signal(&self) -> Option<&'static str> {
        self.lock().signal().map(state)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(errors::no_pickle(
            "Monitor",
            "make one in each process, and push to it there",
        ))
    }

    fn __repr__(&self) -> String {
        format!("Monitor(fs={}, now_ms={})", self.fs, self.now_ms())
    }
}

fn failed(error: &MonitorError) -> PyErr {
    match error {
        MonitorError::Rate(_) | MonitorError::Calibration(_) => {
            errors::of(Kind::Input, None, error)
        }
        _ => errors::of(Kind::Model, None, error),
    }
}
