//! The report's text and tables.

use super::disclosure::Disclosure;
use super::strips::{STRIP_S, Strip};
use super::svg::{clock, css, num, symbol};
use super::trend::{self, PAUSE_MS, RUN_BEATS, Run};
use super::views::Chosen;
use super::{Heading, Section, charts, paper, view_charts};
use crate::analysis::Beat;
use crate::model;
use crate::options::Mode;
use crate::runtime::{Logits, argmax};
use crate::summary::{HEART_RATE_BEATS, Summary, percent};
use heartlens_core::class::Class;
use heartlens_core::patient::Sex;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::View;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::io::{self, Write};

pub(super) const NOTICE: &str = "Research software, not a medical device";

/// The page's style sheet, with the colours of both schemes.
pub(super) const STYLE: &str = include_str!("style.css");

/// Runs of one class, and pauses, that are listed.
const LISTED: usize = 10;

/// Writes the whole document.
pub(super) fn write(
    sections: &[Section],
    heading: &Heading,
    strips: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let names: Vec<&str> = sections
        .iter()
        .map(|section| section.facts.name.as_str())
        .collect();
    let title = match (&heading.title, names.as_slice()) {
        (Some(title), _) => title.clone(),
        (None, [name]) => format!("ECG beat report: {name}"),
        (None, [first, .., last]) => {
            format!(
                "ECG beat report: {} records, {first} to {last}",
                names.len()
            )
        }
        (None, []) => "ECG beat report".to_owned(),
    };
    let head = html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        (head(&title))
        (PreEscaped("<body>"))
        (opening(&title, heading.comment.as_deref()))
        p.not-judged { strong { "Not judged: " } (not_judged(sections)) }
        @if sections.len() > 1 { (contents(sections)) }
    };
    out.write_all(head.into_string().as_bytes())?;
    for (i, section) in sections.iter().enumerate() {
        let several = sections.len() > 1;
        let class = if several { " class=\"several\"" } else { "" };
        write!(out, "<article{class} id=\"record-{i}\">")?;
        let record = record(section, i, several, strips);
        out.write_all(record.into_string().as_bytes())?;
        if let Some(disclosure) = &section.disclosure {
            let words = full_disclosure(section, disclosure, i);
            write!(
                out,
                "<section class=\"full-disclosure\" id=\"disclosure-{i}\">"
            )?;
            out.write_all(words.into_string().as_bytes())?;
            disclosure.write(&section.beats, i, out)?;
            out.write_all(b"</section>")?;
        }
        out.write_all(b"</article>")?;
    }
    out.write_all(closing(sections).into_string().as_bytes())?;
    out.write_all(b"</body></html>")
}

/// The document's head.
pub(super) fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (NOTICE) " - " (title.replace("://", ": //")) }
            style { (PreEscaped(STYLE)) (PreEscaped(paper::STYLE)) }
        }
    }
}

/// The first words: the notice, the title, and what the reader has to say.
pub(super) fn opening(title: &str, comment: Option<&str>) -> Markup {
    html! {
        p.notice role="note" {
            strong { (NOTICE) "." }
            " Not for diagnosis, monitoring or any clinical decision. Every finding here was made by a program and needs a reader."
        }
        header {
            h1 { (broken(title)) }
            p.by { "Heartlens " (env!("CARGO_PKG_VERSION")) }
        }
        @if let Some(comment) = comment { p.comment { (broken(comment)) } }
    }
}

/// What this report says nothing of: by its nature, and in these recordings.
fn not_judged(sections: &[Section]) -> Markup {
    let beats: usize = sections.iter().map(|section| section.summary.beats).sum();
    let unreadable = |section: &Section| section.summary.counts[Class::Q.name()];
    let unreadable: usize = sections.iter().map(unreadable).sum();
    let all_s: f64 = sections
        .iter()
        .map(|section| section.facts.duration_s)
        .sum();
    let judged = |section: &Section| {
        section
            .summary
            .rhythm
            .judged_s
            .min(section.facts.duration_s)
    };
    let judged_s: f64 = sections.iter().map(judged).sum();
    html! {
        "beats whose signal could not be read (class Q, " (grouped(unreadable)) " of " (grouped(beats)) "); the rhythm of "
        (clock(all_s - judged_s, true)) " of " (clock(all_s, true)) " (too few intervals, or not asked for)"
        "; and never: atrial flutter, paced rhythm, ventricular flutter and fibrillation, ST segments, conduction, beats that were not found."
    }
}

