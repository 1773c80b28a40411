//! Annotation files in WFDB's MIT format (`.atr` and other extensions), read and written.
//!
//! # The format
//! Little-endian 16-bit words. The upper six bits of a word are a code, the lower ten a number. Codes 0 to 49 are
//! annotations, and their number is the time since the annotation before, in samples. Codes from 59 on belong to the
//! annotation before them (`SKIP`: to the one after): 59 `SKIP`, a signed 32-bit time step in the next two words, the
//! higher word first; 60 `NUM` and 62 `CHN`, which hold until changed; 61 `SUB`, which holds for one annotation; 63
//! `AUX`, that many bytes of text follow, padded to whole words. A word of zeroes ends the file.
//! Source: WFDB Applications Guide, `annot(5)`.

use super::Warning;
use std::fmt;
use std::path::{Path, PathBuf};

/// The latest sample that an annotation may lie at: 35 years at 1000 Hz. It bounds how much a step can write.
const MAX_SAMPLE: u64 = 1 << 40;

/// How a note that states the file's own rate begins.
pub(super) const RESOLUTION_NOTE: &[u8] = b"## time resolution:";

const SKIP: u16 = 59;
const NUM: u16 = 60;
const SUB: u16 = 61;
const CHN: u16 = 62;
const AUX: u16 = 63;

const NUMBER_BITS: u32 = 10;
const NUMBER_MASK: u16 = (1 << NUMBER_BITS) - 1;

/// Mnemonics by code, as WFDB's `annstr` prints them. Code 0 and those in brackets have no meaning of their own.
const MNEMONICS: [&str; Code::COUNT] = [
    "[0]", "N", "L", "R", "a", "V", "F", "J", "A", "S", "E", "j", "/", "Q", "~", "[15]", "|",
    "[17]", "s", "T", "*", "D", "\"", "=", "p", "B", "^", "t", "+", "u", "?", "!", "[", "]", "e",
    "n", "@", "x", "f", "(", ")", "r", "[42]", "[43]", "[44]", "[45]", "[46]", "[47]", "[48]",
    "[49]",
];

/// What an annotation says: one of WFDB's 50 codes (`ecgcodes.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// How many codes there are; the largest is one less.
    pub const COUNT: usize = 50;

    /// `[0]`: a place in time without a meaning.
    pub const NULL: Self = Self(0);
    /// `N`: normal beat.
    pub const NORMAL: Self = Self(1);
    /// `L`: left bundle branch block beat.
    pub const LEFT_BUNDLE_BRANCH_BLOCK: Self = Self(2);
    /// `R`: right bundle branch block beat.
    pub const RIGHT_BUNDLE_BRANCH_BLOCK: Self = Self(3);
    /// `a`: aberrated atrial premature beat.
    pub const ABERRATED_ATRIAL_PREMATURE: Self = Self(4);
    /// `V`: premature ventricular contraction.
    pub const VENTRICULAR_PREMATURE: Self = Self(5);
    /// `F`: fusion of a ventricular and a normal beat.
    pub const FUSION: Self = Self(6);
    /// `J`: nodal (junctional) premature beat.
    pub const JUNCTIONAL_PREMATURE: Self = Self(7);
    /// `A`: atrial premature beat.
    pub const ATRIAL_PREMATURE: Self = Self(8);
    /// `S`: premature or ectopic supraventricular beat.
    pub const SUPRAVENTRICULAR_PREMATURE: Self = Self(9);
    /// `E`: ventricular escape beat.
    pub const VENTRICULAR_ESCAPE: Self = Self(10);
    /// `j`: nodal (junctional) escape beat.
    pub const JUNCTIONAL_ESCAPE: Self = Self(11);
    /// `/`: paced beat.
    pub const PACED: Self = Self(12);
    /// `Q`: unclassifiable beat.
    pub const UNCLASSIFIABLE: Self = Self(13);
    /// `~`: the signal's quality changes; the subtype says how.
    pub const QUALITY_CHANGE: Self = Self(14);
    /// `|`: isolated QRS-like artefact.
    pub const ARTEFACT: Self = Self(16);
    /// `"`: a comment, in `aux`.
    pub const NOTE: Self = Self(22);
    /// `B`: bundle branch block beat, side unspecified.
    pub const BUNDLE_BRANCH_BLOCK: Self = Self(25);
    /// `+`: the rhythm changes; `aux` names the new one.
    pub const RHYTHM_CHANGE: Self = Self(28);
    /// `?`: a beat that was not classified while a detector learned.
    pub const LEARNING: Self = Self(30);
    /// `!`: ventricular flutter wave.
    pub const FLUTTER_WAVE: Self = Self(31);
    /// `[`: ventricular flutter or fibrillation begins.
    pub const FLUTTER_START: Self = Self(32);
    /// `]`: ventricular flutter or fibrillation ends.
    pub const FLUTTER_END: Self = Self(33);
    /// `e`: atrial escape beat.
    pub const ATRIAL_ESCAPE: Self = Self(34);
    /// `n`: supraventricular escape beat, atrial or nodal.
    pub const SUPRAVENTRICULAR_ESCAPE: Self = Self(35);
    /// `x`: P wave that is not conducted.
    pub const BLOCKED_ATRIAL_PREMATURE: Self = Self(37);
    /// `f`: fusion of a paced and a normal beat.
    pub const PACED_FUSION: Self = Self(38);
    /// `r`: R-on-T premature ventricular contraction.
    pub const R_ON_T: Self = Self(41);

    /// The code with this number, 0 to 49, or `None`.
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The code's number in the file, 0 to 49.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The code as WFDB prints it: `N`, `V`, `+`, ... and `[42]` for a code without a meaning of its own.
    pub fn mnemonic(self) -> &'static str {
        MNEMONICS[usize::from(self.0)]
    }

    /// The code that WFDB prints as `mnemonic`, or `None`.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Self> {
        let number = MNEMONICS.iter().position(|&m| m == mnemonic)?;
        Self::new(u8::try_from(number).ok()?)
    }

    /// Whether WFDB counts the annotation as a QRS complex (`isqrs` of `ecgmap.h`): every beat, and the flutter
    /// wave `!`. This is the set that `bxb` walks through.
    pub const fn is_qrs(self) -> bool {
        matches!(self.0, 1..=13 | 25 | 30 | 31 | 34 | 35 | 38 | 41)
    }

    /// Whether the annotation is a beat. (Flutter waves are none.)
    pub const fn is_beat(self) -> bool {
        self.is_qrs() && !matches!(self, Self::FLUTTER_WAVE)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.mnemonic())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} {})", self.0, self.mnemonic())
    }
}

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// When, in samples from the record's start, at the record's own rate.
    pub sample: u64,
    /// What.
    pub code: Code,
    /// More about what; its meaning depends on the code. 0 where nothing is said.
    pub subtype: i8,
    /// The signal that it is attached to, or whatever the annotator used the field for.
    pub channel: u8,
    /// A number of the annotator's own.
    pub number: i8,
    /// Text, at most 255 bytes, as it is in the file (`mitdb` ends it with a zero byte). Empty where there is none.
    pub aux: Vec<u8>,
}

