//! Every way to go wrong is logged and ends the run as a failure: nothing hangs and nothing passes by accident.

use crate::board;
use cortex_m_rt::{ExceptionFrame, exception};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    board::finish(false)
}

/// `defmt::panic!` and its kin have logged their message when they come here.
#[defmt::panic_handler]
fn logged_panic() -> ! {
    board::finish(false)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!(
        "hard fault at pc={=u32:#010x}, called from lr={=u32:#010x}",
        frame.pc(),
        frame.lr()
    );
    board::finish(false)
}

#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    defmt::error!("unexpected exception or interrupt {=i16}", number);
    board::finish(false)
}
