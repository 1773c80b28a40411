//! WFDB records of one segment: a header, and the signal files that it names.

use super::flac;
use super::header::{Header, MAX_HEADER_BYTES, MalformedHeader, Signal};
use super::kind::kind_of;
use super::signal::Format;
use super::voltage::VoltageUnit;
use super::{
    BLOCK_SAMPLES, Contents, Lead, MAX_MISSING_SAMPLES, ReadOptions, Reader, RecordError, Source,
    Warning, check_len,
};
use crate::disk::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The largest frame that is read, in samples of all signals of a file.
const MAX_FRAME_SAMPLES: u64 = 1 << 20;

/// A WFDB record whose header is read and whose signal files are there.
#[derive(Debug)]
struct Wfdb {
    signals: Vec<Stored>,
    /// What opening the record found strange.
    warnings: Vec<Warning>,
}

/// Where one lead's samples are.
#[derive(Debug)]
struct Stored {
    path: PathBuf,
    /// `None` where no sample is stored.
    format: Option<Format>,
    byte_offset: u64,
    /// Samples in a frame of the file, the place in it where the signal's begin, and how many they are.
    frame: usize,
    position: usize,
    per_frame: usize,
    /// Frames that the file holds, and that the record has.
    frames: u64,
    record_frames: u64,
    skew: u64,
    initial_value: i32,
    name: String,
    calibration: Option<Calibration>,
    /// The checksum that the header states, where it can be verified.
    checksum: Option<i16>,
    /// Set by the first reading whose checksum differs: the sum found.
    mismatch: OnceLock<i16>,
    /// Set by the first reading that finds a FLAC stream cut short: frames found.
    cut: OnceLock<u64>,
}

