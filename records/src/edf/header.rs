//! The header of an EDF file: fields of fixed width, in ASCII, padded with spaces.

use crate::MAX_MISSING_SAMPLES;
use crate::header::MAX_LEADS;
use crate::start::{age_at, date_of};
use crate::{Patient, Sex, Start, VoltageUnit, Warning, shown};
use jiff::civil::Date;
use std::io::Read;
use std::str::FromStr;

/// Bytes of the part that describes the file, and of each signal's.
const PART_BYTES: usize = 256;

/// The labels of a signal that holds an EDF+ or a BDF+ file's annotations.
const ANNOTATIONS: [&str; 2] = ["EDF Annotations", "BDF Annotations"];

/// Widths of a signal's fields, in their order. All signals' first fields come first, then all their second ones.
const SIGNAL_FIELDS: [usize; 10] = [16, 80, 8, 8, 8, 8, 8, 80, 8, 32];

/// Why a file is no EDF file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EdfFault {
    /// The file begins otherwise.
    #[error("byte 0: found `{found}` as version, expected `0`; this is no EDF file")]
    Version {
        /// What is there.
        found: String,
    },
    /// The file ends inside the header.
    #[error("byte {found}: the file ends inside the header, expected {expected} bytes of it")]
    HeaderCut {
        /// Bytes that there are.
        found: u64,
        /// Bytes that the header has.
        expected: u64,
    },
    /// A field cannot be read.
    #[error("byte {byte}: found `{found}` as {field}, expected {expected}")]
    Field {
        /// Where the field begins.
        byte: usize,
        /// Which.
        field: &'static str,
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The file is shorter than the header says.
    #[error(
        "found {found} whole data record(s) of {bytes} bytes, but the header promises {promised}"
    )]
    Short {
        /// Data records in the file.
        found: u64,
        /// Bytes of each.
        bytes: u64,
        /// Data records by the header.
        promised: u64,
    },
    /// The file has gaps, but nothing that says when.
    #[error(
        "found an EDF+D file without an `{}` signal, which says when each data record begins",
        ANNOTATIONS[0]
    )]
    NoClock,
    /// A data record does not say when it begins, or annotations cannot be read.
    #[error("data record {record}: found `{found}` among the annotations, expected {expected}")]
    Annotation {
        /// The data record, from 0.
        record: u64,
        /// What is there.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A data record begins before the one before it has ended.
    #[error("data record {record}: begins at {found} s, expected {expected} s or later")]
    Backwards {
        /// The data record, from 0.
        record: u64,
        /// When it begins, in s.
        found: f64,
        /// When the one before ends, in s.
        expected: f64,
    },
}

/// The kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// EDF.
    Plain,
    /// EDF+C.
    Continuous,
    /// EDF+D.
    Discontinuous,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of a sample: 2, or 3 in a BDF file.
    pub(super) sample_bytes: u64,
    pub(super) patient: Patient,
    pub(super) start: Option<Start>,
    /// `None` where the recorder had not finished.
    promised: Option<u64>,
    /// How long a data record lasts, in s; above 0.
    pub(super) record_s: f64,
    pub(super) signals: Vec<Signal>,
}

/// What a header says of one signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signal {
    pub(super) label: String,
    /// Why it has no range of values, where a limit is no number that fits.
    fault: Option<EdfFault>,
    /// Transducer and filters.
    pub(super) made_by: String,
    pub(super) dimension: String,
    /// `None` where the dimension is no voltage.
    pub(super) unit: Option<VoltageUnit>,
    pub(super) physical: (f64, f64),
    pub(super) digital: (i32, i32),
    /// Samples in a data record.
    pub(super) per_record: usize,
    sample_bytes: u64,
}