impl Annotation {
    /// An annotation that says nothing but what and when.
    pub fn new(sample: u64, code: Code) -> Self {
        Self {
            sample,
            code,
            subtype: 0,
            channel: 0,
            number: 0,
            aux: Vec::new(),
        }
    }

    /// A change of the rhythm to the one of this name, as WFDB writes it: `(AFIB`, `(N`.
    pub fn rhythm_change(sample: u64, name: &str) -> Self {
        Self {
            aux: name.as_bytes().to_vec(),
            ..Self::new(sample, Code::RHYTHM_CHANGE)
        }
    }

    /// The name of the rhythm that begins here, `(AFIB`, without the zero byte that `mitdb` ends it with. `None` where
    /// no rhythm begins, or one without a name.
    pub fn rhythm(&self) -> Option<&[u8]> {
        let name = self.aux.split(|byte| *byte == 0).next()?;
        (self.code == Code::RHYTHM_CHANGE && !name.is_empty()).then_some(name)
    }
}

/// The annotations of one file, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// In order of time; several may share a sample.
    pub list: Vec<Annotation>,
}

/// Why bytes are not annotations in MIT format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends before what it announces is complete.
    #[error("the file ends inside {inside}; expected {missing} more byte(s)")]
    Truncated {
        /// What is cut off.
        inside: &'static str,
        /// Bytes that are missing.
        missing: usize,
    },
    /// No word of zeroes closes the file.
    #[error(
        "the file ends without the end mark (a 16-bit zero); it is cut short or no annotation file"
    )]
    NoEndMark,
    /// Something follows the end mark.
    #[error(
        "found byte 0x{found:02x} after the end mark, expected nothing; this is no annotation file"
    )]
    AfterEnd {
        /// The first byte that is not zero.
        found: u8,
    },
    /// The code is none that the format knows.
    #[error("found code {found}, expected 0 to 49 or 59 to 63; this is no annotation file")]
    Code {
        /// The code.
        found: u16,
    },
    /// A modifier comes before there is an annotation to modify.
    #[error("found modifier code {found} before the first annotation")]
    NothingToModify {
        /// The code: 60 to 63.
        found: u16,
    },
    /// A field's value does not fit.
    #[error("found {found} as {field}, expected {low} to {high}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: i32,
        /// The smallest value allowed.
        low: i32,
        /// The largest value allowed.
        high: i32,
    },
    /// An annotation is earlier than the one before it, or before the record's start.
    #[error("time runs backwards: found sample {found}, expected {previous} or later")]
    Backwards {
        /// Where the annotation would lie; negative: before the record's start.
        found: i64,
        /// Where the one before it lies.
        previous: u64,
    },
    /// An annotation is absurdly late.
    #[error("found sample {found}, expected at most {MAX_SAMPLE}")]
    TooLate {
        /// Where the annotation would lie.
        found: u64,
    },
    /// The file is in the AHA format.
    #[error("found the AHA annotation format, expected the MIT format; WFDB's `a2m` converts it")]
    AhaFormat,
}

