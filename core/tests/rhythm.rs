//! The rhythm context against an independent computation in f64 (`core/tests/rhythm/generate.py`), and what must hold of
//! it whatever comes in.
#![allow(clippy::unwrap_used)]

use heartlens_core::class::Class;
use heartlens_core::classifier::{Observed, Scores};
use heartlens_core::model::{Logits, softmax};
use heartlens_core::quality::BeatQuality;
use heartlens_core::rhythm::{
    Appearance, Context, Input, Intervals, MAX_CELLS, Network, NetworkError, Observation,
    Probabilities, Rhythm, Rules, Summary, checksum, image_len, params,
};
use heartlens_core::spec::{RHYTHM_HASH, RHYTHM_INTERVALS};
use proptest::prelude::*;

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
    let (mut gate, mut both) = (Context::new(Rules::AF), Context::new(Rules::AF_SVT));
    let (mut gated, mut run) = (0, 0);
    for (beat, case) in cases().iter().enumerate() {
        let f = |column: usize| case[column].map(|value| value as f32);
        let observation = Observation {
            rr_s: f(0),
            qrs: f(1).unwrap(),
        };
        let input = intervals.push(observation.rr_s);
        assert_eq!(input.is_some(), case[2].is_some(), "beat {beat}");
        if let Some(input) = input {
            let newest = input[RHYTHM_INTERVALS - 1];
            close(newest, case[7], 5e-6, "newest level", beat);
            close(input[RHYTHM_INTERVALS], case[8], 5e-6, "oldest step", beat);
        }
        gate.push(&observation, f(2));
        both.push(&observation, f(2));
        assert_eq!(gate.score().is_some(), case[9].is_some());
        if let Some(score) = gate.score() {
            close(score, case[9], 2e-5, "smoothed score", beat);
        }
        let probabilities: Probabilities = std::array::from_fn(|class| f(3 + class).unwrap());
        let weighed = gate.weigh(&observation, &probabilities);
        close(weighed[0], case[10], 1e-5, "N behind the gate", beat);
        close(weighed[1], case[11], 1e-5, "S behind the gate", beat);
        assert_eq!(weighed[2..], probabilities[2..]);
        gated += usize::from(weighed[1] < 0.5 * probabilities[1]);
        let weighed_by_both = both.weigh(&observation, &probabilities);
        close(weighed_by_both[0], case[12], 1e-5, "N behind both", beat);
        close(weighed_by_both[1], case[13], 1e-5, "S behind both", beat);
        run += usize::from(weighed_by_both != weighed);
    }
    // The reference must have something to say: see the script.
    assert_eq!((gated, run), (254, 30));
}

