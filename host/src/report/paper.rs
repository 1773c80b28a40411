//! A strip on ECG paper: 25 mm/s and 10 mm/mV, in CSS millimetres, so that print is to scale.

use super::strips::Strip;
use super::svg::{clock, css, num};
use crate::analysis::Beat;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use maud::{Markup, html};
use std::fmt::Write as _;

/// Speed of the paper, in mm per second.
pub(super) const MM_PER_S: f64 = 25.0;
/// Gain, in mm per mV.
pub(super) const MM_PER_MV: f64 = 10.0;

/// Left of the trace: the calibration mark, in mm.
pub(super) const CALIBRATION_MM: f64 = 7.0;
/// Above the paper: the beats' letters, in mm.
const LABELS_MM: f64 = 8.0;
/// Below the paper: the time, in mm.
const TIME_MM: f64 = 5.0;
/// The paper's height, at most, in mV; what is beyond is cut off, and the strip says so.
const MAX_MV: f64 = 5.0;
/// The paper's height, at least, in mV.
const MIN_MV: f64 = 2.0;
/// Shortest RR interval whose length has room between two letters, in milliseconds.
const RR_SHOWN_MS: f64 = 330.0;

/// The part of the voltage that the paper shows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    /// The strip's median, drawn as 0 mV, in mV.
    offset_mv: f64,
    /// Edges of the paper, in mV from the median, whole halves.
    low_mv: f64,
    high_mv: f64,
    /// Whether some of the trace lies beyond.
    cut: bool,
}

impl Range {
    fn of(samples_mv: &[f32]) -> Self {
        let mut finite: Vec<f32> = samples_mv
            .iter()
            .copied()
            .filter(|x| x.is_finite())
            .collect();
        finite.sort_by(f32::total_cmp);
        let nth = |i: usize| finite.get(i).copied().map_or(0.0, f64::from);
        let offset_mv = nth(finite.len() / 2);
        let (lowest, highest) = (
            nth(0) - offset_mv,
            nth(finite.len().saturating_sub(1)) - offset_mv,
        );
        let mut low_mv = ((lowest - 0.1) * 2.0).floor() / 2.0;
        let mut high_mv = ((highest + 0.1) * 2.0).ceil() / 2.0;
        if high_mv - low_mv > MAX_MV {
            // Three fifths for the side on which the trace goes further.
            let down = if highest >= -lowest { 0.4 } else { 0.6 };
            low_mv = low_mv.max(-down * MAX_MV);
            high_mv = high_mv.min(low_mv + MAX_MV);
        }
        while high_mv - low_mv < MIN_MV {
            high_mv += 0.5;
        }
        Self {
            offset_mv,
            low_mv,
            high_mv,
            cut: lowest < low_mv || highest > high_mv,
        }
    }
}

/// The style sheet of what [`draw`] draws, inside of an element of class `paper`.
pub(super) const STYLE: &str = include_str!("paper.css");

/// A strip, drawn in millimetres.
pub(super) struct Drawn {
    /// Elements of SVG, from the upper left corner.
    pub(super) body: Markup,
    /// In mm.
    pub(super) width: f64,
    /// In mm.
    pub(super) height: f64,
    /// Whether some of the trace lies beyond the paper.
    pub(super) cut: bool,
}

/// Where a time lies on a strip, in mm from its left edge.
pub(super) fn x_mm(strip: &Strip, time_s: f64) -> f64 {
    CALIBRATION_MM + (time_s - strip.start_s as f64) * MM_PER_S
}

/// A strip as a picture of its own, and whether some of the trace lies beyond the paper. `beats` are the recording's.
pub(super) fn paper(strip: &Strip, beats: &[Beat]) -> (Markup, bool) {
    let drawn = draw(strip, beats);
    let (width, height) = (num(drawn.width, 2), num(drawn.height, 2));
    let picture = html! {
        svg.paper width={ (width) "mm" } height={ (height) "mm" } viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-label={ "ECG from " (clock(strip.start_s as f64, true)) ", " (num(strip.len_s, 1)) " s, 25 mm/s, 10 mm/mV" } {
            (drawn.body)
        }
    };
    (picture, drawn.cut)
}

