//! The firmware in QEMU: the same bits as this machine, within its budget of instructions, and never wrong in silence.
//!
//! The image plays `firmware/stretch/demo.bin`: lead 0 of the demo record at the canonical rate, as a converter with
//! 1000 counts per millivolt would have given it. `HEARTLENS_BLESS=1 cargo test -p heartlens-tests --test firmware`
//! writes that file anew.

mod kernels;
mod strips;

use heartlens::pipeline::canonical_lead;
use heartlens::records::Record;
use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::Patient;
use heartlens_core::sample::{AdcCount, Calibration};
use heartlens_core::views::Views;
use heartlens_core::wearable::Rate;
use heartlens_tests::{root, skipped_without_qemu};
use serde_json::Value;
use std::process::Command;
use std::sync::OnceLock;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const CALIBRATION: Calibration = Calibration {
    counts_per_mv: 1000.0,
    zero: 0,
};

fn cargo(dir: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root().join(dir));
    command
}

/// The report that `cargo xtask test` has just had written, or what `cargo xtask VERB... --json -` says now.
fn reported(verb: &[&str], variable: &str) -> Value {
    if let Some(file) = std::env::var_os(variable) {
        let report = std::fs::read(&file).expect(variable);
        return serde_json::from_slice(&report).expect("a report in JSON");
    }
    let output = cargo(".")
        .args(["run", "--quiet", "--package", "xtask", "--"])
        .args(verb)
        .args(["--json", "-"])
        .output()
        .expect("cargo starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo xtask {verb:?} failed\n{stderr}"
    );
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

/// What `cargo xtask qemu` reports; the firmware is played once for all tests.
fn report() -> &'static Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    REPORT.get_or_init(|| reported(&["qemu"], "HEARTLENS_QEMU_REPORT"))
}

/// What `cargo xtask size --strips` reports.
fn sizes() -> &'static [Value] {
    static SIZES: OnceLock<Value> = OnceLock::new();
    let sizes = SIZES.get_or_init(|| reported(&["size", "--strips"], "HEARTLENS_SIZE_REPORT"));
    sizes.as_array().expect("a list of images")
}

/// The demo record's lead 0 as counts at the canonical rate.
fn demo_counts() -> Result<Vec<i16>> {
    let record = Record::open(root().join("models/demo/demo"))?;
    let lead = canonical_lead(&record, 0)?;
    lead.iter()
        .map(|mv| {
            let count = (mv * CALIBRATION.counts_per_mv).round();
            let fits = f32::from(i16::MIN) < count && count < f32::from(i16::MAX);
            if !fits {
                return Err(format!("{mv} mV does not fit the counts of a stretch").into());
            }
            Ok(count as i16)
        })
        .collect()
}

#[test]
fn the_stretch_in_flash_is_the_demo_record() -> Result {
    let counts = demo_counts()?;
    let mut expected = u32::try_from(counts.len())?.to_le_bytes().to_vec();
    expected.extend(CALIBRATION.counts_per_mv.to_le_bytes());
    expected.extend(CALIBRATION.zero.to_le_bytes());
    expected.extend(counts.iter().flat_map(|count| count.to_le_bytes()));

    let path = root().join("firmware/stretch/demo.bin");
    if std::env::var_os("HEARTLENS_BLESS").is_some() {
        std::fs::write(&path, &expected)?;
    }
    assert!(
        std::fs::read(&path)? == expected,
        "firmware/stretch/demo.bin is not the demo record; HEARTLENS_BLESS=1 writes it anew"
    );
    Ok(())
}

