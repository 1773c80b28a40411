//! WFDB header files (`.hea`), read and written.
//!
//! A record line, one line a signal, and comments. Source: WFDB Applications Guide, `header(5)`; where it lets a field
//! be left out, the value that it says to assume is assumed.

use super::shown;
use super::signal::Format;
use super::{Patient, Sex, Start};
use std::fmt::Write;

/// The largest header that is read, in bytes.
pub(super) const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Sample rate where a header states none, in Hz.
pub(super) const DEFAULT_SAMPLE_RATE_HZ: f64 = 250.0;
/// ADC counts per physical unit where a header states none, or 0.
const DEFAULT_GAIN: f64 = 200.0;
const DEFAULT_UNITS: &str = "mV";
/// The largest number of leads that a record may have.
pub(super) const MAX_LEADS: u64 = 1024;
/// The largest number of samples that a signal may have in a frame.
const MAX_SAMPLES_PER_FRAME: u64 = 1 << 16;

/// What a header says of its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The record's name as the header states it.
    pub name: String,
    /// Frames per second, in Hz; finite and above 0. Annotations count frames.
    pub sample_rate_hz: f64,
    /// Whether the header states the rate; if not, 250 Hz are assumed.
    pub sample_rate_stated: bool,
    /// When the record begins, where the header states it.
    pub start: Option<Start>,
    /// Frames; `None` where the header leaves it to the signal files' size.
    pub len_samples: Option<u64>,
    /// The signals, at least one, in the header's order.
    pub signals: Vec<Signal>,
    /// The comment lines after the signals, without their `#` and outer spaces.
    pub comments: Vec<String>,
}

/// What a header says of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The file that holds the samples, relative to the header's folder. Neighbours may share it.
    pub file: String,
    /// How the file stores a sample; `None` for format 0, a signal that is not stored.
    pub format: Option<Format>,
    /// Samples of the signal in each frame, at least 1: its rate in parts of the record's.
    pub samples_per_frame: u32,
    /// How many frames of the file lie before the signal's sample 0.
    pub skew_samples: u64,
    /// Bytes of the file before its first sample.
    pub byte_offset: u64,
    /// ADC counts per physical unit, finite and not 0.
    pub gain: f64,
    /// Whether the header states the gain; if not, 200 counts per unit are assumed.
    pub calibrated: bool,
    /// The count that means 0 physical units.
    pub baseline: i32,
    /// The physical unit, `mV` where none is stated.
    pub units: String,
    /// Bits of the converter; 0 where unstated.
    pub adc_resolution_bits: u32,
    /// The count in the middle of the converter's range.
    pub adc_zero: i32,
    /// The first sample.
    pub initial_value: i32,
    /// The sum of all samples modulo 2^16; `None` where unstated (WFDB's placeholder for that is 0).
    pub checksum: Option<i16>,
    /// The lead's name, or whatever the header describes the signal by. May be empty.
    pub description: String,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// There is no line but comments.
    #[error("found no record line, expected `NAME LEADS [RATE [SAMPLES]]`; this is no WFDB header")]
    Empty,
    /// The file is too large for a header.
    #[error("found more than {MAX_HEADER_BYTES} bytes; this is no WFDB header")]
    TooLarge,
    /// A field is not there.
    #[error("found no {field}, expected {expected}")]
    Missing {
        /// Which.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A field cannot be read.
    #[error("found `{found}` as {field}, expected {expected}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// There are fewer signal lines than the record line says.
    #[error("the record line promises {promised} lead(s), but {described} are described")]
    Leads {
        /// Leads in the record line.
        promised: u64,
        /// Signal lines found.
        described: usize,
    },
    /// There are very many leads.
    #[error("the record line promises {promised} leads, expected at most {MAX_LEADS}")]
    TooManyLeads {
        /// Leads in the record line.
        promised: u64,
    },
    /// The record line says that there is no signal.
    #[error("the record line promises 0 leads, expected at least 1")]
    NoLeads,
    /// A segment has segments itself.
    #[error(
        "found a record of several segments (`{found}`), expected a record of one segment here"
    )]
    Segments {
        /// The record line's first field.
        found: String,
    },
    /// There are fewer segment lines than the record line says, or none.
    #[error(
        "the record line promises {promised} segment(s), but {described} are described; expected as many, at least 1"
    )]
    SegmentCount {
        /// Segments in the record line.
        promised: u64,
        /// Segment lines found.
        described: usize,
    },
    /// The segments' lengths do not add up to the record's.
    #[error(
        "the segments' lengths add up to {sum} samples, but the record line promises {promised}"
    )]
    SegmentLengths {
        /// Samples of all segments.
        sum: u64,
        /// Samples by the record line.
        promised: u64,
    },
    /// The storage format is none that is supported.
    #[error(
        "found signal format {found}, expected one of 8, 16, 24, 32, 61, 80, 160, 212, 310, 311, 508, 516, 524"
    )]
    Format {
        /// The format's number.
        found: String,
    },
    /// A signal has very many samples a frame.
    #[error("found {found} samples per frame, expected 1 to {MAX_SAMPLES_PER_FRAME}")]
    SamplesPerFrame {
        /// Samples per frame.
        found: u64,
    },
    /// A signal file would lie outside the record's folder.
    #[error("found signal file `{found}`, expected a file in the header's folder or below it")]
    FileOutside {
        /// The file's name.
        found: String,
    },
    /// Signals of one file contradict each other.
    #[error(
        "signal file `{file}` is described {contradiction}; expected its signals in a row, with one format and one byte offset"
    )]
    Group {
        /// The file's name.
        file: String,
        /// How its descriptions differ.
        contradiction: &'static str,
    },
}

