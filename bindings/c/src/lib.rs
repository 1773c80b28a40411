//! Heartlens from C: [`heartlens_core::wearable::Wearable`] behind plain functions.
//!
//! The caller owns all memory; nothing is allocated, and no function of a C library is called. Every function may be called in
//! any order: what cannot be done is answered by a code, and [`hl_text`] has its text. Only pointers must be what they are said
//! to be.

#![no_std]

use core::ffi::{CStr, c_char};
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr::{addr_of_mut, null};
use core::slice;
use core::task::Poll;
use heartlens_core::model::{Aligned, Executor, Model, Task, arena_words};
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::strip::StripMonitor;
use heartlens_core::wearable::{Config, Event, Rate, Signal, Strips, Wearable};

#[cfg(feature = "handler")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Bytes of memory that hl_init asks for, on every target.
pub const HL_MEMORY_BYTES: usize = 18432;
/// Bytes of memory that hl_init_strips asks for, on every target.
pub const HL_MEMORY_STRIPS_BYTES: usize = 37888;
/// Bytes of an hl_event, on both sides.
pub const HL_EVENT_BYTES: usize = 56;
/// What the memory's address must be a multiple of.
pub const HL_MEMORY_ALIGN: usize = 8;

/// Done; of hl_work: nothing is left to do until the next sample; of hl_next: there was an event.
pub const HL_OK: i32 = 0;
/// hl_work has more to do.
pub const HL_PENDING: i32 = 1;
/// hl_next has no event.
pub const HL_NONE: i32 = 2;
/// A pointer is NULL.
pub const HL_ERROR_NULL: i32 = -1;
/// The memory has fewer than HL_MEMORY_BYTES bytes, or HL_MEMORY_STRIPS_BYTES.
pub const HL_ERROR_MEMORY: i32 = -2;
/// The memory's address is no multiple of HL_MEMORY_ALIGN.
pub const HL_ERROR_ALIGNMENT: i32 = -3;
/// hl_init or hl_init_strips has not been called on this memory, or has failed.
pub const HL_ERROR_NOT_INITIALISED: i32 = -4;
/// The sample rate is none of 100, 125, 128, 200, 250, 256, 300, 360, 500, 512, 1000 Hz.
pub const HL_ERROR_RATE: i32 = -5;
/// The counts per millivolt are 0 or no finite number.
pub const HL_ERROR_GAIN: i32 = -6;
/// The sex or the rules are none of their constants.
pub const HL_ERROR_CONFIG: i32 = -7;
/// The model is damaged, is none for this version, lies at an address that is no multiple of 8, or takes more memory than there
/// is.
pub const HL_ERROR_MODEL: i32 = -8;
/// The rhythm network is damaged or is none for this version.
pub const HL_ERROR_RHYTHM: i32 = -9;
/// The strip network is damaged, is none for this version, lies at an address that is no multiple of 8, or takes more memory than
/// there is.
pub const HL_ERROR_STRIP: i32 = -10;

/// Of hl_push_i16: this sample is missing.
pub const HL_MISSING: i16 = -32768;
const _: () = assert!(HL_MISSING == heartlens_core::sample::MISSING);

/// The patient's sex is not known.
pub const HL_SEX_UNKNOWN: u8 = 0;
/// A woman.
pub const HL_SEX_FEMALE: u8 = 1;
/// A man.
pub const HL_SEX_MALE: u8 = 2;

/// The network alone decides on a beat's class.
pub const HL_RULES_NONE: u8 = 0;
/// Where the intervals speak of atrial fibrillation, early beats go from S to N.
pub const HL_RULES_AF: u8 = 1;
/// That, and in a sustained supraventricular tachycardia beats go from N to S.
pub const HL_RULES_AF_SVT: u8 = 2;
/// Where half minutes of signal show atrial fibrillation, beats go from S to N. Without a strip network it does nothing.
pub const HL_RULES_STRIP: u8 = 3;
/// That, and beats of this patient that look alike get like answers.
pub const HL_RULES_ALIKE: u8 = 4;
/// The rules of the shipped model: those of `heartlens classify`.
pub const HL_RULES_SHIPPED: u8 = HL_RULES_ALIKE;

