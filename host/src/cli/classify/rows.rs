//! A record's beats as JSON and CSV.

use super::source::Source;
use super::{Classified, Run};
use crate::analysis::Beat;
use crate::choice::TakenLead;
use crate::cli::output::Output;
use crate::episodes::Episode;
use crate::hrv::Hrv;
use crate::summary::Summary;
use crate::verdicts::StripVerdict;
use heartlens_core::spec::{LABELS, STRIP_LABELS};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// The JSON object of a record.
#[derive(Serialize)]
struct Object<'a> {
    record: &'a str,
    sample_rate_hz: f64,
    duration_s: f64,
    lead: &'a str,
    leads: &'a [TakenLead],
    lead_reason: &'a str,
    peaks: &'static str,
    /// Where the classes come from: the network, the list of beats, or nowhere.
    classes: &'static str,
    synthetic: bool,
    mode: String,
    model: &'a str,
    runtime: &'a str,
    beats: Rows<'a>,
    summary: &'a Summary,
    strips: Vec<StripRow>,
    episodes: Vec<Episode>,
    hrv: &'a Hrv,
    warnings: &'a [String],
    notice: &'static str,
}

/// All beats in JSON, which are not held a second time: those of two weeks are a million.
struct Rows<'a>(&'a [Beat]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(row))
    }
}

/// A beat in JSON.
#[derive(Serialize)]
struct Row {
    sample: u64,
    time_s: f64,
    class: &'static str,
    scores: Scores,
    unsure: Option<bool>,
    fibrillation: Option<bool>,
    rr_ms: Option<f64>,
    quality: f64,
}

/// Half a minute in JSON.
#[derive(Serialize)]
struct StripRow {
    from_s: f64,
    to_s: f64,
    scores: Scores,
}

/// Probabilities by class: labels and numbers.
struct Scores([&'static str; LABELS.len()], [f64; LABELS.len()]);

impl Scores {
    fn new(labels: [&'static str; LABELS.len()], of: [f32; LABELS.len()]) -> Self {
        Self(labels, of.map(|score| rounded(f64::from(score), 6)))
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(LABELS.len()))?;
        for (label, score) in self.0.iter().zip(self.1) {
            map.serialize_entry(label, &score)?;
        }
        map.end()
    }
}

fn strip(strip: &StripVerdict) -> StripRow {
    StripRow {
        from_s: rounded(strip.from_s, 4),
        to_s: rounded(strip.to_s, 4),
        scores: Scores::new(STRIP_LABELS, strip.probabilities),
    }
}

fn row(beat: &Beat) -> Row {
    Row {
        sample: beat.sample,
        time_s: rounded(beat.time_s, 4),
        class: beat.class.name(),
        scores: Scores::new(LABELS, beat.scores),
        unsure: beat.is_unsure(),
        fibrillation: beat.fibrillation,
        rr_ms: beat.rr_ms.map(|rr| rounded(rr, 4)),
        quality: rounded(f64::from(beat.quality), 4),
    }
}

/// An episode whose times are rounded as those of the beats are.
fn episode(episode: &Episode) -> Episode {
    Episode {
        from_s: rounded(episode.from_s, 4),
        to_s: rounded(episode.to_s, 4),
        mean_rate_bpm: episode.mean_rate_bpm.map(|rate| rounded(rate, 2)),
        ..episode.clone()
    }
}

/// A number, or nothing where it is not known.
fn known(x: f32, digits: usize) -> String {
    match x.is_nan() {
        true => String::new(),
        false => format!("{x:.digits$}"),
    }
}

fn rounded(x: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (x * unit).round() / unit
}

/// Where the R peaks come from.
pub(super) fn peaks(classified: &Classified, run: &Run) -> &'static str {
    match &classified.record {
        Source::Record(_) => run.args.reading.peaks.name(),
        Source::Beats(_) => "annotation",
    }
}

/// Writes a record's JSON object, without a line's end.
pub(super) fn write_json(
    out: impl Write,
    classified: &Classified,
    run: &Run,
) -> anyhow::Result<()> {
    let object = Object {
        record: &classified.name,
        sample_rate_hz: classified.record.sample_rate_hz(),
        duration_s: classified.record.duration_s(),
        lead: &classified.lead,
        leads: &classified.analysis.taken.leads,
        lead_reason: &classified.analysis.taken.why,
        peaks: peaks(classified, run),
        classes: classified.record.classes(),
        synthetic: classified.record.is_synthetic(),
        mode: classified.analysis.mode.to_string(),
        model: &run.model,
        runtime: classified.analysis.runtime,
        beats: Rows(&classified.analysis.beats),
        summary: &classified.analysis.summary,
        strips: classified.analysis.strips.iter().map(strip).collect(),
        episodes: classified.analysis.episodes.iter().map(episode).collect(),
        hrv: &classified.analysis.hrv,
        warnings: &classified.warnings,
        notice: "research software, not a medical device",
    };
    // What stopped it is the writer's own error, which names the file.
    Ok(serde_json::to_writer_pretty(out, &object).map_err(io::Error::from)?)
}

/// The JSON of all records: one object, or an array of them.
pub(super) struct Json {
    out: Output,
    array: bool,
    objects: usize,
}

impl Json {
    /// Begins the object, or the array.
    pub(super) fn new(out: Output, array: bool) -> Self {
        Self {
            out,
            array,
            objects: 0,
        }
    }

    /// Writes one record more.
    pub(super) fn add(&mut self, classified: &Classified, run: &Run) -> anyhow::Result<()> {
        if self.array {
            let before = if self.objects == 0 { "[\n" } else { ",\n" };
            self.out.write_all(before.as_bytes())?;
        }
        self.objects += 1;
        write_json(&mut self.out, classified, run)
    }

    /// Ends it.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let end = match (self.array, self.objects) {
            (true, 0) => "[]\n",
            (true, _) => "\n]\n",
            (false, _) => "\n",
        };
        self.out.write_all(end.as_bytes())?;
        self.out.finish()
    }
}

/// Beats as CSV, one a line.
pub(super) struct Csv<W: Write>(csv::Writer<W>);

impl<W: Write> Csv<W> {
    /// Writes the header.
    pub(super) fn new(out: W) -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        let scores = LABELS.map(|label| format!("score_{label}"));
        let header = ["record", "sample", "time_s", "class", "rr_ms", "quality"];
        let scores = scores.iter().map(String::as_str);
        writer.write_record(
            header
                .into_iter()
                .chain(scores)
                .chain(["fibrillation", "unsure"]),
        )?;
        Ok(Self(writer))
    }

    /// Writes one record's beats.
    pub(super) fn add(&mut self, classified: &Classified) -> anyhow::Result<()> {
        for beat in &classified.analysis.beats {
            let mut row = vec![
                classified.name.clone(),
                beat.sample.to_string(),
                format!("{:.4}", beat.time_s),
                beat.class.name().to_owned(),
                beat.rr_ms.map_or_else(String::new, |rr| format!("{rr:.4}")),
                known(beat.quality, 4),
            ];
            row.extend(beat.scores.iter().map(|score| known(*score, 6)));
            for judged in [beat.fibrillation, beat.is_unsure()] {
                row.push(judged.map_or_else(String::new, |is| is.to_string()));
            }
            self.0.write_record(&row)?;
        }
        Ok(())
    }

    /// What was written to.
    pub(super) fn finish(self) -> anyhow::Result<W> {
        Ok(self
            .0
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?)
    }
}
