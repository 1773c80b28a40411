//! Samples of a converter's rate as samples at 128 Hz: a polyphase filter in integers, its taps made by the compiler.
//!
//! A windowed sinc (Kaiser, 1974), designed for 50 dB: it passes what the band-pass of [`crate::filter`] passes, up to 40 Hz, to
//! within 0.1 dB, and what would fold onto that is at least 42 dB lower (`host/tests/wearable.rs`). Linear phase and no net delay: sample `k` of the result lies at `k / 128` s.

use crate::sample::MISSING;
use crate::spec::{FILTER_HIGH_HZ, SAMPLE_RATE_HZ};
use core::f64::consts::PI;

/// Samples that are kept, and the most taps of a phase.
const KEPT: usize = 64;
/// The sum of a phase's taps: what stays constant keeps its value in every phase, to the bit.
const ONE: i32 = 1 << 14;
/// The Kaiser window's parameter for 50 dB, `0.5842 (50 - 21)^0.4 + 0.07886 (50 - 21)` (Oppenheim & Schafer, Discrete-Time
/// Signal Processing, 7.5.3).
const BETA: f64 = 4.533_514_121;
/// Taps times width of the transition, in parts of the rate, that 50 dB take: `(50 - 8) / (2.285 * 2 pi)`.
const TAPS_TIMES_WIDTH: f64 = 42.0 / (2.285 * 2.0 * PI);

/// A converter's sample rate. The taps of rates that a program does not name take no flash; [`Rate::of`] names all.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    hz: u32,
    /// The ratio of 128 Hz to the rate, in lowest terms.
    up: u32,
    down: u32,
    /// Taps of one phase, an even number; 0 at 128 Hz, where nothing is to be done.
    len: usize,
    /// `[up, len]`
    taps: &'static [i16],
}

