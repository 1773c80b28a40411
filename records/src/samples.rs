//! Samples as most formats store them: whole numbers at even distances in a file, which are streamed, or so few that they
//! are kept.

use super::annotation::Annotations;
#[cfg(feature = "xml")]
use super::annotation::{Annotation, Code};
use super::kind::kind_of;
use super::{BLOCK_SAMPLES, Lead, Reader, RecordError, Source, VoltageUnit, Warning};
use crate::disk::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The largest file of a format that is read whole, in bytes, and the most samples of all leads that are kept: an hour of
/// twelve leads.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 26;
pub(super) const MAX_KEPT_SAMPLES: usize = 1 << 25;

/// Reads a file whole.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    let file = disk::open(path).map_err(io)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(malformed(
            path,
            "the file",
            format!("more than {MAX_FILE_BYTES} bytes"),
            "fewer, in a format that is read whole",
        ));
    }
    Ok(bytes)
}

/// An error of a format that has none of its own.
pub(super) fn malformed(
    path: &Path,
    place: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> RecordError {
    RecordError::Malformed {
        path: path.to_owned(),
        place: place.into(),
        found: found.into(),
        expected: expected.into(),
    }
}

/// How a count becomes a physical value: `count * scale + offset`, in a unit that may be a voltage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Physical units of a count; finite and not 0.
    pub(super) scale: f64,
    pub(super) offset: f64,
    /// `None` where it is no voltage.
    pub(super) unit: Option<VoltageUnit>,
}

impl Scale {
    fn millivolts(self, count: i32) -> f32 {
        let per_mv = self.unit.map_or(1.0, VoltageUnit::per_mv);
        ((f64::from(count) * self.scale + self.offset) / per_mv) as f32
    }

    /// A lead of `len` samples that are scaled so.
    pub(super) fn lead(self, name: String, units: String, rate_hz: f64, len: usize) -> Lead {
        let per_mv = self.unit.map(VoltageUnit::per_mv);
        Lead {
            kind: kind_of(&name),
            name,
            units,
            is_voltage: per_mv.is_some(),
            counts_per_mv: per_mv.map(|per_mv| (per_mv / self.scale) as f32),
            baseline: (-self.offset / self.scale).round() as i32,
            sample_rate_hz: rate_hz,
            len_samples: len,
            rails_mv: None,
        }
    }
}

/// A whole number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    I8,
    U8,
    I16,
    U16,
    I32,
}

impl Integer {
    pub(super) const fn bytes(self) -> u64 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 => 4,
        }
    }

    /// The lowest and the highest value.
    pub(super) const fn ends(self) -> [i32; 2] {
        match self {
            Self::I8 => [i8::MIN as i32, i8::MAX as i32],
            Self::U8 => [0, u8::MAX as i32],
            Self::I16 => [i16::MIN as i32, i16::MAX as i32],
            Self::U16 => [0, u16::MAX as i32],
            Self::I32 => [i32::MIN, i32::MAX],
        }
    }

    /// The value that these bytes begin with, where they are enough.
    pub(super) fn read(self, bytes: &[u8], big_endian: bool) -> Option<i32> {
        (bytes.len() as u64 >= self.bytes()).then(|| self.value(bytes, big_endian))
    }

    fn value(self, bytes: &[u8], big_endian: bool) -> i32 {
        let mut little = [0; 4];
        let width = self.bytes() as usize;
        little[..width].copy_from_slice(&bytes[..width]);
        if big_endian {
            little[..width].reverse();
        }
        let word = u16::from_le_bytes([little[0], little[1]]);
        match self {
            Self::I8 => little[0].cast_signed().into(),
            Self::U8 => little[0].into(),
            Self::I16 => word.cast_signed().into(),
            Self::U16 => word.into(),
            Self::I32 => i32::from_le_bytes(little),
        }
    }
}

/// Leads whose samples are in a file.
#[derive(Debug)]
pub(super) struct InFile {
    pub(super) path: PathBuf,
    pub(super) leads: Vec<Place>,
    pub(super) warnings: Vec<Warning>,
}

/// Where one lead's samples are: checked to lie within the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The byte of the first sample.
    pub(super) at: u64,
    /// Bytes from one sample to the next.
    pub(super) step: u64,
    pub(super) integer: Integer,
    pub(super) big_endian: bool,
    pub(super) len: u64,
    /// The count that means no valid sample.
    pub(super) invalid: Option<i32>,
    pub(super) scale: Scale,
}

impl Source for InFile {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let place = self.leads[lead];
        let from = (from as u64).min(place.len);
        let file = disk::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(place.at + from * place.step))?;
            Ok(file)
        });
        Ok(Box::new(InFileReader {
            path: &self.path,
            file: file.map_err(|cause| io_error(&self.path, cause))?,
            place,
            left: place.len - from,
            bytes: Vec::new(),
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
    }
}

struct InFileReader<'a> {
    path: &'a Path,
    file: File,
    place: Place,
    left: u64,
    bytes: Vec<u8>,
}

