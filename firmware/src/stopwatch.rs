//! Counts instructions, part by part.

use crate::board;
use crate::replay::{Meter, Part};

/// What one part cost, over all its measurements.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Measurements.
    pub count: u32,
    /// Instructions of all measurements together.
    pub total: u64,
    /// Instructions of the dearest measurement.
    pub largest: u32,
}

/// Counts instructions by the board's counter, less those of reading it.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    overhead: u32,
    from: u32,
    costs: [Cost; Part::ALL.len()],
}

impl Stopwatch {
    /// Starts the board's counter and measures what measuring costs.
    pub fn new() -> Self {
        board::start();
        let mut stopwatch = Self {
            overhead: 0,
            from: 0,
            costs: Default::default(),
        };
        stopwatch.start();
        stopwatch.overhead = stopwatch.elapsed();
        stopwatch
    }

    /// What the part cost so far.
    pub fn cost(&self, part: Part) -> Cost {
        self.costs[part as usize]
    }

    /// Instructions since the last `start`.
    #[inline(never)]
    pub fn elapsed(&self) -> u32 {
        board::instructions()
            .wrapping_sub(self.from)
            .wrapping_sub(self.overhead)
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter for Stopwatch {
    #[inline(never)]
    fn start(&mut self) {
        self.from = board::instructions();
    }

    fn stop(&mut self, part: Part) {
        let elapsed = self.elapsed();
        let cost = &mut self.costs[part as usize];
        cost.count += 1;
        cost.total += u64::from(elapsed);
        cost.largest = cost.largest.max(elapsed);
    }
}

/// A loop of `2 * turns` instructions, after one or two that load `turns`: what a stopwatch must count for it.
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
