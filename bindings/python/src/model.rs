//! Models.

use crate::errors::{self, Kind};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A trained model: a beat network and a rhythm network.
///
/// The shipped one is inside the wheel, and what every function takes where no model is given.
///
/// Pickled, it is where it was loaded from, so that another process loads the same files; they have to be unchanged.
///
/// >>> import heartlens as hl
/// >>> hl.Model.shipped()
/// Model('beat')
#[pyclass(module = "heartlens", frozen)]
pub(crate) struct Model(pub(crate) heartlens::Model, Origin);

/// Where a model was loaded from: the method that did it, and what it was told.
#[derive(Debug, Clone)]
struct Origin {
    method: &'static str,
    path: Option<PathBuf>,
}

fn made(
    model: Result<heartlens::Model, heartlens::runtime::ModelError>,
    method: &'static str,
    path: Option<&Path>,
) -> PyResult<Model> {
    let origin = Origin {
        method,
        path: path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
    };
    model
        .map(|model| Model(model, origin))
        .map_err(|error| errors::of(Kind::Model, None, &error))
}

#[pymethods]
impl Model {
    /// The model inside the wheel.
    #[staticmethod]
    pub(crate) fn shipped() -> PyResult<Self> {
        static SHIPPED: OnceLock<heartlens::Model> = OnceLock::new();
        if let Some(model) = SHIPPED.get() {
            let model = Ok(model.clone());
            return made(model, "shipped", None);
        }
        let Self(model, origin) = made(heartlens::Model::shipped(), "shipped", None)?;
        Ok(Self(SHIPPED.get_or_init(|| model).clone(), origin))
    }

    /// The model in a folder: `model.hlm` or `model.onnx` or both, and `rhythm.hlr` where it has one.
    ///
    /// Raises:
    ///     ModelError: a file cannot be read, or does not fit this build.
    #[staticmethod]
    fn load(folder: PathBuf) -> PyResult<Self> {
        made(heartlens::Model::load(&folder), "load", Some(&folder))
    }

    /// A network of one's own: an ONNX file with the inputs that `heartlens.views` gives, beside the shipped rhythm network.
    ///
    /// It runs in floating point, in tract or (``runtime="ort"``) in ONNX Runtime; `heartlens.compile` makes a device
    /// image of it.
    ///
    /// Raises:
    ///     ModelError: the file cannot be read, or is no network that fits this build.
    #[staticmethod]
    fn from_onnx(path: PathBuf) -> PyResult<Self> {
        made(heartlens::Model::from_onnx(&path), "from_onnx", Some(&path))
    }

    /// A device image of one's own, as `heartlens.compile` makes it, beside the shipped rhythm network.
    ///
    /// Raises:
    ///     ModelError: the file cannot be read, is no image, or was made for other features.
    #[staticmethod]
    fn from_image(path: PathBuf) -> PyResult<Self> {
        made(
            heartlens::Model::from_image(&path),
            "from_image",
            Some(&path),
        )
    }

    /// The model's name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether the network reads age and sex; if not, they change nothing.
    #[getter]
    fn reads_patient(&self) -> bool {
        self.0.reads_patient()
    }

    /// Names and CRC-32s of the model's files: what tells it from another.
    #[getter]
    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Origin { method, path } = &self.1;
        let again = py.import("heartlens._again")?.getattr("model")?;
        (again, (*method, path.clone(), self.fingerprint())).into_bound_py_any(py)
    }

    fn __repr__(&self) -> String {
        format!("Model('{}')", self.name())
    }
}

/// The model that was given, or the shipped one.
pub(crate) fn or_shipped(model: Option<&Model>) -> PyResult<Model> {
    match model {
        Some(model) => Ok(Model(model.0.clone(), model.1.clone())),
        None => Model::shipped(),
    }
}
