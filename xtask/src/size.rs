//! `cargo xtask size`: what the firmware takes of each board's flash and RAM.
//!
//! Flash and static RAM are read off the images. The stack is measured: the image `serial` runs in QEMU with its stack
//! painted, and this machine streams the demo record to it; the other images' stacks are taken to be as deep, for they
//! call the same monitor, views and network. The stack of an image with the strip network is that of the image `strips`, whose state
//! lies among the statics as well.

use crate::environment::Environment;
use crate::step::{self, cargo, output, root};
use crate::strips;
use anyhow::{Context as _, Result, bail, ensure};
use object::{Object as _, ObjectSection as _, ObjectSegment as _};
use serde::Serialize;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An image of a board.
struct Image {
    board: &'static str,
    program: &'static str,
    /// Whether it has the strip network.
    strips: bool,
}

/// Every board with its products.
const IMAGES: [Image; 4] = [
    Image::new("netduinoplus2", "serial"),
    Image::new("nrf52840", "serial"),
    Image::new("nrf52840", "monitor"),
    Image {
        strips: true,
        ..Image::new("nrf52840", "monitor")
    },
];

impl Image {
    const fn new(board: &'static str, program: &'static str) -> Self {
        Self {
            board,
            program,
            strips: false,
        }
    }

    fn name(&self) -> String {
        let with = if self.strips { " with strips" } else { "" };
        format!("{}{with}", self.program)
    }
}

/// Where the RAM of all boards begins and, beyond any chip's, ends.
const RAM: std::ops::Range<u64> = 0x2000_0000..0x4000_0000;

/// How long the emulated device may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `cargo xtask size` may be told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask size --json -")]
pub(crate) struct Args {
    /// Adds the image with the strip network, whose budget is larger.
    #[arg(long)]
    strips: bool,
    /// Writes the figures as JSON; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one image takes.
#[derive(Debug, PartialEq, Serialize)]
struct Size {
    board: &'static str,
    image: String,
    /// Code, constants, initial values and the built-in model.
    flash_bytes: u64,
    /// Statics and the deepest stack.
    ram_bytes: u64,
    static_bytes: u64,
    stack_bytes: u64,
    model_bytes: u64,
    /// Memory of the network's activations, part of the statics.
    scratch_bytes: u64,
}

/// Every image's figures, in the order of [`IMAGES`].
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Sizes(Vec<Size>);

impl Sizes {
    /// Writes the figures as JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// `cargo xtask size`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let sizes = measure(Environment::here().as_ref(), args.strips)?;
    match &args.json {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", serde_json::to_string_pretty(&sizes)?);
        }
        Some(path) => sizes.write(path)?,
        None => print!("{}", table(&sizes.0)),
    }
    Ok(())
}

/// Builds every image, and streams the demo record to one of them.
pub(crate) fn measure_all(environment: Option<&Environment>) -> Result<Sizes> {
    measure(environment, true)
}

fn measure(environment: Option<&Environment>, strips: bool) -> Result<Sizes> {
    let device = stream_demo(&step::example("stream", environment)?)?;
    let mut sizes = Vec::new();
    for image in IMAGES.iter().filter(|image| strips || !image.strips) {
        let elf = build(image)?;
        let (flash_bytes, static_bytes) = bytes_of(&fs::read(&elf)?)?;
        let stack_bytes = match image.strips {
            true => strips::stack_bytes()?,
            false => device.stack_bytes,
        };
        sizes.push(Size {
            board: image.board,
            image: image.name(),
            flash_bytes,
            ram_bytes: static_bytes + stack_bytes,
            static_bytes,
            stack_bytes,
            model_bytes: device.model_bytes,
            scratch_bytes: device.scratch_bytes,
        });
    }
    Ok(Sizes(sizes))
}

fn table(sizes: &[Size]) -> String {
    let mut table = format!(
        "{:<15}{:<21}{:>8}{:>8}{:>10}{:>8}{:>8}{:>9}\n",
        "bytes", "image", "flash", "RAM", "statics", "stack", "model", "scratch"
    );
    for size in sizes {
        table.push_str(&format!(
            "{:<15}{:<21}{:>8}{:>8}{:>10}{:>8}{:>8}{:>9}\n",
            size.board,
            size.image,
            size.flash_bytes,
            size.ram_bytes,
            size.static_bytes,
            size.stack_bytes,
            size.model_bytes,
            size.scratch_bytes
        ));
    }
    table
}

