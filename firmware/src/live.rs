//! The live monitor: blocks of samples from a converter in, beats and lights out. Portable; a board brings the rest.

use heartlens_core::class::Class;
use heartlens_core::link::{MISSING, millivolts};
use heartlens_core::monitor::Monitor;
use heartlens_core::patient::Patient;
use heartlens_core::sample::Calibration;
use heartlens_core::spec::{LABELS, SAMPLE_RATE_HZ};
use heartlens_core::views::Views;

/// How long a beat's light is on, in samples (a quarter of a second).
const LIGHT_SAMPLES: u32 = SAMPLE_RATE_HZ / 4;

/// What the monitor needs of a board besides samples.
pub trait Board {
    /// Whether an electrode is off the skin.
    fn electrode_off(&mut self) -> bool;
    /// Switches the three lights.
    fn show(&mut self, lights: Lights);
}

/// Which lights are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lights {
    /// A normal beat, just now.
    pub normal: bool,
    /// A supraventricular, ventricular or fusion beat, just now.
    pub ectopic: bool,
    /// A beat that cannot be read, just now, or an electrode is off.
    pub unreadable: bool,
}

/// A beat and what the network makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Position of its R peak, in samples since the start.
    pub sample: u32,
    /// Its class.
    pub class: Class,
    /// One a class of [`LABELS`].
    pub logits: [f32; LABELS.len()],
    /// RR interval since the beat before, in seconds.
    pub rr_s: Option<f32>,
}

/// A monitor, its views, and the lights.
#[derive(Debug)]
pub struct Live<N> {
    monitor: Monitor,
    views: Views,
    calibration: Calibration,
    network: N,
    lights: Lights,
    /// Samples until the lights of the last beat go out.
    lit: u32,
}

impl<N: FnMut(&Views) -> [f32; LABELS.len()]> Live<N> {
    /// A monitor of counts with this calibration, for a patient of whom nothing is known. `network` gives the logits of
    /// a beat.
    pub const fn new(calibration: Calibration, network: N) -> Self {
        Self {
            monitor: Monitor::new(Patient {
                age_years: None,
                sex: None,
            }),
            views: Views::ZERO,
            calibration,
            network,
            lights: Lights {
                normal: false,
                ectopic: false,
                unreadable: false,
            },
            lit: 0,
        }
    }

    /// Takes a block of samples, sets the lights after it and gives each beat to `on_beat`. While an electrode is off,
    /// there are no samples.
    pub fn block(
        &mut self,
        counts: &[[i16; 1]],
        board: &mut impl Board,
        mut on_beat: impl FnMut(&Beat),
    ) {
        let off = board.electrode_off();
        for [count] in counts {
            let count = if off { MISSING } else { *count };
            self.lit = self.lit.saturating_sub(1);
            let Some(beat) = self.monitor.push(millivolts(&self.calibration, count)) else {
                continue;
            };
            self.views.compute(&beat.frame);
            let logits = (self.network)(&self.views);
            let class = Class::of(&logits, beat.quality.is_readable());
            self.lights = Lights {
                normal: class == Class::N,
                ectopic: matches!(class, Class::S | Class::V | Class::F),
                unreadable: class == Class::Q,
            };
            self.lit = LIGHT_SAMPLES;
            on_beat(&Beat {
                sample: beat.frame.r_sample,
                class,
                logits,
                rr_s: beat.frame.pre_rr_s,
            });
        }
        let mut lights = match self.lit {
            0 => Lights::default(),
            _ => self.lights,
        };
        lights.unreadable |= off;
        board.show(lights);
    }
}