/// What is wrong with a header, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct MalformedHeader {
    /// The line at fault, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: HeaderFault,
}

impl Header {
    /// Reads a header's text.
    ///
    /// # Errors
    /// [`MalformedHeader`], naming the line.
    pub fn parse(text: &str) -> Result<Self, MalformedHeader> {
        let mut lines = Lines::of(text);
        let (record_line, record) = lines.record_line()?;
        let at_record = |fault| MalformedHeader {
            line: record_line,
            fault,
        };
        if let Some(segments) = record.segments {
            return Err(at_record(HeaderFault::Segments {
                found: shown(&format!("{}/{segments}", record.name)),
            }));
        }
        let leads = record.leads;
        if leads == 0 {
            return Err(at_record(HeaderFault::NoLeads));
        }

        let mut signals: Vec<Signal> = Vec::new();
        while (signals.len() as u64) < leads {
            if signals.len() as u64 == MAX_LEADS {
                return Err(at_record(HeaderFault::TooManyLeads { promised: leads }));
            }
            let Some((line, signal)) = lines.next_content() else {
                return Err(at_record(HeaderFault::Leads {
                    promised: leads,
                    described: signals.len(),
                }));
            };
            let at = |fault| MalformedHeader { line, fault };
            let signal = Signal::parse(signal).map_err(at)?;
            if let Some(contradiction) = contradiction(&signals, &signal) {
                return Err(at(HeaderFault::Group {
                    file: shown(&signal.file),
                    contradiction,
                }));
            }
            signals.push(signal);
        }
        Ok(Self {
            name: record.name,
            sample_rate_hz: record.sample_rate_hz.unwrap_or(DEFAULT_SAMPLE_RATE_HZ),
            sample_rate_stated: record.sample_rate_hz.is_some(),
            start: record.start,
            len_samples: record.len_samples,
            signals,
            comments: lines.comments(),
        })
    }

