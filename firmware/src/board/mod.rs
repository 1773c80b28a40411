//! The boards: the only code that knows a memory map or a peripheral. A feature of the crate chooses one.
//!
//! Each board is one file with these items, and one linker script in `memory/`:
//! - `NAME` - what the board is called.
//! - `start` - makes the clock of [`instructions`] run; called once, first.
//! - `instructions` - instructions executed since then, modulo 2^32; cycles where the board counts those.
//! - `finish` - ends the run and tells whoever started the board how it went.
//! - `serial` - its [`Serial`] line and its [`Flash`]; called once.
//! - `Serial` - `read` waits for bytes and gives how many came, `write` puts all bytes on the line.
//! - `Flash` - the model slots: an [`embedded_storage`] flash that can be read like memory.

mod slots;

#[cfg(feature = "netduinoplus2")]
mod netduinoplus2;
#[cfg(feature = "netduinoplus2")]
pub use netduinoplus2::{Flash, NAME, Serial, finish, instructions, serial, start};

#[cfg(feature = "nrf52840")]
mod nrf52840;
#[cfg(feature = "nrf52840")]
pub use nrf52840::{
    Flash, FrontEnd, NAME, Panel, Serial, finish, instructions, live, serial, start,
};

#[cfg(all(feature = "netduinoplus2", feature = "nrf52840"))]
compile_error!("choose one board: --no-default-features --features nrf52840");
