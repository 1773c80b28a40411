//! Watches an ECG live: an AD8232 at the converter of the nRF52840, a beat's class over the log and on three lights.
//!
//! Research software, not a medical device. It has been built, and never run.

#![no_std]
#![no_main]

use heartlens_core::link::Engine as _;
use heartlens_firmware::board::{self, Flash, FrontEnd, Panel};
use heartlens_firmware::live::Live;
use heartlens_firmware::network::{ARENA_WORDS, Arena, Network, Place};
use heartlens_firmware::stack;
use static_cell::ConstStaticCell;

const PLACE: Place = Place {
    board: board::NAME,
    pinned: Flash::pinned,
    instructions: board::instructions,
};

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);

/// Puts everything into its place. Its frame is gone when the work begins.
#[inline(never)]
fn set_up() -> (FrontEnd, Panel, Network<Flash>) {
    let (front_end, panel, flash) = board::live();
    let network = match Network::open(flash, PLACE, ARENA.take()) {
        Ok(network) => network,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::info!(
        "ready board={=str} model={=str}",
        board::NAME,
        network.model()
    );
    (front_end, panel, network)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    let (front_end, mut panel, mut network) = set_up();
    // On the stack, where nothing has to be moved to or kept in flash.
    let mut live = Live::new();
    let calibration = front_end.calibration();
    front_end.run(|block| {
        live.block(block, &calibration, &mut network, &mut panel, |beat| {
            defmt::info!(
                "beat r_sample={=u32} class={=str} rr_ms={=u32} logits={} fibrillation={} stack={=usize}",
                beat.sample,
                beat.class.name(),
                beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32),
                beat.logits,
                beat.fibrillation,
                stack::deepest()
            );
        });
    })
}
