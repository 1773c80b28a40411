//! `kill -9` at random moments of `fit` and `cross-validate`: the same command goes on to the same numbers, and a full disk or a
//! wrong clock spoils nothing. `cargo xtask faults` runs these with more kills (`HEARTLENS_FAULT_KILLS`).

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use heartlens_trainer::beat::config::Config;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn told(variable: &str, or: u64) -> u64 {
    std::env::var(variable).map_or(or, |told| told.parse().unwrap())
}

fn held(fault: &str, since: Instant, what: &str) {
    println!(
        "held: {fault}: {:.1} s: {what}",
        since.elapsed().as_secs_f64()
    );
}

fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Four patients of one data base, each the demo record, and a config that trains on them for a few steps.
struct Made {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("made");
        fs::create_dir(&data).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/demo");
        let names = ["a", "b", "c", "d"];
        for name in names {
            for extension in ["dat", "atr"] {
                let to = data.join(name).with_extension(extension);
                fs::copy(demo.with_extension(extension), to).unwrap();
            }
            let header = fs::read_to_string(demo.with_extension("hea")).unwrap();
            let to = data.join(name).with_extension("hea");
            fs::write(to, header.replace("demo", name)).unwrap();
        }
        let shipped = include_str!("../../models/beat/config.toml");
        let mut config = Config::parse(shipped, Path::new("config.toml")).unwrap();
        config.augmentation.noise_probability = 0.0;
        config.weak_labels = None;
        let names = names.map(str::to_owned).to_vec();
        config.data.records = BTreeMap::from([("made".to_owned(), names)]);
        config.training.steps = 24;
        config.training.batch = 32;
        let text = config.text().replace(
            "label_smoothing = 0.05",
            "label_smoothing = 0.05\nearly_stopping = { share = 0.34, patience = 9, every = 4 }",
        );
        assert!(text.contains("early_stopping"), "{text}");
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Self {
            config: path,
            folder,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heartlens-train"));
        command
            .arg(verb)
            .arg("--config")
            .arg(&self.config)
            .arg("--data")
            .arg(self.folder.path());
        command
            .args(["--device", "cpu", "--cache"])
            .arg(self.at("cache"));
        command
    }
}

/// Starts a command again and again and kills it at a random moment of `whole`; then lets it end. `ended` is called after each run
/// that was over before its moment. Moments come from a seed that is printed.
fn kill(whole: Duration, start: impl Fn() -> Command, mut ended: impl FnMut()) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut seed = told("HEARTLENS_FAULT_SEED", u64::from(now.subsec_nanos()));
    println!("HEARTLENS_FAULT_SEED={seed}");
    let kills = told("HEARTLENS_FAULT_KILLS", 3);
    let mut left = kills;
    while left > 0 {
        let mut child = start()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Knuth's MMIX.
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(whole.mul_f64((seed >> 11) as f64 / (1_u64 << 53) as f64));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            None => left -= 1,
            Some(_) => {
                done(&output);
                ended();
            }
        }
    }
    done(&start().output().unwrap());
    kills
}

/// Names of all files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a checkpoint holds: the order of its header's keys is another in each run.
fn held_in(path: &Path) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, String>) {
    let bytes = fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let header = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.data().to_vec()));
    (tensors.collect(), header.into_iter().collect())
}

/// A log without the times.
fn log(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("seconds");
        line
    });
    lines.collect()
}

#[test]
fn a_training_that_is_killed_ends_where_another_ends() {
    let since = Instant::now();
    let made = Made::new();
    // The first run prepares the records as well.
    let mut fit = made.train("fit");
    done(&fit.arg("--out").arg(made.at("first")).output().unwrap());
    let whole = Instant::now();
    let mut fit = made.train("fit");
    done(&fit.arg("--out").arg(made.at("expected")).output().unwrap());
    let whole = whole.elapsed();
    let (out, expected) = (made.at("out"), made.at("expected"));
    let kills = kill(
        whole,
        || {
            let mut fit = made.train("fit");
            // As a person does: --resume once there is something to go on with.
            if out.join("last.safetensors").exists() {
                held_in(&out.join("last.safetensors"));
                fit.arg("--resume");
            }
            fit.arg("--out").arg(&out);
            fit
        },
        || fs::remove_dir_all(&out).unwrap(),
    );
    assert_eq!(names(&out), names(&expected));
    for name in ["last.safetensors", "best.safetensors"] {
        assert!(
            held_in(&out.join(name)) == held_in(&expected.join(name)),
            "{name}"
        );
    }
    assert_eq!(
        log(&out.join("log.jsonl")),
        log(&expected.join("log.jsonl"))
    );
    assert_eq!(names(&made.at("cache")).len(), 1);
    held(
        "kill -9 of fit",
        since,
        &format!(
            "{kills} kills, weights, averages, optimiser and log to the same numbers, nothing else left"
        ),
    );
}

