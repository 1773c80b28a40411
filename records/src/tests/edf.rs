use super::super::annotation::Code;
use super::*;
use proptest::prelude::*;

const PLUS: &[u8] = include_bytes!("../reference/plus.edf");

/// Bytes of the header of [`PLUS`], four signals, one of them annotations; and of its six data records.
const HEADER_BYTES: usize = 256 * 5;
const RECORDS: usize = 6;

/// [`PLUS`] with the text `new` at byte `at`.
fn with_text(at: usize, new: &str) -> Vec<u8> {
    let mut bytes = PLUS.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    bytes
}

/// A record, and the folder that it lies in.
fn opened(name: &str, bytes: &[u8]) -> (Record, tempfile::TempDir) {
    let folder = folder_with([(name, bytes)]);
    (open(&folder, name).unwrap(), folder)
}

fn refused(bytes: &[u8]) -> String {
    refusal(open(&folder_with([("r.edf", bytes)]), "r.edf"))
}

#[test]
fn edf_plus_is_read_as_pyedflib_reads_it() {
    let reference = &reference()["edf"];
    let folder = folder_with([("plus.edf", PLUS)]);
    let record = open(&folder, "plus.edf").unwrap();
    assert_eq!(record.name(), "plus");
    let leads = record.leads();
    let names: Vec<&str> = leads.iter().map(|l| l.name.as_str()).collect();
    let units: Vec<&str> = leads.iter().map(|l| l.units.as_str()).collect();
    let rates: Vec<f64> = leads.iter().map(|l| l.sample_rate_hz).collect();
    assert_eq!(serde_json::json!(names), reference["names"]);
    assert_eq!(serde_json::json!(units), reference["units"]);
    assert_eq!(serde_json::json!(rates), reference["rates"]);
    for (index, per_mv) in [(0, 1000.0), (1, 1.0)] {
        let physical = numbers(&reference["physical"][index]);
        let expected: Vec<_> = physical.iter().map(|v| v.map(|v| v / per_mv)).collect();
        assert_agree(names[index], &record.read_lead(index).unwrap(), &expected);
    }
    assert_streams_agree(&record);
    assert_eq!((record.sample_rate_hz(), record.len_samples()), (50.0, 300));
    assert!(matches!(
        record.read_lead(2),
        Err(RecordError::NotVoltage { .. })
    ));
    let by_name = |name: &str| record.lead_named(name).unwrap();
    assert_eq!((by_name("II"), by_name("ecg v1")), (0, 1));
    let patient = Patient {
        age_years: Some(74.0),
        sex: Some(Sex::Female),
    };
    assert_eq!(record.patient(), patient);
    assert!(
        !record.comments().join(" ").contains("Nobody"),
        "{:?}",
        record.comments()
    );
    assert!(record.comments().join(" ").contains("HP:0.05Hz"));
}

#[test]
fn annotations_are_beats_or_notes() {
    let folder = folder_with([("plus.edf", PLUS)]);
    let record = open(&folder, "plus.edf").unwrap();
    let found = record.annotations("atr").unwrap().list;
    let expected: Vec<(u64, String)> = reference()["edf"]["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            let sample = (a[0].as_f64().unwrap() * 50.0).round() as u64;
            (sample, a[1].as_str().unwrap().to_owned())
        })
        .collect();
    let text = |a: &Annotation| match a.code {
        Code::NOTE => String::from_utf8(a.aux.clone()).unwrap(),
        code => code.mnemonic().to_owned(),
    };
    let texts: Vec<(u64, String)> = found.iter().map(|a| (a.sample, text(a))).collect();
    assert_eq!(texts, expected);
    let beats: Vec<Code> = found
        .iter()
        .map(|a| a.code)
        .filter(|c| c.is_beat())
        .collect();
    let names = ["N", "V", "S"].map(|name| Code::from_mnemonic(name).unwrap());
    assert_eq!(beats, names);

    // A file of annotations beside the record goes first.
    let beside = Annotations {
        list: vec![Annotation::new(7, Code::NORMAL)],
    };
    beside.write(record.annotation_path("atr")).unwrap();
    assert_eq!(record.annotations("atr").unwrap(), beside);
}