/// A record's own words: escaped by the template, and no address in them that a mail program would turn into a link.
pub(super) fn broken(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split("://").enumerate() {
            @if i > 0 { ":" wbr; "//" }
            (part)
        }
    }
}

fn synthetic() -> Markup {
    html! {
        p.synthetic role="note" { strong { "SYNTHETIC" } " - computed, not recorded. There is no patient behind this signal." }
    }
}

fn contents(sections: &[Section]) -> Markup {
    html! {
        nav aria-label="Records" {
            h2 { "Records" }
            div.scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Record" }
                            th scope="col" { "Lead" }
                            th scope="col" { "Duration" }
                            th scope="col" { "Beats" }
                            @for class in Class::ALL { th scope="col" { (class) } }
                            th scope="col" { "S burden" }
                            th scope="col" { "V burden" }
                            th scope="col" { "Rate /min" }
                        }
                    }
                    tbody {
                        @for (i, section) in sections.iter().enumerate() {
                            @let summary = &section.summary;
                            tr {
                                th scope="row" {
                                    a href={ "#record-" (i) } { (broken(&section.facts.name)) }
                                    @if section.facts.synthetic { " " span.tag { "SYNTHETIC" } }
                                }
                                td { (broken(&section.facts.taken.in_short())) }
                                td { (clock(section.facts.duration_s, true)) }
                                td { (grouped(summary.beats)) }
                                (class_cells(summary))
                                td { (percent(summary.supraventricular_burden)) }
                                td { (percent(summary.ventricular_burden)) }
                                td { (summary.heart_rate_bpm.map_or_else(dash, |rate| num(rate.mean, 0))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn record(section: &Section, index: usize, several: bool, strips: usize) -> Markup {
    let (facts, beats) = (&section.facts, &section.beats);
    let columns = trend::columns(beats, facts.duration_s);
    html! {
            @if facts.synthetic { (synthetic()) }
            @if several { h2.record { "Record " (broken(&facts.name)) } }
            (facts_list(section))
            (figures(&section.summary))
            section {
                h3 { "RR tachogram" span.unit { " in milliseconds" } }
                p.lead {
                    "Each RR interval at the time of the beat that ends it, marked by that beat's class."
                    @if beats.len() > charts::MAX_MARKERS {
                        " With " (grouped(beats.len())) " beats the picture is thinned: of N, each column of "
                        (duration(trend::column_s(facts.duration_s)))
                        " shows the range from the shortest to the longest RR interval and the median as a line; of S, V, F and Q no beat is "
                        "left out, but those of one column within " (num(charts::CELL_MS, 0))
                        " ms share a marker: small for one, middle for up to 9, large for more."
                    } @else {
                        " Every beat has its own marker."
                    }
                    @match charts::RrScale::of(beats).beyond {
                        0 => "",
                        1 => " One interval is longer than the scale and drawn at its upper edge.",
                        beyond => { " " (grouped(beyond)) " intervals are longer than the scale and drawn at its upper edge." }
                    }
                    " The lanes below count beats per "
                    (duration(trend::column_s(facts.duration_s))) "."
                }
                (legend())
                (charts::tachogram(beats, &columns, facts.duration_s))
            }
            section {
                h3 { "Heart rate" span.unit { " per minute" } }
                p.lead {
                    "Line: mean over each " (duration(trend::column_s(facts.duration_s)))
                    ". Band: the slowest to the fastest " (HEART_RATE_BEATS) " RR intervals that end in it."
                }
                (charts::heart_rate(&columns, facts.duration_s))
            }
            (table(section))
            @if section.knows_classes { (episodes(section)) }
            (super::hrv::variability(section))
            @if section.has_signal() {
                (forms(section))
                (quality(section, &columns))
                (strips_of(section, strips))
                (chosen_beats(section, index))
            }
    }
}

/// What precedes the blocks of the full disclosure.
fn full_disclosure(section: &Section, disclosure: &Disclosure, record: usize) -> Markup {
    let hours = (section.facts.duration_s / 3600.0).ceil() as usize;
    html! {
        h3 { "Full disclosure" span.unit { " of lead " (broken(&section.facts.taken.leads[0].name)) } }
        @if disclosure.is_empty() {
            p { "There is no sample to show." }
        } @else {
            p.lead {
                "The whole recording: a line a minute, an hour a block; printed without scaling, an hour a page at " (num(disclosure.gain(), 3))
                " mm/mV and " (num(disclosure.mm_per_s(), 1)) " mm/s. Of each " (num(disclosure.column_ms(), 0)) " ms the lowest and the highest sample are drawn, less the line's median; "
                "what goes far beyond its line is cut. Beats that are not N have their class's colour, and its letter above; where beats of one class follow fast, "
                "not each has a letter of its own. Times count from the recording's start."
            }
            @if hours > 1 {
                p.hours { "Hour: " @for hour in 0..hours { a href={ "#hour-" (record) "-" (hour) } { (hour) } " " } }
            }
        }
    }
}

/// The forms of V beats.
fn forms(section: &Section) -> Markup {
    let ventricular = section.summary.counts[Class::V.name()];
    html! {
        @if ventricular > 0 {
            section {
                h3 { "Forms of ventricular beats" }
                p.lead {
                    "V beats whose QRS complexes look alike in lead " (broken(&section.facts.taken.leads[0].name)) ", the most frequent form first. Line: mean of the form's beats; dashed: the "
                    "example, the beat most like it. Beats are alike where their samples from 130 ms before to 250 ms after the R peak correlate by 0.9 and more, "
                    "shifted by up to 47 ms, and none is more than 1.8 times as high as the other."
                }
                (section.forms.markup())
            }
        }
    }
}

fn facts_list(section: &Section) -> Markup {
    let facts = &section.facts;
    let age = match facts.patient.age_years {
        Some(years) => format!("{} years", num(f64::from(years), 1)),
        None => "not known".to_owned(),
    };
    let sex = match facts.patient.sex {
        Some(Sex::Female) => "female",
        Some(Sex::Male) => "male",
        None => "not known",
    };
    let resampled = if facts.sample_rate_hz == f64::from(SAMPLE_RATE_HZ) {
        String::new()
    } else {
        format!(", read at {SAMPLE_RATE_HZ} Hz")
    };
    let rate = format!("{} Hz{resampled}", num(facts.sample_rate_hz, 3));
    let peaks = match facts.peaks {
        "reference" => "from a reference annotation",
        "annotation" => "from a list of beats",
        _ => "found in the signal",
    };
    let mode = match facts.mode {
        Mode::Streaming => "as it came",
        Mode::Whole => "with the whole recording at hand",
    };
    let taken = &facts.taken;
    let lead = match &taken.leads[..] {
        [] => taken.why.clone(),
        [lead] => format!("{}: {}", lead.name, taken.why),
        several => format!(
            "{}. Say in the classes: {}. Strips, forms and disclosure show {}",
            taken.why,
            taken.shares(),
            several[0].name
        ),
    };
    let rows = [
        ("Record", facts.name.as_str()),
        ("Duration", &clock(facts.duration_s, true)),
        ("Sample rate", &rate),
        ("Age", &age),
        ("Sex", sex),
        ("Model", &facts.model),
        ("Runtime", facts.runtime),
        ("R peaks", peaks),
        ("Each beat judged", mode),
    ];
    html! {
        section {
            h3 { "Recording and patient" }
            dl.facts {
                @for (name, value) in rows {
                    div { dt { (name) } dd { (broken(value)) } }
                }
            }
            p.small.leads { strong { "Leads in the record: " } (broken(&facts.leads)) "." }
            p.small.taken { strong { @if taken.leads.len() < 2 { "Lead read: " } @else { "Leads read: " } } (broken(&lead)) "." }
            @if !facts.reads_patient { p.small { "This model was trained without age and sex: they have no say in the classes." } }
            @if !facts.comments.is_empty() {
                p.comments {
                    "The record's own comments: "
                    @for (i, comment) in facts.comments.iter().enumerate() {
                        @if i > 0 { " / " }
                        q { (broken(comment)) }
                    }
                }
            }
            @for warning in &facts.warnings {
                p.warning { strong { "Reading it: " } (broken(warning)) }
            }
        }
    }
}

fn figures(summary: &Summary) -> Markup {
    html! {
        section {
            h3 { "Beats" }
            div.figures {
                @for class in Class::ALL {
                    @let count = summary.counts[class.name()];
                    div.figure.(css(class)) {
                        span.name { (symbol(class)) " " b { (class) } }
                        span.share { (class.meaning()) }
                        span.value data-class=(class) { (grouped(count)) }
                        span.share { (percent((summary.beats > 0).then(|| count as f64 / summary.beats as f64))) }
                    }
                }
                div.figure {
                    span.name { b { "All" } }
                    span.share { "beats" }
                    span.value data-class="all" { (grouped(summary.beats)) }
                    span.share { (percent(summary.unreadable)) " unreadable" }
                }
            }
            dl.facts.key {
                div { dt { "Heart rate" } dd {
                    @match summary.heart_rate_bpm {
                        Some(rate) => {
                            b { (num(rate.mean, 0)) " /min" } ", "
                            (num(rate.min, 0)) " to " (num(rate.max, 0)) " over " (HEART_RATE_BEATS) " beats"
                        }
                        None => "-",
                    }
                } }
                div { dt { "Supraventricular burden" } dd { b { (percent(summary.supraventricular_burden)) } " of readable beats" } }
                div { dt { "Ventricular burden" } dd { b { (percent(summary.ventricular_burden)) } " of readable beats" } }
                div { dt { "Atrial fibrillation" } dd { (fibrillation(summary)) } }
                div { dt { "Longest RR interval" } dd { b { (summary.longest_rr_ms.map_or_else(dash, |rr| format!("{} ms", num(rr, 0)))) } } }
                div { dt { "Unsure" } dd {
                    b { (grouped(summary.unsure)) } " beats of two likely classes"
                } }
            }
        }
    }
}

/// How much of the time was atrial fibrillation.
fn fibrillation(summary: &Summary) -> Markup {
    let rhythm = &summary.rhythm;
    html! {
        @match rhythm.fibrillation_share {
            Some(share) => {
                b { (percent(Some(share))) } " of the time"
                @if rhythm.fibrillation_episodes > 0 {
                    ", " (grouped(rhythm.fibrillation_episodes))
                    @if rhythm.fibrillation_episodes == 1 { " episode" } @else { " episodes" }
                }
            }
            None => "not judged",
        }
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            @for class in Class::ALL {
                li { (symbol(class)) " " b { (class) } " " (class.meaning()) }
            }
        }
    }
}

fn table(section: &Section) -> Markup {
    let duration_s = section.facts.duration_s;
    let rows = trend::rows(&section.beats, duration_s);
    let width_s = trend::row_s(duration_s);
    let whole = &section.summary;
    let cells = |summary: &Summary| {
        html! {
            td { (grouped(summary.beats)) }
            (class_cells(summary))
            td { (percent(summary.supraventricular_burden)) }
            td { (percent(summary.ventricular_burden)) }
            td { (percent(summary.rhythm.fibrillation_share)) }
            @match summary.heart_rate_bpm {
                Some(rate) => { td { (num(rate.mean, 0)) } td { (num(rate.min, 0)) "-" (num(rate.max, 0)) } }
                None => { td { "-" } td { "-" } }
            }
            td { (summary.longest_rr_ms.map_or_else(dash, |rr| num(rr, 0))) }
        }
    };
    html! {
        section {
            h3 { "Beats by class, every " (duration(width_s)) }
            div.scroll tabindex="0" {
                table.trend {
                    thead {
                        tr {
                            th scope="col" { "From" }
                            th scope="col" { "Beats" }
                            @for class in Class::ALL { th scope="col" { (class) } }
                            th scope="col" { "S burden" }
                            th scope="col" { "V burden" }
                            th scope="col" { "AF" }
                            th scope="col" { "Rate /min" }
                            th scope="col" { "Slowest-fastest" }
                            th scope="col" { "Longest RR ms" }
                        }
                    }
                    tbody {
                        @for row in &rows {
                            tr { th scope="row" { (clock(row.start_s, width_s < 3600.0)) } (cells(&row.summary)) }
                        }
                    }
                    tfoot { tr { th scope="row" { "All" } (cells(whole)) } }
                }
            }
        }
    }
}

fn class_cells(summary: &Summary) -> Markup {
    html! {
        @for class in Class::ALL {
            @let count = summary.counts[class.name()];
            td.zero[count == 0] { (grouped(count)) }
        }
    }
}

fn episodes(section: &Section) -> Markup {
    let beats = &section.beats;
    let stretches = trend::ectopic_runs(beats);
    let pauses = trend::pauses(beats);
    html! {
        section {
            h3 { "Runs and pauses" }
            div.scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "In a row" }
                            th scope="col" { "Single beats" }
                            th scope="col" { "Couplets" }
                            th scope="col" { "Runs of " (RUN_BEATS) " and more" }
                            th scope="col" { "Beats in runs" }
                            th scope="col" { "Longest run" }
                        }
                    }
                    tbody {
                        @for class in [Class::S, Class::V] {
                            @let of_class = stretches.iter().filter(|run| run.class == class).map(|run| run.beats.len());
                            @let runs = of_class.clone().filter(|len| *len >= RUN_BEATS);
                            tr {
                                th scope="row" { (symbol(class)) " " (class) }
                                td { (grouped(of_class.clone().filter(|len| *len == 1).count())) }
                                td { (grouped(of_class.clone().filter(|len| *len == 2).count())) }
                                td { (grouped(runs.clone().count())) }
                                td { (grouped(runs.clone().sum())) }
                                td { (runs.max().map_or_else(dash, |len| format!("{} beats", grouped(len)))) }
                            }
                        }
                    }
                }
            }
            div.lists {
            @for class in [Class::V, Class::S] { (runs_of(&stretches, class, beats)) }
            @if pauses.is_empty() {
                p { "No pause: no RR interval between readable beats reached " (num(PAUSE_MS / 1000.0, 0)) " s." }
            } @else {
                div {
                h4 {
                    "Pauses of " (num(PAUSE_MS / 1000.0, 0)) " s and more"
                    @if pauses.len() > LISTED { ": the longest " (LISTED) " of " (grouped(pauses.len())) }
                }
                div.scroll tabindex="0" {
                    table {
                        thead { tr { th scope="col" { "At" } th scope="col" { "RR" } th scope="col" { "From" } th scope="col" { "To" } } }
                        tbody {
                            @for i in pauses.iter().copied().take(LISTED) {
                                tr {
                                    th scope="row" { (clock(beats[i - 1].time_s, true)) }
                                    td { (num(beats[i].rr_ms.unwrap_or_default(), 0)) " ms" }
                                    td { (beats[i - 1].class) }
                                    td { (beats[i].class) }
                                }
                            }
                        }
                    }
                }
                p.small { "A beat that was not found, or a lead that came off, looks like a pause: see the strips." }
                }
            }
            }
        }
    }
}

