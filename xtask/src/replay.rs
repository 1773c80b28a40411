//! Records through the image `replay` and its twin on this machine.

use crate::environment::Environment;
use crate::qemu::{Cost, Instructions, difference, lines, only, parts};
use crate::step::{self, cargo, output};
use crate::strips::{self, Strips};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Samples a second of what is played: `heartlens_core::spec::SAMPLE_RATE_HZ`, which xtask does not know. The firmware's
/// own times are held against it.
pub(crate) const SAMPLE_RATE_HZ: u64 = 128;

/// The data bases whose records `--all` plays.
const DATA_BASES: [&str; 2] = ["mitdb", "svdb"];

/// One record, on both machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) record: String,
    pub(crate) beats: usize,
    pub(crate) samples: u64,
    /// Half minutes that a wearable with the strip network judged, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) half_minutes: Option<usize>,
    pub(crate) identical_to_host: bool,
}

/// What the device logged of one record, and where this machine differs.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) record: Record,
    pub(crate) difference: Option<String>,
    log: String,
}

/// A layer of the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Layer {
    name: String,
    op: String,
    macs: u64,
    /// Mean of all beats, rounded up.
    instructions: u64,
}

impl Layer {
    /// One line a layer, and one for all of them.
    pub(crate) fn table(layers: &[Self]) -> String {
        let mut table = format!(
            "\n{:<34}{:<14}{:>8}{:>14}{:>8}\n",
            "layer", "operator", "MACs", "instructions", "a MAC"
        );
        let rate = |instructions: u64, macs: u64| match macs {
            0 => "-".to_owned(),
            macs => format!("{:.2}", instructions as f64 / macs as f64),
        };
        for layer in layers {
            table.push_str(&format!(
                "{:<34}{:<14}{:>8}{:>14}{:>8}\n",
                layer.name,
                layer.op,
                layer.macs,
                layer.instructions,
                rate(layer.instructions, layer.macs)
            ));
        }
        let macs = layers.iter().map(|layer| layer.macs).sum();
        let instructions = layers.iter().map(|layer| layer.instructions).sum();
        table.push_str(&format!(
            "{:<48}{macs:>8}{instructions:>14}{:>8}\n",
            "all",
            rate(instructions, macs)
        ));
        table
    }
}

/// Every record together.
#[derive(Debug)]
pub(crate) struct Sum {
    pub(crate) beats: usize,
    pub(crate) samples: u64,
    pub(crate) hours: f64,
    /// The largest mean of all records, and the largest of all.
    pub(crate) parts: BTreeMap<String, Cost>,
    /// Likewise.
    pub(crate) layers: Vec<Layer>,
    pub(crate) stack_bytes: u64,
}

impl Sum {
    pub(crate) fn of(played: &[Played]) -> Result<Self> {
        let mut sum = Self {
            beats: 0,
            samples: 0,
            hours: 0.0,
            parts: BTreeMap::new(),
            layers: Vec::new(),
            stack_bytes: 0,
        };
        for one in played {
            sum.beats += one.record.beats;
            sum.samples += one.record.samples;
            for (name, cost) in parts(&one.log)? {
                let most = sum.parts.entry(name).or_insert(cost);
                most.mean = most.mean.max(cost.mean);
                most.largest = most.largest.max(cost.largest);
            }
            for (index, layer) in layers(&one.log)?.into_iter().enumerate() {
                match sum.layers.get_mut(index) {
                    Some(most) => most.instructions = most.instructions.max(layer.instructions),
                    None => sum.layers.push(layer),
                }
            }
            sum.stack_bytes = sum
                .stack_bytes
                .max(only(&one.log, "stack")?.number("bytes")?);
        }
        ensure!(sum.beats > 0, "the firmware classified no beat");
        sum.hours = sum.samples as f64 / (SAMPLE_RATE_HZ * 3600) as f64;
        Ok(sum)
    }

    pub(crate) fn instructions(&self) -> Result<Instructions> {
        let mean = |name: &str| {
            let cost = self.parts.get(name).map(|cost| cost.mean);
            cost.with_context(|| format!("the firmware did not measure {name}"))
        };
        Ok(Instructions {
            per_sample: mean("sample")?,
            views_per_beat: mean("beat")? + mean("views")?,
            model_per_beat: mean("model")?,
            rhythm_per_beat: mean("rhythm")?,
        })
    }
}

fn layers(log: &str) -> Result<Vec<Layer>> {
    let lines = lines(log).filter(|line| line.kind == "layer");
    let layers = lines.map(|line| {
        let (count, total) = (line.number("count")?, line.number("total")?);
        let name = line.field("name")?.to_owned();
        ensure!(count > 0, "the firmware did not measure layer {name}");
        Ok(Layer {
            name,
            op: line.field("op")?.to_owned(),
            macs: line.number("macs")?,
            instructions: total.div_ceil(count),
        })
    });
    layers.collect()
}