/// Reads the text of a header.
pub(super) fn header_text(path: &Path) -> Result<String, RecordError> {
    let io = |cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    disk::open(path)
        .map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => RecordError::NoSuchRecord {
                path: path.to_owned(),
                expected: "a WFDB header",
            },
            _ => io(cause),
        })?
        .take(MAX_HEADER_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_HEADER_BYTES {
        return Err(RecordError::Header {
            path: path.to_owned(),
            cause: MalformedHeader {
                line: 1,
                fault: super::header::HeaderFault::TooLarge,
            },
        });
    }
    // Old headers hold names and comments in any of several encodings; the fields themselves are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a WFDB record of one segment, whose header has been read: looks at the signal files' sizes. Where they are too
/// short, the record ends with them, but for a segment, which lasts as long as the header says.
pub(super) fn open(
    header_path: &Path,
    header: Header,
    options: &ReadOptions,
    is_segment: bool,
) -> Result<Contents, RecordError> {
    let folder = header_path.parent().unwrap_or(Path::new(""));
    let mut signals: Vec<Stored> = Vec::new();
    for group in header.signals.chunk_by(|a, b| a.file == b.file) {
        stored(
            header_path,
            &signal_path(folder, &group[0].file),
            &header,
            group,
            options,
            &mut signals,
        )?;
    }
    let usable = |s: &Stored| s.frames.saturating_sub(s.skew);
    let shortest = signals
        .iter()
        .filter(|s| s.format.is_some())
        .min_by_key(|s| usable(s));
    let stored_frames = shortest.map_or(0, |s| s.frames);
    let promised = header.len_samples.unwrap_or(shortest.map_or(0, usable));
    let is_short = shortest.is_some() && stored_frames < promised;
    let frames = match is_short && !is_segment {
        true => stored_frames,
        false => promised,
    };
    if frames == 0 {
        return Err(RecordError::NoSamples {
            path: shortest.map_or(header_path, |s| &s.path).to_owned(),
        });
    }
    for signal in &mut signals {
        signal.record_frames = frames;
    }

    let mut warnings = Vec::new();
    if !header.sample_rate_stated {
        warnings.push(Warning::RateAssumed {
            hz: header.sample_rate_hz,
        });
    }
    if is_short {
        warnings.push(Warning::Short {
            what: "samples of each lead",
            promised,
            found: stored_frames,
        });
        for signal in &mut signals {
            signal.checksum = None;
        }
    }
    let mut leads = Vec::new();
    for (index, signal) in header.signals.iter().enumerate() {
        let per_frame = u64::from(signal.samples_per_frame);
        let len = check_len(
            header_path,
            frames.saturating_mul(per_frame),
            stored_frames.saturating_mul(per_frame),
        )?;
        let lead = lead(index, signal, header.sample_rate_hz, len, options);
        if !signal.calibrated && signal.format.is_some() {
            warnings.push(Warning::Uncalibrated {
                lead: lead.name.clone(),
            });
        }
        leads.push(lead);
    }
    Ok(Contents {
        annotation_rate_hz: header.sample_rate_hz,
        leads,
        patient: header.patient(),
        start: header.start,
        comments: header.comments,
        source: Box::new(Wfdb { signals, warnings }),
    })
}

/// Where a signal file is: as the header names it, or beside the header where its folder is not there.
fn signal_path(folder: &Path, file: &str) -> PathBuf {
    let named = folder.join(file);
    match file.rsplit_once('/') {
        Some((_, bare)) if !disk::exists(&named) => folder.join(bare),
        _ => named,
    }
}

/// Adds the signals that share the file at `path`.
fn stored(
    header_path: &Path,
    path: &Path,
    header: &Header,
    group: &[Signal],
    options: &ReadOptions,
    signals: &mut Vec<Stored>,
) -> Result<(), RecordError> {
    let frame: u64 = group.iter().map(|s| u64::from(s.samples_per_frame)).sum();
    if frame > MAX_FRAME_SAMPLES {
        return Err(RecordError::Frame {
            path: path.to_owned(),
            found: frame,
            most: MAX_FRAME_SAMPLES,
        });
    }
    let frames = match group[0].format {
        Some(format) if format.is_flac() => {
            let frames = flac_frames(path, format, group)?;
            let promised = header.len_samples.unwrap_or(frames);
            let missing = promised.saturating_sub(frames).saturating_mul(frame);
            if missing > MAX_MISSING_SAMPLES {
                return Err(RecordError::TooShort {
                    header: header_path.to_owned(),
                    path: path.to_owned(),
                    found: frames,
                    promised,
                });
            }
            frames
        }
        Some(format) => {
            let size = file_size(path)?.saturating_sub(group[0].byte_offset);
            let frames = format.samples_in(size) / frame;
            if let Some(promised) = header.len_samples
                && promised > frames
                && !may_be_short(group, format, size, frames, promised)
            {
                return Err(RecordError::TooShort {
                    header: header_path.to_owned(),
                    path: path.to_owned(),
                    found: frames,
                    promised,
                });
            }
            frames
        }
        None => 0,
    };
    let mut position = 0;
    for signal in group {
        let per_frame = signal.samples_per_frame as usize;
        signals.push(Stored {
            path: path.to_owned(),
            format: signal.format,
            byte_offset: signal.byte_offset,
            frame: frame as usize,
            position,
            per_frame,
            frames,
            record_frames: 0,
            skew: signal.skew_samples,
            initial_value: signal.initial_value,
            name: name(signals.len(), signal),
            calibration: calibration(signal, options),
            checksum: signal.checksum.filter(|_| header.len_samples.is_some()),
            mismatch: OnceLock::new(),
            cut: OnceLock::new(),
        });
        position += per_frame;
    }
    Ok(())
}

/// Frames of a FLAC stream, each signal of which is a channel: they have as many samples a frame, all of them.
fn flac_frames(path: &Path, format: Format, group: &[Signal]) -> Result<u64, RecordError> {
    let per_frame = group[0].samples_per_frame;
    if let Some(other) = group.iter().find(|s| s.samples_per_frame != per_frame) {
        return Err(RecordError::Malformed {
            path: path.to_owned(),
            place: format!("signal format {}", format.number()),
            found: format!(
                "signals of {per_frame} and {} samples a frame",
                other.samples_per_frame
            ),
            expected: "as many of each signal in a FLAC stream".to_owned(),
        });
    }
    let bits = match format {
        Format::Flac8 => 8,
        Format::Flac16 => 16,
        _ => 24,
    };
    let stream = flac::open(path, group[0].byte_offset, group.len(), bits)?;
    Ok(stream.samples / u64::from(per_frame))
}

/// Whether a file of fewer frames than its header promises is read as far as it goes: a recorder was switched off, or a
/// copy broke off between two frames. It is damaged where it breaks off in the middle of a frame although the header,
/// which states a checksum, was written when it was whole; and a header is absurd that promises days more.
fn may_be_short(group: &[Signal], format: Format, size: u64, frames: u64, promised: u64) -> bool {
    let per_frame: u64 = group.iter().map(|s| u64::from(s.samples_per_frame)).sum();
    let is_whole = format.bytes_of(frames.saturating_mul(per_frame)) == size;
    let is_checked = group.iter().any(|signal| signal.checksum.is_some());
    let missing = promised.saturating_sub(frames).saturating_mul(per_frame);
    frames > 0 && (is_whole || !is_checked) && missing <= MAX_MISSING_SAMPLES
}

fn file_size(path: &Path) -> Result<u64, RecordError> {
    disk::size(path).map_err(|cause| RecordError::Io {
        path: path.to_owned(),
        cause,
    })
}

/// The name of the signal at `index` of a header.
fn name(index: usize, signal: &Signal) -> String {
    if signal.description.is_empty() {
        format!("lead {index}")
    } else {
        signal.description.clone()
    }
}

/// A signal as a lead of `len` samples.
pub(super) fn lead(
    index: usize,
    signal: &Signal,
    frame_rate_hz: f64,
    len: usize,
    options: &ReadOptions,
) -> Lead {
    let calibration = calibration(signal, options);
    let name = name(index, signal);
    let given = options.unit_for(&signal.units);
    Lead {
        kind: kind_of(&name),
        name,
        units: given.map_or_else(|| signal.units.clone(), |unit| unit.to_string()),
        is_voltage: calibration.is_some(),
        counts_per_mv: calibration.map(|c| c.counts_per_mv),
        baseline: signal.baseline,
        sample_rate_hz: frame_rate_hz * f64::from(signal.samples_per_frame),
        len_samples: len,
        rails_mv: calibration.zip(signal.format).map(|(calibration, format)| {
            let (low, high) = rails(signal, format);
            let [a, b] = [low, high].map(|count| calibration.millivolts(count));
            (a.min(b), a.max(b))
        }),
    }
}

/// The lowest and the highest count of the signal's converter, as far as the format can hold it.
fn rails(signal: &Signal, format: Format) -> (i32, i32) {
    let (low, high) = format.range();
    match signal.adc_resolution_bits {
        bits @ 1..=31 => {
            let half = 1 << (bits - 1);
            let zero = signal.adc_zero;
            (
                low.max(zero.saturating_sub(half)),
                high.min(zero.saturating_add(half - 1)),
            )
        }
        _ => (low, high),
    }
}

/// How counts become millivolts: `(count - zero) / counts_per_mv`.
#[derive(Debug, Clone, Copy)]
struct Calibration {
    /// Finite and not 0; negative where the lead was stored upside down.
    counts_per_mv: f32,
    /// The count that means 0 mV.
    zero: i32,
}

impl Calibration {
    /// The difference saturates.
    fn millivolts(self, count: i32) -> f32 {
        count.saturating_sub(self.zero) as f32 / self.counts_per_mv
    }
}

/// How a signal's counts become millivolts, or `None` where its unit is no voltage.
fn calibration(signal: &Signal, options: &ReadOptions) -> Option<Calibration> {
    let stated = signal.units.parse().ok();
    let unit: VoltageUnit = stated.or_else(|| options.unit_for(&signal.units))?;
    let counts_per_mv = (signal.gain * unit.per_mv()) as f32;
    (counts_per_mv.is_finite() && counts_per_mv != 0.0).then_some(Calibration {
        counts_per_mv,
        zero: signal.baseline,
    })
}

impl Source for Wfdb {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        let signal = &self.signals[lead];
        Ok(match (signal.format, signal.calibration) {
            (Some(format), Some(calibration)) if format.is_flac() => Box::new(Millivolts {
                counts: FlacCounts::new(signal, format, from)?,
                calibration,
                invalid: format.invalid(),
            }),
            (Some(format), Some(calibration)) => Box::new(Millivolts {
                counts: Counts::new(signal, format, from)?,
                calibration,
                invalid: format.invalid(),
            }),
            _ => Box::new(Nothing),
        })
    }

    fn warnings(&self) -> Vec<Warning> {
        let mismatches = self.signals.iter().filter_map(|signal| {
            Some(Warning::Checksum {
                lead: signal.name.clone(),
                found: *signal.mismatch.get()?,
                stated: signal.checksum?,
            })
        });
        let cut = self.signals.iter().find_map(|signal| {
            Some(Warning::Short {
                what: "samples of each lead",
                promised: signal.record_frames,
                found: *signal.cut.get()?,
            })
        });
        let opened = self.warnings.iter().cloned();
        opened.chain(cut).chain(mismatches).collect()
    }
}

