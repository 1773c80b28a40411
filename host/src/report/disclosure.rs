//! Full disclosure: the whole recording, a line a minute and a block an hour.
//!
//! A line has [`COLUMNS`] columns, and of each only the lowest and the highest sample is kept, 4 bytes: 4 MB a day. The
//! blocks are written one line after the other, so that the page is never in memory.

use super::page::grouped;
use super::paper::MM_PER_MV;
use super::svg::{clock, css};
use crate::analysis::Beat;
use heartlens_core::class::Class;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Length of a line, in seconds.
pub(super) const LINE_S: usize = 60;
/// Lines of a block.
const BLOCK_LINES: usize = 60;
/// Columns of a line.
const COLUMNS: usize = 720;
const LINE_SAMPLES: usize = LINE_S * SAMPLE_RATE_HZ as usize;

/// Units of the picture: a column is two wide. A block is [`WIDTH`] wide, which is [`WIDTH_MM`] on paper.
const COLUMN: i32 = 2;
const LEFT: i32 = 84;
const WIDTH: i32 = LEFT + COLUMN * COLUMNS as i32 + 8;
/// A4 less its margins, in mm.
const WIDTH_MM: f64 = 186.0;
/// From line to line: an hour fills an A4 page.
const PITCH: i32 = 35;
/// Above the first line: room for the seconds.
const TOP: i32 = 38;
/// A line's trace goes so far beyond the middle between two lines, at most.
const REACH: i32 = 50;
/// Two letters nearer than this would cover each other: of beats of one class the second is left out.
const LETTER: i32 = 11;

/// Before and after an R peak, so much of the trace has the beat's colour, in seconds.
const BEAT_S: (f64, f64) = (0.25, 0.4);

/// Gains to choose from, in mm per mV.
const GAINS: [f64; 9] = [MM_PER_MV, 7.5, 5.0, 3.5, 2.5, 2.0, 1.5, 1.0, 0.5];
/// The highest that the middle one of all lines may be, in mm.
const TYPICAL_MM: f64 = 7.0;

/// The lowest and the highest sample of a column, in hundredths of a millivolt from the line's median.
#[derive(Debug, Clone, Copy)]
struct Column {
    low: i16,
    high: i16,
}

impl Column {
    /// Without a sample.
    const GAP: Self = Self { low: 1, high: 0 };

    /// From the lowest to the highest, where there is a sample.
    fn range(self) -> Option<(i16, i16)> {
        (self.low <= self.high).then_some((self.low, self.high))
    }
}

/// A recording, line by line.
#[derive(Debug, Clone, Default)]
pub(super) struct Disclosure {
    lines: Vec<Vec<Column>>,
    /// Samples of the line that is not complete yet, in mV.
    samples_mv: Vec<f32>,
}

impl Disclosure {
    /// Takes the next samples of the lead, in mV at the canonical rate.
    pub(super) fn take(&mut self, mut block_mv: &[f32]) {
        while !block_mv.is_empty() {
            let room = LINE_SAMPLES - self.samples_mv.len();
            let (now, later) = block_mv.split_at(room.min(block_mv.len()));
            self.samples_mv.extend_from_slice(now);
            block_mv = later;
            if self.samples_mv.len() == LINE_SAMPLES {
                self.end_line();
            }
        }
    }

    /// Ends the last line.
    pub(super) fn finish(&mut self) {
        if !self.samples_mv.is_empty() {
            self.end_line();
        }
        self.samples_mv = Vec::new();
    }

    fn end_line(&mut self) {
        let median_mv = median(&self.samples_mv);
        let hundredths = |mv: f32| (100.0 * (mv - median_mv)).round() as i16;
        let column = |column: usize| -> Column {
            let at = |column: usize| column * LINE_SAMPLES / COLUMNS;
            let end = at(column + 1).min(self.samples_mv.len());
            let samples = self.samples_mv.get(at(column)..end).unwrap_or_default();
            let finite = samples.iter().copied().filter(|mv| mv.is_finite());
            let range = finite.fold(None, |range: Option<(f32, f32)>, mv| {
                let (low, high) = range.unwrap_or((mv, mv));
                Some((low.min(mv), high.max(mv)))
            });
            range.map_or(Column::GAP, |(low, high)| Column {
                low: hundredths(low),
                high: hundredths(high),
            })
        };
        let mut columns: Vec<Column> = (0..COLUMNS).map(column).collect();
        let drawn = columns.iter().rposition(|column| column.range().is_some());
        columns.truncate(drawn.map_or(0, |last| last + 1));
        columns.shrink_to_fit();
        self.lines.push(columns);
        self.samples_mv.clear();
    }