/// An image and its twin on this machine, built once, so that all records are played by the same two, whatever changes meanwhile.
pub(crate) struct Twins {
    _folder: tempfile::TempDir,
    image: PathBuf,
    host: PathBuf,
}

impl Twins {
    /// Of the image of this name and the example `NAME_on_host`.
    pub(crate) fn build(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let kept = |build: &mut Command, name: &str| -> Result<PathBuf> {
            build.args([name, "--quiet"]);
            build.args(["--message-format", "json-render-diagnostics"]);
            let built = step::executable(output(build)?.as_bytes())?;
            let built = built.with_context(|| format!("cargo built no {name}"))?;
            let kept = folder.path().join(name);
            std::fs::copy(built, &kept).with_context(|| kept.display().to_string())?;
            Ok(kept)
        };
        let image = kept(
            cargo("firmware").args(["build", "--release", "--bin"]),
            name,
        )?;
        // From the root, where firmware's default target does not apply.
        let host = kept(
            cargo(".")
                .args(["build", "--manifest-path", "firmware/Cargo.toml"])
                .arg("--example"),
            &format!("{name}_on_host"),
        )?;
        Ok(Self {
            _folder: folder,
            image,
            host,
        })
    }

    /// What the image logs of a stretch, or of the one in it.
    pub(crate) fn on_device(&self, file: Option<&Path>) -> Result<String> {
        output(
            cargo("firmware")
                .args(["run", "--quiet", "--package", "qemu-runner"])
                .args(["--target", "host-tuple", "--"])
                .arg(&self.image)
                .args(file),
        )
    }

    /// What its twin prints of the same.
    pub(crate) fn on_host(&self, file: Option<&Path>) -> Result<String> {
        output(Command::new(&self.host).args(file))
    }
}

/// The demo record, which is in the image.
pub(crate) fn demo() -> Result<Played> {
    play("models/demo/demo", None, &Twins::build("replay")?)
}

/// Plays a stretch, or the one in the image, on both machines.
fn play(name: &str, file: Option<&Path>, twins: &Twins) -> Result<Played> {
    Played::of(name, twins.on_device(file)?, &twins.on_host(file)?)
}

