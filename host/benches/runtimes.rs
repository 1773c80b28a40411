//! The shipped model in every runtime that this machine has, on the demo record's beats: `cargo bench -p heartlens --bench
//! runtimes`. All take turns within a round, and each counts by its fastest, so that what else the machine does
//! burdens none of them alone. One thread.

use heartlens::Model;
use heartlens::model::ONNX_FILE;
use heartlens::pipeline::{canonical_lead, for_each_beat};
use heartlens::records::Record;
use heartlens::runtime::ort::Ort;
use heartlens::runtime::tract::Tract;
use heartlens::runtime::{Kind, ModelError, Runtime};
use heartlens_core::detector::Detector;
use heartlens_core::patient::Patient;
use heartlens_core::views::Views;
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Rounds of each table.
const ROUNDS: usize = 400;
const BEATS: usize = 256;
/// Fewest beats of a turn: short enough that some turns of each are left alone by whatever else runs.
const TURN: usize = 16;
const BATCHES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// One line of a table: what runs, and its microseconds a beat so far.
struct Line {
    name: String,
    runtime: Box<dyn Runtime>,
    at_once: usize,
    fastest_us: f64,
}

impl Line {
    fn new(name: String, runtime: Box<dyn Runtime>, at_once: usize) -> Self {
        Self {
            name,
            runtime,
            at_once,
            fastest_us: f64::INFINITY,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let beats = beats(&root.join("models/demo/demo"))?;
    let model = Model::shipped()?;

    let mut lines = Vec::new();
    for kind in Kind::ALL {
        match model.network(*kind) {
            Ok(runtime) => lines.push(Line::new(kind.to_string(), runtime, 1)),
            Err(error) => eprintln!("{kind} is left out: {error}"),
        }
    }
    measure(&mut lines, &beats)?;
    let slowest = lines.iter().map(|line| line.fastest_us).fold(0.0, f64::max);
    println!("one beat at a time          us a beat   faster than the slowest");
    for line in &lines {
        let fastest = line.fastest_us;
        println!(
            "{:<27} {fastest:>9.2}   {:>6.1}",
            line.name,
            slowest / fastest
        );
    }

    let path = root.join("models/beat").join(ONNX_FILE);
    let onnx = std::fs::read(&path)?;
    sweep("tract", &beats, |batch| {
        Ok(Box::new(Tract::with_batch(&onnx, &path, batch)?))
    })?;
    sweep("ort", &beats, |batch| {
        Ok(Box::new(Ort::with_batch(&onnx, &path, batch)?))
    })
}

/// A runtime by the number of beats that it is given at once.
fn sweep(
    name: &str,
    beats: &[Views],
    load: impl Fn(usize) -> Result<Box<dyn Runtime>, ModelError>,
) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for batch in BATCHES {
        match load(batch) {
            Ok(runtime) => lines.push(Line::new(format!("{batch} at once"), runtime, batch)),
            Err(error) => {
                eprintln!("{name} is left out: {error}");
                return Ok(());
            }
        }
    }
    measure(&mut lines, beats)?;
    let single = lines.first().map_or(0.0, |line| line.fastest_us);
    println!("\n{name:<27} us a beat   faster than one at a time");
    for line in &lines {
        let fastest = line.fastest_us;
        println!(
            "{:<27} {fastest:>9.2}   {:>6.2}",
            line.name,
            single / fastest
        );
    }
    Ok(())
}

/// Lets each line take a turn in each round.
fn measure(lines: &mut [Line], beats: &[Views]) -> Result<(), ModelError> {
    for round in 0..ROUNDS {
        for line in &mut *lines {
            let turn = line.at_once.max(TURN);
            let turns = beats.len() / turn;
            let beats = &beats[round % turns * turn..][..turn];
            let start = Instant::now();
            for part in beats.chunks(line.at_once) {
                black_box(line.runtime.logits(black_box(part))?);
            }
            let us = start.elapsed().as_secs_f64() * 1e6;
            line.fastest_us = line.fastest_us.min(us / turn as f64);
        }
    }
    Ok(())
}

/// The first [`BEATS`] beats of a record's lead 0.
fn beats(record: &Path) -> Result<Vec<Views>, Box<dyn Error>> {
    let signal = canonical_lead(&Record::open(record)?, 0)?;
    let mut beats = Vec::new();
    for_each_beat(&signal, Detector::new(), Patient::default(), |beat| {
        let mut views = Views::ZERO;
        views.compute(&beat.frame);
        beats.push(views);
    });
    beats.truncate(BEATS);
    assert_eq!(beats.len(), BEATS, "the record is too short");
    Ok(beats)
}
