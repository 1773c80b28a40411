//! A streaming R-peak detector: one band-passed sample in, at most one R peak out.
//!
//! What a sample goes through, in integers so that every machine finds the same peaks:
//!
//! 1. *Envelope.* A smoothed second difference (three boxes of three samples, weights +1 -2 +1) keeps some 11 to 25 Hz,
//!    where the QRS lies and P and T waves do not; its magnitude is averaged twice over 62.5 ms. Rectified and averaged
//!    band-passed slope is the feature of Pan and Tompkins (IEEE Trans Biomed Eng 32:230, 1985) and of Hamilton and
//!    Tompkins (IEEE Trans Biomed Eng 33:1157, 1986); the second difference stands in for their band-pass.
//! 2. *Candidates.* A peak of the envelope that none exceeds within 22 samples (172 ms) on either side.
//! 3. *Decision*, 1.25 s later, when what follows the candidate is known too. The threshold lies between the
//!    height of the last beats and that of the last rejected candidates (Hamilton and Tompkins' rule; the beats' lower
//!    quartile, so that small beats between large ectopic ones are found, and the rejected candidates' median). How far up
//!    depends on the gap that the candidate would fill, from the last beat to the next strong candidate: a gap of a
//!    normal RR interval needs no further beat, a long one is searched with a lower threshold (Pan and Tompkins'
//!    search-back, but looking ahead). A candidate that is small beside the beat right before it is taken for its T
//!    wave, one that is small beside the strong candidate right after it for its P wave.
//! 4. *Placement* on the tallest deflection of the QRS from its surroundings' mean, either sign. Of two of nearly the
//!    same height (an R and a deep S) the earlier counts, so that beats of one shape are placed alike.

use crate::spec;
use crate::stats::sort;
use heapless::Deque;

/// An R peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RPeak {
    /// Index of the peak in the signal before the band-pass, 0 = the first sample pushed.
    pub sample: u32,
}

/// No two QRS complexes are closer than this, in samples (172 ms; at 300 beats a minute they are 200 ms apart).
pub(crate) const REFRACTORY_SAMPLES: u32 = 22;

/// A candidate is decided this long after the middle of its QRS, in samples.
const DECISION_SAMPLES: u32 = 160;

/// A peak is reported at most this long after it, in samples (1.32 s).
pub(crate) const MAX_DELAY_SAMPLES: usize =
    DECISION_SAMPLES as usize + PLACE_SAMPLES as usize + FILTER_DELAY_SAMPLES as usize;

/// Group delay of [`crate::spec`]'s causal band-pass at 5 to 30 Hz (0.64 to 1.07), in whole samples.
const FILTER_DELAY_SAMPLES: u32 = 1;

/// Samples kept of the filtered signal.
const RING: usize = 64;

/// Counts a millivolt of the integer arithmetic.
const COUNTS_PER_MV: f32 = 4000.0;
/// Largest magnitude of a sample, in counts (20 mV). The envelope of it fits an `i32`.
const MAX_COUNTS: i32 = 80_000;
/// Length of either moving average of the rectified second difference, in samples.
const AVERAGE: u32 = 8;
/// From the middle of a QRS to the peak of its envelope, in samples: 4 (second difference) + 2 * 3.5 (averages).
const ENVELOPE_DELAY_SAMPLES: u32 = 11;
/// Gain of the envelope: the weights of the second difference, without sign, times both averages' lengths.
const ENVELOPE_GAIN: i32 = 12 * (AVERAGE * AVERAGE) as i32;

/// The peak is sought this far either side of the middle of the QRS, in samples.
const PLACE_SAMPLES: u32 = 8;
/// The mean of the signal this far either side of the middle of the QRS is its zero line, in samples.
const BASELINE_SAMPLES: u32 = 17;
/// The earlier of two deflections of opposite sign counts if it has this part of the later's height.
const EARLIER_SHARE: f32 = 0.6;

/// Beats, rejected candidates and RR intervals that the medians look back on.
const HISTORY: usize = 8;
/// RR interval that is assumed until [`HISTORY`] / 2 are known, in samples.
const RR_ASSUMED: i32 = 110;

