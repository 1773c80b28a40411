//! Core's classifier, metered: samples in, classified beats out, and the instructions that each stage takes. The same code
//! runs on every machine; [`Clock`] is all that differs.

use core::hint::black_box;
use heartlens_core::classifier::Stage;
use heartlens_core::model::format::MAX_STEPS;
use heartlens_core::model::{Executor, Logits, Model, Progress};
use heartlens_core::patient::Patient;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::Views;
use heartlens_core::{Beat, Classifier, Network, rhythm};

/// Counts instructions.
pub trait Clock: Copy {
    /// Instructions executed, modulo 2^32.
    fn now(&self) -> u32;
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> u32 {
        0
    }
}

/// The instructions of one stage, over all its measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Measurements.
    pub count: u32,
    /// Instructions of all measurements together.
    pub total: u64,
    /// Instructions of the dearest measurement.
    pub largest: u32,
}

impl Cost {
    const NONE: Self = Self {
        count: 0,
        total: 0,
        largest: 0,
    };

    fn add(&mut self, instructions: u32) {
        self.count += 1;
        self.total += u64::from(instructions);
        self.largest = self.largest.max(instructions);
    }
}

/// The instructions of each stage so far.
#[derive(Debug, Clone)]
pub struct Costs {
    /// One sample that completes no beat.
    pub sample: Cost,
    /// One sample that completes a beat: its window, the patient's template and RR history, the metadata view.
    pub beat: Cost,
    /// The other views of a beat.
    pub views: Cost,
    /// The rhythm: its network, and what it does to the beat's class, once a beat.
    pub rhythm: Cost,
}

/// The instructions of the beat's network so far.
#[derive(Debug, Clone)]
pub struct NetworkCosts {
    /// All of it, once a beat.
    pub model: Cost,
    /// Quantising its inputs, once a beat.
    pub quantise: Cost,
    /// Each of its layers, once a beat.
    pub layers: [Cost; MAX_STEPS],
}

/// Counts the instructions between two readings of a clock.
#[derive(Debug, Clone, Copy)]
struct Stopwatch<C> {
    clock: C,
    /// Instructions of reading the clock.
    overhead: u32,
    from: u32,
}

impl<C: Clock> Stopwatch<C> {
    fn new(clock: C) -> Self {
        let from = clock.now();
        let overhead = black_box(&clock).now().wrapping_sub(from);
        Self {
            clock,
            overhead,
            from,
        }
    }

    fn start(&mut self) {
        self.from = self.clock.now();
    }

    fn elapsed(&self) -> u32 {
        let taken = self.clock.now().wrapping_sub(self.from);
        taken.wrapping_sub(self.overhead)
    }
}

/// A network that knows what it takes.
#[derive(Debug)]
struct Metered<'a, C> {
    executor: Executor<'a>,
    stopwatch: Stopwatch<C>,
    costs: NetworkCosts,
    /// The instructions of the last beat.
    last: u32,
}

impl<C: Clock> Network for Metered<'_, C> {
    /// Runs the network; the clock's readings are taken off what it took.
    fn logits(&mut self, views: &Views) -> Logits {
        let Self {
            executor,
            stopwatch,
            costs,
            last,
        } = self;
        let (mut quantise, mut all) = (0_u32, 0_u32);
        stopwatch.start();
        let logits = executor.run_layers(black_box(views), |progress, _| {
            let taken = stopwatch.elapsed();
            all = all.wrapping_add(taken);
            match progress {
                Progress::Quantised(_) => quantise = quantise.wrapping_add(taken),
                Progress::Computed(step) => {
                    if let Some(cost) = costs.layers.get_mut(step) {
                        cost.add(taken);
                    }
                }
            }
            stopwatch.start();
        });
        let logits = black_box(logits);
        all = all.wrapping_add(stopwatch.elapsed());
        costs.quantise.add(quantise);
        costs.model.add(all);
        *last = all;
        logits
    }
}

