//! A disk that is full, a folder that is read-only.

use super::{Mounted, command, contents, done, heartlens, held, names, records, refused, skipped};
use crate::demo;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A file system of so many bytes.
fn small(folder: &Path, size: &str) -> Option<Mounted> {
    let size = format!("size={size}");
    Mounted::new(
        &["-t", "tmpfs", "-o", &size, "tmpfs"],
        folder,
        Stdio::null(),
    )
}

/// Every result that finds no room is named, and none is half there.
#[test]
fn a_full_disk_is_named_and_nothing_half_written_stays() {
    let since = Instant::now();
    let (_folder, record) = demo::copy();
    let small_folder = tempfile::tempdir().unwrap();
    let Some(_small) = small(small_folder.path(), "64k") else {
        return;
    };
    let at = |name: &str| small_folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("fill"), vec![0; 60 << 10]).unwrap();
    let record = record.to_str().unwrap();
    let onnx = "models/beat/model.onnx";
    let tries = [
        vec!["classify", record, "--csv", "x.csv"],
        vec!["classify", record, "--json", "x.json"],
        vec!["classify", record, "--report", "x.html"],
        vec!["classify", record, "--parquet", "x.parquet"],
        vec!["classify", record, "--out", "x", "--formats", "json"],
        vec!["classify", record, "--tables", "x"],
        vec!["convert", record, "x"],
        vec!["convert", record, "x.edf"],
        vec!["convert", record, "x.csv"],
        vec!["plot", record, "--out", "x.svg"],
        vec!["synth", "--minutes", "1", "--out", "x"],
        vec!["evaluate", record, "--from", "0", "--report", "x.html"],
        vec!["compile", onnx, "--calibrate", record, "--out", "x.hlm"],
    ];
    for args in &tries {
        let place = |arg: &&str| match arg.starts_with('x') {
            true => at(arg),
            false => (*arg).to_owned(),
        };
        let output = heartlens(args.iter().map(place));
        let named = format!("{}/x", small_folder.path().display());
        refused(&output, &[&named, "No space left on device"]);
        let left: Vec<String> = names(small_folder.path());
        // A new data set begins with files without rows.
        let is_whole =
            |name: &String| name == "fill" || name.ends_with("part-0000000000000000.parquet");
        assert!(left.iter().all(is_whole), "{args:?}: {left:?}");
        let _ = fs::remove_dir_all(at("x"));
    }
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for args in [
        &["classify", record][..],
        &["classify", record, "--json", "-"],
        &["inspect", record],
    ] {
        let output = command(args)
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        refused(
            &output.wait_with_output().unwrap(),
            &["standard output: cannot be written"],
        );
    }
    let output = command(["classify", record, "--json", "-"])
        .env("TMPDIR", small_folder.path())
        .output()
        .unwrap();
    refused(&output, &["a temporary file in", "No space left"]);
    held(
        "a full disk",
        since,
        &format!(
            "{} results refused by name, none half written",
            tries.len() + 4
        ),
    );
}

