//! Noise stress test: recorded noise added to a clean record at a stated signal-to-noise ratio.
//!
//! The rule is that of WFDB's `nst`, which made the MIT-BIH Noise Stress Test Database (Moody, Muldrow and Mark 1984,
//! Comput. Cardiol. 11:381; `nst(1)` and `sigamp(1)` of the WFDB Applications Guide):
//!
//! - **Signal.** The QRS amplitude is the peak-to-peak excursion within 50 ms of an annotated beat that is not
//!   ventricular, as the mean over the first 300 such beats without the smallest and the largest twentieth. Signal
//!   power is that of a sine of this amplitude, its square over 8.
//! - **Noise.** Its RMS about the mean of each second, as the mean over the first 300 seconds, trimmed likewise.
//!   Noise power is the square of that. `sigamp` cuts each difference from the mean to whole ADC units, towards zero,
//!   which makes faint noise seem fainter; it is done here too, so that a given SNR means the same.
//! - **Where.** Noise is on from 5:00 to 7:00, off to 9:00, on to 11:00 and so on to the end. It runs through its
//!   record in step with the signal, on or off, and starts over where it ends. Whenever it is switched or starts
//!   over, an offset keeps the sum continuous.
//!
//! `nst` also rounds the scaled noise to ADC units of the record; here the sum keeps its fractions.

use super::bxb::{Event, Kind};
use heartlens_core::class::Class;

/// When noise sets in for the first time, in seconds.
pub const FROM_S: f64 = 300.0;
/// How long noise lasts each time, and how long the rest after it, in seconds.
pub const BLOCK_S: f64 = 120.0;

/// Beats, and seconds of noise, that amplitudes are measured over.
const MEASUREMENTS: usize = 300;
/// Half of the window around a beat, in seconds.
const QRS_HALF_S: f64 = 0.05;

/// Why noise cannot be scaled.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoiseError {
    /// No beat to measure the signal's amplitude at, or a flat signal around all of them.
    #[error(
        "the signal is flat around its {beats} beats that are not ventricular; its amplitude defines the SNR"
    )]
    NoSignal {
        /// Beats that were given.
        beats: usize,
    },
    /// The noise is shorter than a second, or flat.
    #[error("the noise has {samples} samples and no power; expected at least a second of it")]
    NoNoise {
        /// Samples that were given.
        samples: usize,
    },
    /// Signal and noise must count at the same rate to be added.
    #[error("the noise has {found} Hz, the signal {expected} Hz; resample it first")]
    Rate {
        /// Rate of the noise, in Hz.
        found: f64,
        /// Rate of the signal, in Hz.
        expected: f64,
    },
}

/// Positions of the beats that the QRS amplitude is measured at: all but ventricular and fused ones.
pub fn measured_beats(reference: &[Event]) -> Vec<u64> {
    reference
        .iter()
        .filter(|event| matches!(event.kind, Kind::Beat(Class::N | Class::S | Class::Q)))
        .map(|event| event.sample)
        .collect()
}

fn samples(seconds: f64, rate_hz: f64) -> usize {
    (seconds * rate_hz + 0.5) as usize
}

/// Mean without the smallest and the largest twentieth.
fn trimmed_mean(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 20;
    let kept = &values[cut..values.len() - cut];
    (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64)
}

/// QRS amplitude of a signal in millivolts, peak to peak, measured at the beats at `beats` (in samples, ascending).
///
/// Beats whose window reaches beyond the signal are left out, and so are samples that are NaN. `None` without beats.
pub fn qrs_amplitude_mv(signal_mv: &[f32], sample_rate_hz: f64, beats: &[u64]) -> Option<f64> {
    let half = samples(QRS_HALF_S, sample_rate_hz);
    let amplitudes = beats
        .iter()
        .filter_map(|&beat| {
            let beat = usize::try_from(beat).ok()?;
            let window = signal_mv.get(beat.checked_sub(half)?..=beat.checked_add(half)?)?;
            let lowest = window.iter().copied().fold(f32::NAN, f32::min);
            let highest = window.iter().copied().fold(f32::NAN, f32::max);
            Some(f64::from(highest) - f64::from(lowest)).filter(|amplitude| amplitude.is_finite())
        })
        .take(MEASUREMENTS)
        .collect();
    trimmed_mean(amplitudes)
}

