//! A table of numbers as text: times, and each lead in mV.

use super::{Loss, NewFile, Pieces, WriteError, voltages};
use crate::{Record, RecordError};
use std::fmt::Write;
use std::path::Path;

/// Rows that are written at a time.
const ROWS: usize = 4096;

/// Writes the leads of the record's rate: a line of names, then a line a sample with its time in s and every lead in mV, as many
/// digits as f32 has, empty where there is no valid sample.
///
/// # Errors
/// [`WriteError`], naming the file.
pub fn csv(record: &Record, path: &Path) -> Result<Vec<Loss>, WriteError> {
    let rate_hz = record.sample_rate_hz();
    let mut losses = Vec::new();
    let mut leads = voltages(record, &mut losses);
    leads.retain(|(_, lead)| {
        let goes = lead.sample_rate_hz == rate_hz;
        if !goes {
            losses.push(Loss::OtherRate {
                lead: lead.name.clone(),
                rate_hz: lead.sample_rate_hz,
                written_hz: rate_hz,
            });
        }
        goes
    });
    if leads.is_empty() {
        return Err(RecordError::NoSamples {
            path: record.path().to_owned(),
        }
        .into());
    }
    let no_place = [
        (
            record.patient() != crate::Patient::default(),
            "age and sex were",
        ),
        (record.start().is_some(), "the start time was"),
        (!record.comments().is_empty(), "comments were"),
        (
            leads.iter().any(|(_, lead)| lead.counts_per_mv.is_some()),
            "the converter's gain was",
        ),
    ];
    let lost = no_place.into_iter().filter(|(is_there, _)| *is_there);
    losses.extend(lost.map(|(_, what)| Loss::NoPlace { what }));

    let mut file = NewFile::begin(path)?;
    let names: Vec<String> = leads
        .iter()
        .map(|(_, lead)| quoted(&format!("{} (mV)", lead.name)))
        .collect();
    file.write(format!("time_s,{}\n", names.join(",")).as_bytes())?;
    let mut readers = Vec::new();
    for (index, _) in &leads {
        readers.push(Pieces::of(record, *index)?);
    }
    let len = leads
        .iter()
        .map(|(_, lead)| lead.len_samples)
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for start in (0..len).step_by(ROWS) {
        let rows = ROWS.min(len - start);
        let mut columns = Vec::new();
        for reader in &mut readers {
            columns.push(reader.next(rows)?);
        }
        text.clear();
        for row in 0..rows {
            // Writing into a String cannot fail.
            let _ = write!(text, "{}", time(start + row, rate_hz));
            for column in &columns {
                match column.get(row) {
                    Some(mv) if !mv.is_nan() => {
                        let _ = write!(text, ",{mv}");
                    }
                    _ => text.push(','),
                }
            }
            text.push('\n');
        }
        file.write(text.as_bytes())?;
    }
    file.finish()?;
    Ok(losses)
}

/// When a sample is, in s: nine decimals at most, without those that say nothing.
pub(super) fn time(sample: usize, rate_hz: f64) -> String {
    let text = format!("{:.9}", sample as f64 / rate_hz);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A cell that holds this text.
pub(super) fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
