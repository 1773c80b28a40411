//! WFDB signal files: samples stored, decoded and encoded. Source: WFDB Applications Guide, `signal(5)`.
//!
//! The samples of signals that share a file are interleaved: one of each signal, then the next of each.

use super::header::{Header, MAX_HEADER_BYTES, MalformedHeader};
use super::{Contents, Lead, RecordError, Source, Warning};
use heartlens_core::sample::{AdcCount, Calibration};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How a WFDB signal file stores a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Format 16: two bytes, little-endian, two's complement.
    Bits16,
    /// Format 212: 12 bits, two's complement, two samples in three bytes.
    Bits12,
}

impl Format {
    /// The format with this WFDB number, or `None` where it is not supported.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            16 => Some(Self::Bits16),
            212 => Some(Self::Bits12),
            _ => None,
        }
    }

    /// The format's WFDB number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Bits16 => 16,
            Self::Bits12 => 212,
        }
    }

    /// The smallest and the largest count that means an amplitude.
    pub const fn range(self) -> (i32, i32) {
        match self {
            Self::Bits16 => (-0x7fff, 0x7fff),
            Self::Bits12 => (-0x7ff, 0x7ff),
        }
    }

    /// The count that means "no valid sample here".
    pub const fn invalid(self) -> i32 {
        self.range().0 - 1
    }

    /// How many whole samples `bytes` hold.
    const fn samples_in(self, bytes: u64) -> u64 {
        match self {
            Self::Bits16 => bytes / 2,
            Self::Bits12 => bytes / 3 * 2 + bytes % 3 / 2,
        }
    }

    /// The bytes that `samples` take.
    const fn bytes_of(self, samples: u64) -> u64 {
        match self {
            Self::Bits16 => samples * 2,
            Self::Bits12 => samples / 2 * 3 + samples % 2 * 2,
        }
    }

    /// Sample `n` of `bytes`, which must hold it whole.
    fn decode(self, bytes: &[u8], n: usize) -> i32 {
        match self {
            Self::Bits16 => i16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]]).into(),
            Self::Bits12 => {
                let pair = &bytes[n / 2 * 3..];
                let bits = if n.is_multiple_of(2) {
                    u16::from(pair[1] & 0x0f) << 8 | u16::from(pair[0])
                } else {
                    u16::from(pair[1] & 0xf0) << 4 | u16::from(pair[2])
                };
                ((bits << 4).cast_signed() >> 4).into()
            }
        }
    }

    /// The content of a signal file that holds `leads`, all of one length, each count within [`Format::range`] or
    /// [`Format::invalid`]. Counts beyond are clamped to the range.
    pub fn encode(self, leads: &[&[i32]]) -> Vec<u8> {
        let len = leads.iter().map(|lead| lead.len()).min().unwrap_or(0);
        let (low, high) = self.range();
        let samples = (0..len).flat_map(|k| {
            leads.iter().map(move |lead| match lead[k] {
                count if count == self.invalid() => count,
                count => count.clamp(low, high),
            })
        });
        let mut bytes = Vec::with_capacity(self.bytes_of((len * leads.len()) as u64) as usize);
        for (n, count) in samples.enumerate() {
            match self {
                Self::Bits16 => bytes.extend_from_slice(&(count as i16).to_le_bytes()),
                Self::Bits12 if n.is_multiple_of(2) => {
                    bytes.extend_from_slice(&[count as u8, (count >> 8) as u8 & 0x0f]);
                }
                Self::Bits12 => {
                    let middle = bytes.len() - 1;
                    bytes[middle] |= (count >> 4) as u8 & 0xf0;
                    bytes.push(count as u8);
                }
            }
        }
        bytes
    }
}

/// The sum of all samples modulo 2^16, as a header's checksum states it.
pub fn checksum(counts: &[i32]) -> i16 {
    counts
        .iter()
        .fold(0_i16, |sum, &count| sum.wrapping_add(count as i16))
}