/// A beat: at_ms, label, rr_ms, scores, fibrillation, readable, and flag where its two likeliest classes are close. With a strip network fibrillation is -1: HL_EVENT_FIBRILLATION tells it.
pub const HL_EVENT_BEAT: u8 = 1;
/// The signal is good for something else now: at_ms, signal.
pub const HL_EVENT_SIGNAL: u8 = 2;
/// No beat for 3 s, and the pause goes on: at_ms is that of the last beat; flag: the line does not move at all.
pub const HL_EVENT_PAUSE: u8 = 3;
/// Atrial fibrillation: at_ms is its first beat. It begins, or with flag ends at until_ms.
pub const HL_EVENT_FIBRILLATION: u8 = 4;
/// A run of three or more S or V beats: at_ms is its first; label, beats, rate_bpm. With flag it is over.
pub const HL_EVENT_RUN: u8 = 5;
/// A new recording begins after a gap, at at_ms.
pub const HL_EVENT_RESTARTED: u8 = 6;
/// Half a minute has been judged, from at_ms to until_ms: scores are the probabilities of normal rhythm, atrial fibrillation, another
/// rhythm and noise. Every 10 s, only after hl_init_strips.
pub const HL_EVENT_STRIP: u8 = 7;
/// By hl_clock the samples are too many or too few for the rate that was told: at_ms, found_hz, expected_hz. Another rate, or samples that
/// are lost and not called missing. With flag the two agree again.
pub const HL_EVENT_SAMPLE_RATE: u8 = 8;
/// Something that this version of the header has no name for.
pub const HL_EVENT_OTHER: u8 = 255;

/// Nothing is known of the signal yet.
pub const HL_SIGNAL_UNKNOWN: u8 = 0;
/// Beats can be read.
pub const HL_SIGNAL_READABLE: u8 = 1;
/// Noise hides the beats.
pub const HL_SIGNAL_NOISY: u8 = 2;
/// The line hardly moves: an electrode that is off, or asystole.
pub const HL_SIGNAL_FLAT: u8 = 3;
/// The converter has given the same count for 2 s.
pub const HL_SIGNAL_CONSTANT: u8 = 4;
/// Samples are missing, or beyond what an electrode on the skin has.
pub const HL_SIGNAL_ELECTRODE_OFF: u8 = 5;
/// There are peaks, but no heartbeats.
pub const HL_SIGNAL_NO_HEARTBEAT: u8 = 6;
/// The beats are larger than a body's: the counts per millivolt are wrong.
pub const HL_SIGNAL_GAIN: u8 = 7;
/// The rate that was told is wrong: for sure after HL_EVENT_SAMPLE_RATE, else probably, since the beats are too fast and narrow, or too
/// slow and wide, for any heart.
pub const HL_SIGNAL_RATE: u8 = 8;

/// What hl_init is told.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct hl_config {
    /// The converter's sample rate: 100, 125, 128, 200, 250, 256, 300, 360, 500, 512 or 1000 Hz.
    pub rate_hz: u32,
    /// Counts per millivolt; negative where the lead is upside down.
    pub counts_per_mv: f32,
    /// The count that means 0 mV.
    pub zero: i32,
    /// The patient's age in years, below 0 where it is not known.
    pub age_years: f32,
    /// HL_SEX_...
    pub sex: u8,
    /// HL_RULES_...
    pub rules: u8,
}

/// Bytes that stay where they are for as long as they are in use: a network.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct hl_image {
    /// The first byte, at a multiple of 8.
    pub bytes: *const u8,
    /// How many.
    pub length: usize,
}

/// Something that happened. What a kind does not name is 0. Times count from the first sample, missing samples included.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[allow(non_camel_case_types)]
pub struct hl_event {
    /// When, in ms.
    pub at_ms: u64,
    /// The end, in ms.
    pub until_ms: u64,
    /// Probability of N, S, V and F, NaN where the network has failed; of half a minute those of HL_EVENT_STRIP.
    pub scores: [f32; 4],
    /// RR interval since the beat before, in ms; 0 at the first beat.
    pub rr_ms: f32,
    /// Beats a minute.
    pub rate_bpm: f32,
    /// How many.
    pub beats: u32,
    /// HL_EVENT_...
    pub kind: u8,
    /// 'N', 'S', 'V', 'F' or, where the signal is not readable, 'Q'.
    pub label: u8,
    /// 1 in atrial fibrillation, 0 in none, -1 where that is not judged.
    pub fibrillation: i8,
    /// 1 where the beat's signal can be read.
    pub readable: u8,
    /// HL_SIGNAL_...
    pub signal: u8,
    /// 0 or 1; see the kind.
    pub flag: u8,
    /// The sample rate that was told, in Hz.
    pub expected_hz: u16,
    /// Samples a second by hl_clock.
    pub found_hz: f32,
}

