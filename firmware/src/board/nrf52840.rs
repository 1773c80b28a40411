//! Nordic's nRF52840-DK, with an AD8232 front end for the live monitor. What is here has been built, and never run.
//!
//! | pin | what |
//! |---|---|
//! | P0.02 (AIN0) | AD8232 OUTPUT |
//! | P0.28, P0.29 | AD8232 LO+ and LO-: high while that electrode is off |
//! | P0.13, P0.14, P0.15 | LED 1 to 3 of the kit, lit while low |
//! | P0.06, P0.08 | serial line out and in, wired to the kit's USB bridge; 115,200 baud |

use super::slots;
use crate::live::{self, Lights};
use crate::network::PinnedFlash;
use core::future::Future;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use cortex_m::peripheral::{DCB, DWT, SCB};
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::saadc::{self, CallbackResult, ChannelConfig, Resolution, Saadc};
use embassy_nrf::timer::Frequency;
use embassy_nrf::{Peri, bind_interrupts, peripherals, uarte};
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

/// 14 bits over 3.6 V (gain 1/6, reference 0.6 V; nRF52840 product specification, section 6.23) behind the AD8232's gain
/// of 100, at half of 3.3 V without a signal.
const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 16_384.0 / 3_600.0 * 100.0,
    zero: 7_509,
};

/// Bytes that may wait to be read, or to be sent.
const SERIAL_BYTES: usize = 256;

/// Starts the core's cycle counter.
pub fn start() {
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
        cortex_m::asm::wfe();
    }
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
        cortex_m::asm::wfe();
    }
}

/// The serial line and the model slots.
pub fn serial() -> (Serial, Flash) {
    let chip = embassy_nrf::init(Default::default());
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
    let chip = embassy_nrf::init(Default::default());
    let mut config = saadc::Config::default();
    config.resolution = Resolution::_14bit;
    let channel = ChannelConfig::single_ended(chip.P0_02);
    let light = |pin: Peri<'static, embassy_nrf::gpio::AnyPin>| {
        Output::new(pin, Level::High, OutputDrive::Standard)
    };
    let front_end = FrontEnd {
        converter: Saadc::new(chip.SAADC, Interrupts, config, [channel]),
        timer: chip.TIMER1,
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
    restart: Peri<'static, peripherals::PPI_CH0>,
    sample: Peri<'static, peripherals::PPI_CH1>,
}

impl FrontEnd {
    /// What turns its counts into millivolts at the electrodes.
    pub fn calibration(&self) -> Calibration {
        CALIBRATION
    }

    /// Gives block after block to `take`, asleep in between. While one is taken, the next is filled.
    pub fn run(mut self, mut take: impl FnMut(&[[i16; 1]])) -> ! {
        let mut buffers = [[[0; 1]; BLOCK]; 2];
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
                    take(block);
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
        let erased = self.0.erase(Self::address(from), Self::address(to));
        erased.map_err(|_| NorFlashErrorKind::Other)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        let written = self.0.write(Self::address(offset), bytes);
        written.map_err(|_| NorFlashErrorKind::Other)
    }
}

impl MappedFlash for Flash {
    fn bytes(&self) -> &[u8] {
        slots::bytes(0..self.capacity())
    }
}
