//! Beats as columns.

use crate::errors;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, PrimitiveArray, RecordBatch, RecordBatchIterator, cast::AsArray,
};
use heartlens::tables::Origin;
use heartlens_core::spec::LABELS;
use numpy::PyArray1;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule, PyDict, PySlice, PyString};

/// Beats at either end that a notebook shows.
const SHOWN: usize = 5;

/// One beat.
#[pyclass(module = "heartlens", frozen, eq, get_all)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beat {
    /// The R peak, in samples at the record's own rate.
    sample: i64,
    /// The same in seconds from the record's start.
    time_s: f64,
    /// The class: N normal, S supraventricular, V ventricular, F fusion, Q unreadable (AAMI EC57).
    label: String,
    /// The RR interval since the beat before, in ms; None where there is none.
    rr_ms: Option<f64>,
    /// How worth reading the signal around the beat is, 0 to 1; None where there is no signal.
    quality: Option<f32>,
    /// Whether it lies in atrial fibrillation; None as long as that is not known.
    fibrillation: Option<bool>,
    /// Whether its two likeliest classes are close, by less than 0.5; None of class Q and where there is no signal.
    unsure: Option<bool>,
    /// The probability of each class, in the order N, S, V, F; they add up to 1. None where there is no signal.
    probabilities: Option<[f32; LABELS.len()]>,
}

#[pymethods]
impl Beat {
    /// The probability of each class, by its letter; None where there is no signal.
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
        let instead = "send the columns of all beats, pyarrow.table(beats) or beats.to_pandas()";
        Err(errors::no_pickle("Beat", instead))
    }

    fn __repr__(&self) -> String {
        format!(
            "Beat(sample={}, time_s={:.3}, label='{}')",
            self.sample, self.time_s, self.label
        )
    }
}

/// A record's beats, in order: a sequence of `Beat`, and a table of columns.
///
/// ``beats[0]`` is a beat, ``beats[10:20]`` are beats, ``beats["rr_ms"]`` is a column as a NumPy array. pyarrow, Polars,
/// DuckDB and pandas take the table without a copy (``pyarrow.table(beats)``, ``polars.DataFrame(beats)``).
///
/// Columns: ``record`` (text), ``sample`` (int64, at the record's own rate), ``time_s`` (float64, from the record's start),
/// ``class`` (N, S, V, F or Q), ``rr_ms`` (float64 or null), ``quality`` (float32, 0 to 1), ``score_N`` ... ``score_F``
/// (float32, 0 to 1; null like ``quality`` where there is no signal), ``fibrillation`` (bool or null), ``lead`` (text), ``episode`` (text or null: ``V run``, ``S run``, ``AF`` or
/// ``pause``), ``unsure`` (bool or null: whether the two likeliest classes are close). They are those of the table `beats` of ``heartlens classify --tables``.
#[pyclass(module = "heartlens", frozen, sequence)]
pub(crate) struct Beats {
    rows: RecordBatch,
}

impl Beats {
    /// The beats of the record of this name, as `heartlens classify --parquet` writes them.
    pub(crate) fn new(
        record: &str,
        analysis: &heartlens::Analysis,
        origin: &Origin,
    ) -> PyResult<Self> {
        let rows = heartlens::tables::beats(record, analysis, origin);
        let rows = rows.map_err(|error| errors::bug(&error.to_string()))?;
        Ok(Self { rows })
    }

    fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.rows.column_by_name(name)
    }

    fn beat(&self, i: usize) -> Option<Beat> {
        fn value<T: arrow_array::types::ArrowPrimitiveType>(
            beats: &Beats,
            name: &str,
            i: usize,
        ) -> Option<T::Native> {
            let column: &PrimitiveArray<T> = beats.column(name)?.as_primitive_opt()?;
            column.is_valid(i).then(|| column.value(i))
        }
        let mut probabilities = Some([0.0; LABELS.len()]);
        for (place, label) in LABELS.iter().enumerate() {
            let score = value::<Float32Type>(self, &format!("score_{label}"), i);
            probabilities = probabilities.zip(score).map(|(mut all, score)| {
                all[place] = score;
                all
            });
        }
        let judged = |name: &str| {
            let column = self.column(name)?.as_boolean_opt()?;
            column.is_valid(i).then(|| column.value(i))
        };
        Some(Beat {
            sample: value::<Int64Type>(self, "sample", i)?,
            time_s: value::<Float64Type>(self, "time_s", i)?,
            label: self
                .column("class")?
                .as_string_opt::<i32>()?
                .value(i)
                .to_owned(),
            rr_ms: value::<Float64Type>(self, "rr_ms", i),
            quality: value::<Float32Type>(self, "quality", i),
            fibrillation: judged("fibrillation"),
            unsure: judged("unsure"),
            probabilities,
        })
    }
}

/// The beats, one after the other.
#[pyclass]
pub(crate) struct BeatIterator {
    beats: Py<Beats>,
    next: usize,
}

#[pymethods]
impl BeatIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self) -> Option<Beat> {
        let beats = self.beats.get();
        let beat = (self.next < beats.rows.num_rows()).then(|| beats.beat(self.next));
        self.next += 1;
        beat.flatten()
    }
}

#[pymethods]
impl Beats {
    fn __len__(&self) -> usize {
        self.rows.num_rows()
    }