/// A WFDB record whose header is read and whose signal files are there.
#[derive(Debug)]
struct Wfdb {
    signals: Vec<Stored>,
    /// Samples of every lead.
    len: usize,
    /// What opening the record found strange.
    warnings: Vec<Warning>,
}

/// Where one lead's samples are.
#[derive(Debug)]
struct Stored {
    path: PathBuf,
    format: Format,
    byte_offset: u64,
    /// Signals in the file, and which of them this is.
    interleaved: usize,
    position: usize,
    /// Frames that the file holds.
    frames: u64,
    skew: u64,
    name: String,
    units: String,
    calibration: Option<Calibration>,
    /// The checksum that the header states, where it can be verified.
    checksum: Option<i16>,
    /// Set by the first reading whose checksum differs: the sum found.
    mismatch: OnceLock<i16>,
}

/// Opens a WFDB record: reads the header and looks at the signal files' sizes, no samples yet.
pub(super) fn open(header_path: &Path) -> Result<Contents, RecordError> {
    let header = read_header(header_path)?;
    let folder = header_path.parent().unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    if !header.sample_rate_stated {
        warnings.push(Warning::RateAssumed {
            hz: header.sample_rate_hz,
        });
    }
    let mut signals = Vec::new();
    let mut leads = Vec::new();
    let mut shortest: Option<(u64, PathBuf)> = None;
    for group in header.signals.chunk_by(|a, b| a.file == b.file) {
        let path = folder.join(&group[0].file);
        let (format, byte_offset) = (group[0].format, group[0].byte_offset);
        let size = std::fs::metadata(&path)
            .and_then(|meta| {
                if meta.is_dir() {
                    return Err(std::io::ErrorKind::IsADirectory.into());
                }
                Ok(meta.len())
            })
            .map_err(|cause| RecordError::Io {
                path: path.clone(),
                cause,
            })?;
        let frames = format.samples_in(size.saturating_sub(byte_offset)) / group.len() as u64;
        if let Some(promised) = header.len_samples
            && promised > frames
        {
            return Err(RecordError::TooShort {
                header: header_path.to_owned(),
                path,
                found: frames,
                promised,
            });
        }
        for (position, signal) in group.iter().enumerate() {
            let name = if signal.description.is_empty() {
                format!("lead {}", leads.len())
            } else {
                signal.description.clone()
            };
            if !signal.calibrated {
                warnings.push(Warning::Uncalibrated { lead: name.clone() });
            }
            let calibration =
                counts_per_mv(signal.gain, &signal.units).map(|counts_per_mv| Calibration {
                    counts_per_mv,
                    zero: signal.baseline,
                });
            leads.push(Lead {
                name: name.clone(),
                units: signal.units.clone(),
                calibration,
            });
            signals.push(Stored {
                path: path.clone(),
                format,
                byte_offset,
                interleaved: group.len(),
                position,
                frames,
                skew: signal.skew_samples,
                name,
                units: signal.units.clone(),
                calibration,
                checksum: signal.checksum.filter(|_| header.len_samples.is_some()),
                mismatch: OnceLock::new(),
            });
        }
        let skew = group.iter().map(|s| s.skew_samples).max().unwrap_or(0);
        let usable = frames.saturating_sub(skew);
        if shortest.as_ref().is_none_or(|(least, _)| usable < *least) {
            shortest = Some((usable, path));
        }
    }
    let (available, path) = shortest.unwrap_or((0, header_path.to_owned()));
    let len = header.len_samples.unwrap_or(available);
    if len == 0 {
        return Err(RecordError::NoSamples { path });
    }
    let len = usize::try_from(len).map_err(|_| RecordError::TooLong {
        header: header_path.to_owned(),
        found: len,
    })?;
    Ok(Contents {
        sample_rate_hz: header.sample_rate_hz,
        len,
        leads,
        patient: header.patient(),
        comments: header.comments,
        source: Box::new(Wfdb {
            signals,
            len,
            warnings,
        }),
    })
}