/// FNV-1a (64 bit) over the bits of every value, as the firmware logs it.
fn checksum(values: &[f32]) -> String {
    let bytes = values.iter().flat_map(|v| v.to_bits().to_le_bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{sum:016x}")
}

/// Every beat of the demo record as this build of core sees it.
fn beats_on_this_machine() -> Result<Vec<MonitoredBeat>> {
    let mut monitor = Monitor::new(Patient::default());
    let mut beats = Vec::new();
    for count in demo_counts()? {
        let sample = CALIBRATION.millivolts(AdcCount(i32::from(count)));
        beats.extend(monitor.push(sample.0));
    }
    monitor.finish();
    beats.extend(std::iter::from_fn(|| monitor.poll()));
    Ok(beats)
}

#[test]
fn every_view_of_every_beat_has_the_same_bits_on_the_device() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let report = report();
    assert_eq!(report["identical_to_host"], true);

    // The report compares with a host build of the firmware's own code; this is the library as tests build it.
    let mut views = Views::ZERO;
    let expected: Vec<Value> = beats_on_this_machine()?
        .iter()
        .map(|beat| {
            views.compute(&beat.frame);
            serde_json::json!({
                "r_sample": beat.frame.r_sample.to_string(),
                "readable": beat.quality.is_readable().to_string(),
                "waveform": checksum(&views.waveform),
                "spectrum": checksum(&views.spectrum),
                "spectrogram": checksum(&views.spectrogram),
                "metadata": checksum(&views.metadata),
            })
        })
        .collect();
    assert!(
        expected.len() > 250,
        "five minutes have {} beats",
        expected.len()
    );
    let found = report["checksums"].as_array().ok_or("checksums")?;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    Ok(())
}

/// Each budget with a floor, so that work that is no longer measured, or no longer done, is noticed as well.
#[test]
fn instructions_stay_within_their_budget() {
    if skipped_without_qemu() {
        return;
    }
    for (pointer, budget) in [
        ("/instructions/per_sample", 390..=470),
        ("/instructions/views_per_beat", 165_000..=200_000),
        ("/instructions/model_per_beat", 250_000..=320_000),
        ("/instructions/rhythm_per_beat", 80_000..=140_000),
        ("/parts/filter/mean", 60..=90),
        ("/parts/quality/mean", 80..=140),
        ("/parts/detector/mean", 120..=220),
        ("/parts/beat/mean", 52_000..=68_000),
        ("/parts/quantise/mean", 17_000..=26_000),
    ] {
        let found = report().pointer(pointer).and_then(Value::as_u64);
        assert!(
            found.is_some_and(|instructions| budget.contains(&instructions)),
            "{pointer}: {found:?} instructions, the budget is {budget:?}"
        );
    }
}

/// What a firmware does between two samples must be short: no call takes longer than this, whatever the beat.
#[test]
fn no_call_takes_more_than_80_000_instructions() {
    if skipped_without_qemu() {
        return;
    }
    let slice = &report()["parts"]["slice"];
    let largest = slice["largest"].as_u64();
    assert!(
        largest.is_some_and(|instructions| (40_000..=80_000).contains(&instructions)),
        "{largest:?} instructions"
    );
    let mean = slice["mean"].as_u64();
    assert!(mean.is_some_and(|mean| mean < 8_000), "{mean:?}");
    let parts = report()["parts"].as_object().expect("parts");
    let calls = parts
        .iter()
        .filter(|(name, _)| name.starts_with("wearable-"));
    assert_eq!(calls.clone().count(), 4 * Rate::ALL.len());
    for (name, cost) in calls {
        let largest = cost["largest"].as_u64();
        let budget = match name.ends_with("-clock") {
            true => 50..=1_000,
            false => 5_000..=80_000,
        };
        assert!(
            largest.is_some_and(|instructions| budget.contains(&instructions)),
            "{name}: {largest:?} instructions"
        );
    }
}

