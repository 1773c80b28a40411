//! What the `views` image computes, on this machine: the same lines but for the costs.

use heartlens_firmware::replay::{NoMeter, replay};
use heartlens_firmware::stretch::{EMBEDDED, Stretch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stretch = Stretch::parse(EMBEDDED)?;
    let filtered = replay(&stretch, &mut NoMeter, |beat| {
        println!(
            "beat r_sample={} readable={} waveform={:016x} spectrum={:016x} spectrogram={:016x} metadata={:016x}",
            beat.r_sample,
            beat.readable,
            beat.waveform,
            beat.spectrum,
            beat.spectrogram,
            beat.metadata
        );
    });
    println!(
        "signal samples={} filtered={filtered:016x}",
        stretch.counts().len()
    );
    Ok(())
}
