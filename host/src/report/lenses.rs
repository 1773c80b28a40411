//! What each of the four views said of a chosen beat, by leaving it out.
//!
//! The views of a day are hundreds of megabytes, and making them again takes as long as classifying. So [`Watch`] looks on
//! while the beats are classified and keeps the views of those that may be chosen, and the sums of the normal ones.

use super::strips::certainty;
use crate::pipeline::{Beat, Leads, Seen};
use crate::runtime::{Logits, ModelError, Runtime, argmax, softmax};
use heartlens_core::class::Class;
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

/// Beats a class that may be chosen, where two leads are averaged and the first does not know what the second will say.
const KEPT_OF_TWO_LEADS: usize = 16;

/// Looks on while a record's beats are classified, and keeps what a report shows of their views.
#[derive(Debug)]
pub struct Watch {
    /// Beats that are kept a class.
    kept: usize,
    /// Of each class that the network tells apart, the readable beats that the first lead was most certain of.
    candidates: [Vec<Candidate>; LABELS.len()],
    /// Of each lead, the mean over the readable beats that it calls N.
    normal: [Mean; 2],
}

/// A beat that may be chosen.
#[derive(Debug)]
struct Candidate {
    index: usize,
    certainty: f32,
    quality: f32,
    /// Of the first lead, and of the second where there is one.
    views: Vec<Views>,
}

impl Candidate {
    /// More certain first, then of better quality, then earlier.
    fn before(&self, other: &Self) -> std::cmp::Ordering {
        other
            .certainty
            .total_cmp(&self.certainty)
            .then(other.quality.total_cmp(&self.quality))
            .then(self.index.cmp(&other.index))
    }
}

impl Watch {
    /// Looks on while these leads are read.
    pub fn new(leads: &Leads) -> Self {
        Self {
            kept: match leads {
                Leads::One(_) => 1,
                Leads::Both => KEPT_OF_TWO_LEADS,
            },
            candidates: Default::default(),
            normal: Default::default(),
        }
    }

    /// To be given every beat that [`crate::pipeline::classify_watched`] shows.
    pub fn see(&mut self, seen: Seen<'_>) {
        let first_choice = argmax(&seen.logits);
        if seen.readable && Class::from_output(first_choice) == Some(Class::N) {
            self.normal[seen.lead].add(seen.views);
        }
        if seen.lead > 0 {
            let mut candidates = self.candidates.iter_mut().flatten();
            if let Some(candidate) = candidates.find(|candidate| candidate.index == seen.index) {
                candidate.views.push(seen.views.clone());
            }
        } else if seen.readable {
            let candidate = Candidate {
                index: seen.index,
                certainty: softmax(&seen.logits)[first_choice],
                quality: seen.quality,
                views: Vec::new(),
            };
            let candidates = &mut self.candidates[first_choice];
            let place = candidates.partition_point(|other| other.before(&candidate).is_lt());
            if place < self.kept {
                candidates.truncate(self.kept - 1);
                let views = vec![seen.views.clone()];
                candidates.insert(place, Candidate { views, ..candidate });
            }
        }
    }

    /// Of each class, the readable beat that the network was most certain of, and what it says without each view: the view
    /// is replaced by its mean over the recording's normal beats. Where two leads were averaged, so are the logits here,
    /// and the choice is among the [`KEPT_OF_TWO_LEADS`] beats that the first lead was most certain of.
    ///
    /// # Errors
    /// When the network fails.
    pub(super) fn lenses(
        mut self,
        runtime: &mut dyn Runtime,
        beats: &[Beat],
    ) -> Result<Vec<Lens>, ModelError> {
        let usual: Option<Vec<Views>> = match self.kept {
            1 => &self.normal[..1],
            _ => &self.normal[..],
        }
        .iter()
        .map(Mean::finish)
        .collect();
        let mut lenses = Vec::with_capacity(LABELS.len());
        for (candidates, class) in self.candidates.iter_mut().zip(Class::ALL) {
            candidates.retain(|candidate| beats[candidate.index].class == class);
            for candidate in candidates.iter_mut() {
                candidate.certainty = certainty(&beats[candidate.index]);
            }
            candidates.sort_by(Candidate::before);
            let Some(chosen) = candidates.first() else {
                continue;
            };
            lenses.push(Lens {
                beat: beats[chosen.index].clone(),
                views: chosen.views[0].clone(),
                usual: match &usual {
                    Some(usual) => Some(left_out(runtime, &chosen.views, usual)?),
                    None => None,
                },
            });
        }
        Ok(lenses)
    }
}

