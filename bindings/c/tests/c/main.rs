//! The README's example in C: on this machine under sanitizers, and on a Cortex-M4F in QEMU. Its events are those of core, byte by
//! byte.
#![allow(missing_docs)]

mod package;

use heartlens_core::model::{Aligned, Model, Task, arena_words};
use heartlens_core::patient::Patient;
use heartlens_core::rhythm::{Network, Rules};
use heartlens_core::sample::Calibration;
use heartlens_core::wearable::{Config, Event, Rate, Strips, Wearable};
use saphyr::{LoadableYamlNode as _, Yaml};
use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const IMAGE: &[u8] = include_bytes!("../../../../models/beat/model.hlm");
static MODEL: Aligned<[u8; IMAGE.len()]> =
    Aligned(*include_bytes!("../../../../models/beat/model.hlm"));
const RHYTHM: &[u8] = include_bytes!("../../../../models/beat/rhythm.hlr");
const STRIP_IMAGE: &[u8] = include_bytes!("../../../../models/beat/strip.hlm");
static STRIP: Aligned<[u8; STRIP_IMAGE.len()]> =
    Aligned(*include_bytes!("../../../../models/beat/strip.hlm"));

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stretch() -> PathBuf {
    root().join("../../firmware/stretch/demo.bin")
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8_lossy(&output.stdout);
        return Err(format!("{command:?}: {}\n{stderr}{stdout}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("skipped: there is no {program}; `cargo xtask setup` gets it");
    }
    found
}

/// The static library, built for a target.
fn library(target: Option<&str>) -> Result<PathBuf> {
    let folder = root().join("target/library");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--lib",
            "--crate-type",
            "staticlib",
        ])
        .args(["--features", "handler"])
        .env("CARGO_TARGET_DIR", &folder);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    run(&mut cargo)?;
    let place = target.map_or(folder.clone(), |target| folder.join(target));
    Ok(place.join("release/libheartlens_c.a"))
}

const CONFIG: Config = Config {
    rate: Rate::HZ_128,
    calibration: Calibration {
        counts_per_mv: 1000.0,
        zero: 0,
    },
    patient: Patient {
        age_years: None,
        sex: None,
    },
    rules: Rules::SHIPPED,
};

/// What the example must print: the same samples through core on this machine.
fn expected() -> Result<String> {
    let mut arena = [0; arena_words(IMAGE)];
    let executor = Model::load(&MODEL.0)?.executor(&mut arena)?;
    let mut place = MaybeUninit::uninit();
    let wearable = Wearable::init(&mut place, CONFIG, executor, Network::load(RHYTHM)?)?;
    play(wearable)
}

/// The same with the strip network.
fn expected_with_strips() -> Result<String> {
    let (mut arena, mut strip_arena) = ([0; arena_words(IMAGE)], [0; arena_words(STRIP_IMAGE)]);
    let executor = Model::load(&MODEL.0)?.executor(&mut arena)?;
    let strip = Model::load_for(&STRIP.0, Task::Strip)?.executor(&mut strip_arena)?;
    let mut place = Box::new(MaybeUninit::uninit());
    let rhythm = Network::load(RHYTHM)?;
    let wearable = Wearable::with_strips(&mut place, CONFIG, executor, rhythm, strip)?;
    play(wearable)
}

fn play<S: Strips>(wearable: &mut Wearable<'_, impl heartlens_core::Network, S>) -> Result<String> {
    let bytes = std::fs::read(stretch())?;
    let mut lines = String::new();
    let (counts, _) = bytes[12..].as_chunks::<2>();
    for count in counts {
        wearable.push(i16::from_le_bytes(*count));
        drain(wearable, &mut lines)?;
    }
    wearable.finish();
    drain(wearable, &mut lines)?;
    Ok(lines)
}

fn drain<S: Strips>(
    wearable: &mut Wearable<'_, impl heartlens_core::Network, S>,
    lines: &mut String,
) -> Result {
    while wearable.work().is_pending() {
        while let Some(event) = wearable.poll() {
            line(&event, lines)?;
        }
    }
    Ok(())
}

