//! Sampling, splitting, training, checkpoints and cross-validation on beats that are made here.
#![allow(clippy::unwrap_used)]

use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::spec::{METADATA_LEN, SAMPLE_RATE_HZ, WAVEFORM_LEN_SAMPLES};
use heartlens_core::views::View;
use heartlens_core::views::Views;
use heartlens_core::views::metadata::PATIENT_START;
use heartlens_trainer::beat::config::{Config, EarlyStoppingConfig};
use heartlens_trainer::beat::dataset::Dataset;
use heartlens_trainer::beat::fit::{Trainer, TrainingData, largest, probe};
use heartlens_trainer::beat::network::shape_of;
use heartlens_trainer::beat::teacher::PseudoLabels;
use heartlens_trainer::data::augment::{Augmenter, HostBatch};
use heartlens_trainer::data::find::Folders;
use heartlens_trainer::data::noise::Noise;
use heartlens_trainer::data::record::{Lead, RecordBeats};
use heartlens_trainer::data::sampler::{BeatIndex, Sampler, SamplerError};
use heartlens_trainer::data::split::{SplitError, split, split_across};
use heartlens_trainer::fit::checkpoint::{Checkpoint, CheckpointError};
use heartlens_trainer::fit::device::Precision;
use heartlens_trainer::fit::early_stopping::hold_out;
use heartlens_trainer::nn::rng::{Purpose, stream};
use heartlens_trainer::study::cross_validate::{Plan, train_folds};
use heartlens_trainer::study::int8::Int8Results;
use heartlens_trainer::study::logits_cache::{HeldOut, identity};
use heartlens_trainer::study::results::{Headline, Judged, Leads, NETWORK_ALONE, results, variant};
use rand::RngExt;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use tch::{Device, Tensor};

fn config() -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat/config.toml");
    let mut config = Config::read(&path).unwrap();
    config.training.steps = 40;
    config.training.batch = 32;
    config.weak_labels = None;
    config
}

/// A record of two leads: normal beats at 75 a minute; every 7th comes early (S), every 9th is wide, tall and early
/// (V), every 31st is in between (F). Bumps of Gaussian shape over a little noise.
fn record(database: &str, name: &str, seed: u64, beats: usize) -> RecordBeats {
    record_of(2, database, name, seed, beats)
}

/// The same with so many leads.
fn record_of(leads: usize, database: &str, name: &str, seed: u64, beats: usize) -> RecordBeats {
    let mut rng = stream(seed, Purpose::Batch, 0);
    let rate = SAMPLE_RATE_HZ as f32;
    let mut annotations = Vec::new();
    let mut time = 1.0_f32;
    for beat in 0..beats {
        let (class, rr) = match beat {
            b if b % 31 == 30 => (Class::F, 0.7),
            b if b % 9 == 8 => (Class::V, 0.5),
            b if b % 7 == 6 => (Class::S, 0.55),
            _ => (Class::N, 0.8),
        };
        time += rr + rng.random_range(-0.02..0.02);
        annotations.push(((time * rate) as u32, class));
    }
    let len = ((time + 2.0) * rate) as usize;
    let mut signals = vec![vec![0.0_f32; len]; leads];
    for (lead, signal) in signals.iter_mut().enumerate() {
        for sample in signal.iter_mut() {
            *sample = rng.random_range(-0.02..0.02);
        }
        for &(r, class) in &annotations {
            let (width, height) = match class {
                Class::V => (7.0, -1.5),
                Class::F => (4.5, 0.5),
                _ => (2.0, 1.0),
            };
            let span = r as usize - 40..(r as usize + 60).min(len);
            let gain = 1.0 - 0.4 * lead as f32;
            for (i, sample) in span.clone().zip(&mut signal[span]) {
                let t = i as f32 - r as f32;
                let qrs = height * (-(t / width).powi(2)).exp();
                let p = 0.15 * (-((t + 20.0) / 5.0).powi(2)).exp();
                *sample += gain * if class == Class::N { qrs + p } else { qrs };
            }
        }
    }
    RecordBeats::from_signals(database, name, &signals, &annotations, Patient::default())
}

fn dataset(records: &[(&str, &str)], beats: usize) -> Dataset {
    let records = records.iter().zip(0..);
    Dataset {
        records: records
            .map(|(&(database, name), seed)| record(database, name, seed, beats))
            .collect(),
    }
}

fn six_records() -> Dataset {
    let names = ["a", "b", "c", "d", "e", "f"];
    dataset(&names.map(|name| ("made", name)), 200)
}

fn all(dataset: &Dataset) -> Vec<usize> {
    (0..dataset.records.len()).collect()
}

/// Draws from all records.
fn sampler(dataset: &Dataset, config: &Config) -> Sampler {
    let none = HashSet::new();
    Sampler::new(
        dataset,
        &all(dataset),
        &none,
        &PseudoLabels::default(),
        config,
    )
    .unwrap()
}

