//! The report of an evaluation: figures, confusion, every record, and the errors of the worst records as strips.

use super::paper;
use super::plot::seconds_mv;
use super::strips::{Event, STRIP_S, Strip};
use super::svg::{clock, css, num};
use super::{Heading, page};
use crate::analysis::Beat;
use crate::error::Error;
use crate::evaluate::bxb::Label;
use crate::evaluate::report::Report;
use crate::evaluate::tally::{Counts, Tally};
use crate::records::Record;
use heartlens_core::class::Class;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use maud::{DOCTYPE, Markup, html};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Kinds of error of which a record shows an example, the most frequent first.
const SHOWN_KINDS: usize = 3;
/// Records whose errors are shown as strips, the worst first.
const SHOWN_RECORDS: usize = 12;
/// From the strip's beginning to the error, in seconds.
const LEAD_IN_S: f64 = 3.0;

/// What the program and the reference say of one place in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// What the reference says.
    pub(crate) reference: Label,
    /// What the program says.
    pub(crate) found: Label,
    /// Where, in seconds.
    pub(crate) time_s: f64,
    /// How certain the program is of what it says, 0..=1.
    pub(crate) certainty: f32,
}

impl Judgement {
    fn is_wrong(&self) -> bool {
        is_wrong(self.reference, self.found)
    }
}

/// Whether a pair is an error: another class, a beat that was missed, or one that is not there. What the program calls
/// unreadable is no error, nor is what it says of a beat that the reference could not classify.
fn is_wrong(reference: Label, found: Label) -> bool {
    let unreadable = [reference, found].contains(&Label::Beat(Class::Q));
    reference != found && !unreadable
}

/// An example of a kind of error.
#[derive(Debug, Clone)]
pub(crate) struct Mistake {
    reference: Label,
    found: Label,
    /// How often it happened in this record.
    count: usize,
    time_s: f64,
    strip: Strip,
    /// The beats of the strip as the program names them, and those of the reference, with their times in seconds.
    beats: Vec<Beat>,
    reference_beats: Vec<(f64, Class)>,
}

/// The most frequent kinds of error in a record, each with the example that the program was most certain of. `reference` are
/// all beats of the reference, with their times in seconds; `lead` is shown.
///
/// # Errors
/// When the lead cannot be read.
pub(crate) fn mistakes(
    record: &Record,
    lead: usize,
    beats: &[Beat],
    reference: &[(f64, Class)],
    judgements: &[Judgement],
) -> Result<Vec<Mistake>, Error> {
    let mut kinds: BTreeMap<(usize, usize), (usize, Judgement)> = BTreeMap::new();
    for judgement in judgements.iter().filter(|judgement| judgement.is_wrong()) {
        let key = (judgement.reference.index(), judgement.found.index());
        let (count, best) = kinds.entry(key).or_insert((0, *judgement));
        *count += 1;
        if judgement.certainty > best.certainty {
            *best = *judgement;
        }
    }
    let mut kinds: Vec<(usize, Judgement)> = kinds.into_values().collect();
    kinds.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    kinds.truncate(SHOWN_KINDS);
    let show = |(count, judgement): (usize, Judgement)| {
        let time_s = judgement.time_s;
        let start = (time_s - LEAD_IN_S).max(0.0) as usize;
        let seconds = start..start + STRIP_S;
        let is_here = |at: f64| (seconds.start as f64..seconds.end as f64).contains(&at);
        let beats: Vec<Beat> = beats
            .iter()
            .filter(|beat| is_here(beat.time_s))
            .cloned()
            .collect();
        let event = Event {
            span_s: (time_s, time_s),
            what: String::new(),
        };
        let mut strip = Strip::new(&beats, record.duration_s(), seconds.clone(), vec![event]);
        let samples_mv = seconds_mv(record, lead, seconds.clone())?;
        strip.take(start * SAMPLE_RATE_HZ as usize, &samples_mv);
        Ok(Mistake {
            reference: judgement.reference,
            found: judgement.found,
            count,
            time_s,
            strip,
            beats,
            reference_beats: reference
                .iter()
                .copied()
                .filter(|beat| is_here(beat.0))
                .collect(),
        })
    };
    kinds.into_iter().map(show).collect()
}

