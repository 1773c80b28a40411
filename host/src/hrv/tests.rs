//! Against NeuroKit2, astropy and numpy (`reference/make_hrv.py`).

#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::{Value, json};

fn reference(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("reference/hrv.json")).unwrap();
    all[name].clone()
}

/// Beats with these RR intervals, in milliseconds, between.
fn beats(rr_ms: impl IntoIterator<Item = f64>) -> Vec<Beat> {
    let mut time_s = 0.0;
    let first = Beat {
        class: Class::N,
        ..Beat::at(0, 0.0)
    };
    let later = rr_ms.into_iter().map(|rr_ms| {
        time_s += rr_ms / 1000.0;
        Beat {
            class: Class::N,
            rr_ms: Some(rr_ms),
            ..Beat::at(0, time_s)
        }
    });
    std::iter::once(first).chain(later).collect()
}

fn of(beats: &[Beat]) -> Hrv {
    Hrv::of(beats, beats.last().map_or(0.0, |beat| beat.time_s))
}

/// Whether a figure is the reference's to 1e-6 of it.
#[track_caller]
fn assert_near(name: &str, found: Option<f64>, expected: &Value) {
    let (found, expected) = (found.unwrap(), expected.as_f64().unwrap());
    let error = (found / expected - 1.0).abs();
    assert!(error < 1e-6, "{name}: {found}, expected {expected}");
}

fn check(hrv: &Hrv, expected: &Value) {
    let found = &hrv.whole;
    for (name, found) in [
        ("sdnn", found.sdnn_ms),
        ("sdann", found.sdann_ms),
        ("sdnn_index", found.sdnn_index_ms),
        ("rmssd", found.rmssd_ms),
        ("pnn50", found.pnn50_percent),
        ("triangular_index", found.triangular_index),
        ("sd1", found.sd1_ms),
        ("sd2", found.sd2_ms),
        ("vlf", found.vlf_ms2),
        ("lf", found.lf_ms2),
        ("hf", found.hf_ms2),
    ] {
        assert_near(name, found, &expected[name]);
    }
    let hours = expected["hours"].as_array().unwrap();
    assert_eq!(hrv.hours.len(), hours.len());
    for (hour, expected) in hrv.hours.iter().zip(hours) {
        assert_near("vlf", hour.figures.vlf_ms2, &expected["vlf"]);
        assert_near("lf", hour.figures.lf_ms2, &expected["lf"]);
        assert_near("hf", hour.figures.hf_ms2, &expected["hf"]);
    }
}

fn rr_ms(reference: &Value) -> Vec<f64> {
    let list = reference["rr_ms"].as_array().unwrap();
    list.iter().map(|rr| rr.as_f64().unwrap()).collect()
}

#[test]
fn sinus_rhythm_has_the_figures_of_neurokit2() {
    let expected = reference("sinus");
    let hrv = of(&beats(rr_ms(&expected)));
    check(&hrv, &expected);
    assert_eq!(hrv.left_out, LeftOut::default());
    for (hour, expected) in hrv.hours.iter().zip(expected["hours"].as_array().unwrap()) {
        // NeuroKit2 takes five frequencies per 1/span, and the trapezoidal rule.
        let ratio = hour.figures.lf_hf.unwrap() / expected["lf_hf_neurokit2"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 0.002, "{ratio}");
    }
    let [first, second] = &hrv.hours[..] else {
        panic!("{} hours", hrv.hours.len());
    };
    assert_eq!(
        (first.from_s, first.to_s, second.from_s),
        (0.0, 3600.0, 3600.0)
    );
    let both = first.figures.intervals + second.figures.intervals;
    assert_eq!(hrv.whole.intervals, both);
}

