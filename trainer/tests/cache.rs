//! Prepared records in a file: the same as prepared now, and never trusted when anything differs.
#![allow(clippy::unwrap_used)]

use heartlens::evaluate::report::Peaks;
use heartlens_core::class::Class;
use heartlens_trainer::cache;
use heartlens_trainer::dataset::{Dataset, DatasetError, Lead, Wanted};
use heartlens_trainer::rhythm::dataset::Rhythm;
use std::path::{Path, PathBuf};

/// Annotated records at both choices of R peaks, and the recordings of these rhythms.
fn wanted(rhythms: &[Rhythm]) -> Wanted {
    Wanted {
        peaks: vec![Peaks::Reference, Peaks::Detected],
        rhythms: rhythms.to_vec(),
    }
}

/// A data folder with the synthetic demo record under these names.
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

fn open(data: &Path, cache: &Path) -> (Dataset, Vec<String>) {
    open_with(data, &[], cache)
}

fn open_with(data: &Path, rhythms: &[Rhythm], cache: &Path) -> (Dataset, Vec<String>) {
    let mut said = Vec::new();
    let dataset = cache::open(data, &wanted(rhythms), cache, |line| said.push(line)).unwrap();
    (dataset, said)
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
    let expected = Dataset::read(&data, &wanted(&[])).unwrap();
    assert_eq!(expected.records.len(), 4);
    for _ in 0..2 {
        let (found, said) = open(&data, &cache);
        assert_same(&found, &expected);
        assert_eq!(said, [""; 0]);
    }
    let written = file(&cache).metadata().unwrap().modified().unwrap();
    open(&data, &cache);
    assert_eq!(
        file(&cache).metadata().unwrap().modified().unwrap(),
        written
    );

    // A first beat has no RR interval before it, in the file as in memory.
    let (found, _) = open(&data, &cache);
    let first = |index| found.records[0].beat(Lead::First, index).pre_rr_s();
    assert_eq!(first(0), None);
    assert!(first(1).is_some_and(|seconds| seconds > 0.2));
}

#[test]
fn a_damaged_or_foreign_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (data(folder.path(), &["a"]), folder.path().join("cache"));
    let (expected, _) = open(&data, &cache);
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
        let (found, said) = open(&data, &cache);
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
fn other_records_are_prepared_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    open(&data(folder.path(), &["a"]), &cache);
    let made = data(folder.path(), &["b"]);
    let (found, said) = open(&made, &cache);
    assert_eq!(found.records.len(), 4);
    assert!(said[0].contains("made of other records"), "{said:?}");
    // A file that loses its last annotations.
    let path = made.join("b.atr");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..(bytes.len() / 2) & !1], &[0, 0]].concat()).unwrap();
    let (fewer, said) = open(&made, &cache);
    assert!(said[0].contains("made of other records"), "{said:?}");
    assert!(fewer.records[2].classes.len() < found.records[2].classes.len());
    assert_same(&fewer, &Dataset::read(&made, &wanted(&[])).unwrap());
    file(&cache);
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
        let expected = Dataset::read(&made, &wanted(&rhythms)).unwrap();
        for _ in 0..2 {
            let (found, said) = open_with(&made, &rhythms, &cache);
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
    let (found, _) = open(&made, &cache);
    assert_eq!(found.records.len(), 2);
}

#[test]
fn without_a_place_to_write_the_records_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let (data, cache) = (data(folder.path(), &["a"]), folder.path().join("cache"));
    std::fs::write(&cache, "a file").unwrap();
    let (found, said) = open(&data, &cache);
    assert_same(&found, &Dataset::read(&data, &wanted(&[])).unwrap());
    assert!(
        said.last()
            .unwrap()
            .ends_with("the prepared records are not kept"),
        "{said:?}"
    );

    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let error = cache::open(&empty, &wanted(&[]), &cache, |_| ()).unwrap_err();
    assert!(matches!(error, DatasetError::Empty { .. }));
}
