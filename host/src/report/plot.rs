//! One strip as a picture that stands alone: SVG to scale, and PNG drawn from it.

use super::page::STYLE;
use super::paper::{self, Drawn};
use super::strips::Strip;
use super::svg::{clock, num};
use crate::analysis::Beat;
use crate::error::Error;
use crate::pipeline::Canonical;
use crate::records::Record;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use maud::html;
use std::ops::Range;

/// Around the strips, in mm.
const MARGIN_MM: f64 = 4.0;
/// The title's and the notice's line, in mm.
const LINE_MM: f64 = 6.0;
/// Between two leads, in mm.
const GAP_MM: f64 = 3.0;

/// Seconds that are read before those that are wanted, so that the resampler has begun.
const LEAD_IN_S: usize = 2;

/// Whole seconds of a lead at the canonical rate, in mV; fewer where the record ends before. Where the lead's rate is no
/// whole number, they begin within half a sample.
///
/// # Errors
/// As [`stream_canonical`](crate::pipeline::stream_canonical).
pub fn seconds_mv(record: &Record, lead: usize, seconds: Range<usize>) -> Result<Vec<f32>, Error> {
    let from = seconds.start.saturating_sub(LEAD_IN_S);
    let rate_hz = record.leads()[lead].sample_rate_hz;
    let at = |second: usize| (second as f64 * rate_hz).round() as usize;
    let mut samples = Vec::new();
    for block in Canonical::open(record, lead, at(from)..at(seconds.end + LEAD_IN_S))? {
        samples.extend(block?);
    }
    let rate = SAMPLE_RATE_HZ as usize;
    samples.truncate((seconds.end - from) * rate);
    samples.drain(..((seconds.start - from) * rate).min(samples.len()));
    Ok(samples)
}

/// Some seconds of a recording, to be drawn.
#[derive(Debug, Clone)]
pub struct Plot<'a> {
    /// The recording's name.
    pub record: &'a str,
    /// Whether the signal was computed, not recorded.
    pub synthetic: bool,
    /// The recording's length, in seconds.
    pub duration_s: f64,
    /// Which seconds; not empty, and beginning before the end of the recording.
    pub seconds: Range<usize>,
    /// Each lead's name and these seconds of its signal at the canonical rate, in mV, as [`seconds_mv`] reads them; what
    /// is longer is cut. They are drawn one below the other.
    pub leads: &'a [(String, Vec<f32>)],
    /// The recording's beats, ascending in time; those in the strip are labelled.
    pub beats: &'a [Beat],
    /// Where the labels come from, in a few words.
    pub labels: &'a str,
}

impl Plot<'_> {
    /// The picture as an SVG document, 25 mm/s and 10 mm/mV, in millimetres, with its style inside. The same plot gives
    /// the same bytes.
    pub fn to_svg(&self) -> String {
        let drawn: Vec<(&str, Drawn)> = self
            .leads
            .iter()
            .map(|(name, lead_mv)| {
                let seconds = self.seconds.clone();
                let start = seconds.start * SAMPLE_RATE_HZ as usize;
                let mut strip = Strip::new(self.beats, self.duration_s, seconds, Vec::new());
                strip.take(start, lead_mv);
                (name.as_str(), paper::draw(&strip, self.beats))
            })
            .collect();
        let strips: f64 = drawn.iter().map(|(_, drawn)| drawn.height + GAP_MM).sum();
        let widest = drawn
            .iter()
            .map(|(_, drawn)| drawn.width)
            .fold(0.0, f64::max);
        let width = num(widest + 2.0 * MARGIN_MM, 2);
        let height = num(2.0 * (MARGIN_MM + LINE_MM) + strips, 2);
        let title = format!(
            "{}{}, from {}",
            self.record,
            if self.synthetic { ", SYNTHETIC" } else { "" },
            clock(self.seconds.start as f64, true)
        );
        let notice = format!(
            "25 mm/s, 10 mm/mV; {}. Research software, not a medical device.",
            self.labels
        );
        let cut = drawn.iter().any(|(_, drawn)| drawn.cut);
        let first = MARGIN_MM + LINE_MM;
        let place = |i: usize| -> f64 {
            let above = drawn[..i].iter().map(|(_, drawn)| drawn.height + GAP_MM);
            first + above.sum::<f64>()
        };
        let bottom = first + strips;
        html! {
            svg xmlns="http://www.w3.org/2000/svg" width={ (width) "mm" } height={ (height) "mm" }
                viewBox={ "0 0 " (width) " " (height) } {
                title { (title) }
                style { (maud::PreEscaped(style())) }
                rect.page width=(width) height=(height) {}
                text.title x=(num(MARGIN_MM, 2)) y=(num(MARGIN_MM + 3.5, 2)) { (title) }
                @for (i, (name, drawn)) in drawn.iter().enumerate() {
                    g.paper transform={ "translate(" (num(MARGIN_MM, 2)) " " (num(place(i), 2)) ")" } {
                        (drawn.body)
                        text.lead x="1" y=(num(drawn.height - 6.5, 2)) { (name) }
                    }
                }
                text.notice x=(num(MARGIN_MM, 2)) y=(num(bottom + 3.0, 2)) {
                    (notice) @if cut { " The trace goes on beyond the paper's edge." }
                }
            }
        }
        .into_string()
    }
}

