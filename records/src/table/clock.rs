//! A table's time column: the rate that it says, and the gaps.
//!
//! A time is a number, in the unit that the table states; a clock time `h:mm:ss.mmm` or `m:ss.mmm`, which may pass
//! midnight; or a date and time as ISO 8601 has it (`2026-03-04T05:06:07.008`, with `Z` or an offset or without) or with
//! the day or the month first (`20/12/2022 16:40:00.000`).
//!
//! Times are rounded when they are written, to 1 ms mostly, so that the distance of two says little about the rate. The
//! whole recording says much: the rate is the whole number, or the fraction of the smallest terms, that agrees with how
//! long it took, which is 360 Hz and not 359.9998 Hz.
//!
//! Recorders that send packets often stamp packets alone: the times of the samples between overlap, or all are the same.
//! [`Packets`] takes the mean rate then.

use super::TableFault;
use super::cells::{bare, number};
use super::columns::TimeUnit;
use crate::shown;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use std::borrow::Cow;

/// Steps from which the usual one is learned.
const LEARNED_STEPS: usize = 1024;

/// A step that is longer than this many usual ones is a gap.
const GAP_STEPS: f64 = 1.5;

/// How precisely times are compared at best, in parts of the time: f64 has no more.
const PRECISION: f64 = 1e-12;

const DAY_S: f64 = 86_400.0;

/// The rates, in Hz, that a time in seconds is believed to mean where it states no unit, and those that another unit has
/// to give instead.
const IN_SECONDS_HZ: std::ops::RangeInclusive<f64> = 20.0..=5000.0;
const IN_ANOTHER_HZ: std::ops::RangeInclusive<f64> = 50.0..=5000.0;

/// Units that a time without one may be in, where seconds cannot be: each with its seconds.
const OTHER_UNITS: [(&str, f64); 3] = [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)];

/// Takes the time column's cells in order.
#[derive(Debug)]
pub(super) struct Clock {
    times: Times,
    last_s: f64,
    rows: u64,
    /// The first steps, in s, until the usual one is known.
    learning: Vec<f64>,
    usual_s: Option<f64>,
    /// Steps that are no gaps: how many, and how long together.
    steps: u64,
    steps_s: f64,
    timeline: Timeline,
}

/// Turns the time column's cells into seconds since the first row's.
#[derive(Debug, Clone)]
pub(super) struct Times {
    /// Seconds of one unit of a number; 1 where that is not stated.
    unit_s: f64,
    is_stated: bool,
    form: Option<Form>,
    first: Moment,
    /// Days that a clock time has been behind, and the time before.
    days: u32,
    before_s: f64,
    /// How coarse the times are, in s: the finest last decimal, for many programs leave zeroes at the end out.
    resolution_s: f64,
}

/// How a table writes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Number,
    ClockTime,
    Timestamp,
    DateTime,
    /// Day, month, year, or month, day, year, and a clock time, of which the latter counts.
    Dated,
    Date,
}

/// A time in whole nanoseconds and a number's part of a second: neither loses what the other keeps.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    nanoseconds: i128,
    seconds: f64,
}

