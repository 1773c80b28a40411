//! The comparison against WFDB's bxb, rule by rule and on many lists, and properties that hold for any lists.
//!
//! Hand-made pairs are on a clock of 1000 Hz, so that a sample is a millisecond and the match window 150 samples.

#![allow(clippy::unwrap_used)]

use super::bxb::{Comparison, Event, Kind, Label, Options, Table, compare};
use super::mapping::Mapping;
use crate::records::annotation::{Annotation, Annotations, Code};
use heartlens_core::class::Class::{self, F, N, Q, S, V};
use proptest::prelude::*;

const FLUTTER_START: Kind = Kind::FlutterStart;
const FLUTTER_END: Kind = Kind::FlutterEnd;
const SHUTDOWN: Kind = Kind::Quality { shutdown: true };
const RESUME: Kind = Kind::Quality { shutdown: false };

fn beats(list: &[(u64, Class)]) -> Vec<Event> {
    list.iter().map(|&(t, c)| Event::beat(t, c)).collect()
}

fn events(list: &[(u64, Kind)]) -> Vec<Event> {
    list.iter()
        .map(|&(sample, kind)| Event { sample, kind })
        .collect()
}

const fn beat(class: Class) -> Kind {
    Kind::Beat(class)
}

fn run(reference: &[Event], test: &[Event], from_s: f64, length: Option<u64>) -> Comparison {
    let options = Options {
        from_s,
        ..Options::ec57(1000.0, length)
    };
    compare(reference, test, &options)
}

/// Compares from 1 s to 100 s and writes the pairs as bxb's -v does: `Nn` a match, `No` a miss, `On` an extra beat.
fn pairs(reference: &[Event], test: &[Event]) -> String {
    written(&run(reference, test, 1.0, Some(100_000)))
}

fn written(comparison: &Comparison) -> String {
    comparison
        .pairs
        .iter()
        .map(|p| p.reference.name().to_owned() + &p.test.name().to_lowercase())
        .collect::<Vec<_>>()
        .join(" ")
}

/// bxb(1): "the match window specifies the maximum absolute difference in annotation times that is permitted for
/// matching annotations"; main(): `T-t <= match_dt`, the limit included, on either side.
#[test]
fn the_window_includes_its_limit() {
    let reference = beats(&[(5000, N), (6000, V)]);
    assert_eq!(pairs(&reference, &beats(&[(4850, N), (6150, V)])), "Nn Vv");
    assert_eq!(
        pairs(&reference, &beats(&[(4849, N), (6151, V)])),
        "On No Vo Ov"
    );
}

/// strtim() of the WFDB library rounds to the nearest sample: 150 ms at 128 Hz are 19.2, so 19 samples.
#[test]
fn the_window_is_rounded_to_samples() {
    let reference = beats(&[(1000, N)]);
    for (t, expected) in [(1019, "Nn"), (1020, "No On")] {
        let options = Options {
            from_s: 1.0,
            ..Options::ec57(128.0, Some(9000))
        };
        let found = compare(&reference, &beats(&[(t, N)]), &options);
        assert_eq!(written(&found), expected, "test beat at {t}");
    }
}

/// main(), case 1 and 2: of two test beats around a reference beat the nearer one is paired, the other is extra.
#[test]
fn of_two_test_beats_the_nearer_wins() {
    let reference = beats(&[(5000, N), (9000, N)]);
    let late = beats(&[(4900, V), (5099, N), (9000, N)]);
    assert_eq!(pairs(&reference, &late), "Ov Nn Nn");
    let early = beats(&[(4901, N), (5100, V), (9000, N)]);
    assert_eq!(pairs(&reference, &early), "Nn Ov Nn");
}

/// main(), case 1: `T-t < abs(T-tprime)` is strict, so of two test beats equally near the later one is paired.
#[test]
fn of_two_test_beats_equally_near_the_later_wins() {
    let reference = beats(&[(5000, N), (9000, N)]);
    let test = beats(&[(4900, V), (5100, N), (9000, N)]);
    assert_eq!(pairs(&reference, &test), "Ov Nn Nn");
}