/// A signal that is not stored.
struct Nothing;

impl Reader for Nothing {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        block.resize(block.len() + BLOCK_SAMPLES, f32::NAN);
        Ok(())
    }
}

/// Gives the counts of a signal in order: at least one.
trait ReadCounts {
    fn read(&mut self, take: impl FnMut(i32)) -> Result<(), RecordError>;
}

struct Millivolts<C> {
    counts: C,
    calibration: Calibration,
    invalid: i32,
}

impl<C: ReadCounts> Reader for Millivolts<C> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let (calibration, invalid) = (self.calibration, self.invalid);
        self.counts.read(|count| {
            block.push(if count == invalid {
                f32::NAN
            } else {
                calibration.millivolts(count)
            });
        })
    }
}

/// Reads the counts of one signal in order.
struct Counts<'a> {
    stored: &'a Stored,
    format: Format,
    file: File,
    /// The next frame to read, and where the frames end that the record has, both in the file.
    next: u64,
    end: u64,
    /// Samples of frames yet to come that lie before the first one wanted.
    skip: u64,
    /// The last sample, to which format 8 adds.
    value: i32,
    /// The running checksum, where all of the samples are read.
    sum: Option<i16>,
    bytes: Vec<u8>,
}

impl<'a> Counts<'a> {
    fn new(stored: &'a Stored, format: Format, from: usize) -> Result<Self, RecordError> {
        let per_frame = stored.per_frame as u64;
        let first_frame = (from as u64 / per_frame)
            .saturating_add(stored.skew)
            .min(stored.frames);
        // From the file's start where all of it counts: for the checksum, and for sums of differences.
        let next = if from == 0 || format == Format::Difference8 {
            0
        } else {
            // Where a unit of bytes begins.
            let (unit, _) = format.unit();
            first_frame - first_frame % unit as u64
        };
        let offset = format.bytes_of(next.saturating_mul(stored.frame as u64));
        let file = disk::open(&stored.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(stored.byte_offset.saturating_add(offset)))?;
                Ok(file)
            })
            .map_err(|cause| stored.io(cause))?;
        Ok(Self {
            stored,
            format,
            file,
            next,
            end: stored
                .record_frames
                .saturating_add(stored.skew)
                .min(stored.frames),
            skip: (first_frame - next) * per_frame + from as u64 % per_frame,
            value: stored.initial_value,
            sum: (from == 0).then_some(0),
            bytes: Vec::new(),
        })
    }

    /// Reads the next frames' bytes, and says how many frames they are.
    fn read_frames(&mut self) -> Result<usize, RecordError> {
        let (unit, _) = self.format.unit();
        let frame = self.stored.frame;
        // Whole units, so that the next block begins with one.
        let most = (BLOCK_SAMPLES / frame).next_multiple_of(unit).max(unit);
        let frames = (self.end - self.next).min(most as u64) as usize;
        let size = self.format.bytes_of((frames * frame) as u64) as usize;
        self.bytes.resize(size, 0);
        disk::fill(&mut self.file, &mut self.bytes).map_err(|cause| self.stored.io(cause))?;
        Ok(frames)
    }
}

