//! A wearable's events, as a product sees them.
#![allow(clippy::unwrap_used)]

mod common;

use common::rhythm_image;
use core::mem::MaybeUninit;
use core::task::Poll;
use heartlens_core::class::Class;
use heartlens_core::model::Logits;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{self, Rules};
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::spec::BEAT_BEFORE_SAMPLES;
use heartlens_core::views::Views;
use heartlens_core::wearable::{Config, ConfigError, Event, Rate, Signal, Wearable};
use heartlens_core::{Classifier, Network};

/// Calls a beat V where its complex is wide, and F where it is inverted.
#[derive(Debug)]
struct Shapes;

impl Network for Shapes {
    fn logits(&mut self, views: &Views) -> Logits {
        let r = BEAT_BEFORE_SAMPLES - 24;
        let (peak, side) = (views.waveform[r], views.waveform[r + 5]);
        if peak < 0.0 {
            [0.0, 0.0, 0.0, 5.0]
        } else if side > 0.4 * peak {
            [0.0, 0.0, 5.0, 0.0]
        } else {
            [5.0, 0.0, 0.0, 0.0]
        }
    }
}

const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 1000.0,
    zero: 100,
};

fn config(rate: Rate) -> Config {
    Config {
        rate,
        calibration: CALIBRATION,
        patient: Patient::default(),
        rules: Rules::NONE,
    }
}

/// What a product is told: drained after each push.
struct Bench<'w, 'a> {
    wearable: &'w mut Wearable<'a, Shapes>,
    events: Vec<Event>,
}

impl Bench<'_, '_> {
    fn drain(&mut self) {
        while self.wearable.work() == Poll::Pending {
            self.events.extend(self.wearable.poll());
        }
    }

    fn push(&mut self, counts: impl IntoIterator<Item = i16>) {
        for count in counts {
            self.wearable.push(count);
            self.drain();
        }
    }

    fn finish(&mut self) {
        self.wearable.finish();
        self.drain();
    }

    fn beats(&self) -> Vec<(u64, Class)> {
        let beats = self.events.iter().filter_map(|event| match event {
            Event::Beat { at_ms, beat } => Some((*at_ms, beat.class)),
            _ => None,
        });
        beats.collect()
    }

    fn signals(&self) -> Vec<Signal> {
        let signals = self.events.iter().filter_map(|event| match event {
            Event::Signal { signal, .. } => Some(*signal),
            _ => None,
        });
        signals.collect()
    }

    fn pauses(&self) -> Vec<(u64, bool)> {
        let pauses = self.events.iter().filter_map(|event| match event {
            Event::Pause { since_ms, flat } => Some((*since_ms, *flat)),
            _ => None,
        });
        pauses.collect()
    }
}

fn with<T>(rate: Rate, test: impl FnOnce(Bench<'_, '_>) -> T) -> T {
    let image = rhythm_image();
    let rhythm = rhythm::Network::load(&image).unwrap();
    let mut place = MaybeUninit::uninit();
    let wearable = Wearable::init(&mut place, config(rate), Shapes, rhythm).unwrap();
    test(Bench {
        wearable,
        events: Vec::new(),
    })
}

/// Seconds of a signal with complexes at these times: time, height in mV, width in ms.
fn ecg(rate: Rate, seconds: f32, complexes: &[(f32, f32, f32)]) -> Vec<i16> {
    let hz = rate.hz() as f32;
    let mut number = 3_u32;
    (0..(seconds * hz) as usize)
        .map(|i| {
            let t = i as f32 / hz;
            let mv: f32 = complexes
                .iter()
                .filter(|(at, ..)| (at - t).abs() < 0.4)
                .map(|(at, height, width)| {
                    let d = (t - at) / (width / 1000.0);
                    height * (-d * d).exp()
                })
                .sum();
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (number >> 8) as f32 / (1 << 23) as f32 - 1.0;
            100 + (1000.0 * (mv + 0.015 * noise)) as i16
        })
        .collect()
}

