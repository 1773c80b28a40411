//! Heartlens on a Cortex-M4F.
//!
//! What is computed is portable and lives in modules that a host builds as well; what only exists on the machine -
//! the board, faults, logging - is compiled for it alone.

#![no_std]

#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "the runtime declares exception handlers unsafe to call")]
mod fault;
#[cfg(target_os = "none")]
pub mod stopwatch;

// Linked for what they define: the critical section, and where the log goes.
#[cfg(target_os = "none")]
use {cortex_m as _, defmt_semihosting as _};
