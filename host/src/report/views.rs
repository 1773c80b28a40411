//! The views of a few chosen beats, and the class of each beat with one view left out.
//!
//! The views of a day are hundreds of megabytes, and making them again takes as long as classifying. So [`Watch`] looks on
//! while the beats are classified and keeps the views of those that are shown, and the sums of the normal ones.

use super::strips::certainty;
use crate::analysis::Beat;
use crate::engine::Seen;
use crate::runtime::{Logits, ModelError, Runtime, softmax};
use heartlens_core::class::Class;
use heartlens_core::spec::LABELS;
use heartlens_core::views::{View, Views};

/// A chosen beat, its views, and what the network says of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    /// The beat.
    pub(super) beat: Beat,
    /// Its views, of the first lead that has a say in its class.
    pub(super) views: Views,
    /// The probabilities that the network gives it with all four views, not weighed by the rhythm.
    pub(super) said: Logits,
    /// The averages over the recording's normal beats; `None` where there is none.
    pub(super) usual: Option<LeftOut>,
}

/// What the network says without a view.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LeftOut {
    /// Each view, averaged over the recording's normal beats; of the first lead.
    pub(super) views: Views,
    /// The classes' probabilities with each view, in the order of [`View::ALL`], replaced by that average; not weighed by
    /// the rhythm.
    pub(super) without: [Logits; View::ALL.len()],
}

/// Looks on while a record's beats are classified, and keeps what a report shows of their views.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Of each class that the network tells apart, the beat whose class is most certain.
    chosen: [Option<Candidate>; LABELS.len()],
    /// Of each lead, the mean over the normal beats.
    normal: Vec<Mean>,
}

/// A beat that may be chosen.
#[derive(Debug)]
struct Candidate {
    beat: Beat,
    /// Of each lead that has a say in the class: its place, its weight, and the views.
    leads: Vec<(usize, f32, Views)>,
}

impl Watch {
    /// To be given every beat, in order.
    pub(crate) fn see(&mut self, seen: Seen<'_>) {
        let Some(chosen) = self.chosen.get_mut(seen.beat.class as usize) else {
            return;
        };
        let leads = seen.weights.iter().zip(seen.views).enumerate();
        let leads = leads.filter(|(_, (weight, _))| **weight > 0.0);
        if seen.beat.class == Class::N {
            self.normal.resize_with(seen.views.len(), Mean::default);
            for (lead, (_, views)) in leads.clone() {
                self.normal[lead].add(views);
            }
        }
        // Of equals the earlier.
        let rank = |beat: &Beat| (certainty(beat), beat.quality);
        if chosen
            .as_ref()
            .is_none_or(|chosen| rank(seen.beat) > rank(&chosen.beat))
        {
            *chosen = Some(Candidate {
                beat: seen.beat.clone(),
                leads: leads
                    .map(|(lead, (weight, views))| (lead, *weight, (*views).clone()))
                    .collect(),
            });
        }
    }

    /// Of each class, the beat that is most certainly of it once the rhythm has weighed, as it is among the record's `beats` in
    /// the end, and what the network says of it without each view: the view is replaced by its mean over the recording's normal beats. Where several leads were
    /// averaged, so are the logits here, with the same weights.
    ///
    /// # Errors
    /// When the network fails.
    pub(super) fn choose(
        self,
        runtime: &mut dyn Runtime,
        beats: &[Beat],
    ) -> Result<Vec<Chosen>, ModelError> {
        let normal = self.normal;
        let explain = |Candidate { beat, leads }| {
            let mean = |lead: usize| normal.get(lead).and_then(Mean::finish);
            let means = leads.iter().map(|(lead, ..)| mean(*lead));
            let usual = match means.collect::<Option<Vec<Views>>>() {
                Some(usual) if !usual.is_empty() => Some(left_out(runtime, &leads, &usual)?),
                _ => None,
            };
            let said = softmax(&beat.logits);
            Ok(leads.into_iter().next().map(|(_, _, views)| Chosen {
                beat,
                views,
                said,
                usual,
            }))
        };
        // What the whole recording has made of a beat since then is what is shown, and one of another class is not shown.
        let settled = |Candidate { beat, leads }: Candidate| {
            let place = beats.binary_search_by_key(&beat.sample, |beat| beat.sample);
            let settled = beats[place.ok()?].clone();
            (settled.class == beat.class).then_some(Candidate {
                beat: settled,
                leads,
            })
        };
        let chosen = self.chosen.into_iter().flatten().filter_map(settled);
        chosen.map(explain).filter_map(Result::transpose).collect()
    }
}

