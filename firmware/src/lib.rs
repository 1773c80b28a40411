//! Heartlens on a Cortex-M4F: what core computes there, and what it costs.
//!
//! [`stretch`], [`replay`], [`pipeline`], [`watch`], [`strips`], [`network`] and [`live`] are portable, so that a host, and the cores without a
//! board of `heartlens-cores`, run the very same code and all can be compared; the board, its stopwatch, faults and logging are
//! compiled for a board alone.

#![no_std]

pub mod live;
pub mod network;
pub mod pipeline;
pub mod replay;
pub mod stretch;
pub mod strips;
pub mod watch;

#[cfg(board)]
pub mod board;
#[cfg(board)]
#[expect(
    unsafe_code,
    reason = "the runtime declares exception handlers unsafe to call"
)]
mod fault;
#[cfg(all(board, feature = "netduinoplus2"))]
pub mod source;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(board)]
pub mod stopwatch;

// Linked for what they define: the critical section, and where the log goes.
#[cfg(board)]
use cortex_m as _;
#[cfg(all(board, feature = "nrf52840"))]
use defmt_rtt as _;
#[cfg(all(board, feature = "netduinoplus2"))]
use defmt_semihosting as _;
