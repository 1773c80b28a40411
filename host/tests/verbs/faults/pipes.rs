//! Pipes where files are expected: nobody waits for whoever might write to them.

use super::{command, done, held, refused};
use crate::demo;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs the command, which must end by itself.
fn in_time(args: &[&str]) -> Output {
    let mut child = command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{args:?} waits for a pipe");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_pipe_is_no_record_and_nobody_waits_for_one() {
    let since = Instant::now();
    let (folder, record) = demo::copy();
    let at = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let said = "found a pipe or a device, expected a file";
    for name in [
        "p.hea", "p.edf", "p.csv", "p.dcm", "p.xml", "p.ecg", "p.scp", "p.atc", "p",
    ] {
        pipe(&at(name));
        for verb in ["classify", "evaluate", "inspect"] {
            refused(&in_time(&[verb, &text(&at(name))]), &[name, said]);
        }
    }
    // In a folder they are passed by, wherever results go.
    let all = text(folder.path());
    let json = text(&at("all.json"));
    for _ in 0..2 {
        done(&in_time(&["classify", &all, "--json", &json]));
    }
    // In place of a record's other files.
    for (extension, args) in [("atr", &["--peaks", "reference"][..]), ("dat", &[])] {
        let file = record.with_extension(extension);
        std::fs::remove_file(&file).unwrap();
        pipe(&file);
        let output = in_time(&[&["classify", &text(&record)], args].concat());
        refused(&output, &[&text(&file), said]);
    }
    held(
        "a pipe in place of a file",
        since,
        "refused by name in every place, nobody waits",
    );
}
