//! A whole conversation with a device in the same process, over a line that harms packets.

use super::*;
use crate::model::Model;
use heartlens_core::link::{Board, CRC, Device, ModelStore};
use heartlens_core::rhythm::{self, Rules};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

const PATIENT: Patient = Patient {
    age_years: None,
    sex: None,
};

fn sums(views: &Views) -> Logits {
    [
        views.waveform.iter().sum(),
        views.spectrum.iter().sum(),
        views.spectrogram.iter().sum(),
        views.metadata.iter().sum(),
    ]
}

/// A network that adds up each view, less `bias`.
struct Sums {
    bias: f32,
}

impl Runtime for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn model_name(&self) -> &str {
        "sums"
    }

    fn reads_patient(&self) -> bool {
        true
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        let logits = beats.iter().map(|views| sums(views).map(|x| x - self.bias));
        Ok(logits.collect())
    }
}

impl Network for Sums {
    fn logits(&mut self, views: &Views) -> Logits {
        sums(views)
    }
}

const BOARD: Board = Board {
    name: "bench",
    instructions: || 0,
};

/// The shipped model.
fn shipped() -> Model {
    Model::shipped().expect("fits this build")
}

/// Room for a model.
#[derive(Default)]
struct Bench {
    crc: u32,
    len: usize,
    model: Vec<u8>,
    in_use: String,
}

impl ModelStore<Sums> for Bench {
    type Error = &'static str;

    fn name<'a>(&'a self, _: &'a Sums) -> &'a str {
        &self.in_use
    }

    fn begin(&mut self, bytes: u32, crc: u32) -> Result<(), Self::Error> {
        (self.len, self.crc) = (bytes as usize, crc);
        self.model.clear();
        match bytes {
            ..10_000 => Ok(()),
            _ => Err("too long"),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, Self::Error> {
        if offset as usize == self.model.len() {
            self.model.extend(bytes);
        }
        Ok(self.model.len() as u32)
    }

    fn end(&mut self, _: &mut Sums) -> Result<(), Self::Error> {
        if self.model.len() != self.len || CRC.checksum(&self.model) != self.crc {
            return Err("not what was announced");
        }
        self.in_use = String::from_utf8_lossy(&self.model[..4]).into_owned();
        Ok(())
    }

    fn classified(&mut self) {}
}

/// One packet in so many is lost, one comes twice, one has a bit flipped; none where it is 0.
struct Line<'a> {
    device: Device<'a, Sums>,
    bench: Bench,
    answers: VecDeque<u8>,
    random: ChaCha8Rng,
    to_device: u32,
    from_device: u32,
}

impl<'a> Line<'a> {
    fn new(rhythm: Option<rhythm::Model<'a>>, to_device: u32, from_device: u32, seed: u64) -> Self {
        Self {
            device: Device::new(BOARD, Sums { bias: 0.0 }, rhythm),
            bench: Bench::default(),
            answers: VecDeque::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
            to_device,
            from_device,
        }
    }
}

/// What the line makes of a packet.
fn harm(random: &mut ChaCha8Rng, one_in: u32, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    if one_in == 0 || !random.random_ratio(1, one_in) {
        return bytes;
    }
    match random.random_range(0..3) {
        0 => bytes.clear(),
        1 => bytes.extend(packet),
        _ => {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            bytes.push(0);
        }
    }
    bytes
}

impl Write for Line<'_> {
    fn write(&mut self, packet: &[u8]) -> io::Result<usize> {
        let Self {
            device,
            bench,
            answers,
            random,
            to_device,
            from_device,
        } = self;
        for byte in harm(random, *to_device, packet) {
            device.receive(byte, bench, |packet| {
                answers.extend(harm(random, *from_device, packet))
            });
        }
        Ok(packet.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answers.is_empty() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.answers.read(buffer)
    }
}

fn open(line: Line<'_>) -> (Conversation<Line<'_>>, Hello) {
    Conversation::with_patience(line, Duration::from_millis(2)).expect("a device")
}

/// Two minutes of seeded noise and beats.
fn recording() -> Vec<i16> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut mv = vec![0.0_f32; 15_360];
    let mut peak = 60;
    while peak + 10 < mv.len() {
        for (i, value) in mv[peak - 10..peak + 10].iter_mut().enumerate() {
            let d = (i as f32 - 10.0) / 2.5;
            *value += 1.1 * (-d * d).exp();
        }
        peak += random.random_range(75..120);
    }
    mv.iter()
        .map(|v| count(v + random.random_range(-0.02..0.02)))
        .collect()
}

