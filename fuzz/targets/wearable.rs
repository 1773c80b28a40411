//! A wearable that is told anything in any order, at any rate: never a panic, and the same beats, runs and fibrillation
//! whether the work is done after each sample or after blocks of them, and whether missing samples come in one call or one
//! by one. With a strip network as well, where the first byte says so.

#![no_main]

use heartlens_core::Network;
use heartlens_core::model::{Aligned, Logits, Model, Task};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{self, Rules};
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::spec::BEAT_BEFORE_SAMPLES;
use heartlens_core::views::Views;
use heartlens_core::wearable::{Config, Event, Rate, Strips, Wearable};
use libfuzzer_sys::fuzz_target;
use std::mem::MaybeUninit;
use std::task::Poll;

const RHYTHM: &[u8] = include_bytes!("../../models/beat/rhythm.hlr");
static STRIP: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/beat/strip.hlm"));

/// Samples of the converter's in one input: time is what a run has little of.
const MAX_SAMPLES: usize = 16_000;

/// Calls a beat V where its complex is wide, and S where it is inverted.
struct Shapes;

impl Network for Shapes {
    fn logits(&mut self, views: &Views) -> Logits {
        let r = BEAT_BEFORE_SAMPLES - 24;
        let (peak, side) = (views.waveform[r], views.waveform[r + 5]);
        if peak < 0.0 {
            [0.0, 5.0, 0.0, 0.0]
        } else if side > 0.4 * peak {
            [0.0, 0.0, 5.0, 0.0]
        } else {
            [5.0, 0.0, 0.0, 0.0]
        }
    }
}

/// What a product does.
#[derive(Debug, Clone, Copy)]
enum Call {
    Push(i16),
    Missing(u32),
    Finish,
    Clock(u32),
    /// Some of the work, or all.
    Work(u8),
}

/// The calls that bytes stand for: four bytes are some of them.
fn calls(bytes: &[u8], hz: u32) -> Vec<Call> {
    let mut calls = Vec::new();
    let (mut count, mut now_ms) = (0_i16, 0_u32);
    for step in bytes.as_chunks::<4>().0 {
        let [kind, low, high, more] = *step;
        let number = u16::from_le_bytes([low, high]);
        match kind % 8 {
            // To another count, in so many samples.
            0 | 1 => {
                let to = number.cast_signed();
                let samples = 1 + i32::from(more);
                for n in 1..=samples {
                    let way = (i32::from(to) - i32::from(count)) * n / samples;
                    calls.push(Call::Push((i32::from(count) + way) as i16));
                }
                count = to;
            }
            // Beats of one height, width and distance.
            2..=4 => {
                let height = f32::from(number.cast_signed() >> 3);
                let width = if more & 1 == 0 { 20.0 } else { 60.0 };
                let samples = hz as usize * (30 + usize::from(more)) / 200;
                for beat in 0..=usize::from(kind >> 3) {
                    for n in 0..samples {
                        let d = (n as f32 - samples as f32 / 2.0) * 1000.0 / hz as f32 / width;
                        let noise = (n * 7919 + beat * 31) % 13;
                        calls.push(Call::Push((height * (-d * d).exp()) as i16 + noise as i16));
                    }
                }
                count = 0;
            }
            5 => calls.push(Call::Missing(match kind >> 3 {
                31 => u32::MAX - u32::from(number),
                shift => u32::from(number) << (shift % 8),
            })),
            6 => {
                now_ms = now_ms.wrapping_add(match kind >> 3 {
                    31 => u32::from(number) << 16,
                    _ => u32::from(number),
                });
                calls.push(Call::Clock(now_ms));
            }
            _ if kind == 7 => calls.push(Call::Finish),
            _ => calls.push(Call::Work(more)),
        }
        if calls.len() > MAX_SAMPLES {
            break;
        }
    }
    calls
}

fuzz_target!(|bytes: &[u8]| {
    let Some(([first, second], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let rate = Rate::ALL[usize::from(first / 2) % Rate::ALL.len()];
    let counts_per_mv = match second {
        0 => f32::MIN_POSITIVE,
        1 => f32::MAX,
        2 => 0.0,
        3 => -100.0,
        _ => 10.0 * f32::from(*second),
    };
    let config = Config {
        rate,
        calibration: Calibration {
            counts_per_mv,
            zero: if *second == 4 { i32::MIN } else { 0 },
        },
        patient: Patient::default(),
        rules: if second & 1 == 0 {
            Rules::SHIPPED
        } else {
            Rules::NONE
        },
    };
    let calls = calls(rest, rate.hz());
    let network = rhythm::Network::load(RHYTHM).expect("the shipped network");
    if first & 1 != 0 {
        let model = Model::load_for(&STRIP.0, Task::Strip).expect("the shipped network");
        let mut arena = vec![0; model.arena_words()];
        let executor = model.executor(&mut arena).expect("room");
        let mut place = MaybeUninit::uninit();
        if let Ok(wearable) = Wearable::with_strips(&mut place, config, Shapes, network, executor) {
            run(wearable, &calls, rate.hz(), 1);
        }
        return;
    }
    let block = 1 + usize::from(second % 8) * rate.hz() as usize / 32;
    let [one, several] = [1, block].map(|block| {
        let mut place = MaybeUninit::uninit();
        let wearable = Wearable::init(&mut place, config, Shapes, network).ok()?;
        Some(run(wearable, &calls, rate.hz(), block))
    });
    assert_eq!(one, several);
});

/// What a wearable says of the heart when it is worked after every `block` samples; of other events, nothing, for the
/// signal's state is looked at when there is work. Where the block is one, missing samples come one by one, but not those of a
/// gap that ends the recording: that ends 2 s later then.
fn run<S: Strips>(
    wearable: &mut Wearable<'_, Shapes, S>,
    calls: &[Call],
    hz: u32,
    block: usize,
) -> Vec<Event> {
    let mut said = Vec::new();
    let (mut since, mut gap) = (0, 0_u64);
    for call in calls {
        match *call {
            Call::Push(count) => {
                wearable.push(count);
                gap = if count == MISSING { gap + 1 } else { 0 };
                since += 1;
                if since < block {
                    continue;
                }
            }
            Call::Clock(now_ms) => {
                wearable.clock(now_ms);
                continue;
            }
            Call::Work(times) => {
                for _ in 0..times % 16 {
                    let _ = wearable.work();
                    said.extend(wearable.poll());
                }
                continue;
            }
            // What is left of a recording is given before the next one begins.
            Call::Missing(samples) => {
                drain(wearable, &mut said);
                gap += u64::from(samples);
                match block == 1 && gap <= u64::from(2 * hz) {
                    true => (0..samples).for_each(|_| wearable.push(MISSING)),
                    false => wearable.missing(samples),
                }
            }
            Call::Finish => {
                drain(wearable, &mut said);
                wearable.finish();
            }
        }
        since = 0;
        drain(wearable, &mut said);
    }
    wearable.finish();
    drain(wearable, &mut said);
    said.retain(|event| {
        matches!(
            event,
            Event::Beat { .. }
                | Event::Run { .. }
                | Event::Fibrillation { .. }
                | Event::Restarted { .. }
        )
    });
    said
}

fn drain<S: Strips>(wearable: &mut Wearable<'_, Shapes, S>, said: &mut Vec<Event>) {
    while wearable.work() == Poll::Pending {
        said.extend(wearable.poll());
    }
}
