//! Annotated beats of a folder of records, each lead through `heartlens-core`.
//!
//! A record with two leads gives four: its own, and their sum and difference ([`Lead`]). Views are not stored: they are
//! computed from a beat when it is drawn ([`crate::data::augment`]), after it has been varied.

use super::DatasetError;
use super::find::REFERENCE;
use super::weak_labels::Rhythm;
use heartlens::canonical::{to_canonical, to_canonical_index};
use heartlens::choice::LeadChoice;
use heartlens::evaluate::bxb::{Event, Options, compare};
use heartlens::evaluate::mapping;
use heartlens::evaluate::report::Peaks;
use heartlens::evaluate::tally::patient_of;
use heartlens::records::Record;
use heartlens_core::beat::{BeatFrame, Extractor};
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::filter::BandPass;
use heartlens_core::patient::Patient;
use heartlens_core::quality::{BeatQuality, Quality};
use heartlens_core::spec::{DETECTOR_MAX_DELAY_SAMPLES, METADATA_LEN, SAMPLE_RATE_HZ};
use heartlens_core::template::BeatWindow;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Modified limb lead II, the one that every reader of these records expects first.
const FIRST_LEAD: &str = "MLII";

/// A lead of a record, or a virtual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lead {
    /// MLII where the record has it, else the lead that comes first.
    First,
    /// The other one.
    Second,
    /// sqrt(m0 m1 / 2) (x0 / m0 + x1 / m1), m being the median of the template's scale in that lead: as if an
    /// electrode stood between the two.
    Sum,
    /// The same with a minus.
    Difference,
}

impl Lead {
    /// All leads, in the order of [`crate::beat::config::LeadShares::in_order`].
    pub const ALL: [Self; 4] = [Self::First, Self::Second, Self::Sum, Self::Difference];
}

/// What is kept of one beat in one lead.
#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Beat {
    /// The filtered beat, in mV.
    pub beat: BeatWindow,
    /// The patient's template before this beat, in mV.
    pub template: BeatWindow,
    /// What both are divided by, in mV.
    pub scale_mv: f32,
    /// The metadata view.
    pub metadata: [f32; METADATA_LEN],
    /// Position of the R peak, in samples since the record's first.
    pub r_sample: u32,
    /// RR interval since the beat before, in seconds; 0 at the first beat.
    pre_rr_s: f32,
    /// The score of the signal around it.
    quality: f32,
}

impl Beat {
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub fn pre_rr_s(&self) -> Option<f32> {
        Some(self.pre_rr_s).filter(|&seconds| seconds > 0.0)
    }

    /// The quality of the signal around it, of which the score alone is known.
    pub fn quality(&self) -> BeatQuality {
        let mut quality = BeatQuality::CLEAN;
        quality.score = self.quality;
        quality
    }
}

/// The beats of one record at one choice of R peaks. Those of class Q count for the RR intervals and the template of the others, and are neither
/// trained on nor judged.
#[derive(Debug, Clone)]
pub struct RecordBeats {
    /// Database and name: `mitdb/201`.
    pub name: String,
    /// Name of the record's folder.
    pub database: String,
    /// Whose record it is, as the name of the patient's first record.
    pub patient: String,
    /// Where the R peaks come from.
    pub peaks: Peaks,
    /// Of a recording that nobody annotated, the rhythm by which its beats were given a class: it is trained on and never
    /// judged. `None` of a record with reference annotations.
    pub rhythm: Option<Rhythm>,
    /// The lead that `--lead best` would read: [`Lead::First`] or [`Lead::Second`].
    pub best: Lead,
    /// The reference class of each beat.
    pub classes: Vec<Class>,
    /// `classes.len()` beats for each lead of [`Lead::ALL`]; of the first lead alone where the record has one.
    pub(crate) leads: Leads,
}

/// Where a record's beats are: a list for each lead.
#[derive(Debug, Clone)]
pub(crate) enum Leads {
    /// In memory.
    Held(Vec<Vec<Beat>>),
    /// In a mapped file, at these bytes, which are whole [`Beat`]s.
    Mapped {
        /// The file.
        map: Arc<Mmap>,
        /// Each lead's bytes.
        leads: Vec<Range<usize>>,
    },
}

impl RecordBeats {
    /// Beat `index` in `lead`; in the first lead where the record has no other.
    pub fn beat(&self, lead: Lead, index: usize) -> &Beat {
        let lead = (lead as usize).min(self.lead_count() - 1);
        &self.lead(lead)[index]
    }