/// The style sheet of paper in the page's light colours, each written out: few programs that draw SVG know variables.
fn style() -> String {
    const OWN: &str = ".page{fill:var(--page)} text{font-family:\"Liberation Sans\",Arial,Helvetica,sans-serif;fill:var(--ink)} \
        .title{font-size:4px;font-weight:700} .notice{font-size:2.8px;fill:var(--soft)} \
        .paper .lead{font-size:3.2px;font-weight:700}\n";
    let mut text = OWN.to_owned() + paper::STYLE;
    let root = STYLE.split('}').next().unwrap_or_default();
    let light = root.rsplit('{').next().unwrap_or_default();
    for (name, value) in light.split(';').filter_map(|line| line.split_once(':')) {
        text = text.replace(&format!("var({})", name.trim()), value.trim());
    }
    text
}

/// Why a picture cannot be drawn in pixels.
#[cfg(feature = "png")]
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// Letters would be missing.
    #[error(
        "this machine has no fonts to draw a PNG's letters with; write .svg, or install a font such as DejaVu Sans"
    )]
    NoFonts,
    /// The picture would have no pixels, or too many.
    #[error(
        "a PNG of {width} x {height} pixels cannot be drawn; choose fewer seconds or fewer dots per inch"
    )]
    Size {
        /// In pixels.
        width: f32,
        /// In pixels.
        height: f32,
    },
    /// The drawing library failed.
    #[error("the PNG cannot be drawn: {0}")]
    Drawing(String),
}