/// What the network says of a beat with each view left out; `leads` and `usual` are one a lead.
fn left_out(
    runtime: &mut dyn Runtime,
    leads: &[(usize, f32, Views)],
    usual: &[Views],
) -> Result<LeftOut, ModelError> {
    let mut sums = [Logits::default(); View::ALL.len()];
    for ((_, weight, views), usual) in leads.iter().zip(usual) {
        let variants = View::ALL.map(|view| {
            let mut variant = views.clone();
            variant.get_mut(view).copy_from_slice(usual.get(view));
            variant
        });
        for (sum, logits) in sums.iter_mut().zip(runtime.logits(&variants)?) {
            for (sum, logit) in sum.iter_mut().zip(logits) {
                *sum += weight * logit;
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
        for (sums, view) in self.sums.iter_mut().zip(View::ALL) {
            let part = views.get(view);
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
        for (view, sums) in View::ALL.into_iter().zip(&self.sums) {
            for (x, sum) in mean.get_mut(view).iter_mut().zip(sums) {
                *x = (sum / self.count as f64) as f32;
            }
        }
        Some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Pool;
    use crate::error::Error;
    use crate::options::{Leads, Options};
    use crate::report::tests::{Fake, beats_of, fake, synthetic_record};
    use std::ops::ControlFlow;

    /// Beats whose views tell them apart, and the classes and places of those that are chosen.
    fn chosen(beats: &[Beat]) -> Vec<(Class, f32)> {
        chosen_of(beats, beats)
    }

    /// The same where the whole recording has made `settled` of them.
    fn chosen_of(beats: &[Beat], settled: &[Beat]) -> Vec<(Class, f32)> {
        let mut watch = Watch::default();
        for (i, beat) in beats.iter().enumerate() {
            let mut views = Views::ZERO;
            views.waveform[0] = i as f32;
            let (views, weights) = (&[&views], &[1.0]);
            watch.see(Seen {
                beat,
                views,
                weights,
            });
        }
        let chosen = watch.choose(&mut Fake, settled).expect("the fake runs");
        let chosen = chosen
            .iter()
            .map(|chosen| (chosen.beat.class, chosen.views.waveform[0]));
        chosen.collect()
    }

    #[test]
    fn the_most_certain_readable_beat_of_each_class_is_chosen() {
        let mut beats = beats_of("NNNVVQ", |_| 0.8);
        for (beat, certainty) in beats.iter_mut().zip([0.6, 0.9, 0.9, 0.7, 0.8, 0.99]) {
            beat.scores = [(1.0 - certainty) / 3.0; LABELS.len()];
            beat.scores[if beat.class == Class::N { 0 } else { 2 }] = certainty;
        }
        assert_eq!(chosen(&beats), [(Class::N, 1.0), (Class::V, 4.0)]);
        beats[2].quality = 1.0;
        assert_eq!(chosen(&beats)[0], (Class::N, 2.0));
        assert!(chosen(&[]).is_empty());
        let mut settled = beats.clone();
        settled[4].class = Class::N;
        assert_eq!(chosen_of(&beats, &settled), [(Class::N, 2.0)], "V no more");
    }

    /// The network said N of every beat, and most certainly of one that the rhythm made S.
    #[test]
    fn beats_that_the_rhythm_renamed_are_chosen_by_their_class() {
        let mut beats = beats_of("NSSN", |_| 0.8);
        for (beat, n) in beats.iter_mut().zip([2.0, 5.0, 4.0, 1.0]) {
            beat.logits = [n, 0.0, 0.0, 0.0];
            beat.scores = softmax(&beat.logits);
        }
        beats[1].scores = [0.1, 0.9, 0.0, 0.0];
        beats[2].scores = [0.05, 0.95, 0.0, 0.0];
        assert_eq!(chosen(&beats), [(Class::N, 0.0), (Class::S, 2.0)]);
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
    fn leaving_out_what_the_network_does_not_see_changes_nothing() -> Result<(), Error> {
        let folder = tempfile::tempdir().expect("a folder for the record");
        let record = synthetic_record(folder.path(), "r", "");
        for leads in ["0", "both"] {
            let options = Options {
                leads: leads.parse().unwrap_or_else(|e| match e {}),
                ..Options::default()
            };
            let mut watch = Watch::default();
            let go_on = &mut |_| ControlFlow::Continue(());
            let see: crate::engine::See<'_> = &mut |seen| watch.see(seen);
            let model = fake();
            let beats = Pool::new(&model, &options)
                .one(|worker| worker.classify_watched(&record, &options, go_on, see))?
                .beats;
            let chosen = watch.choose(&mut Fake, &beats)?;
            assert!(chosen.len() >= 2, "the record has N and V");
            for chosen in &chosen {
                assert_eq!(chosen.said, softmax(&chosen.beat.logits));
                let left_out = chosen.usual.as_ref().expect("the record has normal beats");
                for (view, without) in View::ALL.into_iter().zip(left_out.without) {
                    let moved = (0..LABELS.len())
                        .map(|i| (chosen.said[i] - without[i]).abs())
                        .fold(0.0, f32::max);
                    match view {
                        View::Waveform if chosen.beat.class == Class::V => assert!(moved > 0.2),
                        View::Waveform | View::Metadata => {}
                        View::Spectrum | View::Spectrogram => assert!(moved < 1e-6, "{view:?}"),
                    }
                }
                let again = Fake.logits(std::slice::from_ref(&chosen.views))?;
                if options.leads != Leads::Both {
                    assert_eq!(again[0], chosen.beat.logits);
                }
            }
        }
        Ok(())
    }
}
