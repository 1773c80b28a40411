//! SCP-ECG: the standard communications protocol for computer-assisted electrocardiography.
//!
//! Source: EN 1064:2005, ISO 11073-91064:2009. Little-endian. A record is a checksum, its size, and sections, each with a header of
//! 16 bytes; section 0 says where the others are. Section 1 has patient and time, 2 the Huffman tables, 3 the leads, 6 the samples:
//! first or second differences, Huffman coded; and where a reference beat (section 5, placed by section 4) was taken out, it is
//! put back. Samples that were thinned out between QRS complexes (bimodal compression) are expanded: `thinned`.
//!
//! Not supported: names are not read.

mod thinned;

use super::kind::kind_of;
use super::samples::{InMemory, Kept, MAX_KEPT_SAMPLES, Scale, levelled, malformed, read_whole};
use super::start::{Start, age_at, date_of};
use super::{Contents, LeadKind, Patient, ReadOptions, RecordError, Sex, VoltageUnit, Warning};
use jiff::civil::Date;
use std::path::Path;
use thinned::Thinning;

/// Bytes of checksum and size before the first section, and of a section's header.
const RECORD_HEADER: usize = 6;
const SECTION_HEADER: usize = 16;
/// Bytes of a pointer of section 0.
const POINTER: usize = 10;
/// In place of a number of tables: the standard's own table.
const DEFAULT_TABLE: u16 = 19_999;
/// The most samples of a lead: hours, where the format has seconds.
const MAX_SAMPLES: usize = 1 << 24;
const MAX_LEADS: usize = 255;

/// Leads by their codes.
const LEADS: [&str; 76] = [
    "", "I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V2R", "V3R", "V4R", "V5R", "V6R",
    "V7R", "X", "Y", "Z", "CC5", "CM5", "LA", "RA", "LL", "fI", "fE", "fC", "fA", "fM", "fF", "fH",
    "dI", "dII", "dV1", "dV2", "dV3", "dV4", "dV5", "dV6", "dV7", "dV2R", "dV3R", "dV4R", "dV5R",
    "dV6R", "dV7R", "dX", "dY", "dZ", "dCC5", "dCM5", "dLA", "dRA", "dLL", "dfI", "dfE", "dfC",
    "dfA", "dfM", "dfF", "dfH", "III", "aVR", "aVL", "aVF", "-aVR", "V8", "V9", "V8R", "V9R", "D",
    "A", "J", "Defib", "ExtPace", "A1",
];

/// The lead of a code of this standard, which ISO/IEEE 11073 and DICOM have taken over.
pub(super) fn lead_of(code: usize) -> Option<&'static str> {
    LEADS.get(code).copied().filter(|name| !name.is_empty())
}

pub(super) fn is_scp(head: &[u8]) -> bool {
    // Section 0 begins with a header of its own, and most programs sign it.
    let is_first = head.get(8..10) == Some(&[0, 0]);
    let points_to_itself =
        head.get(22..24) == Some(&[0, 0]) && head.get(28..32) == Some(&[7, 0, 0, 0]);
    is_first && (head.get(16..22) == Some(b"SCPECG") || points_to_itself)
}

/// A section's bytes behind its header, and where they begin in the file.
#[derive(Clone, Copy)]
struct Section<'a> {
    number: u16,
    at: usize,
    bytes: &'a [u8],
}

impl<'a> Section<'a> {
    fn wrong(
        self,
        path: &Path,
        at: usize,
        found: impl Into<String>,
        expected: &str,
    ) -> RecordError {
        let place = format!("section {}, byte {}", self.number, self.at + at);
        malformed(path, place, found, expected)
    }

    /// So many bytes from `at` on.
    fn part(self, path: &Path, at: usize, len: usize) -> Result<&'a [u8], RecordError> {
        let end = at.checked_add(len);
        end.and_then(|end| self.bytes.get(at..end)).ok_or_else(|| {
            let found = format!("the section's end after {} bytes", self.bytes.len());
            self.wrong(path, at, found, &format!("{len} more at {at}"))
        })
    }

    fn u16(self, path: &Path, at: usize) -> Result<u16, RecordError> {
        let part = self.part(path, at, 2)?;
        Ok(u16::from_le_bytes([part[0], part[1]]))
    }

    fn u32(self, path: &Path, at: usize) -> Result<u32, RecordError> {
        let part = self.part(path, at, 4)?;
        Ok(u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
    }
}