    /// Whether there is nothing to see.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.iter().all(Vec::is_empty)
    }

    /// The largest gain at which the middle one of all lines keeps to its place, in mm per mV.
    pub(super) fn gain(&self) -> f64 {
        let height = |columns: &Vec<Column>| {
            let ranges = || columns.iter().filter_map(|column| column.range());
            let low = ranges().map(|range| range.0).min()?;
            let high = ranges().map(|range| range.1).max()?;
            Some(f64::from(high) - f64::from(low))
        };
        let mut heights: Vec<f64> = self.lines.iter().filter_map(height).collect();
        heights.sort_by(f64::total_cmp);
        let typical_mv = heights.get(heights.len() / 2).map_or(0.0, |h| h / 100.0);
        let fits = |gain: &&f64| **gain * typical_mv <= TYPICAL_MM;
        GAINS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or(GAINS[GAINS.len() - 1])
    }

    /// Speed of the paper, in mm per second.
    pub(super) fn mm_per_s(&self) -> f64 {
        f64::from(COLUMN) * (COLUMNS / LINE_S) as f64 * WIDTH_MM / f64::from(WIDTH)
    }

    /// What a column stands for, in milliseconds.
    pub(super) fn column_ms(&self) -> f64 {
        1000.0 * LINE_S as f64 / COLUMNS as f64
    }

    /// Writes all blocks, each a figure. `beats` are the recording's; `id` tells records apart.
    pub(super) fn write(&self, beats: &[Beat], id: usize, out: &mut impl Write) -> io::Result<()> {
        let units_per_hundredth = self.gain() / 100.0 * f64::from(WIDTH) / WIDTH_MM;
        for (block, lines) in self.lines.chunks(BLOCK_LINES).enumerate() {
            let start_s = (block * BLOCK_LINES * LINE_S) as f64;
            let last = lines.last().map_or(0, Vec::len) as f64 / (COLUMNS / LINE_S) as f64;
            let end_s = start_s + ((lines.len() - 1) * LINE_S) as f64 + last;
            let (from, to) = (clock(start_s, true), clock(end_s, true));
            let height = TOP + PITCH * lines.len() as i32 + 10;
            let full = if lines.len() == BLOCK_LINES {
                " full"
            } else {
                ""
            };
            write!(
                out,
                "<figure class=\"hour{full}\" id=\"hour-{id}-{block}\" style=\"--lines:{}\">\
                 <figcaption><b>{from} to {to}</b> {}</figcaption>\
                 <svg class=\"disclosure\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"ECG from {from} to {to}, a line a minute\">{}",
                lines.len(),
                counts(between(beats, start_s, end_s)),
                seconds(lines.len()),
            )?;
            for (place, columns) in lines.iter().enumerate() {
                let line = Line {
                    columns,
                    start_s: start_s + (place * LINE_S) as f64,
                    y: TOP + PITCH * place as i32 + PITCH * 3 / 5,
                    units_per_hundredth,
                };
                out.write_all(line.draw(beats).as_bytes())?;
            }
            out.write_all(b"</svg></figure>\n")?;
        }
        Ok(())
    }
}

/// The middle one of the samples that are there, in mV.
fn median(samples_mv: &[f32]) -> f32 {
    let mut finite: Vec<f32> = samples_mv
        .iter()
        .copied()
        .filter(|mv| mv.is_finite())
        .collect();
    let middle = finite.len() / 2;
    match finite.is_empty() {
        true => 0.0,
        false => *finite.select_nth_unstable_by(middle, f32::total_cmp).1,
    }
}

