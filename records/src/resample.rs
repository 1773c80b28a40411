//! A signal of any rate as a signal of another.
//!
//! The work is `rubato`'s: a linear-phase filter applied by FFT, at the rates' exact ratio. Around it: no net delay,
//! edges, gaps. It computes in f64, so that what different instruction sets round differently is lost again when the
//! result is rounded to f32.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};
use std::collections::VecDeque;
use std::ops::Range;

/// The highest rate that is accepted, in Hz.
pub const MAX_RATE_HZ: f64 = 100_000.0;

/// The anti-aliasing filter is at least this long, in samples of the lower one of the two rates (2 s of 128 Hz): flat up
/// to 0.89 of that rate's Nyquist frequency (57 Hz), -6 dB at 0.947 (60.6 Hz). It is longer where the ratio needs it.
const FILTER_SAMPLES: u64 = 256;

/// The longest filter, in samples of the input. It bounds memory, and the ratios that are accepted.
const MAX_FILTER_SAMPLES: u64 = 1 << 20;

/// The largest term of a rate as a fraction.
const MAX_TERM: u64 = 1 << 27;

/// A signal that cannot be brought to another rate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResampleError {
    /// A rate is out of range.
    #[error("found a sample rate of {found} Hz, expected one above 0, at most {MAX_RATE_HZ} Hz")]
    Rate {
        /// The rate, in Hz.
        found: f64,
    },
    /// The rates' ratio is no fraction of small numbers.
    #[error(
        "found a sample rate of {found} Hz, whose ratio to {to_hz} Hz is no fraction of small numbers; expected a rate \
         such as 360, 250.5 or 1000/3 Hz"
    )]
    Ratio {
        /// The signal's rate, in Hz.
        found: f64,
        /// The rate that it was to be brought to, in Hz.
        to_hz: f64,
    },
    /// The library refuses.
    #[error("the resampler failed: {0}")]
    Library(Box<dyn std::error::Error + Send + Sync>),
}

fn library(error: impl std::error::Error + Send + Sync + 'static) -> ResampleError {
    ResampleError::Library(Box::new(error))
}

/// Brings a signal from one rate to another, without delay: output sample k lies at k / `to_hz` s, as input sample k
/// lies at k / `from_hz` s. The whole signal at once; [`Resampler`] does the same in blocks.
///
/// # Shapes
/// `signal`: `[n]`, any n; the result: `[ceil(n * to_hz / from_hz)]`, every k / `to_hz` s below n / `from_hz` s.
///
/// # Errors
/// As [`Resampler::new`].
pub fn resample(signal: &[f32], from_hz: f64, to_hz: f64) -> Result<Vec<f32>, ResampleError> {
    let mut resampler = Resampler::new(from_hz, to_hz)?;
    let mut result = Vec::with_capacity(resampler.output_len(signal.len()));
    resampler.push(signal, &mut result)?;
    resampler.finish(&mut result)?;
    Ok(result)
}

/// Brings a signal from one rate to another as it streams by. The result is the same to the bit, whatever blocks the
/// signal comes in.
///
/// Before the first and after the last sample the signal is taken to stay as it is there. Samples that are not finite
/// are gaps: the filter sees a straight line in their place, and the result is NaN there. A signal that has the rate
/// already comes back bit for bit. The filter is as long as the terms of the rates' ratio at least: from 199.998 to
/// 128 Hz it lasts 1000 s, and the signal's sudden end is felt everywhere, at some 0.1 % of the signal's size.
///
/// # Example
/// ```
/// use heartlens_records::resample::Resampler;
///
/// let mut resampler = Resampler::new(360.0, 128.0)?;
/// let mut result = Vec::new();
/// for block in [[0.5; 100], [0.7; 100]] {
///     resampler.push(&block, &mut result)?;
/// }
/// resampler.finish(&mut result)?;
/// assert_eq!(result.len(), 72); // 200 samples at 360 Hz last as long as 71.1 at 128 Hz.
/// # Ok::<(), heartlens_records::resample::ResampleError>(())
/// ```
pub struct Resampler {
    ratio: Ratio,
    /// `None` where both rates are the same.
    filter: Option<Filter>,
    gaps: Gaps,
    /// Samples taken and given so far.
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A resampler at the start of a signal of `from_hz` Hz, which becomes one of `to_hz` Hz.
    ///
    /// # Errors
    /// [`ResampleError::Rate`] where a rate is not above 0 or above [`MAX_RATE_HZ`], [`ResampleError::Ratio`] where
    /// their ratio has no small terms.
    pub fn new(from_hz: f64, to_hz: f64) -> Result<Self, ResampleError> {
        let ratio = Ratio::of(from_hz, to_hz)?;
        let filter = if from_hz == to_hz {
            None
        } else {
            let too_long = ResampleError::Ratio {
                found: from_hz,
                to_hz,
            };
            Some(Filter::new(ratio)?.ok_or(too_long)?)
        };
        Ok(Self {
            ratio,
            filter,
            gaps: Gaps::default(),
            taken: 0,
            given: 0,
        })
    }