pub(super) fn open(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    let bytes = read_whole(path)?;
    let mut warnings = Vec::new();
    let sections = sections(path, &bytes, &mut warnings)?;
    let find = |number: u16| {
        sections
            .iter()
            .copied()
            .find(|section| section.number == number)
    };
    let need = |number: u16, what: &str| {
        find(number).ok_or_else(|| {
            malformed(
                path,
                "section 0",
                format!("no section {number}"),
                format!("one, with {what}"),
            )
        })
    };
    let tables = match find(2) {
        Some(section) => Some(tables(path, section)?),
        None => None,
    };
    let (spans, has_reference) = spans(path, need(3, "the leads")?)?;
    let rhythm = need(6, "the leads' samples")?;
    let nv = rhythm.u16(path, 0)?;
    let step_us = rhythm.u16(path, 2)?;
    let (differences, is_bimodal) = (
        rhythm.part(path, 4, 2)?[0],
        rhythm.part(path, 4, 2)?[1] != 0,
    );
    if nv == 0 || step_us == 0 {
        let found = format!("{nv} nV a count, {step_us} us between samples");
        return Err(rhythm.wrong(path, 0, found, "both above 0"));
    }
    let thinning = match (is_bimodal, find(4), find(5)) {
        (false, ..) => None,
        (true, Some(zones), Some(beat)) if beat.bytes.len() >= 4 => {
            let steps_us = [step_us, beat.u16(path, 2)?];
            Thinning::of(path, rhythm, &places(path, zones)?, steps_us)?
        }
        (true, ..) => {
            let found = "no section 4 or no section 5";
            let expected =
                "both in bimodal compression, for the protected zones and the rate inside them";
            return Err(rhythm.wrong(path, 5, found, expected));
        }
    };
    // Inside the protected zones, where all samples are kept.
    let step_us = match (&thinning, find(5)) {
        (Some(_), Some(beat)) => beat.u16(path, 2)?,
        _ => step_us,
    };
    let reference = match (has_reference, find(4), find(5)) {
        (true, Some(zones), Some(beat)) if !beat.bytes.is_empty() => {
            let beats = decoded(path, beat, &spans, None, tables.as_deref())?;
            Some((places(path, zones)?, beats, beat.u16(path, 0)?))
        }
        (true, ..) => {
            let found = "no reference beat, which section 3 says was taken out";
            return Err(rhythm.wrong(path, 0, found, "sections 4 and 5"));
        }
        _ => None,
    };
    let kept = |span: &Span| match &thinning {
        Some(thinning) => thinning.kept(span),
        None => span.len(),
    };
    let most: Vec<usize> = spans.iter().map(kept).collect();
    let how = Some((differences, &*most));
    let counts = decoded(path, rhythm, &spans, how, tables.as_deref())?;

    let scale = Scale {
        scale: nv.into(),
        offset: 0.0,
        unit: Some(VoltageUnit::Nanovolt),
    };
    let rate_hz = 1e6 / f64::from(step_us);
    let first = spans.iter().map(|span| span.first).min().unwrap_or(1);
    let last = spans.iter().map(|span| span.last).max().unwrap_or(0);
    let len = (last - first) as usize + 1;
    if len * spans.len() > MAX_KEPT_SAMPLES {
        let found = format!("{} leads of {len} samples", spans.len());
        return Err(rhythm.wrong(path, 0, found, "an hour of twelve at most"));
    }
    let (mut leads, mut kept) = (Vec::new(), Vec::new());
    for (index, (span, mut samples)) in spans.iter().zip(counts).enumerate() {
        if let Some(thinning) = &thinning {
            samples = thinning.expanded(span, &samples);
        }
        if let Some((places, beats, beat_nv)) = &reference {
            add(
                &mut samples,
                span,
                places,
                &beats[index],
                f64::from(*beat_nv) / f64::from(nv),
            );
        }
        let before = (span.first - first) as usize;
        let mut all = vec![None; before];
        if samples.len() < span.len() {
            warnings.push(Warning::Short {
                what: "samples of a lead",
                promised: span.len() as u64,
                found: samples.len() as u64,
            });
        }
        all.extend(samples.into_iter().map(Some));
        let name = lead_of(span.code.into());
        let name = name.map_or_else(|| format!("lead {index}"), str::to_owned);
        let mut lead = scale.lead(name, "nV".to_owned(), rate_hz, len);
        if lead.kind == LeadKind::Unknown {
            lead.kind = kind_of(&format!("ECG {}", lead.name));
        }
        leads.push(lead);
        kept.push(Kept { counts: all, scale });
    }
    let len = levelled(path, &mut kept)?;
    for lead in &mut leads {
        lead.len_samples = len;
    }
    let about = match find(1) {
        Some(section) => about(section),
        None => About::default(),
    };
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads,
        patient: Patient {
            age_years: about.age_years.or_else(|| age_at(about.birth, about.day)),
            sex: about.sex,
        },
        start: about.time.map(|time| Start {
            date: about.day,
            ..time
        }),
        comments: Vec::new(),
        source: Box::new(InMemory {
            leads: kept,
            annotations: None,
            warnings,
        }),
    })
}