/// Grid, calibration mark, trace, letters, RR intervals and time. `beats` are the recording's.
pub(super) fn draw(strip: &Strip, beats: &[Beat]) -> Drawn {
    let range = Range::of(&strip.samples_mv);
    let height = (range.high_mv - range.low_mv) * MM_PER_MV;
    let width = CALIBRATION_MM + (strip.len_s * MM_PER_S).ceil();
    let total = LABELS_MM + height + TIME_MM;
    let (top, bottom) = (LABELS_MM, LABELS_MM + height);
    let y_mm = |mv: f64| top + (range.high_mv - mv) * MM_PER_MV;
    let zero = y_mm(0.0);
    let within = &beats[strip.beats.clone()];
    let rr_labels = within.windows(2).filter_map(|pair| {
        let rr_ms = pair[1].rr_ms.filter(|rr_ms| *rr_ms >= RR_SHOWN_MS)?;
        let middle_s = (pair[0].time_s + pair[1].time_s) / 2.0;
        Some((x_mm(strip, middle_s), format!("{rr_ms:.0}")))
    });
    let end_s = strip.start_s as f64 + strip.len_s;
    let seconds = (strip.start_s..).take_while(|s| *s as f64 + 0.25 <= end_s);
    let body = html! {
        rect.sheet x="0" y=(num(top, 2)) width=(num(width, 2)) height=(num(height, 2)) {}
        path.mm1 d=(grid(width, top, bottom, 1)) {}
        path.mm5 d=(grid(width, top, bottom, 5)) {}
        @for event in &strip.events {
            @let from = x_mm(strip, event.span_s.0.max(strip.start_s as f64)) - 2.0;
            @let to = x_mm(strip, event.span_s.1.min(end_s)) + 2.0;
            rect.event x=(num(from, 2)) y=(num(top, 2)) width=(num((to - from).max(0.0), 2)) height="1" {}
        }
        path.pulse d={ "M1 " (num(zero, 2)) "h1v-10h4v10h1" } {}
        svg x="0" y=(num(top, 2)) width=(num(width, 2)) height=(num(height, 2))
            viewBox={ "0 " (num(top, 2)) " " (num(width, 2)) " " (num(height, 2)) } {
            path.trace d=(trace(&strip.samples_mv, |mv| y_mm(mv - range.offset_mv))) {}
        }
        @for beat in within {
            @let x = num(x_mm(strip, beat.time_s), 2);
            path.tick d={ "M" (x) " " (num(top - 1.4, 2)) "v1.4" } {}
            text.beat.(css(beat.class)) x=(x) y=(num(top - 2.2, 2)) text-anchor="middle" { (beat.class) }
        }
        @for (x, label) in rr_labels {
            text.rr x=(num(x, 2)) y=(num(top - 2.2, 2)) text-anchor="middle" { (label) }
        }
        @for second in seconds {
            @let x = num(x_mm(strip, second as f64), 2);
            path.tick d={ "M" (x) " " (num(bottom, 2)) "v1.2" } {}
            text.time x=(x) y=(num(bottom + 4.2, 2)) { (clock(second as f64, true)) }
        }
    };
    Drawn {
        body,
        width,
        height: total,
        cut: range.cut,
    }
}

/// Lines every `step` mm, counted from the trace's beginning, so that whole seconds lie on thick lines.
fn grid(width: f64, top: f64, bottom: f64, step: usize) -> String {
    let mut data = String::new();
    let (top_text, height) = (num(top, 2), num(bottom - top, 2));
    let first = CALIBRATION_MM as usize % step;
    for x in (first..=width as usize).step_by(step) {
        // Writing into a String cannot fail.
        let _ = write!(data, "M{x} {top_text}v{height}");
    }
    for y in (top as usize..=bottom as usize)
        .step_by(step)
        .map(|y| y as f64)
    {
        let _ = write!(data, "M0 {}h{}", num(y, 2), num(width, 2));
    }
    data
}

