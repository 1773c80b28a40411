//! What the `replay` image computes, on this machine: the same lines but for the costs. The first argument names a
//! stretch; without it, the one in the image.

use heartlens_core::model::Model;
use heartlens_core::rhythm::{self, Rules};
use heartlens_firmware::network::{ARENA_WORDS, Arena, BUILT_IN, RHYTHM};
use heartlens_firmware::pipeline::{MeteredBeat, NoClock, Pipeline};
use heartlens_firmware::stretch::{EMBEDDED, Stretch};

fn print(metered: &MeteredBeat) {
    let beat = &metered.beat;
    let hex = |values: &[f32]| -> String {
        let digits = values.iter().map(|v| format!("{:08x}", v.to_bits()));
        digits.collect()
    };
    let score = beat.probabilities.iter().copied().fold(0.0, f32::max);
    println!(
        "beat r_sample={} time_ms={} class={} score_permille={} rr_ms={} scores={} logits={} fibrillation={}",
        beat.r_sample,
        metered.time_ms(),
        beat.class.name(),
        (score * 1000.0) as u32,
        metered.rr_ms(),
        hex(&beat.probabilities),
        hex(&beat.logits),
        metered.fibrillation()
    );
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).map(std::fs::read).transpose()?;
    let stretch = Stretch::parse(file.as_deref().unwrap_or(EMBEDDED))?;
    let mut arena: Arena = [0; ARENA_WORDS];
    let executor = Model::load(BUILT_IN)?.executor(&mut arena)?;
    let rhythm = rhythm::Model::load(RHYTHM, Rules::SHIPPED)?;
    let mut pipeline = Pipeline::new(executor, rhythm, NoClock);
    let calibration = stretch.calibration();
    for count in stretch.counts() {
        if let Some(beat) = pipeline.push(calibration.sample_mv(count)) {
            print(&beat);
        }
    }
    pipeline.finish();
    while let Some(beat) = pipeline.poll() {
        print(&beat);
    }
    println!("signal samples={}", stretch.counts().len());
    Ok(())
}
