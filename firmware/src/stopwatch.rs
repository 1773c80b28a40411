//! Counts instructions.

use crate::board;

/// Adds up the instructions of what it is told to run, without those of reading the counter.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    overhead: u32,
}

impl Stopwatch {
    /// Starts the board's counter and measures what reading it twice costs.
    pub fn new() -> Self {
        board::start();
        let mut stopwatch = Self { overhead: 0 };
        stopwatch.overhead = stopwatch.time(|| ()).1;
        stopwatch
    }

    /// Runs `work`; gives its result and the instructions it took.
    #[inline(never)]
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> (T, u32) {
        let from = board::instructions();
        let result = work();
        let until = board::instructions();
        (result, until.wrapping_sub(from).wrapping_sub(self.overhead))
    }
}

/// A loop of exactly `2 * turns` instructions: what a stopwatch must count for it.
#[inline(always)]
#[expect(unsafe_code, reason = "the one way to know which instructions run")]
pub fn known_loop(turns: u32) {
    // SAFETY: the two instructions change one register, which is declared, and the flags.
    unsafe {
        core::arch::asm!(
            "2:",
            "subs {turns}, {turns}, #1",
            "bne 2b",
            turns = inout(reg) turns => _,
            options(nomem, nostack),
        );
    }
}
