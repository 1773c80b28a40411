//! The machine's side: its timer, its faults, and the one thing that it does.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use heartlens_firmware::pipeline::{Clock, Cost};
use heartlens_firmware::stack;
use heartlens_firmware::stretch::EMBEDDED;
use semihosting::{eprintln, println, process};

/// Turns of the loop of known length.
const LOOP_TURNS: u32 = 1_000_000;

/// The core's timer.
#[derive(Clone, Copy)]
struct Timer;

#[cfg(target_arch = "arm")]
impl Timer {
    const BITS: u32 = 24;

    fn start() -> Self {
        if let Some(core) = cortex_m::Peripherals::take() {
            let mut timer = core.SYST;
            timer.set_clock_source(cortex_m::peripheral::syst::SystClkSource::Core);
            timer.set_reload((1 << Self::BITS) - 1);
            timer.clear_current();
            timer.enable_counter();
        }
        Self
    }

    /// The timer counts down.
    fn ticks() -> u32 {
        ((1 << Self::BITS) - 1) - cortex_m::peripheral::SYST::get_current()
    }
}

#[cfg(target_arch = "riscv32")]
impl Timer {
    const BITS: u32 = 31;

    fn start() -> Self {
        Self
    }

    /// Instructions retired.
    #[expect(unsafe_code, reason = "a register of the core's")]
    fn ticks() -> u32 {
        let ticks: u32;
        // SAFETY: reads a counter that every core of this architecture has.
        unsafe { core::arch::asm!("csrr {0}, minstret", out(reg) ticks, options(nomem, nostack)) }
        ticks & ((1 << Self::BITS) - 1)
    }
}

/// The timer's last value and what its turns have summed up to. One thread alone reads it.
static LAST: AtomicU32 = AtomicU32::new(0);
static TURNS: AtomicU32 = AtomicU32::new(0);

impl Clock for Timer {
    /// Read more often than the timer turns over.
    fn now(&self) -> u32 {
        let ticks = Self::ticks();
        if ticks < LAST.load(Relaxed) {
            TURNS.store(TURNS.load(Relaxed).wrapping_add(1 << Self::BITS), Relaxed);
        }
        LAST.store(ticks, Relaxed);
        TURNS.load(Relaxed).wrapping_add(ticks)
    }
}

/// Two instructions a turn, after one or two that load `turns`.
#[inline(always)]
#[expect(unsafe_code, reason = "the one way to know which instructions run")]
fn known_loop(turns: u32) {
    // SAFETY: the two instructions change one register, which is declared, and the flags.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!(
            "2:",
            "subs {turns}, {turns}, #1",
            "bne 2b",
            turns = inout(reg) turns => _,
            options(nomem, nostack),
        );
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!(
            "2:",
            "addi {turns}, {turns}, -1",
            "bnez {turns}, 2b",
            turns = inout(reg) turns => _,
            options(nomem, nostack),
        );
    }
}

fn print(part: &str, cost: &Cost) {
    let Cost {
        count,
        total,
        largest,
    } = cost;
    println!("cost part={part} count={count} total={total} largest={largest}");
}

fn run() -> ! {
    #[cfg(feature = "file")]
    if let Some(file) = crate::file::named() {
        process::exit(i32::from(crate::file::tell(file).is_none()));
    }
    stack::paint();
    let timer = Timer::start();
    let from = timer.now();
    known_loop(LOOP_TURNS);
    let ticks = timer.now().wrapping_sub(from);
    let watched = crate::play(timer);
    // Printing goes deeper than a product does.
    let stack = stack::deepest();
    let Some(watched) = watched else {
        eprintln!("the image does not hold together");
        process::exit(1)
    };
    println!("loop instructions={} ticks={ticks}", 2 * LOOP_TURNS);
    println!(
        "watched samples={} beats={} hash={:016x}",
        watched.samples, watched.beats, watched.hash
    );
    print("sample", &watched.sample);
    print("beat", &watched.beat);
    if watched.strip.count > 0 {
        print("strip", &watched.strip);
    }
    print("slice", &watched.slice);
    println!("memory stack={stack} stretch={}", EMBEDDED.len());
    process::exit(0)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    process::exit(1)
}

#[cfg(target_arch = "arm")]
mod entry {
    // Linked for the critical section.
    use cortex_m as _;
    use cortex_m_rt::ExceptionFrame;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        super::run()
    }

    #[cortex_m_rt::exception]
    #[allow(
        unsafe_code,
        reason = "the runtime declares exception handlers unsafe to call"
    )]
    unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
        semihosting::eprintln!("hard fault at pc={:#010x}", frame.pc());
        semihosting::process::exit(1)
    }
}

#[cfg(target_arch = "riscv32")]
mod entry {
    #[riscv_rt::entry]
    fn main() -> ! {
        super::run()
    }

    /// Any exception, whichever: none is expected.
    #[unsafe(no_mangle)]
    #[expect(unsafe_code, reason = "the runtime finds it by its name")]
    extern "C" fn ExceptionHandler(_: *const riscv_rt::TrapFrame) -> ! {
        semihosting::eprintln!("an exception at pc={:#010x}", riscv::register::mepc::read());
        semihosting::process::exit(1)
    }
}
