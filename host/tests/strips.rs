//! A wearable with the strip network says of half minutes and of fibrillation what the program says of the same signal, to the bit.

use heartlens::records::Record;
use heartlens::records::resample::resample;
use heartlens::{Analysis, Model, Options};
use heartlens_core::model::{self, Aligned, Logits, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::wearable::{Config, Event, Rate, Wearable};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::task::Poll;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const BEAT: &Aligned<[u8; include_bytes!("../../models/beat/model.hlm").len()]> =
    &Aligned(*include_bytes!("../../models/beat/model.hlm"));
const STRIP: &Aligned<[u8; include_bytes!("../../models/beat/strip.hlm").len()]> =
    &Aligned(*include_bytes!("../../models/beat/strip.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../models/beat/rhythm.hlr");

const COUNTS_PER_MV: f32 = 400.0;

/// What was said of beats - R peak, class, probabilities - of half minutes - from, to, probabilities - and of fibrillation: first and last
/// beat. Times are in ms.
#[derive(Debug, Default, PartialEq)]
struct Said {
    beats: Vec<(u64, &'static str, [u32; 4])>,
    strips: Vec<(u64, u64, [u32; 4])>,
    fibrillation: Vec<(u64, u64)>,
}

fn bits(probabilities: Logits) -> [u32; 4] {
    probabilities.map(f32::to_bits)
}

/// When `work` is called.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// Until there is nothing left, after each sample.
    AtOnce,
    /// So many slices after each sample.
    Slices(usize),
    /// All there is, but only every so many samples.
    Every(usize),
}

fn on_device(counts: &[i16], pace: Pace) -> Result<Said> {
    let beat = model::Model::load(&BEAT.0)?;
    let strip = model::Model::load_for(&STRIP.0, Task::Strip)?;
    let (mut arena, mut strip_arena) = (vec![0; beat.arena_words()], vec![0; strip.arena_words()]);
    let config = Config {
        rate: Rate::HZ_128,
        calibration: Calibration {
            counts_per_mv: COUNTS_PER_MV,
            zero: 0,
        },
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let mut place = Box::new(MaybeUninit::uninit());
    let wearable = Wearable::with_strips(
        &mut place,
        config,
        beat.executor(&mut arena)?,
        Network::load(RHYTHM)?,
        strip.executor(&mut strip_arena)?,
    )?;
    let mut said = Said::default();
    let mut take = |event| match event {
        Event::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => said.strips.push((from_ms, until_ms, bits(probabilities))),
        Event::Fibrillation {
            since_ms,
            until_ms: None,
        } => said.fibrillation.push((since_ms, u64::MAX)),
        Event::Fibrillation {
            since_ms,
            until_ms: Some(until_ms),
        } => {
            let last = said.fibrillation.last_mut();
            assert_eq!(last.as_ref().map(|open| open.0), Some(since_ms));
            if let Some(open) = last {
                open.1 = until_ms;
            }
        }
        Event::Beat { at_ms, beat } => {
            assert_eq!(beat.fibrillation, None);
            let class = beat.class.name();
            said.beats.push((at_ms, class, bits(beat.probabilities)));
        }
        _ => {}
    };
    for (i, count) in counts.iter().enumerate() {
        wearable.push(*count);
        let slices = match pace {
            Pace::AtOnce => usize::MAX,
            Pace::Slices(slices) => slices,
            Pace::Every(samples) if i % samples == 0 => usize::MAX,
            Pace::Every(_) => 0,
        };
        for _ in 0..slices {
            let left = wearable.work();
            std::iter::from_fn(|| wearable.poll()).for_each(&mut take);
            if left == Poll::Ready(()) {
                break;
            }
        }
    }
    wearable.finish();
    while wearable.work().is_pending() {
        std::iter::from_fn(|| wearable.poll()).for_each(&mut take);
    }
    Ok(said)
}

fn on_host(counts: &[i16]) -> Result<Said> {
    let samples = counts.iter().map(|count| match *count {
        MISSING => f32::NAN,
        count => f32::from(count) / COUNTS_PER_MV,
    });
    let record = Record::from_mv("counts", 128.0, vec![("II".to_owned(), samples.collect())])?;
    let analysis = Model::shipped()?.classify(&record, &Options::default())?;
    let ms = |s: f64| (s * 128.0).round() as u64 * 1000 / 128;
    let beats = analysis.beats.iter();
    Ok(Said {
        beats: beats
            .map(|beat| (ms(beat.time_s), beat.class.name(), bits(beat.scores)))
            .collect(),
        strips: analysis
            .strips
            .iter()
            .map(|strip| (ms(strip.from_s), ms(strip.to_s), bits(strip.probabilities)))
            .collect(),
        fibrillation: fibrillation(&analysis, ms),
    })
}

/// A wearable's episodes, from the program's word on each beat: one that is not judged ends an episode only after half a minute.
fn fibrillation(analysis: &Analysis, ms: impl Fn(f64) -> u64) -> Vec<(u64, u64)> {
    let mut episodes = Vec::new();
    let mut open: Option<(u64, u64)> = None;
    for beat in &analysis.beats {
        let at_ms = ms(beat.time_s);
        match (beat.fibrillation, &mut open) {
            (Some(true), Some(open)) => open.1 = at_ms,
            (Some(true), none) => *none = Some((at_ms, at_ms)),
            (Some(false), _) => episodes.extend(open.take()),
            (None, Some((_, last))) if at_ms - *last > 30_000 => episodes.extend(open.take()),
            _ => {}
        }
    }
    // One that the recording ends in has had no end.
    episodes.extend(open.map(|(since, _)| (since, u64::MAX)));
    episodes
}

fn demo() -> Result<Vec<i16>> {
    counts_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/demo"))
}

fn counts_of(path: &Path) -> Result<Vec<i16>> {
    let record = Record::open(path)?;
    let lead = resample(&record.read_lead(0)?, record.sample_rate_hz(), 128.0)?;
    let counts = lead.iter().map(|mv| match mv.is_finite() {
        true => (mv * COUNTS_PER_MV).round() as i16,
        false => MISSING,
    });
    Ok(counts.collect())
}

fn assert_same(name: &str, counts: &[i16]) -> Result<Said> {
    let (device, host) = (on_device(counts, Pace::AtOnce)?, on_host(counts)?);
    assert_eq!(device.beats, host.beats, "{name}");
    assert_eq!(device.strips, host.strips, "{name}");
    assert_eq!(device.fibrillation, host.fibrillation, "{name}");
    Ok(device)
}

#[test]
fn the_demo_record_is_judged_alike_whenever_there_is_time() -> Result {
    let counts = demo()?;
    let said = assert_same("demo", &counts)?;
    assert_eq!(said.strips.len(), counts.len() / 1280);
    // Two slices a sample are enough for a heart of 71 beats a minute, and a second's work at a time is soon enough.
    for pace in [Pace::Slices(2), Pace::Slices(3), Pace::Every(128)] {
        assert_eq!(on_device(&counts, pace)?, said, "{pace:?}");
    }
    Ok(())
}

/// The end of a recording at any time: between windows, in one, and before the first.
#[test]
fn recordings_of_any_length_are_judged_alike() -> Result {
    let counts = demo()?;
    for len in [
        1, 100, 511, 512, 1279, 1280, 1281, 2000, 2559, 3840, 4000, 5119, 5900, 6401,
    ] {
        assert_same(&format!("{len} samples"), &counts[..len])?;
    }
    Ok(())
}

/// A short gap is bridged alike.
#[test]
fn missing_samples_are_judged_alike() -> Result {
    let mut counts = demo()?;
    for (from, len) in [(2_000, 40), (9_000, 250), (20_001, 1)] {
        counts[from..from + len].fill(MISSING);
    }
    assert_same("with gaps", &counts)?;
    Ok(())
}

/// A gap of more than 2 s divides a signal into recordings, on both sides alike, wherever it lies. No beat before one is late or early
/// for it.
#[test]
fn gaps_divide_a_signal_alike() -> Result {
    let demo = demo()?;
    for gaps in [
        &[(0, 300)][..],
        &[(0, 257), (30_000, 256), (31_000, 257)],
        &[
            (10_000, 3_000),
            (14_000, 20_000),
            (demo.len() - 2_000, 2_000),
        ],
        &[(8_001, 258), (8_300, 300), (8_601, 4_000)],
    ] {
        let mut counts = demo.clone();
        for (from, len) in gaps {
            counts[*from..from + len].fill(MISSING);
        }
        assert_same(&format!("{gaps:?}"), &counts)?;
    }
    // A steady rhythm.
    let steady: Vec<i16> = (0..12_000).map(|i| demo[2_000 + i % 109]).collect();
    let mut gone = steady;
    gone[6_000..9_000].fill(MISSING);
    let said = assert_same("steady", &gone)?;
    let early = said.beats.iter().filter(|beat| beat.1 == "S");
    assert_eq!(early.count(), 0, "{:?}", said.beats);
    Ok(())
}

/// Where one lead of two comes off, the other one goes on, and so does the recording.
#[test]
fn a_gap_in_one_lead_divides_nothing() -> Result {
    let demo: Vec<f32> = demo()?
        .iter()
        .map(|count| f32::from(*count) / 400.0)
        .collect();
    let mut off = demo.clone();
    off[10_000..14_000].fill(f32::NAN);
    let leads = |second: &[f32]| {
        let leads = vec![
            ("II".to_owned(), demo.clone()),
            ("V1".to_owned(), second.to_vec()),
        ];
        Record::from_mv("leads", 128.0, leads)
    };
    let mut options = Options::default();
    for choice in ["both", "all"] {
        let Ok(both) = choice.parse();
        options.leads = both;
        let model = Model::shipped()?;
        let samples = |record: &Record| -> Result<Vec<u64>> {
            let analysis = model.classify(record, &options)?;
            Ok(analysis.beats.iter().map(|beat| beat.sample).collect())
        };
        let (whole, part) = (samples(&leads(&demo)?)?, samples(&leads(&off)?)?);
        assert!(
            whole.len() > 300 && part.len() >= whole.len() - 1,
            "{choice}"
        );
        let both_off = {
            let mut first = demo.clone();
            first[10_000..14_000].fill(f32::NAN);
            let leads = vec![("II".to_owned(), first), ("V1".to_owned(), off.clone())];
            samples(&Record::from_mv("leads", 128.0, leads)?)?
        };
        let beyond = |beats: &[u64]| beats.iter().filter(|beat| **beat > 14_400).count();
        assert!(beyond(&both_off).abs_diff(beyond(&whole)) <= 1, "{choice}");
        assert!(both_off.len() < whole.len() - 20, "{choice}");
    }
    Ok(())
}

/// Behind a long gap nothing is known of what was before: the same signal is judged as if it were the first.
#[test]
fn behind_a_gap_half_minutes_begin_anew() -> Result {
    let demo = demo()?;
    let alone = on_device(&demo[..6000], Pace::AtOnce)?;
    let counts = [&demo[..6000], &[MISSING; 400][..], &demo[..6000]].concat();
    let both = on_device(&counts, Pace::AtOnce)?;
    let (_, second) = both.strips.split_at(both.strips.len() - alone.strips.len());
    let shift = (6400 * 1000) / 128;
    let expected: Vec<_> = alone
        .strips
        .iter()
        .map(|(from, until, bits)| (from + shift, until + shift, *bits))
        .collect();
    assert_eq!(second, expected);
    assert_eq!(both.strips[..4], alone.strips[..4]);
    assert_eq!(both.strips.len(), 2 * alone.strips.len());
    Ok(())
}

/// Who does no work for too long hears nothing of the half minutes that are gone by then, and of the others.
#[test]
fn work_that_comes_too_late_costs_verdicts_and_nothing_else() -> Result {
    let counts = demo()?;
    let all = on_device(&counts, Pace::AtOnce)?.strips;
    let late = on_device(&counts, Pace::Every(1500))?.strips;
    assert!((1..all.len()).contains(&late.len()), "{}", late.len());
    let spans: Vec<_> = all.iter().map(|(from, until, _)| (from, until)).collect();
    assert!(
        late.iter()
            .all(|(from, until, _)| spans.contains(&(from, until)))
    );
    Ok(())
}

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("HEARTLENS_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: HEARTLENS_DATA names no folder with mitdb and svdb");
    }
    data
}

/// Of all patients at hand.
#[test]
fn real_records_are_judged_alike() -> Result {
    let Some(data) = data() else {
        return Ok(());
    };
    let mut sum = (0, 0, 0);
    for base in ["mitdb", "svdb"] {
        for entry in data.join(base).read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "hea") {
                let name = path.display().to_string();
                let said = assert_same(&name, &counts_of(&path.with_extension(""))?)?;
                sum.0 += 1;
                sum.1 += said.strips.len();
                sum.2 += said.fibrillation.len();
            }
        }
    }
    println!(
        "{} records, {} half minutes, {} episodes",
        sum.0, sum.1, sum.2
    );
    assert!(sum.0 >= 61 && sum.1 > 10_000 && sum.2 > 20, "{sum:?}");
    Ok(())
}
