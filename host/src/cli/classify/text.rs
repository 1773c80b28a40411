//! What `classify` says to people.

use super::rows::peaks;
use super::source::{NOT_JUDGED, Source};
use super::{Classified, Run};
use crate::choice::Taken;
use crate::hrv::Hrv;
use crate::options::Mode;
use crate::records::Warning;
use crate::summary::{HEART_RATE_BEATS, percent};
use heartlens_core::class::Class;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Unusual beats that the summary lists.
const UNUSUAL_SHOWN: usize = 8;

/// One record in words.
pub(super) fn describe(result: &Classified, run: &Run) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let out = &mut text;
    let (record, summary) = (&result.record, &result.analysis.summary);
    let synthetic = if record.is_synthetic() {
        "  SYNTHETIC"
    } else {
        ""
    };
    let read = match record {
        Source::Record(_) => format!(
            "model {} in {}, R peaks {}{}",
            run.model,
            result.analysis.runtime,
            peaks(result, run),
            match result.analysis.mode {
                Mode::Streaming => "",
                Mode::Whole => ", judged with the whole recording at hand",
            }
        ),
        Source::Beats(_) => format!("a list of beats; rhythm of model {}", run.model),
    };
    writeln!(
        out,
        "{}{synthetic}  {}, {} Hz, {read}",
        result.name,
        clock(record.duration_s(), 0),
        record.sample_rate_hz(),
    )?;
    if !result.analysis.taken.leads.is_empty() {
        writeln!(out, "{}", lead(&result.analysis.taken))?;
    }
    writeln!(out)?;
    let is_judged = record.classes() != NOT_JUDGED;
    let classes = Class::ALL.into_iter().filter(|_| is_judged);
    for class in classes {
        let count = summary.counts[class.name()];
        if count > 0 || class != Class::Q {
            writeln!(
                out,
                "  {class} {:<17} {count:>7}  {:>6}",
                class.meaning(),
                percent((summary.beats > 0).then(|| count as f64 / summary.beats as f64)),
            )?;
        }
    }
    writeln!(out, "  {:<19} {:>7}", "all beats", summary.beats)?;
    writeln!(out)?;
    if let Some(rate) = summary.heart_rate_bpm {
        writeln!(
            out,
            "  heart rate      {:.0} /min; {:.0} to {:.0} over {HEART_RATE_BEATS} beats",
            rate.mean, rate.min, rate.max
        )?;
    }
    if !is_judged {
        writeln!(
            out,
            "  classes         not judged: no signal, and no label of the beats"
        )?;
    }
    writeln!(
        out,
        "  ectopic burden  S {}, V {} of the beats in {} that could be read",
        percent(summary.supraventricular_burden),
        percent(summary.ventricular_burden),
        clock(summary.judged_s, 0)
    )?;
    if summary.unsure > 0 {
        writeln!(
            out,
            "  unsure          {} beats whose two likeliest classes are close",
            summary.unsure
        )?;
    }
    if let Some(rr) = summary.longest_rr_ms {
        writeln!(out, "  longest RR      {rr:.0} ms")?;
    }
    let rhythm = &summary.rhythm;
    if let Some(share) = rhythm.fibrillation_share {
        let longest = rhythm.longest_fibrillation_s.map(|s| clock(s, 0));
        let episodes = match (rhythm.fibrillation_episodes, longest) {
            (1, Some(longest)) => format!(", 1 episode of {longest}"),
            (n, Some(longest)) => format!(", {n} episodes, the longest {longest}"),
            (_, None) => String::new(),
        };
        writeln!(
            out,
            "  rhythm          atrial fibrillation {} of the {} that were judged{episodes}",
            percent(Some(share)),
            clock(rhythm.judged_s, 0)
        )?;
    }
    for (class, runs) in [
        (Class::S, rhythm.supraventricular_runs),
        (Class::V, rhythm.ventricular_runs),
    ] {
        if runs.count > 0 {
            writeln!(
                out,
                "  runs of {class}       {}; the longest {} beats",
                runs.count, runs.longest_beats
            )?;
        }
    }
    writeln!(
        out,
        "  HRV             {}",
        variability(&result.analysis.hrv)
    )?;
    let mut unusual = result
        .analysis
        .beats
        .iter()
        .filter(|beat| is_judged && beat.class != Class::N)
        .peekable();
    if unusual.peek().is_some() {
        writeln!(
            out,
            "\n  first unusual beats (time, class, probability, RR)"
        )?;
    }
    for beat in unusual.by_ref().take(UNUSUAL_SHOWN) {
        let score = Class::ALL
            .iter()
            .position(|class| *class == beat.class)
            .and_then(|index| beat.scores.get(index))
            .filter(|score| score.is_finite())
            .map_or_else(|| "   -".to_owned(), |score| format!("{score:.2}"));
        let rr = beat
            .rr_ms
            .map_or_else(String::new, |rr| format!("{rr:>5.0} ms"));
        writeln!(
            out,
            "    {:>12}  {}  {score}  {rr}",
            clock(beat.time_s, 3),
            beat.class
        )?;
    }
    let more = unusual.count();
    if more > 0 {
        writeln!(out, "    and {more} more: --csv or --json list all")?;
    }
    Ok(text)
}

