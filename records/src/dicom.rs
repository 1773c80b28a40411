//! DICOM waveforms: an ECG as 12-lead, general or ambulatory ECG storage has it.
//!
//! Source: DICOM PS3.5 (encoding), PS3.3 C.10.9 (waveform module), PS3.6 (tags). A file is a preamble, meta information, and data
//! elements, some of which are sequences of items with elements of their own. The first group of the waveform sequence that is no
//! derived signal is read; its samples are interleaved, channel by channel, and streamed.
//!
//! Explicit and implicit VR, little and big endian. Not supported: deflated transfer syntaxes, waveforms in 8 bits of mu-law or A-law,
//! annotations, and files without the preamble. A reader of the few elements that are needed, because a general one (`dicom-object`)
//! costs 19 s of every build and reads a day's samples into memory.

use super::kind::kind_of;
use super::samples::{InFile, Integer, Place, Scale, malformed};
use super::start::{Start, age_at};
use super::{Contents, LeadKind, Patient, ReadOptions, RecordError, Sex, VoltageUnit, Warning};
use crate::disk::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

const PREAMBLE: usize = 128;
const SIGNATURE: &[u8] = b"DICM";

/// The deepest sequence, the most elements and the largest value that are read.
const MAX_DEPTH: usize = 16;
const MAX_ELEMENTS: usize = 1_000_000;
const MAX_VALUE_BYTES: u64 = 1 << 16;
const MAX_CHANNELS: usize = 1024;

/// A length that is given by a mark at the end.
const UNDEFINED: u64 = 0xffff_ffff;

type Tag = (u16, u16);

mod tag {
    use super::Tag;

    pub(super) const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
    pub(super) const ACQUIRED: Tag = (0x0008, 0x002a);
    pub(super) const STUDY_DATE: Tag = (0x0008, 0x0020);
    pub(super) const CONTENT_DATE: Tag = (0x0008, 0x0023);
    pub(super) const STUDY_TIME: Tag = (0x0008, 0x0030);
    pub(super) const CONTENT_TIME: Tag = (0x0008, 0x0033);
    pub(super) const CODE_VALUE: Tag = (0x0008, 0x0100);
    pub(super) const CODE_MEANING: Tag = (0x0008, 0x0104);
    pub(super) const MODEL: Tag = (0x0008, 0x1090);
    pub(super) const BIRTH: Tag = (0x0010, 0x0030);
    pub(super) const SEX: Tag = (0x0010, 0x0040);
    pub(super) const AGE: Tag = (0x0010, 0x1010);
    pub(super) const ORIGINALITY: Tag = (0x003a, 0x0004);
    pub(super) const CHANNELS: Tag = (0x003a, 0x0005);
    pub(super) const SAMPLES: Tag = (0x003a, 0x0010);
    pub(super) const RATE: Tag = (0x003a, 0x001a);
    pub(super) const CHANNEL_DEFINITIONS: Tag = (0x003a, 0x0200);
    pub(super) const LABEL: Tag = (0x003a, 0x0203);
    pub(super) const SOURCE: Tag = (0x003a, 0x0208);
    pub(super) const SENSITIVITY: Tag = (0x003a, 0x0210);
    pub(super) const UNITS: Tag = (0x003a, 0x0211);
    pub(super) const CORRECTION: Tag = (0x003a, 0x0212);
    pub(super) const BASELINE: Tag = (0x003a, 0x0213);
    pub(super) const WAVEFORMS: Tag = (0x5400, 0x0100);
    pub(super) const PADDING: Tag = (0x5400, 0x100a);
    pub(super) const BITS: Tag = (0x5400, 0x1004);
    pub(super) const INTERPRETATION: Tag = (0x5400, 0x1006);
    pub(super) const DATA: Tag = (0x5400, 0x1010);
    pub(super) const ITEM: Tag = (0xfffe, 0xe000);
    pub(super) const ITEM_END: Tag = (0xfffe, 0xe00d);
    pub(super) const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
}

pub(super) fn is_dicom(head: &[u8]) -> bool {
    head.get(PREAMBLE..PREAMBLE + SIGNATURE.len()) == Some(SIGNATURE)
}