/// RMS amplitude of noise in millivolts, about the mean of each second, the differences cut to whole ADC units of which
/// `counts_per_mv` make a millivolt. `None` if it is shorter than a second.
pub fn rms_mv(noise_mv: &[f32], sample_rate_hz: f64, counts_per_mv: f64) -> Option<f64> {
    let second = samples(1.0, sample_rate_hz);
    let amplitudes = noise_mv
        .chunks_exact(second.max(1))
        .take(MEASUREMENTS)
        .map(|chunk| {
            let counts = || chunk.iter().map(|&x| f64::from(x) * counts_per_mv);
            let len = chunk.len() as f64;
            let mean = counts().sum::<f64>() / len;
            let power = counts().map(|x| cut(x - mean).powi(2)).sum::<f64>() / len;
            power.sqrt() / counts_per_mv
        })
        .filter(|amplitude| amplitude.is_finite())
        .collect();
    trimmed_mean(amplitudes)
}

/// A difference in ADC units cut to a whole number, towards zero. What is whole but for the rounding of the
/// conversion to millivolts stays.
fn cut(counts: f64) -> f64 {
    (counts + 1e-4_f64.copysign(counts)).trunc()
}

/// What the noise must be multiplied by: with signal power `qrs_mv`^2 / 8 and noise power (gain `rms_mv`)^2, ten times
/// the decimal logarithm of their ratio is `snr_db`.
pub fn gain(snr_db: f64, qrs_mv: f64, rms_mv: f64) -> f64 {
    10.0_f64.powf(-snr_db / 20.0) * qrs_mv / 8.0_f64.sqrt() / rms_mv
}

/// Adds noise to a signal at `snr_db` decibels, by the rule of the [module](self).
///
/// # Shapes
/// `signal_mv`: any length, in mV at `sample_rate_hz`. `beats`: positions in it, ascending ([`measured_beats`]).
/// Result: as long as `signal_mv`, in mV.
///
/// # Errors
/// Where the signal has no amplitude, the noise is empty, or the rates differ.
pub fn add(
    signal_mv: &[f32],
    sample_rate_hz: f64,
    beats: &[u64],
    noise: &Noise,
    snr_db: f64,
) -> Result<Vec<f32>, NoiseError> {
    if noise.sample_rate_hz != sample_rate_hz {
        return Err(NoiseError::Rate {
            found: noise.sample_rate_hz,
            expected: sample_rate_hz,
        });
    }
    let qrs_mv = qrs_amplitude_mv(signal_mv, sample_rate_hz, beats)
        .filter(|&amplitude| amplitude > 0.0)
        .ok_or(NoiseError::NoSignal { beats: beats.len() })?;
    let added = noise.blocks(signal_mv.len(), gain(snr_db, qrs_mv, noise.rms_mv))?;
    Ok(signal_mv.iter().zip(added).map(|(s, n)| s + n).collect())
}

/// Recorded noise, measured and brought to the rate of the records that it is added to.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    samples_mv: Vec<f32>,
    sample_rate_hz: f64,
    rms_mv: f64,
}

impl Noise {
    /// Noise in millivolts at its own rate, recorded with `counts_per_mv` ADC units a millivolt (200 in `nstdb`).
    ///
    /// # Errors
    /// Where it is shorter than a second or flat.
    pub fn new(
        samples_mv: Vec<f32>,
        sample_rate_hz: f64,
        counts_per_mv: f64,
    ) -> Result<Self, NoiseError> {
        let rms_mv = rms_mv(&samples_mv, sample_rate_hz, counts_per_mv)
            .filter(|&rms| rms > 0.0)
            .ok_or(NoiseError::NoNoise {
                samples: samples_mv.len(),
            })?;
        Ok(Self {
            samples_mv,
            sample_rate_hz,
            rms_mv,
        })
    }

