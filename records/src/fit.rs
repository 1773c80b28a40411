//! RR intervals of an activity file of Garmin and of others that write its format, FIT.
//!
//! Source: the FIT protocol (Garmin, FIT SDK 21) and its profile. A file is a header with `.FIT` in it, messages, and a CRC-16
//! over both; several files may follow one another. A message of kind 78, `hrv`, holds up to five intervals of 1/1000 s, 65535
//! where there is none; `user_profile` holds sex and age. All other messages are passed over.
//!
//! Not supported: a pause of the recording does not show, because `hrv` messages have no time; heart rates (`record`) say
//! nothing of the rhythm and are not read.

use super::beats::BeatFault;
use super::samples::read_whole;
use super::table::beats::{self as text, Read};
use super::{Patient, RecordError, Sex, Warning};
use std::path::Path;

/// Kinds of message, and fields of them.
const USER_PROFILE: u16 = 3;
const HRV: u16 = 78;
const GENDER: u8 = 1;
const AGE: u8 = 2;
const TIME: u8 = 0;

/// Where the letters `.FIT` are in a header.
const MAGIC: std::ops::Range<usize> = 8..12;
const CRC_BYTES: usize = 2;
/// In place of an interval.
const NO_INTERVAL: u16 = u16::MAX;
/// In place of a byte.
const NO_BYTE: u8 = u8::MAX;

/// Whether these are the first bytes of a FIT file.
pub(super) fn is_fit(head: &[u8]) -> bool {
    head.get(MAGIC) == Some(b".FIT") && matches!(head[0], 12..=32)
}

/// A field of a message: its number and its bytes.
#[derive(Debug, Clone, Copy)]
struct Field {
    number: u8,
    size: usize,
}

/// What messages of a local type look like.
#[derive(Debug, Clone, Default)]
struct Definition {
    kind: u16,
    is_big_endian: bool,
    fields: Vec<Field>,
    /// Bytes of fields that an app has made up, which follow the others.
    developer: usize,
}

/// What was read of a file.
#[derive(Debug, Default)]
struct Found {
    intervals_s: Vec<f64>,
    patient: Patient,
    messages: u64,
    warnings: Vec<Warning>,
}

/// A file's messages, from its first byte on.
struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    /// The next bytes; `None` where there are fewer.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|part| part[0])
    }

    fn definition(&mut self, has_developer: bool) -> Option<Definition> {
        let [_, order, low, high, count] = *self.take(5)? else {
            return None;
        };
        let is_big_endian = order == 1;
        let kind = number(is_big_endian, [low, high]);
        let fields = self.take(3 * usize::from(count))?.chunks_exact(3);
        let fields = fields.map(|field| Field {
            number: field[0],
            size: field[1].into(),
        });
        let fields = fields.collect();
        let developer = match has_developer {
            true => {
                let count = self.byte()?;
                let fields = self.take(3 * usize::from(count))?.chunks_exact(3);
                fields.map(|field| usize::from(field[1])).sum()
            }
            false => 0,
        };
        Some(Definition {
            kind,
            is_big_endian,
            fields,
            developer,
        })
    }
}

fn number(is_big_endian: bool, bytes: [u8; 2]) -> u16 {
    match is_big_endian {
        true => u16::from_be_bytes(bytes),
        false => u16::from_le_bytes(bytes),
    }
}

/// Reads the intervals of a file that [is FIT](is_fit).
pub(super) fn read(path: &Path) -> Result<Read, RecordError> {
    let bytes = read_whole(path)?;
    let mut found = Found::default();
    let mut at = 0;
    while bytes.get(at..).is_some_and(is_fit) {
        match file(path, &bytes, at, &mut found)? {
            Some(end) => at = end,
            None => break,
        }
    }
    if found.intervals_s.is_empty() {
        let cause = BeatFault::NoIntervals {
            messages: found.messages,
        };
        return Err(text::fault(path, 0, cause));
    }
    Ok(Read {
        beats: text::of_intervals(path, &found.intervals_s)?,
        patient: found.patient,
        warnings: found.warnings,
    })
}

