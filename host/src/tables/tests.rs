//! Rows by hand, the document, and what becomes of a folder.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::records::Record;
use crate::synth::{self, Recording as Synthetic};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use std::fs;
use std::path::Path;

fn origin() -> Origin {
    let model = Model::shipped().unwrap();
    Origin::new(&model, &Options::default(), "atr", &ReadOptions::default())
}

/// Calls `then` with a synthetic record and what the shipped model makes of it.
fn classified<T>(then: impl FnOnce(Recording<'_>) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("night");
    let options = synth::Options {
        minutes: 1.0,
        ..Default::default()
    };
    let synthetic = Synthetic::generate(&options).unwrap();
    synthetic.write(&path).unwrap();
    let record = Record::open(&path).unwrap();
    let model = Model::shipped().unwrap();
    let analysis = model.classify(&record, &Options::default()).unwrap();
    then(Recording::of_record("night", "x/night", &record, &analysis))
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|t| t.map(str::to_owned)).collect()
}

#[test]
fn a_record_is_rows_of_beats_and_one_of_records() {
    classified(|recording| {
        let origin = origin();
        let beats = recording.beats(&origin).unwrap();
        let analysis = recording.analysis;
        assert_eq!(beats.num_rows(), analysis.beats.len());
        let times = beats.column_by_name("time_s").unwrap();
        let times = times.as_primitive::<Float64Type>();
        let expected: Vec<f64> = analysis.beats.iter().map(|beat| beat.time_s).collect();
        assert_eq!(times.values(), expected.as_slice());
        assert!(
            texts(&beats, "record")
                .iter()
                .all(|name| name.as_deref() == Some("night"))
        );
        assert!(beats.column_by_name("rr_ms").unwrap().is_null(0));
        let metadata = beats.schema().metadata().clone();
        assert_eq!(metadata["schema_version"], SCHEMA_VERSION.to_string());
        assert_eq!(metadata["table"], "beats");

        let record = recording.record(&origin).unwrap();
        assert_eq!(record.num_rows(), 1);
        assert_eq!(texts(&record, "path"), [Some("x/night".to_owned())]);
        let counted: i64 = ["N", "S", "V", "F", "Q"]
            .iter()
            .map(|class| {
                let column = record.column_by_name(&format!("beats_{class}")).unwrap();
                column
                    .as_primitive::<arrow_array::types::Int64Type>()
                    .value(0)
            })
            .sum();
        assert_eq!(counted, analysis.beats.len() as i64);
        assert!(
            record
                .column_by_name("synthetic")
                .unwrap()
                .as_boolean()
                .value(0)
        );
    });
}

#[test]
fn a_beat_names_the_run_before_the_fibrillation_before_the_pause() {
    classified(|recording| {
        let mut analysis = recording.analysis.clone();
        analysis.beats.truncate(8);
        for (i, beat) in analysis.beats.iter_mut().enumerate() {
            beat.time_s = i as f64;
            beat.class = if (2..5).contains(&i) {
                Class::V
            } else {
                Class::N
            };
            beat.rr_ms = Some(if i == 7 { 3000.0 } else { 1000.0 });
            beat.fibrillation = Some((4..6).contains(&i));
            beat.quality = f32::NAN;
        }
        analysis.episodes = crate::episodes::episodes(&analysis.beats);
        let rows = Recording {
            analysis: &analysis,
            ..recording
        };
        let batch = rows.beats(&origin()).unwrap();
        let found: Vec<String> = texts(&batch, "episode")
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect();
        let run = "V run";
        assert_eq!(found, ["", "", run, run, run, "AF", "", "pause"]);
        assert_eq!(batch.column_by_name("quality").unwrap().null_count(), 8);
        let episodes = rows.record(&origin()).unwrap();
        let episodes = episodes
            .column_by_name("episodes")
            .unwrap()
            .as_list::<i32>()
            .value(0);
        assert_eq!(episodes.len(), analysis.episodes.len());
        let kinds = episodes.as_struct().column(0).as_string::<i32>();
        assert!(kinds.iter().flatten().any(|kind| kind == "pause"));
    });
}

#[test]
fn an_error_comes_apart() {
    let failure = Failure {
        name: "a",
        path: "d/a.edf",
        message: "d/a.edf: byte 236: found `x` as number of data records, expected a whole number",
    };
    let row = failure.row(&origin()).unwrap();
    assert_eq!(texts(&row, "file"), [Some("d/a.edf".to_owned())]);
    assert_eq!(texts(&row, "place"), [Some("byte 236".to_owned())]);
    assert_eq!(texts(&row, "expected"), [Some("a whole number".to_owned())]);
    assert_eq!(texts(&row, "message"), [Some(failure.message.to_owned())]);
}