/// Records one after the other, or as many at a time as there are cores; one line each on stderr.
/// `strips`: through the strip network as well.
pub(crate) fn records(records: &[PathBuf], lead: &str, strips: bool) -> Result<Vec<Played>> {
    let program = &step::example("stretch", Environment::here().as_ref())?;
    let twins = &Twins::build("replay")?;
    let strips = match strips {
        true => Some(Twins::build("strips")?),
        false => None,
    };
    let strips = strips.as_ref();
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let queue = Mutex::new(records.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(records.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((index, record)) = next else {
                        return;
                    };
                    let file = folder.path().join(format!("{index}.stretch"));
                    let played = stretch(program, record, lead, &file)
                        .and_then(|()| play(&record.display().to_string(), Some(&file), twins))
                        .and_then(|mut played| {
                            if let Some(twins) = strips {
                                played.add(strips::play(Some(&file), twins)?);
                            }
                            Ok(played)
                        })
                        .with_context(|| record.display().to_string());
                    // Of a long list, what is done need not stay.
                    let _ = std::fs::remove_file(&file);
                    if let Ok(mut results) = results.lock() {
                        if let Ok(played) = &played {
                            report(&played.record, results.len() + 1, records.len());
                        }
                        results.push((index, played));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, played)| played).collect()
}

fn report(record: &Record, done: usize, all: usize) {
    eprintln!(
        "{done:>3}/{all} {}: {} beats {}",
        record.record,
        record.beats,
        if record.identical_to_host {
            "identical"
        } else {
            "DIFFERENT"
        }
    );
}

/// Writes the record's lead at the canonical rate, as the firmware reads it.
fn stretch(program: &Path, record: &Path, lead: &str, file: &Path) -> Result<()> {
    let record = std::path::absolute(record)?;
    output(Command::new(program).args([record.as_os_str(), lead.as_ref(), file.as_os_str()]))?;
    Ok(())
}

impl Played {
    fn of(name: &str, log: String, host: &str) -> Result<Self> {
        let difference = difference(&log, host);
        let mut beats = 0;
        for line in lines(&log).filter(|line| line.kind == "beat") {
            let (sample, time) = (line.number("r_sample")?, line.number("time_ms")?);
            ensure!(
                time == sample * 1000 / SAMPLE_RATE_HZ,
                "sample {sample} at {time} ms: not {SAMPLE_RATE_HZ} a second"
            );
            beats += 1;
        }
        Ok(Self {
            record: Record {
                record: name.to_owned(),
                beats,
                samples: only(&log, "signal")?.number("samples")?,
                half_minutes: None,
                identical_to_host: difference.is_none(),
            },
            difference: difference.map(|difference| format!("{name}: {difference}")),
            log,
        })
    }
}

impl Played {
    /// Adds what became of half minutes.
    fn add(&mut self, (strips, difference): (Strips, Option<String>)) {
        self.record.half_minutes = Some(strips.verdicts.len());
        if let Some(difference) = difference {
            self.record.identical_to_host = false;
            let named = format!("{}: {difference}", self.record.record);
            self.difference.get_or_insert(named);
        }
    }
}

/// Every record of [`DATA_BASES`], in the order of their names.
pub(crate) fn all_records() -> Result<Vec<PathBuf>> {
    let folder = std::env::var_os("HEARTLENS_DATA")
        .context("--all needs HEARTLENS_DATA, the folder with mitdb/ and svdb/")?;
    let mut records = Vec::new();
    for name in DATA_BASES {
        let folder = Path::new(&folder).join(name);
        let entries = folder
            .read_dir()
            .with_context(|| folder.display().to_string())?;
        for entry in entries {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "hea") {
                records.push(file.with_extension(""));
            }
        }
    }
    records.sort();
    if records.is_empty() {
        bail!("{}: no records", Path::new(&folder).display());
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
loop expected=2000 counted=2001
beat r_sample=128 time_ms=1000 class=N scores=aa logits=bb instructions=900
beat r_sample=230 time_ms=1796 class=V scores=ac logits=bc instructions=910
signal samples=460800
cost part=sample count=10 total=3001 largest=400
cost part=beat count=2 total=1000 largest=600
cost part=views count=2 total=2000 largest=1100
cost part=model count=2 total=5001 largest=2600
cost part=rhythm count=2 total=600 largest=400
layer index=0 name=conv op=Conv macs=100 count=2 total=301
layer index=1 name=join op=Concat macs=0 count=2 total=10
stack bytes=5000
";

    fn host() -> String {
        LOG.lines()
            .filter(|line| line.starts_with("beat") || line.starts_with("signal"))
            .map(|line| {
                line.split(" instructions")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
                    + "\n"
            })
            .collect()
    }

    #[test]
    fn records_are_summed_up_by_their_dearest() {
        let one = Played::of("a", LOG.to_owned(), &host()).expect("a log");
        assert!(one.record.identical_to_host && one.difference.is_none());
        let dear = LOG
            .replace("total=301", "total=500")
            .replace("bytes=5000", "bytes=6000");
        let other = Played::of("b", dear, &host().replace("bc", "bd")).expect("a log");
        assert!(!other.record.identical_to_host);
        assert!(
            other
                .difference
                .as_ref()
                .is_some_and(|d| d.starts_with("b: the firmware differs"))
        );
        let sum = Sum::of(&[one, other]).expect("logs");
        assert_eq!(
            (sum.beats, sum.samples, sum.hours, sum.stack_bytes),
            (4, 921_600, 2.0, 6000)
        );
        let expected = Instructions {
            per_sample: 301,
            views_per_beat: 1500,
            model_per_beat: 2501,
            rhythm_per_beat: 300,
        };
        assert_eq!(sum.instructions().expect("all measured"), expected);
        assert_eq!(sum.layers[0].instructions, 250);
        let table = Layer::table(&sum.layers);
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert!(
            table
                .lines()
                .any(|line| words(line) == ["conv", "Conv", "100", "250", "2.50"]),
            "{table}"
        );
        assert!(
            table
                .lines()
                .any(|line| words(line) == ["all", "100", "255", "2.55"]),
            "{table}"
        );
    }

    #[test]
    fn a_log_that_cannot_be_trusted_is_refused() {
        for (from, to) in [("time_ms=1000", "time_ms=1001"), ("signal", "noise")] {
            assert!(
                Played::of("a", LOG.replace(from, to), "").is_err(),
                "{from}"
            );
        }
        for (from, to) in [
            ("beat r_sample=128 time_ms=1000", "bead"),
            ("part=model count=2", "part=model count=0"),
            ("op=Conv macs=100 count=2", "op=Conv macs=100 count=0"),
            ("stack", "stick"),
        ] {
            let log = LOG.replace(from, to).replace("beat r_sample=230", "bead");
            let sum = Played::of("a", log, "").and_then(|played| Sum::of(&[played]));
            assert!(sum.is_err(), "{from}");
        }
    }
}
