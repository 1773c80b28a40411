//! The serial link against what lines do: packets that are lost, come twice, arrive damaged, and noise.

use heartlens_core::Network;
use heartlens_core::link::{
    BeatReport, Board, Counts, Device, FromDevice, FromHost, ModelStore, PACKET_MAX, PART_MAX,
    Receiver, SAMPLES_MAX, Sender, Start, Status,
};
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_core::sample::{Calibration, MISSING};
use heartlens_core::spec::{HASH, LABELS};
use heartlens_core::views::Views;
use proptest::prelude::*;

const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 1000.0,
    zero: -7,
};
const PATIENT: Patient = Patient {
    age_years: Some(61.0),
    sex: None,
};

thread_local! {
    static CLOCK: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// A machine that counts a thousand instructions whenever it is asked.
const BOARD: Board = Board {
    name: "bench",
    instructions: || {
        CLOCK.set(CLOCK.get().wrapping_add(1000));
        CLOCK.get()
    },
};

/// Adds up each view.
#[derive(Debug)]
struct Sums;

impl Network for Sums {
    fn logits(&mut self, views: &Views) -> [f32; LABELS.len()] {
        sums(views)
    }
}

/// Keeps one model in memory.
#[derive(Debug, Default)]
struct Bench {
    wanted: Option<(u32, u32)>,
    model: Vec<u8>,
    classified: u32,
}

fn sums(views: &Views) -> [f32; LABELS.len()] {
    [
        views.waveform.iter().sum(),
        views.spectrum.iter().sum(),
        views.spectrogram.iter().sum(),
        views.metadata.iter().sum(),
    ]
}

impl ModelStore<Sums> for Bench {
    type Error = String;

    fn name<'a>(&'a self, _: &'a Sums) -> &'a str {
        "sums"
    }

    fn begin(&mut self, bytes: u32, crc: u32) -> Result<(), String> {
        if bytes > 1000 {
            return Err(format!(
                "the model has {bytes} bytes, {}",
                "there is room for 1000 ".repeat(20)
            ));
        }
        self.wanted = Some((bytes, crc));
        self.model.clear();
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, String> {
        if offset as usize == self.model.len() {
            self.model.extend(bytes);
        }
        Ok(self.model.len() as u32)
    }

    fn end(&mut self, _: &mut Sums) -> Result<(), String> {
        let found = (
            self.model.len() as u32,
            heartlens_core::link::CRC.checksum(&self.model),
        );
        match self.wanted.take() {
            Some(wanted) if wanted == found => Ok(()),
            wanted => Err(format!("found {found:?}, expected {wanted:?}")),
        }
    }

    fn classified(&mut self) {
        self.classified += 1;
    }
}

/// Half a minute or so of beats at varying intervals, with a second of missing samples.
fn counts() -> Vec<i16> {
    let peaks: Vec<f32> = (1..48)
        .map(|i| (i * 95 + (i * i * 7) % 23) as f32)
        .collect();
    (0..4600)
        .map(|i| {
            if (2000..2128).contains(&i) {
                return MISSING;
            }
            let wander = 0.3 * (i as f32 / 400.0).sin();
            let mv = peaks.iter().fold(wander, |sum, r| {
                let d = (i as f32 - r) / 2.5;
                sum + 1.2 * (-d * d).exp()
            });
            (mv * 1000.0) as i16
        })
        .collect()
}

/// A message from the device that outlives its packet.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Hello(u64, String, String),
    Status(Status),
    Beat(BeatReport),
    Gap(u32, u32),
    Finished(Status),
    Next(u32),
    Ready(String),
    Refused(String),
}

impl From<FromDevice<'_>> for Answer {
    fn from(message: FromDevice<'_>) -> Self {
        match message {
            FromDevice::Hello {
                spec_hash,
                board,
                model,
            } => Self::Hello(spec_hash, board.into(), model.into()),
            FromDevice::Status(status) => Self::Status(status),
            FromDevice::Beat(beat) => Self::Beat(beat),
            FromDevice::Gap { expected, found } => Self::Gap(expected, found),
            FromDevice::Finished(status) => Self::Finished(status),
            FromDevice::ModelNext { offset } => Self::Next(offset),
            FromDevice::ModelReady { model } => Self::Ready(model.into()),
            FromDevice::Refused { reason } => Self::Refused(reason.into()),
        }
    }
}

struct Conversation {
    device: Device<'static, Sums>,
    bench: Bench,
    host: Sender,
    from_device: Receiver,
    answers: Vec<Answer>,
}

