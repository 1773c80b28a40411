use super::*;

/// `reference/make_flac.py`: records whose signal files are FLAC streams, and what wfdb reads of them.
fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../reference/flac.json")).unwrap()
}

fn folder_of(record: &str) -> tempfile::TempDir {
    let cases = cases();
    let case = cases.iter().find(|c| c["record"] == record).unwrap();
    folder_with(files_of(case))
}

#[test]
fn every_stream_is_read_as_wfdb_reads_it() {
    let cases = cases();
    for case in &cases {
        let folder = folder_with(files_of(case));
        let name = case["record"].as_str().unwrap();
        let record = open(&folder, name).unwrap();
        let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(serde_json::json!(names), case["names"], "{name}");
        let every = case["every"].as_u64().unwrap() as usize;
        for (index, expected) in case["millivolts"].as_array().unwrap().iter().enumerate() {
            let found = record.read_lead(index).unwrap();
            assert_eq!(
                found.len() as u64,
                case["lengths"][index],
                "{name} lead {index}"
            );
            let found: Vec<f32> = found.into_iter().step_by(every).collect();
            assert_agree(&format!("{name} lead {index}"), &found, &numbers(expected));
        }
        if every == 1 {
            assert_streams_agree(&record);
        }
        let is_sum = |w: &Warning| matches!(w, Warning::Checksum { .. });
        assert!(
            !record.warnings().iter().any(is_sum),
            "{:?}",
            record.warnings()
        );
    }
    assert_eq!(cases.len(), 16);
}

/// Found by fuzzing: the decoder panics on a block of fewer samples than its partitions, and on others that no encoder writes.
#[test]
fn damaged_streams_are_read_or_refused() {
    for case in cases().iter().filter(|case| case["every"] == 1) {
        let (name, files) = (case["record"].as_str().unwrap(), files_of(case));
        let folder = folder_with(files.clone());
        for (file, stream) in files.iter().filter(|(file, _)| file.ends_with(".dat")) {
            for at in 0..stream.len() {
                let mut damaged = stream.clone();
                for change in [0x01, 0x10, 0xff] {
                    damaged[at] = stream[at] ^ change;
                    std::fs::write(folder.path().join(file), &damaged).unwrap();
                    let read = open(&folder, name).and_then(|record| record.read_lead(0));
                    if let Err(error) = read {
                        assert_eq!(error.to_string().lines().count(), 1, "{error}");
                    }
                }
            }
            std::fs::write(folder.path().join(file), stream).unwrap();
        }
    }
}

#[test]
fn a_wrong_checksum_and_a_stream_cut_short_are_told() {
    let folder = folder_of("long");
    let at = |name: &str| folder.path().join(name);
    let header = std::fs::read_to_string(at("long.hea")).unwrap();
    let sum = header.split_whitespace().nth(10).unwrap();
    let other = header.replacen(&format!(" {sum} 0 L0"), " 12345 0 L0", 1);
    assert_ne!(other, header);
    std::fs::write(at("long.hea"), other).unwrap();
    let record = open(&folder, "long").unwrap();
    let whole = record.read_lead(0).unwrap();
    let [Warning::Checksum { stated: 12345, .. }] = record.warnings()[..] else {
        panic!("{:?}", record.warnings());
    };

    let stream = std::fs::read(at("l.dat")).unwrap();
    std::fs::write(at("l.dat"), &stream[..stream.len() / 2]).unwrap();
    let record = open(&folder, "long").unwrap();
    let cut = record.read_lead(0).unwrap();
    let found = cut.iter().position(|mv| mv.is_nan()).unwrap();
    assert!((10_000..30_000).contains(&found), "{found}");
    assert_eq!(cut[..found], whole[..found]);
    assert!(cut[found..].iter().all(|mv| mv.is_nan()));
    let short = Warning::Short {
        what: "samples of each lead",
        promised: 40_000,
        found: found as u64,
    };
    assert!(
        record.warnings().contains(&short),
        "{:?}",
        record.warnings()
    );
    assert!(
        record
            .stream_mv(1, 39_000..39_010)
            .unwrap()
            .all(|b| b.unwrap().iter().all(|mv| mv.is_nan()))
    );
}

