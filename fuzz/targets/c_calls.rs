//! The library for C, called in any order with anything: a code that the header has, never a panic, and the same answers whatever
//! lay in the memory before.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use heartlens_c::*;
use libfuzzer_sys::fuzz_target;
use std::mem::MaybeUninit;

/// A call, with what it is told.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Call {
    Begin(Beginning),
    /// Samples on a line from the last count to this one.
    Push(i16, u8),
    /// Beats of this height.
    Beats(i16, u8),
    Missing(u32),
    Clock(u32),
    Work(u8),
    Next(u8),
    Finish,
    Ask,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Beginning {
    rate: u8,
    gain: f32,
    zero: i32,
    age: f32,
    sex: u8,
    rules: u8,
    strips: bool,
    /// What is wrong with the call, seldom anything.
    wrong: u8,
    at: u16,
}

/// Calls that an input may make: time is what a run has little of.
const MAX_CALLS: usize = 400;
const RATES: [u32; 12] = [125, 128, 200, 250, 256, 360, 400, 500, 512, 1000, 0, 127];
const WORDS: usize = HL_MEMORY_STRIPS_BYTES / 8;

fn image(image: hl_image, wrong: bool, at: u16, place: &mut [u64]) -> hl_image {
    if !wrong {
        return image;
    }
    // SAFETY: the library's own images are as long as they say; the place is long enough.
    unsafe {
        let bytes = std::slice::from_raw_parts(image.bytes, image.length);
        let copy = std::slice::from_raw_parts_mut(place.as_mut_ptr().cast::<u8>(), 8 * place.len());
        let length = image.length.min(copy.len());
        copy[..length].copy_from_slice(&bytes[..length]);
        copy[usize::from(at) % length] ^= 1 << (at % 8);
        let cut = if at & 0x100 == 0 {
            length
        } else {
            usize::from(at) % length
        };
        hl_image {
            bytes: copy.as_ptr(),
            length: cut,
        }
    }
}

/// All that the calls say, as bits.
fn run(calls: &[Call], garbage: u64) -> Vec<u64> {
    let mut memory = vec![garbage; WORDS];
    // Images lie still for as long as they are in use.
    let mut places: Vec<Vec<u64>> = Vec::new();
    let handle = memory.as_mut_ptr();
    let mut said = Vec::new();
    let mut count = 0_i16;
    let mut code = |code: i32| {
        assert!((HL_ERROR_STRIP..=HL_NONE).contains(&code), "{code}");
        assert!(!hl_text(code).is_null());
        said.push(code as u64);
    };
    let mut events: Vec<hl_event> = Vec::new();
    let mut rates: Vec<f32> = Vec::new();
    for call in calls {
        // SAFETY: the memory is aligned and long enough, and nobody else uses it.
        unsafe {
            match *call {
                Call::Begin(begin) => {
                    let config = hl_config {
                        rate_hz: RATES[usize::from(begin.rate) % RATES.len()],
                        counts_per_mv: begin.gain,
                        zero: begin.zero,
                        age_years: begin.age,
                        sex: begin.sex % 4,
                        rules: begin.rules % 6,
                    };
                    let mut broken = |whole: hl_image, number: u8| {
                        let mut place = vec![0; whole.length.div_ceil(8)];
                        let broken = image(whole, begin.wrong == number, begin.at, &mut place);
                        places.push(place);
                        broken
                    };
                    let beat = broken(hl_beat_model(), 1);
                    let rhythm = broken(hl_rhythm_model(), 2);
                    let bytes = match begin.wrong {
                        3 => usize::from(begin.at),
                        _ => 8 * WORDS,
                    };
                    code(match begin.strips {
                        false => hl_init(handle, bytes, &config, beat, rhythm),
                        true => {
                            let strip = broken(hl_strip_model(), 4);
                            hl_init_strips(handle, bytes, &config, beat, rhythm, strip)
                        }
                    });
                }
                Call::Push(to, samples) => {
                    let samples = 1 + i32::from(samples);
                    for n in 1..=samples {
                        let way = (i32::from(to) - i32::from(count)) * n / samples;
                        code(hl_push_i16(handle, (i32::from(count) + way) as i16));
                    }
                    count = to;
                }
                Call::Beats(height, number) => {
                    for n in 0..100 * (1 + i32::from(number % 8)) {
                        let d = (n % 100 - 50) as f32 / 4.0;
                        code(hl_push_i16(
                            handle,
                            (f32::from(height) * (-d * d).exp()) as i16,
                        ));
                        if n % 5 == 0 {
                            code(hl_work(handle));
                        }
                    }
                }
                Call::Missing(samples) => code(hl_missing(handle, samples)),
                Call::Clock(now_ms) => code(hl_clock(handle, now_ms)),
                Call::Work(times) => (0..times).for_each(|_| code(hl_work(handle))),
                Call::Next(times) => {
                    for _ in 0..times % 16 {
                        let mut event = MaybeUninit::<hl_event>::zeroed();
                        let got = hl_next(handle, event.as_mut_ptr());
                        code(got);
                        if got == HL_OK {
                            events.push(event.assume_init());
                        }
                    }
                }
                Call::Finish => code(hl_finish(handle)),
                Call::Ask => {
                    rates.push(hl_rate_bpm(handle));
                    let signal = hl_signal(handle);
                    assert!(
                        (HL_ERROR_NOT_INITIALISED..=i32::from(HL_SIGNAL_RATE)).contains(&signal)
                    );
                }
            }
        }
    }
    for rate in rates {
        assert!((0.0..=1000.0).contains(&rate), "{rate}");
        said.push(rate.to_bits().into());
    }
    for event in &events {
        assert!(event.kind <= HL_EVENT_SAMPLE_RATE || event.kind == HL_EVENT_OTHER);
        if event.kind == HL_EVENT_BEAT {
            assert!(b"NSVFQ".contains(&event.label), "{}", event.label);
            assert!(event.scores.iter().all(|score| (0.0..=1.0).contains(score)));
        }
        said.extend([event.at_ms, event.until_ms, u64::from(event.beats)]);
        said.extend(event.scores.map(|score| u64::from(score.to_bits())));
        said.extend([event.kind, event.label, event.flag, event.signal].map(u64::from));
        said.push(u64::from(event.rr_ms.to_bits()) << 32 | u64::from(event.rate_bpm.to_bits()));
    }
    said
}

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    let mut calls = Vec::new();
    while !source.is_empty() && calls.len() < MAX_CALLS {
        let Ok(call) = source.arbitrary() else { break };
        calls.push(call);
    }
    assert_eq!(run(&calls, 0), run(&calls, 0xa5a5_5a5a_ffff_0001));
});
