//! Records through the image `strips` and its twin on this machine: what a wearable with the strip network tells of half minutes and
//! of fibrillation, and what that takes.

use crate::qemu::{Cost, difference, lines, only, parts};
use crate::replay::Twins;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the device logged of one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Strips {
    /// One object a half minute: its span in ms, and the bits of its four probabilities in hexadecimal.
    pub(crate) verdicts: Vec<BTreeMap<String, String>>,
    /// One object a beginning or end of fibrillation, in ms; an end of 0 is none yet.
    pub(crate) fibrillation: Vec<BTreeMap<String, String>>,
    pub(crate) beats: u64,
    /// All work on half a minute.
    pub(crate) strip: Cost,
    /// One slice of it.
    pub(crate) slice: Cost,
    /// Any call, those for beats included.
    pub(crate) call: Cost,
    /// Bytes of the network's image, and of the memory of its activations.
    pub(crate) image_bytes: u64,
    pub(crate) arena_bytes: u64,
    /// Bytes of a wearable with strip network, both arenas excepted, and the deepest stack.
    pub(crate) state_bytes: u64,
    pub(crate) stack_bytes: u64,
}

/// The deepest stack, on the record in the image.
pub(crate) fn stack_bytes() -> Result<u64> {
    Ok(Strips::of(&twins()?.on_device(None)?)?.stack_bytes)
}

fn twins() -> Result<Twins> {
    Twins::build("strips")
}

/// Plays the record in the image on both machines.
pub(crate) fn demo() -> Result<(Strips, Option<String>)> {
    play(None, &twins()?)
}

/// Plays one record, or the one in the image, on both machines; where they differ.
pub(crate) fn play(file: Option<&Path>, twins: &Twins) -> Result<(Strips, Option<String>)> {
    let (device, host) = (twins.on_device(file)?, twins.on_host(file)?);
    Ok((Strips::of(&device)?, difference(&device, &host)))
}

impl Strips {
    fn of(log: &str) -> Result<Self> {
        let all = |kind: &str| -> Vec<BTreeMap<String, String>> {
            let lines = lines(log).filter(|line| line.kind == kind);
            lines.map(|line| line.into_fields()).collect()
        };
        let costs = parts(log)?;
        let cost = |name: &str| -> Result<Cost> {
            let cost = costs.get(name).copied();
            cost.with_context(|| format!("the firmware did not measure {name}"))
        };
        let memory = only(log, "memory")?;
        let verdicts = all("strip");
        ensure!(
            !verdicts.is_empty(),
            "the firmware judged no half minute; a record of at least 16 s is needed"
        );
        Ok(Self {
            verdicts,
            fibrillation: all("fibrillation"),
            beats: only(log, "signal")?.number("beats")?,
            strip: cost("strip")?,
            slice: cost("strip-slice")?,
            call: cost("strip-call")?,
            image_bytes: memory.number("image")?,
            arena_bytes: memory.number("arena")?,
            state_bytes: memory.number("state")?,
            stack_bytes: memory.number("stack")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "loop expected=2000 counted=2001
strip from_ms=0 until_ms=10000 probabilities=aabbccdd
fibrillation since_ms=500 until_ms=0
signal samples=2000 beats=12
cost part=strip count=1 total=5000 largest=5000
cost part=strip-slice count=100 total=5000 largest=60
cost part=strip-call count=1000 total=50000 largest=70
memory state=29000 arena=3600 image=21000 stack=9000
";

    #[test]
    fn a_log_is_read() {
        let strips = Strips::of(LOG).expect("a whole log");
        assert_eq!(strips.verdicts[0]["probabilities"], "aabbccdd");
        assert_eq!(strips.fibrillation[0]["since_ms"], "500");
        assert_eq!((strips.slice.largest, strips.call.largest), (60, 70));
        for (from, to) in [
            ("strip from", "strap from"),
            ("part=strip ", "part=x "),
            ("memory", "m"),
        ] {
            assert!(Strips::of(&LOG.replace(from, to)).is_err(), "{from}");
        }
        for (from, to) in [
            ("aabbccdd", "aabbccde"),
            ("=500", "=501"),
            ("beats=12", "beats=13"),
        ] {
            assert!(difference(LOG, &LOG.replace(from, to)).is_some(), "{from}");
        }
    }
}