/// What the times of a table come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timing {
    pub(super) timeline: Timeline,
    pub(super) rate_hz: f64,
    /// The unit that was assumed where none is stated.
    pub(super) assumed: Option<&'static str>,
    /// Whether the times are uneven, and the rate is their mean.
    pub(super) is_mean: bool,
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

    /// The same with no run that begins before the one before it has ended.
    fn in_order(mut self, rows: u64, rate_hz: f64) -> Self {
        let mut end = 0;
        for n in 0..self.runs.len() {
            if self.start(n, rate_hz) < end {
                // A gap of about one sample that rounds to none.
                self.runs[n].1 = end as f64 / rate_hz;
            }
            let next = self.runs.get(n + 1).map_or(rows, |run| run.0);
            let rows = next - self.runs[n].0;
            end = self.start(n, rate_hz).saturating_add(rows);
        }
        self
    }

    /// The sample that a row is.
    pub(super) fn sample(&self, row: u64, rate_hz: f64) -> u64 {
        let n = self.runs.partition_point(|run| run.0 <= row) - 1;
        self.start(n, rate_hz) + (row - self.runs[n].0)
    }

    /// The same with each run as much later or earlier as `factor` says.
    fn scaled(mut self, factor: f64) -> Self {
        for run in &mut self.runs {
            run.1 *= factor;
        }
        self
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

impl Times {
    pub(super) fn new(unit: &TimeUnit) -> Result<Self, TableFault> {
        let (unit_s, is_stated) = match unit {
            TimeUnit::Seconds(seconds) => (*seconds, true),
            TimeUnit::Unstated => (1.0, false),
            TimeUnit::Unknown(unit) => {
                return Err(TableFault::TimeUnit { found: shown(unit) });
            }
        };
        Ok(Self {
            unit_s,
            is_stated,
            form: None,
            first: Moment::default(),
            days: 0,
            before_s: f64::NEG_INFINITY,
            resolution_s: f64::INFINITY,
        })
    }

    /// The time of the next row's cell, in s since the first row's.
    pub(super) fn next(&mut self, cell: &str) -> Result<f64, TableFault> {
        let text = bare(cell.trim_matches(['\'', '"', '[', ']']));
        let (form, is_first) = match self.form {
            Some(form) => (form, false),
            None => {
                let form = Form::of(text).ok_or_else(|| not(None, text))?;
                if form == Form::Number && !self.is_stated {
                    self.assume_epoch(text);
                }
                (*self.form.insert(form), true)
            }
        };
        let moment = form
            .moment(text, self.unit_s)
            .ok_or_else(|| not(Some(form), text))?;
        let unit_s = if form == Form::Number {
            self.unit_s
        } else {
            1.0
        };
        self.resolution_s = self.resolution_s.min(resolution(text) * unit_s);
        if is_first {
            self.first = moment;
        }
        let now_s = (moment.nanoseconds - self.first.nanoseconds) as f64 * 1e-9
            + (moment.seconds - self.first.seconds);
        if !matches!(form, Form::ClockTime | Form::Dated) {
            return Ok(now_s);
        }
        // Half a day back is a night's midnight.
        let mut now_s = now_s + f64::from(self.days) * DAY_S;
        if now_s < self.before_s - DAY_S / 2.0 {
            self.days += 1;
            now_s += DAY_S;
        }
        self.before_s = now_s;
        Ok(now_s)
    }

    /// A number without a unit may be a time since 1970, which says its unit by its size: 2000 to 2100.
    fn assume_epoch(&mut self, text: &str) {
        const SINCE_1970_S: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;
        let Some(found) = number(text) else { return };
        for unit_s in [1.0, 1e-3, 1e-6, 1e-9] {
            if SINCE_1970_S.contains(&(found * unit_s)) {
                (self.unit_s, self.is_stated) = (unit_s, true);
            }
        }
    }
}

impl Form {
    /// Whether a cell is a time that is no number.
    pub(super) fn of_text(cell: &str) -> bool {
        Self::of(bare(cell.trim_matches(['\'', '"', '[', ']'])))
            .is_some_and(|form| form != Self::Number)
    }

    fn of(text: &str) -> Option<Self> {
        let forms = [
            Self::Number,
            Self::ClockTime,
            Self::Timestamp,
            Self::DateTime,
            Self::Dated,
            Self::Date,
        ];
        forms
            .into_iter()
            .find(|form| form.moment(text, 1.0).is_some())
    }

    fn moment(self, text: &str, unit_s: f64) -> Option<Moment> {
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
        match self {
            Self::Number => {
                // Whole numbers keep what f64 would lose of a time since 1970 in nanoseconds.
                let unit_ns = (unit_s * 1e9).round();
                if (unit_s * 1e9 - unit_ns).abs() < 1e-6
                    && let Ok(count) = text.parse::<i64>()
                {
                    return Some(nanoseconds(i128::from(count) * unit_ns as i128));
                }
                seconds(number(text)? * unit_s)
            }
            Self::ClockTime => seconds(clock_s(text)?),
            Self::Timestamp => Some(nanoseconds(text.parse::<Timestamp>().ok()?.as_nanosecond())),
            Self::DateTime => {
                let text = pointed(text);
                let time = text.replace('/', "-").parse::<DateTime>().ok()?;
                let utc = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(nanoseconds(utc.timestamp().as_nanosecond()))
            }
            Self::Dated => {
                let (date, time) = text.split_once([' ', 'T'])?;
                // `rdsamp` has the time first.
                let (date, time) = match date.contains(':') {
                    true => (time.trim(), date),
                    false => (date, time),
                };
                let mut parts = date
                    .split(['/', '.', '-'])
                    .map(|part| part.parse::<u16>().ok());
                let parts = [parts.next()??, parts.next()??, parts.next()??];
                let is_date = parts[0].min(parts[1]) <= 12 && parts[0].max(parts[1]) <= 31;
                seconds(clock_s(time.trim())?).filter(|_| is_date)
            }
            Self::Date => {
                let date = text.replace('/', "-").parse::<Date>().ok()?;
                let utc = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(nanoseconds(utc.timestamp().as_nanosecond()))
            }
        }
    }
}

/// A text with a decimal point where it has a decimal comma.
fn pointed(text: &str) -> Cow<'_, str> {
    match text.contains(',') {
        true => text.replace(',', ".").into(),
        false => text.into(),
    }
}

