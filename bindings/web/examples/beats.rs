//! The beats of records, as this machine's engine has them, with every bit: what the tests compare the browser's with.
//!
//! `cargo run --release --example beats -- RECORD...` prints a JSON object a record: columns of numbers, floats as the bits that
//! they have, and how long it took on one thread. `--synth MINUTES STEM` writes a synthetic record of one lead at 128 Hz instead.

use heartlens::records::Record;
use heartlens::synth::{self, Recording};
use heartlens::{Beat, Model, Options};
use serde_json::json;
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, minutes, stem] = arguments.as_slice()
        && flag == "--synth"
    {
        return write(minutes.parse()?, stem);
    }
    let model = Model::shipped()?;
    let mut options = Options::default();
    options.threads = Some(NonZeroUsize::MIN);
    for path in &arguments {
        let begun = Instant::now();
        let record = Record::open(path)?;
        let analysis = model.classify(&record, &options)?;
        let seconds = begun.elapsed().as_secs_f64();
        let beats = &analysis.beats;
        let bits = |x: f32| format!("{:08x}", x.to_bits());
        let of = |each: &dyn Fn(&Beat) -> serde_json::Value| -> serde_json::Value {
            beats.iter().map(each).collect()
        };
        println!(
            "{}",
            json!({
                "record": path,
                "seconds": seconds,
                "samples": of(&|beat| json!(beat.sample)),
                "classes": of(&|beat| json!(beat.class.name())),
                "scores": of(&|beat| json!(beat.scores.map(bits).concat())),
                "quality": of(&|beat| json!(bits(beat.quality))),
                "fibrillation": of(&|beat| json!(beat.fibrillation.map_or(-1, i8::from))),
                "rr_ms": of(&|beat| json!(beat.rr_ms)),
                "summary": analysis.summary,
                "episodes": analysis.episodes,
                "hrv": analysis.hrv,
                "warnings": analysis.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        );
    }
    Ok(())
}

fn write(minutes: f64, stem: &str) -> Result<(), Box<dyn Error>> {
    let options = synth::Options {
        minutes,
        noise_db: Some(24.0),
        ..synth::Options::default()
    };
    Recording::generate(&options)?.write(std::path::Path::new(stem))?;
    Ok(())
}
