//! What the `strips` image computes, on this machine: the same lines but for the costs. The first argument names a stretch; without it,
//! the one in the image.

use heartlens_firmware::network::{ARENA_WORDS, STRIP_ARENA_WORDS};
use heartlens_firmware::pipeline::NoClock;
use heartlens_firmware::stretch::{EMBEDDED, Stretch};
use heartlens_firmware::strips::{Player, Told};
use std::mem::MaybeUninit;

fn print(told: &Told) {
    match told {
        Told::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => {
            let digits = probabilities.map(|p| format!("{:08x}", p.to_bits()));
            println!(
                "strip from_ms={from_ms} until_ms={until_ms} probabilities={}",
                digits.concat()
            );
        }
        Told::Fibrillation { since_ms, until_ms } => println!(
            "fibrillation since_ms={since_ms} until_ms={}",
            until_ms.unwrap_or(0)
        ),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).map(std::fs::read).transpose()?;
    let stretch = Stretch::parse(file.as_deref().unwrap_or(EMBEDDED))?;
    let (mut arena, mut strip_arena) = ([0; ARENA_WORDS], [0; STRIP_ARENA_WORDS]);
    let mut place = Box::new(MaybeUninit::uninit());
    let arenas = (&mut arena, &mut strip_arena);
    let mut player = Player::new(&mut place, arenas, stretch.calibration(), NoClock)
        .ok_or("the networks that are built in are none for this firmware")?;
    for count in stretch.counts() {
        player.push(count, print);
    }
    let totals = player.finish(print);
    println!("signal samples={} beats={}", totals.samples, totals.beats);
    Ok(())
}
