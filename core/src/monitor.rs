//! The whole way from samples to beats: what a firmware engineer calls, and what the host drives.

use crate::beat::{BeatFrame, Extractor};
use crate::detector::Detector;
use crate::filter::BandPass;
use crate::patient::Patient;
use crate::quality::{BeatQuality, Quality};
use crate::spec::DETECTOR_MAX_DELAY_SAMPLES;
use heapless::Deque;

/// Complete beats that may wait to be polled before the quality of their signal is judged later than it could be.
const COMPLETE_BEATS: usize = 8;

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
    pub quality: BeatQuality,
}

impl MonitoredBeat {
    /// A place for a beat: all zeros, so that no copy of it lies in flash.
    pub(crate) const ZERO: Self = Self {
        frame: BeatFrame::ZERO,
        quality: BeatQuality {
            score: 0.0,
            ..BeatQuality::CLEAN
        },
    };
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
    /// The beats that are complete and have not been polled: R peak and quality. A beat's quality is judged when it becomes
    /// complete, so that it does not depend on when it is polled.
    complete: Deque<(u32, BeatQuality), COMPLETE_BEATS>,
    refused: u32,
    ended: bool,
    filtered_mv: f32,
}

impl Monitor {
    /// What a monitor takes of RAM, in bytes: all of its state. Its stack comes on top.
    pub const RAM_BYTES: usize = size_of::<Self>();

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
            complete: Deque::new(),
            refused: 0,
            ended: false,
            filtered_mv: 0.0,
        }
    }

    /// Forgets the recording, in place: the next sample is the first of another one.
    pub(crate) fn restart(&mut self, peaks: P, patient: Patient) {
        let Self {
            filter,
            quality,
            peaks: source,
            extractor,
            complete,
            refused,
            ended,
            filtered_mv,
        } = self;
        *filter = BandPass::new();
        *quality = Quality::new();
        *source = peaks;
        extractor.restart(patient);
        complete.clear();
        (*refused, *ended, *filtered_mv) = (0, false, 0.0);
    }

    /// Samples pushed so far.
    pub fn samples(&self) -> u32 {
        self.extractor.samples()
    }

    /// The newest sample behind the band-pass filter, in mV; 0 before the first.
    pub const fn filtered_mv(&self) -> f32 {
        self.filtered_mv
    }

    /// The newest R peak, in samples since the first; `None` before the first.
    pub fn last_peak(&self) -> Option<u32> {
        self.extractor.newest()
    }

    /// The quality of the last full second.
    pub fn second(&self) -> BeatQuality {
        self.quality.second()
    }

    /// R peaks that broke the promise of [`PeakSource::push`] and were passed over. Always 0 with the detector.
    pub fn refused_peaks(&self) -> u32 {
        self.refused
    }

    /// The oldest complete beat. To be called until `None` after [`finish`](Self::finish); before that,
    /// [`push`](Self::push) does it.
    pub fn poll(&mut self) -> Option<MonitoredBeat> {
        let mut beat = MonitoredBeat::ZERO;
        self.poll_into(&mut beat).then_some(beat)
    }

    /// As [`poll`](Self::poll), into a beat that is there already, since a beat is large. Whether there was one; if not,
    /// `beat` stays as it was.
    pub(crate) fn poll_into(&mut self, beat: &mut MonitoredBeat) -> bool {
        if self.ended {
            self.complete();
        }
        if self.complete.is_empty() || !self.extractor.poll_into(&mut beat.frame) {
            return false;
        }
        let r_sample = beat.frame.r_sample;
        // The extractor may have passed beats over.
        while self
            .complete
            .front()
            .is_some_and(|(before, _)| *before < r_sample)
        {
            self.complete.pop_front();
        }
        beat.quality = match self.complete.pop_front() {
            Some((_, quality)) => quality,
            None => self.quality.at(r_sample),
        };
        true
    }

    /// Judges the quality of the beat that has just become complete, if there is one.
    fn complete(&mut self) {
        if !self.complete.is_full()
            && let Some(r_sample) = self.extractor.complete(self.complete.len())
        {
            // There is room.
            let _ = self
                .complete
                .push_back((r_sample, self.quality.at(r_sample)));
        }
    }
}

impl<P: PeakSource> Monitor<P> {
    /// Takes the next sample at the canonical rate, in mV, and gives at most one complete beat. Samples that are not
    /// finite count as missing; those after [`finish`](Self::finish) are passed over.
    pub fn push(&mut self, sample_mv: f32) -> Option<MonitoredBeat> {
        self.take(sample_mv);
        self.poll()
    }