/// An event as `tests/report.c` has it. The numbers of kinds and signals are written out here once more.
fn line(event: &Event, lines: &mut String) -> Result {
    let (kind, at): (u8, u64);
    let (mut until, mut label, mut scores) = (0, 0_u8, [0.0_f32; 4]);
    let (mut rr, mut rate, mut beats, mut fibrillation) = (0.0_f32, 0.0_f32, 0, 0_u8);
    let (mut readable, mut signal, mut flag) = (0_u8, 0_u8, 0_u8);
    match *event {
        Event::Beat { at_ms, beat } => {
            (kind, at, label) = (1, at_ms, beat.class.name().as_bytes()[0]);
            scores = beat.probabilities;
            rr = beat.rr_s.map_or(0.0, |rr_s| rr_s * 1000.0);
            fibrillation = match beat.fibrillation {
                Some(true) => 1,
                Some(false) => 0,
                None => 0xff,
            };
            readable = beat.readable.into();
            flag = (beat.is_unsure() == Some(true)).into();
        }
        Event::Signal { at_ms, signal: now } => {
            (kind, at) = (2, at_ms);
            let names = ["Readable", "Noisy", "Flat", "Constant", "ElectrodeOff"];
            let name = format!("{now:?}");
            let place = names.iter().position(|known| *known == name).ok_or(name)?;
            signal = place as u8 + 1;
        }
        Event::Run {
            class,
            since_ms,
            beats: count,
            rate_bpm,
            over,
        } => {
            (kind, at, label) = (5, since_ms, class.name().as_bytes()[0]);
            (beats, rate, flag) = (count, rate_bpm, over.into());
        }
        Event::Fibrillation { since_ms, until_ms } => {
            (kind, at, until) = (4, since_ms, until_ms.unwrap_or(0));
            flag = until_ms.is_some().into();
        }
        Event::Pause { since_ms, flat } => (kind, at, flag) = (3, since_ms, flat.into()),
        Event::Strip {
            from_ms,
            until_ms,
            probabilities,
        } => (kind, at, until, scores) = (7, from_ms, until_ms, probabilities),
        _ => return Err(format!("{event:?}").into()),
    }
    let scores: String = scores
        .iter()
        .map(|s| format!("{:08x}", s.to_bits()))
        .collect();
    writeln!(
        lines,
        "kind={kind:02x} at={at:08x} until={until:08x} label={label:02x} scores={scores} rr={:08x} rate={:08x} beats={beats:04x} fibrillation={fibrillation:02x} flags={readable:02x}{signal:02x}{flag:02x}",
        rr.to_bits(),
        rate.to_bits()
    )?;
    Ok(())
}

