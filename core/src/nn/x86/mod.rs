//! The fast twins for x86-64: the same bits by vector instructions, chosen when the program runs.
//!
//! Convolutions and LSTMs sum up rows in lanes where the processor has VNNI and their weights fit (`lanes`, `recurrent`).
//! Otherwise inputs and weights are widened to int16 on their way to the multiplier and a row's products added across lanes
//! (`kernels`); scratch memory then holds only what does not lie together in the input.
#![allow(
    unsafe_code,
    reason = "a function that needs an instruction set is called once the processor is known to have it"
)]

mod isa;
mod kernels;
mod lanes;
mod pool;
mod recurrent;
#[cfg(test)]
mod tests;

use super::convolution::Convolution;
use super::dense::Dense;
use super::lstm::{Lstm, Pass, States};
use super::pool::MaxPool;
use super::portable;
use core::sync::atomic::{AtomicU8, Ordering};

/// The twin of [`Convolution::run_portable`], for buffers that fit.
#[inline]
pub(crate) fn convolution(
    layer: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i32],
    output: &mut [i8],
) {
    match Level::best() {
        Some(level) => level.convolution(layer, input, scratch, output),
        None => portable::convolution(layer, input, scratch, output),
    }
}

/// The twin of [`Dense::run_portable`], for buffers that fit.
#[inline]
pub(crate) fn dense(layer: &Dense<'_>, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
    match Level::best() {
        Some(level) => level.dense(layer, input, scratch, output),
        None => portable::dense(layer, input, scratch, output),
    }
}

/// The twin of [`MaxPool::run_portable`], for buffers that fit.
#[inline]
pub(crate) fn max_pool(layer: &MaxPool, input: &[i8], output: &mut [i8]) {
    match Level::best() {
        Some(level) => level.max_pool(layer, input, output),
        None => portable::max_pool(layer, input, output),
    }
}

/// The twin of one direction of [`Lstm::run_portable`], all of its steps, for buffers that fit.
#[inline]
pub(crate) fn lstm<'w>(
    layer: &Lstm<'w>,
    pass: &Pass<'_, 'w>,
    input: &[i8],
    scratch: &mut [i32],
    states: &mut States<'_>,
) {
    match Level::best() {
        Some(level) => level.lstm(layer, pass, input, scratch, states),
        None => portable::lstm(layer, pass, input, scratch, states),
    }
}

/// Instructions that this processor, and the system on it, can run. There is none of a set that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Set {
    Avx2 = 1,
    /// AVX-512 F, BW, VL and VNNI.
    Avx512Vnni = 2,
}

cpufeatures::new!(has_avx2, "avx2");
cpufeatures::new!(has_avx512, "avx2", "avx512f", "avx512bw", "avx512vl");

/// Whether there is VNNI. It is in leaf 7, ECX bit 11 (Intel SDM, CPUID), which is there wherever AVX-512 is.
fn has_vnni() -> bool {
    has_avx512::get() && core::arch::x86_64::__cpuid_count(7, 0).ecx >> 11 & 1 == 1
}

impl Level {
    /// The best one; `None` without AVX2.
    #[inline]
    fn best() -> Option<Self> {
        const UNKNOWN: u8 = 0;
        const AVX2: u8 = Set::Avx2 as u8;
        const AVX512VNNI: u8 = Set::Avx512Vnni as u8;
        const NONE: u8 = u8::MAX;
        // CPUID costs microseconds in a virtual machine.
        static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
        match KNOWN.load(Ordering::Relaxed) {
            UNKNOWN => {
                let best = Self::all().last();
                KNOWN.store(best.map_or(NONE, |level| level.0 as u8), Ordering::Relaxed);
                best
            }
            AVX2 => Some(Self(Set::Avx2)),
            AVX512VNNI => Some(Self(Set::Avx512Vnni)),
            _ => None,
        }
    }

    /// All of them, the best last.
    #[cold]
    fn all() -> impl Iterator<Item = Self> {
        let avx2 = has_avx2::get().then_some(Self(Set::Avx2));
        let vnni = has_vnni().then_some(Self(Set::Avx512Vnni));
        avx2.into_iter().chain(vnni)
    }

    #[inline]
    fn convolution(
        self,
        layer: &Convolution<'_>,
        input: &[i8],
        scratch: &mut [i32],
        output: &mut [i8],
    ) {
        // SAFETY: there is no level that the processor has not.
        unsafe {
            match self.0 {
                Set::Avx2 => avx2::convolution(layer, input, scratch, output),
                Set::Avx512Vnni => {
                    if !lanes::convolution(layer, input, output) {
                        avx512vnni::convolution(layer, input, scratch, output);
                    }
                }
            }
        }
    }

    #[inline]
    fn dense(self, layer: &Dense<'_>, input: &[i8], scratch: &mut [i32], output: &mut [i8]) {
        // SAFETY: there is no level that the processor has not.
        unsafe {
            match self.0 {
                Set::Avx2 => avx2::dense(layer, input, scratch, output),
                Set::Avx512Vnni => avx512vnni::dense(layer, input, scratch, output),
            }
        }
    }

    #[inline]
    fn max_pool(self, layer: &MaxPool, input: &[i8], output: &mut [i8]) {
        // SAFETY: each level has AVX2.
        unsafe { pool::max_pool(&layer.window, input, output) };
    }

    #[inline]
    fn lstm(
        self,
        layer: &Lstm<'_>,
        pass: &Pass<'_, '_>,
        input: &[i8],
        scratch: &mut [i32],
        states: &mut States<'_>,
    ) {
        let Pass {
            direction, order, ..
        } = *pass;
        // SAFETY: there is no level that the processor has not.
        unsafe {
            match self.0 {
                Set::Avx2 => avx2::lstm(layer, direction, order, input, scratch, states),
                Set::Avx512Vnni => {
                    if !recurrent::lstm(layer, direction, order, input, scratch, states) {
                        avx512vnni::lstm(layer, direction, order, input, scratch, states);
                    }
                }
            }
        }
    }
}

/// The operators compiled for an instruction set.
macro_rules! compiled {
    ($module:ident, $isa:ident, $features:literal) => {
        mod $module {
            use super::isa::$isa;
            use super::{Convolution, Dense, Lstm, States, kernels};
            use crate::nn::lstm::{Direction, Order};

            #[target_feature(enable = $features)]
            pub(super) fn convolution(
                layer: &Convolution<'_>,
                input: &[i8],
                scratch: &mut [i32],
                output: &mut [i8],
            ) {
                // SAFETY: whoever calls this has the features.
                unsafe { kernels::convolution::<$isa>(layer, input, scratch, output) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn dense(
                layer: &Dense<'_>,
                input: &[i8],
                scratch: &mut [i32],
                output: &mut [i8],
            ) {
                // SAFETY: whoever calls this has the features.
                unsafe { kernels::dense::<$isa>(layer, input, scratch, output) }
            }

            #[target_feature(enable = $features)]
            pub(super) fn lstm(
                layer: &Lstm<'_>,
                direction: &Direction<'_>,
                order: Order,
                input: &[i8],
                scratch: &mut [i32],
                states: &mut States<'_>,
            ) {
                // SAFETY: whoever calls this has the features.
                unsafe {
                    kernels::lstm::<$isa>(layer, direction, order, input, scratch, states);
                }
            }
        }
    };
}

compiled!(avx2, Avx2, "avx2");
compiled!(
    avx512vnni,
    Avx512Vnni,
    "avx2,avx512f,avx512bw,avx512vl,avx512vnni"
);
