//! A record's leads on their way to beats: read, resampled, through core's monitor.

use super::polarity::Polarity;
use super::scouts::Scouts;
use crate::analysis::Stages;
use crate::canonical;
use crate::clock::Instant;
use crate::error::Error;
use crate::gap::{Gap, Moment};
use crate::pipeline::{Canonical, KnownPeaks, canonical_peaks};
use crate::records::Record;
use heartlens_core::monitor::{Monitor, MonitoredBeat, PeakSource};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Input, Intervals};
use heartlens_core::strip::{Strip, StripWindow};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// A beat in each lead that is read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) first: MonitoredBeat,
    /// In the other leads; missing where a lead ends early.
    pub(super) others: Vec<Option<MonitoredBeat>>,
    /// What the rhythm network reads, where there are enough intervals before the beat.
    pub(super) input: Option<Input>,
    /// Where its recording begins in the signal, which its R peak is counted from.
    pub(super) origin: u32,
}

impl Found {
    /// The beat in a lead, by the lead's place.
    pub(super) fn in_lead(&self, lead: usize) -> Option<&MonitoredBeat> {
        match lead.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other)?.as_ref(),
        }
    }
}

/// A lead of a record, or a span of it, block by block at the canonical rate.
pub(super) struct Signal<'r> {
    record: &'r Record,
    lead: usize,
    blocks: Canonical<'r>,
    /// Where it begins in the record, in samples at the canonical rate.
    start: u32,
    /// Samples at the canonical rate.
    len: usize,
    is_part: bool,
    /// What is added to the samples that are to come.
    added_mv: &'r [f32],
}

impl<'r> Signal<'r> {
    /// A lead, or the span of it in seconds, to which `added_mv` is added, counted from the record's start.
    pub(super) fn open(
        record: &'r Record,
        lead: usize,
        span_s: &Option<Range<f64>>,
        added_mv: &'r [f32],
    ) -> Result<Self, Error> {
        let rate_hz = record.leads()[lead].sample_rate_hz;
        let range = match span_s {
            // A float becomes the nearest number of samples there is.
            Some(span) => {
                (span.start * rate_hz).round() as usize..(span.end * rate_hz).ceil() as usize
            }
            None => 0..usize::MAX,
        };
        let start = canonical::to_canonical_index(range.start as u64, rate_hz);
        let blocks = Canonical::open(record, lead, range)?;
        Ok(Self {
            record,
            lead,
            start,
            len: blocks.len_samples(),
            is_part: span_s.is_some(),
            blocks,
            added_mv: added_mv.get(start as usize..).unwrap_or_default(),
        })
    }

    /// Annotated beats of the record, in samples at its own rate: those in this signal, and their R peaks in it.
    pub(super) fn known_peaks<'s>(
        &self,
        samples: &'s [u64],
    ) -> Result<(&'s [u64], KnownPeaks), Error> {
        let rate_hz = self.record.sample_rate_hz();
        let start = self.start;
        if !self.is_part {
            return Ok((samples, canonical_peaks(self.record, samples, self.len)?));
        }
        let end = start as usize + self.len;
        let at = |sample: &u64| canonical::to_canonical_index(*sample, rate_hz);
        let from = samples.partition_point(|sample| at(sample) < start);
        let to = samples.partition_point(|sample| (at(sample) as usize) < end);
        let samples = samples.get(from..to).unwrap_or_default();
        let peaks = canonical_peaks(self.record, samples, end)?;
        Ok((samples, peaks.since(start)))
    }

    fn next_block(&mut self) -> Option<Result<Vec<f32>, Error>> {
        Some(self.blocks.next()?.map(|mut block| {
            for (sample, added) in block.iter_mut().zip(self.added_mv) {
                *sample += added;
            }
            self.added_mv = self.added_mv.get(block.len()..).unwrap_or_default();
            block
        }))
    }
}

/// A window of the first lead that the strip network is to judge, and the signal that it is of.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) strip: Box<Strip>,
    pub(super) window: StripWindow,
    /// Where its recording begins in the signal, which it is counted from.
    pub(super) origin: u32,
}

/// R peaks on their way to a lead's monitor.
pub(super) type Told = Rc<RefCell<VecDeque<u32>>>;

/// Gives on what it hears to the other leads.
struct Tee<P> {
    peaks: P,
    told: Vec<Told>,
}

