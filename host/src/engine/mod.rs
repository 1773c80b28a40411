//! The one engine: records through core's monitor, views, networks and rhythm, on one thread or several.
//!
//! Filter, detector and beat windows are one chain, sample after sample: the thread that has the record runs it
//! ([`feed`]). The beats that come out of it do not know each other any more. They are collected in batches of [`BATCH`],
//! and any thread of the [`Pool`] takes a batch through views and networks. The record's thread then takes the batches,
//! in order, through the rhythm. A batch holds the same beats however many threads there are, so the results are the
//! same to the bit.

pub(crate) mod beats;
mod feed;
mod polarity;
mod pool;
mod scouts;

pub use pool::{Pool, Stop, Worker};

use crate::analysis::{Analysis, Beat, Stages};
use crate::canonical;
use crate::choice::Taken;
use crate::clock::Instant;
use crate::episodes::episodes;
use crate::error::Error;
use crate::hrv::Hrv;
use crate::model::Model;
use crate::options::{Mode, Options, Peaks};
use crate::records::{Record, Warning};
use crate::summary::Summary;
use crate::verdicts::{StripVerdict, Verdicts};
use crate::whole::Whole;
use feed::{Feed, Signal};
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::model::softmax;
use heartlens_core::monitor::PeakSource;
use heartlens_core::rhythm::{Rhythm, Rules};
use heartlens_core::spec::{SAMPLE_RATE_HZ, STRIP_STEP_SAMPLES};
use heartlens_core::strip;
use heartlens_core::views::Views;
use pool::{Done, Fusion};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

/// Beats that go through views and network at a time.
const BATCH: usize = 64;

impl Model {
    /// Classifies the beats of a record.
    ///
    /// # Errors
    /// When the record, its annotations or the model are at fault.
    pub fn classify(&self, record: &Record, options: &Options) -> Result<Analysis, Error> {
        self.classify_with_progress(record, options, |_| ControlFlow::Continue(()))
    }

    /// As [`classify`](Self::classify). `progress` hears again and again how much of the record is done, 0..=1, and may
    /// break off.
    ///
    /// # Errors
    /// As [`classify`](Self::classify), and [`Error::Cancelled`] where `progress` breaks off.
    pub fn classify_with_progress(
        &self,
        record: &Record,
        options: &Options,
        mut progress: impl FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Analysis, Error> {
        let pool = Pool::new(self, options);
        pool.one(|worker| worker.classify(record, options, &mut progress))
    }
}

/// A beat on its way out, with what the network was shown of it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Seen<'a> {
    /// The beat, as the stream judges it: the whole recording may say otherwise at the end.
    pub beat: &'a Beat,
    /// Its views in each lead that was read.
    pub views: &'a [&'a Views],
    /// Each lead's weight in the logits; they add up to 1.
    pub weights: &'a [f32],
}