fn quiet(config: &Config) -> Augmenter {
    Augmenter::new(config, Noise::default())
}

#[test]
fn a_record_has_its_beats_in_four_leads() {
    let record = record("mitdb", "202", 0, 62);
    assert_eq!(record.name, "mitdb/202");
    assert_eq!(record.patient, "mitdb/201");
    assert_eq!(record.classes.len(), 62);
    assert_eq!(record.count(Class::F), 2);
    // The second lead has 0.6 of the first's amplitude, so in units of their scales they are nearly alike: the sum is
    // sqrt(m0 m1 / 2) (1 / m0 + 1 / m1) m0 of the first, and the difference nearly nothing.
    let peak = |lead| record.beat(lead, 20).beat[64];
    assert!((peak(Lead::Second) / peak(Lead::First) - 0.6).abs() < 0.05);
    let expected = (0.6_f32 / 2.0).sqrt() * (1.0 + 1.0 / 0.6) * 0.6;
    let ratio = peak(Lead::Sum) / peak(Lead::First) / expected;
    assert!((ratio - 1.0).abs() < 0.3, "{ratio}");
    assert!(peak(Lead::Difference).abs() < 0.15 * peak(Lead::Sum));

    let one = RecordBeats::from_signals(
        "x",
        "y",
        &[vec![0.0; 512]],
        &[(200, Class::N)],
        Patient::default(),
    );
    assert_eq!(
        one.beat(Lead::Difference, 0).beat,
        one.beat(Lead::First, 0).beat
    );
}

#[test]
fn beats_that_core_refuses_are_left_out_of_classes_and_leads_alike() {
    let beats = [
        (100, Class::N),
        (100, Class::V),
        (300, Class::S),
        (900, Class::F),
    ];
    let record = RecordBeats::from_signals("x", "y", &[vec![0.0; 512]], &beats, Patient::default());
    assert_eq!(record.classes, [Class::N, Class::S]);
    assert_eq!(record.beat(Lead::First, 1).metadata.len(), METADATA_LEN);
}

#[test]
fn draws_follow_the_shares() {
    // Record b has four times the beats of record a.
    let mut dataset = dataset(&[("made", "a")], 100);
    dataset.records.push(record("made", "b", 9, 400));
    let config = config();
    let kept_out = HashSet::from([BeatIndex { record: 0, beat: 0 }]);
    let sampler = Sampler::new(
        &dataset,
        &[0, 1],
        &kept_out,
        &PseudoLabels::default(),
        &config,
    )
    .unwrap();
    let mut rng = stream(1, Purpose::Batch, 0);
    let count = 40_000;
    let draws: Vec<_> = (0..count).map(|_| sampler.draw(&mut rng)).collect();
    let share = |n: usize, of: usize| n as f64 / of as f64;
    for (label, expected) in config.sampler.classes.in_order().into_iter().enumerate() {
        let drawn = draws.iter().filter(|d| d.class as usize == label).count();
        assert!(
            (share(drawn, count) - expected).abs() < 0.01,
            "class {label}"
        );
    }
    for (lead, expected) in Lead::ALL.into_iter().zip(config.sampler.leads.in_order()) {
        let drawn = draws.iter().filter(|d| d.lead == lead).count();
        assert!((share(drawn, count) - expected).abs() < 0.01, "{lead:?}");
    }
    for draw in &draws {
        assert_eq!(
            dataset.records[draw.beat.record].classes[draw.beat.beat],
            draw.class
        );
        assert!(!kept_out.contains(&draw.beat));
    }
    // Beats weigh n^-0.9, so records weigh n^0.1: 4^0.1 is 1.15, not 4.
    let normal: Vec<_> = draws.iter().filter(|d| d.class == Class::N).collect();
    let second = normal.iter().filter(|d| d.beat.record == 1).count();
    let odds = second as f64 / (normal.len() - second) as f64;
    assert!((odds - 4.0_f64.powf(0.1)).abs() < 0.05, "{odds}");
}