fn runs_of(stretches: &[Run], class: Class, beats: &[Beat]) -> Markup {
    let mut runs: Vec<&Run> = stretches
        .iter()
        .filter(|run| run.class == class && run.beats.len() >= RUN_BEATS)
        .collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.beats.len()));
    let all = runs.len();
    runs.truncate(LISTED);
    html! {
        @if !runs.is_empty() {
            div {
            h4 { "Runs of " (class) @if all > LISTED { ": the longest " (LISTED) " of " (grouped(all)) } }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th scope="col" { "From" } th scope="col" { "Beats" } th scope="col" { "Lasts" } th scope="col" { "Rate" } } }
                    tbody {
                        @for run in runs {
                            @let (first, last) = (&beats[run.beats.start], &beats[run.beats.end - 1]);
                            tr {
                                th scope="row" { (clock(first.time_s, true)) }
                                td { (grouped(run.beats.len())) }
                                td { (format!("{:.1} s", last.time_s - first.time_s)) }
                                td { (run.rate(beats).map_or_else(dash, |rate| format!("{rate:.0} /min"))) }
                            }
                        }
                    }
                }
            }
            }
        }
    }
}

fn quality(section: &Section, columns: &[trend::Column]) -> Markup {
    let beats = &section.beats;
    let mean = beats
        .iter()
        .map(|beat| f64::from(beat.quality))
        .sum::<f64>()
        / beats.len() as f64;
    html! {
        section {
            h3 { "Signal quality" span.unit { " in percent" } }
            p.lead {
                "Line: mean quality of the signal around the beats. Bars: the share of beats that could not be read. "
                @if beats.is_empty() {
                    "No beat was found."
                } @else {
                    "Over the whole recording: quality " b { (percent(Some(mean))) }
                    ", unreadable " b { (percent(section.summary.unreadable)) } "."
                }
            }
            (charts::quality(columns, section.facts.duration_s))
        }
    }
}