/// Shown every beat, in order.
pub type See<'a> = &'a mut dyn FnMut(Seen<'_>);

/// Hears again and again how much is done, 0..=1, and may break off.
pub type Progress<'a> = &'a mut dyn FnMut(f64) -> ControlFlow<()>;

impl Worker<'_> {
    /// As [`Model::classify_with_progress`], in this thread, with the help of every other thread of the pool that has
    /// nothing to do.
    ///
    /// # Errors
    /// As [`Model::classify_with_progress`], and [`Error::Cancelled`] where the pool was stopped.
    pub fn classify(
        &mut self,
        record: &Record,
        options: &Options,
        progress: Progress<'_>,
    ) -> Result<Analysis, Error> {
        self.start(record, options, progress, None)
    }

    /// As [`classify`](Self::classify); `see` is shown each beat with its views, in order.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn classify_watched(
        &mut self,
        record: &Record,
        options: &Options,
        progress: Progress<'_>,
        see: See<'_>,
    ) -> Result<Analysis, Error> {
        self.start(record, options, progress, Some(see))
    }

    fn start(
        &mut self,
        record: &Record,
        options: &Options,
        progress: Progress<'_>,
        see: Option<See<'_>>,
    ) -> Result<Analysis, Error> {
        let taken = options.leads.take(record)?;
        let open = |i: usize| {
            let added_mv = options.added_mv.get(i).map_or(&[][..], Vec::as_slice);
            Signal::open(record, taken.leads[i].index, &options.span_s, added_mv)
        };
        let first = open(0)?;
        let others = (1..taken.leads.len()).map(open).collect::<Result<_, _>>()?;
        let patient = options.patient(canonical::patient(record));
        let by_quality = taken.by_quality;
        let asked = Asked {
            record,
            options,
            taken,
        };
        match &options.peaks {
            Peaks::Detected if by_quality => {
                let feed = Feed::scouted(first, others, patient);
                self.run(asked, feed, None, progress, see)
            }
            Peaks::Detected => {
                let renew = Some(Box::new(Detector::new) as Box<dyn Fn() -> Detector>);
                let feed = Feed::new(first, others, Detector::new(), renew, patient);
                self.run(asked, feed, None, progress, see)
            }
            Peaks::Reference(samples) => {
                let (samples, peaks) = first.known_peaks(samples)?;
                let feed = Feed::new(first, others, peaks, None, patient);
                self.run(asked, feed, Some(samples), progress, see)
            }
        }
    }

    fn run<P: PeakSource>(
        &mut self,
        asked: Asked<'_>,
        mut feed: Feed<'_, P>,
        reference: Option<&[u64]>,
        progress: Progress<'_>,
        see: Option<See<'_>>,
    ) -> Result<Analysis, Error> {
        let Asked {
            record,
            options,
            mut taken,
        } = asked;
        let runtime = self.network()?.name();
        let (model, rules) = (self.pool().model(), self.pool().rules());
        let judges_strips = rules.is_some() && model.has_strip();
        if judges_strips {
            feed.keep_strips();
        }
        let mut judge = Judge {
            rate_hz: record.sample_rate_hz(),
            start: feed.start(),
            reference,
            rules,
            rhythm: Rhythm::new(rules),
            origin: 0,
            beats: Vec::new(),
            r_samples: Vec::new(),
            strips: Vec::new(),
            heard: 0,
            whole: (options.mode == Mode::Whole).then(Whole::default),
            judges_strips,
            weights: vec![0.0; taken.leads.len()],
            stages: Stages::default(),
            see,
        };
        let fusion = match taken.by_quality {
            true => Fusion::ByQuality,
            false => Fusion::Mean,
        };
        let shown = judge.see.is_some() || judge.whole.is_some();
        let mut lane = self.lane(shown, fusion);
        let mut found = Vec::new();
        loop {
            let more = feed.advance(&mut found)?;
            feed.windows().for_each(|window| lane.push_window(window));
            for beat in found.drain(..) {
                lane.push(beat);
                while let Some(done) = lane.next(false)? {
                    judge.take(&done);
                }
            }
            if !more {
                break;
            }
            if lane.is_stopped() || progress(feed.done()).is_break() {
                return Err(Error::Cancelled);
            }
        }
        while let Some(done) = lane.next(true)? {
            judge.take(&done);
        }
        drop(lane);
        judge.tell_fibrillation();
        judge.settle(options.thread_count());
        for lead in feed.upside_down() {
            record.note(Warning::UpsideDown { lead });
        }
        let mut stages = judge.stages;
        stages += feed.stages();
        let (beats, strips) = (judge.beats.len(), judge.strips());
        for (lead, sum) in taken.leads.iter_mut().zip(judge.weights) {
            lead.weight = (beats > 0).then(|| sum / beats as f64);
        }
        Ok(Analysis {
            strips,
            hrv: Hrv::of(&judge.beats, record.duration_s()),
            summary: Summary::of(&judge.beats),
            episodes: episodes(&judge.beats),
            beats: judge.beats,
            warnings: record.warnings(),
            leads: feed.leads(),
            taken,
            mode: options.mode,
            model: model.name().to_owned(),
            runtime,
            stages,
        })
    }
}

/// A record, and what is to be done with it.
struct Asked<'a> {
    record: &'a Record,
    options: &'a Options,
    taken: Taken,
}

/// What takes the beats, in order, from logits to classes.
struct Judge<'a, 's> {
    rate_hz: f64,
    /// Where the signal begins in the record, in samples at the canonical rate.
    start: u32,
    /// The samples of annotated beats, where R peaks are taken from there.
    reference: Option<&'a [u64]>,
    rules: Option<Rules>,
    rhythm: Rhythm,
    /// Where the recording under way begins, in samples at the canonical rate.
    origin: u32,
    beats: Vec<Beat>,
    /// Where the R peaks of the beats are, at the canonical rate; none where no strips are judged.
    r_samples: Vec<u32>,
    strips: Vec<strip::StripVerdict>,
    /// How many of them the rhythm has heard.
    heard: usize,
    /// What the whole recording says, where it is asked.
    whole: Option<Whole>,
    /// Whether fibrillation is what the strip network says.
    judges_strips: bool,
    /// Each lead's weights, summed up.
    weights: Vec<f64>,
    stages: Stages,
    see: Option<See<'s>>,
}