/// What is in a figure but how long it took.
fn timeless(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .filter(|(key, _)| !key.ends_with("_s") && key != "seconds");
            Value::Object(kept.map(|(key, value)| (key, timeless(value))).collect())
        }
        Value::Array(list) => list.into_iter().map(timeless).collect(),
        other => other,
    }
}

#[test]
fn a_cross_validation_that_is_killed_goes_on_where_it_was() {
    let since = Instant::now();
    let made = Made::new();
    let start = |name: &str| {
        let mut command = made.train("cross-validate");
        command.args(["--folds", "4", "--parallel", "1"]);
        command.arg("--keep").arg(made.at(&format!("{name}.kept")));
        command.arg("--json").arg(made.at(name));
        command
    };
    done(&start("first").output().unwrap());
    let whole = Instant::now();
    done(&start("expected").output().unwrap());
    let whole = whole.elapsed();
    let kills = kill(
        whole,
        || start("out"),
        || {
            fs::remove_file(made.at("out")).unwrap();
            fs::remove_dir_all(made.at("out.kept")).unwrap();
        },
    );
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(made.at(name)).unwrap()).unwrap()
    };
    assert_eq!(timeless(read("out")), timeless(read("expected")));
    assert_eq!(
        names(&made.at("out.kept")),
        names(&made.at("expected.kept"))
    );
    assert!(
        names(made.folder.path())
            .iter()
            .all(|name| !name.starts_with('.'))
    );
    held(
        "kill -9 of cross-validate",
        since,
        &format!("{kills} kills, the same figures, no fold trained twice, nothing else left"),
    );
}

/// A log whose last line was cut, and what a killed preparation of the records has left, under a clock that ran ahead.
#[test]
fn what_was_cut_or_left_behind_is_no_obstacle() {
    let since = Instant::now();
    let made = Made::new();
    let fit = |resume: bool| {
        let mut fit = made.train("fit");
        fit.arg("--out").arg(made.at("out"));
        if resume {
            fit.arg("--resume");
        }
        done(&fit.output().unwrap())
    };
    fs::create_dir(made.at("cache")).unwrap();
    let left = made
        .at("cache")
        .join(".heartlens-0123456789abcdef.beats.tmp");
    let file = fs::File::create(&left).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(20 * 365 * 86_400))
        .unwrap();
    drop(file);
    fit(false);
    assert!(!left.exists(), "{:?}", names(&made.at("cache")));
    let path = made.at("out/log.jsonl");
    let whole = log(&path);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert!(fit(true).contains("continuing beat after step 24"));
    assert_eq!(log(&path), whole[..whole.len() - 1]);
    held(
        "a log that was cut, a cache of the future",
        since,
        "gone on with, and removed",
    );
}

/// A disk that fills up during a training leaves the last whole checkpoint, and says which file found no room.
#[test]
fn a_training_on_a_full_disk_names_the_file_and_goes_on_later() {
    let since = Instant::now();
    let made = Made::new();
    let mount = made.at("mount");
    fs::create_dir(&mount).unwrap();
    let size = |kilobytes: u64, remount: &str| {
        let options = format!("{remount}size={kilobytes}k");
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&mount)
            .output()
    };
    if !size(200, "").is_ok_and(|output| output.status.success()) {
        return println!("skipped: no file system may be mounted here");
    }
    let fit = |resume: &[&str]| {
        made.train("fit")
            .arg("--out")
            .arg(mount.join("out"))
            .args(resume)
            .output()
            .unwrap()
    };
    let output = fit(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = names(&mount.join("out"));
    let grown = size(8000, "remount,").unwrap();
    let resumed = match found.contains(&"last.safetensors".to_owned()) {
        true => fit(&["--resume"]),
        false => fit(&[]),
    };
    let complete = names(&mount.join("out"));
    Command::new("umount")
        .arg("-l")
        .arg(&mount)
        .status()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().last().unwrap();
    assert!(
        error.starts_with("error: ")
            && error.contains("mount/out/")
            && error.contains("No space left"),
        "{said}"
    );
    assert!(
        !error.contains(".heartlens-") && found.iter().all(|name| !name.starts_with('.')),
        "{found:?}"
    );
    assert!(grown.status.success());
    done(&resumed);
    assert_eq!(
        complete,
        [
            "best.safetensors",
            "curves.svg",
            "last.safetensors",
            "log.jsonl"
        ]
    );
    held(
        "a full disk under fit",
        since,
        "the file is named, what was whole stays, and it goes on once there is room",
    );
}
