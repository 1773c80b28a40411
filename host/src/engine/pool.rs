//! Threads that work side by side: on records, and on the batches of beats inside them.
//!
//! A thread with nothing to do takes a batch that waits, whichever record it belongs to, and where none waits the next
//! record. A record's thread that has run ahead of its batches takes one itself. So one long record keeps all threads
//! busy, and so does a folder of short ones; and little waits anywhere: batches, records begun, results not taken.

use super::BATCH;
use super::feed::{Found, Window};
use crate::analysis::Stages;
use crate::choice::weights_by_quality;
use crate::clock::Instant;
use crate::model::Model;
use crate::options::Options;
use crate::runtime::int8::Int8;
use crate::runtime::{Kind, Logits, ModelError, Runtime};
use heartlens_core::classifier::{Observed, Scores};
use heartlens_core::monitor::MonitoredBeat;
use heartlens_core::quality::BeatQuality;
use heartlens_core::rhythm::{self, Rules};
use heartlens_core::strip::{StripVerdict, StripViews, StripWindow};
use heartlens_core::views::Views;
use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// Batches that wait at most for each thread, before a record's thread leaves its signal and takes one itself.
const WAITING: usize = 4;
/// Windows of the strip network that wait at most for a whole batch of beats.
const WINDOWS: usize = 16;
/// Records that are begun ahead of the one whose result is to come next, for each thread.
const AHEAD: usize = 2;
/// How long a request to stop may go unnoticed.
const STOP_NOTICED: Duration = Duration::from_millis(50);

/// Ends the work of a [`Pool`], from any thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for it.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether someone has asked.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Threads that classify records with one model: side by side, and several on one record.
///
/// ```
/// use heartlens::records::Record;
/// use heartlens::{Error, Model, Options, Pool};
/// use std::ops::ControlFlow::Continue;
///
/// fn burdens(records: &[Record]) -> Result<(), Error> {
///     let (model, options) = (Model::shipped()?, Options::default());
///     let work = |place: usize, worker: &mut heartlens::Worker<'_>| {
///         worker.classify(&records[place], &options, &mut |_| Continue(()))
///     };
///     Pool::new(&model, &options).map(records.len(), work, |place, analysis| {
///         if let Some(Ok(analysis)) = analysis {
///             println!("{}: {:?}", records[place].name(), analysis.summary.ventricular_burden);
///         }
///         Continue(())
///     });
///     Ok(())
/// }
/// # burdens(&[]).unwrap();
/// ```
pub struct Pool<'m> {
    model: &'m Model,
    runtime: Kind,
    rhythm: Option<rhythm::Model<'m>>,
    threads: usize,
    stop: Stop,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Batches that nobody has taken yet.
    waiting: VecDeque<Batch>,
    /// What has become of the batches of each record that is on its way, by their places.
    lanes: HashMap<usize, BTreeMap<usize, Outcome>>,
    /// Records begun so far.
    lanes_opened: usize,
    jobs: Jobs,
    closed: bool,
}

/// Records to begin, by their places.
#[derive(Default)]
struct Jobs {
    next: usize,
    end: usize,
    /// Results taken.
    taken: usize,
}

/// Beats on their way, and whose they are.
struct Batch {
    lane: usize,
    place: usize,
    /// Whether the views are wanted back.
    shown: bool,
    fusion: Fusion,
    beats: Vec<Found>,
    windows: Vec<Window>,
}

/// How the logits of several leads become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fusion {
    /// By their mean. The first lead's quality is the beat's.
    Mean,
    /// By their mean, weighted by the quality around the beat. The best lead's quality is the beat's.
    ByQuality,
}

impl Fusion {
    /// A beat's weight in each lead; they add up to 1. `beats` are the leads' own, not all missing.
    fn weights(self, beats: &[Option<&MonitoredBeat>]) -> Vec<f32> {
        let qualities: Vec<Option<BeatQuality>> = beats
            .iter()
            .map(|beat| match self {
                Self::Mean => beat.map(|_| BeatQuality::CLEAN),
                Self::ByQuality => beat.map(|beat| beat.quality),
            })
            .collect();
        weights_by_quality(&qualities)
    }
}