/// main(), case 3 and 4, the same with the roles exchanged: the later of two reference beats equally near.
#[test]
fn of_two_reference_beats_equally_near_the_later_wins() {
    let reference = beats(&[(4900, V), (5100, N), (9000, N)]);
    assert_eq!(
        pairs(&reference, &beats(&[(5000, N), (9000, N)])),
        "Vo Nn Nn"
    );
    assert_eq!(
        pairs(&reference, &beats(&[(4999, N), (9000, N)])),
        "Vn No Nn"
    );
}

/// The example in the comment of main() (24 November 2002): a window of 37 samples, reference beats at 96 and 160, test
/// beats at 128 and 185. Both pair, though 128 is as near to 160 as to 96. At 100 Hz here, and moved behind the start.
#[test]
fn a_rival_that_is_taken_does_not_count() {
    let reference = beats(&[(1096, N), (1160, V)]);
    let test = beats(&[(1128, N), (1185, V)]);
    let options = Options {
        sample_rate_hz: 100.0,
        from_s: 2.0,
        window_s: 0.37,
        record_samples: Some(5000),
    };
    assert_eq!(written(&compare(&reference, &test, &options)), "Nn Vv");
    assert_eq!(written(&compare(&test, &reference, &options)), "Nn Vv");
}

/// main(): reference beats before the start are not counted, and no test beats with them.
#[test]
fn the_learning_period_does_not_count() {
    let reference = beats(&[(200, N), (700, V), (1500, S), (2500, N)]);
    let test = beats(&[(210, V), (400, V), (705, N), (1500, S), (2500, N)]);
    assert_eq!(pairs(&reference, &test), "Ss Nn");
}

/// The default start is 5 minutes (bxb(1), option -f): at 300.000 s a beat counts, a sample earlier it does not.
#[test]
fn the_learning_period_is_five_minutes() {
    let list = beats(&[(100_000, N), (299_999, N), (300_000, V), (301_000, N)]);
    let found = compare(&list, &list, &Options::ec57(1000.0, Some(400_000)));
    assert_eq!(written(&found), "Vv Nn");
}

/// main(), before the loop: the last test beat of the learning period may take the first reference beat behind it.
#[test]
fn a_test_beat_just_before_the_start_may_match() {
    let reference = beats(&[(1010, N), (2000, N)]);
    assert_eq!(pairs(&reference, &beats(&[(950, N), (2000, N)])), "Nn Nn");
    let nearer_follows = beats(&[(950, V), (1020, N), (2000, N)]);
    assert_eq!(pairs(&reference, &nearer_follows), "Nn Nn");
}

/// main(), before the loop: a first test beat within one window of the start that is farther from the first reference
/// beat than its successor is dropped; one sample behind that window it is an extra beat.
#[test]
fn an_unmatched_test_beat_just_behind_the_start_is_dropped() {
    let reference = beats(&[(1800, N)]);
    assert_eq!(pairs(&reference, &beats(&[(1150, V), (1800, N)])), "Nn");
    assert_eq!(pairs(&reference, &beats(&[(1151, V), (1800, N)])), "Ov Nn");
}

/// getref(): "any annotations between VFON and VFOFF are read and ignored"; rpann(): "test beat labels during
/// reference-marked VF are not to be counted", the episode's ends included.
#[test]
fn beats_in_flutter_are_not_counted() {
    let reference = events(&[
        (3000, beat(N)),
        (4000, FLUTTER_START),
        (4300, Kind::FlutterWave),
        (4600, beat(V)),
        (6000, FLUTTER_END),
        (8000, beat(N)),
    ]);
    let test = beats(&[
        (3000, N),
        (4000, V),
        (4600, V),
        (6000, V),
        (6001, V),
        (8000, N),
    ]);
    let found = run(&reference, &test, 1.0, Some(100_000));
    assert_eq!(written(&found), "Nn Ov Nn");
    assert_eq!(found.in_flutter, 3);
}

/// main() asks rpann() only for test beats that match nothing: one inside the episode may still take a beat outside it.
#[test]
fn a_beat_in_flutter_may_match_one_outside() {
    let reference = events(&[(4000, FLUTTER_START), (6000, FLUTTER_END), (6100, beat(N))]);
    assert_eq!(pairs(&reference, &beats(&[(5990, V)])), "Nv");
}

/// tpann(): "no special treatment for reference beat labels during test-marked VF"; gettest() skips the test's own.
#[test]
fn flutter_in_the_test_list_excuses_nothing() {
    let reference = beats(&[(3000, N), (5000, V), (8000, N)]);
    let test = events(&[
        (3000, beat(N)),
        (4000, FLUTTER_START),
        (5000, beat(V)),
        (6000, FLUTTER_END),
        (8000, beat(N)),
    ]);
    assert_eq!(pairs(&reference, &test), "Nn Vo Nn");
}