impl<P> Tee<P> {
    fn new(peaks: P, told: &[Told]) -> Self {
        let told = told.iter().map(Rc::clone).collect();
        Self { peaks, told }
    }
}

impl<P: PeakSource> PeakSource for Tee<P> {
    fn push(&mut self, filtered_mv: f32) -> Option<u32> {
        let peak = self.peaks.push(filtered_mv)?;
        for told in &self.told {
            told.borrow_mut().push_back(peak);
        }
        Some(peak)
    }
}

/// Hears what is told.
#[derive(Default)]
pub(super) struct Hearing {
    told: Told,
    samples: u32,
}

impl Hearing {
    pub(super) fn of(told: &Told) -> Self {
        Self {
            told: Rc::clone(told),
            samples: 0,
        }
    }
}

impl PeakSource for Hearing {
    fn push(&mut self, _: f32) -> Option<u32> {
        let now = self.samples;
        self.samples += 1;
        self.told.borrow_mut().pop_front_if(|peak| *peak <= now)
    }
}

/// A lead, its monitor, and the beats that came out of it.
struct Lead<'r, P> {
    signal: Signal<'r>,
    monitor: Monitor<P>,
    polarity: Polarity,
    beats: VecDeque<MonitoredBeat>,
    ended: bool,
}

impl<'r, P: PeakSource> Lead<'r, P> {
    fn new(signal: Signal<'r>, peaks: P, patient: Patient) -> Self {
        Self {
            signal,
            monitor: Monitor::with_peaks(peaks, patient),
            polarity: Polarity::default(),
            beats: VecDeque::new(),
            ended: false,
        }
    }

    /// Begins another recording.
    fn begin(&mut self, peaks: P, patient: Patient) {
        self.monitor = Monitor::with_peaks(peaks, patient);
        self.ended = false;
    }

    fn push(&mut self, sample_mv: f32) {
        if let Some(beat) = self.monitor.push(sample_mv) {
            self.take(beat);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.monitor.finish();
        while let Some(beat) = self.monitor.poll() {
            self.take(beat);
        }
    }

    fn take(&mut self, beat: MonitoredBeat) {
        if beat.quality.is_readable() {
            self.polarity.push(&beat.frame);
        }
        self.beats.push_back(beat);
    }

    fn name(&self) -> &str {
        &self.signal.record.leads()[self.signal.lead].name
    }

    fn upside_down(&self) -> Option<String> {
        let name = self.name();
        self.polarity.is_upside_down(name).then(|| name.to_owned())
    }
}

/// Another lead, sample by sample beside the first.
struct Other<'r> {
    lead: Lead<'r, Hearing>,
    block: std::vec::IntoIter<f32>,
    /// Whether all of its signal has been read.
    is_read: bool,
}

impl Other<'_> {
    /// Its next sample; `None` once there is none.
    fn next(&mut self, stages: &mut Stages) -> Result<Option<f32>, Error> {
        loop {
            if let Some(sample) = self.block.next() {
                return Ok(Some(sample));
            }
            if self.is_read {
                return Ok(None);
            }
            let begun = Instant::now();
            match self.lead.signal.next_block() {
                Some(block) => self.block = block?.into_iter(),
                None => {
                    self.is_read = true;
                    self.lead.end();
                }
            }
            stages.reading += begun.elapsed();
        }
    }
}

/// The leads that are read, on their way to beats. Each beat is found once, and looked at in every lead.
pub(super) struct Feed<'r, P> {
    first: Lead<'r, Tee<P>>,
    others: Vec<Other<'r>>,
    /// Where R peaks come from other leads than the first, too.
    scouts: Option<Scouts>,
    /// The leads' samples of one moment.
    moment_mv: Vec<Option<f32>>,
    /// Moments of the signal so far.
    moments: u32,
    gap: Gap,
    /// Where the recording begins, in moments.
    origin: u32,
    /// Makes the peaks of a recording behind a gap; without it, there is one recording, whatever is missing.
    renew: Option<Box<dyn Fn() -> P + 'r>>,
    told: Vec<Told>,
    patient: Patient,
    intervals: Intervals,
    /// The first lead's last half minute, where it is asked for, and the windows that are ready.
    strip: Option<Box<Strip>>,
    windows: Vec<Window>,
    stages: Stages,
}