/// Bytes that are not annotations in MIT format: where, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {fault}")]
pub struct Malformed {
    /// Bytes from the file's start to the word at fault.
    pub offset: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// Annotations that the MIT format cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// The list is not in order of time.
    #[error("annotation {index} lies at sample {found}, before its predecessor at {previous}")]
    Backwards {
        /// Which annotation, from 0.
        index: usize,
        /// Its sample.
        found: u64,
        /// The sample of the one before.
        previous: u64,
    },
    /// A sample is absurdly late.
    #[error("annotation {index} lies at sample {found}, expected at most {MAX_SAMPLE}")]
    TooLate {
        /// Which annotation, from 0.
        index: usize,
        /// Its sample.
        found: u64,
    },
    /// An auxiliary text is too long.
    #[error("annotation {index} has {found} bytes of auxiliary text, expected at most 255")]
    Aux {
        /// Which annotation, from 0.
        index: usize,
        /// Bytes of its text.
        found: usize,
    },
}

/// An annotation file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The operating system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Its content is no annotations.
    #[error("{}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: Malformed,
    },
    /// The annotations cannot be put into a file.
    #[error("{}: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        cause: Unwritable,
    },
    /// They are part of the record's own file, which cannot be read.
    #[error(transparent)]
    Record(#[from] super::RecordError),
}

