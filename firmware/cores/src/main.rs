//! Plays the demo record in flash through core's wearable on a core that has no board in this workspace, and prints what came of
//! it and what its calls took, for `cargo xtask qemu --cores` to read:
//!
//! ```text
//! loop instructions=N ticks=N
//! watched samples=N beats=N hash=HEX
//! cost part=sample|beat|slice count=N total=N largest=N
//! memory stack=N stretch=N
//! ```
//!
//! Costs are in ticks of the core's own timer; the loop of known length says how many ticks an instruction takes.
//! On a host it prints the line `watched` alone.

#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
mod machine;

#[cfg(not(target_os = "none"))]
fn main() {
    use heartlens_firmware::{network::ARENA_WORDS, pipeline::NoClock, watch};
    let mut arena = [0; ARENA_WORDS];
    match watch::watch(&mut arena, NoClock) {
        Some(watched) => println!(
            "watched samples={} beats={} hash={:016x}",
            watched.samples, watched.beats, watched.hash
        ),
        None => std::process::exit(1),
    }
}
