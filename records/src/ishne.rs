//! ISHNE Holter files: a recording (`.ecg`) and its annotations (`.ann`).
//!
//! Sources: Badilini 1998, "The ISHNE Holter standard output file format" (Ann. Noninvasive Electrocardiol. 3:263);
//! THEW's `ishneAnn.pdf` for the annotations. Little-endian. Both kinds of file begin with the same header of 522 bytes and a
//! block of text; then come the leads' samples of 16 bits, interleaved, or the number of the first annotation's sample (4 bytes)
//! and four bytes an annotation: its label, a letter for internal use, and the samples since the one before.
//!
//! Not supported: ISHNE 2.0. Names and the identity of the patient are not read.

use super::annotation::{Annotation, Annotations, Code, Fault, Malformed};
use super::samples::{InFile, Integer, Place, Scale, malformed};
use super::start::{Start, age_at, date_of};
use super::{
    Contents, MAX_MISSING_SAMPLES, Patient, ReadOptions, Reader, RecordError, Sex, Source,
    VoltageUnit, Warning,
};
use crate::disk;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a recording and its annotations begin with.
const RECORDING: &[u8] = b"ISHNE1.0";
pub(super) const ANNOTATIONS: &[u8] = b"ANN  1.0";

/// Bytes of the header, and the first that its checksum counts.
const HEADER_BYTES: usize = 522;
const CHECKED_FROM: usize = 10;

/// Where the header's fields begin.
mod field {
    pub(super) const CHECKSUM: usize = 8;
    pub(super) const TEXT_BYTES: usize = 10;
    pub(super) const SAMPLES: usize = 14;
    pub(super) const DATA_AT: usize = 22;
    pub(super) const SEX: usize = 128;
    pub(super) const BIRTH: usize = 132;
    pub(super) const DAY: usize = 138;
    pub(super) const TIME: usize = 150;
    pub(super) const LEADS: usize = 156;
    pub(super) const NAMES: usize = 158;
    pub(super) const RESOLUTIONS: usize = 206;
    pub(super) const PACEMAKER: usize = 230;
    pub(super) const RECORDER: usize = 232;
    pub(super) const RATE: usize = 272;
}

/// Leads by their codes.
const LEADS: [&str; 20] = [
    "", "bipolar", "X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4",
    "V5", "V6", "ES", "AS", "AI",
];

/// The most leads that a header describes.
const MAX_LEADS: usize = 12;

pub(super) fn is_recording(head: &[u8]) -> bool {
    head.starts_with(RECORDING)
}

/// The header and the text after it.
struct Header(Vec<u8>);

