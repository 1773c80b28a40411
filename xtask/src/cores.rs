//! `cargo xtask qemu --cores`: the demo record on cores that no board of this workspace has, held against this machine.
//!
//! The image `heartlens-cores` is built for each target, without and with the strip network, and played on a machine of QEMU's. Its
//! hash of all beats and half minutes must be this machine's. Its timer counts ticks; a loop of known length says how many an
//! instruction takes.

use crate::documents::thousands;
use crate::qemu::{Cost, Line, lines, only};
use crate::step::{self, cargo, output};
use anyhow::{Context as _, Result, bail, ensure};
use object::{Object as _, ObjectSection as _, ObjectSegment as _};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A core, how it is built for, and the machine that QEMU plays it on.
#[derive(Debug)]
struct Core {
    name: &'static str,
    target: &'static str,
    /// QEMU's program, machine and, where the machine takes several, core.
    qemu: &'static str,
    machine: &'static [&'static str],
    /// QEMU's `-icount shift`: an instruction takes 2^shift ns. The machine's timer then ticks once or twice an instruction.
    shift: &'static str,
}

const CORES: [Core; 6] = [
    Core {
        name: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        qemu: "qemu-system-arm",
        machine: &["mps2-an386"],
        shift: "6",
    },
    Core {
        name: "Cortex-M33 with DSP and FPU",
        target: "thumbv8m.main-none-eabihf",
        qemu: "qemu-system-arm",
        machine: &["mps2-an505"],
        shift: "6",
    },
    Core {
        name: "Cortex-M4 without FPU",
        target: "thumbv7em-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["mps2-an386"],
        shift: "6",
    },
    Core {
        name: "Cortex-M3",
        target: "thumbv7m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["mps2-an385"],
        shift: "6",
    },
    Core {
        name: "Cortex-M0, M0+",
        target: "thumbv6m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["lm3s6965evb", "-cpu", "cortex-m0"],
        shift: "7",
    },
    Core {
        name: "RISC-V RV32IMC (ESP32-C3)",
        target: "riscv32imc-unknown-none-elf",
        qemu: "qemu-system-riscv32",
        machine: &["virt", "-bios", "none"],
        shift: "0",
    },
];

/// The cores that play the cases of `cargo xtask executors`, and their targets.
pub(crate) const SUITE: [(&str, &str); 3] = [
    ("Cortex-M4F", "thumbv7em-none-eabihf"),
    ("Cortex-M33", "thumbv8m.main-none-eabihf"),
    ("RV32IMC", "riscv32imc-unknown-none-elf"),
];

/// How long an image may take; on an idle machine each takes some seconds.
const PATIENCE: Duration = Duration::from_secs(600);

/// The targets that the cores are built for.
pub(crate) fn targets() -> impl Iterator<Item = &'static str> {
    CORES.iter().map(|core| core.target)
}

/// One core.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    core: &'static str,
    target: &'static str,
    #[serde(flatten)]
    plain: Figures,
    /// With the strip network.
    strips: Figures,
}

/// What an image takes on a core.
#[derive(Debug, PartialEq, Serialize)]
struct Figures {
    beats: u64,
    /// Whether every bit of every beat, and of every half minute, is the same as on this machine.
    identical_to_host: bool,
    instructions: Instructions,
    /// Code, constants and both networks, less the demo record. What prints the figures is in it.
    flash_bytes: u64,
    /// Statics and the deepest stack, on which everything lies.
    ram_bytes: u64,
}

/// Means, rounded up, and the largest.
#[derive(Debug, PartialEq, Serialize)]
struct Instructions {
    per_sample: u64,
    per_beat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_half_minute: Option<u64>,
    longest_slice: u64,
}

/// The feature of `heartlens-cores` that adds the strip network.
const STRIPS: &str = "strips";
/// The feature that has it play a file, with the strip network.
const FILE: &str = "file";

/// Plays every core that can be played here, and writes what they took to `json` (`-` is stdout), or prints it.
pub(crate) fn run(json: Option<&Path>) -> Result<()> {
    // From the root, where firmware's default target does not apply.
    let host = |features: &str| {
        output(
            cargo(".")
                .args(["run", "--quiet", "--package", "heartlens-cores"])
                .args(["--manifest-path", "firmware/Cargo.toml"])
                .args(["--features", features]),
        )
    };
    let (plain, strips) = (host("")?, host(STRIPS)?);
    let mut rows = Vec::new();
    for core in &CORES {
        if let Err(error) = step::first_line(Command::new(core.qemu).arg("--version")) {
            if step::is_ci() {
                return Err(error);
            }
            eprintln!(
                "skipped: {}: no {}; `cargo xtask setup` gets it",
                core.name, core.qemu
            );
            continue;
        }
        let figures = |features, host| core.play(features, host).context(core.name);
        rows.push(Row {
            core: core.name,
            target: core.target,
            plain: figures("", &plain)?,
            strips: figures(STRIPS, &strips)?,
        });
    }
    match json {
        Some(path) if path.as_os_str() == "-" => {
            println!("{}", serde_json::to_string_pretty(&rows)?)
        }
        Some(path) => fs::write(path, serde_json::to_string_pretty(&rows)?)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => print!(
            "{}",
            markdown(&serde_json::to_value(&rows)?).context("no figures")?
        ),
    }
    for row in &rows {
        for (figures, host) in [(&row.plain, &plain), (&row.strips, &strips)] {
            ensure!(
                figures.identical_to_host,
                "{}: its beats differ from this machine's, which said {}",
                row.core,
                host.trim_end()
            );
        }
    }
    Ok(())
}

