//! Beats as Parquet, for whoever has a thousand records.
//!
//! One row a beat, records in order, in Snappy-compressed row groups of about [`GROUP_ROWS`] rows:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `record` | string | the record's name, below the folder that was given |
//! | `sample` | int64 | the R peak, in samples at the record's own rate |
//! | `time_s` | double | the same in seconds from the record's start |
//! | `class` | string | N, S, V, F or Q (AAMI EC57) |
//! | `rr_ms` | double, may be null | the RR interval since the beat before, in milliseconds |
//! | `quality` | float | how worth reading the signal is, 0 to 1 |
//! | `score_N` ... `score_F` | float | the network's probability of each class |
//!
//! The file's key-value metadata name program, version, model, runtime and notice.

use super::{Classified, Run};
use anyhow::Context;
use heartlens_core::spec::LABELS;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Write;
use std::sync::Arc;

/// Rows that are gathered before they are written as a group.
const GROUP_ROWS: usize = 1 << 17;

/// A Parquet file in the making.
pub(super) struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    rows: Columns,
}

/// The columns of the rows that are not written yet.
#[derive(Default)]
struct Columns {
    record: Vec<ByteArray>,
    sample: Vec<i64>,
    time_s: Vec<f64>,
    class: Vec<ByteArray>,
    /// Of the rows that have one.
    rr_ms: Vec<f64>,
    /// 1 where the row has an RR interval, otherwise 0.
    has_rr: Vec<i16>,
    quality: Vec<f32>,
    scores: [Vec<f32>; LABELS.len()],
    /// Of the rows where it is known.
    fibrillation: Vec<bool>,
    /// 1 where it is known, otherwise 0.
    has_rhythm: Vec<i16>,
}

impl<W: Write + Send> Table<W> {
    /// Begins a file.
    pub(super) fn new(out: W, run: &Run) -> anyhow::Result<Self> {
        let scores = LABELS.map(|label| format!("required float score_{label};"));
        let schema = format!(
            "message beats {{ required binary record (STRING); required int64 sample; required double time_s; \
             required binary class (STRING); optional double rr_ms; required float quality; {} \
             optional boolean fibrillation; }}",
            scores.concat()
        );
        let schema = parse_message_type(&schema).context("Parquet schema")?;
        let notes = [
            ("heartlens", env!("CARGO_PKG_VERSION")),
            ("model", &run.model),
            ("runtime", run.runtime),
            ("notice", "research software, not a medical device"),
        ]
        .map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("heartlens {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(notes.into()))
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        Ok(Self {
            writer,
            rows: Columns::default(),
        })
    }

    /// Adds one record's beats.
    pub(super) fn add(&mut self, classified: &Classified) -> anyhow::Result<()> {
        let name = ByteArray::from(classified.name.as_str());
        let rows = &mut self.rows;
        for beat in &classified.beats {
            rows.record.push(name.clone());
            rows.sample.push(i64::try_from(beat.sample)?);
            rows.time_s.push(beat.time_s);
            rows.class.push(beat.class.name().into());
            rows.rr_ms.extend(beat.rr_ms);
            rows.has_rr.push(i16::from(beat.rr_ms.is_some()));
            rows.quality.push(beat.quality);
            for (column, score) in rows.scores.iter_mut().zip(beat.scores) {
                column.push(score);
            }
            rows.fibrillation.extend(beat.fibrillation);
            rows.has_rhythm.push(i16::from(beat.fibrillation.is_some()));
        }
        if rows.sample.len() >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file and gives back what it was written to.
    pub(super) fn finish(mut self) -> anyhow::Result<W> {
        self.flush()?;
        self.writer.into_inner().context("Parquet")
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.sample.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut place = 0;
        while let Some(mut column) = group.next_column()? {
            match (column.untyped(), place) {
                (ColumnWriter::ByteArrayColumnWriter(column), 0) => {
                    column.write_batch(&rows.record, None, None)?
                }
                (ColumnWriter::Int64ColumnWriter(column), 1) => {
                    column.write_batch(&rows.sample, None, None)?
                }
                (ColumnWriter::DoubleColumnWriter(column), 2) => {
                    column.write_batch(&rows.time_s, None, None)?
                }
                (ColumnWriter::ByteArrayColumnWriter(column), 3) => {
                    column.write_batch(&rows.class, None, None)?
                }
                (ColumnWriter::DoubleColumnWriter(column), 4) => {
                    column.write_batch(&rows.rr_ms, Some(&rows.has_rr), None)?
                }
                (ColumnWriter::FloatColumnWriter(column), 5) => {
                    column.write_batch(&rows.quality, None, None)?
                }
                (ColumnWriter::FloatColumnWriter(column), place) if place - 6 < LABELS.len() => {
                    column.write_batch(&rows.scores[place - 6], None, None)?
                }
                (ColumnWriter::BoolColumnWriter(column), _) => {
                    column.write_batch(&rows.fibrillation, Some(&rows.has_rhythm), None)?
                }
                _ => return Err(ParquetError::General(format!("column {place} is unknown"))),
            };
            column.close()?;
            place += 1;
        }
        group.close()?;
        Ok(())
    }
}