/// What became of a batch; an error of the second kind is a panic.
type Outcome = Result<Result<Done, ModelError>, Box<dyn Any + Send>>;

/// A batch that has been through views and networks.
pub(super) struct Done {
    pub(super) beats: Vec<Scored>,
    /// What the strip network says of windows of the signal.
    pub(super) windows: Vec<StripVerdict>,
    pub(super) stages: Stages,
    /// Of each lead, of each beat that it has.
    views: Vec<Vec<Views>>,
}

impl Done {
    /// The views of a beat in each lead, by its place; of a lead that does not have it the first lead's. Empty where they
    /// were not wanted.
    pub(super) fn views_of(&self, beat: usize) -> Vec<&Views> {
        let first = self.views.first().and_then(|views| views.get(beat));
        let places = self.beats[beat].places.iter().zip(&self.views);
        let own = places.map(|(place, views)| place.and_then(|place| views.get(place)));
        own.filter_map(|own| own.or(first)).collect()
    }
}

/// What is known of a beat, and what the networks say of it; the logits of several leads are averaged.
pub(super) struct Scored {
    /// Its R peak is counted from the signal's start.
    pub(super) observed: Observed,
    /// Where its recording begins in the signal.
    pub(super) origin: u32,
    pub(super) scores: Scores,
    /// Each lead's weight in the logits; they add up to 1.
    pub(super) weights: Vec<f32>,
    /// Its place among each lead's views.
    places: Vec<Option<usize>>,
}

enum Task {
    Batch(Batch),
    Job(usize),
    Nothing,
}

impl<'m> Pool<'m> {
    /// Threads for a model. Of the options, runtime, rules and number of threads count here; the others may differ from
    /// record to record.
    pub fn new(model: &'m Model, options: &Options) -> Self {
        Self {
            model,
            runtime: options.runtime,
            rhythm: options.rules.and_then(|rules| model.rhythm(rules)),
            threads: options.thread_count().get(),
            stop: Stop::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// What ends the work of this pool.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    pub(super) fn model(&self) -> &'m Model {
        self.model
    }

    /// The rhythm network, where there is one and it is asked for.
    pub(super) fn rhythm(&self) -> Option<rhythm::Model<'m>> {
        self.rhythm
    }

    /// The rules that weigh, where there is a rhythm network.
    pub(super) fn rules(&self) -> Option<Rules> {
        self.rhythm.map(|rhythm| rhythm.rules)
    }

