//! Beats of recordings that nobody annotated: by their rhythm, and by what a teacher says of them.
#![allow(clippy::unwrap_used)]

use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_trainer::beat::config::{Config, WeakLabelsConfig, WeakShares};
use heartlens_trainer::beat::dataset::Dataset;
use heartlens_trainer::beat::fit::{Trainer, TrainingData};
use heartlens_trainer::beat::teacher::PseudoLabels;
use heartlens_trainer::data::augment::Augmenter;
use heartlens_trainer::data::noise::Noise;
use heartlens_trainer::data::record::{Lead, RecordBeats};
use heartlens_trainer::data::sampler::{Sampler, SamplerError};
use heartlens_trainer::data::split::split;
use heartlens_trainer::data::weak_labels::{self, Rhythm};
use heartlens_trainer::nn::rng::{Purpose, stream};
use heartlens_trainer::study::cross_validate::{Plan, train_folds};
use rand::RngExt;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tch::Device;

/// The shipped config with few steps, without F, and with these recordings.
fn config(weak_labels: Option<WeakLabelsConfig>) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat/config.toml");
    let mut config = Config::read(&path).unwrap();
    config.training.steps = 150;
    config.training.batch = 32;
    config.sampler.classes.N += config.sampler.classes.F;
    config.sampler.classes.F = 0.0;
    config.weak_labels = weak_labels;
    config
}

fn taught() -> WeakLabelsConfig {
    WeakLabelsConfig {
        database: "cinc2017".to_owned(),
        normal: vec![Rhythm::Normal],
        taught: vec![Rhythm::Other],
        confidence: 0.7,
        shares: WeakShares {
            N: 0.25,
            S: 0.5,
            V: 0.5,
        },
    }
}

/// A lead in mV with so many beats at 75 a minute, of which every 7th is early (S) and every 9th wide, tall and early (V)
/// if `ectopic`. Bumps of Gaussian shape over a little noise.
fn signal(seed: u64, beats: usize, ectopic: bool) -> (Vec<f32>, Vec<(u32, Class)>) {
    let mut rng = stream(seed, Purpose::Batch, 0);
    let mut time_s = 1.0_f32;
    let mut annotations = Vec::new();
    for beat in 0..beats {
        let (class, rr_s) = match beat {
            b if ectopic && b % 9 == 8 => (Class::V, 0.5),
            b if ectopic && b % 7 == 6 => (Class::S, 0.55),
            _ => (Class::N, 0.8),
        };
        time_s += rr_s + rng.random_range(-0.02..0.02);
        annotations.push(((time_s * SAMPLE_RATE_HZ as f32) as u32, class));
    }
    let len = ((time_s + 1.0) * SAMPLE_RATE_HZ as f32) as usize;
    let mut signal: Vec<f32> = (0..len).map(|_| rng.random_range(-0.02..0.02)).collect();
    for &(r, class) in &annotations {
        let (width, height) = if class == Class::V {
            (7.0, -1.5)
        } else {
            (2.0, 1.0)
        };
        let span = r as usize - 40..(r as usize + 60).min(len);
        for (i, sample) in span.clone().zip(&mut signal[span]) {
            let t = i as f32 - r as f32;
            let p = 0.15 * (-((t + 20.0) / 5.0).powi(2)).exp();
            let qrs = height * (-(t / width).powi(2)).exp();
            *sample += if class == Class::N { qrs + p } else { qrs };
        }
    }
    (signal, annotations)
}

fn record(name: &str, seed: u64) -> RecordBeats {
    let (signal, beats) = signal(seed, 200, true);
    RecordBeats::from_signals("made", name, &[signal], &beats, Patient::default())
}

fn recording(name: &str, seed: u64, rhythm: Rhythm) -> RecordBeats {
    let (signal, _) = signal(seed, 40, rhythm == Rhythm::Other);
    weak_labels::from_signal("made", name, &signal, rhythm).unwrap()
}

/// Four records of people, and recordings: two in sinus rhythm, six of another.
fn dataset() -> Dataset {
    let records = ["a", "b", "c", "d"].into_iter().zip(0..);
    let mut records: Vec<RecordBeats> = records.map(|(name, seed)| record(name, seed)).collect();
    for seed in 10..12 {
        records.push(recording(&format!("n{seed}"), seed, Rhythm::Normal));
    }
    for seed in 20..26 {
        records.push(recording(&format!("o{seed}"), seed, Rhythm::Other));
    }
    Dataset { records }
}

