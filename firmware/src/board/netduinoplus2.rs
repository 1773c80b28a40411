//! QEMU's `netduinoplus2`: an STM32F405 with its Cortex-M4F.
//!
//! QEMU is told `-icount shift=0`: every instruction then takes one nanosecond of virtual time. Its model of the
//! timer TIM2 counts virtual time at 1 GHz, so with a prescaler of one the timer counts instructions, exactly. (On
//! the real chip TIM2 runs at 84 MHz at most; there, cycles come from the core's own counter, which QEMU lacks.)

use super::slots;
use crate::network::PinnedFlash;
use core::ops::Range;
use core::ptr::{read_volatile, write_volatile};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use heartlens_core::slots::MappedFlash;

/// The board's name.
pub const NAME: &str = "netduinoplus2";

// STM32F405 reference manual (RM0090), section 18.4: registers of TIM2, at 0x4000_0000.
const TIM2_CR1: *mut u32 = 0x4000_0000 as *mut u32;
const TIM2_CNT: *mut u32 = 0x4000_0024 as *mut u32;
const TIM2_PSC: *mut u32 = 0x4000_0028 as *mut u32;
const TIM2_ARR: *mut u32 = 0x4000_002c as *mut u32;
const CR1_CEN: u32 = 1;

// Section 30.6: registers of USART1, at 0x4001_1000.
const USART1_SR: *mut u32 = 0x4001_1000 as *mut u32;
const USART1_DR: *mut u32 = 0x4001_1004 as *mut u32;
const USART1_CR1: *mut u32 = 0x4001_100c as *mut u32;
const SR_RXNE: u32 = 1 << 5;
const SR_TXE: u32 = 1 << 7;
const CR1_RE: u32 = 1 << 2;
const CR1_TE: u32 = 1 << 3;
const CR1_RXNEIE: u32 = 1 << 5;
const CR1_UE: u32 = 1 << 13;

/// Interrupt of USART1 (table 62).
#[derive(Clone, Copy)]
struct Usart1;

// SAFETY: 37 is USART1's place in the vector table, always.
#[expect(unsafe_code, reason = "the interrupt's number is a promise")]
unsafe impl InterruptNumber for Usart1 {
    fn number(self) -> u16 {
        37
    }
}

#[expect(unsafe_code, reason = "registers of this chip's peripherals")]
fn read(register: *mut u32) -> u32 {
    // SAFETY: called with the register addresses above alone; reading them touches no memory.
    unsafe { read_volatile(register) }
}

#[expect(unsafe_code, reason = "registers of this chip's peripherals")]
fn write(register: *mut u32, value: u32) {
    // SAFETY: called with the register addresses above alone; all are 32 bits wide and writing them touches no memory.
    unsafe { write_volatile(register, value) }
}

/// Starts the instruction counter.
pub fn start() {
    write(TIM2_PSC, 0);
    write(TIM2_ARR, u32::MAX);
    write(TIM2_CR1, CR1_CEN);
}

/// Instructions executed since [`start`], modulo 2^32.
pub fn instructions() -> u32 {
    read(TIM2_CNT)
}

/// Ends QEMU; its exit code is 0 after success and 1 otherwise.
pub fn finish(success: bool) -> ! {
    semihosting::process::exit(i32::from(!success))
}

/// The serial line and the model slots.
pub fn serial() -> (Serial, Flash) {
    write(USART1_CR1, CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE);
    // A pending interrupt ends the core's sleep; none is ever taken.
    cortex_m::interrupt::disable();
    #[expect(unsafe_code, reason = "interrupts are off and stay off")]
    // SAFETY: no critical section relies on this interrupt, which is never taken.
    unsafe {
        NVIC::unmask(Usart1);
    }
    (Serial, Flash)
}

/// USART1. QEMU has no baud rate, and holds bytes back until they are read.
#[derive(Debug)]
pub struct Serial;

impl Serial {
    /// Waits for bytes, asleep, and gives how many came.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(first) = buffer.first_mut() else {
            return 0;
        };
        while read(USART1_SR) & SR_RXNE == 0 {
            cortex_m::asm::wfi();
            NVIC::unpend(Usart1);
        }
        *first = read(USART1_DR) as u8;
        1
    }

    /// Puts all bytes on the line.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            while read(USART1_SR) & SR_TXE == 0 {}
            write(USART1_DR, (*byte).into());
        }
    }
}

/// RAM that behaves as flash does: writing clears bits, erasing sets those of whole pages.
#[derive(Debug)]
pub struct Flash;

impl PinnedFlash for Flash {
    #[expect(unsafe_code, reason = "whoever calls answers for who writes meanwhile")]
    unsafe fn pinned(range: Range<usize>) -> &'static [u8] {
        slots::bytes(range)
    }
}

impl Flash {
    #[expect(unsafe_code, reason = "memory that the linker script sets aside")]
    fn change(offset: u32, len: usize, new: impl Fn(usize, u8) -> u8) {
        let (start, _) = slots::region();
        for i in 0..len {
            let place = (start + offset as usize + i) as *mut u8;
            // SAFETY: callers have checked that offset and length lie within the region that is set aside for the
            // slots; no slice of what is written is held (see `slots::bytes`).
            unsafe { write_volatile(place, new(i, read_volatile(place))) }
        }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        let start = offset as usize;
        bytes.copy_from_slice(slots::bytes(start..start + bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        slots::region().1
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        Self::change(from, (to - from) as usize, |_, _| 0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        Self::change(offset, bytes.len(), |i, old| old & bytes[i]);
        Ok(())
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        slots::bytes(0..self.capacity())
    }
}