fn strips_of(section: &Section, most: usize) -> Markup {
    let shown = &section.strips[..section.strips.len().min(most)];
    html! {
        section.strips {
            h3 { "Strips" }
            p.lead {
                "25 mm/s, 10 mm/mV; printed without scaling, a small square is 1 mm, 40 ms and 0.1 mV. The lead as recorded, unfiltered, at "
                (SAMPLE_RATE_HZ) " samples a second, the strip's median drawn as 0 mV. Letters: class of each beat; small numbers: RR in ms; the bar at "
                "the paper's upper edge: what the strip is shown for."
            }
            @if shown.is_empty() { p { "No beat was found, so there is nothing to show." } }
            @for (i, strip) in shown.iter().enumerate() {
                (strip_of(strip, i + 1, &section.beats))
            }
            p.small {
                "How they were chosen: the usual rhythm, the longest pause, the longest run of V and of S, the first V, S and F, the first couplets, "
                "the fastest and the slowest rate over " (HEART_RATE_BEATS) " beats, the next longest runs and pauses, the first unreadable beat, and then the "
                "beats that the network was least certain of, until there are " (most) ". " "Up to " (STRIP_S) " s each; no second is shown twice."
            }
        }
    }
}

fn strip_of(strip: &Strip, number: usize, beats: &[Beat]) -> Markup {
    let whats: Vec<&str> = strip
        .events
        .iter()
        .map(|event| event.what.as_str())
        .collect();
    let (paper, cut) = paper::paper(strip, beats);
    html! {
        figure.strip {
            figcaption {
                b { (number) ". " (clock(strip.start_s as f64, true)) } " " (whats.join("; "))
                @if cut { span.unit { " (the trace goes on beyond the paper's edge)" } }
            }
            div.scroll tabindex="0" { (paper) }
        }
    }
}