/// A data element: its value where it is short, its items where it is a sequence.
struct Element {
    tag: Tag,
    /// The byte where the value begins.
    at: u64,
    len: u64,
    value: Vec<u8>,
    items: Vec<Vec<Element>>,
}

/// How elements are encoded.
#[derive(Clone, Copy)]
struct Syntax {
    explicit: bool,
    big_endian: bool,
}

struct Parser<'a> {
    path: &'a Path,
    file: BufReader<File>,
    at: u64,
    size: u64,
    elements: usize,
    is_cut: bool,
}

impl Parser<'_> {
    fn io(&self, cause: std::io::Error) -> RecordError {
        RecordError::Io {
            path: self.path.to_owned(),
            cause,
        }
    }

    fn wrong(&self, at: u64, found: String, expected: &str) -> RecordError {
        malformed(self.path, format!("byte {at}"), found, expected)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let mut bytes = [0; N];
        if self.at + N as u64 > self.size {
            return Err(self.wrong(
                self.size,
                "the end of the file".to_owned(),
                "a whole data element",
            ));
        }
        self.file
            .read_exact(&mut bytes)
            .map_err(|cause| self.io(cause))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u16(&mut self, syntax: Syntax) -> Result<u16, RecordError> {
        let bytes = self.take()?;
        Ok(match syntax.big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        })
    }

    fn u32(&mut self, syntax: Syntax) -> Result<u64, RecordError> {
        let bytes = self.take()?;
        Ok(u64::from(match syntax.big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        }))
    }

    fn tag(&mut self, syntax: Syntax) -> Result<Tag, RecordError> {
        Ok((self.u16(syntax)?, self.u16(syntax)?))
    }

    fn seek(&mut self, to: u64) -> Result<(), RecordError> {
        let step = to.cast_signed() - self.at.cast_signed();
        self.file
            .seek_relative(step)
            .map_err(|cause| self.io(cause))?;
        self.at = to;
        Ok(())
    }

    /// The elements up to `end`, or to the mark that ends an item.
    fn elements(
        &mut self,
        syntax: Syntax,
        end: u64,
        depth: usize,
    ) -> Result<Vec<Element>, RecordError> {
        let mut elements = Vec::new();
        // Fewer bytes than an element has are filling.
        while self.at + 8 <= end {
            let tag = self.tag(syntax)?;
            if tag == tag::ITEM_END || tag == tag::SEQUENCE_END {
                self.u32(syntax)?;
                break;
            }
            let element = self.element(tag, syntax, end, depth)?;
            elements.push(element);
            if self.is_cut {
                break;
            }
        }
        Ok(elements)
    }

    fn element(
        &mut self,
        tag: Tag,
        syntax: Syntax,
        end: u64,
        depth: usize,
    ) -> Result<Element, RecordError> {
        let begin = self.at - 4;
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || depth > MAX_DEPTH {
            let found = format!("{} elements, {depth} sequences deep", self.elements);
            return Err(self.wrong(begin, found, "an ECG, of fewer and of 16 at most"));
        }
        let mut is_sequence = false;
        let len = if syntax.explicit {
            let vr: [u8; 2] = self.take()?;
            if !vr.iter().all(u8::is_ascii_uppercase) {
                let found = format!(
                    "`{}` as the type of element {}",
                    vr.escape_ascii(),
                    shown(tag)
                );
                return Err(self.wrong(begin, found, "two upper-case letters (explicit VR)"));
            }
            is_sequence = &vr == b"SQ";
            const LONG: [&[u8; 2]; 13] = [
                b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT",
                b"UV",
            ];
            if LONG.contains(&&vr) {
                self.u16(syntax)?;
                self.u32(syntax)?
            } else {
                self.u16(syntax)?.into()
            }
        } else {
            self.u32(syntax)?
        };
        const SEQUENCES: [Tag; 5] = [
            tag::WAVEFORMS,
            tag::CHANNEL_DEFINITIONS,
            tag::SOURCE,
            tag::UNITS,
            (0x003a, 0x0209),
        ];
        is_sequence |= len == UNDEFINED || (!syntax.explicit && SEQUENCES.contains(&tag));
        let at = self.at;
        let mut element = Element {
            tag,
            at,
            len,
            value: Vec::new(),
            items: Vec::new(),
        };
        if is_sequence {
            let stop = if len == UNDEFINED {
                end
            } else {
                end.min(at.saturating_add(len))
            };
            while self.at + 8 <= stop && !self.is_cut {
                let tag = self.tag(syntax)?;
                let len = self.u32(syntax)?;
                match tag {
                    tag::SEQUENCE_END => break,
                    tag::ITEM => {
                        let stop = match len {
                            UNDEFINED => stop,
                            len => stop.min(self.at.saturating_add(len)),
                        };
                        element.items.push(self.elements(syntax, stop, depth + 1)?);
                        if len != UNDEFINED && !self.is_cut {
                            self.seek(stop)?;
                        }
                    }
                    tag => {
                        let found = format!("element {} in a sequence", shown(tag));
                        return Err(self.wrong(self.at - 8, found, "an item (FFFE,E000)"));
                    }
                }
            }
            return Ok(element);
        }
        let there = self.size - at;
        if len > there {
            self.is_cut = true;
            // What is there of the samples is read; of everything else, nothing.
            if tag != tag::DATA {
                let found = format!("{there} of {len} bytes of element {}", shown(tag));
                return Err(self.wrong(at, found, "all of them"));
            }
            element.len = there;
        }
        if element.len <= MAX_VALUE_BYTES && tag != tag::DATA {
            element.value.resize(element.len as usize, 0);
            self.file
                .read_exact(&mut element.value)
                .map_err(|cause| self.io(cause))?;
            self.at += element.len;
        }
        self.seek(at + element.len)?;
        Ok(element)
    }
}

