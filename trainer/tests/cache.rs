//! Prepared records in a file: the same as prepared now, and never trusted when anything differs.
#![allow(clippy::unwrap_used)]

use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_trainer::beat::dataset::Dataset;
use heartlens_trainer::data::DatasetError;
use heartlens_trainer::data::cache;
use heartlens_trainer::data::find::{Folders, Wanted, WantedLabels};
use heartlens_trainer::data::record::Lead;
use heartlens_trainer::data::weak_labels::Rhythm;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// These records of the data base `made` at both choices of R peaks, and the recordings of these rhythms of `cinc2017`.
fn wanted(names: &[&str], rhythms: &[Rhythm]) -> Wanted {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        diagnosed: Vec::new(),
        records: BTreeMap::from([("made".to_owned(), names)]),
        peaks: vec![Peaks::Reference, Peaks::Detected],
        weak_labels: (!rhythms.is_empty()).then(|| WantedLabels {
            database: "cinc2017".to_owned(),
            rhythms: rhythms.to_vec(),
        }),
    }
}

/// The data base `made` in `folder`, with the synthetic demo record under these names.
fn data(folder: &Path, names: &[&str]) -> PathBuf {
    let data = folder.join("made");
    std::fs::create_dir_all(&data).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo");
    for name in names {
        for extension in ["dat", "atr"] {
            let to = data.join(name).with_extension(extension);
            std::fs::copy(demo.join("demo").with_extension(extension), to).unwrap();
        }
        let header = std::fs::read_to_string(demo.join("demo.hea")).unwrap();
        let to = data.join(name).with_extension("hea");
        std::fs::write(to, header.replace("demo", name)).unwrap();
    }
    data
}

/// Opens these records of the data base at `data`.
fn open(data: &Path, names: &[&str], cache: &Path) -> (Dataset, Vec<String>) {
    open_with(data, names, &[], cache)
}

fn open_with(
    data: &Path,
    names: &[&str],
    rhythms: &[Rhythm],
    cache: &Path,
) -> (Dataset, Vec<String>) {
    let mut said = Vec::new();
    let wanted = wanted(names, rhythms);
    let dataset = cache::open(&above(data), &wanted, cache, |line| said.push(line)).unwrap();
    (dataset, said)
}

/// The folder above the data base at `data`.
fn above(data: &Path) -> Folders {
    Folders::from(data.parent().unwrap())
}

/// These records, prepared now.
fn prepared(data: &Path, names: &[&str], rhythms: &[Rhythm]) -> Dataset {
    Dataset::read(&above(data), &wanted(names, rhythms)).unwrap()
}

fn assert_same(found: &Dataset, expected: &Dataset) {
    assert_eq!(found.records.len(), expected.records.len());
    for (a, b) in found.records.iter().zip(&expected.records) {
        assert_eq!(
            (&a.name, &a.database, &a.patient),
            (&b.name, &b.database, &b.patient)
        );
        assert_eq!(
            (a.peaks, a.rhythm, &a.classes),
            (b.peaks, b.rhythm, &b.classes)
        );
        for lead in Lead::ALL {
            for beat in 0..a.classes.len() {
                assert_eq!(a.beat(lead, beat), b.beat(lead, beat));
            }
        }
    }
}

/// The one file of a cache.
fn file(cache: &Path) -> PathBuf {
    let files: Vec<PathBuf> = cache
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn what_is_kept_is_what_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (
        data(folder.path(), &["a", "b"]),
        folder.path().join("deep/cache"),
    );
    let expected = prepared(&data, &["a", "b"], &[]);
    assert_eq!(expected.records.len(), 4);
    for _ in 0..2 {
        let (found, said) = open(&data, &["a", "b"], &cache);
        assert_same(&found, &expected);
        assert_eq!(said, [""; 0]);
    }
    let written = file(&cache).metadata().unwrap().modified().unwrap();
    open(&data, &["a", "b"], &cache);
    assert_eq!(
        file(&cache).metadata().unwrap().modified().unwrap(),
        written
    );

    // A first beat has no RR interval before it, in the file as in memory.
    let (found, _) = open(&data, &["a", "b"], &cache);
    let first = |index| found.records[0].beat(Lead::First, index).pre_rr_s();
    assert_eq!(first(0), None);
    assert!(first(1).is_some_and(|seconds| seconds > 0.2));
}

#[test]
fn a_damaged_or_foreign_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (data(folder.path(), &["a"]), folder.path().join("cache"));
    let (expected, _) = open(&data, &["a"], &cache);
    let path = file(&cache);
    let whole = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (bytes, reason) in [
        (flipped(5), "no cache of this build's layout"),
        (
            flipped(20),
            "made of other records, other features or other R peaks",
        ),
        (flipped(43), "damaged: "),
        (flipped(50), "damaged: its index"),
        (flipped(64), "damaged: made/a"),
        (flipped(whole.len() / 2), "damaged: made/a"),
        (flipped(whole.len() - 10), "damaged: its index"),
        (whole[..whole.len() / 2].to_vec(), "damaged: cut short"),
        (whole[..30].to_vec(), "no cache of this build's layout"),
        (Vec::new(), "no cache of this build's layout"),
    ] {
        // A new file, as a program would leave it: the mapping above keeps the old one.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let (found, said) = open(&data, &["a"], &cache);
        assert_same(&found, &expected);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains(reason) && said[0].ends_with("preparing the records anew"),
            "{said:?}"
        );
        assert_eq!(std::fs::read(file(&cache)).unwrap(), whole);
    }
}