    /// The header's text, lines ended by a line feed.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} {}", self.name, self.signals.len());
        // Writing into a String cannot fail.
        if self.sample_rate_stated || self.len_samples.is_some() || self.start.is_some() {
            let _ = write!(text, " {}", self.sample_rate_hz);
        }
        if self.len_samples.is_some() || self.start.is_some() {
            // WFDB's 0 is a length that is not known.
            let _ = write!(text, " {}", self.len_samples.unwrap_or(0));
        }
        if let Some(start) = self.start {
            let _ = write!(text, " {}", start.time);
            if let Some(date) = start.date {
                let _ = write!(text, " {}", date.strftime("%d/%m/%Y"));
            }
        }
        text.push('\n');
        for signal in &self.signals {
            let format = signal.format.map_or(0, Format::number);
            let _ = write!(text, "{} {format}", signal.file);
            if signal.samples_per_frame != 1 {
                let _ = write!(text, "x{}", signal.samples_per_frame);
            }
            if signal.skew_samples != 0 {
                let _ = write!(text, ":{}", signal.skew_samples);
            }
            if signal.byte_offset != 0 {
                let _ = write!(text, "+{}", signal.byte_offset);
            }
            let gain = if signal.calibrated { signal.gain } else { 0.0 };
            let _ = writeln!(
                text,
                " {gain}({})/{} {} {} {} {} 0 {}",
                signal.baseline,
                signal.units,
                signal.adc_resolution_bits,
                signal.adc_zero,
                signal.initial_value,
                signal.checksum.unwrap_or(0),
                signal.description,
            );
        }
        for comment in &self.comments {
            let _ = writeln!(text, "# {comment}");
        }
        text
    }

    /// What the comments say of the patient; see [`patient_of`].
    pub fn patient(&self) -> Patient {
        patient_of(&self.comments)
    }
}

/// What comments say of the patient: the first line as `mitdb` has it (`75 F ...`, age -1 for unknown), or
/// anywhere `<age>: 75 <sex>: F` or `Age: 75 Sex: Female`.
pub fn patient_of(comments: &[String]) -> Patient {
    let mut patient = Patient::default();
    if let Some(first) = comments.first() {
        let mut words = first.split_whitespace();
        if let (Some(age), Some(sex @ ("M" | "F"))) = (words.next(), words.next())
            && age.parse::<f32>().is_ok()
        {
            patient.age_years = age_of(age);
            patient.sex = sex_of(sex);
            return patient;
        }
    }
    let words: Vec<&str> = comments
        .iter()
        .flat_map(|comment| comment.split_whitespace())
        .collect();
    for pair in words.windows(2) {
        match pair[0].to_ascii_lowercase().as_str() {
            "<age>:" | "age:" => patient.age_years = patient.age_years.or(age_of(pair[1])),
            "<sex>:" | "sex:" => patient.sex = patient.sex.or(sex_of(pair[1])),
            _ => {}
        }
    }
    patient
}

fn age_of(word: &str) -> Option<f32> {
    word.parse().ok().filter(|age| (0.0..=130.0).contains(age))
}

fn sex_of(word: &str) -> Option<Sex> {
    match word.to_ascii_lowercase().as_str() {
        "f" | "female" => Some(Sex::Female),
        "m" | "male" => Some(Sex::Male),
        _ => None,
    }
}

/// A header's lines: numbered from 1, trimmed, empty ones left out.
pub(super) struct Lines<'a> {
    lines: std::vec::IntoIter<(usize, &'a str)>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let lines: Vec<(usize, &str)> = text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        Self {
            lines: lines.into_iter(),
        }
    }

    /// The next line that is no comment.
    pub(super) fn next_content(&mut self) -> Option<(usize, &'a str)> {
        self.lines.find(|(_, line)| !line.starts_with('#'))
    }

    /// The record line and its number: the first that is no comment.
    pub(super) fn record_line(&mut self) -> Result<(usize, RecordLine), MalformedHeader> {
        let (line, text) = self.next_content().ok_or(MalformedHeader {
            line: 1,
            fault: HeaderFault::Empty,
        })?;
        let mut record =
            RecordLine::parse(text).map_err(|fault| MalformedHeader { line, fault })?;
        // `mitdb/100` may be a record of 100 segments, or record 100 in a folder: the lines that follow say which.
        if let Some(segments) = record.segments
            && segments != record.leads
            && self.are_signals(record.leads)
        {
            record.name = format!("{}/{segments}", record.name);
            record.segments = None;
        }
        Ok((line, record))
    }

    /// Whether the lines that are left describe so many signals.
    fn are_signals(&self, leads: u64) -> bool {
        let content = || {
            let lines = self.lines.as_slice().iter();
            lines.filter(|(_, line)| !line.starts_with('#'))
        };
        let is_signal = |(_, line): &(usize, &str)| {
            let format = line.split_whitespace().nth(1);
            format.is_some_and(|format| FormatField::parse(format).is_ok())
        };
        content().count() as u64 == leads && content().all(is_signal)
    }

    /// The comments among the lines that are left, without their `#` and outer spaces.
    pub(super) fn comments(self) -> Vec<String> {
        self.lines
            .filter_map(|(_, line)| line.strip_prefix('#'))
            .map(|comment| comment.trim().to_owned())
            .collect()
    }
}

