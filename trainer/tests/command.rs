//! The command's errors: exit code 1 and one line that names what was found and what was expected.
#![allow(clippy::unwrap_used)]

use heartlens_trainer::beat::config::Config;
use std::collections::BTreeMap;
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

/// The shipped config without noise and recordings, with these records of one data base.
fn config(folder: &Path, database: &str, names: &[&str]) -> String {
    let shipped = include_str!("../../models/beat/config.toml");
    let mut quiet = Config::parse(shipped, Path::new("models/beat/config.toml")).unwrap();
    quiet.augmentation.noise_probability = 0.0;
    quiet.weak_labels = None;
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    quiet.data.records = BTreeMap::from([(database.to_owned(), names)]);
    let path = folder.join("config.toml");
    std::fs::write(&path, quiet.text()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_missing_data_base_and_a_missing_record_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "mine", &["a", "b"]);
    let data = folder.path().to_str().unwrap();
    let fit = [
        "fit", "--config", &config, "--data", data, "--device", "cpu",
    ];
    let error = refusal(&fit);
    assert!(
        error.contains(&format!("found no folder mine in {data}"))
            && error.contains("--data names"),
        "{error}"
    );
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let error = refusal(&fit);
    assert!(
        error.contains("mine/a.hea: no such record, but data.records.mine of the config names it"),
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
    let config = config(folder.path(), "mine", &["a", "b"]);
    let data = folder.path().to_str().unwrap();
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

/// An error of the config names file, line and column, whatever the verb.
#[test]
fn errors_of_the_config_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let name = path.to_str().unwrap();
    for (text, message) in [
        ("name = \"x\"\n", ":1:1: missing field `task`"),
        (
            "name = \"x\"\ntask = \"bat\"\n",
            ":2:8: unknown variant `bat`, expected one of `beat`, `rhythm`, `strip`",
        ),
        (
            "task = \"rhythm\"\nname = \"x\"\n[network]\n  lstm = 300 # cells\n",
            ":4:10: found 300, expected 1 to 256, in `lstm = 300 # cells`",
        ),
    ] {
        write(text);
        let error = refusal(&["fit", "--config", name, "--data", "none", "--device", "cpu"]);
        assert!(error.contains(&format!("{name}{message}")), "{error}");
    }
}

/// What only beat models have is refused by name for a rhythm model, and a verb for beat models alone says so.
#[test]
fn flags_of_beat_models_are_refused_for_a_rhythm_model() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/rhythm/config.toml");
    let source = ["--config", config, "--data", "none", "--device", "cpu"];
    for (verb, flag) in [
        ("fit", ["--hold-out", "201"]),
        ("cross-validate", ["--lead", "both"]),
        ("cross-validate", ["--train-on", "mitdb"]),
        ("ablate", ["--keep", "kept"]),
    ] {
        let error = refusal(&[&[verb], &source[..], &flag].concat());
        assert!(
            error.contains(flag[0]) && error.contains("is for task = \"beat\""),
            "{error}"
        );
    }
    let error = refusal(&[&["noise"], &source[..]].concat());
    assert!(error.contains("its task is rhythm"), "{error}");
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
fn missing_recordings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "demo", &["demo"]);
    let quiet = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, quiet + TAUGHT).unwrap();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let here = folder.path().to_str().unwrap();
    let fit = [
        "fit",
        "--config",
        &path,
        "--data",
        data,
        "--data",
        here,
        "--device",
        "cpu",
        "--no-cache",
    ];
    let error = refusal(&fit);
    assert!(
        error.contains("found no folder cinc2017 in ") && error.contains(here),
        "{error}"
    );
    std::fs::create_dir(folder.path().join("cinc2017")).unwrap();
    let error = refusal(&fit);
    assert!(
        error.contains("cinc2017/REFERENCE.csv: ")
            && error.contains("expected recordings with REFERENCE.csv"),
        "{error}"
    );
}

