//! What a product calls: counts of any rate in, events out, in calls that are short.
//!
//! [`Wearable`] is [`Classifier`] with what stands around it on a device: a [resampler](rate), a clock, gaps, what the signal is
//! good for, pauses, and runs. Each call takes at most 80,000 instructions of a Cortex-M4F with the shipped model.
//!
//! Fibrillation is told by the intervals alone ([`Wearable::init`]), or by half a minute of signal as a host tells it
//! ([`Wearable::with_strips`]), which takes a second network and more memory.
//!
//! ```
//! use core::mem::MaybeUninit;
//! use core::task::Poll;
//! use heartlens_core::Network;
//! use heartlens_core::patient::Patient;
//! use heartlens_core::rhythm::{self, Rules};
//! use heartlens_core::sample::Calibration;
//! use heartlens_core::wearable::{Config, ConfigError, Event, Rate, Wearable};
//!
//! fn watch<N: Network>(
//!     counts: &[i16],
//!     network: N,
//!     rhythm: rhythm::Network<'_>,
//! ) -> Result<u32, ConfigError> {
//!     let config = Config {
//!         rate: Rate::HZ_250,
//!         calibration: Calibration { counts_per_mv: 400.0, zero: 0 },
//!         patient: Patient::default(),
//!         rules: Rules::SHIPPED,
//!     };
//!     let mut place = MaybeUninit::uninit();
//!     let wearable = Wearable::init(&mut place, config, network, rhythm)?;
//!     let mut beats = 0;
//!     for (count, now_ms) in counts.iter().zip((0..).step_by(4)) {
//!         wearable.push(*count);
//!         // By a clock that is not the converter's: a wrong rate is said.
//!         wearable.clock(now_ms);
//!         // As often as there is time before the next sample.
//!         while wearable.work() == Poll::Pending {
//!             while let Some(event) = wearable.poll() {
//!                 if let Event::Beat { .. } = event {
//!                     beats += 1;
//!                 }
//!             }
//!         }
//!     }
//!     Ok(beats)
//! }
//! ```

mod clock;
mod event;
pub mod rate;
mod run;
mod strips;
mod timing;

pub use event::{Event, Signal};
pub use rate::Rate;
pub use strips::{NoStrips, Strips};

use crate::classifier::{Beat, Classifier, Network};
use crate::detector::Detector;
use crate::model::Executor;
use crate::patient::Patient;
use crate::rhythm::{self, Rules};
use crate::sample::{Calibration, MISSING};
use crate::spec::{DETECTOR_MAX_DELAY_SAMPLES, SAMPLE_RATE_HZ};
use crate::strip::{StripMonitor, StripVerdict};
use crate::window::Ring;
use clock::Clock;
use core::mem::MaybeUninit;
use core::task::Poll;
use heapless::Deque;
use rate::Resampler;
use run::Run;
use strips::Sealed;
use timing::Timing;

/// Events that wait to be polled at the most. A call adds no more than these.
const EVENTS: usize = 8;
/// A recording goes on after missing samples in succession for as long as this, in seconds; after more, another one begins, of which
/// nothing that was learned before is known. A host does the same.
pub const GAP_S: u32 = 2;
/// Samples at 128 Hz that one call takes for a gap.
const GAP_SLICE: u32 = SAMPLE_RATE_HZ;
/// A pause is told once it has lasted this long, in samples at 128 Hz (3 s).
const PAUSE_SAMPLES: u32 = 3 * SAMPLE_RATE_HZ;
/// A signal's state is told once it has been the same for so many seconds.
const SIGNAL_SECONDS: u8 = 2;
/// Fibrillation that could not be judged for this long is over, in ms.
const UNJUDGED_MS: u64 = 30_000;
/// RR intervals that the heart rate is the mean of.
const RATE_BEATS: usize = 8;
/// A QRS spread beyond what a body surface gives, in mV: the gain is wrong.
const SPREAD_MAX_MV: f32 = 10.0;
/// Seconds of an unchanged count until that is called constant.
const CONSTANT_S: u32 = 2;
/// Samples at 128 Hz after which the recording starts over, because positions of 32 bits end (194 days).
const LONGEST_SAMPLES: u32 = 1 << 31;

