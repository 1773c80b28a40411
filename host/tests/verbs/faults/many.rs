//! Ten thousand records in one folder: time in proportion to them, and little memory.

use super::{command, contents, done, held, root, told};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const SECONDS: usize = 20;
const RATE_HZ: usize = 360;

/// Pieces of the demo record, each from another place on.
fn make(folder: &Path, count: usize) {
    let samples = fs::read(root().join("models/demo/demo.dat")).unwrap();
    let (frame, len) = (3, SECONDS * RATE_HZ);
    for i in 0..count {
        let name = format!("r{i:05}");
        let start = frame * (i * 337 % (samples.len() / frame - len));
        let signal = |lead: &str| format!("{name}.dat 212 200(0)/mV 12 0 0 0 0 {lead}\n");
        let header = format!("{name} 2 {RATE_HZ} {len}\n{}{}", signal("II"), signal("V1"));
        fs::write(
            folder.join(format!("{name}.dat")),
            &samples[start..start + frame * len],
        )
        .unwrap();
        fs::write(folder.join(format!("{name}.hea")), header).unwrap();
    }
}

/// Runs it and tells how long it took.
fn classify(folder: &Path, out: &Path, flags: &[&str]) -> (Duration, String) {
    let start = Instant::now();
    let mut classify = command(["classify", "--formats", "annotations,csv,json"]);
    let output = classify
        .arg(folder)
        .arg("--out")
        .arg(out)
        .args(flags)
        .output()
        .unwrap();
    (start.elapsed(), done(&output))
}

/// The second run finds every file of the first in place, and guards each of them. That must not take time in proportion to the
/// square of the records, nor lose one.
#[test]
fn many_records_in_one_folder() {
    let since = Instant::now();
    let count = told("HEARTLENS_FAULT_RECORDS", 300) as usize;
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    fs::create_dir(&records).unwrap();
    make(&records, count);
    let out = folder.path().join("out");
    let (first, _) = classify(&records, &out, &[]);
    let expected = contents(&out);
    assert_eq!(expected.len(), 3 * count + 1);
    let (again, _) = classify(&records, &out, &[]);
    let mut found = contents(&out);
    found.insert(
        "heartlens.jsonl".to_owned(),
        expected["heartlens.jsonl"].clone(),
    );
    assert!(found == expected);
    let (passed, said) = classify(&records, &out, &["--resume"]);
    assert!(
        said.contains(&format!("{count} of {count} records were done before")),
        "{said}"
    );
    // Into the folder of the records themselves, where there are as many headers.
    let (beside, _) = classify(&records, &records, &[]);
    let (beside_again, _) = classify(&records, &records, &[]);
    for (what, took, least) in [
        ("again", again, first),
        ("beside the records", beside_again, beside),
    ] {
        let most = 3 * least + Duration::from_secs(2);
        assert!(
            took < most,
            "{what}: {took:?}, and {least:?} the first time"
        );
    }
    let seconds = |took: Duration| format!("{:.1} s", took.as_secs_f64());
    held(
        &format!("{count} records in one folder"),
        since,
        &format!(
            "classified in {}, again over the results in {}, passed over in {}, beside the records in {} and {}",
            seconds(first),
            seconds(again),
            seconds(passed),
            seconds(beside),
            seconds(beside_again)
        ),
    );
}
