//! Records of every format, as independent readers read them, and as nobody should write them.

#![allow(clippy::unwrap_used)]

mod bimodal;
mod edf;
mod faults;
#[cfg(feature = "flac")]
mod flac;
mod ishne;
#[cfg(feature = "xml")]
mod others;
mod table;
mod wfdb;
mod write;

use super::*;
use serde_json::Value;

/// `reference/make_records.py`: records, and what wfdb and pyEDFlib read of them.
fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/records.json")).unwrap()
}

fn folder_with<N: AsRef<Path>, C: AsRef<[u8]>>(
    files: impl IntoIterator<Item = (N, C)>,
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// A record of the folder of real files of other formats beside the data bases; `None`, said, where it is not there.
fn real(name: &str) -> Option<Record> {
    let data = std::env::var_os("HEARTLENS_DATA").unwrap_or_default();
    let path = Path::new(&data).join("../formats").join(name);
    if !path.is_file() {
        println!("skipped: no {name} in the folder `formats` beside HEARTLENS_DATA");
        return None;
    }
    Some(Record::open(path).unwrap())
}

/// The files of a case of reference data: names, and bytes from their hex.
fn files_of(case: &Value) -> Vec<(String, Vec<u8>)> {
    let files = case["files"].as_object().unwrap();
    let file = |(name, hex): (&String, &Value)| (name.clone(), unhexed(hex.as_str().unwrap()));
    files.iter().map(file).collect()
}

fn unhexed(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn open(folder: &tempfile::TempDir, name: &str) -> Result<Record, RecordError> {
    Record::open(folder.path().join(name))
}

fn refusal(result: Result<impl Sized, RecordError>) -> String {
    match result {
        Ok(_) => "nothing was refused".into(),
        Err(error) => {
            let message = error.to_string();
            assert_eq!(message.lines().count(), 1, "{message}");
            message
        }
    }
}

/// Expects the reader's values: missing where it has none, otherwise to f32's precision.
fn assert_agree(place: &str, found: &[f32], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len(), "{place}");
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        match expected {
            None => assert!(found.is_nan(), "{place} sample {k}: {found}, expected none"),
            Some(expected) => assert!(
                (f64::from(*found) - expected).abs() <= 2e-7 * expected.abs().max(0.1),
                "{place} sample {k}: {found}, expected {expected}"
            ),
        }
    }
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    let list = value.as_array().unwrap();
    list.iter().map(Value::as_f64).collect()
}

/// Any part of any lead, however it is cut, is that part of the whole.
fn assert_streams_agree(record: &Record) {
    for (index, lead) in record.leads().iter().enumerate() {
        if !lead.is_voltage {
            continue;
        }
        let whole = record.read_lead(index).unwrap();
        assert_eq!(whole.len(), lead.len_samples);
        let len = whole.len();
        let ends = [
            0,
            1,
            2,
            3,
            len / 3,
            len / 2,
            len.saturating_sub(1),
            len,
            len + 5,
        ];
        for (from, to) in ends
            .iter()
            .flat_map(|from| ends.iter().map(move |to| (*from, *to)))
        {
            let mut part = Vec::new();
            for block in record.stream_mv(index, from..to).unwrap() {
                part.extend(block.unwrap());
            }
            let expected = whole.get(from..to.min(len)).unwrap_or(&[]);
            let bits = |s: &[f32]| s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let place = format!("{} lead {index} {from}..{to}", record.name());
            assert_eq!(bits(&part), bits(expected), "{place}");
        }
    }
}
