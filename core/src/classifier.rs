//! Samples in, classified beats out: the one place where filter, R peaks, views, networks and rhythm follow each other.
//!
//! [`Classifier`] does it sample by sample, all at once ([`push`](Classifier::push)) or in slices that a microcontroller can
//! afford between two samples ([`take`](Classifier::take), [`work`](Classifier::work)). Three stages make it up, for those who classify a whole recording on several
//! threads:
//!
//! 1. In the order of the samples: [`Monitor`] gives a beat's features, and
//!    [`Intervals`] the rhythm network's input at that beat.
//! 2. In any order, on any thread: [`Views::compute`], [`Network::logits`] and
//!    [`rhythm::Network::score`](crate::rhythm::Network::score) give the beat's [`Scores`].
//! 3. In the order of the beats: [`Rhythm::judge`] gives the [`Beat`].

#[cfg(doc)]
use crate::beat::BeatFrame;
use crate::class::Class;
use crate::detector::Detector;
use crate::model::{Executor, ImageError, Logits};
use crate::monitor::{Monitor, MonitoredBeat, PeakSource};
use crate::patient::Patient;
use crate::quality::BeatQuality;
use crate::rhythm::{
    self, Appearance, Input, Intervals, NetworkError, Observation, Pass, Probabilities, Rhythm,
};
use crate::spec::{LABELS, RHYTHM_INTERVALS};
use crate::strip::StripVerdict;
use crate::views::Views;
use core::task::Poll;

/// A network that classifies beats.
///
/// [`Executor`] runs a device image. A closure-like test double, a network that meters another one, or a `&mut` to a
/// network that is used elsewhere as well do too.
pub trait Network {
    /// The logits of a beat, in the order of [`crate::spec::LABELS`]. Logits that are not all finite make the beat class
    /// [`Class::Q`]: that is how a network says that it has failed.
    fn logits(&mut self, views: &Views) -> Logits;

    /// One part of [`logits`](Self::logits), so that a beat need not be classified in one go. Called with 0, 1, 2 and so on
    /// and the same views, until it gives the logits. By default the only part is all of it.
    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        let _ = part;
        Poll::Ready(self.logits(views))
    }
}

impl<N: Network + ?Sized> Network for &mut N {
    fn logits(&mut self, views: &Views) -> Logits {
        N::logits(self, views)
    }

    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        N::part(self, views, part)
    }
}

impl Network for Executor<'_> {
    fn logits(&mut self, views: &Views) -> Logits {
        self.run(views)
    }

    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        self.run_part(views, part).1
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
    /// Whether the beat lies in atrial fibrillation; `None` where that is not judged: without a rhythm network, before its first
    /// score, and where the signal is unreadable or no ECG.
    pub fibrillation: Option<bool>,
}

impl Beat {
    /// Whether the two likeliest classes are close; `None` of a beat that is not judged ([`Class::is_unsure`]).
    pub fn is_unsure(&self) -> Option<bool> {
        self.class.is_unsure(&self.probabilities)
    }
}

/// What is known of a beat before any network has run: all that the last stage needs of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Position of the R peak, in samples since the first.
    pub r_sample: u32,
    /// What the rhythm reads.
    pub rhythm: Observation,
    /// What it is compared with other beats by.
    pub appearance: Appearance,
    /// The quality of the signal around the beat.
    pub quality: BeatQuality,
    /// Whether the signal can be read; whoever vouches for the beat sets it.
    pub readable: bool,
    /// Whether the signal can be read and the beat looks like a heartbeat ([`BeatFrame::is_heartbeat`]), so that the rhythm may be
    /// judged by it; whoever vouches for the beat sets it.
    pub heartbeat: bool,
}

impl Observed {
    /// Of a beat and its views.
    pub fn new(beat: &MonitoredBeat, views: &Views) -> Self {
        Self {
            r_sample: beat.frame.r_sample,
            rhythm: Observation::from(&beat.frame),
            appearance: Appearance::of(views),
            quality: beat.quality,
            readable: beat.quality.is_readable(),
            heartbeat: beat.quality.is_readable() && beat.frame.is_heartbeat(),
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

/// A stage of a beat's classification: where the next [`Classifier::work`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The next complete beat, if there is one: its window, the template and the metadata view.
    Beat,
    /// The other views, channel by channel.
    Views,
    /// The network, part by part.
    Network,
    /// The rhythm network, some steps at a time, and the beat's class.
    Rhythm,
}

/// Steps that the rhythm network takes in one slice: so few that the last leaves room for the beat's class.
const RHYTHM_STEPS: usize = RHYTHM_INTERVALS.div_ceil(3);

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
    stage: Stage,
    /// Parts of the stage that are done.
    part: usize,
    logits: Logits,
    /// The rhythm network's work on the newest beat, where there is any.
    scoring: Option<(Input, Pass)>,
}

impl<'a, N> Classifier<'a, N> {
    /// A classifier that finds the R peaks itself, at the start of a recording.
    // Inlined, as what it calls: a wearable writes all of it where it stays, and not first on the stack.
    #[inline(always)]
    pub const fn new(network: N, rhythm: Option<rhythm::Model<'a>>, patient: Patient) -> Self {
        Self::with_peaks(Detector::new(), network, rhythm, patient)
    }
}

impl<'a, N, P> Classifier<'a, N, P> {
    /// What a classifier takes of RAM, in bytes: all of its state, the network's arena excepted. Its stack comes on top.
    pub const RAM_BYTES: usize = size_of::<Self>();