#[test]
fn a_class_without_beats_is_named() {
    let beats: Vec<_> = (1..50).map(|i| (i * 100, Class::N)).collect();
    let record =
        RecordBeats::from_signals("x", "y", &[vec![0.1; 5000]], &beats, Patient::default());
    let dataset = Dataset {
        records: vec![record],
    };
    let error = Sampler::new(
        &dataset,
        &[0],
        &HashSet::new(),
        &PseudoLabels::default(),
        &config(),
    )
    .unwrap_err();
    assert!(matches!(
        error,
        SamplerError::NoBeats {
            class: Class::S,
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .contains("no beat of class S, but sampler.classes.S is 0.14")
    );
}

#[test]
fn augmentation_varies_what_it_should_and_nothing_else() {
    let dataset = six_records();
    let mut config = config();
    let beat = dataset.records[0].beat(Lead::First, 20);
    let plain = {
        let mut views = Views::ZERO;
        config.augmentation.shift_samples = 0;
        config.augmentation.gain = 0.0;
        config.augmentation.noise_probability = 0.0;
        config.augmentation.metadata_noise = 0.0;
        let mut rng = stream(0, Purpose::Batch, 0);
        quiet(&config).views(beat, &mut rng, &mut views);
        views
    };
    // Nothing varied: the same numbers as in use.
    let mut batch = HostBatch::default();
    batch.push(&plain, dataset.records[0].classes[20] as i64);
    let in_use = HostBatch::plain(
        &dataset,
        &[BeatIndex {
            record: 0,
            beat: 20,
        }],
        Lead::First,
    );
    assert_eq!(batch, in_use);

    let vary = |change: &dyn Fn(&mut Config), noise: Noise| {
        let mut config = config.clone();
        change(&mut config);
        let mut views = Views::ZERO;
        let mut rng = stream(3, Purpose::Batch, 1);
        Augmenter::new(&config, noise).views(beat, &mut rng, &mut views);
        views
    };
    let template = WAVEFORM_LEN_SAMPLES..;
    let noise = Noise {
        channels: vec![(0..1000).map(|i| (i as f32 * 0.9).sin() * 1.4).collect()],
    };
    let noisy = vary(&|c| c.augmentation.noise_probability = 1.0, noise);
    assert_ne!(
        noisy.waveform[..WAVEFORM_LEN_SAMPLES],
        plain.waveform[..WAVEFORM_LEN_SAMPLES]
    );
    assert_ne!(noisy.spectrum[..64], plain.spectrum[..64]);
    assert_eq!(
        noisy.waveform[template.clone()],
        plain.waveform[template.clone()]
    );
    assert_eq!(noisy.metadata, plain.metadata);

    let louder = vary(&|c| c.augmentation.gain = 0.1, Noise::default());
    let gains = [40, WAVEFORM_LEN_SAMPLES + 40].map(|i| louder.waveform[i] / plain.waveform[i]);
    assert!(
        (gains[0] - gains[1]).abs() < 1e-4 && (gains[0] - 1.0).abs() > 1e-3,
        "{gains:?}"
    );

    let jittered = vary(&|c| c.augmentation.metadata_noise = 0.05, Noise::default());
    assert_eq!(jittered.waveform, plain.waveform);
    assert!((0..PATIENT_START).all(|i| jittered.metadata[i] != plain.metadata[i]));
    assert_eq!(
        jittered.metadata[PATIENT_START..],
        plain.metadata[PATIENT_START..]
    );

    let shifts: HashSet<String> = (0..60)
        .map(|step| {
            let mut config = config.clone();
            config.augmentation.shift_samples = 2;
            let mut views = Views::ZERO;
            let mut rng = stream(3, Purpose::Batch, step);
            quiet(&config).views(beat, &mut rng, &mut views);
            assert_eq!(views.spectrum, plain.spectrum);
            assert_eq!(
                views.waveform[template.clone()],
                plain.waveform[template.clone()]
            );
            format!("{:?}", &views.waveform[..WAVEFORM_LEN_SAMPLES])
        })
        .collect();
    assert_eq!(shifts.len(), 5, "-2, -1, 0, 1 and 2 samples");
}

#[test]
fn patient_features_are_dropped_as_often_as_asked() {
    let mut record = record("made", "a", 0, 3);
    record = {
        let beats = [(200, record.classes[0])];
        let patient = Patient {
            age_years: Some(71.0),
            sex: Some(Sex::Female),
        };
        RecordBeats::from_signals("made", "a", &[vec![0.1; 512]], &beats, patient)
    };
    let beat = record.beat(Lead::First, 0);
    assert!(beat.metadata[PATIENT_START..].iter().any(|x| *x != 0.0));
    let dropped = |patient: bool| {
        let mut config = config();
        config.metadata.patient = patient;
        config.augmentation.patient_dropout = 0.25;
        let augmenter = quiet(&config);
        let mut views = Views::ZERO;
        (0..2000)
            .filter(|&step| {
                let mut rng = stream(5, Purpose::Batch, step);
                augmenter.views(beat, &mut rng, &mut views);
                let patient = &views.metadata[PATIENT_START..];
                let unknown = patient.iter().all(|x| *x == 0.0);
                assert!(unknown || patient == &beat.metadata[PATIENT_START..]);
                unknown
            })
            .count()
    };
    assert!((dropped(true) as f64 / 2000.0 - 0.25).abs() < 0.04);
    assert_eq!(dropped(false), 2000);
}

#[test]
fn splits_are_by_patient_seeded_and_stratified() {
    let mut names: Vec<(String, String)> =
        (0..9).map(|i| ("one".to_owned(), i.to_string())).collect();
    names.extend(["201", "202", "203"].map(|name| ("mitdb".to_owned(), name.to_owned())));
    let names: Vec<(&str, &str)> = names
        .iter()
        .map(|(d, n)| (d.as_str(), n.as_str()))
        .collect();
    let dataset = dataset(&names, 40);
    let splits = split(&dataset, 3, 4).unwrap();
    assert_eq!(splits, split(&dataset, 3, 4).unwrap());
    assert_ne!(splits, split(&dataset, 3, 5).unwrap());
    let mut seen = HashMap::new();
    for (fold, records) in splits.iter().enumerate() {
        let of_one = records
            .iter()
            .filter(|&&r| dataset.records[r].database == "one");
        assert_eq!(of_one.count(), 3);
        for &record in records {
            assert_eq!(seen.insert(record, fold), None);
        }
    }
    assert_eq!(seen.len(), 12);
    let fold_of = |name: &str| {
        let index = dataset.records.iter().position(|r| r.name == name).unwrap();
        seen[&index]
    };
    assert_eq!(fold_of("mitdb/201"), fold_of("mitdb/202"));

    let error = split(&dataset, 12, 0).unwrap_err();
    assert!(matches!(
        error,
        SplitError::Folds {
            folds: 12,
            patients: 11
        }
    ));
}

#[test]
fn a_fold_without_ectopic_beats_is_named() {
    let mut dataset = dataset(&[("made", "a"), ("made", "b")], 60);
    let beats: Vec<_> = (1..9).map(|i| (i * 100, Class::N)).collect();
    let normal =
        RecordBeats::from_signals("made", "n", &[vec![0.1; 1000]], &beats, Patient::default());
    dataset.records.push(normal);
    let error = split(&dataset, 3, 0).unwrap_err().to_string();
    assert!(error.contains("(made/n) has no beat of class S"), "{error}");
}

fn trained(config: &Config, dataset: &Dataset, until: u32, workers: usize) -> (Trainer, Vec<f64>) {
    let sampler = Sampler::new(
        dataset,
        &all(dataset),
        &HashSet::new(),
        &PseudoLabels::default(),
        config,
    )
    .unwrap();
    let augmenter = quiet(config);
    let data = TrainingData {
        dataset,
        sampler,
        augmenter: &augmenter,
    };
    let mut trainer = Trainer::new(config, Device::Cpu).unwrap();
    let mut losses = Vec::new();
    trainer.run(&data, until, workers, |report| losses.push(report.loss));
    (trainer, losses)
}

fn logits(trainer: &Trainer, dataset: &Dataset) -> Tensor {
    let beats: Vec<_> = (0..50).map(|beat| BeatIndex { record: 0, beat }).collect();
    let views = HostBatch::plain(dataset, &beats, Lead::First).views();
    tch::no_grad(|| trainer.result().forward(&views, None))
}

#[test]
fn training_is_deterministic_and_learns() {
    let mut config = config();
    let dataset = six_records();
    let (one, losses) = trained(&config, &dataset, 40, 1);
    let (other, other_losses) = trained(&config, &dataset, 40, 3);
    assert_eq!(losses, other_losses);
    assert_eq!(logits(&one, &dataset), logits(&other, &dataset));
    assert_eq!(losses.len(), 40);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&losses[30..]) < 0.7 * mean(&losses[..5]), "{losses:?}");

    let tallies = one.score(&dataset, &all(&dataset));
    let headline = Headline::of(&tallies["made"]);
    assert!(headline.kappa.unwrap() > 0.5, "{headline:?}");

    config.training.seed = 1;
    let (reseeded, _) = trained(&config, &dataset, 40, 1);
    assert_ne!(logits(&one, &dataset), logits(&reseeded, &dataset));
}

