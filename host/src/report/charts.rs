//! The whole recording at a glance: RR tachogram, heart rate, signal quality.

use super::svg::{Area, Path, at, css};
use super::trend::Column;
use crate::analysis::Beat;
use heartlens_core::class::Class;
use maud::{Markup, html};

/// Up to so many beats, each has its own marker in the tachogram.
pub(super) const MAX_MARKERS: usize = 4000;
/// Height of the cells in which the markers of ectopic beats are joined where there are more beats, in milliseconds.
pub(super) const CELL_MS: f64 = 100.0;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 656.0;
/// Height of a class's lane below the tachogram.
const LANE: f64 = 26.0;
/// Between the tachogram's zero line and the first lane.
const GAP: f64 = 10.0;

/// Radius of a marker that stands for one beat, for up to nine, for more.
fn radius(count: usize) -> f64 {
    match count {
        0..=1 => 2.8,
        2..=9 => 3.8,
        _ => 5.0,
    }
}

/// The tachogram's vertical scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RrScale {
    /// The upper edge, in milliseconds.
    top_ms: f64,
    /// Between two lines, in milliseconds.
    step_ms: f64,
    /// RR intervals longer than that.
    pub(super) beyond: usize,
}

impl RrScale {
    /// Room for all but the longest of 200 intervals, so that one pause does not flatten a day.
    pub(super) fn of(beats: &[Beat]) -> Self {
        const STEPS: [(f64, f64); 5] = [
            (1000.0, 250.0),
            (1500.0, 250.0),
            (2000.0, 500.0),
            (3000.0, 500.0),
            (4000.0, 1000.0),
        ];
        let mut rr: Vec<f64> = beats.iter().filter_map(|beat| beat.rr_ms).collect();
        rr.sort_by(f64::total_cmp);
        let usual = rr
            .get(rr.len().saturating_sub(1) * 199 / 200)
            .copied()
            .unwrap_or(0.0);
        let fits = |(top_ms, _): &&(f64, f64)| 1.2 * usual <= *top_ms;
        let (top_ms, step_ms) = STEPS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or(STEPS[STEPS.len() - 1]);
        Self {
            top_ms,
            step_ms,
            beyond: rr.len() - rr.partition_point(|rr| *rr <= top_ms),
        }
    }
}

/// RR intervals over time, each marked by the class of the beat that ends it, and a lane for each class but N that
/// counts its beats.
pub(super) fn tachogram(beats: &[Beat], columns: &[Column], duration_s: f64) -> Markup {
    let scale = RrScale::of(beats);
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: 12.0,
        bottom: 262.0,
        x: (0.0, duration_s),
        y: (0.0, scale.top_ms),
    };
    let lanes: Vec<(Class, usize)> = Class::ALL
        .into_iter()
        .enumerate()
        .skip(1)
        .map(|(i, class)| (class, columns.iter().map(|column| column.counts[i]).sum()))
        .filter(|(_, total)| *total > 0)
        .collect();
    let axis = Area {
        bottom: area.bottom + GAP + LANE * lanes.len() as f64 + 4.0,
        ..area
    };
    let height = axis.bottom + 30.0;
    let each = beats.len() <= MAX_MARKERS;
    html! {
        svg.chart viewBox={ "0 0 " (at(WIDTH)) " " (at(height)) } role="img"
            aria-label="RR intervals over time, marked by class" {
            (area.y_axis(scale.step_ms, |ms| format!("{ms:.0}")))
            @if each {
                @for class in rarest_last(columns) {
                    @let path = markers(beats, class, &area);
                    @if !path.is_empty() {
                        path class={ "mark " (css(class)) } d=(path.data()) {}
                    }
                }
            } @else {
                @let (band, median) = normal_band(beats, columns, &area);
                path.band d=(band.data()) {}
                path.line d=(median.data()) {}
                @for class in rarest_last(columns).into_iter().filter(|class| *class != Class::N) {
                    @let path = cells(beats, columns, class, &area);
                    @if !path.is_empty() {
                        path class={ "mark " (css(class)) } d=(path.data()) {}
                    }
                }
            }
            @for (i, (class, total)) in lanes.iter().enumerate() {
                @let bottom = area.bottom + GAP + LANE * (i + 1) as f64;
                path.grid d={ "M" (at(LEFT)) " " (at(bottom)) "H" (at(RIGHT)) } {}
                text.letter.(css(*class)) x=(at(LEFT - 6.0)) y=(at(bottom - 6.0)) text-anchor="end" { (class) }
                text.letter x=(at(RIGHT + 6.0)) y=(at(bottom - 6.0)) { (total) }
                path class={ "bar " (css(*class)) } d=(lane(columns, *class, &area, bottom).data()) {}
            }
            (axis.time_axis())
        }
    }
}

/// All classes, those with fewer beats later, so that they are drawn on top.
fn rarest_last(columns: &[Column]) -> [Class; Class::ALL.len()] {
    let mut classes = Class::ALL;
    classes.sort_by_key(|class| {
        let place = super::trend::place(*class);
        let count: usize = columns.iter().map(|column| column.counts[place]).sum();
        std::cmp::Reverse(count)
    });
    classes
}

