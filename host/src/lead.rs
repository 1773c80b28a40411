//! One lead from samples to logits, on one thread or several.
//!
//! Filter, detector and beat windows are one chain, sample after sample: one thread runs it. The beats that come out
//! of it do not know each other any more. They are collected in batches of [`BATCH`]; whoever has nothing to do takes
//! the next batch through views and network, the first thread as well where batches pile up. A batch holds the same
//! beats however many threads there are, so the results are the same to the bit.

use crate::runtime::{Logits, ModelError, Runtime};
use heartlens_core::monitor::{Monitor, MonitoredBeat, PeakSource};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Input, Intervals, Network, Observation};
use heartlens_core::views::Views;
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Beats that go through views and network at a time.
pub const BATCH: usize = 64;

/// Batches that wait for each thread at most, before the first thread leaves the signal and takes one itself.
const WAITING: usize = 2;

/// What one lead's network says of one beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeadBeat {
    /// Position of the R peak, in samples at the canonical rate.
    pub r_sample: u32,
    /// What the rhythm reads of it.
    pub observation: Observation,
    /// How worth reading the signal around the beat is, 0..=1.
    pub quality: f32,
    /// Whether that is enough for a class.
    pub readable: bool,
    /// The network's logits.
    pub logits: Logits,
}

impl LeadBeat {
    pub(crate) fn new(beat: &MonitoredBeat, logits: Logits) -> Self {
        Self {
            r_sample: beat.frame.r_sample,
            observation: Observation::from(&beat.frame),
            quality: beat.quality.score,
            readable: beat.quality.is_readable(),
            logits,
        }
    }
}

/// A beat, and the rhythm network's score where there is such a network and enough intervals before the beat.
pub type Scored = (LeadBeat, Option<f32>);

/// Where the time went, all threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    /// Samples, filter, signal quality, R peaks and the beats' windows.
    pub monitor: Duration,
    /// The four views of each beat.
    pub views: Duration,
    /// The networks.
    pub network: Duration,
}

impl AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        self.monitor += other.monitor;
        self.views += other.views;
        self.network += other.network;
    }
}

/// Sends a lead, block by block in mV at the canonical rate, through core's monitor, and its beats through views and
/// networks, `rhythm` among them where it is there: in this thread with `runtime`, and in one more for each of
/// `helpers`, the same network in the same kind of runtime. `progress` is told the number of samples read, once a block.
///
/// # Errors
/// The first that the blocks or a runtime report.
pub fn run<P: PeakSource, B: AsRef<[f32]>, E: From<ModelError>>(
    blocks_mv: impl IntoIterator<Item = Result<B, E>>,
    peaks: P,
    patient: Patient,
    runtime: &mut dyn Runtime,
    helpers: &mut [Box<dyn Runtime>],
    rhythm: Option<Network<'_>>,
    mut progress: impl FnMut(u64),
) -> Result<(Vec<Scored>, Stages), E> {
    // Alone, this thread takes each batch as soon as it is full.
    let most = WAITING * helpers.len();
    let queue = Queue::default();
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = helpers
            .iter_mut()
            .map(|helper| {
                scope.spawn(|| {
                    let mut done = Done::default();
                    while let Some(batch) = queue.wait() {
                        done.take(batch, &mut **helper, rhythm, &queue);
                    }
                    done
                })
            })
            .collect();
        // Dropped at the end and where something panics, so that no worker waits for ever.
        let open = Open(&queue);
        let mut done = Done::default();
        let mut feeder = Feeder::new(&queue);
        let mut monitor = Monitor::with_peaks(peaks, patient);
        for block in blocks_mv {
            // Returning early closes the queue, and the workers end.
            for sample in block?.as_ref() {
                if let Some(beat) = monitor.push(*sample)
                    && feeder.take(beat)
                {
                    while let Some(batch) = queue.pop_beyond(most) {
                        feeder.pause(|| done.take(batch, runtime, rhythm, &queue));
                    }
                }
            }
            if queue.has_failed() {
                break;
            }
            progress(u64::from(monitor.samples()));
        }
        monitor.finish();
        while let Some(beat) = monitor.poll() {
            feeder.take(beat);
        }
        done.stages.monitor = feeder.finish();
        drop(open);
        while let Some(batch) = queue.wait() {
            done.take(batch, runtime, rhythm, &queue);
        }
        for worker in workers {
            match worker.join() {
                Ok(theirs) => done.join(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<Done, E>(done)
    })?;
    Ok(done.in_order()?)
}

/// Beats on their way, each with what the rhythm network reads, and the batch's place among all.
type Batch = (usize, Vec<(MonitoredBeat, Option<Input>)>);

/// Batches that nobody has taken yet.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    closed: bool,
    failed: bool,
}