fn read_header(path: &Path) -> Result<Header, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
                path: path.to_owned(),
            },
            _ => io(cause),
        })?
        .take(MAX_HEADER_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let parsed = if bytes.len() as u64 > MAX_HEADER_BYTES {
        Err(MalformedHeader {
            line: 1,
            fault: super::header::HeaderFault::TooLarge,
        })
    } else {
        // Old headers hold names and comments in any of several encodings; the fields themselves are ASCII.
        Header::parse(&String::from_utf8_lossy(&bytes))
    };
    parsed.map_err(|cause| RecordError::Header {
        path: path.to_owned(),
        cause,
    })
}

/// Counts per millivolt of a signal whose unit is a voltage, or `None`.
fn counts_per_mv(gain: f64, units: &str) -> Option<f32> {
    let units_per_mv = match units {
        "mV" | "mv" | "MV" => 1.0,
        "uV" | "uv" | "UV" | "\u{b5}V" | "\u{3bc}V" => 1000.0,
        "nV" | "nv" => 1e6,
        "V" | "v" => 1e-3,
        _ => return None,
    };
    let counts_per_mv = (gain * units_per_mv) as f32;
    (counts_per_mv.is_finite() && counts_per_mv != 0.0).then_some(counts_per_mv)
}

impl Stored {
    /// All samples of the lead. Those that the skew moves beyond the file's end are invalid.
    fn read(&self, len: usize) -> Result<Vec<i32>, RecordError> {
        let io = |cause| RecordError::Io {
            path: self.path.clone(),
            cause,
        };
        let wanted = (len as u64).saturating_add(self.skew).min(self.frames);
        let mut bytes = Vec::new();
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(self.byte_offset)).map_err(io)?;
        let size = self.format.bytes_of(wanted * self.interleaved as u64);
        file.take(size).read_to_end(&mut bytes).map_err(io)?;
        if (bytes.len() as u64) < size {
            // The file has shrunk since the record was opened.
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let frame = |k: usize| {
            self.format
                .decode(&bytes, k * self.interleaved + self.position)
        };
        let wanted = wanted as usize;
        if let Some(stated) = self.checksum {
            let found =
                (0..wanted.min(len)).fold(0_i16, |sum, k| sum.wrapping_add(frame(k) as i16));
            if found != stated {
                self.mismatch.get_or_init(|| found);
            }
        }
        let skew = usize::try_from(self.skew).unwrap_or(usize::MAX);
        let mut counts: Vec<i32> = (skew.min(wanted)..wanted).map(frame).collect();
        counts.resize(len, self.format.invalid());
        Ok(counts)
    }
}

impl Source for Wfdb {
    fn read_adc(&self, lead: usize) -> Result<Vec<i32>, RecordError> {
        self.signals[lead].read(self.len)
    }

    fn read_mv(&self, lead: usize) -> Result<Vec<f32>, RecordError> {
        let signal = &self.signals[lead];
        let Some(calibration) = signal.calibration else {
            return Err(RecordError::NotVoltage {
                path: signal.path.clone(),
                lead: signal.name.clone(),
                units: signal.units.clone(),
            });
        };
        let invalid = signal.format.invalid();
        let counts = signal.read(self.len)?;
        Ok(counts
            .into_iter()
            .map(|count| {
                if count == invalid {
                    f32::NAN
                } else {
                    calibration.millivolts(AdcCount(count)).0
                }
            })
            .collect())
    }

