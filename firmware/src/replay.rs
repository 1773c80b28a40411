//! Plays a stretch through core, as a device does with the samples of its converter, and boils each view down to a
//! checksum. The same code runs on every machine; [`Meter`] is all that differs.

use crate::stretch::Stretch;
use core::hint::black_box;
use heartlens_core::detector::Detector;
use heartlens_core::filter::BandPass;
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_core::quality::Quality;
use heartlens_core::views::{Views, normalise, spectrogram, spectrum, waveform};

/// What is metered, each apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One sample through the band-pass filter, from counts on.
    Filter,
    /// One sample into the signal's quality.
    Quality,
    /// One sample through the R-peak detector.
    Detector,
    /// One sample into the monitor - all of the above, and the history - that completes no beat.
    Push,
    /// One sample that completes a beat: its window, the patient's template and RR history, the metadata view.
    Beat,
    /// One beat: dividing both channels' windows by the scale, and clipping.
    Normalise,
    /// One beat: the waveform view of both channels, a copy.
    Waveform,
    /// One beat: the spectrum view of both channels.
    Spectrum,
    /// One beat: the spectrogram view of both channels.
    Spectrogram,
    /// One beat: all from `Normalise` on in one go, as the classifier has them made.
    Views,
}

impl Part {
    /// All parts, in the order of the data.
    pub const ALL: [Self; 10] = [
        Self::Filter,
        Self::Quality,
        Self::Detector,
        Self::Push,
        Self::Beat,
        Self::Normalise,
        Self::Waveform,
        Self::Spectrum,
        Self::Spectrogram,
        Self::Views,
    ];

    /// The part's name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Quality => "quality",
            Self::Detector => "detector",
            Self::Push => "push",
            Self::Beat => "beat",
            Self::Normalise => "normalise",
            Self::Waveform => "waveform",
            Self::Spectrum => "spectrum",
            Self::Spectrogram => "spectrogram",
            Self::Views => "views",
        }
    }
}

/// Learns what a part costs: what happens between a `start` and the `stop` that follows. A `start` without a `stop`
/// measures nothing.
pub trait Meter {
    /// The work begins.
    fn start(&mut self);
    /// The work is done; it was this part.
    fn stop(&mut self, part: Part);
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn start(&mut self) {}
    fn stop(&mut self, _: Part) {}
}

/// FNV-1a (64 bit) over the bits of every value, as little-endian bytes: one changed bit anywhere changes it.
pub fn checksum(values: &[f32]) -> u64 {
    values.iter().fold(FNV_START, |hash, v| extend(hash, *v))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn extend(hash: u64, value: f32) -> u64 {
    let bytes = value.to_bits().to_le_bytes();
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// One beat; its views each as their [`checksum`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeatSums {
    /// Position of the R peak, in samples.
    pub r_sample: u32,
    /// Whether the signal around it is worth reading.
    pub readable: bool,
    /// Of the waveform view.
    pub waveform: u64,
    /// Of the spectrum view.
    pub spectrum: u64,
    /// Of the spectrogram view.
    pub spectrogram: u64,
    /// Of the metadata view.
    pub metadata: u64,
}

/// Pushes the whole stretch into a monitor, and calls `on_beat` for every beat. Filter, quality and detector run
/// beside it once more, so that each can be metered apart. Returns the checksum of the filtered signal.
pub fn replay(
    stretch: &Stretch<'_>,
    meter: &mut impl Meter,
    mut on_beat: impl FnMut(&BeatSums),
) -> u64 {
    let calibration = stretch.calibration();
    let mut filter = BandPass::new();
    let mut quality = Quality::new();
    let mut detector = Detector::new();
    let mut monitor = Monitor::new(Patient::default());
    let mut views = Views::ZERO;
    let mut hash = FNV_START;
    for count in stretch.counts() {
        let count = black_box(count);
        meter.start();
        let sample_mv = calibration.sample_mv(count);
        let filtered_mv = black_box(filter.push(sample_mv));
        meter.stop(Part::Filter);
        hash = extend(hash, filtered_mv);
        meter.start();
        quality.push(black_box(sample_mv), filtered_mv);
        black_box(&quality);
        meter.stop(Part::Quality);
        meter.start();
        black_box(detector.push(filtered_mv));
        meter.stop(Part::Detector);

        meter.start();
        match monitor.push(black_box(sample_mv)) {
            None => meter.stop(Part::Push),
            Some(beat) => {
                meter.stop(Part::Beat);
                on_beat(&view(&beat, &mut views, meter));
            }
        }
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        on_beat(&view(&beat, &mut views, meter));
    }
    hash
}

fn view(beat: &MonitoredBeat, views: &mut Views, meter: &mut impl Meter) -> BeatSums {
    let frame = &beat.frame;
    let windows = black_box([&frame.beat, &frame.template]);
    meter.start();
    let windows = black_box(windows.map(|window| normalise(window, frame.scale_mv)));
    meter.stop(Part::Normalise);
    meter.start();
    black_box(windows.each_ref().map(|window| *waveform::waveform(window)));
    meter.stop(Part::Waveform);
    meter.start();
    black_box(windows.each_ref().map(spectrum::spectrum));
    meter.stop(Part::Spectrum);
    meter.start();
    black_box(windows.each_ref().map(spectrogram::spectrogram));
    meter.stop(Part::Spectrogram);

    meter.start();
    views.compute(black_box(frame));
    let views = black_box(&*views);
    meter.stop(Part::Views);
    BeatSums {
        r_sample: frame.r_sample,
        readable: beat.quality.is_readable(),
        waveform: checksum(&views.waveform),
        spectrum: checksum(&views.spectrum),
        spectrogram: checksum(&views.spectrogram),
        metadata: checksum(&views.metadata),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::stretch::EMBEDDED;
    use std::vec::Vec;

    #[test]
    fn one_changed_bit_changes_the_checksum() {
        let values = [0.0_f32, 1.5, -2.25e-3];
        let sum = checksum(&values);
        for i in 0..values.len() {
            for bit in 0..32 {
                let mut changed = values;
                changed[i] = f32::from_bits(changed[i].to_bits() ^ 1 << bit);
                assert_ne!(checksum(&changed), sum, "value {i}, bit {bit}");
            }
        }
        // From the published test vectors of FNV-1a: no bytes, and (here as one float) "foob".
        assert_eq!(checksum(&[]), 0xcbf2_9ce4_8422_2325);
        let foob = f32::from_le_bytes(*b"foob");
        assert_eq!(checksum(&[foob]), 0xdd12_0e79_0c25_12af);
    }

    #[test]
    fn the_bundled_stretch_has_minutes_of_beats_and_no_two_look_alike() {
        let stretch = Stretch::parse(EMBEDDED).expect("a stretch");
        let mut beats = Vec::new();
        replay(&stretch, &mut NoMeter, |beat| beats.push(*beat));
        assert!(beats.len() >= 60, "{} beats", beats.len());
        assert!(beats.is_sorted_by(|a, b| a.r_sample < b.r_sample));
        let distinct = |sum: fn(&BeatSums) -> u64| {
            let mut sums: Vec<u64> = beats.iter().map(sum).collect();
            sums.sort_unstable();
            sums.dedup();
            sums.len()
        };
        for sum in [
            |b: &BeatSums| b.waveform,
            |b: &BeatSums| b.spectrum,
            |b: &BeatSums| b.spectrogram,
            |b: &BeatSums| b.metadata,
        ] {
            assert_eq!(distinct(sum), beats.len());
        }
    }
}
