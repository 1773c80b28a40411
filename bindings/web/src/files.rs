//! Files that the page lends.

use heartlens_records::Given;
use js_sys::{Function, Uint8Array};
use std::cell::RefCell;
use std::io;
use wasm_bindgen::prelude::*;

/// Bytes that are asked of the page at a time: readers ask for little, and each question crosses to JavaScript.
const PART_BYTES: u64 = 1 << 20;

/// A file of the page's, and the part of it that was read last.
struct Lent {
    len: u64,
    read: Function,
    part: RefCell<(u64, Vec<u8>)>,
}

impl Lent {
    fn fetch(&self, at: u64) -> io::Result<(u64, Vec<u8>)> {
        let from = at - at % PART_BYTES;
        let length = PART_BYTES.min(self.len - from);
        let arguments = [JsValue::from(from as f64), JsValue::from(length as f64)];
        let [from_js, length_js] = &arguments;
        let bytes = self.read.call2(&JsValue::NULL, from_js, length_js);
        let bytes = bytes.map_err(|error| io::Error::other(message(&error)))?;
        let bytes = Uint8Array::new(&bytes).to_vec();
        match bytes.len() as u64 == length {
            true => Ok((from, bytes)),
            false => Err(io::Error::other(format!(
                "found {} bytes at {from}, expected {length}; the file has changed",
                bytes.len()
            ))),
        }
    }
}

/// An exception's own words.
fn message(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => error
            .as_string()
            .unwrap_or_else(|| "it cannot be read".to_owned()),
    }
}

impl Given for Lent {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if at >= self.len || into.is_empty() {
            return Ok(0);
        }
        let mut part = self.part.borrow_mut();
        if at < part.0 || at >= part.0 + part.1.len() as u64 {
            *part = self.fetch(at)?;
        }
        let rest = part.1.get((at - part.0) as usize..).unwrap_or_default();
        let now = rest.len().min(into.len());
        into[..now].copy_from_slice(&rest[..now]);
        Ok(now)
    }
}

/// Lends a file of `bytes` bytes under a name. `read(at, length)` gives a part of it as a `Uint8Array`, at once.
#[wasm_bindgen]
pub fn lend(name: &str, bytes: f64, read: Function) {
    let lent = Lent {
        len: bytes as u64,
        read,
        part: RefCell::default(),
    };
    heartlens_records::give(name, lent);
}

/// Ends the loan of a file. False where there was none of that name.
#[wasm_bindgen]
pub fn take_back(name: &str) -> bool {
    heartlens_records::take_back(name)
}
