//! What core and the program tell of signals that are none, and its resampler against the one of records.

use heartlens::records::Record;
use heartlens::records::resample::resample;
use heartlens::{Model, Options};
use heartlens_core::model::Logits;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{self, Rules, Summary};
use heartlens_core::sample::Calibration;
use heartlens_core::views::Views;
use heartlens_core::wearable::rate::Resampler;
use heartlens_core::wearable::{Config, Event, Rate, Signal, Wearable};
use heartlens_core::{Classifier, Network};
use std::f64::consts::TAU;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The classes do not matter here.
struct Normal;

impl Network for Normal {
    fn logits(&mut self, _: &Views) -> Logits {
        [1.0, 0.0, 0.0, 0.0]
    }
}

/// The rhythm of a signal at 128 Hz, and the time that a rhythm network which judges everything would have told.
fn rhythm_of(signal: &[f32]) -> Result<Summary> {
    let image = std::fs::read(root().join("models/beat/rhythm.hlr"))?;
    let rhythm = rhythm::Model::load(&image, Rules::NONE)?;
    let mut classifier = Classifier::new(Normal, Some(rhythm), Patient::default());
    for sample in signal {
        classifier.push(*sample);
    }
    classifier.finish();
    while classifier.poll().is_some() {}
    Ok(*classifier.rhythm().summary())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Uniform numbers of 0..1 (xorshift64), the same each time, and sums of twelve, nearly normal.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

const HOUR: usize = 3600 * 128;

fn signal(mut next: impl FnMut(f64) -> f64) -> Vec<f32> {
    (0..HOUR).map(|i| next(i as f64 / 128.0) as f32).collect()
}

/// What the program makes of a signal at 128 Hz, by half a minute at a time.
fn rhythm_on_host(name: &str, signal: &[f32]) -> Result<heartlens::summary::Rhythm> {
    let record = Record::from_mv(name, 128.0, vec![("II".to_owned(), signal.to_vec())])?;
    let model = Model::shipped()?;
    Ok(model.classify(&record, &Options::default())?.summary.rhythm)
}

fn assert_no_fibrillation(name: &str, signal: &[f32]) -> Result {
    let (device, host) = (rhythm_of(signal)?, rhythm_on_host(name, signal)?);
    assert_eq!(device.episodes, 0, "{name}");
    assert_eq!(host.fibrillation_episodes, 0, "{name}, on a host");
    for (on, judged_s) in [("device", device.judged_s()), ("host", host.judged_s)] {
        let judged = judged_s / (signal.len() as f64 / 128.0);
        println!("{name}: {:.1} % judged on a {on}", 100.0 * judged);
        assert!(
            judged < 0.01,
            "{name}: {judged} of the time was judged on a {on}"
        );
    }
    Ok(())
}

/// An hour each of what a front end gives without a body.
#[test]
fn no_fibrillation_is_told_of_noise() -> Result {
    let mut random = Random(88_172_645_463_325_252);
    for size in [0.02, 0.1, 1.0] {
        let white = signal(|_| size * random.normal());
        assert_no_fibrillation(&format!("white noise, {size} mV"), &white)?;
    }
    // Pink noise by Voss's method: sources that change half as often as the one before.
    for size in [0.05, 0.3] {
        let (mut sources, mut turn) = ([0.0; 12], 0_u32);
        let pink = signal(|_| {
            turn += 1;
            sources[(turn.trailing_zeros() as usize).min(11)] = random.normal();
            size * (sources.iter().sum::<f64>() + random.normal())
        });
        assert_no_fibrillation(&format!("pink noise, {size} mV"), &pink)?;
    }
    // An open electrode's hum, steady and as hands come near.
    for (hz, size, sway, noise) in [
        (50.0, 1.0, 0.0, 0.0),
        (50.0, 1.0, 0.3, 0.01),
        (60.0, 1.0, 0.3, 0.01),
        (50.2, 2.0, 0.6, 0.02),
        (60.0, 3.0, 0.8, 0.02),
        (50.0, 0.3, 0.5, 0.05),
    ] {
        let mut near = 0.0;
        let hum = signal(|t| {
            near += 0.05 * random.normal() - near / 400.0;
            size * (1.0 + sway * near) * (TAU * hz * t).sin() + noise * random.normal()
        });
        assert_no_fibrillation(&format!("hum of {hz} Hz, {size} mV, {sway}"), &hum)?;
    }
    let bits = signal(|_| ((random.uniform() - 0.5) * 65_536.0).trunc() / 200.0);
    assert_no_fibrillation("random bits", &bits)?;
    // A detached electrode: it drifts, hums a little, and crackles for some seconds at a time.
    let mut drift = 0.0;
    let detached = signal(|t| {
        drift += 0.02 * random.normal() - 0.0005 * drift;
        let crackle = if (t as u32 / 5).is_multiple_of(3) {
            0.3
        } else {
            0.004
        };
        drift + crackle * random.normal() + 0.1 * (TAU * 50.0 * t).sin()
    });
    assert_no_fibrillation("a detached electrode", &detached)
}

fn data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HEARTLENS_DATA").map(|data| Path::new(&data).join(name));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: HEARTLENS_DATA names no folder with {name}");
    }
    folder
}