    fn warnings(&self) -> Vec<Warning> {
        let mismatches = self.signals.iter().filter_map(|signal| {
            Some(Warning::Checksum {
                lead: signal.name.clone(),
                found: *signal.mismatch.get()?,
                stated: signal.checksum?,
            })
        });
        self.warnings.iter().cloned().chain(mismatches).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::records::{LeadChoice, Record};
    use proptest::prelude::*;

    /// Sample k of lead i, as `reference/make_signals.py` has it.
    fn count(k: usize, i: usize, low: i32, span: usize) -> i32 {
        low + ((k * 997 + i * 1301) % span) as i32
    }

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn open(folder: &tempfile::TempDir, name: &str) -> Result<Record, RecordError> {
        Record::open(folder.path().join(name))
    }

    const W212: [(&str, &[u8]); 2] = [
        ("w212.hea", include_bytes!("reference/w212.hea")),
        ("w212.dat", include_bytes!("reference/w212.dat")),
    ];
    const W16: [(&str, &[u8]); 2] = [
        ("w16.hea", include_bytes!("reference/w16.hea")),
        ("w16.dat", include_bytes!("reference/w16.dat")),
    ];

    #[test]
    fn format_212_as_wfdb_wrote_it() {
        let folder = folder_with(&W212);
        let record = open(&folder, "w212.hea").unwrap();
        assert_eq!((record.name(), record.len_samples()), ("w212", 7));
        assert_eq!(record.sample_rate_hz(), 360.0);
        assert_eq!(record.patient().age_years, Some(75.0));
        let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["MLII", "V1", "a name with spaces"]);
        for i in 0..3 {
            let expected: Vec<i32> = (0..7)
                .map(|k| match (k, i) {
                    (4, 1) => -2048,
                    _ => count(k, i, -2047, 4095),
                })
                .collect();
            assert_eq!(record.read_lead_adc(i).unwrap(), expected, "lead {i}");
        }
        let mv = [0, 1, 2].map(|i| record.read_lead(i).unwrap());
        assert_eq!(mv[0][0], (-2047.0 - 1024.0) / 200.0);
        // 0.2 counts per microvolt are 200 per millivolt, 1000 per volt are 1.
        assert_eq!(mv[1][3], count(3, 1, -2047, 4095) as f32 / 200.0);
        assert_eq!(mv[2][6], (count(6, 2, -2047, 4095) + 7) as f32);
        for (i, lead) in mv.iter().enumerate() {
            for (k, sample) in lead.iter().enumerate() {
                assert_eq!(sample.is_nan(), (k, i) == (4, 1), "lead {i} sample {k}");
            }
        }
        assert_eq!(record.warnings(), []);
    }

    #[test]
    fn format_16_as_wfdb_wrote_it() {
        let folder = folder_with(&W16);
        let record = open(&folder, "w16").unwrap();
        assert_eq!((record.len_samples(), record.sample_rate_hz()), (5, 250.5));
        for i in 0..2 {
            let expected: Vec<i32> = (0..5).map(|k| count(k, i, -32767, 65535)).collect();
            assert_eq!(record.read_lead_adc(i).unwrap(), expected, "lead {i}");
        }
        assert_eq!(record.read_lead(0).unwrap()[0], -32.767);
        assert_eq!(
            record.read_lead(1).unwrap()[2],
            (count(2, 1, -32767, 65535) - 12) as f32 / 500.5
        );
        assert_eq!(record.warnings(), []);
    }

    #[test]
    fn leads_may_lie_in_several_files_with_offset_and_skew() {
        let pair: Vec<i32> = vec![1, -2, 3, -4];
        let mut with_preamble = b"preamble".to_vec();
        with_preamble.extend(Format::Bits16.encode(&[&[10, 11, 12, 13, 14]]));
        let folder = folder_with(&[
            (
                "r.hea",
                b"r 3 100 4\n\
                  a.dat 212 100 12 0 1 -2 0 a\n\
                  a.dat 212 100 12 0 1 -2 0 b\n\
                  b.dat 16:2+8 100 16 0 10 46 0 c\n",
            ),
            ("a.dat", &Format::Bits12.encode(&[&pair, &pair])),
            ("b.dat", &with_preamble),
        ]);
        let record = open(&folder, "r").unwrap();
        assert_eq!(record.read_lead_adc(0).unwrap(), pair);
        assert_eq!(record.read_lead_adc(1).unwrap(), pair);
        assert_eq!(
            record.read_lead_adc(2).unwrap(),
            [12, 13, 14, Format::Bits16.invalid()]
        );
        let mv = record.read_lead(2).unwrap();
        assert_eq!(mv[..3], [0.12, 0.13, 0.14]);
        assert!(mv[3].is_nan());
        assert_eq!(record.warnings(), []);
    }