impl Signal {
    /// All signals. One without a range of values is dead and does not stop the others, unless all are.
    fn all(bytes: &[u8], signals: usize, sample_bytes: u64) -> Result<Vec<Self>, EdfFault> {
        let signals = (0..signals)
            .map(|index| Self::parse(bytes, index, signals, sample_bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let mut samples = signals.iter().filter(|signal| !signal.is_annotations());
        let fault = samples.next().and_then(|first| first.fault.clone());
        match fault {
            Some(fault) if samples.all(|signal| signal.fault.is_some()) => Err(fault),
            _ => Ok(signals),
        }
    }

    pub(super) fn is_annotations(&self) -> bool {
        ANNOTATIONS.contains(&&*self.label)
    }

    /// Bytes of the signal in a data record.
    pub(super) fn bytes(&self) -> u64 {
        self.sample_bytes * self.per_record as u64
    }
}

/// Reads the header at the beginning of a file.
pub(super) fn read(file: &mut impl Read) -> std::io::Result<Result<Header, EdfFault>> {
    let mut bytes = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut bytes)?;
    let signals = match count_signals(&bytes) {
        Ok(signals) => signals,
        Err(fault) => return Ok(Err(fault)),
    };
    let rest = (signals * PART_BYTES) as u64;
    file.take(rest).read_to_end(&mut bytes)?;
    Ok(Header::parse(&bytes, signals))
}

/// What a BDF file begins with.
pub(super) const BDF: &[u8] = b"\xffBIOSEMI";

/// Checks that a file is EDF by its first bytes, and says how many signals it has.
fn count_signals(bytes: &[u8]) -> Result<usize, EdfFault> {
    let version = text(&bytes[..bytes.len().min(8)]);
    if version != "0" && !bytes.starts_with(BDF) {
        return Err(EdfFault::Version {
            found: shown(&version),
        });
    }
    if bytes.len() < PART_BYTES {
        return Err(EdfFault::HeaderCut {
            found: bytes.len() as u64,
            expected: PART_BYTES as u64,
        });
    }
    let mut fields = Fields { bytes, at: 252 };
    let expected = "a number of signals, 1 to 1024";
    let signals = fields.number("number of signals", 4, expected)?;
    if (1..=MAX_LEADS).contains(&signals) {
        Ok(signals as usize)
    } else {
        Err(fields.not("number of signals", 4, expected))
    }
}

impl Header {
    /// Reads the header of so many signals.
    fn parse(bytes: &[u8], signals: usize) -> Result<Self, EdfFault> {
        let size = PART_BYTES * (signals + 1);
        if bytes.len() < size {
            return Err(EdfFault::HeaderCut {
                found: bytes.len() as u64,
                expected: size as u64,
            });
        }
        let mut fields = Fields { bytes, at: 8 };
        let patient = fields.next(80);
        let recording = fields.next(80);
        let day = fields.next(8);
        let time = fields.next(8);
        let expected = "256 bytes, and 256 for each signal";
        if fields.number::<u64>("header size", 8, expected)? != size as u64 {
            return Err(fields.not("header size", 8, expected));
        }
        let kind = fields.next(44);
        let sample_bytes = if bytes.starts_with(BDF) { 3 } else { 2 };
        let kind = match kind.get(..5) {
            Some("EDF+C" | "BDF+C") => Kind::Continuous,
            Some("EDF+D" | "BDF+D") => Kind::Discontinuous,
            _ => Kind::Plain,
        };
        let expected = "a whole number, or -1 where it is not known";
        let promised = match fields.number::<i64>("number of data records", 8, expected)? {
            -1 => None,
            count => Some(
                u64::try_from(count)
                    .map_err(|_| fields.not("number of data records", 8, expected))?,
            ),
        };
        let expected = "a duration in s above 0";
        let record_s: f64 = fields.limit("duration of a data record", 8, expected)?;
        if !(record_s > 0.0 && record_s.is_finite()) {
            return Err(fields.not("duration of a data record", 8, expected));
        }
        Ok(Self {
            kind,
            sample_bytes,
            patient: match kind {
                Kind::Plain => Patient::default(),
                _ => patient_of(&patient, start_date(&day)),
            },
            start: start(&recording, &day, &time),
            promised,
            record_s,
            signals: Signal::all(bytes, signals, sample_bytes)?,
        })
    }

    /// Some programs call a file BDF and write 16 bits. Where a file of `size` bytes holds just as many data records as the
    /// header promises if its samples have 16 bits, and no signal's range needs more, they have; says whether it is so.
    pub(super) fn is_narrow(&mut self, size: u64) -> bool {
        let Some(promised) = self.promised.filter(|_| self.sample_bytes == 3) else {
            return false;
        };
        let samples: u64 = self.signals.iter().map(|s| s.per_record as u64).sum();
        let narrow = promised.checked_mul(2 * samples);
        let fits = |signal: &Signal| {
            let (low, high) = signal.digital;
            i16::try_from(low).is_ok() && i16::try_from(high).is_ok()
        };
        if narrow != Some(size.saturating_sub(self.bytes())) || !self.signals.iter().all(fits) {
            return false;
        }
        self.sample_bytes = 2;
        for signal in &mut self.signals {
            signal.sample_bytes = 2;
        }
        true
    }

