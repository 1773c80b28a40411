//! A table's time column: the rate that it says, and the gaps.
//!
//! A time is a number, in seconds or in the unit of the column's name; a clock time `h:mm:ss.mmm` or `m:ss.mmm`; or a date
//! and time as ISO 8601 has it (`2026-03-04T05:06:07.008`, with `Z` or an offset or without).
//!
//! Times are rounded when they are written, to 1 ms mostly, so that the distance of two says little about the rate. The
//! whole recording says much: the rate is the whole number, or the fraction of the smallest terms, that agrees with how
//! long it took, which is 360 Hz and not 359.9998 Hz.

use super::TableFault;
use super::columns::bare;
use crate::shown;
use jiff::Timestamp;
use jiff::civil::DateTime;

/// Steps from which the usual one is learned.
const LEARNED_STEPS: usize = 1024;

/// A step that is longer than this many usual ones is a gap.
const GAP_STEPS: f64 = 1.5;

/// How precisely times are compared at best, in parts of the time: f64 has no more.
const PRECISION: f64 = 1e-12;

/// Takes the time column's cells in order.
#[derive(Debug)]
pub(super) struct Clock {
    /// Seconds of one unit of a number.
    unit_s: f64,
    form: Option<Form>,
    /// The first time, in s since the form's own beginning, and the last one, in s since the first.
    first: Moment,
    last_s: f64,
    rows: u64,
    /// How coarse the times are, in s: the finest last decimal, for many programs leave zeroes at the end out.
    resolution_s: f64,
    /// The first steps, in s, until the usual one is known.
    learning: Vec<f64>,
    usual_s: Option<f64>,
    /// Steps that are no gaps: how many, and how long together.
    steps: u64,
    steps_s: f64,
    timeline: Timeline,
}

/// How a table writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Number,
    ClockTime,
    Timestamp,
    DateTime,
}

/// A time in whole nanoseconds and a number's part of a second: neither loses what the other keeps.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    nanoseconds: i128,
    seconds: f64,
}

/// The stretches of a table's rows that are not interrupted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// The first row of each, and when it was taken, in s after the table's first.
    runs: Vec<(u64, f64)>,
}

impl Timeline {
    pub(super) fn without_gaps() -> Self {
        Self {
            runs: vec![(0, 0.0)],
        }
    }

    /// The sample that the `n`-th run begins with. Runs do not overlap.
    fn start(&self, n: usize, rate_hz: f64) -> u64 {
        (self.runs[n].1 * rate_hz).round() as u64
    }

    /// The sample that a row is.
    pub(super) fn sample(&self, row: u64, rate_hz: f64) -> u64 {
        let n = self.runs.partition_point(|run| run.0 <= row) - 1;
        self.start(n, rate_hz) + (row - self.runs[n].0)
    }

    /// The first row that is sample `sample` or a later one.
    pub(super) fn row(&self, sample: u64, rate_hz: f64) -> u64 {
        let after = self
            .runs
            .partition_point(|run| (run.1 * rate_hz).round() as u64 <= sample);
        let n = after.saturating_sub(1);
        let row = self.runs[n].0 + (sample - self.start(n, rate_hz));
        // Beyond the run's end, in the gap: the next run's first row.
        self.runs.get(after).map_or(row, |next| row.min(next.0))
    }

    /// Samples of a table of `rows` rows, at least one, gaps included.
    pub(super) fn len(&self, rows: u64, rate_hz: f64) -> u64 {
        self.sample(rows - 1, rate_hz).saturating_add(1)
    }
}

impl Clock {
    pub(super) fn new(unit_s: f64) -> Self {
        Self {
            unit_s,
            form: None,
            first: Moment::default(),
            last_s: 0.0,
            rows: 0,
            resolution_s: f64::INFINITY,
            learning: Vec::new(),
            usual_s: None,
            steps: 0,
            steps_s: 0.0,
            timeline: Timeline::without_gaps(),
        }
    }

    /// Takes the next row's cell.
    pub(super) fn push(&mut self, cell: &[u8]) -> Result<(), TableFault> {
        let text = String::from_utf8_lossy(cell);
        let text = bare(text.trim_matches(['\'', '"', '[', ']']));
        let form = match self.form {
            Some(form) => form,
            None => {
                let forms = [
                    Form::Number,
                    Form::ClockTime,
                    Form::Timestamp,
                    Form::DateTime,
                ];
                let fits = |form: &Form| self.moment(*form, text).is_some();
                let form = forms
                    .into_iter()
                    .find(fits)
                    .ok_or_else(|| not(None, text))?;
                *self.form.insert(form)
            }
        };
        let moment = self
            .moment(form, text)
            .ok_or_else(|| not(Some(form), text))?;
        self.resolution_s = self.resolution_s.min(self.resolution_of(form, text));
        if self.rows == 0 {
            self.first = moment;
        }
        let now_s = (moment.nanoseconds - self.first.nanoseconds) as f64 * 1e-9
            + (moment.seconds - self.first.seconds);
        if self.rows > 0 {
            self.step(now_s)?;
        }
        self.rows += 1;
        self.last_s = now_s;
        Ok(())
    }