/// The trace: one sample after the other in steps of hundredths of a millimetre, broken at gaps.
fn trace(samples_mv: &[f32], y_mm: impl Fn(f64) -> f64) -> String {
    let mut data = String::with_capacity(samples_mv.len() * 8);
    let step_mm = MM_PER_S / f64::from(SAMPLE_RATE_HZ);
    let hundredths = |mm: f64| (mm * 100.0).round() as i64;
    let mut pen: Option<(i64, i64)> = None;
    for (i, mv) in samples_mv.iter().enumerate() {
        if !mv.is_finite() {
            pen = None;
            continue;
        }
        let x = hundredths(CALIBRATION_MM + i as f64 * step_mm);
        // Far beyond the paper is as good as any distance.
        let y = hundredths(y_mm(f64::from(*mv)).clamp(-1000.0, 1000.0));
        let (command, dx, dy) = match pen {
            None => ('M', x, y),
            Some((from_x, from_y)) => ('l', x - from_x, y - from_y),
        };
        let text = |v: i64| num(v as f64 / 100.0, 2);
        // Writing into a String cannot fail.
        let _ = write!(data, "{command}{} {}", text(dx), text(dy));
        pen = Some((x, y));
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::strips::strips;
    use crate::report::tests::{attributes, beats_of};

    /// Two beats lie RR x 25 mm apart, a millivolt is 10 mm, and the picture's millimetres are CSS millimetres.
    #[test]
    fn paper_is_to_scale() {
        let beats = beats_of("NNVNNNNN", |i| [0.8, 0.64, 1.12][i % 3]);
        let duration_s = 7.0;
        let mut lead = vec![0.25_f32; 7 * 128];
        lead[128] = 1.25;
        let mut strips = strips(&beats, duration_s, 1);
        strips[0].take(0, &lead);
        let (drawn, cut) = paper(&strips[0], &beats);
        assert!(!cut);
        let text = drawn.into_string();

        let letters: Vec<f64> = attributes(&text, "<text class=\"beat", " x=\"");
        assert_eq!(letters.len(), beats.len());
        for (i, pair) in letters.windows(2).enumerate() {
            let rr_s = beats[i + 1].rr_ms.expect("all but the first have one") / 1000.0;
            assert!((pair[1] - pair[0] - 25.0 * rr_s).abs() < 0.011, "beat {i}");
        }
        assert_eq!(letters[0], CALIBRATION_MM + 25.0 * beats[0].time_s);

        let svg = &text[..text.find('>').expect("the svg's tag ends")];
        let width = attributes(svg, "<svg", " width=\"")[0];
        let height = attributes(svg, "<svg", " height=\"")[0];
        assert!(svg.contains(&format!("viewBox=\"0 0 {width} {height}\"")));
        assert!(svg.contains(&format!("width=\"{width}mm\" height=\"{height}mm\"")));
        assert_eq!(width, CALIBRATION_MM + 175.0);
        assert!(width <= 186.0, "fits A4 less 12 mm on either side");

        // The spike: sample 128, one second in, rises by 1 mV and falls again.
        let trace = trace(&lead, |mv| 20.0 - 10.0 * mv);
        assert!(trace.contains("l0.2 -10l0.2 10l"), "{trace}");
        let mut x = 0.0;
        let mut farthest = 0.0_f64;
        for part in trace
            .replace('M', "l")
            .split('l')
            .filter(|part| !part.is_empty())
        {
            let dx: f64 = part
                .split(' ')
                .next()
                .and_then(|t| t.parse().ok())
                .expect("a number");
            x += dx;
            farthest = farthest.max(x);
        }
        assert!((farthest - (CALIBRATION_MM + 25.0 * 895.0 / 128.0)).abs() < 0.01);
    }

    #[test]
    fn the_paper_holds_the_trace_or_says_that_it_does_not() {
        for (samples, low, high, cut) in [
            (&[0.0_f32, 0.0, 1.2][..], -0.5, 1.5, false),
            (&[5.0, 5.0, 6.2], -0.5, 1.5, false),
            (&[0.0, 0.0, 0.0, -2.45, 0.3], -3.0, 0.5, false),
            (&[0.0, 0.0, 0.0, 9.0, -9.0], -2.0, 3.0, true),
            (&[0.0, 0.0, 0.0, 9.0, -9.5], -3.0, 2.0, true),
            (&[f32::NAN], -0.5, 1.5, false),
            (&[], -0.5, 1.5, false),
        ] {
            let range = Range::of(samples);
            assert_eq!(
                (range.low_mv, range.high_mv, range.cut),
                (low, high, cut),
                "{samples:?}"
            );
        }
    }

    #[test]
    fn gaps_break_the_trace() {
        let data = trace(&[0.0, f32::NAN, 0.0, 0.0], |mv| 10.0 * mv);
        assert_eq!(data, "M7 0M7.39 0l0.2 0");
    }
}
