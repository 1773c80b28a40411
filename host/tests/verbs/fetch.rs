//! `heartlens fetch` against a server that stalls, cuts, corrupts, ignores ranges and answers with errors.

use crate::server::{Fault, Server};
use heartlens::fetch::{Database, FetchError, Options, Summary, fetch};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BASE: &str = "/files/mitdb/1.0.0";

fn signal() -> Vec<u8> {
    (0..200_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect()
}

/// A data base of three wanted files and two others, with its sums.
fn database() -> HashMap<String, Vec<u8>> {
    let mut files = HashMap::new();
    let mut sums = String::new();
    for (name, contents) in [
        ("100.dat", signal()),
        ("100.hea", b"100 1 360 10\n100.dat 16\n".to_vec()),
        ("RECORDS", b"100\n".to_vec()),
        ("mitdbdir/tables.htm", b"<html>".to_vec()),
        ("100.xws", b"settings".to_vec()),
    ] {
        let sum: String = Sha256::digest(&contents)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        sums += &format!("{sum} {name}\n");
        files.insert(format!("{BASE}/{name}"), contents);
    }
    files.insert(format!("{BASE}/SHA256SUMS.txt"), sums.into_bytes());
    files
}

fn options(server: &Server) -> Options {
    Options {
        from: format!("{}/files/", server.address),
        timeout: Duration::from_secs(1),
        attempts: 3,
        pause: Duration::from_millis(1),
        connections: 2,
    }
}

fn run(server: &Server, out: &Path) -> Result<Summary, FetchError> {
    fetch(Database::Mitdb, out, &options(server), &|_| {})
}

/// Names and contents of a folder, in order.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("ASCII");
            (name, fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

fn names(folder: &Path) -> Vec<String> {
    contents(folder).into_iter().map(|(name, _)| name).collect()
}

fn assert_whole(folder: &Path) {
    let published = database();
    let found = contents(&folder.join("mitdb"));
    assert_eq!(
        names(&folder.join("mitdb")),
        ["100.dat", "100.hea", "RECORDS"]
    );
    for (name, bytes) in found {
        assert!(
            bytes == published[&format!("{BASE}/{name}")],
            "{name} differs"
        );
    }
}

#[test]
fn a_data_base_comes_whole_and_only_once() {
    let server = Server::start(database());
    let out = tempfile::tempdir().expect("folder");
    let summary = run(&server, out.path()).expect("nothing is wrong");
    assert_eq!((summary.files, summary.already), (3, 0));
    assert_eq!(summary.bytes, 200_000 + 24 + 4);
    assert_whole(out.path());

    server.repair();
    let summary = run(&server, out.path()).expect("nothing is wrong");
    assert_eq!((summary.files, summary.already, summary.bytes), (3, 3, 0));
    assert_eq!(server.seen().len(), 1, "the sums alone are asked for again");

    // What is there and is not what was published is brought anew.
    fs::write(out.path().join("mitdb/100.hea"), "100 9 360 10\n").expect("a file");
    let summary = run(&server, out.path()).expect("nothing is wrong");
    assert_eq!((summary.files, summary.already), (3, 2));
    assert_whole(out.path());
}

#[test]
fn what_goes_wrong_twice_is_made_good() {
    let path = format!("{BASE}/100.dat");
    for (faults, starts) in [
        // Cut, and cut again: each attempt goes on where the last one ended.
        (
            [Fault::Cut, Fault::Cut],
            vec![None, Some(100_000), Some(150_000)],
        ),
        (
            [Fault::Stall, Fault::Cut],
            vec![None, Some(100_000), Some(150_000)],
        ),
        ([Fault::Silence, Fault::Status(503)], vec![None; 3]),
        ([Fault::Status(500), Fault::Status(429)], vec![None; 3]),
        // Wrong bytes: from the start.
        (
            [Fault::Corrupt, Fault::Cut],
            vec![None, None, Some(100_000)],
        ),
        (
            [Fault::Cut, Fault::Corrupt],
            vec![None, Some(100_000), None],
        ),
        // Without a length, a cut looks like the end; the sum tells.
        (
            [Fault::CutUnannounced, Fault::Cut],
            vec![None, None, Some(100_000)],
        ),
        // A server that knows no ranges sends the whole, which replaces the part.
        ([Fault::Cut, Fault::IgnoreRange], vec![None, Some(100_000)]),
        ([Fault::Cut, Fault::WholeAsPart], vec![None, Some(100_000)]),
    ] {
        let server = Server::start(database());
        let out = tempfile::tempdir().expect("folder");
        server.faults(&path, &faults);
        let summary = run(&server, out.path()).unwrap_or_else(|e| panic!("{faults:?}: {e}"));
        assert_eq!(summary.files, 3);
        assert_eq!(server.starts(&path), starts, "{faults:?}");
        assert_whole(out.path());
    }
}

#[test]
fn what_stays_wrong_is_named_and_leaves_no_file() {
    for (fault, message, attempts) in [
        (Fault::Status(404), "the server answered 404", None),
        (Fault::Status(403), "the server answered 403", None),
        (Fault::Status(500), "500", Some(3)),
        (Fault::Silence, "timeout", Some(3)),
        (Fault::Corrupt, "SHA-256 is ", Some(3)),
    ] {
        let server = Server::start(database());
        let out = tempfile::tempdir().expect("folder");
        let path = format!("{BASE}/100.dat");
        server.always(&path, fault);
        let error = run(&server, out.path()).expect_err("it stays wrong");
        let text = error.to_string();
        assert!(text.contains("/files/mitdb/1.0.0/100.dat: "), "{text}");
        assert!(text.contains(message) && !text.contains('\n'), "{text}");
        // What will not pass is asked for once, and nobody is told to try again.
        assert_eq!(text.contains("run the command again"), attempts.is_some());
        match error {
            FetchError::Failed { attempts: n, .. } => assert_eq!(Some(n), attempts),
            FetchError::Refused { .. } => {
                assert_eq!(attempts, None);
                assert!(text.contains("expected 200 OK and the file; "), "{text}");
            }
            other => panic!("{other}"),
        }
        let asked = attempts.unwrap_or(1) as usize;
        assert_eq!(server.starts(&path).len(), asked, "{text}");
        assert!(!out.path().join("mitdb/100.dat").exists(), "{text}");
    }
}

/// A connection that is cut again and again but brings something each time is not given up.
#[test]
fn progress_starts_the_count_anew() {
    let server = Server::start(database());
    let out = tempfile::tempdir().expect("folder");
    let path = format!("{BASE}/100.dat");
    server.faults(&path, &[Fault::Cut; 12]);
    run(&server, out.path()).expect("each attempt brought half of the rest");
    assert_eq!(server.starts(&path).len(), 13);
    assert_whole(out.path());
}

#[test]
fn another_run_goes_on_where_the_last_one_ended() {
    let server = Server::start(database());
    let out = tempfile::tempdir().expect("folder");
    let path = format!("{BASE}/100.dat");
    server.faults(&path, &[Fault::Cut, Fault::Status(404)]);
    let error = run(&server, out.path()).expect_err("404");
    assert!(matches!(&error, FetchError::Refused { status, .. } if status.as_u16() == 404));
    let there = names(&out.path().join("mitdb"));
    assert!(there.contains(&".100.dat.part".to_owned()) && !there.contains(&"100.dat".to_owned()));

    server.repair();
    run(&server, out.path()).expect("nothing is wrong any more");
    assert_eq!(server.starts(&path), [Some(100_000)]);
    assert_whole(out.path());
}

/// A part that is the whole file, or longer than it, is answered with 416: its sum decides.
#[test]
fn a_part_that_is_complete_or_too_long_is_no_dead_end() {
    let server = Server::start(database());
    for part in [signal(), [signal(), b"more".to_vec()].concat()] {
        let out = tempfile::tempdir().expect("folder");
        fs::create_dir(out.path().join("mitdb")).expect("folder");
        fs::write(out.path().join("mitdb/.100.dat.part"), part).expect("a file");
        run(&server, out.path()).expect("nothing is wrong");
        assert_whole(out.path());
    }
}

#[test]
fn sums_that_are_none_are_refused_and_nothing_is_written() {
    let sum = "0".repeat(64);
    for (text, message) in [
        (
            "<html>Not found</html>\n".to_owned(),
            "line 1: found \"<html>Not",
        ),
        (format!("{sum} 100.hea\n{sum} ../100.dat\n"), "line 2"),
        (format!("{sum} /etc/passwd\n"), "line 1"),
        (format!("{sum} a/../../100.dat\n"), "line 1"),
        (format!("{sum} C:\\100.dat\n"), "line 1"),
        (format!("{} 100.dat\n", "0".repeat(40)), "line 1"),
        (format!("{sum} notes.txt\n"), "lists no record of mitdb"),
        (String::new(), "lists no record of mitdb"),
    ] {
        let sums = format!("{BASE}/SHA256SUMS.txt");
        let server = Server::start(HashMap::from([(sums, text.clone().into_bytes())]));
        let out = tempfile::tempdir().expect("folder");
        let error = run(&server, out.path()).expect_err("no sums").to_string();
        assert!(
            error.contains(message) && error.contains("SHA256SUMS.txt"),
            "{error}"
        );
        assert!(names(out.path()).is_empty(), "{text}");
    }
    let server = Server::start(HashMap::new());
    let out = tempfile::tempdir().expect("folder");
    let error = run(&server, out.path()).expect_err("404").to_string();
    assert!(error.contains("404"), "{error}");
}

/// A server of files at this address, each of which holds its own name, with their sums.
fn published(base: &str, names: &[&str]) -> Server {
    let mut files = HashMap::new();
    let mut sums = String::new();
    for name in names {
        let sum: String = Sha256::digest(name)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        sums += &format!("{sum}  {name}\n");
        files.insert(format!("{base}/{name}"), name.as_bytes().to_vec());
    }
    files.insert(format!("{base}/SHA256SUMS.txt"), sums.into_bytes());
    Server::start(files)
}

/// The records of cinc2017 stand in one folder, as the trainer wants them.
#[test]
fn the_tree_of_cinc2017_is_made_flat() {
    let server = published(
        "/files/challenge-2017/1.0.0",
        &[
            "REFERENCE-v3.csv",
            "training/A00/A00001.hea",
            "training/A00/A00001.mat",
            "training/A00/A00001.pdf",
            "validation/A00002.hea",
            "REFERENCE-v0.csv",
        ],
    );
    let out = tempfile::tempdir().expect("folder");
    fetch(Database::Cinc2017, out.path(), &options(&server), &|_| {}).expect("nothing is wrong");
    let found = contents(&out.path().join("cinc2017"));
    let expected = [
        ("A00001.hea", "training/A00/A00001.hea"),
        ("A00001.mat", "training/A00/A00001.mat"),
        ("REFERENCE.csv", "REFERENCE-v3.csv"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    assert_eq!(found, expected);
}

/// Folders of a thousand records stay folders, and what is in them is taken up again.
#[test]
fn the_folders_of_challenge_2021_are_kept() {
    let server = published(
        "/files/challenge-2021/1.0.3",
        &[
            "training/georgia/g1/E00001.hea",
            "training/georgia/g1/E00001.mat",
            "training/georgia/g1/RECORDS",
            "training/ningbo/g2/JS10001.hea",
            "sources/dx_mapping_scored.csv",
            "index.html",
        ],
    );
    let out = tempfile::tempdir().expect("folder");
    let get = || {
        fetch(
            Database::Challenge2021,
            out.path(),
            &options(&server),
            &|_| {},
        )
    };
    assert_eq!(get().expect("nothing is wrong").files, 3);
    let folder = out.path().join("challenge-2021");
    for name in [
        "georgia/g1/E00001.hea",
        "georgia/g1/E00001.mat",
        "ningbo/g2/JS10001.hea",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).expect(name);
        assert_eq!(text, format!("training/{name}"));
    }
    assert!(!folder.join("georgia/g1/RECORDS").exists());
    assert_eq!(get().expect("nothing is wrong").already, 3);
}

/// The command: what it says, its exit codes, and the environment's proxy.
#[test]
fn the_command_uses_the_proxy_of_the_environment() {
    let server = Server::start(database());
    let out = tempfile::tempdir().expect("folder");
    let command = |from: &str, proxy: &str| {
        Command::new(env!("CARGO_BIN_EXE_heartlens"))
            .args([
                "fetch",
                "mitdb",
                "--attempts",
                "1",
                "--timeout",
                "2",
                "--out",
            ])
            .arg(out.path())
            .args(["--from", from])
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .env("ALL_PROXY", proxy)
            .output()
            .expect("the command")
    };
    // Port 9 of this machine discards, or refuses; no proxy is there.
    let output = command("http://physionet.invalid/files", "http://127.0.0.1:9");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("SHA256SUMS.txt"), "{message}");

    let output = command("http://physionet.invalid/files", &server.address);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert!(message.is_empty(), "{message}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.ends_with("mitdb: 3 files whole, 0 of them before; 0.2 MB received\n"),
        "{said}"
    );
    assert!(server.seen().iter().all(|seen| seen.proxied));
    assert_whole(out.path());
}
