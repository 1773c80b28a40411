//! Plays a record through core's wearable with the strip network and logs what it tells of half minutes and of fibrillation: the
//! stretch in flash, or the file of the same format that the first argument names. For `cargo xtask qemu` to read:
//!
//! ```text
//! loop expected=N counted=N
//! strip from_ms=N until_ms=N probabilities=HEX
//! fibrillation since_ms=N until_ms=N
//! signal samples=N beats=N
//! cost part=strip|strip-slice|strip-call count=N total=N largest=N
//! memory state=N arena=N image=N stack=N
//! ```
//!
//! `probabilities` are the bits of four f32; `until_ms` is 0 as long as fibrillation lasts. A `strip` is all work on half a minute,
//! a `strip-slice` one slice of it, a `strip-call` any call.

#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use heartlens_firmware::network::{ARENA_WORDS, Arena, STRIP, STRIP_ARENA_WORDS, StripArena};
use heartlens_firmware::pipeline::{Clock, Cost};
use heartlens_firmware::replay::Meter as _;
use heartlens_firmware::source::Source;
use heartlens_firmware::stopwatch::{Stopwatch, known_loop};
use heartlens_firmware::strips::{Player, Playing, Told};
use heartlens_firmware::{board, stack};
use static_cell::{ConstStaticCell, StaticCell};

/// Turns of the loop of known length by which the instruction counter is checked.
const LOOP_TURNS: u32 = 1_000_000;

#[derive(Clone, Copy)]
struct BoardClock;

impl Clock for BoardClock {
    fn now(&self) -> u32 {
        board::instructions()
    }
}

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);
static STRIP_ARENA: ConstStaticCell<StripArena> = ConstStaticCell::new([0; STRIP_ARENA_WORDS]);
static PLACE: StaticCell<MaybeUninit<Playing<'static>>> = StaticCell::new();

fn log_cost(part: &str, cost: &Cost) {
    defmt::info!(
        "cost part={=str} count={=u32} total={=u64} largest={=u32}",
        part,
        cost.count,
        cost.total,
        cost.largest
    );
}

fn log(told: &Told) {
    match told {
        Told::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => {
            let [normal, fibrillation, other, noise] = probabilities.map(f32::to_bits);
            defmt::info!(
                "strip from_ms={=u64} until_ms={=u64} probabilities={=u32:08x}{=u32:08x}{=u32:08x}{=u32:08x}",
                from_ms,
                until_ms,
                normal,
                fibrillation,
                other,
                noise
            );
        }
        Told::Fibrillation { since_ms, until_ms } => defmt::info!(
            "fibrillation since_ms={=u64} until_ms={=u64}",
            since_ms,
            until_ms.unwrap_or(0)
        ),
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    let mut stopwatch = Stopwatch::new();
    stopwatch.start();
    known_loop(LOOP_TURNS);
    let counted = stopwatch.elapsed();
    defmt::info!(
        "loop expected={=u32} counted={=u32}",
        2 * LOOP_TURNS,
        counted
    );
    let source = Source::open();
    let place = PLACE.uninit();
    let place = place.write(MaybeUninit::uninit());
    let arenas = (ARENA.take(), STRIP_ARENA.take());
    let Some(mut player) = Player::new(place, arenas, source.calibration(), BoardClock) else {
        defmt::panic!("the image does not hold together")
    };
    source.each(|count| player.push(count, log));
    let totals = player.finish(log);
    defmt::info!(
        "signal samples={=u32} beats={=u32}",
        totals.samples,
        totals.beats
    );
    log_cost("strip", &totals.strip);
    log_cost("strip-slice", &totals.strip_slice);
    log_cost("strip-call", &totals.slice);
    defmt::info!(
        "memory state={=usize} arena={=usize} image={=usize} stack={=usize}",
        size_of::<Playing<'static>>(),
        size_of::<StripArena>(),
        STRIP.len(),
        stack::deepest()
    );
    board::finish(true)
}