#[test]
fn a_resumed_training_ends_where_an_uninterrupted_one_does() {
    let config = config();
    let dataset = six_records();
    let (straight, straight_losses) = trained(&config, &dataset, 40, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/last.safetensors");

    let (first, _) = trained(&config, &dataset, 25, 1);
    let probed = probe(&dataset, &all(&dataset), 0);
    let probed = HostBatch::plain(&dataset, &probed, Lead::First);
    assert!(!probed.is_empty());
    first.checkpoint(&probed, &path).write().unwrap();
    let read = Checkpoint::read(&path).unwrap();
    assert_eq!(read.step, 25);
    assert_eq!(
        read.probe("spectrogram").unwrap().size()[1..],
        shape_of(View::Spectrogram)
    );

    let mut second = Trainer::new(&config, Device::Cpu).unwrap();
    second.resume(&read).unwrap();
    let augmenter = quiet(&config);
    let data = TrainingData {
        dataset: &dataset,
        sampler: sampler(&dataset, &config),
        augmenter: &augmenter,
    };
    let mut losses = Vec::new();
    second.run(&data, 40, 1, |report| losses.push(report.loss));
    assert_eq!(losses, straight_losses[25..]);
    assert_eq!(logits(&second, &dataset), logits(&straight, &dataset));
}

/// Of weights a and b the mean is (a + b) / 2, tensor by tensor, and only of the averaged weights.
#[test]
fn checkpoints_of_one_training_are_averaged() {
    let config = config();
    let dataset = six_records();
    let folder = tempfile::tempdir().unwrap();
    let probed = HostBatch::plain(&dataset, &[BeatIndex { record: 0, beat: 0 }], Lead::First);
    let at = |step: u32| {
        let path = folder.path().join(step.to_string());
        let (trainer, _) = trained(&config, &dataset, step, 1);
        trainer.checkpoint(&probed, &path).write().unwrap();
        Checkpoint::read(&path).unwrap()
    };
    let (early, late) = (at(4), at(9));
    let mut mean = at(4);
    mean.average_with(std::slice::from_ref(&late)).unwrap();
    let mut moved = 0.0;
    for (name, found) in &mean.tensors {
        let (a, b) = (early.get(name).unwrap(), late.get(name).unwrap());
        if name.starts_with("average.") {
            let expected: Tensor = (a + b) / 2.0;
            assert!(
                (found - expected).abs().max().double_value(&[]) < 1e-6,
                "{name}"
            );
            moved += (found - a).abs().max().double_value(&[]);
        } else {
            assert_eq!(found, a, "{name}");
        }
    }
    assert!(moved > 0.01, "{moved}");
}

/// A training that was begun in one kind of numbers is not continued in another, and the weights can be used all the same.
#[test]
fn a_checkpoint_of_another_precision_is_refused() {
    let config = config();
    let dataset = six_records();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let mut trainer = Trainer::new(&config, Device::Cpu).unwrap();
    trainer.set_precision(Precision::Bf16);
    let probed = HostBatch::plain(&dataset, &[BeatIndex { record: 0, beat: 0 }], Lead::First);
    trainer.checkpoint(&probed, &path).write().unwrap();
    let checkpoint = Checkpoint::read(&path).unwrap();
    assert_eq!(checkpoint.precision, Precision::Bf16);
    trainer.resume(&checkpoint).unwrap();

    let mut other = Trainer::new(&config, Device::Cpu).unwrap();
    let error = other.resume(&checkpoint).unwrap_err().to_string();
    assert!(
        error.contains("last.safetensors: was trained with --precision bf16")
            && error.contains("continued with --precision f32"),
        "{error}"
    );
    other.take(&checkpoint).unwrap();
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let config = config();
    let dataset = six_records();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let trainer = Trainer::new(&config, Device::Cpu).unwrap();
    let probed = HostBatch::plain(&dataset, &[BeatIndex { record: 0, beat: 0 }], Lead::First);
    trainer.checkpoint(&probed, &path).write().unwrap();
    let checkpoint = Checkpoint::read(&path).unwrap();

    let mut other = config.clone();
    other.training.learning_rate = 1e-2;
    let error = Trainer::new(&other, Device::Cpu)
        .unwrap()
        .resume(&checkpoint)
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CheckpointError::OtherConfig { .. }));
    assert!(
        text.contains(
            "`learning_rate`: found learning_rate = 0.003, expected learning_rate = 0.01"
        ),
        "{text}"
    );

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        Checkpoint::read(&path),
        Err(CheckpointError::Format { .. })
    ));

    // Another hash of the same length in the header.
    let hash = format!("{:016x}", heartlens_core::spec::HASH);
    let place = bytes
        .windows(16)
        .position(|window| window == hash.as_bytes())
        .unwrap();
    let mut other = bytes.clone();
    other[place..place + 16].copy_from_slice(b"0123456789abcdef");
    std::fs::write(&path, &other).unwrap();
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(
        error.contains(&format!(
            "features 0123456789abcdef, but this build computes {hash}"
        )),
        "{error}"
    );
}