impl Judge<'_, '_> {
    /// Takes the next batch.
    fn take(&mut self, done: &Done) {
        let begun = Instant::now();
        self.strips.extend(&done.windows);
        for (i, scored) in done.beats.iter().enumerate() {
            let mut observed = scored.observed;
            observed.readable |= self.reference.is_some();
            observed.heartbeat |= self.reference.is_some();
            if scored.origin != self.origin {
                self.begin(scored.origin);
            }
            self.hear(observed.r_sample);
            let judged = self.rhythm.judge(&observed, &scored.scores);
            let annotated = self
                .reference
                .and_then(|samples| samples.get(self.beats.len()));
            // Between annotated beats, the interval is known at the record's own rate.
            let known_ms = annotated
                .zip(self.beats.last())
                .map(|(sample, before)| (sample - before.sample) as f64 / self.rate_hz * 1000.0);
            let sample = annotated.copied().unwrap_or_else(|| {
                canonical::from_canonical_index(self.start + judged.r_sample, self.rate_hz)
            });
            let beat = Beat {
                sample,
                time_s: sample as f64 / self.rate_hz,
                class: judged.class,
                scores: judged.probabilities,
                logits: judged.logits,
                fibrillation: match self.judges_strips {
                    // Whether it may be judged; how, only all windows that hold the beat can tell.
                    true => observed.heartbeat.then_some(false),
                    false => judged.fibrillation,
                },
                rr_ms: known_ms.or(judged.rr_s.map(|rr| f64::from(rr) * 1000.0)),
                quality: judged.quality.score,
            };
            if let Some(see) = &mut self.see {
                let views = done.views_of(i);
                let beat = &beat;
                see(Seen {
                    beat,
                    views: &views,
                    weights: &scored.weights,
                });
            }
            if let Some(whole) = &mut self.whole {
                whole.push(judged.r_sample, judged.class != Class::Q, &done.views_of(i));
            }
            for (sum, weight) in self.weights.iter_mut().zip(&scored.weights) {
                *sum += f64::from(*weight);
            }
            self.beats.push(beat);
            if self.judges_strips {
                self.r_samples.push(judged.r_sample);
            }
        }
        self.stages += done.stages;
        self.stages.rhythm += begun.elapsed();
    }
}

impl Judge<'_, '_> {
    /// Says of each beat that may be judged whether it lies in fibrillation, once all windows are known.
    fn tell_fibrillation(&mut self) {
        if !self.judges_strips {
            return;
        }
        let mut verdicts = Verdicts::new(&self.strips);
        for (beat, r_sample) in self.beats.iter_mut().zip(&self.r_samples) {
            let said = verdicts.fibrillation_at(*r_sample);
            beat.fibrillation = beat.fibrillation.and(said);
        }
    }

    /// Another recording begins here, behind a gap.
    fn begin(&mut self, origin: u32) {
        self.origin = origin;
        self.rhythm = Rhythm::new(self.rules);
        if let Some(whole) = &mut self.whole {
            whole.begin();
        }
    }

    /// Has the rhythm hear the verdicts of its recording that have a say in a beat: not before, as on a device that is slow.
    fn hear(&mut self, r_sample: u32) {
        let rest = self.strips.get(self.heard..).unwrap_or_default();
        let due = rest
            .iter()
            .take_while(|verdict| verdict.window.end + STRIP_STEP_SAMPLES <= r_sample);
        for verdict in due {
            if verdict.window.start >= self.origin {
                self.rhythm.hear(verdict);
            }
            self.heard += 1;
        }
    }

    /// Has the whole recording say what each beat is, where it is asked.
    fn settle(&mut self, threads: NonZeroUsize) {
        let Some(whole) = self.whole.take() else {
            return;
        };
        let begun = Instant::now();
        let mut scores: Vec<_> = self
            .beats
            .iter()
            .map(|beat| softmax(&beat.logits))
            .collect();
        whole.weigh(&mut scores, &self.strips, threads);
        for (beat, scores) in self.beats.iter_mut().zip(scores) {
            if beat.class != Class::Q {
                beat.class = Class::of(&scores, true);
                beat.scores = scores;
            }
        }
        self.stages.rhythm += begun.elapsed();
    }

    /// What was said of windows, in seconds from the record's start.
    fn strips(&self) -> Vec<StripVerdict> {
        let start_s = f64::from(self.start) / f64::from(SAMPLE_RATE_HZ);
        let at_s = |sample: u32| start_s + f64::from(sample) / f64::from(SAMPLE_RATE_HZ);
        let strips = self.strips.iter().map(|strip| StripVerdict {
            from_s: at_s(strip.window.start),
            to_s: at_s(strip.window.end),
            probabilities: strip.probabilities,
        });
        strips.collect()
    }
}

#[cfg(test)]
mod tests;
