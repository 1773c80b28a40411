//! A record's leads as core wants them: at the canonical rate, in mV, and its annotated beats as R peaks there. Every
//! feature is `heartlens_core`'s; here are only files and rates.

use crate::canonical::{self, RateError};
use crate::error::Error;
use crate::gap::{Gap, Moment};
use crate::level;
use crate::options::Peaks;
use crate::records::resample::Resampler;
use crate::records::{Blocks, Record};
use heartlens_core::detector::Detector;
use heartlens_core::monitor::{Monitor, MonitoredBeat, PeakSource};
use heartlens_core::patient::Patient;
use heartlens_core::strip::{Strip, StripWindow};
use std::ops::{ControlFlow, Range};

/// A lead at the canonical rate, in mV: all of it. [`stream_canonical`] gives the same in blocks.
///
/// # Errors
/// When the lead cannot be read, or its rate cannot be brought to the canonical one.
pub fn canonical_lead(record: &Record, lead: usize) -> Result<Vec<f32>, Error> {
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
pub fn stream_canonical(record: &Record, lead: usize) -> Result<Canonical<'_>, Error> {
    Canonical::open(record, lead, 0..usize::MAX)
}

fn cannot_resample(record: &Record, source: RateError) -> Error {
    Error::Resample {
        path: record.path().to_owned(),
        source,
    }
}

/// A lead at the canonical rate, block by block; see [`stream_canonical`]. Ends after an error.
pub struct Canonical<'a> {
    record: &'a Record,
    blocks: Blocks<'a>,
    /// What is taken off, in mV.
    offset_mv: f32,
    /// `None` once the signal has ended.
    resampler: Option<Resampler>,
    len: usize,
}

impl<'a> Canonical<'a> {
    /// The samples `range` of a lead, counted at its own rate.
    pub(crate) fn open(
        record: &'a Record,
        lead: usize,
        range: Range<usize>,
    ) -> Result<Self, Error> {
        let blocks = record.stream_mv(lead, range.clone())?;
        let offset_mv = level::offset_mv(record, lead)?;
        let lead = &record.leads()[lead];
        let resampler = canonical::resampler(lead.sample_rate_hz)
            .map_err(|source| cannot_resample(record, source))?;
        let end = range.end.min(lead.len_samples);
        let len = resampler.output_len(end.saturating_sub(range.start));
        if u32::try_from(len).is_err() {
            return Err(Error::TooLong {
                path: record.path().to_owned(),
                days: record.duration_s() / 86_400.0,
            });
        }
        Ok(Self {
            record,
            blocks,
            offset_mv,
            resampler: Some(resampler),
            len,
        })
    }

    /// Samples of all blocks together.
    pub fn len_samples(&self) -> usize {
        self.len
    }
}

impl Iterator for Canonical<'_> {
    type Item = Result<Vec<f32>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut resampler = self.resampler.take()?;
        let mut result = Vec::new();
        let done = match self.blocks.next() {
            Some(Ok(mut block)) => {
                if self.offset_mv != 0.0 {
                    block.iter_mut().for_each(|mv| *mv -= self.offset_mv);
                }
                let done = resampler.push(&block, &mut result);
                self.resampler = done.is_ok().then_some(resampler);
                done
            }
            Some(Err(error)) => return Some(Err(error.into())),
            None => resampler.finish(&mut result),
        };
        Some(match done {
            Ok(()) => Ok(result),
            Err(source) => Err(cannot_resample(self.record, source.into())),
        })
    }
}

