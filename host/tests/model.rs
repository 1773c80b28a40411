//! `compile` and `inspect` as people and scripts call them, and int8 as the runtime that `classify` takes.

#![allow(clippy::unwrap_used)]

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
fn heartlens(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Expects exit code 1, one line on stderr that has all of `parts`, and nothing on stdout.
fn refused(args: &[&str], parts: &[&str]) {
    let output = heartlens(args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

/// The example of the help text: what it writes is a model that `classify` takes, and it agrees with float.
#[test]
fn compile_makes_a_model_that_classifies() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("model.hlm");
    let [onnx, demo] = ["models/beat/model.onnx", "models/demo/demo"];
    let out = image.to_str().unwrap();
    let report = json(&heartlens(&[
        "compile",
        onnx,
        "--calibrate",
        demo,
        "--out",
        out,
        "--json",
        "-",
    ]));
    assert_eq!(report["name"], "beat");
    assert_eq!(report["tried"].as_array().unwrap().len(), 9);
    let agreement = report["label_agreement"].as_f64().unwrap();
    assert!((0.97..=1.0).contains(&agreement), "{agreement}");
    let worst = report["max_abs_logit_diff"].as_f64().unwrap();
    assert!((1e-3..1.0).contains(&worst), "{worst}");
    for layer in report["layers"].as_array().unwrap() {
        let (rms, worst) = (
            layer["rms_error"].as_f64().unwrap(),
            layer["max_abs_error"].as_f64().unwrap(),
        );
        assert!(rms > 0.0 && rms <= worst, "{layer}");
    }

    let model = folder.path().to_str().unwrap();
    let beats = json(&heartlens(&[
        "classify",
        demo,
        "--model",
        model,
        "--runtime",
        "int8",
        "--json",
        "-",
    ]));
    assert_eq!(beats["runtime"], "int8");
    let float = json(&heartlens(&[
        "classify",
        demo,
        "--runtime",
        "tract",
        "--json",
        "-",
    ]));
    let classes = |json: &Value| -> Vec<String> {
        let beats = json["beats"].as_array().unwrap();
        beats.iter().map(|beat| beat["class"].to_string()).collect()
    };
    let (ours, theirs) = (classes(&beats), classes(&float));
    assert_eq!(ours.len(), theirs.len());
    let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
    assert!(
        same as f64 >= 0.99 * ours.len() as f64,
        "{same} of {}",
        ours.len()
    );
}

#[test]
fn compile_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model.hlm");
    let out = out.to_str().unwrap();
    let [onnx, demo] = ["models/beat/model.onnx", "models/demo/demo"];
    refused(
        &["compile", "no.onnx", "--calibrate", demo, "--out", out],
        &["no.onnx: cannot be read"],
    );
    refused(
        &[
            "compile",
            "models/demo/demo.hea",
            "--calibrate",
            demo,
            "--out",
            out,
        ],
        &["models/demo/demo.hea"],
    );
    refused(
        &[
            "compile",
            onnx,
            "--calibrate",
            "models/demo/nothing",
            "--out",
            out,
        ],
        &["models/demo/nothing: no such record", ".hea"],
    );
    refused(
        &["compile", onnx, "--calibrate", "docs", "--out", out],
        &["docs: no record in this folder"],
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    assert_eq!(
        heartlens(&["compile", onnx, "--out", out]).status.code(),
        Some(2)
    );
}

#[test]
fn without_an_image_the_error_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        root().join("models/beat/model.onnx"),
        folder.path().join("model.onnx"),
    )
    .unwrap();
    let model = folder.path().to_str().unwrap();
    refused(
        &["classify", "models/demo/demo", "--model", model],
        &[
            "model.hlm: there is no device image",
            "heartlens compile ",
            "model.onnx --calibrate",
        ],
    );
    let image = folder.path().join("model.hlm");
    fs::write(
        &image,
        b"not an image, but long enough to have a header of its own",
    )
    .unwrap();
    refused(
        &["classify", "models/demo/demo", "--model", model],
        &["model.hlm: "],
    );
    refused(&["inspect", image.to_str().unwrap()], &["model.hlm: "]);
}

