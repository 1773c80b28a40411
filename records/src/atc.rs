//! AliveCor Kardia ATC files, versions 2 and 3.
//!
//! Source: AliveCor, "ATC File Format" (`.atc`). Little-endian. A signature, and blocks: an identifier, the bytes of the data, the data
//! and a checksum. `fmt ` has the rate and the resolution, `info` when and with what it was recorded, `ecg `, `ecg2`, ... the
//! samples of a lead each, 16 bits.
//!
//! Not supported: filtered signals and annotations (other blocks). Kardia's PDF is a picture, and its JSON is of the service.

use super::samples::{InFile, Integer, Place, Scale, malformed};
use super::start::{Start, date_of};
use super::{Contents, Patient, ReadOptions, RecordError, VoltageUnit, Warning};
use crate::disk;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const SIGNATURE: &[u8] = b"ALIVE\0\0\0";
/// Bytes of signature and version.
const FILE_HEADER: u64 = 12;
/// Bytes of a block's identifier and length, and of its checksum.
const BLOCK_HEADER: u64 = 8;
const BLOCK_CHECKSUM: u64 = 4;
/// The most blocks of a file that are looked at.
const MAX_BLOCKS: usize = 1024;
/// The most bytes of a block that is no signal.
const MAX_INFO_BYTES: u64 = 4096;

/// Leads by their blocks.
const LEADS: [(&[u8; 4], &str); 6] = [
    (b"ecg ", "I"),
    (b"ecg2", "II"),
    (b"ecg3", "III"),
    (b"ecg4", "aVR"),
    (b"ecg5", "aVL"),
    (b"ecg6", "aVF"),
];

pub(super) fn is_atc(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE)
}

/// A block of a file.
struct Block {
    id: [u8; 4],
    at: u64,
    len: u64,
}

pub(super) fn open(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let mut file = disk::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut warnings = Vec::new();
    let mut blocks = Vec::new();
    let mut at = FILE_HEADER;
    while at + BLOCK_HEADER <= size && blocks.len() < MAX_BLOCKS {
        file.seek(SeekFrom::Start(at)).map_err(io)?;
        let mut header = [0; BLOCK_HEADER as usize];
        file.read_exact(&mut header).map_err(io)?;
        let [a, b, c, d, length @ ..] = header;
        let promised = u64::from(u32::from_le_bytes(length));
        let begin = at + BLOCK_HEADER;
        let len = promised.min(size - begin);
        if len < promised {
            warnings.push(Warning::Short {
                what: "bytes of a block",
                promised,
                found: len,
            });
        }
        blocks.push(Block {
            id: [a, b, c, d],
            at: begin,
            len,
        });
        at = begin + promised + BLOCK_CHECKSUM;
    }
    let mut block = |id: &[u8; 4]| -> Result<Option<(u64, Vec<u8>)>, RecordError> {
        let Some(block) = blocks.iter().find(|block| block.id == *id) else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(block.at)).map_err(io)?;
        let mut bytes = Vec::new();
        let mut part = (&mut file).take(block.len.min(MAX_INFO_BYTES));
        part.read_to_end(&mut bytes).map_err(io)?;
        Ok(Some((block.at, bytes)))
    };
    let Some((format_at, format)) = block(b"fmt ")? else {
        return Err(malformed(
            path,
            "the file",
            "no block `fmt `",
            "one, with rate and resolution",
        ));
    };
    let [_, rate_low, rate_high, nv_low, nv_high, ..] = format[..] else {
        let found = format!("{} bytes of block `fmt `", format.len());
        return Err(malformed(
            path,
            format!("byte {format_at}"),
            found,
            "5 or more",
        ));
    };
    let rate_hz = u16::from_le_bytes([rate_low, rate_high]);
    let resolution_nv = u16::from_le_bytes([nv_low, nv_high]);
    if rate_hz == 0 || resolution_nv == 0 {
        let found = format!("rate {rate_hz} Hz, resolution {resolution_nv} nV");
        return Err(malformed(
            path,
            format!("byte {format_at}"),
            found,
            "both above 0",
        ));
    }
    let info = block(b"info")?.map(|(_, bytes)| bytes).unwrap_or_default();

    let scale = Scale {
        scale: resolution_nv.into(),
        offset: 0.0,
        unit: Some(VoltageUnit::Nanovolt),
    };
    let (mut leads, mut places) = (Vec::new(), Vec::new());
    for (id, name) in LEADS {
        let Some(block) = blocks.iter().find(|block| block.id == *id) else {
            continue;
        };
        let len = block.len / Integer::I16.bytes();
        if len == 0 {
            continue;
        }
        leads.push(scale.lead(
            name.to_owned(),
            "nV".to_owned(),
            rate_hz.into(),
            len as usize,
        ));
        places.push(Place {
            at: block.at,
            step: Integer::I16.bytes(),
            integer: Integer::I16,
            big_endian: false,
            len,
            invalid: None,
            scale,
        });
    }
    if leads.is_empty() {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    let text = |from: usize, len: usize| -> String {
        let field = info.get(from..from + len).unwrap_or_default();
        let text = field.split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).trim().to_owned()
    };
    let hardware = text(184, 32);
    Ok(Contents {
        annotation_rate_hz: rate_hz.into(),
        leads,
        patient: Patient::default(),
        start: start(&text(0, 32)),
        comments: match &*hardware {
            "" => Vec::new(),
            hardware => vec![format!("recorder: {hardware}")],
        },
        source: Box::new(InFile {
            path: path.to_owned(),
            leads: places,
            warnings,
        }),
    })
}

/// `2014-11-20T10:24:06.123-08:00`, by the clock of where it was recorded.
fn start(text: &str) -> Option<Start> {
    let (date, time) = text.split_once(['T', ' '])?;
    let numbers = |text: &str, mark: char| -> Option<[i32; 3]> {
        let parts: Vec<i32> = text
            .split(mark)
            .filter_map(|part| part.parse().ok())
            .collect();
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    date_of(year, month, day)?;
    let end = time.find(['+', '-', 'Z', '.']).unwrap_or(time.len());
    let start = Start::of([year, month, day], numbers(&time[..end], ':')?)?;
    let decimals = time[end..].strip_prefix('.').unwrap_or_default();
    Some(start.with_fraction(decimals))
}