/// What a wearable is told before the first sample.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The converter's sample rate.
    pub rate: Rate,
    /// What turns its counts into millivolts.
    pub calibration: Calibration,
    /// Age and sex, as far as known.
    pub patient: Patient,
    /// What the rhythm does to a beat's class: [`Rules::SHIPPED`], unless there is a reason.
    pub rules: Rules,
}

/// Why a [`Config`] is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// The counts per millivolt are 0 or no finite number.
    Gain {
        /// The counts per millivolt.
        found: f32,
    },
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Gain { found } => write!(
                f,
                "{found} counts per millivolt, expected a finite number that is not 0"
            ),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Beats whose fibrillation one call tells at most.
const JUDGED_SLICE: usize = 8;

/// Watches one lead. See the [module](self) for how it is called. `S` tells fibrillation.
#[derive(Debug)]
pub struct Wearable<'a, N, S = NoStrips> {
    classifier: Classifier<'a, N>,
    strips: S,
    resampler: Resampler,
    calibration: Calibration,
    patient: Patient,
    events: Deque<Event, EVENTS>,
    /// Samples of the converter's before the recording under way, and in it.
    origin: u64,
    taken: u64,
    /// Missing samples in succession, of which so many have not gone into the classifier.
    gap: u64,
    owed: u64,
    /// Whether the recording is over, and the next sample starts another.
    over: bool,
    /// Whether it was [`finish`](Self::finish) that ended it, so that no samples are expected.
    finished: bool,
    clock: Clock,
    /// The newest count, and how many of the converter's samples have had it.
    held: (i16, u32),
    signal: Told,
    /// The last R peak after which a pause has been told; `None` in no pause.
    paused: Option<u32>,
    fibrillation: Option<Episode>,
    run: Run,
    timing: Timing,
    intervals: Ring<f32, RATE_BEATS>,
    last_beat: Option<u32>,
    /// [`LONGEST_SAMPLES`]; less in tests.
    longest: u32,
}

/// What was told of the signal, and what it seems to become.
#[derive(Debug, Clone, Copy)]
struct Told {
    told: Option<Signal>,
    next: Signal,
    /// Seconds that `next` has lasted.
    seconds: u8,
    /// The second that was looked at last.
    second: u32,
}

impl Told {
    const NOTHING: Self = Self {
        told: None,
        next: Signal::Readable,
        seconds: 0,
        second: 0,
    };
}

/// Fibrillation under way.
#[derive(Debug, Clone, Copy)]
struct Episode {
    since_ms: u64,
    /// The last beat that was judged to lie in it.
    last_ms: u64,
}

impl<'a, N> Wearable<'a, N> {
    /// Makes a wearable in its place, at the start of a recording. It tells fibrillation by intervals alone.
    ///
    /// # Errors
    /// If the calibration's gain is 0 or no finite number.
    // Not inlined: what it takes of the stack is gone when the work begins.
    #[inline(never)]
    pub fn init<'p>(
        place: &'p mut MaybeUninit<Self>,
        config: Config,
        network: N,
        rhythm: rhythm::Network<'a>,
    ) -> Result<&'p mut Self, ConfigError> {
        Self::make(place, config, network, rhythm, ())
    }
}

impl<'a, N> Wearable<'a, N, StripMonitor<'a>> {
    /// As [`init`](Wearable::init), with a strip network, [loaded](crate::model::Model::load_for) for [`Task::Strip`](crate::model::Task::Strip):
    /// every 10 s [`Event::Strip`] says what the last half minute was, and fibrillation is told by that, some half a minute late.
    ///
    /// # Errors
    /// If the calibration's gain is 0 or no finite number.
    // Not inlined: what it takes of the stack is gone when the work begins.
    #[inline(never)]
    pub fn with_strips<'p>(
        place: &'p mut MaybeUninit<Self>,
        config: Config,
        network: N,
        rhythm: rhythm::Network<'a>,
        strip: Executor<'a>,
    ) -> Result<&'p mut Self, ConfigError> {
        Self::make(place, config, network, rhythm, strip)
    }
}

impl<'a, N, S: Strips> Wearable<'a, N, S> {
    /// What a wearable takes of RAM, in bytes: all of its state, the networks' arenas excepted. Its stack comes on top.
    pub const RAM_BYTES: usize = size_of::<Self>();