fn regular(from: f32, to: f32, rr: f32) -> Vec<(f32, f32, f32)> {
    (0..((to - from) / rr) as usize)
        .map(|i| (from + i as f32 * rr, 1.0, 20.0))
        .collect()
}

#[test]
fn at_128_hz_the_beats_are_the_classifiers() {
    let rate = Rate::HZ_128;
    let mut complexes = regular(0.5, 100.0, 0.7);
    complexes[40].2 = 60.0;
    let counts = ecg(rate, 101.0, &complexes);
    let image = rhythm_image();
    let rhythm = rhythm::Model::load(&image, Rules::NONE).unwrap();
    let mut classifier = Classifier::new(Shapes, Some(rhythm), Patient::default());
    let mut expected: Vec<_> = counts
        .iter()
        .filter_map(|count| classifier.push(CALIBRATION.sample_mv(*count)))
        .collect();
    classifier.finish();
    expected.extend(std::iter::from_fn(|| classifier.poll()));
    with(rate, |mut bench| {
        bench.push(counts);
        bench.finish();
        let found = bench.events.iter().filter_map(|event| match event {
            Event::Beat { beat, .. } => Some(*beat),
            _ => None,
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(expected.len() > 135);
    });
}

#[test]
fn at_every_rate_the_beats_are_where_they_were() {
    for rate in Rate::ALL {
        let complexes = regular(0.6, 60.0, 0.83);
        with(*rate, |mut bench| {
            bench.push(ecg(*rate, 61.0, &complexes));
            assert_eq!(bench.wearable.signal(), Some(Signal::Readable));
            let bpm = bench.wearable.rate_bpm().unwrap();
            assert!((bpm - 60.0 / 0.83).abs() < 1.0, "{bpm}");
            bench.finish();
            let beats = bench.beats();
            assert_eq!(beats.len(), complexes.len(), "{} Hz", rate.hz());
            for ((at_ms, class), (at_s, ..)) in beats.iter().zip(&complexes) {
                let off = *at_ms as f32 - 1000.0 * at_s;
                assert!(off.abs() <= 12.0, "{} Hz: {off} ms", rate.hz());
                assert_eq!(*class, Class::N);
            }
        });
    }
}

#[test]
fn a_pause_is_told_while_it_lasts() {
    let rate = Rate::HZ_250;
    let mut complexes = regular(0.5, 30.0, 0.8);
    let last = complexes.last().unwrap().0;
    complexes.extend(regular(45.0, 60.0, 0.8));
    with(rate, |mut bench| {
        let counts = ecg(rate, 60.0, &complexes);
        let told = ((last + 5.1) * 250.0) as usize;
        bench.push(counts[..told].iter().copied());
        let pauses = bench.pauses();
        assert_eq!(pauses.len(), 1);
        assert!((pauses[0].0 as f32 - 1000.0 * last).abs() < 12.0);
        assert!(!pauses[0].1, "the line moves");
        assert_eq!(bench.wearable.rate_bpm(), None);
        bench.push(counts[told..].iter().copied());
        assert_eq!(bench.pauses().len(), 1, "told once");
        assert!(bench.wearable.rate_bpm().is_some());
    });
}

#[test]
fn a_flat_line_is_a_pause_and_an_electrode_that_is_off_is_none() {
    let rate = Rate::HZ_250;
    let beats = ecg(rate, 20.0, &regular(0.5, 20.0, 0.8));
    // 30 s of a line that does not move: a dead front end, or asystole.
    with(rate, |mut bench| {
        bench.push(beats.clone());
        bench.push(std::iter::repeat_n(100, 30 * 250));
        assert_eq!(bench.wearable.signal(), Some(Signal::Constant));
        assert!(matches!(bench.pauses()[..], [(_, true)]));
    });
    // Never anything else.
    with(rate, |mut bench| {
        bench.push(std::iter::repeat_n(100, 10 * 250));
        assert_eq!(bench.wearable.signal(), Some(Signal::Constant));
        assert_eq!(bench.pauses(), [(0, true)]);
        assert!(bench.beats().is_empty());
    });
    // An electrode that is off gives the converter's rail, beyond 300 mV here; or the product says so.
    with(rate, |mut bench| {
        bench.wearable.push(0);
        bench.push(beats.clone());
        for _ in 0..30 {
            bench.wearable.missing(250);
            bench.drain();
        }
        assert_eq!(bench.wearable.signal(), Some(Signal::ElectrodeOff));
        assert!(bench.pauses().is_empty());
        assert!(bench.wearable.rate_bpm().is_none());
    });
}

#[test]
fn short_gaps_are_bridged_and_long_ones_start_over() {
    for rate in [Rate::HZ_100, Rate::HZ_250, Rate::HZ_1000] {
        let complexes = regular(0.5, 90.0, 0.8);
        let counts = ecg(rate, 90.0, &complexes);
        let at = |second: usize| second * rate.hz() as usize;
        with(rate, |mut bench| {
            bench.push(counts[..at(30)].iter().copied());
            // 1.5 s in two calls, then 20 s in one.
            bench.wearable.missing(rate.hz() / 2);
            bench.wearable.missing(rate.hz());
            bench.push(counts[at(31) + at(1) / 2..at(50)].iter().copied());
            let before = bench.beats().len();
            bench.wearable.missing(20 * rate.hz());
            bench.drain();
            assert!(bench.beats().len() >= before + 2, "the last beats come");
            bench.push(counts[at(70)..].iter().copied());
            bench.finish();
            let restarts = bench.events.iter().filter_map(|event| match event {
                Event::Restarted { at_ms } => Some(*at_ms),
                _ => None,
            });
            assert_eq!(restarts.collect::<Vec<_>>(), [70_000]);
            assert_eq!(bench.wearable.now_ms(), 90_000);
            let beats = bench.beats();
            for (at_ms, _) in &beats {
                let nearest = complexes
                    .iter()
                    .map(|(at_s, ..)| (*at_ms as f32 - 1000.0 * at_s).abs())
                    .fold(f32::INFINITY, f32::min);
                assert!(nearest < 12.0, "{at_ms} at {} Hz", rate.hz());
            }
            let late = beats.iter().filter(|(at_ms, _)| *at_ms > 70_000).count();
            assert!(late >= 24, "{late}");
            assert!(
                beats
                    .iter()
                    .any(|(at_ms, _)| (32_000..50_000).contains(at_ms))
            );
        });
    }
}

#[test]
fn a_gap_counts_the_same_in_one_call_and_sample_by_sample() {
    let rate = Rate::HZ_360;
    let counts = ecg(rate, 40.0, &regular(0.5, 40.0, 0.8));
    let run = |one_call: bool| {
        with(rate, |mut bench| {
            bench.push(counts[..7200].iter().copied());
            match one_call {
                true => bench.wearable.missing(500),
                false => (0..500).for_each(|_| bench.wearable.push(MISSING)),
            }
            bench.push(counts[7700..].iter().copied());
            bench.finish();
            bench
                .events
                .retain(|event| matches!(event, Event::Beat { .. }));
            bench.events
        })
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_run_survives_one_strange_or_missed_beat() {
    let rate = Rate::HZ_200;
    // What follows twenty normal beats, 0.4 s apart: V, f(usion), missed (.), N.
    for (pattern, expected) in [
        ("VVV", Some(3)),
        ("VVVVV", Some(5)),
        ("VVFV", Some(3)),
        ("VVV.VV", Some(5)),
        ("VV", None),
        ("VNVNVN", None),
        ("VVFFV", None),
    ] {
        let mut complexes = regular(0.5, 20.5, 0.8);
        let mut at = 20.5;
        for kind in pattern.chars() {
            at += 0.4;
            match kind {
                'V' => complexes.push((at, 1.5, 60.0)),
                'F' => complexes.push((at, -1.5, 30.0)),
                'N' => complexes.push((at, 1.0, 20.0)),
                _ => {}
            }
        }
        complexes.extend(regular(at + 0.8, at + 15.0, 0.8));
        with(rate, |mut bench| {
            bench.push(ecg(rate, at + 14.0, &complexes));
            let runs: Vec<_> = bench
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::Run {
                        class,
                        beats,
                        rate_bpm,
                        over,
                        ..
                    } => Some((*class, *beats, *over, *rate_bpm)),
                    _ => None,
                })
                .collect();
            let beats = bench.beats();
            match expected {
                None => assert!(runs.is_empty(), "{pattern}: {runs:?} {beats:?}"),
                Some(expected) => {
                    let [begun, over] = runs[..] else {
                        panic!("{pattern}: {runs:?} {beats:?}");
                    };
                    assert_eq!((begun.0, begun.1, begun.2), (Class::V, 3, false));
                    assert_eq!((over.1, over.2), (expected, true), "{pattern}");
                    assert!((over.3 - 150.0).abs() < 8.0, "{pattern}: {} bpm", over.3);
                }
            }
        });
    }
}

#[test]
fn what_is_wrong_with_the_signal_is_said() {
    let rate = Rate::HZ_250;
    let mut number = 5_u32;
    let mut noise = |size: i32| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((number >> 16) as i32 * size / 65_536 - size / 2) as i16
    };
    let white: Vec<i16> = (0..60 * 250).map(|_| noise(400)).collect();
    with(rate, |mut bench| {
        bench.push(white);
        let signals = bench.signals();
        assert!(
            signals.contains(&Signal::NoHeartbeat) || signals.contains(&Signal::Noisy),
            "{signals:?}"
        );
        assert_eq!(bench.wearable.rate_bpm(), None);
        assert!(
            !bench
                .events
                .iter()
                .any(|event| matches!(event, Event::Fibrillation { .. }))
        );
    });
    // 20 times the counts per millivolt that were stated.
    let image = rhythm_image();
    let mut wrong = config(rate);
    wrong.calibration.counts_per_mv = 50.0;
    let mut place = MaybeUninit::uninit();
    let rhythm = rhythm::Network::load(&image).unwrap();
    let wearable = Wearable::init(&mut place, wrong, Shapes, rhythm).unwrap();
    let mut bench = Bench {
        wearable,
        events: Vec::new(),
    };
    bench.push(
        ecg(rate, 30.0, &regular(0.5, 30.0, 0.8))
            .iter()
            .map(|count| (*count).saturating_mul(2)),
    );
    assert!(
        bench.signals().contains(&Signal::Gain),
        "{:?}",
        bench.signals()
    );
}

fn said(counts_per_mv: f32, counts: impl IntoIterator<Item = i16>) -> Vec<Signal> {
    let image = rhythm_image();
    let mut config = config(Rate::HZ_250);
    config.calibration.counts_per_mv = counts_per_mv;
    let mut place = MaybeUninit::uninit();
    let rhythm = rhythm::Network::load(&image).unwrap();
    let wearable = Wearable::init(&mut place, config, Shapes, rhythm).unwrap();
    let mut bench = Bench {
        wearable,
        events: Vec::new(),
    };
    bench.push(counts);
    bench.signals()
}

/// A signal that is in millivolts already, and counts that are taken for millivolts.
#[test]
fn millivolts_for_counts_and_counts_for_millivolts_are_said() {
    let counts = ecg(Rate::HZ_250, 60.0, &regular(0.5, 60.0, 0.8));
    let readable = said(1000.0, counts.iter().copied());
    assert!(readable.contains(&Signal::Readable), "{readable:?}");
    let millivolts = said(1000.0, counts.iter().map(|count| count / 1000));
    let taken = said(1.0, counts.iter().copied());
    for (signals, expected) in [
        (millivolts, &[Signal::Flat, Signal::Constant][..]),
        (taken, &[Signal::Gain, Signal::ElectrodeOff][..]),
    ] {
        assert!(!signals.contains(&Signal::Readable), "{signals:?}");
        assert!(
            expected.iter().any(|signal| signals.contains(signal)),
            "{signals:?}"
        );
    }
}

/// A converter of 250 Hz of which it is told that it has 1000, or 100.
#[test]
fn a_rate_that_no_heart_could_have_is_said() {
    let counts = ecg(Rate::HZ_250, 120.0, &regular(0.5, 120.0, 0.8));
    for (told, expected) in [
        (Rate::HZ_250, false),
        (Rate::HZ_1000, true),
        (Rate::HZ_100, true),
    ] {
        with(told, |mut bench| {
            bench.push(counts.iter().copied());
            let signals = bench.signals();
            assert_eq!(
                signals.contains(&Signal::Rate) || !signals.contains(&Signal::Readable),
                expected,
                "{} Hz: {signals:?}",
                told.hz()
            );
        });
    }
}

#[test]
fn a_gain_of_nothing_is_refused() {
    let image = rhythm_image();
    for found in [0.0, -0.0, f32::NAN, f32::INFINITY] {
        let mut config = config(Rate::HZ_128);
        config.calibration.counts_per_mv = found;
        let mut place = MaybeUninit::uninit();
        let rhythm = rhythm::Network::load(&image).unwrap();
        let error = Wearable::init(&mut place, config, Shapes, rhythm).unwrap_err();
        let ConfigError::Gain { found: told } = error else {
            panic!("{error}");
        };
        assert_eq!(told.to_bits(), found.to_bits());
        assert!(
            error.to_string().contains("counts per millivolt"),
            "{error}"
        );
    }
    assert!(Rate::of(127).is_none() && Rate::of(0).is_none());
    assert_eq!(Rate::of(360).map(|rate| rate.hz()), Some(360));
}

/// After the end the next sample starts another recording; nothing is confused by events that nobody polls.
#[test]
fn whatever_is_called_in_whatever_order_nothing_breaks() {
    let rate = Rate::HZ_125;
    let counts = ecg(rate, 20.0, &regular(0.5, 20.0, 0.8));
    with(rate, |mut bench| {
        bench.wearable.finish();
        bench.wearable.finish();
        assert_eq!(bench.wearable.poll(), None);
        for round in 0..5 {
            for count in &counts {
                bench.wearable.push(*count);
                let _ = bench.wearable.work();
            }
            bench.wearable.missing(u32::MAX);
            bench.wearable.missing(0);
            bench.wearable.finish();
            let _ = bench.wearable.work();
            assert!(bench.wearable.now_ms() > round * 34_000_000_000);
        }
        bench.drain();
        bench.push(counts.iter().copied());
        assert!(bench.beats().len() > 20);
    });
}

impl Bench<'_, '_> {
    /// A second of a converter, and the clock behind it.
    fn second(&mut self, counts: &[i16], now_ms: &mut u32) {
        self.push(counts.iter().copied());
        *now_ms = now_ms.wrapping_add(1000);
        self.wearable.clock(*now_ms);
        self.drain();
    }

    /// What was told of the sample rate: found, expected, and whether they differ.
    fn rates(&self) -> Vec<(f32, u32, bool)> {
        let rates = self.events.iter().filter_map(|event| match *event {
            Event::SampleRate {
                found_hz,
                expected_hz,
                wrong,
                ..
            } => Some((found_hz, expected_hz, wrong)),
            _ => None,
        });
        rates.collect()
    }
}

/// By the clock each rate is told from each other, once, and none from itself.
#[test]
fn each_rate_is_told_from_each_other_by_the_clock() {
    for told in Rate::ALL {
        for real in Rate::ALL {
            let hz = real.hz() as f32;
            with(*told, |mut bench| {
                let counts = vec![100; real.hz() as usize];
                // Shortly before the clock's turn.
                let mut now_ms = u32::MAX - 7000;
                for _ in 0..180 {
                    bench.second(&counts, &mut now_ms);
                }
                match told.hz() == real.hz() {
                    true => assert_eq!(bench.rates(), []),
                    false => assert_eq!(bench.rates(), [(hz, told.hz(), true)]),
                }
            });
        }
    }
}

#[test]
fn where_the_clock_says_that_the_rate_is_wrong_the_signal_says_so_until_it_is_right() {
    let (told, real) = (Rate::HZ_250, Rate::HZ_300);
    let counts = ecg(real, 60.0, &regular(0.5, 60.0, 0.8));
    let right = ecg(told, 120.0, &regular(0.5, 120.0, 0.8));
    with(told, |mut bench| {
        let mut now_ms = 0;
        for second in counts.chunks(300) {
            bench.second(second, &mut now_ms);
        }
        assert_eq!(bench.rates(), [(300.0, 250, true)]);
        let at = bench.events.iter().find_map(|event| match event {
            Event::SampleRate { at_ms, .. } => Some(*at_ms),
            _ => None,
        });
        // After 10 to 20 s by the clock, which are 12 to 24 s of 250 samples.
        assert!(
            at.is_some_and(|at_ms| (12_000..=24_000).contains(&at_ms)),
            "{at:?}"
        );
        assert_eq!(bench.wearable.signal(), Some(Signal::Rate));
        assert_eq!(bench.wearable.rate_bpm(), None);
        for second in right.chunks(250) {
            bench.second(second, &mut now_ms);
        }
        assert_eq!(bench.rates()[1..], [(250.0, 250, false)]);
        assert_eq!(bench.wearable.signal(), Some(Signal::Readable));
        assert!(bench.wearable.rate_bpm().is_some());
    });
}

/// Lost samples that are called missing are no wrong rate; those that nobody mentions are.
#[test]
fn samples_that_are_lost_in_silence_are_a_wrong_rate() {
    let rate = Rate::HZ_250;
    let counts = ecg(rate, 600.0, &regular(0.5, 600.0, 0.8));
    for (said, lost) in [(true, 5), (false, 5), (true, 60), (false, 60)] {
        with(rate, |mut bench| {
            let mut now_ms = 77;
            for (second, counts) in counts.chunks(250).enumerate() {
                // So many samples of each second, or all of six seconds in each minute.
                let kept = match lost {
                    60 if second % 60 < 6 => 0,
                    60 => 250,
                    _ => 250 - 250 * lost / 100,
                };
                if said {
                    bench.wearable.missing(250 - kept as u32);
                }
                bench.second(&counts[..kept], &mut now_ms);
            }
            let rates = bench.rates();
            assert_eq!(rates.is_empty(), said, "{said}, {lost}: {rates:?}");
            for (found_hz, expected_hz, _) in rates {
                assert!(found_hz < 251.0 && expected_hz == 250, "{found_hz}");
            }
        });
    }
}

/// A converter that stops, the end of a recording, a restart, and a clock that nobody tells.
#[test]
fn a_converter_that_stops_is_told_and_an_end_is_none() {
    let rate = Rate::HZ_200;
    let counts = ecg(rate, 30.0, &regular(0.5, 30.0, 0.8));
    with(rate, |mut bench| {
        let mut now_ms = 0;
        // Nothing is expected before the first sample.
        for _ in 0..60 {
            bench.second(&[], &mut now_ms);
        }
        for second in counts.chunks(200) {
            bench.second(second, &mut now_ms);
        }
        // Nor behind the end.
        bench.finish();
        for _ in 0..60 {
            bench.second(&[], &mut now_ms);
        }
        for second in counts.chunks(200) {
            bench.second(second, &mut now_ms);
        }
        // A gap that ends the recording, and is called one.
        bench.wearable.missing(40 * 200);
        now_ms += 40_000;
        for second in counts.chunks(200) {
            bench.second(second, &mut now_ms);
        }
        let restarts = bench
            .events
            .iter()
            .filter(|event| matches!(event, Event::Restarted { .. }));
        assert_eq!(restarts.count(), 2);
        assert_eq!(bench.rates(), []);
        // No sample any more.
        for _ in 0..11 {
            bench.second(&[], &mut now_ms);
        }
        assert_eq!(bench.rates(), [(0.0, 200, true)]);
        // What was found outlasts a recording.
        bench.wearable.missing(1000);
        bench.push(counts[..400].iter().copied());
        assert_eq!(bench.rates().len(), 1);
    });
    with(rate, |mut bench| {
        bench.push(counts.iter().copied());
        assert_eq!(bench.rates(), []);
    });
}
