//! Samples in, classified beats out: the one place where filter, R peaks, views, networks and rhythm follow each other.
//!
//! [`Classifier`] does it sample by sample. Three stages make it up, for those who classify a whole recording on several
//! threads:
//!
//! 1. In the order of the samples: [`Monitor`] gives a beat's features, and
//!    [`Intervals`] the rhythm network's input at that beat.
//! 2. In any order, on any thread: [`Views::compute`], [`Network::logits`] and
//!    [`rhythm::Network::score`](crate::rhythm::Network::score) give the beat's [`Scores`].
//! 3. In the order of the beats: [`Rhythm::judge`] gives the [`Beat`].

use crate::class::Class;
use crate::detector::Detector;
use crate::model::{Executor, ImageError, Logits};
use crate::monitor::{Monitor, MonitoredBeat, PeakSource};
use crate::patient::Patient;
use crate::quality::BeatQuality;
use crate::rhythm::{self, Intervals, NetworkError, Observation, Probabilities, Rhythm};
use crate::views::Views;

/// A network that classifies beats.
///
/// [`Executor`] runs a device image. A closure-like test double, a network that meters another one, or a `&mut` to a
/// network that is used elsewhere as well do too.
pub trait Network {
    /// The logits of a beat, in the order of [`crate::spec::LABELS`]. Logits that are not all finite make the beat class
    /// [`Class::Q`]: that is how a network says that it has failed.
    fn logits(&mut self, views: &Views) -> Logits;
}

impl<N: Network + ?Sized> Network for &mut N {
    fn logits(&mut self, views: &Views) -> Logits {
        N::logits(self, views)
    }
}

impl Network for Executor<'_> {
    fn logits(&mut self, views: &Views) -> Logits {
        self.run(views)
    }
}

/// A classified beat.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Beat {
    /// Position of the R peak, in samples since the first.
    pub r_sample: u32,
    /// The likeliest class, or [`Class::Q`] where the signal is not readable or there are no probabilities.
    pub class: Class,
    /// The probability of each class, in the order of [`crate::spec::LABELS`]: the network's, weighed by the rhythm. They
    /// add up to 1, or all are NaN where the network has failed.
    pub probabilities: Probabilities,
    /// The network's logits, in the same order.
    pub logits: Logits,
    /// The quality of the signal around the beat.
    pub quality: BeatQuality,
    /// Whether the signal can be read, or an annotator vouches for the beat.
    pub readable: bool,
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub rr_s: Option<f32>,
    /// Whether the beat lies in atrial fibrillation; `None` without a rhythm network, and before its first score.
    pub fibrillation: Option<bool>,
}

/// What is known of a beat before any network has run: all that the last stage needs of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Position of the R peak, in samples since the first.
    pub r_sample: u32,
    /// What the rhythm reads.
    pub rhythm: Observation,
    /// The quality of the signal around the beat.
    pub quality: BeatQuality,
    /// Whether the signal can be read; whoever vouches for the beat sets it.
    pub readable: bool,
}

impl From<&MonitoredBeat> for Observed {
    fn from(beat: &MonitoredBeat) -> Self {
        Self {
            r_sample: beat.frame.r_sample,
            rhythm: Observation::from(&beat.frame),
            quality: beat.quality,
            readable: beat.quality.is_readable(),
        }
    }
}

/// What the networks say of a beat. It depends on the beat's features and intervals alone, so beats can be scored side by
/// side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// The beat's network's.
    pub logits: Logits,
    /// The rhythm network's score of the intervals up to this beat, a logit; `None` without a rhythm network, and before
    /// there are enough intervals.
    pub rhythm: Option<f32>,
}

/// A stage of a beat's classification, as [`Classifier::push_with`] reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The sample has been taken, and it has completed a beat.
    Monitor,
    /// The views have been computed.
    Views,
    /// The network has run.
    Network,
    /// The rhythm network has run, and the beat has its class.
    Rhythm,
}

/// Why a classifier's networks cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LoadError {
    /// The beat's network is refused.
    Model(ImageError),
    /// The rhythm network is refused.
    Rhythm(NetworkError),
}

impl From<ImageError> for LoadError {
    fn from(error: ImageError) -> Self {
        Self::Model(error)
    }
}

impl From<NetworkError> for LoadError {
    fn from(error: NetworkError) -> Self {
        Self::Rhythm(error)
    }
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Model(error) => write!(f, "model image: {error}"),
            Self::Rhythm(error) => write!(f, "rhythm network: {error}"),
        }
    }
}

impl core::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Model(error) => Some(error),
            Self::Rhythm(error) => Some(error),
        }
    }
}

/// Classifies the beats of one lead, sample by sample, in fixed memory.
///
/// It takes samples at 128 Hz in mV and gives a [`Beat`] as soon as the beat's successor has been found, or can no longer be
/// found within 4 s: at most [`crate::spec::SUCCESSOR_TIMEOUT_SAMPLES`] (6 s) after its R peak. Samples that are not finite
/// count as missing. The features of the newest beat stay readable until the next sample: [`beat`](Self::beat) and
/// [`views`](Self::views).
///
/// It takes [`RAM_BYTES`](Self::RAM_BYTES) of RAM: about 14 KiB with an [`Executor`], whose arena comes on top.
///
/// R peaks come from the [`Detector`] or any other [`PeakSource`]. Without a rhythm network nothing weighs on the network's
/// probabilities.
///
/// ```
/// use heartlens_core::{Classifier, Network, model::Logits, patient::Patient, views::Views};
///
/// /// Calls every beat normal.
/// struct Optimist;
///
/// impl Network for Optimist {
///     fn logits(&mut self, _: &Views) -> Logits {
///         [1.0, 0.0, 0.0, 0.0]
///     }
/// }
///
/// let mut classifier = Classifier::new(Optimist, None, Patient::default());
/// for i in 0..1280 {
///     let sample_mv = if i % 100 == 50 { 1.0 } else { 0.0 };
///     if let Some(beat) = classifier.push(sample_mv) {
///         println!("{} {}", beat.r_sample, beat.class);
///     }
/// }
/// classifier.finish();
/// while let Some(beat) = classifier.poll() {
///     println!("{} {}", beat.r_sample, beat.class);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Classifier<'a, N, P = Detector> {
    monitor: Monitor<P>,
    /// The newest beat, once there is one.
    beat: MonitoredBeat,
    has_beat: bool,
    views: Views,
    network: N,
    rhythm_model: Option<rhythm::Model<'a>>,
    intervals: Intervals,
    rhythm: Rhythm,
}