#[test]
fn cross_validation_scores_every_beat_once_a_seed() {
    let mut config = config();
    config.training.steps = 12;
    let dataset = six_records();
    let plan = Plan {
        splits: split(&dataset, 3, 0).unwrap(),
        seeds: vec![0, 1],
        parallel: 2,
        device: Device::Cpu,
        keep: None,
        second_lead: false,
        int8: false,
    };
    let mut steps = 0;
    let count = |steps: &mut usize, plan: &Plan, config: &Config| {
        let observe = |_, _, _| *steps += 1;
        train_folds(config, &dataset, &quiet(config), plan, observe).unwrap()
    };
    let trained = count(&mut steps, &plan, &config);
    assert_eq!(steps, 2 * 3 * 12);
    let network = |done: &HeldOut, record: usize| -> Vec<Class> {
        done.logits[&record].iter().map(largest).collect()
    };
    let at = |peaks| Judged {
        peaks,
        leads: Leads::First,
        context: NETWORK_ALONE,
    };
    let judged = at(Peaks::Reference);
    let results = results(&config, &dataset, &plan, &trained, judged, network);
    assert_eq!(results.pooled.beats, 2 * 6 * 200);
    assert_eq!(results.folds.len(), 6);
    assert_eq!(results.int8, None);
    let json = serde_json::to_value(&results).unwrap();
    for key in [
        "records",
        "beats",
        "peaks",
        "runtime",
        "mapping",
        "qrs",
        "labels",
        "confusion",
        "classes",
        "accuracy",
        "macro_f1",
        "macro_f1_nsv",
        "kappa",
        "jk",
        "per_record",
        "folds",
        "splits",
        "seeds",
        "databases",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["context"], "network alone");
    assert!(json["first_lead"].as_str().unwrap().starts_with("MLII"));
    // A summary is the same but for the figures of every record.
    let mut expected = json.clone();
    expected.as_object_mut().unwrap().remove("per_record");
    let databases = expected["databases"].as_object_mut().unwrap();
    for report in databases.values_mut() {
        let records = report.as_object_mut().unwrap().remove("per_record");
        assert_eq!(records.unwrap().as_array().unwrap().len(), 6);
    }
    assert_eq!(results.summary().unwrap(), expected);
    // What is judged in another way has the same figures where that way is the same, and none at other R peaks.
    let same = variant(&dataset, &plan, &trained, at(Peaks::Reference), network);
    assert_eq!(same.databases["made"].headline.jk, results.pooled.jk);
    assert_eq!(
        same.databases["made"].seeds[1],
        results.seeds[1].databases["made"].jk
    );
    let none = variant(&dataset, &plan, &trained, at(Peaks::Detected), network);
    assert!(none.databases.is_empty());

    // The same fold and seed alone, in one thread.
    let alone = Plan {
        seeds: vec![1],
        parallel: 1,
        ..plan.clone()
    };
    let again = count(&mut steps, &alone, &config);
    assert_eq!(again[2].logits, trained[5].logits);
    assert_eq!(Int8Results::of(&dataset, &again, Peaks::Reference), None);

    // Logits that were kept are not trained again, unless the config is another.
    let folder = tempfile::tempdir().unwrap();
    let keeping = Plan {
        keep: Some(folder.path().join("logits")),
        ..plan
    };
    let float = count(&mut steps, &keeping, &config);
    assert!(float.iter().all(|done| done.int8.is_none()));
    let keeping = Plan {
        int8: true,
        ..keeping
    };
    let kept = count(&mut steps, &keeping, &config);
    let int8 = Int8Results::of(&dataset, &kept, Peaks::Reference).unwrap();
    assert_eq!(int8.beats, 2 * 6 * 200);
    assert!(int8.label_agreement > 0.95, "{}", int8.label_agreement);
    assert_eq!(int8.f1["V"].float, results.pooled.classes.v.f1);
    steps = 0;
    assert_eq!(count(&mut steps, &keeping, &config), kept);
    assert_eq!(steps, 0);
    config.training.steps = 11;
    assert_ne!(
        count(&mut steps, &keeping, &config)[0].logits,
        kept[0].logits
    );
    assert_eq!(steps, 2 * 3 * 11);
}

