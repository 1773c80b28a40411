//! What each of the four views said of a chosen beat, by leaving it out.

use super::strips::certainty;
use crate::pipeline::{
    Beat, KnownPeaks, Leads, Peaks, PipelineError, Request, canonical_lead, canonical_peaks,
    for_each_beat, with_added,
};
use crate::records::Record;
use crate::runtime::{Logits, ModelError, Runtime, softmax};
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::monitor::MonitoredBeat;
use heartlens_core::spec::LABELS;
use heartlens_core::views::Views;

/// The four views, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Waveform,
    Spectrum,
    Spectrogram,
    Metadata,
}

impl View {
    pub(super) const ALL: [Self; 4] = [
        Self::Waveform,
        Self::Spectrum,
        Self::Spectrogram,
        Self::Metadata,
    ];

    /// `views` with this view taken from `other`.
    fn replaced(self, views: &Views, other: &Views) -> Views {
        let mut out = views.clone();
        match self {
            Self::Waveform => out.waveform = other.waveform,
            Self::Spectrum => out.spectrum = other.spectrum,
            Self::Spectrogram => out.spectrogram = other.spectrogram,
            Self::Metadata => out.metadata = other.metadata,
        }
        out
    }
}

/// A chosen beat, its views, and the class's probability with each view left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lens {
    /// The beat.
    pub(super) beat: Beat,
    /// Its views, of the first lead that was read.
    pub(super) views: Views,
    /// The averages over the recording's normal beats; `None` where there is none.
    pub(super) usual: Option<LeftOut>,
}

/// What the network says without a view.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LeftOut {
    /// Each view, averaged over the recording's normal beats; of the first lead.
    pub(super) views: Views,
    /// The classes' probabilities with each view, in the order of [`View::ALL`], replaced by that average.
    pub(super) without: [Logits; View::ALL.len()],
}

/// Of each class that the network tells apart, the readable beat that it was most certain of, as indices.
pub(super) fn chosen(beats: &[Beat]) -> Vec<usize> {
    let of_class = |class: Class| {
        (0..beats.len())
            .filter(|i| beats[*i].class == class)
            .max_by(|a, b| {
                let (first, second) = (&beats[*a], &beats[*b]);
                certainty(first)
                    .total_cmp(&certainty(second))
                    .then(first.quality.total_cmp(&second.quality))
                    .then(b.cmp(a))
            })
    };
    Class::ALL[..LABELS.len()]
        .iter()
        .filter_map(|class| of_class(*class))
        .collect()
}

/// Reads the record's leads once more, for the views of the chosen beats and the averages of the normal ones, and asks the
/// network what it says without each view. `first_lead_mv` is the lead that beats were found in, at the canonical rate.
///
/// Where two leads were averaged, so are the logits here.
///
/// # Errors
/// When a lead cannot be read or the network fails.
pub(super) fn lenses(
    record: &Record,
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    beats: &[Beat],
    first_lead_mv: &[f32],
) -> Result<Vec<Lens>, PipelineError> {
    let chosen = chosen(beats);
    let first = match request.peaks {
        Peaks::Detected => Collected::of(first_lead_mv, Detector::new(), request, beats, &chosen),
        Peaks::Reference(samples) => {
            let peaks = canonical_peaks(record, samples, first_lead_mv.len())?;
            Collected::of(first_lead_mv, peaks, request, beats, &chosen)
        }
    };
    let mut leads = vec![first];
    if *request.leads == Leads::Both {
        let peaks = KnownPeaks::new(leads[0].r_samples.clone());
        let second_mv = with_added(canonical_lead(record, 1)?, request.added_mv.get(1));
        leads.push(Collected::of(&second_mv, peaks, request, beats, &chosen));
    }
    let mut lenses = Vec::with_capacity(chosen.len());
    for (k, &index) in chosen.iter().enumerate() {
        let Some(views) = leads[0].views.get(k).cloned() else {
            continue;
        };
        lenses.push(Lens {
            beat: beats[index].clone(),
            views,
            usual: left_out(runtime, &leads, k)?,
        });
    }
    Ok(lenses)
}

/// The `k`-th chosen beat with each view left out; `None` where there is no normal beat.
fn left_out(
    runtime: &mut dyn Runtime,
    leads: &[Collected],
    k: usize,
) -> Result<Option<LeftOut>, ModelError> {
    let mut sums = [Logits::default(); View::ALL.len()];
    for lead in leads {
        let (Some(usual), Some(views)) = (&lead.usual, lead.views.get(k)) else {
            return Ok(None);
        };
        let variants = View::ALL.map(|view| view.replaced(views, usual));
        for (sum, logits) in sums.iter_mut().zip(runtime.logits(&variants)?) {
            for (sum, logit) in sum.iter_mut().zip(logits) {
                *sum += logit / leads.len() as f32;
            }
        }
    }
    Ok(leads[0].usual.clone().map(|views| LeftOut {
        views,
        without: sums.map(|logits| softmax(&logits)),
    }))
}

/// What is kept of one lead.
struct Collected {
    r_samples: Vec<u32>,
    /// Of the chosen beats, in their order.
    views: Vec<Views>,
    /// The average over the normal beats.
    usual: Option<Views>,
}

