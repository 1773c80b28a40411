//! What an EDF+ file's annotation signals say: when data records begin, and what happened in the recording.
//!
//! A signal's bytes in a data record are time-stamped lists, each closed by a zero: `+180.5 \x15 20.1 \x14 text \x14 \x00`:
//! the onset in s after the file's start, sometimes a duration, and texts, none of them in the list that says when the
//! data record itself begins.

use super::header::{EdfFault, Header, Kind};
use super::{Edf, Run, io_error};
use crate::annotation::{Annotation, Annotations, Code};
use crate::disk::{self, File};
use crate::{RecordError, shown};
use std::io::{Read, Seek, SeekFrom};

/// Ends an onset, a duration and each text.
const END: u8 = 0x14;
/// Ends an onset that a duration follows.
const DURATION: u8 = 0x15;

/// Bytes that are read to learn when a data record begins.
const ONSET_BYTES: usize = 64;

/// The latest onset that is believed, in s: a hundred years.
const MAX_ONSET_S: f64 = 3.2e9;

/// When the first data record begins, in s after the file's start, and the stretches without a gap.
pub(super) fn runs(
    file: &mut File,
    header: &Header,
    data_records: u64,
    fastest_hz: f64,
) -> std::io::Result<Result<(f64, Vec<Run>), EdfFault>> {
    let whole = Run {
        first: 0,
        start_s: 0.0,
        count: data_records,
    };
    let Some((offset, size)) = signals(header).next() else {
        return Ok(match header.kind {
            Kind::Discontinuous => Err(EdfFault::NoClock),
            _ => Ok((0.0, vec![whole])),
        });
    };
    let mut bytes = vec![0; size.min(ONSET_BYTES as u64) as usize];
    let mut begins = |record: u64| -> std::io::Result<Result<f64, EdfFault>> {
        file.seek(SeekFrom::Start(
            header.bytes() + record * header.record_bytes() + offset,
        ))?;
        file.read_exact(&mut bytes)?;
        Ok(onset(record, &bytes).map(|(onset_s, _)| onset_s))
    };
    let first_s = match (begins(0)?, header.kind) {
        (first_s, Kind::Continuous) => return Ok(Ok((first_s.unwrap_or(0.0), vec![whole]))),
        (Ok(first_s), _) => first_s,
        (Err(fault), _) => return Ok(Err(fault)),
    };
    let mut runs = vec![Run { count: 1, ..whole }];
    for record in 1..data_records {
        let start_s = match begins(record)? {
            Ok(onset_s) => onset_s - first_s,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(run) = runs.last_mut() else {
            break;
        };
        let due_s = run.start_s + run.count as f64 * header.record_s;
        let late_samples = (start_s - due_s) * fastest_hz;
        if late_samples.abs() < 0.5 {
            run.count += 1;
        } else if late_samples > 0.0 {
            runs.push(Run {
                first: record,
                start_s,
                count: 1,
            });
        } else {
            return Ok(Err(EdfFault::Backwards {
                record,
                found: start_s + first_s,
                expected: due_s + first_s,
            }));
        }
    }
    Ok(Ok((first_s, runs)))
}

/// Bytes of a data record before each annotation signal, and the signal's own.
fn signals(header: &Header) -> impl Iterator<Item = (u64, u64)> {
    let mut offset = 0;
    let all = header.signals.iter().map(move |signal| {
        let at = offset;
        offset += signal.bytes();
        (signal.is_annotations() && signal.per_record > 0 && header.kind != Kind::Plain)
            .then_some((at, signal.bytes()))
    });
    all.flatten()
}

/// Everything that an EDF+ file annotates, counted at its clock's rate.
pub(super) fn read(edf: &Edf) -> Result<Annotations, RecordError> {
    let io = |cause| io_error(&edf.path, cause);
    let mut file = disk::open(&edf.path).map_err(io)?;
    let mut list = Vec::new();
    let mut bytes = Vec::new();
    for record in 0..edf.data_records {
        for (offset, size) in signals(&edf.header) {
            let start = edf.header.bytes() + record * edf.header.record_bytes() + offset;
            file.seek(SeekFrom::Start(start)).map_err(io)?;
            // The file is at least as large as its header says.
            bytes.resize(size as usize, 0);
            disk::fill(&mut file, &mut bytes).map_err(io)?;
            texts(record, &bytes, |onset_s, text| {
                let sample = ((onset_s - edf.onset_s) * edf.clock_hz).round().max(0.0) as u64;
                list.push(annotation(sample, text));
            })
            .map_err(|cause| RecordError::Edf {
                path: edf.path.clone(),
                cause,
            })?;
        }
    }
    list.sort_by_key(|annotation| annotation.sample);
    Ok(Annotations { list })
}

/// A text that is a beat's code is that beat, every other one a note, cut after 255 bytes.
fn annotation(sample: u64, text: &[u8]) -> Annotation {
    let code = std::str::from_utf8(text)
        .ok()
        .and_then(Code::from_mnemonic)
        .filter(|code| code.is_beat());
    match code {
        Some(code) => Annotation::new(sample, code),
        None => {
            let mut note = Annotation::new(sample, Code::NOTE);
            note.aux = text[..text.len().min(usize::from(u8::MAX))].to_vec();
            note
        }
    }
}

/// Gives each text of an annotation signal's bytes to `take`, with its onset in s.
fn texts(record: u64, bytes: &[u8], mut take: impl FnMut(f64, &[u8])) -> Result<(), EdfFault> {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|&byte| byte != 0) {
        let (onset_s, after) = onset(record, &rest[start..])?;
        let Some(end) = after.iter().position(|&byte| byte == 0) else {
            return Err(fault(record, after, "a zero byte after the last text"));
        };
        after[..end]
            .split(|&byte| byte == END)
            .filter(|text| !text.is_empty())
            .for_each(|text| take(onset_s, text));
        rest = &after[end..];
    }
    Ok(())
}

/// The onset that a list begins with, in s, and what follows it and its duration.
fn onset(record: u64, list: &[u8]) -> Result<(f64, &[u8]), EdfFault> {
    let not = || {
        fault(
            record,
            list,
            "an onset such as `+12.5`, followed by byte 20 or 21",
        )
    };
    let end = list
        .iter()
        .position(|byte| [END, DURATION].contains(byte))
        .ok_or_else(not)?;
    let digits = &list[..end];
    let signed = matches!(digits, [b'+' | b'-', b'0'..=b'9', ..]);
    let plain = digits
        .iter()
        .skip(1)
        .all(|b| b.is_ascii_digit() || *b == b'.');
    let onset_s = std::str::from_utf8(digits)
        .ok()
        .filter(|_| signed && plain)
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|onset_s| onset_s.abs() <= MAX_ONSET_S)
        .ok_or_else(not)?;
    let after = &list[end + 1..];
    if list[end] == END {
        return Ok((onset_s, after));
    }
    let end = after.iter().position(|&byte| byte == END).ok_or_else(not)?;
    Ok((onset_s, &after[end + 1..]))
}

fn fault(record: u64, found: &[u8], expected: &'static str) -> EdfFault {
    // Up to the list's end.
    let found = found.split(|&byte| byte == 0).next().unwrap_or_default();
    let text: String = found.iter().map(|&byte| char::from(byte)).collect();
    EdfFault::Annotation {
        record,
        found: shown(&text),
        expected,
    }
}
