//! Links only where nothing that it calls can panic: its panic handler calls a function that is nowhere.
//!
//! It does what a product does with a wearable, from loading the networks on. `cargo xtask check` builds it, and it never runs. With
//! the feature `places` it links all the same, so that the callers of `core::panicking` can be looked up.

#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::task::Poll;
use heartlens_core::model::{Executor, Model, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::strip::StripMonitor;
use heartlens_core::wearable::{Config, Rate, Strips, Wearable};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(not(feature = "places"))]
    {
        #[expect(unsafe_code, reason = "it is nowhere, and never called")]
        unsafe extern "C" {
            safe fn heartlens_can_panic() -> !;
        }
        heartlens_can_panic()
    }
    #[cfg(feature = "places")]
    loop {
        core::hint::spin_loop();
    }
}

/// Keeps a function from being specialised for its arguments.
#[inline(never)]
fn watch<'a>(
    place: &mut MaybeUninit<Wearable<'a, Executor<'a>>>,
    model: &'a [u8],
    rhythm: &'a [u8],
    arena: &'a mut [i32],
    config: Config,
) -> Option<u32> {
    let executor = Model::load(model).ok()?.executor(arena).ok()?;
    let rhythm = Network::load(rhythm).ok()?;
    let wearable = Wearable::init(place, config, executor, rhythm).ok()?;
    Some(play(wearable))
}

/// With the strip network.
#[inline(never)]
fn watch_strips<'a>(
    place: &mut MaybeUninit<Wearable<'a, Executor<'a>, StripMonitor<'a>>>,
    [model, rhythm, strip]: [&'a [u8]; 3],
    [arena, strip_arena]: [&'a mut [i32]; 2],
    config: Config,
) -> Option<u32> {
    let executor = Model::load(model).ok()?.executor(arena).ok()?;
    let rhythm = Network::load(rhythm).ok()?;
    let strip = Model::load_for(strip, Task::Strip).ok()?;
    let strip = strip.executor(strip_arena).ok()?;
    let wearable = Wearable::with_strips(place, config, executor, rhythm, strip).ok()?;
    Some(play(wearable))
}

fn play<S: Strips>(wearable: &mut Wearable<'_, Executor<'_>, S>) -> u32 {
    let mut events = 0;
    for count in black_box(0_i16)..black_box(100) {
        wearable.push(count);
        wearable.missing(black_box(3));
        wearable.clock(black_box(4));
        while wearable.work() == Poll::Pending {
            while let Some(event) = wearable.poll() {
                black_box(event);
                events += 1;
            }
        }
        black_box((wearable.now_ms(), wearable.signal(), wearable.rate_bpm()));
    }
    wearable.finish();
    events
}

#[expect(unsafe_code, reason = "the entry point's name is what it is found by")]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut place = MaybeUninit::uninit();
    let mut arena = [0; 2048];
    let config = Config {
        rate: match Rate::of(black_box(250)) {
            Some(rate) => rate,
            None => Rate::HZ_128,
        },
        calibration: Calibration {
            counts_per_mv: black_box(200.0),
            zero: black_box(0),
        },
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let (model, rhythm): (&[u8], &[u8]) = (black_box(&[]), black_box(&[]));
    let (mut strip_place, mut arenas) = (MaybeUninit::uninit(), [[0; 2048]; 2]);
    black_box(watch_strips(
        &mut strip_place,
        [model, rhythm, black_box(&[])],
        black_box(&mut arenas)
            .each_mut()
            .map(|arena| arena.as_mut_slice()),
        config,
    ));
    black_box(watch(
        &mut place,
        model,
        rhythm,
        black_box(&mut arena),
        config,
    ));
    loop {
        core::hint::spin_loop();
    }
}
