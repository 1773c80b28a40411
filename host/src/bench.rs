//! A day of one lead, from the record to labels, against the clock.

use crate::analysis::Stages;
use crate::error::Error;
use crate::model::Model;
use crate::options::Options;
use crate::records::Record;
use crate::records::signal::Format;
use crate::synth::{self, Classes, Recording, SynthError};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Lengths that are accepted, in hours: up to two weeks.
pub const HOURS: RangeInclusive<f64> = 0.01..=336.0;

/// Counts of the analogue-to-digital converter per millivolt, as in the MIT-BIH data bases.
const COUNTS_PER_MV: f32 = 200.0;
/// The name of the record.
const NAME: &str = "holter";

/// The power of the ECG over that of the noise, in dB, hour by hour in turn: rest, daily life, exercise.
const NOISE_DB: [f64; 3] = [24.0, 18.0, 12.0];

/// A synthetic lead at the canonical rate, as a recorder stores it: counts of 12 bits, two bytes each.
///
/// It is made of recordings of one hour (ECGSYN with ectopic beats and noise), end to end, so that a day takes no more
/// memory than its counts: 22 MB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holter {
    counts: Vec<i16>,
}

impl Holter {
    /// Makes `hours` of signal, within [`HOURS`]; the same seed gives the same counts.
    ///
    /// # Errors
    /// [`SynthError::Option`] where `hours` is out of range.
    pub fn synthesise(
        hours: f64,
        seed: u64,
        mut progress: impl FnMut(f64),
    ) -> Result<Self, SynthError> {
        if !HOURS.contains(&hours) {
            return Err(SynthError::Option {
                option: "the length in hours",
                found: hours,
                range: HOURS,
            });
        }
        let samples = (hours * 3600.0 * f64::from(SAMPLE_RATE_HZ)).round() as usize;
        let mut counts = Vec::with_capacity(samples);
        for hour in 0_u32.. {
            let left = samples - counts.len();
            if left == 0 {
                break;
            }
            let minutes = left as f64 / (60.0 * f64::from(SAMPLE_RATE_HZ));
            let recording = Recording::generate(&synth::Options {
                // The shortest recording is longer than what may be left.
                minutes: minutes.clamp(*crate::synth::MINUTES.start(), 60.0),
                seed: seed.wrapping_add(u64::from(hour)),
                classes: Classes::default(),
                noise_db: Some(NOISE_DB[hour as usize % NOISE_DB.len()]),
                sample_rate_hz: f64::from(SAMPLE_RATE_HZ),
            })?;
            let [lead, _] = recording.leads_mv;
            let stored = lead
                .iter()
                .map(|mv| (mv * COUNTS_PER_MV).round().clamp(-2047.0, 2047.0) as i16);
            counts.extend(stored.take(left));
            progress(counts.len() as f64 / samples as f64);
        }
        Ok(Self { counts })
    }

    /// Its length in hours.
    pub fn hours(&self) -> f64 {
        self.counts.len() as f64 / (3600.0 * f64::from(SAMPLE_RATE_HZ))
    }

    /// Writes it into a folder as a WFDB record of format 16, and says where.
    fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let mut data = io::BufWriter::new(std::fs::File::create(
            folder.join(NAME).with_extension("dat"),
        )?);
        for minute in self.counts.chunks(60 * SAMPLE_RATE_HZ as usize) {
            let counts: Vec<i32> = minute.iter().map(|count| i32::from(*count)).collect();
            data.write_all(&Format::Bits16.encode(&[&counts]))?;
        }
        data.flush()?;
        let header = format!(
            "{NAME} 1 {SAMPLE_RATE_HZ} {}\n{NAME}.dat 16 {COUNTS_PER_MV} 12 0 0 0 0 II\n",
            self.counts.len()
        );
        std::fs::write(folder.join(NAME).with_extension("hea"), header)?;
        Ok(folder.join(NAME))
    }
}