/// What a record line says.
pub(super) struct RecordLine {
    pub(super) name: String,
    /// How many segments the record has, where it is one of several.
    pub(super) segments: Option<u64>,
    pub(super) leads: u64,
    pub(super) sample_rate_hz: Option<f64>,
    pub(super) len_samples: Option<u64>,
    pub(super) start: Option<Start>,
}

impl RecordLine {
    fn parse(line: &str) -> Result<Self, HeaderFault> {
        let mut fields = line.split_whitespace();
        let name = fields.next().ok_or(HeaderFault::Empty)?;
        // A name may have a folder in front.
        let count = name.rsplit_once('/').and_then(|(name, count)| {
            let count: u64 = count.parse().ok()?;
            Some((name, Some(count)))
        });
        let (name, segments) = count.unwrap_or((name, None));
        let leads = fields.next().ok_or(HeaderFault::Missing {
            field: "number of leads",
            expected: "a record line `NAME LEADS [RATE [SAMPLES]]`",
        })?;
        let leads = number("number of leads", leads, "a whole number")?;
        let rate = fields
            .next()
            // A counter's frequency and start may follow the rate: `360/15.24(105.23)`.
            .map(|field| field.split_once('/').map_or(field, |(rate, _)| rate))
            .map(|rate| {
                let expected = "a sample rate in Hz above 0";
                number("sample rate", rate, expected).and_then(|hz: f64| {
                    if hz.is_finite() && hz > 0.0 {
                        Ok(hz)
                    } else {
                        Err(not("sample rate", rate, expected))
                    }
                })
            })
            .transpose()?;
        let len = fields
            .next()
            .map(|field| number("number of samples", field, "a whole number"))
            .transpose()?;
        Ok(Self {
            name: name.to_owned(),
            segments,
            leads,
            sample_rate_hz: rate,
            len_samples: len.filter(|&n| n > 0),
            start: fields.next().and_then(|time| start(time, fields.next())),
        })
    }
}

/// `8:30:15.5` (or `30:15`, `15`: WFDB reads the last part as seconds) and maybe `26/11/2026`. What is none is passed over:
/// nothing that is read depends on it.
fn start(time: &str, date: Option<&str>) -> Option<Start> {
    let (whole, decimals) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = [0; 3];
    let words: Vec<&str> = whole.split(':').collect();
    let from = parts.len().checked_sub(words.len())?;
    for (part, word) in parts[from..].iter_mut().zip(words) {
        *part = word.parse().ok()?;
    }
    let date = date.and_then(|date| {
        let numbers: Vec<i32> = date
            .split('/')
            .filter_map(|part| part.parse().ok())
            .collect();
        let [day, month, year] = numbers.try_into().ok()?;
        Some([year, month, day])
    });
    Some(Start::of(date.unwrap_or_default(), parts)?.with_fraction(decimals))
}

