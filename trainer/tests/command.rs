//! The command's errors: exit code 1 and one line that names what was found and what was expected.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn train(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heartlens-train"))
        .args(arguments)
        .output()
        .unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = train(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}

/// The shipped config without noise, so that no noise records are needed.
fn config(folder: &Path) -> String {
    let shipped = include_str!("../../models/beat/config.toml");
    let path = folder.join("config.toml");
    let quiet = shipped.replace("noise_probability = 0.5", "noise_probability = 0.0");
    std::fs::write(&path, quiet).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_empty_data_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("mitdb")).unwrap();
    let config = config(folder.path());
    let data = data.to_str().unwrap();
    let error = refusal(&[
        "fit", "--config", &config, "--data", data, "--device", "cpu",
    ]);
    assert!(
        error.contains(data) && error.contains("found no record with reference annotations"),
        "{error}"
    );
}

#[test]
fn a_record_without_annotations_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("mine");
    std::fs::create_dir(&data).unwrap();
    for name in ["a.hea", "a.atr", "b.hea"] {
        std::fs::write(data.join(name), "").unwrap();
    }
    let config = config(folder.path());
    let data = data.to_str().unwrap();
    let error = refusal(&[
        "cross-validate",
        "--config",
        &config,
        "--data",
        data,
        "--device",
        "cpu",
    ]);
    assert!(
        error.contains("b.hea: record without annotations: found no b.atr"),
        "{error}"
    );
}

#[test]
fn missing_noise_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/beat/config.toml");
    let data = folder.path().to_str().unwrap();
    let error = refusal(&["fit", "--config", config, "--data", data, "--device", "cpu"]);
    assert!(
        error.contains("nstdb/bw") && error.contains("noise_probability is 0"),
        "{error}"
    );
}