/// How many beats there are, and of which classes besides N.
fn counts(beats: &[Beat]) -> String {
    let mut text = format!("{} beats", grouped(beats.len()));
    for class in Class::ALL.into_iter().skip(1) {
        let count = beats.iter().filter(|beat| beat.class == class).count();
        if count > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", {} {class}", grouped(count));
        }
    }
    text
}

/// The beats from a time on and before another, in seconds.
fn between(beats: &[Beat], from_s: f64, to_s: f64) -> &[Beat] {
    let first = beats.partition_point(|beat| beat.time_s < from_s);
    let last = beats.partition_point(|beat| beat.time_s < to_s);
    &beats[first..last.max(first)]
}

/// A scale of seconds above the lines, and a faint upright every ten.
fn seconds(lines: usize) -> String {
    let bottom = TOP + PITCH * lines as i32;
    let (mut grid, mut labels) = (String::new(), String::new());
    for second in (0..=LINE_S).step_by(10) {
        let x = LEFT + COLUMN * (second * COLUMNS / LINE_S) as i32;
        // Writing into a String cannot fail.
        let _ = write!(grid, "M{x} {}V{bottom}", TOP - 14);
        let unit = if second == 0 { " s" } else { "" };
        let _ = write!(
            labels,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{second}{unit}</text>",
            TOP - 20
        );
    }
    format!("<path class=\"grid\" d=\"{grid}\"/>{labels}")
}

/// A line to be drawn.
struct Line<'a> {
    columns: &'a [Column],
    start_s: f64,
    /// Where its median lies.
    y: i32,
    units_per_hundredth: f64,
}

impl Line<'_> {
    /// The trace in each class's colour, the letters of all beats but N, and the time.
    fn draw(&self, beats: &[Beat]) -> String {
        let mut text = format!(
            "<text class=\"time\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 10,
            self.y + 4,
            clock(self.start_s, false)
        );
        let classes = self.classes(beats);
        for class in Class::ALL {
            let data = self.trace(&classes, class);
            if !data.is_empty() {
                // Writing into a String cannot fail.
                let _ = write!(text, "<path class=\"{}\" d=\"{data}\"/>", css(class));
            }
        }
        let end_s = self.start_s + LINE_S as f64;
        for class in Class::ALL.into_iter().skip(1) {
            let (mut letters, mut places) = (String::new(), String::new());
            let mut last = i32::MIN / 2;
            for beat in between(beats, self.start_s, end_s) {
                let x = LEFT + COLUMN * self.column(beat.time_s);
                if beat.class == class && x - last >= LETTER {
                    letters.push_str(class.name());
                    let space = if places.is_empty() { "" } else { " " };
                    let _ = write!(places, "{space}{x}");
                    last = x;
                }
            }
            if !letters.is_empty() {
                let y = self.y - PITCH / 2 + 1;
                let _ = write!(
                    text,
                    "<text class=\"{}\" x=\"{places}\" y=\"{y}\">{letters}</text>",
                    css(class)
                );
            }
        }
        text.push('\n');
        text
    }

    /// The column of a time, not cut.
    fn column(&self, time_s: f64) -> i32 {
        ((time_s - self.start_s) * (COLUMNS / LINE_S) as f64).round() as i32
    }

    /// Whose colour each column has: that of the beat around it, half way to its neighbours at most.
    fn classes(&self, beats: &[Beat]) -> Vec<Class> {
        let mut classes = vec![Class::N; self.columns.len()];
        let end_s = self.start_s + LINE_S as f64;
        let first = beats.partition_point(|beat| beat.time_s < self.start_s - BEAT_S.1);
        let last = beats.partition_point(|beat| beat.time_s < end_s + BEAT_S.0);
        for place in first..last {
            let beat = &beats[place];
            if beat.class == Class::N {
                continue;
            }
            let middle = |other: Option<&Beat>| other.map(|b| (b.time_s + beat.time_s) / 2.0);
            let before = middle(place.checked_sub(1).and_then(|i| beats.get(i)));
            let after = middle(beats.get(place + 1));
            let from = (beat.time_s - BEAT_S.0).max(before.unwrap_or(f64::NEG_INFINITY));
            let to = (beat.time_s + BEAT_S.1).min(after.unwrap_or(f64::INFINITY));
            let within = |time_s: f64| (self.column(time_s).max(0) as usize).min(classes.len());
            let range = within(from)..within(to);
            classes[range].fill(beat.class);
        }
        classes
    }

    /// The trace where it has this class's colour: down and up through each column, on whole units, so that a column
    /// in which little moves takes three or four bytes. It begins where the trace before it ended.
    fn trace(&self, classes: &[Class], wanted: Class) -> String {
        let mut data = String::new();
        let y = |hundredths: i16| {
            let up = (f64::from(hundredths) * self.units_per_hundredth).round() as i32;
            self.y - up.clamp(-REACH, REACH)
        };
        // Where the trace is, and where the path has been drawn to.
        let mut pen: Option<(i32, i32)> = None;
        let mut drawn: Option<(i32, i32)> = None;
        let mut flat = 0;
        for (place, (column, class)) in self.columns.iter().zip(classes).enumerate() {
            let Some((low, high)) = column.range() else {
                pen = None;
                drawn = None;
                continue;
            };
            let x = LEFT + COLUMN * place as i32;
            let (low, high) = (y(low), y(high));
            let from = pen.map_or(low, |(_, y)| y);
            let ends: &[i32] = match low - high {
                0..=1 => &[high],
                _ if (from - low).abs() <= (from - high).abs() => &[low, high],
                _ => &[high, low],
            };
            if *class == wanted {
                let start = pen.unwrap_or((x - 1, ends[0]));
                if drawn != Some(start) {
                    push_flat(&mut data, &mut flat);
                    // Writing into a String cannot fail.
                    let _ = write!(data, "M{} {}l", start.0, start.1);
                }
                let mut at = start;
                for end in ends {
                    let (dx, dy) = (x - at.0, end - at.1);
                    if dy == 0 {
                        flat += dx;
                    } else {
                        push_flat(&mut data, &mut flat);
                        push_step(&mut data, dx, dy);
                    }
                    at = (x, *end);
                }
                drawn = Some(at);
            } else {
                push_flat(&mut data, &mut flat);
            }
            pen = ends.last().map(|end| (x, *end));
        }
        push_flat(&mut data, &mut flat);
        data
    }
}