    /// Samples that a signal of `len` samples becomes.
    pub fn output_len(&self, len: usize) -> usize {
        usize::try_from(self.ratio.output_len(len as u64)).unwrap_or(usize::MAX)
    }

    /// Takes the signal's next samples, any number of them, and appends those of the result that are known by then.
    ///
    /// # Errors
    /// [`ResampleError::Library`].
    pub fn push(&mut self, signal_mv: &[f32], result: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(filter) = &mut self.filter else {
            result.extend_from_slice(signal_mv);
            return Ok(());
        };
        let start = result.len();
        for sample in signal_mv {
            if sample.is_finite() {
                self.gaps
                    .close(self.taken, *sample, |filled| filter.push(filled, result))?;
                filter.push(*sample, result)?;
            } else {
                self.gaps.open(self.taken);
            }
            self.taken += 1;
        }
        self.restore_gaps(&mut result[start..]);
        Ok(())
    }

    /// Ends the signal, and appends the rest of the result.
    ///
    /// # Errors
    /// [`ResampleError::Library`].
    pub fn finish(mut self, result: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(filter) = &mut self.filter else {
            return Ok(());
        };
        let rest = (self.ratio.output_len(self.taken) - self.given) as usize;
        let start = result.len();
        match self.gaps.last {
            // Nothing but gaps, or nothing at all.
            None => result.resize(start + rest, f32::NAN),
            Some(last) => {
                while result.len() - start < rest {
                    filter.push(last, result)?;
                }
                result.truncate(start + rest);
            }
        }
        self.restore_gaps(&mut result[start..]);
        Ok(())
    }

    /// Makes every sample NaN that lies on, or next to, one of the signal that is not finite. `result` is what follows
    /// what has been given so far.
    fn restore_gaps(&mut self, result: &mut [f32]) {
        if self.gaps.ranges.is_empty() {
            self.given += result.len() as u64;
            return;
        }
        for sample in result {
            let position = u128::from(self.given) * u128::from(self.ratio.input);
            let output = u128::from(self.ratio.output);
            let before = (position / output) as u64;
            let after = position.div_ceil(output) as u64;
            if self.gaps.meets(before, after) {
                *sample = f32::NAN;
            }
            self.given += 1;
        }
    }
}

/// The library's resampler, fed sample by sample, its delay taken off.
struct Filter {
    library: Fft<f64>,
    /// A block that fills up.
    input: Vec<f64>,
    block_in: usize,
    output: Vec<f64>,
    /// Samples of the output that are yet to be left out: the filter's delay.
    skip: usize,
}