#[test]
fn a_recording_gives_beats_that_have_a_past() {
    let (signal, beats) = signal(1, 36, false);
    let record = weak_labels::from_signal("made", "x", &signal, Rhythm::Normal).unwrap();
    assert_eq!(
        (record.name.as_str(), record.patient.as_str()),
        ("made/x", "made/x")
    );
    assert_eq!(
        (record.peaks, record.rhythm),
        (Peaks::Detected, Some(Rhythm::Normal))
    );
    // Neither the first two and the last, which are not played, nor two at either seam; then the first twelve as they come.
    let all = record.classes.len();
    let count = all - 12;
    assert!(
        (beats.len() - 9..beats.len() - 6).contains(&count),
        "{count}"
    );
    assert_eq!(record.count(Class::N), all);
    let first = record.beat(Lead::First, count);
    assert_eq!(first.pre_rr_s(), None);
    assert_eq!(first.beat, first.template);
    for index in 0..count {
        let beat = record.beat(Lead::First, index);
        // All beats are alike, and the template has seen two turns of them.
        let largest = |window: &[f32]| window.iter().copied().fold(0.0, f32::max);
        let (beat_mv, template_mv) = (largest(&beat.beat), largest(&beat.template));
        assert!(
            (beat_mv - template_mv).abs() < 0.1 * template_mv,
            "{beat_mv} {template_mv}"
        );
        let rr_s = beat.pre_rr_s().unwrap();
        assert!((0.7..0.9).contains(&rr_s), "{rr_s}");
        // ln(RR / median of the last 10).
        assert!(beat.metadata[0].abs() < 0.3, "{}", beat.metadata[0]);
    }
    let other = weak_labels::from_signal("made", "x", &signal, Rhythm::Other).unwrap();
    assert_eq!((other.count(Class::Q), other.count(Class::N)), (all, 0));

    let short = &signal[..10 * SAMPLE_RATE_HZ as usize];
    for signal in [short, &[]] {
        assert!(weak_labels::from_signal("made", "x", signal, Rhythm::Normal).is_none());
    }
}