impl Signal {
    fn parse(line: &str) -> Result<Self, HeaderFault> {
        let mut rest = line;
        let mut next = || {
            let field = rest.split_whitespace().next()?;
            rest = rest.trim_start()[field.len()..].trim_start();
            Some(field)
        };
        let file = next().ok_or(HeaderFault::Empty)?.to_owned();
        if is_outside(&file) {
            return Err(HeaderFault::FileOutside {
                found: shown(&file),
            });
        }
        let format = next().ok_or(HeaderFault::Missing {
            field: "signal format",
            expected: "a signal line `FILE FORMAT [GAIN ...]`",
        })?;
        let FormatField {
            format,
            samples_per_frame,
            skew_samples,
            byte_offset,
        } = FormatField::parse(format)?;
        let mut gain = next().map(GainField::parse).transpose()?;
        let mut after = next();
        // A unit of several words goes on up to the next number: `mm Hg`, or `/ mV`.
        if let Some(gain) = gain.as_mut().filter(|gain| gain.has_unit) {
            while let Some(word) = after.filter(|word| word.parse::<i64>().is_err()) {
                gain.units = Some(match gain.units.take() {
                    Some(unit) => format!("{unit} {word}"),
                    None => word.to_owned(),
                });
                after = next();
            }
        }
        let integer = |field, value: Option<&str>| -> Result<i32, HeaderFault> {
            value.map_or(Ok(0), |v| number(field, v, "a whole number of 32 bits"))
        };
        let adc_resolution_bits =
            after.map_or(Ok(0), |v| number("ADC resolution", v, "a number of bits"))?;
        let adc_zero = integer("ADC zero", next())?;
        let initial_value = match next() {
            Some(value) => integer("initial value", Some(value))?,
            None => adc_zero,
        };
        // Some programs write the checksum unsigned: only its 16 bits count.
        let checksum = integer("checksum", next())? as i16;
        integer("block size", next())?;
        let gain = gain.unwrap_or(GainField {
            gain: 0.0,
            baseline: None,
            has_unit: false,
            units: None,
        });
        let calibrated = gain.gain != 0.0;
        Ok(Self {
            file,
            format,
            samples_per_frame,
            skew_samples,
            byte_offset,
            gain: if calibrated { gain.gain } else { DEFAULT_GAIN },
            calibrated,
            baseline: gain.baseline.unwrap_or(adc_zero),
            units: gain.units.unwrap_or_else(|| DEFAULT_UNITS.to_owned()),
            adc_resolution_bits,
            adc_zero,
            initial_value,
            checksum: (checksum != 0).then_some(checksum),
            description: rest.to_owned(),
        })
    }
}

/// `212`, `16+24`, `16x1:3+24`: format, samples per frame, skew, byte offset.
struct FormatField {
    format: Option<Format>,
    samples_per_frame: u32,
    skew_samples: u64,
    byte_offset: u64,
}

impl FormatField {
    fn parse(field: &str) -> Result<Self, HeaderFault> {
        let end = field.find(['x', ':', '+']).unwrap_or(field.len());
        let (format, mut modifiers) = field.split_at(end);
        let expected = "a format, with `xFRAME`, `:SKEW` and `+OFFSET` each at most once";
        let (mut per_frame, mut skew, mut offset) = (None, None, None);
        while let Some(kind) = modifiers.chars().next() {
            let rest = &modifiers[kind.len_utf8()..];
            let end = rest.find(['x', ':', '+']).unwrap_or(rest.len());
            let (value, after) = rest.split_at(end);
            let value: u64 = number("signal format", value, expected)
                .map_err(|_| not("signal format", field, expected))?;
            let target = match kind {
                'x' => &mut per_frame,
                ':' => &mut skew,
                _ => &mut offset,
            };
            if target.replace(value).is_some() {
                return Err(not("signal format", field, expected));
            }
            modifiers = after;
        }
        let number: u16 = number("signal format", format, expected)?;
        let format = match Format::from_number(number) {
            None if number != 0 => {
                return Err(HeaderFault::Format {
                    found: shown(format),
                });
            }
            known => known,
        };
        let samples_per_frame = per_frame.unwrap_or(1).max(1);
        if samples_per_frame > MAX_SAMPLES_PER_FRAME {
            return Err(HeaderFault::SamplesPerFrame {
                found: samples_per_frame,
            });
        }
        Ok(Self {
            format,
            samples_per_frame: samples_per_frame as u32,
            skew_samples: skew.unwrap_or(0),
            byte_offset: offset.unwrap_or(0),
        })
    }
}