/// Reads the file that begins at byte `at`, and says where it ends; `None` where it breaks off.
fn file(
    path: &Path,
    bytes: &[u8],
    at: usize,
    found: &mut Found,
) -> Result<Option<usize>, RecordError> {
    let header = &bytes[at..];
    let begin = at + usize::from(header[0]);
    let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    // A recorder that lost power leaves 0 here.
    let (end, is_whole) = match begin.saturating_add(size) {
        end if size > 0 && end + CRC_BYTES <= bytes.len() => (end, true),
        end => {
            found.warnings.push(Warning::Short {
                what: "bytes",
                promised: (end + CRC_BYTES) as u64,
                found: bytes.len() as u64,
            });
            let end = if size > 0 { end } else { bytes.len() };
            (end.min(bytes.len()), false)
        }
    };
    if is_whole {
        let sum = crc::Crc::<u16>::new(&crc::CRC_16_ARC).checksum(&bytes[at..end]);
        let stated = u16::from_le_bytes([bytes[end], bytes[end + 1]]);
        if sum != stated {
            found
                .warnings
                .push(Warning::FileChecksum { found: sum, stated });
        }
    }
    let mut messages = Messages {
        bytes: &bytes[..end],
        at: begin,
    };
    let mut definitions: [Option<Definition>; 16] = Default::default();
    while messages.at < end {
        let place = messages.at;
        match message(&mut messages, &mut definitions, found) {
            Some(Ok(())) => found.messages += 1,
            // Cut short.
            None if !is_whole => return Ok(None),
            // What is left of a damaged file means nothing.
            None | Some(Err(_)) if !found.intervals_s.is_empty() => {
                found.warnings.push(Warning::PartNotRead {
                    what: "bytes that are no messages, from where on all was left out",
                });
                break;
            }
            None => {
                let cause = BeatFault::Message {
                    byte: place,
                    found: "a message that goes beyond the file's end".to_owned(),
                };
                return Err(text::fault(path, 0, cause));
            }
            Some(Err(local)) => {
                let cause = BeatFault::Message {
                    byte: place,
                    found: format!("a message of the local type {local}, which nothing defines"),
                };
                return Err(text::fault(path, 0, cause));
            }
        }
    }
    Ok(is_whole.then_some(end + CRC_BYTES))
}