#[test]
fn recordings_are_trained_on_and_never_judged() {
    let dataset = dataset();
    let config = config(Some(taught()));
    assert_eq!(dataset.annotated().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(dataset.databases(), ["made"]);
    let folds = split(&dataset, 2, 0).unwrap();
    let mut judged = folds.concat();
    judged.sort_unstable();
    assert_eq!(judged, [0, 1, 2, 3]);
    assert!(dataset.indices_of(&["n10".to_owned()]).is_err());

    let trained = |config: &Config| dataset.training(config, &[1, 3]);
    assert_eq!(trained(&config), [0, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
    let teacher = config.teacher().unwrap();
    assert_eq!(teacher.name, "beat-teacher");
    assert_eq!(trained(&teacher), [0, 2, 4, 5]);
    assert_eq!(teacher.teacher(), None);
    let alone = Config {
        weak_labels: None,
        ..config
    };
    assert_eq!(trained(&alone), [0, 2]);
}

/// A teacher that has learnt from the records names the beats of the recordings; its student draws them as often as the
/// config says, and from no other recordings.
#[test]
fn a_teacher_names_the_beats_that_its_student_draws() {
    let dataset = dataset();
    let config = config(Some(taught()));
    let weak = config.weak_labels.as_ref().unwrap();
    let teachers = config.teacher().unwrap();
    let training = dataset.training(&teachers, &[]);
    let none = HashSet::new();
    let sampler = Sampler::new(
        &dataset,
        &training,
        &none,
        &PseudoLabels::default(),
        &teachers,
    )
    .unwrap();
    let augmenter = Augmenter::new(&config, Noise::default());
    let data = TrainingData {
        dataset: &dataset,
        sampler,
        augmenter: &augmenter,
    };
    let mut teacher = Trainer::new(&teachers, Device::Cpu).unwrap();
    teacher.run(&data, 150, 1, |_| ());
    let all: Vec<usize> = (0..dataset.records.len()).collect();
    let labels = PseudoLabels::by(teacher.result(), Device::Cpu, &dataset, &all, weak);
    let beats: usize = dataset.records[6..].iter().map(|r| r.classes.len()).sum();
    let mut sure = 0;
    for class in [Class::S, Class::V] {
        let (beats, records) = labels.count(class);
        assert!(beats >= 6 && records >= 3, "{class}: {beats} of {records}");
        assert!(labels.beats(class).all(|beat| beat.record >= 6));
        sure += beats;
    }
    assert!(sure < beats / 2, "{sure} of {beats}");
    // V is upside down here: its R peak is a trough.
    for beat in labels.beats(Class::V) {
        let window = dataset.records[beat.record]
            .beat(Lead::First, beat.beat)
            .beat;
        let (low, high) = window[54..74]
            .iter()
            .fold((0.0_f32, 0.0_f32), |(l, h), &x| (l.min(x), h.max(x)));
        assert!(-low > high, "{beat:?}: {low} {high}");
    }

    // Under a diagnosis no beat is of a class that it does not name, and at least one is of each that it does, however sure the
    // teacher has to be.
    let strict = WeakLabelsConfig {
        confidence: 0.9999,
        ..weak.clone()
    };
    for (rhythm, named) in [
        (Rhythm::HasS, [true, false]),
        (Rhythm::HasV, [false, true]),
        (Rhythm::HasBoth, [true, true]),
    ] {
        let mut diagnosed = dataset.clone();
        for record in &mut diagnosed.records[6..] {
            record.rhythm = Some(rhythm);
        }
        let labels = PseudoLabels::by(teacher.result(), Device::Cpu, &diagnosed, &all, &strict);
        for (class, named) in [Class::S, Class::V].into_iter().zip(named) {
            let records = if named { 6 } else { 0 };
            assert_eq!(labels.count(class).1, records, "{rhythm:?} {class}");
        }
    }

    let sampler = Sampler::new(&dataset, &all, &none, &labels, &config).unwrap();
    let mut rng = stream(0, Purpose::Batch, 0);
    let mut drawn: HashMap<(Class, usize), usize> = HashMap::new();
    for _ in 0..20_000 {
        let draw = sampler.draw(&mut rng);
        let place = match draw.beat.record {
            0..4 => 0,
            4..6 => 1,
            _ => 2,
        };
        *drawn.entry((draw.class, place)).or_default() += 1;
        if place == 2 {
            assert!(labels.beats(draw.class).any(|beat| beat == draw.beat));
        }
    }
    let share = |class, place| {
        let of = |place| drawn.get(&(class, place)).copied().unwrap_or(0) as f64;
        of(place) / (of(0) + of(1) + of(2))
    };
    for (class, place, expected) in [
        (Class::N, 1, 0.25),
        (Class::N, 2, 0.0),
        (Class::S, 1, 0.0),
        (Class::S, 2, 0.5),
        (Class::V, 2, 0.5),
    ] {
        let found = share(class, place);
        assert!((found - expected).abs() < 0.03, "{class} {place}: {found}");
    }

    // Without recordings in sinus rhythm there is nothing to draw N beats from.
    let error = Sampler::new(&dataset, &[0, 1, 6], &none, &labels, &config).unwrap_err();
    assert!(
        matches!(error, SamplerError::NoRecordings { .. }),
        "{error}"
    );
    // Of a teacher that is sure of nothing, the student draws annotated beats.
    let silent = Sampler::new(&dataset, &all, &none, &PseudoLabels::default(), &config).unwrap();
    let mut rng = stream(0, Purpose::Batch, 0);
    assert!((0..1000).all(|_| silent.draw(&mut rng).beat.record < 6));
}

/// In cross-validation each fold has a teacher of its own, which has not seen the fold either: of another truth about some
/// records only those folds learn that train on them. The teacher is sure of all it says here, so that what it has seen shows.
#[test]
fn each_fold_has_its_own_teacher() {
    let dataset = dataset();
    let recordings = WeakLabelsConfig {
        confidence: 0.0,
        ..taught()
    };
    let mut config = config(Some(recordings));
    config.training.steps = 12;
    let plan = Plan {
        splits: vec![vec![0, 1], vec![2, 3]],
        seeds: vec![0],
        parallel: 1,
        device: Device::Cpu,
        keep: None,
        second_lead: false,
        int8: false,
    };
    let augmenter = Augmenter::new(&config, Noise::default());
    let mut steps = 0;
    let mut run = |dataset: &Dataset| {
        train_folds(&config, dataset, &augmenter, &plan, |_, _, _| steps += 1).unwrap()
    };
    let trained = run(&dataset);
    let mut other = dataset.clone();
    for record in [0, 1] {
        for class in &mut other.records[record].classes {
            *class = match *class {
                Class::N => Class::V,
                Class::V => Class::N,
                other => other,
            };
        }
    }
    let again = run(&other);
    assert_eq!(again[0].logits, trained[0].logits);
    assert_ne!(again[1].logits, trained[1].logits);
    assert_eq!(steps, 2 * 2 * 2 * 12);
    assert_eq!(config.all_steps(), 24);
}

/// N beats come from recordings of the rhythms `normal` alone: one in fibrillation whose beats a teacher shall name gives none
/// by its label.
#[test]
fn the_config_says_whose_word_counts() {
    let mut dataset = dataset();
    dataset
        .records
        .push(recording("f", 30, Rhythm::Fibrillation));
    let mut recordings = taught();
    recordings.taught.push(Rhythm::Fibrillation);
    let config = config(Some(recordings));
    let all: Vec<usize> = (0..dataset.records.len()).collect();
    let none = HashSet::new();
    let sampler = Sampler::new(&dataset, &all, &none, &PseudoLabels::default(), &config).unwrap();
    let mut rng = stream(0, Purpose::Batch, 0);
    assert!((0..2000).all(|_| sampler.draw(&mut rng).beat.record < 6));
}
