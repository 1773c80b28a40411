//! The rhythm network on made recordings: what it learns, how it is measured, exported and applied.
#![allow(clippy::unwrap_used)]

use heartlens_core::class::Class;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::spec::{RHYTHM_HASH, SAMPLE_RATE_HZ};
use heartlens_trainer::dataset::RecordBeats;
use heartlens_trainer::onnx;
use heartlens_trainer::rhythm::config::RhythmConfig;
use heartlens_trainer::rhythm::dataset::{self, Recording, Rhythm, RhythmDataError};
use heartlens_trainer::rhythm::evaluate::{cross_validate, split};
use heartlens_trainer::rhythm::network::{OUTPUT, batch};
use heartlens_trainer::rhythm::train::{RhythmTrainError, TrainedRhythm};
use heartlens_trainer::rhythm::weigh;
use heartlens_trainer::streams::{Purpose, stream};
use rand::RngExt;
use std::path::Path;

fn config(steps: u32) -> RhythmConfig {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/rhythm/config.toml");
    let mut config = RhythmConfig::read(&path).unwrap();
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

#[test]
fn it_learns_what_has_no_order() {
    let recordings = recordings();
    let config = config(300);
    let findings = cross_validate(&config, &recordings, 3, &[0, 1], |_, _| ()).unwrap();
    assert!(findings.pooled.auc.unwrap() > 0.97, "{:?}", findings.pooled);
    assert!(findings.pooled.f1.unwrap() > 0.9, "{:?}", findings.pooled);
    assert!(findings.parameters <= 1000);
    assert_eq!(findings.seeds.len(), 2);
    assert_ne!(findings.seeds[0].figures.auc, None);
    let judged = findings.pooled;
    assert_eq!(judged.tp + judged.r#fn + judged.fp + judged.tn, 2 * 90);

    let again = cross_validate(&config, &recordings, 3, &[0, 1], |_, _| ()).unwrap();
    assert_eq!(again.pooled, findings.pooled);
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
    let error = TrainedRhythm::fit(&config(1), &sinus, |_, _| ()).unwrap_err();
    assert!(matches!(
        error,
        RhythmTrainError::Data(RhythmDataError::Nothing {
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
    let trained = TrainedRhythm::fit(&config, &all, |_, _| ()).unwrap();
    let model = trained.network().onnx(&config);
    let hash = format!("{RHYTHM_HASH:016x}");
    let mut properties = model.metadata_props.iter();
    assert!(properties.any(|p| p.key == "spec_hash" && p.value == hash));
    let intervals = batch(recordings.iter().flat_map(|r| &r.windows).take(50));
    let scores = tch::no_grad(|| trained.network().forward(&intervals));
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
fn the_gate_weighs_where_there_is_no_order() {
    let recordings = recordings();
    let all: Vec<&Recording> = recordings.iter().collect();
    let trained = TrainedRhythm::fit(&config(120), &all, |_, _| ()).unwrap();
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
        let classes = weigh::classes(network, &record, &logits, Rules::GATE);
        assert_eq!(classes[10], Class::S, "before the first score");
        assert!(classes[150..].iter().all(|class| *class == expected));
    }
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
