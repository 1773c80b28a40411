//! Errors as exceptions: the family that `heartlens/_errors.py` defines.

use heartlens::message::{Parts, one_line};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::error::Error;
use std::path::Path;

/// The members of the family, by their names in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Input,
    Record,
    Model,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Input => "InputError",
            Self::Record => "RecordError",
            Self::Model => "ModelError",
        }
    }
}

/// An exception with the parts of its message.
pub(crate) fn exception(kind: Kind, message: &str, parts: &Parts) -> PyErr {
    Python::attach(|py| {
        let made = || -> PyResult<PyErr> {
            let class = py.import("heartlens._errors")?.getattr(kind.name())?;
            let class = class.cast_into::<PyType>().map_err(PyErr::from)?;
            let arguments = (
                message,
                parts.file.as_deref(),
                parts.place.as_deref(),
                parts.found.as_deref(),
                parts.expected.as_deref(),
            );
            Ok(PyErr::from_value(class.call1(arguments)?))
        };
        made().unwrap_or_else(|error| error)
    })
}

/// An error of the host's as an exception.
pub(crate) fn of(kind: Kind, file: Option<&Path>, error: &(dyn Error + 'static)) -> PyErr {
    let message = one_line(error);
    let file = file.map(|path| path.display().to_string());
    exception(kind, &message, &Parts::of(&message, file.as_deref()))
}

/// Why a record could not be classified, as an exception.
pub(crate) fn classify(error: &heartlens::Error, file: Option<&Path>) -> PyErr {
    let kind = match error {
        heartlens::Error::Model(_) => return of(Kind::Model, None, error),
        _ if file.is_none() => Kind::Input,
        _ => Kind::Record,
    };
    of(kind, file, error)
}

/// An argument is wrong.
pub(crate) fn input(place: &str, found: &str, expected: &str) -> PyErr {
    let parts = Parts {
        file: None,
        place: Some(place.to_owned()),
        found: Some(found.to_owned()),
        expected: Some(expected.to_owned()),
    };
    let message = format!("{place}: found {found}, expected {expected}");
    exception(Kind::Input, &message, &parts)
}

/// What `pickle` and `copy` hear of an object that stays in its process.
pub(crate) fn no_pickle(class: &str, instead: &str) -> PyErr {
    PyTypeError::new_err(format!("cannot pickle heartlens.{class}: {instead}"))
}

/// A thread that panicked.
pub(crate) fn bug(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("{what}: failed; this is a bug"))
}