fn shown(tag: Tag) -> String {
    format!("({:04X},{:04X})", tag.0, tag.1)
}

fn find(elements: &[Element], tag: Tag) -> Option<&Element> {
    elements.iter().find(|element| element.tag == tag)
}

fn text(elements: &[Element], tag: Tag) -> Option<String> {
    let value = &find(elements, tag)?.value;
    let text: String = value.iter().map(|&b| char::from(b)).collect();
    let text = text.trim_matches([' ', '\0']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn number(elements: &[Element], tag: Tag) -> Option<f64> {
    text(elements, tag)?
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
}

/// An unsigned number of 16 or 32 bits.
fn unsigned(elements: &[Element], tag: Tag, syntax: Syntax) -> Option<u64> {
    let mut bytes = find(elements, tag)?.value.clone();
    if syntax.big_endian {
        bytes.reverse();
    }
    match bytes[..] {
        [a, b] => Some(u16::from_le_bytes([a, b]).into()),
        [a, b, c, d] => Some(u32::from_le_bytes([a, b, c, d]).into()),
        _ => None,
    }
}

pub(super) fn open(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let file = disk::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut file = BufReader::new(file);
    let begin = (PREAMBLE + SIGNATURE.len()) as u64;
    file.seek(SeekFrom::Start(begin)).map_err(io)?;
    let mut parser = Parser {
        path,
        file,
        at: begin,
        size,
        elements: 0,
        is_cut: false,
    };
    let syntax = syntax(&mut parser)?;
    let elements = parser.elements(syntax, size, 0)?;
    let Some(waveforms) = find(&elements, tag::WAVEFORMS) else {
        return Err(malformed(
            path,
            "the data set",
            "no waveform sequence (5400,0100)",
            "one: an ECG is stored as a waveform, not as a picture",
        ));
    };
    let is_original =
        |group: &&Vec<Element>| text(group, tag::ORIGINALITY).is_none_or(|text| text == "ORIGINAL");
    let has_data = |group: &&Vec<Element>| find(group, tag::DATA).is_some_and(|data| data.len > 0);
    let groups = || waveforms.items.iter().filter(has_data);
    // Of several original ones, the first of the longest.
    let length = |group: &Vec<Element>| find(group, tag::DATA).map_or(0, |data| data.len);
    let originals = || groups().filter(is_original);
    let longest = originals().map(length).max();
    let original = originals().find(|group| Some(length(group)) == longest);
    let Some(group) = original.or_else(|| groups().next()) else {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    };
    let mut warnings = Vec::new();
    if groups().count() > 1 {
        warnings.push(Warning::PartNotRead {
            what: "other waveform groups than the longest original one",
        });
    }
    let start = start(&elements);
    let (leads, places, rate_hz) = channels(path, group, syntax, &mut warnings)?;
    let model = text(&elements, tag::MODEL).map(|model| format!("recorder: {model}"));
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads,
        patient: patient(&elements, start),
        start,
        comments: model.into_iter().collect(),
        source: Box::new(InFile {
            path: path.to_owned(),
            leads: places,
            warnings,
        }),
    })
}

