//! Arguments from Python: signals, rates, and how a record is to be read.

use crate::errors;
use crate::model::Model;
use heartlens::choice::LeadChoice;
use heartlens::records::Record;
use heartlens::runtime::Kind;
use heartlens::{Leads, Mode, Options, Peaks};
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::rhythm::Rules;
use numpy::{
    PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};
use std::num::NonZeroUsize;

/// Leads of a record at the most; an array with more columns lies on its side.
const MAX_LEADS: usize = 64;
/// What messages call a signal that comes as an array.
pub(crate) const SIGNAL: &str = "signal";

/// How a record is to be classified, as keyword arguments give it.
pub(crate) struct Reading<'py> {
    pub(crate) lead: Option<Bound<'py, PyAny>>,
    pub(crate) peaks: Option<Bound<'py, PyAny>>,
    pub(crate) annotator: &'py str,
    pub(crate) age: Option<f32>,
    pub(crate) sex: Option<&'py str>,
    pub(crate) mode: &'py str,
    pub(crate) rules: &'py str,
    pub(crate) runtime: Option<&'py str>,
    pub(crate) threads: Option<usize>,
}

/// Where R peaks come from.
#[derive(Debug, Clone)]
pub(crate) enum PeaksFrom {
    Detected,
    Annotations(String),
    Samples(Vec<u64>),
}

impl PeaksFrom {
    /// The peaks of this record.
    pub(crate) fn of(&self, record: &Record) -> Result<Peaks, heartlens::Error> {
        Ok(match self {
            Self::Detected => Peaks::Detected,
            Self::Annotations(annotator) => Peaks::annotated(record, annotator)?,
            Self::Samples(samples) => Peaks::Reference(samples.clone()),
        })
    }
}

impl Reading<'_> {
    /// As the host takes it; where R peaks come from is said beside it.
    pub(crate) fn options(&self, model: &Model) -> PyResult<(Options, PeaksFrom)> {
        let mut options = Options::default();
        options.mode = mode(self.mode)?;
        options.leads = match &self.lead {
            Some(lead) => leads(lead)?,
            None => options.mode.leads(),
        };
        options.patient = Patient {
            age_years: self.age.map(age).transpose()?,
            sex: self.sex.map(sex).transpose()?,
        };
        options.rules = rules(self.rules)?;
        options.runtime = runtime(self.runtime, model)?;
        options.threads = self.threads.map(threads).transpose()?;
        let peaks = match &self.peaks {
            None => PeaksFrom::Detected,
            Some(peaks) => match peaks.cast::<PyString>() {
                Ok(word) => match word.to_str()? {
                    "detected" => PeaksFrom::Detected,
                    "reference" => PeaksFrom::Annotations(self.annotator.to_owned()),
                    other => {
                        let expected = "\"detected\", \"reference\" or an array of samples";
                        return Err(errors::input("peaks", &format!("{other:?}"), expected));
                    }
                },
                Err(_) => PeaksFrom::Samples(samples(peaks)?),
            },
        };
        Ok((options, peaks))
    }
}

fn leads(lead: &Bound<'_, PyAny>) -> PyResult<Leads> {
    if let Ok(word) = lead.cast::<PyString>() {
        return Ok(match word.to_str()?.parse() {
            Ok(leads) => leads,
            Err(never) => match never {},
        });
    }
    if let Ok(index) = lead.cast::<PyInt>() {
        let index = index.extract::<usize>();
        return index
            .map(|index| Leads::One(LeadChoice::Index(index)))
            .map_err(|_| errors::input("lead", &lead.to_string(), "0 or more"));
    }
    let found = lead.get_type().name()?.to_string();
    let expected = "a name, an index from 0, \"first\", \"best\", \"both\", \"two\" or \"all\"";
    Err(errors::input("lead", &found, expected))
}

fn age(years: f32) -> PyResult<f32> {
    match (0.0..=130.0).contains(&years) {
        true => Ok(years),
        false => Err(errors::input("age", &years.to_string(), "years, 0 to 130")),
    }
}

fn sex(word: &str) -> PyResult<Sex> {
    match word {
        "f" => Ok(Sex::Female),
        "m" => Ok(Sex::Male),
        _ => Err(errors::input("sex", &format!("{word:?}"), "\"f\" or \"m\"")),
    }
}

fn mode(word: &str) -> PyResult<Mode> {
    match word {
        "streaming" => Ok(Mode::Streaming),
        "whole" => Ok(Mode::Whole),
        _ => {
            let expected = "\"streaming\" or \"whole\"";
            Err(errors::input("mode", &format!("{word:?}"), expected))
        }
    }
}

fn rules(word: &str) -> PyResult<Option<Rules>> {
    match word {
        "alike" => Ok(Some(Rules::ALIKE)),
        "strip" => Ok(Some(Rules::STRIP)),
        "none" => Ok(Some(Rules::NONE)),
        "af" => Ok(Some(Rules::AF)),
        "af-svt" => Ok(Some(Rules::AF_SVT)),
        "off" => Ok(None),
        _ => {
            let expected = "\"alike\", \"strip\", \"none\", \"af\", \"af-svt\" or \"off\"";
            Err(errors::input("rules", &format!("{word:?}"), expected))
        }
    }
}

/// The runtime of this name; by default the integers, or tract for a model without a device image.
pub(crate) fn runtime(word: Option<&str>, model: &Model) -> PyResult<Kind> {
    let Some(word) = word else {
        return Ok(match model.0.image() {
            Some(_) => Kind::Int8,
            None => Kind::Tract,
        });
    };
    let known = Kind::ALL.iter().find(|kind| kind.name() == word);
    known.copied().ok_or_else(|| {
        let names: Vec<String> = Kind::ALL
            .iter()
            .map(|k| format!("{:?}", k.name()))
            .collect();
        errors::input("runtime", &format!("{word:?}"), &names.join(", "))
    })
}