/// rpann(): an episode without an end lasts on (`vfoffref==-1L`), but only if none was read before it: the end that
/// getref() remembers is then the earlier one's, and beats in the second episode are extra.
#[test]
fn flutter_that_never_ends() {
    let first = events(&[(3000, beat(N)), (4000, FLUTTER_START)]);
    assert_eq!(pairs(&first, &beats(&[(3000, N), (5000, V)])), "Nn");
    let second = events(&[
        (2000, FLUTTER_START),
        (2500, FLUTTER_END),
        (3000, beat(N)),
        (4000, FLUTTER_START),
    ]);
    assert_eq!(pairs(&second, &beats(&[(3000, N), (5000, V)])), "Nn Ov");
}

/// rpann() knows "the two most recent VF periods" only, and reading is one beat ahead: of three episodes without a beat
/// between them the first is forgotten.
#[test]
fn only_the_last_two_episodes_are_known() {
    let reference = events(&[
        (2000, FLUTTER_START),
        (2500, FLUTTER_END),
        (3000, FLUTTER_START),
        (3500, FLUTTER_END),
        (4000, FLUTTER_START),
        (4500, FLUTTER_END),
        (9000, beat(N)),
    ]);
    let test = beats(&[(2200, V), (3200, V), (4200, V), (9000, N)]);
    assert_eq!(pairs(&reference, &test), "Ov Nn");
}

/// getref(): a flutter wave outside an episode passes isqrs() and becomes an O of amap(): what it matches is an extra
/// beat, and alone it counts nothing.
#[test]
fn a_flutter_wave_outside_an_episode_is_a_beat_of_class_o() {
    let reference = events(&[
        (3000, Kind::FlutterWave),
        (5000, Kind::FlutterWave),
        (8000, beat(N)),
    ]);
    assert_eq!(pairs(&reference, &beats(&[(3010, V), (8000, N)])), "Ov Nn");
}

/// tpann(), bxb(1): beats missed while the test list says that nothing is readable are x instead of o, the ends of that
/// stretch included; its length is measured.
#[test]
fn shutdown_in_the_test_list() {
    let reference = beats(&[
        (3000, N),
        (4000, V),
        (5000, V),
        (6000, V),
        (6001, V),
        (8000, N),
    ]);
    let test = events(&[
        (3000, beat(N)),
        (4000, SHUTDOWN),
        (6000, RESUME),
        (8000, beat(N)),
    ]);
    let found = run(&reference, &test, 1.0, Some(100_000));
    assert_eq!(written(&found), "Nn Vx Vx Vx Vo Nn");
    assert_eq!(found.test_shutdown_samples, 2000);
}

/// rpann(): beats found while the reference says that nothing is readable are X instead of O.
#[test]
fn shutdown_in_the_reference() {
    let reference = events(&[(4000, SHUTDOWN), (6000, RESUME), (8000, beat(N))]);
    let test = beats(&[(3999, V), (4000, V), (6000, V), (6001, V), (8000, N)]);
    assert_eq!(pairs(&reference, &test), "Ov Xv Xv Ov Nn");
}

/// getref(), AHA convention: a shutdown that anything but a resume follows lasts from one window behind the beat before
/// it to one window before what follows. Here from 3150 to 5850.
#[test]
fn shutdown_without_a_resume() {
    for (follower, last) in [
        (beat(N), "Nv"),
        (SHUTDOWN, "Ov"),
        (Kind::Other, "Ov"),
        (FLUTTER_START, "Ov"),
    ] {
        let reference = events(&[(3000, beat(N)), (4500, SHUTDOWN), (6000, follower)]);
        let test = beats(&[(3000, N), (3151, V), (5850, V), (5851, V)]);
        let found = pairs(&reference, &test);
        assert_eq!(found, format!("Nn Xv Xv {last}"), "{follower:?} follows");
    }
}