/// [`PLUS`] as EDF+D: data records 3 to 5 begin 2.5 s later.
fn with_gap() -> Vec<u8> {
    let mut bytes = with_text(192, "EDF+D");
    let size = (PLUS.len() - HEADER_BYTES) / RECORDS;
    for record in 3..RECORDS {
        let start = HEADER_BYTES + record * size;
        let of = |record: usize| format!("+{record}\u{14}\u{14}\0");
        let at = (start..start + size)
            .rfind(|at| bytes[*at..].starts_with(of(record).as_bytes()))
            .unwrap();
        let late = format!("+{record}.5\u{14}\u{14}\0");
        let late = late.replacen(&format!("{record}"), &format!("{}", record + 2), 1);
        // Whatever else the record annotates gives way.
        bytes[at..start + size].fill(0);
        bytes[at..at + late.len()].copy_from_slice(late.as_bytes());
    }
    bytes
}

#[test]
fn gaps_of_edf_plus_d_are_as_long_as_they_lasted() {
    let folder = folder_with([("plus.edf", PLUS), ("gap.edf", &with_gap())]);
    let whole = open(&folder, "plus.edf").unwrap();
    let record = open(&folder, "gap.edf").unwrap();
    assert_eq!(record.len_samples(), 300 + 125);
    for (index, second) in [(0, 50), (1, 20)] {
        let (before, after) = (
            whole.read_lead(index).unwrap(),
            record.read_lead(index).unwrap(),
        );
        let gap = 3 * second..3 * second + 5 * second / 2;
        assert_eq!(after[..gap.start], before[..gap.start]);
        assert!(after[gap.clone()].iter().all(|v| v.is_nan()));
        assert_eq!(after[gap.end..], before[gap.start..]);
    }
    assert_streams_agree(&record);
    let gap = |w: &Warning| {
        matches!(
            w,
            Warning::Missing {
                gaps: 1,
                samples: 125,
                ..
            }
        )
    };
    assert!(record.warnings().iter().any(gap), "{:?}", record.warnings());
}

#[test]
fn gaps_that_run_backwards_are_refused() {
    let mut bytes = with_gap();
    let at = bytes.windows(5).position(|w| w == b"+5.5\x14").unwrap();
    bytes[at + 1] = b'1';
    let message = refused(&bytes);
    assert!(
        message.contains("r.edf: data record 3: begins at 1.5 s, expected 3 s or later"),
        "{message}"
    );
    bytes[at + 1] = b'x';
    assert!(
        refused(&bytes).contains("data record 3: found `+x.5"),
        "{}",
        refused(&bytes)
    );
}

#[test]
fn a_recording_that_was_not_finished_is_read_as_far_as_it_goes() {
    let size = (PLUS.len() - HEADER_BYTES) / RECORDS;
    let mut bytes = with_text(236, "-1      ");
    bytes.truncate(HEADER_BYTES + 4 * size + 3);
    let record = open(&folder_with([("r.edf", &bytes)]), "r.edf").unwrap();
    assert_eq!(record.len_samples(), 200);
    assert_eq!(record.warnings(), [Warning::Unfinished { found: 4 }]);

    let longer = [PLUS, b"more"].concat();
    let record = open(&folder_with([("r.edf", &longer)]), "r.edf").unwrap();
    assert_eq!(record.warnings(), [Warning::Trailing { bytes: 4 }]);
}