impl Conversation {
    fn new() -> Self {
        Self {
            device: Device::new(BOARD, Sums, None),
            bench: Bench::default(),
            host: Sender::new(),
            from_device: Receiver::new(),
            answers: Vec::new(),
        }
    }

    fn packet(&mut self, message: FromHost<'_>) -> Vec<u8> {
        let mut buffer = [0; PACKET_MAX];
        self.host
            .packet(&message, &mut buffer)
            .expect("a short message")
            .to_vec()
    }

    fn line(&mut self, bytes: &[u8]) {
        let Self {
            device,
            bench,
            from_device,
            answers,
            ..
        } = self;
        for byte in bytes {
            device.receive(*byte, bench, |packet| {
                for byte in packet {
                    if let Some((message, _)) = from_device.push::<FromDevice<'_>>(*byte) {
                        answers.push(message.into());
                    }
                }
            });
        }
    }

    fn say(&mut self, message: FromHost<'_>) -> Vec<Answer> {
        let bytes = self.packet(message);
        self.line(&bytes);
        std::mem::take(&mut self.answers)
    }
}

fn chunks(counts: &[i16]) -> impl Iterator<Item = (u32, Vec<u8>)> + '_ {
    counts.chunks(SAMPLES_MAX).enumerate().map(|(i, chunk)| {
        let bytes = chunk.iter().flat_map(|count| count.to_le_bytes()).collect();
        ((i * SAMPLES_MAX) as u32, bytes)
    })
}

/// What a stretch that is a recording of its own must give.
fn stretch(counts: &[i16], origin: u32) -> Vec<(u32, [u32; LABELS.len()], Option<u32>)> {
    let mut monitor = Monitor::new(PATIENT);
    let mut beats: Vec<MonitoredBeat> = counts
        .iter()
        .filter_map(|count| monitor.push(CALIBRATION.sample_mv(*count)))
        .collect();
    monitor.finish();
    beats.extend(std::iter::from_fn(|| monitor.poll()));
    beats
        .iter()
        .map(|beat| {
            let mut views = Views::ZERO;
            views.compute(&beat.frame);
            let rr = beat.frame.pre_rr_s.map(|rr| (rr * 128.0) as u32);
            (
                origin + beat.frame.r_sample,
                sums(&views).map(f32::to_bits),
                rr,
            )
        })
        .collect()
}

fn reported(answers: &[Answer]) -> Vec<(u32, [u32; LABELS.len()], Option<u32>)> {
    let beats = answers.iter().filter_map(|answer| match answer {
        Answer::Beat(beat) => Some((beat.sample, beat.logits.map(f32::to_bits), beat.rr_samples)),
        _ => None,
    });
    beats.collect()
}

#[test]
fn a_clean_line_gives_the_monitors_beats() {
    let counts = counts();
    let mut line = Conversation::new();
    let hello = line.say(FromHost::Hello);
    assert_eq!(hello, [Answer::Hello(HASH, "bench".into(), "sums".into())]);
    line.say(FromHost::Start(Start::new(CALIBRATION, PATIENT)));
    let mut answers = Vec::new();
    for (first, bytes) in chunks(&counts) {
        answers.extend(line.say(FromHost::Samples {
            first,
            counts: &bytes,
        }));
        let Some(Answer::Status(status)) = answers.last() else {
            panic!("no status");
        };
        assert_eq!(status.next_sample, first + bytes.len() as u32 / 2);
    }
    answers.extend(line.say(FromHost::Finish {
        samples: counts.len() as u32,
    }));
    let expected = stretch(&counts, 0);
    assert!(expected.len() > 40, "{} beats", expected.len());
    assert_eq!(reported(&answers), expected);
    let Some(Answer::Finished(status)) = answers.last() else {
        panic!("not finished");
    };
    assert_eq!((status.beats as usize, status.gaps), (expected.len(), 0));
    assert_eq!(line.bench.classified, status.beats);
    assert_eq!(
        (
            status.counts.lost,
            status.counts.doubled,
            status.counts.corrupted
        ),
        (0, 0, 0)
    );
    let classes: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Beat(beat) => Some((beat.class().expect("a class").name(), beat.instructions)),
            _ => None,
        })
        .collect();
    assert!(
        classes.iter().any(|(class, _)| *class != "Q"),
        "{classes:?}"
    );
    assert!(
        classes
            .iter()
            .all(|(_, instructions)| *instructions == 1000)
    );
}

