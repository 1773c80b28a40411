//! The `heartlens` command as people and scripts call it: verbs, JSON keys, exit codes, and no file half written.

#![allow(clippy::unwrap_used)]

mod beats;
mod convert;
#[path = "../common/demo.rs"]
mod demo;
mod false_alarms;
mod leads;
mod many;
mod plot;
mod reports;
#[cfg(feature = "parquet")]
mod tables;
mod whole;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Runs the command in the repository's root.
fn heartlens<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Expects exit code 1, one short message on stderr that has all of `parts`, and nothing on stdout.
fn refused(output: &Output, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn classify_keeps_the_promise_of_its_json() {
    let output = heartlens(["classify", "models/demo/demo", "--json", "-"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["record"], "demo");
    assert_eq!(json["model"], "beat");
    assert_eq!(json["runtime"], "int8");
    assert_eq!(json["synthetic"], true);
    assert_eq!(json["sample_rate_hz"], 360.0);
    assert_eq!(json["duration_s"], 300.0);
    assert_eq!(json["lead"], "II");
    assert_eq!(json["leads"][0]["name"], "II");
    let reason = "the first of 2 leads that is an ECG by its name";
    assert_eq!(json["lead_reason"], reason);
    let beats = json["beats"].as_array().unwrap();
    assert_eq!(json["summary"]["beats"], beats.len());
    let mut last = -1;
    for beat in beats {
        let sample = beat["sample"].as_i64().unwrap();
        assert!(sample > last);
        last = sample;
        assert!((beat["time_s"].as_f64().unwrap() - sample as f64 / 360.0).abs() < 1e-4);
        let scores = beat["scores"].as_object().unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), ["N", "S", "V", "F"]);
        let sum: f64 = scores.values().map(|score| score.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let class = beat["class"].as_str().unwrap();
        if class != "Q" {
            let best = scores
                .iter()
                .max_by(|a, b| a.1.as_f64().unwrap().total_cmp(&b.1.as_f64().unwrap()));
            assert_eq!(best.unwrap().0, class);
        }
        assert!((0.0..=1.0).contains(&beat["quality"].as_f64().unwrap()));
    }
    let total: u64 = json["summary"]["counts"]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(total as usize, beats.len());
    assert!(json["warnings"].is_array());
    // Five minutes of a patient with ectopic beats: enough for LF, too short for the triangular index.
    let hrv = &json["hrv"];
    let left_out = hrv["left_out"].as_object().unwrap().values();
    let left_out: u64 = left_out.map(|count| count.as_u64().unwrap()).sum();
    let intervals = hrv["intervals"].as_u64().unwrap();
    assert_eq!((intervals + left_out) as usize, beats.len() - 1);
    for key in [
        "sdnn_ms",
        "rmssd_ms",
        "pnn50_percent",
        "lf_ms2",
        "hf_ms2",
        "lf_hf",
        "sd1_ms",
        "sd2_ms",
    ] {
        let [whole, hour] = [&hrv[key], &hrv["hours"][0][key]].map(|value| value.as_f64().unwrap());
        assert!(
            whole > 0.0 && (whole / hour - 1.0).abs() < 1e-9,
            "{key}: {whole} {hour}"
        );
    }
    for key in ["sdann_ms", "sdnn_index_ms", "triangular_index", "vlf_ms2"] {
        assert_eq!(hrv[key], Value::Null, "{key}");
    }
    assert!(json["summary"]["judged_s"].as_f64().unwrap() > 200.0);
    assert!(json["summary"]["rhythm"]["judged_s"].is_f64());
    let episodes = json["episodes"].as_array().unwrap();
    assert!(!episodes.is_empty());
    for episode in episodes {
        let kind = episode["kind"].as_str().unwrap();
        assert!(["AF", "V run", "S run", "pause"].contains(&kind), "{kind}");
        let at = |key: &str| episode[key].as_f64().unwrap();
        let inside = |beat: &&Value| {
            let t = beat["time_s"].as_f64().unwrap();
            at("from_s") <= t && t <= at("to_s")
        };
        // A run and a pause end with their last beat, fibrillation with the beat after it.
        let beats: Vec<&Value> = beats.iter().filter(inside).collect();
        let behind = usize::from(kind == "AF");
        assert!(
            (0..=behind).contains(&(beats.len() - episode["beats"].as_u64().unwrap() as usize))
        );
        let rate = 60.0 * (beats.len() - 1) as f64 / (at("to_s") - at("from_s"));
        assert!((at("mean_rate_bpm") - rate).abs() < 0.1, "{episode}");
        let runs = match kind {
            "V run" => beats.iter().all(|beat| beat["class"] == "V"),
            "S run" => beats.iter().all(|beat| beat["class"] == "S"),
            "pause" => at("to_s") - at("from_s") >= 2.0,
            _ => true,
        };
        assert!(runs, "{episode}");
    }
}

/// Whether ONNX Runtime is not installed, after saying that the test is skipped.
#[cfg(feature = "ort")]
fn skipped_without_ort() -> bool {
    let missing = heartlens::runtime::ort::library().err();
    if let Some(error) = &missing {
        println!("skipped: {error}");
    }
    missing.is_some()
}

#[cfg(feature = "ort")]
#[test]
fn compare_keeps_the_promise_of_its_json() {
    if skipped_without_ort() {
        return;
    }
    let output = heartlens(["compare", "models/demo", "--layers", "--json", "-"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let beats = json["beats"].as_u64().unwrap();
    assert!(beats > 300, "{beats}");
    let is_pair = |pair: &&Value| pair["a"] == "tract" && pair["b"] == "ort";
    let pair = json["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .find(is_pair)
        .unwrap();
    let difference = pair["max_abs_logit_diff"].as_f64().unwrap();
    assert!(difference <= 1e-4, "{difference}");
    assert_eq!(pair["label_agreement"], 1.0);
    let layers = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .find(is_pair)
        .unwrap();
    let layers = layers["layers"].as_array().unwrap();
    let last = layers.last().unwrap();
    assert_eq!(last["name"], "logits");
    assert!(last["max_abs_diff"].as_f64().unwrap() <= 1e-4);
    assert!(
        layers
            .iter()
            .all(|layer| layer["rms"].as_f64().unwrap() > 0.0)
    );
    // The table for eyes went to standard error.
    assert!(stderr(&output).contains("waveform.conv0.relu"));
}

#[cfg(feature = "ort")]
#[test]
fn a_runtime_that_is_missing_is_named() {
    let with_library = |path: &Path, args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_heartlens"))
            .args(args)
            .env("ORT_DYLIB_PATH", path)
            .current_dir(root())
            .output()
            .unwrap()
    };
    // Neither a missing library nor a file that is none may panic.
    for (path, said) in [
        (
            Path::new("/no/such/libonnxruntime.so"),
            "/no/such/libonnxruntime.so",
        ),
        (&root().join("Cargo.toml"), "Cargo.toml"),
    ] {
        let args = ["classify", "models/demo/demo", "--runtime", "ort"];
        refused(&with_library(path, &args), &[said, "xtask setup"]);
        // Whether two others are left to compare or not.
        let message = stderr(&with_library(path, &["compare", "models/demo"]));
        assert!(
            message.contains("ort is left out") && message.contains(said),
            "{message}"
        );
    }
}

#[cfg(feature = "ort")]
#[test]
fn the_examples_of_compare_run() {
    if skipped_without_ort() {
        return;
    }
    let help = heartlens(["compare", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let mut tables = Vec::new();
    for line in help.lines().map(str::trim) {
        if let Some(args) = line.strip_prefix("heartlens ")
            && args.contains("models/demo")
        {
            let output = heartlens(args.split(' '));
            assert!(output.status.success(), "{line}: {}", stderr(&output));
            tables.push(String::from_utf8(output.stdout).unwrap());
        }
    }
    let [pairs, layers] = &tables[..] else {
        panic!("{} examples", tables.len());
    };
    assert!(
        pairs.contains("tract ort") && !pairs.contains("conv0"),
        "{pairs}"
    );
    assert!(
        layers.contains("tract ort") && layers.contains("conv0"),
        "{layers}"
    );
}

#[test]
fn every_output_tells_the_same_beats() {
    let (folder, record) = demo::copy();
    let file = |name: &str| folder.path().join(name);
    let output = heartlens([
        "classify".as_ref(),
        record.as_os_str(),
        "--peaks".as_ref(),
        "reference".as_ref(),
        "--json".as_ref(),
        file("out.json").as_os_str(),
        "--csv".as_ref(),
        file("out.csv").as_os_str(),
        "--annotations".as_ref(),
        "hlb".as_ref(),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("SYNTHETIC") && shown.contains("not a medical device"));

    let json: Value = serde_json::from_slice(&fs::read(file("out.json")).unwrap()).unwrap();
    let from_json: Vec<(u64, String)> = json["beats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|beat| {
            let class = beat["class"].as_str().unwrap().to_owned();
            (beat["sample"].as_u64().unwrap(), class)
        })
        .collect();
    let csv = fs::read_to_string(file("out.csv")).unwrap();
    let from_csv: Vec<(u64, String)> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[1].parse().unwrap(), cells[3].to_owned())
        })
        .collect();
    let read = |extension: &str| {
        heartlens::records::annotation::Annotations::read(record.with_extension(extension)).unwrap()
    };
    let from_annotations: Vec<(u64, String)> = heartlens::evaluate::mapping::beats(&read("hlb"))
        .map(|(beat, class)| (beat.sample, class.name().to_owned()))
        .collect();
    assert_eq!(from_csv, from_json);
    assert_eq!(from_annotations, from_json);
    let reference: Vec<u64> = read("atr").beats().map(|beat| beat.sample).collect();
    let found: Vec<u64> = from_json.iter().map(|(sample, _)| *sample).collect();
    assert_eq!(found, reference);
}

#[test]
fn the_demo_is_told_apart() {
    let output = heartlens(["evaluate", "models/demo", "--from", "0", "--json", "-"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        json["qrs"]["f1"].as_f64().unwrap() >= 0.99,
        "{}",
        json["qrs"]
    );
    let macro_f1 = json["macro_f1_nsv"].as_f64().unwrap();
    assert!(macro_f1 > 0.98, "macro F1 of N, S, V: {macro_f1}");

    // How far its probabilities can be believed: of the same beats, and nothing set aside is the whole.
    let certainty = &json["certainty"];
    let rows = json["confusion"].as_array().unwrap().iter();
    let cells = rows.flat_map(|row| row.as_array().unwrap().iter());
    let beats: u64 = cells.map(|cell| cell.as_u64().unwrap()).sum();
    assert_eq!(certainty["beats"].as_u64(), Some(beats));
    let number = |value: &Value| value.as_f64().unwrap();
    let curve = certainty["curve"].as_array().unwrap();
    let wrong = 1.0 - number(&json["accuracy"]);
    assert!((number(&curve[0]["error"]) - wrong).abs() < 1e-9);
    assert_eq!(number(&curve[0]["coverage"]), 1.0);
    let left = 1.0 - number(&curve[10]["coverage"]);
    assert_eq!(number(&curve[10]["margin"]), 0.5);
    assert!((number(&certainty["unsure"]) - left).abs() < 1e-9);
    let ece = number(&certainty["ece"]);
    assert!(ece > 0.0 && ece < 0.1, "{ece}");
}

/// From any folder, with nothing beside the program: as after `cargo install`.
#[test]
fn the_model_is_in_the_program() {
    let (_demo, record) = demo::copy();
    let empty = tempfile::tempdir().unwrap();
    let here = |args: &[&str], variable: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heartlens"));
        command.args(args).current_dir(empty.path());
        match variable {
            Some(folder) => command.env("HEARTLENS_MODEL", folder),
            None => command.env_remove("HEARTLENS_MODEL"),
        };
        command.output().unwrap()
    };
    let record = record.to_str().unwrap();
    let classify = ["classify", record, "--json", "-"];
    let inside = here(&classify, None);
    assert!(inside.status.success(), "{}", stderr(&inside));
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);

    let flag = heartlens([&classify[..], &["--model", "models/beat"]].concat());
    assert_eq!(inside.stdout, flag.stdout);
    let folder = root().join("models/beat");
    let variable = here(&classify, Some(folder.to_str().unwrap()));
    assert_eq!(inside.stdout, variable.stdout);
    // The variable counts, but for the flag, and where it is not empty.
    refused(&here(&classify, Some("no/model")), &["no/model"]);
    let both = [&classify[..], &["--model", folder.to_str().unwrap()]].concat();
    assert!(here(&both, Some("no/model")).status.success());
    assert!(here(&classify, Some("")).status.success());

    let evaluate = here(&["evaluate", record, "--from", "0"], None);
    assert!(evaluate.status.success(), "{}", stderr(&evaluate));
}

#[test]
fn a_failed_classify_leaves_nothing_behind() {
    let (folder, record) = demo::copy();
    let before = || {
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let data = fs::read(record.with_extension("dat")).unwrap();
    // In the middle of a frame of three bytes.
    let cut = &data[..data.len() / 6 * 3 + 1];
    fs::write(record.with_extension("dat"), cut).unwrap();
    let names = before();
    let file = |name: &str| folder.path().join(name);
    let output = heartlens([
        "classify".as_ref(),
        record.as_os_str(),
        "--json".as_ref(),
        file("o.json").as_os_str(),
        "--csv".as_ref(),
        file("o.csv").as_os_str(),
        "--report".as_ref(),
        file("o.html").as_os_str(),
        "--annotations".as_ref(),
        "hlb".as_ref(),
    ]);
    refused(&output, &["demo.dat"]);
    let output = heartlens([
        "classify".as_ref(),
        record.as_os_str(),
        "--out".as_ref(),
        file("out").as_os_str(),
    ]);
    refused(&output, &["demo.dat"]);
    assert_eq!(before(), names);
}

/// The examples of a verb's help do what they show, in a folder that has the demo and the model.
fn examples_work(verb: &str) -> tempfile::TempDir {
    let help = heartlens([verb, "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let examples: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  heartlens "))
        .collect();
    assert!(!examples.is_empty(), "{help}");
    let folder = tempfile::tempdir().unwrap();
    for name in ["beat", "demo"] {
        let copy = folder.path().join("models").join(name);
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(root().join("models").join(name)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    for example in examples {
        let output = Command::new(env!("CARGO_BIN_EXE_heartlens"))
            .args(example.split(' '))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{example}: {}", stderr(&output));
    }
    folder
}

#[test]
fn the_examples_of_classify_work() {
    let folder = examples_work("classify");
    for file in [
        "beats.json",
        "demo.html",
        "results/demo.csv",
        "results/demo.hlb",
    ] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let (folder, record) = demo::copy();
    refused(
        &heartlens(["classify", "no/such/record"]),
        &["no/such/record"],
    );
    refused(
        &heartlens(["classify", "models/demo/demo", "--lead", "V9"]),
        &["V9", "demo"],
    );
    refused(
        &heartlens(["classify", "models/demo/demo", "--model", "no/model"]),
        &["no/model", "model.onnx"],
    );
    refused(
        &heartlens(["classify", "models/demo/demo", "--annotations", "atr"]),
        &["overwrite"],
    );
    let onnx = fs::read(root().join("models/beat/model.onnx")).unwrap();
    fs::write(folder.path().join("model.onnx"), &onnx[..onnx.len() / 2]).unwrap();
    refused(
        &heartlens([
            "classify".as_ref(),
            record.as_os_str(),
            "--model".as_ref(),
            folder.path().as_os_str(),
            "--runtime".as_ref(),
            "tract".as_ref(),
        ]),
        &["model.onnx"],
    );
    fs::write(record.with_extension("atr"), "not annotations").unwrap();
    refused(
        &heartlens([
            "classify".as_ref(),
            record.as_os_str(),
            "--peaks".as_ref(),
            "reference".as_ref(),
        ]),
        &["demo.atr"],
    );
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &["classify"][..],
        &["classify", "x", "--peaks", "guessed"],
        &["classify", "x", "--age", "-3"],
        &["no-such-verb"],
    ] {
        assert_eq!(heartlens(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_closed_pipe_is_success() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .args(["classify", "models/demo/demo", "--json", "-"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