impl ReadCounts for Counts<'_> {
    /// Samples that the skew moves beyond the file's end are invalid.
    fn read(&mut self, mut take: impl FnMut(i32)) -> Result<(), RecordError> {
        let mut taken = false;
        while !taken {
            if self.next >= self.end {
                (0..BLOCK_SAMPLES).for_each(|_| take(self.format.invalid()));
                return Ok(());
            }
            let frames = self.read_frames()?;
            let Stored {
                frame,
                position,
                per_frame,
                record_frames,
                ..
            } = *self.stored;
            for f in 0..frames {
                for i in 0..per_frame {
                    let stored = self.format.decode(&self.bytes, f * frame + position + i);
                    let count = match self.format {
                        Format::Difference8 => self.value.saturating_add(stored),
                        _ => stored,
                    };
                    self.value = count;
                    if self.next + (f as u64) < record_frames {
                        self.sum = self.sum.map(|sum| sum.wrapping_add(count as i16));
                    }
                    if self.skip > 0 {
                        self.skip -= 1;
                    } else {
                        take(count);
                        taken = true;
                    }
                }
            }
            self.next += frames as u64;
            if self.next >= self.end {
                self.stored.verify(self.sum);
            }
        }
        Ok(())
    }
}

/// Reads the counts of one signal of a FLAC stream in order.
struct FlacCounts<'a> {
    stored: &'a Stored,
    format: Format,
    channel: flac::Channel<'a>,
    /// The next sample to read, and where the samples end that the record has, both in the stream.
    next: u64,
    end: u64,
    /// The running checksum, where all of the samples are read.
    sum: Option<i16>,
}