    fn lead_count(&self) -> usize {
        match &self.leads {
            Leads::Held(leads) => leads.len(),
            Leads::Mapped { leads, .. } => leads.len(),
        }
    }

    fn lead(&self, lead: usize) -> &[Beat] {
        match &self.leads {
            Leads::Held(leads) => &leads[lead],
            // Checked when the file was opened.
            Leads::Mapped { map, leads } => {
                <[Beat]>::ref_from_bytes(&map[leads[lead].clone()]).unwrap_or_default()
            }
        }
    }

    /// CRC-32 of the beats of all leads, as they are in memory.
    pub(crate) fn checksum(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for lead in self.leads() {
            crc.update(lead.as_bytes());
        }
        crc.finalize()
    }

    /// The beats of each lead.
    pub(crate) fn leads(&self) -> impl Iterator<Item = &[Beat]> {
        (0..self.lead_count()).map(|lead| self.lead(lead))
    }

    /// Beats of class `class`.
    pub fn count(&self, class: Class) -> usize {
        self.classes.iter().filter(|c| **c == class).count()
    }

    /// Builds a record from signals in mV at the canonical rate (first lead first, one or two of equal length) and
    /// beats as (R sample, class) in order of time. Beats that core's extractor refuses - beyond the signal's end, or
    /// at the sample of the beat before - are left out, as they are in use.
    pub fn from_signals(
        database: &str,
        name: &str,
        signals_mv: &[Vec<f32>],
        beats: &[(u32, Class)],
        patient: Patient,
    ) -> Self {
        let leads_mv: Vec<LeadMv> = signals_mv
            .iter()
            .map(|signal| LeadMv::new(signal.clone()))
            .collect();
        let mut classes = Vec::new();
        let mut leads = Vec::new();
        for lead_mv in &leads_mv {
            let lead;
            (classes, lead) = lead_mv.beats(beats, patient);
            leads.push(lead);
        }
        if let [first, second] = leads_mv.as_slice() {
            let median = |beats: &[Beat]| {
                let mut scales: Vec<f32> = beats.iter().map(|beat| beat.scale_mv).collect();
                scales.sort_by(f32::total_cmp);
                scales.get(scales.len() / 2).copied().unwrap_or(1.0)
            };
            let (m0, m1) = (median(&leads[0]), median(&leads[1]));
            let gain = (m0 * m1 / 2.0).sqrt();
            for sign in [1.0, -1.0] {
                let mixed = |first: &[f32], second: &[f32]| -> Vec<f32> {
                    let pairs = first.iter().zip(second);
                    pairs
                        .map(|(x0, x1)| gain * (x0 / m0 + sign * x1 / m1))
                        .collect()
                };
                let lead_mv = LeadMv {
                    signal: mixed(&first.signal, &second.signal),
                    filtered: mixed(&first.filtered, &second.filtered),
                };
                leads.push(lead_mv.beats(beats, patient).1);
            }
        }
        let name = format!("{database}/{name}");
        Self {
            patient: patient_of(&name),
            name,
            peaks: Peaks::Reference,
            rhythm: None,
            best: Lead::First,
            database: database.to_owned(),
            classes,
            leads: Leads::Held(leads),
        }
    }

    /// Reads one record with its reference annotations, once for each of `peaks`.
    ///
    /// # Errors
    /// If it cannot be read or has no beat of the classes N, S, V, F.
    pub fn read(database: &str, path: &Path, peaks: &[Peaks]) -> Result<Vec<Self>, DatasetError> {
        let record = Record::open(path)?;
        let annotations = record.annotations(REFERENCE)?;
        let order = lead_order(&record);
        let best = match LeadChoice::Best.index(&record)? {
            index if index == order[0] => Lead::First,
            _ => Lead::Second,
        };
        let rate_hz = record.sample_rate_hz();
        let mut signals = Vec::new();
        for lead in order {
            let samples_mv = record.read_lead(lead)?;
            let lead_hz = record.leads()[lead].sample_rate_hz;
            signals.push(to_canonical(&samples_mv, lead_hz).map_err(|source| {
                DatasetError::Rate {
                    path: path.to_owned(),
                    source,
                }
            })?);
        }
        let annotated: Vec<(u32, Class)> = mapping::beats(&annotations)
            .map(|(annotation, class)| (to_canonical_index(annotation.sample, rate_hz), class))
            .collect();
        if annotated.iter().all(|(_, class)| *class == Class::Q) {
            return Err(DatasetError::NoBeats {
                path: path.to_owned(),
            });
        }
        let at = |peaks: &Peaks| {
            let beats = match peaks {
                Peaks::Reference | Peaks::Annotated => annotated.clone(),
                Peaks::Detected => detected(signals.first().map_or(&[], Vec::as_slice), &annotated),
            };
            let (name, patient) = (record.name(), heartlens::canonical::patient(&record));
            Self {
                peaks: *peaks,
                best,
                ..Self::from_signals(database, name, &signals, &beats, patient)
            }
        };
        Ok(peaks.iter().map(at).collect())
    }
}