    #[test]
    fn a_length_left_out_follows_from_the_file() {
        let folder = folder_with(&[
            ("r.hea", b"r 2\nr.dat 212\nr.dat 212:1"),
            ("r.dat", &[0; 3 * 5 + 2]),
        ]);
        let record = open(&folder, "r").unwrap();
        // 11 samples are five frames of two; one frame lies before sample 0.
        assert_eq!(record.len_samples(), 4);
        assert_eq!(
            record.warnings(),
            [
                Warning::RateAssumed { hz: 250.0 },
                Warning::Uncalibrated {
                    lead: "lead 0".into()
                },
                Warning::Uncalibrated {
                    lead: "lead 1".into()
                },
            ]
        );
    }

    #[test]
    fn a_wrong_checksum_is_a_warning_once_the_lead_is_read() {
        let mut damaged = W16[1].1.to_vec();
        damaged[0] ^= 1;
        let folder = folder_with(&[W16[0], ("w16.dat", &damaged)]);
        let record = open(&folder, "w16").unwrap();
        record.read_lead(1).unwrap();
        assert_eq!(record.warnings(), []);
        record.read_lead(0).unwrap();
        record.read_lead(0).unwrap();
        let warnings = record.warnings();
        assert!(
            matches!(&warnings[..], [Warning::Checksum { lead, .. }] if lead == "I"),
            "{warnings:?}"
        );
    }

