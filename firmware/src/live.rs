//! The live monitor: blocks of samples from a converter in, events and lights out. Portable; a board brings the rest.

use heartlens_core::Network;
use heartlens_core::class::Class;
use heartlens_core::sample::MISSING;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::wearable::{Event, NoStrips, Strips, Wearable};

/// How long a beat's light is on, in samples (a quarter of a second).
const LIGHT_SAMPLES: u32 = SAMPLE_RATE_HZ / 4;
/// Slices of work after each sample at the most, so that a block is over before the next is full: on the average a heart of 180 beats
/// a minute takes one of them, and half minutes as much.
const SLICES: u32 = 6;
/// What an AD8232 module makes of a millivolt: its amplifier's 100, and 11 of the filter behind it, as the datasheet's cardiac monitor
/// and the common modules have it (figure 66; <https://www.sparkfun.com/products/12650>). `bindings/c/arduino` says the same.
pub const AD8232_GAIN: f32 = 1_100.0;

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

/// Counts the blocks that a converter filled and nobody took, by a clock that does not wait.
#[derive(Debug)]
pub struct Overruns {
    block_us: u32,
    last_us: Option<u32>,
    /// How much later than the earliest possible the last block came.
    late_us: u32,
    lost: u32,
    /// The last block's time since the first: in ms, and what is left of one.
    now_ms: u32,
    rest_us: u32,
}

impl Overruns {
    /// Of blocks that last so many microseconds.
    pub const fn new(block_us: u32) -> Self {
        Self {
            block_us,
            last_us: None,
            late_us: 0,
            lost: 0,
            now_ms: 0,
            rest_us: 0,
        }
    }

    /// Takes note of a block that came at this time, modulo 2^32 microseconds. How many blocks are missing before it.
    pub fn block(&mut self, now_us: u32) -> u32 {
        let Some(last_us) = self.last_us.replace(now_us) else {
            return 0;
        };
        let since_us = now_us.wrapping_sub(last_us);
        let rest_us = self.rest_us + since_us % 1000;
        self.now_ms = self.now_ms.wrapping_add(since_us / 1000 + rest_us / 1000);
        self.rest_us = rest_us % 1000;
        let late_us = self.late_us.saturating_add(since_us);
        // Earlier than due: it is the block before that was late.
        self.late_us = late_us.saturating_sub(self.block_us);
        let lost = self.late_us / self.block_us;
        self.late_us -= lost * self.block_us;
        self.lost += lost;
        lost
    }

    /// When the last block came, in ms since the first and modulo 2^32.
    pub const fn now_ms(&self) -> u32 {
        self.now_ms
    }

    /// All blocks that were lost so far.
    pub const fn lost(&self) -> u32 {
        self.lost
    }
}

/// A wearable at 128 Hz and the lights.
#[derive(Debug)]
pub struct Live<'p, 'a, N, S = NoStrips> {
    wearable: &'p mut Wearable<'a, N, S>,
    lights: Lights,
    /// Samples until the lights of the last beat go out.
    lit: u32,
}

impl<'p, 'a, N: Network, S: Strips> Live<'p, 'a, N, S> {
    /// With all lights off.
    pub const fn new(wearable: &'p mut Wearable<'a, N, S>) -> Self {
        Self {
            wearable,
            lights: Lights {
                normal: false,
                ectopic: false,
                unreadable: false,
            },
            lit: 0,
        }
    }

    /// Takes a block of samples that came at this time by the board's clock, before which so many are `lost`, sets the lights after it
    /// and gives each event to `on_event`. While an electrode is off, there are no samples.
    pub fn block(
        &mut self,
        now_ms: u32,
        lost: u32,
        counts: &[[i16; 1]],
        board: &mut impl Board,
        mut on_event: impl FnMut(&Event),
    ) {
        let off = board.electrode_off();
        if lost > 0 {
            self.wearable.missing(lost);
        }
        self.wearable.clock(now_ms);
        for [count] in counts {
            let count = if off { MISSING } else { *count };
            self.lit = self.lit.saturating_sub(1);
            self.wearable.push(count);
            for _ in 0..SLICES {
                let left = self.wearable.work();
                while let Some(event) = self.wearable.poll() {
                    self.show(&event);
                    on_event(&event);
                }
                if left.is_ready() {
                    break;
                }
            }
        }
        let mut lights = match self.lit {
            0 => Lights::default(),
            _ => self.lights,
        };
        lights.unreadable |= off;
        board.show(lights);
    }