/// What the budget allows is 98,304 bytes of flash and 24,576 of RAM, and with the strip network 61,440 and 32,768 more; the
/// ceilings here lie at or below, the floors where something would no longer be built in, or measured.
#[test]
fn flash_and_ram_stay_within_their_budget() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    assert_eq!(sizes().len(), 4);
    for size in sizes() {
        let (flash, ram, stack) = match size["image"] == "monitor with strips" {
            true => (110_000..=159_744, 38_000..=57_344, 3_000..=12_000),
            false => (75_000..=98_304, 18_000..=24_576, 15_000..=22_500),
        };
        for (key, budget) in [
            ("flash_bytes", flash),
            ("ram_bytes", ram),
            ("stack_bytes", stack),
            ("model_bytes", 10_000..=40_960),
            ("scratch_bytes", 1_000..=8_192),
        ] {
            let found = size[key].as_u64();
            assert!(
                found.is_some_and(|bytes| budget.contains(&bytes)),
                "{} {}: {key} is {found:?}, the budget is {budget:?}",
                size["board"],
                size["image"]
            );
        }
        let shipped = std::fs::metadata(root().join("models/beat/model.hlm"))?.len();
        assert_eq!(size["model_bytes"].as_u64(), Some(shipped));
    }
    // A wearable is made where it stays: on the stack it would be three times this.
    let stack = report()["wearable"]["stack_bytes"].as_u64();
    assert!(
        stack.is_some_and(|bytes| (3_000..=6_000).contains(&bytes)),
        "{stack:?} bytes of stack"
    );
    Ok(())
}

/// Figures in documents come from `docs/performance.json`, and that from QEMU. Code may move by a little before it is measured
/// anew; `cargo xtask documents --measure` does that.
#[test]
fn the_documents_figures_are_those_of_this_firmware() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let documented = std::fs::read(root().join("docs/performance.json"))?;
    let documented: Value = serde_json::from_slice(&documented)?;
    let near = |what: &str, documented: &Value, found: &Value| -> Result {
        let (documented, found) = (documented.as_f64(), found.as_f64());
        let (documented, found) = documented.zip(found).ok_or("a figure is missing")?;
        assert!(
            (found - documented).abs() <= 0.02 * documented,
            "{what}: {found}, but docs/performance.json says {documented}; `cargo xtask documents --measure` renews it"
        );
        Ok(())
    };
    for key in [
        "per_sample",
        "views_per_beat",
        "model_per_beat",
        "rhythm_per_beat",
    ] {
        let documented = &documented["qemu"]["instructions"][key];
        near(key, documented, &report()["instructions"][key])?;
    }
    let wearable = &documented["wearable"];
    for key in ["state_bytes", "stack_bytes"] {
        near(key, &wearable[key], &report()["wearable"][key])?;
    }
    let rates = wearable["rates"].as_array().ok_or("rates")?;
    assert_eq!(rates.len(), Rate::ALL.len());
    for row in rates {
        for (key, call, figure) in [
            ("sample", "push", "mean"),
            ("push", "push", "largest"),
            ("missing", "missing", "largest"),
            ("clock", "clock", "largest"),
            ("work", "work", "largest"),
        ] {
            let part = format!("wearable-{}-{call}", row["hz"]);
            near(&part, &row[key], &report()["parts"][&part][figure])?;
        }
    }
    let strips = &documented["strips"];
    for key in ["state_bytes", "stack_bytes", "arena_bytes", "image_bytes"] {
        near(key, &strips[key], &report()["strips"][key])?;
    }
    for (part, figure) in [
        ("strip", "mean"),
        ("strip", "largest"),
        ("slice", "largest"),
        ("call", "largest"),
    ] {
        let found = &report()["strips"][part][figure];
        near(part, &strips[part][figure], found)?;
    }
    let documented = documented["size"].as_array().ok_or("size")?;
    assert_eq!(documented.len(), sizes().len());
    for (documented, found) in documented.iter().zip(sizes()) {
        assert_eq!(documented["board"], found["board"]);
        assert_eq!(documented["image"], found["image"]);
        for key in ["flash_bytes", "ram_bytes"] {
            near(key, &documented[key], &found[key])?;
        }
    }
    Ok(())
}