fn assert_same(found: &str, expected: &str) {
    assert!(
        expected
            .lines()
            .filter(|line| line.starts_with("kind=01"))
            .count()
            > 300
    );
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// QEMU's STM32F405 (Cortex-M4F), which runs the program that follows and prints what it says.
fn qemu() -> Command {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", "netduinoplus2", "-display", "none"])
        .args(["-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native,chardev=out"])
        .args(["-chardev", "stdio,id=out", "-kernel"]);
    qemu
}

/// Sources that both programs have, and the samples.
fn sources(command: &mut Command) -> &mut Command {
    let stretch = format!("-DSTRETCH=\"{}\"", stretch().display());
    command
        .current_dir(root())
        .args([
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-Iinclude",
        ])
        .arg(stretch)
        .args(["examples/beats.c", "tests/report.c", "tests/stretch.S"])
}

#[test]
fn on_this_machine_under_sanitizers_it_gives_cores_events() -> Result {
    if !is_there("gcc") {
        return Ok(());
    }
    let program = root().join("target/beats");
    run(sources(Command::new("gcc").args(["-g", "-O1"]))
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg("tests/native.c")
        .arg(library(None)?)
        .arg("-o")
        .arg(&program))?;
    let found = run(&mut Command::new(program))?;
    // The example, then the same samples with the strip network.
    let with_strips = expected_with_strips()?;
    assert!(
        with_strips
            .lines()
            .filter(|line| line.starts_with("kind=07"))
            .count()
            == 30
    );
    assert_same(&found, &(expected()? + &with_strips));
    // What the header asserts of sizes, in both languages.
    for language in [["-std=c11", "-xc"], ["-std=c++17", "-xc++"]] {
        run(Command::new("gcc")
            .current_dir(root())
            .args(language)
            .args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only"])
            .arg("include/heartlens.h"))?;
    }
    Ok(())
}

#[test]
fn on_a_cortex_m4f_without_a_c_library_it_gives_cores_events() -> Result {
    if !is_there("arm-none-eabi-gcc") || !is_there("qemu-system-arm") {
        return Ok(());
    }
    let program = root().join("target/beats.elf");
    run(
        sources(Command::new("arm-none-eabi-gcc").args(["-Os", "-g"]))
            .args([
                "-mcpu=cortex-m4",
                "-mthumb",
                "-mfpu=fpv4-sp-d16",
                "-mfloat-abi=hard",
            ])
            .args([
                "-ffreestanding",
                "-nostdlib",
                "-Wl,--gc-sections",
                "-Wl,-Ttests/qemu/link.ld",
            ])
            .arg("tests/qemu/start.c")
            .arg(library(Some("thumbv7em-none-eabihf"))?)
            .arg("-o")
            .arg(&program),
    )?;
    let found = run(qemu().arg(&program))?;
    assert_same(&found, &expected()?);
    Ok(())
}

/// A number with a comma before each group of three digits.
fn thousands(number: usize) -> String {
    let (groups, last) = (number / 1000, number % 1000);
    format!("{groups},{last:03}")
}

#[test]
fn the_readmes_numbers_are_the_librarys() -> Result {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    for (name, bytes) in [
        ("HL_MEMORY_BYTES", heartlens_c::HL_MEMORY_BYTES),
        (
            "HL_MEMORY_STRIPS_BYTES",
            heartlens_c::HL_MEMORY_STRIPS_BYTES,
        ),
    ] {
        let said = format!("`{name}` ({} bytes)", thousands(bytes));
        assert!(readme.contains(&said), "{said}");
    }
    // Calls of hl_work on a beat.
    let mut arena = [0; arena_words(IMAGE)];
    let executor = Model::load(&MODEL.0)?.executor(&mut arena)?;
    let mut place = MaybeUninit::uninit();
    let wearable = Wearable::init(&mut place, CONFIG, executor, Network::load(RHYTHM)?)?;
    let (mut calls, mut beats) = (0.0, 0.0);
    let bytes = std::fs::read(stretch())?;
    for count in bytes[12..].as_chunks::<2>().0 {
        wearable.push(i16::from_le_bytes(*count));
        while wearable.work().is_pending() {
            calls += 1.0;
            while let Some(event) = wearable.poll() {
                beats += f64::from(u8::from(matches!(event, Event::Beat { .. })));
            }
        }
    }
    let calls = (calls / beats).round();
    // JSON is YAML.
    let figures = std::fs::read_to_string(root().join("../../docs/performance.json"))?;
    let figures = Yaml::load_from_str(&figures)?;
    let row = &figures.first().ok_or("no figures")?["cores"][0];
    assert_eq!(row["core"].as_str(), Some("Cortex-M4F"));
    let figure = |name: &str| row["instructions"][name].as_integer().ok_or("no figure");
    let together = thousands(figure("per_beat")? as usize / 10_000 * 10_000);
    let sample = (figure("per_sample")? + 50) / 100 * 100;
    let read = |name: &str| std::fs::read_to_string(root().join(name));
    for (name, said) in [
        (
            "README.md",
            format!("a beat takes some {calls} calls of `hl_work`, together {together}."),
        ),
        (
            "README.md",
            format!("A sample takes some {sample} instructions on a Cortex-M4F."),
        ),
        (
            "../../firmware/README.md",
            format!("A beat takes some {calls} of them"),
        ),
        (
            "../../DESIGN.md",
            format!("A beat takes {together} instructions"),
        ),
    ] {
        assert!(read(name)?.contains(&said), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn the_readme_has_the_example() -> Result {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let example = std::fs::read_to_string(root().join("examples/beats.c"))?;
    let block = format!("```c\n{example}```\n");
    assert!(
        readme.contains(&block),
        "README.md has not examples/beats.c as it is"
    );
    Ok(())
}
