//! Plays the stretch in flash through core's wearable, as a product would, and says what came of it and what its calls took.
//! The same code runs on every machine; [`Clock`] is all that differs.

use crate::network::{ARENA_WORDS, Arena, BUILT_IN, RHYTHM};
use crate::pipeline::{Clock, Cost, Stopwatch};
use crate::stretch::{EMBEDDED, Stretch};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::task::Poll;
use heartlens_core::Beat;
use heartlens_core::model::{Executor, Model};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::wearable::{Config, Event, Rate, Wearable};

/// What came of the stretch, and what it took by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Samples taken.
    pub samples: u32,
    /// Beats told.
    pub beats: u32,
    /// FNV-1a (64 bit) over each beat: position, class, fibrillation, and the bits of its logits and probabilities.
    pub hash: u64,
    /// A sample: taking it, and being told that no work is left.
    pub sample: Cost,
    /// All the work on a beat.
    pub beat: Cost,
    /// One call.
    pub slice: Cost,
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn extend(hash: u64, word: u32) -> u64 {
    word.to_le_bytes().iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn extend_by_beat(hash: u64, beat: &Beat) -> u64 {
    let fibrillation = match beat.fibrillation {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    };
    let head = [beat.r_sample, beat.class as u32, fibrillation];
    let scores = beat.logits.iter().chain(&beat.probabilities);
    let words = head.into_iter().chain(scores.map(|score| score.to_bits()));
    words.fold(hash, extend)
}

/// Plays the whole stretch. `None` where the stretch or a network that was built in is none.
///
/// All that it works on lies in the arena and on the stack.
#[inline(never)]
pub fn watch<C: Clock>(arena: &mut [i32; ARENA_WORDS], clock: C) -> Option<Watched> {
    let mut place = MaybeUninit::uninit();
    let (stretch, wearable) = open(&mut place, arena)?;
    let mut watched = Watched {
        samples: 0,
        beats: 0,
        hash: FNV_START,
        sample: Cost::NONE,
        beat: Cost::NONE,
        slice: Cost::NONE,
    };
    let mut stopwatch = Stopwatch::new(clock);
    let mut work = 0;
    for count in stretch.counts() {
        watched.samples += 1;
        stopwatch.start();
        wearable.push(black_box(count));
        let taken = stopwatch.elapsed();
        watched.slice.add(taken);
        let idle = drain(wearable, &mut stopwatch, &mut watched, &mut work);
        watched.sample.add(taken.wrapping_add(idle));
    }
    wearable.finish();
    drain(wearable, &mut stopwatch, &mut watched, &mut work);
    Some(watched)
}

type Playing<'a> = Wearable<'a, Executor<'a>>;

// Not inlined: what it takes of the stack is gone when the work begins.
#[inline(never)]
fn open<'p, 'a>(
    place: &'p mut MaybeUninit<Playing<'a>>,
    arena: &'a mut Arena,
) -> Option<(Stretch<'static>, &'p mut Playing<'a>)> {
    let stretch = Stretch::parse(EMBEDDED).ok()?;
    let config = Config {
        rate: Rate::HZ_128,
        calibration: stretch.calibration(),
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let executor = Model::load(BUILT_IN).ok()?.executor(arena).ok()?;
    let rhythm = Network::load(RHYTHM).ok()?;
    let wearable = Wearable::init(place, config, executor, rhythm).ok()?;
    Some((stretch, wearable))
}

/// Does what there is to do. `work` is what the beat under way has taken so far. What the last call took, which found nothing.
fn drain<C: Clock>(
    wearable: &mut Playing<'_>,
    stopwatch: &mut Stopwatch<C>,
    watched: &mut Watched,
    work: &mut u32,
) -> u32 {
    loop {
        stopwatch.start();
        let left = black_box(wearable.work());
        let taken = stopwatch.elapsed();
        watched.slice.add(taken);
        if left == Poll::Ready(()) {
            return taken;
        }
        *work = work.wrapping_add(taken);
        while let Some(event) = wearable.poll() {
            if let Event::Beat { beat, .. } = event {
                watched.beats += 1;
                watched.hash = extend_by_beat(watched.hash, &beat);
                watched.beat.add(core::mem::take(work));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::NoClock;

    #[test]
    fn the_stretch_is_watched_the_same_each_time() {
        let mut arena = [0; ARENA_WORDS];
        let watched = watch(&mut arena, NoClock).expect("what is built in");
        assert!(watched.beats > 300, "{} beats", watched.beats);
        assert!(watched.slice.count > 2 * watched.samples);
        assert_eq!(watch(&mut arena, NoClock), Some(watched));
    }

    #[test]
    fn every_part_of_a_beat_changes_the_hash() {
        assert_ne!(extend(FNV_START, 1), extend(FNV_START, 2));
        // "foob", of the published test vectors of FNV-1a.
        let foob = u32::from_le_bytes(*b"foob");
        assert_eq!(extend(FNV_START, foob), 0xdd12_0e79_0c25_12af);
    }
}
