//! Where the linker script puts the model slots.

use core::ops::Range;

#[expect(unsafe_code, reason = "symbols of the linker script")]
unsafe extern "C" {
    safe static _slots_start: u8;
    safe static _slots_end: u8;
}

/// Address of the first byte, and the number of bytes.
pub(super) fn region() -> (usize, usize) {
    let start = &raw const _slots_start as usize;
    (start, &raw const _slots_end as usize - start)
}

/// Bytes of the slots, read in place.
///
/// Whoever writes must not write to these while the slice lives. [`heartlens_core::slots`] writes to the slot that is not
/// in use alone.
#[expect(unsafe_code, reason = "memory that the linker script sets aside")]
pub(super) fn bytes(range: Range<usize>) -> &'static [u8] {
    let (start, len) = region();
    let end = range.end.min(len);
    let begin = range.start.min(end);
    // SAFETY: the range lies within the region that the linker script sets aside for the slots, which is always
    // readable and which no Rust object shares. What writes to it goes through raw addresses, and only to a slot of
    // which no slice is held.
    unsafe { core::slice::from_raw_parts((start + begin) as *const u8, end - begin) }
}
