//! Heartlens in an [embassy](https://embassy.dev) program: one task awaits samples, does the work in slices between which others
//! run, and gives events that another task awaits.
//!
//! [`Feed`] goes where samples come from: a task behind a timer, or an interrupt. [`watch`] is the task's body. Both meet in two
//! channels, which are statics:
//!
//! ```
//! use heartlens_embassy::{Feed, Reports, Samples};
//!
//! static SAMPLES: Samples = Samples::new();
//! static REPORTS: Reports = Reports::new();
//!
//! let mut feed = Feed::new(&SAMPLES);
//! feed.push(12); // From the converter, at the rate that the wearable was told.
//! ```
#![no_std]

use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, with_timeout};
use heartlens_core::Network;
use heartlens_core::wearable::{Event, Wearable};

/// Samples that may wait: a quarter of a second at 128 Hz. A slice of work takes some 1.3 ms at 64 MHz, but other tasks of the
/// same executor take their time, too.
const SAMPLES: usize = 32;
/// Reports that may wait until somebody reads them.
const REPORTS: usize = 8;

/// What comes from a converter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A count.
    Count(i16),
    /// So many samples were lost, or an electrode was off for so long.
    Missing(u32),
    /// The recording is over.
    End,
}

/// The way of the samples to [`watch`].
pub type Samples = Channel<CriticalSectionRawMutex, Sample, SAMPLES>;
/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// What.
    pub event: Event,
    /// The heart rate in beats a minute by then, as [`Wearable::rate_bpm`] has it.
    pub rate_bpm: Option<f32>,
}

/// The way of the events from [`watch`]. Who does not read them stops the work, and samples are lost.
pub type Reports = Channel<CriticalSectionRawMutex, Report, REPORTS>;

/// The converter's end of [`Samples`]. It never waits: samples that find no room are counted, and go on as a gap.
#[derive(Debug)]
pub struct Feed<'a> {
    samples: &'a Samples,
    owed: u32,
    lost: u32,
}

impl<'a> Feed<'a> {
    /// A feed that has lost nothing.
    pub const fn new(samples: &'a Samples) -> Self {
        Self {
            samples,
            owed: 0,
            lost: 0,
        }
    }

    /// The converter's next sample. An interrupt may call this.
    pub fn push(&mut self, count: i16) {
        if self.owed > 0 && self.samples.try_send(Sample::Missing(self.owed)).is_ok() {
            self.owed = 0;
        }
        if self.owed > 0 || self.samples.try_send(Sample::Count(count)).is_err() {
            self.owed += 1;
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Samples that found no room, since the start.
    pub const fn lost(&self) -> u32 {
        self.lost
    }
}

/// The clock is told so often where no sample comes.
const SILENCE: Duration = Duration::from_secs(1);

/// Takes samples as they come and sends on what happens, until [`Sample::End`]. Between two slices of work, each at most 80,000
/// instructions of a Cortex-M4F, other tasks run. Embassy's clock tells a wrong sample rate, and a converter that has stopped
/// ([`Wearable::clock`]).
pub async fn watch<N: Network>(
    wearable: &mut Wearable<'_, N>,
    samples: &Samples,
    reports: &Reports,
) {
    loop {
        let sample = with_timeout(SILENCE, samples.receive()).await.ok();
        match sample {
            Some(Sample::Count(count)) => wearable.push(count),
            Some(Sample::Missing(lost)) => wearable.missing(lost),
            Some(Sample::End) => wearable.finish(),
            None => {}
        }
        wearable.clock(Instant::now().as_millis() as u32);
        while wearable.work().is_pending() {
            while let Some(event) = wearable.poll() {
                let rate_bpm = wearable.rate_bpm();
                reports.send(Report { event, rate_bpm }).await;
            }
            yield_now().await;
        }
        if sample == Some(Sample::End) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_becomes_a_gap_of_as_many_samples() {
        let samples = Samples::new();
        let mut feed = Feed::new(&samples);
        for count in 0..40 {
            feed.push(count);
        }
        assert_eq!(feed.lost(), 8);
        for count in 0..SAMPLES as i16 {
            assert_eq!(samples.try_receive(), Ok(Sample::Count(count)));
        }
        feed.push(40);
        assert_eq!(samples.try_receive(), Ok(Sample::Missing(8)));
        assert_eq!(samples.try_receive(), Ok(Sample::Count(40)));
        assert!(samples.is_empty());
    }

    #[test]
    fn a_gap_that_finds_room_only_for_itself_goes_before_the_next_sample() {
        let samples = Samples::new();
        let mut feed = Feed::new(&samples);
        for count in 0..33 {
            feed.push(count);
        }
        assert_eq!(samples.try_receive(), Ok(Sample::Count(0)));
        // Room for one: the gap. The sample itself is the first of another.
        feed.push(33);
        for count in 1..SAMPLES as i16 {
            assert_eq!(samples.try_receive(), Ok(Sample::Count(count)));
        }
        assert_eq!(samples.try_receive(), Ok(Sample::Missing(1)));
        feed.push(34);
        assert_eq!(samples.try_receive(), Ok(Sample::Missing(1)));
        assert_eq!(samples.try_receive(), Ok(Sample::Count(34)));
        assert_eq!(feed.lost(), 2);
    }
}