#[test]
fn files_that_are_not_what_they_say_are_refused() {
    // Where the first signal's field begins that so many bytes of each signal's come before.
    let signal = |before: usize| 256 + 4 * before;
    for (bytes, expected) in [
        (Vec::new(), "byte 0: found `` as version, expected `0`"),
        (
            b"0       ".to_vec(),
            "byte 8: the file ends inside the header, expected 256 bytes",
        ),
        (b"nonsense".to_vec(), "found `nonsense` as version"),
        (
            PLUS[..600].to_vec(),
            "byte 600: the file ends inside the header, expected 1280 bytes",
        ),
        (
            with_text(236, "99999999"),
            "but the header promises 99999999",
        ),
        (
            with_text(236, "-2      "),
            "byte 236: found `-2` as number of data records",
        ),
        (
            with_text(236, "many    "),
            "byte 236: found `many` as number of data records",
        ),
        (
            with_text(244, "0       "),
            "byte 244: found `0` as duration of a data record",
        ),
        (
            with_text(244, "-1      "),
            "byte 244: found `-1` as duration of a data record",
        ),
        (
            with_text(244, "NaN     "),
            "byte 244: found `NaN` as duration of a data record",
        ),
        (
            with_text(244, "9e99999 "),
            "byte 244: found `9e99999` as duration of a data record",
        ),
        (
            with_text(252, "0   "),
            "byte 252: found `0` as number of signals",
        ),
        (
            with_text(252, "9999"),
            "byte 252: found `9999` as number of signals",
        ),
        (
            with_text(252, "two "),
            "byte 252: found `two` as number of signals",
        ),
        (
            with_text(184, "1024    "),
            "byte 184: found `1024` as header size",
        ),
        (
            with_text(signal(216), "99999999"),
            "found 0 whole data record(s) of 200000160 bytes",
        ),
    ] {
        let message = refused(&bytes);
        assert!(message.contains(expected), "{expected:?}: {message}");
    }
    let message = refusal(Record::open("no/such.edf"));
    assert!(
        message.contains("no/such.edf: no such record; expected an EDF file"),
        "{message}"
    );
}

#[test]
fn what_one_signal_lacks_does_not_stop_the_others() {
    let signal = |before: usize, index: usize| 256 + 4 * before + 8 * index;
    let (whole, _folder_of_whole) = opened("r.edf", PLUS);
    let v1 = whole.read_lead(1).unwrap();
    // The first signal's physical range is 0 to 0, its digital one, or not there.
    let digital = with_text(signal(120, 0), "32767   ");
    let others = [
        (104, "low     "),
        (112, "inf     "),
        (104, "nan     "),
        (120, "-99999  "),
    ];
    let others = others.map(|(before, limit)| with_text(signal(before, 0), limit));
    let mut blank = with_text(signal(104, 0), "        ");
    blank[signal(112, 0)..signal(112, 0) + 8].fill(b' ');
    for bytes in [digital, blank].into_iter().chain(others) {
        let (record, _folder_of_record) = opened("r.edf", &bytes);
        assert_eq!(record.read_lead(1).unwrap(), v1);
        let dead = Warning::Dead {
            lead: "ECG II".into(),
        };
        assert_eq!(record.warnings()[0], dead);
        let message = refusal(record.read_lead(0));
        assert!(
            message.contains("lead ECG II has no range of values"),
            "{message}"
        );
        assert_eq!(record.first_ecg().unwrap(), 1);
    }
    // Where all lack one, the first is named.
    let mut none = PLUS.to_vec();
    for index in 0..4 {
        none[signal(104, index)..signal(104, index) + 8].copy_from_slice(b"low     ");
    }
    let message = refused(&none);
    assert!(
        message.contains("found `low` as physical minimum or maximum"),
        "{message}"
    );
    // Its limits have a decimal comma.
    let mut comma = PLUS.to_vec();
    let limits = signal(104, 0)..signal(120, 3);
    for byte in comma[limits].iter_mut().filter(|byte| **byte == b'.') {
        *byte = b',';
    }
    assert_ne!(comma, PLUS);
    let (record, _folder_of_record) = opened("r.edf", &comma);
    assert_eq!(record.read_lead(0).unwrap(), whole.read_lead(0).unwrap());
}

#[test]
fn a_file_cut_short_is_read_as_far_as_it_goes() {
    let (whole, _folder_of_whole) = opened("r.edf", PLUS);
    let folder = folder_with([("r.edf", &PLUS[..PLUS.len() - 1])]);
    let record = open(&folder, "r.edf").unwrap();
    assert_eq!(record.len_samples(), 250);
    assert_eq!(
        record.read_lead(0).unwrap(),
        whole.read_lead(0).unwrap()[..250]
    );
    let short = Warning::Short {
        what: "data records",
        promised: 6,
        found: 5,
    };
    assert!(record.warnings().contains(&short));
    assert!(record.annotations("atr").is_ok());
}

