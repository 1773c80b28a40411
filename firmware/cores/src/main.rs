//! Plays the demo record in flash through core's wearable on a core that has no board in this workspace, and prints what came of
//! it and what its calls took, for `cargo xtask qemu --cores` to read:
//!
//! ```text
//! loop instructions=N ticks=N
//! watched samples=N beats=N hash=HEX
//! cost part=sample|beat|strip|slice count=N total=N largest=N
//! memory stack=N stretch=N
//! ```
//! With the feature `strips` the wearable has the strip network; without it there is no `part=strip`.
//!
//! Costs are in ticks of the core's own timer; the loop of known length says how many ticks an instruction takes.
//! On a host it prints the line `watched` alone.
//!
//! With the feature `file` it plays a file of the stretch's format instead, and prints each beat as it is told: the R peak in ms,
//! the class, and the bits of the four probabilities.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(feature = "file")]
mod file;
#[cfg(target_os = "none")]
mod machine;

use heartlens_firmware::network::ARENA_WORDS;
use heartlens_firmware::pipeline::Clock;
use heartlens_firmware::watch::{self, Watched};

/// Plays the record. All that it works on lies on the stack.
#[inline(never)]
fn play(clock: impl Clock) -> Option<Watched> {
    let mut arena = [0; ARENA_WORDS];
    #[cfg(feature = "strips")]
    {
        let mut strip_arena = [0; heartlens_firmware::network::STRIP_ARENA_WORDS];
        watch::watch_strips(&mut arena, &mut strip_arena, clock)
    }
    #[cfg(not(feature = "strips"))]
    watch::watch(&mut arena, clock)
}

#[cfg(not(target_os = "none"))]
fn main() {
    match play(heartlens_firmware::pipeline::NoClock) {
        Some(watched) => println!(
            "watched samples={} beats={} hash={:016x}",
            watched.samples, watched.beats, watched.hash
        ),
        None => std::process::exit(1),
    }
}
