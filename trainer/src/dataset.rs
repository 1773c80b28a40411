//! Annotated beats of a folder of records, each lead through `heartlens-core`.
//!
//! A record with two leads gives four: its own, and their sum and difference ([`Lead`]). Views are not stored: they are
//! computed from a beat when it is drawn ([`crate::augment`]), after it has been varied.

use crate::config::Config;
use crate::recordings;
use crate::rhythm::dataset::{Rhythm, RhythmDataError};
use heartlens::canonical::{self, RateError, to_canonical, to_canonical_index};
use heartlens::evaluate::bxb::{Event, Options, compare};
use heartlens::evaluate::mapping;
use heartlens::evaluate::report::Peaks;
use heartlens::evaluate::tally::patient_of;
use heartlens::records::annotation::AnnotationError;
use heartlens::records::{Record, RecordError};
use heartlens_core::beat::Extractor;
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::filter::BandPass;
use heartlens_core::patient::Patient;
use heartlens_core::spec::{DETECTOR_MAX_DELAY_SAMPLES, METADATA_LEN, SAMPLE_RATE_HZ};
use heartlens_core::template::BeatWindow;
use indicatif::ProgressBar;
use memmap2::Mmap;
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Annotator of the reference beats.
pub(crate) const REFERENCE: &str = "atr";
/// Modified limb lead II, the one that every reader of these records expects first.
const FIRST_LEAD: &str = "MLII";
/// Records of the MIT-BIH Noise Stress Test Database: baseline wander, electrode motion, muscle artefact.
const NOISE_RECORDS: [&str; 3] = ["bw", "em", "ma"];
/// The folder of those records.
pub const NOISE_FOLDER: &str = "nstdb";
/// Noise that is left out at the start of a record while the filter settles, in samples (10 s).
const NOISE_SETTLING_SAMPLES: usize = 10 * SAMPLE_RATE_HZ as usize;

/// A folder that cannot be trained on.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The folder cannot be listed.
    #[error("{}: {source}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to learn from.
    #[error(
        "{}: found no record with reference annotations; expected WFDB records (.hea with .{REFERENCE}) in it or in its \
         subfolders, such as mitdb/ and svdb/",
        path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A record among annotated ones has no annotations.
    #[error(
        "{}: record without annotations: found no {name}.{REFERENCE} beside its header, though other records of the \
         folder have theirs; add the file or move the record elsewhere",
        path.display()
    )]
    NoAnnotations {
        /// The header.
        path: PathBuf,
        /// The record's name.
        name: String,
    },
    /// The annotations name no beat.
    #[error("{}: its annotations hold no beat of the classes N, S, V, F", path.display())]
    NoBeats {
        /// The record.
        path: PathBuf,
    },
    /// A record named by the user is not among those read.
    #[error("no record {wanted} among the {count} that were read, such as {example}")]
    NoSuchRecord {
        /// The name.
        wanted: String,
        /// How many were read.
        count: usize,
        /// One of them.
        example: String,
    },
    /// The noise is not where it is expected.
    #[error(
        "{}: {source}; the noise records bw, em and ma of nstdb are needed unless augmentation.noise_probability is 0",
        path.display()
    )]
    Noise {
        /// The record.
        path: PathBuf,
        /// Why.
        source: Box<RecordError>,
    },
    /// A record's rate cannot be converted.
    #[error("{}: {source}", path.display())]
    Rate {
        /// The record.
        path: PathBuf,
        /// Why.
        source: RateError,
    },
    /// Recordings that the config wants cannot be read.
    #[error("recordings of the config: {0}; or leave the section [recordings] out")]
    Recordings(#[from] RhythmDataError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Annotations cannot be read.
    #[error(transparent)]
    Annotations(#[from] AnnotationError),
}

/// A lead of a record, or a virtual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// All leads, in the order of [`crate::config::LeadShares::in_order`].
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
    /// RR interval since the beat before, in seconds; 0 at the first beat.
    pre_rr_s: f32,
}