/// An annotation signal of 0 samples a data record.
#[test]
fn annotations_without_room_are_none() {
    let mut bytes = PLUS[..HEADER_BYTES].to_vec();
    let size = (PLUS.len() - HEADER_BYTES) / RECORDS;
    let samples = 256 + 4 * 216;
    let counts: Vec<usize> = (0..4)
        .map(|i| &PLUS[samples + 8 * i..samples + 8 * i + 8])
        .map(|field| std::str::from_utf8(field).unwrap().trim().parse().unwrap())
        .collect();
    let (kept, last) = (size - 2 * counts[3], samples + 24);
    bytes[last..last + 8].copy_from_slice(b"0       ");
    for record in PLUS[HEADER_BYTES..].chunks(size) {
        bytes.extend(&record[..kept]);
    }
    let (record, _folder_of_record) = opened("r.edf", &bytes);
    let (whole, _folder_of_whole) = opened("r.edf", PLUS);
    assert_eq!(record.read_lead(0).unwrap(), whole.read_lead(0).unwrap());
    assert_eq!(record.annotations("atr").unwrap().list, []);
}

/// The same samples in 24 bits, 256 times as large, are the same signal.
#[test]
fn bdf_has_three_bytes_a_sample() {
    let field = |text: &str, width: usize| format!("{text:width$}").into_bytes();
    let header: Vec<u8> = [
        b"\xffBIOSEMI".to_vec(),
        field("X", 160),
        field("01.02.2003.04.05", 16),
        field("512", 8),
        field("24BIT", 44),
        field("2", 8),
        field("1", 8),
        field("1", 4),
        field("A1", 16),
        field("", 80),
        field("uV", 8),
        field("-8388608", 8),
        field("8388607", 8),
        field("-8388608", 8),
        field("8388607", 8),
        field("", 80),
        field("4", 8),
        field("", 32),
    ]
    .concat();
    let counts = [0, 32_000, -32_000, 8_388_607, -8_388_608, 1, -1, 320];
    let samples = counts
        .iter()
        .flat_map(|count: &i32| count.to_le_bytes()[..3].to_vec());
    let bytes: Vec<u8> = header.into_iter().chain(samples).collect();
    let (record, _folder_of_record) = opened("r.bdf", &bytes);
    assert_eq!((record.sample_rate_hz(), record.len_samples()), (4.0, 8));
    for (found, count) in record.read_lead(0).unwrap().iter().zip(counts) {
        let expected = f64::from(count) * 1e-3;
        assert!(
            (f64::from(*found) - expected).abs() < 1e-3,
            "{found} {expected}"
        );
    }
    // By what it holds, whatever it is called.
    let (other, _folder_of_other) = opened("night.rec", &bytes);
    assert_eq!(other.read_lead(0).unwrap(), record.read_lead(0).unwrap());
    assert_eq!(other.name(), "night");
}

/// Called BDF, and written as EDF: 16 bits are what its length and its ranges say.
#[test]
fn a_bdf_of_16_bits_is_told_by_its_length() {
    let mut bytes = PLUS.to_vec();
    bytes[..8].copy_from_slice(b"\xffBIOSEMI");
    bytes[192..197].copy_from_slice(b"BDF+C");
    let (record, _folder) = opened("r.bdf", &bytes);
    let (whole, _folder_of_whole) = opened("r.edf", PLUS);
    assert_eq!(record.read_lead(0).unwrap(), whole.read_lead(0).unwrap());
    assert_eq!(record.warnings(), [Warning::NarrowSamples]);
}

#[test]
fn a_blank_dimension_may_be_given() {
    let mut bytes = PLUS.to_vec();
    let dimension = 256 + 4 * 96;
    bytes[dimension..dimension + 8].fill(b' ');
    let folder = folder_with([("r.edf", &bytes[..]), ("w.edf", PLUS)]);
    let record = open(&folder, "r.edf").unwrap();
    let message = refusal(record.read_lead(0));
    assert!(
        message.contains("states no unit, expected a voltage (mV, uV, V), or one with --unit"),
        "{message}"
    );
    let options = ReadOptions::default().with_unit(VoltageUnit::Microvolt);
    let record = Record::open_with(folder.path().join("r.edf"), &options).unwrap();
    assert_eq!(record.leads()[0].units, "uV");
    let whole = open(&folder, "w.edf").unwrap();
    assert_eq!(record.read_lead(0).unwrap(), whole.read_lead(0).unwrap());
    assert_eq!(record.warnings(), []);
}