impl Queue {
    /// The state is a list and two flags, whole after every step: a panic elsewhere leaves it good.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, batch: Batch) {
        self.lock().batches.push_back(batch);
        self.changed.notify_one();
    }

    /// The oldest batch where more than `most` wait.
    fn pop_beyond(&self, most: usize) -> Option<Batch> {
        let mut state = self.lock();
        if state.batches.len() > most {
            state.batches.pop_front()
        } else {
            None
        }
    }

    /// The oldest batch, as soon as there is one; `None` once no more will come.
    fn wait(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.failed {
                return None;
            }
            if let Some(batch) = state.batches.pop_front() {
                return Some(batch);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fail(&self) {
        self.lock().failed = true;
        self.changed.notify_all();
    }

    fn has_failed(&self) -> bool {
        self.lock().failed
    }
}

/// Closes the queue when dropped.
struct Open<'a>(&'a Queue);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// Collects beats into batches, and the time between them.
struct Feeder<'a> {
    queue: &'a Queue,
    intervals: Intervals,
    beats: Vec<(MonitoredBeat, Option<Input>)>,
    batches: usize,
    since: Instant,
    elsewhere: Duration,
}

impl<'a> Feeder<'a> {
    fn new(queue: &'a Queue) -> Self {
        Self {
            queue,
            intervals: Intervals::new(),
            beats: Vec::with_capacity(BATCH),
            batches: 0,
            since: Instant::now(),
            elsewhere: Duration::ZERO,
        }
    }

    /// Takes a beat; true where it filled a batch, which then waits in the queue.
    fn take(&mut self, beat: MonitoredBeat) -> bool {
        let input = self.intervals.push(beat.frame.pre_rr_s);
        self.beats.push((beat, input));
        let full = self.beats.len() == BATCH;
        if full {
            self.pass_on();
        }
        full
    }

    fn pass_on(&mut self) {
        let beats = std::mem::replace(&mut self.beats, Vec::with_capacity(BATCH));
        self.queue.push((self.batches, beats));
        self.batches += 1;
    }

    /// Runs something that is not the feeder's work.
    fn pause(&mut self, other: impl FnOnce()) {
        let start = Instant::now();
        other();
        self.elsewhere += start.elapsed();
    }

    /// Passes on the last beats, and tells the time that all of them took.
    fn finish(mut self) -> Duration {
        if !self.beats.is_empty() {
            self.pass_on();
        }
        self.since.elapsed().saturating_sub(self.elsewhere)
    }
}

/// What one thread has done.
#[derive(Default)]
struct Done {
    batches: Vec<(usize, Vec<Scored>)>,
    failure: Option<(usize, ModelError)>,
    stages: Stages,
    views: Vec<Views>,
}