    /// Bytes of the header.
    pub(super) fn bytes(&self) -> u64 {
        (PART_BYTES * (self.signals.len() + 1)) as u64
    }

    /// Bytes of a data record.
    pub(super) fn record_bytes(&self) -> u64 {
        self.signals.iter().map(Signal::bytes).sum()
    }

    /// The rate of a signal, in Hz.
    pub(super) fn rate_hz(&self, signal: &Signal) -> f64 {
        signal.per_record as f64 / self.record_s
    }

    /// Data records of a file of `size` bytes, and what is strange about their number.
    pub(super) fn data_records(&self, size: u64) -> Result<(u64, Vec<Warning>), EdfFault> {
        let data = size.saturating_sub(self.bytes());
        let found = data / self.record_bytes();
        let Some(promised) = self.promised else {
            return Ok((found, vec![Warning::Unfinished { found }]));
        };
        if promised > found {
            let most = self.signals.iter().map(|s| s.per_record as u64).max();
            let missing = (promised - found).saturating_mul(most.unwrap_or(1));
            if found > 0 && missing <= MAX_MISSING_SAMPLES {
                let what = "data records";
                return Ok((
                    found,
                    vec![Warning::Short {
                        what,
                        promised,
                        found,
                    }],
                ));
            }
            return Err(EdfFault::Short {
                found,
                bytes: self.record_bytes(),
                promised,
            });
        }
        let bytes = data - promised * self.record_bytes();
        let trailing = (bytes > 0).then_some(Warning::Trailing { bytes });
        Ok((promised, trailing.into_iter().collect()))
    }
}

impl Signal {
    /// Reads what the header says of the signal at `index` of `signals`.
    fn parse(
        bytes: &[u8],
        index: usize,
        signals: usize,
        sample_bytes: u64,
    ) -> Result<Self, EdfFault> {
        let mut column = PART_BYTES;
        let mut places = SIGNAL_FIELDS.into_iter().map(|width| {
            let at = column + index * width;
            column += signals * width;
            at
        });
        let mut fields = Fields { bytes, at: 0 };
        let mut go = |fields: &mut Fields| fields.at = places.next().unwrap_or(0);
        go(&mut fields);
        let label = fields.next(16);
        go(&mut fields);
        let transducer = fields.next(80);
        go(&mut fields);
        let dimension = fields.next(8);
        let mut fault = None;
        let mut physical = [0.0_f64; 2];
        for limit in &mut physical {
            go(&mut fields);
            let expected = "a finite number";
            match fields.limit("physical minimum or maximum", 8, expected) {
                Ok(found) if f64::is_finite(found) => *limit = found,
                Ok(_) => {
                    fault.get_or_insert(fields.not("physical minimum or maximum", 8, expected));
                }
                Err(found) => {
                    fault.get_or_insert(found);
                }
            }
        }
        let mut digital = [0_i32; 2];
        let (expected, bits) = match sample_bytes {
            2 => ("a whole number of 16 bits", 16),
            _ => ("a whole number of 24 bits", 24),
        };
        for limit in &mut digital {
            go(&mut fields);
            let half = 1 << (bits - 1);
            match fields.limit("digital minimum or maximum", 8, expected) {
                Ok(found) if (-half..half).contains(&found) => *limit = found,
                Ok(_) => {
                    fault.get_or_insert(fields.not("digital minimum or maximum", 8, expected));
                }
                Err(found) => {
                    fault.get_or_insert(found);
                }
            }
        }
        go(&mut fields);
        let filters = fields.next(80);
        go(&mut fields);
        let expected = "a whole number";
        let per_record = fields.number("samples in a data record", 8, expected)?;
        let made_by: Vec<&str> = [&*transducer, &*filters]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        // A signal without a range is dead, see below.
        if fault.is_some() {
            (physical, digital) = ([0.0; 2], [0; 2]);
        }
        Ok(Self {
            label,
            fault,
            made_by: made_by.join(", "),
            unit: dimension.parse().ok(),
            dimension,
            physical: (physical[0], physical[1]),
            digital: (digital[0], digital[1]),
            per_record,
            sample_bytes,
        })
    }
}

/// Takes fields off a header, of which there are enough bytes.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn next(&mut self, width: usize) -> String {
        let field = text(&self.bytes[self.at..self.at + width]);
        self.at += width;
        field
    }

    fn number<T: FromStr>(
        &mut self,
        field: &'static str,
        width: usize,
        expected: &'static str,
    ) -> Result<T, EdfFault> {
        let found = self.next(width);
        found.parse().map_err(|_| self.not(field, width, expected))
    }

    /// As [`Fields::number`], with a decimal point or a decimal comma; 0 where the field is blank.
    fn limit<T: FromStr + Default>(
        &mut self,
        field: &'static str,
        width: usize,
        expected: &'static str,
    ) -> Result<T, EdfFault> {
        let found = self.next(width).replacen(',', ".", 1);
        if found.is_empty() {
            return Ok(T::default());
        }
        found.parse().map_err(|_| self.not(field, width, expected))
    }

    /// The field that was taken last is not what it should be.
    fn not(&self, field: &'static str, width: usize, expected: &'static str) -> EdfFault {
        let byte = self.at - width;
        EdfFault::Field {
            byte,
            field,
            found: shown(&text(&self.bytes[byte..self.at])),
            expected,
        }
    }
}