#[test]
fn ectopic_beats_gaps_and_fibrillation_are_left_out() {
    let expected = reference("mixed");
    let mut beats = beats(rr_ms(&expected));
    let classes = expected["classes"].as_str().unwrap().chars();
    let rhythm = expected["fibrillation"].as_str().unwrap().chars();
    for ((beat, class), rhythm) in beats.iter_mut().zip(classes).zip(rhythm) {
        let is = |known: &Class| known.name() == class.to_string();
        beat.class = Class::ALL.into_iter().find(is).unwrap();
        beat.fibrillation = Some(rhythm == '+');
    }
    let hrv = of(&beats);
    check(&hrv, &expected);
    assert_eq!(
        serde_json::to_value(hrv.left_out).unwrap(),
        expected["left_out"]
    );
    assert_eq!(hrv.whole.intervals, expected["intervals"]);
    let all = beats.len() - 1;
    let LeftOut {
        gap,
        unreadable,
        ectopic,
        fibrillation,
    } = hrv.left_out;
    assert_eq!(
        hrv.whole.intervals + gap + unreadable + ectopic + fibrillation,
        all
    );
}

/// 1000 and 1100 ms in turn, by hand.
#[test]
fn two_lengths_by_hand() {
    let rr = (0..1000).map(|i| if i % 2 == 0 { 1000.0 } else { 1100.0 });
    let figures = of(&beats(rr)).whole;
    assert_eq!(figures.rmssd_ms, Some(100.0));
    assert_eq!(figures.pnn50_percent, Some(99.9));
    assert_eq!(figures.triangular_index, None, "17.5 minutes");
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-6;
    assert!(near(figures.sdnn_ms, 50.0 * (1000.0 / 999.0_f64).sqrt()));
    let squares = 5000.0 * (999.0 - 1.0 / 999.0);
    assert!(near(figures.sd1_ms, (squares / 998.0_f64).sqrt()));
    assert!(near(figures.sd2_ms, 0.0));
}

/// A sine of 30 ms at 0.1 Hz is 450 ms^2 of LF, with a third of the beats missing as well.
#[test]
fn a_sine_has_its_power_in_its_band() {
    let mut time_s = 0.0;
    let rr: Vec<f64> = (0..2000)
        .map(|_| {
            let ms = 800.0 + 30.0 * (std::f64::consts::TAU * 0.1 * time_s).sin();
            time_s += ms / 1000.0;
            ms
        })
        .collect();
    let mut beats = beats(rr);
    let whole = of(&beats).whole;
    assert!((whole.lf_ms2.unwrap() - 450.0).abs() < 10.0, "{whole:?}");
    assert!(
        whole.hf_ms2.unwrap() < 10.0 && whole.vlf_ms2.unwrap() < 10.0,
        "{whole:?}"
    );
    for i in (0..beats.len()).filter(|i| i / 50 % 3 == 0) {
        beats[i].class = Class::Q;
    }
    let holed = of(&beats).whole;
    assert!(holed.intervals < 1340);
    assert!((holed.lf_ms2.unwrap() - 450.0).abs() < 20.0, "{holed:?}");
}

#[test]
fn what_is_too_short_is_null() {
    let at_rest = |seconds: usize| {
        let rr = (0..seconds).map(|i| 1000.0 + 20.0 * (i % 7) as f64 - 60.0);
        let hrv = of(&beats(rr));
        let json = serde_json::to_value(&hrv).unwrap();
        let known = |key: &&str| json[key].is_f64();
        let keys = [
            "sdnn_ms",
            "hf_ms2",
            "lf_ms2",
            "vlf_ms2",
            "sdann_ms",
            "triangular_index",
        ];
        keys.into_iter().filter(known).collect::<Vec<_>>()
    };
    assert!(at_rest(58).is_empty());
    assert_eq!(at_rest(63), ["sdnn_ms", "hf_ms2"]);
    assert_eq!(at_rest(126), ["sdnn_ms", "hf_ms2", "lf_ms2"]);
    assert_eq!(at_rest(609).len(), 4);
    assert_eq!(at_rest(800).len(), 5);
    assert_eq!(at_rest(1260).len(), 6);
    let none = serde_json::to_value(of(&[])).unwrap();
    assert_eq!(
        (&none["intervals"], &none["sdnn_ms"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(none["hours"].as_array().unwrap().len(), 1);
}