/// What the shipped config learns of recordings, in small.
const TAUGHT: &str = "\n[weak_labels]\ndatabase = \"cinc2017\"\nnormal = [\"normal\"]\ntaught = [\"other\"]\n\
                      confidence = 0.5\nshares = { N = 0.2, S = 0.2, V = 0.2 }\n";

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
fn a_log_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    std::fs::write(&log, "step 1\n").unwrap();
    let out = folder.path().join("curves.svg");
    let error = refusal(&[
        "curves",
        log.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(error.contains("log.jsonl, line 1: "), "{error}");
    assert!(!out.exists());
}

/// With the Python that has PyTorch both are measured; without one, ours alone.
#[test]
fn training_is_timed_beside_pytorch() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/beat/config.toml");
    let short = [
        "bench", "--config", config, "--device", "cpu", "--steps", "3", "--rounds", "1",
    ];
    let run = |python: &str| -> serde_json::Value {
        let output = train(&[&short[..], &["--json", "-", "--python", python]].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for speed in ["beats_per_second", "prepared_per_second"] {
            assert!(json[speed].as_f64().unwrap() > 0.0, "{speed}");
        }
        assert_eq!(json["workers"], 1);
        assert_eq!(json["parameters"], 9016);
        json
    };
    let alone = run("/no/such/python");
    assert!(alone["ratio"].is_null());
    assert!(
        alone["missing"]
            .as_str()
            .unwrap()
            .starts_with("/no/such/python: ")
    );

    let torch = Command::new("python3")
        .args(["-c", "import torch"])
        .output();
    if !torch.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 has no torch");
        return;
    }
    let both = run("python3");
    assert_eq!(both["pytorch"]["parameters"], 9016);
    assert!(both["ratio"].as_f64().unwrap() > 0.0);
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_has_an_example() {
    assert_eq!(train(&["fit", "--device", "tpu"]).status.code(), Some(2));
    for verb in [
        "fit",
        "cross-validate",
        "ablate",
        "export",
        "card",
        "curves",
        "noise",
        "study",
        "bench",
    ] {
        let help = String::from_utf8(train(&[verb, "--help"]).stdout).unwrap();
        assert!(
            help.contains(&format!("Example:\n  heartlens-train {verb} ")),
            "{help}"
        );
        assert!(
            help.lines().all(|line| line.chars().count() <= 118),
            "{help}"
        );
    }
    for usage in [
        &["fit", "--precision", "f16"][..],
        &["fit", "--cache", "a", "--no-cache"],
    ] {
        assert_eq!(train(usage).status.code(), Some(2));
    }
}

/// Real records, a handful of steps: fit, resume, export, and a card from a cross-validation's results.
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
    let config = config(folder.path(), "mitdb", &["208", "209", "223"]);
    let short = std::fs::read_to_string(&config)
        .unwrap()
        .replace("steps = 700", "steps = 20");
    std::fs::write(&config, short).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Beside the records that are named lies one that is not, and has no annotations.
    std::fs::write(records.join("100.hea"), "").unwrap();
    let (data, out, cache) = (path("."), path("out"), path("cache"));
    let source = [
        "--config", &config, "--data", &data, "--device", "cpu", "--cache", &cache,
    ];
    let run = |verb: &str, rest: &[&str]| {
        let output = train(&[&[verb], rest].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{verb}: {errors}");
        (String::from_utf8(output.stdout).unwrap(), errors)
    };
    let events = path("events");
    let hold_out = ["--out", &out, "--hold-out", "209", "--tensorboard", &events];
    run("fit", &[&source[..], &hold_out].concat());
    let log_path = format!("{out}/log.jsonl");
    let log = std::fs::read_to_string(&log_path).unwrap();
    assert_eq!(log.lines().count(), 20 + 1);
    let curves = std::fs::read_to_string(format!("{out}/curves.svg")).unwrap();
    for text in [
        "<svg",
        "beat: loss",
        "mean of 25 steps",
        "held-out records",
        "F1 of S",
    ] {
        assert!(curves.contains(text), "{text}");
    }
    let events = Path::new(&events)
        .read_dir()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert!(events.metadata().unwrap().len() > 20 * 60);
    let again = path("curves.svg");
    run("curves", &[&log_path, "--out", &again]);
    let again = std::fs::read_to_string(again).unwrap();
    assert!(again.contains("log.jsonl: loss") && again.len() > 5_000);
    let (_, text) = run("fit", &[&source[..], &hold_out, &["--resume"]].concat());
    assert!(text.contains("continuing beat after step 20"), "{text}");
    assert_eq!(std::fs::read_to_string(&log_path).unwrap(), log);
    a_killed_training_leaves_its_checkpoint(&source, &out);
    let early = path("early.toml");
    let stopping = std::fs::read_to_string(&config).unwrap().replace(
        "label_smoothing = 0.05",
        "label_smoothing = 0.05\nearly_stopping = { share = 0.34, patience = 1, every = 3 }",
    );
    std::fs::write(&early, stopping).unwrap();
    let early_out = path("early");
    let early_source = [&["--config", &early], &source[2..], &["--out", &early_out]].concat();
    let (chosen, text) = run("fit", &early_source);
    assert!(
        text.contains("on 2 records") && text.contains("best jk on mitdb/2"),
        "{text}"
    );
    assert_eq!(chosen.trim(), format!("{early_out}/best.safetensors"));
    let judged = std::fs::read_to_string(format!("{early_out}/log.jsonl")).unwrap();
    assert!(
        judged
            .lines()
            .filter(|line| line.contains("held_out"))
            .count()
            > 1
    );
    let model = path("model.onnx");
    let best = format!("{out}/best.safetensors");
    let error = refusal(
        &[
            &["fit"],
            &source[..],
            &hold_out,
            &["--resume", "--precision", "bf16"],
        ]
        .concat(),
    );
    assert!(
        error.contains("was trained with --precision f32") && error.contains("--precision bf16"),
        "{error}"
    );
    let (_, text) = run("export", &["--checkpoint", &best, "--out", &model]);
    assert!(
        text.contains("tract and libtorch differ by at most"),
        "{text}"
    );
    assert!(std::fs::metadata(&model).unwrap().len() > 36_000);
    let last = format!("{out}/last.safetensors");
    let mean = path("mean.onnx");
    let both = ["--checkpoint", &best, "--checkpoint", &last];
    run("export", &[&both[..], &["--out", &mean]].concat());
    let other = format!("{early_out}/last.safetensors");
    let others = [
        "--checkpoint",
        &best,
        "--checkpoint",
        &other,
        "--out",
        &mean,
    ];
    let error = refusal(&[&["export"], &others[..]].concat());
    assert!(
        error.contains("its config differs from the given one"),
        "{error}"
    );

    let metrics = path("metrics.json");
    let summary = path("summary.json");
    let to = ["--folds", "3", "--json", &metrics, "--summary", &summary];
    run("cross-validate", &[&source[..], &to].concat());
    let parsed = |path: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    assert_eq!(parsed(&metrics)["per_record"].as_array().unwrap().len(), 3);
    assert_eq!(parsed(&summary).get("per_record"), None);
    assert_eq!(parsed(&summary)["splits"], parsed(&metrics)["splits"]);
    let (same, _) = run("card", &["--metrics", &summary]);
    let (card, _) = run("card", &["--metrics", &metrics]);
    assert_eq!(card, same);
    assert!(
        card.starts_with("First lead: MLII where the record has it, else its first lead."),
        "{card}"
    );
    assert!(card.contains("| mitdb | 3 |"), "{card}");
    assert!(
        card.contains("| mitdb, reference by prediction | N | S | V | F |"),
        "{card}"
    );
    assert!(
        card.contains("| mitdb | detected | first | network alone |"),
        "{card}"
    );
    a_student_follows_its_teacher(folder.path(), &source, &run);

    let ablation = path("ablation.json");
    let some = ["--folds", "3", "--seeds", "2", "--only", "metadata,cnn"];
    let kept = ["--keep", &path("kept"), "--json", &ablation];
    let (table, _) = run("ablate", &[&source[..], &some, &kept].concat());
    let (card, _) = run("card", &["--metrics", &ablation]);
    assert_eq!(table, card);
    assert_eq!(card.lines().count(), 2 + 3, "{card}");
    for row in [
        "| all | the config as it is | 9016 | 99600 |",
        "| metadata | metadata alone |",
        "| 9140 | 129408 |",
    ] {
        assert!(card.contains(row), "{row}: {card}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&ablation).unwrap()).unwrap();
    let jk = |row: usize| &json["rows"][row]["databases"]["mitdb"];
    let of_seed = |row, seed| jk(row)["seeds"][seed].as_f64().unwrap();
    let expected = (0..2)
        .map(|seed| of_seed(2, seed) - of_seed(0, seed))
        .sum::<f64>()
        / 2.0;
    let found = jk(2)["difference"]["mean"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    // What was kept is not trained again, and says the same.
    let (again, _) = run("ablate", &[&source[..], &some, &kept].concat());
    assert_eq!(again, table);
    // With half of the beats ectopic, a network of few steps calls some so.
    let (base, changed) = (path("base.toml"), path("changed.toml"));
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("steps = 20", "steps = 60");
    let shares = ["N = 0.7", "S = 0.14", "V = 0.16"]
        .iter()
        .zip(["N = 0.4", "S = 0.3", "V = 0.3"]);
    let text = shares.fold(text, |text, (from, to)| text.replace(from, to));
    std::fs::write(&base, &text).unwrap();
    std::fs::write(&changed, text.replace("dropout = 0.2", "dropout = 0.0")).unwrap();
    let source = [&["--config", &base], &source[2..]].concat();
    let results = path("study.json");
    let with = ["--with", &changed, "--folds", "3", "--seeds", "2"];
    let how = [
        "--apart",
        "frequent=208,209",
        "--looked-at",
        "7",
        "--json",
        &results,
    ];
    let (table, _) = run("study", &[&source[..], &with, &how].concat());
    let starts = [
        "| folds of mitdb | 3 | 0.",
        "| folds of mitdb without mitdb/2",
        "| folds of mitdb, frequent | - | ",
    ];
    for (line, start) in table.lines().skip(2).zip(starts) {
        assert!(line.starts_with(start), "{start}: {table}");
    }
    assert!(
        table.contains("Configurations looked at: 7. Seeds: 2."),
        "{table}"
    );
    let json = parsed(&results);
    let row = &json["rows"][0];
    let gain = row["changed"]["jk"].as_f64().unwrap() - row["base"]["jk"].as_f64().unwrap();
    assert!(
        gain != 0.0 && json["rows"].as_array().unwrap().len() == 1,
        "{json}"
    );
    let same = ["--with", &base, "--folds", "3", "--seeds", "1"];
    let (table, _) = run("study", &[&source[..], &same].concat());
    assert!(table.contains("Verdict: not resolved."), "{table}");
    let fewer = text.replace("\"209\",", "").replace("\"209\"", "");
    std::fs::write(&changed, fewer).unwrap();
    let error = refusal(&[&["study"], &source[..], &with].concat());
    assert!(
        error.contains("changed.toml: its [data.records] are others than those of"),
        "{error}"
    );
    let nstdb = Path::new(&std::env::var_os("HEARTLENS_DATA").unwrap()).join("nstdb");
    std::os::unix::fs::symlink(nstdb.canonicalize().unwrap(), path("nstdb")).unwrap();
    let noise = ["--folds", "3", "--snr", "24,-6", "--noise", "em"];
    let (table, _) = run("noise", &[&source[..], &noise].concat());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2 + 3, "{table}");
    assert!(lines[2].starts_with("| none | - | mitdb | 0."), "{table}");
    assert!(lines[4].starts_with("| em | -6 | mitdb | "), "{table}");
    assert_ne!(
        lines[2].split("mitdb").nth(1),
        lines[4].split("mitdb").nth(1)
    );
    let error = refusal(&[&["noise"], &source[..], &["--noise", "em,hum"]].concat());
    assert!(error.contains("nstdb/hum"), "{error}");
    let error = refusal(&[&["ablate"], &source[..], &["--only", "meta"]].concat());
    assert!(
        error.contains("no row meta; this config has all, waveform, "),
        "{error}"
    );
}

/// With recordings beside the records: a teacher is trained first, and a training that is resumed between the two ends where
/// one ends that was not interrupted.
fn a_student_follows_its_teacher(
    folder: &Path,
    source: &[&str],
    run: &impl Fn(&str, &[&str]) -> (String, String),
) {
    let data = std::env::var_os("HEARTLENS_DATA").unwrap();
    let theirs = Path::new(&data).join("cinc2017").canonicalize().unwrap();
    let ours = folder.join("cinc2017");
    std::fs::create_dir(&ours).unwrap();
    let labels = std::fs::read_to_string(theirs.join("REFERENCE.csv")).unwrap();
    let mut kept = String::new();
    for rhythm in ["N", "O"] {
        let of_rhythm = |line: &&str| line.ends_with(&format!(",{rhythm}"));
        for line in labels.lines().filter(of_rhythm).take(12) {
            kept += &format!("{line}\n");
            let name = line.split(',').next().unwrap();
            for file in [format!("{name}.hea"), format!("{name}.mat")] {
                std::os::unix::fs::symlink(theirs.join(&file), ours.join(file)).unwrap();
            }
        }
    }
    std::fs::write(ours.join("REFERENCE.csv"), kept).unwrap();
    let config = folder.join("taught.toml");
    let text = std::fs::read_to_string(source[1]).unwrap();
    // Enough for a teacher to be sure of something.
    let text = text.replace("steps = 20", "steps = 80");
    std::fs::write(&config, text + TAUGHT).unwrap();
    let out = folder.join("taught");
    let to = ["--out", out.to_str().unwrap()];
    let config = ["--config", config.to_str().unwrap()];
    let fit = |rest: &[&str]| run("fit", &[&config, &source[2..], &to, rest].concat()).1;
    let text = fit(&[]);
    for said in [
        " in 24 recordings labelled by rhythm",
        "training beat-teacher (9016 parameters) on 3 records and 12 recordings",
        "the teacher is sure of ",
        "training beat (9016 parameters) on 3 records and 24 recordings",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let lesson = text.split("the teacher is sure of ").nth(1).unwrap();
    let counts = lesson.lines().next().unwrap().split(", ").skip(1);
    let taught: usize = counts
        .map(|count| count.split(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert!(taught > 0, "{text}");
    let last = out.join("last.safetensors");
    let exported = || {
        let onnx = folder.join("taught.onnx");
        let to = ["--out", onnx.to_str().unwrap()];
        run(
            "export",
            &[&["--checkpoint", last.to_str().unwrap()], &to[..]].concat(),
        );
        std::fs::read(onnx).unwrap()
    };
    let whole = exported();
    std::fs::remove_file(&last).unwrap();
    let text = fit(&["--resume"]);
    assert!(
        text.contains("continuing beat-teacher after step 80")
            && !text.contains("continuing beat after"),
        "{text}"
    );
    assert!(exported() == whole);
    // One that begins anew does not take the old one for its own, and loses nothing.
    let text = fit(&[]);
    assert!(
        text.contains("last.safetensors of an earlier training is now "),
        "{text}"
    );
    assert!(out.join("last.previous.safetensors").exists() && exported() == whole);
    assert!(out.join("teacher/log.jsonl").exists());
    let folds = ["--folds", "3", "--lead", "both"];
    let (_, text) = run("cross-validate", &[&config, &source[2..], &folds].concat());
    assert!(
        text.contains("mitdb, Detected peaks, Both leads, network alone: jk"),
        "{text}"
    );
}

/// The system kills the program as soon as it writes more than 16 KiB of a file: in the middle of its first checkpoint. The
/// one that was there is still whole.
fn a_killed_training_leaves_its_checkpoint(source: &[&str], out: &str) {
    let last = format!("{out}/last.safetensors");
    let before = std::fs::read(&last).unwrap();
    assert!(before.len() > 100_000);
    let killed = Command::new("bash")
        .args(["-c", "ulimit -c 0 -f 16; exec \"$@\"", "limited"])
        .args([env!("CARGO_BIN_EXE_heartlens-train"), "fit", "--out", out])
        .args(source)
        .output()
        .unwrap();
    assert_ne!(killed.status.code(), Some(0));
    assert_eq!(std::fs::read(&last).unwrap(), before);
    let model = format!("{out}/model.onnx");
    let output = train(&["export", "--checkpoint", &last, "--out", &model]);
    assert!(output.status.success());
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
    let ours = folder.path().join("cinc2017");
    std::fs::create_dir(&ours).unwrap();
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
                std::os::unix::fs::symlink(source.join(&file), ours.join(&file)).unwrap();
            }
        }
    }
    std::fs::write(ours.join("REFERENCE.csv"), chosen).unwrap();
    let shipped = include_str!("../../models/rhythm/config.toml");
    let short = shipped.replace("steps = 700", "steps = 20");
    assert_ne!(short, shipped);
    std::fs::write(path("config.toml"), short).unwrap();
    let (config, data) = (path("config.toml"), path("."));
    let run = |verb: &str, rest: &[&str]| {
        let source = [
            verb, "--config", &config, "--data", &data, "--device", "cpu",
        ];
        let output = train(&[&source[..], rest].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{verb}: {errors}");
        (String::from_utf8(output.stdout).unwrap(), errors)
    };
    let out = path("out");
    let (last, text) = run("fit", &["--out", &out]);
    assert!(
        text.contains("training rhythm (393 parameters) on 36 recordings"),
        "{text}"
    );
    assert_eq!(last.trim(), format!("{out}/last.safetensors"));
    for file in ["log.jsonl", "curves.svg"] {
        assert!(Path::new(&out).join(file).exists(), "{file}");
    }
    let export = |to: &str| {
        let image = path(to);
        let arguments = [
            "export",
            "--config",
            &config,
            "--checkpoint",
            last.trim(),
            "--out",
            &image,
        ];
        let output = train(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("361 parameters") && text.contains("it differs from libtorch by at most"),
            "{text}"
        );
        std::fs::read(&image).unwrap()
    };
    let whole = export("rhythm.hlr");
    assert!(whole.len() > 700 && std::fs::metadata(path("rhythm.onnx")).unwrap().len() > 700);
    // Continued at its end, nothing is left to do.
    let (_, text) = run("fit", &["--out", &out, "--resume"]);
    assert!(text.contains("continuing rhythm after step 20"), "{text}");
    assert!(export("again.hlr") == whole);
    let error = refusal(&[
        "export",
        "--checkpoint",
        last.trim(),
        "--out",
        &path("model.bin"),
    ]);
    assert!(
        error.contains("is written as an image, FILE.hlr"),
        "{error}"
    );
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/rhythm/config.toml");
    let other = [
        "--config",
        shipped,
        "--checkpoint",
        last.trim(),
        "--out",
        &path("other.hlr"),
    ];
    let error = refusal(&[&["export"], &other[..]].concat());
    assert!(
        error.contains("its config differs from the given one in `steps`"),
        "{error}"
    );

    let (table, _) = run(
        "ablate",
        &["--folds", "2", "--seeds", "1", "--only", "step,half"],
    );
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[2].starts_with("| all | the config as it is | 361 | 0."),
        "{table}"
    );
    assert!(
        lines[3].starts_with("| step | step alone | 361 | "),
        "{table}"
    );
    assert!(lines[4].starts_with("| half | 4 cells | 117 | "), "{table}");
    assert_eq!(lines.len(), 5, "{table}");

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
}
