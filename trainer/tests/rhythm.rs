//! The rhythm network on made recordings: what it learns, how it is measured, exported and applied.
#![allow(clippy::unwrap_used)]

use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::spec::{RHYTHM_HASH, SAMPLE_RATE_HZ};
use heartlens_trainer::data::record::RecordBeats;
use heartlens_trainer::data::weak_labels::Rhythm;
use heartlens_trainer::nn::onnx;
use heartlens_trainer::nn::rng::{Purpose, stream};
use heartlens_trainer::rhythm::config::{Channel, Config};
use heartlens_trainer::rhythm::dataset::{self, Recording};
use heartlens_trainer::rhythm::export;
use heartlens_trainer::rhythm::fit::{FitError, NoRecordings, fit};
use heartlens_trainer::rhythm::network::{OUTPUT, batch};
use heartlens_trainer::study::cross_validate::Plan;
use heartlens_trainer::study::rhythm::{cross_validate, split};
use heartlens_trainer::study::rules;
use rand::RngExt;
use std::path::Path;
use tch::Device;

fn config(steps: u32) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/rhythm/config.toml");
    let mut config = Config::read(&path).unwrap();
    config.training.steps = steps;
    config
}

/// RR intervals in seconds: even, even with an early beat now and then, or without any order.
fn intervals(rhythm: Rhythm, seed: u64, count: usize) -> Vec<f32> {
    let mut rng = stream(seed, Purpose::Batch, 0);
    (0..count)
        .map(|i| match rhythm {
            Rhythm::Fibrillation => rng.random_range(0.4..1.1),
            Rhythm::Other if i % 6 == 4 => 0.5,
            Rhythm::Other if i % 6 == 5 => 1.1,
            _ => 0.8 + rng.random_range(-0.03..0.03),
        })
        .collect()
}

fn recording(rhythm: Rhythm, seed: u64) -> Recording {
    let name = format!("{rhythm:?}{seed}");
    Recording::new(name, rhythm, intervals(rhythm, seed, 40))
}

fn recordings() -> Vec<Recording> {
    let of = |rhythm| (0..30).map(move |seed| recording(rhythm, seed));
    Rhythm::ALL.into_iter().flat_map(of).collect()
}

/// Seeds 0 and 1, two trainings at a time.
fn plan() -> Plan {
    Plan {
        splits: Vec::new(),
        seeds: vec![0, 1],
        parallel: 2,
        device: Device::Cpu,
        keep: None,
        second_lead: false,
        int8: false,
    }
}

