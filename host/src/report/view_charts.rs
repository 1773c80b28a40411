//! The four views of one beat, drawn.

use super::svg::{Area, Path, at};
use heartlens_core::spec::{
    ATRIAL_FEATURES, PATIENT_FEATURES, RHYTHM_FEATURES, RR_FEATURES, SAMPLE_RATE_HZ,
    SHAPE_FEATURES, SPECTROGRAM_BEFORE_SAMPLES, SPECTROGRAM_BINS, SPECTROGRAM_FRAME_SAMPLES,
    SPECTROGRAM_FRAMES, SPECTROGRAM_HOP_SAMPLES, SPECTRUM_BINS, WAVEFORM_BEFORE_SAMPLES,
    WAVEFORM_LEN_SAMPLES,
};
use heartlens_core::views::Views;
use maud::{Markup, html};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 190.0;
/// Shades of the spectrogram.
const SHADES: usize = 16;

/// The metadata view's groups of features: name and count, in its order.
pub(super) const GROUPS: [(&str, usize); 5] = [
    ("RR", RR_FEATURES),
    ("rhythm", RHYTHM_FEATURES),
    ("shape", SHAPE_FEATURES),
    ("P wave", ATRIAL_FEATURES),
    ("patient", PATIENT_FEATURES),
];

fn frame(label: &str, body: &Markup) -> Markup {
    html! {
        svg.view-chart viewBox={ "0 0 " (at(WIDTH)) " " (at(HEIGHT)) } role="img" aria-label=(label) { (body) }
    }
}

fn curve(values: &[f32], area: &Area, x: impl Fn(usize) -> f64) -> Path {
    let mut path = Path::default();
    for (i, value) in values.iter().enumerate() {
        let (x, y) = (area.x(x(i)), area.y(f64::from(*value)));
        match i {
            0 => path.move_to(x, y),
            _ => path.line_to(x, y),
        }
    }
    path
}

fn x_labels(area: &Area, values: &[f64], unit: &str) -> Markup {
    html! {
        path.axis d={ "M" (at(area.left)) " " (at(area.bottom)) "H" (at(area.right)) } {}
        @for (i, value) in values.iter().enumerate() {
            @let x = at(area.x(*value));
            path.axis d={ "M" (x) " " (at(area.bottom)) "v4" } {}
            text x=(x) y=(at(area.bottom + 6.0)) dy=".8em" text-anchor="middle" {
                (value) @if i + 1 == values.len() { " " (unit) }
            }
        }
    }
}

fn extent(values: &[f32]) -> (f64, f64) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let margin = (0.05 * (high - low)).max(0.05);
    (f64::from(low - margin), f64::from(high + margin))
}

/// The beat over the patient's template, in units of the template's scale.
pub(super) fn waveform(views: &Views) -> Markup {
    let (beat, template) = views.waveform.split_at(WAVEFORM_LEN_SAMPLES);
    let ms =
        |i: usize| (i as f64 - WAVEFORM_BEFORE_SAMPLES as f64) * 1000.0 / f64::from(SAMPLE_RATE_HZ);
    let area = Area {
        left: 6.0,
        right: 232.0,
        top: 6.0,
        bottom: 164.0,
        x: (ms(0) - 30.0, ms(WAVEFORM_LEN_SAMPLES - 1)),
        y: extent(&views.waveform),
    };
    frame(
        "Waveform: the beat, and the patient's template dashed",
        &html! {
            path.grid d={ "M" (at(area.x(0.0))) " " (at(area.top)) "V" (at(area.bottom)) } {}
            path.grid d={ "M" (at(area.left)) " " (at(area.y(0.0))) "H" (at(area.right)) } {}
            path.template d=(curve(template, &area, ms).data()) {}
            path.line d=(curve(beat, &area, ms).data()) {}
            (x_labels(&area, &[-300.0, 0.0, 300.0], "ms"))
        },
    )
}

/// Logarithmic magnitude from 0.5 to 32 Hz, the beat over the template.
pub(super) fn spectrum(views: &Views) -> Markup {
    let (beat, template) = views.spectrum.split_at(SPECTRUM_BINS);
    let hz = |i: usize| (i + 1) as f64 * 0.5;
    let area = Area {
        left: 6.0,
        right: 232.0,
        top: 6.0,
        bottom: 164.0,
        x: (0.0, hz(SPECTRUM_BINS - 1)),
        y: extent(&views.spectrum),
    };
    frame(
        "Spectrum: the beat, and the patient's template dashed",
        &html! {
            path.template d=(curve(template, &area, hz).data()) {}
            path.line d=(curve(beat, &area, hz).data()) {}
            (x_labels(&area, &[0.0, 10.0, 20.0, 30.0], "Hz"))
        },
    )
}

