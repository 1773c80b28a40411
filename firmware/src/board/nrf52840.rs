//! Nordic's nRF52840-DK, with an AD8232 front end for the live monitor. What is here has been built, and never run.
//!
//! | pin | what |
//! |---|---|
//! | P0.02 (AIN0) | AD8232 OUTPUT |
//! | P0.28, P0.29 | AD8232 LO+ and LO-: high while that electrode is off |
//! | P0.13, P0.14, P0.15 | LED 1 to 3 of the kit, lit while low |
//! | P0.06, P0.08 | serial line out and in, wired to the kit's USB bridge; 115,200 baud |

use super::slots;
use crate::live::{self, AD8232_GAIN, Lights, Overruns};
use crate::network::PinnedFlash;
use core::future::Future;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use cortex_m::peripheral::{DCB, DWT, SCB};
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::interrupt::{self, InterruptExt as _};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::pac::NVMC;
use embassy_nrf::pac::nvmc::vals::Wen;
use embassy_nrf::saadc::{self, CallbackResult, ChannelConfig, Resolution, Saadc};
use embassy_nrf::timer::{Frequency, Timer};
use embassy_nrf::{Peri, Peripherals, bind_interrupts, peripherals, uarte};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use heartlens_core::sample::Calibration;
use heartlens_core::slots::MappedFlash;
use heartlens_core::spec::SAMPLE_RATE_HZ;

/// The board's name.
pub const NAME: &str = "nrf52840";

bind_interrupts!(struct Interrupts {
    SAADC => saadc::InterruptHandler;
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

/// Ticks of the sampling timer, which runs at 16 MHz, from sample to sample.
const TICKS: u32 = 16_000_000 / SAMPLE_RATE_HZ;
const _: () = assert!(TICKS * SAMPLE_RATE_HZ == 16_000_000);

/// Samples of one of the two buffers that the converter fills in turn (125 ms).
const BLOCK: usize = 16;
/// Microseconds of a block.
const BLOCK_US: u32 = 1_000_000 * BLOCK as u32 / SAMPLE_RATE_HZ;
const _: () = assert!(BLOCK_US * SAMPLE_RATE_HZ == 1_000_000 * BLOCK as u32);

/// A page of flash is erased in parts of so many milliseconds, in which the core stands still, and so many of them. A page takes 85 ms
/// at most, and a part may be a tenth shorter than told.
const ERASE_PART_MS: u8 = 10;
const ERASE_PARTS: u32 = 10;

/// 14 bits over 3.6 V (gain 1/6, reference 0.6 V; nRF52840 product specification, section 6.23) behind the AD8232 module's gain, at half
/// of 3.3 V without a signal.
const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 16_384.0 / 3_600.0 * AD8232_GAIN,
    zero: 7_509,
};

/// Bytes that may wait to be read, or to be sent.
const SERIAL_BYTES: usize = 256;

/// Starts the core's cycle counter, and the instruction cache, without which flash makes the core wait.
pub fn start() {
    NVMC.icachecnf().write(|cache| cache.set_cacheen(true));
    // Taken here alone; the HAL takes the chip's own peripherals.
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.DCB.enable_trace();
        core.DWT.enable_cycle_counter();
    }
}

/// Cycles since [`start`], modulo 2^32.
pub fn instructions() -> u32 {
    DWT::cycle_count()
}

/// Tells the debugger, if there is one, how it went. Without one, the board starts again after a failure, and sleeps
/// after success.
pub fn finish(success: bool) -> ! {
    if DCB::is_debugger_attached() {
        semihosting::process::exit(i32::from(!success))
    }
    if !success {
        SCB::sys_reset()
    }
    loop {
        sleep();
    }
}

/// The chip's peripherals. Its clock is the crystal, since the RC oscillator may be 1.5 % off and with it each RR interval; its
/// DC/DC converter, which the energy table of performance.md assumes, needs the inductors that the kit has.
fn chip() -> Peripherals {
    let mut config = Config::default();
    config.hfclk_source = HfclkSource::ExternalXtal;
    config.dcdc.reg1 = true;
    embassy_nrf::init(config)
}

/// Sleeps until an interrupt.
///
/// An exception of the FPU's, such as that a result is not exact, stays in FPSCR and pends an interrupt that nobody takes, which
/// ends each sleep at once (nRF52840 errata, 87). Both are cleared before.
fn sleep() {
    #[expect(unsafe_code, reason = "a register of the core's")]
    // SAFETY: clears the bits that say which exceptions there were; the rounding mode and the flags of comparisons stay.
    unsafe {
        core::arch::asm!(
            "vmrs {0}, fpscr",
            "bic {0}, {0}, #0x9f",
            "vmsr fpscr, {0}",
            out(reg) _,
            options(nomem, nostack, preserves_flags)
        );
    }
    interrupt::FPU.unpend();
    cortex_m::asm::wfe();
}

/// Waits for what interrupts bring about, asleep between them.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // An interrupt since the poll has set the event that this waits for.
        sleep();
    }
}

/// The serial line and the model slots.
pub fn serial() -> (Serial, Flash) {
    let chip = chip();
    let mut config = uarte::Config::default();
    config.baudrate = uarte::Baudrate::Baud115200;
    let (Some(input), Some(output)) = (
        cortex_m::singleton!(: [u8; SERIAL_BYTES] = [0; SERIAL_BYTES]),
        cortex_m::singleton!(: [u8; SERIAL_BYTES] = [0; SERIAL_BYTES]),
    ) else {
        defmt::panic!("the serial line is opened twice");
    };
    let line = BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Interrupts,
        config,
        input,
        output,
    );
    (Serial(line), Flash(Nvmc::new(chip.NVMC)))
}

