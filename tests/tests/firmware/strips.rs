//! A wearable with the strip network in QEMU: it says of half minutes and of fibrillation what this machine's program says of the same
//! signal, to the bit, within its budget of instructions.

use super::{CALIBRATION, Result, cargo, demo_counts, report};
use heartlens::records::Record;
use heartlens::records::resample::resample;
use heartlens::{Model, Options};
use heartlens_tests::skipped_without_qemu;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What the program says of these counts: half minutes as the firmware logs them, and the beats in fibrillation, in ms.
fn on_this_machine(counts: &[i16]) -> Result<(Vec<Value>, Vec<u64>)> {
    let mv = |count: &i16| f32::from(*count) / CALIBRATION.counts_per_mv;
    let samples = counts.iter().map(mv).collect();
    let record = Record::from_mv("counts", 128.0, vec![("II".to_owned(), samples)])?;
    let analysis = Model::shipped()?.classify(&record, &Options::default())?;
    let ms = |s: f64| (s * 128.0).round() as u64 * 1000 / 128;
    let strips = analysis.strips.iter().map(|strip| {
        let digits = strip.probabilities.map(|p| format!("{:08x}", p.to_bits()));
        json!({
            "from_ms": ms(strip.from_s).to_string(),
            "until_ms": ms(strip.to_s).to_string(),
            "probabilities": digits.concat(),
        })
    });
    let fibrillating = analysis
        .beats
        .iter()
        .filter(|beat| beat.fibrillation == Some(true));
    Ok((
        strips.collect(),
        fibrillating.map(|beat| ms(beat.time_s)).collect(),
    ))
}

#[test]
fn half_minutes_of_the_demo_have_the_same_bits_on_the_device() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let (expected, fibrillating) = on_this_machine(&demo_counts()?)?;
    assert_eq!(expected.len(), 30);
    let found = &report()["strips"];
    assert_eq!(found["verdicts"], Value::Array(expected));
    assert_eq!(
        found["fibrillation"].as_array().map(Vec::is_empty),
        Some(fibrillating.is_empty())
    );
    assert_eq!(found["beats"], report()["beats"]);
    Ok(())
}

/// The budget is 8 million instructions every 10 s and 80,000 a call; each with a floor.
fn assert_budget(name: &str, strips: &Value) {
    for (pointer, budget) in [
        ("/strip/largest", 3_000_000..=8_000_000),
        ("/slice/largest", 40_000..=80_000),
        ("/call/largest", 40_000..=80_000),
    ] {
        let found = strips.pointer(pointer).and_then(Value::as_u64);
        assert!(
            found.is_some_and(|instructions| budget.contains(&instructions)),
            "{name}, {pointer}: {found:?} instructions, the budget is {budget:?}"
        );
    }
}

#[test]
fn half_a_minute_stays_within_its_budget() {
    if !skipped_without_qemu() {
        assert_budget("demo", &report()["strips"]);
    }
}

/// A heart as fast and irregular as there is: 3 to 5 beats a second, so that a window has as many beats as are looked at.
fn fast() -> Vec<i16> {
    let mut seed = 7_u32;
    let (mut beat, mut counts) = (40.0_f32, Vec::new());
    for i in 0..75 * 128 {
        let at = i as f32;
        if at > beat + 12.0 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            beat += 29.0 + (seed >> 28) as f32;
        }
        let d = (at - beat) / 2.2;
        let noise = ((i * 7919) % 17) as f32 - 8.0;
        counts.push((900.0 * (-d * d).exp() + noise) as i16);
    }
    counts
}

/// Some minutes of a record as the firmware plays them.
fn minutes_of(path: &Path, from_s: usize, len_s: usize) -> Result<Vec<i16>> {
    let record = Record::open(path)?;
    let lead = resample(&record.read_lead(0)?, record.sample_rate_hz(), 128.0)?;
    let counts = lead
        .iter()
        .map(|mv| (mv * CALIBRATION.counts_per_mv).round() as i16);
    Ok(counts.skip(from_s * 128).take(len_s * 128).collect())
}

/// The firmware's log of these counts: half minutes, beginnings of fibrillation, and what it took.
fn on_the_device(counts: &[i16]) -> Result<(Vec<Value>, Vec<u64>, Value)> {
    let mut bytes = u32::try_from(counts.len())?.to_le_bytes().to_vec();
    bytes.extend(CALIBRATION.counts_per_mv.to_le_bytes());
    bytes.extend(CALIBRATION.zero.to_le_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &bytes)?;
    let output = cargo("firmware")
        .args(["run", "--quiet", "--release", "--bin", "strips", "--"])
        .arg(file.path())
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let log = String::from_utf8(output.stdout)?;
    let (mut strips, mut since, mut costs) = (Vec::new(), Vec::new(), json!({}));
    for line in log.lines() {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let fields: serde_json::Map<String, Value> = words
            .filter_map(|word| word.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let number = |name: &str| {
            fields[name]
                .as_str()
                .and_then(|text| text.parse::<u64>().ok())
        };
        match kind {
            "strip" => strips.push(Value::Object(fields)),
            "fibrillation" => since.extend(number("since_ms")),
            "cost" => {
                let part = fields["part"].as_str().unwrap_or_default();
                let part = part.rsplit('-').next().unwrap_or(part);
                costs[part] = json!({"largest": number("largest")});
            }
            _ => {}
        }
    }
    Ok((strips, since, costs))
}

fn assert_same(name: &str, counts: &[i16]) -> Result<usize> {
    let (strips, since, costs) = on_the_device(counts)?;
    let (expected, fibrillating) = on_this_machine(counts)?;
    assert_eq!(strips, expected, "{name}");
    // An episode begins with a beat in fibrillation, the first with the first.
    assert_eq!(since.first(), fibrillating.first(), "{name}");
    assert!(since.iter().all(|at| fibrillating.contains(at)), "{name}");
    assert_budget(name, &costs);
    println!(
        "{name}: {} half minutes, {} episodes; {costs}",
        strips.len(),
        since.len()
    );
    Ok(since.len())
}

#[test]
fn a_fast_heart_has_the_same_bits_and_stays_within_the_budget() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    assert_same("a fast heart", &fast())?;
    Ok(())
}

/// Records of patients in fibrillation at times, and one who is not.
#[test]
fn half_minutes_of_real_records_have_the_same_bits_on_the_device() -> Result {
    if skipped_without_qemu() {
        return Ok(());
    }
    let Some(data) = std::env::var_os("HEARTLENS_DATA").map(PathBuf::from) else {
        println!("skipped: HEARTLENS_DATA names no folder with mitdb");
        return Ok(());
    };
    let mut episodes = 0;
    for (name, from_s) in [("mitdb/203", 0), ("mitdb/201", 300), ("svdb/800", 600)] {
        let counts = minutes_of(&data.join(name), from_s, 150)?;
        episodes += assert_same(name, &counts)?;
    }
    assert!(episodes > 0, "no record was told to be in fibrillation");
    Ok(())
}