#[test]
fn it_learns_what_has_no_order() {
    let recordings = recordings();
    let config = config(300);
    let results = cross_validate(&config, &recordings, 3, &plan(), |_| ()).unwrap();
    assert!(results.pooled.auc.unwrap() > 0.97, "{:?}", results.pooled);
    assert!(results.pooled.f1.unwrap() > 0.9, "{:?}", results.pooled);
    assert!(results.parameters <= 1000);
    assert_eq!(results.seeds.len(), 2);
    assert_ne!(results.seeds[0].figures.auc, None);
    let judged = results.pooled;
    assert_eq!(judged.tp + judged.r#fn + judged.fp + judged.tn, 2 * 90);

    let again = cross_validate(&config, &recordings, 3, &plan(), |_| ()).unwrap();
    assert_eq!(again.pooled, results.pooled);
}

#[test]
fn folds_hold_each_recording_once_and_each_rhythm_evenly() {
    let recordings = recordings();
    let splits = split(&recordings, 5, 3);
    let mut seen = vec![0; recordings.len()];
    for fold in &splits {
        for rhythm in Rhythm::ALL {
            let of = fold.iter().filter(|&&i| recordings[i].rhythm == rhythm);
            assert_eq!(of.count(), 6);
        }
        fold.iter().for_each(|&i| seen[i] += 1);
    }
    assert!(seen.iter().all(|count| *count == 1));
    assert_eq!(splits, split(&recordings, 5, 3));
    assert_ne!(splits, split(&recordings, 5, 4));
}

#[test]
fn a_rhythm_that_is_missing_is_named() {
    let recordings = recordings();
    let sinus: Vec<&Recording> = recordings
        .iter()
        .filter(|recording| recording.rhythm != Rhythm::Fibrillation)
        .collect();
    let error = fit(&config(1), &sinus, Device::Cpu, |_| ()).unwrap_err();
    assert!(matches!(
        error,
        FitError::Data(NoRecordings {
            rhythm: Rhythm::Fibrillation,
            records: 60
        })
    ));
}

#[test]
fn the_exported_network_is_the_trained_one() {
    let recordings = recordings();
    let all: Vec<&Recording> = recordings.iter().collect();
    let config = config(20);
    let trained = fit(&config, &all, Device::Cpu, |_| ()).unwrap();
    let model = export::model(trained.result(), &config);
    let hash = format!("{RHYTHM_HASH:016x}");
    let mut properties = model.metadata_props.iter();
    assert!(properties.any(|p| p.key == "spec_hash" && p.value == hash));
    let intervals = batch(recordings.iter().flat_map(|r| &r.windows).take(50));
    let scores = tch::no_grad(|| trained.result().forward(&intervals));
    let difference = onnx::compare(&model, &[&intervals], &scores, &[OUTPUT]).unwrap();
    assert!(difference < 1e-5, "{difference}");
    let image = trained.image();
    let network = Network::load(&image).unwrap();
    assert_eq!(network.cells() as i64, config.network.lstm);
    let trained_scores = Vec::<f32>::try_from(scores.squeeze_dim(1)).unwrap();
    let windows = recordings.iter().flat_map(|r| &r.windows);
    for (window, trained) in windows.zip(trained_scores) {
        let score = network.score(window);
        // Weights of 16 bits.
        assert!((score - trained).abs() < 1e-2, "{score} {trained}");
    }
    // Scores that are a little wrong: nothing is written.
    let error = onnx::compare(&model, &[&intervals], &(scores + 0.01), &[OUTPUT]).unwrap_err();
    assert!(error.to_string().contains("score"), "{error}");
}

/// Logits that favour S a little: in fibrillation they become N, in an even rhythm they stay.
#[test]
fn the_af_rule_weighs_where_there_is_no_order() {
    let recordings = recordings();
    let all: Vec<&Recording> = recordings.iter().collect();
    let trained = fit(&config(120), &all, Device::Cpu, |_| ()).unwrap();
    for (rhythm, expected) in [(Rhythm::Fibrillation, Class::N), (Rhythm::Normal, Class::S)] {
        let mut time = 1.0_f32;
        let beats: Vec<(u32, Class)> = intervals(rhythm, 99, 300)
            .into_iter()
            .map(|rr| {
                time += rr;
                ((time * SAMPLE_RATE_HZ as f32) as u32, Class::N)
            })
            .collect();
        let signal = vec![vec![0.0; (time as usize + 2) * SAMPLE_RATE_HZ as usize]];
        let record = RecordBeats::from_signals("x", "y", &signal, &beats, Patient::default());
        let logits = vec![[1.0, 2.0, 0.0, 0.0]; 300];
        let image = trained.image();
        let network = Network::load(&image).unwrap();
        let classes = rules::classes(Some(network), &[], &record, &logits, Rules::AF);
        assert_eq!(classes[10], Class::S, "before the first score");
        assert!(classes[150..].iter().all(|class| *class == expected));
    }
}

/// A channel that is not read has no say: neither in libtorch nor in the image nor in the ONNX file.
#[test]
fn a_channel_that_is_not_read_has_no_weight() {
    let recordings = recordings();
    let all: Vec<&Recording> = recordings.iter().collect();
    let mut config = config(20);
    config.network.channels = vec![Channel::Step];
    let trained = fit(&config, &all, Device::Cpu, |_| ()).unwrap();
    let mut windows: Vec<_> = recordings
        .iter()
        .flat_map(|r| &r.windows)
        .take(40)
        .copied()
        .collect();
    let scores = |windows: &[_]| tch::no_grad(|| trained.result().forward(&batch(windows.iter())));
    let image = trained.image();
    let network = Network::load(&image).unwrap();
    let (before, of_image) = (scores(&windows), network.score(&windows[0]));
    for window in &mut windows {
        window[..24].fill(0.5);
    }
    assert_eq!(scores(&windows), before);
    assert_eq!(network.score(&windows[0]), of_image);
    let model = export::model(trained.result(), &config);
    let difference = onnx::compare(&model, &[&batch(windows.iter())], &before, &[OUTPUT]).unwrap();
    assert!(difference < 1e-5, "{difference}");
    for window in &mut windows {
        window[24..].fill(0.5);
    }
    assert_ne!(scores(&windows), before);
}

#[test]
fn labels_that_are_missing_or_malformed_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = dataset::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("REFERENCE.csv"), "{error}");
    std::fs::write(folder.path().join("REFERENCE.csv"), "A1,~\nA2,B\n").unwrap();
    let error = dataset::read(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("REFERENCE.csv, line 2: found `A2,B`, expected a record's name"),
        "{error}"
    );
}
