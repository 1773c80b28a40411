//! Is this stretch of signal worth reading? Flat, clipped, lead off or noisy, around a beat and every second.
//!
//! The signal is summarised in blocks of 125 ms. A block's *activity* is the mean magnitude of the second difference that
//! [`crate::detector`] finds the QRS with. A stretch's noise is the median activity of its blocks: QRS complexes fill only
//! the few most active ones, and the slopes of a ventricular tachycardia are too slow to count, whatever their height.
//! It is measured by this patient's beats of the last minutes of readable signal, because in strong noise there is no
//! beat left to compare with.
//!
//! The limit was found by adding the records of the MIT-BIH Noise Stress Test Database (Moody, Muldrow and Mark, Computers
//! in Cardiology 1984) to records of `mitdb` and `svdb` by the rule of its program `nst`, two minutes in every four: it is
//! the lowest that leaves ventricular runs of the records as they are alone. Of those, fewer than 1 beat in 2000 is
//! beyond it; of the beats found in electrode motion about 1 in 8 at 0 dB and 5 in 8 at -6 dB, in muscle artefact 2 in 5
//! at 0 dB and 3 in 5 at -6 dB; of the false ones 3 in 4 in muscle artefact at 0 dB.

use crate::spec;
use crate::stats::sort;

/// Length of a block, in samples (125 ms).
const BLOCK_SAMPLES: usize = 16;
/// Blocks that are kept: enough to judge any beat whose window is still kept.
const BLOCKS: usize = spec::HISTORY_SAMPLES / BLOCK_SAMPLES;
/// Blocks of a second.
const SECOND_BLOCKS: usize = spec::SAMPLE_RATE_HZ as usize / BLOCK_SAMPLES;
/// Noise is judged over this many blocks either side of the beat's own (1 s).
const NOISE_REACH: u32 = 8;
/// Flat line, clipping and missing samples are judged over this many blocks either side of the beat's own.
const FAULT_REACH: u32 = 2;

/// Noise that counts as unreadable, in parts of the activity of the beats.
const NOISE_LIMIT: f32 = 0.65;
/// Noise in parts of the limit up to which the score is 1; from there it falls through [`READABLE`] at the limit.
const NOISE_UNNOTICED: f32 = 0.25;
/// Lowest score of a readable stretch.
const READABLE: f32 = 0.5;

/// A block whose range is smaller, in mV, is flat.
const FLAT_MV: f32 = 0.02;
/// Samples that differ less than this from the one before, in mV (one count of a 200 counts/mV converter), are held.
const HELD_MV: f32 = 0.005;
/// Held samples in a row that mean clipping, if the filtered signal stands above [`CLIPPED_MV`] meanwhile.
const CLIPPED_RUN: u32 = 4;
const CLIPPED_MV: f32 = 1.0;
/// Offset beyond which an electrode cannot be on the skin, in mV (IEC 60601-2-47 asks for 300 mV of tolerance).
const LEAD_OFF_MV: f32 = 300.0;
/// One clipped or missing sample in so many makes a stretch unreadable.
const FAULT_PART: u32 = 4;

/// Seconds of unreadable signal after which the beats' level is learned from it nevertheless.
const STUBBORN_SECONDS: u32 = 60;
/// Noise in parts of the limit from which on the beats' level is not learned.
const LEARNABLE: f32 = 0.7;

/// Counts a millivolt of the blocks' activities.
const COUNTS_PER_MV: f32 = 2000.0;

const _: () = {
    assert!(BLOCKS > 2 * NOISE_REACH as usize + 1 && BLOCKS.is_power_of_two());
    assert!(SECOND_BLOCKS * BLOCK_SAMPLES == spec::SAMPLE_RATE_HZ as usize);
    assert!(FAULT_REACH <= NOISE_REACH);
};

/// The quality of the signal around a beat, or of a second of it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct BeatQuality {
    /// From 0 (nothing can be read) to 1 (clean).
    pub score: f32,
    /// Mean magnitude of the filtered signal between the beats, in mV.
    pub noise_mv: f32,
    /// Nothing moves.
    pub flat: bool,
    /// Peaks are cut off. A short cut is no reason not to read the beat.
    pub clipped: bool,
    /// Samples are missing, or their offset is beyond what an electrode on the skin can have.
    pub lead_off: bool,
    /// The noise is so strong, measured by the beats, that a beat's class would be a guess.
    pub noisy: bool,
}