/// Indices of the leads that are read, the one first that is read alone where one is enough: MLII where the record has it.
pub(crate) fn lead_order(record: &Record) -> Vec<usize> {
    let mut order: Vec<usize> = (0..record.leads().len().min(2)).collect();
    let second = record.leads().get(1);
    if second.is_some_and(|lead| lead.name == FIRST_LEAD) {
        order.reverse();
    }
    order
}

/// The R peaks that core's detector finds in a lead in mV at the canonical rate.
pub fn r_peaks(signal_mv: &[f32]) -> Vec<u32> {
    let mut filter = BandPass::new();
    let mut detector = Detector::new();
    let silence = std::iter::repeat_n(0.0, DETECTOR_MAX_DELAY_SAMPLES);
    let filtered: Vec<f32> = signal_mv.iter().map(|&mv| filter.push(mv)).collect();
    filtered
        .into_iter()
        .chain(silence)
        .filter_map(|mv| detector.push(mv))
        .map(|peak| peak.sample)
        .filter(|&sample| (sample as usize) < signal_mv.len())
        .collect()
}

/// The R peaks that core's detector finds in a lead, each with the class of the annotated beat that it matches by
/// EC57's rule, within 150 ms. One that matches none is of class Q: it counts for the RR intervals of the others, as it
/// does in use. Annotated beats that the detector misses are left out.
fn detected(signal_mv: &[f32], annotated: &[(u32, Class)]) -> Vec<(u32, Class)> {
    let mut found: Vec<(u32, Class)> = r_peaks(signal_mv)
        .into_iter()
        .map(|sample| (sample, Class::Q))
        .collect();
    let events = |beats: &[(u32, Class)]| -> Vec<Event> {
        let event = |(sample, class): &(u32, Class)| Event::beat(u64::from(*sample), *class);
        beats.iter().map(event).collect()
    };
    let options = Options {
        from_s: 0.0,
        ..Options::ec57(f64::from(SAMPLE_RATE_HZ), Some(signal_mv.len() as u64))
    };
    for pair in compare(&events(annotated), &events(&found), &options).pairs {
        if let (Some(reference), Some(test)) = (pair.reference_index, pair.test_index) {
            found[test].1 = annotated[reference].1;
        }
    }
    found
}

/// A lead in mV at the canonical rate, as it is and filtered.
pub(crate) struct LeadMv {
    pub(crate) signal: Vec<f32>,
    pub(crate) filtered: Vec<f32>,
}

impl LeadMv {
    /// Filters a lead.
    pub(crate) fn new(signal: Vec<f32>) -> Self {
        let mut filter = BandPass::new();
        let filtered = signal.iter().map(|&mv| filter.push(mv)).collect();
        Self { signal, filtered }
    }

    /// Sends the lead through core's extractor and its measure of quality. Returns the beats and their classes.
    pub(crate) fn beats(
        &self,
        beats: &[(u32, Class)],
        patient: Patient,
    ) -> (Vec<Class>, Vec<Beat>) {
        let (mut extractor, mut quality) = (Extractor::new(patient), Quality::new());
        let mut upcoming = beats.iter().peekable();
        let mut triggered = Vec::new();
        let mut found = Vec::new();
        let beat = |frame: &BeatFrame, quality: &Quality| Beat {
            beat: frame.beat,
            template: frame.template,
            scale_mv: frame.scale_mv,
            metadata: frame.metadata,
            r_sample: frame.r_sample,
            pre_rr_s: frame.pre_rr_s.unwrap_or(0.0),
            quality: quality.at(frame.r_sample).score,
        };
        for (sample, (&mv, &filtered_mv)) in self.signal.iter().zip(&self.filtered).enumerate() {
            quality.push(mv, filtered_mv);
            extractor.push(filtered_mv);
            while let Some(&(r_sample, class)) = upcoming.next_if(|(r, _)| *r as usize <= sample) {
                if extractor.trigger(r_sample).is_ok() {
                    triggered.push(class);
                }
            }
            found.extend(extractor.poll().map(|frame| beat(&frame, &quality)));
        }
        extractor.finish();
        while let Some(frame) = extractor.poll() {
            found.push(beat(&frame, &quality));
        }
        (triggered, found)
    }
}