impl<'a> FlacCounts<'a> {
    fn new(stored: &'a Stored, format: Format, from: usize) -> Result<Self, RecordError> {
        let per_frame = stored.per_frame as u64;
        let first_frame = stored.skew.min(stored.frames);
        let frames = stored.record_frames.saturating_add(stored.skew);
        let end = frames.min(stored.frames) * per_frame;
        let next = (from as u64)
            .saturating_add(first_frame * per_frame)
            .min(end);
        // The signals of the file are its channels.
        let channel = stored.position / stored.per_frame;
        Ok(Self {
            channel: flac::Channel::new(&stored.path, stored.byte_offset, channel, next)?,
            stored,
            format,
            next,
            end,
            // A checksum is one of the file's first frames, and a skew passes over some.
            sum: (from == 0 && stored.skew == 0).then_some(0),
        })
    }
}

impl ReadCounts for FlacCounts<'_> {
    fn read(&mut self, mut take: impl FnMut(i32)) -> Result<(), RecordError> {
        let mut left = self.end - self.next;
        let mut sum = self.sum;
        let read = match left {
            0 => flac::Next::End,
            _ => self.channel.read(|count| {
                if left > 0 {
                    left -= 1;
                    sum = sum.map(|sum| sum.wrapping_add(count as i16));
                    take(count);
                }
            })?,
        };
        match read {
            flac::Next::Samples(_) => self.next = self.end - left,
            flac::Next::End => {
                if self.next < self.end {
                    let found = self.next / self.stored.per_frame as u64;
                    self.stored.cut.get_or_init(|| found);
                    self.next = self.end;
                }
                (0..BLOCK_SAMPLES).for_each(|_| take(self.format.invalid()));
            }
        }
        self.sum = sum;
        if self.next == self.end && self.stored.cut.get().is_none() {
            self.stored.verify(self.sum);
            self.sum = None;
        }
        Ok(())
    }
}

impl Stored {
    /// Compares a checksum of all samples with the header's.
    fn verify(&self, found: Option<i16>) {
        if let (Some(stated), Some(found)) = (self.checksum, found)
            && found != stated
        {
            self.mismatch.get_or_init(|| found);
        }
    }

    fn io(&self, cause: std::io::Error) -> RecordError {
        RecordError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}