/// A rate that doubles at once and stays is a run only where the beats keep their shape.
#[test]
fn a_ventricular_tachycardia_is_no_run() {
    for (qrs, expected) in [(0.95, true), (0.5, false)] {
        let mut context = Context::new(Rules::AF_SVT);
        let probabilities = [0.9, 0.05, 0.05, 0.0];
        let mut weighed = probabilities;
        for beat in 0..1200 {
            let observation = Observation {
                rr_s: (beat > 0).then_some(if beat < 1180 { 0.8 } else { 0.4 }),
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
    let mut context = Context::new(Rules::AF);
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
            qrs: 1.0,
        };
        // Ten beats without a score, then far above zero from the 51st on.
        let score = match beat {
            0..10 => None,
            10..50 => Some(-3.0),
            _ => Some(500.0),
        };
        context.push(&observation, score);
        summary.push(observation.rr_s, class, context.is_fibrillation());
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
    assert!((170..=300).contains(&bytes), "{bytes} bytes");
}

/// The scale of the images here.
const SCALE: f32 = 1.0 / 512.0;

/// An image of `cells` cells with these weights, in the order of `docs/rhythm-image.md`.
fn image(cells: usize, scale: f32, weights: &[i16]) -> Vec<u8> {
    let mut image = b"HLR\x1a".to_vec();
    image.extend(1_u32.to_le_bytes());
    image.extend(RHYTHM_HASH.to_le_bytes());
    image.extend((cells as u32).to_le_bytes());
    image.extend(scale.to_le_bytes());
    image.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
    image.resize(image.len().next_multiple_of(4), 0);
    image.extend(checksum(&image).to_le_bytes());
    image
}

/// Weights of either sign, without order.
fn weights(cells: usize) -> Vec<i16> {
    (0..params(cells))
        .map(|i| ((i * 7919) % 1009) as i16 - 504)
        .collect()
}

/// Against a plain computation in f64, from the formulas in the documentation.
#[test]
fn the_network_is_an_lstm() {
    for cells in [1, 12, MAX_CELLS] {
        let weights = weights(cells);
        let image = image(cells, SCALE, &weights);
        let network = Network::load(&image).unwrap();
        assert_eq!(image.len(), image_len(cells));
        assert_eq!((network.cells(), network.params()), (cells, weights.len()));
        let input: Input = std::array::from_fn(|i| ((i * 31) % 17) as f32 / 6.0 - 1.4);

        let scaled: Vec<f64> = weights
            .iter()
            .map(|weight| f64::from(*weight) * f64::from(SCALE))
            .collect();
        let (gates, score) = scaled.split_at(4 * cells * (3 + cells));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut hidden, mut state) = (vec![0.0; cells], vec![0.0; cells]);
        for step in 0..RHYTHM_INTERVALS {
            let gate = |gate: usize, cell: usize| {
                let row = &gates[(4 * cell + gate) * (3 + cells)..][..3 + cells];
                let x = |channel: usize| f64::from(input[channel * RHYTHM_INTERVALS + step]);
                let h = row[3..].iter().zip(&hidden).map(|(w, h)| w * h);
                row[0] + row[1] * x(0) + row[2] * x(1) + h.sum::<f64>()
            };
            let next: Vec<(f64, f64)> = (0..cells)
                .map(|k| {
                    let c =
                        sigmoid(gate(1, k)) * state[k] + sigmoid(gate(0, k)) * gate(2, k).tanh();
                    (c, sigmoid(gate(3, k)) * c.tanh())
                })
                .collect();
            (state, hidden) = next.into_iter().unzip();
        }
        let products = score[1..].iter().zip(&hidden).map(|(w, h)| w * h);
        let expected = score[0] + products.sum::<f64>();
        let found = f64::from(network.score(&input));
        assert!(
            (found - expected).abs() < 1e-2,
            "{cells}: {found}, not {expected}"
        );
    }
}

/// Each way to be wrong is named; and no byte can change unnoticed.
#[test]
fn images_that_are_none_are_refused() {
    let whole = image(3, SCALE, &weights(3));
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut image = whole.clone();
        change(&mut image);
        Network::load(&image).unwrap_err()
    };
    let sealed = |at: usize, byte: u8| {
        refused(&|image| {
            image[at] = byte;
            let end = image.len() - 4;
            let crc = checksum(&image[..end]);
            image[end..].copy_from_slice(&crc.to_le_bytes());
        })
    };
    assert!(matches!(
        sealed(0, 0),
        NetworkError::Magic {
            found: [0, 0x4c, 0x52, 0x1a]
        }
    ));
    assert!(matches!(
        sealed(4, 2),
        NetworkError::Version {
            found: 2,
            expected: 1
        }
    ));
    assert!(matches!(sealed(8, 0), NetworkError::SpecHash { .. }));
    assert!(matches!(
        sealed(16, 17),
        NetworkError::Cells {
            found: 17,
            most: 16
        }
    ));
    assert!(matches!(
        sealed(16, 0),
        NetworkError::Cells { found: 0, .. }
    ));
    assert!(matches!(sealed(16, 4), NetworkError::Length { .. }));
    for scale in [0.0, -1.0, f32::INFINITY, f32::NAN] {
        let error = Network::load(&image(3, scale, &weights(3))).unwrap_err();
        assert_eq!(error, NetworkError::Scale);
    }
    for len in 0..whole.len() {
        assert!(Network::load(&whole[..len]).is_err(), "{len} bytes");
    }
    assert!(matches!(
        refused(&|image| image.push(0)),
        NetworkError::Length { .. }
    ));
    for at in 0..whole.len() {
        assert!(Network::load(&whole).is_ok());
        let error = refused(&|image| image[at] ^= 0x40);
        assert!(!error.to_string().is_empty(), "byte {at}");
    }
}

/// What judges a beat does what its parts do.
#[test]
fn the_whole_is_its_parts() {
    let image = image(12, SCALE, &weights(12));
    let network = Network::load(&image).unwrap();
    let mut whole = Rhythm::new(Some(Rules::AF_SVT));
    let (mut intervals, mut context) = (Intervals::new(), Context::new(Rules::AF_SVT));
    for (at, case) in cases().into_iter().enumerate() {
        let f = |column: usize| case[column].map(|value| value as f32);
        let observation = Observation {
            rr_s: f(0),
            qrs: f(1).unwrap(),
        };
        let logits: Logits = std::array::from_fn(|class| f(3 + class).unwrap().ln());
        let rhythm = intervals
            .push(observation.rr_s)
            .map(|input| network.score(&input));
        context.push(&observation, rhythm);
        let expected = context.weigh(&observation, &softmax(&logits));
        let observed = Observed {
            r_sample: at as u32,
            appearance: Appearance::ZERO,
            rhythm: observation,
            quality: BeatQuality::CLEAN,
            readable: observation.qrs > 0.5,
            heartbeat: true,
        };
        let beat = whole.judge(&observed, &Scores { logits, rhythm });
        assert_eq!(beat.probabilities, expected);
        assert_eq!(beat.class, Class::of(&expected, observed.readable));
        assert_eq!(beat.fibrillation, context.is_fibrillation());
        assert_eq!((beat.r_sample, beat.logits), (at as u32, logits));
        assert_eq!(whole.context().and_then(Context::score), context.score());
    }
    assert!(whole.summary().judged_s() > 600.0);
}

