//! Work in slices gives the beats of work in one go, to the bit, however often it is called between samples.
#![allow(clippy::unwrap_used)]

mod common;

use common::rhythm_image;
use core::task::Poll;
use heartlens_core::classifier::Stage;
use heartlens_core::model::Logits;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{self, Rules};
use heartlens_core::spec::LABELS;
use heartlens_core::views::{View, Views};
use heartlens_core::{Beat, Classifier, Network};

/// A network of five parts, whose logits depend on every value of every view.
#[derive(Default)]
struct Sums {
    logits: Logits,
    next: usize,
}

impl Network for Sums {
    fn logits(&mut self, views: &Views) -> Logits {
        (0..=LABELS.len())
            .find_map(|part| match self.part(views, part) {
                Poll::Ready(logits) => Some(logits),
                Poll::Pending => None,
            })
            .unwrap()
    }

    fn part(&mut self, views: &Views, part: usize) -> Poll<Logits> {
        assert!(part == 0 || part == self.next, "parts come in order");
        self.next = part + 1;
        let Some(logit) = self.logits.get_mut(part) else {
            return Poll::Ready(self.logits);
        };
        let values = views.get(View::ALL[part]);
        *logit = values.iter().sum::<f32>() / values.len() as f32;
        Poll::Pending
    }
}

/// Ten minutes: uneven beats from 35 to 300 a minute, pauses longer than any successor is waited for, noise that comes and
/// goes, and missing samples.
fn signal() -> Vec<f32> {
    let mut signal = vec![0.0_f32; 128 * 600];
    let (mut at, mut beat) = (100, 0_u32);
    while at + 40 < signal.len() {
        for (offset, sample) in signal[at - 20..at + 20].iter_mut().enumerate() {
            let d = (offset as f32 - 20.0) / if beat % 7 == 3 { 6.0 } else { 2.5 };
            *sample += (1.0 + (beat % 5) as f32 * 0.1) * (-d * d).exp();
        }
        beat += 1;
        at += match beat {
            200..400 => 26 + (beat as usize * 7) % 9,
            _ if beat % 97 == 0 => 1000,
            _ => 60 + (beat as usize * 7919) % 160,
        };
    }
    let mut number = 1_u32;
    for (i, sample) in signal.iter_mut().enumerate() {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (number >> 8) as f32 / (1 << 23) as f32 - 1.0;
        *sample += noise * if i / 2000 % 5 == 4 { 0.6 } else { 0.02 };
        if i / 640 % 40 == 17 {
            *sample = f32::NAN;
        }
    }
    signal
}

fn classifier(image: &[u8]) -> Classifier<'_, Sums> {
    let rhythm = rhythm::Model::load(image, Rules::AF_SVT).unwrap();
    Classifier::new(Sums::default(), Some(rhythm), Patient::default())
}

#[test]
fn slices_give_the_beats_of_one_go() {
    let (image, signal) = (rhythm_image(), signal());
    let mut whole = classifier(&image);
    let mut expected: Vec<Beat> = signal.iter().filter_map(|x| whole.push(*x)).collect();
    whole.finish();
    expected.extend(core::iter::from_fn(|| whole.poll()));
    assert!(expected.len() > 700, "{}", expected.len());
    assert!(expected.iter().any(|beat| beat.fibrillation.is_some()));
    assert!(expected.iter().any(|beat| !beat.readable));

    // How many slices there is time for after each sample.
    let paces: [fn(usize) -> usize; 4] = [
        |_| 1,
        |_| 3,
        |i| if i % 16 == 15 { 20 } else { 0 },
        |i| i * 7919 % 4,
    ];
    for (pace, slices) in paces.iter().enumerate() {
        let mut sliced = classifier(&image);
        let mut found = Vec::new();
        for (i, sample) in signal.iter().enumerate() {
            sliced.take(*sample);
            for _ in 0..slices(i) {
                if let Poll::Ready(Some(beat)) = sliced.work() {
                    found.push(beat);
                }
            }
        }
        sliced.finish();
        found.extend(core::iter::from_fn(|| sliced.poll()));
        assert_eq!(found.len(), expected.len(), "pace {pace}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "pace {pace}");
        }
        let summary = |classifier: &Classifier<'_, Sums>| *classifier.rhythm().summary();
        assert_eq!(summary(&sliced), summary(&whole));
    }
}

#[test]
fn what_comes_after_the_end_is_passed_over() {
    let image = rhythm_image();
    let mut classifier = classifier(&image);
    let samples = &signal()[..2000];
    let mut beats = samples.iter().filter_map(|x| classifier.push(*x)).count();
    classifier.finish();
    classifier.finish();
    let samples = classifier.samples();
    for _ in 0..1000 {
        classifier.take(5.0);
    }
    assert_eq!(classifier.samples(), samples);
    beats += core::iter::from_fn(|| classifier.poll()).count();
    assert!(beats > 10);
    assert_eq!(classifier.push(1.0), None);
    assert_eq!(classifier.stage(), Stage::Beat);
    assert_eq!(classifier.work(), Poll::Ready(None));
}