fn chosen_beats(section: &Section, record: usize) -> Markup {
    html! {
        section.chosen-beats {
            h3 { "Four views of chosen beats" }
            @if section.chosen.is_empty() {
                p { "No readable beat was found." }
            } @else {
                p.lead {
                    "Of each class, the most certain beat. How much each view spoke for the class: the class's probability "
                    "when that view is left out, that is, replaced by the patient's average view over this recording's normal beats. A view whose "
                    "absence changes little may still agree with the others; the views share what they know. These are the network's own "
                    "probabilities, before the rhythm weighs on them."
                }
                @for (i, chosen) in section.chosen.iter().enumerate() { (chosen_beat(chosen, &format!("{record}-{i}"))) }
            }
        }
    }
}

fn chosen_beat(chosen: &Chosen, id: &str) -> Markup {
    let class = chosen.beat.class;
    let output = trend::place(class);
    let of_class = |logits: &Logits| logits.get(output).copied().unwrap_or_default();
    let said = of_class(&chosen.said);
    let called = argmax(&chosen.said);
    let usual = chosen.usual.as_ref();
    html! {
        figure.chosen aria-labelledby={ "chosen-" (id) } {
            figcaption id={ "chosen-" (id) } {
                (symbol(class)) " " b { (class) " " (class.meaning()) } " at " (clock(chosen.beat.time_s, true))
                ": " b { (share(said)) } " with all four views"
                @if called != output { ", which the rhythm made " b { (share(of_class(&chosen.beat.scores))) } }
            }
            div.views {
                @for (i, view) in View::ALL.into_iter().enumerate() {
                    div.view {
                        h4 { (name(view)) }
                        @match view {
                            View::Waveform => (view_charts::waveform(&chosen.views)),
                            View::Spectrum => (view_charts::spectrum(&chosen.views)),
                            View::Spectrogram => (view_charts::spectrogram(&chosen.views)),
                            View::Metadata => (view_charts::metadata(&chosen.views, usual.map(|usual| &usual.views))),
                        }
                        @if let Some(usual) = usual {
                            @let without = &usual.without[i];
                            @let left = of_class(without);
                            div.meter aria-hidden="true" {
                                span.left style={ "width:" (num(f64::from(100.0 * left), 1)) "%" } {}
                                span.said style={ "left:" (num(f64::from(100.0 * said), 1)) "%" } {}
                            }
                            p.without {
                                "without it: " (class) " " b { (share(left)) }
                                @if argmax(without) != called {
                                    ", and the class would be " b { (Class::from_output(argmax(without)).unwrap_or(Class::Q)) }
                                }
                            }
                        }
                    }
                }
            }
            @if usual.is_none() {
                p.small { "This recording has no normal beat, so no view could be left out." }
            }
        }
    }
}