/// Between the noise level (0) and the beats' level (1): above this a candidate is strong.
const STRONG: f32 = 0.42;
/// A strong candidate is needed in gaps up to this many median RR intervals.
const GAP_NORMAL: f32 = 1.0;
/// In gaps of this many median RR intervals, [`SEARCH_BACK`] suffices. Between the two the threshold is interpolated.
const GAP_LONG: f32 = 1.5;
/// As [`STRONG`], in a long gap.
const SEARCH_BACK: f32 = 0.18;

/// A T wave comes this long after the beat's QRS at the most, in samples.
const T_WAVE_SAMPLES: f32 = 45.0;
/// A P wave comes this long before the beat's QRS at the most, in samples.
const P_WAVE_SAMPLES: f32 = 38.0;
/// Up to this distance, in samples, the T and P wave rules are strictest.
const NEAR_SAMPLES: f32 = 27.0;
/// A candidate near after a beat must have this part of its height, and [`T_SHARE_FAR`] at [`T_WAVE_SAMPLES`].
const T_SHARE_NEAR: f32 = 0.92;
const T_SHARE_FAR: f32 = 0.4;
/// A candidate near before a strong one must have this part of its height, and [`P_SHARE_FAR`] at [`P_WAVE_SAMPLES`].
const P_SHARE_NEAR: f32 = 0.95;
const P_SHARE_FAR: f32 = 0.55;
/// At a median RR interval below this, in samples, [`SHARE_FAST`] is enough: the next QRS comes when a T wave would.
const FAST_RR_SAMPLES: i32 = 45;
const SHARE_FAST: f32 = 0.88;

/// Without a beat for this long, in samples (2.3 s), the beats' level is learned again from what is there.
const RELEARN_SAMPLES: u32 = 300;
/// Smallest height of a beat's envelope: that of a narrow QRS of some 0.03 mV.
const MIN_HEIGHT: i32 = 18_000;
/// The noise level counts up to this part of the beats' level.
const NOISE_SHARE: f32 = 0.7;

/// Candidates that may wait for their decision.
const WAITING: usize = 10;

const _: () = {
    assert!(MAX_DELAY_SAMPLES <= spec::DETECTOR_MAX_DELAY_SAMPLES);
    assert!(WAITING > (DECISION_SAMPLES / REFRACTORY_SAMPLES + 1) as usize);
    assert!(MAX_COUNTS as i64 * ENVELOPE_GAIN as i64 <= i32::MAX as i64);
    // What a candidate needs of the signal is still there when the candidate is recognised.
    assert!(
        REFRACTORY_SAMPLES + ENVELOPE_DELAY_SAMPLES + BASELINE_SAMPLES < RING as u32
            && PLACE_SAMPLES <= BASELINE_SAMPLES
            && BASELINE_SAMPLES <= REFRACTORY_SAMPLES + ENVELOPE_DELAY_SAMPLES
    );
};

/// A peak of the envelope.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// Middle of the QRS, index in the filtered signal.
    middle: u32,
    /// Tallest deflection, index in the filtered signal.
    peak: u32,
    /// Height of the envelope.
    height: i32,
}

/// The last [`HISTORY`] values of something, and their median.
#[derive(Debug, Clone)]
struct Recent {
    values: [i32; HISTORY],
    len: usize,
    next: usize,
}

impl Recent {
    const fn new() -> Self {
        Self {
            values: [0; HISTORY],
            len: 0,
            next: 0,
        }
    }

    fn push(&mut self, value: i32) {
        self.values[self.next % HISTORY] = value;
        self.next = (self.next + 1) % HISTORY;
        self.len = (self.len + 1).min(HISTORY);
    }

    fn fill(&mut self, value: i32) {
        self.values = [value; HISTORY];
        self.len = HISTORY;
    }

    /// The value that `numerator` of `denominator` values lie below; 0 of nothing.
    fn quantile(&self, numerator: usize, denominator: usize) -> i32 {
        let mut sorted = self.values;
        let sorted = sorted.get_mut(..self.len).unwrap_or_default();
        sort(sorted);
        let index = self.len * numerator / denominator;
        sorted.get(index).copied().unwrap_or(0)
    }

    fn median(&self) -> i32 {
        self.quantile(1, 2)
    }

    fn lower_quartile(&self) -> i32 {
        self.quantile(1, 4)
    }
}

