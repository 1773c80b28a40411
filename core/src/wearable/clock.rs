//! Whether samples come as fast as the rate that was told says, by a clock of the product's own.

/// A rate that is off by more than one part in so many is wrong (2 %). Crystals are off by 0.02 %, the RC oscillators of
/// microcontrollers by 1.5 %, and no two of the rates are closer than 2.3 %.
const PARTS: i64 = 50;
/// So far, in ms, samples and clock may be apart besides: samples come in blocks, and a main loop is late at times.
const SLACK_MS: i64 = 250;
/// Time that is judged to be wrong is at least so long,
const SHORTEST_MS: u32 = 5_000;
/// and time that cannot be judged at most.
const LONGEST_MS: u32 = 300_000;
/// Two wrong times make a wrong rate where no more than this lies between them, and this without one makes it right again.
const APART_MS: u32 = 60_000;

/// Compares the number of samples with a clock.
///
/// What is lost once, or a clock that was set, is one wrong time and no wrong rate; two in the same direction are one.
#[derive(Debug)]
pub(super) struct Clock {
    /// Where the time under way began.
    from: Option<Reading>,
    last_ms: u32,
    /// The last wrong time: when it ended, and whether there were too many samples.
    wrong: Option<(u32, bool)>,
    is_wrong: bool,
    /// The rate that was found, where that is news.
    news: Option<f32>,
}

/// A time, and the samples by then, both modulo 2^32.
#[derive(Debug, Clone, Copy)]
struct Reading {
    ms: u32,
    samples: u32,
}

impl Clock {
    pub(super) const NOTHING: Self = Self {
        from: None,
        last_ms: 0,
        wrong: None,
        is_wrong: false,
        news: None,
    };

    /// What lies before this is not compared with what lies behind it.
    pub(super) fn pause(&mut self) {
        self.from = None;
    }

    /// Takes what the clock says after so many samples of a converter that should have this rate.
    pub(super) fn read(&mut self, ms: u32, samples: u32, hz: u32) {
        let now = Reading { ms, samples };
        // Set back, or not read for 24 days.
        let is_back = (ms.wrapping_sub(self.last_ms) as i32) < 0;
        self.last_ms = ms;
        let from = match self.from {
            Some(from) if !is_back => from,
            _ => {
                self.from = Some(now);
                if let Some((ended, _)) = &mut self.wrong {
                    *ended = ms;
                }
                return;
            }
        };
        let (len_ms, count) = (ms.wrapping_sub(from.ms), samples.wrapping_sub(from.samples));
        // By how much there are too many samples, in parts of a ms: so many as the rate has Hz.
        let hz = i64::from(hz);
        let more = 1000 * i64::from(count) - hz * i64::from(len_ms);
        let (off, len) = (PARTS * more.abs(), hz * i64::from(len_ms));
        let slack = PARTS * SLACK_MS * hz;
        let found_hz = || 1000.0 * count as f32 / len_ms as f32;
        if len_ms >= SHORTEST_MS && off > len + slack {
            let again = self.wrong.is_some_and(|(ended, many)| {
                many == (more > 0) && from.ms.wrapping_sub(ended) <= APART_MS
            });
            if again && !self.is_wrong {
                self.is_wrong = true;
                self.news = Some(found_hz());
            }
            self.wrong = Some((ms, more > 0));
        } else if off + slack <= len {
            let is_long_ago = |(ended, _)| ms.wrapping_sub(ended) >= APART_MS;
            if self.wrong.is_some_and(is_long_ago) {
                self.wrong = None;
            }
            if self.is_wrong && self.wrong.is_none() {
                self.is_wrong = false;
                self.news = Some(found_hz());
            }
        } else if len_ms < LONGEST_MS {
            return;
        }
        self.from = Some(now);
    }

    /// Whether the rate that was told is wrong.
    pub(super) const fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    /// The rate that was found, once after it was found to be wrong or right again.
    pub(super) fn news(&mut self) -> Option<f32> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A converter of `real` Hz that gives its samples in blocks, and a clock that is read about once a second, late by up to `late_ms`.
    /// What is told, and when, in ms.
    fn told(hz: u32, real: f64, block_ms: f64, late_ms: u32, seconds: u32) -> Vec<(u32, f32)> {
        let (mut clock, mut told) = (Clock::NOTHING, Vec::new());
        let mut number = 1_u32;
        // Across the turn of 32 bits.
        let start = u32::MAX - 20_000;
        for second in 0..seconds {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ms = 1000 * second + ((u64::from(number) * u64::from(late_ms)) >> 32) as u32;
            let blocks = (f64::from(ms) / block_ms).floor();
            let samples = (blocks * block_ms * real / 1000.0) as u32;
            clock.read(start.wrapping_add(ms), samples.wrapping_sub(9), hz);
            told.extend(clock.news().map(|found_hz| (ms, found_hz)));
        }
        told
    }

