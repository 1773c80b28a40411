//! Core's classifier, metered: samples in, classified beats out, and the instructions that each stage takes. The same code
//! runs on every machine; [`Clock`] is all that differs.

use core::hint::black_box;
use core::task::Poll;
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
    /// Nothing measured.
    pub const NONE: Self = Self {
        count: 0,
        total: 0,
        largest: 0,
    };

    /// Takes a measurement.
    pub fn add(&mut self, instructions: u32) {
        self.count += 1;
        self.total += u64::from(instructions);
        self.largest = self.largest.max(instructions);
    }
}

/// The instructions of each stage so far.
#[derive(Debug, Clone)]
pub struct Costs {
    /// One sample.
    pub sample: Cost,
    /// A beat that has become complete: its window, the patient's template and RR history, the metadata view.
    pub beat: Cost,
    /// The other views of a beat.
    pub views: Cost,
    /// The rhythm: its network, and what it does to the beat's class, once a beat.
    pub rhythm: Cost,
    /// One call: a sample, or one slice of the work on a beat.
    pub slice: Cost,
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
pub(crate) struct Stopwatch<C> {
    clock: C,
    /// Instructions of reading the clock.
    overhead: u32,
    from: u32,
}

impl<C: Clock> Stopwatch<C> {
    pub(crate) fn new(clock: C) -> Self {
        let from = clock.now();
        let overhead = black_box(&clock).now().wrapping_sub(from);
        Self {
            clock,
            overhead,
            from,
        }
    }

    pub(crate) fn start(&mut self) {
        self.from = self.clock.now();
    }

    pub(crate) fn elapsed(&self) -> u32 {
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
    /// The instructions of quantising this beat's inputs, of all its parts so far, and of the slices of the layer under way.
    quantise: u32,
    all: u32,
    layer: u32,
}

impl<C: Clock> Network for Metered<'_, C> {
    fn logits(&mut self, views: &Views) -> Logits {
        let mut part = 0;
        loop {
            if let Poll::Ready(logits) = self.part(views, part) {
                return logits;
            }
            part += 1;
        }
    }

    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        if part == 0 {
            (self.quantise, self.all, self.layer) = (0, 0, 0);
        }
        self.stopwatch.start();
        let (progress, logits) = black_box(self.executor.run_part(black_box(views), part));
        let taken = self.stopwatch.elapsed();
        self.all = self.all.wrapping_add(taken);
        match progress {
            Progress::Quantised(_) => self.quantise = self.quantise.wrapping_add(taken),
            Progress::Computing(_) => self.layer = self.layer.wrapping_add(taken),
            Progress::Computed(step) => {
                let layer = core::mem::take(&mut self.layer).wrapping_add(taken);
                if let Some(cost) = self.costs.layers.get_mut(step) {
                    cost.add(layer);
                }
            }
        }
        if logits.is_ready() {
            self.costs.quantise.add(self.quantise);
            self.costs.model.add(self.all);
        }
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
            quantise: 0,
            all: 0,
            layer: 0,
        };
        Self {
            classifier: Classifier::new(network, Some(rhythm), Patient::default()),
            stopwatch,
            costs: Costs {
                sample: Cost::NONE,
                beat: Cost::NONE,
                views: Cost::NONE,
                rhythm: Cost::NONE,
                slice: Cost::NONE,
            },
        }
    }

    /// Takes a sample, in mV, and gives at most one beat.
    pub fn push(&mut self, sample_mv: f32) -> Option<MeteredBeat> {
        self.stopwatch.start();
        self.classifier.take(black_box(sample_mv));
        let taken = self.stopwatch.elapsed();
        self.costs.sample.add(taken);
        self.costs.slice.add(taken);
        self.poll()
    }

    /// Ends the recording; [`poll`](Self::poll) gives the beats that are left.
    pub fn finish(&mut self) {
        self.classifier.finish();
    }

    /// The next complete beat, slice by slice.
    pub fn poll(&mut self) -> Option<MeteredBeat> {
        let mut taken = [0_u32; 4];
        loop {
            let stage = self.classifier.stage();
            self.stopwatch.start();
            let slice = black_box(self.classifier.work());
            let instructions = self.stopwatch.elapsed();
            if slice == Poll::Ready(None) {
                return None;
            }
            self.costs.slice.add(instructions);
            let sum = &mut taken[stage as usize];
            *sum = sum.wrapping_add(instructions);
            if let Poll::Ready(Some(beat)) = slice {
                let [cut, views, _, rhythm] = taken;
                self.costs.beat.add(cut);
                self.costs.views.add(views);
                self.costs.rhythm.add(rhythm);
                // The network meters itself, and takes the clock's readings off.
                let network = self.classifier.network().all;
                let others = cut.wrapping_add(views).wrapping_add(rhythm);
                return Some(MeteredBeat {
                    beat,
                    instructions: others.wrapping_add(network),
                });
            }
        }
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
}
