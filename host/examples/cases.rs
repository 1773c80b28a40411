//! Writes the cases that every executor is asked: `cases FOLDER [DATA]`. For `cargo xtask executors`.
//!
//! A case is a lead of 128 Hz, as a WFDB record (`NAME.hea`, `NAME.dat`) and as a device reads it (`NAME.bin`). Those that are made are the
//! same on every machine; with the folder of the data bases, stretches of real records join them. Prints their names.

use heartlens::device::{self, CALIBRATION};
use heartlens::file::write_whole;
use heartlens::records::Record;
use heartlens_core::sample::MISSING;
use libm::{expf, sinf};
use std::error::Error;
use std::f32::consts::TAU;
use std::path::Path;

const RATE_HZ: f32 = 128.0;
const SECONDS: f32 = 60.0;

/// Real records, where from in seconds, and why they are here. A stretch is three minutes long.
const REAL: [(&str, u32); 4] = [
    // Fibrillation with ventricular beats.
    ("mitdb/203", 600),
    // Many ventricular and fusion beats.
    ("mitdb/208", 0),
    // Premature atrial beats.
    ("mitdb/209", 300),
    // Premature atrial beats, of the other data base.
    ("svdb/800", 0),
];
const REAL_SECONDS: u32 = 180;

/// A wave: its middle in seconds from the R peak, its width (a standard deviation) and its height in mV.
type Wave = (f32, f32, f32);

const NORMAL: &[Wave] = &[
    (-0.17, 0.022, 0.12),
    (-0.03, 0.009, -0.12),
    (0.0, 0.011, 1.1),
    (0.03, 0.010, -0.22),
    (0.26, 0.05, 0.28),
];
/// Without P wave.
const NARROW: &[Wave] = &[
    (-0.03, 0.009, -0.12),
    (0.0, 0.011, 1.1),
    (0.03, 0.010, -0.22),
    (0.14, 0.03, 0.15),
];
const WIDE: &[Wave] = &[(-0.02, 0.035, 1.5), (0.07, 0.04, -0.7), (0.3, 0.06, -0.4)];
/// A stimulus and the wide beat that it starts.
const PACED: &[Wave] = &[
    (-0.07, 0.003, 3.0),
    (0.0, 0.03, 1.2),
    (0.08, 0.035, -0.5),
    (0.3, 0.06, -0.35),
];

/// A beat's R peak in seconds, and its waves.
type Beat = (f32, &'static [Wave]);

/// Beats of one form at even intervals, from `from_s` to `to_s`.
fn even(from_s: f32, to_s: f32, rr_s: f32, form: &'static [Wave]) -> Vec<Beat> {
    let count = ((to_s - from_s) / rr_s) as u32;
    (0..count)
        .map(|i| (from_s + 0.5 + i as f32 * rr_s, form))
        .filter(|beat| beat.0 < to_s)
        .collect()
}

/// Whole numbers that look random: a linear congruence.
struct Numbers(u32);

impl Numbers {
    /// The next, 0..1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 16_777_216.0
    }
}

/// A line with these beats on it, in mV.
fn line(beats: &[Beat]) -> Vec<f32> {
    let mut line = vec![0.0; (SECONDS * RATE_HZ) as usize];
    for (peak_s, waves) in beats {
        for (middle_s, width_s, height_mv) in *waves {
            let middle = peak_s + middle_s;
            let reach = 5.0 * width_s;
            let first = ((middle - reach) * RATE_HZ).max(0.0) as usize;
            let last = (((middle + reach) * RATE_HZ).max(0.0) as usize).min(line.len());
            for (i, sample) in line.iter_mut().enumerate().take(last).skip(first) {
                let distance = (i as f32 / RATE_HZ - middle) / width_s;
                *sample += height_mv * expf(-0.5 * distance * distance);
            }
        }
    }
    line
}

/// Each sample changed by its time in seconds.
fn each(mut line: Vec<f32>, change: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    for (i, sample) in line.iter_mut().enumerate() {
        *sample = change(i as f32 / RATE_HZ, *sample);
    }
    line
}

fn pauses() -> Vec<Beat> {
    let beats = even(0.0, SECONDS, 0.85, NORMAL);
    let silent = |t: f32| (15.0..18.5).contains(&t) || (35.0..41.0).contains(&t);
    beats.into_iter().filter(|beat| !silent(beat.0)).collect()
}

