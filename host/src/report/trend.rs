//! What a recording's beats did over time: columns for the charts, rows for the table, runs and pauses.

use crate::analysis::Beat;
use crate::summary::{HEART_RATE_BEATS, Summary};
use heartlens_core::class::Class;
use std::ops::Range;

pub(super) use crate::episodes::{PAUSE_MS, RUN_BEATS, Run, ectopic_runs, pauses};

/// Columns of a chart, at most.
pub(super) const MAX_COLUMNS: usize = 300;

/// Widths of a chart's columns, in seconds.
const COLUMN_S: [f64; 14] = [
    5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0,
    86_400.0,
];

/// One column of the charts: the beats of a short time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Where it starts, in seconds.
    pub(super) start_s: f64,
    /// The beats, as indices.
    pub(super) beats: Range<usize>,
    /// Beats of each class, in the order of [`Class::ALL`].
    pub(super) counts: [usize; Class::ALL.len()],
    /// 60 s over the mean RR interval, per minute.
    pub(super) rate: Option<f64>,
    /// The slowest and the fastest mean over [`HEART_RATE_BEATS`] RR intervals that ends in this column, per minute.
    pub(super) rate_range: Option<(f64, f64)>,
    /// The beats' mean quality, 0..=1.
    pub(super) quality: Option<f64>,
}

/// The width of the columns of a recording of `duration_s`, in seconds: at most [`MAX_COLUMNS`] of them.
pub(super) fn column_s(duration_s: f64) -> f64 {
    let fits = |width: &&f64| (duration_s / **width).ceil() <= MAX_COLUMNS as f64;
    match COLUMN_S.iter().find(fits) {
        Some(width) => *width,
        None => (duration_s / MAX_COLUMNS as f64 / 86_400.0).ceil() * 86_400.0,
    }
}

/// The width of the table's rows, in seconds: an hour, less for short recordings, a day for very long ones.
pub(super) fn row_s(duration_s: f64) -> f64 {
    match duration_s {
        d if d <= 600.0 => 60.0,
        d if d < 7200.0 => 300.0,
        d if d <= 400.0 * 3600.0 => 3600.0,
        _ => 86_400.0,
    }
}

/// Beats in steps of `width_s`: the start of each step and its beats, empty steps included. Beats are ascending in time;
/// those past the end (an annotation on the last sample) belong to the last step.
pub(super) fn steps(beats: &[Beat], duration_s: f64, width_s: f64) -> Vec<(f64, Range<usize>)> {
    let count = (duration_s / width_s).ceil().max(1.0) as usize;
    let mut from = 0;
    (0..count)
        .map(|step| {
            let end_s = (step + 1) as f64 * width_s;
            let to = if step + 1 == count {
                beats.len()
            } else {
                from + beats[from..].partition_point(|beat| beat.time_s < end_s)
            };
            let range = from..to;
            from = to;
            (step as f64 * width_s, range)
        })
        .collect()
}

/// The columns of the charts.
pub(super) fn columns(beats: &[Beat], duration_s: f64) -> Vec<Column> {
    let rates = rolling_rates(beats);
    steps(beats, duration_s, column_s(duration_s))
        .into_iter()
        .map(|(start_s, range)| {
            let within = &beats[range.clone()];
            let mut counts = [0; Class::ALL.len()];
            for beat in within {
                counts[place(beat.class)] += 1;
            }
            let rr: Vec<f64> = within.iter().filter_map(|beat| beat.rr_ms).collect();
            let rate_range = rates[range.clone()].iter().flatten().fold(
                None,
                |range: Option<(f64, f64)>, rate| {
                    let (low, high) = range.unwrap_or((*rate, *rate));
                    Some((low.min(*rate), high.max(*rate)))
                },
            );
            Column {
                start_s,
                counts,
                rate: (!rr.is_empty()).then(|| 60_000.0 * rr.len() as f64 / rr.iter().sum::<f64>()),
                rate_range,
                quality: (!within.is_empty()).then(|| {
                    within.iter().map(|b| f64::from(b.quality)).sum::<f64>() / within.len() as f64
                }),
                beats: range,
            }
        })
        .collect()
}

/// The mean rate over the [`HEART_RATE_BEATS`] RR intervals up to each beat, per minute; `None` before there are as many.
fn rolling_rates(beats: &[Beat]) -> Vec<Option<f64>> {
    let mut latest = std::collections::VecDeque::with_capacity(HEART_RATE_BEATS + 1);
    beats
        .iter()
        .map(|beat| {
            latest.push_back(beat.rr_ms?);
            if latest.len() > HEART_RATE_BEATS {
                latest.pop_front();
            }
            (latest.len() == HEART_RATE_BEATS)
                .then(|| 60_000.0 * HEART_RATE_BEATS as f64 / latest.iter().sum::<f64>())
        })
        .collect()
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Where it starts, in seconds.
    pub(super) start_s: f64,
    /// Its beats, summed up as the whole recording's are.
    pub(super) summary: Summary,
}

/// The rows of the table.
pub(super) fn rows(beats: &[Beat], duration_s: f64) -> Vec<Row> {
    steps(beats, duration_s, row_s(duration_s))
        .into_iter()
        .map(|(start_s, range)| Row {
            start_s,
            summary: Summary::of(&beats[range]),
        })
        .collect()
}

/// A class's place in [`Class::ALL`].
pub(super) fn place(class: Class) -> usize {
    match class {
        Class::N => 0,
        Class::S => 1,
        Class::V => 2,
        Class::F => 3,
        Class::Q => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::rhythm;

    #[test]
    fn classes_have_their_place() {
        for (i, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(place(class), i);
        }
    }

    #[test]
    fn no_duration_has_too_many_columns() {
        for duration_s in [0.1, 5.0, 1500.0, 1501.0, 86_400.0, 1_209_600.0, 1e9] {
            let columns = columns(&[], duration_s).len();
            assert!((1..=MAX_COLUMNS).contains(&columns), "{duration_s} s");
        }
        assert_eq!(column_s(86_400.0), 300.0);
        assert_eq!(column_s(86_401.0), 300.0);
        assert_eq!(column_s(1e9), 39.0 * 86_400.0);
    }

    #[test]
    fn columns_and_rows_hold_every_beat_once_and_agree_with_the_summary() {
        let beats = rhythm(3000, 7);
        let duration_s = beats[beats.len() - 1].time_s;
        let whole = Summary::of(&beats);
        let columns = columns(&beats, duration_s);
        let rows = rows(&beats, duration_s);
        assert!(columns.len() > 100 && rows.len() > 5);
        for (i, class) in Class::ALL.iter().enumerate() {
            let count = whole.counts[class.name()];
            assert!(count > 0, "the rhythm has every class");
            assert_eq!(columns.iter().map(|c| c.counts[i]).sum::<usize>(), count);
            let in_rows = rows.iter().map(|row| row.summary.counts[class.name()]);
            assert_eq!(in_rows.sum::<usize>(), count);
        }
        for column in &columns {
            for beat in &beats[column.beats.clone()] {
                assert!(beat.time_s >= column.start_s);
            }
        }
        let rate = whole.heart_rate_bpm.expect("there are RR intervals");
        let ranges = || columns.iter().filter_map(|column| column.rate_range);
        let slowest = ranges().map(|(low, _)| low).fold(f64::INFINITY, f64::min);
        let fastest = ranges().map(|(_, high)| high).fold(0.0, f64::max);
        assert!((slowest - rate.min).abs() < 1e-9 && (fastest - rate.max).abs() < 1e-9);
    }
}