/// Logarithmic magnitude over time and frequency, 2 to 32 Hz: the beat on the left, the template on the right; from the
/// weakest cell of both to the strongest, the more ink.
pub(super) fn spectrogram(views: &Views) -> Markup {
    let half = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES;
    let cells = || views.spectrogram.iter().copied();
    let weakest = cells().fold(f32::INFINITY, f32::min);
    let strongest = cells().fold(f32::NEG_INFINITY, f32::max);
    let shade = |value: f32| {
        let share = (value - weakest) / (strongest - weakest).max(f32::MIN_POSITIVE);
        (share * (SHADES - 1) as f32).round() as usize
    };
    let (top, bottom) = (6.0, 164.0);
    let (cell_w, cell_h) = (8.8, (bottom - top) / SPECTROGRAM_BINS as f64);
    let map_w = cell_w * SPECTROGRAM_FRAMES as f64;
    let lefts = [28.0, WIDTH - 8.0 - map_w];
    let mut shades: Vec<Path> = (0..SHADES).map(|_| Path::default()).collect();
    for (channel, left) in lefts.into_iter().enumerate() {
        let cells = &views.spectrogram[channel * half..(channel + 1) * half];
        for (i, value) in cells.iter().enumerate() {
            let (bin, frame) = (i / SPECTROGRAM_FRAMES, i % SPECTROGRAM_FRAMES);
            let x = left + frame as f64 * cell_w;
            let y = bottom - (bin + 1) as f64 * cell_h;
            shades[shade(*value)].rect(x, y, cell_w, cell_h);
        }
    }
    // The frame whose middle is the R peak.
    let r_frame = (SPECTROGRAM_BEFORE_SAMPLES as f64 - SPECTROGRAM_FRAME_SAMPLES as f64 / 2.0)
        / SPECTROGRAM_HOP_SAMPLES as f64
        + 0.5;
    frame(
        "Spectrogram: the beat on the left, the patient's template on the right",
        &html! {
            @for (i, path) in shades.iter().enumerate().skip(1).filter(|(_, path)| !path.is_empty()) {
                path.heat fill-opacity=(at_hundredths(i as f64 / (SHADES - 1) as f64)) d=(path.data()) {}
            }
            @for (left, name) in lefts.into_iter().zip(["beat", "template"]) {
                rect.outline x=(at(left)) y=(at(top)) width=(at(map_w)) height=(at(bottom - top)) {}
                path.axis d={ "M" (at(left + r_frame * cell_w)) " " (at(bottom)) "v4" } {}
                text x=(at(left + map_w / 2.0)) y=(at(bottom + 6.0)) dy=".8em" text-anchor="middle" { (name) }
            }
            @for hz in [8, 16, 24, 32] {
                text x="24" y=(at(bottom - cell_h * (f64::from(hz) / 2.0 - 0.5))) dy=".35em" text-anchor="end" { (hz) }
            }
            text x="24" y=(at(bottom - 3.0)) text-anchor="end" { "Hz" }
        },
    )
}

fn at_hundredths(x: f64) -> String {
    super::svg::num(x, 2)
}

/// Every metadata feature as a bar to the left or the right of zero, in its group; a tick where the patient's normal
/// beats lie on average.
pub(super) fn metadata(views: &Views, usual: Option<&Views>) -> Markup {
    const BAR: f64 = 3.2;
    const GAP: f64 = 4.5;
    let area = Area {
        left: 62.0,
        right: 232.0,
        top: 4.0,
        bottom: 172.0,
        x: (-3.0, 3.0),
        y: (0.0, 1.0),
    };
    let zero = area.x(0.0);
    let (mut bars, mut ticks) = (Path::default(), Path::default());
    let mut labels = Vec::with_capacity(GROUPS.len());
    let mut y = area.top;
    let mut index = 0;
    for (name, count) in GROUPS {
        let from = y;
        for _ in 0..count {
            let x = area.x(f64::from(views.metadata[index]).clamp(-3.0, 3.0));
            bars.rect(x.min(zero), y, (x - zero).abs().max(0.6), BAR - 0.6);
            if let Some(usual) = usual {
                let x = area.x(f64::from(usual.metadata[index]).clamp(-3.0, 3.0));
                ticks.move_to(x, y - 0.3);
                ticks.line_to(x, y + BAR - 0.3);
            }
            y += BAR;
            index += 1;
        }
        labels.push((name, (from + y) / 2.0, from, y));
        y += GAP;
    }
    frame(
        "Metadata: features by group, ticks at the average of the normal beats",
        &html! {
            path.grid d={ "M" (at(zero)) " " (at(area.top)) "V" (at(y - GAP)) } {}
            path.bars d=(bars.data()) {}
            path.ticks d=(ticks.data()) {}
            @for (name, middle, from, to) in &labels {
                path.axis d={ "M" (at(area.left - 3.0)) " " (at(*from)) "V" (at(to - 0.6)) } {}
                text x=(at(area.left - 7.0)) y=(at(*middle)) dy=".35em" text-anchor="end" { (name) }
            }
            text x=(at(area.left)) y=(at(y + 5.0)) dy=".5em" { "-3" }
            text x=(at(zero)) y=(at(y + 5.0)) dy=".5em" text-anchor="middle" { "0" }
            text x=(at(area.right)) y=(at(y + 5.0)) dy=".5em" text-anchor="end" { "+3" }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartlens_core::spec::METADATA_LEN;

    #[test]
    fn the_groups_are_the_whole_view() {
        assert_eq!(GROUPS.iter().map(|(_, n)| n).sum::<usize>(), METADATA_LEN);
    }

    #[test]
    fn the_strongest_cell_has_the_most_ink_and_lies_where_it_should() {
        let mut views = Views::ZERO;
        views.spectrogram.fill(-20.0);
        // Bin 3 (8 Hz) of frame 5, channel 0.
        views.spectrogram[3 * SPECTROGRAM_FRAMES + 5] = 1.0;
        let text = spectrogram(&views).into_string();
        let heats: Vec<&str> = text.split("<path class=\"heat\"").skip(1).collect();
        assert_eq!(heats.len(), 1, "all others are far below");
        let cell_h = 158.0 / 16.0;
        let corner = format!("M{} {}h8.8", at(28.0 + 5.0 * 8.8), at(164.0 - 4.0 * cell_h));
        assert!(
            heats[0].contains("fill-opacity=\"1\"") && heats[0].contains(&corner),
            "{}",
            heats[0]
        );
    }
}
