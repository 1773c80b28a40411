//! The whole road, metered: samples in, classified beats out, and the instructions that each stage takes. The same code
//! runs on every machine; [`Clock`] is all that differs.

use core::hint::black_box;
use heartlens_core::class::Class;
use heartlens_core::model::format::MAX_STEPS;
use heartlens_core::model::{Executor, Logits, Progress, softmax};
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Observation, Rhythm, Rules};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::Views;

/// Counts instructions.
pub trait Clock {
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
    /// The network, once a beat.
    pub model: Cost,
    /// Quantising the network's inputs, once a beat.
    pub quantise: Cost,
    /// The rhythm: its network, and what it does to the beat's class, once a beat.
    pub rhythm: Cost,
    /// Each of the network's layers, once a beat.
    pub layers: [Cost; MAX_STEPS],
}

/// A classified beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Position of the R peak, in samples.
    pub r_sample: u32,
    /// Its class.
    pub class: Class,
    /// The network's logits.
    pub logits: Logits,
    /// Their softmax, weighed by the rhythm.
    pub scores: Logits,
    /// Whether it lies in atrial fibrillation; `None` as long as that is not known.
    pub fibrillation: Option<bool>,
    /// RR interval since the beat before, in seconds.
    pub rr_s: Option<f32>,
    /// Instructions spent on it.
    pub instructions: u32,
}

impl Beat {
    /// When it was, in milliseconds since the start.
    pub fn time_ms(&self) -> u32 {
        (u64::from(self.r_sample) * 1000 / u64::from(SAMPLE_RATE_HZ)) as u32
    }

    /// Whether it lies in atrial fibrillation: `yes`, `no`, or `-` as long as that is not known.
    pub fn fibrillation(&self) -> &'static str {
        match self.fibrillation {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        }
    }

    /// The RR interval since the beat before, in milliseconds; 0 at the first.
    pub fn rr_ms(&self) -> u32 {
        self.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32)
    }
}

/// A monitor, a network and a rhythm.
#[derive(Debug)]
pub struct Road<'a, C> {
    monitor: Monitor,
    views: Views,
    executor: Executor<'a>,
    network: Network<'a>,
    rhythm: Rhythm,
    clock: C,
    /// Instructions of reading the clock.
    overhead: u32,
    costs: Costs,
}

impl<'a, C: Clock> Road<'a, C> {
    /// At the start of a recording of a patient of whom nothing is known.
    pub fn new(executor: Executor<'a>, network: Network<'a>, clock: C) -> Self {
        let from = clock.now();
        let overhead = black_box(&clock).now().wrapping_sub(from);
        Self {
            monitor: Monitor::new(Patient::default()),
            views: Views::ZERO,
            executor,
            network,
            rhythm: Rhythm::new(Rules::SHIPPED),
            clock,
            overhead,
            costs: Costs {
                sample: Cost::NONE,
                beat: Cost::NONE,
                views: Cost::NONE,
                model: Cost::NONE,
                quantise: Cost::NONE,
                rhythm: Cost::NONE,
                layers: [Cost::NONE; MAX_STEPS],
            },
        }
    }

    /// Takes a sample, in mV, and gives at most one beat.
    pub fn push(&mut self, sample_mv: f32) -> Option<Beat> {
        let from = self.clock.now();
        let beat = self.monitor.push(black_box(sample_mv));
        let taken = self.since(from);
        match &beat {
            None => self.costs.sample.add(taken),
            Some(_) => self.costs.beat.add(taken),
        }
        beat.as_ref().map(|beat| self.classify(beat, taken))
    }

    /// Ends the recording; [`poll`](Self::poll) gives the beats that are left.
    pub fn finish(&mut self) {
        self.monitor.finish();
    }

    /// A beat that is left after the end.
    pub fn poll(&mut self) -> Option<Beat> {
        let beat = self.monitor.poll()?;
        Some(self.classify(&beat, 0))
    }

    /// What all of it took.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// The network.
    pub fn executor(&self) -> &Executor<'a> {
        &self.executor
    }

    fn since(&self, from: u32) -> u32 {
        let taken = self.clock.now().wrapping_sub(from);
        taken.wrapping_sub(self.overhead)
    }

    fn classify(&mut self, beat: &MonitoredBeat, before: u32) -> Beat {
        let from = self.clock.now();
        self.views.compute(black_box(&beat.frame));
        let views = self.since(from);
        self.costs.views.add(views);
        let (logits, model) = self.run();
        let from = self.clock.now();
        let verdict = self.rhythm.push(
            Some(self.network),
            &Observation::from(&beat.frame),
            &softmax(&logits),
            beat.quality.is_readable(),
        );
        let rhythm = self.since(from);
        self.costs.rhythm.add(rhythm);
        Beat {
            r_sample: beat.frame.r_sample,
            class: verdict.class,
            logits,
            scores: verdict.probabilities,
            fibrillation: verdict.fibrillation,
            rr_s: beat.frame.pre_rr_s,
            instructions: before
                .wrapping_add(views)
                .wrapping_add(model)
                .wrapping_add(rhythm),
        }
    }

    /// Runs the network, and gives its logits and what it took, the clock's readings taken off.
    fn run(&mut self) -> (Logits, u32) {
        let Self {
            views,
            executor,
            clock,
            overhead,
            costs,
            ..
        } = self;
        let (mut quantise, mut all) = (0_u32, 0_u32);
        let mut from = clock.now();
        let logits = executor.run_layers(black_box(views), |progress, _| {
            let taken = clock.now().wrapping_sub(from).wrapping_sub(*overhead);
            all = all.wrapping_add(taken);
            match progress {
                Progress::Quantised(_) => quantise = quantise.wrapping_add(taken),
                Progress::Computed(step) => {
                    if let Some(cost) = costs.layers.get_mut(step) {
                        cost.add(taken);
                    }
                }
            }
            from = clock.now();
        });
        let logits = black_box(logits);
        all = all.wrapping_add(clock.now().wrapping_sub(from).wrapping_sub(*overhead));
        costs.quantise.add(quantise);
        costs.model.add(all);
        (logits, all)
    }
}