/// Reads the meta information, which says how the data set is encoded.
fn syntax(parser: &mut Parser<'_>) -> Result<Syntax, RecordError> {
    let meta = Syntax {
        explicit: true,
        big_endian: false,
    };
    let mut name = String::new();
    while parser.at + 8 <= parser.size {
        let tag = parser.tag(meta)?;
        if tag.0 != 0x0002 {
            parser.seek(parser.at - 4)?;
            break;
        }
        let element = parser.element(tag, meta, parser.size, 0)?;
        if element.tag == tag::TRANSFER_SYNTAX {
            name = text(&[element], tag::TRANSFER_SYNTAX).unwrap_or_default();
        }
    }
    match &*name {
        "1.2.840.10008.1.2" => Ok(Syntax {
            explicit: false,
            ..meta
        }),
        "1.2.840.10008.1.2.1" => Ok(meta),
        "1.2.840.10008.1.2.2" => Ok(Syntax {
            big_endian: true,
            ..meta
        }),
        other => Err(malformed(
            parser.path,
            "meta information",
            format!("transfer syntax `{other}`"),
            "implicit or explicit VR, not compressed (1.2.840.10008.1.2, .1 or .2)",
        )),
    }
}

/// The channels of a group: leads, and where their samples are.
fn channels(
    path: &Path,
    group: &[Element],
    syntax: Syntax,
    warnings: &mut Vec<Warning>,
) -> Result<(Vec<super::Lead>, Vec<Place>, f64), RecordError> {
    let wrong = |found: String, expected: &str| malformed(path, "waveform group", found, expected);
    let rate_hz = number(group, tag::RATE).filter(|hz| *hz > 0.0);
    let Some(rate_hz) = rate_hz else {
        let stated = text(group, tag::RATE).unwrap_or_default();
        return Err(wrong(
            format!("sampling frequency `{stated}`"),
            "a rate in Hz above 0",
        ));
    };
    let stated = unsigned(group, tag::CHANNELS, syntax).unwrap_or(0);
    let count = usize::try_from(stated).unwrap_or(usize::MAX);
    if !(1..=MAX_CHANNELS).contains(&count) {
        return Err(wrong(format!("{stated} channels"), "1 to 1024"));
    }
    let bits = unsigned(group, tag::BITS, syntax).unwrap_or(16);
    let interpretation = text(group, tag::INTERPRETATION).unwrap_or_else(|| "SS".to_owned());
    let integer = match (&*interpretation, bits) {
        ("SB", 8) => Integer::I8,
        ("UB", 8) => Integer::U8,
        ("SS", 16) => Integer::I16,
        ("US", 16) => Integer::U16,
        ("SL", 32) => Integer::I32,
        _ => {
            let found = format!("samples `{interpretation}` of {bits} bits");
            return Err(wrong(found, "SB or UB of 8 bits, SS or US of 16, SL of 32"));
        }
    };
    let Some(data) = find(group, tag::DATA) else {
        return Err(wrong("no samples".to_owned(), "waveform data (5400,1010)"));
    };
    let step = integer.bytes() * count as u64;
    let stored = data.len / step;
    let promised = unsigned(group, tag::SAMPLES, syntax).unwrap_or(stored);
    let len = stored.min(promised);
    if promised > stored {
        warnings.push(Warning::Short {
            what: "samples of each lead",
            promised,
            found: stored,
        });
    }
    if len == 0 {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    // Some programs state 0 and mean nothing by it: a value that means "none" is one end of the range.
    let invalid = find(group, tag::PADDING)
        .and_then(|padding| integer.read(&padding.value, syntax.big_endian))
        .filter(|value| integer.ends().contains(value));
    let no_channel = Vec::new();
    let definitions = find(group, tag::CHANNEL_DEFINITIONS).map_or(&no_channel, |e| &e.items);
    let (mut leads, mut places) = (Vec::new(), Vec::new());
    for index in 0..count {
        let channel = definitions.get(index).map_or(&[][..], Vec::as_slice);
        let sensitivity = number(channel, tag::SENSITIVITY).filter(|n| *n != 0.0);
        let correction = number(channel, tag::CORRECTION).filter(|n| *n != 0.0);
        let units = find(channel, tag::UNITS).and_then(|e| e.items.first());
        let units = units
            .and_then(|units| text(units, tag::CODE_VALUE))
            .unwrap_or_default();
        let scale = Scale {
            scale: sensitivity.unwrap_or(1.0) * correction.unwrap_or(1.0),
            offset: number(channel, tag::BASELINE).unwrap_or(0.0),
            unit: units
                .parse::<VoltageUnit>()
                .ok()
                .filter(|_| sensitivity.is_some()),
        };
        let source = find(channel, tag::SOURCE).and_then(|e| e.items.first());
        let meaning = source.and_then(|source| text(source, tag::CODE_MEANING));
        let name = meaning.or_else(|| text(channel, tag::LABEL));
        // `2:1` of MDC and `5.6.3-9-1` of SCPECG end with the standard's code.
        let coded = || {
            let value = text(source?, tag::CODE_VALUE)?;
            let digits = value.rsplit([':', '-']).next()?;
            super::scp::lead_of(digits.parse().ok()?).map(str::to_owned)
        };
        let name = name.or_else(coded);
        let name = name.map_or_else(|| format!("lead {index}"), |name| lead_name(&name));
        let mut lead = scale.lead(name, units, rate_hz, len as usize);
        if lead.kind == LeadKind::Unknown {
            lead.kind = kind_of(&format!("ECG {}", lead.name));
        }
        leads.push(lead);
        places.push(Place {
            at: data.at + index as u64 * integer.bytes(),
            step,
            integer,
            big_endian: syntax.big_endian,
            len,
            invalid,
            scale,
        });
    }
    Ok((leads, places, rate_hz))
}

/// `Lead I (Einthoven)` as everybody else calls it.
fn lead_name(meaning: &str) -> String {
    let bare = ["Lead ", "MDC_ECG_LEAD_", "ECG "]
        .iter()
        .find_map(|prefix| meaning.strip_prefix(prefix))
        .unwrap_or(meaning);
    let bare = bare.split_once(" (").map_or(bare, |(name, _)| name).trim();
    match bare {
        "" => meaning.to_owned(),
        bare => bare.to_owned(),
    }
}

fn start(elements: &[Element]) -> Option<Start> {
    let acquired = text(elements, tag::ACQUIRED).and_then(|text| Start::of_digits(&text));
    let joined = |date, time| {
        let text = text(elements, date)? + &text(elements, time)?;
        Start::of_digits(&text)
    };
    acquired
        .or_else(|| joined(tag::CONTENT_DATE, tag::CONTENT_TIME))
        .or_else(|| joined(tag::STUDY_DATE, tag::STUDY_TIME))
}

fn patient(elements: &[Element], start: Option<Start>) -> Patient {
    // `042Y`, or months, weeks and days.
    let age = text(elements, tag::AGE).and_then(|text| {
        let (number, unit) = text.split_at_checked(text.len() - 1)?;
        let number: f32 = number.parse().ok()?;
        let years = match unit {
            "Y" => number,
            "M" => number / 12.0,
            "W" => number / 52.18,
            "D" => number / 365.25,
            _ => return None,
        };
        (0.0..=130.0).contains(&years).then_some(years)
    });
    let birth = text(elements, tag::BIRTH).and_then(|text| Start::of_digits(&text)?.date);
    Patient {
        age_years: age.or_else(|| age_at(birth, start.and_then(|start| start.date))),
        sex: match text(elements, tag::SEX).as_deref() {
            Some("F") => Some(Sex::Female),
            Some("M") => Some(Sex::Male),
            _ => None,
        },
    }
}