/// `200`, `1000/mV`, `200(1024)/mV`: gain, baseline, units.
struct GainField {
    gain: f64,
    baseline: Option<i32>,
    /// Whether a unit follows, be it empty.
    has_unit: bool,
    units: Option<String>,
}

impl GainField {
    fn parse(field: &str) -> Result<Self, HeaderFault> {
        let expected = "`GAIN[(BASELINE)][/UNITS]`, the gain finite";
        let wrong = || not("gain", field, expected);
        let (value, unit) = match field.split_once('/') {
            Some((value, unit)) => (value, Some(unit)),
            None => (field, None),
        };
        let (gain, baseline) = match value.split_once('(') {
            Some((gain, rest)) => {
                let baseline = rest.strip_suffix(')').ok_or_else(wrong)?;
                (gain, Some(baseline.parse().map_err(|_| wrong())?))
            }
            None => (value, None),
        };
        let gain: f64 = gain.parse().map_err(|_| wrong())?;
        // A gain so small or large that f32 cannot hold it is as good as none.
        if !(gain as f32).is_finite() || (gain != 0.0 && gain as f32 == 0.0) {
            return Err(wrong());
        }
        Ok(Self {
            gain,
            baseline,
            has_unit: unit.is_some(),
            units: unit.filter(|unit| !unit.is_empty()).map(str::to_owned),
        })
    }
}

/// Whether a file's name leads out of the header's folder.
pub(super) fn is_outside(file: &str) -> bool {
    let upwards = file.split('/').any(|part| part == "..") || file.starts_with('/');
    upwards || file.contains('\\') || file.contains(':')
}

/// How `new` contradicts the signals before it, if it shares its file with one.
fn contradiction(before: &[Signal], new: &Signal) -> Option<&'static str> {
    new.format?;
    let other = before.iter().rfind(|s| s.file == new.file)?;
    let neighbour = before.last().is_some_and(|s| s.file == new.file);
    if !neighbour {
        Some("in several places")
    } else if other.format != new.format {
        Some("with several formats")
    } else if other.byte_offset != new.byte_offset {
        Some("with several byte offsets")
    } else {
        None
    }
}

pub(super) fn number<T: std::str::FromStr>(
    field: &'static str,
    found: &str,
    expected: &'static str,
) -> Result<T, HeaderFault> {
    found.parse().map_err(|_| not(field, found, expected))
}