/// What the line does to one packet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Harm {
    None,
    Lost,
    Doubled,
    Flipped(usize, u8),
    /// A byte is missing, which may be the closing zero.
    Short(usize),
    /// Noise before it.
    Noise(u64),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        6 => Just(Harm::None),
        1 => Just(Harm::Lost),
        1 => Just(Harm::Doubled),
        1 => (0_usize..200, 0_u8..8).prop_map(|(at, bit)| Harm::Flipped(at, bit)),
        1 => (0_usize..200).prop_map(Harm::Short),
        1 => any::<u64>().prop_map(Harm::Noise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is lost, doubled or damaged: the beats are those of the stretches between the gaps, each a recording of
    /// its own, and what happened is counted.
    #[test]
    fn nothing_is_classified_across_a_gap(harms in prop::collection::vec(harm(), 72)) {
        let counts = counts();
        let mut line = Conversation::new();
        line.say(FromHost::Hello);
        line.say(FromHost::Start(Start::new(CALIBRATION, PATIENT)));
        let mut arrived = Vec::new();
        let (mut lost, mut doubled) = (0, 0);
        let mut harms = harms.into_iter();
        for (first, bytes) in chunks(&counts) {
            let mut packet = line.packet(FromHost::Samples { first, counts: &bytes });
            match harms.next().expect("a harm a packet") {
                Harm::None => arrived.push(first),
                Harm::Lost => {
                    lost += 1;
                    continue;
                }
                Harm::Doubled => {
                    doubled += 1;
                    arrived.push(first);
                    packet.extend(packet.clone());
                }
                Harm::Flipped(at, bit) => {
                    lost += 1;
                    let at = at % packet.len();
                    packet[at] ^= 1 << bit;
                    // Its closing zero may be gone.
                    packet.push(0);
                }
                Harm::Short(at) => {
                    // Without its own zero a packet is whole as soon as there is another.
                    match at % packet.len() == packet.len() - 1 {
                        true => arrived.push(first),
                        false => lost += 1,
                    }
                    packet.remove(at % packet.len());
                    packet.push(0);
                }
                Harm::Noise(seed) => {
                    arrived.push(first);
                    let mut noise: Vec<u8> = seed.to_le_bytes().to_vec();
                    noise.push(0);
                    packet.splice(0..0, noise);
                }
            }
            line.line(&packet);
        }
        let mut answers = std::mem::take(&mut line.answers);
        answers.extend(line.say(FromHost::Finish { samples: counts.len() as u32 }));

        let Some(Answer::Finished(status)) = answers.last().cloned() else {
            return Err(TestCaseError::fail("not finished"));
        };
        let end = counts.len() as u32;
        let (mut expected, mut gaps, mut begin, mut next) = (Vec::new(), Vec::new(), 0, 0);
        for first in arrived.into_iter().chain([end]) {
            if first != next {
                expected.extend(stretch(&counts[begin as usize..next as usize], begin));
                gaps.push(Answer::Gap(next, first));
                begin = first;
            }
            next = (first + SAMPLES_MAX as u32).min(end);
        }
        expected.extend(stretch(&counts[begin as usize..], begin));
        let told = answers.iter().filter(|answer| matches!(answer, Answer::Gap(..)));
        prop_assert!(told.eq(&gaps));
        prop_assert_eq!(gaps.len(), status.gaps as usize);
        let found = reported(&answers);
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(found.len(), status.beats as usize);
        prop_assert_eq!(status.counts.doubled, doubled);
        prop_assert_eq!(status.counts.lost, lost);
    }

    /// Noise brings neither panic nor hang, and is forgotten after it.
    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 0..2000), zeros in 1_usize..9) {
        let mut line = Conversation::new();
        // Zeros make packets of it, so that more than the length is looked at.
        let noise: Vec<u8> = noise.into_iter().enumerate().map(|(i, byte)| if i % (zeros * 7) == 0 { 0 } else { byte }).collect();
        line.line(&noise);
        line.line(&[0]);
        line.answers.clear();
        prop_assert_eq!(line.say(FromHost::Hello).len(), 1);
    }

    /// So do well-made packets in any order with any numbers in them.
    #[test]
    fn any_message_is_survived(messages in prop::collection::vec(any::<(u8, u32, u32, f32, Vec<u8>)>(), 0..40)) {
        let mut line = Conversation::new();
        for (kind, a, b, x, bytes) in &messages {
            let bytes = &bytes[..bytes.len().min(PART_MAX)];
            line.say(match kind % 8 {
                0 => FromHost::Hello,
                1 | 2 => FromHost::Start(Start::new(
                    Calibration { counts_per_mv: *x, zero: *a as i32 },
                    Patient { age_years: Some(*x), sex: None },
                )),
                3 => FromHost::Samples { first: *a, counts: bytes },
                4 => FromHost::Finish { samples: *a },
                5 => FromHost::ModelStart { bytes: *a, crc: *b },
                6 => FromHost::ModelPart { offset: *a, bytes },
                _ => FromHost::ModelEnd,
            });
        }
        prop_assert_eq!(line.say(FromHost::Hello).len(), 1);
    }
}

