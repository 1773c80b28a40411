//! Embassy's clock by the core's own timer, SysTick, at 1,024 ticks a second.

use core::cell::RefCell;
use core::task::Waker;
use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

/// The clock of QEMU's STM32F405, in Hz.
const CORE_HZ: u64 = 168_000_000;

struct Clock {
    ticks: u64,
    /// The tick at which somebody is woken next.
    alarm: u64,
    queue: Queue,
}

struct Timer(Mutex<RefCell<Clock>>);

embassy_time_driver::time_driver_impl!(static CLOCK: Timer = Timer(Mutex::new(RefCell::new(Clock {
    ticks: 0,
    alarm: u64::MAX,
    queue: Queue::new(),
}))));

impl Timer {
    fn with<T>(&self, act: impl FnOnce(&mut Clock) -> T) -> T {
        critical_section::with(|section| act(&mut self.0.borrow_ref_mut(section)))
    }
}

impl Driver for Timer {
    fn now(&self) -> u64 {
        self.with(|clock| clock.ticks)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.with(|clock| {
            if clock.queue.schedule_wake(at, waker) {
                clock.alarm = clock.queue.next_expiration(clock.ticks);
            }
        });
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    CLOCK.with(|clock| {
        clock.ticks += 1;
        if clock.ticks >= clock.alarm {
            clock.alarm = clock.queue.next_expiration(clock.ticks);
        }
    });
}

/// Starts the clock.
pub(crate) fn start() {
    if let Some(core) = cortex_m::Peripherals::take() {
        let mut timer = core.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload((CORE_HZ / TICK_HZ - 1) as u32);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
    }
}