#[test]
fn a_missing_gpu_is_named() {
    if tch::Cuda::is_available() {
        println!("skipped: there is a GPU");
        return;
    }
    let error = refusal(&[
        "fit", "--config", "none", "--data", "none", "--device", "cuda",
    ]);
    assert!(
        error.contains("no CUDA device") && error.contains("--device cpu"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_checkpoint_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("weights.bin");
    std::fs::write(&checkpoint, "not a checkpoint").unwrap();
    let out = folder.path().join("model.onnx");
    let (checkpoint, out_name) = (checkpoint.to_str().unwrap(), out.to_str().unwrap());
    let error = refusal(&["export", "--checkpoint", checkpoint, "--out", out_name]);
    assert!(
        error.contains("weights.bin: not a readable checkpoint"),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_has_an_example() {
    assert_eq!(train(&["fit", "--device", "tpu"]).status.code(), Some(2));
    let help = String::from_utf8(train(&["fit", "--help"]).stdout).unwrap();
    assert!(help.contains("Example:\n  heartlens-train fit --config models/beat/config.toml"));
}

/// Real records, a handful of steps: fit, resume, export, and a card from a cross-validation's findings.
#[test]
fn from_records_to_a_model() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // The folder names the database; links keep the records where they are.
    let records = folder.path().join("mitdb");
    std::fs::create_dir(&records).unwrap();
    for name in ["208", "209", "223"] {
        for extension in ["hea", "dat", "atr"] {
            let file = format!("{name}.{extension}");
            let source = Path::new(&data)
                .join("mitdb")
                .join(&file)
                .canonicalize()
                .unwrap();
            std::os::unix::fs::symlink(source, records.join(file)).unwrap();
        }
    }
    let config = config(folder.path());
    let short = std::fs::read_to_string(&config)
        .unwrap()
        .replace("steps = 700", "steps = 20");
    std::fs::write(&config, short).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, out) = (path("mitdb"), path("out"));
    let source = ["--config", &config, "--data", &data, "--device", "cpu"];
    let run = |verb: &str, rest: &[&str]| {
        let output = train(&[&[verb], rest].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{verb}: {errors}");
        (String::from_utf8(output.stdout).unwrap(), errors)
    };
    let hold_out = ["--out", &out, "--hold-out", "209"];
    run("fit", &[&source[..], &hold_out].concat());
    let log = std::fs::read_to_string(format!("{out}/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 20 + 1);
    let (_, text) = run("fit", &[&source[..], &hold_out, &["--resume"]].concat());
    assert!(text.contains("continuing after step 20"), "{text}");
    let model = path("model.onnx");
    let best = format!("{out}/best.safetensors");
    let (_, text) = run("export", &["--checkpoint", &best, "--out", &model]);
    assert!(
        text.contains("tract and libtorch differ by at most"),
        "{text}"
    );
    assert!(std::fs::metadata(&model).unwrap().len() > 36_000);

    let metrics = path("metrics.json");
    run(
        "cross-validate",
        &[&source[..], &["--folds", "3", "--json", &metrics]].concat(),
    );
    let (card, _) = run("card", &["--metrics", &metrics]);
    assert!(card.contains("| mitdb | 3 |"), "{card}");
    assert!(
        card.contains("| mitdb, reference by prediction | N | S | V | F |"),
        "{card}"
    );
    assert!(
        card.contains("| mitdb | detected | network alone |"),
        "{card}"
    );
}

/// Real recordings, a handful of steps: the rhythm network is measured and exported as its help says.
#[test]
fn from_recordings_to_a_rhythm_network() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let source = Path::new(&data).join("cinc2017").canonicalize().unwrap();
    let labels = std::fs::read_to_string(source.join("REFERENCE.csv")).unwrap();
    let mut chosen = String::new();
    for label in ["N", "A", "O"] {
        let of_label = labels
            .lines()
            .filter(|line| line.ends_with(&format!(",{label}")));
        for line in of_label.take(12) {
            chosen += &format!("{line}\n");
            let name = line.split(',').next().unwrap();
            for extension in ["hea", "mat"] {
                let file = format!("{name}.{extension}");
                std::os::unix::fs::symlink(source.join(&file), path(&file)).unwrap();
            }
        }
    }
    std::fs::write(path("REFERENCE.csv"), chosen).unwrap();
    let shipped = include_str!("../../models/rhythm/config.toml");
    let short = shipped.replace("steps = 700", "steps = 20");
    assert_ne!(short, shipped);
    std::fs::write(path("config.toml"), short).unwrap();
    let (config, data) = (path("config.toml"), path("."));
    let run = |verb: &str, rest: &[&str]| {
        let source = ["rhythm", verb, "--config", &config, "--data", &data];
        let output = train(&[&source[..], rest].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{verb}: {errors}");
        (String::from_utf8(output.stdout).unwrap(), errors)
    };
    let (_, text) = run("fit", &["--out", &path("rhythm.hlr")]);
    assert!(
        text.contains("it differs from libtorch by at most"),
        "{text}"
    );
    for file in ["rhythm.hlr", "rhythm.onnx"] {
        assert!(std::fs::metadata(path(file)).unwrap().len() > 2_900);
    }

    let (json, text) = run("cross-validate", &["--folds", "2", "--json", "-"]);
    assert!(text.contains("all: AUC 0."), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["records"]["fibrillation"], 12);
    assert_eq!(json["splits"].as_array().unwrap().len(), 2);
    let counted: u64 = ["tp", "fn", "fp", "tn"]
        .iter()
        .map(|key| json[key].as_u64().unwrap())
        .sum();
    assert_eq!(counted, 36);

    std::fs::write(path("metrics.json"), serde_json::to_string(&json).unwrap()).unwrap();
    let output = train(&["card", "--metrics", &path("metrics.json")]);
    let card = String::from_utf8(output.stdout).unwrap();
    assert!(
        card.contains("| seed | AUC |") && card.contains("| all | 0."),
        "{card}"
    );

    for verb in ["fit", "cross-validate"] {
        let help = String::from_utf8(train(&["rhythm", verb, "--help"]).stdout).unwrap();
        let example =
            format!("Example:\n  heartlens-train rhythm {verb} --config models/rhythm/config.toml");
        assert!(help.contains(&example), "{help}");
    }
}