    fn refusal(result: Result<impl Sized, RecordError>) -> String {
        match result {
            Ok(_) => "nothing was refused".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn records_that_are_not_what_they_say_are_refused() {
        let folder = folder_with(&[
            W212[0],
            ("w212.dat", &W212[1].1[..30]),
            ("absurd.hea", b"a 2 360 99999999999\na.dat 212\na.dat 212\n"),
            ("huge.hea", b"a 1 360 18446744073709551615\na.dat 212:18446744073709551615+18446744073709551615"),
            ("a.dat", &[0; 300]),
            ("gone.hea", b"g 1\ngone.dat 16"),
            ("blank.hea", b"b 1\nblank.dat 16"),
            ("blank.dat", b"x"),
            ("folder.hea", b"f 1\n. 16"),
            ("nonsense.hea", b"nonsense\n"),
            ("empty.hea", b""),
            ("large.hea", &vec![b'#'; 2 << 20]),
            ("pressure.hea", b"p 1 100\na.dat 16 1/mmHg"),
        ]);
        for (name, expected) in [
            ("none", "none.hea: no such record"),
            ("w212", "w212.dat: found 6 samples of each lead, but "),
            ("absurd", "a.dat: found 100 samples of each lead, but "),
            ("huge", "a.dat: found 0 samples of each lead"),
            ("gone", "gone.dat: No such file"),
            ("blank", "blank.dat: found no samples"),
            ("folder", "is a directory"),
            ("nonsense", "nonsense.hea: line 1: found no number of leads"),
            ("empty", "empty.hea: line 1: found no record line"),
            ("large", "large.hea: line 1: found more than 1048576 bytes"),
        ] {
            let message = refusal(open(&folder, name));
            assert!(message.contains(expected), "{name}: {message}");
        }
        assert!(refusal(open(&folder, "w212")).ends_with("w212.hea promises 7"));
        let message = refusal(open(&folder, "pressure").unwrap().read_lead(0));
        assert!(
            message.contains("lead lead 0 is in `mmHg`, expected a voltage"),
            "{message}"
        );
    }

    #[test]
    fn a_file_that_shrinks_after_opening_is_an_error() {
        let folder = folder_with(&W16);
        let record = open(&folder, "w16").unwrap();
        std::fs::write(folder.path().join("w16.dat"), b"short").unwrap();
        assert!(refusal(record.read_lead(0)).contains("w16.dat: "));
    }

    #[test]
    fn a_missing_lead_is_refused_with_those_that_there_are() {
        let folder = folder_with(&W16);
        let record = open(&folder, "w16").unwrap();
        let choose = |text: &str| record.lead_index(&text.parse::<LeadChoice>().unwrap());
        assert_eq!(choose("1").unwrap(), 1);
        assert_eq!(choose("II").unwrap(), 1);
        assert_eq!(choose("i").unwrap(), 0);
        assert_eq!(
            refusal(choose("V9")),
            "record w16 has no lead V9; it has 0: I, 1: II"
        );
        assert_eq!(
            refusal(record.read_lead(2)),
            "record w16 has no lead 2; it has 0: I, 1: II"
        );
    }

    /// Every real record: the first sample and the checksum of each lead are those of its header. (`cinc2017` states no
    /// checksums, and one first sample in 15 wrongly.)
    #[test]
    fn real_records_agree_with_their_headers() {
        let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
            println!("skipped: HEARTLENS_DATA is not set");
            return;
        };
        let mut records = 0;
        for folder in ["mitdb", "svdb", "nstdb", "cinc2017"] {
            let mut headers: Vec<PathBuf> = std::fs::read_dir(Path::new(&data).join(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "hea"))
                .collect();
            headers.sort();
            headers.truncate(60);
            let mut wrong_first = 0;
            for path in headers {
                let header = read_header(&path).unwrap();
                let record = Record::open(&path).unwrap();
                assert_eq!(record.len_samples() as u64, header.len_samples.unwrap());
                for (lead, signal) in header.signals.iter().enumerate() {
                    let counts = record.read_lead_adc(lead).unwrap();
                    let place = format!("{} lead {lead}", path.display());
                    wrong_first += usize::from(counts[0] != signal.initial_value);
                    let mv = record.read_lead(lead).unwrap();
                    assert_eq!(mv.len(), counts.len(), "{place}");
                    assert!(mv.iter().all(|v| v.abs() < 40.0), "{place}");
                }
                let damaged = |w: &Warning| matches!(w, Warning::Checksum { .. });
                assert!(!record.warnings().iter().any(damaged), "{}", path.display());
                records += 1;
            }
            let allowed = if folder == "cinc2017" { 10 } else { 0 };
            assert!(
                wrong_first <= allowed,
                "{folder}: {wrong_first} first samples are wrong"
            );
        }
        assert!(records >= 22 + 39 + 3 + 60, "only {records} records found");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            leads in (1..4_usize, 0..20_usize).prop_flat_map(|(leads, len)| {
                prop::collection::vec(prop::collection::vec(-2048..2048, len), leads)
            }),
            format in prop_oneof![Just(Format::Bits12), Just(Format::Bits16)],
        ) {
            let slices: Vec<&[i32]> = leads.iter().map(Vec::as_slice).collect();
            let bytes = format.encode(&slices);
            let samples = (leads.len() * leads[0].len()) as u64;
            prop_assert_eq!(bytes.len() as u64, format.bytes_of(samples));
            prop_assert_eq!(format.samples_in(bytes.len() as u64), samples);
            for (i, lead) in leads.iter().enumerate() {
                for (k, &count) in lead.iter().enumerate() {
                    prop_assert_eq!(format.decode(&bytes, k * leads.len() + i), count);
                }
            }
        }

        #[test]
        fn no_header_makes_reading_panic(
            len: u64, skew in 0..40_u64, offset in 0..60_u64, format in prop_oneof![Just(16), Just(212)],
        ) {
            let header = format!("r 2 360 {}\nr.dat {format}:{skew}+{offset}\nr.dat {format}+{offset}", len % 20);
            let folder = folder_with(&[("r.hea", header.as_bytes()), ("r.dat", &[7; 50])]);
            if let Ok(record) = open(&folder, "r") {
                for lead in 0..2 {
                    prop_assert_eq!(record.read_lead(lead).unwrap().len(), record.len_samples());
                }
            }
        }
    }
}
