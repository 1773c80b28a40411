//! The patient's own running average beat: what makes the views relative to this heart.

use crate::spec::{BEAT_BEFORE_SAMPLES, BEAT_LEN_SAMPLES};
use crate::stats::{pearson, std_dev};

/// A window of one beat in mV, with the R peak at index [`BEAT_BEFORE_SAMPLES`].
pub type BeatWindow = [f32; BEAT_LEN_SAMPLES];

/// Part of a beat window, both ends included and counted from the R peak.
pub(crate) fn around_r(window: &BeatWindow, first: isize, last: isize) -> &[f32] {
    let r = BEAT_BEFORE_SAMPLES as isize;
    window
        .get((r + first) as usize..(r + last + 1) as usize)
        .unwrap_or_default()
}

/// The QRS complex, in samples from the R peak: 148 ms to either side.
pub(crate) const QRS: (isize, isize) = (-19, 19);
/// What decides whether a beat resembles the template, in samples from the R peak.
const RESEMBLANCE: (isize, isize) = (-32, 31);
/// Correlation above which a beat resembles the template.
const RESEMBLES: f32 = 0.8;
/// Added to the scale, so that a flat line does not divide by zero, in mV.
const SCALE_FLOOR_MV: f32 = 0.02;
/// Weight of one beat in the running share of resembling beats.
const AGREEMENT_RATE: f32 = 1.0 / 16.0;

/// The running average of a patient's beats in one lead, strictly causal.
///
/// The first beat is the template; beat `k` then moves it by `al (x - t)` with
/// `al = max(1 / (k + 1), c > 0.8 ? 1/8 : 1/64)`, where `c` is Pearson's correlation of beat and template over
/// `R-32..=R+31`: an average of the first beats that turns into one which a few ectopic beats cannot carry away, yet
/// follows a heart that changes for good.
#[derive(Debug, Clone)]
pub struct Template {
    mean: BeatWindow,
    beats: u32,
    agreement: f32,
}

impl Template {
    /// The template of a patient's first beat.
    pub fn new(first: &BeatWindow) -> Self {
        Self {
            mean: *first,
            beats: 0,
            agreement: 1.0,
        }
    }

    /// The average beat, in mV.
    pub fn mean(&self) -> &BeatWindow {
        &self.mean
    }

    /// The running share of beats that resemble the template, 0..=1; starts at 1.
    pub fn agreement(&self) -> f32 {
        self.agreement
    }

    /// What a beat of this patient is divided by, in mV: the standard deviation of the template's QRS complex plus
    /// 0.02 mV.
    pub fn scale_mv(&self) -> f32 {
        std_dev(around_r(&self.mean, QRS.0, QRS.1)) + SCALE_FLOOR_MV
    }

    /// Moves the template towards a beat, after that beat's features have been computed.
    pub fn update(&mut self, beat: &BeatWindow) {
        let (first, last) = RESEMBLANCE;
        let correlation = pearson(
            around_r(beat, first, last),
            around_r(&self.mean, first, last),
        );
        let resembles = correlation > RESEMBLES;
        let settled = if resembles { 1.0 / 8.0 } else { 1.0 / 64.0 };
        let rate = (1.0 / (self.beats + 1) as f32).max(settled);
        for (mean, x) in self.mean.iter_mut().zip(beat) {
            *mean += rate * (x - *mean);
        }
        self.agreement += (f32::from(u8::from(resembles)) - self.agreement) * AGREEMENT_RATE;
        self.beats = self.beats.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bump(height: f32, width: f32) -> BeatWindow {
        core::array::from_fn(|i| {
            let x = (i as f32 - BEAT_BEFORE_SAMPLES as f32) / width;
            height * (-x * x).exp()
        })
    }

    #[test]
    fn the_first_beats_are_averaged_evenly() {
        let mut template = Template::new(&bump(1.0, 4.0));
        for height in [1.0, 2.0, 3.0] {
            template.update(&bump(height, 4.0));
        }
        let peak = template.mean()[BEAT_BEFORE_SAMPLES];
        assert!((peak - 2.0).abs() < 1e-5, "{peak}");
        assert_eq!(template.agreement(), 1.0);
    }

    #[test]
    fn few_strange_beats_hardly_move_it_and_lasting_change_does() {
        let mut template = Template::new(&bump(1.0, 4.0));
        for _ in 0..100 {
            template.update(&bump(1.0, 4.0));
        }
        let strange = bump(-3.0, 12.0);
        template.update(&strange);
        let peak = template.mean()[BEAT_BEFORE_SAMPLES];
        assert!((peak - (1.0 - 4.0 / 64.0)).abs() < 1e-4, "{peak}");
        assert!((template.agreement() - 15.0 / 16.0).abs() < 1e-6);
        for _ in 0..200 {
            template.update(&strange);
        }
        let peak = template.mean()[BEAT_BEFORE_SAMPLES];
        assert!((peak + 3.0).abs() < 0.05, "{peak}");
    }

    #[test]
    fn scale_is_the_spread_of_the_qrs() {
        let template = Template::new(&bump(1.5, 4.0));
        let qrs: std::vec::Vec<f64> = (-19..=19)
            .map(|i| 1.5 * (-(f64::from(i) / 4.0).powi(2)).exp())
            .collect();
        let mean = qrs.iter().sum::<f64>() / 39.0;
        let variance = qrs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 39.0;
        let expected = variance.sqrt() + 0.02;
        assert!((f64::from(template.scale_mv()) - expected).abs() < 1e-6);
        assert!((Template::new(&[0.3; BEAT_LEN_SAMPLES]).scale_mv() - 0.02).abs() < 1e-6);
    }
}