impl Filter {
    /// `None` where the filter would be too long.
    fn new(ratio: Ratio) -> Result<Option<Self>, ResampleError> {
        // Blocks of an even number of samples on both sides, so that the filter's delay, half a block, is whole samples.
        let blocks = 2 * FILTER_SAMPLES.div_ceil(2 * ratio.input.min(ratio.output));
        let (block_in, block_out) = (blocks * ratio.input, blocks * ratio.output);
        if block_in.max(block_out / 2) > MAX_FILTER_SAMPLES {
            return Ok(None);
        }
        let (block_in, block_out) = (block_in as usize, block_out as usize);
        let library = Fft::<f64>::new_custom(
            ratio.input as usize,
            ratio.output as usize,
            block_in,
            1,
            1,
            rubato::WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(library)?;
        Ok(Some(Self {
            // One block of the first sample goes ahead, half of which the filter needs.
            skip: block_out + library.output_delay(),
            library,
            input: Vec::with_capacity(block_in),
            block_in,
            output: vec![0.0; block_out],
        }))
    }

    fn push(&mut self, sample: f32, result: &mut Vec<f32>) -> Result<(), ResampleError> {
        if self.skip > self.output.len() {
            self.input.resize(self.block_in, sample.into());
            self.process(result)?;
        }
        self.input.push(sample.into());
        if self.input.len() == self.block_in {
            self.process(result)?;
        }
        Ok(())
    }

    fn process(&mut self, result: &mut Vec<f32>) -> Result<(), ResampleError> {
        let (block_in, block_out) = (self.block_in, self.output.len());
        let buffer_in = InterleavedSlice::new(&self.input, 1, block_in).map_err(library)?;
        let mut buffer_out =
            InterleavedSlice::new_mut(&mut self.output, 1, block_out).map_err(library)?;
        self.library
            .process_into_buffer(&buffer_in, &mut buffer_out, None)
            .map_err(library)?;
        let skipped = self.skip.min(block_out);
        self.skip -= skipped;
        result.extend(self.output[skipped..].iter().map(|&v| v as f32));
        self.input.clear();
        Ok(())
    }
}

/// Where the signal has no samples.
#[derive(Default)]
struct Gaps {
    /// Those that the result has not passed yet, ascending; the last one may still be open.
    ranges: VecDeque<Range<u64>>,
    is_open: bool,
    /// The last finite sample.
    last: Option<f32>,
}

impl Gaps {
    /// Sample `at` is missing.
    fn open(&mut self, at: u64) {
        match self.ranges.back_mut() {
            Some(range) if self.is_open => range.end = at + 1,
            _ => self.ranges.push_back(at..at + 1),
        }
        self.is_open = true;
    }

    /// Sample `at` is `sample`, not missing. Gives what takes the place of the gap before it, if there was one, to
    /// `fill`: a straight line, or `sample` where the signal has not begun.
    fn close(
        &mut self,
        at: u64,
        sample: f32,
        mut fill: impl FnMut(f32) -> Result<(), ResampleError>,
    ) -> Result<(), ResampleError> {
        if self.is_open
            && let Some(range) = self.ranges.back()
        {
            self.is_open = false;
            let missing = at - range.start;
            match self.last {
                None => (0..missing).try_for_each(|_| fill(sample))?,
                Some(last) => {
                    let step = (sample - last) / (missing + 1) as f32;
                    (1..=missing).try_for_each(|n| fill(last + step * n as f32))?;
                }
            }
        }
        self.last = Some(sample);
        Ok(())
    }

    /// Whether sample `before` or `after`, the same one or neighbours, is missing. The next question is not about
    /// earlier ones.
    fn meets(&mut self, before: u64, after: u64) -> bool {
        while let Some(range) = self.ranges.front() {
            if range.end > before {
                return range.start <= after;
            }
            if self.is_open && self.ranges.len() == 1 {
                return false;
            }
            self.ranges.pop_front();
        }
        false
    }
}

/// The sample of a signal of `to_hz` Hz next to sample `sample` of one of `from_hz` Hz: halves go up, and what is beyond
/// `u64` becomes its maximum.
pub fn position(sample: u64, from_hz: f64, to_hz: f64) -> u64 {
    (sample as f64 * to_hz / from_hz + 0.5).floor() as u64
}

/// `input` samples of the one signal last as long as `output` of the other; in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ratio {
    input: u64,
    output: u64,
}

impl Ratio {
    fn of(from_hz: f64, to_hz: f64) -> Result<Self, ResampleError> {
        for found in [from_hz, to_hz] {
            if !(found > 0.0 && found <= MAX_RATE_HZ) {
                return Err(ResampleError::Rate { found });
            }
        }
        let no_fraction = || ResampleError::Ratio {
            found: from_hz,
            to_hz,
        };
        let from = fraction(from_hz).ok_or_else(no_fraction)?;
        let to = fraction(to_hz).ok_or_else(no_fraction)?;
        let (input, output) = (from.0 * to.1, from.1 * to.0);
        let divisor = greatest_common_divisor(input, output);
        Ok(Self {
            input: input / divisor,
            output: output / divisor,
        })
    }