    /// Does one thing in this thread, which the others help with.
    pub fn one<T>(&self, work: impl FnOnce(&mut Worker<'_>) -> T) -> T {
        std::thread::scope(|scope| {
            let _closing = Closing(self);
            for _ in 1..self.threads {
                // Where the system has no thread left, those there are do the work.
                let helper = || self.work(&|_, _| ());
                if Builder::new().spawn_scoped(scope, helper).is_err() {
                    break;
                }
            }
            work(&mut Worker::new(self))
        })
    }

    /// Does `work` for each of `jobs` places, side by side, and gives the results to `take`, in order, until it breaks
    /// off. `Break` where it did, or where the pool was stopped. The result of a job that panics is `None`.
    pub fn map<T: Send>(
        &self,
        jobs: usize,
        work: impl Fn(usize, &mut Worker<'_>) -> T + Sync,
        mut take: impl FnMut(usize, Option<T>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.lock().jobs.end = jobs;
        let results = Mutex::new(BTreeMap::new());
        let results = || results.lock().unwrap_or_else(PoisonError::into_inner);
        let job = |place: usize, worker: &mut Worker<'_>| {
            let result = catch_unwind(AssertUnwindSafe(|| work(place, worker)));
            results().insert(place, result.ok());
        };
        std::thread::scope(|scope| {
            let _closing = Closing(self);
            scope.spawn(|| self.work(&job));
            for _ in 1..self.threads {
                if Builder::new()
                    .spawn_scoped(scope, || self.work(&job))
                    .is_err()
                {
                    break;
                }
            }
            for place in 0..jobs {
                let mut state = self.lock();
                let result = loop {
                    if self.stop.is_stopped() {
                        return ControlFlow::Break(());
                    }
                    if let Some(result) = results().remove(&place) {
                        break result;
                    }
                    let woken = self.changed.wait_timeout(state, STOP_NOTICED);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                };
                state.jobs.taken += 1;
                drop(state);
                self.changed.notify_all();
                take(place, result)?;
            }
            ControlFlow::Continue(())
        })
    }

    /// Does what there is to do, until the pool is closed.
    fn work(&self, job: &(dyn Fn(usize, &mut Worker<'_>) + Sync)) {
        let mut worker = Worker::new(self);
        loop {
            match self.next_task() {
                Task::Batch(batch) => worker.take(batch),
                Task::Job(place) => {
                    job(place, &mut worker);
                    // Whoever waits for the result looks for it under this lock.
                    drop(self.lock());
                    self.changed.notify_all();
                }
                Task::Nothing => return,
            }
        }
    }

    /// The next thing to do, as soon as there is one; `Nothing` once there will be none.
    fn next_task(&self) -> Task {
        let mut state = self.lock();
        loop {
            if state.closed || self.stop.is_stopped() {
                return Task::Nothing;
            }
            if let Some(batch) = state.waiting.pop_front() {
                return Task::Batch(batch);
            }
            let jobs = &mut state.jobs;
            if jobs.next < jobs.end.min(jobs.taken + AHEAD * self.threads) {
                jobs.next += 1;
                return Task::Job(jobs.next - 1);
            }
            state = self.wait(state);
        }
    }

    /// The state is whole after every step: a panic elsewhere leaves it good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a pool when dropped, so that no thread waits for ever.
struct Closing<'a>(&'a Pool<'a>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// A thread of a [`Pool`], and what it works with.
pub struct Worker<'p> {
    pool: &'p Pool<'p>,
    /// Opened when it is first needed.
    network: Option<Box<dyn Runtime>>,
    strip: Option<Int8>,
    views: Vec<Vec<Views>>,
}

impl<'p> Worker<'p> {
    fn new(pool: &'p Pool<'p>) -> Self {
        Self {
            pool,
            network: None,
            strip: None,
            views: Vec::new(),
        }
    }

    pub(super) fn pool(&self) -> &'p Pool<'p> {
        self.pool
    }

    /// This thread's network.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn network(&mut self) -> Result<&mut dyn Runtime, ModelError> {
        match &mut self.network {
            Some(network) => Ok(&mut **network),
            none => {
                let network = self.pool.model.network(self.pool.runtime)?;
                Ok(&mut **none.insert(network))
            }
        }
    }

    /// Where a record's beats go. With `shown`, their views come back with them.
    pub(super) fn lane(&mut self, shown: bool, fusion: Fusion) -> Lane<'_, 'p> {
        let mut state = self.pool.lock();
        let id = state.lanes_opened;
        state.lanes_opened += 1;
        state.lanes.insert(id, BTreeMap::new());
        drop(state);
        Lane {
            id,
            worker: self,
            shown,
            fusion,
            beats: Vec::with_capacity(BATCH),
            windows: Vec::new(),
            sent: 0,
            taken: 0,
        }
    }

    fn take(&mut self, batch: Batch) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.score(&batch)));
        if !matches!(outcome, Ok(Ok(_))) {
            // Whatever state it is in.
            self.network = None;
            self.strip = None;
        }
        let mut state = self.pool.lock();
        if let Some(lane) = state.lanes.get_mut(&batch.lane) {
            lane.insert(batch.place, outcome);
        }
        drop(state);
        self.pool.changed.notify_all();
    }

