//! Watches an ECG live: an AD8232 at the converter of the nRF52840, a beat's class over the log and on three lights.
//!
//! Research software, not a medical device. It has been built, and never run.

#![no_std]
#![no_main]

use heartlens_core::link::Engine as _;
use heartlens_core::views::Views;
use heartlens_firmware::board::{self, Flash};
use heartlens_firmware::live::Live;
use heartlens_firmware::network::{ARENA_WORDS, Arena, Network, Place};

const PLACE: Place = Place {
    board: board::NAME,
    pinned: Flash::pinned,
    instructions: board::instructions,
};

#[cortex_m_rt::entry]
fn main() -> ! {
    board::start();
    let (front_end, mut panel, flash) = board::live();
    let Some(arena) = cortex_m::singleton!(: Arena = [0; ARENA_WORDS]) else {
        defmt::panic!("the arena is taken")
    };
    let mut network = match Network::open(flash, PLACE, arena) {
        Ok(network) => network,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    defmt::info!(
        "ready board={=str} model={=str}",
        board::NAME,
        network.model()
    );
    let mut live = Live::new(front_end.calibration(), |views: &Views| {
        network.logits(views)
    });
    front_end.run(|block| {
        live.block(block, &mut panel, |beat| {
            defmt::info!(
                "beat r_sample={=u32} class={=str} rr_ms={=u32} logits={}",
                beat.sample,
                beat.class.name(),
                beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32),
                beat.logits
            );
        });
    })
}
