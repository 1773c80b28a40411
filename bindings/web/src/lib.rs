//! Heartlens in the browser: a recording that a page lends in, classified beats out.
//!
//! The page's workers drive this. [`lend`] names a file and the function that reads a part of it; [`Recording::open`] reads
//! what the command reads, through the same crates; [`Recording::classify`] is the command's own engine on one thread, so its
//! beats are the command's beats and its scores have the same bits. Nothing here opens a connection, and nothing is kept.
//!
//! Values for JavaScript are typed arrays where they are many, and JSON where they are few.
#![deny(missing_docs)]

mod analysed;
mod files;
mod line;
mod recording;
mod replay;
mod views;

pub use analysed::{Analysed, Marks, annotation_file, judge};
pub use files::{lend, take_back};
pub use line::{Line, window_samples};
pub use recording::{Outline, Recording};
pub use replay::Replay;
pub use views::ViewFinder;

use heartlens::message::one_line;
use wasm_bindgen::prelude::*;

/// What the page is told of an error: one sentence, as the command says it.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> JsError {
    JsError::new(&one_line(error))
}

/// Has a bug's message reach the page; it would otherwise be "unreachable". Called once, before anything else.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        wasm_bindgen::throw_str(&format!("a bug in the viewer: {panic}"));
    }));
}

/// This build's version.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