/// The detector. See the module's description for how it works.
///
/// # Example
/// ```
/// use heartlens_core::detector::Detector;
///
/// let mut detector = Detector::new();
/// let mut beats = 0;
/// for i in 0..1280 {
///     // A spike of 1 mV and three samples' width every 100 samples.
///     let filtered_mv = [0.5, 1.0, 0.5].get(i % 100).copied().unwrap_or(0.0);
///     beats += detector.push(filtered_mv).is_some() as usize;
/// }
/// // A peak is reported up to two seconds late: at the end, zeros for as long.
/// for _ in 0..heartlens_core::spec::DETECTOR_MAX_DELAY_SAMPLES {
///     beats += detector.push(0.0).is_some() as usize;
/// }
/// assert_eq!(beats, 13);
/// ```
#[derive(Debug, Clone)]
pub struct Detector {
    /// Samples pushed so far.
    samples: u32,
    signal: [i32; RING],
    slope: [i32; AVERAGE as usize],
    slope_sum: i32,
    average: [i32; AVERAGE as usize],
    /// The envelope at the sample before the last one, at the last one and now.
    envelope: [i32; 3],
    /// Tallest peak of the envelope since the last candidate: its index and height.
    tallest: Option<(u32, i32)>,
    waiting: Deque<Candidate, WAITING>,
    last: Option<Candidate>,
    beat_heights: Recent,
    noise_heights: Recent,
    rr: Recent,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector at the start of a signal.
    pub const fn new() -> Self {
        Self {
            samples: 0,
            signal: [0; RING],
            slope: [0; AVERAGE as usize],
            slope_sum: 0,
            average: [0; AVERAGE as usize],
            envelope: [0; 3],
            tallest: None,
            waiting: Deque::new(),
            last: None,
            beat_heights: Recent::new(),
            noise_heights: Recent::new(),
            rr: Recent::new(),
        }
    }

    /// Takes the next sample of the band-passed signal, in mV, and returns an R peak when one was decided on: at most
    /// 1.32 s after it, at indices that strictly increase (for 2^32 samples, a year). A sample that is not
    /// finite counts as missing and repeats the one before it; magnitudes above 20 mV are clipped.
    pub fn push(&mut self, filtered_mv: f32) -> Option<RPeak> {
        let now = self.samples;
        self.samples = now.wrapping_add(1);
        let counts = if filtered_mv.is_finite() {
            // The cast saturates.
            ((filtered_mv * COUNTS_PER_MV) as i32).clamp(-MAX_COUNTS, MAX_COUNTS)
        } else {
            self.signal(now.wrapping_sub(1))
        };
        self.signal[now as usize % RING] = counts;
        self.update_envelope(now);

        let [before, peak, after] = self.envelope;
        let rises_and_falls = peak > before && peak >= after;
        if rises_and_falls && self.tallest.is_none_or(|(_, height)| peak > height) {
            self.tallest = Some((now.wrapping_sub(1), peak));
        }
        if let Some((index, height)) = self.tallest
            && now.wrapping_sub(index) >= REFRACTORY_SAMPLES
        {
            self.add_candidate(index, height);
        }
        let oldest = self.waiting.front()?;
        if now.wrapping_sub(oldest.middle) < DECISION_SAMPLES {
            return None;
        }
        self.decide_oldest()
    }

    fn signal(&self, index: u32) -> i32 {
        self.signal[index as usize % RING]
    }

    fn update_envelope(&mut self, now: u32) {
        let back = |samples: u32| self.signal(now.wrapping_sub(samples));
        let slope = back(0) + back(1) + back(2) - 2 * (back(3) + back(4) + back(5))
            + back(6)
            + back(7)
            + back(8);
        let slot = (now % AVERAGE) as usize;
        self.slope_sum += slope.abs() - self.slope[slot];
        self.slope[slot] = slope.abs();
        let [_, before, last] = self.envelope;
        let envelope = last + self.slope_sum - self.average[slot];
        self.average[slot] = self.slope_sum;
        self.envelope = [before, last, envelope];
    }

    fn add_candidate(&mut self, index: u32, height: i32) {
        self.tallest = None;
        let middle = index.saturating_sub(ENVELOPE_DELAY_SAMPLES);
        let candidate = Candidate {
            middle,
            peak: self.place(middle),
            height,
        };
        // There is always room: candidates are at least `REFRACTORY_SAMPLES` apart.
        let _ = self.waiting.push_back(candidate);
    }

