//! Files that change while they are read.

use super::super::signal::Format;
use super::super::write;
use super::*;
use std::fs::OpenOptions;

/// Samples: more than are read at a time.
const LEN: usize = 3 * BLOCK_SAMPLES;

/// The same lead in several formats, each with the file that holds its samples.
fn records(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let lead: Vec<i32> = (0..LEN as i32).map(|k| k * 7 % 900 - 450).collect();
    let wfdb = |name: &str, format: Format| {
        let signal = format!("{name}.dat {} 200 12 0 {} 0 0 II", format.number(), lead[0]);
        let header = format!("{name} 1 250 {LEN}\n{signal}\n");
        std::fs::write(folder.join(format!("{name}.hea")), header).unwrap();
        let bytes = format.encode(&[&lead]);
        std::fs::write(folder.join(format!("{name}.dat")), bytes).unwrap();
    };
    wfdb("a", Format::Bits16);
    wfdb("b", Format::Bits12);
    let record = Record::open(folder.join("a")).unwrap();
    let none = Annotations::default();
    for name in ["c.edf", "d.bdf"] {
        write::edf(&record, &none, &folder.join(name)).unwrap();
    }
    write::csv(&record, &folder.join("e.csv")).unwrap();
    let names = [
        ("a", "a.dat"),
        ("b", "b.dat"),
        ("c.edf", "c.edf"),
        ("d.bdf", "d.bdf"),
        ("e.csv", "e.csv"),
    ];
    names.map(|(name, file)| (name, folder.join(file))).into()
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_told_with_both_lengths() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in records(folder.path()) {
        let record = Record::open(folder.path().join(name)).unwrap();
        let mut blocks = record.stream_mv(0, 0..usize::MAX).unwrap();
        assert!(!blocks.next().unwrap().unwrap().is_empty());
        let len = file.metadata().unwrap().len();
        let opened = OpenOptions::new().write(true).open(&file).unwrap();
        opened.set_len(len / 2).unwrap();
        let rest: Result<Vec<Vec<f32>>, RecordError> = blocks.collect();
        let said = refusal(rest);
        let begin = format!("{}: found ", file.display());
        assert!(said.starts_with(&begin), "{said}");
        for part in ["expected ", "the file has become shorter while it was read"] {
            assert!(said.contains(part), "{said}");
        }
    }
}

/// As a recorder's does that is still at it: the record is what it was when it was opened.
#[test]
fn a_file_that_grows_while_it_is_read_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in records(folder.path()) {
        let before = Record::open(folder.path().join(name))
            .unwrap()
            .read_lead(0)
            .unwrap();
        let record = Record::open(folder.path().join(name)).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let more = bytes[bytes.len() / 2..].to_vec();
        bytes.extend(more);
        std::fs::write(&file, bytes).unwrap();
        let found = record.read_lead(0).unwrap();
        assert_eq!(found.len(), before.len(), "{name}");
        assert!(
            found
                .iter()
                .zip(&before)
                .all(|(a, b)| a.to_bits() == b.to_bits()),
            "{name}"
        );
    }
}

/// Another text in its place is told with its line, or is numbers.
#[test]
fn a_table_that_becomes_another_text_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = records(folder.path()).pop().unwrap();
    let record = Record::open(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(",0.", ",x.")).unwrap();
    let said = refusal(record.read_lead(0));
    assert!(
        said.contains("e.csv: line ") && said.contains("found `x."),
        "{said}"
    );
}

/// A file that is taken away, and a folder in its place.
#[test]
fn a_file_that_goes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in records(folder.path()) {
        let record = Record::open(folder.path().join(name)).unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = refusal(record.read_lead(0));
        assert!(
            said.contains(file.file_name().unwrap().to_str().unwrap()),
            "{said}"
        );
        std::fs::create_dir(&file).unwrap();
        let said = refusal(record.read_lead(0));
        assert!(
            said.contains(file.file_name().unwrap().to_str().unwrap()),
            "{said}"
        );
    }
}
