//! `classify` on many records: folders, files of each record, failures among them, interruption and resumption.

use super::{heartlens, refused, stderr};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Output;

/// A folder with these synthetic records of `minutes`.
pub(super) fn records(names: &[&str], minutes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (seed, name) in (1..).zip(names) {
        let seed = seed.to_string();
        let path = folder.path().join(name);
        let args = [
            "synth",
            "--minutes",
            minutes,
            "--seed",
            &seed,
            "--noise",
            "20",
            "--out",
        ];
        let output = heartlens(args.iter().map(OsStr::new).chain([path.as_os_str()]));
        assert!(output.status.success(), "{}", stderr(&output));
    }
    folder
}

/// `classify FOLDER` with these flags; `@` stands for the folder.
pub(super) fn classify(folder: &Path, flags: &[&str]) -> Output {
    let folder = folder.to_str().unwrap();
    let flags = flags.iter().map(|flag| flag.replace('@', folder));
    heartlens(
        ["classify".to_owned(), folder.to_owned()]
            .into_iter()
            .chain(flags),
    )
}

pub(super) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// All files below a folder, as paths below it.
pub(super) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().into()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_is_read_side_by_side_and_told_in_order() {
    let folder = records(&["b/2", "b/1", "a", "c"], "0.5");
    let out = tempfile::tempdir().unwrap();
    let out_flag = out.path().join("results");
    let flags = |threads: &'static str| {
        [
            "--out",
            out_flag.to_str().unwrap(),
            "--json",
            "@/all.json",
            "--csv",
            "-",
            "--threads",
            threads,
        ]
    };
    let one = classify(folder.path(), &flags("1"));
    assert!(one.status.success(), "{}", stderr(&one));
    let first = fs::read(folder.path().join("all.json")).unwrap();
    let three = classify(folder.path(), &flags("3"));
    assert_eq!(one.stdout, three.stdout);
    assert_eq!(first, fs::read(folder.path().join("all.json")).unwrap());

    let names = ["a", "b/1", "b/2", "c"];
    let all = json(&folder.path().join("all.json"));
    let all = all.as_array().unwrap();
    assert_eq!(
        all.iter()
            .map(|o| o["record"].as_str().unwrap())
            .collect::<Vec<_>>(),
        names
    );
    let mut expected: Vec<String> = names
        .iter()
        .flat_map(|name| ["csv", "hlb", "html", "json"].map(|e| format!("{name}.{e}")))
        .chain(["heartlens.jsonl".to_owned()])
        .collect();
    expected.sort();
    assert_eq!(files(&out_flag), expected);
    let mut lines = String::new();
    for (name, object) in names.iter().zip(all) {
        assert_eq!(&json(&out_flag.join(format!("{name}.json"))), object);
        assert!(object["beats"].as_array().unwrap().len() > 15, "{name}");
        let csv = fs::read_to_string(out_flag.join(format!("{name}.csv"))).unwrap();
        let (header, rows) = csv.split_once('\n').unwrap();
        if lines.is_empty() {
            lines = format!("{header}\n");
        }
        lines.push_str(rows);
        let report = fs::read_to_string(out_flag.join(format!("{name}.html"))).unwrap();
        assert!(report.contains("<svg") && report.ends_with("</html>"));
    }
    assert_eq!(String::from_utf8(one.stdout.clone()).unwrap(), lines);
    let words = stderr(&one);
    assert!(
        words.contains("all 4") && words.contains("not a medical device"),
        "{words}"
    );
}

#[test]
fn one_bad_record_does_not_spoil_the_others() {
    let folder = records(&["a", "b", "c", "d"], "0.5");
    let b = folder.path().join("b.dat");
    let data = fs::read(&b).unwrap();
    // In the middle of a frame of three bytes.
    fs::write(&b, &data[..data.len() / 6 * 3 + 1]).unwrap();
    fs::write(folder.path().join("d.hea"), "nonsense").unwrap();
    let output = classify(folder.path(), &["--json", "@/all.json", "--out", "@/out"]);
    let words = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.len(), 3, "{words}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains("b.dat"));
    assert!(lines[1].starts_with("error: ") && lines[1].contains("d.hea"));
    assert!(
        lines[2].contains("2 of 4 records") && lines[2].contains("b, d"),
        "{words}"
    );
    let all = json(&folder.path().join("all.json"));
    let done: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["record"].as_str().unwrap())
        .collect();
    assert_eq!(done, ["a", "c"]);
    let written = files(&folder.path().join("out"));
    assert_eq!(written.len(), 2 * 4 + 1, "{written:?}");

    for name in ["a", "c"] {
        fs::write(folder.path().join(name).with_extension("hea"), "nonsense").unwrap();
    }
    fs::remove_file(folder.path().join("all.json")).unwrap();
    let output = classify(
        folder.path(),
        &["--json", "@/all.json", "--parquet", "@/all.parquet"],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("none of 4 records"));
    assert!(
        files(folder.path())
            .iter()
            .all(|file| !file.starts_with("all") && !file.ends_with("tmp"))
    );
}

