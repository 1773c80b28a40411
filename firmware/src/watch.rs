//! Plays the stretch in flash through core's wearable, as a product would, with or without the strip network, and says what came of it
//! and what its calls took. The same code runs on every machine; [`Clock`] is all that differs.

use crate::network::{Arena, BUILT_IN, RHYTHM, STRIP, StripArena};
use crate::pipeline::{Clock, Cost, Stopwatch};
use crate::stretch::{EMBEDDED, Stretch};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::task::Poll;
use heartlens_core::classifier::{Beat, Stage};
use heartlens_core::model::{Executor, Model, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::strip::StripMonitor;
use heartlens_core::wearable::{Config, Event, Rate, Strips, Wearable};

/// What came of the stretch, and what it took by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Samples taken.
    pub samples: u32,
    /// Beats told.
    pub beats: u32,
    /// FNV-1a (64 bit) over each beat: position, class, fibrillation, and the bits of its logits and probabilities; and over each half
    /// minute and each beginning and end of fibrillation.
    pub hash: u64,
    /// A sample: taking it, and being told that no work is left.
    pub sample: Cost,
    /// All the work on a beat.
    pub beat: Cost,
    /// All the work on half a minute, with the strip network.
    pub strip: Cost,
    /// One call.
    pub slice: Cost,
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn extend(hash: u64, word: u32) -> u64 {
    word.to_le_bytes().iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A time in ms as two words.
fn words(ms: u64) -> [u32; 2] {
    [ms as u32, (ms >> 32) as u32]
}

fn extend_by_event(hash: u64, event: &Event) -> u64 {
    match *event {
        Event::Beat { beat, .. } => {
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
        Event::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => {
            let times = words(from_ms).into_iter().chain(words(until_ms));
            let words = times.chain(probabilities.map(f32::to_bits));
            words.fold(hash, extend)
        }
        Event::Fibrillation { since_ms, until_ms } => {
            let times = words(since_ms)
                .into_iter()
                .chain(words(until_ms.unwrap_or(0)));
            times.fold(hash, extend)
        }
        _ => hash,
    }
}

/// A wearable under way, and where it lies.
type Playing<'a> = Wearable<'a, Executor<'a>>;
type PlayingStrips<'a> = Wearable<'a, Executor<'a>, StripMonitor<'a>>;

/// Plays the whole stretch. `None` where the stretch or a network that was built in is none.
///
/// All that it works on lies in the arena and on the stack.
#[inline(never)]
pub fn watch<C: Clock>(arena: &mut Arena, clock: C) -> Option<Watched> {
    let stretch = Stretch::parse(EMBEDDED).ok()?;
    let mut place = MaybeUninit::uninit();
    let wearable = open(&mut place, stretch.calibration(), arena)?;
    Some(play(&stretch, wearable, clock))
}

/// Plays the whole stretch with the strip network.
#[inline(never)]
pub fn watch_strips<C: Clock>(
    arena: &mut Arena,
    strip_arena: &mut StripArena,
    clock: C,
) -> Option<Watched> {
    let stretch = Stretch::parse(EMBEDDED).ok()?;
    let mut place = MaybeUninit::uninit();
    let wearable = open_strips(&mut place, stretch.calibration(), arena, strip_arena)?;
    Some(play(&stretch, wearable, clock))
}

/// Plays these counts with the strip network, and gives each beat to `tell`, with its R peak's time in ms. `None` where a network that
/// was built in is none.
#[inline(never)]
pub fn tell_beats(
    calibration: Calibration,
    counts: impl IntoIterator<Item = i16>,
    arena: &mut Arena,
    strip_arena: &mut StripArena,
    mut tell: impl FnMut(u64, &Beat),
) -> Option<()> {
    let mut place = MaybeUninit::uninit();
    let wearable = open_strips(&mut place, calibration, arena, strip_arena)?;
    let mut drain = |wearable: &mut PlayingStrips<'_>| {
        loop {
            let left = wearable.work();
            while let Some(event) = wearable.poll() {
                if let Event::Beat { at_ms, beat } = event {
                    tell(at_ms, &beat);
                }
            }
            if left.is_ready() {
                break;
            }
        }
    };
    for count in counts {
        wearable.push(count);
        drain(wearable);
    }
    wearable.finish();
    drain(wearable);
    Some(())
}

fn parts(arena: &mut Arena) -> Option<(Executor<'_>, Network<'_>)> {
    let executor = Model::load(BUILT_IN).ok()?.executor(arena).ok()?;
    Some((executor, Network::load(RHYTHM).ok()?))
}

fn config(calibration: Calibration) -> Config {
    Config {
        rate: Rate::HZ_128,
        calibration,
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    }
}

// Not inlined: what it takes of the stack is gone when the work begins.
#[inline(never)]
fn open<'p, 'a>(
    place: &'p mut MaybeUninit<Playing<'a>>,
    calibration: Calibration,
    arena: &'a mut Arena,
) -> Option<&'p mut Playing<'a>> {
    let (executor, rhythm) = parts(arena)?;
    Wearable::init(place, config(calibration), executor, rhythm).ok()
}

// Not inlined, as above.
#[inline(never)]
fn open_strips<'p, 'a>(
    place: &'p mut MaybeUninit<PlayingStrips<'a>>,
    calibration: Calibration,
    arena: &'a mut Arena,
    strip_arena: &'a mut StripArena,
) -> Option<&'p mut PlayingStrips<'a>> {
    let (executor, rhythm) = parts(arena)?;
    let strip = Model::load_for(STRIP, Task::Strip).ok()?;
    let strip = strip.executor(strip_arena).ok()?;
    Wearable::with_strips(place, config(calibration), executor, rhythm, strip).ok()
}

/// What the beat and the half minute under way have taken so far.
#[derive(Default)]
struct Work {
    beat: u32,
    strip: u32,
}

fn play<S: Strips, C: Clock>(
    stretch: &Stretch<'_>,
    wearable: &mut Wearable<'_, Executor<'_>, S>,
    clock: C,
) -> Watched {
    let mut watched = Watched {
        samples: 0,
        beats: 0,
        hash: FNV_START,
        sample: Cost::NONE,
        beat: Cost::NONE,
        strip: Cost::NONE,
        slice: Cost::NONE,
    };
    let mut stopwatch = Stopwatch::new(clock);
    let mut work = Work::default();
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
    watched
}

/// Does what there is to do. What the last call took, which found nothing.
fn drain<S: Strips, C: Clock>(
    wearable: &mut Wearable<'_, Executor<'_>, S>,
    stopwatch: &mut Stopwatch<C>,
    watched: &mut Watched,
    work: &mut Work,
) -> u32 {
    loop {
        let no_beat = matches!(wearable.classifier().stage(), Stage::Beat);
        stopwatch.start();
        let left = black_box(wearable.work());
        let taken = stopwatch.elapsed();
        watched.slice.add(taken);
        if left == Poll::Ready(()) {
            return taken;
        }
        match no_beat && matches!(wearable.classifier().stage(), Stage::Beat) {
            true => work.strip = work.strip.wrapping_add(taken),
            false => work.beat = work.beat.wrapping_add(taken),
        }
        while let Some(event) = wearable.poll() {
            watched.hash = extend_by_event(watched.hash, &event);
            match event {
                Event::Beat { .. } => {
                    watched.beats += 1;
                    watched.beat.add(core::mem::take(&mut work.beat));
                }
                Event::Strip { .. } => watched.strip.add(core::mem::take(&mut work.strip)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{ARENA_WORDS, STRIP_ARENA_WORDS};
    use crate::pipeline::NoClock;

    #[test]
    fn the_stretch_is_watched_the_same_each_time() {
        let mut arena = [0; ARENA_WORDS];
        let watched = watch(&mut arena, NoClock).expect("what is built in");
        assert!(watched.beats > 300, "{} beats", watched.beats);
        assert!(watched.slice.count > 2 * watched.samples);
        assert_eq!(watched.strip.count, 0);
        assert_eq!(watch(&mut arena, NoClock), Some(watched));
        let mut strip_arena = [0; STRIP_ARENA_WORDS];
        let mut watch_strips = || watch_strips(&mut arena, &mut strip_arena, NoClock);
        let with_strips = watch_strips().expect("what is built in");
        assert_eq!(with_strips.strip.count, 30);
        assert_eq!(with_strips.beats, watched.beats);
        assert_ne!(with_strips.hash, watched.hash);
        assert_eq!(watch_strips(), Some(with_strips));
    }

    #[test]
    fn every_part_of_a_beat_changes_the_hash() {
        assert_ne!(extend(FNV_START, 1), extend(FNV_START, 2));
        // "foob", of the published test vectors of FNV-1a.
        let foob = u32::from_le_bytes(*b"foob");
        assert_eq!(extend(FNV_START, foob), 0xdd12_0e79_0c25_12af);
    }
}