/// getref(): the end of a flutter episode takes the place of the beat before a shutdown (`vfoffref + match_dt`).
#[test]
fn shutdown_after_flutter() {
    let reference = events(&[
        (2000, beat(N)),
        (3000, FLUTTER_START),
        (4000, FLUTTER_END),
        (5000, SHUTDOWN),
        (6000, beat(N)),
    ]);
    let test = beats(&[(2000, N), (4149, V), (4150, V), (6000, N)]);
    assert_eq!(pairs(&reference, &test), "Nn Ov Xv Nn");
}

/// getref(): a reference that ends in shutdown is shut down for good. gettest() remembers the earlier end instead, so
/// in the test list this holds for the first shutdown only; the time to the record's end is measured either way.
#[test]
fn shutdown_that_never_ends() {
    let twice = events(&[
        (1500, SHUTDOWN),
        (1600, RESUME),
        (3000, beat(N)),
        (4000, SHUTDOWN),
    ]);
    let beats = beats(&[(3000, N), (5000, V)]);
    assert_eq!(pairs(&twice, &beats), "Nn Xv");
    let found = run(&beats, &twice, 1.0, Some(100_000));
    assert_eq!(written(&found), "Nn Vo");
    assert_eq!(found.test_shutdown_samples, 100 + 96_000);
    let found = run(&beats, &twice[2..], 1.0, Some(100_000));
    assert_eq!(written(&found), "Nn Vx");
}

/// bxb.c: subtype bits 4 and 5 both set mean shutdown; -1, which mitdb uses, has them set, and so has 0x30. A signal
/// that is noisy (0x01, 0x11) or unreadable alone (0x10, 0x20) is none.
#[test]
fn subtypes_that_mean_shutdown() {
    for (subtype, shutdown) in [(-1, true), (0x30, true), (0x31, true), (0, false)]
        .into_iter()
        .chain([(1, false), (0x10, false), (0x11, false), (0x20, false)])
    {
        let annotation = Annotation {
            subtype,
            ..Annotation::new(7, Code::QUALITY_CHANGE)
        };
        let expected = Event {
            sample: 7,
            kind: Kind::Quality { shutdown },
        };
        assert_eq!(Mapping::Aami.event(&annotation), expected, "{subtype}");
    }
}

/// main(): with a known length the walk ends when both current beats lie behind the end; a pair that has one foot
/// inside is counted, and so is a beat on the last sample.
#[test]
fn the_end_of_the_record() {
    let reference = beats(&[(3000, N), (9950, V), (12_000, N)]);
    let test = beats(&[(3000, N), (10_050, V), (12_000, N)]);
    let at = |length| written(&run(&reference, &test, 1.0, length));
    assert_eq!(at(Some(10_000)), "Nn Vv");
    assert_eq!(at(Some(9_950)), "Nn Vv");
    assert_eq!(at(Some(9_949)), "Nn");
}

/// main(): without a length the walk ends with the reference (`T != huge_time`), extra beats behind it are not counted;
/// with a length they are.
#[test]
fn a_record_of_unknown_length() {
    let reference = beats(&[(3000, N)]);
    let test = beats(&[(3000, N), (5000, V)]);
    for (length, expected) in [(None, "Nn"), (Some(0), "Nn"), (Some(9000), "Nn Ov")] {
        let found = run(&reference, &test, 1.0, length);
        assert_eq!(written(&found), expected, "{length:?}");
    }
}

/// amap(): paced beats and their fusions are Q, `B` is N, `r` is V; escape beats are S to bxb and N to the classes of
/// de Chazal et al. 2004.
#[test]
fn classes_of_codes() {
    let class = |mapping: Mapping, code| mapping.class(Code::from_mnemonic(code).unwrap());
    for mapping in [Mapping::Aami, Mapping::Bxb] {
        for (codes, expected) in [
            ("N L R B", Some(N)),
            ("A a J S", Some(S)),
            ("V E r", Some(V)),
            ("F", Some(F)),
            ("/ f Q ?", Some(Q)),
            ("! [ ] ~ + | \" x", None),
        ] {
            for code in codes.split(' ') {
                assert_eq!(class(mapping, code), expected, "{mapping:?} {code}");
            }
        }
    }
    for code in ["e", "j", "n"] {
        assert_eq!(class(Mapping::Aami, code), Some(N));
        assert_eq!(class(Mapping::Bxb, code), Some(S));
    }
    let codes = Mapping::Aami.codes();
    assert_eq!(codes.n, ["N", "L", "R", "j", "B", "e", "n"]);
    assert_eq!(codes.q, ["/", "Q", "?", "f"]);
}

