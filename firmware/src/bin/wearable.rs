//! Plays the stretch in flash through core's wearable, as a converter of each rate would give it, and logs what its calls take at
//! most. At 128 Hz it logs the events, too. For `cargo xtask qemu` to read:
//!
//! ```text
//! loop expected=N counted=N
//! event at_ms=N ...
//! cost part=wearable-RATE-CALL count=N total=N largest=N
//! memory state=N stack=N
//! ```

#![no_std]
#![no_main]

use core::hint::black_box;
use core::mem::MaybeUninit;
use heartlens_core::model::Model;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::wearable::{Config, Event, Rate, Wearable};
use heartlens_firmware::network::{ARENA_WORDS, Arena, BUILT_IN, RHYTHM};
use heartlens_firmware::pipeline::Cost;
use heartlens_firmware::replay::Meter as _;
use heartlens_firmware::stopwatch::{Stopwatch, known_loop};
use heartlens_firmware::stretch::{EMBEDDED, Stretch};
use heartlens_firmware::{board, stack};
use static_cell::ConstStaticCell;

/// Turns of the loop of known length by which the instruction counter is checked.
const LOOP_TURNS: u32 = 1_000_000;
/// Seconds that are played at each rate but 128 Hz, of which all is played.
const SECONDS: usize = 40;

/// The calls.
#[derive(Default)]
struct Costs {
    push: Cost,
    missing: Cost,
    clock: Cost,
    work: Cost,
}

fn log_cost(hz: u32, call: &str, cost: &Cost) {
    defmt::info!(
        "cost part=wearable-{=u32}-{=str} count={=u32} total={=u64} largest={=u32}",
        hz,
        call,
        cost.count,
        cost.total,
        cost.largest
    );
}

fn log_event(event: &Event) {
    match event {
        Event::Beat { at_ms, beat } => defmt::info!(
            "event at_ms={=u64} kind=beat class={=str} logits={=u32:08x}",
            at_ms,
            beat.class.name(),
            beat.logits[0].to_bits()
        ),
        Event::Run {
            since_ms,
            beats,
            over,
            ..
        } => defmt::info!(
            "event at_ms={=u64} kind=run beats={=u32} over={=bool}",
            since_ms,
            beats,
            over
        ),
        Event::Signal { at_ms, signal } => {
            defmt::info!("event at_ms={=u64} kind=signal signal={}", at_ms, signal);
        }
        Event::Pause { since_ms, .. } => defmt::info!("event at_ms={=u64} kind=pause", since_ms),
        Event::Fibrillation { since_ms, .. } => {
            defmt::info!("event at_ms={=u64} kind=fibrillation", since_ms);
        }
        _ => defmt::info!("event at_ms=0 kind=other"),
    }
}

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);

type Played<'a> = Wearable<'a, heartlens_core::model::Executor<'a>>;

/// Does what there is to do, metered.
fn drain(wearable: &mut Played<'_>, stopwatch: &mut Stopwatch, cost: &mut Cost, log: bool) {
    loop {
        while let Some(event) = wearable.poll() {
            if log {
                log_event(&event);
            }
        }
        stopwatch.start();
        let left = black_box(wearable.work());
        cost.add(stopwatch.elapsed());
        if left.is_ready() {
            return;
        }
    }
}

/// Plays the stretch at one rate: a converter that holds each of its samples.
#[inline(never)]
fn play(arena: &mut Arena, rate: Rate, stopwatch: &mut Stopwatch) -> Costs {
    let mut place = MaybeUninit::uninit();
    let (stretch, rhythm, executor) = match (
        Stretch::parse(EMBEDDED),
        Network::load(RHYTHM),
        Model::load(BUILT_IN).and_then(|model| model.executor(arena)),
    ) {
        (Ok(stretch), Ok(rhythm), Ok(executor)) => (stretch, rhythm, executor),
        _ => defmt::panic!("the image does not hold together"),
    };
    let config = Config {
        rate,
        calibration: stretch.calibration(),
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let Ok(wearable) = Wearable::init(&mut place, config, executor, rhythm) else {
        defmt::panic!("the stretch has no gain")
    };
    let mut costs = Costs::default();
    let canonical = rate.hz() == SAMPLE_RATE_HZ;
    let seconds = if canonical { usize::MAX } else { SECONDS };
    let counts = stretch
        .counts()
        .take(seconds.saturating_mul(SAMPLE_RATE_HZ as usize));
    let mut owed = 0;
    for (number, count) in counts.enumerate() {
        // The converter's own time, so that nothing is told.
        let now_ms = number as u32 * 1000 / SAMPLE_RATE_HZ;
        stopwatch.start();
        wearable.clock(black_box(now_ms));
        costs.clock.add(stopwatch.elapsed());
        owed += rate.hz();
        while owed >= SAMPLE_RATE_HZ {
            owed -= SAMPLE_RATE_HZ;
            stopwatch.start();
            wearable.push(black_box(count));
            costs.push.add(stopwatch.elapsed());
            drain(wearable, stopwatch, &mut costs.work, canonical);
        }
    }
    if !canonical {
        // The longest gap that is bridged, then one that is not.
        for gap in [2 * rate.hz(), 60 * rate.hz()] {
            stopwatch.start();
            wearable.missing(black_box(gap));
            costs.missing.add(stopwatch.elapsed());
            stopwatch.start();
            wearable.push(black_box(0));
            costs.push.add(stopwatch.elapsed());
            drain(wearable, stopwatch, &mut costs.work, false);
        }
    }
    stopwatch.start();
    wearable.finish();
    costs.missing.add(stopwatch.elapsed());
    drain(wearable, stopwatch, &mut costs.work, canonical);
    costs
}

#[cortex_m_rt::entry]
fn main() -> ! {
    stack::paint();
    let mut stopwatch = Stopwatch::new();
    stopwatch.start();
    known_loop(LOOP_TURNS);
    let counted = stopwatch.elapsed();
    defmt::info!(
        "loop expected={=u32} counted={=u32}",
        2 * LOOP_TURNS,
        counted
    );
    let arena = ARENA.take();
    for rate in Rate::ALL {
        let costs = play(arena, *rate, &mut stopwatch);
        log_cost(rate.hz(), "push", &costs.push);
        log_cost(rate.hz(), "missing", &costs.missing);
        log_cost(rate.hz(), "clock", &costs.clock);
        log_cost(rate.hz(), "work", &costs.work);
    }
    defmt::info!(
        "memory state={=usize} stack={=usize}",
        size_of::<Played<'static>>(),
        stack::deepest()
    );
    board::finish(true)
}