/// The device's own words for a beat: every byte of each score, by this machine's library.
#[test]
fn the_whole_road_has_the_same_bytes_on_the_device() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let report = report();
    assert_eq!(report["identical_to_host"], true);
    assert_eq!(
        report["beats"].as_u64(),
        Some(beats_on_this_machine()?.len() as u64)
    );
    let layers = report["layers"].as_array().ok_or("layers")?;
    assert!(layers.len() >= 10, "{} layers", layers.len());
    let sum: u64 = layers
        .iter()
        .filter_map(|layer| layer["instructions"].as_u64())
        .sum();
    let model = report["instructions"]["model_per_beat"]
        .as_u64()
        .ok_or("model")?;
    assert!(
        sum < model && sum > model * 8 / 10,
        "layers {sum} of {model}"
    );
    Ok(())
}

/// Every core has this machine's beats, and costs what the documents say.
#[test]
fn other_cores_have_the_same_beats_and_cost_what_is_documented() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let output = cargo(".")
        .args(["run", "--quiet", "--package", "xtask", "--"])
        .args(["qemu", "--cores", "--json", "-"])
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let found: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let documented: Value =
        serde_json::from_slice(&std::fs::read(root().join("docs/performance.json"))?)?;
    let documented = documented["cores"].as_array().ok_or("no cores")?;
    assert!(documented.len() >= 6, "{} cores", documented.len());
    assert!(found.len() >= 5, "{} cores; {stderr}", found.len());
    for found in &found {
        let core = &found["core"];
        let documented = documented
            .iter()
            .find(|documented| documented["core"] == *core)
            .ok_or_else(|| format!("{core} is not documented"))?;
        for (found, documented) in [
            (found, documented),
            (&found["strips"], &documented["strips"]),
        ] {
            assert_eq!(found["identical_to_host"], true, "{core}");
            assert_eq!(found["beats"], documented["beats"], "{core}");
        }
        for key in [
            "/flash_bytes",
            "/ram_bytes",
            "/instructions/per_sample",
            "/instructions/per_beat",
            "/instructions/longest_slice",
            "/strips/flash_bytes",
            "/strips/ram_bytes",
            "/strips/instructions/per_sample",
            "/strips/instructions/per_beat",
            "/strips/instructions/per_half_minute",
            "/strips/instructions/longest_slice",
        ] {
            let number = |value: &Value| value.pointer(key).and_then(Value::as_f64);
            let (found, documented) = number(found).zip(number(documented)).ok_or(key)?;
            assert!(
                (found - documented).abs() <= 0.02 * documented,
                "{core}: {key} is {found}, documented is {documented}; `cargo xtask documents --measure` renews it"
            );
        }
        let ram = found["ram_bytes"].as_u64();
        assert!(ram.is_some_and(|bytes| bytes <= 24_576), "{core}: {ram:?}");
        let ram = found["strips"]["ram_bytes"].as_u64();
        assert!(ram.is_some_and(|bytes| bytes <= 57_344), "{core}: {ram:?}");
    }
    // Where there is an FPU and DSP, no call is longer than this.
    for found in &found[..2] {
        for found in [found, &found["strips"]] {
            let longest = found["instructions"]["longest_slice"].as_u64();
            assert!(longest.is_some_and(|longest| longest <= 80_000), "{found}");
        }
    }
    Ok(())
}

#[test]
fn every_fault_ends_the_run_as_a_failure_that_says_why() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    for (fault, message) in [
        ("panic", "a panic on purpose"),
        ("hard-fault", "hard fault at pc=0x08"),
        ("stack-overflow", "stack overflow"),
    ] {
        let output = cargo("firmware")
            .args(["run", "--quiet", "--release", "--bin", "faults"])
            .env("HEARTLENS_FAULT", fault)
            .output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{fault} ended as a success");
        assert!(stderr.contains(message), "{fault} said\n{stderr}");
    }
    Ok(())
}