/// What a run took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Length of the signal, in hours.
    pub hours: f64,
    /// Leads: 1.
    pub leads: usize,
    /// Beats that were classified.
    pub beats: usize,
    /// Threads.
    pub threads: usize,
    /// The runtime's name.
    pub runtime: &'static str,
    /// From the opened record to the last label, in seconds.
    pub seconds: f64,
    /// Seconds of signal in one second.
    pub realtime_factor: f64,
    /// The most memory that the process has had since it began, in bytes; `None` where the system does not say.
    pub peak_rss_bytes: Option<u64>,
    /// Where the time went.
    pub stages: StageSeconds,
    /// Beats of each class that occurs.
    pub classes: BTreeMap<&'static str, usize>,
}

/// Seconds of each stage, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageSeconds {
    /// Reading the record and bringing it to the canonical rate.
    pub reading: f64,
    /// Filter, signal quality, R peaks and the beats' windows.
    pub monitor: f64,
    /// The four views.
    pub views: f64,
    /// The network.
    pub network: f64,
    /// The strip network, with its views.
    pub strips: f64,
    /// The rhythm, and with it the labels.
    pub rhythm: f64,
    /// What is left of the run's time on its threads: waiting.
    pub rest: f64,
}

impl StageSeconds {
    fn of(stages: Stages, wall: Duration, threads: usize) -> Self {
        let Stages {
            reading,
            monitor,
            views,
            network,
            strips,
            rhythm,
        } = stages;
        let spent = reading + monitor + views + network + strips + rhythm;
        Self {
            reading: reading.as_secs_f64(),
            monitor: monitor.as_secs_f64(),
            views: views.as_secs_f64(),
            network: network.as_secs_f64(),
            strips: strips.as_secs_f64(),
            rhythm: rhythm.as_secs_f64(),
            rest: (wall.as_secs_f64() * threads as f64 - spent.as_secs_f64()).max(0.0),
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The record could not be classified.
    #[error(transparent)]
    Classify(#[from] Error),
    /// The record could not be written.
    #[error("the record to be classified cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes the signal as a record, and measures [`Model::classify_with_progress`].
///
/// # Errors
/// When the record cannot be written or classified.
pub fn holter(
    holter: &Holter,
    model: &Model,
    options: &Options,
    progress: impl FnMut(f64) -> ControlFlow<()>,
) -> Result<Figures, BenchError> {
    let folder = tempfile::tempdir()?;
    let record = Record::open(holter.write(folder.path())?).map_err(Error::from)?;
    let threads = options.thread_count().get();

    let start = Instant::now();
    let analysis = model.classify_with_progress(&record, options, progress)?;
    let wall = start.elapsed();

    let mut classes: BTreeMap<&'static str, usize> = BTreeMap::new();
    for beat in &analysis.beats {
        *classes.entry(beat.class.name()).or_default() += 1;
    }
    Ok(Figures {
        hours: holter.hours(),
        leads: 1,
        beats: analysis.beats.len(),
        threads,
        runtime: analysis.runtime,
        seconds: wall.as_secs_f64(),
        realtime_factor: holter.hours() * 3600.0 / wall.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
        stages: StageSeconds::of(analysis.stages, wall, threads),
        classes,
    })
}

/// The most memory that this process has had, as Linux tells it.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_lead_of_the_length_asked_for() {
        let make = |hours, seed| Holter::synthesise(hours, seed, |_| {}).expect("in range");
        let one = make(1.05, 3);
        assert_eq!(one.counts.len(), (1.05 * 3600.0 * 128.0) as usize);
        assert_eq!(one, make(1.05, 3));
        assert_ne!(one, make(1.05, 4));
        // The second hour is another one, and the first does not depend on it.
        assert_eq!(make(1.0, 3).counts[..], one.counts[..3600 * 128]);
        assert_ne!(one.counts[3600 * 128..][..1000], one.counts[..1000]);
        let (low, high) = (one.counts.iter().min(), one.counts.iter().max());
        assert!(low < Some(&-40) && high > Some(&150), "{low:?} {high:?}");
        assert!(Holter::synthesise(0.0, 1, |_| {}).is_err());
        assert!(Holter::synthesise(f64::NAN, 1, |_| {}).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_the_peak_of_memory() {
        let before = peak_rss_bytes().expect("/proc/self/status");
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().all(|byte| *byte == 1));
        assert!(peak_rss_bytes().expect("/proc/self/status") >= before.max(64 << 20));
    }
}