/// UARTE0, buffered both ways by DMA.
pub struct Serial(BufferedUarte<'static>);

impl Serial {
    /// Waits for bytes, asleep, and gives how many came. Damage on the line shows in the packets.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        wait(self.0.read(buffer)).unwrap_or(0)
    }

    /// Puts all bytes on the line.
    pub fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match wait(self.0.write(bytes)) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(_) => return,
            }
        }
    }
}

/// What the live monitor needs: the converter, electrodes and lights, and the model slots.
pub fn live() -> (FrontEnd, Panel, Flash) {
    let chip = chip();
    let mut config = saadc::Config::default();
    config.resolution = Resolution::_14bit;
    let channel = ChannelConfig::single_ended(chip.P0_02);
    let light = |pin: Peri<'static, embassy_nrf::gpio::AnyPin>| {
        Output::new(pin, Level::High, OutputDrive::Standard)
    };
    let front_end = FrontEnd {
        converter: Saadc::new(chip.SAADC, Interrupts, config, [channel]),
        timer: chip.TIMER1,
        clock: chip.TIMER2,
        restart: chip.PPI_CH0,
        sample: chip.PPI_CH1,
    };
    let panel = Panel {
        electrodes: [
            Input::new(chip.P0_28, Pull::None),
            Input::new(chip.P0_29, Pull::None),
        ],
        lights: [
            light(chip.P0_13.into()),
            light(chip.P0_14.into()),
            light(chip.P0_15.into()),
        ],
    };
    (front_end, panel, Flash(Nvmc::new(chip.NVMC)))
}

/// The converter at the canonical rate: a timer triggers each sample by PPI, DMA fills two buffers in turn.
pub struct FrontEnd {
    converter: Saadc<'static, 1>,
    timer: Peri<'static, peripherals::TIMER1>,
    clock: Peri<'static, peripherals::TIMER2>,
    restart: Peri<'static, peripherals::PPI_CH0>,
    sample: Peri<'static, peripherals::PPI_CH1>,
}

impl FrontEnd {
    /// What turns its counts into millivolts at the electrodes.
    pub fn calibration(&self) -> Calibration {
        CALIBRATION
    }

    /// Gives block after block to `take`, asleep in between, each with its time in ms by a clock that is not the converter's timer, and
    /// the number of samples lost before it. While one is taken, the next is filled; where taking one is not over by then, the one after is lost.
    pub fn run(mut self, mut take: impl FnMut(u32, u32, &[[i16; 1]])) -> ! {
        let mut buffers = [[[0; 1]; BLOCK]; 2];
        let clock = Timer::new(self.clock);
        clock.set_frequency(Frequency::F1MHz);
        clock.start();
        let mut overruns = Overruns::new(BLOCK_US);
        loop {
            wait(self.converter.calibrate());
            wait(self.converter.run_task_sampler(
                self.timer.reborrow(),
                self.restart.reborrow(),
                self.sample.reborrow(),
                Frequency::F16MHz,
                TICKS,
                &mut buffers,
                |block| {
                    let lost = overruns.block(clock.cc(0).capture());
                    if lost > 0 {
                        defmt::warn!("overrun blocks={=u32} all={=u32}", lost, overruns.lost());
                    }
                    take(overruns.now_ms(), lost * BLOCK as u32, block);
                    CallbackResult::Continue
                },
            ));
        }
    }
}

/// Electrodes and lights.
pub struct Panel {
    electrodes: [Input<'static>; 2],
    lights: [Output<'static>; 3],
}

impl live::Board for Panel {
    fn electrode_off(&mut self) -> bool {
        self.electrodes.iter().any(Input::is_high)
    }

    fn show(&mut self, lights: Lights) {
        let states = [lights.normal, lights.ectopic, lights.unreadable];
        for (light, on) in self.lights.iter_mut().zip(states) {
            light.set_level(if on { Level::Low } else { Level::High });
        }
    }
}

/// The last pages of the chip's flash.
pub struct Flash(Nvmc<'static>);

impl PinnedFlash for Flash {
    #[expect(unsafe_code, reason = "whoever calls answers for who writes meanwhile")]
    unsafe fn pinned(range: Range<usize>) -> &'static [u8] {
        slots::bytes(range)
    }
}

impl Flash {
    fn address(offset: u32) -> u32 {
        slots::region().0 as u32 + offset
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = Nvmc::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        let read = self.0.read(Self::address(offset), bytes);
        read.map_err(|_| NorFlashErrorKind::Other)
    }

    fn capacity(&self) -> usize {
        slots::region().1
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = Nvmc::WRITE_SIZE;
    const ERASE_SIZE: usize = Nvmc::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            erase_page(Self::address(page));
            let page = page as usize..page as usize + Self::ERASE_SIZE;
            if slots::bytes(page).iter().any(|byte| *byte != 0xff) {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let written = self.0.write(Self::address(offset), bytes);
        written.map_err(|_| NorFlashErrorKind::Other)
    }
}

/// Erases a page part by part. While a part is erased the core stands still; between two, interrupts are served, and samples and the
/// serial line go on by DMA all the while. In one piece, the 85 ms of a page would be two thirds of a block.
fn erase_page(address: u32) {
    let ready = || while !NVMC.ready().read().ready() {};
    ready();
    NVMC.erasepagepartialcfg()
        .write(|part| part.set_duration(ERASE_PART_MS));
    for _ in 0..ERASE_PARTS {
        NVMC.config().write(|config| config.set_wen(Wen::Een));
        NVMC.erasepagepartial().write_value(address);
        ready();
        NVMC.config().write(|config| config.set_wen(Wen::Ren));
        ready();
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        slots::bytes(0..self.capacity())
    }
}
