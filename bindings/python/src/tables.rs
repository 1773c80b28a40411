//! What `heartlens.distributed` needs: some records' rows of all tables, as Parquet.

use crate::arguments::{PeaksFrom, Reading};
use crate::errors::{self, Kind};
use crate::many::inputs;
use crate::model::{Model, or_shipped};
use crate::record::read_options;
use crate::watch::Watch;
use heartlens::message::one_line;
use heartlens::records::{BeatList, BeatOptions, ReadOptions, Record};
use heartlens::tables::{self, Failure, Origin, PartFiles, Recording, SCHEMA_VERSION};
use heartlens::{Options, Peaks, Pool};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Names and paths of the records that are meant by one path or several, as `classify_records` takes them.
///
/// Raises:
///     InputError: there are no paths.
///     RecordError: a folder cannot be read, or holds no record.
#[pyfunction]
pub(crate) fn records_of(
    py: Python<'_>,
    paths: &Bound<'_, PyAny>,
) -> PyResult<Vec<(String, PathBuf)>> {
    Ok(inputs(py, paths)?.to_vec())
}

/// Rows of the tables `beats`, `records` and `errors`, gathered record by record and given as Parquet.
///
/// The arguments are those of `Record.classify` and `read`; R peaks are detected or those of a reference annotation.
#[pyclass(module = "heartlens._heartlens", frozen)]
pub(crate) struct Part {
    model: heartlens::Model,
    options: Options,
    peaks: PeaksFrom,
    annotator: String,
    read: ReadOptions,
    origin: Origin,
    part: Mutex<tables::Part>,
}

/// What became of a record.
enum Classified {
    Record(Box<Record>, heartlens::Analysis),
    List(Box<BeatList>, heartlens::Analysis),
}

fn bug(error: &(dyn std::error::Error + 'static)) -> PyErr {
    errors::bug(&one_line(error))
}

#[pymethods]
impl Part {
    #[new]
    #[pyo3(signature = (*, lead=None, peaks=None, annotator="atr", age=None, sex=None, mode="streaming", rules="alike", model=None, runtime=None,
        threads=Some(1), fs=None, unit=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
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
        fs: Option<f64>,
        unit: Option<&str>,
    ) -> PyResult<Self> {
        let model = or_shipped(model)?;
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
        let (options, peaks) = reading.options(&model)?;
        let mut said = options.clone();
        match &peaks {
            PeaksFrom::Detected => {}
            PeaksFrom::Annotations(_) => said.peaks = Peaks::Reference(Vec::new()),
            PeaksFrom::Samples(_) => {
                let expected = "\"detected\" or \"reference\": samples are of one record";
                return Err(errors::input("peaks", "an array", expected));
            }
        }
        // A model that cannot run would fail every record.
        let network = model.0.network(options.runtime);
        drop(network.map_err(|error| errors::of(Kind::Model, None, &error))?);
        let read = read_options(fs, unit)?;
        let origin = Origin::new(&model.0, &said, annotator, &read);
        let part = tables::Part::new(origin.clone()).map_err(|error| bug(&error))?;
        Ok(Self {
            model: model.0,
            options,
            peaks,
            annotator: annotator.to_owned(),
            read,
            origin,
            part: Mutex::new(part),
        })
    }

    /// The version of the tables' schema.
    #[getter]
    fn schema_version(&self) -> u32 {
        SCHEMA_VERSION
    }

    /// Which program, model and options the rows are of.
    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let origin = PyDict::new(py);
        origin.set_item("heartlens", &self.origin.heartlens)?;
        origin.set_item("model", &self.origin.model)?;
        origin.set_item("model_hash", &self.origin.model_hash)?;
        origin.set_item("options", &self.origin.options)?;
        Ok(origin)
    }

    /// Add the record in `file`, which was named `path` and is called `name`: its beats and summary, or an error. Gives whether it
    /// could be classified.
    fn classify(&self, py: Python<'_>, name: &str, path: &str, file: PathBuf) -> PyResult<bool> {
        let mut watch = Watch::new(None);
        let result = py.detach(|| self.classified(&file, &mut watch));
        watch.finish(py)?;
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match &result {
            Ok(Classified::Record(record, analysis)) => {
                let mut recording = Recording::of_record(name, path, record, analysis);
                if let PeaksFrom::Annotations(_) = self.peaks {
                    recording.peaks = "reference";
                }
                part.add(&recording)
            }
            Ok(Classified::List(list, analysis)) => {
                part.add(&Recording::of_list(name, path, list, analysis))
            }
            Err(message) => part.fail(&Failure {
                name,
                path,
                message,
            }),
        };
        written.map_err(|error| bug(&error))?;
        Ok(result.is_ok())
    }

    /// Add a record that could not be classified, and why not, in one line.
    fn fail(&self, name: &str, path: &str, message: &str) -> PyResult<()> {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        part.fail(&Failure {
            name,
            path,
            message,
        })
        .map_err(|error| bug(&error))
    }

    /// The Parquet file of each table, and under ``rows`` how many rows each has. Begins anew.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = tables::Part::new(self.origin.clone()).map_err(|error| bug(&error))?;
        let PartFiles {
            names,
            beat_rows,
            error_rows,
            beats,
            records,
            errors,
            ..
        } = std::mem::replace(&mut *part, begun)
            .finish()
            .map_err(|error| bug(&error))?;
        let rows = PyDict::new(py);
        rows.set_item("beats", beat_rows)?;
        rows.set_item("records", names.len() - error_rows)?;
        rows.set_item("errors", error_rows)?;
        let files = PyDict::new(py);
        files.set_item("beats", PyBytes::new(py, &beats))?;
        files.set_item("records", PyBytes::new(py, &records))?;
        files.set_item("errors", PyBytes::new(py, &errors))?;
        files.set_item("rows", rows)?;
        Ok(files)
    }
}

impl Part {
    /// Classifies what is in this file; an error as one line.
    fn classified(&self, file: &Path, watch: &mut Watch) -> Result<Classified, String> {
        let list = BeatOptions::new(&self.annotator);
        let list = BeatList::open(file, &list).map_err(|error| one_line(&error))?;
        let pool = Pool::new(&self.model, &self.options);
        if let Some(list) = list {
            let analysis = pool.one(|worker| worker.judge_beats(&list));
            return Ok(Classified::List(Box::new(list), analysis));
        }
        let record = Record::open_with(file, &self.read).map_err(|error| one_line(&error))?;
        let mut options = self.options.clone();
        options.peaks = self.peaks.of(&record).map_err(|error| one_line(&error))?;
        let analysis =
            pool.one(|worker| worker.classify(&record, &options, &mut |done| watch.hear(done)));
        let analysis = analysis.map_err(|error| one_line(&error))?;
        Ok(Classified::Record(Box::new(record), analysis))
    }
}