impl<'a, N> Classifier<'a, N> {
    /// A classifier that finds the R peaks itself, at the start of a recording.
    pub const fn new(network: N, rhythm: Option<rhythm::Model<'a>>, patient: Patient) -> Self {
        Self::with_peaks(Detector::new(), network, rhythm, patient)
    }
}

impl<'a, N, P> Classifier<'a, N, P> {
    /// What a classifier takes of RAM, in bytes: all of its state, the network's arena excepted. Its stack comes on top.
    pub const RAM_BYTES: usize = size_of::<Self>();

    /// A classifier that takes the R peaks from `peaks`, at the start of a recording.
    pub const fn with_peaks(
        peaks: P,
        network: N,
        rhythm: Option<rhythm::Model<'a>>,
        patient: Patient,
    ) -> Self {
        Self {
            monitor: Monitor::with_peaks(peaks, patient),
            beat: MonitoredBeat::ZERO,
            has_beat: false,
            views: Views::ZERO,
            network,
            rhythm_model: rhythm,
            intervals: Intervals::new(),
            rhythm: Rhythm::new(rhythm::Model::rules_of(&rhythm)),
        }
    }

    /// Samples pushed so far.
    pub fn samples(&self) -> u32 {
        self.monitor.samples()
    }

    /// The features of the newest beat and the quality of its signal.
    pub const fn beat(&self) -> Option<&MonitoredBeat> {
        match self.has_beat {
            true => Some(&self.beat),
            false => None,
        }
    }

    /// The views of the newest beat; all zeros before the first.
    pub const fn views(&self) -> &Views {
        &self.views
    }

    /// The rhythm so far: its score, and counts of all beats.
    pub const fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// The filter, the R peaks and the beats.
    pub const fn monitor(&self) -> &Monitor<P> {
        &self.monitor
    }

    /// The network.
    pub const fn network(&self) -> &N {
        &self.network
    }

    /// The network, to be changed: the beats that follow are classified by the new one.
    pub const fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    /// Forgets the recording: the next sample is the first of another one.
    pub fn restart(&mut self, peaks: P, patient: Patient) {
        self.monitor.restart(peaks, patient);
        self.has_beat = false;
        self.intervals = Intervals::new();
        self.rhythm = Rhythm::new(rhythm::Model::rules_of(&self.rhythm_model));
    }
}

impl<N: Network, P: PeakSource> Classifier<'_, N, P> {
    /// Takes the next sample, in mV at 128 Hz, and gives at most one beat.
    pub fn push(&mut self, sample_mv: f32) -> Option<Beat> {
        self.push_with(sample_mv, |_| ())
    }

    /// As [`push`](Self::push), and tells `done` of each stage when it is done; of none where no beat has been completed.
    pub fn push_with(&mut self, sample_mv: f32, mut done: impl FnMut(Stage)) -> Option<Beat> {
        if !self.observe(sample_mv) {
            return None;
        }
        done(Stage::Monitor);
        Some(self.classify(done))
    }

    /// Ends the recording: the last beats need no successor. [`poll`](Self::poll) then gives what is left.
    pub fn finish(&mut self) {
        self.monitor.finish();
    }

    /// The next beat that is left. To be called until `None` after [`finish`](Self::finish); before that,
    /// [`push`](Self::push) does it.
    pub fn poll(&mut self) -> Option<Beat> {
        self.poll_with(|_| ())
    }

    /// As [`poll`](Self::poll), and tells `done` of each stage when it is done; of none where no beat is left.
    pub fn poll_with(&mut self, mut done: impl FnMut(Stage)) -> Option<Beat> {
        if !self.monitor.poll_into(&mut self.beat) {
            return None;
        }
        done(Stage::Monitor);
        Some(self.classify(done))
    }

    /// Takes a sample, and says whether it has completed a beat.
    // Not inlined: what the monitor needs of the stack is gone when views and network run.
    #[inline(never)]
    fn observe(&mut self, sample_mv: f32) -> bool {
        self.monitor.push_into(sample_mv, &mut self.beat)
    }

    fn classify(&mut self, mut done: impl FnMut(Stage)) -> Beat {
        self.has_beat = true;
        self.views.compute(&self.beat.frame);
        done(Stage::Views);
        let logits = self.network.logits(&self.views);
        done(Stage::Network);
        let observed = Observed::from(&self.beat);
        let input = match self.rhythm_model {
            Some(_) => self.intervals.push(observed.rhythm.rr_s),
            None => None,
        };
        let score = |input| Some(self.rhythm_model?.network.score(&input));
        let scores = Scores {
            logits,
            rhythm: input.and_then(score),
        };
        let beat = self.rhythm.judge(&observed, &scores);
        done(Stage::Rhythm);
        beat
    }
}
