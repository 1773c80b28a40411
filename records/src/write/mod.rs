//! Writes a record in another format: [`wfdb()`], [`edf()`] (EDF+ and BDF+), [`csv()`]; and annotations alone, as EDF+, as a table or
//! as a list of RR intervals.
//!
//! Samples are read and written as a stream, twice: first to learn their range. A file is there whole or not at all. What a format
//! cannot hold is left out or rounded, and each such [`Loss`] is said.

mod annotations;
mod edf;
mod table;
mod wfdb;

pub use annotations::{annotation_table, rr_list};
pub use edf::{edf, edf_annotations};
pub use table::csv;
pub use wfdb::wfdb;

use crate::annotation::Unwritable;
use crate::{Blocks, Lead, Record, RecordError, file, shown};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What was not written as it was read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// A lead that is no voltage.
    #[error(
        "lead {} {} and was left out: only voltages are written",
        shown(lead),
        unit_said(units)
    )]
    NotVoltage {
        /// The lead's name.
        lead: String,
        /// Its unit.
        units: String,
    },
    /// A lead of a rate that does not go with the others'.
    #[error(
        "lead {} has {rate_hz} samples a second and was left out: this format cannot hold it beside {written_hz}",
        shown(lead)
    )]
    OtherRate {
        /// The lead's name.
        lead: String,
        /// Its rate, in Hz.
        rate_hz: f64,
        /// The rate of the leads that are written, in Hz.
        written_hz: f64,
    },
    /// Samples were rounded to whole counts.
    #[error(
        "lead {}: {samples} sample(s) were rounded, by up to {most_uv:.6} uV, to {counts_per_mv} counts a mV",
        shown(lead)
    )]
    Rounded {
        /// The lead's name.
        lead: String,
        /// How many samples.
        samples: u64,
        /// The largest difference, in uV.
        most_uv: f64,
        /// Counts of a millivolt in the file.
        counts_per_mv: f64,
    },
    /// The gain as the file states it is another than the lead's.
    #[error(
        "lead {}: the format's digits hold its gain to {parts_per_million:.4} parts in a million",
        shown(lead)
    )]
    Gain {
        /// The lead's name.
        lead: String,
        /// The difference.
        parts_per_million: f64,
    },
    /// The format has no mark for samples that are not there.
    #[error(
        "lead {}: {samples} missing sample(s) were written as the lowest value of its range, which the format cannot tell from a sample",
        shown(lead)
    )]
    Missing {
        /// The lead's name.
        lead: String,
        /// How many samples.
        samples: u64,
    },
    /// The last data record is filled up.
    #[error("the last data record was filled up with {seconds:.3} s of each lead's last value")]
    Padded {
        /// How long, in s.
        seconds: f64,
    },
    /// The rate as the file states it is another than the record's.
    #[error(
        "the rate of {rate_hz} Hz is {written_hz} Hz in the file: the format's digits hold no more"
    )]
    Rate {
        /// The record's, in Hz.
        rate_hz: f64,
        /// The file's, in Hz.
        written_hz: f64,
    },
    /// A lead's name was changed.
    #[error("lead {} is called `{written}` in the file", shown(lead))]
    Name {
        /// The lead's name.
        lead: String,
        /// The name in the file.
        written: String,
    },
    /// Something that the format has no place for.
    #[error("{what} not written: this format has no place for it")]
    NoPlace {
        /// What.
        what: &'static str,
    },
    /// What annotations say besides a text.
    #[error(
        "{annotations} annotation(s) that are no beats were written as texts, without their code; subtypes, channels and numbers were left out"
    )]
    AnnotationDetails {
        /// How many.
        annotations: usize,
    },
}

/// A record that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operating system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The annotations cannot be put into a file.
    #[error("{}: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        cause: Unwritable,
    },
    /// The format allows no such name.
    #[error("{}: found `{}` as a record's name, expected letters, digits, `_` and `-`", path.display(), shown(found))]
    Name {
        /// The file.
        path: PathBuf,
        /// The name.
        found: String,
    },
}

