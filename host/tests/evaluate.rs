//! `heartlens evaluate` as a user runs it, on a record whose every beat is known and with a network whose every answer
//! is known: it calls a beat S when its RR interval is much shorter than the ten before it.

#![cfg(all(feature = "cli", feature = "tract"))]
#![allow(clippy::unwrap_used)]

use heartlens::model::{self, OUTPUT};
use heartlens::records::annotation::{Annotation, Annotations, Code};
use heartlens_core::spec;
use heartlens_core::views::View;
use prost::Message;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;
use tract_onnx::pb;

const RATE: u64 = 128;
const MINUTES: u64 = 12;

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: pb::tensor_proto::DataType::Float.into(),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn value(name: &str, shape: &[usize]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dims = std::iter::once(1).chain(shape.iter().copied());
    let dim = dims
        .map(|n| Dimension {
            value: Some(Value::DimValue(n as i64)),
            ..Default::default()
        })
        .collect();
    let tensor = pb::type_proto::Tensor {
        elem_type: pb::tensor_proto::DataType::Float.into(),
        shape: Some(pb::TensorShapeProto { dim }),
    };
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto {
            value: Some(pb::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Writes a network with the real inputs: logits = metadata W + b. The first number of the metadata is twice the
/// logarithm of the RR interval over the median of those before; below -0.3 the answer is S.
fn write_model(folder: &Path) {
    let classes = spec::LABELS.len();
    let mut weights = vec![0.0; spec::METADATA_LEN * classes];
    weights[1] = -1.0;
    let proto = pb::ModelProto {
        ir_version: 8,
        opset_import: vec![pb::OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(pb::GraphProto {
            name: "early".to_owned(),
            node: vec![pb::NodeProto {
                op_type: "Gemm".to_owned(),
                input: ["metadata", "w", "b"].map(str::to_owned).to_vec(),
                output: vec![OUTPUT.to_owned()],
                ..Default::default()
            }],
            initializer: vec![
                tensor("w", &[spec::METADATA_LEN as i64, classes as i64], &weights),
                tensor("b", &[classes as i64], &[0.0, -0.3, -9.0, -9.0]),
            ],
            input: View::ALL
                .iter()
                .map(|view| value(view.name(), view.shape()))
                .collect(),
            output: vec![value(OUTPUT, &[classes])],
            ..Default::default()
        }),
        metadata_props: [
            (model::NAME_KEY, "early".to_owned()),
            (model::LABELS_KEY, model::labels()),
            (model::SAMPLE_RATE_KEY, spec::SAMPLE_RATE_HZ.to_string()),
            (model::SPEC_HASH_KEY, model::spec_hash()),
        ]
        .map(|(key, value)| pb::StringStringEntryProto {
            key: key.to_owned(),
            value,
        })
        .to_vec(),
        ..Default::default()
    };
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(model::ONNX_FILE), proto.encode_to_vec()).unwrap();
}

/// Places of the beats and whether each is premature: one a second, every tenth 350 ms early, with a pause after it.
fn beats() -> Vec<(u64, bool)> {
    (1..MINUTES * 60)
        .map(|i| {
            let premature = i % 10 == 5;
            let at = i * RATE;
            (if premature { at - 45 } else { at }, premature)
        })
        .collect()
}

fn write_signal(path: &Path, counts: &[i16]) {
    let name = path.file_name().unwrap().to_string_lossy();
    let header = format!(
        "{name} 1 {RATE} {}\n{name}.dat 16 200 16 0 {} 0 0 ECG\n",
        counts.len(),
        counts[0]
    );
    std::fs::write(path.with_extension("hea"), header).unwrap();
    let bytes: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
    std::fs::write(path.with_extension("dat"), bytes).unwrap();
}

/// Pseudo-random numbers, -1 to 1.
fn random() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Writes a record with a QRS complex and a T wave for every beat, faint noise, and its annotations.
fn write_record(path: &Path) {
    let mut mv = vec![0.0; (RATE * 60 * MINUTES) as usize];
    let mut bump = |centre: f64, width_s: f64, height: f64| {
        let width = width_s * RATE as f64;
        for i in (centre - 4.0 * width) as usize..(centre + 4.0 * width) as usize {
            if let Some(sample) = mv.get_mut(i) {
                *sample += height * (-0.5 * ((i as f64 - centre) / width).powi(2)).exp();
            }
        }
    };
    for (at, _) in beats() {
        bump(at as f64 - 4.0, 0.010, -0.15);
        bump(at as f64, 0.012, 1.2);
        bump(at as f64 + 38.0, 0.040, 0.2);
    }
    let mut random = random();
    let counts: Vec<i16> = mv
        .iter()
        .map(|mv| (200.0 * (mv + 0.01 * random())) as i16)
        .collect();
    write_signal(path, &counts);
    let list = beats()
        .into_iter()
        .map(|(at, premature)| {
            Annotation::new(
                at,
                if premature {
                    Code::ATRIAL_PREMATURE
                } else {
                    Code::NORMAL
                },
            )
        })
        .collect();
    Annotations { list }
        .write(path.with_extension("atr"))
        .unwrap();
}

/// A folder `data` with the record `known`, and a folder `model`.
fn scene() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    write_record(&folder.path().join("data/known"));
    write_model(&folder.path().join("model"));
    folder
}

fn evaluate(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .current_dir(folder)
        .args(["evaluate", "--model", "model", "--runtime", "tract"])
        .args(arguments)
        .output()
        .unwrap()
}

fn figures(folder: &Path, arguments: &[&str]) -> Value {
    let output = evaluate(folder, &[arguments, &["--json", "-"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("not a medical device"), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn reference_peaks_judge_every_annotated_beat() {
    let folder = scene();
    let json = figures(folder.path(), &["data", "--peaks", "reference"]);
    let premature = beats().iter().filter(|(_, premature)| *premature).count();
    let normal = beats().len() - premature;
    assert_eq!(json["beats"], beats().len());
    assert_eq!(
        json["confusion"],
        json!([
            [normal, 0, 0, 0],
            [0, premature, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 0]
        ])
    );
    assert_eq!(json["qrs"]["tp"], 0);
    assert_eq!(json["qrs"]["se"], Value::Null);
    assert_eq!(json["kappa"], 1.0);
    assert_eq!(json["jk"], Value::Null, "there is no V in the record");
    assert_eq!(json["per_record"][0]["record"], "data/known");
    assert_eq!(
        (&json["model"], &json["runtime"]),
        (&json!("early"), &json!("tract"))
    );
}

#[test]
fn detected_peaks_are_compared_from_five_minutes_on() {
    let folder = scene();
    let json = figures(folder.path(), &["data/known.hea"]);
    let judged: Vec<bool> = beats()
        .into_iter()
        .filter(|(at, _)| *at >= 300 * RATE)
        .map(|(_, premature)| premature)
        .collect();
    let premature = judged.iter().filter(|p| **p).count();
    assert_eq!(json["peaks"], "detected");
    assert_eq!(json["from_s"], 300.0);
    assert_eq!(
        json["qrs"],
        json!({"tp": judged.len(), "fn": 0, "fp": 0, "se": 1.0, "ppv": 1.0, "f1": 1.0})
    );
    assert_eq!(json["confusion"][1][1], premature);
    assert_eq!(json["ec57"]["sveb"]["se"], 1.0);
    let all = figures(folder.path(), &["data/known.hea", "--from", "0"]);
    assert!(all["beats"].as_u64().unwrap() > json["beats"].as_u64().unwrap() + 250);
}

#[test]
fn noise_makes_detection_worse() {
    let folder = scene();
    let mut random = random();
    let (mut slow, mut noise) = (0.0, Vec::new());
    for _ in 0..RATE * 60 * MINUTES {
        slow += 0.3 * (random() - slow);
        noise.push((400.0 * slow) as i16);
    }
    write_signal(&folder.path().join("em"), &noise);
    let clean = figures(folder.path(), &["data"]);
    let noisy = |snr| figures(folder.path(), &["data", "--noise", "em", "--snr", snr]);
    let (faint, loud) = (noisy("40"), noisy("-10"));
    assert_eq!(clean["noise"], Value::Null);
    assert_eq!(loud["noise"], json!({"record": "em", "snr_db": -10.0}));
    let f1 = |json: &Value| json["qrs"]["f1"].as_f64().unwrap();
    assert!(
        f1(&clean) == 1.0 && f1(&faint) > 0.99,
        "{} {}",
        f1(&clean),
        f1(&faint)
    );
    assert!(f1(&loud) < 0.95, "{}", f1(&loud));
}

#[test]
fn tables_go_to_standard_output_and_json_to_its_file() {
    let folder = scene();
    let output = evaluate(
        folder.path(),
        &["data", "--json", "figures.json", "--resamples", "10"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "data/known",
        "Gross",
        "Average",
        "kappa",
        "1 patients, 10 resamples",
        "not a medical device",
    ] {
        assert!(text.contains(expected), "{expected} is missing in:\n{text}");
    }
    let json: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("figures.json")).unwrap())
            .unwrap();
    assert_eq!(json["intervals"]["resamples"], 10);
}

#[test]
fn what_is_at_fault_is_named_in_one_line() {
    let folder = scene();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::create_dir(folder.path().join("bare")).unwrap();
    std::fs::write(folder.path().join("bare/x.hea"), "x 1 250 100").unwrap();
    std::fs::write(folder.path().join("data/known.bad"), "not annotations").unwrap();
    for (arguments, code, named) in [
        (&["nowhere"][..], 1, "nowhere"),
        (&["empty"], 1, "empty: no record in this folder"),
        (&["bare"], 1, "bare: no record with a .atr"),
        (&["data/known", "--annotator", "bad"], 1, "known.bad"),
        (&["data/known", "--annotator", "gone"], 1, "known.gone"),
        (&["data", "data/known"], 1, "data/known is given twice"),
        (&["data", "--lead", "V9"], 1, "V9"),
        (&["data", "--noise", "gone", "--snr", "6"], 1, "gone"),
        (&["data", "--snr", "6"], 2, "--noise"),
        (&["data", "--from", "-1"], 2, "--from"),
        (&["data", "--resamples", "0"], 2, "--resamples"),
    ] {
        let output = evaluate(
            folder.path(),
            &[arguments, &["--json", "out.json"]].concat(),
        );
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
        if code == 1 {
            assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
        }
        assert!(!folder.path().join("out.json").exists(), "{arguments:?}");
    }
}

/// The record's annotations, changed.
fn annotate(folder: &Path, change: impl FnOnce(&mut Vec<Annotation>)) {
    let path = folder.join("data/known.atr");
    let mut annotations = Annotations::read(&path).unwrap();
    change(&mut annotations.list);
    annotations.write(path).unwrap();
}

/// As at the end of a record of the MIT-BIH Supraventricular Arrhythmia Database.
#[test]
fn a_beat_at_the_very_end_is_left_out_with_a_warning() {
    let folder = scene();
    let end = MINUTES * 60 * RATE;
    annotate(folder.path(), |list| {
        list.push(Annotation::new(end, Code::NORMAL));
    });
    let json = figures(folder.path(), &["data", "--peaks", "reference"]);
    assert_eq!(json["beats"], beats().len());
    let output = evaluate(folder.path(), &["data", "--peaks", "reference"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        words.contains("1 annotated beat(s) at or beyond the record's end"),
        "{words}"
    );
    // Annotations of another record are refused.
    annotate(folder.path(), |list| {
        list.extend((1..100).map(|n| Annotation::new(end + 100 * n, Code::NORMAL)));
    });
    let output = evaluate(folder.path(), &["data", "--peaks", "reference"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("do annotations and record belong together?"),
        "{words}"
    );
}

#[test]
fn a_record_that_ends_before_the_comparison_begins_is_said_so() {
    let folder = scene();
    let output = evaluate(folder.path(), &["data", "--from", "720"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    let expected = "data/known: ends at 720.0 s, before the comparison begins at 720 s; --from 0";
    assert!(words.contains(expected), "{words}");
}

#[test]
fn one_bad_record_of_a_folder_does_not_stop_the_others() {
    let folder = scene();
    let alone = figures(folder.path(), &["data"]);
    std::fs::write(folder.path().join("data/bad.hea"), "nonsense").unwrap();
    std::fs::write(folder.path().join("data/bad.atr"), "").unwrap();
    let output = evaluate(folder.path(), &["data", "--json", "out.json"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("bad.hea: line 1: found no number of leads"),
        "{words}"
    );
    assert!(
        words.contains("1 record(s) could not be evaluated: data/bad.hea; the figures"),
        "{words}"
    );
    let json = std::fs::read(folder.path().join("out.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["confusion"], alone["confusion"]);
    assert_eq!(json["qrs"], alone["qrs"]);
}

/// A record without signal of 10 minutes at 100 Hz with reference and test annotations, by hand: atrial fibrillation from
/// 6:40 to 8:20, found from 7:30 on, three V in a row, of which two were found, and one V more.
fn write_pair(folder: &Path, name: &str) {
    let path = folder.join(name);
    std::fs::write(path.with_extension("hea"), format!("{name} 0 100 60000\n")).unwrap();
    let beats = |ectopic: &[u64]| -> Vec<Annotation> {
        let code = |i: u64| match ectopic.contains(&i) {
            true => Code::VENTRICULAR_PREMATURE,
            false => Code::NORMAL,
        };
        let beat = |i: u64| Annotation::new(100 * i + 50, code(i));
        (0..600).map(beat).collect()
    };
    let file = |extension: &str, rhythms: &[(u64, &str)], ectopic: &[u64]| {
        let mut list = beats(ectopic);
        let change = |(second, name): &(u64, &str)| Annotation::rhythm_change(100 * second, name);
        list.extend(rhythms.iter().map(change));
        list.sort_by_key(|annotation| annotation.sample);
        Annotations { list }
            .write(path.with_extension(extension))
            .unwrap();
    };
    file(
        "atr",
        &[(1, "(N"), (400, "(AFIB"), (500, "(N")],
        &[350, 351, 352],
    );
    file("tst", &[(450, "(AFIB"), (500, "(N")], &[350, 351, 360]);
}

fn compare(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .current_dir(folder)
        .arg("evaluate")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn two_annotation_files_are_compared_without_any_signal() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pairs")).unwrap();
    for name in ["a", "b"] {
        write_pair(&folder.path().join("pairs"), name);
    }
    let arguments = ["pairs", "--test", "tst", "--json", "-", "--without", "b"];
    let output = compare(folder.path(), &arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["model"], Value::Null);
    assert_eq!(
        (&json["test"], &json["peaks"]),
        (&json!("tst"), &json!("annotated"))
    );
    assert_eq!(
        json["qrs"],
        json!({"tp": 600, "fn": 0, "fp": 0, "se": 1.0, "ppv": 1.0, "f1": 1.0})
    );
    let af = json!({
        "records": 2, "tps": 2, "fn": 0, "tpp": 2, "fp": 0, "episode_se": 1.0, "episode_ppv": 1.0,
        "duration_se": 0.5, "duration_ppv": 1.0, "reference_s": 200.0, "test_s": 100.0, "overlap_s": 100.0
    });
    assert_eq!(json["episodes"]["af"], af);
    // The run of three has two in the test, and the couplet is within it; a single beat is no run.
    let found = |tps, missed, tpp, fp, se: Option<f64>, ppv: Option<f64>| json!({"tps": tps, "fn": missed, "tpp": tpp, "fp": fp, "se": se, "ppv": ppv});
    assert_eq!(
        json["episodes"]["v_runs"],
        json!({
            "couplets": found(0, 0, 2, 0, None, Some(1.0)),
            "short_runs": found(0, 2, 0, 0, Some(0.0), None),
            "long_runs": found(0, 0, 0, 0, None, None),
        })
    );
    // In atrial fibrillation, the beats are one long run of S, of which the test has a part.
    assert_eq!(
        json["episodes"]["s_runs"]["long_runs"],
        found(2, 0, 2, 0, Some(1.0), Some(1.0))
    );
    let alone = &json["without"]["b"];
    assert_eq!(alone["records"], 1);
    assert_eq!(alone["episodes"], json["per_record"][0]["episodes"]);
    assert_eq!(alone["per_record"][0]["record"], "pairs/a");
    assert!(stderr.contains("\nWithout "), "{stderr}");
}

#[test]
fn what_is_wrong_with_two_annotation_files_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "a");
    std::fs::write(folder.path().join("b.hea"), "b 0 100 20000\n").unwrap();
    std::fs::copy(folder.path().join("a.atr"), folder.path().join("b.atr")).unwrap();
    std::fs::copy(folder.path().join("a.tst"), folder.path().join("b.tst")).unwrap();
    for (arguments, code, named) in [
        (&["a", "--test", "gone"][..], 1, "a.gone"),
        (&["b", "--test", "tst"], 1, "b: ends at 200.0 s"),
        (
            &["a", "--test", "tst", "--without", "x"],
            1,
            "--without x: found no record",
        ),
        (
            &["a", "--test", "tst", "--json", "a.tst"],
            1,
            "a.tst: --json would overwrite",
        ),
        (
            &["a", "--test", "tst", "--peaks", "reference"],
            2,
            "--peaks",
        ),
    ] {
        let output = compare(folder.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
    }
    let both = compare(folder.path(), &["a", "b", "--test", "tst"]);
    let words = String::from_utf8_lossy(&both.stderr).into_owned();
    assert_eq!(both.status.code(), Some(1), "{words}");
    assert!(
        words.contains("1 record(s) could not be evaluated: b; the figures"),
        "{words}"
    );
}

#[test]
fn a_record_is_left_out_by_name() {
    let folder = scene();
    write_record(&folder.path().join("data/other"));
    let alone = figures(folder.path(), &["data/known"]);
    let both = figures(
        folder.path(),
        &["data", "--without", "other", "--without", "data/known"],
    );
    for key in [
        "qrs",
        "confusion",
        "ec57",
        "episodes",
        "intervals",
        "per_record",
    ] {
        assert_eq!(both["without"]["other"][key], alone[key], "{key}");
    }
    assert_eq!(
        both["without"]["data/known"]["per_record"][0]["record"],
        "data/other"
    );
    // The reference names no rhythm: nothing is said of atrial fibrillation.
    assert_eq!(both["episodes"]["af"]["records"], 0);
    let output = evaluate(folder.path(), &["data", "--without", "232"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("--without 232: found no record of this name, expected one of data/known"),
        "{words}"
    );
}