/// Which leads were read, and why.
fn lead(taken: &Taken) -> String {
    match &taken.leads[..] {
        [lead] => format!("lead {}: {}", lead.name, taken.why),
        _ => format!(
            "leads: {}\nsay in the classes: {}",
            taken.why,
            taken.shares()
        ),
    }
}

/// Heart rate variability in one line.
fn variability(hrv: &Hrv) -> String {
    let figures = &hrv.whole;
    let of = format!("of {} of NN intervals", clock(figures.nn_s, 0));
    let (Some(sdnn), Some(rmssd), Some(pnn50)) =
        (figures.sdnn_ms, figures.rmssd_ms, figures.pnn50_percent)
    else {
        return format!("not judged {of}: expected a minute or more");
    };
    let ratio = figures.lf_hf.map_or("-".to_owned(), |r| format!("{r:.2}"));
    format!("SDNN {sdnn:.1} ms, RMSSD {rmssd:.1} ms, pNN50 {pnn50:.1} %, LF/HF {ratio} {of}")
}

/// One line a record, and one for all.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<(String, String)>,
    records: usize,
    duration_s: f64,
    counts: BTreeMap<&'static str, usize>,
}

impl Table {
    /// Adds a record's line.
    pub(super) fn add(&mut self, classified: &Classified) {
        let duration_s = classified.record.duration_s();
        let summary = &classified.analysis.summary;
        let rate = summary.heart_rate_bpm;
        let cells = cells(duration_s, &summary.counts)
            + &format!(
                " {:>5}  {}",
                rate.map_or("-".to_owned(), |r| format!("{:.0}", r.mean)),
                classified.lead
            );
        self.rows.push((classified.name.clone(), cells));
        self.records += 1;
        self.duration_s += duration_s;
        for (class, count) in &summary.counts {
            *self.counts.entry(class).or_default() += count;
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = format!("all {}", self.records);
        let names = self.rows.iter().map(|(name, _)| name.as_str());
        let width = names
            .chain(["record", &total])
            .map(|name| name.chars().count())
            .max();
        let width = width.unwrap_or(0);
        write!(f, "{:<width$} {:>10} {:>8}", "record", "duration", "beats")?;
        for class in Class::ALL {
            write!(f, " {class:>7}")?;
        }
        writeln!(
            f,
            " {:>8} {:>8} {:>5}  lead",
            "S burden", "V burden", "/min"
        )?;
        for (name, cells) in &self.rows {
            writeln!(f, "{name:<width$} {cells}")?;
        }
        writeln!(
            f,
            "{total:<width$} {}",
            cells(self.duration_s, &self.counts)
        )
    }
}

/// Duration, beats, classes and burdens.
fn cells(duration_s: f64, counts: &BTreeMap<&'static str, usize>) -> String {
    let count = |class: Class| counts.get(class.name()).copied().unwrap_or(0);
    let beats: usize = counts.values().sum();
    let readable = beats - count(Class::Q);
    let burden = |class| percent((readable > 0).then(|| count(class) as f64 / readable as f64));
    let classes: String = Class::ALL
        .map(|class| format!(" {:>7}", count(class)))
        .concat();
    format!(
        "{:>10} {beats:>8}{classes} {:>8} {:>8}",
        clock(duration_s, 0),
        burden(Class::S),
        burden(Class::V)
    )
}

/// What reading the records found strange: of one record every warning, of several one line a kind.
pub(super) fn warnings(found: &[(String, Vec<Warning>)]) -> Vec<String> {
    if let [(record, warnings)] = found {
        return warnings
            .iter()
            .map(|warning| format!("{record}: {warning}"))
            .collect();
    }
    let mut kinds: Vec<(&str, &Warning, usize, usize)> = Vec::new();
    for (record, warnings) in found {
        let mut met = Vec::new();
        for warning in warnings {
            let same =
                |other: &Warning| std::mem::discriminant(other) == std::mem::discriminant(warning);
            let first_here = !met.iter().any(&same);
            met.push(warning.clone());
            match kinds.iter_mut().find(|kind| same(kind.1)) {
                Some(kind) => {
                    kind.2 += 1;
                    kind.3 += usize::from(first_here);
                }
                None => kinds.push((record, warning, 1, 1)),
            }
        }
    }
    let line = |(record, warning, count, records): (&str, &Warning, usize, usize)| match count {
        1 => format!("{record}: {warning}"),
        _ => format!("{record}: {warning} ({count} warnings of this kind in {records} records)"),
    };
    kinds.into_iter().map(line).collect()
}

/// The first names, and how many more there are.
pub(in crate::cli) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Seconds as `h:mm:ss`, with decimals.
fn clock(seconds: f64, decimals: usize) -> String {
    let unit = 10_u64.pow(decimals as u32);
    let ticks = (seconds * unit as f64).round() as u64;
    let (whole, rest) = (ticks / unit, ticks % unit);
    let mut text = format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    if decimals > 0 {
        text.push_str(&format!(".{rest:0decimals$}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_over() {
        assert_eq!(clock(0.0, 0), "0:00:00");
        assert_eq!(clock(59.9996, 3), "0:01:00.000");
        assert_eq!(clock(3725.25, 3), "1:02:05.250");
    }

    #[test]
    fn a_thousand_warnings_are_one_line_a_kind() {
        let rate = Warning::RateAssumed { hz: 250.0 };
        let lead = |lead: &str| Warning::Uncalibrated {
            lead: lead.to_owned(),
        };
        let one = [("a".to_owned(), vec![lead("I"), lead("II")])];
        assert_eq!(warnings(&one).len(), 2);
        let found: Vec<(String, Vec<Warning>)> = (0..1000)
            .map(|i| (format!("r{i}"), vec![lead("I"), lead("II")]))
            .chain([("s".to_owned(), vec![rate])])
            .collect();
        let lines = warnings(&found);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("r0: lead I is not calibrated"));
        assert!(lines[0].ends_with("(2000 warnings of this kind in 1000 records)"));
        assert!(lines[1].starts_with("s: the header states no sample rate"));
    }

    #[test]
    fn many_names_are_cut() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
    }

    #[test]
    fn burdens_are_of_readable_beats() {
        let counts = [("N", 6), ("S", 1), ("V", 3), ("Q", 90)].into();
        let cells = cells(3600.0, &counts);
        assert!(
            cells.contains("10.0 %") && cells.contains("30.0 %"),
            "{cells}"
        );
    }
}
