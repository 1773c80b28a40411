//! Episodes and runs against WFDB's epicmp and rxr.

#![allow(clippy::unwrap_used)]

use super::af::Af;
use super::bxb::Options;
use super::runs::{Ectopic, Found, Runs};
use super::tests::{SplitMix64, crc32};
use crate::records::annotation::{Annotation, Annotations, Code};
use std::path::Path;

fn annotation(sample: u64, code: u8, subtype: i8, rhythm: &str) -> Annotation {
    Annotation {
        subtype,
        aux: rhythm.into(),
        ..Annotation::new(sample, Code::new(code).unwrap())
    }
}

const RHYTHMS: [&str; 8] = ["(N", "(AFIB", "(N", "(AFIB", "(AFL", "(VFL", "(B", ""];

/// `synthetic` of `reference/episodes.py`.
fn synthetic(random: &mut SplitMix64, rate: u64, samples: u64) -> Vec<Annotation> {
    const NORMAL: &[u8] = &[1, 1, 1, 1, 1, 1, 2, 3, 25, 13, 12, 30];
    const VENTRICULAR: &[u8] = &[5, 5, 5, 5, 6, 10, 41];
    const SUPRAVENTRICULAR: &[u8] = &[9, 9, 8, 4, 7, 11, 34, 35];
    let mut list = Vec::new();
    let mut t = random.below(rate);
    let (mut left, mut kind) = (0, NORMAL);
    while t < samples {
        list.push(match random.below(1000) {
            0..12 => annotation(t, 28, 0, random.pick(&RHYTHMS)),
            12..14 => annotation(t, 32, 0, ""),
            14..22 => annotation(t, 33, 0, ""),
            22..25 => annotation(t, 14, 0x30, ""),
            25..30 => annotation(t, 14, 0, ""),
            _ => {
                if left == 0 {
                    kind = match random.below(100) {
                        0..8 => VENTRICULAR,
                        8..16 => SUPRAVENTRICULAR,
                        _ => NORMAL,
                    };
                    left = match kind == NORMAL {
                        true => 1,
                        false => random.pick(&[1, 2, 2, 3, 4, 5, 6, 9]),
                    };
                }
                left -= 1;
                annotation(t, random.pick(kind), 0, "")
            }
        });
        t += rate * 30 / 100 + random.below(rate * 60 / 100);
    }
    list
}

/// `perturbed` of `reference/episodes.py`.
fn perturbed(random: &mut SplitMix64, list: &[Annotation], rate: u64) -> Vec<Annotation> {
    let mut copy = Vec::new();
    for original in list {
        if random.below(100) >= 4 {
            let mut reach = match random.below(100) {
                0..80 => rate / 20,
                _ => rate * 22 / 100,
            };
            if original.code == Code::RHYTHM_CHANGE {
                reach = rate * 20;
            }
            let sample = random.moved(original.sample, reach);
            let relabelled = original.code.number() < 14 && random.below(100) < 6;
            let code = match relabelled {
                true => Code::new(random.pick(&[1, 9, 5, 6, 13])).unwrap(),
                false => original.code,
            };
            copy.push(Annotation {
                sample,
                code,
                ..original.clone()
            });
        }
        if random.below(1000) < 6 {
            copy.push(annotation(original.sample, 28, 0, random.pick(&RHYTHMS)));
        }
    }
    copy.sort_by_key(|annotation| annotation.sample);
    copy
}

/// Reference found and missed, test right and wrong; samples of the reference's episodes and of their overlap, samples of
/// the test's and of their overlap.
fn af_cells(af: &Af, rate: f64) -> Vec<u64> {
    let samples = |seconds: f64| (seconds * rate).round() as u64;
    let [tps, missed] = af.reference;
    let [tpp, fp] = af.test;
    let overlap = samples(af.overlap_s);
    let (reference, test) = (samples(af.reference_s), samples(af.test_s));
    vec![tps, missed, tpp, fp, reference, overlap, test, overlap]
}

/// The twelve counts of `rxr -l`.
fn run_cells(runs: &Runs) -> Vec<u64> {
    let rates = runs.rates();
    let cells = |found: Found| [found.tps, found.missed, found.tpp, found.fp];
    [rates.couplets, rates.short_runs, rates.long_runs]
        .map(cells)
        .concat()
}

/// 200 comparisons of random lists with rhythms, flutter and shutdowns, against the counts of epicmp and rxr
/// (`reference/episodes.py`).
#[test]
fn counts_of_random_lists_are_those_of_epicmp_and_rxr() {
    let mut count = 0;
    for line in include_str!("reference/episodes.csv").lines() {
        let (name, cells) = line.split_once(',').unwrap();
        let cells: Vec<u64> = cells.split(',').map(|cell| cell.parse().unwrap()).collect();
        let [rate, samples, from_s] = cells[..3] else {
            panic!("{line}");
        };
        let mut random = SplitMix64(crc32(name));
        let reference = synthetic(&mut random, rate, samples);
        let test = perturbed(&mut random, &reference, rate);
        let options = Options {
            from_s: from_s as f64,
            ..Options::ec57(rate as f64, Some(samples))
        };
        let af = Af::compare(&reference, &test, &options);
        assert_eq!(af_cells(&af, rate as f64), cells[3..11], "{name} AF");
        for (kind, expected) in [
            (Ectopic::Ventricular, &cells[11..23]),
            (Ectopic::Supraventricular, &cells[23..35]),
        ] {
            let runs = Runs::compare(&reference, &test, kind, &options);
            assert_eq!(run_cells(&runs), expected, "{name} {kind:?}");
        }
        count += 1;
    }
    assert_eq!(count, 200);
}

