//! The rhythm context against an independent computation in f64 (`core/tests/rhythm/generate.py`), and what must hold of
//! it whatever comes in.
#![allow(clippy::unwrap_used)]

use heartlens_core::class::Class;
use heartlens_core::rhythm::{Context, Intervals, Observation, Probabilities, Rules, Summary};
use heartlens_core::spec::RHYTHM_INTERVALS;
use proptest::prelude::*;

const BOTH: Rules = Rules {
    gate: true,
    run: true,
};

/// One line of the reference values; empty fields are `None`.
fn cases() -> Vec<Vec<Option<f64>>> {
    let lines = include_str!("rhythm/cases.csv").lines().skip(1);
    let value = |field: &str| (!field.is_empty()).then(|| field.parse().unwrap());
    lines
        .map(|line| line.split(',').map(value).collect())
        .collect()
}

fn close(found: f32, expected: Option<f64>, within: f64, what: &str, beat: usize) {
    let (found, expected) = (f64::from(found), expected.unwrap());
    assert!(
        (found - expected).abs() <= within,
        "{what} of beat {beat}: {found}, not {expected}"
    );
}

#[test]
fn scores_and_rules_are_those_of_the_reference() {
    let mut intervals = Intervals::new();
    let (mut gate, mut both) = (Context::new(Rules::SHIPPED), Context::new(BOTH));
    let (mut gated, mut run) = (0, 0);
    for (beat, case) in cases().iter().enumerate() {
        let f = |column: usize| case[column].map(|value| value as f32);
        let observation = Observation {
            rr_s: f(0),
            p_wave: f(1).unwrap(),
            qrs: f(2).unwrap(),
        };
        let input = intervals.push(observation.rr_s);
        assert_eq!(input.is_some(), case[3].is_some(), "beat {beat}");
        if let Some(input) = input {
            let newest = input[RHYTHM_INTERVALS - 1];
            close(newest, case[8], 5e-6, "newest level", beat);
            close(input[RHYTHM_INTERVALS], case[9], 5e-6, "oldest step", beat);
        }
        gate.push(&observation, f(3));
        both.push(&observation, f(3));
        assert_eq!(gate.score().is_some(), case[10].is_some());
        if let Some(score) = gate.score() {
            close(score, case[10], 2e-5, "smoothed score", beat);
        }
        let probabilities: Probabilities = std::array::from_fn(|class| f(4 + class).unwrap());
        let weighed = gate.weigh(&observation, &probabilities);
        close(weighed[0], case[11], 1e-5, "N behind the gate", beat);
        close(weighed[1], case[12], 1e-5, "S behind the gate", beat);
        assert_eq!(weighed[2..], probabilities[2..]);
        gated += usize::from(weighed[1] < 0.5 * probabilities[1]);
        let weighed_by_both = both.weigh(&observation, &probabilities);
        close(weighed_by_both[0], case[13], 1e-5, "N behind both", beat);
        close(weighed_by_both[1], case[14], 1e-5, "S behind both", beat);
        run += usize::from(weighed_by_both != weighed);
    }
    // The reference must have something to say: see the script.
    assert_eq!((gated, run), (203, 33));
}

/// A rate that doubles at once and stays is a run only where the beats keep their shape.
#[test]
fn a_ventricular_tachycardia_is_no_run() {
    for (qrs, expected) in [(0.95, true), (0.5, false)] {
        let mut context = Context::new(BOTH);
        let probabilities = [0.9, 0.05, 0.05, 0.0];
        let mut weighed = probabilities;
        for beat in 0..1200 {
            let observation = Observation {
                rr_s: (beat > 0).then_some(if beat < 1180 { 0.8 } else { 0.4 }),
                p_wave: 0.9,
                qrs,
            };
            context.push(&observation, Some(-4.0));
            weighed = context.weigh(&observation, &probabilities);
            if beat < 1180 {
                assert!(weighed[1] < 0.06);
            }
        }
        assert_eq!(weighed[1] > 0.9, expected, "{weighed:?}");
    }
}

#[test]
fn the_summary_counts_time_and_runs() {
    let mut context = Context::new(Rules::SHIPPED);
    let mut summary = Summary::new();
    assert_eq!(summary.fibrillation_share(), None);
    let classes = [
        (Class::N, 100),
        (Class::S, 3),
        (Class::N, 1),
        (Class::V, 2),
        (Class::N, 1),
        (Class::V, 5),
        (Class::S, 4),
    ];
    let beats = classes
        .iter()
        .flat_map(|&(class, n)| std::iter::repeat_n(class, n));
    for (beat, class) in beats.enumerate() {
        let observation = Observation {
            rr_s: Some(if beat < 50 { 1.0 } else { 0.5 }),
            p_wave: 0.0,
            qrs: 1.0,
        };
        // Ten beats without a score, then far above zero from the 51st on.
        let score = match beat {
            0..10 => None,
            10..50 => Some(-3.0),
            _ => Some(500.0),
        };
        context.push(&observation, score);
        summary.push(&observation, class, &context);
    }
    let fast = 0.5 * (116.0 - 50.0);
    assert_eq!(summary.judged_s(), 40.0 + fast);
    let share = summary.fibrillation_share().unwrap();
    assert_eq!(share, fast / (40.0 + fast));
    assert_eq!(summary.episodes, 1);
    let runs = |runs: heartlens_core::rhythm::Runs| (runs.count, runs.longest_beats);
    assert_eq!(runs(summary.supraventricular), (2, 4));
    assert_eq!(runs(summary.ventricular), (1, 5));
}

#[test]
fn ram_is_known() {
    let bytes = size_of::<Intervals>() + size_of::<Context>() + size_of::<Summary>();
    assert!((200..=300).contains(&bytes), "{bytes} bytes");
}

proptest! {
    /// Whatever the beats, probabilities stay probabilities, only N and S change, and the gate never raises S.
    #[test]
    fn weighing_keeps_the_sum(
        beats in prop::collection::vec(
            (0.0_f32..5.0, -1.0_f32..1.0, prop_oneof![4 => -9.0_f32..9.0, 1 => Just(f32::NAN)]), 1..200
        ),
        raw in prop::array::uniform4(0.001_f32..1.0),
    ) {
        let sum: f32 = raw.iter().sum();
        let probabilities = raw.map(|p| p / sum);
        let (mut gate, mut both) = (Context::new(Rules::SHIPPED), Context::new(BOTH));
        for (rr_s, correlation, score) in beats {
            let observation = Observation { rr_s: Some(rr_s), p_wave: correlation, qrs: 0.95 };
            gate.push(&observation, Some(score));
            both.push(&observation, Some(score));
            let weighed = gate.weigh(&observation, &probabilities);
            prop_assert!(weighed[1] <= probabilities[1] && weighed[1] >= 0.04 * probabilities[1]);
            for weighed in [weighed, both.weigh(&observation, &probabilities)] {
                prop_assert!((weighed.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                prop_assert!(weighed.iter().all(|p| (0.0..=1.0).contains(p)));
                prop_assert_eq!(&weighed[2..], &probabilities[2..]);
            }
        }
    }
}