impl Collected {
    fn of(
        lead_mv: &[f32],
        peaks: impl heartlens_core::monitor::PeakSource,
        request: &Request<'_>,
        beats: &[Beat],
        chosen: &[usize],
    ) -> Self {
        let mut r_samples = Vec::with_capacity(beats.len());
        let mut kept: Vec<Option<Views>> = vec![None; chosen.len()];
        let mut mean = Mean::default();
        for_each_beat(lead_mv, peaks, request.patient, |found: MonitoredBeat| {
            let index = r_samples.len();
            r_samples.push(found.frame.r_sample);
            let normal = beats.get(index).is_some_and(|beat| beat.class == Class::N);
            let place = chosen.iter().position(|i| *i == index);
            if !normal && place.is_none() {
                return;
            }
            let mut views = Views::ZERO;
            views.compute(&found.frame);
            if normal {
                mean.add(&views);
            }
            if let Some(place) = place {
                kept[place] = Some(views);
            }
        });
        Self {
            r_samples,
            views: kept.into_iter().flatten().collect(),
            usual: mean.finish(),
        }
    }
}

/// A running mean of views, summed in f64.
#[derive(Default)]
struct Mean {
    count: usize,
    sums: [Vec<f64>; View::ALL.len()],
}

impl Mean {
    fn add(&mut self, views: &Views) {
        self.count += 1;
        let parts: [&[f32]; View::ALL.len()] = [
            &views.waveform,
            &views.spectrum,
            &views.spectrogram,
            &views.metadata,
        ];
        for (sums, part) in self.sums.iter_mut().zip(parts) {
            sums.resize(part.len(), 0.0);
            for (sum, x) in sums.iter_mut().zip(part) {
                *sum += f64::from(*x);
            }
        }
    }

    fn finish(&self) -> Option<Views> {
        if self.count == 0 {
            return None;
        }
        let mut mean = Views::ZERO;
        let parts: [&mut [f32]; View::ALL.len()] = [
            &mut mean.waveform,
            &mut mean.spectrum,
            &mut mean.spectrogram,
            &mut mean.metadata,
        ];
        for (part, sums) in parts.into_iter().zip(&self.sums) {
            for (x, sum) in part.iter_mut().zip(sums) {
                *x = (sum / self.count as f64) as f32;
            }
        }
        Some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{Fake, beats_of, synthetic_record};

    #[test]
    fn the_most_certain_beat_of_each_class_is_chosen() {
        let mut beats = beats_of("NNSVVNQ", |_| 0.8);
        beats[1].scores = [0.99, 0.01, 0.0, 0.0];
        beats[4].scores = [0.0, 0.0, 0.95, 0.05];
        beats[6].scores = [0.0, 0.0, 1.0, 0.0];
        assert_eq!(chosen(&beats), [1, 2, 4]);
        assert!(chosen(&[]).is_empty());
    }

    #[test]
    fn means_are_means() {
        let mut mean = Mean::default();
        assert_eq!(mean.finish(), None);
        let mut views = Views::ZERO;
        views.metadata[3] = 1.0;
        views.spectrogram[351] = -2.0;
        mean.add(&views);
        mean.add(&Views::ZERO);
        let found = mean.finish().expect("two were added");
        assert_eq!((found.metadata[3], found.spectrogram[351]), (0.5, -1.0));
        assert_eq!(found.waveform, Views::ZERO.waveform);
    }

    /// The network's own answer is found again from the views that the report shows, and a view that it does not look
    /// at changes nothing when it is left out, while the one that it looks at does.
    #[test]
    fn leaving_out_what_the_network_does_not_see_changes_nothing() -> Result<(), PipelineError> {
        let folder = tempfile::tempdir().expect("a folder for the record");
        let record = synthetic_record(folder.path(), "r", "");
        for leads in ["0", "both"] {
            let leads: Leads = leads.parse().unwrap_or_else(|e| match e {});
            let request = Request {
                leads: &leads,
                peaks: Peaks::Detected,
                patient: record.patient(),
                added_mv: &[],
            };
            let mut fake = Fake;
            let beats = crate::pipeline::classify(&record, &request, &mut fake, |_| ())?;
            let lead_mv = canonical_lead(&record, 0)?;
            let lenses = lenses(&record, &request, &mut fake, &beats, &lead_mv)?;
            assert!(lenses.len() >= 2, "the record has N and V");
            for lens in &lenses {
                let said = lens.beat.scores;
                let left_out = lens.usual.as_ref().expect("the record has normal beats");
                for (view, without) in View::ALL.into_iter().zip(left_out.without) {
                    let moved = (0..LABELS.len())
                        .map(|i| (said[i] - without[i]).abs())
                        .fold(0.0, f32::max);
                    match view {
                        View::Waveform if lens.beat.class == Class::V => assert!(moved > 0.2),
                        View::Waveform | View::Metadata => {}
                        View::Spectrum | View::Spectrogram => assert!(moved < 1e-6, "{view:?}"),
                    }
                }
                let again = fake.logits(std::slice::from_ref(&lens.views))?;
                if leads != Leads::Both {
                    assert_eq!(softmax(&again[0]), said);
                }
            }
        }
        Ok(())
    }
}