/// Draws the level part that is due.
fn push_flat(data: &mut String, flat: &mut i32) {
    if *flat > 0 {
        push_step(data, *flat, 0);
        *flat = 0;
    }
}

/// A step of a path after `l`: a minus is a separator of its own.
fn push_step(data: &mut String, dx: i32, dy: i32) {
    let space = if data.ends_with('l') { "" } else { " " };
    let between = if dy < 0 { "" } else { " " };
    // Writing into a String cannot fail.
    let _ = write!(data, "{space}{dx}{between}{dy}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::beats_of;

    fn drawn(beats: &[Beat], lead_mv: &[f32], block: usize) -> (Disclosure, String) {
        let mut disclosure = Disclosure::default();
        lead_mv
            .chunks(block)
            .for_each(|block| disclosure.take(block));
        disclosure.finish();
        let mut out = Vec::new();
        disclosure.write(beats, 0, &mut out).expect("memory");
        (disclosure, String::from_utf8(out).expect("text"))
    }

    /// The points of a path, by following its steps.
    fn points(data: &str) -> Vec<Vec<(i32, i32)>> {
        let numbers = |text: &str| -> Vec<i32> {
            let spaced = text.replace('-', " -");
            spaced
                .split_whitespace()
                .map(|n| n.parse().expect("a number"))
                .collect()
        };
        let stretch = |text: &str| {
            let (start, steps) = text.split_once('l').expect("steps");
            let (start, steps) = (numbers(start), numbers(steps));
            let mut at = (start[0], start[1]);
            let mut points = vec![at];
            for step in steps.chunks(2) {
                at = (at.0 + step[0], at.1 + step[1]);
                points.push(at);
            }
            points
        };
        data.split('M')
            .filter(|text| !text.is_empty())
            .map(stretch)
            .collect()
    }

    fn paths(text: &str, class: &str) -> Vec<String> {
        let tag = format!("<path class=\"{class}\" d=\"");
        let parts = text.split(&tag).skip(1);
        parts
            .map(|part| part[..part.find('"').expect("it ends")].to_owned())
            .collect()
    }

    /// A spike at each beat: the trace reaches its height at its column, the line's colour is the class's there, and the
    /// letter stands above; whatever the blocks.
    #[test]
    fn a_beat_is_where_it_was_and_says_what_it_is() {
        let beats = beats_of(&"NNVNSNQN".repeat(12), |_| 1.5);
        let mut lead = vec![-3.0_f32; 150 * SAMPLE_RATE_HZ as usize];
        for beat in &beats {
            lead[(beat.time_s * 128.0) as usize] = -2.0;
        }
        let (disclosure, text) = drawn(&beats, &lead, 999);
        assert_eq!(
            disclosure.gain(),
            5.0,
            "a millivolt is above 7 mm at 7.5 mm/mV"
        );
        assert_eq!(drawn(&beats, &lead, 7).1, text);
        assert_eq!(
            disclosure.lines.iter().map(Vec::len).collect::<Vec<_>>(),
            [720, 720, 360]
        );
        let up = (5.0 * f64::from(WIDTH) / WIDTH_MM).round() as i32;
        for (class, letter) in [("k-v", 'V'), ("k-s", 'S'), ("k-q", 'Q')] {
            let expected: Vec<&Beat> = beats
                .iter()
                .filter(|b| b.class.name().starts_with(letter))
                .collect();
            let mut heights = Vec::new();
            for path in paths(&text, class) {
                for stretch in points(&path) {
                    let base = stretch[0].1;
                    let top = stretch.iter().min_by_key(|point| point.1).expect("points");
                    assert_eq!(base - top.1, up);
                    heights.push(((top.0 - LEFT) / COLUMN, (base - TOP) / PITCH));
                }
            }
            let at = |beat: &&Beat| {
                let sample = (beat.time_s * 128.0) as i32;
                let within = sample % LINE_SAMPLES as i32;
                (
                    within * COLUMNS as i32 / LINE_SAMPLES as i32,
                    sample / LINE_SAMPLES as i32,
                )
            };
            let expected: Vec<(i32, i32)> = expected.iter().map(at).collect();
            assert_eq!(heights, expected, "{class}");
            let tag = format!("<text class=\"{class}\"");
            let letters = text.split(&tag).skip(1);
            let count =
                letters.map(|t| t[..t.find("</").expect("it ends")].matches(letter).count());
            assert_eq!(count.sum::<usize>(), expected.len());
        }
    }

    #[test]
    fn gaps_break_the_line_and_heights_are_cut() {
        let mut lead = vec![0.0_f32; 10 * SAMPLE_RATE_HZ as usize];
        lead[256..512].fill(f32::NAN);
        lead[900] = 40.0;
        let (_, text) = drawn(&[], &lead, 100);
        let stretches = points(&paths(&text, "k-n")[0]);
        assert_eq!(stretches.len(), 2);
        let ends = |stretch: &[(i32, i32)]| (stretch[0].0, stretch[stretch.len() - 1].0);
        assert_eq!(ends(&stretches[0]), (LEFT - 1, LEFT + 2 * 23));
        assert_eq!(ends(&stretches[1]), (LEFT + 2 * 48 - 1, LEFT + 2 * 119));
        let top = stretches[1].iter().map(|point| point.1).min();
        assert_eq!(top, Some(stretches[0][0].1 - REACH));
        for empty in [&[][..], &[f32::NAN; 500]] {
            assert!(drawn(&[], empty, 64).0.is_empty());
        }
    }

    /// Beats half a column's letter apart share one.
    #[test]
    fn a_fast_run_is_legible() {
        let beats = beats_of(&"V".repeat(100), |_| 0.25);
        let (_, text) = drawn(&beats, &vec![0.0; 30 * 128], 4000);
        let letters = text.split("<text class=\"k-v\"").nth(1).expect("letters");
        let places = letters.split('"').nth(1).expect("places");
        let places: Vec<i32> = places.split(' ').map(|x| x.parse().expect("x")).collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LETTER));
        assert!(places.len() >= 40, "{}", places.len());
    }
}
