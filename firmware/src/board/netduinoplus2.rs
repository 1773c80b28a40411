//! QEMU's `netduinoplus2`: an STM32F405 with its Cortex-M4F.
//!
//! QEMU is told `-icount shift=0`: every instruction then takes one nanosecond of virtual time. Its model of the
//! timer TIM2 counts virtual time at 1 GHz, so with a prescaler of one the timer counts instructions, exactly. (On
//! the real chip TIM2 runs at 84 MHz at most; there, cycles come from the core's own counter, which QEMU lacks.)

use core::ptr::{read_volatile, write_volatile};

// STM32F405 reference manual (RM0090), section 18.4: registers of TIM2, at 0x4000_0000.
const TIM2_CR1: *mut u32 = 0x4000_0000 as *mut u32;
const TIM2_CNT: *mut u32 = 0x4000_0024 as *mut u32;
const TIM2_PSC: *mut u32 = 0x4000_0028 as *mut u32;
const TIM2_ARR: *mut u32 = 0x4000_002c as *mut u32;
const CR1_CEN: u32 = 1;

/// Starts the instruction counter.
#[expect(
    unsafe_code,
    reason = "registers of a peripheral that nothing else uses"
)]
pub fn start() {
    // SAFETY: these are TIM2's registers on this chip; all are 32 bits wide and writing them touches no memory.
    unsafe {
        write_volatile(TIM2_PSC, 0);
        write_volatile(TIM2_ARR, u32::MAX);
        write_volatile(TIM2_CR1, CR1_CEN);
    }
}

/// Instructions executed since [`start`], modulo 2^32.
#[expect(
    unsafe_code,
    reason = "register of a peripheral that nothing else uses"
)]
pub fn instructions() -> u32 {
    // SAFETY: reading the counter register has no side effect.
    unsafe { read_volatile(TIM2_CNT) }
}

/// Ends QEMU; its exit code is 0 after success and 1 otherwise.
pub fn finish(success: bool) -> ! {
    semihosting::process::exit(i32::from(!success))
}