/// What an evaluation comes to.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) report: &'a Report,
    pub(crate) tally: &'a Tally,
    /// By record.
    pub(crate) mistakes: &'a BTreeMap<String, Vec<Mistake>>,
    /// What was evaluated, in a line: model, runtime, leads, added noise.
    pub(crate) setting: &'a str,
    /// Records that could not be evaluated, and why.
    pub(crate) failures: &'a [String],
}

/// A record's errors, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Errors {
    /// Beats of N, S, V or F in the reference.
    beats: u64,
    wrong: u64,
    missed: u64,
    extra: u64,
    unreadable: u64,
}

impl Errors {
    fn of(counts: &Counts) -> Self {
        let mut errors = Self::default();
        for reference in Label::ALL {
            for found in Label::ALL {
                let count = counts.table.get(reference, found);
                let beat = |label| matches!(label, Label::Beat(class) if class != Class::Q);
                if beat(reference) {
                    errors.beats += count;
                }
                if is_wrong(reference, found) {
                    match (beat(reference), beat(found)) {
                        (true, true) => errors.wrong += count,
                        (true, false) => errors.missed += count,
                        _ => errors.extra += count,
                    }
                } else if beat(reference) && found == Label::Beat(Class::Q) {
                    errors.unreadable += count;
                }
            }
        }
        errors
    }

    fn all(&self) -> u64 {
        self.wrong + self.missed + self.extra
    }

    /// Errors in parts of the beats.
    fn share(&self) -> f64 {
        self.all() as f64 / self.beats.max(1) as f64
    }
}

/// The records, the worst first: most errors in parts of the beats.
fn worst_first(tally: &Tally) -> Vec<(&str, Errors)> {
    let mut records: Vec<(&str, Errors)> = tally
        .records()
        .map(|(name, counts)| (name, Errors::of(counts)))
        .collect();
    records.sort_by(|a, b| b.1.share().total_cmp(&a.1.share()).then(a.0.cmp(b.0)));
    records
}

/// Writes the report.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(
    evaluation: &Evaluation<'_>,
    heading: &Heading,
    out: &mut impl Write,
) -> io::Result<()> {
    let report = evaluation.report;
    let title = heading.title.clone().unwrap_or_else(|| {
        let records = report.records;
        format!(
            "Evaluation of {records} record{}",
            if records == 1 { "" } else { "s" }
        )
    });
    let records = worst_first(evaluation.tally);
    let gross = Errors::of(&evaluation.tally.gross());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (page::head(&title))
            body {
                (page::opening(&title, heading.comment.as_deref()))
                p.not-judged {
                    strong { "Not judged: " } (page::grouped(gross.unreadable as usize))
                    " beats of the reference whose signal could not be read (class Q), and " (page::grouped(report.excluded.beats.reference_q as usize))
                    " that the reference itself does not classify. They are in no rate of a class."
                    @if !evaluation.failures.is_empty() {
                        " " (evaluation.failures.len()) " records could not be evaluated:"
                        @for failure in evaluation.failures { " " (page::broken(failure)) ";" }
                        " they are in no figure."
                    }
                }
                (figures(evaluation, &gross))
                (confusion(evaluation.tally))
                (table(evaluation, &records))
                (worst(evaluation, &records))
                footer {
                    h2 { "How this was counted" }
                    p {
                        "Beats are paired with the reference's as WFDB's bxb does (ANSI/AAMI EC57): within 150 ms, from " (num(report.from_s, 1)) " s of each record on. "
                        "N, S, V, F and Q are EC57's classes. Rates of a class are of beats that were found and named; detection and bxb's figures charge for missed and extra beats. "
                        "Intervals: the middle 95 % of " (report.intervals.resamples) " resamples of " (report.intervals.patients) " patients (bootstrap). Errors are wrong classes, missed beats and extra beats together, in parts of the reference's beats."
                    }
                    p.small { "Heartlens " (env!("CARGO_PKG_VERSION")) ". The same records and model give the same file, byte for byte. " (page::NOTICE) "." }
                }
            }
        }
    };
    out.write_all(page.into_string().as_bytes())
}

/// A rate in percent.
fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.2}", 100.0 * rate))
}