    fn __iter__(this: Py<Self>) -> BeatIterator {
        BeatIterator {
            beats: this,
            next: 0,
        }
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(name) = key.cast::<PyString>() {
            return self.array(py, name.to_str()?);
        }
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(self.__len__() as isize)?;
            if range.step != 1 {
                return Err(PyTypeError::new_err("beats are sliced with step 1 alone"));
            }
            let rows = self.rows.slice(range.start as usize, range.slicelength);
            return Ok(Bound::new(py, Self { rows })?.into_any());
        }
        let index: isize = key.extract().map_err(|_| {
            PyTypeError::new_err("expected an index, a slice or the name of a column")
        })?;
        let len = self.__len__() as isize;
        let place = if index < 0 { index + len } else { index };
        let beat = (0..len).contains(&place).then(|| self.beat(place as usize));
        match beat.flatten() {
            Some(beat) => Ok(Bound::new(py, beat)?.into_any()),
            None => Err(PyIndexError::new_err(format!("beat {index} of {len}"))),
        }
    }

    /// The names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        let fields = self.rows.schema_ref().fields();
        fields.iter().map(|field| field.name().clone()).collect()
    }

    /// The columns as an Arrow stream, by the Arrow PyCapsule interface; `requested_schema` is not looked at.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let rows = [Ok(self.rows.clone())];
        let stream = RecordBatchIterator::new(rows, self.rows.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(stream));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// The columns as a pandas DataFrame; ``fibrillation`` is of type ``boolean``, which has a missing value.
    ///
    /// Raises:
    ///     ImportError: pandas is not installed.
    fn to_pandas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let columns = PyDict::new(py);
        for name in self.columns() {
            columns.set_item(&name, self.array(py, &name)?)?;
        }
        let frame = py.import("pandas")?.call_method1("DataFrame", (columns,))?;
        frame.call_method1("astype", ([("fibrillation", "boolean")].into_py_dict(py)?,))
    }

    /// A table of the first and the last beats, for a notebook.
    fn _repr_html_(&self) -> String {
        let len = self.__len__();
        let cell = |text: String| format!("<td>{text}</td>");
        let mut rows = String::new();
        for i in (0..len).filter(|i| len <= 2 * SHOWN || *i < SHOWN || *i >= len - SHOWN) {
            let Some(beat) = self.beat(i) else {
                continue;
            };
            let best = beat
                .probabilities
                .map(|all| all.into_iter().fold(0.0, f32::max));
            let share = |share: Option<f32>| share.map_or_else(String::new, |x| format!("{x:.2}"));
            rows += "<tr>";
            rows += &cell(i.to_string());
            rows += &cell(format!("{:.3}", beat.time_s));
            rows += &cell(beat.label);
            rows += &cell(share(best));
            rows += &cell(
                beat.rr_ms
                    .map_or_else(String::new, |rr_ms| format!("{rr_ms:.0}")),
            );
            rows += &cell(share(beat.quality));
            rows += "</tr>";
            if len > 2 * SHOWN && i + 1 == SHOWN {
                rows += "<tr><td colspan=\"6\">...</td></tr>";
            }
        }
        let names = ["", "time (s)", "class", "probability", "RR (ms)", "quality"];
        let names: String = names
            .iter()
            .map(|name| format!("<th>{name}</th>"))
            .collect();
        // Counts of classes have no character that HTML takes for its own.
        let caption = self.in_words();
        format!("<table><caption>{caption}</caption><tr>{names}</tr>{rows}</table>")
    }

    fn __repr__(&self) -> String {
        format!("<{}>", self.in_words())
    }

    fn __reduce__(&self) -> PyResult<()> {
        let instead = "send its columns, pyarrow.table(beats) or beats.to_pandas()";
        Err(errors::no_pickle("Beats", instead))
    }
}

impl Beats {
    /// How many beats there are, and of which classes.
    fn in_words(&self) -> String {
        let classes = self
            .column("class")
            .and_then(|column| column.as_string_opt::<i32>());
        let count = |label: &str| {
            let classes = classes.into_iter().flatten();
            classes.filter(|class| *class == Some(label)).count()
        };
        let counts = LABELS
            .iter()
            .copied()
            .chain(["Q"])
            .map(|label| (label, count(label)));
        let counts: Vec<String> = counts
            .filter(|(_, count)| *count > 0)
            .map(|(label, count)| format!("{label} {count}"))
            .collect();
        format!("{} beats: {}", self.__len__(), counts.join(", "))
    }

    /// A column as a NumPy array: NaN where a number is null, text as text, and text and booleans that may be null as objects.
    fn array<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let Some(column) = self.column(name) else {
            let columns = self.columns().join(", ");
            let message = format!("no column {name:?}; there are {columns}");
            return Err(PyKeyError::new_err(message));
        };
        if let Some(column) = column.as_primitive_opt::<Int64Type>() {
            return Ok(PyArray1::from_slice(py, column.values()).into_any());
        }
        if let Some(column) = column.as_primitive_opt::<Float32Type>() {
            let values = column.iter().map(|value| value.unwrap_or(f32::NAN));
            return Ok(PyArray1::from_iter(py, values).into_any());
        }
        if let Some(column) = column.as_primitive_opt::<Float64Type>() {
            let values = column.iter().map(|value| value.unwrap_or(f64::NAN));
            return Ok(PyArray1::from_iter(py, values).into_any());
        }
        let numpy = py.import("numpy")?;
        if let Some(texts) = column.as_string_opt::<i32>() {
            let texts: Vec<Option<&str>> = texts.iter().collect();
            let field = self.rows.schema_ref().field_with_name(name);
            let kind = match field.is_ok_and(|field| field.is_nullable()) {
                true => "object",
                false => "str",
            };
            return numpy.call_method1("array", (texts, kind));
        }
        let values: Vec<Option<bool>> = column.as_boolean().iter().collect();
        numpy.call_method1("array", (values, "object"))
    }
}
