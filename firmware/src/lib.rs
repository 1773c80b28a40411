//! Heartlens on a Cortex-M4F: what core computes there, and what it costs.
//!
//! [`stretch`], [`replay`], [`pipeline`], [`network`] and [`live`] are portable, so that a host runs the very same code and
//! both can be compared; the board, its stopwatch, faults and logging are compiled for the machine alone.

#![no_std]

pub mod live;
pub mod network;
pub mod pipeline;
pub mod replay;
pub mod stretch;

#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
#[expect(
    unsafe_code,
    reason = "the runtime declares exception handlers unsafe to call"
)]
mod fault;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(target_os = "none")]
pub mod stopwatch;

// Linked for what they define: the critical section, and where the log goes.
#[cfg(target_os = "none")]
use cortex_m as _;
#[cfg(all(target_os = "none", feature = "nrf52840"))]
use defmt_rtt as _;
#[cfg(all(target_os = "none", feature = "netduinoplus2"))]
use defmt_semihosting as _;
