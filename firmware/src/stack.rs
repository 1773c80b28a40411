//! How deep the stack has been: its unused part is painted, and later one looks how far the paint is gone.

use core::ptr::{read_volatile, write_volatile};

const PAINT: u32 = 0x5afe_57ac;
/// Bytes below the painter's own frame that it leaves alone.
const MARGIN: usize = 256;

#[expect(unsafe_code, reason = "symbols of the linker script")]
unsafe extern "C" {
    safe static _stack_start: u32;
    safe static _stack_end: u32;
}

/// Lowest and highest address of the stack.
fn ends() -> (usize, usize) {
    (
        &raw const _stack_end as usize,
        &raw const _stack_start as usize,
    )
}

/// Paints what lies below the caller; to be called first of all.
#[inline(never)]
#[expect(unsafe_code, reason = "the stack below this frame holds nothing")]
pub fn paint() {
    let here = 0_u32;
    let (end, _) = ends();
    let top = (&raw const here as usize).saturating_sub(MARGIN);
    for word in (end..top).step_by(4) {
        // SAFETY: the word lies in the stack, below all frames in use, where nothing is.
        unsafe { write_volatile(word as *mut u32, PAINT) }
    }
}

/// The deepest that the stack has been since [`paint`], in bytes.
#[expect(unsafe_code, reason = "the stack is read as memory")]
pub fn deepest() -> usize {
    let (end, start) = ends();
    let untouched = (end..start)
        .step_by(4)
        // SAFETY: the word lies in the stack, which is readable memory.
        .take_while(|word| unsafe { read_volatile(*word as *const u32) } == PAINT)
        .count();
    start - end - 4 * untouched
}
