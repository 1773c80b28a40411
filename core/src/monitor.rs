//! The whole road from samples to beats: what a firmware engineer calls, and what the host drives.

use crate::beat::{BeatFrame, Extractor};
use crate::detector::Detector;
use crate::filter::BandPass;
use crate::patient::Patient;
use crate::quality::{Quality, SignalQuality};
use crate::spec::DETECTOR_MAX_DELAY_SAMPLES;

/// Where the R peaks come from: the detector, or peaks that are known already.
pub trait PeakSource {
    /// Takes the next filtered sample, in mV, and gives at most one R peak, as its position in samples since the first:
    /// later than the one given before, not ahead of this sample, and at most
    /// [`DETECTOR_MAX_DELAY_SAMPLES`] behind it.
    fn push(&mut self, filtered_mv: f32) -> Option<u32>;
}

impl PeakSource for Detector {
    fn push(&mut self, filtered_mv: f32) -> Option<u32> {
        Detector::push(self, filtered_mv).map(|peak| peak.sample)
    }
}

/// A beat, ready for the views, and whether its signal is worth reading.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitoredBeat {
    /// The beat.
    pub frame: BeatFrame,
    /// The quality of the signal around it.
    pub quality: SignalQuality,
}

/// Filter, R peaks, quality and beats of one lead, sample by sample, in fixed memory.
///
/// A beat is given as soon as its successor has been found, or can no longer be found within 4 s: at most
/// [`crate::spec::SUCCESSOR_TIMEOUT_SAMPLES`] (6 s) after its R peak. All features are causal but for the one RR
/// interval that follows.
///
/// ```
/// use heartlens_core::{monitor::Monitor, patient::Patient, views::Views};
///
/// let mut monitor = Monitor::new(Patient::default());
/// let mut views = Views::ZERO;
/// for sample_mv in [0.0; 1280] {
///     if let Some(beat) = monitor.push(sample_mv) {
///         views.compute(&beat.frame);
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Monitor<P = Detector> {
    filter: BandPass,
    quality: Quality,
    peaks: P,
    extractor: Extractor,
    refused: u32,
    ended: bool,
}

impl Monitor {
    /// A monitor that finds the R peaks itself, at the start of a recording.
    pub const fn new(patient: Patient) -> Self {
        Self::with_peaks(Detector::new(), patient)
    }
}

impl<P> Monitor<P> {
    /// A monitor that takes the R peaks from `peaks`.
    pub const fn with_peaks(peaks: P, patient: Patient) -> Self {
        Self {
            filter: BandPass::new(),
            quality: Quality::new(),
            peaks,
            extractor: Extractor::new(patient),
            refused: 0,
            ended: false,
        }
    }

    /// Samples pushed so far.
    pub fn samples(&self) -> u32 {
        self.extractor.samples()
    }

    /// R peaks that broke the promise of [`PeakSource::push`] and were passed over. Always 0 with the detector.
    pub fn refused_peaks(&self) -> u32 {
        self.refused
    }

    /// The oldest complete beat. To be called until `None` after [`finish`](Self::finish); before that,
    /// [`push`](Self::push) does it.
    pub fn poll(&mut self) -> Option<MonitoredBeat> {
        let frame = self.extractor.poll()?;
        let quality = self.quality.at(frame.r_sample);
        Some(MonitoredBeat { frame, quality })
    }
}

impl<P: PeakSource> Monitor<P> {
    /// Takes the next sample at the canonical rate, in mV, and gives at most one complete beat. Samples that are not
    /// finite count as missing.
    pub fn push(&mut self, sample_mv: f32) -> Option<MonitoredBeat> {
        let filtered_mv = self.filter.push(sample_mv);
        self.quality.push(sample_mv, filtered_mv);
        self.extractor.push(filtered_mv);
        if let Some(r_sample) = self.peaks.push(filtered_mv) {
            self.trigger(r_sample);
        }
        self.poll()
    }

    /// Ends the recording: peaks that the source still holds back are asked for, and the last beats need no successor.
    /// [`poll`](Self::poll) then gives what is left.
    pub fn finish(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        for _ in 0..DETECTOR_MAX_DELAY_SAMPLES {
            if let Some(r_sample) = self.peaks.push(0.0).filter(|r| *r < self.samples()) {
                self.trigger(r_sample);
            }
        }
        self.extractor.finish();
    }

    fn trigger(&mut self, r_sample: u32) {
        if self.extractor.trigger(r_sample).is_err() {
            self.refused = self.refused.saturating_add(1);
        }
    }
}