fn lead(record: &Record, index: usize) -> Result<Vec<f32>> {
    let samples = record.read_lead(index)?;
    Ok(resample(&samples, record.sample_rate_hz(), 128.0)?)
}

#[test]
fn no_fibrillation_is_told_of_recorded_noise() -> Result {
    let Some(folder) = data("nstdb") else {
        return Ok(());
    };
    for name in ["bw", "em", "ma"] {
        let record = Record::open(folder.join(name))?;
        for index in 0..2 {
            // Half an hour, twice.
            let signal = lead(&record, index)?.repeat(2);
            let summary = rhythm_of(&signal)?;
            println!("{name} {index}: {:.0} s judged", summary.judged_s());
            assert_eq!(summary.episodes, 0, "{name}, lead {index}");
            let host = rhythm_on_host(name, &signal)?;
            println!("{name} {index}: {:.0} s judged on a host", host.judged_s);
            assert_eq!(
                host.fibrillation_episodes, 0,
                "{name}, lead {index}, on a host"
            );
        }
    }
    Ok(())
}

/// Of the challenge's recordings that experts call fibrillation, it is still told in most, and in few of those in sinus rhythm.
#[test]
fn real_fibrillation_is_still_told() -> Result {
    let Some(folder) = data("cinc2017") else {
        return Ok(());
    };
    let labels = std::fs::read_to_string(folder.join("REFERENCE.csv"))?;
    let told = |label: &str, most: usize| -> Result<(usize, usize, f64)> {
        let (mut records, mut told, mut seconds) = (0, 0, 0.0);
        let lines = labels.lines().filter_map(|line| line.split_once(','));
        for (name, _) in lines.filter(|(_, of)| of.trim() == label).take(most) {
            let Ok(record) = Record::open(folder.join(name)) else {
                continue;
            };
            let summary = rhythm_of(&lead(&record, 0)?)?;
            records += 1;
            told += usize::from(summary.episodes > 0);
            seconds += summary.judged_s() * summary.fibrillation_share().unwrap_or(0.0);
        }
        Ok((records, told, seconds))
    };
    let (fibrillation, found, seconds) = told("A", usize::MAX)?;
    println!("fibrillation: told in {found} of {fibrillation} recordings, for {seconds:.0} s");
    // Were everything judged: 388 of 537 recordings, 6010 s.
    assert!(
        found * 100 >= 67 * fibrillation,
        "{found} of {fibrillation}"
    );
    let (sinus, wrongly, _) = told("N", 500)?;
    println!("sinus rhythm: told in {wrongly} of {sinus}");
    assert!(wrongly * 100 <= 2 * sinus, "{wrongly} of {sinus}");
    Ok(())
}

/// Core's resampler on counts, in counts.
fn resampled(rate: Rate, counts: &[i16]) -> Vec<f32> {
    let mut resampler = Resampler::new(rate);
    let mut result = Vec::new();
    for count in counts {
        resampler.push(*count);
        while let Some(value) = resampler.poll() {
            result.push(value.unwrap_or(f32::NAN));
        }
    }
    result
}

/// The response of core's polyphase filter is that of records' resampler where the views look, 0 to 40 Hz, and what would fold
/// onto that band is gone.
#[test]
fn the_devices_resampler_is_the_hosts_up_to_40_hz() -> Result {
    const SIZE: f64 = 10_000.0;
    for rate in Rate::ALL {
        let hz = f64::from(rate.hz());
        let sine = |cycles: f64| -> Vec<i16> {
            (0..(40.0 * hz) as usize)
                .map(|i| (SIZE * (TAU * cycles * i as f64 / hz).sin()).round() as i16)
                .collect()
        };
        let mut worst = 0.0_f64;
        for cycles in [0.5, 1.0, 5.0, 11.0, 17.0, 25.0, 32.0, 38.0, 40.0] {
            let counts = sine(cycles);
            let floats: Vec<f32> = counts.iter().map(|count| f32::from(*count)).collect();
            let expected = resample(&floats, hz, 128.0)?;
            let found = resampled(*rate, &counts);
            assert!(expected.len() - found.len() <= 128 * 32 / rate.hz() as usize + 1);
            for (found, expected) in found.iter().zip(&expected).skip(256).take(128 * 35) {
                worst = worst.max(f64::from(found - expected).abs() / SIZE);
            }
        }
        // Its ripple, 0.1 dB.
        assert!(worst < 0.0115, "{hz} Hz: {worst}");
        let mut folded = 0.0_f64;
        let mut cycles = 89.0;
        while cycles < hz / 2.0 {
            let found = resampled(*rate, &sine(cycles));
            let peak = found[256..]
                .iter()
                .map(|x| f64::from(x.abs()))
                .fold(0.0, f64::max);
            folded = folded.max(peak / SIZE);
            cycles += 7.0;
        }
        // -42 dB.
        assert!(folded < 0.008, "{hz} Hz: {folded}");
        println!("{hz} Hz: {worst:.5} from the host's, {folded:.5} folds back");
        // A constant keeps its value, to the bit, in every phase.
        assert!(
            resampled(*rate, &[12_345; 3000])
                .iter()
                .all(|x| *x == 12_345.0)
        );
    }
    Ok(())
}