/// What lies in the caller's memory at its beginning, whoever has begun there.
#[repr(C)]
struct Head {
    magic: u32,
    /// The wearable further on in the same memory.
    watching: MaybeUninit<*mut dyn Watch>,
}

/// What lies in the caller's memory after hl_init.
#[repr(C)]
struct Handle {
    head: Head,
    wearable: MaybeUninit<Watching>,
    arena: [i32; ARENA_WORDS],
}

/// What lies in the caller's memory after hl_init_strips.
#[repr(C)]
struct StripHandle {
    head: Head,
    wearable: MaybeUninit<WatchingStrips>,
    arena: [i32; ARENA_WORDS],
    strip_arena: [i32; STRIP_ARENA_WORDS],
}

type Watching = Wearable<'static, Executor<'static>>;
type WatchingStrips = Wearable<'static, Executor<'static>, StripMonitor<'static>>;

/// A wearable, with or without strip network. Which of the two is called is in the memory, so that a program that never calls
/// hl_init_strips does not contain its code.
trait Watch {
    fn push(&mut self, count: i16);
    fn missing(&mut self, samples: u32);
    fn clock(&mut self, now_ms: u32);
    fn finish(&mut self);
    fn work(&mut self) -> Poll<()>;
    fn poll(&mut self) -> Option<Event>;
    fn signal(&self) -> Option<Signal>;
    fn rate_bpm(&self) -> Option<f32>;
}

impl<S: Strips> Watch for Wearable<'static, Executor<'static>, S> {
    fn push(&mut self, count: i16) {
        Wearable::push(self, count);
    }

    fn missing(&mut self, samples: u32) {
        Wearable::missing(self, samples);
    }

    fn clock(&mut self, now_ms: u32) {
        Wearable::clock(self, now_ms);
    }

    fn finish(&mut self) {
        Wearable::finish(self);
    }

    fn work(&mut self) -> Poll<()> {
        Wearable::work(self)
    }

    fn poll(&mut self) -> Option<Event> {
        Wearable::poll(self)
    }

    fn signal(&self) -> Option<Signal> {
        Wearable::signal(self)
    }

    fn rate_bpm(&self) -> Option<f32> {
        Wearable::rate_bpm(self)
    }
}

/// Memory on which hl_init has succeeded begins with this.
const MAGIC: u32 = 0x4c48_0001;

