//! The live monitor: blocks of samples from a converter in, beats and lights out. Portable; a board brings the rest.

use heartlens_core::class::Class;
use heartlens_core::link::{Engine, MISSING, millivolts};
use heartlens_core::model::softmax;
use heartlens_core::monitor::Monitor;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Observation, Rhythm, Rules};
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
    /// Whether it lies in atrial fibrillation; `None` as long as that is not known.
    pub fibrillation: Option<bool>,
    /// RR interval since the beat before, in seconds.
    pub rr_s: Option<f32>,
}

/// A monitor, its views, the rhythm, and the lights.
#[derive(Debug)]
pub struct Live {
    /// From the first block on.
    monitor: Option<Monitor>,
    views: Views,
    rhythm: Rhythm,
    lights: Lights,
    /// Samples until the lights of the last beat go out.
    lit: u32,
}

impl Live {
    /// A monitor of a patient of whom nothing is known.
    pub const fn new() -> Self {
        Self {
            monitor: None,
            views: Views::ZERO,
            rhythm: Rhythm::new(Rules::SHIPPED),
            lights: Lights {
                normal: false,
                ectopic: false,
                unreadable: false,
            },
            lit: 0,
        }
    }

    /// Takes a block of samples, sets the lights after it and gives each beat to `on_beat`. While an electrode is off,
    /// there are no samples. Calibration and network are the same in all calls.
    pub fn block(
        &mut self,
        counts: &[[i16; 1]],
        calibration: &Calibration,
        network: &mut impl Engine,
        board: &mut impl Board,
        mut on_beat: impl FnMut(&Beat),
    ) {
        let monitor = self
            .monitor
            .get_or_insert_with(|| Monitor::new(Patient::default()));
        let off = board.electrode_off();
        for [count] in counts {
            let count = if off { MISSING } else { *count };
            self.lit = self.lit.saturating_sub(1);
            // By reference: a beat is large, and a copy would stay on the stack.
            let Some(beat) = &monitor.push(millivolts(calibration, count)) else {
                continue;
            };
            self.views.compute(&beat.frame);
            let logits = network.logits(&self.views);
            let verdict = self.rhythm.push(
                network.rhythm(),
                &Observation::from(&beat.frame),
                &softmax(&logits),
                beat.quality.is_readable(),
            );
            let class = verdict.class;
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
                fibrillation: verdict.fibrillation,
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

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const CALIBRATION: Calibration = Calibration {
        counts_per_mv: 1000.0,
        zero: 500,
    };

    /// A network that finds every third beat ectopic.
    #[derive(Default)]
    struct Thirds(usize);

    impl Engine for Thirds {
        type Error = &'static str;

        fn board(&self) -> &'static str {
            "none"
        }

        fn model(&self) -> &str {
            "thirds"
        }

        fn logits(&mut self, _: &Views) -> [f32; LABELS.len()] {
            self.0 += 1;
            match self.0 % 3 {
                0 => [0.0, 0.0, 1.0, 0.0],
                _ => [1.0, 0.0, 0.0, 0.0],
            }
        }

        fn rhythm(&self) -> Option<heartlens_core::rhythm::Network<'_>> {
            None
        }

        fn instructions(&self) -> u32 {
            0
        }

        fn begin(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
            Err("no slots")
        }

        fn write(&mut self, _: u32, _: &[u8]) -> Result<u32, Self::Error> {
            Err("no slots")
        }

        fn end(&mut self) -> Result<(), Self::Error> {
            Err("no slots")
        }
    }

    /// The board as a test sees it: an electrode that comes off, and what the lights showed.
    #[derive(Default)]
    struct Bench {
        off: bool,
        shown: Vec<Lights>,
    }

    impl Board for Bench {
        fn electrode_off(&mut self) -> bool {
            self.off
        }

        fn show(&mut self, lights: Lights) {
            self.shown.push(lights);
        }
    }

    /// A beat a second, as blocks of 16 samples of a converter.
    fn block(index: usize) -> Vec<[i16; 1]> {
        (index * 16..index * 16 + 16)
            .map(|i| {
                let d = ((i % 128) as f32 - 64.0) / 2.5;
                let noise = ((i * 7919) % 13) as f32 - 6.0;
                [(500.0 + 1200.0 * (-d * d).exp() + noise) as i16]
            })
            .collect()
    }

    #[test]
    fn each_beat_lights_its_light_for_a_quarter_of_a_second() {
        let (mut live, mut network) = (Live::new(), Thirds::default());
        let mut board = Bench::default();
        let mut beats = Vec::new();
        for index in 0..8 * 30 {
            live.block(
                &block(index),
                &CALIBRATION,
                &mut network,
                &mut board,
                |beat| beats.push(*beat),
            );
        }
        assert!(beats.len() > 25, "{} beats", beats.len());
        assert!(beats.is_sorted_by(|a, b| a.sample + 100 < b.sample));
        let readable = beats.iter().filter(|beat| beat.class != Class::Q);
        assert!(readable.clone().count() > 20);
        let ectopic = readable
            .clone()
            .filter(|beat| beat.class == Class::V)
            .count();
        assert!(ectopic >= 6, "{ectopic}");
        let lit = |light: fn(&Lights) -> bool| board.shown.iter().filter(|l| light(l)).count();
        // A quarter of a second is two blocks, less the part of the first before the beat.
        let normal = readable.count() - ectopic;
        assert!(
            (normal..=2 * normal).contains(&lit(|l| l.normal)),
            "{normal}"
        );
        assert!((ectopic..=2 * ectopic).contains(&lit(|l| l.ectopic)));
        let dark = lit(|l| *l == Lights::default());
        assert!(dark > board.shown.len() / 2, "{dark}");
        let one = |l: &Lights| u8::from(l.normal) + u8::from(l.ectopic) + u8::from(l.unreadable);
        assert!(board.shown.iter().all(|lights| one(lights) <= 1));
    }

    #[test]
    fn an_electrode_that_is_off_is_shown_and_gives_no_class() {
        let (mut live, mut network) = (Live::new(), Thirds::default());
        let mut board = Bench::default();
        let mut beats = Vec::new();
        for index in 0..8 * 40 {
            board.off = (8 * 20..8 * 30).contains(&index);
            live.block(
                &block(index),
                &CALIBRATION,
                &mut network,
                &mut board,
                |beat| beats.push(*beat),
            );
            assert!(!board.off || board.shown.last().is_some_and(|l| l.unreadable));
        }
        let of = |from: u32, to: u32| {
            let beats = beats
                .iter()
                .filter(move |beat| (from..to).contains(&(beat.sample / 128)));
            beats.map(|beat| beat.class).collect::<Vec<_>>()
        };
        assert!(of(10, 19).len() >= 8);
        assert!(
            of(21, 29).iter().all(|class| *class == Class::Q),
            "{:?}",
            of(21, 29)
        );
        assert!(
            of(33, 39).iter().any(|class| *class != Class::Q),
            "{:?}",
            of(33, 39)
        );
    }
}
