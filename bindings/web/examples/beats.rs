//! The beats of records, as this machine's engine has them, with every bit: what the tests compare the browser's with.
//!
//! `cargo run --release --example beats -- RECORD...` prints a JSON object a record: columns of numbers, floats as the bits that
//! they have.

use heartlens::records::Record;
use heartlens::{Beat, Model, Options};
use serde_json::json;
use std::error::Error;
use std::num::NonZeroUsize;

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::shipped()?;
    let mut options = Options::default();
    options.threads = Some(NonZeroUsize::MIN);
    for path in std::env::args().skip(1) {
        let record = Record::open(&path)?;
        let analysis = model.classify(&record, &options)?;
        let beats = &analysis.beats;
        let bits = |x: f32| format!("{:08x}", x.to_bits());
        let of = |each: &dyn Fn(&Beat) -> serde_json::Value| -> serde_json::Value {
            beats.iter().map(each).collect()
        };
        println!(
            "{}",
            json!({
                "record": path,
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