/// A classified beat and what it took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeteredBeat {
    /// The beat.
    pub beat: Beat,
    /// Instructions spent on it.
    pub instructions: u32,
}

impl MeteredBeat {
    /// When it was, in milliseconds since the start.
    pub fn time_ms(&self) -> u32 {
        (u64::from(self.beat.r_sample) * 1000 / u64::from(SAMPLE_RATE_HZ)) as u32
    }

    /// Whether it lies in atrial fibrillation: `yes`, `no`, or `-` as long as that is not known.
    pub fn fibrillation(&self) -> &'static str {
        match self.beat.fibrillation {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        }
    }

    /// The RR interval since the beat before, in milliseconds; 0 at the first.
    pub fn rr_ms(&self) -> u32 {
        self.beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32)
    }
}

/// A classifier that knows what each of its stages takes.
#[derive(Debug)]
pub struct Pipeline<'a, C> {
    classifier: Classifier<'a, Metered<'a, C>>,
    stopwatch: Stopwatch<C>,
    costs: Costs,
}

impl<'a, C: Clock> Pipeline<'a, C> {
    /// At the start of a recording of a patient of whom nothing is known.
    pub fn new(executor: Executor<'a>, rhythm: rhythm::Model<'a>, clock: C) -> Self {
        let stopwatch = Stopwatch::new(clock);
        let network = Metered {
            executor,
            stopwatch,
            costs: NetworkCosts {
                model: Cost::NONE,
                quantise: Cost::NONE,
                layers: [Cost::NONE; MAX_STEPS],
            },
            last: 0,
        };
        Self {
            classifier: Classifier::new(network, Some(rhythm), Patient::default()),
            stopwatch,
            costs: Costs {
                sample: Cost::NONE,
                beat: Cost::NONE,
                views: Cost::NONE,
                rhythm: Cost::NONE,
            },
        }
    }

    /// Takes a sample, in mV, and gives at most one beat.
    pub fn push(&mut self, sample_mv: f32) -> Option<MeteredBeat> {
        self.next(Some(sample_mv))
    }

    /// Ends the recording; [`poll`](Self::poll) gives the beats that are left.
    pub fn finish(&mut self) {
        self.classifier.finish();
    }

    /// A beat that is left after the end.
    pub fn poll(&mut self) -> Option<MeteredBeat> {
        self.next(None)
    }

    /// What all of it took, the beat's network aside.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// What the beat's network took.
    pub fn network_costs(&self) -> &NetworkCosts {
        &self.classifier.network().costs
    }

    /// The network's model.
    pub fn model(&self) -> &Model<'a> {
        self.classifier.network().executor.model()
    }

    fn next(&mut self, sample_mv: Option<f32>) -> Option<MeteredBeat> {
        let (mut stopwatch, costs) = (self.stopwatch, &mut self.costs);
        let mut instructions = 0_u32;
        stopwatch.start();
        let done = |stage| {
            let taken = stopwatch.elapsed();
            let cost = match stage {
                Stage::Monitor if sample_mv.is_none() => None,
                Stage::Monitor => Some(&mut costs.beat),
                Stage::Views => Some(&mut costs.views),
                // The network meters itself.
                Stage::Network => None,
                Stage::Rhythm => Some(&mut costs.rhythm),
            };
            if let Some(cost) = cost {
                cost.add(taken);
                instructions = instructions.wrapping_add(taken);
            }
            stopwatch.start();
        };
        let beat = match sample_mv {
            Some(sample_mv) => self.classifier.push_with(black_box(sample_mv), done),
            None => self.classifier.poll_with(done),
        };
        match beat {
            Some(beat) => Some(MeteredBeat {
                beat,
                instructions: instructions.wrapping_add(self.classifier.network().last),
            }),
            None => {
                let taken = stopwatch.elapsed();
                if sample_mv.is_some() {
                    self.costs.sample.add(taken);
                }
                None
            }
        }
    }
}