    fn step(&mut self, now_s: f64) -> Result<(), TableFault> {
        let step_s = now_s - self.last_s;
        if step_s <= 0.0 {
            return Err(TableFault::Backwards {
                found_s: now_s,
                before_s: self.last_s,
            });
        }
        match self.usual_s {
            Some(usual_s) => self.count(step_s, usual_s, self.rows, now_s),
            None => {
                self.learning.push(step_s);
                if self.learning.len() == LEARNED_STEPS {
                    self.learn()?;
                }
                Ok(())
            }
        }
    }

    /// Learns the usual step, and counts those that it was learned from.
    fn learn(&mut self) -> Result<(), TableFault> {
        let steps = std::mem::take(&mut self.learning);
        let mut sorted = steps.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(&usual_s) = sorted.get(sorted.len() / 2) else {
            return Ok(());
        };
        self.usual_s = Some(usual_s);
        let mut at_s = 0.0;
        for (i, step_s) in steps.into_iter().enumerate() {
            at_s += step_s;
            self.count(step_s, usual_s, i as u64 + 1, at_s)?;
        }
        Ok(())
    }

    /// Counts the step that leads to row `row`.
    fn count(&mut self, step_s: f64, usual_s: f64, row: u64, at_s: f64) -> Result<(), TableFault> {
        // Both ends of both steps are rounded.
        let slack_s = 2.0 * self.resolution_s;
        if step_s > GAP_STEPS * usual_s + slack_s {
            self.timeline.runs.push((row, at_s));
        } else if step_s < usual_s / GAP_STEPS - slack_s {
            return Err(TableFault::Uneven {
                found_s: step_s,
                expected_s: usual_s,
            });
        } else {
            self.steps += 1;
            self.steps_s += step_s;
        }
        Ok(())
    }

    /// The gaps, and the rate in Hz.
    pub(super) fn finish(mut self) -> Result<(Timeline, f64), TableFault> {
        if self.usual_s.is_none() {
            self.learn()?;
        }
        // Each run's two ends are rounded, by half the resolution each.
        let unsure_s =
            self.resolution_s * self.timeline.runs.len() as f64 + PRECISION * self.steps_s;
        let (steps, least_s) = (self.steps as f64, self.steps_s - unsure_s);
        if self.steps == 0 || least_s <= 0.0 {
            return Err(TableFault::TooCoarse {
                rows: self.rows,
                resolution_s: self.resolution_s,
            });
        }
        let (low, high) = (steps / (self.steps_s + unsure_s), steps / least_s);
        // A short table may leave several whole numbers.
        let nearest = (steps / self.steps_s).round();
        let rate_hz = if (low..=high).contains(&nearest) && nearest > 0.0 {
            nearest
        } else {
            simplest_between(low, high)
        };
        let mut end = 0;
        for n in 0..self.timeline.runs.len() {
            let start = self.timeline.start(n, rate_hz);
            if start < end {
                // A gap of about one sample that rounds to none.
                self.timeline.runs[n].1 = end as f64 / rate_hz;
            }
            let next = self.timeline.runs.get(n + 1).map_or(self.rows, |run| run.0);
            let rows = next - self.timeline.runs[n].0;
            end = self.timeline.start(n, rate_hz).saturating_add(rows);
        }
        Ok((self.timeline, rate_hz))
    }

    fn moment(&self, form: Form, text: &str) -> Option<Moment> {
        let seconds = |seconds: f64| {
            seconds.is_finite().then_some(Moment {
                nanoseconds: 0,
                seconds,
            })
        };
        let nanoseconds = |nanoseconds: i128| Moment {
            nanoseconds,
            seconds: 0.0,
        };
        match form {
            Form::Number => seconds(text.parse::<f64>().ok()? * self.unit_s),
            Form::ClockTime => {
                let parts: Vec<f64> = text
                    .split(':')
                    .map(|part| part.parse().ok().filter(|x: &f64| *x >= 0.0))
                    .collect::<Option<_>>()?;
                match parts[..] {
                    [m, s] => seconds(60.0 * m + s),
                    [h, m, s] => seconds(3600.0 * h + 60.0 * m + s),
                    _ => None,
                }
            }
            Form::Timestamp => Some(nanoseconds(text.parse::<Timestamp>().ok()?.as_nanosecond())),
            Form::DateTime => {
                let time = text.parse::<DateTime>().ok()?;
                let utc = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(nanoseconds(utc.timestamp().as_nanosecond()))
            }
        }
    }

    /// How coarse a time is as it is written, in s: one of its last decimal.
    fn resolution_of(&self, form: Form, text: &str) -> f64 {
        let unit_s = if form == Form::Number {
            self.unit_s
        } else {
            1.0
        };
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let decimals = digits.split_once('.').map_or("", |(_, decimals)| decimals);
        let count = decimals.find(|c: char| !c.is_ascii_digit());
        let count = count.unwrap_or(decimals.len()).min(15);
        unit_s * 10_f64.powi(exponent.clamp(-300, 300) - count as i32)
    }
}