impl Beat {
    /// RR interval since the beat before, in seconds; `None` at the first beat.
    pub fn pre_rr_s(&self) -> Option<f32> {
        Some(self.pre_rr_s).filter(|&seconds| seconds > 0.0)
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
        let filtered: Vec<Vec<f32>> = signals_mv
            .iter()
            .map(|signal| {
                let mut filter = BandPass::new();
                signal.iter().map(|&mv| filter.push(mv)).collect()
            })
            .collect();
        let mut classes = Vec::new();
        let mut leads = Vec::new();
        for signal in &filtered {
            let lead;
            (classes, lead) = lead_beats(signal, beats, patient);
            leads.push(lead);
        }
        if let [first, second] = filtered.as_slice() {
            let median = |beats: &[Beat]| {
                let mut scales: Vec<f32> = beats.iter().map(|beat| beat.scale_mv).collect();
                scales.sort_by(f32::total_cmp);
                scales.get(scales.len() / 2).copied().unwrap_or(1.0)
            };
            let (m0, m1) = (median(&leads[0]), median(&leads[1]));
            let gain = (m0 * m1 / 2.0).sqrt();
            for sign in [1.0, -1.0] {
                let signal: Vec<f32> = first
                    .iter()
                    .zip(second)
                    .map(|(x0, x1)| gain * (x0 / m0 + sign * x1 / m1))
                    .collect();
                leads.push(lead_beats(&signal, beats, patient).1);
            }
        }
        let name = format!("{database}/{name}");
        Self {
            patient: patient_of(&name),
            name,
            peaks: Peaks::Reference,
            rhythm: None,
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
                Peaks::Reference => annotated.clone(),
                Peaks::Detected => detected(signals.first().map_or(&[], Vec::as_slice), &annotated),
            };
            let (name, patient) = (record.name(), canonical::patient(&record));
            Self {
                peaks: *peaks,
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

/// Sends one filtered lead through core's extractor. Returns the beats and their classes.
pub(crate) fn lead_beats(
    filtered_mv: &[f32],
    beats: &[(u32, Class)],
    patient: Patient,
) -> (Vec<Class>, Vec<Beat>) {
    let mut extractor = Extractor::new(patient);
    let mut upcoming = beats.iter().peekable();
    let mut triggered = Vec::new();
    let mut frames = Vec::new();
    for (sample, &mv) in filtered_mv.iter().enumerate() {
        extractor.push(mv);
        while let Some(&(r_sample, class)) = upcoming.next_if(|(r, _)| *r as usize <= sample) {
            if extractor.trigger(r_sample).is_ok() {
                triggered.push(class);
            }
        }
        frames.extend(extractor.poll());
    }
    extractor.finish();
    frames.extend(std::iter::from_fn(|| extractor.poll()));

    let beats = frames.into_iter().map(|frame| Beat {
        beat: frame.beat,
        template: frame.template,
        scale_mv: frame.scale_mv,
        metadata: frame.metadata,
        pre_rr_s: frame.pre_rr_s.unwrap_or(0.0),
    });
    (triggered, beats.collect())
}

/// The annotated records of a folder, and recordings that are trained on beside them.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// In order of database and name, recordings last; a record that is read at several choices of R peaks comes once for each.
    pub records: Vec<RecordBeats>,
}

impl Dataset {
    /// Reads all annotated records of `folder` and of its subfolders, once for each choice of R peaks, and the recordings of
    /// the rhythms `wanted`. A subfolder in which no record is annotated (noise, or other kinds of labels) is passed
    /// over.
    ///
    /// # Errors
    /// If there is none, one lacks its annotations, or one cannot be read.
    pub fn read(folder: &Path, wanted: &Wanted) -> Result<Self, DatasetError> {
        Self::prepare(&find(folder, wanted)?, &wanted.peaks)
    }

    /// Reads what [`find`] has found.
    pub(crate) fn prepare(found: &[Found], peaks: &[Peaks]) -> Result<Self, DatasetError> {
        let progress = bar(found.len() as u64, "records");
        let records: Result<Vec<Vec<RecordBeats>>, DatasetError> = found
            .par_iter()
            .map(|found| {
                let record = found.read(peaks);
                progress.inc(1);
                record
            })
            .collect();
        progress.finish_and_clear();
        Ok(Self {
            records: records?.into_iter().flatten().collect(),
        })
    }

    /// Indices of the records with reference annotations: those that can be judged.
    pub fn annotated(&self) -> impl Iterator<Item = usize> {
        let records = self.records.iter().enumerate();
        records.filter_map(|(index, record)| record.rhythm.is_none().then_some(index))
    }

    /// Indices of the records and recordings that `config` trains on, without those `held_out`.
    pub fn training(&self, config: &Config, held_out: &[usize]) -> Vec<usize> {
        let Wanted { peaks, rhythms } = config.wanted(&config.data.peaks);
        let wanted = |record: &RecordBeats| match &record.rhythm {
            None => peaks.contains(&record.peaks),
            Some(rhythm) => rhythms.contains(rhythm),
        };
        (0..self.records.len())
            .filter(|record| !held_out.contains(record) && wanted(&self.records[*record]))
            .collect()
    }

    /// Indices of the annotated records called by `names`, which may leave out the database.
    ///
    /// # Errors
    /// If there is no such record.
    pub fn indices_of(&self, names: &[String]) -> Result<Vec<usize>, DatasetError> {
        let mut indices = Vec::new();
        for wanted in names {
            let before = indices.len();
            let suffix = format!("/{wanted}");
            indices.extend(self.annotated().filter(|&index| {
                let name = &self.records[index].name;
                name == wanted || name.ends_with(&suffix)
            }));
            if indices.len() == before {
                let example = self.records.first().map(|record| record.name.clone());
                return Err(DatasetError::NoSuchRecord {
                    wanted: wanted.clone(),
                    count: self.annotated().count(),
                    example: example.unwrap_or_default(),
                });
            }
        }
        Ok(indices)
    }

    /// Names of the databases of annotated records, in alphabetical order.
    pub fn databases(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .annotated()
            .map(|record| self.records[record].database.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What is read of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where the R peaks of annotated records come from; each record is read once for each.
    pub peaks: Vec<Peaks>,
    /// Rhythms of the recordings that are read though nobody annotated them.
    pub rhythms: Vec<Rhythm>,
}

/// A record or recording that is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Name of its folder.
    pub database: String,
    /// Its path, without extension.
    pub path: PathBuf,
    /// Of a recording that nobody annotated, its rhythm.
    pub rhythm: Option<Rhythm>,
}

impl Found {
    /// Its beats: once for each of `peaks` where it is annotated; none of a recording that is too short.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&self, peaks: &[Peaks]) -> Result<Vec<RecordBeats>, DatasetError> {
        match self.rhythm {
            None => RecordBeats::read(&self.database, &self.path, peaks),
            Some(rhythm) => {
                let beats = recordings::read(&self.database, &self.path, rhythm)?;
                Ok(beats.into_iter().collect())
            }
        }
    }
}

/// The paths of what is wanted of `folder`: annotated records first, then recordings.
pub(crate) fn find(folder: &Path, wanted: &Wanted) -> Result<Vec<Found>, DatasetError> {
    let annotated = find_records(folder)?.into_iter();
    let mut found: Vec<Found> = annotated
        .map(|(database, path)| Found {
            database,
            path,
            rhythm: None,
        })
        .collect();
    if !wanted.rhythms.is_empty() {
        found.extend(recordings::find(folder, &wanted.rhythms)?);
    }
    Ok(found)
}

/// Database and path (without extension) of every annotated record in `folder` or its subfolders, in order.
pub(crate) fn find_records(folder: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut folders = vec![folder.to_owned()];
    folders.extend(list(folder)?.into_iter().filter(|path| path.is_dir()));
    let mut found = Vec::new();
    for folder in folders {
        let headers: Vec<PathBuf> = list(&folder)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "hea"))
            .collect();
        let annotated = |header: &&PathBuf| header.with_extension(REFERENCE).exists();
        if !headers.iter().any(|header| annotated(&header)) {
            continue;
        }
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let database = canonical
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for header in headers {
            if !annotated(&&header) {
                let name = header.file_stem().unwrap_or_default();
                return Err(DatasetError::NoAnnotations {
                    name: name.to_string_lossy().into_owned(),
                    path: header,
                });
            }
            found.push((database.clone(), header.with_extension("")));
        }
    }
    if found.is_empty() {
        return Err(DatasetError::Empty {
            path: folder.to_owned(),
        });
    }
    Ok(found)
}