    // Inlined into what is not, so that everything is written where it stays.
    #[inline(always)]
    fn make<'p>(
        place: &'p mut MaybeUninit<Self>,
        config: Config,
        network: N,
        rhythm: rhythm::Network<'a>,
        strip: <S as Sealed>::Network,
    ) -> Result<&'p mut Self, ConfigError> {
        let gain = config.calibration.counts_per_mv;
        if !gain.is_finite() || gain == 0.0 {
            return Err(ConfigError::Gain { found: gain });
        }
        let rhythm = rhythm::Model {
            network: rhythm,
            rules: config.rules,
        };
        Ok(place.write(Self {
            classifier: Classifier::new(network, Some(rhythm), config.patient),
            strips: S::new(strip),
            resampler: Resampler::new(config.rate),
            calibration: config.calibration,
            patient: config.patient,
            events: Deque::new(),
            origin: 0,
            taken: 0,
            gap: 0,
            owed: 0,
            over: false,
            finished: false,
            clock: Clock::NOTHING,
            held: (0, 0),
            signal: Told::NOTHING,
            paused: None,
            fibrillation: None,
            run: Run::NONE,
            timing: Timing::UNKNOWN,
            intervals: Ring::new(),
            last_beat: None,
            longest: LONGEST_SAMPLES,
        }))
    }

    /// The classifier: its newest beat's features, and the rhythm so far.
    pub const fn classifier(&self) -> &Classifier<'a, N> {
        &self.classifier
    }

    /// What tells fibrillation.
    pub const fn strips(&self) -> &S {
        &self.strips
    }

    /// Time since the first sample, in ms, missing samples included.
    pub fn now_ms(&self) -> u64 {
        let samples = self.origin + self.taken;
        let rate = u64::from(self.resampler.rate().hz()).max(1);
        samples / rate * 1000 + samples % rate * 1000 / rate
    }

    /// What the signal is good for, as the last [`Event::Signal`] said; `None` before the first.
    pub const fn signal(&self) -> Option<Signal> {
        self.signal.told
    }

    /// The heart rate in beats a minute, over the last 8 readable RR intervals. `None` while there are none, in a pause, and
    /// where the signal is not readable.
    pub fn rate_bpm(&self) -> Option<f32> {
        if self.signal.told != Some(Signal::Readable) || self.paused.is_some() {
            return None;
        }
        let len = self.intervals.len();
        let sum: f32 = self.intervals.iter().sum();
        (len > 0 && sum > 0.0).then(|| 60.0 * len as f32 / sum)
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The time of a sample of the classifier's, in ms since the first of the converter's.
    fn ms(&self, sample: u32) -> u64 {
        let rate = u64::from(self.resampler.rate().hz()).max(1);
        let canonical = u64::from(SAMPLE_RATE_HZ);
        // What is left of a second at both rates.
        let (whole, left) = (self.origin / rate, self.origin % rate);
        let ticks = left * canonical + u64::from(sample) * rate;
        whole * 1000 + ticks * 1000 / (rate * canonical)
    }

    fn tell(&mut self, event: Event) {
        // There is room: `work` adds nothing while events wait, and a restart adds three at the most. Only where nobody polls
        // over several of them, later ones are lost.
        let _ = self.events.push_back(event);
    }
}

