//! R peaks of several leads: each is taken from the best lead that can be read there.

use super::feed::{Hearing, Told};
use heartlens_core::detector::Detector;
use heartlens_core::filter::BandPass;
use heartlens_core::quality::Quality;
use heartlens_core::spec::{DETECTOR_MAX_DELAY_SAMPLES, SAMPLE_RATE_HZ};

/// Two leads place the same beat up to this far apart: where one takes over from another, no peak comes sooner after
/// the last (200 ms).
const APART_SAMPLES: u32 = SAMPLE_RATE_HZ / 5;

/// One lead's own detector, and how well the lead can be read.
struct Scout {
    filter: BandPass,
    quality: Quality,
    detector: Detector,
}

impl Scout {
    fn push(&mut self, sample_mv: f32) -> Option<u32> {
        let filtered_mv = self.filter.push(sample_mv);
        self.quality.push(sample_mv, filtered_mv);
        self.detector.push(filtered_mv).map(|peak| peak.sample)
    }
}

/// A detector in each lead, the best lead first. A peak counts where its lead is the first that can be read around it; where
/// none can be read, the first lead's peaks count, and their beats are of class Q.
pub(super) struct Scouts {
    leads: Vec<Scout>,
    told: Told,
    /// The last peak that counted, and its lead.
    last: Option<(usize, u32)>,
    samples: u32,
}

impl Scouts {
    /// At the start of so many signals.
    pub(super) fn new(leads: usize) -> Self {
        let scout = || Scout {
            filter: BandPass::new(),
            quality: Quality::new(),
            detector: Detector::new(),
        };
        Self {
            leads: (0..leads).map(|_| scout()).collect(),
            told: Told::default(),
            last: None,
            samples: 0,
        }
    }

    /// Begins another recording. Peaks that nobody has heard yet are forgotten.
    pub(super) fn restart(&mut self) {
        let told = Told::clone(&self.told);
        told.borrow_mut().clear();
        *self = Self {
            told,
            ..Self::new(self.leads.len())
        };
    }

    /// Makes what [`peaks`](Self::peaks) gives, for each recording after the first.
    pub(super) fn renewed_peaks(&self) -> impl Fn() -> Hearing + use<> {
        let told = Told::clone(&self.told);
        move || Hearing::of(&told)
    }

    /// The peaks that count.
    pub(super) fn peaks(&self) -> Hearing {
        Hearing::of(&self.told)
    }

    /// Takes every lead's next sample, in mV; a lead that has ended has none, which counts as missing.
    pub(super) fn push(&mut self, moment_mv: &[Option<f32>]) {
        self.samples += 1;
        for (place, sample) in moment_mv.iter().enumerate() {
            if let Some(peak) = self.leads[place].push(sample.unwrap_or(f32::NAN)) {
                self.take(place, peak);
            }
        }
    }

    /// Asks for the peaks that the detectors still hold back.
    pub(super) fn finish(&mut self) {
        for _ in 0..DETECTOR_MAX_DELAY_SAMPLES {
            for place in 0..self.leads.len() {
                let peak = self.leads[place].detector.push(0.0);
                if let Some(peak) = peak.filter(|peak| peak.sample < self.samples) {
                    self.take(place, peak.sample);
                }
            }
        }
    }

    fn take(&mut self, place: usize, peak: u32) {
        let is_readable = |scout: &Scout| scout.quality.at(peak).is_readable();
        let responsible = self.leads.iter().position(is_readable).unwrap_or(0);
        let apart = self.last.is_none_or(|(lead, last)| match lead == place {
            true => peak > last,
            false => peak >= last + APART_SAMPLES,
        });
        if place == responsible && apart {
            self.last = Some((place, peak));
            self.told.borrow_mut().push_back(peak);
        }
    }
}