const BEAT: &[u8] = include_bytes!("../../../models/beat/model.hlm");
static BEAT_IMAGE: Aligned<[u8; BEAT.len()]> =
    Aligned(*include_bytes!("../../../models/beat/model.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../../models/beat/rhythm.hlr");
static RHYTHM_IMAGE: Aligned<[u8; RHYTHM.len()]> =
    Aligned(*include_bytes!("../../../models/beat/rhythm.hlr"));

const STRIP: &[u8] = include_bytes!("../../../models/beat/strip.hlm");
static STRIP_IMAGE: Aligned<[u8; STRIP.len()]> =
    Aligned(*include_bytes!("../../../models/beat/strip.hlm"));

/// Words of a network's activations: those of the shipped model.
const ARENA_WORDS: usize = arena_words(BEAT);
/// Words of the strip network's.
const STRIP_ARENA_WORDS: usize = arena_words(STRIP);

const _: () = {
    assert!(size_of::<Handle>() <= HL_MEMORY_BYTES);
    assert!(size_of::<Handle>() > HL_MEMORY_BYTES - 1024);
    assert!(align_of::<Handle>() <= HL_MEMORY_ALIGN);
    assert!(size_of::<StripHandle>() <= HL_MEMORY_STRIPS_BYTES);
    assert!(size_of::<StripHandle>() > HL_MEMORY_STRIPS_BYTES - 1024);
    assert!(align_of::<StripHandle>() <= HL_MEMORY_ALIGN);
    // The header asserts the same of the C side's.
    assert!(size_of::<hl_event>() == HL_EVENT_BYTES);
    assert!(HL_MEMORY_BYTES.is_multiple_of(HL_MEMORY_ALIGN));
    assert!(HL_MEMORY_STRIPS_BYTES.is_multiple_of(HL_MEMORY_ALIGN));
};

/// The model of beats that comes with the library. A program that never calls this does not contain it.
#[unsafe(no_mangle)]
pub extern "C" fn hl_beat_model() -> hl_image {
    image(&BEAT_IMAGE.0)
}

/// The rhythm network that comes with the library.
#[unsafe(no_mangle)]
pub extern "C" fn hl_rhythm_model() -> hl_image {
    image(&RHYTHM_IMAGE.0)
}

/// The strip network that comes with the library, for hl_init_strips. A program that never calls this does not contain it.
#[unsafe(no_mangle)]
pub extern "C" fn hl_strip_model() -> hl_image {
    image(&STRIP_IMAGE.0)
}

const fn image(bytes: &'static [u8]) -> hl_image {
    hl_image {
        bytes: bytes.as_ptr(),
        length: bytes.len(),
    }
}

/// Begins in this memory. It may be called again on the same memory to begin anew.
///
/// HL_OK, or what is wrong.
///
/// # Safety
/// `memory` points to `bytes` bytes that nobody else uses from now on, `config` to a configuration, and both images to as many
/// bytes as they say, which stay as they are for as long as the memory is in use. Any of them may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_init(
    memory: *mut u64,
    bytes: usize,
    config: *const hl_config,
    beat: hl_image,
    rhythm: hl_image,
) -> i32 {
    if config.is_null() || beat.bytes.is_null() || rhythm.bytes.is_null() {
        return HL_ERROR_NULL;
    }
    // SAFETY: as the caller promises; what is read and written of the handle lies in the memory, which has been looked at before.
    unsafe {
        if let Err(code) = prepare(memory, bytes, HL_MEMORY_BYTES) {
            return code;
        }
        let handle = memory.cast::<Handle>();
        let arena = addr_of_mut!((*handle).arena);
        let (config, beat, rhythm) = match networks(&config.read(), beat, rhythm, arena) {
            Ok(networks) => networks,
            Err(code) => return code,
        };
        let place = &mut *addr_of_mut!((*handle).wearable);
        match Wearable::init(place, config, beat, rhythm) {
            Ok(wearable) => begin(memory, wearable),
            Err(_) => HL_ERROR_GAIN,
        }
    }
}

/// Begins in this memory as hl_init does, with a strip network: fibrillation is told by half a minute of signal, and HL_EVENT_STRIP says every
/// 10 s what the last half minute was. `memory` has HL_MEMORY_STRIPS_BYTES bytes or more; `strip` may be hl_strip_model().
///
/// HL_OK, or what is wrong.
///
/// # Safety
/// As hl_init, and `strip` is such an image too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_init_strips(
    memory: *mut u64,
    bytes: usize,
    config: *const hl_config,
    beat: hl_image,
    rhythm: hl_image,
    strip: hl_image,
) -> i32 {
    if config.is_null() || beat.bytes.is_null() || rhythm.bytes.is_null() || strip.bytes.is_null() {
        return HL_ERROR_NULL;
    }
    // SAFETY: as in hl_init.
    unsafe {
        if let Err(code) = prepare(memory, bytes, HL_MEMORY_STRIPS_BYTES) {
            return code;
        }
        let handle = memory.cast::<StripHandle>();
        let arena = addr_of_mut!((*handle).arena);
        let (config, beat, rhythm) = match networks(&config.read(), beat, rhythm, arena) {
            Ok(networks) => networks,
            Err(code) => return code,
        };
        let arena = addr_of_mut!((*handle).strip_arena);
        arena.write_bytes(0, 1);
        let arena: &'static mut [i32; STRIP_ARENA_WORDS] = &mut *arena;
        let strip: &'static [u8] = slice::from_raw_parts(strip.bytes, strip.length);
        let strip = Model::load_for(strip, Task::Strip).and_then(|model| model.executor(arena));
        let Ok(strip) = strip else {
            return HL_ERROR_STRIP;
        };
        let place = &mut *addr_of_mut!((*handle).wearable);
        match Wearable::with_strips(place, config, beat, rhythm, strip) {
            Ok(wearable) => begin(memory, wearable),
            Err(_) => HL_ERROR_GAIN,
        }
    }
}