#[test]
fn signals_are_shifted_by_their_skew() {
    let folder = folder_of("f516_2");
    let header = std::fs::read_to_string(folder.path().join("f516_2.hea")).unwrap();
    let plain = open(&folder, "f516_2").unwrap().read_lead(0).unwrap();
    let skewed = header
        .replacen(" 33\n", " 30\n", 1)
        .replacen(" 516 ", " 516:2 ", 1);
    std::fs::write(folder.path().join("f516_2.hea"), skewed).unwrap();
    let record = open(&folder, "f516_2").unwrap();
    assert_eq!(record.read_lead(0).unwrap(), plain[2..32]);
    assert_streams_agree(&record);
}

#[test]
fn streams_that_do_not_fit_are_refused() {
    let cases = [
        (
            "f516_2",
            " 516 ",
            " 508 ",
            "found 16 bits a sample, expected at most 8",
        ),
        (
            "f524_3",
            "f524_3 3",
            "f524_3 2",
            "found 3 channel(s), expected 2, one for each signal",
        ),
        (
            "mixed",
            "516x4 200(8192)/mV 16 0 0",
            "516x1 200(8192)/mV 16 0 0",
            "found signals of 1 and 4 samples a frame",
        ),
        (
            "mixed",
            " 30\n",
            " 99999999999\n",
            "found 30 samples of each lead, but",
        ),
    ];
    for (name, from, to, expected) in cases {
        let folder = folder_of(name);
        let path = folder.path().join(format!("{name}.hea"));
        let header = std::fs::read_to_string(&path).unwrap();
        let changed = match name {
            "f516_2" => header.replace(from, to),
            _ => header.replacen(from, to, 1),
        };
        assert_ne!(changed, header);
        std::fs::write(&path, changed).unwrap();
        let said = refusal(open(&folder, name));
        assert!(said.contains(expected), "{name}: {said}");
    }
    let folder = folder_of("f508_1");
    std::fs::write(folder.path().join("f508_1.dat"), b"fLaX no stream at all").unwrap();
    let said = refusal(open(&folder, "f508_1"));
    assert!(
        said.contains("f508_1.dat: FLAC stream, before the first sample: found"),
        "{said}"
    );
}

/// A stream damaged anywhere is read, read in part or refused, and ends.
#[test]
fn damaged_streams_end() {
    let folder = folder_of("f516_2");
    let path = folder.path().join("f516_2.dat");
    let stream = std::fs::read(&path).unwrap();
    for at in 0..stream.len() {
        for flip in [0xff, 0x01, 0x80] {
            let mut damaged = stream.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, damaged).unwrap();
            if let Ok(record) = open(&folder, "f516_2") {
                let _ = record.read_lead(1).map(|lead| assert!(lead.len() <= 33));
            }
        }
    }
}

#[test]
fn real_streams_are_read_as_wfdb_reads_them() {
    let Some(record) = real("flacformats.hea") else {
        return;
    };
    assert_eq!(record.len_samples(), 499);
    // The header has the sums of wfdb.
    for index in 0..3 {
        assert_eq!(record.read_lead(index).unwrap().len(), 499);
    }
    let is_sum = |w: &Warning| matches!(w, Warning::Checksum { .. });
    assert!(!record.warnings().iter().any(is_sum));
    let Some(record) = real("flac_3_constant.hea") else {
        return;
    };
    let lead = record.read_lead(2).unwrap();
    assert_eq!(lead.len(), 5_600_000);
    assert!(lead.iter().all(|mv| *mv == 75.0 / 200.0));
    let Some(record) = real("mixedsignals.hea") else {
        return;
    };
    let rates: Vec<f64> = record.leads().iter().map(|l| l.sample_rate_hz).collect();
    let rate = 62.4725;
    assert_eq!(rates, [4.0, 4.0, 4.0, 2.0, 2.0, 1.0].map(|n| n * rate));
    assert_eq!(record.len_samples(), 57_600);
    for index in 0..3 {
        record.read_lead(index).unwrap();
    }
    assert_eq!(
        record
            .warnings()
            .iter()
            .filter(|w| matches!(w, Warning::Checksum { .. }))
            .count(),
        0
    );
}