/// Draws an SVG document in pixels, with the fonts of this machine.
///
/// # Errors
/// When there are no fonts, or the picture cannot be drawn.
#[cfg(feature = "png")]
pub fn png(svg: &str, dots_per_inch: f32) -> Result<Vec<u8>, PngError> {
    use resvg::tiny_skia::{Pixmap, Transform};
    use resvg::usvg::{Options, Tree, fontdb};
    /// CSS pixels an inch.
    const CSS_DPI: f32 = 96.0;
    /// In either direction.
    const MOST_PIXELS: f32 = 32_000.0;

    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_system_fonts();
    let any = fonts
        .faces()
        .find(|face| face.style == fontdb::Style::Normal);
    let family = any
        .and_then(|face| face.families.first())
        .map(|(name, _)| name.clone());
    let family = family.ok_or(PngError::NoFonts)?;
    let sans_serif = fontdb::Query {
        families: &[fontdb::Family::SansSerif],
        ..Default::default()
    };
    if fonts.query(&sans_serif).is_none() {
        fonts.set_sans_serif_family(family);
    }
    let drawing = |error: &dyn std::fmt::Display| PngError::Drawing(error.to_string());
    let tree = Tree::from_str(svg, &options).map_err(|error| drawing(&error))?;
    let scale = dots_per_inch / CSS_DPI;
    let (width, height) = (
        (tree.size().width() * scale).round(),
        (tree.size().height() * scale).round(),
    );
    let fits = width <= MOST_PIXELS && height <= MOST_PIXELS;
    let pixmap = fits
        .then(|| Pixmap::new(width as u32, height as u32))
        .flatten();
    let mut pixmap = pixmap.ok_or(PngError::Size { width, height })?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    pixmap.encode_png().map_err(|error| drawing(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{attributes, beats_of};

    fn plot<'a>(leads: &'a [(String, Vec<f32>)], beats: &'a [Beat]) -> Plot<'a> {
        Plot {
            record: "a & b <c>",
            synthetic: true,
            duration_s: 20.0,
            seconds: 3..8,
            leads,
            beats,
            labels: "classes by a test",
        }
    }

    fn leads(count: usize) -> Vec<(String, Vec<f32>)> {
        let spikes = |i: usize| if i % 128 == 64 { 1.0 } else { 0.0 };
        let lead: Vec<f32> = (3 * 128..8 * 128).map(spikes).collect();
        (0..count)
            .map(|i| (format!("lead {i}"), lead.clone()))
            .collect()
    }

    #[test]
    fn a_picture_stands_alone_and_is_to_scale() {
        let beats = beats_of("NNVNNSNNNNNNQNNN", |_| 1.0);
        let leads = leads(2);
        let text = plot(&leads, &beats).to_svg();
        assert_eq!(text, plot(&leads, &beats).to_svg());
        assert!(!text.contains("var(") && !text.contains("://www.w3.org/1999"));
        assert_eq!(
            text.replace("http://www.w3.org/2000/svg", "")
                .matches("://")
                .count(),
            0
        );
        let page = roxmltree::Document::parse(&text).expect("well-formed");
        let texts: Vec<&str> = page
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(texts[0], "a & b <c>, SYNTHETIC, from 0:00:03");
        let within = beats.iter().filter(|b| (3.0..8.0).contains(&b.time_s));
        let letters: Vec<&str> = within.map(|beat| beat.class.name()).collect();
        let found: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|t| "NSVFQ".contains(t))
            .collect();
        assert_eq!(found, [letters.clone(), letters.clone()].concat());
        let at = attributes(&text, "<text class=\"beat", " x=\"");
        assert!((at[1] - at[0] - 25.0).abs() < 0.011);
        let width = attributes(&text, "<svg", " width=\"")[0];
        assert_eq!(width, 5.0 * 25.0 + paper::CALIBRATION_MM + 2.0 * MARGIN_MM);
    }

    #[test]
    fn gaps_and_no_beats_are_drawn_too() {
        let leads = [("I".to_owned(), vec![f32::NAN; 5 * 128])];
        let text = plot(&leads, &[]).to_svg();
        assert!(!text.contains("NaN") && roxmltree::Document::parse(&text).is_ok());
    }

    /// The trace and a V's letter are where the SVG has them: dark pixels there, and paper around.
    #[cfg(feature = "png")]
    #[test]
    fn pixels_lie_where_the_millimetres_are() {
        use resvg::tiny_skia::Pixmap;
        let beats = beats_of("VVVVVVVVVVVV", |_| 1.0);
        let leads = leads(1);
        let dpi = 254.0;
        let image = match png(&plot(&leads, &beats).to_svg(), dpi) {
            Err(PngError::NoFonts) => {
                println!("skipped: this machine has no fonts");
                return;
            }
            image => image.expect("it is drawn"),
        };
        let image = Pixmap::decode_png(&image).expect("a PNG");
        let width_mm = 5.0 * 25.0 + paper::CALIBRATION_MM + 2.0 * MARGIN_MM;
        assert_eq!(image.width(), (10.0 * width_mm).round() as u32);
        let dark = |x_mm: f64, y_mm: std::ops::Range<f64>| {
            let rows = (10.0 * y_mm.start) as u32..(10.0 * y_mm.end) as u32;
            rows.filter(|y| {
                let pixel = image.pixel((10.0 * x_mm) as u32, *y);
                pixel.is_some_and(|p| u32::from(p.red()) + u32::from(p.blue()) < 150)
            })
            .count()
        };
        // The spike half a second after each whole one, on paper of 2 mV.
        let spike_mm = MARGIN_MM + paper::CALIBRATION_MM + 12.5;
        let paper_mm = MARGIN_MM + LINE_MM + 8.5..MARGIN_MM + LINE_MM + 28.0;
        assert!(dark(spike_mm, paper_mm.clone()) > 20);
        assert!(dark(spike_mm + 5.0, paper_mm) < 10);
        let tiny = png(&plot(&leads, &beats).to_svg(), 1e6);
        assert!(matches!(tiny, Err(PngError::Size { .. })));
    }
}