fn figures(evaluation: &Evaluation<'_>, gross: &Errors) -> Markup {
    let report = evaluation.report;
    let mut figures = vec![
        ("qrs.se", "Beats found (Se)", report.qrs.se),
        ("qrs.ppv", "Beats found (+P)", report.qrs.ppv),
        ("accuracy", "Right class", report.accuracy),
        ("kappa", "Cohen's kappa", report.kappa),
        ("jk", "jk", report.jk),
    ];
    let classes = &report.classes;
    for (rates, names, keys) in [
        (
            classes.s,
            ["S: Se", "S: +P", "S: F1"],
            ["classes.S.se", "classes.S.ppv", "classes.S.f1"],
        ),
        (
            classes.v,
            ["V: Se", "V: +P", "V: F1"],
            ["classes.V.se", "classes.V.ppv", "classes.V.f1"],
        ),
        (
            classes.f,
            ["F: Se", "F: +P", "F: F1"],
            ["classes.F.se", "classes.F.ppv", "classes.F.f1"],
        ),
    ] {
        let values = [rates.se, rates.ppv, rates.f1];
        figures.extend((0..3).map(|i| (keys[i], names[i], values[i])));
    }
    html! {
        section {
            h3 { "Figures" span.unit { " in percent" } }
            p.lead { (page::broken(evaluation.setting)) }
            p.lead {
                (page::grouped(gross.beats as usize)) " beats of the reference: " (page::grouped(gross.wrong as usize)) " in a wrong class, " (page::grouped(gross.missed as usize)) " missed, "
                (page::grouped(gross.extra as usize)) " found where there is none."
            }
            div.scroll tabindex="0" {
                table.figures-table {
                    thead { tr { th scope="col" { "Figure" } th scope="col" { "All beats" } th scope="col" { "95 % interval" } } }
                    tbody {
                        @for (key, name, value) in figures {
                            tr {
                                th scope="row" { (name) }
                                td { (rate(value)) }
                                td {
                                    @if let Some(interval) = report.intervals.figures.get(key) { (rate(interval.low)) " to " (rate(interval.high)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A label in words.
fn words(label: Label) -> &'static str {
    match label {
        Label::Beat(class) => class.name(),
        Label::Missing => "no beat",
        Label::Shutdown => "no signal",
    }
}

fn confusion(tally: &Tally) -> Markup {
    let gross = tally.gross();
    html! {
        section {
            h3 { "Confusion" }
            p.lead { "Rows: the reference. Columns: the program. Errors are marked by a frame." }
            div.scroll tabindex="0" {
                table.confusion {
                    thead { tr { th scope="col" { "Reference" } @for found in Label::ALL { th scope="col" { (words(found)) } } } }
                    tbody {
                        @for reference in Label::ALL {
                            tr {
                                th scope="row" { (words(reference)) }
                                @for found in Label::ALL {
                                    @let count = gross.table.get(reference, found);
                                    td.zero[count == 0].error[count > 0 && is_wrong(reference, found)].right[count > 0 && reference == found] {
                                        (page::grouped(count as usize))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(evaluation: &Evaluation<'_>, records: &[(&str, Errors)]) -> Markup {
    let row = |name: &str| {
        evaluation
            .report
            .per_record
            .iter()
            .find(|record| record.record == name)
    };
    html! {
        section {
            h3 { "Records" span.unit { " the worst first" } }
            div.scroll tabindex="0" {
                table.records {
                    thead {
                        tr {
                            th scope="col" { "Record" } th scope="col" { "Beats" } th scope="col" { "Errors" } th scope="col" { "%" }
                            th scope="col" { "Wrong class" } th scope="col" { "Missed" } th scope="col" { "Extra" } th scope="col" { "Not judged" }
                            th scope="col" { "S Se" } th scope="col" { "S +P" } th scope="col" { "V Se" } th scope="col" { "V +P" }
                        }
                    }
                    tbody {
                        @for (place, (name, errors)) in records.iter().enumerate() {
                            @let shown = place < SHOWN_RECORDS && evaluation.mistakes.get(*name).is_some_and(|list| !list.is_empty());
                            tr {
                                th scope="row" {
                                    @if shown { a href={ "#errors-" (place) } { (page::broken(name)) } } @else { (page::broken(name)) }
                                }
                                td { (page::grouped(errors.beats as usize)) } td { (page::grouped(errors.all() as usize)) } td { (rate(Some(errors.share()))) }
                                @for count in [errors.wrong, errors.missed, errors.extra, errors.unreadable] {
                                    td.zero[count == 0] { (page::grouped(count as usize)) }
                                }
                                @if let Some(record) = row(name) {
                                    @for value in [record.classes.s.se, record.classes.s.ppv, record.classes.v.se, record.classes.v.ppv] {
                                        td { (rate(value)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn worst(evaluation: &Evaluation<'_>, records: &[(&str, Errors)]) -> Markup {
    let none = Vec::new();
    html! {
        section.strips {
            h3 { "Errors of the worst records" }
            p.lead {
                "Of the " (SHOWN_RECORDS) " worst records at most, the " (SHOWN_KINDS) " most frequent kinds of error, each with the example that the program was most certain of. "
                "25 mm/s, 10 mm/mV; letters above the paper: the program's classes; below it: the reference's; the bar at the paper's upper edge: the error."
            }
            @for (place, (name, errors)) in records.iter().enumerate().take(SHOWN_RECORDS) {
                @let mistakes = evaluation.mistakes.get(*name).unwrap_or(&none);
                @if !mistakes.is_empty() {
                    div.errors id={ "errors-" (place) } {
                        h4 { (page::broken(name)) ": " (page::grouped(errors.all() as usize)) " errors, " (rate(Some(errors.share()))) " % of its beats" }
                        @for mistake in mistakes { (strip(mistake)) }
                    }
                }
            }
        }
    }
}

/// An error as a strip, the reference's classes below it.
fn strip(mistake: &Mistake) -> Markup {
    /// The reference's row, in mm.
    const ROW_MM: f64 = 5.0;
    let drawn = paper::draw(&mistake.strip, &mistake.beats);
    let (width, height) = (num(drawn.width, 2), num(drawn.height + ROW_MM, 2));
    let what = match (mistake.reference, mistake.found) {
        (Label::Beat(class), Label::Missing | Label::Shutdown) => format!("{class} not found"),
        (Label::Missing | Label::Shutdown, Label::Beat(class)) => {
            format!("{class} where the reference has no beat")
        }
        (reference, found) => format!("{} called {}", words(reference), words(found)),
    };
    let y = num(drawn.height + ROW_MM - 1.0, 2);
    html! {
        figure.strip {
            figcaption {
                b { (what) } ", " (page::grouped(mistake.count)) @if mistake.count == 1 { " time" } @else { " times" }
                "; here at " (clock(mistake.time_s, true))
                @if drawn.cut { span.unit { " (the trace goes on beyond the paper's edge)" } }
            }
            div.scroll tabindex="0" {
                svg.paper width={ (width) "mm" } height={ (height) "mm" } viewBox={ "0 0 " (width) " " (height) } role="img"
                    aria-label={ "ECG from " (clock(mistake.strip.start_s as f64, true)) ", 25 mm/s, 10 mm/mV" } {
                    (drawn.body)
                    text.time x="0.5" y=(y) { "ref." }
                    @for (time_s, class) in &mistake.reference_beats {
                        text.beat.reference.(css(*class)) x=(num(paper::x_mm(&mistake.strip, *time_s), 2)) y=(y) text-anchor="middle" { (class) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Label = Label::Beat(Class::N);
    const V: Label = Label::Beat(Class::V);
    const Q: Label = Label::Beat(Class::Q);

    #[test]
    fn errors_are_counted_by_what_they_are() {
        let mut counts = Counts::default();
        for (reference, found, times) in [
            (N, N, 90),
            (V, V, 3),
            (V, N, 2),
            (N, Label::Missing, 4),
            (V, Label::Shutdown, 1),
            (Label::Missing, V, 5),
            (N, Q, 6),
            (Q, V, 7),
            (Label::Missing, Q, 8),
        ] {
            (0..times).for_each(|_| counts.table.add(reference, found));
        }
        let expected = Errors {
            beats: 106,
            wrong: 2,
            missed: 5,
            extra: 5,
            unreadable: 6,
        };
        assert_eq!(Errors::of(&counts), expected);
        assert_eq!(expected.all(), 12);
    }

    #[test]
    fn the_worst_record_is_first() {
        let mut tally = Tally::new();
        for (record, wrong) in [("a", 1), ("b", 5), ("c", 0), ("d", 1)] {
            for i in 0..10 {
                tally.add_beat(
                    record,
                    Class::N,
                    if i < wrong { Class::V } else { Class::N },
                );
            }
        }
        let names: Vec<&str> = worst_first(&tally).iter().map(|record| record.0).collect();
        assert_eq!(names, ["b", "a", "d", "c"]);
    }
}