    /// The tallest deflection near the middle of a QRS.
    fn place(&self, middle: u32) -> u32 {
        let at =
            |offset: u32| self.signal(middle.wrapping_add(offset).wrapping_sub(BASELINE_SAMPLES));
        let sum: i32 = (0..=2 * BASELINE_SAMPLES).map(at).sum();
        let baseline = sum / (2 * BASELINE_SAMPLES + 1) as i32;
        let from = BASELINE_SAMPLES - PLACE_SAMPLES;
        let (mut up, mut down) = ((from, 0), (from, 0));
        for offset in from..=BASELINE_SAMPLES + PLACE_SAMPLES {
            let deflection = at(offset) - baseline;
            if deflection > up.1 {
                up = (offset, deflection);
            }
            if -deflection > down.1 {
                down = (offset, -deflection);
            }
        }
        let (earlier, later) = if up.0 < down.0 {
            (up, down)
        } else {
            (down, up)
        };
        let offset = if earlier.1 as f32 >= EARLIER_SHARE * later.1 as f32 {
            earlier.0
        } else {
            later.0
        };
        middle
            .saturating_add(offset)
            .saturating_sub(BASELINE_SAMPLES)
    }

    fn decide_oldest(&mut self) -> Option<RPeak> {
        let candidate = self.waiting.pop_front()?;
        if !self.is_beat(&candidate) {
            self.noise_heights.push(candidate.height);
            return None;
        }
        if let Some(last) = self.last {
            if candidate.peak <= last.peak {
                return None;
            }
            self.rr.push((candidate.peak - last.peak) as i32);
        }
        self.beat_heights.push(candidate.height);
        self.last = Some(candidate);
        Some(RPeak {
            sample: candidate.peak.saturating_sub(FILTER_DELAY_SAMPLES),
        })
    }

    fn is_beat(&mut self, candidate: &Candidate) -> bool {
        let since_last = self
            .last
            .map(|last| candidate.middle.wrapping_sub(last.middle));
        if since_last.is_none_or(|since| since > RELEARN_SAMPLES) {
            self.relearn(candidate);
        }
        let height = candidate.height as f32;
        if candidate.height < MIN_HEIGHT {
            return false;
        }
        let beats = self.beat_heights.lower_quartile() as f32;
        let noise = (self.noise_heights.median() as f32).min(NOISE_SHARE * beats);
        let level = |share: f32| noise + share * (beats - noise);
        let strong = level(STRONG);
        if self
            .waiting
            .iter()
            .any(|next| next.height as f32 >= strong && self.is_p_wave(candidate, next))
        {
            return false;
        }
        let Some(last) = self.last else {
            return height >= strong;
        };
        if self.is_t_wave(candidate, &last) {
            return false;
        }
        if height >= strong {
            return true;
        }
        let next_beat = self
            .waiting
            .iter()
            .find(|next| next.height as f32 >= strong && !self.is_t_wave(next, &last))
            .map_or(self.samples, |next| next.middle);
        let gap = next_beat.wrapping_sub(last.middle) as f32 / self.rr_interval() as f32;
        let share = interpolate(gap, (GAP_NORMAL, STRONG), (GAP_LONG, SEARCH_BACK));
        height >= level(share)
            && !self
                .waiting
                .iter()
                .take_while(|other| other.middle != next_beat)
                .any(|other| other.height > candidate.height && !self.is_t_wave(other, &last))
    }

    /// Learns the beats' level from the candidates of the next seconds: the second tallest if it is of the tallest's
    /// kind, so that a single artefact does not count.
    fn relearn(&mut self, candidate: &Candidate) {
        let (mut tallest, mut second) = (candidate.height, 0);
        for other in &self.waiting {
            if other.height > tallest {
                second = tallest;
                tallest = other.height;
            } else {
                second = second.max(other.height);
            }
        }
        let level = if second > tallest / 2 {
            second
        } else {
            tallest
        };
        if self.beat_heights.len == 0 || self.beat_heights.lower_quartile() > level {
            self.beat_heights.fill(level);
        }
    }

    fn is_t_wave(&self, candidate: &Candidate, beat: &Candidate) -> bool {
        let distance = candidate.middle.wrapping_sub(beat.middle) as f32;
        let share = interpolate(
            distance,
            (NEAR_SAMPLES, T_SHARE_NEAR),
            (T_WAVE_SAMPLES, T_SHARE_FAR),
        );
        distance < T_WAVE_SAMPLES
            && (candidate.height as f32) < self.cap_if_fast(share) * beat.height as f32
    }

