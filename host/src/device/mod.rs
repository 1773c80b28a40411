//! A device at the other end of a line: what is sent to it, what it answers, and whether that is what this machine
//! computes. `docs/link.md` has the packets; [`heartlens_core::link`] makes them.

mod conversation;
mod native;
pub(crate) mod port;

pub use conversation::{Conversation, DeviceError, Hello, Streamed};
pub use native::Native;
pub use port::{Port, open};

use crate::error::Error;
use crate::pipeline;
use crate::records::Record;
use crate::runtime::{Logits, ModelError, Runtime};
use heartlens_core::detector::Detector;
use heartlens_core::link::BeatReport;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm;
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use heartlens_core::{Beat, Classifier, Network};
use std::ops::DerefMut;

/// How the counts that a device is sent become millivolts: 1 uV a count, which +-32 mV fit in.
pub const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 1000.0,
    zero: 0,
};

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

/// The beats of these counts as a device should report them, but for the instructions that it spends. What lies between two
/// `gaps` - each the first missing sample and the first behind it - is a recording of its own.
///
/// # Errors
/// When the network fails.
pub fn expected(
    counts: &[i16],
    gaps: &[(u32, u32)],
    patient: Patient,
    runtime: &mut dyn Runtime,
    rhythm: Option<rhythm::Model<'_>>,
) -> Result<Vec<BeatReport>, ModelError> {
    let end = counts.len();
    let place = |sample: u32| (sample as usize).min(end);
    let begins = std::iter::once(0).chain(gaps.iter().map(|gap| place(gap.1)));
    let ends = gaps.iter().map(|gap| place(gap.0)).chain([end]);
    let mut classifier = Classifier::new(OneByOne::new(runtime), rhythm, patient);
    let mut all = Vec::new();
    for (begin, end) in begins.zip(ends) {
        let report = |beat: Beat| BeatReport::new(&beat, begin as u32, 0);
        classifier.restart(Detector::new(), patient);
        for count in counts.get(begin..end).unwrap_or_default() {
            let beat = classifier.push(CALIBRATION.sample_mv(*count));
            all.extend(beat.map(report));
        }
        classifier.finish();
        all.extend(std::iter::from_fn(|| classifier.poll()).map(report));
    }
    match classifier.network_mut().failure.take() {
        Some(error) => Err(error),
        None => Ok(all),
    }
}

/// Whether a device reported just this beat, to the bit; on how many instructions does not matter.
pub fn agree(found: &BeatReport, expected: &BeatReport) -> bool {
    let bits = |beat: &BeatReport| {
        let values = beat
            .logits
            .iter()
            .chain(&beat.scores)
            .chain([&beat.quality]);
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    found.sample == expected.sample
        && found.class == expected.class
        && found.rr_samples == expected.rr_samples
        && found.fibrillation == expected.fibrillation
        && bits(found) == bits(expected)
}

/// A runtime as core's classifier takes networks: a beat at a time.
struct OneByOne<R> {
    runtime: R,
    /// The first.
    failure: Option<ModelError>,
}

impl<R> OneByOne<R> {
    fn new(runtime: R) -> Self {
        Self {
            runtime,
            failure: None,
        }
    }
}

impl<R: DerefMut<Target: Runtime>> Network for OneByOne<R> {
    fn logits(&mut self, views: &Views) -> Logits {
        let logits = self.runtime.logits(std::slice::from_ref(views));
        match logits.map(|logits| logits.first().copied()) {
            Ok(Some(logits)) => logits,
            Ok(None) => [f32::NAN; LABELS.len()],
            Err(error) => {
                self.failure.get_or_insert(error);
                [f32::NAN; LABELS.len()]
            }
        }
    }
}

#[cfg(test)]
mod tests;
