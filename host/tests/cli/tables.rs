//! `classify --tables`: what it writes, that it goes on, and what it refuses.

use super::many::{classify, files, json, records};
use super::{refused, stderr};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::fs;
use std::path::Path;

/// All rows of a table.
fn rows(out: &Path, table: &str) -> Vec<Row> {
    let mut all = Vec::new();
    for file in files(&out.join(table)) {
        let file = fs::File::open(out.join(table).join(file)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        all.extend(reader.get_row_iter(None).unwrap().map(Result::unwrap));
    }
    all
}

fn text(row: &Row, column: &str) -> String {
    let field = row.get_column_iter().find(|(name, _)| *name == column);
    match field.unwrap().1 {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn a_run_goes_on_where_the_one_before_ended() {
    let folder = records(&["x/1", "x/2"], "0.5");
    fs::write(folder.path().join("x/3.hea"), "no header").unwrap();
    let out = folder.path().join("out");
    let run = || {
        classify(
            &folder.path().join("x"),
            &["--tables", out.to_str().unwrap()],
        )
    };
    let output = run();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("1 of 3 records could not be classified: 3"));
    let names = |table| {
        let mut names: Vec<String> = rows(&out, table)
            .iter()
            .map(|r| text(r, "record"))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(names("records"), ["1", "2"]);
    assert_eq!(names("beats"), ["1", "2"]);
    let errors = rows(&out, "errors");
    assert_eq!(errors.len(), 1);
    assert!(text(&errors[0], "file").ends_with("x/3.hea"));
    assert!(
        text(&errors[0], "message").contains("3.hea"),
        "{:?}",
        errors[0]
    );

    // The beats are those of `--parquet`, to the bit.
    let table = folder.path().join("beats.parquet");
    let output = classify(
        &folder.path().join("x"),
        &["--parquet", table.to_str().unwrap(), "--json", "@/all.json"],
    );
    assert_eq!(output.status.code(), Some(1));
    let reader = SerializedFileReader::new(fs::File::open(&table).unwrap()).unwrap();
    let alone: Vec<Row> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut beats = rows(&out, "beats");
    beats.sort_by_key(|row| text(row, "record"));
    assert_eq!(beats, alone);

    // The row of a record has the figures of its JSON.
    let all = json(&folder.path().join("x/all.json"));
    let row = rows(&out, "records")
        .into_iter()
        .find(|row| text(row, "record") == "2")
        .unwrap();
    let object = all
        .as_array()
        .unwrap()
        .iter()
        .find(|o| o["record"] == "2")
        .unwrap();
    assert_eq!(text(&row, "beats"), object["summary"]["beats"].to_string());
    assert_eq!(text(&row, "model"), object["model"].as_str().unwrap());
    let sdnn: Option<f64> = text(&row, "sdnn_ms").parse().ok();
    assert_eq!(sdnn, object["hrv"]["sdnn_ms"].as_f64());

    // Started again: only what is new, and the error stays one.
    fs::copy(folder.path().join("x/1.hea"), folder.path().join("x/4.hea")).unwrap();
    let before = files(&out);
    let output = run();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("3 of 4 records were done before"));
    assert_eq!(names("records"), ["1", "2", "4"]);
    assert_eq!(rows(&out, "errors").len(), 1);
    assert!(before.iter().all(|file| files(&out).contains(file)));
    assert!(
        files(&out)
            .iter()
            .all(|file| file.ends_with(".parquet") || file == "_heartlens.json")
    );
}

#[test]
fn another_schema_or_other_flags_are_refused() {
    let folder = records(&["1"], "0.5");
    let output = classify(folder.path(), &["--tables", "@/out"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let statement = folder.path().join("out/_heartlens.json");
    let written = fs::read_to_string(&statement).unwrap();
    let other = written.replace("\"schema_version\":1", "\"schema_version\":2");
    assert_ne!(written, other);
    fs::write(&statement, other).unwrap();
    let parts = [
        "found schema_version 2, expected 1",
        "choose another folder",
    ];
    refused(&classify(folder.path(), &["--tables", "@/out"]), &parts);
    fs::write(&statement, written).unwrap();
    let parts = ["--lead best", "choose another folder"];
    refused(
        &classify(folder.path(), &["--tables", "@/out", "--lead", "best"]),
        &parts,
    );
    let output = classify(folder.path(), &["--tables", "@/out", "--json", "@/x.json"]);
    assert_eq!(output.status.code(), Some(2));
}
