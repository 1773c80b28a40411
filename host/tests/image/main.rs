//! Device images: what is written is what is run, and nothing else is loaded.

mod programs;
mod reference;
mod runs;