/// One marker a beat.
fn markers(beats: &[Beat], class: Class, area: &Area) -> Path {
    let mut path = Path::default();
    for beat in beats.iter().filter(|beat| beat.class == class) {
        if let Some(rr_ms) = beat.rr_ms {
            path.marker(class, area.x(beat.time_s), area.y(rr_ms), radius(1));
        }
    }
    path
}

/// The columns' middle in time.
fn middle_s(columns: &[Column], i: usize, area: &Area) -> f64 {
    let end_s = columns.get(i + 1).map_or(area.x.1, |next| next.start_s);
    (columns[i].start_s + end_s) / 2.0
}

/// Of each column's N: from the shortest to the longest RR interval as a bar, and the median as a line, broken where a
/// column has none.
fn normal_band(beats: &[Beat], columns: &[Column], area: &Area) -> (Path, Path) {
    let (mut band, mut median) = (Path::default(), Path::default());
    let mut connected = false;
    for (i, column) in columns.iter().enumerate() {
        let mut rr: Vec<f64> = beats[column.beats.clone()]
            .iter()
            .filter(|beat| beat.class == Class::N)
            .filter_map(|beat| beat.rr_ms)
            .collect();
        rr.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (rr.first(), rr.last()) else {
            connected = false;
            continue;
        };
        let left = area.x(column.start_s);
        let end_s = columns.get(i + 1).map_or(area.x.1, |next| next.start_s);
        let (top, bottom) = (area.y(*high), area.y(*low));
        band.rect(left, top, area.x(end_s) - left, (bottom - top).max(1.0));
        let (x, y) = (area.x(middle_s(columns, i, area)), area.y(rr[rr.len() / 2]));
        match connected {
            true => median.line_to(x, y),
            false => {
                median.move_to(x, y);
                // A single column shows as a dot.
                median.line_to(x + 0.1, y);
            }
        }
        connected = true;
    }
    (band, median)
}

/// One marker for all of a class's beats in a column and [`CELL_MS`] of RR interval, the larger the more.
fn cells(beats: &[Beat], columns: &[Column], class: Class, area: &Area) -> Path {
    let mut path = Path::default();
    let rows = (area.y.1 / CELL_MS) as usize;
    for (i, column) in columns.iter().enumerate() {
        let mut counts = vec![0; rows];
        for beat in beats[column.beats.clone()]
            .iter()
            .filter(|b| b.class == class)
        {
            if let Some(rr_ms) = beat.rr_ms {
                counts[((rr_ms / CELL_MS) as usize).min(rows - 1)] += 1;
            }
        }
        for (row, count) in counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            let x = area.x(middle_s(columns, i, area));
            path.marker(
                class,
                x,
                area.y((row as f64 + 0.5) * CELL_MS),
                radius(count),
            );
        }
    }
    path
}

/// A bar a column, as high as its count against the fullest column's.
fn lane(columns: &[Column], class: Class, area: &Area, bottom: f64) -> Path {
    const HEIGHT: f64 = LANE - 6.0;
    const LEAST: f64 = 3.0;
    let place = super::trend::place(class);
    let most = columns
        .iter()
        .map(|column| column.counts[place])
        .max()
        .unwrap_or(0)
        .max(1);
    let mut path = Path::default();
    for (i, column) in columns
        .iter()
        .enumerate()
        .filter(|(_, c)| c.counts[place] > 0)
    {
        let height = (HEIGHT * column.counts[place] as f64 / most as f64).max(LEAST);
        let end_s = columns.get(i + 1).map_or(area.x.1, |next| next.start_s);
        let left = area.x(column.start_s);
        path.rect(
            left,
            bottom - height,
            (area.x(end_s) - left).max(1.2),
            height,
        );
    }
    path
}

/// Heart rate over time: a column's mean as a line, its slowest and fastest 8 beats as a band.
pub(super) fn heart_rate(columns: &[Column], duration_s: f64) -> Markup {
    let rates = || {
        columns.iter().flat_map(|column| {
            let (low, high) = column.rate_range.unzip();
            [column.rate, low, high].into_iter().flatten()
        })
    };
    let step = 20.0;
    let low = (rates().fold(60.0, f64::min) / step).floor() * step;
    let high = (rates().fold(100.0, f64::max).min(300.0) / step).ceil() * step;
    let step = if high - low > 120.0 { 2.0 * step } else { step };
    let high = low + ((high - low) / step).ceil() * step;
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: 12.0,
        bottom: 172.0,
        x: (0.0, duration_s),
        y: (low, high),
    };
    let (mut band, mut line) = (Path::default(), Path::default());
    let mut connected = false;
    for (i, column) in columns.iter().enumerate() {
        let left = area.x(column.start_s);
        let end_s = columns.get(i + 1).map_or(duration_s, |next| next.start_s);
        if let Some((slowest, fastest)) = column.rate_range {
            let (top, bottom) = (area.y(fastest), area.y(slowest));
            band.rect(left, top, area.x(end_s) - left, (bottom - top).max(1.0));
        }
        let Some(rate) = column.rate else {
            connected = false;
            continue;
        };
        let (x, y) = (area.x(middle_s(columns, i, &area)), area.y(rate));
        match connected {
            true => line.line_to(x, y),
            false => {
                line.move_to(x, y);
                line.line_to(x + 0.1, y);
            }
        }
        connected = true;
    }
    html! {
        svg.chart viewBox={ "0 0 " (at(WIDTH)) " 204" } role="img" aria-label="Heart rate over time" {
            (area.y_axis(step, |rate| format!("{rate:.0}")))
            path.band d=(band.data()) {}
            path.line d=(line.data()) {}
            (area.time_axis())
        }
    }
}

