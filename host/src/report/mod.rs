//! A report of classified records: one HTML file that stands alone.
//!
//! No network, no script, no font of its own; it prints on A4, follows the reader's light or dark scheme, and says
//! by letters and shapes whatever it says by colour. The same records and model give the same bytes.
//!
//! Everything on paper is the lead as recorded, at the canonical rate, less the strip's median: the band-pass filter
//! that the features are made of is causal and bends the ST segment, which a reader of strips would take for the
//! patient's.

mod charts;
mod disclosure;
pub(crate) mod evaluation;
mod forms;
mod hrv;
mod page;
mod paper;
mod plot;
mod strips;
mod svg;
mod trend;
mod view_charts;
mod views;

use crate::analysis::{Analysis, Beat};
use crate::choice::Taken;
use crate::engine::{Progress, Seen, Worker};
use crate::error::Error;
use crate::hrv::Hrv;
use crate::model::Model;
use crate::options::{Mode, Options, Peaks};
use crate::pipeline::stream_canonical;
use crate::records::{BeatList, Lead, Record};
use crate::summary::Summary;
use disclosure::Disclosure;
use forms::Forms;
use heartlens_core::patient::Patient;
pub use plot::{Plot, seconds_mv};
#[cfg(feature = "png")]
pub use plot::{PngError, png};
use std::io::{self, Write};
use views::Watch;

/// One record's part of a report: everything that is shown of it, cut out of its signal.
#[derive(Debug, Clone)]
pub struct Section {
    facts: Facts,
    beats: Vec<Beat>,
    summary: Summary,
    hrv: Hrv,
    /// Whether anybody says what the beats are.
    knows_classes: bool,
    strips: Vec<strips::Strip>,
    chosen: Vec<views::Chosen>,
    forms: Forms,
    /// `None` where it is not wanted.
    disclosure: Option<Disclosure>,
}

/// What is known of a recording besides its beats.
#[derive(Debug, Clone)]
struct Facts {
    name: String,
    /// The leads of the record by name, and what the header says of them.
    leads: String,
    taken: Taken,
    sample_rate_hz: f64,
    duration_s: f64,
    patient: Patient,
    /// Whether the network reads age and sex.
    reads_patient: bool,
    model: String,
    runtime: &'static str,
    mode: Mode,
    peaks: &'static str,
    synthetic: bool,
    comments: Vec<String>,
    warnings: Vec<String>,
}

impl Section {
    /// Classifies a record and collects what a report shows of it: reads its lead once more for the strips, the forms of V
    /// beats and, with `disclosure`, the whole recording; and asks the network again about a few chosen beats, one view
    /// left out at a time.
    ///
    /// # Errors
    /// As [`Model::classify`].
    pub fn classify(
        model: &Model,
        record: &Record,
        options: &Options,
        disclosure: bool,
    ) -> Result<(Analysis, Self), Error> {
        let go_on = |_| std::ops::ControlFlow::Continue(());
        Self::classify_with_progress(model, record, options, disclosure, go_on)
    }

    /// As [`Section::classify`]; `progress` hears how much is classified, 0..=1, and may end the work.
    ///
    /// # Errors
    /// As [`Model::classify`].
    pub fn classify_with_progress(
        model: &Model,
        record: &Record,
        options: &Options,
        disclosure: bool,
        mut progress: impl FnMut(f64) -> std::ops::ControlFlow<()>,
    ) -> Result<(Analysis, Self), Error> {
        let pool = crate::engine::Pool::new(model, options);
        pool.one(|worker| Self::classify_in(worker, record, options, disclosure, &mut progress))
    }

    /// As [`Section::classify`], in a thread of a pool.
    pub(crate) fn classify_in(
        worker: &mut Worker<'_>,
        record: &Record,
        options: &Options,
        disclosure: bool,
        progress: Progress<'_>,
    ) -> Result<(Analysis, Self), Error> {
        let mut watch = Watch::default();
        let mut see = |seen: Seen<'_>| watch.see(seen);
        let analysis = worker.classify_watched(record, options, progress, &mut see)?;
        let network = worker.network()?;
        let facts = Facts {
            name: record.name().to_owned(),
            leads: described(record.leads()),
            taken: analysis.taken.clone(),
            sample_rate_hz: record.sample_rate_hz(),
            duration_s: record.duration_s(),
            patient: options.patient(crate::canonical::patient(record)),
            reads_patient: network.reads_patient(),
            model: analysis.model.clone(),
            runtime: analysis.runtime,
            mode: analysis.mode,
            peaks: match options.peaks {
                Peaks::Detected => "detected",
                Peaks::Reference(_) => "reference",
            },
            synthetic: record.is_synthetic(),
            comments: record.comments().to_vec(),
            warnings: analysis.warnings.iter().map(ToString::to_string).collect(),
        };
        let chosen = watch.choose(network, &analysis.beats)?;
        let (beats, hrv) = (analysis.beats.clone(), analysis.hrv.clone());
        let mut section = Self::with(facts, beats, hrv, chosen);
        section.disclosure = disclosure.then(Disclosure::default);
        let mut start = 0;
        for block in stream_canonical(record, analysis.taken.leads[0].index)? {
            let mut block = block?;
            let added_mv = options
                .added_mv
                .first()
                .and_then(|added| added.get(start..));
            add(&mut block, added_mv.unwrap_or_default());
            section.take(start, &block);
            start += block.len();
        }
        section.finish();
        Ok((analysis, section))
    }