    fn show(&mut self, event: &Event) {
        if let Event::Beat { beat, .. } = event {
            self.lights = Lights {
                normal: beat.class == Class::N,
                ectopic: matches!(beat.class, Class::S | Class::V | Class::F),
                unreadable: beat.class == Class::Q,
            };
            self.lit = LIGHT_SAMPLES;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::network::RHYTHM;
    use core::mem::MaybeUninit;
    use heartlens_core::Beat;
    use heartlens_core::model::Logits;
    use heartlens_core::patient::Patient;
    use heartlens_core::rhythm::{self, Rules};
    use heartlens_core::sample::Calibration;
    use heartlens_core::views::Views;
    use heartlens_core::wearable::{Config, Rate};
    use std::vec::Vec;

    const CALIBRATION: Calibration = Calibration {
        counts_per_mv: 1000.0,
        zero: 500,
    };

    type Place = MaybeUninit<Wearable<'static, Thirds>>;

    fn watching(place: &mut Place) -> Live<'_, 'static, Thirds> {
        let config = Config {
            rate: Rate::HZ_128,
            calibration: CALIBRATION,
            patient: Patient::default(),
            rules: Rules::SHIPPED,
        };
        let rhythm = rhythm::Network::load(RHYTHM).expect("what is built in");
        let wearable = Wearable::init(place, config, Thirds::default(), rhythm);
        Live::new(wearable.expect("a gain"))
    }

    /// When, in samples at 128 Hz since the start, and the beat.
    fn beat(event: &Event) -> Option<(u32, Beat)> {
        match event {
            Event::Beat { at_ms, beat } => Some(((at_ms * 128 + 500) as u32 / 1000, *beat)),
            _ => None,
        }
    }

    /// A network that finds every third beat ectopic.
    #[derive(Default)]
    struct Thirds(usize);

    impl Network for Thirds {
        fn logits(&mut self, _: &Views) -> Logits {
            self.0 += 1;
            match self.0 % 3 {
                0 => [0.0, 0.0, 1.0, 0.0],
                _ => [1.0, 0.0, 0.0, 0.0],
            }
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
        let mut place = Place::uninit();
        let mut live = watching(&mut place);
        let mut board = Bench::default();
        let mut beats = Vec::new();
        for index in 0..8 * 30 {
            live.block(125 * index as u32, 0, &block(index), &mut board, |event| {
                beats.extend(beat(event))
            });
        }
        assert!(beats.len() > 25, "{} beats", beats.len());
        assert!(beats.is_sorted_by(|a, b| a.0 + 100 < b.0));
        let readable = beats.iter().filter(|(_, beat)| beat.class != Class::Q);
        assert!(readable.clone().count() > 20);
        let ectopic = readable
            .clone()
            .filter(|(_, beat)| beat.class == Class::V)
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
        let mut place = Place::uninit();
        let mut live = watching(&mut place);
        let mut board = Bench::default();
        let mut beats = Vec::new();
        for index in 0..8 * 40 {
            board.off = (8 * 20..8 * 30).contains(&index);
            live.block(125 * index as u32, 0, &block(index), &mut board, |event| {
                beats.extend(beat(event))
            });
            assert!(!board.off || board.shown.last().is_some_and(|l| l.unreadable));
        }
        let of = |from: u32, to: u32| {
            let beats = beats
                .iter()
                .filter(move |(at, _)| (from..to).contains(&(at / 128)));
            beats.map(|(_, beat)| beat.class).collect::<Vec<_>>()
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

    #[test]
    fn blocks_that_nobody_took_are_counted() {
        let mut overruns = Overruns::new(125_000);
        // Across the clock's turn; a few milliseconds late are none lost.
        let start = u32::MAX - 200_000;
        let mut at = |us: u32| overruns.block(start.wrapping_add(us));
        assert_eq!(at(0), 0);
        assert_eq!(at(125_000), 0);
        assert_eq!(at(259_000), 0);
        assert_eq!(at(375_000), 0);
        // Taking that one took 260 ms: the next came, and was overwritten by the one after.
        assert_eq!(at(635_000), 1);
        assert_eq!(at(750_000), 0);
        assert_eq!(at(875_000), 0);
        assert_eq!(at(1_500_000), 4);
        assert_eq!(overruns.lost(), 5);
        assert_eq!(overruns.now_ms(), 1500);
    }

    #[test]
    fn parts_of_a_ms_add_up() {
        let mut overruns = Overruns::new(1_300);
        for block in 0..10_000_u32 {
            overruns.block(block * 1_300);
        }
        assert_eq!(overruns.now_ms(), 9_999 * 1_300 / 1000);
    }

    /// A converter that runs at half the rate, by the board's clock.
    #[test]
    fn blocks_that_come_too_slowly_are_a_wrong_rate() {
        let mut place = Place::uninit();
        let mut live = watching(&mut place);
        let mut board = Bench::default();
        let mut rates = Vec::new();
        for index in 0..8 * 30 {
            live.block(250 * index as u32, 0, &block(index), &mut board, |event| {
                if let Event::SampleRate {
                    found_hz, wrong, ..
                } = event
                {
                    rates.push((*found_hz, *wrong));
                }
            });
        }
        assert_eq!(rates, [(64.0, true)]);
    }

    /// A beat keeps its time behind lost samples, and the signal is a gap there.
    #[test]
    fn lost_samples_become_a_gap() {
        let mut place = Place::uninit();
        let mut live = watching(&mut place);
        let mut board = Bench::default();
        let mut beats = Vec::new();
        for index in 0..8 * 40 {
            // Of the second from 20 s on, half was lost.
            if (8 * 20..8 * 20 + 4).contains(&index) {
                continue;
            }
            let lost = if index == 8 * 20 + 4 { 64 } else { 0 };
            live.block(
                125 * index as u32,
                lost,
                &block(index),
                &mut board,
                |event| beats.extend(beat(event)),
            );
        }
        assert!(beats.len() > 30, "{} beats", beats.len());
        let late = beats.iter().filter(|(at, _)| *at > 128 * 25);
        assert!(late.clone().count() > 10);
        for (at, _) in late {
            assert!((at % 128).abs_diff(64) <= 2, "{at}");
        }
    }
}