/// Signal quality over time: the beats' mean quality as a line, the share of unreadable ones as bars.
pub(super) fn quality(columns: &[Column], duration_s: f64) -> Markup {
    let area = Area {
        left: LEFT,
        right: RIGHT,
        top: 12.0,
        bottom: 82.0,
        x: (0.0, duration_s),
        y: (0.0, 1.0),
    };
    let unreadable = super::trend::place(Class::Q);
    let (mut bars, mut line) = (Path::default(), Path::default());
    let mut connected = false;
    for (i, column) in columns.iter().enumerate() {
        let Some(quality) = column.quality else {
            connected = false;
            continue;
        };
        let left = area.x(column.start_s);
        let end_s = columns.get(i + 1).map_or(duration_s, |next| next.start_s);
        let share = column.counts[unreadable] as f64 / column.beats.len() as f64;
        if share > 0.0 {
            let top = area.y(share);
            bars.rect(
                left,
                top,
                (area.x(end_s) - left).max(1.2),
                (area.bottom - top).max(2.0),
            );
        }
        let y = area.y(quality);
        match connected {
            true => line.line_to(area.x(end_s), y),
            false => {
                line.move_to(left, y);
                line.line_to(area.x(end_s), y);
            }
        }
        connected = true;
    }
    html! {
        svg.chart viewBox={ "0 0 " (at(WIDTH)) " 114" } role="img" aria-label="Signal quality over time" {
            (area.y_axis(0.5, |share| format!("{:.0}", 100.0 * share)))
            path class={ "bar " (css(Class::Q)) } d=(bars.data()) {}
            path.line d=(line.data()) {}
            (area.time_axis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::rhythm;
    use crate::report::trend::columns;

    /// Markers of a class in a tachogram, counted by how their paths begin.
    fn markers_of(text: &str, class: Class) -> usize {
        let tag = format!("class=\"mark {}\" d=\"", css(class));
        let Some(start) = text.find(&tag) else {
            return 0;
        };
        let data = &text[start + tag.len()..];
        data[..data.find('"').unwrap_or(0)].matches('M').count()
    }

    #[test]
    fn one_pause_does_not_flatten_the_scale() {
        let classes = "N".repeat(300);
        let scale = RrScale::of(&crate::report::tests::beats_of(&classes, |i| {
            if i == 70 { 3.5 } else { 0.7 }
        }));
        assert_eq!((scale.top_ms, scale.beyond), (1000.0, 1));
        assert_eq!(RrScale::of(&[]).beyond, 0);
    }

    #[test]
    fn below_the_limit_each_beat_has_its_marker() {
        let beats = rhythm(1500, 3);
        let duration_s = beats[beats.len() - 1].time_s;
        let text = tachogram(&beats, &columns(&beats, duration_s), duration_s).into_string();
        for class in Class::ALL {
            let with_rr = beats
                .iter()
                .filter(|b| b.class == class && b.rr_ms.is_some());
            assert_eq!(markers_of(&text, class), with_rr.count(), "{class}");
        }
    }

    #[test]
    fn above_it_no_ectopic_beat_is_lost() {
        let beats = rhythm(MAX_MARKERS + 1000, 3);
        let duration_s = beats[beats.len() - 1].time_s;
        let columns = columns(&beats, duration_s);
        let text = tachogram(&beats, &columns, duration_s).into_string();
        assert_eq!(markers_of(&text, Class::N), 0);
        let last_row = (RrScale::of(&beats).top_ms / CELL_MS) as usize - 1;
        for (i, class) in Class::ALL.iter().enumerate().skip(1) {
            let mut filled = std::collections::BTreeSet::new();
            for (j, column) in columns.iter().enumerate() {
                for beat in beats[column.beats.clone()]
                    .iter()
                    .filter(|b| b.class == *class)
                {
                    filled.extend(
                        beat.rr_ms
                            .map(|rr| (j, ((rr / CELL_MS) as usize).min(last_row))),
                    );
                }
            }
            assert_eq!(markers_of(&text, *class), filled.len(), "{class}");
            let total: usize = columns.iter().map(|column| column.counts[i]).sum();
            let lane = format!(">{class}</text>");
            let after = &text[text.find(&lane).expect("the class has a lane") + lane.len()..];
            let label = &after[..after.find("</text>").expect("the lane has a count")];
            assert!(
                label.ends_with(&format!(">{total}")),
                "{class} {total}: {label}"
            );
        }
    }
}
