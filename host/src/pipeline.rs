//! The whole road on a host: a record's lead in, classified beats out. Every feature is `heartlens_core`'s; here are
//! only files, rates and a network.
//!
//! The signal streams: record, resampler, monitor and network hold a block of it, or a batch of beats, at a time.

mod polarity;

use crate::lead::{BATCH, LeadBeat};
use crate::records::resample::{self, ResampleError, ToCanonical};
use crate::records::{Blocks, LeadChoice, Record, RecordError, Warning};
use crate::rhythm::{self, RhythmModel};
use crate::runtime::{Logits, ModelError, Runtime, softmax};
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::monitor::{Monitor, MonitoredBeat, PeakSource};
use heartlens_core::patient::Patient;
use heartlens_core::views::Views;
use polarity::Polarity;
use std::path::PathBuf;

/// Which leads the network reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// One lead.
    One(LeadChoice),
    /// The first two leads of the record, their logits averaged; beats are found in the first.
    Both,
}

impl std::str::FromStr for Leads {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "both" => Ok(Self::Both),
            _ => text.parse().map(Self::One),
        }
    }
}

/// Where the R peaks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peaks<'a> {
    /// From core's detector.
    Detected,
    /// From a reference annotation: the beats' samples at the record's own rate, ascending. Each is classified, and
    /// none becomes Q: the annotator vouches for it.
    Reference(&'a [u64]),
}

/// What to read of a record, and how.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The leads.
    pub leads: &'a Leads,
    /// The R peaks.
    pub peaks: Peaks<'a>,
    /// Age and sex.
    pub patient: Patient,
    /// What tells the rhythm and weighs on the classes; `None`: nothing does.
    pub rhythm: Option<&'a RhythmModel>,
    /// What is added to each lead that is read, in order, in mV at the canonical rate: noise, in a stress test. What
    /// is longer than the lead is cut; what is missing adds nothing.
    pub added_mv: &'a [Vec<f32>],
}

/// One beat and what the networks make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// Position of the R peak, in samples at the record's own rate.
    pub sample: u64,
    /// The same in seconds from the record's start.
    pub time_s: f64,
    /// The likeliest class, or [`Class::Q`] where the signal is not worth reading.
    pub class: Class,
    /// The probability of each class, in the order of [`heartlens_core::spec::LABELS`]: the network's, weighed by the
    /// rhythm; they add up to 1.
    pub scores: Logits,
    /// Whether it lies in atrial fibrillation; `None` as long as that is not known.
    pub fibrillation: Option<bool>,
    /// The RR interval since the beat before, in milliseconds.
    pub rr_ms: Option<f64>,
    /// How worth reading the signal around the beat is, 0..=1.
    pub quality: f32,
}

/// Why a record could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record's rate cannot be brought to the canonical one.
    #[error("{path}: {source}")]
    Resample {
        /// The record.
        path: PathBuf,
        /// Why.
        source: ResampleError,
    },
    /// Annotated beats lie beyond the signal.
    #[error(
        "{path}: the annotated beat at sample {sample} lies beyond the record's {len} samples; \
         do annotations and record belong together?"
    )]
    BeyondEnd {
        /// The record.
        path: PathBuf,
        /// The first beat beyond, in samples at the record's own rate.
        sample: u64,
        /// The record's length, in samples.
        len: usize,
    },
    /// The record is longer than positions can be counted.
    #[error("{path}: lasts {days:.0} days, expected at most 388; cut it into several records")]
    TooLong {
        /// The record.
        path: PathBuf,
        /// How long it lasts, in days.
        days: f64,
    },
    /// Two leads were asked for, but there are fewer.
    #[error("{path}: has {found} lead, but averaging needs two; name one with --lead")]
    TooFewLeads {
        /// The record.
        path: PathBuf,
        /// How many it has.
        found: usize,
    },
    /// The network failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A beat on its way out of the network, as [`classify_watched`] shows it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// 0 for the lead that beats are found in, 1 for the second of two.
    pub lead: usize,
    /// The beat's place among those that come back.
    pub index: usize,
    /// Its views of this lead.
    pub views: &'a Views,
    /// What the network says of them.
    pub logits: Logits,
    /// How worth reading the signal around it is, 0..=1.
    pub quality: f32,
    /// Whether its signal is worth reading, or an annotator vouches for it: if not, it becomes [`Class::Q`].
    pub readable: bool,
}

