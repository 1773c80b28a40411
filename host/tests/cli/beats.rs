//! `classify` on lists of beats: what needs no signal is told, and what needs one is said to be missing.

use super::{heartlens, stderr};
use heartlens::records::annotation::{Annotation, Annotations, Code};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

fn classify(folder: &Path, name: &str, flags: &[&str]) -> Output {
    let flags = flags
        .iter()
        .map(|flag| flag.replace('@', folder.to_str().unwrap()));
    let path = folder.join(name).to_str().unwrap().to_owned();
    heartlens(["classify".to_owned(), path].into_iter().chain(flags))
}

fn json(folder: &Path, name: &str, flags: &[&str]) -> Value {
    let output = classify(folder, name, &[flags, &["--json", "-"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// 300 beats of a regular heart, then 300 of an irregular one, in milliseconds; the 100th interval is a pause.
fn intervals() -> Vec<u64> {
    let mut state = 1_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    let mut rr: Vec<u64> = (0..300).map(|i| 800 + 10 * (i % 4)).collect();
    rr.extend((0..300).map(|_| 400 + random() % 700));
    rr[99] = 2500;
    rr
}

/// The intervals as annotations of a record without leads; three beats in a row are V.
fn write_annotations(folder: &Path) {
    fs::write(folder.join("r.hea"), "r 0 1000\n# Age: 64 Sex: F\n").unwrap();
    let mut sample = 0;
    let later = intervals().into_iter().map(|rr| {
        sample += rr;
        sample
    });
    let code = |i: usize| match i {
        200..203 => Code::VENTRICULAR_PREMATURE,
        _ => Code::NORMAL,
    };
    let samples = std::iter::once(0).chain(later);
    let list = samples
        .enumerate()
        .map(|(i, sample)| Annotation::new(sample, code(i)));
    let annotations = Annotations {
        list: list.collect(),
    };
    annotations.write(folder.join("r.ecg")).unwrap();
}

#[test]
fn annotations_without_signal_have_rhythm_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_annotations(folder);
    let json = json(folder, "r", &["--annotator", "ecg"]);
    assert_eq!(
        (&json["classes"], &json["peaks"]),
        (&"annotation".into(), &"annotation".into())
    );
    assert_eq!(json["summary"]["counts"]["V"], 3);
    assert_eq!(json["beats"].as_array().unwrap().len(), 601);
    let beat = &json["beats"][1];
    assert_eq!(
        (&beat["time_s"], &beat["rr_ms"]),
        (&0.8.into(), &800.0.into())
    );
    assert_eq!(
        (&beat["scores"]["N"], &beat["quality"]),
        (&Value::Null, &Value::Null)
    );
    let kinds = |kind: &str| -> Vec<&Value> {
        let episodes = json["episodes"].as_array().unwrap().iter();
        episodes.filter(|episode| episode["kind"] == kind).collect()
    };
    assert_eq!((kinds("pause").len(), kinds("V run").len()), (1, 1));
    let [af] = kinds("AF")[..] else {
        panic!("{}", json["episodes"]);
    };
    // The score is smoothed: it is told some hundred beats after the 300th.
    let from_s = af["from_s"].as_f64().unwrap();
    let at_300 = json["beats"][300]["time_s"].as_f64().unwrap();
    assert!(
        from_s > at_300 && from_s < at_300 + 120.0,
        "{from_s} {at_300}"
    );
    let to_s = af["to_s"].as_f64().unwrap();
    assert!(to_s > from_s + 100.0 && to_s <= json["duration_s"].as_f64().unwrap());
    let left_out = &json["hrv"]["left_out"];
    assert_eq!(left_out["ectopic"], 4);
    assert!(left_out["fibrillation"].as_u64().unwrap() > 150);
    assert!(json["hrv"]["sdnn_ms"].is_f64());
    let warnings = json["warnings"].as_array().unwrap();
    assert_eq!(
        warnings[0],
        "there is no signal, only a list of beats: their classes are those of the list"
    );
}

/// A FIT activity file with an `hrv` message for each interval in milliseconds, and a checksum that is not its own.
fn fit(intervals: &[u64]) -> Vec<u8> {
    // Local type 0 is the message 78, with the field 0 of a uint16.
    let mut data = b"\x40\0\0\x4e\0\x01\0\x02\x84".to_vec();
    for ms in intervals {
        data.push(0);
        data.extend(u16::try_from(*ms).unwrap().to_le_bytes());
    }
    let mut file = b"\x0c\x10\0\0".to_vec();
    file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    [&file[..], b".FIT", &data, &[0; 2]].concat()
}

#[test]
fn intervals_alone_have_rhythm_and_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_annotations(folder);
    let lines = intervals()
        .iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(folder.join("bare.txt"), &lines).unwrap();
    fs::write(
        folder.join("named.csv"),
        format!("RR interval (ms)\n{lines}\n"),
    )
    .unwrap();
    let named = json(folder, "named.csv", &[]);
    // Told by its content.
    fs::write(folder.join("run.bin"), fit(&intervals())).unwrap();
    let watch = json(folder, "run.bin", &[]);
    for key in ["episodes", "summary", "classes"] {
        assert_eq!(watch[key], named[key], "{key}");
    }
    // Times that were added up otherwise are rounded otherwise.
    for key in ["intervals", "sdnn_ms", "rmssd_ms", "lf_ms2", "hf_ms2"] {
        let of = |json: &Value| json["hrv"][key].as_f64().unwrap();
        let (ours, expected) = (of(&watch), of(&named));
        assert!(
            (ours - expected).abs() < 1e-9 * expected,
            "{key}: {ours} {expected}"
        );
    }
    let warned = watch["warnings"].to_string();
    assert!(warned.contains("the file's checksum is"), "{warned}");
    assert_eq!(named["classes"], "not judged");
    let summary = &named["summary"];
    assert_eq!(summary["counts"]["Q"], 601);
    for key in [
        "supraventricular_burden",
        "ventricular_burden",
        "unreadable",
    ] {
        assert_eq!(summary[key], Value::Null, "{key}");
    }
    // The rhythm is that of the same beats with labels; without them, no interval is known to be ectopic.
    let labelled = json(folder, "r", &["--annotator", "ecg"]);
    assert_eq!(
        summary["rhythm"]["fibrillation_s"],
        labelled["summary"]["rhythm"]["fibrillation_s"]
    );
    let [with, without] =
        [&labelled, &named].map(|json| json["hrv"]["intervals"].as_u64().unwrap());
    assert_eq!(without, with + 4);
    assert!(
        named["episodes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["kind"] == "pause")
    );
    // A file without names may as well be a signal.
    let bare = classify(folder, "bare.txt", &[]);
    assert_eq!(bare.status.code(), Some(1));
    let told = json(folder, "bare.txt", &["--beats", "intervals"]);
    assert_eq!(told["beats"], named["beats"]);
    let output = classify(folder, "named.csv", &[]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("classes         not judged"), "{text}");
    assert!(text.contains("HRV             SDNN"), "{text}");
    assert!(
        stderr(&output).contains("HRV takes all of them for normal"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn every_file_of_a_list_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_annotations(folder);
    let flags = ["--annotator", "ecg", "--out", "@/out", "--csv", "@/all.csv"];
    let output = classify(folder, "r", &flags);
    assert!(output.status.success(), "{}", stderr(&output));
    let written = Annotations::read(folder.join("out/r.hlb")).unwrap();
    let original = Annotations::read(folder.join("r.ecg")).unwrap();
    assert!(written.beats().eq(original.beats()));
    assert!(written.list.iter().any(|a| a.rhythm() == Some(b"(AFIB")));
    let csv = fs::read_to_string(folder.join("all.csv")).unwrap();
    let row: Vec<&str> = csv.lines().nth(2).unwrap().split(',').collect();
    assert_eq!(
        row,
        [
            "r", "800", "0.8000", "N", "800.0000", "", "", "", "", "", "", ""
        ]
    );
    let html = fs::read_to_string(folder.join("out/r.html")).unwrap();
    assert!(html.contains("Heart rate variability") && html.contains("there is no signal"));
    assert!(!html.contains("Signal quality") && !html.contains("NaN"));
    // Changed beats are done again, unchanged ones are not.
    let again = |flags: &[&str]| stderr(&classify(folder, "r", flags));
    let resume = ["--annotator", "ecg", "--out", "@/out", "--resume"];
    assert!(again(&resume).contains("1 of 1 records were done before"));
    fs::copy(folder.join("r.ecg"), folder.join("r.copy")).unwrap();
    let mut longer = original;
    longer.list.push(Annotation::new(1 << 20, Code::NORMAL));
    longer.write(folder.join("r.ecg")).unwrap();
    assert!(!again(&resume).contains("done before"));
}
