//! Classifies what a host sends over the serial line, and takes new models from it: the device's end of
//! `heartlens device`.

#![no_std]
#![no_main]

use heartlens_core::link::{Board, Device, ModelStore as _};
use heartlens_core::rhythm::{self, Rules};
use heartlens_firmware::board::{self, Flash, Serial};
use heartlens_firmware::network::{self, ARENA_WORDS, Arena, BUILT_IN, Network, RHYTHM, Store};
use heartlens_firmware::stack;
use static_cell::ConstStaticCell;

const BOARD: Board = Board {
    name: board::NAME,
    instructions: board::instructions,
};

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);

/// Puts everything into its place. Its frame is gone when the work begins.
#[inline(never)]
fn set_up() -> (Serial, Network, rhythm::Model<'static>, Store<Flash>) {
    let (serial, flash) = board::serial();
    let (network, store) = match network::open(flash, ARENA.take()) {
        Ok(opened) => opened,
        Err(error) => defmt::panic!("{}", error),
    };
    let rhythm = match rhythm::Model::load(RHYTHM, Rules::SHIPPED) {
        Ok(rhythm) => rhythm,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::info!(
        "ready board={=str} model={=str} model_bytes={=usize} scratch_bytes={=usize}",
        board::NAME,
        store.name(&network),
        BUILT_IN.len(),
        size_of::<Arena>()
    );
    (serial, network, rhythm, store)
}

/// Makes the device where the caller keeps it. What that takes of the stack is gone when the work begins.
#[inline(never)]
fn device(network: Network, rhythm: rhythm::Model<'static>) -> Device<'static, Network> {
    Device::new(BOARD, network, Some(rhythm))
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    let (mut serial, network, rhythm, mut store) = set_up();
    // On the stack, where nothing has to be moved to or kept in flash.
    let mut device = device(network, rhythm);
    let (mut bytes, mut depth) = ([0; 64], 0);
    loop {
        let count = serial.read(&mut bytes);
        let mut answered = false;
        for byte in bytes.iter().take(count) {
            device.receive(*byte, &mut store, |packet| {
                answered = true;
                serial.write(packet);
            });
        }
        // Looking at the stack takes longer than a byte does; what goes deep ends in an answer.
        let deepest = if answered { stack::deepest() } else { 0 };
        if deepest > depth {
            depth = deepest;
            defmt::info!("stack bytes={=usize}", depth);
        }
    }
}
