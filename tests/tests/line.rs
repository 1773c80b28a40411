//! The firmware `serial` in QEMU at the end of a line: what it answers, and that nothing on the line or in a model's image
//! stops it.
#![cfg(unix)]

use heartlens::Model;
use heartlens::device::{self, Conversation, DeviceError, Port};
use heartlens::records::Record;
use heartlens::runtime::int8::Int8;
use heartlens_core::model::checksum;
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::Rules;
use heartlens_tests::{root, skipped_without_qemu};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The build of the firmware included.
const START_MAX: Duration = Duration::from_secs(400);

/// The firmware in QEMU. It ends with its standard input.
struct Emulator {
    child: Child,
    line: String,
}

impl Emulator {
    fn start(folder: &Path) -> Result<Self> {
        let socket = folder.join("line");
        let child = Command::new(env!("CARGO"))
            .current_dir(root().join("firmware"))
            .args(["run", "--quiet", "--release", "--bin", "serial"])
            .env(
                "HEARTLENS_SERIAL",
                format!("unix:{},server=on,wait=off", socket.display()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut emulator = Self {
            child,
            line: format!("unix:{}", socket.display()),
        };
        let begun = Instant::now();
        while !socket.exists() {
            if let Some(status) = emulator.child.try_wait()? {
                return Err(format!("the emulator ended with {status}").into());
            }
            if begun.elapsed() > START_MAX {
                return Err("the emulator does not open its line".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(emulator)
    }

    fn port(&self) -> Result<Box<dyn Port>> {
        Ok(device::open(&self.line)?)
    }

    fn talk(&self) -> Result<Conversation<Box<dyn Port>>> {
        let (line, hello) = Conversation::open(self.port()?)?;
        assert_eq!(
            (hello.board.as_str(), hello.model.as_str()),
            ("netduinoplus2", "beat")
        );
        Ok(line)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A test that fails leaves no emulator behind; that waiting fails then changes nothing.
        let _ = self.child.wait();
    }
}

/// An image that is none: noise, a damaged image, or one whose checksum fits its damage.
fn damaged(image: &[u8], kind: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    if kind % 10 < 8 {
        let mut noise: Vec<u8> = (0..rng.random_range(1..2000))
            .map(|_| rng.random())
            .collect();
        let head = rng.random_range(0..=noise.len().min(80));
        if kind.is_multiple_of(2) {
            noise[..head].copy_from_slice(&image[..head]);
        }
        return noise;
    }
    let mut damaged = image.to_vec();
    for _ in 0..rng.random_range(1..20) {
        let place = rng.random_range(16..damaged.len());
        damaged[place] = rng.random();
    }
    if kind % 10 == 9 {
        let sum = checksum(&damaged).to_le_bytes();
        damaged[12..16].copy_from_slice(&sum);
    }
    damaged
}

/// A record's beats, byte for byte, after a hundred images that are none and a hundred streams of noise.
#[test]
fn nothing_on_the_line_stops_the_firmware() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let emulator = Emulator::start(folder.path())?;
    let model = root().join("models/beat/model.hlm");
    let image = std::fs::read(&model)?;
    let mut runtime = Int8::load(&model)?;
    let shipped = Model::shipped()?;
    let record = Record::open(root().join("models/demo/demo"))?;
    let counts = device::counts(&record, 0)?;
    let patient = Patient::default();
    let mut rng = ChaCha8Rng::seed_from_u64(9);

    let mut refused = 0;
    let mut line = emulator.talk()?;
    for kind in 0..100 {
        match line.upload(&damaged(&image, kind, &mut rng), |_| ()) {
            Err(DeviceError::Refused(reason)) => {
                assert!(!reason.contains("not classified a beat"), "{reason}");
                refused += 1;
            }
            // Weights that differ make another network, which a checksum that fits vouches for. It has to classify a beat
            // before the next one may come.
            Ok(_) => {
                assert_eq!(kind % 10, 9);
                let streamed = line.stream(&counts[..30 * 128], patient, |_| ())?;
                assert!(streamed.beats.len() > 20, "{}", streamed.beats.len());
            }
            Err(error) => return Err(format!("image {kind}: {error}").into()),
        }
    }
    assert!(refused >= 90, "{refused} of 100 images were refused");
    drop(line);

    for stream in 0..100 {
        let mut port = emulator.port()?;
        let noise: Vec<u8> = (0..rng.random_range(1..600))
            .map(|_| {
                if stream % 2 == 0 {
                    rng.random()
                } else {
                    rng.random_range(0..8)
                }
            })
            .collect();
        port.write_all(&noise)?;
        // Answers to what happened to be a packet; none is no fault.
        let _ = port.read(&mut [0; 4096]);
    }

    let mut line = Conversation::open(emulator.port()?)?.0;
    assert_eq!(line.upload(&image, |_| ())?, "beat");
    let streamed = line.stream(&counts, patient, |_| ())?;
    let expected = device::expected(
        &counts,
        &streamed.gaps,
        patient,
        &mut runtime,
        shipped.rhythm(Rules::SHIPPED),
    )?;
    assert!(expected.len() > 300, "{} beats", expected.len());
    assert_eq!(streamed.beats.len(), expected.len());
    for (beat, expected) in streamed.beats.iter().zip(&expected) {
        assert!(
            device::agree(beat, expected),
            "{beat:?}, expected {expected:?}"
        );
    }
    assert!(streamed.gaps.is_empty());
    Ok(())
}