/// The paths in `folder`, in alphabetical order.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let read = || {
        let entries = std::fs::read_dir(folder)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|source| DatasetError::Read {
        path: folder.to_owned(),
        source,
    })
}

/// Recorded noise, filtered by core and scaled to a standard deviation of 1, one vector a channel.
#[derive(Debug, Clone, Default)]
pub struct Noise {
    /// At the canonical rate.
    pub channels: Vec<Vec<f32>>,
}

impl Noise {
    /// Reads bw, em and ma of the folder `nstdb` in `folder` or beside it.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn read(folder: &Path) -> Result<Self, DatasetError> {
        let folder = noise_folder(folder);
        let mut channels = Vec::new();
        for name in NOISE_RECORDS {
            let path = folder.join(name);
            let fail = |source| DatasetError::Noise {
                path: path.clone(),
                source: Box::new(source),
            };
            let record = Record::open(&path).map_err(fail)?;
            for lead in 0..record.leads().len() {
                let samples_mv = record.read_lead(lead).map_err(fail)?;
                let samples_mv =
                    to_canonical(&samples_mv, record.sample_rate_hz()).map_err(|source| {
                        DatasetError::Rate {
                            path: path.clone(),
                            source,
                        }
                    })?;
                let mut filter = BandPass::new();
                let filtered: Vec<f32> = samples_mv.iter().map(|&mv| filter.push(mv)).collect();
                let settled = filtered.get(NOISE_SETTLING_SAMPLES..).unwrap_or(&[]);
                channels.push(unit_deviation(settled));
            }
        }
        Ok(Self { channels })
    }

    /// The first half of each channel.
    pub fn first_half(mut self) -> Self {
        for channel in &mut self.channels {
            channel.truncate(channel.len() / 2);
        }
        self
    }
}

/// The folder `nstdb` in `folder` or beside it.
pub(crate) fn noise_folder(folder: &Path) -> PathBuf {
    let inside = folder.join(NOISE_FOLDER);
    let beside = folder.join("..").join(NOISE_FOLDER);
    if !inside.is_dir() && beside.is_dir() {
        beside
    } else {
        inside
    }
}

/// The samples without their mean, divided by their standard deviation.
fn unit_deviation(samples: &[f32]) -> Vec<f32> {
    let count = samples.len() as f64;
    let mean = samples.iter().copied().map(f64::from).sum::<f64>() / count;
    let deviation = |x: f32| f64::from(x) - mean;
    let variance = samples.iter().map(|&x| deviation(x).powi(2)).sum::<f64>() / count;
    let root = variance.sqrt().max(f64::MIN_POSITIVE);
    samples
        .iter()
        .map(|&x| (deviation(x) / root) as f32)
        .collect()
}

/// A progress bar over `len` of `what`, on stderr, silent where that is no terminal.
pub(crate) fn bar(len: u64, what: &'static str) -> ProgressBar {
    let style = indicatif::ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {pos}/{len} {msg} {per_sec} eta {eta}",
    )
    .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_message(what)
}