/// Looks at the memory, and takes from it what has begun there.
///
/// # Safety
/// `memory` is NULL, or points to `bytes` bytes that nobody else uses.
unsafe fn prepare(memory: *mut u64, bytes: usize, needed: usize) -> Result<(), i32> {
    if memory.is_null() {
        return Err(HL_ERROR_NULL);
    }
    if !(memory as usize).is_multiple_of(HL_MEMORY_ALIGN) {
        return Err(HL_ERROR_ALIGNMENT);
    }
    if bytes < needed {
        return Err(HL_ERROR_MEMORY);
    }
    // SAFETY: the memory is long enough and aligned. Nothing in it is dropped, since nothing in it owns anything.
    unsafe { addr_of_mut!((*memory.cast::<Head>()).magic).write(0) };
    Ok(())
}

type Networks = (Config, Executor<'static>, Network<'static>);

/// The configuration and the two networks that both kinds have.
///
/// # Safety
/// The images are what [`hl_init`] says, and `arena` is memory that nobody else uses from now on.
unsafe fn networks(
    config: &hl_config,
    beat: hl_image,
    rhythm: hl_image,
    arena: *mut [i32; ARENA_WORDS],
) -> Result<Networks, i32> {
    let config = told(config)?;
    // SAFETY: as the caller promises.
    let (beat, rhythm, arena): (
        &'static [u8],
        &'static [u8],
        &'static mut [i32; ARENA_WORDS],
    ) = unsafe {
        arena.write_bytes(0, 1);
        (
            slice::from_raw_parts(beat.bytes, beat.length),
            slice::from_raw_parts(rhythm.bytes, rhythm.length),
            &mut *arena,
        )
    };
    let beat = Model::load(beat).and_then(|model| model.executor(arena));
    let beat = beat.map_err(|_| HL_ERROR_MODEL)?;
    let rhythm = Network::load(rhythm).map_err(|_| HL_ERROR_RHYTHM)?;
    Ok((config, beat, rhythm))
}

/// Says in the memory that a wearable has begun in it.
///
/// # Safety
/// The memory begins with a [`Head`], and the wearable lies behind it.
unsafe fn begin(memory: *mut u64, wearable: *mut (dyn Watch + 'static)) -> i32 {
    let head = memory.cast::<Head>();
    // SAFETY: as the caller promises.
    unsafe {
        addr_of_mut!((*head).watching).write(MaybeUninit::new(wearable));
        addr_of_mut!((*head).magic).write(MAGIC);
    }
    HL_OK
}

fn told(config: &hl_config) -> Result<Config, i32> {
    Ok(Config {
        rate: Rate::of(config.rate_hz).ok_or(HL_ERROR_RATE)?,
        calibration: Calibration {
            counts_per_mv: config.counts_per_mv,
            zero: config.zero,
        },
        patient: Patient {
            age_years: Some(config.age_years).filter(|age| *age >= 0.0),
            sex: match config.sex {
                HL_SEX_UNKNOWN => None,
                HL_SEX_FEMALE => Some(Sex::Female),
                HL_SEX_MALE => Some(Sex::Male),
                _ => return Err(HL_ERROR_CONFIG),
            },
        },
        rules: match config.rules {
            HL_RULES_NONE => Rules::NONE,
            HL_RULES_AF => Rules::AF,
            HL_RULES_AF_SVT => Rules::AF_SVT,
            HL_RULES_STRIP => Rules::STRIP,
            HL_RULES_ALIKE => Rules::ALIKE,
            _ => return Err(HL_ERROR_CONFIG),
        },
    })
}

/// The wearable in this memory.
///
/// # Safety
/// `memory` is NULL, or points to memory that hl_init or hl_init_strips would take, that nobody else uses meanwhile and of which the first four are either
/// [`MAGIC`], written by [`hl_init`], or anything else.
unsafe fn watching<'m>(memory: *mut u64) -> Result<&'m mut dyn Watch, i32> {
    if memory.is_null() {
        return Err(HL_ERROR_NULL);
    }
    if !(memory as usize).is_multiple_of(HL_MEMORY_ALIGN) {
        return Err(HL_ERROR_ALIGNMENT);
    }
    let head = memory.cast::<Head>();
    // SAFETY: as the caller promises. The wearable is made before the magic number is written.
    unsafe {
        if addr_of_mut!((*head).magic).read() != MAGIC {
            return Err(HL_ERROR_NOT_INITIALISED);
        }
        Ok(&mut *(*addr_of_mut!((*head).watching)).assume_init())
    }
}

/// Takes the converter's next sample. A few hundred instructions on a Cortex-M4F, and at most 80,000 after a gap.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_push_i16(memory: *mut u64, count: i16) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => {
            wearable.push(count);
            HL_OK
        }
        Err(code) => code,
    }
}

