//! Plays a record through the whole pipeline and logs each beat and what it took: the stretch in flash, or the file of the
//! same format that the first argument names, which is read by semihosting. For `cargo xtask qemu` to read:
//!
//! ```text
//! loop expected=N counted=N
//! beat r_sample=N time_ms=N class=NAME score_permille=N rr_ms=N scores=HEX logits=HEX fibrillation=yes|no|- instructions=N
//! signal samples=N
//! cost part=NAME count=N total=N largest=N
//! layer index=N name=NAME op=NAME macs=N count=N total=N
//! stack bytes=N
//! ```
//!
//! `scores` and `logits` are the bits of four f32 each; `rr_ms` is 0 at the first beat.

#![no_std]
#![no_main]

use heartlens_core::model::Model;
use heartlens_core::rhythm::{self, Rules};
use heartlens_firmware::network::{ARENA_WORDS, Arena, BUILT_IN, RHYTHM};
use heartlens_firmware::pipeline::{Clock, Cost, MeteredBeat, Pipeline};
use heartlens_firmware::replay::Meter as _;
use heartlens_firmware::source::Source;
use heartlens_firmware::stopwatch::{Stopwatch, known_loop};
use heartlens_firmware::{board, stack};
use static_cell::ConstStaticCell;

/// Turns of the loop of known length by which the instruction counter is checked.
const LOOP_TURNS: u32 = 1_000_000;

#[derive(Clone, Copy)]
struct BoardClock;

impl Clock for BoardClock {
    fn now(&self) -> u32 {
        board::instructions()
    }
}

fn log_beat(metered: &MeteredBeat) {
    let beat = &metered.beat;
    let score = beat.probabilities.iter().copied().fold(0.0, f32::max);
    let [s0, s1, s2, s3] = beat.probabilities.map(f32::to_bits);
    let [l0, l1, l2, l3] = beat.logits.map(f32::to_bits);
    defmt::info!(
        "beat r_sample={=u32} time_ms={=u32} class={=str} score_permille={=u32} rr_ms={=u32} scores={=u32:08x}{=u32:08x}{=u32:08x}{=u32:08x} logits={=u32:08x}{=u32:08x}{=u32:08x}{=u32:08x} fibrillation={=str} instructions={=u32}",
        beat.r_sample,
        metered.time_ms(),
        beat.class.name(),
        (score * 1000.0) as u32,
        metered.rr_ms(),
        s0,
        s1,
        s2,
        s3,
        l0,
        l1,
        l2,
        l3,
        metered.fibrillation(),
        metered.instructions
    );
}

fn log_cost(part: &str, cost: &Cost) {
    defmt::info!(
        "cost part={=str} count={=u32} total={=u64} largest={=u32}",
        part,
        cost.count,
        cost.total,
        cost.largest
    );
}

static ARENA: ConstStaticCell<Arena> = ConstStaticCell::new([0; ARENA_WORDS]);

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

    let executor = match Model::load(BUILT_IN).and_then(|model| model.executor(ARENA.take())) {
        Ok(executor) => executor,
        Err(error) => defmt::panic!("{}", error),
    };
    let rhythm = match rhythm::Model::load(RHYTHM, Rules::SHIPPED) {
        Ok(rhythm) => rhythm,
        Err(error) => defmt::panic!("{}", error),
    };
    let mut pipeline = Pipeline::new(executor, rhythm, BoardClock);
    let source = Source::open();
    let calibration = source.calibration();
    let seen = source.each(|count| {
        if let Some(beat) = pipeline.push(calibration.sample_mv(count)) {
            log_beat(&beat);
        }
    });
    pipeline.finish();
    while let Some(beat) = pipeline.poll() {
        log_beat(&beat);
    }
    defmt::info!("signal samples={=u32}", seen);

    let (costs, network) = (pipeline.costs(), pipeline.network_costs());
    log_cost("sample", &costs.sample);
    log_cost("beat", &costs.beat);
    log_cost("views", &costs.views);
    log_cost("quantise", &network.quantise);
    log_cost("model", &network.model);
    log_cost("rhythm", &costs.rhythm);
    log_cost("slice", &costs.slice);
    for (index, layer) in pipeline.model().layers().enumerate() {
        let cost = network.layers[index];
        defmt::info!(
            "layer index={=usize} name={=str} op={=str} macs={=usize} count={=u32} total={=u64}",
            index,
            layer.name,
            layer.operator.name(),
            layer.macs,
            cost.count,
            cost.total
        );
    }
    defmt::info!("stack bytes={=usize}", stack::deepest());
    board::finish(true)
}