/// Takes one message: `None` where it is not complete, an error of its local type where that is not defined.
fn message(
    messages: &mut Messages<'_>,
    definitions: &mut [Option<Definition>; 16],
    found: &mut Found,
) -> Option<Result<(), u8>> {
    const COMPRESSED: u8 = 0x80;
    const DEFINITION: u8 = 0x40;
    const DEVELOPER: u8 = 0x20;
    let head = messages.byte()?;
    let local = match head & COMPRESSED {
        0 => head & 0x0f,
        _ => head >> 5 & 0x03,
    };
    if head & (COMPRESSED | DEFINITION) == DEFINITION {
        definitions[usize::from(local)] = Some(messages.definition(head & DEVELOPER != 0)?);
        return Some(Ok(()));
    }
    let Some(definition) = &definitions[usize::from(local)] else {
        return Some(Err(local));
    };
    for field in &definition.fields {
        let bytes = messages.take(field.size)?;
        match (definition.kind, field.number, bytes) {
            (HRV, TIME, bytes) => {
                let (pairs, _) = bytes.as_chunks::<2>();
                let values = pairs.iter().map(|p| number(definition.is_big_endian, *p));
                let intervals = values.filter(|value| *value != NO_INTERVAL);
                let seconds = intervals.map(|value| f64::from(value) / 1000.0);
                found.intervals_s.extend(seconds);
            }
            (USER_PROFILE, GENDER, [0]) => found.patient.sex = Some(Sex::Female),
            (USER_PROFILE, GENDER, [1]) => found.patient.sex = Some(Sex::Male),
            (USER_PROFILE, AGE, [age]) if !matches!(*age, 0 | NO_BYTE) => {
                found.patient.age_years = Some(f32::from(*age));
            }
            _ => {}
        }
    }
    messages.take(definition.developer)?;
    Some(Ok(()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::{BeatList, BeatOptions, Record, Sex, Warning};
    use std::path::Path;

    /// Reference values, the file in hexadecimal among them; see `reference/make_fit.py`.
    fn reference() -> (Vec<u8>, Vec<f64>) {
        let json = include_str!("reference/fit.json");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let text = json["file"].as_str().unwrap();
        let bytes = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect();
        let intervals = json["intervals_s"].as_array().unwrap();
        let intervals = intervals.iter().map(|value| value.as_f64().unwrap());
        (bytes, intervals.collect())
    }

    fn list(folder: &Path, bytes: &[u8]) -> Result<BeatList, String> {
        let path = folder.join("run.bin");
        std::fs::write(&path, bytes).unwrap();
        let list = BeatList::open(path, &BeatOptions::new("atr"));
        list.map(Option::unwrap).map_err(|e| e.to_string())
    }

    fn intervals(list: &BeatList) -> Vec<f64> {
        let intervals = list.beats.iter().filter_map(|beat| beat.rr_ms);
        intervals.map(|ms| ms.round() / 1000.0).collect()
    }

    #[test]
    fn intervals_are_those_of_other_readers() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, expected) = reference();
        assert!(expected.len() > 20);
        let found = list(folder.path(), &bytes).unwrap();
        assert_eq!(intervals(&found), expected);
        assert_eq!((found.beats[0].time_s, found.labelled), (0.0, false));
        assert_eq!(found.patient.sex, Some(Sex::Female));
        assert_eq!(found.patient.age_years, Some(42.0));
        assert_eq!(found.warnings, [Warning::BeatsOnly { labelled: false }]);
        // Two files behind one another are one recording.
        let twice = list(folder.path(), &[&bytes[..], &bytes].concat()).unwrap();
        assert_eq!(intervals(&twice), [&expected[..], &expected].concat());
    }

    #[test]
    fn a_file_that_is_cut_short_or_damaged_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, expected) = reference();
        let mut lengths = Vec::new();
        for cut in (40..bytes.len()).step_by(7) {
            let Ok(found) = list(folder.path(), &bytes[..cut]) else {
                continue;
            };
            let there = intervals(&found);
            assert!(expected.starts_with(&there), "{cut}");
            let is_short = |w: &Warning| matches!(w, Warning::Short { .. });
            assert!(found.warnings.iter().any(is_short), "{cut}");
            lengths.push(there.len());
        }
        assert!(lengths.is_sorted() && lengths[0] < 8 && lengths[lengths.len() - 1] > 20);
        // The size is 0 until the recorder has closed the file.
        let mut open = bytes.clone();
        open[4..8].fill(0);
        open.truncate(open.len() - 2);
        assert_eq!(intervals(&list(folder.path(), &open).unwrap()), expected);

        let mut wrong = bytes.clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        let found = list(folder.path(), &wrong).unwrap();
        assert_eq!(intervals(&found), expected);
        let is_checksum = |w: &Warning| matches!(w, Warning::FileChecksum { .. });
        assert!(
            found.warnings.iter().any(is_checksum),
            "{:?}",
            found.warnings
        );
    }

    #[test]
    fn what_holds_no_intervals_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, _) = reference();
        // Before the first hrv message.
        let message = list(folder.path(), &bytes[..60]).unwrap_err();
        assert!(
            message.contains("run.bin: found") && message.contains("no `hrv` message"),
            "{message}"
        );
        // A data message of a type that nothing defines.
        let mut odd = b"\x0c\x10\0\0\x01\0\0\0.FIT\x05".to_vec();
        odd.extend(
            crc::Crc::<u16>::new(&crc::CRC_16_ARC)
                .checksum(&odd)
                .to_le_bytes(),
        );
        let message = list(folder.path(), &odd).unwrap_err();
        assert!(
            message.contains("byte 12: found a message of the local type 5"),
            "{message}"
        );
        let path = folder.path().join("run.bin");
        let message = Record::open(path).unwrap_err().to_string();
        assert!(message.contains("a FIT file"), "{message}");
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, _) = reference();
        let mut state = 1_u32;
        for _ in 0..400 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut damaged = bytes.clone();
            let at = state as usize >> 8;
            damaged[at % bytes.len()] = (state >> 4) as u8;
            let path = folder.path().join("d.fit");
            std::fs::write(&path, damaged).unwrap();
            let _ = BeatList::open(path, &BeatOptions::new("atr"));
        }
    }
}