/// The sections that section 0 lists, as far as they are in the file.
fn sections<'a>(
    path: &Path,
    bytes: &'a [u8],
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Section<'a>>, RecordError> {
    let head = |at: usize| -> Option<u32> {
        let part = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
    };
    let cut = || {
        let found = format!("the end of the file after {} bytes", bytes.len());
        malformed(path, "section 0", found, "pointers to the other sections")
    };
    let size = head(2).ok_or_else(cut)? as usize;
    let stated = u16::from_le_bytes([bytes[0], bytes[1]]);
    if size > bytes.len() {
        warnings.push(Warning::Short {
            what: "bytes",
            promised: size as u64,
            found: bytes.len() as u64,
        });
    } else if let Some(checked) = bytes.get(2..size) {
        let found = crc::Crc::<u16>::new(&crc::CRC_16_IBM_3740).checksum(checked);
        if found != stated {
            warnings.push(Warning::HeaderChecksum { found, stated });
        }
    }
    let length = head(RECORD_HEADER + 4).ok_or_else(cut)? as usize;
    let pointers = RECORD_HEADER + SECTION_HEADER;
    let end = (RECORD_HEADER.saturating_add(length)).min(bytes.len());
    let list = bytes.get(pointers..end).ok_or_else(cut)?;
    let mut sections = Vec::new();
    for pointer in list.chunks_exact(POINTER).skip(1) {
        let number = u16::from_le_bytes([pointer[0], pointer[1]]);
        let word = |at: usize| {
            u32::from_le_bytes([
                pointer[at],
                pointer[at + 1],
                pointer[at + 2],
                pointer[at + 3],
            ])
        };
        // Places are counted from 1.
        let (len, at) = (word(2) as usize, (word(6) as usize).saturating_sub(1));
        if len <= SECTION_HEADER {
            continue;
        }
        let begin = at.saturating_add(SECTION_HEADER).min(bytes.len());
        let end = at.saturating_add(len).min(bytes.len());
        sections.push(Section {
            number,
            at: begin,
            bytes: &bytes[begin..end.max(begin)],
        });
    }
    Ok(sections)
}

/// A code of a Huffman table.
#[derive(Debug, Clone, Copy)]
struct Code {
    /// The bits that tell it, the first one sent the highest.
    prefix: u32,
    prefix_bits: u32,
    /// Bits that follow, a number in two's complement.
    extra_bits: u32,
    meaning: Meaning,
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The value, or what is added to the bits that follow.
    Value(i32),
    /// Another table, from 0.
    Table(usize),
}

/// A table by the length of its codes' prefixes: code words of the same length, sorted.
#[derive(Debug, Default)]
struct Table {
    by_bits: Vec<Vec<Code>>,
}

impl Table {
    fn of(codes: Vec<Code>) -> Self {
        let mut by_bits = vec![Vec::new(); 33];
        for code in codes {
            by_bits[code.prefix_bits as usize].push(code);
        }
        for codes in &mut by_bits {
            codes.sort_by_key(|code| code.prefix);
        }
        Self { by_bits }
    }