/// What the network says of a beat with each view left out; `views` and `usual` are one a lead.
fn left_out(
    runtime: &mut dyn Runtime,
    views: &[Views],
    usual: &[Views],
) -> Result<LeftOut, ModelError> {
    let leads = views.len() as f32;
    let mut sums = [Logits::default(); View::ALL.len()];
    for (views, usual) in views.iter().zip(usual) {
        let variants = View::ALL.map(|view| view.replaced(views, usual));
        for (sum, logits) in sums.iter_mut().zip(runtime.logits(&variants)?) {
            for (sum, logit) in sum.iter_mut().zip(logits) {
                *sum += logit / leads;
            }
        }
    }
    Ok(LeftOut {
        views: usual[0].clone(),
        without: sums.map(|logits| softmax(&logits)),
    })
}

/// A running mean of views, summed in f64.
#[derive(Debug, Default)]
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
    use crate::pipeline::{Peaks, PipelineError, Request, classify_watched};
    use crate::report::tests::{Fake, beats_of, synthetic_record};

    /// The first lead is certain of these logits' class; the views tell beats apart.
    fn see(watch: &mut Watch, lead: usize, index: usize, logits: Logits, readable: bool) {
        let mut views = Views::ZERO;
        views.waveform[0] = index as f32;
        views.waveform[1] = lead as f32;
        watch.see(Seen {
            lead,
            index,
            views: &views,
            logits,
            quality: 1.0 - index as f32 / 100.0,
            readable,
        });
    }

    fn chosen(watch: Watch, beats: &[Beat]) -> Vec<(Class, f32)> {
        let lenses = watch.lenses(&mut Fake, beats).expect("the fake runs");
        lenses
            .iter()
            .map(|lens| (lens.beat.class, lens.views.waveform[0]))
            .collect()
    }

    #[test]
    fn the_most_certain_readable_beat_of_each_class_is_chosen() {
        let one: Leads = "0".parse().unwrap_or_else(|e| match e {});
        let logits = [
            [1.0, 0.0, 0.0, 0.0],
            [5.0, 0.0, 0.0, 0.0],
            [5.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 2.0, 0.0],
            [0.0, 0.0, 3.0, 0.0],
            [0.0, 0.0, 9.0, 0.0],
        ];
        let mut beats = beats_of("NNNVVQ", |_| 0.8);
        let mut watch = Watch::new(&one);
        for (i, logits) in logits.into_iter().enumerate() {
            beats[i].scores = softmax(&logits);
            see(&mut watch, 0, i, logits, i != 5);
        }
        assert_eq!(chosen(watch, &beats), [(Class::N, 1.0), (Class::V, 4.0)]);
        assert!(chosen(Watch::new(&one), &[]).is_empty());
    }

    /// The first lead is surest of beat 0, both together of beat 2; beat 1 becomes another class.
    #[test]
    fn two_leads_choose_by_what_they_say_together() {
        let mut watch = Watch::new(&Leads::Both);
        let first = [
            [0.0, 0.0, 9.0, 0.0],
            [0.0, 0.0, 8.0, 0.0],
            [0.0, 0.0, 7.0, 0.0],
        ];
        let second = [[0.0; 4], [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 7.0, 0.0]];
        let mut beats = beats_of("VNV", |_| 0.8);
        for (lead, said) in [first, second].into_iter().enumerate() {
            for (i, logits) in said.into_iter().enumerate() {
                see(&mut watch, lead, i, logits, true);
            }
        }
        for (beat, (a, b)) in beats.iter_mut().zip(first.iter().zip(second)) {
            beat.scores = softmax(&std::array::from_fn(|i| (a[i] + b[i]) / 2.0));
        }
        let kept: Vec<&Candidate> = watch.candidates.iter().flatten().collect();
        assert!(kept.iter().all(|candidate| {
            let leads: Vec<f32> = candidate.views.iter().map(|v| v.waveform[1]).collect();
            leads == [0.0, 1.0]
        }));
        assert_eq!(chosen(watch, &beats), [(Class::V, 2.0)]);
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
                rhythm: None,
                added_mv: &[],
            };
            let (mut fake, mut watch) = (Fake, Watch::new(&leads));
            let beats = classify_watched(&record, &request, &mut fake, |_| (), &mut |seen| {
                watch.see(seen)
            })?;
            let lenses = watch.lenses(&mut fake, &beats)?;
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