/// Lines of the document's table for one of ours.
fn documented(table: Table) -> String {
    let line = |column: &ColumnInfo| {
        let kind = match &column.data_type {
            DataType::List(item) => match item.data_type() {
                DataType::Struct(fields) => {
                    let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
                    format!("list of ({})", names.join(", "))
                }
                _ => "list of text".to_owned(),
            },
            DataType::Utf8 => "text".to_owned(),
            other => other.to_string().to_lowercase(),
        };
        let null = if column.nullable { ", null" } else { "" };
        format!(
            "| `{}` | {kind}{null} | {} |\n",
            column.name, column.meaning
        )
    };
    let lines: String = columns(table).iter().map(line).collect();
    format!("| column | type | meaning |\n|---|---|---|\n{lines}")
}

/// `HEARTLENS_BLESS=1` writes the lists anew.
#[test]
fn the_document_lists_every_column() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tables.md");
    // The crate's packed files have no documents.
    let Ok(mut text) = fs::read_to_string(&path) else {
        println!("skipped: there is no {}", path.display());
        return;
    };
    for table in Table::ALL {
        let begin = format!("<!-- columns: {} -->\n", table.name());
        let at = text.find(&begin).expect("a list of each table") + begin.len();
        let end = at + text[at..].find("<!-- end -->").expect("its end");
        let expected = documented(table);
        if std::env::var_os("HEARTLENS_BLESS").is_some() {
            text.replace_range(at..end, &expected);
        } else {
            assert_eq!(&text[at..end], expected, "HEARTLENS_BLESS=1 writes it anew");
        }
    }
    if std::env::var_os("HEARTLENS_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
}

/// A part with these records, of which the first could not be classified.
fn part(names: &[&str]) -> PartFiles {
    classified(|recording| {
        let mut part = Part::new(origin()).unwrap();
        for (i, name) in names.iter().enumerate() {
            match i {
                0 => part.fail(&Failure {
                    name,
                    path: "p",
                    message: "p: found x",
                }),
                _ => part.add(&Recording { name, ..recording }),
            }
            .unwrap();
        }
        part.finish().unwrap()
    })
}

fn files(folder: &Path, table: &str) -> usize {
    fs::read_dir(folder.join(table)).unwrap().count()
}

#[test]
fn a_folder_is_gone_on_with_and_what_is_half_there_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut data_set = DataSet::open(&out, &origin()).unwrap();
    assert!(!data_set.has("a"));
    let first = part(&["a", "b", "c"]);
    data_set.write(&first).unwrap();
    // Written again, a part takes its own place.
    data_set.write(&first).unwrap();
    data_set.write(&part(&["d", "e"])).unwrap();
    assert_eq!(
        [
            files(&out, "beats"),
            files(&out, "records"),
            files(&out, "errors")
        ],
        [3; 3]
    );
    let again = DataSet::open(&out, &origin()).unwrap();
    assert!(["a", "b", "c", "d", "e"].iter().all(|name| again.has(name)) && !again.has("f"));

    // Killed before `records` was there, and in the middle of a file.
    fs::write(out.join("beats/.heartlens-x.tmp"), "half").unwrap();
    let records = fs::read_dir(out.join("records"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let last = records.filter(|path| !path.ends_with("part-0000000000000000.parquet"));
    fs::remove_file(last.max().unwrap()).unwrap();
    let again = DataSet::open(&out, &origin()).unwrap();
    assert_eq!(
        [
            files(&out, "beats"),
            files(&out, "records"),
            files(&out, "errors")
        ],
        [2; 3]
    );
    assert!(again.has("a") ^ again.has("d"));
}

#[test]
fn another_schema_model_or_folder_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    DataSet::open(&out, &origin()).unwrap();
    let statement = out.join(STATEMENT_FILE);
    let text = fs::read_to_string(&statement).unwrap();
    for (from, to, key) in [
        (
            "\"schema_version\":1",
            "\"schema_version\":7",
            "schema_version 7, expected 1",
        ),
        ("--lead first", "--lead best", "options"),
        (
            "\"model\":\"beat\"",
            "\"model\":\"cnn\"",
            "model cnn, expected beat",
        ),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&statement, text.replace(from, to)).unwrap();
        let refusal = DataSet::open(&out, &origin()).unwrap_err().to_string();
        assert!(
            refusal.contains(key) && refusal.contains("choose another folder"),
            "{refusal}"
        );
    }
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "x").unwrap();
    let refusal = DataSet::open(&foreign, &origin()).unwrap_err().to_string();
    assert!(refusal.contains("other files"), "{refusal}");
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
    // No Parquet.
    fs::write(&statement, text).unwrap();
    fs::write(out.join("records/part-0123456789abcdef.parquet"), "x").unwrap();
    let refusal = DataSet::open(&out, &origin()).unwrap_err().to_string();
    assert!(
        refusal.contains("part-0123456789abcdef") && refusal.contains("delete it"),
        "{refusal}"
    );
}