/// Says that so many of the converter's samples are missing: an overrun, or an electrode that is off. After more than 2 s of them
/// the next sample begins a new recording.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_missing(memory: *mut u64, samples: u32) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => {
            wearable.missing(samples);
            HL_OK
        }
        Err(code) => code,
    }
}

/// Says what time it is by a clock of your own: ms since whenever, in 32 bits that may turn over. About once a second will do, or in each
/// turn of a main loop. Samples, missing ones included, are compared with it: HL_EVENT_SAMPLE_RATE says where they are more than 2 % too
/// many or too few for the rate that was told, some 10 s after it becomes so where they are off by a tenth. What happens once is not told:
/// a clock that is set, or one loss.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_clock(memory: *mut u64, now_ms: u32) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => {
            wearable.clock(now_ms);
            HL_OK
        }
        Err(code) => code,
    }
}

/// Ends the recording, so that its last beats come. The next sample begins another one.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_finish(memory: *mut u64) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => {
            wearable.finish();
            HL_OK
        }
        Err(code) => code,
    }
}

/// Does one slice of the work that there is, at most 80,000 instructions of a Cortex-M4F with the shipped model: HL_PENDING while
/// there is more, or while events wait for hl_next; HL_OK where nothing is left until the next sample.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_work(memory: *mut u64) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => match wearable.work() {
            Poll::Pending => HL_PENDING,
            Poll::Ready(()) => HL_OK,
        },
        Err(code) => code,
    }
}

/// The next event: HL_OK where there was one, HL_NONE where not.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time. `event` is NULL, or points to an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_next(memory: *mut u64, event: *mut hl_event) -> i32 {
    if event.is_null() {
        return HL_ERROR_NULL;
    }
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => match wearable.poll() {
            Some(next) => {
                // SAFETY: as the caller promises.
                unsafe { event.write(translate(&next)) };
                HL_OK
            }
            None => HL_NONE,
        },
        Err(code) => code,
    }
}

/// What the signal is good for, HL_SIGNAL_..., or an error.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_signal(memory: *mut u64) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { watching(memory) } {
        Ok(wearable) => i32::from(wearable.signal().map_or(HL_SIGNAL_UNKNOWN, signal)),
        Err(code) => code,
    }
}

/// The heart rate in beats a minute, over the last 8 readable RR intervals; 0 where there is none, in a pause, and after an error.
///
/// # Safety
/// `memory` is NULL, or what hl_init was given; one call at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hl_rate_bpm(memory: *mut u64) -> f32 {
    // SAFETY: as the caller promises.
    let rate = unsafe { watching(memory) }.map(|wearable| wearable.rate_bpm());
    rate.ok().flatten().unwrap_or(0.0)
}

