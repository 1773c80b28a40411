//! Prints the beats of records as one runtime has them, every bit: `beats RUNTIME RECORD...`. For `cargo xtask executors`.
//!
//! A line a beat: the record's name, the R peak's sample, the class, and the bits of the four probabilities.

use heartlens::records::Record;
use heartlens::runtime::Kind;
use heartlens::{Model, Options};
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: beats RUNTIME RECORD...")?;
    let runtime = Kind::ALL.iter().find(|kind| kind.name() == name);
    let mut options = Options::default();
    options.runtime = *runtime.ok_or_else(|| format!("this build has no runtime {name}"))?;
    options.threads = Some(NonZeroUsize::MIN);
    let model = Model::shipped()?;
    for path in arguments {
        let analysis = model.classify(&Record::open(&path)?, &options)?;
        let name = Path::new(&path).file_stem().unwrap_or_default();
        for beat in &analysis.beats {
            let [n, s, v, f] = beat.scores.map(f32::to_bits);
            let (sample, class) = (beat.sample, beat.class.name());
            println!(
                "{} {sample} {class} {n:08x} {s:08x} {v:08x} {f:08x}",
                name.display()
            );
        }
    }
    Ok(())
}