#[test]
fn what_is_done_is_not_done_again_unless_something_changed() {
    let folder = records(&["a", "b", "c"], "0.5");
    let flags = ["--out", "@/out", "--formats", "json,csv", "--resume"];
    let run = |more: &[&str]| {
        let output = classify(folder.path(), &[&flags[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let done = |count: usize| format!("{count} of 3 records were done before");
    assert!(!run(&[]).contains("done before"));
    assert!(run(&[]).contains(&done(3)));
    // A record that changed.
    let b = folder.path().join("b.hea");
    let header = fs::read_to_string(&b).unwrap();
    fs::write(&b, header + "# and a comment\n").unwrap();
    assert!(run(&[]).contains(&done(2)));
    // A file that is gone, and one that was cut.
    fs::remove_file(folder.path().join("out/a.csv")).unwrap();
    assert!(run(&[]).contains(&done(2)));
    fs::write(folder.path().join("out/c.json"), "{").unwrap();
    assert!(run(&[]).contains(&done(2)));
    json(&folder.path().join("out/c.json"));
    // Another model: here one without its rhythm network.
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for file in ["model.hlm", "rhythm.hlr"] {
        fs::copy(
            super::root().join("models/beat").join(file),
            model.join(file),
        )
        .unwrap();
    }
    let other = ["--model", "@/model"];
    assert!(!run(&other).contains("done before"));
    assert!(run(&other).contains(&done(3)));
    fs::remove_file(model.join("rhythm.hlr")).unwrap();
    assert!(!run(&other).contains("done before"));
    assert!(!run(&[]).contains("done before"));
    // Another number of threads changes nothing.
    assert!(run(&["--threads", "2"]).contains(&done(3)));
    // Another flag, and another kind of file.
    assert!(!run(&["--sex", "f"]).contains("done before"));
    assert!(run(&["--sex", "f"]).contains(&done(3)));
    let output = classify(
        folder.path(),
        &["--out", "@/out", "--formats", "annotations", "--resume"],
    );
    assert!(!stderr(&output).contains("done before"));
    // Without --resume everything is done.
    let output = classify(folder.path(), &["--out", "@/out"]);
    assert!(!stderr(&output).contains("done before"));
    // A file of all records cannot be made from some.
    let output = classify(
        folder.path(),
        &["--out", "@/out", "--resume", "--json", "@/all.json"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn names_that_would_be_written_over_are_refused() {
    let folder = records(&["a/100", "b/100"], "0.2");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let args = [
        "classify",
        &path("a/100"),
        &path("b/100"),
        "--out",
        &path("out"),
    ]
    .map(str::to_owned);
    refused(&heartlens(args), &["a/100", "b/100", "different folders"]);
    assert!(!folder.path().join("out").exists());
    let empty = tempfile::tempdir().unwrap();
    refused(&classify(empty.path(), &[]), &["no record in this folder"]);
}

/// Ctrl-C in the middle: exit code 130, each record's files whole or absent, the missing ones named; then `--resume` does
/// these and no others.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_whole_files_and_can_be_resumed() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let names = ["r0", "r1", "r2", "r3", "r4", "r5"];
    let folder = records(&names, "20");
    let out = folder.path().join("out");
    let child = Command::new(env!("CARGO_BIN_EXE_heartlens"))
        .arg("classify")
        .arg(folder.path())
        .args(["--threads", "1", "--json"])
        .arg(folder.path().join("all.json"))
        .arg("--out")
        .arg(&out)
        .current_dir(super::root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !out.join("heartlens.jsonl").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "the first record takes too long"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupted = Instant::now();
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let seconds = interrupted.elapsed().as_secs_f64();
    let words = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{words}");
    assert!(seconds < 20.0, "{seconds} s from Ctrl-C to the end");
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(
        words.contains("interrupted: ") && words.contains("--resume"),
        "{words}"
    );

    let written = files(&out);
    let done: Vec<&str> = names
        .into_iter()
        .filter(|name| written.contains(&format!("{name}.json")))
        .collect();
    assert!(!done.is_empty() && done.len() < names.len(), "{done:?}");
    let missing = words
        .split_once("missing: ")
        .unwrap()
        .1
        .split(';')
        .next()
        .unwrap();
    for name in names {
        let count = written.iter().filter(|file| file.starts_with(name)).count();
        assert_eq!(
            count,
            if done.contains(&name) { 4 } else { 0 },
            "{name}: {written:?}"
        );
        assert_eq!(
            missing.split(", ").any(|m| m == name),
            !done.contains(&name),
            "{words}"
        );
        if done.contains(&name) {
            let beats = json(&out.join(format!("{name}.json")));
            assert!(beats["beats"].as_array().unwrap().len() > 800);
        }
    }
    assert!(!folder.path().join("all.json").exists());
    assert!(
        files(folder.path())
            .iter()
            .all(|file| !file.ends_with(".tmp"))
    );

    let changed = |name: &str| {
        let file = out.join(name).with_extension("json");
        fs::metadata(file).unwrap().modified().unwrap()
    };
    let before: Vec<_> = done.iter().map(|name| changed(name)).collect();
    let output = classify(folder.path(), &["--out", "@/out", "--resume"]);
    let words = stderr(&output);
    assert!(output.status.success(), "{words}");
    let passed_over = format!("{} of 6 records were done before", done.len());
    assert!(words.contains(&passed_over), "{words}");
    assert_eq!(files(&out).len(), 4 * names.len() + 1);
    assert_eq!(
        before,
        done.iter().map(|name| changed(name)).collect::<Vec<_>>()
    );
}

/// The Parquet file has the beats of the JSON, row by row.
#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_same_beats() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let folder = records(&["x/1", "x/2"], "0.5");
    let output = classify(
        folder.path(),
        &[
            "--parquet",
            "@/beats.parquet",
            "--json",
            "@/all.json",
            "--out",
            "@/out",
            "--formats",
            "parquet",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = |name: &str| {
        let file = fs::File::open(folder.path().join(name)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let notes = reader
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .unwrap()
            .clone();
        assert!(
            notes
                .iter()
                .any(|note| note.key == "model" && note.value.as_deref() == Some("beat"))
        );
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().into_columns())
            .collect::<Vec<_>>()
    };
    let table = rows("beats.parquet");
    let all = json(&folder.path().join("all.json"));
    let beats: Vec<(&Value, &Value)> = all
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|o| {
            o["beats"]
                .as_array()
                .unwrap()
                .iter()
                .map(|beat| (&o["record"], beat))
        })
        .collect();
    assert_eq!(table.len(), beats.len());
    let mut without_rr = 0;
    for (row, (record, beat)) in table.iter().zip(beats) {
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "record",
                "sample",
                "time_s",
                "class",
                "rr_ms",
                "quality",
                "score_N",
                "score_S",
                "score_V",
                "score_F",
                "fibrillation",
                "lead",
                "episode",
                "unsure"
            ]
        );
        let near = |field: &Field, value: &Value, within: f64| match (field, value.as_f64()) {
            (Field::Double(x), Some(y)) => (x - y).abs() <= within,
            (Field::Float(x), Some(y)) => (f64::from(*x) - y).abs() <= within,
            (Field::Null, None) => true,
            _ => false,
        };
        assert_eq!(row[0].1, Field::Str(record.as_str().unwrap().to_owned()));
        assert_eq!(row[1].1, Field::Long(beat["sample"].as_i64().unwrap()));
        assert!(near(&row[2].1, &beat["time_s"], 1e-4));
        assert_eq!(
            row[3].1,
            Field::Str(beat["class"].as_str().unwrap().to_owned())
        );
        assert!(near(&row[4].1, &beat["rr_ms"], 0.01), "{row:?} {beat}");
        without_rr += usize::from(row[4].1 == Field::Null);
        assert!(near(&row[5].1, &beat["quality"], 1e-4));
        for (i, class) in ["N", "S", "V", "F"].into_iter().enumerate() {
            assert!(near(&row[6 + i].1, &beat["scores"][class], 1e-6));
        }
        let fibrillation = beat["fibrillation"].as_bool();
        assert_eq!(row[10].1, fibrillation.map_or(Field::Null, Field::Bool));
        let unsure = beat["unsure"].as_bool();
        assert_eq!(row[13].1, unsure.map_or(Field::Null, Field::Bool));
        if let Some(unsure) = unsure {
            let mut scores: Vec<f64> = ["N", "S", "V", "F"]
                .iter()
                .filter_map(|class| beat["scores"][class].as_f64())
                .collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(unsure, scores[0] - scores[1] < 0.5, "{beat}");
        }
    }
    assert!(
        without_rr >= 2,
        "each record's first beat has no RR interval"
    );
    let each = [rows("out/x/1.parquet"), rows("out/x/2.parquet")].concat();
    assert_eq!(each, table);
}