#[test]
fn other_files_are_prepared_anew_and_other_records_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let made = data(folder.path(), &["a", "b"]);
    let (found, _) = open(&made, &["a", "b"], &cache);
    assert_eq!(found.records.len(), 4);
    // A file that loses its last annotations.
    let path = made.join("b.atr");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..(bytes.len() / 2) & !1], &[0, 0]].concat()).unwrap();
    let (fewer, said) = open(&made, &["a", "b"], &cache);
    assert!(said[0].contains("made of other records"), "{said:?}");
    assert!(fewer.records[2].classes.len() < found.records[2].classes.len());
    assert_same(&fewer, &prepared(&made, &["a", "b"], &[]));
    file(&cache);
    // Fewer records have a file of their own: neither is written again for the other.
    let (alone, said) = open(&made, &["b"], &cache);
    assert_eq!((alone.records.len(), said.len()), (2, 0));
    let (_, said) = open(&made, &["a", "b"], &cache);
    assert_eq!(said, [""; 0]);
    assert_eq!(cache.read_dir().unwrap().count(), 2);
}

/// What lies beside the records that are named is not read, and what is named and missing is an error with its name.
#[test]
fn records_are_those_that_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = data(folder.path(), &["100", "101", "102"]);
    let names = |names: &[&str]| -> Vec<String> {
        let records = prepared(&made, names, &[]).records.into_iter();
        let records = records.filter(|record| record.peaks == Peaks::Reference);
        records.map(|record| record.name).collect()
    };
    // In order of their names, however they are listed.
    assert_eq!(names(&["102", "101"]), ["made/101", "made/102"]);
    let error = |names: &[&str]| {
        let error = Dataset::read(&above(&made), &wanted(names, &[])).unwrap_err();
        error.to_string()
    };
    let missing = error(&["101", "103"]);
    assert!(
        missing
            .contains("made/103.hea: no such record, but data.records.made of the config names it")
            && missing.contains("`heartlens fetch made`"),
        "{missing}"
    );
    std::fs::remove_file(made.join("102.atr")).unwrap();
    let bare = error(&["101", "102"]);
    assert!(
        bare.contains("102.hea: record without annotations: found no 102.atr"),
        "{bare}"
    );
    // A record that nobody named may lack what it will.
    assert_eq!(names(&["101"]), ["made/101"]);
    let nowhere = Folders(vec![made.join("here"), made.join("there")]);
    let error = Dataset::read(&nowhere, &wanted(&["101"], &[])).unwrap_err();
    assert!(matches!(error, DatasetError::NoDatabase { .. }));
    let text = error.to_string();
    assert!(
        text.contains("found no folder made in ")
            && text.contains("here, ")
            && text.contains("there"),
        "{text}"
    );
}

/// Recordings are kept beside annotated records, and prepared anew where their labels say something else.
#[test]
fn recordings_are_kept_with_their_rhythms() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let made = data(folder.path(), &["a"]);
    let theirs = folder.path().join("cinc2017");
    std::fs::rename(&made, &theirs).unwrap();
    std::fs::remove_file(theirs.join("a.atr")).unwrap();
    let made = data(folder.path(), &["b"]);
    let rhythms = [Rhythm::Normal, Rhythm::Other];
    let mut counts = Vec::new();
    for label in ["N", "O"] {
        std::fs::write(theirs.join("REFERENCE.csv"), format!("a,{label}\n")).unwrap();
        let expected = prepared(&made, &["b"], &rhythms);
        for _ in 0..2 {
            let (found, said) = open_with(&made, &["b"], &rhythms, &cache);
            assert_same(&found, &expected);
            let record = &found.records[2];
            assert_eq!(record.name, "cinc2017/a");
            counts.push((record.rhythm, record.count(Class::N), said.len()));
        }
    }
    let beats = counts[0].1;
    assert!(beats > 200, "{beats}");
    let (normal, other) = (Some(Rhythm::Normal), Some(Rhythm::Other));
    let expected = [
        (normal, beats, 0),
        (normal, beats, 0),
        (other, 0, 1),
        (other, 0, 0),
    ];
    assert_eq!(counts, expected);
    // Without recordings, nothing of them.
    let (found, _) = open(&made, &["b"], &cache);
    assert_eq!(found.records.len(), 2);
}

#[test]
fn without_a_place_to_write_the_records_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (data(folder.path(), &["a"]), folder.path().join("cache"));
    std::fs::write(&cache, "a file").unwrap();
    let (found, said) = open(&data, &["a"], &cache);
    assert_same(&found, &prepared(&data, &["a"], &[]));
    assert!(
        said.last()
            .unwrap()
            .ends_with("the prepared records are not kept"),
        "{said:?}"
    );
}