/// Annotated beats, in samples at the record's own rate, as peaks at the canonical rate. Beats closer than one sample
/// of it are moved apart, so that each is classified.
///
/// # Errors
/// When a beat lies beyond the signal, which has `len` samples at the canonical rate.
pub fn canonical_peaks(record: &Record, samples: &[u64], len: usize) -> Result<KnownPeaks, Error> {
    let rate = record.sample_rate_hz();
    let mut peaks: Vec<u32> = Vec::with_capacity(samples.len());
    for sample in samples {
        let nearest = canonical::to_canonical_index(*sample, rate);
        // The last sample of the record may round up to one past the last at the canonical rate.
        let nearest = match u32::try_from(len) {
            Ok(len) if nearest == len && (*sample as usize) < record.len_samples() => len - 1,
            _ => nearest,
        };
        let peak = peaks.last().map_or(nearest, |last| nearest.max(last + 1));
        if peak as usize >= len {
            return Err(Error::BeyondEnd {
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

    /// The same peaks in a signal that begins at sample `start`, where none lies before.
    pub(crate) fn since(self, start: u32) -> Self {
        Self::new(self.peaks.map(|peak| peak - start).collect())
    }
}

impl PeakSource for KnownPeaks {
    fn push(&mut self, _filtered_mv: f32) -> Option<u32> {
        let now = self.samples;
        self.samples += 1;
        self.peaks.next_if_eq(&now)
    }
}

/// Sends a lead at the canonical rate through core's monitor and strip, and gives each window that is ready to `visit`: those that
/// [`Model::classify`](crate::Model::classify) asks the strip network about, in the same order.
pub fn for_each_strip<P: PeakSource>(
    signal_mv: &[f32],
    peaks: P,
    mut visit: impl FnMut(&Strip, StripWindow),
) {
    let mut monitor = Monitor::with_peaks(peaks, Patient::default());
    let mut strip = Strip::new();
    let mut ready = |strip: &mut Strip| {
        while let Some(window) = strip.ready() {
            visit(strip, window);
        }
    };
    for sample in signal_mv {
        if let Some(beat) = monitor.push(*sample) {
            strip.note(&beat);
        }
        strip.push(monitor.filtered_mv());
        ready(&mut strip);
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        strip.note(&beat);
    }
    strip.finish();
    ready(&mut strip);
}

/// Sends a lead at the canonical rate through core's monitor and gives each beat to `visit`: with the peaks that
/// [`Model::classify`](crate::Model::classify) had, the same beats in the same order.
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

/// The beats that [`Model::classify`](crate::Model::classify) finds in one lead, or has of `peaks`, each with its place at the record's
/// own rate and everything that core knows of it before a network has run. `visit` may break off.
///
/// # Errors
/// When the lead cannot be read, its rate cannot be brought to the canonical one, or a peak lies beyond its end; and
/// [`Error::Cancelled`] where `visit` breaks off.
pub fn beats_of(
    record: &Record,
    lead: usize,
    peaks: &Peaks,
    patient: Patient,
    visit: impl FnMut(u64, &MonitoredBeat) -> ControlFlow<()>,
) -> Result<(), Error> {
    let signal = stream_canonical(record, lead)?;
    match peaks {
        Peaks::Detected => {
            let detector = Detector::new();
            let renew = Some(Detector::new as fn() -> Detector);
            watch(record, signal, detector, renew, patient, None, visit)
        }
        Peaks::Reference(samples) => {
            let known = canonical_peaks(record, samples, signal.len_samples())?;
            watch(record, signal, known, None, patient, Some(samples), visit)
        }
    }
}

fn watch<P: PeakSource>(
    record: &Record,
    signal: Canonical<'_>,
    peaks: P,
    renew: Option<fn() -> P>,
    patient: Patient,
    samples: Option<&[u64]>,
    mut visit: impl FnMut(u64, &MonitoredBeat) -> ControlFlow<()>,
) -> Result<(), Error> {
    let mut monitor = Monitor::with_peaks(peaks, patient);
    let mut found = 0;
    let mut tell = |origin: u32, beat: MonitoredBeat| {
        let known = samples.and_then(|samples| samples.get(found)).copied();
        found += 1;
        let nearest = || {
            canonical::from_canonical_index(origin + beat.frame.r_sample, record.sample_rate_hz())
        };
        match visit(known.unwrap_or_else(nearest), &beat) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    };
    let mut gap = Gap::default();
    let (mut at, mut origin) = (0, 0);
    for block in signal {
        for sample in block? {
            if let Some(renew) = renew {
                match gap.next(!sample.is_finite()) {
                    Moment::Heard | Moment::PassedOver => {}
                    Moment::Ends => {
                        monitor.finish();
                        while let Some(beat) = monitor.poll() {
                            tell(origin, beat)?;
                        }
                    }
                    Moment::Begins => {
                        monitor = Monitor::with_peaks(renew(), patient);
                        origin = at;
                    }
                }
            }
            at += 1;
            // What comes after its end, a monitor passes over.
            if let Some(beat) = monitor.push(sample) {
                tell(origin, beat)?;
            }
        }
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        tell(origin, beat)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Model;
    use heartlens_core::views::{View, Views};
    use std::path::Path;

    /// CRC-32s of the demo's views, little-endian: what the tests of bindings compare theirs with. `HEARTLENS_BLESS=1` writes
    /// them anew.
    fn assert_views_stay(beats: &[(u64, Views)]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/views.crc");
        let line = |view: View| {
            let values = beats.iter().flat_map(|(_, views)| views.get(view));
            let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
            let crc = heartlens_core::rhythm::checksum(&bytes);
            format!("{} {crc:08x}\n", view.name())
        };
        let found: String = View::ALL.map(line).concat();
        if std::env::var_os("HEARTLENS_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), found);
    }

    /// Places and views are those that the network of a classification is shown.
    #[test]
    fn beats_are_those_that_are_classified() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/demo");
        let record = Record::open(demo).unwrap();
        for peaks in [Peaks::Detected, Peaks::annotated(&record, "atr").unwrap()] {
            let options = crate::Options {
                peaks: peaks.clone(),
                ..crate::Options::default()
            };
            let mut seen = Vec::new();
            let model = Model::shipped().unwrap();
            let pool = crate::Pool::new(&model, &options);
            let analysis = pool.one(|worker| {
                let go_on = &mut |_| ControlFlow::Continue(());
                worker.classify_watched(&record, &options, go_on, &mut |beat| {
                    seen.push((beat.beat.sample, beat.views[0].clone()));
                })
            });
            assert!(analysis.unwrap().beats.len() > 300);
            let mut found = Vec::new();
            beats_of(&record, 0, &peaks, Patient::default(), |sample, beat| {
                let mut views = Views::ZERO;
                views.compute(&beat.frame);
                found.push((sample, views));
                ControlFlow::Continue(())
            })
            .unwrap();
            assert!(found == seen);
            if peaks == Peaks::Detected {
                assert_views_stay(&found);
            }
        }
        let stopped = beats_of(&record, 0, &Peaks::Detected, Patient::default(), |_, _| {
            ControlFlow::Break(())
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
}
