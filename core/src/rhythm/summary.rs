//! What a recording's rhythm comes to.

use crate::class::Class;
use crate::spec::{RR_MAX_S, SAMPLE_RATE_HZ};

/// Beats of one class in succession that make a run.
const RUN_BEATS: u32 = 3;

/// Runs of three or more beats of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Runs {
    /// How many.
    pub count: u32,
    /// Beats of the longest; 0 if there is none.
    pub longest_beats: u32,
    /// Beats of this class up to now, without another between.
    #[cfg_attr(feature = "serde", serde(skip))]
    current: u32,
}

impl Runs {
    const fn new() -> Self {
        Self {
            count: 0,
            longest_beats: 0,
            current: 0,
        }
    }

    fn push(&mut self, belongs: bool) {
        if !belongs {
            self.current = 0;
            return;
        }
        self.current = self.current.saturating_add(1);
        if self.current == RUN_BEATS {
            self.count = self.count.saturating_add(1);
        }
        if self.current >= RUN_BEATS {
            self.longest_beats = self.longest_beats.max(self.current);
        }
    }
}

/// Counts over a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    judged_samples: u64,
    fibrillation_samples: u64,
    in_fibrillation: bool,
    /// Episodes of atrial fibrillation.
    pub episodes: u32,
    /// Runs of supraventricular beats.
    pub supraventricular: Runs,
    /// Runs of ventricular beats.
    pub ventricular: Runs,
}

impl Summary {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            judged_samples: 0,
            fibrillation_samples: 0,
            in_fibrillation: false,
            episodes: 0,
            supraventricular: Runs::new(),
            ventricular: Runs::new(),
        }
    }

    /// Counts a beat: the RR interval before it in seconds, the class that it was given, and whether it lies in atrial
    /// fibrillation, as far as that is known.
    pub fn push(&mut self, rr_s: Option<f32>, class: Class, fibrillation: Option<bool>) {
        if let Some(fibrillation) = fibrillation {
            // An interval counts samples, and a longer one than this is a gap in the recording.
            let rr_s = rr_s.map_or(0.0, |rr_s| rr_s.clamp(0.0, RR_MAX_S));
            let samples = (rr_s * SAMPLE_RATE_HZ as f32) as u64;
            self.judged_samples += samples;
            if fibrillation {
                self.fibrillation_samples += samples;
            }
            if fibrillation && !self.in_fibrillation {
                self.episodes = self.episodes.saturating_add(1);
            }
            self.in_fibrillation = fibrillation;
        }
        self.supraventricular.push(class == Class::S);
        self.ventricular.push(class == Class::V);
    }

    /// Time that the rhythm network has judged, in seconds: it needs some beats first.
    pub fn judged_s(&self) -> f64 {
        self.judged_samples as f64 / f64::from(SAMPLE_RATE_HZ)
    }

    /// Time of it in atrial fibrillation, in seconds.
    pub fn fibrillation_s(&self) -> f64 {
        self.fibrillation_samples as f64 / f64::from(SAMPLE_RATE_HZ)
    }

    /// Share of that time in atrial fibrillation, 0..=1; `None` where nothing was judged.
    pub fn fibrillation_share(&self) -> Option<f64> {
        (self.judged_samples > 0)
            .then(|| self.fibrillation_samples as f64 / self.judged_samples as f64)
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}