/// A clock time `h:mm:ss.mmm`, `m:ss.mmm` or `h:mm:ss:mmm`, perhaps with `AM` or `PM`, or with days before it as pandas
/// has them (`0 days 00:00:00.004`), in s.
fn clock_s(text: &str) -> Option<f64> {
    if let Some((days, time)) = text.split_once(" days ") {
        let days: u32 = days.parse().ok()?;
        return Some(f64::from(days) * DAY_S + clock_s(time)?);
    }
    let upper = text.to_ascii_uppercase();
    let (time, half) = match upper.strip_suffix('M').and_then(|rest| {
        let half = rest.chars().last()?;
        Some((rest.strip_suffix(['A', 'P'])?.trim_end(), half))
    }) {
        Some((time, half)) => (time, Some(half)),
        None => (upper.as_str(), None),
    };
    let time = pointed(time);
    let digits = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let parts: Vec<f64> = time
        .split(':')
        .map(|part| {
            part.parse()
                .ok()
                .filter(|x: &f64| digits(part) && *x >= 0.0)
        })
        .collect::<Option<_>>()?;
    let (hours, seconds) = match parts[..] {
        [m, s] if half.is_none() => (0.0, 60.0 * m + s),
        [h, m, s] => (h, 60.0 * m + s),
        [h, m, s, ms] if ms < 1000.0 => (h, 60.0 * m + s + ms / 1000.0),
        _ => return None,
    };
    let hours = match half {
        Some('A') if hours == 12.0 => 0.0,
        Some('P') if hours < 12.0 => hours + 12.0,
        _ => hours,
    };
    Some(3600.0 * hours + seconds)
}

/// How coarse a number or a time is as it is written: one of its last decimal.
fn resolution(text: &str) -> f64 {
    // `h:mm:ss:mmm` has its decimals behind a colon.
    if text.matches(':').count() == 3 {
        return 1e-3;
    }
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let time = digits
        .rsplit_once(':')
        .map_or(digits, |(_, seconds)| seconds);
    let decimals = time
        .split_once(['.', ','])
        .map_or("", |(_, decimals)| decimals);
    let count = decimals.find(|c: char| !c.is_ascii_digit());
    let count = count.unwrap_or(decimals.len()).min(15);
    10_f64.powi(exponent.clamp(-300, 300) - count as i32)
}

impl Clock {
    pub(super) fn new(times: Times) -> Self {
        Self {
            times,
            last_s: 0.0,
            rows: 0,
            learning: Vec::new(),
            usual_s: None,
            steps: 0,
            steps_s: 0.0,
            timeline: Timeline::without_gaps(),
        }
    }