fn name(view: View) -> &'static str {
    match view {
        View::Waveform => "Waveform",
        View::Spectrum => "Spectrum",
        View::Spectrogram => "Spectrogram",
        View::Metadata => "Metadata",
    }
}

fn closing(sections: &[Section]) -> Markup {
    let mut models: Vec<(&str, &str)> = sections
        .iter()
        .map(|section| (section.facts.model.as_str(), section.facts.runtime))
        .collect();
    models.dedup();
    html! {
        footer {
            h2 { "How this was made, and what it cannot say" }
            dl.classes {
                div { dt { (symbol(Class::N)) " N" } dd { "Normal: sinus and bundle branch block beats, nodal and atrial escape beats; every beat that is in no other class." } }
                div { dt { (symbol(Class::S)) " S" } dd { "Supraventricular ectopic: atrial, aberrated, nodal and other supraventricular premature beats." } }
                div { dt { (symbol(Class::V)) " V" } dd { "Ventricular ectopic: premature ventricular and ventricular escape beats." } }
                div { dt { (symbol(Class::F)) " F" } dd { "Fusion of a ventricular and a normal beat. Hardly ever found by the network." } }
                div { dt { (symbol(Class::Q)) " Q" } dd { "Unreadable: decided by signal quality, never by the network. Paced beats belong here by the standard, but are not recognised." } }
            }
            p {
                "Classes are those of ANSI/AAMI EC57. R peaks come from a streaming detector, or from a reference annotation where the facts above say so; then "
                "no beat becomes Q. Each beat is seen relative to a running average of the patient's own beats, by its waveform, its spectrum, its spectrogram and "
                "by what surrounds it (RR intervals, shape against that average; age and sex where the model reads them); one small network fuses the four, and the rhythm weighs on the result. Probabilities are the "
                "networks' own and are not calibrated against outcomes."
            }
            p {
                "Limits: surface leads, a beat judged in one or fused of several; adults. Atrial fibrillation is told from RR intervals alone. Atrial flutter, paced rhythm, ventricular flutter and fibrillation, ST segments and "
                "conduction are not assessed. Beats that the detector missed are in no count, and false ones are in all. Pauses and runs follow from the beats' classes; one wrong "
                "class cuts a run in two. Burdens are shares of readable beats. Times count from the recording's start."
            }
            p.small {
                "Heartlens " (env!("CARGO_PKG_VERSION"))
                @for (model, runtime) in models { "; model " (broken(model)) " in " (runtime) }
                "; features " code { (model::spec_hash()) } " at " (SAMPLE_RATE_HZ) " Hz. The same records and model give the same file, byte for byte. "
                (NOTICE) "."
            }
        }
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// A probability as a percentage that never claims certainty.
fn share(probability: f32) -> String {
    match 100.0 * probability {
        p if p > 99.9 => "over 99.9 %".to_owned(),
        p if p < 0.1 => "below 0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// A count with its thousands set off by commas.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A whole step of time in words.
fn duration(seconds: f64) -> String {
    let (count, unit) = match seconds {
        s if s < 60.0 => (s, "second"),
        s if s < 3600.0 => (s / 60.0, "minute"),
        s if s < 86_400.0 => (s / 3600.0, "hour"),
        s => (s / 86_400.0, "day"),
    };
    match num(count, 1).as_str() {
        "1" => unit.to_owned(),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123_456), "123,456");
        assert_eq!(duration(3600.0), "hour");
        assert_eq!(duration(300.0), "5 minutes");
        assert_eq!(share(0.99999), "over 99.9 %");
        assert_eq!(share(0.5), "50.0 %");
        assert_eq!(percent(None), "-");
    }
}