    /// The same noise at another rate, as `resample` makes it from the samples. Its amplitude stays the one measured
    /// at its own rate, as in `nst`.
    pub fn resampled<E>(
        &self,
        sample_rate_hz: f64,
        resample: impl FnOnce(&[f32]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            samples_mv: resample(&self.samples_mv)?,
            sample_rate_hz,
            rms_mv: self.rms_mv,
        })
    }

    /// What is added to a signal of `len` samples at the noise's rate, in mV: in noisy blocks `gain` times the noise,
    /// everywhere less an offset that keeps the sum continuous.
    ///
    /// # Errors
    /// Where there are no samples.
    pub fn blocks(&self, len: usize, gain: f64) -> Result<Vec<f32>, NoiseError> {
        if self.samples_mv.is_empty() {
            return Err(NoiseError::NoNoise { samples: 0 });
        }
        let mut offset = 0.0;
        let (mut gain_before, mut noise_before) = (0.0, 0.0);
        let blocks = (0..len).map(|i| {
            let at = i % self.samples_mv.len();
            let noise_now = f64::from(self.samples_mv[at]);
            if i > 0 && at == 0 {
                offset += gain_before * (noise_now - noise_before);
                noise_before = noise_now;
            }
            let gain_now = if is_noisy(i, self.sample_rate_hz) {
                gain
            } else {
                0.0
            };
            offset += (gain_now - gain_before) * noise_before;
            (gain_before, noise_before) = (gain_now, noise_now);
            (gain_now * noise_now - offset) as f32
        });
        Ok(blocks.collect())
    }

    /// Rate of the samples, in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.sample_rate_hz
    }

    /// RMS amplitude at the noise's own rate, in millivolts.
    pub fn rms_mv(&self) -> f64 {
        self.rms_mv
    }
}

