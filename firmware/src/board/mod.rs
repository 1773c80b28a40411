//! The boards: the only code that knows a memory map or a peripheral.
//!
//! Each board is one file with these functions, and one linker script in `memory/`:
//! - `start` - makes the clock of [`instructions`] run; called once, first.
//! - `instructions` - instructions executed since then, modulo 2^32.
//! - `finish` - ends the run and tells whoever started the board how it went.

mod netduinoplus2;

pub use netduinoplus2::{finish, instructions, start};
