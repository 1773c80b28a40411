//! A signal as it comes in: what a wearable says of it, on a host.
//!
//! [`Monitor`] is core's [`Wearable`] with its networks and its memory: the events, and the arithmetic, are those of a device
//! that reads the same counts.
//!
//! ```
//! use heartlens::Model;
//! use heartlens::monitor::{Config, Event, Monitor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut monitor = Monitor::new(&Model::shipped()?, &Config::new(250.0))?;
//! let chunk_mv = [0.0; 250];
//! for event in monitor.push_mv(&chunk_mv)? {
//!     if let Event::Beat { at_ms, beat } = event {
//!         println!("{at_ms} ms: {}", beat.class);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::canonical::{self, RateError};
use crate::model::Model;
use crate::records::resample::Resampler;
use crate::runtime::{Kind, Logits, ModelError, Runtime};
use heartlens_core::Network;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::Rules;
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;
use heartlens_core::wearable::{self, ConfigError, Rate, Wearable};
pub use heartlens_core::wearable::{Event, Signal};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

/// What a monitor is told before the first sample. Take [`Config::new`] and change what should be different.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Samples a second, [`canonical::MIN_RATE_HZ`] or more. A rate of [`Rate::ALL`] goes through the device's resampler; any other
    /// is brought to 128 Hz as records are, which no device does.
    pub rate_hz: f64,
    /// How counts are millivolts. Samples in mV are rounded to such counts; what is beyond 16 bits becomes the last of them, as a
    /// converter does.
    pub calibration: Calibration,
    /// Age and sex, as far as known.
    pub patient: Patient,
    /// What the rhythm does to a beat's class.
    pub rules: Rules,
    /// What runs the network.
    pub runtime: Kind,
}

impl Config {
    /// At this rate, 400 counts per mV: steps of 2.5 uV, up to 80 mV.
    pub fn new(rate_hz: f64) -> Self {
        Self {
            rate_hz,
            calibration: Calibration {
                counts_per_mv: 400.0,
                zero: 0,
            },
            patient: Patient::default(),
            rules: Rules::SHIPPED,
            runtime: Kind::Int8,
        }
    }
}

/// Why a signal cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The rate is none that can be read.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The calibration is none.
    #[error("calibration: found {0}")]
    Calibration(ConfigError),
    /// The network cannot be loaded, or failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model has no rhythm network.
    #[error("{model}: has no rhythm network, expected one to tell the rhythm by")]
    NoRhythm {
        /// What the model was read from.
        model: String,
    },
}

/// Watches one lead as its samples come in. See the [module](self).
pub struct Monitor {
    watch: Watch,
    calibration: Calibration,
    rate_hz: f64,
    /// Where the rate is none of the device's.
    resampler: Option<Resampler>,
    failure: Failure,
}

/// The first error of the network.
type Failure = Arc<Mutex<Option<ModelError>>>;
type Device<'a> = Box<Wearable<'a, OneByOne>>;

self_cell::self_cell! {
    /// A model, and the wearable that reads its rhythm network in place.
    struct Watch {
        owner: Model,
        #[not_covariant]
        dependent: Device,
    }
}

/// A runtime as core takes networks: a beat at a time.
struct OneByOne {
    runtime: Box<dyn Runtime>,
    failure: Failure,
}

impl Network for OneByOne {
    fn logits(&mut self, views: &Views) -> Logits {
        let logits = self.runtime.logits(std::slice::from_ref(views));
        match logits.map(|logits| logits.first().copied()) {
            Ok(Some(logits)) => logits,
            Ok(None) => [f32::NAN; LABELS.len()],
            Err(error) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
                [f32::NAN; LABELS.len()]
            }
        }
    }
}

