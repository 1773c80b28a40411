//! A report of classified records: one HTML file that stands alone.
//!
//! No network, no script, no font of its own; it prints on A4, follows the reader's light or dark scheme, and says
//! by letters and shapes whatever it says by colour. The same records and model give the same bytes.
//!
//! Everything on paper is the lead as recorded, at the canonical rate, less the strip's median: the band-pass filter
//! that the features are made of is causal and bends the ST segment, which a reader of strips would take for the
//! patient's.

mod charts;
mod lens_charts;
mod lenses;
mod page;
mod paper;
mod plot;
mod strips;
mod svg;
mod trend;

use crate::pipeline::{self, Beat, Leads, Peaks, PipelineError, Request, stream_canonical};
use crate::records::Record;
use crate::runtime::Runtime;
use crate::summary::Summary;
use heartlens_core::patient::Patient;
pub use lenses::Watch;
pub use plot::{Plot, seconds_mv};
#[cfg(feature = "png")]
pub use plot::{PngError, png};

/// One record's part of a report: everything that is shown of it, cut out of its signal.
#[derive(Debug, Clone)]
pub struct Section {
    facts: Facts,
    beats: Vec<Beat>,
    summary: Summary,
    strips: Vec<strips::Strip>,
    lenses: Vec<lenses::Lens>,
}

/// What is known of a recording besides its beats.
#[derive(Debug, Clone)]
struct Facts {
    name: String,
    lead: String,
    sample_rate_hz: f64,
    duration_s: f64,
    patient: Patient,
    /// Whether the network reads age and sex.
    reads_patient: bool,
    model: String,
    runtime: &'static str,
    peaks: &'static str,
    synthetic: bool,
    comments: Vec<String>,
    warnings: Vec<String>,
}

impl Section {
    /// Collects what a report shows of a record whose beats have been classified with the same request and runtime while
    /// `watch` looked on: reads its lead once more for the strips, and asks the network again about a few chosen beats,
    /// one view left out at a time.
    ///
    /// # Errors
    /// When a lead cannot be read, or the network fails; see [`PipelineError`].
    pub fn collect(
        record: &Record,
        request: &Request<'_>,
        runtime: &mut dyn Runtime,
        beats: &[Beat],
        watch: Watch,
    ) -> Result<Self, PipelineError> {
        let (index, lead) = match request.leads {
            Leads::One(choice) => {
                let index = record.lead_index(choice)?;
                (index, record.leads()[index].name.clone())
            }
            Leads::Both => {
                let names: Vec<&str> = record
                    .leads()
                    .iter()
                    .map(|lead| lead.name.as_str())
                    .collect();
                (
                    0,
                    names[..names.len().min(2)].join(" and ") + ", averaged; strips show the first",
                )
            }
        };
        let lenses = watch.lenses(runtime, beats)?;
        let facts = Facts {
            name: record.name().to_owned(),
            lead,
            sample_rate_hz: record.sample_rate_hz(),
            duration_s: record.duration_s(),
            patient: request.patient,
            reads_patient: runtime.reads_patient(),
            model: runtime.model_name().to_owned(),
            runtime: runtime.name(),
            peaks: match request.peaks {
                Peaks::Detected => "detected",
                Peaks::Reference(_) => "reference",
            },
            synthetic: record.is_synthetic(),
            comments: record.comments().to_vec(),
            warnings: record.warnings().iter().map(ToString::to_string).collect(),
        };
        let mut section = Self::new(facts, beats.to_vec(), lenses);
        let mut added_mv = request.added_mv.first().map_or(&[][..], Vec::as_slice);
        let mut start = 0;
        for block in stream_canonical(record, index)? {
            let mut block = block?;
            pipeline::add(&mut block, added_mv);
            added_mv = added_mv.get(block.len()..).unwrap_or(&[]);
            section.take(start, &block);
            start += block.len();
        }
        Ok(section)
    }

    /// A section whose strips have no samples yet.
    fn new(facts: Facts, beats: Vec<Beat>, lenses: Vec<lenses::Lens>) -> Self {
        Self {
            strips: strips::strips(&beats, facts.duration_s, strips::MAX_STRIPS),
            summary: Summary::of(&beats),
            facts,
            beats,
            lenses,
        }
    }

    /// Gives the strips what they show of a block of the lead, in mV, that starts at this sample at the canonical rate.
    /// Blocks come in order.
    fn take(&mut self, start: usize, block_mv: &[f32]) {
        for strip in &mut self.strips {
            strip.take(start, block_mv);
        }
    }
}

/// Strips in a whole report, at most, unless that would leave less than `MIN_STRIPS` a record.
const MAX_STRIPS_OF_ALL: usize = 200;
/// Strips that a record keeps, however many records there are.
const MIN_STRIPS: usize = 4;

/// The report of these records as an HTML document. A section is below 1 MB, however long its recording: beyond
/// a few thousand beats the tachogram is binned. Where there are many records, each keeps fewer of its strips.
pub fn render(sections: &[Section]) -> String {
    let strips = (MAX_STRIPS_OF_ALL / sections.len().max(1)).clamp(MIN_STRIPS, strips::MAX_STRIPS);
    page::document(sections, strips).into_string()
}

#[cfg(test)]
mod tests;