/// A field's text. It should be ASCII; where it is not, it mostly is Latin-1 (a micro sign).
fn text(field: &[u8]) -> String {
    let text: String = field.iter().map(|&byte| char::from(byte)).collect();
    text.trim_matches([' ', '\0']).to_owned()
}

/// Sex and age by EDF+: `MCH-0234567 F 02-MAY-1951 Haagse_Harry`, and the day of the recording. Where no birth date is
/// known, a word of its own may state the age, `age:75`: EDF+ allows more words, and `heartlens convert` writes it.
fn patient_of(identification: &str, day: Option<Date>) -> Patient {
    let mut words = identification.split(' ').skip(1);
    let sex = match words.next() {
        Some("F") => Some(Sex::Female),
        Some("M") => Some(Sex::Male),
        _ => None,
    };
    let birth = words.next().and_then(birth_date);
    let stated = || {
        let age: f32 = words
            .find_map(|word| word.strip_prefix("age:"))?
            .parse()
            .ok()?;
        (0.0..=130.0).contains(&age).then_some(age)
    };
    Patient {
        age_years: age_at(birth, day).or_else(stated),
        sex,
    }
}

/// `02-MAY-1951`.
fn birth_date(word: &str) -> Option<Date> {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let mut parts = word.split('-');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))?;
    date_of(parts.next()?.parse().ok()?, month as i32 + 1, day)
}

/// `16.09.87`; the years are those from 1985 to 2084.
fn start_date(field: &str) -> Option<Date> {
    let mut parts = field.split('.');
    let day = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    let year: u8 = parts.next()?.parse().ok()?;
    let century = if year >= 85 { 1900 } else { 2000 };
    date_of(century + i32::from(year), month, day)
}

/// When the recording begins. EDF+ has its year in full: `Startdate 02-MAR-2002 ...`.
fn start(recording: &str, day: &str, time: &str) -> Option<Start> {
    let full = recording.strip_prefix("Startdate ").and_then(|rest| {
        let word = rest.split(' ').next()?;
        birth_date(word)
    });
    let parts: Vec<i32> = time
        .split(['.', ':'])
        .filter_map(|part| part.parse().ok())
        .collect();
    let time = parts.try_into().ok()?;
    let start = Start::of([0; 3], time)?;
    let date = full.or_else(|| start_date(day));
    // The first day that EDF can state, at midnight, stands for none.
    let is_none = date == date_of(1985, 1, 1) && start.time == jiff::civil::Time::midnight();
    (!is_none).then_some(Start { date, ..start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_and_sex_are_read() {
        let known = |age, sex| Patient {
            age_years: age,
            sex,
        };
        let of = |text| patient_of(text, start_date("16.09.87"));
        assert_eq!(
            of("MCH-0234567 F 02-MAY-1951 Haagse_Harry"),
            known(Some(36.0), Some(Sex::Female))
        );
        assert_eq!(of("X M 17-SEP-1951 X"), known(Some(35.0), Some(Sex::Male)));
        assert_eq!(of("X X X X"), Patient::default());
        assert_eq!(of(""), Patient::default());
        assert_eq!(of("X F 02-MAY-2051 X"), known(None, Some(Sex::Female)));
        assert_eq!(of("X M X X age:61.5"), known(Some(61.5), Some(Sex::Male)));
        assert_eq!(of("X X X X age:1000"), Patient::default());
        assert_eq!(start_date("01.02.84"), date_of(2084, 2, 1));
        assert_eq!(start_date("yy.mm.dd"), None);
    }
}