pub(crate) fn threads(count: usize) -> PyResult<NonZeroUsize> {
    NonZeroUsize::new(count).ok_or_else(|| errors::input("threads", "0", "1 or more"))
}

/// An array of samples of R peaks: whole numbers, ascending.
fn samples(peaks: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    let expected = "samples of R peaks: whole numbers from 0, ascending, in one dimension";
    let array = as_array(peaks)?;
    let kind = array.dtype().kind();
    if array.ndim() != 1 || !(kind == b'i' || kind == b'u' || array.len() == 0) {
        let found = described(&array)?;
        return Err(errors::input("peaks", &found, expected));
    }
    let list: Vec<i64> = converted::<i64>(&array)?;
    let mut samples = Vec::with_capacity(list.len());
    for (i, sample) in list.iter().enumerate() {
        let Ok(sample) = u64::try_from(*sample) else {
            return Err(errors::input("peaks", &sample.to_string(), expected));
        };
        if samples.last().is_some_and(|last| *last >= sample) {
            let found = format!("{sample} after {} at index {i}", list[i - 1]);
            return Err(errors::input(
                "peaks",
                &found,
                "ascending samples; np.unique sorts them",
            ));
        }
        samples.push(sample);
    }
    if samples.is_empty() {
        return Err(errors::input("peaks", "none", "at least one"));
    }
    Ok(samples)
}

/// A signal as a record in memory: one lead, or one a column.
pub(crate) fn record(
    signal_mv: &Bound<'_, PyAny>,
    fs: f64,
    names: Option<Vec<String>>,
) -> PyResult<Record> {
    let (array, leads) = signal(signal_mv)?;
    let names = match names {
        Some(names) if names.len() != leads => {
            let expected = format!("{leads}, one for each column");
            return Err(errors::input(
                "lead_names",
                &names.len().to_string(),
                &expected,
            ));
        }
        Some(names) => names,
        None => (0..leads).map(|lead| format!("lead {lead}")).collect(),
    };
    let all: Vec<f32> = converted(&array)?;
    if let Some(at) = all.iter().position(|mv| mv.is_infinite()) {
        let found = format!("{} at sample {}", all[at], at / leads);
        let expected = "finite numbers, and NaN where there is no sample";
        return Err(errors::input(SIGNAL, &found, expected));
    }
    if all.iter().all(|mv| mv.is_nan()) {
        return Err(errors::input(SIGNAL, "nothing but NaN", "samples in mV"));
    }
    let leads_mv = match <[String; 1]>::try_from(names) {
        Ok([name]) => vec![(name, all)],
        Err(names) => {
            let column = |lead: usize| all.iter().skip(lead).step_by(leads).copied().collect();
            let names = names.into_iter().enumerate();
            names.map(|(lead, name)| (name, column(lead))).collect()
        }
    };
    Record::from_mv(SIGNAL, rate(fs)?, leads_mv)
        .map_err(|error| errors::of(errors::Kind::Input, None, &error))
}

/// A sample rate that can be classified, in Hz.
pub(crate) fn rate(fs: f64) -> PyResult<f64> {
    heartlens::canonical::resampler(fs).map_err(|error| {
        let message = format!("fs: {}", heartlens::message::one_line(&error));
        let parts = heartlens::message::Parts::of(&message, None);
        errors::exception(errors::Kind::Input, &message, &parts)
    })?;
    Ok(fs)
}

/// An array of samples in mV, and how many leads it has.
fn signal<'py>(object: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyUntypedArray>, usize)> {
    let array = as_array(object)?;
    match array.dtype().kind() {
        b'f' => {}
        b'i' | b'u' => {
            let found = format!("whole numbers ({}), which are counts", array.dtype());
            let expected = "float32 or float64 in mV: (counts - baseline) / counts_per_mv";
            return Err(errors::input(SIGNAL, &found, expected));
        }
        _ => {
            let found = format!("an array of {}", array.dtype());
            return Err(errors::input(SIGNAL, &found, "float32 or float64, in mV"));
        }
    }
    let leads = match *array.shape() {
        [_] => 1,
        [_, leads] if (1..=MAX_LEADS).contains(&leads) => leads,
        _ => {
            let expected = format!(
                "(samples,) or (samples, leads) with 1 to {MAX_LEADS} leads; an array on its side needs .T"
            );
            let found = described(&array)?;
            return Err(errors::input(SIGNAL, &found, &expected));
        }
    };
    if array.shape()[0] == 0 {
        return Err(errors::input(SIGNAL, "no samples", "at least one"));
    }
    Ok((array, leads))
}

/// Whatever NumPy takes for an array.
pub(crate) fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let numpy = object.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (object,))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

fn described(array: &Bound<'_, PyUntypedArray>) -> PyResult<String> {
    let shape = array.getattr("shape")?;
    Ok(format!("{} of shape {shape}", array.dtype()))
}

/// The values in rows, as this type.
pub(crate) fn converted<T: numpy::Element + Copy>(
    array: &Bound<'_, PyUntypedArray>,
) -> PyResult<Vec<T>> {
    let dtype = numpy::dtype::<T>(array.py());
    let array = array.call_method1("astype", (dtype, "C"))?;
    let array = array.cast_into::<PyArrayDyn<T>>()?;
    Ok(array.to_vec()?)
}