/// Classifies the beats of a record. `progress` is told after every batch how much of the road is done, 0..=1. A lead
/// that seems to be recorded upside down becomes one of the record's [warnings](Record::warnings).
///
/// # Errors
/// When the record, its annotations or the model are at fault; see [`PipelineError`].
pub fn classify(
    record: &Record,
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    progress: impl FnMut(f64),
) -> Result<Vec<Beat>, PipelineError> {
    classify_watched(record, request, runtime, progress, &mut |_| ())
}

/// As [`classify`], and shows `watch` each beat with its views: all beats of the first lead in order, then, where two
/// are averaged, the same beats of the second.
///
/// # Errors
/// As [`classify`].
pub fn classify_watched(
    record: &Record,
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    mut progress: impl FnMut(f64),
    watch: &mut dyn FnMut(Seen<'_>),
) -> Result<Vec<Beat>, PipelineError> {
    let (first, second) = match request.leads {
        Leads::One(choice) => (record.lead_index(choice)?, None),
        Leads::Both if record.leads().len() < 2 => {
            return Err(PipelineError::TooFewLeads {
                path: record.path().to_owned(),
                found: record.leads().len(),
            });
        }
        Leads::Both => (0, Some(1)),
    };
    let rate = record.sample_rate_hz();
    let passes = if second.is_some() { 2.0 } else { 1.0 };
    let vouched = matches!(request.peaks, Peaks::Reference(_));
    let mut show = |lead, index, views: &Views, beat: &LeadBeat| {
        watch(Seen {
            lead,
            index,
            views,
            logits: beat.logits,
            quality: beat.quality,
            readable: vouched || beat.readable,
        });
    };

    let signal = Signal::open(record, first, request.added_mv.first())?;
    let mut first_progress = |done| progress(done / passes);
    let mut show_first = |index, views: &Views, beat: &LeadBeat| show(0, index, views, beat);
    let mut found = match request.peaks {
        Peaks::Detected => run_lead(
            signal,
            Detector::new(),
            request.patient,
            runtime,
            &mut first_progress,
            &mut show_first,
        )?,
        Peaks::Reference(samples) => {
            let peaks = canonical_peaks(record, samples, signal.len)?;
            run_lead(
                signal,
                peaks,
                request.patient,
                runtime,
                &mut first_progress,
                &mut show_first,
            )?
        }
    };
    if let Some(second) = second {
        let signal = Signal::open(record, second, request.added_mv.get(1))?;
        let peaks = KnownPeaks::new(found.iter().map(|beat| beat.r_sample).collect());
        let mut second_progress = |done| progress((1.0 + done) / passes);
        let mut show_second = |index, views: &Views, beat: &LeadBeat| show(1, index, views, beat);
        let other = run_lead(
            signal,
            peaks,
            request.patient,
            runtime,
            &mut second_progress,
            &mut show_second,
        )?;
        for (ours, theirs) in found.iter_mut().zip(other) {
            for (a, b) in ours.logits.iter_mut().zip(theirs.logits) {
                *a = (*a + b) / 2.0;
            }
        }
    }
    let (mut rhythm, network) = rhythm::begin(request.rhythm);
    let beats = found.iter().enumerate().map(|(i, beat)| {
        let sample = match request.peaks {
            Peaks::Reference(samples) => samples[i],
            Peaks::Detected => resample::from_canonical_index(beat.r_sample, rate),
        };
        let verdict = rhythm.push(
            network,
            &beat.observation,
            &softmax(&beat.logits),
            vouched || beat.readable,
        );
        Beat {
            sample,
            time_s: sample as f64 / rate,
            class: verdict.class,
            scores: verdict.probabilities,
            fibrillation: verdict.fibrillation,
            rr_ms: beat.observation.rr_s.map(|rr| f64::from(rr) * 1000.0),
            quality: beat.quality,
        }
    });
    Ok(beats.collect())
}

/// Adds what [`Request::added_mv`] has for these samples.
pub(crate) fn add(signal: &mut [f32], added_mv: &[f32]) {
    for (sample, added) in signal.iter_mut().zip(added_mv) {
        *sample += added;
    }
}

/// A lead at the canonical rate, in mV: all of it. [`stream_canonical`] gives the same in blocks.
///
/// # Errors
/// When the lead cannot be read, or its rate cannot be brought to the canonical one.
pub fn canonical_lead(record: &Record, lead: usize) -> Result<Vec<f32>, PipelineError> {
    let mut all = Vec::new();
    for block in stream_canonical(record, lead)? {
        all.extend_from_slice(&block?);
    }
    Ok(all)
}

/// A lead at the canonical rate, in mV, as it is read.
///
/// # Errors
/// When the lead cannot be read, or its rate cannot be brought to the canonical one. Blocks may fail likewise.
pub fn stream_canonical(record: &Record, lead: usize) -> Result<Canonical<'_>, PipelineError> {
    let blocks = record.stream_mv(lead, 0..usize::MAX)?;
    let lead = &record.leads()[lead];
    let resampler =
        ToCanonical::new(lead.sample_rate_hz).map_err(|source| cannot_resample(record, source))?;
    let len = resampler.output_len(lead.len_samples);
    if u32::try_from(len).is_err() {
        return Err(PipelineError::TooLong {
            path: record.path().to_owned(),
            days: record.duration_s() / 86_400.0,
        });
    }
    Ok(Canonical {
        record,
        blocks,
        resampler: Some(resampler),
        len,
    })
}

