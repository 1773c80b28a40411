//! What the strip network and the whole recording say of held-out beats, through the code of the product.
//!
//! The shipped strip network was trained on recordings of the CinC challenge 2017 alone: no record with beat annotations is
//! among them, so its verdicts on these are of patients that it has not seen.

use crate::beat::dataset::Dataset;
use crate::beat::fit::Logits;
use crate::data::augment::plain_views;
use crate::data::find::{Folders, REFERENCE};
use crate::data::record::{Lead, RecordBeats, lead_order};
use crate::progress::bar;
use anyhow::Context as _;
use heartlens::choice::LeadChoice;
use heartlens::evaluate::report::Peaks;
use heartlens::records::Record;
use heartlens::whole::Whole;
use heartlens::{Leads, Model, Options};
use heartlens_core::class::Class;
use heartlens_core::model::softmax;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::strip::{StripVerdict, StripWindow};
use heartlens_core::views::Views;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// What the shipped strip network says of the first lead of each annotated record, by index into the data set's records.
///
/// # Errors
/// If a record or the model cannot be read.
pub fn verdicts(
    dataset: &Dataset,
    folders: &Folders,
) -> anyhow::Result<BTreeMap<usize, Vec<StripVerdict>>> {
    let model = Model::shipped()?;
    let annotated: Vec<usize> = dataset.annotated().collect();
    let progress = bar(annotated.len() as u64, "records through the strip network");
    let of = |&index: &usize| {
        let judged = of_record(&model, &dataset.records[index], folders)
            .with_context(|| dataset.records[index].name.clone());
        progress.inc(1);
        Ok((index, judged?))
    };
    let found = annotated.par_iter().map(of).collect();
    progress.finish_and_clear();
    found
}

fn of_record(
    model: &Model,
    beats: &RecordBeats,
    folders: &Folders,
) -> anyhow::Result<Vec<StripVerdict>> {
    let name = beats.name.rsplit('/').next().unwrap_or_default();
    let record = Record::open(folders.database(&beats.database)?.join(name))?;
    let mut options = Options::default();
    options.leads = Leads::One(LeadChoice::Index(lead_order(&record)[0]));
    options.threads = Some(NonZeroUsize::MIN);
    options.peaks = match beats.peaks {
        Peaks::Detected => heartlens::Peaks::Detected,
        Peaks::Reference | Peaks::Annotated => heartlens::Peaks::annotated(&record, REFERENCE)?,
    };
    let at = |seconds: f64| (seconds * f64::from(SAMPLE_RATE_HZ)).round() as u32;
    let strips = model.classify(&record, &options)?.strips.into_iter();
    let strips = strips.map(|strip| StripVerdict {
        window: StripWindow {
            start: at(strip.from_s),
            end: at(strip.to_s),
        },
        probabilities: strip.probabilities,
    });
    Ok(strips.collect())
}

/// The class of each beat of `record` with these logits, of these leads: what `--mode whole` makes of them.
pub fn classes(
    record: &RecordBeats,
    leads: &[Lead],
    logits: &[Logits],
    verdicts: &[StripVerdict],
) -> Vec<Class> {
    let mut whole = Whole::default();
    let mut views = vec![Views::ZERO; leads.len()];
    for beat in 0..logits.len() {
        for (lead, views) in leads.iter().zip(&mut views) {
            plain_views(record.beat(*lead, beat), views);
        }
        let r_sample = record.beat(Lead::First, beat).r_sample;
        whole.push(r_sample, true, &views.iter().collect::<Vec<_>>());
    }
    let mut probabilities: Vec<_> = logits.iter().map(softmax).collect();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    whole.weigh(&mut probabilities, verdicts, threads);
    let class = |probabilities| Class::of(probabilities, true);
    probabilities.iter().map(class).collect()
}
