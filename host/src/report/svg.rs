//! The little of SVG that the report draws with: numbers, paths, markers and axes.
//!
//! Drawn by hand rather than by a plotting crate: strips must be exact in millimetres, colours must follow the reader's
//! light or dark scheme by CSS classes, and a class must have its own shape. Plotting crates write pixels and fixed colours.

use heartlens_core::class::Class;
use maud::{Markup, html};
use std::fmt::Write as _;

/// A number with at most `decimals` places and no zeros at its end.
pub(super) fn num(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0" } else { text }.to_owned()
}

/// A coordinate: one place.
pub(super) fn at(x: f64) -> String {
    num(x, 1)
}

/// A path's data.
#[derive(Debug, Default)]
pub(super) struct Path(String);

impl Path {
    /// Ends the line; the next point starts another.
    pub(super) fn move_to(&mut self, x: f64, y: f64) {
        self.push("M", x, y);
    }

    pub(super) fn line_to(&mut self, x: f64, y: f64) {
        self.push("L", x, y);
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.move_to(x, y);
        // Writing into a String cannot fail.
        let (width, height) = (num(width, 2), num(height, 2));
        let _ = write!(self.0, "h{width}v{height}h-{width}z");
    }

    /// A class's marker about a point: a dot for N (to be stroked with round ends), a triangle for S, a square for V, a
    /// diamond for F, a cross (to be stroked) for Q.
    pub(super) fn marker(&mut self, class: Class, x: f64, y: f64, r: f64) {
        let of = |share: f64| num(share * r, 2);
        match class {
            Class::N => {
                self.move_to(x, y);
                self.0.push_str("h0");
            }
            Class::S => {
                self.move_to(x, y - r);
                let _ = write!(self.0, "l{} {}h-{}z", of(1.0), of(1.8), of(2.0));
            }
            Class::V => {
                self.rect(x - 0.85 * r, y - 0.85 * r, 1.7 * r, 1.7 * r);
            }
            Class::F => {
                self.move_to(x, y - 1.2 * r);
                let (a, b) = (of(0.9), of(1.2));
                let _ = write!(self.0, "l{a} {b}l-{a} {b}l-{a} -{b}z");
            }
            Class::Q => {
                self.move_to(x - 0.8 * r, y - 0.8 * r);
                let d = of(1.6);
                let _ = write!(self.0, "l{d} {d}m0 -{d}l-{d} {d}");
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn data(&self) -> &str {
        &self.0
    }

    fn push(&mut self, command: &str, x: f64, y: f64) {
        let _ = write!(self.0, "{command}{} {}", at(x), at(y));
    }
}

/// A class's name in the style sheet: its letter in lower case after `k-`.
pub(super) fn css(class: Class) -> &'static str {
    match class {
        Class::N => "k-n",
        Class::S => "k-s",
        Class::V => "k-v",
        Class::F => "k-f",
        Class::Q => "k-q",
    }
}

/// A class's marker as a small picture of its own.
pub(super) fn symbol(class: Class) -> Markup {
    let mut path = Path::default();
    path.marker(class, 6.0, 6.0, 4.4);
    html! {
        svg.symbol viewBox="0 0 12 12" aria-hidden="true" {
            path class={ "mark " (css(class)) } d=(path.data()) {}
        }
    }
}

/// The plot area of a chart: what lies where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Values at the left and the right edge.
    pub(super) x: (f64, f64),
    /// Values at the bottom and the top edge.
    pub(super) y: (f64, f64),
}

impl Area {
    pub(super) fn x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        self.left + share * (self.right - self.left)
    }

    /// The place of a value; one beyond the edges lies on the edge.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = ((value - self.y.0) / (self.y.1 - self.y.0)).clamp(0.0, 1.0);
        self.bottom - share * (self.bottom - self.top)
    }

    /// Horizontal lines with their values at the left. Where the text is large, only every second value is kept (class
    /// `alt`).
    pub(super) fn y_axis(&self, step: f64, label: impl Fn(f64) -> String) -> Markup {
        let count = ((self.y.1 - self.y.0) / step).round() as usize;
        html! {
            @for i in 0..=count {
                @let value = self.y.0 + i as f64 * step;
                @let y = self.y(value);
                path.grid d={ "M" (at(self.left)) " " (at(y)) "H" (at(self.right)) } {}
                text.alt[i % 2 == 1] x=(at(self.left - 6.0)) y=(at(y)) dy=".35em" text-anchor="end" { (label(value)) }
            }
        }
    }

    /// Ticks of time below the plot, `seconds` being the unit of x.
    pub(super) fn time_axis(&self) -> Markup {
        const STEPS_S: [f64; 17] = [
            1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
            10_800.0, 14_400.0, 21_600.0, 43_200.0,
        ];
        const MOST: f64 = 10.0;
        let span_s = self.x.1 - self.x.0;
        let step = match STEPS_S.iter().find(|step| span_s / **step <= MOST) {
            Some(step) => *step,
            None => (span_s / MOST / 86_400.0).ceil() * 86_400.0,
        };
        let count = (span_s / step).floor() as usize;
        html! {
            path.axis d={ "M" (at(self.left)) " " (at(self.bottom)) "H" (at(self.right)) } {}
            @for i in 0..=count {
                @let value = self.x.0 + i as f64 * step;
                @let x = at(self.x(value));
                path.axis d={ "M" (x) " " (at(self.bottom)) "v5" } {}
                text.alt[i % 2 == 1] x=(x) y=(at(self.bottom + 8.0)) dy=".8em" text-anchor="middle" {
                    (clock(value, step < 60.0))
                }
            }
        }
    }
}

/// Seconds since the recording's start as `h:mm:ss`, or `h:mm`.
pub(super) fn clock(seconds: f64, with_seconds: bool) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    match with_seconds {
        true => format!("{hours}:{minutes:02}:{:02}", whole % 60),
        false => format!("{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(num(12.500, 2), "12.5");
        assert_eq!(num(100.0, 0), "100");
        assert_eq!(num(-0.001, 2), "0");
        assert_eq!(num(3.0, 1), "3");
    }

    #[test]
    fn times() {
        assert_eq!(clock(59.6, true), "0:01:00");
        assert_eq!(clock(90_061.0, true), "25:01:01");
        assert_eq!(clock(3600.0, false), "1:00");
    }

    #[test]
    fn values_land_where_they_belong() {
        let area = Area {
            left: 10.0,
            right: 110.0,
            top: 5.0,
            bottom: 25.0,
            x: (0.0, 50.0),
            y: (-1.0, 1.0),
        };
        assert_eq!((area.x(25.0), area.y(0.0)), (60.0, 15.0));
        assert_eq!((area.y(9.0), area.y(-9.0)), (5.0, 25.0));
    }

    #[test]
    fn each_class_has_its_own_shape() {
        let shapes = Class::ALL.map(|class| {
            let mut path = Path::default();
            path.marker(class, 0.0, 0.0, 1.0);
            path.data().to_owned()
        });
        for (i, a) in shapes.iter().enumerate() {
            assert!(shapes[..i].iter().all(|b| a != b), "{a}");
        }
    }
}