fn cannot_resample(record: &Record, source: ResampleError) -> PipelineError {
    PipelineError::Resample {
        path: record.path().to_owned(),
        source,
    }
}

/// A lead at the canonical rate, block by block; see [`stream_canonical`]. Ends after an error.
pub struct Canonical<'a> {
    record: &'a Record,
    blocks: Blocks<'a>,
    /// `None` once the signal has ended.
    resampler: Option<ToCanonical>,
    len: usize,
}

impl Canonical<'_> {
    /// Samples of all blocks together.
    pub fn len_samples(&self) -> usize {
        self.len
    }
}

impl Iterator for Canonical<'_> {
    type Item = Result<Vec<f32>, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut resampler = self.resampler.take()?;
        let mut result = Vec::new();
        let done = match self.blocks.next() {
            Some(Ok(block)) => {
                let done = resampler.push(&block, &mut result);
                self.resampler = done.is_ok().then_some(resampler);
                done
            }
            Some(Err(error)) => return Some(Err(error.into())),
            None => resampler.finish(&mut result),
        };
        Some(match done {
            Ok(()) => Ok(result),
            Err(source) => Err(cannot_resample(self.record, source)),
        })
    }
}

/// Annotated beats, in samples at the record's own rate, as peaks at the canonical rate. Beats closer than one sample
/// of it are moved apart, so that each is classified.
///
/// # Errors
/// When a beat lies beyond the signal, which has `len` samples at the canonical rate.
pub fn canonical_peaks(
    record: &Record,
    samples: &[u64],
    len: usize,
) -> Result<KnownPeaks, PipelineError> {
    let rate = record.sample_rate_hz();
    let mut peaks: Vec<u32> = Vec::with_capacity(samples.len());
    for sample in samples {
        let nearest = resample::to_canonical_index(*sample, rate);
        // The last sample of the record may round up to one past the last at the canonical rate.
        let nearest = match u32::try_from(len) {
            Ok(len) if nearest == len && (*sample as usize) < record.len_samples() => len - 1,
            _ => nearest,
        };
        let peak = peaks.last().map_or(nearest, |last| nearest.max(last + 1));
        if peak as usize >= len {
            return Err(PipelineError::BeyondEnd {
                path: record.path().to_owned(),
                sample: *sample,
                len: record.len_samples(),
            });
        }
        peaks.push(peak);
    }
    Ok(KnownPeaks::new(peaks))
}

/// R peaks that are known already: each is given as soon as its sample has been pushed.
#[derive(Debug, Clone)]
pub struct KnownPeaks {
    peaks: std::iter::Peekable<std::vec::IntoIter<u32>>,
    samples: u32,
}

impl KnownPeaks {
    /// Peaks at these positions, strictly ascending.
    pub fn new(peaks: Vec<u32>) -> Self {
        Self {
            peaks: peaks.into_iter().peekable(),
            samples: 0,
        }
    }
}

