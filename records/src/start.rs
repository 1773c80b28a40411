//! When a recording began.

use jiff::civil::{Date, Time};
use std::fmt;

/// When a recording began, by the clock of whoever recorded it: no time zone is known. Prints as `2026-11-26 08:30:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The day, where the record states it.
    pub date: Option<Date>,
    /// The time of day.
    pub time: Time,
}

impl Start {
    /// From numbers that a file states; `None` where the time is none. A date that is none is left out.
    pub(crate) fn of(date: [i32; 3], time: [i32; 3]) -> Option<Self> {
        let [year, month, day] = date;
        let [hour, minute, second] = time.map(|part| i8::try_from(part).ok());
        Some(Self {
            date: date_of(year, month, day),
            time: Time::new(hour?, minute?, second?, 0).ok()?,
        })
    }

    /// From texts such as `20020122193408.123+0100`: date and time without marks between, as HL7 and DICOM write them.
    pub(crate) fn of_digits(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(['+', '-', '.', 'Z']).unwrap_or(text.len());
        let digits = &text[..end];
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.len() < 8 {
            return None;
        }
        let number = |from: usize, len: usize| -> i32 {
            let part = digits.get(from..from + len).unwrap_or("0");
            part.parse().unwrap_or(0)
        };
        let date = [number(0, 4), number(4, 2), number(6, 2)];
        let start = Self::of(date, [number(8, 2), number(10, 2), number(12, 2)])?;
        let fraction = text[end..].strip_prefix('.').unwrap_or_default();
        Some(start.with_fraction(fraction))
    }

    /// So many seconds later: the time of the next sample where the first ones are left out.
    pub(crate) fn after_s(self, seconds: f64) -> Self {
        let day = self.date.unwrap_or(Date::constant(2000, 1, 1));
        let span = jiff::SignedDuration::try_from_secs_f64(seconds);
        let later = span
            .ok()
            .and_then(|span| day.to_datetime(self.time).checked_add(span).ok());
        later.map_or(self, |later| Self {
            date: self.date.map(|_| later.date()),
            time: later.time(),
        })
    }

    /// The same with these decimals of a second.
    pub(crate) fn with_fraction(mut self, decimals: &str) -> Self {
        let end = decimals.find(|c: char| !c.is_ascii_digit());
        let digits = &decimals[..end.unwrap_or(decimals.len()).min(9)];
        if let Ok(value) = digits.parse::<i32>() {
            let nanoseconds = value * 10_i32.pow(9 - digits.len() as u32);
            let with = self.time.with().subsec_nanosecond(nanoseconds).build();
            self.time = with.unwrap_or(self.time);
        }
        self
    }
}

/// A date, where the numbers are one.
pub(crate) fn date_of(year: i32, month: i32, day: i32) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| *year > 0)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Full years between two dates, where they are an age: 0 to 130.
pub(crate) fn age_at(birth: Option<Date>, day: Option<Date>) -> Option<f32> {
    let (birth, day) = (birth?, day?);
    let before_birthday = (day.month(), day.day()) < (birth.month(), birth.day());
    let years = day.year() - birth.year() - i16::from(before_birthday);
    (0..=130).contains(&years).then_some(f32::from(years))
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(date) = self.date {
            write!(f, "{date} ")?;
        }
        write!(f, "{}", self.time)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_ages() {
        let said = |text| Start::of_digits(text).map(|start| start.to_string());
        assert_eq!(said("20020122193408").unwrap(), "2002-01-22 19:34:08");
        assert_eq!(said("200201221934").unwrap(), "2002-01-22 19:34:00");
        assert_eq!(
            said("20020122193408.25-0500").unwrap(),
            "2002-01-22 19:34:08.25"
        );
        for none in ["", "2002", "20020122256161", "yesterday"] {
            assert_eq!(said(none), None, "{none}");
        }
        let no_date = Start::of([0, 0, 0], [8, 30, 1]).unwrap();
        assert_eq!(no_date.to_string(), "08:30:01");
        let age = |birth, day| age_at(birth, day);
        assert_eq!(age(date_of(1951, 5, 2), date_of(2026, 5, 1)), Some(74.0));
        assert_eq!(age(date_of(1951, 5, 2), date_of(2026, 5, 2)), Some(75.0));
        assert_eq!(age(date_of(2030, 5, 2), date_of(2026, 5, 2)), None);
        assert_eq!(age(None, date_of(2026, 5, 2)), None);
    }
}
