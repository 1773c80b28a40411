//! Runs a firmware image where it belongs and prints what it logs: `qemu-runner ELF [ARGUMENT...]`.
//!
//! An image for a real board is flashed and run by `probe-rs`. All others run in QEMU, where images are given the
//! arguments by semihosting, and `HEARTLENS_SERIAL` names QEMU's character device for the serial line (`none` without).
//! With a serial line, QEMU ends with this program's standard input.
//!
//! Messages of level info go to stdout as they are, one a line, so that programs can read them; all others go to
//! stderr with their level and place. The exit code is QEMU's, which is the firmware's.

use anyhow::{Context as _, Result, bail};
use defmt_decoder::{DecodeError, Frame, Locations, Table};
use object::Object as _;
use std::io::Read as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// An STM32F405 (Cortex-M4F, 1 MiB flash, 128 KiB RAM). One instruction is one nanosecond of virtual time.
const MACHINE: [&str; 8] = [
    "-machine",
    "netduinoplus2",
    "-icount",
    "shift=0",
    "-display",
    "none",
    "-monitor",
    "none",
];

/// Symbols of the memory maps of real boards, each with the chip as probe-rs calls it.
const CHIPS: [(&str, &str); 1] = [("_board_nrf52840", "nRF52840_xxAA")];

/// Firmware that logs nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// How often one looks up from waiting for the log.
const GLANCE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let Some(image) = arguments.next() else {
        bail!("usage: qemu-runner ELF [ARGUMENT...]");
    };
    let elf = std::fs::read(&image).with_context(|| format!("cannot read {image}"))?;
    if let Some(chip) = chip(&elf)? {
        let status = Command::new("probe-rs")
            .args(["run", "--chip", chip, &image])
            .status()
            .context("cannot start probe-rs (https://probe.rs has it)")?;
        return Ok(exit_code(status.code().unwrap_or(1)));
    }
    let table = Table::parse(&elf)?.context("the image has no defmt messages")?;
    let locations = table.get_locations(&elf)?;

    let serial = std::env::var_os("HEARTLENS_SERIAL");
    let mut qemu = Command::new("qemu-system-arm")
        .args(MACHINE)
        .args(["-kernel", &image, "-semihosting-config"])
        .arg(semihosting(&image, arguments))
        .arg("-serial")
        .arg(serial.as_deref().unwrap_or("none".as_ref()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start qemu-system-arm (`cargo xtask setup` gets it)")?;
    let mut stdout = qemu.stdout.take().context("stdout was piped")?;
    let (sender, bytes) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });

    let stopped = Arc::new(AtomicBool::new(false));
    if serial.is_some() {
        let stopped = Arc::clone(&stopped);
        std::thread::spawn(move || {
            // Whatever comes is of no interest, its end is.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            stopped.store(true, Ordering::SeqCst);
        });
    }

    let mut decoder = table.new_stream_decoder();
    let mut silent = Duration::ZERO;
    loop {
        match bytes.recv_timeout(GLANCE) {
            Ok(bytes) => {
                decoder.received(&bytes);
                silent = Duration::ZERO;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if stopped.load(Ordering::SeqCst) => {
                qemu.kill()?;
                qemu.wait()?;
                return Ok(ExitCode::SUCCESS);
            }
            // Who waits on a serial line may wait for long.
            Err(RecvTimeoutError::Timeout) if serial.is_some() || silent < SILENCE_MAX => {
                silent += GLANCE;
            }
            Err(RecvTimeoutError::Timeout) => {
                qemu.kill()?;
                bail!(
                    "the firmware logged nothing for {} s",
                    SILENCE_MAX.as_secs()
                );
            }
        }
        loop {
            match decoder.decode() {
                Ok(frame) => print(&frame, &locations),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => bail!("the firmware's log does not decode"),
            }
        }
    }
    let status = qemu.wait()?;
    Ok(match status.code() {
        Some(code) => exit_code(code),
        None => bail!(
            "QEMU ended with {status}, as it does when the core locks up after a stack overflow"
        ),
    })
}

/// The chip of the real board that an image is for.
fn chip(elf: &[u8]) -> Result<Option<&'static str>> {
    let file = object::File::parse(elf).context("not an ELF image")?;
    let board = CHIPS
        .into_iter()
        .find(|(symbol, _)| file.symbol_by_name(symbol).is_some());
    Ok(board.map(|(_, chip)| chip))
}

/// QEMU's option that gives the firmware its arguments, the image's name first; commas are doubled there.
fn semihosting(image: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut option = "enable=on,target=native".to_owned();
    for argument in std::iter::once(image.to_owned()).chain(arguments) {
        option.push_str(",arg=");
        option.push_str(&argument.replace(',', ",,"));
    }
    option
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn print(frame: &Frame, locations: &Locations) {
    let message = frame.display_message();
    match frame.level() {
        Some(level) if level.as_str() != "info" => {
            let place = locations
                .get(&frame.index())
                .map(|place| format!(" ({}:{})", place.file.display(), place.line))
                .unwrap_or_default();
            eprintln!("{}: {message}{place}", level.as_str());
        }
        _ => println!("{message}"),
    }
}