impl<N: Network, S: Strips> Wearable<'_, N, S> {
    /// Takes the converter's next sample: a few hundred instructions. [`MISSING`] is one that is missing.
    ///
    /// After a gap of more than 2 s, and after [`finish`](Self::finish), it is the first of a new recording; beats of the one
    /// before that [`work`](Self::work) has not got to by then are lost.
    pub fn push(&mut self, count: i16) {
        if count == MISSING {
            return self.missing(1);
        }
        if self.over || self.classifier.samples() >= self.longest {
            self.restart();
        }
        self.fill(u64::MAX);
        self.gap = 0;
        self.taken += 1;
        self.held = match self.held {
            (held, times) if held == count => (held, times.saturating_add(1)),
            _ => (count, 1),
        };
        self.take(count);
    }

    /// Says that so many of the converter's samples are missing: it has overrun, an electrode is off, or the converter sleeps.
    ///
    /// After more than 2 s of them in succession the recording is over: [`work`](Self::work) gives the beats that are left, and
    /// the next sample starts another, of which nothing that was learned before is known. Time goes on.
    pub fn missing(&mut self, samples: u32) {
        self.taken += u64::from(samples);
        self.gap += u64::from(samples);
        if self.over {
            return;
        }
        let most = u64::from(GAP_S * self.resampler.rate().hz());
        if self.gap > most {
            self.owed = 0;
            self.end();
            return;
        }
        self.owed += u64::from(samples);
        self.fill(u64::from(self.slice()));
    }

    /// Ends the recording: the last beats need no successor. [`work`](Self::work) gives them. The next sample starts another.
    pub fn finish(&mut self) {
        self.fill(u64::MAX);
        self.end();
        self.finished = true;
    }

    /// Says what time it is by a clock of the product's own: ms since whenever, modulo 2^32. About once a second will do, or in each
    /// turn of a main loop; between samples, as all calls.
    ///
    /// Samples, missing ones included, are compared with it, because an ECG does not tell for sure at which rate it was taken.
    /// [`Event::SampleRate`] says where they are more than 2 % too many or too few for the rate that was told: some 10 s after it
    /// becomes so where they are off by a tenth, and within three minutes for 250 Hz told as 256 Hz. The converter has another rate then,
    /// or samples are lost and nobody calls them [missing](Self::missing). What happens once is not told: a clock that is set, or one loss,
    /// however long. Samples in blocks of up to a quarter of a second do no harm. While nobody calls this, nothing is compared.
    pub fn clock(&mut self, now_ms: u32) {
        let samples = self.origin + self.taken;
        match self.finished || samples == 0 {
            true => self.clock.pause(),
            false => {
                let hz = self.resampler.rate().hz();
                // Modulo 2^32 as well.
                self.clock.read(now_ms, samples as u32, hz);
            }
        }
    }

    /// Does one slice of the work that there is, and adds what comes of it to the events that [`poll`](Self::poll) gives. It
    /// does nothing while events wait. `Ready` where nothing is left to do until the next sample.
    pub fn work(&mut self) -> Poll<()> {
        if !self.events.is_empty() {
            return Poll::Pending;
        }
        if self.owed > 0 {
            self.fill(u64::from(self.slice()));
            return Poll::Pending;
        }
        match self.classifier.work() {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(beat)) => {
                self.tell_beat(&beat);
                Poll::Pending
            }
            Poll::Ready(None) => {
                // Only then has every complete beat been noted.
                if S::JUDGED && self.work_on_strips() {
                    return Poll::Pending;
                }
                self.look();
                match self.events.is_empty() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }
        }
    }

    /// One slice of the work on half minutes. Whether there was any.
    fn work_on_strips(&mut self) -> bool {
        if self.tell_judged() {
            return true;
        }
        match self.strips.work() {
            Poll::Pending => true,
            Poll::Ready(Some(verdict)) => {
                self.classifier.hear(&verdict);
                self.tell_strip(&verdict);
                true
            }
            // What is certain only now that there are no more windows.
            Poll::Ready(None) => self.over && self.tell_judged(),
        }
    }

    fn tell_strip(&mut self, verdict: &StripVerdict) {
        let event = Event::Strip {
            from_ms: self.ms(verdict.window.start),
            until_ms: self.ms(verdict.window.end),
            probabilities: verdict.probabilities,
        };
        self.tell(event);
    }

    /// Tells the fibrillation of some beats. Whether there were any.
    #[inline(never)]
    fn tell_judged(&mut self) -> bool {
        for told in 0..JUDGED_SLICE {
            let Some(beat) = self.strips.poll() else {
                return told > 0;
            };
            let at_ms = self.ms(beat.r_sample);
            self.tell_fibrillation(at_ms, beat.fibrillation);
            if !self.events.is_empty() {
                return true;
            }
        }
        true
    }

    /// Missing samples of the converter's that one call passes on.
    fn slice(&self) -> u32 {
        GAP_SLICE * self.resampler.rate().hz() / SAMPLE_RATE_HZ
    }

    /// Passes missing samples on, at most so many.
    fn fill(&mut self, most: u64) {
        let mut left = self.owed.min(most);
        self.owed -= left;
        while left > 0 {
            // What is owed is less than 2 s of samples.
            match self.resampler.skip(left as u32) {
                Some(given) => {
                    (0..given).for_each(|_| self.take_mv(f32::NAN));
                    return;
                }
                None => self.take(MISSING),
            }
            left -= 1;
        }
    }

    fn take(&mut self, count: i16) {
        self.resampler.push(count);
        while let Some(count) = self.resampler.poll() {
            let Calibration {
                counts_per_mv,
                zero,
            } = self.calibration;
            let sample_mv = match count {
                Some(count) => (count - zero as f32) / counts_per_mv,
                None => f32::NAN,
            };
            self.take_mv(sample_mv);
        }
    }

    fn take_mv(&mut self, sample_mv: f32) {
        self.classifier.take(sample_mv);
        if S::JUDGED {
            self.strips.push(self.classifier.monitor().filtered_mv());
        }
    }

    fn end(&mut self) {
        if !self.over {
            self.over = true;
            self.classifier.finish();
            self.strips.finish();
        }
    }

    /// The next sample is the first of a new recording.
    #[inline(never)]
    fn restart(&mut self) {
        self.origin += self.taken;
        self.taken = 0;
        (self.gap, self.owed) = (0, 0);
        (self.over, self.finished) = (false, false);
        self.resampler = Resampler::new(self.resampler.rate());
        self.classifier.restart(Detector::new(), self.patient);
        self.strips.restart();
        self.close_fibrillation();
        self.close_run();
        self.held = (0, 0);
        self.signal = Told::NOTHING;
        (self.paused, self.last_beat) = (None, None);
        self.timing = Timing::UNKNOWN;
        self.intervals.clear();
        let at_ms = self.ms(0);
        self.tell(Event::Restarted { at_ms });
    }

    /// What a beat says.
    #[inline(never)]
    fn tell_beat(&mut self, beat: &Beat) {
        let at_ms = self.ms(beat.r_sample);
        let fibrillation = beat.fibrillation.filter(|_| !S::JUDGED);
        let beat = &Beat {
            fibrillation,
            ..*beat
        };
        self.tell(Event::Beat { at_ms, beat: *beat });
        if let Some(beat) = self.classifier.beat()
            && S::JUDGED
        {
            self.strips.note(beat);
        }
        match beat.rr_s {
            Some(rr_s) if beat.readable => {
                self.intervals.push(rr_s);
                if let Some(beat) = self.classifier.beat()
                    && beat.frame.is_heartbeat()
                {
                    self.timing.push(rr_s, &beat.frame.template);
                }
            }
            _ => {}
        }
        if !S::JUDGED {
            self.tell_fibrillation(at_ms, fibrillation);
        }
        if self.run.breaks(beat) {
            self.close_run();
        }
        if self.run.push(beat, at_ms) {
            let event = self.run.event(false);
            self.tell(event);
        }
    }

    /// Takes whether the next beat lies in fibrillation.
    fn tell_fibrillation(&mut self, at_ms: u64, fibrillation: Option<bool>) {
        match (fibrillation, &mut self.fibrillation) {
            (Some(true), Some(episode)) => episode.last_ms = at_ms,
            (Some(true), none) => {
                *none = Some(Episode {
                    since_ms: at_ms,
                    last_ms: at_ms,
                });
                self.tell(Event::Fibrillation {
                    since_ms: at_ms,
                    until_ms: None,
                });
            }
            (Some(false), Some(_)) => self.close_fibrillation(),
            (None, Some(episode)) if at_ms.saturating_sub(episode.last_ms) > UNJUDGED_MS => {
                self.close_fibrillation();
            }
            _ => {}
        }
    }

    fn close_fibrillation(&mut self) {
        if let Some(Episode { since_ms, last_ms }) = self.fibrillation.take() {
            self.tell(Event::Fibrillation {
                since_ms,
                until_ms: Some(last_ms),
            });
        }
    }

    fn close_run(&mut self) {
        if self.run.is_told() {
            let event = self.run.event(true);
            self.tell(event);
        }
        self.run = Run::NONE;
    }

    /// What the clock says where no beat does: the signal, and a pause.
    #[inline(never)]
    fn look(&mut self) {
        let samples = self.classifier.samples();
        let at_ms = self.now_ms();
        if let Some(found_hz) = self.clock.news() {
            self.tell(Event::SampleRate {
                at_ms,
                found_hz,
                expected_hz: self.resampler.rate().hz(),
                wrong: self.clock.is_wrong(),
            });
        }
        let now = self.state();
        let told = &mut self.signal;
        if samples / SAMPLE_RATE_HZ != told.second || self.over {
            told.second = samples / SAMPLE_RATE_HZ;
            told.seconds = match told.next == now {
                true => told.seconds.saturating_add(1),
                false => 1,
            };
            told.next = now;
            let settled = told.seconds >= SIGNAL_SECONDS || self.over;
            if settled && told.told != Some(now) {
                told.told = Some(now);
                self.tell(Event::Signal { at_ms, signal: now });
            }
        }
        let last = self.classifier.monitor().last_peak();
        if last != self.last_beat {
            self.last_beat = last;
            self.paused = None;
        }
        let since = last.unwrap_or(0);
        // Up to here every peak is known.
        let known = samples.saturating_sub(DETECTOR_MAX_DELAY_SAMPLES as u32);
        let is_off = matches!(now, Signal::ElectrodeOff | Signal::Noisy | Signal::Gain);
        let long = known > since && known - since >= PAUSE_SAMPLES;
        if long && !is_off && !self.over && self.paused.is_none() {
            self.paused = Some(since);
            self.tell(Event::Pause {
                since_ms: self.ms(since),
                flat: now == Signal::Flat || now == Signal::Constant,
            });
        }
    }

    /// What the signal is good for now.
    fn state(&self) -> Signal {
        let monitor = self.classifier.monitor();
        let quality = monitor.second();
        let constant = CONSTANT_S * self.resampler.rate().hz();
        let spread_mv = self
            .classifier
            .beat()
            .map_or(0.0, |beat| beat.frame.scale_mv);
        if self.over || quality.lead_off {
            Signal::ElectrodeOff
        } else if self.held.1 >= constant {
            Signal::Constant
        } else if quality.flat {
            Signal::Flat
        } else if spread_mv > SPREAD_MAX_MV {
            Signal::Gain
        } else if !quality.is_readable() {
            Signal::Noisy
        } else if self.clock.is_wrong() {
            Signal::Rate
        } else if self.classifier.rhythm().is_no_heartbeat() {
            Signal::NoHeartbeat
        } else if self.timing.is_implausible() {
            Signal::Rate
        } else {
            Signal::Readable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Logits;
    use crate::rhythm::{MAGIC, VERSION, checksum, image_len};
    use crate::spec::RHYTHM_HASH;
    use crate::views::Views;
    use std::vec::Vec;

    struct Normal;

    impl Network for Normal {
        fn logits(&mut self, _: &Views) -> Logits {
            [1.0, 0.0, 0.0, 0.0]
        }
    }

    /// Positions of 32 bits end after a year; the recording starts over before, and the beats go on.
    #[test]
    fn a_recording_without_end_starts_over() {
        let mut image = MAGIC.to_vec();
        image.extend(VERSION.to_le_bytes());
        image.extend(RHYTHM_HASH.to_le_bytes());
        image.extend(1_u32.to_le_bytes());
        image.extend(1_f32.to_le_bytes());
        image.resize(image_len(1) - 4, 0);
        image.extend(checksum(&image).to_le_bytes());
        let config = Config {
            rate: Rate::HZ_128,
            calibration: Calibration {
                counts_per_mv: 1000.0,
                zero: 0,
            },
            patient: Patient::default(),
            rules: Rules::NONE,
        };
        let rhythm = rhythm::Network::load(&image).expect("an image");
        let mut place = MaybeUninit::uninit();
        let wearable = Wearable::init(&mut place, config, Normal, rhythm).expect("a gain");
        wearable.longest = 128 * 60;
        let mut events = Vec::new();
        for i in 0..128 * 200 {
            let d = ((i % 100) as f32 - 50.0) / 2.5;
            wearable.push((1000.0 * (-d * d).exp()) as i16 + (i * 7919 % 13) as i16);
            while wearable.work().is_pending() {
                events.extend(wearable.poll());
            }
        }
        let restarts = events.iter().filter_map(|event| match event {
            Event::Restarted { at_ms } => Some(*at_ms),
            _ => None,
        });
        assert_eq!(restarts.collect::<Vec<_>>(), [60_000, 120_000, 180_000]);
        let beats: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Beat { at_ms, .. } => Some(*at_ms),
                _ => None,
            })
            .collect();
        assert!(beats.len() > 230, "{}", beats.len());
        for at_ms in beats {
            let sample = (at_ms * 128 + 500) / 1000;
            assert!((sample % 100).abs_diff(50) <= 2, "{at_ms}");
        }
    }
}
