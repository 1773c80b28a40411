//! The detector on real records, lead 0, from 5:00, judged as WFDB's bxb does. Figures are held from both sides: a
//! change that finds more beats moves the floor up, one that finds fewer fails.

use heartlens::evaluate::bxb::{Event, Kind, Label, Options, compare};
use heartlens::evaluate::mapping::Mapping;
use heartlens::evaluate::tally::Tally;
use heartlens::pipeline::canonical_lead;
use heartlens::records::{Record, resample};
use heartlens_core::class::Class;
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_tests::{annotated_records, data};
use std::error::Error;
use std::ops::RangeInclusive;
use std::path::Path;

/// What detection on one data base comes to.
struct Detection {
    se: f64,
    ppv: f64,
    /// Distance of each found beat from its reference, in seconds, ascending.
    distances_s: Vec<f64>,
    /// Share of readable beats among the found ones.
    readable: f64,
}

fn monitored(signal: &[f32]) -> Vec<MonitoredBeat> {
    let mut monitor = Monitor::new(Patient::default());
    let mut beats: Vec<MonitoredBeat> = signal.iter().filter_map(|x| monitor.push(*x)).collect();
    monitor.finish();
    beats.extend(std::iter::from_fn(|| monitor.poll()));
    assert_eq!(monitor.refused_peaks(), 0);
    beats
}

fn detect(folder: &Path) -> Result<Detection, Box<dyn Error>> {
    let mut tally = Tally::new();
    let mut distances_s = Vec::new();
    let (mut readable, mut all) = (0_usize, 0_usize);
    for path in annotated_records(folder)? {
        let record = Record::open(&path)?;
        let rate = record.sample_rate_hz();
        let annotations =
            heartlens::records::annotation::Annotations::read(record.annotation_path("atr"))?;
        let reference = Mapping::Aami.events(&annotations.list);
        let beats = monitored(&canonical_lead(&record, 0)?);
        readable += beats
            .iter()
            .filter(|beat| beat.quality.is_readable())
            .count();
        all += beats.len();
        let test: Vec<Event> = beats
            .iter()
            .map(|beat| {
                let sample = resample::from_canonical_index(beat.frame.r_sample, rate);
                Event::beat(sample, Class::N)
            })
            .collect();
        let options = Options::ec57(rate, Some(record.len_samples() as u64));
        let comparison = compare(&reference, &test, &options);
        for pair in &comparison.pairs {
            if let (Some(r), Some(t)) = (pair.reference_index, pair.test_index)
                && matches!(reference[r].kind, Kind::Beat(_))
                && pair.test == Label::Beat(Class::N)
            {
                distances_s.push(reference[r].sample.abs_diff(test[t].sample) as f64 / rate);
            }
        }
        tally.add_comparison(record.name(), &comparison);
    }
    distances_s.sort_by(f64::total_cmp);
    let qrs = tally.gross().table.qrs();
    println!(
        "{}: TP {} FN {} FP {}",
        folder.display(),
        qrs.tp,
        qrs.missed,
        qrs.fp
    );
    Ok(Detection {
        se: qrs.se.ok_or("no reference beats")?,
        ppv: qrs.ppv.ok_or("no detections")?,
        distances_s,
        readable: readable as f64 / all as f64,
    })
}

fn held(
    folder: &str,
    se: RangeInclusive<f64>,
    ppv: RangeInclusive<f64>,
) -> Result<(), Box<dyn Error>> {
    let Some(data) = data() else { return Ok(()) };
    let found = detect(&data.join(folder))?;
    let percentile = |q: f64| {
        let last = found.distances_s.len() - 1;
        1000.0 * found.distances_s[(q * last as f64) as usize]
    };
    println!(
        "{folder}: Se {:.3} %, +P {:.3} %, R placed within {:.1} ms (median) and {:.1} ms (95 %), {:.3} % readable",
        100.0 * found.se,
        100.0 * found.ppv,
        percentile(0.5),
        percentile(0.95),
        100.0 * found.readable,
    );
    assert!(
        se.contains(&(100.0 * found.se)),
        "Se {} outside {se:?}",
        100.0 * found.se
    );
    assert!(
        ppv.contains(&(100.0 * found.ppv)),
        "+P {} outside {ppv:?}",
        100.0 * found.ppv
    );
    assert!(percentile(0.5) <= 1000.0 / 128.0, "median placement");
    assert!(percentile(0.95) <= 25.0, "95th percentile of placement");
    assert!(found.readable > 0.99, "real beats are worth reading");
    Ok(())
}

#[test]
fn mitdb_beats_are_found() -> Result<(), Box<dyn Error>> {
    held("mitdb", 99.80..=99.99, 99.80..=99.99)
}

#[test]
fn svdb_beats_are_found() -> Result<(), Box<dyn Error>> {
    held("svdb", 99.85..=99.99, 99.80..=99.99)
}