/// The generator of `reference/bxb.py`, draw for draw.
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    pub(super) fn moved(&mut self, sample: u64, reach: u64) -> u64 {
        (sample + self.below(2 * reach + 1)).saturating_sub(reach)
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}

/// CRC-32 as zlib computes it.
pub(super) fn crc32(text: &str) -> u64 {
    let crc = text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    u64::from(!crc)
}

fn annotation(sample: u64, code: u8, subtype: i8) -> Annotation {
    Annotation {
        subtype,
        ..Annotation::new(sample, Code::new(code).unwrap())
    }
}

/// `synthetic` of `reference/bxb.py`.
fn synthetic(random: &mut SplitMix64, rate: u64, samples: u64) -> Vec<Annotation> {
    const BEATS: [u8; 24] = [
        1, 1, 1, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 30, 34, 35, 38, 41,
    ];
    let mut list = Vec::new();
    let mut t = random.below(rate);
    while t < samples {
        let (code, subtype) = match random.below(1000) {
            0..900 => (random.pick(&BEATS), 0),
            900..915 => (14, 0x30),
            915..930 => (14, 0),
            930..935 => (32, 0),
            935..960 => (33, 0),
            960..980 => (31, 0),
            _ => (28, 0),
        };
        list.push(annotation(t, code, subtype));
        t += if random.below(3) == 0 {
            rate * 5 / 100 + random.below(rate * 30 / 100)
        } else {
            rate * 40 / 100 + random.below(rate * 80 / 100)
        };
    }
    list
}

/// `perturbed` of `reference/bxb.py`.
fn perturbed(random: &mut SplitMix64, list: &[Annotation], rate: u64) -> Vec<Annotation> {
    const RELABEL: [u8; 6] = [1, 9, 5, 6, 13, 31];
    const EXTRA: [(u8, i8); 18] = [
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
        (5, 0),
        (5, 0),
        (9, 0),
        (9, 0),
        (14, 0x30),
        (14, 0),
        (14, 0),
        (14, -1),
        (32, 0),
        (33, 0),
        (33, 0),
        (33, 0),
        (33, 0),
        (28, 0),
    ];
    let mut copy = Vec::new();
    for original in list {
        let t = original.sample;
        if random.below(100) >= 4 {
            let reach = match random.below(100) {
                0..70 => rate / 50,
                70..90 => rate / 8,
                _ => rate * 22 / 100,
            };
            let sample = random.moved(t, reach);
            let code = if original.code.is_qrs() && random.below(100) < 8 {
                random.pick(&RELABEL)
            } else {
                original.code.number()
            };
            copy.push(annotation(sample, code, original.subtype));
        }
        if random.below(100) < 5 {
            let sample = random.moved(t, rate * 30 / 100);
            let (code, subtype) = random.pick(&EXTRA);
            copy.push(annotation(sample, code, subtype));
        }
    }
    copy.sort_by_key(|annotation| annotation.sample);
    copy
}

/// A line of a table of `reference/`.
struct Case<'a> {
    name: &'a str,
    rate: u64,
    samples: u64,
    from_s: f64,
    table: Table,
    shutdown_s: i64,
}

fn cases(csv: &str) -> impl Iterator<Item = Case<'_>> {
    csv.lines().map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<u64>().unwrap();
        Case {
            name: cells[0],
            rate: number(1),
            samples: number(2),
            from_s: number(3) as f64,
            table: Table::from_rows(std::array::from_fn(|row| {
                std::array::from_fn(|column| number(4 + row * Label::COUNT + column))
            })),
            shutdown_s: cells[53].parse().unwrap(),
        }
    })
}

fn check(case: &Case, reference: &[Annotation], test: &[Annotation]) {
    let options = Options {
        from_s: case.from_s,
        ..Options::ec57(case.rate as f64, Some(case.samples))
    };
    let found = compare(
        &Mapping::Bxb.events(reference),
        &Mapping::Bxb.events(test),
        &options,
    );
    let Case { name, from_s, .. } = case;
    assert_eq!(found.table, case.table, "{name} from {from_s} s");
    let rate = i64::try_from(case.rate).unwrap();
    assert_eq!(
        (found.test_shutdown_samples + (rate + 1) / 2) / rate,
        case.shutdown_s,
        "shutdown of {name} from {from_s} s"
    );
}