#[test]
fn every_single_damaged_bit_is_noticed() {
    let mut sender = Sender::new();
    let mut buffer = [0; PACKET_MAX];
    let counts: Vec<u8> = (0..2 * SAMPLES_MAX as u8).collect();
    let message = FromHost::Samples {
        first: 70_000,
        counts: &counts,
    };
    let packet = sender.packet(&message, &mut buffer).expect("fits").to_vec();
    for at in 0..packet.len() {
        for bit in 0..8 {
            let mut damaged = packet.clone();
            damaged[at] ^= 1 << bit;
            damaged.push(0);
            let mut receiver = Receiver::new();
            for byte in damaged {
                assert_eq!(
                    receiver.push::<FromHost<'_>>(byte),
                    None,
                    "byte {at}, bit {bit}"
                );
            }
            assert!(receiver.counts().corrupted > 0, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn packets_are_counted() {
    let mut sender = Sender::new();
    let mut packets = Vec::new();
    for _ in 0..10 {
        let mut buffer = [0; PACKET_MAX];
        packets.push(
            sender
                .packet(&FromHost::Query, &mut buffer)
                .expect("fits")
                .to_vec(),
        );
    }
    let mut receiver = Receiver::new();
    // In step, one twice, two missing, noise, one of the past.
    for (i, number) in [0, 1, 1, 2, 5, 6, 3, 7].into_iter().enumerate() {
        if i == 5 {
            for byte in [1, 2, 3, 0, 0, 0] {
                receiver.push::<FromHost<'_>>(byte);
            }
        }
        for byte in &packets[number] {
            receiver.push::<FromHost<'_>>(*byte);
        }
    }
    let expected = Counts {
        received: 6,
        lost: 2,
        doubled: 2,
        corrupted: 1,
    };
    assert_eq!(receiver.counts(), expected);
    // More than any packet has, then a packet: what came before it is one corrupted stretch.
    for byte in std::iter::repeat_n(&7, 3 * PACKET_MAX)
        .chain(&[0])
        .chain(&packets[8])
    {
        receiver.push::<FromHost<'_>>(*byte);
    }
    let expected = Counts {
        received: 7,
        corrupted: 2,
        ..expected
    };
    assert_eq!(receiver.counts(), expected);
}

#[test]
fn a_model_goes_over_part_by_part() {
    let model: Vec<u8> = (0..999_u32).map(|i| (i * 31) as u8).collect();
    let crc = heartlens_core::link::CRC.checksum(&model);
    let mut line = Conversation::new();
    assert_eq!(
        line.say(FromHost::ModelStart { bytes: 999, crc }),
        [Answer::Next(0)]
    );
    for (i, bytes) in model.chunks(PART_MAX).enumerate() {
        let offset = (i * PART_MAX) as u32;
        let next = offset + bytes.len() as u32;
        // One too far is asked for again; one that comes twice changes nothing.
        let ahead = FromHost::ModelPart {
            offset: next,
            bytes,
        };
        assert_eq!(line.say(ahead), [Answer::Next(offset)]);
        for _ in 0..2 {
            assert_eq!(
                line.say(FromHost::ModelPart { offset, bytes }),
                [Answer::Next(next)]
            );
        }
    }
    assert_eq!(line.say(FromHost::ModelEnd), [Answer::Ready("sums".into())]);
    assert!(matches!(
        &line.say(FromHost::ModelEnd)[..],
        [Answer::Refused(_)]
    ));
    let Answer::Refused(reason) = &line.say(FromHost::ModelStart { bytes: 1001, crc })[0] else {
        panic!("a model that does not fit");
    };
    assert!(
        reason.starts_with("the model has 1001 bytes") && reason.len() == 128,
        "{reason}"
    );
}
