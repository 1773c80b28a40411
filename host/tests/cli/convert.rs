//! `heartlens convert`: records and their beats in other formats, and what it refuses.

use super::{demo, heartlens, refused, stderr};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

fn convert(from: &Path, to: &Path, more: &[&str]) -> Output {
    let paths = ["convert", from.to_str().unwrap(), to.to_str().unwrap()];
    heartlens(paths.iter().chain(more))
}

/// Class and sample of every beat, and the lead's name.
fn beats(record: &Path) -> Vec<(u64, String)> {
    let output = heartlens(["classify", record.to_str().unwrap(), "--json", "-"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let beats = json["beats"].as_array().unwrap().iter();
    beats
        .map(|beat| {
            (
                beat["sample"].as_u64().unwrap(),
                beat["class"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn a_record_keeps_its_beats_in_every_format() {
    let (folder, demo) = demo::copy();
    let expected = beats(&demo);
    for name in ["copy", "copy.edf", "copy.bdf", "copy.csv"] {
        let to = folder.path().join(name);
        let output = convert(&demo, &to, &[]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(beats(&to), expected, "{name}");
    }
    // Samples and annotations are the same bytes: counts, gains, and what is annotated.
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("copy.atr"), read("demo.atr"));
    let annotated = |name: &str| {
        let output = heartlens([
            "inspect",
            folder.path().join(name).to_str().unwrap(),
            "--json",
            "-",
        ]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            json["annotations"]["classes"].clone(),
            json["leads"].clone(),
            json["synthetic"].clone(),
        )
    };
    assert_eq!(annotated("copy"), annotated("demo"));
    let (classes, ..) = annotated("demo");
    let table = String::from_utf8(read("copy.annotations.csv")).unwrap();
    let count = |code: &str| {
        table
            .lines()
            .filter(|line| line.split(',').nth(2) == Some(code))
            .count()
    };
    assert_eq!(classes["V"], count("V"));

    fs::remove_file(folder.path().join("copy.atr")).unwrap();
    assert_eq!(annotated("copy.edf").0, classes, "inside the EDF+ file");
    let output = convert(&demo, &folder.path().join("list.rr"), &[]);
    assert!(output.status.success());
    let list = String::from_utf8(read("list.rr")).unwrap();
    let classes = classes.as_object().unwrap().values();
    let beats: u64 = classes.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(list.lines().count() as u64 + 1, beats);
    assert!(
        list.lines()
            .all(|ms| (200.0..3000.0).contains(&ms.parse::<f64>().unwrap()))
    );
}

#[test]
fn annotations_alone() {
    let (folder, demo) = demo::copy();
    for name in ["a.csv", "a.edf", "a.xyz", "b"] {
        let output = convert(&demo, &folder.path().join(name), &["--only", "annotations"]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
    }
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.xyz"), read("demo.atr"));
    assert_eq!(read("b.atr"), read("demo.atr"));
    assert!(read("a.csv").starts_with(b"sample,time_s,code,beat,"));
}

/// Of a recording without a signal, the beats are converted: intervals to annotations and back, and annotations with all they say.
#[test]
fn a_list_of_beats_is_converted() {
    let (folder, demo) = demo::copy();
    let at = |name: &str| folder.path().join(name);
    let read = |name: &str| fs::read(at(name)).unwrap();
    let done = |from: &Path, to: &str, more: &[&str]| {
        let output = convert(from, &at(to), more);
        assert!(output.status.success(), "{to}: {}", stderr(&output));
    };
    fs::write(at("rr.csv"), "RR (ms)\n800\n812\n790\n805\n").unwrap();
    done(&at("rr.csv"), "beats.atr", &["--only", "annotations"]);
    fs::write(at("beats.hea"), "beats 0 1000\n").unwrap();
    done(&at("beats"), "back.rr", &[]);
    let back = String::from_utf8(read("back.rr")).unwrap();
    let intervals: Vec<f64> = back.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(intervals, [800.0, 812.0, 790.0, 805.0], "{back}");
    assert_eq!(beats(&at("back.rr")).len(), 5);

    // Annotations without their signal keep notes and rhythms, too.
    fs::write(at("only.hea"), "only 0 360\n").unwrap();
    fs::copy(at("demo.atr"), at("only.atr")).unwrap();
    done(&at("only"), "copy.atr", &["--only", "annotations"]);
    assert_eq!(read("copy.atr"), read("demo.atr"));
    done(&at("only"), "only.csv", &["--only", "annotations"]);
    done(&demo, "demo.csv", &["--only", "annotations"]);
    assert_eq!(read("only.csv"), read("demo.csv"));
    done(&at("only"), "only.edf", &["--only", "annotations"]);
    for name in ["new", "new.edf", "new.csv"] {
        refused(
            &convert(&at("only"), &at(name), &[]),
            &["found beats without a signal", "--only annotations"],
        );
        assert!(!at(name).exists() && !at("new.hea").exists());
    }
}

#[test]
fn a_recording_is_never_written_over() {
    let (folder, demo) = demo::copy();
    let at = |name: &str| folder.path().join(name);
    let before = ["demo.hea", "demo.dat", "demo.atr"].map(|name| fs::read(at(name)).unwrap());
    for name in ["demo", "demo.hea"] {
        refused(
            &convert(&demo, &at(name), &[]),
            &["demo.hea: convert would overwrite a file that is read here"],
        );
    }
    refused(
        &convert(&demo, &at("demo.atr"), &["--only", "annotations"]),
        &["would overwrite"],
    );
    assert!(convert(&demo, &at("other.edf"), &[]).status.success());
    let edf = fs::read(at("other.edf")).unwrap();
    refused(
        &convert(&demo, &at("other.edf"), &[]),
        &["other.edf: convert would overwrite a recording"],
    );
    fs::rename(at("other.edf"), at("other.csv")).unwrap();
    refused(
        &convert(&demo, &at("other.csv"), &[]),
        &["other.csv: convert would overwrite a recording"],
    );
    assert_eq!(fs::read(at("other.csv")).unwrap(), edf);
    assert_eq!(
        ["demo.hea", "demo.dat", "demo.atr"].map(|name| fs::read(at(name)).unwrap()),
        before
    );

    refused(
        &convert(&demo, &at("out.xyz"), &[]),
        &["found the extension .xyz, expected NAME"],
    );
    refused(&convert(&demo, &at("no/folder.edf"), &[]), &["folder.edf"]);
    fs::remove_file(at("demo.atr")).unwrap();
    refused(
        &convert(&demo, &at("list.rr"), &[]),
        &["no annotations by `atr`", "--annotator"],
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