/// A lead to write, and what its samples are: known once all of them have been read.
struct Surveyed<'a> {
    index: usize,
    lead: &'a Lead,
    /// Counts of a millivolt.
    gain: f64,
    /// The count that means 0 mV.
    baseline: i32,
    /// The lowest and highest count, less the baseline; 0 where no sample is valid.
    range: (i64, i64),
    missing: u64,
    rounded: u64,
    most_uv: f64,
}

/// Gains that are tried for samples that are no counts, in counts of a millivolt.
const GAINS: [f64; 6] = [
    100.0,
    1000.0,
    10_000.0,
    100_000.0,
    1_000_000.0,
    10_000_000.0,
];

/// The largest count that is written, less the baseline.
const MAX_COUNT: f64 = 2_147_483_647.0;

fn unit_said(units: &str) -> String {
    match units {
        "" => "states no unit".to_owned(),
        units => format!("is in `{}`", shown(units)),
    }
}

impl<'a> Surveyed<'a> {
    /// Reads all of a lead. `each` is given every sample, in mV.
    fn of(record: &'a Record, index: usize, mut each: impl FnMut(f32)) -> Result<Self, WriteError> {
        let lead = record.lead(index)?;
        // As the text says that the format reads back, which is shorter than what f32 stores.
        let stated = lead
            .counts_per_mv
            .and_then(|gain| gain.to_string().parse().ok());
        let gains: Vec<f64> = stated.map_or(GAINS.to_vec(), |gain| vec![gain]);
        let mut tallies = vec![(0_u64, 0.0_f64); gains.len()];
        let (mut low, mut high, mut missing) = (f32::INFINITY, f32::NEG_INFINITY, 0);
        for block in record.stream_mv(index, 0..usize::MAX)? {
            for sample in block? {
                each(sample);
                if sample.is_nan() {
                    missing += 1;
                    continue;
                }
                (low, high) = (low.min(sample), high.max(sample));
                for (gain, (rounded, most)) in gains.iter().zip(&mut tallies) {
                    let residual = residual(sample, *gain);
                    if residual > 0.0 {
                        *rounded += 1;
                        *most = most.max(residual);
                    }
                }
            }
        }
        let largest = f64::from(low.abs().max(high.abs())).min(f64::MAX);
        let fits = |gain: f64| !largest.is_finite() || largest * gain.abs() <= MAX_COUNT;
        // The first gain that loses nothing, or else the finest of all that fit.
        let exact = (0..gains.len()).find(|i| tallies[*i].0 == 0 && fits(gains[*i]));
        let finest = (0..gains.len()).rev().find(|i| fits(gains[*i]));
        let chosen = exact.or(finest).unwrap_or(0);
        let gain = gains[chosen];
        let count = |mv: f32| match mv.is_finite() {
            true => count_of(mv, gain),
            false => 0,
        };
        let (a, b) = (count(low), count(high));
        Ok(Self {
            index,
            lead,
            gain,
            baseline: if stated.is_some() { lead.baseline } else { 0 },
            range: (a.min(b), a.max(b)),
            missing,
            rounded: tallies[chosen].0,
            most_uv: tallies[chosen].1 / gain.abs() * 1000.0,
        })
    }

    fn losses(&self, losses: &mut Vec<Loss>) {
        if self.rounded > 0 {
            losses.push(Loss::Rounded {
                lead: self.lead.name.clone(),
                samples: self.rounded,
                most_uv: self.most_uv,
                counts_per_mv: self.gain,
            });
        }
    }
}

/// The nearest count, less the baseline.
fn count_of(mv: f32, gain: f64) -> i64 {
    (f64::from(mv) * gain).round().clamp(-MAX_COUNT, MAX_COUNT) as i64
}

/// How far a sample is from a whole count, in counts; 0 where no more than the digits of f32 are between them.
fn residual(mv: f32, gain: f64) -> f64 {
    let exact = f64::from(mv) * gain;
    let count = exact.round();
    let residual = (exact - count).abs();
    match residual > 1e-3 + exact.abs() * f64::from(f32::EPSILON) {
        true => residual,
        false => 0.0,
    }
}

