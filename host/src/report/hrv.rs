//! Heart rate variability: of the whole recording, and of each hour.

use super::Section;
use super::svg::{clock, num};
use crate::hrv::Figures;
use maud::{Markup, html};

/// Hours that the table lists, at most: two weeks.
const LISTED: usize = 336;

/// A column of the table: what it is called, its digits, and its figure.
type Column = (&'static str, usize, fn(&Figures) -> Option<f64>);

const COLUMNS: [Column; 13] = [
    ("mean NN, ms", 0, |f| f.mean_nn_ms),
    ("SDNN, ms", 1, |f| f.sdnn_ms),
    ("SDANN, ms", 1, |f| f.sdann_ms),
    ("SDNN index, ms", 1, |f| f.sdnn_index_ms),
    ("RMSSD, ms", 1, |f| f.rmssd_ms),
    ("pNN50, %", 1, |f| f.pnn50_percent),
    ("triangular index", 1, |f| f.triangular_index),
    ("VLF, ms²", 0, |f| f.vlf_ms2),
    ("LF, ms²", 0, |f| f.lf_ms2),
    ("HF, ms²", 0, |f| f.hf_ms2),
    ("LF/HF", 2, |f| f.lf_hf),
    ("SD1, ms", 1, |f| f.sd1_ms),
    ("SD2, ms", 1, |f| f.sd2_ms),
];

/// The section of heart rate variability.
pub(super) fn variability(section: &Section) -> Markup {
    let hrv = &section.hrv;
    let out = &hrv.left_out;
    html! {
        section {
            h3 { "Heart rate variability" }
            p.lead {
                "Of the intervals between normal beats, as the Task Force of 1996 defines it. Left out are "
                (out.ectopic) " intervals beside S, V and F, " (out.unreadable) " beside beats that could not be read, "
                (out.fibrillation) " in atrial fibrillation and " (out.gap) " of more than 4 s. "
                "A dash says that there is too little time. "
                "R peaks that were found lie on a grid of 7.8 ms: an RMSSD below 15 ms says little."
            }
            div.scroll tabindex="0" {
                table.hrv {
                    thead {
                        tr {
                            th scope="col" { "From" }
                            th scope="col" { "NN intervals" }
                            @for (name, ..) in COLUMNS { th scope="col" { (name) } }
                        }
                    }
                    tbody {
                        (row("All", &hrv.whole))
                        @if hrv.hours.len() > 1 {
                            @for hour in hrv.hours.iter().take(LISTED) { (row(&clock(hour.from_s, false), &hour.figures)) }
                        }
                    }
                }
            }
            @if hrv.hours.len() > LISTED {
                p.small { "The first " (LISTED) " hours of " (hrv.hours.len()) "; the JSON has all." }
            }
        }
    }
}

fn row(name: &str, figures: &Figures) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td { (figures.intervals) }
            @for (_, decimals, figure) in COLUMNS {
                td { (figure(figures).map_or_else(|| "-".to_owned(), |value| num(value, decimals))) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hrv::Hrv;
    use crate::report::tests::{beats_of, facts};

    #[test]
    fn every_hour_has_a_row_and_every_figure_a_cell() {
        let beats = beats_of(&"N".repeat(9000), |i| 0.8 + 0.01 * (i % 5) as f64);
        let duration_s = beats.last().map_or(0.0, |beat| beat.time_s) + 1.0;
        let section = Section::new(facts("hrv", duration_s), beats.clone(), Vec::new());
        let text = variability(&section).into_string();
        let hrv = Hrv::of(&beats, duration_s);
        let rows = text.matches("<th scope=\"row\">").count();
        assert_eq!((rows, hrv.hours.len()), (4, 3));
        for figures in hrv
            .hours
            .iter()
            .map(|hour| &hour.figures)
            .chain([&hrv.whole])
        {
            let sdnn = figures.sdnn_ms.expect("an hour is enough");
            assert!(
                text.contains(&format!("<td>{}</td>", num(sdnn, 1))),
                "{sdnn}"
            );
        }
        let short = Section::new(facts("short", 10.0), beats[..10].to_vec(), Vec::new());
        let text = variability(&short).into_string();
        assert_eq!(text.matches("<td>-</td>").count(), COLUMNS.len());
    }
}
