//! Classifies what a host sends over the serial line, and takes new models from it: the device's end of
//! `heartlens device`.

#![no_std]
#![no_main]

use heartlens_core::link::{Device, Engine as _};
use heartlens_firmware::board::{self, Flash, Serial};
use heartlens_firmware::network::{ARENA_WORDS, Arena, BUILT_IN, Network, Place};
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
fn set_up() -> (Serial, Network<Flash>) {
    let (serial, flash) = board::serial();
    let network = match Network::open(flash, PLACE, ARENA.take()) {
        Ok(network) => network,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::info!(
        "ready board={=str} model={=str} model_bytes={=usize} scratch_bytes={=usize}",
        board::NAME,
        network.model(),
        BUILT_IN.len(),
        size_of::<Arena>()
    );
    (serial, network)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    let (mut serial, mut network) = set_up();
    // On the stack, where nothing has to be moved to or kept in flash.
    let mut device = Device::new();
    let (mut bytes, mut depth) = ([0; 64], 0);
    loop {
        let count = serial.read(&mut bytes);
        for byte in bytes.iter().take(count) {
            device.receive(*byte, &mut network, |packet| serial.write(packet));
        }
        let deepest = stack::deepest();
        if deepest > depth {
            depth = deepest;
            defmt::info!("stack bytes={=usize}", depth);
        }
    }
}