    fn find(&self, bits: u32, prefix: u32) -> Option<Code> {
        let codes = self.by_bits.get(bits as usize)?;
        let at = codes
            .binary_search_by_key(&prefix, |code| code.prefix)
            .ok()?;
        Some(codes[at])
    }
}

/// The standard's own table: 0, 1 to 8 and -1 to -8, and numbers of 8 and of 16 bits.
fn default_table() -> Table {
    let code = |prefix, prefix_bits, extra_bits, value| Code {
        prefix,
        prefix_bits,
        extra_bits,
        meaning: Meaning::Value(value),
    };
    let mut codes = vec![code(0, 1, 0, 0)];
    for magnitude in 1..=8_u32 {
        // So many ones, a zero, and the sign.
        let ones = ((1 << magnitude) - 1) << 2;
        let value = magnitude.cast_signed();
        codes.push(code(ones, magnitude + 2, 0, value));
        codes.push(code(ones | 1, magnitude + 2, 0, -value));
    }
    codes.push(code(0b11_1111_1110, 10, 8, 0));
    codes.push(code(0b11_1111_1111, 10, 16, 0));
    Table::of(codes)
}

/// Section 2.
fn tables(path: &Path, section: Section<'_>) -> Result<Vec<Table>, RecordError> {
    const CODE_BYTES: usize = 9;
    let count = section.u16(path, 0)?;
    if count == DEFAULT_TABLE {
        return Ok(vec![default_table()]);
    }
    let mut tables = Vec::new();
    let mut at = 2;
    for _ in 0..count {
        let codes = usize::from(section.u16(path, at)?);
        let part = section.part(path, at + 2, CODE_BYTES * codes)?;
        let mut table = Vec::new();
        for (place, code) in part.chunks_exact(CODE_BYTES).enumerate() {
            let (prefix_bits, all_bits) = (u32::from(code[0]), u32::from(code[1]));
            let here = at + 2 + CODE_BYTES * place;
            let extra_bits = all_bits
                .checked_sub(prefix_bits)
                .filter(|extra| *extra <= 32);
            let (1..=32, Some(extra_bits)) = (prefix_bits, extra_bits) else {
                let found = format!("a code of {all_bits} bits, {prefix_bits} of them its prefix");
                return Err(section.wrong(path, here, found, "a prefix of 1 to 32 bits"));
            };
            let base = i16::from_le_bytes([code[3], code[4]]);
            let bits = u32::from_le_bytes([code[5], code[6], code[7], code[8]]);
            table.push(Code {
                // Stored with the first bit that is sent the lowest.
                prefix: bits.reverse_bits() >> (32 - prefix_bits),
                prefix_bits,
                extra_bits,
                meaning: match code[2] {
                    // The mode 0 switches the table.
                    0 => Meaning::Table(usize::try_from(base - 1).unwrap_or(usize::MAX)),
                    _ => Meaning::Value(base.into()),
                },
            });
        }
        at += 2 + CODE_BYTES * codes;
        tables.push(Table::of(table));
    }
    match tables.is_empty() {
        true => Err(section.wrong(
            path,
            0,
            "no table",
            "1 or more, or 19999 for the standard's",
        )),
        false => Ok(tables),
    }
}

/// Where a lead is: its first and last sample, from 1, and its code.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u32,
    last: u32,
    code: u8,
}

impl Span {
    fn len(self) -> usize {
        (self.last - self.first) as usize + 1
    }
}