/// Every fourth beat comes early: without P wave, or wide.
fn premature() -> Vec<Beat> {
    let mut beats = even(0.0, SECONDS, 0.8, NORMAL);
    for (i, beat) in beats.iter_mut().enumerate() {
        match i % 8 {
            3 => *beat = (beat.0 - 0.28, NARROW),
            7 => *beat = (beat.0 - 0.3, WIDE),
            _ => {}
        }
    }
    beats
}

fn irregular() -> Vec<f32> {
    let mut numbers = Numbers(7);
    let mut beats = Vec::new();
    let mut at = 0.5;
    while at < SECONDS {
        beats.push((at, NARROW));
        at += 0.38 + 0.6 * numbers.next();
    }
    each(line(&beats), |t, mv| {
        mv + 0.06 * sinf(TAU * 6.1 * t + 0.8 * sinf(TAU * 0.3 * t))
    })
}

/// Sinus rhythm that becomes ventricular fibrillation after twenty seconds.
fn ventricular_fibrillation() -> Vec<f32> {
    let beats = even(0.0, 20.0, 0.8, NORMAL);
    each(line(&beats), |t, mv| match t < 20.5 {
        true => mv,
        false => {
            let swell = 0.6 + 0.3 * sinf(TAU * 0.4 * t);
            swell * sinf(TAU * 4.7 * t + 1.5 * sinf(TAU * 0.7 * t))
        }
    })
}

/// The cases that need no data; NaN is a missing sample.
fn made() -> Vec<(&'static str, Vec<f32>)> {
    let sinus = || line(&even(0.0, SECONDS, 0.85, NORMAL));
    let within = |t: f32| (20.0..40.0).contains(&t);
    let mut numbers = Numbers(1);
    let mut noise = sinus();
    noise.fill_with(|| 0.8 * (numbers.next() + numbers.next() - 1.0));
    vec![
        ("silence", vec![0.0; sinus().len()]),
        ("sinus", sinus()),
        (
            "lead-off",
            each(sinus(), |t, mv| if within(t) { f32::NAN } else { mv }),
        ),
        ("bpm-300", line(&even(0.0, SECONDS, 0.2, NARROW))),
        ("bpm-20", line(&even(0.0, SECONDS, 3.0, NORMAL))),
        ("pauses", line(&pauses())),
        (
            "saturation",
            each(sinus(), |t, mv| {
                if within(t) {
                    32.0
                } else {
                    mv.clamp(-0.15, 0.6)
                }
            }),
        ),
        (
            "mains-hum",
            each(sinus(), |t, mv| mv + 0.25 * sinf(TAU * 50.0 * t)),
        ),
        ("inverted", each(sinus(), |_, mv| -mv)),
        ("paced", line(&even(0.0, SECONDS, 0.9, PACED))),
        ("premature", line(&premature())),
        ("irregular", irregular()),
        ("fibrillation", ventricular_fibrillation()),
        ("noise", noise),
    ]
}

fn write(folder: &Path, name: &str, counts: &[i16]) -> Result<(), Box<dyn Error>> {
    let header = format!(
        "{name} 1 {RATE_HZ} {}\n{name}.dat 16 {}({})/mV 16 0 0 0 0 II\n",
        counts.len(),
        CALIBRATION.counts_per_mv,
        CALIBRATION.zero
    );
    let bytes: Vec<u8> = counts
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    write_whole(&folder.join(format!("{name}.dat")), &bytes)?;
    write_whole(&folder.join(format!("{name}.hea")), header.as_bytes())?;
    write_whole(
        &folder.join(format!("{name}.bin")),
        &device::stretch(counts)?,
    )?;
    println!("{name}");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, data) = match &arguments[..] {
        [folder] => (folder, None),
        [folder, data] => (folder, Some(Path::new(data))),
        _ => return Err("usage: cases FOLDER [DATA]".into()),
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    for (name, line) in made() {
        let count = |mv: &f32| match mv.is_nan() {
            true => MISSING,
            false => (mv * CALIBRATION.counts_per_mv) as i16,
        };
        let counts: Vec<i16> = line.iter().map(count).collect();
        write(folder, name, &counts)?;
    }
    for (record, from_s) in data.iter().flat_map(|_| REAL) {
        let path = data.ok_or("no data")?.join(record);
        let counts = device::counts(&Record::open(path)?, 0)?;
        let from = from_s as usize * RATE_HZ as usize;
        let to = from + REAL_SECONDS as usize * RATE_HZ as usize;
        let stretch = counts.get(from..to).ok_or("the record is too short")?;
        write(folder, &record.replace('/', "-"), stretch)?;
    }
    Ok(())
}
