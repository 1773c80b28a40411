//! The serial line: bytes from anywhere into both ends' receivers, and a device that is told
//! anything in any order. What it says are packets that a host reads, its beats in order.

#![no_main]

use arbitrary::{Result, Unstructured};
use heartlens_core::Network;
use heartlens_core::link::{
    Board, CRC, Device, FromDevice, FromHost, ModelStore, PACKET_MAX, Receiver, Sender, Start,
};
use heartlens_core::model::Logits;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::sample::Calibration;
use heartlens_core::views::Views;
use libfuzzer_sys::fuzz_target;

const BOARD: Board = Board {
    name: "fuzz",
    instructions: || 0,
};

/// Says of each beat what its waveform sums up to.
struct Sums;

impl Network for Sums {
    fn logits(&mut self, views: &Views) -> Logits {
        [views.waveform.iter().sum(), 0.0, 1.0, 0.0]
    }
}

/// A place for one small model.
#[derive(Default)]
struct Store {
    wanted: Option<(u32, u32)>,
    model: Vec<u8>,
}

impl ModelStore<Sums> for Store {
    type Error = String;

    fn name<'a>(&'a self, _: &'a Sums) -> &'a str {
        "sums"
    }

    fn begin(&mut self, bytes: u32, crc: u32) -> std::result::Result<(), String> {
        if bytes > 1000 {
            return Err("too long \u{e4} ".repeat(40));
        }
        (self.wanted, self.model) = (Some((bytes, crc)), Vec::new());
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> std::result::Result<u32, String> {
        if offset as usize == self.model.len() {
            self.model.extend(bytes);
        }
        Ok(self.model.len() as u32)
    }

    fn end(&mut self, _: &mut Sums) -> std::result::Result<(), String> {
        let found = (self.model.len() as u32, CRC.checksum(&self.model));
        match self.wanted.take() {
            Some(wanted) if wanted == found => Ok(()),
            _ => Err("not that model".to_owned()),
        }
    }

    fn classified(&mut self) {}
}

/// The line, with a host's ear at its end.
struct Bench<'a> {
    device: Device<'a, Sums>,
    store: Store,
    host: Receiver,
    /// Beats of the recording under way, and where the last one was.
    last: Option<u32>,
}

impl Bench<'_> {
    fn receive(&mut self, bytes: &[u8]) {
        let Self {
            device,
            store,
            host,
            last,
        } = self;
        for byte in bytes {
            device.receive(*byte, store, |packet| {
                assert!(packet.len() <= PACKET_MAX);
                let (end, before) = packet.split_last().expect("a packet has bytes");
                assert_eq!((*end, before.contains(&0)), (0, false));
                for byte in before {
                    assert!(host.push::<FromDevice<'_>>(*byte).is_none());
                }
                let (message, counts) = host.push::<FromDevice<'_>>(0).expect("a whole packet");
                assert_eq!((counts.lost, counts.corrupted, counts.doubled), (0, 0, 0));
                match message {
                    FromDevice::Beat(beat) => {
                        assert!(beat.class().is_some() && (0.0..=1.0).contains(&beat.quality));
                        assert!(last.is_none_or(|last| beat.sample >= last));
                        *last = Some(beat.sample);
                    }
                    FromDevice::Status(status) if status.next_sample == 0 => *last = None,
                    _ => {}
                }
            });
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    let mut bench = Bench {
        device: Device::new(BOARD, Sums, None),
        store: Store::default(),
        host: Receiver::new(),
        last: None,
    };
    // Where the bytes end, the rest of the case is missing.
    let _ = talk(&mut source, &mut bench);
});

fn talk(source: &mut Unstructured<'_>, bench: &mut Bench<'_>) -> Result<()> {
    let mut sender = Sender::new();
    let mut buffer = [0; PACKET_MAX];
    let mut next = 0_u32;
    while !source.is_empty() {
        let message = match source.int_in_range(0..=11)? {
            0 => {
                // No packet, or one by chance.
                bench.receive(source.arbitrary()?);
                continue;
            }
            1 => FromHost::Hello,
            2 => {
                next = 0;
                FromHost::Start(start(source)?)
            }
            3 => FromHost::Samples {
                first: source.arbitrary()?,
                counts: source.arbitrary()?,
            },
            4 => FromHost::Query,
            5 => FromHost::Finish {
                samples: source.arbitrary()?,
            },
            6 => FromHost::ModelStart {
                bytes: source.int_in_range(0..=1100)?,
                crc: source.arbitrary()?,
            },
            7 => FromHost::ModelPart {
                offset: source.int_in_range(0..=1100)?,
                bytes: source.arbitrary()?,
            },
            8 => FromHost::ModelEnd,
            9 => {
                // A packet that is damaged, lost, or comes twice.
                let packet = sender.packet(&FromHost::Query, &mut buffer);
                let mut packet = packet.expect("a short message").to_vec();
                let at = source.choose_index(packet.len())?;
                packet[at] ^= source.arbitrary::<u8>()?;
                for _ in 0..source.int_in_range(0..=2)? {
                    bench.receive(&packet);
                }
                continue;
            }
            _ => {
                let beats = source.int_in_range(1..=8)?;
                let (height, rest): (i8, u8) = (source.arbitrary()?, source.arbitrary()?);
                for _ in 0..beats {
                    stream(bench, &mut sender, &mut next, &beat(height, rest));
                }
                continue;
            }
        };
        // What is too long for a packet cannot be said.
        if let Some(packet) = sender.packet(&message, &mut buffer) {
            bench.receive(packet);
        }
    }
    Ok(())
}

fn start(source: &mut Unstructured<'_>) -> Result<Start> {
    let calibration = Calibration {
        counts_per_mv: match source.int_in_range(0..=3)? {
            0 => source.arbitrary()?,
            _ => 100.0,
        },
        zero: match source.int_in_range(0..=3)? {
            0 => source.arbitrary()?,
            _ => 0,
        },
    };
    let patient = Patient {
        age_years: source.arbitrary()?,
        sex: source
            .arbitrary::<Option<bool>>()?
            .map(|female| if female { Sex::Female } else { Sex::Male }),
    };
    Ok(Start::new(calibration, patient))
}

/// A complex of this height, and silence.
fn beat(height: i8, rest: u8) -> Vec<i16> {
    let height = i16::from(height);
    let mut counts: Vec<i16> = [1, 4, 8, 4, 1].map(|part| height * part / 8).to_vec();
    counts.extend((0..40 + i16::from(rest)).map(|i| i % 3));
    counts
}

/// Sends samples as a host does.
fn stream(bench: &mut Bench<'_>, sender: &mut Sender, next: &mut u32, counts: &[i16]) {
    let mut buffer = [0; PACKET_MAX];
    for part in counts.chunks(60) {
        let bytes: Vec<u8> = part.iter().flat_map(|count| count.to_le_bytes()).collect();
        let message = FromHost::Samples {
            first: *next,
            counts: &bytes,
        };
        if let Some(packet) = sender.packet(&message, &mut buffer) {
            bench.receive(packet);
        }
        *next += part.len() as u32;
    }
}
