//! A device at the other end of a line: what is sent to it, what it answers, and whether that is what this machine
//! computes. `docs/link.md` has the packets; [`heartlens_core::link`] makes them.

mod conversation;
mod port;

pub use conversation::{Conversation, DeviceError, Hello, Streamed};
pub use port::{Port, open};

use crate::error::Error;
use crate::pipeline;
use crate::records::Record;
use crate::runtime::{Logits, ModelError, Runtime, softmax};
use heartlens_core::class::Class;
use heartlens_core::link::{BeatReport, MISSING, millivolts};
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Observation, Rhythm, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::Views;

/// How the counts that a device is sent become millivolts: 1 uV a count, which +-32 mV fit in.
pub const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 1000.0,
    zero: 0,
};

/// Beats that are given to the network at a time.
const BATCH: usize = 64;

/// A lead of a record as a device's converter would give it: counts of [`CALIBRATION`] at the canonical rate. What does
/// not fit is clipped; what is missing stays so.
///
/// # Errors
/// When the lead cannot be read, or its rate cannot be brought to the canonical one.
pub fn counts(record: &Record, lead: usize) -> Result<Vec<i16>, Error> {
    let lead = pipeline::canonical_lead(record, lead)?;
    Ok(lead.into_iter().map(count).collect())
}

fn count(mv: f32) -> i16 {
    let count = (mv * CALIBRATION.counts_per_mv).round();
    if count.is_nan() {
        return MISSING;
    }
    // The conversion saturates, and the lowest count means that there is none.
    (count as i16).max(MISSING + 1)
}

/// The counts as `firmware/src/stretch.rs` reads them: their number, the calibration, then each, little-endian.
///
/// # Errors
/// When there are more than a `u32` can count.
pub fn stretch(counts: &[i16]) -> Result<Vec<u8>, std::num::TryFromIntError> {
    let mut bytes = u32::try_from(counts.len())?.to_le_bytes().to_vec();
    bytes.extend(CALIBRATION.counts_per_mv.to_le_bytes());
    bytes.extend(CALIBRATION.zero.to_le_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
    Ok(bytes)
}

/// A beat as the device should report it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Position of the R peak in the recording, in samples.
    pub sample: u32,
    /// Its class.
    pub class: Class,
    /// One a class.
    pub logits: Logits,
    /// Probabilities, weighed by the rhythm.
    pub scores: Logits,
    /// Whether it lies in atrial fibrillation.
    pub fibrillation: Option<bool>,
    /// RR interval since the beat before, in samples; `None` at the first of a stretch.
    pub rr_samples: Option<u32>,
    /// The signal's quality around it.
    pub quality: f32,
}

impl Expected {
    /// Whether a device reported just this, to the bit.
    pub fn is(&self, beat: &BeatReport) -> bool {
        self.sample == beat.sample
            && beat.class() == Some(self.class)
            && self.rr_samples == beat.rr_samples
            && self.quality.to_bits() == beat.quality.to_bits()
            && self.logits.map(f32::to_bits) == beat.logits.map(f32::to_bits)
            && self.scores.map(f32::to_bits) == beat.scores.map(f32::to_bits)
            && self.fibrillation == beat.fibrillation
    }
}

/// The beats of these counts on this machine. What lies between two `gaps` - each the first missing sample and the first
/// behind it - is a recording of its own.
///
/// # Errors
/// When the network fails.
pub fn expected(
    counts: &[i16],
    gaps: &[(u32, u32)],
    patient: Patient,
    runtime: &mut dyn Runtime,
    network: Option<Network<'_>>,
) -> Result<Vec<Expected>, ModelError> {
    let end = counts.len();
    let place = |sample: u32| (sample as usize).min(end);
    let begins = std::iter::once(0).chain(gaps.iter().map(|gap| place(gap.1)));
    let ends = gaps.iter().map(|gap| place(gap.0)).chain([end]);
    let mut all = Vec::new();
    for (begin, end) in begins.zip(ends) {
        let stretch = counts.get(begin..end).unwrap_or_default();
        let mut monitor = Monitor::new(patient);
        let mut rhythm = Rhythm::new(Rules::SHIPPED);
        let mut frames: Vec<MonitoredBeat> = stretch
            .iter()
            .filter_map(|count| monitor.push(millivolts(&CALIBRATION, *count)))
            .collect();
        monitor.finish();
        frames.extend(std::iter::from_fn(|| monitor.poll()));
        for frames in frames.chunks(BATCH) {
            let mut views = vec![Views::ZERO; frames.len()];
            for (views, beat) in views.iter_mut().zip(frames) {
                views.compute(&beat.frame);
            }
            for (beat, logits) in frames.iter().zip(runtime.logits(&views)?) {
                let verdict = rhythm.push(
                    network,
                    &Observation::from(&beat.frame),
                    &softmax(&logits),
                    beat.quality.is_readable(),
                );
                all.push(Expected {
                    sample: begin as u32 + beat.frame.r_sample,
                    class: verdict.class,
                    logits,
                    scores: verdict.probabilities,
                    fibrillation: verdict.fibrillation,
                    rr_samples: beat
                        .frame
                        .pre_rr_s
                        .map(|rr_s| (rr_s * SAMPLE_RATE_HZ as f32) as u32),
                    quality: beat.quality.score,
                });
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
