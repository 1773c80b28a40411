//! A day of one lead, from samples to labels, against the clock.

use crate::lead::{self, Stages};
use crate::rhythm::{self, RhythmModel};
use crate::runtime::{ModelError, Runtime, softmax};
use crate::synth::{Classes, Options, Recording, SynthError};
use heartlens_core::detector::Detector;
use heartlens_core::patient::Patient;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Lengths that are accepted, in hours: up to two weeks.
pub const HOURS: RangeInclusive<f64> = 0.01..=336.0;

/// Counts of the analogue-to-digital converter per millivolt, as in the MIT-BIH data bases.
const COUNTS_PER_MV: f32 = 200.0;

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
            let recording = Recording::generate(&Options {
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

    /// The samples in mV, minute by minute.
    pub fn blocks_mv(&self) -> impl Iterator<Item = Vec<f32>> {
        let to_mv = |count: &i16| f32::from(*count) / COUNTS_PER_MV;
        let minutes = self.counts.chunks(60 * SAMPLE_RATE_HZ as usize);
        minutes.map(move |minute| minute.iter().map(to_mv).collect())
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
    /// From the first sample to the last label, in seconds.
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
    /// Samples, filter, signal quality, R peaks and the beats' windows.
    pub monitor: f64,
    /// The four views.
    pub views: f64,
    /// The network.
    pub network: f64,
    /// The rhythm, and with it the labels.
    pub rhythm: f64,
    /// What is left of the run's time on its threads: waiting.
    pub rest: f64,
}

impl StageSeconds {
    fn of(stages: Stages, labels: Duration, wall: Duration, threads: usize) -> Self {
        let spent = stages.monitor + stages.views + stages.network + labels;
        Self {
            monitor: stages.monitor.as_secs_f64(),
            views: stages.views.as_secs_f64(),
            network: stages.network.as_secs_f64(),
            rhythm: labels.as_secs_f64(),
            rest: (wall.as_secs_f64() * threads as f64 - spent.as_secs_f64()).max(0.0),
        }
    }
}

/// Takes the signal from samples to labels, in this thread and one more for each of `helpers`.
///
/// # Errors
/// When a runtime fails.
pub fn holter(
    holter: &Holter,
    runtime: &mut dyn Runtime,
    helpers: &mut [Box<dyn Runtime>],
    rhythm: Option<&RhythmModel>,
    mut progress: impl FnMut(f64),
) -> Result<Figures, ModelError> {
    let threads = 1 + helpers.len();
    let samples = holter.counts.len() as f64;

    let start = Instant::now();
    let (beats, stages) = lead::run(
        holter.blocks_mv().map(Ok::<_, ModelError>),
        Detector::new(),
        Patient::default(),
        runtime,
        helpers,
        rhythm.and_then(RhythmModel::network),
        |read| progress(read as f64 / samples),
    )?;
    let labels = Instant::now();
    let mut classes: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut rhythm, network) = rhythm::begin(rhythm);
    for (beat, score) in &beats {
        let scores = softmax(&beat.logits);
        let verdict = match network {
            Some(_) => rhythm.push_scored(*score, &beat.observation, &scores, beat.readable),
            None => rhythm.push(None, &beat.observation, &scores, beat.readable),
        };
        *classes.entry(verdict.class.name()).or_default() += 1;
    }
    let labels = labels.elapsed();
    let wall = start.elapsed();

    Ok(Figures {
        hours: holter.hours(),
        leads: 1,
        beats: beats.len(),
        threads,
        runtime: runtime.name(),
        seconds: wall.as_secs_f64(),
        realtime_factor: holter.hours() * 3600.0 / wall.as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
        stages: StageSeconds::of(stages, labels, wall, threads),
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
