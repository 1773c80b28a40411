//! Which lead is read, and that it is said why: in words, in JSON and in the report.

use super::{heartlens, stderr};
use heartlens::synth::{Options, Recording};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The demo's two leads as leads of a record of twelve: I is flat, II and V1 are recorded, the rest are half of V1.
fn twelve_leads(folder: &Path) -> PathBuf {
    const NAMES: [&str; 12] = [
        "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
    ];
    let stem = folder.join("two");
    let options = Options {
        minutes: 1.0,
        seed: 3,
        ..Options::default()
    };
    Recording::generate(&options).unwrap().write(&stem).unwrap();
    let two = heartlens::records::Record::open(&stem).unwrap();
    let (second, chest) = (two.read_lead(0).unwrap(), two.read_lead(1).unwrap());
    let mut text = format!(
        "time_s,{}\n",
        NAMES.map(|name| format!("{name} (mV)")).join(",")
    );
    for i in 0..second.len() {
        let cell = |name: &str| match name {
            "I" => 0.0,
            "II" => second[i],
            "V1" => chest[i],
            _ => chest[i] / 2.0,
        };
        let cells = NAMES.map(|name| format!("{:.4}", cell(name)));
        text.push_str(&format!("{:.6},{}\n", i as f64 / 360.0, cells.join(",")));
    }
    let path = folder.join("twelve.csv");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_twelve_lead_record_says_which_lead_was_taken_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let record = twelve_leads(folder.path());
    let report = folder.path().join("report.html");
    let classify = |lead: &str| {
        let json = folder.path().join("beats.json");
        let mut args: Vec<&std::ffi::OsStr> = vec!["classify".as_ref(), record.as_os_str()];
        args.extend([
            "--lead".as_ref(),
            lead.as_ref(),
            "--json".as_ref(),
            json.as_os_str(),
        ]);
        args.extend(["--report".as_ref(), report.as_os_str()]);
        let output = heartlens(args);
        assert!(output.status.success(), "{}", stderr(&output));
        let words = String::from_utf8(output.stdout).unwrap();
        let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        (words, json, fs::read_to_string(&report).unwrap())
    };
    for (lead, taken, reason) in [
        ("best", "II", "the best of 12 leads by signal quality (II"),
        ("v5", "V5", "asked for"),
    ] {
        let (words, json, report) = classify(lead);
        assert_eq!(json["lead"], taken);
        assert_eq!(json["leads"].as_array().unwrap().len(), 1);
        let why = json["lead_reason"].as_str().unwrap();
        assert!(why.starts_with(reason), "{why}");
        assert!(
            words.contains(&format!("\nlead {taken}: {why}\n")),
            "{words}"
        );
        assert!(report.contains(&format!("{taken}: {why}.")), "{lead}");
    }

    let (words, json, report) = classify("all");
    assert_eq!(json["lead"], "all");
    let leads = json["leads"].as_array().unwrap();
    let weight = |lead: &Value| lead["weight"].as_f64().unwrap();
    assert_eq!(leads.len(), 12);
    assert!((leads.iter().map(weight).sum::<f64>() - 1.0).abs() < 1e-6);
    let flat = leads.iter().find(|lead| lead["name"] == "I").unwrap();
    assert_eq!((weight(flat), &flat["quality"]), (0.0, &Value::from(0.0)));
    assert!(
        words.contains("say in the classes: II") && words.contains("I 0 %"),
        "{words}"
    );
    assert!(report.contains("Say in the classes: II"));
    let one = classify("II").1;
    let beats = |json: &Value| json["beats"].as_array().unwrap().len();
    assert_eq!(beats(&json), beats(&one), "no beat is lost in a flat lead");
}