#[test]
fn a_clean_line_is_identical() {
    let (counts, shipped) = (recording(), shipped());
    let rhythm = shipped.rhythm(Rules::SHIPPED);
    let (mut line, hello) = open(Line::new(rhythm, 0, 0, 1));
    assert_eq!((&*hello.board, &*hello.model), ("bench", ""));
    let mut heard = Vec::new();
    let streamed = line
        .stream(&counts, PATIENT, |samples| heard.push(samples))
        .expect("a recording");
    assert!(heard.is_sorted() && heard.last() == Some(&(counts.len() as u32)));
    let mut runtime = Sums { bias: 0.0 };
    let beats = expected(&counts, &streamed.gaps, PATIENT, &mut runtime, rhythm).expect("beats");
    assert!(beats.len() > 120, "{} beats", beats.len());
    assert_eq!(streamed.beats.len(), beats.len());
    assert!(
        streamed
            .beats
            .iter()
            .zip(&beats)
            .all(|(found, beat)| agree(found, beat))
    );
    assert_eq!(streamed.status.beats as usize, beats.len());
    let clean = streamed.from_device;
    assert_eq!((clean.lost, clean.doubled, clean.corrupted), (0, 0, 0));

    // Another network is told from it, and so is each part of a beat.
    let other = expected(&counts, &[], PATIENT, &mut Sums { bias: 1e-3 }, rhythm).expect("beats");
    assert!(
        streamed
            .beats
            .iter()
            .zip(&other)
            .all(|(found, beat)| !agree(found, beat))
    );
    let mut beat = streamed.beats[3];
    beat.sample += 1;
    assert!(!agree(&beat, &beats[3]));
    let mut beat = streamed.beats[3];
    beat.rr_samples = beat.rr_samples.map(|rr| rr + 1);
    assert!(!agree(&beat, &beats[3]));
}

/// What the device classified is what this machine makes of the same stretches, whatever the line did.
#[test]
fn a_harmful_line_costs_beats_and_never_changes_one() {
    let (counts, shipped) = (recording(), shipped());
    let rhythm = shipped.rhythm(Rules::SHIPPED);
    let mut runtime = Sums { bias: 0.0 };
    let (mut gaps, mut told) = (0, 0);
    for seed in 0..12 {
        let (mut line, _) = open(Line::new(
            rhythm,
            20,
            if seed % 2 == 0 { 0 } else { 60 },
            seed,
        ));
        let streamed = match line.stream(&counts, PATIENT, |_| ()) {
            Ok(streamed) => streamed,
            Err(DeviceError::GapsLost { .. }) => {
                told += 1;
                continue;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        };
        gaps += streamed.gaps.len();
        let beats =
            expected(&counts, &streamed.gaps, PATIENT, &mut runtime, rhythm).expect("beats");
        for found in &streamed.beats {
            let beat = beats.iter().find(|beat| beat.sample == found.sample);
            assert!(
                beat.is_some_and(|beat| agree(found, beat)),
                "seed {seed}: {found:?}"
            );
        }
        if seed % 2 == 0 {
            assert_eq!(streamed.beats.len(), beats.len(), "seed {seed}");
            let harmed = streamed.status.counts;
            assert!(harmed.lost >= streamed.gaps.len() as u32);
            assert!(harmed.lost + harmed.doubled > 0);
        }
    }
    assert!(
        gaps > 20,
        "{gaps} gaps, {told} runs whose gaps were not told"
    );
}

#[test]
fn a_model_arrives_whole_over_a_harmful_line() {
    let mut image = b"tiny".to_vec();
    image.extend((0..5000_u32).map(|i| (i * 37) as u8));
    let (mut line, _) = open(Line::new(None, 15, 15, 3));
    let mut heard = Vec::new();
    let name = line
        .upload(&image, |bytes| heard.push(bytes))
        .expect("room");
    assert_eq!(name, "tiny");
    assert_eq!(heard.last(), Some(&image.len()));

    let (mut line, _) = open(Line::new(None, 0, 0, 4));
    let error = line.upload(&[0; 10_000], |_| ()).expect_err("too long");
    assert_eq!(error.to_string(), "the device refuses: too long");
}

/// A port that nobody answers on.
struct Deaf;

impl Write for Deaf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Deaf {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[test]
fn silence_is_said_and_ends() {
    let error = Conversation::with_patience(Deaf, Duration::from_millis(1))
        .err()
        .expect("nobody");
    assert!(
        error
            .to_string()
            .starts_with("no answer to who is there within 1 ms, 5 times")
    );
}

#[test]
fn counts_keep_what_fits_and_what_is_missing() {
    let counts = [0.0, 1.0, -0.0005, 99.0, -99.0, f32::NAN].map(count);
    assert_eq!(counts, [0, 1000, -1, 32_767, -32_767, MISSING]);
    for count in [-32_767, -1, 0, 1, 32_767] {
        assert_eq!(super::count(CALIBRATION.sample_mv(count)), count);
    }
}
