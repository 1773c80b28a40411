//! Device images: what is written is what is run, and nothing else is loaded.

mod budget;
mod document;
mod hostile;
mod plan;
mod programs;
mod reference;
mod refusals;
mod runs;
