//! The example in QEMU: no sample is lost, and its events are those of core on this machine.
#![allow(missing_docs)]

use heartlens_core::model::{Aligned, Model, arena_words};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::wearable::{Config, Rate, Wearable};
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::Command;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const IMAGE: &[u8] = include_bytes!("../../../models/beat/model.hlm");
static MODEL: Aligned<[u8; IMAGE.len()]> =
    Aligned(*include_bytes!("../../../models/beat/model.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../../models/beat/rhythm.hlr");
const RECORDING: &[u8] = include_bytes!("../../stretch/demo.bin");
const TARGET: &str = "thumbv7em-none-eabihf";

/// Samples that the example plays.
const PLAYED: usize = 120 * 128;

/// Each event of the recording, as the example prints it.
fn expected() -> Result<Vec<String>> {
    let mut arena = [0; arena_words(IMAGE)];
    let executor = Model::load(&MODEL.0)?.executor(&mut arena)?;
    let config = Config {
        rate: Rate::HZ_128,
        calibration: Calibration {
            counts_per_mv: 1000.0,
            zero: 0,
        },
        patient: Patient::default(),
        rules: Rules::SHIPPED,
    };
    let mut place = MaybeUninit::uninit();
    let wearable = Wearable::init(&mut place, config, executor, Network::load(RHYTHM)?)?;
    let mut events = Vec::new();
    let (counts, _) = RECORDING[12..].as_chunks::<2>();
    let counts = &counts[..PLAYED];
    for i in 0..=PLAYED {
        match counts.get(i) {
            Some(count) => wearable.push(i16::from_le_bytes(*count)),
            None => wearable.finish(),
        }
        while wearable.work().is_pending() {
            events.extend(std::iter::from_fn(|| wearable.poll()).map(|event| format!("{event:?}")));
        }
    }
    Ok(events)
}

#[test]
fn in_qemu_no_sample_is_lost_and_the_events_are_cores() -> Result {
    if Command::new("qemu-system-arm")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: there is no qemu-system-arm; `cargo xtask setup` gets it");
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(env!("CARGO"))
        .current_dir(folder)
        .args(["build", "--quiet", "--release", "--bin", "events"])
        .args(["--features", "qemu", "--target", TARGET])
        .output()?;
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    // 256 ns an instruction: a slow core, on which tasks do have to give way to each other.
    let ran = Command::new("qemu-system-arm")
        .args(["-machine", "netduinoplus2", "-icount", "shift=8"])
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(folder.join("target").join(TARGET).join("release/events"))
        .output()?;
    let said = String::from_utf8(ran.stdout)?;
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {complaint}", ran.status);
    assert!(said.lines().any(|line| line == "lost 0"), "{complaint}");
    let found: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("lost "))
        .collect();
    let expected = expected()?;
    assert!(
        expected
            .iter()
            .filter(|line| line.starts_with("Beat "))
            .count()
            > 120
    );
    assert_eq!(found, expected);
    Ok(())
}