impl Reader for InFileReader<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let Place {
            step,
            integer,
            big_endian,
            invalid,
            scale,
            ..
        } = self.place;
        let most = (4 * BLOCK_SAMPLES as u64 / step).clamp(1, BLOCK_SAMPLES as u64);
        let count = self.left.min(most);
        if count == 0 {
            return Ok(());
        }
        // From the first sample's first byte to the last one's last: after the file's last sample nothing has to follow.
        let size = (count - 1) * step + integer.bytes();
        self.bytes.resize(size as usize, 0);
        let rest = (step - integer.bytes()).cast_signed();
        disk::fill(&mut self.file, &mut self.bytes)
            .and_then(|()| self.file.seek_relative(rest))
            .map_err(|cause| io_error(self.path, cause))?;
        block.extend(self.bytes.chunks(step as usize).map(|bytes| {
            let count = integer.value(bytes, big_endian);
            match Some(count) == invalid {
                true => f32::NAN,
                false => scale.millivolts(count),
            }
        }));
        self.left -= count;
        Ok(())
    }
}

fn io_error(path: &Path, cause: std::io::Error) -> RecordError {
    RecordError::Io {
        path: path.to_owned(),
        cause,
    }
}

/// Leads whose samples are kept: of formats that have to be unpacked, and are short.
#[derive(Debug)]
pub(super) struct InMemory {
    pub(super) leads: Vec<Kept>,
    /// What the file says of beats; `None` where it says nothing.
    pub(super) annotations: Option<Annotations>,
    pub(super) warnings: Vec<Warning>,
}

/// Annotations at these times, in s; `None` where there are none. Beats within 100 ms are those of several leads: the first counts,
/// and the first that says what it is.
#[cfg(feature = "xml")]
pub(super) fn annotations_at(
    mut times: Vec<(f64, Annotation)>,
    rate_hz: f64,
) -> Option<Annotations> {
    times.retain(|(time_s, _)| *time_s >= 0.0 && *time_s < 1e6);
    times.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut list: Vec<Annotation> = Vec::new();
    // The last beat: when, and its place in the list.
    let mut last: Option<(f64, usize)> = None;
    for (time_s, mut annotation) in times {
        annotation.sample = (time_s * rate_hz).round() as u64;
        if annotation.code.is_beat() {
            if let Some((before_s, at)) = last
                && time_s - before_s < 0.1
            {
                if list[at].code == Code::UNCLASSIFIABLE {
                    list[at].code = annotation.code;
                }
                continue;
            }
            last = Some((time_s, list.len()));
        }
        list.push(annotation);
    }
    (!list.is_empty()).then_some(Annotations { list })
}

/// Beats at these times of which the file says no class.
#[cfg(feature = "xml")]
pub(super) fn unclassified_beats(times_s: Vec<f64>, rate_hz: f64) -> Option<Annotations> {
    let beat = |time_s| (time_s, Annotation::new(0, Code::UNCLASSIFIABLE));
    annotations_at(times_s.into_iter().map(beat).collect(), rate_hz)
}

/// The samples of one lead.
#[derive(Debug)]
pub(super) struct Kept {
    /// `None` where there is no valid sample.
    pub(super) counts: Vec<Option<i32>>,
    pub(super) scale: Scale,
}

/// Makes all leads as long as the longest, with samples that are not there, and says how long that is.
///
/// # Errors
/// Where there are none, or more than are kept.
pub(super) fn levelled(path: &Path, leads: &mut [Kept]) -> Result<usize, RecordError> {
    let longest = leads
        .iter()
        .map(|lead| lead.counts.len())
        .max()
        .unwrap_or(0);
    if longest == 0 {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    if longest.saturating_mul(leads.len()) > MAX_KEPT_SAMPLES {
        let found = format!("{} leads, one of them of {longest} samples", leads.len());
        let expected = format!("at most {MAX_KEPT_SAMPLES} in all");
        return Err(malformed(path, "the leads", found, expected));
    }
    for lead in leads {
        lead.counts.resize(longest, None);
    }
    Ok(longest)
}

impl Source for InMemory {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let Kept { counts, scale } = &self.leads[lead];
        Ok(Box::new(InMemoryReader {
            left: counts.get(from..).unwrap_or_default(),
            scale: *scale,
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
    }

    fn annotations(&self) -> Option<Result<Annotations, RecordError>> {
        self.annotations.clone().map(Ok)
    }
}

struct InMemoryReader<'a> {
    left: &'a [Option<i32>],
    scale: Scale,
}

impl Reader for InMemoryReader<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let count = self.left.len().min(BLOCK_SAMPLES);
        let (now, left) = self.left.split_at(count);
        let millivolts = |count: &Option<i32>| count.map_or(f32::NAN, |c| self.scale.millivolts(c));
        block.extend(now.iter().map(millivolts));
        self.left = left;
        Ok(())
    }
}