/// A run that fills the disk keeps what is whole, and goes on once there is room.
#[test]
fn a_run_goes_on_once_there_is_room() {
    let since = Instant::now();
    let records = records(&["a", "b", "c", "d"], "2");
    let folder = tempfile::tempdir().unwrap();
    let classify = |out: &Path| {
        let mut classify = command(["classify", "--resume", "--formats", "json,csv", "--out"]);
        classify.arg(out).arg(records.path());
        classify
    };
    let expected = folder.path().join("expected");
    done(&classify(&expected).output().unwrap());
    let mut expected = contents(&expected);
    expected.remove("heartlens.jsonl");
    let bytes: usize = expected.values().map(Vec::len).sum();
    let mount = folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let Some(small) = small(&mount, &format!("{}k", bytes / 1024 / 2)) else {
        return;
    };
    let out = mount.join("out");
    let output = classify(&out).output().unwrap();
    refused(
        &output,
        &["No space left on device", "records could not be classified"],
    );
    let mut found = contents(&out);
    found.remove("heartlens.jsonl");
    assert!(!found.is_empty() && found.len() < expected.len());
    assert!(
        found
            .iter()
            .all(|(name, bytes)| expected.get(name) == Some(bytes)),
        "{:?}",
        found.keys()
    );
    let more = format!("remount,size={}k", 4 * bytes / 1024);
    assert!(
        Command::new("mount")
            .args(["-o", &more])
            .arg(&small.0)
            .status()
            .unwrap()
            .success()
    );
    let said = done(&classify(&out).output().unwrap());
    assert!(said.contains("records were done before"), "{said}");
    let mut found = contents(&out);
    found.remove("heartlens.jsonl");
    assert!(found == expected);
    held(
        "a disk that fills up",
        since,
        "what was whole stayed, --resume did the rest to the same bytes",
    );
}

/// The system's limit on a file's length stands in for a full disk where nothing may be mounted.
#[test]
fn a_file_that_may_not_grow_is_named() {
    let (folder, record) = demo::copy();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let before = names(folder.path());
    for flag in ["--csv", "--json", "--report"] {
        let to = at(&format!("x.{}", &flag[2..]));
        let output = Command::new("bash")
            .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "limited"])
            .args([
                env!("CARGO_BIN_EXE_heartlens"),
                "classify",
                record.to_str().unwrap(),
                flag,
                &to,
            ])
            .output()
            .unwrap();
        refused(&output, &[&to, "File too large"]);
        assert_eq!(names(folder.path()), before);
    }
}

#[test]
fn a_read_only_folder_is_named() {
    let since = Instant::now();
    let (folder, record) = demo::copy();
    let other = tempfile::tempdir().unwrap();
    let before = contents(folder.path());
    let Some(mounted) = Mounted::new(
        &["--bind", folder.path().to_str().unwrap()],
        folder.path(),
        Stdio::null(),
    ) else {
        return;
    };
    let remount = Command::new("mount")
        .args(["-o", "remount,ro,bind"])
        .arg(&mounted.0)
        .status();
    if !remount.is_ok_and(|status| status.success()) {
        return skipped("a mounted folder cannot be made read-only here");
    }
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let name = record.to_str().unwrap();
    let tries = [
        vec!["classify", name, "--annotations", "hlb"],
        vec!["classify", name, "--json", "x.json"],
        vec!["classify", name, "--out", "x"],
        vec!["classify", name, "--tables", "x"],
        vec!["convert", name, "x"],
        vec!["convert", name, "x.edf"],
        vec!["synth", "--minutes", "1", "--out", "x"],
        vec!["fetch", "mitdb", "--attempts", "1", "--out", "x"],
    ];
    let server = crate::server::Server::start(
        [(
            "/files/mitdb/1.0.0/SHA256SUMS.txt".to_owned(),
            format!("{} 1.hea\n", "0".repeat(64)).into_bytes(),
        )]
        .into(),
    );
    for args in &tries {
        let place = |arg: &&str| match arg.starts_with('x') {
            true => at(arg),
            false => (*arg).to_owned(),
        };
        let mut command = command(args.iter().map(place));
        if args[0] == "fetch" {
            command
                .args(["--from", &format!("{}/files", server.address)])
                .env("NO_PROXY", "127.0.0.1");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(said.contains("read-only file"), "{args:?}: {said}");
        refused(&output, &[folder.path().to_str().unwrap()]);
    }
    // It can be read from, to elsewhere.
    let out = other.path().join("out");
    done(&heartlens([
        "classify",
        name,
        "--out",
        out.to_str().unwrap(),
    ]));
    assert!(contents(folder.path()) == before);
    held(
        "a read-only folder",
        since,
        &format!("{} results refused by name, its record read", tries.len()),
    );
}