/// Fibrillation is judged among heartbeats alone: what noise says leaves no trace, and is not judged.
#[test]
fn fibrillation_is_judged_among_heartbeats_alone() {
    let mut rhythm = Rhythm::new(Some(Rules::NONE));
    let mut told = |heartbeat, score| {
        let observed = Observed {
            r_sample: 0,
            appearance: Appearance::ZERO,
            rhythm: Observation {
                rr_s: Some(0.8),
                qrs: 0.9,
            },
            quality: BeatQuality::CLEAN,
            readable: true,
            heartbeat,
        };
        let scores = Scores {
            logits: [0.0; 4],
            rhythm: Some(score),
        };
        rhythm.judge(&observed, &scores).fibrillation
    };
    assert!((0..100).all(|_| told(false, 10.0).is_none()), "noise");
    let since = (0..100).position(|_| told(true, -3.0) == Some(false));
    assert_eq!(since, Some(17), "18 of 24");
    assert!((0..200).all(|_| told(true, 3.0).is_some()));
    assert_eq!(told(true, 3.0), Some(true));
    // A quarter of what is seen may be something else, but is not judged itself.
    for i in 0..48 {
        let heartbeat = i % 4 != 0;
        assert_eq!(told(heartbeat, 3.0), heartbeat.then_some(true), "{i}");
    }
    assert!((0..30).all(|_| told(false, -10.0).is_none()));
    assert_eq!(told(true, 3.0), None, "too few heartbeats before");
    assert!(
        rhythm.summary().judged_s() < 0.8 * 260.0,
        "what is not judged does not count"
    );
}

/// Whatever is not a number - a logit, a score, an interval -, no beat becomes N for it, and the next is judged as ever.
#[test]
fn what_is_not_a_number_makes_no_class_and_leaves_no_trace() {
    let observed = |rr_s| Observed {
        r_sample: 0,
        appearance: Appearance::ZERO,
        rhythm: Observation {
            rr_s: Some(rr_s),
            qrs: f32::NAN,
        },
        quality: BeatQuality::CLEAN,
        readable: true,
        heartbeat: true,
    };
    let good = Scores {
        logits: [0.0, 3.0, 1.0, 0.0],
        rhythm: Some(-3.0),
    };
    for rules in [
        None,
        Some(Rules::NONE),
        Some(Rules::AF),
        Some(Rules::AF_SVT),
    ] {
        let mut rhythm = Rhythm::new(rules);
        for place in 0..good.logits.len() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut logits = good.logits;
                logits[place] = bad;
                let beat = rhythm.judge(&observed(0.8), &Scores { logits, ..good });
                assert_eq!(beat.class, Class::Q, "{place} {bad} {rules:?}");
            }
        }
        let nothing = [f32::NEG_INFINITY; 4];
        let beat = rhythm.judge(
            &observed(0.8),
            &Scores {
                logits: nothing,
                ..good
            },
        );
        assert_eq!(beat.class, Class::Q);
        for bad in [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
        ] {
            let score = Scores {
                rhythm: Some(bad),
                ..good
            };
            rhythm.judge(&observed(bad), &score);
            rhythm.judge(&observed(-bad), &score);
        }
        for _ in 0..5000 {
            rhythm.judge(&observed(0.8), &good);
        }
        let beat = rhythm.judge(&observed(0.8), &good);
        assert_eq!(beat.class, Class::S, "{rules:?} {beat:?}");
        assert_eq!(beat.fibrillation, rules.map(|_| false));
    }
    let mut intervals = Intervals::new();
    let inputs = [0.8, f32::NAN, f32::INFINITY]
        .into_iter()
        .cycle()
        .filter_map(|rr_s| intervals.push(Some(rr_s)));
    assert!(inputs.take(30).flatten().all(|value| value == 0.0));
}

