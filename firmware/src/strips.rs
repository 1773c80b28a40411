//! Plays samples through core's wearable with the strip network, and says what it tells of half minutes and of fibrillation, and what
//! its calls take. The same code runs on every machine; [`Clock`] is all that differs.

use crate::network::{Arena, BUILT_IN, RHYTHM, STRIP, StripArena};
use crate::pipeline::{Clock, Cost, Stopwatch};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::task::Poll;
use heartlens_core::classifier::Stage;
use heartlens_core::model::{Executor, Logits, Model, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::strip::StripMonitor;
use heartlens_core::wearable::{Config, Event, Rate, Wearable};

/// What plays: the wearable, its state without the arenas.
pub type Playing<'a> = Wearable<'a, Executor<'a>, StripMonitor<'a>>;

/// What is told, besides beats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told {
    /// Of half a minute.
    Strip {
        /// Its first sample, in ms.
        from_ms: u64,
        /// Its end, in ms.
        until_ms: u64,
        /// Normal, atrial fibrillation, another rhythm, noise.
        probabilities: Logits,
    },
    /// Fibrillation begins, or ends.
    Fibrillation {
        /// The first beat in it, in ms.
        since_ms: u64,
        /// The last one, in ms.
        until_ms: Option<u64>,
    },
}

/// Counts, and instructions by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Samples taken.
    pub samples: u32,
    /// Beats told.
    pub beats: u32,
    /// All work on half a minute.
    pub strip: Cost,
    /// One slice of that work.
    pub strip_slice: Cost,
    /// Any call.
    pub slice: Cost,
}

/// A wearable under way.
#[derive(Debug)]
pub struct Player<'p, 'a, C> {
    wearable: &'p mut Playing<'a>,
    stopwatch: Stopwatch<C>,
    totals: Totals,
    /// What the half minute under way has taken so far.
    work: u32,
}

impl<'p, 'a, C: Clock> Player<'p, 'a, C> {
    /// At the start of a recording at 128 Hz. `None` where a network that was built in is none.
    // Not inlined: what it takes of the stack is gone when the work begins.
    #[inline(never)]
    pub fn new(
        place: &'p mut MaybeUninit<Playing<'a>>,
        arenas: (&'a mut Arena, &'a mut StripArena),
        calibration: Calibration,
        clock: C,
    ) -> Option<Self> {
        let config = Config {
            rate: Rate::HZ_128,
            calibration,
            patient: Patient::default(),
            rules: Rules::SHIPPED,
        };
        let network = Model::load(BUILT_IN).ok()?.executor(arenas.0).ok()?;
        let strip = Model::load_for(STRIP, Task::Strip).ok()?;
        let strip = strip.executor(arenas.1).ok()?;
        let rhythm = Network::load(RHYTHM).ok()?;
        Some(Self {
            wearable: Wearable::with_strips(place, config, network, rhythm, strip).ok()?,
            stopwatch: Stopwatch::new(clock),
            totals: Totals {
                samples: 0,
                beats: 0,
                strip: Cost::NONE,
                strip_slice: Cost::NONE,
                slice: Cost::NONE,
            },
            work: 0,
        })
    }

    /// Takes a sample, and does all work.
    pub fn push(&mut self, count: i16, tell: impl FnMut(&Told)) {
        self.totals.samples += 1;
        self.stopwatch.start();
        self.wearable.push(black_box(count));
        self.totals.slice.add(self.stopwatch.elapsed());
        self.drain(tell);
    }

    /// Ends the recording, and does all work.
    pub fn finish(&mut self, tell: impl FnMut(&Told)) -> Totals {
        self.wearable.finish();
        self.drain(tell);
        self.totals
    }

    fn drain(&mut self, mut tell: impl FnMut(&Told)) {
        loop {
            let is_idle =
                |wearable: &Playing<'_>| matches!(wearable.classifier().stage(), Stage::Beat);
            let idle = is_idle(self.wearable);
            self.stopwatch.start();
            let left = black_box(self.wearable.work());
            let taken = self.stopwatch.elapsed();
            self.totals.slice.add(taken);
            if left == Poll::Ready(()) {
                return;
            }
            // No beat was worked on.
            if idle && is_idle(self.wearable) {
                self.totals.strip_slice.add(taken);
                self.work = self.work.wrapping_add(taken);
            }
            while let Some(event) = self.wearable.poll() {
                match event {
                    Event::Beat { .. } => self.totals.beats += 1,
                    Event::Strip {
                        from_ms,
                        until_ms,
                        probabilities,
                    } => {
                        self.totals.strip.add(core::mem::take(&mut self.work));
                        tell(&Told::Strip {
                            from_ms,
                            until_ms,
                            probabilities,
                        });
                    }
                    Event::Fibrillation { since_ms, until_ms } => {
                        tell(&Told::Fibrillation { since_ms, until_ms });
                    }
                    _ => {}
                }
            }
        }
    }
}