    #[test]
    fn a_day_of_the_right_rate_is_never_wrong() {
        for real in [
            250.0,
            250.0 * 1.0002,
            250.0 * 0.9998,
            250.0 * 1.015,
            250.0 * 0.985,
        ] {
            for (block_ms, late_ms) in [(4.0, 0), (4.0, 250), (125.0, 150), (250.0, 60)] {
                let told = told(250, real, block_ms, late_ms, 86_400);
                assert_eq!(told, [], "{real} Hz, {block_ms}, {late_ms}");
            }
        }
    }

    #[test]
    fn a_wrong_rate_is_told_once_with_what_it_is() {
        for (hz, real, seconds) in [
            (250, 256.0, 200),
            (256, 250.0, 200),
            (250, 260.0, 60),
            (250, 240.0, 60),
            (250, 500.0, 12),
            (500, 250.0, 12),
            (250, 0.0, 12),
        ] {
            for (block_ms, late_ms) in [(4.0, 0), (4.0, 100), (125.0, 20)] {
                let told = told(hz, real, block_ms, late_ms, 3600);
                let [(ms, found_hz)] = told[..] else {
                    panic!("{hz} Hz for {real} Hz: {told:?}");
                };
                assert!(
                    (9_000..=1000 * seconds).contains(&ms),
                    "{hz}, {real}: {ms} ms"
                );
                // A block more or less, and a clock that is read late.
                assert!(
                    (f64::from(found_hz) - real).abs() <= 0.06 * real,
                    "{found_hz}"
                );
            }
        }
    }

    /// Seconds of a converter of 128 Hz; `event` may change the clock's time or the number of samples at each.
    fn second_by_second(
        seconds: u32,
        mut event: impl FnMut(u32, &mut u32, &mut u32),
    ) -> (Clock, Vec<(u32, f32)>) {
        let (mut clock, mut told) = (Clock::NOTHING, Vec::new());
        let (mut ms, mut samples) = (5_u32, 7_u32);
        for second in 0..seconds {
            ms = ms.wrapping_add(1000);
            samples += 128;
            event(second, &mut ms, &mut samples);
            clock.read(ms, samples, 128);
            told.extend(clock.news().map(|found_hz| (second, found_hz)));
        }
        (clock, told)
    }

    #[test]
    fn what_happens_once_is_no_wrong_rate() {
        for change in [
            // A clock that is set, or samples that are lost; a clock that goes back; a sleep whose samples are called missing too late.
            3_600_000,
            -3_600_000,
            -1_000_000_000,
            -400,
            10_000,
            20_000,
        ] {
            let (clock, told) = second_by_second(900, |second, ms, samples| {
                if second % 200 == 100 {
                    *ms = ms.wrapping_add_signed(change);
                }
                if second % 200 == 101 && change == 20_000 {
                    *samples += 20 * 128;
                }
            });
            assert_eq!(told, [], "{change:?}");
            assert!(!clock.is_wrong());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_again_and_again_is_no_wrong_rate() {
        let (_, told) = second_by_second(900, |second, ms, _| {
            if second % 20 == 10 {
                *ms -= 2500;
            }
        });
        assert_eq!(told, []);
    }

    #[test]
    fn what_is_lost_again_and_again_is_told_and_its_end_too() {
        // 3 s of each 30 s, for ten minutes.
        let (clock, told) = second_by_second(1200, |second, _, samples| {
            if second < 600 && second % 30 >= 27 {
                *samples -= 128;
            }
        });
        let [(wrong, found_hz), (right, again_hz)] = told[..] else {
            panic!("{told:?}");
        };
        assert!((30..=70).contains(&wrong), "{wrong}");
        assert!(found_hz < 125.0, "{found_hz}");
        assert!((655..=700).contains(&right), "{right}");
        assert!((again_hz - 128.0).abs() < 0.5, "{again_hz}");
        assert!(!clock.is_wrong());
    }

    #[test]
    fn a_clock_that_goes_back_while_the_rate_is_wrong_changes_nothing() {
        let (clock, told) = second_by_second(600, |second, ms, samples| {
            if second < 300 {
                *samples += 128;
            }
            if second == 200 {
                *ms -= 150_000;
            }
        });
        let [(wrong, found_hz), (right, _)] = told[..] else {
            panic!("{told:?}");
        };
        assert!((9..=12).contains(&wrong) && (found_hz - 256.0).abs() < 1.0);
        assert!((355..=390).contains(&right), "{right}");
        assert!(!clock.is_wrong());
    }

    #[test]
    fn a_clock_that_stands_still_or_is_read_all_the_time_does_no_harm() {
        let mut clock = Clock::NOTHING;
        for samples in 0..100_000 {
            clock.read(7, samples, 250);
        }
        assert_eq!(clock.news(), None);
        let mut clock = Clock::NOTHING;
        for ms in 0..600_000 {
            clock.read(ms, ms / 4, 250);
            assert_eq!(clock.news(), None);
        }
    }
}