    /// Takes the next row's cell.
    pub(super) fn push(&mut self, cell: &str) -> Result<(), TableFault> {
        let now_s = self.times.next(cell)?;
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
        let slack_s = 2.0 * self.times.resolution_s;
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

    /// The gaps and the rate.
    pub(super) fn finish(mut self) -> Result<Timing, TableFault> {
        if self.usual_s.is_none() {
            self.learn()?;
        }
        // Each run's two ends are rounded, by half the resolution each.
        let unsure_s = self.times.resolution_s * self.timeline.runs.len() as f64
            + PRECISION * self.steps_s
            + 4.0 * f64::EPSILON * self.times.first.seconds.abs();
        let (steps, least_s) = (self.steps as f64, self.steps_s - unsure_s);
        if self.steps == 0 || least_s <= 0.0 {
            return Err(TableFault::TooCoarse {
                rows: self.rows,
                resolution_s: self.times.resolution_s,
            });
        }
        let (factor, assumed) = self.factor(self.steps_s / steps)?;
        let (low, high) = (
            steps / (self.steps_s + unsure_s) * factor,
            steps / least_s * factor,
        );
        self.timeline = self.timeline.scaled(factor.recip());
        // A short table may leave several whole numbers.
        let nearest = (steps / self.steps_s * factor).round();
        let rate_hz = if (low..=high).contains(&nearest) && nearest > 0.0 {
            nearest
        } else {
            with_small_terms(simplest_between(low, high))
        };
        let rows = self.rows;
        Ok(Timing {
            timeline: self.timeline.in_order(rows, rate_hz),
            rate_hz,
            assumed,
            is_mean: false,
        })
    }

    /// How much faster than in seconds the times run that state no unit, and the unit that this means.
    fn factor(&self, step_s: f64) -> Result<(f64, Option<&'static str>), TableFault> {
        let rate_hz = step_s.recip();
        if self.times.is_stated
            || self.times.form != Some(Form::Number)
            || IN_SECONDS_HZ.contains(&rate_hz)
        {
            return Ok((1.0, None));
        }
        // A number that rises by one may count samples.
        let counts = (step_s - 1.0).abs() < 1e-9;
        let unit = OTHER_UNITS
            .into_iter()
            .find(|(_, unit_s)| !counts && IN_ANOTHER_HZ.contains(&(rate_hz / unit_s)));
        match unit {
            Some((name, unit_s)) => Ok((unit_s.recip(), Some(name))),
            None => Err(TableFault::TimeUnstated { rate_hz }),
        }
    }
}

/// Takes the times of a table whose samples are stamped by packets, or unevenly, once more: at their mean rate.
///
/// A packet begins where the step from the row before is not the usual one.
#[derive(Debug)]
pub(super) struct Packets {
    times: Times,
    usual_s: f64,
    last_s: f64,
    rows: u64,
    /// The first row of each packet, and its time.
    begins: Vec<(u64, f64)>,
}

/// Packets that are kept, at most: more are no packets.
const MAX_PACKETS: usize = 1 << 22;

impl Packets {
    /// `usual_s` is the usual step from row to row.
    pub(super) fn new(times: Times, usual_s: f64) -> Self {
        Self {
            times,
            usual_s,
            last_s: 0.0,
            rows: 0,
            begins: Vec::new(),
        }
    }

    /// Takes the next row's cell.
    pub(super) fn push(&mut self, cell: &str) -> Result<(), TableFault> {
        let now_s = self.times.next(cell)?;
        let step_s = now_s - self.last_s;
        let slack_s = self.times.resolution_s;
        let is_usual = (step_s - self.usual_s).abs() <= 0.25 * self.usual_s.abs() + slack_s
            && (step_s > 0.0) == (self.usual_s > 0.0);
        if (self.rows == 0 || !is_usual) && self.begins.len() < MAX_PACKETS {
            self.begins.push((self.rows, now_s));
        }
        self.rows += 1;
        self.last_s = now_s;
        Ok(())
    }

