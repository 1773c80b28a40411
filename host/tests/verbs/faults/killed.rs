//! `kill -9` at random moments: nothing half written has a result's name, and the same command goes on to the same bytes.

use super::{Moments, command, contents, done, heartlens, held, kills, names, records};
use crate::server::Server;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a command again and again and kills it at a random moment of `whole`, so often; then lets it end. `killed` looks at
/// what is there after each kill, `ended` after each run that was over before its moment; then it is begun anew.
fn kill(
    whole: Duration,
    start: impl Fn() -> Command,
    mut killed: impl FnMut(),
    mut ended: impl FnMut(),
) {
    let mut moments = Moments::new();
    let mut left = kills();
    let mut runs = 0;
    while left > 0 {
        runs += 1;
        assert!(
            runs < 50 * (kills() + 1),
            "it is over before it can be killed"
        );
        let mut start = start();
        let mut child = start
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(moments.within(whole));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        // By the signal, not by an error of its own.
        match output.status.code() {
            None => {
                killed();
                left -= 1;
            }
            Some(_) => {
                done(&output);
                ended();
            }
        }
    }
    done(&start().output().unwrap());
}

/// Every file of `found` that has a result's name is whole.
fn assert_whole(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in found {
        let file = name.rsplit('/').next().unwrap();
        let is_result = !file.starts_with('.') && !name.ends_with(".jsonl");
        if is_result {
            assert!(Some(bytes) == expected.get(name), "{name} is half written");
        }
    }
}

/// [Kills](kill) a command that writes these files into a folder: none of them is ever half written.
fn kill_writer(
    whole: Duration,
    start: impl Fn() -> Command,
    out: &Path,
    expected: &BTreeMap<String, Vec<u8>>,
) {
    let look = || assert_whole(&contents(out), expected);
    kill(whole, start, look, || fs::remove_dir_all(out).unwrap());
}

fn held_after_kills(command: &str, since: Instant, files: usize) {
    let kills = kills();
    held(
        &format!("kill -9 of {command}"),
        since,
        &format!("{kills} kills, {files} files to the same bytes, nothing else left"),
    );
}

fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    done(&command.output().unwrap());
    start.elapsed()
}

#[test]
fn classify_into_a_folder() {
    let since = Instant::now();
    let records = records(&["a", "b", "n/c", "n/d", "e"], "4");
    let folder = tempfile::tempdir().unwrap();
    let at = |out: &str| {
        let mut classify = command(["classify"]);
        classify.arg(records.path()).args(["--resume", "--out"]);
        classify.args([folder.path().join(out).as_os_str()]);
        classify.args(["--formats", "annotations,csv,json,parquet,report"]);
        classify
    };
    let whole = timed(&mut at("expected"));
    let mut expected = contents(&folder.path().join("expected"));
    let journal = expected.remove("heartlens.jsonl").unwrap();
    assert_eq!(expected.len(), 5 * 5);
    let out = folder.path().join("out");
    kill_writer(whole, || at("out"), &out, &expected);
    let mut found = contents(&out);
    // What a killed run was adding to the journal may be there twice or cut, and does no harm.
    let ours = found.remove("heartlens.jsonl").unwrap();
    assert!(ours.len() >= journal.len());
    assert!(found == expected, "{:?}", names(&out));
    let said = done(&at("out").output().unwrap());
    assert!(said.contains("5 of 5 records were done before"), "{said}");
    held_after_kills("classify DIR --out", since, expected.len());
}

#[test]
fn classify_into_tables() {
    let since = Instant::now();
    let records = records(&["a", "b", "c"], "4");
    let folder = tempfile::tempdir().unwrap();
    let at = |out: &str| {
        let mut classify = command(["classify"]);
        classify
            .arg(records.path())
            .arg("--tables")
            .arg(folder.path().join(out));
        classify
    };
    let whole = timed(&mut at("expected"));
    let expected = contents(&folder.path().join("expected"));
    let out = folder.path().join("out");
    kill_writer(whole, || at("out"), &out, &expected);
    assert!(contents(&out) == expected, "{:?}", names(&out));
    held_after_kills("classify DIR --tables", since, expected.len());
}

/// Killed while it writes what the folder is, in Rust or in Python, a run leaves nothing that the next one takes for somebody else's.
#[test]
fn tables_that_were_killed_in_their_first_moments() {
    let (folder, record) = crate::demo::copy();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let left = [
        ".heartlens-_heartlens.json.tmp",
        "._heartlens.json.4711.tmp",
    ];
    for name in left {
        fs::write(out.join(name), "{").unwrap();
    }
    let classify = || {
        heartlens([
            "classify".as_ref(),
            record.as_os_str(),
            "--tables".as_ref(),
            out.as_os_str(),
        ])
    };
    done(&classify());
    assert!(
        names(&out)
            .iter()
            .all(|name| !left.contains(&name.as_str()))
    );
    // Any other file is somebody's.
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join(".notes.tmp"), "mine").unwrap();
    super::refused(&classify(), &["found a folder with other files"]);
    assert_eq!(names(&out), [".notes.tmp"]);
}