impl BeatQuality {
    /// Of a signal that nothing is known against.
    pub const CLEAN: Self = Self {
        score: 1.0,
        noise_mv: 0.0,
        flat: false,
        clipped: false,
        lead_off: false,
        noisy: false,
    };

    /// Whether a beat here can be classified; if not, it is of class Q ([`crate::class::Class::Q`]).
    pub fn is_readable(&self) -> bool {
        self.score >= READABLE
    }

    /// How far the score is above the limit of what is readable: from 0 (at the limit, or below) to 1 (clean). Leads that
    /// are fused have this weight each: a lead that is almost unreadable has almost no say.
    pub fn weight(&self) -> f32 {
        ((self.score - READABLE) / (1.0 - READABLE)).clamp(0.0, 1.0)
    }
}

/// A block of [`BLOCK_SAMPLES`].
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Mean magnitude of the second difference, in counts.
    activity: u16,
    /// Mean magnitude of the filtered signal, in counts.
    magnitude: u16,
    /// The raw signal's range is below [`FLAT_MV`].
    flat: bool,
    clipped: u8,
    missing: u8,
}

impl Block {
    const EMPTY: Self = Self {
        activity: 0,
        magnitude: 0,
        flat: false,
        clipped: 0,
        missing: 0,
    };
}

/// What is wrong with a range of blocks, noise aside.
#[derive(Debug, Clone, Copy)]
struct Faults {
    flat: bool,
    clipped: bool,
    much_clipped: bool,
    lead_off: bool,
}

/// What there is in a range of blocks besides the beats.
#[derive(Debug, Clone, Copy)]
struct BetweenBeats {
    /// Median activity, in counts.
    activity: f32,
    /// Lower third of the filtered signal's mean magnitude, in mV.
    magnitude_mv: f32,
}

/// What the samples of the running block add up to.
#[derive(Debug, Clone)]
struct Running {
    activity: f32,
    magnitude: f32,
    raw_low: f32,
    raw_high: f32,
    clipped: u8,
    missing: u8,
}

impl Running {
    const EMPTY: Self = Self {
        activity: 0.0,
        magnitude: 0.0,
        raw_low: f32::INFINITY,
        raw_high: f32::NEG_INFINITY,
        clipped: 0,
        missing: 0,
    };

    fn block(&self) -> Block {
        // The casts saturate.
        let mean = |sum: f32| (sum * (COUNTS_PER_MV / BLOCK_SAMPLES as f32)) as u16;
        Block {
            activity: mean(self.activity),
            magnitude: mean(self.magnitude),
            // Without a sample the range is negative.
            flat: (0.0..FLAT_MV).contains(&(self.raw_high - self.raw_low)),
            clipped: self.clipped,
            missing: self.missing,
        }
    }
}

/// Measures the quality of a signal as it streams by. Some 600 bytes.
///
/// # Example
/// ```
/// use heartlens_core::quality::Quality;
///
/// let mut quality = Quality::new();
/// for _ in 0..256 {
///     quality.push(f32::NAN, 0.0);
/// }
/// assert!(quality.at(100).lead_off && !quality.at(100).is_readable());
/// assert!(quality.second().lead_off);
/// ```
#[derive(Debug, Clone)]
pub struct Quality {
    samples: u32,
    running: Running,
    blocks: [Block; BLOCKS],
    /// Sums of three filtered samples; the second difference is made of them.
    boxes: [f32; 8],
    filtered_before: [f32; 2],
    raw_before: f32,
    held: u32,
    /// Activity of the beats' most active block, in counts.
    beat_activity: f32,
    seconds_learned: u32,
    seconds_unreadable: u32,
    second: BeatQuality,
}

impl Default for Quality {
    fn default() -> Self {
        Self::new()
    }
}

impl Quality {
    /// At the start of a signal.
    pub const fn new() -> Self {
        Self {
            samples: 0,
            running: Running::EMPTY,
            blocks: [Block::EMPTY; BLOCKS],
            boxes: [0.0; 8],
            filtered_before: [0.0; 2],
            raw_before: f32::NAN,
            held: 0,
            beat_activity: 0.0,
            seconds_learned: 0,
            seconds_unreadable: 0,
            second: BeatQuality::CLEAN,
        }
    }