fn not(form: Option<Form>, text: &str) -> TableFault {
    TableFault::Time {
        found: shown(text),
        expected: match form {
            None => {
                "a number, a clock time such as 0:01:02.345, or a date and time such as 2026-03-04T05:06:07.008"
            }
            Some(Form::Number) => "a number, as in the first row",
            Some(Form::ClockTime) => "a clock time such as 0:01:02.345, as in the first row",
            Some(Form::Timestamp | Form::DateTime) => "a date and time, as in the first row",
        },
    }
}

/// The fraction of the smallest terms from `low` to `high`, both above 0, by continued fractions.
fn simplest_between(low: f64, high: f64) -> f64 {
    let whole = low.ceil();
    if whole <= high {
        return whole.max(1.0);
    }
    let floor = low.floor();
    // What remains is below 1; the simplest fraction of the reciprocals is the simplest one's reciprocal.
    floor + 1.0 / simplest_between((high - floor).recip(), (low - floor).recip())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn clock(cells: impl IntoIterator<Item = String>) -> Result<(Timeline, f64), TableFault> {
        let mut clock = Clock::new(1.0);
        for cell in cells {
            clock.push(cell.as_bytes())?;
        }
        clock.finish()
    }

    #[test]
    fn the_rate_behind_rounded_times() {
        for (rate_hz, rows, decimals) in [
            (360.0, 3600, 3),
            (360.0, 400, 3),
            (128.0, 5000, 3),
            (250.5, 100_000, 3),
            (1000.0 / 3.0, 10_000, 4),
            (1000.0, 50, 3),
            (200.0, 20, 6),
        ] {
            let cells = (0..rows).map(|k| format!("{:.decimals$}", 17.0 + f64::from(k) / rate_hz));
            let (timeline, found) = clock(cells).unwrap();
            assert!((found / rate_hz - 1.0).abs() < 1e-12, "{rate_hz}: {found}");
            assert_eq!(timeline, Timeline::without_gaps());
        }
    }

    #[test]
    fn forms_of_time() {
        let at = |cells: [&str; 3]| clock(cells.map(str::to_owned)).unwrap().1;
        assert_eq!(at(["0:00.000", "0:00.004", "0:00.008"]), 250.0);
        assert_eq!(at(["9:59:59.990", "10:00:00.000", "10:00:00.010"]), 100.0);
        assert_eq!(
            at([
                "2026-12-31T23:59:59.998",
                "2027-01-01T00:00:00.000",
                "2027-01-01 00:00:00.002"
            ]),
            500.0
        );
        assert_eq!(
            at([
                "2026-12-31T23:59:59.998+01:00",
                "2026-12-31T23:00:00.000Z",
                "2026-12-31T23:00:00.002Z"
            ]),
            500.0
        );
        assert_eq!(at(["1700000000.25", "1700000000.50", "1700000000.75"]), 4.0);
        assert_eq!(at(["0.0", "4e-3", "8E-3"]), 250.0);
        let python = (0..2000).map(|k| format!("{:?}", f64::from(k) / 360.0));
        assert_eq!(clock(python).unwrap().1, 360.0);
    }

    #[test]
    fn gaps_are_kept() {
        let cells = (0..100)
            .chain(150..200)
            .map(|k| format!("{:.3}", f64::from(k) / 250.0));
        let (timeline, rate_hz) = clock(cells).unwrap();
        assert_eq!((rate_hz, timeline.len(150, rate_hz)), (250.0, 200));
        assert_eq!(timeline.sample(99, rate_hz), 99);
        assert_eq!(timeline.sample(100, rate_hz), 150);
        for (sample, row) in [
            (0, 0),
            (99, 99),
            (100, 100),
            (149, 100),
            (150, 100),
            (151, 101),
        ] {
            assert_eq!(timeline.row(sample, rate_hz), row, "{sample}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let refused = |cells: &[&str]| {
            clock(cells.iter().map(|cell| (*cell).to_owned()))
                .unwrap_err()
                .to_string()
        };
        assert!(
            refused(&["soon"]).contains("found `soon` as time, expected a number, a clock time")
        );
        assert!(refused(&["0", "0:01"]).contains("found `0:01` as time, expected a number, as in"));
        assert!(refused(&["0", "0.1", "0.1"]).contains("found 0.1 s after 0.1 s"));
        assert!(refused(&["0", "inf"]).contains("found `inf`"));
        assert!(refused(&["0.0"]).contains("found 1 sample(s) whose times"));
        assert!(refused(&["0", "1"]).contains("too few to tell the rate"));
        let jump = ["0.00", "1.00", "2.00", "3.00", "3.10", "4.00"];
        assert!(
            refused(&jump).contains("expected some 1 s"),
            "{}",
            refused(&jump)
        );
    }

    #[test]
    fn fractions_of_small_terms() {
        assert_eq!(simplest_between(359.99, 360.02), 360.0);
        assert_eq!(simplest_between(250.49, 250.51), 250.5);
        assert_eq!(simplest_between(0.3, 0.35), 1.0 / 3.0);
        assert_eq!(simplest_between(333.3332, 333.3334), 333.0 + 1.0 / 3.0);
    }
}