impl Annotations {
    /// Reads an annotation file.
    ///
    /// # Errors
    /// [`AnnotationError::Io`] and [`AnnotationError::Malformed`], naming the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, AnnotationError> {
        let path = path.as_ref();
        let bytes = crate::disk::read(path).map_err(|cause| AnnotationError::Io {
            path: path.to_owned(),
            cause,
        })?;
        Self::parse(&bytes).map_err(|cause| AnnotationError::Malformed {
            path: path.to_owned(),
            cause,
        })
    }

    /// Reads what can be read of an annotation file that may be cut short, or that another program has written otherwise than
    /// [`parse`](Self::parse) asks for: without an end mark, with bytes behind it, with codes beyond 49 (which are left out), or
    /// not in order of time (which is mended). That becomes the warning.
    ///
    /// # Errors
    /// As for [`read`](Self::read): where nothing can be read, the file is text, or more than 1 in 100 annotations are at
    /// fault, so that it is no annotation file.
    pub fn recover(path: impl AsRef<Path>) -> Result<(Self, Option<Warning>), AnnotationError> {
        let path = path.as_ref();
        let bytes = crate::disk::read(path).map_err(|cause| AnnotationError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let malformed = |cause| AnnotationError::Malformed {
            path: path.to_owned(),
            cause,
        };
        let mut faults = Vec::new();
        let read = Self::parse_with(&bytes, &mut |fault| {
            faults.push(fault);
            Ok(())
        });
        let mut read = read.map_err(malformed)?;
        let Some(&cause) = faults.first() else {
            return Ok((read, None));
        };
        let is_text = bytes
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
        if read.list.is_empty() || is_text || faults.len() > 3 + read.list.len() / 100 {
            return Err(malformed(cause));
        }
        read.list.sort_by_key(|annotation| annotation.sample);
        let warning = Warning::DamagedAnnotations {
            cause,
            read: read.list.len(),
        };
        Ok((read, Some(warning)))
    }

    /// Reads the content of an annotation file: in MIT format, or ISHNE's. Zeroes after the end mark are taken for padding.
    ///
    /// # Errors
    /// [`Malformed`], naming the byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::parse_with(bytes, &mut Err)
    }

    /// As [`parse`](Self::parse). `damaged` is asked whether to go on where it is known how.
    fn parse_with(
        bytes: &[u8],
        damaged: &mut dyn FnMut(Malformed) -> Result<(), Malformed>,
    ) -> Result<Self, Malformed> {
        if bytes.starts_with(crate::ishne::ANNOTATIONS) {
            return crate::ishne::annotations(bytes);
        }
        if let [
            0,
            b'E' | b'F' | b'N' | b'O' | b'P' | b'Q' | b'R' | b'U' | b'V',
            ..,
        ] = bytes
        {
            return Err(Malformed {
                offset: 0,
                fault: Fault::AhaFormat,
            });
        }
        let mut words = Words { bytes, offset: 0 };
        let mut list: Vec<Annotation> = Vec::new();
        let mut time: i64 = 0;
        loop {
            let offset = words.offset;
            let at = |fault| Malformed { offset, fault };
            let word = match words.next() {
                Ok(Some(word)) => word,
                Ok(None) => {
                    damaged(at(Fault::NoEndMark))?;
                    return Ok(Self { list });
                }
                Err(cut) => {
                    damaged(cut)?;
                    return Ok(Self { list });
                }
            };
            if word == 0 {
                if let Some(i) = words.rest().iter().position(|&b| b != 0) {
                    damaged(Malformed {
                        offset: words.offset + i,
                        fault: Fault::AfterEnd {
                            found: words.rest()[i],
                        },
                    })?;
                }
                return Ok(Self { list });
            }
            let (code, number) = (word >> NUMBER_BITS, word & NUMBER_MASK);
            if code == SKIP {
                let high = words.inside("a SKIP");
                let (high, low) = match high.and_then(|high| Ok((high, words.inside("a SKIP")?))) {
                    Ok(step) => step,
                    Err(cut) => {
                        damaged(cut)?;
                        return Ok(Self { list });
                    }
                };
                let step = (u32::from(high) << 16 | u32::from(low)).cast_signed();
                time = time.saturating_add(i64::from(step));
                continue;
            }
            if code < SKIP {
                time = time.saturating_add(i64::from(number));
                let Some(code) = u8::try_from(code).ok().and_then(Code::new) else {
                    damaged(at(Fault::Code { found: code }))?;
                    continue;
                };
                let (previous, channel, number) = list
                    .last()
                    .map_or((0, 0, 0), |a| (a.sample, a.channel, a.number));
                let backwards = at(Fault::Backwards {
                    found: time,
                    previous,
                });
                let sample = u64::try_from(time).map_err(|_| backwards)?;
                if sample < previous {
                    damaged(backwards)?;
                }
                if sample > MAX_SAMPLE {
                    return Err(at(Fault::TooLate { found: sample }));
                }
                list.push(Annotation {
                    channel,
                    number,
                    ..Annotation::new(sample, code)
                });
                continue;
            }
            let Some(last) = list.last_mut() else {
                return Err(at(Fault::NothingToModify { found: code }));
            };
            match code {
                // WFDB keeps eight bits of each: 1023 is -1, and of a channel 255.
                SUB => last.subtype = number.to_le_bytes()[0].cast_signed(),
                NUM => last.number = number.to_le_bytes()[0].cast_signed(),
                CHN => last.channel = number.to_le_bytes()[0],
                _ => {
                    let len = u8::try_from(number).map_err(|_| {
                        at(out_of_range("the text's length", number.into(), 0, 255))
                    })?;
                    match words.text(usize::from(len)) {
                        Ok(text) => last.aux = text.to_vec(),
                        Err(cut) => {
                            damaged(cut)?;
                            return Ok(Self { list });
                        }
                    }
                }
            }
        }
    }

    /// Writes the annotations to a file, whole or not at all: under a temporary name first, then renamed.
    ///
    /// # Errors
    /// [`AnnotationError::Unwritable`] and [`AnnotationError::Io`], naming the file.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), AnnotationError> {
        let path = path.as_ref();
        let bytes = self
            .to_bytes()
            .map_err(|cause| AnnotationError::Unwritable {
                path: path.to_owned(),
                cause,
            })?;
        crate::file::write_whole(path, &bytes).map_err(|cause| AnnotationError::Io {
            path: path.to_owned(),
            cause,
        })
    }

    /// The content of an annotation file, laid out as WFDB's `putann` does: `SUB`, `CHN`, `NUM`, `AUX` in this order,
    /// each only where it says something new.
    ///
    /// # Errors
    /// [`Unwritable`], naming the annotation.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unwritable> {
        let mut bytes = Vec::with_capacity(2 * self.list.len() + 2);
        let (mut time, mut channel, mut number) = (0, 0, 0);
        for (index, annotation) in self.list.iter().enumerate() {
            let Some(mut step) = annotation.sample.checked_sub(time) else {
                return Err(Unwritable::Backwards {
                    index,
                    found: annotation.sample,
                    previous: time,
                });
            };
            if annotation.sample > MAX_SAMPLE {
                return Err(Unwritable::TooLate {
                    index,
                    found: annotation.sample,
                });
            }
            if annotation.aux.len() > usize::from(u8::MAX) {
                return Err(Unwritable::Aux {
                    index,
                    found: annotation.aux.len(),
                });
            }
            // A null annotation whose step is 0 would be the end mark: the step's last sample stays in its own word.
            let own = u64::from(annotation.code == Code::NULL);
            while step > u64::from(NUMBER_MASK) || (own == 1 && step != 1) {
                let skip = skip_of(step.cast_signed() - own.cast_signed());
                push(&mut bytes, SKIP, 0);
                bytes.extend_from_slice(&((skip >> 16) as u16).to_le_bytes());
                bytes.extend_from_slice(&(skip as u16).to_le_bytes());
                step = step.wrapping_add_signed(-i64::from(skip));
            }
            push(
                &mut bytes,
                annotation.code.number().into(),
                step as u16 & NUMBER_MASK,
            );
            if annotation.subtype != 0 {
                push(&mut bytes, SUB, bits(annotation.subtype));
            }
            if annotation.channel != channel {
                push(&mut bytes, CHN, annotation.channel.into());
            }
            if annotation.number != number {
                push(&mut bytes, NUM, bits(annotation.number));
            }
            if !annotation.aux.is_empty() {
                push(&mut bytes, AUX, annotation.aux.len() as u16);
                bytes.extend_from_slice(&annotation.aux);
                bytes.resize(bytes.len().next_multiple_of(2), 0);
            }
            (time, channel, number) = (annotation.sample, annotation.channel, annotation.number);
        }
        push(&mut bytes, 0, 0);
        Ok(bytes)
    }

    /// The beats, in order of time: every annotation whose code [is a beat](Code::is_beat).
    pub fn beats(&self) -> impl Iterator<Item = &Annotation> {
        self.list.iter().filter(|a| a.code.is_beat())
    }

    /// The rate in Hz that the file's samples count at, where it says so: a leading note `## time resolution: 360`.
    /// Without one they count at the record's own rate.
    pub fn time_resolution_hz(&self) -> Option<f64> {
        self.list
            .iter()
            .take_while(|a| a.sample == 0 && a.code == Code::NOTE)
            .find_map(|a| {
                std::str::from_utf8(a.aux.strip_prefix(RESOLUTION_NOTE)?)
                    .ok()?
                    .trim_matches(|c: char| c.is_whitespace() || c == '\0')
                    .parse()
                    .ok()
                    .filter(|hz: &f64| hz.is_finite() && *hz > 0.0)
            })
    }

    /// Recounts the samples at `rate_hz`, and says so in the leading note, where they count at another rate: the one that
    /// the file states, or else `assumed_hz`. (Rounded to the nearest sample, halves up.)
    pub fn count_at(&mut self, rate_hz: f64, assumed_hz: f64) {
        let own = self.time_resolution_hz().unwrap_or(assumed_hz);
        if own == rate_hz {
            return;
        }
        for annotation in &mut self.list {
            if annotation.code == Code::NOTE && annotation.aux.starts_with(RESOLUTION_NOTE) {
                annotation.aux = time_resolution_note(rate_hz).aux;
            }
            annotation.sample = (annotation.sample as f64 * rate_hz / own + 0.5).floor() as u64;
        }
    }
}

