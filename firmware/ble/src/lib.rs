//! What goes over the air: the Heart Rate Measurement of Bluetooth's Heart Rate Service, and Heartlens' own event.
#![no_std]

use heapless::Vec;
use heartlens_core::wearable::{Event, Signal};
use heartlens_embassy::Report;

/// Flags of a Heart Rate Measurement (Bluetooth Heart Rate Service 1.0, section 3.1.1.1): the rate has 8 bits.
const CONTACT_SUPPORTED: u8 = 1 << 2;
const CONTACT: u8 = 1 << 1;
const RR_PRESENT: u8 = 1 << 4;

/// Bytes of a Heart Rate Measurement at the most: flags, rate, and one RR interval.
pub const MEASUREMENT_BYTES: usize = 4;
/// Bytes of an event.
pub const EVENT_BYTES: usize = 16;

/// The Heart Rate Measurement that a report gives: of a beat, its RR interval in 1/1024 s and the rate by then; of a signal that
/// tells of the electrodes, whether they are on. `None` for all others.
pub fn measurement(report: &Report) -> Option<Vec<u8, MEASUREMENT_BYTES>> {
    let bpm = report.rate_bpm.map_or(0, |bpm| bpm.clamp(0.0, 255.0) as u8);
    let mut bytes = Vec::new();
    match report.event {
        Event::Beat { beat, .. } => {
            let flags = CONTACT_SUPPORTED | CONTACT;
            match beat.rr_s.filter(|_| beat.readable) {
                Some(rr_s) => {
                    let [low, high] = ((rr_s * 1024.0) as u16).to_le_bytes();
                    bytes
                        .extend_from_slice(&[flags | RR_PRESENT, bpm, low, high])
                        .ok()?;
                }
                None => bytes.extend_from_slice(&[flags, bpm]).ok()?,
            }
        }
        Event::Signal { signal, .. } => {
            let on = if signal == Signal::ElectrodeOff {
                0
            } else {
                CONTACT
            };
            bytes
                .extend_from_slice(&[CONTACT_SUPPORTED | on, bpm])
                .ok()?;
        }
        _ => return None,
    }
    Some(bytes)
}