/// The examples of the help text.
#[test]
fn inspect_keeps_the_promise_of_its_json() {
    let keys = [
        "name",
        "params",
        "macs",
        "bytes",
        "scratch_bytes",
        "inputs",
        "labels",
        "layers",
    ];
    let float = json(&heartlens(&[
        "inspect",
        "models/beat/model.onnx",
        "--json",
        "-",
    ]));
    let image = json(&heartlens(&[
        "inspect",
        "models/beat/model.hlm",
        "--json",
        "-",
    ]));
    for model in [&float, &image] {
        for key in keys {
            assert!(model.get(key).is_some(), "{key}");
        }
        assert_eq!(model["name"], "beat");
        assert_eq!(model["labels"], serde_json::json!(["N", "S", "V", "F"]));
        assert_eq!(model["inputs"].as_array().unwrap().len(), 4);
        for layer in model["layers"].as_array().unwrap() {
            for key in ["name", "op", "shape", "macs"] {
                assert!(layer.get(key).is_some(), "{key}");
            }
        }
    }
    assert_eq!(float["macs"], image["macs"]);
    assert!(image["scratch_bytes"].as_u64().unwrap() > 0);
    let bytes = fs::metadata(root().join("models/beat/model.hlm"))
        .unwrap()
        .len();
    assert_eq!(image["bytes"].as_u64(), Some(bytes));

    let rhythm = json(&heartlens(&[
        "inspect",
        "models/beat/rhythm.hlr",
        "--json",
        "-",
    ]));
    assert_eq!(rhythm["kind"], "rhythm network, int16");
    for key in ["params", "macs"] {
        let layers = rhythm["layers"].as_array().unwrap();
        let sum: u64 = layers
            .iter()
            .map(|layer| layer[key].as_u64().unwrap())
            .sum();
        assert_eq!(rhythm[key].as_u64(), Some(sum), "{key}");
    }
    let strip = json(&heartlens(&[
        "inspect",
        "models/beat/strip.hlm",
        "--json",
        "-",
    ]));
    assert_eq!(strip["name"], "strip");
    assert_eq!(strip["labels"], serde_json::json!(["N", "A", "O", "~"]));
    let folder = json(&heartlens(&["inspect", "models/beat", "--json", "-"]));
    assert_eq!(folder, serde_json::json!([float, image, rhythm, strip]));

    let record = json(&heartlens(&["inspect", "models/demo/demo", "--json", "-"]));
    let classes = &record["annotations"]["classes"];
    let sum: u64 = classes
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(record["annotations"]["beats"].as_u64(), Some(sum));
    assert!(sum > 300 && classes["V"].as_u64().unwrap() > 0);
    assert_eq!(record["synthetic"], true);

    let text = String::from_utf8(heartlens(&["inspect", "models/beat/model.hlm"]).stdout).unwrap();
    assert!(
        text.contains("device image, int8") && text.contains("LSTM"),
        "{text}"
    );
    refused(
        &["inspect", "docs"],
        &[
            "docs: this folder has none of model.onnx, model.hlm, rhythm.hlr and strip.hlm, and no record",
        ],
    );
}

/// The records of a folder are listed, a line each; one that cannot be read is told, and the others go on.
#[test]
fn inspect_lists_the_records_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let demo = root().join("models/demo");
    for file in ["demo.hea", "demo.dat", "demo.atr"] {
        fs::copy(demo.join(file), folder.path().join(file)).unwrap();
    }
    let below = folder.path().join("more");
    fs::create_dir(&below).unwrap();
    fs::write(
        below.join("one.hea"),
        "one 1 250 4\none.dat 16 200 16 0 0 0 0 II\n",
    )
    .unwrap();
    fs::write(below.join("one.dat"), [1, 0, 2, 0, 3, 0, 4, 0]).unwrap();
    let path = folder.path().to_str().unwrap();

    let lines = String::from_utf8(heartlens(&["inspect", path]).stdout).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with("demo: 300.0 s at ")
            && lines[0].ends_with(" beats in atr"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1],
        "more/one: 0.0 s at 250 Hz, II, no reference annotations"
    );
    let listed = json(&heartlens(&["inspect", path, "--json", "-"]));
    let demo = demo.join("demo");
    let alone = json(&heartlens(&[
        "inspect",
        demo.to_str().unwrap(),
        "--json",
        "-",
    ]));
    assert_eq!(listed[0]["annotations"], alone["annotations"]);
    assert_eq!(listed[1]["samples"], 4);

    // Beats without a signal are a record, too.
    fs::copy(root().join("models/demo/demo.atr"), below.join("only.atr")).unwrap();
    fs::write(below.join("only.hea"), "only 0 360\n").unwrap();
    let only = below.join("only");
    let list = json(&heartlens(&[
        "inspect",
        only.to_str().unwrap(),
        "--json",
        "-",
    ]));
    assert_eq!(
        list["annotations"]["classes"],
        alone["annotations"]["classes"]
    );
    assert_eq!(list["leads"], serde_json::json!([]));
    let lines = String::from_utf8(heartlens(&["inspect", path]).stdout).unwrap();
    assert!(
        lines.contains("more/only: ") && lines.contains(" at 360 Hz, no signal, 355 beats"),
        "{lines}"
    );

    fs::write(below.join("bad.hea"), "bad 2 250\n").unwrap();
    let output = heartlens(&["inspect", path]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("bad.hea: line 1")
            && words.contains("1 record(s) could not be read: more/bad;"),
        "{words}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
}