impl Header {
    fn i16(&self, at: usize) -> i32 {
        i16::from_le_bytes([self.0[at], self.0[at + 1]]).into()
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// Three numbers in a row: hour, minute and second, or day, month and year.
    fn three(&self, at: usize) -> [i32; 3] {
        [0, 2, 4].map(|i| self.i16(at + i))
    }

    fn text(&self, at: usize, len: usize) -> String {
        let bytes = self.0[at..at + len].split(|&b| b == 0).next();
        let text: String = bytes
            .unwrap_or_default()
            .iter()
            .map(|&b| char::from(b))
            .collect();
        text.trim().to_owned()
    }
}

/// Opens a recording: reads the header.
pub(super) fn open(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let file = disk::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::new();
    let mut rest = file.take(HEADER_BYTES as u64);
    rest.read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() < HEADER_BYTES {
        let found = format!("the end of the file after {size} bytes");
        return Err(malformed(
            path,
            "header",
            found,
            format!("{HEADER_BYTES} bytes"),
        ));
    }
    let mut header = Header(bytes);
    let wrong = |at: usize, what: &str, found: i32, expected: &str| {
        malformed(
            path,
            format!("byte {at}, {what}"),
            found.to_string(),
            expected,
        )
    };
    let stated = header.i16(field::LEADS);
    let count = usize::try_from(stated).unwrap_or(0);
    if !(1..=MAX_LEADS).contains(&count) {
        return Err(wrong(field::LEADS, "number of leads", stated, "1 to 12"));
    }
    let rate = header.i16(field::RATE);
    if rate <= 0 {
        return Err(wrong(
            field::RATE,
            "sampling rate",
            rate,
            "a rate in Hz above 0",
        ));
    }
    let data_at = header.i32(field::DATA_AT);
    let at = u64::try_from(data_at).unwrap_or(0);
    if at < HEADER_BYTES as u64 {
        let expected = "the byte where the samples begin, 522 or later";
        return Err(wrong(
            field::DATA_AT,
            "offset of the ECG block",
            data_at,
            expected,
        ));
    }
    let stored = size.saturating_sub(at) / (2 * count as u64);
    if stored == 0 {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    let samples = header.i32(field::SAMPLES);
    let mut promised = u64::try_from(samples).unwrap_or(0);
    // Some programs count the samples of all leads together.
    if promised == 0 || promised == stored * count as u64 {
        promised = stored;
    }
    if promised.saturating_sub(stored) > MAX_MISSING_SAMPLES.max(stored) {
        let expected = format!("about the {stored} samples of each lead that are there");
        return Err(wrong(
            field::SAMPLES,
            "number of samples",
            samples,
            &expected,
        ));
    }
    let len = promised.min(stored);
    let mut warnings = Vec::new();
    if stored < promised {
        warnings.push(Warning::Short {
            what: "samples of each lead",
            promised,
            found: stored,
        });
    }
    let after = size - at - 2 * len * count as u64;
    if after > 0 && stored >= promised {
        warnings.push(Warning::Trailing { bytes: after });
    }
    // The checksum is of the text as well.
    let text = (at - HEADER_BYTES as u64).min(u64::from(u16::MAX));
    let file = rest.into_inner();
    file.take(text).read_to_end(&mut header.0).map_err(io)?;
    let stated = header.u16(field::CHECKSUM);
    let found = checksum(&header.0[CHECKED_FROM..]);
    // Not every program computes it.
    if stated != 0 && stated != found {
        warnings.push(Warning::HeaderChecksum { found, stated });
    }

    let (mut leads, mut places) = (Vec::new(), Vec::new());
    for index in 0..count {
        let code = header.i16(field::NAMES + 2 * index);
        let named = usize::try_from(code).ok().and_then(|code| LEADS.get(code));
        let name = match named {
            Some(name) if !name.is_empty() => (*name).to_owned(),
            _ => format!("lead {index}"),
        };
        // In nV a count.
        let resolution = header.i16(field::RESOLUTIONS + 2 * index);
        let has_scale = resolution > 0;
        let scale = Scale {
            scale: if has_scale { resolution.into() } else { 1.0 },
            offset: 0.0,
            unit: has_scale.then_some(VoltageUnit::Nanovolt),
        };
        if !has_scale {
            warnings.push(Warning::Dead { lead: name.clone() });
        }
        let lead = scale.lead(name, "nV".to_owned(), rate.into(), len as usize);
        leads.push(lead);
        places.push(Place {
            at: at + 2 * index as u64,
            step: 2 * count as u64,
            integer: Integer::I16,
            big_endian: false,
            len,
            invalid: None,
            scale,
        });
    }
    let birth = header.three(field::BIRTH);
    let [day, month, year] = header.three(field::DAY);
    Ok(Contents {
        annotation_rate_hz: rate.into(),
        leads,
        patient: Patient {
            age_years: age_at(
                date_of(birth[2], birth[1], birth[0]),
                date_of(year, month, day),
            ),
            sex: match header.i16(field::SEX) {
                1 => Some(Sex::Male),
                2 => Some(Sex::Female),
                _ => None,
            },
        },
        start: Start::of([year, month, day], header.three(field::TIME)),
        comments: comments(&header),
        source: Box::new(Ishne {
            samples: InFile {
                path: path.to_owned(),
                leads: places,
                warnings,
            },
            annotations: path.with_extension("ann"),
        }),
    })
}

fn comments(header: &Header) -> Vec<String> {
    let pacemaker = match header.i16(field::PACEMAKER) {
        1 => Some("type unknown"),
        2 => Some("single chamber, unipolar"),
        3 => Some("dual chamber, unipolar"),
        4 => Some("single chamber, bipolar"),
        5 => Some("dual chamber, bipolar"),
        _ => None,
    };
    let recorder = Some(header.text(field::RECORDER, 40)).filter(|text| !text.is_empty());
    let recorder = recorder.map(|text| format!("recorder: {text}"));
    let pacemaker = pacemaker.map(|kind| format!("pacemaker: {kind}"));
    recorder.into_iter().chain(pacemaker).collect()
}

/// CRC-16 with the polynomial of CCITT, from all ones.
fn checksum(bytes: &[u8]) -> u16 {
    crc::Crc::<u16>::new(&crc::CRC_16_IBM_3740).checksum(bytes)
}

/// A recording, and where its annotations would be.
#[derive(Debug)]
struct Ishne {
    samples: InFile,
    annotations: PathBuf,
}

impl Source for Ishne {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        self.samples.reader(lead, from)
    }

    fn warnings(&self) -> Vec<Warning> {
        self.samples.warnings()
    }

    fn annotations(&self) -> Option<Result<Annotations, RecordError>> {
        let path = &self.annotations;
        let bytes = disk::read(path).ok()?;
        bytes.starts_with(ANNOTATIONS).then(|| {
            annotations(&bytes).map_err(|Malformed { offset, fault }| {
                malformed(
                    path,
                    format!("byte {offset}"),
                    fault.to_string(),
                    "ISHNE annotations",
                )
            })
        })
    }
}

/// What the letters of an annotation file are.
fn code(label: u8) -> Option<Code> {
    Some(match label {
        b'N' => Code::NORMAL,
        b'V' => Code::VENTRICULAR_PREMATURE,
        b'S' => Code::SUPRAVENTRICULAR_PREMATURE,
        b'F' => Code::FUSION,
        b'B' => Code::BUNDLE_BRANCH_BLOCK,
        b'P' => Code::PACED,
        b'X' => Code::ARTEFACT,
        b'U' => Code::UNCLASSIFIABLE,
        _ => return None,
    })
}

/// The end of a stretch without annotations that is too long for one step.
const TIMEOUT: u8 = b'!';

/// Reads the content of an annotation file: beats, and notes where a label is none of a beat.
pub(super) fn annotations(bytes: &[u8]) -> Result<Annotations, Malformed> {
    let cut = |inside, missing| Malformed {
        offset: bytes.len(),
        fault: Fault::Truncated { inside, missing },
    };
    if bytes.len() < HEADER_BYTES {
        return Err(cut("the header", HEADER_BYTES - bytes.len()));
    }
    let header = Header(bytes[..HEADER_BYTES].to_vec());
    let text = usize::try_from(header.i32(field::TEXT_BYTES)).unwrap_or(0);
    let data = bytes
        .get(HEADER_BYTES.saturating_add(text)..)
        .unwrap_or_default();
    let Some((first, entries)) = data.split_first_chunk::<4>() else {
        return Err(cut("the first annotation's sample", 4 - data.len()));
    };
    let mut sample = u64::from(u32::from_le_bytes(*first));
    let mut list = Vec::new();
    for entry in entries.chunks_exact(4) {
        let (label, internal) = (entry[0], entry[1]);
        sample += u64::from(u16::from_le_bytes([entry[2], entry[3]]));
        match code(label) {
            Some(code) => list.push(Annotation::new(sample, code)),
            None if [TIMEOUT, 0].contains(&label) => {}
            None => {
                let mut note = Annotation::new(sample, Code::NOTE);
                note.aux = [label, internal].to_vec();
                list.push(note);
            }
        }
    }
    match entries.len() % 4 {
        0 => Ok(Annotations { list }),
        part => Err(cut("an annotation", 4 - part)),
    }
}