/// The note that an annotation file begins with where it counts at another rate than WFDB would assume.
pub(super) fn time_resolution_note(rate_hz: f64) -> Annotation {
    let mut note = Annotation::new(0, Code::NOTE);
    note.aux = [RESOLUTION_NOTE, format!(" {rate_hz}").as_bytes()].concat();
    note
}

/// The largest part of `step` that one `SKIP` holds.
fn skip_of(step: i64) -> i32 {
    step.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

fn push(bytes: &mut Vec<u8>, code: u16, number: u16) {
    bytes.extend_from_slice(&(code << NUMBER_BITS | number).to_le_bytes());
}

/// A signed field in ten bits, two's complement.
fn bits(value: i8) -> u16 {
    i16::from(value).cast_unsigned() & NUMBER_MASK
}

fn out_of_range(field: &'static str, found: i32, low: i32, high: i32) -> Fault {
    Fault::Field {
        field,
        found,
        low,
        high,
    }
}

/// Takes 16-bit words off the front of a file's bytes.
struct Words<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Words<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// The next word; `None` where the file ends between two words.
    fn next(&mut self) -> Result<Option<u16>, Malformed> {
        match self.rest() {
            [] => Ok(None),
            [low, high, ..] => {
                self.offset += 2;
                Ok(Some(u16::from_le_bytes([*low, *high])))
            }
            [_] => Err(self.truncated("a word", 1)),
        }
    }

    /// The next word, where `what` is not complete without it.
    fn inside(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.next()?.ok_or(self.truncated(what, 2))
    }

    /// The next `len` bytes and, where `len` is odd, the byte that pads them.
    fn text(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let padded = len.next_multiple_of(2);
        let rest = self.rest();
        if rest.len() < padded {
            return Err(self.truncated("an auxiliary text", padded - rest.len()));
        }
        self.offset += padded;
        Ok(&rest[..len])
    }

    fn truncated(&self, inside: &'static str, missing: usize) -> Malformed {
        Malformed {
            offset: self.offset,
            fault: Fault::Truncated { inside, missing },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by wfdb-python, see `reference/make_annotations.py`: every field, pads, a note with the time resolution,
    /// a long and a very long gap.
    const BY_WFDB: &[u8] = include_bytes!("reference/annotations.atr");

    fn annotation(sample: u64, code: &str) -> Annotation {
        Annotation::new(sample, Code::from_mnemonic(code).unwrap())
    }

    /// The list in `reference/make_annotations.py`, after what WFDB itself puts first: the time resolution, and a null
    /// annotation that ends such notes.
    fn as_wfdb_was_told() -> Vec<Annotation> {
        let on_channel_1 = |sample, code, subtype| Annotation {
            subtype,
            channel: 1,
            ..annotation(sample, code)
        };
        vec![
            Annotation {
                aux: b"## time resolution: 360".to_vec(),
                ..annotation(0, "\"")
            },
            annotation(0, "[0]"),
            Annotation {
                aux: b"(N".to_vec(),
                ..annotation(7, "+")
            },
            annotation(1030, "N"),
            annotation(2054, "V"),
            on_channel_1(2054, "~", 2),
            on_channel_1(3000, "a", 1),
            Annotation {
                aux: b"odd".to_vec(),
                number: 3,
                ..on_channel_1(3001, "\"", 0)
            },
            on_channel_1(1_000_000, "/", 0),
            annotation(2_000_000_000, "Q"),
        ]
    }

    #[test]
    fn reads_what_wfdb_wrote() {
        let read = Annotations::parse(BY_WFDB).unwrap();
        assert_eq!(read.list, as_wfdb_was_told());
        assert_eq!(read.time_resolution_hz(), Some(360.0));
    }

    #[test]
    fn writes_what_wfdb_writes() {
        let list = as_wfdb_was_told();
        assert_eq!(Annotations { list }.to_bytes().unwrap(), BY_WFDB);
    }

    #[test]
    fn a_file_of_another_rate_is_recounted() {
        let mut read = Annotations::parse(BY_WFDB).unwrap();
        read.count_at(360.0, 250.0);
        assert_eq!(read.list, as_wfdb_was_told());
        read.count_at(128.0, 250.0);
        let samples: Vec<u64> = read.list.iter().map(|a| a.sample).collect();
        // 7, 1030, 2054, 3000, 3001, 1000000 and 2000000000 times 128 / 360.
        assert_eq!(
            samples,
            [0, 0, 2, 366, 730, 730, 1067, 1067, 355_556, 711_111_111]
        );
        assert_eq!(read.time_resolution_hz(), Some(128.0));
    }

    #[test]
    fn every_reference_file_makes_the_round_trip_to_the_byte() {
        let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
            println!("skipped: HEARTLENS_DATA is not set");
            return;
        };
        let mut files = 0;
        for folder in ["mitdb", "svdb"] {
            for entry in std::fs::read_dir(Path::new(&data).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|e| e == "atr") {
                    let bytes = std::fs::read(&path).unwrap();
                    let read = Annotations::read(&path).unwrap();
                    assert!(read.beats().count() > 1000, "{}", path.display());
                    assert!(
                        read.to_bytes().unwrap() == bytes,
                        "{} changed",
                        path.display()
                    );
                    files += 1;
                }
            }
        }
        assert!(files >= 61, "only {files} annotation files found");
    }

    #[test]
    fn rhythms_have_names() {
        let change = Annotation::rhythm_change(7, "(AFIB");
        assert_eq!(change.rhythm(), Some(&b"(AFIB"[..]));
        let mut ended = change.clone();
        ended.aux.push(0);
        assert_eq!(ended.rhythm(), change.rhythm());
        assert_eq!(Annotation::rhythm_change(7, "").rhythm(), None);
        ended.code = Code::NOTE;
        assert_eq!(ended.rhythm(), None);
    }

    #[test]
    fn mnemonics_are_unique_and_lead_back() {
        for number in 0..50 {
            let code = Code::new(number).unwrap();
            assert_eq!(Code::from_mnemonic(code.mnemonic()), Some(code));
        }
        assert_eq!(Code::new(50), None);
        assert_eq!(Code::from_mnemonic("nonsense"), None);
    }

    /// The beats among all 50 codes, as one string in the codes' order: those of WFDB's `isqrs` but for the flutter wave.
    #[test]
    fn beats_are_those_of_wfdb() {
        let codes = || (0..50).map(|n| Code::new(n).unwrap());
        let beats: String = codes()
            .map(|code| if code.is_beat() { 'b' } else { '.' })
            .collect();
        assert_eq!(beats, ".bbbbbbbbbbbbb...........b....b...bb..b..b........");
        let other = codes().filter(|code| code.is_qrs() != code.is_beat());
        assert_eq!(other.collect::<Vec<_>>(), [Code::FLUTTER_WAVE]);
    }

    fn fault(bytes: &[u8]) -> (usize, Fault) {
        let malformed = Annotations::parse(bytes).unwrap_err();
        (malformed.offset, malformed.fault)
    }

    #[test]
    fn malformed_files_are_refused_with_place_and_reason() {
        assert_eq!(fault(b""), (0, Fault::NoEndMark));
        assert_eq!(
            fault(b"not annotations"),
            (
                14,
                Fault::Truncated {
                    inside: "a word",
                    missing: 1
                }
            )
        );
        assert_eq!(fault(b"not annotation"), (14, Fault::NoEndMark));
        assert_eq!(
            fault(b"\x01\x04\0\0!"),
            (4, Fault::AfterEnd { found: b'!' })
        );
        assert_eq!(
            fault(b"\x01\x04\x00\xD8\0\0"),
            (2, Fault::Code { found: 54 })
        );
        assert_eq!(
            fault(b"\x01\xF4\0\0"),
            (0, Fault::NothingToModify { found: 61 })
        );
        assert_eq!(
            fault(b"\x01\x04\x03\xFCab"),
            (
                4,
                Fault::Truncated {
                    inside: "an auxiliary text",
                    missing: 2
                }
            )
        );
        assert_eq!(
            fault(b"\x01\x04\x00\xEC\x01\0"),
            (
                6,
                Fault::Truncated {
                    inside: "a SKIP",
                    missing: 2
                }
            )
        );
        // A SKIP of -5 after sample 2.
        assert_eq!(
            fault(b"\x02\x04\x00\xEC\xFF\xFF\xFB\xFF\x00\x04\0\0"),
            (
                8,
                Fault::Backwards {
                    found: -3,
                    previous: 2
                }
            )
        );
        assert_eq!(
            fault(b"\x01\x04\x00\xFE\0\0"),
            (
                2,
                Fault::Field {
                    field: "the text's length",
                    found: 512,
                    low: 0,
                    high: 255
                }
            )
        );
        assert_eq!(fault(b"\0N\0\0\0\0\x01\0"), (0, Fault::AhaFormat));
        assert_eq!(Annotations::parse(b"\0\0").unwrap().list, []);
    }

    /// Cut anywhere, what came before is read; so is what other programs leave behind the end mark, out of order, and under
    /// codes of their own. Text, and what is no annotation file, is refused as before.
    #[test]
    fn what_is_damaged_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.atr");
        let recover = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Annotations::recover(&path)
        };
        let whole = Annotations::parse(BY_WFDB).unwrap();
        assert_eq!(recover(BY_WFDB).unwrap(), (whole.clone(), None));
        let mut most = 0;
        for cut in 0..BY_WFDB.len() - 1 {
            let Ok((read, warning)) = recover(&BY_WFDB[..cut]) else {
                assert!(most == 0, "{cut}");
                continue;
            };
            let is_damage = |w: &Warning| matches!(w, Warning::DamagedAnnotations { .. });
            assert!(warning.as_ref().is_some_and(is_damage), "{cut}");
            // What belongs to the last one may be cut off.
            let (last, before) = read.list.split_last().unwrap();
            assert_eq!(before, &whole.list[..before.len()], "{cut}");
            assert_eq!(last.sample, whole.list[before.len()].sample, "{cut}");
            most = most.max(read.list.len());
        }
        assert_eq!(most, whole.list.len());

        let samples = |bytes: &[u8]| -> Vec<u64> {
            let (read, warning) = recover(bytes).unwrap();
            assert!(warning.is_some());
            read.list.iter().map(|a| a.sample).collect()
        };
        // N at 2; then a byte behind the end mark, a code of 54 at 3 and N at 4, and a SKIP of -1 before N at 1.
        assert_eq!(samples(b"\x02\x04\0\0!"), [2]);
        assert_eq!(samples(b"\x02\x04\x01\xD8\x01\x04\0\0"), [2, 4]);
        assert_eq!(
            samples(b"\x02\x04\x00\xEC\xFF\xFF\xFF\xFF\x00\x04\0\0"),
            [1, 2]
        );
        assert!(recover(b"0.6 N\n1.4 N\n").is_err());
        assert!(recover(b"").is_err());
        let noise: Vec<u8> = (0..2000_u32).map(|k| ((k * k * 31) >> 5) as u8).collect();
        assert!(recover(&noise).is_err());
    }

    #[test]
    fn channels_have_eight_bits() {
        let read = Annotations::parse(b"\x01\x04\xff\xfb\0\0").unwrap();
        assert_eq!(read.list[0].channel, 255);
    }

    /// WFDB keeps eight bits of numbers and subtypes of ten, as 300 and -512 are: `rdann` shows 44 and 0.
    #[test]
    fn numbers_of_more_than_eight_bits_are_read_as_wfdb_reads_them() {
        let read = Annotations::parse(b"\x01\x04\x2c\xf1\x00\xf6\x01\x14\0\0").unwrap();
        let said: Vec<_> = read.list.iter().map(|a| (a.number, a.subtype)).collect();
        assert_eq!(said, [(44, 0), (44, 0)]);
    }

    /// As wfdb-python 4.3.1 writes subtype -1 and number -2: eight bits.
    #[test]
    fn negative_numbers_of_eight_bits_are_read() {
        let read = Annotations::parse(b"\x01\x04\xff\xf4\xfe\xf0\0\0").unwrap();
        let beat = &read.list[0];
        assert_eq!((beat.subtype, beat.number), (-1, -2));
        assert_eq!(Annotations::parse(&read.to_bytes().unwrap()), Ok(read));
    }

    #[test]
    fn an_error_names_file_place_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.atr");
        std::fs::write(&path, "not annotations").unwrap();
        let error = Annotations::read(&path).unwrap_err();
        assert!(std::error::Error::source(&error).is_none());
        let message = error.to_string();
        assert!(
            message
                .ends_with("x.atr: byte 14: the file ends inside a word; expected 1 more byte(s)"),
            "{message}"
        );
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.atr");
        let late = Annotations {
            list: vec![annotation(9, "N"), annotation(8, "N")],
        };
        assert_eq!(
            late.to_bytes(),
            Err(Unwritable::Backwards {
                index: 1,
                found: 8,
                previous: 9
            })
        );
        assert!(late.write(&path).is_err());
        let mut long = annotation(9, "\"");
        long.aux = vec![b'x'; 256];
        assert_eq!(
            Annotations { list: vec![long] }.to_bytes(),
            Err(Unwritable::Aux {
                index: 0,
                found: 256
            })
        );
        let list = vec![annotation(u64::MAX, "N")];
        assert!(Annotations { list }.to_bytes().is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_written_file_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.atr");
        let annotations = Annotations {
            list: as_wfdb_was_told(),
        };
        annotations.write(&path).unwrap();
        assert_eq!(Annotations::read(&path).unwrap(), annotations);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    fn any_annotations() -> impl Strategy<Value = Annotations> {
        let step = prop_oneof![Just(0), 0..2000_u64, 0..(1_u64 << 33)];
        let text = prop::collection::vec(any::<u8>(), 0..=255);
        let one = (step, 0..50_u8, any::<i8>(), any::<u8>(), any::<i8>(), text);
        prop::collection::vec(one, 0..40).prop_map(|steps| {
            let mut sample = 0;
            let list = steps
                .into_iter()
                .map(|(step, code, subtype, channel, number, aux)| {
                    sample += step;
                    Annotation {
                        sample,
                        code: Code::new(code).unwrap(),
                        subtype,
                        channel,
                        number,
                        aux,
                    }
                })
                .collect();
            Annotations { list }
        })
    }

    /// A file that starts with a word of these two bytes is taken for AHA; no other program writes it as MIT either.
    fn looks_like_aha(bytes: &[u8]) -> bool {
        Annotations::parse(bytes).is_err_and(|e| e.fault == Fault::AhaFormat)
    }

    proptest! {
        #[test]
        fn anything_writable_reads_back(annotations in any_annotations()) {
            let bytes = annotations.to_bytes().unwrap();
            prop_assume!(!looks_like_aha(&bytes));
            prop_assert_eq!(Annotations::parse(&bytes), Ok(annotations));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(read) = Annotations::parse(&bytes) {
                prop_assert_eq!(Annotations::parse(&read.to_bytes().unwrap()), Ok(read));
            }
        }

        /// Random bytes seldom get past the first words; damaged files do.
        #[test]
        fn no_damage_makes_it_panic(at in 0..BY_WFDB.len(), byte: u8, cut in 0..=BY_WFDB.len()) {
            let mut bytes = BY_WFDB.to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            if let Ok(read) = Annotations::parse(&bytes) {
                prop_assert!(read.to_bytes().is_ok());
            }
        }
    }
}