impl PeakSource for KnownPeaks {
    fn push(&mut self, _filtered_mv: f32) -> Option<u32> {
        let now = self.samples;
        self.samples += 1;
        self.peaks.next_if_eq(&now)
    }
}

/// Sends a lead at the canonical rate through core's monitor and gives each beat to `visit`: with the peaks that
/// [`classify`] had, the same beats in the same order.
pub fn for_each_beat<P: PeakSource>(
    signal_mv: &[f32],
    peaks: P,
    patient: Patient,
    mut visit: impl FnMut(MonitoredBeat),
) {
    let mut monitor = Monitor::with_peaks(peaks, patient);
    for sample in signal_mv {
        if let Some(beat) = monitor.push(*sample) {
            visit(beat);
        }
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        visit(beat);
    }
}

/// A lead on its way to the monitor.
struct Signal<'a> {
    record: &'a Record,
    lead: usize,
    blocks: Canonical<'a>,
    /// Samples at the canonical rate.
    len: usize,
    /// What is added to the samples that are to come.
    added_mv: &'a [f32],
}

impl<'a> Signal<'a> {
    fn open(
        record: &'a Record,
        lead: usize,
        added_mv: Option<&'a Vec<f32>>,
    ) -> Result<Self, PipelineError> {
        let blocks = stream_canonical(record, lead)?;
        Ok(Self {
            record,
            lead,
            len: blocks.len_samples(),
            blocks,
            added_mv: added_mv.map_or(&[], Vec::as_slice),
        })
    }

    fn next_block(&mut self) -> Option<Result<Vec<f32>, PipelineError>> {
        Some(self.blocks.next()?.map(|mut block| {
            add(&mut block, self.added_mv);
            self.added_mv = self.added_mv.get(block.len()..).unwrap_or(&[]);
            block
        }))
    }
}

/// Beats on their way through the network.
struct Batches<'a> {
    runtime: &'a mut dyn Runtime,
    show: &'a mut dyn FnMut(usize, &Views, &LeadBeat),
    beats: Vec<LeadBeat>,
    /// The views of the last beats, whose logits are yet to be asked for.
    waiting: Vec<Views>,
    polarity: Polarity,
}

impl Batches<'_> {
    /// Takes a beat, and says whether a batch of them has become full.
    fn take(&mut self, beat: &MonitoredBeat) -> bool {
        let mut views = Views::ZERO;
        views.compute(&beat.frame);
        self.waiting.push(views);
        if beat.quality.is_readable() {
            self.polarity.push(&beat.frame);
        }
        self.beats.push(LeadBeat::new(beat, Logits::default()));
        self.waiting.len() == BATCH
    }

    fn run(&mut self) -> Result<(), ModelError> {
        let start = self.beats.len() - self.waiting.len();
        let logits = self.runtime.logits(&self.waiting)?;
        for (i, (views, logits)) in self.waiting.drain(..).zip(logits).enumerate() {
            let beat = &mut self.beats[start + i];
            beat.logits = logits;
            (self.show)(start + i, &views, beat);
        }
        Ok(())
    }
}

/// Sends a lead through core's monitor and its beats, a batch at a time, through the network; `show` then gets each with
/// its place.
fn run_lead<P: PeakSource>(
    mut signal: Signal<'_>,
    peaks: P,
    patient: Patient,
    runtime: &mut dyn Runtime,
    progress: &mut dyn FnMut(f64),
    show: &mut dyn FnMut(usize, &Views, &LeadBeat),
) -> Result<Vec<LeadBeat>, PipelineError> {
    let mut monitor = Monitor::with_peaks(peaks, patient);
    let mut batches = Batches {
        runtime,
        show,
        beats: Vec::new(),
        waiting: Vec::with_capacity(BATCH),
        polarity: Polarity::default(),
    };
    while let Some(block) = signal.next_block() {
        for sample in block? {
            if let Some(beat) = monitor.push(sample)
                && batches.take(&beat)
            {
                batches.run()?;
                progress(f64::from(monitor.samples()) / signal.len as f64);
            }
        }
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        batches.take(&beat);
    }
    batches.run()?;
    progress(1.0);
    let lead = &signal.record.leads()[signal.lead].name;
    if batches.polarity.is_upside_down(lead) {
        signal
            .record
            .note(Warning::UpsideDown { lead: lead.clone() });
    }
    Ok(batches.beats)
}
