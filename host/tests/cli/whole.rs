//! `--mode whole`: every output says which mode spoke, and shows what it said in the end.

use super::{demo, heartlens, stderr};
use serde_json::Value;
use std::fs;

#[test]
fn every_output_says_which_mode_spoke_and_what_it_said_in_the_end() {
    let (folder, record) = demo::copy();
    let record = record.to_str().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let classify = |flags: &[&str]| {
        let (json, report) = (at("beats.json"), at("report.html"));
        let mut args = vec!["classify", record, "--json", &json, "--report", &report];
        args.extend(flags);
        let output = heartlens(&args);
        assert!(output.status.success(), "{}", stderr(&output));
        let words = String::from_utf8(output.stdout).unwrap();
        let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        (words, json, fs::read_to_string(&report).unwrap())
    };
    let (words, streaming, report) = classify(&[]);
    assert_eq!(streaming["mode"], "streaming");
    assert_eq!(streaming["leads"].as_array().unwrap().len(), 1);
    assert!(!words.contains("whole recording") && report.contains("as it came"));
    let (words, whole, report) = classify(&["--mode", "whole", "--threads", "1"]);
    assert_eq!(whole["mode"], "whole");
    assert_eq!(whole["leads"].as_array().unwrap().len(), 2);
    assert!(
        words.contains("judged with the whole recording at hand"),
        "{words}"
    );
    assert!(report.contains("with the whole recording at hand"));
    let scores = |json: &Value| -> Vec<Value> {
        let beats = json["beats"].as_array().unwrap();
        beats.iter().map(|beat| beat["scores"].clone()).collect()
    };
    assert_ne!(scores(&whole), scores(&streaming));
    assert_eq!(
        scores(&classify(&["--mode", "whole", "--threads", "3"]).1),
        scores(&whole)
    );
    // Counts are of the classes that are told.
    let v = whole["beats"].as_array().unwrap().iter();
    let v = v.filter(|beat| beat["class"] == "V").count();
    assert_eq!(whole["summary"]["counts"]["V"], v);
    assert!(v > 0);
    // Of a record with one lead, that one.
    let one = folder.path().join("one.csv");
    let rows = (0..7500).map(|i| {
        let mv = if i % 200 < 8 { 1.0 } else { 0.0 };
        format!("{:.3},{mv}\n", f64::from(i) / 250.0)
    });
    fs::write(
        &one,
        format!("time_s,II (mV)\n{}", rows.collect::<String>()),
    )
    .unwrap();
    let output = heartlens(["classify", one.to_str().unwrap(), "--mode", "whole"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.contains("lead II: the only ECG lead"), "{words}");
}