proptest! {
    /// Whatever the beats, probabilities stay probabilities, only N and S change, and the gate never raises S.
    #[test]
    fn weighing_keeps_the_sum(
        beats in prop::collection::vec(
            (0.0_f32..5.0, prop_oneof![4 => -9.0_f32..9.0, 1 => Just(f32::NAN)]), 1..200
        ),
        raw in prop::array::uniform4(0.001_f32..1.0),
    ) {
        let sum: f32 = raw.iter().sum();
        let probabilities = raw.map(|p| p / sum);
        let (mut gate, mut both) = (Context::new(Rules::AF), Context::new(Rules::AF_SVT));
        for (rr_s, score) in beats {
            let observation = Observation { rr_s: Some(rr_s), qrs: 0.95 };
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

/// Half minutes that show fibrillation take S away from the beats that come later, where the strip rule is on.
#[test]
fn the_strip_rule_moves_s_to_n() {
    use heartlens_core::strip::{StripVerdict, StripWindow};
    let verdict = |end: u32, fibrillation: f32| StripVerdict {
        window: StripWindow { start: 0, end },
        probabilities: [1.0 - fibrillation, fibrillation, 0.0, 0.0],
    };
    let judge = |rules: Rules, fibrillation: f32, r_sample: u32| {
        let mut rhythm = Rhythm::new(Some(rules));
        rhythm.hear(&verdict(1280, fibrillation));
        let observed = Observed {
            r_sample,
            appearance: Appearance::ZERO,
            rhythm: Observation {
                rr_s: Some(0.8),
                qrs: 0.9,
            },
            quality: BeatQuality::CLEAN,
            readable: true,
            heartbeat: true,
        };
        let scores = Scores {
            logits: [1.0, 2.0, 0.0, -1.0],
            rhythm: None,
        };
        rhythm.judge(&observed, &scores)
    };
    let network = judge(Rules::NONE, 0.9, 5000);
    assert_eq!(network.class, Class::S);
    let weighed = judge(Rules::STRIP, 0.9, 2560);
    assert_eq!(weighed.class, Class::N);
    let [n, s, v, f] = network.probabilities;
    assert_eq!(weighed.probabilities, [n + s, 0.0, v, f]);
    assert_eq!(weighed.logits, network.logits, "the network's own stay");
    assert_eq!(
        judge(Rules::STRIP, 0.9, 2559),
        judge(Rules::NONE, 0.9, 2559),
        "before its time"
    );
    assert_eq!(
        judge(Rules::STRIP, 0.6, 5000).class,
        Class::S,
        "not sure enough"
    );
    assert_eq!(Rules::SHIPPED, Rules::ALIKE);
}

/// Beats that look alike get like answers where the rule is on; what cannot be read neither asks nor answers, and where half minutes
/// show fibrillation they do not bring S back.
#[test]
fn the_alike_rule_asks_beats_of_the_same_kind() {
    use heartlens_core::strip::{StripVerdict, StripWindow};
    const CLEAR_N: [f32; 4] = [5.0, 0.0, 0.0, 0.0];
    const CLEAR_S: [f32; 4] = [0.0, 5.0, 0.0, 0.0];
    const UNCLEAR: [f32; 4] = [2.0, 2.2, 0.0, 0.0];
    let judge = |rhythm: &mut Rhythm, logits: [f32; 4], readable: bool| {
        let observed = Observed {
            r_sample: 5000,
            appearance: Appearance::ZERO,
            rhythm: Observation {
                rr_s: Some(0.8),
                qrs: 0.9,
            },
            quality: BeatQuality::CLEAN,
            readable,
            heartbeat: readable,
        };
        let scores = Scores {
            logits,
            rhythm: None,
        };
        rhythm.judge(&observed, &scores)
    };
    let after = |rules: Rules, before: [f32; 4], readable: bool, fibrillation: f32| {
        let mut rhythm = Rhythm::new(Some(rules));
        let verdict = StripVerdict {
            window: StripWindow { start: 0, end: 10 },
            probabilities: [1.0 - fibrillation, fibrillation, 0.0, 0.0],
        };
        for _ in 0..20 {
            judge(&mut rhythm, before, readable);
        }
        rhythm.hear(&verdict);
        judge(&mut rhythm, UNCLEAR, true)
    };
    let alone = after(Rules::STRIP, CLEAR_N, true, 0.0);
    assert_eq!(alone.class, Class::S);
    let alike = after(Rules::ALIKE, CLEAR_N, true, 0.0);
    assert_eq!(alike.class, Class::N);
    assert_eq!(alike.logits, UNCLEAR, "the network's own stay");
    assert!((alike.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(
        after(Rules::ALIKE, CLEAR_N, false, 0.0),
        alone,
        "unreadable"
    );
    assert_eq!(after(Rules::ALIKE, CLEAR_S, true, 0.0).class, Class::S);
    let fibrillates = after(Rules::ALIKE, CLEAR_S, true, 0.9);
    assert_eq!(fibrillates.class, Class::N);
    assert_eq!(fibrillates.probabilities[Class::S as usize], 0.0);
}
