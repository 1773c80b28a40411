//! Watches an ECG live: an AD8232 at the converter of the nRF52840, what a wearable tells over the log, a beat's class on three lights.
//! With the feature `strips` fibrillation is told by half a minute of signal, without it by intervals.
//!
//! Research software, not a medical device. It has been built, and never run.

#![no_std]
#![no_main]

use core::mem::MaybeUninit;
use heartlens_core::link::ModelStore as _;
#[cfg(feature = "strips")]
use heartlens_core::model::{Model, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{self, Rules};
#[cfg(feature = "strips")]
use heartlens_core::strip::StripMonitor;
use heartlens_core::wearable::{Config, Event, Rate, Wearable};
use heartlens_firmware::board::{self, Flash, FrontEnd, Panel};
use heartlens_firmware::live::Live;
use heartlens_firmware::network::{self, ARENA_WORDS, Arena, Network, RHYTHM, Store};
#[cfg(feature = "strips")]
use heartlens_firmware::network::{STRIP, STRIP_ARENA_WORDS, StripArena};
use heartlens_firmware::stack;
use static_cell::ConstStaticCell;

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);
#[cfg(feature = "strips")]
static STRIP_ARENA: ConstStaticCell<StripArena> = ConstStaticCell::new([0; STRIP_ARENA_WORDS]);

#[cfg(not(feature = "strips"))]
type Watching = Wearable<'static, Network>;
#[cfg(feature = "strips")]
type Watching = Wearable<'static, Network, StripMonitor<'static>>;

/// Puts everything into its place. Its frame is gone when the work begins.
#[inline(never)]
fn set_up(place: &mut MaybeUninit<Watching>) -> (FrontEnd, Panel, &mut Watching, Store<Flash>) {
    let (front_end, panel, flash) = board::live();
    let (network, store) = match network::open(flash, ARENA.take()) {
        Ok(opened) => opened,
        Err(error) => defmt::panic!("{}", error),
    };
    let rhythm = match rhythm::Network::load(RHYTHM) {
        Ok(rhythm) => rhythm,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::info!(
        "ready board={=str} model={=str}",
        board::NAME,
        store.name(&network)
    );
    let config = Config {
        rate: Rate::HZ_128,
        calibration: front_end.calibration(),
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    #[cfg(not(feature = "strips"))]
    let wearable = Wearable::init(place, config, network, rhythm);
    #[cfg(feature = "strips")]
    let wearable = {
        let strip = Model::load_for(STRIP, Task::Strip)
            .and_then(|model| model.executor(STRIP_ARENA.take()));
        match strip {
            Ok(strip) => Wearable::with_strips(place, config, network, rhythm, strip),
            Err(error) => defmt::panic!("{}", error),
        }
    };
    match wearable {
        Ok(wearable) => (front_end, panel, wearable, store),
        Err(error) => defmt::panic!("{}", error),
    }
}

fn log(event: &Event) {
    match event {
        Event::Beat { at_ms, beat } => defmt::info!(
            "beat at_ms={=u64} class={=str} rr_ms={=u32} logits={} fibrillation={} stack={=usize}",
            at_ms,
            beat.class.name(),
            beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32),
            beat.logits,
            beat.fibrillation,
            stack::deepest()
        ),
        Event::Signal { at_ms, signal } => {
            defmt::info!("signal at_ms={=u64} signal={}", at_ms, signal);
        }
        Event::Pause { since_ms, flat } => {
            defmt::info!("pause since_ms={=u64} flat={=bool}", since_ms, flat);
        }
        Event::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => defmt::info!(
            "strip from_ms={=u64} until_ms={=u64} probabilities={}",
            from_ms,
            until_ms,
            probabilities
        ),
        Event::Fibrillation { since_ms, until_ms } => defmt::info!(
            "fibrillation since_ms={=u64} until_ms={=u64}",
            since_ms,
            until_ms.unwrap_or(0)
        ),
        Event::Run {
            class,
            since_ms,
            beats,
            over,
            ..
        } => defmt::info!(
            "run since_ms={=u64} class={=str} beats={=u32} over={=bool}",
            since_ms,
            class.name(),
            beats,
            over
        ),
        Event::SampleRate {
            at_ms,
            found_hz,
            expected_hz,
            wrong,
        } => defmt::info!(
            "sample rate at_ms={=u64} found_hz={=f32} expected_hz={=u32} wrong={=bool}",
            at_ms,
            found_hz,
            expected_hz,
            wrong
        ),
        Event::Restarted { at_ms } => defmt::info!("restarted at_ms={=u64}", at_ms),
        _ => {}
    }
}

fn run(place: &mut MaybeUninit<Watching>) -> ! {
    let (front_end, mut panel, wearable, mut store) = set_up(place);
    let mut live = Live::new(wearable);
    front_end.run(|now_ms, lost, block| {
        live.block(now_ms, lost, block, &mut panel, |event| {
            if let Event::Beat { .. } = event {
                store.classified();
            }
            log(event);
        });
    })
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    board::start();
    // On the stack, as far as it has room.
    #[cfg(not(feature = "strips"))]
    let mut place = MaybeUninit::uninit();
    #[cfg(not(feature = "strips"))]
    run(&mut place);
    #[cfg(feature = "strips")]
    {
        static PLACE: static_cell::StaticCell<MaybeUninit<Watching>> =
            static_cell::StaticCell::new();
        run(PLACE.uninit().write(MaybeUninit::uninit()))
    }
}