    /// Takes the next sample, before and after [`crate::filter::BandPass`], in mV. A raw sample that is not finite is
    /// missing; a filtered one that is not finite counts as 0.
    pub fn push(&mut self, raw_mv: f32, filtered_mv: f32) {
        let filtered_mv = if filtered_mv.is_finite() {
            filtered_mv
        } else {
            0.0
        };
        let now = self.samples as usize;
        let [before, earlier] = self.filtered_before;
        self.filtered_before = [filtered_mv, before];
        let sum = filtered_mv + before + earlier;
        self.boxes[now % 8] = sum;
        let back = |samples: usize| self.boxes[now.wrapping_sub(samples) % 8];
        let second_difference = sum - 2.0 * back(3) + back(6);

        let running = &mut self.running;
        running.activity += second_difference.abs();
        running.magnitude += filtered_mv.abs();
        if raw_mv.abs() <= LEAD_OFF_MV {
            // `f32::min` is a function call on a Cortex-M4F.
            if raw_mv < running.raw_low {
                running.raw_low = raw_mv;
            }
            if raw_mv > running.raw_high {
                running.raw_high = raw_mv;
            }
        } else {
            // Not finite, too.
            running.missing += 1;
        }
        if (raw_mv - self.raw_before).abs() < HELD_MV {
            self.held = self.held.saturating_add(1);
        } else {
            self.held = 1;
        }
        self.raw_before = raw_mv;
        if self.held >= CLIPPED_RUN && filtered_mv.abs() > CLIPPED_MV {
            running.clipped += if self.held == CLIPPED_RUN {
                CLIPPED_RUN as u8
            } else {
                1
            };
        }

        self.samples = self.samples.wrapping_add(1);
        if self.samples.is_multiple_of(BLOCK_SAMPLES as u32) {
            let index = (now / BLOCK_SAMPLES) % BLOCKS;
            self.blocks[index] = self.running.block();
            self.running = Running::EMPTY;
            if self.samples.is_multiple_of(spec::SAMPLE_RATE_HZ) {
                self.end_second();
            }
        }
    }

    /// The quality around the R peak at `r_sample` (0 = the first sample pushed): faults within 250 ms of the peak's own
    /// block of 125 ms, noise within 1 s of it, as far as pushed by now and among the last
    /// 1024 samples. Ask when the detector reports the peak: by then the second after it is known.
    pub fn at(&self, r_sample: u32) -> BeatQuality {
        let block = r_sample / BLOCK_SAMPLES as u32;
        let around = |reach: u32| (block.saturating_sub(reach), block + reach);
        self.judge(
            self.faults(around(FAULT_REACH)),
            self.between_beats(around(NOISE_REACH)),
        )
    }

    /// The quality of the last full second; [`BeatQuality::CLEAN`] before the first.
    pub fn second(&self) -> BeatQuality {
        self.second
    }

    /// The kept blocks among those from `first` to `last`.
    fn kept(&self, (first, last): (u32, u32)) -> impl Iterator<Item = &Block> {
        let end = self.samples / BLOCK_SAMPLES as u32;
        let first = first.max(end.saturating_sub(BLOCKS as u32));
        let last = last.saturating_add(1).min(end);
        (first..last).map(|index| &self.blocks[index as usize % BLOCKS])
    }

    fn faults(&self, range: (u32, u32)) -> Faults {
        let (mut samples, mut clipped, mut missing) = (0, 0, 0);
        let mut flat = true;
        for block in self.kept(range) {
            samples += BLOCK_SAMPLES as u32;
            clipped += u32::from(block.clipped);
            missing += u32::from(block.missing);
            flat &= block.flat;
        }
        let many = |count: u32| samples > 0 && FAULT_PART * count >= samples;
        Faults {
            flat: flat && samples > 0,
            clipped: clipped > 0,
            much_clipped: many(clipped),
            lead_off: many(missing),
        }
    }

