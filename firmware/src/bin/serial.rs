//! Classifies what a host sends over the serial line, and takes new models from it: the device's end of
//! `heartlens device`.

#![no_std]
#![no_main]

use heartlens_core::link::{Device, Engine as _};
use heartlens_firmware::board::{self, Flash};
use heartlens_firmware::network::{ARENA_WORDS, Arena, BUILT_IN, Network, Place};
use heartlens_firmware::stack;

const PLACE: Place = Place {
    board: board::NAME,
    pinned: Flash::pinned,
    instructions: board::instructions,
};

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    let (mut serial, flash) = board::serial();
    let Some(arena) = cortex_m::singleton!(: Arena = [0; ARENA_WORDS]) else {
        defmt::panic!("the arena is taken")
    };
    let network = match Network::open(flash, PLACE, arena) {
        Ok(network) => network,
        Err(error) => defmt::panic!("{}", defmt::Display2Format(&error)),
    };
    let Some(device) = cortex_m::singleton!(: Device<Network<Flash>> = Device::new(network)) else {
        defmt::panic!("the device is taken")
    };
    defmt::info!(
        "ready board={=str} model={=str} model_bytes={=usize} scratch_bytes={=usize}",
        board::NAME,
        device.engine().model(),
        BUILT_IN.len(),
        size_of::<Arena>()
    );
    let (mut bytes, mut depth) = ([0; 64], 0);
    loop {
        let count = serial.read(&mut bytes);
        for byte in bytes.iter().take(count) {
            device.receive(*byte, |packet| serial.write(packet));
        }
        let deepest = stack::deepest();
        if deepest > depth {
            depth = deepest;
            defmt::info!("stack bytes={=usize}", depth);
        }
    }
}
