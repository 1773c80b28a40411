//! A training's log as a picture.

use crate::fit::log::Line;
use crate::study::results::Headline;
use plotters::coord::types::{RangedCoordf64, RangedCoordu32};
use plotters::prelude::*;
use thiserror::Error;

/// Width of the picture, in pixels.
const WIDTH: u32 = 900;
/// Height of one chart, in pixels.
const HEIGHT: u32 = 320;
/// Steps that the smooth line of the loss is a mean of.
const SMOOTHED_STEPS: usize = 25;
/// Font of captions and labels.
const FONT: &str = "sans-serif";

/// A picture that could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the curves could not be drawn: {0}")]
pub struct DrawError(String);

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordu32, RangedCoordf64>>;

/// The loss over the steps, and below it, where records were held out, what they say. As SVG.
///
/// # Errors
/// If the drawing fails.
pub fn svg(lines: &[Line], title: &str) -> Result<String, DrawError> {
    let mut losses = Vec::new();
    let mut judgements = Vec::new();
    for line in lines {
        match *line {
            Line::Step { step, loss, .. } => losses.extend(loss.map(|loss| (step, loss))),
            Line::Judgement { steps, held_out } => judgements.push((steps, held_out)),
        }
    }
    let charts = if judgements.is_empty() { 1 } else { 2 };
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, charts * HEIGHT)).into_drawing_area();
        area.fill(&WHITE).map_err(fail)?;
        let parts = area.split_evenly((charts as usize, 1));
        draw_loss(&parts[0], &losses, title)?;
        if let Some(part) = parts.get(1) {
            draw_judgements(part, &judgements)?;
        }
        area.present().map_err(fail)?;
    }
    Ok(text)
}

fn fail(error: impl std::fmt::Display) -> DrawError {
    DrawError(error.to_string())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A chart of steps up to `last` and values from 0 to `most`, with its grid.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    caption: &str,
    last: u32,
    most: f64,
) -> Result<Chart<'a, 'b>, DrawError> {
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0..last.max(1), 0.0..most)
        .map_err(fail)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("step")
        .light_line_style(WHITE)
        .draw()
        .map_err(fail)?;
    Ok(chart)
}

fn add_line(
    chart: &mut Chart<'_, '_>,
    points: Vec<(u32, f64)>,
    color: RGBColor,
    label: &str,
) -> Result<(), DrawError> {
    let series = LineSeries::new(points, color.stroke_width(2));
    let drawn = chart.draw_series(series).map_err(fail)?;
    drawn
        .label(label)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    Ok(())
}

fn add_labels<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    position: SeriesLabelPosition,
) -> Result<(), DrawError> {
    let mut labels = chart.configure_series_labels();
    let labels = labels.position(position).label_font((FONT, 13));
    let labels = labels
        .background_style(WHITE.mix(0.95))
        .border_style(BLACK.mix(0.3));
    labels.draw().map_err(fail)
}

fn draw_loss(area: &Area<'_>, losses: &[(u32, f64)], title: &str) -> Result<(), DrawError> {
    let last = losses.last().map_or(1, |(step, _)| *step);
    let most = losses.iter().map(|(_, loss)| *loss).fold(0.0, f64::max);
    let mut chart = chart(
        area,
        &format!("{title}: loss"),
        last,
        (1.05 * most).max(0.01),
    )?;
    let each = LineSeries::new(losses.iter().copied(), BLUE.mix(0.25));
    chart.draw_series(each).map_err(fail)?;
    let smooth = losses.windows(SMOOTHED_STEPS).map(|window| {
        let sum: f64 = window.iter().map(|(_, loss)| loss).sum();
        (window[SMOOTHED_STEPS / 2].0, sum / SMOOTHED_STEPS as f64)
    });
    let label = format!("mean of {SMOOTHED_STEPS} steps");
    add_line(&mut chart, smooth.collect(), BLUE, &label)?;
    add_labels(&mut chart, SeriesLabelPosition::UpperRight)
}

fn draw_judgements(area: &Area<'_>, judgements: &[(u32, Headline)]) -> Result<(), DrawError> {
    type Figure = fn(&Headline) -> Option<f64>;
    let figures: [(&str, RGBColor, Figure); 4] = [
        ("jk", BLACK, |h| h.jk),
        ("macro F1 N,S,V", BLUE, |h| h.macro_f1_nsv),
        ("F1 of S", RED, |h| h.f1_s),
        ("F1 of V", RGBColor(0, 140, 60), |h| h.f1_v),
    ];
    let last = judgements.last().map_or(1, |(steps, _)| *steps);
    let mut chart = chart(area, "held-out records", last, 1.0)?;
    for (label, color, figure) in figures {
        let points = judgements.iter();
        let points = points.filter_map(|(steps, headline)| Some((*steps, figure(headline)?)));
        add_line(&mut chart, points.collect(), color, label)?;
    }
    add_labels(&mut chart, SeriesLabelPosition::LowerRight)
}