    fn between_beats(&self, range: (u32, u32)) -> BetweenBeats {
        const MOST: usize = 2 * NOISE_REACH as usize + 1;
        let (mut activities, mut magnitudes) = ([0; MOST], [0; MOST]);
        let mut len = 0;
        let places = activities.iter_mut().zip(&mut magnitudes);
        for (block, (activity, magnitude)) in self.kept(range).zip(places) {
            (*activity, *magnitude) = (block.activity, block.magnitude);
            len += 1;
        }
        sort(activities.get_mut(..len).unwrap_or_default());
        sort(magnitudes.get_mut(..len).unwrap_or_default());
        let at = |values: &[u16], place: usize| values.get(place).copied().unwrap_or(0);
        // Nothing was kept: all zero.
        BetweenBeats {
            activity: f32::from(at(&activities, len / 2)),
            magnitude_mv: f32::from(at(&magnitudes, len / 3)) / COUNTS_PER_MV,
        }
    }

    /// An activity in parts of the limit.
    fn noise(&self, activity: f32) -> f32 {
        // Beats of no height at all would make any noise unreadable: assume one count.
        let level = if self.beat_activity > 1.0 {
            self.beat_activity
        } else {
            1.0
        };
        activity / (NOISE_LIMIT * level)
    }

    fn judge(&self, faults: Faults, between: BetweenBeats) -> BeatQuality {
        let noise = self.noise(between.activity);
        let score = if faults.flat || faults.lead_off || faults.much_clipped {
            0.0
        } else {
            let fall = (1.0 - READABLE) / (1.0 - NOISE_UNNOTICED);
            (1.0 - (noise - NOISE_UNNOTICED) * fall).clamp(0.0, 1.0)
        };
        BeatQuality {
            score,
            noise_mv: between.magnitude_mv,
            flat: faults.flat,
            clipped: faults.clipped,
            lead_off: faults.lead_off,
            noisy: noise > 1.0,
        }
    }

    fn end_second(&mut self) {
        let end = self.samples / BLOCK_SAMPLES as u32;
        let since = |seconds: usize| {
            let first = end.saturating_sub((seconds * SECOND_BLOCKS) as u32);
            (first, end.saturating_sub(1))
        };
        let faults = self.faults(since(1));
        let between = self.between_beats(since(2));
        if !faults.flat && !faults.lead_off {
            let most = self.kept(since(2)).map(|block| block.activity).max();
            self.learn(f32::from(most.unwrap_or(0)), between.activity);
        }
        self.second = self.judge(faults, between);
    }