/// What a second has: beats of a fast heart, samples, and half minutes that end in it.
const PER_SECOND: (f64, f64, f64) = (3.0, 128.0, 0.1);

/// The rows as a table: without the strip network, then with it.
pub(crate) fn markdown(rows: &serde_json::Value) -> Option<String> {
    let mut table = String::from(
        "| core | target | flash | RAM | instructions a sample | a beat | half a minute | the longest call | a second, millions |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let rows = rows.as_array()?.iter();
    let strips = rows.clone().map(|row| (row, &row["strips"], ", strips"));
    for (row, figures, with) in rows.map(|row| (row, row, "")).chain(strips) {
        let count = |pointer: &str| figures.pointer(pointer)?.as_u64().map(thousands);
        let number = |pointer: &str| figures.pointer(pointer)?.as_f64();
        let (beats, samples, half_minutes) = PER_SECOND;
        let half_minute = "/instructions/per_half_minute";
        let second = beats * number("/instructions/per_beat")?
            + samples * number("/instructions/per_sample")?
            + half_minutes * number(half_minute).unwrap_or_default();
        table.push_str(&format!(
            "| {}{with} | `{}` | {} | {} | {} | {} | {} | {} | {:.1} |\n",
            row["core"].as_str()?,
            row["target"].as_str()?,
            count("/flash_bytes")?,
            count("/ram_bytes")?,
            count("/instructions/per_sample")?,
            count("/instructions/per_beat")?,
            count(half_minute).unwrap_or_else(|| "-".to_owned()),
            count("/instructions/longest_slice")?,
            second / 1e6,
        ));
    }
    Some(table)
}

/// What the image for a target prints of a file's beats.
pub(crate) fn play_file(target: &str, file: &Path) -> Result<String> {
    let core = CORES.iter().find(|core| core.target == target);
    let core = core.with_context(|| format!("no core of {target}"))?;
    let elf = core.build(FILE)?;
    finish(&mut core.qemu(&elf, &format!(",arg=heartlens,arg={}", file.display())))
}

impl Core {
    fn play(&self, features: &str, host: &str) -> Result<Figures> {
        let elf = self.build(features)?;
        let mut qemu = self.qemu(&elf, "");
        qemu.args(["-icount", &format!("shift={}", self.shift)]);
        let log = finish(&mut qemu)?;
        Figures::of(&log, host, &fs::read(&elf)?)
    }

    fn build(&self, features: &str) -> Result<PathBuf> {
        let built = cargo("firmware")
            .args([
                "build",
                "--quiet",
                "--release",
                "--package",
                "heartlens-cores",
            ])
            .args(["--target", self.target, "--features", features])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(built.status.success(), "the image cannot be built");
        step::executable(&built.stdout)?.context("cargo built no image")
    }

    /// QEMU with the image, which is given these arguments.
    fn qemu(&self, elf: &Path, arguments: &str) -> Command {
        let mut qemu = Command::new(self.qemu);
        qemu.arg("-machine")
            .args(self.machine)
            .args(["-display", "none", "-monitor", "none", "-serial", "none"])
            .arg("-semihosting-config")
            .arg(format!("enable=on,target=native{arguments}"))
            .arg("-kernel")
            .arg(elf);
        qemu
    }
}

impl Figures {
    fn of(log: &str, host: &str, elf: &[u8]) -> Result<Self> {
        let watched = |log| -> Result<(u64, u64, String)> {
            let line: Line<'_> = only(log, "watched")?;
            let hash = line.field("hash")?.to_owned();
            Ok((line.number("samples")?, line.number("beats")?, hash))
        };
        let costs = costs(log)?;
        let memory = only(log, "memory")?;
        let (flash_bytes, static_bytes) = measure(elf)?;
        Ok(Self {
            beats: watched(log)?.1,
            identical_to_host: watched(log)? == watched(host)?,
            instructions: Instructions {
                per_sample: costs.get("sample").context("no cost of a sample")?.mean,
                per_beat: costs.get("beat").context("no cost of a beat")?.mean,
                per_half_minute: costs.get("strip").map(|strip| strip.mean),
                longest_slice: costs.get("slice").context("no cost of a call")?.largest,
            },
            flash_bytes: flash_bytes
                .checked_sub(memory.number("stretch")?)
                .context("the image is smaller than its record")?,
            ram_bytes: static_bytes + memory.number("stack")?,
        })
    }
}

/// What QEMU prints until the image ends it. An image that hangs is ended.
fn finish(qemu: &mut Command) -> Result<String> {
    // A file, not a pipe, which would fill up while nobody reads it.
    let mut printed = tempfile::tempfile()?;
    let mut running = qemu
        .stdin(Stdio::null())
        .stdout(printed.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start {}", step::shown(qemu)))?;
    let started = Instant::now();
    while running.try_wait()?.is_none() {
        if started.elapsed() > PATIENCE {
            running.kill()?;
            bail!("the image did not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = running.wait()?;
    ensure!(status.success(), "the image ended with {status}");
    printed.rewind()?;
    let mut log = Vec::new();
    printed.read_to_end(&mut log)?;
    Ok(String::from_utf8_lossy(&log).into_owned())
}

/// The log's costs in instructions.
fn costs(log: &str) -> Result<BTreeMap<&str, Cost>> {
    let known = only(log, "loop")?;
    let (instructions, ticks) = (known.number("instructions")?, known.number("ticks")?);
    ensure!(
        instructions > 0 && (instructions..=2 * instructions).contains(&ticks),
        "{ticks} ticks for {instructions} instructions: expected one or two each; is QEMU's -icount what this was made for?"
    );
    let mut costs = BTreeMap::new();
    for line in lines(log).filter(|line| line.kind == "cost") {
        let (total, count) = (line.number("total")?, line.number("count")?);
        ensure!(total > 0 && count > 0, "the image measured nothing");
        let of_ticks = |some: u64| (some * instructions).div_ceil(ticks);
        let cost = Cost {
            mean: of_ticks(total.div_ceil(count)),
            largest: of_ticks(line.number("largest")?),
        };
        costs.insert(line.field("part")?, cost);
    }
    Ok(costs)
}

/// Bytes of flash and of statics.
fn measure(elf: &[u8]) -> Result<(u64, u64)> {
    let file = object::File::parse(elf).context("not an ELF image")?;
    let flash = file.segments().map(|segment| segment.file_range().1).sum();
    let statics = file
        .sections()
        .filter(|section| {
            let name = section.name().unwrap_or_default();
            [".data", ".bss", ".uninit"].contains(&name)
        })
        .map(|section| section.size())
        .sum();
    ensure!(flash > 0, "the image has nothing for the flash");
    Ok((flash, statics))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "loop instructions=2000 ticks=3200\n\
        watched samples=10 beats=2 hash=ab\n\
        cost part=sample count=10 total=1600 largest=320\n\
        cost part=beat count=2 total=320000 largest=200000\n\
        cost part=slice count=30 total=321600 largest=160000\n";

    #[test]
    fn ticks_are_turned_into_instructions() {
        let costs = costs(LOG).expect("a whole log");
        assert_eq!(
            costs["sample"],
            Cost {
                mean: 100,
                largest: 200
            }
        );
        assert_eq!(costs["beat"].mean, 100_000);
        assert_eq!(costs["slice"].largest, 100_000);
    }

    #[test]
    fn a_timer_that_does_not_count_instructions_is_refused() {
        for (from, to) in [
            ("ticks=3200", "ticks=10"),
            ("ticks=3200", "ticks=4001"),
            ("total=1600", "total=0"),
            ("loop", "loup"),
        ] {
            assert!(costs(&LOG.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_row_of_a_table() {
        let rows = serde_json::json!([{
            "core": "C", "target": "t", "flash_bytes": 1000, "ram_bytes": 200,
            "instructions": {"per_sample": 10_000, "per_beat": 2_000_000, "longest_slice": 30},
            "strips": {
                "flash_bytes": 3000, "ram_bytes": 400,
                "instructions": {
                    "per_sample": 20_000, "per_beat": 2_000_000, "per_half_minute": 5_000_000, "longest_slice": 31
                }
            }
        }]);
        let table = markdown(&rows).expect("figures");
        assert!(
            table.ends_with(
                "| C | `t` | 1,000 | 200 | 10,000 | 2,000,000 | - | 30 | 7.3 |\n\
                 | C, strips | `t` | 3,000 | 400 | 20,000 | 2,000,000 | 5,000,000 | 31 | 9.1 |\n"
            ),
            "{table}"
        );
        assert_eq!(markdown(&serde_json::json!([{"core": "C"}])), None);
    }
}
