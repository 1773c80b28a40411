//! `plot`: strips as files, and what is refused.

use super::{examples_work, heartlens, refused, stderr};
use std::fs;

#[test]
fn the_examples_of_plot_work() {
    let folder = examples_work("plot");
    let svg = fs::read_to_string(folder.path().join("strip.svg")).unwrap();
    let page = roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<&str> = page
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    assert!(
        texts[0].starts_with("demo, SYNTHETIC, from 0:01:00"),
        "{texts:?}"
    );
    assert!(texts.contains(&"0:01:09") && texts.iter().any(|text| text.contains("model beat")));
    assert!(
        texts.iter().filter(|text| "NSVFQ".contains(**text)).count() > 6,
        "{texts:?}"
    );
    let png = fs::read(folder.path().join("strip.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
}

#[test]
fn labels_come_from_where_they_are_said_to() {
    let run = |labels: &str| {
        let output = heartlens([
            "plot",
            "models/demo/demo",
            "--from",
            "1:30",
            "--seconds",
            "20",
            "--labels",
            labels,
            "--out",
            "-",
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let record = super::root().join("models/demo/demo.atr");
    let annotations = heartlens::records::annotation::Annotations::read(record).unwrap();
    let within = |sample: u64| (90.0..110.0).contains(&(sample as f64 / 360.0));
    let expected: Vec<String> = heartlens::evaluate::mapping::beats(&annotations)
        .filter(|(beat, _)| within(beat.sample))
        .map(|(_, class)| class.name().to_owned())
        .collect();
    assert!(expected.len() > 15 && expected.iter().any(|class| class != "N"));
    let letters = |svg: &str| -> Vec<String> {
        let page = roxmltree::Document::parse(svg).unwrap();
        page.descendants()
            .filter(|node| {
                node.attribute("class")
                    .is_some_and(|c| c.starts_with("beat "))
            })
            .filter_map(|node| node.text().map(str::to_owned))
            .collect()
    };
    assert_eq!(letters(&run("atr")), expected);
    assert!(letters(&run("none")).is_empty());
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let plot = |flags: &[&str]| heartlens([&["plot", "models/demo/demo"][..], flags].concat());
    refused(
        &plot(&["--from", "300", "--out", "-"]),
        &["--from 300 s", "300.0 s"],
    );
    refused(&plot(&["--lead", "V9", "--out", "-"]), &["V9"]);
    refused(&plot(&["--labels", "xyz", "--out", "-"]), &["demo.xyz"]);
    refused(
        &plot(&["--out", "no/such/folder/strip.svg"]),
        &["no/such/folder/strip.svg"],
    );
    for flags in [
        &["--out", "strip.jpg"][..],
        &["--out", "-", "--seconds", "0"],
        &["--out", "-", "--from", "soon"],
        &[],
    ] {
        assert_eq!(plot(flags).status.code(), Some(2), "{flags:?}");
    }
}

/// Late in a recording, the strip is labelled as the whole recording is, without classifying all of it.
#[test]
fn a_strip_late_in_a_recording_has_the_labels_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("long");
    let record = record.to_str().unwrap();
    let synth = heartlens([
        "synth",
        "--minutes",
        "150",
        "--noise",
        "18",
        "--out",
        record,
    ]);
    assert!(synth.status.success(), "{}", stderr(&synth));
    let whole = heartlens(["classify", record, "--json", "-"]);
    let whole: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    let (from, seconds) = (8700, 60);
    let within = |beat: &&serde_json::Value| {
        let time_s = beat["time_s"].as_f64().unwrap();
        (f64::from(from)..f64::from(from + seconds)).contains(&time_s)
    };
    let beats = whole["beats"].as_array().unwrap();
    let expected: Vec<&str> = beats
        .iter()
        .filter(within)
        .map(|beat| beat["class"].as_str().unwrap())
        .collect();
    let flags = ["--from", "2:25:00", "--seconds", "60", "--out", "-"];
    let plot = heartlens([&["plot", record][..], &flags].concat());
    let svg = String::from_utf8(plot.stdout).unwrap();
    let page = roxmltree::Document::parse(&svg).unwrap();
    let found: Vec<&str> = page
        .descendants()
        .filter(|node| {
            let class = node.attribute("class");
            class.is_some_and(|class| class.starts_with("beat "))
        })
        .filter_map(|node| node.text())
        .collect();
    assert!(expected.len() > 50 && expected.iter().any(|class| *class != "N"));
    assert_eq!(found, expected);
}