/// The record's leads that are voltages, and the others as losses.
fn voltages<'a>(record: &'a Record, losses: &mut Vec<Loss>) -> Vec<(usize, &'a Lead)> {
    let mut voltages = Vec::new();
    for (index, lead) in record.leads().iter().enumerate() {
        match lead.is_voltage {
            true => voltages.push((index, lead)),
            false => losses.push(Loss::NotVoltage {
                lead: lead.name.clone(),
                units: lead.units.clone(),
            }),
        }
    }
    voltages
}

/// Keeps the leads whose rates are whole multiples of one rate, which is at least the slowest one's 2000th: the record's clock
/// and all that go with it. Gives that rate, and each lead's multiple of it.
fn common_rate(
    record: &Record,
    leads: &mut Vec<(usize, &Lead)>,
    losses: &mut Vec<Loss>,
) -> (f64, Vec<u32>) {
    let multiples = |base: f64, leads: &[(usize, &Lead)]| -> Option<Vec<u32>> {
        let multiple = |(_, lead): &(usize, &Lead)| {
            let times = lead.sample_rate_hz / base;
            let is_whole = (times - times.round()).abs() < 1e-6 * times && times < 65_536.5;
            is_whole.then_some(times.round() as u32)
        };
        leads.iter().map(multiple).collect()
    };
    let slowest = leads
        .iter()
        .map(|(_, lead)| lead.sample_rate_hz)
        .fold(f64::INFINITY, f64::min);
    for part in 1..=2000 {
        let base = slowest / f64::from(part);
        if let Some(all) = multiples(base, leads) {
            return (base, all);
        }
    }
    let written_hz = record.sample_rate_hz();
    leads.retain(|(_, lead)| {
        let goes = lead.sample_rate_hz == written_hz;
        if !goes {
            losses.push(Loss::OtherRate {
                lead: lead.name.clone(),
                rate_hz: lead.sample_rate_hz,
                written_hz,
            });
        }
        goes
    });
    (written_hz, vec![1; leads.len()])
}

/// Reads a lead in pieces of any size.
struct Pieces<'a> {
    blocks: Blocks<'a>,
    block: Vec<f32>,
    at: usize,
}

impl<'a> Pieces<'a> {
    fn of(record: &'a Record, index: usize) -> Result<Self, RecordError> {
        Ok(Self {
            blocks: record.stream_mv(index, 0..usize::MAX)?,
            block: Vec::new(),
            at: 0,
        })
    }

    /// The next samples, `len` of them or, at the lead's end, fewer.
    fn next(&mut self, len: usize) -> Result<Vec<f32>, RecordError> {
        let mut piece = Vec::with_capacity(len);
        while piece.len() < len {
            if self.at == self.block.len() {
                match self.blocks.next() {
                    Some(block) => (self.block, self.at) = (block?, 0),
                    None => break,
                }
                continue;
            }
            let end = self.block.len().min(self.at + len - piece.len());
            piece.extend_from_slice(&self.block[self.at..end]);
            self.at = end;
        }
        Ok(piece)
    }
}

/// A file in the making: under another name beside its own until it is finished.
struct NewFile {
    path: PathBuf,
    file: BufWriter<file::NewFile>,
}

impl NewFile {
    fn begin(path: &Path) -> Result<Self, WriteError> {
        let file = file::NewFile::begin(path).map_err(|cause| WriteError::Io {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 16, file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(bytes);
        written.map_err(|cause| self.io(cause))
    }

    /// Gives the file its name.
    fn finish(self) -> Result<(), WriteError> {
        let path = self.path;
        let io = |cause| WriteError::Io {
            path: path.clone(),
            cause,
        };
        let file = self
            .file
            .into_inner()
            .map_err(|error| io(error.into_error()))?;
        file.finish().map_err(io)
    }

    fn io(&self, cause: io::Error) -> WriteError {
        WriteError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}