impl Monitor {
    /// A monitor at the start of a recording.
    ///
    /// # Errors
    /// [`MonitorError`] where rate, calibration or model cannot be used.
    pub fn new(model: &Model, config: &Config) -> Result<Self, MonitorError> {
        let rate = Rate::ALL
            .iter()
            .find(|rate| f64::from(rate.hz()) == config.rate_hz);
        let resampler = match rate {
            Some(_) => None,
            None => Some(canonical::resampler(config.rate_hz)?),
        };
        let failure = Failure::default();
        let network = OneByOne {
            runtime: model.network(config.runtime)?,
            failure: failure.clone(),
        };
        let device = wearable::Config {
            rate: rate.copied().unwrap_or(Rate::HZ_128),
            calibration: config.calibration,
            patient: config.patient,
            rules: config.rules,
        };
        let watch = Watch::try_new(model.clone(), |model| {
            let Some(rhythm) = model.rhythm(config.rules) else {
                return Err(MonitorError::NoRhythm {
                    model: model.place().to_string(),
                });
            };
            let mut place: Box<MaybeUninit<Wearable<'_, OneByOne>>> = Box::new_uninit();
            Wearable::init(&mut place, device, network, rhythm.network)
                .map_err(MonitorError::Calibration)?;
            // SAFETY: `init` succeeded, so it has written the place.
            #[expect(
                unsafe_code,
                reason = "core makes a wearable in its place, for devices"
            )]
            Ok(unsafe { place.assume_init() })
        })?;
        Ok(Self {
            watch,
            calibration: config.calibration,
            rate_hz: config.rate_hz,
            resampler,
            failure,
        })
    }

    /// Takes the next samples, in mV; NaN where one is missing. Gives what they bring to light.
    ///
    /// # Errors
    /// [`MonitorError::Model`] where the network failed.
    pub fn push_mv(&mut self, samples_mv: &[f32]) -> Result<Vec<Event>, MonitorError> {
        let Calibration {
            counts_per_mv,
            zero,
        } = self.calibration;
        let count = |mv: &f32| mv * counts_per_mv + zero as f32;
        self.push(samples_mv.iter().map(count).collect())
    }

    /// Takes the next samples as the converter gave them; [`MISSING`] where one is missing. Gives what they bring to light.
    ///
    /// # Errors
    /// [`MonitorError::Model`] where the network failed.
    pub fn push_counts(&mut self, counts: &[i16]) -> Result<Vec<Event>, MonitorError> {
        let count = |count: &i16| match *count {
            MISSING => f32::NAN,
            count => count.into(),
        };
        self.push(counts.iter().map(count).collect())
    }

    /// Ends the recording: the last beats need no successor. The next sample starts another.
    ///
    /// # Errors
    /// [`MonitorError::Model`] where the network failed.
    pub fn finish(&mut self) -> Result<Vec<Event>, MonitorError> {
        let mut left = Vec::new();
        if self.resampler.is_some() {
            let fresh = canonical::resampler(self.rate_hz)?;
            if let Some(resampler) = self.resampler.replace(fresh) {
                resampler.finish(&mut left).map_err(RateError::from)?;
            }
        }
        let mut events = self.take(&left);
        self.watch.with_dependent_mut(|_, wearable| {
            wearable.finish();
            work(wearable, &mut events);
        });
        self.told(events)
    }

    /// Time since the first sample, in ms, missing samples included.
    pub fn now_ms(&self) -> u64 {
        self.watch.with_dependent(|_, wearable| wearable.now_ms())
    }

    /// The heart rate in beats a minute, over the last 8 readable RR intervals. `None` while there are none, in a pause, and where
    /// the signal is not readable.
    pub fn rate_bpm(&self) -> Option<f32> {
        self.watch.with_dependent(|_, wearable| wearable.rate_bpm())
    }

    /// What the signal is good for; `None` before that is known.
    pub fn signal(&self) -> Option<Signal> {
        self.watch.with_dependent(|_, wearable| wearable.signal())
    }

    fn push(&mut self, counts: Vec<f32>) -> Result<Vec<Event>, MonitorError> {
        let events = match &mut self.resampler {
            None => self.take(&counts),
            Some(resampler) => {
                let mut canonical = Vec::new();
                resampler
                    .push(&counts, &mut canonical)
                    .map_err(RateError::from)?;
                self.take(&canonical)
            }
        };
        self.told(events)
    }

    /// Counts at the device's rate, not yet rounded; NaN where one is missing.
    fn take(&mut self, counts: &[f32]) -> Vec<Event> {
        let mut events = Vec::new();
        self.watch.with_dependent_mut(|_, wearable| {
            for count in counts {
                wearable.push(rounded(*count));
                work(wearable, &mut events);
            }
        });
        events
    }

    fn told(&self, events: Vec<Event>) -> Result<Vec<Event>, MonitorError> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.take() {
            Some(error) => Err(error.into()),
            None => Ok(events),
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("rate_hz", &self.rate_hz)
            .field("calibration", &self.calibration)
            .field("now_ms", &self.now_ms())
            .finish_non_exhaustive()
    }
}

/// A count of 16 bits; what is beyond becomes the last of them.
fn rounded(count: f32) -> i16 {
    match count.is_nan() {
        true => MISSING,
        false => (count.round() as i16).max(MISSING + 1),
    }
}