/// `nohup` has a command outlive its terminal.
#[cfg(target_os = "linux")]
#[test]
fn the_end_of_a_terminal_is_ignored_where_it_is_to_be() {
    let records = records(&["a"], "60");
    let csv = records.path().join("a-beats.csv");
    for (trap, outlives) in [("trap '' HUP", true), ("true", false)] {
        let child = Command::new("sh")
            .args([
                "-c",
                &format!("{trap}; exec \"$@\""),
                "sh",
                env!("CARGO_BIN_EXE_heartlens"),
                "classify",
            ])
            .arg(records.path().join("a"))
            .arg("--csv")
            .arg(&csv)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !names(records.path())
            .iter()
            .any(|name| name.ends_with(".tmp"))
        {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not begin"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &id])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(if outlives { 0 } else { 130 }));
        assert_eq!(csv.exists(), outlives);
        let _ = fs::remove_file(&csv);
        assert_eq!(names(records.path()), ["a.atr", "a.dat", "a.hea"]);
    }
}

#[test]
fn convert_to_several_formats() {
    let records = records(&["a"], "20");
    for (name, format) in [("x", "WFDB"), ("x.csv", "CSV"), ("x.edf", "EDF+")] {
        let since = Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let to = |out: &str| {
            let below = folder.path().join(out);
            fs::create_dir_all(&below).unwrap();
            let mut convert = command(["convert"]);
            convert.args([records.path().join("a"), below.join(name)]);
            convert
        };
        let whole = timed(&mut to("expected"));
        let expected = contents(&folder.path().join("expected"));
        let out = folder.path().join("out");
        kill(
            whole,
            || to("out"),
            || {
                let found = contents(&out);
                assert_whole(&found, &expected);
                // Where all was done already, the command refuses to write over a recording.
                if found == expected {
                    fs::remove_dir_all(&out).unwrap();
                }
            },
            || fs::remove_dir_all(&out).unwrap(),
        );
        assert!(contents(&out) == expected, "{name}: {:?}", names(&out));
        held_after_kills(&format!("convert to {format}"), since, expected.len());
    }
}

/// Killed between two files of a record, what it had finished is no recording that must not be written over; a recording is.
#[test]
fn convert_that_was_killed_between_two_files() {
    let (folder, record) = crate::demo::copy();
    let convert = |name: &str| {
        heartlens([
            "convert".as_ref(),
            record.as_os_str(),
            folder.path().join(name).as_os_str(),
        ])
    };
    for (name, first, last) in [
        ("x", "x.dat", "x.hea"),
        ("x.csv", "x.csv", "x.annotations.csv"),
    ] {
        done(&convert(name));
        let (first, last) = (folder.path().join(first), folder.path().join(last));
        let whole = fs::read(&first).unwrap();
        fs::remove_file(&last).unwrap();
        // Without a trace of a killed run it is somebody's.
        super::refused(&convert(name), &["would overwrite a recording"]);
        let left = |path: &Path| {
            path.with_file_name(format!(
                ".heartlens-{}.tmp",
                path.file_name().unwrap().to_str().unwrap()
            ))
        };
        fs::write(left(&last), "half").unwrap();
        // Nor is it the killed run's where that was still at it.
        fs::write(left(&first), "half").unwrap();
        super::refused(&convert(name), &["would overwrite a recording"]);
        fs::remove_file(left(&first)).unwrap();
        done(&convert(name));
        assert!(fs::read(&first).unwrap() == whole && last.exists() && !left(&last).exists());
    }
}

#[test]
fn fetch() {
    let since = Instant::now();
    let mut files = HashMap::new();
    let mut sums = String::new();
    for i in 0..30_u32 {
        let bytes: Vec<u8> = (0..400_000 + i)
            .map(|k| (k.wrapping_mul(k + i) >> 7) as u8)
            .collect();
        let sum: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        sums += &format!("{sum} {i}.dat\n");
        files.insert(format!("/files/mitdb/1.0.0/{i}.dat"), bytes);
    }
    files.insert(
        "/files/mitdb/1.0.0/SHA256SUMS.txt".to_owned(),
        sums.into_bytes(),
    );
    let server = Server::start(files);
    let folder = tempfile::tempdir().unwrap();
    let to = |out: &str| {
        let mut fetch = command(["fetch", "mitdb", "--from"]);
        fetch
            .arg(format!("{}/files", server.address))
            .arg("--out")
            .arg(folder.path().join(out));
        fetch.env("NO_PROXY", "127.0.0.1");
        fetch
    };
    let whole = timed(&mut to("expected"));
    let expected = contents(&folder.path().join("expected"));
    assert_eq!(expected.len(), 30);
    let out = folder.path().join("out");
    kill_writer(whole, || to("out"), &out, &expected);
    assert!(contents(&out) == expected, "{:?}", names(&out));
    held_after_kills("fetch", since, expected.len());
}
