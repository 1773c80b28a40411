//! What a wearable says.

use crate::class::Class;
use crate::classifier::Beat;
use crate::model::Logits;

/// Something that a product may want to know. Times are in ms since the first sample, missing samples included.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A beat, at most 6 s after its R peak.
    Beat {
        /// When its R peak was.
        at_ms: u64,
        /// The beat; its `r_sample` counts at 128 Hz from the start of the recording under way. With a strip network its
        /// `fibrillation` is `None`: [`Fibrillation`](Self::Fibrillation) tells it later.
        beat: Beat,
    },
    /// The signal has become good for something else.
    Signal {
        /// When that was noticed.
        at_ms: u64,
        /// What it is good for now.
        signal: Signal,
    },
    /// No beat for 3 s, and the pause goes on: told within 5 s of the last beat, once a pause, and only while an electrode is not
    /// known to be off and noise hides nothing. The next beat ends it.
    Pause {
        /// The last beat; the start of the recording where there was none.
        since_ms: u64,
        /// The line does not move at all. That is asystole, or a front end that does not see the body.
        flat: bool,
    },
    /// Half a minute has been judged, every 10 s and 6 s after its end. Only where there is a strip network.
    Strip {
        /// The first sample of it; the recording's start in the first half minute.
        from_ms: u64,
        /// One past its last sample.
        until_ms: u64,
        /// The probability of each class, in the order of [`STRIP_LABELS`](crate::spec::STRIP_LABELS): normal, atrial fibrillation,
        /// another rhythm, noise. They add up to 1.
        probabilities: Logits,
    },
    /// Atrial fibrillation begins, or ends. It is told from readable heartbeats alone: by intervals, at the beat, 24 beats or more
    /// after the beginning; with a strip network by all half minutes that hold a beat, up to 46 s after it.
    Fibrillation {
        /// The first beat in it.
        since_ms: u64,
        /// The last beat in it; `None` while it lasts.
        until_ms: Option<u64>,
    },
    /// Three beats of one class in a run, or the run's end. One beat between two of them may have been missed or be of
    /// class F or Q.
    Run {
        /// [`Class::S`] or [`Class::V`].
        class: Class,
        /// The first beat of it.
        since_ms: u64,
        /// Beats of this class so far.
        beats: u32,
        /// Mean heart rate in it, in beats a minute.
        rate_bpm: f32,
        /// Whether it has ended.
        over: bool,
    },
    /// By the product's own clock ([`Wearable::clock`](super::Wearable::clock)), samples are too many or too few for the rate that was
    /// told: the converter has another rate, or samples are lost that nobody calls [missing](super::Wearable::missing). All times, intervals
    /// and classes are in doubt. Or, after a minute of the right number, they no longer are.
    SampleRate {
        /// When that was noticed, by the samples.
        at_ms: u64,
        /// Samples a second by the clock, over the last seconds. 0 where there are none.
        found_hz: f32,
        /// The rate that was told.
        expected_hz: u32,
        /// Whether the two differ; they agree again where not.
        wrong: bool,
    },
    /// A new recording begins, after a gap or because the one before has lasted 194 days: the patient's template and the rhythm
    /// are learned again.
    Restarted {
        /// When its first sample was.
        at_ms: u64,
    },
}

/// What the signal of the last seconds is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Signal {
    /// Beats can be read.
    Readable,
    /// Noise hides the beats.
    Noisy,
    /// The line hardly moves: less than 0.02 mV. An electrode that is off and not noticed, or asystole.
    Flat,
    /// The converter has given the same count for 2 s; no body does that.
    Constant,
    /// Samples are missing, or their offset is beyond what an electrode on the skin has.
    ElectrodeOff,
    /// There are peaks, but they do not look like heartbeats: noise, hum, or nothing worn. Fibrillation is not judged.
    NoHeartbeat,
    /// The beats are larger than a body's: the counts per millivolt are wrong.
    Gain,
    /// The rate that was told is not the converter's. A clock tells it for sure: [`Event::SampleRate`]. Without one, and never for sure,
    /// beats do that are too fast and narrow, or too slow and wide, for any heart since the recording began: from 64 readable beats
    /// on, and until 64 beats are some heart's. Of 61 patients, none is told so at the right rate; at a wrong one this or
    /// [`NoHeartbeat`](Self::NoHeartbeat) is said of nine in ten if it is twice or half the right one, of four in five if it is four times, and
    /// of a third if it is 1.4 times (`host/tests/wearable.rs`). A heart in ventricular escape rhythm, or faster than 150 a minute all the
    /// time, may be told so as well.
    Rate,
}
