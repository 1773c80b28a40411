//! Computes the views of every beat of the embedded stretch, and logs their checksums and what they cost. One line a
//! beat and a part, for `cargo xtask qemu` to read:
//!
//! ```text
//! loop expected=N counted=N
//! beat r_sample=N readable=BOOL waveform=HEX spectrum=HEX spectrogram=HEX metadata=HEX
//! signal samples=N filtered=HEX
//! cost part=NAME count=N total=N largest=N
//! ```

#![no_std]
#![no_main]

use heartlens_firmware::board;
use heartlens_firmware::replay::{Meter, Part, replay};
use heartlens_firmware::stopwatch::{Stopwatch, known_loop};
use heartlens_firmware::stretch::{EMBEDDED, Stretch};

/// Turns of the loop of known length by which the instruction counter is checked.
const LOOP_TURNS: u32 = 1_000_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut stopwatch = Stopwatch::new();
    stopwatch.start();
    known_loop(LOOP_TURNS);
    let counted = stopwatch.elapsed();
    defmt::info!(
        "loop expected={=u32} counted={=u32}",
        2 * LOOP_TURNS,
        counted
    );

    let stretch = match Stretch::parse(EMBEDDED) {
        Ok(stretch) => stretch,
        Err(error) => defmt::panic!("{}", error),
    };
    let filtered = replay(&stretch, &mut stopwatch, |beat| {
        defmt::info!(
            "beat r_sample={=u32} readable={=bool} waveform={=u64:016x} spectrum={=u64:016x} spectrogram={=u64:016x} metadata={=u64:016x}",
            beat.r_sample,
            beat.readable,
            beat.waveform,
            beat.spectrum,
            beat.spectrogram,
            beat.metadata
        );
    });
    defmt::info!(
        "signal samples={=usize} filtered={=u64:016x}",
        stretch.counts().len(),
        filtered
    );
    for part in Part::ALL {
        let cost = stopwatch.cost(part);
        defmt::info!(
            "cost part={=str} count={=u32} total={=u64} largest={=u32}",
            part.name(),
            cost.count,
            cost.total,
            cost.largest
        );
    }
    board::finish(true)
}