/// Whether noise is on at a sample.
fn is_noisy(sample: usize, rate_hz: f64) -> bool {
    let (from, block) = (samples(FROM_S, rate_hz), samples(BLOCK_S, rate_hz));
    sample >= from && block > 0 && ((sample - from) / block).is_multiple_of(2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::mapping::Mapping;
    use crate::records::Record;

    const RATE: f64 = 100.0;
    /// ADC units a millivolt, so many that cutting does not show.
    const FINE: f64 = 1e7;

    /// Triangular QRS complexes, 1 mV from foot to peak, one a second over 12 minutes.
    fn ecg() -> (Vec<f32>, Vec<u64>) {
        let beats: Vec<u64> = (0..720).map(|i| 50 + 100 * i).collect();
        let mut signal = vec![0.0; 72_000];
        for &beat in &beats {
            for k in 0..5 {
                let height = 1.0 - k as f32 / 5.0;
                signal[beat as usize - k] = height;
                signal[beat as usize + k] = height;
            }
        }
        (signal, beats)
    }

    /// A sine of 7 Hz and amplitude 0.5 mV: its RMS is 0.5 over the root of 2.
    fn hum(len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| (0.5 * (std::f64::consts::TAU * 7.0 * i as f64 / RATE).sin()) as f32)
            .collect()
    }

    fn power(x: &[f64]) -> f64 {
        x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64
    }

    #[test]
    fn amplitudes_by_hand() {
        let (signal, beats) = ecg();
        let qrs = qrs_amplitude_mv(&signal, RATE, &beats).unwrap();
        assert!((qrs - 1.0).abs() < 1e-6, "{qrs}");
        let rms = rms_mv(&hum(5000), RATE, FINE).unwrap();
        assert!((rms - 0.5 / 2.0_f64.sqrt()).abs() < 1e-6, "{rms}");
    }

    /// sigamp.c: of 40 values the 2 smallest and 2 largest go; with 19 none does; past the 300th nothing counts.
    #[test]
    fn means_are_trimmed() {
        let mean = |values: std::ops::RangeInclusive<i32>| {
            trimmed_mean(values.map(|v| f64::from(v * v)).collect())
        };
        let squares =
            |range: std::ops::RangeInclusive<i32>| range.map(|v| f64::from(v * v)).sum::<f64>();
        assert_eq!(mean(1..=40).unwrap(), squares(3..=38) / 36.0);
        assert_eq!(mean(1..=19).unwrap(), squares(1..=19) / 19.0);
        assert_eq!(trimmed_mean(Vec::new()), None);
        let (mut signal, beats) = ecg();
        for x in &mut signal[30_000..] {
            *x *= 9.0;
        }
        let qrs = qrs_amplitude_mv(&signal, RATE, &beats).unwrap();
        assert!((qrs - 1.0).abs() < 1e-6, "{qrs}");
    }

    /// nst.c: SNR is signal power (amplitude squared over 8) over noise power, in decibels.
    #[test]
    fn the_ratio_is_what_was_asked_for() {
        let (signal, beats) = ecg();
        let noise = Noise::new(hum(72_000), RATE, FINE).unwrap();
        for snr_db in [24.0, 12.0, 6.0, 0.0, -6.0] {
            let noisy = add(&signal, RATE, &beats, &noise, snr_db).unwrap();
            let difference: Vec<f64> = noisy[30_000..42_000]
                .iter()
                .zip(&signal[30_000..])
                .map(|(a, b)| f64::from(a - b))
                .collect();
            let mean = difference.iter().sum::<f64>() / difference.len() as f64;
            let centred: Vec<f64> = difference.iter().map(|d| d - mean).collect();
            let found = 10.0 * (1.0 / 8.0 / power(&centred)).log10();
            assert!((found - snr_db).abs() < 0.01, "{found} dB, not {snr_db}");
        }
    }

    /// nst.c: gains toggle every two minutes from 5:00 on; clean blocks differ from the signal by a constant at most.
    #[test]
    fn blocks_alternate_from_five_minutes_on() {
        let (signal, beats) = ecg();
        let noise = Noise::new(hum(72_000), RATE, FINE).unwrap();
        let noisy = add(&signal, RATE, &beats, &noise, 0.0).unwrap();
        let difference: Vec<f32> = noisy.iter().zip(&signal).map(|(a, b)| a - b).collect();
        assert!(difference[..30_000].iter().all(|&d| d == 0.0));
        let spread = |range: std::ops::Range<usize>| {
            let block = &difference[range];
            block.iter().copied().fold(f32::MIN, f32::max)
                - block.iter().copied().fold(f32::MAX, f32::min)
        };
        assert!(spread(30_000..42_000) > 0.9);
        assert!(spread(42_000..54_000) < 1e-6);
        assert!(spread(54_000..66_000) > 0.9);
        assert!(spread(66_000..72_000) < 1e-6);
    }

    /// nst.c: offsets are adjusted "to avoid discontinuities", where noise is switched and where its record starts
    /// over.
    #[test]
    fn the_sum_has_no_steps() {
        let steep: Vec<f32> = (0..3470).map(|i| i as f32 / 3470.0).collect();
        let noise = Noise::new(steep, RATE, FINE).unwrap();
        let noisy = noise.blocks(72_000, 1.0).unwrap();
        let largest = noisy
            .windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max);
        assert!(largest < 2.0 / 3470.0, "{largest}");
        assert!(
            noisy[72_000 - 1] > 5.0,
            "it climbs with each pass: {}",
            noisy[71_999]
        );
    }

    #[test]
    fn noise_that_cannot_be_scaled_is_refused() {
        let (signal, beats) = ecg();
        let noise = Noise::new(hum(500), RATE, FINE).unwrap();
        let flat = vec![0.3; signal.len()];
        assert_eq!(
            add(&flat, RATE, &beats, &noise, 6.0),
            Err(NoiseError::NoSignal { beats: 720 })
        );
        assert_eq!(
            add(&signal, RATE, &[], &noise, 6.0),
            Err(NoiseError::NoSignal { beats: 0 })
        );
        assert_eq!(
            add(&signal, 360.0, &beats, &noise, 6.0),
            Err(NoiseError::Rate {
                found: RATE,
                expected: 360.0
            })
        );
        assert_eq!(
            Noise::new(vec![0.0; 500], RATE, FINE),
            Err(NoiseError::NoNoise { samples: 500 })
        );
        assert!(Noise::new(hum(99), RATE, FINE).is_err());
        let emptied = noise.resampled(RATE, |_| Ok::<_, ()>(Vec::new())).unwrap();
        assert_eq!(
            add(&signal, RATE, &beats, &emptied, 6.0),
            Err(NoiseError::NoNoise { samples: 0 })
        );
    }

    /// What sigamp measures, in ADC units (`reference/sigamp.py` says how the values came about), at 200 units per mV.
    #[test]
    fn amplitudes_of_records_are_sigamps() {
        let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
            println!("skipped: HEARTLENS_DATA is not set");
            return;
        };
        let open = |name: &str| Record::open(std::path::Path::new(&data).join(name)).unwrap();
        for line in include_str!("reference/sigamp.csv").lines() {
            let [name, lead, expected] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let (record, expected) = (open(name), expected.parse::<f64>().unwrap() / 200.0);
            let signal = record.read_lead(lead.parse().unwrap()).unwrap();
            let rate = record.sample_rate_hz();
            let found = if name.starts_with("nstdb") {
                rms_mv(&signal, rate, 200.0)
            } else {
                let events = Mapping::Aami.events(&record.annotations("atr").unwrap().list);
                qrs_amplitude_mv(&signal, rate, &measured_beats(&events))
            };
            let ratio = found.unwrap() / expected;
            let tolerance = if name.starts_with("nstdb") {
                0.01
            } else {
                1e-5
            };
            assert!(
                (ratio - 1.0).abs() < tolerance,
                "{name} lead {lead}: {ratio}"
            );
        }
    }
}