impl Done {
    fn take(
        &mut self,
        (place, beats): Batch,
        runtime: &mut dyn Runtime,
        rhythm: Option<Network<'_>>,
        queue: &Queue,
    ) {
        let start = Instant::now();
        self.views.resize_with(beats.len(), || Views::ZERO);
        for (views, (beat, _)) in self.views.iter_mut().zip(&beats) {
            views.compute(&beat.frame);
        }
        let between = Instant::now();
        let logits = runtime.logits(&self.views);
        let score = |input: &Option<Input>| Some(rhythm?.score(input.as_ref()?));
        let scores: Vec<Option<f32>> = beats.iter().map(|(_, input)| score(input)).collect();
        self.stages.views += between - start;
        self.stages.network += between.elapsed();
        match logits {
            Ok(logits) => {
                let beats = beats.iter().zip(logits);
                let beats = beats.map(|((beat, _), logits)| LeadBeat::new(beat, logits));
                self.batches.push((place, beats.zip(scores).collect()));
            }
            Err(error) => {
                queue.fail();
                self.failure = Some((place, error));
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.batches.extend(other.batches);
        self.stages += other.stages;
        self.failure = match (self.failure.take(), other.failure) {
            (Some(ours), Some(theirs)) if theirs.0 < ours.0 => Some(theirs),
            (ours, theirs) => ours.or(theirs),
        };
    }

    fn in_order(mut self) -> Result<(Vec<Scored>, Stages), ModelError> {
        if let Some((_, error)) = self.failure {
            return Err(error);
        }
        self.batches.sort_unstable_by_key(|(place, _)| *place);
        let beats = self.batches.into_iter().flat_map(|(_, beats)| beats);
        Ok((beats.collect(), self.stages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rhythm::RhythmModel;
    use crate::runtime::softmax;
    use crate::synth::{Options, Recording};
    use heartlens_core::detector::Detector;
    use heartlens_core::rhythm::{Rhythm, Rules, Verdict};
    use heartlens_core::spec::{LABELS, SAMPLE_RATE_HZ};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Says something of each beat that depends on all of its views and on the batch's size; fails after as many calls,
    /// all threads together.
    struct Sums {
        calls: Arc<AtomicUsize>,
        fails_at: usize,
    }

    impl Runtime for Sums {
        fn name(&self) -> &'static str {
            "sums"
        }

        fn model_name(&self) -> &str {
            "sums"
        }

        fn reads_patient(&self) -> bool {
            false
        }

        fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
            if self.calls.fetch_add(1, Ordering::Relaxed) >= self.fails_at {
                return Err(ModelError::Output {
                    path: PathBuf::from("sums"),
                    runtime: "sums",
                    found: "nothing".to_owned(),
                    expected: "sums".to_owned(),
                });
            }
            let sum = |view: &[f32]| view.iter().sum::<f32>();
            let of = |v: &Views| -> Logits {
                let sums = [
                    sum(&v.waveform),
                    sum(&v.spectrum),
                    sum(&v.spectrogram),
                    sum(&v.metadata) + beats.len() as f32,
                ];
                std::array::from_fn::<f32, { LABELS.len() }, _>(|i| sums[i])
            };
            Ok(beats.iter().map(of).collect())
        }
    }

    fn signal() -> Vec<f32> {
        let options = Options {
            minutes: 12.0,
            noise_db: Some(18.0),
            sample_rate_hz: f64::from(SAMPLE_RATE_HZ),
            ..Options::default()
        };
        let [lead, _] = Recording::generate(&options).expect("in range").leads_mv;
        lead
    }

    /// Twelve minutes of narrow pulses, all alike: at first regular, then without order, as in atrial fibrillation.
    fn losing_its_order() -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let rate = f64::from(SAMPLE_RATE_HZ);
        let mut signal = vec![0.0; (720.0 * rate) as usize];
        let mut time_s = 1.0;
        while time_s < 719.0 {
            let peak = (time_s * rate) as usize;
            for (i, sample) in signal[peak - 5..].iter_mut().take(11).enumerate() {
                *sample = (-0.3 * (i as f32 - 5.0).powi(2)).exp();
            }
            time_s += if time_s < 360.0 {
                0.8
            } else {
                rng.random_range(0.45..1.1)
            };
        }
        signal
    }

    fn run_on(
        threads: usize,
        signal: &[f32],
        fails_at: usize,
        rhythm: Option<Network<'_>>,
    ) -> Result<(Vec<Scored>, usize), ModelError> {
        let calls = Arc::new(AtomicUsize::new(0));
        let sums = || Sums {
            calls: Arc::clone(&calls),
            fails_at,
        };
        let mut helpers: Vec<Box<dyn Runtime>> =
            (1..threads).map(|_| Box::new(sums()) as _).collect();
        let mut last = 0;
        let (beats, stages) = run(
            signal.chunks(5000).map(Ok::<_, ModelError>),
            Detector::new(),
            Patient::default(),
            &mut sums(),
            &mut helpers,
            rhythm,
            |samples| {
                assert!(samples > last);
                last = samples;
            },
        )?;
        assert!(stages.monitor > Duration::ZERO);
        Ok((beats, calls.load(Ordering::Relaxed)))
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let signal = signal();
        let (alone, calls) = run_on(1, &signal, usize::MAX, None).expect("does not fail");
        assert!(alone.len() > 12 * BATCH, "{}", alone.len());
        assert_eq!(calls, alone.len().div_ceil(BATCH));
        assert!(alone.is_sorted_by_key(|(beat, _)| beat.r_sample));
        for threads in [2, 3, 8] {
            let (together, calls) =
                run_on(threads, &signal, usize::MAX, None).expect("does not fail");
            assert_eq!(together, alone, "{threads} threads");
            assert_eq!(calls, alone.len().div_ceil(BATCH));
        }
    }

    /// Scored side by side, beats get the verdicts that a device gives one after another.
    #[test]
    fn scores_of_several_threads_give_the_verdicts_of_one_beat_at_a_time() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat");
        let model = RhythmModel::load(&folder, Rules::SHIPPED).expect("fits this build");
        let network = model.as_ref().and_then(RhythmModel::network);
        assert!(network.is_some());
        let (beats, _) =
            run_on(3, &losing_its_order(), usize::MAX, network).expect("does not fail");
        assert!(beats.len() > 12 * BATCH, "{}", beats.len());

        let verdicts = |judge: &dyn Fn(&mut Rhythm, &Scored, &Logits) -> Verdict| {
            let mut rhythm = Rhythm::new(Rules::SHIPPED);
            // What the beat's network says does not matter here: that each beat is more likely S than N.
            let scores = softmax(&[1.0, 2.0, 0.0, 0.0]);
            let beats = beats.iter().map(|beat| judge(&mut rhythm, beat, &scores));
            beats.collect::<Vec<Verdict>>()
        };
        let one_by_one = verdicts(&|rhythm, (beat, _), scores| {
            rhythm.push(network, &beat.observation, scores, beat.readable)
        });
        let scored = verdicts(&|rhythm, (beat, score), scores| {
            rhythm.push_scored(*score, &beat.observation, scores, beat.readable)
        });
        let unweighed = verdicts(&|rhythm, (beat, _), scores| {
            rhythm.push(None, &beat.observation, scores, beat.readable)
        });
        assert_eq!(scored, one_by_one);
        let pairs = || scored.iter().zip(&unweighed);
        let changed = pairs().filter(|(a, b)| a.class != b.class).count();
        // The second half, but for the beats until the rhythm is known.
        assert!(
            (300..500).contains(&changed),
            "{changed} of {}",
            beats.len()
        );
    }

    #[test]
    fn a_runtime_that_fails_ends_the_run() {
        let signal = signal();
        for (threads, fails_at) in [(1, 0), (1, 5), (2, 0), (3, 9)] {
            let error = run_on(threads, &signal, fails_at, None).expect_err("fails");
            assert!(error.to_string().contains("sums"), "{error}");
        }
    }

    #[test]
    fn a_block_that_cannot_be_read_ends_the_run() {
        let signal = signal();
        let unreadable = || ModelError::Unreadable {
            path: PathBuf::from("block"),
            source: std::io::ErrorKind::InvalidData.into(),
        };
        let blocks = signal.chunks(5000).map(Ok).take(10);
        let sums = || Sums {
            calls: Arc::default(),
            fails_at: usize::MAX,
        };
        let error = run(
            blocks.chain([Err(unreadable())]),
            Detector::new(),
            Patient::default(),
            &mut sums(),
            &mut [Box::new(sums())],
            None,
            |_| {},
        )
        .expect_err("the last block cannot be read");
        assert!(error.to_string().starts_with("block: "), "{error}");
    }

    #[test]
    fn nothing_in_is_nothing_out() {
        let (beats, calls) = run_on(2, &[0.0; 1000], 0, None).expect("no batch, no failure");
        assert!(beats.is_empty() && calls == 0);
    }
}