fn translate(event: &Event) -> hl_event {
    let nothing = hl_event::default();
    match *event {
        Event::Beat { at_ms, beat } => hl_event {
            kind: HL_EVENT_BEAT,
            at_ms,
            label: beat.class.name().bytes().next().unwrap_or(b'Q'),
            rr_ms: beat.rr_s.map_or(0.0, |rr_s| rr_s * 1000.0),
            scores: beat.probabilities,
            fibrillation: beat.fibrillation.map_or(-1, i8::from),
            readable: u8::from(beat.readable),
            flag: u8::from(beat.is_unsure() == Some(true)),
            ..nothing
        },
        Event::Signal { at_ms, signal: now } => hl_event {
            kind: HL_EVENT_SIGNAL,
            at_ms,
            signal: signal(now),
            ..nothing
        },
        Event::Pause { since_ms, flat } => hl_event {
            kind: HL_EVENT_PAUSE,
            at_ms: since_ms,
            flag: u8::from(flat),
            ..nothing
        },
        Event::Fibrillation { since_ms, until_ms } => hl_event {
            kind: HL_EVENT_FIBRILLATION,
            at_ms: since_ms,
            until_ms: until_ms.unwrap_or(0),
            flag: u8::from(until_ms.is_some()),
            ..nothing
        },
        Event::Run {
            class,
            since_ms,
            beats,
            rate_bpm,
            over,
        } => hl_event {
            kind: HL_EVENT_RUN,
            at_ms: since_ms,
            label: class.name().bytes().next().unwrap_or(b'Q'),
            beats,
            rate_bpm,
            flag: u8::from(over),
            ..nothing
        },
        Event::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => hl_event {
            kind: HL_EVENT_STRIP,
            at_ms: from_ms,
            until_ms,
            scores: probabilities,
            ..nothing
        },
        Event::SampleRate {
            at_ms,
            found_hz,
            expected_hz,
            wrong,
        } => hl_event {
            kind: HL_EVENT_SAMPLE_RATE,
            at_ms,
            found_hz,
            expected_hz: expected_hz as u16,
            flag: u8::from(!wrong),
            ..nothing
        },
        Event::Restarted { at_ms } => hl_event {
            kind: HL_EVENT_RESTARTED,
            at_ms,
            ..nothing
        },
        _ => hl_event {
            kind: HL_EVENT_OTHER,
            ..nothing
        },
    }
}

const fn signal(signal: Signal) -> u8 {
    match signal {
        Signal::Readable => HL_SIGNAL_READABLE,
        Signal::Noisy => HL_SIGNAL_NOISY,
        Signal::Flat => HL_SIGNAL_FLAT,
        Signal::Constant => HL_SIGNAL_CONSTANT,
        Signal::ElectrodeOff => HL_SIGNAL_ELECTRODE_OFF,
        Signal::NoHeartbeat => HL_SIGNAL_NO_HEARTBEAT,
        Signal::Gain => HL_SIGNAL_GAIN,
        Signal::Rate => HL_SIGNAL_RATE,
        _ => HL_SIGNAL_UNKNOWN,
    }
}

/// The text of a code, in English; NULL where there is no such code. It is there for ever.
#[unsafe(no_mangle)]
pub extern "C" fn hl_text(code: i32) -> *const c_char {
    let text: &CStr = match code {
        HL_OK => c"done",
        HL_PENDING => c"there is more to do",
        HL_NONE => c"there is no event",
        HL_ERROR_NULL => c"a pointer is NULL",
        HL_ERROR_MEMORY => c"the memory has fewer than HL_MEMORY_BYTES bytes, or HL_MEMORY_STRIPS_BYTES",
        HL_ERROR_ALIGNMENT => c"the memory's address is no multiple of HL_MEMORY_ALIGN",
        HL_ERROR_NOT_INITIALISED => c"hl_init has not been called on this memory, or has failed",
        HL_ERROR_RATE => {
            c"the sample rate is none of 100, 125, 128, 200, 250, 256, 300, 360, 500, 512, 1000 Hz"
        }
        HL_ERROR_GAIN => c"the counts per millivolt are 0 or no finite number",
        HL_ERROR_CONFIG => c"the sex or the rules are none of their constants",
        HL_ERROR_MODEL => {
            c"the model is damaged, is none for this version, is not aligned, or takes too much memory"
        }
        HL_ERROR_RHYTHM => c"the rhythm network is damaged or is none for this version",
        HL_ERROR_STRIP => {
            c"the strip network is damaged, is none for this version, is not aligned, or takes too much memory"
        }
        _ => return null(),
    };
    text.as_ptr()
}