/// Kept logits are those of the same beats, classes, noise and device alone: of anything else the identity is another.
#[test]
fn kept_logits_know_what_they_depend_on() {
    let config = config();
    let dataset = six_records();
    let of = |dataset: &Dataset, noise: &[f32]| {
        let noise = Noise {
            channels: vec![noise.to_vec()],
        };
        let augmenter = Augmenter::new(&config, noise);
        identity(&config, dataset, &[0, 1], &augmenter, Device::Cpu)
    };
    let noise = [0.5_f32, -0.5, 1.0];
    let same = of(&dataset, &noise);
    assert_eq!(of(&dataset, &noise), same);
    assert!(same.starts_with("program "), "{same}");
    assert_ne!(of(&dataset, &[0.5, -0.5, 1.1]), same);
    // As many beats of the same name, with another signal: trained on or judged.
    for changed in [0, 5] {
        let mut other = dataset.clone();
        other.records[changed] = record("made", ["a", "b", "c", "d", "e", "f"][changed], 77, 200);
        assert_eq!(
            other.records[changed].classes.len(),
            dataset.records[changed].classes.len()
        );
        assert_ne!(of(&other, &noise), same, "{changed}");
    }
    let mut other = dataset.clone();
    other.records[1].classes[3] = Class::Q;
    assert_ne!(of(&other, &noise), same);
    let augmenter = Augmenter::new(
        &config,
        Noise {
            channels: vec![noise.to_vec()],
        },
    );
    let elsewhere = identity(&config, &dataset, &[0, 1], &augmenter, Device::Cuda(0));
    assert_ne!(elsewhere, same);
}

