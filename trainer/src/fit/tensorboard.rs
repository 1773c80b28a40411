//! Scalars for TensorBoard, as an event file.
//!
//! The file is a sequence of records: length u64, its checksum u32, bytes, their checksum u32, all little-endian
//! (`tensorflow/core/lib/io/record_writer.h`); the bytes are a protobuf `Event` (`tensorflow/core/util/event.proto`) and the
//! checksum is CRC-32C, rotated and shifted (`tensorflow/core/lib/hash/crc32c.h`, `Mask`).

use crc::{CRC_32_ISCSI, Crc, Table};
use prost::Message;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const CASTAGNOLI: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);
/// What the first event of a file says.
const FILE_VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    file: BufWriter<File>,
}

impl EventFile {
    /// A new file in `folder`, which is made if need be. TensorBoard joins the files of a folder by step.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let time = now_s();
        let name = format!(
            "events.out.tfevents.{time:.6}.{}.heartlens",
            std::process::id()
        );
        let mut file = Self {
            file: BufWriter::new(File::create(folder.join(name))?),
        };
        file.write(&Event {
            wall_time: time,
            step: 0,
            file_version: Some(FILE_VERSION.to_owned()),
            summary: None,
        })?;
        Ok(file)
    }

    /// Adds the values of `step`, each under its tag.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn scalars(&mut self, step: u32, values: &[(&str, f64)]) -> io::Result<()> {
        let scalar = |&(tag, value): &(&str, f64)| Scalar {
            tag: tag.to_owned(),
            simple_value: Some(value as f32),
        };
        self.write(&Event {
            wall_time: now_s(),
            step: i64::from(step),
            file_version: None,
            summary: Some(Summary {
                value: values.iter().map(scalar).collect(),
            }),
        })
    }

    /// Hands to the system what has been added.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        self.file.write_all(&record(&event.encode_to_vec()))
    }
}

/// Seconds since 1970.
fn now_s() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// `data` with its length and checksums.
fn record(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    let mut record = len.to_vec();
    record.extend(masked_crc(&len).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(bytes: &[u8]) -> u32 {
    const DELTA: u32 = 0xa282_ead8;
    CASTAGNOLI
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(DELTA)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Two events as `tensorboard` 2.21.0 writes them: `RecordWriter(buffer).write(event.SerializeToString())` for
    /// `Event(wall_time=1.5, file_version="brain.Event:2")` and `Event(wall_time=2.25, step=7, summary=Summary(value=[
    /// Summary.Value(tag="train/loss", simple_value=0.75)]))`.
    const REFERENCE: &str = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c\
         200000000000000029eda95009000000000000024010072a130a110a0a747261696e2f6c6f7373150000403f12618d83";

    #[test]
    fn bytes_are_tensorboard_s() {
        let version = Event {
            wall_time: 1.5,
            step: 0,
            file_version: Some(FILE_VERSION.to_owned()),
            summary: None,
        };
        let loss = Event {
            wall_time: 2.25,
            step: 7,
            file_version: None,
            summary: Some(Summary {
                value: vec![Scalar {
                    tag: "train/loss".to_owned(),
                    simple_value: Some(0.75),
                }],
            }),
        };
        let found: Vec<u8> = [version, loss]
            .iter()
            .flat_map(|event| record(&event.encode_to_vec()))
            .collect();
        let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, REFERENCE);
    }

    #[test]
    fn a_file_holds_what_was_added() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(&folder.path().join("deep")).unwrap();
        file.scalars(3, &[("a", 0.0), ("b", -2.5)]).unwrap();
        file.flush().unwrap();
        let path = folder
            .path()
            .join("deep")
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        assert!(path.to_str().unwrap().contains("events.out.tfevents."));
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        let mut events = Vec::new();
        while let Some(len) = rest.first_chunk() {
            let len = u64::from_le_bytes(*len) as usize;
            assert_eq!(rest[..len + 16], record(&rest[12..12 + len]));
            events.push(Event::decode(&rest[12..12 + len]).unwrap());
            rest = &rest[len + 16..];
        }
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].step, 3);
        let values = &events[1].summary.as_ref().unwrap().value;
        assert_eq!(values[0].simple_value, Some(0.0));
        assert_eq!(
            (values[1].tag.as_str(), values[1].simple_value),
            ("b", Some(-2.5))
        );
    }
}