/// Section 3; and whether a reference beat was taken out.
fn spans(path: &Path, section: Section<'_>) -> Result<(Vec<Span>, bool), RecordError> {
    const SPAN_BYTES: usize = 9;
    let [count, flags] = section.part(path, 0, 2)?[..] else {
        return Err(section.wrong(path, 0, "nothing", "the number of leads"));
    };
    if !(1..=MAX_LEADS).contains(&usize::from(count)) {
        return Err(section.wrong(path, 0, "no lead", "1 to 255"));
    }
    let mut spans = Vec::new();
    for index in 0..usize::from(count) {
        let at = 2 + SPAN_BYTES * index;
        let (first, last) = (section.u32(path, at)?, section.u32(path, at + 4)?);
        let code = section.part(path, at + 8, 1)?[0];
        if first == 0 || last < first || (last - first) as usize >= MAX_SAMPLES {
            let found = format!("samples {first} to {last} of lead {index}");
            return Err(section.wrong(path, at, found, "a first and a later last one, from 1 on"));
        }
        spans.push(Span { first, last, code });
    }
    let (first, last) = (
        spans.iter().map(|span| span.first).min().unwrap_or(1),
        spans.iter().map(|span| span.last).max().unwrap_or(1),
    );
    if (last - first) as usize >= MAX_SAMPLES {
        let found = format!("leads between sample {first} and {last}");
        return Err(section.wrong(path, 2, found, "leads of about the same time"));
    }
    Ok((spans, flags & 1 != 0))
}

/// The samples of section 5 or 6: its own header of 6 bytes, the bytes of each lead, and the leads one after the other.
/// `rhythm` says of section 6 of which order its differences are, and how many samples each lead has; section 5 states its own.
fn decoded(
    path: &Path,
    section: Section<'_>,
    spans: &[Span],
    rhythm: Option<(u8, &[usize])>,
    tables: Option<&[Table]>,
) -> Result<Vec<Vec<i32>>, RecordError> {
    const HEADER: usize = 6;
    let differences = match rhythm {
        Some((differences, _)) => differences,
        None => section.part(path, 4, 1)?[0],
    };
    if differences > 2 {
        let found = format!("differences of order {differences}");
        return Err(section.wrong(path, 4, found, "0, 1 or 2"));
    }
    let mut at = HEADER + 2 * spans.len();
    let mut leads = Vec::new();
    for index in 0..spans.len() {
        let len = usize::from(section.u16(path, HEADER + 2 * index)?);
        // Of a file that is cut short, what is there.
        let there = section.bytes.len().saturating_sub(at).min(len);
        let bytes = section.part(path, at.min(section.bytes.len()), there)?;
        // A reference beat is as long as its bytes say.
        let most = rhythm.map_or(8 * len, |(_, most)| most[index]);
        let mut samples = match tables {
            Some(tables) => huffman(tables, bytes, most),
            None => bytes
                .chunks_exact(2)
                .take(most)
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).into())
                .collect(),
        };
        integrate(&mut samples, differences);
        leads.push(samples);
        at += len;
    }
    Ok(leads)
}

/// Reads codes until so many values are there, the bits end, or they are of no code.
fn huffman(tables: &[Table], bytes: &[u8], most: usize) -> Vec<i32> {
    let mut values = Vec::with_capacity(most.min(8 * bytes.len()));
    let end = 8 * bytes.len();
    let bit = |at: usize| u32::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let mut table = &tables[0];
    let mut at = 0;
    while values.len() < most {
        let (mut prefix, mut bits) = (0_u32, 0);
        let code = loop {
            if at == end || bits == 32 {
                return values;
            }
            prefix = prefix << 1 | bit(at);
            (at, bits) = (at + 1, bits + 1);
            if let Some(code) = table.find(bits, prefix) {
                break code;
            }
        };
        let extra = code.extra_bits as usize;
        if at + extra > end {
            return values;
        }
        let mut more = 0_u32;
        for _ in 0..extra {
            more = more << 1 | bit(at);
            at += 1;
        }
        match code.meaning {
            Meaning::Table(next) => match tables.get(next) {
                Some(next) => table = next,
                None => return values,
            },
            Meaning::Value(base) => {
                let signed = match extra {
                    0 => 0,
                    extra => (more << (32 - extra)).cast_signed() >> (32 - extra),
                };
                values.push(base.wrapping_add(signed));
            }
        }
    }
    values
}

/// Samples from their first or second differences, in 16 bits, which wrap.
fn integrate(samples: &mut [i32], differences: u8) {
    let wrapped = |value: i32| i32::from(value as i16);
    for k in 1..samples.len() {
        let before = samples[k - 1];
        samples[k] = match (differences, k) {
            (1, _) => wrapped(samples[k].wrapping_add(before)),
            (2, 2..) => wrapped(
                samples[k]
                    .wrapping_add(before.wrapping_mul(2))
                    .wrapping_sub(samples[k - 2]),
            ),
            _ => samples[k],
        };
    }
}

