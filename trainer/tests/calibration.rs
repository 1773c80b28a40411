//! Which temperature held-out beats ask for, and how far probabilities are off before and after.
#![allow(clippy::unwrap_used)]

use heartlens_core::class::Class;
use heartlens_core::model::softmax;
use heartlens_core::patient::Patient;
use heartlens_trainer::beat::dataset::Dataset;
use heartlens_trainer::data::record::RecordBeats;
use heartlens_trainer::study::calibration::Calibration;
use heartlens_trainer::study::logits_cache::HeldOut;
use std::collections::BTreeMap;

/// A record of `n` beats of class N and `s` of class S.
fn record(name: &str, n: u32, s: u32) -> RecordBeats {
    let beats: Vec<(u32, Class)> = (0..n + s)
        .map(|i| (100 + 100 * i, if i < n { Class::N } else { Class::S }))
        .collect();
    let signal = vec![0.1; 100 * (n + s + 2) as usize];
    RecordBeats::from_signals("made", name, &[signal], &beats, Patient::default())
}

/// A network that finds N likelier by this difference of logits, whatever the beat.
fn held_out(dataset: &Dataset, fold: usize, difference: f32) -> HeldOut {
    let logits = vec![[difference, 0.0, -30.0, -30.0]; dataset.records[fold].classes.len()];
    HeldOut {
        seed: 0,
        fold,
        parameters: 0,
        training_s: 0.0,
        scoring_s: 0.0,
        logits: BTreeMap::from([(fold, logits)]),
        second_lead: None,
        int8: None,
    }
}

#[test]
fn held_out_beats_ask_for_the_temperature_that_gives_their_shares() {
    // 80 % are right, a difference of ln 4 = 1.386; the network says 0.7 of that at temperature 1.
    let dataset = Dataset {
        records: vec![record("a", 80, 20), record("b", 160, 40)],
    };
    let difference = 0.7 * 4.0_f32.ln();
    let at = |temperature: f64| {
        let in_use = difference / temperature as f32;
        let trained = [0, 1].map(|fold| held_out(&dataset, fold, in_use));
        Calibration::of(&dataset, &trained, temperature, |done, record, gain| {
            let logits = done.logits[&record].iter();
            logits
                .map(|logits| softmax(&logits.map(|x| gain * x)))
                .collect()
        })
    };
    let raw = 1.0 / (1.0 + (-f64::from(difference)).exp());
    for (temperature, ece) in [(1.0, 0.8 - raw), (0.7, 0.0)] {
        let found = at(temperature);
        assert!((found.likeliest - 0.7).abs() < 1e-9, "{}", found.likeliest);
        let made = &found.databases["made"];
        assert!(
            (made.figures.ece - ece).abs() < 1e-3,
            "{}",
            made.figures.ece
        );
        assert!((made.ece_uncalibrated - (0.8 - raw)).abs() < 1e-3);
        assert!(made.ece_by_other_folds < 1e-3);
        assert_eq!(made.figures.beats, 300);
        assert_eq!(made.figures.curve[0].error, Some(0.2));
    }
}

/// The fold that is judged has no say in its temperature.
#[test]
fn each_fold_has_the_temperature_of_the_others() {
    let dataset = Dataset {
        records: vec![record("a", 80, 20), record("b", 95, 5)],
    };
    let trained = [0, 1].map(|fold| held_out(&dataset, fold, 1.2));
    let found = Calibration::of(&dataset, &trained, 1.0, |done, record, gain| {
        let logits = done.logits[&record].iter();
        logits
            .map(|logits| softmax(&logits.map(|x| gain * x)))
            .collect()
    });
    let made = &found.databases["made"];
    // 80 and 95 % are right. Each is judged by what makes the other right, as far as the temperatures that are tried reach (0.5 gives 92 %).
    assert!(
        made.ece_by_other_folds > 0.12,
        "{}",
        made.ece_by_other_folds
    );
    // The network says 77 % of both: too little of both.
    let says = 1.0 / (1.0 + (-1.2_f64).exp());
    let off = 0.875 - says;
    assert!(
        (made.figures.ece - off).abs() < 1e-3,
        "{}",
        made.figures.ece
    );
}