impl<'r> Feed<'r, Hearing> {
    /// Signals of which each helps to find the R peaks, the best first; age and sex.
    pub(super) fn scouted(first: Signal<'r>, others: Vec<Signal<'r>>, patient: Patient) -> Self {
        let scouts = Scouts::new(1 + others.len());
        let peaks = scouts.peaks();
        let renew = Box::new(scouts.renewed_peaks());
        Self {
            scouts: Some(scouts),
            ..Self::new(first, others, peaks, Some(renew), patient)
        }
    }
}

impl<'r, P: PeakSource> Feed<'r, P> {
    /// One signal, or several; where R peaks come from, and those of a recording behind a gap; age and sex.
    ///
    /// Where all signals miss more than [`GAP_S`](heartlens_core::wearable::GAP_S), one recording ends and another begins, as on a
    /// device. Without `renew` they are one: R peaks that an annotator has set are classified, each of them, wherever they are.
    pub(super) fn new(
        first: Signal<'r>,
        others: Vec<Signal<'r>>,
        peaks: P,
        renew: Option<Box<dyn Fn() -> P + 'r>>,
        patient: Patient,
    ) -> Self {
        let told: Vec<Told> = others.iter().map(|_| Told::default()).collect();
        let other = |(signal, told): (Signal<'r>, &Told)| Other {
            lead: Lead::new(signal, Hearing::of(told), patient),
            block: Vec::new().into_iter(),
            is_read: false,
        };
        let others: Vec<_> = others.into_iter().zip(&told).map(other).collect();
        Self {
            first: Lead::new(first, Tee::new(peaks, &told), patient),
            moment_mv: vec![None; 1 + others.len()],
            moments: 0,
            gap: Gap::default(),
            origin: 0,
            renew,
            told,
            patient,
            others,
            scouts: None,
            intervals: Intervals::new(),
            strip: None,
            windows: Vec::new(),
            stages: Stages::default(),
        }
    }

    /// Has windows made for the strip network.
    pub(super) fn keep_strips(&mut self) {
        self.strip = Some(Box::default());
    }

    /// The windows that have become ready since this was last asked.
    pub(super) fn windows(&mut self) -> impl Iterator<Item = Window> {
        self.windows.drain(..)
    }

    /// Takes the first lead's next sample.
    fn push_first(&mut self, sample_mv: f32) {
        let before = self.first.beats.len();
        self.first.push(sample_mv);
        self.note_from(before);
        if let Some(strip) = &mut self.strip {
            strip.push(self.first.monitor.filtered_mv());
            ready(strip, self.origin, &mut self.windows);
        }
    }

    /// Has the strip note the first lead's beats from this one on.
    fn note_from(&mut self, first: usize) {
        if let Some(strip) = &mut self.strip {
            let beats = self.first.beats.iter();
            beats.skip(first).for_each(|beat| strip.note(beat));
        }
    }

    /// Ends the first lead.
    fn end_first(&mut self) {
        let before = self.first.beats.len();
        self.first.end();
        self.note_from(before);
        if let Some(strip) = &mut self.strip {
            strip.finish();
            ready(strip, self.origin, &mut self.windows);
        }
    }

    /// Whether the next moment, of which nothing is there where it `is_missing`, belongs to a recording. Ends one at a gap, and begins
    /// another behind it.
    fn hears(&mut self, is_missing: bool, found: &mut Vec<Found>) -> bool {
        let at = self.moments;
        self.moments += 1;
        if self.renew.is_none() {
            return true;
        }
        match self.gap.next(is_missing) {
            Moment::Heard => true,
            Moment::PassedOver => false,
            Moment::Ends => {
                self.end_recording(found);
                false
            }
            Moment::Begins => {
                self.begin_recording(at);
                true
            }
        }
    }

    fn end_recording(&mut self, found: &mut Vec<Found>) {
        if let Some(scouts) = &mut self.scouts {
            scouts.finish();
        }
        self.end_first();
        self.others.iter_mut().for_each(|other| other.lead.end());
        self.pair(found);
    }

    fn begin_recording(&mut self, at: u32) {
        let Some(renew) = &self.renew else {
            return;
        };
        self.origin = at;
        if let Some(scouts) = &mut self.scouts {
            scouts.restart();
        }
        self.first
            .begin(Tee::new(renew(), &self.told), self.patient);
        for (other, told) in self.others.iter_mut().zip(&self.told) {
            told.borrow_mut().clear();
            other.lead.beats.clear();
            other.lead.begin(Hearing::of(told), self.patient);
            if other.is_read {
                other.lead.end();
            }
        }
        self.intervals = Intervals::new();
        if let Some(strip) = &mut self.strip {
            strip.restart();
        }
    }