/// Does all the work that there is.
fn work<N: Network>(wearable: &mut Wearable<'_, N>, events: &mut Vec<Event>) {
    while wearable.work().is_pending() {
        while let Some(event) = wearable.poll() {
            events.push(event);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::records::Record;
    use heartlens_core::class::Class;
    use std::path::Path;

    fn demo() -> Record {
        Record::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/demo")).unwrap()
    }

    fn beats(events: &[Event]) -> Vec<(u64, Class)> {
        let beat = |event: &Event| match event {
            Event::Beat { at_ms, beat } => Some((*at_ms, beat.class)),
            _ => None,
        };
        events.iter().filter_map(beat).collect()
    }

    fn watched(config: &Config, samples: &[f32], chunk: usize) -> Vec<Event> {
        let mut monitor = Monitor::new(&Model::shipped().unwrap(), config).unwrap();
        let mut events = Vec::new();
        for chunk in samples.chunks(chunk) {
            events.extend(monitor.push_mv(chunk).unwrap());
        }
        events.extend(monitor.finish().unwrap());
        assert!(monitor.now_ms().abs_diff(300_000) < 10);
        events
    }

    #[test]
    fn the_demo_is_watched_as_it_is_classified_and_chunks_change_nothing() {
        let record = demo();
        let samples = record.read_lead(0).unwrap();
        let config = Config::new(360.0);
        let events = watched(&config, &samples, 360);
        assert_eq!(events, watched(&config, &samples, 997));
        assert!(matches!(
            events
                .iter()
                .find(|event| matches!(event, Event::Signal { .. })),
            Some(Event::Signal {
                signal: Signal::Readable,
                ..
            })
        ));
        let found = beats(&events);
        let analysis = Model::shipped()
            .unwrap()
            .classify(&record, &crate::Options::default());
        let analysis = analysis.unwrap();
        // Another resampler, and counts of 2.5 uV: R peaks may differ by a sample, and beats at the ends.
        assert!(
            found.len().abs_diff(analysis.beats.len()) <= 2,
            "{}",
            found.len()
        );
        let same = analysis.beats.iter().filter(|beat| {
            let ms = (beat.time_s * 1000.0) as u64;
            let is_near =
                |(at_ms, class): &(u64, Class)| at_ms.abs_diff(ms) <= 20 && *class == beat.class;
            found.iter().any(is_near)
        });
        assert!(100 * same.count() >= 98 * analysis.beats.len());
    }

    #[test]
    fn counts_and_the_millivolts_that_they_mean_are_the_same() {
        let samples = demo().read_lead(0).unwrap();
        let config = Config::new(360.0);
        let counts: Vec<i16> = samples.iter().map(|mv| rounded(mv * 400.0)).collect();
        let mut monitor = Monitor::new(&Model::shipped().unwrap(), &config).unwrap();
        let mut events = monitor.push_counts(&counts).unwrap();
        events.extend(monitor.finish().unwrap());
        assert_eq!(events, watched(&config, &samples, samples.len()));
    }

    /// A rate that no device has goes through the records' resampler.
    #[test]
    fn other_rates_give_the_same_beats() {
        let samples = demo().read_lead(0).unwrap();
        let at = |rate_hz| {
            let resampled = crate::records::resample::resample(&samples, 360.0, rate_hz).unwrap();
            beats(&watched(&Config::new(rate_hz), &resampled, 100))
        };
        let (device, other) = (at(256.0), at(257.0));
        assert!(device.len() > 340 && device.len().abs_diff(other.len()) <= 2);
        let near = device.iter().filter(|(ms, class)| {
            other
                .iter()
                .any(|(at_ms, found)| ms.abs_diff(*at_ms) <= 20 && found == class)
        });
        assert!(100 * near.count() >= 98 * device.len());
    }

    #[test]
    fn what_is_no_signal_is_refused_and_a_gap_is_told() {
        let model = Model::shipped().unwrap();
        let message = |config: &Config| Monitor::new(&model, config).unwrap_err().to_string();
        assert!(message(&Config::new(20.0)).starts_with("found a sample rate of 20 Hz"));
        let mut config = Config::new(360.0);
        config.calibration.counts_per_mv = 0.0;
        assert!(message(&config).contains("0 counts per millivolt"));
        let mut monitor = Monitor::new(&model, &Config::new(360.0)).unwrap();
        let events = monitor.push_mv(&[f32::NAN; 2000]).unwrap();
        assert!(
            events.iter().any(|event| matches!(
                event,
                Event::Signal {
                    signal: Signal::ElectrodeOff,
                    ..
                }
            )),
            "{events:?}"
        );
        // Beyond 16 bits, as a converter.
        assert_eq!(
            [rounded(1e9), rounded(-1e9), rounded(0.5)],
            [i16::MAX, MISSING + 1, 1]
        );
    }
}