    fn score(&mut self, batch: &Batch) -> Result<Done, ModelError> {
        let begun = Instant::now();
        let leads = batch.beats.first().map_or(0, |beat| 1 + beat.others.len());
        let mut views = std::mem::take(&mut self.views);
        views.resize(leads, Vec::new());
        for (lead, views) in views.iter_mut().enumerate() {
            compute(
                views,
                batch.beats.iter().filter_map(|beat| beat.in_lead(lead)),
            );
        }
        let between = Instant::now();
        let network = self.network()?;
        let mut logits = Vec::with_capacity(leads);
        for views in &views {
            logits.push(match views.is_empty() {
                true => Vec::new(),
                false => network.logits(views)?,
            });
        }
        let mut next = vec![0; leads];
        let mut score = |beat: &Found| {
            let beats: Vec<_> = (0..leads).map(|lead| beat.in_lead(lead)).collect();
            let weights = batch.fusion.weights(&beats);
            let places = beats.iter().zip(&mut next).map(|(beat, next)| {
                let place = *next;
                *next += usize::from(beat.is_some());
                beat.map(|_| place)
            });
            let places: Vec<Option<usize>> = places.collect();
            let heaviest = match batch.fusion {
                Fusion::Mean => 0,
                Fusion::ByQuality => best(&beats),
            };
            let views_of = |lead: usize| places[lead].and_then(|place| views[lead].get(place));
            let mut observed = match (beats[heaviest], views_of(heaviest)) {
                (Some(beat), Some(views)) => Observed::new(beat, views),
                _ => Observed::new(&beat.first, &Views::ZERO),
            };
            observed.r_sample += beat.origin;
            let rhythm = self.pool.rhythm.zip(beat.input.as_ref());
            Scored {
                observed,
                origin: beat.origin,
                scores: Scores {
                    logits: mean(&logits, &places, &weights),
                    rhythm: rhythm.map(|(rhythm, input)| rhythm.network.score(input)),
                },
                weights,
                places,
            }
        };
        let beats = batch.beats.iter().map(&mut score).collect();
        let network = between.elapsed();
        let between_too = Instant::now();
        let windows = self.judge(&batch.windows)?;
        let stages = Stages {
            views: between - begun,
            network,
            strips: between_too.elapsed(),
            ..Stages::default()
        };
        if !batch.shown {
            self.views = std::mem::take(&mut views);
        }
        Ok(Done {
            beats,
            windows,
            stages,
            views,
        })
    }
}

impl Worker<'_> {
    /// What the strip network says of windows, which are then counted from the signal's start. One that is hardly readable is noise, whatever it says.
    fn judge(&mut self, windows: &[Window]) -> Result<Vec<StripVerdict>, ModelError> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        if self.strip.is_none() {
            self.strip = self.pool.model.strip();
        }
        let Some(network) = &mut self.strip else {
            return Ok(Vec::new());
        };
        let mut judged = Vec::with_capacity(windows.len());
        let mut views = StripViews::ZERO;
        for Window {
            strip,
            window,
            origin,
        } in windows
        {
            strip.compute(*window, &mut views);
            let mut probabilities = StripVerdict::NOISE;
            if views.is_readable() {
                for logits in network.run(std::slice::from_ref(&views))? {
                    probabilities = StripVerdict::probabilities(&views, &logits);
                }
            }
            judged.push(StripVerdict {
                window: StripWindow {
                    start: window.start + origin,
                    end: window.end + origin,
                },
                probabilities,
            });
        }
        Ok(judged)
    }
}

/// The lead of the best quality among those that have the beat, of equals the first.
fn best(beats: &[Option<&MonitoredBeat>]) -> usize {
    let scores = beats.iter().enumerate();
    let scores = scores.filter_map(|(lead, beat)| Some((lead, beat.as_ref()?.quality.score)));
    let better = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
    scores.reduce(better).map_or(0, |(lead, _)| lead)
}