    /// Reads one block more, and adds the beats that have become complete to `found`. False after the last.
    pub(super) fn advance(&mut self, found: &mut Vec<Found>) -> Result<bool, Error> {
        let begun = Instant::now();
        let before = self.stages.reading;
        let block = self.first.signal.next_block().transpose()?;
        self.stages.reading += begun.elapsed();
        let more = block.is_some();
        match block {
            Some(block) if self.others.is_empty() => {
                for sample in block {
                    if self.hears(!sample.is_finite(), found) {
                        self.push_first(sample);
                    }
                }
            }
            Some(block) => {
                for sample in block {
                    self.step(sample, found)?;
                }
            }
            None => {
                if let Some(scouts) = &mut self.scouts {
                    scouts.finish();
                }
                self.end_first();
                // The first lead's last peaks come late: they are heard before the others end.
                for other in &mut self.others {
                    while let Some(sample) = other.next(&mut self.stages)? {
                        other.lead.push(sample);
                    }
                }
            }
        }
        self.pair(found);
        let reading = self.stages.reading - before;
        self.stages.monitor += begun.elapsed().saturating_sub(reading);
        Ok(more)
    }

    /// Takes the first lead's next sample, and each other lead's.
    fn step(&mut self, sample_mv: f32, found: &mut Vec<Found>) -> Result<(), Error> {
        self.moment_mv[0] = Some(sample_mv);
        for (place, other) in self.others.iter_mut().enumerate() {
            self.moment_mv[place + 1] = other.next(&mut self.stages)?;
        }
        let mut samples = self.moment_mv.iter().flatten();
        let is_missing = !samples.any(|sample| sample.is_finite());
        if !self.hears(is_missing, found) {
            return Ok(());
        }
        if let Some(scouts) = &mut self.scouts {
            scouts.push(&self.moment_mv);
        }
        self.push_first(sample_mv);
        for (other, sample) in self.others.iter_mut().zip(&self.moment_mv[1..]) {
            if let Some(sample) = sample {
                other.lead.push(*sample);
            }
        }
        Ok(())
    }

    /// Gives out the beats that no lead owes anything more of.
    fn pair(&mut self, found: &mut Vec<Found>) {
        while let Some(first) = self.first.beats.front() {
            let peak = first.frame.r_sample;
            for other in &mut self.others {
                let beats = &mut other.lead.beats;
                while beats
                    .pop_front_if(|beat| beat.frame.r_sample < peak)
                    .is_some()
                {}
                if beats.is_empty() && !other.lead.ended {
                    return;
                }
            }
            let here = |other: &mut Other<'_>| {
                let beats = &mut other.lead.beats;
                beats.pop_front_if(|beat| beat.frame.r_sample == peak)
            };
            let others = self.others.iter_mut().map(here).collect();
            let input = self.intervals.push(first.frame.pre_rr_s);
            found.extend(self.first.beats.pop_front().map(|first| Found {
                first,
                others,
                input,
                origin: self.origin,
            }));
        }
    }

    /// How much of the signal has been read, 0..=1.
    pub(super) fn done(&self) -> f64 {
        f64::from(self.moments) / self.first.signal.len.max(1) as f64
    }

    /// Where the signal begins in the record, in samples at the canonical rate.
    pub(super) fn start(&self) -> u32 {
        self.first.signal.start
    }

    /// The time that reading and the monitor have taken.
    pub(super) fn stages(&self) -> Stages {
        self.stages
    }

    /// The names of the leads.
    pub(super) fn leads(&self) -> Vec<String> {
        let others = self.others.iter().map(|other| other.lead.name());
        let names = std::iter::once(self.first.name()).chain(others);
        names.map(str::to_owned).collect()
    }

    /// The names of the leads that look as if they had been recorded upside down.
    pub(super) fn upside_down(&self) -> impl Iterator<Item = String> {
        let others = self
            .others
            .iter()
            .filter_map(|other| other.lead.upside_down());
        self.first.upside_down().into_iter().chain(others)
    }
}

/// Adds the windows of a strip that are ready.
fn ready(strip: &mut Strip, origin: u32, windows: &mut Vec<Window>) {
    while let Some(window) = strip.ready() {
        windows.push(Window {
            strip: Box::new(strip.clone()),
            window,
            origin,
        });
    }
}
