//! views
#![no_std]
#![no_main]

use heartlens_firmware as _;

#[inline(never)]
fn deep(x: u32) -> u32 { let a = [x; 64]; core::hint::black_box(&a); if x == 0 {0} else { deep(x - 1) + a[3] } }
#[cortex_m_rt::entry]
fn main() -> ! {
    defmt::info!("hi");
    
    
    panic!("oops");
}