/// A beat's logits, of the leads that have it: their sum in the leads' order, each times its weight.
fn mean(logits: &[Vec<Logits>], places: &[Option<usize>], weights: &[f32]) -> Logits {
    let mut sum = Logits::default();
    for ((logits, place), weight) in logits.iter().zip(places).zip(weights) {
        let Some(logits) = place.and_then(|place| logits.get(place)) else {
            continue;
        };
        for (sum, logit) in sum.iter_mut().zip(logits) {
            *sum += weight * logit;
        }
    }
    sum
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if let Some(network) = self.network.take() {
            self.pool.model.keep(self.pool.runtime, network);
        }
    }
}

fn compute<'a>(views: &mut Vec<Views>, beats: impl Iterator<Item = &'a MonitoredBeat>) {
    views.clear();
    for beat in beats {
        views.push(Views::ZERO);
        if let Some(views) = views.last_mut() {
            views.compute(&beat.frame);
        }
    }
}

/// A record's beats on their way through the pool: in at one end, and out in order at the other.
pub(super) struct Lane<'w, 'p> {
    id: usize,
    worker: &'w mut Worker<'p>,
    shown: bool,
    fusion: Fusion,
    /// Beats that are no whole batch yet.
    beats: Vec<Found>,
    /// Windows that go with the next batch.
    windows: Vec<Window>,
    /// Batches that went in.
    sent: usize,
    /// Batches that came out.
    taken: usize,
}

impl Lane<'_, '_> {
    /// Takes a beat.
    pub(super) fn push(&mut self, beat: Found) {
        self.beats.push(beat);
        if self.beats.len() == BATCH {
            self.send();
        }
    }

    /// Takes a window of the strip network.
    pub(super) fn push_window(&mut self, window: Window) {
        self.windows.push(window);
        if self.windows.len() == WINDOWS {
            self.send();
        }
    }

    fn send(&mut self) {
        let batch = Batch {
            windows: std::mem::take(&mut self.windows),
            lane: self.id,
            place: self.sent,
            shown: self.shown,
            fusion: self.fusion,
            beats: std::mem::replace(&mut self.beats, Vec::with_capacity(BATCH)),
        };
        self.sent += 1;
        self.worker.pool.lock().waiting.push_back(batch);
        self.worker.pool.changed.notify_all();
    }

    /// The next batch, if it is ready, or as soon as it is where too many are on their way. With `all`, as soon as it is,
    /// until none is left.
    ///
    /// # Errors
    /// When a network failed.
    pub(super) fn next(&mut self, all: bool) -> Result<Option<Done>, ModelError> {
        if all && !(self.beats.is_empty() && self.windows.is_empty()) {
            self.send();
        }
        let pool = self.worker.pool;
        // Alone, this thread takes each batch as soon as it is full.
        let most = match pool.threads {
            1 => 0,
            threads => WAITING * threads,
        };
        let mut state = pool.lock();
        loop {
            let outcomes = state.lanes.get_mut(&self.id);
            if let Some(outcome) = outcomes.and_then(|outcomes| outcomes.remove(&self.taken)) {
                self.taken += 1;
                return match outcome {
                    Ok(done) => done.map(Some),
                    Err(panic) => resume_unwind(panic),
                };
            }
            let on_their_way = self.sent - self.taken;
            if on_their_way == 0 || (!all && on_their_way.max(state.waiting.len()) <= most) {
                return Ok(None);
            }
            state = match state.waiting.pop_front() {
                Some(batch) => {
                    drop(state);
                    self.worker.take(batch);
                    pool.lock()
                }
                None => pool.wait(state),
            };
        }
    }

    /// Whether the pool is to do no more.
    pub(super) fn is_stopped(&self) -> bool {
        let pool = self.worker.pool;
        pool.stop.is_stopped() || pool.lock().closed
    }
}

impl Drop for Lane<'_, '_> {
    /// Takes back what nobody waits for any more.
    fn drop(&mut self) {
        let mut state = self.worker.pool.lock();
        state.lanes.remove(&self.id);
        state.waiting.retain(|batch| batch.lane != self.id);
    }
}