    /// Takes a sample, and gives no beat. After [`finish`](Self::finish) it is passed over.
    pub(crate) fn take(&mut self, sample_mv: f32) {
        if self.ended {
            return;
        }
        let filtered_mv = self.filter.push(sample_mv);
        self.filtered_mv = filtered_mv;
        self.quality.push(sample_mv, filtered_mv);
        self.extractor.push(filtered_mv);
        if let Some(r_sample) = self.peaks.push(filtered_mv) {
            self.trigger(r_sample);
        }
        self.complete();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Known peaks, announced `delay` samples late.
    struct Known<'a> {
        peaks: &'a [u32],
        delay: u32,
        now: u32,
    }

    impl PeakSource for Known<'_> {
        fn push(&mut self, _: f32) -> Option<u32> {
            let due = self.now.checked_sub(self.delay);
            self.now += 1;
            let (first, rest) = self.peaks.split_first()?;
            if due != Some(*first) {
                return None;
            }
            self.peaks = rest;
            Some(*first)
        }
    }

    fn run<P: PeakSource>(mut monitor: Monitor<P>, signal: &[f32]) -> Vec<MonitoredBeat> {
        let mut beats: Vec<_> = signal.iter().filter_map(|x| monitor.push(*x)).collect();
        monitor.finish();
        beats.extend(core::iter::from_fn(|| monitor.poll()));
        assert_eq!(monitor.refused_peaks(), 0);
        beats
    }

    /// A minute of beats at varying intervals, each a narrow wave on a wandering baseline.
    fn beats_at() -> (Vec<u32>, Vec<f32>) {
        let peaks: Vec<u32> = (1..70).map(|i| i * 105 + (i * i * 7) % 23).collect();
        let signal = (0..7680)
            .map(|i: u32| {
                let wander = 0.3 * (i as f32 / 400.0).sin() + 12.0;
                peaks.iter().fold(wander, |sum, r| {
                    let d = (i as f32 - *r as f32) / 2.5;
                    sum + 1.2 * (-d * d).exp()
                })
            })
            .collect();
        (peaks, signal)
    }

    #[test]
    fn the_beats_that_went_in_come_out() {
        let (peaks, signal) = beats_at();
        let beats = run(Monitor::new(Patient::default()), &signal);
        assert_eq!(beats.len(), peaks.len());
        for (beat, r) in beats.iter().zip(&peaks) {
            assert!(
                beat.frame.r_sample.abs_diff(*r) <= 1,
                "{} for {r}",
                beat.frame.r_sample
            );
            assert!(beat.quality.is_readable());
        }
    }

    /// Detector, known peaks at once and known peaks late: the same beats, to the bit.
    #[test]
    fn features_do_not_depend_on_who_found_the_peaks() {
        let (_, signal) = beats_at();
        let detected = run(Monitor::new(Patient::default()), &signal);
        let peaks: Vec<u32> = detected.iter().map(|beat| beat.frame.r_sample).collect();
        for delay in [0, 1, 100, DETECTOR_MAX_DELAY_SAMPLES as u32 - 1] {
            let known = Known {
                peaks: &peaks,
                delay,
                now: 0,
            };
            let beats = run(Monitor::with_peaks(known, Patient::default()), &signal);
            assert_eq!(beats.len(), detected.len());
            for (ours, theirs) in beats.iter().zip(&detected) {
                assert_eq!(ours.frame, theirs.frame, "delay {delay}");
            }
        }
    }

    #[test]
    fn peaks_that_break_the_promise_are_counted() {
        struct Liar(u32);
        impl PeakSource for Liar {
            fn push(&mut self, _: f32) -> Option<u32> {
                self.0 += 1;
                self.0.is_multiple_of(100).then_some(self.0 + 5)
            }
        }
        let mut monitor = Monitor::with_peaks(Liar(0), Patient::default());
        assert!((0..1000).all(|_| monitor.push(0.0).is_none()));
        assert_eq!(monitor.refused_peaks(), 10);
    }

    #[test]
    fn ram_is_known() {
        let ceiling = 9 * 1024;
        let floor = 8 * ceiling / 10;
        assert!(
            (floor..=ceiling).contains(&Monitor::RAM_BYTES),
            "{} bytes, expected {floor} to {ceiling}",
            Monitor::RAM_BYTES
        );
    }
}