    /// The mean rate and the gaps: stretches in which packets are missing. `None` where these are no packets.
    pub(super) fn finish(mut self) -> Option<Timing> {
        let mut assumed = None;
        if !self.times.is_stated && self.times.form == Some(Form::Number) {
            let step_s = self.last_s / (self.rows.max(2) - 1) as f64;
            if !IN_SECONDS_HZ.contains(&step_s.recip()) {
                // Uneven steps say a unit where one alone makes a rate of them.
                let mut units = OTHER_UNITS
                    .into_iter()
                    .filter(|(_, unit_s)| IN_ANOTHER_HZ.contains(&(step_s * unit_s).recip()));
                let (Some((unit, unit_s)), None) = (units.next(), units.next()) else {
                    return None;
                };
                for begin in &mut self.begins {
                    begin.1 *= unit_s;
                }
                assumed = Some(unit);
            }
        }
        let packets: Vec<(f64, f64)> = self
            .begins
            .windows(2)
            .map(|pair| ((pair[1].0 - pair[0].0) as f64, pair[1].1 - pair[0].1))
            .collect();
        if packets.len() < 2 {
            return None;
        }
        let median = |values: &mut dyn Iterator<Item = f64>| -> f64 {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let period_s = median(&mut packets.iter().map(|(rows, s)| s / rows));
        let packet_s = median(&mut packets.iter().map(|packet| packet.1));
        if !(period_s > 0.0 && packet_s > 0.0) {
            return None;
        }
        // Late by most of a packet, and not caught up by the next ones: a gap.
        let excess = |n: usize| packets.get(n).map_or(0.0, |(rows, s)| s - rows * period_s);
        let is_gap = |n: usize| {
            let late_s = excess(n);
            let after_s = late_s + (1..=3).map(|k| excess(n + k)).sum::<f64>();
            late_s > 0.75 * packet_s.max(2.0 * period_s) && after_s > 0.5 * late_s
        };
        let mut timeline = Timeline::without_gaps();
        let (mut rows, mut seconds) = (0.0, 0.0);
        for (n, packet) in packets.iter().enumerate() {
            if is_gap(n) {
                let (row, at_s) = self.begins[n + 1];
                timeline.runs.push((row, at_s));
            } else {
                rows += packet.0;
                seconds += packet.1;
            }
        }
        // As many gaps as packets: these are not evenly taken samples.
        if timeline.runs.len() > 2 + packets.len() / 20 || rows == 0.0 || seconds <= 0.0 {
            return None;
        }
        // The first and the last packet may be late by as much as one lasts.
        let unsure_s = packet_s.min(seconds / 100.0);
        let (low, high) = (rows / (seconds + unsure_s), rows / (seconds - unsure_s));
        let mean = rows / seconds;
        let nearest = mean.round();
        let rate_hz = if (low..=high).contains(&nearest) && nearest > 0.0 {
            nearest
        } else {
            (mean * 100.0).round() / 100.0
        };
        if rate_hz <= 0.0 {
            return None;
        }
        Some(Timing {
            timeline: timeline.in_order(self.rows, rate_hz),
            rate_hz,
            assumed,
            is_mean: true,
        })
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
            Some(Form::Timestamp | Form::DateTime | Form::Dated | Form::Date) => {
                "a date and time, as in the first row"
            }
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

/// A rate, or one near it whose terms are small enough to resample at: times in nanoseconds give 130.00001170658612 Hz.
/// A fraction within 1e-6, which is 0.1 s in a day and less than what a recorder's clock is wrong by; or else the nearest.
fn with_small_terms(rate_hz: f64) -> f64 {
    const LARGEST_DENOMINATOR: u32 = 500;
    let near = |denominator: u32| {
        let denominator = f64::from(denominator);
        (rate_hz * denominator).round() / denominator
    };
    let error = |hz: f64| (hz / rate_hz - 1.0).abs();
    let fractions = || (1..=LARGEST_DENOMINATOR).map(near).filter(|hz| *hz > 0.0);
    let is_exact = fractions().any(|hz| error(hz) < 1e-12);
    if is_exact {
        return rate_hz;
    }
    let close = fractions().find(|hz| error(*hz) < 1e-6);
    let nearest = || fractions().min_by(|a, b| error(*a).total_cmp(&error(*b)));
    close.or_else(nearest).unwrap_or(rate_hz)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_small_terms() {
        for (found, expected) in [
            (130.000_011_706_586_12, 130.0),
            (250.5, 250.5),
            (1000.0 / 3.0, 1000.0 / 3.0),
            (129.987_654, 10_529.0 / 81.0),
            (199.998, 199.998),
        ] {
            let near = with_small_terms(found);
            assert!((near / found - 1.0).abs() < 1e-6, "{found}: {near}");
            assert!((near - expected).abs() < 1e-9, "{found}: {near}");
        }
    }

    fn timed(
        unit: &TimeUnit,
        cells: impl IntoIterator<Item = String>,
    ) -> Result<Timing, TableFault> {
        let mut clock = Clock::new(Times::new(unit)?);
        for cell in cells {
            clock.push(&cell)?;
        }
        clock.finish()
    }

    fn clock(cells: impl IntoIterator<Item = String>) -> Result<(Timeline, f64), TableFault> {
        let timing = timed(&TimeUnit::Seconds(1.0), cells)?;
        assert!(timing.assumed.is_none() && !timing.is_mean);
        Ok((timing.timeline, timing.rate_hz))
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
        assert_eq!(at(["12:00:00,000", "12:00:00,004", "12:00:00,008"]), 250.0);
        assert_eq!(
            at(["11:59:59:996 AM", "12:00:00:000 PM", "12:00:00:004 PM"]),
            250.0
        );
        assert_eq!(at(["23:59:59.996", "00:00:00.000", "00:00:00.004"]), 250.0);
        assert_eq!(
            at([
                "20/12/2022 23:59:59.996",
                "21/12/2022 0:00:00.000",
                "21/12/2022 0:00:00.004"
            ]),
            250.0
        );
        assert_eq!(
            at([
                "01.02.2022 16:40:00,000",
                "01.02.2022 16:40:00,004",
                "01.02.2022 16:40:00,008"
            ]),
            250.0
        );
        assert_eq!(
            at([
                "2022/12/20 16:40:00.000",
                "2022/12/20 16:40:00.004",
                "2022/12/20 16:40:00.008"
            ]),
            250.0
        );
        assert_eq!(at(["0,000", "0,004", "0,008"]), 250.0);
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
    fn units_that_are_stated_and_units_that_are_not() {
        let cells = |scale: f64, from: f64, decimals: usize| {
            let cell = move |k: i32| format!("{:.decimals$}", from + scale * f64::from(k) / 250.0);
            (0..2000).map(cell).collect::<Vec<_>>()
        };
        for (unit_s, scale) in [(60.0, 1.0 / 60.0), (3600.0, 1.0 / 3600.0), (1e-9, 1e9)] {
            let timing = timed(&TimeUnit::Seconds(unit_s), cells(scale, 0.0, 9)).unwrap();
            assert_eq!(timing.rate_hz, 250.0, "{unit_s}");
        }
        let unstated = |scale, from| timed(&TimeUnit::Unstated, cells(scale, from, 3));
        for (scale, from, assumed) in [
            (1.0, 0.0, None),
            (1e3, 0.0, Some("ms")),
            (1e6, 0.0, Some("us")),
            (1e9, 0.0, Some("ns")),
            (1.0, 1.7e9, None),
            (1e3, 1.7e12, None),
            (1e6, 1.7e15, None),
        ] {
            let timing = unstated(scale, from).unwrap();
            assert_eq!(
                (timing.rate_hz, timing.assumed),
                (250.0, assumed),
                "{scale} {from}"
            );
        }
        // A time since 1970 in whole nanoseconds is more than f64 can tell apart.
        let ns = (0..2000).map(|k| format!("{}", 1_700_000_000_000_000_000_i64 + k * 4_000_000));
        assert_eq!(timed(&TimeUnit::Unstated, ns).unwrap().rate_hz, 250.0);
        // Minutes or 15000 Hz, samples or 1000 Hz: who does not say so is not believed.
        for scale in [1.0 / 60.0, 250.0] {
            let refused = timed(&TimeUnit::Unstated, cells(scale, 0.0, 9)).unwrap_err();
            assert!(refused.to_string().contains("--rate"), "{refused}");
        }
        let refused = timed(&TimeUnit::Unknown("fortnights".into()), []).unwrap_err();
        assert!(refused.to_string().contains("`fortnights`"), "{refused}");
    }

    #[test]
    fn packets_are_read_at_their_mean_rate() {
        let packets = |cells: &[f64], usual_s: f64| {
            let times = Times::new(&TimeUnit::Seconds(1.0)).unwrap();
            let mut packets = Packets::new(times, usual_s);
            for cell in cells {
                packets.push(&format!("{cell:.3}")).unwrap();
            }
            packets.finish()
        };
        // 73 samples of 130 Hz: each packet begins 3 ms before the last one's end, the 20th is lost.
        let stamped = |n: u32, k: u32| f64::from(n * 73) / 130.0 + f64::from(k) / 129.0;
        let cells = (0..40).filter(|n| *n != 20);
        let cells: Vec<f64> = cells
            .flat_map(|n| (0..73).map(move |k| stamped(n, k)))
            .collect();
        let found = packets(&cells, 1.0 / 129.0).unwrap();
        assert!(found.is_mean);
        assert_eq!(found.rate_hz, 130.0);
        assert_eq!(found.timeline.runs.len(), 2);
        let len = found.timeline.len(cells.len() as u64, 130.0);
        assert!(len.abs_diff(40 * 73) <= 1, "{len}");
        // All of a packet at one time.
        let cells: Vec<f64> = (0..1000).map(|k| f64::from(k / 10) * 0.04).collect();
        let found = packets(&cells, 0.0).unwrap();
        assert_eq!((found.rate_hz, found.timeline.runs.len()), (250.0, 1));
        // No packets: neither once nor anyhow.
        assert!(packets(&[0.0, 0.1, 0.2], 0.1).is_none());
        let chaos: Vec<f64> = (0..1000).map(|k| f64::from(k * k % 997)).collect();
        assert!(packets(&chaos, 1.0).is_none());
    }

    #[test]
    fn fractions_of_small_terms() {
        assert_eq!(simplest_between(359.99, 360.02), 360.0);
        assert_eq!(simplest_between(250.49, 250.51), 250.5);
        assert_eq!(simplest_between(0.3, 0.35), 1.0 / 3.0);
        assert_eq!(simplest_between(333.3332, 333.3334), 333.0 + 1.0 / 3.0);
    }
}
