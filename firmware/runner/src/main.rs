//! Runs a firmware image in QEMU and prints what it logs: `qemu-runner ELF`.
//!
//! Messages of level info go to stdout as they are, one a line, so that programs can read them; all others go to
//! stderr with their level and place. The exit code is QEMU's, which is the firmware's.

use anyhow::{Context as _, Result, bail};
use defmt_decoder::{DecodeError, Frame, Locations, Table};
use std::io::Read as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// An STM32F405 (Cortex-M4F, 1 MiB flash, 128 KiB RAM). One instruction is one nanosecond of virtual time.
const MACHINE: [&str; 12] = [
    "-machine",
    "netduinoplus2",
    "-icount",
    "shift=0",
    "-display",
    "none",
    "-monitor",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
];

/// Firmware that logs nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(300);

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
    let Some(image) = std::env::args_os().nth(1) else {
        bail!("usage: qemu-runner ELF");
    };
    let elf = std::fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
    let table = Table::parse(&elf)?.context("the image has no defmt messages")?;
    let locations = table.get_locations(&elf)?;

    let mut qemu = Command::new("qemu-system-arm")
        .args(MACHINE)
        .arg("-kernel")
        .arg(&image)
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

    let mut decoder = table.new_stream_decoder();
    loop {
        match bytes.recv_timeout(SILENCE_MAX) {
            Ok(bytes) => decoder.received(&bytes),
            Err(RecvTimeoutError::Disconnected) => break,
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
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        None => bail!(
            "QEMU ended with {status}, as it does when the core locks up after a stack overflow"
        ),
    })
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