/// Builds an image as it is flashed, and gives where it lies.
fn build(image: &Image) -> Result<PathBuf> {
    let (board, program) = (image.board, image.program);
    let strips = image.strips.then_some(["--features", "strips"]);
    let built = cargo("firmware")
        .args(["build", "--quiet", "--release", "--bin", program])
        .args(["--no-default-features", "--features", board])
        .args(strips.iter().flatten())
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        built.status.success(),
        "the image {} for {board} cannot be built",
        image.name()
    );
    step::executable(&built.stdout)?
        .with_context(|| format!("cargo built no image {} for {board}", image.name()))
}

/// Bytes of flash and of static RAM.
fn bytes_of(elf: &[u8]) -> Result<(u64, u64)> {
    let file = object::File::parse(elf).context("not an ELF image")?;
    let flash = file.segments().map(|segment| segment.file_range().1).sum();
    let statics = file
        .sections()
        .filter(|section| RAM.contains(&section.address()))
        .map(|section| section.size())
        .sum();
    ensure!(flash > 0 && statics > 0, "the image has no flash or no RAM");
    Ok((flash, statics))
}

/// What the running device says of itself.
#[derive(Debug, Default, PartialEq)]
struct Device {
    model_bytes: u64,
    scratch_bytes: u64,
    stack_bytes: u64,
}

impl Device {
    /// Takes what a log line tells.
    fn learn(&mut self, line: &str) {
        let number = |name: &str| {
            let mut fields = line.split(' ').filter_map(|word| word.split_once('='));
            let (_, value) = fields.find(|(key, _)| *key == name)?;
            value.parse().ok()
        };
        if line.starts_with("ready ") {
            self.model_bytes = number("model_bytes").unwrap_or_default();
            self.scratch_bytes = number("scratch_bytes").unwrap_or_default();
        } else if line.starts_with("stack ") {
            self.stack_bytes = number("bytes").unwrap_or_default();
        }
    }
}

/// Streams the demo record to the image `serial` in QEMU.
fn stream_demo(program: &Path) -> Result<Device> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let socket = folder.path().join("line");
    let mut qemu = Qemu::start(&socket)?;
    let mut device = Device::default();
    let mut log = BufReader::new(qemu.0.stdout.take().context("stdout was piped")?).lines();
    for line in log.by_ref() {
        let line = line?;
        device.learn(&line);
        if line.starts_with("ready ") {
            break;
        }
    }
    let port = format!("unix:{}", socket.display());
    output(
        Command::new(program)
            .args([&port, "models/demo/demo"])
            .current_dir(root()),
    )?;
    qemu.stop()?;
    for line in log {
        device.learn(&line?);
    }
    ensure!(
        device.stack_bytes > 0 && device.model_bytes > 0,
        "the firmware told neither stack nor model"
    );
    Ok(device)
}

/// The image `serial` in QEMU, for as long as this lives.
struct Qemu(Child);

impl Qemu {
    /// Starts it with its serial line on a socket, and waits until it listens there.
    fn start(socket: &Path) -> Result<Self> {
        let mut command = cargo("firmware");
        command
            .args(["run", "--release", "--bin", "serial"])
            .env(
                "HEARTLENS_SERIAL",
                format!("unix:{},server=on,wait=off", socket.display()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut qemu = Self(command.spawn().context("cannot start cargo")?);
        let started = Instant::now();
        while !socket.exists() {
            if let Some(status) = qemu.0.try_wait()? {
                bail!("the firmware ended with {status}");
            }
            ensure!(
                started.elapsed() < PATIENCE * 10,
                "the firmware did not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(qemu)
    }

    /// Ends it: the runner stops QEMU when its input ends.
    fn stop(&mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let started = Instant::now();
        while self.0.try_wait()?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "the firmware did not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_tells_of_itself() {
        let mut device = Device::default();
        for line in [
            "ready board=netduinoplus2 model=beat model_bytes=12000 scratch_bytes=2048",
            "stack bytes=1000",
            "noise",
            "stack bytes=4100",
        ] {
            device.learn(line);
        }
        let expected = Device {
            model_bytes: 12_000,
            scratch_bytes: 2048,
            stack_bytes: 4100,
        };
        assert_eq!(device, expected);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(bytes_of(b"no ELF").is_err());
    }
}