    /// Follows the beats' activity, measured as that of the most active block of two seconds, by a tracker whose step
    /// down is twice its step up: it settles at the lower third. Only readable signal is learned from, unless no other
    /// comes for long.
    fn learn(&mut self, most: f32, between_beats: f32) {
        if self.seconds_learned < 3 {
            let weight = [1.0, 0.5, 1.0 / 3.0][self.seconds_learned as usize];
            self.beat_activity += weight * (most - self.beat_activity);
            self.seconds_learned += 1;
            return;
        }
        if self.noise(between_beats) < LEARNABLE {
            self.seconds_unreadable = 0;
        } else if self.seconds_unreadable < STUBBORN_SECONDS {
            self.seconds_unreadable += 1;
            return;
        }
        self.beat_activity *= if most > self.beat_activity {
            1.0 + 1.0 / 64.0
        } else {
            1.0 - 1.0 / 32.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::{Detector, RPeak, tests::train};
    use crate::filter::BandPass;
    use proptest::prelude::*;
    use std::vec::Vec;

    const RATE: usize = spec::SAMPLE_RATE_HZ as usize;

    /// Every beat found in a raw signal, with its quality when it was reported, and the quality of every second.
    fn measure(raw: &[f32]) -> (Vec<(RPeak, BeatQuality)>, Vec<BeatQuality>) {
        let (mut filter, mut detector, mut quality) =
            (BandPass::new(), Detector::new(), Quality::new());
        let (mut beats, mut seconds) = (Vec::new(), Vec::new());
        for (i, &sample) in raw.iter().enumerate() {
            let filtered = filter.push(sample);
            quality.push(sample, filtered);
            if let Some(peak) = detector.push(filtered) {
                beats.push((peak, quality.at(peak.sample)));
            }
            if (i + 1) % RATE == 0 {
                seconds.push(quality.second());
            }
        }
        (beats, seconds)
    }

    /// White noise of unit variance (a sum of twelve uniforms), the same every time.
    fn white(seed: u32) -> impl Iterator<Item = f32> {
        let mut state = seed;
        let mut uniform = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        std::iter::repeat_with(move || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
    }

    #[test]
    fn clean_beats_of_any_rate_are_readable() {
        for bpm in [30.0, 60.0, 100.0, 150.0, 200.0] {
            let (beats, seconds) = measure(&train(bpm, 0.4, 60.0).0);
            assert!(beats.len() as f64 > 0.9 * bpm - 3.0);
            for (peak, quality) in beats {
                assert!(quality.is_readable(), "{bpm} bpm, {peak:?}: {quality:?}");
                assert!(!quality.flat && !quality.clipped && !quality.lead_off && !quality.noisy);
                assert!(
                    bpm > 120.0 || quality.score > 0.95,
                    "{bpm} bpm: {quality:?}"
                );
            }
            assert!(seconds.iter().all(BeatQuality::is_readable));
        }
    }

    #[test]
    fn noise_lowers_the_score_until_nothing_is_readable() {
        let (clean, _) = train(72.0, 0.4, 60.0);
        let mut before = f32::INFINITY;
        for (noise_mv, readable) in [
            (0.02, 1.0..=1.0),
            (0.05, 1.0..=1.0),
            (0.5, 0.0..=0.1),
            (1.0, 0.0..=0.0),
        ] {
            // Half a minute clean, then noise for ten seconds.
            let span = 30 * RATE..40 * RATE;
            let mut raw = clean.clone();
            for (sample, noise) in raw[span.clone()].iter_mut().zip(white(7)) {
                *sample += noise_mv * noise;
            }
            let (beats, seconds) = measure(&raw);
            let inside: Vec<BeatQuality> = beats
                .iter()
                .filter(|(peak, _)| (32 * RATE..38 * RATE).contains(&(peak.sample as usize)))
                .map(|&(_, quality)| quality)
                .collect();
            assert!(inside.len() >= 5);
            let share =
                inside.iter().filter(|q| q.is_readable()).count() as f32 / inside.len() as f32;
            assert!(readable.contains(&share), "{noise_mv} mV: {share} readable");
            assert!(inside.iter().all(|q| q.noisy != q.is_readable()));
            let score = inside.iter().map(|q| q.score).sum::<f32>() / inside.len() as f32;
            assert!(score <= before);
            before = score;
            // The noise level is that of the noise where it hides the signal: of a normal distribution, the mean
            // magnitude is sqrt(2 / pi), and the filter passes 5/8 of the power.
            let level = inside.iter().map(|q| q.noise_mv).sum::<f32>() / inside.len() as f32;
            if noise_mv >= 0.5 {
                let expected = noise_mv * (2.0 / std::f32::consts::PI * 0.625).sqrt();
                assert!(
                    (0.6 * expected..1.2 * expected).contains(&level),
                    "{level} of {expected} mV"
                );
            }
            // Once it is over, the beats can be read again.
            let after = beats
                .iter()
                .filter(|(peak, _)| peak.sample as usize > 42 * RATE);
            assert!(after.clone().count() >= 18 && after.clone().all(|(_, q)| q.is_readable()));
            assert!(seconds[43..].iter().all(BeatQuality::is_readable));
            assert_eq!(seconds[34].is_readable(), share > 0.5);
        }
    }

    #[test]
    fn a_ventricular_tachycardia_is_no_noise() {
        let (mut raw, _) = train(70.0, 0.4, 60.0);
        // 10 s of complexes at 180 a minute, twice as tall and 120 ms wide at half their height.
        for (i, sample) in raw[30 * RATE..40 * RATE].iter_mut().enumerate() {
            let turns = i as f32 / RATE as f32 * 3.0;
            *sample = 2.0 * (0.5 + 0.5 * (std::f32::consts::TAU * turns).cos()).powi(3);
        }
        let (beats, seconds) = measure(&raw);
        let inside = beats
            .iter()
            .filter(|(peak, _)| (31 * RATE..39 * RATE).contains(&(peak.sample as usize)));
        assert!(inside.clone().count() >= 20, "{}", inside.count());
        assert!(inside.clone().all(|(_, quality)| quality.is_readable()));
        assert!(seconds.iter().all(BeatQuality::is_readable));
    }

    #[test]
    fn a_flat_line_is_flat_and_a_missing_one_is_off() {
        let (clean, _) = train(70.0, 0.4, 30.0);
        for (value, flat, lead_off) in [
            (0.3, true, false),
            (f32::NAN, false, true),
            (-500.0, false, true),
        ] {
            let mut raw = clean.clone();
            raw[10 * RATE..15 * RATE].fill(value);
            let (beats, seconds) = measure(&raw);
            for second in &seconds[11..15] {
                assert!(!second.is_readable() && second.score == 0.0);
                assert_eq!((second.flat, second.lead_off), (flat, lead_off), "{value}");
            }
            assert!(
                seconds[..10]
                    .iter()
                    .chain(&seconds[20..])
                    .all(BeatQuality::is_readable)
            );
            let readable = |from: usize, to: usize| {
                let inside = beats.iter().filter(move |(peak, _)| {
                    (from * RATE..to * RATE).contains(&(peak.sample as usize))
                });
                inside.filter(|(_, quality)| quality.is_readable()).count()
            };
            assert!(
                readable(0, 10) >= 10 && readable(11, 14) == 0 && readable(20, 30) >= 8,
                "{value}"
            );
        }
    }

    #[test]
    fn clipping_is_noticed_and_forgiven_if_short() {
        let (clean, _) = train(70.0, 0.4, 30.0);
        let large: Vec<f32> = clean.iter().map(|x| 8.0 * x).collect();
        let measured = |limit: f32| {
            let raw: Vec<f32> = large.iter().map(|x| x.clamp(-limit, limit)).collect();
            measure(&raw).0
        };
        assert!(
            measured(10.0)
                .iter()
                .all(|(_, q)| !q.clipped && q.is_readable())
        );
        let short = measured(2.0);
        assert!(short.len() > 25 && short.iter().all(|(_, q)| q.is_readable()));
        assert!(short.iter().filter(|(_, q)| q.clipped).count() > short.len() / 4);
        // A square wave between the rails: half of the time nothing but the rail is seen.
        let rails: Vec<f32> = (0..30 * RATE)
            .map(|i| if i / 40 % 2 == 0 { 5.0 } else { -5.0 })
            .collect();
        let (beats, seconds) = measure(&rails);
        assert!(beats.iter().all(|(_, q)| q.clipped && !q.is_readable()));
        assert!(
            seconds
                .iter()
                .skip(1)
                .all(|q| q.clipped && !q.is_readable())
        );
    }

    #[test]
    fn another_gain_is_got_used_to() {
        let (clean, _) = train(70.0, 0.4, 240.0);
        let raw: Vec<f32> = clean
            .iter()
            .zip(white(3))
            .enumerate()
            .map(|(i, (x, noise))| (x + 0.03 * noise) * if i < 60 * RATE { 0.3 } else { 3.0 })
            .collect();
        let (_, seconds) = measure(&raw);
        assert!(seconds[..58].iter().all(BeatQuality::is_readable));
        assert!(
            seconds[65..].iter().filter(|q| !q.is_readable()).count()
                <= STUBBORN_SECONDS as usize + 60
        );
        assert!(seconds[200..].iter().all(BeatQuality::is_readable));
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Quality>() <= 640, "{}", size_of::<Quality>());
    }

    proptest! {
        #[test]
        fn any_signal_has_a_score(
            samples in prop::collection::vec((any::<f32>(), any::<f32>()), 1..1500),
            at: u32,
        ) {
            let mut quality = Quality::new();
            for &(raw, filtered) in &samples {
                quality.push(raw, filtered);
            }
            for result in [quality.second(), quality.at(at), quality.at(samples.len() as u32 / 2)] {
                prop_assert!((0.0..=1.0).contains(&result.score));
                prop_assert!((0.0..=1.0).contains(&result.weight()));
                prop_assert!(result.is_readable() || result.weight() == 0.0);
                prop_assert!(result.noise_mv >= 0.0 && result.noise_mv.is_finite());
            }
        }
    }
}