/// The second lead's logits differ from the first's where there is a second, and only there; they are kept and read with
/// the others. Both are averaged, all are weighed by quality, and the best is one of the two.
#[test]
fn two_leads_are_scored_and_fused() {
    let mut config = config();
    config.training.steps = 12;
    let mut dataset = six_records();
    dataset.records[2] = record_of(1, "made", "c", 2, 200);
    let folder = tempfile::tempdir().unwrap();
    let first = Plan {
        splits: split(&dataset, 2, 0).unwrap(),
        seeds: vec![0],
        parallel: 2,
        device: Device::Cpu,
        keep: Some(folder.path().to_owned()),
        second_lead: false,
        int8: false,
    };
    let mut steps = 0;
    let mut run = |plan: &Plan| {
        let trained = train_folds(&config, &dataset, &quiet(&config), plan, |_, _, _| {
            steps += 1;
        });
        (trained.unwrap(), steps)
    };
    let (alone, _) = run(&first);
    assert!(alone.iter().all(|done| done.second_lead.is_none()));
    let plan = Plan {
        second_lead: true,
        ..first
    };
    let (trained, steps) = run(&plan);
    assert_eq!(steps, 2 * 2 * 12);
    for (done, alone) in trained.iter().zip(&alone) {
        assert_eq!(done.logits, alone.logits);
        let second = done.second_lead.as_ref().unwrap();
        assert_eq!(second.len(), done.logits.len());
        for (&index, second) in second {
            let first = &done.logits[&index];
            assert_eq!(second.len(), first.len());
            assert_eq!(second == first, index == 2, "{index}");
            let record = &dataset.records[index];
            let of = |leads: Leads| leads.logits(done, index, record).into_owned();
            assert_eq!(&of(Leads::First), first);
            let best = match record.best {
                Lead::First => first,
                _ => second,
            };
            assert_eq!(&of(Leads::Best), best);
            let (both, all) = (of(Leads::Both), of(Leads::All));
            for beat in 0..first.len() {
                let qualities =
                    [Lead::First, Lead::Second].map(|lead| record.beat(lead, beat).quality());
                let scores = qualities.map(|quality| quality.score);
                let weights = qualities.map(|quality| quality.weight());
                assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
                let sum: f32 = weights.iter().sum();
                assert!(sum > 0.0, "made beats can be read: {scores:?}");
                for class in 0..4 {
                    let (a, b) = (first[beat][class], second[beat][class]);
                    assert!((both[beat][class] - (a + b) / 2.0).abs() < 1e-5);
                    let mean = (weights[0] * a + weights[1] * b) / sum;
                    assert!((all[beat][class] - mean).abs() < 1e-5);
                }
            }
        }
    }
    assert_eq!(run(&plan), (trained, steps));
}

#[test]
fn those_who_judge_are_other_patients() {
    let names = [
        ("mitdb", "201"),
        ("mitdb", "202"),
        ("mitdb", "203"),
        ("a", "1"),
        ("a", "2"),
        ("a", "3"),
    ];
    let dataset = dataset(&names, 40);
    let early = EarlyStoppingConfig {
        share: 0.34,
        patience: 2,
        every: 5,
    };
    let mut seen = HashSet::new();
    for seed in 0..8 {
        // One record is left out of it all.
        let records = [0, 1, 2, 3, 4];
        let (training, judges) = hold_out(&dataset, &records, &early, seed).unwrap();
        assert_eq!(
            hold_out(&dataset, &records, &early, seed).unwrap(),
            (training.clone(), judges.clone())
        );
        let mut both = [training.clone(), judges.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, records);
        let patient = |record: &usize| dataset.records[*record].patient.as_str();
        let patients: HashSet<&str> = training.iter().map(patient).collect();
        assert!(!judges.iter().any(|judge| patients.contains(patient(judge))));
        seen.extend(judges);
    }
    assert!(seen.len() > 2, "{seen:?}");

    let mut normal = dataset;
    for record in &mut normal.records {
        record.classes.fill(Class::N);
    }
    let error = hold_out(&normal, &[0, 1, 2, 3], &early, 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("have no beat of class S; raise its share"),
        "{error}"
    );
}