/// A rate in whole percent, as the programs print it.
fn percent(rate: Option<f64>) -> String {
    rate.map_or("-".to_owned(), |rate| {
        ((100.0 * rate + 0.5) as u64).to_string()
    })
}

/// Seconds as `mstimstr` prints them, without spaces in front.
fn clock(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    match minutes {
        0 if ms == 0 => "0.000".to_owned(),
        _ => format!("{minutes}:{:02}.{:03}", rest / 1000, rest % 1000),
    }
}

/// What epicmp and rxr of WFDB 10.7 printed of sixty pairs of annotation files that lie beside the data, every cell.
#[test]
fn every_cell_that_the_programs_printed() {
    let folder = std::env::var_os("HEARTLENS_DATA")
        .map(|data| Path::new(&data).join("../accept/episodes"))
        .filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        println!("skipped: no folder accept/episodes beside HEARTLENS_DATA");
        return;
    };
    let mut count = 0;
    for table in [
        "epicmp-af.txt",
        "rxr-ventricular.txt",
        "rxr-supraventricular.txt",
    ] {
        let text = std::fs::read_to_string(folder.join(table)).unwrap();
        let header = |line: &&str| !line.starts_with('(') && !line.starts_with("Record");
        for line in text.lines().filter(header) {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let read = |extension: &str| {
                let path = folder.join(cells[0]).with_extension(extension);
                Annotations::read(path).unwrap().list
            };
            let (reference, test) = (read("atr"), read("tst"));
            let options = Options::ec57(250.0, Some(450_000));
            let found = if table.starts_with("epicmp") {
                let rates = Af::compare(&reference, &test, &options).rates();
                let counts = [rates.tps, rates.missed, rates.tpp, rates.fp];
                let percents = [
                    rates.episode_se,
                    rates.episode_ppv,
                    rates.duration_se,
                    rates.duration_ppv,
                ];
                let durations = [rates.reference_s, rates.test_s];
                let counts = counts.iter().map(u64::to_string);
                let percents = percents.into_iter().map(percent);
                let found = counts.chain(percents);
                found.chain(durations.map(clock)).collect::<Vec<_>>()
            } else {
                let kind = match table.contains("supra") {
                    true => Ectopic::Supraventricular,
                    false => Ectopic::Ventricular,
                };
                let runs = Runs::compare(&reference, &test, kind, &options);
                let rates = runs.rates();
                let kinds = [rates.couplets, rates.short_runs, rates.long_runs];
                let percents = kinds.map(|found| [found.se, found.ppv].map(percent));
                let counts = run_cells(&runs).into_iter().map(|count| count.to_string());
                counts.chain(percents.concat()).collect()
            };
            assert_eq!(found, cells[1..], "{table}: {line}");
            count += 1;
        }
    }
    assert_eq!(count, 90);
}

/// Two lists of one rhythm each, by hand: 2 of 3 episodes found, one of them in two parts.
#[test]
fn af_by_hand() {
    let list = |changes: &[(u64, &str)]| -> Vec<Annotation> {
        let change = |(second, name): &(u64, &str)| Annotation::rhythm_change(second * 100, name);
        changes.iter().map(change).collect()
    };
    let reference = list(&[
        (0, "(AFIB\0"),
        (20, "(N"),
        (40, "(AFIB"),
        (80, "(AFL"),
        (90, "(AFIB"),
    ]);
    let test = list(&[
        (30, "(AFIB"),
        (50, "(N"),
        (60, "(AFIB"),
        (70, "(N"),
        (95, "(AFIB"),
        (97, "(N"),
    ]);
    let options = Options {
        from_s: 10.0,
        ..Options::ec57(100.0, Some(10_000))
    };
    let af = Af::compare(&reference, &test, &options);
    assert_eq!((af.reference, af.test), ([2, 1], [3, 0]));
    assert_eq!(
        (af.reference_s, af.test_s, af.overlap_s),
        (60.0, 32.0, 22.0)
    );
    let nothing = Af::compare(&[], &[], &options).rates();
    assert_eq!((nothing.episode_se, nothing.duration_ppv), (None, None));
    // Without a known length, an episode lasts to the last annotation.
    let open = Options {
        record_samples: None,
        ..options
    };
    assert_eq!(Af::compare(&reference, &test, &open).reference_s, 50.0);
}

/// Runs by hand: V V V missed by one beat, a couplet that is too long, a run that a shutdown ends.
#[test]
fn runs_by_hand() {
    let beats = |codes: &str| -> Vec<Annotation> {
        let beat = |(i, code): (usize, char)| {
            let mut annotation = Annotation::new(
                1000 + 100 * i as u64,
                Code::from_mnemonic(&code.to_string()).unwrap(),
            );
            annotation.subtype = if code == '~' { 0x30 } else { 0 };
            annotation
        };
        codes.chars().enumerate().map(beat).collect()
    };
    let options = Options {
        from_s: 0.0,
        ..Options::ec57(100.0, None)
    };
    let reference = beats("NVVVNNVVNNVVVFVV~VN");
    let test = beats("NVVNNNVVVNVVVVVVVVN");
    let rates = Runs::compare(&reference, &test, Ectopic::Ventricular, &options).rates();
    let counts = |found: Found| [found.tps, found.missed, found.tpp, found.fp];
    assert_eq!(counts(rates.couplets), [1, 0, 1, 0]);
    assert_eq!(counts(rates.short_runs), [0, 1, 0, 1]);
    assert_eq!(counts(rates.long_runs), [1, 0, 1, 0]);
    let none = Runs::compare(&reference, &test, Ectopic::Supraventricular, &options).rates();
    assert_eq!(none.couplets.se, None);
}