    fn is_p_wave(&self, candidate: &Candidate, beat: &Candidate) -> bool {
        let distance = beat.middle.wrapping_sub(candidate.middle) as f32;
        let share = interpolate(
            distance,
            (NEAR_SAMPLES, P_SHARE_NEAR),
            (P_WAVE_SAMPLES, P_SHARE_FAR),
        );
        distance < P_WAVE_SAMPLES
            && (candidate.height as f32) < self.cap_if_fast(share) * beat.height as f32
    }

    fn cap_if_fast(&self, share: f32) -> f32 {
        if self.rr_interval() < FAST_RR_SAMPLES {
            share.min(SHARE_FAST)
        } else {
            share
        }
    }

    /// The median RR interval, in samples.
    fn rr_interval(&self) -> i32 {
        if self.rr.len < HISTORY / 2 {
            RR_ASSUMED
        } else {
            self.rr.median()
        }
    }
}

/// The line through two points at `x`, level outside them.
fn interpolate(x: f32, (x0, y0): (f32, f32), (x1, y1): (f32, f32)) -> f32 {
    if x <= x0 {
        y0
    } else if x >= x1 {
        y1
    } else {
        y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::filter::BandPass;
    use proptest::prelude::*;
    use std::iter;
    use std::vec::Vec;

    const RATE_HZ: f64 = spec::SAMPLE_RATE_HZ as f64;

    fn bell(t: f64, centre: f64, sigma: f64) -> f64 {
        (-0.5 * ((t - centre) / sigma).powi(2)).exp()
    }

    /// A beat in mV, `t` seconds from its R peak: P, Q, R, S and T as bells, P and T drawn together with the square root
    /// of the RR interval (Bazett's rule).
    fn beat(t: f64, rr_s: f64) -> f64 {
        let stretch = rr_s.min(1.0).sqrt();
        0.12 * bell(t, -0.16 * stretch, 0.022 * stretch) - 0.10 * bell(t, -0.026, 0.008)
            + bell(t, 0.0, 0.011)
            - 0.22 * bell(t, 0.028, 0.010)
            + 0.30 * bell(t, 0.28 * stretch, 0.05 * stretch)
    }

    /// A train of such beats, `seconds` long: the signal in mV and the times of its R peaks in samples.
    pub(crate) fn train(bpm: f64, phase: f64, seconds: f64) -> (Vec<f32>, Vec<f64>) {
        let rr_s = 60.0 / bpm;
        let beats: Vec<f64> = (0..)
            .map(|k| (phase + k as f64) * rr_s)
            .take_while(|&t| t < seconds)
            .collect();
        let signal = (0..(seconds * RATE_HZ) as usize)
            .map(|i| {
                let t = i as f64 / RATE_HZ;
                let near = beats.iter().filter(|&&b| (t - b).abs() < 1.0);
                near.map(|&b| beat(t - b, rr_s)).sum::<f64>() as f32
            })
            .collect();
        (signal, beats.iter().map(|t| t * RATE_HZ).collect())
    }

    /// Filters and detects, up to the end as a monitor does; asserts order and delay of every peak.
    fn detect(signal: &[f32]) -> Vec<u32> {
        let (mut filter, mut detector) = (BandPass::new(), Detector::new());
        let mut peaks: Vec<u32> = Vec::new();
        let filtered = signal.iter().map(|sample| filter.push(*sample));
        let end = iter::repeat_n(0.0, spec::DETECTOR_MAX_DELAY_SAMPLES);
        for (now, sample) in filtered.chain(end).enumerate() {
            if let Some(peak) = detector.push(sample) {
                assert!(peak.sample as usize <= now);
                assert!(now - peak.sample as usize <= MAX_DELAY_SAMPLES);
                assert!(peaks.last().is_none_or(|&last| last < peak.sample));
                peaks.push(peak.sample);
            }
        }
        peaks.retain(|peak| (*peak as usize) < signal.len());
        peaks
    }

    /// Every beat from `from_s` to half a second before the signal's end has one peak within `tolerance` samples, and
    /// there is no other.
    fn assert_found(
        peaks: &[u32],
        beats: &[f64],
        from_s: f64,
        len: usize,
        tolerance: f64,
    ) -> Result<(), TestCaseError> {
        let (from, to) = (from_s * RATE_HZ, len as f64 - 0.5 * RATE_HZ);
        let beats: Vec<f64> = beats
            .iter()
            .copied()
            .filter(|&b| b >= from && b < to)
            .collect();
        let slack = |p: f64| p >= from - tolerance && p < to + tolerance;
        let mut peaks = peaks
            .iter()
            .map(|&p| f64::from(p))
            .filter(|&p| slack(p))
            .peekable();
        for &expected in &beats {
            // At the edges of the span a peak may belong to a beat outside it.
            while peaks
                .next_if(|&p| expected - p > tolerance && expected == beats[0])
                .is_some()
            {}
            let found = peaks.next();
            prop_assert!(
                found.is_some_and(|found| (found - expected).abs() <= tolerance),
                "beat at {expected}, found {found:?}"
            );
        }
        prop_assert!(!beats.is_empty() && peaks.all(|p| p > to - tolerance));
        Ok(())
    }

    fn one_at(peaks: &[u32], expected: f64, tolerance: f64) -> bool {
        let near = peaks
            .iter()
            .filter(|&&p| (f64::from(p) - expected).abs() <= tolerance);
        near.count() == 1
    }

    #[test]
    fn the_peak_is_the_tallest_deflection_of_either_sign() {
        // (R, S) in mV; S comes 45 ms after R. Of an R and an S of nearly the same height R counts.
        for (r, s, on_r) in [
            (1.0, -0.3, true),
            (-1.0, 0.3, true),
            (0.2, -1.0, false),
            (-0.2, 1.0, false),
            (1.0, -1.2, true),
            (0.15, -0.1, true),
        ] {
            let beats: Vec<f64> = (1..20).map(|k| 0.811 * f64::from(k)).collect();
            let signal: Vec<f32> = (0..16 * 128)
                .map(|i| {
                    let t = f64::from(i) / RATE_HZ;
                    let qrs = |b: &f64| r * bell(t, *b, 0.012) + s * bell(t, b + 0.045, 0.012);
                    beats.iter().map(qrs).sum::<f64>() as f32
                })
                .collect();
            let peaks = detect(&signal);
            for b in &beats[3..19] {
                let expected = (if on_r { *b } else { b + 0.045 }) * RATE_HZ;
                assert!(
                    one_at(&peaks, expected, 1.2),
                    "R {r}, S {s}: {expected} in {peaks:?}"
                );
            }
        }
    }

    #[test]
    fn a_tall_t_wave_is_no_beat() {
        let beats: Vec<f64> = (1..30).map(|k| 0.9 * f64::from(k)).collect();
        let signal: Vec<f32> = (0..28 * 128)
            .map(|i| {
                let t = f64::from(i) / RATE_HZ;
                // As tall as the QRS.
                let wave = |b: &f64| beat(t - b, 0.9) + 0.7 * bell(t, b + 0.27, 0.045);
                beats.iter().map(wave).sum::<f64>() as f32
            })
            .collect();
        let in_samples: Vec<f64> = beats.iter().map(|b| b * RATE_HZ).collect();
        assert_found(&detect(&signal), &in_samples, 0.5, signal.len(), 1.5).unwrap();
    }

    #[test]
    fn ectopic_beats_wide_small_and_early_are_found() {
        // One beat in six is another: (time after the beat before it, amplitude in mV, width in s).
        for (after_s, mv, sigma_s) in [
            (0.5, -1.6, 0.035),
            (0.45, 2.5, 0.045),
            (0.8, 0.3, 0.011),
            (0.8, 0.7, 0.025),
            (0.32, 1.0, 0.011),
        ] {
            let mut beats = std::vec![(0.4, true)];
            for k in 1..40 {
                let (last, _) = beats[beats.len() - 1];
                beats.push(if k % 6 == 5 {
                    (last + after_s, false)
                } else {
                    (last + 0.8, true)
                });
            }
            let len = ((beats[beats.len() - 1].0 + 1.0) * RATE_HZ) as usize;
            let signal: Vec<f32> = (0..len)
                .map(|i| {
                    let t = i as f64 / RATE_HZ;
                    let wave = |&(b, normal): &(f64, bool)| {
                        if normal {
                            beat(t - b, 0.8)
                        } else {
                            mv * bell(t, b, sigma_s)
                        }
                    };
                    beats.iter().map(wave).sum::<f64>() as f32
                })
                .collect();
            let in_samples: Vec<f64> = beats.iter().map(|(b, _)| b * RATE_HZ).collect();
            let found = assert_found(&detect(&signal), &in_samples, 3.0, len, 3.0);
            assert!(
                found.is_ok(),
                "{after_s} s, {mv} mV, {sigma_s} s: {found:?}"
            );
        }
    }

    #[test]
    fn a_pause_has_no_beats() {
        let (signal, beats) = train(70.0, 0.5, 30.0);
        // 6 s of nothing but 10 uV of ripple.
        let signal: Vec<f32> = signal
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let silent = (12 * 128..18 * 128).contains(&i);
                if silent {
                    0.01 * (i as f32 * 0.9).sin()
                } else {
                    x
                }
            })
            .collect();
        let peaks = detect(&signal);
        let inside = |p: f64| (12.2 * RATE_HZ..17.8 * RATE_HZ).contains(&p);
        assert!(!peaks.iter().any(|&p| inside(f64::from(p))), "{peaks:?}");
        for b in beats
            .iter()
            .filter(|b| (18.5 * RATE_HZ..29.0 * RATE_HZ).contains(*b))
        {
            assert!(one_at(&peaks, *b, 1.5), "{b} in {peaks:?}");
        }
    }

    /// The sample of a faulty signal at an index, in mV.
    type Fault = fn(usize) -> f32;

    #[test]
    fn saturation_and_lead_off_are_over_within_three_seconds() {
        for bpm in [45.0, 75.0, 150.0] {
            let (clean, beats) = train(bpm, 0.5, 40.0);
            let fault = 15 * 128..20 * 128;
            let faults: [(&str, Fault); 5] = [
                ("upper rail", |_| 5.0),
                ("missing", |_| f32::NAN),
                ("flat line", |_| 0.0),
                ("from rail to rail", |i| {
                    if i / 37 % 2 == 0 { 5.0 } else { -5.0 }
                }),
                ("hum at full scale", |i| 5.0 * (i as f32 * 2.5).sin()),
            ];
            for (name, value) in faults {
                let mut signal = clean.clone();
                for i in fault.clone() {
                    signal[i] = value(i);
                }
                let found = assert_found(&detect(&signal), &beats, 23.0, signal.len(), 1.5);
                assert!(found.is_ok(), "{name} at {bpm} bpm: {found:?}");
            }
        }
    }

    #[test]
    fn a_start_within_noise_or_a_large_artefact_takes_three_seconds() {
        for bpm in [40.0, 75.0, 180.0] {
            let (clean, beats) = train(bpm, 0.2, 20.0);
            for artefact_mv in [0.0, 3.0, -10.0] {
                let mut signal = clean.clone();
                for sample in &mut signal[10..20] {
                    *sample += artefact_mv;
                }
                let found = assert_found(&detect(&signal), &beats, 3.0, signal.len(), 1.5);
                assert!(found.is_ok(), "{artefact_mv} mV at {bpm} bpm: {found:?}");
            }
        }
    }

    /// The envelope and its peaks by their definition, over the whole signal at once.
    fn candidates_by_definition(filtered: &[f32]) -> Vec<(u32, i32)> {
        let counts: Vec<i32> = filtered
            .iter()
            .map(|x| (x * COUNTS_PER_MV) as i32)
            .collect();
        let x = |i: i64| {
            usize::try_from(i)
                .ok()
                .and_then(|i| counts.get(i))
                .copied()
                .unwrap_or(0)
        };
        let weights = [1, 1, 1, -2, -2, -2, 1, 1, 1];
        let slope = |i: i64| {
            (0..9)
                .map(|k| weights[k as usize] * x(i - k))
                .sum::<i32>()
                .abs()
        };
        // Two averages over 8 are one triangle over 15.
        let envelope: Vec<i32> = (0..counts.len() as i64)
            .map(|i| {
                (0..15)
                    .map(|k| (8 - (k - 7_i64).abs()) as i32 * slope(i - k))
                    .sum()
            })
            .collect();
        let reach = REFRACTORY_SAMPLES as usize;
        (reach..envelope.len() - reach)
            .filter(|&i| {
                let before = envelope[i - reach..i].iter().all(|&e| e < envelope[i]);
                before
                    && envelope[i + 1..=i + reach]
                        .iter()
                        .all(|&e| e <= envelope[i])
            })
            .map(|i| (i as u32, envelope[i]))
            .collect()
    }

    #[test]
    fn streaming_finds_what_the_definition_finds() {
        let (signal, _) = train(95.0, 0.3, 60.0);
        let mut filter = BandPass::new();
        let filtered: Vec<f32> = signal
            .iter()
            .enumerate()
            .map(|(i, x)| filter.push(x + 0.04 * (i as f32 * 1.1).sin() * (i as f32 * 0.013).cos()))
            .collect();
        let mut detector = Detector::new();
        let mut streamed: Vec<(u32, i32)> = Vec::new();
        for &x in &filtered {
            detector.push(x);
            if let Some(new) = detector.waiting.back() {
                let new = (new.middle + ENVELOPE_DELAY_SAMPLES, new.height);
                if streamed.last() != Some(&new) {
                    streamed.push(new);
                }
            }
        }
        let expected = candidates_by_definition(&filtered);
        assert!(expected.len() > 90, "{}", expected.len());
        for peak in &expected {
            assert!(streamed.contains(peak), "{peak:?}");
        }
        // Whatever else is streamed is a lower peak in the lee of a higher one that came before it.
        for (index, height) in streamed.iter().filter(|peak| !expected.contains(peak)) {
            let near =
                |p: &&(u32, i32)| p.0.abs_diff(*index) <= 2 * REFRACTORY_SAMPLES && p.1 > *height;
            assert!(streamed.iter().any(|p| near(&p)) || *index < 64, "{index}");
        }
    }

    #[test]
    fn wherever_the_signal_ends_its_last_beats_are_found() -> Result<(), TestCaseError> {
        let (signal, beats) = train(80.0, 0.3, 20.0);
        for len in (1000..signal.len()).step_by(37) {
            assert_found(&detect(&signal[..len]), &beats, 3.0, len, 1.5)?;
        }
        Ok(())
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Detector>() <= 768, "{}", size_of::<Detector>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_train_of_any_rate_is_found(bpm in 25.0..300.0, phase in 0.0..1.0) {
            let (signal, beats) = train(bpm, phase, 30.0);
            assert_found(&detect(&signal), &beats, 3.0, signal.len(), 1.5)?;
        }

        #[test]
        fn gain_offset_polarity_and_hum_change_nothing(
            bpm in 30.0..220.0,
            phase in 0.0..1.0,
            gain in 0.2..5.0_f64,
            inverted: bool,
            offset_mv in -50.0..50.0_f64,
            hum_mv in 0.0..0.1_f64,
            hum_hz in prop::sample::select(std::vec![50.0, 60.0]),
        ) {
            let (signal, beats) = train(bpm, phase, 30.0);
            let gain = if inverted { -gain } else { gain };
            let changed: Vec<f32> = signal
                .iter()
                .enumerate()
                .map(|(i, &x)| {
                    let hum = hum_mv * (std::f64::consts::TAU * hum_hz * i as f64 / RATE_HZ).sin();
                    (gain * (f64::from(x) + hum) + offset_mv) as f32
                })
                .collect();
            assert_found(&detect(&changed), &beats, 3.0, signal.len(), 2.0)?;
        }

        #[test]
        fn anything_at_all_is_survived(
            junk in prop::collection::vec(
                prop_oneof![
                    Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::MAX), Just(f32::MIN),
                    Just(0.0), -1000.0..1000.0_f32, any::<f32>(),
                ],
                1..1500,
            ),
            hold in 1..200_usize,
        ) {
            let (signal, beats) = train(75.0, 0.3, 20.0);
            // Each value is held for a while: full-scale steps and gaps of any length up to 1.5 s.
            let mut noise = junk.iter().flat_map(|&x| std::iter::repeat_n(x, hold)).take(6000).collect::<Vec<f32>>();
            let start = noise.len();
            noise.extend(&signal);
            let mut detector = Detector::new();
            for &sample in &noise {
                detector.push(sample);
            }
            // Through the filter, whose own memory of a full-scale step lasts seconds.
            let beats: Vec<f64> = beats.iter().map(|b| b + start as f64).collect();
            let settled_s = start as f64 / RATE_HZ + 6.0;
            assert_found(&detect(&noise), &beats, settled_s, noise.len(), 1.5)?;
        }
    }
}
