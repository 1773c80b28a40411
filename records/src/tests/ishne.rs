use super::super::annotation::Code;
use super::*;

/// `reference/make_ishne.py`: ISHNE recordings, and what ishneholterlib reads of them.
fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("../reference/ishne.json")).unwrap()
}

/// The files of the first case, three leads of 60 samples, changed.
fn changed(change: impl Fn(&mut Vec<u8>)) -> tempfile::TempDir {
    let mut files = files_of(&cases()[0]);
    for (name, bytes) in &mut files {
        if name.ends_with(".ecg") {
            change(bytes);
        }
    }
    folder_with(files)
}

#[test]
fn recordings_are_read_as_ishneholterlib_reads_them() {
    let cases = cases();
    for case in &cases {
        let folder = folder_with(files_of(case));
        let name = case["record"].as_str().unwrap();
        let record = open(&folder, &format!("{name}.ecg")).unwrap();
        let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(serde_json::json!(names), case["names"], "{name}");
        assert_eq!(Some(record.sample_rate_hz()), case["rate"].as_f64());
        assert_eq!(
            record.start().unwrap().to_string(),
            case["start"].as_str().unwrap()
        );
        for (index, expected) in case["millivolts"].as_array().unwrap().iter().enumerate() {
            let found = record.read_lead(index).unwrap();
            assert_agree(&format!("{name} lead {index}"), &found, &numbers(expected));
        }
        assert_streams_agree(&record);
        assert_eq!(record.warnings(), []);
        let sex = if name == "one" {
            Sex::Male
        } else {
            Sex::Female
        };
        let patient = Patient {
            age_years: Some(74.0),
            sex: Some(sex),
        };
        assert_eq!(record.patient(), patient);
        assert!(!record.comments().join(" ").contains("Nobody"));
        assert!(
            record
                .comments()
                .contains(&"pacemaker: dual chamber, unipolar".to_owned())
        );

        // The annotations beside it: by the default annotator's name, which is not there, and by their own.
        for annotator in ["atr", "ann"] {
            assert!(record.has_annotations(annotator));
            let found = record.annotations(annotator).unwrap().list;
            let found: Vec<(u64, String)> = found
                .iter()
                .map(|a| match a.code {
                    Code::NOTE => (a.sample, char::from(a.aux[0]).to_string()),
                    code => (a.sample, code.mnemonic().to_owned()),
                })
                .collect();
            let expected: Vec<(u64, String)> = case["annotations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| (a[0].as_u64().unwrap(), a[1].as_str().unwrap()))
                .filter(|(_, letter)| *letter != "!")
                .map(|(sample, letter)| match letter {
                    "P" => (sample, "/".to_owned()),
                    "X" => (sample, "|".to_owned()),
                    "U" => (sample, "Q".to_owned()),
                    same => (sample, same.to_owned()),
                })
                .collect();
            assert_eq!(found, expected, "{name}");
        }
    }
    assert_eq!(cases.len(), 3);
}

#[test]
fn a_cut_or_damaged_recording_is_read_with_a_warning() {
    let folder = changed(|bytes| bytes.truncate(522 + 6 * 45 + 3));
    let record = open(&folder, "three.ecg").unwrap();
    assert_eq!(record.len_samples(), 45);
    assert_eq!(record.read_lead(2).unwrap().len(), 45);
    let short = Warning::Short {
        what: "samples of each lead",
        promised: 60,
        found: 45,
    };
    assert_eq!(record.warnings(), [short]);

    let folder = changed(|bytes| bytes[240] ^= 1);
    let record = open(&folder, "three.ecg").unwrap();
    assert!(matches!(
        record.warnings()[..],
        [Warning::HeaderChecksum { .. }]
    ));

    // All leads' samples counted together, and none counted at all.
    for promised in [180_i32, 0] {
        let folder = changed(|bytes| {
            bytes[8..10].fill(0);
            bytes[14..18].copy_from_slice(&promised.to_le_bytes());
        });
        let record = open(&folder, "three.ecg").unwrap();
        assert_eq!((record.len_samples(), record.warnings()), (60, vec![]));
    }
    // What the content says, not the name.
    let files = files_of(&cases()[0]);
    let folder = folder_with([("holter.bin", &files[1].1), ("notes.bin", &files[0].1)]);
    let names = ["holter.bin", "notes.bin"];
    let opened = names.map(|name| open(&folder, name));
    assert_eq!(opened.iter().filter(|o| o.is_ok()).count(), 1);
    let said: Vec<String> = opened
        .into_iter()
        .filter_map(|o| o.err().map(|e| e.to_string()))
        .collect();
    assert!(
        said[0].contains("ISHNE annotations; name the recording"),
        "{said:?}"
    );
}

#[test]
fn nonsense_is_refused_with_its_place() {
    let set = |at: usize, value: i16| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes())
    };
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let cases: [(Change, &str); 7] = [
        (
            Box::new(set(156, 0)),
            "byte 156, number of leads: found 0, expected 1 to 12",
        ),
        (
            Box::new(set(156, 13)),
            "byte 156, number of leads: found 13",
        ),
        (
            Box::new(set(272, -5)),
            "byte 272, sampling rate: found -5, expected a rate in Hz above 0",
        ),
        (
            Box::new(set(24, -1)),
            "byte 22, offset of the ECG block: found -",
        ),
        (Box::new(set(22, 20000)), "found no samples"),
        (
            Box::new(|b: &mut Vec<u8>| b[14..18].copy_from_slice(&i32::MAX.to_le_bytes())),
            "byte 14, number of samples",
        ),
        (
            Box::new(|b: &mut Vec<u8>| b.truncate(500)),
            "header: found the end of the file after 500 bytes, expected 522",
        ),
    ];
    for (change, expected) in cases {
        let said = refusal(open(&changed(change), "three.ecg"));
        assert!(said.contains(expected), "{said}");
    }
    let bytes = &files_of(&cases_of_annotations())[0].1;
    for (len, expected) in [
        (400, "inside the header"),
        (524, "the first annotation's sample"),
        (529, "an annotation"),
    ] {
        let said = Annotations::parse(&bytes[..len]).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
}

/// The first case with its annotations alone.
fn cases_of_annotations() -> Value {
    let mut case = cases().swap_remove(0);
    let files = case["files"].as_object_mut().unwrap();
    files.retain(|name, _| name.ends_with(".ann"));
    case
}

#[test]
fn a_real_recording_that_is_cut_short_is_read() {
    let Some(record) = real("ishne-cut.ecg") else {
        return;
    };
    let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        (names, record.sample_rate_hz()),
        (vec!["X", "Y", "Z"], 200.0)
    );
    assert_eq!(record.len_samples(), (700_000 - 522) / 6);
    assert_eq!(record.leads()[0].counts_per_mv, Some(1e6 / 4878.0));
    assert!(
        matches!(record.warnings()[..], [Warning::Short { .. }]),
        "{:?}",
        record.warnings()
    );
    let path = record.annotation_path("x").with_file_name("ishne.ann");
    let annotations = Annotations::read(path).unwrap();
    let count = |code| annotations.beats().filter(|b| b.code == code).count();
    assert_eq!(
        (count(Code::NORMAL), count(Code::SUPRAVENTRICULAR_PREMATURE)),
        (1223, 4)
    );
    assert_eq!(annotations.list[0].sample, 2720);
}