#[test]
fn a_file_with_gaps_needs_its_clock() {
    // The last signal's label.
    let mut bytes = with_text(192, "EDF+D");
    bytes[256 + 48..256 + 48 + 16].copy_from_slice(b"something else  ");
    assert!(refused(&bytes).contains("found an EDF+D file without an `EDF Annotations` signal"));
}

proptest! {
    #[test]
    fn no_damage_makes_reading_panic(
        damage in prop::collection::vec((0..PLUS.len(), any::<u8>()), 1..8),
        header in prop::collection::vec((0..HEADER_BYTES / 8, "[0-9.eE+-]{1,8}"), 0..3),
        cut in 0..PLUS.len(), cuts: bool, gap: bool,
    ) {
        let mut bytes = if gap { with_gap() } else { PLUS.to_vec() };
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        for (field, text) in header {
            let text = format!("{text:8}");
            bytes[field * 8..field * 8 + 8].copy_from_slice(text.as_bytes());
        }
        if cuts {
            bytes.truncate(cut);
        }
        if let Ok(record) = open(&folder_with([("r.edf", &bytes)]), "r.edf") {
            let _ = record.annotations("atr");
            for index in 0..record.leads().len() {
                if let Ok(blocks) = record.stream_mv(index, 0..100_000) {
                    blocks.for_each(drop);
                }
            }
        }
    }
}

#[test]
fn bdf_plus_is_read_as_pyedflib_reads_it() {
    // `reference/make_bdf.py`.
    let reference: Value = serde_json::from_str(include_str!("../reference/bdf.json")).unwrap();
    let (record, _folder) = opened("wide.bin", &unhexed(reference["file"].as_str().unwrap()));
    let names: Vec<&str> = record.leads().iter().map(|l| l.name.as_str()).collect();
    let rates: Vec<f64> = record.leads().iter().map(|l| l.sample_rate_hz).collect();
    assert_eq!(serde_json::json!(names), reference["names"]);
    assert_eq!(serde_json::json!(rates), reference["rates"]);
    let start = record.start().unwrap().to_string();
    assert_eq!(start, reference["start"].as_str().unwrap());
    for (index, per_mv) in [(0, 1000.0), (1, 1.0)] {
        let physical = numbers(&reference["physical"][index]);
        let expected: Vec<_> = physical.iter().map(|v| v.map(|v| v / per_mv)).collect();
        assert_agree(names[index], &record.read_lead(index).unwrap(), &expected);
    }
    assert_streams_agree(&record);
    let beats = record.annotations("atr").unwrap();
    let beats: Vec<(u64, &str)> = beats
        .beats()
        .map(|b| (b.sample, b.code.mnemonic()))
        .collect();
    assert_eq!(beats, [(50, "V")]);
}

#[test]
fn a_real_bdf_and_a_real_faros_file_are_read_as_pyedflib_reads_them() {
    // pyEDFlib 0.1.42: `readSignal(i)` of lead i, its sum and its length.
    let Some(record) = real("bdf.bdf") else {
        return;
    };
    let sums_uv = [
        5.0e-9,
        -6_004_001.072,
        -1_874_000.003,
        -1_090_576.552,
        -94_916.337,
    ];
    let lengths = [15_000, 12_000, 7_500, 14_625, 14_985];
    assert_eq!(record.leads().len(), 5);
    for (index, (sum, len)) in sums_uv.into_iter().zip(lengths).enumerate() {
        let lead = record.read_lead(index).unwrap();
        let found: f64 = lead.iter().map(|mv| f64::from(*mv) * 1000.0).sum();
        assert_eq!(lead.len(), len);
        assert!(
            (found - sum).abs() < 0.5,
            "lead {index}: {found}, expected {sum}"
        );
    }
    let Some(faros) = real("faros.edf") else {
        return;
    };
    assert_eq!(faros.start().unwrap().to_string(), "2018-10-12 16:54:12");
    let lead = faros.read_lead(faros.first_ecg().unwrap()).unwrap();
    let found: f64 = lead.iter().map(|mv| f64::from(*mv) * 1000.0).sum();
    assert_eq!((lead.len(), found.round()), (39_000, -1_499_113.0));
    assert_eq!(faros.sample_rate_hz(), 500.0);
}