/// The rates, each by its constant.
macro_rules! rates {
    ($($name:ident $hz:literal,)*) => {
        impl Rate {
            $(
                #[doc = concat!(stringify!($hz), " Hz.")]
                pub const $name: Self = {
                    const UP: u32 = up($hz);
                    const LEN: usize = taps_len($hz);
                    static TAPS: [i16; UP as usize * LEN] = taps($hz);
                    Self {
                        hz: $hz,
                        up: UP,
                        down: $hz * UP / SAMPLE_RATE_HZ,
                        len: LEN,
                        taps: &TAPS,
                    }
                };
            )*

            /// Every rate there is, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

rates! {
    HZ_100 100,
    HZ_125 125,
    HZ_128 128,
    HZ_200 200,
    HZ_250 250,
    HZ_256 256,
    HZ_300 300,
    HZ_360 360,
    HZ_500 500,
    HZ_512 512,
    HZ_1000 1000,
}

impl Rate {
    /// The rate of so many samples a second, if it is one of [`Rate::ALL`].
    pub fn of(hz: u32) -> Option<Self> {
        Self::ALL.iter().find(|rate| rate.hz == hz).copied()
    }

    /// Samples a second.
    pub const fn hz(&self) -> u32 {
        self.hz
    }
}

/// 128 Hz over the rate, in lowest terms: the term above.
const fn up(hz: u32) -> u32 {
    let (mut a, mut b) = (SAMPLE_RATE_HZ, hz);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    SAMPLE_RATE_HZ / a
}

/// From where on the filter stops, in Hz: what would fold onto the band that is passed, from either rate.
const fn stop_hz(hz: u32) -> f64 {
    let lower = if hz < SAMPLE_RATE_HZ {
        hz
    } else {
        SAMPLE_RATE_HZ
    };
    lower as f64 - FILTER_HIGH_HZ
}

const fn taps_len(hz: u32) -> usize {
    if hz == SAMPLE_RATE_HZ {
        return 0;
    }
    let width = (stop_hz(hz) - FILTER_HIGH_HZ) / hz as f64;
    let half = (TAPS_TIMES_WIDTH / width / 2.0) as usize + 1;
    assert!(2 * half <= KEPT);
    2 * half
}

/// The filter's phases, one after the other, each from its oldest sample on.
const fn taps<const N: usize>(hz: u32) -> [i16; N] {
    let mut taps = [0; N];
    let len = taps_len(hz);
    let mut phase = 0;
    while phase * len < N {
        let after = phase as f64 / up(hz) as f64;
        // Of these real numbers, the nearest integers that add up to one.
        let mut values = [0.0; KEPT];
        let (mut sum, mut largest) = (0.0, 0);
        let mut i = 0;
        while i < len {
            let distance = (i as f64 + 1.0) - (len / 2) as f64 - after;
            values[i] = prototype(distance, hz, len);
            sum += values[i];
            if values[i] > values[largest] {
                largest = i;
            }
            i += 1;
        }
        let mut left = ONE;
        i = 0;
        while i < len {
            let tap = round(values[i] / sum * ONE as f64);
            taps[phase * len + i] = tap as i16;
            left -= tap;
            i += 1;
        }
        taps[phase * len + largest] += left as i16;
        phase += 1;
    }
    taps
}

/// The windowed sinc, so many samples of the input from its middle.
const fn prototype(distance: f64, hz: u32, len: usize) -> f64 {
    let half = (len / 2) as f64;
    let place = distance / half;
    if place * place >= 1.0 {
        return 0.0;
    }
    let cycles = (FILTER_HIGH_HZ + stop_hz(hz)) / hz as f64;
    let angle = PI * cycles * distance;
    let sinc = if angle == 0.0 {
        1.0
    } else {
        sin(angle) / angle
    };
    sinc * bessel(1.0 - place * place)
}

/// The modified Bessel function of order 0, of `BETA sqrt(x)`: its power series in the argument's square.
const fn bessel(x: f64) -> f64 {
    let quarter = BETA * BETA * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while k < 25.0 {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// Sine by its Taylor series, of an angle brought to -pi..=pi.
const fn sin(angle: f64) -> f64 {
    let turns = round(angle / (2.0 * PI));
    let x = angle - 2.0 * PI * turns as f64;
    let (mut term, mut sum, mut k) = (x, x, 2.0);
    while k < 40.0 {
        term *= -x * x / (k * (k + 1.0));
        sum += term;
        k += 2.0;
    }
    sum
}

const fn round(x: f64) -> i32 {
    (if x < 0.0 { x - 0.5 } else { x + 0.5 }) as i32
}

/// Brings counts of 16 bits from a converter's rate to 128 Hz, sample by sample.
///
/// Before the first sample the signal is taken to stay as it is there. A sample that is missing ([`MISSING`]) repeats the one
/// before; the result is missing where its place lies on one that was, or next to it.
#[derive(Debug, Clone)]
pub struct Resampler {
    rate: Rate,
    /// The newest samples, each at its number modulo [`KEPT`].
    kept: [i16; KEPT],
    /// Whether they were missing, the newest in the lowest bit.
    missing: u64,
    /// The number of the next sample modulo [`KEPT`].
    next: usize,
    started: bool,
    /// How far the next sample of the result lies after the sample in the filter's middle, in parts of `up`.
    ahead: u32,
}

impl Resampler {
    /// At the start of a signal.
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            kept: [0; KEPT],
            missing: 0,
            next: 0,
            started: false,
            // The filter's middle is half its length behind the newest sample, of which there is none yet.
            ahead: (rate.len as u32 / 2 + 1) * rate.up,
        }
    }

    /// The converter's rate.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes the next sample. Then [`poll`](Self::poll) gives those of the result that it completes: one or none, or up to two
    /// below 128 Hz.
    pub fn push(&mut self, count: i16) {
        let is_missing = count == MISSING;
        let count = match (is_missing, self.started) {
            (false, _) => count,
            (true, true) => self.kept[self.next.wrapping_sub(1) % KEPT],
            (true, false) => 0,
        };
        if !self.started && !is_missing {
            self.kept = [count; KEPT];
            self.started = true;
        }
        self.kept[self.next % KEPT] = count;
        self.missing = self.missing << 1 | u64::from(is_missing);
        self.next = (self.next + 1) % KEPT;
        self.ahead = self.ahead.saturating_sub(self.rate.up);
    }

    /// Takes so many missing samples at once, and gives how many of the result's are missing for them; `None` where other samples
    /// are in the filter still, so that they have to be [pushed](Self::push) one by one.
    pub(crate) fn skip(&mut self, samples: u32) -> Option<u32> {
        let Rate { up, down, .. } = self.rate;
        if self.missing != u64::MAX {
            return None;
        }
        // How far the next of the result would lie before the first that is not known yet.
        let behind = (samples * up + up).saturating_sub(self.ahead);
        let given = behind.div_ceil(down.max(1));
        self.ahead = self.ahead + given * down - samples * up;
        Some(given)
    }

    /// The next sample of the result, in counts: `Some(None)` where it is missing, `None` until the next [`push`](Self::push).
    pub fn poll(&mut self) -> Option<Option<f32>> {
        let Rate {
            up,
            down,
            len,
            taps,
            ..
        } = self.rate;
        let phase = self.ahead;
        if phase >= up {
            return None;
        }
        self.ahead += down;
        // The sample in the middle and, unless the result lies on it, the one after.
        let middle = self.missing >> (len / 2);
        let after = self.missing >> (len / 2).saturating_sub(1);
        if middle & 1 != 0 || phase > 0 && after & 1 != 0 {
            return Some(None);
        }
        if len == 0 {
            let newest = self.kept[self.next.wrapping_sub(1) % KEPT];
            return Some(Some(f32::from(newest)));
        }
        let phase = phase as usize * len;
        let mut sum = 0_i32;
        for (tap, back) in taps.iter().skip(phase).take(len).zip((1..=len).rev()) {
            let count = self.kept[self.next.wrapping_sub(back) % KEPT];
            sum += i32::from(*tap) * i32::from(count);
        }
        Some(Some(sum as f32 / ONE as f32))
    }
}