/// An event in 16 bytes, little endian: kind, class (N, S, V, F, Q; 0 for none), flag, what the signal is good for, number (u32),
/// and time in ms since the first sample (u64). `None` for what this version has no number for.
///
/// | kind | what | class | flag | number |
/// |---|---|---|---|---|
/// | 1 | beat | its class | in fibrillation | RR interval in ms |
/// | 2 | signal | | | |
/// | 3 | pause | | the line does not move | |
/// | 4 | fibrillation; time is its first beat | | it is over | |
/// | 5 | run; time is its first beat | S or V | it is over | beats |
/// | 6 | a new recording begins | | | |
/// | 7 | the sample rate is wrong | | it is right again | samples found in 1,000 s |
///
/// The signal's numbers are those of `heartlens.h`: 1 readable, 2 noisy, 3 flat, 4 constant, 5 electrode off, 6 no heartbeat,
/// 7 wrong gain, 8 wrong rate.
pub fn event(event: &Event) -> Option<[u8; EVENT_BYTES]> {
    let letter = |name: &str| name.bytes().next().unwrap_or(b'Q');
    let (kind, class, flag, signal, number, at_ms) = match *event {
        Event::Beat { at_ms, beat } => {
            let rr_ms = beat.rr_s.map_or(0, |rr_s| (rr_s * 1000.0) as u32);
            let af = beat.fibrillation == Some(true);
            (1, letter(beat.class.name()), af, 0, rr_ms, at_ms)
        }
        Event::Signal { at_ms, signal } => {
            let number = match signal {
                Signal::Readable => 1,
                Signal::Noisy => 2,
                Signal::Flat => 3,
                Signal::Constant => 4,
                Signal::ElectrodeOff => 5,
                Signal::NoHeartbeat => 6,
                Signal::Gain => 7,
                Signal::Rate => 8,
                _ => return None,
            };
            (2, 0, false, number, 0, at_ms)
        }
        Event::Pause { since_ms, flat } => (3, 0, flat, 0, 0, since_ms),
        Event::Fibrillation { since_ms, until_ms } => (4, 0, until_ms.is_some(), 0, 0, since_ms),
        Event::Run {
            class,
            since_ms,
            beats,
            over,
            ..
        } => (5, letter(class.name()), over, 0, beats, since_ms),
        Event::Restarted { at_ms } => (6, 0, false, 0, 0, at_ms),
        Event::SampleRate {
            at_ms,
            found_hz,
            wrong,
            ..
        } => (7, 0, !wrong, 0, (found_hz * 1000.0) as u32, at_ms),
        _ => return None,
    };
    let mut bytes = [0; EVENT_BYTES];
    bytes[..4].copy_from_slice(&[kind, class, u8::from(flag), signal]);
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&at_ms.to_le_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;
    use heartlens_core::Beat;
    use heartlens_core::class::Class;
    use heartlens_core::model::{Aligned, Model, arena_words};
    use heartlens_core::patient::Patient;
    use heartlens_core::rhythm::{Network, Rules};
    use heartlens_core::sample::Calibration;
    use heartlens_core::wearable::{Config, Rate, Wearable};

    const MODEL: &[u8] = include_bytes!("../../../models/beat/model.hlm");
    static MODEL_IMAGE: Aligned<[u8; MODEL.len()]> =
        Aligned(*include_bytes!("../../../models/beat/model.hlm"));
    const RHYTHM: &[u8] = include_bytes!("../../../models/beat/rhythm.hlr");
    const RECORDING: &[u8] = include_bytes!("../../stretch/demo.bin");

    /// A beat of the demo record that has an interval.
    fn a_beat() -> Beat {
        let mut arena = [0; arena_words(MODEL)];
        let executor = Model::load(&MODEL_IMAGE.0)
            .and_then(|model| model.executor(&mut arena))
            .expect("a model");
        let config = Config {
            rate: Rate::HZ_128,
            calibration: Calibration {
                counts_per_mv: 1000.0,
                zero: 0,
            },
            patient: Patient::default(),
            rules: Rules::SHIPPED,
        };
        let rhythm = Network::load(RHYTHM).expect("a network");
        let mut place = MaybeUninit::uninit();
        let wearable = Wearable::init(&mut place, config, executor, rhythm).expect("a gain");
        let (counts, _) = RECORDING[12..].as_chunks::<2>();
        for count in counts {
            wearable.push(i16::from_le_bytes(*count));
            while wearable.work().is_pending() {
                match wearable.poll() {
                    Some(Event::Beat { beat, .. }) if beat.rr_s.is_some() => return beat,
                    _ => {}
                }
            }
        }
        panic!("the record has beats");
    }

    fn report(event: Event, rate_bpm: Option<f32>) -> Report {
        Report { event, rate_bpm }
    }

    #[test]
    fn an_electrode_that_is_off_is_no_contact() {
        let signal = |signal| report(Event::Signal { at_ms: 9, signal }, None);
        let off = measurement(&signal(Signal::ElectrodeOff)).expect("a measurement");
        assert_eq!(off.as_slice(), [0b100, 0]);
        let on = measurement(&signal(Signal::Readable)).expect("a measurement");
        assert_eq!(on.as_slice(), [0b110, 0]);
    }

    #[test]
    fn a_beat_has_its_rate_and_its_interval_in_1024ths_of_a_second() {
        let mut beat = a_beat();
        beat.class = Class::S;
        beat.rr_s = Some(0.75);
        beat.fibrillation = Some(true);
        beat.readable = true;
        let told = |beat| report(Event::Beat { at_ms: 7812, beat }, Some(80.9));
        let bytes = measurement(&told(beat)).expect("a measurement");
        assert_eq!(bytes.as_slice(), [0b10110, 80, 0, 3]);
        assert_eq!(
            event(&told(beat).event),
            Some([1, b'S', 1, 0, 0xee, 2, 0, 0, 0x84, 0x1e, 0, 0, 0, 0, 0, 0])
        );
        // The interval of a beat that cannot be read is not sent.
        beat.readable = false;
        let bytes = measurement(&told(beat)).expect("a measurement");
        assert_eq!(bytes.as_slice(), [0b110, 80]);
    }

    #[test]
    fn events_in_bytes() {
        let run = Event::Run {
            class: Class::V,
            since_ms: 0x0102_0304_0506,
            beats: 5,
            rate_bpm: 150.0,
            over: true,
        };
        assert_eq!(
            event(&run),
            Some([5, b'V', 1, 0, 5, 0, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0])
        );
        assert_eq!(measurement(&report(run, Some(150.0))), None);
        let rate = Event::SampleRate {
            at_ms: 9,
            found_hz: 128.5,
            expected_hz: 125,
            wrong: true,
        };
        assert_eq!(
            event(&rate),
            Some([7, 0, 0, 0, 0xf4, 0xf5, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0])
        );
        let rate = Event::Signal {
            at_ms: 1,
            signal: Signal::Rate,
        };
        assert_eq!(event(&rate).map(|bytes| bytes[3]), Some(8));
        let off = Event::Signal {
            at_ms: 1000,
            signal: Signal::ElectrodeOff,
        };
        assert_eq!(
            event(&off),
            Some([2, 0, 0, 5, 0, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0])
        );
    }
}
