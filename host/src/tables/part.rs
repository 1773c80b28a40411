//! Tables as Parquet: Snappy-compressed row groups of up to [`GROUP_ROWS`] rows, what [`Origin::metadata`] says as key-value
//! metadata.

use super::{Failure, Origin, Recording, Table};
use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::io::Write;

/// Rows of a row group at most.
const GROUP_ROWS: usize = 1 << 17;

/// A Parquet file in the making, of one table.
pub struct Writer<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn new(out: W, table: Table, origin: &Origin) -> Result<Self, ParquetError> {
        let notes = origin.metadata(table).into_iter();
        let notes = notes.map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("heartlens {}", origin.heartlens))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(notes.collect()))
            .build();
        // The types speak for themselves, and not every reader knows what Arrow would add.
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(out, table.schema(origin), options)?;
        Ok(Self(writer))
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When they are of another table, or cannot be written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.0.write(rows)
    }

    /// Ends the file and gives back what it was written to.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn finish(self) -> Result<W, ParquetError> {
        self.0.into_inner()
    }
}

/// Some records' rows of all three tables, in memory, as Parquet: what a [`DataSet`](super::DataSet) takes at once.
///
/// A beat takes some 30 bytes.
pub struct Part {
    origin: Origin,
    beats: Writer<Vec<u8>>,
    records: Writer<Vec<u8>>,
    errors: Writer<Vec<u8>>,
    names: Vec<String>,
    beat_rows: usize,
    error_rows: usize,
}

/// The Parquet files of a [`Part`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartFiles {
    /// The names of its records, those in `errors` among them.
    pub names: Vec<String>,
    /// Rows of `beats`.
    pub beat_rows: usize,
    /// Rows of `errors`.
    pub error_rows: usize,
    /// The table `beats`.
    pub beats: Vec<u8>,
    /// The table `records`.
    pub records: Vec<u8>,
    /// The table `errors`.
    pub errors: Vec<u8>,
}

impl Part {
    /// A part without rows.
    ///
    /// # Errors
    /// None that is known: Parquet's own checks.
    pub fn new(origin: Origin) -> Result<Self, ParquetError> {
        let begin = |table| Writer::new(Vec::new(), table, &origin);
        Ok(Self {
            beats: begin(Table::Beats)?,
            records: begin(Table::Records)?,
            errors: begin(Table::Errors)?,
            names: Vec::new(),
            beat_rows: 0,
            error_rows: 0,
            origin,
        })
    }

    /// Adds a record that was classified.
    ///
    /// # Errors
    /// None that is known: Arrow's and Parquet's own checks.
    pub fn add(&mut self, recording: &Recording<'_>) -> Result<(), ParquetError> {
        self.beats.write(&recording.beats(&self.origin)?)?;
        self.records.write(&recording.record(&self.origin)?)?;
        self.beat_rows += recording.analysis.beats.len();
        self.names.push(recording.name.to_owned());
        Ok(())
    }

    /// Adds a record that could not be classified.
    ///
    /// # Errors
    /// None that is known: Arrow's and Parquet's own checks.
    pub fn fail(&mut self, failure: &Failure<'_>) -> Result<(), ParquetError> {
        self.errors.write(&failure.row(&self.origin)?)?;
        self.error_rows += 1;
        self.names.push(failure.name.to_owned());
        Ok(())
    }

    /// Records so far, those in `errors` among them.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Beats so far.
    pub fn beat_rows(&self) -> usize {
        self.beat_rows
    }

    /// Its files.
    ///
    /// # Errors
    /// None that is known: Parquet's own checks.
    pub fn finish(self) -> Result<PartFiles, ParquetError> {
        Ok(PartFiles {
            names: self.names,
            beat_rows: self.beat_rows,
            error_rows: self.error_rows,
            beats: self.beats.finish()?,
            records: self.records.finish()?,
            errors: self.errors.finish()?,
        })
    }
}