    /// What a report shows of a list of beats: no strips, and no views.
    pub fn of_beats(list: &BeatList, analysis: &Analysis) -> Self {
        let facts = Facts {
            name: list.name.clone(),
            leads: "none: a list of beats".to_owned(),
            taken: analysis.taken.clone(),
            sample_rate_hz: list.sample_rate_hz,
            duration_s: list.duration_s,
            patient: Patient::default(),
            reads_patient: false,
            model: analysis.model.clone(),
            runtime: analysis.runtime,
            mode: analysis.mode,
            peaks: "annotation",
            synthetic: list.is_synthetic(),
            comments: list.comments.clone(),
            warnings: analysis.warnings.iter().map(ToString::to_string).collect(),
        };
        let (beats, hrv) = (analysis.beats.clone(), analysis.hrv.clone());
        Self {
            summary: analysis.summary.clone(),
            knows_classes: list.labelled,
            strips: Vec::new(),
            disclosure: None,
            ..Self::with(facts, beats, hrv, Vec::new())
        }
    }

    /// As [`with`](Self::with), the heart rate variability computed here.
    #[cfg(test)]
    fn new(facts: Facts, beats: Vec<Beat>, chosen: Vec<views::Chosen>) -> Self {
        let hrv = Hrv::of(&beats, facts.duration_s);
        Self::with(facts, beats, hrv, chosen)
    }

    /// A section whose strips have no samples yet.
    fn with(facts: Facts, beats: Vec<Beat>, hrv: Hrv, chosen: Vec<views::Chosen>) -> Self {
        Self {
            strips: strips::strips(&beats, facts.duration_s, strips::MAX_STRIPS),
            summary: Summary::of(&beats),
            forms: Forms::of(&beats),
            disclosure: Some(Disclosure::default()),
            knows_classes: true,
            hrv,
            facts,
            beats,
            chosen,
        }
    }

    /// Whether there is a signal to be shown.
    fn has_signal(&self) -> bool {
        !self.facts.taken.leads.is_empty()
    }

    /// Takes what is shown of a block of the lead, in mV, that starts at this sample at the canonical rate. Blocks come in
    /// order.
    fn take(&mut self, start: usize, block_mv: &[f32]) {
        for strip in &mut self.strips {
            strip.take(start, block_mv);
        }
        self.forms.take(block_mv);
        if let Some(disclosure) = &mut self.disclosure {
            disclosure.take(block_mv);
        }
    }

    /// Ends the lead.
    fn finish(&mut self) {
        self.forms.finish();
        if let Some(disclosure) = &mut self.disclosure {
            disclosure.finish();
        }
    }
}

/// Names, rates, units and gains of leads, those that are alike together.
fn described(leads: &[Lead]) -> String {
    let facts = |lead: &Lead| {
        let (rate, units) = (svg::num(lead.sample_rate_hz, 3), &lead.units);
        let gain = lead.counts_per_mv;
        let gain = gain.map(|gain| format!(", {} counts/mV", svg::num(gain.into(), 1)));
        format!("{rate} Hz, {units}{}", gain.unwrap_or_default())
    };
    let alike = leads.chunk_by(|a, b| facts(a) == facts(b));
    let text = |leads: &[Lead]| {
        let names: Vec<&str> = leads.iter().map(|lead| lead.name.as_str()).collect();
        format!("{} ({})", names.join(", "), facts(&leads[0]))
    };
    alike.map(text).collect::<Vec<_>>().join("; ")
}

/// Adds noise, as far as it reaches.
fn add(signal_mv: &mut [f32], added_mv: &[f32]) {
    for (sample, added) in signal_mv.iter_mut().zip(added_mv) {
        *sample += added;
    }
}

/// Strips in a whole report, at most, unless that would leave less than `MIN_STRIPS` a record.
const MAX_STRIPS_OF_ALL: usize = 200;
/// Strips that a record keeps, however many records there are.
const MIN_STRIPS: usize = 4;

/// What a reader calls a report, and what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heading {
    /// In place of "ECG beat report" and the record's name.
    pub title: Option<String>,
    /// Below the title, as it is; line breaks are kept.
    pub comment: Option<String>,
}

/// Writes the report of these records as an HTML document. Of a day, the full disclosure takes some 5 MB and is written line
/// by line; all else of a section is below 1 MB, however long its recording: beyond a few thousand beats the tachogram is
/// binned. Where there are many records, each keeps fewer of its strips.
///
/// # Errors
/// Those of `out`.
pub fn write(sections: &[Section], heading: &Heading, out: &mut impl Write) -> io::Result<()> {
    let strips = (MAX_STRIPS_OF_ALL / sections.len().max(1)).clamp(MIN_STRIPS, strips::MAX_STRIPS);
    page::write(sections, heading, strips, out)
}

#[cfg(test)]
mod tests;