/// Where the reference beat was taken out: section 4.
struct Places {
    /// The reference beat's fiducial point, in its samples from 1.
    fiducial: i64,
    /// Of each beat of its kind: the first sample, the fiducial point and the last sample of what was taken out, from 1.
    beats: Vec<[i64; 3]>,
    /// Of each beat of whatever kind: the first and the last sample of its protected zone, from 1.
    protected: Vec<[u32; 2]>,
}

fn places(path: &Path, section: Section<'_>) -> Result<Places, RecordError> {
    const BEAT_BYTES: usize = 14;
    const ZONE_BYTES: usize = 8;
    let fiducial = section.u16(path, 2)?.into();
    let count = usize::from(section.u16(path, 4)?);
    let (mut beats, mut protected) = (Vec::new(), Vec::new());
    let zones = 6 + BEAT_BYTES * count;
    for index in 0..count {
        let at = 6 + BEAT_BYTES * index;
        // Version 1 has no protected zones of their own.
        let zone = match section.bytes.len() < zones + ZONE_BYTES * count {
            true => [section.u32(path, at + 2)?, section.u32(path, at + 10)?],
            false => {
                let at = zones + ZONE_BYTES * index;
                [section.u32(path, at)?, section.u32(path, at + 4)?]
            }
        };
        protected.push(zone);
        // The reference beat's kind is 0.
        if section.u16(path, at)? != 0 {
            continue;
        }
        beats.push([
            section.u32(path, at + 2)?.into(),
            section.u32(path, at + 6)?.into(),
            section.u32(path, at + 10)?.into(),
        ]);
    }
    Ok(Places {
        fiducial,
        beats,
        protected,
    })
}

/// Puts the reference beat back, its counts `ratio` times those of the samples.
fn add(samples: &mut [i32], span: &Span, places: &Places, beat: &[i32], ratio: f64) {
    for [first, fiducial, last] in &places.beats {
        for sample in (*first).max(span.first.into())..=(*last).min(span.last.into()) {
            let within = sample - fiducial + places.fiducial - 1;
            let reference = usize::try_from(within).ok().and_then(|at| beat.get(at));
            let at = usize::try_from(sample - i64::from(span.first)).ok();
            if let Some(value) = at.and_then(|at| samples.get_mut(at)) {
                *value += reference.map_or(0, |reference| {
                    (f64::from(*reference) * ratio).round() as i32
                });
            }
        }
    }
}

/// What section 1 says.
#[derive(Debug, Default)]
struct About {
    age_years: Option<f32>,
    birth: Option<Date>,
    sex: Option<Sex>,
    day: Option<Date>,
    time: Option<Start>,
}

/// Section 1: a number, the bytes of a value and the value, until the number 255.
fn about(section: Section<'_>) -> About {
    let mut about = About::default();
    let mut rest = section.bytes;
    while let [number, low, high, after @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let Some(value) = after.get(..len).filter(|_| *number != 255) else {
            break;
        };
        let date = || match *value {
            [low, high, month, day, ..] => date_of(
                u16::from_le_bytes([low, high]).into(),
                month.into(),
                day.into(),
            ),
            _ => None,
        };
        match (number, value) {
            (4, [low, high, unit, ..]) => {
                let age = f32::from(u16::from_le_bytes([*low, *high]));
                let years = match unit {
                    1 => Some(age),
                    2 => Some(age / 12.0),
                    3 => Some(age / 52.18),
                    4 => Some(age / 365.25),
                    5 => Some(age / 8766.0),
                    _ => None,
                };
                about.age_years = years.filter(|years| (0.0..=130.0).contains(years));
            }
            (5, _) => about.birth = date(),
            (8, [1, ..]) => about.sex = Some(Sex::Male),
            (8, [2, ..]) => about.sex = Some(Sex::Female),
            (25, _) => about.day = date(),
            (26, [hour, minute, second, ..]) => {
                let time = [hour, minute, second].map(|part| i32::from(*part));
                about.time = Start::of([0; 3], time);
            }
            _ => {}
        }
        rest = &after[len..];
    }
    about
}
