//! `evaluate --false-alarms`: recordings are chosen by their diagnosis, and S and V in them are counted.

use super::{heartlens, refused, stderr};
use heartlens::synth::{Options, Recording};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

/// A minute of a made record of these classes, whose header says this of it.
fn record(folder: &Path, name: &str, classes: &str, diagnosis: &str) {
    let options = Options {
        minutes: 1.0,
        classes: classes.parse().unwrap(),
        ..Options::default()
    };
    let stem = folder.join(name);
    Recording::generate(&options).unwrap().write(&stem).unwrap();
    let mut header = fs::OpenOptions::new()
        .append(true)
        .open(stem.with_extension("hea"))
        .unwrap();
    header.write_all(diagnosis.as_bytes()).unwrap();
}

#[test]
fn ectopic_beats_where_there_are_none_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    record(path, "still", "N", "# Dx: 426783006\n");
    record(path, "wrong", "N,V", "#Dx: Normal\n");
    record(path, "block", "N", "#Dx: RBBB,TAb\n");
    record(path, "said", "N,V", "#Dx: PVC\n");
    record(path, "table", "N", "");
    record(path, "unsaid", "N", "");
    fs::write(path.join("REFERENCE.csv"), "table,N\nunsaid,O\n").unwrap();
    let json = path.join("figures.json");
    let args = [
        "evaluate".as_ref(),
        "--false-alarms".as_ref(),
        path.as_os_str(),
    ];
    let output = heartlens(
        args.into_iter()
            .chain(["--json".as_ref(), json.as_os_str()]),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("2 of 6 records have no such diagnosis."),
        "{text}"
    );
    assert!(text.contains("Most in: wrong ("), "{text}");
    let json: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let normal = &json["false_alarms"]["normal"];
    let count = |group: &Value, key: &str| group[key].as_u64().unwrap();
    assert_eq!(
        (count(normal, "recordings"), count(normal, "with_any")),
        (3, 1)
    );
    let (beats, v) = (count(normal, "beats"), count(normal, "v"));
    assert!(beats > 180 && v >= 2 && count(normal, "s") == 0, "{json}");
    let share = normal["of_a_thousand"].as_f64().unwrap();
    assert!((share - 1000.0 * v as f64 / beats as f64).abs() < 1e-9);
    let block = &json["false_alarms"]["bundle_branch_block"];
    assert_eq!((count(block, "recordings"), count(block, "v")), (1, 0));
    assert_eq!(json["per_record"].as_array().unwrap().len(), 4);
}

#[test]
fn a_record_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let args = [
        "evaluate".as_ref(),
        "--false-alarms".as_ref(),
        missing.as_os_str(),
    ];
    refused(&heartlens(args), &["missing"]);
}

#[test]
fn without_a_diagnosis_there_is_nothing_to_count() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "unsaid", "N", "");
    let args = [
        "evaluate".as_ref(),
        "--false-alarms".as_ref(),
        folder.path().as_os_str(),
    ];
    refused(
        &heartlens(args),
        &["for any of 1 records", "expected `Dx:`", "REFERENCE.csv"],
    );
}
