//! Integer kernels: what a network computes, to the bit, on every machine.
//!
//! `docs/integer-arithmetic.md` states the arithmetic: number formats, the one rounding rule, and why no accumulator
//! overflows. Each operator is one file with a portable `run_portable`, which is the specification in code; `run` takes
//! the kernels of `backend` and gives the same bits. Which those are is decided here and nowhere else: `armv7em` on
//! Cortex-M4 and M7, `x86` with the feature `simd` (which of its kernels, the processor says), `portable` on all others, of
//! which WebAssembly has the innermost product in vector instructions (`dot_wasm.rs`).
//!
//! An operator is built once from its geometry and its weights, which stay where they are (in flash), and everything is
//! checked there. Activations are int8, channels last: `[height, width, channels]`, of which a signal is
//! `[1, length, channels]` and a vector `[1, 1, channels]`. Running cannot fail, panic or allocate: scratch memory is
//! passed in, its size known beforehand. A buffer shorter than the operator says is a mistake of the caller; debug
//! builds assert, and all builds leave the output as it is.

mod activation;
mod add;
mod affine;
mod arithmetic;
mod concat;
mod convolution;
mod dense;
mod depthwise;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod dot;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[path = "dot_wasm.rs"]
mod dot;
mod error;
mod logits;
mod lstm;
mod pool;
mod portable;
mod relu;
mod window;

#[cfg(armv7em)]
mod armv7em;
#[cfg(armv7em)]
use armv7em as backend;
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
mod x86;
#[cfg(not(any(armv7em, all(feature = "simd", target_arch = "x86_64"))))]
use portable as backend;
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
use x86 as backend;
/// For the kernels that read windows as bytes.
#[cfg(any(armv7em, all(feature = "simd", target_arch = "x86_64")))]
mod windows;

pub use activation::{sigmoid, tanh};
pub use add::{Add, Operand};
pub use affine::{Channel, MAX_BIAS, MAX_COLUMNS, WeightBlock, blocks_len, pack};
pub use concat::ConcatPart;
pub use convolution::Convolution;
pub use dense::Dense;
pub use depthwise::Depthwise;
pub use error::LayerError;
pub(crate) use error::within;
pub use logits::Logits;
pub use lstm::{
    Direction, GateRow, Lstm, LstmOutput, LstmShape, MAX_GATE_BIAS, MAX_GATE_COLUMNS, pack_gates,
};
pub use pool::{AveragePool, MaxPool};
pub use relu::Relu;
pub use window::{Window, WindowShape};

/// Whether a buffer has at least the length that the operator says; debug builds assert it.
#[inline]
fn holds<T>(what: &str, buffer: &[T], expected: usize) -> bool {
    debug_assert!(
        buffer.len() >= expected,
        "{what} has {} elements, the operator needs {expected}",
        buffer.len()
    );
    buffer.len() >= expected
}