fn not(field: &'static str, found: &str, expected: &'static str) -> HeaderFault {
    HeaderFault::Field {
        field,
        found: shown(found),
        expected,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_is_read() {
        let header = Header::parse(
            "# before the record line\r\n\
             \r\n\
             r_1 3 360.5/15.24(105.23) 650000 12:00:00 1/2/2003\r\n\
             a.dat 212x1:3+24 200.5(-12)/uV 11 1024 995 -22131 0 MLII and more\r\n\
             # between the signals\n\
             a.dat 212+24 -100/V 11 1024\n\
             sub/b.dat 16\n\
             a line too many\n\
             #  75 F 1011 654 x1 \n\
             #second",
        )
        .unwrap();
        assert_eq!(header.name, "r_1");
        assert_eq!(header.sample_rate_hz, 360.5);
        assert!(header.sample_rate_stated);
        assert_eq!(header.len_samples, Some(650_000));
        assert_eq!(header.comments, ["75 F 1011 654 x1", "second"]);
        assert_eq!(
            header.signals[0],
            Signal {
                file: "a.dat".into(),
                format: Some(Format::Bits12),
                samples_per_frame: 1,
                skew_samples: 3,
                byte_offset: 24,
                gain: 200.5,
                calibrated: true,
                baseline: -12,
                units: "uV".into(),
                adc_resolution_bits: 11,
                adc_zero: 1024,
                initial_value: 995,
                checksum: Some(-22131),
                description: "MLII and more".into(),
            }
        );
        let second = &header.signals[1];
        assert_eq!((second.gain, second.baseline), (-100.0, 1024));
        assert_eq!((second.units.as_str(), second.initial_value), ("V", 1024));
        assert_eq!((second.checksum, second.description.as_str()), (None, ""));
        assert_eq!(
            header.signals[2],
            Signal {
                file: "sub/b.dat".into(),
                format: Some(Format::Bits16),
                samples_per_frame: 1,
                skew_samples: 0,
                byte_offset: 0,
                gain: 200.0,
                calibrated: false,
                baseline: 0,
                units: "mV".into(),
                adc_resolution_bits: 0,
                adc_zero: 0,
                initial_value: 0,
                checksum: None,
                description: String::new(),
            }
        );
    }

    #[test]
    fn a_header_may_leave_out_rate_length_and_gain() {
        let header = Header::parse("r 1\nr.dat 16 0/mV").unwrap();
        assert_eq!(header.sample_rate_hz, 250.0);
        assert!(!header.sample_rate_stated);
        assert_eq!(header.len_samples, None);
        assert_eq!(header.signals[0].gain, 200.0);
        assert!(!header.signals[0].calibrated);
        assert_eq!(
            Header::parse("r 1 100 0\nr.dat 16").unwrap().len_samples,
            None
        );
    }

    #[test]
    fn a_unit_may_have_spaces() {
        for (line, unit, rest) in [
            ("100(0)/mm Hg 12 0 5 7 0 ABP x", "mm Hg", (12, 5, "ABP x")),
            ("100(3)/ mV 16 0 0 0 0 II", "mV", (16, 0, "II")),
            ("100/beats per min", "beats per min", (0, 0, "")),
            ("100/mV 12", "mV", (12, 0, "")),
        ] {
            let header = Header::parse(&format!("r 1\nr.dat 16 {line}")).unwrap();
            let signal = &header.signals[0];
            assert_eq!(signal.units, unit);
            let read = (
                signal.adc_resolution_bits,
                signal.initial_value,
                signal.description.as_str(),
            );
            assert_eq!(read, rest, "{line}");
            assert_eq!(
                Header::parse(&header.to_text()).unwrap().signals[0],
                *signal
            );
        }
        let said = refusal("r 1\nr.dat 16 100(0) mV 12");
        assert!(said.contains("found `mV` as ADC resolution"), "{said}");
    }

    #[test]
    fn age_and_sex_are_read_from_the_comments() {
        let patient = |comments: &str| {
            Header::parse(&format!("r 1\nr.dat 16\n{comments}"))
                .unwrap()
                .patient()
        };
        let known = |age_years, sex| Patient { age_years, sex };
        assert_eq!(
            patient("# 75 F 1011 654 x1\n# Diapres"),
            known(Some(75.0), Some(Sex::Female))
        );
        assert_eq!(patient("# -1 M 1 2 x1"), known(None, Some(Sex::Male)));
        assert_eq!(
            patient("#<age>: 65 <sex>: M <diagnoses>: Age: 3"),
            known(Some(65.0), Some(Sex::Male))
        );
        assert_eq!(
            patient("# Age: 5\n# Sex: female"),
            known(Some(5.0), Some(Sex::Female))
        );
        for unknown in ["", "# The PVCs are M", "# age: NaN", "# Sex: ?", "# M 75"] {
            assert_eq!(patient(unknown), Patient::default(), "{unknown}");
        }
    }

    fn refusal(text: &str) -> String {
        Header::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nonsense_is_refused_with_place_and_reason() {
        for (text, expected) in [
            ("", "line 1: found no record line"),
            ("# only\n\n#comments", "line 1: found no record line"),
            (
                "nonsense\n",
                "line 1: found no number of leads, expected a record line `NAME LEADS",
            ),
            ("\nr two", "line 2: found `two` as number of leads"),
            ("r -1", "line 1: found `-1` as number of leads"),
            ("r 0 360 10", "line 1: the record line promises 0 leads"),
            (
                "h 9999999 360 650000",
                "line 1: the record line promises 9999999 lead(s), but 0 are described",
            ),
            ("h 2\nh.dat 16", "promises 2 lead(s), but 1 are described"),
            (
                "m/3 2 360 100",
                "found a record of several segments (`m/3`)",
            ),
            (
                "r 1 fast",
                "found `fast` as sample rate, expected a sample rate in Hz above 0",
            ),
            ("r 1 0", "found `0` as sample rate"),
            ("r 1 -360", "found `-360` as sample rate"),
            ("r 1 NaN", "found `NaN` as sample rate"),
            ("r 1 inf", "found `inf` as sample rate"),
            ("r 1 360 many", "found `many` as number of samples"),
            ("r 1 360 -5", "found `-5` as number of samples"),
            ("r 1\nr.dat", "line 2: found no signal format"),
            (
                "r 1\nr.dat 309",
                "line 2: found signal format 309, expected one of 8, 16, 24",
            ),
            (
                "r 1\nr.dat 532",
                "found signal format 532, expected one of 8, 16",
            ),
            (
                "r 1\nr.dat 16x65537",
                "line 2: found 65537 samples per frame, expected 1 to 65536",
            ),
            ("r 1\nr.dat 16+", "found `16+` as signal format"),
            ("r 1\nr.dat 16+1+2", "found `16+1+2` as signal format"),
            ("r 1\nr.dat 16 much", "found `much` as gain"),
            ("r 1\nr.dat 16 200(7", "found `200(7` as gain"),
            ("r 1\nr.dat 16 inf", "found `inf` as gain"),
            ("r 1\nr.dat 16 1e-200", "found `1e-200` as gain"),
            ("r 1\nr.dat 16 1 x", "found `x` as ADC resolution"),
            ("r 1\nr.dat 16 1 1 x", "found `x` as ADC zero"),
            ("r 1\nr.dat 16 1 1 1 x", "found `x` as initial value"),
            ("r 1\nr.dat 16 1 1 1 1 x", "found `x` as checksum"),
            ("r 1\nr.dat 16 1 1 1 1 1 x", "found `x` as block size"),
            ("r 1\n/etc/passwd 16", "found signal file `/etc/passwd`"),
            ("r 1\na/../../b 16", "found signal file `a/../../b`"),
            (
                "r 2\na 16\na 212",
                "signal file `a` is described with several formats",
            ),
            (
                "r 2\na 16\na 16+2",
                "signal file `a` is described with several byte offsets",
            ),
            (
                "r 3\na 16\nb 16\na 16",
                "line 4: signal file `a` is described in several places",
            ),
        ] {
            let found = refusal(text);
            assert!(found.contains(expected), "{text:?}: {found}");
        }
    }

    #[test]
    fn a_message_stays_on_one_line_whatever_the_file_says() {
        let long = format!("r \u{1b}[2J{}", "x".repeat(1000));
        let message = refusal(&long);
        assert!(
            message.len() < 200 && !message.contains('\u{1b}'),
            "{message}"
        );
    }

    #[test]
    fn a_written_header_reads_back() {
        for text in [
            include_str!("reference/w212.hea"),
            include_str!("reference/w16.hea"),
            "r 2 360\na.dat 16:5+24\nb.dat 212 -1e-3(7)/uV 1 2 3 4 5 six seven",
            "r 1\na.dat 16",
            "r 3 360 7\n~ 0\n~ 0x2\nb.dat 311x4",
        ] {
            let header = Header::parse(text).unwrap();
            assert_eq!(Header::parse(&header.to_text()), Ok(header), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~\\n\\t\u{e4}]{0,200}") {
            let _ = Header::parse(&text).map(|header| header.patient());
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0..190_usize, c: char, cut in 0..190_usize) {
            let mut text: Vec<char> = include_str!("reference/w212.hea").chars().collect();
            text[at] = c;
            let _ = Header::parse(&text.iter().collect::<String>());
            text.truncate(cut);
            let _ = Header::parse(&text.iter().collect::<String>());
        }
    }
}