/// Samples that are missing are missing in the result as well, where the host says so.
#[test]
fn missing_samples_are_missing_where_the_host_says_so() -> Result {
    for rate in Rate::ALL {
        let mut counts: Vec<i16> = (0..4 * rate.hz() as i32).map(|i| (i % 50) as i16).collect();
        let second = rate.hz() as usize;
        counts[second..second + second / 3].fill(i16::MIN);
        counts[3 * second] = i16::MIN;
        let missing = |count: &i16| match *count {
            i16::MIN => f32::NAN,
            count => f32::from(count),
        };
        let floats: Vec<f32> = counts.iter().map(missing).collect();
        let expected = resample(&floats, f64::from(rate.hz()), 128.0)?;
        let found = resampled(*rate, &counts);
        let gaps = |signal: &[f32]| -> Vec<usize> {
            (0..signal.len()).filter(|i| signal[*i].is_nan()).collect()
        };
        assert_eq!(gaps(&found), gaps(&expected), "{} Hz", rate.hz());
        assert!(gaps(&found).len() > 40);
    }
    Ok(())
}

/// What a wearable says of the first ten minutes of a signal at 256 Hz, in mV, as those of a converter that is told as one of another
/// rate: whether it ever says that the rate is wrong, and whether it ever says that the signal is anything but readable or noisy.
fn said_of_a_rate(told: Rate, signal: &[f32]) -> Result<(bool, bool)> {
    let image = std::fs::read(root().join("models/beat/rhythm.hlr"))?;
    let config = Config {
        rate: told,
        calibration: Calibration {
            counts_per_mv: 1000.0,
            zero: 0,
        },
        patient: Patient::default(),
        rules: Rules::NONE,
    };
    let mut place = MaybeUninit::uninit();
    let wearable = Wearable::init(&mut place, config, Normal, rhythm::Network::load(&image)?)?;
    let mut said = (false, false);
    for sample in &signal[..signal.len().min(600 * 256)] {
        wearable.push((1000.0 * sample).round() as i16);
        while wearable.work().is_pending() {
            if let Some(Event::Signal { signal, .. }) = wearable.poll() {
                said.0 |= signal == Signal::Rate;
                said.1 |= matches!(signal, Signal::Rate | Signal::NoHeartbeat);
            }
        }
    }
    Ok(said)
}

/// Of 61 patients: at the right rate none is told a wrong one. How many are where it is wrong.
#[test]
fn a_wrong_rate_is_told_as_far_as_it_can_be() -> Result {
    let mut signals = Vec::new();
    for name in ["mitdb", "svdb"] {
        let Some(folder) = data(name) else {
            return Ok(());
        };
        for entry in folder.read_dir()? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "hea") {
                let record = Record::open(file.with_extension(""))?;
                let samples = record.read_lead(0)?;
                signals.push(resample(&samples, record.sample_rate_hz(), 256.0)?);
            }
        }
    }
    let all = signals.len();
    assert!(all >= 61, "{all} records");
    // The rate that is told instead of 256 Hz, and the share of the patients of whom it is said that the rate is wrong, or that
    // there is no heart.
    for (told, least) in [
        (Rate::HZ_256, 0.0),
        (Rate::HZ_360, 0.30),
        (Rate::HZ_1000, 0.78),
        (Rate::HZ_512, 0.90),
        (Rate::HZ_128, 0.90),
        (Rate::HZ_100, 0.95),
    ] {
        let mut found = (0, 0);
        for signal in &signals {
            let (rate, any) = said_of_a_rate(told, signal)?;
            found.0 += usize::from(rate);
            found.1 += usize::from(any);
        }
        println!("{} Hz: {found:?} of {all}", told.hz());
        match told.hz() == 256 {
            true => assert_eq!(found.0, 0),
            false => assert!(found.1 as f64 >= least * all as f64, "{found:?} of {all}"),
        }
    }
    Ok(())
}