    /// A classifier that takes the R peaks from `peaks`, at the start of a recording.
    // Inlined, as above.
    #[inline(always)]
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
            stage: Stage::Beat,
            part: 0,
            logits: [0.0; LABELS.len()],
            scoring: None,
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

    /// Where the next [`work`](Self::work) goes on.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Forgets the recording, and the beat that is worked on: the next sample is the first of another one.
    pub fn restart(&mut self, peaks: P, patient: Patient) {
        self.monitor.restart(peaks, patient);
        self.has_beat = false;
        self.intervals = Intervals::new();
        self.rhythm = Rhythm::new(rhythm::Model::rules_of(&self.rhythm_model));
        (self.stage, self.part) = (Stage::Beat, 0);
    }
}

impl<N: Network, P: PeakSource> Classifier<'_, N, P> {
    /// Takes the next sample, in mV at 128 Hz, and gives at most one beat.
    pub fn push(&mut self, sample_mv: f32) -> Option<Beat> {
        self.take(sample_mv);
        self.poll()
    }

    /// Takes the next sample, in mV at 128 Hz, and leaves to [`work`](Self::work) what there is to do about it. Samples that
    /// come after [`finish`](Self::finish) are passed over.
    ///
    /// Beats that are complete wait for `work`, but not for ever: their window is there for 1.5 s.
    // Not inlined, like each slice: what one needs of the stack is gone when the next runs.
    #[inline(never)]
    pub fn take(&mut self, sample_mv: f32) {
        self.monitor.take(sample_mv);
    }

    /// Does one slice of the work on the beats that are complete: at most 80,000 instructions of a Cortex-M4F with the
    /// shipped model. `Pending` while a beat is worked on; then the beat, and `None` where there is nothing to do. The beats
    /// are those of [`push`](Self::push), to the bit, whenever this is called.
    ///
    /// ```
    /// # use heartlens_core::{Beat, Classifier, Network};
    /// use core::task::Poll;
    ///
    /// /// To be called as often as there is time between two samples.
    /// fn idle<N: Network>(classifier: &mut Classifier<'_, N>, on_beat: impl FnOnce(Beat)) {
    ///     if let Poll::Ready(Some(beat)) = classifier.work() {
    ///         on_beat(beat);
    ///     }
    /// }
    /// ```
    pub fn work(&mut self) -> Poll<Option<Beat>> {
        let part = self.part;
        self.part += 1;
        match self.stage {
            Stage::Beat => {
                if !self.cut() {
                    self.part = 0;
                    return Poll::Ready(None);
                }
                self.has_beat = true;
                self.enter(Stage::Views);
            }
            Stage::Views => {
                if !self.compute_views(part) {
                    self.enter(Stage::Network);
                }
            }
            Stage::Network => {
                if let Poll::Ready(logits) = self.network.part(&self.views, part) {
                    self.logits = logits;
                    self.enter(Stage::Rhythm);
                }
            }
            Stage::Rhythm => {
                let beat = self.weigh(part);
                if beat.is_some() {
                    self.enter(Stage::Beat);
                    return Poll::Ready(beat);
                }
            }
        }
        Poll::Pending
    }

    /// Takes what a strip network says of half a minute of the same lead ([`Rhythm::hear`]).
    pub fn hear(&mut self, verdict: &StripVerdict) {
        self.rhythm.hear(verdict);
    }

    /// Ends the recording: the last beats need no successor. [`poll`](Self::poll) then gives what is left.
    pub fn finish(&mut self) {
        self.monitor.finish();
    }

    /// The next beat that is left. To be called until `None` after [`finish`](Self::finish); before that,
    /// [`push`](Self::push) does it.
    pub fn poll(&mut self) -> Option<Beat> {
        loop {
            if let Poll::Ready(beat) = self.work() {
                return beat;
            }
        }
    }

    fn enter(&mut self, stage: Stage) {
        (self.stage, self.part) = (stage, 0);
    }

    #[inline(never)]
    fn cut(&mut self) -> bool {
        self.monitor.poll_into(&mut self.beat)
    }

    #[inline(never)]
    fn compute_views(&mut self, part: usize) -> bool {
        self.views.compute_part(&self.beat.frame, part)
    }

    /// One slice of the rhythm's part; after the last, the beat.
    #[inline(never)]
    fn weigh(&mut self, part: usize) -> Option<Beat> {
        if part == 0 && self.rhythm_model.is_some() {
            let input = self.intervals.push(self.beat.frame.pre_rr_s);
            self.scoring = input.map(|input| (input, Pass::START));
        }
        let mut score = None;
        if let (Some((input, pass)), Some(model)) = (&mut self.scoring, &self.rhythm_model) {
            if !model.network.advance(pass, input, RHYTHM_STEPS) {
                return None;
            }
            score = Some(model.network.score_of(pass));
        }
        let scores = Scores {
            logits: self.logits,
            rhythm: score,
        };
        let observed = Observed::new(&self.beat, &self.views);
        Some(self.rhythm.judge(&observed, &scores))
    }
}
