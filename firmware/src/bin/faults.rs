//! Goes wrong in the way that `HEARTLENS_FAULT` names when it is built: `panic`, `hard-fault` or `stack-overflow`.
//! Each must end QEMU with an error; without a name the run succeeds.

#![no_std]
#![no_main]

use core::hint::black_box;
use heartlens_firmware::board;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::start();
    match option_env!("HEARTLENS_FAULT") {
        None => defmt::info!("no fault"),
        Some("panic") => panic!("a panic on purpose"),
        Some("hard-fault") => cortex_m::asm::udf(),
        Some("stack-overflow") => defmt::info!("sum={=u32}", deeper(black_box(u32::MAX))),
        Some(other) => defmt::panic!("HEARTLENS_FAULT={=str} is unknown", other),
    }
    board::finish(true)
}

/// Takes a kilobyte of stack a level.
fn deeper(levels: u32) -> u32 {
    let frame = black_box([levels; 256]);
    match levels {
        0 => 0,
        _ => deeper(levels - 1).wrapping_add(frame[1]),
    }
}