    /// Samples of the result that lie before the end of `len` samples.
    fn output_len(self, len: u64) -> u64 {
        let len = u128::from(len) * u128::from(self.output);
        u64::try_from(len.div_ceil(self.input.into())).unwrap_or(u64::MAX)
    }
}

/// A rate above 0 as a fraction that says it to 1e-9, which is 0.1 ms in a day; `None` where its terms are too large.
fn fraction(hz: f64) -> Option<(u64, u64)> {
    // The rate's continued fraction.
    let (mut before, mut now) = ((1, 0), (hz.floor() as u64, 1));
    let mut rest = hz.fract();
    while (now.0 as f64 / now.1 as f64 - hz).abs() > 1e-9 * hz {
        let term = rest.recip();
        rest = term.fract();
        let next = |now: u64, before: u64| {
            (term as u64)
                .checked_mul(now)
                .and_then(|product| product.checked_add(before))
                .filter(|&terms| terms <= MAX_TERM)
        };
        (before, now) = (now, (next(now.0, before.0)?, next(now.1, before.1)?));
    }
    Some(now)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    /// What the classifier reads: 2 s of it are the shortest filter.
    const TO_HZ: f64 = 128.0;

    fn at_128_hz(signal: &[f32], from_hz: f64) -> Result<Vec<f32>, ResampleError> {
        resample(signal, from_hz, TO_HZ)
    }

    fn sampled(hz: f64, seconds: f64, signal: impl Fn(f64) -> f64) -> Vec<f32> {
        (0..(hz * seconds) as usize)
            .map(|k| signal(k as f64 / hz) as f32)
            .collect()
    }

    /// The largest difference from `signal` over the samples from `skip_s` to as long before the end.
    fn error(resampled: &[f32], skip_s: f64, signal: impl Fn(f64) -> f64) -> f64 {
        let skip = (skip_s * TO_HZ) as usize;
        (skip..resampled.len() - skip)
            .map(|k| (f64::from(resampled[k]) - signal(k as f64 / TO_HZ)).abs())
            .fold(0.0, f64::max)
    }

    const RATES: [f64; 10] = [
        360.0,
        250.0,
        300.0,
        500.0,
        1000.0,
        100.0,
        257.0,
        250.5,
        199.998,
        1000.0 / 3.0,
    ];

    #[test]
    fn sines_of_the_pass_band_come_through_without_delay() {
        for from in RATES {
            let edge = 0.88 * from.min(TO_HZ) / 2.0;
            for (hz, phase) in [(0.5, 0.3), (7.0, 1.1), (25.0, 2.0), (edge, 0.7)] {
                let sine = |t: f64| 1.5 * (TAU * hz * t + phase).sin();
                let resampled = at_128_hz(&sampled(from, 20.0, sine), from).unwrap();
                let error = error(&resampled, 2.0, sine);
                // The input's own rounding to f32 is worth some 1e-7. The ratio of 199.998 Hz needs so long a filter
                // (1000 s) that it feels the sine's sudden ends everywhere.
                let allowed = if from == 199.998 { 3e-3 } else { 1e-6 };
                assert!(error < allowed, "{hz} Hz at {from} Hz: {error}");
            }
        }
    }

    #[test]
    fn what_would_fold_back_is_taken_out() {
        for from in [250.0, 360.0, 1000.0] {
            for hz in [68.0, 90.0, 110.0] {
                let high = |t: f64| (TAU * hz * t).sin();
                let resampled = at_128_hz(&sampled(from, 20.0, high), from).unwrap();
                let error = error(&resampled, 2.0, |_| 0.0);
                assert!(error < 1e-6, "{hz} Hz at {from} Hz: {error}");
            }
        }
    }

    /// An impulse of area 1/128 s becomes the filter's impulse response: near to a sinc of the filter's corner, and
    /// largest at the impulse itself.
    #[test]
    fn an_impulse_stays_where_it_is() {
        let from = 360.0;
        for second in [5_usize, 6] {
            let mut signal = vec![0.0; 360 * 10];
            signal[second * 360] = (from / TO_HZ) as f32;
            let resampled = at_128_hz(&signal, from).unwrap();
            let corner = 60.6 / 64.0;
            for k in -8_i32..=8 {
                let x = std::f64::consts::PI * corner * f64::from(k);
                let sinc = corner * if k == 0 { 1.0 } else { x.sin() / x };
                let found = f64::from(resampled[(second as i32 * 128 + k) as usize]);
                assert!((found - sinc).abs() < 5e-3, "{k}: {found} {sinc}");
                let mirrored = f64::from(resampled[(second as i32 * 128 - k) as usize]);
                assert!((found - mirrored).abs() < 1e-7, "{k}");
            }
            let total: f64 = resampled.iter().copied().map(f64::from).sum();
            assert!((total - 1.0).abs() < 1e-5, "{total}");
        }
    }

    #[test]
    fn an_offset_stays_and_the_edges_do_not_ring() {
        for from in RATES {
            for len in [1, 2, 100, 5000] {
                let resampled = at_128_hz(&vec![-3.25; len], from).unwrap();
                assert_eq!(
                    resampled.len(),
                    Ratio::of(from, TO_HZ).unwrap().output_len(len as u64) as usize
                );
                for value in resampled {
                    assert!((value + 3.25).abs() < 1e-6, "{value} at {from} Hz");
                }
            }
        }
        // A slope at the edge is rounded off, but by no more than its own course over the filter's main lobe.
        let ramp = |t: f64| 1.0 + 0.5 * t;
        let resampled = at_128_hz(&sampled(360.0, 10.0, ramp), 360.0).unwrap();
        assert!(error(&resampled, 0.0, ramp) < 0.5 * 0.02);
    }

    /// `reference/make_resampled.py`.
    #[test]
    fn agrees_with_scipy() {
        let signal = |t: f64| {
            0.3 + 0.2 * (TAU * 0.7 * t).sin() + 1.1 * (-((t - 3.01) / 0.025).powi(2)).exp()
                - 0.3 * (-((t - 3.05) / 0.03).powi(2)).exp()
        };
        let mut lines = 0;
        for line in include_str!("reference/resampled.csv").lines() {
            let numbers: Vec<f64> = line.split(',').map(|n| n.parse().unwrap()).collect();
            let (from, first) = (numbers[0], numbers[1] as usize);
            let resampled = at_128_hz(&sampled(from, 6.0, signal), from).unwrap();
            assert_eq!(resampled.len(), 6 * 128);
            for (k, expected) in numbers[2..].iter().enumerate() {
                let found = f64::from(resampled[first + k]);
                assert!(
                    (found - expected).abs() < 2e-6,
                    "{from} Hz, sample {}: {found}, SciPy {expected}",
                    first + k
                );
            }
            lines += 1;
        }
        assert_eq!(lines, 6);
    }

    #[test]
    fn the_same_rate_passes_bit_for_bit() {
        let signal = [0.1, -0.0, f32::NAN, f32::MAX, f32::INFINITY, 1e-40];
        let bits = |s: &[f32]| s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&at_128_hz(&signal, 128.0).unwrap()), bits(&signal));
    }

    /// The whole signal at once, step by step as [`Resampler`] describes it: gaps filled in the whole signal first, then
    /// block after block through the library.
    fn at_once(signal: &[f32], from_hz: f64) -> Vec<f32> {
        let ratio = Ratio::of(from_hz, TO_HZ).unwrap();
        let len = ratio.output_len(signal.len() as u64) as usize;
        let mut filled = signal.to_vec();
        let finite: Vec<usize> = (0..signal.len())
            .filter(|&i| signal[i].is_finite())
            .collect();
        let (Some(&first), Some(&last)) = (finite.first(), finite.last()) else {
            return vec![f32::NAN; len];
        };
        filled[..first].fill(signal[first]);
        filled[last..].fill(signal[last]);
        for ends in finite.windows(2) {
            let (a, b) = (ends[0], ends[1]);
            let step = (signal[b] - signal[a]) / (b - a) as f32;
            for (i, value) in filled[..b].iter_mut().enumerate().skip(a + 1) {
                *value = signal[a] + step * (i - a) as f32;
            }
        }
        let filter = Filter::new(ratio).unwrap().unwrap();
        let (mut library, block_in) = (filter.library, filter.block_in);
        let mut skip = filter.skip;
        let mut input = vec![f64::from(filled[0]); block_in];
        let mut output = filter.output;
        let block_out = output.len();
        let mut rest = &filled[..];
        let mut result = Vec::new();
        while result.len() < len {
            let from = InterleavedSlice::new(&input, 1, block_in).unwrap();
            let mut to = InterleavedSlice::new_mut(&mut output, 1, block_out).unwrap();
            library.process_into_buffer(&from, &mut to, None).unwrap();
            let skipped = skip.min(block_out);
            skip -= skipped;
            result.extend(output[skipped..].iter().map(|&v| v as f32));
            let (now, later) = rest.split_at(block_in.min(rest.len()));
            rest = later;
            input.fill(signal[last].into());
            for (to, from) in input.iter_mut().zip(now) {
                *to = f64::from(*from);
            }
        }
        result.truncate(len);
        for (k, sample) in result.iter_mut().enumerate() {
            let position = k as u64 * ratio.input;
            let ends = [position / ratio.output, position.div_ceil(ratio.output)];
            let finite = |i: u64| signal.get(i as usize).is_none_or(|v| v.is_finite());
            if !ends.into_iter().all(finite) {
                *sample = f32::NAN;
            }
        }
        result
    }

    fn bits(signal: &[f32]) -> Vec<u32> {
        // Every NaN is the same gap.
        let bits = |v: &f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
        signal.iter().map(bits).collect()
    }

    #[test]
    fn blocks_of_any_size_give_the_same_bits_as_the_whole() {
        let wave = |t: f64| 0.5 + (TAU * 3.1 * t).sin() + 0.2 * (TAU * 17.0 * t).cos();
        for from in [360.0, 250.0, 257.0, 100.0, 1000.0 / 3.0] {
            let mut signal = sampled(from, 30.0, wave);
            for gaps in [
                &[][..],
                &[0..40, 900..901, 903..904, 1500..2400],
                &[2000..2001, 2300..usize::MAX],
            ] {
                for gap in gaps {
                    let end = gap.end.min(signal.len());
                    signal[gap.start..end].fill(f32::NAN);
                }
                let expected = at_once(&signal, from);
                for size in [1, 7, 1000, signal.len()] {
                    let mut resampler = Resampler::new(from, TO_HZ).unwrap();
                    let mut found = Vec::new();
                    for block in signal.chunks(size) {
                        resampler.push(block, &mut found).unwrap();
                    }
                    resampler.finish(&mut found).unwrap();
                    assert_eq!(bits(&found), bits(&expected), "{from} Hz, blocks of {size}");
                }
            }
        }
    }

    /// What waits inside is bounded by the filter and the gaps' number, not by the signal's or a gap's length.
    #[test]
    fn a_long_signal_keeps_no_samples_waiting() {
        let mut resampler = Resampler::new(360.0, TO_HZ).unwrap();
        let (mut result, mut given) = (Vec::new(), 0);
        let block: Vec<f32> = (0..36_000).map(|k| (k % 300) as f32 / 300.0).collect();
        for n in 0..60 {
            let gap = (20..30).contains(&n);
            let missing = vec![f32::NAN; block.len()];
            resampler
                .push(if gap { &missing } else { &block }, &mut result)
                .unwrap();
            given += result.len();
            result.clear();
            let due = (n + 1) * 12_800;
            assert!(gap || due - given < 2000, "{n}: {given} of {due}");
            assert!(resampler.gaps.ranges.len() <= 1);
        }
        assert!(resampler.gaps.ranges.is_empty());
        resampler.finish(&mut result).unwrap();
        assert_eq!(given + result.len(), 60 * 12_800);
    }

    #[test]
    fn gaps_stay_gaps_and_do_not_reach_further() {
        let from = 360.0;
        let wave = |t: f64| 0.5 + 0.2 * (TAU * t).sin();
        let mut signal = sampled(from, 20.0, wave);
        signal[..36].fill(f32::NAN);
        signal[3600..3636].fill(f32::INFINITY);
        signal[7100..].fill(f32::NAN);
        let resampled = at_128_hz(&signal, from).unwrap();
        for (k, value) in resampled.iter().enumerate() {
            let at = k as f64 * from / TO_HZ;
            let valid = |i: f64| signal.get(i as usize).is_none_or(|v| v.is_finite());
            assert_eq!(
                value.is_nan(),
                !(valid(at.floor()) && valid(at.ceil())),
                "{k}"
            );
            if !value.is_nan() {
                // The straight line misses the wave's bend by 0.01 mV in the gap's 0.1 s, and by what the wave goes on at the ends.
                assert!(
                    (f64::from(*value) - wave(k as f64 / TO_HZ)).abs() < 0.02,
                    "{k}"
                );
            }
        }
        assert!(
            at_128_hz(&[f32::NAN; 360], from)
                .unwrap()
                .iter()
                .all(|v| v.is_nan())
        );
        assert_eq!(at_128_hz(&[], from).unwrap().len(), 0);
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0.0, -360.0, f64::NAN, f64::INFINITY, 100_001.0] {
            assert!(matches!(
                at_128_hz(&[0.0; 10], rate),
                Err(ResampleError::Rate { .. })
            ));
        }
        let odd = 1000.0 * std::f64::consts::SQRT_2;
        let message = at_128_hz(&[0.0; 10], odd).unwrap_err().to_string();
        assert!(
            message.contains("1414.213562373095 Hz, whose ratio to 128 Hz"),
            "{message}"
        );
    }

    #[test]
    fn ratios_are_in_lowest_terms() {
        for (from, input, output) in [
            (360.0, 45, 16),
            (250.0, 125, 64),
            (128.0, 1, 1),
            (250.5, 501, 256),
            (199.998, 99_999, 64_000),
            (1000.0 / 3.0, 125, 48),
        ] {
            assert_eq!(
                Ratio::of(from, TO_HZ).unwrap(),
                Ratio { input, output },
                "{from}"
            );
        }
    }

    #[test]
    fn positions_are_rounded_half_up() {
        let to = |sample, from_hz| position(sample, from_hz, 128.0);
        assert_eq!(to(0, 360.0), 0);
        // 45 samples at 360 Hz are 16 at 128 Hz; 22 are 7.82, 24 are 8.53.
        assert_eq!([45, 22, 24].map(|s| to(s, 360.0)), [16, 8, 9]);
        // 1 at 256 Hz is one half.
        assert_eq!([1, 3].map(|s| to(s, 256.0)), [1, 2]);
        assert_eq!(position(u64::MAX, 128.0, 360.0), u64::MAX);
        assert_eq!([16, 1].map(|i| position(i, 128.0, 360.0)), [45, 3]);
        assert_eq!(position(1, 128.0, 192.0), 2);
    }

    #[test]
    fn a_signal_goes_to_any_rate() {
        let sine = |t: f64| (TAU * 7.0 * t + 0.3).sin();
        for (from, to) in [
            (130.0, 250.0),
            (512.0, 250.0),
            (250.0, 300.0),
            (100.0, 128.0),
        ] {
            let resampled = resample(&sampled(from, 20.0, sine), from, to).unwrap();
            assert_eq!(resampled.len(), (20.0 * to) as usize);
            let inner = 2 * to as usize..18 * to as usize;
            for k in inner {
                let expected = sine(k as f64 / to);
                assert!(
                    (f64::from(resampled[k]) - expected).abs() < 1e-6,
                    "{from} to {to} Hz"
                );
            }
        }
        let odd = resample(&[0.0], 1e-3, 128.0);
        assert!(matches!(odd, Err(ResampleError::Ratio { .. })));
    }

    proptest! {
        /// A position survives the way to any higher rate and back.
        #[test]
        fn positions_come_back(index in 0..20_000_000_u64, rate in 128.0..2000.0_f64) {
            prop_assert_eq!(position(position(index, 128.0, rate), rate, 128.0), index);
        }
    }
}