/// 300 comparisons of random lists with every kind of annotation, against bxb's own tables (`reference/bxb.py`).
#[test]
fn tables_of_random_lists_are_bxbs() {
    let mut count = 0;
    for case in cases(include_str!("reference/bxb-synthetic.csv")) {
        let mut random = SplitMix64(crc32(case.name));
        let reference = synthetic(&mut random, case.rate, case.rate * 480);
        let test = perturbed(&mut random, &reference, case.rate);
        check(&case, &reference, &test);
        count += 1;
    }
    assert_eq!(count, 300);
}

/// The reference annotations of every development record against perturbed copies of themselves, against bxb's own
/// tables (`reference/bxb.py`).
#[test]
fn tables_of_records_are_bxbs() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    let mut count = 0;
    for case in cases(include_str!("reference/bxb-records.csv")) {
        let path = std::path::Path::new(&data)
            .join(case.name)
            .with_extension("atr");
        let reference = Annotations::read(&path).unwrap().list;
        let test = perturbed(&mut SplitMix64(crc32(case.name)), &reference, case.rate);
        check(&case, &reference, &test);
        count += 1;
    }
    assert_eq!(count, 92);
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(Class::ALL.to_vec())
}

/// Beats at intervals of 30 to 1500 samples, without flutter or shutdown.
fn train() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((30_u64..1500, class()), 0..80).prop_map(|steps| {
        let mut sample = 0;
        steps
            .into_iter()
            .map(|(step, class)| {
                sample += step;
                Event::beat(sample, class)
            })
            .collect()
    })
}

proptest! {
    /// Whatever the test list, every reference beat from the start on is counted once, and no test beat twice.
    #[test]
    fn every_beat_is_counted_once(reference in train(), test in train()) {
        let found = run(&reference, &test, 1.0, None);
        let expected: Vec<usize> = (0..reference.len())
            .filter(|&i| reference[i].sample >= 1000)
            .collect();
        let counted: Vec<usize> = found.pairs.iter().filter_map(|p| p.reference_index).collect();
        prop_assert_eq!(counted, expected);
        prop_assert_eq!(found.table.total(), found.pairs.len() as u64);
        let excluded = found.table.excluded();
        prop_assert_eq!(
            found.table.reference_beats(),
            found.table.confusion().total() + excluded.reference_q + excluded.unreadable + excluded.missed
        );
        for class in Class::ALL {
            let of_class = reference
                .iter()
                .filter(|e| e.sample >= 1000 && e.kind == Kind::Beat(class))
                .count();
            let row = found.table.sum(&[Label::Beat(class)], &Label::ALL);
            prop_assert_eq!(row, of_class as u64);
        }
        let tests: Vec<usize> = found.pairs.iter().filter_map(|p| p.test_index).collect();
        prop_assert!(tests.is_sorted_by(|a, b| a < b));
        for pair in &found.pairs {
            if let (Some(r), Some(t)) = (pair.reference_index, pair.test_index) {
                prop_assert!(reference[r].sample.abs_diff(test[t].sample) <= 150);
                prop_assert_eq!(Kind::Beat(class_of(pair.reference)), reference[r].kind);
                prop_assert_eq!(Kind::Beat(class_of(pair.test)), test[t].kind);
            }
        }
    }

    /// A list agrees with itself.
    #[test]
    fn perfect_annotations_are_perfect(list in train()) {
        let table = run(&list, &list, 1.0, None).table;
        let qrs = table.qrs();
        prop_assert_eq!((qrs.missed, qrs.fp), (0, 0));
        let beats = list.iter().filter(|e| e.sample >= 1000).count() as u64;
        prop_assert_eq!(qrs.tp, beats);
        if beats > 0 {
            prop_assert_eq!((qrs.se, qrs.ppv, qrs.f1), (Some(1.0), Some(1.0), Some(1.0)));
        }
        for rates in [table.veb(), table.sveb()] {
            prop_assert_eq!((rates.missed, rates.fp), (0, 0));
            prop_assert!(rates.se.is_none_or(|se| se == 1.0));
        }
        if let Some(accuracy) = table.confusion().accuracy() {
            prop_assert_eq!(accuracy, 1.0);
        }
    }
}

fn class_of(label: Label) -> Class {
    match label {
        Label::Beat(class) => class,
        other => panic!("{other:?} in a pair of two beats"),
    }
}