/// With patience for one judgement of weights that cannot become better (a learning rate of next to nothing), training ends
/// after the second judgement; without early stopping it goes on to the last step.
#[test]
fn training_stops_when_it_is_not_bettered() {
    let mut config = config();
    config.training.learning_rate = 1e-12;
    config.training.early_stopping = Some(EarlyStoppingConfig {
        share: 0.34,
        patience: 1,
        every: 4,
    });
    let dataset = six_records();
    let plan = Plan {
        splits: split(&dataset, 2, 0).unwrap(),
        seeds: vec![0],
        parallel: 1,
        device: Device::Cpu,
        keep: None,
        second_lead: false,
        int8: false,
    };
    let mut steps = [0, 0];
    let observe = |_, fold: usize, _| steps[fold] += 1;
    train_folds(&config, &dataset, &quiet(&config), &plan, observe).unwrap();
    assert!(
        steps.iter().all(|&steps| (4..=12).contains(&steps)),
        "{steps:?}"
    );
}

/// bf16 has 8 bits of mantissa: the losses differ, and by little.
#[test]
fn training_in_bf16_follows_training_in_f32() {
    let config = config();
    let dataset = six_records();
    let (_, expected) = trained(&config, &dataset, 40, 1);
    let augmenter = quiet(&config);
    let data = TrainingData {
        dataset: &dataset,
        sampler: sampler(&dataset, &config),
        augmenter: &augmenter,
    };
    let mut trainer = Trainer::new(&config, Device::Cpu).unwrap();
    trainer.set_precision(Precision::Bf16);
    let mut losses = Vec::new();
    trainer.run(&data, 40, 1, |report| losses.push(report.loss));
    assert_ne!(losses, expected);
    for (found, expected) in losses.iter().zip(&expected) {
        assert!((found - expected).abs() < 0.1, "{losses:?} {expected:?}");
    }
    // The result is in f32.
    assert_eq!(logits(&trainer, &dataset).kind(), tch::Kind::Float);
}

#[test]
fn a_split_across_databases_holds_all_others_out() {
    let dataset = dataset(&[("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")], 40);
    assert_eq!(split_across(&dataset, "a").unwrap(), [vec![1, 3]]);
    let error = split_across(&dataset, "d").unwrap_err().to_string();
    assert!(
        error.contains("are a, b, c; expected d to train on"),
        "{error}"
    );
}

/// Real records: detected beats are the annotated ones within 150 ms, and nothing but a few is missed or extra.
#[test]
fn detected_beats_carry_the_annotated_classes() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    let path = Path::new(&data).join("mitdb/208");
    let both = [Peaks::Reference, Peaks::Detected];
    let records = RecordBeats::read("mitdb", &path, &both).unwrap();
    let [annotated, detected] = &records[..] else {
        panic!("{} records", records.len());
    };
    assert_eq!((annotated.peaks, detected.peaks), (both[0], both[1]));
    assert_eq!(annotated.patient, detected.patient);
    for class in [Class::N, Class::V, Class::F] {
        let (all, found) = (annotated.count(class), detected.count(class));
        assert!(
            found <= all && found * 100 >= all * 97,
            "{class}: {found} of {all}"
        );
    }
    let extra = detected.count(Class::Q) as f64 / detected.classes.len() as f64;
    assert!(extra < 0.01, "{extra}");
    assert_eq!(detected.beat(Lead::First, 0).pre_rr_s(), None);
    assert!(detected.beat(Lead::First, 1).pre_rr_s().is_some());
}

/// Real records: trained on all but a few for a short time, the network must already be far better than the majority
/// class on those few (kappa 0, no S and no V).
#[test]
fn a_short_training_generalises_to_held_out_records() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    let data = Path::new(&data);
    let mut config = config();
    config.training.steps = 120;
    config.training.batch = 128;
    config
        .data
        .records
        .retain(|database, _| database == "mitdb");
    let folders = Folders::from(data);
    let dataset = Dataset::read(&folders, &config.wanted(&[Peaks::Reference])).unwrap();
    assert_eq!(dataset.records.len(), 22);
    let noise = Noise::read(&folders).unwrap();
    for channel in &noise.channels {
        let power = channel.iter().map(|x| f64::from(x * x)).sum::<f64>() / channel.len() as f64;
        assert!((power - 1.0).abs() < 1e-3);
    }
    let held_out = split(&dataset, 4, 0).unwrap().swap_remove(0);
    let training: Vec<usize> = all(&dataset)
        .into_iter()
        .filter(|r| !held_out.contains(r))
        .collect();
    let augmenter = Augmenter::new(&config, noise);
    let data = TrainingData {
        dataset: &dataset,
        sampler: Sampler::new(
            &dataset,
            &training,
            &HashSet::new(),
            &PseudoLabels::default(),
            &config,
        )
        .unwrap(),
        augmenter: &augmenter,
    };
    let mut trainer = Trainer::new(&config, Device::Cpu).unwrap();
    trainer.run(&data, 120, 1, |_| ());
    let headline = Headline::of(&trainer.score(&dataset, &held_out)["mitdb"]);
    println!("{headline:?}");
    assert!(headline.kappa.unwrap() > 0.4, "{headline:?}");
    assert!(headline.f1_v.unwrap() > 0.6, "{headline:?}");
}
