//! Whether heart rate and shape of the beats are those of any heart at the rate that was told.

use crate::spec::{BEAT_BEFORE_SAMPLES, BEAT_LEN_SAMPLES, SAMPLE_RATE_HZ};
use core::f32::consts::TAU;
use core::ops::RangeInclusive;

/// Beats that are judged together.
const BEATS: u8 = 64;
/// Samples on each side of the R peak that are looked at (188 ms): the QRS complex.
const SIDE_SAMPLES: usize = 24;
/// The QRS complex' mean frequency. That of 61 patients is 8.8 to 25 Hz.
const QRS_HZ: RangeInclusive<f32> = 8.5..=26.0;
/// The same times the heart rate in beats a minute. That of 61 patients is 667 to 2216.
const PRODUCT: RangeInclusive<f32> = 600.0..=2450.0;

/// Judges 64 beats at a time until their timing is some heart's: a rate is wrong from the start, and a heart may become strange later.
///
/// A converter told as twice as fast as it is makes hearts beat twice as fast, with complexes half as wide. In patients, too, either may
/// be; but those whose hearts are fast do not have complexes of higher frequency.
#[derive(Debug)]
pub(super) struct Timing {
    beats: u8,
    seconds: f32,
    plausible: Option<bool>,
}

impl Timing {
    pub(super) const UNKNOWN: Self = Self {
        beats: 0,
        seconds: 0.0,
        plausible: None,
    };

    /// Takes a readable heartbeat: its RR interval, and the patient's template.
    pub(super) fn push(&mut self, rr_s: f32, template: &[f32; BEAT_LEN_SAMPLES]) {
        if self.plausible == Some(true) {
            return;
        }
        self.beats += 1;
        self.seconds += rr_s;
        if self.beats < BEATS {
            return;
        }
        let rate_bpm = 60.0 * f32::from(self.beats) / self.seconds;
        let qrs_hz = mean_frequency(template);
        self.plausible = Some(QRS_HZ.contains(&qrs_hz) && PRODUCT.contains(&(qrs_hz * rate_bpm)));
        (self.beats, self.seconds) = (0, 0.0);
    }

    /// Whether the beats so far are no heart's.
    pub(super) fn is_implausible(&self) -> bool {
        self.plausible == Some(false)
    }
}

/// The mean frequency around the R peak, in Hz: that of a sine whose second differences are to its first as these are, in root mean
/// square. NaN of a flat line.
fn mean_frequency(template: &[f32; BEAT_LEN_SAMPLES]) -> f32 {
    let (mut first, mut second) = (0.0_f32, 0.0_f32);
    let from = BEAT_BEFORE_SAMPLES - SIDE_SAMPLES - 1;
    for three in template.windows(3).skip(from).take(2 * SIDE_SAMPLES) {
        if let [a, b, c] = three {
            first += (c - b) * (c - b);
            second += (a - 2.0 * b + c) * (a - 2.0 * b + c);
        }
    }
    libm::sqrtf(second / first) * SAMPLE_RATE_HZ as f32 / TAU
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32) -> [f32; BEAT_LEN_SAMPLES] {
        core::array::from_fn(|i| libm::sinf(TAU * hz * i as f32 / SAMPLE_RATE_HZ as f32))
    }

    fn judged(rr_s: f32, hz: f32) -> Timing {
        let mut timing = Timing::UNKNOWN;
        for _ in 0..BEATS {
            assert!(!timing.is_implausible());
            timing.push(rr_s, &sine(hz));
        }
        timing
    }

    #[test]
    fn the_frequency_of_a_sine() {
        for hz in [4.0, 8.0, 16.0, 24.0] {
            let found = mean_frequency(&sine(hz));
            // By the differences' own response, 2 sin(x / 2) instead of x.
            let x = TAU * hz / SAMPLE_RATE_HZ as f32;
            let expected = hz * 2.0 * libm::sinf(x / 2.0) / x;
            assert!((found - expected).abs() < 0.03 * hz, "{hz}: {found}");
        }
    }

    #[test]
    fn a_heart_of_twice_the_speed_is_none_and_one_of_an_athlete_is() {
        for (rr_s, hz, implausible) in [
            (0.8, 16.0, false),
            (1.3, 14.0, false),
            (0.45, 16.0, false),
            (0.4, 32.0, true),
            (1.6, 8.0, true),
            (0.8, 40.0, true),
            (0.8, 5.0, true),
        ] {
            let timing = judged(rr_s, hz);
            assert_eq!(timing.is_implausible(), implausible, "{rr_s} s, {hz} Hz");
        }
    }

    #[test]
    fn once_plausible_it_stays_so_and_once_implausible_it_may_become_so() {
        let mut timing = judged(0.8, 16.0);
        (0..2 * BEATS).for_each(|_| timing.push(0.3, &sine(30.0)));
        assert!(!timing.is_implausible());
        let mut timing = judged(0.3, 24.0);
        assert!(timing.is_implausible());
        (0..BEATS).for_each(|_| timing.push(0.6, &sine(16.0)));
        assert!(!timing.is_implausible());
    }

    #[test]
    fn a_flat_template_is_no_hearts() {
        let mut timing = Timing::UNKNOWN;
        (0..BEATS).for_each(|_| timing.push(0.8, &[0.0; BEAT_LEN_SAMPLES]));
        assert!(timing.is_implausible());
    }
}
