//! Watches an ECG live: an AD8232 at the converter of the nRF52840, a beat's class over the log and on three lights.
//!
//! Research software, not a medical device. It has been built, and never run.

#![no_std]
#![no_main]

use heartlens_core::link::ModelStore as _;
use heartlens_core::rhythm::{self, Rules};
use heartlens_firmware::board::{self, Flash, FrontEnd, Panel};
use heartlens_firmware::live::Live;
use heartlens_firmware::network::{self, ARENA_WORDS, Arena, Network, RHYTHM, Store};
use heartlens_firmware::stack;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);

/// Puts everything into its place. Its frame is gone when the work begins.
#[inline(never)]
fn set_up() -> (
    FrontEnd,
    Panel,
    Network,
    rhythm::Model<'static>,
    Store<Flash>,
) {
    let (front_end, panel, flash) = board::live();
    let (network, store) = match network::open(flash, ARENA.take()) {
        Ok(opened) => opened,
        Err(error) => defmt::panic!("{}", error),
    };
    let rhythm = match rhythm::Model::load(RHYTHM, Rules::SHIPPED) {
        Ok(rhythm) => rhythm,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::info!(
        "ready board={=str} model={=str}",
        board::NAME,
        store.name(&network)
    );
    (front_end, panel, network, rhythm, store)
}

/// Makes the monitor where the caller keeps it. What that takes of the stack is gone when the work begins.
#[inline(never)]
fn live(network: Network, rhythm: rhythm::Model<'static>) -> Live<'static, Network> {
    Live::new(network, Some(rhythm))
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    let (front_end, mut panel, network, rhythm, mut store) = set_up();
    // On the stack, where nothing has to be moved to or kept in flash.
    let mut live = live(network, rhythm);
    let calibration = front_end.calibration();
    front_end.run(|lost, block| {
        live.block(lost, block, &calibration, &mut panel, |beat| {
            store.classified();
            defmt::info!(
                "beat r_sample={=u32} class={=str} rr_ms={=u32} logits={} fibrillation={} stack={=usize}",
                beat.r_sample,
                beat.class.name(),
                beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32),
                beat.logits,
                beat.fibrillation,
                stack::deepest()
            );
        });
    })
}
